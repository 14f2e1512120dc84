//! `samsa.delivery.keep`: whatever becomes of a record, its delivery gives it back as it was sent.

use std::time::{Duration, Instant};

use samsa::Code;
use samsa::embedded::{FaultKind, Options};
use samsa::producer::{PurgeWhat, Record};
use samsa::protocol::record::{Header, read_headers};

use crate::bench::{Bench, WAIT, bench_on, on_produce, soon};

const KEEP: (&str, &str) = ("samsa.delivery.keep", "true");
const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

fn keeping(options: Options, properties: &[(&str, &str)]) -> Bench {
    let all: Vec<_> = properties.iter().chain([&KEEP]).copied().collect();
    bench_on(options, 1, &all)
}

fn header(mark: u64) -> [u8; 8] {
    mark.to_be_bytes()
}

/// A record that its mark says everything of; every third has neither key nor value.
fn send(bench: &Bench, mark: u64) {
    let (key, value) = (format!("key {mark}"), format!("value {mark}").repeat(20));
    let number = header(mark);
    let headers = [Header { name: b"mark", value: Some(&number) }];
    let there = mark % 3 != 0;
    let record = Record {
        key: there.then_some(key.as_bytes()),
        value: there.then_some(value.as_bytes()),
        headers: &headers,
        timestamp: Some(1_000 + mark as i64),
        opaque: mark,
        ..Record::new(&bench.topic, b"").to_partition(0)
    };
    bench.producer.send(&record, WAIT).unwrap();
}

/// Reads so many deliveries and checks that each gives its record; gives their codes.
fn check(bench: &Bench, count: usize) -> Vec<Code> {
    let (mut codes, deadline) = (Vec::new(), soon().unwrap());
    while codes.len() < count {
        assert!(Instant::now() < deadline, "{} of {count} deliveries came", codes.len());
        let Ok(deliveries) = bench.producer.poll(1_000) else { continue };
        for (index, delivery) in deliveries.iter().enumerate() {
            let (kept, mark) = (deliveries.record(index).unwrap(), delivery.opaque);
            let (key, value) = (format!("key {mark}"), format!("value {mark}").repeat(20));
            let there = mark % 3 != 0;
            assert_eq!(kept.key, there.then_some(key.as_bytes()), "{mark}: {:?}", delivery.code);
            assert_eq!(kept.value, there.then_some(value.as_bytes()), "{mark}");
            assert_eq!(
                (kept.timestamp, delivery.timestamp),
                (1_000 + mark as i64, 1_000 + mark as i64)
            );
            let headers: Vec<_> =
                read_headers(kept.headers, kept.headers_count).map(Result::unwrap).collect();
            assert_eq!(headers.len(), 1);
            assert_eq!(
                (headers[0].name, headers[0].value),
                (&b"mark"[..], Some(&header(mark)[..]))
            );
            codes.push(delivery.code);
        }
        assert_eq!(deliveries.record(deliveries.len()).unwrap_err().code(), Code::INVALID_ARGUMENT);
    }
    codes
}

#[test]
fn what_arrived_and_what_was_refused_is_kept_with_every_codec() {
    for codec in CODECS {
        let bench = keeping(Options::default(), &[("compression.type", codec), ("retries", "0")]);
        send(&bench, 1);
        assert_eq!(check(&bench, 1), [Code::NONE], "{codec}");
        bench.kafka.inject(on_produce(FaultKind::ErrorCode(29)));
        send(&bench, 2);
        assert_eq!(check(&bench, 1), [Code::TOPIC_AUTHORIZATION_FAILED], "{codec}");
    }
}

#[test]
fn the_parts_of_a_batch_that_was_split_keep_their_records() {
    for codec in ["none", "lz4"] {
        let options = Options { message_max_bytes: 1_000, ..Options::default() };
        let bench = keeping(options, &[("compression.type", codec), ("linger.ms", "10000")]);
        (1..=30).for_each(|mark| send(&bench, mark));
        assert_eq!(bench.flush(), 0);
        assert_eq!(check(&bench, 30), [Code::NONE; 30], "{codec}");
    }
}

#[test]
fn what_is_purged_before_it_left_and_in_flight_is_kept() {
    for codec in CODECS {
        let bench = keeping(Options::default(), &[("compression.type", codec)]);
        send(&bench, 1);
        assert_eq!(check(&bench, 1), [Code::NONE]);
        let fault = bench.kafka.inject(on_produce(FaultKind::Silence).always());
        send(&bench, 2);
        bench.kafka.wait_injected(fault, 1, soon().unwrap()).unwrap();
        (3..=9).for_each(|mark| send(&bench, mark));
        let all = PurgeWhat { queued: true, in_flight: true };
        assert_eq!(bench.producer.purge(all).unwrap(), 8);
        assert_eq!(check(&bench, 8), [Code::PURGED; 8], "{codec}");
    }
}

