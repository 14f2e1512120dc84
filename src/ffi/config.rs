//! `samsa_config`: properties by name, and callbacks.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use super::args::{self, Out};
use super::callback::{Registered, Release};
use super::error::{c_string, samsa_error};
use super::guard::{free, guard, plain};
use super::handle::{self, Opaque, look};
use super::samsa_code;
use crate::config::{Config, PropertiesFile};
use crate::error::{Code, Error, Result};
use crate::os::fork::Era;

/// A configuration: properties by Java's names, and callbacks. What takes one copies it: it may be
/// changed, used again and freed at any time.
///
/// A cluster's configuration may hold any property: its producers and consumers inherit it.
/// The prefix `topic.NAME.` sets a property for one topic. Any thread may use it.
pub struct samsa_config {
    _private: [u8; 0],
}

/// Tells the application that its `user` pointer is no longer needed: called once, on any thread,
/// after the last use. May be NULL.
pub type samsa_release_callback = Option<unsafe extern "C" fn(user: *mut c_void)>;

// The name for C and the grammar's own are one type.
const _: fn(samsa_release_callback) -> Release = |release| release;

/// What a configuration handle holds.
#[derive(Debug)]
pub struct ConfigHandle {
    config: Mutex<Config>,
    era: Era,
}

impl ConfigHandle {
    fn new() -> Self {
        Self { config: Mutex::default(), era: Era::current() }
    }

    /// A configuration may be used in a forked child, where a thread that is not there may hold its lock
    /// for ever: then it is FORKED, and nobody waits.
    fn lock(&self) -> Result<MutexGuard<'_, Config>> {
        if self.era.is_current() {
            return Ok(self.config.lock().unwrap_or_else(PoisonError::into_inner));
        }
        match self.config.try_lock() {
            Ok(config) => Ok(config),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => Err(Error::bare(Code::FORKED)),
        }
    }

    /// Changes it. What the change replaces ends after the lock is released: with it the application's
    /// release function may run, which may use this very configuration.
    pub fn edit<R>(&self, change: impl FnOnce(&mut Config) -> R) -> Result<R> {
        let mut config = self.lock()?;
        let before = config.clone();
        let result = change(&mut config);
        drop(config);
        drop(before);
        Ok(result)
    }

    /// What it holds now.
    pub fn copy(&self) -> Result<Config> {
        Ok(self.lock()?.clone())
    }
}

impl Opaque for samsa_config {
    type Inner = ConfigHandle;
    const NAME: &'static str = "samsa_config";
    const BOUND: bool = false;
}

/// A copy of a configuration argument; NULL is none.
///
/// # Safety
/// `config` is NULL or a live handle of this library.
pub unsafe fn optional_config(config: *const samsa_config) -> Result<Option<Config>> {
    if config.is_null() {
        return Ok(None);
    }
    // SAFETY: by the contract of this function.
    unsafe { Ok(Some(look(config)?.inner()?.copy()?)) }
}

/// Puts a callback, with the application's pointer, into the configuration. `F` is the library's own
/// type for callbacks of the kind, by which [`callback_of`] finds it again.
///
/// # Safety
/// As [`guard`]; `user` and `release` fit together.
pub unsafe fn set_callback<F: Send + Sync + 'static>(
    err: *mut *mut samsa_error,
    config: *mut samsa_config,
    call: F,
    user: *mut c_void,
    release: Release,
) -> samsa_code {
    // SAFETY: the caller's contract is ours.
    unsafe {
        guard(err, config, |config| {
            // The application's pointer is ours only from here on: a refused call releases nothing.
            config.edit(|config| config.attach(Registered::new(call, user, release)))
        })
    }
}

/// Makes an empty configuration: every property has its default.
///
/// Who frees: the caller, by samsa_config_free. Thread: any. NULL only if there is no memory.
#[unsafe(no_mangle)]
pub extern "C" fn samsa_config_new() -> *mut samsa_config {
    plain(ptr::null_mut(), || handle::give::<samsa_config>(ConfigHandle::new()))
}

