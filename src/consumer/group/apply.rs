//! What steps do to the consumer's partitions. Under the state's lock; no clock, no wait.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::handed::Readers;
use super::leave::Late;
use super::liveness::Liveness;
use super::place::{Place, Stored};
use super::steps::{Held, Route, Share, Stage, Steps, Task, Turn, Waiting};
use crate::cluster::Topic;
use crate::config::ConsumerConfig;
use crate::consumer::core::Core;
use crate::consumer::event::{Event, Hold, Partitions};
use crate::consumer::partition::{Partition, Phase};
use crate::consumer::position::{Position, Start};
use crate::consumer::state::State;
use crate::error::{Code, Error};
use crate::group::{Done, Job};

/// Who says what is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::consumer) enum Mode {
    /// Nobody yet.
    #[default]
    Idle,
    /// The application, by `assign` (or by subscribing to a whole topic without a group).
    Assigned,
    /// The group; in the application's words.
    Subscribed(Vec<Arc<str>>),
}

/// The part of the state that belongs to the group.
#[derive(Debug, Default)]
pub(in crate::consumer) struct Membered {
    /// Whether there is a group: only then it matters what the application holds.
    pub(in crate::consumer) on: bool,
    pub(in crate::consumer) mode: Mode,
    pub(in crate::consumer) readers: Readers,
    pub(in crate::consumer) steps: Steps,
    /// Counts polls.
    pub(in crate::consumer) polls: u64,
    /// Told once when there is something to read, or something was handed out.
    pub(in crate::consumer) alarm: Option<Arc<Notify>>,
    /// The member left because nobody polled; what polls next brings it back.
    pub(in crate::consumer) out: bool,
    /// The member is to come back.
    pub(super) back: bool,
    /// The alarm rang since the last look.
    pub(super) woken: bool,
    pub(super) liveness: Liveness,
    /// Assignments that were applied; a subscription waits for the first.
    pub(in crate::consumer) assignments: u64,
    /// The consumer leaves its group for good.
    pub(in crate::consumer) ending: bool,
    /// So many threads end a subscription: the membership has not heard of that yet, and what it tells
    /// belongs to the old one, also if there is a new one.
    pub(super) unsubscribing: usize,
    /// The last commit before partitions are given up is still to come, be it of several threads.
    pub(super) farewell: Option<Late>,
    /// The thread that closes the consumer.
    pub(super) closing: Option<usize>,
    /// The error of the last timed commit, which was told.
    pub(super) failure: Option<Code>,
    pub(super) timed: super::timed::Timed,
    pub(super) commits_out: super::commits::CommitsOut,
    /// `enable.auto.offset.store=false`: only what was stored is committed by itself.
    pub(in crate::consumer) stores_by_hand: bool,
    reset_on_start: bool,
    /// What was assigned before, with `samsa.reset.offset.on.start`.
    seen: HashSet<(usize, i64)>,
}

impl Membered {
    /// Of a consumer with this configuration.
    pub(in crate::consumer) fn new(config: &ConsumerConfig, steps: Steps) -> Self {
        Self {
            on: config.group.id.is_some(),
            reset_on_start: config.group.reset_offset_on_start,
            stores_by_hand: !config.group.auto_offset_store,
            steps,
            ..Self::default()
        }
    }

    /// Whether the group says what is read.
    pub(in crate::consumer) fn is_subscribed(&self) -> bool {
        matches!(self.mode, Mode::Subscribed(_))
    }

    /// Whether nothing is to be told or done before messages.
    pub(in crate::consumer) fn is_quiet(&self) -> bool {
        self.alarm.is_none() && !self.steps.is_waiting() && !self.out
    }

    /// The topics that were subscribed to by name.
    pub(in crate::consumer) fn subscribed_names(&self) -> impl Iterator<Item = Arc<str>> {
        let entries = match &self.mode {
            Mode::Subscribed(entries) => entries.as_slice(),
            Mode::Idle | Mode::Assigned => &[],
        };
        entries.iter().filter(|entry| !entry.starts_with(['^', '!'])).cloned()
    }

