//! What goes into one Produce request.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::accumulator::Flight;
use crate::config::Acks;
use crate::protocol::modern::Uuid;
use crate::protocol::modern::messages::produce::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};

/// What a partition's place in the request takes besides its batch: index, length, tags.
const PARTITION_OVERHEAD: usize = 16;

/// The batches of one request, one per partition.
#[derive(Debug, Default)]
pub(super) struct Cargo {
    flights: Vec<Flight>,
    bytes: usize,
}

impl Cargo {
    /// Room for another batch under `max.request.size`; none for the first, which goes alone if it is
    /// larger (invariant 4.15).
    pub(super) fn room(&self, max_request_size: usize) -> Option<usize> {
        let used = self.bytes + PARTITION_OVERHEAD;
        (!self.flights.is_empty()).then(|| max_request_size.saturating_sub(used))
    }

    /// One batch.
    pub(super) fn of(flight: Flight) -> Self {
        let mut cargo = Self::default();
        cargo.add(flight);
        cargo
    }

    pub(super) fn add(&mut self, flight: Flight) {
        self.bytes += flight.body.bytes().len() + PARTITION_OVERHEAD;
        self.flights.push(flight);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.flights.is_empty()
    }

    pub(super) fn into_flights(self) -> Vec<Flight> {
        self.flights
    }

    /// The ids of the topics in it, if all have one: then a version with ids may be spoken
    /// (invariant 2.6).
    pub(super) fn topic_ids(&self) -> Option<BTreeMap<usize, Uuid>> {
        let mut ids = BTreeMap::new();
        for flight in &self.flights {
            let topic = flight.queue.topic();
            if let std::collections::btree_map::Entry::Vacant(place) = ids.entry(topic.index()) {
                let id = topic.metadata().map_or(Uuid::ZERO, |metadata| Uuid(metadata.id));
                if id == Uuid::ZERO {
                    return None;
                }
                place.insert(id);
            }
        }
        Some(ids)
    }

    /// The request; batches are shared, not copied. With `ids` topics go by id, else by name.
    pub(super) fn request(
        &self,
        acks: Acks,
        timeout: Duration,
        ids: Option<&BTreeMap<usize, Uuid>>,
    ) -> ProduceRequest {
        let mut topics: BTreeMap<usize, TopicProduceData> = BTreeMap::new();
        for flight in &self.flights {
            let topic = flight.queue.topic();
            let data = topics.entry(topic.index()).or_insert_with(|| TopicProduceData {
                name: if ids.is_none() { topic.name().to_string() } else { String::new() },
                topic_id: ids.and_then(|ids| ids.get(&topic.index()).copied()).unwrap_or_default(),
                ..TopicProduceData::default()
            });
            data.partition_data.push(PartitionProduceData {
                index: flight.queue.partition(),
                records: Some(flight.body.bytes().clone()),
            });
        }
        ProduceRequest {
            acks: acks.wire(),
            timeout_ms: i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX),
            topic_data: topics.into_values().collect(),
            ..ProduceRequest::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Topic;
    use crate::producer::accumulator::test_flight;

    fn cargo() -> Cargo {
        let (one, two) = (Topic::lone("one", 0), Topic::lone("two", 1));
        let mut cargo = Cargo::default();
        [(&two, 0), (&one, 3), (&two, 5)]
            .into_iter()
            .for_each(|(topic, partition)| cargo.add(test_flight(topic, partition)));
        cargo
    }

    #[test]
    fn partitions_are_grouped_by_topic_and_batches_are_shared() {
        let cargo = cargo();
        let request = cargo.request(Acks::All, Duration::from_secs(30), None);
        assert_eq!((request.acks, request.timeout_ms), (-1, 30_000));
        let names: Vec<_> = request.topic_data.iter().map(|topic| topic.name.as_str()).collect();
        assert_eq!(names, ["one", "two"]);
        let two = &request.topic_data[1].partition_data;
        assert_eq!([two[0].index, two[1].index], [0, 5]);
        let flights = cargo.into_flights();
        let sent = two[0].records.as_ref().unwrap();
        assert_eq!(sent.as_ptr(), flights[0].body.bytes().as_ptr(), "not copied");
    }

    #[test]
    fn rule_2_6_without_an_id_for_each_topic_none_is_used() {
        assert!(cargo().topic_ids().is_none());
        let ids = BTreeMap::from([(0, Uuid([1; 16])), (1, Uuid([2; 16]))]);
        let request = cargo().request(Acks::Leader, Duration::from_secs(1), Some(&ids));
        assert_eq!(request.topic_data[1].topic_id, Uuid([2; 16]));
        assert!(request.topic_data.iter().all(|topic| topic.name.is_empty()));
    }

    #[test]
    fn rule_4_15_the_first_batch_has_no_limit_and_the_others_have_what_is_left() {
        let mut cargo = Cargo::default();
        assert_eq!(cargo.room(10), None, "it goes alone, whatever its size");
        cargo.add(test_flight(&Topic::lone("one", 0), 0));
        assert_eq!(cargo.room(10), Some(0));
        assert!(cargo.room(1_000).is_some_and(|room| room < 1_000));
    }
}
