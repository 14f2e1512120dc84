//! Where the nodes of a group are, and what they are called: pure.

use std::cmp::Ordering;
use std::sync::Arc;

/// Whose groups these are. The three cannot share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// The Scala client's of Kafka 0.7: a partition is one of a broker's.
    Legacy,
    /// The Scala client's of Kafka 0.8 to 1.x.
    Scala,
    /// PyKafka's, as it is on Python 3.
    PyKafka,
}

/// A partition, and what its owner node is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Partition {
    /// Kafka's number, or `broker << 32 | number` of Kafka 0.7.
    pub(super) number: i64,
    /// `3`; `broker-3` in Kafka 0.7; `leader-3` in PyKafka.
    pub(super) node: String,
}

/// The number of a partition of Kafka 0.7 among all of its topic's.
pub(super) fn legacy_number(broker: i32, partition: i32) -> i64 {
    i64::from(broker) << 32 | i64::from(partition)
}

/// Which partition an owner node of PyKafka's is for: `leader-number`, whoever leads or led.
pub(super) fn pykafka_number(node: &str) -> Option<i64> {
    node.rsplit_once('-').and_then(|(_, number)| number.parse().ok())
}

impl Layout {
    /// What the offset node of a partition is called.
    pub(super) fn offset_node(self, number: i64) -> String {
        match self {
            Self::Legacy => format!("{}-{}", number >> 32, number & i64::from(u32::MAX)),
            Self::Scala | Self::PyKafka => number.to_string(),
        }
    }

    /// A partition of Kafka 0.8 and later; `leader` counts for PyKafka only.
    pub(super) fn partition(self, number: i32, leader: i32) -> Partition {
        let node = match self {
            Self::PyKafka => format!("{leader}-{number}"),
            Self::Scala | Self::Legacy => number.to_string(),
        };
        Partition { number: i64::from(number), node }
    }

    /// A partition of Kafka 0.7.
    pub(super) fn legacy_partition(broker: i32, partition: i32) -> Partition {
        let number = legacy_number(broker, partition);
        Partition { number, node: Self::Legacy.offset_node(number) }
    }

    /// The order in which all members count a topic's partitions (rule 10.10).
    pub(super) fn order(self, a: &Partition, b: &Partition) -> Ordering {
        match self {
            Self::Scala => a.number.cmp(&b.number),
            Self::Legacy | Self::PyKafka => a.node.cmp(&b.node),
        }
    }

    /// What a member's thread is called: in the order of threads, and in owner nodes.
    pub(super) fn thread(self, member: &str, number: u32) -> String {
        match self {
            Self::Legacy | Self::Scala => format!("{member}-{number}"),
            Self::PyKafka => member.to_owned(),
        }
    }
}

/// The order of strings in Java, by units of UTF-16 (rule 10.10).
pub(super) fn java_order(a: &str, b: &str) -> Ordering {
    a.encode_utf16().cmp(b.encode_utf16())
}

/// The paths of one group.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    group: Arc<str>,
}

impl Paths {
    pub(super) fn new(group: Arc<str>) -> Self {
        Self { group }
    }

    /// The parent of the members.
    pub(super) fn ids(&self) -> String {
        format!("/consumers/{}/ids", self.group)
    }

    /// A member.
    pub(super) fn id(&self, member: &str) -> String {
        format!("/consumers/{}/ids/{member}", self.group)
    }

    /// What the paths of all owners begin with.
    pub(super) fn all_owners(&self) -> String {
        format!("/consumers/{}/owners/", self.group)
    }

    /// The parent of a topic's owners.
    pub(super) fn owners(&self, layout: Layout, topic: &str) -> String {
        match layout {
            Layout::Legacy | Layout::Scala => format!("/consumers/{}/owners/{topic}", self.group),
            // PyKafka writes the name as Python shows bytes.
            Layout::PyKafka => format!("/consumers/{}/owners/b'{topic}'", self.group),
        }
    }

    /// A partition's owner.
    pub(super) fn owner(&self, layout: Layout, topic: &str, node: &str) -> String {
        format!("{}/{node}", self.owners(layout, topic))
    }

    /// A partition's offset.
    pub(super) fn offset(&self, layout: Layout, topic: &str, number: i64) -> String {
        let node = layout.offset_node(number);
        format!("/consumers/{}/offsets/{topic}/{node}", self.group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_called_as_each_client_calls_them() {
        let paths = Paths::new("g".into());
        for (layout, owner, offset) in [
            (Layout::Scala, "/consumers/g/owners/t/3", "/consumers/g/offsets/t/3"),
            (Layout::PyKafka, "/consumers/g/owners/b't'/7-3", "/consumers/g/offsets/t/3"),
        ] {
            let partition = layout.partition(3, 7);
            assert_eq!(paths.owner(layout, "t", &partition.node), owner);
            assert_eq!(paths.offset(layout, "t", partition.number), offset);
        }
        let legacy = Layout::legacy_partition(200, 1);
        assert_eq!(legacy.number, 200 << 32 | 1);
        assert_eq!(paths.owner(Layout::Legacy, "t", &legacy.node), "/consumers/g/owners/t/200-1");
        let offset = paths.offset(Layout::Legacy, "t", legacy.number);
        assert_eq!(offset, "/consumers/g/offsets/t/200-1");
        assert_eq!(
            (paths.ids(), paths.id("c")),
            ("/consumers/g/ids".into(), "/consumers/g/ids/c".into())
        );
    }

    #[test]
    fn rule_10_10_partitions_are_sorted_as_numbers_and_in_0_7_and_pykafka_as_strings() {
        let sorted = |layout: Layout, mut partitions: Vec<Partition>| {
            partitions.sort_by(|a, b| layout.order(a, b));
            partitions.into_iter().map(|partition| partition.node).collect::<Vec<_>>()
        };
        let scala = (0..12).rev().map(|number| Layout::Scala.partition(number, 0)).collect();
        let numbers: Vec<String> = (0..12).map(|number: i32| number.to_string()).collect();
        assert_eq!(sorted(Layout::Scala, scala), numbers);
        let legacy = (0..12).map(|number| Layout::legacy_partition(10, number)).collect();
        let expected = "10-0 10-1 10-10 10-11 10-2 10-3 10-4 10-5 10-6 10-7 10-8 10-9";
        assert_eq!(sorted(Layout::Legacy, legacy).join(" "), expected);
        let led = [(2, 10), (0, 9), (1, 10)];
        let pykafka = led.map(|(number, leader)| Layout::PyKafka.partition(number, leader));
        assert_eq!(sorted(Layout::PyKafka, pykafka.to_vec()).join(" "), "10-1 10-2 9-0");
    }

    #[test]
    fn strings_are_ordered_by_units_of_utf_16() {
        assert_eq!(java_order("g_h-10", "g_h-2"), Ordering::Less);
        // As code points it would be the other way round.
        assert_eq!(java_order("\u{10000}", "\u{ffff}"), Ordering::Less);
    }
}
