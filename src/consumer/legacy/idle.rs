//! How long a fetcher of 0.7 pauses when there is nothing to read: pure.
//!
//! The broker has no long poll. The pause doubles as long as nothing comes, up to
//! `fetch.max.wait.ms`, which is how long a later broker would hold an empty answer back.

use std::time::Duration;

/// The first pause after data.
const FIRST: Duration = Duration::from_millis(1);

#[derive(Clone, Copy, Debug)]
pub(super) struct Idle {
    next: Duration,
    /// Partitions asked in a row that had nothing.
    silent: usize,
}

impl Default for Idle {
    fn default() -> Self {
        Self { next: FIRST, silent: 0 }
    }
}

impl Idle {
    /// An answer about `asked` of the `wanted` partitions came; the pause before the next request, if
    /// there is to be one: nothing came about any partition for a whole round.
    pub(super) fn answered(
        &mut self,
        has_data: bool,
        (asked, wanted): (usize, usize),
        most: Duration,
    ) -> Option<Duration> {
        if has_data {
            *self = Self::default();
            return None;
        }
        self.silent = self.silent.saturating_add(asked);
        if self.silent < wanted {
            return None;
        }
        self.silent = 0;
        // Also with fetch.max.wait.ms=0 nobody spins.
        let most = most.max(FIRST);
        let pause = self.next.min(most);
        self.next = (pause * 2).min(most);
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn the_pause_doubles_up_to_the_limit_and_begins_anew_with_data() {
        let mut idle = Idle::default();
        let mut pauses = Vec::new();
        for _ in 0..6 {
            pauses.push(idle.answered(false, (1, 1), MS(10)));
        }
        assert_eq!(pauses, [1, 2, 4, 8, 10, 10].map(|ms| Some(MS(ms))));
        assert_eq!(idle.answered(true, (1, 1), MS(10)), None);
        assert_eq!(idle.answered(false, (1, 1), MS(10)), Some(MS(1)));
        assert_eq!(idle.answered(false, (1, 1), MS(0)), Some(MS(1)), "never none at all");
    }

    #[test]
    fn nobody_pauses_before_every_partition_was_asked() {
        let mut idle = Idle::default();
        assert_eq!(idle.answered(false, (4, 10), MS(10)), None);
        assert_eq!(idle.answered(false, (4, 10), MS(10)), None);
        assert_eq!(idle.answered(false, (4, 10), MS(10)), Some(MS(1)));
    }
}
