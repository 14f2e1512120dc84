//! Which membership a consumer gets.

use std::sync::Arc;

use super::{Listener, Membership, OffsetStore, classic, group_id, next, undecided, zookeeper};
use crate::cluster::Cluster;
use crate::config::{GroupConfig, GroupProtocol};
use crate::discovery::zookeeper::Generation;
use crate::error::Result;

/// A membership that has not joined yet, and where its group's offsets are.
#[derive(Debug)]
pub struct Member {
    /// What decides which partitions are read.
    pub membership: Arc<dyn Membership>,
    /// What keeps their offsets.
    pub offsets: Arc<dyn OffsetStore>,
}

/// A member of the group that `config` names, by its `group.protocol`; on Kafka 0.7 always in ZooKeeper,
/// which may show later. It joins with its first subscription. Does not wait.
///
/// `INVALID_GROUP_ID` when no `group.id` is set; `UNSUPPORTED_FEATURE` for a protocol that this cluster
/// or library does not have.
pub fn start(
    cluster: &Arc<Cluster>,
    config: &GroupConfig,
    listener: Arc<dyn Listener>,
) -> Result<Member> {
    let generation = cluster.metadata().generation;
    let by_zookeeper = cluster.client_config().zookeeper.is_some();
    if generation.is_none() && by_zookeeper && config.protocol != GroupProtocol::ZooKeeper {
        group_id(config)?;
        return Ok(undecided::start(cluster, config, listener));
    }
    known(cluster, config, listener)
}

/// The same, of a cluster that is known, or need not be.
pub(super) fn known(
    cluster: &Arc<Cluster>,
    config: &GroupConfig,
    listener: Arc<dyn Listener>,
) -> Result<Member> {
    let protocol = match cluster.metadata().generation {
        // Kafka 0.7 has no other groups.
        Some(Generation::Legacy) => GroupProtocol::ZooKeeper,
        _ => config.protocol,
    };
    for name in config.without_effect(protocol) {
        let text = format_args!("{name} has no effect with group.protocol={}", protocol.name());
        cluster.logger().warn("group", text);
    }
    match protocol {
        GroupProtocol::Classic => classic::start(cluster, config, listener),
        GroupProtocol::Consumer => next::start(cluster, config, listener),
        GroupProtocol::ZooKeeper => zookeeper::start(cluster, config, listener),
    }
}
