//! Offsets by time, and what becomes of positions that are none.

use samsa::Code;
use samsa::consumer::{EARLIEST, LATEST, Position, topic_offsets};
use samsa::embedded::legacy::Options;

use super::consume_rig::*;

/// A partition whose oldest segments are gone: what is kept begins above 0.
fn retained() -> Rig {
    let options = Options {
        segment_bytes: 60,
        retention_bytes: Some(150),
        partitions: 1,
        ..Options::default()
    };
    let rig = Rig::with(options, &[]);
    for n in 0..20 {
        rig.write(0, 0, &[&format!("message {n:02}")]);
    }
    rig
}

/// The first offset and the end, as the broker says.
fn bounds(rig: &Rig) -> (i64, i64) {
    rig.reader(&[place(0, 0)]).watermarks(&place(0, 0), 30_000).expect("watermarks")
}

fn offsets(rig: &Rig, when: i64) -> Vec<Position> {
    let topic = rig.cluster.topic(TOPIC).unwrap();
    topic_offsets(&rig.cluster, &topic, when, Some(soon())).unwrap()
}

#[test]
fn samsa_the_first_offset_the_end_and_those_before_a_time_are_told_for_each_partition() {
    let rig = Rig::new(2, 2);
    rig.write(0, 1, &["one", "two"]);
    rig.wait_registered(0);
    let place = |p: &Position| (p.partition, p.offset);
    let expected = |end| vec![(0, Some(0)), (1, Some(end)), (1 << 32, Some(0))];
    assert_eq!(offsets(&rig, LATEST).iter().map(place).collect::<Vec<_>>(), expected(26));
    assert_eq!(offsets(&rig, EARLIEST).iter().map(place).collect::<Vec<_>>(), expected(0));
    // Nothing was written at the time 0: the first offset is meant.
    assert_eq!(offsets(&rig, 0)[1].offset, Some(0));
    let far = i64::MAX / 2;
    assert_eq!(offsets(&rig, far)[1].offset, Some(26), "the newest place that is known");
}

#[test]
fn samsa_earliest_is_above_0_when_retention_took_the_beginning() {
    let rig = retained();
    let (first, end) = bounds(&rig);
    assert!(first > 0 && end == 20 * 20, "{first}..{end}");
    let left = usize::try_from((end - first) / 20).unwrap();
    let consumer = rig.reader(&[place(0, 0).at(EARLIEST)]);
    assert_eq!(read(&consumer, left).first(), Some(&format!("message {:02}", 20 - left)));
}

#[test]
fn samsa_an_offset_out_of_range_goes_where_the_policy_says() {
    let rig = retained();
    let (first, end) = bounds(&rig);
    let first_left = format!("message {:02}", first / 20);
    let reader = |offset, policy| {
        rig.reader_with(&[place(0, 0).at(offset)], &[("auto.offset.reset", policy)])
    };
    for (offset, policy) in [(0, "earliest"), (0, "nearest"), (end + 500, "earliest")] {
        let consumer = reader(offset, policy);
        let message = consumer.next(30_000).expect("a message");
        assert_eq!(message.record().value(), Some(first_left.as_bytes()), "{offset} {policy}");
    }
    for (offset, policy) in [(end + 500, "nearest"), (0, "latest")] {
        let consumer = reader(offset, policy);
        assert_quiet(&consumer);
        assert_eq!(position(&consumer, &place(0, 0)), Some(end), "{offset} {policy}");
    }
    let error = reader(0, "none").poll(30_000).map(|_| ()).unwrap_err();
    assert_eq!((error.code(), error.partition()), (Code::NO_OFFSET, Some(0)));
}

#[test]
fn a_fetch_does_not_cross_a_segment_and_reading_does() {
    let options = Options { segment_bytes: 50, ..Options::default() };
    let rig = Rig::with(options, &[]);
    let payloads: Vec<String> = (0..30).map(|n| format!("message {n:02}")).collect();
    payloads.iter().for_each(|payload| rig.write(0, 0, &[payload]));
    assert_eq!(read(&rig.reader(&[place(0, 0)]), 30), payloads);
}

#[test]
fn an_offset_in_the_middle_of_a_message_goes_on_with_the_next_one() {
    let rig = Rig::new(1, 1);
    rig.write(0, 0, &["hello there", "two", "three"]);
    for offset in [1, 4, 6, 10, 20] {
        let consumer = rig.reader(&[place(0, 0).at(offset)]);
        assert_eq!(read(&consumer, 2), ["two", "three"], "{offset}");
        assert_eq!(position(&consumer, &place(0, 0)), Some(49));
    }
}

#[test]
fn an_offset_within_numbers_that_look_like_sizes_of_messages_goes_on_with_the_next_one() {
    let rig = Rig::new(1, 1);
    // A payload of big-endian numbers, each of which could be the size of a message.
    let numbers = "\0\0@\0".repeat(100_000);
    rig.write(0, 0, &[&numbers, "two", "three"]);
    for offset in [102, 400_003] {
        let consumer = rig.reader(&[place(0, 0).at(offset)]);
        assert_eq!(read(&consumer, 2), ["two", "three"], "{offset}");
    }
}

#[test]
fn an_offset_in_the_last_message_of_a_segment_or_log_goes_on_behind_it() {
    let rig = Rig::with(Options { segment_bytes: 20, ..Options::default() }, &[]);
    rig.write(0, 0, &["hello there"]);
    rig.write(0, 0, &["two"]);
    let consumer = rig.reader(&[place(0, 0).at(5)]);
    assert_eq!(read(&consumer, 1), ["two"]);
    let at_the_end = rig.reader(&[place(0, 0).at(25)]);
    assert_quiet(&at_the_end);
    rig.write(0, 0, &["three"]);
    assert_eq!(read(&at_the_end, 1), ["three"]);
}

#[test]
fn samsa_the_bad_offset_vector_of_five_messages_gives_the_rest_of_them() {
    let rig = Rig::new(1, 1);
    let payloads = ["message 001", "message 002", "message 003", "message 004", "message 005"];
    rig.write(0, 0, &payloads);
    for (offset, count) in [(0, 5), (2, 4), (8, 4), (25, 3), (46, 2), (67, 1)] {
        let consumer = rig.reader(&[place(0, 0).at(offset)]);
        assert_eq!(read(&consumer, count), payloads[5 - count..], "from offset {offset}");
        assert_quiet(&consumer);
    }
}

#[test]
fn samsa_the_end_moves_from_0_by_the_size_of_what_was_published() {
    let rig = Rig::new(1, 1);
    assert_eq!(bounds(&rig), (0, 0));
    rig.write(0, 0, &["hello!"]);
    assert_eq!(bounds(&rig), (0, 16));
}

#[test]
fn a_partition_that_a_broker_does_not_have_holds_up_no_other_one() {
    let rig = Rig::new(1, 2);
    rig.append_to("u", 0, 0, &set(&["here"]));
    // The broker has two, and closes the connection over the tenth.
    rig.zookeeper.ensure(&format!("/brokers/topics/{TOPIC}/0"), b"10").expect("registered");
    let consumer = rig.reader(&[place(0, 9), place_in("u", 0, 0)]);
    assert_eq!(read(&consumer, 1), ["here"]);
}
