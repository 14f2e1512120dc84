//! What must be read of the registry, and what was: which nodes are known and watched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::registration::{
    Generation, RegisteredBroker, RegisteredTopic, partition_count, partitions,
};
use super::registry::{Follow, PATIENCE, Registry};
use super::together::{AT_ONCE, together};
use super::watches::Watcher;
use super::{Failure, Outcome, Session};
use crate::error::{Code, Error};
use crate::protocol::zookeeper::{NodeEvent, Stat};

const IDS: &str = "/brokers/ids";
const TOPICS: &str = "/brokers/topics";

/// So often a node may come just after it was not there. One that does so more often is nobody's work
/// but a server's that makes no sense.
const FLICKERS: u32 = 5;

/// Why the registry cannot be read.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) error: Error,
    /// Waiting is not likely to mend it.
    pub(super) is_refused: bool,
}

/// Either what ZooKeeper said to a request, or what the answers mean.
type Stopped = std::result::Result<Failure, Trouble>;

/// A reading in progress, as long as one session. What is not in `stale` is known and watched.
pub(super) struct Reading {
    brokers: BTreeMap<i32, Arc<RegisteredBroker>>,
    unreadable: BTreeMap<i32, Error>,
    /// Topics whose nodes are closed to us.
    closed_topics: BTreeMap<Arc<str>, Error>,
    topics: BTreeMap<Arc<str>, Arc<RegisteredTopic>>,
    follow: Follow,
    /// The list of broker ids must be read.
    ids_stale: bool,
    /// The list of topics must be read.
    topics_stale: bool,
    stale_brokers: BTreeSet<i32>,
    stale_topics: BTreeSet<Arc<str>>,
    /// The ids that the last list had.
    listed: BTreeSet<i32>,
}

impl Reading {
    /// Begins with what was known before, so that a broker that stayed keeps its object.
    pub(super) fn new(known: &Registry) -> Self {
        Self {
            brokers: known.brokers.clone(),
            unreadable: BTreeMap::new(),
            closed_topics: BTreeMap::new(),
            topics: known.topics.clone(),
            follow: Follow::Nothing,
            ids_stale: false,
            topics_stale: false,
            stale_brokers: BTreeSet::new(),
            stale_topics: BTreeSet::new(),
            listed: BTreeSet::new(),
        }
    }

    pub(super) fn brokers(&self) -> &BTreeMap<i32, Arc<RegisteredBroker>> {
        &self.brokers
    }

    pub(super) fn topics(&self) -> &BTreeMap<Arc<str>, Arc<RegisteredTopic>> {
        &self.topics
    }

    pub(super) fn followed(&self) -> &Follow {
        &self.follow
    }

    /// What is left out, and why: brokers whose registration makes no sense, topics that are closed to us.
    pub(super) fn left_out(&self) -> impl Iterator<Item = (String, &Error)> {
        let brokers = self.unreadable.iter().map(|(id, error)| (format!("broker {id}"), error));
        let topics =
            self.closed_topics.iter().map(|(name, error)| (format!("topic {name}"), error));
        brokers.chain(topics)
    }

    /// Nothing is watched yet: all must be read.
    pub(super) fn everything(&mut self) {
        self.ids_stale = true;
        self.stale_brokers.extend(self.brokers.keys());
        self.stale_topics.extend(self.topics.keys().cloned());
    }

    /// Other topics are followed from now on.
    pub(super) fn follow(&mut self, follow: Follow) {
        if self.follow == follow {
            return;
        }
        match &follow {
            Follow::Nothing => self.topics.clear(),
            Follow::Topics(names) => {
                let known: BTreeSet<_> = match &self.follow {
                    Follow::Topics(known) => known.clone(),
                    _ => BTreeSet::new(),
                };
                self.stale_topics.extend(names.difference(&known).cloned());
                self.topics.retain(|name, _| names.contains(name));
            }
            Follow::All => self.topics_stale = true,
        }
        self.follow = follow;
    }

    /// A watch fired.
    pub(super) fn changed(&mut self, event: &NodeEvent) {
        let path = event.path.as_str();
        if path == IDS || path == "/" || path == "/brokers" {
            self.ids_stale = true;
        } else if path == TOPICS {
            self.topics_stale = matches!(self.follow, Follow::All);
        } else if let Some(id) = path.strip_prefix("/brokers/ids/").and_then(|id| id.parse().ok()) {
            self.stale_brokers.insert(id);
        } else if let Some(rest) = path.strip_prefix("/brokers/topics/") {
            // Of Kafka 0.7 the node of a broker below it: the topic is read as a whole.
            let name = rest.split('/').next().unwrap_or(rest);
            self.stale_topics.insert(Arc::from(name));
        }
    }

