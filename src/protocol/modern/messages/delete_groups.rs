//! DeleteGroups (key 42): deletes groups.

use crate::protocol::modern::define::{define_api, define_structs};
use crate::protocol::modern::schema::Entity::GroupId;
use crate::protocol::modern::schema::since;

define_api!(DeleteGroups, versions 0..=2, flexible since 2,
            DeleteGroupsRequest => DeleteGroupsResponse);

define_structs! {
    /// Deletes groups without members.
    struct DeleteGroupsRequest {
        /// The groups.
        groups_names: Vec<String> => since(0).entity(GroupId),
    }

    /// What became of each.
    struct DeleteGroupsResponse {
        /// For how long the broker held the request back, or wants the client to wait.
        throttle_time_ms: i32 => since(0),
        /// One for every group.
        results: Vec<DeletableGroupResult> => since(0),
    }

    /// What became of one group.
    struct DeletableGroupResult {
        /// The group.
        group_id: String => since(0).entity(GroupId),
        /// What went wrong, or 0.
        error_code: i16 => since(0),
    }
}
