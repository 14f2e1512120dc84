//! How a record without a partition of its own finds one.

use std::time::Duration;

use super::Values;
use crate::error::Result;

/// Who chooses. "All" partitions are those of the topic, whether they have a leader or not; a "free"
/// choice is among those that have one, and stays with one partition for a batch's worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Partitioner {
    /// Java's: murmur2 of the key over all; free without a key. librdkafka's `murmur2_random`.
    #[default]
    Default,
    /// Each record to the next partition that has a leader, whatever its key.
    RoundRobin,
    /// Each record to a random partition that has a leader, whatever its key.
    Random,
    /// librdkafka's: CRC-32 of the key over all; a null key counts as an empty one.
    Consistent,
    /// The same, but free for a null and for an empty key.
    ConsistentRandom,
    /// librdkafka's: murmur2 of the key over all; a null key counts as an empty one.
    Murmur2,
    /// librdkafka's: FNV-1a of the key over all, as Sarama takes it; a null key counts as an empty one.
    Fnv1a,
    /// The same, but free for a null key.
    Fnv1aRandom,
    /// PyKafka's `HashingPartitioner`: SHA-1 of the key over all; a record without key is refused.
    Hashing,
    /// PyKafka's `GroupHashingPartitioner`: the same, and then any of the `group_size` partitions from
    /// there on.
    GroupHashing,
}

/// Who chooses, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partitioning {
    /// `partitioner`.
    pub partitioner: Partitioner,
    /// `partitioner.ignore.keys`: the default partitioner chooses freely whatever the key.
    pub ignore_keys: bool,
    /// `partitioner.adaptive.partitioning.enable`: free choices avoid long queues.
    pub adaptive: bool,
    /// `partitioner.availability.timeout.ms`: after so long, free choices avoid a broker that takes
    /// nothing; none: never.
    pub availability_timeout: Option<Duration>,
    /// `samsa.partitioner.group.size`, ≥ 1.
    pub group_size: u32,
}

impl Partitioning {
    pub(super) fn of(values: Values<'_>) -> Result<Self> {
        let timeout = values.millis("partitioner.availability.timeout.ms")?;
        Ok(Self {
            partitioner: values.choice("partitioner", partitioner)?,
            ignore_keys: values.boolean("partitioner.ignore.keys")?,
            adaptive: values.boolean("partitioner.adaptive.partitioning.enable")?,
            availability_timeout: Some(timeout).filter(|timeout| !timeout.is_zero()),
            group_size: values.number("samsa.partitioner.group.size")?,
        })
    }
}

fn partitioner(name: &str) -> Option<Partitioner> {
    Some(match name {
        "default" => Partitioner::Default,
        "roundrobin" => Partitioner::RoundRobin,
        "random" => Partitioner::Random,
        "consistent" => Partitioner::Consistent,
        "consistent_random" => Partitioner::ConsistentRandom,
        "murmur2" => Partitioner::Murmur2,
        "fnv1a" => Partitioner::Fnv1a,
        "fnv1a_random" => Partitioner::Fnv1aRandom,
        "hashing" => Partitioner::Hashing,
        "group_hashing" => Partitioner::GroupHashing,
        _ => return None,
    })
}
