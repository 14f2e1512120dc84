//! Kafka 0.7 behind a real ZooKeeper: embedded brokers of 0.7 that register themselves there.

use std::sync::Arc;

use samsa::cluster::Cluster;
use samsa::embedded::legacy::{Cluster as Brokers, Options};
use samsa::producer::{Producer, Record};
use samsa::protocol::legacy::MessageSet;

use super::zookeeper::{PATIENCE, Place, config, soon};
use crate::harness::process::wait_until;
use crate::programs::{program, run, text};

/// Brokers that register themselves there, as theirs do.
fn brokers(place: &Place, count: usize) -> Brokers {
    let zookeeper = Some(place.connect());
    let options = Options { brokers: count, partitions: 2, zookeeper, ..Options::default() };
    Brokers::start(options).expect("the embedded brokers")
}

/// Every message of a topic, by broker, partition and order.
fn messages(brokers: &Brokers, topic: &str) -> Vec<String> {
    let mut found = Vec::new();
    for broker in (0_i32..).take(brokers.brokers()) {
        for partition in 0..2 {
            let log = brokers.log(broker, topic, partition).expect("a broker");
            for message in MessageSet::new(log.into(), 0) {
                let opened = message.expect("whole").open(true, 1 << 24).expect("sound");
                for inner in &opened.messages {
                    let payload = inner.payload.of(&opened.buffer).expect("bytes");
                    found.push(text(payload));
                }
            }
        }
    }
    found
}

fn open(place: &Place, options: &[(&str, &str)]) -> Arc<Cluster> {
    let cluster = Cluster::open(&config(&place.connect(), options)).expect("open does not wait");
    cluster.wait_ready(Some(soon())).expect("the registry is all there is to know");
    cluster
}

/// Brokers die and come back under a stream of messages: each is written once at least.
pub fn publishing(place: &Place) {
    let brokers = brokers(place, 3);
    let cluster = open(place, &[("linger.ms", "1"), ("batch.size", "500")]);
    let topic = cluster.topic("t").expect("a name");
    let producer = Producer::new(&cluster, None).expect("a producer");
    let mut sent = 0;
    for victim in 0..3 {
        for step in 0..3 {
            for _ in 0..300 {
                let value = sent.to_string();
                producer.send(&Record::new(&topic, value.as_bytes()), -1).expect("accepted");
                sent += 1;
            }
            match step {
                0 => brokers.close_connections(Some(victim)).expect("closed"),
                1 => brokers.stop_broker(victim).expect("stopped"),
                _ => brokers.start_broker(victim).expect("started"),
            }
        }
    }
    let (failed, flushed) = producer.flush(60_000, None);
    flushed.expect("every outcome is there");
    assert_eq!(failed, 0);
    let mut written = messages(&brokers, "t");
    written.sort_by_key(|value| value.parse::<u32>().expect("a number"));
    written.dedup();
    let expected: Vec<String> = (0..sent).map(|number| number.to_string()).collect();
    assert!(written == expected, "{} of {sent} messages were written", written.len());
    cluster.close(Some(soon())).expect("closed");
}

/// A topic is virtual until it is written to, and what the broker registers then is seen.
pub fn virtual_partitions(place: &Place) {
    let brokers = brokers(place, 2);
    let cluster = open(place, &[]);
    let topic = cluster.topic("new").expect("a name");
    let known = cluster.wait_topic(&topic, Some(soon())).expect("every topic exists");
    assert!((0..2).all(|index| known.is_virtual(index)) && known.partitions.len() == 2);
    let publisher = Producer::publisher(&cluster).expect("a publisher");
    let record = Record::new(&topic, b"m").to_partition(1_i64 << 32);
    assert_eq!(publisher.publish(&[record], Some(soon())).expect("published"), (1 << 32, -1));
    assert!(brokers.has_topic(1, "new").expect("a broker"));
    let numbers = || {
        let known = topic.metadata().expect("known");
        (0..known.partitions.len())
            .map(|index| (known.number(index), known.is_virtual(index)))
            .collect::<Vec<_>>()
    };
    let wanted = [(0, true), (1 << 32, false), (1 << 32 | 1, false)];
    assert!(wait_until(PATIENCE, || numbers() == wanted), "{:?}", numbers());
    publisher.close(5_000, None).expect("closed");
    cluster.close(Some(soon())).expect("closed");
}

/// The programs that publish to today's brokers publish to 0.7 with another address and nothing else.
pub fn programs(place: &Place) {
    let brokers = brokers(place, 2);
    let through = format!("zookeeper.connect={}", place.connect());
    let publish = run(program("publish").arg("fruit").arg(&through), b"");
    assert!(publish.status.success(), "publish failed: {}", text(&publish.stderr));
    let fruit = messages(&brokers, "fruit");
    for one in ["an apple", "a banana", "a cherry"] {
        assert_eq!(fruit.iter().filter(|value| *value == one).count(), 1, "{fruit:?}");
    }
    let list = ["a date", "an elderberry", "a fig"];
    assert!(fruit.windows(3).any(|window| window == list), "in order: {fruit:?}");

    let lines: Vec<String> = (0..2_000).map(|number| format!("line {number}")).collect();
    let mut produce = program("produce");
    let output = run(produce.arg("lines").arg(&through), (lines.join("\n") + "\n").as_bytes());
    assert!(output.status.success(), "produce failed: {}", text(&output.stderr));
    let mut written = messages(&brokers, "lines");
    written.sort_by_key(|line| line[5..].parse::<u32>().expect("a number"));
    assert_eq!(written, lines);

    let shown = run(program("cluster").arg(&through), b"");
    assert!(shown.status.success(), "cluster failed: {}", text(&shown.stderr));
    let port = brokers.address(1).expect("a broker").port().to_string();
    assert!(text(&shown.stdout).contains(&port), "{}", text(&shown.stdout));
}
