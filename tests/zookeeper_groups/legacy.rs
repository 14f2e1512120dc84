//! On Kafka 0.7, where all groups are in ZooKeeper and offsets are byte positions.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;

use samsa::Code;
use samsa::consumer::Consumer;
use samsa::embedded::legacy::{self, Options};
use samsa::embedded::zookeeper::Server;
use samsa::protocol::legacy::{Produce, Request, RequestId, append_message, wrap};
use samsa::protocol::record::Compression;

use crate::rig::{Book, Reader, member, soon, wait_owners};

const TOPIC: &str = "t";

/// Brokers that registered themselves, and their ZooKeeper.
pub(crate) struct Brokers {
    pub(crate) zookeeper: Server,
    pub(crate) brokers: legacy::Cluster,
    partitions: i32,
}

pub(crate) fn set(payloads: &[String]) -> Vec<u8> {
    let mut set = Vec::new();
    payloads.iter().for_each(|payload| append_message(&mut set, payload.as_bytes()));
    set
}

impl Brokers {
    /// Two brokers with two partitions of each topic.
    pub(crate) fn start() -> Self {
        Self::with(2, 2)
    }

    pub(crate) fn with(brokers: usize, partitions: i32) -> Self {
        let zookeeper = Server::start().expect("a ZooKeeper");
        let address = Some(zookeeper.address());
        let options = Options { brokers, partitions, zookeeper: address, ..Options::default() };
        let brokers = legacy::Cluster::start(options).expect("brokers");
        Self { zookeeper, brokers, partitions }
    }

    pub(crate) fn append(&self, broker: i32, partition: i32, set: &[u8]) {
        let done = self.brokers.requests(broker, RequestId::Produce).expect("a broker");
        let mut bytes = Vec::new();
        let produce = Request::Produce(Produce { topic: TOPIC, partition, set });
        produce.encode(&mut bytes).expect("encoded");
        let mut stream = TcpStream::connect(self.brokers.address(broker).expect("a broker"));
        stream.as_mut().expect("connected").write_all(&bytes).expect("written");
        self.brokers.wait_requests(broker, RequestId::Produce, done + 1, soon()).expect("done");
    }

    /// Broker and number of every partition.
    fn places(&self) -> impl Iterator<Item = (i32, i32)> {
        let partitions = self.partitions;
        let brokers = (0_i32..).take(self.brokers.brokers());
        brokers.flat_map(move |broker| (0..partitions).map(move |number| (broker, number)))
    }

    /// Writes `round-broker-partition-number` to every partition; gives all, sorted.
    pub(crate) fn write(&self, round: char, count: usize) -> Vec<String> {
        let mut all = Vec::new();
        for (broker, partition) in self.places() {
            let payloads: Vec<String> =
                (0..count).map(|number| format!("{round}-{broker}-{partition}-{number}")).collect();
            self.append(broker, partition, &set(&payloads));
            all.extend(payloads);
        }
        all.sort();
        all
    }

    pub(crate) fn read(&self, group: &str, name: &'static str, book: &Arc<Book>) -> Reader {
        // Subscribed at once: which Kafka it is shows later.
        let consumer = self.member(group);
        Reader::start(consumer, name, book)
    }

    pub(crate) fn member(&self, group: &str) -> Arc<Consumer> {
        let consumer = member(&self.zookeeper, group, &[]);
        consumer.subscribe(&[TOPIC]).expect("subscribed");
        consumer
    }

    pub(crate) fn offset(&self, node: &str) -> Option<String> {
        let node = self.zookeeper.node(&format!("/consumers/g/offsets/t/{node}"))?;
        Some(String::from_utf8(node.data).expect("text"))
    }
}

