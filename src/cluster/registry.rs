//! What a registry in ZooKeeper tells the metadata loop: pure.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::merge::{Known, Registered};
use super::{BrokerInfo, Metadata};
use crate::discovery::zookeeper::{Follow, Generation, Listener, RegisteredTopic, Registry};
use crate::error::{Code, Error};

/// How long brokers are asked again and again for what ZooKeeper shows already: they learn of it from
/// their controller, a moment later.
pub(super) const CATCH_UP: Duration = Duration::from_secs(10);

/// What a snapshot of the registry means for the cluster.
#[derive(Debug)]
pub(super) enum News {
    /// The brokers that are registered now; none while ZooKeeper cannot be reached.
    Brokers(Option<Arc<[Registered]>>),
    /// The cluster can never be used.
    Unusable(Error),
}

/// Reads a snapshot of the registry.
pub(super) fn news(registry: &Registry, listener: &Listener, origin: &str) -> News {
    // Kafka 0.7 has its seat here: its brokers, topics and partitions come from the registry alone.
    if registry.generation() == Some(Generation::Legacy) {
        let text = format!(
            "the brokers registered at {origin} are of {}, which is not supported yet",
            Generation::Legacy
        );
        return News::Unusable(Error::new(Code::UNSUPPORTED_FEATURE, text));
    }
    if !registry.is_live {
        return News::Brokers(None);
    }
    let brokers = registry.brokers.values().filter_map(|broker| {
        let address = broker.address(listener).ok()?;
        let (host, port) = (address.host.clone(), address.port);
        let rack = broker.rack().map(str::to_owned);
        let info = BrokerInfo { id: broker.id, host, port, rack };
        Some(Registered { info, incarnation: broker.incarnation })
    });
    News::Brokers(Some(brokers.collect()))
}

/// Why nobody needs to wait for a first contact.
pub(super) fn refusal(registry: &Registry) -> Option<Error> {
    registry.trouble.clone().filter(|_| registry.is_refused)
}

/// Whether brokers must be asked because the registry shows a topic otherwise than it did.
pub(super) fn topics_differ(old: &Registry, new: &Registry) -> bool {
    old.topics != new.topics
}

/// Whether the registry shows partitions that the brokers have not told of yet.
pub(super) fn is_behind(metadata: &Metadata, registry: &Registry) -> bool {
    registry.topics.iter().any(|(name, topic)| {
        let RegisteredTopic::Modern(partitions) = &**topic else { return false };
        let known = metadata.topic(name).map_or(0, |topic| topic.partitions.len());
        known < partitions.len()
    })
}

/// The topics to follow: those that are wanted.
pub(super) fn follow(names: impl Iterator<Item = Arc<str>>) -> Follow {
    let names: BTreeSet<Arc<str>> = names.collect();
    if names.is_empty() { Follow::Nothing } else { Follow::Topics(names) }
}

/// Whether the brokers known are others than before: what they lead may have moved.
pub(super) fn brokers_differ(old: &Known, new: &Known) -> bool {
    let ids = |known: &Known| known.metadata.brokers.keys().copied().collect::<Vec<_>>();
    ids(old) != ids(new) || old.metadata.incarnations != new.metadata.incarnations
}
