//! What each API answers.

use std::time::{Duration, Instant};

use samsa::embedded::{Cluster, Options, TopicSpec};
use samsa::protocol::modern::messages::api_versions::ApiVersionsRequest;
use samsa::protocol::modern::messages::consumer_group_describe::ConsumerGroupDescribeRequest;
use samsa::protocol::modern::messages::consumer_group_heartbeat::ConsumerGroupHeartbeatRequest;
use samsa::protocol::modern::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use samsa::protocol::modern::messages::delete_groups::DeleteGroupsRequest;
use samsa::protocol::modern::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use samsa::protocol::modern::messages::describe_groups::DescribeGroupsRequest;
use samsa::protocol::modern::messages::fetch::FetchRequest;
use samsa::protocol::modern::messages::find_coordinator::FindCoordinatorRequest;
use samsa::protocol::modern::messages::heartbeat::HeartbeatRequest;
use samsa::protocol::modern::messages::init_producer_id::InitProducerIdRequest;
use samsa::protocol::modern::messages::join_group::JoinGroupRequest;
use samsa::protocol::modern::messages::leave_group::LeaveGroupRequest;
use samsa::protocol::modern::messages::list_groups::ListGroupsRequest;
use samsa::protocol::modern::messages::list_offsets::ListOffsetsRequest;
use samsa::protocol::modern::messages::metadata::MetadataRequest;
use samsa::protocol::modern::messages::offset_commit::OffsetCommitRequest;
use samsa::protocol::modern::messages::offset_delete::OffsetDeleteRequest;
use samsa::protocol::modern::messages::offset_fetch::OffsetFetchRequest;
use samsa::protocol::modern::messages::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use samsa::protocol::modern::messages::produce::ProduceRequest;
use samsa::protocol::modern::messages::sync_group::SyncGroupRequest;
use samsa::protocol::modern::{ApiKey, Request};
use samsa::protocol::record::{BatchIter, Compression, Format};

use crate::peer::{
    PATIENCE, Peer, batch, batch_in, fetch_request, one_topic, only, produce_request, soon, stored,
};

fn named() -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: "peer".to_owned(),
        client_software_version: "1".to_owned(),
    }
}

#[test]
fn every_version_that_is_advertised_is_answered() {
    fn all<R: Request>(peer: &mut Peer, (min, max): (i16, i16), request: impl Fn(i16) -> R) {
        assert_eq!((min, max), (*R::VERSIONS.start(), *R::VERSIONS.end()));
        for version in min..=max {
            peer.ask(version, &request(version));
        }
    }
    let cluster = one_topic();
    let id = Peer::of(&cluster, 0).ask(12, &MetadataRequest::default()).topics;
    assert!(id.is_empty(), "an empty list asks for no topic");
    let mut peer = Peer::of(&cluster, 0);
    let rows = peer.ask(4, &named()).api_keys;
    assert_eq!(rows.len(), 22);
    for row in rows {
        let range = (row.min_version, row.max_version);
        match ApiKey::try_from(row.api_key).unwrap() {
            ApiKey::Produce => all(&mut peer, range, |version| {
                let format = if version < 3 { Format::V0 } else { Format::V2 };
                produce_request("t", 0, batch_in(format, Compression::None, &["x"]).bytes, 1)
            }),
            ApiKey::Fetch => all(&mut peer, range, |_| fetch_request("t", 0)),
            ApiKey::ListOffsets => all(&mut peer, range, |_| ListOffsetsRequest::default()),
            ApiKey::Metadata => all(&mut peer, range, |_| MetadataRequest::default()),
            ApiKey::FindCoordinator => all(&mut peer, range, |version| FindCoordinatorRequest {
                key: if version < 4 { "g".to_owned() } else { String::new() },
                coordinator_keys: if version < 4 { vec![] } else { vec!["g".to_owned()] },
                ..Default::default()
            }),
            ApiKey::ApiVersions => all(&mut peer, range, |_| named()),
            ApiKey::CreateTopics => all(&mut peer, range, |_| CreateTopicsRequest::default()),
            ApiKey::DeleteTopics => all(&mut peer, range, |_| DeleteTopicsRequest::default()),
            ApiKey::InitProducerId => all(&mut peer, range, |_| InitProducerIdRequest::default()),
            ApiKey::OffsetForLeaderEpoch => {
                all(&mut peer, range, |_| OffsetForLeaderEpochRequest::default());
            }
            ApiKey::OffsetCommit => all(&mut peer, range, |_| OffsetCommitRequest::default()),
            ApiKey::OffsetFetch => all(&mut peer, range, |_| OffsetFetchRequest::default()),
            ApiKey::JoinGroup => all(&mut peer, range, |_| JoinGroupRequest::default()),
            ApiKey::Heartbeat => all(&mut peer, range, |_| HeartbeatRequest::default()),
            ApiKey::LeaveGroup => all(&mut peer, range, |_| LeaveGroupRequest::default()),
            ApiKey::SyncGroup => all(&mut peer, range, |_| SyncGroupRequest::default()),
            ApiKey::DescribeGroups => all(&mut peer, range, |_| DescribeGroupsRequest::default()),
            ApiKey::ListGroups => all(&mut peer, range, |_| ListGroupsRequest::default()),
            ApiKey::DeleteGroups => all(&mut peer, range, |_| DeleteGroupsRequest::default()),
            ApiKey::OffsetDelete => all(&mut peer, range, |_| OffsetDeleteRequest::default()),
            ApiKey::ConsumerGroupHeartbeat => {
                all(&mut peer, range, |_| ConsumerGroupHeartbeatRequest::default());
            }
            ApiKey::ConsumerGroupDescribe => {
                all(&mut peer, range, |_| ConsumerGroupDescribeRequest::default());
            }
            other => panic!("{other} is advertised and not asked here"),
        }
    }
}

