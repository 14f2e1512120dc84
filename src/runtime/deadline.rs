//! Time limits of calls.

use std::time::{Duration, Instant};

use crate::error::{Code, Error, Result};

/// The absolute end of a call with this `timeout_ms`: one deadline, handed to every sub-step
/// (invariant 13.1).
///
/// 0 is already due (do not wait), −1 is `None` (no limit), less is `INVALID_ARGUMENT`. Reads the
/// clock: a call that may not have to wait asks only when it must.
pub fn deadline(timeout_ms: i32) -> Result<Option<Instant>> {
    match u64::try_from(timeout_ms) {
        Ok(ms) => Ok(Instant::now().checked_add(Duration::from_millis(ms))),
        Err(_) if timeout_ms == -1 => Ok(None),
        Err(_) => Err(Error::new(
            Code::INVALID_ARGUMENT,
            format!(
                "timeout_ms is {timeout_ms}: give milliseconds, 0 (do not wait) or -1 (no limit)"
            ),
        )),
    }
}

/// "No limit", for what needs an instant.
pub fn far() -> Instant {
    let now = Instant::now();
    now.checked_add(Duration::from_secs(365 * 24 * 3600)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_absolute_from_the_call_on() {
        let before = Instant::now();
        assert!(deadline(0).unwrap().unwrap() <= Instant::now(), "0 is due at once");
        let second = deadline(1_000).unwrap().unwrap();
        assert!(second >= before + Duration::from_millis(1_000));
        assert!(deadline(i32::MAX).unwrap().is_some());
        assert_eq!(deadline(-1).unwrap(), None);
    }

    #[test]
    fn a_timeout_below_minus_one_is_an_error_that_names_it() {
        let error = deadline(-2).unwrap_err();
        assert_eq!(error.code(), Code::INVALID_ARGUMENT);
        assert!(error.message().contains("-2"), "{error}");
    }
}
