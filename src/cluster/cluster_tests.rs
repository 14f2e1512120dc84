//! The cluster against the embedded broker: the whole way, in process.

use super::*;
use crate::embedded;
use crate::error::Code;

fn open(address: &str) -> Arc<Cluster> {
    open_with(address, &[])
}

fn open_with(address: &str, properties: &[(&str, &str)]) -> Arc<Cluster> {
    let mut config = Config::new();
    config.set("bootstrap.servers", address).unwrap();
    for (name, value) in properties {
        config.set(name, value).unwrap();
    }
    Cluster::open(&config).unwrap()
}

fn within(ms: u64) -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(ms))
}

#[test]
fn a_cluster_finds_its_brokers_and_topics() {
    let kafka = embedded::Cluster::start(3).unwrap();
    kafka.create_topic("orders", 4).unwrap();
    let cluster = open(&kafka.address());
    cluster.wait_ready(within(10_000)).unwrap();
    assert_eq!(cluster.metadata().brokers.len(), 3);
    let topic = cluster.topic("orders").unwrap();
    assert!(Arc::ptr_eq(&topic, &cluster.topic("orders").unwrap()), "one object per name");
    let metadata = cluster.wait_topic(&topic, within(10_000)).unwrap();
    assert_eq!(metadata.partitions.len(), 4);
    assert!(metadata.partitions.iter().all(|p| cluster.broker(p.leader).is_some()));
    let names: Vec<String> =
        cluster.all_topics(within(10_000)).unwrap().iter().map(|t| t.name.to_string()).collect();
    assert_eq!(names, ["orders"]);
    cluster.close(within(10_000)).unwrap();
    cluster.close(within(10_000)).unwrap();
    assert_eq!(cluster.topic("orders").unwrap_err().code(), Code::CLOSED);
}

#[test]
fn topics_are_created_and_deleted() {
    let kafka = embedded::Cluster::start(1).unwrap();
    let cluster = open(&kafka.address());
    let new = NewTopic { partitions: Some(3), replication_factor: Some(1), ..NewTopic::new("new") };
    cluster.create_topic(&new, within(10_000)).unwrap();
    let topic = cluster.topic("new").unwrap();
    assert_eq!(topic.metadata().unwrap().partitions.len(), 3, "known when the call returns");
    let again = cluster.create_topic(&new, within(10_000)).unwrap_err();
    assert_eq!((again.code(), again.topic()), (Code::TOPIC_ALREADY_EXISTS, Some("new")));
    cluster.delete_topic("new", within(10_000)).unwrap();
    let gone = cluster.delete_topic("new", within(10_000)).unwrap_err();
    assert_eq!(gone.code(), Code::UNKNOWN_TOPIC_OR_PARTITION);
}
