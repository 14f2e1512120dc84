//! One task per broker: asks, waits for the answer, takes it in, asks again.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use super::arrival::{self, Context};
use super::plan::{self, Asked, Limits};
use crate::config::IsolationLevel;
use crate::consumer::budget::{Seat, Unread};
use crate::consumer::core::Core;
use crate::consumer::partition::Retry;
use crate::error::{Code, Error, Persistence, Result};
use crate::log::Level;
use crate::net::{Broker, Connection, Purpose};
use crate::protocol::modern::messages::fetch::{FetchRequest, FetchResponse};
use crate::runtime::{Task, inject_panic};

/// Starts the fetcher of one broker; a panic in it poisons the consumer.
pub(in crate::consumer) fn start(core: &Arc<Core>, broker: i32, seat: Arc<Seat>) -> Task {
    let fetcher = Fetcher {
        core: Arc::clone(core),
        broker,
        seat,
        own: None,
        retry: Retry::default(),
        repeated: false,
        told: None,
    };
    let core = Arc::clone(core);
    core.cluster.runtime().spawn("fetcher", move |error| core.fail(error), fetcher.run())
}

struct Fetcher {
    core: Arc<Core>,
    broker: i32,
    seat: Arc<Seat>,
    /// The broker with connections of this fetcher's own; they close with it.
    own: Option<Arc<Broker>>,
    retry: Retry,
    /// The last request met a connection that had ended before.
    repeated: bool,
    /// The last failure told to the application: told once until something succeeds (13.7).
    told: Option<Code>,
}

/// A request ready to be sent.
struct Ask {
    partitions: Vec<Asked>,
    version: i16,
    limits: Limits,
}

/// What became of the preparation.
enum Prepared {
    /// The request.
    Ask(Ask),
    /// Things changed while connecting: look again.
    Nothing,
    /// The budget is used up; the seat is registered.
    NoRoom,
}

impl Fetcher {
    async fn run(mut self) {
        loop {
            let now = Instant::now();
            let pause = match self.retry.due(now) {
                Some(due) => ControlFlow::Break(Some(due)),
                None => self.choose(now).map_continue(|_| ()),
            };
            match pause {
                ControlFlow::Break(until) => self.rest(until).await,
                ControlFlow::Continue(()) => {
                    if let Err(error) = self.fetch().await {
                        self.failed(&error);
                    }
                }
            }
        }
    }

    /// Sleeps until something changes for this broker, or until `until`.
    async fn rest(&self, until: Option<Instant>) {
        let woken = self.seat.wake.notified();
        match until {
            None => woken.await,
            Some(until) => {
                let _ = tokio::time::timeout_at(until.into(), woken).await;
            }
        }
    }

    fn choose(&self, now: Instant) -> ControlFlow<Option<Instant>, Vec<Asked>> {
        let state = self.core.lock();
        match state.led.get(&self.broker) {
            Some(led) => plan::choose(&state, led, now),
            None => ControlFlow::Break(None),
        }
    }

    /// One request and its answer.
    async fn fetch(&mut self) -> Result<()> {
        let connection = self.connect().await?;
        match self.prepare(&connection)? {
            Prepared::Nothing => Ok(()),
            Prepared::NoRoom => {
                // Who waits for messages learns why there are none; a release wakes us.
                self.core.signal.nudge();
                self.rest(None).await;
                self.core.budget.give_up(&self.seat);
                Ok(())
            }
            Prepared::Ask(ask) => {
                let config = &self.core.config;
                // From now on, whatever time connecting took; and more than the broker may wait
                // (6.10), or each quiet partition would cost a connection.
                let deadline = Instant::now() + config.request_timeout + config.fetch_max_wait;
                let request = plan::request(&ask.partitions, ask.version, ask.limits);
                let response: FetchResponse =
                    connection.request_at(ask.version, &request, deadline).await?;
                inject_panic("fetcher");
                self.accept(ask, response)
            }
        }
    }

