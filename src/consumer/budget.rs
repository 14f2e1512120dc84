//! The bytes that a consumer may keep: fetched and waiting, or handed out and still held.
//!
//! Beyond the limit each broker may still fetch one partition's worth (principle 15), so that what
//! an application holds of one broker never stops another. A fetcher that finds no room registers
//! and sleeps; the release of any buffer wakes it at once.
//!
//! What was fetched can decompress to a hundred times as much: beyond the limit a compressed batch is
//! opened only while nothing that was decompressed is alive, so that reading always goes on when the
//! application gives back what it holds.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use super::buffers::Buffers;
use crate::runtime::Signal;

/// The account of one consumer.
#[derive(Debug)]
pub(super) struct Budget {
    limit: usize,
    used: AtomicUsize,
    /// The part of it that was decompressed.
    made: AtomicUsize,
    starving: Mutex<Vec<Arc<Seat>>>,
    decompressed: Arc<Buffers>,
    /// Reading met a compressed batch and found no room.
    choked: AtomicBool,
    /// Tells who reads that there is room again.
    signal: Arc<Signal>,
}

/// What one broker's fetcher shares with the threads that read and release its data.
#[derive(Debug, Default)]
pub(super) struct Seat {
    /// Ends the fetcher's sleep; remembers one call.
    pub(super) wake: Notify,
    /// Bytes of this broker that are alive.
    held: AtomicUsize,
    /// Answers of which something still waits to be read.
    unread: AtomicUsize,
}

impl Seat {
    /// For the fetcher: sleeps until something changes for its broker, or until `until`.
    pub(super) async fn rest(&self, until: Option<Instant>) {
        let woken = self.wake.notified();
        match until {
            None => woken.await,
            Some(until) => {
                let _ = tokio::time::timeout_at(until.into(), woken).await;
            }
        }
    }

    /// Answers of which something still waits to be read, paused partitions included.
    pub(super) fn unread(&self) -> usize {
        self.unread.load(Ordering::Acquire)
    }
}

/// Bytes that are alive; gives them back when the last batch, message or queue lets go.
#[derive(Debug)]
pub(super) struct Lease {
    budget: Arc<Budget>,
    seat: Arc<Seat>,
    bytes: usize,
    /// How many of them were decompressed.
    made: usize,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let budget = &self.budget;
        self.seat.held.fetch_sub(self.bytes, Ordering::AcqRel);
        budget.made.fetch_sub(self.made, Ordering::AcqRel);
        budget.used.fetch_sub(self.bytes, Ordering::SeqCst);
        for seat in budget.take_starving() {
            seat.wake.notify_one();
        }
        if budget.choked.load(Ordering::SeqCst) && budget.has_room_to_open() {
            budget.choked.store(false, Ordering::SeqCst);
            budget.signal.notify();
        }
    }
}

impl Lease {
    /// Where what it pays for is decompressed.
    pub(super) fn buffers(&self) -> &Arc<Buffers> {
        &self.budget.decompressed
    }

    /// Whether a compressed batch of this answer may be opened now; if not, the signal tells when to
    /// look again.
    pub(super) fn may_open(&self) -> bool {
        let budget = &self.budget;
        if budget.has_room_to_open() {
            return true;
        }
        budget.choked.store(true, Ordering::SeqCst);
        // A release between the look and the mark told nobody: look again. The mark stays all the same, it
        // may be another reader's by now who found no room and sleeps; one word too many harms nobody.
        budget.has_room_to_open()
    }
}

/// One answer's share of "unread": ends when its last part was read or dropped.
#[derive(Debug)]
pub(super) struct Unread(Arc<Seat>);

impl Unread {
    /// Counts an answer of this broker as unread until the value (shared by its parts) is dropped.
    pub(super) fn new(seat: &Arc<Seat>) -> Arc<Self> {
        seat.unread.fetch_add(1, Ordering::AcqRel);
        Arc::new(Self(Arc::clone(seat)))
    }

    /// Whether the answer came to this seat.
    pub(super) fn is_of(&self, seat: &Seat) -> bool {
        std::ptr::eq(Arc::as_ptr(&self.0), seat)
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        self.0.unread.fetch_sub(1, Ordering::AcqRel);
        self.0.wake.notify_one();
    }
}

