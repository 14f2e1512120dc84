//! Which partition a record goes to when the caller does not say.
//!
//! Java's default: a key decides by murmur2 over **all** partitions, dead ones included, so that keys
//! stay where they are when a broker dies; without a key records stick to one partition that has a
//! leader, and move on by bytes (KIP-480, KIP-794; invariant 4.17). Other clients' partitioners have
//! their exact results: the tables in `tests/golden` come from those clients themselves.

mod custom;
mod hash;
mod load;
mod sticky;

#[cfg(test)]
mod golden_tests;

pub use custom::CustomPartitioner;
pub use hash::murmur2;
pub(crate) use sticky::{Backlog, moves_on};

use self::sticky::Sticky;
use super::record::Record;
use crate::config::{Partitioner, Partitioning};
use crate::error::{Code, Error, Result};

/// The partition of a key among `partitions` (> 0), as Java's default partitioner chooses it.
#[inline]
#[must_use]
pub fn keyed(key: &[u8], partitions: u32) -> i32 {
    modulo(murmur2(key) & 0x7fff_ffff, partitions)
}

#[inline]
fn modulo(hash: u32, partitions: u32) -> i32 {
    (hash % partitions.max(1)) as i32
}

/// What a partitioner says of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pick {
    /// One of the partitions that were noted as available: the record sticks to it for a batch's worth,
    /// and may go elsewhere.
    Sticky(i32),
    /// One of them as well, for this record.
    Any(i32),
    /// The one at this place among all.
    Place(i32),
}

/// The partitioner of one topic, with what it remembers.
#[derive(Debug)]
pub(crate) struct Chooser {
    partitioning: Partitioning,
    /// It is Java's default, as nearly always.
    is_default: bool,
    sticky: Sticky,
}

impl Chooser {
    /// `seed` sets topics and producers apart, so that they do not all begin with one partition.
    pub(crate) fn new(partitioning: Partitioning, seed: u64) -> Self {
        Self {
            partitioning,
            is_default: partitioning.partitioner == Partitioner::Default
                && !partitioning.ignore_keys,
            sticky: Sticky::new(seed, partitioning.adaptive),
        }
    }

    /// Whether [`choose_by_default`](Self::choose_by_default) says what [`choose`](Self::choose) does.
    #[inline(always)]
    pub(crate) fn is_default(&self) -> bool {
        self.is_default
    }

    /// The short way of most records.
    #[inline(always)]
    pub(crate) fn choose_by_default(&self, key: Option<&[u8]>, partitions: u32) -> (i32, bool) {
        match key {
            Some(key) => (keyed(key, partitions), false),
            None => (self.sticky.current(partitions), true),
        }
    }

    /// The partition of a record among `partitions` (> 0), and whether the choice was free: then the
    /// record sticks to the partition for a batch's worth, and may go elsewhere.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for a record without the key that the partitioner needs, and for a topic with
    /// fewer partitions than a group has.
    pub(crate) fn choose(&self, record: &Record<'_>, partitions: u32) -> Result<(i32, bool)> {
        Ok(match self.pick(record, partitions)? {
            Pick::Sticky(partition) => (partition, true),
            Pick::Any(partition) | Pick::Place(partition) => (partition, false),
        })
    }

    /// As [`choose`](Self::choose), for a topic whose available partitions were noted by other numbers
    /// than their places (Kafka 0.7).
    pub(crate) fn pick(&self, record: &Record<'_>, partitions: u32) -> Result<Pick> {
        match record.key {
            Some(key) if self.is_default => Ok(Pick::Place(keyed(key, partitions))),
            None if self.is_default => Ok(Pick::Sticky(self.sticky.current(partitions))),
            _ => self.pick_otherwise(record, partitions),
        }
    }

    fn pick_otherwise(&self, record: &Record<'_>, partitions: u32) -> Result<Pick> {
        let key = record.key.unwrap_or_default();
        let hash = match (self.partitioning.partitioner, record.key) {
            (Partitioner::Default, _) | (Partitioner::Fnv1aRandom, None) => {
                return Ok(Pick::Sticky(self.sticky.current(partitions)));
            }
            (Partitioner::ConsistentRandom, _) if key.is_empty() => {
                return Ok(Pick::Sticky(self.sticky.current(partitions)));
            }
            (Partitioner::RoundRobin, _) => return Ok(Pick::Any(self.sticky.turn(partitions))),
            (Partitioner::Random, _) => return Ok(Pick::Any(self.sticky.any(partitions))),
            (Partitioner::Hashing | Partitioner::GroupHashing, None) => {
                return Err(lacks_key(record));
            }
            (Partitioner::Consistent | Partitioner::ConsistentRandom, _) => crc32fast::hash(key),
            (Partitioner::Murmur2, _) => murmur2(key) & 0x7fff_ffff,
            (Partitioner::Fnv1a | Partitioner::Fnv1aRandom, _) => hash::fnv1a(key),
            (Partitioner::Hashing, Some(_)) => hash::sha1_modulo(key, partitions),
            (Partitioner::GroupHashing, Some(_)) => self.group(record, key, partitions)?,
        };
        Ok(Pick::Place(modulo(hash, partitions)))
    }

    /// Any of the partitions of a key's group; may be up to twice `partitions`, and wraps there.
    fn group(&self, record: &Record<'_>, key: &[u8], partitions: u32) -> Result<u32> {
        let size = self.partitioning.group_size;
        if size > partitions {
            let name = record.topic.name();
            let text = format!(
                "samsa.partitioner.group.size={size}, but topic {name} has only {partitions} partitions"
            );
            return Err(Error::new(Code::INVALID_ARGUMENT, text)
                .with_topic(&**name)
                .with_property("samsa.partitioner.group.size"));
        }
        let begin = u64::from(hash::sha1_modulo(key, partitions));
        Ok(((begin + self.sticky.number_below(size)) % u64::from(partitions.max(1))) as u32)
    }

    /// Another partition than `from` for records that no key binds; `backlog` tells of the queues.
    pub(crate) fn move_on(&self, from: i32, partitions: u32, backlog: Backlog<'_>) {
        self.sticky.leave(from, partitions, Some(backlog));
    }

    /// Notes which of so many partitions have a leader.
    pub(crate) fn set_available(&self, available: Vec<i32>, partitions: u32) {
        self.sticky.set_available(available, partitions);
    }
}

#[cold]
fn lacks_key(record: &Record<'_>) -> Error {
    let name = record.topic.name();
    let text = format!(
        "the record has no key, and the partitioner of topic {name} has nothing else to choose by: give \
         it a key, or an empty one"
    );
    Error::new(Code::INVALID_ARGUMENT, text).with_topic(&**name).with_property("partitioner")
}
