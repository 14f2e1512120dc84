//! How many bytes of records an open batch takes, when they are compressed afterwards.
//!
//! `batch.size` means bytes on the wire. What the last batches of the partition shrank to says how many
//! bytes of records those are (as Java estimates it per topic).

/// Room for a batch that compresses a little worse than the ones before.
const MARGIN: f64 = 1.05;
/// However well records compress: so many times `batch.size` at most, for they wait uncompressed.
const MOST: usize = 8;
/// A better ratio is believed by steps, a worse one at once.
const STEP: f64 = 0.25;
const WORSE_AT_LEAST: f64 = 0.05;

/// One partition's estimate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fill {
    /// Compressed size ÷ size before.
    ratio: f64,
}

impl Default for Fill {
    fn default() -> Self {
        Self { ratio: 1.0 }
    }
}

impl Fill {
    /// A batch of `raw` bytes has become one of `packed` bytes.
    pub(super) fn learn(&mut self, raw: usize, packed: usize) {
        if raw == 0 {
            return;
        }
        let seen = packed as f64 / raw as f64;
        self.ratio = if seen > self.ratio {
            seen.max(self.ratio + WORSE_AT_LEAST)
        } else {
            self.ratio + (seen - self.ratio) * STEP
        };
    }

    /// A broker found a batch too large: nothing is believed any more (invariant 4.7).
    pub(super) fn forget(&mut self) {
        self.ratio = self.ratio.max(1.0);
    }

    /// Where a batch is full, in bytes before compression: for `batch_size` on the wire, but never above
    /// `largest` for more than that. Compressed or not, it then fits into a request.
    pub(super) fn limit(&self, batch_size: usize, largest: usize) -> usize {
        let wished = (batch_size as f64 / (self.ratio * MARGIN)) as usize;
        wished.min(batch_size.saturating_mul(MOST)).min(largest).max(batch_size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(batches: &[(usize, usize)]) -> Fill {
        let mut fill = Fill::default();
        batches.iter().for_each(|(raw, packed)| fill.learn(*raw, *packed));
        fill
    }

    #[test]
    fn a_batch_grows_until_it_has_its_size_on_the_wire() {
        assert_eq!(Fill::default().limit(16_000, 1_000_000), 16_000, "nothing is known yet");
        let once = after(&[(16_000, 4_000)]).limit(16_000, 1_000_000);
        let often = after(&[(16_000, 4_000); 40]).limit(16_000, 1_000_000);
        assert!(once > 16_000 && once < often, "{once} {often}");
        assert!((60_000..=61_000).contains(&often), "{often}");
    }

    #[test]
    fn records_that_become_incompressible_are_believed_at_once() {
        let mut batches = vec![(16_000, 4_000); 40];
        batches.push((60_000, 60_500));
        assert_eq!(after(&batches).limit(16_000, 1_000_000), 16_000);
    }

    #[test]
    fn the_limit_is_bounded_by_requests_and_by_a_multiple_of_batch_size() {
        let zeros = after(&[(16_000, 20); 100]);
        assert_eq!(zeros.limit(16_000, 1_000_000), 128_000);
        assert_eq!(zeros.limit(16_000, 100_000), 100_000);
        assert_eq!(zeros.limit(16_000, 1_000), 16_000, "batch.size is what was asked for");
    }

    #[test]
    fn rule_4_7_a_batch_that_was_too_large_resets_the_estimate() {
        let mut fill = after(&[(16_000, 4_000); 40]);
        fill.forget();
        assert_eq!(fill.limit(16_000, 1_000_000), 16_000);
        let mut grown = after(&[(1_000, 1_500)]);
        grown.forget();
        assert!(grown.ratio >= 1.5, "a ratio above 1 stays");
    }
}
