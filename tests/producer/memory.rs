//! `buffer.memory`: bounded, waited for, told.

use std::time::{Duration, Instant};

use samsa::Code;
use samsa::embedded::FaultKind;
use samsa::producer::Record;

use crate::bench::{Bench, WAIT, bench, on_produce, soon};

fn full(properties: &[(&str, &str)]) -> Bench {
    let small = [("buffer.memory", "40000"), ("batch.size", "8000")];
    let all: Vec<_> = small.iter().chain(properties).copied().collect();
    let bench = bench(&all);
    bench.send(1);
    assert_eq!(bench.outcomes(1).len(), 1);
    // From now on nothing is acknowledged.
    bench.kafka.inject(on_produce(FaultKind::Silence));
    let record = Record::new(&bench.topic, &[0; 4_000]).to_partition(0);
    let deadline = soon().unwrap();
    loop {
        match bench.producer.send(&record, 0) {
            Ok(()) => assert!(Instant::now() < deadline, "it never fills"),
            Err(error) => {
                assert_eq!(error.code(), Code::WOULD_BLOCK);
                return bench;
            }
        }
    }
}

#[test]
fn rule_4_12_a_full_buffer_is_bounded_by_max_block_and_says_who_holds_it() {
    let bench = full(&[("max.block.ms", "150")]);
    let record = Record::new(&bench.topic, &[0; 4_000]).to_partition(0);
    let before = Instant::now();
    let error = bench.producer.send(&record, -1).unwrap_err();
    assert_eq!(error.code(), Code::BUFFER_FULL);
    assert!(error.is_retriable());
    assert!(error.message().contains("buffer.memory=40000"), "{error}");
    let took = before.elapsed();
    assert!(took >= Duration::from_millis(145) && took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_wakeup_ends_a_wait_for_room() {
    let bench = full(&[]);
    std::thread::scope(|threads| {
        let waiter = threads.spawn(|| {
            let record = Record::new(&bench.topic, &[0; 4_000]).to_partition(0);
            bench.producer.send(&record, -1).unwrap_err().code()
        });
        bench.producer.wakeup();
        assert_eq!(waiter.join().unwrap(), Code::WOKEN);
    });
}

#[test]
fn room_that_comes_back_lets_waiters_in_one_after_the_other() {
    let bench = full(&[("request.timeout.ms", "300"), ("delivery.timeout.ms", "20000")]);
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                let record = Record::new(&bench.topic, &[0; 4_000]).to_partition(0);
                bench.producer.send(&record, WAIT).unwrap();
            });
        }
    });
    assert_eq!(bench.flush(), 0);
}

#[cfg(unix)]
#[test]
fn the_descriptor_tells_once_that_there_is_room_again() {
    let bench = full(&[("request.timeout.ms", "300"), ("delivery.timeout.ms", "20000")]);
    let fd = i32::try_from(bench.producer.fd().unwrap()).unwrap();
    let record = Record::new(&bench.topic, &[0; 4_000]).to_partition(0);
    let deadline = soon().unwrap();
    while bench.producer.send(&record, 0).is_err() {
        assert!(Instant::now() < deadline);
        wait_readable(fd);
        let _ = bench.producer.poll(0);
    }
}

#[cfg(unix)]
#[allow(unsafe_code, reason = "poll(2), as an event loop calls it")]
fn wait_readable(fd: i32) {
    let mut poll = [libc::pollfd { fd, events: libc::POLLIN, revents: 0 }];
    // SAFETY: one valid pollfd, and a bounded wait.
    unsafe { libc::poll(poll.as_mut_ptr(), 1, 1_000) };
}

#[test]
fn rule_4_12_unread_deliveries_are_not_waited_for_and_named() {
    let bench = bench(&[
        ("buffer.memory", "20000"),
        ("batch.size", "200"),
        ("samsa.delivery.keep", "true"),
    ]);
    let record = Record::new(&bench.topic, &[0; 150]).to_partition(0);
    let deadline = soon().unwrap();
    let error = loop {
        assert!(Instant::now() < deadline);
        match bench.producer.send(&record, WAIT) {
            Ok(()) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), Code::UNREAD_DELIVERIES);
    assert!(error.message().contains("poll the producer"), "{error}");
    drop(bench.producer.poll(0).unwrap());
    bench.producer.send(&record, WAIT).unwrap();
}

#[test]
fn without_reports_nothing_piles_up() {
    let bench = bench(&[
        ("buffer.memory", "20000"),
        ("batch.size", "200"),
        ("samsa.delivery.report", "none"),
    ]);
    let record = Record::new(&bench.topic, &[0; 150]).to_partition(0);
    (0..500).for_each(|_| bench.producer.send(&record, WAIT).unwrap());
    assert_eq!(bench.flush(), 0);
    assert_eq!(bench.producer.poll(0).unwrap_err().code(), Code::NOTHING);
    assert_eq!(bench.stored().len(), 500);
}

#[test]
fn failures_alone_are_told_on_request() {
    let bench = bench(&[("samsa.delivery.report", "failures"), ("retries", "0")]);
    bench.send(1);
    assert_eq!(bench.flush(), 0);
    bench.kafka.inject(on_produce(FaultKind::ErrorCode(29)));
    bench.send(2);
    assert_eq!(bench.flush(), 1);
    bench.send(3);
    assert_eq!(bench.flush(), 0);
    let told = bench.outcomes(1);
    assert_eq!((told[0].0, told[0].1), (2, Code::TOPIC_AUTHORIZATION_FAILED));
    assert_eq!(bench.producer.poll(0).unwrap_err().code(), Code::NOTHING);
}

#[test]
fn rule_4_12_a_send_inside_a_callback_never_waits_for_room() {
    let bench = bench(&[("buffer.memory", "40000"), ("batch.size", "8000")]);
    bench.send(1);
    // Told once the buffer is full: the answer before it was held back until then.
    let record = Record::new(&bench.topic, &[0; 4_000]).to_partition(0);
    let mut refused = None;
    let (_, result) = bench.producer.flush(
        WAIT,
        Some(&mut |_| {
            bench.kafka.inject(on_produce(FaultKind::Silence));
            let deadline = soon().unwrap();
            refused = loop {
                assert!(Instant::now() < deadline, "it never fills");
                match bench.producer.send(&record, -1) {
                    Ok(()) => {}
                    Err(error) => break Some(error.code()),
                }
            };
        }),
    );
    result.unwrap();
    assert_eq!(refused, Some(Code::WOULD_BLOCK));
}
