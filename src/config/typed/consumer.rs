//! What a consumer is made with.

use std::collections::HashMap;
use std::time::Duration;

use super::client::{Events, events};
use super::group::GroupConfig;
use super::{Owner, Values, check_overrides, idle};
use crate::config::table::BY_DURATION;
use crate::config::{Config, iso_duration};
use crate::error::{Code, Error, Result};

/// Where to go on when there is no valid position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// The first message that is still there.
    Earliest,
    /// What comes from now on.
    Latest,
    /// Out of range below: earliest; above: latest; no position at all: earliest.
    Nearest,
    /// The first message that is at most so old when it is looked for; the end if none is.
    ByDuration(Duration),
    /// An error (`NO_OFFSET`).
    None,
}

/// Which messages of transactions are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IsolationLevel {
    /// All.
    #[default]
    ReadUncommitted,
    /// Those of committed transactions, up to the first one still open.
    ReadCommitted,
}

impl IsolationLevel {
    /// The number in Fetch and ListOffsets requests.
    #[must_use]
    pub fn wire(self) -> i8 {
        match self {
            Self::ReadUncommitted => 0,
            Self::ReadCommitted => 1,
        }
    }
}

/// The properties of a consumer, the cluster's and its own overrides together.
#[derive(Clone, Debug)]
pub struct ConsumerConfig {
    /// `fetch.min.bytes`.
    pub fetch_min_bytes: i32,
    /// `fetch.max.bytes`.
    pub fetch_max_bytes: i32,
    /// `max.partition.fetch.bytes`.
    pub max_partition_fetch_bytes: i32,
    /// `fetch.max.wait.ms`.
    pub fetch_max_wait: Duration,
    /// `max.poll.records`.
    pub max_poll_records: usize,
    /// `auto.offset.reset`.
    pub auto_offset_reset: Reset,
    /// `client.rack`; empty when brokers are not told.
    pub client_rack: String,
    /// `check.crcs`.
    pub check_crcs: bool,
    /// `isolation.level`.
    pub isolation_level: IsolationLevel,
    /// `samsa.memory.limit`: fetched bytes held, waiting or in the application's hands.
    pub memory_limit: usize,
    /// `request.timeout.ms`.
    pub request_timeout: Duration,
    /// `metadata.max.age.ms`: for so long a nearer replica is read before the leader is asked again.
    pub metadata_max_age: Duration,
    /// `retry.backoff.ms`.
    pub retry_backoff: Duration,
    /// `retry.backoff.max.ms`; never below `retry_backoff`.
    pub retry_backoff_max: Duration,
    /// `samsa.receive.message.max.bytes`.
    pub receive_message_max_bytes: usize,
    /// `samsa.events`.
    pub events: Events,
    /// What it is as a member of a group.
    pub group: GroupConfig,
    topics: HashMap<String, TopicConsumerConfig>,
}

/// What can differ from topic to topic (`topic.NAME.` before the property).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicConsumerConfig {
    /// `auto.offset.reset`.
    pub auto_offset_reset: Reset,
    /// `max.partition.fetch.bytes`.
    pub max_partition_fetch_bytes: i32,
}

