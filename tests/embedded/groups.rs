//! Classic groups and committed offsets on the wire.

use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use samsa::Code;
use samsa::embedded::{Cluster, Fault, FaultKind, Options};
use samsa::protocol::modern::ApiKey;
use samsa::protocol::modern::messages::delete_groups::DeleteGroupsRequest;
use samsa::protocol::modern::messages::describe_groups::DescribeGroupsRequest;
use samsa::protocol::modern::messages::find_coordinator::FindCoordinatorRequest;
use samsa::protocol::modern::messages::heartbeat::HeartbeatRequest;
use samsa::protocol::modern::messages::join_group::{
    JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse,
};
use samsa::protocol::modern::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use samsa::protocol::modern::messages::list_groups::ListGroupsRequest;
use samsa::protocol::modern::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use samsa::protocol::modern::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use samsa::protocol::modern::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use samsa::protocol::modern::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};

use super::peer::{Peer, soon};

const JOIN: i16 = 9;
const SYNC: i16 = 5;

fn joining(member: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: "g".to_owned(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        member_id: member.to_owned(),
        protocol_type: "consumer".to_owned(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".to_owned(),
            metadata: Bytes::from_static(b"topics"),
        }],
        ..JoinGroupRequest::default()
    }
}

/// Joins as a new member does: first for an id, then with it.
fn join(peer: &mut Peer) -> JoinGroupResponse {
    let told = peer.ask(JOIN, &joining(""));
    assert_eq!(Code::from(told.error_code), Code::MEMBER_ID_REQUIRED);
    peer.ask(JOIN, &joining(&told.member_id))
}

