//! The handle that programs and tests hold.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::fault::{Fault, FaultId};
use super::ledger::SeenRequest;
use super::options::{Options, TopicSpec};
use super::release::Release;
use super::server::{self, Server, Which};
use super::state::Shared;
use crate::error::{Code, Error, Result};
use crate::os::fork::Era;

/// The most brokers in one cluster.
const BROKERS_MAX: usize = 100;

/// A cluster of embedded brokers, each with its own listener on an ephemeral loopback port.
///
/// They run on the library's process-wide I/O threads. Every method may be called from any thread
/// but those. Dropping the cluster stops it; in a forked child it does nothing.
#[derive(Debug)]
pub struct Cluster {
    pub(super) shared: Arc<Shared>,
    server: Arc<Server>,
    /// Held while brokers start or stop: a start must not find a port that is still being closed,
    /// nor a stop miss a listener that is about to be.
    turn: Mutex<()>,
    era: Era,
}

impl Cluster {
    /// Starts `brokers` brokers (1 … 100) with the default options.
    ///
    /// `INVALID_ARGUMENT` for another number; `IO` when no port can be had; `RUNTIME` when the I/O
    /// threads cannot be started.
    pub fn start(brokers: usize) -> Result<Self> {
        Self::start_with(Options { brokers, ..Options::default() })
    }

    /// As [`start`](Self::start), with options.
    pub fn start_with(options: Options) -> Result<Self> {
        let brokers = options.brokers;
        if !(1..=BROKERS_MAX).contains(&brokers) {
            let why = format!("{brokers} brokers: give 1 to {BROKERS_MAX}");
            return Err(Error::new(Code::INVALID_ARGUMENT, why));
        }
        let bound = (0..brokers).map(|_| server::bind(0)).collect::<Result<Vec<_>>>()?;
        let (listeners, addresses): (Vec<_>, Vec<_>) = bound.into_iter().unzip();
        let cluster = Self {
            shared: Arc::new(Shared::new(options, addresses)),
            server: Arc::default(),
            turn: Mutex::default(),
            era: Era::current(),
        };
        for (broker, listener) in (0_i32..).zip(listeners) {
            cluster.server.listen(&cluster.shared, broker, listener)?;
        }
        Ok(cluster)
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bootstrap list: `127.0.0.1:port,…` of every broker, running or not.
    #[must_use]
    pub fn address(&self) -> String {
        let addresses: Vec<_> = self.shared.seats().map(|(_, s)| s.address.to_string()).collect();
        addresses.join(",")
    }

    /// The address of one broker; `INVALID_ARGUMENT` for an id that there is not.
    pub fn broker_address(&self, broker: i32) -> Result<SocketAddr> {
        self.shared.seat(broker).map(|seat| seat.address)
    }

    /// Stops every broker and closes every connection; returns when the sockets are closed. A
    /// second stop does nothing.
    pub fn stop(&self) {
        if !self.era.is_current() {
            return;
        }
        let _turn = self.turn();
        for (_, seat) in self.shared.seats() {
            seat.conduct().alive = false;
        }
        // The wait is bounded; tasks that do not end in time end later, nothing depends on them.
        let _bounded = self.server.end(Which::All);
    }

    /// Changes an option by its name in Kafka's `server.properties`; topics made before keep what
    /// they were made with. Understood are `auto.create.topics.enable`, `num.partitions`,
    /// `default.replication.factor`, `message.max.bytes`, `log.retention.bytes`,
    /// `log.message.timestamp.type`, `cluster.id`, `max.incremental.fetch.session.cache.slots`,
    /// `group.initial.rebalance.delay.ms`, `group.min.session.timeout.ms`,
    /// `group.max.session.timeout.ms`, `group.consumer.session.timeout.ms`,
    /// `group.consumer.heartbeat.interval.ms`, `group.consumer.assignment.interval.ms`,
    /// `replica.selector.class` (Kafka's rack-aware one) and `broker.rack` (of all brokers, by id,
    /// separated by commas).
    ///
    /// `INVALID_PROPERTY` for a value that does not parse, `UNKNOWN_PROPERTY` for another name.
    pub fn set(&self, name: &str, value: &str) -> Result<()> {
        self.shared.options().set(name, value)
    }

    // Topics

    /// Makes a topic, its leaders spread over the brokers.
    ///
    /// `TOPIC_ALREADY_EXISTS`, `INVALID_TOPIC_EXCEPTION`, `INVALID_PARTITIONS`.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<()> {
        self.create_topic_with(&TopicSpec::new(name, partitions))
    }

