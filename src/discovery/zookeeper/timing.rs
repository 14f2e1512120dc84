//! When a connection to ZooKeeper needs a ping, and when it is given up. Pure.

use std::time::{Duration, Instant};

/// The shortest session time-out that a server is believed: what it says must not make us spin.
const SHORTEST: Duration = Duration::from_millis(100);

/// The clocks of one connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    timeout: Duration,
    sent: Instant,
    heard: Instant,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing was sent for a third of the time-out.
    Ping,
    /// Nothing was heard for two thirds: another server has the last third to take the session over.
    Silent,
}

impl Timing {
    /// A connection that was made just now, with this session time-out.
    pub(super) fn new(timeout: Duration, now: Instant) -> Self {
        Self { timeout: timeout.max(SHORTEST), sent: now, heard: now }
    }

    pub(super) fn sent(&mut self, now: Instant) {
        self.sent = now;
    }

    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// What comes next, and when. `oldest` is when the oldest request without an answer was sent: a
    /// server that answers pings but not requests is left too, after the whole time-out.
    pub(super) fn next(&self, oldest: Option<Instant>) -> (Instant, Due) {
        let third = self.timeout / 3;
        let silent = self.heard + third * 2;
        let stuck = oldest.map_or(silent, |oldest| oldest + self.timeout);
        let give_up = silent.min(stuck);
        let ping = self.sent + third;
        if give_up <= ping { (give_up, Due::Silent) } else { (ping, Due::Ping) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn an_idle_connection_pings_after_a_third_and_is_left_after_two_thirds_of_silence() {
        let start = Instant::now();
        let mut timing = Timing::new(6_000 * MS, start);
        assert_eq!(timing.next(None), (start + 2_000 * MS, Due::Ping));
        timing.sent(start + 2_000 * MS);
        assert_eq!(timing.next(None), (start + 4_000 * MS, Due::Silent));
        timing.heard(start + 2_010 * MS);
        assert_eq!(timing.next(None), (start + 4_000 * MS, Due::Ping));
    }

    #[test]
    fn a_busy_connection_needs_no_ping() {
        let start = Instant::now();
        let mut timing = Timing::new(6_000 * MS, start);
        for second in 1..10 {
            timing.sent(start + second * 1_000 * MS);
            timing.heard(start + second * 1_000 * MS);
            let (at, due) = timing.next(None);
            assert_eq!((at, due), (start + (second * 1_000 + 2_000) * MS, Due::Ping));
        }
    }

    #[test]
    fn a_server_that_answers_pings_and_no_requests_is_left_after_the_time_out() {
        let start = Instant::now();
        let mut timing = Timing::new(6_000 * MS, start);
        timing.sent(start + 5_900 * MS);
        timing.heard(start + 5_900 * MS);
        assert_eq!(timing.next(Some(start)), (start + 6_000 * MS, Due::Silent));
    }

    #[test]
    fn an_absurd_time_out_does_not_make_it_spin() {
        let start = Instant::now();
        let (at, _) = Timing::new(Duration::ZERO, start).next(None);
        assert!(at >= start + 30 * MS);
    }
}
