//! What the registry shows of a cluster of Kafka 0.7: pure.
//!
//! It is all there is to know: brokers of 0.7 tell nothing of each other. A topic has the partitions
//! that each broker registered for it. On a broker that did not, it exists virtually, as one partition:
//! whoever writes there makes it. So every topic exists as long as a broker does.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::merge::{self, Action, Change, Known, Registered};
use super::places::{Place, partition_number};
use super::{BrokerInfo, PartitionMetadata, TopicMetadata};
use crate::discovery::zookeeper::{Follow, Form, Generation, RegisteredTopic, Registry};

/// The topics that are looked at.
pub(super) type Wanted = BTreeSet<Arc<str>>;

/// Takes over what is registered. `wanted` are topics that somebody wants, whether they are there or
/// not; those that were not looked for yet keep what is known of them.
pub(super) fn merge(old: &Known, registry: &Registry, wanted: &Wanted) -> (Known, Vec<Action>) {
    let (mut new, mut actions) = merge::register(old, Some(brokers(registry)));
    let number = old.metadata.number;
    let first = old.metadata.generation.is_none();
    new.metadata.generation = Some(Generation::Legacy);
    for name in looked_for(registry, wanted) {
        let topic = topic(&name, registry);
        let change = match old.metadata.topics.get(&name) {
            None => Change::Added,
            Some(known) if known.places == topic.places => continue,
            Some(_) => Change::Changed,
        };
        new.metadata.topics.insert(Arc::clone(&name), Arc::new(topic));
        actions.push(Action::Topic(name, change));
    }
    for name in gone(old, registry, wanted) {
        new.metadata.topics.remove(&name);
        actions.push(Action::Topic(name, Change::Removed));
    }
    if first || !actions.is_empty() {
        new.metadata.number = number + 1;
    }
    (new, actions)
}

/// Whether everything that is wanted was looked for when the snapshot was made.
pub(super) fn is_read(registry: &Registry, wanted: &Wanted) -> bool {
    match &registry.read {
        Some(Follow::All) => true,
        Some(Follow::Topics(names)) => wanted.is_subset(names),
        Some(Follow::Nothing) => wanted.is_empty(),
        None => false,
    }
}

fn brokers(registry: &Registry) -> Arc<[Registered]> {
    let registered = registry.brokers.values().filter_map(|broker| {
        let Form::Legacy { address, .. } = &broker.form else { return None };
        let (host, port) = (address.host.clone(), address.port);
        let info = BrokerInfo { id: broker.id, host, port, rack: None };
        Some(Registered { info, incarnation: broker.incarnation })
    });
    registered.collect()
}

fn looked_for(registry: &Registry, wanted: &Wanted) -> Wanted {
    match &registry.read {
        Some(Follow::All) => registry.topics.keys().chain(wanted).cloned().collect(),
        Some(Follow::Topics(names)) => wanted.intersection(names).cloned().collect(),
        Some(Follow::Nothing) | None => Wanted::new(),
    }
}

/// What nobody has registered any more and nobody wants. Only where all topics are followed: elsewhere
/// what nobody wants is forgotten without a word.
fn gone(old: &Known, registry: &Registry, wanted: &Wanted) -> Vec<Arc<str>> {
    if !matches!(registry.read, Some(Follow::All)) {
        return Vec::new();
    }
    let is_there = |name: &Arc<str>| registry.topics.contains_key(name) || wanted.contains(name);
    old.metadata.topics.keys().filter(|name| !is_there(name)).cloned().collect()
}

