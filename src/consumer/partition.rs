//! What the consumer knows of one assigned partition.
//!
//! Two offsets walk through it: `fetch_offset`, where the next fetch goes, moves when an answer
//! arrives; `position` moves when messages are handed out. Between them lies the queue.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::batch::Batch;
use super::budget::Seat;
use super::group::Books;
use super::name::Name;
use super::replica::Replica;
use super::reset::{Lookup, Step};
use super::share::Share;
use crate::cluster::Topic;
use crate::config::{IsolationLevel, TopicConsumerConfig};
use crate::error::{Code, Error};
use crate::net::Backoff;
use crate::protocol::modern::Uuid;

/// The name of a stretch of a partition's life between two acts that move it (assign, seek, reset).
/// Never reused within a consumer. What was asked in one era is void in every other (6.11, 7.4):
/// seeking away and back does not revive an old answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Era(pub(super) u64);

/// How far a partition is from being fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The group's committed offset must be asked for; `asked` while a question of this era is under
    /// way.
    Committed { asked: bool },
    /// An offset must be asked for; `asked` while a look-up of this era is under way.
    Lookup { wanted: Lookup, asked: bool },
    /// The leader must say whether its log still holds what was read (6.16); `asked` while a question
    /// of this era is under way.
    Validate { asked: bool },
    /// `fetch_offset` can be fetched.
    Fetch,
    /// `fetch_offset` does not exist; what to do is decided when all that is queued was read.
    Adrift,
    /// No position, and the policy is "none": waits for assign or seek.
    Halted,
}

/// What waits in a partition's queue, in the order of its log.
#[derive(Debug)]
pub(super) enum Item {
    /// A partition's share of an answer, read up to somewhere.
    Data(Share),
    /// Decoded for `next`: messages from `next` on are still to be handed out one by one.
    Decoded { batch: Arc<Batch>, next: usize },
    /// The end of the partition was reached here.
    End(i64),
    /// What comes next does not exist on the leader: the policy decides.
    Adrift(Adrift),
    /// What comes next could not be decoded; it is told in its place, after what came before.
    Failed(Error),
}

impl Item {
    /// The identity of the answer that it belongs to, if it keeps that one unread and came to this
    /// seat.
    pub(super) fn answer(&self, seat: &Seat) -> Option<usize> {
        match self {
            Item::Data(share) => share.answer(seat),
            _ => None,
        }
    }
}

/// Why a place in a log is none any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Adrift {
    /// The leader has no such offset (6.19).
    OutOfRange,
    /// The leader does not know the epoch of what was read (6.17).
    UnknownEpoch(i32),
}

/// What brokers last said of the log; −1 is "unknown" and never stored (6.22).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) high_watermark: i64,
    pub(super) last_stable: i64,
    pub(super) log_start: i64,
}

impl Default for Marks {
    fn default() -> Self {
        Self { high_watermark: -1, last_stable: -1, log_start: -1 }
    }
}

impl Marks {
    /// Takes over what is known of `newer`.
    pub(super) fn learn(&mut self, newer: Marks) {
        for (mark, news) in [
            (&mut self.high_watermark, newer.high_watermark),
            (&mut self.last_stable, newer.last_stable),
            (&mut self.log_start, newer.log_start),
        ] {
            if news >= 0 {
                *mark = news;
            }
        }
    }
}

/// Failures in a row and the time before which it is not tried again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Retry {
    failures: u32,
    until: Option<Instant>,
}

