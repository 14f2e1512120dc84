//! SyncGroup (key 14): the second step of a classic rebalance.

use bytes::Bytes;

use crate::protocol::modern::define::{define_api, define_structs};
use crate::protocol::modern::schema::Entity::GroupId;
use crate::protocol::modern::schema::since;

define_api!(SyncGroup, versions 0..=5, flexible since 4,
            SyncGroupRequest => SyncGroupResponse);

define_structs! {
    /// Takes a member's share; the leader brings everybody's.
    struct SyncGroupRequest {
        /// The group.
        group_id: String => since(0).entity(GroupId),
        /// Counts the rebalances of the group.
        generation_id: i32 => since(0),
        /// The member.
        member_id: String => since(0),
        /// The static name of the member, or null (KIP-345).
        group_instance_id: Option<String> => since(3).nullable(3),
        /// What kind of group it is: `consumer` for consumers.
        protocol_type: Option<String> => since(5).nullable(5).ignorable(),
        /// The assignor that was chosen.
        protocol_name: Option<String> => since(5).nullable(5).ignorable(),
        /// Every member's share; only the leader sends any.
        assignments: Vec<SyncGroupRequestAssignment> => since(0),
    }

    /// One share.
    struct SyncGroupRequestAssignment {
        /// The member.
        member_id: String => since(0),
        /// Its share.
        assignment: Bytes => since(0),
    }

    /// The share.
    struct SyncGroupResponse {
        /// For how long the broker held the request back, or wants the client to wait.
        throttle_time_ms: i32 => since(1).ignorable(),
        /// What went wrong, or 0.
        error_code: i16 => since(0),
        /// What kind of group it is: `consumer` for consumers.
        protocol_type: Option<String> => since(5).nullable(5).ignorable(),
        /// The assignor that was chosen.
        protocol_name: Option<String> => since(5).nullable(5).ignorable(),
        /// The member's share.
        assignment: Bytes => since(0),
    }
}
