//! OffsetFetch (key 9): reads a group's offsets.

use crate::protocol::modern::Uuid;
use crate::protocol::modern::define::{define_api, define_structs};
use crate::protocol::modern::schema::Entity::{GroupId, TopicName};
use crate::protocol::modern::schema::{between, since};

define_api!(OffsetFetch, versions 0..=10, flexible since 6,
            OffsetFetchRequest => OffsetFetchResponse);

define_structs! {
    /// Asks for the offsets of a group, from version 8 on of several.
    struct OffsetFetchRequest {
        /// The group.
        group_id: String => between(0, 7).entity(GroupId),
        /// The topics; null for all that have offsets.
        topics: Option<Vec<OffsetFetchRequestTopic>> = Some(Vec::new()) => between(0, 7).nullable(2),
        /// The groups, from version 8 on.
        groups: Vec<OffsetFetchRequestGroup> => since(8),
        /// Whether to refuse partitions with offsets of open transactions.
        require_stable: bool => since(7),
    }

    /// The partitions of one topic, before version 8.
    struct OffsetFetchRequestTopic {
        /// The topic's name.
        name: String => between(0, 7).entity(TopicName),
        /// The partitions.
        partition_indexes: Vec<i32> => between(0, 7),
    }

    /// What is asked of one group.
    struct OffsetFetchRequestGroup {
        /// The group.
        group_id: String => since(8).entity(GroupId),
        /// The member who asks, or null.
        member_id: Option<String> => since(9).nullable(9).ignorable(),
        /// Its epoch; −1 by the classic protocol.
        member_epoch: i32 = -1 => since(9).ignorable(),
        /// The topics; null for all that have offsets.
        topics: Option<Vec<OffsetFetchRequestTopics>> = Some(Vec::new()) => since(8).nullable(8),
    }

    /// The partitions of one topic.
    struct OffsetFetchRequestTopics {
        /// The topic's name.
        name: String => between(8, 9).ignorable().entity(TopicName),
        /// The topic's id.
        topic_id: Uuid => since(10).ignorable(),
        /// The partitions.
        partition_indexes: Vec<i32> => since(8),
    }

    /// The offsets.
    struct OffsetFetchResponse {
        /// For how long the broker held the request back, or wants the client to wait.
        throttle_time_ms: i32 => since(3).ignorable(),
        /// The topics.
        topics: Vec<OffsetFetchResponseTopic> => between(0, 7),
        /// What went wrong, or 0.
        error_code: i16 => between(2, 7).ignorable(),
        /// The groups, from version 8 on.
        groups: Vec<OffsetFetchResponseGroup> => since(8),
    }

    /// The offsets of one topic, before version 8.
    struct OffsetFetchResponseTopic {
        /// The topic's name.
        name: String => between(0, 7).entity(TopicName),
        /// The partitions.
        partitions: Vec<OffsetFetchResponsePartition> => between(0, 7),
    }

    /// The offset of one partition, before version 8.
    struct OffsetFetchResponsePartition {
        /// The partition.
        partition_index: i32 => between(0, 7),
        /// The offset; −1 in an answer if none is committed.
        committed_offset: i64 => between(0, 7),
        /// The era of the leader that the record before the offset came from, or −1.
        committed_leader_epoch: i32 = -1 => between(5, 7).ignorable(),
        /// What the committer left with the offset.
        metadata: Option<String> = Some(String::new()) => between(0, 7).nullable(0),
        /// What went wrong, or 0.
        error_code: i16 => between(0, 7),
    }

    /// The offsets of one group.
    struct OffsetFetchResponseGroup {
        /// The group.
        group_id: String => since(8).entity(GroupId),
        /// The topics.
        topics: Vec<OffsetFetchResponseTopics> => since(8),
        /// What went wrong, or 0.
        error_code: i16 => since(8),
    }

    /// The offsets of one topic.
    struct OffsetFetchResponseTopics {
        /// The topic's name.
        name: String => between(8, 9).ignorable().entity(TopicName),
        /// The topic's id.
        topic_id: Uuid => since(10).ignorable(),
        /// The partitions.
        partitions: Vec<OffsetFetchResponsePartitions> => since(8),
    }

    /// The offset of one partition.
    struct OffsetFetchResponsePartitions {
        /// The partition.
        partition_index: i32 => since(8),
        /// The offset; −1 in an answer if none is committed.
        committed_offset: i64 => since(8),
        /// The era of the leader that the record before the offset came from, or −1.
        committed_leader_epoch: i32 = -1 => since(8).ignorable(),
        /// What the committer left with the offset.
        metadata: Option<String> = Some(String::new()) => since(8).nullable(8),
        /// What went wrong, or 0.
        error_code: i16 => since(8),
    }
}
