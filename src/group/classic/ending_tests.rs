//! How the machine of a classic member ends: the last commit in the middle of a rebalance.

use std::time::Duration;

use super::tests::{Bench, SESSION, refused, rules, t};
use super::*;

/// Longer than a last commit waits for a round.
const TOO_LONG: Duration = Duration::from_secs(2);

/// A cooperative member of generation 1 that has these, and joins again.
fn rejoining(partitions: &[i64]) -> Bench {
    let mut bench = Bench::stable(true, partitions);
    bench.beaten(Code::REBALANCE_IN_PROGRESS);
    bench.machine.take();
    assert_eq!(bench.machine.stage(), Stage::Joining);
    bench
}

fn finish(bench: &mut Bench) -> Vec<String> {
    bench.machine.finish(bench.now);
    bench.did()
}

fn leave(bench: &mut Bench) -> Vec<String> {
    bench.machine.leave();
    assert!(bench.machine.is_gone());
    bench.did()
}

#[test]
fn rule_8_25_a_last_commit_goes_as_the_generation_that_was_while_others_are_waited_for() {
    let mut bench = rejoining(&[0]);
    assert_eq!(finish(&mut bench), ["reopen"]);
    assert_eq!(
        leave(&mut bench),
        ["abandon", "leave \"m\"", "dismiss open", "watch false"],
        "the join is abandoned only now"
    );
}

#[test]
fn rule_8_25_a_stable_member_that_finishes_does_not_join_again_and_gives_nothing_up() {
    for cooperative in [true, false] {
        let mut bench = Bench::stable(cooperative, &[0]);
        assert!(finish(&mut bench).is_empty());
        bench.beaten(Code::REBALANCE_IN_PROGRESS);
        bench.committed(Code::REBALANCE_IN_PROGRESS);
        assert!(!bench.did().iter().any(|act| act != "reopen"), "neither revokes nor joins");
        assert_eq!(leave(&mut bench), ["leave \"m\"", "dismiss open", "watch false"]);
    }
}

#[test]
fn rule_8_25_a_join_that_is_answered_meanwhile_lets_the_commit_wait_for_the_round() {
    let mut bench = rejoining(&[0, 1]);
    finish(&mut bench);
    bench.joined(2, false);
    assert_eq!(bench.did(), ["shut", "introduce 2", "sync 2"]);
    bench.synced(t(&[0, 2]));
    assert_eq!(
        bench.did(),
        ["hold t2 in 2", "watch false"],
        "nothing is given up before it is committed, and nobody reads any more"
    );
}

#[test]
fn rule_8_25_a_round_that_is_not_completed_in_time_is_not_waited_for() {
    for leads in [true, false] {
        let mut bench = rejoining(&[0]);
        bench.joined(2, leads);
        bench.did();
        assert!(finish(&mut bench).is_empty(), "a sound one is soon over");
        let due = bench.machine.next_due().expect("it is looked at again");
        assert!(due <= bench.now + TOO_LONG);
        bench.after(TOO_LONG);
        assert_eq!(bench.did(), ["reopen"]);
        assert!(bench.machine.next_due().is_none_or(|due| due > bench.now), "once");
        let left = leave(&mut bench);
        assert_eq!(left, ["abandon", "leave \"m\"", "dismiss open", "watch false"]);
    }
}

#[test]
fn rule_8_25_a_join_that_is_answered_too_late_does_not_shut_the_gate_again() {
    let mut bench = rejoining(&[0]);
    finish(&mut bench);
    bench.after(TOO_LONG);
    bench.did();
    bench.joined(2, false);
    assert_eq!(bench.did(), ["introduce 2", "sync 2"]);
}

#[test]
fn rule_8_25_a_join_or_sync_that_fails_meanwhile_is_not_repeated() {
    let code = Code::COORDINATOR_NOT_AVAILABLE;
    let mut bench = rejoining(&[0]);
    finish(&mut bench);
    bench.join_refused(code);
    assert_eq!(bench.did(), ["reopen"]);
    let mut bench = rejoining(&[0]);
    bench.join_refused(code);
    assert_eq!(finish(&mut bench), ["reopen"], "nor one that failed before");
    bench.after(Duration::from_secs(1));
    assert!(!bench.did().iter().any(|act| act.starts_with("join")));
    let mut bench = rejoining(&[0]);
    bench.joined(2, false);
    finish(&mut bench);
    bench.did();
    bench.sync_refused(code);
    assert_eq!(bench.did(), ["reopen"]);
}

#[test]
fn rule_8_25_a_member_that_is_none_any_more_keeps_no_last_commit_waiting() {
    for code in [Code::UNKNOWN_MEMBER_ID, Code::ILLEGAL_GENERATION] {
        let mut bench = rejoining(&[0]);
        finish(&mut bench);
        bench.join_refused(code);
        assert_eq!(bench.did(), ["dismiss shut", "watch false", "lost t0", "reopen"]);
    }
    let mut bench = Bench::stable(true, &[0]);
    finish(&mut bench);
    bench.after(SESSION);
    assert_eq!(bench.did().last().map(String::as_str), Some("reopen"));
}

#[test]
fn rule_8_25_a_static_member_finishes_too_and_stays() {
    let mut bench = Bench::new(Rules { is_static: true, ..rules(true) });
    bench.subscribe(&["t"]);
    bench.round(1, &[0]);
    bench.told();
    bench.beaten(Code::REBALANCE_IN_PROGRESS);
    bench.did();
    assert_eq!(finish(&mut bench), ["reopen"]);
    assert_eq!(leave(&mut bench), ["abandon", "dismiss open", "watch false"]);
}

#[test]
fn rule_8_25_the_next_subscription_joins_again() {
    let mut bench = rejoining(&[0]);
    finish(&mut bench);
    bench.machine.subscribe(None, bench.now);
    assert_eq!(bench.did(), ["abandon", "revoke t0"]);
    bench.told();
    let left = ["give up t0", "leave \"m\"", "dismiss open", "watch false"];
    assert_eq!(bench.did(), left);
    bench.subscribe(&["t"]);
    assert_eq!(bench.did(), ["shut", "join \"\" owning "]);
    let error = refused(Code::COORDINATOR_NOT_AVAILABLE);
    bench.machine.joined(bench.attempt(), Err(error), bench.now);
    bench.after(Duration::from_secs(1));
    assert_eq!(bench.did(), ["shut", "join \"\" owning "], "as often as it takes");
}
