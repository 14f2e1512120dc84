//! Publishing: one message or a list, waited for.

use std::time::{Duration, Instant};

use samsa::Code;
use samsa::embedded::legacy::{Fault, FaultKind, Options};
use samsa::error::Persistence;
use samsa::producer::Record;
use samsa::protocol::legacy::RequestId;

use super::rig::{Rig, known, publisher, soon, wait_until};

#[test]
fn a_message_is_with_the_broker_when_publish_returns_and_its_offset_is_not_known() {
    let rig = Rig::start(1, 1);
    let cluster = rig.open(&[]);
    let topic = known(&cluster, "t");
    let outcome = publisher(&cluster).publish(&[Record::new(&topic, b"hello!")], Some(soon()));
    assert_eq!(outcome.unwrap(), (0, -1));
    assert_eq!(rig.messages(0, "t", 0), ["hello!"]);
    assert_eq!(rig.brokers.requests(0, RequestId::Offsets).unwrap(), 1, "the barrier");
}

#[test]
fn a_topic_is_made_by_writing_to_it() {
    let rig = Rig::start(2, 2);
    let cluster = rig.open(&[]);
    let topic = cluster.topic("new").unwrap();
    let publish = |value: &str| {
        let record = Record::new(&topic, value.as_bytes()).to_partition(1_i64 << 32);
        publisher(&cluster).publish(&[record], Some(soon())).unwrap()
    };
    assert_eq!(publish("first"), (1 << 32, -1), "to a virtual partition");
    assert!(rig.brokers.has_topic(1, "new").unwrap() && !rig.brokers.has_topic(0, "new").unwrap());
}

#[test]
fn names_that_only_0_7_allows_are_topics_there() {
    let rig = Rig::start(1, 1);
    let cluster = rig.open(&[]);
    let topic = known(&cluster, "tö … 1");
    publisher(&cluster).publish(&[Record::new(&topic, b"m")], Some(soon())).unwrap();
    assert_eq!(rig.messages(0, "tö … 1", 0), ["m"]);
    assert_eq!(cluster.topic("a/b").unwrap_err().code(), Code::INVALID_ARGUMENT);
}

#[test]
fn a_list_is_one_request_to_one_partition_in_order() {
    let rig = Rig::start(2, 2);
    rig.register_topic("t", 0, 2);
    rig.register_topic("t", 1, 2);
    let cluster = rig.open(&[]);
    let topic = known(&cluster, "t");
    let values: Vec<String> = (0..500).map(|number| number.to_string()).collect();
    let list: Vec<_> = values.iter().map(|value| Record::new(&topic, value.as_bytes())).collect();
    let (partition, offset) = publisher(&cluster).publish(&list, Some(soon())).unwrap();
    let (broker, number) = ((partition >> 32) as i32, partition as i32);
    assert_eq!((rig.messages(broker, "t", number), offset), (values, -1));
    assert_eq!(rig.brokers.requests(broker, RequestId::Produce).unwrap(), 1);
}

#[test]
fn compressed_lists_are_one_wrapper() {
    for codec in ["gzip", "snappy"] {
        let rig = Rig::start(1, 1);
        let cluster = rig.open(&[("compression.type", codec)]);
        let topic = known(&cluster, "t");
        let list = ["one", "", "three"].map(|value| Record::new(&topic, value.as_bytes()));
        publisher(&cluster).publish(&list, Some(soon())).unwrap();
        assert_eq!(rig.messages(0, "t", 0), ["one", "", "three"], "{codec}");
        let log = rig.brokers.log(0, "t", 0).unwrap();
        assert_eq!(samsa::protocol::legacy::MessageSet::new(log.into(), 0).count(), 1, "{codec}");
    }
}

#[test]
fn without_acknowledgement_nothing_is_asked_and_nothing_is_certain() {
    let rig = Rig::start(1, 1);
    let cluster = rig.open(&[("acks", "0")]);
    let topic = known(&cluster, "t");
    let outcome = publisher(&cluster).publish(&[Record::new(&topic, b"m")], Some(soon()));
    assert_eq!(outcome.unwrap(), (0, -1));
    wait_until("it arrives", || rig.messages(0, "t", 0) == ["m"]);
    assert_eq!(rig.brokers.requests(0, RequestId::Offsets).unwrap(), 0);
}

