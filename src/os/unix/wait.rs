//! The wait word: futex on Linux, condition variable elsewhere.

#[cfg(any(test, not(target_os = "linux")))]
mod condvar;
#[cfg(target_os = "linux")]
mod futex;

#[cfg(not(target_os = "linux"))]
pub(in crate::os) use condvar::Word;
#[cfg(target_os = "linux")]
pub(in crate::os) use futex::Word;