    /// A thread polls: it is done with what it got before.
    #[inline]
    pub(in crate::consumer) fn polled(&mut self, thread: usize) -> Polled {
        self.polls += 1;
        let came_back = self.readers.came_back(thread) && self.steps.is_reading();
        let back = std::mem::take(&mut self.out);
        self.back |= back;
        if came_back || back { Polled::Matters } else { Polled::Routine }
    }

    /// Whether a partition that is assigned now begins with what the group committed.
    pub(in crate::consumer) fn begins_with_committed(&mut self, key: (usize, i64)) -> bool {
        self.on && !(self.reset_on_start && self.seen.insert(key))
    }
}

/// What a poll means to the task that drives the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::consumer) enum Polled {
    /// Nothing.
    Routine,
    /// It is to look.
    Matters,
}

/// A step with its topics looked up.
#[derive(Debug)]
pub(super) enum Heard {
    Assign(Vec<Share>, Done),
    Revoke(Vec<Share>, Done),
    Lost(Vec<Share>),
    Run(Job),
    Failed(Error),
}

/// What the task behind the state has to do.
#[derive(Debug, Default)]
pub(super) struct Errands {
    /// Commit the positions of the step's partitions, then say so.
    pub(super) commit: Option<(u64, Vec<usize>)>,
    /// Partitions came or went: leaders and look-ups are to be followed.
    pub(super) moved: bool,
}

