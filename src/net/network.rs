//! What all brokers of one cluster handle share: settings, the dialer, what was learned of addresses.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::dial::{Dialer, Stage, TcpDialer};
use super::memory::{self, Memory, Opening};
use super::negotiate::{Negotiation, Verdict};
use super::wire::Wire;
use super::{Backoff, Connection, Transport, Versions};
use crate::config::{Address, ClientConfig};
use crate::error::{Code, Error, Result};
use crate::log::Logger;
use crate::protocol::modern::ApiKey;
use crate::runtime::Runtime;

/// How many connections one attempt may take to find out what the peer is: asked as it was known,
/// discovered anew, and then as 0.8.
const CONNECTIONS_PER_ATTEMPT: usize = 3;

/// The settings of connections.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `client.id`.
    pub client_id: Arc<str>,
    /// `request.timeout.ms`.
    pub request_timeout: Duration,
    /// `reconnect.backoff.ms` and `reconnect.backoff.max.ms`.
    pub reconnect: Backoff,
    /// `socket.connection.setup.timeout.ms` and its maximum: the set-up time grows as a back-off does.
    pub setup: Backoff,
    /// `connections.max.idle.ms`.
    pub max_idle: Option<Duration>,
    /// The largest frame taken from a broker.
    pub max_frame: usize,
}

impl From<&ClientConfig> for Settings {
    fn from(config: &ClientConfig) -> Self {
        Self {
            client_id: Arc::from(config.client_id.as_str()),
            request_timeout: config.request_timeout,
            reconnect: Backoff {
                first: config.reconnect_backoff,
                most: config.reconnect_backoff_max,
            },
            setup: Backoff {
                first: config.socket_connection_setup_timeout,
                most: config.socket_connection_setup_timeout_max,
            },
            max_idle: config.connections_max_idle,
            max_frame: config.receive_message_max_bytes,
        }
    }
}

/// Makes connections that are ready for use.
pub struct Network {
    settings: Settings,
    dialer: Box<dyn Dialer>,
    runtime: Runtime,
    logger: Logger,
    learned: Mutex<Learned>,
}

#[derive(Default)]
struct Learned {
    addresses: HashMap<Address, Memory>,
    // Some broker of the cluster is 4.0 or newer.
    no_old_brokers: bool,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Network {
    /// A network over TCP.
    #[must_use]
    pub fn new(settings: Settings, runtime: Runtime, logger: Logger) -> Arc<Self> {
        Self::with_dialer(settings, runtime, logger, TcpDialer)
    }

    /// A network over another kind of stream.
    #[must_use]
    pub fn with_dialer(
        settings: Settings,
        runtime: Runtime,
        logger: Logger,
        dialer: impl Dialer,
    ) -> Arc<Self> {
        let (dialer, learned) = (Box::new(dialer), Mutex::default());
        Arc::new(Self { settings, dialer, runtime, logger, learned })
    }

    /// The settings of connections.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The I/O threads.
    #[must_use]
    pub fn runtime(&self) -> Runtime {
        self.runtime
    }

    /// The log.
    #[must_use]
    pub fn logger(&self) -> &Logger {
        &self.logger
    }

    fn learned(&self) -> MutexGuard<'_, Learned> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An established connection to this address broke by itself.
    pub(super) fn broke(&self, address: &Address) {
        let mut learned = self.learned();
        if let Some(memory) = learned.addresses.remove(address).and_then(memory::after_break) {
            learned.addresses.insert(address.clone(), memory);
        }
    }

    /// Connects and negotiates, all before `deadline` (invariant 13.6).
    pub(super) async fn connect(
        &self,
        address: &Address,
        deadline: Instant,
        stage: &(dyn Fn(Stage) + Send + Sync),
    ) -> Result<Connection> {
        let mut opening = {
            let learned = self.learned();
            memory::opening(learned.addresses.get(address).copied(), learned.no_old_brokers)
        };
        for _ in 0..CONNECTIONS_PER_ATTEMPT {
            let attempt = self.connect_once(address, opening, deadline, stage).await;
            match attempt {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(next)) => opening = next,
                Err(error) => {
                    // Whatever was remembered, it was of no use.
                    self.learned().addresses.remove(address);
                    return Err(error);
                }
            }
        }
        self.learned().addresses.remove(address);
        Err(Error::new(Code::CONNECTION_FAILED, "it closes every connection"))
    }

    /// One connection: ready, or how to begin the next.
    async fn connect_once(
        &self,
        address: &Address,
        opening: Opening,
        deadline: Instant,
        stage: &(dyn Fn(Stage) + Send + Sync),
    ) -> Result<Result<Connection, Opening>> {
        let transport = self.dial(address, deadline, stage).await?;
        stage(Stage::Negotiating);
        let peer: Arc<str> = Arc::from(address.to_string());
        let (wire, driver) = Wire::new(peer, transport, self.settings.max_frame);
        self.runtime.spawn("connection", driver.on_panic(), driver);
        // Closes the abandoned connection on every way out (invariant 2.10).
        let guard = CloseOnDrop(Some(&wire));
        let client_id = &*self.settings.client_id;
        let mut negotiation = Negotiation { wire: &wire, client_id, deadline, correlation: 1 };
        match negotiation.run(opening).await? {
            Verdict::Again(next) => Ok(Err(next)),
            Verdict::Ready(versions, memory) => {
                let correlation = negotiation.correlation;
                guard.keep();
                wire.ready(self.settings.max_idle);
                self.remember(address, &versions, memory);
                let write_time = self.settings.request_timeout;
                let client_id = Arc::clone(&self.settings.client_id);
                let logger = self.logger.clone();
                Ok(Ok(Connection::new(wire, versions, client_id, write_time, correlation, logger)))
            }
        }
    }

    /// A stream to this address, before `deadline`.
    pub(super) async fn dial(
        &self,
        address: &Address,
        deadline: Instant,
        stage: &(dyn Fn(Stage) + Send + Sync),
    ) -> Result<Arc<dyn Transport>> {
        self.dialer.dial(address, deadline, stage).await
    }

    fn remember(&self, address: &Address, versions: &Versions, memory: Memory) {
        let mut learned = self.learned();
        // 4.0 removed the old versions of Fetch; such a broker has no 0.9 beside it.
        if versions.range(ApiKey::Fetch).is_some_and(|(least, _)| least >= 4) {
            learned.no_old_brokers = true;
        }
        learned.addresses.insert(address.clone(), memory);
        drop(learned);
        self.logger.debug(
            "net",
            format_args!("connected to broker {address} (Kafka {})", versions.release()),
        );
    }
}

struct CloseOnDrop<'a>(Option<&'a Wire>);

impl CloseOnDrop<'_> {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(wire) = self.0 {
            wire.end(Error::new(Code::DISCONNECTED, "the connection was given up"), true);
        }
    }
}
