//! The broker that coordinates a group: found once, kept, and found again when it is another one.
//!
//! A coordinator's broker has connections of its own, two lanes: a join waits at the broker until every
//! member has come, and nothing may stand behind it (invariant 1.18), also not the join of another
//! member in the same process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::time::{sleep_until, timeout_at};

use super::search::{Search, Told};
use crate::cluster::Cluster;
use crate::config::Address;
use crate::error::{Code, Error, Persistence, Result};
use crate::net::{Backoff, Broker, Purpose, Versions, jitter};
use crate::protocol::modern::Request;

/// What a request to a coordinator may stand behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// What is answered at once: heartbeats, commits, leaving.
    Quick,
    /// What waits for other members: joins.
    Patient,
}

impl Lane {
    fn purpose(self) -> Purpose {
        match self {
            Self::Quick => Purpose::Control,
            Self::Patient => Purpose::Coordinator,
        }
    }
}

/// A broker that was found to be the coordinator, once.
#[derive(Clone, Debug)]
pub struct Seat {
    broker: Arc<Broker>,
    /// Counts the searches: word of a loss concerns one finding, not the next.
    number: u64,
}

impl Seat {
    /// The broker's node id.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.broker.id()
    }
}

/// The coordinator of one group, for one member and its offsets.
#[derive(Debug)]
pub struct Coordinator {
    cluster: Arc<Cluster>,
    group: Arc<str>,
    backoff: Backoff,
    found: Mutex<Found>,
    /// One search at a time; who waits for it takes its result.
    searching: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Found {
    seat: Option<Seat>,
    /// The broker of before, whose connections serve again if it is found again.
    last: Option<Arc<Broker>>,
    searches: u64,
    /// How often it was lost since it last served: the first search after that begins at once.
    losses: u32,
}

impl Coordinator {
    /// Nobody is looked for before somebody asks.
    pub fn new(cluster: &Arc<Cluster>, group: &Arc<str>) -> Arc<Self> {
        let config = cluster.client_config();
        let backoff = Backoff { first: config.retry_backoff, most: config.retry_backoff_max };
        Arc::new(Self {
            cluster: Arc::clone(cluster),
            group: Arc::clone(group),
            backoff,
            found: Mutex::default(),
            searching: tokio::sync::Mutex::default(),
        })
    }

    /// The cluster that it is a broker of.
    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// The group that it coordinates.
    pub fn group(&self) -> &Arc<str> {
        &self.group
    }

