//! The front door: what happens to a record on the thread that sends it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Producer;
use super::accumulator::{Appended, Arrival, Duty, Entrance, Seal, largest_encoding};
use super::core::Core;
use super::look_up::unreachable_partition;
use super::record::Record;
use super::sender;
use super::topics::TopicQueues;
use crate::cluster::Topic;
use crate::error::{Code, Error, Result};
use crate::os::clock;

/// How long a call may wait. The clock is read only if it comes to that.
pub(super) struct Patience {
    timeout_ms: i32,
    most: Duration,
    deadline: Option<Instant>,
}

impl Patience {
    /// Of a send: 0 does not wait, −1 is `max.block.ms`, which also bounds any other value.
    pub(super) fn new(timeout_ms: i32, max_block: Duration) -> Result<Self> {
        if timeout_ms < -1 {
            let text = format!(
                "timeout_ms is {timeout_ms}: give milliseconds, 0 (do not wait) or -1 (max.block.ms)"
            );
            return Err(Error::new(Code::INVALID_ARGUMENT, text));
        }
        let asked = u64::try_from(timeout_ms).map(Duration::from_millis);
        let most = asked.map_or(max_block, |asked| asked.min(max_block));
        Ok(Self { timeout_ms, most, deadline: None })
    }

    /// Until a time; none is no limit of the caller's own.
    pub(super) fn until(deadline: Option<Instant>, max_block: Duration) -> Self {
        Self { timeout_ms: -1, most: max_block, deadline }
    }

    /// Inside a callback for deliveries nobody waits (invariant 4.12).
    pub(super) fn spare_a_callback(&mut self, core: &Core) {
        if core.is_telling() {
            self.timeout_ms = 0;
        }
    }

    pub(super) fn may_wait(&self) -> bool {
        self.timeout_ms != 0
    }

    pub(super) fn deadline(&mut self) -> Instant {
        *self.deadline.get_or_insert_with(|| Instant::now() + self.most)
    }
}

/// Batches that became full under way: finished once no lock is held, whatever way the call ends.
#[derive(Default)]
pub(super) struct Seals(Vec<Seal>);

impl Seals {
    pub(super) fn list(&mut self) -> &mut Vec<Seal> {
        &mut self.0
    }

    pub(super) fn run(&mut self) {
        self.0.drain(..).for_each(Seal::run);
    }

    /// As [`run`](Self::run); what can leave then is the caller's to send. They are of one queue, which is
    /// told of once.
    pub(super) fn run_owing(&mut self) -> Option<Duty> {
        self.0.drain(..).fold(None, |duty, seal| seal.run_owing().or(duty))
    }
}

impl Drop for Seals {
    #[inline]
    fn drop(&mut self) {
        if !self.0.is_empty() {
            self.run();
        }
    }
}

impl Producer {
    /// Accepts a record: it is copied, and its outcome comes later. `timeout_ms` bounds the wait for
    /// metadata and for room: 0 tries, −1 is `max.block.ms`, which also bounds any other value.
    ///
    /// # Errors
    /// A record that was refused has no outcome. WOULD_BLOCK (a condition) with timeout 0;
    /// BUFFER_FULL and TIMED_OUT when the time is over; UNREAD_DELIVERIES at once if polling is what
    /// makes room; RECORD_TOO_LARGE, INVALID_ARGUMENT, FOREIGN_TOPIC, UNKNOWN_TOPIC_OR_PARTITION,
    /// UNSUPPORTED_FEATURE for what is wrong with it; WOKEN, CLOSED, FORKED, PANIC.
    #[inline]
    pub fn send(&self, record: &Record<'_>, timeout_ms: i32) -> Result<()> {
        let core = &self.core;
        core.era.check()?;
        let mut now = Now::default();
        let mut chosen = None;
        if timeout_ms >= -1 {
            match core.put_plain(record, &mut now) {
                Plain::Done => return Ok(()),
                Plain::Not(found) => chosen = found,
            }
        }
        core.put_patiently(record, chosen, &mut now, timeout_ms)
    }

