//! How long to wait before the next attempt: doubling, capped, with jitter (invariant 13.5).

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

/// An exponential back-off between two bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the first failure.
    pub first: Duration,
    /// The longest wait, before jitter.
    pub most: Duration,
}

impl Backoff {
    /// The wait after `failures` failures in a row; none after 0. `jitter` from 0 to 1 moves it by
    /// −20 % to +20 %, so that clients that failed together do not come back together (KIP-580).
    #[must_use]
    pub fn delay(&self, failures: u32, jitter: f64) -> Duration {
        let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
        let factor = 2_u32.checked_pow(doublings).unwrap_or(u32::MAX);
        let plain = self.first.saturating_mul(factor).min(self.most.max(self.first));
        plain.mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0))
    }
}

/// A number from 0 to 1, good enough to spread clients; not for secrets.
#[must_use]
pub fn jitter() -> f64 {
    // The standard library seeds each RandomState differently; no dependency is needed for this.
    let bits = RandomState::new().hash_one(0_u8) >> 32;
    // 32 bits are exact in an f64.
    f64::from(u32::try_from(bits).unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_13_5_waits_double_up_to_the_cap_and_jitter_stays_within_a_fifth() {
        let backoff =
            Backoff { first: Duration::from_millis(50), most: Duration::from_millis(1_000) };
        let plain: Vec<u128> =
            (0..8).map(|failures| backoff.delay(failures, 0.5).as_millis()).collect();
        assert_eq!(plain, [0, 50, 100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!(backoff.delay(u32::MAX, 0.0).as_millis(), 800);
        assert_eq!(backoff.delay(u32::MAX, 1.0).as_millis(), 1_200);
    }

    #[test]
    fn jitter_differs_from_call_to_call() {
        let drawn: Vec<f64> = (0..16).map(|_| jitter()).collect();
        assert!(drawn.iter().all(|value| (0.0..=1.0).contains(value)));
        assert!(drawn.iter().any(|value| (value - drawn[0]).abs() > 1e-9), "{drawn:?}");
    }
}
