//! Where a session stands, as everybody sees it.

use std::time::Duration;

use crate::error::Error;

/// Whether ZooKeeper can be reached now.
#[derive(Clone, Debug)]
pub enum Phase {
    /// There is no session yet, or the last one expired: a new one is being opened.
    Connecting,
    /// A server serves the session.
    Connected,
    /// The connection was lost and another is being made. The session lives on at the servers for its
    /// time-out: it may have expired by now without anybody knowing (rule 10.6).
    Suspended,
    /// It is over: closed, or refused for good (`CLOSED`, or the refusal).
    Ended(Error),
}

/// What is known of the session; told at each change.
#[derive(Clone, Debug)]
pub struct Status {
    /// The number of the session, counted from 1. It grows when a session has expired: what belonged to
    /// a smaller number is gone (rule 10.7).
    pub session: u64,
    /// The id that the servers gave it; 0 while there is none. It is the `ephemeral_owner` of its nodes.
    pub id: i64,
    /// The time-out that the servers granted.
    pub timeout: Duration,
    /// Where it stands.
    pub phase: Phase,
    /// What went wrong last; none while connected.
    pub trouble: Option<Error>,
}

impl Status {
    /// Whether a server serves the session now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        matches!(self.phase, Phase::Connected)
    }
}
