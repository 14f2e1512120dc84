//! Waiting for a topic's metadata and for the first contact.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use super::core::{Core, Progress, lock};
use super::{Topic, TopicMetadata};
use crate::error::{Code, Error, Result};
use crate::runtime::Signal;

/// How long a topic may stay unknown to every broker asked before that is the answer: brokers learn of
/// a new topic one after the other.
pub(super) const UNKNOWN_AFTER: Duration = Duration::from_secs(5);

/// What is known of a topic, as somebody who waits for it sees it.
#[derive(Debug)]
enum Verdict {
    Ready(Arc<TopicMetadata>),
    Refused(Error),
    Wait,
}

/// Judges: `covered` says whether the last answer is as new as the wish (invariant 1.10), `waited` how
/// long the topic is wanted in vain.
fn judge(metadata: Option<Arc<TopicMetadata>>, covered: bool, waited: Duration) -> Verdict {
    let Some(metadata) = metadata else { return Verdict::Wait };
    match &metadata.error {
        None if metadata.partitions.is_empty() => Verdict::Wait,
        None => Verdict::Ready(metadata),
        Some(_) if !covered => Verdict::Wait,
        Some(error) if error.code() == Code::UNKNOWN_TOPIC_OR_PARTITION => {
            if waited >= UNKNOWN_AFTER {
                let text = format!(
                    "topic {} does not exist: every broker asked said so for {} ms; create it, or \
                     check the name",
                    metadata.name,
                    UNKNOWN_AFTER.as_millis()
                );
                let code = Code::UNKNOWN_TOPIC_OR_PARTITION;
                return Verdict::Refused(Error::new(code, text).with_topic(&*metadata.name));
            }
            Verdict::Wait
        }
        Some(error) => Verdict::Refused(error.clone()),
    }
}

/// A topic wished for: the shared part of waiting in a task and on an application thread.
struct Wait<'a> {
    core: &'a Core,
    topic: &'a Arc<Topic>,
    number: u64,
    since: Instant,
}

impl<'a> Wait<'a> {
    /// Ready at once when the topic is known; else it is wished for.
    /// `stays`: see [`Wishes::want`](super::wishes::Wishes::want).
    fn begin(
        core: &'a Core,
        topic: &'a Arc<Topic>,
        stays: bool,
    ) -> Result<Result<Arc<TopicMetadata>, Self>> {
        core.check_open()?;
        if let Verdict::Ready(metadata) = judge(topic.metadata(), false, Duration::ZERO) {
            return Ok(Ok(metadata));
        }
        let (number, since) = core.want(topic, stays, Instant::now());
        Ok(Err(Self { core, topic, number, since }))
    }

    fn look(&self, progress: &Progress) -> Option<Result<Arc<TopicMetadata>>> {
        if let Some(error) = self.core.ended() {
            return Some(Err(error));
        }
        let covered = progress.answered >= self.number;
        match judge(self.topic.metadata(), covered, self.since.elapsed()) {
            Verdict::Ready(metadata) => Some(Ok(metadata)),
            Verdict::Refused(error) => Some(Err(error)),
            Verdict::Wait => None,
        }
    }

    /// When to look again although nothing happened: the patience with an unknown topic ends.
    fn look_again(&self) -> Instant {
        self.since + UNKNOWN_AFTER
    }

    fn out_of_time(&self, begun: Instant) -> Error {
        self.core.no_metadata(self.topic, begun)
    }
}

impl Core {
    /// The metadata of a topic if it is known and usable now; fails once the cluster ended.
    pub(super) fn known_topic(&self, topic: &Topic) -> Result<Option<Arc<TopicMetadata>>> {
        self.check_open()?;
        Ok(match judge(topic.metadata(), false, Duration::ZERO) {
            Verdict::Ready(metadata) => Some(metadata),
            Verdict::Refused(_) | Verdict::Wait => None,
        })
    }

    /// Why a wait for the metadata of `topic`, begun then, came to nothing.
    pub(super) fn no_metadata(&self, topic: &Topic, begun: Instant) -> Error {
        let name = topic.name();
        let unknown = topic
            .metadata()
            .and_then(|metadata| metadata.error.clone())
            .filter(|error| error.code() == Code::UNKNOWN_TOPIC_OR_PARTITION);
        let trouble = self.trouble();
        let waited = begun.elapsed().as_millis();
        if let (Some(unknown), None) = (unknown, &trouble) {
            let text = format!("topic {name} was still unknown to the cluster after {waited} ms");
            return Error::new(unknown.code(), text).caused_by(unknown).with_topic(&**name);
        }
        let text = format!("no metadata of topic {name} within {waited} ms");
        let error = Error::new(Code::TIMED_OUT, text).with_topic(&**name);
        trouble.map_or(error.clone(), |cause| error.caused_by(cause))
    }

    /// What keeps the cluster from answering: the last round's error, or where the attempts under way
    /// stand.
    pub(super) fn trouble(&self) -> Option<Error> {
        let told = self.progress.borrow().trouble.clone();
        told.or_else(|| {
            let brokers = lock(&self.brokers);
            let mut troubles =
                brokers.by_id.values().chain(&brokers.seeds).filter_map(|b| b.trouble());
            let Some(first) = troubles.next() else { return self.discovery.trouble() };
            let others: Vec<String> = troubles.map(|error| error.message()).collect();
            if others.is_empty() {
                return Some(first);
            }
            let text = format!("{}; and", others.join("; "));
            Some(Error::new(first.code(), text).caused_by(first))
        })
    }

