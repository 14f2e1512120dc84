//! Clocks, as cheaply as they can be had: producers stamp each record with the time of day, and members
//! of groups look before each message whether they are still sure to be members.

use super::sys;

/// Milliseconds since 1970, to within a tick of the kernel's clock (1 to 4 ms late, never early).
///
/// A read of the precise clock costs twice what it takes to encode a record; this one is a load from
/// the vDSO page.
#[inline]
#[must_use]
pub fn now_ms() -> i64 {
    sys::clock::coarse_ms()
}

/// Milliseconds of a clock that nobody sets, from some moment on, to within a tick of the kernel's clock
/// (late, never early). It goes on while the process is stopped.
#[inline]
#[must_use]
pub fn steady_ms() -> u64 {
    sys::clock::steady_ms()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_the_time_of_day() {
        let precise = || {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(0)
        };
        let (before, now, after) = (precise(), now_ms(), precise());
        assert!(now > 1_500_000_000_000, "{now}");
        assert!((before - 100..=after).contains(&now), "{before} {now} {after}");
    }

    #[test]
    fn the_steady_clock_goes_on() {
        let (begun, first) = (std::time::Instant::now(), steady_ms());
        while steady_ms() == first {
            assert!(begun.elapsed().as_secs() < 30, "it stands still");
        }
        assert!(steady_ms() > first);
    }
}
