//! Metadata (key 3): brokers, topics, partitions and their leaders.

use crate::protocol::modern::Uuid;
use crate::protocol::modern::define::{define_api, define_structs};
use crate::protocol::modern::schema::Entity::{BrokerId, TopicName};
use crate::protocol::modern::schema::{between, since};

define_api!(Metadata, versions 0..=13, flexible since 9, MetadataRequest => MetadataResponse);

define_structs! {
    /// Asks for brokers and topics.
    struct MetadataRequest {
        /// The topics; null means all, and none means all at version 0 but none from version 1.
        topics: Option<Vec<MetadataRequestTopic>> = Some(Vec::new()) => since(0).nullable(1),
        /// Whether the broker may create topics that do not exist. Before version 4 it decides.
        allow_auto_topic_creation: bool = true => since(4),
        /// Whether to say what the client may do with the cluster.
        include_cluster_authorized_operations: bool => between(8, 10),
        /// Whether to say what the client may do with each topic.
        include_topic_authorized_operations: bool => since(8),
    }

    /// A topic that is asked for.
    struct MetadataRequestTopic {
        /// The topic's id, if asked by id.
        topic_id: Uuid => since(10).ignorable(),
        /// The topic's name, if asked by name.
        name: Option<String> = Some(String::new()) => since(0).nullable(10).entity(TopicName),
    }

    /// Brokers and topics.
    struct MetadataResponse {
        /// For how long the broker held the request back, or wants the client to wait.
        throttle_time_ms: i32 => since(3).ignorable(),
        /// The brokers that are alive.
        brokers: Vec<MetadataResponseBroker> => since(0),
        /// The cluster's id, if the broker knows it.
        cluster_id: Option<String> = None => since(2).nullable(2).ignorable(),
        /// The controller, or −1. A KRaft broker names any broker that forwards.
        controller_id: i32 = -1 => since(1).ignorable().entity(BrokerId),
        /// The topics.
        topics: Vec<MetadataResponseTopic> => since(0),
        /// What the client may do with the cluster, a bit per operation; −2³¹ if not asked.
        cluster_authorized_operations: i32 = i32::MIN => between(8, 10),
        /// What went wrong with the whole request.
        error_code: i16 => since(13).ignorable(),
    }

    /// A broker that is alive.
    struct MetadataResponseBroker {
        /// The broker's id.
        node_id: i32 => since(0).entity(BrokerId),
        /// Its host name.
        host: String => since(0),
        /// Its port.
        port: i32 => since(0),
        /// Its rack, if it has one.
        rack: Option<String> = None => since(1).nullable(1).ignorable(),
    }

    /// A topic.
    struct MetadataResponseTopic {
        /// What went wrong with this topic.
        error_code: i16 => since(0),
        /// The name; null if the topic was asked by an id that is unknown.
        name: Option<String> = Some(String::new()) => since(0).nullable(12).entity(TopicName),
        /// The topic's id.
        topic_id: Uuid => since(10).ignorable(),
        /// Whether the topic is one of Kafka's own.
        is_internal: bool => since(1).ignorable(),
        /// The partitions, in no order.
        partitions: Vec<MetadataResponsePartition> => since(0),
        /// What the client may do with the topic, a bit per operation; −2³¹ if not asked.
        topic_authorized_operations: i32 = i32::MIN => since(8),
    }

    /// A partition of a topic.
    struct MetadataResponsePartition {
        /// What went wrong with this partition; some errors leave the rest valid.
        error_code: i16 => since(0),
        /// The partition's number.
        partition_index: i32 => since(0),
        /// The leader, or −1.
        leader_id: i32 => since(0).entity(BrokerId),
        /// The leader's era.
        leader_epoch: i32 = -1 => since(7).ignorable(),
        /// All replicas.
        replica_nodes: Vec<i32> => since(0).entity(BrokerId),
        /// The replicas that are in sync.
        isr_nodes: Vec<i32> => since(0).entity(BrokerId),
        /// The replicas that are offline.
        offline_replicas: Vec<i32> => since(5).ignorable().entity(BrokerId),
    }
}
