//! samsa's own tests, as far as they are no other module's: docs/heritage.md has the list.

use std::time::{Duration, Instant};

use samsa::Code;
use samsa::cluster::Cluster;
use samsa::consumer::{Consumer, Position};
use samsa::embedded::legacy::Options;
use samsa::producer::{Producer, Record};

use super::consume_rig::{
    self, TOPIC, assert_quiet, place, place_in, position, read, set, values, wrapped,
};
use super::rig::{Rig, known, partitions, publisher, soon, wait_until};

/// The words of an error and of its causes.
fn open_within(rig: &Rig, within: Duration) -> (Code, String) {
    let cluster = Cluster::open(&rig.config(&[])).expect("open does not wait");
    let error = cluster.wait_ready(Some(Instant::now() + within)).expect_err("nobody is there");
    (error.code(), error.to_string())
}

#[test]
fn samsa_a_zookeeper_that_does_not_answer_is_an_error_that_names_it() {
    let rig = Rig::start(1, 1);
    rig.zookeeper.stop();
    let (code, text) = open_within(&rig, Duration::from_millis(500));
    assert_eq!(code, Code::TIMED_OUT);
    assert!(text.contains("ZooKeeper") && text.contains(&rig.zookeeper.address()), "{text}");
}

#[test]
fn samsa_a_zookeeper_without_brokers_is_an_error_that_says_so() {
    let rig = Rig::start(1, 1);
    rig.unregister(0);
    rig.zookeeper.delete("/brokers/topics").expect("it was empty");
    rig.zookeeper.delete("/brokers/ids").expect("it was empty");
    let (code, text) = open_within(&rig, Duration::from_millis(500));
    assert_eq!(code, Code::TIMED_OUT);
    assert!(text.contains("no broker is known") && text.contains("none is registered"), "{text}");
    // What comes later is seen, the path with it.
    let cluster = Cluster::open(&rig.config(&[])).expect("opened");
    rig.register(0);
    cluster.wait_ready(Some(soon())).expect("found");
}

#[test]
fn samsa_a_broker_is_registered_as_creator_host_and_port() {
    let rig = Rig::start(1, 1);
    let data = b"some.host-1795250037452:10.1.2.3:29092";
    rig.zookeeper.ensure("/brokers/ids/7", data).expect("registered");
    rig.zookeeper.ensure("/brokers/ids/8", b"no broker at all").expect("made");
    let cluster = rig.open(&[]);
    wait_until("both", || cluster.metadata().brokers.len() == 2);
    let broker = cluster.metadata().brokers[&7].clone();
    assert_eq!((&*broker.host, broker.port), ("10.1.2.3", 29092));
}

#[test]
fn samsa_brokers_of_5_2_and_4_partitions_are_11_for_who_publishes() {
    let rig = Rig::start(3, 5);
    for (broker, count) in [(0, 5), (1, 2), (2, 4)] {
        rig.register_topic("t", broker, count);
    }
    let cluster = rig.open(&[]);
    let seen = partitions(&known(&cluster, "t"));
    assert_eq!(seen.len(), 11);
    assert!(seen.is_sorted() && seen.iter().all(|(_, _, is_virtual)| !is_virtual), "{seen:?}");
}

#[test]
fn samsa_one_message_and_three_are_published_and_read_back() {
    let rig = consume_rig::Rig::new(1, 1);
    let topic = known(&rig.cluster, TOPIC);
    let publisher = publisher(&rig.cluster);
    let publish = |payloads: &[&str]| {
        let records: Vec<_> =
            payloads.iter().map(|payload| Record::new(&topic, payload.as_bytes())).collect();
        publisher.publish(&records, Some(soon())).expect("published");
    };
    publish(&["hello!"]);
    publish(&["one", "two", "three"]);
    let consumer = rig.reader(&[place(0, 0)]);
    assert_eq!(read(&consumer, 4), ["hello!", "one", "two", "three"]);
}

/// A message of magic 0, as samsa wrote them.
fn old(payload: &str) -> Vec<u8> {
    let mut out = (5 + payload.len() as u32).to_be_bytes().to_vec();
    out.push(0);
    out.extend_from_slice(&crc32fast::hash(payload.as_bytes()).to_be_bytes());
    out.extend_from_slice(payload.as_bytes());
    out
}

#[test]
fn samsa_messages_of_magic_0_and_1_are_read_with_payload_and_place() {
    let rig = consume_rig::Rig::new(1, 1);
    // samsa's own vector: 15 bytes for six of payload.
    assert_eq!(old("hello!")[..9], [0, 0, 0, 11, 0, 0x9a, 0x86, 0xc9, 0x60]);
    rig.append(0, 0, &old("hello!"));
    rig.append(0, 0, &[set(&["two"]), old("three")].concat());
    let consumer = rig.reader(&[place(0, 0)]);
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let batch = consumer.poll(30_000).expect("messages");
        let places = batch.iter().map(|record| (record.offset(), record.next_offset()));
        seen.extend(values(&batch).into_iter().zip(places));
    }
    let expected = [("hello!", (0, 15)), ("two", (15, 28)), ("three", (28, 42))];
    assert_eq!(seen, expected.map(|(value, place)| (value.to_owned(), place)));
}

#[test]
fn samsa_two_topics_are_published_at_once() {
    let rig = Rig::start(1, 1);
    let cluster = rig.open(&[]);
    let topics = [known(&cluster, "first"), known(&cluster, "second")];
    let producer = Producer::new(&cluster, None).expect("a producer");
    for value in ["one", "two", "three"] {
        for topic in &topics {
            producer.send(&Record::new(topic, value.as_bytes()), -1).expect("accepted");
        }
    }
    producer.flush(20_000, None).1.expect("outcomes");
    for topic in ["first", "second"] {
        assert_eq!(rig.messages(0, topic, 0), ["one", "two", "three"], "{topic}");
    }
}

/// Reads one message; where the partition goes on.
fn step(consumer: &Consumer, place: &Position) -> i64 {
    drop(consumer.next(30_000).expect("a message"));
    position(consumer, place).expect("known")
}

#[test]
fn samsa_a_consumer_reads_what_was_published_its_offset_grows_and_it_is_empty_then() {
    let rig = consume_rig::Rig::new(1, 1);
    rig.write(0, 0, &["one", "two", "three"]);
    let consumer = rig.reader(&[place(0, 0)]);
    let offsets = [0; 3].map(|_| step(&consumer, &place(0, 0)));
    assert_eq!(offsets, [13, 26, 41]);
    assert!(consumer.is_empty().expect("open"));
    rig.append(0, 0, &wrapped(&["four"], samsa::protocol::record::Compression::Gzip));
    wait_until("something", || !consumer.is_empty().expect("open"));
    assert!(step(&consumer, &place(0, 0)) > 41 && consumer.is_empty().expect("open"));
}

#[test]
fn samsa_a_consumer_of_an_empty_topic_is_empty() {
    let rig = consume_rig::Rig::with(Options::default(), &[]);
    let consumer = rig.reader(&[place_in("nobody-wrote-here", 0, 0)]);
    assert!(consumer.is_empty().expect("open"));
    assert_quiet(&consumer);
    assert!(consumer.is_empty().expect("open"));
}
