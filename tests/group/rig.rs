//! A cluster of embedded brokers, clients of it, and short words for what tests do.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use samsa::cluster::Cluster;
use samsa::config::{Config, ConsumerConfig, GroupConfig};
use samsa::embedded::{self, Fault, FaultKind, Options};
use samsa::group::{Committed, KafkaOffsets, OffsetStore, TopicPartition};
use samsa::protocol::modern::ApiKey;
use samsa::{Code, Result};

/// No test waits longer than this for something that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Brokers and a client.
pub(crate) struct Rig {
    pub(crate) kafka: embedded::Cluster,
    pub(crate) cluster: Arc<Cluster>,
}

impl Rig {
    /// So many brokers with topic "t" of four partitions.
    pub(crate) fn new(brokers: usize) -> Self {
        Self::with(Options { brokers, ..Options::default() })
    }

    pub(crate) fn with(options: Options) -> Self {
        let kafka = embedded::Cluster::start_with(options).expect("started");
        kafka.create_topic("t", 4).expect("created");
        let cluster = open(&kafka, &[]);
        Self { kafka, cluster }
    }

    /// The properties of a member of group "g".
    pub(crate) fn config(&self, properties: &[(&str, &str)]) -> GroupConfig {
        let mut config = self.cluster.config().clone();
        config.set("group.id", "g").expect("a property");
        for (name, value) in properties {
            config.set(name, value).expect("a property");
        }
        ConsumerConfig::from(&config).expect("a configuration").group
    }

    /// Another client of the same brokers.
    pub(crate) fn another(&self, properties: &[(&str, &str)]) -> Arc<Cluster> {
        open(&self.kafka, properties)
    }

    /// The group's offsets for somebody who is no member.
    pub(crate) fn alone(&self) -> Arc<KafkaOffsets> {
        KafkaOffsets::alone(&self.cluster, &self.config(&[])).expect("a store")
    }

    /// Waits until this is true of the brokers.
    pub(crate) fn until(&self, what: &str, done: impl Fn() -> bool) {
        let end = soon();
        while !done() {
            assert!(Instant::now() < end, "never: {what}");
            std::thread::yield_now();
        }
    }

    /// An error for the next request of this API.
    pub(crate) fn fail(&self, api: ApiKey, code: Code) -> embedded::FaultId {
        self.kafka.inject(error(api, code))
    }

    /// Runs a future of the library to its end.
    pub(crate) fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.cluster.runtime().handle().block_on(future)
    }

    pub(crate) fn commit(&self, store: &dyn OffsetStore, offset: i64) -> Result<()> {
        let commit = store.commit(vec![(place(0), at(offset))], false, soon());
        self.run(commit).remove(0)
    }

    pub(crate) fn committed(&self, store: &dyn OffsetStore) -> Result<Option<Committed>> {
        self.run(store.fetch(vec![place(0)], soon()))?.remove(0)
    }
}

fn open(kafka: &embedded::Cluster, properties: &[(&str, &str)]) -> Arc<Cluster> {
    let mut config = Config::new();
    config.set("bootstrap.servers", &kafka.address()).expect("a property");
    config.set("retry.backoff.ms", "5").expect("a property");
    config.set("retry.backoff.max.ms", "50").expect("a property");
    for (name, value) in properties {
        config.set(name, value).expect("a property");
    }
    let cluster = Cluster::open(&config).expect("open");
    cluster.wait_ready(Some(soon())).expect("contact");
    cluster
}

pub(crate) fn error(api: ApiKey, code: Code) -> Fault {
    let code = i16::try_from(code.0).expect("a code of Kafka's");
    Fault::new(FaultKind::RequestError(code)).api(api)
}

/// A partition of "t".
pub(crate) fn place(partition: i64) -> TopicPartition {
    TopicPartition { topic: Arc::from("t"), partition }
}

pub(crate) fn at(offset: i64) -> Committed {
    Committed { offset, leader_epoch: None, metadata: None }
}

pub(crate) fn soon() -> Instant {
    Instant::now() + PATIENCE
}

/// That a call gave this code.
pub(crate) fn assert_code<T: std::fmt::Debug>(result: Result<T>, code: Code) {
    assert_eq!(result.expect_err("an error").code(), code);
}
