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
