//! The partitions of a topic of Kafka 0.7, as the queues of a producer see them.
//!
//! They come and go with their brokers, and their numbers are far apart. So each gets two places in the
//! topic's table when it is first seen, and keeps them: one queue for records that may go anywhere, one
//! for those that belong there. Partitioners count in the list of those that are there now, by broker
//! and number, which is the same in every process that sees the same registry.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::super::accumulator::{Leader, Ledger, Queue};
use super::super::partitioner::Pick;
use super::super::record::Record;
use super::super::topics::TopicQueues;
use super::Seat;
use crate::cluster::{
    ANY_OF_BROKER, PartitionMetadata, Place, TopicMetadata, partition_broker, partition_number,
    partition_within,
};
use crate::error::{Code, Error, Result};

/// Where the queues of a topic's partitions are.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    order: RwLock<Order>,
    /// The pair of each partition that was ever seen. Changed by updates of the topic alone.
    pairs: Mutex<HashMap<i64, i32>>,
    /// Held while a batch moves from one queue to another, and by whoever must find it in one of them.
    still: Mutex<()>,
}

/// The partitions that are there now, with their pairs.
#[derive(Debug, Default)]
struct Order {
    /// In the order of broker and number.
    live: Vec<(i64, i32)>,
    /// What a record may name: the same, and for each broker the choice of its own.
    named: Vec<(i64, i32)>,
}

/// The place of the queue of a pair.
fn place(pair: i32, is_free: bool) -> i32 {
    2 * pair + i32::from(!is_free)
}

