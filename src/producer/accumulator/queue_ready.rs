//! Whether something of a partition can leave, and who is told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::batch::OpenBatch;
use super::duty::Duty;
use super::queue::{Queue, State};

pub(super) enum Readiness {
    Now,
    At(Instant),
    Never,
}

impl Queue {
    /// Tells the leader's sender if something can leave now, or when. Cheap when nothing changed.
    pub(super) fn announce(self: &Arc<Self>, state: &mut State) {
        drop(self.owe(state));
    }

    /// As [`announce`](Self::announce), but that something can leave now is the caller's to tell.
    pub(super) fn owe(self: &Arc<Self>, state: &mut State) -> Option<Duty> {
        if state.listed || !self.has_room(state) {
            return None; // the sender comes by itself; a flight that ends announces again
        }
        if state.awaits_id {
            if self.ledger.identity.is_awaited() {
                return None; // whoever brings the id comes here again
            }
            state.awaits_id = false;
        }
        let readiness = self.readiness(state);
        let Some(leader) = &state.leader else {
            let waits = state.open.is_some() || !state.sealed.is_empty();
            // On 0.7 what is bound to no partition has others to go to.
            if waits && (state.parked || self.is_free()) {
                state.parked = false;
                self.ledger.keeper.post(Arc::clone(self));
            }
            return None;
        };
        match readiness {
            Readiness::Now => {
                state.listed = true;
                return Some(Duty::new(Arc::clone(self), Arc::clone(&leader.mail)));
            }
            Readiness::At(at) if state.timed.is_none_or(|timed| timed > at) => {
                state.timed = Some(at);
                leader.mail.time(at, Arc::clone(self));
            }
            Readiness::At(_) | Readiness::Never => {}
        }
        None
    }

    pub(super) fn readiness(&self, state: &State) -> Readiness {
        if let Some(head) = state.sealed.front() {
            return match (&head.body, state.rest_until) {
                (None, _) => Readiness::Never, // whoever finishes it announces
                (Some(_), None) => Readiness::Now,
                (Some(_), Some(until)) => Readiness::At(until),
            };
        }
        match &state.open {
            None => Readiness::Never,
            Some(open) if self.leaves_now(open, state.flying.len()) => Readiness::Now,
            Some(open) => Readiness::At(open.opened + self.config.linger),
        }
    }

    /// Whether the open batch does not linger (any longer): invariant 4.10. Flush, close, publish and
    /// a full buffer close the batch instead of asking here. Without linger a record leaves at once,
    /// but behind two batches in flight a third one waits until it is worth a request: else a fast
    /// caller would fill the pipe with batches of one record.
    pub(super) fn leaves_now(&self, open: &OpenBatch, in_flight: usize) -> bool {
        let lingers = self.config.linger > Duration::ZERO;
        let worth_it = || in_flight < 2 || open.builder.size() >= self.config.batch_size / 4;
        open.due || (!lingers && worth_it()) || self.ledger.budget.is_exhausted()
    }
}
