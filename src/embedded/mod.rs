//! An in-process broker on the real wire, for demos and tests.
//!
//! ```no_run
//! use samsa::embedded::{Cluster, Fault, FaultKind};
//! let kafka = Cluster::start(3)?;
//! kafka.create_topic("orders", 12)?;
//! kafka.inject(Fault::new(FaultKind::ErrorCode(6)).api(0_i16).topic("orders"));
//! // … point a client at kafka.address() …
//! # Ok::<(), samsa::Error>(())
//! ```

mod fault;
mod options;
mod release;

use std::time::Instant;

use bytes::Bytes;

use crate::error::{Code, Error, Result};

pub use fault::{Fault, FaultId, FaultKind};
pub use options::{Options, TopicSpec};
pub use release::Release;

/// A cluster of embedded brokers. Dropping it stops them; every method may be called from any
/// thread but those of the library's own runtime.
#[derive(Debug)]
pub struct Cluster {
    options: Options,
}

/// A record as a partition's log holds it, decompressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// The record's offset.
    pub offset: i64,
    /// Milliseconds since the epoch, −1 when the format has none.
    pub timestamp: i64,
    /// The key, or None.
    pub key: Option<Bytes>,
    /// The value, or None.
    pub value: Option<Bytes>,
    /// Names and values in order.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

/// A request that a broker received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenRequest {
    /// The broker that received it.
    pub broker: i32,
    /// Which of the broker's connections, counted from 1 since the start.
    pub connection: u64,
    /// The API key.
    pub api: i16,
    /// The version of the API.
    pub version: i16,
    /// The client id, empty when absent.
    pub client_id: String,
    /// Bytes of the frame after its length.
    pub size: usize,
}

fn seat<T>() -> Result<T> {
    Err(Error::bare(Code::UNSUPPORTED_FEATURE))
}

#[allow(missing_docs, unused_variables, reason = "signatures first; bodies follow within the hour")]
impl Cluster {
    /// Starts `brokers` brokers with the default options on ephemeral loopback ports.
    pub fn start(brokers: usize) -> Result<Self> {
        Self::start_with(Options { brokers, ..Options::default() })
    }
    pub fn start_with(options: Options) -> Result<Self> {
        Ok(Self { options })
    }
    /// The bootstrap list: `127.0.0.1:port,…` of every broker, running or not.
    #[must_use]
    pub fn address(&self) -> String {
        String::new()
    }
    /// The address of one broker.
    pub fn broker_address(&self, broker: i32) -> Result<std::net::SocketAddr> {
        seat()
    }
    /// Stops every broker, closes every connection; a second stop does nothing.
    pub fn stop(&self) {}

    // Topics
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<()> {
        seat()
    }
    pub fn create_topic_with(&self, spec: &TopicSpec) -> Result<()> {
        seat()
    }
    pub fn delete_topic(&self, name: &str) -> Result<()> {
        seat()
    }
    /// More partitions for an existing topic.
    pub fn grow_topic(&self, name: &str, partitions: i32) -> Result<()> {
        seat()
    }
    /// (leader or −1, leader epoch)
    pub fn leader(&self, topic: &str, partition: i32) -> Result<(i32, i32)> {
        seat()
    }
    /// Makes `broker` the leader (−1: none) with the next epoch.
    pub fn move_leader(&self, topic: &str, partition: i32, broker: i32) -> Result<()> {
        seat()
    }
    pub fn set_leader_epoch(&self, topic: &str, partition: i32, epoch: i32) -> Result<()> {
        seat()
    }

    // Logs
    pub fn log_start_offset(&self, topic: &str, partition: i32) -> Result<i64> {
        seat()
    }
    pub fn log_end_offset(&self, topic: &str, partition: i32) -> Result<i64> {
        seat()
    }
    /// Every record of the log, decompressed.
    pub fn records(&self, topic: &str, partition: i32) -> Result<Vec<StoredRecord>> {
        seat()
    }
    /// Every batch of the log as stored.
    pub fn batches(&self, topic: &str, partition: i32) -> Result<Vec<Bytes>> {
        seat()
    }
    /// Appends batches or message sets as they are, their offsets too, without any check.
    pub fn append_raw(&self, topic: &str, partition: i32, batches: &[u8]) -> Result<()> {
        seat()
    }
    /// Drops everything at and above `offset`, as an unclean election does.
    pub fn truncate(&self, topic: &str, partition: i32, offset: i64) -> Result<()> {
        seat()
    }
    /// Drops everything below `offset`.
    pub fn delete_records(&self, topic: &str, partition: i32, offset: i64) -> Result<()> {
        seat()
    }

    // Brokers
    pub fn stop_broker(&self, broker: i32) -> Result<()> {
        seat()
    }
    /// Starts a stopped broker again on its old port.
    pub fn start_broker(&self, broker: i32) -> Result<()> {
        seat()
    }
    /// Closes every open connection of a broker (None: of all); the broker goes on.
    pub fn close_connections(&self, broker: Option<i32>) -> Result<()> {
        seat()
    }
    /// Open connections of a broker (None: of all).
    #[must_use]
    pub fn connections(&self, broker: Option<i32>) -> usize {
        0
    }
    /// From now on this broker (None: all) plays that release.
    pub fn set_release(&self, broker: Option<i32>, release: Release) -> Result<()> {
        seat()
    }
    pub fn set_cluster_id(&self, id: &str) {}
    /// Narrows the versions of one API that a broker (None: all) serves and advertises.
    pub fn limit_versions(
        &self,
        broker: Option<i32>,
        api: impl Into<i16>,
        min: i16,
        max: i16,
    ) -> Result<()> {
        seat()
    }

    // Faults and what was seen
    pub fn inject(&self, fault: Fault) -> FaultId {
        FaultId(0)
    }
    /// How many requests the fault has met.
    #[must_use]
    pub fn injected(&self, id: FaultId) -> u64 {
        0
    }
    /// Takes a fault back; it meets nothing more.
    pub fn withdraw(&self, id: FaultId) {}
    pub fn withdraw_all(&self) {}
    /// Waits until the fault has met `n` requests. `Err(TIMED_OUT)` at the deadline.
    pub fn wait_injected(&self, id: FaultId, n: u64, deadline: Instant) -> Result<()> {
        seat()
    }
    /// Requests of an API received so far by all brokers.
    #[must_use]
    pub fn requests(&self, api: impl Into<i16>) -> u64 {
        0
    }
    /// Waits until all brokers together received `n` requests of an API since the start.
    pub fn wait_requests(&self, api: impl Into<i16>, n: u64, deadline: Instant) -> Result<()> {
        seat()
    }
    /// The newest requests (at most 4,096), oldest first.
    #[must_use]
    pub fn history(&self) -> Vec<SeenRequest> {
        Vec::new()
    }
    /// Waits until the log end of a partition is at least `offset`.
    pub fn wait_log_end(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
        deadline: Instant,
    ) -> Result<()> {
        seat()
    }
}
