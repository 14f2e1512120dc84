//! Members that leave and come back, and servers that never let them.

use super::fixture_tests::*;
use crate::embedded::zookeeper::{Fault, FaultKind};
use crate::group::Subscription;
use crate::protocol::zookeeper::{ErrorCode, OpCode};

#[test]
fn a_member_that_unsubscribes_and_subscribes_at_once_is_given_its_share_again() {
    let ground = Ground::modern("t", 1);
    let member = ground.member(&[]);
    let mut expected = Vec::new();
    for _ in 0..5 {
        member.subscribe(&["t"]);
        expected.push("+t/0");
        member.recorder.wait("its share", |told| told.steps == expected);
        // Its consumer has dropped everything by then: a share that stays would be nobody's.
        member.membership.subscribe(Subscription::default());
        // And if it heard of the share when it had subscribed anew, it is told that this is none of it.
        expected.push("!t/0");
    }
}

#[test]
fn rule_8_24_a_member_that_was_out_for_a_moment_has_lost_what_it_had() {
    let ground = Ground::modern("t", 1);
    let member = ground.member(&[]);
    member.subscribe(&["t"]);
    member.has(&["t/0"]);
    member.membership.step_out();
    member.membership.step_in();
    member.recorder.wait("its share again", |told| told.steps.len() == 3);
    assert_eq!(member.recorder.look(|told| told.steps.clone()), ["+t/0", "!t/0", "+t/0"]);
}

#[test]
fn a_server_that_never_deletes_a_node_is_not_asked_without_a_pause() {
    let ground = Ground::modern("t", 2);
    let member = ground.member(&[("consumer.id", "a")]);
    member.subscribe(&["t"]);
    member.has(&["t/0", "t/1"]);
    let refuse = FaultKind::Refuse(ErrorCode::BAD_VERSION);
    let owners = "/consumers/g/owners/t";
    let fault = Fault::new(refuse).op(OpCode::Delete).path(owners).session(member.session());
    ground.zookeeper.inject(fault.times(u32::MAX));
    let other = ground.member(&[("consumer.id", "b"), ("rebalance.max.retries", "1000000")]);
    other.subscribe(&["t"]);
    member.recorder.wait("the failure", |told| !told.failures.is_empty());
    ground.zookeeper.withdraw_all();
    other.has(&["t/1"]);
    member.has(&["t/0"]);
}