impl ConsumerConfig {
    /// The typed view. `INVALID_PROPERTY` names the property that contradicts another.
    pub fn from(config: &Config) -> Result<Self> {
        let values = Values::of(config);
        let retry_backoff = values.millis("retry.backoff.ms")?;
        let every = topic_values(values)?;
        let mut topics = HashMap::new();
        for topic in config.topics() {
            let own = topic_values(Values::for_topic(config, topic))?;
            topics.insert(topic.to_owned(), own);
        }
        let made = Self {
            fetch_min_bytes: values.number("fetch.min.bytes")?,
            fetch_max_bytes: values.number("fetch.max.bytes")?,
            max_partition_fetch_bytes: every.max_partition_fetch_bytes,
            fetch_max_wait: values.millis("fetch.max.wait.ms")?,
            max_poll_records: values.number("max.poll.records")?,
            auto_offset_reset: every.auto_offset_reset,
            client_rack: values.text("client.rack")?.to_owned(),
            metadata_max_age: values.millis("metadata.max.age.ms")?,
            check_crcs: values.boolean("check.crcs")?,
            isolation_level: values.choice("isolation.level", isolation_level)?,
            memory_limit: values.number("samsa.memory.limit")?,
            request_timeout: values.millis("request.timeout.ms")?,
            retry_backoff,
            retry_backoff_max: values.millis("retry.backoff.max.ms")?.max(retry_backoff),
            receive_message_max_bytes: values.number("samsa.receive.message.max.bytes")?,
            events: events(values)?,
            group: GroupConfig::from(values)?,
            topics,
        };
        made.check()?;
        Ok(made)
    }

    /// As [`from`](Self::from), with a child's overrides on top. A connection property or one of a
    /// producer among them is `INVALID_PROPERTY`, and so is a property of groups that has no effect with
    /// the `group.protocol` that was set beside it.
    pub fn with_overrides(config: &Config, overrides: Option<&Config>) -> Result<Self> {
        check_overrides(overrides, Owner::Consumer)?;
        let made = Self::from(&config.overlay(overrides)?)?;
        idle::refuse(made.group.protocol, config, overrides)?;
        Ok(made)
    }

    /// What holds for this topic.
    #[must_use]
    pub fn for_topic(&self, name: &str) -> TopicConsumerConfig {
        self.topics.get(name).copied().unwrap_or(TopicConsumerConfig {
            auto_offset_reset: self.auto_offset_reset,
            max_partition_fetch_bytes: self.max_partition_fetch_bytes,
        })
    }

    /// A fetch that the broker may answer only after the request's time ended would never be answered
    /// (invariant 6.10); a frame limit below the fetch size would refuse every full answer (6.9).
    fn check(&self) -> Result<()> {
        if self.fetch_max_wait >= self.request_timeout {
            return Err(contradiction(
                "fetch.max.wait.ms",
                format!(
                    "fetch.max.wait.ms={} must be less than request.timeout.ms={}",
                    self.fetch_max_wait.as_millis(),
                    self.request_timeout.as_millis()
                ),
            ));
        }
        let frame = i64::try_from(self.receive_message_max_bytes).unwrap_or(i64::MAX);
        if frame < i64::from(self.fetch_max_bytes) {
            return Err(contradiction(
                "samsa.receive.message.max.bytes",
                format!(
                    "samsa.receive.message.max.bytes={frame} is less than fetch.max.bytes={}: a \
                     full answer would be refused",
                    self.fetch_max_bytes
                ),
            ));
        }
        Ok(())
    }
}

fn contradiction(property: &str, message: String) -> Error {
    Error::new(Code::INVALID_PROPERTY, message).with_property(property)
}

fn topic_values(values: Values<'_>) -> Result<TopicConsumerConfig> {
    Ok(TopicConsumerConfig {
        auto_offset_reset: values.choice("auto.offset.reset", reset)?,
        max_partition_fetch_bytes: values.number("max.partition.fetch.bytes")?,
    })
}

fn reset(name: &str) -> Option<Reset> {
    match name {
        "earliest" => Some(Reset::Earliest),
        "latest" => Some(Reset::Latest),
        "nearest" => Some(Reset::Nearest),
        "none" => Some(Reset::None),
        _ => name.strip_prefix(BY_DURATION).and_then(iso_duration::parse).map(Reset::ByDuration),
    }
}

fn isolation_level(name: &str) -> Option<IsolationLevel> {
    match name {
        "read_uncommitted" => Some(IsolationLevel::ReadUncommitted),
        "read_committed" => Some(IsolationLevel::ReadCommitted),
        _ => None,
    }
}
