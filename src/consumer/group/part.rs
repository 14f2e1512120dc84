//! The consumer's membership: made at first need, heard by [`Ear`], driven by a task of its own.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use bytes::Bytes;
use once_cell::sync::OnceCell;
use tokio::sync::Notify;

use super::apply::{Heard, Polled};
use super::driver;
use super::handed::thread;
use super::lease::Lease;
use super::steps::{Share, Task};
use crate::cluster::Cluster;
use crate::config::GroupConfig;
use crate::consumer::core::Core;
use crate::consumer::event::Event;
use crate::consumer::name::Name;
use crate::consumer::state::State;
use crate::error::{Code, Error, Result};
use crate::group::assign::{Assign, OwnAssignor};
use crate::group::{Job, Listener, Member, Step, TopicPartition};

/// Makes a member that tells its steps to the listener.
pub type MakeMember =
    dyn Fn(&Arc<Cluster>, &GroupConfig, Arc<dyn Listener>) -> Result<Member> + Send + Sync;

/// Where the application hears of events, on the thread that polls.
pub type Tell<'a> = dyn FnMut(Event) + 'a;

/// What the consumer has of its group.
pub(in crate::consumer) struct Part {
    /// Wakes the task that drives the group.
    pub(super) kick: Arc<Notify>,
    /// Whether a thread that polls has something to do first.
    turn: AtomicBool,
    /// Until when the member is sure to be one.
    lease: Lease,
    member: OnceCell<Member>,
    make: Box<MakeMember>,
    own: OwnAssignor,
    /// What the member says of itself to that assignor.
    said: Mutex<Option<Bytes>>,
    /// Held while a subscription is noted and told: the member's is that of the state, whatever other
    /// threads do. Taken before the state's lock.
    telling: Mutex<()>,
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("member", &self.member.get()).finish_non_exhaustive()
    }
}

impl Part {
    pub(in crate::consumer) fn new(make: Box<MakeMember>, own: OwnAssignor) -> Self {
        let (kick, turn) = (Arc::default(), AtomicBool::new(false));
        let (member, said, telling) = Default::default();
        Self { kick, turn, lease: Lease::new(), member, make, own, said, telling }
    }

    /// The member, if it was needed yet.
    pub(super) fn made(&self) -> Option<&Member> {
        self.member.get()
    }

    /// Nobody else notes or tells a subscription as long as it is held.
    pub(super) fn telling(&self) -> MutexGuard<'_, ()> {
        self.telling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a thread that polls has something to do first.
    #[inline]
    pub(in crate::consumer) fn has_turn(&self) -> bool {
        self.turn.load(Ordering::Acquire)
    }

    /// Whether the member may be none any more, without having heard so: nothing is handed out then.
    #[inline]
    pub(in crate::consumer) fn is_unsure(&self, state: &State) -> bool {
        state.group.is_subscribed() && self.lease.is_over()
    }

    /// What the member says of itself from its next join on. [`Code::INVALID_STATE`] without an assignor of
    /// the application's own: no other would read it.
    pub(super) fn say(&self, user_data: Option<Bytes>) -> Result<()> {
        if self.own.0.is_none() {
            let text = "the consumer was made without an assignor of the application's own: nobody \
                        would read what its member says of itself";
            return Err(Error::new(Code::INVALID_STATE, text));
        }
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = user_data;
        Ok(())
    }

    /// Has the driving task look at the state.
    pub(in crate::consumer) fn kick(&self) {
        self.kick.notify_one();
    }
}

/// Hears the membership for the consumer, as long as that lives.
#[derive(Debug)]
struct Ear {
    core: Weak<Core>,
    /// The application's own assignor.
    own: Option<Arc<dyn Assign>>,
}

impl Listener for Ear {
    fn step(&self, step: Step) {
        if let Some(core) = self.core.upgrade() {
            core.hear(step);
        }
    }

    fn confirmed(&self, until: Option<Instant>) {
        if let Some(core) = self.core.upgrade() {
            if core.part.lease.renew(until) {
                // Who polled meanwhile got nothing, and sleeps.
                core.signal.notify();
            }
        }
    }

    fn assignor(&self) -> Option<Arc<dyn Assign>> {
        self.own.clone()
    }

