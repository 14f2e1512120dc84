//! Ends of a batch that no broker decides: its time is over, it is purged, withdrawn, or the producer
//! broke down.

use std::sync::Arc;
use std::time::Instant;

use super::batch::Batch;
use super::queue::{Flying, Queue, State};
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
        if state.earliest_deadline(delivery_timeout).is_some_and(|deadline| deadline <= now) {
            if matches!(&state.flying, Some(Flying::Live(batch)) if batch.deadline <= now) {
                let batch = state.settle_flying();
                self.end_expired(&state, batch, Persistence::PossiblyPersisted);
            }
            while state.sealed.front().is_some_and(|batch| batch.deadline <= now) {
                state.rest_until = None;
                let batch = state.sealed.pop_front();
                self.end_expired(&state, batch, Persistence::NotPersisted);
            }
            if state.open.as_ref().is_some_and(|open| open.opened + delivery_timeout <= now) {
                // It must have a place in the queue to have an outcome; its bytes are made for its delivery at most.
                self.drop_open(&mut state);
                let batch = state.sealed.pop_back();
                self.end_expired(&state, batch, Persistence::NotPersisted);
            }
            self.announce(&mut state);
        }
        let next = state.earliest_deadline(delivery_timeout);
        state.expiry_timed = next.is_some();
        next
    }

    fn end_expired(&self, state: &State, batch: Option<Batch>, persistence: Persistence) {
        if let Some(batch) = batch {
            let error = self.expired(state, &batch);
            self.fail(batch, error, persistence);
        }
    }

    /// Ends what `purge` names, with `error`; gives how many records that were.
    pub(crate) fn purge(self: &Arc<Self>, purge: Purge, error: &Error) -> u64 {
        let mut state = self.lock();
        let mut records = 0;
        if purge.in_flight {
            if let Some(batch) = state.settle_flying() {
                records += u64::from(batch.count);
                self.fail(batch, error.clone(), Persistence::PossiblyPersisted);
            }
        }
        if purge.queued {
            self.drop_open(&mut state);
            state.rest_until = None;
            for batch in std::mem::take(&mut state.sealed) {
                records += u64::from(batch.count);
                self.fail(batch, error.clone(), Persistence::NotPersisted);
            }
        }
        self.announce(&mut state);
        records
    }

    /// Closes the open batch without compressing it: whoever calls this ends it next. Only a delivery
    /// that keeps its records needs its bytes.
    fn drop_open(self: &Arc<Self>, state: &mut State) {
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
        if matches!(&state.flying, Some(Flying::Live(flying)) if flying.id == batch) {
            if let Some(batch) = state.settle_flying() {
                self.fail(batch, error(), Persistence::PossiblyPersisted);
            }
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
        self.fail(batch, error(), Persistence::NotPersisted);
        self.announce(&mut state);
        if sent { Withdrawn::Sent } else { Withdrawn::Unsent }
    }

    /// How many records have no outcome.
    pub(crate) fn undecided(&self) -> u64 {
        let state = self.lock();
        let open = state.open.as_ref().map_or(0, |open| u64::from(open.builder.count()));
        let flying = match &state.flying {
            Some(Flying::Live(batch)) => u64::from(batch.count),
            _ => 0,
        };
        open + flying + state.sealed.iter().map(|batch| u64::from(batch.count)).sum::<u64>()
    }
}

impl State {
    /// Takes the batch in flight, to be ended; its request still blocks the partition.
    fn settle_flying(&mut self) -> Option<Batch> {
        match self.flying.take() {
            Some(Flying::Live(batch)) => {
                self.flying = Some(Flying::Settled(batch.id));
                Some(batch)
            }
            other => {
                self.flying = other;
                None
            }
        }
    }
}