    /// The metadata of a topic; see [`super::Cluster::topic_metadata`].
    pub(super) async fn topic_metadata(
        &self,
        topic: &Arc<Topic>,
        stays: bool,
        deadline: Instant,
    ) -> Result<Arc<TopicMetadata>> {
        let begun = Instant::now();
        // Before the wish, so that an answer that comes at once is not missed (invariant 13.3).
        let mut progress = self.progress.subscribe();
        let wait = match Wait::begin(self, topic, stays)? {
            Ok(metadata) => return Ok(metadata),
            Err(wait) => wait,
        };
        loop {
            let seen = progress.borrow_and_update().clone();
            if let Some(outcome) = wait.look(&seen) {
                return outcome;
            }
            let now = Instant::now();
            if now >= deadline {
                return Err(wait.out_of_time(begun));
            }
            let again = Some(wait.look_again()).filter(|again| *again > now);
            let until = again.map_or(deadline, |again| again.min(deadline));
            // Neither a time-out nor the end of the sender is an outcome by itself: look again.
            let _ = timeout_at(until.into(), progress.changed()).await;
        }
    }

    /// As [`Self::topic_metadata`], for an application thread that waits on `signal`.
    pub(super) fn wait_topic(
        &self,
        topic: &Arc<Topic>,
        deadline: Option<Instant>,
        signal: &Signal,
    ) -> Result<Arc<TopicMetadata>> {
        let begun = Instant::now();
        let wait = match Wait::begin(self, topic, true)? {
            Ok(metadata) => return Ok(metadata),
            Err(wait) => wait,
        };
        loop {
            let again = Some(wait.look_again()).filter(|again| *again > Instant::now());
            let until = match (deadline, again) {
                (Some(deadline), Some(again)) => Some(deadline.min(again)),
                (deadline, again) => deadline.or(again),
            };
            let look = || wait.look(&self.progress.borrow());
            match signal.wait_for_result(until, look) {
                Ok(outcome) => return outcome,
                Err(error) if error.code() != Code::NOTHING => return Err(error),
                Err(_) if deadline.is_some_and(|deadline| Instant::now() >= deadline) => {
                    return Err(wait.out_of_time(begun));
                }
                Err(_) => {}
            }
        }
    }

    /// The first contact; see [`super::Cluster::wait_ready`].
    pub(super) fn wait_ready(&self, deadline: Option<Instant>) -> Result<()> {
        let begun = Instant::now();
        let ready = || {
            let ended = self.ended().map(Err);
            ended.or_else(|| {
                let progress = self.progress.borrow();
                let refusal = progress.refusal.clone().filter(|_| !progress.contact);
                progress.contact.then_some(Ok(())).or(refusal.map(Err))
            })
        };
        match self.signal.wait_for_result(deadline, ready) {
            // Whoever hears of a panic first makes it everybody's.
            Ok(Err(panic)) if panic.code() == Code::PANIC && self.ended().is_none() => {
                self.fail(panic.clone());
                Err(panic)
            }
            Ok(outcome) => outcome,
            Err(error) if error.code() == Code::NOTHING => {
                let text = format!(
                    "no contact with the cluster within {} ms ({})",
                    begun.elapsed().as_millis(),
                    self.discovery.origin()
                );
                let error = Error::new(Code::TIMED_OUT, text);
                Err(self.trouble().map_or(error.clone(), |cause| error.caused_by(cause)))
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{PartitionMetadata, TopicId};

    fn topic(partitions: usize, error: Option<Code>) -> Option<Arc<TopicMetadata>> {
        Some(Arc::new(TopicMetadata {
            name: Arc::from("t"),
            id: TopicId::default(),
            error: error.map(Error::bare),
            partitions: vec![PartitionMetadata::unknown(); partitions],
            places: None,
            internal: false,
        }))
    }

    #[test]
    fn rule_1_10_an_older_answers_error_does_not_end_a_newer_wish() {
        let long = UNKNOWN_AFTER * 2;
        for code in [Code::UNKNOWN_TOPIC_OR_PARTITION, Code::TOPIC_AUTHORIZATION_FAILED] {
            assert!(matches!(judge(topic(0, Some(code)), false, long), Verdict::Wait), "{code:?}");
            let Verdict::Refused(error) = judge(topic(0, Some(code)), true, long) else {
                panic!("{code:?} is an answer")
            };
            assert_eq!(error.code(), code);
        }
    }

    #[test]
    fn an_unknown_topic_is_an_error_after_the_stated_time_and_names_the_topic() {
        let unknown = || topic(0, Some(Code::UNKNOWN_TOPIC_OR_PARTITION));
        assert!(matches!(judge(unknown(), true, Duration::ZERO), Verdict::Wait));
        let Verdict::Refused(error) = judge(unknown(), true, UNKNOWN_AFTER) else {
            panic!("waits")
        };
        assert_eq!((error.topic(), error.is_retriable()), (Some("t"), true));
        assert!(error.message().contains("5000 ms"), "{error}");
    }

    #[test]
    fn a_known_topic_needs_no_new_answer_and_one_without_partitions_is_not_known() {
        assert!(matches!(judge(topic(1, None), false, Duration::ZERO), Verdict::Ready(_)));
        assert!(matches!(judge(topic(0, None), true, UNKNOWN_AFTER), Verdict::Wait));
        assert!(matches!(judge(None, true, UNKNOWN_AFTER), Verdict::Wait));
    }
}
