//! Consumer groups: who reads which partitions, and how members agree on it.
//!
//! [`membership`] and [`offsets`] are what every membership, wherever it is agreed on, is to the consumer
//! that it serves; [`assignor`] has the assignors of the classic protocol, as pure functions.
//! `subscription` says which topics are meant, `coordinator` keeps the broker of a group (`search` finds it), and
//! `kafka_offsets` keeps offsets there; `standing` is what it shares with a membership.

pub mod admin;
pub mod assign;
pub mod assignor;
mod classic;
mod coordinator;
mod kafka_offsets;
pub mod membership;
mod next;
pub mod offsets;
mod pattern;
mod search;
mod standing;
mod start;
mod subscription;
mod undecided;
mod zookeeper;

use std::sync::Arc;

use crate::config::GroupConfig;
use crate::error::{Code, Error, Result};

pub use coordinator::{Coordinator, Lane, Seat};
pub use kafka_offsets::KafkaOffsets;
pub use membership::{
    Done, Identity, Job, Listener, Membership, Step, Subscription, TopicPartition,
};
pub use offsets::{Boxed, Committed, OffsetStore};
pub use pattern::Pattern;
pub use standing::{Asked, Ear, Pass, Rest, Stamp, Standing};
pub use start::{Member, start};
pub use subscription::Subscribed;

/// The group that the configuration names; `INVALID_GROUP_ID` if it names none.
fn group_id(config: &GroupConfig) -> Result<&Arc<str>> {
    config.id.as_ref().ok_or_else(|| {
        let text = "a consumer that commits offsets or subscribes needs a group.id";
        Error::new(Code::INVALID_GROUP_ID, text).with_property("group.id")
    })
}
