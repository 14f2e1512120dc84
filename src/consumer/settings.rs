//! What the consumer derives from its configuration.

use std::time::Instant;

use super::decode::Decoding;
use super::partition::Retry;
use crate::config::ConsumerConfig;
use crate::net::{Backoff, jitter};

/// What a batch may decompress to in any case: the default of `samsa.receive.message.max.bytes`.
const LARGEST: usize = 100_000_000;

impl ConsumerConfig {
    /// Counts a failure: `retry.backoff.ms`, doubling up to `retry.backoff.max.ms`, with jitter.
    pub(super) fn back_off(&self, retry: &mut Retry, now: Instant) {
        let backoff = Backoff { first: self.retry_backoff, most: self.retry_backoff_max };
        retry.failed(now, backoff, jitter());
    }

    /// How batches are read. What one may decompress to is bounded as frames are; one that is not read
    /// stops its partition, so that a low limit for frames does not count here.
    pub(super) fn decoding(&self) -> Decoding {
        Decoding {
            check_crc: self.check_crcs,
            largest: self.receive_message_max_bytes.max(LARGEST),
        }
    }
}
