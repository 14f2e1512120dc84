//! Every fault, as a client on the wire sees it.

use std::time::{Duration, Instant};

use samsa::embedded::{Cluster, Fault, FaultKind};
use samsa::protocol::modern::ApiKey;
use samsa::protocol::modern::messages::api_versions::ApiVersionsRequest;
use samsa::protocol::modern::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use samsa::protocol::modern::messages::fetch::FetchRequest;
use samsa::protocol::modern::messages::find_coordinator::FindCoordinatorRequest;
use samsa::protocol::modern::messages::init_producer_id::InitProducerIdRequest;
use samsa::protocol::modern::messages::produce::ProduceRequest;

use crate::peer::{Peer, batch, fetch_request, one_topic, produce_request, soon, stored};

fn on_produce(kind: FaultKind) -> Fault {
    Fault::new(kind).api(ApiKey::Produce)
}

fn send(peer: &mut Peer, value: &str) -> i32 {
    peer.send(9, &produce_request("t", 0, batch(&[value]), 1))
}

#[test]
fn an_error_code_is_answered_and_nothing_is_applied() {
    let cluster = one_topic();
    let mut peer = Peer::of(&cluster, 0);
    let fault = cluster.inject(on_produce(FaultKind::ErrorCode(19)).topic("t").partition(0));
    assert_eq!(peer.produce("t", batch(&["lost"])).error_code, 19);
    assert_eq!(peer.produce("t", batch(&["kept"])).error_code, 0);
    assert_eq!(cluster.injected(fault), 1);
    assert_eq!(stored(&cluster, "t"), [(0, "kept".to_owned())]);
}

#[test]
fn an_error_code_can_be_answered_although_the_batch_was_applied() {
    let cluster = one_topic();
    let mut peer = Peer::of(&cluster, 0);
    cluster.inject(on_produce(FaultKind::ErrorCode(20)).applied());
    assert_eq!(peer.produce("t", batch(&["kept"])).error_code, 20);
    assert_eq!(stored(&cluster, "t"), [(0, "kept".to_owned())]);
}

#[test]
fn the_nth_request_is_met_and_then_as_many_as_asked() {
    let cluster = one_topic();
    let mut peer = Peer::of(&cluster, 0);
    let fault = cluster.inject(on_produce(FaultKind::ErrorCode(7)).skip(1).times(2));
    let codes: Vec<_> = (0..4).map(|_| peer.produce("t", batch(&["x"])).error_code).collect();
    assert_eq!(codes, [0, 7, 7, 0]);
    cluster.wait_injected(fault, 2, soon()).unwrap();
}

#[test]
fn another_broker_topic_or_partition_is_not_met() {
    let cluster = Cluster::start(2).unwrap();
    cluster.create_topic("t", 2).unwrap();
    cluster.inject(on_produce(FaultKind::ErrorCode(7)).topic("t").partition(1).always());
    cluster.inject(on_produce(FaultKind::ErrorCode(8)).broker(1).always());
    let mut first = Peer::of(&cluster, 0);
    assert_eq!(first.produce("t", batch(&["x"])).error_code, 0);
    let other = first.ask(9, &produce_request("t", 1, batch(&["x"]), 1));
    assert_eq!(other.responses[0].partition_responses[0].error_code, 7);
    let mut second = Peer::of(&cluster, 1);
    assert_eq!(second.produce("t", batch(&["x"])).error_code, 8);
}

