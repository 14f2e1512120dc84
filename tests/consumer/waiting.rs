//! Waiting, waking, closing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use samsa::Code;

use crate::rig::{FETCH, Rig, assert_code, deadline, place, poll, read_one};

#[test]
fn a_poll_waits_as_long_as_it_may_and_no_longer() {
    let rig = Rig::new(1);
    let consumer = rig.reader(&[0]);
    assert_code(consumer.poll(0), Code::NOTHING);
    let start = Instant::now();
    assert_code(consumer.poll(80), Code::NOTHING);
    assert!(start.elapsed() >= Duration::from_millis(80));
    assert_code(consumer.poll(-2), Code::INVALID_ARGUMENT);
}

#[test]
fn rule_13_3_messages_that_come_during_a_wait_end_it() {
    let rig = Rig::new(1);
    let consumer = rig.reader(&[0]);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| poll(&consumer).len());
        rig.write(0, 3);
        assert_eq!(waiting.join().unwrap(), 3);
    });
}

#[test]
fn rule_1_18_the_long_poll_of_one_consumer_holds_up_no_other_of_its_cluster() {
    let rig = Rig::new(2);
    rig.write(0, 3);
    let quiet = rig.consumer(&[("fetch.max.wait.ms", "29000")]);
    quiet.assign(&[place(1)]).unwrap();
    rig.kafka.wait_requests(FETCH, 1, deadline()).unwrap();
    assert_eq!(read_one(&rig.reader(&[0]), 3), [0, 1, 2]);
}

#[test]
fn a_wakeup_ends_a_wait_or_the_next_one_and_is_remembered_once() {
    let rig = Rig::new(1);
    let consumer = rig.reader(&[0]);
    consumer.wakeup();
    consumer.wakeup();
    assert_code(consumer.poll(20_000), Code::WOKEN);
    assert_code(consumer.poll(0), Code::NOTHING);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| consumer.next(20_000));
        consumer.wakeup();
        assert_code(waiting.join().unwrap(), Code::WOKEN);
    });
}

#[cfg(unix)]
#[allow(unsafe_code, reason = "poll(2) is how event loops look at the descriptor")]
fn readable(fd: i32, timeout_ms: i32) -> bool {
    let mut watched = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one live struct, and its count.
    unsafe { libc::poll(&raw mut watched, 1, timeout_ms) == 1 }
}

#[cfg(unix)]
#[test]
fn the_descriptor_is_readable_while_a_poll_would_not_wait() {
    let rig = Rig::new(1);
    let consumer = rig.reader(&[0]);
    let fd = i32::try_from(consumer.fd().unwrap()).unwrap();
    while consumer.poll(0).is_ok() {}
    assert!(!readable(fd, 0), "nothing to read");
    rig.write(0, 3);
    assert!(readable(fd, 20_000), "messages came");
    assert_eq!(read_one(&consumer, 3), [0, 1, 2]);
    assert_code(consumer.poll(0), Code::NOTHING);
    assert!(!readable(fd, 0), "all was read");
    consumer.wakeup();
    assert!(readable(fd, 20_000), "woken");
    consumer.close(0).unwrap();
    assert!(readable(fd, 0), "a closed consumer does not wait");
}

#[test]
fn close_ends_waits_and_a_second_close_does_nothing() {
    let rig = Rig::new(1);
    let consumer = rig.reader(&[0]);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| consumer.poll(-1));
        consumer.close(1_000).unwrap();
        assert_code(waiting.join().unwrap(), Code::CLOSED);
    });
    consumer.close(1_000).unwrap();
    assert_code(consumer.next(-1), Code::CLOSED);
    assert_code(consumer.assignment(), Code::CLOSED);
    assert_code(consumer.pause(None), Code::CLOSED);
    assert_code(consumer.next_event(), Code::CLOSED);
}

#[test]
fn nothing_is_left_behind_when_consumers_come_and_go() {
    let rig = Rig::new(2);
    rig.write(0, 3);
    for _ in 0..20 {
        let consumer = rig.reader(&[0, 1]);
        assert_eq!(read_one(&consumer, 3), [0, 1, 2]);
    }
    assert!(rig.kafka.connections(None) < 10, "{}", rig.kafka.connections(None));
}

#[test]
fn a_dropped_consumer_lets_go_of_its_cluster() {
    for closes in [true, false] {
        let Rig { kafka, cluster } = Rig::new(2);
        let weak = Arc::downgrade(&cluster);
        let rig = Rig { kafka, cluster };
        rig.write(0, 3);
        let consumer = rig.reader(&[0, 1]);
        assert_eq!(read_one(&consumer, 3), [0, 1, 2]);
        if closes {
            consumer.close(1_000).unwrap();
        }
        drop(consumer);
        let Rig { kafka: _kafka, cluster } = rig;
        drop(cluster);
        let limit = crate::rig::deadline();
        while weak.strong_count() > 0 {
            // Tasks end on their own threads.
            std::thread::yield_now();
            assert!(Instant::now() < limit, "{} hold the cluster", weak.strong_count());
        }
    }
}
