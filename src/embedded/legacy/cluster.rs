//! The handle that programs and tests hold.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::net::TcpStream;

use super::connection;
use super::fault::Fault;
use super::options::Options;
use super::registration::Registration;
use super::state::State;
use crate::embedded::FaultId;
use crate::embedded::server::{self, Ended, Host, Server, Which};
use crate::error::{Code, Error, Result};
use crate::os::fork::Era;
use crate::protocol::legacy::RequestId;

/// The most brokers in one cluster.
const BROKERS_MAX: usize = 100;
/// The most partitions of a topic on one broker.
const PARTITIONS_MAX: i32 = 100_000;

/// Embedded brokers of Kafka 0.7, each with its own listener on an ephemeral loopback port and its
/// own logs: 0.7 has no replicas.
///
/// They run on the library's process-wide I/O threads. Every method may be called from any thread
/// but those. Dropping the cluster stops it; in a forked child it does nothing.
#[derive(Debug)]
pub struct Cluster {
    state: Arc<State>,
    server: Arc<Server>,
    /// Held while brokers start or stop: what each has registered.
    turn: Mutex<Vec<Option<Registration>>>,
    era: Era,
}

impl Host for State {
    fn is_alive(&self, broker: i32) -> bool {
        self.broker(broker).is_ok_and(|broker| broker.is_alive())
    }

    fn fail(&self, error: Error) {
        self.fail_with(error);
    }

    async fn serve(self: Arc<Self>, broker: i32, _number: u64, stream: Ended<TcpStream>) {
        connection::run(self, broker, stream).await;
    }
}

impl Cluster {
    /// Starts brokers.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for a number of brokers that is not 1 … 100 or of partitions that is not
    /// 1 … 100,000; IO when no port can be had; RUNTIME when the I/O threads cannot be started; with a
    /// ZooKeeper those of [`start_broker`](Self::start_broker).
    pub fn start(options: Options) -> Result<Self> {
        let brokers = options.brokers;
        if !(1..=BROKERS_MAX).contains(&brokers) {
            let why = format!("{brokers} brokers: give 1 to {BROKERS_MAX}");
            return Err(Error::new(Code::INVALID_ARGUMENT, why));
        }
        let counts = || options.topic_partitions.values().chain([&options.partitions]);
        if let Some(count) = counts().find(|count| !(1..=PARTITIONS_MAX).contains(*count)) {
            let why = format!("{count} partitions: give 1 to {PARTITIONS_MAX}");
            return Err(Error::new(Code::INVALID_ARGUMENT, why));
        }
        let bound = (0..brokers).map(|_| server::bind(0)).collect::<Result<Vec<_>>>()?;
        let (listeners, addresses): (Vec<_>, Vec<_>) = bound.into_iter().unzip();
        let cluster = Self {
            state: Arc::new(State::new(options, addresses)),
            server: Arc::default(),
            turn: Mutex::new((0..brokers).map(|_| None).collect()),
            era: Era::current(),
        };
        for (broker, listener) in (0_i32..).zip(listeners) {
            cluster.server.listen(&cluster.state, broker, listener)?;
            cluster.register(&mut cluster.turn(), broker)?;
        }
        Ok(cluster)
    }

    fn turn(&self) -> MutexGuard<'_, Vec<Option<Registration>>> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a broker that listens, if there is a ZooKeeper.
    fn register(&self, turn: &mut [Option<Registration>], broker: i32) -> Result<()> {
        let Some(connect) = &self.state.options.zookeeper else { return Ok(()) };
        let registration = Registration::begin(&self.state, broker, connect)?;
        if let Some(place) = usize::try_from(broker).ok().and_then(|at| turn.get_mut(at)) {
            *place = Some(registration);
        }
        Ok(())
    }

    /// How many brokers there are, running or not. Their ids count from 0.
    #[must_use]
    pub fn brokers(&self) -> usize {
        self.state.brokers.len()
    }

    /// The address of a broker; INVALID_ARGUMENT for an id that there is not.
    pub fn address(&self, broker: i32) -> Result<SocketAddr> {
        self.state.broker(broker).map(|broker| broker.address)
    }

    /// Stops every broker and closes every connection; returns when the sockets are closed. A
    /// second stop does nothing.
    pub fn stop(&self) {
        if !self.era.is_current() {
            return;
        }
        let mut turn = self.turn();
        Registration::end(turn.iter_mut().filter_map(Option::take));
        self.state.brokers.iter().for_each(|broker| broker.set_alive(false));
        // The wait is bounded; tasks that do not end in time end later, nothing depends on them.
        let _bounded = self.server.end(Which::All);
    }

    /// Stops a broker: its port refuses, its connections are closed wherever they are. Its logs
    /// stay, flushed or not, as after a SIGKILL. What it registered goes at once, as far as ZooKeeper
    /// hears of it.
    pub fn stop_broker(&self, broker: i32) -> Result<()> {
        self.era.check()?;
        let mut turn = self.turn();
        self.state.broker(broker)?.set_alive(false);
        let place = usize::try_from(broker).ok().and_then(|at| turn.get_mut(at));
        Registration::end(place.and_then(Option::take));
        self.server.end(Which::Broker(broker))
    }

