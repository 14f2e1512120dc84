//! A descriptor that an application's event loop can watch: readable or not, nothing else.

use super::sys;
use crate::error::Result;

/// An eventfd on Linux, a pipe elsewhere. Non-blocking, closed on exec, closed when dropped.
#[derive(Debug)]
pub struct WakeDescriptor {
    inner: sys::wake::Descriptor,
}

impl WakeDescriptor {
    /// A descriptor that is not readable. Fails when the process has no descriptor left.
    pub fn new() -> Result<Self> {
        Ok(Self { inner: sys::wake::Descriptor::new()? })
    }

    /// The number to watch for reading; the library alone reads and closes it. As wide as a pointer,
    /// because a Windows socket is.
    #[must_use]
    pub fn as_raw(&self) -> isize {
        self.inner.readable_end()
    }

    /// Makes it readable until [`clear`](Self::clear); more than once is as good as once.
    ///
    /// Allowed in a signal handler: one `write`, `errno` is kept.
    pub fn set(&self) {
        self.inner.set();
    }

    /// Makes it not readable.
    pub fn clear(&self) {
        self.inner.clear();
    }
}