#[test]
fn what_was_never_sealed_is_kept_when_it_is_purged_and_when_its_time_is_over() {
    for codec in ["none", "zstd"] {
        // The broker goes, so that nobody takes the batch: it stays open until it expires.
        let bench = keeping(
            Options::default(),
            &[
                ("compression.type", codec),
                ("linger.ms", "500"),
                ("request.timeout.ms", "200"),
                ("delivery.timeout.ms", "700"),
            ],
        );
        send(&bench, 1);
        assert_eq!(bench.flush(), 0);
        assert_eq!(check(&bench, 1), [Code::NONE]);
        send(&bench, 2);
        let queued = PurgeWhat { queued: true, in_flight: false };
        assert_eq!(bench.producer.purge(queued).unwrap(), 1, "{codec}");
        assert_eq!(check(&bench, 1), [Code::PURGED]);
        let leader = bench.topic.metadata().unwrap().partitions[0].leader;
        bench.kafka.stop_broker(leader).unwrap();
        send(&bench, 3);
        assert_eq!(check(&bench, 1), [Code::TIMED_OUT], "{codec}");
    }
}

#[test]
fn what_a_close_could_not_send_is_kept() {
    let bench =
        keeping(Options::default(), &[("linger.ms", "15000"), ("delivery.timeout.ms", "60000")]);
    send(&bench, 1);
    assert_eq!(bench.flush(), 0);
    assert_eq!(check(&bench, 1), [Code::NONE]);
    bench.kafka.inject(on_produce(FaultKind::Silence).always());
    (2..=5).for_each(|mark| send(&bench, mark));
    assert_eq!(bench.producer.close(50, None).unwrap_err().code(), Code::TIMED_OUT);
    assert_eq!(check(&bench, 4), [Code::CLOSED; 4]);
}

#[test]
fn a_batch_that_ends_while_others_compress_it_gets_its_bytes_late() {
    // Sixteen threads fill batches of a slow codec while another purges all the time.
    let bench = keeping(
        Options::default(),
        &[("compression.type", "zstd"), ("compression.zstd.level", "19"), ("batch.size", "60000")],
    );
    let end = Instant::now() + Duration::from_millis(500);
    let (mut sent, mut purged) = (0_u64, 0);
    std::thread::scope(|threads| {
        let senders: Vec<_> = (0..4)
            .map(|thread| {
                let bench = &bench;
                threads.spawn(move || {
                    let mut count = 0;
                    while Instant::now() < end {
                        send(bench, thread * 1_000_000 + count);
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        while Instant::now() < end {
            let queued = PurgeWhat { queued: true, in_flight: false };
            purged += bench.producer.purge(queued).unwrap();
        }
        sent = senders.into_iter().map(|sender| sender.join().unwrap()).sum();
    });
    let _ = bench.producer.flush(WAIT, None);
    let codes = check(&bench, sent as usize);
    assert_eq!(codes.iter().filter(|code| **code == Code::PURGED).count() as u64, purged);
    assert!(purged > 0);
}

#[test]
fn kept_records_and_what_decoding_takes_count_against_the_buffer_until_they_are_freed() {
    let bench = keeping(
        Options::default(),
        &[("buffer.memory", "100000"), ("batch.size", "16384"), ("compression.type", "zstd")],
    );
    // 60 kB that compress to next to nothing, so that they are sent without a wait for room.
    let value = [7; 6_000];
    let record = Record::new(&bench.topic, &value).to_partition(0);
    (0..10).for_each(|_| bench.producer.send(&record, WAIT).unwrap());
    assert_eq!(bench.flush(), 0);
    let mut held = Vec::new();
    let mut records = 0;
    while records < 10 {
        let deliveries = bench.producer.poll(WAIT).unwrap();
        records += deliveries.len();
        (0..deliveries.len())
            .for_each(|index| assert_eq!(deliveries.record(index).unwrap().value.unwrap(), value));
        held.push(deliveries);
    }
    // 60 of 100 kB are held unpacked: a record of 45 kB finds no room, and reading is what makes some.
    let large = [7; 45_000];
    let large = Record::new(&bench.topic, &large).to_partition(0);
    assert_eq!(bench.producer.send(&large, 0).unwrap_err().code(), Code::UNREAD_DELIVERIES);
    held.clear();
    bench.producer.send(&large, WAIT).unwrap();
    assert_eq!(bench.flush(), 0);
}
