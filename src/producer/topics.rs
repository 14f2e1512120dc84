//! The topics of one producer: their queues, and which partition a record goes to.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::accumulator::{Leader, Ledger, Queue};
use super::idle::LOOKS;
use super::legacy::Slots;
use super::look_up::LookUp;
use super::partitioner::{Chooser, CustomPartitioner};
use super::record::Record;
use super::table::Table;
use crate::cluster::{PartitionMetadata, Topic};
use crate::config::{ProducerConfig, TopicProducerConfig};
use crate::error::{Code, Error, Result};

/// Every topic that a record was sent to, by [`Topic::index`]; read without a lock.
#[derive(Debug)]
pub(crate) struct Topics {
    table: Table<Arc<TopicQueues>>,
    /// Taken by whoever adds queues, and by a close that walks them: none is missed.
    growth: Mutex<()>,
    /// How many topics are in use.
    used: AtomicUsize,
}

/// One topic's queues.
#[derive(Debug)]
pub(crate) struct TopicQueues {
    pub(crate) topic: Arc<Topic>,
    pub(super) config: TopicProducerConfig,
    /// The application's partitioner, asked first.
    pub(super) custom: Option<Arc<CustomPartitioner>>,
    pub(super) queues: Table<Arc<Queue>>,
    /// How many partitions the topic has; 0 before its metadata.
    pub(super) count: AtomicU32,
    /// The same, but as it was last known while the topic is out of use.
    pub(super) last_count: AtomicU32,
    pub(super) chooser: Chooser,
    /// Its partitions are those of Kafka 0.7, and `slots` tells where their queues are.
    is_legacy: AtomicBool,
    pub(super) slots: Slots,
    /// Something was sent to it since the last look (see [`idle`](super::idle)).
    used: AtomicBool,
    /// How many looks in a row found it unused.
    unused: AtomicU8,
    /// Its lock orders updates.
    applied: Mutex<Applied>,
    /// The look-up for those who do not wait.
    pub(super) look_up: Mutex<LookUp>,
}

/// What of a topic's metadata its queues know.
#[derive(Debug, Default)]
struct Applied {
    /// The version of the metadata that was applied last.
    version: Option<u64>,
    /// It is in use: the cluster keeps its metadata fresh, and the queues follow.
    in_use: bool,
}

impl Topics {
    pub(crate) fn new() -> Self {
        Self { table: Table::new(), growth: Mutex::default(), used: AtomicUsize::new(0) }
    }

    /// The queues of a topic that was sent to before. A look at the handle's own address makes sure
    /// that it is this cluster's topic of that index.
    #[inline]
    pub(crate) fn get(&self, topic: &Arc<Topic>) -> Option<&Arc<TopicQueues>> {
        let found = self.table.get(topic.index())?;
        Arc::ptr_eq(&found.topic, topic).then_some(found)
    }

    /// Makes the place for a topic; it has no queues before [`TopicQueues::update`].
    pub(crate) fn add(
        &self,
        topic: &Arc<Topic>,
        config: &ProducerConfig,
        custom: Option<&Arc<CustomPartitioner>>,
    ) -> Option<&Arc<TopicQueues>> {
        let _growth = self.grow();
        self.table.get_or_init(topic.index(), || {
            let config = config.for_topic(topic.name());
            Arc::new(TopicQueues {
                topic: Arc::clone(topic),
                config,
                custom: custom.cloned(),
                queues: Table::new(),
                count: AtomicU32::new(0),
                last_count: AtomicU32::new(0),
                chooser: Chooser::new(config.partitioning, seed(topic)),
                is_legacy: AtomicBool::new(false),
                slots: Slots::default(),
                used: AtomicBool::new(true),
                unused: AtomicU8::new(0),
                applied: Mutex::default(),
                look_up: Mutex::default(),
            })
        })
    }

    /// Notes that one more topic is in use; true if it is the first.
    pub(crate) fn entered(&self) -> bool {
        self.used.fetch_add(1, Ordering::Relaxed) == 0
    }

