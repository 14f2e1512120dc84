//! Fetch sessions (KIP-227) from the application's side: nothing is seen of them but their cost.

use std::sync::Arc;

use samsa::consumer::Consumer;
use samsa::embedded::{Fault, FaultKind, Options};

use crate::rig::{FETCH, Rig, deadline, place, read, read_one};

/// The sizes of the Fetch requests that came so far.
fn sizes(rig: &Rig) -> Vec<usize> {
    rig.kafka.history().iter().filter(|seen| seen.api == FETCH).map(|seen| seen.size).collect()
}

/// Waits for so many further Fetch requests.
fn fetches(rig: &Rig, more: u64) {
    let seen = rig.kafka.requests(FETCH);
    rig.kafka.wait_requests(FETCH, seen + more, deadline()).unwrap();
}

fn reader(rig: &Rig, partitions: i32) -> Arc<Consumer> {
    let consumer = rig.consumer(&[("fetch.max.wait.ms", "20")]);
    let places: Vec<_> = (0..partitions).map(|p| place(p).at(0)).collect();
    consumer.assign(&places).unwrap();
    consumer
}

#[test]
fn a_thousand_idle_partitions_cost_a_few_bytes_a_request() {
    let rig = Rig::new(1_000);
    let consumer = reader(&rig, 1_000);
    rig.kafka.wait_fetch_sessions(0, 1, deadline()).unwrap();
    fetches(&rig, 4);
    let sizes = sizes(&rig);
    assert!(sizes[0] > 10_000, "the first names all: {sizes:?}");
    assert!(sizes[sizes.len() - 2..].iter().all(|size| *size < 100), "{sizes:?}");
    rig.write(700, 3);
    assert_eq!(read(&consumer, 3)[&700], [0, 1, 2]);
}

#[test]
fn rule_6_1_closing_frees_the_place_at_the_broker() {
    let rig = Rig::new(2);
    // Looking for the end opens the connection for short questions, over which the farewell goes.
    let consumer = rig.reader(&[0, 1]);
    rig.kafka.wait_fetch_sessions(0, 1, deadline()).unwrap();
    fetches(&rig, 1);
    consumer.close(0).unwrap();
    rig.kafka.wait_fetch_sessions(0, 0, deadline()).unwrap();
}

#[test]
fn a_broker_that_has_nothing_for_us_any_more_keeps_no_session() {
    let rig = Rig::with(Options { brokers: 2, ..Options::default() }, 1);
    rig.kafka.move_leader("t", 0, 0).unwrap();
    rig.write(0, 1);
    let consumer = rig.reader(&[0]);
    assert_eq!(read_one(&consumer, 1), [0]);
    rig.kafka.wait_fetch_sessions(0, 1, deadline()).unwrap();
    rig.kafka.move_leader("t", 0, 1).unwrap();
    rig.write(0, 1);
    assert_eq!(read_one(&consumer, 1), [1]);
    rig.kafka.wait_fetch_sessions(0, 0, deadline()).unwrap();
}

#[test]
fn rule_6_2_a_session_that_the_broker_lost_is_begun_anew_without_loss() {
    for code in [71, 106] {
        let rig = Rig::new(2);
        rig.write(0, 3);
        let consumer = reader(&rig, 2);
        assert_eq!(read(&consumer, 3)[&0], [0, 1, 2]);
        rig.kafka.wait_fetch_sessions(0, 1, deadline()).unwrap();
        let fault = Fault::new(FaultKind::ErrorCode(code)).api(FETCH);
        let id = rig.kafka.inject(fault);
        rig.kafka.wait_injected(id, 1, deadline()).unwrap();
        rig.write(0, 2);
        rig.write(1, 2);
        let offsets = read(&consumer, 4);
        assert_eq!((&offsets[&0][..], &offsets[&1][..]), (&[3, 4][..], &[0, 1][..]), "{code}");
        rig.kafka.wait_fetch_sessions(0, 1, deadline()).unwrap();
    }
}

#[test]
fn rule_6_2_a_session_that_the_broker_evicted_is_begun_anew_without_loss() {
    let rig = Rig::new(1);
    let consumer = reader(&rig, 1);
    for round in 0..3 {
        rig.write(0, 2);
        assert_eq!(read_one(&consumer, 2), [round * 2, round * 2 + 1]);
        rig.kafka.wait_fetch_sessions(0, 1, deadline()).unwrap();
        rig.kafka.forget_fetch_sessions(None).unwrap();
    }
}

#[test]
fn rule_6_2_after_a_broken_connection_the_new_session_takes_the_place_of_the_old() {
    let rig = Rig::new(1);
    rig.write(0, 3);
    let consumer = reader(&rig, 1);
    assert_eq!(read_one(&consumer, 3), [0, 1, 2]);
    for round in 0..3 {
        let id = rig.fetch_fault(FaultKind::DisconnectAfter);
        rig.kafka.wait_injected(id, 1, deadline()).unwrap();
        rig.write(0, 1);
        assert_eq!(read_one(&consumer, 1), [3 + round]);
        rig.kafka.wait_fetch_sessions(0, 1, deadline()).unwrap();
    }
}

#[test]
fn rule_6_3_without_a_place_at_the_broker_everything_is_read_all_the_same() {
    let rig = Rig::with(Options { fetch_session_slots: 0, ..Options::default() }, 3);
    let consumer = reader(&rig, 3);
    for round in 0..5 {
        (0..3).for_each(|partition| rig.write(partition, 2));
        let offsets = read(&consumer, 6);
        assert!((0..3).all(|p| offsets[&p] == [round * 2, round * 2 + 1]), "{offsets:?}");
    }
    fetches(&rig, 2);
    assert_eq!(rig.kafka.fetch_sessions(0).unwrap(), 0);
    let sizes = sizes(&rig);
    assert!(sizes.iter().all(|size| *size > 60), "the whole list each time: {sizes:?}");
}

#[test]
fn rule_6_5_pauses_seeks_and_assignments_reach_the_session() {
    let rig = Rig::new(3);
    (0..3).for_each(|partition| rig.write(partition, 4));
    let consumer = reader(&rig, 3);
    assert_eq!(read(&consumer, 12).len(), 3);
    consumer.pause(Some(&[place(1)])).unwrap();
    fetches(&rig, 2);
    (0..3).for_each(|partition| rig.write(partition, 1));
    let offsets = read(&consumer, 2);
    assert_eq!(offsets.keys().copied().collect::<Vec<_>>(), [0, 2]);
    consumer.seek(&[place(0).at(2)]).unwrap();
    consumer.resume(None).unwrap();
    let offsets = read(&consumer, 4);
    assert_eq!((&offsets[&0][..], &offsets[&1][..]), (&[2, 3, 4][..], &[4][..]));
    consumer.assign(&[place(2).at(0)]).unwrap();
    assert_eq!(read(&consumer, 5)[&2], [0, 1, 2, 3, 4]);
}
