//! Flush, purge, close, drop: no record is forgotten in silence.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use samsa::Code;
use samsa::embedded::{Fault, FaultKind, Options};
use samsa::producer::{Deliveries, Producer, PurgeWhat, Record};
use samsa::protocol::modern::ApiKey;

use crate::bench::{MAYBE, NOT, THERE, WAIT, bench, bench_on, on_produce, seen, soon};

const ALL: PurgeWhat = PurgeWhat { queued: true, in_flight: true };

#[test]
fn rule_4_11_flush_covers_what_was_accepted_before_it_and_does_not_linger() {
    let bench = bench(&[("linger.ms", "15000"), ("delivery.timeout.ms", "60000")]);
    let before = Instant::now();
    (0..10).for_each(|mark| bench.send(mark));
    assert_eq!(bench.flush(), 0);
    assert!(before.elapsed() < Duration::from_secs(10));
    assert_eq!(bench.stored().len(), 10);
    assert_eq!(bench.outcomes(10).len(), 10, "deliveries wait for their poll");
}

#[test]
fn flush_counts_failures_since_the_last_one_and_gives_them_to_its_callback() {
    let bench = bench(&[("linger.ms", "1000"), ("retries", "0")]);
    bench.send(1);
    assert_eq!(bench.flush(), 0);
    bench.kafka.inject(on_produce(FaultKind::ErrorCode(19)));
    bench.send(2);
    bench.send(3);
    let mut told = Vec::new();
    let (failed, result) = bench
        .producer
        .flush(WAIT, Some(&mut |deliveries| told.extend(deliveries.iter().map(|one| seen(&one)))));
    result.unwrap();
    assert_eq!(failed, 2);
    let refused = |mark| (mark, Code::NOT_ENOUGH_REPLICAS, NOT, -1);
    assert_eq!(told, [(1, Code::NONE, THERE, 0), refused(2), refused(3)]);
    assert_eq!(bench.flush(), 0, "counted once");
}

#[test]
fn a_flush_out_of_time_says_how_much_is_left_and_a_wakeup_ends_it() {
    let bench = bench(&[]);
    bench.send(1);
    assert_eq!(bench.flush(), 0);
    bench.kafka.inject(on_produce(FaultKind::Silence));
    bench.send(2);
    let error = bench.producer.flush(50, None).1.unwrap_err();
    assert_eq!(error.code(), Code::TIMED_OUT);
    assert!(error.message().contains("1 records"), "{error}");
    bench.producer.wakeup();
    assert_eq!(bench.producer.flush(WAIT, None).1.unwrap_err().code(), Code::WOKEN);
}

#[test]
fn purge_ends_what_is_queued_and_what_is_in_flight_apart() {
    // One batch in flight, so that the second is not sent.
    let bench = bench(&[("batch.size", "100"), ("enable.idempotence", "false")]);
    bench.send(1);
    assert_eq!(bench.outcomes(1).len(), 1);
    let fault = bench.kafka.inject(on_produce(FaultKind::Silence));
    bench.send(2);
    bench.kafka.wait_injected(fault, 1, soon().unwrap()).unwrap();
    bench.send(3);
    let queued = PurgeWhat { queued: true, in_flight: false };
    assert_eq!(bench.producer.purge(queued).unwrap(), 1);
    assert_eq!(bench.outcomes(1), [(3, Code::PURGED, NOT, -1)]);
    assert_eq!(bench.producer.purge(ALL).unwrap(), 1);
    assert_eq!(bench.outcomes(1), [(2, Code::PURGED, MAYBE, -1)]);
}

#[test]
fn close_sends_what_is_queued_and_later_calls_say_closed_when_all_is_read() {
    let bench = bench(&[("linger.ms", "15000"), ("delivery.timeout.ms", "60000")]);
    (0..5).for_each(|mark| bench.send(mark));
    bench.producer.close(WAIT, None).unwrap();
    assert_eq!(bench.stored().len(), 5);
    assert_eq!(bench.outcomes(5).len(), 5, "deliveries can be read after it");
    assert_eq!(bench.producer.poll(-1).unwrap_err().code(), Code::CLOSED, "and never waits");
    let record = Record::new(&bench.topic, b"x");
    assert_eq!(bench.producer.send(&record, -1).unwrap_err().code(), Code::CLOSED);
    assert_eq!(bench.producer.flush(-1, None).1.unwrap_err().code(), Code::CLOSED);
    bench.producer.close(0, None).unwrap();
}

