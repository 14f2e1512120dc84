//! The queue's back side: the sender of the partition's leader takes batches out. What becomes of them
//! is in [`queue_answer`](super::queue_answer).

use std::sync::Arc;
use std::time::Instant;

use super::batch::{Batch, Body};
use super::duty::Duty;
use super::queue::{Flying, Leader, Queue, State};
use super::queue_ready::Readiness;
use super::seal::{Encoding, Seal, Work};
use crate::error::{Code, Error, Persistence, Result};
use crate::log::Level;
use crate::producer::identity::{GIVES_WAY, Stamp, Standing, Why};
use crate::producer::mail::Mail;
use crate::protocol::record::Format;

/// What the sender's connection can carry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) format: Format,
    /// Bytes left in the request; none for its first batch, which goes whatever its size is
    /// (invariant 4.15).
    pub(crate) room: Option<usize>,
    /// How many batches of a partition with identity may be in flight (invariant 5.3).
    pub(crate) window: usize,
    pub(crate) now: Instant,
    /// What is taken at the same `now` goes into one request, which takes one batch of a partition: a
    /// broker would lose sight of a second.
    pub(crate) once: bool,
}

/// What the sender gets.
#[derive(Debug)]
pub(crate) enum Take {
    Flight(Flight),
    /// A batch that must be finished first.
    Seal(Seal),
    /// It does not fit into this request: keep the queue for the next.
    NoRoom,
    /// The queue came twice, and this request has a batch of it: keep it for the next.
    Again,
    Nothing,
}

/// A batch on its way to a broker. The queue keeps the batch; this is what the request needs.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) queue: Arc<Queue>,
    /// The topic's index and the partition, here as well: a request has a thousand flights, and their
    /// queues are in no near cache when its answer is looked at.
    pub(crate) place: (usize, i32),
    pub(crate) batch: u64,
    /// It may be cut in two. A publish's batch may not: its one answer is for all of it.
    pub(crate) can_split: bool,
    /// The partition has another batch for the next request: keep its queue.
    pub(crate) more: bool,
    pub(crate) body: Arc<Body>,
}

/// Whether a batch goes out with an identity.
enum Identified {
    With,
    Without,
    /// It waits for the producer's id.
    Later,
    Never(Error),
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
        let is_new = moved || leader.as_ref().map(|new| new.epoch) != state.epoch();
        state.leader = leader;
        if is_new {
            state.books.new_leader();
        }
        if moved {
            // The old sender finds itself out of office when it comes (see `take`).
            state.listed = false;
            state.timed = None;
            // The new one may be too old for identities, and then nobody waits for one.
            state.awaits_id = false;
        }
        if state.leader.is_some() {
            state.parked = false;
            // Asked for while the first batch gathers.
            self.ledger.identity.prepare();
        }
        self.look_at_share(&state);
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

    /// Whether something waits here for `mail`'s sender, which has the queue in its list and cannot
    /// reach its broker; if not it drops the queue, and is told of the next batch anew.
    pub(crate) fn needs(self: &Arc<Self>, mail: &Arc<Mail>) -> bool {
        let mut state = self.lock();
        if !state.is_led_by(mail) {
            self.announce(&mut state); // as in `take`
            return false;
        }
        self.look_at_share(&state);
        state.listed = state.open.is_some() || !state.sealed.is_empty();
        state.listed
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
        state.window = wanted.window;
        self.look_at_topic(&mut state);
        if !self.has_room(&state) || state.rest_until.is_some_and(|until| until > wanted.now) {
            self.announce(&mut state);
            return Take::Nothing;
        }
        state.rest_until = None;
        let in_flight = state.flying.len();
        let leaves = |open| self.leaves_now(open, in_flight);
        if state.sealed.is_empty() && !state.open.as_ref().is_some_and(leaves) {
            self.announce(&mut state);
            return Take::Nothing;
        }
        let with_identity = match self.identify(&mut state, wanted) {
            Identified::With => true,
            // The id was lost while stamped batches were on their way: what has none goes alone (4.4).
            // Their answers announce.
            Identified::Without if !state.flying.is_empty() => return Take::Nothing,
            Identified::Without => false,
            Identified::Later => {
                state.awaits_id = true;
                return Take::Nothing; // whoever brings the id announces
            }
            Identified::Never(error) => {
                self.refuse_waiting(&mut state, &error);
                return Take::Nothing;
            }
        };
        if state.sealed.is_empty() {
            return self.close_open(&mut state).map_or(Take::Nothing, Take::Seal);
        }
        let Some(body) = state.sealed.front().and_then(|head| head.body.clone()) else {
            return Take::Nothing; // whoever finishes it announces
        };
        if body.sealed.format().is_some_and(|format| format != wanted.format) {
            return self.reencode_head(&mut state, &body, wanted.format);
        }
        if wanted.room.is_some_and(|room| body.bytes().len() > room) {
            state.listed = true;
            return Take::NoRoom;
        }
        drop(body);
        if wanted.once && state.taken_at == Some(wanted.now) {
            state.listed = true;
            return Take::Again;
        }
        state.taken_at = Some(wanted.now);
        self.fly(&mut state, with_identity)
    }

