//! What a poll gives back before it hands out: messages of partitions that moved while it decoded others.
//!
//! A poll decodes outside the lock, one partition after the other. Between two of them
//!
//! ```text
//!   poll:    takes t/0, decodes it, checks it in │ decodes t/1, without the lock │ hands out t/0 and t/1
//!   others:                                      │ lose t/0, and tell of it      │
//! ```
//!
//! the partition that is done with may be lost, sought, or assigned anew, or the consumer may leave its
//! group, all of which other threads learn of. A revocation is none of these: it is told when the thread
//! that polls has come back (`group/steps.rs`). So the last look is at the number of eras that ever began:
//! as long as none did, nothing moved.

use std::sync::Arc;

use super::batch::Run;
use super::decode::Filling;
use super::partition::Era;
use super::state::State;

impl State {
    /// Takes back what does not count any more since this era was the last. What the library moved by
    /// itself (a reset, a fetch that is repeated) is behind what was read, and takes nothing back.
    #[cold]
    pub(super) fn recall(&mut self, since: Era, filling: &mut Filling, ticket: Option<&Arc<()>>) {
        filling.keep(|run| self.still_counts(run, since, ticket));
    }

    fn still_counts(&mut self, run: &Run, since: Era, ticket: Option<&Arc<()>>) -> bool {
        let is_of = |p: &&mut super::partition::Partition| {
            p.assigned && p.number == run.partition && p.name == run.topic
        };
        let told = !self.group.is_subscribed();
        let Some(partition) = self.partitions.iter_mut().find(is_of) else { return false };
        if partition.placed > since {
            return false;
        }
        if !(partition.fenced && told) {
            return true;
        }
        // The consumer leaves: what was not handed out is nobody's yet, and is not committed.
        if let Some(first) = ticket.and_then(|ticket| partition.books.out.take_back(ticket)) {
            (partition.position, partition.position_epoch) = (first.offset, first.epoch);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::Batch;
    use super::super::decode::Read;
    use super::super::fixture::{batch, core, reader, state, waiting};
    use super::super::group::Place;
    use super::super::position::Start;
    use super::super::share::Share;
    use super::*;

    const FIRST: Place = Place { offset: 0, epoch: -1 };

    /// A poll that has read messages 0 to 3 of partition 0, and goes on to decode another one.
    struct Poll {
        state: State,
        filling: Filling,
        since: Era,
        ticket: Arc<()>,
    }

    fn poll() -> Poll {
        let (mut state, mut filling, ticket) = (state(2), Filling::new(10), Arc::new(()));
        let since = state.last_era();
        let mut share = Share::Batches(Box::new(reader(batch(0, 4), 0, true)));
        assert_eq!(share.read(&mut filling).expect("read"), Read::End);
        state.partitions[0].advance(4, 5);
        state.partitions[0].books.out.give(FIRST, &ticket);
        Poll { state, filling, since, ticket }
    }

    impl Poll {
        fn hands_out(mut self) -> (Batch, State) {
            assert!(self.state.last_era() > self.since, "seen by one comparison");
            self.state.recall(self.since, &mut self.filling, Some(&self.ticket));
            (self.filling.finish(), self.state)
        }
    }

    #[test]
    fn rule_8_7_a_poll_looks_again_at_what_it_read_before_it_decoded_the_last_partition() {
        let mut state = state(2);
        for number in 0..2 {
            let slot = state.slot(number);
            state.push(slot, waiting(number as i64, batch(0, 4)));
        }
        let core = core(state);
        let mut decoded = 0;
        let polled = core.try_poll_with(|share, filling| {
            decoded += 1;
            if decoded == 2 {
                // Another thread hears of it now.
                core.lock().remove(0);
            }
            share.read(filling)
        });
        let batch = polled.expect("something").expect("messages");
        assert_eq!(batch.runs().iter().map(|run| run.partition).collect::<Vec<_>>(), [1]);
        assert_eq!((decoded, batch.len()), (2, 4));
    }

    #[test]
    fn rule_8_7_what_was_lost_while_the_poll_decoded_is_not_handed_out() {
        let mut poll = poll();
        poll.state.remove(0);
        assert!(poll.hands_out().0.is_empty());
    }

    #[test]
    fn rule_7_4_what_was_sought_or_came_back_while_the_poll_decoded_is_not_handed_out() {
        let mut poll = poll();
        poll.state.restart(0, Start::Offset(0), -1);
        let (batch, state) = poll.hands_out();
        assert!(batch.is_empty());
        assert_eq!(state.partitions[0].position, 0);
    }

    #[test]
    fn rule_11_2_who_leaves_the_group_meanwhile_does_not_commit_what_was_not_handed_out() {
        let mut poll = poll();
        poll.state.group.on = true;
        poll.state.fence(0);
        let (batch, mut state) = poll.hands_out();
        assert!(batch.is_empty());
        assert_eq!(state.partitions[0].position, 0);
        assert_eq!(state.partitions[0].books.out.first(), None);
    }

    #[test]
    fn what_the_library_moved_by_itself_takes_nothing_back() {
        let mut poll = poll();
        poll.state.refetch(0);
        poll.state.restart(1, Start::Offset(9), -1);
        let (batch, _) = poll.hands_out();
        assert_eq!((batch.len(), batch.runs().len()), (4, 1));
    }

    #[test]
    fn what_is_kept_stays_in_its_runs() {
        let mut filling = Filling::new(10);
        for offset in [0, 4, 8] {
            let mut share = Share::Batches(Box::new(reader(batch(offset, 2), offset, true)));
            share.read(&mut filling).expect("read");
        }
        filling.keep(|run| run.next_offset != 6);
        let batch = filling.finish();
        let read: Vec<_> = batch.iter().map(|m| (m.offset(), m.run.next_offset)).collect();
        assert_eq!(read, [(0, 2), (1, 2), (8, 10), (9, 10)]);
        assert_eq!(batch.runs().iter().map(|run| run.first).collect::<Vec<_>>(), [0, 2]);
    }
}
