//! The bytes that a consumer may keep: fetched and waiting, or handed out and still held.
//!
//! Beyond the limit each broker may still fetch one partition's worth (principle 15), so that what
//! an application holds of one broker never stops another. A fetcher that finds no room registers
//! and sleeps; the release of any buffer wakes it at once.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::buffers::Buffers;
use crate::runtime::Signal;

/// The account of one consumer.
#[derive(Debug)]
pub(super) struct Budget {
    limit: usize,
    used: AtomicUsize,
    starving: Mutex<Vec<Arc<Seat>>>,
    decompressed: Arc<Buffers>,
    /// Bytes alive that were decompressed, which only readers make.
    unpacked: AtomicUsize,
    /// A reader found no room to decompress in: the next release wakes who waits for messages.
    blocked: AtomicBool,
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
    unpacked: bool,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.seat.held.fetch_sub(self.bytes, Ordering::AcqRel);
        self.budget.used.fetch_sub(self.bytes, Ordering::AcqRel);
        if self.unpacked {
            self.budget.unpacked.fetch_sub(self.bytes, Ordering::AcqRel);
        }
        if self.budget.blocked.swap(false, Ordering::AcqRel) {
            self.budget.signal.notify();
        }
        for seat in self.budget.take_starving() {
            seat.wake.notify_one();
        }
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
}

impl Drop for Unread {
    fn drop(&mut self) {
        self.0.unread.fetch_sub(1, Ordering::AcqRel);
        self.0.wake.notify_one();
    }
}

impl Budget {
    /// An account of `limit` bytes; `signal` is where readers wait for room.
    pub(super) fn new(limit: usize, signal: Arc<Signal>) -> Arc<Self> {
        // A sixteenth, as one answer: buffers that are not read do not count against the limit.
        let decompressed = Buffers::new(limit / 16);
        Arc::new(Self {
            limit,
            used: AtomicUsize::new(0),
            starving: Mutex::default(),
            decompressed,
            unpacked: AtomicUsize::new(0),
            blocked: AtomicBool::new(false),
            signal,
        })
    }

    /// Bytes alive now; may pass the limit by one partition's worth a broker.
    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }

    /// The limit.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// What one fetch may ask for when `brokers` are fetched from: a sixteenth of the limit, divided,
    /// and a little less for the envelope. Each broker has up to two answers alive (the one being
    /// read and the next) before the application holds any; small answers are still warm in the
    /// caches when they are read, and at the default limit (4 MiB an answer) a frame's buffer
    /// is allocated at once and not grown.
    pub(super) fn share(&self, brokers: usize) -> usize {
        let share = self.limit / (16 * brokers.max(1));
        share - share / 64
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

    /// Counts `bytes` that arrived from, or were decompressed for, this broker.
    pub(super) fn charge(self: &Arc<Self>, seat: &Arc<Seat>, bytes: usize) -> Arc<Lease> {
        self.charge_as(seat, bytes, false)
    }

    fn charge_as(self: &Arc<Self>, seat: &Arc<Seat>, bytes: usize, unpacked: bool) -> Arc<Lease> {
        self.used.fetch_add(bytes, Ordering::AcqRel);
        seat.held.fetch_add(bytes, Ordering::AcqRel);
        Arc::new(Lease { budget: Arc::clone(self), seat: Arc::clone(seat), bytes, unpacked })
    }

    /// Another lease on the account of the same broker, for bytes decompressed from its data.
    pub(super) fn charge_unpacked(lease: &Lease, bytes: usize) -> Arc<Lease> {
        lease.budget.unpacked.fetch_add(bytes, Ordering::AcqRel);
        lease.budget.charge_as(&lease.seat, bytes, true)
    }

    /// Whether another batch may be decompressed: what the application holds of those before is below
    /// the limit, or nothing at all. If not, who waits is woken at the next release.
    pub(super) fn admits(lease: &Lease) -> bool {
        let budget = &lease.budget;
        if budget.can_unpack() {
            return true;
        }
        budget.blocked.store(true, Ordering::Release);
        // A release between the first look and the mark woke nobody: look again.
        budget.can_unpack()
    }

    fn can_unpack(&self) -> bool {
        let held = self.unpacked.load(Ordering::Acquire);
        held == 0 || held < self.limit
    }

    /// Where what this lease pays for is decompressed.
    pub(super) fn buffers(lease: &Lease) -> &Arc<Buffers> {
        &lease.budget.decompressed
    }

    /// Whether a fetcher or a reader waits for room.
    pub(super) fn is_starving(&self) -> bool {
        if self.blocked.load(Ordering::Acquire) && !self.can_unpack() {
            return true;
        }
        !self.starving.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
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
        let (budget, seat) = (Budget::new(100, Arc::default()), Arc::new(Seat::default()));
        assert_eq!(budget.grant(&seat, 500, 10), Some(100));
        let lease = budget.charge(&seat, 85);
        assert_eq!(budget.grant(&seat, 500, 10), Some(15));
        assert_eq!(budget.grant(&seat, 5, 10), Some(10));
        drop(lease);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_is_held_of_one_broker_never_stops_another() {
        let budget = Budget::new(100, Arc::default());
        let (one, other) = (Arc::new(Seat::default()), Arc::new(Seat::default()));
        let _held = budget.charge(&one, 120);
        assert_eq!(budget.grant(&one, 50, 10), None);
        assert_eq!(budget.grant(&other, 50, 10), Some(10));
    }

    #[test]
    fn a_drained_budget_wakes_the_starving_fetcher_at_once() {
        let (budget, seat) = (Budget::new(100, Arc::default()), Arc::new(Seat::default()));
        let held = budget.charge(&seat, 95);
        assert_eq!(budget.grant(&seat, 50, 10), None);
        assert!(budget.is_starving() && !was_woken(&seat));
        drop(held);
        assert!(was_woken(&seat) && !budget.is_starving());
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
