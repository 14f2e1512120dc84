//! Answers come back to the queue, which decides what becomes of each batch.

use std::sync::Arc;
use std::time::Instant;

use super::batch::Batch;
use super::queue::{Flying, Queue, State};
use super::queue_send::Flight;
use super::seal::Seal;
use crate::cluster::partition_broker;
use crate::error::{Code, Error, Persistence};
use crate::producer::identity::{Case, Stamp, Verdict, judge};
use crate::producer::outcome::{Outcome, RecordError};
use crate::producer::sender::Action;
use crate::protocol::record::Format;

/// What became of a flight.
#[derive(Debug)]
pub(crate) enum Answer {
    /// −1 in either: not known.
    Written { base_offset: i64, log_append_time: i64 },
    /// Nobody acknowledges (acks=0): the bytes left.
    Unacknowledged,
    Refused {
        action: Action,
        error: Error,
        records: Vec<RecordError>,
        /// Where the log begins, −1 for not told.
        log_start: i64,
    },
}

/// What the sender has to do after an answer.
#[derive(Debug, Default)]
pub(crate) struct Landed {
    /// Look up the leader again.
    pub(crate) refresh: bool,
    /// Work for the codec pool.
    pub(crate) seals: Vec<Seal>,
}

/// A refusal, with what the rules ask of it.
struct Refusal {
    action: Action,
    error: Error,
    records: Vec<RecordError>,
    log_start: i64,
}

impl Queue {
    /// The answer of a flight. A partition's answers are handled in the order of sending, whatever
    /// order they come in (invariant 5.4): one that is early waits here. One for a batch that has its
    /// outcome already changes nothing but the books (invariant 4.2).
    pub(crate) fn settle(
        self: &Arc<Self>,
        flight: &Flight,
        broker: &str,
        answer: Answer,
        now: Instant,
    ) -> Landed {
        let mut landed = Landed::default();
        let mut state = self.lock();
        match state.flying.iter().position(|flying| flying.id == flight.batch) {
            None => return landed,
            Some(0) => {
                if let Some(flying) = state.flying.pop_front() {
                    self.land(&mut state, flying, broker, answer, now, &mut landed);
                }
            }
            Some(early) => {
                if let Some(flying) = state.flying.get_mut(early) {
                    flying.answer = Some(Box::new((broker.to_owned(), answer)));
                }
                return landed;
            }
        }
        while state.flying.front().is_some_and(|first| first.answer.is_some()) {
            let Some(mut flying) = state.flying.pop_front() else { break };
            if let Some((broker, answer)) = flying.answer.take().map(|early| *early) {
                self.land(&mut state, flying, &broker, answer, now, &mut landed);
            }
        }
        if self.share.is_stranded() {
            self.look_at_share(&state);
        }
        self.release(&mut state);
        self.announce(&mut state);
        landed
    }

    fn land(
        self: &Arc<Self>,
        state: &mut State,
        flying: Flying,
        broker: &str,
        answer: Answer,
        now: Instant,
        landed: &mut Landed,
    ) {
        let by_leader = flying.sent_to == state.sent_to();
        let known = match &answer {
            Answer::Written { base_offset, .. } => Some(*base_offset),
            Answer::Refused { action: Action::Duplicate, .. } => Some(-1),
            _ => None,
        };
        if let (Some(stamp), Some(base_offset)) = (flying.stamp, known) {
            state.books.acknowledged(stamp, flying.count, base_offset, by_leader, now);
        }
        let Some(batch) = flying.batch else { return };
        let refusal = match answer {
            Answer::Written { base_offset, log_append_time } => {
                let outcome = Outcome::persisted(base_offset, log_append_time);
                return self.end(state, batch, outcome);
            }
            Answer::Unacknowledged => {
                return self.end(state, batch, Outcome::unacknowledged());
            }
            Answer::Refused { action, error, records, log_start } => {
                let error = self.name(error).with_broker(broker);
                Refusal { action, error, records, log_start }
            }
        };
        self.refused(state, batch, refusal, now, landed);
    }