#[test]
fn rule_13_9_close_out_of_time_gives_every_record_an_outcome() {
    // One batch in flight, so that the second is not sent.
    let bench = bench(&[("enable.idempotence", "false")]);
    bench.send(1);
    assert_eq!(bench.outcomes(1).len(), 1);
    let fault = bench.kafka.inject(on_produce(FaultKind::Silence));
    bench.send(2);
    bench.kafka.wait_injected(fault, 1, soon().unwrap()).unwrap();
    bench.send(3);
    let mut told = Vec::new();
    let error = bench
        .producer
        .close(50, Some(&mut |deliveries| told.extend(deliveries.iter().map(|one| seen(&one)))))
        .unwrap_err();
    assert_eq!(error.code(), Code::TIMED_OUT);
    assert!(error.message().contains("2 records"), "{error}");
    assert_eq!(told, [(2, Code::CLOSED, MAYBE, -1), (3, Code::CLOSED, NOT, -1)]);
    bench.producer.close(0, None).unwrap();
}

#[test]
fn close_ends_waits_of_other_threads() {
    let bench = bench(&[("buffer.memory", "20000")]);
    bench.send(1);
    assert_eq!(bench.outcomes(1).len(), 1);
    bench.kafka.inject(on_produce(FaultKind::Silence));
    let record = Record::new(&bench.topic, &[0; 8_000]).to_partition(0);
    while bench.producer.send(&record, 0).is_ok() {}
    std::thread::scope(|threads| {
        let sender = threads.spawn(|| {
            let record = Record::new(&bench.topic, &[0; 8_000]).to_partition(0);
            loop {
                if let Err(error) = bench.producer.send(&record, WAIT) {
                    return error.code();
                }
            }
        });
        let poller = threads.spawn(|| {
            loop {
                if let Err(error) = bench.producer.poll(WAIT) {
                    return error.code();
                }
            }
        });
        assert_eq!(bench.producer.close(100, None).unwrap_err().code(), Code::TIMED_OUT);
        assert_eq!((sender.join().unwrap(), poller.join().unwrap()), (Code::CLOSED, Code::CLOSED));
    });
}

#[test]
fn closing_the_cluster_closes_its_producers_first() {
    let bench = bench(&[("linger.ms", "15000"), ("delivery.timeout.ms", "60000")]);
    bench.send(1);
    bench.cluster.close(soon()).unwrap();
    assert_eq!(bench.stored(), ["1"]);
    assert_eq!(bench.outcomes(1).len(), 1);
    assert_eq!(bench.producer.poll(0).unwrap_err().code(), Code::CLOSED);
}

#[test]
fn a_producer_that_cannot_end_does_not_take_the_others_time_when_their_cluster_closes() {
    let patient = [("linger.ms", "60000"), ("delivery.timeout.ms", "120000")];
    let bench = bench(&patient);
    bench.kafka.create_topic("refused", 1).unwrap();
    let refused = Fault::new(FaultKind::ErrorCode(19)).api(ApiKey::Produce).topic("refused");
    bench.kafka.inject(refused.always());
    let never = bench.cluster.topic("refused").unwrap();
    bench.producer.send(&Record::new(&never, b"never"), WAIT).unwrap();
    let second = Producer::new(&bench.cluster, None).unwrap();
    // Its connection and its id are there: the close needs one round trip.
    second.send(&Record::new(&bench.topic, b"0"), WAIT).unwrap();
    second.flush(WAIT, None).1.unwrap();
    drop(second.poll(0).unwrap());
    second.send(&Record::new(&bench.topic, b"1"), WAIT).unwrap();
    let limit = Some(Instant::now() + Duration::from_secs(3));
    assert_eq!(bench.cluster.close(limit).unwrap_err().code(), Code::TIMED_OUT);
    assert_eq!(bench.stored(), ["0", "1"]);
    let told = second.poll(0).unwrap();
    assert_eq!(told.iter().map(|one| one.status).collect::<Vec<_>>(), [THERE]);
}

#[test]
fn a_producer_of_a_closed_cluster_is_refused() {
    let bench = bench(&[]);
    bench.cluster.close(soon()).unwrap();
    assert_eq!(Producer::new(&bench.cluster, None).unwrap_err().code(), Code::CLOSED);
}

#[test]
fn of_two_closes_at_once_one_waits_for_the_other() {
    for _ in 0..50 {
        let bench = bench(&[]);
        bench.send(1);
        let begin = Barrier::new(2);
        let closed = std::thread::scope(|scope| {
            let close = || {
                begin.wait();
                bench.producer.close(WAIT, None)
            };
            let other = scope.spawn(close);
            [close(), other.join().unwrap()]
        });
        closed.into_iter().for_each(|outcome| outcome.unwrap());
        assert_eq!(bench.outcomes(1).len(), 1);
    }
}

