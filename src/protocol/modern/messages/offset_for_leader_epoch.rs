//! OffsetForLeaderEpoch (key 23): where the log of a leader's era ends, to find out whether what was
//! read is still there (KIP-101, KIP-320).

use crate::protocol::modern::define::{define_api, define_structs};
use crate::protocol::modern::schema::Entity::{BrokerId, TopicName};
use crate::protocol::modern::schema::since;

define_api!(OffsetForLeaderEpoch, versions 0..=4, flexible since 4,
            OffsetForLeaderEpochRequest => OffsetForLeaderEpochResponse);

define_structs! {
    /// Asks where eras end.
    struct OffsetForLeaderEpochRequest {
        /// −1 for a consumer; the default, as in the official definition, stands for a tool that may
        /// see beyond the high watermark: always set it (rule 6.17).
        replica_id: i32 = -2 => since(3).ignorable().entity(BrokerId),
        /// The topics.
        topics: Vec<OffsetForLeaderTopic> => since(0),
    }

    /// The partitions of one topic.
    struct OffsetForLeaderTopic {
        /// The topic's name.
        topic: String => since(0).entity(TopicName),
        /// The partitions.
        partitions: Vec<OffsetForLeaderPartition> => since(0),
    }

    /// What is asked of one partition.
    struct OffsetForLeaderPartition {
        /// The partition.
        partition: i32 => since(0),
        /// The leader's era as the client knows it, or −1: the broker refuses another one.
        current_leader_epoch: i32 = -1 => since(2).ignorable(),
        /// The era whose end is asked for.
        leader_epoch: i32 => since(0),
    }

    /// The ends.
    struct OffsetForLeaderEpochResponse {
        /// For how long the broker held the request back, or wants the client to wait.
        throttle_time_ms: i32 => since(2).ignorable(),
        /// The topics.
        topics: Vec<OffsetForLeaderTopicResult> => since(0),
    }

    /// The ends of one topic.
    struct OffsetForLeaderTopicResult {
        /// The topic's name.
        topic: String => since(0).entity(TopicName),
        /// The partitions.
        partitions: Vec<EpochEndOffset> => since(0),
    }

    /// Where an era of one partition ends.
    struct EpochEndOffset {
        /// What went wrong, or 0.
        error_code: i16 => since(0),
        /// The partition.
        partition: i32 => since(0),
        /// The largest era of the broker's log not above the one asked for, or −1 if it knows none.
        leader_epoch: i32 = -1 => since(1).ignorable(),
        /// Where that era ends: the first offset of the next one, or the end of the log; −1 if not
        /// known.
        end_offset: i64 = -1 => since(0),
    }
}
