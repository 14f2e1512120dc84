//! What all brokers of an embedded cluster share.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
};
use std::time::Instant;

use super::fault::{Facts, Fault, FaultId, FaultTable, Verdict};
use super::fetch_sessions::FetchSessions;
use super::groups::Groups;
use super::ledger::{Ledger, SeenRequest};
use super::options::{Options, TopicSpec};
use super::partition::Partition;
use super::release::{Range, Release};
use super::topics::{Topic, Topics, unknown};
use crate::error::{Code, Error, Result};
use crate::os::wait::WaitWord;

/// What a broker does, other than hold partitions.
#[derive(Clone, Debug)]
pub(super) struct Conduct {
    pub(super) alive: bool,
    pub(super) release: Release,
    /// Versions narrowed by a test.
    pub(super) limits: HashMap<i16, Range>,
}

/// One broker's place in the cluster. Its id is its index.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) address: SocketAddr,
    conduct: Mutex<Conduct>,
    sessions: Mutex<FetchSessions>,
}

impl Seat {
    pub(super) fn conduct(&self) -> MutexGuard<'_, Conduct> {
        self.conduct.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn sessions(&self) -> MutexGuard<'_, FetchSessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub(super) struct Shared {
    seats: Vec<Seat>,
    options: Mutex<Options>,
    topics: RwLock<Topics>,
    faults: Mutex<FaultTable>,
    /// Whether a fault may meet a request; spares the look-up when none was injected.
    faults_armed: AtomicBool,
    ledger: Mutex<Ledger>,
    groups: Mutex<Groups>,
    next_producer_id: AtomicI64,
    /// The first panic of a task: a bug of this room, told to whoever waits.
    failure: OnceLock<Error>,
    /// Moves whenever something happens that a test may wait for.
    pub(super) progress: WaitWord,
}

impl Shared {
    pub(super) fn new(options: Options, addresses: Vec<SocketAddr>) -> Self {
        let conduct = Conduct { alive: true, release: options.release, limits: HashMap::new() };
        let seat = |address| Seat {
            address,
            conduct: Mutex::new(conduct.clone()),
            sessions: Mutex::default(),
        };
        Self {
            seats: addresses.into_iter().map(seat).collect(),
            options: Mutex::new(options),
            topics: RwLock::default(),
            faults: Mutex::default(),
            faults_armed: AtomicBool::new(false),
            ledger: Mutex::default(),
            groups: Mutex::default(),
            next_producer_id: AtomicI64::new(1_000),
            failure: OnceLock::new(),
            progress: WaitWord::new(),
        }
    }

    pub(super) fn options(&self) -> MutexGuard<'_, Options> {
        self.options.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn topics(&self) -> RwLockReadGuard<'_, Topics> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn topics_mut(&self) -> RwLockWriteGuard<'_, Topics> {
        self.topics.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn faults(&self) -> MutexGuard<'_, FaultTable> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn fresh_producer_id(&self) -> i64 {
        self.next_producer_id.fetch_add(1, Ordering::Relaxed)
    }

    // Brokers

    /// Every broker with its id, running or not.
    pub(super) fn seats(&self) -> impl Iterator<Item = (i32, &Seat)> {
        (0_i32..).zip(&self.seats)
    }

    pub(super) fn seat(&self, broker: i32) -> Result<&Seat> {
        let index = usize::try_from(broker).unwrap_or(usize::MAX);
        self.seats.get(index).ok_or_else(|| {
            let last = self.seats.len().saturating_sub(1);
            let why = format!("there is no broker {broker}: their ids are 0 to {last}");
            Error::new(Code::INVALID_ARGUMENT, why)
        })
    }

    /// The brokers meant: one, or all.
    pub(super) fn seats_of(&self, broker: Option<i32>) -> Result<Vec<&Seat>> {
        match broker {
            Some(id) => Ok(vec![self.seat(id)?]),
            None => Ok(self.seats.iter().collect()),
        }
    }

    pub(super) fn is_alive(&self, broker: i32) -> bool {
        self.seat(broker).is_ok_and(|seat| seat.conduct().alive)
    }

    /// The living brokers, by id.
    pub(super) fn living(&self) -> impl Iterator<Item = (i32, &Seat)> {
        self.seats().filter(|(_, seat)| seat.conduct().alive)
    }

    /// Notes that a broker lives or not, and elects leaders where that matters.
    pub(super) fn set_alive(&self, broker: i32, alive: bool) -> Result<()> {
        self.seat(broker)?.conduct().alive = alive;
        self.seat(broker)?.sessions().clear();
        let topics: Vec<_> = self.topics().all().cloned().collect();
        for partition in topics.iter().flat_map(|t| t.partitions()) {
            partition.lock().elect(&|b| self.is_alive(b));
        }
        self.progress.notify_all();
        Ok(())
    }

