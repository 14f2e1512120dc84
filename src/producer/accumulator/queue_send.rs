//! The queue's back side: the sender of the partition's leader takes batches out, and brings answers.

use std::sync::Arc;
use std::time::Instant;

use super::batch::{Batch, Body};
use super::queue::{Flying, Leader, Queue, State};
use super::seal::{Encoding, Seal, Work};
use crate::error::{Code, Error, Persistence, Result};
use crate::producer::identity::BATCHES_IN_FLIGHT;
use crate::producer::mail::Mail;
use crate::producer::outcome::{Outcome, RecordError};
use crate::producer::sender::Action;
use crate::protocol::record::Format;

const _: () = assert!(BATCHES_IN_FLIGHT == 1, "`State::flying` holds one");

/// What the sender's connection can carry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) format: Format,
    /// Bytes left in the request; none for its first batch, which goes whatever its size is
    /// (invariant 4.15).
    pub(crate) room: Option<usize>,
    pub(crate) now: Instant,
}

/// What the sender gets.
#[derive(Debug)]
pub(crate) enum Take {
    Flight(Flight),
    /// A batch that must be finished first.
    Seal(Seal),
    /// It does not fit into this request: keep the queue for the next.
    NoRoom,
    Nothing,
}

/// A batch on its way to a broker. The queue keeps the batch; this is what the request needs.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) queue: Arc<Queue>,
    pub(crate) batch: u64,
    /// It may be cut in two. A publish's batch may not: its one answer is for all of it.
    pub(crate) can_split: bool,
    pub(crate) body: Arc<Body>,
}

/// What became of a flight.
#[derive(Debug)]
pub(crate) enum Answer {
    /// −1 in either: not known.
    Written {
        base_offset: i64,
        log_append_time: i64,
    },
    /// Nobody acknowledges (acks=0): the bytes left.
    Unacknowledged,
    Refused {
        action: Action,
        error: Error,
        records: Vec<RecordError>,
    },
}

impl Queue {
    /// The queue's place in tables: topic index and partition.
    pub(crate) fn topic(&self) -> &Arc<crate::cluster::Topic> {
        &self.topic
    }

    pub(crate) fn partition(&self) -> i32 {
        self.partition
    }

    /// Moves the queue to a leader, or to none. Called by the keeper and by whoever makes the queue,
    /// one at a time per topic. Appends meanwhile wait for nobody but this lock (invariant 4.14). True
    /// if records wait here that have lost their leader.
    pub(crate) fn lead(self: &Arc<Self>, leader: Option<Leader>) -> bool {
        let mut state = self.lock();
        let moved = match (&state.leader, &leader) {
            (Some(old), Some(new)) => !Arc::ptr_eq(&old.mail, &new.mail),
            (None, None) => return false,
            _ => true,
        };
        if let (Some(leader), Some(head)) = (&leader, state.sealed.front()) {
            // A newer epoch than at the last attempt: no use in resting (invariant 4.5). Without
            // epochs another broker says the same.
            let newer = head.sent_to.is_some_and(|(broker, epoch)| {
                leader.epoch > epoch || (leader.mail.broker() != broker && leader.epoch < 0)
            });
            if newer {
                state.rest_until = None;
            }
        }
        state.leader = leader;
        if moved {
            // The old sender finds itself out of office when it comes (see `take`).
            state.listed = false;
            state.timed = None;
        }
        self.announce(&mut state);
        state.leader.is_none() && (state.open.is_some() || !state.sealed.is_empty())
    }

    /// A timer of `mail` for this queue fired, set for `at`.
    pub(crate) fn timer_fired(self: &Arc<Self>, mail: &Arc<Mail>, at: Instant, now: Instant) {
        let mut state = self.lock();
        if !state.is_led_by(mail) {
            return; // the new sender has timers of its own (invariant 4.14)
        }
        if state.timed == Some(at) {
            state.timed = None;
        }
        state.rest_until = state.rest_until.filter(|until| *until > now);
        let linger = self.config.linger;
        if let Some(open) = &mut state.open {
            open.due |= open.opened + linger <= now;
        }
        self.announce(&mut state);
    }

