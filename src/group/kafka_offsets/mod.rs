//! Offsets kept by the group's coordinator (OffsetCommit, OffsetFetch); from 0.8.2 on.
//!
//! Commits go one after the other, in the order of the calls (rule 11.5): a task takes them from a
//! queue, so that one whose caller gave up waiting does not let a later one overtake it. Each attempt
//! passes the [`Standing`] that the store shares with its membership. `line` says whose turn it is;
//! `commit` and `fetch` have the requests and what answers mean.

mod commit;
mod fetch;
mod line;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::coordinator::Coordinator;
use super::membership::TopicPartition;
use super::offsets::{Boxed, Committed, OffsetStore};
use super::standing::Standing;
use crate::cluster::{Cluster, TopicId};
use crate::config::GroupConfig;
use crate::error::{Code, Error, Result};
use crate::net::{Backoff, Versions};
use crate::protocol::modern::{ApiKey, Uuid};

/// A partition as the coordinator names it.
type Spot = (Arc<str>, i32);

/// How often a partition that the coordinator does not know is tried again: it may be new, or gone.
const UNKNOWN_TRIES: u32 = 3;

/// The offsets of one group at its coordinator.
#[derive(Debug)]
pub struct KafkaOffsets {
    shared: Arc<Shared>,
    commits: mpsc::UnboundedSender<commit::Job>,
}

#[derive(Debug)]
struct Shared {
    coordinator: Arc<Coordinator>,
    standing: Arc<Standing>,
    backoff: Backoff,
    request_timeout: Duration,
    /// The coordinator forgets offsets by their own age.
    ages: AtomicBool,
}

/// The first OffsetCommit of the release from which on a live group keeps its offsets (2.1, KIP-211).
const FIRST_AGELESS: i16 = 5;

impl KafkaOffsets {
    /// The offsets of the group that `config` names, for somebody who is no member of it: commits are
    /// taken only while the group has no members (rule 11.10). Does not wait.
    ///
    /// `INVALID_GROUP_ID` when no `group.id` is set.
    pub fn alone(cluster: &Arc<Cluster>, config: &GroupConfig) -> Result<Arc<Self>> {
        let group = super::group_id(config)?;
        Ok(Self::of(Coordinator::new(cluster, group), Standing::alone(), config))
    }

    /// The offsets of a member, by whose standing commits go.
    pub fn of(
        coordinator: Arc<Coordinator>,
        standing: Arc<Standing>,
        config: &GroupConfig,
    ) -> Arc<Self> {
        let backoff = Backoff { first: config.retry_backoff, most: config.retry_backoff_max };
        let runtime = coordinator.cluster().runtime();
        let request_timeout = config.request_timeout;
        let ages = AtomicBool::new(false);
        let shared = Arc::new(Shared { coordinator, standing, backoff, request_timeout, ages });
        let (commits, queue) = mpsc::unbounded_channel();
        // After a panic the queue is gone, and every commit says so.
        runtime.spawn("commits", drop, line::run(Arc::clone(&shared), queue));
        Arc::new(Self { shared, commits })
    }
}

impl OffsetStore for KafkaOffsets {
    fn fetch(
        &self,
        partitions: Vec<TopicPartition>,
        deadline: Instant,
    ) -> Boxed<Result<Vec<Result<Option<Committed>>>>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { fetch::fetch(&shared, partitions, deadline).await })
    }

    fn commit(
        &self,
        places: Vec<(TopicPartition, Committed)>,
        once: bool,
        deadline: Instant,
    ) -> Boxed<Vec<Result<()>>> {
        let count = places.len();
        let (told, outcome) = oneshot::channel();
        let claims = places.iter().map(|(place, _)| self.shared.claim(place)).collect();
        let asked = self.shared.standing.ask();
        let job = commit::Job { places, claims, once, deadline, told, _asked: asked };
        let sent = self.commits.send(job);
        Box::pin(async move {
            let ended = || Error::new(Code::ABANDONED, "the task that commits offsets ended");
            if sent.is_err() {
                return vec![Err(ended()); count];
            }
            let waited = tokio::time::timeout_at((deadline + GRACE).into(), outcome).await;
            match waited {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) => vec![Err(ended()); count],
                Err(_) => {
                    let text = "earlier commits of the group were not answered within the time";
                    vec![Err(Error::new(Code::TIMED_OUT, text)); count]
                }
            }
        })
    }

    fn ages(&self) -> bool {
        self.shared.ages.load(Ordering::Relaxed)
    }
}

