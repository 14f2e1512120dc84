//! The life of topics in a producer: many of them, unknown ones, and those that are no longer used.

use std::sync::Arc;
use std::time::{Duration, Instant};

use samsa::Code;
use samsa::cluster::{Cluster, Topic};
use samsa::config::Config;
use samsa::embedded::{self, FaultKind, Options};
use samsa::producer::{Producer, Record, partitioner};
use samsa::protocol::modern::ApiKey;
use samsa::protocol::record::Header;

use crate::bench::{Bench, THERE, WAIT, bench, bench_on, on_produce, soon};
use crate::memory::wait_readable;

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = soon().unwrap();
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn ten_thousand_topics_work_within_the_default_buffer_memory() {
    const TOPICS: usize = 10_000;
    let kafka = embedded::Cluster::start(1).unwrap();
    let names: Vec<String> = (0..TOPICS).map(|number| format!("topic-{number}")).collect();
    names.iter().for_each(|name| kafka.create_topic(name, 1).unwrap());
    let mut config = Config::new();
    config.set("bootstrap.servers", &kafka.address()).unwrap();
    // Nothing leaves before the flush: ten thousand batches are open at once.
    config.set("linger.ms", "60000").unwrap();
    let cluster = Cluster::open(&config).unwrap();
    let producer = Producer::new(&cluster, None).unwrap();
    let topics: Vec<Arc<Topic>> = names.iter().map(|name| cluster.topic(name).unwrap()).collect();
    cluster.want_topics(&topics);
    cluster.wait_topic(topics.last().unwrap(), soon()).unwrap();
    for (mark, topic) in topics.iter().enumerate() {
        let record = Record::new(topic, &[7; 100]).with_opaque(mark as u64 + 1);
        // With timeout 0: there is room for all without waiting for any acknowledgement.
        producer.send(&record, 0).unwrap();
    }
    let (failed, result) = producer.flush(2 * WAIT, None);
    result.unwrap();
    assert_eq!(failed, 0);
    let mut marks = Vec::new();
    while marks.len() < TOPICS {
        let deliveries = producer.poll(WAIT).unwrap();
        marks.extend(deliveries.iter().filter(|one| one.status == THERE).map(|one| one.opaque));
    }
    marks.sort_unstable();
    assert!(marks.into_iter().eq(1..=TOPICS as u64), "each acknowledged, once");
}

#[test]
fn a_new_topic_is_asked_for_alone_however_many_are_known() {
    let kafka = embedded::Cluster::start(1).unwrap();
    let mut config = Config::new();
    config.set("bootstrap.servers", &kafka.address()).unwrap();
    config.set("linger.ms", "0").unwrap();
    let cluster = Cluster::open(&config).unwrap();
    let producer = Producer::new(&cluster, None).unwrap();
    let begun = kafka.requests(ApiKey::Metadata);
    for number in 0..50 {
        let topic = cluster.topic(&format!("topic-{number}")).unwrap();
        producer.send(&Record::new(&topic, b"x"), WAIT).unwrap();
    }
    assert_eq!(producer.flush(WAIT, None).0, 0);
    let asked = kafka.requests(ApiKey::Metadata) - begun;
    assert!(asked >= 50, "{asked}");
    assert_eq!(cluster.metadata().topics.len(), 50, "and none is lost by it");
}

#[test]
fn records_of_several_topics_with_keys_headers_and_timestamps_go_in_one_call() {
    let kafka = embedded::Cluster::start(1).unwrap();
    for name in ["orders", "clicks", "views"] {
        kafka.create_topic(name, 3).unwrap();
    }
    let bench = crate::bench::on(kafka, &[("topic.clicks.compression.type", "zstd")]);
    let topics = ["orders", "clicks", "views"].map(|name| bench.cluster.topic(name).unwrap());
    let headers = [Header { name: b"h", value: Some(b"1") }];
    let values: Vec<String> = (0..300).map(|number| number.to_string()).collect();
    let record = |number: usize| Record {
        key: Some(values[number].as_bytes()),
        timestamp: Some(1_000 + number as i64),
        headers: &headers,
        opaque: number as u64 + 1,
        ..Record::new(&topics[number % 3], values[number].as_bytes())
    };
    let (accepted, result) = bench.producer.send_batch((0..300).map(record), WAIT);
    result.unwrap();
    assert_eq!(accepted, 300);
    assert_eq!(bench.flush(), 0);
    let outcomes = bench.outcomes(300);
    assert!(outcomes.iter().all(|outcome| outcome.1 == Code::NONE));
    let mut found = 0;
    for (at, topic) in topics.iter().enumerate() {
        for partition in 0..3 {
            let stored = bench.kafka.records(topic.name(), partition).unwrap();
            let mut last = None;
            for record in &stored {
                let number: usize =
                    std::str::from_utf8(record.value.as_ref().unwrap()).unwrap().parse().unwrap();
                assert_eq!((number % 3, record.key.as_ref()), (at, record.value.as_ref()));
                assert_eq!((record.timestamp, record.headers.len()), (1_000 + number as i64, 1));
                assert!(last < Some(number), "in order");
                last = Some(number);
                found += 1;
            }
            let codec = bench.kafka.batches(topic.name(), partition).unwrap();
            assert!(codec.iter().all(|batch| (batch[22] & 7 == 4) == (at == 1)));
        }
    }
    assert_eq!(found, 300);
}

