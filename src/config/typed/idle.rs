//! Properties of groups that have no effect with the protocol in force: nothing is silently ignored
//! (rule 9.17).
//!
//! They are refused where somebody asked for both at once. What the cluster's configuration says for all
//! of its consumers is not refused to the one that asks for another protocol, and neither is what was
//! set where the cluster decides the protocol: a line in the log tells of those.

use super::super::store::Config;
use super::group::GroupProtocol;
use crate::error::{Code, Error, Result};

const PROTOCOL: &str = "group.protocol";

/// What a coordinator's members have, and the nodes of ZooKeeper do not.
const BY_COORDINATOR: &[&str] =
    &["session.timeout.ms", "heartbeat.interval.ms", "group.instance.id"];

/// What only groups in ZooKeeper have.
const BY_ZOOKEEPER: &[&str] = &[
    "rebalance.max.retries",
    "rebalance.backoff.ms",
    "offsets.storage",
    "dual.commit.enabled",
    "zookeeper.group.layout",
    "consumer.id",
    "samsa.group.refuse.idle.members",
];

/// What the coordinator decides in groups of KIP-848.
const BY_BROKER: &[&str] =
    &["session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy"];

/// The properties of groups that were set, each as it may be without effect.
#[derive(Clone, Debug, Default)]
pub struct Asked(Vec<&'static str>);

impl Asked {
    /// What is set here, but for what asks for what coordinators' groups do anyway.
    pub(super) fn of(config: &Config) -> Self {
        let done_anyway = |name, value| {
            matches!(
                (name, value),
                ("offsets.storage", "kafka")
                    | ("dual.commit.enabled" | "samsa.group.refuse.idle.members", "false")
                    | ("group.instance.id" | "consumer.id", "")
            )
        };
        let mut asked: Vec<&'static str> = [BY_COORDINATOR, BY_ZOOKEEPER, BY_BROKER].concat();
        asked.retain(|name| config.explicit(name).is_some_and(|value| !done_anyway(*name, value)));
        asked.sort_unstable();
        asked.dedup();
        Self(asked)
    }

    /// Those that have no effect with this protocol.
    pub(super) fn without_effect(
        &self,
        protocol: GroupProtocol,
    ) -> impl Iterator<Item = &'static str> {
        let idle: &[&[&str]] = match protocol {
            GroupProtocol::Classic => &[BY_ZOOKEEPER],
            GroupProtocol::Consumer => &[BY_ZOOKEEPER, BY_BROKER],
            GroupProtocol::ZooKeeper => &[BY_COORDINATOR],
        };
        let is_idle = |name: &&&'static str| idle.iter().any(|names| names.contains(*name));
        self.0.iter().filter(is_idle).copied()
    }
}

/// Refuses what was asked for together with a protocol in which it has no effect, or beside one.
/// `own` is what a consumer sets for itself, over what its cluster says.
///
/// INVALID_PROPERTY, naming the property.
pub(super) fn refuse(
    protocol: GroupProtocol,
    cluster: &Config,
    own: Option<&Config>,
) -> Result<()> {
    let is_own = own.is_some_and(|own| own.explicit(PROTOCOL).is_some());
    if !is_own && cluster.explicit(PROTOCOL).is_none() {
        return Ok(());
    }
    // The cluster's words count against the cluster's protocol only.
    let places = [own, Some(cluster).filter(|_| !is_own)];
    for place in places.into_iter().flatten() {
        if let Some(name) = Asked::of(place).without_effect(protocol).next() {
            let text = format!("{name} has no effect with group.protocol={}", protocol.name());
            let text = match BY_BROKER.contains(&name) && protocol == GroupProtocol::Consumer {
                true => format!("{text}: the broker decides"),
                false => text,
            };
            return Err(Error::new(Code::INVALID_PROPERTY, text).with_property(name));
        }
    }
    Ok(())
}