    fn lock(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The coordinator as far as it is known now.
    pub fn known(&self) -> Option<Seat> {
        self.lock().seat.clone()
    }

    /// The coordinator, looked for if need be. The first search after a loss begins at once, further
    /// ones back off until it serves (invariant 13.5).
    ///
    /// `TIMED_OUT` at `deadline` with the cause; `GROUP_AUTHORIZATION_FAILED`, `INVALID_GROUP_ID` and
    /// the like as brokers say; `UNSUPPORTED_FEATURE` from brokers without coordinators.
    pub async fn find(&self, deadline: Instant) -> Result<Seat> {
        let begun = Instant::now();
        let late = |cause: Option<Error>| {
            let (group, ms) = (&self.group, begun.elapsed().as_millis());
            let text = format!("no coordinator of group {group} was found within {ms} ms");
            let error = Error::new(Code::TIMED_OUT, text);
            cause.map_or(error.clone(), |cause| error.caused_by(cause))
        };
        if let Some(seat) = self.known() {
            return Ok(seat);
        }
        let Ok(_turn) = timeout_at(deadline.into(), self.searching.lock()).await else {
            return Err(late(None));
        };
        let mut trouble = None;
        let (losses, mut search) = {
            let found = self.lock();
            let lost = found.last.as_ref().map(|broker| broker.id());
            let search = Search::new(&self.cluster, &self.group, lost);
            (found.losses.saturating_sub(1), search)
        };
        for attempt in 0.. {
            if let Some(seat) = self.known() {
                return Ok(seat);
            }
            let pause = self.backoff.delay(losses.saturating_add(attempt), jitter());
            let next = Instant::now() + pause;
            sleep_until(next.min(deadline).into()).await;
            self.cluster.check_open()?;
            if attempt > 0 && Instant::now() >= deadline {
                break;
            }
            match timeout_at(deadline.into(), search.ask(deadline)).await {
                Ok(Told::Here { id, address }) => return Ok(self.seat(id, address)),
                Ok(Told::Refused(error)) => return Err(error),
                Ok(Told::Later(error)) => {
                    self.cluster.refresh("a group's coordinator is looked for");
                    trouble = Some(error);
                }
                Err(_) => {}
            }
            if Instant::now() >= deadline {
                break;
            }
        }
        Err(late(trouble))
    }

    fn seat(&self, id: i32, address: Address) -> Seat {
        let mut found = self.lock();
        found.searches += 1;
        let same = found.last.take().filter(|broker| broker.id() == id);
        let broker = match same {
            Some(broker) => {
                broker.set_address(address, None);
                broker
            }
            None => self.cluster.broker_apart(id, address),
        };
        let seat = Seat { broker: Arc::clone(&broker), number: found.searches };
        found.last = Some(broker);
        found.seat = Some(seat.clone());
        drop(found);
        let (logger, group) = (self.cluster.logger(), &self.group);
        logger.debug("group", format_args!("group {group}: broker {id} coordinates"));
        seat
    }

    /// It is not there, or not the coordinator any more: the next [`find`](Self::find) looks again. Word
    /// of an older finding changes nothing.
    pub fn lost(&self, seat: &Seat) {
        let mut found = self.lock();
        if found.seat.as_ref().is_some_and(|known| known.number == seat.number) {
            found.seat = None;
            found.losses = found.losses.saturating_add(1);
        }
    }

    /// It served: should it be lost now, the search begins at once.
    pub fn served(&self) {
        self.lock().losses = 0;
    }

    /// Nobody waits for what is on its way in this lane any more. A broker answers a connection in order
    /// and reads nothing behind a request that it holds; Kafka before 2.3 never answers the join of a
    /// member that left: the next join would stand behind it until its own time ran out.
    ///
    /// A request of a task that was aborted while it ran on another I/O thread may yet be written: it has
    /// a time of its own, at which its connection is closed.
    pub fn hang_up(&self, lane: Lane) {
        let broker = self.lock().last.clone();
        let connection = broker.and_then(|broker| broker.open_connection(lane.purpose()));
        if let Some(connection) = connection.filter(|connection| connection.in_flight() > 0) {
            let text = "nobody waits for the coordinator's answer any more";
            connection.close(Error::new(Code::DISCONNECTED, text));
        }
    }

    /// Sends a request to the coordinator; the version it was sent in, and the answer. `make` builds
    /// it for what this broker speaks. A failure of the connection loses the coordinator.
    ///
    /// `deadline` is the broker's time, not the caller's patience: when it passes the connection is
    /// closed (invariant 13.4).
    pub async fn ask<R: Request>(
        &self,
        seat: &Seat,
        lane: Lane,
        deadline: Instant,
        make: impl Fn(&Versions) -> Result<(i16, R)>,
    ) -> Result<(i16, R::Response)> {
        let mut outcome = self.ask_once(seat, lane, deadline, &make).await;
        if outcome.as_ref().is_err_and(is_stale_connection) {
            // The peer had ended the connection while it was idle (invariant 13.11).
            outcome = self.ask_once(seat, lane, deadline, &make).await;
        }
        outcome.inspect_err(|error| {
            let ours = [Code::UNSUPPORTED_FEATURE, Code::INVALID_ARGUMENT, Code::CLOSED];
            if !ours.contains(&error.code()) {
                self.lost(seat);
            }
        })
    }

    async fn ask_once<R: Request>(
        &self,
        seat: &Seat,
        lane: Lane,
        deadline: Instant,
        make: &impl Fn(&Versions) -> Result<(i16, R)>,
    ) -> Result<(i16, R::Response)> {
        // The connections are not the cluster's own, and do not close with it.
        self.cluster.check_open()?;
        let connection = seat.broker.connection(lane.purpose(), deadline).await?;
        let (version, request) = make(connection.versions())?;
        let response = connection.request_at(version, &request, deadline).await?;
        Ok((version, response))
    }
}

/// Not one byte of the request left, because the connection was over.
fn is_stale_connection(error: &Error) -> bool {
    error.code() == Code::DISCONNECTED && error.persistence() == Persistence::NotPersisted
}
