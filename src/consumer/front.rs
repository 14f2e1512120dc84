//! The front door: what applications call.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::batch::Batch;
use super::core::Core;
use super::event::Event;
use super::group::{Callbacks, MakeMember, Mode, Part, Routes, Steps, Tell};
use super::leaders;
use super::message::Message;
use super::name::Name;
use super::position::Position;
use super::state::{State, Wish};
use super::whole_topic::WholeTopic;
use crate::cluster::{Child, Cluster};
use crate::config::{Config, ConsumerConfig, TopicConsumerConfig};
use crate::error::{Code, Error, Result};
use crate::group::assign::OwnAssignor;
use crate::os::fork::Era;
use crate::runtime;

/// What a look of a waiting poll found.
enum Found<T> {
    /// What it waits for.
    Result(Result<T>),
    /// Something is to be told or done first.
    Turn,
    /// Fetching stands still.
    Stall,
}

/// How long a poll without a limit waits before it says that fetching stands still.
const STALL_PATIENCE: Duration = Duration::from_secs(1);

/// A consumer of assigned partitions. Every method may be called from any thread, also
/// concurrently; each message goes to one caller. After [`Consumer::close`] methods give
/// [`Code::CLOSED`], in a forked child [`Code::FORKED`], after a panic in a background task
/// [`Code::PANIC`]. Dropping it without a close drops what was fetched.
#[derive(Debug)]
pub struct Consumer {
    core: Arc<Core>,
    era: Era,
}

impl Consumer {
    /// A consumer of this cluster, with nothing assigned. `overrides` win over the cluster's
    /// configuration. [`Code::INVALID_PROPERTY`] for what contradicts itself.
    pub fn new(cluster: &Arc<Cluster>, overrides: Option<&Config>) -> Result<Arc<Self>> {
        Self::with_callbacks(cluster, overrides, Callbacks::default())
    }

    /// The same, with callbacks: its caller uses the methods that tell.
    pub fn with_callbacks(
        cluster: &Arc<Cluster>,
        overrides: Option<&Config>,
        callbacks: Callbacks,
    ) -> Result<Arc<Self>> {
        Self::with_member(cluster, overrides, callbacks, Box::new(crate::group::start))
    }

    /// The same, with a membership and an offset store of the caller's own. They are made when they are
    /// needed for the first time.
    pub fn with_member(
        cluster: &Arc<Cluster>,
        overrides: Option<&Config>,
        callbacks: Callbacks,
        make: Box<MakeMember>,
    ) -> Result<Arc<Self>> {
        let era = Era::current();
        let config = ConsumerConfig::with_overrides(cluster.config(), overrides)?;
        let steps = Steps::new(Routes::new(callbacks, config.events));
        let own = overrides.and_then(Config::attached::<OwnAssignor>);
        let own = own.or_else(|| cluster.config().attached()).unwrap_or_default();
        let part = Part::new(make, OwnAssignor::clone(&own));
        let core = Core::new(Arc::clone(cluster), config, steps, part);
        core.keep(leaders::start(&core));
        let consumer = Arc::new(Self { core, era });
        let child: Weak<dyn Child> = Arc::downgrade(&(Arc::clone(&consumer) as Arc<dyn Child>));
        cluster.register(child)?;
        Ok(consumer)
    }

