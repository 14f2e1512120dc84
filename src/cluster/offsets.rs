//! Offsets by time, asked of each partition's leader (ListOffsets).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout_at};

use super::core::Core;
use super::schedule::Urgency;
use super::waiting::UNKNOWN_AFTER;
use super::{Topic, TopicMetadata, legacy_offsets, partition_within};
use crate::config::IsolationLevel;
use crate::error::{Code, Error, Result};
use crate::net::{Backoff, Broker, Connection, Purpose, Versions, jitter};
use crate::protocol::modern::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsTopic,
};

/// Asks for the end of the log; with `read_committed` the last stable offset (invariant 7.8).
pub const LATEST: i64 = -1;
/// Asks for the first offset that is still there.
pub const EARLIEST: i64 = -2;

/// An answer of ListOffsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetAt {
    /// The offset; −1 when no record is that late.
    pub offset: i64,
    /// The timestamp of the record found; −1 unknown.
    pub timestamp: i64,
    /// The leader epoch of the record found; −1 unknown.
    pub leader_epoch: i32,
}

/// "Nothing is that late", and the answer of topics in a format without timestamps (invariant 7.6).
pub(super) const NOTHING: OffsetAt = OffsetAt { offset: -1, timestamp: -1, leader_epoch: -1 };

#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) topic: Arc<Topic>,
    partition: i64,
    pub(super) when: i64,
    leader_epoch: i32,
}

impl Question {
    /// The partition's number as brokers know it.
    pub(super) fn wire_number(&self) -> i32 {
        partition_within(self.partition)
    }
}

/// A question and its place in the caller's list.
pub(super) type Numbered = (usize, Question);

/// What one attempt gave for one question.
#[derive(Debug)]
pub(super) enum Outcome {
    Found(OffsetAt),
    /// The leader has to be found again (invariant 7.9), or did not answer.
    Again(Error),
    /// The connection ended, and this was the first question on it without an answer. A broker of 0.7
    /// closes over a partition that it does not have, and answers none behind it.
    Closed(Error),
    Failed(Error),
}

/// What one attempt is about.
#[derive(Clone, Copy)]
struct Attempt<'a> {
    questions: &'a [(Arc<Topic>, i64, i64)],
    isolation: IsolationLevel,
    begun: Instant,
    deadline: Instant,
}

/// Topics that are not known yet, all waited for at once; by the numbers of their topics.
#[derive(Debug, Default)]
struct TopicWaits {
    waiting: JoinSet<(usize, Result<Arc<TopicMetadata>>)>,
    /// What waits ended with; none while they last.
    topics: BTreeMap<usize, Option<Result<Arc<TopicMetadata>>>>,
}

impl TopicWaits {
    /// The metadata of a topic, or why there is none; nothing yet while it is waited for.
    fn look(
        &mut self,
        core: &Arc<Core>,
        topic: &Arc<Topic>,
        deadline: Instant,
    ) -> Option<Result<Arc<TopicMetadata>>> {
        if let Some(ready) = core.known_topic(topic).transpose() {
            return Some(ready);
        }
        if let Some(wait) = self.topics.get(&topic.index()) {
            return wait.clone();
        }
        self.topics.insert(topic.index(), None);
        let (waiting_core, topic) = (Arc::clone(core), Arc::clone(topic));
        let wait = async move {
            let metadata = waiting_core.topic_metadata(&topic, false, deadline).await;
            (topic.index(), metadata)
        };
        self.waiting.spawn_on(wait, core.runtime.handle());
        None
    }

    /// Sleeps until `pause`, or until a wait ended; those that ended with the same answer of a broker
    /// are taken together.
    async fn wait(&mut self, pause: Instant) {
        if self.waiting.is_empty() {
            sleep_until(pause.into()).await;
            return;
        }
        let mut ended = timeout_at(pause.into(), self.waiting.join_next()).await.ok().flatten();
        tokio::task::yield_now().await;
        while let Some(wait) = ended {
            // A panic leaves its topic unknown, until the deadline.
            if let Ok((topic, metadata)) = wait {
                self.topics.insert(topic, Some(metadata));
            }
            ended = self.waiting.try_join_next();
        }
    }
}

