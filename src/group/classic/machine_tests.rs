//! The machine of a classic member, rule by rule: answers, heartbeats, sessions.

use std::time::Duration;

use super::super::acts::Told;
use super::*;
use crate::group::{Subscribed, Subscription};
use crate::net::Backoff;

pub(super) const SESSION: Duration = Duration::from_secs(45);
pub(super) const HEARTBEAT: Duration = Duration::from_secs(3);

/// A machine and a clock that the test moves.
pub(super) struct Bench {
    pub(super) machine: Machine,
    pub(super) now: Instant,
}

pub(super) fn rules(cooperative: bool) -> Rules {
    let backoff = Backoff { first: Duration::from_millis(100), most: Duration::from_secs(1) };
    Rules { session: SESSION, heartbeat: HEARTBEAT, backoff, cooperative, is_static: false }
}

pub(super) fn wish(topics: &[&str], patterns: &[&str]) -> Wish {
    let list = |texts: &[&str]| texts.iter().map(|text| Arc::from(*text)).collect();
    let asked = Subscription { topics: list(topics), patterns: list(patterns), except: Vec::new() };
    let subscribed = Subscribed::new(&asked, true).expect("read");
    Wish { topics: list(topics), subscribed }
}

pub(super) fn place(topic: &str, partition: i64) -> TopicPartition {
    TopicPartition { topic: Arc::from(topic), partition }
}

pub(super) fn t(partitions: &[i64]) -> Vec<TopicPartition> {
    partitions.iter().map(|partition| place("t", *partition)).collect()
}

pub(super) fn refused(code: Code) -> Trouble {
    Trouble { error: Error::bare(code), member: None }
}

/// The acts in short.
pub(super) fn short(acts: &[Act]) -> Vec<String> {
    let list = |places: &[TopicPartition]| {
        let places = places.iter().map(|place| format!("{}{}", place.topic, place.partition));
        places.collect::<Vec<_>>().join(" ")
    };
    let one = |act: &Act| match act {
        Act::Join(join) => format!("join {:?} owning {}", join.member, list(&join.owned)),
        Act::Lead(_) => "lead".to_owned(),
        Act::Sync(sync) => format!("sync {}", sync.who.generation),
        Act::Beat(who) => format!("beat {}", who.generation),
        Act::Leave(member, _) => format!("leave {member:?}"),
        Act::Abandon => "abandon".to_owned(),
        Act::Elsewhere => "elsewhere".to_owned(),
        Act::Shut => "shut".to_owned(),
        Act::Reopen => "reopen".to_owned(),
        Act::Introduce(who) => format!("introduce {}", who.generation),
        Act::Hold(places, who) => format!("hold {} in {}", list(places), who.generation),
        Act::Inform(data) => format!("inform {data:?}"),
        Act::GiveUp(places) => format!("give up {}", list(places)),
        Act::Dismiss { shut } => format!("dismiss {}", if *shut { "shut" } else { "open" }),
        Act::Assign(places, _) => format!("assign {}", list(places)),
        Act::Revoke(places, _) => format!("revoke {}", list(places)),
        Act::Lost(places) => format!("lost {}", list(places)),
        Act::Failed(error) => format!("failed {}", error.code().name()),
        Act::Watch(on) => format!("watch {on}"),
    };
    acts.iter().map(one).collect()
}

impl Bench {
    pub(super) fn new(rules: Rules) -> Self {
        let now = Instant::now();
        Self { machine: Machine::new(rules, now), now }
    }

    pub(super) fn did(&mut self) -> Vec<String> {
        short(&self.machine.take())
    }

    pub(super) fn subscribe(&mut self, topics: &[&str]) {
        self.machine.subscribe(Some(wish(topics, &[])), self.now);
    }

    pub(super) fn attempt(&self) -> u64 {
        self.machine.attempt
    }

    pub(super) fn joined(&mut self, generation: i32, leads: bool) {
        let who = Who { member: Arc::from("m"), generation };
        let told = Told { id: "m".to_owned(), instance: None, metadata: Bytes::new() };
        let joined = Joined {
            who,
            protocol: "range".to_owned(),
            leads,
            skip: false,
            members: if leads { vec![told] } else { Vec::new() },
            topics: None,
        };
        self.machine.joined(self.attempt(), Ok(joined), self.now);
    }

    pub(super) fn join_refused(&mut self, code: Code) {
        self.machine.joined(self.attempt(), Err(refused(code)), self.now);
    }

    pub(super) fn synced(&mut self, partitions: Vec<TopicPartition>) {
        let assigned = Assigned { places: partitions, user_data: None };
        self.machine.synced(self.attempt(), Ok(assigned), self.now);
    }

