//! What the cluster looked like at one moment: immutable snapshots that the metadata loop publishes.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use super::places::Place;
use crate::discovery::zookeeper::Generation;
use crate::error::{Code, Error};

/// A topic's identity since Kafka 2.8; all zero when the broker knows none.
pub type TopicId = [u8; 16];

/// A snapshot of the cluster. Cheap to clone behind its `Arc`; never changes after it was published.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    /// Grows by one with each published snapshot; 0 before the first answer of a broker.
    pub number: u64,
    /// The cluster's own id; none from brokers below 0.10.1.
    pub cluster_id: Option<String>,
    /// The node id of the controller, −1 when not known (brokers below 0.10.0 never say).
    pub controller: i32,
    /// Which family of brokers it is made of; none before the first contact.
    pub generation: Option<Generation>,
    /// The live brokers by node id.
    pub brokers: BTreeMap<i32, Arc<BrokerInfo>>,
    /// The registration of each broker that is known from ZooKeeper: another number each time it
    /// registers.
    pub incarnations: BTreeMap<i32, i64>,
    /// What is known of the topics that were asked for, by name.
    pub topics: HashMap<Arc<str>, Arc<TopicMetadata>>,
}

impl Metadata {
    /// The snapshot before any answer: number 0, nobody known.
    #[must_use]
    pub fn empty() -> Self {
        Self { controller: -1, ..Self::default() }
    }

    /// What is known of one topic.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&Arc<TopicMetadata>> {
        self.topics.get(name)
    }
}

/// One broker as metadata names it. A broker is its node id, nothing else (invariant 1.13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerInfo {
    /// The node id.
    pub id: i32,
    /// The advertised host name.
    pub host: String,
    /// The advertised port.
    pub port: u16,
    /// The rack, when the broker says one (0.10.0 and later).
    pub rack: Option<String>,
}

impl fmt::Display for BrokerInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} (id {})", self.host, self.port, self.id)
    }
}

/// What is known of one topic.
#[derive(Clone, Debug)]
pub struct TopicMetadata {
    /// The topic's name.
    pub name: Arc<str>,
    /// The topic's id, all zero when the broker gives none (below 2.8).
    pub id: TopicId,
    /// Why the topic cannot be used: not authorized, an invalid name, or unknown to the cluster.
    /// Passing troubles are not kept here (invariant 1.8).
    pub error: Option<Error>,
    /// The partitions. The index is the partition's number, unless `places` says otherwise.
    pub partitions: Vec<PartitionMetadata>,
    /// On Kafka 0.7 the numbers of the partitions, ascending, one for each of `partitions`.
    pub places: Option<Arc<[Place]>>,
    /// Whether the topic is one of Kafka's own.
    pub internal: bool,
}

/// What is known of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// The node id of the last leader known, −1 when none was ever seen.
    pub leader: i32,
    /// The leader's epoch, −1 when unknown or from a broker whose word is not reliable (invariant 1.5).
    pub leader_epoch: i32,
    /// The node ids of all replicas, the preferred leader first.
    pub replicas: Vec<i32>,
    /// The node ids of the replicas in sync.
    pub in_sync: Vec<i32>,
    /// The node ids of the replicas known to be offline (brokers from 1.0 on say it).
    pub offline: Vec<i32>,
    /// The error of the last answer; the leader above is then the last one known (invariant 1.8).
    pub error: Option<Code>,
}

impl TopicMetadata {
    /// A topic of which nothing but the name is known.
    #[must_use]
    pub fn unknown(name: &Arc<str>) -> Self {
        Self {
            name: Arc::clone(name),
            id: TopicId::default(),
            error: None,
            partitions: Vec::new(),
            places: None,
            internal: false,
        }
    }
}

impl PartitionMetadata {
    /// A partition of which nothing is known yet.
    #[must_use]
    pub fn unknown() -> Self {
        Self {
            leader: -1,
            leader_epoch: -1,
            replicas: Vec::new(),
            in_sync: Vec::new(),
            offline: Vec::new(),
            error: None,
        }
    }
}