impl Core {
    /// See [`super::Cluster::list_offsets`], and [`super::Cluster::look_up_offsets`] for `gives_up`.
    pub(super) async fn list_offsets(
        self: &Arc<Self>,
        questions: &[(Arc<Topic>, i64, i64)],
        isolation: IsolationLevel,
        deadline: Instant,
        gives_up: bool,
    ) -> Vec<Result<OffsetAt>> {
        let begun = Instant::now();
        let mut answers: Vec<Option<Result<OffsetAt>>> = vec![None; questions.len()];
        let mut troubles: Vec<Option<Error>> = vec![None; questions.len()];
        let mut closes = vec![0_u32; questions.len()];
        let backoff =
            Backoff { first: self.client.retry_backoff, most: self.client.retry_backoff_max };
        let mut topics = TopicWaits::default();
        for attempt in 1.. {
            let open = answers.iter().enumerate().filter(|(_, answer)| answer.is_none());
            let mut open: Vec<usize> = open.map(|(index, _)| index).collect();
            if open.is_empty() {
                break;
            }
            // What may be the reason for a close holds up no other question.
            open.sort_by_key(|index| closes.get(*index).copied());
            let mut again = false;
            let asked = Attempt { questions, isolation, begun, deadline };
            for (index, outcome) in self.attempt(asked, &open, &mut topics).await {
                let Some(answer) = answers.get_mut(index) else { continue };
                match weigh(outcome, closes.get_mut(index), gives_up) {
                    Outcome::Found(found) => *answer = Some(Ok(found)),
                    Outcome::Failed(error) => *answer = Some(Err(error)),
                    Outcome::Again(error) | Outcome::Closed(error) => {
                        again = true;
                        if let Some(trouble) = troubles.get_mut(index) {
                            *trouble = Some(error);
                        }
                    }
                }
            }
            if answers.iter().all(Option::is_some) || Instant::now() >= deadline {
                break;
            }
            let mut pause = deadline;
            if again {
                // Also of topics that nobody subscribed to: asking made them wanted.
                self.trigger(Urgency::Urgent, "an offset look-up needs the leader");
                pause = pause.min(Instant::now() + backoff.delay(attempt, jitter()));
            }
            topics.wait(pause).await;
        }
        for (trouble, (topic, ..)) in troubles.iter_mut().zip(questions) {
            if trouble.is_none() && matches!(self.known_topic(topic), Ok(None)) {
                *trouble = Some(self.no_metadata(topic, begun));
            }
        }
        let late = |index: usize| out_of_time(questions.get(index), begun, &troubles, index);
        let answers = answers.into_iter().enumerate();
        answers.map(|(index, answer)| answer.unwrap_or_else(|| Err(late(index)))).collect()
    }

    /// Asks every leader once, all at the same time. What is asked of a topic that is not known yet
    /// stays without outcome and holds up nobody.
    async fn attempt(
        self: &Arc<Self>,
        asked: Attempt<'_>,
        open: &[usize],
        topics: &mut TopicWaits,
    ) -> Vec<(usize, Outcome)> {
        let Attempt { questions, isolation, begun, deadline } = asked;
        let mut outcomes = Vec::new();
        let mut leaders: BTreeMap<i32, (Arc<Broker>, Vec<Numbered>)> = BTreeMap::new();
        for index in open {
            let Some((topic, partition, when)) = questions.get(*index) else { continue };
            let metadata = match topics.look(self, topic, deadline) {
                None => continue,
                Some(Ok(metadata)) => metadata,
                Some(Err(error)) => {
                    outcomes.push((*index, Outcome::Failed(error)));
                    continue;
                }
            };
            match self.leader(&metadata, *partition, begun) {
                Ok((broker, leader_epoch)) => {
                    let (topic, partition, when) = (Arc::clone(topic), *partition, *when);
                    let question = Question { topic, partition, when, leader_epoch };
                    let entry = leaders.entry(broker.id()).or_insert((broker, Vec::new()));
                    entry.1.push((*index, question));
                }
                Err(outcome) => outcomes.push((*index, outcome)),
            }
        }
        let mut asked = JoinSet::new();
        for (broker, questions) in leaders.into_values() {
            let request_timeout = self.client.request_timeout;
            let ask = ask_leader(broker, questions, isolation, request_timeout, deadline);
            asked.spawn_on(ask, self.runtime.handle());
        }
        while let Some(joined) = asked.join_next().await {
            // A panic leaves its questions without outcome: they are asked again, until the deadline.
            outcomes.extend(joined.unwrap_or_default());
        }
        outcomes
    }

