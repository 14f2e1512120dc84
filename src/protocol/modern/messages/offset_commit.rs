//! OffsetCommit (key 8): keeps a group's offsets.

use crate::protocol::modern::Uuid;
use crate::protocol::modern::define::{define_api, define_structs};
use crate::protocol::modern::schema::Entity::{GroupId, TopicName};
use crate::protocol::modern::schema::{between, since};

define_api!(OffsetCommit, versions 0..=10, flexible since 8,
            OffsetCommitRequest => OffsetCommitResponse);

define_structs! {
    /// Keeps offsets for a group.
    struct OffsetCommitRequest {
        /// The group.
        group_id: String => since(0).entity(GroupId),
        /// The generation or, by KIP-848, the epoch of the member; −1 without membership.
        generation_id_or_member_epoch: i32 = -1 => since(1).ignorable(),
        /// The member.
        member_id: String => since(1).ignorable(),
        /// The static name of the member, or null (KIP-345).
        group_instance_id: Option<String> => since(7).nullable(7),
        /// How long to keep the offsets, in milliseconds; −1 for the broker's own time.
        retention_time_ms: i64 = -1 => between(2, 4).ignorable(),
        /// The topics.
        topics: Vec<OffsetCommitRequestTopic> => since(0),
    }

    /// The offsets of one topic.
    struct OffsetCommitRequestTopic {
        /// The topic's name.
        name: String => between(0, 9).ignorable().entity(TopicName),
        /// The topic's id.
        topic_id: Uuid => since(10).ignorable(),
        /// The partitions.
        partitions: Vec<OffsetCommitRequestPartition> => since(0),
    }

    /// The offset of one partition.
    struct OffsetCommitRequestPartition {
        /// The partition.
        partition_index: i32 => since(0),
        /// The offset; −1 in an answer if none is committed.
        committed_offset: i64 => since(0),
        /// The era of the leader that the record before the offset came from, or −1.
        committed_leader_epoch: i32 = -1 => since(6).ignorable(),
        /// When it was committed, in milliseconds; −1 for the broker's time.
        commit_timestamp: i64 = -1 => between(1, 1),
        /// Anything to keep with the offset.
        committed_metadata: Option<String> = Some(String::new()) => since(0).nullable(0),
    }

    /// What became of them.
    struct OffsetCommitResponse {
        /// For how long the broker held the request back, or wants the client to wait.
        throttle_time_ms: i32 => since(3).ignorable(),
        /// The topics.
        topics: Vec<OffsetCommitResponseTopic> => since(0),
    }

    /// What became of one topic.
    struct OffsetCommitResponseTopic {
        /// The topic's name.
        name: String => between(0, 9).ignorable().entity(TopicName),
        /// The topic's id.
        topic_id: Uuid => since(10).ignorable(),
        /// The partitions.
        partitions: Vec<OffsetCommitResponsePartition> => since(0),
    }

    /// What became of one partition.
    struct OffsetCommitResponsePartition {
        /// The partition.
        partition_index: i32 => since(0),
        /// What went wrong, or 0.
        error_code: i16 => since(0),
    }
}
