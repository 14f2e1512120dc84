//! One partition: its log, its leadership, and the fetches that wait at its end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

use super::log::Log;
use super::sequence::Producers;

/// The state of a partition; all of it changes under the one lock.
#[derive(Debug)]
pub(super) struct State {
    /// The leader's id, or −1.
    pub(super) leader: i32,
    pub(super) leader_epoch: i32,
    /// Brokers that may lead it, in order of preference.
    pub(super) replicas: Vec<i32>,
    pub(super) log: Log,
    pub(super) producers: Producers,
    /// Weak: a connection that ended is forgotten with its waiter.
    waiting: Vec<Weak<Notify>>,
}

/// A partition; shared by every broker of the cluster, because there is one copy of the log.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) index: i32,
    state: Mutex<State>,
}

impl Partition {
    pub(super) fn new(index: i32, replicas: Vec<i32>, leader: i32) -> Self {
        let mut state = State {
            leader,
            leader_epoch: 0,
            replicas,
            log: Log::default(),
            producers: Producers::default(),
            waiting: Vec::new(),
        };
        state.log.begin_epoch(0);
        Self { index, state: Mutex::new(state) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Asks to be notified once when the log grows or the leader changes. Register first, then
    /// look: a change between the two leaves its permit in the `Notify`.
    pub(super) fn register(&mut self, waiter: &Arc<Notify>) {
        if self.waiting.iter().any(|w| std::ptr::eq(w.as_ptr(), Arc::as_ptr(waiter))) {
            return;
        }
        // Where nothing is ever appended nothing is ever woken: those who left go here.
        if self.waiting.len() == self.waiting.capacity() {
            self.waiting.retain(|w| w.strong_count() > 0);
        }
        self.waiting.push(Arc::downgrade(waiter));
    }

    /// Wakes every waiting fetch; each registers anew if it goes on waiting.
    pub(super) fn wake(&mut self) {
        for waiter in self.waiting.drain(..).filter_map(|w| w.upgrade()) {
            waiter.notify_one();
        }
    }

    /// Hands leadership to a broker (−1: to none) with the next epoch.
    pub(super) fn move_leader(&mut self, to: i32) {
        self.leader = to;
        self.leader_epoch = self.leader_epoch.saturating_add(1);
        if to >= 0 {
            self.log.begin_epoch(self.leader_epoch);
        }
        self.wake();
    }

    /// Elects the first living replica when the leader is not alive. Real controllers do the same
    /// when a broker's session ends, and when the first replica of a dead partition comes back.
    pub(super) fn elect(&mut self, alive: &dyn Fn(i32) -> bool) {
        if self.leader >= 0 && alive(self.leader) {
            return;
        }
        let next = self.replicas.iter().copied().find(|&r| alive(r)).unwrap_or(-1);
        if next != self.leader {
            self.move_leader(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_election_takes_the_first_living_replica_and_the_next_epoch() {
        let partition = Partition::new(0, vec![2, 0, 1], 2);
        let mut state = partition.lock();
        state.elect(&|_| true);
        assert_eq!((state.leader, state.leader_epoch), (2, 0), "a living leader stays");
        state.elect(&|b| b != 2);
        assert_eq!((state.leader, state.leader_epoch), (0, 1));
        state.elect(&|_| false);
        assert_eq!((state.leader, state.leader_epoch), (-1, 2));
        state.elect(&|_| false);
        assert_eq!(state.leader_epoch, 2, "no election without a candidate");
        state.elect(&|b| b == 1);
        assert_eq!((state.leader, state.leader_epoch), (1, 3));
    }

    #[test]
    fn a_waiter_is_kept_once_and_woken_once() {
        let partition = Partition::new(0, vec![0], 0);
        let waiter = Arc::new(Notify::new());
        let mut state = partition.lock();
        state.register(&waiter);
        state.register(&waiter);
        assert_eq!(state.waiting.len(), 1);
        state.wake();
        assert!(state.waiting.is_empty());
    }

    #[test]
    fn waiters_that_left_do_not_pile_up() {
        let partition = Partition::new(0, vec![0], 0);
        let mut state = partition.lock();
        for _ in 0..10_000 {
            state.register(&Arc::new(Notify::new()));
        }
        assert!(state.waiting.capacity() < 100);
    }
}
