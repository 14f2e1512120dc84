//! The steps of a membership on their way to the application: one after the other, each told once, the
//! next only when the application has done with it.
//!
//! A revocation waits first until the threads that got messages of its partitions came back (so that
//! what they work on is committed, and is not read twice), then for the automatic commit, and is told
//! then. What nobody wants to hear of is answered by the library.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::cluster::Topic;
use crate::config::{Events, TopicConsumerConfig};
use crate::consumer::event::Event;
use crate::consumer::name::Name;
use crate::consumer::position::Position;
use crate::group::{Done, Job};

/// A partition that a step is about.
#[derive(Clone, Debug)]
pub(in crate::consumer) struct Share {
    pub(in crate::consumer) topic: Arc<Topic>,
    pub(in crate::consumer) name: Name,
    pub(in crate::consumer) number: i64,
    /// What is configured for its topic.
    pub(in crate::consumer) own: TopicConsumerConfig,
}

impl Share {
    pub(super) fn is(&self, other: &Share) -> bool {
        self.topic.index() == other.topic.index() && self.number == other.number
    }
}

/// What became of partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::consumer) enum Turn {
    Assigned,
    Revoked,
    Lost,
}

/// How the application hears of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::consumer) enum Route {
    /// It did not ask: the library answers.
    #[default]
    Nobody,
    /// It reads events.
    Event,
    /// By a callback, inside a poll-like call.
    Callback,
}

/// What the application wants to hear of, and how.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::consumer) struct Routes {
    assigned: Route,
    revoked: Route,
    lost: Route,
    /// The outcomes of commits.
    pub(in crate::consumer) committed: Route,
}

/// The callbacks that a consumer's caller runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Callbacks {
    /// Partitions that are assigned, revoked or lost are told by a callback.
    pub rebalance: bool,
    /// The outcomes of asynchronous commits are told by a callback.
    pub commit: bool,
}

impl Routes {
    /// A callback wins over events of its kind.
    pub(in crate::consumer) fn new(callbacks: Callbacks, events: Events) -> Self {
        let route = |callback, event| match (callback, event) {
            (true, _) => Route::Callback,
            (false, true) => Route::Event,
            (false, false) => Route::Nobody,
        };
        Self {
            assigned: route(callbacks.rebalance, events.assigned),
            revoked: route(callbacks.rebalance, events.revoked),
            lost: route(callbacks.rebalance, events.lost),
            committed: route(callbacks.commit, events.committed),
        }
    }

    pub(super) fn of(&self, turn: Turn) -> Route {
        match turn {
            Turn::Assigned => self.assigned,
            Turn::Revoked => self.revoked,
            Turn::Lost => self.lost,
        }
    }
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// A thread may still work on messages of its partitions.
    Reading,
    /// Their positions are being committed.
    Committing,
    /// It can be told.
    Ready,
}

/// A step that was not told yet.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) id: u64,
    pub(super) turn: Turn,
    pub(super) shares: Vec<Share>,
    /// Where lost partitions were; they are gone already.
    pub(super) lost: Vec<Position>,
    pub(super) stage: Stage,
    pub(super) done: Option<Done>,
}

/// A step that the application was told of and has not done with.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) id: u64,
    pub(super) turn: Turn,
    pub(super) shares: Vec<Share>,
    pub(super) since: Instant,
    pub(super) done: Option<Done>,
}

/// What a thread that polls is to do before it looks for messages.
#[derive(Debug)]
pub(in crate::consumer) enum Task {
    /// The membership's own.
    Job(Job),
    /// Tell the application.
    Tell(Event),
}

/// Steps on their way.
#[derive(Debug, Default)]
pub(in crate::consumer) struct Steps {
    pub(super) routes: Routes,
    pub(super) queue: VecDeque<Waiting>,
    pub(super) held: Vec<Held>,
    pub(super) jobs: VecDeque<Job>,
    /// Outcomes of commits for a callback.
    pub(super) outcomes: VecDeque<Event>,
    /// Steps that are done; the membership hears of it outside the lock.
    pub(super) dones: Vec<Done>,
    /// Revocations that are done but for commits that the application sent.
    pub(super) parting: Vec<Done>,
    last: u64,
}

impl Steps {
    pub(in crate::consumer) fn new(routes: Routes) -> Self {
        Self { routes, ..Self::default() }
    }

    /// Another step, behind those that wait.
    pub(super) fn push(&mut self, turn: Turn, shares: Vec<Share>, done: Option<Done>) {
        self.last += 1;
        let stage = if turn == Turn::Revoked { Stage::Reading } else { Stage::Ready };
        let step = Waiting { id: self.last, turn, shares, lost: Vec::new(), stage, done };
        self.queue.push_back(step);
    }

    /// These are gone, and the application is to hear of it.
    pub(super) fn push_lost(&mut self, lost: Vec<Position>) {
        self.push(Turn::Lost, Vec::new(), None);
        if let Some(step) = self.queue.back_mut() {
            step.lost = lost;
        }
    }

    /// These are lost: steps about them that were not told are void.
    pub(super) fn void(&mut self, lost: &[Share]) {
        for step in self.queue.iter_mut().filter(|step| step.turn != Turn::Lost) {
            let before = step.shares.len();
            step.shares.retain(|share| !lost.iter().any(|other| other.is(share)));
            if step.shares.is_empty() && before > 0 {
                self.dones.extend(step.done.take());
            }
        }
        // An assignment of nothing, as it came, is told all the same.
        self.queue.retain(|step| step.turn == Turn::Lost || step.done.is_some());
    }

    /// Whether something waits for a thread that polls.
    pub(in crate::consumer) fn has_task(&self) -> bool {
        !self.jobs.is_empty() || !self.outcomes.is_empty() || self.front() == Some(Route::Callback)
    }

    /// Whether some of that is work of the membership's own.
    pub(super) fn has_job(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// Whether a step waits as an event.
    pub(in crate::consumer) fn has_event(&self) -> bool {
        self.front() == Some(Route::Event)
    }

    /// How the step hears that can be told now.
    fn front(&self) -> Option<Route> {
        let front = self.queue.front().filter(|step| step.stage == Stage::Ready)?;
        Some(self.routes.of(front.turn))
    }

    /// Whether a step waits for the application.
    pub(in crate::consumer) fn is_waiting(&self) -> bool {
        !self.queue.is_empty() || !self.jobs.is_empty()
    }

    /// Whether partitions are changing hands.
    pub(in crate::consumer) fn is_moving(&self) -> bool {
        !self.queue.is_empty() || !self.held.is_empty()
    }

    /// Whether a revocation waits for threads to come back.
    pub(in crate::consumer) fn is_reading(&self) -> bool {
        self.queue.iter().any(|step| step.stage == Stage::Reading)
    }

    /// The commit before a revocation ended.
    pub(super) fn committed(&mut self, id: u64) {
        if let Some(step) = self.queue.iter_mut().find(|step| step.id == id) {
            step.stage = Stage::Ready;
        }
    }

    /// The partitions whose revocation the application was told of.
    pub(super) fn told_revoked(&self, share: &Share) -> bool {
        let revoked = self.held.iter().filter(|held| held.turn == Turn::Revoked);
        revoked.flat_map(|held| &held.shares).any(|other| other.is(share))
    }

    /// Ends everything: nothing more is told.
    pub(super) fn end(&mut self) {
        let queue = self.queue.drain(..).filter_map(|step| step.done);
        let held = self.held.drain(..).filter_map(|held| held.done);
        self.dones.extend(queue.chain(held).chain(self.parting.drain(..)));
        self.jobs.clear();
    }
}