    /// Notes that one is no longer.
    pub(crate) fn left(&self) {
        self.used.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether any topic is in use.
    pub(crate) fn are_used(&self) -> bool {
        self.used.load(Ordering::Relaxed) > 0
    }

    /// Held while queues are added.
    pub(crate) fn grow(&self) -> MutexGuard<'_, ()> {
        self.growth.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<TopicQueues>> {
        self.table.iter()
    }

    /// Every queue there is.
    pub(crate) fn queues(&self) -> impl Iterator<Item = &Arc<Queue>> {
        self.table.iter().flat_map(|topic| topic.queues.iter())
    }
}

/// Topics, producers and processes begin their round at different partitions.
fn seed(topic: &Arc<Topic>) -> u64 {
    use std::hash::BuildHasher;
    std::hash::RandomState::new().hash_one(topic.index())
}

impl TopicQueues {
    /// How many partitions there are, 0 if that is not known.
    #[inline]
    pub(crate) fn partitions(&self) -> u32 {
        self.count.load(Ordering::Acquire)
    }

    /// Whether the application's own function chooses partitions: it runs under no lock.
    #[inline]
    pub(crate) fn asks_application(&self) -> bool {
        self.custom.is_some()
    }

    #[inline]
    pub(crate) fn queue(&self, partition: i32) -> Option<&Arc<Queue>> {
        usize::try_from(partition).ok().and_then(|partition| self.queues.get(partition))
    }

    /// Where a record goes, and whether the partitioner chose freely (then it may move on). Takes no
    /// queue's lock: records of a list are placed while one is held.
    #[inline(always)]
    pub(crate) fn choose(&self, record: &Record<'_>, partitions: u32) -> Result<(i32, bool)> {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        let asks = record.partition.is_none() && partitions > 0 && self.custom.is_none();
        if asks && self.chooser.is_default() && !self.is_legacy() {
            return Ok(self.chooser.choose_by_default(record.key, partitions));
        }
        self.choose_otherwise(record, partitions)
    }

    /// For records that say where they go, and topics that are not as most are.
    #[inline(never)]
    fn choose_otherwise(&self, record: &Record<'_>, partitions: u32) -> Result<(i32, bool)> {
        if self.is_legacy() {
            return self.choose_slot(record, partitions);
        }
        // The topic may go out of use between the caller's look and this: its keys stay where they are.
        let partitions = match partitions {
            0 => self.last_count.load(Ordering::Relaxed),
            partitions => partitions,
        };
        if let Some(partition) = record.partition {
            return match i32::try_from(partition) {
                Ok(number) if (0..i64::from(partitions)).contains(&partition) => {
                    Ok((number, false))
                }
                _ => Err(self.no_such_partition(partition, partitions)),
            };
        }
        if let Some(custom) = &self.custom {
            if let Some(chosen) = custom.choose(record, partitions)? {
                return Ok((chosen, false));
            }
        }
        self.chooser.choose(record, partitions)
    }

    /// Whether its partitions are those of Kafka 0.7.
    #[inline]
    pub(crate) fn is_legacy(&self) -> bool {
        self.is_legacy.load(Ordering::Relaxed)
    }

    /// Another partition than `from` for records that no key binds.
    pub(crate) fn move_on(&self, from: i32) {
        let patience = self.config.partitioning.availability_timeout;
        let backlog = |partition| {
            let queue = self.queue(partition)?;
            // On 0.7 a broker that is registered and cannot be reached is passed over.
            if queue.is_free() && !queue.is_reachable() {
                return None;
            }
            queue.backlog(patience)
        };
        self.chooser.move_on(from, self.last_count.load(Ordering::Relaxed), &backlog);
    }

    #[cold]
    fn no_such_partition(&self, partition: i64, partitions: u32) -> Error {
        let name = self.topic.name();
        let text = format!("topic {name} has no partition {partition}: it has {partitions}");
        // Retriable: partitions may be added.
        Error::new(Code::UNKNOWN_TOPIC_OR_PARTITION, text)
            .with_topic(&**name)
            .with_partition(partition)
    }

