//! `samsa_message`: one message that stands alone; `samsa_headers_read`: headers of any message.

use std::cell::RefCell;
use std::ffi::c_char;
use std::ptr;

use super::args::Out;
use super::batch::samsa_message_view;
use super::error::samsa_error;
use super::guard::{free, free_into, guard, read};
use super::handle::{self, Opaque, Spares};
use super::samsa_code;
use crate::consumer::Message;

/// One message. It pins the buffer that it was fetched in: copy it if it is kept for long.
///
/// It never changes: any number of threads may read it. It outlives its consumer if need be.
pub struct samsa_message {
    _private: [u8; 0],
}

thread_local! {
    static SPARES: RefCell<Spares<samsa_message>> = const { RefCell::new(Spares::none()) };
}

/// Hands a message to C, in a box that was freed on this thread if there is one.
#[inline]
pub fn give_message(message: Message) -> *mut samsa_message {
    // None also when the thread is ending. The message stays out of it: what has a destructor is dear to
    // hand through closures.
    match SPARES.try_with(|spares| spares.try_borrow_mut().ok()?.take()) {
        Ok(Some(spare)) => spare.give(message),
        _ => handle::give::<samsa_message>(message),
    }
}

impl Opaque for samsa_message {
    type Inner = Message;
    const NAME: &'static str = "samsa_message";
    // Bound, as a batch is.
}

/// What the message says: the same struct as in a batch.
///
/// Who frees: nobody; borrowed until samsa_message_free. NULL gives NULL. Thread: any. On error: NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_message_get(
    message: *const samsa_message,
) -> *const samsa_message_view {
    // SAFETY: the caller keeps the header's rules. The layouts are the same (asserted in batch.rs).
    unsafe { read(message, ptr::null(), |m| ptr::from_ref(m.record().view()).cast()) }
}

/// The topic's name, NUL-terminated.
///
/// Who frees: nobody; borrowed until samsa_message_free. NULL gives NULL. Thread: any. On error: NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_message_topic(message: *const samsa_message) -> *const c_char {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(message, ptr::null(), |m| m.run().topic.as_c_str().as_ptr()) }
}

/// The partition.
///
/// NULL gives -1. Thread: any. On error: -1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_message_partition(message: *const samsa_message) -> i64 {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(message, -1, |m| m.run().partition) }
}

/// Makes a copy with bytes of its own: the fetched buffer can go when the original is freed.
///
/// Who frees: the caller, `*copy` by samsa_message_free. NULL: both are required. Thread: any. On
/// error: `*copy` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_message_copy(
    message: *const samsa_message,
    copy: *mut *mut samsa_message,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let copy = Out::new(copy, ptr::null_mut());
        guard(err, message, |m| {
            copy.required("copy")?.set(handle::give::<samsa_message>(m.detached()));
            Ok(())
        })
    }
}

/// Frees a message; what it lent is gone. NULL is fine. Never waits. Thread: any, as the last use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_message_free(message: *mut samsa_message) {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let kept = SPARES.try_with(|spares| {
            let Ok(mut spares) = spares.try_borrow_mut() else { return false };
            free_into(message, |handle| spares.reclaim(handle));
            true
        });
        if kept != Ok(true) {
            free(message);
        }
    }
}
