//! What PyKafka's users do with a group's offsets, done as docs/heritage.md says.

use std::sync::Arc;
use std::time::{Duration, Instant};

use samsa::Code;
use samsa::consumer::{Consumer, EARLIEST, LATEST, Position, topic_offsets};

use crate::rig::{PATIENCE, Rig, assert_code, batch_at, deadline, place, read_one};

const WAIT: i32 = PATIENCE.as_millis() as i32;

/// A consumer of partition 0 with the group's offsets and without a membership, as PyKafka's simple one.
fn simple(rig: &Rig) -> Arc<Consumer> {
    let consumer = rig.consumer(&[("group.id", "g"), ("enable.auto.commit", "false")]);
    consumer.assign(&[place(0)]).unwrap();
    consumer
}

/// Ten messages, of which the group has read three.
fn used() -> Rig {
    let rig = Rig::new(1);
    rig.write(0, 10);
    let consumer = simple(&rig);
    consumer.commit(Some(&[place(0).at(3)]), WAIT, None).unwrap();
    consumer.close(WAIT).unwrap();
    assert_eq!(rig.kafka.committed("g", "t", 0), Some(3));
    rig
}

/// Where the partition stands, once that is known.
fn position(consumer: &Consumer) -> i64 {
    let limit = deadline();
    loop {
        match consumer.position(None).unwrap()[0].offset {
            Some(offset) if offset >= 0 => return offset,
            other => assert!(Instant::now() < limit, "{other:?}"),
        }
        std::thread::yield_now();
    }
}

/// What a member of the group reads first.
fn goes_on_at(rig: &Rig, offset: i64) {
    assert_eq!(rig.kafka.committed("g", "t", 0), Some(offset));
    rig.write(0, 1);
    let member = rig.consumer(&[("group.id", "g")]);
    member.subscribe(&["t"]).unwrap();
    assert_eq!(member.next(WAIT).unwrap().record().offset(), offset);
    member.close(WAIT).unwrap();
}

#[test]
fn reset_offsets_of_a_group_to_latest_earliest_a_number_or_a_time_is_a_seek_and_a_commit() {
    let table = [
        (place(0).at(LATEST), 10),
        (place(0).at(EARLIEST), 0),
        // PyKafka's number is the last one that was consumed, ours the next.
        (place(0).at(6 + 1), 7),
        (place(0).at_time(1_004), 4),
    ];
    for (to, offset) in table {
        let rig = used();
        let consumer = simple(&rig);
        assert_eq!(position(&consumer), 3, "it begins with what the group committed");
        consumer.seek(std::slice::from_ref(&to)).unwrap();
        assert_eq!(position(&consumer), offset, "{to:?}");
        consumer.commit(None, WAIT, None).unwrap();
        consumer.close(WAIT).unwrap();
        goes_on_at(&rig, offset);
    }
}

#[test]
fn reset_offsets_of_kafka_tools_is_a_commit_of_a_number_or_of_a_limit_of_the_topic() {
    let rig = used();
    let consumer = simple(&rig);
    consumer.commit(Some(&[place(0).at(5)]), WAIT, None).unwrap();
    goes_on_at(&rig, 5);
    let topic = rig.cluster.topic("t").unwrap();
    let latest = topic_offsets(&rig.cluster, &topic, LATEST, Some(deadline())).unwrap();
    let ends: Vec<Position> =
        latest.iter().map(|end| place(0).at(end.offset.expect("an end"))).collect();
    consumer.commit(Some(&ends), WAIT, None).unwrap();
    goes_on_at(&rig, 11);
}

#[test]
fn fetch_offsets_only_looks_and_moves_nothing() {
    let rig = used();
    let consumer = simple(&rig);
    assert_eq!(read_one(&consumer, 7), [3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(consumer.committed(None, WAIT).unwrap()[0].offset, Some(3));
    assert_eq!(position(&consumer), 10);
    rig.write(0, 1);
    assert_eq!(read_one(&consumer, 1), [10]);
}

#[test]
fn held_offsets_is_the_position_less_one() {
    let rig = Rig::new(1);
    rig.kafka.append_raw("t", 0, &batch_at(0, &[1, 2, 3, 4, 5])).unwrap();
    let consumer = simple(&rig);
    // PyKafka says -2 before anything was consumed; here it is where reading begins.
    assert_eq!(position(&consumer), 0);
    for held in 0..5 {
        let message = consumer.next(WAIT).unwrap();
        assert_eq!((message.record().offset(), position(&consumer)), (held, held + 1));
    }
    // commit_offsets commits what is held, plus one.
    consumer.commit(None, WAIT, None).unwrap();
    assert_eq!(rig.kafka.committed("g", "t", 0), Some(5));
}

#[test]
fn consumer_timeout_ms_is_the_time_of_each_call_and_its_end_is_no_error() {
    let rig = Rig::new(1);
    let consumer = simple(&rig);
    for timeout in [0, 60] {
        let start = Instant::now();
        assert_code(consumer.next(timeout), Code::NOTHING);
        assert!(start.elapsed() >= Duration::from_millis(timeout as u64), "not before");
    }
    rig.write(0, 2);
    assert_eq!(
        consumer.next(WAIT).unwrap().record().offset(),
        0,
        "it goes on as if nothing had been"
    );
    // -1 is PyKafka's default: as long as it takes.
    assert_eq!(consumer.next(-1).unwrap().record().offset(), 1);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| consumer.next(-1).map(|message| message.record().offset()));
        rig.write(0, 1);
        assert_eq!(waiting.join().unwrap().unwrap(), 2);
    });
}
