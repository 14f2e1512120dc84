//! OffsetFetch: the committed places of partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep_until;

use super::{Committed, Shared, Spot, TopicIds, UNKNOWN_TRIES, by_topic, refused, spot};
use crate::error::{Code, Error, Result};
use crate::group::coordinator::Lane;
use crate::group::membership::TopicPartition;
use crate::group::standing::{Rest, Stamp};
use crate::net::{Versions, jitter};
use crate::protocol::modern::Uuid;
use crate::protocol::modern::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponse,
};

/// The first version that asks for several groups.
const FIRST_GROUPS: i16 = 8;
/// The first version that can refuse offsets of open transactions.
const FIRST_STABLE: i16 = 7;
/// The first version that says which member asks (KIP-848).
const FIRST_EPOCH: i16 = 9;
/// The first version that names topics by id.
const FIRST_TOPIC_ID: i16 = 10;

/// What is known of one partition.
type Found = Result<Option<Committed>>;

/// See [`OffsetStore::fetch`](crate::group::OffsetStore::fetch).
pub(super) async fn fetch(
    shared: &Shared,
    partitions: Vec<TopicPartition>,
    deadline: Instant,
) -> Result<Vec<Found>> {
    let mut work = Work::new(&partitions);
    let begun = Instant::now();
    for attempt in 1.. {
        if work.open.is_empty() {
            break;
        }
        work.attempt(shared, deadline).await?;
        if work.open.is_empty() {
            break;
        }
        let until = Instant::now() + shared.backoff.delay(attempt, jitter());
        sleep_until(until.min(deadline).into()).await;
        if Instant::now() >= deadline {
            let ms = begun.elapsed().as_millis();
            let text = format!("the committed offsets were not told within {ms} ms");
            let error = Error::new(Code::TIMED_OUT, text);
            return Err(work.trouble.map_or(error.clone(), |cause| error.caused_by(cause)));
        }
    }
    let outcome = |place: &TopicPartition| {
        let found = work.found.get(&spot(place)?).cloned();
        found.unwrap_or_else(|| Err(Error::bare(Code::ABANDONED)))
    };
    Ok(partitions.iter().map(outcome).collect())
}

/// What an answer's code means, for the whole or for one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Fine,
    Again,
    Elsewhere,
    /// Again, but not for ever.
    Perhaps,
    ByName,
    /// Again with the member's next epoch (rules 9.10, 9.11).
    NextEpoch,
    Failed,
}

/// Rules 9.10, 9.11, 9.18, 11.6. `version` 0 calls a partition unknown that has no offset.
pub(super) fn judge(code: Code, version: i16, by_epochs: bool) -> Verdict {
    match code {
        Code::NONE => Verdict::Fine,
        Code::UNKNOWN_TOPIC_OR_PARTITION if version == 0 => Verdict::Fine,
        Code::UNKNOWN_TOPIC_OR_PARTITION => Verdict::Perhaps,
        Code::UNKNOWN_TOPIC_ID | Code::INCONSISTENT_TOPIC_ID => Verdict::ByName,
        Code::COORDINATOR_NOT_AVAILABLE | Code::NOT_COORDINATOR | Code::REQUEST_TIMED_OUT => {
            Verdict::Elsewhere
        }
        code if by_epochs && concerns_the_member(code) => Verdict::NextEpoch,
        // Among them 14, which waits at the same coordinator (8.8), and 88.
        code if code.is_retriable() => Verdict::Again,
        _ => Verdict::Failed,
    }
}

/// Codes that say something of the member by KIP-848 that asks. It is told, and what it asked for is asked
/// again when it is one anew (rules 9.10, 9.11).
fn concerns_the_member(code: Code) -> bool {
    matches!(code, Code::STALE_MEMBER_EPOCH | Code::UNKNOWN_MEMBER_ID | Code::FENCED_MEMBER_EPOCH)
}

/// An answer in one form for all versions.
struct Answer {
    whole: Code,
    partitions: BTreeMap<Spot, (Code, Option<Committed>)>,
}

impl Answer {
    fn of_the_member(&self) -> BTreeSet<Code> {
        let each = self.partitions.values().map(|(code, _)| *code);
        each.chain([self.whole]).filter(|code| concerns_the_member(*code)).collect()
    }
}

struct Work {
    open: BTreeSet<Spot>,
    found: BTreeMap<Spot, Found>,
    trouble: Option<Error>,
    /// The last answer called the member's epoch stale.
    is_stale: bool,
    stale: Option<Rest>,
    unknown: u32,
    by_name: bool,
}

