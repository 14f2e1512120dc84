//! Topics that are subscribed to and are not there.

use std::sync::Arc;
use std::time::Instant;

use samsa::Code;
use samsa::consumer::{Consumer, Name, Position};
use samsa::embedded::Options;
use samsa::protocol::record::Compression;

use crate::rig::{Rig, assert_code, batch, deadline, place, poll_error, read};

/// The memberships at a coordinator.
const MEMBERSHIPS: [&str; 2] = ["classic", "consumer"];

/// Brokers that make no topic for being asked, and metadata that is soon too old.
fn rig(creating: bool) -> Rig {
    let options = Options { auto_create_topics: creating, ..Options::default() };
    Rig::with(options, 1)
}

/// Polls until an error comes.
fn told(consumer: &Consumer) -> samsa::Error {
    let limit = deadline();
    loop {
        assert!(Instant::now() < limit, "nothing was told");
        match consumer.poll(100) {
            Ok(_) => {}
            Err(error) if error.code() == Code::NOTHING => {}
            Err(error) => return error,
        }
    }
}

fn member(rig: &Rig, protocol: &str, topics: &[&str]) -> Arc<Consumer> {
    let consumer = rig.consumer(&[("group.id", "g"), ("group.protocol", protocol)]);
    consumer.subscribe(topics).unwrap();
    consumer
}

#[test]
fn rule_13_7_a_member_hears_once_that_a_topic_does_not_exist_and_reads_it_when_it_is_made() {
    for protocol in MEMBERSHIPS {
        let rig = rig(false);
        let consumer = member(&rig, protocol, &["t", "u"]);
        let error = told(&consumer);
        assert_eq!(error.code(), Code::UNKNOWN_TOPIC_OR_PARTITION, "{error}");
        assert_eq!(error.topic(), Some("u"));
        rig.write(0, 1);
        assert_eq!(read(&consumer, 1)[&0], [0], "the others are read, and it is told once");
        assert_code(consumer.poll(300), Code::NOTHING);
        consumer.close(20_000).unwrap();
    }
}

#[test]
fn rule_13_7_a_reader_of_a_whole_topic_hears_that_it_does_not_exist() {
    let rig = rig(false);
    let topic = rig.cluster.topic("u").unwrap();
    let consumer = Consumer::of_topic(&rig.cluster, &topic, None, false, None).unwrap();
    let error = poll_error(&consumer);
    assert_eq!(error.code(), Code::UNKNOWN_TOPIC_OR_PARTITION, "{error}");
    assert_eq!(error.topic(), Some("u"));
    assert_code(consumer.poll(300), Code::NOTHING);
}

/// A consumer of partition 0 of the topic "u", which brokers say they do not know.
fn assigned_to_nothing(rig: &Rig) -> Arc<Consumer> {
    let consumer = rig.consumer(&[]);
    let name = Name::new("u").unwrap();
    consumer.assign(&[Position::new(name, 0)]).unwrap();
    let (topic, limit) = (rig.cluster.topic("u").unwrap(), deadline());
    while topic.metadata().is_none_or(|known| known.error.is_none()) {
        assert!(Instant::now() < limit, "no broker was asked");
        std::thread::yield_now();
    }
    consumer
}

#[test]
fn rule_1_15_a_partition_by_hand_of_a_topic_that_spreads_slowly_is_read_without_an_error() {
    let rig = rig(false);
    let consumer = assigned_to_nothing(&rig);
    assert_code(consumer.poll(50), Code::NOTHING);
    rig.kafka.create_topic("u", 1).unwrap();
    rig.kafka.append_raw("u", 0, &batch(0, 1, Compression::None)).unwrap();
    assert_eq!(read(&consumer, 1)[&0], [0]);
}

#[test]
fn rule_13_7_a_partition_by_hand_of_a_topic_that_does_not_exist_says_so_once() {
    let rig = rig(false);
    let consumer = assigned_to_nothing(&rig);
    let error = told(&consumer);
    assert_eq!(error.code(), Code::UNKNOWN_TOPIC_OR_PARTITION, "{error}");
    assert_eq!(error.topic(), Some("u"));
    rig.cluster.refresh_now("a test looks");
    assert_code(consumer.poll(300), Code::NOTHING);
}

#[test]
fn rule_1_15_a_topic_that_is_deleted_is_given_up_and_told_and_not_made_again() {
    // Each takes the time of the doubt.
    std::thread::scope(|scope| {
        for protocol in MEMBERSHIPS {
            scope.spawn(move || deleted(protocol));
        }
    });
}

fn deleted(protocol: &str) {
    let rig = rig(true);
    rig.kafka.create_topic("u", 1).unwrap();
    let consumer = member(&rig, protocol, &["t", "u"]);
    rig.write(0, 1);
    assert_eq!(read(&consumer, 1)[&0], [0]);
    rig.kafka.delete_topic("u").unwrap();
    // A broker's word counts after a long doubt.
    let limit = deadline() + std::time::Duration::from_secs(20);
    let error = loop {
        rig.cluster.refresh("a test looks");
        match consumer.poll(50) {
            Err(error) if error.code() != Code::NOTHING => break error,
            _ => assert!(Instant::now() < limit, "nothing was told"),
        }
    };
    assert_eq!((error.code(), error.topic()), (Code::UNKNOWN_TOPIC_OR_PARTITION, Some("u")));
    let owned = || consumer.assignment().unwrap().len();
    while owned() > 1 {
        assert!(Instant::now() < limit, "it is not given up");
        let _ = consumer.poll(20);
    }
    rig.write(0, 1);
    assert_eq!(read(&consumer, 1)[&0], [1], "told once; what is there is read on");
    assert!(rig.kafka.log_end_offset("u", 0).is_err(), "nobody made it again");
    consumer.close(20_000).unwrap();
}

#[test]
fn a_closed_consumer_wants_no_topic_any_more() {
    let rig = rig(false);
    let consumer = rig.consumer(&[]);
    consumer.assign(&[place(0)]).unwrap();
    rig.write(0, 1);
    assert_eq!(read(&consumer, 1)[&0], [0]);
    let topic = rig.cluster.topic("t").unwrap();
    assert!(topic.metadata().is_some());
    consumer.close(0).unwrap();
    let limit = deadline();
    while topic.metadata().is_some() {
        assert!(Instant::now() < limit, "its metadata is kept fresh for nobody");
        std::thread::yield_now();
    }
}
