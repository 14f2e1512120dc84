//! What a producer's handle, its senders and its keeper share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::accumulator::{Leader, Ledger, Purge, Seal, largest_plain};
use super::mail::Mail;
use super::partitioner::CustomPartitioner;
use super::topics::{TopicQueues, Topics};
use super::{identity, keeper, sender};
use crate::cluster::{Cluster, PartitionMetadata};
use crate::config::ProducerConfig;
use crate::error::{Code, Error};
use crate::os::fork::Era;
use crate::runtime::{Runtime, Signal};

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) era: Era,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) runtime: Runtime,
    pub(crate) config: ProducerConfig,
    /// The application's partitioner, if it has one.
    pub(crate) partitioner: Option<Arc<CustomPartitioner>>,
    /// Where application threads wait. A publisher's is its cluster's, whose wake-up ends its waits.
    pub(crate) signal: Arc<Signal>,
    owns_signal: bool,
    /// The most bytes of key and value that are accepted unseen, without headers.
    pub(crate) largest_plain: usize,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) topics: Topics,
    senders: Mutex<BTreeMap<i32, Arc<Mail>>>,
    life: AtomicU8,
}

/// How far a producer's life has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Life {
    Open = 0,
    /// A close is under way: no more records, outcomes are still coming.
    Closing = 1,
    /// Every record has its outcome.
    Closed = 2,
}

impl Life {
    fn of(number: u8) -> Self {
        match number {
            0 => Self::Open,
            1 => Self::Closing,
            _ => Self::Closed,
        }
    }
}

impl Core {
    /// `signal`: where its callers wait, if not on one of its own.
    pub(crate) fn new(
        cluster: &Arc<Cluster>,
        config: ProducerConfig,
        partitioner: Option<Arc<CustomPartitioner>>,
        signal: Option<Arc<Signal>>,
    ) -> Arc<Self> {
        let owns_signal = signal.is_none();
        let signal = signal.unwrap_or_else(|| Arc::new(Signal::new()));
        let ledger = Ledger::new(&config, Arc::clone(&signal));
        ledger.identity.set_logger(cluster.logger().clone());
        Arc::new(Self {
            era: Era::current(),
            cluster: Arc::clone(cluster),
            runtime: cluster.runtime(),
            ledger,
            largest_plain: largest_plain(config.max_request_size.min(config.buffer_memory)),
            config,
            partitioner,
            signal,
            owns_signal,
            topics: Topics::new(),
            senders: Mutex::default(),
            life: AtomicU8::new(Life::Open as u8),
        })
    }

    /// Starts the keeper, and the task that asks for a producer id when one is wanted. (Senders start when a partition they lead is first used.)
    pub(crate) fn start(self: &Arc<Self>) {
        let (core, broken) = (Arc::clone(self), Arc::clone(self));
        // From before the first record on, so that no change after it is missed.
        let keeper = keeper::run(core, self.cluster.changes());
        self.runtime.spawn("producer keeper", move |error| broken.fail(&error), keeper);
        if self.config.enable_idempotence {
            let (core, broken) = (Arc::clone(self), Arc::clone(self));
            let look_up = identity::run(core);
            self.runtime.spawn("producer id", move |error| broken.fail(&error), look_up);
        }
    }

    pub(crate) fn life(&self) -> Life {
        Life::of(self.life.load(Ordering::Acquire))
    }

    /// Whether its tasks have been told to end.
    fn is_over(&self) -> bool {
        self.life() == Life::Closed || self.ledger.is_broken()
    }

    /// Goes on to `life`; gives what it was before.
    pub(crate) fn live_on(&self, life: Life) -> Life {
        // In one step: of two closes at once only one is the first.
        Life::of(self.life.fetch_max(life as u8, Ordering::AcqRel))
    }

    /// Applies what the cluster knows now of a topic.
    pub(crate) fn update(self: &Arc<Self>, topic: &TopicQueues) {
        let unknown = topic.partitions() == 0;
        let lead = |partition: &_| self.leader(partition);
        let waiting = topic.update(&self.topics, &self.ledger, lead);
        if !waiting.is_empty() {
            self.cluster.logger().warn(
                "producer",
                format_args!(
                    "topic {}: partitions {waiting:?} have no leader; their records wait for one",
                    topic.topic.name()
                ),
            );
        }
        if topic.is_legacy() {
            self.rescue_all(topic);
        }
        if unknown && topic.partitions() > 0 {
            // Whoever was sent away because the topic was not known may come back.
            self.ledger.budget.grant_wish();
        }
    }

