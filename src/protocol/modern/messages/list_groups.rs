//! ListGroups (key 16): the groups that a broker coordinates.

use crate::protocol::modern::define::{define_api, define_structs};
use crate::protocol::modern::schema::Entity::GroupId;
use crate::protocol::modern::schema::since;

define_api!(ListGroups, versions 0..=5, flexible since 3,
            ListGroupsRequest => ListGroupsResponse);

define_structs! {
    /// Asks for the groups of one broker.
    struct ListGroupsRequest {
        /// The states to list; empty for all.
        states_filter: Vec<String> => since(4),
        /// The kinds to list, `classic` or `consumer`; empty for all.
        types_filter: Vec<String> => since(5),
    }

    /// The groups.
    struct ListGroupsResponse {
        /// For how long the broker held the request back, or wants the client to wait.
        throttle_time_ms: i32 => since(1).ignorable(),
        /// What went wrong, or 0.
        error_code: i16 => since(0),
        /// The groups that this broker coordinates.
        groups: Vec<ListedGroup> => since(0),
    }

    /// One group.
    struct ListedGroup {
        /// The group.
        group_id: String => since(0).entity(GroupId),
        /// What kind of group it is: `consumer` for consumers.
        protocol_type: String => since(0),
        /// The state's name, such as `Stable`.
        group_state: String => since(4).ignorable(),
        /// `classic` or `consumer`.
        group_type: String => since(5).ignorable(),
    }
}