    fn refused(
        self: &Arc<Self>,
        state: &mut State,
        mut batch: Batch,
        refusal: Refusal,
        now: Instant,
        landed: &mut Landed,
    ) {
        let Refusal { action, error, records, log_start } = refusal;
        match action {
            Action::Retry { refresh, maybe_written } => {
                batch.maybe_written |= maybe_written;
                landed.refresh |= refresh;
                self.retry(state, batch, error, now);
            }
            // Its boundaries are for life once it may be written (invariant 5.2).
            Action::Split if batch.stamp.is_some() && batch.maybe_written => {
                self.fail(state, batch, error, Persistence::NotPersisted);
            }
            Action::Split => landed.seals.extend(self.split(state, batch, error)),
            Action::Duplicate => self.end(state, batch, Outcome::persisted(-1, -1)),
            Action::Identity => match batch.stamp {
                Some(stamp) => self.judge(state, batch, stamp, error, log_start, now),
                None => self.fail(state, batch, error, Persistence::NotPersisted),
            },
            Action::Condemn => {
                state.leave(&batch);
                let status = batch.known(Persistence::NotPersisted);
                let outcome = Outcome::failed(error.with_persistence(status)).with_records(records);
                self.end(state, batch, outcome);
            }
            Action::Fail(persistence) => self.fail(state, batch, error, persistence),
        }
    }

    /// The broker objects to the batch's identity.
    fn judge(
        self: &Arc<Self>,
        state: &mut State,
        batch: Batch,
        stamp: Stamp,
        error: Error,
        log_start: i64,
        now: Instant,
    ) {
        let verdict = judge(&Case {
            code: error.code(),
            // Answers come in order, so that what is unresolved before it waits to be sent again.
            head_of_line: state.place_of(stamp) == 0,
            maybe_written: batch.maybe_written,
            log_start,
            last_offset: state.books.last_offset(),
            after_hole: state.books.has_hole_before(stamp),
            required: self.ledger.identity.is_required(),
        });
        match verdict {
            Verdict::Again => self.retry(state, batch, error, now),
            Verdict::Restart(renewal, why) => {
                state.books.renew(renewal, why);
                self.retry(state, batch, error, now);
            }
            Verdict::Fail(persistence) => self.fail(state, batch, error, persistence),
        }
    }

    /// Back to the front of the queue, in order (invariant 4.4), unless its time is over.
    fn retry(self: &Arc<Self>, state: &mut State, mut batch: Batch, error: Error, now: Instant) {
        if now >= batch.deadline {
            batch.last_error = Some(error);
            let error = self.expired(state, &batch);
            return self.fail(state, batch, error, Persistence::NotPersisted);
        }
        if !self.ledger.may_retry(batch.attempts) {
            return self.fail(state, batch, error, Persistence::NotPersisted);
        }
        let leader = state.leader.as_ref();
        let newer = leader.zip(batch.sent_to).is_some_and(|(leader, (broker, epoch))| {
            leader.epoch > epoch || (leader.epoch < 0 && leader.mail.broker() != broker)
        });
        // A connection that the peer ended while it was idle: nothing was written, no use in resting
        // (invariant 13.11). Nor is there for a batch that only changes its stamp.
        let stale =
            error.code() == Code::DISCONNECTED && error.persistence() == Persistence::NotPersisted;
        let at_once = batch.attempts == 1 && (stale || is_about_identity(error.code()));
        let rest = self.ledger.rest(batch.attempts);
        batch.last_error = Some(error);
        if state.put_back(batch) == 0 {
            // Only the head rests: what waits behind it comes when it is settled.
            state.rest_until = (!newer && !at_once).then(|| now + rest);
        }
    }

    /// Too large for the broker: back to the front, without bytes until it is cut (invariant 4.7; the
    /// attempt does not count).
    fn split(self: &Arc<Self>, state: &mut State, mut batch: Batch, error: Error) -> Option<Seal> {
        let body = batch.body.take()?;
        self.unlearn(state);
        batch.attempts -= 1;
        batch.last_error = Some(error);
        // The parts may take so much again, and half of it the next time: it ends with single records,
        // however unevenly the batch was compressed.
        batch.raw_size = (batch.raw_size / 2).max(1);
        let (id, max_size) = (batch.id, batch.raw_size);
        state.put_back(batch);
        let format = body.sealed.format().unwrap_or(Format::V2);
        Some(self.reencoding(id, &body, format, max_size))
    }

