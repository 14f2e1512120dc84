//! What the first contact decides.

use std::time::Duration;

use super::*;
use crate::config::{Config, ConsumerConfig};
use crate::embedded::zookeeper::Server;
use crate::group::Done;

const PATIENCE: Duration = Duration::from_secs(30);

fn soon() -> Instant {
    Instant::now() + PATIENCE
}

/// Keeps the steps.
#[derive(Debug)]
struct Ear(std::sync::mpsc::Sender<Step>);

impl Listener for Ear {
    fn step(&self, step: Step) {
        let _ = self.0.send(step);
    }
}

fn open(zookeeper: &Server) -> (Arc<Cluster>, GroupConfig) {
    let mut config = Config::new();
    config.set("zookeeper.connect", &zookeeper.address()).unwrap();
    config.set("group.id", "g").unwrap();
    config.set("reconnect.backoff.ms", "10").unwrap();
    let group = ConsumerConfig::from(&config).unwrap().group;
    (Cluster::open(&config).unwrap(), group)
}

fn wish(topic: &str) -> Subscription {
    Subscription { topics: vec![topic.into()], ..Subscription::default() }
}

#[test]
fn who_subscribes_before_kafka_0_7_shows_is_a_member_in_zookeeper() {
    let zookeeper = Server::start().unwrap();
    let (cluster, config) = open(&zookeeper);
    let (sender, steps) = std::sync::mpsc::channel();
    let member = start::start(&cluster, &config, Arc::new(Ear(sender))).unwrap();
    member.membership.subscribe(wish("t"));
    assert_eq!(member.membership.identity(), None);
    zookeeper.ensure("/brokers/ids/3", b"h-1:127.0.0.1:9").unwrap();
    zookeeper.ensure("/brokers/topics/t/3", b"1").unwrap();
    let Step::Assign(partitions, done) = steps.recv_timeout(PATIENCE).unwrap() else {
        panic!("an assignment")
    };
    let told: Done = done;
    drop(told);
    let expected = TopicPartition { topic: "t".into(), partition: 3 << 32 };
    assert_eq!(partitions, [expected]);
    assert!(member.membership.identity().is_some());
    member.membership.leave().wait(Some(soon()), None).unwrap();
    assert!(zookeeper.children("/consumers/g/owners/t").is_empty());
    cluster.close(Some(soon())).unwrap();
}

#[test]
fn who_leaves_before_it_is_decided_never_joins() {
    let zookeeper = Server::start().unwrap();
    let (cluster, config) = open(&zookeeper);
    let (sender, steps) = std::sync::mpsc::channel();
    let member = start::start(&cluster, &config, Arc::new(Ear(sender))).unwrap();
    member.membership.subscribe(wish("t"));
    member.membership.leave().wait(Some(soon()), None).unwrap();
    zookeeper.ensure("/brokers/ids/3", b"h-1:127.0.0.1:9").unwrap();
    let known = cluster.runtime().handle().block_on(async {
        cluster.changes().wait_for(|metadata| metadata.generation.is_some()).await.is_ok()
    });
    assert!(known);
    cluster.close(Some(soon())).unwrap();
    drop((member, cluster));
    assert!(steps.try_iter().next().is_none());
    assert!(zookeeper.node("/consumers/g").is_none());
}
