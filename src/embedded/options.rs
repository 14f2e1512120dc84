//! What an embedded cluster is started with.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::release::Release;
use crate::error::{Code, Error, Result};

/// The most partitions that a topic may have.
pub(super) const PARTITIONS_MAX: i32 = 100_000;

/// The only replica selector that Kafka brings besides the one that always takes the leader.
const RACK_AWARE: &str = "org.apache.kafka.common.replica.RackAwareReplicaSelector";

/// Settings of an embedded cluster; [`Default`] is what a plain test wants.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many brokers run in this process, with the ids 0, 1, …; 1 … 100.
    pub brokers: usize,
    /// Whether Metadata makes the topics asked for that do not exist, unless the client forbids it.
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
    /// The rack of each broker, by id; none where the list ends or holds an empty name.
    pub racks: Vec<String>,
    /// Whether leaders send consumers that name their rack to a replica in it (KIP-392).
    pub rack_aware: bool,
    /// How many incremental fetch sessions each broker keeps (KIP-227); 0 gives none.
    pub fetch_session_slots: usize,
    /// How long an empty group waits for more members before its first rebalance ends (Kafka's
    /// `group.initial.rebalance.delay.ms`; there 3 s, here none).
    pub group_initial_rebalance_delay: Duration,
    /// The session time-outs that members may have (`group.min.session.timeout.ms` and
    /// `group.max.session.timeout.ms`; Kafka's least is 6 s).
    pub group_session_timeout: RangeInclusive<Duration>,
    /// How long a silent member of a KIP-848 group stays one (`group.consumer.session.timeout.ms`).
    pub group_consumer_session_timeout: Duration,
    /// How often members of KIP-848 groups are told to send heartbeats
    /// (`group.consumer.heartbeat.interval.ms`; Kafka's is 5 s).
    pub group_consumer_heartbeat_interval: Duration,
    /// How soon after an assignment a KIP-848 group may make the next one
    /// (`group.consumer.assignment.interval.ms`; Kafka 4.3's is 1 s, here it waits for nothing).
    pub group_consumer_assignment_interval: Duration,
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
            racks: Vec::new(),
            rack_aware: false,
            fetch_session_slots: 1_000,
            group_initial_rebalance_delay: Duration::ZERO,
            group_session_timeout: Duration::from_millis(1)..=Duration::from_secs(1_800),
            group_consumer_session_timeout: Duration::from_secs(45),
            group_consumer_heartbeat_interval: Duration::from_secs(5),
            group_consumer_assignment_interval: Duration::ZERO,
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
    /// The replicas of each partition, the first preferred as leader; empty spreads them over the
    /// brokers. Its length replaces `partitions`.
    pub assignment: Vec<Vec<i32>>,
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
            assignment: Vec::new(),
            log_append_time: None,
            message_max_bytes: None,
            retention_bytes: None,
        }
    }
}

impl TopicSpec {
    /// Sets a topic configuration by Kafka's name. What an embedded broker has no use for is
    /// accepted and ignored, as long as its value is not one that it should have understood.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let bad = || {
            let why = format!("topic {}: {name}={value} is not understood", self.name);
            Error::new(Code::INVALID_CONFIG, why).with_topic(&self.name)
        };
        match name {
            "message.timestamp.type" => {
                self.log_append_time = Some(append_time(value).ok_or_else(bad)?);
            }
            "max.message.bytes" => {
                self.message_max_bytes = Some(value.parse().map_err(|_| bad())?);
            }
            "retention.bytes" => {
                let bytes: i64 = value.parse().map_err(|_| bad())?;
                // Negative is without limit, whatever the cluster's default.
                self.retention_bytes = Some(u64::try_from(bytes).unwrap_or(u64::MAX));
            }
            _ => {}
        }
        Ok(())
    }
}

impl Options {
    /// The rack of a broker, if it has one.
    pub(super) fn rack(&self, broker: i32) -> Option<&str> {
        let rack = self.racks.get(usize::try_from(broker).ok()?)?;
        (!rack.is_empty()).then_some(rack.as_str())
    }

