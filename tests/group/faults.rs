//! Classic memberships when something goes wrong: codes, silence, disconnects, coordinators that move.

use std::time::{Duration, Instant};

use samsa::Code;
use samsa::embedded::{Fault, FaultKind};
use samsa::protocol::modern::ApiKey;

use super::app::{App, Heard, share, to, until};
use super::rig::{Rig, assert_code, at, error, place, soon};

const JOIN: ApiKey = ApiKey::JoinGroup;
const SYNC: ApiKey = ApiKey::SyncGroup;
const BEAT: ApiKey = ApiKey::Heartbeat;
const COMMIT: ApiKey = ApiKey::OffsetCommit;
const RANGE: (&str, &str) = ("partition.assignment.strategy", "range");
const COOPERATIVE: (&str, &str) = ("partition.assignment.strategy", "cooperative-sticky");

/// A member with quick heartbeats.
fn app(rig: &Rig, properties: &[(&str, &str)]) -> App {
    let quick = [
        ("heartbeat.interval.ms", "10"),
        ("session.timeout.ms", "10000"),
        ("max.poll.interval.ms", "10000"),
    ];
    let properties: Vec<_> = quick.iter().chain(properties).copied().collect();
    App::new(&rig.cluster, &rig.config(&properties), &["t"])
}

fn assigned(rig: &Rig, properties: &[(&str, &str)]) -> App {
    let mut app = app(rig, properties);
    app.until("assigned", |app| app.reads.len() == 4);
    app.forget();
    app
}

fn lost(app: &App) -> bool {
    app.heard.iter().any(|heard| matches!(heard, Heard::Lost(_)))
}

#[test]
fn a_join_or_sync_that_fails_in_passing_is_tried_again() {
    for api in [JOIN, SYNC] {
        let rig = Rig::new(1);
        for code in [
            Code::COORDINATOR_LOAD_IN_PROGRESS,
            Code::COORDINATOR_NOT_AVAILABLE,
            Code::NOT_COORDINATOR,
            Code::REBALANCE_IN_PROGRESS,
            Code::UNKNOWN_SERVER_ERROR,
        ] {
            rig.fail(api, code);
        }
        for kind in [FaultKind::DisconnectBefore, FaultKind::DisconnectAfter, FaultKind::Garbage] {
            rig.kafka.inject(Fault::new(kind).api(api));
        }
        let mut app = app(&rig, &[]);
        app.until("assigned", |app| app.reads.len() == 4);
        assert!(
            !app.heard.iter().any(|heard| matches!(heard, Heard::Failed(_))),
            "{:?}",
            app.heard
        );
    }
}

#[test]
fn rule_8_3_a_new_member_asks_twice_and_leaves_no_phantom() {
    let rig = Rig::new(1);
    let app = assigned(&rig, &[]);
    assert_eq!(rig.kafka.requests(JOIN), 2);
    app.leave();
    assert!(rig.kafka.group_members("g").is_empty());
    let began = Instant::now();
    let _second = assigned(&rig, &[]);
    assert!(began.elapsed() < Duration::from_secs(5), "nobody is waited for");
}

#[test]
fn rule_8_4_an_unknown_member_begins_anew() {
    let rig = Rig::new(1);
    let mut app = assigned(&rig, &[]);
    let member = rig.kafka.group_members("g")[0].id.clone();
    rig.kafka.expire_member("g", &member).expect("expired");
    app.until("back", |app| lost(app) && app.reads.len() == 4);
    assert_ne!(rig.kafka.group_members("g")[0].id, member);
}

#[test]
fn rule_8_4_an_illegal_generation_joins_with_the_same_id() {
    let rig = Rig::new(1);
    let mut app = assigned(&rig, &[]);
    let member = rig.kafka.group_members("g")[0].id.clone();
    rig.fail(BEAT, Code::ILLEGAL_GENERATION);
    app.until("back", |app| lost(app) && app.reads.len() == 4);
    assert_eq!(rig.kafka.group_members("g")[0].id, member);
}

