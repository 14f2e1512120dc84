//! Every API but Produce and Fetch.

use samsa::protocol::modern::Request;
use samsa::protocol::modern::messages::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse,
};
use samsa::protocol::modern::messages::fetch::FetchRequest;
use samsa::protocol::modern::messages::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};
use samsa::protocol::modern::messages::init_producer_id::{
    InitProducerIdRequest, InitProducerIdResponse,
};
use samsa::protocol::modern::messages::list_offsets::{
    ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
    ListOffsetsTopicResponse,
};
use samsa::protocol::modern::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic,
};
use samsa::protocol::modern::messages::produce::ProduceRequest;

use crate::world::World;

const UNSUPPORTED_VERSION: i16 = 35;
const UNKNOWN_TOPIC_ID: i16 = 100;
const EPOCH: i32 = 0;
/// As a timestamp: the end of the log; the largest timestamp.
const LATEST: i64 = -1;
const MAX_TIMESTAMP: i64 = -3;
/// Kafka 4 answers none of these and lists them all the same: librdkafka looks for them.
const FIRST_PRODUCE: i16 = 0;

/// What is served.
pub fn api_versions(error_code: i16) -> ApiVersionsResponse {
    fn row<R: Request>() -> ApiVersion {
        let (min_version, max_version) = (*R::VERSIONS.start(), *R::VERSIONS.end());
        ApiVersion { api_key: R::KEY as i16, min_version, max_version }
    }
    let produce = ApiVersion { min_version: FIRST_PRODUCE, ..row::<ProduceRequest>() };
    // Version 0 has its answer elsewhere.
    let list_offsets = ApiVersion { min_version: 1, ..row::<ListOffsetsRequest>() };
    let fetch = ApiVersion { min_version: 4, ..row::<FetchRequest>() };
    let api_keys = vec![
        produce,
        fetch,
        list_offsets,
        row::<MetadataRequest>(),
        row::<FindCoordinatorRequest>(),
        row::<ApiVersionsRequest>(),
        row::<InitProducerIdRequest>(),
    ];
    ApiVersionsResponse { error_code, api_keys, ..ApiVersionsResponse::default() }
}

/// The answer, in version 0, to who asks for a version that is not known.
pub fn unsupported_api_versions() -> ApiVersionsResponse {
    api_versions(UNSUPPORTED_VERSION)
}

pub fn metadata(request: MetadataRequest, version: i16, world: &World) -> MetadataResponse {
    let broker = |(port, node_id): (&u16, i32)| MetadataResponseBroker {
        node_id,
        host: "127.0.0.1".to_owned(),
        port: i32::from(*port),
        rack: None,
    };
    let all = match &request.topics {
        None => true,
        Some(topics) => version == 0 && topics.is_empty(),
    };
    let topics = if all {
        let names = world.topics().all();
        names.into_iter().map(|name| named(name, world)).collect()
    } else {
        request.topics.unwrap_or_default().into_iter().map(|t| asked(t, world)).collect()
    };
    MetadataResponse {
        brokers: world.ports.iter().zip(1..).map(broker).collect(),
        cluster_id: Some("null".to_owned()),
        controller_id: 1,
        topics,
        ..MetadataResponse::default()
    }
}

fn asked(topic: MetadataRequestTopic, world: &World) -> MetadataResponseTopic {
    let name = match topic.name {
        Some(name) => Some(name),
        None => world.topics().name(topic.topic_id),
    };
    match name {
        Some(name) => named(name, world),
        None => MetadataResponseTopic {
            error_code: UNKNOWN_TOPIC_ID,
            name: None,
            topic_id: topic.topic_id,
            ..MetadataResponseTopic::default()
        },
    }
}

fn named(name: String, world: &World) -> MetadataResponseTopic {
    let partition = |partition_index| {
        let leader_id = world.leader(partition_index);
        MetadataResponsePartition {
            partition_index,
            leader_id,
            leader_epoch: EPOCH,
            replica_nodes: vec![leader_id],
            isr_nodes: vec![leader_id],
            ..MetadataResponsePartition::default()
        }
    };
    MetadataResponseTopic {
        topic_id: world.topics().id(&name),
        name: Some(name),
        partitions: (0..world.options.partitions).map(partition).collect(),
        ..MetadataResponseTopic::default()
    }
}

pub fn list_offsets(request: ListOffsetsRequest, world: &World) -> ListOffsetsResponse {
    let topic = |topic: ListOffsetsTopic| ListOffsetsTopicResponse {
        name: topic.name,
        partitions: topic
            .partitions
            .iter()
            .map(|p| {
                let at_end = p.timestamp == LATEST || p.timestamp == MAX_TIMESTAMP;
                let offset = if at_end { world.log.end() } else { 0 };
                ListOffsetsPartitionResponse {
                    partition_index: p.partition_index,
                    offset,
                    leader_epoch: EPOCH,
                    ..ListOffsetsPartitionResponse::default()
                }
            })
            .collect(),
    };
    ListOffsetsResponse {
        topics: request.topics.into_iter().map(topic).collect(),
        ..ListOffsetsResponse::default()
    }
}

/// The first broker coordinates everything; who joins a group there is turned away.
pub fn find_coordinator(
    request: FindCoordinatorRequest,
    version: i16,
    world: &World,
) -> FindCoordinatorResponse {
    let (node_id, host) = (1, "127.0.0.1".to_owned());
    let port = world.ports.first().map_or(-1, |port| i32::from(*port));
    if version < 4 {
        return FindCoordinatorResponse {
            error_message: None,
            node_id,
            host,
            port,
            ..FindCoordinatorResponse::default()
        };
    }
    let coordinator = |key| Coordinator {
        key,
        node_id,
        host: host.clone(),
        port,
        error_code: 0,
        error_message: None,
    };
    FindCoordinatorResponse {
        coordinators: request.coordinator_keys.into_iter().map(coordinator).collect(),
        ..FindCoordinatorResponse::default()
    }
}

pub fn init_producer_id(request: &InitProducerIdRequest, world: &World) -> InitProducerIdResponse {
    let known = request.producer_id >= 0;
    InitProducerIdResponse {
        producer_id: if known { request.producer_id } else { world.producer_id() },
        producer_epoch: if known { request.producer_epoch.wrapping_add(1) } else { 0 },
        ..InitProducerIdResponse::default()
    }
}
