//! Brokers of 0.7 that registered themselves, a cluster that found them, and logs written to by hand.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use samsa::cluster::Cluster;
use samsa::config::Config;
use samsa::consumer::{Batch, Consumer, Name, Position};
use samsa::embedded::legacy::{self, Options};
use samsa::embedded::zookeeper::Server;
use samsa::protocol::legacy::{Produce, Request, RequestId, append_message, wrap};
use samsa::protocol::record::Compression;
use samsa::{Code, Error};

pub const TOPIC: &str = "t";

pub fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

pub struct Rig {
    pub brokers: legacy::Cluster,
    pub cluster: Arc<Cluster>,
    pub zookeeper: Server,
}

impl Rig {
    /// So many brokers with so many partitions of each topic.
    pub fn new(brokers: usize, partitions: i32) -> Self {
        Self::with(Options { brokers, partitions, ..Options::default() }, &[])
    }

    /// The same with these options, and these properties of the client.
    pub fn with(options: Options, properties: &[(&str, &str)]) -> Self {
        let zookeeper = Server::start().expect("a ZooKeeper");
        let connect = Some(zookeeper.address());
        let brokers = legacy::Cluster::start(Options { zookeeper: connect, ..options });
        let mut config = Config::new();
        let address = zookeeper.address();
        let usual = [
            ("zookeeper.connect", &address[..]),
            ("reconnect.backoff.ms", "10"),
            ("reconnect.backoff.max.ms", "50"),
            ("retry.backoff.ms", "10"),
            ("retry.backoff.max.ms", "50"),
            ("fetch.max.wait.ms", "20"),
            ("auto.offset.reset", "earliest"),
        ];
        for (name, value) in usual.iter().chain(properties) {
            config.set(name, value).expect("a property");
        }
        let cluster = Cluster::open(&config).expect("opened");
        Self { brokers: brokers.expect("brokers"), cluster, zookeeper }
    }

    /// Appends a set to the log of a partition, as it is.
    pub fn append(&self, broker: i32, partition: i32, set: &[u8]) {
        self.append_to(TOPIC, broker, partition, set);
    }

    /// The same for any topic.
    pub fn append_to(&self, topic: &str, broker: i32, partition: i32, set: &[u8]) {
        let done = self.brokers.requests(broker, RequestId::Produce).expect("a broker");
        let mut bytes = Vec::new();
        let produce = Request::Produce(Produce { topic, partition, set });
        produce.encode(&mut bytes).expect("encoded");
        let mut stream = TcpStream::connect(self.brokers.address(broker).expect("a broker"));
        stream.as_mut().expect("connected").write_all(&bytes).expect("written");
        self.brokers.wait_requests(broker, RequestId::Produce, done + 1, soon()).expect("done");
    }

    /// Appends plain messages.
    pub fn write(&self, broker: i32, partition: i32, payloads: &[&str]) {
        self.append(broker, partition, &set(payloads));
    }

    /// Waits until ZooKeeper shows a topic on a broker.
    pub fn wait_registered(&self, broker: i32) {
        let node = format!("/brokers/topics/{TOPIC}/{broker}");
        self.zookeeper.wait_until(soon(), |z| z.node(&node).is_some()).expect("registered");
    }

    /// A consumer of these places.
    pub fn reader(&self, places: &[Position]) -> Arc<Consumer> {
        self.reader_with(places, &[])
    }

    /// The same with properties of its own.
    pub fn reader_with(&self, places: &[Position], properties: &[(&str, &str)]) -> Arc<Consumer> {
        let mut own = Config::new();
        for (name, value) in properties {
            own.set(name, value).expect("a property");
        }
        let consumer = Consumer::new(&self.cluster, Some(&own)).expect("a consumer");
        consumer.assign(places).expect("assigned");
        consumer
    }
}

/// Plain messages behind one another.
pub fn set(payloads: &[&str]) -> Vec<u8> {
    let mut set = Vec::new();
    payloads.iter().for_each(|payload| append_message(&mut set, payload.as_bytes()));
    set
}

/// The same in one compressed message.
pub fn wrapped(payloads: &[&str], codec: Compression) -> Vec<u8> {
    let mut out = Vec::new();
    wrap(&mut out, &set(payloads), codec, None).expect("compressed");
    out
}

/// The partition of a broker, as the API numbers it.
pub fn place(broker: i64, partition: i64) -> Position {
    place_in(TOPIC, broker, partition)
}

/// The same of any topic.
pub fn place_in(topic: &str, broker: i64, partition: i64) -> Position {
    Position::new(Name::new(topic).expect("a name"), broker << 32 | partition)
}

pub fn values(batch: &Batch) -> Vec<String> {
    let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.expect("a value")).into_owned();
    batch.iter().map(|record| text(record.value())).collect()
}

/// Reads until so many messages came, in the order in which they came.
pub fn read(consumer: &Consumer, count: usize) -> Vec<String> {
    let mut seen = Vec::new();
    while seen.len() < count {
        seen.extend(values(&consumer.poll(30_000).expect("messages")));
    }
    assert_eq!(seen.len(), count, "more than were written: {seen:?}");
    seen
}

/// Polls until an error of a partition comes; the messages before it.
pub fn read_to_error(consumer: &Consumer) -> (Vec<String>, Error) {
    let mut seen = Vec::new();
    loop {
        match consumer.poll(30_000) {
            Ok(batch) => seen.extend(values(&batch)),
            Err(error) => return (seen, error),
        }
    }
}

/// Nothing more comes for a while.
pub fn assert_quiet(consumer: &Consumer) {
    let outcome = consumer.poll(150).map(|batch| values(&batch));
    assert!(matches!(&outcome, Err(error) if error.code() == Code::NOTHING), "{outcome:?}");
}

/// Where a partition goes on.
pub fn position(consumer: &Consumer, place: &Position) -> Option<i64> {
    consumer.position(Some(std::slice::from_ref(place))).expect("assigned")[0].offset
}