    /// Reads what is stale. What was read stays read when a later request fails.
    pub(super) async fn read(
        &mut self,
        session: &Session,
        watcher: &Watcher,
    ) -> std::result::Result<(), Stopped> {
        if self.ids_stale {
            self.read_ids(session, watcher).await?;
        }
        while !self.stale_brokers.is_empty() {
            self.read_brokers(session, watcher).await.map_err(Ok)?;
        }
        if self.topics_stale {
            self.read_topics(session, watcher).await.map_err(Ok)?;
        }
        // How a topic is registered depends on the brokers: without any it is not known.
        let Some(generation) = self.generation() else { return Ok(()) };
        while !self.stale_topics.is_empty() {
            self.read_stale_topics(generation, session, watcher).await.map_err(Ok)?;
        }
        Ok(())
    }

    /// Reads some of the topics that are stale, side by side. Those that were read stay read when
    /// another one fails.
    async fn read_stale_topics(
        &mut self,
        generation: Generation,
        session: &Session,
        watcher: &Watcher,
    ) -> std::result::Result<(), Failure> {
        let names: Vec<Arc<str>> = self.stale_topics.iter().take(AT_ONCE).cloned().collect();
        let reading = names.iter().map(|name| topic(name, generation, session, watcher));
        let answers = together(reading.collect()).await;
        let mut outcome = Ok(());
        for (name, answer) in names.into_iter().zip(answers) {
            self.closed_topics.remove(&name);
            let topic = match answer {
                Ok(topic) => topic,
                // One topic that is closed to us must not keep the others from being seen.
                Err(failure @ Failure::Refused { .. }) => {
                    self.closed_topics.insert(Arc::clone(&name), Error::from(failure));
                    None
                }
                Err(failure) => {
                    outcome = outcome.and(Err(failure));
                    continue;
                }
            };
            match topic {
                Some(topic) if self.is_followed(&name) => {
                    let same = self.topics.get(&name).is_some_and(|known| **known == topic);
                    if !same {
                        self.topics.insert(Arc::clone(&name), Arc::new(topic));
                    }
                }
                _ => {
                    self.topics.remove(&name);
                }
            }
            self.stale_topics.remove(&name);
        }
        outcome
    }

    fn generation(&self) -> Option<Generation> {
        let brokers = self.brokers.clone();
        Registry { brokers, ..Registry::default() }.generation()
    }

    fn is_followed(&self, name: &Arc<str>) -> bool {
        match &self.follow {
            Follow::Nothing => false,
            Follow::Topics(names) => names.contains(name),
            Follow::All => true,
        }
    }

    async fn read_ids(
        &mut self,
        session: &Session,
        watcher: &Watcher,
    ) -> std::result::Result<(), Stopped> {
        let names = match names(IDS, session, watcher).await.map_err(Ok)? {
            Some(names) => names,
            None => {
                let root = session.exists("/", None, soon()).await.map_err(Ok)?;
                if root.is_none() {
                    return Err(Err(no_chroot(session)));
                }
                Vec::new()
            }
        };
        self.ids_stale = false;
        let listed: BTreeSet<i32> = names.iter().filter_map(|name| name.parse().ok()).collect();
        self.brokers.retain(|id, _| listed.contains(id));
        self.unreadable.retain(|id, _| listed.contains(id));
        // Those that are listed already are known and watched, or marked.
        self.stale_brokers.extend(listed.difference(&self.listed));
        self.stale_brokers.retain(|id| listed.contains(id));
        self.listed = listed;
        Ok(())
    }

    /// Reads some of the brokers that are stale, side by side. Those that were read stay read when
    /// another one fails.
    async fn read_brokers(
        &mut self,
        session: &Session,
        watcher: &Watcher,
    ) -> std::result::Result<(), Failure> {
        let ids: Vec<i32> = self.stale_brokers.iter().take(AT_ONCE).copied().collect();
        let reading = ids.iter().map(|id| async move {
            session.get(&format!("{IDS}/{id}"), Some(watcher), soon()).await
        });
        let answers = together(reading.collect()).await;
        let mut outcome = Ok(());
        for (id, answer) in ids.into_iter().zip(answers) {
            match self.take_broker(id, answer) {
                Ok(()) => {
                    self.stale_brokers.remove(&id);
                }
                Err(failure) => outcome = outcome.and(Err(failure)),
            }
        }
        outcome
    }