/// The partitions of a topic in order of broker and number, which is the order that partitioners count
/// in: it is the same for every client that sees the same registry.
pub(super) fn topic(name: &Arc<str>, registry: &Registry) -> TopicMetadata {
    let counts = match registry.topics.get(name).map(|topic| &**topic) {
        Some(RegisteredTopic::Legacy(counts)) => Some(counts),
        _ => None,
    };
    let mut topic = TopicMetadata::unknown(name);
    let mut places = Vec::new();
    for id in registry.brokers.keys().copied().filter(|id| *id >= 0) {
        let count = counts.and_then(|counts| counts.get(&id)).copied();
        for number in 0..count.unwrap_or(1) {
            places
                .push(Place { number: partition_number(id, number), is_virtual: count.is_none() });
            topic.partitions.push(PartitionMetadata {
                leader: id,
                replicas: vec![id],
                in_sync: vec![id],
                ..PartitionMetadata::unknown()
            });
        }
    }
    topic.places = Some(places.into());
    topic
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::zookeeper::RegisteredBroker;

    fn registry(brokers: &[(i32, i64)], counts: &[(i32, i32)]) -> Registry {
        let read = |(id, incarnation): &(i32, i64)| {
            let data = format!("h-1:h{id}:9092");
            let broker = RegisteredBroker::parse(*id, *incarnation, data.as_bytes()).unwrap();
            (*id, Arc::new(broker))
        };
        let topic = RegisteredTopic::Legacy(counts.iter().copied().collect());
        let topics = if counts.is_empty() { vec![] } else { vec![(name(), Arc::new(topic))] };
        Registry {
            is_live: true,
            brokers: brokers.iter().map(read).collect(),
            topics: topics.into_iter().collect(),
            read: Some(Follow::Topics([name()].into())),
            ..Registry::default()
        }
    }

    fn name() -> Arc<str> {
        Arc::from("t")
    }

    fn wanted() -> Wanted {
        [name()].into()
    }

    fn numbers(known: &Known) -> Vec<(i32, i32, bool)> {
        let places = known.metadata.topic("t").and_then(|topic| topic.places.clone());
        let apart = |place: &Place| {
            let number = place.number;
            let broker = super::super::partition_broker(number);
            (broker, super::super::partition_within(number), place.is_virtual)
        };
        places.unwrap().iter().map(apart).collect()
    }

    #[test]
    fn samsa_three_brokers_without_the_topic_are_three_virtual_partitions() {
        let registry = registry(&[(2, 1), (0, 1), (10, 1)], &[]);
        let (known, actions) = merge(&Known::nothing(), &registry, &wanted());
        assert_eq!(numbers(&known), [(0, 0, true), (2, 0, true), (10, 0, true)]);
        assert_eq!(known.metadata.generation, Some(Generation::Legacy));
        assert!(actions.contains(&Action::Topic(name(), Change::Added)));
        assert!(actions.contains(&Action::Broker(10, Change::Added)));
        assert_eq!(known.metadata.number, 1);
    }

    #[test]
    fn samsa_counts_of_5_2_and_4_are_11_partitions_in_numeric_order() {
        let registry = registry(&[(10, 1), (9, 1), (1, 1)], &[(1, 5), (9, 2), (10, 4)]);
        let (known, _) = merge(&Known::nothing(), &registry, &wanted());
        let order: Vec<_> = numbers(&known).iter().map(|(broker, at, _)| (*broker, *at)).collect();
        assert_eq!(order.len(), 11);
        assert!(order.is_sorted() && order[5..7] == [(9, 0), (9, 1)]);
        let topic = known.metadata.topic("t").unwrap();
        assert_eq!((topic.partitions[6].leader, &topic.partitions[6].replicas[..]), (9, &[9][..]));
    }

    #[test]
    fn a_broker_that_registers_the_topic_changes_it_and_one_that_leaves_takes_its_partitions() {
        let before = merge(&Known::nothing(), &registry(&[(0, 1), (1, 1)], &[]), &wanted()).0;
        let (known, actions) = merge(&before, &registry(&[(0, 1), (1, 1)], &[(0, 2)]), &wanted());
        assert_eq!(numbers(&known), [(0, 0, false), (0, 1, false), (1, 0, true)]);
        assert_eq!(actions, [Action::Topic(name(), Change::Changed)]);
        let (known, actions) = merge(&known, &registry(&[(1, 1)], &[(0, 2)]), &wanted());
        assert_eq!(numbers(&known), [(1, 0, true)], "whatever its topic nodes still say");
        assert_eq!(actions.len(), 2);
        let (known, _) = merge(&known, &registry(&[], &[(0, 2)]), &wanted());
        assert!(numbers(&known).is_empty());
    }

    #[test]
    fn a_broker_that_comes_back_is_another_one_and_nothing_new_is_no_news() {
        let first = merge(&Known::nothing(), &registry(&[(0, 1)], &[]), &wanted()).0;
        let (same, actions) = merge(&first, &registry(&[(0, 1)], &[]), &wanted());
        assert!(actions.is_empty() && same.metadata.number == first.metadata.number);
        let (back, actions) = merge(&same, &registry(&[(0, 2)], &[]), &wanted());
        assert_eq!(actions, [Action::Broker(0, Change::Changed)]);
        assert_eq!(back.metadata.incarnations[&0], 2);
    }

    #[test]
    fn a_topic_whose_nodes_went_is_gone_where_all_are_followed_unless_somebody_wants_it() {
        let mut before = registry(&[(0, 1)], &[(0, 2)]);
        before.read = Some(Follow::All);
        let (known, _) = merge(&Known::nothing(), &before, &Wanted::new());
        assert_eq!(numbers(&known), [(0, 0, false), (0, 1, false)]);
        let mut after = registry(&[(0, 1)], &[]);
        let (same, actions) = merge(&known, &after, &Wanted::new());
        assert!(actions.is_empty() && !same.metadata.topics.is_empty(), "it was not looked for");
        after.read = Some(Follow::All);
        let (wanted, actions) = merge(&known, &after, &wanted());
        assert_eq!(actions, [Action::Topic(name(), Change::Changed)]);
        assert_eq!(numbers(&wanted), [(0, 0, true)], "it is there virtually");
        let (gone, actions) = merge(&wanted, &after, &Wanted::new());
        assert_eq!(actions, [Action::Topic(name(), Change::Removed)]);
        assert!(gone.metadata.topics.is_empty());
        assert_eq!(gone.metadata.number, wanted.metadata.number + 1);
    }

    #[test]
    fn a_topic_that_was_not_looked_for_yet_is_not_taken_for_a_virtual_one() {
        let mut registry = registry(&[(0, 1)], &[]);
        registry.read = None;
        let (known, _) = merge(&Known::nothing(), &registry, &wanted());
        assert!(known.metadata.topics.is_empty() && !is_read(&registry, &wanted()));
        registry.read = Some(Follow::Nothing);
        assert!(!is_read(&registry, &wanted()) && is_read(&registry, &Wanted::new()));
    }
}