fn sync(joined: &JoinGroupResponse, shares: &[(&str, &'static [u8])]) -> SyncGroupRequest {
    let share = |(member, share): &(&str, &'static [u8])| SyncGroupRequestAssignment {
        member_id: (*member).to_owned(),
        assignment: Bytes::from_static(share),
    };
    SyncGroupRequest {
        group_id: "g".to_owned(),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        protocol_type: joined.protocol_type.clone(),
        protocol_name: joined.protocol_name.clone(),
        assignments: shares.iter().map(share).collect(),
        ..SyncGroupRequest::default()
    }
}

fn beat(peer: &mut Peer, joined: &JoinGroupResponse) -> Code {
    let heartbeat = HeartbeatRequest {
        group_id: "g".to_owned(),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        ..HeartbeatRequest::default()
    };
    Code::from(peer.ask(4, &heartbeat).error_code)
}

fn commit(peer: &mut Peer, member: Option<&JoinGroupResponse>, offset: i64) -> Code {
    let partition = OffsetCommitRequestPartition {
        committed_offset: offset,
        committed_metadata: Some("why".to_owned()),
        ..OffsetCommitRequestPartition::default()
    };
    let request = OffsetCommitRequest {
        group_id: "g".to_owned(),
        generation_id_or_member_epoch: member.map_or(-1, |joined| joined.generation_id),
        member_id: member.map(|joined| joined.member_id.clone()).unwrap_or_default(),
        topics: vec![OffsetCommitRequestTopic {
            name: "t".to_owned(),
            partitions: vec![partition],
            ..OffsetCommitRequestTopic::default()
        }],
        ..OffsetCommitRequest::default()
    };
    Code::from(peer.ask(9, &request).topics[0].partitions[0].error_code)
}

/// Until a second member was taken in.
fn wait_for_rebalance(cluster: &Cluster) {
    let deadline = soon();
    while cluster.group_state("g") != "PreparingRebalance" {
        assert!(Instant::now() < deadline, "nobody joined");
        thread::yield_now();
    }
}

#[test]
fn two_members_come_to_terms_and_share() {
    let cluster = Cluster::start(1).expect("started");
    let (mut a, mut b) = (Peer::of(&cluster, 0), Peer::of(&cluster, 0));
    let first = join(&mut a);
    assert_eq!((first.generation_id, &first.leader), (1, &first.member_id));
    let alone = a.ask(SYNC, &sync(&first, &[(&first.member_id, b"all")]));
    assert_eq!(alone.assignment, Bytes::from_static(b"all"));

    let (second, mut b) = thread::scope(|scope| {
        let other = scope.spawn(move || (join(&mut b), b));
        while beat(&mut a, &first) != Code::REBALANCE_IN_PROGRESS {}
        let leader = a.ask(JOIN, &joining(&first.member_id));
        let (second, b) = other.join().expect("joined");
        assert_eq!((leader.generation_id, leader.members.len()), (2, 2));
        assert_eq!((second.generation_id, &second.leader), (2, &leader.member_id));
        assert_eq!(leader.members[0].metadata, Bytes::from_static(b"topics"));
        let shares = [(leader.member_id.as_str(), &b"0"[..]), (second.member_id.as_str(), b"1")];
        let got = a.ask(SYNC, &sync(&leader, &shares));
        assert_eq!((got.error_code, got.assignment), (0, Bytes::from_static(b"0")));
        (second, b)
    });
    let got = b.ask(SYNC, &sync(&second, &[]));
    assert_eq!((got.error_code, got.assignment), (0, Bytes::from_static(b"1")));
    assert_eq!(beat(&mut b, &second), Code::NONE);
    assert_eq!(cluster.group_state("g"), "Stable");

    let leave = LeaveGroupRequest {
        group_id: "g".to_owned(),
        members: vec![MemberIdentity {
            member_id: first.member_id.clone(),
            ..MemberIdentity::default()
        }],
        ..LeaveGroupRequest::default()
    };
    assert_eq!(a.ask(5, &leave).members[0].error_code, 0);
    assert_eq!(beat(&mut b, &second), Code::REBALANCE_IN_PROGRESS);
    let alone = b.ask(JOIN, &joining(&second.member_id));
    assert_eq!((alone.generation_id, &alone.leader), (3, &second.member_id));
    assert_eq!(cluster.group_members("g").len(), 1);
}

#[test]
fn a_member_whose_connection_waits_is_told_when_another_dies() {
    let cluster = Cluster::start(1).expect("started");
    let (mut a, mut b) = (Peer::of(&cluster, 0), Peer::of(&cluster, 0));
    let first = join(&mut a);
    a.ask(SYNC, &sync(&first, &[]));
    let told = b.ask(JOIN, &joining(""));
    let sent = b.send(JOIN, &joining(&told.member_id));
    wait_for_rebalance(&cluster);
    cluster.expire_member("g", &first.member_id).expect("thrown out");
    let joined = b.receive::<JoinGroupRequest>(JOIN, sent);
    assert_eq!((joined.generation_id, &joined.leader), (2, &told.member_id));
    assert_eq!(beat(&mut a, &first), Code::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_coordinator_that_moves_takes_members_and_offsets_along_and_tells_who_waits() {
    let cluster = Cluster::start(2).expect("started");
    cluster.create_topic("t", 1).expect("made");
    let (mut a, mut b) = (Peer::of(&cluster, 0), Peer::of(&cluster, 0));
    let first = join(&mut a);
    a.ask(SYNC, &sync(&first, &[]));
    assert_eq!(commit(&mut a, Some(&first), 7), Code::NONE);
    let told = b.ask(JOIN, &joining(""));
    let sent = b.send(JOIN, &joining(&told.member_id));
    wait_for_rebalance(&cluster);
    cluster.move_coordinator("g", 1).expect("moved");
    let joined = b.receive::<JoinGroupRequest>(JOIN, sent);
    assert_eq!(Code::from(joined.error_code), Code::NOT_COORDINATOR);
    assert_eq!(beat(&mut a, &first), Code::NOT_COORDINATOR);
    let find = FindCoordinatorRequest {
        coordinator_keys: vec!["g".to_owned(), "other".to_owned()],
        ..FindCoordinatorRequest::default()
    };
    let found = a.ask(6, &find).coordinators;
    assert_eq!(found.iter().map(|c| c.node_id).collect::<Vec<_>>(), [1, 0]);
    let mut a = Peer::of(&cluster, 1);
    assert_eq!(beat(&mut a, &first), Code::REBALANCE_IN_PROGRESS);
    assert_eq!(cluster.committed("g", "t", 0), Some(7));
    cluster.stop_broker(1).expect("stopped");
    let found = Peer::of(&cluster, 0).ask(6, &find).coordinators;
    assert_eq!(Code::from(found[0].error_code), Code::COORDINATOR_NOT_AVAILABLE);
}

#[test]
fn offsets_are_kept_told_and_forgotten() {
    let cluster = Cluster::start(1).expect("started");
    cluster.create_topic("t", 2).expect("made");
    let mut peer = Peer::of(&cluster, 0);
    assert_eq!(commit(&mut peer, None, 41), Code::NONE, "without members anybody may");
    let topics = vec![OffsetFetchRequestTopics {
        name: "t".to_owned(),
        partition_indexes: vec![0, 1],
        ..OffsetFetchRequestTopics::default()
    }];
    let group = |topics| OffsetFetchRequestGroup {
        group_id: "g".to_owned(),
        topics,
        ..OffsetFetchRequestGroup::default()
    };
    let request =
        OffsetFetchRequest { groups: vec![group(Some(topics))], ..OffsetFetchRequest::default() };
    let answer = peer.ask(9, &request).groups.remove(0).topics.remove(0).partitions;
    let told: Vec<_> = answer.iter().map(|p| (p.committed_offset, p.metadata.clone())).collect();
    assert_eq!(told, [(41, Some("why".to_owned())), (-1, Some(String::new()))]);
    let all = OffsetFetchRequest { groups: vec![group(None)], ..OffsetFetchRequest::default() };
    let answer = peer.ask(9, &all).groups.remove(0).topics;
    assert_eq!((answer.len(), answer[0].partitions.len()), (1, 1));
    let old = OffsetFetchRequest {
        group_id: "g".to_owned(),
        topics: Some(vec![OffsetFetchRequestTopic {
            name: "t".to_owned(),
            partition_indexes: vec![0],
        }]),
        ..OffsetFetchRequest::default()
    };
    assert_eq!(peer.ask(1, &old).topics[0].partitions[0].committed_offset, 41);

    let delete = OffsetDeleteRequest {
        group_id: "g".to_owned(),
        topics: vec![OffsetDeleteRequestTopic {
            name: "t".to_owned(),
            partitions: vec![OffsetDeleteRequestPartition { partition_index: 0 }],
        }],
    };
    let joined = join(&mut peer);
    let code = peer.ask(0, &delete).topics[0].partitions[0].error_code;
    assert_eq!(Code::from(code), Code::GROUP_SUBSCRIBED_TO_TOPIC);
    assert_eq!(commit(&mut peer, None, 1), Code::UNKNOWN_MEMBER_ID);
    assert_eq!(commit(&mut peer, Some(&joined), 1), Code::REBALANCE_IN_PROGRESS);
    peer.ask(SYNC, &sync(&joined, &[]));
    assert_eq!(commit(&mut peer, Some(&joined), 42), Code::NONE);
    cluster.expire_member("g", &joined.member_id).expect("thrown out");
    assert_eq!(peer.ask(0, &delete).topics[0].partitions[0].error_code, 0);
    assert_eq!(cluster.committed("g", "t", 0), None);
}

#[test]
fn groups_are_listed_described_and_deleted() {
    let cluster = Cluster::start(1).expect("started");
    let mut peer = Peer::of(&cluster, 0);
    let joined = join(&mut peer);
    peer.ask(SYNC, &sync(&joined, &[(&joined.member_id, b"all")]));
    let listed = peer.ask(5, &ListGroupsRequest::default()).groups;
    assert_eq!((listed.len(), &*listed[0].group_id, &*listed[0].group_state), (1, "g", "Stable"));
    let states = vec!["Empty".to_owned()];
    let none = ListGroupsRequest { states_filter: states, ..ListGroupsRequest::default() };
    assert!(peer.ask(5, &none).groups.is_empty());
    let describe = DescribeGroupsRequest {
        groups: vec!["g".to_owned(), "nothing".to_owned()],
        ..DescribeGroupsRequest::default()
    };
    let described = peer.ask(6, &describe).groups;
    assert_eq!((&*described[0].protocol_data, described[0].members.len()), ("range", 1));
    assert_eq!(described[0].members[0].member_assignment, Bytes::from_static(b"all"));
    assert_eq!(Code::from(described[1].error_code), Code::GROUP_ID_NOT_FOUND);
    let delete = DeleteGroupsRequest { groups_names: vec!["g".to_owned()] };
    let deleted = peer.ask(2, &delete).results[0].error_code;
    assert_eq!(Code::from(deleted), Code::NON_EMPTY_GROUP);
    cluster.expire_member("g", &joined.member_id).expect("thrown out");
    assert_eq!(peer.ask(2, &delete).results[0].error_code, 0);
    assert_eq!(cluster.group_state("g"), "Dead");
}

#[test]
fn faults_meet_requests_of_groups_too() {
    let cluster = Cluster::start(1).expect("started");
    cluster.create_topic("t", 1).expect("made");
    let mut peer = Peer::of(&cluster, 0);
    let loading = Code::COORDINATOR_LOAD_IN_PROGRESS;
    let error =
        |api| Fault::new(FaultKind::ErrorCode(i16::try_from(loading.0).expect("Kafka's"))).api(api);
    cluster.inject(error(ApiKey::JoinGroup));
    assert_eq!(Code::from(peer.ask(JOIN, &joining("")).error_code), loading);
    let joined = join(&mut peer);
    cluster.inject(error(ApiKey::SyncGroup));
    assert_eq!(Code::from(peer.ask(SYNC, &sync(&joined, &[])).error_code), loading);
    peer.ask(SYNC, &sync(&joined, &[]));
    cluster.inject(error(ApiKey::Heartbeat));
    assert_eq!(beat(&mut peer, &joined), loading);
    cluster.inject(error(ApiKey::OffsetCommit).topic("t").partition(0));
    assert_eq!(commit(&mut peer, Some(&joined), 5), loading);
    assert_eq!(cluster.committed("g", "t", 0), None);
    cluster.inject(error(ApiKey::OffsetCommit).topic("t").applied());
    assert_eq!(commit(&mut peer, Some(&joined), 5), loading);
    assert_eq!(cluster.committed("g", "t", 0), Some(5));
}

#[test]
fn sessions_outside_of_what_the_broker_allows_are_refused() {
    let six = Duration::from_secs(6);
    let options = Options { group_session_timeout: six..=six * 50, ..Options::default() };
    let cluster = Cluster::start_with(options).expect("started");
    let mut peer = Peer::of(&cluster, 0);
    for (ms, code) in [
        (5_999, Code::INVALID_SESSION_TIMEOUT),
        (6_000, Code::MEMBER_ID_REQUIRED),
        (300_001, Code::INVALID_SESSION_TIMEOUT),
        (-1, Code::INVALID_SESSION_TIMEOUT),
    ] {
        let request = JoinGroupRequest { session_timeout_ms: ms, ..joining("") };
        assert_eq!(Code::from(peer.ask(JOIN, &request).error_code), code, "{ms} ms");
    }
    let nameless = JoinGroupRequest { group_id: String::new(), ..joining("") };
    assert_eq!(Code::from(peer.ask(JOIN, &nameless).error_code), Code::INVALID_GROUP_ID);
}