impl Budget {
    /// An account of `limit` bytes; `signal` is told when reading may go on.
    pub(super) fn new(limit: usize, signal: &Arc<Signal>) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicUsize::new(0),
            made: AtomicUsize::new(0),
            starving: Mutex::default(),
            // As much as one answer: buffers that nobody reads do not count against the limit.
            decompressed: Buffers::new(limit / 16),
            choked: AtomicBool::new(false),
            signal: Arc::clone(signal),
        })
    }

    fn has_room_to_open(&self) -> bool {
        self.used.load(Ordering::SeqCst) <= self.limit || self.made.load(Ordering::Acquire) == 0
    }

    /// Bytes alive now; may pass the limit by one partition's worth a broker.
    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }

    /// The limit.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// The most that one fetch may ask for when `brokers` are fetched from: an eighth of the limit,
    /// divided. Each broker has up to three answers alive (the one being read, the next, and the one
    /// on its way) before the application holds any.
    pub(super) fn share(&self, brokers: usize) -> usize {
        self.limit / (8 * brokers.max(1))
    }

    /// How many bytes a fetch of this broker may ask for: up to `wish`, at least `worth` (one
    /// partition's) or nothing. With `None` the seat is registered and woken at the next release.
    pub(super) fn grant(&self, seat: &Arc<Seat>, wish: usize, worth: usize) -> Option<usize> {
        if let Some(grant) = self.try_grant(seat, wish, worth) {
            return Some(grant);
        }
        let mut starving = self.starving.lock().unwrap_or_else(PoisonError::into_inner);
        if !starving.iter().any(|s| Arc::ptr_eq(s, seat)) {
            starving.push(Arc::clone(seat));
        }
        drop(starving);
        // A release between the first look and the registration found nobody to wake: look again.
        let grant = self.try_grant(seat, wish, worth)?;
        self.give_up(seat);
        Some(grant)
    }

    /// The fetcher no longer waits for room: it was woken, perhaps by something else.
    pub(super) fn give_up(&self, seat: &Arc<Seat>) {
        let mut starving = self.starving.lock().unwrap_or_else(PoisonError::into_inner);
        starving.retain(|s| !Arc::ptr_eq(s, seat));
    }

    fn try_grant(&self, seat: &Seat, wish: usize, worth: usize) -> Option<usize> {
        let free = self.limit.saturating_sub(self.used());
        if free >= worth {
            return Some(wish.min(free).max(worth));
        }
        (seat.held.load(Ordering::Acquire) < worth).then_some(worth)
    }

    /// Counts `bytes` that arrived from this broker.
    pub(super) fn charge(self: &Arc<Self>, seat: &Arc<Seat>, bytes: usize) -> Arc<Lease> {
        self.lease(seat, bytes, 0)
    }

    /// Another lease on the account of the same broker, for bytes made from its data.
    pub(super) fn charge_like(lease: &Lease, bytes: usize) -> Arc<Lease> {
        lease.budget.lease(&lease.seat, bytes, bytes)
    }

    fn lease(self: &Arc<Self>, seat: &Arc<Seat>, bytes: usize, made: usize) -> Arc<Lease> {
        self.used.fetch_add(bytes, Ordering::AcqRel);
        self.made.fetch_add(made, Ordering::AcqRel);
        seat.held.fetch_add(bytes, Ordering::AcqRel);
        Arc::new(Lease { budget: Arc::clone(self), seat: Arc::clone(seat), bytes, made })
    }

    /// Whether a fetcher, or reading itself, waits for room.
    pub(super) fn is_starving(&self) -> bool {
        self.choked.load(Ordering::SeqCst)
            || !self.starving.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn take_starving(&self) -> Vec<Arc<Seat>> {
        std::mem::take(&mut *self.starving.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::task::{Context, Poll, Waker};

    fn was_woken(seat: &Seat) -> bool {
        let mut woken = std::pin::pin!(seat.wake.notified());
        woken.as_mut().poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    #[test]
    fn a_fetch_asks_for_what_is_free_and_never_less_than_one_partitions_worth() {
        let (budget, seat) = (Budget::new(100, &Arc::default()), Arc::new(Seat::default()));
        assert_eq!(budget.grant(&seat, 500, 10), Some(100));
        let lease = budget.charge(&seat, 85);
        assert_eq!(budget.grant(&seat, 500, 10), Some(15));
        assert_eq!(budget.grant(&seat, 5, 10), Some(10));
        drop(lease);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_is_held_of_one_broker_never_stops_another() {
        let budget = Budget::new(100, &Arc::default());
        let (one, other) = (Arc::new(Seat::default()), Arc::new(Seat::default()));
        let _held = budget.charge(&one, 120);
        assert_eq!(budget.grant(&one, 50, 10), None);
        assert_eq!(budget.grant(&other, 50, 10), Some(10));
    }

    #[test]
    fn a_drained_budget_wakes_the_starving_fetcher_at_once() {
        let (budget, seat) = (Budget::new(100, &Arc::default()), Arc::new(Seat::default()));
        let held = budget.charge(&seat, 95);
        assert_eq!(budget.grant(&seat, 50, 10), None);
        assert!(budget.is_starving() && !was_woken(&seat));
        drop(held);
        assert!(was_woken(&seat) && !budget.is_starving());
    }

    #[test]
    fn beyond_the_limit_a_batch_is_opened_only_when_nothing_that_was_opened_is_alive() {
        let (budget, seat) = (Budget::new(100, &Arc::default()), Arc::new(Seat::default()));
        let fetched = budget.charge(&seat, 30);
        assert!(fetched.may_open());
        let opened = Budget::charge_like(&fetched, 60);
        assert!(fetched.may_open(), "not yet beyond");
        let another = Budget::charge_like(&fetched, 200);
        assert!(!fetched.may_open() && budget.is_starving());
        drop(another);
        assert!(!budget.is_starving() && fetched.may_open(), "a release tells who waits");
        let large = budget.charge(&seat, 500);
        assert!(!fetched.may_open());
        drop(opened);
        assert!(fetched.may_open(), "nothing that was opened is alive: one more at a time");
        drop((large, fetched));
        assert_eq!((budget.used(), budget.made.load(Ordering::Relaxed)), (0, 0));
    }

    #[test]
    fn an_answer_is_read_when_its_last_part_is() {
        let seat = Arc::new(Seat::default());
        let part = Unread::new(&seat);
        let other_part = Arc::clone(&part);
        drop(part);
        assert_eq!(seat.unread(), 1);
        drop(other_part);
        assert!(seat.unread() == 0 && was_woken(&seat));
    }
}
