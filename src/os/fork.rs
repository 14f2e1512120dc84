//! Fork eras: how a handle notices that it was carried into a child process.
//!
//! Only the forking thread lives on in a child. Locks stay as they were at that instant, sockets are
//! shared with the parent, and no I/O thread runs: a call that went ahead would hang. So every handle
//! notes the era it was made in, and every call compares first, before any lock; and so does every
//! `Drop` that would reach a lock, a thread, or a tokio object (whose drop takes its socket out of an
//! epoll set that parent and child share).
//!
//! The era's number stands in a page that the kernel wipes in a child (`MADV_WIPEONFORK`), which also
//! sees `_Fork` and raw `clone`; where that is missing, a `pthread_atfork` handler wipes a static
//! instead. Either way a check is two loads (~1 ns; `getpid` takes 120).

use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use once_cell::sync::OnceCell;

use super::sys;
use crate::error::{Code, Error, Result};

/// The last number given out. Plain memory: a child goes on from its parent's.
static LAST: AtomicU64 = AtomicU64::new(0);

/// The number of this process's era: 1 or more, the same from the first call on, and another one in a
/// forked child than any that the parent had used before the fork.
///
/// Takes no lock and allocates nothing: allowed in a signal handler.
#[inline]
#[must_use]
pub fn era() -> u64 {
    match sys::fork::wiped_word() {
        Some(word) => match word.load(Ordering::Relaxed) {
            0 => begin(word),
            era => era,
        },
        None => begin(sys::fork::make_wiped_word()),
    }
}

/// Numbers the era of a process that has none yet.
///
/// `LAST` moves before the page does: a fork between the two finds `LAST` ahead of every number that
/// the parent can have shown, so a child never repeats one. The loser of a race takes the winner's.
#[cold]
fn begin(word: &AtomicU64) -> u64 {
    let mine = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    match word.compare_exchange(0, mine, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => mine,
        Err(theirs) => theirs,
    }
}

/// The era that a handle belongs to. `Copy`, one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Era(u64);

impl Era {
    /// The era of the calling process.
    #[must_use]
    pub fn current() -> Self {
        Self(era())
    }

    /// Whether the calling process is the one that this era belongs to.
    #[inline]
    #[must_use]
    pub fn is_current(self) -> bool {
        self.0 == era()
    }

    /// `Err(FORKED)` in a forked child. Allocates nothing; allowed in a signal handler.
    #[inline]
    pub fn check(self) -> Result<()> {
        if self.is_current() { Ok(()) } else { Err(Error::bare(Code::FORKED)) }
    }
}

/// A process-wide value that each era makes for itself.
///
/// In a child the parent's value is forgotten, never dropped and never looked at: it may hold a lock
/// that no one will release, or threads that are not there. Meant for statics.
#[derive(Debug)]
pub struct PerEra<T> {
    slot: AtomicPtr<Slot<T>>,
}

#[derive(Debug)]
struct Slot<T> {
    era: u64,
    cell: OnceCell<T>,
}

impl<T: Send + Sync + 'static> PerEra<T> {
    /// An empty place.
    #[must_use]
    pub const fn new() -> Self {
        Self { slot: AtomicPtr::new(std::ptr::null_mut()) }
    }

    /// This era's value, if it was made. Takes no lock.
    #[must_use]
    pub fn get(&self) -> Option<&'static T> {
        let slot = self.slot.load(Ordering::Acquire);
        // SAFETY: a published slot is never freed (see `slot`), so the reference stays good for ever.
        let slot = unsafe { slot.as_ref() }?;
        if slot.era == era() { slot.cell.get() } else { None }
    }

    /// This era's value, made by `make` if it is the first call. Concurrent callers wait for one
    /// `make`; when it fails, the next caller tries again.
    pub fn get_or_try_init<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<&'static T, E> {
        self.slot().cell.get_or_try_init(make)
    }

    /// This era's slot, made if need be. Lock-free: whatever another thread of the parent was doing
    /// here when the process forked, the child can go on.
    fn slot(&self) -> &'static Slot<T> {
        let era = era();
        let mut seen = self.slot.load(Ordering::Acquire);
        loop {
            // SAFETY: null or a published slot, which is never freed.
            if let Some(slot) = unsafe { seen.as_ref() }.filter(|slot| slot.era == era) {
                return slot;
            }
            let fresh = Box::into_raw(Box::new(Slot { era, cell: OnceCell::new() }));
            match self.slot.compare_exchange(seen, fresh, Ordering::AcqRel, Ordering::Acquire) {
                // The slot of an older era, if there was one, is leaked here on purpose.
                // SAFETY: just made by `Box::into_raw`, and from now on never freed.
                Ok(_) => return unsafe { &*fresh },
                Err(other) => {
                    // SAFETY: never published, so this is the only pointer to it.
                    drop(unsafe { Box::from_raw(fresh) });
                    seen = other;
                }
            }
        }
    }
}

impl<T: Send + Sync + 'static> Default for PerEra<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
pub(crate) mod tests;
