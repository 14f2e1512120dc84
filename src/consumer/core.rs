//! What the front door, the fetchers and the look-ups share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use super::bell::Bell;
use super::budget::Budget;
use super::group::{Membered, Part, Steps};
use super::state::State;
use crate::cluster::{Cluster, HeldTopics, Topic};
use crate::config::ConsumerConfig;
use crate::error::{Code, Error, Result};
use crate::runtime::{Completion, Task};

/// One consumer behind its front door. Tasks hold it; the front door's drop stops the tasks.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) cluster: Arc<Cluster>,
    pub(super) config: ConsumerConfig,
    pub(super) signal: Bell,
    pub(super) budget: Arc<Budget>,
    /// Wakes the task that follows leaders and starts look-ups.
    pub(super) kick: Notify,
    /// What it has of its group.
    pub(super) part: Part,
    state: Mutex<State>,
    /// The topics that the application named, and those that its group gave it: fresh while it reads.
    named: Mutex<Option<HeldTopics>>,
    given: Mutex<Option<HeldTopics>>,
    /// None once stopped.
    tasks: Mutex<Option<Kept>>,
}

/// Tasks to be stopped at the end; look-ups and commits come and go.
#[derive(Debug, Default)]
struct Kept {
    list: Vec<Task>,
    /// How many were left by the last sweep.
    swept: usize,
}

impl Kept {
    /// Those that ended are forgotten when as many again have come, so that a task costs no more than two
    /// looks.
    fn add(&mut self, task: Task) {
        if self.list.len() > 2 * self.swept + 16 {
            self.list.retain(|task| !task.is_finished());
            self.swept = self.list.len();
        }
        self.list.push(task);
    }
}

impl Core {
    pub(super) fn new(
        cluster: Arc<Cluster>,
        config: ConsumerConfig,
        steps: Steps,
        part: Part,
    ) -> Arc<Self> {
        let signal = Bell::new(cluster.signal());
        let budget = Budget::new(config.memory_limit, signal.own());
        let group = Membered::new(&config, steps);
        Arc::new(Self {
            cluster,
            config,
            signal,
            budget,
            kick: Notify::new(),
            part,
            state: Mutex::new(State::of(group)),
            named: Mutex::default(),
            given: Mutex::default(),
            tasks: Mutex::new(Some(Kept::default())),
        })
    }

    /// The state. The lock is held for moments: never across a wait, a decode or a system call.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These are the topics that the application wants to read now, and no others.
    pub(super) fn hold(&self, topics: Vec<Arc<Topic>>) {
        replace(&self.named, Some(HeldTopics::new(&self.cluster, topics, true)));
    }

    /// These are the topics that the group gave: they are there, or were, and are not made again.
    pub(super) fn hold_given(&self, topics: Vec<Arc<Topic>>) {
        replace(&self.given, Some(HeldTopics::new(&self.cluster, topics, false)));
    }

    /// Nothing is read any more.
    pub(super) fn let_topics_go(&self) {
        replace(&self.named, None);
        replace(&self.given, None);
    }

    /// Keeps a task to be stopped at the end; stops it at once when that has passed (a task that
    /// starts others does not see the close between its look at the state and its start).
    pub(super) fn keep(&self, task: Task) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *tasks {
            Some(tasks) => tasks.add(task),
            None => task.abort(),
        }
    }

    /// Waits for what a task answers. It ends when nobody waits any more: it would ask for ever.
    pub(super) fn await_task<T>(
        &self,
        task: Task,
        answer: &Completion<T>,
        limit: Option<Instant>,
    ) -> Result<T> {
        let stop = task.stop();
        self.keep(task);
        answer.wait(limit, Some(self.signal.own())).map_err(|error| {
            stop.abort();
            self.why_abandoned(error)
        })
    }

    /// An answer was abandoned because its task was stopped: by the close, or by what broke the consumer.
    pub(super) fn why_abandoned(&self, error: Error) -> Error {
        if error.code() != Code::ABANDONED {
            return error;
        }
        let why = self.signal.failure().or_else(|| self.lock().check_open().err());
        why.unwrap_or(error)
    }

    /// Stops every task, now and later.
    pub(super) fn stop(&self) {
        let tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner).take();
        tasks.iter().flat_map(|tasks| &tasks.list).for_each(Task::abort);
    }

    /// A panic in a task or a fatal error of the cluster: every waiter wakes and gets it.
    pub(super) fn fail(&self, error: Error) {
        self.signal.fail(error);
        // Nobody will read what they fetch, nor what the group gives.
        self.abandon_group();
        self.stop();
    }

    /// Whether fetching or reading stands still for what the application holds, and it was not told yet.
    pub(super) fn is_stalled(&self) -> bool {
        self.budget.is_starving() && !self.lock().stall_told
    }

    /// Says why nothing comes, once per stall (principle 15).
    pub(super) fn tell_stall(&self) -> Option<Error> {
        if !self.budget.is_starving() || std::mem::replace(&mut self.lock().stall_told, true) {
            return None;
        }
        let (used, limit) = (self.budget.used(), self.budget.limit());
        let text = format!(
            "fetching stands still: batches and messages that the application holds, and what was \
             fetched of paused partitions, keep {used} bytes, samsa.memory.limit is {limit}; free \
             them, copy what must stay, resume partitions, or raise the limit"
        );
        self.cluster.logger().warn("consumer", format_args!("{text}"));
        Some(Error::new(Code::MEMORY_LIMIT, text).with_property("samsa.memory.limit"))
    }
}

/// The old ones are let go when the new ones are held, so that what is in both is not forgotten.
fn replace(place: &Mutex<Option<HeldTopics>>, topics: Option<HeldTopics>) {
    let old = std::mem::replace(&mut *place.lock().unwrap_or_else(PoisonError::into_inner), topics);
    drop(old);
}