    pub(super) fn sync_refused(&mut self, code: Code) {
        self.machine.synced(self.attempt(), Err(refused(code)), self.now);
    }

    /// The application has heard what it was told.
    pub(super) fn told(&mut self) {
        let step = self.machine.steps;
        self.machine.told(step, self.now);
    }

    /// A heartbeat's answer to the member of now.
    pub(super) fn beaten(&mut self, code: Code) {
        let who = self.machine.who.clone();
        self.machine.beaten(&who, code, self.now, self.now);
    }

    pub(super) fn committed(&mut self, code: Code) {
        let who = self.machine.who.clone();
        self.machine.committed(&who, code, self.now);
    }

    pub(super) fn after(&mut self, time: Duration) {
        self.now += time;
        self.machine.tick(self.now);
    }

    /// A round in which the member, a follower, gets these; the application hears of it.
    pub(super) fn round(&mut self, generation: i32, partitions: &[i64]) {
        assert_eq!(self.machine.stage(), Stage::Joining);
        self.joined(generation, false);
        self.synced(t(partitions));
        self.machine.take();
    }

    /// A member of generation 1 that has these, and told the application.
    pub(super) fn stable(cooperative: bool, partitions: &[i64]) -> Self {
        let mut bench = Self::new(rules(cooperative));
        bench.subscribe(&["t"]);
        bench.round(1, partitions);
        bench.told();
        assert_eq!(bench.machine.stage(), Stage::Stable);
        bench.machine.take();
        bench
    }
}

#[test]
fn a_follower_joins_syncs_and_tells_what_it_has() {
    let mut bench = Bench::new(rules(false));
    bench.subscribe(&["t"]);
    assert_eq!(bench.did(), ["shut", "join \"\" owning "]);
    bench.joined(1, false);
    assert_eq!(bench.did(), ["introduce 1", "sync 1"]);
    bench.synced(t(&[0, 1]));
    assert_eq!(bench.did(), ["hold t0 t1 in 1", "watch false", "assign t0 t1"]);
}

#[test]
fn a_leader_assigns_before_it_syncs() {
    let mut bench = Bench::new(rules(false));
    bench.subscribe(&["t"]);
    bench.did();
    bench.joined(1, true);
    assert_eq!(bench.did(), ["introduce 1", "lead"]);
    let led = Led { shares: vec![("m".to_owned(), Bytes::new())], mine_alone: Vec::new() };
    bench.machine.led(bench.attempt(), Ok(led), bench.now);
    assert_eq!(bench.did(), ["sync 1"]);
    bench.synced(t(&[0]));
    assert_eq!(bench.did(), ["hold t0 in 1", "watch true", "assign t0"]);
}

#[test]
fn rule_8_1_a_change_of_the_subscription_waits_for_the_answer_of_a_join() {
    let mut bench = Bench::new(rules(false));
    bench.subscribe(&["t"]);
    bench.did();
    bench.subscribe(&["t", "u"]);
    assert!(bench.did().is_empty(), "one join is out");
    bench.joined(1, false);
    assert_eq!(bench.did(), ["introduce 1", "sync 1"]);
    bench.subscribe(&["u"]);
    assert!(bench.did().is_empty(), "one sync is out");
    bench.synced(vec![place("u", 0)]);
    let acts = bench.did();
    assert_eq!(acts.last().map(String::as_str), Some("assign u0"));
    bench.told();
    assert_eq!(bench.did(), ["revoke u0"], "then it rejoins, and is eager");
    bench.told();
    assert_eq!(bench.did(), ["give up u0", "shut", "join \"m\" owning "]);
}

#[test]
fn rule_8_2_an_answer_of_another_generation_or_attempt_counts_for_nothing() {
    let mut bench = Bench::stable(false, &[0]);
    let old = Who { member: Arc::from("m"), generation: 0 };
    let other = Who { member: Arc::from("n"), generation: 1 };
    for who in [old, other] {
        for code in [Code::UNKNOWN_MEMBER_ID, Code::ILLEGAL_GENERATION, Code::FENCED_INSTANCE_ID] {
            bench.machine.beaten(&who, code, bench.now, bench.now);
            bench.machine.committed(&who, code, bench.now);
        }
    }
    bench.join_refused(Code::UNKNOWN_MEMBER_ID);
    bench.sync_refused(Code::FENCED_INSTANCE_ID);
    assert!(bench.did().is_empty() && bench.machine.stage() == Stage::Stable);
}

