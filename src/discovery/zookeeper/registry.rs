//! The live maps of what is registered in ZooKeeper: brokers, and the topics that somebody follows.
//!
//! One task reads with watches, hears what changed, reads that again, and publishes immutable
//! snapshots. A change between a read and its watch cannot be missed, because the two are one request
//! (rule 10.8); after an expired session everything is read anew and compared with what was known.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::sleep;

use super::reading::{Reading, Trouble};
use super::registration::{Generation, RegisteredBroker, RegisteredTopic};
use super::watches::{WatchEvent, Watcher, Watches};
use super::{Failure, Phase, Session, ZooKeeper};
use crate::error::Error;
use crate::log::{Level, Logger};
use crate::net::{Backoff, jitter};
use crate::runtime::inject_panic;

/// How long one request may take; the session's own rules leave a silent server long before.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// How long to wait before a registry that could not be read is read again.
const AGAIN: Backoff = Backoff { first: Duration::from_millis(100), most: Duration::from_secs(5) };

/// What was registered at one moment. Never changes after it was published.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    /// Grows by one with each published snapshot; 0 before anything was read.
    pub number: u64,
    /// Whether ZooKeeper is connected, so that this is how things stand now; false: how they stood.
    pub is_live: bool,
    /// The registered brokers by id: the same objects as long as they stay.
    pub brokers: BTreeMap<i32, Arc<RegisteredBroker>>,
    /// The followed topics that are there, by name.
    pub topics: BTreeMap<Arc<str>, Arc<RegisteredTopic>>,
    /// Which topics were looked for when this was read, so that one of them that is not above is not
    /// there; none if not all that is followed was read yet.
    pub read: Option<Follow>,
    /// Why it could not be read; what is above is then what was known before.
    pub trouble: Option<Error>,
    /// Whether waiting is not likely to mend the trouble: the path of `zookeeper.connect` does not
    /// exist, or the credentials are refused.
    pub is_refused: bool,
}

impl Registry {
    /// What is left when the task that keeps it is gone.
    pub(in crate::discovery) fn failed(error: Error) -> Self {
        Self { number: u64::MAX, trouble: Some(error), is_refused: true, ..Self::default() }
    }

    /// Which family the brokers belong to; none while there is none.
    #[must_use]
    pub fn generation(&self) -> Option<Generation> {
        let generations = || self.brokers.values().map(|broker| broker.generation());
        generations().find(|generation| *generation == Generation::Modern).or(generations().next())
    }
}

/// Which topics are followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Follow {
    /// None: brokers only.
    #[default]
    Nothing,
    /// Those of these names, whether they are there yet or not.
    Topics(BTreeSet<Arc<str>>),
    /// Every topic.
    All,
}

/// The task that keeps the maps.
pub(in crate::discovery) struct Keeper {
    zookeeper: ZooKeeper,
    logger: Logger,
    registry: Arc<watch::Sender<Arc<Registry>>>,
    follow: watch::Receiver<Follow>,
    failures: u32,
}

