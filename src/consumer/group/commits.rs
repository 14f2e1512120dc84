//! Commits on their way, and what becomes of their outcomes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::place::Place;
use super::steps::Route;
use crate::consumer::core::Core;
use crate::consumer::event::{Event, Partitions};
use crate::consumer::partition::Era;
use crate::consumer::position::Position;
use crate::consumer::state::State;
use crate::error::{Code, Error, Result};
use crate::group::{Committed, TopicPartition};
use crate::runtime::{Completion, Sender, Task};

/// One partition of a commit, as it was when the commit was made (11.5).
#[derive(Clone, Debug)]
pub(in crate::consumer) struct Item {
    pub(super) position: Position,
    pub(super) partition: TopicPartition,
    pub(super) committed: Committed,
    /// The partition's index among all topics, and its life, to note the outcome; none if it is not
    /// assigned.
    pub(super) noted: Option<(usize, i64, Era)>,
}

/// Who waits for the outcome.
#[derive(Debug)]
pub(in crate::consumer) enum Then {
    /// Nobody: a failure is told once.
    Timed,
    /// The revocation of this number.
    Step(u64),
    /// The application, in its time; by the number in [`CommitsOut`].
    Tell(u64),
    /// The application, now.
    Answer(Sender<Vec<Position>>),
}

/// Which positions a commit without positions takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::consumer) enum How {
    /// By itself: only what the application came back for (9.19), and only news.
    Auto,
    /// By itself when it leaves: what is free, and only news.
    Leaving,
    /// Because the application asks: what is free.
    Asked,
}

/// Commits under way that the application sent and does not wait for: it counts on them all the same, so
/// that the end of the consumer waits for them, and on hearing how they ended.
#[derive(Debug, Default)]
pub(in crate::consumer) struct CommitsOut {
    ends: Vec<Completion<()>>,
    /// Whose outcome was not told yet, by number.
    untold: Vec<(u64, Vec<Item>)>,
    last: u64,
}

impl CommitsOut {
    /// Another one is to be sent; gives its number.
    pub(super) fn note(&mut self, items: &[Item]) -> u64 {
        self.last += 1;
        self.untold.push((self.last, items.to_vec()));
        self.last
    }

    /// The number of the newest one.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Whether one of the first `count` ones was not told yet.
    pub(super) fn are_untold(&self, count: u64) -> bool {
        self.untold.iter().any(|(number, _)| *number <= count)
    }

    fn add(&mut self, end: Completion<()>) {
        // Those that are over are forgotten.
        self.are_any();
        self.ends.push(end);
    }

    /// Whether there are any.
    pub(super) fn are_any(&mut self) -> bool {
        self.ends.retain(|end| end.try_take().is_none());
        !self.ends.is_empty()
    }

    /// Their ends, to be waited for.
    pub(super) fn take_ends(&mut self) -> Vec<Completion<()>> {
        std::mem::take(&mut self.ends)
    }

    /// Its outcome is told now; false if it was before.
    fn tells(&mut self, number: u64) -> bool {
        let before = self.untold.len();
        self.untold.retain(|(other, _)| *other != number);
        self.untold.len() < before
    }
}

/// Waits until all of these are over; whether they were in time.
pub(super) fn are_over(ends: Vec<Completion<()>>, limit: Instant) -> bool {
    // One that was abandoned is over too.
    let is_over = |end: Completion<()>| match end.wait(Some(limit), None) {
        Err(error) => error.code() != Code::TIMED_OUT,
        Ok(()) => true,
    };
    ends.into_iter().all(is_over)
}

impl State {
    /// What is to be committed of these partitions.
    pub(super) fn items(&mut self, indices: &[usize], how: How, now: Instant) -> Vec<Item> {
        let mut items = Vec::new();
        for &index in indices {
            let Some(due) = self.due_commit(index, how != How::Auto) else { continue };
            let Some(partition) = self.partitions.get(index) else { continue };
            if how != How::Asked && partition.books.is_known(due.place, now) {
                continue;
            }
            let mut position = Position::new(partition.name.clone(), partition.number);
            position.offset = Some(due.place.offset);
            position.leader_epoch = (due.place.epoch >= 0).then_some(due.place.epoch);
            position.metadata.clone_from(&due.metadata);
            let topic = Arc::clone(partition.topic.name());
            items.push(Item {
                position,
                partition: TopicPartition { topic, partition: partition.number },
                committed: due.place.committed(due.metadata),
                noted: Some((partition.topic.index(), partition.number, partition.books.life)),
            });
        }
        items
    }

    fn note(&mut self, items: &[Item], outcomes: &[Result<()>], now: Instant) {
        for (item, outcome) in items.iter().zip(outcomes) {
            let Some((topic, number, life)) = item.noted.filter(|_| outcome.is_ok()) else {
                continue;
            };
            if let Some(partition) = self.find_key((topic, number)) {
                partition.books.note(Place::from(&item.committed), life, now);
            }
        }
    }
}

impl Core {
    /// Sends a commit. Its places were fixed by the caller; the outcome goes where `then` says.
    pub(in crate::consumer) fn send_commit(
        self: &Arc<Self>,
        items: Vec<Item>,
        once: bool,
        deadline: Instant,
        then: Then,
    ) {
        if let Some(task) = self.start_commit(items, once, deadline, then) {
            self.keep(task);
        }
    }

