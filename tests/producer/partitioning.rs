//! Partitioners end to end: the property chooses, and free choices avoid what stands still.

use std::time::Instant;

use samsa::Code;
use samsa::embedded::{FaultKind, Options};
use samsa::producer::Record;

use crate::bench::{Bench, WAIT, bench_on, on_produce, soon};

/// How many records each partition has.
fn counts(bench: &Bench, partitions: i32) -> Vec<usize> {
    (0..partitions).map(|partition| bench.stored_in(partition).len()).collect()
}

#[test]
fn the_property_chooses_the_partitioner_by_any_of_its_names() {
    // What the tables in tests/golden say of the key f405 and 7 partitions.
    for (name, expected) in [
        ("default", 5),
        ("murmur2_random", 5),
        ("murmur2", 5),
        ("consistent", 1),
        ("consistent_random", 1),
        ("fnv1a", 5),
        ("hashing_partitioner", 2),
    ] {
        let bench = bench_on(Options::default(), 7, &[("partitioner", name)]);
        let record = Record::new(&bench.topic, b"v").with_key(&[0xf4, 0x05]);
        bench.producer.send(&record, WAIT).unwrap();
        assert_eq!(bench.flush(), 0);
        let found = counts(&bench, 7).iter().position(|count| *count == 1);
        assert_eq!(found, Some(expected), "{name}");
    }
}

#[test]
fn javas_class_name_stands_for_the_round_robin() {
    let class = "org.apache.kafka.clients.producer.RoundRobinPartitioner";
    let bench = bench_on(Options::default(), 3, &[("partitioner.class", class)]);
    for _ in 0..9 {
        let record = Record::new(&bench.topic, b"v").with_key(b"one key");
        bench.producer.send(&record, WAIT).unwrap();
    }
    assert_eq!(bench.flush(), 0);
    assert_eq!(counts(&bench, 3), [3, 3, 3]);
}

#[test]
fn a_partitioner_that_needs_a_key_refuses_a_record_without_one() {
    let bench = bench_on(Options::default(), 3, &[("partitioner", "hashing")]);
    let error = bench.producer.send(&Record::new(&bench.topic, b"v"), WAIT).unwrap_err();
    assert_eq!((error.code(), error.topic()), (Code::INVALID_ARGUMENT, Some("orders")));
    assert!(!error.is_retriable());
}

#[test]
fn kip_794_a_broker_that_takes_nothing_is_avoided_after_the_stated_time() {
    let options = Options { brokers: 2, ..Options::default() };
    let bench = bench_on(
        options,
        2,
        &[
            ("partitioner.availability.timeout.ms", "50"),
            ("max.in.flight.requests.per.connection", "1"),
            ("batch.size", "500"),
            ("delivery.timeout.ms", "120000"),
            ("request.timeout.ms", "60000"),
        ],
    );
    let silent = bench.kafka.inject(on_produce(FaultKind::Silence).partition(0).always());
    let send = |mark| {
        let record = Record::new(&bench.topic, &[7; 200]).with_opaque(mark);
        bench.producer.send(&record, WAIT).unwrap();
    };
    // Until the silent broker has a request, and something waits behind it for longer than that.
    let deadline = soon().unwrap();
    while bench.kafka.injected(silent) == 0 {
        assert!(Instant::now() < deadline, "no record went to the silent broker");
        send(1);
    }
    let behind = Instant::now();
    while behind.elapsed().as_millis() < 200 {
        send(1);
        // No faster than the other one answers: what piled up there would have to arrive first.
        let _ = bench.producer.poll(5);
    }
    // From now on everything goes to the other one, but for what sticks to the silent one already.
    (0..1_000).for_each(|_| send(2));
    let mut arrived = 0;
    while arrived < 995 {
        assert!(Instant::now() < deadline, "only {arrived} of 1000 avoided the silent broker");
        let Ok(deliveries) = bench.producer.poll(1_000) else { continue };
        arrived += deliveries.iter().filter(|one| one.opaque == 2 && one.partition == 1).count();
    }
    assert_eq!(counts(&bench, 2)[0], 0);
}
