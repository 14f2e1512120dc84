//! What a member of a consumer group is made with.

use std::sync::Arc;
use std::time::Duration;

use super::Values;
use super::idle::Asked;
use crate::error::{Code, Error, Result};

/// How the members of a group agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupProtocol {
    /// A coordinator gathers the members, one of them assigns.
    Classic,
    /// The coordinator assigns (KIP-848).
    Consumer,
    /// By nodes in ZooKeeper.
    ZooKeeper,
}

impl GroupProtocol {
    /// As `group.protocol` has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Consumer => "consumer",
            Self::ZooKeeper => "zookeeper",
        }
    }
}

/// A built-in assignor of the classic protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignor {
    /// Topic by topic, in runs.
    Range,
    /// One after the other over all topics.
    RoundRobin,
    /// Even, with the fewest moves.
    Sticky,
    /// The same in two steps: only what moves stands still (KIP-429).
    CooperativeSticky,
}

/// Where a group in ZooKeeper commits its offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetsStorage {
    /// In ZooKeeper.
    ZooKeeper,
    /// At the group's coordinator.
    Kafka,
}

/// Whose groups in ZooKeeper can be joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZooKeeperLayout {
    /// The Scala client's.
    Kafka,
    /// PyKafka's.
    PyKafka,
}

/// The properties of a member.
#[allow(clippy::struct_excessive_bools, reason = "properties that are true or false")]
#[derive(Clone, Debug)]
pub struct GroupConfig {
    /// `group.id`, if it is set.
    pub id: Option<Arc<str>>,
    /// `group.protocol`.
    pub protocol: GroupProtocol,
    /// `group.instance.id`, if it is set.
    pub instance_id: Option<Arc<str>>,
    /// `group.remote.assignor`, if it is set.
    pub remote_assignor: Option<Arc<str>>,
    /// `partition.assignment.strategy`; the best liked first, never empty.
    pub assignors: Vec<Assignor>,
    /// `session.timeout.ms`.
    pub session_timeout: Duration,
    /// `heartbeat.interval.ms`.
    pub heartbeat_interval: Duration,
    /// `max.poll.interval.ms`; also the time-out of a rebalance.
    pub max_poll_interval: Duration,
    /// `enable.auto.commit`.
    pub auto_commit: bool,
    /// `auto.commit.interval.ms`.
    pub auto_commit_interval: Duration,
    /// `enable.auto.offset.store`.
    pub auto_offset_store: bool,
    /// `exclude.internal.topics`.
    pub exclude_internal_topics: bool,
    /// `samsa.reset.offset.on.start`.
    pub reset_offset_on_start: bool,
    /// `client.rack`, if it is set: assignors heed it (KIP-881).
    pub rack: Option<Arc<str>>,
    /// `retry.backoff.ms`.
    pub retry_backoff: Duration,
    /// `retry.backoff.max.ms`; never below `retry_backoff`.
    pub retry_backoff_max: Duration,
    /// `request.timeout.ms`.
    pub request_timeout: Duration,
    /// `metadata.max.age.ms`: how soon a pattern notices new topics.
    pub metadata_max_age: Duration,
    /// `client.id`.
    pub client_id: String,
    /// What belongs to groups in ZooKeeper.
    pub zookeeper: ZooKeeperGroupConfig,
    /// What was set of all this.
    pub asked: Asked,
}

/// The properties of a member of a group in ZooKeeper.
#[derive(Clone, Debug)]
pub struct ZooKeeperGroupConfig {
    /// `rebalance.max.retries`.
    pub rebalance_retries: u32,
    /// `rebalance.backoff.ms`.
    pub rebalance_backoff: Duration,
    /// `offsets.storage`.
    pub offsets_storage: OffsetsStorage,
    /// `dual.commit.enabled`.
    pub dual_commit: bool,
    /// `zookeeper.group.layout`.
    pub layout: ZooKeeperLayout,
    /// `consumer.id`, if it is set.
    pub consumer_id: Option<String>,
    /// `samsa.group.refuse.idle.members`.
    pub refuse_idle_members: bool,
}

