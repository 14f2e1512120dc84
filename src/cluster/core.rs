//! What the handle of a cluster, its metadata loop and its calls share.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::events::Events;
use super::schedule::Urgency;
use super::wishes::Wishes;
use super::{Child, Cluster, Metadata, Topic};
use crate::config::{ClientConfig, Config};
use crate::discovery::Discovery;
use crate::error::{Code, Error, Result};
use crate::log::Logger;
use crate::net::{Broker, Network};
use crate::runtime::{Completion, Runtime, Signal};

/// How long discovery may take to let go of its registry.
const FAREWELL: Duration = Duration::from_millis(500);

/// How far the metadata loop has come; told to waiters after each answer and failure.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// The newest wish that an answer covers.
    pub(super) answered: u64,
    /// Whether a broker ever answered usefully.
    pub(super) contact: bool,
    /// Why the last round failed; none after a success.
    pub(super) trouble: Option<Error>,
    /// Why waiting for the first contact is of no use: nobody will mend it by itself.
    pub(super) refusal: Option<Error>,
}

#[derive(Debug)]
pub(super) struct Core {
    pub(super) config: Config,
    pub(super) client: ClientConfig,
    pub(super) runtime: Runtime,
    pub(super) logger: Logger,
    pub(super) network: Arc<Network>,
    pub(super) discovery: Box<dyn Discovery>,
    /// Where application threads wait: events, first contact, topics, blocking calls.
    pub(super) signal: Arc<Signal>,
    pub(super) topics: Mutex<HashMap<Arc<str>, Arc<Topic>>>,
    pub(super) brokers: Mutex<Brokers>,
    pub(super) events: Mutex<Events>,
    pub(super) children: Mutex<Vec<Weak<dyn Child>>>,
    pub(super) snapshot: watch::Sender<Arc<Metadata>>,
    pub(super) progress: watch::Sender<Progress>,
    wishes: Mutex<Wishes>,
    wake: Notify,
    // The handle over this core, for the topics.
    handle: OnceLock<Weak<Cluster>>,
    // The end of discovery, for `close` to wait for.
    pub(super) farewell: Mutex<Option<Completion<()>>>,
    // Closed or failed: no call succeeds any more. The first reason stays.
    ended: OnceLock<Error>,
}

/// Every broker ever seen. One that metadata no longer lists keeps its object: should it come back,
/// there must not be a second one with connections of its own (invariants 1.13, 1.19).
#[derive(Debug, Default)]
pub(super) struct Brokers {
    pub(super) by_id: HashMap<i32, Arc<Broker>>,
    /// The ids that metadata lists now.
    pub(super) listed: BTreeSet<i32>,
    pub(super) seeds: Vec<Arc<Broker>>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    pub(super) fn new(
        config: Config,
        client: ClientConfig,
        runtime: Runtime,
        network: Arc<Network>,
        discovery: Box<dyn Discovery>,
    ) -> Arc<Self> {
        Arc::new(Self {
            config,
            logger: client.logger.clone(),
            client,
            runtime,
            network,
            discovery,
            signal: Arc::new(Signal::new()),
            topics: Mutex::default(),
            brokers: Mutex::default(),
            events: Mutex::default(),
            children: Mutex::default(),
            snapshot: watch::Sender::new(Arc::new(Metadata::empty())),
            progress: watch::Sender::new(Progress::default()),
            wishes: Mutex::default(),
            wake: Notify::new(),
            handle: OnceLock::new(),
            farewell: Mutex::default(),
            ended: OnceLock::new(),
        })
    }

    pub(super) fn set_handle(&self, handle: Weak<Cluster>) {
        // Set once, before anybody else has the core.
        let _ = self.handle.set(handle);
    }

    pub(super) fn handle(&self) -> Weak<Cluster> {
        self.handle.get().cloned().unwrap_or_default()
    }

    pub(super) fn metadata(&self) -> Arc<Metadata> {
        Arc::clone(&self.snapshot.borrow())
    }

    /// The broker of this node id, if metadata lists it now.
    pub(super) fn broker(&self, id: i32) -> Option<Arc<Broker>> {
        let brokers = lock(&self.brokers);
        brokers.by_id.get(&id).filter(|_| brokers.listed.contains(&id)).cloned()
    }

    /// Changes the wishes and wakes the loop. Wake-ups are merged, never limited (invariant 13.3).
    pub(super) fn wish<T>(&self, change: impl FnOnce(&mut Wishes) -> T) -> T {
        let result = change(&mut lock(&self.wishes));
        self.wake.notify_one();
        result
    }

    /// Reads or takes from the wishes without waking the loop: for the loop itself.
    pub(super) fn wishes<T>(&self, look: impl FnOnce(&mut Wishes) -> T) -> T {
        look(&mut lock(&self.wishes))
    }

    /// Wants this topic (see [`Wishes::want`]); gives the wish's number and since when it is wanted in vain.
    pub(super) fn want(&self, topic: &Arc<Topic>, stays: bool, now: Instant) -> (u64, Instant) {
        self.wish(|wishes| wishes.want(topic, stays, now))
    }

    pub(super) fn trigger(&self, urgency: Urgency, why: &'static str) {
        self.wish(|wishes| wishes.trigger(urgency, why));
    }

    /// Waits until somebody changed the wishes or ended the cluster.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Tells waiters how far the loop has come.
    pub(super) fn tell(&self, change: impl FnOnce(&mut Progress)) {
        self.progress.send_modify(change);
        self.signal.nudge();
    }

    /// The error of every call after the end, if it has ended.
    pub(super) fn ended(&self) -> Option<Error> {
        self.ended.get().cloned()
    }

    pub(super) fn check_open(&self) -> Result<()> {
        self.ended().map_or(Ok(()), Err)
    }

    /// Ends the cluster: the loop stops, connections close, every waiter gets `error`. True for the
    /// first call.
    pub(super) fn end(&self, error: Error) -> bool {
        let first = self.ended.set(error.clone()).is_ok();
        if first {
            self.wake.notify_one();
            self.tell(|_| ());
            // Not under the lock: closing wakes tasks.
            let brokers: Vec<Arc<Broker>> = {
                let brokers = lock(&self.brokers);
                brokers.by_id.values().chain(&brokers.seeds).cloned().collect()
            };
            for broker in brokers {
                broker.close(&error);
            }
            // Its last words are said in the background, unless `close` waits for them.
            let farewell = self.discovery.end(Instant::now() + FAREWELL);
            *lock(&self.farewell) = farewell;
        }
        first
    }

    /// Ends the cluster for a reason that nobody can mend: producers and consumers fail with it.
    pub(super) fn fail(&self, error: Error) {
        self.logger.error("metadata", format_args!("{error}"));
        self.end(error.clone());
        self.signal.fail(error.clone());
        for child in self.take_children() {
            child.fail(error.clone());
        }
    }

    pub(super) fn take_children(&self) -> Vec<Arc<dyn Child>> {
        lock(&self.children).iter().filter_map(Weak::upgrade).collect()
    }

    pub(super) fn closed() -> Error {
        Error::new(Code::CLOSED, "the cluster is closed")
    }
}
