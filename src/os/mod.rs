//! What differs between operating systems: fork detection, host name, wait word, wake descriptor,
//! socket write, thread set-up.
//!
//! Each concept has one file here with its meaning and its rules; the system calls stand in
//! [`unix`](self) under the same name, so that another system is one more folder beside it. This and
//! `ffi` are the only rooms with `unsafe`.

pub mod clock;
pub mod fork;
pub mod host;
pub mod net;
pub mod prefetch;
pub mod stderr;
pub mod thread;
pub mod wait;
pub mod wake;

#[cfg(unix)]
mod unix;
#[cfg(unix)]
use unix as sys;

#[cfg(not(unix))]
compile_error!("libsamsa has no operating system room for this target yet: see src/os/unix");