impl Work {
    fn new(partitions: &[TopicPartition]) -> Self {
        let open = partitions.iter().filter_map(|place| spot(place).ok()).collect();
        let (found, trouble, stale) = (BTreeMap::new(), None, None);
        Self { open, found, trouble, is_stale: false, stale, unknown: 0, by_name: false }
    }

    /// One request. What failed for good is an error of everything.
    async fn attempt(&mut self, shared: &Shared, deadline: Instant) -> Result<()> {
        let stamp = match self.stale.take() {
            None => shared.standing.stamp(),
            Some(rest) => {
                shared.standing.rested(&rest, deadline).await;
                // Not while the member is none.
                match shared.standing.enter(deadline, || false).await {
                    Some(pass) => pass.stamp.clone(),
                    None => return Ok(()),
                }
            }
        };
        let stamp = stamp.filter(|stamp| stamp.by_epochs);
        let seat = shared.coordinator.find(deadline).await?;
        let ids = shared.topic_ids(self.open.iter());
        let make = |versions: &Versions| {
            shared.note_age(versions);
            let version = pick(versions, !self.by_name && ids.are_complete(), stamp.is_some())?;
            let group = shared.coordinator.group();
            Ok((version, request(version, group, stamp.as_ref(), &self.open, &ids)))
        };
        let asked = shared.coordinator.ask(&seat, Lane::Quick, shared.request_deadline(), make);
        let (version, response) = match asked.await {
            Ok(answered) => answered,
            Err(error) if error.is_retriable() => {
                self.trouble = Some(error);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let answer = understand(version, response, &ids);
        if let Some(stamp) = &stamp {
            answer.of_the_member().into_iter().for_each(|code| shared.standing.tell(code, stamp));
        }
        let elsewhere = self.hear(answer, version, stamp.is_some())?;
        if std::mem::take(&mut self.is_stale) {
            // The pauses are those between all attempts.
            let most = shared.backoff.most;
            self.stale = Some(shared.standing.rest(stamp.as_ref(), Duration::ZERO, most));
        }
        match elsewhere {
            true => shared.coordinator.lost(&seat),
            false => shared.coordinator.served(),
        }
        Ok(())
    }

    /// Takes an answer; whether the coordinator is another one.
    fn hear(&mut self, answer: Answer, version: i16, by_epochs: bool) -> Result<bool> {
        let whole = judge(answer.whole, version, by_epochs);
        if whole != Verdict::Fine {
            let text = format!("the coordinator tells no offsets: {}", answer.whole.text());
            let error = Error::new(answer.whole, text);
            self.trouble = Some(error.clone());
            self.note(whole);
            return if whole == Verdict::Failed {
                Err(error)
            } else {
                Ok(whole == Verdict::Elsewhere)
            };
        }
        let (mut elsewhere, mut unknown) = (false, false);
        let spots: Vec<Spot> = self.open.iter().cloned().collect();
        for spot in spots {
            let Some((code, committed)) = answer.partitions.get(&spot) else {
                let text = "the coordinator's answer leaves it out";
                let error = Error::new(Code::PROTOCOL, text).with_topic(&*spot.0);
                self.end(spot.clone(), Err(error.with_partition(i64::from(spot.1))));
                continue;
            };
            let error = || refused("the committed offset", *code, &spot);
            match judge(*code, version, by_epochs) {
                Verdict::Fine => self.end(spot, Ok(committed.clone())),
                Verdict::Failed => {
                    let error = error();
                    self.end(spot, Err(error));
                }
                Verdict::Perhaps if self.unknown >= UNKNOWN_TRIES => {
                    let error = error();
                    self.end(spot, Err(error));
                }
                again => {
                    self.trouble = Some(error());
                    elsewhere |= again == Verdict::Elsewhere;
                    unknown |= again == Verdict::Perhaps;
                    self.note(again);
                }
            }
        }
        self.unknown += u32::from(unknown);
        Ok(elsewhere)
    }

    fn note(&mut self, verdict: Verdict) {
        self.by_name |= verdict == Verdict::ByName;
        self.is_stale |= verdict == Verdict::NextEpoch;
    }

    fn end(&mut self, spot: Spot, found: Found) {
        self.open.remove(&spot);
        self.found.insert(spot, found);
    }
}

fn pick(versions: &Versions, by_id: bool, by_epochs: bool) -> Result<i16> {
    let version = match by_id {
        true => versions.pick_with_topic_ids::<OffsetFetchRequest>()?,
        false => versions.pick::<OffsetFetchRequest>()?,
    };
    match by_epochs && version < FIRST_EPOCH {
        true => Err(versions.unsupported("offsets of members by KIP-848")),
        false => Ok(version),
    }
}

fn request(
    version: i16,
    group: &str,
    stamp: Option<&Stamp>,
    open: &BTreeSet<Spot>,
    ids: &TopicIds,
) -> OffsetFetchRequest {
    let mut request = OffsetFetchRequest {
        // What a transaction may still take back is no place to read from (KIP-447).
        require_stable: version >= FIRST_STABLE,
        ..OffsetFetchRequest::default()
    };
    let topics = by_topic(open.iter()).into_iter();
    if version < FIRST_GROUPS {
        group.clone_into(&mut request.group_id);
        let topic = |(name, partition_indexes): (&str, _)| OffsetFetchRequestTopic {
            name: name.to_owned(),
            partition_indexes,
        };
        request.topics = Some(topics.map(topic).collect());
        return request;
    }
    let topic = |(name, partition_indexes): (&str, _)| OffsetFetchRequestTopics {
        name: name.to_owned(),
        topic_id: if version >= FIRST_TOPIC_ID { ids.of(name) } else { Uuid::ZERO },
        partition_indexes,
    };
    request.groups.push(OffsetFetchRequestGroup {
        group_id: group.to_owned(),
        member_id: stamp.map(|stamp| stamp.member.to_string()),
        member_epoch: stamp.map_or(-1, |stamp| stamp.generation),
        topics: Some(topics.map(topic).collect()),
    });
    request
}

fn understand(version: i16, response: OffsetFetchResponse, ids: &TopicIds) -> Answer {
    let mut answer = Answer { whole: Code::from(response.error_code), partitions: BTreeMap::new() };
    if version < FIRST_GROUPS {
        for topic in response.topics {
            let Some(name) = ids.name(false, &topic.name, Uuid::ZERO) else { continue };
            for p in topic.partitions {
                let found = committed(p.committed_offset, p.committed_leader_epoch, p.metadata);
                let spot = (Arc::clone(&name), p.partition_index);
                answer.partitions.insert(spot, (Code::from(p.error_code), found));
            }
        }
        return answer;
    }
    for group in response.groups {
        answer.whole = Code::from(group.error_code);
        for topic in group.topics {
            let by_id = version >= FIRST_TOPIC_ID;
            let Some(name) = ids.name(by_id, &topic.name, topic.topic_id) else { continue };
            for p in topic.partitions {
                let found = committed(p.committed_offset, p.committed_leader_epoch, p.metadata);
                let spot = (Arc::clone(&name), p.partition_index);
                answer.partitions.insert(spot, (Code::from(p.error_code), found));
            }
        }
    }
    answer
}

/// Below 0 nothing is committed.
fn committed(offset: i64, epoch: i32, metadata: Option<String>) -> Option<Committed> {
    (offset >= 0).then(|| Committed {
        offset,
        leader_epoch: (epoch >= 0).then_some(epoch),
        metadata: metadata.filter(|text| !text.is_empty()).map(Arc::from),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_7_3_a_negative_offset_is_none_and_what_is_left_out_is_an_error_of_its_partition() {
        let place = |partition| TopicPartition { topic: Arc::from("t"), partition };
        let spot = |partition| -> Spot { (Arc::from("t"), partition) };
        let mut work = Work::new(&[place(0), place(1), place(2)]);
        let told = [(0, -7), (2, 4), (9, 5)];
        let partitions = told.map(|(number, offset)| {
            (spot(number), (Code::NONE, committed(offset, -1, Some(String::new()))))
        });
        let answer = Answer { whole: Code::NONE, partitions: BTreeMap::from(partitions) };
        assert!(!work.hear(answer, FIRST_STABLE, false).unwrap());
        assert!(work.open.is_empty() && !work.found.contains_key(&spot(9)), "nobody asked for 9");
        assert_eq!(work.found[&spot(0)].as_ref().unwrap(), &None);
        assert_eq!(work.found[&spot(1)].as_ref().unwrap_err().code(), Code::PROTOCOL);
        assert_eq!(work.found[&spot(2)].as_ref().unwrap().as_ref().map(|at| at.offset), Some(4));
    }
}