    fn leader(
        &self,
        metadata: &TopicMetadata,
        partition: i64,
        begun: Instant,
    ) -> Result<(Arc<Broker>, i32), Outcome> {
        let (leader, epoch) = find_leader(metadata, partition, begun.elapsed())?;
        let broker = self.broker(leader).ok_or_else(|| {
            let text = format!("the leader, broker {leader}, is not in the metadata");
            Outcome::Again(placed(Code::LEADER_NOT_AVAILABLE, text, &metadata.name, partition))
        })?;
        Ok((broker, epoch))
    }
}

/// Counts what may have been the reason for a close; the second time that is an outcome for who gives up.
fn weigh(outcome: Outcome, closes: Option<&mut u32>, gives_up: bool) -> Outcome {
    match (outcome, closes) {
        (Outcome::Closed(error), Some(closes)) => {
            *closes += 1;
            if gives_up && *closes > 1 { Outcome::Failed(error) } else { Outcome::Again(error) }
        }
        (outcome, _) => outcome,
    }
}

fn find_leader(
    metadata: &TopicMetadata,
    partition: i64,
    waited: Duration,
) -> Result<(i32, i32), Outcome> {
    let name = &metadata.name;
    match metadata.partition(partition) {
        None => {
            let count = metadata.partitions.len();
            let text = format!("topic {name} has no partition {partition}, it has {count}");
            let error = placed(Code::UNKNOWN_TOPIC_OR_PARTITION, text, name, partition);
            // It may have been added a moment ago.
            let patient = partition >= 0 && waited < UNKNOWN_AFTER;
            Err(if patient { Outcome::Again(error) } else { Outcome::Failed(error) })
        }
        Some(known) if known.leader < 0 => {
            let text = format!("partition {partition} of topic {name} has no leader");
            Err(Outcome::Again(placed(Code::LEADER_NOT_AVAILABLE, text, name, partition)))
        }
        Some(known) => Ok((known.leader, known.leader_epoch)),
    }
}

fn placed(code: Code, text: String, topic: &str, partition: i64) -> Error {
    Error::new(code, text).with_topic(topic).with_partition(partition)
}

fn out_of_time(
    question: Option<&(Arc<Topic>, i64, i64)>,
    begun: Instant,
    troubles: &[Option<Error>],
    index: usize,
) -> Error {
    let Some((topic, partition, _)) = question else { return Error::bare(Code::TIMED_OUT) };
    let ms = begun.elapsed().as_millis();
    let name = topic.name();
    let text = format!("no offset of topic {name}, partition {partition} within {ms} ms");
    let error = placed(Code::TIMED_OUT, text, name, *partition);
    match troubles.get(index).cloned().flatten() {
        Some(cause) => error.caused_by(cause),
        None => error,
    }
}

/// Asks one leader; an outcome for each question.
async fn ask_leader(
    broker: Arc<Broker>,
    questions: Vec<Numbered>,
    isolation: IsolationLevel,
    request_timeout: Duration,
    deadline: Instant,
) -> Vec<(usize, Outcome)> {
    let connection = match broker.connection(Purpose::Control, deadline).await {
        Ok(connection) => connection,
        Err(error) => return for_all(&questions, &|| Outcome::Again(error.clone())),
    };
    let version = match pick(connection.versions(), isolation) {
        Ok(version) => version,
        Err(error) => return for_all(&questions, &|| Outcome::Failed(error.clone())),
    };
    let mut outcomes = Vec::new();
    let mut asked = Vec::new();
    for (index, question) in questions {
        match check_time(connection.versions(), version, question.when) {
            Ok(()) => asked.push((index, question)),
            Err(error) => outcomes.push((index, Outcome::Failed(error))),
        }
    }
    outcomes.extend(match connection.is_legacy() {
        true => legacy_offsets::ask(&connection, asked, request_timeout).await,
        false => exchange(&connection, version, asked, isolation, request_timeout).await,
    });
    outcomes
}