#[test]
fn rule_8_4_a_fenced_member_is_out_until_it_subscribes_again() {
    for api in [BEAT, SYNC, JOIN, COMMIT] {
        let rig = Rig::new(1);
        let mut app = assigned(&rig, &[("group.instance.id", "one")]);
        rig.fail(api, Code::FENCED_INSTANCE_ID);
        match api {
            COMMIT => assert_code(rig.commit(&*app.member.offsets, 1), Code::FENCED_INSTANCE_ID),
            BEAT => {}
            _ => app.member.membership.rejoin("a test"),
        }
        app.until("fenced", |app| app.has_heard(&Heard::Failed(Code::FENCED_INSTANCE_ID)));
        assert!(app.reads.is_empty(), "{api:?}");
        assert_eq!(app.member.membership.identity(), None);
        app.member.membership.subscribe(to(&["t"]));
        app.until("again", |app| app.reads.len() == 4);
    }
}

#[test]
fn rule_8_6_a_slow_application_keeps_its_place_and_the_others_wait() {
    let rig = Rig::new(1);
    let mut a = assigned(&rig, &[("session.timeout.ms", "300")]);
    a.is_slow = true;
    let mut b = app(&rig, &[("session.timeout.ms", "300")]);
    a.until("it is asked to give up", |app| app.reads.is_empty());
    let beats = rig.kafka.requests(BEAT);
    // Several sessions long it says that it is alive.
    rig.kafka.wait_requests(BEAT, beats + 60, soon()).expect("beats");
    b.poll();
    assert!(b.reads.is_empty() && !lost(&a));
    a.is_slow = false;
    until("shared", &mut [&mut a, &mut b], |apps| share(apps, 4) && !apps[1].reads.is_empty());
    assert_eq!(rig.kafka.group_members("g").len(), 2);
}

#[test]
fn rule_8_7_a_silent_coordinator_ends_the_session_here_too() {
    let rig = Rig::new(2);
    rig.kafka.move_coordinator("g", 0).expect("moved");
    let properties = [
        ("session.timeout.ms", "400"),
        ("request.timeout.ms", "200"),
        ("fetch.max.wait.ms", "100"),
    ];
    let mut app = assigned(&rig, &properties);
    let silent = rig.kafka.inject(Fault::new(FaultKind::Silence).api(BEAT).always());
    app.until("lost", |app| lost(app) && app.reads.is_empty());
    rig.kafka.withdraw(silent);
    rig.kafka.close_connections(None).expect("closed");
    app.until("back", |app| app.reads.len() == 4);
}

#[test]
fn rule_8_8_a_coordinator_that_moves_costs_no_rebalance() {
    let rig = Rig::new(3);
    let mut app = assigned(&rig, &[]);
    let joins = rig.kafka.requests(JOIN);
    for broker in [1, 2, 0] {
        rig.kafka.move_coordinator("g", broker).expect("moved");
        let beats = rig.kafka.requests(BEAT);
        rig.kafka.wait_requests(BEAT, beats + 5, soon()).expect("beats at the new one");
        rig.commit(&*app.member.offsets, i64::from(broker)).expect("commits too");
    }
    rig.kafka.close_connections(None).expect("closed");
    let beats = rig.kafka.requests(BEAT);
    rig.kafka.wait_requests(BEAT, beats + 5, soon()).expect("beats");
    app.poll();
    assert!(app.heard.is_empty(), "{:?}", app.heard);
    assert_eq!(rig.kafka.requests(JOIN), joins);
}

#[test]
fn rule_8_8_a_join_that_finds_the_coordinator_moved_goes_on_there() {
    let rig = Rig::new(2);
    rig.kafka.move_coordinator("g", 0).expect("moved");
    let mut a = assigned(&rig, &[]);
    a.is_slow = true;
    let mut b = app(&rig, &[]);
    a.until("a rebalance", |app| app.reads.is_empty());
    // The second member's join waits there.
    rig.kafka.move_coordinator("g", 1).expect("moved");
    a.is_slow = false;
    until("shared", &mut [&mut a, &mut b], |apps| share(apps, 4) && !apps[1].reads.is_empty());
}

