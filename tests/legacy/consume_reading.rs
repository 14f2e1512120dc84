//! Reading what is there, and what comes.

use std::collections::BTreeSet;

use samsa::consumer::{Consumer, EARLIEST, Event, LATEST};
use samsa::embedded::legacy::Options;
use samsa::protocol::legacy::RequestId;
use samsa::protocol::record::Compression;
use samsa::{Code, Error};

use super::consume_rig::*;

#[test]
fn samsa_a_partition_is_read_from_earliest_latest_or_a_byte_offset() {
    let rig = Rig::new(1, 1);
    rig.write(0, 0, &["one", "two", "three"]);
    let earliest = rig.reader(&[place(0, 0).at(EARLIEST)]);
    assert_eq!(read(&earliest, 3), ["one", "two", "three"]);
    let latest = rig.reader(&[place(0, 0).at(LATEST)]);
    assert_quiet(&latest);
    let from = rig.reader(&[place(0, 0).at(13)]);
    assert_eq!(read(&from, 2), ["two", "three"]);
    rig.write(0, 0, &["four"]);
    for consumer in [earliest, latest, from] {
        assert_eq!(read(&consumer, 1), ["four"]);
        assert_eq!(position(&consumer, &place(0, 0)), Some(41 + 14));
    }
}

#[test]
fn samsa_offsets_are_byte_positions_and_next_offset_is_behind_the_message() {
    let rig = Rig::new(1, 2);
    rig.write(0, 1, &["one", "", "three"]);
    let consumer = rig.reader(&[place(0, 1)]);
    let mut places = Vec::new();
    while places.len() < 3 {
        let batch = consumer.poll(30_000).unwrap();
        for record in batch.iter() {
            assert_eq!((record.partition(), record.timestamp(), record.key()), (1, -1, None));
            places.push((record.offset(), record.next_offset()));
        }
    }
    assert_eq!(places, [(0, 13), (13, 23), (23, 38)]);
}

#[test]
fn samsa_many_partitions_of_many_brokers_are_read_all_each_in_order() {
    let rig = Rig::new(3, 4);
    let mut expected = BTreeSet::new();
    for broker in 0..3 {
        for partition in 0..4 {
            let payloads: Vec<String> =
                (0..25).map(|n| format!("{broker}-{partition}-{n:02}")).collect();
            let refs: Vec<&str> = payloads.iter().map(String::as_str).collect();
            rig.write(broker, partition, &refs);
            expected.extend(payloads);
        }
    }
    for broker in 0..3 {
        rig.wait_registered(broker);
    }
    let places: Vec<_> =
        (0..3).flat_map(|broker| (0..4).map(move |partition| place(broker, partition))).collect();
    let consumer = rig.reader(&places);
    let seen = read(&consumer, expected.len());
    assert_eq!(seen.iter().cloned().collect::<BTreeSet<_>>(), expected, "each once");
    for name in ["0-0-", "1-3-", "2-2-"] {
        assert!(seen.iter().filter(|value| value.starts_with(name)).is_sorted());
    }
}

#[test]
fn samsa_two_topics_are_read_at_once_each_in_order() {
    let rig = Rig::new(1, 1);
    rig.append_to("first", 0, 0, &set(&["f1"]));
    rig.append_to("second", 0, 0, &set(&["s1"]));
    let consumer = rig.reader(&[place_in("first", 0, 0), place_in("second", 0, 0)]);
    let mut seen = read(&consumer, 2);
    seen.sort();
    assert_eq!(seen, ["f1", "s1"]);
    rig.append_to("second", 0, 0, &set(&["s2", "s3"]));
    rig.append_to("first", 0, 0, &set(&["f2", "f3"]));
    let seen = read(&consumer, 4);
    let of =
        |topic: char| seen.iter().filter(|v| v.starts_with(topic)).cloned().collect::<Vec<_>>();
    assert_eq!(
        (of('f'), of('s')),
        (vec!["f2".into(), "f3".into()], vec!["s2".into(), "s3".into()])
    );
}

#[test]
fn samsa_a_partition_that_a_broker_does_not_have_is_an_error_and_an_empty_topic_is_none() {
    let rig = Rig::new(1, 2);
    rig.write(0, 0, &["one"]);
    rig.wait_registered(0);
    let consumer = rig.reader(&[place(0, 10)]);
    let error = consumer.poll(30_000).map(|_| ()).unwrap_err();
    assert_eq!((error.code(), error.partition()), (Code::UNKNOWN_TOPIC_OR_PARTITION, Some(10)));
    assert_quiet(&rig.reader(&[place_in("nobody-wrote-here", 0, 0)]));
}