#[test]
fn batches_are_stored_as_sent_but_for_offset_and_leader_epoch() {
    let codecs = [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];
    let cluster = one_topic();
    cluster.set_leader_epoch("t", 0, 7).unwrap();
    let mut peer = Peer::of(&cluster, 0);
    for (round, codec) in (0..).zip(codecs) {
        let sent = batch_in(Format::V2, codec, &["a", "b", "c"]).bytes;
        let answer = peer.produce("t", sent.clone());
        assert_eq!((answer.error_code, answer.base_offset), (0, round * 3));
        let got = peer.fetch("t", round * 3 + 1).records.unwrap();
        assert_eq!(got[..8], (round * 3).to_be_bytes());
        assert_eq!(got[12..16], 7_i32.to_be_bytes());
        assert_eq!((&got[8..12], &got[16..]), (&sent[8..12], &sent[16..]), "{codec:?}");
    }
    assert_eq!(stored(&cluster, "t").len(), 15);
}

#[test]
fn messages_of_magic_0_and_1_get_an_offset_each() {
    let cases = [
        (0, Format::V0, Compression::None),
        (1, Format::V0, Compression::Gzip),
        (2, Format::V1, Compression::None),
        (2, Format::V1, Compression::Snappy),
        (2, Format::V1, Compression::Lz4),
    ];
    let cluster = one_topic();
    let mut peer = Peer::of(&cluster, 0);
    for (round, (version, format, codec)) in (0..).zip(cases) {
        let set = batch_in(format, codec, &["a", "b"]).bytes;
        let answer = peer.ask(version, &produce_request("t", 0, set, 1));
        let partition = &answer.responses[0].partition_responses[0];
        assert_eq!((partition.error_code, partition.base_offset), (0, round * 2), "{format:?}");
    }
    let offsets: Vec<_> = stored(&cluster, "t").into_iter().map(|(offset, _)| offset).collect();
    assert_eq!(offsets, (0..10).collect::<Vec<_>>());
    let old = only(peer.ask(1, &fetch_request("t", 0)));
    assert!(BatchIter::new(old.records.unwrap()).next().unwrap().is_ok());
}

#[test]
fn what_a_fetch_version_cannot_read_is_an_error_not_a_surprise() {
    let cluster = one_topic();
    let mut peer = Peer::of(&cluster, 0);
    peer.produce("t", batch_in(Format::V2, Compression::Zstd, &["x"]).bytes);
    assert_eq!(only(peer.ask(3, &fetch_request("t", 0))).error_code, 43, "magic 2 in Fetch 3");
    assert_eq!(only(peer.ask(9, &fetch_request("t", 0))).error_code, 76, "zstd in Fetch 9");
    assert_eq!(only(peer.ask(10, &fetch_request("t", 0))).error_code, 0);
    let zstd = batch_in(Format::V2, Compression::Zstd, &["x"]).bytes;
    let answer = peer.ask(6, &produce_request("t", 0, zstd, 1));
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 76, "zstd in Produce 6");
}

