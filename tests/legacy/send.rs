//! Sending: batches through the accumulator, outcomes read later.

use std::collections::BTreeSet;
use std::sync::Arc;

use samsa::Code;
use samsa::config::Config;
use samsa::embedded::legacy::{Fault, FaultKind};
use samsa::error::Persistence;
use samsa::producer::{CustomPartitioner, Delivery, Producer, PurgeWhat, Record};
use samsa::protocol::legacy::RequestId;

use super::rig::{Rig, known, producer, soon, wait_until};

/// Every outcome, once all are there.
fn outcomes(producer: &Producer, count: usize) -> Vec<Delivery> {
    let mut found = Vec::new();
    while found.len() < count {
        found.extend(producer.poll(20_000).expect("outcomes").iter());
    }
    found
}

#[test]
fn every_record_has_one_outcome_and_is_written_once_while_nothing_fails() {
    let rig = Rig::start(2, 2);
    let cluster = rig.open(&[("linger.ms", "2")]);
    let topic = known(&cluster, "t");
    let producer = producer(&cluster);
    let values: Vec<String> = (0..5_000).map(|number| number.to_string()).collect();
    for (mark, value) in (1..).zip(&values) {
        producer.send(&Record::new(&topic, value.as_bytes()).with_opaque(mark), -1).unwrap();
    }
    assert_eq!(producer.flush(20_000, None).0, 0);
    let told = outcomes(&producer, 5_000);
    let marks: BTreeSet<u64> = told.iter().map(|delivery| delivery.opaque).collect();
    assert_eq!((told.len(), marks.len()), (5_000, 5_000));
    let plain = |delivery: &Delivery| {
        let known = (delivery.status, delivery.code, delivery.offset, delivery.timestamp);
        known == (Persistence::Persisted, Code::NONE, -1, -1)
    };
    assert!(told.iter().all(plain));
    let mut written = rig.all_messages("t");
    written.sort_by_key(|value| value.parse::<u32>().unwrap());
    assert_eq!(written, values);
}

#[test]
fn order_is_kept_within_a_partition() {
    let rig = Rig::start(1, 1);
    let cluster = rig.open(&[("batch.size", "200"), ("linger.ms", "0")]);
    let topic = known(&cluster, "t");
    let producer = producer(&cluster);
    let values: Vec<String> = (0..2_000).map(|number| number.to_string()).collect();
    for value in &values {
        producer.send(&Record::new(&topic, value.as_bytes()).with_key(b"k"), -1).unwrap();
    }
    producer.flush(20_000, None).1.unwrap();
    assert_eq!(rig.messages(0, "t", 0), values);
}

#[test]
fn a_key_goes_to_the_same_partition_from_every_process_that_sees_the_same_registry() {
    let rig = Rig::start(3, 2);
    (0..3).for_each(|broker| rig.register_topic("t", broker, 2));
    let place = |partitioner: &str, key: &str| {
        let cluster = rig.open(&[("partitioner", partitioner)]);
        let topic = known(&cluster, "t");
        let producer = producer(&cluster);
        producer.send(&Record::new(&topic, b"m").with_key(key.as_bytes()), -1).unwrap();
        producer.flush(20_000, None).1.unwrap();
        let partition = outcomes(&producer, 1)[0].partition;
        cluster.close(Some(soon())).unwrap();
        partition
    };
    for partitioner in ["default", "hashing"] {
        let keys = ["a", "b", "c", "d"];
        let first: Vec<_> = keys.iter().map(|key| place(partitioner, key)).collect();
        let again: Vec<_> = keys.iter().map(|key| place(partitioner, key)).collect();
        assert_eq!(first, again, "{partitioner}");
        assert!(first.iter().collect::<BTreeSet<_>>().len() > 1, "{first:?}");
    }
    // murmur2("a") & 0x7fffffff = 1787518, and 1787518 % 6 = 4: the fifth partition in order.
    let fifth = samsa::producer::partitioner::keyed(b"a", 6);
    let numbers = [0, 1, 1 << 32, 1 << 32 | 1, 2 << 32, 2 << 32 | 1_i64];
    assert_eq!(place("default", "a"), numbers[fifth as usize]);
}

