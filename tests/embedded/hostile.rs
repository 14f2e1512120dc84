//! Peers that ask for too much.

use samsa::Code;
use samsa::embedded::Cluster;
use samsa::protocol::modern::header::encode_request;
use samsa::protocol::modern::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use samsa::protocol::modern::messages::fetch::FetchRequest;
use samsa::protocol::modern::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use samsa::protocol::modern::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use samsa::protocol::modern::messages::produce::ProduceRequest;
use samsa::protocol::modern::{ApiKey, Message};

use samsa::protocol::record::{Compression, Format};

use crate::peer::{Peer, batch, batch_in, fetch_request, one_topic, only, produce_request, soon};

fn asked(name: &str) -> MetadataRequestTopic {
    MetadataRequestTopic { name: Some(name.to_owned()), ..Default::default() }
}

#[test]
fn answers_that_nobody_reads_are_not_piled_up() {
    let cluster = Cluster::start(1).unwrap();
    cluster.create_topic("t", 10_000).unwrap();
    let request = MetadataRequest { topics: Some(vec![asked("t")]), ..Default::default() };
    let frame = encode_request(9, 1, "peer", &request).unwrap().concat();
    let mut peer = Peer::of(&cluster, 0);
    peer.write(&frame.repeat(1_000));
    cluster.wait_requests(ApiKey::Metadata, 1, soon()).unwrap();
    // Answered behind them on the one I/O thread, however many of them it has looked at by then.
    Peer::of(&cluster, 0).metadata(&[]);
    let looked_at = cluster.requests(ApiKey::Metadata);
    assert!(looked_at < 100, "{looked_at} answers of 300 kB are held");
}

#[test]
fn a_topic_named_many_times_is_described_once() {
    let cluster = one_topic();
    let topics = Some(vec![asked("t"); 10_000]);
    let answer = Peer::of(&cluster, 0).ask(9, &MetadataRequest { topics, ..Default::default() });
    assert_eq!(answer.topics.len(), 1);
}

#[test]
fn a_partition_named_twice_is_looked_up_once() {
    let cluster = one_topic();
    let partitions = vec![ListOffsetsPartition { timestamp: 0, ..Default::default() }; 3];
    let topics = vec![ListOffsetsTopic { name: "t".to_owned(), partitions }];
    let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
    let answer = Peer::of(&cluster, 0).ask(7, &request);
    let codes: Vec<_> = answer.topics[0].partitions.iter().map(|p| p.error_code).collect();
    assert_eq!(codes, [42; 3]);
}

#[test]
fn topics_of_one_request_together_are_bounded() {
    let cluster = Cluster::start(1).unwrap();
    let topic = |i| CreatableTopic {
        name: format!("t{i}"),
        num_partitions: 100_000,
        replication_factor: 1,
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: (0..4).map(topic).collect(), ..Default::default() };
    let mut peer = Peer::of(&cluster, 0);
    let codes: Vec<_> = peer.ask(5, &request).topics.iter().map(|t| t.error_code).collect();
    assert_eq!(codes, [0, 0, 37, 37]);
    cluster.delete_topic("t0").unwrap();
    assert_eq!(cluster.grow_topic("t1", 100_001).unwrap_err().code(), Code::INVALID_PARTITIONS);
    cluster.create_topic("again", 100_000).unwrap();
}

#[test]
fn a_fetch_does_not_wait_for_bytes_that_are_there() {
    let cluster = one_topic();
    let mut peer = Peer::of(&cluster, 0);
    let value = "x".repeat(100_000);
    for offset in 0..20 {
        peer.produce("t", batch(&[&value]));
        // A reader at the end, so that the log is stored in small pieces.
        peer.fetch("t", offset);
    }
    let mut request = FetchRequest { max_wait_ms: 60_000, ..fetch_request("t", 0) };
    request.min_bytes = 1_000_000;
    request.max_bytes = 50_000_000;
    request.topics[0].partitions[0].partition_max_bytes = 50_000_000;
    let correlation = peer.send(11, &request);
    let got = only(peer.receive::<FetchRequest>(11, correlation));
    assert!(!got.records.unwrap().is_empty());
}

