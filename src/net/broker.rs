//! One broker: its address, and a connection per purpose, opened on demand and shared.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::{sleep_until, timeout_at};

use super::dial::Stage;
use super::network::Network;
use super::{Connection, Dialect, Purpose, jitter};
use crate::config::Address;
use crate::error::{Code, Error, Persistence, Result};
use crate::log::Level;
use crate::protocol::modern::Request;

/// A broker is its node id, nothing else: address and rack may change under it (invariant 1.13).
/// Bootstrap entries are brokers too, with ids far below 0. Any method from any thread.
pub struct Broker {
    id: i32,
    dialect: Dialect,
    network: Arc<Network>,
    state: Mutex<State>,
}

struct State {
    address: Address,
    rack: Option<String>,
    slots: [Slot; Purpose::ALL.len()],
    // Attempts to connect that failed in a row, for whatever purpose: the back-off is the node's.
    failures: u32,
    not_before: Option<Instant>,
    stage: Option<Stage>,
    last_error: Option<Error>,
    closed: Option<Error>,
}

/// A connection of one purpose.
#[derive(Default)]
enum Slot {
    #[default]
    Empty,
    /// An attempt is under way; it goes on whoever stops waiting for it (invariant 1.21).
    Opening(watch::Receiver<Option<Result<Connection>>>),
    Open {
        connection: Connection,
        since: Instant,
    },
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Broker");
        debug.field("id", &self.id).field("address", &self.address()).finish_non_exhaustive()
    }
}

impl Broker {
    /// A broker that nobody has talked to yet.
    #[must_use]
    pub fn new(
        id: i32,
        address: Address,
        rack: Option<String>,
        network: Arc<Network>,
    ) -> Arc<Self> {
        Self::speaking(Dialect::Modern, id, address, rack, network)
    }

    /// The same for a broker of which it is known what it speaks.
    #[must_use]
    pub fn speaking(
        dialect: Dialect,
        id: i32,
        address: Address,
        rack: Option<String>,
        network: Arc<Network>,
    ) -> Arc<Self> {
        let state = State {
            address,
            rack,
            slots: Default::default(),
            failures: 0,
            not_before: None,
            stage: None,
            last_error: None,
            closed: None,
        };
        Arc::new(Self { id, dialect, network, state: Mutex::new(state) })
    }

    /// The same broker with connections of its own, for requests that must wait behind nobody else's
    /// (invariant 1.18). They close when the last copy of the twin is dropped; whoever keeps it follows
    /// the broker's address by [`set_address`](Self::set_address).
    #[must_use]
    pub fn twin(&self) -> Arc<Self> {
        let (address, rack) = (self.address(), self.rack());
        Self::speaking(self.dialect, self.id, address, rack, Arc::clone(&self.network))
    }

    /// What is spoken with it.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// It has just registered itself: what failed before says nothing any more.
    pub fn forgive(&self) {
        let mut state = self.lock();
        state.failures = 0;
        state.not_before = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node id; below −1 for a bootstrap entry.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.id
    }

    /// The address that new connections go to.
    #[must_use]
    pub fn address(&self) -> Address {
        self.lock().address.clone()
    }

    /// The rack, if the broker told one.
    #[must_use]
    pub fn rack(&self) -> Option<String> {
        self.lock().rack.clone()
    }

    /// The broker is advertised elsewhere now. Connections that are open stay: if the broker has moved
    /// they break by themselves, and an answer under way is not thrown away.
    pub fn set_address(&self, address: Address, rack: Option<String>) {
        let mut state = self.lock();
        state.rack = rack;
        if state.address != address {
            state.address = address;
            // The old address' failures say nothing of the new one.
            state.failures = 0;
            state.not_before = None;
        }
    }

