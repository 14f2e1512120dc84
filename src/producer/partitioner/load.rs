//! Adaptive partitioning (KIP-794): a partition is chosen the more often the fewer batches wait in it.

/// Where free choices fall when queues differ in length: each partition has as many tickets as its queue
/// is shorter than one more than the longest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Loads {
    /// Partitions, each with the sum of all tickets up to and with its own.
    sums: Vec<(i32, u64)>,
}

impl Loads {
    /// `queues`: the partitions that can be chosen, and how many batches wait in each; `partitions`: how
    /// many there are, those that cannot be chosen included. None if chances are equal anyway.
    pub(super) fn new(queues: &[(i32, u32)], partitions: usize) -> Option<Self> {
        let (_, first) = *queues.first()?;
        let all_equal = queues.iter().all(|(_, length)| *length == first);
        if partitions < 2 || (all_equal && queues.len() == partitions) {
            return None;
        }
        let longest = queues.iter().map(|(_, length)| u64::from(*length)).max()?;
        let mut tickets = 0;
        let sums = queues.iter().map(|(partition, length)| {
            tickets += longest + 1 - u64::from(*length);
            (*partition, tickets)
        });
        Some(Self { sums: sums.collect() })
    }

    /// How many tickets there are.
    pub(super) fn tickets(&self) -> u64 {
        self.sums.last().map_or(1, |(_, sum)| *sum)
    }

    /// The partition of a ticket, numbered from 0.
    pub(super) fn partition(&self, ticket: u64) -> Option<i32> {
        let at = self.sums.partition_point(|(_, sum)| *sum <= ticket);
        self.sums.get(at).map(|(partition, _)| *partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kip_794_chances_fall_with_the_length_of_the_queue() {
        let loads = Loads::new(&[(0, 0), (1, 3), (2, 1)], 3).unwrap();
        let chosen: Vec<_> = (0..loads.tickets()).map(|ticket| loads.partition(ticket)).collect();
        let expected = [0, 0, 0, 0, 1, 2, 2, 2].map(Some);
        assert_eq!(chosen, expected, "4, 1 and 3 of 8");
        assert_eq!(loads.partition(8), None);
    }

    #[test]
    fn kip_794_equal_queues_need_no_table_unless_a_partition_is_left_out() {
        assert_eq!(Loads::new(&[(0, 5), (1, 5)], 2), None);
        assert_eq!(Loads::new(&[(0, 5)], 1), None);
        assert_eq!(Loads::new(&[], 3), None);
        assert_eq!(Loads::new(&[(2, 5)], 3).unwrap().partition(0), Some(2));
    }

    #[test]
    fn the_longest_queues_do_not_overflow() {
        let queues: Vec<_> =
            (0..1_000).map(|partition| (partition, partition as u32 % 2 * u32::MAX)).collect();
        let loads = Loads::new(&queues, 1_000).unwrap();
        assert_eq!(loads.tickets(), 500 * (u64::from(u32::MAX) + 1) + 500);
    }
}