    /// Takes the next batch for a request of `mail`'s sender.
    pub(crate) fn take(self: &Arc<Self>, mail: &Arc<Mail>, wanted: &Wanted) -> Take {
        let mut state = self.lock();
        if !state.is_led_by(mail) {
            // The head may have been unfinished when the partition moved, and finished by the old
            // sender since, who told nobody: the new one hears of it here (invariant 4.14).
            self.announce(&mut state);
            return Take::Nothing;
        }
        state.listed = false;
        if state.flying.is_some() || state.rest_until.is_some_and(|until| until > wanted.now) {
            self.announce(&mut state);
            return Take::Nothing;
        }
        state.rest_until = None;
        if state.sealed.is_empty() {
            return self.take_open(&mut state);
        }
        let Some(body) = state.sealed.front().and_then(|head| head.body.clone()) else {
            return Take::Nothing; // whoever finishes it announces
        };
        if body.sealed.format != wanted.format {
            return self.reencode_head(&mut state, &body, wanted.format);
        }
        if wanted.room.is_some_and(|room| body.bytes().len() > room) {
            state.listed = true;
            return Take::NoRoom;
        }
        state.taken_at = Some(wanted.now);
        self.fly(&mut state, body)
    }

    fn take_open(self: &Arc<Self>, state: &mut State) -> Take {
        if !state.open.as_ref().is_some_and(|open| self.leaves_now(open)) {
            self.announce(state);
            return Take::Nothing;
        }
        self.close_open(state).map_or(Take::Nothing, Take::Seal)
    }

    fn fly(self: &Arc<Self>, state: &mut State, body: Arc<Body>) -> Take {
        let sent_to = state.leader.as_ref().map(|leader| (leader.mail.broker(), leader.epoch));
        let Some(mut batch) = state.sealed.pop_front() else { return Take::Nothing };
        batch.attempts += 1;
        batch.sent_to = sent_to;
        let (id, count) = (batch.id, batch.count);
        // The seat of idempotence: the first send gives the stamp, a retry keeps it (5.2). Bytes are
        // stamped in place, before any socket has seen them.
        let stamp = *batch.stamp.get_or_insert_with(|| state.identity.stamp(count));
        debug_assert!(!stamp.is_some(), "the body is to be stamped here");
        let can_split = count > 1 && batch.publish.is_none();
        state.flying = Some(Flying::Live(batch));
        Take::Flight(Flight { queue: Arc::clone(self), batch: id, can_split, body })
    }

    /// The leader takes another format than the batch has: decode and encode anew, off the I/O thread
    /// (invariant 3.16).
    fn reencode_head(
        self: &Arc<Self>,
        state: &mut State,
        body: &Arc<Body>,
        format: Format,
    ) -> Take {
        let Some(head) = state.sealed.front_mut() else { return Take::Nothing };
        head.body = None;
        let id = head.id;
        Take::Seal(self.reencoding(id, body, format, usize::MAX))
    }

    fn reencoding(
        self: &Arc<Self>,
        batch: u64,
        body: &Arc<Body>,
        format: Format,
        max_size: usize,
    ) -> Seal {
        let to = Encoding {
            format,
            compression: body.sealed.compression,
            level: self.config.compression_level,
            max_size,
        };
        let (body, budget) = (Arc::clone(body), Arc::clone(&self.ledger.budget));
        Seal::new(Arc::clone(self), batch, Work::Reencode { body, to, budget })
    }

