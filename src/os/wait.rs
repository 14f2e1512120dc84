//! A wait word: any number of threads wait on it, any thread or signal handler notifies.
//!
//! The order that loses no wake-up: [`prepare`](WaitWord::prepare), look at the condition,
//! [`wait`](WaitWord::wait) with the ticket. A notification after `prepare` makes the ticket stale, and
//! a stale ticket does not sleep.

use std::time::Instant;

use super::sys;

/// What [`WaitWord::prepare`] saw; see there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u32);

/// A word in memory that threads wait on: a futex on Linux, a condition variable elsewhere.
#[derive(Debug, Default)]
pub struct WaitWord {
    word: sys::wait::Word,
}

impl WaitWord {
    /// A word that nobody waits on.
    #[must_use]
    pub const fn new() -> Self {
        Self { word: sys::wait::Word::new() }
    }

    /// The present state, to be taken **before** the condition is looked at.
    ///
    /// A ticket is good for 2³² − 1 notifications; it is meant to be used at once.
    #[must_use]
    pub fn prepare(&self) -> Ticket {
        Ticket(self.word.value())
    }

    /// Whether anything was notified since the ticket was taken.
    #[must_use]
    pub fn changed_since(&self, ticket: Ticket) -> bool {
        self.word.value() != ticket.0
    }

    /// Sleeps until a notification after `ticket`, or until `deadline` (`None`: no limit).
    ///
    /// May return early (a signal handler ran): look at the condition and at the clock again.
    pub fn wait(&self, ticket: Ticket, deadline: Option<Instant>) {
        self.word.wait(ticket.0, deadline);
    }

    /// Makes all tickets stale and wakes who waits. Without waiters it is two atomic operations on
    /// Linux.
    pub fn notify_all(&self) {
        self.word.notify_all();
    }

    /// As [`notify_all`](Self::notify_all), and allowed in a signal handler: takes no lock, allocates
    /// nothing, keeps `errno`. Where there is no futex, waiters may notice it up to 20 ms later.
    pub fn notify_from_signal(&self) {
        self.word.notify_from_signal();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    #[test]
    fn a_stale_ticket_does_not_sleep_and_a_deadline_ends_the_sleep() {
        let word = WaitWord::new();
        let ticket = word.prepare();
        word.notify_all();
        assert!(word.changed_since(ticket));
        word.wait(ticket, None);
        let deadline = Instant::now() + Duration::from_millis(5);
        while Instant::now() < deadline {
            word.wait(word.prepare(), Some(deadline));
        }
        word.wait(word.prepare(), Some(deadline));
    }

    /// Two threads pass a turn to and fro: each lost wake-up would stop both until the deadline.
    #[test]
    fn rule_13_3_no_wakeup_is_lost_between_two_threads() {
        const ROUNDS: u32 = 20_000;
        let deadline = Instant::now() + Duration::from_secs(60);
        let shared = Arc::new((WaitWord::new(), AtomicU32::new(0)));
        let threads: Vec<_> = (0..2)
            .map(|me| {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || {
                    let (word, turn) = &*shared;
                    for round in 0..ROUNDS {
                        loop {
                            let ticket = word.prepare();
                            if turn.load(Ordering::SeqCst) == round * 2 + me {
                                break;
                            }
                            assert!(Instant::now() < deadline, "lost in round {round}");
                            word.wait(ticket, Some(deadline));
                        }
                        turn.fetch_add(1, Ordering::SeqCst);
                        word.notify_all();
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    }
}
