//! What a member does about its nodes, once it knows its share: pure.

use std::collections::BTreeMap;

use crate::group::TopicPartition;

/// An owner node that is, or may be, this session's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// What it is called.
    pub(super) node: String,
    /// The consumer reads the partition. If not, the node is left from a try that was cut short, or from
    /// a time without an answer from ZooKeeper.
    pub(super) is_read: bool,
}

/// The steps from what is held to what is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Read, and another member's from now on: revoked, then released.
    pub(super) revoke: Vec<TopicPartition>,
    /// Not read: released without a word.
    pub(super) release: Vec<TopicPartition>,
    /// To be claimed, with what their nodes are called.
    pub(super) claim: Vec<(TopicPartition, String)>,
}

impl Plan {
    /// Nothing is claimed before all that must go is released and everything was read again (rule 10.1):
    /// then the two lists of what goes are empty.
    pub(super) fn new(
        held: &BTreeMap<TopicPartition, Held>,
        wanted: &BTreeMap<TopicPartition, String>,
    ) -> Self {
        let goes = |is_read: bool| {
            let going = held.iter().filter(move |(partition, held)| {
                held.is_read == is_read && !wanted.contains_key(*partition)
            });
            going.map(|(partition, _)| partition.clone()).collect()
        };
        let comes = wanted.iter().filter_map(|(partition, node)| {
            let held = held.get(partition);
            // The node of one that is there already keeps its name: PyKafka's has the leader of then.
            let node = held.map_or(node, |held| &held.node).clone();
            held.is_none_or(|held| !held.is_read).then(|| (partition.clone(), node))
        });
        Self { revoke: goes(true), release: goes(false), claim: comes.collect() }
    }

    /// Whether something must go first.
    pub(super) fn releases(&self) -> bool {
        !self.revoke.is_empty() || !self.release.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(number: i64) -> TopicPartition {
        TopicPartition { topic: "t".into(), partition: number }
    }

    fn held(list: &[(i64, bool)]) -> BTreeMap<TopicPartition, Held> {
        let held = |(number, is_read): &(i64, bool)| {
            (partition(*number), Held { node: format!("1-{number}"), is_read: *is_read })
        };
        list.iter().map(held).collect()
    }

    fn wanted(list: &[i64]) -> BTreeMap<TopicPartition, String> {
        list.iter().map(|number| (partition(*number), format!("2-{number}"))).collect()
    }

    #[test]
    fn what_stays_is_neither_released_nor_claimed() {
        let plan = Plan::new(&held(&[(0, true), (1, true)]), &wanted(&[1, 2]));
        assert_eq!(plan.revoke, [partition(0)]);
        assert_eq!(plan.claim, [(partition(2), "2-2".to_owned())]);
        assert!(plan.release.is_empty() && plan.releases());
        assert_eq!(Plan::new(&held(&[(1, true)]), &wanted(&[1])), Plan::default());
    }

    #[test]
    fn what_a_try_left_behind_is_taken_up_or_released() {
        let plan = Plan::new(&held(&[(0, false), (1, false)]), &wanted(&[1]));
        assert_eq!((plan.revoke.len(), &plan.release[..]), (0, &[partition(0)][..]));
        assert_eq!(plan.claim, [(partition(1), "1-1".to_owned())], "under the name that it has");
    }
}
