//! The wait word where there is no futex.
//!
//! A condition variable may not be signalled from a signal handler. A handler therefore only changes
//! the value, and sleepers look at it every [`SLICE`]: its notification is late by that much at most,
//! never lost.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

const SLICE: Duration = Duration::from_millis(20);

#[derive(Debug, Default)]
pub(in crate::os) struct Word {
    value: AtomicU32,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Word {
    pub(in crate::os) const fn new() -> Self {
        Self { value: AtomicU32::new(0), lock: Mutex::new(()), changed: Condvar::new() }
    }

    pub(in crate::os) fn value(&self) -> u32 {
        self.value.load(Ordering::SeqCst)
    }

    pub(in crate::os) fn wait(&self, seen: u32, deadline: Option<Instant>) {
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        while self.value() == seen {
            let slice = match deadline {
                None => SLICE,
                Some(deadline) => SLICE.min(deadline.saturating_duration_since(Instant::now())),
            };
            if slice.is_zero() {
                return;
            }
            let woken = self.changed.wait_timeout(guard, slice);
            guard = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(in crate::os) fn notify_all(&self) {
        self.value.fetch_add(1, Ordering::SeqCst);
        // With the lock held, or a waiter between its look at the value and its sleep misses this.
        let _guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.changed.notify_all();
    }

    pub(in crate::os) fn notify_from_signal(&self) {
        self.value.fetch_add(1, Ordering::SeqCst);
    }
}