impl GroupConfig {
    pub(super) fn from(values: Values<'_>) -> Result<Self> {
        let retry_backoff = values.millis("retry.backoff.ms")?;
        let made = Self {
            id: named(values, "group.id")?,
            protocol: values.choice("group.protocol", protocol)?,
            instance_id: named(values, "group.instance.id")?,
            remote_assignor: named(values, "group.remote.assignor")?,
            assignors: values
                .text("partition.assignment.strategy")?
                .split(',')
                .filter_map(assignor)
                .collect(),
            session_timeout: values.millis("session.timeout.ms")?,
            heartbeat_interval: values.millis("heartbeat.interval.ms")?,
            max_poll_interval: values.millis("max.poll.interval.ms")?,
            auto_commit: values.boolean("enable.auto.commit")?,
            auto_commit_interval: values.millis("auto.commit.interval.ms")?,
            auto_offset_store: values.boolean("enable.auto.offset.store")?,
            exclude_internal_topics: values.boolean("exclude.internal.topics")?,
            reset_offset_on_start: values.boolean("samsa.reset.offset.on.start")?,
            rack: named(values, "client.rack")?,
            retry_backoff,
            retry_backoff_max: values.millis("retry.backoff.max.ms")?.max(retry_backoff),
            request_timeout: values.millis("request.timeout.ms")?,
            metadata_max_age: values.millis("metadata.max.age.ms")?,
            client_id: values.text("client.id")?.to_owned(),
            zookeeper: zookeeper(values)?,
            asked: Asked::of(values.config),
        };
        made.check(values)?;
        Ok(made)
    }

    /// What was set and has no effect in a group of this protocol, as it was not refused: because the
    /// cluster decides the protocol, or says so for other consumers too.
    pub fn without_effect(&self, protocol: GroupProtocol) -> impl Iterator<Item = &'static str> {
        self.asked.without_effect(protocol)
    }

    fn check(&self, values: Values<'_>) -> Result<()> {
        if self.protocol == GroupProtocol::Consumer {
            return Ok(());
        }
        let (session, heartbeat) = (self.session_timeout, self.heartbeat_interval);
        if self.protocol == GroupProtocol::Classic && heartbeat >= session {
            let text = format!(
                "heartbeat.interval.ms={} must be less than session.timeout.ms={}",
                heartbeat.as_millis(),
                session.as_millis()
            );
            return Err(wrong("heartbeat.interval.ms", text));
        }
        if values.is_explicit("group.remote.assignor") {
            let text = "group.remote.assignor belongs to group.protocol=consumer; classic groups \
                        have partition.assignment.strategy";
            return Err(wrong("group.remote.assignor", text.to_owned()));
        }
        Ok(())
    }
}

fn wrong(property: &str, message: String) -> Error {
    Error::new(Code::INVALID_PROPERTY, message).with_property(property)
}

fn named(values: Values<'_>, name: &'static str) -> Result<Option<Arc<str>>> {
    Ok(Some(values.text(name)?).filter(|text| !text.is_empty()).map(Arc::from))
}

fn zookeeper(values: Values<'_>) -> Result<ZooKeeperGroupConfig> {
    Ok(ZooKeeperGroupConfig {
        rebalance_retries: values.number("rebalance.max.retries")?,
        rebalance_backoff: values.millis("rebalance.backoff.ms")?,
        offsets_storage: values.choice("offsets.storage", |name| match name {
            "zookeeper" => Some(OffsetsStorage::ZooKeeper),
            "kafka" => Some(OffsetsStorage::Kafka),
            _ => None,
        })?,
        dual_commit: values.boolean("dual.commit.enabled")?,
        layout: values.choice("zookeeper.group.layout", |name| match name {
            "kafka" => Some(ZooKeeperLayout::Kafka),
            "pykafka" => Some(ZooKeeperLayout::PyKafka),
            _ => None,
        })?,
        consumer_id: Some(values.text("consumer.id")?.to_owned()).filter(|id| !id.is_empty()),
        refuse_idle_members: values.boolean("samsa.group.refuse.idle.members")?,
    })
}

fn protocol(name: &str) -> Option<GroupProtocol> {
    match name {
        "classic" => Some(GroupProtocol::Classic),
        "consumer" => Some(GroupProtocol::Consumer),
        "zookeeper" => Some(GroupProtocol::ZooKeeper),
        _ => None,
    }
}

fn assignor(name: &str) -> Option<Assignor> {
    match name {
        "range" => Some(Assignor::Range),
        "roundrobin" => Some(Assignor::RoundRobin),
        "sticky" => Some(Assignor::Sticky),
        "cooperative-sticky" => Some(Assignor::CooperativeSticky),
        _ => None,
    }
}
