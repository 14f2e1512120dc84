//! OffsetCommit, OffsetFetch and OffsetDelete.

use std::time::Instant;

use super::{Call, check, injected, outcome, wire};
use crate::embedded::groups::{Committed, Group, Identity, Next};
use crate::embedded::serve::{Serve, Served, is_topic};
use crate::embedded::state::Shared;
use crate::error::Code;
use crate::protocol::modern::Uuid;
use crate::protocol::modern::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitResponse,
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use crate::protocol::modern::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteResponse, OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
};
use crate::protocol::modern::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestTopics, OffsetFetchResponse, OffsetFetchResponseGroup,
    OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};

/// The first version of both that can name a member's epoch (KIP-848).
const FIRST_EPOCH: i16 = 9;
/// The first version of both that names topics by id.
const FIRST_TOPIC_ID: i16 = 10;
/// The first version of OffsetFetch that asks for several groups.
const FIRST_GROUPS: i16 = 8;
/// The first version of OffsetFetch that has an error of its own.
const FIRST_ERROR: i16 = 2;
/// Kafka's `offset.metadata.max.bytes`.
const METADATA_MAX: usize = 4_096;

/// The name of a topic that a request means, by id from the version on that has ids.
fn name_of(shared: &Shared, by_id: bool, name: &str, id: Uuid) -> Result<String, Code> {
    match by_id {
        false => Ok(name.to_owned()),
        true => {
            let topics = shared.topics();
            let found = topics.identified(id).map(|topic| topic.name.clone());
            found.ok_or(Code::UNKNOWN_TOPIC_ID)
        }
    }
}

impl Serve for OffsetCommitRequest {
    fn names(&self, shared: &Shared, topic: Option<&str>, partition: Option<i32>) -> bool {
        self.topics.iter().any(|t| {
            is_topic(shared, topic, &t.name, t.topic_id)
                && partition.is_none_or(|p| t.partitions.iter().any(|c| c.partition_index == p))
        })
    }

    fn serve(self, call: &Call<'_>) -> Served<OffsetCommitResponse> {
        let now = Instant::now();
        let by_id = call.version >= FIRST_TOPIC_ID;
        let may = match call.verdict.whole_code() {
            Some(code) => Err(Code(code.into())),
            None => check(call.shared, call.broker, &self.group_id),
        };
        let mut groups = call.shared.groups();
        let may = may.and_then(|()| {
            let group = groups.group_or_new(&self.group_id, now);
            let who =
                Identity { member: &self.member_id, instance: self.group_instance_id.as_deref() };
            let epoch = self.generation_id_or_member_epoch;
            match &group.next {
                Some(next) if !next.is_empty() => knows_epochs(next, who.member, call.version),
                _ => group.classic.may_commit(who, epoch, now),
            }
        });
        let who = (self.member_id.as_str(), self.generation_id_or_member_epoch);
        let topics = self.topics.into_iter().map(|topic| {
            let name = name_of(call.shared, by_id, &topic.name, topic.topic_id);
            let one = |partition: OffsetCommitRequestPartition| {
                let index = partition.partition_index;
                let code = match (&may, &name) {
                    (Err(code), _) | (_, Err(code)) => wire(*code),
                    (Ok(()), Ok(name)) => {
                        let group = groups.group_or_new(&self.group_id, now);
                        commit(call, group, who, name, partition)
                    }
                };
                OffsetCommitResponsePartition { partition_index: index, error_code: code }
            };
            OffsetCommitResponseTopic {
                partitions: topic.partitions.into_iter().map(one).collect(),
                name: topic.name,
                topic_id: topic.topic_id,
            }
        });
        let topics = topics.collect();
        Served::Answer(OffsetCommitResponse { topics, ..OffsetCommitResponse::default() })
    }

    fn throttle(response: &mut OffsetCommitResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }
}

/// Whether a KIP-848 group can judge a commit: a member must say its epoch (9 and later).
fn knows_epochs(next: &Next, member: &str, version: i16) -> Result<(), Code> {
    if !next.members().iter().any(|known| known.id == member) {
        return Err(Code::UNKNOWN_MEMBER_ID);
    }
    if version < FIRST_EPOCH { Err(Code::UNSUPPORTED_VERSION) } else { Ok(()) }
}