#[test]
fn polls_say_closed_only_after_the_last_outcome() {
    for _ in 0..100 {
        let bench = bench(&[]);
        std::thread::scope(|scope| {
            let polled = scope.spawn(|| {
                let mut told = 0;
                loop {
                    match bench.producer.poll(0) {
                        Ok(deliveries) => told += deliveries.iter().count(),
                        Err(error) if error.code() == Code::CLOSED => return told,
                        Err(error) => assert_eq!(error.code(), Code::NOTHING),
                    }
                }
            });
            bench.send(1);
            bench.producer.close(WAIT, None).unwrap();
            assert_eq!(polled.join().unwrap(), 1);
        });
    }
}

#[test]
fn a_flush_keeps_its_time_while_others_send_and_its_callback_is_slow() {
    // Each partition has a broker of its own: silence is a connection's.
    let bench = bench_on(Options { brokers: 2, ..Options::default() }, 2, &[]);
    bench.send(1);
    assert_eq!(bench.flush(), 0);
    // One partition is stuck; the other goes on, faster than the callback.
    let stuck = on_produce(FaultKind::Silence).partition(1);
    bench.kafka.inject(stuck);
    bench.producer.send(&Record::new(&bench.topic, b"stuck").to_partition(1), WAIT).unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let record = Record::new(&bench.topic, b"more").to_partition(0);
            while !over.load(Ordering::Relaxed) {
                let _ = bench.producer.send(&record, 100);
            }
        });
        let mut told = 0;
        let mut slow = |_| {
            told += 1;
            std::thread::sleep(Duration::from_millis(5));
        };
        let begun = Instant::now();
        let outcome = bench.producer.flush(300, Some(&mut slow)).1;
        over.store(true, Ordering::Relaxed);
        assert_eq!(outcome.unwrap_err().code(), Code::TIMED_OUT);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        assert!(told > 0, "the callback was to be slow");
    });
}

#[test]
fn a_flush_that_is_through_when_its_time_is_over_says_so() {
    let bench = bench(&[]);
    bench.send(1);
    assert_eq!(bench.flush(), 0);
    drop(bench.outcomes(1));
    bench.send(2);
    bench.send(3);
    // The callback takes longer than the flush may, and all is settled meanwhile.
    let mut told = Vec::new();
    let mut slow = |deliveries: Deliveries| {
        told.extend(deliveries.iter().map(|one| one.opaque));
        let late = Instant::now() + Duration::from_millis(600);
        while Instant::now() < late || bench.producer.load().unwrap().batches > 0 {
            std::thread::yield_now();
        }
    };
    let outcome = bench.producer.flush(500, Some(&mut slow)).1;
    if told.is_empty() {
        // Too slow a machine to be acknowledged within the time.
        assert_eq!(outcome.unwrap_err().code(), Code::TIMED_OUT);
    } else {
        outcome.unwrap();
        assert_eq!(told, [2, 3]);
    }
}

#[test]
fn a_close_keeps_its_time_although_its_callback_is_slow() {
    let bench = bench(&[("batch.size", "1"), ("buffer.memory", "1000000")]);
    bench.send(1);
    assert_eq!(bench.flush(), 0);
    (0..2_000).for_each(|mark| bench.send(mark));
    let mut slow = |_| std::thread::sleep(Duration::from_millis(20));
    let begun = Instant::now();
    let outcome = bench.producer.close(50, Some(&mut slow));
    let took = begun.elapsed();
    assert!(outcome.is_ok() || took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn a_producer_that_is_dropped_leaves_no_task_behind_and_hangs_nobody() {
    let bench = bench(&[]);
    bench.send(1);
    bench.kafka.inject(on_produce(FaultKind::Silence));
    bench.send(2);
    let cluster = Arc::downgrade(&bench.cluster);
    drop(bench.producer);
    drop(bench.topic);
    drop(bench.cluster);
    let deadline = soon().unwrap();
    while cluster.strong_count() > 0 {
        assert!(Instant::now() < deadline, "a task of the producer keeps the cluster alive");
        std::thread::yield_now();
    }
}

#[test]
fn closing_the_cluster_inside_a_callback_of_a_close_does_not_wait_for_itself() {
    let bench = bench(&[]);
    bench.send(1);
    let mut inner = Ok(());
    let mut close_all = |_| inner = bench.cluster.close(soon());
    bench.producer.close(WAIT, Some(&mut close_all)).unwrap();
    assert_eq!(inner.unwrap_err().code(), Code::IN_CALLBACK);
}
