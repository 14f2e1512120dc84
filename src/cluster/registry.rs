//! What a registry in ZooKeeper tells the metadata loop: pure.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::merge::{Known, Registered};
use super::{BrokerInfo, Metadata};
use crate::config::Address;
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
    /// The cluster is of Kafka 0.7: everything comes from the registry.
    Legacy,
    /// The cluster can never be used, or never again.
    Unusable(Error),
}

/// Reads a snapshot of the registry. `known`: the family of brokers that the cluster is made of, as far
/// as it is known.
pub(super) fn news(
    registry: &Registry,
    known: Option<Generation>,
    listener: &Listener,
    origin: &str,
) -> News {
    // A bug of ours in one of its tasks: what is known would never change again.
    if let Some(panic) = registry.trouble.as_ref().filter(|error| error.code() == Code::PANIC) {
        return News::Unusable(panic.clone());
    }
    match (known, registry.generation()) {
        (Some(known), Some(registered)) if known != registered => {
            return News::Unusable(replaced(known, registered, origin));
        }
        (Some(Generation::Legacy), _) | (_, Some(Generation::Legacy)) => return News::Legacy,
        _ => {}
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

/// A cluster does not become another: offsets mean other things, and so do partitions.
fn replaced(known: Generation, registered: Generation, origin: &str) -> Error {
    let text = format!(
        "the brokers registered at {origin} are of {registered} now, but this handle belongs to a \
         cluster of {known}: open a new cluster handle"
    );
    Error::new(Code::CLUSTER_ID_CHANGED, text)
}

/// Why nobody needs to wait for a first contact, when there is no bootstrap list besides.
pub(super) fn refusal(registry: &Registry, bootstrap: &[Address]) -> Option<Error> {
    registry.trouble.clone().filter(|_| registry.is_refused && bootstrap.is_empty())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::zookeeper::RegisteredBroker;

    fn registry(brokers: &[(i32, &str)]) -> Registry {
        let read = |(id, data): &(i32, &str)| {
            let broker = RegisteredBroker::parse(*id, i64::from(*id) * 10, data.as_bytes());
            (*id, Arc::new(broker.unwrap()))
        };
        let brokers = brokers.iter().map(read).collect();
        Registry { is_live: true, brokers, ..Registry::default() }
    }

    fn plaintext() -> Listener {
        Listener { protocol: "PLAINTEXT".to_owned(), name: None }
    }

    const MODERN: &str = r#"{"version":3,"endpoints":["PLAINTEXT://h:1"],"rack":"r"}"#;
    const CLOSED: &str = r#"{"version":3,"endpoints":["SSL://h:2"]}"#;

    #[test]
    fn the_brokers_that_can_be_connected_to_are_news_while_zookeeper_is_there() {
        let mut known = registry(&[(1, MODERN), (2, CLOSED)]);
        let News::Brokers(Some(brokers)) = news(&known, None, &plaintext(), "z") else {
            panic!("news")
        };
        let info = BrokerInfo { id: 1, host: "h".into(), port: 1, rack: Some("r".into()) };
        assert_eq!(brokers[..], [Registered { info, incarnation: 10 }]);
        known.is_live = false;
        assert!(matches!(news(&known, None, &plaintext(), "z"), News::Brokers(None)));
    }

    #[test]
    fn kafka_0_7_is_told_by_its_brokers_and_stays_when_the_last_of_them_goes() {
        let old = registry(&[(1, "h-1:h:9092")]);
        assert!(matches!(news(&old, None, &plaintext(), "z"), News::Legacy));
        let legacy = Some(Generation::Legacy);
        assert!(matches!(news(&registry(&[]), legacy, &plaintext(), "z"), News::Legacy));
    }

    #[test]
    fn brokers_of_another_family_and_a_panic_make_the_cluster_unusable() {
        let old = registry(&[(1, "h-1:h:9092")]);
        let modern = Some(Generation::Modern);
        let News::Unusable(error) = news(&old, modern, &plaintext(), "zookeeper.connect=z") else {
            panic!("another cluster")
        };
        assert_eq!(error.code(), Code::CLUSTER_ID_CHANGED);
        assert!(error.message().contains("zookeeper.connect=z are of Kafka 0.7"), "{error}");
        let panicked =
            Registry { trouble: Some(Error::bare(Code::PANIC)), ..registry(&[(1, MODERN)]) };
        assert!(matches!(news(&panicked, None, &plaintext(), "z"), News::Unusable(_)));
    }

    #[test]
    fn a_refusal_ends_the_first_wait_only_where_no_bootstrap_list_helps() {
        let trouble = Some(Error::bare(Code::ZOOKEEPER));
        let mut known = Registry { trouble, is_refused: true, ..Registry::default() };
        assert!(refusal(&known, &[]).is_some());
        assert!(refusal(&known, &[Address::new("h", 1)]).is_none());
        known.is_refused = false;
        assert!(refusal(&known, &[]).is_none());
    }

    #[test]
    fn brokers_are_behind_while_they_tell_of_fewer_partitions_than_zookeeper_shows() {
        let partitions = |count: i32| (0..count).map(|index| (index, vec![1])).collect();
        let topic = RegisteredTopic::Modern(partitions(2));
        let topics = [(Arc::from("t"), Arc::new(topic))].into();
        let known = Registry { topics, ..Registry::default() };
        assert!(is_behind(&Metadata::empty(), &known));
        assert!(!is_behind(&Metadata::empty(), &Registry::default()));
        assert!(topics_differ(&Registry::default(), &known));
    }
}
