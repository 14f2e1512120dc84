//! What the cluster and its connections are made with.

use std::time::Duration;

use super::Values;
use super::zookeeper::ZooKeeperConfig;
use crate::config::{Address, Config};
use crate::error::{Code, Error, Result};
use crate::log::Logger;

/// The properties of a cluster handle and its connections.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// `bootstrap.servers`; empty only with `zookeeper`.
    pub bootstrap_servers: Vec<Address>,
    /// `zookeeper.connect` and what belongs to it, if it is set.
    pub zookeeper: Option<ZooKeeperConfig>,
    /// `client.id`.
    pub client_id: String,
    /// `request.timeout.ms`.
    pub request_timeout: Duration,
    /// `retry.backoff.ms`.
    pub retry_backoff: Duration,
    /// `retry.backoff.max.ms`; never below `retry_backoff`.
    pub retry_backoff_max: Duration,
    /// `reconnect.backoff.ms`.
    pub reconnect_backoff: Duration,
    /// `reconnect.backoff.max.ms`; never below `reconnect_backoff`.
    pub reconnect_backoff_max: Duration,
    /// `socket.connection.setup.timeout.ms`.
    pub socket_connection_setup_timeout: Duration,
    /// `socket.connection.setup.timeout.max.ms`; never below `socket_connection_setup_timeout`.
    pub socket_connection_setup_timeout_max: Duration,
    /// `connections.max.idle.ms`; `None`: idle connections stay.
    pub connections_max_idle: Option<Duration>,
    /// `metadata.max.age.ms`.
    pub metadata_max_age: Duration,
    /// `metadata.recovery.rebootstrap.trigger.ms`.
    pub metadata_recovery_rebootstrap_trigger: Duration,
    /// `allow.auto.create.topics`.
    pub allow_auto_create_topics: bool,
    /// `samsa.receive.message.max.bytes`: the largest response frame, in bytes without its length.
    pub receive_message_max_bytes: usize,
    /// `samsa.io.threads`, if it was set; for [`Runtime::get`](crate::runtime::Runtime::get).
    pub io_threads: Option<usize>,
    /// `samsa.codec.threads`; for [`codec::submit`](crate::runtime::codec::submit).
    pub codec_threads: usize,
    /// `samsa.events`.
    pub events: Events,
    /// `samsa.log`, `samsa.log.level`, or the log callback.
    pub logger: Logger,
}

/// Which events are kept though nobody asked for them by a handle.
#[allow(clippy::struct_excessive_bools, reason = "one for each kind that can be asked for")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// `topics`: the cluster tells changes of every topic, not only of those with a handle.
    pub topics: bool,
    /// `partition_end`: a consumer tells when it has read a partition to its end.
    pub partition_end: bool,
    /// `log_truncated`: a consumer tells when a partition lost records that were read already.
    pub log_truncated: bool,
    /// `assigned`: a consumer tells which partitions its group gave to it.
    pub assigned: bool,
    /// `revoked`: a consumer tells which partitions its group takes back.
    pub revoked: bool,
    /// `lost`: a consumer tells which partitions are no longer its own.
    pub lost: bool,
    /// `committed`: a consumer tells how a commit ended.
    pub committed: bool,
}

impl ClientConfig {
    /// The typed view. `INVALID_PROPERTY` names the property that is missing or contradicts another.
    pub fn from(config: &Config) -> Result<Self> {
        let values = Values::of(config);
        let bootstrap_servers = Address::parse_list(values.text("bootstrap.servers")?)?;
        let zookeeper = ZooKeeperConfig::from(values)?;
        if bootstrap_servers.is_empty() && zookeeper.is_none() {
            return Err(missing_bootstrap());
        }
        let retry_backoff = values.millis("retry.backoff.ms")?;
        let reconnect_backoff = values.millis("reconnect.backoff.ms")?;
        let setup = values.millis("socket.connection.setup.timeout.ms")?;
        let idle: i64 = values.number("connections.max.idle.ms")?;
        Ok(Self {
            bootstrap_servers,
            zookeeper,
            client_id: values.text("client.id")?.to_owned(),
            request_timeout: values.millis("request.timeout.ms")?,
            retry_backoff,
            retry_backoff_max: values.millis("retry.backoff.max.ms")?.max(retry_backoff),
            reconnect_backoff,
            reconnect_backoff_max: values
                .millis("reconnect.backoff.max.ms")?
                .max(reconnect_backoff),
            socket_connection_setup_timeout: setup,
            socket_connection_setup_timeout_max: values
                .millis("socket.connection.setup.timeout.max.ms")?
                .max(setup),
            connections_max_idle: u64::try_from(idle)
                .ok()
                .filter(|ms| *ms > 0)
                .map(Duration::from_millis),
            metadata_max_age: values.millis("metadata.max.age.ms")?,
            metadata_recovery_rebootstrap_trigger: values
                .millis("metadata.recovery.rebootstrap.trigger.ms")?,
            allow_auto_create_topics: values.boolean("allow.auto.create.topics")?,
            receive_message_max_bytes: values.number("samsa.receive.message.max.bytes")?,
            io_threads: config
                .explicit("samsa.io.threads")
                .map(|_| values.number("samsa.io.threads"))
                .transpose()?,
            codec_threads: values.number("samsa.codec.threads")?,
            events: events(values)?,
            logger: config.logger()?,
        })
    }
}

pub(super) fn events(values: Values<'_>) -> Result<Events> {
    let list = values.text("samsa.events")?;
    let has = |name| list.split(',').any(|item| item == name);
    Ok(Events {
        topics: has("topics"),
        partition_end: has("partition_end"),
        log_truncated: has("log_truncated"),
        assigned: has("assigned"),
        revoked: has("revoked"),
        lost: has("lost"),
        committed: has("committed"),
    })
}

fn missing_bootstrap() -> Error {
    Error::new(
        Code::INVALID_PROPERTY,
        "bootstrap.servers is not set: give one or more brokers as host:port,host:port (or \
         zookeeper.connect)",
    )
    .with_property("bootstrap.servers")
}
