//! Members on an embedded ZooKeeper, with a consumer that writes down what it is told.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::shared::{Shared, lock};
use super::{begin, check};
use crate::config::{Config, ConsumerConfig, Ensemble};
use crate::discovery::zookeeper::Settings;
use crate::embedded::zookeeper::{Options, Server};
use crate::error::{Error, Result};
use crate::group::{
    Committed, Done, Listener, Membership, OffsetStore, Step, Subscription, TopicPartition,
};
use crate::log::Logger;
use crate::net::Backoff;
use crate::runtime::Runtime;

/// Longer than anything takes on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn soon() -> Instant {
    Instant::now() + PATIENCE
}

/// An embedded ZooKeeper in which brokers and topics are registered.
pub(super) struct Ground {
    pub(super) zookeeper: Server,
}

impl Ground {
    /// Nobody is registered.
    pub(super) fn empty() -> Self {
        Self { zookeeper: Server::start_with(Options::default()).unwrap() }
    }

    /// A broker of 0.8 or later, and a topic of so many partitions.
    pub(super) fn modern(topic: &str, partitions: i32) -> Self {
        let ground = Self::empty();
        ground.broker();
        ground.topic(topic, partitions);
        ground
    }

    pub(super) fn broker(&self) {
        self.set("/brokers/ids/0", r#"{"version":1,"host":"h","port":9092}"#);
    }

    pub(super) fn topic(&self, topic: &str, partitions: i32) {
        let list: Vec<String> = (0..partitions).map(|number| format!("\"{number}\":[0]")).collect();
        let data = format!(r#"{{"version":1,"partitions":{{{}}}}}"#, list.join(","));
        self.set(&format!("/brokers/topics/{topic}"), &data);
    }

    /// A broker of 0.7, with so many partitions of a topic.
    pub(super) fn legacy(&self, broker: i32, topic: &str, partitions: i32) {
        self.set(&format!("/brokers/ids/{broker}"), "h-1:h:9092");
        self.set(&format!("/brokers/topics/{topic}/{broker}"), &partitions.to_string());
    }

    pub(super) fn set(&self, path: &str, data: &str) {
        self.zookeeper.ensure(path, data.as_bytes()).unwrap();
    }

    pub(super) fn text(&self, path: &str) -> Option<String> {
        self.zookeeper.node(path).map(|node| String::from_utf8(node.data).unwrap())
    }

    pub(super) fn wait(&self, what: &str, so: impl Fn(&Self) -> bool) {
        let waited = self.zookeeper.wait_until(soon(), |_| so(self));
        assert!(waited.is_ok(), "never: {what}");
    }

    /// A member of group `g` with these properties besides, which has not joined.
    pub(super) fn member(&self, properties: &[(&str, &str)]) -> Peer {
        self.try_member(properties).unwrap()
    }

    pub(super) fn try_member(&self, properties: &[(&str, &str)]) -> Result<Peer> {
        self.member_with(properties, None)
    }

    /// A member whose steps are heard by somebody else.
    pub(super) fn heard_by(
        &self,
        properties: &[(&str, &str)],
        listener: Arc<dyn Listener>,
    ) -> Peer {
        self.make(properties, None, Some(listener)).unwrap()
    }

    /// A member with this store in Kafka.
    pub(super) fn member_with(
        &self,
        properties: &[(&str, &str)],
        kafka: Option<Arc<dyn OffsetStore>>,
    ) -> Result<Peer> {
        self.make(properties, kafka, None)
    }

    fn make(
        &self,
        properties: &[(&str, &str)],
        kafka: Option<Arc<dyn OffsetStore>>,
        listener: Option<Arc<dyn Listener>>,
    ) -> Result<Peer> {
        let mut config = Config::new();
        for (name, value) in [
            ("group.id", "g"),
            ("group.protocol", "zookeeper"),
            ("rebalance.backoff.ms", "50"),
            ("rebalance.max.retries", "1"),
        ] {
            config.set(name, value)?;
        }
        for (name, value) in properties {
            config.set(name, value)?;
        }
        let config = ConsumerConfig::from(&config)?.group;
        let group = check(&config)?;
        let (runtime, logger) = (Runtime::get(None)?, Logger::none());
        let settings = Settings {
            ensemble: Ensemble::parse(&self.zookeeper.address())?,
            session_timeout: SESSION,
            connection_timeout: Duration::from_secs(6),
            auth: None,
            reconnect: Backoff {
                first: Duration::from_millis(10),
                most: Duration::from_millis(50),
            },
        };
        let shared = Arc::new(Shared::new(group, config, settings, runtime, logger));
        let recorder = Arc::new(Recorder::default());
        let own = Arc::clone(&recorder) as Arc<dyn Listener>;
        let member = begin(&shared, kafka, listener.unwrap_or(own));
        Ok(Peer { membership: member.membership, offsets: member.offsets, recorder, shared })
    }
}

/// The session time-out of members.
pub(super) const SESSION: Duration = Duration::from_millis(1_500);

/// A member and its consumer.
pub(super) struct Peer {
    pub(super) membership: Arc<dyn Membership>,
    pub(super) offsets: Arc<dyn OffsetStore>,
    pub(super) recorder: Arc<Recorder>,
    pub(super) shared: Arc<Shared>,
}

impl Peer {
    pub(super) fn subscribe(&self, topics: &[&str]) {
        let topics = topics.iter().map(|topic| Arc::from(*topic)).collect();
        self.membership.subscribe(Subscription { topics, ..Subscription::default() });
    }

    pub(super) fn subscribe_patterns(&self, patterns: &[&str], except: &[&str]) {
        let list = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect();
        let (patterns, except) = (list(patterns), list(except));
        self.membership.subscribe(Subscription { topics: Vec::new(), patterns, except });
    }

    /// Waits until exactly these are the member's, as `topic/number`.
    pub(super) fn has(&self, partitions: &[&str]) {
        let wanted: BTreeSet<String> = partitions.iter().map(|name| (*name).to_owned()).collect();
        self.recorder.wait(&format!("has {wanted:?}"), |told| told.has == wanted);
    }

    pub(super) fn leave(&self) {
        self.membership.leave().wait(Some(soon()), None).unwrap();
    }

    /// The session of the member.
    pub(super) fn session(&self) -> i64 {
        self.shared.clients.get().status().borrow().id
    }

    pub(super) fn id(&self) -> String {
        self.membership.identity().expect("a member").member.to_string()
    }
}

/// What the consumer was told.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// What it may read now.
    pub(super) has: BTreeSet<String>,
    /// Every step: `+t/0`, `-t/0`, `!t/0`.
    pub(super) steps: Vec<String>,
    pub(super) failures: Vec<Error>,
    /// Until when it is sure to be a member, as told last.
    pub(super) sure_until: Option<Instant>,
    /// Revocations that the application has not heard of yet.
    kept: Vec<(Vec<TopicPartition>, Done)>,
    /// It does not come back for revocations.
    is_slow: bool,
}

/// A consumer that hears of everything at once, unless it is slow.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    told: Mutex<Told>,
    changed: Condvar,
}

