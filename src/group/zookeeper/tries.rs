//! How often a rebalance is tried, and when its failure is told: pure (rule 10.4).

use std::time::{Duration, Instant};

/// The shortest pause between two tries, whatever `rebalance.backoff.ms` says.
const SHORTEST: Duration = Duration::from_millis(20);

/// The tries of one rebalance.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tries {
    failures: u32,
    since: Option<Instant>,
    told: bool,
}

impl Tries {
    /// It succeeded: the next failure is a first one again.
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// How often it has failed in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// One more failure; whether the application is to be told now. It is told once, after `retries`
    /// more tries and not before the session of a dead owner must be over: until then its nodes are in
    /// the way, and nobody can do anything about it.
    pub(super) fn failed(&mut self, now: Instant, retries: u32, session: Duration) -> bool {
        self.failures = self.failures.saturating_add(1);
        let since = *self.since.get_or_insert(now);
        let due = !self.told && self.failures > retries && now.duration_since(since) >= session;
        self.told |= due;
        due
    }
}

/// The pause before the next try. `jitter` from 0 to 1 moves it by −20 % to +20 %, so that members that
/// were in each other's way do not meet again.
pub(super) fn pause(backoff: Duration, jitter: f64) -> Duration {
    backoff.max(SHORTEST).mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn rule_10_4_a_failure_is_told_once_and_not_before_a_dead_owner_s_session_is_over() {
        let (start, mut tries) = (Instant::now(), Tries::default());
        let at = |seconds: u32| start + SECOND * seconds;
        let mut failed = |seconds| tries.failed(at(seconds), 2, SECOND * 6);
        assert_eq!(
            [0, 1, 2, 5, 6, 7, 100].map(&mut failed),
            [false, false, false, false, true, false, false]
        );
        assert_eq!(tries.failures(), 7);
        tries.succeeded();
        assert!(!tries.failed(at(200), 0, SECOND) && tries.failed(at(201), 0, SECOND));
    }

    #[test]
    fn rule_10_4_the_retries_are_tried_even_if_the_session_is_short() {
        let (start, mut tries) = (Instant::now(), Tries::default());
        let told = [0, 1, 2, 3].map(|n| tries.failed(start + SECOND * n, 2, Duration::ZERO));
        assert_eq!(told, [false, false, true, false]);
    }

    #[test]
    fn rule_10_4_pauses_differ_and_are_never_nothing() {
        assert_eq!(pause(SECOND, 0.0).as_millis(), 800);
        assert_eq!(pause(SECOND, 1.0).as_millis(), 1_200);
        assert!(pause(Duration::ZERO, 0.0) >= Duration::from_millis(16));
    }
}