/// Whether the member may commit for the partition, in groups whose members have epochs.
fn in_epoch(
    call: &Call<'_>,
    group: &Group,
    (member, epoch): (&str, i32),
    topic: &str,
    index: i32,
) -> Result<(), Code> {
    let Some(next) = group.next.as_ref().filter(|next| !next.is_empty()) else { return Ok(()) };
    let topic = call.shared.topic(topic).ok().map(|topic| (topic.id, index));
    next.may_commit(member, epoch, topic.as_ref())
}

/// Keeps one offset; gives the code for it.
fn commit(
    call: &Call<'_>,
    group: &mut Group,
    who: (&str, i32),
    topic: &str,
    partition: OffsetCommitRequestPartition,
) -> i16 {
    let index = partition.partition_index;
    let fault = call.verdict.code(topic, index);
    if let Some((code, false)) = fault {
        return code;
    }
    if let Err(code) = in_epoch(call, group, who, topic, index) {
        return wire(code);
    }
    let metadata = partition.committed_metadata.unwrap_or_default();
    if metadata.len() > METADATA_MAX {
        return wire(Code::OFFSET_METADATA_TOO_LARGE);
    }
    if call.shared.partition(topic, index).is_err() {
        return wire(Code::UNKNOWN_TOPIC_OR_PARTITION);
    }
    let (offset, leader_epoch) = (partition.committed_offset, partition.committed_leader_epoch);
    group.offsets.commit(topic, index, Committed { offset, leader_epoch, metadata });
    fault.map_or(0, |(code, _)| code)
}

impl Serve for OffsetFetchRequest {
    fn names(&self, shared: &Shared, topic: Option<&str>, partition: Option<i32>) -> bool {
        let has = |name: &str, id, partitions: &[i32]| {
            is_topic(shared, topic, name, id) && partition.is_none_or(|p| partitions.contains(&p))
        };
        let old = self.topics.iter().flatten();
        let new = self.groups.iter().flat_map(|group| group.topics.iter().flatten());
        (topic.is_none() && partition.is_none())
            || old.into_iter().any(|t| has(&t.name, Uuid::ZERO, &t.partition_indexes))
            || new.into_iter().any(|t| has(&t.name, t.topic_id, &t.partition_indexes))
    }

    fn serve(self, call: &Call<'_>) -> Served<OffsetFetchResponse> {
        if call.version >= FIRST_GROUPS {
            let groups = self.groups.into_iter();
            let groups = groups.map(|group| {
                let member = group.member_id.as_deref().map(|id| (id, group.member_epoch));
                one_group(call, &group.group_id, member, group.topics)
            });
            let groups = groups.collect();
            return Served::Answer(OffsetFetchResponse {
                groups,
                ..OffsetFetchResponse::default()
            });
        }
        let topics = self.topics.map(|topics| {
            let new =
                |t: crate::protocol::modern::messages::offset_fetch::OffsetFetchRequestTopic| {
                    OffsetFetchRequestTopics {
                        name: t.name,
                        partition_indexes: t.partition_indexes,
                        ..OffsetFetchRequestTopics::default()
                    }
                };
            topics.into_iter().map(new).collect()
        });
        let group = one_group(call, &self.group_id, None, topics);
        let whole = group.error_code;
        let old = |t: OffsetFetchResponseTopics| OffsetFetchResponseTopic {
            name: t.name,
            partitions: t.partitions.into_iter().map(|p| old_partition(p, whole)).collect(),
        };
        Served::Answer(OffsetFetchResponse {
            topics: group.topics.into_iter().map(old).collect(),
            error_code: if call.version >= FIRST_ERROR { whole } else { 0 },
            ..OffsetFetchResponse::default()
        })
    }

    fn throttle(response: &mut OffsetFetchResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }
}

/// Versions without an error for the whole tell it with every partition.
fn old_partition(p: OffsetFetchResponsePartitions, whole: i16) -> OffsetFetchResponsePartition {
    OffsetFetchResponsePartition {
        partition_index: p.partition_index,
        committed_offset: p.committed_offset,
        committed_leader_epoch: p.committed_leader_epoch,
        metadata: p.metadata,
        error_code: if p.error_code == 0 { whole } else { p.error_code },
    }
}

