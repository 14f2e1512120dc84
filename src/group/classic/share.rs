//! The leader's part: who the members are, what they ask for, and who gets what. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::acts::{Assigned, Joining, Told};
use super::user_data;
use crate::config::Assignor;
use crate::error::{Code, Error, Result};
use crate::group::TopicPartition;
use crate::group::assign::{Candidate, Share};
use crate::group::assignor::{self, Member, Place, Topics};
use crate::protocol::modern::consumer_protocol::{
    self, AssignedPartitions, ConsumerProtocolAssignment, ConsumerProtocolSubscription,
    OwnedPartitions,
};

/// The version that assignments are written in: no later one has more fields, and every reader knows it.
const ASSIGNMENT: i16 = 0;

/// The absent field for user data: the length of no bytes.
const NO_USER_DATA: [u8; 4] = (-1_i32).to_be_bytes();

/// The name of a built-in assignor on the wire.
pub(super) fn name(assignor: Assignor) -> &'static str {
    match assignor {
        Assignor::Range => "range",
        Assignor::RoundRobin => "roundrobin",
        Assignor::Sticky => "sticky",
        Assignor::CooperativeSticky => "cooperative-sticky",
    }
}

/// What a member says of itself for one assignor; `user_data` of an assignor of the application's own.
pub(super) fn subscription(
    join: &Joining,
    assignor: Option<Assignor>,
    user_data: Option<Bytes>,
    rack: Option<&str>,
) -> Result<Bytes> {
    let user_data = match assignor {
        Some(Assignor::Sticky) if !join.last.is_empty() => {
            Some(user_data::sticky(&by_topic(&join.last), join.generation))
        }
        Some(Assignor::CooperativeSticky) => Some(user_data::cooperative(join.generation)),
        Some(_) => None,
        None => user_data,
    };
    let owned = |(topic, partitions)| OwnedPartitions { topic, partitions };
    let subscription = ConsumerProtocolSubscription {
        topics: join.topics.iter().map(ToString::to_string).collect(),
        user_data,
        owned_partitions: by_topic(&join.owned).into_iter().map(owned).collect(),
        generation_id: join.generation,
        rack_id: rack.map(str::to_owned),
    };
    consumer_protocol::encode(&subscription, consumer_protocol::NEWEST)
}

fn by_topic(partitions: &[TopicPartition]) -> Vec<(String, Vec<i32>)> {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for place in partitions {
        // Classic groups have partitions of Kafka 0.8 and later only.
        let number = i32::try_from(place.partition).unwrap_or(-1);
        topics.entry(&place.topic).or_default().push(number);
    }
    topics.into_iter().map(|(topic, partitions)| (topic.to_owned(), partitions)).collect()
}

/// The members as assignors see them. One whose subscription is something else gets nothing: another
/// program may use the group's name.
pub(super) fn candidates(members: &[Told], protocol: &str) -> Vec<Candidate> {
    members.iter().map(|told| candidate(told, protocol)).collect()
}

fn candidate(told: &Told, protocol: &str) -> Candidate {
    let read = consumer_protocol::decode::<ConsumerProtocolSubscription>(&told.metadata);
    let said = read.unwrap_or_default();
    let mut generation = said.generation_id;
    let owned = said.owned_partitions.into_iter();
    let mut owned: Vec<Place> =
        owned.flat_map(|o| o.partitions.into_iter().map(move |p| (o.topic.clone(), p))).collect();
    let data = said.user_data.as_ref();
    if protocol == name(Assignor::Sticky) {
        if let Some((places, since)) = data.and_then(user_data::read_sticky) {
            (owned, generation) = (places, since);
        }
    } else if protocol == name(Assignor::CooperativeSticky) && generation < 0 {
        generation = data.and_then(user_data::read_cooperative).unwrap_or(-1);
    }
    let member = Member {
        id: told.id.clone(),
        instance: told.instance.clone(),
        rack: said.rack_id,
        topics: said.topics.into_iter().collect(),
        owned,
        generation,
    };
    Candidate { member, user_data: said.user_data }
}

/// Every topic that some member subscribes.
pub(super) fn union(candidates: &[Candidate]) -> BTreeSet<String> {
    candidates.iter().flat_map(|candidate| candidate.member.topics.iter().cloned()).collect()
}

