//! What a ZooKeeper client is made with.

use std::time::Duration;

use crate::config::{ClientConfig, Ensemble, ZooKeeperAuth, ZooKeeperConfig};
use crate::error::Result;
use crate::net::Backoff;

/// `reconnect.backoff.ms` by default.
const RECONNECT: Duration = Duration::from_millis(50);

/// The settings of a client.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `zookeeper.connect`.
    pub ensemble: Ensemble,
    /// `zookeeper.session.timeout.ms`: what is wished for; the servers have bounds.
    pub session_timeout: Duration,
    /// `zookeeper.connection.timeout.ms`: how long a round over all servers may take.
    pub connection_timeout: Duration,
    /// `samsa.zookeeper.auth`.
    pub auth: Option<ZooKeeperAuth>,
    /// `reconnect.backoff.ms`, `reconnect.backoff.max.ms`: the pause between rounds.
    pub reconnect: Backoff,
}

impl Settings {
    /// What `zookeeper.connect` and this session time-out give, with everything else as it is by default.
    ///
    /// # Errors
    /// INVALID_PROPERTY says what is wrong with `connect`.
    pub fn of(connect: &str, session_timeout: Duration) -> Result<Self> {
        Ok(Self {
            ensemble: Ensemble::parse(connect)?,
            session_timeout,
            connection_timeout: session_timeout,
            auth: None,
            reconnect: Backoff { first: RECONNECT, most: 20 * RECONNECT },
        })
    }

    /// What a cluster's client is configured with.
    #[must_use]
    pub fn new(client: &ClientConfig, config: &ZooKeeperConfig) -> Self {
        Self {
            ensemble: config.ensemble.clone(),
            session_timeout: config.session_timeout,
            connection_timeout: config.connection_timeout,
            auth: config.auth.clone(),
            reconnect: Backoff {
                first: client.reconnect_backoff,
                most: client.reconnect_backoff_max,
            },
        }
    }

    /// The path at the servers.
    pub(super) fn full(&self, path: &str) -> String {
        let chroot = &self.ensemble.chroot;
        if path == "/" && !chroot.is_empty() { chroot.clone() } else { format!("{chroot}{path}") }
    }

    /// The path below the chroot; one that is not below it stays as it is.
    pub(super) fn shown<'a>(&self, path: &'a str) -> &'a str {
        match path.strip_prefix(self.ensemble.chroot.as_str()) {
            Some("") => "/",
            Some(rest) if rest.starts_with('/') => rest,
            _ => path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_the_chroot_in_both_directions() {
        let settings = |connect| Settings {
            ensemble: Ensemble::parse(connect).unwrap(),
            session_timeout: Duration::ZERO,
            connection_timeout: Duration::ZERO,
            auth: None,
            reconnect: Backoff { first: Duration::ZERO, most: Duration::ZERO },
        };
        for (connect, shown, full) in
            [("h", "/", "/"), ("h", "/a/b", "/a/b"), ("h/k", "/", "/k"), ("h/k/l", "/a", "/k/l/a")]
        {
            assert_eq!(settings(connect).full(shown), full);
            assert_eq!(settings(connect).shown(full), shown);
        }
        assert_eq!(settings("h/k").shown("/kafka"), "/kafka", "another path that begins alike");
    }
}
