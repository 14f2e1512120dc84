//! Test build only (feature `panic-injection`): C tests force panics in calls and tasks.
//!
//! Not in any header and not in an installed library.

use std::ffi::c_char;

use super::args;
use super::guard::plain;

/// Makes the next pass of the point of this name panic, once: `call`, `sender`, `fetcher`, `metadata`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_panic_arm(point: *const c_char) {
    plain((), || {
        // SAFETY: the caller passes a NUL-terminated string.
        if let Ok(point) = unsafe { args::text("point", point) } {
            crate::runtime::arm_panic(point);
        }
    });
}

/// Forgets every armed point.
#[unsafe(no_mangle)]
pub extern "C" fn samsa_panic_disarm() {
    plain((), crate::runtime::disarm_panics);
}
