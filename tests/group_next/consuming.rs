//! Consumers over these memberships: what they read, and where they go on.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use samsa::Code;
use samsa::cluster::Cluster;
use samsa::config::Config;
use samsa::consumer::Consumer;
use samsa::embedded::{Fault, FaultKind};
use samsa::producer::{Producer, Record};
use samsa::protocol::modern::ApiKey;

use super::rig::{Rig, soon, until};

/// How often each message was read.
type Seen = Mutex<BTreeMap<String, usize>>;

fn cluster(rig: &Rig) -> Arc<Cluster> {
    let mut config = Config::new();
    let properties = [
        ("bootstrap.servers", rig.kafka.address()),
        ("group.id", "g".to_owned()),
        ("group.protocol", "consumer".to_owned()),
        ("auto.offset.reset", "earliest".to_owned()),
        ("max.poll.records", "7".to_owned()),
        ("retry.backoff.ms", "5".to_owned()),
    ];
    for (name, value) in &properties {
        config.set(name, value).expect("set");
    }
    Cluster::open(&config).expect("opened")
}

fn consumer(rig: &Rig) -> Arc<Consumer> {
    let consumer = Consumer::new(&cluster(rig), None).expect("made");
    consumer.subscribe(&["t"]).expect("subscribed");
    consumer
}

/// Publishes numbered messages over four partitions.
fn publish(rig: &Rig, numbers: std::ops::Range<usize>) {
    let cluster = cluster(rig);
    let producer = Producer::new(&cluster, None).expect("made");
    let topic = cluster.topic("t").expect("a name");
    for number in numbers.clone() {
        let value = number.to_string();
        let partition = i32::try_from(number % 4).expect("small");
        let record = Record::new(&topic, value.as_bytes()).to_partition(partition);
        producer.send(&record, 20_000).expect("sent");
    }
    let mut delivered = 0;
    while delivered < numbers.len() {
        delivered += producer.poll(20_000).expect("delivered").len();
    }
}

/// Reads until it is told to stop, then leaves.
fn read(consumer: &Consumer, seen: &Seen, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        match consumer.poll(20) {
            Ok(batch) => {
                let mut seen = seen.lock().expect("no panic");
                for message in batch.iter() {
                    let value = message.value().expect("a value");
                    *seen.entry(String::from_utf8_lossy(value).into_owned()).or_default() += 1;
                }
            }
            Err(error) => assert_eq!(error.code(), Code::NOTHING, "{error}"),
        }
    }
    consumer.close(20_000).expect("closed");
}

fn all_seen(seen: &Seen, count: usize) {
    until("every message", || seen.lock().expect("no panic").len() == count);
}

#[test]
fn every_message_is_read_once_while_consumers_come_and_go() {
    let rig = Rig::new(4);
    let (seen, stop, first) = (Seen::default(), AtomicBool::new(false), consumer(&rig));
    publish(&rig, 0..200);
    std::thread::scope(|scope| {
        scope.spawn(|| read(&first, &seen, &stop));
        all_seen(&seen, 200);
        for round in 1..=3 {
            let (second, enough) = (consumer(&rig), AtomicBool::new(false));
            std::thread::scope(|scope| {
                scope.spawn(|| read(&second, &seen, &enough));
                publish(&rig, 200 * round..200 * (round + 1));
                rig.wait_members(2);
                all_seen(&seen, 200 * (round + 1));
                enough.store(true, Ordering::Relaxed);
            });
        }
        stop.store(true, Ordering::Relaxed);
    });
    let seen = seen.into_inner().expect("no panic");
    let twice: Vec<_> = seen.iter().filter(|(_, times)| **times != 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    // What was read was committed; who comes next goes on there.
    let committed: i64 = (0..4).filter_map(|index| rig.kafka.committed("g", "t", index)).sum();
    assert_eq!(committed, 800);
}

#[test]
fn rule_9_15_a_consumer_that_does_not_poll_is_out_and_comes_back() {
    let rig = Rig::new(4);
    let mut overrides = Config::new();
    overrides.set("max.poll.interval.ms", "200").expect("set");
    let consumer = Consumer::new(&cluster(&rig), Some(&overrides)).expect("made");
    consumer.subscribe(&["t"]).expect("subscribed");
    publish(&rig, 0..40);
    let batch = consumer.poll(20_000).expect("messages");
    assert!(!batch.iter().next().expect("one").value().expect("a value").is_empty());
    // It does not poll: there is more to read.
    rig.wait_members(0);
    drop(batch);
    until("messages again", || match consumer.poll(50) {
        Ok(batch) => batch.iter().next().is_some(),
        Err(_) => false,
    });
    rig.wait_members(1);
    consumer.close(20_000).expect("closed");
    rig.wait_members(0);
}

#[test]
fn rule_9_10_who_is_thrown_out_while_it_looks_offsets_up_heals_without_an_error() {
    let fault = |code: Code| {
        let code = i16::try_from(code.0).expect("Kafka's");
        Fault::new(FaultKind::RequestError(code)).api(ApiKey::OffsetFetch)
    };
    for code in [Code::UNKNOWN_MEMBER_ID, Code::FENCED_MEMBER_EPOCH] {
        let rig = Rig::new(4);
        // No heartbeat tells it first.
        rig.kafka.set("group.consumer.heartbeat.interval.ms", "60000").expect("set");
        publish(&rig, 0..4);
        let loads = rig.kafka.inject(fault(Code::COORDINATOR_LOAD_IN_PROGRESS).always());
        let consumer = consumer(&rig);
        rig.kafka.wait_injected(loads, 1, soon()).expect("it asks");
        rig.kafka.expire_member("g", &rig.kafka.group_members("g")[0].id).expect("there");
        let refused = rig.kafka.inject(fault(code));
        rig.kafka.withdraw(loads);
        let seen = Cell::new(0);
        until("every message", || {
            match consumer.poll(50) {
                Ok(batch) => seen.set(seen.get() + batch.len()),
                Err(error) => assert_eq!(error.code(), Code::NOTHING, "{error}"),
            }
            seen.get() >= 4
        });
        assert_eq!(rig.kafka.injected(refused), 1);
    }
}
