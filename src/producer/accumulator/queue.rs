//! One partition's records between `send` and the broker: the front side, where they come in.
//!
//! One lock per queue, the only one that a record takes. Each change that may make something ready to
//! leave ends with `announce`, which tells the sender of the partition's leader: now, or
//! with a timer. How large its buffers are is in [`queue_room`](super::queue_room). What happens at the other side is in [`queue_send`](super::queue_send), what ends a
//! batch in [`queue_fate`](super::queue_fate).

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::batch::{Batch, OpenBatch, PublishSender};
use super::budget::Reserved;
use super::builder::Builder;
use super::duty::Duty;
use super::fill::Fill;
use super::ledger::Ledger;
use super::queue_answer::Answer;
use super::seal::{Seal, Work};
use super::share::Share;
use super::tokens::Tokens;
use crate::cluster::{Topic, TopicId};
use crate::config::TopicProducerConfig;
use crate::error::{Error, Result};
use crate::os::prefetch;
use crate::producer::identity::{Books, Stamp};
use crate::producer::legacy::{Seat, SetBuilder};
use crate::producer::mail::Mail;
use crate::producer::outcome::Outcome;
use crate::producer::partitioner::moves_on;
use crate::producer::record::Record;
use crate::protocol::record::{BATCH_OVERHEAD, BatchBuilder, Format};

/// What a buffer holds beyond the batch, so that the last record's worst case never makes it grow.
pub(super) const SLACK: usize = 64;
/// The smallest buffer of a batch.
const SMALLEST: usize = 512;
/// What each record looks at, in cache lines.
const ENTRANCE_LINES: usize = 3;
/// The next record may be as long as this one, and its neighbour begins in its last line.
const AHEAD: usize = 64;
/// What is longer is found by the processor itself.
const AHEAD_MOST: usize = 512;

/// In this order, and in cache lines of its own: what each record needs stands at the front, in three of
/// them. With a thousand partitions a record finds them in no near cache.
#[repr(C, align(64))]
pub(crate) struct Queue {
    pub(super) ledger: Arc<Ledger>,
    state: Mutex<State>,
    pub(super) topic: Arc<Topic>,
    /// The place in the topic's table; but for Kafka 0.7 the partition's number as well.
    pub(super) partition: i32,
    /// On Kafka 0.7 the partition.
    pub(super) seat: Option<Seat>,
    pub(super) config: TopicProducerConfig,
    /// What it holds of the budget.
    pub(super) share: Arc<Share>,
}

#[derive(Default)]
#[repr(C)]
pub(super) struct State {
    /// Where a batch is full, in bytes before compression: `batch.size`, or more if it is compressed
    /// afterwards. Never 0: with batch.size=0 the first record fills a batch, and an empty one is not full.
    pub(super) limit: usize,
    /// What records without a key brought since they came to this partition.
    pub(super) sticky_bytes: usize,
    pub(super) open: Option<OpenBatch>,
    pub(super) leader: Option<Leader>,
    /// Closed batches in order; the head is sent next.
    pub(super) sealed: VecDeque<Batch>,
    /// What is with a broker, in the order of sending.
    pub(super) flying: VecDeque<Flying>,
    /// What ended before an older batch did, with its outcome, in order.
    pub(super) held: Vec<(Batch, Outcome)>,
    /// How many records were in batches that are closed.
    accepted: u64,
    /// How many may be in flight, as the leader's sender said last.
    pub(super) window: usize,
    pub(super) books: Books,
    /// The head waits for the producer's id.
    pub(super) awaits_id: bool,
    /// The metadata that was looked at last, and the topic's id in it: another id is another log.
    pub(super) topic_version: Option<u64>,
    pub(super) topic_id: TopicId,
    /// The head was refused and waits until then. It holds up its own partition only (invariant 4.5).
    pub(super) rest_until: Option<Instant>,
    /// The leader's sender has this queue in its list.
    pub(super) listed: bool,
    /// The topic was let go: nobody looks for a leader until a record comes.
    pub(super) parked: bool,
    /// The leader's sender has a timer for this queue, at this time.
    pub(super) timed: Option<Instant>,
    /// The keeper has a timer for the delivery deadline, at this time.
    pub(super) expiry_timed: Option<Instant>,
    /// When a batch left last.
    pub(super) taken_at: Option<Instant>,
    pub(super) fill: Fill,
    /// How large the last batches became: the next one starts with as much room.
    last_size: usize,
    last_marks: usize,
}