    /// As [`create_topic`](Self::create_topic), also `INVALID_REPLICATION_FACTOR`.
    pub fn create_topic_with(&self, spec: &TopicSpec) -> Result<()> {
        self.shared.create_topic(spec).map(drop)
    }

    /// Forgets a topic and its records; `UNKNOWN_TOPIC_OR_PARTITION`.
    pub fn delete_topic(&self, name: &str) -> Result<()> {
        self.shared.delete_topic(name)
    }

    /// Adds partitions up to `partitions` in all; `INVALID_PARTITIONS` if that is no growth.
    pub fn grow_topic(&self, name: &str, partitions: i32) -> Result<()> {
        self.shared.grow_topic(name, partitions)
    }

    /// The leader (−1: none) and its epoch.
    pub fn leader(&self, topic: &str, partition: i32) -> Result<(i32, i32)> {
        let partition = self.shared.partition(topic, partition)?;
        let state = partition.lock();
        Ok((state.leader, state.leader_epoch))
    }

    /// Makes a broker the leader (−1: nobody) with the next epoch. Fetches that wait at the old
    /// leader are answered that it is not.
    pub fn move_leader(&self, topic: &str, partition: i32, broker: i32) -> Result<()> {
        if broker != -1 {
            self.shared.seat(broker)?;
        }
        self.shared.partition(topic, partition)?.lock().move_leader(broker);
        Ok(())
    }

    /// Sets the leader epoch, forwards or backwards.
    pub fn set_leader_epoch(&self, topic: &str, partition: i32, epoch: i32) -> Result<()> {
        let partition = self.shared.partition(topic, partition)?;
        let mut state = partition.lock();
        state.leader_epoch = epoch;
        state.log.begin_epoch(epoch);
        state.wake();
        Ok(())
    }

    /// Open fetch sessions of a broker (KIP-227); `INVALID_ARGUMENT` for an id that there is not.
    pub fn fetch_sessions(&self, broker: i32) -> Result<usize> {
        Ok(self.shared.seat(broker)?.sessions().count())
    }

    /// Waits until a broker has so many fetch sessions; `TIMED_OUT` at the deadline.
    pub fn wait_fetch_sessions(
        &self,
        broker: i32,
        n: usize,
        deadline: impl Into<Option<Instant>>,
    ) -> Result<()> {
        let seat = self.shared.seat(broker)?;
        let why = || format!("broker {broker} has {} sessions, not {n}", seat.sessions().count());
        self.shared.wait(deadline.into(), &why, &|| Ok(seat.sessions().count() == n))
    }

    /// Makes a broker (None: all) forget its fetch sessions, as when others need the places: the
    /// next request in one of them is answered that it is unknown.
    pub fn forget_fetch_sessions(&self, broker: Option<i32>) -> Result<()> {
        self.shared.seats_of(broker)?.into_iter().for_each(|seat| seat.sessions().clear());
        self.shared.progress.notify_all();
        Ok(())
    }

    /// Makes a partition forget an idempotent producer (None: all), as when its id expires.
    pub fn forget_producer(&self, topic: &str, partition: i32, id: Option<i64>) -> Result<()> {
        self.shared.partition(topic, partition)?.lock().producers.forget(id);
        Ok(())
    }

    // Brokers

    /// Stops a broker: its port refuses, its connections are closed, and partitions that it led
    /// elect another living replica, or have no leader.
    pub fn stop_broker(&self, broker: i32) -> Result<()> {
        self.era.check()?;
        let _turn = self.turn();
        self.shared.set_alive(broker, false)?;
        self.server.end(Which::Broker(broker))
    }

