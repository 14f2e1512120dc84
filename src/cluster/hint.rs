//! Leader hints that ride on produce and fetch answers (KIP-951, Produce ≥ 10, Fetch ≥ 12).

use std::sync::Arc;

use super::merge::{Action, Change, Known};
use super::{BrokerInfo, TopicMetadata};

/// What a broker that no longer leads a partition says of its new leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderHint {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The node id of the new leader.
    pub leader: i32,
    /// The epoch of the new leader.
    pub leader_epoch: i32,
}

/// Takes the hints that may be trusted (invariant 1.12): the epoch is higher than the one known, the
/// node is known or among the `endpoints`, the partition is known. Endpoints are added or replace,
/// they never remove. Metadata is asked for all the same.
pub(super) fn merge(
    old: &Known,
    hints: &[LeaderHint],
    endpoints: &[BrokerInfo],
) -> (Known, Vec<Action>) {
    let mut new = old.clone();
    let mut actions = Vec::new();
    // With a registry, that alone says which brokers there are.
    let endpoints = if old.registered.is_some() { &[] } else { endpoints };
    for broker in endpoints.iter().filter(|broker| broker.id >= 0) {
        let change = match new.metadata.brokers.get(&broker.id) {
            Some(known) if known.host == broker.host && known.port == broker.port => continue,
            Some(_) => Change::Changed,
            None => Change::Added,
        };
        new.metadata.brokers.insert(broker.id, Arc::new(broker.clone()));
        actions.push(Action::Broker(broker.id, change));
    }
    for hint in hints {
        let known_node = new.metadata.brokers.contains_key(&hint.leader);
        let topic = new.metadata.topics.get(&hint.topic).filter(|_| known_node);
        if let Some(moved) = topic.and_then(|topic| moved(topic, hint)) {
            new.metadata.topics.insert(Arc::clone(&hint.topic), Arc::new(moved));
            actions.push(Action::Topic(Arc::clone(&hint.topic), Change::Changed));
        }
    }
    if !actions.is_empty() {
        new.metadata.number += 1;
    }
    actions.push(Action::Retry("a broker told of a new leader"));
    (new, actions)
}

fn moved(topic: &TopicMetadata, hint: &LeaderHint) -> Option<TopicMetadata> {
    let index = usize::try_from(hint.partition).ok()?;
    let mut topic = topic.clone();
    let partition = topic.partitions.get_mut(index)?;
    if hint.leader_epoch <= partition.leader_epoch {
        return None;
    }
    partition.leader = hint.leader;
    partition.leader_epoch = hint.leader_epoch;
    partition.error = None;
    Some(topic)
}

#[cfg(test)]
mod tests {
    use super::super::{Metadata, PartitionMetadata};
    use super::*;

    fn broker(id: i32) -> BrokerInfo {
        BrokerInfo { id, host: format!("b{id}"), port: 1, rack: Some("r".to_owned()) }
    }

    fn known() -> Known {
        let mut known = Known::nothing();
        let partition =
            PartitionMetadata { leader: 1, leader_epoch: 5, ..PartitionMetadata::unknown() };
        let topic = TopicMetadata {
            name: Arc::from("t"),
            id: Default::default(),
            error: None,
            partitions: vec![partition],
            places: None,
            internal: false,
        };
        let metadata: &mut Metadata = &mut known.metadata;
        metadata.topics.insert(Arc::from("t"), Arc::new(topic));
        metadata.brokers.insert(1, Arc::new(broker(1)));
        metadata.brokers.insert(2, Arc::new(broker(2)));
        known
    }

    #[test]
    fn rule_1_12_a_hint_counts_only_with_a_higher_epoch_a_known_node_and_partition() {
        let cases = [
            // topic, partition, leader, epoch -> the leader afterwards
            ("t", 0, 2, 6, 2),
            ("t", 0, 2, 5, 1),
            ("t", 0, 2, 4, 1),
            ("t", 0, 9, 6, 1),
            ("t", 0, 3, 6, 3), // among the endpoints
            ("t", 1, 2, 6, 1),
            ("t", -1, 2, 6, 1),
            ("u", 0, 2, 6, 1),
        ];
        for (topic, partition, leader, leader_epoch, after) in cases {
            let hint = LeaderHint { topic: Arc::from(topic), partition, leader, leader_epoch };
            let (new, actions) = merge(&known(), std::slice::from_ref(&hint), &[broker(3)]);
            let topic = new.metadata.topic("t").unwrap();
            assert_eq!(topic.partitions.first().unwrap().leader, after, "{hint:?}");
            assert!(matches!(actions.last(), Some(Action::Retry(_))), "asked all the same");
        }
    }

    #[test]
    fn rule_1_12_endpoints_add_or_replace_and_never_remove() {
        let moved = BrokerInfo { host: "new".to_owned(), ..broker(2) };
        let (new, actions) = merge(&known(), &[], &[moved, broker(3), broker(-1)]);
        assert_eq!(new.metadata.brokers.keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(new.metadata.brokers.get(&2).unwrap().host, "new");
        assert!(!actions.iter().any(|a| matches!(a, Action::Broker(_, Change::Removed))));
    }
}