    /// As [`send`](Self::send) for each record in turn, until one is refused: gives how many were
    /// accepted, which is also the index of the refused one. One deadline for all.
    pub fn send_batch<'a>(
        &self,
        records: impl IntoIterator<Item = Record<'a>>,
        timeout_ms: i32,
    ) -> (usize, Result<()>) {
        let mut sending = match self.sending(timeout_ms) {
            Ok(sending) => sending,
            Err(error) => return (0, Err(error)),
        };
        let mut accepted = 0;
        for record in records {
            if let Err(error) = sending.send(&record) {
                return (accepted, Err(error));
            }
            accepted += 1;
        }
        (accepted, Ok(()))
    }

    /// The same as a call of its own for each record, for records that are made one by one: one
    /// deadline and one reading of the time for all.
    pub fn sending(&self, timeout_ms: i32) -> Result<Sending<'_>> {
        let core = &self.core;
        core.era.check()?;
        core.ledger.check_open()?;
        let patience = Patience::new(timeout_ms, core.config.max_block)?;
        Ok(Sending { core, now: Now::default(), patience })
    }
}

/// One call that sends many records; see [`Producer::sending`].
pub struct Sending<'a> {
    core: &'a Arc<Core>,
    now: Now,
    patience: Patience,
}

impl Sending<'_> {
    /// Accepts a record, as [`Producer::send`] does.
    pub fn send(&mut self, record: &Record<'_>) -> Result<()> {
        match self.core.put_plain(record, &mut self.now) {
            Plain::Done => Ok(()),
            Plain::Not(chosen) => self.put(record, chosen),
        }
    }

    /// Accepts records as far as `list` shows them; those that follow one another into one partition
    /// take its lock together.
    pub(crate) fn send_list<'r>(&mut self, list: &mut impl List<'r>) -> Result<()> {
        let core = self.core;
        // The choice for a record that did not go where the one before it went: it is made once.
        let mut ahead = None;
        while let Some(record) = list.first() {
            let Some(topic) = core.plain_topic(&record) else {
                self.put(&record, None)?;
                list.drop_first();
                continue;
            };
            let chosen = ahead.take().unwrap_or_else(|| topic.choose(&record, topic.partitions()));
            let place = match &chosen {
                Ok((partition, sticky)) => topic.queue(*partition).map(|queue| (queue, *sticky)),
                Err(_) => None,
            };
            let accepted = match place {
                Some((queue, sticky)) => {
                    let (partition, largest) = (queue.partition(), core.largest_plain);
                    let run = Run { topic, partition, sticky, largest };
                    run.put(queue.enter(), record, list, &mut self.now, &mut ahead)
                }
                None => false,
            };
            if !accepted {
                self.put(&record, Some(chosen))?;
                list.drop_first();
            }
        }
        Ok(())
    }

    fn put(&mut self, record: &Record<'_>, chosen: Option<Choice>) -> Result<()> {
        self.core.put(record, chosen, &mut self.now, &mut self.patience)
    }
}

/// Records that lie ready in memory. They are read while a queue's lock is held: reading them calls
/// nothing of the application's and waits for nothing.
pub(crate) trait List<'r> {
    /// The first that was not accepted yet; none at the end, and at one that must be looked at closer.
    fn first(&mut self) -> Option<Record<'r>>;
    /// It was accepted.
    fn drop_first(&mut self);
}

/// What the partitioner said.
type Choice = Result<(i32, bool)>;

/// The most records that enter a queue under one lock: the sender must not wait for long.
const RUN: usize = 256;

/// How often a record looks for another partition.
const MOST_MOVES: u32 = 8;

/// Records that go to one partition one after the other.
struct Run<'a> {
    topic: &'a Arc<TopicQueues>,
    partition: i32,
    sticky: bool,
    largest: usize,
}