/// Sets a property; the value is checked at once. docs/configuration.md lists the properties.
///
/// NULL: nothing may be NULL but err. Thread: any. Borrowed: name and value are copied. On error:
/// nothing is changed; SAMSA_ERR_UNKNOWN_PROPERTY names the nearest known one,
/// SAMSA_ERR_INVALID_PROPERTY says what is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_config_set(
    config: *mut samsa_config,
    name: *const c_char,
    value: *const c_char,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        guard(err, config, |config| {
            let name = args::text("name", name)?;
            let value = args::text("value", value)?;
            config.lock()?.set(name, value)
        })
    }
}

/// Gives the value of a property: what was set, else its default.
///
/// Who frees: the caller, `*value` by samsa_string_free. NULL: nothing may be NULL but err.
/// Thread: any. On error: `*value` is NULL; SAMSA_ERR_UNKNOWN_PROPERTY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_config_get(
    config: *const samsa_config,
    name: *const c_char,
    value: *mut *mut c_char,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let value = Out::new(value, ptr::null_mut());
        guard(err, config, |config| {
            let value = value.required("value")?;
            let found = config.lock()?.get(args::text("name", name)?)?;
            value.set(c_string(&found).into_raw());
            Ok(())
        })
    }
}

/// Reads a .properties file (the format of Java, UTF-8) on top of what is set.
///
/// NULL: nothing may be NULL but err. Thread: any. On error: nothing is changed; the message names
/// file and line.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_config_load(
    config: *mut samsa_config,
    path: *const c_char,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        guard(err, config, |config| {
            let path = args::text("path", path)?;
            // Read without the lock: another thread's get does not wait for the disk, and what it sets
            // meanwhile stays.
            let file = PropertiesFile::read(path)?;
            config.edit(|config| config.apply(&file))?
        })
    }
}

/// Frees the configuration. NULL is fine; handles that were made from it keep their copy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_config_free(config: *mut samsa_config) {
    // SAFETY: the caller keeps the header's rules.
    unsafe { free(config) }
}

/// What a callback of the kind was set, if one was.
pub fn callback_of<F: Send + Sync + 'static>(config: &Config) -> Option<Arc<Registered<F>>> {
    config.attached::<Registered<F>>()
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::io::Write;

    use super::*;

    /// The file is a pipe, so that its reader waits in the middle.
    #[test]
    fn what_another_thread_sets_while_a_file_is_read_is_not_lost() {
        let path = std::env::temp_dir().join(format!("samsa-load-{}", std::process::id()));
        let name = CString::new(path.to_str().unwrap()).unwrap();
        // Of a run that failed, by a process of the same number.
        let _ = std::fs::remove_file(&path);
        // SAFETY: a path that ends with NUL.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        let config = samsa_config_new();
        let address = config as usize;
        let loader = std::thread::spawn(move || {
            // SAFETY: the configuration lives until this thread is joined.
            unsafe { samsa_config_load(address as *mut _, name.as_ptr(), ptr::null_mut()) }
        });
        // Opens when the reader has.
        let mut file = std::fs::File::options().write(true).open(&path).unwrap();
        let set = |name: &std::ffi::CStr, value: &std::ffi::CStr| {
            // SAFETY: a live configuration and strings.
            unsafe { samsa_config_set(config, name.as_ptr(), value.as_ptr(), ptr::null_mut()) }
        };
        assert_eq!(set(c"linger.ms", c"7"), 0);
        file.write_all(b"batch.size=8\n").unwrap();
        drop(file);
        assert_eq!(loader.join().unwrap(), 0);
        // SAFETY: it lives until the free.
        let copy = unsafe { optional_config(config) }.unwrap().unwrap();
        assert_eq!(copy.get("linger.ms").unwrap(), "7");
        assert_eq!(copy.get("batch.size").unwrap(), "8");
        // SAFETY: the last use.
        unsafe { samsa_config_free(config) };
        std::fs::remove_file(path).unwrap();
    }
}
