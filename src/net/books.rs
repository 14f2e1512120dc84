//! What one connection has sent and still waits for. Pure: no stream and no clock.
//!
//! A broker answers in the order of the requests, so the waiting requests are a queue. Each knows
//! where its bytes lie in the stream: that tells "never written" from "outcome unknown"
//! (invariant 1.20) when the connection ends.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use tokio::sync::oneshot;

use crate::error::{Code, Error, Persistence, Result};

/// How many requests without answer are remembered in case the peer answers after all
/// (Azure Event Hubs does, invariant 1.23). Answers come in order, so old ones can be forgotten.
const UNASKED_REMEMBERED: usize = 64;

/// How long a connection that is ready and was not used yet stays at least: whoever asked for it may be
/// late, and one that closed before each first request would be made for ever.
const UNUSED: Duration = Duration::from_secs(30);

/// What a request expects back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expects {
    /// An answer with its correlation id.
    Answer,
    /// Nothing (acks=0): done when its last byte is written, with an empty frame.
    Nothing,
}

/// A request ready to be sent.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// Kafka's name of the API, for messages.
    pub(super) api: &'static str,
    pub(super) correlation: i32,
    pub(super) segments: Vec<Bytes>,
    pub(super) expects: Expects,
    /// When the broker's time is over: the connection is then closed (invariant 13.4).
    pub(super) deadline: Instant,
}

/// Somebody who is told of an answer where a future would need a task of its own to wait for it.
///
/// Told at most once, on whatever thread brings the answer, and under the connection's lock: it makes a
/// note of the answer, and leaves all that follows from it to somebody else. One that is dropped
/// without having been told will never be.
pub trait Listener: Send + std::fmt::Debug {
    /// The answer's frame, still to be read by [`Connection::response`](super::Connection::response);
    /// or why there is none.
    fn tell(self: Box<Self>, frame: Result<Bytes>);
}

/// Where an answer goes.
#[derive(Debug)]
pub(super) enum Reply {
    Future(oneshot::Sender<Result<Bytes>>),
    Listener(Box<dyn Listener>),
}

impl Reply {
    fn send(self, frame: Result<Bytes>) {
        match self {
            // Nobody may listen any more: giving up on one request disturbs no other.
            Self::Future(reply) => drop(reply.send(frame)),
            Self::Listener(listener) => listener.tell(frame),
        }
    }
}

/// The receiving side of one request: its frame, without the length.
pub(super) type Pending = oneshot::Receiver<Result<Bytes>>;

#[derive(Debug)]
struct Waiting {
    api: &'static str,
    correlation: i32,
    // Positions in the stream of the first byte and of the byte after the last.
    start: u64,
    end: u64,
    since: Instant,
    deadline: Instant,
    reply: Reply,
}

/// Why a connection is over.
#[derive(Clone, Debug)]
pub(super) struct Poison {
    pub(super) error: Error,
    /// An idle close or our own: nothing that counts as "down" (invariant 1.16).
    pub(super) quiet: bool,
}

/// The state of one connection.
#[derive(Debug)]
pub(super) struct Books {
    outbox: VecDeque<Bytes>,
    // Positions in the stream: all that was ever queued, was handed to a write in progress, was written.
    queued: u64,
    handed: u64,
    written: u64,
    writing: bool,
    answers: VecDeque<Waiting>,
    silent: VecDeque<Waiting>,
    unasked: VecDeque<i32>,
    throttled_until: Option<Instant>,
    last_used: Instant,
    // None: for ever, and while the peer is still asked what it speaks.
    max_idle: Option<Duration>,
    // Nothing was asked since it is ready.
    unused: bool,
    // Answers have no correlation id (Kafka 0.7): the first belongs to whoever waits longest.
    in_order: bool,
    poison: Option<Poison>,
}

impl Books {
    /// The books of a connection to Kafka 0.7, whose answers are known by their order alone.
    pub(super) fn in_order(now: Instant) -> Self {
        Self { in_order: true, ..Self::new(now) }
    }

    pub(super) fn new(now: Instant) -> Self {
        Self {
            outbox: VecDeque::new(),
            queued: 0,
            handed: 0,
            written: 0,
            writing: false,
            answers: VecDeque::new(),
            silent: VecDeque::new(),
            unasked: VecDeque::new(),
            throttled_until: None,
            last_used: now,
            max_idle: None,
            unused: false,
            in_order: false,
            poison: None,
        }
    }

