//! What goes wrong: lost answers, fencing, coordinators that move.

use samsa::Code;
use samsa::embedded::{Fault, FaultKind, Release};
use samsa::protocol::modern::ApiKey;

use super::rig::{HEARTBEAT, Rig, soon, until};

fn fault(kind: FaultKind) -> Fault {
    Fault::new(kind).api(HEARTBEAT)
}

#[test]
fn rule_9_3_a_lost_answer_loses_nothing() {
    for kind in [
        FaultKind::DisconnectAfter,
        FaultKind::DisconnectBefore,
        FaultKind::Garbage,
        FaultKind::Malformed,
        FaultKind::CloseMidFrame,
    ] {
        let rig = Rig::new(4);
        let first = rig.member(&[]);
        rig.settled(&[&first], 4);
        // In the middle of a rebalance: whoever it meets says everything again.
        let id = rig.kafka.inject(fault(kind).times(4));
        let second = rig.member(&[]);
        rig.kafka.wait_injected(id, 4, soon()).expect("met");
        rig.settled(&[&first, &second], 4);
    }
}

#[test]
fn rule_9_3_a_silent_coordinator_is_left_after_the_request_timeout() {
    let rig = Rig::new(2);
    let member = rig.member(&[("request.timeout.ms", "100")]);
    rig.settled(&[&member], 2);
    let id = rig.kafka.inject(fault(FaultKind::Silence));
    rig.kafka.wait_injected(id, 1, soon()).expect("met");
    rig.heartbeats(5);
    rig.settled(&[&member], 2);
    assert_eq!(member.diary.told(), [("assign", 2)]);
}

#[test]
fn rule_9_10_a_fenced_member_loses_all_and_comes_back_with_its_id() {
    for code in [Code::FENCED_MEMBER_EPOCH, Code::UNKNOWN_MEMBER_ID] {
        let rig = Rig::new(2);
        let member = rig.member(&[]);
        rig.settled(&[&member], 2);
        let before = member.identity().expect("a member").member;
        let code = i16::try_from(code.0).expect("Kafka's");
        rig.kafka.inject(fault(FaultKind::ErrorCode(code)));
        until("the loss", || member.diary.told().len() == 3);
        assert_eq!(member.diary.told(), [("assign", 2), ("lost", 2), ("assign", 2)]);
        rig.settled(&[&member], 2);
        assert_eq!(member.identity().expect("a member").member, before);
    }
}

#[test]
fn rule_9_10_a_member_that_was_thrown_out_joins_again() {
    let rig = Rig::new(2);
    let (first, second) = (rig.member(&[]), rig.member(&[]));
    rig.settled(&[&first, &second], 2);
    let id = first.identity().expect("a member").member;
    rig.kafka.expire_member("g", &id).expect("there");
    until("the loss", || first.diary.told().contains(&("lost", 1)));
    rig.settled(&[&first, &second], 2);
}

#[test]
fn rule_9_10_a_late_commit_does_not_rewind_who_reads_on() {
    let rig = Rig::new(2);
    let (a, b) = (rig.member(&[]), rig.member(&[]));
    rig.settled(&[&a, &b], 2);
    let place = a.owned().into_iter().next().expect("one");
    let partition = i32::try_from(place.1).expect("small");
    let late = || {
        assert_eq!(a.commit(&place, 3), Err(Code::UNKNOWN_MEMBER_ID));
        assert_eq!(rig.kafka.committed("g", "t", partition), Some(9));
    };
    a.member.membership.step_out();
    b.owns(2);
    b.commit(&place, 9).expect("its own");
    late();
    // What the other one has it keeps for now.
    b.diary.hold();
    a.member.membership.step_in();
    until("it is one again", || a.identity().is_some());
    late();
    b.diary.release();
    rig.settled(&[&a, &b], 2);
    let mine = a.owned().into_iter().next().expect("one");
    a.commit(&mine, 10).expect("what it holds");
}

#[test]
fn rule_9_10_nor_does_the_last_commit_of_one_that_ends() {
    let rig = Rig::new(2);
    let (a, b) = (rig.member(&[]), rig.member(&[]));
    rig.settled(&[&a, &b], 2);
    let place = a.owned().into_iter().next().expect("one");
    let partition = i32::try_from(place.1).expect("small");
    a.member.membership.step_out();
    b.owns(2);
    b.commit(&place, 9).expect("its own");
    b.diary.hold();
    a.member.membership.finish();
    a.member.membership.step_in();
    until("it is one again", || a.identity().is_some());
    assert_eq!(a.commit(&place, 3), Err(Code::UNKNOWN_MEMBER_ID));
    assert_eq!(rig.kafka.committed("g", "t", partition), Some(9));
    b.diary.release();
}

#[test]
fn rule_9_10_a_loss_while_the_application_is_busy_makes_its_step_void() {
    let rig = Rig::new(2);
    let member = rig.idle(&[]);
    member.diary.hold();
    member.subscribe(&["t"]);
    until("the assignment", || member.diary.held() == 1);
    rig.kafka.inject(fault(FaultKind::ErrorCode(110)));
    until("the loss", || member.diary.told().contains(&("lost", 2)));
    member.diary.release();
    rig.settled(&[&member], 2);
    assert_eq!(member.diary.told(), [("assign", 2), ("lost", 2), ("assign", 2)]);
}

