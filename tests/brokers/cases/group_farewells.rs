//! A member leaves while others take their time to join: it commits, and does not wait for them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use samsa::cluster::Cluster;
use samsa::config::Config;
use samsa::consumer::Consumer;
use samsa::group::admin::describe_group;
use samsa::producer::{Producer, Record};

use crate::ground::Ground;
use crate::harness::topics;
use crate::ours;

/// No wait for something that must come is longer than this.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the other member takes to hear of a rebalance; what is at once is far below.
const HEARTBEAT: &str = "20000";
const AT_ONCE: Duration = Duration::from_secs(5);

fn member(cluster: &Arc<Cluster>, topic: &str, heartbeat: &str) -> Arc<Consumer> {
    let mut config = Config::new();
    for (name, value) in [
        ("group.id", topic),
        ("partition.assignment.strategy", "cooperative-sticky"),
        ("auto.offset.reset", "earliest"),
        ("auto.commit.interval.ms", "600000"),
        ("session.timeout.ms", "30000"),
        ("heartbeat.interval.ms", heartbeat),
    ] {
        config.set(name, value).expect("a property");
    }
    let consumer = Consumer::new(cluster, Some(&config)).expect("a consumer");
    consumer.subscribe(&[topic]).expect("subscribed");
    consumer
}

/// Polls until so many messages came.
fn read(consumer: &Consumer, mut count: usize) {
    let end = Instant::now() + PATIENCE;
    while count > 0 {
        assert!(Instant::now() < end, "{count} messages are missing");
        count -= consumer.poll(100).map_or(0, |batch| batch.len());
    }
}

/// Another member that makes this one give half of its partitions up and join again, and hears of that
/// long after: the coordinator waits for it.
fn hold_up(cluster: &Arc<Cluster>, member: &Consumer, topic: &str) -> Arc<Consumer> {
    let other = self::member(cluster, topic, HEARTBEAT);
    let end = Instant::now() + PATIENCE;
    let holds = || {
        let described = describe_group(cluster, topic, Some(end)).expect("described");
        let owned = member.assignment().expect("open").len();
        owned == 2 && described.listing.state == "PreparingRebalance"
    };
    while !holds() {
        assert!(Instant::now() < end, "no rebalance waits for the other member");
        let _ = member.poll(20);
    }
    other
}

/// Writes one message to each of the four partitions.
fn write(cluster: &Arc<Cluster>, topic: &str) {
    let producer = Producer::new(cluster, None).expect("a producer");
    let topic = cluster.topic(topic).expect("a topic");
    for partition in 0..4 {
        let record = Record::new(&topic, b"m").to_partition(partition);
        producer.send(&record, 60_000).expect("taken");
    }
    producer.close(60_000, None).expect("written");
}

/// Ends the subscription, and later the consumer, in the middle of rebalances that wait for another
/// member, who takes 20 s to hear of them.
pub fn a_member_leaves_in_a_slow_rebalance(ground: &Ground) {
    let topic = ground.topic("farewell");
    topics::create(ground, &topic, 4, 1, &[]);
    let cluster = ours::open(&ground.address, &[]).expect("open");
    let first = member(&cluster, &topic, "100");
    write(&cluster, &topic);
    read(&first, 4);
    let other = hold_up(&cluster, &first, &topic);
    let began = Instant::now();
    first.unsubscribe(30_000, None).expect("committed");
    println!("unsubscribed in {:?}", began.elapsed());
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    other.close(30_000).expect("left");
    // The join that was given up does not hold up the next; all that was read was committed.
    first.subscribe(&[&*topic]).expect("subscribed");
    write(&cluster, &topic);
    read(&first, 4);
    assert!(began.elapsed() < AT_ONCE * 2, "{:?}", began.elapsed());
    let other = hold_up(&cluster, &first, &topic);
    let began = Instant::now();
    first.close(30_000).expect("committed and left");
    println!("closed in {:?}", began.elapsed());
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    let described = describe_group(&cluster, &topic, Some(began + PATIENCE)).expect("described");
    assert_eq!(described.members.len(), 1, "it has left");
    other.close(30_000).expect("left");
    let next = member(&cluster, &topic, "100");
    write(&cluster, &topic);
    read(&next, 4);
    assert!(next.poll(0).is_err(), "nothing was read twice");
    next.close(30_000).expect("left");
}
