//! ConsumerGroupHeartbeat and ConsumerGroupDescribe (KIP-848).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::{Call, check, injected, meet, milliseconds, names_no_topic, outcome};
use crate::embedded::fault::Verdict;
use crate::embedded::groups::{
    Assignor, Beat, Catalogue, Next, NextMember, Pace, Place, Refused, Told,
};
use crate::embedded::serve::{
    Answer, Caller, Head, Serve, Served, Step, before, client_id, decode, encode,
};
use crate::embedded::state::Shared;
use crate::error::Code;
use crate::protocol::modern::Uuid;
use crate::protocol::modern::messages::consumer_group_describe as describe;
use crate::protocol::modern::messages::consumer_group_heartbeat as beat;

use beat::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use describe::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribedGroup};

/// The first version in which members make their ids themselves (KIP-1082).
const FIRST_OWN_ID: i16 = 1;
/// A static member leaves for a while.
const AWAY: i32 = -2;

/// ConsumerGroupHeartbeat: joins, stays, leaves; answered at once.
pub(in crate::embedded::serve) fn heartbeat(
    shared: &Arc<Shared>,
    caller: Caller,
    head: &Head,
    frame: Bytes,
) -> Step {
    let client = client_id(&frame);
    let Some(request) = decode::<ConsumerGroupHeartbeatRequest>(head, frame) else {
        return Step::close();
    };
    let verdict = meet(shared, caller, head);
    let fate = match before(&verdict) {
        Ok(fate) => fate,
        Err(step) => return step,
    };
    let told = admitted(shared, caller, head, &verdict, &request)
        .and_then(|()| taken(shared, head.version, request, client));
    shared.progress.notify_all();
    match encode::<ConsumerGroupHeartbeatRequest>(head, &answer(shared, &verdict, told)) {
        Some(frame) => Step { answer: Answer::Frame(frame), fate },
        None => Step::close(),
    }
}

fn in_words(code: Code) -> Refused {
    (code, code.text().to_owned())
}

fn admitted(
    shared: &Shared,
    caller: Caller,
    head: &Head,
    verdict: &Verdict,
    request: &ConsumerGroupHeartbeatRequest,
) -> Result<(), Refused> {
    injected(verdict).map_err(in_words)?;
    let release =
        shared.seat(caller.broker).map_or_else(|_| <_>::default(), |s| s.conduct().release);
    if !release.has_next_groups() {
        return Err(in_words(Code::UNSUPPORTED_VERSION));
    }
    validate(request, head.version)?;
    check(shared, caller.broker, &request.group_id).map_err(in_words)
}

/// What no coordinator would look at.
fn validate(request: &ConsumerGroupHeartbeatRequest, version: i16) -> Result<(), Refused> {
    let invalid = |text: &str| Err((Code::INVALID_REQUEST, text.to_owned()));
    let epoch = request.member_epoch;
    let blank = |text: &str| text.trim().is_empty();
    let blank_option = |text: &Option<String>| text.as_deref().is_some_and(blank);
    if (version >= FIRST_OWN_ID || epoch > 0 || epoch == -1) && blank(&request.member_id) {
        return invalid("MemberId can't be empty.");
    }
    if blank(&request.group_id) {
        return invalid("GroupId can't be empty.");
    }
    if blank_option(&request.instance_id) {
        return invalid("InstanceId can't be empty.");
    }
    if blank_option(&request.rack_id) {
        return invalid("RackId can't be empty.");
    }
    if epoch == 0 {
        if request.rebalance_timeout_ms == -1 {
            return invalid("RebalanceTimeoutMs must be provided in first request.");
        }
        if request.topic_partitions.as_ref().is_none_or(|owned| !owned.is_empty()) {
            return invalid("TopicPartitions must be empty when (re-)joining.");
        }
        if request.subscribed_topic_names.is_none() && request.subscribed_topic_regex.is_none() {
            return invalid("A member that joins must say what it subscribes.");
        }
    }
    if epoch == AWAY && request.instance_id.is_none() {
        return invalid("InstanceId can't be null.");
    }
    if epoch < AWAY {
        return invalid("MemberEpoch is invalid.");
    }
    let assignor = request.server_assignor.as_deref();
    match assignor.filter(|name| Assignor::named(name).is_none()) {
        Some(name) => {
            let text = format!("ServerAssignor {name} is not supported: uniform, range are.");
            Err((Code::UNSUPPORTED_ASSIGNOR, text))
        }
        None => Ok(()),
    }
}

/// The topics that there are, as groups see them.
fn catalogue(shared: &Shared) -> Catalogue {
    let count = |partitions: usize| i32::try_from(partitions).unwrap_or(i32::MAX);
    let topics = shared.topics();
    let rows =
        topics.all().map(|topic| (topic.name.clone(), (topic.id, count(topic.partitions().len()))));
    Catalogue(rows.collect())
}

