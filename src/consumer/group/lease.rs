//! Until when a member is sure to be one, looked at before each hand-over (rules 8.7, 10.6).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::os::clock;

/// Nothing ends it.
const FOREVER: u64 = u64::MAX;

/// A moment of the steady clock, which the membership moves on.
#[derive(Debug)]
pub(super) struct Lease(AtomicU64);

impl Lease {
    /// Without an end.
    pub(super) const fn new() -> Self {
        Self(AtomicU64::new(FOREVER))
    }

    /// Whether it is over.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        if self.0.load(Ordering::Relaxed) == FOREVER {
            return false;
        }
        // In this order: whoever finds it over here is told by the renewal that it missed.
        let now = clock::steady_ms();
        now >= self.0.load(Ordering::Acquire)
    }

    /// It lasts until then; none: without an end. Whether it was over before.
    pub(super) fn renew(&self, until: Option<Instant>) -> bool {
        let end = until.map_or(FOREVER, |until| {
            let left = until.saturating_duration_since(Instant::now()).as_millis();
            clock::steady_ms().saturating_add(u64::try_from(left).unwrap_or(FOREVER))
        });
        let before = self.0.swap(end, Ordering::AcqRel);
        clock::steady_ms() >= before
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn rules_8_7_and_10_6_it_is_over_at_its_end_and_a_renewal_says_so() {
        let (lease, now) = (Lease::new(), Instant::now());
        assert!(!lease.is_over());
        assert!(!lease.renew(Some(now + Duration::from_secs(600))), "it had no end");
        assert!(!lease.is_over());
        assert!(!lease.renew(Some(now)), "there was time left");
        assert!(lease.is_over());
        assert!(lease.renew(Some(now + Duration::from_secs(600))));
        assert!(!lease.is_over());
        lease.renew(Some(now));
        assert!(lease.renew(None) && !lease.is_over());
    }
}
