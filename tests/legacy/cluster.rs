//! A cluster of 0.7 is what ZooKeeper shows of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use samsa::Code;
use samsa::cluster::{Cluster, Event, Generation, NewTopic};
use samsa::consumer::{LATEST, topic_offsets};

use super::rig::{Rig, known, partitions, soon, wait_partitions, wait_until};

#[test]
fn a_cluster_is_found_by_a_zookeeper_address_and_nothing_else() {
    let rig = Rig::start(2, 3);
    let cluster = rig.open(&[]);
    assert_eq!(cluster.generation(), Some(Generation::Legacy));
    let brokers: Vec<_> = cluster.metadata().brokers.values().cloned().collect();
    assert_eq!(brokers.iter().map(|broker| broker.id).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(brokers[1].port, rig.brokers.address(1).unwrap().port());
    cluster.close(Some(soon())).unwrap();
}

#[test]
fn samsa_a_topic_that_nobody_has_is_one_virtual_partition_on_each_broker() {
    let rig = Rig::start(3, 2);
    let cluster = rig.open(&[]);
    let topic = known(&cluster, "t");
    assert_eq!(partitions(&topic), [(0, 0, true), (1, 0, true), (2, 0, true)]);
    rig.register_topic("t", 1, 2);
    wait_partitions(&topic, &[(0, 0, true), (1, 0, false), (1, 1, false), (2, 0, true)]);
    rig.register_topic("t", 0, 1);
    rig.register_topic("t", 2, 1);
    let all = [(0, 0, false), (1, 0, false), (1, 1, false), (2, 0, false)];
    wait_partitions(&topic, &all);
}

#[test]
fn samsa_a_topic_is_the_same_object_each_time() {
    let rig = Rig::start(1, 1);
    let cluster = rig.open(&[]);
    assert!(Arc::ptr_eq(&cluster.topic("t").unwrap(), &cluster.topic("t").unwrap()));
}

#[test]
fn samsa_a_broker_that_stays_is_the_same_and_one_that_comes_back_is_another() {
    let rig = Rig::start(2, 1);
    let cluster = rig.open(&[]);
    let topic = known(&cluster, "t");
    let stays = cluster.broker(0).expect("listed");
    let first = cluster.metadata().incarnations[&1];
    rig.unregister(1);
    wait_partitions(&topic, &[(0, 0, true)]);
    assert!(cluster.broker(1).is_none() && cluster.metadata().brokers.len() == 1);
    rig.register(1);
    wait_partitions(&topic, &[(0, 0, true), (1, 0, true)]);
    wait_until("the snapshot", || {
        cluster.metadata().incarnations.get(&1).is_some_and(|now| *now != first)
    });
    assert!(Arc::ptr_eq(&stays, &cluster.broker(0).expect("listed")));
}

#[test]
fn what_changes_is_told_as_events_once_for_each_broker_and_topic() {
    let rig = Rig::start(2, 1);
    let cluster = rig.open(&[]);
    let topic = known(&cluster, "t");
    let next = || cluster.next_event(Some(soon())).expect("an event");
    let mut first = [next(), next(), next()];
    first.sort_by_key(|event| format!("{event:?}"));
    assert_eq!(first, [Event::Broker(0), Event::Broker(1), Event::Topic(Arc::from("t"))]);
    rig.unregister(0);
    wait_partitions(&topic, &[(1, 0, true)]);
    assert_eq!([next(), next()], [Event::Broker(0), Event::Topic(Arc::from("t"))]);
    assert_eq!(cluster.next_event(Some(Instant::now())).unwrap_err().code(), Code::NOTHING);
}

#[test]
fn without_a_broker_a_topic_has_no_partition_and_the_error_says_so() {
    let rig = Rig::start(1, 1);
    let cluster = rig.open(&[]);
    rig.unregister(0);
    wait_until("no broker", || cluster.metadata().brokers.is_empty());
    let topic = cluster.topic("t").unwrap();
    let within = Instant::now() + std::time::Duration::from_millis(50);
    let error = cluster.wait_topic(&topic, Some(within)).unwrap_err();
    assert_eq!(error.code(), Code::TIMED_OUT);
    let text = error.to_string();
    assert!(text.contains("topic t") && text.contains("none is registered"), "{text}");
    rig.register(0);
    assert_eq!(partitions(&known(&cluster, "t")), [(0, 0, true)]);
}

#[test]
fn while_zookeeper_is_away_the_cluster_stays_as_it_was_known() {
    let rig = Rig::start(1, 2);
    rig.register_topic("t", 0, 2);
    let cluster = rig.open(&[]);
    let topic = known(&cluster, "t");
    rig.zookeeper.stop();
    assert_eq!(partitions(&topic), [(0, 0, false), (0, 1, false)]);
    assert!(cluster.broker(0).is_some());
    let other = cluster.topic("other").unwrap();
    let within = Instant::now() + Duration::from_millis(100);
    let error = cluster.wait_topic(&other, Some(within)).unwrap_err();
    assert!(error.to_string().contains("ZooKeeper"), "nobody can say: {error}");
    rig.zookeeper.start_server(0).unwrap();
    known(&cluster, "other");
    rig.register_topic("t", 0, 3);
    wait_partitions(&topic, &[(0, 0, false), (0, 1, false), (0, 2, false)]);
}

#[test]
fn a_topic_that_comes_while_all_are_followed_is_told() {
    let rig = Rig::start(1, 2);
    let cluster = rig.open(&[("samsa.events", "topics")]);
    rig.register_topic("late", 0, 2);
    loop {
        if cluster.next_event(Some(soon())).expect("told") == Event::Topic(Arc::from("late")) {
            break;
        }
    }
    assert_eq!(cluster.metadata().topic("late").expect("known").partitions.len(), 2);
}

#[test]
fn a_topic_whose_nodes_go_while_all_are_followed_is_gone_and_told() {
    let rig = Rig::start(1, 2);
    let cluster = rig.open(&[("samsa.events", "topics")]);
    let told = || {
        let event = Event::Topic(Arc::from("t"));
        while cluster.next_event(Some(soon())).expect("told") != event {}
    };
    rig.register_topic("t", 0, 2);
    told();
    wait_until("it is known", || cluster.metadata().topic("t").is_some());
    rig.zookeeper.delete("/brokers/topics/t/0").unwrap();
    rig.zookeeper.delete("/brokers/topics/t").unwrap();
    wait_until("it is gone", || cluster.metadata().topic("t").is_none());
    told();
    rig.register_topic("t", 0, 1);
    wait_until("it is back", || cluster.metadata().topic("t").is_some());
    told();
}

#[test]
fn a_cluster_that_becomes_one_of_another_generation_is_over() {
    let rig = Rig::start(1, 1);
    let cluster = rig.open(&[]);
    let modern = br#"{"version":3,"endpoints":["PLAINTEXT://127.0.0.1:1"]}"#;
    rig.zookeeper.ensure("/brokers/ids/7", modern).unwrap();
    wait_until("the end", || cluster.check_open().is_err());
    assert_eq!(cluster.check_open().unwrap_err().code(), Code::CLUSTER_ID_CHANGED);
}

#[test]
fn administration_of_later_releases_is_refused_by_name() {
    let rig = Rig::start(1, 1);
    let cluster = rig.open(&[]);
    let create = cluster.create_topic(&NewTopic::new("t"), Some(soon()));
    for error in [create.unwrap_err(), cluster.delete_topic("t", Some(soon())).unwrap_err()] {
        assert_eq!(error.code(), Code::UNSUPPORTED_FEATURE);
        assert!(error.to_string().contains("Kafka 0.7"), "{error}");
    }
}

#[test]
fn all_topics_are_those_that_are_registered_whoever_has_them() {
    let rig = Rig::start(2, 1);
    rig.register_topic("b", 0, 3);
    rig.register_topic("a", 1, 2);
    let cluster = rig.open(&[]);
    let topics = cluster.all_topics(Some(soon())).unwrap();
    let known: Vec<_> = topics.iter().map(|t| (&*t.name, t.partitions.len())).collect();
    assert_eq!(known, [("a", 3), ("b", 4)], "virtual ones on the broker that lacks it");
    rig.zookeeper.stop();
    let within = Instant::now() + Duration::from_millis(200);
    assert!(cluster.all_topics(Some(within)).is_err());
}

#[test]
fn calls_before_the_first_contact_are_answered_once_the_generation_shows() {
    let rig = Rig::start(1, 1);
    rig.register_topic("a", 0, 1);
    let open = || Cluster::open(&rig.config(&[])).expect("opened");
    let topics = open().all_topics(Some(soon())).expect("the brokers are registered");
    assert_eq!(
        topics.iter().map(|t| (&*t.name, t.partitions.len())).collect::<Vec<_>>(),
        [("a", 1)]
    );
    let cluster = open();
    let topic = cluster.topic("a").unwrap();
    let offsets = topic_offsets(&cluster, &topic, LATEST, Some(soon())).unwrap();
    assert_eq!(offsets.iter().map(|p| (p.partition, p.offset)).collect::<Vec<_>>(), [(0, Some(0))]);
    let error = open().create_topic(&NewTopic::new("t"), Some(soon())).unwrap_err();
    assert_eq!(error.code(), Code::UNSUPPORTED_FEATURE);
}