#[test]
fn rule_8_9_a_join_waits_for_the_commit_that_is_out_and_commits_for_the_assignment() {
    let rig = Rig::new(1);
    let mut app = assigned(&rig, &[COOPERATIVE]);
    let joins = rig.kafka.requests(JOIN);
    rig.kafka.inject(Fault::new(FaultKind::Delay(150)).api(COMMIT));
    let first = app.member.offsets.commit(vec![(place(0), at(1))], false, soon());
    rig.kafka.wait_requests(COMMIT, 1, soon()).expect("out");
    app.member.membership.rejoin("a test");
    rig.kafka.inject(Fault::new(FaultKind::Delay(150)).api(SYNC));
    assert!(rig.run(first)[0].is_ok());
    rig.kafka.wait_requests(JOIN, joins + 1, soon()).expect("then it joins");
    let commits = rig.kafka.requests(COMMIT);
    let second = app.member.offsets.commit(vec![(place(0), at(2))], false, soon());
    let outcome = rig.run(second).remove(0);
    app.poll();
    assert!(outcome.is_ok(), "{outcome:?}");
    let history = rig.kafka.history();
    let order: Vec<i16> =
        history.iter().map(|seen| seen.api).filter(|api| [8, 11, 14].contains(api)).collect();
    assert_eq!(order[order.len() - 4..], [8, 11, 14, 8], "{commits} commits before");
    assert_eq!(rig.kafka.committed("g", "t", 0), Some(2));
}

#[test]
fn rule_8_10_a_commit_that_meets_a_rebalance_joins_and_one_of_another_generation_has_lost() {
    for (code, loses) in [
        (Code::REBALANCE_IN_PROGRESS, false),
        (Code::ILLEGAL_GENERATION, true),
        (Code::UNKNOWN_MEMBER_ID, true),
    ] {
        let rig = Rig::new(1);
        let mut app = assigned(&rig, &[COOPERATIVE, ("heartbeat.interval.ms", "5000")]);
        let generation = app.generation();
        rig.fail(COMMIT, code);
        assert_code(rig.commit(&*app.member.offsets, 1), code);
        app.until("a new generation", |app| app.generation() > generation && app.reads.len() == 4);
        assert_eq!(lost(&app), loses, "{code:?}");
    }
}

#[test]
fn rule_8_17_what_was_lost_is_not_committed_by_what_comes_after() {
    let rig = Rig::new(1);
    let mut app = assigned(&rig, &[]);
    let loads = rig.kafka.inject(error(JOIN, Code::COORDINATOR_LOAD_IN_PROGRESS).always());
    rig.fail(BEAT, Code::UNKNOWN_MEMBER_ID);
    app.until("lost", lost);
    // While it joins: not as the next generation either, and without waiting for that.
    assert_code(rig.commit(&*app.member.offsets, 3), Code::UNKNOWN_MEMBER_ID);
    rig.kafka.withdraw(loads);
    app.until("back", |app| app.reads.len() == 4);
    assert_eq!(rig.kafka.committed("g", "t", 0), None);
    let mut b = self::app(&rig, &[]);
    app.is_slow = true;
    app.until("revoked", |app| app.reads.is_empty());
    app.is_slow = false;
    rig.commit(&*app.member.offsets, 4).expect("inside the revocation");
    until("shared", &mut [&mut app, &mut b], |apps| share(apps, 4) && !apps[1].reads.is_empty());
}

#[test]
fn rule_8_17_a_late_commit_does_not_rewind_who_reads_on() {
    for assignor in [RANGE, COOPERATIVE] {
        let rig = Rig::new(1);
        let (mut a, mut b) = (app(&rig, &[assignor]), app(&rig, &[assignor]));
        let all = |apps: &[&mut App]| share(apps, 4) && apps.iter().all(|app| app.reads.len() == 2);
        until("shared", &mut [&mut a, &mut b], all);
        let had: Vec<i64> = (0..4).filter(|n| a.reads.contains(&format!("t{n}"))).collect();
        let commit = |app: &App, partition: i64, offset: i64| {
            let commit =
                app.member.offsets.commit(vec![(place(partition), at(offset))], false, soon());
            rig.run(commit).remove(0)
        };
        let late = |app: &App| {
            for &partition in had.iter().filter(|n| !app.reads.contains(&format!("t{n}"))) {
                assert_code(commit(app, partition, 3), Code::UNKNOWN_MEMBER_ID);
                assert_eq!(rig.kafka.committed("g", "t", partition as i32), Some(9));
            }
        };
        // It works for too long, and its messages are in its hands still.
        a.member.membership.step_out();
        until("read on", &mut [&mut a, &mut b], |apps| apps[0].reads.is_empty() && share(apps, 4));
        (0..4).for_each(|partition| commit(&b, partition, 9).expect("its own"));
        late(&a);
        b.is_slow = true;
        let joins = rig.kafka.requests(JOIN);
        a.member.membership.step_in();
        rig.kafka.wait_requests(JOIN, joins + 1, soon()).expect("it joins");
        late(&a);
        b.is_slow = false;
        until("shared again", &mut [&mut a, &mut b], all);
        late(&a);
        for partition in (0..4).filter(|n| a.reads.contains(&format!("t{n}"))) {
            commit(&a, partition, 10).expect("what it holds again");
        }
    }
}