    /// Whether a batch may leave beside those that are in flight (invariants 4.4, 5.3, 5.5, 5.12).
    pub(super) fn has_room(&self, state: &State) -> bool {
        state.flying.is_empty()
            || (state.flying.len() < state.window
                && state.books.is_steady()
                && state.sealed.front().is_none_or(|head| head.stamp.is_none())
                && state.flying.iter().all(|flying| {
                    !flying.is_retry && flying.batch.is_some() && flying.stamp.is_some()
                }))
    }

    /// A topic that was made anew is another log (invariant 4.19). One that is unknown for a while
    /// keeps its id here, and with it the books (invariant 1.6).
    fn look_at_topic(&self, state: &mut State) {
        let version = self.topic.version();
        if state.topic_version.replace(version) == Some(version) {
            return;
        }
        let id = self.topic.metadata().map_or([0; 16], |metadata| metadata.id);
        if id == [0; 16] || id == state.topic_id {
            return;
        }
        if std::mem::replace(&mut state.topic_id, id) != [0; 16] {
            state.books.new_log();
        }
    }

    fn identify(&self, state: &mut State, wanted: &Wanted) -> Identified {
        let identity = &self.ledger.identity;
        if state.books.is_without() || identity.is_off() || self.seat.is_some() {
            return Identified::Without;
        }
        if wanted.format != Format::V2 {
            let text = format!("the partition's leader takes record format {}", wanted.format);
            let error = self.name_leader(state, Error::new(Code::UNSUPPORTED_FEATURE, text));
            if identity.is_required() {
                return Identified::Never(identity.refusal(error));
            }
            identity.say_once(&error);
            return Identified::Without;
        }
        if state.flying.is_empty() {
            self.settle_books(state, wanted.now);
        }
        if state.books.is_without() {
            return Identified::Without;
        }
        if state.books.era().is_some() {
            return Identified::With;
        }
        match identity.get(state.books.spent()) {
            Standing::Off => Identified::Without,
            Standing::Refused(error) => Identified::Never(error),
            Standing::Awaited => Identified::Later,
            Standing::Known(id) => {
                state.books.adopt(id);
                Identified::With
            }
        }
    }

    /// Nothing is in flight: the time to begin anew, if the partition has to. Of its batches those that
    /// have a stamp get another one, in their order, and no other partition's (invariant 5.10).
    fn settle_books(&self, state: &mut State, now: Instant) {
        let unresolved = state.sealed.front().is_some_and(|head| head.stamp.is_some());
        let Some(why) = state.books.settle(unresolved, now) else { return };
        state.void_stamps();
        let Some(logger) = self.ledger.identity.logger() else { return };
        let what = if why == Why::OldFormat { GIVES_WAY } else { "sequence numbers begin anew" };
        let level = if why.is_bad() { Level::Warn } else { Level::Info };
        let (topic, partition, why) = (self.topic.name(), self.partition, why.text());
        logger.log(level, "producer", format_args!("{topic}-{partition}: {what}: {why}"));
    }

    /// Records that can never get an identity fail, all that wait.
    fn refuse_waiting(self: &Arc<Self>, state: &mut State, error: &Error) {
        self.drop_open(state);
        for batch in std::mem::take(&mut state.sealed) {
            self.fail(state, batch, error.clone(), Persistence::NotPersisted);
        }
        self.release(state);
    }

    fn fly(self: &Arc<Self>, state: &mut State, with_identity: bool) -> Take {
        let sent_to = state.sent_to();
        let Some(mut batch) = state.sealed.pop_front() else { return Take::Nothing };
        let Some(mut body) = batch.body.take() else { return Take::Nothing };
        batch.attempts += 1;
        batch.sent_to = sent_to;
        let (id, count) = (batch.id, batch.count);
        if !with_identity {
            if let Some(stamp) = batch.stamp.take() {
                state.books.left(stamp, count);
            }
        } else if batch.stamp.is_none() {
            batch.stamp = state.books.stamp(count);
        }
        // The first send gives the stamp, a retry keeps it (invariant 5.2).
        body.stamp(batch.stamp.unwrap_or(Stamp::NONE), &self.ledger.budget);
        batch.body = Some(Arc::clone(&body));
        let can_split = count > 1 && batch.publish.is_none();
        // Of a thousand partitions most have one on its way, now and then.
        state.flying.reserve_exact(usize::from(state.flying.capacity() == 0));
        state.flying.push_back(Flying {
            id,
            stamp: batch.stamp,
            count,
            is_retry: batch.attempts > 1,
            sent_to,
            batch: Some(batch),
            answer: None,
        });
        let more = self.has_more(state);
        let (queue, place) = (Arc::clone(self), (self.topic.index(), self.partition));
        Take::Flight(Flight { queue, place, batch: id, can_split, more, body })
    }

