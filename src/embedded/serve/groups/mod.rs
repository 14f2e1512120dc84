//! The APIs of groups and of committed offsets.

mod admin;
mod members;
mod next;
mod offsets;
mod wait;

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Answer, Call, Caller, Head, Step, before, client_id, decode, wire};
use crate::embedded::fault::{Facts, Verdict};
use crate::embedded::groups::{Identity, Join, Sync};
use crate::embedded::state::Shared;
use crate::error::Code;
use crate::protocol::modern::messages::join_group::JoinGroupRequest;
use crate::protocol::modern::messages::sync_group::SyncGroupRequest;

pub(super) use next::heartbeat;
pub(in crate::embedded) use wait::Wait;
use wait::What;

/// The first version of JoinGroup that sends new members back for their id (KIP-394).
const FIRST_ID_FIRST: i16 = 4;
/// The first version whose answer can tell a leader to keep its shares (KIP-814).
const FIRST_SKIP: i16 = 9;

/// Whether this broker may speak for the group.
fn check(shared: &Shared, broker: i32, group: &str) -> Result<(), Code> {
    if group.is_empty() {
        return Err(Code::INVALID_GROUP_ID);
    }
    match shared.coordinator(group) {
        Some(coordinator) if coordinator == broker => Ok(()),
        _ => Err(Code::NOT_COORDINATOR),
    }
}

/// The error that a fault wants for the request, unless the request is to be applied all the same.
fn injected(verdict: &Verdict) -> Result<(), Code> {
    match verdict.request_code() {
        Some((code, false)) => Err(Code(code.into())),
        _ => Ok(()),
    }
}

/// What is answered in the end: a fault that lets the request be applied still decides.
fn outcome(verdict: &Verdict, found: Result<(), Code>) -> i16 {
    match (verdict.request_code(), found) {
        (Some((code, _)), _) => code,
        (None, Ok(())) => 0,
        (None, Err(code)) => wire(code),
    }
}

fn milliseconds(ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

fn named(of: &Call<'_>, group: &str) -> Result<(), Code> {
    injected(of.verdict)?;
    check(of.shared, of.broker, group)
}

fn names_no_topic(topic: Option<&str>, partition: Option<i32>) -> bool {
    topic.is_none() && partition.is_none()
}

/// JoinGroup: taken in now, answered when all have joined.
pub(super) fn join(
    shared: &std::sync::Arc<Shared>,
    caller: Caller,
    head: &Head,
    frame: Bytes,
) -> Step {
    let client = client_id(&frame);
    let Some(request) = decode::<JoinGroupRequest>(head, frame) else { return Step::close() };
    let verdict = meet(shared, caller, head);
    let fate = match before(&verdict) {
        Ok(fate) => fate,
        Err(step) => return step,
    };
    let joined = injected(&verdict)
        .and_then(|()| check(shared, caller.broker, &request.group_id))
        .and_then(|()| check_session(shared, request.session_timeout_ms))
        .map_err(|code| (code, request.member_id.clone()));
    let joined = joined.and_then(|()| {
        let now = Instant::now();
        let mut groups = shared.groups();
        let fresh = groups.fresh_member_id(&client);
        let group = groups.group_or_new(&request.group_id, now);
        let joining = joining(shared, &request, head.version, fresh, client);
        let classic = group.as_classic().map_err(|code| (code, request.member_id.clone()));
        let joined = classic.and_then(|classic| classic.join(joining, now));
        group.wake();
        joined
    });
    let what = match joined {
        Ok((member, attempt)) => {
            What::Join { member, attempt, can_skip: head.version >= FIRST_SKIP }
        }
        Err((code, member)) => What::Refused { code, member },
    };
    shared.progress.notify_all();
    let wait = Wait::new(request.group_id, caller.broker, (head.version, head.correlation), what);
    Step { answer: Answer::Group(Box::new(wait.with(verdict))), fate }
}

fn joining(
    shared: &Shared,
    request: &JoinGroupRequest,
    version: i16,
    fresh: String,
    client_id: String,
) -> Join {
    let session = milliseconds(request.session_timeout_ms);
    let protocols = request.protocols.iter();
    Join {
        member: request.member_id.clone(),
        instance: request.group_instance_id.clone(),
        fresh,
        id_first: version >= FIRST_ID_FIRST,
        client_id,
        host: "/127.0.0.1".to_owned(),
        session,
        // Version 0 has no time of its own for a rebalance.
        rebalance: match request.rebalance_timeout_ms {
            ms if ms >= 0 => milliseconds(ms),
            _ => session,
        },
        protocol_type: request.protocol_type.clone(),
        protocols: protocols.map(|p| (p.name.clone(), p.metadata.clone())).collect(),
        initial_delay: shared.options().group_initial_rebalance_delay,
    }
}

fn check_session(shared: &Shared, ms: i32) -> Result<(), Code> {
    let allowed = shared.options().group_session_timeout.clone();
    let fits = ms > 0 && allowed.contains(&milliseconds(ms));
    if fits { Ok(()) } else { Err(Code::INVALID_SESSION_TIMEOUT) }
}

/// SyncGroup: taken in now, answered when the leader has brought the shares.
pub(super) fn sync(
    shared: &std::sync::Arc<Shared>,
    caller: Caller,
    head: &Head,
    frame: Bytes,
) -> Step {
    let Some(request) = decode::<SyncGroupRequest>(head, frame) else { return Step::close() };
    let verdict = meet(shared, caller, head);
    let fate = match before(&verdict) {
        Ok(fate) => fate,
        Err(step) => return step,
    };
    let taken = injected(&verdict)
        .and_then(|()| check(shared, caller.broker, &request.group_id))
        .and_then(|()| {
            let now = Instant::now();
            let mut groups = shared.groups();
            let group = groups.group(&request.group_id, now).ok_or(Code::UNKNOWN_MEMBER_ID)?;
            let shares = request.assignments.iter();
            let sync = Sync {
                who: Identity {
                    member: &request.member_id,
                    instance: request.group_instance_id.as_deref(),
                },
                generation: request.generation_id,
                protocol_type: request.protocol_type.as_deref(),
                protocol: request.protocol_name.as_deref(),
                assignments: shares.map(|s| (s.member_id.clone(), s.assignment.clone())).collect(),
            };
            let taken = group.classic.sync(sync, now);
            group.wake();
            taken
        });
    let what = match taken {
        Ok(()) => {
            What::Sync { member: request.member_id.clone(), generation: request.generation_id }
        }
        Err(code) => What::Unsynced { code },
    };
    shared.progress.notify_all();
    let wait = Wait::new(request.group_id, caller.broker, (head.version, head.correlation), what);
    Step { answer: Answer::Group(Box::new(wait.with(verdict))), fate }
}

fn meet(shared: &Shared, caller: Caller, head: &Head) -> Verdict {
    let names = |topic: Option<&str>, partition| names_no_topic(topic, partition);
    shared.meet(&Facts { broker: caller.broker, api: head.api, names: &names })
}
