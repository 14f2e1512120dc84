//! Records that the sending thread writes itself.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::Instant;

use samsa::Code;
use samsa::embedded::{FaultKind, Options};
use samsa::net::{Connection, Purpose};
use samsa::producer::Record;
use samsa::runtime::{Completion, Runtime};

use crate::bench::{Bench, THERE, WAIT, bench, bench_on, on_produce, soon};

/// The producer's connection to broker 0, opened before.
fn connection(bench: &Bench) -> Connection {
    let broker = bench.cluster.broker(0).unwrap();
    let (sender, answer) = Completion::new();
    Runtime::get(None).unwrap().spawn("connection", drop, async move {
        sender.send(broker.connection(Purpose::Produce, soon().unwrap()).await);
    });
    answer.wait(soon(), None).unwrap()
}

/// Runs `call` while the one I/O thread is held up.
fn without_io_thread<R>(call: impl FnOnce() -> R) -> R {
    let ((held, is_held), (release, released)) = (mpsc::channel(), mpsc::channel::<()>());
    Runtime::get(None).unwrap().spawn("hold", drop, async move {
        held.send(()).unwrap();
        let _ = released.recv();
    });
    is_held.recv().unwrap();
    let result = call();
    drop(release);
    result
}

#[test]
fn a_lone_record_is_written_before_send_returns_and_wakes_no_io_thread() {
    let bench = bench(&[]);
    bench.send(1);
    assert_eq!(bench.outcomes(1)[0].1, Code::NONE);
    let connection = connection(&bench);
    let in_flight = without_io_thread(|| {
        bench.send(2);
        connection.in_flight()
    });
    assert_eq!(in_flight, 1, "the request is on its way without the I/O thread");
    assert_eq!(bench.outcomes(1), [(2, Code::NONE, THERE, 1)]);
}

#[test]
fn a_publish_is_written_by_the_thread_that_waits_for_it() {
    // Lingering is not for who waits.
    let bench = bench(&[("linger.ms", "15000"), ("delivery.timeout.ms", "60000")]);
    let publish = || {
        let record = Record::new(&bench.topic, b"x").to_partition(0);
        bench.producer.publish(&[record], soon()).unwrap()
    };
    assert_eq!(publish(), (0, 0));
    let connection = connection(&bench);
    std::thread::scope(|threads| {
        let published = without_io_thread(|| {
            let published = threads.spawn(publish);
            let deadline = soon().unwrap();
            while connection.in_flight() == 0 {
                assert!(Instant::now() < deadline, "it waits for the I/O thread");
                std::thread::yield_now();
            }
            published
        });
        assert_eq!(published.join().unwrap(), (0, 1));
    });
}

#[test]
fn a_record_behind_two_in_flight_and_one_of_a_list_are_left_to_the_sender() {
    let bench = bench(&[]);
    bench.send(1);
    assert_eq!(bench.outcomes(1)[0].1, Code::NONE);
    let connection = connection(&bench);
    let in_flight = without_io_thread(|| {
        let mut sending = bench.producer.sending(WAIT).unwrap();
        for mark in 2..10_u64 {
            let record = Record::new(&bench.topic, b"x").with_opaque(mark).to_partition(0);
            sending.send(&record).unwrap();
        }
        connection.in_flight()
    });
    assert_eq!(in_flight, 0, "they gather until the sender comes");
    bench.outcomes(8);
    let before = bench.kafka.requests(samsa::protocol::modern::ApiKey::Produce);
    without_io_thread(|| (10..40).for_each(|mark| bench.send(mark)));
    bench.outcomes(30);
    let requests = bench.kafka.requests(samsa::protocol::modern::ApiKey::Produce) - before;
    assert!(requests <= 4, "{requests} requests for what could go in three");
}

#[test]
fn a_direct_write_into_a_connection_that_the_broker_just_closed_is_sent_again() {
    let bench = bench(&[]);
    for (mark, kind) in (0..).zip([FaultKind::DisconnectBefore, FaultKind::DisconnectAfter]) {
        bench.send(10 * mark);
        assert_eq!(bench.outcomes(1)[0].1, Code::NONE);
        bench.kafka.inject(on_produce(kind));
        without_io_thread(|| bench.send(10 * mark + 1));
        let [(seen, code, status, _)] = bench.outcomes(1)[..] else { panic!() };
        assert_eq!((seen, code, status), (10 * mark + 1, Code::NONE, THERE));
    }
    assert_eq!(bench.stored(), ["0", "1", "10", "11"]);
}

const TROUBLES: [FaultKind; 6] = [
    FaultKind::DisconnectBefore,
    FaultKind::ErrorCode(7),
    FaultKind::Delay(3),
    FaultKind::DisconnectAfter,
    FaultKind::LeaderMove(1),
    FaultKind::Throttle(2),
];

/// Outcomes by partition, as they were told: the marks and offsets.
fn told(bench: &Bench, count: usize) -> BTreeMap<i64, Vec<(u64, i64)>> {
    let (mut told, mut seen) = (BTreeMap::<i64, Vec<_>>::new(), 0);
    while seen < count {
        let deliveries = match bench.producer.poll(WAIT) {
            Ok(deliveries) => deliveries,
            Err(error) => panic!("{error:?} after {seen} of {count}"),
        };
        for one in deliveries.iter() {
            assert_eq!((one.code, one.status), (Code::NONE, THERE), "{}", one.opaque);
            told.entry(one.partition).or_default().push((one.opaque, one.offset));
            seen += 1;
        }
    }
    assert_eq!(seen, count, "exactly one outcome for each record");
    told
}

#[test]
fn eight_threads_that_write_themselves_keep_each_record_once_and_in_order_through_all_troubles() {
    const THREADS: i32 = 8;
    const EACH: u64 = 150;
    let options = Options { brokers: 2, ..Options::default() };
    // Two threads share a partition; each waits now and then until nothing is on its way.
    let bench = bench_on(options, THREADS / 2, &[]);
    for (turn, kind) in (0..).zip(TROUBLES.iter().cycle().take(40)) {
        bench.kafka.inject(on_produce(*kind).skip(turn * 7));
    }
    std::thread::scope(|threads| {
        for thread in 0..THREADS {
            let bench = &bench;
            threads.spawn(move || {
                for count in 0..EACH {
                    let mark = u64::try_from(thread).unwrap() * 1_000 + count;
                    let value = mark.to_string();
                    let record = Record::new(&bench.topic, value.as_bytes()).with_opaque(mark);
                    bench.producer.send(&record.to_partition(thread / 2), WAIT).unwrap();
                    if count % 3 == 0 {
                        bench.flush();
                    }
                }
            });
        }
    });
    let records = usize::try_from(THREADS).unwrap() * usize::try_from(EACH).unwrap();
    for (partition, outcomes) in told(&bench, records) {
        let partition = i32::try_from(partition).unwrap();
        let stored = bench.stored_in(partition);
        assert_eq!(stored.len(), outcomes.len(), "nothing was written twice");
        let marks: Vec<_> = outcomes.iter().map(|(mark, _)| mark.to_string()).collect();
        assert_eq!(marks, stored, "rule 4.12: outcomes come in the order of the log");
        for thread in [2 * partition, 2 * partition + 1] {
            let own =
                outcomes.iter().map(|told| told.0).filter(|mark| mark / 1_000 == thread as u64);
            assert!(own.is_sorted(), "thread {thread}");
        }
        for (at, (_, offset)) in (0..).zip(&outcomes) {
            assert!([-1, at].contains(offset), "offset {offset} of record {at}");
        }
    }
}
