//! Which partitions are a member's: the range assignment of the Scala client, pure.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use super::layout::{Layout, Partition, java_order};
use super::registration::Wish;
use crate::group::TopicPartition;

/// What the assignment is computed from, read at one moment: all members compute the same from it.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) layout: Layout,
    pub(super) exclude_internal: bool,
    /// Every member of the group, by its id.
    pub(super) members: BTreeMap<String, Wish>,
    /// The topics that this member reads, with the partitions that there are.
    pub(super) topics: BTreeMap<Arc<str>, Vec<Partition>>,
}

/// The part of one of `threads` threads, when each in turn gets a run and the first ones one more.
fn share(partitions: usize, threads: usize, index: usize) -> Range<usize> {
    let each = partitions.checked_div(threads).unwrap_or(0);
    let more = partitions.checked_rem(threads).unwrap_or(0);
    let start = each * index + index.min(more);
    start..start + each + usize::from(index < more)
}

impl View {
    /// The threads that read a topic, in the order in which they are served.
    fn threads(&self, topic: &str) -> Vec<String> {
        let mut threads: Vec<String> = Vec::new();
        for (member, wish) in &self.members {
            let count = wish.threads(topic, self.exclude_internal);
            threads.extend((0..count).map(|number| self.layout.thread(member, number)));
        }
        threads.sort_by(|a, b| java_order(a, b));
        threads
    }

    /// The partitions of `member`, with what their owner nodes are called.
    pub(super) fn wanted(&self, member: &str) -> BTreeMap<TopicPartition, String> {
        let Some(wish) = self.members.get(member) else { return BTreeMap::new() };
        let mut wanted = BTreeMap::new();
        for (topic, partitions) in &self.topics {
            let own: BTreeSet<String> = (0..wish.threads(topic, self.exclude_internal))
                .map(|number| self.layout.thread(member, number))
                .collect();
            let mut partitions: Vec<&Partition> = partitions.iter().collect();
            partitions.sort_by(|a, b| self.layout.order(a, b));
            let threads = self.threads(topic);
            let mine = threads.iter().enumerate().filter(|(_, thread)| own.contains(*thread));
            for (index, _) in mine {
                let range = share(partitions.len(), threads.len(), index);
                for partition in partitions.get(range).unwrap_or_default() {
                    let topic = Arc::clone(topic);
                    let key = TopicPartition { topic, partition: partition.number };
                    wanted.insert(key, partition.node.clone());
                }
            }
        }
        wanted
    }

