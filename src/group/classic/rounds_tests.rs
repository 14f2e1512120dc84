//! The machine of a classic member, rule by rule: rebalances, losses, leaving.

use std::time::Duration;

use super::super::acts::Told;
use super::tests::{Bench, HEARTBEAT, SESSION, place, rules, t, wish};
use super::*;

#[test]
fn rule_8_9_commits_are_shut_out_before_the_join_and_let_in_with_the_assignment() {
    let mut bench = Bench::stable(true, &[0]);
    bench.beaten(Code::REBALANCE_IN_PROGRESS);
    assert_eq!(bench.did(), ["shut", "join \"m\" owning t0"]);
    bench.joined(2, false);
    bench.synced(t(&[0]));
    assert_eq!(bench.did(), ["introduce 2", "sync 2", "hold  in 2", "watch false"]);
}

#[test]
fn rule_8_12_an_eager_member_gives_all_up_before_it_joins_a_cooperative_one_what_it_does_not_want()
{
    let mut eager = Bench::stable(false, &[0, 1]);
    eager.machine.rejoin("a test", eager.now);
    assert_eq!(eager.did(), ["revoke t0 t1"]);
    eager.told();
    assert_eq!(eager.did(), ["give up t0 t1", "shut", "join \"m\" owning "]);

    let mut cooperative = Bench::stable(true, &[0, 1]);
    cooperative.machine.rejoin("a test", cooperative.now);
    assert_eq!(cooperative.did(), ["shut", "join \"m\" owning t0 t1"]);
    cooperative.round(2, &[0, 1]);
    cooperative.subscribe(&["u"]);
    assert_eq!(cooperative.did(), ["revoke t0 t1"]);
    cooperative.told();
    assert_eq!(cooperative.did(), ["give up t0 t1", "shut", "join \"m\" owning "]);
}

/// A cooperative member that has subscribed to another topic while its join was out.
fn changes_its_mind() -> Bench {
    let mut bench = Bench::stable(true, &[0]);
    bench.beaten(Code::REBALANCE_IN_PROGRESS);
    bench.subscribe(&["u"]);
    assert_eq!(bench.did(), ["shut", "join \"m\" owning t0"]);
    bench
}

#[test]
fn rule_8_11_a_round_that_came_to_nothing_lets_commits_go_before_a_topic_is_given_up() {
    type Answer = fn(&mut Bench);
    let answers: [Answer; 4] = [
        |bench| {
            bench.joined(2, false);
            bench.synced(t(&[0]));
        },
        |bench| {
            bench.joined(2, false);
            bench.sync_refused(Code::REBALANCE_IN_PROGRESS);
        },
        |bench| bench.join_refused(Code::NOT_COORDINATOR),
        |bench| {
            bench.joined(2, true);
            let failed = Err(Error::bare(Code::TIMED_OUT));
            bench.machine.led(bench.attempt(), failed, bench.now);
        },
    ];
    for answer in answers {
        let mut bench = changes_its_mind();
        answer(&mut bench);
        bench.after(Duration::from_secs(1));
        let did = bench.did();
        let at = |what: &str| did.iter().position(|act| act == what);
        assert!(at("reopen").is_some() && at("reopen") < at("revoke t0"), "{did:?}");
        bench.told();
        assert_eq!(bench.did(), ["give up t0", "shut", "join \"m\" owning "]);
    }
}

#[test]
fn rule_8_13_what_a_cooperative_member_loses_is_revoked_first_and_it_joins_again() {
    let mut bench = Bench::stable(true, &[0, 1]);
    bench.beaten(Code::REBALANCE_IN_PROGRESS);
    bench.joined(2, false);
    bench.did();
    bench.synced(t(&[1, 2]));
    assert_eq!(bench.did(), ["hold t2 in 2", "watch false", "revoke t0"]);
    assert_eq!(bench.machine.stage(), Stage::Waiting);
    bench.told();
    assert_eq!(
        bench.did(),
        ["give up t0", "assign t2", "shut", "join \"m\" owning t1 t2"],
        "the application need not hear of the addition before the join"
    );
    // The next round ends before it has: told once.
    bench.joined(3, false);
    bench.did();
    bench.synced(t(&[1, 2]));
    assert_eq!(bench.did(), ["hold  in 3", "watch false"]);
    bench.told();
    assert!(bench.did().is_empty());
}