#[test]
fn rule_8_7_a_member_whose_heartbeats_fail_for_a_whole_session_loses_all_and_comes_back() {
    let rig = Rig::new(2);
    let member = rig.member(&[]);
    rig.settled(&[&member], 2);
    let id = rig.kafka.inject(fault(FaultKind::ErrorCode(14)).always());
    until("the loss", || member.diary.told().contains(&("lost", 2)));
    rig.kafka.withdraw(id);
    until("another assignment", || member.owned().len() == 2);
    assert_eq!(member.diary.told(), [("assign", 2), ("lost", 2), ("assign", 2)]);
}

/// Brokers that list the API and refuse it, have it not in their list, or are older than it.
fn without_such_groups() -> Vec<Rig> {
    let of = |release| {
        let rig = Rig::new(2);
        rig.kafka.set_release(None, release).expect("set");
        rig
    };
    let listed = Rig::new(2);
    listed.kafka.inject(fault(FaultKind::ErrorCode(35)).always());
    let unlisted = Rig::new(2);
    unlisted.kafka.limit_versions(None, HEARTBEAT, 1, 0).expect("taken away");
    let releases = [Release::V3_9, Release::V2_8, Release::V1_1, Release::V0_10_2, Release::V0_9_0];
    [listed, unlisted].into_iter().chain(releases.map(of)).collect()
}

#[test]
fn rule_9_17_on_brokers_without_such_groups_the_member_is_a_classic_one() {
    for rig in without_such_groups() {
        let member = rig.member(&[]);
        until("a share, or an error", || {
            member.owned().len() == 2 || !member.diary.lock().failures.is_empty()
        });
        assert_eq!(member.diary.lock().failures, [], "it goes on as another kind of member");
        assert_eq!(member.owned().len(), 2);
        let id = member.identity().expect("a member");
        assert_eq!(rig.kafka.group_members("g")[0].id, *id.member, "the coordinator's, not ours");
        assert!(rig.kafka.requests(ApiKey::JoinGroup) > 0);
        member.commit(&("t".to_owned(), 0), 5).expect("committed as a classic member");
        assert_eq!(rig.kafka.committed("g", "t", 0), Some(5));
        member.leave();
        assert_eq!(rig.kafka.group_members("g"), []);
    }
}

#[test]
fn rule_9_17_on_brokers_without_any_groups_the_member_says_what_it_lacks() {
    let rig = Rig::new(2);
    rig.kafka.set_release(None, Release::V0_8_2).expect("set");
    let member = rig.member(&[]);
    assert_eq!(member.fails(), Code::UNSUPPORTED_FEATURE);
}

#[test]
fn rule_9_18_a_coordinator_that_moves_is_followed_and_nothing_is_lost() {
    let rig = Rig::new(2);
    let member = rig.member(&[]);
    rig.settled(&[&member], 2);
    for broker in [1, 0, 1] {
        rig.kafka.move_coordinator("g", broker).expect("moved");
        rig.heartbeats(4);
    }
    rig.kafka.inject(fault(FaultKind::ErrorCode(14)).times(3));
    rig.kafka.inject(fault(FaultKind::ErrorCode(15)).times(3));
    rig.heartbeats(10);
    rig.settled(&[&member], 2);
    assert_eq!(member.diary.told(), [("assign", 2)]);
    assert_eq!(rig.kafka.coordinator("g"), Some(1));
}

#[test]
fn rule_9_18_a_coordinator_that_stops_is_replaced() {
    let rig = Rig::new(2);
    let member = rig.member(&[]);
    rig.settled(&[&member], 2);
    rig.kafka.stop_broker(0).expect("stopped");
    rig.heartbeats(5);
    rig.settled(&[&member], 2);
    assert_eq!(member.diary.told(), [("assign", 2)]);
}

#[test]
fn rule_1_14_a_coordinator_that_hangs_is_left_for_the_one_that_took_over() {
    let rig = Rig::new(2);
    let member = rig.member(&[("request.timeout.ms", "500")]);
    rig.settled(&[&member], 2);
    // Its process is stopped: connections stay open, and nothing is answered on any of them.
    rig.kafka.inject(Fault::new(FaultKind::Silence).broker(0).always());
    rig.kafka.move_coordinator("g", 1).expect("moved");
    let beats = || {
        let seen = rig.kafka.history().into_iter();
        seen.filter(|seen| seen.broker == 1 && seen.api == i16::from(HEARTBEAT)).count()
    };
    until("heartbeats at the other one", || beats() > 3 || member.diary.told().len() > 1);
    assert_eq!(member.diary.told(), [("assign", 2)]);
}

#[test]
fn what_the_coordinator_refuses_for_good_is_told() {
    for code in [30, 42, 81, 112] {
        let rig = Rig::new(1);
        rig.kafka.inject(fault(FaultKind::ErrorCode(code)));
        let member = rig.member(&[]);
        assert_eq!(member.fails(), Code::from(code));
        member.subscribe(&["t"]);
        rig.settled(&[&member], 1);
    }
}

#[test]
fn a_group_of_the_other_kind_cannot_be_joined() {
    let rig = Rig::new(1);
    let member = rig.idle(&[]);
    rig.kafka.inject(fault(FaultKind::ErrorCode(69)));
    member.subscribe(&["t"]);
    assert_eq!(member.fails(), Code::GROUP_ID_NOT_FOUND);
    assert_eq!(rig.kafka.requests(ApiKey::JoinGroup), 0);
}