    /// Whether any connection to the broker is open.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.lock().connections().any(Connection::is_open)
    }

    /// When the next attempt to connect is due, if the last one failed and that is not past.
    #[must_use]
    pub fn backing_off_until(&self, now: Instant) -> Option<Instant> {
        self.lock().not_before.filter(|until| *until > now)
    }

    /// Whether there is a better broker to turn to now, if there is a choice: the last attempt to connect
    /// failed, and the next one is under way or not due yet. Once it is due it is worth a try.
    #[must_use]
    pub fn is_doubtful(&self, now: Instant) -> bool {
        let state = self.lock();
        let resting = state.stage.is_some() || state.not_before.is_some_and(|until| until > now);
        resting && state.last_error.is_some() && !state.connections().any(Connection::is_open)
    }

    /// How many requests wait at the broker, for all purposes.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.lock().connections().map(Connection::in_flight).sum()
    }

    /// Why the broker cannot be used at the moment: the last failure, or how far the attempt under way
    /// has come. None when it is connected or was never asked for.
    #[must_use]
    pub fn trouble(&self) -> Option<Error> {
        let state = self.lock();
        if state.connections().any(Connection::is_open) {
            return None;
        }
        let address = state.address.to_string();
        let named = |error: Error| error.with_broker(address.clone());
        match (state.stage, &state.last_error) {
            (None | Some(Stage::BackingOff), Some(error)) => Some(error.clone()),
            (Some(stage), _) => {
                let text = format!("broker {address}: {}", stage.text());
                Some(named(Error::new(Code::CONNECTION_FAILED, text)))
            }
            (None, None) => None,
        }
    }

    /// The connection for this purpose, opened if need be; everybody who asks shares it. Waits for the
    /// back-off after failures. One attempt tries every address of the name.
    ///
    /// `CONNECTION_FAILED`, `RESOLVE_FAILED`, `PROTOCOL`, … when that attempt failed, `TIMED_OUT` at
    /// `deadline` (the attempt goes on), `CLOSED` after [`close`](Self::close).
    pub async fn connection(
        self: &Arc<Self>,
        purpose: Purpose,
        deadline: Instant,
    ) -> Result<Connection> {
        let mut attempt = match self.open_or_attempt(purpose)? {
            Ok(connection) => return Ok(connection),
            Err(attempt) => attempt,
        };
        let finished = timeout_at(deadline.into(), attempt.wait_for(Option::is_some)).await;
        match finished {
            Ok(Ok(result)) => match &*result {
                Some(result) => result.clone(),
                None => Err(Error::bare(Code::ABANDONED)),
            },
            Ok(Err(_)) => Err(Error::bare(Code::ABANDONED)),
            Err(_) => {
                let address = self.address().to_string();
                let text = format!("no connection to broker {address} within the time");
                let error = Error::new(Code::TIMED_OUT, text).with_broker(address);
                Err(self.trouble().map_or(error.clone(), |cause| error.caused_by(cause)))
            }
        }
    }

    /// The connection for this purpose if it is open now; never opens or waits.
    #[must_use]
    pub fn open_connection(&self, purpose: Purpose) -> Option<Connection> {
        match self.lock().slots.get(purpose as usize) {
            Some(Slot::Open { connection, .. }) if connection.is_open() => Some(connection.clone()),
            _ => None,
        }
    }

    /// Sends a request on the connection for this purpose. A connection that turns out to be closed
    /// before a byte was written (the peer ended it while it was idle) is replaced at once, and the
    /// request repeated once (invariant 13.11).
    pub async fn request<R: Request>(
        self: &Arc<Self>,
        purpose: Purpose,
        request: &R,
        deadline: Instant,
    ) -> Result<R::Response> {
        let connection = self.connection(purpose, deadline).await?;
        match connection.request(request, deadline).await {
            Err(error) if is_stale_connection(&error) => {
                let connection = self.connection(purpose, deadline).await?;
                connection.request(request, deadline).await
            }
            outcome => outcome,
        }
    }

    /// Closes the connections on which nothing waits, quietly; the next request opens them again.
    pub fn disconnect_idle(&self) {
        let idle: Vec<Connection> = {
            let state = self.lock();
            state.connections().filter(|connection| connection.in_flight() == 0).cloned().collect()
        };
        for connection in idle {
            connection.close(Error::new(Code::DISCONNECTED, "the connection is not needed"));
        }
    }

    /// Closes all connections; who waits, and who asks later, gets `error`.
    pub fn close(&self, error: &Error) {
        let slots = {
            let mut state = self.lock();
            state.closed.get_or_insert_with(|| error.clone());
            std::mem::take(&mut state.slots)
        };
        for slot in slots {
            if let Slot::Open { connection, .. } = slot {
                connection.close(error.clone());
            }
        }
    }

    fn open_or_attempt(
        self: &Arc<Self>,
        purpose: Purpose,
    ) -> Result<Result<Connection, watch::Receiver<Option<Result<Connection>>>>> {
        let mut state = self.lock();
        if let Some(error) = &state.closed {
            return Err(error.clone());
        }
        let slot = state.slots.get_mut(purpose as usize).map(std::mem::take);
        match slot.unwrap_or_default() {
            Slot::Open { connection, since } if connection.is_open() => {
                state.put(purpose, Slot::Open { connection: connection.clone(), since });
                return Ok(Ok(connection));
            }
            Slot::Opening(attempt) => {
                state.put(purpose, Slot::Opening(attempt.clone()));
                return Ok(Err(attempt));
            }
            Slot::Open { connection, since } => self.note_end(&mut state, &connection, since),
            Slot::Empty => {}
        }
        let (result, attempt) = watch::channel(None);
        state.put(purpose, Slot::Opening(attempt.clone()));
        drop(state);
        self.spawn_attempt(purpose, result);
        Ok(Err(attempt))
    }

    /// An open connection was found closed.
    fn note_end(&self, state: &mut State, ended: &Connection, since: Instant) {
        let Some(poison) = ended.wire().poison().filter(|poison| !poison.quiet) else { return };
        self.network.broke(&state.address);
        // A broker that accepts and then closes must not be called in a tight loop.
        let pause = self.network.settings().reconnect.delay(1, jitter());
        let not_before = since + pause;
        state.not_before = state.not_before.max(Some(not_before));
        let address = &state.address;
        self.network
            .logger()
            .info("net", format_args!("connection to broker {address} is over: {}", poison.error));
        state.last_error = Some(poison.error);
    }

    fn spawn_attempt(
        self: &Arc<Self>,
        purpose: Purpose,
        result: watch::Sender<Option<Result<Connection>>>,
    ) {
        let result = Arc::new(result);
        let (broker, failed) = (Arc::clone(self), Arc::clone(&result));
        let on_panic = move |error: Error| {
            broker.lock().put(purpose, Slot::Empty);
            failed.send_replace(Some(Err(error)));
        };
        let broker = Arc::clone(self);
        self.network.runtime().spawn("connect", on_panic, async move {
            let outcome = broker.attempt(purpose).await;
            result.send_replace(Some(outcome));
        });
    }

    /// One attempt to connect: waits for the back-off, tries, keeps the books.
    async fn attempt(&self, purpose: Purpose) -> Result<Connection> {
        self.back_off().await;
        let (address, setup) = {
            let state = self.lock();
            (state.address.clone(), self.setup_time(state.failures))
        };
        let stage = |stage| self.lock().stage = Some(stage);
        let deadline = Instant::now() + setup;
        let outcome = match self.dialect {
            Dialect::Modern => self.network.connect(&address, deadline, &stage).await,
            Dialect::Legacy => self.network.connect_legacy(&address, deadline, &stage).await,
        };
        let now = Instant::now();
        let mut state = self.lock();
        state.stage = None;
        match outcome {
            Ok(connection) if state.closed.is_none() => {
                // Ready, versions and all: only now the back-off starts anew (invariant 13.5).
                state.failures = 0;
                state.not_before = None;
                state.last_error = None;
                let open = Slot::Open { connection: connection.clone(), since: now };
                state.put(purpose, open);
                Ok(connection)
            }
            Ok(_) => {
                state.put(purpose, Slot::Empty);
                Err(state.closed.clone().unwrap_or(Error::bare(Code::CLOSED)))
            }
            Err(cause) => {
                let error = unreachable(&address, cause);
                state.failures = state.failures.saturating_add(1);
                let pause = self.network.settings().reconnect.delay(state.failures, jitter());
                state.not_before = Some(now + pause);
                let before = state.last_error.replace(error.clone());
                state.put(purpose, Slot::Empty);
                drop(state);
                // The same trouble is told once, not at each attempt (invariant 13.7).
                let known = before.is_some_and(|before| before.message() == error.message());
                let level = if known { Level::Debug } else { Level::Warn };
                self.network.logger().log(level, "net", format_args!("{error}"));
                Err(error)
            }
        }
    }

    async fn back_off(&self) {
        let until = {
            let mut state = self.lock();
            let until = state.not_before.filter(|until| *until > Instant::now());
            state.stage = until.map(|_| Stage::BackingOff);
            until
        };
        if let Some(until) = until {
            sleep_until(until.into()).await;
        }
    }

    /// Grows with the failures, so that a slow path is reached in the end (invariant 13.6).
    fn setup_time(&self, failures: u32) -> Duration {
        let setup = self.network.settings().setup;
        if failures == 0 { setup.first } else { setup.delay(failures + 1, jitter()) }
    }
}

