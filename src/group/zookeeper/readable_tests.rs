//! Nodes that cannot be read, and what they keep a member from: never more than themselves.

use std::sync::Arc;

use super::fixture_tests::*;
use crate::embedded::zookeeper::{Fault, FaultKind};
use crate::error::Code;
use crate::group::OffsetStore;
use crate::protocol::zookeeper::{ErrorCode, OpCode};

#[test]
fn rule_10_9_a_broker_whose_registration_becomes_readable_later_brings_the_member_in() {
    let ground = Ground::empty();
    ground.set("/brokers/ids/0", "not yet");
    ground.topic("t", 1);
    // Not by another try: none is due while the test runs.
    let member = ground.member(&[("rebalance.backoff.ms", "600000")]);
    member.subscribe(&["t"]);
    ground.wait("a look at the broker", |ground| ground.zookeeper.watches() >= 2);
    ground.broker();
    member.has(&["t/0"]);
}

#[test]
fn a_broker_that_stays_unreadable_is_told() {
    let ground = Ground::empty();
    ground.set("/brokers/ids/0", "not yet");
    let member = ground.member(&[]);
    member.subscribe(&["t"]);
    member.recorder.wait("the failure", |told| !told.failures.is_empty());
    let error = member.recorder.look(|told| told.failures[0].clone());
    assert!(error.to_string().contains("broker 0"), "{error}");
}

#[test]
fn a_broker_that_is_refused_for_a_while_does_not_keep_the_member_out() {
    let ground = Ground::modern("t", 1);
    let refuse = FaultKind::Refuse(ErrorCode::NO_AUTH);
    ground.zookeeper.inject(Fault::new(refuse).op(OpCode::GetData).path("/brokers/ids/0").times(3));
    let member = ground.member(&[]);
    member.subscribe(&["t"]);
    member.has(&["t/0"]);
}

#[test]
fn a_broker_that_cannot_be_read_does_not_hide_one_that_can() {
    let ground = Ground::modern("t", 1);
    ground.set("/brokers/ids/1", "not yet");
    let member = ground.member(&[]);
    member.subscribe(&["t"]);
    member.has(&["t/0"]);
}

#[test]
fn a_topic_that_cannot_be_read_does_not_keep_the_others_from_being_read() {
    let ground = Ground::modern("t", 1);
    // Somebody made a node below one that was not there.
    ground.set("/brokers/topics/left/over", "");
    let member = ground.member(&[]);
    member.subscribe_patterns(&[".*"], &[]);
    member.has(&["t/0"]);
    ground.topic("left", 1);
    member.has(&["left/0", "t/0"]);
    ground.set("/brokers/topics/left", "nonsense");
    member.has(&["t/0"]);
}

#[test]
fn a_topic_that_is_closed_to_us_does_not_keep_the_others_from_being_read() {
    let ground = Ground::modern("t", 1);
    ground.topic("closed", 1);
    let refuse = FaultKind::Refuse(ErrorCode::NO_AUTH);
    let path = "/brokers/topics/closed";
    ground.zookeeper.inject(Fault::new(refuse).op(OpCode::GetData).path(path).times(u32::MAX));
    let member = ground.member(&[]);
    member.subscribe_patterns(&[".*"], &[]);
    member.has(&["t/0"]);
    ground.zookeeper.withdraw_all();
    // It was opened, and then it changed.
    ground.topic("closed", 2);
    member.has(&["closed/0", "closed/1", "t/0"]);
}

#[test]
fn a_partition_count_of_0_7_that_makes_no_sense_counts_as_none() {
    let ground = Ground::empty();
    ground.legacy(0, "t", 1);
    ground.legacy(1, "t", 1);
    ground.set("/brokers/topics/t/1", "many");
    let member = ground.member(&[]);
    member.subscribe(&["t"]);
    member.has(&["t/0"]);
    ground.set("/brokers/topics/t/1", "1");
    member.has(&["t/0", &format!("t/{}", 1_i64 << 32)]);
}

#[test]
fn rule_11_10_who_is_no_member_of_a_group_of_pykafka_does_not_write_a_member_s_offset() {
    let ground = Ground::modern("t", 2);
    // Led by another broker since: the number counts.
    ground.set("/consumers/g/owners/b't'/7-0", "host:1");
    let kafka: Arc<dyn OffsetStore> = Arc::new(super::layouts_tests::FakeKafka::default());
    let outsider = ground.member_with(&[("zookeeper.group.layout", "pykafka")], Some(kafka));
    let outsider = outsider.unwrap();
    let places = vec![(partition("t", 0), place(1)), (partition("t", 1), place(1))];
    let outcome = wait(outsider.offsets.commit(places, false, soon()));
    assert_eq!(outcome[0].as_ref().unwrap_err().code(), Code::UNKNOWN_MEMBER_ID);
    assert!(outcome[1].is_ok(), "nobody's");
}
