//! Whether anybody serves a partition, and how much memory it may have if not.

use std::time::{Duration, Instant};

use super::batch::Batch;
use super::queue::{Appended, Arrival, Queue, State};
use crate::error::{Code, Error};

/// A broker that is connected and takes nothing for so long, or says no all the time, is as good as gone.
const SILENCE: Duration = Duration::from_secs(1);

impl Queue {
    /// Whether the partition has a leader that takes its records.
    pub(crate) fn is_served(&self) -> bool {
        let state = self.lock();
        state.leader.is_some() && !self.is_cut_off(&state)
    }

    /// Whether it may hold so many bytes more. A partition that holds nothing may always have its first
    /// batch: else nobody would try its broker again, and find it back.
    pub(crate) fn may_hold_more(&self, bytes: usize) -> bool {
        self.may_hold(&self.lock(), bytes)
    }

    pub(super) fn may_hold(&self, state: &State, bytes: usize) -> bool {
        let (budget, stranded) = (&self.ledger.budget, self.ledger.budget.stranded());
        // Then they cannot hold more than that either. Nearly always.
        if budget.used().saturating_add(bytes) <= stranded.limit() {
            return true;
        }
        self.look_at_share(state);
        !self.share.is_stranded()
            || self.share.held() == 0
            || stranded.held().saturating_add(bytes) <= stranded.limit()
    }

    /// Counts what the partition holds to what the stranded ones do, if it is one now.
    pub(super) fn look_at_share(&self, state: &State) {
        if self.is_cut_off(state) {
            self.ledger.budget.stranded().add(&self.share);
        } else {
            self.is_served_again();
        }
    }

    /// Its batches leave.
    #[inline]
    pub(super) fn is_served_again(&self) {
        if self.share.is_stranded() {
            self.ledger.budget.release_share(&self.share);
        }
    }

    fn is_cut_off(&self, state: &State) -> bool {
        match &state.leader {
            // Out of use: as soon as a record is there somebody looks for a leader.
            None => !state.parked,
            Some(leader) => {
                let mail = &leader.mail;
                mail.is_unreachable() || mail.is_stalled(SILENCE) || self.is_ignored(state)
            }
        }
    }

    /// Whether the oldest batch waits for long, and is refused or not answered.
    fn is_ignored(&self, state: &State) -> bool {
        let flying = state.flying.iter().find_map(|flying| flying.batch.as_ref());
        let oldest = |batch: &&Batch| batch.deadline;
        let Some(head) = flying.into_iter().chain(state.sealed.front()).min_by_key(oldest) else {
            return false;
        };
        let now = Instant::now();
        let ago = |since: Option<Instant>| since.map(|since| now.saturating_duration_since(since));
        let long = |age: Duration| age > SILENCE.saturating_add(self.config.linger);
        ago(head.deadline.checked_sub(self.ledger.delivery_timeout)).is_some_and(long)
            && (head.last_error.is_some() || ago(state.taken_at).is_none_or(long))
    }

    /// A batch lacks so much room. A record that need not stay here tries another partition first.
    #[cold]
    pub(super) fn lacks(&self, state: &mut State, arrival: &Arrival<'_>, bytes: usize) -> Appended {
        if arrival.sticky && !self.may_hold(state, bytes) {
            state.sticky_bytes = 0;
            return Appended::MoveOn;
        }
        Appended::NeedRoom(bytes)
    }

    /// Why its records do not leave, as far as that is known.
    pub(crate) fn why_unserved(&self) -> Option<Error> {
        let state = self.lock();
        match &state.leader {
            None => Some(Error::new(Code::LEADER_NOT_AVAILABLE, self.leaderless())),
            Some(_) => self.trouble(&state),
        }
    }

    /// What it holds now, in bytes.
    pub(crate) fn held(&self) -> usize {
        self.share.held()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::producer::accumulator::{Reserved, Seal, test_queue};
    use crate::producer::record::Record;

    const HALF: usize = 33_554_432 / 2;

    fn append(queue: &Arc<Queue>, sticky: bool) -> Appended {
        let record = Record::new(queue.topic(), &[7; 100]);
        let arrival = Arrival { record, timestamp: 1_000, sticky };
        queue.append(&arrival, &mut None, &mut Vec::new()).unwrap()
    }

    /// A queue with a record, and a buffer that is half full.
    fn half_full() -> (Arc<Queue>, Reserved) {
        let queue = test_queue(0);
        assert_eq!(append(&queue, false), Appended::Done);
        let others = queue.ledger.budget.reserve_anyway(HALF);
        (queue, others)
    }

    /// Closes the batch whose place is open, so that the next record needs another one.
    fn close(queue: &Arc<Queue>) {
        queue.flush().into_iter().for_each(Seal::run);
    }

    /// As if its records had come `ago`.
    fn age(queue: &Queue, ago: Duration) {
        let mut state = queue.lock();
        state.sealed.iter_mut().for_each(|batch| batch.deadline -= ago);
    }

    #[test]
    fn a_broker_that_takes_nothing_for_a_second_does_not_serve_its_partitions() {
        let (queue, _others) = half_full();
        close(&queue);
        assert!(queue.is_served() && queue.may_hold_more(HALF));
        age(&queue, Duration::from_secs(3));
        assert!(!queue.is_served() && !queue.may_hold_more(HALF));
        assert!(queue.may_hold_more(1_000), "it has its part");
        queue.lock().taken_at = Some(Instant::now());
        assert!(queue.is_served(), "it takes them, slowly");
        assert!(queue.may_hold_more(HALF));
        assert_eq!(queue.ledger.budget.stranded().held(), 0);
    }

    #[test]
    fn a_record_without_a_key_leaves_a_partition_whose_part_of_the_memory_is_used_up() {
        let (queue, _others) = half_full();
        close(&queue);
        age(&queue, Duration::from_secs(3));
        queue.share.add(HALF);
        assert_eq!(append(&queue, true), Appended::MoveOn);
        assert!(matches!(append(&queue, false), Appended::NeedRoom(_)));
    }

    #[test]
    fn a_partition_that_holds_nothing_has_its_first_batch_whatever_the_others_hold() {
        let (queue, _others) = half_full();
        close(&queue);
        age(&queue, Duration::from_secs(3));
        queue.share.add(HALF);
        assert!(!queue.may_hold_more(100));
        let held = queue.held();
        queue.share.sub(held);
        assert!(queue.may_hold_more(100));
        queue.share.add(held);
    }
}
