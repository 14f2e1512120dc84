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

/// Batches of 200 records that decompress to a hundred times their size.
fn fill_compressed(rig: &Rig, partition: i32, batches: i64) {
    let value = vec![b'x'; 1_000];
    for n in 0..batches {
        let values = vec![&value[..]; 200];
        let bytes = batch_of(n * 200, &values, Format::V2, Compression::Lz4);
        rig.kafka.append_raw("t", partition, &bytes).unwrap();
    }
}

fn held_bytes(held: &[samsa::consumer::Batch]) -> usize {
    held.iter().flat_map(|b| b.iter()).filter_map(|r| Some(r.value()?.len())).sum()
}

#[test]
fn what_was_decompressed_counts_and_held_batches_stop_reading_too() {
    let rig = Rig::new(2);
    fill_compressed(&rig, 0, 20);
    fill_compressed(&rig, 1, 20);
    let consumer = rig.consumer(LIMITS);
    consumer.assign(&[place(0), place(1)]).unwrap();
    let (mut held, mut count, mut stalls) = (Vec::new(), 0, 0);
    let limit = deadline();
    while count < 2 * 20 * 200 {
        assert!(Instant::now() < limit, "{count} messages came");
        match consumer.poll(20) {
            Ok(batch) => {
                count += batch.len();
                held.push(batch);
                let bytes = held_bytes(&held);
                assert!(bytes < 1_500_000, "{bytes} bytes are held, the limit is 1,000,000");
            }
            Err(error) if error.code() == Code::MEMORY_LIMIT => {
                stalls += 1;
                held.clear();
            }
            Err(error) => assert_eq!(error.code(), Code::NOTHING, "{error}"),
        }
    }
    assert!(stalls >= 5, "{stalls} stalls for 8 MB");
}

#[test]
fn a_reader_that_waits_for_room_goes_on_when_another_thread_frees() {
    let rig = Rig::new(1);
    fill_compressed(&rig, 0, 20);
    let consumer = rig.consumer(LIMITS);
    consumer.assign(&[place(0)]).unwrap();
    let mut held = Vec::new();
    while let Ok(batch) = consumer.poll(300) {
        held.push(batch);
    }
    let before: usize = held.iter().map(samsa::consumer::Batch::len).sum();
    assert!(before < 20 * 200, "it stalled");
    std::thread::scope(|threads| {
        let waiter = threads.spawn(|| poll(&consumer).len());
        held.clear();
        assert!(waiter.join().unwrap() > 0);
    });
}

#[test]
fn a_batch_larger_than_the_limit_is_read_all_the_same_by_poll_and_by_next() {
    let rig = Rig::new(1);
    let value = vec![b'x'; 1_000];
    for n in 0..4 {
        let bytes = batch_of(n * 3_000, &vec![&value[..]; 3_000], Format::V2, Compression::Lz4);
        rig.kafka.append_raw("t", 0, &bytes).unwrap();
    }
    let consumer = rig.consumer(LIMITS);
    consumer.assign(&[place(0)]).unwrap();
    let mut count = 0;
    while count < 6_000 {
        count += poll(&consumer).len();
    }
    for _ in count..12_000 {
        consumer.next(20_000).unwrap();
    }
}
