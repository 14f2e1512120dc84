//! The rules of section 1 and 2 of the invariants, and topics and offsets, on the embedded broker.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use samsa::cluster::{Child, Cluster, EARLIEST, Event, LATEST, NewTopic, OffsetAt, Topic};
use samsa::config::{Config, IsolationLevel};
use samsa::embedded::{self, Fault, FaultKind, Release};
use samsa::protocol::modern::ApiKey;
use samsa::{Code, Error, Result};

const LONG: Duration = Duration::from_secs(20);

fn soon() -> Option<Instant> {
    Some(Instant::now() + LONG)
}

fn start(brokers: usize) -> embedded::Cluster {
    embedded::Cluster::start(brokers).expect("the embedded broker")
}

fn open(kafka: &embedded::Cluster) -> Arc<Cluster> {
    open_with(kafka, &[])
}

fn open_with(kafka: &embedded::Cluster, properties: &[(&str, &str)]) -> Arc<Cluster> {
    let mut config = Config::new();
    config.set("bootstrap.servers", &kafka.address()).expect("servers");
    for (name, value) in properties {
        config.set(name, value).expect("a property");
    }
    let cluster = Cluster::open(&config).expect("open");
    cluster.wait_ready(soon()).expect("contact");
    cluster
}

fn known(cluster: &Arc<Cluster>, name: &str) -> Arc<Topic> {
    let topic = cluster.topic(name).expect("a topic name");
    cluster.wait_topic(&topic, soon()).expect("the topic's metadata");
    topic
}

/// Refreshes until `done`; the loop of the metadata bounds the pace.
fn refresh_until(cluster: &Arc<Cluster>, what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + LONG;
    while !done() {
        assert!(Instant::now() < end, "never: {what}");
        cluster.refresh_now("a test");
        std::thread::yield_now();
    }
}

/// Waits until `count` more metadata requests were answered.
fn refresh_times(cluster: &Arc<Cluster>, kafka: &embedded::Cluster, count: u64) {
    for _ in 0..count {
        let before = kafka.requests(ApiKey::Metadata);
        let more = || kafka.requests(ApiKey::Metadata) > before;
        refresh_until(cluster, "another metadata request", more);
    }
}

fn offset(cluster: &Arc<Cluster>, topic: &Arc<Topic>, when: i64) -> Result<OffsetAt> {
    offset_with(cluster, topic, when, IsolationLevel::ReadUncommitted)
}

fn offset_with(
    cluster: &Arc<Cluster>,
    topic: &Arc<Topic>,
    when: i64,
    isolation: IsolationLevel,
) -> Result<OffsetAt> {
    let questions = [(Arc::clone(topic), 0, when)];
    let ask = cluster.list_offsets(&questions, isolation, Instant::now() + LONG);
    cluster.runtime().handle().block_on(ask).remove(0)
}

#[test]
fn rule_1_1_an_older_leader_epoch_is_not_taken() {
    let kafka = start(2);
    kafka.create_topic("t", 1).expect("created");
    kafka.set_leader_epoch("t", 0, 7).expect("epoch 7");
    let cluster = open(&kafka);
    let topic = known(&cluster, "t");
    let (leader, _) = kafka.leader("t", 0).expect("a leader");
    let other = cluster.metadata().brokers.keys().copied().find(|id| *id != leader).expect("two");
    kafka.move_leader("t", 0, other).expect("moved");
    kafka.set_leader_epoch("t", 0, 3).expect("a stale epoch");
    refresh_times(&cluster, &kafka, 2);
    let partition = topic.metadata().expect("known").partitions[0].clone();
    assert_eq!((partition.leader, partition.leader_epoch), (leader, 7));
}

#[test]
fn rule_1_4_a_moved_leader_is_found() {
    let kafka = start(3);
    kafka.create_topic("t", 1).expect("created");
    let cluster = open(&kafka);
    let topic = known(&cluster, "t");
    let version = topic.version();
    let (leader, _) = kafka.leader("t", 0).expect("a leader");
    let next = cluster.metadata().brokers.keys().copied().find(|id| *id != leader).expect("three");
    kafka.move_leader("t", 0, next).expect("moved");
    refresh_until(&cluster, "the new leader", || {
        topic.metadata().is_some_and(|metadata| metadata.partitions[0].leader == next)
    });
    assert!(topic.version() > version, "one atomic load tells");
}