#[test]
fn rule_8_3_the_id_that_comes_is_used_at_once_for_the_join_and_for_leaving() {
    for leaves in [false, true] {
        let mut bench = Bench::new(rules(false));
        bench.subscribe(&["t"]);
        bench.join_refused(Code::COORDINATOR_LOAD_IN_PROGRESS);
        bench.after(Duration::from_secs(1));
        bench.did();
        if leaves {
            bench.machine.leave();
            assert!(!bench.machine.is_gone(), "without an id nobody can leave");
        }
        let error = Error::bare(Code::MEMBER_ID_REQUIRED);
        let trouble = Trouble { error, member: Some(Arc::from("m-1")) };
        bench.machine.joined(bench.attempt(), Err(trouble), bench.now);
        match leaves {
            false => assert_eq!(bench.did(), ["shut", "join \"m-1\" owning "]),
            true => assert_eq!(bench.did(), ["leave \"m-1\"", "dismiss open", "watch false"]),
        }
    }
}

#[test]
fn rule_8_4_an_unknown_member_forgets_its_id_and_an_illegal_generation_does_not() {
    let codes = [(Code::UNKNOWN_MEMBER_ID, "\"\""), (Code::ILLEGAL_GENERATION, "\"m\"")];
    for (code, id) in codes {
        let mut bench = Bench::stable(false, &[0]);
        bench.beaten(code);
        let join = format!("join {id} owning ");
        let lost = ["dismiss shut", "watch false", "lost t0", "shut", join.as_str()];
        assert_eq!(bench.did(), lost);
    }
}

#[test]
fn rule_8_4_a_fenced_instance_is_out_for_good_and_does_not_leave() {
    let mut bench = Bench::stable(false, &[0]);
    bench.beaten(Code::FENCED_INSTANCE_ID);
    let did = bench.did();
    assert!(did.contains(&"lost t0".to_owned()));
    assert_eq!(did.last().map(String::as_str), Some("failed FENCED_INSTANCE_ID"));
    assert!(!did.iter().any(|act| act.starts_with("leave") || act.starts_with("join")));
    bench.after(SESSION * 2);
    assert!(bench.did().is_empty());
    bench.subscribe(&["t"]);
    assert_eq!(bench.did(), ["shut", "join \"\" owning "], "until the next subscription");
}

#[test]
fn rule_8_6_heartbeats_begin_with_the_joins_answer_and_run_through_sync_and_callbacks() {
    let mut bench = Bench::new(rules(false));
    bench.subscribe(&["t"]);
    bench.did();
    bench.after(HEARTBEAT);
    assert!(bench.did().is_empty(), "nobody yet");
    bench.joined(1, false);
    bench.did();
    bench.after(HEARTBEAT);
    assert_eq!(bench.did(), ["beat 1"], "while the sync is out");
    bench.after(HEARTBEAT);
    assert!(bench.did().is_empty(), "one at a time");
    bench.beaten(Code::REBALANCE_IN_PROGRESS);
    assert_eq!(bench.machine.stage(), Stage::Syncing, "27 counts as alive, and changes nothing");
    bench.synced(t(&[0]));
    bench.did();
    bench.after(HEARTBEAT);
    assert_eq!(bench.did(), ["beat 1"], "the application has not heard of the assignment yet");
    bench.told();
    bench.beaten(Code::REBALANCE_IN_PROGRESS);
    assert_eq!(bench.did(), ["revoke t0"]);
    bench.after(HEARTBEAT);
    assert_eq!(bench.did(), ["beat 1"], "and while it hears of the revocation");
    bench.beaten(Code::REBALANCE_IN_PROGRESS);
    bench.told();
    assert_eq!(bench.did(), ["give up t0", "shut", "join \"m\" owning "]);
}

#[test]
fn rule_8_7_a_session_without_an_answer_ends_here_too() {
    let mut bench = Bench::stable(false, &[0]);
    bench.after(HEARTBEAT);
    assert_eq!(bench.did(), ["beat 1"]);
    for _ in 0..20 {
        // The coordinator is away, or silent: each answers in its way.
        bench.beaten(Code::NOT_COORDINATOR);
        bench.after(Duration::from_secs(1));
        bench.did();
    }
    assert_eq!(bench.machine.stage(), Stage::Stable, "it reads on for as long as it may");
    bench.after(SESSION);
    let did = bench.did();
    let lost = ["elsewhere", "dismiss shut", "watch false", "lost t0", "shut"];
    assert_eq!(did[..5], lost);
    assert!(did.contains(&"join \"m\" owning ".to_owned()), "the coordinator may still know it");
}

