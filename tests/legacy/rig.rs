//! Brokers of 0.7, the ZooKeeper where they are registered, and a cluster that found them there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use samsa::cluster::{Cluster, Topic};
use samsa::config::Config;
use samsa::embedded::legacy;
use samsa::embedded::zookeeper::Server;
use samsa::producer::Producer;
use samsa::protocol::legacy::MessageSet;

pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn soon() -> Instant {
    Instant::now() + PATIENCE
}

/// What a test holds. Brokers are registered by hand, so that a test says what clients see.
pub struct Rig {
    pub brokers: legacy::Cluster,
    pub zookeeper: Server,
}

impl Rig {
    /// So many brokers, all registered, with so many partitions of a topic on each.
    pub fn start(brokers: usize, partitions: i32) -> Self {
        Self::with(legacy::Options { brokers, partitions, ..legacy::Options::default() })
    }

    pub fn with(options: legacy::Options) -> Self {
        let rig = Self {
            brokers: legacy::Cluster::start(options).expect("brokers"),
            zookeeper: Server::start().expect("a ZooKeeper"),
        };
        rig.zookeeper.ensure("/brokers/ids", b"").expect("made");
        rig.zookeeper.ensure("/brokers/topics", b"").expect("made");
        (0..).take(rig.brokers.brokers()).for_each(|id| rig.register(id));
        rig
    }

    pub fn register(&self, id: i32) {
        let port = self.brokers.address(id).expect("a broker").port();
        let data = format!("127.0.0.1-1795250037452:127.0.0.1:{port}");
        self.zookeeper.ensure(&format!("/brokers/ids/{id}"), data.as_bytes()).expect("made");
    }

    /// The registration of a broker ends, and with it those of its topics.
    pub fn unregister(&self, id: i32) {
        self.zookeeper.delete(&format!("/brokers/ids/{id}")).expect("it was there");
        for topic in self.zookeeper.children("/brokers/topics") {
            let _ = self.zookeeper.delete(&format!("/brokers/topics/{topic}/{id}"));
        }
    }

    pub fn register_topic(&self, topic: &str, id: i32, partitions: i32) {
        let path = format!("/brokers/topics/{topic}/{id}");
        self.zookeeper.ensure(&path, partitions.to_string().as_bytes()).expect("made");
    }

    pub fn config(&self, properties: &[(&str, &str)]) -> Config {
        let mut config = Config::new();
        let fixed = [
            ("zookeeper.connect", self.zookeeper.address()),
            ("reconnect.backoff.ms", "10".to_owned()),
            ("reconnect.backoff.max.ms", "50".to_owned()),
            ("retry.backoff.ms", "10".to_owned()),
            ("retry.backoff.max.ms", "50".to_owned()),
        ];
        for (name, value) in &fixed {
            config.set(name, value).expect("a property");
        }
        for (name, value) in properties {
            config.set(name, value).expect("a property");
        }
        config
    }

    /// A cluster that knows all registered brokers.
    pub fn open(&self, properties: &[(&str, &str)]) -> Arc<Cluster> {
        let cluster = Cluster::open(&self.config(properties)).expect("opened");
        cluster.wait_ready(Some(soon())).expect("found through ZooKeeper");
        cluster
    }

    /// The messages that a broker has of a partition, in order.
    pub fn messages(&self, broker: i32, topic: &str, partition: i32) -> Vec<String> {
        let log = self.brokers.log(broker, topic, partition).expect("a broker");
        let mut found = Vec::new();
        for message in MessageSet::new(log.into(), 0) {
            let opened = message.expect("whole").open(true, 1 << 24).expect("sound");
            for inner in opened.messages() {
                let payload = inner.payload.of(&opened.buffer).expect("bytes");
                found.push(String::from_utf8_lossy(payload).into_owned());
            }
        }
        found
    }

    /// Every message of a topic, by broker, partition and order.
    pub fn all_messages(&self, topic: &str) -> Vec<String> {
        let brokers = (0_i32..).take(self.brokers.brokers());
        let places = brokers.flat_map(|broker| (0..16).map(move |partition| (broker, partition)));
        places.flat_map(|(broker, partition)| self.messages(broker, topic, partition)).collect()
    }
}

/// A topic, with what the registry shows of it.
pub fn known(cluster: &Arc<Cluster>, name: &str) -> Arc<Topic> {
    let topic = cluster.topic(name).expect("a name");
    cluster.wait_topic(&topic, Some(soon())).expect("every topic exists on 0.7");
    topic
}

/// The partitions of a topic: broker, number, and whether it is virtual.
pub fn partitions(topic: &Topic) -> Vec<(i32, i32, bool)> {
    let known = topic.metadata().expect("known");
    let apart = |at: usize| {
        let number = known.number(at);
        let (broker, within) =
            (samsa::cluster::partition_broker(number), samsa::cluster::partition_within(number));
        (broker, within, known.is_virtual(at))
    };
    (0..known.partitions.len()).map(apart).collect()
}

/// Waits until something is so.
pub fn wait_until(what: &str, so: impl Fn() -> bool) {
    let deadline = soon();
    while !so() {
        assert!(Instant::now() < deadline, "in time: {what}");
        std::thread::yield_now();
    }
}

/// Waits until the topic has these partitions.
pub fn wait_partitions(topic: &Topic, wanted: &[(i32, i32, bool)]) {
    wait_until("the partitions", || partitions(topic) == wanted);
}

pub fn producer(cluster: &Arc<Cluster>) -> Arc<Producer> {
    Producer::new(cluster, None).expect("a producer")
}

pub fn publisher(cluster: &Arc<Cluster>) -> Arc<Producer> {
    Producer::publisher(cluster).expect("a publisher")
}
