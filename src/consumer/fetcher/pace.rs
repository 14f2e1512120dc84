//! How much one fetch asks for: pure.
//!
//! A broker serves a connection strictly in order and a session one request at a time, so that one
//! fetch a broker is on its way, and what it asks for is what is on its way. Little is best while the
//! network answers at once: data of half a core's cache is decoded from there. Where the round trip
//! takes long, a larger answer fills the pipe as several requests would, without a second session.

use std::time::Duration;

/// What a fetch asks for where the network is fast.
const LEAST: usize = 1 << 20;
/// A full answer that took longer asks for more: at two milliseconds a gigabyte a second would still
/// be possible, but not with so little on its way.
const SLOW: Duration = Duration::from_millis(2);
/// So many in a row: a machine that was busy with something else is no slow network.
const SLOW_IN_A_ROW: u32 = 4;
/// Full answers that come faster than this, a mebibyte, ask for less again.
const FAST: Duration = Duration::from_micros(750);

/// The size of one broker's answers.
#[derive(Clone, Copy, Debug)]
pub(in crate::consumer) struct Pace {
    size: usize,
    slow: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { size: LEAST, slow: 0 }
    }
}

impl Pace {
    /// What to ask for, `most` allowing.
    pub(in crate::consumer) fn wish(&self, most: usize) -> usize {
        self.size.min(most)
    }

    /// An answer of `bytes` to a request for `asked` took so long. Only one that is mostly filled says
    /// anything of the network: others waited for data.
    pub(in crate::consumer) fn answered(
        &mut self,
        asked: usize,
        bytes: usize,
        took: Duration,
        most: usize,
    ) {
        if bytes < asked / 2 || asked < self.size.min(most) {
            return;
        }
        let mebibytes = u32::try_from(bytes >> 20).unwrap_or(u32::MAX).max(1);
        self.slow = if took > SLOW { self.slow + 1 } else { 0 };
        if took < FAST.saturating_mul(mebibytes) {
            self.size = (self.size / 2).max(LEAST);
            self.slow = 0;
        } else if self.slow >= SLOW_IN_A_ROW {
            self.slow = 0;
            self.size = (self.size * 2).min(most.max(LEAST));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;
    const MOST: usize = 8 * MIB;

    fn after(pace: Pace, bytes: usize, micros: u64) -> Pace {
        let mut pace = pace;
        pace.answered(pace.wish(MOST), bytes, Duration::from_micros(micros), MOST);
        pace
    }

    #[test]
    fn near_brokers_are_asked_for_little_and_far_ones_for_as_much_as_may_be() {
        // Round trip and bandwidth (bytes a microsecond), and what is asked for in the end.
        let table = [
            (50, 3_000, 1..=1),
            (200, 3_000, 1..=1),
            (2_000, 3_000, 4..=8),
            (50_000, 3_000, 8..=8),
            (50_000, 100, 8..=8),
        ];
        for (round_trip, bandwidth, mebibytes) in table {
            let mut pace = Pace::default();
            for _ in 0..20 {
                let bytes = pace.wish(MOST);
                pace = after(pace, bytes, round_trip + bytes as u64 / bandwidth);
            }
            let reached = pace.wish(MOST) / MIB;
            assert!(mebibytes.contains(&reached), "round trip {round_trip} us: {reached} MiB");
        }
    }

    #[test]
    fn it_comes_back_when_a_slow_time_is_over() {
        let mut pace = Pace::default();
        for micros in [9_000, 9_000, 9_000, 1_500, 9_000, 9_000, 9_000] {
            pace = after(pace, pace.wish(MOST), micros);
        }
        assert_eq!(pace.wish(MOST), MIB, "never four in a row");
        for _ in 0..5 {
            pace = after(pace, pace.wish(MOST), 9_000);
        }
        assert_eq!(pace.wish(MOST), 4 * MIB);
        for _ in 0..2 {
            pace = after(pace, pace.wish(MOST), 500);
        }
        assert_eq!(pace.wish(MOST), MIB);
    }

    #[test]
    fn an_answer_that_waited_for_data_or_was_held_small_says_nothing() {
        let pace = after(Pace::default(), 100, 500_000);
        assert_eq!(pace.wish(MOST), MIB);
        let mut pace = Pace::default();
        pace.answered(1_000, 1_000, Duration::from_secs(1), MOST);
        assert_eq!(pace.wish(MOST), MIB);
        assert_eq!(pace.wish(1_000), 1_000, "never more than allowed");
    }
}
