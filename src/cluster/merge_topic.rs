//! How an answer changes what is known of one topic.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::answer::{PartitionAnswer, TopicAnswer};
use super::merge::{Change, GRACE, GRACE_ANSWERS, INSISTENCE};
use super::{PartitionMetadata, TopicId, TopicMetadata};
use crate::error::{Code, Error};

const NO_ID: TopicId = [0; 16];

/// The doubts about one topic: what was refused so far, and since when it is missing.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    missing: Option<(Instant, u32)>,
    fewer_partitions: u8,
    lower_epochs: HashMap<i32, u8>,
}

/// The outcome for one topic.
#[derive(Debug)]
pub(super) struct Merged {
    pub(super) topic: TopicMetadata,
    pub(super) change: Option<Change>,
    pub(super) retry: Option<&'static str>,
}

impl TopicAnswer {
    /// What an answer says by leaving a topic out.
    pub(super) fn missing(name: Arc<str>) -> Self {
        let error = Code::UNKNOWN_TOPIC_OR_PARTITION;
        Self { name, id: NO_ID, error, internal: false, partitions: Vec::new() }
    }
}

/// Merges what one answer says of one topic.
pub(super) fn merge(
    old: Option<&TopicMetadata>,
    history: &mut History,
    answer: &TopicAnswer,
    reliable_epochs: bool,
    now: Instant,
) -> Merged {
    let mut topic = old.cloned().unwrap_or_else(|| nothing(&answer.name));
    let retry = match answer.error {
        Code::NONE => take(&mut topic, history, answer, reliable_epochs),
        Code::TOPIC_AUTHORIZATION_FAILED | Code::INVALID_TOPIC_EXCEPTION => {
            // Permanent, so the user is told (invariant 1.8); asked again, so that it can heal.
            topic.error = Some(refused(&answer.name, answer.error));
            Some("a topic is refused")
        }
        Code::UNKNOWN_TOPIC_OR_PARTITION | Code::UNKNOWN_TOPIC_ID => {
            doubt(&mut topic, history, now);
            Some("a topic is unknown to the broker")
        }
        // Invariant 1.8: an error never overwrites leaders, it schedules a retry.
        _ => Some("a topic is not ready"),
    };
    let change = match old {
        None if is_unknown(&topic) => Some(Change::Changed),
        None => Some(Change::Added),
        Some(old) if same(old, &topic) => None,
        Some(old) if !is_unknown(old) && is_unknown(&topic) => Some(Change::Removed),
        Some(old) if is_unknown(old) && !is_unknown(&topic) => Some(Change::Added),
        Some(_) => Some(Change::Changed),
    };
    Merged { topic, change, retry }
}

fn nothing(name: &Arc<str>) -> TopicMetadata {
    TopicMetadata::unknown(name)
}

fn refused(name: &str, code: Code) -> Error {
    Error::new(code, format!("topic {name}: {}", code.text())).with_topic(name)
}

fn is_unknown(topic: &TopicMetadata) -> bool {
    let unknown = Code::UNKNOWN_TOPIC_OR_PARTITION;
    topic.error.as_ref().is_some_and(|error| error.code() == unknown)
}

/// Invariant 1.6: once unknown is not deleted. What is known stays for a grace period; only then, or
/// when nothing was known anyway, the topic counts as unknown.
fn doubt(topic: &mut TopicMetadata, history: &mut History, now: Instant) {
    let (since, answers) = history.missing.unwrap_or((now, 0));
    let answers = answers.saturating_add(1);
    history.missing = Some((since, answers));
    let long = now.saturating_duration_since(since) >= GRACE && answers >= GRACE_ANSWERS;
    if topic.partitions.is_empty() || long {
        let error = Code::UNKNOWN_TOPIC_OR_PARTITION;
        topic.error = Some(refused(&topic.name, error));
        topic.partitions.clear();
        topic.id = NO_ID;
    }
}