    /// Takes the topic into use; true if it was not.
    pub(crate) fn take_up(&self) -> bool {
        self.used.store(true, Ordering::Relaxed);
        !std::mem::replace(&mut self.lock().in_use, true)
    }

    /// Whether it has been unused for so many looks that it is idle. For the keeper, which looks.
    pub(crate) fn was_idle(&self) -> bool {
        let unused = match self.used.swap(false, Ordering::Relaxed) {
            true => 0,
            false => self.unused.load(Ordering::Relaxed).saturating_add(1),
        };
        self.unused.store(unused, Ordering::Relaxed);
        unused >= LOOKS
    }

    /// Takes the topic out of use unless something waits in it; true if it was in use. The next record
    /// finds no partitions and takes it up again. One that is on its way here already waits in its queue,
    /// and the queue tells the keeper.
    pub(crate) fn retire(&self) -> bool {
        let mut applied = self.lock();
        if !applied.in_use || self.queues.iter().any(|queue| queue.undecided() > 0) {
            return false;
        }
        *applied = Applied::default();
        self.count.store(0, Ordering::Release);
        self.queues.iter().for_each(|queue| queue.park());
        true
    }

    /// Takes the topic out of use for good; true if it was in use.
    pub(crate) fn let_go(&self) -> bool {
        std::mem::take(&mut self.lock().in_use)
    }

    fn lock(&self) -> MutexGuard<'_, Applied> {
        self.applied.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what the cluster knows of the topic now. `lead` finds the sender of a leader.
    ///
    /// Threads that come with older news find newer ones applied and change nothing: the version is
    /// read before the metadata, so that at worst the same news are applied twice. Gives the partitions
    /// whose records have to wait from now on, because they lost their leader.
    pub(crate) fn update(
        &self,
        topics: &Topics,
        ledger: &Arc<Ledger>,
        lead: impl Fn(&PartitionMetadata) -> Option<Leader>,
    ) -> Vec<i64> {
        let mut applied = self.lock();
        let version = self.topic.version();
        if applied.version == Some(version) || !applied.in_use {
            return Vec::new();
        }
        let Some(metadata) = self.topic.metadata() else { return Vec::new() };
        if let Some(places) = &metadata.places {
            let _growth = topics.grow();
            self.is_legacy.store(true, Ordering::Relaxed);
            applied.version = Some(version);
            return self.take_places(ledger, &metadata, places, lead);
        }
        // A topic that lost partitions was made anew: the queues beyond its end have no leader any
        // more, and what they hold ends with its delivery time.
        let gone = metadata.partitions.len()..self.partitions() as usize;
        let gone = gone.filter_map(|at| self.queues.get(at)).filter(|queue| queue.lead(None));
        let mut waiting: Vec<i64> = gone.map(|queue| queue.number()).collect();
        let mut available = Vec::with_capacity(metadata.partitions.len());
        {
            let _growth = topics.grow();
            for (partition, known) in (0_i32..).zip(&metadata.partitions) {
                let leader = lead(known);
                if leader.is_some() {
                    available.push(partition);
                }
                let make = || {
                    let (topic, ledger) = (Arc::clone(&self.topic), Arc::clone(ledger));
                    Queue::new(topic, partition, self.config, ledger)
                };
                if let Some(queue) = self.queues.get_or_init(partition as usize, make) {
                    if queue.lead(leader) {
                        waiting.push(partition.into());
                    }
                }
            }
        }
        let count = u32::try_from(metadata.partitions.len()).unwrap_or(u32::MAX);
        self.chooser.set_available(available, count);
        self.last_count.store(count, Ordering::Relaxed);
        // Last: who sees the count finds the queues.
        self.count.store(count, Ordering::Release);
        applied.version = Some(version);
        waiting
    }
}