    /// Starts a stopped broker again on its old port, with its logs; does nothing if it runs.
    ///
    /// # Errors
    /// IO if something else took the port meanwhile; TIMED_OUT, ZOOKEEPER or INVALID_PROPERTY when the
    /// broker cannot be registered.
    pub fn start_broker(&self, broker: i32) -> Result<()> {
        self.era.check()?;
        let mut turn = self.turn();
        let seat = self.state.broker(broker)?;
        if seat.is_alive() {
            return Ok(());
        }
        let (listener, _) = server::bind(seat.address.port())?;
        seat.set_alive(true);
        self.server.listen(&self.state, broker, listener)?;
        self.register(&mut turn, broker)
    }

    /// Closes every open connection of a broker (None: of all); the brokers go on.
    pub fn close_connections(&self, broker: Option<i32>) -> Result<()> {
        self.era.check()?;
        if let Some(broker) = broker {
            self.state.broker(broker)?;
        }
        self.server.end(Which::Connections(broker))
    }

    /// Open connections of a broker (None: of all).
    #[must_use]
    pub fn connections(&self, broker: Option<i32>) -> usize {
        self.server.connections(broker)
    }

    /// The topics that were written to on a broker, sorted.
    pub fn topics(&self, broker: i32) -> Result<Vec<String>> {
        Ok(self.state.broker(broker)?.topics().names())
    }

    /// Whether a broker has a topic.
    pub fn has_topic(&self, broker: i32, topic: &str) -> Result<bool> {
        Ok(self.state.broker(broker)?.topics().contains(topic))
    }

    /// All bytes that a broker keeps of a partition, flushed or not; none if it has no log.
    pub fn log(&self, broker: i32, topic: &str, partition: i32) -> Result<Vec<u8>> {
        let now = super::log::Now { instant: Instant::now(), ms: 0 };
        let mut topics = self.state.broker(broker)?.topics();
        let log = topics.log(topic, partition, &self.state.options, now);
        Ok(log.map(super::log::Log::bytes).unwrap_or_default())
    }

    /// Adds a fault behind those injected before.
    pub fn inject(&self, fault: Fault) -> FaultId {
        self.state.faults().inject(fault)
    }

    /// Takes a fault back: it meets nothing more.
    pub fn withdraw(&self, id: FaultId) {
        self.state.faults().withdraw(id);
    }

    /// Takes every fault back.
    pub fn withdraw_all(&self) {
        self.state.faults().withdraw_all();
    }

    /// How many requests a fault has met.
    #[must_use]
    pub fn injected(&self, id: FaultId) -> u64 {
        self.state.faults().met(id)
    }

    /// Waits until a fault has met `n` requests.
    ///
    /// # Errors
    /// TIMED_OUT at the deadline; PANIC if the embedded brokers failed.
    pub fn wait_injected(
        &self,
        id: FaultId,
        n: u64,
        deadline: impl Into<Option<Instant>>,
    ) -> Result<()> {
        let met = || self.injected(id);
        self.wait(deadline.into(), &|| met() >= n, &|| {
            format!("the fault has met {} requests, not {n}", met())
        })
    }

    /// The offset that the next message of a partition gets, flushed or not; 0 without a log.
    pub fn log_end(&self, broker: i32, topic: &str, partition: i32) -> Result<i64> {
        let now = super::log::Now { instant: Instant::now(), ms: 0 };
        let mut topics = self.state.broker(broker)?.topics();
        let log = topics.log(topic, partition, &self.state.options, now);
        Ok(log.map_or(0, super::log::Log::end))
    }

    /// How many requests of a kind a broker has done since the start.
    pub fn requests(&self, broker: i32, request: RequestId) -> Result<u64> {
        Ok(self.state.broker(broker)?.requests(request))
    }

    /// Waits until a broker has done `n` requests of a kind since the start.
    ///
    /// # Errors
    /// TIMED_OUT at the deadline; PANIC if the embedded brokers failed.
    pub fn wait_requests(
        &self,
        broker: i32,
        request: RequestId,
        n: u64,
        deadline: Instant,
    ) -> Result<()> {
        let broker = self.state.broker(broker)?;
        let done = || broker.requests(request);
        self.wait(Some(deadline), &|| done() >= n, &|| {
            format!("{} requests {request:?} were done, not {n}", done())
        })
    }

    /// Waits until all brokers together have done `n` requests of a kind since the start.
    ///
    /// # Errors
    /// As [`wait_requests`](Self::wait_requests).
    pub fn wait_all_requests(
        &self,
        request: RequestId,
        n: u64,
        deadline: impl Into<Option<Instant>>,
    ) -> Result<()> {
        let done = || self.state.brokers.iter().map(|broker| broker.requests(request)).sum::<u64>();
        self.wait(deadline.into(), &|| done() >= n, &|| {
            format!("{} requests {request:?} were done, not {n}", done())
        })
    }

    fn wait(
        &self,
        deadline: Option<Instant>,
        so: &dyn Fn() -> bool,
        why: &dyn Fn() -> String,
    ) -> Result<()> {
        loop {
            let ticket = self.state.progress.prepare();
            if let Some(error) = self.state.failure.get() {
                return Err(error.clone());
            }
            if so() {
                return Ok(());
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(Error::new(Code::TIMED_OUT, why()));
            }
            self.state.progress.wait(ticket, deadline);
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
    }
}