    /// Takes a topic into use: the cluster keeps its metadata fresh until it is idle.
    pub(crate) fn use_topic(&self, topic: &TopicQueues) {
        if !topic.take_up() {
            return;
        }
        self.cluster.hold_topic(&topic.topic);
        if self.topics.entered() {
            self.ledger.keeper.ring(); // it has something to look at from now on
        }
    }

    /// Applies what the cluster knows now of every topic: after a new snapshot.
    pub(crate) fn update_all(self: &Arc<Self>) {
        // Whoever adds a topic meanwhile either did so before this, and is seen below, or does it
        // after this, and then sees the news that brought us here.
        drop(self.topics.grow());
        self.topics.iter().for_each(|topic| self.update(topic));
        // Perhaps nobody is served now, and then nobody is held up.
        self.ledger.budget.look_aside();
    }

    /// The sender of a partition's leader, if it has one that can be reached.
    fn leader(self: &Arc<Self>, partition: &PartitionMetadata) -> Option<Leader> {
        let known = partition.leader >= 0 && partition.error != Some(Code::LEADER_NOT_AVAILABLE);
        if !known || self.is_over() {
            return None;
        }
        let mail = self.sender(partition.leader);
        Some(Leader { mail, epoch: partition.leader_epoch })
    }

    /// The mail of a broker's sender, which starts with the first letter.
    fn sender(self: &Arc<Self>, broker: i32) -> Arc<Mail> {
        let mut senders = self.lock();
        let mail = senders.entry(broker).or_insert_with(|| Mail::new(broker));
        if mail.claim_start() {
            let (core, broken) = (Arc::clone(self), Arc::clone(self));
            let sender = sender::run(core, Arc::clone(mail));
            self.runtime.spawn("producer sender", move |error| broken.fail(&error), sender);
        }
        if self.is_over() {
            // It ended while we came here: either it finds this mail in the map, or we find it over.
            mail.stop();
        }
        Arc::clone(mail)
    }

    /// Batches do not linger any more: memory ran out, and somebody waits (invariant 4.10).
    pub(crate) fn hurry(&self) {
        self.topics.queues().for_each(|queue| queue.hurry());
    }

    /// Closes every open batch and gives the work on them; records that come later open new ones.
    pub(crate) fn close_open_batches(&self) -> Vec<Seal> {
        self.topics.queues().filter_map(|queue| queue.flush()).collect()
    }

    /// Ends batches with `error`; gives how many records that were.
    pub(crate) fn purge(&self, purge: Purge, error: &Error) -> u64 {
        let of_topic = |topic: &Arc<TopicQueues>| -> u64 {
            // None slips past by moving to a queue that was seen already (Kafka 0.7).
            let _still = topic.slots.hold();
            topic.queues.iter().map(|queue| queue.purge(purge, error)).sum()
        };
        self.topics.iter().map(of_topic).sum()
    }

    /// Why some broker cannot be reached now, or gives no producer id, if so.
    pub(crate) fn trouble(&self) -> Option<Error> {
        let senders: Vec<_> = self.lock().values().cloned().collect();
        senders.iter().find_map(|mail| mail.trouble()).or_else(|| self.ledger.identity.trouble())
    }

    /// How many records have no outcome.
    pub(crate) fn undecided(&self) -> u64 {
        self.topics.queues().map(|queue| queue.undecided()).sum()
    }

    /// Nothing can succeed any more: every record gets its outcome, every waiter wakes, tasks end.
    /// Called from I/O threads; waits for nothing.
    pub(crate) fn fail(&self, error: &Error) {
        self.ledger.fail(error.clone());
        {
            // Who was adding queues is done, and who comes later finds the ledger closed.
            let _growth = self.topics.grow();
        }
        self.purge(Purge { queued: true, in_flight: true }, error);
        if self.owns_signal {
            self.signal.fail(error.clone());
        } else {
            self.signal.nudge(); // whoever waits there for this producer finds the ledger closed
        }
        self.stop_tasks();
    }

    /// Ends senders and keeper. They hold this; it is freed when the last one has ended.
    pub(crate) fn stop_tasks(&self) {
        self.ledger.keeper.stop();
        let senders: Vec<_> = self.lock().values().cloned().collect();
        senders.iter().for_each(|mail| mail.stop());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<i32, Arc<Mail>>> {
        self.senders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