impl Run<'_> {
    /// Puts `record` and those of `list` that follow it to the same partition. False if not even the
    /// first went in. `ahead`: the choice for the next one, if it was made.
    #[inline(always)]
    fn put<'r>(
        &self,
        mut entrance: Entrance<'_>,
        mut record: Record<'r>,
        list: &mut impl List<'r>,
        now: &mut Now,
        ahead: &mut Option<Choice>,
    ) -> bool {
        for count in 0..RUN {
            if !entrance.append_plain(&record, now.or(record.timestamp), self.sticky) {
                if count > 0 {
                    *ahead = Some(Ok((self.partition, self.sticky)));
                }
                return count > 0;
            }
            list.drop_first();
            let Some(next) = list.first() else { break };
            let here = Arc::ptr_eq(next.topic, record.topic) && !self.topic.asks_application();
            if !here || !is_plain(&next, self.largest) {
                break;
            }
            match self.topic.choose(&next, self.topic.partitions()) {
                Ok(choice) if choice == (self.partition, self.sticky) => record = next,
                other => {
                    *ahead = Some(other);
                    break;
                }
            }
        }
        true
    }
}

impl std::fmt::Debug for Sending<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sending")
    }
}

/// The time for records that bring none: read at most once per call.
#[derive(Default)]
pub(super) struct Now(Option<i64>);

impl Now {
    pub(super) fn or(&mut self, given: Option<i64>) -> i64 {
        given.unwrap_or_else(|| *self.0.get_or_insert_with(clock::now_ms))
    }
}

/// What became of a record on the short way.
enum Plain {
    Done,
    /// It must take the long way; what was chosen for it stays chosen.
    Not(Option<Choice>),
}

/// Whether nothing about a record wants a closer look.
#[inline(always)]
fn is_plain(record: &Record<'_>, largest: usize) -> bool {
    let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    record.headers.count() == 0
        && record.timestamp.is_none_or(|timestamp| timestamp >= 0)
        && length(record.key).saturating_add(length(record.value)) <= largest
}

impl Core {
    /// The topic's queues, for a record that may take the short way.
    #[inline(always)]
    fn plain_topic(&self, record: &Record<'_>) -> Option<&Arc<TopicQueues>> {
        if self.ledger.is_closed() || !is_plain(record, self.largest_plain) {
            return None;
        }
        self.topics.get(record.topic).filter(|topic| topic.partitions() > 0)
    }

    /// The short way: a record without headers into a batch that is open and has room.
    #[inline(always)]
    fn put_plain(&self, record: &Record<'_>, now: &mut Now) -> Plain {
        let Some(topic) = self.plain_topic(record) else { return Plain::Not(None) };
        let chosen = topic.choose(record, topic.partitions());
        if let Ok((partition, sticky)) = chosen {
            if let Some(queue) = topic.queue(partition) {
                let timestamp = now.or(record.timestamp);
                if queue.enter().append_plain(record, timestamp, sticky) {
                    return Plain::Done;
                }
            }
        }
        Plain::Not(Some(chosen))
    }

    #[inline(never)]
    fn put_patiently(
        self: &Arc<Self>,
        record: &Record<'_>,
        chosen: Option<Choice>,
        now: &mut Now,
        timeout_ms: i32,
    ) -> Result<()> {
        let mut patience = Patience::new(timeout_ms, self.config.max_block)?;
        let mut duty = None;
        let result = self.put_owing(record, chosen, now, &mut patience, &mut duty);
        if let Some(duty) = duty {
            sender::send_now(self, duty);
        }
        result
    }

    /// As [`put_owing`](Self::put_owing), for one of several records: the sender is told, and until it
    /// comes others join the first.
    fn put(
        self: &Arc<Self>,
        record: &Record<'_>,
        chosen: Option<Choice>,
        now: &mut Now,
        patience: &mut Patience,
    ) -> Result<()> {
        self.put_owing(record, chosen, now, patience, &mut None)
    }

