//! A cluster of embedded brokers, a client on it, and a producer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use samsa::Code;
use samsa::cluster::{Cluster, Topic};
use samsa::config::Config;
use samsa::embedded::{self, Fault, FaultKind, Options};
use samsa::error::Persistence;
use samsa::producer::{Delivery, Producer, Record};
use samsa::protocol::modern::ApiKey;

/// Long enough for anything, short enough to end a test that hangs.
pub(crate) fn soon() -> Option<Instant> {
    Some(Instant::now() + Duration::from_secs(20))
}

pub(crate) const WAIT: i32 = 20_000;

pub(crate) struct Bench {
    pub(crate) kafka: embedded::Cluster,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) topic: Arc<Topic>,
    pub(crate) producer: Arc<Producer>,
}

/// One broker, topic `orders` with one partition.
pub(crate) fn bench(properties: &[(&str, &str)]) -> Bench {
    bench_on(Options::default(), 1, properties)
}

pub(crate) fn bench_on(options: Options, partitions: i32, properties: &[(&str, &str)]) -> Bench {
    let kafka = embedded::Cluster::start_with(options).unwrap();
    kafka.create_topic("orders", partitions).unwrap();
    on(kafka, properties)
}

pub(crate) fn on(kafka: embedded::Cluster, properties: &[(&str, &str)]) -> Bench {
    let mut config = Config::new();
    config.set("bootstrap.servers", &kafka.address()).unwrap();
    // Quick retries: no test waits for more than it must.
    let quick = [
        ("retry.backoff.ms", "5"),
        ("retry.backoff.max.ms", "20"),
        ("reconnect.backoff.ms", "5"),
        ("reconnect.backoff.max.ms", "20"),
        ("linger.ms", "0"),
    ];
    for (name, value) in quick.iter().chain(properties) {
        config.set(name, value).unwrap();
    }
    let cluster = Cluster::open(&config).unwrap();
    let topic = cluster.topic("orders").unwrap();
    let producer = Producer::new(&cluster, None).unwrap();
    Bench { kafka, cluster, topic, producer }
}

/// What a test asserts of a delivery: mark, code, status, offset.
pub(crate) type Seen = (u64, Code, Persistence, i64);

pub(crate) fn seen(delivery: &Delivery) -> Seen {
    (delivery.opaque, delivery.code, delivery.status, delivery.offset)
}

pub(crate) const THERE: Persistence = Persistence::Persisted;
pub(crate) const MAYBE: Persistence = Persistence::PossiblyPersisted;
pub(crate) const NOT: Persistence = Persistence::NotPersisted;

impl Bench {
    /// Sends a record of partition 0 with its mark as the value.
    pub(crate) fn send(&self, mark: u64) {
        let value = mark.to_string();
        let record = Record::new(&self.topic, value.as_bytes()).with_opaque(mark).to_partition(0);
        self.producer.send(&record, WAIT).unwrap();
    }

    /// The next outcomes, `count` of them.
    pub(crate) fn outcomes(&self, count: usize) -> Vec<Seen> {
        let (mut outcomes, deadline) = (Vec::new(), soon().unwrap());
        while outcomes.len() < count {
            assert!(Instant::now() < deadline, "{} of {count} outcomes came", outcomes.len());
            match self.producer.poll(1_000) {
                Ok(deliveries) => outcomes.extend(deliveries.iter().map(|one| seen(&one))),
                Err(error) if error.code() == Code::NOTHING => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        assert_eq!(outcomes.len(), count, "exactly one outcome for each record: {outcomes:?}");
        outcomes
    }

    /// The values in the log of partition 0.
    pub(crate) fn stored(&self) -> Vec<String> {
        self.stored_in(0)
    }

    pub(crate) fn stored_in(&self, partition: i32) -> Vec<String> {
        let records = self.kafka.records("orders", partition).unwrap();
        let text = |value: &bytes::Bytes| String::from_utf8_lossy(value).into_owned();
        records.iter().map(|record| record.value.as_ref().map_or_else(String::new, text)).collect()
    }

    pub(crate) fn flush(&self) -> u64 {
        let (failed, result) = self.producer.flush(WAIT, None);
        result.unwrap();
        failed
    }
}

pub(crate) fn on_produce(kind: FaultKind) -> Fault {
    Fault::new(kind).api(ApiKey::Produce).topic("orders")
}
