//! Publishes: the caller waits, and knows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use samsa::Code;
use samsa::embedded::{FaultKind, Options};
use samsa::producer::{Producer, Record};

use crate::bench::{Bench, MAYBE, NOT, bench, bench_on, on_produce, soon};

fn publisher(bench: &Bench) -> Arc<Producer> {
    Producer::publisher(&bench.cluster).unwrap()
}

fn within(ms: u64) -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(ms))
}

#[test]
fn a_publish_gives_partition_and_offset_and_never_waits_out_linger() {
    let bench = bench(&[("linger.ms", "15000"), ("delivery.timeout.ms", "60000")]);
    let publisher = publisher(&bench);
    let before = Instant::now();
    for offset in 0..5 {
        let record = Record::new(&bench.topic, b"x").with_key(b"k");
        assert_eq!(publisher.publish(&[record], soon()).unwrap(), (0, offset));
    }
    assert!(before.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_list_goes_to_one_partition_in_order() {
    let bench = bench_on(Options::default(), 6, &[]);
    let publisher = publisher(&bench);
    let values: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    let records: Vec<_> =
        values.iter().map(|value| Record::new(&bench.topic, value.as_bytes())).collect();
    let (partition, first) = publisher.publish(&records, soon()).unwrap();
    assert_eq!(first, 0);
    assert_eq!(bench.stored_in(i32::try_from(partition).unwrap()), values);
}

#[test]
fn records_of_a_list_that_disagree_are_refused() {
    let bench = bench_on(Options::default(), 6, &[]);
    let publisher = publisher(&bench);
    let record = Record::new(&bench.topic, b"x");
    let (two, three) = (record.to_partition(2), record.to_partition(3));
    assert_eq!(publisher.publish(&[two, record, two], soon()).unwrap(), (2, 0));
    let error = publisher.publish(&[two, three], soon()).unwrap_err();
    assert_eq!(error.code(), Code::INVALID_ARGUMENT);
    assert_eq!(publisher.publish(&[], soon()).unwrap_err().code(), Code::INVALID_ARGUMENT);
}

#[test]
fn a_publish_out_of_time_that_was_sent_is_possibly_persisted() {
    let bench = bench(&[]);
    let publisher = publisher(&bench);
    publisher.publish(&[Record::new(&bench.topic, b"1")], soon()).unwrap();
    bench.kafka.inject(on_produce(FaultKind::Delay(2_000)));
    let error = publisher.publish(&[Record::new(&bench.topic, b"2")], within(150)).unwrap_err();
    assert_eq!((error.code(), error.persistence()), (Code::TIMED_OUT, MAYBE));
    assert_eq!((error.topic(), error.partition()), (Some("orders"), Some(0)));
}

#[test]
fn a_publish_out_of_time_that_was_not_sent_is_withdrawn() {
    // One batch in flight, so that the third is not sent.
    let bench = bench(&[("enable.idempotence", "false")]);
    let publisher = publisher(&bench);
    publisher.publish(&[Record::new(&bench.topic, b"1")], soon()).unwrap();
    let fault = bench.kafka.inject(on_produce(FaultKind::Delay(1_500)));
    std::thread::scope(|threads| {
        threads.spawn(|| publisher.publish(&[Record::new(&bench.topic, b"2")], soon()).unwrap());
        bench.kafka.wait_injected(fault, 1, soon().unwrap()).unwrap();
        let late = publisher.publish(&[Record::new(&bench.topic, b"3")], within(100));
        let error = late.unwrap_err();
        assert_eq!((error.code(), error.persistence()), (Code::TIMED_OUT, NOT));
    });
    publisher.publish(&[Record::new(&bench.topic, b"4")], soon()).unwrap();
    assert_eq!(bench.stored(), ["1", "2", "4"], "what was withdrawn never comes");
}

#[test]
fn a_refused_publish_tells_why_and_where() {
    let bench = bench(&[]);
    let publisher = publisher(&bench);
    bench.kafka.inject(on_produce(FaultKind::ErrorCode(87)));
    let error = publisher.publish(&[Record::new(&bench.topic, b"x")], soon()).unwrap_err();
    assert_eq!((error.code(), error.persistence()), (Code::INVALID_RECORD, NOT));
    assert!(error.broker().is_some() && error.partition() == Some(0), "{error:?}");
}

#[test]
fn the_clusters_wakeup_ends_a_publish_and_what_was_sent_is_told_as_perhaps_there() {
    let bench = bench(&[]);
    let publisher = publisher(&bench);
    publisher.publish(&[Record::new(&bench.topic, b"1")], soon()).unwrap();
    let fault = bench.kafka.inject(on_produce(FaultKind::Silence));
    std::thread::scope(|threads| {
        let waiter = threads
            .spawn(|| publisher.publish(&[Record::new(&bench.topic, b"2")], soon()).unwrap_err());
        bench.kafka.wait_injected(fault, 1, soon().unwrap()).unwrap();
        bench.cluster.wakeup();
        // No condition, which would have no room for it.
        let error = waiter.join().unwrap();
        assert_eq!((error.code(), error.persistence()), (Code::TIMED_OUT, MAYBE), "{error}");
        assert!(error.message().contains("woken"), "{error}");
    });
}

#[test]
fn publishers_on_several_threads_do_not_wait_for_each_others_partition() {
    let bench = bench_on(Options::default(), 8, &[]);
    let publisher = publisher(&bench);
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                for _ in 0..50 {
                    publisher.publish(&[Record::new(&bench.topic, b"x")], soon()).unwrap();
                }
            });
        }
    });
    let all: usize = (0..8).map(|partition| bench.stored_in(partition).len()).sum();
    assert_eq!(all, 200);
}
