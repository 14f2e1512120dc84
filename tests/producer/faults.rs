//! Brokers that refuse, vanish, keep silent, or say one thing and do another.

use std::time::{Duration, Instant};

use samsa::Code;
use samsa::embedded::{FaultKind, Options};
use samsa::net::Purpose;
use samsa::producer::Record;

use crate::bench::{Bench, MAYBE, NOT, THERE, WAIT, bench, bench_on, on_produce, soon};

/// Retriable by Kafka's own judgement, for Produce.
const RETRIABLE: [i16; 16] = [2, 3, 5, 6, 7, 9, 13, 19, 20, 56, 74, 75, 89, 100, 103, 31_999];
/// Codes that no other try can mend.
const PERMANENT: [i16; 17] = [17, 21, 29, 31, 32, 35, 42, 43, 44, 45, 47, 48, 49, 53, 59, 76, 87];

fn three(bench: &Bench) -> Vec<String> {
    (1..=3).for_each(|mark| bench.send(mark));
    assert_eq!(bench.flush(), 0);
    bench.stored()
}

#[test]
fn every_retriable_code_ends_in_one_record_and_one_outcome() {
    let bench = bench(&[]);
    for (turn, code) in (0..).zip(RETRIABLE) {
        bench.kafka.inject(on_produce(FaultKind::ErrorCode(code)));
        bench.send(turn);
        let [(mark, got, status, offset)] = bench.outcomes(1)[..] else { panic!() };
        assert_eq!((mark, got, status), (turn, Code::NONE, THERE), "after {code}");
        assert_eq!(offset, i64::try_from(turn).unwrap(), "once, after {code}");
    }
}

#[test]
fn every_permanent_code_fails_its_batch_once_and_names_broker_and_partition() {
    // With an identity 43, 45, 47 and 59 are mended; see `idempotence`.
    let bench = bench(&[("enable.idempotence", "false")]);
    for code in PERMANENT {
        let fault = bench.kafka.inject(on_produce(FaultKind::ErrorCode(code)));
        let record = Record::new(&bench.topic, b"x").with_opaque(9).to_partition(0);
        bench.producer.send(&record, WAIT).unwrap();
        let deliveries = bench.producer.poll(WAIT).unwrap();
        let error = deliveries.error(0).unwrap();
        assert_eq!((error.code(), error.persistence()), (Code::from(code), NOT), "{code}");
        assert_eq!((error.topic(), error.partition()), (Some("orders"), Some(0)));
        assert!(error.broker().is_some_and(|broker| broker.contains("127.0.0.1")), "{error:?}");
        assert_eq!(bench.kafka.injected(fault), 1, "{code} was not tried again");
    }
    assert!(bench.stored().is_empty());
    bench.send(1);
    assert_eq!(bench.outcomes(1)[0].1, Code::NONE, "the producer goes on");
}

#[test]
fn rule_4_6_a_broker_that_fails_without_saying_how_far_it_came_leaves_doubt() {
    let bench = bench(&[]);
    bench.kafka.inject(on_produce(FaultKind::ErrorCode(-1)).applied());
    bench.send(1);
    assert_eq!(bench.outcomes(1), [(1, Code::UNKNOWN_SERVER_ERROR, MAYBE, -1)]);
    assert_eq!(bench.stored(), ["1"]);
}

#[test]
fn rule_4_6_a_batch_that_was_appended_before_the_broker_answered_6_is_there_at_least_once() {
    let bench = bench(&[("enable.idempotence", "false")]);
    bench.kafka.inject(on_produce(FaultKind::ErrorCode(6)).applied());
    bench.send(1);
    assert_eq!(bench.outcomes(1)[0].1, Code::NONE);
    assert_eq!(bench.stored(), ["1", "1"], "without idempotence a retry may write twice");
}