    // Groups

    pub(super) fn groups(&self) -> MutexGuard<'_, Groups> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The broker that coordinates a group: the one that a test chose, or the living one with the
    /// lowest id. None if that one does not run.
    pub(super) fn coordinator(&self, group: &str) -> Option<i32> {
        let chosen = self.groups().coordinator(group);
        match chosen {
            Some(broker) => Some(broker).filter(|broker| self.is_alive(*broker)),
            None => self.living().next().map(|(id, _)| id),
        }
    }

    // Topics

    pub(super) fn topic(&self, name: &str) -> Result<Arc<Topic>> {
        self.topics().named(name).cloned().ok_or_else(|| unknown(name))
    }

    pub(super) fn partition(&self, topic: &str, partition: i32) -> Result<Arc<Partition>> {
        self.topic(topic)?.partition(partition).ok_or_else(|| {
            let why = format!("topic {topic} has no partition {partition}");
            Error::new(Code::UNKNOWN_TOPIC_OR_PARTITION, why)
                .with_topic(topic)
                .with_partition(i64::from(partition))
        })
    }

    pub(super) fn create_topic(&self, spec: &TopicSpec) -> Result<Arc<Topic>> {
        let options = self.options().clone();
        self.topics_mut().create(spec, &options, &|b| self.is_alive(b))
    }

    /// The topic, made on the spot when it is not there and that is allowed.
    pub(super) fn topic_or_create(&self, name: &str, allowed: bool) -> Result<Arc<Topic>> {
        let found = self.topic(name);
        let (auto, partitions) = {
            let options = self.options();
            (options.auto_create_topics, options.default_partitions)
        };
        if found.is_ok() || !allowed || !auto {
            return found;
        }
        match self.create_topic(&TopicSpec::new(name, partitions)) {
            Err(error) if error.code() == Code::TOPIC_ALREADY_EXISTS => self.topic(name),
            made => made,
        }
    }

    pub(super) fn grow_topic(&self, name: &str, partitions: i32) -> Result<()> {
        let options = self.options().clone();
        self.topics_mut().grow(name, partitions, &options, &|b| self.is_alive(b))
    }

    pub(super) fn delete_topic(&self, name: &str) -> Result<()> {
        self.topics_mut().delete(name).map(drop)
    }

    // Faults and what was seen

    pub(super) fn inject(&self, fault: Fault) -> FaultId {
        let mut faults = self.faults();
        let id = faults.inject(fault);
        self.faults_armed.store(faults.is_armed(), Ordering::Release);
        id
    }

    pub(super) fn injected(&self, id: FaultId) -> u64 {
        self.faults().met(id)
    }

    pub(super) fn withdraw(&self, id: Option<FaultId>) {
        let mut faults = self.faults();
        faults.withdraw(id);
        self.faults_armed.store(faults.is_armed(), Ordering::Release);
    }

    pub(super) fn meet(&self, facts: &Facts<'_>) -> Verdict {
        if !self.faults_armed.load(Ordering::Acquire) {
            return Verdict::default();
        }
        let mut faults = self.faults();
        let verdict = faults.meet(facts);
        self.faults_armed.store(faults.is_armed(), Ordering::Release);
        drop(faults);
        self.progress.notify_all();
        verdict
    }

    pub(super) fn note(&self, request: SeenRequest) {
        self.ledger().note(request);
        self.progress.notify_all();
    }

    pub(super) fn fail(&self, error: Error) {
        // Later panics follow from the first.
        let _first_stays = self.failure.set(error);
        self.progress.notify_all();
    }

    /// Waits until `reached`, which is asked again whenever something happened.
    pub(super) fn wait(
        &self,
        deadline: Option<Instant>,
        what: &dyn Fn() -> String,
        reached: &dyn Fn() -> Result<bool>,
    ) -> Result<()> {
        loop {
            let ticket = self.progress.prepare();
            if reached()? {
                return Ok(());
            }
            if let Some(error) = self.failure.get() {
                return Err(error.clone());
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(Error::new(Code::TIMED_OUT, what()));
            }
            self.progress.wait(ticket, deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_a_task_ends_every_wait() {
        let shared = Shared::new(Options::default(), Vec::new());
        std::thread::scope(|scope| {
            let wait = || shared.wait(None, &String::new, &|| Ok(false));
            let waiter = scope.spawn(wait);
            shared.fail(Error::new(Code::PANIC, "first"));
            shared.fail(Error::new(Code::PANIC, "second"));
            assert_eq!(waiter.join().unwrap().unwrap_err().message(), "first");
        });
    }
}
