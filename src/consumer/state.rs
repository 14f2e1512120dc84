//! The consumer's state under its one lock: partitions, what is ready to be read, what is to be
//! told. No method waits, does I/O or reads a clock.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::absent::Absent;
use super::budget::Seat;
use super::event::Event;
use super::group::Membered;
use super::name::Name;
use super::partition::{Adrift, Era, Item, Marks, Partition, Phase};
use super::position::{Position, Start};
use super::reset::{self, Step};
use super::truncation::Finding;
use super::whole_topic::WholeTopic;
use crate::cluster::{EpochEnd, Topic};
use crate::config::{IsolationLevel, TopicConsumerConfig};
use crate::error::{Code, Error, Result};

/// Errors that wait for an application that does not poll; the oldest go first.
const MOST_REPORTS: usize = 10_000;

/// A partition as it was in one era.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) index: usize,
    pub(super) era: Era,
}

/// A partition that the application asks to read.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) topic: Arc<Topic>,
    pub(super) name: Name,
    pub(super) number: i64,
    pub(super) start: Start,
    pub(super) epoch: i32,
    pub(super) own: TopicConsumerConfig,
}

/// The partitions that one broker is asked for: that it leads, or serves as the nearer replica.
#[derive(Debug, Default)]
pub(super) struct Led {
    /// Their indices, the one to be served first in front (6.8).
    pub(super) order: Vec<usize>,
    /// What its fetcher shares with readers.
    pub(super) seat: Arc<Seat>,
    /// Until then the broker is not told our rack: the replica that it would name has failed (6.18).
    pub(super) rackless_until: Option<Instant>,
}

/// Everything that changes.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) partitions: Vec<Partition>,
    /// By broker id.
    pub(super) led: HashMap<i32, Led>,
    /// Topics that were named and are not there.
    pub(super) absent: Absent,
    /// The topic of which every partition is read, if there is one.
    pub(super) whole: Option<WholeTopic>,
    by_key: HashMap<(usize, i64), usize>,
    ready: VecDeque<Slot>,
    reports: VecDeque<(Option<Slot>, Error)>,
    events: VecDeque<Event>,
    eras: u64,
    /// Places in the list of partitions that are free.
    vacant: Vec<usize>,
    /// What belongs to the consumer's group.
    pub(super) group: Membered,
    pub(super) closed: bool,
    /// Whether the stall that lasts was told.
    pub(super) stall_told: bool,
}

impl State {
    /// Nothing assigned.
    pub(super) fn of(group: Membered) -> Self {
        Self { group, ..Self::default() }
    }

    /// The era that began last, of whatever partition: as long as it is this one, nothing moved.
    #[inline]
    pub(super) fn last_era(&self) -> Era {
        Era(self.eras)
    }

    fn next_era(&mut self) -> Era {
        self.eras += 1;
        Era(self.eras)
    }

    /// Replaces the assignment. Everything of the old one is dropped, errors included.
    pub(super) fn assign(&mut self, wishes: Vec<Wish>) {
        self.partitions.clear();
        self.by_key.clear();
        self.vacant.clear();
        self.ready.clear();
        self.led.values_mut().for_each(|led| led.order.clear());
        self.stall_told = false;
        self.whole = None;
        for Wish { topic, name, number, start, epoch, own } in wishes {
            self.add(Partition::new(topic, name, number, own), start, epoch);
        }
    }

    /// Adds a partition to the assignment; the others are not touched.
    pub(super) fn add(&mut self, partition: Partition, start: Start, epoch: i32) {
        let key = (partition.topic.index(), partition.number);
        let index = match self.vacant.pop() {
            Some(index) => {
                self.partitions[index] = partition;
                index
            }
            None => {
                self.partitions.push(partition);
                self.partitions.len() - 1
            }
        };
        self.by_key.insert(key, index);
        let first = start == Start::Default && !self.group.begins_with_committed(key);
        self.restart(index, if first { Start::Policy } else { start }, epoch);
    }