    pub(super) fn poison(&self) -> Option<&Poison> {
        self.poison.as_ref()
    }

    /// The peer is known now: from here on the connection ends when it was idle for `max_idle`.
    pub(super) fn ready(&mut self, max_idle: Option<Duration>, now: Instant) {
        self.last_used = now;
        self.unused = true;
        self.max_idle = max_idle;
    }

    /// How long the connection may be idle now.
    fn patience(&self) -> Option<Duration> {
        let limit = self.max_idle.filter(|_| self.in_flight() == 0)?;
        Some(if self.unused { limit.max(UNUSED) } else { limit })
    }

    /// How many requests wait for an answer or to be written.
    pub(super) fn in_flight(&self) -> usize {
        self.answers.len() + self.silent.len()
    }

    /// Queues a request. On a connection that is over: its first error, not one byte written.
    pub(super) fn queue(&mut self, request: Outgoing, now: Instant) -> Result<Pending> {
        let (reply, pending) = oneshot::channel();
        self.queue_for(request, Reply::Future(reply), now)?;
        Ok(pending)
    }

    /// As [`queue`](Self::queue); the answer goes to `reply`, and an error too: whoever waits there hears of
    /// it from nobody else.
    pub(super) fn queue_for(
        &mut self,
        request: Outgoing,
        reply: Reply,
        now: Instant,
    ) -> Result<()> {
        if let Some(poison) = &self.poison {
            let error = poison.error.clone().with_persistence(Persistence::NotPersisted);
            reply.send(Err(error.clone()));
            return Err(error);
        }
        let length: usize = request.segments.iter().map(Bytes::len).sum();
        let start = self.queued;
        self.queued += length as u64;
        self.outbox.extend(request.segments.into_iter().filter(|segment| !segment.is_empty()));
        self.last_used = now;
        self.unused = false;
        // A silence that the broker asked for is not its time (invariant 4.18): one longer than the
        // request's patience must not cost the connection.
        let silence = self.throttled_until.map(|until| until.saturating_duration_since(now));
        let deadline = silence.and_then(|silence| request.deadline.checked_add(silence));
        let waiting = Waiting {
            api: request.api,
            correlation: request.correlation,
            start,
            end: self.queued,
            since: now,
            deadline: deadline.unwrap_or(request.deadline),
            reply,
        };
        match request.expects {
            Expects::Nothing => self.silent.push_back(waiting),
            Expects::Answer => self.answers.push_back(waiting),
        }
        Ok(())
    }

    /// Whether bytes wait that somebody should write now: none is being written and the broker has
    /// not asked for silence (invariant 4.18).
    pub(super) fn wants_write(&self, now: Instant) -> bool {
        let silence = self.throttled_until.is_some_and(|until| now < until);
        !self.writing && !self.outbox.is_empty() && !silence && self.poison.is_none()
    }

    /// Takes all queued bytes for one writer, who must come back with [`wrote`](Self::wrote) or
    /// [`put_back`](Self::put_back); until then nobody else writes.
    pub(super) fn take_output(&mut self, now: Instant) -> Option<VecDeque<Bytes>> {
        if !self.wants_write(now) {
            return None;
        }
        self.writing = true;
        self.handed = self.queued;
        Some(std::mem::take(&mut self.outbox))
    }

    /// `count` bytes went out and `rest` is left of what was taken. Gives more to write, or none when
    /// all is written; the writer then owns nothing any more.
    pub(super) fn wrote(
        &mut self,
        count: usize,
        mut rest: VecDeque<Bytes>,
    ) -> Option<VecDeque<Bytes>> {
        self.written += count as u64;
        self.finish_silent();
        // What others queued meanwhile goes out in the same breath.
        rest.append(&mut self.outbox);
        if rest.is_empty() || self.poison.is_some() {
            self.writing = false;
            return None;
        }
        self.handed = self.queued;
        Some(rest)
    }

    /// The writer gives up its turn with this much unwritten.
    pub(super) fn put_back(&mut self, mut rest: VecDeque<Bytes>) {
        rest.append(&mut self.outbox);
        self.outbox = rest;
        self.handed = self.written;
        self.writing = false;
    }

    fn finish_silent(&mut self) {
        while self.silent.front().is_some_and(|waiting| waiting.end <= self.written) {
            if let Some(done) = self.silent.pop_front() {
                if self.unasked.len() == UNASKED_REMEMBERED {
                    self.unasked.pop_front();
                }
                self.unasked.push_back(done.correlation);
                done.reply.send(Ok(Bytes::new()));
            }
        }
    }