    /// Replaces the assignment: from now on exactly these partitions are read, each from the place
    /// that its position gives, or by `auto.offset.reset`. What was fetched before is dropped. An
    /// empty list stops reading. Only notes it: nothing is waited for, and troubles come by
    /// [`Consumer::poll`]. [`Code::INVALID_ARGUMENT`] for a place or name that cannot be, or a
    /// partition named twice; then nothing changes.
    /// With `group.id` the committed offset comes before the policy, and positions are committed without
    /// membership, which the group takes only while it has no members. [`Code::INVALID_STATE`] while
    /// subscribed.
    pub fn assign(&self, positions: &[Position]) -> Result<()> {
        let in_group = self.open()?.group.on;
        if in_group {
            self.core.member()?;
        }
        let mut wishes = Vec::with_capacity(positions.len());
        for position in positions {
            wishes.push(self.wish(position)?);
        }
        let mut keys: Vec<_> = wishes.iter().map(|w| (w.topic.index(), w.number)).collect();
        keys.sort_unstable();
        if let Some(twice) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
            let (topic, number) = twice[0];
            let name = wishes.iter().find(|w| w.topic.index() == topic).map(|w| w.name.as_str());
            let name = name.unwrap_or_default();
            let text = format!("partition {number} of topic {name} is named twice");
            let error = Error::new(Code::INVALID_ARGUMENT, text);
            return Err(error.with_topic(name).with_partition(number));
        }
        let topics: Vec<_> = wishes.iter().map(|w| Arc::clone(&w.topic)).collect();
        self.change(|state| {
            if state.group.is_subscribed() {
                let text = "the consumer is subscribed: its group says what it reads; \
                            samsa_consumer_unsubscribe first";
                return Err(Error::new(Code::INVALID_STATE, text));
            }
            state.group.mode = if wishes.is_empty() { Mode::Idle } else { Mode::Assigned };
            state.assign(wishes);
            Ok(())
        })?;
        self.core.hold(topics);
        if in_group {
            self.core.part.kick();
        }
        Ok(())
    }

    pub(super) fn topic_config(&self, name: &Name) -> TopicConsumerConfig {
        self.core.config.for_topic(name.as_str())
    }

    pub(super) fn read_whole(&self, topic: WholeTopic) -> Result<()> {
        self.change(|state| {
            state.read_whole(topic);
            Ok(())
        })
    }

    /// The assigned partitions with their positions, in the order of the assignment.
    pub fn assignment(&self) -> Result<Vec<Position>> {
        let state = self.open()?;
        let assigned = state.assigned().into_iter();
        Ok(assigned.filter_map(|index| state.position(index)).collect())
    }

    /// Up to `max.poll.records` messages, in order within each partition; waits for the first.
    ///
    /// Otherwise an error of a partition or of the consumer, each once; or a condition:
    /// [`Code::NOTHING`] out of time, [`Code::WOKEN`], [`Code::EVENT`] when an event is to be read.
    /// `timeout_ms`: 0 = do not wait, −1 = no limit.
    pub fn poll(&self, timeout_ms: i32) -> Result<Batch> {
        self.poll_telling(timeout_ms, &mut |_| {})
    }

    /// As [`Consumer::poll`]; what the consumer's [`Callbacks`] ask for is told meanwhile.
    pub fn poll_telling(&self, timeout_ms: i32, tell: &mut Tell<'_>) -> Result<Batch> {
        self.wait(timeout_ms, tell, Core::try_poll)
    }

    /// One message; otherwise as [`Consumer::poll`].
    pub fn next(&self, timeout_ms: i32) -> Result<Message> {
        self.next_telling(timeout_ms, &mut |_| {})
    }

    /// As [`Consumer::next`]; what the consumer's [`Callbacks`] ask for is told meanwhile.
    pub fn next_telling(&self, timeout_ms: i32, tell: &mut Tell<'_>) -> Result<Message> {
        self.wait(timeout_ms, tell, Core::try_next)
    }

    #[inline]
    fn wait<T>(
        &self,
        timeout_ms: i32,
        tell: &mut Tell<'_>,
        attempt: impl Fn(&Core) -> Option<Result<T>>,
    ) -> Result<T> {
        self.era.check()?;
        let core = &*self.core;
        if timeout_ms >= -1 && core.signal.failure().is_none() {
            // What is there is handed out without a look at the clock, which costs as much as a
            // message; a remembered wake-up comes first all the same.
            if core.signal.take_wakeup() {
                return Err(Error::bare(Code::WOKEN));
            }
            if !core.part.has_turn() {
                if let Some(result) = attempt(core) {
                    return result;
                }
            }
        }
        self.wait_long(timeout_ms, tell, attempt)
    }

    fn wait_long<T>(
        &self,
        timeout_ms: i32,
        tell: &mut Tell<'_>,
        attempt: impl Fn(&Core) -> Option<Result<T>>,
    ) -> Result<T> {
        let core = &*self.core;
        let limit = runtime::deadline(timeout_ms)?;
        let mut deadline = limit;
        loop {
            // A wait without a limit is cut short once when the budget stops fetching: to say so.
            let stalled = || limit.is_none() && deadline.is_none() && core.is_stalled();
            let outcome = core.signal.wait(deadline, || {
                if core.part.has_turn() {
                    return Some(Found::Turn);
                }
                let found = attempt(core).map(Found::Result);
                found.or_else(|| stalled().then_some(Found::Stall))
            });
            match outcome {
                Ok(Found::Result(result)) => return result,
                Ok(Found::Turn) => {
                    // The thread has come back, also if a callback is all that it came for.
                    core.came_back();
                    self.core.take_turn(tell);
                }
                Ok(Found::Stall) => deadline = Instant::now().checked_add(STALL_PATIENCE),
                Err(error) if error.code() == Code::NOTHING => {
                    if let Some(stall) = core.tell_stall() {
                        return Err(stall);
                    }
                    if limit.is_some() {
                        return Err(error);
                    }
                    deadline = None;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The oldest unread event; none when there is none. After close [`Code::CLOSED`] once all is read.
    pub fn next_event(&self) -> Result<Option<Event>> {
        self.era.check()?;
        let mut state = self.core.lock();
        if state.group.steps.has_event() {
            let event = state.tell(&Arc::downgrade(&self.core), Instant::now());
            drop(state);
            // What was assigned can be looked up.
            self.core.kick.notify_one();
            self.core.part.kick();
            return Ok(event);
        }
        match state.take_event() {
            Some(event) => Ok(Some(event)),
            None => state.check_open().map(|()| None),
        }
    }

    /// Moves partitions: what was fetched of them is dropped, also what is on its way, and reading
    /// goes on at the given places. [`Code::NOT_ASSIGNED`] for a partition that is not assigned;
    /// then nothing changes.
    pub fn seek(&self, positions: &[Position]) -> Result<()> {
        self.era.check()?;
        let wishes: Vec<Wish> = positions.iter().map(|p| self.wish(p)).collect::<Result<_>>()?;
        self.change(|state| {
            let mut places = Vec::with_capacity(wishes.len());
            for wish in &wishes {
                let index = state.find(&wish.topic, wish.number);
                places.push(index.ok_or_else(|| not_assigned(&wish.name, wish.number))?);
            }
            for (index, wish) in places.into_iter().zip(&wishes) {
                state.restart(index, wish.start, wish.epoch);
            }
            Ok(())
        })
    }

    /// Stops delivery and fetching of partitions; what is buffered is kept. None = all assigned.
    pub fn pause(&self, partitions: Option<&[Position]>) -> Result<()> {
        self.set_paused(partitions, true)
    }

    /// Ends a pause; does nothing for what is not paused. None = all assigned.
    pub fn resume(&self, partitions: Option<&[Position]>) -> Result<()> {
        self.set_paused(partitions, false)
    }

    fn set_paused(&self, partitions: Option<&[Position]>, paused: bool) -> Result<()> {
        self.change(|state| {
            for index in self.indices(state, partitions)? {
                state.set_paused(index, paused);
            }
            Ok(())
        })
    }

    /// Where each partition goes on: the offset after the last message handed out. Without an
    /// offset while none is known yet. In the order asked; None = all assigned.
    pub fn position(&self, partitions: Option<&[Position]>) -> Result<Vec<Position>> {
        let state = self.open()?;
        let indices = self.indices(&state, partitions)?;
        Ok(indices.into_iter().filter_map(|index| state.position(index)).collect())
    }

    /// First offset and end (high watermark) of a partition. `timeout_ms` 0 gives what the last
    /// fetch said, −1 for what is not known; otherwise the leader is asked.
    pub fn watermarks(&self, partition: &Position, timeout_ms: i32) -> Result<(i64, i64)> {
        self.era.check()?;
        let deadline = runtime::deadline(timeout_ms)?;
        let topic = self.core.cluster.topic(partition.topic.as_str())?;
        let state = self.open()?;
        if timeout_ms == 0 {
            let index = state.find(&topic, partition.partition);
            let index = index.ok_or_else(|| not_assigned(&partition.topic, partition.partition))?;
            return Ok(state.watermarks(index));
        }
        drop(state);
        self.core.ask_watermarks(&topic, partition.partition, deadline)
    }

    /// How far an assigned partition's position is behind its end, in offsets, as the last fetch said
    /// (with `read_committed` the end is the last stable offset); none while either is unknown.
    /// [`Code::NOT_ASSIGNED`].
    pub fn lag(&self, partition: &Position) -> Result<Option<i64>> {
        self.era.check()?;
        let topic = self.core.cluster.topic(partition.topic.as_str())?;
        let state = self.open()?;
        let index = state.find(&topic, partition.partition);
        let index = index.ok_or_else(|| not_assigned(&partition.topic, partition.partition))?;
        Ok(state.lag(index, self.core.config.isolation_level))
    }

    /// For each partition the first offset whose record is not older than the position's
    /// `timestamp`; no offset when there is none that late. An error of one partition stands in its
    /// place. The partitions need not be assigned. [`Code::TIMED_OUT`], [`Code::WOKEN`].
    pub fn offsets_for_times(&self, times: &[Position], timeout_ms: i32) -> Result<Vec<Position>> {
        let deadline = runtime::deadline(timeout_ms)?;
        drop(self.open()?);
        for time in times {
            if time.timestamp.is_none() {
                let text = format!("no time is given for topic {}", time.topic);
                return Err(Error::new(Code::INVALID_ARGUMENT, text)
                    .with_topic(time.topic.as_str())
                    .with_partition(time.partition));
            }
            let place = Position { offset: None, ..time.clone() };
            place.start()?;
        }
        self.core.offsets_for_times(times, deadline)
    }

    /// Ends every wait in progress with [`Code::WOKEN`], or else the next; remembered once. Async-
    /// signal-safe.
    pub fn wakeup(&self) {
        self.core.signal.wakeup();
    }

    /// A descriptor that is readable while a poll would not wait; owned by the consumer.
    pub fn fd(&self) -> Result<isize> {
        self.era.check()?;
        self.core.signal.fd()
    }

    /// Stops fetching and drops what was not handed out; polls in progress and later calls give
    /// [`Code::CLOSED`]. Batches, messages and events stay readable. A second close does nothing.
    ///
    /// In a group first: the callback hears of all partitions as revoked, what was handed out and freed
    /// is committed with `enable.auto.commit` (but not what another thread got that lives and did not poll
    /// again), and the group is left. `timeout_ms` bounds it; 0: does not wait for the commit and the group's word. TIMED_OUT, or why the commit failed: it is closed all
    /// the same.
    pub fn close(&self, timeout_ms: i32) -> Result<()> {
        self.close_telling(timeout_ms, None)
    }

    /// As [`Consumer::close`]; a callback is told.
    pub fn close_telling(&self, timeout_ms: i32, tell: Option<&mut Tell<'_>>) -> Result<()> {
        let limit = runtime::deadline(timeout_ms)?;
        self.era.check()?;
        self.end(limit, tell)
    }

    fn end(&self, limit: Option<Instant>, tell: Option<&mut Tell<'_>>) -> Result<()> {
        if !self.core.begins_close(limit)? {
            return Ok(());
        }
        // Also when a callback panics: others may wait for the end.
        let _shut = Shut(self);
        match self.core.signal.failure() {
            None => self.core.leave_group(limit, tell, true),
            Some(_) => Ok(()),
        }
    }

    /// Poisons the consumer: every waiter and every later call gets `error`.
    pub fn fail(&self, error: Error) {
        self.core.fail(error);
    }

    fn shut(&self) {
        self.core.lock().shut();
        self.core.stop();
        self.core.let_topics_go();
        self.core.signal.notify();
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(super) fn open(&self) -> Result<std::sync::MutexGuard<'_, State>> {
        self.era.check()?;
        if let Some(error) = self.core.signal.failure() {
            return Err(error);
        }
        let state = self.core.lock();
        state.check_open()?;
        Ok(state)
    }

    /// Changes the state, then lets tasks and waiters look at it.
    fn change(&self, change: impl FnOnce(&mut State) -> Result<()>) -> Result<()> {
        let mut state = self.open()?;
        change(&mut state)?;
        state.wake_fetchers();
        let news = state.has_news();
        drop(state);
        self.core.kick.notify_one();
        if news {
            self.core.signal.notify();
        }
        Ok(())
    }

    pub(super) fn indices(
        &self,
        state: &State,
        partitions: Option<&[Position]>,
    ) -> Result<Vec<usize>> {
        let Some(partitions) = partitions else {
            return Ok(state.assigned());
        };
        let find = |p: &Position| {
            let topic = self.core.cluster.topic(p.topic.as_str())?;
            let index = state.find(&topic, p.partition);
            index.ok_or_else(|| not_assigned(&p.topic, p.partition))
        };
        partitions.iter().map(find).collect()
    }

    fn wish(&self, position: &Position) -> Result<Wish> {
        let start = position.start()?;
        Ok(Wish {
            topic: self.core.cluster.topic(position.topic.as_str())?,
            name: position.topic.clone(),
            number: position.partition,
            start,
            epoch: position.leader_epoch.unwrap_or(-1),
            own: self.core.config.for_topic(position.topic.as_str()),
        })
    }
}

impl Child for Consumer {
    fn close(&self, deadline: Option<Instant>) -> Result<()> {
        self.era.check()?;
        self.end(deadline, None)
    }

    fn fail(&self, error: Error) {
        self.core.fail(error);
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        // In a forked child the lock may be held by a thread that is not there.
        if self.era.is_current() {
            self.core.abandon_group();
            self.shut();
        }
    }
}

/// Ends the consumer with the call that closes it.
struct Shut<'a>(&'a Consumer);

impl Drop for Shut<'_> {
    fn drop(&mut self) {
        self.0.shut();
    }
}

fn not_assigned(name: &Name, number: i64) -> Error {
    let text = format!("topic {name}, partition {number} is not assigned to this consumer");
    Error::new(Code::NOT_ASSIGNED, text).with_topic(name.as_str()).with_partition(number)
}
