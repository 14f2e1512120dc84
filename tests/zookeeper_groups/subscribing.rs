//! A consumer of one topic in a group, which is there when it is a member.

use std::sync::Arc;

use samsa::consumer::{Callbacks, Consumer};
use samsa::embedded::zookeeper::Server;
use samsa::producer::{Producer, Record};

use crate::legacy::{Brokers, set};
use crate::modern::Broker;
use crate::rig::{cluster_at, member_at, soon, wait_owners};

fn join(zookeeper: &Server, topic: &str, properties: &[(&str, &str)]) -> Arc<Consumer> {
    // A member that no busy machine costs its session.
    let patient = [("zookeeper.session.timeout.ms", "20000")];
    let cluster = cluster_at(&zookeeper.address(), "g", &[&patient, properties].concat());
    cluster.wait_ready(Some(soon())).expect("it is known which Kafka it is");
    let topic = cluster.topic(topic).expect("a topic");
    let callbacks = Callbacks::default();
    let joined = Consumer::subscribe_in_group(&cluster, &topic, "g", callbacks, Some(Some(soon())));
    joined.expect("a member, with partitions or without")
}

fn next(consumer: &Consumer) -> String {
    let message = consumer.next(30_000).expect("a message");
    String::from_utf8(message.record().value().expect("a value").to_vec()).expect("text")
}

#[test]
fn a_member_for_which_no_partition_is_left_is_there_all_the_same_on_kafka_0_7() {
    let kafka = Brokers::with(1, 1);
    kafka.append(0, 0, &set(&["one".to_owned()]));
    let first = join(&kafka.zookeeper, "t", &[("consumer.id", "a")]);
    let second = join(&kafka.zookeeper, "t", &[("consumer.id", "b")]);
    assert!(second.identity().expect("open").is_some());
    assert!(second.assignment().expect("open").is_empty());
    assert_eq!(next(&first), "one");
    first.close(30_000).expect("closed");
    kafka.append(0, 0, &set(&["two".to_owned()]));
    assert_eq!(next(&second), "two", "its turn has come");
    second.close(30_000).expect("closed");
}

#[test]
fn a_member_of_a_topic_that_nobody_has_written_to_is_there_and_reads_what_comes() {
    let kafka = Brokers::with(1, 1);
    let member = join(&kafka.zookeeper, "t", &[]);
    assert!(kafka.zookeeper.children("/brokers/topics").is_empty());
    kafka.append(0, 0, &set(&["one".to_owned()]));
    assert_eq!(next(&member), "one");
    member.close(30_000).expect("closed");
}

#[test]
fn a_member_for_which_no_partition_is_left_is_there_all_the_same_in_the_later_layouts() {
    for layout in ["kafka", "pykafka"] {
        let kafka = Broker::start();
        kafka.topic("t", 1);
        // PyKafka's nodes have the leader in their names.
        let state = br#"{"controller_epoch":1,"leader":0,"version":1,"leader_epoch":0,"isr":[0]}"#;
        let path = "/brokers/topics/t/partitions/0/state";
        kafka.zookeeper.ensure(path, state).expect("registered");
        let of = [("group.protocol", "zookeeper"), ("zookeeper.group.layout", layout)];
        let first = join(&kafka.zookeeper, "t", &of);
        let second = join(&kafka.zookeeper, "t", &of);
        assert!(second.identity().expect("open").is_some(), "{layout}");
        let held = [&first, &second].map(|member| member.assignment().expect("open").len());
        assert_eq!(held.iter().sum::<usize>(), 1, "{layout}");
        first.close(30_000).expect("closed");
        second.close(30_000).expect("closed");
    }
}

#[test]
fn names_that_only_0_7_allows_are_read_in_groups_there() {
    for name in ["tö … 1", r#"a "b" \\ c, (d)+"#] {
        let kafka = Brokers::with(1, 2);
        let properties = [("zookeeper.session.timeout.ms", "20000")];
        let cluster = cluster_at(&kafka.zookeeper.address(), "g", &properties);
        cluster.wait_ready(Some(soon())).expect("it is known which Kafka it is");
        let topic = cluster.topic(name).expect("a name that is good there");
        let producer = Producer::new(&cluster, None).expect("a producer");
        for value in ["one", "two"] {
            let record = Record::new(&topic, value.as_bytes());
            producer.publish(&[record], Some(soon())).expect("published");
        }
        let callbacks = Callbacks::default();
        let join = || {
            let joined =
                Consumer::subscribe_in_group(&cluster, &topic, "g", callbacks, Some(Some(soon())));
            joined.expect("a member")
        };
        let (first, second) = (join(), join());
        // Each reads the other's node, and counts it as one of this topic.
        wait_owners(&kafka.zookeeper, "g", name, &[1, 1]);
        drop((first, second));
        // By a pattern, and before its cluster knows which Kafka it is.
        let member = member_at(&kafka.zookeeper.address(), "h", &properties);
        member.subscribe(&["^.*"]).expect("subscribed");
        let mut values = [next(&member), next(&member)];
        values.sort();
        assert_eq!(values, ["one", "two"], "{name}");
    }
}
