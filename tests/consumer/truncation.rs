//! Truncation found by leader epochs (KIP-320): rules 6.16, 6.17, 7.11 and 1.5.

use std::sync::Arc;

use samsa::Code;
use samsa::consumer::{Consumer, Event};
use samsa::embedded::{Fault, FaultKind, Options};
use samsa::protocol::modern::ApiKey;

use crate::rig::{PATIENCE, Rig, assert_code, deadline, place, poll_error, read, read_one};

const EPOCHS: ApiKey = ApiKey::OffsetForLeaderEpoch;

/// Two brokers, the first of which leads; `count` batches of one record.
fn rig(count: i64) -> Rig {
    let rig = Rig::with(Options { brokers: 2, ..Options::default() }, 1);
    rig.kafka.move_leader("t", 0, 0).unwrap();
    for _ in 0..count {
        rig.write(0, 1);
    }
    rig
}

/// A consumer that read all of it.
fn reader(rig: &Rig, count: i64, properties: &[(&str, &str)]) -> Arc<Consumer> {
    let consumer = rig.consumer(properties);
    consumer.assign(&[place(0).at(0)]).unwrap();
    assert_eq!(read_one(&consumer, count as usize), (0..count).collect::<Vec<_>>());
    consumer
}

fn with_epoch(offset: i64, epoch: i32) -> samsa::consumer::Position {
    let mut position = place(0).at(offset);
    position.leader_epoch = Some(epoch);
    position
}

#[test]
fn rule_6_16_a_new_leader_is_asked_for_the_epoch_before_it_is_fetched_from() {
    let rig = rig(10);
    let consumer = reader(&rig, 10, &[]);
    assert_eq!(rig.kafka.requests(EPOCHS), 0, "nothing is asked while nothing changed");
    rig.kafka.move_leader("t", 0, 1).unwrap();
    rig.write(0, 3);
    assert_eq!(read_one(&consumer, 3), [10, 11, 12]);
    assert_eq!(rig.kafka.requests(EPOCHS), 1);
    let history = rig.kafka.history();
    let first = |api: ApiKey| history.iter().position(|r| r.api == api.number() && r.broker == 1);
    assert!(first(EPOCHS).unwrap() < first(ApiKey::Fetch).unwrap());
}

#[test]
fn rule_6_16_whatever_fails_the_leader_is_asked_again_and_nothing_is_reset() {
    let rig = rig(10);
    let consumer = reader(&rig, 10, &[("auto.offset.reset", "latest")]);
    let faults = [
        FaultKind::ErrorCode(75),
        FaultKind::ErrorCode(6),
        FaultKind::ErrorCode(-1),
        FaultKind::ErrorCode(31_999),
        FaultKind::DisconnectBefore,
        FaultKind::Malformed,
        FaultKind::CloseMidFrame,
    ];
    for (round, kind) in (0..).zip(faults) {
        let id = rig.kafka.inject(Fault::new(kind).api(EPOCHS));
        rig.kafka.move_leader("t", 0, (round as i32 + 1) % 2).unwrap();
        rig.write(0, 1);
        assert_eq!(read_one(&consumer, 1), [10 + round], "{kind:?}");
        assert_eq!(rig.kafka.injected(id), 1, "{kind:?}");
    }
    assert_eq!(rig.kafka.requests(EPOCHS), 2 * faults.len() as u64, "each asked once more");
}

#[test]
fn rule_6_16_a_refusal_is_told_once_and_asked_again() {
    let rig = rig(2);
    let consumer = reader(&rig, 2, &[]);
    rig.kafka.inject(Fault::new(FaultKind::ErrorCode(29)).api(EPOCHS).times(3));
    rig.kafka.move_leader("t", 0, 1).unwrap();
    rig.write(0, 1);
    let error = poll_error(&consumer);
    assert_eq!((error.code().0, error.topic(), error.partition()), (29, Some("t"), Some(0)));
    assert_eq!(read_one(&consumer, 1), [2]);
}

#[test]
fn rule_6_17_reading_goes_on_where_the_log_was_truncated_and_an_event_says_so() {
    let rig = rig(10);
    let consumer = reader(&rig, 10, &[("samsa.events", "log_truncated")]);
    rig.kafka.elect_unclean("t", 0, 1, 6).unwrap();
    rig.write(0, 5);
    let patience = PATIENCE.as_millis() as i32;
    assert_code(consumer.poll(patience), Code::EVENT);
    let Some(Event::LogTruncated { topic, partition, offset }) = consumer.next_event().unwrap()
    else {
        panic!("another event");
    };
    assert_eq!((topic.as_str(), partition, offset), ("t", 0, 6));
    assert_eq!(read_one(&consumer, 5), [6, 7, 8, 9, 10]);
}

#[test]
fn rule_6_17_without_a_policy_the_error_names_the_offset_where_the_log_parted() {
    let rig = rig(10);
    let consumer = reader(&rig, 10, &[("auto.offset.reset", "none")]);
    rig.kafka.elect_unclean("t", 0, 1, 6).unwrap();
    rig.write(0, 8);
    let error = poll_error(&consumer);
    assert_eq!(error.code(), Code::LOG_TRUNCATED);
    assert!(error.message().contains("offset 6 "), "{error}");
    assert_code(consumer.poll(50), Code::NOTHING);
    consumer.seek(&[place(0).at(6)]).unwrap();
    assert_eq!(read_one(&consumer, 8), (6..14).collect::<Vec<_>>());
}

