//! Members leave: for good, for a while, and because nobody polls.

use samsa::Code;
use samsa::embedded::{Fault, FaultKind};

use super::rig::{HEARTBEAT, Rig, until};

#[test]
fn rule_9_13_who_leaves_is_gone_at_once() {
    let rig = Rig::new(2);
    let member = rig.member(&[]);
    rig.settled(&[&member], 2);
    member.leave();
    assert_eq!(rig.kafka.group_members("g"), []);
    assert_eq!(member.identity(), None);
    assert_eq!(member.diary.told(), [("assign", 2)], "nothing more is told");
    let seen = rig.kafka.requests(HEARTBEAT);
    member.leave();
    assert_eq!(rig.kafka.requests(HEARTBEAT), seen);
}

#[test]
fn rule_9_13_any_answer_to_a_leave_is_fine() {
    for code in [25, 42, 69, 110] {
        let rig = Rig::new(1);
        let member = rig.member(&[]);
        rig.settled(&[&member], 1);
        rig.kafka.inject(Fault::new(FaultKind::ErrorCode(code)).api(HEARTBEAT).always());
        member.leave();
    }
}

#[test]
fn rule_9_13_a_coordinator_that_moved_hears_of_the_leave() {
    let rig = Rig::new(1);
    rig.kafka.set("group.consumer.heartbeat.interval.ms", "60000").expect("set");
    let member = rig.member(&[]);
    rig.settled(&[&member], 1);
    rig.kafka.move_coordinator("g", 1).expect("moved");
    member.leave();
    assert_eq!(rig.kafka.group_members("g"), []);
}

#[test]
fn rule_9_13_a_silent_coordinator_does_not_hold_up_a_leave_for_ever() {
    let rig = Rig::new(1);
    let member = rig.member(&[("request.timeout.ms", "50")]);
    rig.settled(&[&member], 1);
    rig.kafka.inject(Fault::new(FaultKind::Silence).api(HEARTBEAT).always());
    member.leave();
}

#[test]
fn rule_9_13_a_static_member_keeps_its_place_when_it_leaves() {
    let rig = Rig::new(4);
    let named = [("group.instance.id", "one")];
    let first = rig.member(&named);
    rig.settled(&[&first], 4);
    let second = rig.member(&[]);
    rig.settled(&[&first, &second], 4);
    let owned = first.owned();
    first.leave();
    assert_eq!(rig.kafka.group_members("g").len(), 2, "it is away");
    let back = rig.member(&named);
    rig.settled(&[&back, &second], 4);
    assert_eq!(back.owned(), owned);
    assert_eq!(second.diary.told(), [("assign", 0), ("assign", 2)], "who stayed noticed nothing");
}

#[test]
fn rule_9_14_a_static_name_that_is_taken_is_an_error() {
    let rig = Rig::new(2);
    let named = [("group.instance.id", "one")];
    let first = rig.member(&named);
    rig.settled(&[&first], 2);
    let second = rig.member(&named);
    assert_eq!(second.fails(), Code::UNRELEASED_INSTANCE_ID);
    rig.settled(&[&first], 2);
}

#[test]
fn rule_9_14_a_static_member_that_was_fenced_takes_its_own_name_again() {
    let rig = Rig::new(2);
    let member = rig.member(&[("group.instance.id", "one")]);
    rig.settled(&[&member], 2);
    rig.kafka.inject(Fault::new(FaultKind::ErrorCode(110)).api(HEARTBEAT));
    until("the loss", || member.diary.told().contains(&("lost", 2)));
    rig.settled(&[&member], 2);
    assert_eq!(member.diary.lock().failures, []);
}

#[test]
fn rule_9_15_who_does_not_poll_is_out_until_it_polls() {
    let rig = Rig::new(2);
    let (first, second) = (rig.member(&[]), rig.member(&[]));
    rig.settled(&[&first, &second], 2);
    first.member.membership.step_out();
    rig.wait_members(1);
    rig.settled(&[&second], 2);
    assert_eq!((first.owned().len(), first.identity()), (0, None));
    rig.heartbeats(5);
    assert_eq!(rig.kafka.group_members("g").len(), 1, "it stays out");
    first.member.membership.step_in();
    rig.settled(&[&first, &second], 2);
}

#[test]
fn an_end_of_the_subscription_leaves_and_another_one_joins() {
    let rig = Rig::new(2);
    let member = rig.member(&[]);
    rig.settled(&[&member], 2);
    member.subscribe(&[]);
    rig.wait_members(0);
    member.diary.lock().owned.clear();
    member.subscribe(&["t"]);
    rig.settled(&[&member], 2);
}
