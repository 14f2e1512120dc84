//! Partitions that nobody serves may have half of `buffer.memory` together; the others go on.

use std::time::Instant;

use samsa::Code;
use samsa::embedded::{Cluster, Options, TopicSpec};
use samsa::error::Error;
use samsa::producer::Record;

use crate::bench::{Bench, THERE, WAIT, bench, on, soon};

const TOTAL: u64 = 100_000;

/// Two brokers; partitions 0 and 2 are the first one's, 1 and 3 the second's, which is gone.
fn half_dead() -> Bench {
    let kafka = Cluster::start_with(Options { brokers: 2, ..Options::default() }).unwrap();
    let spec = TopicSpec {
        assignment: vec![vec![0], vec![1], vec![0], vec![1]],
        ..TopicSpec::new("orders", 4)
    };
    kafka.create_topic_with(&spec).unwrap();
    let total = TOTAL.to_string();
    let bench = on(kafka, &[("buffer.memory", &total), ("batch.size", "4000")]);
    (0..4).for_each(|partition| send(&bench, partition, WAIT).unwrap());
    assert_eq!(bench.outcomes(4).iter().filter(|seen| seen.1 == Code::NONE).count(), 4);
    bench.kafka.stop_broker(1).unwrap();
    // Noticed by the first record that cannot leave.
    send(&bench, 3, WAIT).unwrap();
    let deadline = soon().unwrap();
    while bench.topic.metadata().unwrap().partitions[3].error.is_none() {
        assert!(Instant::now() < deadline, "it is still led");
        std::thread::yield_now();
    }
    bench
}

fn send(bench: &Bench, partition: i64, timeout_ms: i32) -> Result<(), Error> {
    let record = Record::new(&bench.topic, &[b'v'; 500]).to_partition(partition);
    bench.producer.send(&record.with_opaque(partition.unsigned_abs()), timeout_ms)
}

/// Sends to a partition until it takes no more; gives how many it took, and why.
fn fill(bench: &Bench, partition: i64) -> (usize, Error) {
    fill_waiting(bench, partition, 0)
}

fn fill_waiting(bench: &Bench, partition: i64, timeout_ms: i32) -> (usize, Error) {
    let deadline = soon().unwrap();
    let mut accepted = 0;
    loop {
        assert!(Instant::now() < deadline, "it never fills");
        match send(bench, partition, timeout_ms) {
            Ok(()) => accepted += 1,
            Err(error) => return (accepted, error),
        }
    }
}

/// With partition 1 full, and how many records that took. The producer may hear of the broker's end when
/// the partition has taken the whole buffer already, which it keeps: then once more.
fn filled() -> (Bench, usize, Error) {
    for _ in 0..10 {
        let bench = half_dead();
        let (accepted, error) = fill(&bench, 1);
        if error.partition().is_some() {
            return (bench, accepted, error);
        }
    }
    panic!("the producer never hears in time that the partition has no leader");
}

#[test]
fn records_of_partitions_whose_broker_is_gone_leave_half_of_the_buffer_to_the_others() {
    let (bench, first, error) = filled();
    assert_eq!((error.code(), error.partition()), (Code::WOULD_BLOCK, Some(1)), "{error}");
    assert!(error.message().contains("half of buffer.memory=100000"), "{error}");
    assert!(error.cause().is_some(), "and why: {error}");
    let (second, error) = fill(&bench, 3);
    assert_eq!(error.partition(), Some(3), "they share it: {error}");
    let held = bench.producer.load().unwrap().bytes;
    assert!(held > TOTAL / 3 && held < TOTAL * 6 / 10, "{held}");
    // A send that waits for its part stands in nobody's way.
    std::thread::scope(|threads| {
        let waiting = threads.spawn(|| send(&bench, 1, WAIT));
        for round in 0..10 {
            (0..100).for_each(|at| send(&bench, at % 2 * 2, WAIT).unwrap());
            let told = bench.outcomes(100);
            assert!(told.iter().all(|seen| (seen.1, seen.2) == (Code::NONE, THERE)), "{round}");
        }
        bench.kafka.start_broker(1).unwrap();
        waiting.join().unwrap().unwrap();
    });
    let dead = first + second + 2;
    assert!(bench.outcomes(dead).iter().all(|seen| seen.1 == Code::NONE));
    assert_eq!(bench.stored_in(1).len() + bench.stored_in(3).len(), dead + 2);
}

#[test]
fn a_send_to_a_partition_that_nobody_serves_ends_by_max_block_and_says_why() {
    let (bench, ..) = filled();
    // A batch that was closed meanwhile may have given back what it did not need.
    let (_, error) = fill_waiting(&bench, 1, 50);
    assert_eq!((error.code(), error.partition()), (Code::BUFFER_FULL, Some(1)), "{error}");
    assert_eq!(error.property(), Some("buffer.memory"));
    send(&bench, 0, 0).unwrap();
}

#[cfg(unix)]
#[test]
fn who_was_sent_away_from_a_partition_is_told_when_it_is_served_again() {
    let bench = half_dead();
    let fd = i32::try_from(bench.producer.fd().unwrap()).unwrap();
    fill(&bench, 1);
    bench.kafka.start_broker(1).unwrap();
    let deadline = soon().unwrap();
    while send(&bench, 1, 0).is_err() {
        assert!(Instant::now() < deadline);
        crate::memory::wait_readable(fd);
        let _ = bench.producer.poll(0);
    }
}

#[test]
fn a_partition_without_living_neighbours_may_fill_the_buffer() {
    let total = TOTAL.to_string();
    let bench = bench(&[("buffer.memory", &total), ("batch.size", "4000")]);
    send(&bench, 0, WAIT).unwrap();
    assert_eq!(bench.outcomes(1).len(), 1);
    bench.kafka.stop_broker(0).unwrap();
    fill(&bench, 0);
    let held = bench.producer.load().unwrap().bytes;
    assert!(held > TOTAL * 9 / 10, "{held}");
}
