//! Metadata: who is there, and who leads what.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Call, Serve, Served, is_topic, wire};
use crate::embedded::options::Options;
use crate::embedded::state::Shared;
use crate::embedded::topics::Topic;
use crate::error::Code;
use crate::protocol::modern::Uuid;
use crate::protocol::modern::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic,
};

/// The first version whose answer can carry an error as a whole (KIP-1102).
const WHOLE_ERROR: i16 = 13;

impl Serve for MetadataRequest {
    fn names(&self, shared: &Shared, topic: Option<&str>, partition: Option<i32>) -> bool {
        let Some(topics) = &self.topics else { return true };
        let of = |t: &MetadataRequestTopic| {
            is_topic(shared, topic, t.name.as_deref().unwrap_or(""), t.topic_id)
        };
        partition.is_none() && (topics.is_empty() || topics.iter().any(of))
    }

    fn serve(self, call: &Call<'_>) -> Served<MetadataResponse> {
        let shared = call.shared;
        if let Some(error_code) = call.verdict.whole_code().filter(|_| call.version >= WHOLE_ERROR)
        {
            return Served::Answer(MetadataResponse { error_code, ..MetadataResponse::default() });
        }
        let living: Vec<i32> = shared.living().map(|(id, _)| id).collect();
        let create = self.allow_auto_topic_creation;
        let all = match &self.topics {
            None => true,
            // Version 0 has no null: an empty list means all.
            Some(topics) => call.version == 0 && topics.is_empty(),
        };
        let topics: Vec<_> = if all {
            let topics: Vec<_> = shared.topics().all().cloned().collect();
            topics.iter().map(|t| described(t, call, &living)).collect()
        } else {
            let mut asked = self.topics.unwrap_or_default();
            // Each once, as brokers do: a short request must not have an answer without bound.
            let mut seen = HashSet::new();
            asked.retain(|t| seen.insert((t.topic_id, t.name.clone())));
            asked.into_iter().map(|t| answer(t, call, create, &living)).collect()
        };
        let options = shared.options().clone();
        Served::Answer(MetadataResponse {
            brokers: shared.living().map(|(id, seat)| broker(id, seat.address, &options)).collect(),
            cluster_id: Some(options.cluster_id.clone()),
            controller_id: living.first().copied().unwrap_or(-1),
            topics,
            ..MetadataResponse::default()
        })
    }

    fn throttle(response: &mut MetadataResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }
}

fn broker(
    node_id: i32,
    address: std::net::SocketAddr,
    options: &Options,
) -> MetadataResponseBroker {
    MetadataResponseBroker {
        node_id,
        host: address.ip().to_string(),
        port: i32::from(address.port()),
        rack: options.rack(node_id).map(str::to_owned),
    }
}

fn answer(
    asked: MetadataRequestTopic,
    call: &Call<'_>,
    create: bool,
    living: &[i32],
) -> MetadataResponseTopic {
    let found = match &asked.name {
        Some(name) => call.shared.topic_or_create(name, create).map_err(|e| e.code()),
        None => {
            let topics = call.shared.topics();
            topics.identified(asked.topic_id).cloned().ok_or(Code::UNKNOWN_TOPIC_ID)
        }
    };
    match found {
        Ok(topic) => described(&topic, call, living),
        Err(code) => MetadataResponseTopic {
            error_code: wire(code),
            name: asked.name.or_else(|| (call.version < 12).then(String::new)),
            topic_id: asked.topic_id,
            ..MetadataResponseTopic::default()
        },
    }
}

fn described(topic: &Arc<Topic>, call: &Call<'_>, living: &[i32]) -> MetadataResponseTopic {
    let fault = call.verdict.topic_code(&topic.name);
    let partitions = topic.partitions();
    MetadataResponseTopic {
        error_code: fault.map_or(0, |(code, _)| code),
        name: Some(topic.name.clone()),
        topic_id: if call.version >= 10 { topic.id } else { Uuid::ZERO },
        partitions: match fault {
            Some(_) => Vec::new(),
            None => partitions.iter().map(|p| partition(p, living)).collect(),
        },
        ..MetadataResponseTopic::default()
    }
}

fn partition(
    partition: &crate::embedded::partition::Partition,
    living: &[i32],
) -> MetadataResponsePartition {
    let state = partition.lock();
    let (live, dead): (Vec<i32>, Vec<i32>) =
        state.replicas.iter().partition(|replica| living.contains(replica));
    let led = state.leader >= 0;
    MetadataResponsePartition {
        error_code: if led { 0 } else { wire(Code::LEADER_NOT_AVAILABLE) },
        partition_index: partition.index,
        leader_id: state.leader,
        leader_epoch: state.leader_epoch,
        replica_nodes: state.replicas.clone(),
        isr_nodes: live,
        offline_replicas: dead,
    }
}
