//! The seat of idempotence: producer id, epoch and sequences (invariants, section 5).
//!
//! A producer has no identity yet, so that [`Identity::stamp`] gives none, batches go out with −1 in
//! all three fields, and one batch per partition is in flight, which keeps order through retries
//! (invariant 4.4).

use crate::protocol::record::{NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE};

/// How many batches of one partition may be in flight.
pub(crate) const BATCHES_IN_FLIGHT: usize = 1;

/// What a batch is known by at the broker: given at its first send, kept for life (invariant 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The producer id.
    pub(crate) producer_id: i64,
    /// The producer's epoch.
    pub(crate) epoch: i16,
    /// The sequence number of the batch's first record.
    pub(crate) base_sequence: i32,
}

impl Stamp {
    /// The stamp of a batch without identity.
    pub(crate) const NONE: Self =
        Self { producer_id: NO_PRODUCER_ID, epoch: NO_PRODUCER_EPOCH, base_sequence: NO_SEQUENCE };

    /// Whether the broker can tell the batch from another one.
    pub(crate) fn is_some(self) -> bool {
        self.producer_id != NO_PRODUCER_ID
    }
}

/// Who the producer is, per partition queue: one owner, so that id and epoch are always read as one
/// value together with the sequence (invariant 5.6).
#[derive(Debug, Default)]
pub(crate) struct Identity {}

impl Identity {
    /// The stamp for the next batch, of `count` records, that goes out for the first time.
    pub(crate) fn stamp(&mut self, count: u32) -> Stamp {
        let _ = count;
        Stamp::NONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_identity_batches_carry_minus_one_everywhere() {
        let stamp = Identity::default().stamp(5);
        assert!(!stamp.is_some());
        assert_eq!((stamp.producer_id, stamp.epoch, stamp.base_sequence), (-1, -1, -1));
    }
}