impl State {
    fn put(&mut self, purpose: Purpose, slot: Slot) {
        if let Some(place) = self.slots.get_mut(purpose as usize) {
            *place = slot;
        }
    }

    fn connections(&self) -> impl Iterator<Item = &Connection> {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Open { connection, .. } => Some(connection),
            _ => None,
        })
    }
}

/// Not one byte of the request left, because the connection was over.
fn is_stale_connection(error: &Error) -> bool {
    error.code() == Code::DISCONNECTED && error.persistence() == Persistence::NotPersisted
}

/// The error of an attempt to connect. What the peer said keeps its code; a peer that said nothing
/// is a failed connection.
fn unreachable(address: &Address, cause: Error) -> Error {
    let code = match cause.code() {
        Code::TIMED_OUT | Code::DISCONNECTED | Code::ABANDONED | Code::IO => {
            Code::CONNECTION_FAILED
        }
        code => code,
    };
    // The connection has named the broker already: once is enough.
    let repeats = cause.message().starts_with(&format!("broker {address}: "));
    let cause = cause.cause().filter(|_| repeats).cloned().unwrap_or(cause);
    let text = format!("cannot connect to broker {address}");
    Error::new(code, text).caused_by(cause).with_broker(address.to_string())
}

#[cfg(test)]
#[path = "broker_tests.rs"]
mod tests;
