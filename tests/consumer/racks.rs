//! Reading from the nearest replica (KIP-392).

use samsa::Code;
use samsa::embedded::{Fault, FaultKind, Options};

use crate::rig::{FETCH, Rig, assert_code, deadline, place, poll_error, read_one};

/// Three brokers in racks "a", "b" and "c"; broker 0 leads the one partition, all hold it.
fn rig() -> Rig {
    let mut options = Options { brokers: 3, ..Options::default() };
    options.set("broker.rack", "a,b,c").unwrap();
    let selector = "org.apache.kafka.common.replica.RackAwareReplicaSelector";
    options.set("replica.selector.class", selector).unwrap();
    let rig = Rig::with(options, 1);
    rig.kafka.move_leader("t", 0, 0).unwrap();
    rig
}

fn reader(rig: &Rig, properties: &[(&str, &str)]) -> std::sync::Arc<samsa::consumer::Consumer> {
    let properties = [&[("client.rack", "b"), ("fetch.max.wait.ms", "20")], properties].concat();
    let consumer = rig.consumer(&properties);
    consumer.assign(&[place(0).at(0)]).unwrap();
    consumer
}

/// Waits until a broker received a Fetch after those that came so far.
fn fetched_from(rig: &Rig, broker: i32) {
    let fault = Fault::new(FaultKind::Delay(0)).api(FETCH).broker(broker);
    let id = rig.kafka.inject(fault);
    rig.kafka.wait_injected(id, 1, deadline()).unwrap();
}

#[test]
fn rule_6_18_the_replica_in_our_rack_is_read_without_a_gap_or_a_repeat() {
    let rig = rig();
    rig.write(0, 5);
    let consumer = reader(&rig, &[]);
    assert_eq!(read_one(&consumer, 5), [0, 1, 2, 3, 4]);
    fetched_from(&rig, 1);
    rig.write(0, 5);
    assert_eq!(read_one(&consumer, 5), [5, 6, 7, 8, 9]);
    rig.kafka.wait_fetch_sessions(0, 0, deadline()).unwrap();
    assert_code(consumer.poll(50), Code::NOTHING);
}

#[test]
fn rule_6_18_after_metadata_max_age_the_leader_is_asked_anew() {
    let rig = rig();
    // The property belongs to the cluster.
    let mut config = samsa::config::Config::new();
    config.set("bootstrap.servers", &rig.kafka.address()).unwrap();
    config.set("metadata.max.age.ms", "200").unwrap();
    let cluster = samsa::cluster::Cluster::open(&config).unwrap();
    let rig = Rig { kafka: rig.kafka, cluster };
    let consumer = reader(&rig, &[]);
    for round in 0..3 {
        fetched_from(&rig, 0);
        fetched_from(&rig, 1);
        rig.write(0, 2);
        assert_eq!(read_one(&consumer, 2), [round * 2, round * 2 + 1]);
    }
}

#[test]
fn rule_6_18_when_the_replica_fails_the_leader_is_read_though_it_names_it_again() {
    let rig = rig();
    rig.write(0, 2);
    let consumer = reader(&rig, &[]);
    assert_eq!(read_one(&consumer, 2), [0, 1]);
    fetched_from(&rig, 1);
    let fault = Fault::new(FaultKind::DisconnectBefore).api(FETCH).broker(1).always();
    rig.kafka.inject(fault);
    rig.write(0, 3);
    assert_eq!(read_one(&consumer, 3), [2, 3, 4]);
    fetched_from(&rig, 0);
    rig.write(0, 1);
    assert_eq!(read_one(&consumer, 1), [5]);
}

#[test]
fn rule_6_18_another_leader_is_asked_first() {
    let rig = rig();
    let consumer = reader(&rig, &[]);
    fetched_from(&rig, 1);
    rig.kafka.move_leader("t", 0, 2).unwrap();
    rig.write(0, 2);
    assert_eq!(read_one(&consumer, 2), [0, 1]);
    fetched_from(&rig, 1);
    rig.kafka.move_leader("t", 0, 1).unwrap();
    rig.write(0, 2);
    assert_eq!(read_one(&consumer, 2), [2, 3], "the replica that was read leads now");
}

#[test]
fn rule_6_19_a_follower_that_lags_is_no_reason_to_reset() {
    for code in [1, 78] {
        let rig = rig();
        rig.write(0, 3);
        let consumer = reader(&rig, &[("auto.offset.reset", "none")]);
        assert_eq!(read_one(&consumer, 3), [0, 1, 2]);
        fetched_from(&rig, 1);
        let lags = Fault::new(FaultKind::ErrorCode(code)).api(FETCH).broker(1).always();
        let id = rig.kafka.inject(lags);
        rig.kafka.wait_injected(id, 1, deadline()).unwrap();
        rig.write(0, 3);
        assert_eq!(read_one(&consumer, 3), [3, 4, 5], "code {code}");
    }
}

#[test]
fn rule_6_19_out_of_range_on_the_leader_follows_the_policy_with_a_rack_too() {
    let rig = rig();
    rig.write(0, 3);
    let consumer = rig.consumer(&[("client.rack", "b"), ("auto.offset.reset", "none")]);
    consumer.assign(&[place(0).at(90)]).unwrap();
    assert_code::<()>(Err(poll_error(&consumer)), Code::NO_OFFSET);
}