#[test]
fn rule_8_20_a_leader_without_metadata_gives_nobody_an_empty_plan() {
    let rig = Rig::new(1);
    let failing =
        rig.kafka.inject(Fault::new(FaultKind::DisconnectBefore).api(ApiKey::Metadata).times(3));
    let mut app = app(&rig, &[("request.timeout.ms", "600")]);
    app.until("assigned", |app| app.reads.len() == 4);
    assert!(rig.kafka.injected(failing) > 0);
    assert!(!app.has_heard(&Heard::Assigned(Vec::new())), "{:?}", app.heard);
}

#[test]
fn rule_8_25_leaving_never_hangs_when_the_coordinator_is_silent() {
    let rig = Rig::new(1);
    let app = assigned(&rig, &[("request.timeout.ms", "600")]);
    rig.kafka.inject(Fault::new(FaultKind::Silence).api(ApiKey::LeaveGroup).always());
    app.leave();
}

#[test]
fn rule_8_25_leaving_in_the_middle_of_a_join_leaves_at_once() {
    let rig = Rig::new(1);
    let mut a = assigned(&rig, &[]);
    a.is_slow = true;
    let mut b = app(&rig, &[]);
    a.until("a rebalance", |app| app.reads.is_empty());
    rig.until("both are known", || rig.kafka.group_members("g").len() == 2);
    b.poll();
    let began = Instant::now();
    b.leave();
    assert!(began.elapsed() < Duration::from_secs(5), "its join waits for the other one");
    assert_eq!(rig.kafka.group_members("g").len(), 1);
}

#[test]
fn rule_1_14_a_coordinator_that_hangs_is_left_for_the_one_that_took_over() {
    let rig = Rig::new(3);
    rig.kafka.move_coordinator("g", 0).expect("moved");
    let quick = [("request.timeout.ms", "500"), ("fetch.max.wait.ms", "100")];
    let mut app = assigned(&rig, &quick);
    // Its process is stopped: connections stay open, and nothing is answered on any of them.
    rig.kafka.inject(Fault::new(FaultKind::Silence).broker(0).always());
    rig.kafka.move_coordinator("g", 1).expect("moved");
    let beats = || {
        let seen = rig.kafka.history().into_iter();
        seen.filter(|seen| seen.broker == 1 && seen.api == i16::from(BEAT)).count()
    };
    app.until("heartbeats at the other one", |app| beats() > 3 || lost(app));
    assert!(!lost(&app) && app.reads.len() == 4, "{:?}", app.heard);
    rig.commit(&*app.member.offsets, 3).expect("committed at the other one");
}

#[test]
fn rule_1_14_brokers_that_hang_do_not_hold_up_the_first_search_for_a_coordinator() {
    let rig = Rig::new(3);
    rig.kafka.move_coordinator("g", 2).expect("moved");
    for broker in [0, 1] {
        let silent = Fault::new(FaultKind::Silence).api(ApiKey::FindCoordinator).broker(broker);
        rig.kafka.inject(silent.always());
    }
    let began = Instant::now();
    rig.commit(&*rig.alone(), 3).expect("committed");
    assert!(began.elapsed() < Duration::from_secs(15), "as long as a request may take");
    assert_eq!(rig.kafka.committed("g", "t", 0), Some(3));
}

#[test]
fn a_dropped_membership_says_nothing_more() {
    let rig = Rig::new(1);
    let app = assigned(&rig, &[]);
    drop(app);
    let beats = rig.kafka.requests(BEAT);
    rig.until("its connections close", || rig.kafka.connections(None) <= 2);
    assert!(rig.kafka.requests(BEAT) <= beats + 1);
    assert_eq!(rig.kafka.group_members("g").len(), 1, "it did not leave");
}

#[test]
fn after_the_end_of_the_cluster_a_membership_stops() {
    let rig = Rig::new(1);
    let mut app = assigned(&rig, &[]);
    rig.cluster.close(Some(soon())).expect("closed");
    app.until("told", |app| app.has_heard(&Heard::Failed(Code::CLOSED)));
    app.leave();
}