impl Retry {
    /// When it may be tried, if that lies ahead of `now`.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| *until > now)
    }

    /// Counts a failure and waits for longer than after the last one (13.5).
    pub(super) fn failed(&mut self, now: Instant, backoff: Backoff, jitter: f64) {
        self.failures = self.failures.saturating_add(1);
        self.until = now.checked_add(backoff.delay(self.failures, jitter));
    }

    /// Failures in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether the last try succeeded.
    pub(super) fn is_clear(&self) -> bool {
        self.failures == 0
    }

    /// Forgets all failures.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// One assigned partition.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) topic: Arc<Topic>,
    pub(super) name: Name,
    /// What is configured for its topic.
    pub(super) own: TopicConsumerConfig,
    pub(super) number: i64,
    /// The topic's id as last seen; zero where brokers know none.
    pub(super) topic_id: Uuid,
    pub(super) era: Era,
    /// Since which era it goes on from where the application or the group put it.
    pub(super) placed: Era,
    pub(super) phase: Phase,
    pub(super) paused: bool,
    /// False for a place in the list that is free.
    pub(super) assigned: bool,
    /// It is given up: nothing is fetched or handed out any more.
    pub(super) fenced: bool,
    /// The step whose telling it waits for: nothing is fetched or handed out before.
    pub(super) held: Option<u64>,
    /// What its commits need.
    pub(super) books: Books,
    /// Next offset for the application; −1 until known.
    pub(super) position: i64,
    /// Leader epoch of the record before `position`, for commits and validation (7.11); −1 unknown.
    pub(super) position_epoch: i32,
    /// Next offset to ask a broker for; −1 until known.
    pub(super) fetch_offset: i64,
    /// Leader epoch of what was fetched before `fetch_offset`; −1 unknown. What a new leader is asked
    /// about before it is fetched from.
    pub(super) fetch_epoch: i32,
    /// −1 none.
    pub(super) leader: i32,
    /// Which replica is read.
    pub(super) replica: Replica,
    /// Sent with each fetch; −1 where unknown or unreliable (1.5).
    pub(super) leader_epoch: i32,
    pub(super) marks: Marks,
    pub(super) retry: Retry,
    /// Bytes to ask for; grows below Fetch v3 for records larger than that (6.9).
    pub(super) fetch_size: i32,
    pub(super) queue: VecDeque<Item>,
    /// A caller decodes the head of the queue outside the lock.
    pub(super) taken: bool,
    /// The partition stands in the list of those with something to read.
    pub(super) listed: bool,
    /// The last error told to the application, and where: it is told once (13.7).
    pub(super) reported: Option<(Code, i64)>,
    /// What is queued does not say where it ends: nothing is fetched until it is read.
    pub(super) awaits_reader: bool,
    /// The position was given, by a caller who may not know where messages of 0.7 begin, and nothing was
    /// read from it yet.
    pub(super) is_guess: bool,
    /// The end that was last announced, so that each end is announced once.
    pub(super) announced_end: i64,
}

impl Partition {
    /// A partition that is told where to start by [`Partition::restart`].
    pub(super) fn new(
        topic: Arc<Topic>,
        name: Name,
        number: i64,
        own: TopicConsumerConfig,
    ) -> Self {
        Self {
            own,
            topic,
            name,
            number,
            topic_id: Uuid::ZERO,
            era: Era::default(),
            placed: Era::default(),
            phase: Phase::Halted,
            paused: false,
            assigned: true,
            fenced: false,
            held: None,
            books: Books::default(),
            position: -1,
            position_epoch: -1,
            fetch_offset: -1,
            fetch_epoch: -1,
            leader: -1,
            replica: Replica::default(),
            leader_epoch: -1,
            marks: Marks::default(),
            retry: Retry::default(),
            fetch_size: own.max_partition_fetch_bytes,
            queue: VecDeque::new(),
            taken: false,
            listed: false,
            reported: None,
            awaits_reader: false,
            is_guess: false,
            announced_end: -1,
        }
    }

    /// Begins a new era: what is queued, decoded or on its way counts no more.
    pub(super) fn restart(&mut self, era: Era, step: Step) {
        self.era = era;
        self.queue.clear();
        self.taken = false;
        self.listed = false;
        self.awaits_reader = false;
        self.retry.clear();
        self.reported = None;
        self.announced_end = -1;
        self.is_guess = false;
        self.position_epoch = -1;
        self.fetch_epoch = -1;
        self.books.moved(era);
        let (phase, offset) = match step {
            Step::At(offset) => (Phase::Fetch, offset),
            Step::Committed => (Phase::Committed { asked: false }, -1),
            Step::Ask(wanted) => (Phase::Lookup { wanted, asked: false }, -1),
            Step::Refuse => (Phase::Halted, -1),
        };
        self.phase = phase;
        self.position = offset;
        self.fetch_offset = offset;
    }

    /// Drops what is queued and fetches again from the position: a new era, since an answer on its
    /// way would not join on.
    pub(super) fn refetch(&mut self, era: Era) {
        let (retry, reported) = (self.retry, self.reported);
        let (epoch, phase) = (self.position_epoch, self.phase);
        // The position did not jump.
        let books = std::mem::take(&mut self.books);
        self.restart(era, Step::At(self.position));
        self.books = books;
        self.retry = retry;
        self.reported = reported;
        self.stand_on(epoch);
        if matches!(phase, Phase::Validate { .. }) {
            self.doubt();
        }
    }

    /// The record before the position is of this leader epoch; −1 is not known.
    pub(super) fn stand_on(&mut self, epoch: i32) {
        self.position_epoch = epoch;
        self.fetch_epoch = epoch;
    }

    /// The leader may not hold what was read: it is asked before it is fetched from (6.16), if there is
    /// an epoch to ask about and the leader's own can be relied on (1.5).
    pub(super) fn doubt(&mut self) {
        let known = self.fetch_epoch >= 0 && (self.leader < 0 || self.leader_epoch >= 0);
        self.phase = match self.phase {
            Phase::Fetch | Phase::Validate { .. } if known => Phase::Validate { asked: false },
            Phase::Validate { .. } => Phase::Fetch,
            phase => phase,
        };
    }

