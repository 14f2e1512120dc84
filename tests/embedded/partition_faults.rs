//! Faults that name one partition, met by requests that name several.

use std::time::{Duration, Instant};

use samsa::embedded::{Cluster, Fault, FaultKind};
use samsa::protocol::modern::ApiKey;
use samsa::protocol::modern::messages::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData,
};
use samsa::protocol::modern::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use samsa::protocol::modern::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse,
    TopicProduceData,
};

use crate::peer::{Peer, batch, soon};

const PRODUCE: i16 = 11;
const FETCH: i16 = 12;

/// Two brokers; broker 0 leads the three partitions of "t".
fn three_partitions() -> Cluster {
    let cluster = Cluster::start(2).unwrap();
    cluster.create_topic("t", 3).unwrap();
    (0..3).for_each(|partition| cluster.move_leader("t", partition, 0).unwrap());
    cluster
}

fn to_all(value: &str) -> ProduceRequest {
    let data = |index| PartitionProduceData { index, records: Some(batch(&[value, value])) };
    let topic = TopicProduceData {
        name: "t".to_owned(),
        partition_data: (0..3).map(data).collect(),
        ..Default::default()
    };
    ProduceRequest { acks: -1, timeout_ms: 1_000, topic_data: vec![topic], ..Default::default() }
}

fn of_all() -> FetchRequest {
    let partition = |partition| FetchPartition {
        partition,
        partition_max_bytes: 1 << 20,
        current_leader_epoch: -1,
        last_fetched_epoch: -1,
        ..Default::default()
    };
    let topic = FetchTopic {
        topic: "t".to_owned(),
        partitions: (0..3).map(partition).collect(),
        ..Default::default()
    };
    FetchRequest {
        max_bytes: 1 << 20,
        min_bytes: 1,
        session_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    }
}

fn on_second(kind: FaultKind, api: ApiKey) -> Fault {
    Fault::new(kind).api(api).topic("t").partition(1)
}

fn shares(mut response: ProduceResponse) -> Vec<PartitionProduceResponse> {
    response.responses.remove(0).partition_responses
}

fn parts(mut response: FetchResponse) -> Vec<PartitionData> {
    assert_eq!(response.error_code, 0);
    response.responses.remove(0).partitions
}

fn codes(response: ProduceResponse) -> Vec<i16> {
    shares(response).iter().map(|share| share.error_code).collect()
}

fn ends(cluster: &Cluster) -> Vec<i64> {
    (0..3).map(|partition| cluster.log_end_offset("t", partition).unwrap()).collect()
}

#[test]
fn an_error_code_is_the_named_partitions_alone() {
    let cluster = three_partitions();
    let mut peer = Peer::of(&cluster, 0);
    cluster.inject(on_second(FaultKind::ErrorCode(19), ApiKey::Produce));
    assert_eq!(codes(peer.ask(PRODUCE, &to_all("a"))), [0, 19, 0]);
    assert_eq!(ends(&cluster), [2, 0, 2], "nothing was applied to it");
    cluster.inject(on_second(FaultKind::ErrorCode(7), ApiKey::Produce).applied());
    assert_eq!(codes(peer.ask(PRODUCE, &to_all("b"))), [0, 7, 0]);
    assert_eq!(ends(&cluster), [4, 2, 4], "applied all the same");
    cluster.inject(on_second(FaultKind::ErrorCode(74), ApiKey::Fetch));
    let answers = parts(peer.ask(FETCH, &of_all()));
    let seen: Vec<_> = answers.iter().map(|p| (p.error_code, p.records.is_some())).collect();
    assert_eq!(seen.iter().map(|s| s.0).collect::<Vec<_>>(), [0, 74, 0]);
    assert!(answers[1].records.as_ref().is_none_or(|r| r.is_empty()));
    assert!(answers[2].records.as_ref().is_some_and(|r| !r.is_empty()), "{seen:?}");
}

#[test]
fn two_partitions_of_one_request_can_have_different_errors() {
    let cluster = three_partitions();
    let mut peer = Peer::of(&cluster, 0);
    cluster.inject(on_second(FaultKind::ErrorCode(19), ApiKey::Produce));
    cluster.inject(Fault::new(FaultKind::ErrorCode(29)).api(ApiKey::Produce).partition(2));
    assert_eq!(codes(peer.ask(PRODUCE, &to_all("a"))), [0, 19, 29]);
    assert_eq!(ends(&cluster), [2, 0, 0]);
}

