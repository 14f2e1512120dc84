//! What every exported function runs in: no panic leaves, every check is made, in one order.
//!
//! Outs are cleared by the caller ([`super::args::Out`]) before anything else; then `*err`; then the
//! handle's type, its process, its poison; then the body. What the body returns becomes a code and,
//! if it is an error, an error object.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::error::samsa_error;
use super::handle::{Opaque, look, reclaim};
use super::{args, callback, handle, samsa_code};
use crate::error::{Error, Result};
use crate::runtime::{inject_panic, panic_error};

/// The last argument of every call that can fail: never read, always written.
pub type ErrorOut = *mut *mut samsa_error;

/// Runs the body of a call on `handle`.
///
/// # Safety
/// `err` is NULL or writable; `handle` is NULL or a live handle of this library.
#[inline]
pub unsafe fn guard<H, F>(err: ErrorOut, handle: *const H, body: F) -> samsa_code
where
    H: Opaque,
    F: FnOnce(&H::Inner) -> Result<()>,
{
    // SAFETY: the caller's contract is ours.
    unsafe {
        args::clear_error(err);
        match on_handle(handle, body) {
            Ok(()) => 0,
            Err(error) => report(err, error),
        }
    }
}

/// As [`guard`], for calls that may run application callbacks of their handle: refused inside one.
///
/// # Safety
/// As [`guard`].
pub unsafe fn poll_like<H, F>(err: ErrorOut, handle: *const H, body: F) -> samsa_code
where
    H: Opaque,
    F: FnOnce(&H::Inner) -> Result<()>,
{
    // SAFETY: the caller's contract is ours.
    unsafe {
        guard(err, handle, |inner| {
            callback::refuse_inside(handle)?;
            body(inner)
        })
    }
}

/// Runs the body of a call without a handle of its own: constructors, plain functions.
///
/// # Safety
/// `err` is NULL or writable.
pub unsafe fn call<F: FnOnce() -> Result<()>>(err: ErrorOut, body: F) -> samsa_code {
    // SAFETY: the caller's contract is ours.
    unsafe {
        args::clear_error(err);
        let result = catch_unwind(AssertUnwindSafe(body))
            .unwrap_or_else(|payload| Err(panic_error(function_name::<F>(), &*payload)));
        match result {
            Ok(()) => 0,
            Err(error) => report(err, error),
        }
    }
}

/// Runs an accessor: what `body` gives, or `absent` for NULL, a wrong or a broken handle, a forked
/// child, a panic.
///
/// # Safety
/// `handle` is NULL or a live handle of this library.
pub unsafe fn read<H, R, F>(handle: *const H, absent: R, body: F) -> R
where
    H: Opaque,
    F: FnOnce(&H::Inner) -> R,
{
    let mut value = absent;
    // SAFETY: the caller's contract is ours.
    let done = unsafe {
        on_handle(handle, |inner| {
            value = body(inner);
            Ok(())
        })
    };
    // Why it was not possible is told by the calls that have a code.
    drop(done);
    value
}

/// Runs a function that takes no handle and has no code: what `body` gives, or `absent` on a panic.
pub fn plain<R>(absent: R, body: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(absent)
}

/// Runs a `_wakeup`: safe in a signal handler as long as `body` is. A handle that is not what it
/// should be is left alone.
///
/// # Safety
/// `handle` is NULL or a live handle of this library.
pub unsafe fn signal<H: Opaque>(handle: *const H, body: impl FnOnce(&H::Inner)) {
    // SAFETY: the caller's contract is ours.
    let inner = match unsafe { handle::peek(handle) } {
        Some(found) => found,
        None => return,
    };
    let _ = catch_unwind(AssertUnwindSafe(|| body(inner)));
}

/// Frees a handle: NULL is fine; a handle of another type, a lent one, and one whose callback runs on
/// this thread are left alone.
///
/// # Safety
/// `handle` is NULL or a live handle of this library, and this is its last use.
pub unsafe fn free<H: Opaque>(handle: *mut H) {
    // SAFETY: the caller's contract is ours.
    unsafe {
        if handle.is_null() || callback::is_inside(handle) {
            return;
        }
        match look(handle) {
            Ok(found) if !found.is_lent() => reclaim::<H>(handle.cast()),
            _ => {}
        }
    }
}

/// As [`free`], for a type whose boxes are kept: `keep` takes over what is to be freed.
///
/// # Safety
/// As [`free`]; `keep` frees the handle.
pub(super) unsafe fn free_into<H: Opaque>(
    handle: *mut H,
    keep: impl FnOnce(*mut handle::Handle<H::Inner>),
) {
    // SAFETY: the caller's contract is ours. No callback is ever given one of these handles as its own.
    if !handle.is_null() && unsafe { look(handle) }.is_ok_and(|found| !found.is_lent()) {
        keep(handle.cast());
    }
}

