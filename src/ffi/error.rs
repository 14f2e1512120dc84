//! `samsa_error`: what went wrong, as an object that outlives the call.

use std::ffi::{CString, c_char};
use std::ptr;

use super::guard::{free, read};
use super::handle::Opaque;
use super::samsa_code;
use crate::error::{Code, Error, Persistence};

/// `status` of an error or a delivery: the record was never written.
pub const SAMSA_NOT_PERSISTED: u32 = 0;
/// `status` of an error or a delivery: the record may have been written; its outcome is unknown.
pub const SAMSA_POSSIBLY_PERSISTED: u32 = 1;
/// `status` of an error or a delivery: the record was written; the broker said so.
pub const SAMSA_PERSISTED: u32 = 2;

/// What went wrong in one call: code, message, context. Owned by whoever got it.
///
/// Every function on it takes NULL and then answers for no error (code 0, the text of success).
/// It never changes: any number of threads may read it. What it lends is valid until it is freed.
#[derive(Debug)]
pub struct samsa_error {
    _private: [u8; 0],
}

const _: () = assert!(SAMSA_NOT_PERSISTED == Persistence::NotPersisted as u32);
const _: () = assert!(SAMSA_POSSIBLY_PERSISTED == Persistence::PossiblyPersisted as u32);
const _: () = assert!(SAMSA_PERSISTED == Persistence::Persisted as u32);

/// An error with its strings in C's form.
#[derive(Debug)]
pub struct ErrorHandle {
    error: Error,
    message: CString,
    topic: Option<CString>,
    broker: Option<CString>,
    property: Option<CString>,
}

impl From<Error> for ErrorHandle {
    fn from(error: Error) -> Self {
        Self {
            message: c_string(&error.message()),
            topic: error.topic().map(c_string),
            broker: error.broker().map(c_string),
            property: error.property().map(c_string),
            error,
        }
    }
}

/// A string for C; an inner NUL, which no name of ours has, ends it.
pub fn c_string(text: &str) -> CString {
    let end = text.find('\0').unwrap_or(text.len());
    CString::new(&text[..end]).unwrap_or_default()
}

impl Opaque for samsa_error {
    type Inner = ErrorHandle;
    const NAME: &'static str = "samsa_error";
    const BOUND: bool = false;
}

/// The code of the error; 0 for NULL.
///
/// Thread: any. On a pointer that is no samsa_error: SAMSA_ERR_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_error_code(error: *const samsa_error) -> samsa_code {
    if error.is_null() {
        return 0;
    }
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(error, Code::INVALID_HANDLE.0, |e| e.error.code().0) }
}

/// What happened, with the whole chain of causes: one line of UTF-8, never NULL.
///
/// Borrowed: valid until the error is freed. Thread: any. NULL: gives the text of success.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_error_message(error: *const samsa_error) -> *const c_char {
    if error.is_null() {
        return c"no error".as_ptr();
    }
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(error, c"not a samsa_error".as_ptr(), |e| e.message.as_ptr()) }
}

/// Whether the same call may succeed when it is made again; false for NULL.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_error_is_retriable(error: *const samsa_error) -> bool {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(error, false, |e| e.error.is_retriable()) }
}

/// Whether the handle can no longer be used but for reading outcomes, close and free; false for NULL.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_error_is_fatal(error: *const samsa_error) -> bool {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(error, false, |e| e.error.is_fatal()) }
}

/// Whether the transaction in progress must be aborted before anything else; false for NULL.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_error_requires_abort(error: *const samsa_error) -> bool {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(error, false, |e| e.error.requires_abort()) }
}

/// What is known of the records that the error concerns: SAMSA_NOT_PERSISTED, SAMSA_POSSIBLY_PERSISTED
/// or SAMSA_PERSISTED. SAMSA_NOT_PERSISTED for NULL and where no record is concerned.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_error_status(error: *const samsa_error) -> u32 {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(error, 0, |e| e.error.persistence() as u32) }
}

/// The topic concerned, or NULL.
///
/// Borrowed: valid until the error is freed. Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_error_topic(error: *const samsa_error) -> *const c_char {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(error, ptr::null(), |e| pointer(e.topic.as_ref())) }
}

/// The partition concerned, or -1.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_error_partition(error: *const samsa_error) -> i64 {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(error, -1, |e| e.error.partition().unwrap_or(-1)) }
}

/// The broker concerned as host:port, with its id if that is known; or NULL.
///
/// Borrowed: valid until the error is freed. Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_error_broker(error: *const samsa_error) -> *const c_char {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(error, ptr::null(), |e| pointer(e.broker.as_ref())) }
}

/// The configuration property concerned, or NULL.
///
/// Borrowed: valid until the error is freed. Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_error_property(error: *const samsa_error) -> *const c_char {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(error, ptr::null(), |e| pointer(e.property.as_ref())) }
}

/// Frees the error. NULL is fine.
///
/// Free an error before the variable is used for another call: calls overwrite it unread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_error_free(error: *mut samsa_error) {
    // SAFETY: the caller keeps the header's rules.
    unsafe { free(error) }
}

fn pointer(text: Option<&CString>) -> *const c_char {
    text.map_or(ptr::null(), |text| text.as_ptr())
}
