//! Consumer groups: who reads which partitions, and how members agree on it.
//!
//! [`membership`] and [`offsets`] are what every membership, wherever it is agreed on, is to the consumer
//! that it serves; [`assignor`] has the assignors of the classic protocol, as pure functions.

pub mod assignor;
pub mod membership;
pub mod offsets;
mod pattern;
mod start;

pub use membership::{
    Done, Identity, Job, Listener, Membership, Step, Subscription, TopicPartition,
};
pub use offsets::{Boxed, Committed, OffsetStore};
pub use pattern::Pattern;
pub use start::{Member, start};