/// The task keeps the deadline itself and knows why it was missed; a little more for its word.
const GRACE: Duration = Duration::from_millis(100);

impl Shared {
    /// Takes from the coordinator's versions what release it is of.
    fn note_age(&self, versions: &Versions) {
        let most = versions.range(ApiKey::OffsetCommit).map(|(_, most)| most);
        self.ages.store(most.is_none_or(|most| most < FIRST_AGELESS), Ordering::Relaxed);
    }

    /// By what right a commit of this partition is asked for now.
    fn claim(&self, place: &TopicPartition) -> commit::Claim {
        match self.standing.claim_of(place) {
            Some(assignment) => commit::Claim::Of(assignment),
            None if self.standing.has_lost(place) => commit::Claim::Lost,
            None => commit::Claim::None,
        }
    }

    /// When a request sent now has failed.
    fn request_deadline(&self) -> Instant {
        Instant::now() + self.request_timeout
    }

    /// The ids of these topics as far as the cluster has told them.
    fn topic_ids<'a>(&self, spots: impl Iterator<Item = &'a Spot>) -> TopicIds {
        let metadata = self.coordinator.cluster().metadata();
        let id = |name: &Arc<str>| metadata.topic(name).map_or([0; 16], |topic| topic.id);
        TopicIds(spots.map(|(name, _)| (Arc::clone(name), id(name))).collect())
    }
}

/// The ids of the topics of one request.
struct TopicIds(BTreeMap<Arc<str>, TopicId>);

impl TopicIds {
    /// Whether every topic has one: else all are named (a request is in one version).
    fn are_complete(&self) -> bool {
        self.0.values().all(|id| *id != [0; 16])
    }

    fn of(&self, name: &str) -> Uuid {
        Uuid(self.0.get(name).copied().unwrap_or_default())
    }

    /// The topic that an answer means, by its id if the version has ids.
    fn name(&self, by_id: bool, name: &str, id: Uuid) -> Option<Arc<str>> {
        let meant = |(known, its): &(&Arc<str>, &TopicId)| match by_id {
            true => **its == id.0,
            false => ***known == *name,
        };
        self.0.iter().find(meant).map(|(known, _)| Arc::clone(known))
    }
}

/// The partition's number as the coordinator knows it; Kafka 0.7's have no coordinator.
fn spot(place: &TopicPartition) -> Result<Spot> {
    let Ok(partition) = i32::try_from(place.partition) else {
        let text = format!("a coordinator keeps no offsets of partition {}", place.partition);
        let error = Error::new(Code::INVALID_ARGUMENT, text);
        return Err(error.with_topic(&*place.topic).with_partition(place.partition));
    };
    Ok((Arc::clone(&place.topic), partition))
}

/// The topics of these partitions, each with its partitions.
fn by_topic<'a>(spots: impl Iterator<Item = &'a Spot>) -> BTreeMap<&'a str, Vec<i32>> {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in spots {
        topics.entry(topic).or_default().push(*partition);
    }
    topics
}

/// What the coordinator said of one partition.
fn refused(what: &str, code: Code, (topic, partition): &Spot) -> Error {
    let text = format!("{what} of topic {topic}, partition {partition}: {}", code.text());
    Error::new(code, text).with_topic(&**topic).with_partition(i64::from(*partition))
}
