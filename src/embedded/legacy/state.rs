//! What the brokers of an embedded 0.7 cluster are made of.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::Notify;

use super::fault::{FaultKind, Faults};
use super::options::Options;
use super::topics::Topics;
use crate::error::{Code, Error, Result};
use crate::os::wait::WaitWord;
use crate::protocol::legacy::RequestId;

/// One broker. Its id is its place.
#[derive(Debug)]
pub(super) struct Broker {
    pub(super) address: SocketAddr,
    alive: AtomicBool,
    topics: Mutex<Topics>,
    requests: [AtomicU64; RequestId::ALL.len()],
    /// The broker got a topic that it did not have.
    pub(super) new_topic: Notify,
}

impl Broker {
    pub(super) fn topics(&self) -> MutexGuard<'_, Topics> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_alive(&self, alive: bool) {
        self.alive.store(alive, Ordering::Release);
    }

    pub(super) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }

    pub(super) fn requests(&self, request: RequestId) -> u64 {
        self.requests.get(request as usize).map_or(0, |count| count.load(Ordering::Acquire))
    }
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) options: Options,
    pub(super) brokers: Vec<Broker>,
    faults: Mutex<Faults>,
    /// The first panic of a task: a bug of this room, told to whoever waits.
    pub(super) failure: OnceLock<Error>,
    /// Moves whenever a request was done.
    pub(super) progress: WaitWord,
}

impl State {
    pub(super) fn new(options: Options, addresses: Vec<SocketAddr>) -> Self {
        let broker = |address| Broker {
            address,
            alive: AtomicBool::new(true),
            topics: Mutex::default(),
            requests: Default::default(),
            new_topic: Notify::new(),
        };
        Self {
            options,
            brokers: addresses.into_iter().map(broker).collect(),
            faults: Mutex::default(),
            failure: OnceLock::new(),
            progress: WaitWord::new(),
        }
    }

    pub(super) fn broker(&self, id: i32) -> Result<&Broker> {
        let broker = usize::try_from(id).ok().and_then(|id| self.brokers.get(id));
        broker.ok_or_else(|| {
            let last = self.brokers.len().saturating_sub(1);
            let why = format!("there is no broker {id}: their ids are 0 to {last}");
            Error::new(Code::INVALID_ARGUMENT, why)
        })
    }

    /// A task ended by a panic.
    pub(super) fn fail_with(&self, error: Error) {
        let _first = self.failure.set(error);
        self.progress.notify_all();
    }

    pub(super) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happens to a request, if a fault meets it: the first that does.
    pub(super) fn fault(&self, broker: i32, request: RequestId) -> Option<FaultKind> {
        let met = self.faults().meet(broker, request);
        self.progress.notify_all();
        met
    }

    /// A request was done, whatever came of it.
    pub(super) fn count(&self, broker: i32, request: RequestId) {
        let broker = usize::try_from(broker).ok().and_then(|id| self.brokers.get(id));
        if let Some(count) = broker.and_then(|broker| broker.requests.get(request as usize)) {
            count.fetch_add(1, Ordering::AcqRel);
        }
        self.progress.notify_all();
    }
}