    fn user_data(&self) -> Option<Bytes> {
        let core = self.core.upgrade()?;
        core.part.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Core {
    /// The member, made now if it was not before. [`Code::INVALID_GROUP_ID`] without `group.id`.
    pub(in crate::consumer) fn member(self: &Arc<Self>) -> Result<&Member> {
        if self.config.group.id.is_none() {
            let text = "group.id is not set: without a group nothing is committed and no partitions \
                        are shared";
            return Err(Error::new(Code::INVALID_GROUP_ID, text).with_property("group.id"));
        }
        self.part.member.get_or_try_init(|| {
            let own = self.part.own.0.clone();
            let ear = Arc::new(Ear { core: Arc::downgrade(self), own });
            let member = (self.part.make)(&self.cluster, &self.config.group, ear)?;
            self.keep(driver::start(self));
            Ok(member)
        })
    }

    /// A step of the membership. Does not wait.
    fn hear(self: &Arc<Self>, step: Step) {
        let heard = match step {
            Step::Assign(list, done) => {
                let shares = self.shares(&list);
                let topics = self.lock().topics_with(&shares);
                self.hold_given(topics);
                Heard::Assign(shares, done)
            }
            Step::Revoke(list, done) => Heard::Revoke(self.shares(&list), done),
            Step::Lost(list) => Heard::Lost(self.shares(&list)),
            Step::Run(job) => Heard::Run(job),
            Step::Failed(error) => Heard::Failed(error),
        };
        let mut state = self.lock();
        let heard = match (heard, &mut state.group.farewell) {
            (Heard::Revoke(_, done), Some(late)) => {
                late.push(done);
                // Perhaps too late.
                drop(state);
                self.part.kick();
                return;
            }
            (heard, _) => heard,
        };
        if state.closed || state.group.ending {
            drop(state);
            // The membership takes no answer while it tells.
            let late = self.cluster.runtime().spawn("group", |_| {}, async move { drop(heard) });
            self.keep(late);
            return;
        }
        state.hear(heard);
        self.look_around(&state);
        drop(state);
        self.part.kick();
        self.signal.notify();
    }

    /// Partitions by their topics' handles; one that cannot be is left out.
    pub(super) fn shares(&self, list: &[TopicPartition]) -> Vec<Share> {
        let share = |one: &TopicPartition| -> Result<Share> {
            Ok(Share {
                topic: self.cluster.topic_of_group(&one.topic)?,
                name: Name::new(&one.topic)?,
                number: one.partition,
                own: self.config.for_topic(&one.topic),
            })
        };
        let known = |one: &TopicPartition| {
            share(one)
                .inspect_err(|error| {
                    let logger = self.cluster.logger();
                    logger.warn("consumer", format_args!("a partition of the group: {error}"));
                })
                .ok()
        };
        list.iter().filter_map(known).collect()
    }

    /// Notes whether a thread that polls has something to do; after each change of the steps.
    pub(super) fn look_around(&self, state: &State) {
        self.part.turn.store(state.group.steps.has_task(), Ordering::Release);
    }

    /// Does what waits for a thread that polls: the membership's own work, and telling the application.
    pub(in crate::consumer) fn take_turn(self: &Arc<Self>, tell: &mut Tell<'_>) {
        while let Some(task) = self.next_task() {
            match task {
                Task::Job(Job(run)) => run(),
                Task::Tell(event) => tell(event),
            }
        }
    }

    /// Does only the membership's own work: inside a callback nothing is told, but what it waits for there may
    /// wait for that.
    pub(super) fn run_jobs(&self) {
        loop {
            let mut state = self.lock();
            let Some(Job(run)) = state.group.steps.jobs.pop_front() else { return };
            self.look_around(&state);
            drop(state);
            run();
            self.part.kick();
        }
    }

    /// A thread came back, for whatever.
    pub(in crate::consumer) fn came_back(&self) {
        let mut state = self.lock();
        if state.group.on && state.group.polled(thread()) == Polled::Matters {
            self.part.kick();
        }
    }

    fn next_task(self: &Arc<Self>) -> Option<Task> {
        let mut state = self.lock();
        let task = state.take_task(&Arc::downgrade(self), Instant::now());
        self.look_around(&state);
        drop(state);
        if task.is_some() {
            // What was assigned can be looked up, and another step may be next.
            self.kick.notify_one();
            self.part.kick();
        }
        task
    }

    /// The application has done with a step that it was told of.
    pub(in crate::consumer) fn release(&self, id: u64) {
        let mut state = self.lock();
        state.release(id);
        state.wake_fetchers();
        drop(state);
        self.kick.notify_one();
        self.part.kick();
    }
}
