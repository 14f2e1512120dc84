//! Groups by KIP-848 on the wire.

use samsa::Code;
use samsa::embedded::{Cluster, Fault, FaultKind, Options, Release};
use samsa::protocol::modern::messages::consumer_group_describe::ConsumerGroupDescribeRequest;
use samsa::protocol::modern::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};
use samsa::protocol::modern::messages::delete_groups::DeleteGroupsRequest;
use samsa::protocol::modern::messages::describe_groups::DescribeGroupsRequest;
use samsa::protocol::modern::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use samsa::protocol::modern::messages::list_groups::ListGroupsRequest;
use samsa::protocol::modern::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use samsa::protocol::modern::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use samsa::protocol::modern::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use samsa::protocol::modern::{ApiKey, Uuid};

use super::peer::Peer;

fn cluster() -> Cluster {
    let cluster = Cluster::start(1).expect("started");
    cluster.set("group.consumer.heartbeat.interval.ms", "50").expect("set");
    cluster.create_topic("t", 2).expect("made");
    cluster
}

fn heartbeat(member: &str, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: "g".to_owned(),
        member_id: member.to_owned(),
        member_epoch: epoch,
        ..ConsumerGroupHeartbeatRequest::default()
    }
}

fn joining(member: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        rebalance_timeout_ms: 10_000,
        subscribed_topic_names: Some(vec!["t".to_owned()]),
        topic_partitions: Some(Vec::new()),
        ..heartbeat(member, 0)
    }
}

fn owning(
    mut request: ConsumerGroupHeartbeatRequest,
    id: Uuid,
    partitions: &[i32],
) -> ConsumerGroupHeartbeatRequest {
    let owned = TopicPartitions { topic_id: id, partitions: partitions.to_vec() };
    request.topic_partitions = Some(vec![owned]);
    request
}

fn share(told: &ConsumerGroupHeartbeatResponse) -> Option<Vec<i32>> {
    let assignment = told.assignment.as_ref()?;
    Some(assignment.topic_partitions.iter().flat_map(|t| t.partitions.clone()).collect())
}

fn code(told: &ConsumerGroupHeartbeatResponse) -> Code {
    Code::from(told.error_code)
}

fn topic_id(peer: &mut Peer) -> Uuid {
    let named =
        MetadataRequestTopic { name: Some("t".to_owned()), ..MetadataRequestTopic::default() };
    let request = MetadataRequest { topics: Some(vec![named]), ..MetadataRequest::default() };
    peer.ask(12, &request).topics[0].topic_id
}

#[test]
fn two_members_share_after_one_has_acknowledged() {
    let cluster = cluster();
    let mut peer = Peer::of(&cluster, 0);
    let a = peer.ask(1, &joining("a"));
    assert_eq!((a.member_epoch, a.heartbeat_interval_ms, share(&a)), (1, 50, Some(vec![0, 1])));
    let b = peer.ask(1, &joining("b"));
    assert_eq!((b.member_epoch, share(&b)), (2, Some(vec![])));
    assert_eq!(cluster.group_state("g"), "Reconciling");
    let revoked = peer.ask(1, &heartbeat("a", 1));
    let keeps = share(&revoked).expect("a new assignment");
    assert_eq!(keeps.len(), 1);
    let id = topic_id(&mut peer);
    let acknowledged = peer.ask(1, &owning(heartbeat("a", 1), id, &keeps));
    assert_eq!(acknowledged.member_epoch, 2);
    assert_eq!(share(&peer.ask(1, &heartbeat("b", 2))).map(|got| got.len()), Some(1));
    assert_eq!(cluster.group_state("g"), "Stable");
    let (epoch, places) = cluster.group_assignment("g", "a").expect("a member");
    assert_eq!((epoch, places), (2, vec![("t".to_owned(), keeps[0])]));

    cluster.expire_member("g", "a").expect("there");
    assert_eq!(share(&peer.ask(1, &heartbeat("b", 2))), Some(vec![0, 1]));
    assert_eq!(code(&peer.ask(1, &heartbeat("a", 2))), Code::UNKNOWN_MEMBER_ID);
    let left = peer.ask(1, &heartbeat("b", -1));
    assert_eq!((code(&left), left.member_epoch), (Code::NONE, -1));
    assert_eq!(cluster.group_members("g"), []);
}

