//! What applications call about offsets of their group.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::commits::{How, Item, Then};
use super::part::Tell;
use super::place::{Place, Stored};
use crate::consumer::front::Consumer;
use crate::consumer::position::Position;
use crate::consumer::state::State;
use crate::error::{Code, Error, Result};
use crate::group::{Committed, TopicPartition};
use crate::runtime::{self, Completion};

/// The store ends at the deadline and says then of each partition what held it up.
const LAST_WORD: Duration = Duration::from_millis(250);

impl Consumer {
    /// Commits positions: given ones, or for each assigned partition the first place that was handed out
    /// and not freed (with `enable.auto.offset.store=false`: what was stored). `timeout_ms` 0: does not
    /// wait, and the outcome comes as [`Event::Committed`](super::super::Event::Committed), or an error
    /// of the next poll; −1: no limit.
    ///
    /// Gives what was committed; each position carries its own error.
    ///
    /// # Errors
    /// [`Code::INVALID_GROUP_ID`] without `group.id`; [`Code::INVALID_ARGUMENT`] for a position without
    /// an offset; TIMED_OUT and WOKEN (a condition): the outcome comes as that of an asynchronous one.
    /// CLOSED when another thread closes the consumer meanwhile: it may be committed.
    pub fn commit(
        &self,
        positions: Option<&[Position]>,
        timeout_ms: i32,
        tell: Option<&mut Tell<'_>>,
    ) -> Result<Vec<Position>> {
        let limit = runtime::deadline(timeout_ms)?;
        drop(self.open()?);
        self.core().member()?;
        let items = match positions {
            Some(positions) => self.given(positions)?,
            None => self.open()?.whole(),
        };
        self.commit_items(items, (timeout_ms != 0).then_some(limit), tell)
    }

    /// Stops reading partitions (as a pause does) and then commits where they stand. None = all.
    pub fn stop_partitions(
        &self,
        partitions: Option<&[Position]>,
        timeout_ms: i32,
        tell: Option<&mut Tell<'_>>,
    ) -> Result<Vec<Position>> {
        let limit = runtime::deadline(timeout_ms)?;
        drop(self.open()?);
        self.core().member()?;
        self.pause(partitions)?;
        let items = {
            let mut state = self.open()?;
            let indices = self.indices(&state, partitions)?;
            state.items(&indices, How::Asked, Instant::now())
        };
        self.commit_items(items, (timeout_ms != 0).then_some(limit), tell)
    }

    fn commit_items(
        &self,
        items: Vec<Item>,
        limit: Option<Option<Instant>>,
        tell: Option<&mut Tell<'_>>,
    ) -> Result<Vec<Position>> {
        let core = self.core();
        let Some(limit) = limit else {
            let list = items.iter().map(|item| item.position.clone()).collect();
            if !items.is_empty() {
                // An asynchronous commit is not repeated: a newer one may be behind it (11.5).
                let deadline = Instant::now() + core.config.request_timeout;
                let number = core.lock().group.commits_out.note(&items, false);
                core.send_commit(items, true, deadline, Then::Tell(number));
            }
            return Ok(list);
        };
        let (sender, answer) = Completion::new();
        let deadline = limit.unwrap_or_else(runtime::far);
        let number = core.lock().group.commits_out.note(&items, true);
        core.send_commit(items, false, deadline, Then::Answer(number, sender));
        self.await_commit(&answer, number, limit.map(|limit| limit + LAST_WORD), tell)
    }

    /// Waits for the outcome; what the membership asks of a polling thread meanwhile is done, for the
    /// commit may wait for just that. Inside a callback, which has no `tell`, only its own work is.
    ///
    /// The outcomes of the asynchronous ones before this `number` are told first (11.5). Each commit
    /// has a task of its own, so that an answer which came later may be at hand sooner.
    ///
    /// A close in another thread ends the wait: it stops the task, and does not say so to `answer` in
    /// time for who looks at it when the close is told.
    fn await_commit(
        &self,
        answer: &Completion<Vec<Position>>,
        number: u64,
        limit: Option<Instant>,
        mut tell: Option<&mut Tell<'_>>,
    ) -> Result<Vec<Position>> {
        let core = self.core();
        let mut outcome = None;
        loop {
            let found = core.signal.wait_for_result(limit, || {
                outcome = outcome.take().or_else(|| answer.try_take());
                let state = core.lock();
                if state.closed || outcome.is_some() && !state.group.commits_out.are_untold(number)
                {
                    return Some(true);
                }
                let is_inside = tell.is_none();
                let turn = core.part.has_turn();
                let turn = turn && (!is_inside || state.group.steps.has_job());
                turn.then_some(false)
            });
            if found.is_err() && outcome.is_none() {
                match core.lock().group.commits_out.give_up(number) {
                    Some(true) => {}
                    // Its outcome came just now, or never comes.
                    Some(false) => outcome = Some(Err(Error::bare(Code::ABANDONED))),
                    None => outcome = answer.try_take(),
                }
            }
            match (found, tell.as_deref_mut()) {
                (Ok(true), _) => break,
                (Ok(false), Some(tell)) => core.take_turn(tell),
                (Ok(false), None) => core.run_jobs(),
                // What is known is not held back for those before it; the wake-up stays for the next.
                (Err(error), _) if outcome.is_some() => {
                    if error.code() == Code::WOKEN {
                        self.wakeup();
                    }
                    break;
                }
                (Err(error), _) if error.code() == Code::NOTHING => {
                    let text = "the commit is not confirmed yet; its outcome comes as an event";
                    return Err(Error::new(Code::TIMED_OUT, text));
                }
                (Err(error), _) => return Err(error),
            }
        }
        if let Some(tell) = tell {
            core.take_turn(tell);
        }
        let outcome = outcome.unwrap_or_else(|| Err(Error::bare(Code::ABANDONED)));
        outcome.map_err(|error| core.why_abandoned(error))
    }