#[test]
fn rule_3_15_batches_that_no_producer_may_send_are_refused() {
    let cluster = one_topic();
    let mut peer = Peer::of(&cluster, 0);
    let good = batch(&["a", "b"]);
    let mut torn = good.to_vec();
    *torn.last_mut().unwrap() ^= 1;
    assert_eq!(peer.produce("t", torn.into()).error_code, 2, "checksum");
    assert_eq!(peer.produce("t", good.slice(..40)).error_code, 2, "cut");
    assert_eq!(peer.produce("t", [&good[..], &good[..]].concat().into()).error_code, 87, "two");
    let old = batch_in(Format::V1, Compression::None, &["a"]).bytes;
    assert_eq!(peer.produce("t", old).error_code, 87, "magic 1 in Produce 9");
    let mut counted = good.to_vec();
    counted[60] = 3;
    let crc = crc32c::crc32c(&counted[21..]);
    counted[17..21].copy_from_slice(&crc.to_be_bytes());
    assert_eq!(peer.produce("t", counted.into()).error_code, 87, "count");
    let mut claims = good.to_vec();
    claims[22] |= 0x08;
    let crc = crc32c::crc32c(&claims[21..]);
    claims[17..21].copy_from_slice(&crc.to_be_bytes());
    assert_eq!(peer.produce("t", claims.into()).error_code, 32, "the broker's time");
    let mut hollow = good.to_vec();
    hollow[23..27].copy_from_slice(&999_999_i32.to_be_bytes());
    hollow[57..61].copy_from_slice(&1_000_000_i32.to_be_bytes());
    let crc = crc32c::crc32c(&hollow[21..]);
    hollow[17..21].copy_from_slice(&crc.to_be_bytes());
    assert_eq!(peer.produce("t", hollow.into()).error_code, 87, "a million records in no room");
    let old = batch_in(Format::V1, Compression::None, &["a"]).bytes;
    let answer = peer.ask(2, &produce_request("t", 0, [&old[..], &good].concat().into(), 1));
    let code = answer.responses[0].partition_responses[0].error_code;
    assert_eq!(code, 87, "magic 2 behind magic 1 in Produce 2");
    let answer = peer.ask(9, &produce_request("t", 0, good.clone(), 2));
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 21, "acks=2");
    let answer = peer.ask(9, &produce_request("t", 5, good, 1));
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 3, "no such partition");
    assert_eq!(cluster.log_end_offset("t", 0).unwrap(), 0);
}

#[test]
fn a_batch_above_the_limit_is_refused() {
    let cluster = Cluster::start(1).unwrap();
    let spec = TopicSpec { message_max_bytes: Some(100), ..TopicSpec::new("t", 1) };
    cluster.create_topic_with(&spec).unwrap();
    let mut peer = Peer::of(&cluster, 0);
    assert_eq!(peer.produce("t", batch(&["x"])).error_code, 0);
    assert_eq!(peer.produce("t", batch(&["x".repeat(100).as_str()])).error_code, 10);
}

#[test]
fn acks_0_is_not_answered_and_its_errors_close_the_connection() {
    let cluster = one_topic();
    let mut peer = Peer::of(&cluster, 0);
    peer.send(9, &produce_request("t", 0, batch(&["x"]), 0));
    assert_eq!(peer.metadata(&["t"]).topics.len(), 1, "the next answer is the next request's");
    assert_eq!(cluster.log_end_offset("t", 0).unwrap(), 1);
    peer.send(9, &produce_request("t", 7, batch(&["x"]), 0));
    assert!(peer.is_closed_without_a_byte());
}

#[test]
fn the_brokers_time_replaces_the_producers_where_the_topic_says_so() {
    let cluster = Cluster::start(1).unwrap();
    let spec = TopicSpec { log_append_time: Some(true), ..TopicSpec::new("t", 1) };
    cluster.create_topic_with(&spec).unwrap();
    let mut peer = Peer::of(&cluster, 0);
    let answer = peer.produce("t", batch(&["a", "b"]));
    assert!(answer.log_append_time_ms > 1_600_000_000_000);
    let times: Vec<_> = cluster.records("t", 0).unwrap().iter().map(|r| r.timestamp).collect();
    assert_eq!(times, [answer.log_append_time_ms; 2], "and the checksum fits");
}