    /// Starts a stopped broker again on its old port; does nothing if it runs. It takes back
    /// partitions without a leader, no others.
    ///
    /// `IO` if something else took the port meanwhile.
    pub fn start_broker(&self, broker: i32) -> Result<()> {
        self.era.check()?;
        let _turn = self.turn();
        if self.shared.is_alive(broker) {
            return Ok(());
        }
        let port = self.broker_address(broker)?.port();
        let (listener, _) = server::bind(port)?;
        self.shared.set_alive(broker, true)?;
        self.server.listen(&self.shared, broker, listener)
    }

    /// Closes every open connection of a broker (None: of all); the brokers go on.
    ///
    /// `INVALID_ARGUMENT` for a broker that there is not.
    pub fn close_connections(&self, broker: Option<i32>) -> Result<()> {
        self.era.check()?;
        if let Some(broker) = broker {
            self.shared.seat(broker)?;
        }
        self.server.end(Which::Connections(broker))
    }

    /// Open connections of a broker (None: of all).
    #[must_use]
    pub fn connections(&self, broker: Option<i32>) -> usize {
        self.server.connections(broker)
    }

    /// From its next request on this broker (None: all) plays that release.
    pub fn set_release(&self, broker: Option<i32>, release: Release) -> Result<()> {
        for seat in self.shared.seats_of(broker)? {
            seat.conduct().release = release;
        }
        Ok(())
    }

    /// Narrows the versions of one API that a broker (None: all) serves and advertises; an empty
    /// range takes the API away.
    pub fn limit_versions(
        &self,
        broker: Option<i32>,
        api: impl Into<i16>,
        min: i16,
        max: i16,
    ) -> Result<()> {
        let api = api.into();
        for seat in self.shared.seats_of(broker)? {
            seat.conduct().limits.insert(api, (min, max));
        }
        Ok(())
    }

    /// Changes the cluster id that Metadata tells.
    pub fn set_cluster_id(&self, id: &str) {
        id.clone_into(&mut self.shared.options().cluster_id);
    }

    // Faults and what was seen

    /// Adds a fault behind those injected before.
    pub fn inject(&self, fault: Fault) -> FaultId {
        self.shared.inject(fault)
    }

    /// How many requests the fault has met.
    #[must_use]
    pub fn injected(&self, id: FaultId) -> u64 {
        self.shared.injected(id)
    }

    /// Takes a fault back; it meets nothing more.
    pub fn withdraw(&self, id: FaultId) {
        self.shared.withdraw(Some(id));
    }

    /// Takes every fault back.
    pub fn withdraw_all(&self) {
        self.shared.withdraw(None);
    }

    /// Waits until the fault has met `n` requests; `TIMED_OUT` at the deadline.
    pub fn wait_injected(
        &self,
        id: FaultId,
        n: u64,
        deadline: impl Into<Option<Instant>>,
    ) -> Result<()> {
        let met = || self.shared.injected(id);
        let why = || format!("the fault met {} requests, not {n}", met());
        self.shared.wait(deadline.into(), &why, &|| Ok(met() >= n))
    }

    /// Requests of an API received since the start by all brokers.
    #[must_use]
    pub fn requests(&self, api: impl Into<i16>) -> u64 {
        self.shared.ledger().count(api.into())
    }

    /// Waits until all brokers together received `n` requests of an API since the start;
    /// `TIMED_OUT` at the deadline.
    pub fn wait_requests(
        &self,
        api: impl Into<i16>,
        n: u64,
        deadline: impl Into<Option<Instant>>,
    ) -> Result<()> {
        let api = api.into();
        let count = || self.shared.ledger().count(api);
        let why = || format!("{} requests of API {api} came, not {n}", count());
        self.shared.wait(deadline.into(), &why, &|| Ok(count() >= n))
    }

    /// The newest requests (at most 4,096), oldest first.
    #[must_use]
    pub fn history(&self) -> Vec<SeenRequest> {
        self.shared.ledger().newest()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
    }
}