    /// A batch's bytes are finished (or could not be made). `announce`: tell the sender.
    pub(super) fn sealed(
        self: &Arc<Self>,
        batch: u64,
        bodies: Result<Vec<Arc<Body>>>,
        announce: bool,
    ) {
        let mut state = self.lock();
        let Some(at) = state.sealed.iter().position(|queued| queued.id == batch) else {
            return self.ledger.bring_late(batch, bodies); // it expired or was purged meanwhile
        };
        match bodies {
            Ok(bodies) => self.place_bodies(&mut state, at, bodies),
            Err(error) => {
                if let Some(ended) = state.sealed.remove(at) {
                    let error = self.name_leader(&state, error);
                    self.fail(ended, error.clone(), Persistence::NotPersisted);
                    self.ledger.bring_late(batch, Err(error));
                }
            }
        }
        if announce {
            self.announce(&mut state);
        }
    }

    /// Gives a batch its bytes; several bodies make as many batches of it, in order, with its deadline
    /// (invariant 4.3) and its waiters.
    fn place_bodies(&self, state: &mut State, at: usize, bodies: Vec<Arc<Body>>) {
        let more = bodies.len().saturating_sub(1);
        if let (Some(batch), true) = (state.sealed.get(at), more > 0) {
            self.ledger.pending.split(batch.stretch, more);
        }
        for (at, body) in (at..).zip(bodies) {
            let Some(batch) = state.sealed.get_mut(at) else { return };
            let rest = batch.count.saturating_sub(body.sealed.count);
            let part = (rest > 0).then(|| batch.split_off(self.ledger.next_batch(), &body));
            batch.body = Some(body);
            if let Some(part) = part {
                state.sealed.insert(at + 1, part);
            }
        }
    }

    /// The answer of a flight. One for a batch that has its outcome already changes nothing but that
    /// the partition may go on (invariant 4.2). True if the leader is in doubt.
    pub(crate) fn settle(
        self: &Arc<Self>,
        flight: &Flight,
        broker: &str,
        answer: Answer,
        now: Instant,
    ) -> Landed {
        let mut state = self.lock();
        let batch = match state.flying.take() {
            Some(Flying::Live(batch)) if batch.id == flight.batch => batch,
            Some(Flying::Settled(id)) if id == flight.batch => {
                self.announce(&mut state);
                return Landed::default();
            }
            other => {
                state.flying = other;
                return Landed::default();
            }
        };
        let landed = self.land(&mut state, flight, batch, broker, answer, now);
        self.announce(&mut state);
        landed
    }

    fn land(
        self: &Arc<Self>,
        state: &mut State,
        flight: &Flight,
        mut batch: Batch,
        broker: &str,
        answer: Answer,
        now: Instant,
    ) -> Landed {
        let (action, error, records) = match answer {
            Answer::Written { base_offset, log_append_time } => {
                let outcome = Outcome::persisted(base_offset, log_append_time);
                self.ledger.settle(self, batch, outcome);
                return Landed::default();
            }
            Answer::Unacknowledged => {
                self.ledger.settle(self, batch, Outcome::unacknowledged());
                return Landed::default();
            }
            Answer::Refused { action, error, records } => (action, error, records),
        };
        let error = self.name(error).with_broker(broker);
        let mut landed = Landed::default();
        match action {
            Action::Retry { refresh, maybe_written } => {
                batch.maybe_written |= maybe_written;
                landed.refresh = refresh;
                self.retry(state, batch, error, now);
            }
            Action::Split => landed.seal = self.split(state, flight, batch, error),
            Action::Duplicate => self.ledger.settle(self, batch, Outcome::persisted(-1, -1)),
            Action::Condemn => {
                let status = batch.known(Persistence::NotPersisted);
                let outcome = Outcome::failed(error.with_persistence(status)).with_records(records);
                self.ledger.settle(self, batch, outcome);
            }
            Action::Fail(persistence) => self.fail(batch, error, persistence),
        }
        landed
    }