#[test]
fn what_no_coordinator_would_take_is_refused() {
    let cluster = cluster();
    let mut peer = Peer::of(&cluster, 0);
    let mut refused = |version, change: &dyn Fn(&mut ConsumerGroupHeartbeatRequest)| {
        let mut request = joining("a");
        change(&mut request);
        code(&peer.ask(version, &request))
    };
    let invalid = Code::INVALID_REQUEST;
    assert_eq!(refused(1, &|r| r.member_id.clear()), invalid);
    assert_eq!(refused(1, &|r| r.topic_partitions = None), invalid);
    assert_eq!(refused(1, &|r| r.rebalance_timeout_ms = -1), invalid);
    assert_eq!(refused(1, &|r| r.subscribed_topic_names = None), invalid);
    assert_eq!(refused(1, &|r| r.instance_id = Some(String::new())), invalid);
    assert_eq!(refused(1, &|r| r.member_epoch = -2), invalid);
    assert_eq!(refused(1, &|r| r.member_epoch = -3), invalid);
    let assignor = Some("mine".to_owned());
    let assignor = refused(1, &|r| r.server_assignor.clone_from(&assignor));
    assert_eq!(assignor, Code::UNSUPPORTED_ASSIGNOR);
    assert_eq!(
        refused(1, &|r| r.subscribed_topic_regex = Some("(".to_owned())),
        Code::INVALID_REGULAR_EXPRESSION
    );
    assert_eq!(refused(1, &|r| r.member_epoch = 3), Code::UNKNOWN_MEMBER_ID);
    assert_eq!(refused(0, &|r| r.member_id.clear()), Code::NONE, "version 0 gets an id");
}

#[test]
fn a_broker_of_3_9_lists_the_api_and_refuses_it() {
    let cluster = cluster();
    cluster.set_release(None, Release::V3_9).expect("set");
    let mut peer = Peer::of(&cluster, 0);
    assert_eq!(code(&peer.ask(0, &joining(""))), Code::UNSUPPORTED_VERSION);
}

#[test]
fn faults_meet_heartbeats_and_coordinators_move() {
    let options = Options { brokers: 2, ..Options::default() };
    let cluster = Cluster::start_with(options).expect("started");
    let mut peer = Peer::of(&cluster, 0);
    let fenced = Fault::new(FaultKind::ErrorCode(110)).api(ApiKey::ConsumerGroupHeartbeat);
    cluster.inject(fenced);
    assert_eq!(code(&peer.ask(1, &joining("a"))), Code::FENCED_MEMBER_EPOCH);
    assert_eq!(cluster.group_members("g"), [], "not applied");
    assert_eq!(code(&peer.ask(1, &joining("a"))), Code::NONE);
    cluster.move_coordinator("g", 1).expect("moved");
    assert_eq!(code(&peer.ask(1, &heartbeat("a", 1))), Code::NOT_COORDINATOR);
    let mut other = Peer::of(&cluster, 1);
    assert_eq!(code(&other.ask(1, &heartbeat("a", 1))), Code::NONE, "members moved along");
}

fn commit(peer: &mut Peer, version: i16, member: &str, epoch: i32) -> Code {
    let topic = OffsetCommitRequestTopic {
        name: "t".to_owned(),
        topic_id: topic_id(peer),
        partitions: vec![OffsetCommitRequestPartition {
            committed_offset: 7,
            ..OffsetCommitRequestPartition::default()
        }],
    };
    let request = OffsetCommitRequest {
        group_id: "g".to_owned(),
        member_id: member.to_owned(),
        generation_id_or_member_epoch: epoch,
        topics: vec![topic],
        ..OffsetCommitRequest::default()
    };
    Code::from(peer.ask(version, &request).topics[0].partitions[0].error_code)
}

fn committed(peer: &mut Peer, member: Option<&str>, epoch: i32) -> (Code, i64) {
    let topic = OffsetFetchRequestTopics {
        name: "t".to_owned(),
        partition_indexes: vec![0],
        ..OffsetFetchRequestTopics::default()
    };
    let group = OffsetFetchRequestGroup {
        group_id: "g".to_owned(),
        member_id: member.map(str::to_owned),
        member_epoch: epoch,
        topics: Some(vec![topic]),
    };
    let request = OffsetFetchRequest { groups: vec![group], ..OffsetFetchRequest::default() };
    let group = peer.ask(9, &request).groups.remove(0);
    (Code::from(group.error_code), group.topics[0].partitions[0].committed_offset)
}