fn one_group(
    call: &Call<'_>,
    id: &str,
    member: Option<(&str, i32)>,
    topics: Option<Vec<OffsetFetchRequestTopics>>,
) -> OffsetFetchResponseGroup {
    let by_id = call.version >= FIRST_TOPIC_ID;
    let checked = match call.verdict.whole_code() {
        Some(code) => Err(Code(code.into())),
        None => check(call.shared, call.broker, id),
    };
    let mut groups = call.shared.groups();
    let group = groups.group(id, Instant::now());
    let next = group.as_ref().and_then(|group| group.next.as_ref());
    let whole = checked.and_then(|()| match (member, next) {
        (Some((member, epoch)), Some(next)) => next.may_fetch(member, epoch),
        _ => Ok(()),
    });
    let whole = whole.map_or_else(wire, |()| 0);
    let offsets = group.map(|group| group.offsets.clone()).unwrap_or_default();
    // Null asks for everything.
    let topics = topics.unwrap_or_else(|| {
        let all = offsets.all().map(|(name, partition_indexes)| OffsetFetchRequestTopics {
            name: name.to_owned(),
            topic_id: call.shared.topic(name).map_or(Uuid::ZERO, |topic| topic.id),
            partition_indexes,
        });
        all.collect()
    });
    let answer = |topic: OffsetFetchRequestTopics| {
        let name = name_of(call.shared, by_id, &topic.name, topic.topic_id);
        let one = |index| {
            let found = name.as_ref().ok().and_then(|name| offsets.get(name, index));
            let fault = name.as_ref().ok().and_then(|name| call.verdict.code(name, index));
            let error = name.as_ref().err().map_or(0, |code| wire(*code));
            OffsetFetchResponsePartitions {
                partition_index: index,
                committed_offset: found.filter(|_| whole == 0).map_or(-1, |c| c.offset),
                committed_leader_epoch: found.map_or(-1, |c| c.leader_epoch),
                metadata: Some(found.map(|c| c.metadata.clone()).unwrap_or_default()),
                error_code: fault.map_or(error, |(code, _)| code),
            }
        };
        OffsetFetchResponseTopics {
            partitions: topic.partition_indexes.iter().map(|index| one(*index)).collect(),
            name: topic.name,
            topic_id: topic.topic_id,
        }
    };
    OffsetFetchResponseGroup {
        group_id: id.to_owned(),
        topics: topics.into_iter().map(answer).collect(),
        error_code: whole,
    }
}

impl Serve for OffsetDeleteRequest {
    fn names(&self, _: &Shared, topic: Option<&str>, partition: Option<i32>) -> bool {
        self.topics.iter().any(|t| {
            topic.is_none_or(|wanted| wanted == t.name)
                && partition.is_none_or(|p| t.partitions.iter().any(|d| d.partition_index == p))
        })
    }

    /// Members might be reading what would be forgotten: a group that has any keeps its offsets.
    fn serve(self, call: &Call<'_>) -> Served<OffsetDeleteResponse> {
        let may =
            injected(call.verdict).and_then(|()| check(call.shared, call.broker, &self.group_id));
        let mut groups = call.shared.groups();
        let found = may.and_then(|()| {
            let group = groups.group(&self.group_id, Instant::now());
            group.ok_or(Code::GROUP_ID_NOT_FOUND)
        });
        let mut response = OffsetDeleteResponse::default();
        match found {
            Err(code) => response.error_code = outcome(call.verdict, Err(code)),
            Ok(group) => {
                let subscribed = !group.is_empty();
                for topic in self.topics {
                    let one = |index| {
                        let code = match subscribed {
                            true => wire(Code::GROUP_SUBSCRIBED_TO_TOPIC),
                            false => {
                                group.offsets.delete(&topic.name, index);
                                0
                            }
                        };
                        OffsetDeleteResponsePartition { partition_index: index, error_code: code }
                    };
                    let partitions = topic.partitions.iter().map(|p| p.partition_index).map(one);
                    let partitions = partitions.collect();
                    response
                        .topics
                        .push(OffsetDeleteResponseTopic { name: topic.name, partitions });
                }
            }
        }
        Served::Answer(response)
    }

    fn throttle(response: &mut OffsetDeleteResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }
}