#[test]
fn rule_8_13_steps_come_one_after_the_other() {
    let mut bench = Bench::new(rules(true));
    bench.subscribe(&["t"]);
    bench.round(1, &[0, 1]);
    assert_eq!(bench.machine.steps, 1, "the assignment waits to be heard");
    bench.beaten(Code::REBALANCE_IN_PROGRESS);
    bench.round(2, &[1]);
    assert_eq!(bench.machine.stage(), Stage::Waiting);
    assert_eq!(bench.machine.steps, 1, "the revocation waits behind it, and the join for that");
    bench.told();
    assert_eq!(bench.did(), ["revoke t0"]);
    bench.told();
    assert_eq!(bench.did(), ["give up t0", "shut", "join \"m\" owning t1"]);
}

#[test]
fn what_the_leader_tells_besides_comes_with_an_assignment_also_with_one_of_nothing() {
    let mut bench = Bench::stable(true, &[0]);
    let hears = |bench: &mut Bench, generation, said: Option<&'static str>| {
        bench.beaten(Code::REBALANCE_IN_PROGRESS);
        bench.joined(generation, false);
        bench.did();
        let user_data = said.map(|said| Bytes::from_static(said.as_bytes()));
        let assigned = Assigned { places: t(&[0]), user_data };
        bench.machine.synced(bench.attempt(), Ok(assigned), bench.now);
        let did = bench.did();
        bench.told();
        did
    };
    let news = hears(&mut bench, 2, Some("a"));
    assert_eq!(news, ["inform Some(b\"a\")", "hold  in 2", "watch false", "assign "]);
    assert_eq!(hears(&mut bench, 3, Some("a")), ["hold  in 3", "watch false"], "no news");
    assert_eq!(hears(&mut bench, 4, None), ["inform None", "hold  in 4", "watch false", "assign "]);
}

#[test]
fn rule_8_17_a_generation_that_is_gone_is_a_loss_and_takes_what_was_not_told_with_it() {
    let mut bench = Bench::new(rules(true));
    bench.subscribe(&["t"]);
    bench.round(1, &[0, 1]);
    bench.beaten(Code::REBALANCE_IN_PROGRESS);
    bench.round(2, &[1, 2]);
    bench.beaten(Code::UNKNOWN_MEMBER_ID);
    let did = bench.did();
    assert_eq!(did[..3], ["dismiss shut", "watch false", "lost t0 t1 t2"]);
    assert_eq!(did.last().map(String::as_str), Some("join \"\" owning "));
    bench.round(3, &[2]);
    bench.told();
    assert_eq!(bench.did(), ["assign t2"], "not the revocation and the addition of before");
}

#[test]
fn rule_8_17_a_loss_while_the_application_gives_up_is_told_and_the_join_waits_for_it() {
    let mut bench = Bench::stable(false, &[0]);
    bench.beaten(Code::REBALANCE_IN_PROGRESS);
    assert_eq!(bench.did(), ["revoke t0"]);
    bench.committed(Code::ILLEGAL_GENERATION);
    assert_eq!(bench.did(), ["dismiss shut", "watch false", "lost t0"]);
    bench.told();
    assert_eq!(bench.did(), ["give up t0", "shut", "join \"m\" owning "]);
}

#[test]
fn rule_8_17_a_refused_sync_loses_what_a_cooperative_member_kept() {
    for (code, id) in [(Code::UNKNOWN_MEMBER_ID, ""), (Code::ILLEGAL_GENERATION, "m")] {
        let mut bench = Bench::stable(true, &[0]);
        bench.beaten(Code::REBALANCE_IN_PROGRESS);
        bench.joined(2, false);
        bench.did();
        bench.sync_refused(code);
        let did = bench.did();
        assert_eq!(did[..3], ["dismiss shut", "watch false", "lost t0"], "{code:?}");
        assert_eq!(did.last(), Some(&format!("join {id:?} owning ")));
    }
}

#[test]
fn a_sync_that_meets_the_next_rebalance_keeps_what_it_has() {
    let mut bench = Bench::stable(true, &[0]);
    bench.beaten(Code::REBALANCE_IN_PROGRESS);
    bench.joined(2, false);
    bench.did();
    bench.sync_refused(Code::REBALANCE_IN_PROGRESS);
    assert_eq!(bench.did(), ["shut", "join \"m\" owning t0"]);
}

#[test]
fn rule_8_18_a_static_member_stays_when_it_closes_and_keeps_its_id() {
    let mut bench = Bench::stable(false, &[0]);
    bench.machine.rules.is_static = true;
    bench.machine.leave();
    assert_eq!(bench.did(), ["dismiss open", "watch false"]);
    assert!(bench.machine.is_gone());
}

