//! `buffer.memory`: what all batches and unread deliveries of a producer may take.
//!
//! Batches reserve as they grow and give back as a whole, so that there is no arithmetic per record
//! and a waiter gets room for a batch, not for a record (invariant 4.13).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};

use super::share::{Share, Stranded};
use super::spares::Spares;
use crate::runtime::Signal;

#[derive(Debug)]
pub(crate) struct Budget {
    total: usize,
    /// Buffers between two batches. Together with `used` they stay within the bound.
    spares: Spares,
    used: AtomicUsize,
    /// The part of `used` that only the application can free: deliveries it has not read, and records
    /// that deliveries still hold.
    unread: AtomicUsize,
    /// Who waits, first come first served; the numbers are only names.
    line: Mutex<Line>,
    /// The length of the line, to be looked at without its lock.
    waiting: AtomicUsize,
    /// Somebody was sent away (`WOULD_BLOCK`) and wants to be told of room, once.
    wished: AtomicBool,
    /// What partitions that nobody serves hold of it.
    stranded: Stranded,
    signal: Arc<Signal>,
}

#[derive(Debug, Default)]
struct Line {
    next: u64,
    turns: VecDeque<u64>,
}

impl Budget {
    pub(crate) fn new(total: usize, signal: Arc<Signal>) -> Arc<Self> {
        Arc::new(Self {
            total,
            spares: Spares::default(),
            used: AtomicUsize::new(0),
            unread: AtomicUsize::new(0),
            line: Mutex::default(),
            waiting: AtomicUsize::new(0),
            wished: AtomicBool::new(false),
            stranded: Stranded::new(total),
            signal,
        })
    }

    /// The bound, in bytes.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// What is reserved now, in bytes.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// How much of it waits for the application to read deliveries.
    pub(crate) fn unread(&self) -> usize {
        self.unread.load(Ordering::Relaxed)
    }

    /// Whether somebody waits, or was sent away, for want of room: batches then do not linger
    /// (invariant 4.10).
    #[inline]
    pub(crate) fn is_exhausted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0 || self.wished.load(Ordering::Relaxed)
    }

    /// Reserves without waiting; none if there is no room or others were there first.
    pub(crate) fn try_reserve(self: &Arc<Self>, bytes: usize) -> Option<Reserved> {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            return None;
        }
        self.take(bytes)
    }

    /// Reserves whatever the bound says, for what cannot be refused any more (the entries of
    /// deliveries): it delays the next record instead.
    pub(crate) fn reserve_anyway(self: &Arc<Self>, bytes: usize) -> Reserved {
        self.used.fetch_add(bytes, Ordering::SeqCst);
        Reserved { budget: Arc::clone(self), bytes, unread: false, share: None }
    }

    /// A used buffer of at least `least` bytes, to be reserved for before it is filled.
    pub(super) fn spare(&self, least: usize) -> Option<BytesMut> {
        self.spares.take(least)
    }

    /// Keeps a buffer that is not needed now, if there is room beside what is reserved.
    pub(super) fn keep_spare(&self, buffer: BytesMut) {
        self.spares.put(buffer, self.total.saturating_sub(self.used()));
    }

    /// Whether waiting for brokers cannot help: even with every batch gone the unread deliveries
    /// leave no room for so many bytes.
    pub(crate) fn only_reading_helps(&self, bytes: usize) -> bool {
        self.unread().saturating_add(bytes) > self.total
    }

    /// Joins the line. The turn is given back when it is dropped, wherever it stands.
    pub(crate) fn enter_line(self: &Arc<Self>) -> Turn {
        let mut line = self.lock();
        let number = line.next;
        line.next += 1;
        line.turns.push_back(number);
        self.waiting.store(line.turns.len(), Ordering::SeqCst);
        Turn { budget: Arc::clone(self), number }
    }

    /// Asks to be told of room, once. Call [`try_reserve`](Self::try_reserve) again afterwards: room
    /// may have come in between.
    pub(crate) fn wish(&self) {
        self.wished.store(true, Ordering::SeqCst);
    }

    /// Tells whoever was sent away to try again; also for another reason than memory.
    pub(crate) fn grant_wish(&self) {
        if self.wished.load(Ordering::SeqCst) && self.wished.swap(false, Ordering::SeqCst) {
            self.signal.notify();
        }
    }

    /// The partitions that nobody serves.
    pub(crate) fn stranded(&self) -> &Stranded {
        &self.stranded
    }

    /// A partition is served again.
    #[cold]
    pub(super) fn release_share(&self, share: &Arc<Share>) {
        if self.stranded.remove(share) {
            self.look_aside();
        }
    }

    /// Those who wait for stranded partitions look again.
    pub(crate) fn look_aside(&self) {
        if self.stranded.has_waiters() {
            self.signal.nudge();
        }
        if self.stranded.take_wish() {
            self.signal.notify();
        }
    }

    fn take(self: &Arc<Self>, bytes: usize) -> Option<Reserved> {
        let mut used = self.used.load(Ordering::SeqCst);
        loop {
            let wanted = used.checked_add(bytes).filter(|wanted| *wanted <= self.total)?;
            match self.used.compare_exchange_weak(used, wanted, Ordering::SeqCst, Ordering::SeqCst)
            {
                Ok(_) => {
                    self.spares.shrink_to(self.total - wanted);
                    let budget = Arc::clone(self);
                    return Some(Reserved { budget, bytes, unread: false, share: None });
                }
                Err(now) => used = now,
            }
        }
    }

    fn release(&self, bytes: usize, unread: bool) {
        if bytes == 0 {
            return;
        }
        if unread {
            self.unread.fetch_sub(bytes, Ordering::SeqCst);
        }
        // The order matters: a waiter stands in line before it looks at `used`, and here `used`
        // changes before the line is looked at. One of the two sees the other.
        if self.used.fetch_sub(bytes, Ordering::SeqCst) == bytes {
            self.spares.rest();
        }
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.signal.nudge();
        }
        self.grant_wish();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the line for room.