    /// Takes a partition out of the assignment; the others are not touched. What is on its way for it,
    /// or being read, is void: its place in the list is another era's from now on.
    pub(super) fn remove(&mut self, index: usize) {
        let era = self.next_era();
        let Some(partition) = self.partitions.get_mut(index).filter(|p| p.assigned) else { return };
        let key = (partition.topic.index(), partition.number);
        partition.restart(era, Step::Refuse);
        partition.assigned = false;
        partition.fenced = true;
        partition.leader = -1;
        partition.replica.forget();
        self.by_key.remove(&key);
        self.led.values_mut().for_each(|led| led.order.retain(|other| *other != index));
        self.vacant.push(index);
    }

    /// The index of an assigned partition.
    pub(super) fn find(&self, topic: &Topic, number: i64) -> Option<usize> {
        self.by_key.get(&(topic.index(), number)).copied()
    }

    /// The assigned partition of this topic's index and number.
    pub(super) fn find_key(&mut self, key: (usize, i64)) -> Option<&mut Partition> {
        let index = *self.by_key.get(&key)?;
        self.partitions.get_mut(index)
    }

    /// What a broker said of the log of a partition, whatever was asked of it, as long as it is led
    /// as it was then: a session says each of it once (6.4).
    pub(super) fn learn(&mut self, key: (usize, i32), leader_epoch: i32, marks: Marks) {
        let index = self.by_key.get(&(key.0, key.1.into()));
        let partition = index.and_then(|&index| self.partitions.get_mut(index));
        if let Some(partition) = partition.filter(|p| p.leader_epoch == leader_epoch) {
            partition.marks.learn(marks);
        }
    }

    /// The slot of a partition now.
    pub(super) fn slot(&self, index: usize) -> Slot {
        Slot { index, era: self.partitions.get(index).map_or(Era::default(), |p| p.era) }
    }

    /// The partition of a slot, if it is still in that era (6.11, 7.4).
    pub(super) fn current(&mut self, slot: Slot) -> Option<&mut Partition> {
        self.partitions.get_mut(slot.index).filter(|p| p.era == slot.era)
    }

    /// Moves a partition: assign, seek.
    pub(super) fn restart(&mut self, index: usize, start: Start, epoch: i32) {
        let Some(partition) = self.partitions.get(index) else { return };
        let step = reset::begin(start, partition.own.auto_offset_reset, self.group.on);
        self.enter(index, step, |p| no_offset(p, "there is no committed offset"));
        let Some(p) = self.partitions.get_mut(index) else { return };
        p.placed = p.era;
        if let Start::Offset(_) = start {
            p.stand_on(epoch);
            p.is_guess = true;
            // A place from elsewhere is validated before it is fetched (7.11).
            if epoch >= 0 {
                p.phase = Phase::Validate { asked: false };
                p.doubt();
            }
        }
    }

    /// The leader said that the fetch offset does not exist (6.19).
    pub(super) fn out_of_range(&mut self, index: usize) {
        self.adrift(index, Adrift::OutOfRange);
    }

    /// The fetch offset is none on the leader. What was fetched before it is handed out first: only
    /// then the position itself is gone, and the policy decides.
    pub(super) fn adrift(&mut self, index: usize, why: Adrift) {
        let slot = self.slot(index);
        let Some(partition) = self.partitions.get_mut(index) else { return };
        if partition.queue.is_empty() && !partition.taken {
            self.lose(index, why);
            return;
        }
        partition.phase = Phase::Adrift;
        self.push(slot, Item::Adrift(why));
    }

