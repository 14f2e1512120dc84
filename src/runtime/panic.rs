//! Panics: as errors, and on demand in a test build.

use std::any::Any;

use crate::error::{Code, Error};

/// The error that a caught panic becomes: code `PANIC`, with where it was and what it said.
#[must_use]
pub fn panic_error(place: &str, payload: &(dyn Any + Send)) -> Error {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    Error::new(Code::PANIC, format!("a bug in libsamsa: panic in {place}: {text}")).fatal()
}

#[cfg(feature = "panic-injection")]
mod armed {
    use std::sync::{Mutex, PoisonError};

    static POINTS: Mutex<Vec<String>> = Mutex::new(Vec::new());

    /// Makes the next pass of the point of this name panic, once.
    pub fn arm_panic(point: &str) {
        POINTS.lock().unwrap_or_else(PoisonError::into_inner).push(point.to_owned());
    }

    /// Forgets every armed point.
    pub fn disarm_panics() {
        POINTS.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) fn take(point: &str) -> bool {
        let mut points = POINTS.lock().unwrap_or_else(PoisonError::into_inner);
        let found = points.iter().position(|armed| armed == point);
        found.is_some_and(|at| {
            points.swap_remove(at);
            true
        })
    }
}

#[cfg(feature = "panic-injection")]
pub use armed::{arm_panic, disarm_panics};

/// A place where a test may make the library panic: `"produce-call"`, `"sender"`, `"fetcher"`,
/// `"metadata"`, …. Without the feature `panic-injection` it is nothing at all.
#[inline(always)]
pub fn inject_panic(point: &'static str) {
    #[cfg(feature = "panic-injection")]
    if armed::take(point) {
        panic!("injected at {point}");
    }
    #[cfg(not(feature = "panic-injection"))]
    let _ = point;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_fatal_error_with_place_and_message() {
        let payload: Box<dyn Any + Send> = Box::new("index out of bounds".to_owned());
        let error = panic_error("task metadata", &*payload);
        assert_eq!(error.code(), Code::PANIC);
        assert!(error.is_fatal());
        let message = error.message();
        assert!(
            message.contains("task metadata") && message.contains("out of bounds"),
            "{message}"
        );
    }

    #[cfg(feature = "panic-injection")]
    #[test]
    fn an_armed_point_panics_once_and_others_do_not() {
        arm_panic("test-point");
        inject_panic("other-point");
        assert!(std::panic::catch_unwind(|| inject_panic("test-point")).is_err());
        inject_panic("test-point");
    }
}
