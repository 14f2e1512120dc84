//! Heartbeat and LeaveGroup.

use std::time::Instant;

use super::{Call, named, names_no_topic, outcome, wire};
use crate::embedded::groups::Identity;
use crate::embedded::serve::{Serve, Served};
use crate::embedded::state::Shared;
use crate::error::Code;
use crate::protocol::modern::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use crate::protocol::modern::messages::leave_group::{
    LeaveGroupRequest, LeaveGroupResponse, MemberResponse,
};

/// The first version of LeaveGroup that names several members.
const FIRST_SEVERAL: i16 = 3;

impl Serve for HeartbeatRequest {
    fn names(&self, _: &Shared, topic: Option<&str>, partition: Option<i32>) -> bool {
        names_no_topic(topic, partition)
    }

    fn serve(self, call: &Call<'_>) -> Served<HeartbeatResponse> {
        let beat = named(call, &self.group_id).and_then(|()| {
            let now = Instant::now();
            let mut groups = call.shared.groups();
            let group = groups.group(&self.group_id, now).ok_or(Code::UNKNOWN_MEMBER_ID)?;
            let who =
                Identity { member: &self.member_id, instance: self.group_instance_id.as_deref() };
            group.classic.heartbeat(who, self.generation_id, now)
        });
        let error_code = outcome(call.verdict, beat);
        Served::Answer(HeartbeatResponse { error_code, ..HeartbeatResponse::default() })
    }

    fn throttle(response: &mut HeartbeatResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }
}

impl Serve for LeaveGroupRequest {
    fn names(&self, _: &Shared, topic: Option<&str>, partition: Option<i32>) -> bool {
        names_no_topic(topic, partition)
    }

    fn serve(self, call: &Call<'_>) -> Served<LeaveGroupResponse> {
        let mut response = LeaveGroupResponse::default();
        let may = named(call, &self.group_id);
        if call.version < FIRST_SEVERAL {
            let who = Identity { member: &self.member_id, instance: None };
            let left = may.and_then(|()| leave(call.shared, &self.group_id, who));
            response.error_code = outcome(call.verdict, left);
            return Served::Answer(response);
        }
        response.error_code = outcome(call.verdict, may);
        if may.is_ok() {
            let left = |member: crate::protocol::modern::messages::leave_group::MemberIdentity| {
                let who = Identity {
                    member: &member.member_id,
                    instance: member.group_instance_id.as_deref(),
                };
                let left = leave(call.shared, &self.group_id, who);
                MemberResponse {
                    error_code: left.map_or_else(wire, |()| 0),
                    member_id: member.member_id,
                    group_instance_id: member.group_instance_id,
                }
            };
            response.members = self.members.into_iter().map(left).collect();
        }
        Served::Answer(response)
    }

    fn throttle(response: &mut LeaveGroupResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }
}

fn leave(shared: &Shared, group: &str, who: Identity<'_>) -> Result<(), Code> {
    let now = Instant::now();
    let mut groups = shared.groups();
    let group = groups.group(group, now).ok_or(Code::UNKNOWN_MEMBER_ID)?;
    let left = group.classic.leave(who, now);
    group.wake();
    left
}