    /// The answer of the look-up that this era waited for.
    pub(super) fn found(&mut self, offset: i64) {
        self.phase = Phase::Fetch;
        self.position = offset;
        self.fetch_offset = offset;
        self.retry.clear();
        self.reported = None;
    }

    /// The end as far as it can be read; none while unknown (6.21).
    pub(super) fn end(&self, isolation: IsolationLevel) -> Option<i64> {
        let end = match isolation {
            IsolationLevel::ReadUncommitted => self.marks.high_watermark,
            IsolationLevel::ReadCommitted => self.marks.last_stable,
        };
        (end >= 0).then_some(end)
    }

    /// What lies before `position` was handed out; `epoch` −1 is not known.
    pub(super) fn advance(&mut self, position: i64, epoch: i32) {
        self.position = position;
        if epoch >= 0 {
            self.position_epoch = epoch;
        }
    }

    /// The decoded messages at the head of the queue, and the index of the next one.
    pub(super) fn decoded(&self) -> Option<(&Arc<Batch>, usize)> {
        match self.queue.front() {
            Some(Item::Decoded { batch, next }) => Some((batch, *next)),
            _ => None,
        }
    }

    /// The next `count` of the decoded messages at the head of the queue were handed out; whether
    /// some are left.
    pub(super) fn handed_out(&mut self, count: usize) -> bool {
        let Some(Item::Decoded { batch, next }) = self.queue.front_mut() else { return false };
        *next += count;
        let Some(run) = batch.runs().first() else { return false };
        // After the last message the run's end counts: it may lie beyond, over batches that hold
        // nothing for applications (6.12).
        let finished = *next >= batch.len();
        let last = next.checked_sub(1).and_then(|last| batch.views().get(last));
        let position = match (finished, last) {
            (false, Some(last)) => last.next_offset,
            _ => run.next_offset,
        };
        let epoch = run.leader_epoch;
        if finished {
            self.queue.pop_front();
        }
        self.advance(position, epoch);
        !finished
    }

    /// Whether the broker may be asked for more, back-off aside.
    pub(super) fn wants_data(&self) -> bool {
        let open = !(self.paused || self.awaits_reader || self.is_stopped());
        self.phase == Phase::Fetch && open && self.fetch_offset >= 0
    }

    /// Whether the group stops it, for now or for good.
    pub(super) fn is_stopped(&self) -> bool {
        self.fenced || self.held.is_some()
    }

    /// Whether a poll finds something here.
    pub(super) fn is_readable(&self) -> bool {
        !self.paused && !self.taken && !self.queue.is_empty() && !self.is_stopped()
    }

    /// Moves to another leader. A leader switch cancels the back-off (6.15): there is no reason to
    /// wait for what another broker did. What was read is validated first (6.16).
    pub(super) fn follow(&mut self, leader: i32, epoch: i32) -> bool {
        let moved = leader != self.leader;
        if moved || epoch > self.leader_epoch {
            self.retry.clear();
        }
        let changed = moved || epoch != self.leader_epoch;
        self.leader = leader;
        self.leader_epoch = epoch;
        if changed {
            self.replica.forget();
            self.doubt();
        }
        moved
    }

    /// The broker that is asked for data; −1 none.
    pub(super) fn source(&self) -> i32 {
        self.replica.nearer().unwrap_or(self.leader)
    }

    /// Whether this error at this offset has not been told yet; remembers that it has been now.
    pub(super) fn tell_once(&mut self, code: Code, offset: i64) -> bool {
        let news = self.reported != Some((code, offset));
        self.reported = Some((code, offset));
        news
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn rule_13_5_a_retry_waits_longer_after_each_failure_until_it_succeeds() {
        let (now, ms) = (Instant::now(), Duration::from_millis);
        let backoff = Backoff { first: ms(100), most: ms(1000) };
        let mut retry = Retry::default();
        assert!(retry.due(now).is_none());
        let mut pauses = Vec::new();
        for _ in 0..5 {
            retry.failed(now, backoff, 0.5);
            pauses.push(retry.due(now).unwrap() - now);
        }
        assert_eq!(pauses, [100, 200, 400, 800, 1000].map(ms));
        assert!(retry.due(now + ms(1000)).is_none(), "due at its time");
        retry.clear();
        assert!(retry.due(now).is_none());
    }

    #[test]
    fn rule_6_22_an_unknown_mark_never_replaces_a_known_one() {
        let mut marks = Marks::default();
        marks.learn(Marks { high_watermark: 7, last_stable: 6, log_start: 2 });
        marks.learn(Marks { high_watermark: -1, last_stable: 8, log_start: -1 });
        assert_eq!(marks, Marks { high_watermark: 7, last_stable: 8, log_start: 2 });
    }
}