#[test]
fn rule_1_6_one_unknown_topic_between_right_answers_is_not_a_deletion() {
    let kafka = start(1);
    kafka.create_topic("t", 3).expect("created");
    let cluster = open(&kafka);
    let topic = known(&cluster, "t");
    let version = topic.version();
    let fault = kafka.inject(Fault::new(FaultKind::ErrorCode(3)).api(ApiKey::Metadata).topic("t"));
    refresh_until(&cluster, "the fault", || kafka.injected(fault) == 1);
    refresh_times(&cluster, &kafka, 1);
    let metadata = topic.metadata().expect("known");
    assert!(metadata.error.is_none() && metadata.partitions.len() == 3);
    assert_eq!(topic.version(), version, "nobody ever saw a change");
}

#[test]
fn rule_1_8_a_topic_that_is_refused_heals_without_a_restart() {
    let kafka = start(1);
    kafka.create_topic("t", 1).expect("created");
    let cluster = open(&kafka);
    let denied = Fault::new(FaultKind::ErrorCode(29)).api(ApiKey::Metadata).topic("t").always();
    let fault = kafka.inject(denied);
    let topic = cluster.topic("t").expect("a name");
    let error = cluster.wait_topic(&topic, soon()).expect_err("denied");
    assert_eq!((error.code(), error.topic()), (Code::TOPIC_AUTHORIZATION_FAILED, Some("t")));
    kafka.withdraw(fault);
    refresh_until(&cluster, "healed", || {
        topic.metadata().is_some_and(|metadata| metadata.error.is_none())
    });
}

#[test]
fn rule_1_14_a_refresh_is_not_bound_to_a_broker_that_keeps_silent() {
    let kafka = start(2);
    let cluster = open(&kafka);
    let id = *cluster.metadata().brokers.keys().next().expect("a broker");
    kafka.create_topic("t", 1).expect("created");
    kafka.inject(Fault::new(FaultKind::Silence).api(ApiKey::Metadata).broker(id).always());
    let begun = Instant::now();
    known(&cluster, "t");
    assert!(begun.elapsed() < LONG / 2, "{:?}", begun.elapsed());
}

