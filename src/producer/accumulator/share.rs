//! What partitions that nobody serves may hold of `buffer.memory`: together at most half of it, so that
//! the others go on. A keyed record cannot go elsewhere, and would else sit in the buffer until its
//! delivery time ends, with all those behind it.
//!
//! Which partitions these are is looked at when memory is reserved and the buffer is more than half full,
//! never per record (see [`queue_share`](super::queue_share)).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What one partition holds of the budget.
#[derive(Debug, Default)]
pub(crate) struct Share {
    held: AtomicUsize,
    /// It is in the list of those that nobody serves.
    stranded: AtomicBool,
}

impl Share {
    /// In bytes.
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::SeqCst)
    }

    pub(super) fn add(&self, bytes: usize) {
        self.held.fetch_add(bytes, Ordering::SeqCst);
    }

    /// True if its partition is stranded: somebody may wait for just these bytes.
    pub(super) fn sub(&self, bytes: usize) -> bool {
        self.held.fetch_sub(bytes, Ordering::SeqCst);
        self.is_stranded()
    }

    #[inline]
    pub(super) fn is_stranded(&self) -> bool {
        self.stranded.load(Ordering::SeqCst)
    }
}

/// The partitions that nobody serves, and who waits for their part of the memory: not in the line for
/// room, where all others would stand behind.
#[derive(Debug)]
pub(crate) struct Stranded {
    limit: usize,
    shares: Mutex<Vec<Arc<Share>>>,
    waiting: AtomicUsize,
    /// Somebody was sent away and wants to be told, once.
    wished: AtomicBool,
}

impl Stranded {
    pub(super) fn new(total: usize) -> Self {
        Self {
            limit: total / 2,
            shares: Mutex::default(),
            waiting: AtomicUsize::new(0),
            wished: AtomicBool::new(false),
        }
    }

    /// The most that they may hold together, in bytes.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// What they hold together.
    pub(crate) fn held(&self) -> usize {
        self.lock().iter().map(|share| share.held()).sum()
    }

    /// Takes a share into the list. Under its queue's lock, as [`remove`](Self::remove).
    pub(super) fn add(&self, share: &Arc<Share>) {
        if !share.stranded.swap(true, Ordering::SeqCst) {
            self.lock().push(Arc::clone(share));
        }
    }

    /// Takes it out of the list; true if it was there.
    pub(super) fn remove(&self, share: &Arc<Share>) -> bool {
        if !share.stranded.swap(false, Ordering::SeqCst) {
            return false;
        }
        let mut shares = self.lock();
        if let Some(at) = shares.iter().position(|listed| Arc::ptr_eq(listed, share)) {
            shares.swap_remove(at);
        }
        true
    }

    /// Begins to wait. Look at what they hold after this: who gives bytes back looks for waiters
    /// afterwards, so that one of the two sees the other.
    pub(crate) fn wait(&self) -> Aside<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Aside(self)
    }

    pub(super) fn has_waiters(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// Asks to be told when there may be room, once. Look again afterwards.
    pub(crate) fn wish(&self) {
        self.wished.store(true, Ordering::SeqCst);
    }

    /// Whether somebody asked; then it is forgotten.
    pub(super) fn take_wish(&self) -> bool {
        self.wished.load(Ordering::SeqCst) && self.wished.swap(false, Ordering::SeqCst)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Share>>> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody waits for the memory of stranded partitions.
#[derive(Debug)]
pub(crate) struct Aside<'a>(&'a Stranded);

impl Drop for Aside<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stranded_partitions_hold_is_counted_while_they_are() {
        let stranded = Stranded::new(100);
        let (one, two) = (Arc::<Share>::default(), Arc::<Share>::default());
        one.add(30);
        assert_eq!(stranded.held(), 0);
        stranded.add(&one);
        stranded.add(&one);
        stranded.add(&two);
        two.add(7);
        assert_eq!((stranded.held(), stranded.limit()), (37, 50));
        assert!(one.sub(10));
        assert!(stranded.remove(&two) && !stranded.remove(&two));
        assert_eq!(stranded.held(), 20);
        assert!(!two.sub(7), "nobody waits for these");
    }
}
