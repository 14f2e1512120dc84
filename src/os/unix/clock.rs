//! The coarse clock of the kernel, or the precise one where there is none.

/// Milliseconds since 1970; 0 if the system has no clock.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[inline]
pub(in super::super) fn coarse_ms() -> i64 {
    read_ms(libc::CLOCK_REALTIME_COARSE)
}

/// Milliseconds since the machine was started.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[inline]
pub(in super::super) fn steady_ms() -> u64 {
    u64::try_from(read_ms(libc::CLOCK_MONOTONIC_COARSE)).unwrap_or(0)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[inline]
fn read_ms(clock: libc::clockid_t) -> i64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one timespec to a valid place; a clock that is missing leaves it at zero.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    // The widths of both fields differ between targets.
    #[allow(clippy::useless_conversion, reason = "tv_sec has 32 bits on some targets")]
    let (seconds, nanos) = (i64::from(now.tv_sec), i64::from(now.tv_nsec));
    seconds * 1_000 + nanos / 1_000_000
}

/// Milliseconds since 1970; 0 if the system has no clock.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[inline]
pub(in super::super) fn coarse_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Milliseconds since this was first asked.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[inline]
pub(in super::super) fn steady_ms() -> u64 {
    static FIRST: std::sync::LazyLock<std::time::Instant> =
        std::sync::LazyLock::new(std::time::Instant::now);
    u64::try_from(FIRST.elapsed().as_millis()).unwrap_or(u64::MAX)
}