    /// Whether the next batch can leave now; the sender then keeps the queue.
    fn has_more(self: &Arc<Self>, state: &mut State) -> bool {
        let now = self.has_room(state) && matches!(self.readiness(state), Readiness::Now);
        if now {
            state.listed = true;
        } else {
            self.announce(state); // perhaps a timer
        }
        now
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
        if let Some(stamp) = head.stamp.take_if(|_| format != Format::V2) {
            // An old format has no place for it: what the broker knows of the batch is of no use.
            let count = head.count;
            state.books.left(stamp, count);
        }
        Take::Seal(self.reencoding(id, body, format, usize::MAX))
    }

    pub(super) fn reencoding(
        self: &Arc<Self>,
        batch: u64,
        body: &Arc<Body>,
        format: Format,
        max_size: usize,
    ) -> Seal {
        let to = Encoding {
            format,
            compression: body.sealed.compression(),
            level: self.config.compression_level,
            max_size,
        };
        let (body, budget) = (Arc::clone(body), Arc::clone(&self.ledger.budget));
        Seal::new(Arc::clone(self), batch, Work::Reencode { body, to, budget })
    }

    /// A batch's bytes are finished (or could not be made). If it can leave there is a duty.
    pub(super) fn sealed(
        self: &Arc<Self>,
        batch: u64,
        bodies: Result<Vec<Arc<Body>>>,
    ) -> Option<Duty> {
        let mut state = self.lock();
        self.finish(&mut state, batch, bodies);
        self.owe(&mut state)
    }

    /// As [`sealed`](Self::sealed); nobody need be told.
    pub(super) fn sealed_quietly(&self, batch: u64, bodies: Result<Vec<Arc<Body>>>) {
        self.finish(&mut self.lock(), batch, bodies);
    }

    fn finish(&self, state: &mut State, batch: u64, bodies: Result<Vec<Arc<Body>>>) {
        let Some(at) = state.sealed.iter().position(|queued| queued.id == batch) else {
            return self.ledger.bring_late(batch, bodies); // it expired or was purged meanwhile
        };
        match bodies {
            Ok(bodies) => self.place_bodies(state, at, bodies),
            Err(error) => {
                if let Some(ended) = state.sealed.remove(at) {
                    let error = self.name_leader(state, error);
                    self.fail(state, ended, error.clone(), Persistence::NotPersisted);
                    self.ledger.bring_late(batch, Err(error));
                    self.release(state);
                }
            }
        }
    }

    /// Gives a batch its bytes; several bodies make as many batches of it, in order, with its deadline
    /// (invariant 4.3) and its waiters.
    fn place_bodies(&self, state: &mut State, at: usize, bodies: Vec<Arc<Body>>) {
        let more = bodies.len().saturating_sub(1);
        if let (Some(batch), [body]) = (state.sealed.get(at), &bodies[..]) {
            let (raw, packed) = (batch.raw_size, body.bytes().len());
            // Of a batch that was sent and could not be cut its size is not known so well any more.
            if batch.last_error.is_none() {
                self.learn(state, raw, packed);
            }
        }
        if let (Some(batch), true) = (state.sealed.get(at), more > 0) {
            self.ledger.pending.split(batch.stretch, more);
        }
        for (at, body) in (at..).zip(bodies) {
            let Some(batch) = state.sealed.get_mut(at) else { return };
            let rest = batch.count.saturating_sub(body.sealed.count());
            let part = (rest > 0).then(|| batch.split_off(self.ledger.next_batch(), &body));
            batch.body = Some(body);
            if let Some(part) = part {
                state.sealed.insert(at + 1, part);
            }
        }
    }
}

impl State {
    pub(super) fn is_led_by(&self, mail: &Arc<Mail>) -> bool {
        self.leader.as_ref().is_some_and(|leader| Arc::ptr_eq(&leader.mail, mail))
    }

    fn epoch(&self) -> Option<i32> {
        self.leader.as_ref().map(|leader| leader.epoch)
    }

    /// The leader of now and its epoch.
    pub(super) fn sent_to(&self) -> Option<(i32, i32)> {
        self.leader.as_ref().map(|leader| (leader.mail.broker(), leader.epoch))
    }

    /// What waits gets other stamps when it is sent.
    fn void_stamps(&mut self) {
        self.sealed.iter_mut().for_each(|batch| batch.stamp = None);
    }
}

impl Batch {
    /// Cuts off what `head` does not hold, as a batch of its own, still without bytes.
    fn split_off(&mut self, id: u64, head: &Body) -> Batch {
        let at = head.sealed.count().min(self.count);
        let part = Batch {
            id,
            place: self.place + u64::from(at),
            count: self.count - at,
            tokens: self.tokens.split_off(at),
            body: None,
            last_error: self.last_error.clone(),
            // Consecutive sequences (invariant 4.7).
            stamp: self.stamp.map(|stamp| stamp.skip(at)),
            publish: None,
            ..*self
        };
        self.count = at;
        part
    }
}
