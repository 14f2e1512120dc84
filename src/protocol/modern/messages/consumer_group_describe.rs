//! ConsumerGroupDescribe (key 69): groups of the KIP-848 kind and their members.

use crate::protocol::modern::Uuid;
use crate::protocol::modern::define::{define_api, define_structs};
use crate::protocol::modern::schema::Entity::{GroupId, TopicName};
use crate::protocol::modern::schema::since;

define_api!(ConsumerGroupDescribe, versions 0..=1, flexible since 0,
            ConsumerGroupDescribeRequest => ConsumerGroupDescribeResponse);

define_structs! {
    /// Asks for groups of the KIP-848 kind.
    struct ConsumerGroupDescribeRequest {
        /// The groups.
        group_ids: Vec<String> => since(0).entity(GroupId),
        /// Whether to say what the asker may do with each group.
        include_authorized_operations: bool => since(0),
    }

    /// The groups.
    struct ConsumerGroupDescribeResponse {
        /// For how long the broker held the request back, or wants the client to wait.
        throttle_time_ms: i32 => since(0),
        /// One for every group.
        groups: Vec<DescribedGroup> => since(0),
    }

    /// One group.
    struct DescribedGroup {
        /// What went wrong, or 0.
        error_code: i16 => since(0),
        /// What went wrong, in words.
        error_message: Option<String> => since(0).nullable(0),
        /// The group.
        group_id: String => since(0).entity(GroupId),
        /// The state's name, such as `Stable`.
        group_state: String => since(0),
        /// Counts the changes of members and subscriptions.
        group_epoch: i32 => since(0),
        /// The group epoch that the target assignment was made for.
        assignment_epoch: i32 => since(0),
        /// The assignor that the broker uses.
        assignor_name: String => since(0),
        /// The members.
        members: Vec<Member> => since(0),
        /// What the asker may do, as bits; −2³¹ if that was not asked.
        authorized_operations: i32 = -2147483648 => since(0),
    }

    /// One member.
    struct Member {
        /// The member.
        member_id: String => since(0),
        /// The static name of the member, or null (KIP-345).
        instance_id: Option<String> => since(0).nullable(0),
        /// The rack of the member, or null.
        rack_id: Option<String> => since(0).nullable(0),
        /// The epoch that the member has reached.
        member_epoch: i32 => since(0),
        /// The client's name for itself.
        client_id: String => since(0),
        /// Where it connects from.
        client_host: String => since(0),
        /// The topics subscribed by name.
        subscribed_topic_names: Vec<String> => since(0).entity(TopicName),
        /// The pattern (RE2) that subscribes topics, or null.
        subscribed_topic_regex: Option<String> => since(0).nullable(0),
        /// What the member owns now.
        assignment: Assignment => since(0),
        /// What the member is to own.
        target_assignment: Assignment => since(0),
        /// 0: still a member by the classic protocol; 1: by this one; −1: unknown.
        member_type: i8 = -1 => since(1).ignorable(),
    }

    /// A share of the partitions.
    struct Assignment {
        /// The partitions, by topic.
        topic_partitions: Vec<TopicPartitions> => since(0),
    }

    /// The partitions of one topic.
    struct TopicPartitions {
        /// The topic's id.
        topic_id: Uuid => since(0),
        /// The topic's name.
        topic_name: String => since(0).entity(TopicName),
        /// The partitions.
        partitions: Vec<i32> => since(0),
    }
}
