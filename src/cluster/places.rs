//! Partitions of Kafka 0.7, which belong to their brokers.
//!
//! There a partition is a broker and a number within it. In one number that is `broker << 32 | number`;
//! numbers of later releases, which fit the lower half, stay as they are.

use super::{Metadata, PartitionMetadata, TopicMetadata};
use crate::discovery::zookeeper::Generation;

/// The number within a broker that leaves the choice to the broker: −1 on the wire.
pub const ANY_OF_BROKER: i32 = -1;

/// Where a partition of Kafka 0.7 is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// `broker << 32 | number`.
    pub number: i64,
    /// The broker does not have the topic yet: it makes it when it is written to.
    pub is_virtual: bool,
}

/// The number of a partition of Kafka 0.7, for ids that are not negative.
#[must_use]
pub fn partition_number(broker: i32, number: i32) -> i64 {
    i64::from(broker) << 32 | i64::from(u32::from_be_bytes(number.to_be_bytes()))
}

/// The broker of a partition of Kafka 0.7; 0 for partitions of later releases.
#[must_use]
pub fn partition_broker(partition: i64) -> i32 {
    i32::try_from(partition >> 32).unwrap_or(-1)
}

/// The number of a partition within its broker on Kafka 0.7; of later releases the partition itself.
#[must_use]
pub fn partition_within(partition: i64) -> i32 {
    let [_, _, _, _, low @ ..] = partition.to_be_bytes();
    i32::from_be_bytes(low)
}

impl Metadata {
    /// Whether the cluster is of Kafka 0.7.
    #[must_use]
    pub fn is_legacy(&self) -> bool {
        self.generation == Some(Generation::Legacy)
    }
}

impl TopicMetadata {
    /// The number of the partition at `index` of the list, as the API shows it.
    #[must_use]
    pub fn number(&self, index: usize) -> i64 {
        match &self.places {
            Some(places) => places.get(index).map_or(-1, |place| place.number),
            None => i64::try_from(index).unwrap_or(-1),
        }
    }

    /// The numbers of all partitions, ascending.
    pub fn numbers(&self) -> impl Iterator<Item = i64> {
        (0..self.partitions.len()).map(|index| self.number(index))
    }

    /// Where in the list the partition of this number is, if the topic has it.
    #[must_use]
    pub fn index(&self, number: i64) -> Option<usize> {
        match &self.places {
            Some(places) => places.binary_search_by_key(&number, |place| place.number).ok(),
            None => usize::try_from(number).ok().filter(|index| *index < self.partitions.len()),
        }
    }

    /// Whether a partition of Kafka 0.7 that is not there may come: its broker is away, or does not have
    /// the topic yet.
    #[must_use]
    pub fn may_come(&self, metadata: &Metadata, number: i64) -> bool {
        let broker = partition_broker(number);
        let virtually =
            || self.index(partition_number(broker, 0)).is_some_and(|at| self.is_virtual(at));
        self.places.is_some() && (!metadata.brokers.contains_key(&broker) || virtually())
    }

    /// What is known of the partition of this number.
    #[must_use]
    pub fn partition(&self, number: i64) -> Option<&PartitionMetadata> {
        self.partitions.get(self.index(number)?)
    }

    /// Whether the partition at `index` begins to exist when it is written to.
    #[must_use]
    pub fn is_virtual(&self, index: usize) -> bool {
        let place = self.places.as_ref().and_then(|places| places.get(index));
        place.is_some_and(|place| place.is_virtual)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_number_is_broker_and_partition_and_comes_apart_again() {
        for (broker, number) in [(0, 0), (3, 2), (i32::MAX, i32::MAX), (7, ANY_OF_BROKER)] {
            let partition = partition_number(broker, number);
            assert!(partition >= 0);
            assert_eq!(
                (partition_broker(partition), partition_within(partition)),
                (broker, number)
            );
        }
        assert_eq!(partition_number(3, 2), 3 << 32 | 2);
        assert_eq!((partition_broker(12), partition_within(12)), (0, 12));
    }

    #[test]
    fn partitions_are_found_by_their_numbers_in_both_numberings() {
        let mut topic = TopicMetadata::unknown(&Arc::from("t"));
        topic.partitions = vec![PartitionMetadata::unknown(); 2];
        assert_eq!((topic.number(1), topic.index(1), topic.index(2)), (1, Some(1), None));
        let place = |broker, is_virtual| Place { number: partition_number(broker, 0), is_virtual };
        topic.places = Some(Arc::new([place(2, false), place(10, true)]));
        assert_eq!((topic.number(1), topic.index(10 << 32)), (10 << 32, Some(1)));
        assert!(topic.index(1).is_none() && topic.partition(2 << 32).is_some());
        assert!(topic.is_virtual(1) && !topic.is_virtual(0));
    }
}