    /// The same; none if there was nothing to commit. The task goes on though nobody keeps it.
    pub(super) fn start_commit(
        self: &Arc<Self>,
        items: Vec<Item>,
        once: bool,
        deadline: Instant,
        then: Then,
    ) -> Option<Task> {
        let Some(member) = self.part.made().filter(|_| !items.is_empty()) else {
            self.conclude(&items, Vec::new(), then);
            return None;
        };
        let places = items.iter().map(|i| (i.partition.clone(), i.committed.clone())).collect();
        let outcomes = member.offsets.commit(places, once, deadline);
        let (over, end) = Completion::new();
        if matches!(then, Then::Tell(_)) {
            self.lock().group.commits_out.add(end);
        }
        let (shared, core) = (Arc::clone(self), Arc::clone(self));
        let task =
            self.cluster.runtime().spawn("commit", move |error| shared.fail(error), async move {
                core.conclude(&items, outcomes.await, then);
                over.send(Ok(()));
                // A revocation may wait for it.
                core.part.kick();
            });
        Some(task)
    }

    pub(super) fn conclude(&self, items: &[Item], mut outcomes: Vec<Result<()>>, then: Then) {
        // One without an answer is an error (11.6).
        outcomes.resize_with(items.len(), || Err(Error::bare(Code::ABANDONED)));
        let now = Instant::now();
        let mut state = self.lock();
        state.note(items, &outcomes, now);
        let told = told(items, &outcomes);
        match then {
            Then::Timed => self.timed_ended(&mut state, &outcomes, items, now),
            Then::Step(id) => {
                self.report_failure(&mut state, &outcomes, items);
                state.group.steps.committed(id);
            }
            // The end of the consumer did not wait for it any longer, and has said so.
            Then::Tell(number) if !state.group.commits_out.tells(number) => {}
            Then::Tell(_) => self.tell_outcome(&mut state, told),
            // Who waited gave up: it comes as that of an asynchronous one.
            Then::Answer(sender) if sender.is_abandoned() => self.tell_outcome(&mut state, told),
            Then::Answer(sender) => sender.send(Ok(told)),
        }
        self.look_around(&state);
        let news = state.has_news();
        drop(state);
        self.part.kick();
        match news {
            true => self.signal.notify(),
            // Who waits for the outcome looks again.
            false => self.signal.nudge(),
        }
    }

    fn timed_ended(
        &self,
        state: &mut State,
        outcomes: &[Result<()>],
        items: &[Item],
        now: Instant,
    ) {
        let failed = self.report_failure(state, outcomes, items);
        let pause = self.config.retry_backoff.max(Duration::from_millis(10));
        state.group.timed.end(failed.then(|| now + pause));
    }

    /// A commit that nobody waits for failed: told once, until one succeeds. Whether it did.
    fn report_failure(&self, state: &mut State, outcomes: &[Result<()>], items: &[Item]) -> bool {
        // That the membership changed is told by its steps.
        let by_steps = [
            Code::ILLEGAL_GENERATION,
            Code::UNKNOWN_MEMBER_ID,
            Code::REBALANCE_IN_PROGRESS,
            Code::STALE_MEMBER_EPOCH,
            Code::FENCED_MEMBER_EPOCH,
            Code::NOT_ASSIGNED,
        ];
        let mut failures: Vec<(&Error, &Item)> = outcomes
            .iter()
            .zip(items)
            .filter_map(|(outcome, item)| Some((outcome.as_ref().err()?, item)))
            .collect();
        // Also if the group's other members took all of its time.
        let cause = |error: &Error| match error.cause() {
            Some(cause) if error.code() == Code::TIMED_OUT => cause.code(),
            _ => error.code(),
        };
        let told_by_steps = |error: &Error| by_steps.contains(&cause(error));
        // What nothing else tells comes first.
        failures.sort_by_key(|(error, _)| told_by_steps(error));
        let Some(&(error, item)) = failures.first() else {
            state.group.failure = None;
            return false;
        };
        let code = error.code();
        let text = format!(
            "offset {} of topic {}, partition {} could not be committed",
            item.committed.offset, item.partition.topic, item.partition.partition
        );
        self.cluster.logger().warn("consumer", format_args!("{text}: {error}"));
        if !told_by_steps(error) && state.group.failure.replace(code) != Some(code) {
            let error = Error::new(code, text)
                .with_topic(&*item.partition.topic)
                .with_partition(item.partition.partition)
                .caused_by(error.clone());
            state.report_general(error);
        }
        true
    }

    /// The consumer ends, and with it the tasks that would hear how these commits end.
    pub(super) fn tell_open_commits(&self) {
        let mut state = self.lock();
        for (_, items) in std::mem::take(&mut state.group.commits_out.untold) {
            let late = || {
                let text = "the consumer was closed before the group answered: it may be committed";
                Err(Error::new(Code::TIMED_OUT, text))
            };
            let outcomes: Vec<Result<()>> = items.iter().map(|_| late()).collect();
            self.tell_outcome(&mut state, told(&items, &outcomes));
        }
        self.look_around(&state);
    }

    fn tell_outcome(&self, state: &mut State, told: Vec<Position>) {
        let failed = told.iter().find_map(|position| position.error.clone());
        let event = Event::Committed(Partitions::new(told, None));
        match (state.group.steps.routes.committed, failed) {
            (Route::Event, _) => state.push_event(event),
            (Route::Callback, _) => state.group.steps.outcomes.push_back(event),
            (Route::Nobody, Some(error)) => state.report_general(error),
            (Route::Nobody, None) => {}
        }
    }
}

/// The outcome of each partition as applications read it.
fn told(items: &[Item], outcomes: &[Result<()>]) -> Vec<Position> {
    let told = |(item, outcome): (&Item, &Result<()>)| {
        let mut position = item.position.clone();
        position.error = outcome.as_ref().err().cloned();
        position
    };
    items.iter().zip(outcomes).map(told).collect()
}