#[derive(Debug)]
pub(crate) struct Turn {
    budget: Arc<Budget>,
    number: u64,
}

impl Turn {
    /// Reserves if this is the first in line and there is room.
    pub(crate) fn try_reserve(&self, bytes: usize) -> Option<Reserved> {
        let first = self.budget.lock().turns.front() == Some(&self.number);
        if first { self.budget.take(bytes) } else { None }
    }
}

impl Drop for Turn {
    /// Whoever leaves, served or not, makes the next one first: it must look again (invariant 4.13).
    fn drop(&mut self) {
        let others = {
            let mut line = self.budget.lock();
            let number = self.number;
            line.turns.retain(|turn| *turn != number);
            self.budget.waiting.store(line.turns.len(), Ordering::SeqCst);
            line.turns.len()
        };
        if others > 0 {
            self.budget.signal.nudge();
        }
    }
}

/// Bytes of the budget; given back when dropped.
#[derive(Debug)]
pub(crate) struct Reserved {
    budget: Arc<Budget>,
    bytes: usize,
    unread: bool,
    /// The partition whose batch it is for, until that has its outcome.
    share: Option<Arc<Share>>,
}

impl Reserved {
    /// How many.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whose bytes they are.
    pub(crate) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Counts it to what a partition holds.
    pub(super) fn hold_for(mut self, share: &Arc<Share>) -> Self {
        self.let_go_of_share(self.bytes);
        share.add(self.bytes);
        self.share = Some(Arc::clone(share));
        self
    }

    fn let_go_of_share(&self, bytes: usize) {
        if self.share.as_ref().is_some_and(|share| share.sub(bytes)) {
            self.budget.look_aside();
        }
    }

    /// Takes over what `other`, of the same partition, holds.
    pub(crate) fn merge(&mut self, mut other: Reserved) {
        debug_assert!(!self.unread && !other.unread);
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Takes so many more, whatever the bound says.
    pub(crate) fn grow_anyway(&mut self, bytes: usize) {
        self.budget.used.fetch_add(bytes, Ordering::SeqCst);
        if self.unread {
            self.budget.unread.fetch_add(bytes, Ordering::SeqCst);
        }
        if let Some(share) = &self.share {
            share.add(bytes);
        }
        self.bytes += bytes;
    }

    /// Gives back what is above `bytes`.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let surplus = self.bytes.saturating_sub(bytes);
        self.bytes -= surplus;
        self.budget.release(surplus, self.unread);
        self.let_go_of_share(surplus);
    }

