//! Ends of a batch that no broker decides: its time is over, it is purged, withdrawn, or the producer
//! broke down.

use std::sync::Arc;
use std::time::Instant;

use super::batch::Batch;
use super::queue::{Queue, State};
use crate::error::{Code, Error, Persistence};

/// What `purge` ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Purge {
    /// Batches that are with no broker now.
    pub(crate) queued: bool,
    /// Batches whose answer is awaited.
    pub(crate) in_flight: bool,
}

/// What a publish finds that gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Withdrawn {
    /// It was never sent, and never will be.
    Unsent,
    /// It was sent: nobody knows.
    Sent,
    /// Its outcome was there first.
    TooLate,
}

impl Queue {
    /// Ends what is past its delivery time; gives the next deadline, none if the queue is empty: then
    /// the keeper forgets it until a batch opens.
    pub(crate) fn expire(self: &Arc<Self>, now: Instant) -> Option<Instant> {
        let mut state = self.lock();
        let delivery_timeout = self.ledger.delivery_timeout;
        if self.earliest_deadline(&state).is_some_and(|deadline| deadline <= now) {
            while let Some((batch, persistence)) = self.take_expired(&mut state, now) {
                let error = self.expired(&state, &batch);
                self.fail(&mut state, batch, error, persistence);
            }
            if state.open.as_ref().is_some_and(|open| open.opened + delivery_timeout <= now) {
                // It must have a place in the queue to have an outcome; its bytes are made for its delivery at most.
                self.drop_open(&mut state);
                if let Some(batch) = state.sealed.pop_back() {
                    let error = self.expired(&state, &batch);
                    self.fail(&mut state, batch, error, Persistence::NotPersisted);
                }
            }
            self.release(&mut state);
            self.announce(&mut state);
        }
        let next = self.earliest_deadline(&state);
        state.expiry_timed = next;
        next
    }

    /// The keeper's timer of `at` fired: as [`expire`](Self::expire), unless an earlier one took its place.
    pub(crate) fn timer_expired(self: &Arc<Self>, at: Instant, now: Instant) -> Option<Instant> {
        let is_current = self.lock().expiry_timed == Some(at);
        if is_current { self.expire(now) } else { None }
    }

    /// Ends what `purge` names, with `error`; gives how many records that were. Outcomes come in order, but
    /// those of records that were never sent do not wait for the ones in flight if these are not purged.
    pub(crate) fn purge(self: &Arc<Self>, purge: Purge, error: &Error) -> u64 {
        let mut state = self.lock();
        let mut ended = Vec::new();
        if purge.in_flight {
            let flying = state.flying.iter_mut().filter_map(|flying| flying.batch.take());
            ended.extend(flying.map(|batch| (batch, Persistence::PossiblyPersisted)));
        }
        if purge.queued {
            self.drop_open(&mut state);
            state.rest_until = None;
            let queued = std::mem::take(&mut state.sealed);
            ended.extend(queued.into_iter().map(|batch| (batch, Persistence::NotPersisted)));
        }
        // What came back for another try is older than what is in flight.
        ended.sort_by_key(|(batch, _)| batch.place);
        let mut records = 0;
        for (batch, persistence) in ended {
            records += u64::from(batch.count);
            if batch.was_never_sent() && !purge.in_flight {
                // Never sent: the application does without it, whatever becomes of those before it.
                self.ledger.settle(self, batch, self.failed(error, persistence));
            } else {
                self.fail(&mut state, batch, error.clone(), persistence);
            }
        }
        self.release(&mut state);
        self.announce(&mut state);
        records
    }

    /// Closes the open batch without compressing it: whoever calls this ends it next. Only a delivery
    /// that keeps its records needs its bytes.
    pub(super) fn drop_open(self: &Arc<Self>, state: &mut State) {
        let Some(seal) = self.close_open(state) else { return };
        let body = if self.ledger.keep { seal.finish_plain() } else { seal.forget() };
        if let Some(batch) = state.sealed.back_mut() {
            batch.body = body;
        }
    }

    /// A publish gives up: takes its batch back, or tells why not. The batch's own answer is dropped,
    /// the caller has given up on it.
    pub(crate) fn withdraw(self: &Arc<Self>, batch: u64) -> Withdrawn {
        let mut state = self.lock();
        let error = || Error::bare(Code::TIMED_OUT);
        let flying = state.flying.iter_mut().find(|flying| flying.id == batch);
        if let Some(batch) = flying.and_then(|flying| flying.batch.take()) {
            self.fail(&mut state, batch, error(), Persistence::PossiblyPersisted);
            self.release(&mut state);
            return Withdrawn::Sent;
        }
        let Some(at) = state.sealed.iter().position(|queued| queued.id == batch) else {
            return Withdrawn::TooLate;
        };
        let Some(batch) = state.sealed.remove(at) else { return Withdrawn::TooLate };
        if at == 0 {
            state.rest_until = None; // it was this batch's rest
        }
        let sent = batch.maybe_written;
        self.fail(&mut state, batch, error(), Persistence::NotPersisted);
        self.release(&mut state);
        self.announce(&mut state);
        if sent { Withdrawn::Sent } else { Withdrawn::Unsent }
    }

    /// How many records have no outcome.
    pub(crate) fn undecided(&self) -> u64 {
        let state = self.lock();
        let open = state.open.as_ref().map_or(0, |open| u64::from(open.builder.count()));
        let flying = state.flying.iter().filter_map(|flying| flying.batch.as_ref());
        let held = state.held.iter().map(|(batch, _)| batch);
        open + flying
            .chain(&state.sealed)
            .chain(held)
            .map(|batch| u64::from(batch.count))
            .sum::<u64>()
    }
    /// Takes out the oldest batch that was sent or closed and whose time is over, with what its last
    /// attempt may have done. The request of one in flight still blocks the partition.
    fn take_expired(&self, state: &mut State, now: Instant) -> Option<(Batch, Persistence)> {
        let is_over = |batch: &Batch| batch.deadline <= now;
        let oldest = self.oldest_sealed(state);
        let waiting = state.sealed.get(oldest).filter(|batch| is_over(batch)).map(|b| b.deadline);
        let mut flying = state.flying.iter_mut().map(|flying| &mut flying.batch);
        let flying =
            flying.find(|batch| batch.is_some()).filter(|b| b.as_ref().is_some_and(is_over));
        // What came back for another try is older than what is still with a broker.
        match flying {
            Some(slot)
                if slot.as_ref().map(|batch| batch.deadline) <= waiting || waiting.is_none() =>
            {
                Some((slot.take()?, Persistence::PossiblyPersisted))
            }
            _ => {
                waiting?;
                if oldest == 0 {
                    state.rest_until = None; // it was the head's
                }
                Some((state.sealed.remove(oldest)?, Persistence::NotPersisted))
            }
        }
    }

    /// Where the closed batch stands whose time ends first: at the front, but on Kafka 0.7, where batches
    /// come from other partitions.
    fn oldest_sealed(&self, state: &State) -> usize {
        if self.seat.is_none() {
            return 0;
        }
        let sealed = state.sealed.iter().enumerate();
        sealed.min_by_key(|(_, batch)| batch.deadline).map_or(0, |(at, _)| at)
    }
}