fn for_all(questions: &[Numbered], outcome: &dyn Fn() -> Outcome) -> Vec<(usize, Outcome)> {
    questions.iter().map(|(index, _)| (*index, outcome())).collect()
}

/// `read_committed` needs version 2: asked in an older one it would silently mean something else
/// (invariant 2.8).
fn pick(versions: &Versions, isolation: IsolationLevel) -> Result<i16> {
    let version = if versions.is_legacy() { 0 } else { versions.pick::<ListOffsetsRequest>()? };
    if isolation == IsolationLevel::ReadCommitted && version < 2 {
        return Err(versions.unsupported("isolation.level=read_committed"));
    }
    Ok(version)
}

/// Special times are read as plain numbers by brokers that do not know them (invariant 7.7).
fn check_time(versions: &Versions, version: i16, when: i64) -> Result<()> {
    let (needed, name) = match when {
        LATEST | EARLIEST | 0.. => return Ok(()),
        -3 => (7, "the offset of the largest timestamp (-3)"),
        -4 => (8, "the earliest local offset (-4)"),
        -5 => (9, "the latest tiered offset (-5)"),
        -6 => (11, "the earliest offset that waits to be tiered (-6)"),
        other => {
            let text = format!("{other} is neither a time in milliseconds nor a special one");
            return Err(Error::new(Code::INVALID_ARGUMENT, text));
        }
    };
    if version >= needed { Ok(()) } else { Err(versions.unsupported(name)) }
}

async fn exchange(
    connection: &Connection,
    version: i16,
    asked: Vec<Numbered>,
    isolation: IsolationLevel,
    request_timeout: Duration,
) -> Vec<(usize, Outcome)> {
    if asked.is_empty() {
        return Vec::new();
    }
    let send = async |questions: &[Numbered]| {
        let request = request(questions, version, isolation, request_timeout);
        let deadline = Instant::now() + request_timeout;
        connection.request_at(version, &request, deadline).await.map(|response| {
            let partitions = response.topics.into_iter().flat_map(|topic| {
                topic
                    .partitions
                    .into_iter()
                    .map(move |p| ((topic.name.clone(), p.partition_index), p))
            });
            partitions.collect::<BTreeMap<_, _>>()
        })
    };
    let mut found = match send(&asked).await {
        Ok(found) => found,
        Err(error) => return for_all(&asked, &|| Outcome::Again(error.clone())),
    };
    let mut outcomes = Vec::new();
    let mut before_all = Vec::new();
    for (index, question) in asked {
        let key = (question.topic.name().to_string(), question.wire_number());
        match found.remove(&key) {
            Some(answer) if version == 0 && is_before_all(&question, &answer) => {
                before_all.push((index, Question { when: EARLIEST, ..question }));
            }
            answer => outcomes.push((index, conclude(&question, answer, version, connection))),
        }
    }
    if before_all.is_empty() {
        return outcomes;
    }
    // Version 0 knows segments only: a time before the first one finds nothing, and means the first.
    match send(&before_all).await {
        Err(error) => outcomes.extend(for_all(&before_all, &|| Outcome::Again(error.clone()))),
        Ok(mut found) => outcomes.extend(before_all.into_iter().map(|(index, question)| {
            let answer = found.remove(&(question.topic.name().to_string(), question.wire_number()));
            (index, conclude(&question, answer, version, connection))
        })),
    }
    outcomes
}

fn request(
    questions: &[Numbered],
    version: i16,
    isolation: IsolationLevel,
    request_timeout: Duration,
) -> ListOffsetsRequest {
    let mut topics: BTreeMap<&Arc<str>, Vec<ListOffsetsPartition>> = BTreeMap::new();
    for (_, question) in questions {
        topics.entry(question.topic.name()).or_default().push(ListOffsetsPartition {
            partition_index: question.wire_number(),
            current_leader_epoch: question.leader_epoch,
            timestamp: question.when,
            ..ListOffsetsPartition::default()
        });
    }
    let topics = topics.into_iter().map(|(name, partitions)| {
        let name = name.to_string();
        ListOffsetsTopic { name, partitions }
    });
    ListOffsetsRequest {
        replica_id: -1,
        isolation_level: if version >= 2 { isolation.wire() } else { 0 },
        topics: topics.collect(),
        timeout_ms: i32::try_from(request_timeout.as_millis()).unwrap_or(i32::MAX),
    }
}