#[test]
fn an_idempotent_batch_is_stored_once_and_a_gap_refused() {
    let cluster = one_topic();
    let mut peer = Peer::of(&cluster, 0);
    let request = InitProducerIdRequest { transactional_id: None, ..Default::default() };
    let given = peer.ask(4, &request);
    let other = peer.ask(4, &request);
    assert_ne!(given.producer_id, other.producer_id);
    let seal = |sequence, epoch| {
        let mut batch = batch_in(Format::V2, Compression::None, &["a", "b"]);
        batch.stamp(given.producer_id, epoch, sequence, false);
        batch.bytes
    };
    let outcome = |peer: &mut Peer, sequence, epoch| {
        let answer = peer.produce("t", seal(sequence, epoch));
        (answer.error_code, answer.base_offset)
    };
    assert_eq!(outcome(&mut peer, 0, 0), (0, 0));
    assert_eq!(outcome(&mut peer, 2, 0), (0, 2));
    assert_eq!(outcome(&mut peer, 0, 0), (0, 0), "a repetition gets the first answer");
    assert_eq!(outcome(&mut peer, 5, 0), (45, -1));
    assert_eq!(outcome(&mut peer, 0, 1), (0, 4));
    assert_eq!(outcome(&mut peer, 4, 0), (47, -1));
    assert_eq!(cluster.log_end_offset("t", 0).unwrap(), 6);
}

#[test]
fn a_fetch_waits_for_data_and_for_no_longer_than_asked() {
    let cluster = one_topic();
    let mut peer = Peer::of(&cluster, 0);
    let begun = Instant::now();
    let empty = only(peer.ask(11, &FetchRequest { max_wait_ms: 50, ..fetch_request("t", 0) }));
    assert!(begun.elapsed() >= Duration::from_millis(50));
    assert_eq!((empty.error_code, empty.records.unwrap().len()), (0, 0));
    let waits = FetchRequest { max_wait_ms: 60_000, ..fetch_request("t", 0) };
    let correlation = peer.send(11, &waits);
    cluster.wait_requests(ApiKey::Fetch, 2, soon()).unwrap();
    Peer::of(&cluster, 0).produce("t", batch(&["x"]));
    let got = only(peer.receive::<FetchRequest>(11, correlation));
    assert!(begun.elapsed() < PATIENCE && !got.records.unwrap().is_empty());
}

#[test]
fn a_fetch_waits_for_as_many_bytes_as_asked() {
    let cluster = one_topic();
    let mut peer = Peer::of(&cluster, 0);
    let size = i32::try_from(batch(&["x"]).len()).unwrap();
    let waits = FetchRequest { max_wait_ms: 60_000, min_bytes: 2 * size, ..fetch_request("t", 0) };
    let correlation = peer.send(11, &waits);
    let mut other = Peer::of(&cluster, 0);
    other.produce("t", batch(&["x"]));
    assert!(peer.is_silent());
    other.produce("t", batch(&["x"]));
    let got = only(peer.receive::<FetchRequest>(11, correlation));
    assert_eq!(BatchIter::new(got.records.unwrap()).count(), 2);
}

#[test]
fn kip_74_the_first_batch_comes_whole_and_later_ones_fill_what_is_left() {
    let cluster = one_topic();
    let mut peer = Peer::of(&cluster, 0);
    for _ in 0..3 {
        peer.produce("t", batch(&["x".repeat(200).as_str()]));
    }
    let of_size = |size| {
        let mut request = fetch_request("t", 0);
        request.topics[0].partitions[0].partition_max_bytes = size;
        request
    };
    let got = |peer: &mut Peer, version, size| {
        only(peer.ask(version, &of_size(size))).records.unwrap().len()
    };
    let one = got(&mut peer, 11, 1);
    assert!(one > 200, "whole");
    let size = i32::try_from(one).unwrap();
    assert_eq!(got(&mut peer, 11, size + 10), one + 10, "cut in the second batch, as brokers do");
    let mut whole = fetch_request("t", 0);
    whole.max_bytes = 1;
    assert_eq!(only(peer.ask(11, &whole)).records.unwrap().len(), one);
}

