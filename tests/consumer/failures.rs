//! What brokers do wrong: codes, disconnects, silence, moves, bad bytes.

use samsa::Code;
use samsa::embedded::{Fault, FaultKind, Options};
use samsa::protocol::record::Compression;

use crate::rig::{FETCH, Rig, assert_code, batch, deadline, place, poll_error, read, read_one};

#[test]
fn rule_6_15_passing_codes_stay_inside_and_the_data_comes() {
    for code in [3, 5, 6, 9, 56, 74, 75, 78, 100, 103, -1, 70, 71, 31_999] {
        let rig = Rig::new(1);
        rig.write(0, 5);
        let fault = Fault::new(FaultKind::ErrorCode(code)).api(FETCH).topic("t").times(2);
        let id = rig.kafka.inject(fault);
        let consumer = rig.reader(&[0]);
        assert_eq!(read_one(&consumer, 5), [0, 1, 2, 3, 4], "code {code}");
        assert_eq!(rig.kafka.injected(id), 2, "code {code}");
    }
}

#[test]
fn rule_6_15_a_refused_topic_is_told_once_and_others_go_on() {
    let rig = Rig::new(2);
    rig.write(0, 3);
    rig.write(1, 3);
    let fault = Fault::new(FaultKind::ErrorCode(29)).api(FETCH).topic("t").partition(0).times(6);
    let id = rig.kafka.inject(fault);
    let consumer = rig.reader(&[0]);
    let error = poll_error(&consumer);
    assert_eq!(error.code(), Code::TOPIC_AUTHORIZATION_FAILED);
    assert_eq!((error.topic(), error.partition()), (Some("t"), Some(0)));
    assert_eq!(read_one(&consumer, 3), [0, 1, 2], "told once; it heals by itself");
    assert_eq!(rig.kafka.injected(id), 6);
}

#[test]
fn rule_6_10_one_bad_partition_does_not_stop_the_others_of_its_broker() {
    let rig = Rig::new(2);
    rig.write(1, 3);
    let fault = Fault::new(FaultKind::ErrorCode(6)).api(FETCH).topic("t").partition(0).always();
    rig.kafka.inject(fault);
    let consumer = rig.reader(&[0, 1]);
    assert_eq!(read(&consumer, 3)[&1], [0, 1, 2]);
    rig.write(1, 2);
    assert_eq!(read(&consumer, 2)[&1], [3, 4]);
}

#[test]
fn broken_connections_and_answers_lose_and_repeat_nothing() {
    let kinds = [
        FaultKind::DisconnectBefore,
        FaultKind::DisconnectAfter,
        FaultKind::CloseMidFrame,
        FaultKind::Garbage,
        FaultKind::Malformed,
    ];
    for kind in kinds {
        let rig = Rig::new(1);
        rig.write(0, 5);
        let consumer = rig.consumer(&[("max.poll.records", "2")]);
        consumer.assign(&[place(0)]).unwrap();
        assert_eq!(read_one(&consumer, 2), [0, 1]);
        let id = rig.fetch_fault(kind);
        rig.write(0, 5);
        if kind == FaultKind::Garbage {
            let error = poll_error(&consumer);
            assert_eq!(error.code(), Code::FRAME_TOO_LARGE, "told, for it is no passing trouble");
            assert!(error.broker().is_some() && error.message().contains("HTTP"), "{error}");
            consumer.seek(&[place(0).at(2)]).unwrap();
        }
        assert_eq!(read_one(&consumer, 8), (2..10).collect::<Vec<_>>(), "{kind:?}");
        rig.kafka.wait_injected(id, 1, deadline()).unwrap();
        rig.write(0, 1);
        assert_eq!(read_one(&consumer, 1), [10], "{kind:?}");
    }
}

#[test]
fn reading_follows_the_leader() {
    let rig = Rig::with(Options { brokers: 3, ..Options::default() }, 1);
    let consumer = rig.reader(&[0]);
    for round in 0..6 {
        rig.write(0, 5);
        assert_eq!(read_one(&consumer, 5), (round * 5..round * 5 + 5).collect::<Vec<_>>());
        let (leader, _) = rig.kafka.leader("t", 0).unwrap();
        rig.kafka.move_leader("t", 0, (leader + 1) % 3).unwrap();
    }
}

#[test]
fn reading_goes_on_when_the_leader_dies_and_another_takes_over() {
    let rig = Rig::with(Options { brokers: 3, ..Options::default() }, 1);
    rig.write(0, 5);
    let consumer = rig.reader(&[0]);
    assert_eq!(read_one(&consumer, 5).len(), 5);
    let (leader, _) = rig.kafka.leader("t", 0).unwrap();
    rig.kafka.stop_broker(leader).unwrap();
    let (next, _) = rig.kafka.leader("t", 0).unwrap();
    if next == leader || next < 0 {
        rig.kafka.move_leader("t", 0, (leader + 1) % 3).unwrap();
    }
    rig.write(0, 5);
    assert_eq!(read_one(&consumer, 5), [5, 6, 7, 8, 9]);
}

#[test]
fn rule_3_13_a_corrupt_batch_is_named_once_and_can_be_skipped() {
    let rig = Rig::new(2);
    rig.write(0, 3);
    rig.write(1, 1);
    let mut bad = batch(3, 2, Compression::None);
    let last = bad.len() - 1;
    bad[last] ^= 1;
    rig.kafka.append_raw("t", 0, &bad).unwrap();
    rig.kafka.append_raw("t", 0, &batch(5, 2, Compression::None)).unwrap();
    let consumer = rig.reader(&[0, 1]);
    consumer.pause(Some(&[place(1)])).unwrap();
    assert_eq!(read_one(&consumer, 3), [0, 1, 2], "what came before it is delivered");
    let error = poll_error(&consumer);
    assert_eq!((error.topic(), error.partition()), (Some("t"), Some(0)));
    assert!(error.message().contains("offset 3"), "{error}");
    assert_eq!(consumer.position(Some(&[place(0)])).unwrap()[0].offset, Some(3));
    assert_code(consumer.poll(300), Code::NOTHING);
    consumer.resume(None).unwrap();
    assert_eq!(read(&consumer, 1)[&1], [0], "others go on");
    consumer.seek(&[place(0).at(5)]).unwrap();
    assert_eq!(read_one(&consumer, 2), [5, 6]);
}

#[test]
fn a_partition_that_does_not_exist_is_named() {
    let rig = Rig::new(2);
    let consumer = rig.reader(&[7]);
    let error = poll_error(&consumer);
    assert_eq!(error.code(), Code::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!((error.topic(), error.partition()), (Some("t"), Some(7)));
    rig.kafka.grow_topic("t", 8).unwrap();
    rig.write(7, 2);
    rig.cluster.refresh_now("the topic grew");
    assert_eq!(read(&consumer, 2)[&7], [0, 1], "and read once it does");
}

#[test]
fn closing_the_cluster_closes_its_consumers() {
    let rig = Rig::new(1);
    let consumer = rig.reader(&[0]);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| consumer.poll(20_000));
        rig.cluster.close(Some(deadline())).unwrap();
        assert_code(waiting.join().unwrap(), Code::CLOSED);
    });
    assert_code(consumer.poll(-1), Code::CLOSED);
}