unsafe fn on_handle<H, F>(handle: *const H, body: F) -> Result<()>
where
    H: Opaque,
    F: FnOnce(&H::Inner) -> Result<()>,
{
    // SAFETY: the caller's contract is that of `look`.
    let handle = unsafe { look(handle) }?;
    let inner = handle.inner()?;
    let run = AssertUnwindSafe(|| {
        inject_panic("call");
        body(inner)
    });
    catch_unwind(run).unwrap_or_else(|payload| {
        let error = panic_error(function_name::<F>(), &*payload);
        handle.poison::<H>(&error);
        Err(error)
    })
}

/// Turns an error into a code and, unless it is a condition, an object in `*err`.
unsafe fn report(err: ErrorOut, error: Error) -> samsa_code {
    let code = error.code();
    if code.is_error() && !err.is_null() {
        // SAFETY: the caller of every exported function gives a writable pointer or NULL.
        unsafe { *err = handle::give::<samsa_error>(error.into()) };
    }
    code.0
}

/// The exported function that a body belongs to: `samsa::ffi::x::samsa_x_y::{{closure}}` → `samsa_x_y`.
fn function_name<F>() -> &'static str {
    let path = std::any::type_name::<F>();
    path.split("::").find(|part| part.starts_with("samsa_")).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use std::ptr;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::error::Code;
    use crate::ffi::error::{samsa_error_code, samsa_error_free, samsa_error_message};

    #[repr(C)]
    struct samsa_test {
        _private: [u8; 0],
    }

    impl Opaque for samsa_test {
        type Inner = AtomicU32;
        const NAME: &'static str = "samsa_test";
        fn poisoned(inner: &AtomicU32, _error: &Error) {
            inner.store(99, Ordering::Relaxed);
        }
    }

    unsafe fn fail_with(handle: *const samsa_test, error: Error) -> (i32, *mut samsa_error) {
        let mut err = ptr::dangling_mut();
        // SAFETY: the tests pass live handles or NULL.
        let code = unsafe { guard(&raw mut err, handle, |_| Err(error)) };
        (code, err)
    }

    #[test]
    fn the_error_object_is_there_exactly_when_the_code_is_an_error() {
        let handle = handle::give::<samsa_test>(AtomicU32::new(0));
        // SAFETY: live handles, freed once.
        unsafe {
            let (code, err) = fail_with(handle, Error::bare(Code::NOTHING));
            assert!(code == Code::NOTHING.0 && err.is_null(), "a condition makes no object");
            let (code, err) = fail_with(handle, Error::new(Code::TIMED_OUT, "late"));
            assert!(code == Code::TIMED_OUT.0 && samsa_error_code(err) == code);
            samsa_error_free(err);
            let (code, err) = fail_with(ptr::null(), Error::bare(Code::NOTHING));
            assert_eq!((code, samsa_error_code(err)), (Code::INVALID_HANDLE.0, code));
            samsa_error_free(err);
            free(handle);
        }
    }

    #[test]
    fn a_panic_becomes_a_code_wakes_waiters_and_stays() {
        let handle = handle::give::<samsa_test>(AtomicU32::new(0));
        let mut err = ptr::null_mut();
        // SAFETY: a live handle, freed once.
        unsafe {
            let code = guard(&raw mut err, handle, |_| panic!("planted"));
            assert_eq!(code, Code::PANIC.0);
            let text = std::ffi::CStr::from_ptr(samsa_error_message(err)).to_string_lossy();
            assert!(text.contains("planted"), "{text}");
            samsa_error_free(err);
            let inner = look(handle).unwrap();
            assert!(inner.inner().is_err(), "poisoned");
            assert_eq!(guard(ptr::null_mut(), handle, |_| Ok(())), Code::PANIC.0);
            assert_eq!(read(handle, 7, |_| 1), 7, "accessors give their neutral value");
            free(handle);
        }
    }

    #[test]
    fn a_handle_of_another_type_is_refused_and_never_freed() {
        let handle = handle::give::<samsa_test>(AtomicU32::new(5));
        let wrong: *mut samsa_error = handle.cast();
        // SAFETY: every handle begins with its tag, which is all that is read of the wrong one.
        unsafe {
            assert_eq!(guard(ptr::null_mut(), wrong, |_| Ok(())), Code::INVALID_HANDLE.0);
            samsa_error_free(wrong);
            assert_eq!(read(handle, 0, |n| n.load(Ordering::Relaxed)), 5);
            free(handle);
        }
    }

    #[test]
    fn poll_like_calls_and_free_are_refused_inside_the_handles_own_callback() {
        let handle = handle::give::<samsa_test>(AtomicU32::new(5));
        // SAFETY: a live handle, freed once.
        unsafe {
            callback::inside(handle, || {
                let code = poll_like(ptr::null_mut(), handle, |_| Ok(()));
                assert_eq!(code, Code::IN_CALLBACK.0);
                assert_eq!(guard(ptr::null_mut(), handle, |_| Ok(())), 0, "others are allowed");
                free(handle);
            });
            assert_eq!(read(handle, 0, |n| n.load(Ordering::Relaxed)), 5, "not freed");
            free(handle);
        }
    }
}
