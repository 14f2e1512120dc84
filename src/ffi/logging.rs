//! Log lines to a callback of the application.

use std::ffi::{CString, c_char, c_void};
use std::ptr;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::callback::Registered;
use super::config::{samsa_config, samsa_release_callback};
use super::error::{c_string, samsa_error};
use super::guard::{guard, read};
use super::handle::{Lent, Opaque};
use super::samsa_code;
use crate::log::{Entry, Level, Sink};

/// `samsa_log_level`: something failed that the application should know.
pub const SAMSA_LOG_ERROR: i32 = 1;
/// `samsa_log_level`: something is wrong and may mend itself.
pub const SAMSA_LOG_WARN: i32 = 2;
/// `samsa_log_level`: what happens, seldom: connections, leaders.
pub const SAMSA_LOG_INFO: i32 = 3;
/// `samsa_log_level`: what helps to find a bug.
pub const SAMSA_LOG_DEBUG: i32 = 4;

const _: () =
    assert!(SAMSA_LOG_ERROR == Level::Error as i32 && SAMSA_LOG_DEBUG == Level::Debug as i32);
const _: () = assert!(SAMSA_LOG_WARN == Level::Warn as i32 && SAMSA_LOG_INFO == Level::Info as i32);

/// One line of the log, lent to a log callback; valid until the callback returns.
pub struct samsa_log {
    _private: [u8; 0],
}

/// What a log handle holds.
#[derive(Debug)]
pub struct LogHandle {
    level: i32,
    facility: CString,
    message: CString,
    time: i64,
}

impl Opaque for samsa_log {
    type Inner = LogHandle;
    const NAME: &'static str = "samsa_log";
    const BOUND: bool = false;
}

/// Takes a line of the log. Runs on a thread of the library that does nothing else; it must return and
/// may call nothing but samsa_log functions.
pub type samsa_log_callback =
    Option<unsafe extern "C" fn(log: *const samsa_log, user: *mut c_void)>;

#[derive(Debug)]
struct Callback(Arc<Registered<LogCall>>);

type LogCall = unsafe extern "C" fn(log: *const samsa_log, user: *mut c_void);

impl Sink for Callback {
    fn log(&self, entry: &Entry) {
        let since = entry.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let line = Lent::<samsa_log>::new(LogHandle {
            level: entry.level as i32,
            facility: c_string(entry.facility),
            message: c_string(&entry.message),
            time: i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        });
        // SAFETY: the application's function, with the pointer it gave; the line lives meanwhile.
        unsafe { (self.0.call)(line.as_ptr(), self.0.user()) }
    }
}

/// Sends log lines to a callback, whatever the property samsa.log says; the property samsa.log.level
/// says which. A full queue drops lines and counts them. call NULL takes the callback back. Only
/// samsa_cluster_open takes a configuration with it: where a producer or consumer is made it gives
/// SAMSA_ERR_INVALID_PROPERTY.
///
/// Lines that wait are still given after samsa_cluster_free, which waits for nothing: release, not free,
/// is the end of the callback, once the configuration and what was opened with it are freed.
///
/// Who frees: release(user), if not NULL, is called once after the last use; when this call fails, it
/// is not. Thread: any. On error: nothing is changed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_config_set_log_callback(
    config: *mut samsa_config,
    call: samsa_log_callback,
    user: *mut c_void,
    release: samsa_release_callback,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        guard(err, config, |config| {
            config.edit(|config| {
                let sink = |call| Arc::new(Callback(Registered::new(call, user, release))) as _;
                config.set_log_sink(call.map(sink));
            })?;
            if call.is_none() {
                // Nothing keeps the pointer: that was its last use.
                drop(Registered::new((), user, release));
            }
            Ok(())
        })
    }
}

/// How severe a line is: SAMSA_LOG_ERROR to SAMSA_LOG_DEBUG; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_log_level(log: *const samsa_log) -> i32 {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(log, 0, |log| log.level) }
}

/// Which part of the library speaks, such as net or producer; NULL for NULL.
///
/// Borrowed: valid until the callback returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_log_facility(log: *const samsa_log) -> *const c_char {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(log, ptr::null(), |log| log.facility.as_ptr()) }
}

/// The text, UTF-8 without a line end; NULL for NULL.
///
/// Borrowed: valid until the callback returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_log_message(log: *const samsa_log) -> *const c_char {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(log, ptr::null(), |log| log.message.as_ptr()) }
}

/// When the line was logged, in milliseconds since 1970; -1 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_log_time(log: *const samsa_log) -> i64 {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(log, -1, |log| log.time) }
}
