//! What is kept per record until its outcome, and only as far as anybody asked for it.

use std::ops::Range;

/// The callers' marks and the timestamps of one batch's records.
///
/// Marks are kept from the first one that is not 0; timestamps as runs of equal ones (the clock that
/// stamps records ticks in milliseconds, so that a batch has few).
#[derive(Clone, Debug, Default)]
#[repr(C)]
pub(crate) struct Tokens {
    /// The last timestamp, if there is one: looked at for each record, and `stamps` lies elsewhere.
    last: Option<i64>,
    opaques: Vec<u64>,
    stamps: Vec<(u32, i64)>,
}

impl Tokens {
    /// With room for `marks` marks: as many as the partition's last batch had.
    pub(crate) fn with_capacity(marks: usize) -> Self {
        Self { opaques: Vec::with_capacity(marks), ..Self::default() }
    }

    /// Notes the record at `index`, which counts up from 0 without gaps.
    #[inline(always)]
    pub(crate) fn push(&mut self, index: u32, opaque: u64, timestamp: i64) {
        if opaque != 0 || !self.opaques.is_empty() {
            if self.opaques.len() != index as usize {
                // The records before the first mark had none.
                self.opaques.resize(index as usize, 0);
            }
            self.opaques.push(opaque);
        }
        if self.last != Some(timestamp) {
            self.last = Some(timestamp);
            self.stamps.push((index, timestamp));
        }
    }

    /// The mark of the record at `index`; 0 for none.
    pub(crate) fn opaque(&self, index: u32) -> u64 {
        self.opaques.get(index as usize).copied().unwrap_or(0)
    }

    /// The record's own timestamp, −1 for none.
    pub(crate) fn timestamp(&self, index: u32) -> i64 {
        let run = self.stamps.partition_point(|(first, _)| *first <= index);
        run.checked_sub(1).and_then(|run| self.stamps.get(run)).map_or(-1, |(_, stamp)| *stamp)
    }

    /// Gives the first `count` records to `take`, in order, by runs of one timestamp: their indexes, their
    /// marks (empty if none of the batch has one), the timestamp.
    pub(crate) fn runs(&self, count: u32, mut take: impl FnMut(Range<u32>, &[u64], i64)) {
        let mut stamps = self.stamps.iter().copied().peekable();
        let (mut index, mut timestamp) = (0, -1);
        while index < count {
            if let Some((_, stamp)) = stamps.next_if(|(first, _)| *first <= index) {
                timestamp = stamp;
                continue;
            }
            let end = stamps.peek().map_or(count, |(first, _)| count.min(*first));
            let opaques = self.opaques.get(index as usize..end as usize).unwrap_or_default();
            take(index..end, opaques, timestamp);
            index = end;
        }
    }

    /// How many marks are kept.
    pub(crate) fn marks(&self) -> usize {
        self.opaques.len()
    }

    /// What it takes of memory, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.opaques.capacity() * size_of::<u64>()
            + self.stamps.capacity() * size_of::<(u32, i64)>()
    }

    /// Cuts off the records from `at` on, for a batch that is split.
    pub(crate) fn split_off(&mut self, at: u32) -> Self {
        let opaques = match at as usize {
            at if at < self.opaques.len() => self.opaques.split_off(at),
            _ => Vec::new(),
        };
        let run = self.stamps.partition_point(|(first, _)| *first < at);
        let begins =
            run.checked_sub(1).and_then(|run| self.stamps.get(run)).map(|(_, stamp)| *stamp);
        let later = self.stamps.split_off(run);
        let mut stamps: Vec<(u32, i64)> =
            later.into_iter().map(|(first, stamp)| (first - at, stamp)).collect();
        if let (Some(stamp), false) = (begins, stamps.first().is_some_and(|(first, _)| *first == 0))
        {
            stamps.insert(0, (0, stamp));
        }
        self.last = self.stamps.last().map(|(_, stamp)| *stamp);
        let last = stamps.last().map(|(_, stamp)| *stamp);
        Self { opaques, stamps, last }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(records: &[(u64, i64)]) -> Tokens {
        let mut tokens = Tokens::default();
        for (index, (opaque, stamp)) in records.iter().enumerate() {
            tokens.push(index as u32, *opaque, *stamp);
        }
        tokens
    }

    fn all(tokens: &Tokens, count: u32) -> Vec<(u64, i64)> {
        (0..count).map(|index| (tokens.opaque(index), tokens.timestamp(index))).collect()
    }

    #[test]
    fn marks_and_timestamps_come_back_as_they_were_given() {
        let records = [(0, 5), (0, 5), (7, 6), (0, 6), (9, 5)];
        assert_eq!(all(&tokens(&records), 5), records);
    }

    #[test]
    fn walking_through_them_gives_what_asking_for_each_gives() {
        let records = [(0, 5), (0, 5), (7, 6), (0, 6), (9, 5), (1, 5)];
        for kept in 0..=records.len() {
            let tokens = tokens(&records[..kept]);
            let mut walked = Vec::new();
            tokens.runs(kept as u32, |indexes, opaques, timestamp| {
                assert_eq!(indexes.start as usize, walked.len());
                assert!(opaques.is_empty() || opaques.len() == indexes.len());
                let opaque = |at: usize| opaques.get(at).copied().unwrap_or(0);
                walked.extend((0..indexes.len()).map(|at| (opaque(at), timestamp)));
            });
            assert_eq!(walked, all(&tokens, kept as u32));
        }
        let mut none = Vec::new();
        Tokens::default().runs(3, |indexes, opaques, timestamp| {
            none.push((indexes, opaques.len(), timestamp));
        });
        assert_eq!(none, [(0..3, 0, -1)]);
    }

    #[test]
    fn nothing_is_kept_for_records_without_a_mark_and_with_one_timestamp() {
        let tokens = tokens(&[(0, 5); 1_000]);
        assert_eq!((tokens.marks(), tokens.stamps.len()), (0, 1));
    }

    #[test]
    fn a_split_keeps_every_mark_with_its_record() {
        let records = [(1, 5), (2, 5), (3, 5), (0, 6), (5, 7), (0, 7)];
        for at in 0..=6_u32 {
            let mut head = tokens(&records);
            let tail = head.split_off(at);
            assert_eq!(all(&head, at), records[..at as usize], "head of a split at {at}");
            assert_eq!(all(&tail, 6 - at), records[at as usize..], "tail of a split at {at}");
        }
    }
}
