//! Patterns, and topics whose names are not known yet.

use samsa::Code;
use samsa::embedded::{Fault, FaultKind};
use samsa::protocol::modern::ApiKey;

use super::rig::{HEARTBEAT, Rig, soon};

#[test]
fn rule_9_16_the_coordinator_resolves_a_single_pattern_and_finds_new_topics() {
    let rig = Rig::new(1);
    rig.kafka.create_topic("a1", 1).expect("made");
    let member = rig.idle(&[]);
    member.subscribe(&["^a.*"]);
    rig.settled(&[&member], 1);
    rig.kafka.create_topic("a2", 2).expect("made");
    rig.settled(&[&member], 3);
    rig.kafka.delete_topic("a1").expect("deleted");
    rig.settled(&[&member], 2);
}

#[test]
fn patterns_notice_partitions_that_are_added_whoever_resolves_them() {
    for patterns in [&["^a.*"][..], &["^a.*", "^b.*"]] {
        let rig = Rig::new(1);
        rig.kafka.create_topic("a1", 1).expect("made");
        let member = rig.idle(&[("metadata.max.age.ms", "50")]);
        member.subscribe(patterns);
        rig.settled(&[&member], 1);
        rig.kafka.grow_topic("a1", 3).expect("grown");
        rig.settled(&[&member], 3);
    }
}

#[test]
fn rule_9_16_several_patterns_are_resolved_by_the_client() {
    let rig = Rig::new(1);
    rig.kafka.create_topic("a1", 1).expect("made");
    let member = rig.idle(&[("metadata.max.age.ms", "50")]);
    member.subscribe(&["^a.*", "^b.*", "t"]);
    rig.settled(&[&member], 2);
    rig.kafka.create_topic("b1", 2).expect("made");
    rig.settled(&[&member], 4);
}

#[test]
fn rule_9_16_a_coordinator_that_takes_no_patterns_hears_names() {
    let rig = Rig::new(1);
    rig.kafka.limit_versions(None, HEARTBEAT, 0, 0).expect("limited");
    let member = rig.idle(&[("metadata.max.age.ms", "50")]);
    member.subscribe(&["^t"]);
    rig.settled(&[&member], 1);
    member.subscribe(&["^u"]);
    rig.settled(&[&member], 0);
    rig.kafka.create_topic("u", 1).expect("made");
    rig.settled(&[&member], 1);
}

#[test]
fn a_pattern_that_nobody_understands_is_an_error() {
    let rig = Rig::new(1);
    let member = rig.idle(&[]);
    member.subscribe(&["^(?=t)"]);
    assert_eq!(member.fails(), Code::INVALID_REGULAR_EXPRESSION, "the coordinator says so");
    member.subscribe(&["^(", "^t"]);
    assert!(member.fails().is_error());
    member.subscribe(&["^t"]);
    rig.settled(&[&member], 1);
}

#[test]
fn rule_9_9_a_topic_without_a_name_waits_and_the_others_do_not() {
    let rig = Rig::new(1);
    let member = rig.idle(&[]);
    member.subscribe(&["^(t|u)"]);
    rig.settled(&[&member], 1);
    let denied = Fault::new(FaultKind::ErrorCode(3)).api(ApiKey::Metadata).topic("u");
    let id = rig.kafka.inject(denied.always());
    rig.kafka.create_topic("u", 2).expect("made");
    rig.kafka.grow_topic("t", 2).expect("grown");
    member.owns(2);
    rig.kafka.wait_injected(id, 3, soon()).expect("asked for");
    rig.heartbeats(5);
    assert_eq!(member.owned().len(), 2, "those of t");
    rig.kafka.withdraw(id);
    rig.settled(&[&member], 4);
    assert!(member.diary.told().iter().all(|(what, _)| *what == "assign"));
}