    fn take_broker(
        &mut self,
        id: i32,
        answer: Outcome<(Bytes, Stat)>,
    ) -> std::result::Result<(), Failure> {
        match answer {
            Ok((data, stat)) => match RegisteredBroker::parse(id, stat.created, &data) {
                Ok(broker) => {
                    self.unreadable.remove(&id);
                    if self.brokers.get(&id).is_none_or(|known| **known != broker) {
                        self.brokers.insert(id, Arc::new(broker));
                    }
                }
                Err(error) => {
                    self.brokers.remove(&id);
                    self.unreadable.insert(id, error);
                }
            },
            Err(failure) if failure.is_no_node() => {
                // Gone between the list and this: the list's watch tells when it comes back, and then
                // it must count as new.
                self.brokers.remove(&id);
                self.unreadable.remove(&id);
                self.listed.remove(&id);
            }
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    async fn read_topics(
        &mut self,
        session: &Session,
        watcher: &Watcher,
    ) -> std::result::Result<(), Failure> {
        let names = names(TOPICS, session, watcher).await?.unwrap_or_default();
        self.topics_stale = false;
        let listed: BTreeSet<Arc<str>> =
            names.iter().map(|name| Arc::from(name.as_str())).collect();
        self.topics.retain(|name, _| listed.contains(name));
        self.closed_topics.retain(|name, _| listed.contains(name));
        let new = listed.into_iter().filter(|name| !self.topics.contains_key(name));
        self.stale_topics.extend(new);
        Ok(())
    }
}

/// Everything that is registered at this moment.
pub(in crate::discovery) async fn everything(session: &Session) -> crate::error::Result<Registry> {
    // Nobody listens to the watches: each fires once at most, and is gone.
    let (watcher, _watches) = Watcher::new();
    let mut reading = Reading::new(&Registry::default());
    reading.everything();
    reading.follow(Follow::All);
    match reading.read(session, &watcher).await {
        Ok(()) => {}
        Err(Ok(failure)) => return Err(failure.into()),
        Err(Err(trouble)) => return Err(trouble.error),
    }
    let Reading { brokers, topics, follow, .. } = reading;
    Ok(Registry { is_live: true, brokers, topics, read: Some(follow), ..Registry::default() })
}

/// What is registered of a topic; none where there is no such node, whose creation is then watched.
async fn topic(
    name: &str,
    generation: Generation,
    session: &Session,
    watcher: &Watcher,
) -> std::result::Result<Option<RegisteredTopic>, Failure> {
    let path = format!("{TOPICS}/{name}");
    for _ in 0..FLICKERS {
        let found = match generation {
            Generation::Modern => {
                session.get(&path, Some(watcher), soon()).await.map(|(data, _)| {
                    // One that makes no sense counts as not there: brokers refuse it as well.
                    partitions(&data).ok().map(RegisteredTopic::Modern)
                })
            }
            Generation::Legacy => counts(&path, session, watcher)
                .await
                .map(|counts| Some(RegisteredTopic::Legacy(counts))),
        };
        match found {
            Err(failure) if failure.is_no_node() => {}
            found => return found,
        }
        if session.exists(&path, Some(watcher), soon()).await?.is_none() {
            return Ok(None);
        }
    }
    Err(flickers(&path))
}

/// The names below a node; none where there is no such node, whose creation is then watched.
async fn names(
    path: &str,
    session: &Session,
    watcher: &Watcher,
) -> std::result::Result<Option<Vec<String>>, Failure> {
    for _ in 0..FLICKERS {
        match session.children(path, Some(watcher), soon()).await {
            Ok((names, _)) => return Ok(Some(names)),
            Err(failure) if failure.is_no_node() => {}
            Err(failure) => return Err(failure),
        }
        // Watched before anything is concluded, so that its creation is not missed. If it came in
        // between it is read again.
        if session.exists(path, Some(watcher), soon()).await?.is_none() {
            return Ok(None);
        }
    }
    Err(flickers(path))
}

fn flickers(path: &str) -> Failure {
    let text = format!("{path} is there and is not there, {FLICKERS} times in a row");
    Failure::Other(Error::new(Code::ZOOKEEPER, text))
}

/// How many partitions of a topic each broker of Kafka 0.7 has.
async fn counts(
    path: &str,
    session: &Session,
    watcher: &Watcher,
) -> std::result::Result<BTreeMap<i32, i32>, Failure> {
    let (names, _) = session.children(path, Some(watcher), soon()).await?;
    let ids: Vec<i32> = names.iter().filter_map(|name| name.parse().ok()).collect();
    let reading = ids
        .iter()
        .map(|id| async move { session.get(&format!("{path}/{id}"), Some(watcher), soon()).await });
    let answers = together(reading.collect()).await;
    let mut counts = BTreeMap::new();
    for (id, answer) in ids.into_iter().zip(answers) {
        match answer {
            Ok((data, _)) => {
                if let Ok(count) = partition_count(&data) {
                    counts.insert(id, count);
                }
            }
            // The broker left between the list and this; the list's watch has fired.
            Err(failure) if failure.is_no_node() => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(counts)
}

fn no_chroot(session: &Session) -> Trouble {
    let ensemble = session.ensemble();
    let text = format!(
        "the path {} of zookeeper.connect={ensemble} does not exist: give the one that the brokers \
         have in theirs",
        ensemble.chroot
    );
    let error = Error::new(Code::ZOOKEEPER, text).with_property("zookeeper.connect");
    Trouble { error, is_refused: true }
}

fn soon() -> Instant {
    Instant::now() + PATIENCE
}