#[test]
fn samsa_a_whole_topic_is_read_with_the_brokers_that_get_it_later() {
    let rig = Rig::new(2, 2);
    rig.write(0, 0, &["first"]);
    rig.wait_registered(0);
    let topic = rig.cluster.topic(TOPIC).unwrap();
    let consumer =
        Consumer::of_topic(&rig.cluster, &topic, None, true, Some(soon())).expect("subscribed");
    assert_eq!(read(&consumer, 1), ["first"]);
    // Broker 1 does not have the topic yet; its partition 1 is not even virtual.
    rig.write(1, 1, &["second"]);
    assert_eq!(read(&consumer, 1), ["second"]);
    let mut assigned: Vec<i64> =
        consumer.assignment().unwrap().iter().map(|place| place.partition).collect();
    assigned.sort_unstable();
    assert_eq!(assigned, [0, 1, 1 << 32, 1 << 32 | 1]);
}

#[test]
fn rule_10_13_compressed_sets_come_apart_and_their_end_is_the_place_to_resume_at() {
    let rig = Rig::new(1, 1);
    let gzip = wrapped(&["one", "two", "three"], Compression::Gzip);
    rig.write(0, 0, &["pre"]);
    rig.append(0, 0, &gzip);
    rig.append(0, 0, &wrapped(&["snappy"], Compression::Snappy));
    let (begin, end) = (13, 13 + gzip.len() as i64);
    let consumer = rig.reader(&[place(0, 0)]);
    let expected = ["pre", "one", "two", "three", "snappy"];
    let positions: Vec<Option<i64>> = expected
        .iter()
        .map(|expected| {
            let message = consumer.next(30_000).expect("a message");
            assert_eq!(message.record().value(), Some(expected.as_bytes()));
            position(&consumer, &place(0, 0))
        })
        .collect();
    assert_eq!(positions[..4], [13, begin, begin, end].map(Some));
    // What was told in the middle brings the whole set again.
    let again = rig.reader(&[place(0, 0).at(begin)]);
    assert_eq!(read(&again, 4), ["one", "two", "three", "snappy"]);
}

#[test]
fn an_idle_consumer_asks_less_and_less_often_and_hears_of_data_within_the_longest_pause() {
    let rig = Rig::with(Options::default(), &[("fetch.max.wait.ms", "100")]);
    rig.write(0, 0, &["one"]);
    let consumer = rig.reader(&[place(0, 0)]);
    assert_eq!(read(&consumer, 1), ["one"]);
    let before = rig.brokers.requests(0, RequestId::MultiFetch).unwrap();
    let begun = std::time::Instant::now();
    let outcome = consumer.poll(1_000);
    assert_eq!(outcome.unwrap_err().code(), Code::NOTHING);
    let asked = rig.brokers.requests(0, RequestId::MultiFetch).unwrap() - before;
    // 1, 2, 4, … 64, and then ten a second.
    let most = 10 + 10 * begun.elapsed().as_secs() + 10;
    assert!((3..=most).contains(&asked), "{asked} requests");
    rig.write(0, 0, &["two"]);
    assert_eq!(read(&consumer, 1), ["two"]);
}

#[test]
fn the_end_is_told_and_the_lag_is_known_there() {
    let rig = Rig::new(1, 1);
    rig.write(0, 0, &["one", "two"]);
    let consumer = rig.reader_with(&[place(0, 0)], &[("samsa.events", "partition_end")]);
    assert_eq!(read(&consumer, 2), ["one", "two"]);
    assert_eq!(consumer.poll(30_000).map(|_| ()).unwrap_err().code(), Code::EVENT);
    let Some(Event::PartitionEnd { partition: 0, offset: 26, .. }) = consumer.next_event().unwrap()
    else {
        panic!("the end of partition 0 at byte 26");
    };
    assert_eq!(consumer.lag(&place(0, 0)).unwrap(), Some(0));
    assert_eq!(consumer.watermarks(&place(0, 0), 30_000).unwrap(), (0, 26));
}

#[test]
fn a_paused_partition_is_not_delivered_and_goes_on_where_it_stood() {
    let rig = Rig::new(1, 2);
    let consumer = rig.reader(&[place(0, 0), place(0, 1)]);
    consumer.pause(Some(&[place(0, 0)])).unwrap();
    rig.write(0, 0, &["paused"]);
    rig.write(0, 1, &["running"]);
    assert_eq!(read(&consumer, 1), ["running"]);
    assert_quiet(&consumer);
    consumer.resume(None).unwrap();
    assert_eq!(read(&consumer, 1), ["paused"]);
    consumer.seek(&[place(0, 1).at(0)]).unwrap();
    assert_eq!(read(&consumer, 1), ["running"]);
}

#[test]
fn a_consumer_of_brokers_that_have_nothing_closes_at_once() {
    let rig = Rig::new(2, 1);
    let consumer = rig.reader(&[place(0, 0), place(1, 0)]);
    assert_quiet(&consumer);
    consumer.close(1_000).unwrap();
    let error: Error = consumer.poll(0).map(|_| ()).unwrap_err();
    assert_eq!(error.code(), Code::CLOSED);
}
