//! DescribeGroups, ListGroups and DeleteGroups.

use std::time::Instant;

use super::{Call, check, injected, names_no_topic, outcome, wire};
use crate::embedded::groups::{Classic, Member, Phase};
use crate::embedded::serve::{Serve, Served};
use crate::embedded::state::Shared;
use crate::error::Code;
use crate::protocol::modern::messages::delete_groups::{
    DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse,
};
use crate::protocol::modern::messages::describe_groups::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};
use crate::protocol::modern::messages::list_groups::{
    ListGroupsRequest, ListGroupsResponse, ListedGroup,
};

/// The first version of DescribeGroups that calls a group that there is not an error.
const FIRST_NOT_FOUND: i16 = 6;

impl Serve for DescribeGroupsRequest {
    fn names(&self, _: &Shared, topic: Option<&str>, partition: Option<i32>) -> bool {
        names_no_topic(topic, partition)
    }

    fn serve(self, call: &Call<'_>) -> Served<DescribeGroupsResponse> {
        let groups = self.groups.into_iter().map(|id| described(call, id)).collect();
        Served::Answer(DescribeGroupsResponse { groups, ..DescribeGroupsResponse::default() })
    }

    fn throttle(response: &mut DescribeGroupsResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }
}

fn described(call: &Call<'_>, group_id: String) -> DescribedGroup {
    let may = injected(call.verdict).and_then(|()| check(call.shared, call.broker, &group_id));
    let mut groups = call.shared.groups();
    let group = groups.group(&group_id, Instant::now());
    let mut described = DescribedGroup { group_id, ..DescribedGroup::default() };
    match (may, group) {
        (Err(code), _) => described.error_code = outcome(call.verdict, Err(code)),
        // A group by KIP-848 is none that could be described here.
        (Ok(()), group) if group.as_ref().is_none_or(|group| group.next.is_some()) => {
            "Dead".clone_into(&mut described.group_state);
            if call.version >= FIRST_NOT_FOUND {
                described.error_code = wire(Code::GROUP_ID_NOT_FOUND);
            }
        }
        (Ok(()), Some(group)) => describe(&group.classic, &mut described),
        (Ok(()), None) => {}
    }
    described
}

fn describe(group: &Classic, described: &mut DescribedGroup) {
    group.phase().name().clone_into(&mut described.group_state);
    group.protocol_type().clone_into(&mut described.protocol_type);
    // Before it is chosen, and in its shares, there is nothing to tell.
    let stable = group.phase() == Phase::Stable;
    let protocol = group.protocol().filter(|_| stable).unwrap_or_default();
    protocol.clone_into(&mut described.protocol_data);
    let member = |member: &Member| DescribedGroupMember {
        member_id: member.id.clone(),
        group_instance_id: member.instance.clone(),
        client_id: member.client_id.clone(),
        client_host: member.host.clone(),
        member_metadata: member.metadata(protocol),
        member_assignment: if stable { member.assignment.clone() } else { bytes::Bytes::new() },
    };
    described.members = group.members().iter().map(member).collect();
}

impl Serve for ListGroupsRequest {
    fn names(&self, _: &Shared, topic: Option<&str>, partition: Option<i32>) -> bool {
        names_no_topic(topic, partition)
    }

    fn serve(self, call: &Call<'_>) -> Served<ListGroupsResponse> {
        let error_code = outcome(call.verdict, injected(call.verdict));
        let mut response = ListGroupsResponse { error_code, ..ListGroupsResponse::default() };
        let now = Instant::now();
        let names = call.shared.groups().names();
        let ours = |id: &String| call.shared.coordinator(id) == Some(call.broker);
        for group_id in names.into_iter().filter(ours) {
            let mut groups = call.shared.groups();
            let Some(group) = groups.group(&group_id, now) else { continue };
            let state = group.state();
            let (kind, protocol) = match group.next {
                Some(_) => ("consumer", "consumer"),
                None => ("classic", group.classic.protocol_type()),
            };
            let among = |filter: &[String], value: &str| {
                filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(value))
            };
            if among(&self.states_filter, state) && among(&self.types_filter, kind) {
                response.groups.push(ListedGroup {
                    group_id,
                    protocol_type: protocol.to_owned(),
                    group_state: state.to_owned(),
                    group_type: kind.to_owned(),
                });
            }
        }
        Served::Answer(response)
    }

    fn throttle(response: &mut ListGroupsResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }
}

impl Serve for DeleteGroupsRequest {
    fn names(&self, _: &Shared, topic: Option<&str>, partition: Option<i32>) -> bool {
        names_no_topic(topic, partition)
    }

    fn serve(self, call: &Call<'_>) -> Served<DeleteGroupsResponse> {
        let delete = |group_id: String| {
            let may = injected(call.verdict)
                .and_then(|()| check(call.shared, call.broker, &group_id))
                .and_then(|()| call.shared.groups().delete(&group_id, Instant::now()));
            DeletableGroupResult { error_code: outcome(call.verdict, may), group_id }
        };
        let results = self.groups_names.into_iter().map(delete).collect();
        Served::Answer(DeleteGroupsResponse { results, ..DeleteGroupsResponse::default() })
    }

    fn throttle(response: &mut DeleteGroupsResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }
}
