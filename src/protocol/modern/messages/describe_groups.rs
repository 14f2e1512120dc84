//! DescribeGroups (key 15): classic groups and their members.

use bytes::Bytes;

use crate::protocol::modern::define::{define_api, define_structs};
use crate::protocol::modern::schema::Entity::GroupId;
use crate::protocol::modern::schema::since;

define_api!(DescribeGroups, versions 0..=6, flexible since 5,
            DescribeGroupsRequest => DescribeGroupsResponse);

define_structs! {
    /// Asks for groups.
    struct DescribeGroupsRequest {
        /// The groups.
        groups: Vec<String> => since(0).entity(GroupId),
        /// Whether to say what the asker may do with each group.
        include_authorized_operations: bool => since(3),
    }

    /// The groups.
    struct DescribeGroupsResponse {
        /// For how long the broker held the request back, or wants the client to wait.
        throttle_time_ms: i32 => since(1).ignorable(),
        /// One for every group.
        groups: Vec<DescribedGroup> => since(0),
    }

    /// One group.
    struct DescribedGroup {
        /// What went wrong, or 0.
        error_code: i16 => since(0),
        /// What went wrong, in words.
        error_message: Option<String> => since(6).nullable(6),
        /// The group.
        group_id: String => since(0).entity(GroupId),
        /// The state's name, such as `Stable`.
        group_state: String => since(0),
        /// What kind of group it is: `consumer` for consumers.
        protocol_type: String => since(0),
        /// The assignor that all members agreed on.
        protocol_data: String => since(0),
        /// The members.
        members: Vec<DescribedGroupMember> => since(0),
        /// What the asker may do, as bits; −2³¹ if that was not asked.
        authorized_operations: i32 = -2147483648 => since(3),
    }

    /// One member.
    struct DescribedGroupMember {
        /// The member.
        member_id: String => since(0),
        /// The static name of the member, or null (KIP-345).
        group_instance_id: Option<String> => since(4).nullable(4).ignorable(),
        /// The client's name for itself.
        client_id: String => since(0),
        /// Where it connects from.
        client_host: String => since(0),
        /// What the member told of itself: a subscription.
        member_metadata: Bytes => since(0),
        /// What the leader gave the member: an assignment.
        member_assignment: Bytes => since(0),
    }
}