    /// The long way, for every record. `chosen`: what the partitioner said, if it was asked.
    #[inline(never)]
    fn put_owing(
        self: &Arc<Self>,
        record: &Record<'_>,
        chosen: Option<Choice>,
        now: &mut Now,
        patience: &mut Patience,
        duty: &mut Option<Duty>,
    ) -> Result<()> {
        self.ledger.check_open()?;
        // Before any wait: a record that can never be accepted must not stand in the line for room
        // (invariant 4.13).
        self.validate(record)?;
        let topic = self.queues_of(record.topic, patience)?;
        if topic.is_legacy() {
            self.check_legacy(record)?;
        }
        let timestamp = now.or(record.timestamp);
        let chosen = chosen.unwrap_or_else(|| topic.choose(record, topic.partitions()));
        // A partition that is not known may have been added just now.
        let (mut partition, sticky) = chosen.inspect_err(|_| {
            self.cluster.refresh("a record names a partition that is not known");
        })?;
        let mut arrival = Arrival { record: *record, timestamp, sticky };
        let (mut room, mut seals) = (None, Seals::default());
        let mut moves = 0;
        loop {
            let queue = topic.queue(partition).ok_or_else(|| unreachable_partition(topic))?;
            match queue.append_owing(&arrival, &mut room, seals.list(), duty)? {
                Appended::Done => return Ok(()),
                Appended::MoveOn => {
                    topic.move_on(partition);
                    (partition, _) = topic.choose(record, topic.partitions())?;
                    moves += 1;
                    // Nobody may serve any of them: then it waits like one with a key.
                    arrival.sticky = sticky && moves < MOST_MOVES;
                }
                Appended::NeedRoom(bytes) => {
                    seals.run(); // what became full may be what makes room
                    // So may what a wait before this one brought, if it was too little.
                    drop(room.take());
                    room = Some(self.wait_for_room(queue, bytes, patience)?);
                }
            }
        }
    }

    /// What can be said of a record without its topic.
    #[inline]
    pub(super) fn validate(&self, record: &Record<'_>) -> Result<()> {
        if record.timestamp.is_some_and(|timestamp| timestamp < 0) {
            return Err(negative_timestamp(record));
        }
        let size = largest_encoding(record);
        let limit = self.config.max_request_size;
        if size > limit || size > self.config.buffer_memory {
            return Err(self.too_large(record, size));
        }
        Ok(())
    }

    #[cold]
    fn too_large(&self, record: &Record<'_>, size: usize) -> Error {
        let (limit, property) = match self.config.max_request_size {
            limit if size > limit => (limit, "max.request.size"),
            _ => (self.config.buffer_memory, "buffer.memory"),
        };
        let text = format!("the record takes {size} bytes, above {property}={limit}");
        Error::new(Code::RECORD_TOO_LARGE, text)
            .with_topic(&**record.topic.name())
            .with_property(property)
    }

    /// The queues of a topic, whose partitions are known then.
    #[inline]
    pub(super) fn queues_of(
        self: &Arc<Self>,
        topic: &Arc<Topic>,
        patience: &mut Patience,
    ) -> Result<&Arc<TopicQueues>> {
        match self.topics.get(topic) {
            Some(queues) if queues.partitions() > 0 => Ok(queues),
            _ => self.open_topic(topic, patience),
        }
    }

    /// A topic that this producer has no queues for yet: finds its partitions, or waits for them.
    #[cold]
    fn open_topic(
        self: &Arc<Self>,
        topic: &Arc<Topic>,
        patience: &mut Patience,
    ) -> Result<&Arc<TopicQueues>> {
        if !topic.belongs_to(&self.cluster) {
            let text = format!("topic {} is a handle of another cluster", topic.name());
            return Err(Error::new(Code::FOREIGN_TOPIC, text).with_topic(&**topic.name()));
        }
        topic.allow_creation();
        patience.spare_a_callback(self);
        let queues = self.topics.add(topic, &self.config, self.partitioner.as_ref());
        let queues = queues.ok_or_else(|| Error::new(Code::INVALID_STATE, "too many topics"))?;
        self.use_topic(queues);
        self.update(queues);
        if queues.partitions() == 0 {
            self.wait_for_partitions(queues, patience)?;
        }
        Ok(queues)
    }
}

#[cold]
fn negative_timestamp(record: &Record<'_>) -> Error {
    let timestamp = record.timestamp.unwrap_or(-1);
    let text =
        format!("the timestamp {timestamp} is negative: give milliseconds since 1970 or none");
    Error::new(Code::INVALID_ARGUMENT, text).with_topic(&**record.topic.name())
}