    /// The position is none on the leader: the policy decides.
    pub(super) fn lose(&mut self, index: usize, why: Adrift) {
        let Some(partition) = self.partitions.get(index) else { return };
        let offset = partition.fetch_offset;
        let step = reset::out_of_range(offset, partition.own.auto_offset_reset);
        self.enter(index, step, |p| match why {
            Adrift::OutOfRange => no_offset(p, &format!("offset {offset} is out of range"))
                .caused_by(Error::bare(Code::OFFSET_OUT_OF_RANGE)),
            Adrift::UnknownEpoch(epoch) => no_offset(
                p,
                &format!("the leader does not know leader epoch {epoch} of offset {offset}"),
            ),
        });
    }

    /// What the leader said of the epoch of what was read (6.17). Records that were handed out and are
    /// not in its log give the place where it parted; reading goes on there, unless no policy allows.
    pub(super) fn validated(&mut self, index: usize, found: Finding) -> Option<EpochEnd> {
        let partition = self.partitions.get_mut(index)?;
        partition.retry.clear();
        partition.reported = None;
        match found {
            Finding::Sound => partition.phase = Phase::Fetch,
            Finding::Unread => {
                partition.phase = Phase::Fetch;
                self.refetch(index);
            }
            Finding::Unknown => {
                let epoch = partition.fetch_epoch;
                self.adrift(index, Adrift::UnknownEpoch(epoch));
            }
            Finding::Lost(end) => {
                let (position, policy) = (partition.position, partition.own.auto_offset_reset);
                let step = reset::truncated(end.offset, policy);
                self.enter(index, step, |p| log_truncated(p, position, end));
                if step != Step::Refuse {
                    self.partitions.get_mut(index)?.stand_on(end.epoch);
                }
                return Some(end);
            }
        }
        None
    }

    /// Data that was queued cannot be used: fetch again from the position.
    pub(super) fn refetch(&mut self, index: usize) {
        let era = self.next_era();
        if let Some(partition) = self.partitions.get_mut(index) {
            partition.refetch(era);
        }
    }

    fn enter(&mut self, index: usize, step: Step, refusal: impl FnOnce(&Partition) -> Error) {
        let era = self.next_era();
        let Some(partition) = self.partitions.get_mut(index) else { return };
        let error = (step == Step::Refuse).then(|| refusal(partition));
        partition.restart(era, step);
        if let Some(error) = error {
            self.push_report(Some(Slot { index, era }), error);
        }
    }

    /// Stops or resumes fetching and delivery; what is buffered stays (6.14). Returns whether it
    /// changed anything.
    pub(super) fn set_paused(&mut self, index: usize, paused: bool) -> bool {
        let Some(partition) = self.partitions.get_mut(index) else { return false };
        let changed = partition.paused != paused;
        partition.paused = paused;
        self.list(index);
        changed
    }

    /// Puts partitions of a broker behind one another by `rank` (6.8).
    pub(super) fn rotate<R: Ord>(&mut self, broker: i32, rank: impl Fn(usize) -> R) {
        if let Some(led) = self.led.get_mut(&broker) {
            // Stable: among those of one rank the order stays.
            led.order.sort_by_key(|index| rank(*index));
        }
    }

    /// How many brokers lead something that is assigned.
    pub(super) fn brokers(&self) -> usize {
        self.led.values().filter(|led| !led.order.is_empty()).count()
    }

    /// Wakes the fetchers, to look at what changed.
    pub(super) fn wake_fetchers(&self) {
        self.led.values().for_each(|led| led.seat.wake.notify_one());
    }

    /// Puts a partition among those with something to read, if it has and is not.
    pub(super) fn list(&mut self, index: usize) {
        self.list_again(index, false);
    }

    /// The same; in front when what is being read goes on, so that its buffer is soon free.
    pub(super) fn list_again(&mut self, index: usize, first: bool) {
        let Some(partition) = self.partitions.get_mut(index) else { return };
        if !partition.is_readable() || std::mem::replace(&mut partition.listed, true) {
            return;
        }
        let slot = Slot { index, era: partition.era };
        self.ring();
        match first {
            true => self.ready.push_front(slot),
            false => self.ready.push_back(slot),
        }
    }