#[test]
fn the_nth_request_that_names_the_partition_is_counted_not_every_request() {
    let cluster = three_partitions();
    let mut peer = Peer::of(&cluster, 0);
    let fault = cluster.inject(on_second(FaultKind::ErrorCode(19), ApiKey::Produce).skip(1));
    let mut other = to_all("x");
    other.topic_data[0].partition_data.remove(1);
    for _ in 0..3 {
        assert_eq!(codes(peer.ask(PRODUCE, &other)), [0, 0]);
    }
    assert_eq!(codes(peer.ask(PRODUCE, &to_all("a"))), [0, 0, 0]);
    assert_eq!(codes(peer.ask(PRODUCE, &to_all("b"))), [0, 19, 0]);
    assert_eq!(codes(peer.ask(PRODUCE, &to_all("c"))), [0, 0, 0]);
    assert_eq!(cluster.injected(fault), 1);
}

#[test]
fn a_leader_move_takes_only_the_named_partition_away() {
    let cluster = three_partitions();
    let mut peer = Peer::of(&cluster, 0);
    cluster.inject(on_second(FaultKind::LeaderMove(1), ApiKey::Produce));
    let answers = shares(peer.ask(PRODUCE, &to_all("a")));
    assert_eq!(answers.iter().map(|a| a.error_code).collect::<Vec<_>>(), [0, 6, 0]);
    assert_eq!(answers[1].current_leader.leader_id, 1, "KIP-951");
    assert_eq!(ends(&cluster), [2, 0, 2]);
    let leaders: Vec<_> = (0..3).map(|p| cluster.leader("t", p).unwrap().0).collect();
    assert_eq!(leaders, [0, 1, 0]);
    cluster.inject(on_second(FaultKind::LeaderMove(0), ApiKey::ListOffsets));
    let asked = |partition_index| ListOffsetsPartition {
        partition_index,
        timestamp: -1,
        ..Default::default()
    };
    let topic = ListOffsetsTopic { name: "t".to_owned(), partitions: (0..3).map(asked).collect() };
    let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
    let answer = peer.ask(7, &request);
    assert!(answer.topics[0].partitions.iter().all(|p| p.error_code == 0), "{answer:?}");
}

#[test]
fn an_old_client_too_is_told_that_the_leader_moved() {
    let cluster = three_partitions();
    cluster.move_leader("t", 1, 1).unwrap();
    for version in 3..=9 {
        let mut peer = Peer::of(&cluster, 0);
        assert_eq!(codes(peer.ask(version, &to_all("a"))), [0, 6, 0], "version {version}");
    }
}

#[test]
fn rule_4_8_a_record_error_blames_one_record_of_one_partition() {
    let cluster = three_partitions();
    let mut peer = Peer::of(&cluster, 0);
    let kind = FaultKind::RecordError { code: 87, record: 1 };
    cluster.inject(on_second(kind, ApiKey::Produce));
    let answers = shares(peer.ask(PRODUCE, &to_all("a")));
    assert_eq!(answers.iter().map(|a| a.error_code).collect::<Vec<_>>(), [0, 87, 0]);
    assert!(answers[0].record_errors.is_empty() && answers[2].record_errors.is_empty());
    let [blamed] = &answers[1].record_errors[..] else { panic!("{answers:?}") };
    assert_eq!(blamed.batch_index, 1);
    assert_eq!(ends(&cluster), [2, 0, 2]);
    cluster.inject(on_second(kind, ApiKey::Produce));
    assert_eq!(codes(peer.ask(7, &to_all("old"))), [0, 87, 0], "too old to say which record");
}

#[test]
fn rule_4_9_an_offset_can_be_kept_back() {
    let cluster = three_partitions();
    let mut peer = Peer::of(&cluster, 0);
    cluster.inject(on_second(FaultKind::NoOffset, ApiKey::Produce));
    let answers = shares(peer.ask(PRODUCE, &to_all("a")));
    let seen: Vec<_> = answers.iter().map(|a| (a.error_code, a.base_offset)).collect();
    assert_eq!(seen, [(0, 0), (0, -1), (0, 0)]);
    assert_eq!(ends(&cluster), [2, 2, 2]);
}

