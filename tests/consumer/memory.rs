//! The budget: what waits and what the application holds.

use std::time::Instant;

use samsa::Code;
use samsa::embedded::Options;
use samsa::protocol::record::{Compression, Format};

use crate::rig::{Rig, batch_of, deadline, place, poll};

const LIMITS: &[(&str, &str)] = &[
    ("samsa.memory.limit", "1000000"),
    ("max.partition.fetch.bytes", "100000"),
    ("max.poll.records", "50"),
];

fn fill(rig: &Rig, partition: i32) {
    let value = vec![b'x'; 2_000];
    for n in 0..100 {
        let values = vec![&value[..]; 10];
        let bytes = batch_of(n * 10, &values, Format::V2, Compression::None);
        rig.kafka.append_raw("t", partition, &bytes).unwrap();
    }
}

#[test]
fn held_batches_stop_fetching_it_is_said_once_and_a_release_resumes_at_once() {
    let rig = Rig::new(1);
    fill(&rig, 0);
    let consumer = rig.consumer(LIMITS);
    consumer.assign(&[place(0)]).unwrap();
    let mut held = Vec::new();
    let error = loop {
        match consumer.poll(300) {
            Ok(batch) => held.push(batch),
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), Code::MEMORY_LIMIT, "{error}");
    assert_eq!(error.property(), Some("samsa.memory.limit"));
    let bytes: usize =
        held.iter().flat_map(|b| b.iter()).filter_map(|r| Some(r.value()?.len())).sum();
    assert!((400_000..1_500_000).contains(&bytes), "{bytes} bytes were handed out");
    assert_eq!(consumer.poll(50).unwrap_err().code(), Code::NOTHING, "said once");
    held.clear();
    let mut count = bytes / 2_000;
    while count < 1_000 {
        count += poll(&consumer).len();
    }
    assert_eq!(count, 1_000);
}

#[test]
fn a_wait_without_a_limit_hears_of_a_stall_too() {
    let rig = Rig::new(1);
    fill(&rig, 0);
    let consumer = rig.consumer(LIMITS);
    consumer.assign(&[place(0)]).unwrap();
    let mut held = Vec::new();
    let limit = deadline();
    let error = loop {
        assert!(Instant::now() < limit);
        match consumer.poll(-1) {
            Ok(batch) => held.push(batch),
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), Code::MEMORY_LIMIT, "{error}");
}

#[test]
fn what_is_held_of_one_broker_does_not_stop_another() {
    let rig = Rig::with(Options { brokers: 2, replication_factor: 1, ..Options::default() }, 2);
    rig.kafka.move_leader("t", 0, 0).unwrap();
    rig.kafka.move_leader("t", 1, 1).unwrap();
    fill(&rig, 0);
    fill(&rig, 1);
    let consumer = rig.consumer(LIMITS);
    consumer.assign(&[place(0)]).unwrap();
    let mut held = Vec::new();
    while let Ok(batch) = consumer.poll(300) {
        held.push(batch);
    }
    consumer.assign(&[place(1)]).unwrap();
    assert!(poll(&consumer).iter().all(|record| record.partition() == 1));
}
