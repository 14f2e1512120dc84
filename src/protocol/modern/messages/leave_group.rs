//! LeaveGroup (key 13): classic members leave.

use crate::protocol::modern::define::{define_api, define_structs};
use crate::protocol::modern::schema::Entity::GroupId;
use crate::protocol::modern::schema::{between, since};

define_api!(LeaveGroup, versions 0..=5, flexible since 4,
            LeaveGroupRequest => LeaveGroupResponse);

define_structs! {
    /// Takes members out of a group.
    struct LeaveGroupRequest {
        /// The group.
        group_id: String => since(0).entity(GroupId),
        /// The member, before version 3.
        member_id: String => between(0, 2),
        /// The members, from version 3 on.
        members: Vec<MemberIdentity> => since(3),
    }

    /// One member.
    struct MemberIdentity {
        /// The member.
        member_id: String => since(3),
        /// The static name of the member, or null (KIP-345).
        group_instance_id: Option<String> => since(3).nullable(3),
        /// Why, for the broker's log.
        reason: Option<String> => since(5).nullable(5).ignorable(),
    }

    /// What became of them.
    struct LeaveGroupResponse {
        /// For how long the broker held the request back, or wants the client to wait.
        throttle_time_ms: i32 => since(1).ignorable(),
        /// What went wrong, or 0.
        error_code: i16 => since(0),
        /// The members.
        members: Vec<MemberResponse> => since(3),
    }

    /// What became of one member.
    struct MemberResponse {
        /// The member.
        member_id: String => since(3),
        /// The static name of the member, or null (KIP-345).
        group_instance_id: Option<String> = Some(String::new()) => since(3).nullable(3),
        /// What went wrong, or 0.
        error_code: i16 => since(3),
    }
}