/// Takes an answer without topic error.
fn take(
    topic: &mut TopicMetadata,
    history: &mut History,
    answer: &TopicAnswer,
    reliable_epochs: bool,
) -> Option<&'static str> {
    history.missing = None;
    topic.error = None;
    topic.internal = answer.internal;
    if answer.id != NO_ID && topic.id != NO_ID && answer.id != topic.id {
        // Invariant 1.4: a recreated topic is another log; its epochs start at 0 again.
        topic.partitions.clear();
        *history = History::default();
    }
    // An answer without id (an older broker, during a roll) does not make the id unknown.
    let same_id_as_known = answer.id != NO_ID && answer.id == topic.id;
    if answer.id != NO_ID {
        topic.id = answer.id;
    }
    let mut retry = resize(topic, history, answer.partitions.len(), same_id_as_known);
    let mut seen = vec![false; topic.partitions.len()];
    for partition in &answer.partitions {
        let index = usize::try_from(partition.index).unwrap_or(usize::MAX);
        // An index beyond the count cannot be placed: never allocate by it.
        let Some(known) = topic.partitions.get_mut(index) else {
            retry = Some("an answer has gaps in its partitions");
            continue;
        };
        if let Some(mark) = seen.get_mut(index) {
            *mark = true;
        }
        let mut refused = history.lower_epochs.remove(&partition.index).unwrap_or(0);
        retry = merge_partition(known, &mut refused, partition, reliable_epochs).or(retry);
        if refused > 0 {
            history.lower_epochs.insert(partition.index, refused);
        }
    }
    if seen.contains(&false) {
        retry = retry.or(Some("an answer leaves partitions out"));
    }
    retry
}

/// Invariant 1.9: a smaller count is a stale answer unless the topic is another one (and then nothing
/// is known here). Brokers without topic ids cannot tell us that, so five such answers in a row count.
fn resize(
    topic: &mut TopicMetadata,
    history: &mut History,
    count: usize,
    same_id_as_known: bool,
) -> Option<&'static str> {
    if count >= topic.partitions.len() {
        history.fewer_partitions = 0;
        topic.partitions.resize_with(count, PartitionMetadata::unknown);
        return None;
    }
    history.fewer_partitions = history.fewer_partitions.saturating_add(1);
    if !same_id_as_known && history.fewer_partitions >= INSISTENCE {
        history.fewer_partitions = 0;
        topic.partitions.truncate(count);
        return None;
    }
    Some("an answer has fewer partitions than are known")
}

/// Merges one partition; the same for known and for newly seen ones (invariant 1.8).
fn merge_partition(
    known: &mut PartitionMetadata,
    refused: &mut u8,
    answer: &PartitionAnswer,
    reliable_epochs: bool,
) -> Option<&'static str> {
    // REPLICA_NOT_AVAILABLE concerns a follower; the leader beside it is right (old brokers say it).
    let harmless = matches!(answer.error, Code::NONE | Code::REPLICA_NOT_AVAILABLE);
    if !harmless || answer.leader < 0 {
        // Invariants 1.2, 1.8: leaderless is not older news. The last real leader and epoch stay.
        let error = if harmless { Code::LEADER_NOT_AVAILABLE } else { answer.error };
        known.error = Some(error);
        return Some("a partition has no leader");
    }
    // Invariant 1.5: older brokers serve stale epochs; no word is better than a wrong one.
    let epoch = if reliable_epochs { answer.leader_epoch.max(-1) } else { -1 };
    if epoch >= 0 && epoch < known.leader_epoch {
        *refused = refused.saturating_add(1);
        if *refused < INSISTENCE {
            return Some("an answer has an older leader epoch than is known");
        }
        // Invariant 1.3: after an unclean election nobody may ever know the higher epoch again.
    }
    *refused = 0;
    // Invariant 1.4: an equal or absent epoch still moves the partition.
    known.leader = answer.leader;
    known.leader_epoch = epoch;
    known.replicas.clone_from(&answer.replicas);
    known.in_sync.clone_from(&answer.in_sync);
    known.offline.clone_from(&answer.offline);
    known.error = None;
    None
}

fn same(a: &TopicMetadata, b: &TopicMetadata) -> bool {
    let code = |topic: &TopicMetadata| topic.error.as_ref().map(Error::code);
    a.id == b.id && a.internal == b.internal && code(a) == code(b) && a.partitions == b.partitions
}
