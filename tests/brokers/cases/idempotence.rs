//! What the brokers' logs hold of an idempotent producer: one id, and sequences without gap, also after
//! the broker forgot the producer with its records.

use std::time::{Duration, Instant};

use samsa::cluster::Cluster;
use samsa::net::Purpose;
use samsa::producer::{Producer, Record};
use samsa::protocol::modern::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use samsa::protocol::record::{BatchIter, RawBatch};

use crate::ground::Ground;
use crate::harness::topics;
use crate::ours;

const PARTITIONS: i32 = 3;
const RECORDS: u64 = 3_000;

/// Several small batches of each partition are in flight; what is stored is numbered without gap.
pub fn sequences_are_stored_without_gap(ground: &Ground) {
    let topic = ground.topic("sequences");
    topics::create(ground, &topic, PARTITIONS, 1, &[]);
    let options = [("enable.idempotence", "true"), ("batch.size", "500"), ("linger.ms", "1")];
    let cluster = ours::open(&ground.address, &options).expect("the brokers");
    let producer = Producer::new(&cluster, None).expect("a producer");
    send(&cluster, &producer, &topic, RECORDS);
    let mut ids = Vec::new();
    for partition in 0..PARTITIONS {
        let mut next = 0;
        for batch in batches(&cluster, &topic, partition, 0) {
            assert_eq!((batch.producer_epoch, batch.base_sequence), (0, next));
            next += i32::try_from(batch.count.expect("a count")).expect("few");
            ids.push(batch.producer_id);
        }
        assert_eq!(u64::try_from(next).expect("many"), RECORDS / 3);
    }
    ids.dedup();
    assert!(ids.len() == 1 && ids[0] >= 0, "{ids:?}");
}

/// Rule 5.15: every record is deleted, and before 2.5 the broker's memory of the producer with them.
pub fn a_producer_outlives_its_deleted_records(ground: &Ground) {
    let topic = ground.topic("deleted");
    topics::create(ground, &topic, PARTITIONS, 1, &[]);
    let options = [("enable.idempotence", "true"), ("linger.ms", "50")];
    let cluster = ours::open(&ground.address, &options).expect("the brokers");
    let producer = Producer::new(&cluster, None).expect("a producer");
    send(&cluster, &producer, &topic, 30);
    topics::delete_records(ground, &topic, 0, 10);
    send(&cluster, &producer, &topic, 30);
    for partition in 0..PARTITIONS {
        let deleted = partition == 0;
        let stored = batches(&cluster, &topic, partition, if deleted { 10 } else { 0 });
        let last = stored.last().expect("a batch");
        assert_eq!(last.next_offset(), 20, "nothing is lost or twice in {partition}");
        // Another partition does not notice.
        let forgot = deleted && !ground.release.since(2, 5);
        let expected = if forgot { (1, 0) } else { (0, 10) };
        assert_eq!((last.producer_epoch, last.base_sequence), expected, "{partition}");
    }
}

fn send(cluster: &Cluster, producer: &Producer, topic: &str, records: u64) {
    let topic = cluster.topic(topic).expect("a topic");
    for number in 0..records {
        let partition = i32::try_from(number % 3).expect("few");
        let record = Record::new(&topic, b"a value of twenty bytes").to_partition(partition);
        producer.send(&record, 60_000).expect("accepted");
    }
    let (failed, flushed) = producer.flush(60_000, None);
    flushed.expect("flushed");
    assert_eq!(failed, 0);
}

/// The batches of a partition from `offset` on, as its broker stored them.
fn batches(cluster: &Cluster, topic: &str, partition: i32, offset: i64) -> Vec<RawBatch> {
    let broker = cluster.any_broker().expect("the broker");
    let runtime = cluster.runtime();
    let (mut offset, mut all) = (offset, Vec::new());
    loop {
        let request = FetchRequest {
            max_wait_ms: 200,
            min_bytes: 1,
            topics: vec![FetchTopic {
                topic: topic.to_owned(),
                partitions: vec![FetchPartition {
                    partition,
                    fetch_offset: offset,
                    partition_max_bytes: 10_000_000,
                    ..FetchPartition::default()
                }],
                ..FetchTopic::default()
            }],
            ..FetchRequest::default()
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        let answer = broker.request(Purpose::Fetch, &request, deadline);
        let response = runtime.handle().block_on(answer).expect("an answer");
        let partition = &response.responses[0].partitions[0];
        assert_eq!(partition.error_code, 0);
        let Some(bytes) = partition.records.clone().filter(|bytes| !bytes.is_empty()) else {
            return all;
        };
        for batch in BatchIter::new(bytes).filter_map(Result::ok) {
            offset = batch.next_offset();
            all.push(batch);
        }
    }
}
