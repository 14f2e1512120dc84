//! The wait word: futex on Linux, condition variable elsewhere.

#[cfg(any(test, not(target_os = "linux")))]
mod condvar;
#[cfg(target_os = "linux")]
mod futex;

#[cfg(not(target_os = "linux"))]
pub(in crate::os) use condvar::Word;
#[cfg(target_os = "linux")]
pub(in crate::os) use futex::Word;

#[cfg(test)]
mod tests {
    use super::condvar;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    /// The fallback is tested on Linux too.
    #[test]
    fn the_condition_variable_wakes_all_by_a_thread_and_by_a_handler_s_notification() {
        let deadline = Some(Instant::now() + Duration::from_secs(60));
        for from_signal in [false, true] {
            let word = Arc::new(condvar::Word::new());
            let waiters: Vec<_> = (0..4)
                .map(|_| {
                    let word = Arc::clone(&word);
                    std::thread::spawn(move || word.wait(0, deadline))
                })
                .collect();
            if from_signal {
                word.notify_from_signal();
            } else {
                word.notify_all();
            }
            for waiter in waiters {
                waiter.join().unwrap();
            }
            assert_eq!(word.value(), 1);
        }
        let word = condvar::Word::new();
        word.wait(0, Some(Instant::now()));
        assert_eq!(word.value(), 0, "the deadline ended it");
    }
}