    /// Ends a batch with an error, in its turn; what earlier attempts may have done stays true. Call
    /// [`release`](Self::release) afterwards.
    pub(super) fn fail(
        &self,
        state: &mut State,
        batch: Batch,
        error: Error,
        persistence: Persistence,
    ) {
        state.leave(&batch);
        let status = batch.known(persistence);
        let outcome = self.failed(&error, status);
        self.end(state, batch, outcome);
    }

    pub(super) fn failed(&self, error: &Error, status: Persistence) -> Outcome {
        Outcome::failed(self.name(error.clone()).with_persistence(status))
    }

    /// Says which partition an error is about.
    pub(crate) fn name(&self, error: Error) -> Error {
        error.with_topic(&**self.topic.name()).with_partition(self.number())
    }

    /// The error of a batch whose delivery time is over: why it had to wait is in its causes.
    pub(super) fn expired(&self, state: &State, batch: &Batch) -> Error {
        let millis = self.ledger.delivery_timeout.as_millis();
        let why = match (&state.leader, state.awaits_id) {
            (None, _) => format!(": {}", self.leaderless()),
            (Some(_), true) => ": no broker gave the producer its id".to_owned(),
            (Some(_), false) => String::new(),
        };
        let sent = match batch.attempts {
            0 if batch.was_never_sent() => "and was never sent".to_owned(),
            0 => "since it was cut for being too large".to_owned(),
            attempts => format!("after {attempts} attempts"),
        };
        let error = Error::new(
            Code::TIMED_OUT,
            format!("no acknowledgement within delivery.timeout.ms={millis} {sent}{why}"),
        );
        match batch.last_error.clone().or_else(|| self.trouble(state)) {
            Some(cause) => error.caused_by(cause),
            None => error,
        }
    }

    /// What it means that there is no leader: on 0.7 a partition is a broker's own.
    pub(super) fn leaderless(&self) -> String {
        let broker = partition_broker(self.number());
        match self.seat {
            Some(_) if self.is_free() => {
                format!("its broker {broker} is gone, and no other partition is left")
            }
            Some(_) => format!("its broker {broker} is gone, and it belongs there"),
            None => "the partition has no leader".to_owned(),
        }
    }

    /// Why the partition's batches cannot leave, if something is wrong.
    pub(super) fn trouble(&self, state: &State) -> Option<Error> {
        let id = || self.ledger.identity.trouble().filter(|_| state.awaits_id);
        state.leader.as_ref().and_then(|leader| leader.mail.trouble().or_else(id))
    }
}

fn is_about_identity(code: Code) -> bool {
    matches!(
        code,
        Code::OUT_OF_ORDER_SEQUENCE_NUMBER
            | Code::UNKNOWN_PRODUCER_ID
            | Code::INVALID_PRODUCER_EPOCH
            | Code::UNSUPPORTED_FOR_MESSAGE_FORMAT
    )
}

impl State {
    /// Where a batch with this stamp belongs among those that wait: before the first one that was
    /// stamped later, or never.
    fn place_of(&self, stamp: Stamp) -> usize {
        let later = |waiting: &Batch| waiting.stamp.is_none_or(|other| stamp.is_before(other));
        self.sealed.iter().position(later).unwrap_or(self.sealed.len())
    }

    /// Puts a batch that was sent back into its place.
    fn put_back(&mut self, batch: Batch) -> usize {
        let place = batch.stamp.map_or(0, |stamp| self.place_of(stamp));
        self.sealed.insert(place, batch);
        place
    }

    /// A batch ends without being acknowledged: its numbers are lost to its era (invariant 5.12).
    fn leave(&mut self, batch: &Batch) {
        if let Some(stamp) = batch.stamp {
            self.books.left(stamp, batch.count);
        }
    }
}

impl Batch {
    /// What is known of it when its last attempt ended with `last`.
    fn known(&self, last: Persistence) -> Persistence {
        if self.maybe_written { Persistence::PossiblyPersisted } else { last }
    }
}