#[test]
fn rule_3_2_before_kip_74_the_first_batch_is_cut_too() {
    let cluster = one_topic();
    let mut peer = Peer::of(&cluster, 0);
    let set = batch_in(Format::V1, Compression::None, &["x".repeat(200).as_str()]).bytes;
    peer.ask(2, &produce_request("t", 0, set, 1));
    let mut request = fetch_request("t", 0);
    request.topics[0].partitions[0].partition_max_bytes = 50;
    assert_eq!(only(peer.ask(2, &request)).records.unwrap().len(), 50);
}

#[test]
fn offsets_and_epochs_that_do_not_fit_are_refused() {
    let cluster = one_topic();
    let mut peer = Peer::of(&cluster, 0);
    peer.produce("t", batch(&["a", "b"]));
    assert_eq!(peer.fetch("t", 3).error_code, 1);
    assert_eq!(peer.fetch("t", -1).error_code, 1);
    cluster.delete_records("t", 0, 1).unwrap();
    let below = peer.fetch("t", 0);
    assert_eq!((below.error_code, below.log_start_offset), (1, 1));
    cluster.set_leader_epoch("t", 0, 5).unwrap();
    let claims = |epoch| {
        let mut request = fetch_request("t", 1);
        request.topics[0].partitions[0].current_leader_epoch = epoch;
        request
    };
    assert_eq!(only(peer.ask(11, &claims(4))).error_code, 74);
    assert_eq!(only(peer.ask(11, &claims(6))).error_code, 75);
    assert_eq!(only(peer.ask(11, &claims(5))).error_code, 0);
}

#[test]
fn kip_320_the_end_of_an_era_is_where_the_next_one_began() {
    let cluster = one_topic();
    let mut peer = Peer::of(&cluster, 0);
    peer.produce("t", batch(&["a", "b"]));
    cluster.set_leader_epoch("t", 0, 3).unwrap();
    peer.produce("t", batch(&["c"]));
    cluster.set_leader_epoch("t", 0, 5).unwrap();
    let mut ask = |leader_epoch, current_leader_epoch| {
        let partition =
            OffsetForLeaderPartition { partition: 0, current_leader_epoch, leader_epoch };
        let topic = OffsetForLeaderTopic { topic: "t".to_owned(), partitions: vec![partition] };
        let request = OffsetForLeaderEpochRequest { replica_id: -1, topics: vec![topic] };
        let mut answer = peer.ask(4, &request);
        let end = answer.topics.remove(0).partitions.remove(0);
        (end.error_code, end.leader_epoch, end.end_offset)
    };
    let ends = [0, 2, 3, 4, 5, 6].map(|epoch| ask(epoch, -1));
    let expected = [(0, 0, 2), (0, 0, 2), (0, 3, 3), (0, 3, 3), (0, 5, 3), (0, -1, -1)];
    assert_eq!(ends, expected);
    assert_eq!((ask(0, 4), ask(0, 6)), ((74, -1, -1), (75, -1, -1)));
    cluster.elect_unclean("t", 0, 0, 2).unwrap();
    assert_eq!((ask(3, -1), ask(6, -1)), ((0, 0, 2), (0, 6, 2)));
}

#[test]
fn kip_320_a_log_that_was_truncated_says_where_it_parted() {
    let cluster = one_topic();
    let mut peer = Peer::of(&cluster, 0);
    peer.produce("t", batch(&["a", "b"]));
    cluster.set_leader_epoch("t", 0, 1).unwrap();
    peer.produce("t", batch(&["lost"]));
    cluster.truncate("t", 0, 2).unwrap();
    cluster.set_leader_epoch("t", 0, 2).unwrap();
    let mut request = fetch_request("t", 2);
    request.topics[0].partitions[0].last_fetched_epoch = 1;
    let parted = only(peer.ask(12, &request)).diverging_epoch;
    assert_eq!((parted.epoch, parted.end_offset), (0, 2));
}

#[test]
fn topic_ids_take_the_place_of_names() {
    let cluster = one_topic();
    let mut peer = Peer::of(&cluster, 0);
    let id = peer.ask(10, &all_topics()).topics[0].topic_id;
    let mut produce = produce_request("", 0, batch(&["x"]), 1);
    produce.topic_data[0].topic_id = id;
    let answer = peer.ask(13, &produce);
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    assert_eq!(answer.responses[0].topic_id, id);
    let mut fetch = fetch_request("", 0);
    fetch.topics[0].topic_id = id;
    assert!(!only(peer.ask(18, &fetch)).records.unwrap().is_empty());
    fetch.topics[0].topic_id.0[0] ^= 1;
    assert_eq!(only(peer.ask(18, &fetch)).error_code, 100);
}

