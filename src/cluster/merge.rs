//! How an answer changes what is known: `merge(old, answer, now) -> (new, actions)`, pure.
//!
//! Brokers disagree for seconds after each change, and answers may come in any order. The rules here
//! (section 1 of the invariants) keep a stale or partial answer from undoing what is known.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::answer::{Answer, Asked, TopicAnswer};
use super::merge_topic::{self, History};
use super::{BrokerInfo, Metadata};
use crate::discovery::zookeeper::Generation;

/// How long a topic must be missing, and in how many answers in a row, before it counts as deleted
/// (invariant 1.6).
pub(super) const GRACE: Duration = Duration::from_secs(15);
pub(super) const GRACE_ANSWERS: u32 = 3;

/// After this many answers in a row a lower epoch (invariant 1.3), or without topic ids a smaller
/// partition count, is the truth.
pub(super) const INSISTENCE: u8 = 5;

/// What the loop must do besides publishing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Ask again after the back-off.
    Retry(&'static str),
    /// A topic is new, changed, or counts as deleted now.
    Topic(Arc<str>, Change),
    /// A broker is new, changed its address or rack, or is no longer listed.
    Broker(i32, Change),
    /// The answer is from another cluster: an error for everybody.
    ForeignCluster {
        /// The id known so far.
        known: String,
        /// The id of the answer.
        answered: String,
    },
}

/// How something differs from before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Change {
    /// It was not known before.
    Added,
    /// It is another than before.
    Changed,
    /// It is no longer there.
    Removed,
}

/// All that the metadata loop knows: the published snapshot and the doubts that are not published.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) metadata: Metadata,
    pub(super) history: HashMap<Arc<str>, History>,
    /// The brokers that are registered in ZooKeeper now, while it can be reached: what brokers say of
    /// each other is older.
    pub(super) registered: Option<Arc<[Registered]>>,
}

/// A broker that is registered now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Registered {
    pub(super) info: BrokerInfo,
    pub(super) incarnation: i64,
}

impl Known {
    pub(super) fn nothing() -> Self {
        Self { metadata: Metadata::empty(), history: HashMap::new(), registered: None }
    }
}

/// Merges one answer. The number of the snapshot grows if anything changed.
pub(super) fn merge(old: Known, answer: &Answer, now: Instant) -> (Known, Vec<Action>) {
    if let (Some(known), Some(answered)) = (&old.metadata.cluster_id, &answer.cluster_id) {
        if known != answered {
            let (known, answered) = (known.clone(), answered.clone());
            return (old, vec![Action::ForeignCluster { known, answered }]);
        }
    }
    if answer.brokers.is_empty() {
        // Invariant 1.7: a broker that is starting knows nobody, not even itself.
        return (old, vec![Action::Retry("the answer names no broker")]);
    }
    let (first, missing) = (old.metadata.number == 0, missing(&old, answer));
    let mut new = old;
    let mut actions = Vec::new();
    if new.registered.is_none() {
        merge_brokers(&mut new.metadata, &answer.brokers, &mut actions);
    }
    new.metadata.generation = Some(Generation::Modern);
    new.metadata.cluster_id = answer.cluster_id.clone().or(new.metadata.cluster_id);
    let controller = Some(answer.controller).filter(|id| *id >= 0);
    let moved = controller.is_some_and(|id| id != new.metadata.controller);
    new.metadata.controller = controller.unwrap_or(new.metadata.controller);
    for topic in &answer.topics {
        merge_one(&mut new, topic, answer.reliable_epochs, now, &mut actions);
    }
    for name in missing {
        merge_one(&mut new, &TopicAnswer::missing(name), answer.reliable_epochs, now, &mut actions);
    }
    let changed = actions.iter().any(|action| !matches!(action, Action::Retry(_)));
    if changed || moved || first {
        new.metadata.number += 1;
    }
    (new, actions)
}

/// The topics that should have been in the answer.
fn missing(old: &Known, answer: &Answer) -> Vec<Arc<str>> {
    let present: HashSet<&str> = answer.topics.iter().map(|topic| &*topic.name).collect();
    let gone = |name: &&Arc<str>| !present.contains(&***name);
    match &answer.asked {
        Asked::Topics(names) => names.iter().filter(gone).cloned().collect(),
        Asked::All => old.metadata.topics.keys().filter(gone).cloned().collect(),
    }
}

/// Takes what is registered in ZooKeeper, also that nobody is; `None` when that cannot be read now,
/// after which the brokers' own word counts again.
pub(super) fn register(old: &Known, registered: Option<Arc<[Registered]>>) -> (Known, Vec<Action>) {
    let (mut new, mut actions) = (old.clone(), Vec::new());
    new.registered.clone_from(&registered);
    let Some(registered) = registered else { return (new, actions) };
    let brokers: Vec<BrokerInfo> = registered.iter().map(|one| one.info.clone()).collect();
    merge_brokers(&mut new.metadata, &brokers, &mut actions);
    let incarnations: BTreeMap<i32, i64> =
        registered.iter().map(|one| (one.info.id, one.incarnation)).collect();
    for (id, incarnation) in &incarnations {
        let changed = Action::Broker(*id, Change::Changed);
        let added = Action::Broker(*id, Change::Added);
        let same = old.metadata.incarnations.get(id) == Some(incarnation);
        if !same && !actions.contains(&changed) && !actions.contains(&added) {
            actions.push(changed);
        }
    }
    new.metadata.incarnations = incarnations;
    if !actions.is_empty() {
        new.metadata.number += 1;
    }
    (new, actions)
}

fn merge_brokers(metadata: &mut Metadata, listed: &[BrokerInfo], actions: &mut Vec<Action>) {
    // Invariant 1.13: −1 means unknown and is never kept.
    let listed: BTreeMap<i32, &BrokerInfo> =
        listed.iter().filter(|broker| broker.id >= 0).map(|broker| (broker.id, broker)).collect();
    for id in metadata.brokers.keys().filter(|id| !listed.contains_key(id)) {
        actions.push(Action::Broker(*id, Change::Removed));
    }
    metadata.brokers.retain(|id, _| listed.contains_key(id));
    for (id, broker) in listed {
        let change = match metadata.brokers.get(&id) {
            Some(known) if **known == *broker => continue,
            Some(_) => Change::Changed,
            None => Change::Added,
        };
        metadata.brokers.insert(id, Arc::new(broker.clone()));
        actions.push(Action::Broker(id, change));
    }
}

fn merge_one(
    known: &mut Known,
    answer: &TopicAnswer,
    reliable_epochs: bool,
    now: Instant,
    actions: &mut Vec<Action>,
) {
    let name = &answer.name;
    let old = known.metadata.topics.get(name).cloned();
    let mut history = known.history.remove(name).unwrap_or_default();
    let merged = merge_topic::merge(old.as_deref(), &mut history, answer, reliable_epochs, now);
    known.history.insert(Arc::clone(name), history);
    if let Some(why) = merged.retry {
        let action = Action::Retry(why);
        if !actions.contains(&action) {
            actions.push(action);
        }
    }
    if let Some(change) = merged.change {
        actions.push(Action::Topic(Arc::clone(name), change));
        known.metadata.topics.insert(Arc::clone(name), Arc::new(merged.topic));
    }
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
