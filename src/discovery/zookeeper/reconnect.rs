//! Which server comes next, after which pause, and whether the old session is asked for. Pure.

use std::time::Duration;

use crate::config::Address;
use crate::net::Backoff;

/// The way from one connection to the next.
#[derive(Clone, Debug)]
pub(super) struct Reconnect {
    servers: Vec<Address>,
    next: usize,
    backoff: Backoff,
    /// Attempts in a row that came to nothing.
    failures: usize,
    /// The next attempt asks for a new session although there is one.
    blank: bool,
}

/// What a connection that is lost was good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Worth {
    /// No request and no ping was answered; what belongs to the beginning (credentials, watches set again)
    /// does not count. As good as none.
    Nothing,
    /// It answered, and was lost soon: a server, or what stands before it, that closes on everybody would
    /// have us connect without end.
    Brief,
    /// It answered, and lasted.
    Good,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    pub(super) server: Address,
    pub(super) pause: Duration,
    /// Ask for a new session, to find out whether the server serves at all.
    pub(super) blank: bool,
}

impl Reconnect {
    /// `start` chooses the first server, so that clients spread over an ensemble.
    pub(super) fn new(servers: Vec<Address>, backoff: Backoff, start: usize) -> Self {
        let next = start.checked_rem(servers.len()).unwrap_or(0);
        Self { servers, next, backoff, failures: 0, blank: false }
    }

    /// The next attempt: one server after the other, with a growing pause after each round.
    pub(super) fn attempt(&mut self, jitter: f64) -> Option<Attempt> {
        let server = self.servers.get(self.next)?.clone();
        self.next = (self.next + 1) % self.servers.len();
        let rounds = u32::try_from(self.failures / self.servers.len()).unwrap_or(u32::MAX);
        let at_start = self.failures % self.servers.len() == 0;
        let pause = if at_start { self.backoff.delay(rounds, jitter) } else { Duration::ZERO };
        Some(Attempt { server, pause, blank: self.blank })
    }

    /// An attempt came to nothing. `slammed`: the server took the connection and said nothing.
    /// `overdue`: nobody has answered for the session for longer than its time-out.
    ///
    /// A server slams the door when it has no quorum, and also when the client has seen more than it
    /// has: its data was wiped or restored, and no server will ever take the session up. The two look
    /// alike, so when the session may be over anyway every other attempt asks for a new one: if that
    /// is given, the old one is lost.
    pub(super) fn failed(&mut self, slammed: bool, overdue: bool) {
        self.failures = self.failures.saturating_add(1);
        self.blank = slammed && overdue && !self.blank;
    }

    /// The session asked for has expired: the same server gives a new one.
    pub(super) fn expired(&mut self) {
        self.next = (self.next + self.servers.len() - 1) % self.servers.len().max(1);
        self.blank = false;
    }

    /// A server took us.
    pub(super) fn connected(&mut self) {
        self.blank = false;
    }

    /// The connection is lost. After a good one the next follows at once; after a brief one at the pace
    /// of a first failure, however often; one that was good for nothing counts as a failed attempt.
    pub(super) fn lost(&mut self, worth: Worth) {
        let more = self.failures.saturating_add(1);
        self.failures = match worth {
            Worth::Nothing => more,
            Worth::Brief => more.min(self.servers.len()),
            Worth::Good => 0,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reconnect(servers: usize) -> Reconnect {
        let ms = Duration::from_millis;
        let ports = (1..).take(servers).map(|port| Address::new("h", port)).collect();
        Reconnect::new(ports, Backoff { first: ms(50), most: ms(1_000) }, 1)
    }

    fn go(reconnect: &mut Reconnect) -> (u16, u128) {
        let attempt = reconnect.attempt(0.5).unwrap();
        (attempt.server.port, attempt.pause.as_millis())
    }

    #[test]
    fn servers_are_tried_in_turn_with_a_growing_pause_after_each_round() {
        let mut reconnect = reconnect(3);
        let mut tried = Vec::new();
        for _ in 0..10 {
            tried.push(go(&mut reconnect));
            reconnect.failed(false, false);
        }
        let expected =
            [(2, 0), (3, 0), (1, 0), (2, 50), (3, 0), (1, 0), (2, 100), (3, 0), (1, 0), (2, 200)];
        assert_eq!(tried, expected);
    }

    #[test]
    fn a_good_connection_that_is_lost_is_replaced_at_once_by_another_server() {
        let mut reconnect = reconnect(3);
        reconnect.failed(false, false);
        go(&mut reconnect);
        reconnect.connected();
        reconnect.lost(Worth::Good);
        assert_eq!(go(&mut reconnect), (3, 0));
    }

    #[test]
    fn a_server_that_never_answers_anything_does_not_make_us_spin() {
        let mut reconnect = reconnect(1);
        let mut pauses = Vec::new();
        for _ in 0..7 {
            pauses.push(go(&mut reconnect).1);
            reconnect.connected();
            reconnect.lost(Worth::Nothing);
        }
        assert_eq!(pauses, [0, 50, 100, 200, 400, 800, 1_000]);
    }

    #[test]
    fn a_server_that_answers_a_little_and_closes_is_tried_at_a_steady_pace() {
        for (servers, expected) in [(1, vec![0, 50, 50, 50, 50]), (2, vec![0, 0, 50, 50, 50])] {
            let mut reconnect = reconnect(servers);
            let mut pauses = Vec::new();
            for _ in 0..5 {
                pauses.push(go(&mut reconnect).1);
                reconnect.connected();
                reconnect.lost(Worth::Brief);
            }
            assert_eq!(pauses, expected);
            reconnect.lost(Worth::Good);
            assert_eq!(go(&mut reconnect).1, 0);
        }
    }

    #[test]
    fn a_slammed_door_after_the_time_out_is_tried_with_a_new_session_every_other_time() {
        let mut reconnect = reconnect(2);
        let mut blank = Vec::new();
        for (slammed, overdue) in
            [(true, false), (true, true), (true, true), (true, true), (false, true), (true, true)]
        {
            blank.push(reconnect.attempt(0.5).unwrap().blank);
            reconnect.failed(slammed, overdue);
        }
        assert_eq!(blank, [false, false, true, false, true, false]);
        reconnect.connected();
        assert!(!reconnect.attempt(0.5).unwrap().blank);
    }

    #[test]
    fn after_an_expiry_the_same_server_is_asked_for_a_new_session() {
        let mut reconnect = reconnect(3);
        assert_eq!(go(&mut reconnect), (2, 0));
        reconnect.expired();
        assert_eq!(go(&mut reconnect), (2, 0));
        assert_eq!(go(&mut reconnect), (3, 0));
    }
}
