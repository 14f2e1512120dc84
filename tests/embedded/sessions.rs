//! Fetch sessions (KIP-227) and reading from the nearest replica (KIP-392), as brokers do them.

use samsa::embedded::{Cluster, Options};
use samsa::protocol::modern::messages::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, ForgottenTopic,
};

use crate::peer::{Peer, batch, fetch_request, soon};

const RACK_AWARE: &str = "org.apache.kafka.common.replica.RackAwareReplicaSelector";

/// A request that names these partitions of "t", each from its offset on.
fn request(session: i32, epoch: i32, partitions: &[(i32, i64)]) -> FetchRequest {
    let partition = |&(partition, fetch_offset): &(i32, i64)| FetchPartition {
        partition,
        fetch_offset,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    let partitions: Vec<_> = partitions.iter().map(partition).collect();
    let topic = FetchTopic { topic: "t".to_owned(), partitions, ..Default::default() };
    let topics = if topic.partitions.is_empty() { Vec::new() } else { vec![topic] };
    FetchRequest { session_id: session, session_epoch: epoch, topics, ..Default::default() }
}

fn forgetting(mut request: FetchRequest, partitions: &[i32]) -> FetchRequest {
    let partitions = partitions.to_vec();
    request.forgotten_topics_data =
        vec![ForgottenTopic { topic: "t".to_owned(), partitions, ..Default::default() }];
    request
}

/// The partitions of an answer with the bytes of their records.
fn answered(response: &FetchResponse) -> Vec<(i32, bool)> {
    assert_eq!(response.error_code, 0);
    let partitions = response.responses.iter().flat_map(|t| &t.partitions);
    let delivers = |r: &Option<bytes::Bytes>| r.as_ref().is_some_and(|r| !r.is_empty());
    partitions.map(|p| (p.partition_index, delivers(&p.records))).collect()
}

fn three_partitions() -> (Cluster, Peer) {
    let cluster = Cluster::start(1).unwrap();
    cluster.create_topic("t", 3).unwrap();
    let peer = Peer::of(&cluster, 0);
    (cluster, peer)
}

#[test]
fn rule_6_4_an_incremental_answer_holds_only_partitions_with_news() {
    let (_cluster, mut peer) = three_partitions();
    let first = peer.ask(11, &request(0, 0, &[(0, 0), (1, 0), (2, 0)]));
    assert_eq!(answered(&first), [(0, false), (1, false), (2, false)], "a full answer holds all");
    let id = first.session_id;
    assert_ne!(id, 0);
    peer.produce("t", batch(&["x"]));
    let second = peer.ask(11, &request(id, 1, &[]));
    assert_eq!((answered(&second), second.session_id), (vec![(0, true)], id));
    let third = peer.ask(11, &request(id, 2, &[(0, 1)]));
    assert_eq!(answered(&third), [], "its high watermark is known by now");
}

#[test]
fn rule_6_4_a_partition_in_error_is_in_every_answer_and_in_one_more_when_it_healed() {
    let (cluster, mut peer) = three_partitions();
    let id = peer.ask(11, &request(0, 0, &[(0, 7)])).session_id;
    for epoch in 1..=2 {
        let answer = peer.ask(11, &request(id, epoch, &[]));
        assert_eq!(answer.responses[0].partitions[0].error_code, 1);
    }
    let answer = peer.ask(11, &request(id, 3, &[(0, 0)]));
    assert_eq!(answered(&answer), [(0, false)]);
    assert_eq!(answered(&peer.ask(11, &request(id, 4, &[]))), []);
    drop(cluster);
}

#[test]
fn rule_6_5_what_is_forgotten_leaves_the_session_and_the_last_one_closes_it() {
    let (cluster, mut peer) = three_partitions();
    let id = peer.ask(11, &request(0, 0, &[(0, 0), (1, 0)])).session_id;
    peer.produce("t", batch(&["x"]));
    let answer = peer.ask(11, &forgetting(request(id, 1, &[]), &[0]));
    assert_eq!((answered(&answer), answer.session_id), (vec![], id));
    let answer = peer.ask(11, &forgetting(request(id, 2, &[]), &[1]));
    assert_eq!((answered(&answer), answer.session_id), (vec![], 0));
    assert_eq!(cluster.fetch_sessions(0).unwrap(), 0);
}

#[test]
fn rule_6_8_in_a_session_what_delivered_goes_last() {
    let (cluster, mut peer) = three_partitions();
    for partition in 0..3 {
        cluster.append_raw("t", partition, &batch(&["x"])).unwrap();
    }
    let one_batch = |r: FetchRequest| FetchRequest { max_bytes: 1, ..r };
    let mut answer = peer.ask(11, &one_batch(request(0, 0, &[(0, 0), (1, 0), (2, 0)])));
    let id = answer.session_id;
    let mut order = Vec::new();
    for epoch in 1..=4 {
        order.extend(answered(&answer).into_iter().filter(|(_, data)| *data).map(|(p, _)| p));
        answer = peer.ask(11, &one_batch(request(id, epoch, &[])));
    }
    assert_eq!(order, [0, 1, 2, 0]);
}

#[test]
fn a_session_is_refused_by_its_epoch_its_name_and_its_naming() {
    let (cluster, mut peer) = three_partitions();
    let id = peer.ask(12, &request(0, 0, &[(0, 0)])).session_id;
    let code = |peer: &mut Peer, version, r: FetchRequest| peer.ask(version, &r).error_code;
    assert_eq!(code(&mut peer, 12, request(id, 5, &[])), 71);
    assert_eq!(code(&mut peer, 13, request(id, 1, &[])), 106);
    assert_eq!(code(&mut peer, 12, request(id, 1, &[])), 0, "a refusal changes nothing");
    cluster.forget_fetch_sessions(None).unwrap();
    assert_eq!(code(&mut peer, 12, request(id, 2, &[])), 70);
}

#[test]
fn rule_6_3_without_a_place_there_is_no_session_and_a_farewell_frees_one() {
    let options = Options { fetch_session_slots: 1, ..Options::default() };
    let cluster = Cluster::start_with(options).unwrap();
    cluster.create_topic("t", 2).unwrap();
    let (mut one, mut other) = (Peer::of(&cluster, 0), Peer::of(&cluster, 0));
    let id = one.ask(11, &request(0, 0, &[(0, 0)])).session_id;
    assert_ne!(id, 0);
    assert_eq!(other.ask(11, &request(0, 0, &[(0, 0), (1, 0)])).session_id, 0);
    // On any connection.
    assert_eq!(other.ask(11, &request(id, -1, &[])).session_id, 0);
    cluster.wait_fetch_sessions(0, 0, soon()).unwrap();
    assert_ne!(other.ask(11, &request(0, 0, &[(0, 0), (1, 0)])).session_id, 0);
}

/// Two brokers in racks "a" and "b"; broker 0 leads "t".
fn racks() -> Cluster {
    let mut options = Options { brokers: 2, ..Options::default() };
    options.set("broker.rack", "a,b").unwrap();
    options.set("replica.selector.class", RACK_AWARE).unwrap();
    let cluster = Cluster::start_with(options).unwrap();
    cluster.create_topic("t", 1).unwrap();
    cluster.move_leader("t", 0, 0).unwrap();
    cluster.append_raw("t", 0, &batch(&["x"])).unwrap();
    cluster
}

fn from_rack(rack: &str) -> FetchRequest {
    FetchRequest { rack_id: rack.to_owned(), max_wait_ms: 60_000, ..fetch_request("t", 0) }
}

#[test]
fn rule_6_18_the_leader_names_the_replica_in_the_clients_rack_at_once_and_without_records() {
    let cluster = racks();
    let mut leader = Peer::of(&cluster, 0);
    assert_eq!(leader.metadata(&["t"]).brokers[1].rack.as_deref(), Some("b"));
    let ask = |peer: &mut Peer, version, rack| {
        let mut answer = peer.ask(version, &from_rack(rack));
        let data = answer.responses.remove(0).partitions.remove(0);
        assert_eq!((data.error_code, data.high_watermark), (0, 1));
        (data.preferred_read_replica, data.records.is_some_and(|r| !r.is_empty()))
    };
    assert_eq!(ask(&mut leader, 11, "b"), (1, false));
    assert_eq!(ask(&mut leader, 11, "a"), (-1, true), "the leader is in it");
    assert_eq!(ask(&mut leader, 11, "c"), (-1, true), "nobody is in it");
    assert_eq!(ask(&mut leader, 11, ""), (-1, true));
    assert_eq!(ask(&mut leader, 10, "b"), (-1, true), "before KIP-392");
    assert_eq!(ask(&mut Peer::of(&cluster, 1), 11, "b"), (-1, true), "the follower serves it");
    cluster.stop_broker(1).unwrap();
    assert_eq!(ask(&mut leader, 11, "b"), (-1, true), "the follower is gone");
}

#[test]
fn a_follower_serves_nobody_before_kip_392() {
    let cluster = racks();
    let mut follower = Peer::of(&cluster, 1);
    let answer = follower.ask(10, &fetch_request("t", 0));
    assert_eq!(answer.responses[0].partitions[0].error_code, 6);
}
