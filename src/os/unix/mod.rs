//! Unix: Linux in full, the other systems by POSIX means.

pub(super) mod clock;
pub(super) mod fork;
pub(super) mod host;
pub(super) mod net;
pub(super) mod stderr;
pub(super) mod thread;
pub(super) mod wait;
pub(super) mod wake;

/// Keeps `errno` as it was: for what a signal handler may call.
///
/// A handler interrupts code between a failed call and its look at `errno`; a write of ours in
/// between would make that code see our error.
pub(super) fn keeping_errno<T>(call: impl FnOnce() -> T) -> T {
    let place = errno_place();
    // SAFETY: the C library gives the address of this thread's errno, valid while the thread runs.
    let before = unsafe { *place };
    let result = call();
    // SAFETY: as above; we are still on the same thread.
    unsafe { *place = before };
    result
}

fn errno_place() -> *mut libc::c_int {
    #[cfg(any(target_os = "linux", target_os = "emscripten", target_os = "redox"))]
    // SAFETY: takes nothing and always returns this thread's own location.
    unsafe {
        libc::__errno_location()
    }
    #[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
    // SAFETY: takes nothing and always returns this thread's own location.
    unsafe {
        libc::__error()
    }
    #[cfg(any(target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
    // SAFETY: takes nothing and always returns this thread's own location.
    unsafe {
        libc::__errno()
    }
}
