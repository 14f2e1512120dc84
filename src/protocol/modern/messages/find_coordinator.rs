//! FindCoordinator (key 10): the broker that coordinates a group or a transaction.

use crate::protocol::modern::define::{define_api, define_structs};
use crate::protocol::modern::schema::Entity::BrokerId;
use crate::protocol::modern::schema::{between, since};

define_api!(FindCoordinator, versions 0..=6, flexible since 3,
            FindCoordinatorRequest => FindCoordinatorResponse);

define_structs! {
    /// Asks for one coordinator, from version 4 on for several.
    struct FindCoordinatorRequest {
        /// The group or the transactional id.
        key: String => between(0, 3),
        /// 0: groups; 1: transactions; 2: share groups.
        key_type: i8 => since(1),
        /// The groups or the transactional ids.
        coordinator_keys: Vec<String> => since(4),
    }

    /// The coordinators.
    struct FindCoordinatorResponse {
        /// For how long the broker held the request back, or wants the client to wait.
        throttle_time_ms: i32 => since(1).ignorable(),
        /// What went wrong, or 0.
        error_code: i16 => between(0, 3),
        /// What went wrong, in words.
        error_message: Option<String> = Some(String::new())
            => between(1, 3).nullable(1).ignorable(),
        /// The broker.
        node_id: i32 => between(0, 3).entity(BrokerId),
        /// Its host name.
        host: String => between(0, 3),
        /// Its port.
        port: i32 => between(0, 3),
        /// One for every key.
        coordinators: Vec<Coordinator> => since(4),
    }

    /// The coordinator of one key.
    struct Coordinator {
        /// The group or the transactional id.
        key: String => since(4),
        /// The broker.
        node_id: i32 => since(4).entity(BrokerId),
        /// Its host name.
        host: String => since(4),
        /// Its port.
        port: i32 => since(4),
        /// What went wrong, or 0.
        error_code: i16 => since(4),
        /// What went wrong, in words.
        error_message: Option<String> = Some(String::new()) => since(4).nullable(4).ignorable(),
    }
}
