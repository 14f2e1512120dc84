//! Answers that other members decide.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

use super::{check, wire};
use crate::embedded::fault::Verdict;
use crate::embedded::groups::{Joined, Synced};
use crate::embedded::state::Shared;
use crate::error::{Code, Result};
use crate::protocol::modern::header;
use crate::protocol::modern::messages::join_group::{
    JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember,
};
use crate::protocol::modern::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};

/// How long nothing is looked at when nothing is due: whatever happens wakes the waiter.
const LONG: Duration = Duration::from_secs(300);

/// What is waited for.
#[derive(Debug)]
pub(super) enum What {
    /// The new generation.
    Join { member: String, attempt: u64, can_skip: bool },
    /// Nothing: the join was refused.
    Refused { code: Code, member: String },
    /// The leader's shares.
    Sync { member: String, generation: i32 },
    /// Nothing: the request was refused.
    Unsynced { code: Code },
}

/// A JoinGroup or SyncGroup that was taken in.
#[derive(Debug)]
pub(in crate::embedded) struct Wait {
    group: String,
    broker: i32,
    version: i16,
    correlation: i32,
    what: What,
    verdict: Verdict,
}

impl Wait {
    pub(super) fn new(
        group: String,
        broker: i32,
        (version, correlation): (i16, i32),
        what: What,
    ) -> Self {
        Self { group, broker, version, correlation, what, verdict: Verdict::default() }
    }

    pub(super) fn with(mut self, verdict: Verdict) -> Self {
        self.verdict = verdict;
        self
    }

    /// The answer's frame, if it is decided; else `None`, and the waiter is notified when it may be.
    pub(in crate::embedded) fn poll(
        &self,
        shared: &Shared,
        waiter: &Arc<Notify>,
        now: Instant,
    ) -> Option<Result<Vec<Bytes>>> {
        match &self.what {
            What::Refused { code, member } => Some(self.refused(*code, member)),
            What::Unsynced { code } => Some(self.unsynced(*code)),
            What::Join { member, attempt, can_skip } => {
                let joined = self.look(shared, waiter, now, |group| {
                    group.classic.joined(member, *attempt, *can_skip)
                });
                Some(match joined? {
                    Ok(joined) => self.joined(joined),
                    Err(code) => self.refused(code, member),
                })
            }
            What::Sync { member, generation } => {
                let synced = self
                    .look(shared, waiter, now, |group| group.classic.synced(member, *generation));
                Some(match synced? {
                    Ok(synced) => self.synced(synced),
                    Err(code) => self.unsynced(code),
                })
            }
        }
    }

    fn look<T>(
        &self,
        shared: &Shared,
        waiter: &Arc<Notify>,
        now: Instant,
        decided: impl FnOnce(&crate::embedded::groups::Group) -> Option<Result<T, Code>>,
    ) -> Option<Result<T, Code>> {
        if let Err(code) = check(shared, self.broker, &self.group) {
            return Some(Err(code));
        }
        let mut groups = shared.groups();
        let Some(group) = groups.group(&self.group, now) else {
            return Some(Err(Code::UNKNOWN_MEMBER_ID));
        };
        let found = decided(group);
        if found.is_none() {
            group.register(waiter);
        }
        found
    }

    /// When to look again, whatever happens.
    pub(in crate::embedded) fn due(&self, shared: &Shared, now: Instant) -> Instant {
        let mut groups = shared.groups();
        let group = groups.group(&self.group, now);
        group.and_then(|group| group.classic.next_due(now)).unwrap_or(now + LONG)
    }

    fn joined(&self, joined: Joined) -> Result<Vec<Bytes>> {
        let member = |(member_id, group_instance_id, metadata)| JoinGroupResponseMember {
            member_id,
            group_instance_id,
            metadata,
        };
        self.join_answer(JoinGroupResponse {
            error_code: self.verdict.request_code().map_or(0, |(code, _)| code),
            generation_id: joined.generation,
            protocol_type: joined.protocol_type,
            protocol_name: joined.protocol,
            leader: joined.leader,
            skip_assignment: joined.skip_assignment,
            member_id: joined.member,
            members: joined.members.into_iter().map(member).collect(),
            ..JoinGroupResponse::default()
        })
    }

    fn refused(&self, code: Code, member: &str) -> Result<Vec<Bytes>> {
        self.join_answer(JoinGroupResponse {
            error_code: wire(code),
            member_id: member.to_owned(),
            ..JoinGroupResponse::default()
        })
    }

    fn join_answer(&self, mut response: JoinGroupResponse) -> Result<Vec<Bytes>> {
        response.throttle_time_ms = self.verdict.throttle_ms();
        header::encode_response::<JoinGroupRequest>(self.version, self.correlation, &response)
    }

    fn synced(&self, synced: Synced) -> Result<Vec<Bytes>> {
        self.sync_answer(SyncGroupResponse {
            error_code: self.verdict.request_code().map_or(0, |(code, _)| code),
            protocol_type: synced.protocol_type,
            protocol_name: synced.protocol,
            assignment: synced.assignment,
            ..SyncGroupResponse::default()
        })
    }

    fn unsynced(&self, code: Code) -> Result<Vec<Bytes>> {
        let error_code = wire(code);
        self.sync_answer(SyncGroupResponse { error_code, ..SyncGroupResponse::default() })
    }

    fn sync_answer(&self, mut response: SyncGroupResponse) -> Result<Vec<Bytes>> {
        response.throttle_time_ms = self.verdict.throttle_ms();
        header::encode_response::<SyncGroupRequest>(self.version, self.correlation, &response)
    }
}