    /// A whole frame came. An answer that belongs to nothing is an error for the connection.
    pub(super) fn received(&mut self, frame: Bytes, now: Instant) -> Result<()> {
        if self.in_order {
            return self.received_next(frame, now);
        }
        let correlation = frame.clone().try_get_i32().map_err(|_| {
            Error::new(Code::PROTOCOL, "it sent a frame too short for a correlation id")
        })?;
        self.last_used = now;
        if self.answers.front().is_some_and(|first| first.correlation == correlation) {
            if let Some(first) = self.answers.pop_front() {
                first.reply.send(Ok(frame));
            }
            return Ok(());
        }
        if let Some(at) = self.unasked.iter().position(|id| *id == correlation) {
            self.unasked.drain(..=at);
            return Ok(());
        }
        let expected = self.answers.front().map_or("no answer".to_owned(), |first| {
            format!("the answer {} to {}", first.correlation, first.api)
        });
        Err(Error::new(
            Code::PROTOCOL,
            format!("it sent an answer with correlation id {correlation} where {expected} was due"),
        ))
    }

    /// The answer to the request that has waited longest.
    fn received_next(&mut self, frame: Bytes, now: Instant) -> Result<()> {
        self.last_used = now;
        let Some(first) = self.answers.pop_front() else {
            return Err(Error::new(Code::PROTOCOL, "it sent an answer that nobody asked for"));
        };
        first.reply.send(Ok(frame));
        Ok(())
    }

    /// The broker asks for silence. It mutes the connection itself for that long, so the time-outs of
    /// what waits grow by it (invariant 4.18, KIP-219).
    pub(super) fn throttle(&mut self, time: Duration, now: Instant) {
        let Some(until) = now.checked_add(time) else { return };
        let before = self.throttled_until.map_or(now, |before| before.max(now));
        let longer = until.saturating_duration_since(before);
        self.throttled_until = Some(before.max(until));
        for waiting in self.answers.iter_mut().chain(&mut self.silent) {
            waiting.deadline += longer;
        }
    }

    /// When something is due next without anybody's doing: a request's time, the end of a silence, an
    /// idle close.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let deadline =
            self.answers.iter().chain(&self.silent).map(|waiting| waiting.deadline).min();
        let speak = self.throttled_until.filter(|_| !self.outbox.is_empty());
        let idle = self.patience().and_then(|limit| self.last_used.checked_add(limit));
        [deadline, speak, idle].into_iter().flatten().min()
    }

    /// What is due at `now`: the end of the connection, or nothing.
    pub(super) fn due(&mut self, now: Instant) -> Option<Poison> {
        if self.throttled_until.is_some_and(|until| until <= now) {
            self.throttled_until = None;
        }
        let late = self.answers.iter().chain(&self.silent).filter(|w| w.deadline <= now);
        if let Some(late) = late.min_by_key(|waiting| waiting.deadline) {
            let ms = late.deadline.saturating_duration_since(late.since).as_millis();
            let what = if late.end > self.written { "take" } else { "answer" };
            let text = format!("it did not {what} {} within {ms} ms", late.api);
            return Some(Poison { error: Error::new(Code::TIMED_OUT, text), quiet: false });
        }
        let limit = self.patience()?;
        if now.saturating_duration_since(self.last_used) < limit {
            return None;
        }
        let text = format!("the connection was idle for {} ms and was closed", limit.as_millis());
        Some(Poison { error: Error::new(Code::DISCONNECTED, text), quiet: true })
    }

    /// Ends the connection: the first reason stays, and everybody who waits gets it, with what is
    /// known of each request. True if this call was the first.
    pub(super) fn end(&mut self, poison: Poison) -> bool {
        if self.poison.is_some() {
            return false;
        }
        self.outbox.clear();
        // Bytes handed to a write in progress count as written: nobody can say how far they went.
        let reached = self.handed.max(self.written);
        for waiting in self.answers.drain(..).chain(self.silent.drain(..)) {
            let known = if reached > waiting.start {
                Persistence::PossiblyPersisted
            } else {
                Persistence::NotPersisted
            };
            waiting.reply.send(Err(poison.error.clone().with_persistence(known)));
        }
        self.poison = Some(poison);
        true
    }
}

#[cfg(test)]
#[path = "books_tests.rs"]
mod tests;