impl State {
    /// A step arrives. From now on nothing is handed out of what it takes away.
    pub(super) fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Assign(shares, done)
                if self.group.is_subscribed() && self.group.unsubscribing == 0 =>
            {
                self.group.steps.push(Turn::Assigned, shares, Some(done));
            }
            // They crossed the end of the subscription; what was assigned by hand since is not the group's.
            Heard::Assign(_, done) => self.group.steps.dones.push(done),
            Heard::Revoke(_, done) if self.group.mode == Mode::Assigned => {
                self.group.steps.dones.push(done);
            }
            Heard::Lost(_) if self.group.mode == Mode::Assigned => {}
            Heard::Revoke(shares, done) => {
                let known: Vec<Share> = shares
                    .into_iter()
                    .filter(|s| self.find(&s.topic, s.number).is_some())
                    .collect();
                if known.is_empty() {
                    self.group.steps.dones.push(done);
                    return;
                }
                for share in &known {
                    if let Some(index) = self.find(&share.topic, share.number) {
                        self.fence(index);
                    }
                }
                self.group.steps.push(Turn::Revoked, known, Some(done));
            }
            Heard::Lost(shares) => self.lose_shares(shares),
            Heard::Run(job) => self.group.steps.jobs.push_back(job),
            Heard::Failed(error) => self.report_general(error),
        }
    }

    fn lose_shares(&mut self, shares: Vec<Share>) {
        self.group.steps.void(&shares);
        let mut told = Vec::new();
        for share in shares {
            let Some(index) = self.find(&share.topic, share.number) else { continue };
            // Who was told of the revocation knows already.
            if !self.group.steps.told_revoked(&share) {
                told.extend(self.position(index));
            }
            self.remove(index);
        }
        if !told.is_empty() {
            self.group.steps.push_lost(told);
        }
    }

    /// Takes steps as far as they go without the application.
    pub(super) fn advance(&mut self, auto_commit: bool) -> Errands {
        let mut errands = Errands::default();
        while let Some(front) = self.group.steps.queue.front() {
            let (id, turn, stage) = (front.id, front.turn, front.stage);
            match stage {
                Stage::Reading => {
                    let indices = self.indices_of(&self.shares_of_front());
                    if indices.iter().any(|&index| self.is_in_hands(index)) {
                        break;
                    }
                    let commits = auto_commit && !indices.is_empty();
                    let stage = if commits { Stage::Committing } else { Stage::Ready };
                    if let Some(front) = self.group.steps.queue.front_mut() {
                        front.stage = stage;
                    }
                    if commits {
                        errands.commit = Some((id, indices));
                    }
                }
                Stage::Committing => break,
                Stage::Ready => {
                    if self.group.steps.routes.of(turn) != Route::Nobody {
                        break;
                    }
                    let Some(step) = self.group.steps.queue.pop_front() else { break };
                    self.answer(step);
                    errands.moved = true;
                }
            }
        }
        errands
    }

    /// The topics of what is assigned and of these.
    pub(super) fn topics_with(&self, shares: &[Share]) -> Vec<Arc<Topic>> {
        let assigned = self.partitions.iter().filter(|p| p.assigned).map(|p| &p.topic);
        let waiting = self.group.steps.queue.iter().flat_map(|step| &step.shares);
        let shares = shares.iter().chain(waiting).map(|share| &share.topic);
        let each = assigned.chain(shares).map(|topic| (topic.index(), Arc::clone(topic)));
        each.collect::<BTreeMap<_, _>>().into_values().collect()
    }

    fn shares_of_front(&self) -> Vec<Share> {
        self.group.steps.queue.front().map(|front| front.shares.clone()).unwrap_or_default()
    }

    fn indices_of(&self, shares: &[Share]) -> Vec<usize> {
        shares.iter().filter_map(|share| self.find(&share.topic, share.number)).collect()
    }

    /// Whether the application has not done with messages of these partitions, as far as that holds their
    /// commit by the clock back.
    pub(super) fn is_at_work(&mut self, indices: &[usize]) -> bool {
        if self.group.stores_by_hand {
            return false;
        }
        indices.iter().any(|&index| {
            let out = self.partitions.get_mut(index).and_then(|p| p.books.out.first());
            out.is_some() || self.is_in_hands(index)
        })
    }

    /// Whether a thread got messages of this partition and did not come back.
    fn is_in_hands(&self, index: usize) -> bool {
        let life = self.partitions.get(index).map(|p| p.books.life).unwrap_or_default();
        self.group.readers.first(index, life).is_some()
    }

    /// Nobody wants to hear of it.
    fn answer(&mut self, step: Waiting) {
        match step.turn {
            Turn::Assigned => self.admit(&step.shares, None),
            Turn::Revoked => self.dismiss(&step.shares),
            Turn::Lost => {}
        }
        self.finish(step.turn, step.done);
    }

    /// The membership is to hear that a step is done; of a revocation when the commits are over that the
    /// application sent before: as another's, or as that of a member that joins, they would be refused.
    fn finish(&mut self, turn: Turn, done: Option<Done>) {
        match turn == Turn::Revoked && self.group.commits_out.are_any() {
            true => self.group.steps.parting.extend(done),
            false => self.group.steps.dones.extend(done),
        }
    }

    /// What the membership is to hear now.
    pub(super) fn take_dones(&mut self) -> Vec<Done> {
        if !self.group.commits_out.are_any() {
            let parting = std::mem::take(&mut self.group.steps.parting);
            self.group.steps.dones.extend(parting);
        }
        std::mem::take(&mut self.group.steps.dones)
    }

    /// The partitions are the member's. Held ones wait until the application has heard.
    fn admit(&mut self, shares: &[Share], held: Option<u64>) {
        self.group.assignments += 1;
        for share in shares {
            if self.find(&share.topic, share.number).is_some() {
                continue;
            }
            let topic = Arc::clone(&share.topic);
            let mut one = Partition::new(topic, share.name.clone(), share.number, share.own);
            one.held = held;
            self.add(one, Start::Default, -1);
        }
        self.group.timed.restart();
    }

    fn dismiss(&mut self, shares: &[Share]) {
        for index in self.indices_of(shares) {
            self.remove(index);
        }
    }

    /// What a thread that polls is to do first.
    pub(super) fn take_task(&mut self, core: &Weak<Core>, now: Instant) -> Option<Task> {
        if let Some(job) = self.group.steps.jobs.pop_front() {
            return Some(Task::Job(job));
        }
        if let Some(outcome) = self.group.steps.outcomes.pop_front() {
            return Some(Task::Tell(outcome));
        }
        self.group.steps.has_task().then(|| self.tell(core, now)).flatten().map(Task::Tell)
    }

    /// The step that can be told now becomes an event, which holds it.
    pub(in crate::consumer) fn tell(&mut self, core: &Weak<Core>, now: Instant) -> Option<Event> {
        let ready = self.group.steps.queue.front().is_some_and(|step| step.stage == Stage::Ready);
        let Waiting { id, turn, shares, lost, done, .. } =
            ready.then(|| self.group.steps.queue.pop_front()).flatten()?;
        if turn == Turn::Lost {
            return Some(Event::Lost(Partitions::new(lost, None)));
        }
        if turn == Turn::Assigned {
            self.admit(&shares, Some(id));
        }
        let list = shares.iter().filter_map(|share| self.place_of(share, turn)).collect();
        self.group.steps.held.push(Held { id, turn, shares, since: now, done });
        let partitions = Partitions::new(list, Some(Hold::new(core.clone(), id)));
        Some(match turn {
            Turn::Assigned => Event::Assigned(partitions),
            _ => Event::Revoked(partitions),
        })
    }

    fn place_of(&self, share: &Share, turn: Turn) -> Option<Position> {
        match turn {
            Turn::Assigned => Some(Position::new(share.name.clone(), share.number)),
            _ => self.position(self.find(&share.topic, share.number)?),
        }
    }

    /// The application has done with a step: what was assigned is read, what was revoked is gone.
    pub(super) fn release(&mut self, id: u64) {
        let held = self.group.steps.held.iter().position(|held| held.id == id);
        let Some(held) = held.map(|at| self.group.steps.held.swap_remove(at)) else { return };
        match held.turn {
            Turn::Assigned => {
                for index in self.indices_of(&held.shares) {
                    if let Some(partition) = self.partitions.get_mut(index) {
                        partition.held = partition.held.filter(|holder| *holder != id);
                    }
                    self.list(index);
                }
            }
            Turn::Revoked | Turn::Lost => self.dismiss(&held.shares),
        }
        self.finish(held.turn, held.done);
    }

    /// The steps that the application holds for longer than `limit`, and than it asked for, are done
    /// without it.
    pub(super) fn release_late(&mut self, now: Instant, limit: Duration) -> bool {
        let live = &self.group.liveness;
        let late = |held: &&Held| live.end(held.since, limit) <= now;
        let late: Vec<u64> =
            self.group.steps.held.iter().filter(late).map(|held| held.id).collect();
        late.iter().for_each(|&id| self.release(id));
        !late.is_empty()
    }

    /// What is committed of a partition when nobody says what; `whole`: also what threads have not come
    /// back for, as long as it is free.
    pub(super) fn due_commit(&mut self, index: usize, whole: bool) -> Option<Stored> {
        let partition = self.partitions.get_mut(index).filter(|p| p.assigned)?;
        if self.group.stores_by_hand {
            return partition.books.stored.clone();
        }
        if partition.position < 0 {
            return None;
        }
        let now = Place { offset: partition.position, epoch: partition.position_epoch };
        let life = partition.books.life;
        let mut place = partition.books.out.first().unwrap_or(now);
        if !whole {
            if let Some(got) = self.group.readers.first(index, life) {
                place = if place.offset <= got.offset { place } else { got };
            }
        }
        let floor = self.partitions.get(index).and_then(|p| p.books.floor);
        // Never behind what was committed in the same life, unless somebody asks for it by name.
        let place = floor.filter(|floor| floor.is_after(place)).unwrap_or(place);
        Some(Stored { place, metadata: None })
    }

    /// The indices of what is assigned.
    pub(in crate::consumer) fn assigned(&self) -> Vec<usize> {
        let each = self.partitions.iter().enumerate();
        each.filter(|(_, partition)| partition.assigned).map(|(index, _)| index).collect()
    }

    /// Whether the application was told of this partition's revocation.
    pub(super) fn is_told_revoked(&self, index: usize) -> bool {
        let revoked = self.group.steps.held.iter().filter(|held| held.turn == Turn::Revoked);
        revoked.flat_map(|held| &held.shares).any(|s| self.find(&s.topic, s.number) == Some(index))
    }

    /// Tells the driving task, if it sleeps, that something is there to be read, or was handed out.
    #[inline]
    pub(in crate::consumer) fn ring(&mut self) {
        if let Some(alarm) = self.group.alarm.take() {
            self.group.woken = true;
            alarm.notify_one();
        }
    }

    /// Puts a partition to rest: nothing is handed out or fetched, what is on its way is void; its
    /// position can be committed.
    pub(in crate::consumer) fn fence(&mut self, index: usize) {
        self.refetch(index);
        if let Some(partition) = self.partitions.get_mut(index) {
            partition.fenced = true;
            partition.phase = Phase::Halted;
        }
    }
}
