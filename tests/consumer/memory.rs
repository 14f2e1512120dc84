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

#[test]
fn a_compressed_backlog_many_times_the_budget_stays_within_it() {
    const LIMIT: usize = 8 << 20;
    const BATCH: usize = 1 << 20;
    const BATCHES: usize = 96;
    let rig = Rig::new(2);
    let value = vec![b'x'; BATCH / 8];
    let mut bytes = batch_of(0, &[&value[..]; 8], Format::V2, Compression::Zstd);
    for partition in 0..2 {
        for n in 0..BATCHES as i64 {
            bytes[..8].copy_from_slice(&(n * 8).to_be_bytes());
            rig.kafka.append_raw("t", partition, &bytes).unwrap();
        }
    }
    let consumer = rig.consumer(&[("samsa.memory.limit", &LIMIT.to_string())]);
    consumer.assign(&[place(0), place(1)]).unwrap();
    let (mut held, mut in_hand, mut seen, mut stalls) = (Vec::new(), 0, 0, 0);
    while seen < 2 * BATCHES * 8 {
        match consumer.poll(if held.is_empty() { 20_000 } else { 50 }) {
            Ok(batch) => {
                seen += batch.len();
                in_hand += batch.len() * value.len();
                assert!(in_hand <= LIMIT + BATCH, "{in_hand} bytes are held");
                held.push(batch);
            }
            Err(error) => {
                assert!([Code::MEMORY_LIMIT, Code::NOTHING].contains(&error.code()), "{error}");
                stalls += usize::from(error.code() == Code::MEMORY_LIMIT);
                assert!(in_hand >= LIMIT / 2, "a stall with {in_hand} bytes held: {error}");
                (in_hand, held) = (0, Vec::new());
            }
        }
    }
    assert!(stalls > 10, "each stall is told: {stalls}");
}

#[test]
fn what_another_thread_frees_goes_on_at_once() {
    let rig = Rig::new(1);
    let value = vec![b'x'; 1 << 17];
    let mut bytes = batch_of(0, &[&value[..]; 8], Format::V2, Compression::Lz4);
    for n in 0..64_i64 {
        bytes[..8].copy_from_slice(&(n * 8).to_be_bytes());
        rig.kafka.append_raw("t", 0, &bytes).unwrap();
    }
    let consumer = rig.consumer(&[("samsa.memory.limit", "4194304"), ("max.poll.records", "8")]);
    consumer.assign(&[place(0)]).unwrap();
    let mut held = Vec::new();
    loop {
        match consumer.poll(100) {
            Ok(batch) => held.push(batch),
            Err(error) if error.code() == Code::MEMORY_LIMIT => break,
            Err(error) => assert_eq!(error.code(), Code::NOTHING, "{error}"),
        }
    }
    let next_offset = 8 * held.len() as i64;
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let begun = Instant::now();
            let next = loop {
                match consumer.next(-1) {
                    Err(error) if error.code() == Code::MEMORY_LIMIT => {}
                    other => break other,
                }
            };
            (next.map(|message| message.record().offset()), begun.elapsed())
        });
        // Whether it waits already or not: the release is met.
        held.clear();
        let (offset, waited) = waiting.join().unwrap();
        assert_eq!(offset.unwrap(), next_offset);
        assert!(waited.as_secs() < 10, "{waited:?}");
    });
}