    /// Sets an option by the name it has in Kafka's `server.properties`; for topics made later.
    /// `broker.rack` takes the racks of all brokers, separated by commas.
    ///
    /// `INVALID_PROPERTY` for a value that does not parse, `UNKNOWN_PROPERTY` for another name.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let bad = || {
            Error::new(Code::INVALID_PROPERTY, format!("{name}={value} is not understood"))
                .with_property(name)
        };
        match name {
            "auto.create.topics.enable" => {
                self.auto_create_topics = value.parse().map_err(|_| bad())?;
            }
            "num.partitions" => {
                let partitions = value.parse().map_err(|_| bad())?;
                if !(1..=PARTITIONS_MAX).contains(&partitions) {
                    return Err(bad());
                }
                self.default_partitions = partitions;
            }
            "default.replication.factor" => {
                self.replication_factor = value.parse().map_err(|_| bad())?;
            }
            "message.max.bytes" => self.message_max_bytes = value.parse().map_err(|_| bad())?,
            "log.retention.bytes" => {
                let bytes: i64 = value.parse().map_err(|_| bad())?;
                self.retention_bytes = u64::try_from(bytes).ok();
            }
            "log.message.timestamp.type" => {
                self.log_append_time = append_time(value).ok_or_else(bad)?;
            }
            "broker.rack" => self.racks = value.split(',').map(|r| r.trim().to_owned()).collect(),
            "replica.selector.class" => {
                self.rack_aware = !value.is_empty();
                if self.rack_aware && value != RACK_AWARE {
                    return Err(bad());
                }
            }
            "max.incremental.fetch.session.cache.slots" => {
                self.fetch_session_slots = value.parse().map_err(|_| bad())?;
            }
            "group.initial.rebalance.delay.ms" => {
                self.group_initial_rebalance_delay = milliseconds(value).ok_or_else(bad)?;
            }
            "group.min.session.timeout.ms" => {
                let least = milliseconds(value).ok_or_else(bad)?;
                self.group_session_timeout = least..=*self.group_session_timeout.end();
            }
            "group.max.session.timeout.ms" => {
                let most = milliseconds(value).ok_or_else(bad)?;
                self.group_session_timeout = *self.group_session_timeout.start()..=most;
            }
            "group.consumer.session.timeout.ms" => {
                self.group_consumer_session_timeout = milliseconds(value).ok_or_else(bad)?;
            }
            "group.consumer.assignment.interval.ms" => {
                self.group_consumer_assignment_interval = milliseconds(value).ok_or_else(bad)?;
            }
            "group.consumer.heartbeat.interval.ms" => {
                self.group_consumer_heartbeat_interval = milliseconds(value).ok_or_else(bad)?;
            }
            "cluster.id" => value.clone_into(&mut self.cluster_id),
            _ => {
                let why = format!("an embedded broker has no option {name}");
                return Err(Error::new(Code::UNKNOWN_PROPERTY, why).with_property(name));
            }
        }
        Ok(())
    }
}

fn milliseconds(value: &str) -> Option<Duration> {
    value.parse().ok().map(Duration::from_millis)
}

fn append_time(value: &str) -> Option<bool> {
    match value {
        "LogAppendTime" => Some(true),
        "CreateTime" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_set_by_kafkas_names() {
        let mut options = Options::default();
        options.set("log.retention.bytes", "1000").unwrap();
        options.set("log.message.timestamp.type", "LogAppendTime").unwrap();
        options.set("auto.create.topics.enable", "false").unwrap();
        assert_eq!(options.retention_bytes, Some(1_000));
        assert!(options.log_append_time && !options.auto_create_topics);
        options.set("log.retention.bytes", "-1").unwrap();
        assert_eq!(options.retention_bytes, None);
        let code = |o: &mut Options, n: &str, v: &str| o.set(n, v).unwrap_err().code();
        for partitions in ["many", "0", "100001"] {
            assert_eq!(code(&mut options, "num.partitions", partitions), Code::INVALID_PROPERTY);
        }
        assert_eq!(options.default_partitions, 1);
        assert_eq!(code(&mut options, "broker.id", "7"), Code::UNKNOWN_PROPERTY);
    }

    #[test]
    fn racks_are_given_for_all_brokers_at_once() {
        let mut options = Options::default();
        options.set("broker.rack", "a,,c").unwrap();
        options.set("replica.selector.class", RACK_AWARE).unwrap();
        let racks = [0, 1, 2, 3, -1].map(|broker| options.rack(broker));
        assert_eq!(racks, [Some("a"), None, Some("c"), None, None]);
        assert!(options.rack_aware);
        let refused = options.set("replica.selector.class", "my.own.Selector").unwrap_err();
        assert_eq!(refused.code(), Code::INVALID_PROPERTY);
    }

    #[test]
    fn a_topics_configuration_is_understood_or_refused() {
        let mut spec = TopicSpec::new("t", 1);
        spec.set("max.message.bytes", "77").unwrap();
        spec.set("cleanup.policy", "compact").unwrap();
        spec.set("retention.bytes", "-1").unwrap();
        assert_eq!(spec.retention_bytes, Some(u64::MAX), "not the cluster's default");
        assert_eq!(spec.message_max_bytes, Some(77));
        let refused = spec.set("message.timestamp.type", "Sometime").unwrap_err();
        assert_eq!(refused.code(), Code::INVALID_CONFIG);
    }
}