/// A batch that is with a broker.
#[derive(Debug)]
pub(super) struct Flying {
    pub(super) id: u64,
    /// None: it has its outcome (expired, purged), but its request is not over: until then nothing new
    /// of this partition goes out, or a retry of the network could reorder them (invariant 4.4).
    pub(super) batch: Option<Batch>,
    pub(super) stamp: Option<Stamp>,
    pub(super) count: u32,
    /// It was sent before: nothing goes out behind it (invariant 5.5).
    pub(super) is_retry: bool,
    /// The leader and its epoch.
    pub(super) sent_to: Option<(i32, i32)>,
    /// The answer, and whose it is, while an earlier batch still awaits its own (invariant 5.4).
    pub(super) answer: Option<Box<(String, Answer)>>,
}

/// Who leads the partition.
#[derive(Clone, Debug)]
pub(crate) struct Leader {
    pub(crate) mail: Arc<Mail>,
    pub(crate) epoch: i32,
}

/// What became of an append.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Appended {
    Done,
    /// The record has no key and this partition had its share: choose another.
    MoveOn,
    /// The batch must grow by so many bytes, and the budget has none.
    NeedRoom(usize),
}

/// A record on its way into a queue.
pub(crate) struct Arrival<'a> {
    pub(crate) record: Record<'a>,
    /// Milliseconds since the epoch.
    pub(crate) timestamp: i64,
    /// The partitioner chose freely: the record may go elsewhere.
    pub(crate) sticky: bool,
}

/// What a batch takes besides its records, in any format.
pub(crate) const LARGEST_OVERHEAD: usize = BATCH_OVERHEAD + SLACK;
/// What a record takes besides key, value and headers, in any format.
const LARGEST_RECORD_OVERHEAD: usize = 40;

/// An upper bound of what a record takes in a batch of its own, in any format.
pub(crate) fn largest_encoding(record: &Record<'_>) -> usize {
    LARGEST_OVERHEAD.saturating_add(largest_record(record))
}

/// The most bytes of key and value, without headers, whose [`largest_encoding`] is at most `limit`.
pub(crate) fn largest_plain(limit: usize) -> usize {
    limit.saturating_sub(LARGEST_OVERHEAD + LARGEST_RECORD_OVERHEAD)
}

/// An upper bound of what a record takes in a batch, in any format.
pub(crate) fn largest_record(record: &Record<'_>) -> usize {
    let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    let mut size = LARGEST_RECORD_OVERHEAD;
    size = size.saturating_add(length(record.key)).saturating_add(length(record.value));
    for index in 0..record.headers.count() {
        let header = record.headers.get(index);
        size = size.saturating_add(10 + header.name.len()).saturating_add(length(header.value));
    }
    size
}

impl Queue {
    pub(crate) fn new(
        topic: Arc<Topic>,
        partition: i32,
        config: TopicProducerConfig,
        ledger: Arc<Ledger>,
    ) -> Arc<Self> {
        let (share, state) = (Arc::default(), State::new(&config));
        Arc::new(Self { topic, partition, seat: None, config, ledger, share, state })
    }

    /// A queue for a partition of Kafka 0.7, in this place of the topic's table.
    pub(crate) fn seated(
        topic: Arc<Topic>,
        place: i32,
        seat: Seat,
        config: TopicProducerConfig,
        ledger: Arc<Ledger>,
    ) -> Arc<Self> {
        let (seat, share, state) = (Some(seat), Arc::default(), State::new(&config));
        Arc::new(Self { topic, partition: place, seat, config, ledger, share, state })
    }

    /// The partition as the application knows it.
    #[inline]
    pub(crate) fn number(&self) -> i64 {
        self.seat.map_or(i64::from(self.partition), |seat| seat.number)
    }

    /// Whether its records may be written to another partition as well (Kafka 0.7 alone).
    pub(crate) fn is_free(&self) -> bool {
        self.seat.is_some_and(|seat| seat.is_free)
    }

