//! Commits on their way, and what becomes of their outcomes.

use std::collections::{BTreeMap, VecDeque};
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
    /// The application, now; by the number in [`CommitsOut`] too, for it may give up waiting.
    Answer(u64, Sender<Vec<Position>>),
    /// The end of the subscription, or of the consumer.
    Last(Sender<Vec<Position>>),
}

/// Which positions a commit without positions takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::consumer) enum How {
    /// By itself: only what the application came back for (9.19), and only news.
    Auto,
    /// Because the application asks: what is free.
    Asked,
}

/// Commits under way that the application sent. Those that it does not wait for it counts on all the same,
/// so that the end of the consumer waits for them, and on hearing how they ended. There may be thousands:
/// nothing here looks at all of them for one.
#[derive(Debug, Default)]
pub(in crate::consumer) struct CommitsOut {
    /// Oldest first.
    ends: VecDeque<Completion<()>>,
    /// Whose outcome was not told yet, by number.
    untold: BTreeMap<u64, Untold>,
    last: u64,
    /// The consumer ends: whose outcome comes later hears of it no more.
    ended: bool,
}

#[derive(Debug)]
struct Untold {
    items: Vec<Item>,
    /// Somebody waits for it.
    awaited: bool,
    end: Option<Completion<()>>,
}

impl CommitsOut {
    /// Another one is to be sent; gives its number.
    pub(super) fn note(&mut self, items: &[Item], awaited: bool) -> u64 {
        self.last += 1;
        let untold = Untold { items: items.to_vec(), awaited, end: None };
        self.untold.insert(self.last, untold);
        self.last
    }

    /// Who waited for it gives up: its outcome comes as that of one that nobody waits for. None if it has
    /// one by now; false if nobody will tell it any more.
    pub(super) fn give_up(&mut self, number: u64) -> Option<bool> {
        self.untold.get_mut(&number)?.awaited = false;
        Some(!self.ended)
    }

    /// Whether one of the first `count` ones that nobody waits for was not told yet.
    pub(super) fn are_untold(&self, count: u64) -> bool {
        self.untold.range(..=count).any(|(_, untold)| !untold.awaited)
    }

    fn add(&mut self, then: &Then, end: Completion<()>) {
        match then {
            Then::Tell(_) => {
                // Those that are over are forgotten.
                self.are_any();
                self.ends.push_back(end);
            }
            Then::Answer(number, _) => {
                if let Some(untold) = self.untold.get_mut(number) {
                    untold.end = Some(end);
                }
            }
            Then::Timed | Then::Step(_) | Then::Last(_) => {}
        }
    }

    /// Whether there are any that nobody ever waited for.
    pub(super) fn are_any(&mut self) -> bool {
        while self.ends.front().is_some_and(|end| end.try_take().is_some()) {
            self.ends.pop_front();
        }
        !self.ends.is_empty()
    }

    /// The ends of those that nobody waits for, to be waited for.
    pub(super) fn take_ends(&mut self) -> Vec<Completion<()>> {
        let left = self.untold.values_mut().filter(|untold| !untold.awaited);
        let left = left.filter_map(|untold| untold.end.take());
        std::mem::take(&mut self.ends).into_iter().chain(left).collect()
    }

    /// Its outcome is told now; none if it was before.
    fn tells(&mut self, number: u64) -> Option<Untold> {
        self.untold.remove(&number)
    }

    /// The consumer ends: those that were not told and that nobody waits for.
    fn end(&mut self) -> Vec<Untold> {
        self.ended = true;
        let (awaited, left) =
            std::mem::take(&mut self.untold).into_iter().partition(|(_, u)| u.awaited);
        self.untold = awaited;
        BTreeMap::into_values(left).collect()
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
            let Some(due) = self.due_commit(index, how == How::Asked) else { continue };
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
        self.lock().group.commits_out.add(&then, end);
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
            Then::Tell(number) => {
                // Else the end of the consumer did not wait for it any longer, and has said so.
                if state.group.commits_out.tells(number).is_some() {
                    self.tell_outcome(&mut state, told);
                }
            }
            Then::Answer(number, sender) => match state.group.commits_out.tells(number) {
                Some(Untold { awaited: true, .. }) => sender.send(Ok(told)),
                // Who waited gave up: it comes as that of an asynchronous one.
                Some(_) => self.tell_outcome(&mut state, told),
                None => {}
            },
            Then::Last(sender) if sender.is_abandoned() => self.tell_outcome(&mut state, told),
            Then::Last(sender) => sender.send(Ok(told)),
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
        for Untold { items, .. } in state.group.commits_out.end() {
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