impl Slots {
    /// While this is held no batch moves.
    pub(crate) fn hold(&self) -> MutexGuard<'_, ()> {
        self.still.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, look: impl FnOnce(&Order) -> T) -> T {
        look(&self.order.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn count(&self) -> u32 {
        self.read(|order| u32::try_from(order.live.len()).unwrap_or(u32::MAX))
    }

    /// The place of the queue for the partition at `index` of the list; the list may be shorter than it was.
    fn at(&self, index: usize, is_free: bool) -> Option<i32> {
        self.read(|order| {
            let index = index % order.live.len().max(1);
            order.live.get(index).map(|(_, pair)| place(*pair, is_free))
        })
    }

    fn named(&self, number: i64) -> Option<i32> {
        self.read(|order| {
            let found = order.named.binary_search_by_key(&number, |(number, _)| *number).ok()?;
            order.named.get(found).map(|(_, pair)| place(*pair, false))
        })
    }

    /// The places of the queues of live partitions on other brokers than this one's.
    pub(super) fn elsewhere(&self, number: i64) -> Vec<i32> {
        let broker = partition_broker(number);
        let other = |(number, _): &&(i64, i32)| partition_broker(*number) != broker;
        self.read(|order| {
            order.live.iter().filter(other).map(|(_, pair)| place(*pair, true)).collect()
        })
    }
}

/// The pair of a partition, which is the next one if it was never seen.
fn pair(pairs: &mut HashMap<i64, i32>, number: i64) -> i32 {
    let next = i32::try_from(pairs.len()).unwrap_or(i32::MAX / 2);
    *pairs.entry(number).or_insert(next)
}

impl TopicQueues {
    /// Where a record goes on Kafka 0.7, and whether the choice was free and sticks: see
    /// [`choose`](Self::choose). A record with a key belongs where the partitioner puts it, unless the
    /// partitioner does not look at keys.
    pub(in crate::producer) fn choose_slot(
        &self,
        record: &Record<'_>,
        partitions: u32,
    ) -> Result<(i32, bool)> {
        if let Some(number) = record.partition {
            let place = self.slots.named(number);
            return place.map(|place| (place, false)).ok_or_else(|| self.no_place(number));
        }
        // None: the topic went out of use between the caller's look and this.
        let count = if partitions > 0 { partitions } else { self.slots.count() };
        if count == 0 {
            return Err(self.no_partition_left());
        }
        let is_free = record.key.is_none();
        if let Some(custom) = &self.custom {
            if let Some(index) = custom.choose(record, count)? {
                let place = self.slots.at(usize::try_from(index).unwrap_or(0), is_free);
                return place.map(|place| (place, false)).ok_or_else(|| self.no_partition_left());
            }
        }
        match self.chooser.pick(record, count)? {
            // What was noted as available are the queues for what may go anywhere.
            Pick::Sticky(place) => Ok((place & !1, true)),
            Pick::Any(place) => Ok((place & !1, false)),
            Pick::Place(index) => {
                let place = self.slots.at(usize::try_from(index).unwrap_or(0), is_free);
                place.map(|place| (place, false)).ok_or_else(|| self.no_partition_left())
            }
        }
    }

    #[cold]
    fn no_place(&self, number: i64) -> Error {
        let name = self.topic.name();
        let (broker, within) = (partition_broker(number), partition_within(number));
        let text = match within {
            ANY_OF_BROKER => format!("topic {name}: no broker {broker} is registered now"),
            _ => format!("topic {name} has no partition {within} of broker {broker} now"),
        };
        // Retriable: its broker may come back.
        Error::new(Code::UNKNOWN_TOPIC_OR_PARTITION, text)
            .with_topic(&**name)
            .with_partition(number)
    }

    #[cold]
    fn no_partition_left(&self) -> Error {
        let name = self.topic.name();
        let text =
            format!("topic {name} has no partition left: no broker of Kafka 0.7 is registered");
        Error::new(Code::LEADER_NOT_AVAILABLE, text).with_topic(&**name)
    }

    /// Takes over the partitions that there are now. Called by an update, which holds its lock and that
    /// of growth. Gives the partitions that records are bound to and that lost their broker.
    pub(in crate::producer) fn take_places(
        &self,
        ledger: &Arc<Ledger>,
        metadata: &TopicMetadata,
        places: &[Place],
        lead: impl Fn(&PartitionMetadata) -> Option<Leader>,
    ) -> Vec<i64> {
        // Before a queue gets a leader, which would ask for an identity.
        ledger.identity.give_way_to_legacy();
        let mut pairs = self.slots.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut order, mut available, mut waiting) = (Order::default(), Vec::new(), Vec::new());
        let mut seat = |number: i64, is_free: bool, pair: i32, leader: Option<Leader>| {
            let queue = self.seated(place(pair, is_free), number, is_free, ledger)?;
            if queue.lead(leader) && !is_free {
                waiting.push(number);
            }
            Some(())
        };
        let mut last_broker = None;
        for (at, known) in places.iter().zip(&metadata.partitions) {
            let (own, leader) = (pair(&mut pairs, at.number), lead(known));
            if leader.is_some() {
                available.push(place(own, true));
            }
            let broker = partition_broker(at.number);
            if last_broker.replace(broker) != Some(broker) {
                let any = partition_number(broker, ANY_OF_BROKER);
                let choice = pair(&mut pairs, any);
                seat(any, false, choice, leader.clone());
                order.named.push((any, choice));
            }
            seat(at.number, true, own, leader.clone());
            seat(at.number, false, own, leader);
            order.live.push((at.number, own));
            order.named.push((at.number, own));
        }
        order.named.sort_unstable();
        for (number, own) in &*pairs {
            if order.named.binary_search(&(*number, *own)).is_ok() {
                continue;
            }
            for is_free in [true, false] {
                if self.queue(place(*own, is_free)).is_some() {
                    seat(*number, is_free, *own, None);
                }
            }
        }
        let count = u32::try_from(order.live.len()).unwrap_or(u32::MAX);
        *self.slots.order.write().unwrap_or_else(PoisonError::into_inner) = order;
        // Never "all of them": places are no count.
        self.chooser.set_available(available, u32::MAX);
        self.last_count.store(count, Ordering::Relaxed);
        self.count.store(count, Ordering::Release);
        waiting
    }

    fn seated(
        &self,
        place: i32,
        number: i64,
        is_free: bool,
        ledger: &Arc<Ledger>,
    ) -> Option<&Arc<Queue>> {
        let make = || {
            let seat = Seat { number, is_free, largest: ledger.largest_legacy };
            let (topic, ledger) = (Arc::clone(&self.topic), Arc::clone(ledger));
            Queue::seated(topic, place, seat, self.config, ledger)
        };
        self.queues.get_or_init(usize::try_from(place).ok()?, make)
    }

    /// The queues whose records may go anywhere.
    pub(super) fn free_queues(&self) -> impl Iterator<Item = &Arc<Queue>> {
        self.queues.iter().filter(|queue| queue.is_free())
    }
}
