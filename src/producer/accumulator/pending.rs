//! How many batches have no outcome yet, counted by flush: a flush waits for what came before it,
//! and not for what others send meanwhile (invariant 4.11).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::runtime::Signal;

/// The number of a stretch between two flushes. A batch belongs to the one it was opened in.
pub(crate) type Stretch = u64;

#[derive(Debug)]
pub(crate) struct Pending {
    state: Mutex<State>,
    signal: Arc<Signal>,
}

#[derive(Debug)]
struct State {
    /// The stretch that `counts` begins with; all before it are settled.
    oldest: Stretch,
    /// Batches without outcome per stretch; the last is the one in force.
    counts: VecDeque<usize>,
}

impl State {
    fn current(&self) -> Stretch {
        self.oldest + self.counts.len() as u64 - 1
    }

    /// True if a stretch that somebody ended is settled now.
    fn forget_settled(&mut self) -> bool {
        let before = self.oldest;
        while self.counts.len() > 1 && self.counts.front() == Some(&0) {
            self.counts.pop_front();
            self.oldest += 1;
        }
        self.oldest > before
    }
}

impl Pending {
    pub(crate) fn new(signal: Arc<Signal>) -> Self {
        let state = State { oldest: 1, counts: VecDeque::from([0]) };
        Self { state: Mutex::new(state), signal }
    }

    /// A batch opens. Called under its queue's lock: a flush that begins later finds the batch there.
    pub(crate) fn open(&self) -> Stretch {
        let mut state = self.lock();
        if let Some(count) = state.counts.back_mut() {
            *count += 1;
        }
        state.current()
    }

    /// `more` batches came out of one of this stretch, which was split.
    pub(crate) fn split(&self, stretch: Stretch, more: usize) {
        let mut state = self.lock();
        let at = stretch.checked_sub(state.oldest).map_or(usize::MAX, |at| at as usize);
        if let Some(count) = state.counts.get_mut(at) {
            *count += more;
        }
    }

    /// A batch has its outcome.
    pub(crate) fn done(&self, stretch: Stretch) {
        let settled = {
            let mut state = self.lock();
            let at = stretch.checked_sub(state.oldest).map_or(usize::MAX, |at| at as usize);
            if let Some(count) = state.counts.get_mut(at) {
                *count = count.saturating_sub(1);
            }
            state.forget_settled()
        };
        // Only a flush or a close waits for it, and has ended a stretch. Without one a nudge would make
        // a poll that looks at the same time look again, and its descriptor readable once for nothing.
        if settled {
            self.signal.nudge();
        }
    }

    /// Ends the stretch in force and gives its number: wait until it [`is_settled`](Self::is_settled).
    pub(crate) fn cut(&self) -> Stretch {
        let mut state = self.lock();
        let ended = state.current();
        if state.counts.back() == Some(&0) {
            // Nothing was opened since the last flush: what is open is older. Flushes that are tried
            // again and again while a broker is away must not add up.
            return ended - 1;
        }
        state.counts.push_back(0);
        let _ = state.forget_settled();
        ended
    }

    /// Whether every batch of this stretch and of all before it has its outcome.
    pub(crate) fn is_settled(&self, stretch: Stretch) -> bool {
        self.lock().oldest > stretch
    }

    /// How many batches have no outcome.
    pub(crate) fn batches(&self) -> usize {
        self.lock().counts.iter().sum()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending() -> Pending {
        Pending::new(Arc::new(Signal::new()))
    }

    #[test]
    fn rule_4_11_a_flush_waits_for_what_came_before_it_only() {
        let pending = pending();
        let before = pending.open();
        let flush = pending.cut();
        let after = pending.open();
        assert!(!pending.is_settled(flush));
        pending.done(before);
        assert!(pending.is_settled(flush), "the batch opened after it does not count");
        assert_eq!(pending.batches(), 1);
        pending.done(after);
    }

    #[test]
    fn a_flush_with_nothing_to_wait_for_is_settled_at_once() {
        let pending = pending();
        let flush = pending.cut();
        assert!(pending.is_settled(flush));
    }

    #[test]
    fn flushes_that_find_nothing_new_do_not_add_up() {
        let pending = pending();
        let batch = pending.open();
        let flushes: Vec<_> = (0..1_000).map(|_| pending.cut()).collect();
        assert_eq!(pending.lock().counts.len(), 2);
        assert!(flushes.iter().all(|flush| !pending.is_settled(*flush)));
        let after = pending.open();
        pending.done(batch);
        assert!(flushes.iter().all(|flush| pending.is_settled(*flush)), "not the one after them");
        pending.done(after);
        assert_eq!(pending.batches(), 0);
    }

    #[test]
    fn flushes_settle_in_order_even_if_batches_do_not() {
        let pending = pending();
        let first = pending.open();
        let flush_one = pending.cut();
        let second = pending.open();
        let flush_two = pending.cut();
        pending.done(second);
        assert!(!pending.is_settled(flush_two), "the older batch is still on its way");
        pending.done(first);
        assert!(pending.is_settled(flush_one) && pending.is_settled(flush_two));
    }

    #[test]
    fn the_parts_of_a_split_batch_count_each() {
        let pending = pending();
        let stretch = pending.open();
        let flush = pending.cut();
        pending.split(stretch, 2);
        pending.done(stretch);
        pending.done(stretch);
        assert!(!pending.is_settled(flush));
        pending.done(stretch);
        assert!(pending.is_settled(flush));
    }
}
