//! On Kafka 0.8 and later: the Scala client's layout, offsets in ZooKeeper or at the coordinator.

use std::sync::Arc;

use samsa::Code;
use samsa::cluster::Cluster;
use samsa::config::Config;
use samsa::consumer::{Consumer, Event};
use samsa::embedded::zookeeper::Server;
use samsa::embedded::{self, Options};
use samsa::producer::{Producer, Record};

use crate::rig::{Book, Reader, member, wait_owners};

/// A broker, and what it would register.
pub(crate) struct Broker {
    pub(crate) zookeeper: Server,
    kafka: embedded::Cluster,
}

impl Broker {
    pub(crate) fn start() -> Self {
        let zookeeper = Server::start().expect("a ZooKeeper");
        let options = Options { auto_create_topics: false, ..Options::default() };
        let kafka = embedded::Cluster::start_with(options).expect("a broker");
        let address = kafka.broker_address(0).expect("a broker");
        let data =
            format!(r#"{{"version":1,"host":"{}","port":{}}}"#, address.ip(), address.port());
        zookeeper.ensure("/brokers/ids/0", data.as_bytes()).expect("registered");
        Self { zookeeper, kafka }
    }

    pub(crate) fn topic(&self, name: &str, partitions: i32) {
        self.kafka.create_topic(name, partitions).expect("created");
        let list: Vec<String> = (0..partitions).map(|number| format!("\"{number}\":[0]")).collect();
        let data = format!(r#"{{"version":1,"partitions":{{{}}}}}"#, list.join(","));
        let path = format!("/brokers/topics/{name}");
        self.zookeeper.ensure(&path, data.as_bytes()).expect("registered");
    }

    /// Writes `topic-round-partition-number`; gives all, sorted.
    fn write(&self, topic: &str, partitions: i32, round: char, count: usize) -> Vec<String> {
        let mut config = Config::new();
        config.set("bootstrap.servers", &self.kafka.address()).expect("a property");
        let cluster = Cluster::open(&config).expect("opened");
        let producer = Producer::new(&cluster, None).expect("a producer");
        let handle = cluster.topic(topic).expect("a topic");
        let mut all = Vec::new();
        for partition in 0..partitions {
            for number in 0..count {
                let value = format!("{topic}-{round}-{partition}-{number}");
                let record = Record::new(&handle, value.as_bytes()).to_partition(partition);
                producer.send(&record, 30_000).expect("sent");
                all.push(value);
            }
        }
        let (left, flushed) = producer.flush(30_000, None);
        assert!(left == 0 && flushed.is_ok(), "{flushed:?}");
        all.sort();
        all
    }

    fn member(&self, topics: &[&str], properties: &[(&str, &str)]) -> Arc<Consumer> {
        let mut all = vec![("group.protocol", "zookeeper")];
        all.extend(properties);
        let consumer = member(&self.zookeeper, "g", &all);
        consumer.subscribe(topics).expect("subscribed");
        consumer
    }

    fn in_zookeeper(&self, partition: i32) -> Option<String> {
        let node = self.zookeeper.node(&format!("/consumers/g/offsets/t/{partition}"))?;
        Some(String::from_utf8(node.data).expect("text"))
    }

    fn in_kafka(&self, partition: i32) -> Option<i64> {
        self.kafka.committed("g", "t", partition)
    }
}

#[test]
fn members_share_the_partitions_and_hand_over_what_they_have_read() {
    let kafka = Broker::start();
    kafka.topic("t", 4);
    let book = Arc::new(Book::default());
    let start = |name| Reader::start(kafka.member(&["t"], &[]), name, &book);
    let first = kafka.write("t", 4, 'x', 10);
    let a = start("a");
    assert_eq!(book.wait(&["a"], first.len()), first);
    let b = start("b");
    wait_owners(&kafka.zookeeper, "g", "t", &[2, 2]);
    let second = kafka.write("t", 4, 'y', 10);
    let whole: Vec<String> = first.into_iter().chain(second).collect();
    assert_eq!(book.wait(&["a", "b"], whole.len()), whole, "each once");
    assert_eq!(book.of("b").len(), 20);
    a.close();
    wait_owners(&kafka.zookeeper, "g", "t", &[4]);
    let third = kafka.write("t", 4, 'z', 10);
    let all: Vec<String> = whole.into_iter().chain(third).collect();
    assert_eq!(book.wait(&["a", "b"], all.len()), all, "each once");
    b.close();
    assert_eq!([0, 1, 2, 3].map(|one| kafka.in_zookeeper(one)), [0; 4].map(|_| Some("30".into())));
    assert_eq!(kafka.in_kafka(0), None);
}

#[test]
fn rule_10_12_a_group_that_moves_commits_to_both_stores_and_reads_on_from_the_larger() {
    let kafka = Broker::start();
    kafka.topic("t", 1);
    let book = Arc::new(Book::default());
    let properties = [("offsets.storage", "kafka")];
    let first = kafka.write("t", 1, 'x', 10);
    let a = Reader::start(kafka.member(&["t"], &properties), "a", &book);
    assert_eq!(book.wait(&["a"], first.len()), first);
    a.close();
    assert_eq!((kafka.in_zookeeper(0), kafka.in_kafka(0)), (Some("10".into()), Some(10)));
    // A member that still commits to ZooKeeper alone reads on for a while.
    let second = kafka.write("t", 1, 'y', 5);
    let b = Reader::start(kafka.member(&["t"], &[]), "b", &book);
    assert_eq!(book.wait(&["b"], second.len()), second);
    b.close();
    assert_eq!((kafka.in_zookeeper(0), kafka.in_kafka(0)), (Some("15".into()), Some(10)));
    let third = kafka.write("t", 1, 'z', 5);
    let c = Reader::start(kafka.member(&["t"], &properties), "c", &book);
    assert_eq!(book.wait(&["c"], third.len()), third);
    c.close();
    let last = [("offsets.storage", "kafka"), ("dual.commit.enabled", "false")];
    let fourth = kafka.write("t", 1, '~', 5);
    let d = Reader::start(kafka.member(&["t"], &last), "d", &book);
    assert_eq!(book.wait(&["d"], fourth.len()), fourth);
    d.close();
    assert_eq!((kafka.in_zookeeper(0), kafka.in_kafka(0)), (Some("20".into()), Some(25)));
}

#[test]
fn whitelists_and_blacklists_read_topics_that_come_later() {
    let kafka = Broker::start();
    kafka.topic("wa", 1);
    kafka.topic("x", 1);
    let book = Arc::new(Book::default());
    let white = Reader::start(kafka.member(&["^w.*"], &[]), "white", &book);
    let black = Reader::start(kafka.member(&["!w.*"], &[]), "black", &book);
    for topic in ["wb", "y"] {
        kafka.topic(topic, 1);
    }
    let mut wanted = [kafka.write("wa", 1, 'x', 3), kafka.write("wb", 1, 'x', 3)].concat();
    wanted.sort();
    assert_eq!(book.wait(&["white"], 6), wanted);
    let mut wanted = [kafka.write("x", 1, 'x', 3), kafka.write("y", 1, 'x', 3)].concat();
    wanted.sort();
    assert_eq!(book.wait(&["black"], 6), wanted);
    white.close();
    black.close();
}

/// The revocation is with the application when it closes.
#[test]
fn rule_10_1_what_is_being_revoked_is_committed_at_close_before_it_is_released() {
    let kafka = Broker::start();
    kafka.topic("t", 2);
    let book = Arc::new(Book::default());
    let first = kafka.write("t", 2, 'x', 5);
    let a =
        kafka.member(&["t"], &[("samsa.events", "revoked"), ("auto.commit.interval.ms", "600000")]);
    let mut read = 0;
    let mut revoked = None;
    let mut b = None;
    while revoked.is_none() {
        match a.poll(30_000) {
            Ok(batch) => read += batch.iter().count(),
            Err(error) if error.code() == Code::EVENT => {
                let event = a.next_event().expect("events").expect("an event");
                revoked = matches!(event, Event::Revoked(_)).then_some(event);
            }
            Err(error) if error.code() == Code::NOTHING => {}
            Err(error) => panic!("{error}"),
        }
        if read == first.len() && b.is_none() {
            let _ = a.poll(0);
            b = Some(Reader::start(kafka.member(&["t"], &[]), "b", &book));
        }
    }
    a.close(30_000).expect("committed and left");
    drop(revoked);
    wait_owners(&kafka.zookeeper, "g", "t", &[2]);
    let second = kafka.write("t", 2, 'y', 5);
    assert_eq!(book.wait(&["b"], second.len()), second, "nothing twice");
    b.expect("it joined").close();
}

#[test]
fn a_close_that_zookeeper_does_not_confirm_is_no_success() {
    let kafka = Broker::start();
    kafka.topic("t", 1);
    let member = kafka.member(&["t"], &[("enable.auto.commit", "false")]);
    wait_owners(&kafka.zookeeper, "g", "t", &[1]);
    kafka.zookeeper.silence(None);
    let error = member.close(300).expect_err("nobody said that the session is over");
    assert_eq!(error.code(), Code::TIMED_OUT);
    assert!(error.to_string().contains("confirm"), "{error}");
}
