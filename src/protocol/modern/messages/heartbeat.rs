//! Heartbeat (key 12): a classic member is alive.

use crate::protocol::modern::define::{define_api, define_structs};
use crate::protocol::modern::schema::Entity::GroupId;
use crate::protocol::modern::schema::since;

define_api!(Heartbeat, versions 0..=4, flexible since 4,
            HeartbeatRequest => HeartbeatResponse);

define_structs! {
    /// Says that a member is alive.
    struct HeartbeatRequest {
        /// The group.
        group_id: String => since(0).entity(GroupId),
        /// Counts the rebalances of the group.
        generation_id: i32 => since(0),
        /// The member.
        member_id: String => since(0),
        /// The static name of the member, or null (KIP-345).
        group_instance_id: Option<String> => since(3).nullable(3),
    }

    /// Whether it still is a member, and whether the group rebalances.
    struct HeartbeatResponse {
        /// For how long the broker held the request back, or wants the client to wait.
        throttle_time_ms: i32 => since(1).ignorable(),
        /// What went wrong, or 0.
        error_code: i16 => since(0),
    }
}
