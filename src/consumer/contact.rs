//! A fetcher's way to its broker: the connection, the pause after a failure, and what of its failures
//! was told.

use std::sync::Arc;
use std::time::Instant;

use super::core::Core;
use super::partition::Retry;
use crate::error::{Code, Error, Persistence, Result};
use crate::log::Level;
use crate::net::{Broker, Connection, Purpose};

#[derive(Debug)]
pub(super) struct Contact {
    core: Arc<Core>,
    broker: i32,
    /// The broker with connections of this fetcher's own; they close with it.
    own: Option<Arc<Broker>>,
    retry: Retry,
    /// The last request met a connection that had ended before.
    repeated: bool,
    /// The last failure told to the application: told once until something succeeds (13.7).
    told: Option<Code>,
}

impl Contact {
    pub(super) fn new(core: &Arc<Core>, broker: i32) -> Self {
        let (core, retry) = (Arc::clone(core), Retry::default());
        Self { core, broker, own: None, retry, repeated: false, told: None }
    }

    /// When it may be tried again, if not now.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        self.retry.due(now)
    }

    /// The broker as this fetcher talks to it; none before the first connection.
    pub(super) fn own(&self) -> Option<&Arc<Broker>> {
        self.own.as_ref()
    }

    /// The connection, which is this fetcher's alone: behind the long poll of another consumer of the
    /// same cluster each fetch would wait (1.18).
    pub(super) async fn connect(&mut self) -> Result<Connection> {
        let broker = self.core.cluster.broker(self.broker).ok_or_else(|| {
            let text = format!("broker {} is not in the cluster's metadata", self.broker);
            Error::new(Code::LEADER_NOT_AVAILABLE, text)
        })?;
        let own = self.own.get_or_insert_with(|| broker.twin());
        own.set_address(broker.address(), broker.rack());
        own.connection(Purpose::Fetch, Instant::now() + self.core.config.request_timeout).await
    }

    /// An answer came.
    pub(super) fn succeeded(&mut self) {
        self.retry.clear();
        self.repeated = false;
        self.told = None;
    }

    /// The connection or the whole request failed: keep away for a while, and ask who leads now.
    pub(super) fn failed(&mut self, error: &Error) {
        let core = &self.core;
        let unsent = error.code() == Code::DISCONNECTED
            && error.persistence() == Persistence::NotPersisted
            && !std::mem::replace(&mut self.repeated, true);
        if unsent {
            // The peer had closed an idle connection: repeat at once, on a new one (13.11).
            return;
        }
        // The first failure of a row is worth a line, the others are its echo.
        let level = if self.retry.is_clear() { Level::Warn } else { Level::Debug };
        let now = Instant::now();
        core.config.back_off(&mut self.retry, now);
        if core.lock().shun_replica(self.broker, now + core.config.metadata_max_age) {
            core.kick.notify_one();
        }
        core.cluster.refresh("fetching from a broker failed");
        // Passing troubles stay inside; others reach the application once.
        let passing = error.is_retriable() || self.told == Some(error.code());
        core.cluster.logger().log(
            level,
            "fetcher",
            format_args!("fetching from broker {} failed: {error}", self.broker),
        );
        if !passing {
            self.told = Some(error.code());
            core.lock().report_general(error.clone());
            core.signal.notify();
        }
    }
}