    /// The next partition with something to read; it leaves the list.
    pub(super) fn next_ready(&mut self) -> Option<Slot> {
        while let Some(slot) = self.ready.pop_front() {
            let Some(partition) = self.current(slot) else { continue };
            partition.listed = false;
            if partition.is_readable() {
                return Some(slot);
            }
        }
        None
    }

    /// Whether a poll may find something: messages, errors, events.
    pub(super) fn has_news(&self) -> bool {
        self.ready.iter().any(|&slot| self.is_waiting(slot))
            || !self.reports.is_empty()
            || self.has_event()
            || self.group.steps.has_task()
    }

    /// Whether what was listed can be read still: the partition may have been paused, sought or fenced
    /// since, and who reads next drops its place in the list.
    fn is_waiting(&self, slot: Slot) -> bool {
        let partition = self.partitions.get(slot.index);
        partition.is_some_and(|partition| partition.era == slot.era && partition.is_readable())
    }

    /// Where a partition goes on.
    pub(super) fn position(&self, index: usize) -> Option<Position> {
        let partition = self.partitions.get(index)?;
        let mut position = Position::new(partition.name.clone(), partition.number);
        position.offset = (partition.position >= 0).then_some(partition.position);
        position.leader_epoch = (partition.position_epoch >= 0).then_some(partition.position_epoch);
        Some(position)
    }

    /// First offset and high watermark as last heard; −1 unknown.
    pub(super) fn watermarks(&self, index: usize) -> (i64, i64) {
        let marks = self.partitions.get(index).map(|p| p.marks).unwrap_or_default();
        (marks.log_start, marks.high_watermark)
    }

    /// How far a partition's position is behind its end (6.21); none while either is unknown.
    pub(super) fn lag(&self, index: usize, isolation: IsolationLevel) -> Option<i64> {
        let partition = self.partitions.get(index).filter(|p| p.position >= 0)?;
        // A position past the end is that of a log that lost its tail: nothing is left to read.
        partition.end(isolation).map(|end| end.saturating_sub(partition.position).max(0))
    }

    /// Whether nothing but messages waits to be told.
    pub(super) fn is_quiet(&self) -> bool {
        self.reports.is_empty()
            && self.events.is_empty()
            && !self.closed
            && (!self.group.on || self.group.is_quiet())
    }

    /// The partition that is read next; it keeps its place.
    pub(super) fn first_ready(&self) -> Option<Slot> {
        self.ready.front().copied()
    }

    /// Whether anything is ready to be read.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// At least how many partitions have something to read.
    pub(super) fn ready_count(&self) -> usize {
        self.ready.len()
    }

    /// Adds what arrived to a partition's queue.
    pub(super) fn push(&mut self, slot: Slot, item: Item) {
        if let Some(partition) = self.current(slot) {
            partition.queue.push_back(item);
            self.list(slot.index);
        }
    }

    /// An error of a partition for the application; void when the partition moved before it is read.
    pub(super) fn report(&mut self, slot: Slot, error: Error) {
        self.push_report(Some(slot), error);
    }

    /// An error that belongs to no partition.
    pub(super) fn report_general(&mut self, error: Error) {
        self.push_report(None, error);
    }

    fn push_report(&mut self, slot: Option<Slot>, error: Error) {
        if self.reports.len() >= MOST_REPORTS {
            self.reports.pop_front();
        }
        self.reports.push_back((slot, error));
    }

    /// The oldest error that still counts.
    pub(super) fn take_report(&mut self) -> Option<Error> {
        while let Some((slot, error)) = self.reports.pop_front() {
            if slot.is_none_or(|slot| self.current(slot).is_some()) {
                return Some(error);
            }
        }
        None
    }

    /// Keeps an event until the application reads it. Of truncations of one partition that it has not
    /// read it gets one, with the lowest offset: nothing piles up for who never looks.
    pub(super) fn push_event(&mut self, event: Event) {
        let merged = self.events.iter_mut().any(|unread| unread.absorb(&event));
        if !merged {
            self.events.push_back(event);
        }
    }