#[test]
fn rule_1_15_a_topic_is_created_by_asking_only_where_that_is_allowed() {
    let kafka = start(1);
    let cluster = open(&kafka);
    assert!(known(&cluster, "made").metadata().expect("known").error.is_none());
    let strict = open_with(&kafka, &[("allow.auto.create.topics", "false")]);
    let topic = strict.topic("not-made").expect("a name");
    let end = Some(Instant::now() + Duration::from_millis(300));
    let error = strict.wait_topic(&topic, end).expect_err("unknown");
    assert_eq!(error.code(), Code::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(error.topic(), Some("not-made"));
    let names: Vec<String> =
        cluster.all_topics(soon()).expect("topics").iter().map(|t| t.name.to_string()).collect();
    assert_eq!(names, ["made"]);
}

#[test]
fn an_unknown_topic_is_an_error_after_the_stated_time_even_without_a_limit() {
    let kafka = start(1);
    let cluster = open_with(&kafka, &[("allow.auto.create.topics", "false")]);
    let topic = cluster.topic("nowhere").expect("a name");
    let begun = Instant::now();
    let error = cluster.wait_topic(&topic, None).expect_err("unknown");
    assert_eq!(error.code(), Code::UNKNOWN_TOPIC_OR_PARTITION);
    assert!(error.message().contains("topic nowhere does not exist"), "{error}");
    assert!(begun.elapsed() >= Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn that_no_broker_answers_is_told_once_until_one_does() {
    let kafka = start(2);
    let cluster = open(&kafka);
    let stop_all = || (0..2).for_each(|broker| kafka.stop_broker(broker).expect("stopped"));
    let until_told = || {
        let end = Instant::now() + LONG;
        loop {
            // Again and again: a question that was answered just before they went asks for no other.
            cluster.refresh_now("a test");
            let soon = Instant::now() + Duration::from_millis(50);
            if cluster.next_event(Some(soon)).is_ok_and(|event| event == Event::AllBrokersDown) {
                return;
            }
            assert!(Instant::now() < end, "it is never told");
        }
    };
    for _episode in 0..2 {
        stop_all();
        until_told();
        // Further attempts fail in silence: what comes next is the return.
        let denied = cluster.all_topics(Some(Instant::now() + Duration::from_millis(300)));
        denied.expect_err("nobody is there");
        let more = cluster.next_event(Some(Instant::now()));
        assert_eq!(more.expect_err("told once").code(), Code::NOTHING);
        (0..2).for_each(|broker| kafka.start_broker(broker).expect("started"));
        cluster.all_topics(soon()).expect("they answer again");
        // Each question waits for the answer of the one before: the first was answered by now.
        refresh_times(&cluster, &kafka, 3);
    }
}

#[test]
fn another_cluster_id_fails_the_handle_and_everybody_is_told() {
    let kafka = start(1);
    let cluster = open(&kafka);
    let before = cluster.id().expect("an id");
    kafka.set_cluster_id("another-cluster-0000000");
    cluster.refresh_now("a test");
    let end = Instant::now() + LONG;
    let error = loop {
        match cluster.next_event(Some(end)) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), Code::CLUSTER_ID_CHANGED, "{error}");
    assert!(error.is_fatal() && error.message().contains(&before), "{error}");
    let later = cluster.topic("t").expect_err("failed");
    assert_eq!(later.code(), Code::CLUSTER_ID_CHANGED);
}

#[test]
fn rule_1_16_a_broker_that_asks_for_it_makes_the_client_bootstrap_again_at_once() {
    // KIP-1102: the cluster moved, and who answers at its old addresses says so.
    let (old, new) = (start(1), start(1));
    new.create_topic("t", 1).expect("created");
    new.stop_broker(0).expect("stopped");
    let mut config = Config::new();
    let servers = format!("{},{}", old.address(), new.address());
    config.set("bootstrap.servers", &servers).expect("servers");
    let cluster = Cluster::open(&config).expect("open");
    cluster.wait_ready(soon()).expect("contact");
    new.start_broker(0).expect("started");
    let moved = Fault::new(FaultKind::RequestError(129)).api(ApiKey::Metadata).always();
    let fault = old.inject(moved);
    let port = new.broker_address(0).expect("an address").port();
    refresh_until(&cluster, "the brokers of the new place", || {
        cluster.metadata().brokers.get(&0).is_some_and(|broker| broker.port == port)
    });
    let topic = known(&cluster, "t");
    offset(&cluster, &topic, EARLIEST).expect("the leader is asked at its new address");
    let met = old.injected(fault);
    refresh_times(&cluster, &new, 3);
    assert_eq!(old.injected(fault), met, "the old one is left alone");
}

#[test]
fn rule_2_4_a_broker_that_was_upgraded_is_asked_anew() {
    let kafka = start(1);
    kafka.set_release(None, Release::V0_10_2).expect("release");
    let cluster = open(&kafka);
    let connect = || {
        let broker = cluster.any_broker().expect("a broker");
        let connection = broker.connection(samsa::net::Purpose::Produce, Instant::now() + LONG);
        cluster.runtime().handle().block_on(connection)
    };
    assert_eq!(connect().expect("connected").versions().release(), "0.10.2");
    kafka.set_release(None, Release::V3_9).expect("release");
    kafka.close_connections(None).expect("closed");
    let end = Instant::now() + LONG;
    loop {
        assert!(Instant::now() < end, "never asked anew");
        if connect().is_ok_and(|connection| connection.versions().release() == "3.9") {
            return;
        }
    }
}

#[test]
fn every_release_is_spoken_to_in_its_own_versions() {
    for (release, name) in [
        (Release::V0_8_2, "0.8"),
        (Release::V0_9_0, "0.9"),
        (Release::V0_10_0, "0.10.0"),
        (Release::V0_10_2, "0.10.2"),
        (Release::V0_11_0, "0.11"),
        (Release::V1_1, "1.1"),
        (Release::V2_8, "2.8"),
        (Release::V3_9, "3.9"),
        // Told from 4.3 by an API that the embedded broker does not serve.
        (Release::V4_3, "4.2"),
        (Release::Newest, ""),
    ] {
        let kafka = start(1);
        kafka.create_topic("t", 2).expect("created");
        kafka.set_release(None, release).expect("release");
        let begun = Instant::now();
        let cluster = open(&kafka);
        let topic = known(&cluster, "t");
        assert!(begun.elapsed() < Duration::from_secs(5), "{name}: a time-out was waited for");
        for when in [EARLIEST, LATEST] {
            assert_eq!(offset(&cluster, &topic, when).expect(name).offset, 0, "{name} {when}");
        }
        let broker = cluster.any_broker().expect(name);
        let connection = broker.connection(samsa::net::Purpose::Fetch, Instant::now() + LONG);
        let connection = cluster.runtime().handle().block_on(connection).expect(name);
        if !name.is_empty() {
            assert_eq!(connection.versions().release(), name);
        }
        let plain = NewTopic::new("made");
        let exact =
            NewTopic { partitions: Some(3), replication_factor: Some(1), ..NewTopic::new("exact") };
        if release <= Release::V0_10_0 {
            let error = cluster.create_topic(&exact, soon()).expect_err(name);
            assert_eq!(error.code(), Code::UNSUPPORTED_FEATURE, "{error}");
            assert!(error.message().contains(&format!("Kafka {name}")), "{error}");
            assert!(error.message().contains("auto.create.topics.enable"), "{error}");
            cluster.create_topic(&plain, soon()).expect(name);
            known(&cluster, "made");
        } else {
            cluster.create_topic(&exact, soon()).expect(name);
            assert_eq!(known(&cluster, "exact").metadata().expect(name).partitions.len(), 3);
        }
        cluster.close(soon()).expect(name);
    }
}

#[test]
fn rule_2_8_what_a_version_cannot_say_is_an_error_that_names_the_release() {
    let kafka = start(1);
    kafka.create_topic("t", 1).expect("created");
    kafka.set_release(None, Release::V0_10_2).expect("release");
    let cluster = open(&kafka);
    let topic = known(&cluster, "t");
    let error = offset_with(&cluster, &topic, LATEST, IsolationLevel::ReadCommitted).unwrap_err();
    assert_eq!(error.code(), Code::UNSUPPORTED_FEATURE);
    assert!(error.message().contains("(Kafka 0.10.2) does not support isolation.level"), "{error}");
}

#[test]
fn rule_7_7_a_special_time_is_refused_where_it_would_be_read_as_a_number() {
    let kafka = start(1);
    kafka.create_topic("t", 1).expect("created");
    kafka.set_release(None, Release::V2_8).expect("release");
    let cluster = open(&kafka);
    let topic = known(&cluster, "t");
    for when in [-3, -4, -5, -6] {
        let error = offset(&cluster, &topic, when).unwrap_err();
        assert_eq!(error.code(), Code::UNSUPPORTED_FEATURE, "{when}: {error}");
    }
    assert_eq!(offset(&cluster, &topic, -99).unwrap_err().code(), Code::INVALID_ARGUMENT);
}

#[test]
fn rule_7_9_a_look_up_follows_the_leader_within_the_callers_time() {
    let kafka = start(2);
    kafka.create_topic("t", 1).expect("created");
    let cluster = open(&kafka);
    let topic = known(&cluster, "t");
    for code in [6, 3, 5, 9, 56, 74, 75, 78] {
        let fault =
            kafka.inject(Fault::new(FaultKind::ErrorCode(code)).api(ApiKey::ListOffsets).times(2));
        assert_eq!(offset(&cluster, &topic, LATEST).expect("an offset").offset, 0, "code {code}");
        assert_eq!(kafka.injected(fault), 2, "code {code}");
    }
    let (leader, _) = kafka.leader("t", 0).expect("a leader");
    let next = cluster.metadata().brokers.keys().copied().find(|id| *id != leader).expect("two");
    kafka.inject(Fault::new(FaultKind::LeaderMove(next)).api(ApiKey::ListOffsets));
    assert_eq!(offset(&cluster, &topic, LATEST).expect("at the new leader").offset, 0);
}

#[test]
fn a_refused_look_up_names_topic_partition_and_broker() {
    let kafka = start(1);
    kafka.create_topic("t", 1).expect("created");
    let cluster = open(&kafka);
    let topic = known(&cluster, "t");
    kafka.inject(Fault::new(FaultKind::ErrorCode(29)).api(ApiKey::ListOffsets));
    let error = offset(&cluster, &topic, LATEST).unwrap_err();
    assert_eq!(error.code(), Code::TOPIC_AUTHORIZATION_FAILED);
    assert_eq!((error.topic(), error.partition()), (Some("t"), Some(0)));
    assert!(error.broker().is_some());
}

#[test]
fn a_topic_change_survives_a_lost_answer() {
    let kafka = start(1);
    let cluster = open(&kafka);
    kafka.inject(Fault::new(FaultKind::DisconnectAfter).api(ApiKey::CreateTopics));
    let new = NewTopic { partitions: Some(2), replication_factor: Some(1), ..NewTopic::new("t") };
    cluster.create_topic(&new, soon()).expect("it was our own doing that it exists");
    kafka.inject(Fault::new(FaultKind::DisconnectAfter).api(ApiKey::DeleteTopics));
    cluster.delete_topic("t", soon()).expect("and that it is gone");
}

#[test]
fn a_deleted_topic_is_not_brought_back_by_a_refresh() {
    let kafka = start(1);
    kafka.create_topic("t", 1).expect("created");
    let cluster = open(&kafka);
    known(&cluster, "t");
    kafka.delete_topic("t").expect("deleted by somebody else");
    refresh_times(&cluster, &kafka, 3);
    let names = cluster.all_topics(soon()).expect("topics");
    assert!(names.is_empty(), "{names:?}");
}

#[test]
fn events_are_kept_from_the_opening_on_and_the_descriptor_says_so() {
    let kafka = start(2);
    kafka.create_topic("t", 1).expect("created");
    let cluster = open(&kafka);
    known(&cluster, "t");
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(cluster.next_event(soon()).expect("an event"));
    }
    assert!(seen.contains(&Event::Topic(Arc::from("t"))), "{seen:?}");
    assert_eq!(seen.iter().filter(|event| matches!(event, Event::Broker(_))).count(), 2);
    let none = cluster.next_event(Some(Instant::now())).expect_err("all is read");
    assert_eq!(none.code(), Code::NOTHING);
    assert!(cluster.fd().is_ok());
    cluster.close(soon()).expect("close");
    assert_eq!(cluster.next_event(None).expect_err("closed").code(), Code::CLOSED);
}

#[test]
fn rule_13_9_a_close_wakes_whoever_waits() {
    let kafka = start(1);
    let cluster = open_with(&kafka, &[("allow.auto.create.topics", "false")]);
    let waiting = {
        let cluster = Arc::clone(&cluster);
        std::thread::spawn(move || {
            let topic = cluster.topic("nowhere").expect("a name");
            cluster.wait_topic(&topic, None)
        })
    };
    kafka.wait_requests(ApiKey::Metadata, 3, Instant::now() + LONG).expect("it is asked for");
    cluster.close(soon()).expect("close");
    let error = waiting.join().expect("no panic").expect_err("closed");
    assert_eq!(error.code(), Code::CLOSED);
}

#[test]
fn a_cluster_finds_its_brokers_and_topics() {
    let kafka = start(3);
    kafka.create_topic("orders", 4).unwrap();
    let cluster = open(&kafka);
    assert_eq!(cluster.metadata().brokers.len(), 3);
    let topic = cluster.topic("orders").unwrap();
    assert!(Arc::ptr_eq(&topic, &cluster.topic("orders").unwrap()), "one object per name");
    let metadata = cluster.wait_topic(&topic, soon()).unwrap();
    assert_eq!(metadata.partitions.len(), 4);
    assert!(metadata.partitions.iter().all(|p| cluster.broker(p.leader).is_some()));
    let names: Vec<String> =
        cluster.all_topics(soon()).unwrap().iter().map(|t| t.name.to_string()).collect();
    assert_eq!(names, ["orders"]);
    cluster.close(soon()).unwrap();
    cluster.close(soon()).unwrap();
    assert_eq!(cluster.topic("orders").unwrap_err().code(), Code::CLOSED);
}

#[test]
fn topics_are_created_and_deleted() {
    let kafka = start(1);
    let cluster = open(&kafka);
    let new = NewTopic { partitions: Some(3), replication_factor: Some(1), ..NewTopic::new("new") };
    cluster.create_topic(&new, soon()).unwrap();
    let topic = cluster.topic("new").unwrap();
    assert_eq!(topic.metadata().unwrap().partitions.len(), 3, "known when the call returns");
    let again = cluster.create_topic(&new, soon()).unwrap_err();
    assert_eq!((again.code(), again.topic()), (Code::TOPIC_ALREADY_EXISTS, Some("new")));
    cluster.delete_topic("new", soon()).unwrap();
    let gone = cluster.delete_topic("new", soon()).unwrap_err();
    assert_eq!(gone.code(), Code::UNKNOWN_TOPIC_OR_PARTITION);
}

#[test]
fn metadata_is_refreshed_by_age() {
    let kafka = start(1);
    let _cluster = open_with(&kafka, &[("metadata.max.age.ms", "20")]);
    kafka.wait_requests(ApiKey::Metadata, 6, soon()).unwrap();
}

#[test]
fn a_fatal_error_reaches_producers_and_consumers() {
    #[derive(Default)]
    struct Heard(std::sync::Mutex<Option<Code>>);
    impl Child for Heard {
        fn close(&self, _: Option<Instant>) -> Result<()> {
            Ok(())
        }
        fn fail(&self, error: Error) {
            *self.0.lock().expect("no panic") = Some(error.code());
        }
    }
    let kafka = start(1);
    let cluster = open(&kafka);
    let child = Arc::new(Heard::default());
    let weak: Weak<dyn Child> = Arc::downgrade(&(Arc::clone(&child) as Arc<dyn Child>));
    cluster.register(weak).unwrap();
    cluster.fail(Error::new(Code::PANIC, "a bug"));
    assert_eq!(*child.0.lock().expect("no panic"), Some(Code::PANIC));
    assert_eq!(cluster.wait_ready(None).unwrap_err().code(), Code::PANIC);
}
