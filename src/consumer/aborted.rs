//! Which batches of an answer belong to aborted transactions (read_committed): rule 6.20.

use std::collections::{HashSet, VecDeque};

use crate::error::Result;
use crate::protocol::modern::messages::fetch::AbortedTransaction;
use crate::protocol::record::{ControlMarker, RawBatch};

/// The broker's list of one answer, walked along with its batches. A new one for each answer.
#[derive(Debug, Default)]
pub(super) struct Aborted {
    /// (first offset, producer id) of transactions that did not begin yet, in order.
    ahead: VecDeque<(i64, i64)>,
    /// Producer ids whose transaction is open here and will be aborted.
    active: HashSet<i64>,
}

impl Aborted {
    /// Takes over a list. Brokers need not sort it (Redpanda does not).
    pub(super) fn new(list: &[AbortedTransaction]) -> Self {
        let mut ahead: Vec<_> = list.iter().map(|a| (a.first_offset, a.producer_id)).collect();
        ahead.sort_unstable();
        Self { ahead: ahead.into(), active: HashSet::new() }
    }

    /// Whether this batch, the next one, is part of an aborted transaction. `open` = how control
    /// batches are read: whether their CRC is checked, and a bound.
    pub(super) fn covers(&mut self, batch: &RawBatch, open: (bool, usize)) -> Result<bool> {
        if batch.producer_id < 0 {
            return Ok(false);
        }
        // Up to the *last* offset: compaction may have moved the first one.
        while let Some(&(first, producer)) = self.ahead.front() {
            if first > batch.last_offset {
                break;
            }
            self.active.insert(producer);
            self.ahead.pop_front();
        }
        if batch.is_control() {
            if batch.control_marker(open.0, open.1)? == ControlMarker::Abort {
                self.active.remove(&batch.producer_id);
            }
            return Ok(false);
        }
        Ok(batch.is_transactional() && self.active.contains(&batch.producer_id))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::protocol::record::Format;

    const OPEN: (bool, usize) = (false, 1 << 20);

    fn batch(producer_id: i64, offsets: (i64, i64), transactional: bool) -> RawBatch {
        RawBatch {
            format: Format::V2,
            base_offset: offsets.0,
            last_offset: offsets.1,
            partition_leader_epoch: 0,
            attributes: if transactional { 0x10 } else { 0 },
            base_timestamp: 0,
            max_timestamp: 0,
            producer_id,
            producer_epoch: 0,
            base_sequence: 0,
            count: Some(1),
            bytes: Bytes::new(),
        }
    }

    fn list(entries: &[(i64, i64)]) -> Aborted {
        let entry = |&(producer_id, first_offset): &(i64, i64)| AbortedTransaction {
            producer_id,
            first_offset,
        };
        Aborted::new(&entries.iter().map(entry).collect::<Vec<_>>())
    }

    #[test]
    fn rule_6_20_an_unsorted_list_is_sorted_and_counts_from_each_first_offset() {
        let mut aborted = list(&[(7, 50), (8, 10)]);
        assert!(!aborted.covers(&batch(7, (0, 5), true), OPEN).unwrap(), "before it began");
        assert!(aborted.covers(&batch(8, (10, 15), true), OPEN).unwrap());
        assert!(!aborted.covers(&batch(7, (20, 25), true), OPEN).unwrap());
        assert!(aborted.covers(&batch(7, (45, 50), true), OPEN).unwrap(), "by the last offset");
    }

    #[test]
    fn rule_6_20_a_batch_outside_transactions_is_never_dropped() {
        let mut aborted = list(&[(7, 0)]);
        assert!(aborted.covers(&batch(7, (0, 5), true), OPEN).unwrap());
        assert!(!aborted.covers(&batch(7, (6, 9), false), OPEN).unwrap());
        assert!(!aborted.covers(&batch(-1, (10, 12), false), OPEN).unwrap());
    }
}
