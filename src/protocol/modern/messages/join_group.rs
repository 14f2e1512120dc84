//! JoinGroup (key 11): the first step of a classic rebalance.

use bytes::Bytes;

use crate::protocol::modern::define::{define_api, define_structs};
use crate::protocol::modern::schema::Entity::GroupId;
use crate::protocol::modern::schema::since;

define_api!(JoinGroup, versions 0..=9, flexible since 6,
            JoinGroupRequest => JoinGroupResponse);

define_structs! {
    /// Joins a group, or joins it again for a rebalance.
    struct JoinGroupRequest {
        /// The group.
        group_id: String => since(0).entity(GroupId),
        /// After how long without a heartbeat the member counts as dead, in milliseconds.
        session_timeout_ms: i32 => since(0),
        /// How long members have to come to terms with a rebalance, in milliseconds.
        rebalance_timeout_ms: i32 = -1 => since(1).ignorable(),
        /// The member; empty to become one.
        member_id: String => since(0),
        /// The static name of the member, or null (KIP-345).
        group_instance_id: Option<String> => since(5).nullable(5),
        /// What kind of group it is: `consumer` for consumers.
        protocol_type: String => since(0),
        /// The assignors that the member knows, the dearest first.
        protocols: Vec<JoinGroupRequestProtocol> => since(0),
        /// Why, for the broker's log.
        reason: Option<String> => since(8).nullable(8).ignorable(),
    }

    /// One assignor.
    struct JoinGroupRequestProtocol {
        /// The assignor's name.
        name: String => since(0),
        /// The subscription, as this assignor wants it.
        metadata: Bytes => since(0),
    }

    /// The new generation.
    struct JoinGroupResponse {
        /// For how long the broker held the request back, or wants the client to wait.
        throttle_time_ms: i32 => since(2).ignorable(),
        /// What went wrong, or 0.
        error_code: i16 => since(0),
        /// The generation that begins.
        generation_id: i32 = -1 => since(0),
        /// What kind of group it is: `consumer` for consumers.
        protocol_type: Option<String> => since(7).nullable(7).ignorable(),
        /// The assignor that was chosen.
        protocol_name: Option<String> = Some(String::new()) => since(0).nullable(7),
        /// The member that assigns.
        leader: String => since(0),
        /// Whether the leader keeps the assignment that there is.
        skip_assignment: bool => since(9),
        /// The name that the member has from now on.
        member_id: String => since(0),
        /// Every member, told to the leader only.
        members: Vec<JoinGroupResponseMember> => since(0),
    }

    /// One member.
    struct JoinGroupResponseMember {
        /// The member.
        member_id: String => since(0),
        /// The static name of the member, or null (KIP-345).
        group_instance_id: Option<String> => since(5).nullable(5).ignorable(),
        /// The subscription.
        metadata: Bytes => since(0),
    }
}