#[test]
fn rule_4_6_a_later_refusal_does_not_unwrite_what_may_be_written() {
    let bench = bench(&[]);
    bench.kafka.inject(on_produce(FaultKind::DisconnectAfter));
    bench.kafka.inject(on_produce(FaultKind::ErrorCode(29)).skip(1));
    bench.send(1);
    assert_eq!(bench.outcomes(1), [(1, Code::TOPIC_AUTHORIZATION_FAILED, MAYBE, -1)]);
}

#[test]
fn a_connection_that_breaks_is_made_again_and_order_is_kept() {
    for kind in [
        FaultKind::DisconnectBefore,
        FaultKind::Garbage,
        FaultKind::Malformed,
        FaultKind::CloseMidFrame,
    ] {
        let bench = bench(&[]);
        bench.kafka.inject(on_produce(kind));
        let mut stored = three(&bench);
        // Some of them apply the batch before they break the connection.
        stored.dedup();
        assert_eq!(stored.last().map(String::as_str), Some("3"), "{kind:?}: {stored:?}");
        assert_eq!(bench.outcomes(3).len(), 3);
    }
}

#[test]
fn an_idle_connection_that_the_broker_closed_costs_nothing() {
    let bench = bench(&[("retry.backoff.ms", "8000"), ("retry.backoff.max.ms", "8000")]);
    bench.send(1);
    assert_eq!(bench.outcomes(1)[0].1, Code::NONE);
    bench.kafka.close_connections(None).unwrap();
    // Not before the client has seen it: what is written into a connection that is just being closed
    // has an unknown outcome.
    let broker = bench.cluster.broker(0).unwrap();
    while broker.open_connection(Purpose::Produce).is_some() {
        std::thread::yield_now();
    }
    let before = Instant::now();
    bench.send(2);
    assert_eq!(bench.outcomes(1)[0].1, Code::NONE);
    assert!(before.elapsed() < Duration::from_secs(4), "rule 13.11: repeated at once");
}

