//! The topics that are to be shared out.

use std::collections::{BTreeMap, BTreeSet};

use super::Place;

/// A partition, as far as assignors care.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partition {
    /// The racks of its replicas.
    pub racks: BTreeSet<String>,
}

/// The partitions of every topic that exists, by number from 0 on. A topic that is not in it gets
/// nothing, whoever subscribes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topics(pub BTreeMap<String, Vec<Partition>>);

impl Topics {
    /// The partitions of a topic; none if it is not known.
    pub(super) fn of(&self, topic: &str) -> &[Partition] {
        self.0.get(topic).map_or(&[], Vec::as_slice)
    }

    /// Every partition of a topic, in order.
    pub(super) fn places(&self, topic: &str) -> impl Iterator<Item = Place> {
        (0..).zip(self.of(topic)).map(move |(number, _)| (topic.to_owned(), number))
    }

    /// The racks that hold a replica of a partition.
    pub(super) fn racks(&self, place: &Place) -> Option<&BTreeSet<String>> {
        let number = usize::try_from(place.1).ok()?;
        self.of(&place.0).get(number).map(|partition| &partition.racks)
    }

    /// Whether it can matter who reads which of these partitions: some reader is in a rack with
    /// replicas, and not every partition is in all of those racks.
    pub(super) fn racks_matter<'a>(
        &self,
        readers: impl Iterator<Item = Option<&'a str>>,
        topics: impl Iterator<Item = &'a String> + Clone,
    ) -> bool {
        let partitions = || topics.clone().flat_map(|topic| self.of(topic));
        let all: BTreeSet<&String> = partitions().flat_map(|p| &p.racks).collect();
        let met = readers.flatten().any(|rack| all.iter().any(|known| *known == rack));
        met && partitions().any(|p| p.racks.len() != all.len())
    }
}