    /// The connection, which is this fetcher's alone: behind the long poll of another consumer of the
    /// same cluster each fetch would wait (1.18).
    async fn connect(&mut self) -> Result<Connection> {
        let broker = self.core.cluster.broker(self.broker).ok_or_else(|| {
            let text = format!("broker {} is not in the cluster's metadata", self.broker);
            Error::new(Code::LEADER_NOT_AVAILABLE, text)
        })?;
        let own = self.own.get_or_insert_with(|| broker.twin());
        own.set_address(broker.address(), broker.rack());
        own.connection(Purpose::Fetch, Instant::now() + self.core.config.request_timeout).await
    }

    /// Chooses anew, now that there is a connection: connecting took time.
    fn prepare(&self, connection: &Connection) -> Result<Prepared> {
        let ControlFlow::Continue(mut partitions) = self.choose(Instant::now()) else {
            return Ok(Prepared::Nothing);
        };
        let config = &self.core.config;
        let bytes = |number: i32| usize::try_from(number).unwrap_or(0);
        let worth = bytes(config.max_partition_fetch_bytes);
        let brokers = self.core.lock().brokers();
        let wish = bytes(config.fetch_max_bytes).min(self.core.budget.share(brokers));
        let Some(grant) = self.core.budget.grant(&self.seat, wish, worth) else {
            return Ok(Prepared::NoRoom);
        };
        let version = self.version(connection, &partitions)?;
        plan::cut_to_fit(&mut partitions, version, grant);
        let limits = Limits {
            max_wait_ms: i32::try_from(config.fetch_max_wait.as_millis()).unwrap_or(i32::MAX),
            min_bytes: config.fetch_min_bytes,
            max_bytes: i32::try_from(grant).unwrap_or(i32::MAX),
            isolation: config.isolation_level.wire(),
        };
        Ok(Prepared::Ask(Ask { partitions, version, limits }))
    }

    /// Topic ids only where every topic of the request has one (2.6); committed data only where the
    /// broker can tell (2.8).
    fn version(&self, connection: &Connection, partitions: &[Asked]) -> Result<i16> {
        let versions = connection.versions();
        let version = match plan::all_have_ids(partitions) {
            true => versions.pick_with_topic_ids::<FetchRequest>()?,
            false => versions.pick::<FetchRequest>()?,
        };
        let committed = self.core.config.isolation_level == IsolationLevel::ReadCommitted;
        match committed && version < plan::FIRST_VERSION_WITH_ISOLATION {
            true => Err(versions.unsupported("isolation.level=read_committed")),
            false => Ok(version),
        }
    }

    fn accept(&mut self, ask: Ask, response: FetchResponse) -> Result<()> {
        let code = Code::from(response.error_code);
        if code != Code::NONE {
            return Err(Error::new(code, "the fetch was refused as a whole"));
        }
        self.retry.clear();
        self.repeated = false;
        self.told = None;
        self.take_in(ask, response);
        Ok(())
    }

    fn take_in(&self, ask: Ask, response: FetchResponse) {
        let core = &self.core;
        let shares = response.responses.iter().flat_map(|topic| &topic.partitions);
        let bytes = shares.map(|p| p.records.as_ref().map_or(0, bytes::Bytes::len)).sum();
        let context = Context {
            config: &core.config,
            broker: self.broker,
            version: ask.version,
            now: Instant::now(),
            lease: (bytes > 0).then(|| core.budget.charge(&self.seat, bytes)),
            unread: Unread::new(&self.seat),
        };
        let mut state = core.lock();
        let aftermath = arrival::accept(&mut state, ask.partitions, response, &context);
        let news = state.has_news();
        drop(state);
        drop(context);
        if news {
            core.signal.notify();
        }
        if !aftermath.hints.is_empty() {
            core.cluster.take_hints(&aftermath.hints, &aftermath.endpoints);
        }
        if aftermath.refresh {
            core.cluster.refresh("a broker no longer leads what was fetched from it");
        }
        if aftermath.diverged {
            core.kick.notify_one();
        }
        for (topic, partition, offset) in &aftermath.gone {
            core.cluster.logger().info(
                "fetcher",
                format_args!(
                    "offset {offset} of topic {topic}, partition {partition} is out of range on \
                     broker {}: auto.offset.reset decides",
                    self.broker
                ),
            );
            core.kick.notify_one();
        }
    }

    /// The connection or the whole request failed: keep away for a while, and ask who leads now.
    fn failed(&mut self, error: &Error) {
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
        core.config.back_off(&mut self.retry, Instant::now());
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