#[test]
fn an_error_can_name_any_leader() {
    let cluster = three_partitions();
    let mut peer = Peer::of(&cluster, 0);
    let moved = |api| on_second(FaultKind::ErrorCode(6), api).naming_leader(1, 40);
    cluster.inject(moved(ApiKey::Produce));
    let response = peer.ask(PRODUCE, &to_all("a"));
    assert_eq!(response.node_endpoints.len(), 1, "where it is: {response:?}");
    let named: Vec<_> = shares(response).iter().map(|a| a.current_leader.clone()).collect();
    assert_eq!((named[1].leader_id, named[1].leader_epoch), (1, 40));
    assert_eq!(named[0].leader_id, -1);
    cluster.inject(moved(ApiKey::Produce));
    assert_eq!(codes(peer.ask(9, &to_all("a"))), [0, 6, 0], "too old to name a leader");
    cluster.inject(moved(ApiKey::Fetch));
    let named = parts(peer.ask(FETCH, &of_all())).remove(1).current_leader;
    assert_eq!((named.leader_id, named.leader_epoch), (1, 40));
    cluster.inject(moved(ApiKey::Fetch));
    assert_eq!(parts(peer.ask(11, &of_all()))[1].error_code, 6, "too old to name a leader");
}

#[test]
fn a_request_error_stands_beside_the_partitions_where_there_is_room_for_it() {
    let cluster = three_partitions();
    let mut peer = Peer::of(&cluster, 0);
    for code in [70, 71, 106, 31] {
        cluster.inject(Fault::new(FaultKind::RequestError(code)).api(ApiKey::Fetch));
        let answer = peer.ask(FETCH, &of_all());
        assert_eq!((answer.error_code, answer.responses.len()), (code, 0));
    }
    cluster.inject(Fault::new(FaultKind::RequestError(31)).api(ApiKey::Fetch));
    let old = parts(peer.ask(5, &of_all()));
    assert!(old.iter().all(|p| p.error_code == 31), "no room before version 7: {old:?}");
    cluster.inject(Fault::new(FaultKind::RequestError(31)).api(ApiKey::Produce));
    assert_eq!(codes(peer.ask(PRODUCE, &to_all("a"))), [31, 31, 31]);
    assert_eq!(ends(&cluster), [0, 0, 0]);
}

#[test]
fn what_concerns_the_connection_concerns_every_partition_of_the_request() {
    for (kind, applied) in [
        (FaultKind::DisconnectBefore, false),
        (FaultKind::DisconnectAfter, true),
        (FaultKind::CloseMidFrame, true),
    ] {
        let cluster = three_partitions();
        let mut peer = Peer::of(&cluster, 0);
        cluster.inject(on_second(kind, ApiKey::Produce));
        peer.send(PRODUCE, &to_all("a"));
        peer.last_bytes();
        assert_eq!(ends(&cluster), [if applied { 2 } else { 0 }; 3], "{kind:?}");
    }
    for applied in [false, true] {
        let cluster = three_partitions();
        let mut peer = Peer::of(&cluster, 0);
        let fault = on_second(FaultKind::Silence, ApiKey::Produce);
        let id = cluster.inject(if applied { fault.applied() } else { fault });
        peer.send(PRODUCE, &to_all("a"));
        cluster.wait_injected(id, 1, soon()).unwrap();
        assert!(peer.is_silent());
        assert_eq!(ends(&cluster), [if applied { 2 } else { 0 }; 3]);
    }
}

#[test]
fn an_error_of_one_partition_and_a_delay_of_another_add_up() {
    let cluster = three_partitions();
    let mut peer = Peer::of(&cluster, 0);
    cluster.inject(on_second(FaultKind::ErrorCode(19), ApiKey::Produce));
    cluster.inject(Fault::new(FaultKind::Delay(80)).api(ApiKey::Produce).partition(2));
    let before = Instant::now();
    assert_eq!(codes(peer.ask(PRODUCE, &to_all("a"))), [0, 19, 0]);
    assert!(before.elapsed() >= Duration::from_millis(80));
}

#[test]
fn rule_4_18_a_throttled_client_is_answered_first_and_then_not_listened_to() {
    let cluster = three_partitions();
    let mut peer = Peer::of(&cluster, 0);
    for (api, ms) in [(ApiKey::Produce, 90), (ApiKey::Fetch, 91)] {
        cluster.inject(Fault::new(FaultKind::Throttle(ms)).api(api));
        let before = Instant::now();
        let told = match api {
            ApiKey::Produce => peer.ask(PRODUCE, &to_all("a")).throttle_time_ms,
            _ => peer.ask(FETCH, &of_all()).throttle_time_ms,
        };
        assert_eq!(u32::try_from(told).unwrap(), ms);
        peer.metadata(&["t"]);
        assert!(before.elapsed() >= Duration::from_millis(ms.into()), "the broker was deaf");
    }
    assert_eq!(ends(&cluster), [2, 2, 2], "what was throttled was applied");
}