fn names(partitions: &[TopicPartition]) -> Vec<String> {
    partitions.iter().map(|one| format!("{}/{}", one.topic, one.partition)).collect()
}

impl Listener for Recorder {
    fn step(&self, step: Step) {
        let mut told = lock(&self.told);
        let note = |told: &mut Told, mark: char, names: &[String]| {
            told.steps.push(format!("{mark}{}", names.join(",")));
        };
        match step {
            Step::Assign(partitions, _done) => {
                let names = names(&partitions);
                note(&mut told, '+', &names);
                told.has.extend(names);
            }
            Step::Revoke(partitions, done) => {
                let names = names(&partitions);
                note(&mut told, '-', &names);
                if told.is_slow {
                    told.kept.push((partitions, done));
                } else {
                    names.iter().for_each(|name| {
                        told.has.remove(name);
                    });
                }
            }
            Step::Lost(partitions) => {
                let names = names(&partitions);
                note(&mut told, '!', &names);
                told.kept.clear();
                names.iter().for_each(|name| {
                    told.has.remove(name);
                });
            }
            Step::Run(job) => (job.0)(),
            Step::Failed(error) => told.failures.push(error),
        }
        drop(told);
        self.changed.notify_all();
    }

    fn confirmed(&self, until: Option<Instant>) {
        lock(&self.told).sure_until = until;
        self.changed.notify_all();
    }
}

impl Recorder {
    pub(super) fn wait(&self, what: &str, so: impl Fn(&Told) -> bool) {
        let end = soon();
        let mut told = lock(&self.told);
        while !so(&told) {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "never: {what}; {told:?}");
            told = self.changed.wait_timeout(told, left).unwrap().0;
        }
    }

    pub(super) fn look<T>(&self, look: impl FnOnce(&Told) -> T) -> T {
        look(&lock(&self.told))
    }

    /// From now on revocations wait until the application comes back.
    pub(super) fn be_slow(&self) {
        lock(&self.told).is_slow = true;
    }

    /// The application comes back: it hears of what was revoked.
    pub(super) fn come_back(&self) {
        let mut told = lock(&self.told);
        told.is_slow = false;
        let kept = std::mem::take(&mut told.kept);
        for (partitions, _) in &kept {
            for name in names(partitions) {
                told.has.remove(&name);
            }
        }
        drop(told);
        drop(kept);
        self.changed.notify_all();
    }
}

pub(super) fn place(offset: i64) -> Committed {
    Committed { offset, leader_epoch: None, metadata: None }
}

pub(super) fn partition(topic: &str, number: i64) -> TopicPartition {
    TopicPartition { topic: topic.into(), partition: number }
}

/// Waits for a future of a store on this thread.
pub(super) fn wait<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    let (sender, completion) = crate::runtime::Completion::new();
    Runtime::get(None).unwrap().spawn("test", |_| {}, async move { sender.send(Ok(future.await)) });
    completion.wait(Some(soon()), None).unwrap()
}