/// Why a reading ended.
enum Stop {
    /// The session is over: begin again with the next one.
    Expired,
    /// Something cannot be read: try again later.
    Trouble(Trouble),
    /// The client is closed.
    Ended(Error),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Expired => Self::Expired,
            failure if failure.is_final() => Self::Ended(failure.into()),
            failure => Self::Trouble(Trouble { error: failure.into(), is_refused: false }),
        }
    }
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl Keeper {
    pub(in crate::discovery) fn new(
        zookeeper: ZooKeeper,
        logger: Logger,
        registry: Arc<watch::Sender<Arc<Registry>>>,
        follow: watch::Receiver<Follow>,
    ) -> Self {
        Self { zookeeper, logger, registry, follow, failures: 0 }
    }

    /// Runs until the client is closed or refused.
    pub(in crate::discovery) async fn run(mut self) {
        loop {
            inject_panic("registry");
            let stop = match self.zookeeper.session(Instant::now() + PATIENCE).await {
                Ok(session) => match self.keep(&session).await {
                    Ok(never) => match never {},
                    Err(stop) => stop,
                },
                Err(failure) => failure.into(),
            };
            match stop {
                Stop::Expired => {}
                Stop::Trouble(trouble) => self.pause(trouble).await,
                Stop::Ended(error) => {
                    self.publish(|registry| {
                        registry.is_live = false;
                        registry.trouble = Some(error.clone());
                        registry.is_refused = true;
                    });
                    return;
                }
            }
        }
    }

    /// Reads everything with watches, and again what changes, as long as the session lives.
    async fn keep(&mut self, session: &Session) -> Result<std::convert::Infallible, Stop> {
        let (watcher, mut watches) = Watcher::new();
        let mut status = self.zookeeper.status();
        let known = self.registry.borrow().clone();
        let mut reading = Reading::new(&known);
        reading.everything();
        let mut live = true;
        loop {
            let connected = status.borrow_and_update().is_connected();
            if connected && !live {
                // What happened meanwhile is told before this is answered: what is published as live
                // does not go back behind it.
                session.exists("/", None, Instant::now() + PATIENCE).await.map_err(Stop::from)?;
                let first = watches.try_next();
                heard(&mut reading, first, &mut watches)?;
            }
            live = connected;
            let follow = self.follow.borrow_and_update().clone();
            reading.follow(follow);
            let outcome = reading.read(session, &watcher).await;
            self.show(&reading, status.borrow_and_update().is_connected(), outcome.is_ok());
            outcome.map_err(|stop| stop.map_or_else(Stop::from, Stop::from))?;
            self.failures = 0;
            tokio::select! {
                event = watches.next() => heard(&mut reading, event, &mut watches)?,
                Ok(()) = self.follow.changed() => {}
                Ok(()) = status.changed() => {
                    let now = status.borrow_and_update().clone();
                    match now.phase {
                        Phase::Ended(error) => return Err(Stop::Ended(error)),
                        _ if now.session != session.number() => return Err(Stop::Expired),
                        _ => {}
                    }
                }
            }
        }
    }

    /// Publishes what was read, if it differs.
    fn show(&self, reading: &Reading, is_live: bool, is_whole: bool) {
        for (what, error) in reading.left_out() {
            let known = self.registry.borrow().trouble.clone();
            let told = known.is_some_and(|known| known.message() == error.message());
            let level = if told { Level::Debug } else { Level::Warn };
            self.logger.log(level, "zookeeper", format_args!("{what} is left out: {error}"));
        }
        let first_wrong = reading.left_out().next().map(|(_, error)| error.clone());
        self.publish(|registry| {
            for (id, broker) in &registry.brokers {
                if reading.brokers().get(id).is_none_or(|new| !Arc::ptr_eq(new, broker)) {
                    broker.bury();
                }
            }
            registry.brokers.clone_from(reading.brokers());
            registry.topics.clone_from(reading.topics());
            registry.read = is_whole.then(|| reading.followed().clone());
            registry.is_live = is_live;
            registry.trouble = first_wrong;
            registry.is_refused = false;
        });
    }

    async fn pause(&mut self, trouble: Trouble) {
        self.failures = self.failures.saturating_add(1);
        let level = if self.failures == 1 { Level::Warn } else { Level::Debug };
        self.logger.log(level, "zookeeper", format_args!("{}", trouble.error));
        self.publish(|registry| {
            registry.is_live = false;
            registry.trouble = Some(trouble.error.clone());
            registry.is_refused = trouble.is_refused;
        });
        sleep(AGAIN.delay(self.failures, jitter())).await;
    }

    fn publish(&self, change: impl FnOnce(&mut Registry)) {
        self.registry.send_if_modified(|registry| {
            let mut new = Registry::clone(registry);
            change(&mut new);
            let told = |registry: &Registry| registry.trouble.as_ref().map(Error::message);
            let same = registry.number > 0
                && new.is_live == registry.is_live
                && new.is_refused == registry.is_refused
                && new.brokers == registry.brokers
                && new.topics == registry.topics
                && new.read == registry.read
                && told(&new) == told(registry);
            new.number += 1;
            *registry = if same { Arc::clone(registry) } else { Arc::new(new) };
            !same
        });
    }
}

/// Notes what changed; everything that is told already is read in one go.
fn heard(
    reading: &mut Reading,
    event: Option<WatchEvent>,
    watches: &mut Watches,
) -> Result<(), Stop> {
    let mut next = event;
    while let Some(event) = next {
        match event {
            WatchEvent::Node(event) => reading.changed(&event),
            WatchEvent::Expired => return Err(Stop::Expired),
        }
        next = watches.try_next();
    }
    Ok(())
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
