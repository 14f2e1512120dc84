//! Every API, one file each: its versions, and the fields of its request and response.
//!
//! The definitions are those of Kafka 4.3, joined with the versions that 4.0 removed (from 3.9).
//! A test holds each against the official ones (`tests/protocol_schema.rs`).

pub mod api_versions;
pub mod create_topics;
pub mod delete_topics;
pub mod fetch;
pub mod find_coordinator;
pub mod init_producer_id;
pub mod list_offsets;
pub mod metadata;
pub mod offset_for_leader_epoch;
pub mod produce;