    #[inline]
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters the queue to put records into the batch that is open.
    #[inline]
    pub(crate) fn enter(&self) -> Entrance<'_> {
        prefetch::of(self, ENTRANCE_LINES);
        let state = self.lock();
        let limit = state.limit;
        Entrance { state, ledger: &self.ledger, limit }
    }

    /// As [`append_owing`](Self::append_owing); the sender is told.
    #[cfg(test)]
    pub(crate) fn append(
        self: &Arc<Self>,
        arrival: &Arrival<'_>,
        room: &mut Option<Reserved>,
        seals: &mut Vec<Seal>,
    ) -> Result<Appended> {
        self.append_owing(arrival, room, seals, &mut None)
    }

    /// Encodes a record into the open batch. `room` is what a wait for memory brought; what is left
    /// of it afterwards the caller gives back. Batches that became full are handed out in `seals`: the
    /// caller finishes them once this has returned. If the record may leave at once there is a `duty`.
    pub(crate) fn append_owing(
        self: &Arc<Self>,
        arrival: &Arrival<'_>,
        room: &mut Option<Reserved>,
        seals: &mut Vec<Seal>,
        duty: &mut Option<Duty>,
    ) -> Result<Appended> {
        let mut state = self.lock();
        self.ledger.check_open()?;
        let new = arrival.record.to_new(arrival.timestamp);
        let limit = state.limit;
        let size = match &state.open {
            Some(open) => open.builder.encoded_size(&new),
            None => 0,
        };
        if state.open.as_ref().is_some_and(|open| open.builder.size() + size > limit) {
            seals.extend(self.close_open(&mut state));
        }
        if state.open.is_none() {
            if arrival.sticky && moves_on(state.sticky_bytes + size, true, limit) {
                state.sticky_bytes = 0;
                return Ok(Appended::MoveOn);
            }
            if let Some(bytes) = self.open_batch(&mut state, &arrival.record, room)? {
                return Ok(self.lacks(&mut state, arrival, bytes));
            }
        } else if let Some(bytes) = self.grow(&mut state, size, room) {
            return Ok(self.lacks(&mut state, arrival, bytes));
        }
        *duty = self.encode(&mut state, arrival)?;
        if state.open.as_ref().is_some_and(|open| open.builder.size() >= limit) {
            seals.extend(self.close_open(&mut state));
        }
        Ok(Appended::Done)
    }

    /// The copy itself: into a batch that is open and has room.
    #[inline]
    fn encode(self: &Arc<Self>, state: &mut State, arrival: &Arrival<'_>) -> Result<Option<Duty>> {
        let Some(open) = &mut state.open else { return Ok(None) };
        let (before, index) = (open.builder.size(), open.builder.count());
        let timestamp = match open.builder.append(&arrival.record.to_new(arrival.timestamp)) {
            Ok(timestamp) => timestamp,
            Err(error) => {
                if index == 0 {
                    // An empty batch is no batch.
                    if let Some(open) = state.open.take() {
                        self.ledger.pending.done(open.stretch);
                    }
                }
                return Err(self.name_leader(state, error));
            }
        };
        if self.ledger.keeps_tokens {
            open.tokens.push(index, arrival.record.opaque, timestamp);
        }
        let grown = open.builder.size() - before;
        if arrival.sticky {
            state.sticky_bytes += grown;
        }
        if index > 0 {
            return Ok(None);
        }
        self.time_expiry(state);
        Ok(self.owe(state))
    }

    /// Opens a batch with room for its first record; `Some(bytes)` if the budget has too little.
    #[cold]
    fn open_batch(
        &self,
        state: &mut State,
        record: &Record<'_>,
        room: &mut Option<Reserved>,
    ) -> Result<Option<usize>> {
        let wished = match self.share.is_stranded() {
            true => SMALLEST, // no more than it must have
            false => state.last_size.clamp(SMALLEST, state.limit.max(SMALLEST)),
        };
        let wished = (wished + SLACK).min(self.ledger.budget.total());
        let capacity = self.rounded(state, wished.max(largest_encoding(record)));
        let Some((buffer, reserved)) = self.buffer(state, capacity, 0, room) else {
            return Ok(Some(capacity));
        };
        let builder = self.builder(state, buffer)?;
        state.open = Some(OpenBatch {
            builder,
            tokens: Tokens::with_capacity(state.last_marks),
            reserved,
            opened: Instant::now(),
            stretch: self.ledger.pending.open(),
            due: false,
        });
        Ok(None)
    }

    /// A builder for the format that the leader takes.
    fn builder(&self, state: &State, buffer: BytesMut) -> Result<Builder> {
        let (codec, level) = (self.config.compression, self.config.compression_level);
        if let Some(seat) = &self.seat {
            let set = SetBuilder::in_buffer(codec, level, seat.largest, buffer);
            return set.map(Builder::Set).map_err(|error| self.name(error));
        }
        // While the leader is not known it is the newest format; the batch is encoded anew when it is
        // sent to an older one (invariant 3.16).
        let profile = state.leader.as_ref().and_then(|leader| leader.mail.profile());
        let format = profile.as_ref().map_or(Format::V2, |profile| profile.format);
        profile
            .map_or(Ok(()), |profile| profile.check(codec))
            .and_then(|()| BatchBuilder::in_buffer(format, codec, level, buffer))
            .map(Builder::Batch)
            .map_err(|error| self.name_leader(state, error))
    }

    /// Closes the open batch: it takes its place in the queue now and gets its bytes later.
    pub(super) fn close_open(self: &Arc<Self>, state: &mut State) -> Option<Seal> {
        let open = state.open.take()?;
        // Batches that linger differ in size: room that is often too little is dearer than some too much.
        state.last_size = open.builder.size().max(state.last_size - state.last_size / 8);
        state.last_marks = open.tokens.marks();
        let batch = self.enqueue(state, &open.builder, open.opened, open.stretch, open.tokens);
        let work = Work::Build { builder: open.builder, reserved: open.reserved };
        Some(Seal::new(Arc::clone(self), batch, work))
    }

    fn enqueue(
        &self,
        state: &mut State,
        builder: &Builder,
        opened: Instant,
        stretch: u64,
        tokens: Tokens,
    ) -> u64 {
        let (id, place) = (self.ledger.next_batch(), state.accepted);
        state.accepted += u64::from(builder.count());
        state.sealed.reserve_exact(usize::from(state.sealed.capacity() == 0));
        state.sealed.push_back(Batch {
            id,
            place,
            count: builder.count(),
            raw_size: builder.size(),
            deadline: opened + self.ledger.delivery_timeout,
            stretch,
            tokens,
            body: None,
            attempts: 0,
            maybe_written: false,
            sent_to: None,
            last_error: None,
            stamp: None,
            publish: None,
        });
        id
    }

    /// Queues a batch of one caller's own, who waits for it: behind everything accepted before, and
    /// closed from the start, so that it can be withdrawn. Gives its number.
    pub(crate) fn publish(
        self: &Arc<Self>,
        builder: Builder,
        reserved: Reserved,
        sender: PublishSender,
        seals: &mut Vec<Seal>,
    ) -> Result<u64> {
        let mut state = self.lock();
        self.ledger.check_open()?;
        seals.extend(self.close_open(&mut state));
        let (now, stretch) = (Instant::now(), self.ledger.pending.open());
        let id = self.enqueue(&mut state, &builder, now, stretch, Tokens::default());
        if let Some(batch) = state.sealed.back_mut() {
            batch.publish = Some(sender);
        }
        let reserved = reserved.hold_for(&self.share);
        seals.push(Seal::new(Arc::clone(self), id, Work::Build { builder, reserved }));
        self.time_expiry(&mut state);
        Ok(id)
    }

    /// A builder for [`publish`](Self::publish): made and filled without the queue's lock.
    pub(crate) fn publish_builder(&self, capacity: usize) -> Result<Builder> {
        let state = self.lock();
        self.builder(&state, BytesMut::with_capacity(capacity))
    }

    /// Whether a batch waits or is on its way here.
    pub(crate) fn is_busy(&self) -> bool {
        let state = self.lock();
        !state.flying.is_empty() || !state.sealed.is_empty()
    }

    /// The topic is no longer in use: the queue follows no leader, and holds no memory ready for the next
    /// record. What it knows of its sequences stays.
    pub(crate) fn park(self: &Arc<Self>) {
        self.lead(None);
        let mut state = self.lock();
        state.parked = true;
        state.sealed.shrink_to_fit();
        (state.last_size, state.last_marks) = (0, 0);
        self.announce(&mut state); // a record that came just now
    }

    /// How many batches wait here for the broker; none if it has taken none for `patience` although some
    /// wait for it, here or in another queue of the broker's.
    pub(crate) fn backlog(&self, patience: Option<Duration>) -> Option<u32> {
        let state = self.lock();
        if let (Some(leader), Some(patience)) = (&state.leader, patience) {
            if leader.mail.is_stalled(patience) || self.is_stalled(&state, patience) {
                return None;
            }
        }
        let waiting = state.sealed.len() + usize::from(state.open.is_some());
        Some(u32::try_from(waiting).unwrap_or(u32::MAX))
    }

    /// Whether the head has waited for `patience` and so has everybody since the last batch left: the
    /// broker's mail knows nothing of it while an answer is awaited.
    fn is_stalled(&self, state: &State, patience: Duration) -> bool {
        let Some(head) = state.sealed.front() else { return false };
        let opened = head.deadline.checked_sub(self.ledger.delivery_timeout);
        let since = opened.max(state.taken_at);
        since.is_some_and(|since| since.elapsed() > self.config.linger.saturating_add(patience))
    }

    /// As [`name`](Self::name); an error that the broker's generation causes names the broker too.
    pub(crate) fn blame(&self, error: Error) -> Error {
        self.name_leader(&self.lock(), error)
    }

    /// The error of a publish that ran out of time: `error`, and why it waited, if something is wrong.
    pub(crate) fn because(&self, error: Error) -> Error {
        match self.why_unserved() {
            Some(cause) if !error.code().is_condition() => self.name(error.caused_by(cause)),
            _ => self.name(error),
        }
    }

    /// Closes the open batch for a flush; the caller finishes it.
    pub(crate) fn flush(self: &Arc<Self>) -> Option<Seal> {
        let mut state = self.lock();
        self.close_open(&mut state)
    }

    /// Looks again whether something may leave: memory ran out, batches no longer linger.
    pub(crate) fn hurry(self: &Arc<Self>) {
        let mut state = self.lock();
        self.look_at_share(&state);
        self.announce(&mut state);
    }

    pub(super) fn time_expiry(self: &Arc<Self>, state: &mut State) {
        if state.expiry_timed.is_none() {
            self.time_earlier_expiry(state);
        }
    }

    /// As [`time_expiry`](Self::time_expiry), when what came may be older than what was there.
    pub(super) fn time_earlier_expiry(self: &Arc<Self>, state: &mut State) {
        let Some(deadline) = self.earliest_deadline(state) else { return };
        if state.expiry_timed.is_none_or(|timed| deadline < timed) {
            state.expiry_timed = Some(deadline);
            self.ledger.keeper.time(deadline, Arc::clone(self));
        }
    }

    /// When the oldest batch's delivery time ends. Deadlines follow the order of sending; what came
    /// back for another try is older than what is still with a broker. On Kafka 0.7, where batches come
    /// from other partitions, any may be the oldest.
    pub(super) fn earliest_deadline(&self, state: &State) -> Option<Instant> {
        let flying = state.flying.iter().find_map(|flying| flying.batch.as_ref());
        let looked_at = if self.seat.is_some() { state.sealed.len() } else { 1 };
        let sealed = state.sealed.iter().take(looked_at);
        let sent = flying.into_iter().chain(sealed).map(|batch| batch.deadline).min();
        let open = || state.open.as_ref().map(|open| open.opened + self.ledger.delivery_timeout);
        match self.seat {
            Some(_) => sent.into_iter().chain(open()).min(),
            None => sent.or_else(open),
        }
    }

    /// Says which broker a record cannot go to.
    pub(super) fn name_leader(&self, state: &State, error: Error) -> Error {
        let error = self.name(error);
        match state.leader.as_ref().and_then(|leader| leader.mail.profile()) {
            Some(profile) => profile.blame(error),
            None => error,
        }
    }
}

