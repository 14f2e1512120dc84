//! What brokers of Kafka 0.7 are started with.

use std::collections::HashMap;
use std::time::Duration;

/// Settings of embedded 0.7 brokers, which do not change while they run. Names in brackets are those
/// of Kafka's `server.properties`.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many brokers run, with the ids 0, 1, …; 1 … 100.
    pub brokers: usize,
    /// Partitions of a topic on each broker (`num.partitions`), 1 … 100,000.
    pub partitions: i32,
    /// Topics with another number of partitions (`topic.partition.count.map`).
    pub topic_partitions: HashMap<String, i32>,
    /// The largest payload of a message in bytes (`max.message.size`). A set that holds a larger one
    /// is dropped in silence. Of a compressed set the compressed size counts.
    pub max_message_size: usize,
    /// After how many messages a log is flushed (`log.flush.interval`), so that consumers see them.
    /// The default is 1; Kafka's is 500.
    pub flush_messages: u64,
    /// After how long a log is flushed whatever it got (`log.default.flush.interval.ms`).
    pub flush_interval: Duration,
    /// At which size in bytes a segment is followed by a new one (`log.file.size`).
    pub segment_bytes: usize,
    /// Bytes kept of a partition: above it its oldest segments go (`log.retention.size`). None keeps
    /// everything.
    pub retention_bytes: Option<usize>,
    /// The ZooKeeper in which the brokers register themselves and their topics (`zk.connect`), as
    /// `host:port,host:port/chroot`; the chroot must be there. None registers nothing
    /// (`enable.zookeeper=false`).
    pub zookeeper: Option<String>,
    /// The time-out of each broker's session there (`zk.sessiontimeout.ms`).
    pub zookeeper_session_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            brokers: 1,
            partitions: 1,
            topic_partitions: HashMap::new(),
            max_message_size: 1_000_000,
            flush_messages: 1,
            flush_interval: Duration::from_secs(3),
            segment_bytes: 1 << 30,
            retention_bytes: None,
            zookeeper: None,
            zookeeper_session_timeout: Duration::from_secs(6),
        }
    }
}

impl Options {
    /// How many partitions a topic has on each broker.
    pub(super) fn partitions_of(&self, topic: &str) -> i32 {
        self.topic_partitions.get(topic).copied().unwrap_or(self.partitions)
    }
}
