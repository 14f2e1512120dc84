//! Produce (key 0): appends record batches.

use bytes::Bytes;

use crate::protocol::modern::Uuid;
use crate::protocol::modern::define::{define_api, define_structs};
use crate::protocol::modern::schema::Entity::{BrokerId, TopicName, TransactionalId};
use crate::protocol::modern::schema::{between, since};

define_api!(Produce, versions 0..=13, flexible since 9, ProduceRequest => ProduceResponse);

define_structs! {
    /// Batches of several partitions. With `acks` 0 there is no response.
    struct ProduceRequest {
        /// The transactional id, or null.
        transactional_id: Option<String> = None => since(3).nullable(3).entity(TransactionalId),
        /// 0: no response; 1: the leader has it; −1: all in-sync replicas have it.
        acks: i16 => since(0),
        /// For how long the leader waits for the replicas.
        timeout_ms: i32 => since(0),
        /// The topics.
        topic_data: Vec<TopicProduceData> => since(0),
    }

    /// The batches of one topic.
    struct TopicProduceData {
        /// The topic's name.
        name: String => between(0, 12).ignorable().entity(TopicName),
        /// The topic's id.
        topic_id: Uuid => since(13).ignorable(),
        /// The partitions.
        partition_data: Vec<PartitionProduceData> => since(0),
    }

    /// The batch of one partition.
    struct PartitionProduceData {
        /// The partition.
        index: i32 => since(0),
        /// The record batch; message sets before version 3. Sent without being copied.
        records: Option<Bytes> = None => since(0).nullable(0).records(),
    }

    /// The outcome of each batch.
    struct ProduceResponse {
        /// The topics.
        responses: Vec<TopicProduceResponse> => since(0),
        /// For how long the broker held the request back, or wants the client to wait.
        throttle_time_ms: i32 => since(1).ignorable(),
        /// Where the leaders are that `current_leader` names.
        node_endpoints: Vec<NodeEndpoint> => since(10).tag(0),
    }

    /// The outcomes of one topic.
    struct TopicProduceResponse {
        /// The topic's name.
        name: String => between(0, 12).ignorable().entity(TopicName),
        /// The topic's id.
        topic_id: Uuid => since(13).ignorable(),
        /// The partitions.
        partition_responses: Vec<PartitionProduceResponse> => since(0),
    }

    /// The outcome of one batch.
    struct PartitionProduceResponse {
        /// The partition.
        index: i32 => since(0),
        /// What went wrong, or 0.
        error_code: i16 => since(0),
        /// The offset of the batch's first record.
        base_offset: i64 => since(0),
        /// When the broker appended it, if the topic's time is the broker's; else −1.
        log_append_time_ms: i64 = -1 => since(2).ignorable(),
        /// The first offset that the log still has.
        log_start_offset: i64 = -1 => since(5).ignorable(),
        /// The records because of which the batch was refused (KIP-467).
        record_errors: Vec<BatchIndexAndErrorMessage> => since(8).ignorable(),
        /// Why the batch was refused.
        error_message: Option<String> = None => since(8).nullable(8).ignorable(),
        /// The leader, if it is another broker (KIP-951).
        current_leader: LeaderIdAndEpoch => since(10).tag(0),
    }

    /// A record because of which its batch was refused.
    struct BatchIndexAndErrorMessage {
        /// Its place in the batch.
        batch_index: i32 => since(8),
        /// What is wrong with it.
        batch_index_error_message: Option<String> = None => since(8).nullable(8),
    }

    /// A leader and its era.
    struct LeaderIdAndEpoch {
        /// The broker, or −1 if unknown.
        leader_id: i32 = -1 => since(10).entity(BrokerId),
        /// Its era, or −1 if unknown.
        leader_epoch: i32 = -1 => since(10),
    }

    /// Where a broker is.
    struct NodeEndpoint {
        /// The broker's id.
        node_id: i32 => since(10).entity(BrokerId),
        /// Its host name.
        host: String => since(10),
        /// Its port.
        port: i32 => since(10),
        /// Its rack, if it has one.
        rack: Option<String> = None => since(10).nullable(10),
    }
}