#[test]
fn rule_4_1_a_silent_broker_is_given_up_in_time_and_leaves_doubt() {
    let bench =
        bench(&[("request.timeout.ms", "200"), ("delivery.timeout.ms", "500"), ("linger.ms", "0")]);
    bench.kafka.inject(on_produce(FaultKind::Silence).always());
    let before = Instant::now();
    bench.send(1);
    let deliveries = bench.producer.poll(WAIT).unwrap();
    let error = deliveries.error(0).unwrap();
    assert_eq!((error.code(), error.persistence()), (Code::TIMED_OUT, MAYBE));
    assert!(error.message().contains("delivery.timeout.ms=500"), "{error}");
    let took = before.elapsed();
    assert!(took >= Duration::from_millis(490) && took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_broker_that_is_not_there_is_named_when_the_time_is_over() {
    let bench = bench(&[("request.timeout.ms", "200"), ("delivery.timeout.ms", "400")]);
    bench.send(1);
    assert_eq!(bench.outcomes(1)[0].1, Code::NONE);
    bench.kafka.stop_broker(0).unwrap();
    bench.send(2);
    let deliveries = bench.producer.poll(WAIT).unwrap();
    let error = deliveries.error(0).unwrap();
    assert_eq!(error.code(), Code::TIMED_OUT);
    assert!(error.cause().is_some(), "why: {error}");
    assert!(error.message().contains("127.0.0.1"), "{error}");
    bench.kafka.start_broker(0).unwrap();
    bench.send(3);
    assert_eq!(bench.outcomes(1), [(3, Code::NONE, THERE, 1)], "it heals by itself");
}

#[test]
fn rule_4_7_a_batch_too_large_for_the_broker_is_split_and_every_record_arrives_in_order() {
    let options = Options { message_max_bytes: 1_000, ..Options::default() };
    let bench = bench_on(options, 1, &[("linger.ms", "50"), ("batch.size", "16384")]);
    let value = "v".repeat(150);
    for mark in 0..60_u64 {
        let record = Record::new(&bench.topic, value.as_bytes());
        bench.producer.send(&record.with_opaque(mark).to_partition(0), WAIT).unwrap();
    }
    let expected: Vec<_> =
        (0..60_u64).map(|mark| (mark, Code::NONE, THERE, i64::try_from(mark).unwrap())).collect();
    assert_eq!(bench.outcomes(60), expected);
    let large = vec![0; 1_200];
    let record = Record::new(&bench.topic, &large).with_opaque(99).to_partition(0);
    bench.producer.send(&record, WAIT).unwrap();
    assert_eq!(bench.outcomes(1), [(99, Code::MESSAGE_TOO_LARGE, NOT, -1)]);
}

#[test]
fn rule_4_14_records_follow_their_partition_to_its_new_leader() {
    let options = Options { brokers: 3, ..Options::default() };
    let bench = bench_on(options, 1, &[("acks", "all")]);
    for (turn, mark) in (0..).zip(0..30_u64) {
        if mark % 5 == 0 {
            bench.kafka.inject(on_produce(FaultKind::LeaderMove(turn / 5 % 3)));
        }
        bench.send(mark);
    }
    assert_eq!(bench.flush(), 0);
    let expected: Vec<_> = (0..30_u64).map(|mark| mark.to_string()).collect();
    assert_eq!(bench.stored(), expected, "each once, in order");
}

#[test]
fn rule_4_16_a_partition_without_leader_waits_and_goes_on_when_it_has_one() {
    let options = Options { brokers: 2, ..Options::default() };
    let bench = bench_on(options, 1, &[("metadata.max.age.ms", "200")]);
    bench.send(1);
    assert_eq!(bench.outcomes(1)[0].1, Code::NONE);
    bench.kafka.move_leader("orders", 0, -1).unwrap();
    bench.send(2);
    assert_eq!(bench.producer.poll(300).unwrap_err().code(), Code::NOTHING, "it waits");
    bench.kafka.move_leader("orders", 0, 1).unwrap();
    assert_eq!(bench.outcomes(1), [(2, Code::NONE, THERE, 1)]);
}

#[test]
fn rule_4_4_one_slow_answer_keeps_the_order_of_its_partition() {
    let bench = bench(&[("batch.size", "100")]);
    bench.kafka.inject(on_produce(FaultKind::Delay(100)));
    bench.kafka.inject(on_produce(FaultKind::ErrorCode(19)).skip(1).times(3));
    (0..20).for_each(|mark| bench.send(mark));
    let marks: Vec<_> = bench.outcomes(20).iter().map(|outcome| outcome.0).collect();
    assert_eq!(marks, (0..20).collect::<Vec<_>>(), "outcomes in order");
    let expected: Vec<_> = (0..20).map(|mark| mark.to_string()).collect();
    assert_eq!(bench.stored(), expected);
}

#[test]
fn rule_4_5_a_partition_that_rests_does_not_hold_up_another() {
    let slow = [("retry.backoff.ms", "20000"), ("retry.backoff.max.ms", "20000")];
    let bench = bench_on(Options::default(), 2, &slow);
    bench.kafka.inject(on_produce(FaultKind::ErrorCode(19)).partition(0));
    bench.send(1);
    bench.kafka.wait_requests(0_i16, 1, soon().unwrap()).unwrap();
    let record = Record::new(&bench.topic, b"x").with_opaque(2).to_partition(1);
    bench.producer.send(&record, WAIT).unwrap();
    assert_eq!(bench.outcomes(1), [(2, Code::NONE, THERE, 0)]);
}

#[test]
fn retries_0_fails_at_the_first_refusal() {
    let bench = bench(&[("retries", "0")]);
    bench.kafka.inject(on_produce(FaultKind::ErrorCode(19)));
    bench.send(1);
    assert_eq!(bench.outcomes(1), [(1, Code::NOT_ENOUGH_REPLICAS, NOT, -1)]);
}

/// What the torture below does to requests, over and over.
const TROUBLES: [FaultKind; 9] = [
    FaultKind::ErrorCode(19),
    FaultKind::DisconnectBefore,
    FaultKind::ErrorCode(6),
    FaultKind::DisconnectAfter,
    FaultKind::Delay(3),
    FaultKind::ErrorCode(7),
    FaultKind::CloseMidFrame,
    FaultKind::ErrorCode(2),
    FaultKind::Garbage,
];

#[test]
fn nothing_acknowledged_is_lost_or_out_of_order_whatever_goes_wrong() {
    const THREADS: u64 = 4;
    const EACH: u64 = 1_500;
    let options = Options { brokers: 3, ..Options::default() };
    let bench = bench_on(options, 4, &[("batch.size", "250"), ("acks", "all")]);
    let troubles = TROUBLES.iter().cycle().take(60).enumerate();
    let faults: Vec<_> = troubles
        .map(|(turn, kind)| {
            let skip = u32::try_from(turn).unwrap() * 3;
            bench.kafka.inject(on_produce(*kind).skip(skip))
        })
        .collect();
    std::thread::scope(|threads| {
        for thread in 0..THREADS {
            let bench = &bench;
            threads.spawn(move || {
                for count in 0..EACH {
                    let value = format!("{thread}:{count:05}");
                    let partition = i32::try_from(count % 4).unwrap();
                    let record = Record::new(&bench.topic, value.as_bytes())
                        .with_opaque(thread * EACH + count + 1)
                        .to_partition(partition);
                    bench.producer.send(&record, WAIT).unwrap();
                    if count % 200 == 0 {
                        let broker = i32::try_from((thread + count / 200) % 3).unwrap();
                        bench.kafka.move_leader("orders", partition, broker).unwrap();
                    }
                }
            });
        }
    });
    let outcomes = bench.outcomes(usize::try_from(THREADS * EACH).unwrap());
    let met = faults.iter().filter(|fault| bench.kafka.injected(**fault) > 0).count();
    assert!(met >= 20, "only {met} troubles were met");
    let stored: Vec<_> = (0..4).map(|partition| bench.stored_in(partition)).collect();
    for (mark, code, status, offset) in outcomes {
        let (thread, count) = ((mark - 1) / EACH, (mark - 1) % EACH);
        assert_eq!((code, status), (Code::NONE, THERE), "{thread}:{count}");
        let at = &stored[usize::try_from(count % 4).unwrap()][usize::try_from(offset).unwrap()];
        assert_eq!(*at, format!("{thread}:{count:05}"), "it is where its outcome says");
    }
    for partition in &stored {
        for thread in 0..THREADS {
            let own = partition.iter().filter(|value| value.starts_with(&format!("{thread}:")));
            let mut seen = std::collections::BTreeSet::new();
            let first: Vec<_> = own.clone().filter(|value| seen.insert((*value).clone())).collect();
            assert!(first.is_sorted(), "thread {thread}");
            assert_eq!(first.len(), own.count(), "no repetition wrote a record twice");
        }
    }
}

#[test]
fn rule_4_19_a_topic_that_was_made_anew_takes_records_from_its_first_offset_on() {
    let bench = bench(&[]);
    assert_eq!(three(&bench).len(), 3);
    assert_eq!(bench.outcomes(3).len(), 3);
    bench.kafka.delete_topic("orders").unwrap();
    bench.kafka.create_topic("orders", 1).unwrap();
    bench.send(4);
    assert_eq!(bench.outcomes(1), [(4, Code::NONE, THERE, 0)]);
    assert_eq!(bench.stored().len(), 1);
}

#[test]
fn rule_1_19_a_broker_has_one_produce_connection_at_a_time() {
    let bench = bench(&[]);
    for turn in 0..4 {
        bench.kafka.inject(on_produce(FaultKind::DisconnectAfter).skip(turn * 2));
    }
    for mark in 1..=6 {
        bench.send(mark);
        assert_eq!(bench.outcomes(1)[0].1, Code::NONE);
    }
    let history = bench.kafka.history();
    let used: Vec<u64> = history.iter().filter(|r| r.api == 0).map(|r| r.connection).collect();
    assert!(used.is_sorted(), "an abandoned connection wrote again: {used:?}");
    assert!(used.first() < used.last(), "no connection was ever replaced: {used:?}");
}