#[test]
fn every_api_can_answer_an_error_code() {
    let cluster = one_topic();
    let mut peer = Peer::of(&cluster, 0);
    let arm = |api: ApiKey, code| cluster.inject(Fault::new(FaultKind::ErrorCode(code)).api(api));
    arm(ApiKey::Fetch, 56);
    assert_eq!(peer.fetch("t", 0).error_code, 56);
    arm(ApiKey::Fetch, 70);
    assert_eq!(peer.ask(11, &fetch_request("t", 0)).error_code, 70, "a session's error");
    arm(ApiKey::ListOffsets, 6);
    assert_eq!(peer.offset(7, "t", -1).error_code, 6);
    arm(ApiKey::Metadata, 5);
    assert_eq!(peer.metadata(&["t"]).topics[0].error_code, 5);
    arm(ApiKey::FindCoordinator, 15);
    let found = peer.ask(
        4,
        &FindCoordinatorRequest { coordinator_keys: vec!["g".to_owned()], ..Default::default() },
    );
    assert_eq!(found.coordinators[0].error_code, 15);
    arm(ApiKey::InitProducerId, 14);
    assert_eq!(peer.ask(4, &InitProducerIdRequest::default()).error_code, 14);
    arm(ApiKey::ApiVersions, 35);
    assert_eq!(peer.ask(0, &ApiVersionsRequest::default()).error_code, 35);
    arm(ApiKey::CreateTopics, 41);
    let topic = CreatableTopic {
        name: "new".to_owned(),
        num_partitions: 1,
        replication_factor: 1,
        ..Default::default()
    };
    let made = peer.ask(5, &CreateTopicsRequest { topics: vec![topic], ..Default::default() });
    assert_eq!(made.topics[0].error_code, 41);
    assert!(cluster.leader("new", 0).is_err(), "it was not made");
}

#[test]
fn a_delayed_answer_comes_later_and_holds_back_those_behind_it() {
    let cluster = one_topic();
    let mut peer = Peer::of(&cluster, 0);
    cluster.inject(on_produce(FaultKind::Delay(80)));
    let begun = Instant::now();
    let (first, second) = (send(&mut peer, "a"), send(&mut peer, "b"));
    peer.receive::<ProduceRequest>(9, first);
    assert!(begun.elapsed() >= Duration::from_millis(80));
    peer.receive::<ProduceRequest>(9, second);
    assert_eq!(cluster.log_end_offset("t", 0).unwrap(), 2);
}

#[test]
fn a_disconnect_before_applies_nothing() {
    let cluster = one_topic();
    let mut peer = Peer::of(&cluster, 0);
    cluster.inject(on_produce(FaultKind::DisconnectBefore));
    send(&mut peer, "lost");
    assert!(peer.is_closed_without_a_byte());
    assert_eq!(cluster.log_end_offset("t", 0).unwrap(), 0);
}

#[test]
fn a_disconnect_after_applies_and_loses_the_answer() {
    let cluster = one_topic();
    let mut peer = Peer::of(&cluster, 0);
    cluster.inject(on_produce(FaultKind::DisconnectAfter));
    send(&mut peer, "kept");
    assert!(peer.is_closed_without_a_byte());
    assert_eq!(stored(&cluster, "t"), [(0, "kept".to_owned())]);
}

#[test]
fn silence_swallows_the_request_and_all_behind_it_on_that_connection_only() {
    let cluster = one_topic();
    let mut peer = Peer::of(&cluster, 0);
    let fault = cluster.inject(on_produce(FaultKind::Silence));
    send(&mut peer, "lost");
    cluster.wait_injected(fault, 1, soon()).unwrap();
    send(&mut peer, "lost too");
    assert!(peer.is_silent());
    assert_eq!(Peer::of(&cluster, 0).produce("t", batch(&["kept"])).error_code, 0);
    assert_eq!(stored(&cluster, "t"), [(0, "kept".to_owned())]);
}

#[test]
fn silence_can_come_after_the_batch_was_applied() {
    let cluster = one_topic();
    let mut peer = Peer::of(&cluster, 0);
    cluster.inject(on_produce(FaultKind::Silence).applied());
    send(&mut peer, "kept");
    cluster.wait_log_end("t", 0, 1, soon()).unwrap();
    assert!(peer.is_silent());
}

#[test]
fn a_leader_that_moved_before_the_request_is_named_in_the_answer() {
    let cluster = Cluster::start(2).unwrap();
    cluster.create_topic("t", 1).unwrap();
    let mut peer = Peer::of(&cluster, 0);
    cluster.inject(on_produce(FaultKind::LeaderMove(1)).topic("t"));
    let answer = peer.ask(12, &produce_request("t", 0, batch(&["x"]), -1));
    let partition = &answer.responses[0].partition_responses[0];
    assert_eq!((partition.error_code, partition.base_offset), (6, -1));
    assert_eq!((partition.current_leader.leader_id, partition.current_leader.leader_epoch), (1, 1));
    let port = i32::from(cluster.broker_address(1).unwrap().port());
    assert_eq!((answer.node_endpoints[0].node_id, answer.node_endpoints[0].port), (1, port));
    assert_eq!(Peer::of(&cluster, 1).produce("t", batch(&["x"])).error_code, 0);
}