#[test]
fn an_unknown_topic_is_refused_after_max_block_ms_and_never_waited_for_longer() {
    let kafka =
        embedded::Cluster::start_with(Options { auto_create_topics: false, ..Options::default() });
    let bench = crate::bench::on(kafka.unwrap(), &[("max.block.ms", "200")]);
    for timeout_ms in [-1, WAIT] {
        let before = Instant::now();
        let error = bench.producer.send(&Record::new(&bench.topic, b"x"), timeout_ms).unwrap_err();
        let took = before.elapsed();
        assert_eq!(error.topic(), Some("orders"), "{error}");
        assert!(took >= Duration::from_millis(195) && took < Duration::from_secs(5), "{took:?}");
    }
}

#[cfg(unix)]
#[test]
fn who_does_not_wait_hears_of_an_unknown_topic_too_and_the_descriptor_says_when() {
    let kafka =
        embedded::Cluster::start_with(Options { auto_create_topics: false, ..Options::default() });
    let bench = crate::bench::on(kafka.unwrap(), &[("max.block.ms", "2000")]);
    let fd = i32::try_from(bench.producer.fd().unwrap()).unwrap();
    let record = Record::new(&bench.topic, b"x");
    // As an event loop does it; it may be called for something else, but not again and again.
    let settled = || {
        for _ in 0..10 {
            match bench.producer.send(&record, 0) {
                Err(error) if error.code() == Code::WOULD_BLOCK => {}
                result => return result,
            }
            until("the descriptor says", || wait_readable(fd));
            assert_eq!(bench.producer.poll(0).unwrap_err().code(), Code::NOTHING);
        }
        panic!("called for nothing");
    };
    for _ in 0..2 {
        let error = settled().unwrap_err();
        let topic = error.topic();
        assert_eq!((error.code(), topic), (Code::UNKNOWN_TOPIC_OR_PARTITION, Some("orders")));
    }
    bench.kafka.create_topic("orders", 1).unwrap();
    until("it is found", || settled().is_ok());
}

/// A producer whose topics are idle after 200 ms.
fn forgetful(properties: &[(&str, &str)]) -> Bench {
    let all: Vec<_> = [("metadata.max.idle.ms", "200")].iter().chain(properties).copied().collect();
    bench(&all)
}

fn is_known(bench: &Bench) -> bool {
    bench.cluster.metadata().topic("orders").is_some()
}

#[test]
fn a_topic_that_is_not_used_is_forgotten_and_comes_back_with_the_next_record() {
    let bench = forgetful(&[]);
    for round in 0..3 {
        bench.send(round);
        assert_eq!(bench.outcomes(1)[0].1, Code::NONE);
        assert!(is_known(&bench));
        until("the topic is forgotten", || !is_known(&bench));
        assert!(bench.topic.metadata().is_none());
    }
    assert_eq!(bench.stored(), ["0", "1", "2"]);
}