    /// Back to the front of the queue, in order (invariant 4.4), unless its time is over.
    fn retry(self: &Arc<Self>, state: &mut State, mut batch: Batch, error: Error, now: Instant) {
        if now >= batch.deadline {
            batch.last_error = Some(error);
            let error = self.expired(state, &batch);
            return self.fail(batch, error, Persistence::NotPersisted);
        }
        if !self.ledger.may_retry(batch.attempts) {
            return self.fail(batch, error, Persistence::NotPersisted);
        }
        let leader = state.leader.as_ref();
        let newer = leader.zip(batch.sent_to).is_some_and(|(leader, (broker, epoch))| {
            leader.epoch > epoch || (leader.epoch < 0 && leader.mail.broker() != broker)
        });
        // A connection that the peer ended while it was idle: nothing was written, no use in resting
        // (invariant 13.11).
        let stale = batch.attempts == 1
            && error.code() == Code::DISCONNECTED
            && error.persistence() == Persistence::NotPersisted;
        let rest = self.ledger.rest(batch.attempts);
        state.rest_until = (!newer && !stale).then(|| now + rest);
        batch.last_error = Some(error);
        state.sealed.push_front(batch);
    }

    /// Too large for the broker: back to the front, without bytes until it is cut (invariant 4.7; the
    /// attempt does not count).
    fn split(
        self: &Arc<Self>,
        state: &mut State,
        flight: &Flight,
        mut batch: Batch,
        error: Error,
    ) -> Option<Seal> {
        batch.attempts -= 1;
        batch.last_error = Some(error);
        batch.body = None;
        let (id, max_size) = (batch.id, (batch.raw_size / 2).max(1));
        state.sealed.push_front(batch);
        Some(self.reencoding(id, &flight.body, flight.body.sealed.format, max_size))
    }

    /// Ends a batch with an error; what earlier attempts may have done stays true.
    pub(super) fn fail(&self, batch: Batch, error: Error, persistence: Persistence) {
        let status = batch.known(persistence);
        let outcome = Outcome::failed(self.name(error).with_persistence(status));
        self.ledger.settle(self, batch, outcome);
    }

    /// Says which partition an error is about.
    pub(crate) fn name(&self, error: Error) -> Error {
        error.with_topic(&**self.topic.name()).with_partition(self.partition.into())
    }

    /// The error of a batch whose delivery time is over: why it had to wait is in its causes.
    pub(super) fn expired(&self, state: &State, batch: &Batch) -> Error {
        let millis = self.ledger.delivery_timeout.as_millis();
        let why = if state.leader.is_none() { ": the partition has no leader" } else { "" };
        let sent = match batch.attempts {
            0 => "and was never sent".to_owned(),
            attempts => format!("after {attempts} attempts"),
        };
        let error = Error::new(
            Code::TIMED_OUT,
            format!("no acknowledgement within delivery.timeout.ms={millis} {sent}{why}"),
        );
        let trouble = || state.leader.as_ref().and_then(|leader| leader.mail.trouble());
        match batch.last_error.clone().or_else(trouble) {
            Some(cause) => error.caused_by(cause),
            None => error,
        }
    }
}

/// What the sender has to do after an answer.
#[derive(Debug, Default)]
pub(crate) struct Landed {
    /// Look up the leader again.
    pub(crate) refresh: bool,
    /// Work for the codec pool.
    pub(crate) seal: Option<Seal>,
}

impl State {
    pub(super) fn is_led_by(&self, mail: &Arc<Mail>) -> bool {
        self.leader.as_ref().is_some_and(|leader| Arc::ptr_eq(&leader.mail, mail))
    }
}

impl Batch {
    /// What is known of it when its last attempt ended with `last`.
    fn known(&self, last: Persistence) -> Persistence {
        if self.maybe_written { Persistence::PossiblyPersisted } else { last }
    }

    /// Cuts off what `head` does not hold, as a batch of its own, still without bytes.
    fn split_off(&mut self, id: u64, head: &Body) -> Batch {
        let at = head.sealed.count.min(self.count);
        let part = Batch {
            id,
            count: self.count - at,
            raw_size: self.raw_size.saturating_sub(head.bytes().len()),
            tokens: self.tokens.split_off(at),
            body: None,
            last_error: self.last_error.clone(),
            stamp: None,
            publish: None,
            ..*self
        };
        self.count = at;
        self.raw_size = head.bytes().len().min(self.raw_size);
        part
    }
}
