//! Sequence numbers, and what a batch is known by. Numbers run from 0 to 2³¹ − 1 and begin again at 0
//! (invariant 5.1), so that they are compared by their distance and never as plain integers.

use crate::protocol::record::{NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE};

/// A producer id and an epoch: always taken as one value (invariant 5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Era {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
}

/// What a batch is known by at the broker: given at its first send, kept for life (invariant 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) era: Era,
    /// The sequence number of the batch's first record.
    pub(crate) base_sequence: i32,
}

impl Stamp {
    /// The stamp of a batch without identity.
    pub(crate) const NONE: Self = Self {
        era: Era { producer_id: NO_PRODUCER_ID, epoch: NO_PRODUCER_EPOCH },
        base_sequence: NO_SEQUENCE,
    };

    /// The stamp of the records from `count` on, for a batch that is cut in two (invariant 4.7).
    pub(crate) fn skip(self, count: u32) -> Self {
        Self { base_sequence: after(self.base_sequence, count), ..self }
    }

    /// Whether this batch comes before `other` of the same era.
    pub(crate) fn is_before(self, other: Self) -> bool {
        self.era == other.era && is_before(self.base_sequence, other.base_sequence)
    }
}

/// The sequence number `count` records later.
pub(crate) fn after(sequence: i32, count: u32) -> i32 {
    // A sum of 32-bit numbers without its top bit: 2³¹ − 1 is followed by 0.
    sequence.wrapping_add(count as i32) & i32::MAX
}

/// Whether `a` is given out before `b`: the two are less than half the numbers apart, always, because
/// only a few batches are open at a time.
pub(crate) fn is_before(a: i32, b: i32) -> bool {
    let ahead = b.wrapping_sub(a) & i32::MAX;
    ahead != 0 && ahead < 1 << 30
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_5_1_sequences_wrap_to_zero_after_the_largest_number() {
        for (sequence, count, next) in [
            (0, 0, 0),
            (0, 7, 7),
            (i32::MAX, 1, 0),
            (i32::MAX - 2, 3, 0),
            (i32::MAX - 2, 10, 7),
            (i32::MAX, i32::MAX as u32, i32::MAX - 1),
        ] {
            assert_eq!(after(sequence, count), next, "{sequence} + {count}");
        }
    }

    #[test]
    fn rule_5_1_comparisons_wrap_too() {
        for (a, b) in [(0, 1), (5, 900_000), (i32::MAX, 0), (i32::MAX - 5, 3)] {
            assert!(is_before(a, b) && !is_before(b, a), "{a} before {b}");
            assert!(!is_before(a, a));
        }
    }

    #[test]
    fn rule_5_1_a_split_across_the_end_goes_on_at_zero() {
        let era = Era { producer_id: 9, epoch: 1 };
        let stamp = Stamp { era, base_sequence: i32::MAX - 3 };
        assert_eq!(stamp.skip(4), Stamp { era, base_sequence: 0 });
        assert!(stamp.is_before(stamp.skip(4)) && !stamp.skip(4).is_before(stamp));
    }
}