    /// Whether one more member would get nothing: every topic that it reads has as many threads as
    /// partitions already.
    pub(super) fn is_crowded(&self) -> bool {
        let full = |(topic, partitions): (&Arc<str>, &Vec<Partition>)| {
            !partitions.is_empty() && self.threads(topic).len() >= partitions.len()
        };
        !self.topics.is_empty() && self.topics.iter().all(full)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn topics(list: &[(&str, u32)]) -> Wish {
        Wish::Topics(list.iter().map(|(topic, count)| ((*topic).to_owned(), *count)).collect())
    }

    fn view(layout: Layout, members: &[(&str, Wish)], partitions: Vec<Partition>) -> View {
        let members = members.iter().map(|(id, wish)| ((*id).to_owned(), wish.clone())).collect();
        let topics = [(Arc::from("t"), partitions)].into();
        View { layout, exclude_internal: true, members, topics }
    }

    fn nodes(view: &View, member: &str) -> Vec<String> {
        view.wanted(member).into_values().collect()
    }

    fn numbered(count: i32) -> Vec<Partition> {
        (0..count).map(|number| Layout::Scala.partition(number, 0)).collect()
    }

    #[test]
    fn the_first_threads_get_one_more() {
        let parts = |partitions, threads| {
            (0..threads).map(|index| share(partitions, threads, index)).collect::<Vec<_>>()
        };
        assert_eq!(parts(5, 2), [0..3, 3..5]);
        assert_eq!(parts(2, 3), [0..1, 1..2, 2..2]);
        assert_eq!(parts(0, 2), [0..0, 0..0]);
        assert_eq!(share(3, 0, 0), 0..0);
    }

    /// The scenario of the Scala client's own test of balance.
    #[test]
    fn rule_10_10_kafka_0_7_s_partitions_are_shared_in_their_order_as_strings() {
        let all = [(200, 0), (200, 1), (300, 0), (300, 1), (400, 0)];
        let all = all.map(|(broker, number)| Layout::legacy_partition(broker, number));
        let members = [("g_consumer1", topics(&[("t", 1)])), ("g_consumer2", topics(&[("t", 1)]))];
        let view = view(Layout::Legacy, &members, all.to_vec());
        assert_eq!(nodes(&view, "g_consumer1"), ["200-0", "200-1", "300-0"]);
        assert_eq!(nodes(&view, "g_consumer2"), ["300-1", "400-0"]);
        assert_eq!(nodes(&view, "nobody"), [""; 0]);
    }

    #[test]
    fn rule_10_10_threads_are_sorted_as_strings_and_partitions_as_numbers() {
        // As strings: a-0, a-1, a-10, a-11, a-2, …: each of the twelve has one partition.
        let members = [("a", topics(&[("t", 12)])), ("b", topics(&[("t", 1)]))];
        let shared = view(Layout::Scala, &members, numbered(13));
        assert_eq!(nodes(&shared, "b"), ["12"]);
        let members = [("m-10", topics(&[("t", 1)])), ("m-2", topics(&[("t", 1)]))];
        let shared = view(Layout::Scala, &members, numbered(11));
        assert_eq!(nodes(&shared, "m-10"), ["0", "1", "2", "3", "4", "5"]);
    }

    #[test]
    fn rule_10_10_members_that_cannot_be_read_have_their_share() {
        let members = [("a", Wish::Unreadable), ("b", topics(&[("t", 1)]))];
        assert_eq!(nodes(&view(Layout::Scala, &members, numbered(2)), "b"), ["1"]);
        let others = [("a", topics(&[("other", 1)])), ("b", topics(&[("t", 1)]))];
        assert_eq!(nodes(&view(Layout::Scala, &others, numbered(2)), "b"), ["0", "1"]);
    }

    #[test]
    fn pykafka_s_members_count_by_their_ids_and_its_partitions_by_their_leaders() {
        let led = [(0, 2), (1, 10), (2, 10), (3, 2)];
        let partitions = led.map(|(number, leader)| Layout::PyKafka.partition(number, leader));
        let members = [("h:1", topics(&[("t", 1)])), ("h:2", topics(&[("t", 1)]))];
        let view = view(Layout::PyKafka, &members, partitions.to_vec());
        assert_eq!(nodes(&view, "h:1"), ["10-1", "10-2"]);
        assert_eq!(nodes(&view, "h:2"), ["2-0", "2-3"]);
    }

    #[test]
    fn a_group_is_crowded_when_every_partition_has_a_thread() {
        let members = [("a", topics(&[("t", 2)]))];
        assert!(view(Layout::Scala, &members, numbered(2)).is_crowded());
        assert!(!view(Layout::Scala, &members, numbered(3)).is_crowded());
        assert!(!view(Layout::Scala, &members, vec![]).is_crowded(), "it may get partitions");
    }

    proptest! {
        #[test]
        fn whatever_the_group_each_partition_has_one_owner(
            members in 1..100_usize, partitions in 1..100_i32, layout in 0..3_usize,
        ) {
            let layout = [Layout::Legacy, Layout::Scala, Layout::PyKafka][layout];
            let ids: Vec<String> = (0..members).map(|number| format!("m{number}")).collect();
            let wishes: Vec<(&str, Wish)> =
                ids.iter().map(|id| (id.as_str(), topics(&[("t", 1)]))).collect();
            let all = (0..partitions).map(|number| match layout {
                Layout::Legacy => Layout::legacy_partition(number % 3, number / 3),
                _ => layout.partition(number, number % 3),
            });
            let view = view(layout, &wishes, all.collect());
            let shares: Vec<_> = ids.iter().map(|id| view.wanted(id)).collect();
            let owned: usize = shares.iter().map(BTreeMap::len).sum();
            let distinct: BTreeSet<_> = shares.iter().flat_map(BTreeMap::keys).collect();
            let count = usize::try_from(partitions).unwrap();
            prop_assert_eq!((owned, distinct.len()), (count, count));
            let sizes = shares.iter().map(BTreeMap::len);
            prop_assert!(sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1);
        }
    }
}
