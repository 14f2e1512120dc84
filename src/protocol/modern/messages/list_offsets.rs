//! ListOffsets (key 2): the offset for a time, the first and the last offset.

use crate::protocol::modern::define::{define_api, define_structs};
use crate::protocol::modern::schema::Entity::{BrokerId, TopicName};
use crate::protocol::modern::schema::{between, since};

define_api!(ListOffsets, versions 0..=11, flexible since 6,
            ListOffsetsRequest => ListOffsetsResponse);

define_structs! {
    /// Asks for offsets.
    struct ListOffsetsRequest {
        /// −1 for a consumer; the default is 0, as in the official definition.
        replica_id: i32 => since(0).entity(BrokerId),
        /// 0: the last offset is the high watermark; 1: it is the last stable offset.
        isolation_level: i8 => since(2),
        /// The topics.
        topics: Vec<ListOffsetsTopic> => since(0),
        /// For how long the broker may look in remote storage.
        timeout_ms: i32 => since(10).ignorable(),
    }

    /// The partitions of one topic.
    struct ListOffsetsTopic {
        /// The topic's name.
        name: String => since(0).entity(TopicName),
        /// The partitions.
        partitions: Vec<ListOffsetsPartition> => since(0),
    }

    /// What is asked of one partition.
    struct ListOffsetsPartition {
        /// The partition.
        partition_index: i32 => since(0),
        /// The leader's era as the client knows it, or −1: the broker refuses another one.
        current_leader_epoch: i32 = -1 => since(4).ignorable(),
        /// A time in milliseconds, or: −1 the end, −2 the beginning, −3 the record with the
        /// highest time (7), −4 the beginning on local disk (8), −5 the end in remote storage (9),
        /// −6 the first not yet in remote storage (11).
        timestamp: i64 => since(0),
        /// The most offsets in an answer of version 0, which lists segment starts.
        max_num_offsets: i32 = 1 => between(0, 0),
    }

    /// The offsets.
    struct ListOffsetsResponse {
        /// For how long the broker held the request back, or wants the client to wait.
        throttle_time_ms: i32 => since(2).ignorable(),
        /// The topics.
        topics: Vec<ListOffsetsTopicResponse> => since(0),
    }

    /// The offsets of one topic.
    struct ListOffsetsTopicResponse {
        /// The topic's name.
        name: String => since(0).entity(TopicName),
        /// The partitions.
        partitions: Vec<ListOffsetsPartitionResponse> => since(0),
    }

    /// The offset of one partition.
    struct ListOffsetsPartitionResponse {
        /// The partition.
        partition_index: i32 => since(0),
        /// What went wrong, or 0.
        error_code: i16 => since(0),
        /// Offsets before the time asked for, descending.
        old_style_offsets: Vec<i64> => between(0, 0),
        /// The record's time, or −1.
        timestamp: i64 = -1 => since(1),
        /// The offset, or −1 if there is none.
        offset: i64 = -1 => since(1),
        /// The era of the leader that wrote the record, or −1.
        leader_epoch: i32 = -1 => since(4),
    }
}