#[test]
fn rule_8_18_a_leader_that_keeps_the_assignment_compares_it_with_its_subscription() {
    for (mine_alone, again) in [(vec![], false), (vec![Arc::from("u")], true)] {
        let mut bench = Bench::new(rules(true));
        bench.subscribe(&["t", "u"]);
        let who = Who { member: Arc::from("m"), generation: 1 };
        let told = Told { id: "m".to_owned(), instance: None, metadata: Bytes::new() };
        let (members, protocol) = (vec![told], "range".to_owned());
        let joined = Joined { who, protocol, leads: true, skip: true, members, topics: None };
        bench.machine.joined(bench.attempt(), Ok(joined), bench.now);
        let led = Led { shares: Vec::new(), mine_alone };
        bench.machine.led(bench.attempt(), Ok(led), bench.now);
        bench.did();
        bench.synced(t(&[0]));
        let did = bench.did();
        assert!(did.contains(&"watch true".to_owned()), "it watches all the same");
        assert_eq!(did.iter().any(|act| act.starts_with("join")), again, "{did:?}");
    }
}

#[test]
fn rule_8_20_a_leader_that_cannot_assign_fails_the_round_and_backs_off() {
    let mut bench = Bench::new(rules(false));
    bench.subscribe(&["t"]);
    bench.joined(1, true);
    bench.did();
    bench.machine.led(bench.attempt(), Err(Error::bare(Code::TIMED_OUT)), bench.now);
    assert!(bench.did().is_empty(), "neither a plan nor a join at once");
    let due = bench.machine.next_due().expect("later");
    assert!(due > bench.now);
    bench.after(due - bench.now);
    assert_eq!(bench.did(), ["shut", "join \"m\" owning "]);
}

#[test]
fn rule_8_22_what_is_not_subscribed_is_not_taken() {
    let mut bench = Bench::new(rules(false));
    bench.subscribe(&["t"]);
    bench.joined(1, false);
    bench.did();
    bench.synced(vec![place("t", 0), place("u", 0)]);
    assert!(bench.did().is_empty());
    assert_eq!(bench.machine.stage(), Stage::Waiting);
    bench.after(Duration::from_secs(1));
    assert_eq!(bench.did(), ["shut", "join \"m\" owning "]);
}

#[test]
fn rule_8_22_a_topic_that_a_pattern_means_is_taken_before_it_was_seen() {
    let mut bench = Bench::new(rules(false));
    bench.machine.subscribe(Some(wish(&[], &["t.*"])), bench.now);
    bench.joined(1, false);
    bench.did();
    bench.synced(vec![place("t-new", 0)]);
    assert!(bench.did().contains(&"assign t-new0".to_owned()));
    bench.told();
    bench.machine.resolved(vec![Arc::from("t-new")], bench.now);
    assert_eq!(bench.did(), ["revoke t-new0"], "topics that match are joined with");
}

#[test]
fn rule_8_22_what_was_looked_up_for_a_join_needs_no_other_join() {
    let mut bench = Bench::new(rules(true));
    bench.machine.subscribe(Some(wish(&[], &["t.*"])), bench.now);
    let who = Who { member: Arc::from("m"), generation: 1 };
    let topics = Some(vec![Arc::from("t1")]);
    let protocol = "range".to_owned();
    let joined = Joined { who, protocol, leads: false, skip: false, members: Vec::new(), topics };
    bench.machine.joined(bench.attempt(), Ok(joined), bench.now);
    bench.synced(vec![place("t1", 0)]);
    bench.machine.resolved(vec![Arc::from("t1")], bench.now);
    assert_eq!(bench.machine.stage(), Stage::Stable);
}

#[test]
fn rule_8_24_a_member_whose_application_does_not_poll_leaves_and_comes_back_with_it() {
    let mut bench = Bench::stable(false, &[0]);
    bench.machine.step_out();
    let out = bench.did();
    assert_eq!(out[..3], ["dismiss shut", "watch false", "lost t0"]);
    assert!(out.contains(&"leave \"m\"".to_owned()));
    bench.after(SESSION);
    bench.subscribe(&["t", "u"]);
    assert!(bench.did().is_empty(), "it stays out");
    bench.machine.step_in(bench.now);
    assert_eq!(bench.did(), ["shut", "join \"\" owning "]);
}

