//! What an embedded cluster is started with.

use super::release::Release;

/// Settings of an embedded cluster; [`Default`] is what a plain test wants.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many brokers run in this process, with the ids 0, 1, …; 1 … 100.
    pub brokers: usize,
    /// Whether Metadata and Produce make topics that do not exist.
    pub auto_create_topics: bool,
    /// Partitions of a topic that is made without a count (automatically, or with −1).
    pub default_partitions: i32,
    /// Replicas of a topic that is made without a factor; never more than there are brokers.
    pub replication_factor: i16,
    /// The largest batch accepted, in bytes (Kafka's `message.max.bytes`).
    pub message_max_bytes: usize,
    /// Bytes kept per partition: above it the oldest batches are dropped. None keeps everything.
    pub retention_bytes: Option<u64>,
    /// Whether records get the broker's time instead of the producer's.
    pub log_append_time: bool,
    /// The cluster id in Metadata.
    pub cluster_id: String,
    /// Which broker generation to play.
    pub release: Release,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            brokers: 1,
            auto_create_topics: true,
            default_partitions: 1,
            replication_factor: 3,
            message_max_bytes: 1_048_588,
            retention_bytes: None,
            log_append_time: false,
            cluster_id: "embedded-cluster-samsa".to_owned(),
            release: Release::Newest,
        }
    }
}

/// A topic to make; see [`super::Cluster::create_topic_with`].
#[derive(Clone, Debug)]
pub struct TopicSpec {
    /// The topic's name.
    pub name: String,
    /// Number of partitions, ≥ 1.
    pub partitions: i32,
    /// Replicas of each partition; None takes the cluster's default.
    pub replication_factor: Option<i16>,
    /// Overrides [`Options::log_append_time`].
    pub log_append_time: Option<bool>,
    /// Overrides [`Options::message_max_bytes`].
    pub message_max_bytes: Option<usize>,
    /// Overrides [`Options::retention_bytes`].
    pub retention_bytes: Option<u64>,
}

impl TopicSpec {
    /// A topic with the cluster's defaults.
    #[must_use]
    pub fn new(name: impl Into<String>, partitions: i32) -> Self {
        Self {
            name: name.into(),
            partitions,
            replication_factor: None,
            log_append_time: None,
            message_max_bytes: None,
            retention_bytes: None,
        }
    }
}
