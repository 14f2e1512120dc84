//! What a consumer asks of the place where its group's offsets are kept.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use super::membership::TopicPartition;
use crate::error::Result;

/// A future that can be kept.
pub type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A place that was committed, or is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The next offset to be read (rule 11.1); in Kafka 0.7 a byte position.
    pub offset: i64,
    /// The leader epoch of the record before it; none if not known.
    pub leader_epoch: Option<i32>,
    /// What the application keeps beside it; may hold zero bytes, ZooKeeper has no place for it.
    pub metadata: Option<Arc<str>>,
}

/// Where a group's offsets are kept: at the coordinator, in ZooKeeper, or both.
///
/// A store belongs to its membership, if there is one: it stamps commits with the member's identity, and
/// holds them while that changes (rules 8.9, 9.11). Without one it commits as nobody, which a coordinator
/// takes only while the group has no members (11.10).
pub trait OffsetStore: fmt::Debug + Send + Sync {
    /// The committed places of these partitions, in the order asked; none where nothing was committed.
    /// Waits out what passes (a coordinator that loads or moves, offsets of an open transaction) up to
    /// `deadline`: `TIMED_OUT` with the cause.
    fn fetch(
        &self,
        partitions: Vec<TopicPartition>,
        deadline: Instant,
    ) -> Boxed<Result<Vec<Result<Option<Committed>>>>>;

    /// Commits, in the order asked; each partition has its own outcome, and one without an answer is an
    /// error (11.6). Commits of one store never overtake each other (11.5). Before `deadline` what passes
    /// is tried again, unless `once`; several such may become one, with the newest word on each partition.
    fn commit(
        &self,
        places: Vec<(TopicPartition, Committed)>,
        once: bool,
        deadline: Instant,
    ) -> Boxed<Vec<Result<()>>>;

    /// Whether an offset is forgotten by the age of its own commit, also while the group lives (brokers
    /// before 2.1; rule 11.8). As of the last answer to [`fetch`](Self::fetch).
    fn ages(&self) -> bool {
        false
    }
}