#[test]
fn the_broker_chooses_where_it_is_left_to_it() {
    let rig = Rig::start(2, 4);
    rig.register_topic("t", 1, 4);
    let cluster = rig.open(&[]);
    let topic = known(&cluster, "t");
    let any = samsa::cluster::partition_number(1, samsa::cluster::ANY_OF_BROKER);
    for _ in 0..40 {
        let record = Record::new(&topic, b"m").to_partition(any);
        assert_eq!(publisher(&cluster).publish(&[record], Some(soon())).unwrap(), (any, -1));
    }
    let counts: Vec<_> = (0..4).map(|number| rig.messages(1, "t", number).len()).collect();
    assert_eq!(counts.iter().sum::<usize>(), 40);
    assert!(counts.iter().filter(|count| **count > 0).count() > 1, "{counts:?}");
}

#[test]
fn a_partition_that_is_not_there_is_refused_and_may_come() {
    let rig = Rig::start(1, 1);
    let cluster = rig.open(&[]);
    let topic = known(&cluster, "t");
    let record = Record::new(&topic, b"m").to_partition(5_i64 << 32);
    let error = publisher(&cluster).publish(&[record], Some(soon())).unwrap_err();
    assert_eq!(error.code(), Code::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!((error.partition(), error.is_retriable()), (Some(5 << 32), true));
}

#[test]
fn samsa_with_its_only_broker_stopped_a_publish_says_that_nothing_is_left() {
    let rig = Rig::start(1, 1);
    let cluster = rig.open(&[]);
    let topic = known(&cluster, "t");
    rig.brokers.stop_broker(0).unwrap();
    rig.unregister(0);
    wait_until("gone", || cluster.metadata().brokers.is_empty());
    let within = Instant::now() + Duration::from_millis(100);
    let error =
        publisher(&cluster).publish(&[Record::new(&topic, b"m")], Some(within)).unwrap_err();
    assert_eq!((error.code(), error.persistence()), (Code::TIMED_OUT, Persistence::NotPersisted));
    assert!(error.to_string().contains("none is registered"), "{error}");
}

#[test]
fn a_publish_out_of_time_says_whether_it_may_have_been_written() {
    let rig = Rig::start(1, 1);
    let cluster = rig.open(&[]);
    let topic = known(&cluster, "t");
    rig.brokers.inject(Fault::new(FaultKind::Silence).request(RequestId::Offsets).times(u32::MAX));
    let within = Instant::now() + Duration::from_millis(200);
    let publisher = publisher(&cluster);
    let error = publisher.publish(&[Record::new(&topic, b"m")], Some(within)).unwrap_err();
    assert_eq!(
        (error.code(), error.persistence()),
        (Code::TIMED_OUT, Persistence::PossiblyPersisted)
    );
    assert_eq!(rig.messages(0, "t", 0), ["m"]);
    publisher.close(5_000, None).unwrap();
}

#[test]
fn what_the_broker_would_drop_in_silence_is_refused_before_it_is_sent() {
    let rig = Rig::with(Options { max_message_size: 1_000_000, ..Options::default() });
    let cluster = rig.open(&[]);
    let topic = known(&cluster, "t");
    let publisher = publisher(&cluster);
    let fits = vec![b'a'; 1_000_000];
    publisher.publish(&[Record::new(&topic, &fits)], Some(soon())).unwrap();
    let large = vec![b'a'; 1_000_001];
    let error = publisher.publish(&[Record::new(&topic, &large)], Some(soon())).unwrap_err();
    assert_eq!(error.code(), Code::RECORD_TOO_LARGE);
    assert_eq!(error.property(), Some("max.request.size"));
    assert_eq!(rig.messages(0, "t", 0).len(), 1);
}