#[test]
fn rule_1_6_a_topic_that_comes_back_goes_on_with_its_sequences() {
    let bench = forgetful(&[("enable.idempotence", "true"), ("linger.ms", "5")]);
    for round in 0..3 {
        (0..3).for_each(|mark| bench.send(round * 3 + mark));
        assert!(bench.outcomes(3).iter().all(|outcome| outcome.1 == Code::NONE));
        until("the topic is forgotten", || !is_known(&bench));
    }
    // Numbers that began anew would have been taken for duplicates: acknowledged and lost.
    let expected: Vec<_> = (0..9).map(|mark| mark.to_string()).collect();
    assert_eq!(bench.stored(), expected);
    let mut next = 0;
    for batch in bench.kafka.batches("orders", 0).unwrap() {
        let sequence = i32::from_be_bytes(batch[53..57].try_into().unwrap());
        let count = i32::from_be_bytes(batch[57..61].try_into().unwrap());
        assert_eq!(sequence, next, "sequences go on without a gap");
        next += count;
    }
    assert_eq!(next, 9);
}

#[test]
fn a_topic_with_records_on_their_way_is_not_forgotten() {
    let bench = forgetful(&[("request.timeout.ms", "60000")]);
    bench.send(0);
    assert_eq!(bench.outcomes(1)[0].1, Code::NONE);
    let held = bench.kafka.inject(on_produce(FaultKind::Delay(1_000)));
    bench.send(1);
    bench.kafka.wait_injected(held, 1, soon().unwrap()).unwrap();
    let begun = Instant::now();
    while bench.stored().len() < 2 || begun.elapsed() < Duration::from_millis(700) {
        assert!(is_known(&bench), "its record has no outcome yet");
        std::thread::yield_now();
    }
    assert_eq!(bench.outcomes(1)[0].1, Code::NONE);
    until("the topic is forgotten", || !is_known(&bench));
}

#[test]
fn a_topic_that_somebody_else_uses_stays_known() {
    let bench = forgetful(&[]);
    bench.cluster.want_topics(std::slice::from_ref(&bench.topic));
    bench.send(0);
    let other = bench.cluster.topic("other").unwrap();
    bench.producer.send(&Record::new(&other, b"x"), WAIT).unwrap();
    assert_eq!(bench.outcomes(2).len(), 2);
    until("the other topic is forgotten", || bench.cluster.metadata().topic("other").is_none());
    assert!(is_known(&bench));
    bench.send(1);
    assert_eq!(bench.outcomes(1)[0].1, Code::NONE);
}

#[test]
fn records_that_race_with_the_end_of_their_topic_all_arrive_where_their_key_belongs() {
    // Idle after 4 ms: the topic goes and comes all the time.
    let properties = [("metadata.max.idle.ms", "4"), ("linger.ms", "1")];
    let bench = bench_on(Options::default(), 4, &properties);
    let end = Instant::now() + Duration::from_secs(2);
    let (mut sent, mut told) = (0_usize, 0);
    while Instant::now() < end {
        let key = sent.to_string();
        let record = Record::new(&bench.topic, key.as_bytes()).with_key(key.as_bytes());
        bench.producer.send(&record, WAIT).unwrap();
        sent += 1;
        // Pauses of every length around that.
        let pause = Instant::now() + Duration::from_micros(sent as u64 % 16 * 500);
        while Instant::now() < pause {
            told += bench.producer.poll(0).map_or(0, |deliveries| deliveries.len());
        }
    }
    assert_eq!(bench.flush(), 0);
    for partition in 0..4 {
        let of_partition = |key: &String| partitioner::keyed(key.as_bytes(), 4) == partition;
        let expected: Vec<_> =
            (0..sent).map(|mark| mark.to_string()).filter(of_partition).collect();
        assert_eq!(bench.stored_in(partition), expected);
    }
    assert_eq!(bench.outcomes(sent - told).len() + told, sent);
}

#[test]
fn a_closed_producer_holds_no_topic() {
    let bench = bench(&[]);
    bench.send(0);
    assert_eq!(bench.outcomes(1)[0].1, Code::NONE);
    bench.producer.close(WAIT, None).unwrap();
    until("the topic is forgotten", || !is_known(&bench));
}

