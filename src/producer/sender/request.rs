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