#[test]
fn a_log_at_the_last_offset_survives_another_batch() {
    let cluster = one_topic();
    let mut raw = batch(&["x"]).to_vec();
    raw[..8].copy_from_slice(&i64::MAX.to_be_bytes());
    cluster.append_raw("t", 0, &raw).unwrap();
    let mut peer = Peer::of(&cluster, 0);
    assert_eq!(peer.produce("t", batch(&["y"])).error_code, 56);
    let old = batch_in(Format::V1, Compression::None, &["y"]).bytes;
    let answer = peer.ask(2, &produce_request("t", 0, old, 1));
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 56);
    cluster.truncate("t", 0, i64::MAX).unwrap();
    assert_eq!(cluster.log_end_offset("t", 0).unwrap(), 0);
    assert_eq!(peer.metadata(&["t"]).topics.len(), 1);
}

#[test]
fn hundreds_of_waiting_fetches_are_answered_and_cut() {
    let cluster = one_topic();
    let waits = FetchRequest { max_wait_ms: 300_000, ..fetch_request("t", 0) };
    let mut peers: Vec<_> = (0..400).map(|_| Peer::of(&cluster, 0)).collect();
    let sent: Vec<_> = peers.iter_mut().map(|peer| peer.send(11, &waits)).collect();
    cluster.wait_requests(ApiKey::Fetch, 400, soon()).unwrap();
    Peer::of(&cluster, 0).produce("t", batch(&["x"]));
    for (peer, correlation) in peers.iter_mut().zip(sent) {
        assert!(only(peer.receive::<FetchRequest>(11, correlation)).records.is_some());
        peer.send(11, &FetchRequest { max_wait_ms: 300_000, ..fetch_request("t", 1) });
    }
    cluster.wait_requests(ApiKey::Fetch, 800, soon()).unwrap();
    cluster.stop();
    assert_eq!(cluster.connections(None), 0);
    assert!(peers.iter_mut().all(Peer::is_closed_without_a_byte));
}

/// Valid frames, of which one byte after another is changed.
#[test]
fn no_changed_byte_makes_a_broker_panic() {
    let cluster = one_topic();
    let mut frames = Vec::new();
    let old = batch_in(Format::V1, Compression::Gzip, &["a", "b"]).bytes;
    for version in ProduceRequest::VERSIONS {
        let records = if version < 3 { old.clone() } else { batch(&["a", "b"]) };
        frames.push(encode_request(version, 1, "peer", &produce_request("t", 0, records, 1)));
    }
    for version in FetchRequest::VERSIONS {
        frames.push(encode_request(version, 1, "peer", &fetch_request("t", 0)));
    }
    let metadata = MetadataRequest { topics: Some(vec![asked("t")]), ..Default::default() };
    for version in MetadataRequest::VERSIONS {
        frames.push(encode_request(version, 1, "peer", &metadata));
    }
    let partitions = vec![ListOffsetsPartition { timestamp: 0, ..Default::default() }];
    let topics = vec![ListOffsetsTopic { name: "t".to_owned(), partitions }];
    let offsets = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
    let topics = vec![CreatableTopic { name: "u".to_owned(), ..Default::default() }];
    let create = CreateTopicsRequest { topics, ..Default::default() };
    for version in 1..=7 {
        frames.push(encode_request(version, 1, "peer", &offsets));
        frames.push(encode_request(version, 1, "peer", &create));
    }
    for frame in frames {
        let frame = frame.unwrap().concat();
        for at in 4..frame.len() {
            let mut changed = frame.clone();
            changed[at] ^= [0x01, 0x80, 0xff][at % 3];
            let mut peer = Peer::of(&cluster, 0);
            peer.write(&changed);
            peer.finish();
            peer.last_bytes();
        }
    }
    let nothing = cluster.wait_requests(ApiKey::Vote, 1, std::time::Instant::now());
    assert_eq!(nothing.unwrap_err().code(), Code::TIMED_OUT, "no task panicked");
}