    /// Gives everything back, and the memory it stood for to batches that come.
    pub(crate) fn recycle(&mut self, bytes: Bytes) {
        let others = self.budget.used().saturating_sub(self.bytes);
        self.budget.spares.put_bytes(bytes, self.budget.total.saturating_sub(others));
        self.shrink_to(0);
    }

    /// From now on only the application can free it.
    pub(crate) fn mark_unread(&mut self) {
        if !std::mem::replace(&mut self.unread, true) {
            self.budget.unread.fetch_add(self.bytes, Ordering::SeqCst);
            self.let_go_of_share(self.bytes);
            self.share = None;
            // Who stands in line learns that only reading helps now: nothing is released by this.
            if self.budget.waiting.load(Ordering::SeqCst) > 0 {
                self.budget.signal.nudge();
            }
        }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(total: usize) -> Arc<Budget> {
        Budget::new(total, Arc::new(Signal::new()))
    }

    #[test]
    fn room_is_bounded_and_comes_back_when_a_batch_is_gone() {
        let budget = budget(100);
        let mut first = budget.try_reserve(60).unwrap();
        assert!(budget.try_reserve(41).is_none());
        first.merge(budget.try_reserve(40).unwrap());
        assert_eq!((first.bytes(), budget.used()), (100, 100));
        first.shrink_to(30);
        assert_eq!(budget.used(), 30);
        drop(first);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn rule_4_13_waiters_are_served_in_order_and_one_that_gives_up_passes_its_turn_on() {
        let budget = budget(100);
        let held = budget.try_reserve(100).unwrap();
        let (first, second) = (budget.enter_line(), budget.enter_line());
        drop(held);
        assert!(budget.try_reserve(1).is_none(), "nobody overtakes the line");
        assert!(second.try_reserve(1).is_none(), "nor within it");
        drop(first);
        assert!(second.try_reserve(100).is_some());
        drop(second);
        assert!(budget.try_reserve(100).is_some());
    }

    #[test]
    fn rule_4_13_a_waiter_that_leaves_wakes_the_next_one() {
        let signal = Arc::new(Signal::new());
        let budget = Budget::new(10, Arc::clone(&signal));
        let (first, second) = (budget.enter_line(), budget.enter_line());
        let waiter = std::thread::spawn(move || {
            let soon = std::time::Instant::now() + std::time::Duration::from_secs(20);
            signal.wait(Some(soon), || second.try_reserve(5)).is_ok()
        });
        drop(first);
        assert!(waiter.join().unwrap());
    }

    #[test]
    fn spare_buffers_give_way_to_batches_and_go_when_all_is_quiet() {
        let budget = budget(1_000_000);
        let held = budget.try_reserve(100_000).unwrap();
        for _ in 0..9 {
            budget.keep_spare(BytesMut::with_capacity(100_000));
        }
        assert_eq!(budget.spares.bytes(), 900_000);
        budget.keep_spare(BytesMut::with_capacity(100_000));
        assert_eq!(budget.spares.bytes(), 900_000, "beside what is reserved there is no more room");
        let more = budget.try_reserve(450_000).unwrap();
        assert!(budget.spares.bytes() <= 450_000, "memory is for batches first");
        drop(more);
        drop(held);
        assert!(budget.spares.bytes() <= 300_000, "an idle producer holds little");
    }

    #[test]
    fn unread_deliveries_are_told_apart_from_batches() {
        let budget = budget(100);
        let mut delivery = budget.reserve_anyway(80);
        assert!(!budget.only_reading_helps(30), "brokers may still free it");
        delivery.mark_unread();
        assert!(budget.only_reading_helps(30) && !budget.only_reading_helps(20));
        drop(delivery);
        assert_eq!((budget.used(), budget.unread()), (0, 0));
    }

    #[test]
    fn room_again_is_told_once_after_a_wish() {
        let signal = Arc::new(Signal::new());
        let budget = Budget::new(10, Arc::clone(&signal));
        let held = budget.try_reserve(10).unwrap();
        budget.wish();
        assert!(budget.is_exhausted());
        drop(held);
        assert!(!budget.is_exhausted(), "told, and forgotten");
    }
}