#[test]
fn rule_9_12_offsets_are_committed_and_read_in_the_members_epoch() {
    let cluster = cluster();
    let mut peer = Peer::of(&cluster, 0);
    assert_eq!(commit(&mut peer, 9, "", -1), Code::NONE, "nobody is there");
    peer.ask(1, &joining("a"));
    assert_eq!(commit(&mut peer, 9, "", -1), Code::UNKNOWN_MEMBER_ID);
    assert_eq!(commit(&mut peer, 8, "a", 1), Code::UNSUPPORTED_VERSION);
    assert_eq!(commit(&mut peer, 9, "a", 0), Code::STALE_MEMBER_EPOCH);
    assert_eq!(commit(&mut peer, 10, "a", 1), Code::NONE);
    assert_eq!(committed(&mut peer, Some("a"), 1), (Code::NONE, 7));
    assert_eq!(committed(&mut peer, Some("a"), 2).0, Code::STALE_MEMBER_EPOCH);
    assert_eq!(committed(&mut peer, Some("b"), 1).0, Code::UNKNOWN_MEMBER_ID);
    assert_eq!(committed(&mut peer, None, -1), (Code::NONE, 7), "whoever asks");
}

#[test]
fn a_group_is_described_by_its_own_api_and_listed_with_its_kind() {
    let cluster = cluster();
    let mut peer = Peer::of(&cluster, 0);
    peer.ask(1, &joining("a"));
    let ids = vec!["g".to_owned(), "none".to_owned()];
    let request = ConsumerGroupDescribeRequest { group_ids: ids, ..Default::default() };
    let groups = peer.ask(1, &request).groups;
    assert_eq!((&*groups[0].group_state, &*groups[0].assignor_name), ("Stable", "uniform"));
    let member = &groups[0].members[0];
    assert_eq!((member.member_epoch, &*member.subscribed_topic_names), (1, &["t".to_owned()][..]));
    assert_eq!(member.assignment, member.target_assignment);
    assert_eq!(member.assignment.topic_partitions[0].topic_name, "t");
    assert_eq!(Code::from(groups[1].error_code), Code::GROUP_ID_NOT_FOUND);
    let classic = DescribeGroupsRequest { groups: vec!["g".to_owned()], ..Default::default() };
    let classic = peer.ask(6, &classic).groups.remove(0);
    assert_eq!(Code::from(classic.error_code), Code::GROUP_ID_NOT_FOUND);
    let listed = peer.ask(5, &ListGroupsRequest::default()).groups;
    assert_eq!((&*listed[0].group_type, &*listed[0].group_state), ("consumer", "Stable"));
    let delete = DeleteGroupsRequest { groups_names: vec!["g".to_owned()] };
    let deleted = peer.ask(2, &delete).results.remove(0).error_code;
    assert_eq!(Code::from(deleted), Code::NON_EMPTY_GROUP);
}

#[test]
fn an_empty_group_changes_its_kind_and_one_with_members_does_not() {
    let cluster = cluster();
    cluster.set("group.consumer.session.timeout.ms", "60000").expect("set");
    let mut peer = Peer::of(&cluster, 0);
    peer.ask(1, &joining("a"));
    let protocol = JoinGroupRequestProtocol { name: "range".to_owned(), ..Default::default() };
    let classic = JoinGroupRequest {
        group_id: "g".to_owned(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        protocol_type: "consumer".to_owned(),
        protocols: vec![protocol],
        ..JoinGroupRequest::default()
    };
    // Version 3 joins in one step.
    let refused = peer.ask(3, &classic);
    assert_eq!(Code::from(refused.error_code), Code::INCONSISTENT_GROUP_PROTOCOL);
    peer.ask(1, &heartbeat("a", -1));
    let joined = peer.ask(3, &classic);
    assert_eq!(Code::from(joined.error_code), Code::NONE);
    assert_eq!(code(&peer.ask(1, &joining("a"))), Code::GROUP_ID_NOT_FOUND);
    cluster.expire_member("g", &joined.member_id).expect("there");
    assert_eq!(code(&peer.ask(1, &joining("a"))), Code::NONE);
}

#[test]
fn a_silent_member_is_out_after_the_session_timeout() {
    let cluster = cluster();
    cluster.set("group.consumer.session.timeout.ms", "1").expect("set");
    let mut peer = Peer::of(&cluster, 0);
    peer.ask(1, &joining("a"));
    let deadline = super::peer::soon();
    while !cluster.group_members("g").is_empty() {
        assert!(std::time::Instant::now() < deadline, "still a member");
        std::thread::yield_now();
    }
}
