//! Outcomes of a partition come in the order of its records (invariant 4.12), also when an answer overtakes:
//! the batch behind one that must be sent again was perhaps accepted already.

use super::batch::Batch;
use super::queue::{Queue, State};
use crate::producer::identity::Stamp;
use crate::producer::outcome::Outcome;

impl Queue {
    /// Gives an answered batch its outcome, or keeps it until those before it have theirs. A publish has
    /// one caller, who waits for nobody else's records.
    pub(super) fn end(&self, state: &mut State, batch: Batch, outcome: Outcome) {
        let open = |stamp| batch.publish.is_none() && state.is_open_before(stamp);
        if batch.stamp.is_some_and(open) {
            state.held.push((batch, outcome));
        } else {
            self.ledger.settle(self, batch, outcome);
        }
    }

    /// Tells the outcomes that waited for one that is told now.
    pub(super) fn release(&self, state: &mut State) {
        while let Some((first, _)) = state.held.first() {
            if first.stamp.is_some_and(|stamp| state.is_open_before(stamp)) {
                return;
            }
            let (batch, outcome) = state.held.remove(0);
            self.ledger.settle(self, batch, outcome);
        }
    }
}

impl State {
    /// Whether a batch that was stamped earlier has no outcome.
    fn is_open_before(&self, stamp: Stamp) -> bool {
        let flying = self.flying.iter().filter_map(|flying| flying.batch.as_ref());
        let mut open = flying.chain(&self.sealed).filter_map(|batch| batch.stamp);
        open.any(|earlier| earlier.is_before(stamp))
    }
}