fn all_topics() -> MetadataRequest {
    MetadataRequest { topics: None, ..MetadataRequest::default() }
}

#[test]
fn offsets_are_found_by_kind_and_by_time() {
    let cluster = one_topic();
    let mut peer = Peer::of(&cluster, 0);
    peer.produce("t", batch(&["a", "b", "c"]));
    peer.produce("t", batch_in(Format::V2, Compression::Lz4, &["d", "e"]).bytes);
    let mut offset = |version, when| {
        let found = peer.offset(version, "t", when);
        (found.offset, found.timestamp)
    };
    assert_eq!(offset(1, -1), (5, -1));
    assert_eq!(offset(1, -2), (0, -1));
    assert_eq!(offset(7, -3), (2, 1_002), "the largest timestamp");
    assert_eq!(offset(8, -4), (0, -1));
    assert_eq!(offset(9, -5), (-1, -1));
    assert_eq!(offset(4, 1_001), (1, 1_001));
    assert_eq!(offset(4, 5_000), (-1, -1), "nothing so late");
    let old = peer.offset(0, "t", -1);
    assert_eq!(old.old_style_offsets, [5]);
}

#[test]
fn topics_are_made_described_and_forgotten() {
    let cluster = Cluster::start(3).unwrap();
    let mut peer = Peer::of(&cluster, 1);
    let topic = |name: &str, partitions, factor| CreatableTopic {
        name: name.to_owned(),
        num_partitions: partitions,
        replication_factor: factor,
        ..Default::default()
    };
    let topics = vec![topic("a", 4, 2), topic("b", 0, 1), topic("c", 1, 9), topic("d/", 1, 1)];
    let request = CreateTopicsRequest { topics, ..Default::default() };
    let codes: Vec<_> = peer.ask(5, &request).topics.iter().map(|t| t.error_code).collect();
    assert_eq!(codes, [0, 37, 38, 17]);
    assert_eq!(peer.ask(5, &request).topics[0].error_code, 36);
    let described = peer.metadata(&["a"]);
    assert_eq!(described.brokers.len(), 3);
    let partitions = &described.topics[0].partitions;
    let leaders: Vec<_> = partitions.iter().map(|p| p.leader_id).collect();
    assert_eq!(leaders, [0, 1, 2, 0]);
    assert_eq!(partitions[1].replica_nodes, [1, 2]);
    let request = DeleteTopicsRequest {
        topic_names: vec!["a".to_owned(), "zz".to_owned()],
        ..Default::default()
    };
    let codes: Vec<_> = peer.ask(3, &request).responses.iter().map(|r| r.error_code).collect();
    assert_eq!(codes, [0, 3]);
    let by_id = DeleteTopicState { name: None, ..Default::default() };
    let request = DeleteTopicsRequest { topics: vec![by_id], ..Default::default() };
    assert_eq!(peer.ask(6, &request).responses[0].error_code, 100);
}

#[test]
fn a_topic_is_made_when_it_is_asked_for_unless_client_or_broker_forbid_it() {
    let options = Options { default_partitions: 3, ..Options::default() };
    let cluster = Cluster::start_with(options).unwrap();
    let mut peer = Peer::of(&cluster, 0);
    assert_eq!(peer.metadata(&["made"]).topics[0].partitions.len(), 3);
    let mut forbids = MetadataRequest { allow_auto_topic_creation: false, ..Default::default() };
    forbids.topics = Some(vec![Default::default()]);
    forbids.topics.as_mut().unwrap()[0].name = Some("not-made".to_owned());
    assert_eq!(peer.ask(9, &forbids).topics[0].error_code, 3);
    cluster.set("auto.create.topics.enable", "false").unwrap();
    assert_eq!(peer.metadata(&["not-made"]).topics[0].error_code, 3);
    assert_eq!(peer.metadata(&["bad name"]).topics[0].error_code, 3);
    cluster.set_cluster_id("another");
    assert_eq!(peer.metadata(&[]).cluster_id.as_deref(), Some("another"));
}

#[test]
fn requests_in_flight_are_answered_in_their_order() {
    let cluster = one_topic();
    let mut peer = Peer::of(&cluster, 0);
    let request = produce_request("t", 0, batch(&["x"]), 1);
    let sent: Vec<_> = (0..200).map(|_| peer.send(9, &request)).collect();
    for (offset, correlation) in (0..).zip(sent) {
        let answer = peer.receive::<ProduceRequest>(9, correlation);
        assert_eq!(answer.responses[0].partition_responses[0].base_offset, offset);
    }
}