fn is_before_all(question: &Question, answer: &ListOffsetsPartitionResponse) -> bool {
    question.when >= 0 && answer.error_code == 0 && answer.old_style_offsets.is_empty()
}

fn conclude(
    question: &Question,
    answer: Option<ListOffsetsPartitionResponse>,
    version: i16,
    connection: &Connection,
) -> Outcome {
    let (name, partition) = (question.topic.name(), question.partition);
    let broker = connection.broker();
    let Some(answer) = answer else {
        let text = format!("broker {broker} left partition {partition} of {name} out");
        return Outcome::Again(
            placed(Code::PROTOCOL, text, name, partition).with_broker(&**broker),
        );
    };
    let code = Code::from(answer.error_code);
    let error = || {
        let text = format!(
            "broker {broker} gives no offset of topic {name}, partition {partition}: {}",
            code.text()
        );
        placed(code, text, name, partition).with_broker(&**broker)
    };
    match code {
        Code::NONE if version == 0 => {
            let offset = answer.old_style_offsets.first().copied().unwrap_or(-1);
            Outcome::Found(OffsetAt { offset, ..NOTHING })
        }
        Code::NONE => Outcome::Found(OffsetAt {
            offset: answer.offset,
            timestamp: answer.timestamp,
            leader_epoch: answer.leader_epoch,
        }),
        Code::UNSUPPORTED_FOR_MESSAGE_FORMAT => Outcome::Found(NOTHING),
        code if code.is_retriable() => Outcome::Again(error()),
        _ => Outcome::Failed(error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::PartitionMetadata;

    fn metadata(leaders: &[i32]) -> TopicMetadata {
        let partitions = leaders
            .iter()
            .map(|leader| PartitionMetadata { leader: *leader, ..PartitionMetadata::unknown() });
        TopicMetadata {
            name: Arc::from("t"),
            id: Default::default(),
            error: None,
            partitions: partitions.collect(),
            places: None,
            internal: false,
        }
    }

    #[test]
    fn rule_7_8_a_question_carries_isolation_and_the_leader_epoch() {
        let topic = Topic::new("t".into(), 0, std::sync::Weak::new(), false);
        let question = Question { topic, partition: 3, when: LATEST, leader_epoch: 7 };
        let isolation = IsolationLevel::ReadCommitted;
        let made = request(&[(0, question.clone())], 2, isolation, Duration::from_secs(1));
        let asked = &made.topics[0].partitions[0];
        assert_eq!((made.isolation_level, made.replica_id), (1, -1));
        assert_eq!(
            (asked.partition_index, asked.current_leader_epoch, asked.timestamp),
            (3, 7, -1)
        );
        let old = request(&[(0, question)], 1, IsolationLevel::default(), Duration::from_secs(1));
        assert_eq!(old.isolation_level, 0, "version 1 has no such field");
    }

    #[test]
    fn a_partition_that_does_not_exist_is_an_error_that_says_how_many_there_are() {
        let two = metadata(&[1, -1]);
        assert!(matches!(find_leader(&two, 0, Duration::ZERO), Ok((1, -1))));
        assert!(
            matches!(find_leader(&two, 1, UNKNOWN_AFTER), Err(Outcome::Again(_))),
            "leaderless"
        );
        let new = find_leader(&two, 2, Duration::ZERO);
        assert!(matches!(new, Err(Outcome::Again(_))), "it may have been added a moment ago");
        for (partition, waited) in [(2, UNKNOWN_AFTER), (-5, Duration::ZERO)] {
            let Err(Outcome::Failed(error)) = find_leader(&two, partition, waited) else {
                panic!("{partition}")
            };
            assert!(error.message().contains("it has 2"), "{error}");
            assert_eq!(error.partition(), Some(partition));
        }
    }
}