#[test]
fn a_waiting_fetch_learns_at_once_that_the_leader_moved() {
    // Since KIP-392 a broker that still is a replica goes by the epoch.
    for (version, epoch, code) in [(10, -1, 6), (11, 0, 74)] {
        let cluster = Cluster::start(2).unwrap();
        cluster.create_topic("t", 1).unwrap();
        let mut peer = Peer::of(&cluster, 0);
        let mut waits = FetchRequest { max_wait_ms: 60_000, ..fetch_request("t", 0) };
        waits.topics[0].partitions[0].current_leader_epoch = epoch;
        let correlation = peer.send(version, &waits);
        cluster.wait_requests(ApiKey::Fetch, 1, soon()).unwrap();
        cluster.move_leader("t", 0, 1).unwrap();
        let answer = peer.receive::<FetchRequest>(version, correlation);
        assert_eq!(answer.responses[0].partitions[0].error_code, code, "version {version}");
    }
}

#[test]
fn garbage_is_no_frame_and_ends_the_connection() {
    let cluster = one_topic();
    let mut peer = Peer::of(&cluster, 0);
    cluster.inject(on_produce(FaultKind::Garbage));
    send(&mut peer, "x");
    let bytes = peer.last_bytes();
    assert!(bytes.starts_with(b"HTTP/1.1 400"), "{bytes:?}");
}

#[test]
fn a_malformed_answer_is_a_frame_with_the_right_id_and_no_sense() {
    let cluster = one_topic();
    let mut peer = Peer::of(&cluster, 0);
    cluster.inject(on_produce(FaultKind::Malformed));
    let correlation = send(&mut peer, "x");
    let frame = peer.frame();
    assert_eq!(frame[..4], correlation.to_be_bytes());
    for version in 0..=12 {
        let read = samsa::protocol::modern::header::decode_response::<ProduceRequest>(
            version,
            frame.clone(),
        );
        assert!(read.is_err(), "version {version}");
    }
}

#[test]
fn an_answer_can_end_in_the_middle() {
    let cluster = one_topic();
    let mut peer = Peer::of(&cluster, 0);
    cluster.inject(on_produce(FaultKind::CloseMidFrame));
    send(&mut peer, "kept");
    let bytes = peer.last_bytes();
    let announced = i32::from_be_bytes(bytes[..4].try_into().unwrap());
    assert!(bytes.len() > 8 && bytes.len() < 4 + usize::try_from(announced).unwrap());
    assert_eq!(cluster.log_end_offset("t", 0).unwrap(), 1);
}

#[test]
fn a_fault_on_a_fetch_waits_for_its_answer() {
    let cluster = one_topic();
    let mut peer = Peer::of(&cluster, 0);
    cluster.inject(Fault::new(FaultKind::CloseMidFrame).api(ApiKey::Fetch));
    peer.send(11, &FetchRequest { max_wait_ms: 60_000, ..fetch_request("t", 0) });
    cluster.wait_requests(ApiKey::Fetch, 1, soon()).unwrap();
    Peer::of(&cluster, 0).produce("t", batch(&["x"]));
    assert!(!peer.last_bytes().is_empty());
}

#[test]
fn a_fault_taken_back_meets_nothing_more() {
    let cluster = one_topic();
    let mut peer = Peer::of(&cluster, 0);
    let fault = cluster.inject(on_produce(FaultKind::ErrorCode(7)).always());
    assert_eq!(peer.produce("t", batch(&["x"])).error_code, 7);
    cluster.withdraw(fault);
    assert_eq!(peer.produce("t", batch(&["x"])).error_code, 0);
    assert_eq!(cluster.injected(fault), 1);
}