#[test]
fn rule_8_25_leaving_abandons_what_is_out_and_says_so_to_the_coordinator() {
    let leave = |mut bench: Bench| {
        bench.did();
        bench.machine.leave();
        assert!(bench.machine.is_gone());
        bench.did()
    };
    let stable = leave(Bench::stable(false, &[0]));
    assert_eq!(stable, ["leave \"m\"", "dismiss open", "watch false"], "no more steps");
    let mut joining = Bench::stable(true, &[0]);
    joining.beaten(Code::REBALANCE_IN_PROGRESS);
    let mut syncing = Bench::stable(true, &[0]);
    syncing.beaten(Code::REBALANCE_IN_PROGRESS);
    syncing.joined(2, false);
    for bench in [joining, syncing] {
        assert_eq!(leave(bench), ["abandon", "leave \"m\"", "dismiss open", "watch false"]);
    }
    assert!(leave(Bench::new(rules(false))).is_empty(), "it never joined");
    let mut late = Bench::stable(true, &[0]);
    late.machine.leave();
    late.did();
    late.subscribe(&["t"]);
    late.after(HEARTBEAT);
    assert!(late.did().is_empty(), "for good");
}

#[test]
fn rule_8_25_unsubscribing_gives_all_up_first_also_a_cooperative_member() {
    for cooperative in [false, true] {
        let mut bench = Bench::stable(cooperative, &[0]);
        bench.machine.subscribe(None, bench.now);
        assert_eq!(bench.did(), ["revoke t0"]);
        bench.told();
        let left = ["give up t0", "leave \"m\"", "dismiss open", "watch false"];
        assert_eq!(bench.did(), left);
        bench.subscribe(&["t"]);
        assert_eq!(bench.did(), ["shut", "join \"\" owning "], "ready to join again");
    }
}

#[test]
fn unsubscribing_in_the_middle_of_a_join_leaves_with_the_id_that_comes() {
    let mut bench = Bench::new(rules(false));
    bench.subscribe(&["t"]);
    bench.did();
    bench.machine.subscribe(None, bench.now);
    assert!(bench.did().is_empty(), "nobody who could leave");
    bench.joined(1, false);
    assert_eq!(bench.did(), ["introduce 1", "leave \"m\"", "dismiss open", "watch false"]);
}

#[test]
fn rule_8_26_a_refused_join_is_told_once_and_not_repeated() {
    for code in [
        Code::INCONSISTENT_GROUP_PROTOCOL,
        Code::INVALID_SESSION_TIMEOUT,
        Code::INVALID_GROUP_ID,
        Code::GROUP_AUTHORIZATION_FAILED,
        Code::GROUP_MAX_SIZE_REACHED,
    ] {
        let mut bench = Bench::new(rules(false));
        bench.subscribe(&["t"]);
        bench.join_refused(code);
        let told = format!("failed {}", code.name());
        assert_eq!(bench.did().iter().filter(|act| **act == told).count(), 1);
        bench.after(SESSION);
        assert!(bench.did().is_empty(), "{code:?}");
    }
}

#[test]
fn rule_13_5_joins_that_fail_come_back_ever_later() {
    let mut bench = Bench::new(rules(false));
    bench.subscribe(&["t"]);
    let mut pauses = Vec::new();
    for _ in 0..6 {
        bench.did();
        bench.join_refused(Code::COORDINATOR_LOAD_IN_PROGRESS);
        let due = bench.machine.next_due().expect("again");
        pauses.push(due - bench.now);
        bench.after(due - bench.now);
        assert!(bench.did().iter().any(|act| act.starts_with("join")));
    }
    assert!(pauses[0] < Duration::from_millis(130) && pauses[5] > Duration::from_millis(790));
}

#[test]
fn an_application_that_never_hears_keeps_nobody_from_leaving() {
    let mut bench = Bench::new(rules(false));
    bench.subscribe(&["t"]);
    bench.round(1, &[0]);
    bench.beaten(Code::REBALANCE_IN_PROGRESS);
    assert!(bench.did().is_empty(), "the assignment was not heard of: the revocation waits");
    bench.machine.leave();
    assert_eq!(bench.did(), ["leave \"m\"", "dismiss open", "watch false"]);
}

#[test]
fn rule_8_17_who_stepped_out_commits_as_nobody_but_not_what_it_lost_until_it_unsubscribes() {
    let mut bench = Bench::stable(false, &[0]);
    bench.machine.step_out();
    assert_eq!(
        bench.did(),
        ["dismiss shut", "watch false", "lost t0", "leave \"m\"", "reopen", "watch false"]
    );
    bench.machine.subscribe(None, bench.now);
    assert_eq!(bench.did(), ["dismiss open"]);
}