#[test]
fn retention_bounds_what_is_kept() {
    let cluster = Cluster::start(1).unwrap();
    cluster.set("log.retention.bytes", "5000").unwrap();
    cluster.create_topic("t", 1).unwrap();
    let mut peer = Peer::of(&cluster, 0);
    for _ in 0..50 {
        peer.produce("t", batch(&["x".repeat(1_000).as_str()]));
    }
    assert_eq!(cluster.log_end_offset("t", 0).unwrap(), 50);
    let start = cluster.log_start_offset("t", 0).unwrap();
    assert!((45..50).contains(&start), "{start}");
    assert_eq!(peer.offset(4, "t", -2).offset, start);
}

#[test]
fn what_is_no_request_ends_the_connection() {
    let cluster = one_topic();
    let frame = |body: &[u8]| {
        let length = i32::try_from(body.len()).unwrap().to_be_bytes();
        [&length[..], body].concat()
    };
    let cases = [
        (frame(&[0, 99, 0, 0, 0, 0, 0, 1, 255, 255]), "an API that nobody knows"),
        (frame(&[0, 3, 0, 99, 0, 0, 0, 1, 255, 255]), "a version that nobody knows"),
        (frame(&[0, 3, 0, 1, 0, 0, 0, 1, 0, 1, b'p', 127, 255, 255, 255]), "a body cut short"),
        (frame(&[0, 3, 0, 1, 0, 0, 0, 1, 127, 255]), "a client id cut short"),
        (frame(&[1, 2, 3]), "a head cut short"),
        (frame(&[]), "nothing"),
        (vec![255, 255, 255, 255], "a negative length"),
        (vec![127, 255, 255, 255], "a length of 2 GB"),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "a browser"),
    ];
    for (bytes, what) in cases {
        let mut peer = Peer::of(&cluster, 0);
        peer.write(&bytes);
        assert!(peer.is_closed_without_a_byte(), "{what}");
    }
    assert_eq!(Peer::of(&cluster, 0).metadata(&["t"]).topics.len(), 1);
}

#[test]
fn every_truncation_of_a_request_is_survived() {
    let cluster = one_topic();
    let request = produce_request("t", 0, batch(&["x"]), 1);
    let frame =
        samsa::protocol::modern::header::encode_request(9, 1, "peer", &request).unwrap().concat();
    for end in 4..frame.len() {
        let mut cut = frame[..end].to_vec();
        cut[..4].copy_from_slice(&i32::try_from(end - 4).unwrap().to_be_bytes());
        let mut peer = Peer::of(&cluster, 0);
        peer.write(&cut);
        assert!(peer.is_closed_without_a_byte(), "{end} of {} bytes", frame.len());
    }
    assert_eq!(cluster.log_end_offset("t", 0).unwrap(), 0);
}

#[test]
fn batches_written_behind_the_protocols_back_are_served_as_they_are() {
    let cluster = one_topic();
    let mut raw = batch(&["a", "b"]).to_vec();
    raw[..8].copy_from_slice(&10_i64.to_be_bytes());
    raw[12..16].copy_from_slice(&0_i32.to_be_bytes());
    *raw.last_mut().unwrap() ^= 1;
    cluster.append_raw("t", 0, &raw).unwrap();
    assert_eq!(cluster.log_end_offset("t", 0).unwrap(), 12);
    let got = Peer::of(&cluster, 0).fetch("t", 0).records.unwrap();
    assert_eq!(got, raw);
    assert!(cluster.records("t", 0).is_err(), "its checksum does not fit");
    assert_eq!(cluster.batches("t", 0).unwrap().len(), 1);
}

#[test]
fn what_was_asked_is_remembered() {
    let cluster = one_topic();
    let mut peer = Peer::of(&cluster, 0);
    peer.metadata(&["t"]);
    peer.fetch("t", 0);
    let seen: Vec<_> = cluster.history().iter().map(|r| (r.api, r.version)).collect();
    assert_eq!(seen, [(3, 9), (1, 11)]);
    assert_eq!(cluster.history()[0].client_id, "peer");
    assert_eq!(cluster.requests(ApiKey::Metadata), 1);
}
