//! What Kafka 0.7 cannot do is refused by its name.

use samsa::Code;
use samsa::producer::{Producer, Record};
use samsa::protocol::record::Header;

use super::rig::{Rig, known, producer, publisher, soon};

#[test]
fn headers_timestamps_and_null_values_are_refused_by_the_name_of_kafka_0_7() {
    let rig = Rig::start(1, 1);
    let cluster = rig.open(&[]);
    let topic = known(&cluster, "t");
    let headers = vec![Header { name: b"h", value: None }];
    let plain = Record::new(&topic, b"m");
    for (record, what) in [
        (Record { headers: &headers, ..plain }, "headers"),
        (Record { timestamp: Some(1), ..plain }, "timestamps"),
        (Record { value: None, ..plain }, "null values"),
    ] {
        for sent in [
            producer(&cluster).send(&record, -1),
            publisher(&cluster).publish(&[plain, record], Some(soon())).map(drop),
        ] {
            let error = sent.unwrap_err();
            assert_eq!((error.code(), error.topic()), (Code::UNSUPPORTED_FEATURE, Some("t")));
            assert!(error.message().contains(&format!("Kafka 0.7 has no {what}")), "{error}");
        }
    }
    assert!(rig.all_messages("t").is_empty(), "nothing of a list is sent");
}

#[test]
fn codecs_of_later_releases_are_refused_by_the_name_of_kafka_0_7() {
    for codec in ["lz4", "zstd"] {
        let rig = Rig::start(1, 1);
        let cluster = rig.open(&[("compression.type", codec)]);
        let topic = known(&cluster, "t");
        for sent in [
            producer(&cluster).send(&Record::new(&topic, b"m"), -1),
            publisher(&cluster).publish(&[Record::new(&topic, b"m")], Some(soon())).map(drop),
        ] {
            let error = sent.unwrap_err();
            assert_eq!(error.code(), Code::UNSUPPORTED_FEATURE);
            let text = error.message();
            assert!(text.contains("Kafka 0.7") && text.contains(codec), "{error}");
        }
    }
}

#[test]
fn idempotence_is_off_unless_it_is_asked_for_which_is_an_error() {
    let rig = Rig::start(1, 1);
    let cluster = rig.open(&[]);
    let topic = known(&cluster, "t");
    producer(&cluster).send(&Record::new(&topic, b"m"), -1).expect("the default gives way");
    let mut config = samsa::config::Config::new();
    config.set("enable.idempotence", "true").unwrap();
    let demanding = Producer::new(&cluster, Some(&config)).unwrap();
    let error = demanding.send(&Record::new(&topic, b"m"), -1).unwrap_err();
    assert_eq!(error.code(), Code::UNSUPPORTED_FEATURE);
    assert_eq!(error.property(), Some("enable.idempotence"));
    assert!(error.to_string().contains("Kafka 0.7"), "{error}");
}