/// Short: mail, ledger and queues hold each other.
impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Queue({}-{})", self.topic.name(), self.number())
    }
}

/// The way that most records take: into a batch that is open and has room for them. Holds the queue's
/// lock: nothing of the application's is called meanwhile.
pub(crate) struct Entrance<'a> {
    state: MutexGuard<'a, State>,
    ledger: &'a Ledger,
    limit: usize,
}

impl Entrance<'_> {
    /// Encodes a record without headers. False, and nothing done, when it takes more than that (a batch
    /// must be opened, closed or made larger, the producer is closed, the record is not right):
    /// [`Queue::append_owing`] does it then, or says why not.
    #[inline(always)]
    pub(crate) fn append_plain(
        &mut self,
        record: &Record<'_>,
        timestamp: i64,
        sticky: bool,
    ) -> bool {
        let Some(open) = &mut self.state.open else { return false };
        if self.ledger.is_closed() {
            return false;
        }
        let index = open.builder.count();
        let appended = open.builder.append_plain(record, timestamp, self.limit);
        let Some((grown, timestamp)) = appended else { return false };
        if self.ledger.keeps_tokens {
            open.tokens.push(index, record.opaque, timestamp);
        }
        if sticky {
            self.state.sticky_bytes += grown;
        } else {
            // Records with keys go everywhere: what the next one here overwrites would be far away by then.
            prefetch::bytes(open.builder.ahead((grown + AHEAD).min(AHEAD_MOST)));
        }
        true
    }
}

impl State {
    fn new(config: &TopicProducerConfig) -> Mutex<Self> {
        Mutex::new(Self { limit: config.batch_size.max(1), ..Self::default() })
    }
}
