//! ConsumerGroupHeartbeat (key 68): membership by KIP-848.

use crate::protocol::modern::Uuid;
use crate::protocol::modern::define::{define_api, define_structs};
use crate::protocol::modern::schema::Entity::{GroupId, TopicName};
use crate::protocol::modern::schema::since;

define_api!(ConsumerGroupHeartbeat, versions 0..=1, flexible since 0,
            ConsumerGroupHeartbeatRequest => ConsumerGroupHeartbeatResponse);

define_structs! {
    /// Joins, stays in or leaves a group, and tells what has changed.
    struct ConsumerGroupHeartbeatRequest {
        /// The group.
        group_id: String => since(0).entity(GroupId),
        /// The member.
        member_id: String => since(0),
        /// The epoch reached; 0 to join, −1 to leave, −2 to leave for a while as a static member.
        member_epoch: i32 => since(0),
        /// The static name of the member, or null (KIP-345).
        instance_id: Option<String> => since(0).nullable(0),
        /// The rack of the member, or null.
        rack_id: Option<String> => since(0).nullable(0),
        /// How long the member has to give partitions up, in milliseconds; −1 if that has not changed.
        rebalance_timeout_ms: i32 = -1 => since(0),
        /// The topics subscribed by name; null if that has not changed.
        subscribed_topic_names: Option<Vec<String>> => since(0).nullable(0).entity(TopicName),
        /// The pattern (RE2) that subscribes topics; null if that has not changed.
        subscribed_topic_regex: Option<String> => since(1).nullable(1),
        /// The assignor to use, or null for the broker's choice.
        server_assignor: Option<String> => since(0).nullable(0),
        /// What the member owns; null if that has not changed.
        topic_partitions: Option<Vec<TopicPartitions>> => since(0).nullable(0),
    }

    /// The partitions of one topic.
    struct TopicPartitions {
        /// The topic's id.
        topic_id: Uuid => since(0),
        /// The partitions.
        partitions: Vec<i32> => since(0),
    }

    /// The epoch, and what the member is to own.
    struct ConsumerGroupHeartbeatResponse {
        /// For how long the broker held the request back, or wants the client to wait.
        throttle_time_ms: i32 => since(0),
        /// What went wrong, or 0.
        error_code: i16 => since(0),
        /// What went wrong, in words.
        error_message: Option<String> => since(0).nullable(0),
        /// The member; null after an error.
        member_id: Option<String> => since(0).nullable(0),
        /// The epoch that the member has reached.
        member_epoch: i32 => since(0),
        /// When the next heartbeat is due, in milliseconds.
        heartbeat_interval_ms: i32 => since(0),
        /// What the member is to own; null if that has not changed.
        assignment: Option<Assignment> => since(0).nullable(0),
    }

    /// A share of the partitions.
    struct Assignment {
        /// The partitions, by topic.
        topic_partitions: Vec<TopicPartitions> => since(0),
    }
}