#[test]
fn members_of_one_group_share_a_queue_and_each_group_has_the_whole_topic() {
    let kafka = Brokers::start();
    let book = Arc::new(Book::default());
    let first = kafka.write('x', 1);
    let (a, b) = (kafka.read("g", "a", &book), kafka.read("g", "b", &book));
    let c = kafka.read("h", "c", &book);
    wait_owners(&kafka.zookeeper, "g", TOPIC, &[2, 2]);
    wait_owners(&kafka.zookeeper, "h", TOPIC, &[4]);
    book.wait(&["c"], first.len());
    book.wait(&["a", "b"], first.len());
    let second = kafka.write('y', 50);
    let whole: Vec<String> = first.into_iter().chain(second.clone()).collect();
    assert_eq!(book.wait(&["c"], whole.len()), whole);
    let of_second = |name: &str| -> Vec<String> {
        book.of(name).into_iter().filter(|value| value.starts_with('y')).collect()
    };
    book.wait(&["a", "b"], whole.len());
    let mut shared = [of_second("a"), of_second("b")].concat();
    assert_eq!((of_second("a").len(), of_second("b").len()), (100, 100));
    shared.sort();
    assert_eq!(shared, second);
    // One leaves, and the other has all of it.
    b.close();
    wait_owners(&kafka.zookeeper, "g", TOPIC, &[4]);
    let before = book.of("a").len();
    let third = kafka.write('z', 10);
    book.wait(&["a"], before + third.len());
    assert_eq!(book.of("a").split_off(before), third, "nothing twice: offsets were handed over");
    a.close();
    c.close();
    assert!(kafka.zookeeper.children("/consumers/g/ids").is_empty());
}

#[test]
fn what_a_member_read_and_committed_its_successor_does_not_read_again() {
    let kafka = Brokers::start();
    let book = Arc::new(Book::default());
    let first = kafka.write('x', 5);
    let a = kafka.read("g", "a", &book);
    assert_eq!(book.wait(&["a"], first.len()), first);
    a.close();
    // Byte positions: five messages of 9 bytes and a header of 10.
    let end = set(&(0..5).map(|number| format!("x-0-0-{number}")).collect::<Vec<_>>()).len();
    for node in ["0-0", "0-1", "1-0", "1-1"] {
        assert_eq!(kafka.offset(node), Some(end.to_string()), "{node}");
    }
    let second = kafka.write('y', 5);
    let b = kafka.read("g", "b", &book);
    assert_eq!(book.wait(&["b"], second.len()), second);
    b.close();
}

#[test]
fn rule_10_13_within_a_compressed_set_its_beginning_is_committed() {
    let kafka = Brokers::start();
    let payloads: Vec<String> = (0..3).map(|number| format!("m{number}")).collect();
    let mut wrapped = Vec::new();
    wrap(&mut wrapped, &set(&payloads), Compression::Gzip, None).expect("compressed");
    let plain = set(&["first".to_owned()]);
    kafka.append(0, 0, &plain);
    kafka.append(0, 0, &wrapped);
    let read = |count: usize| {
        let consumer = kafka.member("g");
        let next = || {
            let message = consumer.next(30_000).expect("a message");
            String::from_utf8(message.record().value().expect("a value").to_vec()).expect("text")
        };
        let values: Vec<String> = (0..count).map(|_| next()).collect();
        consumer.close(30_000).expect("closed");
        values
    };
    assert_eq!(read(3), ["first", "m0", "m1"]);
    assert_eq!(kafka.offset("0-0"), Some(plain.len().to_string()));
    assert_eq!(read(3), ["m0", "m1", "m2"], "the set is read from its beginning");
    assert_eq!(kafka.offset("0-0"), Some((plain.len() + wrapped.len()).to_string()));
}

#[test]
fn a_member_that_begins_at_a_message_over_its_limit_is_told_that() {
    let kafka = Brokers::with(1, 1);
    let mut large = Vec::new();
    append_message(&mut large, &set(&["inside".to_owned()]).repeat(20_000));
    kafka.append(0, 0, &[set(&["small".to_owned()]), large].concat());
    let limits = [("max.partition.fetch.bytes", "1000"), ("fetch.max.bytes", "200000")];
    let consumer = member(&kafka.zookeeper, "g", &limits);
    consumer.subscribe(&[TOPIC]).expect("subscribed");
    let message = consumer.next(30_000).expect("a message");
    assert_eq!(message.record().value(), Some(&b"small"[..]));
    drop(message);
    consumer.close(30_000).expect("closed");
    assert_eq!(kafka.offset("0-0").as_deref(), Some("15"));
    let consumer = member(&kafka.zookeeper, "g", &limits);
    consumer.subscribe(&[TOPIC]).expect("subscribed");
    let error = consumer.next(30_000).expect_err("it is over the limit");
    assert_eq!((error.code(), error.property()), (Code::RECORD_TOO_LARGE, Some("fetch.max.bytes")));
    consumer.close(30_000).expect("closed");
}
