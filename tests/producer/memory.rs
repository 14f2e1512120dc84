//! `buffer.memory`: bounded, waited for, told.

use std::time::{Duration, Instant};

use samsa::Code;
use samsa::embedded::{FaultKind, Options};
use samsa::producer::{Producer, PurgeWhat, Record};
use samsa::protocol::modern::ApiKey;

use crate::bench::{Bench, WAIT, bench, bench_on, on_produce, soon};

/// What must not be slept out.
const MINUTE: i32 = 60_000;

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
pub(crate) fn wait_readable(fd: i32) -> bool {
    let mut poll = [libc::pollfd { fd, events: libc::POLLIN, revents: 0 }];
    // SAFETY: one valid pollfd, and a bounded wait.
    unsafe { libc::poll(poll.as_mut_ptr(), 1, 1_000) == 1 }
}

#[test]
fn rule_4_12_unread_deliveries_are_not_waited_for_and_named() {
    let bench = bench(&[
        ("buffer.memory", "20000"),
        ("batch.size", "200"),
        ("samsa.delivery.keep", "true"),
    ]);
    let record = Record::new(&bench.topic, &[0; 150]).to_partition(0);
    let begun = Instant::now();
    let error = loop {
        match bench.producer.send(&record, MINUTE) {
            Ok(()) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), Code::UNREAD_DELIVERIES);
    assert!(
        begun.elapsed() < Duration::from_secs(30),
        "it slept though nobody but the caller could make room"
    );
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
fn rule_4_1_bytes_that_a_socket_has_not_written_are_not_used_for_other_records() {
    const EACH: usize = 1_000_000;
    let partitions = 16;
    let properties = [
        ("batch.size", "1000000"),
        ("max.request.size", "33554432"),
        ("buffer.memory", "134217728"),
        ("max.in.flight.requests.per.connection", "2"),
    ];
    let bench = bench_on(Options::default(), partitions, &properties);
    bench.kafka.create_topic("payments", partitions).unwrap();
    let payments = bench.cluster.topic("payments").unwrap();
    let send = |topic: &_, partition, byte| {
        let value = vec![byte; EACH];
        let record = Record::new(topic, &value).to_partition(partition);
        bench.producer.send(&record, WAIT).unwrap();
    };
    bench.send(1);
    bench.outcomes(1);
    // The broker applies the first request, then reads nothing for a while: of the next one, 15 MB, the
    // sockets' buffers take a part only.
    let delay = bench.kafka.inject(on_produce(FaultKind::Delay(1_500)));
    bench.send(2);
    bench.kafka.wait_injected(delay, 1, soon()).unwrap();
    (1..partitions).for_each(|partition| send(&bench.topic, partition, b'o'));
    let (mut purged, deadline) = (0, soon().unwrap());
    while purged < 16 {
        assert!(Instant::now() < deadline, "{purged} of 16 records were ever in flight");
        purged += bench.producer.purge(PurgeWhat { queued: false, in_flight: true }).unwrap();
        std::thread::yield_now();
    }
    bench.outcomes(16);
    // Their batches have ended. What is sent now needs as many buffers, of the same size.
    (0..partitions).for_each(|partition| send(&payments, partition, b'p'));
    assert_eq!(bench.flush(), 16, "those that were purged; the others arrive");
    let only = |topic: &str, byte| {
        (0..partitions).flat_map(|at| bench.kafka.records(topic, at).unwrap()).all(|record| {
            let value = record.value.unwrap_or_default();
            value.len() < EACH || value.iter().all(|found| *found == byte)
        })
    };
    assert!(only("orders", b'o'), "a batch's bytes became those of another topic's");
    assert!(only("payments", b'p'));
    let late = (1..partitions).map(|at| bench.kafka.records("orders", at).unwrap().len());
    assert_eq!(late.sum::<usize>(), 15, "what was on its way arrived after all");
}

#[test]
fn batches_that_are_compressed_fill_up_to_their_size_on_the_wire() {
    let requests = |codec: &str| {
        let properties =
            [("batch.size", "4000"), ("linger.ms", "60000"), ("compression.type", codec)];
        let bench = bench(&properties);
        let before = bench.kafka.requests(ApiKey::Produce);
        let value = b"the same again, and again, and again ".repeat(3);
        let record = Record::new(&bench.topic, &value).to_partition(0);
        for _ in 0..40 {
            // Each round finds what the one before it taught.
            (0..50).for_each(|_| bench.producer.send(&record, WAIT).unwrap());
        }
        assert_eq!(bench.flush(), 0);
        assert_eq!(bench.stored().len(), 2_000);
        bench.kafka.requests(ApiKey::Produce) - before
    };
    let (plain, compressed) = (requests("none"), requests("lz4"));
    assert!(plain >= 55, "{plain} requests for 230 kB in batches of 4 kB");
    assert!(compressed <= plain / 2, "{compressed} requests instead of {plain}");
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

/// Sends until a send is refused; gives the code of that.
fn fill(bench: &Bench, record: &Record<'_>) -> Code {
    let deadline = soon().unwrap();
    loop {
        assert!(Instant::now() < deadline, "it never fills");
        if let Err(error) = bench.producer.send(record, -1) {
            return error.code();
        }
    }
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
            refused = Some(fill(&bench, &record));
        }),
    );
    result.unwrap();
    assert_eq!(refused, Some(Code::WOULD_BLOCK));
}

#[test]
fn rule_4_12_nor_does_one_in_the_callback_of_another_producer_within_that_callback() {
    let bench = bench(&[("buffer.memory", "40000"), ("batch.size", "8000")]);
    let other = Producer::new(&bench.cluster, None).unwrap();
    bench.send(1);
    other.send(&Record::new(&bench.topic, b"other").to_partition(0), WAIT).unwrap();
    let record = Record::new(&bench.topic, &[0; 4_000]).to_partition(0);
    let mut refused = None;
    let mut within = |_| {
        bench.kafka.inject(on_produce(FaultKind::Silence).always());
        refused = Some(fill(&bench, &record));
    };
    let mut once = true;
    let (_, result) = bench.producer.flush(
        WAIT,
        Some(&mut |_| {
            if std::mem::take(&mut once) {
                other.flush(WAIT, Some(&mut within)).1.unwrap();
            }
        }),
    );
    result.unwrap();
    assert_eq!(refused, Some(Code::WOULD_BLOCK), "it would wait for its own thread");
}

#[test]
fn rule_4_13_room_that_was_not_enough_is_given_back_before_more_is_waited_for() {
    // A batch may hold both records, the buffer may not: the batch must leave, and the next record needs a
    // whole batch's room instead of the little that the first one lacked.
    let bench =
        bench(&[("buffer.memory", "65536"), ("batch.size", "1000000"), ("linger.ms", "60000")]);
    bench.producer.send(&Record::new(&bench.topic, &[1; 20_000]), WAIT).unwrap();
    bench.producer.send(&Record::new(&bench.topic, &[2; 50_000]), 5_000).unwrap();
    assert_eq!(bench.flush(), 0);
    assert_eq!(bench.stored().len(), 2);
}