#[test]
fn random_falls_on_every_partition_and_a_function_of_the_application_decides_by_place() {
    let rig = Rig::start(2, 2);
    (0..2).for_each(|broker| rig.register_topic("t", broker, 2));
    let cluster = rig.open(&[("partitioner", "random")]);
    let topic = known(&cluster, "t");
    let random = producer(&cluster);
    for _ in 0..200 {
        random.send(&Record::new(&topic, b"m").with_key(b"one key"), -1).unwrap();
    }
    random.flush(20_000, None).1.unwrap();
    for (broker, number) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        assert!(!rig.messages(broker, "t", number).is_empty(), "{broker}-{number}");
    }
    let mut config = Config::new();
    config.attach(Arc::new(CustomPartitioner::new(|record, partitions| {
        assert_eq!(partitions, 4);
        record.value.map(|value| value.len() as i64)
    })));
    let own = Producer::new(&cluster, Some(&config)).unwrap();
    own.send(&Record::new(&topic, b"123"), -1).unwrap();
    own.flush(20_000, None).1.unwrap();
    assert_eq!(outcomes(&own, 1)[0].partition, 1 << 32 | 1, "the fourth of broker and number");
    let error = own.send(&Record::new(&topic, b"1234"), -1).unwrap_err();
    assert_eq!(error.code(), Code::INVALID_ARGUMENT);
}

#[test]
fn purge_and_close_give_every_record_its_outcome_though_the_broker_is_silent() {
    let rig = Rig::start(2, 1);
    let cluster = rig.open(&[("linger.ms", "0")]);
    let topic = known(&cluster, "t");
    rig.brokers.inject(Fault::new(FaultKind::Silence).times(u32::MAX));
    let producer = producer(&cluster);
    for mark in 1..=50 {
        producer.send(&Record::new(&topic, b"m").with_opaque(mark), -1).unwrap();
    }
    let requests = |broker| rig.brokers.requests(broker, RequestId::Produce).unwrap();
    let _ = requests;
    wait_until("something is in flight", || rig.brokers.connections(None) > 0);
    let purged = producer.purge(PurgeWhat { queued: true, in_flight: true }).unwrap();
    assert_eq!(purged, 50);
    producer.send(&Record::new(&topic, b"last").with_opaque(51), -1).unwrap();
    let error = producer.close(50, None).unwrap_err();
    assert_eq!(error.code(), Code::TIMED_OUT);
    let marks: BTreeSet<u64> = outcomes(&producer, 51).iter().map(|told| told.opaque).collect();
    assert_eq!(marks, (1..=51).collect());
}

#[test]
fn kept_records_are_those_that_were_sent() {
    for codec in ["none", "gzip"] {
        let rig = Rig::start(1, 1);
        let properties =
            [("samsa.delivery.keep", "true"), ("compression.type", codec), ("linger.ms", "50")];
        let cluster = rig.open(&properties);
        let topic = known(&cluster, "t");
        let producer = producer(&cluster);
        for value in ["one", "two", ""] {
            producer.send(&Record::new(&topic, value.as_bytes()), -1).unwrap();
        }
        producer.flush(20_000, None).1.unwrap();
        let told = producer.poll(20_000).unwrap();
        let value = |index| told.record(index).unwrap().value.unwrap().to_vec();
        assert_eq!([value(0), value(1), value(2)], [&b"one"[..], b"two", b""], "{codec}");
    }
}

#[test]
fn a_topic_that_was_idle_is_taken_up_again() {
    let rig = Rig::start(1, 1);
    let cluster = rig.open(&[("metadata.max.idle.ms", "5000")]);
    let topic = cluster.topic("t").unwrap();
    let producer = producer(&cluster);
    for value in ["one", "two"] {
        producer.send(&Record::new(&topic, value.as_bytes()), -1).unwrap();
        producer.flush(20_000, None).1.unwrap();
    }
    assert_eq!(rig.messages(0, "t", 0), ["one", "two"]);
}