    /// The oldest unread event.
    pub(super) fn take_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether an event waits.
    pub(super) fn has_event(&self) -> bool {
        !self.events.is_empty() || self.group.steps.has_event()
    }

    /// Drops what waits to be read, at close.
    pub(super) fn shut(&mut self) {
        self.closed = true;
        self.partitions.clear();
        self.by_key.clear();
        self.ready.clear();
    }

    /// [`Code::CLOSED`] after close.
    pub(super) fn check_open(&self) -> Result<()> {
        match self.closed {
            true => Err(Error::new(Code::CLOSED, "the consumer is closed")),
            false => Ok(()),
        }
    }
}

fn log_truncated(partition: &Partition, position: i64, end: EpochEnd) -> Error {
    let Partition { name, number, .. } = partition;
    let EpochEnd { epoch, offset } = end;
    let text = format!(
        "topic {name}, partition {number}: the log was truncated: it parts at offset {offset} (leader \
         epoch {epoch}) from what was read up to offset {position}, and auto.offset.reset is none; \
         seek to go on"
    );
    Error::new(Code::LOG_TRUNCATED, text).with_topic(name.as_str()).with_partition(*number)
}

fn no_offset(partition: &Partition, why: &str) -> Error {
    let Partition { name, number, .. } = partition;
    let text = format!(
        "topic {name}, partition {number}: {why} and auto.offset.reset is none; seek to go on"
    );
    Error::new(Code::NO_OFFSET, text).with_topic(name.as_str()).with_partition(*number)
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::config::Reset;

    #[test]
    fn rule_6_21_the_lag_of_a_reader_of_committed_data_counts_to_the_last_stable_offset() {
        let mut state = fixture::state(1);
        let lag = |state: &State| {
            let of = |isolation| state.lag(0, isolation);
            (of(IsolationLevel::ReadUncommitted), of(IsolationLevel::ReadCommitted))
        };
        assert_eq!(lag(&state), (None, None), "no broker has told an end");
        state.partitions[0].marks = Marks { high_watermark: 50, last_stable: 30, log_start: 0 };
        assert_eq!(lag(&state), (Some(50), Some(30)));
        state.partitions[0].position = 40;
        assert_eq!(lag(&state), (Some(10), Some(0)));
        state.partitions[0].position = -1;
        assert_eq!(lag(&state), (None, None), "the position is not known");
    }

    #[test]
    fn rule_6_17_what_waits_to_be_read_is_fetched_anew_when_the_log_parted_behind_the_position() {
        let mut state = fixture::state(1);
        let partition = &mut state.partitions[0];
        partition.stand_on(3);
        (partition.fetch_offset, partition.fetch_epoch, partition.position) = (80, 4, 50);
        partition.queue.push_back(Item::End(80));
        let era = partition.era;
        partition.doubt();
        assert_eq!(partition.phase, Phase::Validate { asked: false });
        assert!(state.validated(0, Finding::Unread).is_none(), "nothing was lost that was read");
        let partition = &state.partitions[0];
        assert!(partition.queue.is_empty() && partition.era != era);
        assert_eq!((partition.fetch_offset, partition.fetch_epoch), (50, 3));
        assert_eq!(partition.phase, Phase::Fetch);
    }

    #[test]
    fn rule_6_17_a_lost_place_waits_until_what_was_fetched_is_read() {
        let mut state = fixture::state_with(1, Reset::Latest);
        state.partitions[0].queue.push_back(Item::End(0));
        state.out_of_range(0);
        assert_eq!(state.partitions[0].phase, Phase::Adrift);
        assert_eq!(state.partitions[0].queue.len(), 2, "the mark stands behind what waits");
        state.partitions[0].queue.clear();
        state.lose(0, Adrift::OutOfRange);
        assert!(matches!(state.partitions[0].phase, Phase::Lookup { asked: false, .. }));
    }
}
