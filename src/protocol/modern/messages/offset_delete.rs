//! OffsetDelete (key 47): forgets a group's offsets (KIP-496).

use crate::protocol::modern::define::{define_api, define_structs};
use crate::protocol::modern::schema::Entity::{GroupId, TopicName};
use crate::protocol::modern::schema::since;

define_api!(OffsetDelete, versions 0..=0, flexible since i16::MAX,
            OffsetDeleteRequest => OffsetDeleteResponse);

define_structs! {
    /// Forgets offsets of a group.
    struct OffsetDeleteRequest {
        /// The group.
        group_id: String => since(0).entity(GroupId),
        /// The topics.
        topics: Vec<OffsetDeleteRequestTopic> => since(0),
    }

    /// The partitions of one topic.
    struct OffsetDeleteRequestTopic {
        /// The topic's name.
        name: String => since(0).entity(TopicName),
        /// The partitions.
        partitions: Vec<OffsetDeleteRequestPartition> => since(0),
    }

    /// One partition.
    struct OffsetDeleteRequestPartition {
        /// The partition.
        partition_index: i32 => since(0),
    }

    /// What became of them.
    struct OffsetDeleteResponse {
        /// What went wrong, or 0.
        error_code: i16 => since(0),
        /// For how long the broker held the request back, or wants the client to wait.
        throttle_time_ms: i32 => since(0).ignorable(),
        /// The topics.
        topics: Vec<OffsetDeleteResponseTopic> => since(0),
    }

    /// What became of one topic.
    struct OffsetDeleteResponseTopic {
        /// The topic's name.
        name: String => since(0).entity(TopicName),
        /// The partitions.
        partitions: Vec<OffsetDeleteResponsePartition> => since(0),
    }

    /// What became of one partition.
    struct OffsetDeleteResponsePartition {
        /// The partition.
        partition_index: i32 => since(0),
        /// What went wrong, or 0.
        error_code: i16 => since(0),
    }
}