/// The topics of `me` that no other member subscribes.
pub(super) fn mine_alone(candidates: &[Candidate], me: &str, topics: &Topics) -> Vec<Arc<str>> {
    let (mine, others): (Vec<_>, Vec<_>) =
        candidates.iter().partition(|candidate| candidate.member.id == me);
    let mine = mine.into_iter().flat_map(|candidate| &candidate.member.topics);
    let alone = mine.filter(|topic| {
        let there = topics.0.get(*topic).is_some_and(|partitions| !partitions.is_empty());
        there && !others.iter().any(|other| other.member.topics.contains(*topic))
    });
    alone.map(|topic| Arc::from(topic.as_str())).collect()
}

/// Who gets what by a built-in assignor; an error for a name that is none.
pub(super) fn share_out(
    protocol: &str,
    candidates: &[Candidate],
    topics: &Topics,
) -> Result<Vec<(String, Share)>> {
    let members: Vec<Member> = candidates.iter().map(|c| c.member.clone()).collect();
    let shares = match protocol {
        "range" => assignor::range(&members, topics),
        "roundrobin" => assignor::round_robin(&members, topics),
        "sticky" => assignor::sticky(&members, topics),
        "cooperative-sticky" => assignor::cooperative(&members, topics),
        other => {
            let text = format!("the group chose the assignor {other}, which is not configured");
            return Err(Error::new(Code::INCONSISTENT_GROUP_PROTOCOL, text));
        }
    };
    let share = |(id, places)| (id, Share { places, user_data: None });
    Ok(shares.into_iter().map(share).collect())
}

/// The shares on the wire; every member has one.
pub(super) fn written(shares: Vec<(String, Share)>) -> Result<Vec<(String, Bytes)>> {
    let write = |(id, share): (String, Share)| {
        let mut topics: BTreeMap<String, Vec<i32>> = BTreeMap::new();
        for (topic, partition) in share.places {
            topics.entry(topic).or_default().push(partition);
        }
        let assigned = |(topic, partitions)| AssignedPartitions { topic, partitions };
        let assignment = ConsumerProtocolAssignment {
            assigned_partitions: topics.into_iter().map(assigned).collect(),
            user_data: share.user_data,
        };
        Ok((id, consumer_protocol::encode(&assignment, ASSIGNMENT)?))
    };
    shares.into_iter().map(write).collect()
}

/// The partitions of a share on the wire.
pub(in crate::group) fn read(assignment: &Bytes) -> Result<Vec<TopicPartition>> {
    assigned(assignment).map(|assigned| assigned.places)
}

/// A share on the wire, whole. No bytes at all are an empty one: the coordinator writes that for a member
/// whom the leader left out.
pub(super) fn assigned(assignment: &Bytes) -> Result<Assigned> {
    let decode = consumer_protocol::decode::<ConsumerProtocolAssignment>;
    let assignment = decode(assignment).or_else(|error| {
        // PyKafka as the leader leaves the field for user data out.
        let whole = [&assignment[..], &NO_USER_DATA].concat();
        decode(&whole.into()).map_err(|_| error)
    })?;
    let topics = assignment.assigned_partitions.into_iter();
    let places = topics.flat_map(|assigned| {
        let topic: Arc<str> = Arc::from(assigned.topic);
        let place = move |partition: i32| TopicPartition {
            topic: Arc::clone(&topic),
            partition: i64::from(partition),
        };
        assigned.partitions.into_iter().map(place)
    });
    Ok(Assigned { places: places.collect(), user_data: assignment.user_data })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_8_21_a_share_of_nothing_is_one_also_if_no_byte_says_so() {
        // Coordinators write no bytes for a member that the leader did not name.
        assert_eq!(assigned(&Bytes::new()).unwrap(), Assigned::default());
        let shares = written(vec![("m".to_owned(), Share::default())]).unwrap();
        assert_eq!(assigned(&shares[0].1).unwrap(), Assigned::default());
    }

    #[test]
    fn pykafka_writes_shares_without_the_field_for_user_data() {
        // Version 1, one topic "t" with the partitions 2 and 5.
        let share = [0, 1, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 5];
        let places = read(&Bytes::copy_from_slice(&share)).unwrap();
        let numbers: Vec<i64> = places.iter().map(|place| place.partition).collect();
        assert!(numbers == [2, 5] && places.iter().all(|place| &*place.topic == "t"));
        assert!(read(&Bytes::copy_from_slice(&share[..19])).is_err(), "cut short elsewhere");
    }
}
