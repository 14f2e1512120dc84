//! An in-process broker on the real wire, for demos, benchmarks and tests: Kafka's protocol over
//! TCP on loopback, everything in memory, and faults on demand.
//!
//! ```no_run
//! use samsa::embedded::{Cluster, Fault, FaultKind};
//! use samsa::protocol::modern::ApiKey;
//!
//! let kafka = Cluster::start(3)?;
//! kafka.create_topic("orders", 12)?;
//! kafka.inject(Fault::new(FaultKind::ErrorCode(6)).api(ApiKey::Produce).topic("orders"));
//! println!("point a client at {}", kafka.address());
//! # Ok::<(), samsa::Error>(())
//! ```
//!
//! It advertises exactly what it serves: ApiVersions, Metadata, Produce, Fetch with sessions,
//! ListOffsets, OffsetForLeaderEpoch, InitProducerId, CreateTopics and DeleteTopics, and of groups all
//! that the classic protocol has: FindCoordinator, JoinGroup, SyncGroup, Heartbeat, LeaveGroup,
//! OffsetCommit, OffsetFetch, OffsetDelete, DescribeGroups, ListGroups and DeleteGroups; and of KIP-848
//! ConsumerGroupHeartbeat and ConsumerGroupDescribe; in every version that [`protocol`](crate::protocol) defines, or those of an older [`Release`].
//! Batches are stored as they were sent; idempotent producers are judged as real brokers judge them.
//! There is one copy of each log: replicas exist in name, and take over at once.
//!
//! [`legacy`] has brokers of Kafka 0.7, [`zookeeper`] a ZooKeeper.
//!
//! Inside, from the socket inwards: `server` (listeners), `connection` and `frames`, `serve` (one
//! file per API), and below them what knows no wire: `topics`, `partition`, `log`, `sequence`,
//! `groups`, `fault`, `release`.

mod batch;
mod cluster;
mod connection;
mod fault;
mod fetch_sessions;
mod frames;
mod group_control;
mod groups;
mod inspect;
mod ledger;
pub mod legacy;
mod log;
mod options;
mod partition;
mod release;
mod sequence;
mod serve;
mod server;
mod state;
mod topics;
mod turn;
pub mod zookeeper;

pub use cluster::Cluster;
pub use fault::{Fault, FaultId, FaultKind};
pub use group_control::GroupMember;
pub use inspect::StoredRecord;
pub use ledger::SeenRequest;
pub use options::{Options, TopicSpec};
pub use release::Release;
