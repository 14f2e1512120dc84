//! Outcomes of a partition come in the order of its records (invariant 4.12), also when one is known
//! early: the batch behind one that must be sent again was perhaps accepted already, or is purged while
//! that one waits.

use super::batch::Batch;
use super::queue::{Queue, State};
use crate::producer::outcome::Outcome;

impl Queue {
    /// Gives a batch its outcome, or keeps it until those before it have theirs. A publish has one caller,
    /// who waits for nobody else's records; on Kafka 0.7 batches come from other partitions, and there is
    /// no such order.
    pub(super) fn end(&self, state: &mut State, batch: Batch, outcome: Outcome) {
        let waits = batch.publish.is_none() && self.seat.is_none();
        if waits && state.is_open_before(batch.place) {
            let at = state.held.partition_point(|(held, _)| held.place < batch.place);
            state.held.insert(at, (batch, outcome));
        } else {
            self.ledger.settle(self, batch, outcome);
        }
    }

    /// Tells the outcomes that waited for one that is told now.
    pub(super) fn release(&self, state: &mut State) {
        while let Some((first, _)) = state.held.first() {
            if state.is_undecided_before(first.place) {
                return;
            }
            let (batch, outcome) = state.held.remove(0);
            self.ledger.settle(self, batch, outcome);
        }
    }
}

impl State {
    /// Whether an earlier batch was not told yet.
    fn is_open_before(&self, place: u64) -> bool {
        self.is_undecided_before(place)
            || self.held.first().is_some_and(|(held, _)| held.place < place)
    }

    /// Whether an earlier batch has no outcome. Those that wait are in order.
    fn is_undecided_before(&self, place: u64) -> bool {
        let flying = self.flying.iter().filter_map(|flying| flying.batch.as_ref());
        flying.chain(self.sealed.front()).any(|earlier| earlier.place < place)
    }
}