#[test]
fn rule_8_7_the_session_counts_from_when_the_heartbeat_was_sent() {
    let mut bench = Bench::stable(false, &[0]);
    bench.after(HEARTBEAT);
    let sent = bench.now;
    bench.now += SESSION - Duration::from_secs(5);
    let who = bench.machine.who.clone();
    bench.machine.beaten(&who, Code::NONE, sent, bench.now);
    assert_eq!(bench.machine.next_due(), Some(bench.now + HEARTBEAT));
    assert_eq!(bench.machine.sure_until(), Some(sent + SESSION));
    bench.after(Duration::from_secs(5));
    assert!(bench.did().contains(&"lost t0".to_owned()));
}

#[test]
fn rule_8_7_answers_that_waited_to_be_read_for_a_whole_session_prove_nothing() {
    // The process was stopped; the answer lay in its socket.
    let mut bench = Bench::new(rules(false));
    bench.subscribe(&["t"]);
    bench.joined(1, false);
    let joined = bench.now;
    bench.now += SESSION;
    bench.synced(t(&[0]));
    assert_eq!(bench.machine.sure_until(), Some(joined + SESSION));
    bench.did();
    bench.after(Duration::ZERO);
    assert!(bench.did().contains(&"lost t0".to_owned()));

    let mut bench = Bench::stable(true, &[0]);
    let sure = bench.machine.sure_until();
    bench.machine.rejoin("a test", bench.now);
    bench.now += SESSION;
    bench.joined(2, false);
    assert_eq!(bench.machine.sure_until(), sure, "what it holds is another's by now");
}

#[test]
fn rule_8_7_a_cooperative_member_loses_what_it_keeps_also_while_a_join_is_out() {
    let mut bench = Bench::stable(true, &[0]);
    bench.beaten(Code::REBALANCE_IN_PROGRESS);
    assert_eq!(bench.did(), ["shut", "join \"m\" owning t0"]);
    bench.after(HEARTBEAT);
    assert_eq!(bench.did(), ["beat 1"], "it reads on, so it says so");
    bench.beaten(Code::ILLEGAL_GENERATION);
    bench.beaten(Code::UNKNOWN_MEMBER_ID);
    assert!(bench.did().is_empty(), "the join has an answer of its own");
    bench.after(SESSION);
    let did = bench.did();
    assert_eq!(did[..5], ["elsewhere", "abandon", "dismiss shut", "watch false", "lost t0"]);
    assert_eq!(did.last().map(String::as_str), Some("join \"m\" owning "));
}

#[test]
fn rule_8_6_a_heartbeat_that_was_lost_with_its_generation_does_not_silence_the_next() {
    let mut bench = Bench::stable(true, &[0]);
    bench.after(HEARTBEAT);
    assert_eq!(bench.did(), ["beat 1"]);
    let who = bench.machine.who.clone();
    bench.committed(Code::REBALANCE_IN_PROGRESS);
    bench.round(2, &[0]);
    bench.after(HEARTBEAT);
    assert_eq!(bench.did(), ["beat 2"], "though the first was never answered");
    bench.machine.beaten(&who, Code::NONE, bench.now, bench.now);
    bench.after(HEARTBEAT);
    assert!(bench.did().is_empty(), "the second is out still");
}

#[test]
fn rule_8_8_a_coordinator_that_moved_costs_nothing() {
    let mut bench = Bench::stable(false, &[0]);
    for code in [Code::NOT_COORDINATOR, Code::COORDINATOR_NOT_AVAILABLE, Code::DISCONNECTED] {
        bench.after(HEARTBEAT);
        assert_eq!(bench.did(), ["beat 1"]);
        bench.beaten(code);
        assert!(bench.did().is_empty());
        let soon = bench.machine.next_due().expect("again");
        assert!(soon < bench.now + HEARTBEAT, "{code:?}: sooner than usual");
    }
    bench.committed(Code::NOT_COORDINATOR);
    assert!(bench.did().is_empty() && bench.machine.stage() == Stage::Stable);
}

#[test]
fn rule_8_10_a_commit_says_of_the_member_what_a_heartbeat_would() {
    let mut bench = Bench::stable(true, &[0]);
    bench.committed(Code::REBALANCE_IN_PROGRESS);
    assert_eq!(bench.did(), ["shut", "join \"m\" owning t0"], "and the generation is kept");
    for code in [Code::UNKNOWN_MEMBER_ID, Code::ILLEGAL_GENERATION] {
        let mut bench = Bench::stable(false, &[0]);
        bench.committed(code);
        let did = bench.did();
        assert_eq!(did[..3], ["dismiss shut", "watch false", "lost t0"], "the gate closes first");
        assert_eq!(bench.machine.stage(), Stage::Joining, "at once");
    }
}