#[test]
fn a_partition_whose_leader_is_gone_does_not_hold_up_the_others() {
    // One replica each: nobody takes over.
    let options = Options { brokers: 2, replication_factor: 1, ..Options::default() };
    let bench = bench_on(
        options,
        2,
        &[("request.timeout.ms", "1000"), ("delivery.timeout.ms", "3000"), ("batch.size", "2000")],
    );
    let leaders: Vec<i32> = {
        bench.send(0);
        assert_eq!(bench.outcomes(1)[0].1, Code::NONE);
        bench.topic.metadata().unwrap().partitions.iter().map(|known| known.leader).collect()
    };
    assert_ne!(leaders[0], leaders[1]);
    bench.kafka.stop_broker(leaders[1]).unwrap();
    assert_eq!(bench.kafka.leader("orders", 1).unwrap().0, -1);
    let record = |partition, mark| {
        Record::new(&bench.topic, &[7; 500]).to_partition(partition).with_opaque(mark)
    };
    // One record in five goes to the dead one.
    for round in 0..100 {
        for mark in 0..4 {
            bench.producer.send(&record(0, 1_000 + round * 4 + mark), WAIT).unwrap();
        }
        bench.producer.send(&record(1, 9_000 + round), WAIT).unwrap();
    }
    let begun = Instant::now();
    let mut alive = 0;
    while alive < 400 {
        let deliveries = bench.producer.poll(WAIT).unwrap();
        for delivery in deliveries.iter() {
            assert_eq!(delivery.status == THERE, delivery.partition == 0, "{delivery:?}");
            alive += usize::from(delivery.partition == 0);
        }
    }
    assert!(begun.elapsed() < Duration::from_millis(2_500), "before the dead ones' time is over");
}

#[test]
fn a_broker_that_is_gone_is_not_called_for_partitions_that_have_moved() {
    let bench = bench_on(Options { brokers: 2, ..Options::default() }, 2, &[]);
    bench.send(0);
    assert_eq!(bench.outcomes(1)[0].1, Code::NONE);
    let (gone, _) = bench.kafka.leader("orders", 0).unwrap();
    // The record waits for a broker that refuses connections; then the partition moves.
    bench.kafka.stop_broker(gone).unwrap();
    bench.send(1);
    bench.kafka.move_leader("orders", 0, 1 - gone).unwrap();
    assert_eq!(bench.outcomes(1)[0].1, Code::NONE);
    // An attempt that was under way may end, and what it asked for may come; not more than that.
    let before = bench.kafka.requests(ApiKey::Metadata);
    let later = Instant::now() + Duration::from_secs(2);
    let more = bench.kafka.wait_requests(ApiKey::Metadata, before + 10, later);
    assert_eq!(more.unwrap_err().code(), Code::TIMED_OUT, "metadata is asked for again and again");
}

#[test]
fn rule_4_15_requests_are_full_and_every_partition_is_served_once_before_any_twice() {
    // On a machine that stands still meanwhile the records do not gather: once more.
    assert!((0..5).any(|_| gathered_records_go_in_turn()), "they never gathered");
}

/// False if the sender was not held up for long enough to tell.
fn gathered_records_go_in_turn() -> bool {
    const PARTITIONS: i32 = 20;
    const ROUNDS: u64 = 3;
    let properties = [
        ("batch.size", "1"),
        ("max.request.size", "4000"),
        ("max.in.flight.requests.per.connection", "1"),
    ];
    let bench = bench_on(Options::default(), PARTITIONS, &properties);
    let send = |partition: i32, mark: u64| {
        let record = Record::new(&bench.topic, &[0; 400]).with_opaque(mark);
        bench.producer.send(&record.to_partition(partition), WAIT).unwrap();
    };
    send(0, 1);
    bench.outcomes(1);
    // While one request is at the broker the others gather.
    let begun = Instant::now();
    let held = bench.kafka.inject(on_produce(FaultKind::Delay(2_000)));
    send(0, 1);
    bench.kafka.wait_injected(held, 1, soon().unwrap()).unwrap();
    let before = bench.kafka.requests(ApiKey::Produce);
    (1..=ROUNDS).for_each(|round| (0..PARTITIONS).for_each(|partition| send(partition, round)));
    let gathered = begun.elapsed() < Duration::from_millis(1_500);
    let told = bench.outcomes(1 + ROUNDS as usize * PARTITIONS as usize);
    if gathered {
        let rounds: Vec<u64> = told[1..].iter().map(|outcome| outcome.0).collect();
        let expected: Vec<u64> =
            (1..=ROUNDS).flat_map(|round| [round; PARTITIONS as usize]).collect();
        assert_eq!(rounds, expected, "in the order of the rounds");
        // 60 batches of some 470 bytes: 8 of them fit, not more.
        let requests = bench.kafka.requests(ApiKey::Produce) - before;
        assert!((7..=20).contains(&requests), "{requests} requests");
    }
    gathered
}
