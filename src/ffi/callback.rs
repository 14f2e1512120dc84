//! Who may call what inside an application callback.
//!
//! Application callbacks run on the thread that called poll (or flush, close, …) of their handle.
//! Inside one, that handle's poll-like calls would nest and its free would pull the ground away, so
//! both are recognised by a list of the handles whose callback this thread is in.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use crate::error::{Code, Error, Result};

/// One running callback; lives on the stack of the thread that runs it.
struct Frame {
    handle: *const c_void,
    outer: *const Frame,
}

thread_local! {
    // Const and without destructor: safe to read in any state of the thread.
    static INNERMOST: Cell<*const Frame> = const { Cell::new(ptr::null()) };
}

/// Runs an application callback of `handle`.
pub fn inside<H, R>(handle: *const H, call: impl FnOnce() -> R) -> R {
    struct Leave(*const Frame);
    impl Drop for Leave {
        fn drop(&mut self) {
            INNERMOST.set(self.0);
        }
    }
    let frame = Frame { handle: handle.cast(), outer: INNERMOST.get() };
    let _leave = Leave(frame.outer);
    INNERMOST.set(&raw const frame);
    call()
}

/// Whether this thread is inside an application callback of `handle`.
pub fn is_inside<H>(handle: *const H) -> bool {
    let mut frame = INNERMOST.get();
    while !frame.is_null() {
        // SAFETY: frames are on this thread's stack and unlinked before they are left.
        let Frame { handle: running, outer } = unsafe { &*frame };
        if ptr::eq(*running, handle.cast()) {
            return true;
        }
        frame = *outer;
    }
    false
}

/// `Err(IN_CALLBACK)` inside an application callback of `handle`.
pub fn refuse_inside<H>(handle: *const H) -> Result<()> {
    if is_inside(handle) {
        return Err(Error::new(
            Code::IN_CALLBACK,
            "this call runs callbacks of the handle whose callback it was called from",
        ));
    }
    Ok(())
}

/// The function that tells the application that its `user` pointer is no longer needed.
pub type Release = Option<unsafe extern "C" fn(user: *mut c_void)>;

/// A callback with the application's pointer; `release(user)` runs when the last clone goes.
pub struct Registered<F> {
    /// The application's function.
    pub call: F,
    user: *mut c_void,
    release: Release,
}

// SAFETY: the header says that callbacks run on any thread and `user` is theirs to protect.
unsafe impl<F: Send> Send for Registered<F> {}
// SAFETY: as above.
unsafe impl<F: Sync> Sync for Registered<F> {}

impl<F> Registered<F> {
    /// Takes over `user`: `release` is called for it once.
    pub fn new(call: F, user: *mut c_void, release: Release) -> Arc<Self> {
        Arc::new(Self { call, user, release })
    }

    /// The application's pointer.
    pub fn user(&self) -> *mut c_void {
        self.user
    }
}

impl<F> Drop for Registered<F> {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: the application gave the pair; the last user of it is gone.
            unsafe { release(self.user) };
        }
    }
}

impl<F> std::fmt::Debug for Registered<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Registered(user {:p})", self.user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_handles_whose_callbacks_run_are_inside_and_only_meanwhile() {
        let (a, b) = (1_u8, 2_u8);
        let (a, b) = (&raw const a, &raw const b);
        inside(a, || {
            assert!(is_inside(a) && !is_inside(b));
            inside(b, || assert!(is_inside(a) && is_inside(b)));
            assert!(!is_inside(b));
            assert_eq!(refuse_inside(a).unwrap_err().code(), Code::IN_CALLBACK);
        });
        assert!(!is_inside(a));
    }

    #[test]
    fn a_panic_in_a_callback_leaves_no_trace() {
        let a = 1_u8;
        let caught = std::panic::catch_unwind(|| inside(&raw const a, || panic!("in callback")));
        assert!(caught.is_err() && !is_inside(&raw const a));
    }

    #[test]
    fn release_is_called_once_after_the_last_use() {
        unsafe extern "C" fn count(user: *mut c_void) {
            // SAFETY: the test passes a live Cell.
            let counter = unsafe { &*user.cast::<Cell<u32>>() };
            counter.set(counter.get() + 1);
        }
        let counter = Cell::new(0);
        let first = Registered::new((), (&raw const counter).cast_mut().cast(), Some(count));
        let second = Arc::clone(&first);
        drop(first);
        assert_eq!(counter.get(), 0);
        drop(second);
        assert_eq!(counter.get(), 1);
    }
}