fn taken(
    shared: &Shared,
    version: i16,
    request: ConsumerGroupHeartbeatRequest,
    client_id: String,
) -> Result<Told, Refused> {
    let (catalogue, now) = (catalogue(shared), Instant::now());
    let pace = {
        let options = shared.options();
        let session = options.group_consumer_session_timeout;
        Pace { session, assignment: options.group_consumer_assignment_interval }
    };
    let mut groups = shared.groups();
    let (epoch, joins) = (request.member_epoch, request.member_epoch == 0);
    let member = match request.member_id.is_empty() && version < FIRST_OWN_ID && joins {
        true => groups.fresh_member_id(&client_id),
        false => request.member_id,
    };
    let said = Beat {
        member,
        instance: request.instance_id,
        epoch,
        client_id,
        host: "/127.0.0.1".to_owned(),
        rack: request.rack_id,
        rebalance: u64::try_from(request.rebalance_timeout_ms)
            .is_ok()
            .then(|| milliseconds(request.rebalance_timeout_ms)),
        names: request.subscribed_topic_names.map(|names| names.into_iter().collect()),
        regex: request.subscribed_topic_regex,
        assignor: request.server_assignor,
        owned: request.topic_partitions.map(places),
    };
    let group = match joins {
        true => groups.group_or_new(&request.group_id, now),
        false => groups.group(&request.group_id, now).ok_or(in_words(Code::GROUP_ID_NOT_FOUND))?,
    };
    let next = group.as_next(joins).map_err(in_words)?;
    let told = match epoch < 0 {
        true => next.leave(&said),
        false => next.heartbeat(&said, &catalogue, pace, now),
    };
    group.wake();
    told
}

fn places(topics: Vec<beat::TopicPartitions>) -> BTreeSet<Place> {
    let of = |topic: beat::TopicPartitions| {
        topic.partitions.into_iter().map(move |index| (topic.topic_id, index))
    };
    topics.into_iter().flat_map(of).collect()
}

fn by_topic<'a>(places: impl IntoIterator<Item = &'a Place>) -> BTreeMap<Uuid, Vec<i32>> {
    let mut topics = BTreeMap::<Uuid, Vec<i32>>::new();
    for (topic, index) in places {
        topics.entry(*topic).or_default().push(*index);
    }
    topics
}

fn answer(
    shared: &Shared,
    verdict: &Verdict,
    told: Result<Told, Refused>,
) -> ConsumerGroupHeartbeatResponse {
    let throttle_time_ms = verdict.throttle_ms();
    let code = outcome(verdict, told.as_ref().map(drop).map_err(|(code, _)| *code));
    let told = match told {
        Ok(told) if code == 0 => told,
        told => {
            return ConsumerGroupHeartbeatResponse {
                throttle_time_ms,
                error_code: code,
                error_message: told.err().map(|(_, text)| text),
                ..ConsumerGroupHeartbeatResponse::default()
            };
        }
    };
    let topic = |(topic_id, partitions)| beat::TopicPartitions { topic_id, partitions };
    let assignment = told.assignment.as_ref().map(|places| beat::Assignment {
        topic_partitions: by_topic(places).into_iter().map(topic).collect(),
    });
    let interval = shared.options().group_consumer_heartbeat_interval.as_millis();
    ConsumerGroupHeartbeatResponse {
        throttle_time_ms,
        member_id: Some(told.member),
        member_epoch: told.epoch,
        heartbeat_interval_ms: i32::try_from(interval).unwrap_or(i32::MAX),
        assignment,
        ..ConsumerGroupHeartbeatResponse::default()
    }
}

impl Serve for ConsumerGroupDescribeRequest {
    fn names(&self, _: &Shared, topic: Option<&str>, partition: Option<i32>) -> bool {
        names_no_topic(topic, partition)
    }

    fn serve(self, call: &Call<'_>) -> Served<ConsumerGroupDescribeResponse> {
        let groups = self.group_ids.into_iter().map(|id| described(call, id)).collect();
        let response = ConsumerGroupDescribeResponse { groups, ..<_>::default() };
        Served::Answer(response)
    }

    fn throttle(response: &mut ConsumerGroupDescribeResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }
}

fn described(call: &Call<'_>, group_id: String) -> DescribedGroup {
    let may = injected(call.verdict).and_then(|()| check(call.shared, call.broker, &group_id));
    let mut groups = call.shared.groups();
    let next = groups.group(&group_id, Instant::now()).and_then(|group| group.next.as_ref());
    let found = may.and_then(|()| next.ok_or(Code::GROUP_ID_NOT_FOUND));
    let mut group = match found {
        Ok(next) => described_members(call, next),
        Err(code) => DescribedGroup {
            error_code: outcome(call.verdict, Err(code)),
            error_message: Some(format!("Group {group_id} not found.")),
            group_state: "Dead".to_owned(),
            ..DescribedGroup::default()
        },
    };
    group.group_id = group_id;
    group
}

fn described_members(call: &Call<'_>, next: &Next) -> DescribedGroup {
    let topics = call.shared.topics();
    let share = |places: &BTreeSet<Place>| {
        let topic = |(topic_id, partitions): (Uuid, Vec<i32>)| {
            let topic_name = topics.identified(topic_id)?.name.clone();
            Some(describe::TopicPartitions { topic_id, topic_name, partitions })
        };
        describe::Assignment {
            topic_partitions: by_topic(places).into_iter().filter_map(topic).collect(),
        }
    };
    let member = |member: &NextMember| describe::Member {
        member_id: member.id.clone(),
        instance_id: member.instance.clone(),
        rack_id: member.rack.clone(),
        member_epoch: member.epoch,
        client_id: member.client_id.clone(),
        client_host: member.host.clone(),
        subscribed_topic_names: member.names.iter().cloned().collect(),
        subscribed_topic_regex: Some(member.regex.clone()).filter(|regex| !regex.is_empty()),
        assignment: share(&member.assigned.keys().copied().collect()),
        target_assignment: share(&next.target(&member.id)),
        member_type: 1,
    };
    DescribedGroup {
        group_state: next.state().to_owned(),
        group_epoch: next.epoch(),
        assignment_epoch: next.target_epoch(),
        assignor_name: next.assignor().name().to_owned(),
        members: next.members().iter().map(member).collect(),
        ..DescribedGroup::default()
    }
}