#[test]
fn rule_6_17_an_epoch_that_the_leader_does_not_know_is_a_case_for_the_policy() {
    let rig = rig(10);
    let consumer = rig.consumer(&[("samsa.events", "log_truncated")]);
    // Newer than anything that any broker knows.
    consumer.assign(&[with_epoch(4, 99)]).unwrap();
    assert_eq!(read_one(&consumer, 10), (0..10).collect::<Vec<_>>(), "earliest, and no event");
    let consumer = rig.consumer(&[("auto.offset.reset", "none")]);
    consumer.assign(&[with_epoch(4, 99)]).unwrap();
    let error = poll_error(&consumer);
    assert_eq!(error.code(), Code::NO_OFFSET, "unknown is no loss: {error}");
    assert!(error.message().contains("epoch 99"), "{error}");
}

#[test]
fn rule_7_11_a_place_with_an_epoch_is_validated_before_it_is_fetched() {
    let rig = rig(10);
    let epoch = rig.kafka.leader("t", 0).unwrap().1;
    rig.kafka.elect_unclean("t", 0, 1, 6).unwrap();
    rig.write(0, 10);
    let consumer = rig.consumer(&[]);
    consumer.assign(&[with_epoch(9, epoch)]).unwrap();
    assert_eq!(read_one(&consumer, 10), (6..16).collect::<Vec<_>>());
    consumer.seek(&[with_epoch(5, epoch)]).unwrap();
    assert_eq!(read_one(&consumer, 11), (5..16).collect::<Vec<_>>(), "still there");
    let position = consumer.position(None).unwrap().remove(0);
    assert_eq!((position.offset, position.leader_epoch), (Some(16), Some(epoch + 1)));
}

#[test]
fn rule_7_11_an_epoch_newer_than_metadata_asks_for_metadata_first() {
    let rig = rig(5);
    let cluster = &rig.cluster;
    let epoch = rig.kafka.leader("t", 0).unwrap().1;
    assert_eq!(read_one(&rig.reader(&[0]), 5).len(), 5, "metadata is known");
    rig.kafka.set_leader_epoch("t", 0, epoch + 3).unwrap();
    let known = cluster.metadata().topic("t").unwrap().partitions[0].leader_epoch;
    assert_eq!(known, epoch, "nobody has told the client yet");
    let consumer = rig.consumer(&[("auto.offset.reset", "none")]);
    consumer.assign(&[with_epoch(3, epoch + 3)]).unwrap();
    assert_eq!(read_one(&consumer, 2), [3, 4]);
}

#[test]
fn rule_6_17_an_answer_that_comes_after_a_seek_moves_nothing() {
    let rig = rig(10);
    let consumer = reader(&rig, 10, &[("samsa.events", "log_truncated")]);
    let id = rig.kafka.inject(Fault::new(FaultKind::Delay(200)).api(EPOCHS));
    rig.kafka.elect_unclean("t", 0, 1, 6).unwrap();
    rig.write(0, 4);
    rig.kafka.wait_injected(id, 1, deadline()).unwrap();
    consumer.seek(&[place(0).at(2)]).unwrap();
    assert_eq!(read_one(&consumer, 8), (2..10).collect::<Vec<_>>());
    assert_code(consumer.poll(300), Code::NOTHING);
}

#[test]
fn rule_1_5_epochs_that_cannot_be_relied_on_are_neither_sent_nor_validated() {
    let rig = rig(0);
    // As 2.3, the last release whose metadata may be stale.
    rig.kafka.limit_versions(None, ApiKey::Metadata, 0, 8).unwrap();
    rig.kafka.limit_versions(None, ApiKey::Fetch, 0, 11).unwrap();
    for _ in 0..3 {
        rig.write(0, 1);
    }
    let consumer = reader(&rig, 3, &[]);
    rig.kafka.move_leader("t", 0, 1).unwrap();
    rig.write(0, 3);
    assert_eq!(read_one(&consumer, 3), [3, 4, 5]);
    assert_eq!(rig.kafka.requests(EPOCHS), 0);
}

#[test]
fn rule_6_16_brokers_that_do_not_tell_consumers_are_fetched_from_unasked() {
    let rig = rig(3);
    rig.kafka.limit_versions(None, EPOCHS, 0, 2).unwrap();
    let consumer = reader(&rig, 3, &[]);
    rig.kafka.move_leader("t", 0, 1).unwrap();
    rig.write(0, 3);
    assert_eq!(read_one(&consumer, 3), [3, 4, 5]);
    assert_eq!(rig.kafka.requests(EPOCHS), 0);
}

#[test]
fn rule_6_17_what_was_fetched_is_handed_out_before_a_lost_place_is_a_case_for_the_policy() {
    let rig = Rig::new(1);
    for _ in 0..3 {
        rig.write(0, 10);
    }
    let consumer = rig.consumer(&[
        ("auto.offset.reset", "none"),
        ("max.poll.records", "5"),
        ("max.partition.fetch.bytes", "200"),
    ]);
    consumer.assign(&[place(0).at(0)]).unwrap();
    assert_eq!(read_one(&consumer, 5), [0, 1, 2, 3, 4]);
    // What is to be fetched next is deleted, while five messages still wait.
    rig.kafka.delete_records("t", 0, 30).unwrap();
    let read = read(&consumer, 5).remove(&0).unwrap();
    assert_eq!(read, [5, 6, 7, 8, 9]);
    let mut rest = Vec::new();
    let error = loop {
        match consumer.poll(PATIENCE.as_millis() as i32) {
            Ok(batch) => rest.extend(batch.iter().map(|r| r.offset())),
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), Code::NO_OFFSET, "{error}");
    assert!(rest.iter().copied().eq(10..10 + rest.len() as i64), "{rest:?}");
}