    /// The items of positions that the application gives.
    fn given(&self, positions: &[Position]) -> Result<Vec<Item>> {
        let mut items = Vec::with_capacity(positions.len());
        for position in positions {
            let offset = position.offset.filter(|offset| *offset >= 0).ok_or_else(|| {
                let text = format!(
                    "topic {}, partition {}: no offset is given that could be committed",
                    position.topic, position.partition
                );
                Error::new(Code::INVALID_ARGUMENT, text)
                    .with_topic(position.topic.as_str())
                    .with_partition(position.partition)
            })?;
            // Checks the number of the partition.
            position.start()?;
            let topic = self.core().cluster.topic(position.topic.as_str())?;
            let mut position = position.clone();
            position.error = None;
            position.timestamp = None;
            items.push((topic, position, offset));
        }
        let state = self.open()?;
        let item = |(topic, position, offset): (Arc<crate::cluster::Topic>, Position, i64)| {
            let index = state.find(&topic, position.partition);
            let life = index.and_then(|index| state.partitions.get(index)).map(|p| p.books.life);
            Item {
                noted: life.map(|life| (topic.index(), position.partition, life)),
                partition: TopicPartition {
                    topic: Arc::clone(topic.name()),
                    partition: position.partition,
                },
                committed: Committed {
                    offset,
                    leader_epoch: position.leader_epoch,
                    metadata: position.metadata.clone(),
                },
                position,
            }
        };
        Ok(items.into_iter().map(item).collect())
    }

    /// Notes positions as done, for the automatic commit and for a commit without positions. Needs
    /// `enable.auto.offset.store=false`.
    ///
    /// # Errors
    /// [`Code::INVALID_STATE`] with `enable.auto.offset.store=true`; [`Code::NOT_ASSIGNED`];
    /// [`Code::INVALID_ARGUMENT`] without an offset. Then nothing is stored.
    pub fn store(&self, positions: &[Position]) -> Result<()> {
        drop(self.open()?);
        self.core().member()?;
        let items = self.given(positions)?;
        let mut state = self.open()?;
        if !state.group.stores_by_hand {
            let text =
                "offsets are stored by the library as long as enable.auto.offset.store is true";
            let error = Error::new(Code::INVALID_STATE, text);
            return Err(error.with_property("enable.auto.offset.store"));
        }
        if let Some(item) = items.iter().find(|item| item.noted.is_none()) {
            let TopicPartition { topic, partition } = &item.partition;
            let text = format!("topic {topic}, partition {partition} is not assigned");
            let error = Error::new(Code::NOT_ASSIGNED, text);
            return Err(error.with_topic(&**topic).with_partition(*partition));
        }
        for item in items {
            let Some((topic, number, _)) = item.noted else { continue };
            if let Some(partition) = state.find_key((topic, number)) {
                let place = Place::from(&item.committed);
                let metadata = item.committed.metadata;
                partition.books.stored = Some(Stored { place, metadata });
            }
        }
        state.ring();
        Ok(())
    }

    /// What the group has committed, in the order asked; without an offset where nothing is committed,
    /// with an error where one partition failed. The partitions need not be assigned. None = all
    /// assigned. TIMED_OUT, WOKEN.
    pub fn committed(
        &self,
        partitions: Option<&[Position]>,
        timeout_ms: i32,
    ) -> Result<Vec<Position>> {
        let limit = runtime::deadline(timeout_ms)?;
        let asked = match partitions {
            Some(partitions) => partitions.to_vec(),
            None => self.position(None)?,
        };
        drop(self.open()?);
        let core = self.core();
        let member = core.member()?;
        let name = |position: &Position| {
            let topic = core.cluster.topic(position.topic.as_str())?;
            let (topic, partition) = (Arc::clone(topic.name()), position.partition);
            Ok(TopicPartition { topic, partition })
        };
        let names = asked.iter().map(name).collect::<Result<Vec<_>>>()?;
        let deadline = limit.unwrap_or_else(runtime::far);
        let found = member.offsets.fetch(names, deadline);
        let (sender, answer) = Completion::new();
        let shared = Arc::clone(core);
        let ask = async move { sender.send(found.await) };
        let task = core.cluster.runtime().spawn("committed", move |e| shared.fail(e), ask);
        let found = core.await_task(task, &answer, limit.map(|limit| limit + LAST_WORD))?;
        Ok(asked.into_iter().zip(found).map(|(asked, found)| place(&asked, found)).collect())
    }

    /// Whether nothing waits to be read: no message, no event, no error.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(!self.open()?.has_news())
    }
}

fn place(asked: &Position, found: Result<Option<Committed>>) -> Position {
    let mut position = Position::new(asked.topic.clone(), asked.partition);
    match found {
        Ok(Some(found)) => {
            position.offset = Some(found.offset);
            position.leader_epoch = found.leader_epoch;
            position.metadata = found.metadata;
        }
        Ok(None) => {}
        Err(error) => position.error = Some(error),
    }
    position
}

impl State {
    /// What a commit without positions commits.
    fn whole(&mut self) -> Vec<Item> {
        let all = self.assigned();
        self.items(&all, How::Asked, Instant::now())
    }
}
