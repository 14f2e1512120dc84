//! Classic memberships: how members come to terms, and what becomes of their partitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use samsa::embedded::{Options, Release};
use samsa::group::assign::{Assign, Candidate, Share};
use samsa::group::assignor::Topics;
use samsa::protocol::modern::ApiKey;
use samsa::{Code, Error, Result};

use super::app::{App, Heard, share, to, until};
use super::rig::{Rig, assert_code, at, place, soon};

const QUICK: [(&str, &str); 3] = [
    ("heartbeat.interval.ms", "20"),
    ("session.timeout.ms", "10000"),
    ("max.poll.interval.ms", "10000"),
];

fn with(properties: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    QUICK.iter().chain(properties).copied().collect()
}

fn app(rig: &Rig, properties: &[(&'static str, &'static str)], topics: &[&str]) -> App {
    App::new(&rig.cluster, &rig.config(&with(properties)), topics)
}

const COOPERATIVE: (&str, &str) = ("partition.assignment.strategy", "cooperative-sticky");

#[test]
fn a_member_alone_gets_all_in_the_versions_of_every_release() {
    for release in [
        Release::V0_9_0,
        Release::V0_10_0,
        Release::V0_10_2,
        Release::V0_11_0,
        Release::V1_1,
        Release::V2_8,
        Release::V3_9,
        Release::V4_3,
        Release::Newest,
    ] {
        for assignor in ["range", "roundrobin", "sticky", "cooperative-sticky"] {
            let rig = Rig::with(Options { release, ..Options::default() });
            let mut app = app(&rig, &[("partition.assignment.strategy", assignor)], &["t"]);
            app.until("assigned", |app| app.reads(&["t0", "t1", "t2", "t3"]));
            assert_eq!(app.generation(), 1, "{release:?} {assignor}");
            rig.commit(&*app.member.offsets, 7).expect("committed");
            assert_eq!(rig.committed(&*app.member.offsets).expect("fetched"), Some(at(7)));
            assert_eq!(rig.kafka.group_state("g"), "Stable");
            app.leave();
            assert_eq!(rig.kafka.group_state("g"), "Empty");
        }
    }
}

#[test]
fn below_0_9_the_error_names_the_release_and_the_way_out() {
    let rig = Rig::with(Options { release: Release::V0_8_2, ..Options::default() });
    let mut app = app(&rig, &[], &["t"]);
    app.until("refused", |app| app.has_heard(&Heard::Failed(Code::UNSUPPORTED_FEATURE)));
}

#[test]
fn members_come_and_go_and_each_partition_has_one_reader() {
    for assignor in ["range", "roundrobin", "sticky", "cooperative-sticky"] {
        let rig = Rig::new(2);
        let strategy = [("partition.assignment.strategy", assignor)];
        let mut a = app(&rig, &strategy, &["t"]);
        a.until("alone", |app| app.reads.len() == 4);
        let mut b = app(&rig, &strategy, &["t"]);
        until("shared by two", &mut [&mut a, &mut b], |apps| {
            share(apps, 4) && apps.iter().all(|app| app.reads.len() == 2)
        });
        let mut c = app(&rig, &strategy, &["t"]);
        until("shared by three", &mut [&mut a, &mut b, &mut c], |apps| {
            share(apps, 4) && apps.iter().all(|app| !app.reads.is_empty())
        });
        b.leave();
        until("taken over", &mut [&mut a, &mut c], |apps| {
            share(apps, 4) && apps.iter().all(|app| app.reads.len() == 2)
        });
        // Without a word; its session ends.
        let gone = rig.kafka.group_members("g").first().map(|member| member.id.clone());
        drop(a);
        rig.kafka.expire_member("g", &gone.expect("a member")).expect("expired");
        c.until("taken over", |app| app.reads.len() == 4);
    }
}

#[test]
fn rule_8_12_cooperative_members_keep_reading_what_they_keep() {
    let rig = Rig::new(1);
    let mut a = app(&rig, &[COOPERATIVE], &["t"]);
    a.until("alone", |app| app.reads.len() == 4);
    a.forget();
    let mut b = app(&rig, &[COOPERATIVE], &["t"]);
    until("shared", &mut [&mut a, &mut b], |apps| {
        share(apps, 4) && apps.iter().all(|app| app.reads.len() == 2)
    });
    let revoked: Vec<_> = a.heard.iter().filter(|h| matches!(h, Heard::Revoked(_))).collect();
    assert!(matches!(revoked[..], [Heard::Revoked(gone)] if gone.len() == 2), "{:?}", a.heard);
    assert!(!a.heard.iter().any(|h| matches!(h, Heard::Lost(_))));
}

#[test]
fn rule_8_12_eager_members_give_everything_up() {
    let rig = Rig::new(1);
    let mut a = app(&rig, &[], &["t"]);
    a.until("alone", |app| app.reads.len() == 4);
    a.forget();
    let mut b = app(&rig, &[], &["t"]);
    until("shared", &mut [&mut a, &mut b], |apps| {
        share(apps, 4) && apps.iter().all(|app| app.reads.len() == 2)
    });
    assert!(matches!(a.heard.first(), Some(Heard::Revoked(all)) if all.len() == 4));
}

#[test]
fn rule_8_19_the_leader_notices_partitions_of_what_only_others_read() {
    let rig = Rig::new(1);
    rig.kafka.create_topic("u", 1).expect("created");
    let refresh = ("metadata.max.age.ms", "50");
    let cluster = rig.another(&[refresh]);
    let config = rig.config(&with(&[]));
    let mut leader = App::new(&cluster, &config, &["t"]);
    leader.until("alone", |app| app.reads.len() == 4);
    let mut other = App::new(&cluster, &config, &["u"]);
    until("both", &mut [&mut leader, &mut other], |apps| {
        apps[0].reads.len() == 4 && apps[1].reads(&["u0"])
    });
    rig.kafka.grow_topic("u", 3).expect("grown");
    until("noticed", &mut [&mut leader, &mut other], |apps| {
        apps[0].reads.len() == 4 && apps[1].reads(&["u0", "u1", "u2"])
    });
}

#[test]
fn a_topic_that_is_made_later_is_read_once_it_is_there() {
    let rig = Rig::with(Options { auto_create_topics: false, ..Options::default() });
    let cluster = rig.another(&[("metadata.max.age.ms", "50")]);
    let mut app = App::new(&cluster, &rig.config(&with(&[])), &["later"]);
    app.until("a member with nothing", |app| app.has_heard(&Heard::Assigned(Vec::new())));
    rig.kafka.create_topic("later", 2).expect("created");
    app.until("read", |app| app.reads(&["later0", "later1"]));
}

#[test]
fn patterns_notice_new_topics_and_leave_out_internal_ones() {
    let rig = Rig::new(1);
    let config = rig.config(&with(&[("metadata.max.age.ms", "50")]));
    let mut app = App::new(&rig.cluster, &config, &["^[tu].*"]);
    app.until("what is there", |app| app.reads.len() == 4);
    rig.kafka.create_topic("u-new", 1).expect("created");
    rig.kafka.create_topic("other", 1).expect("created");
    app.until("the new one", |app| app.reads(&["t0", "t1", "t2", "t3", "u-new0"]));
    rig.kafka.delete_topic("u-new").expect("deleted");
    app.until("the old ones", |app| app.reads.len() == 4);
}

#[test]
fn patterns_notice_partitions_that_are_added() {
    let rig = Rig::new(1);
    rig.kafka.create_topic("u", 1).expect("created");
    let refresh = ("metadata.max.age.ms", "50");
    let cluster = rig.another(&[refresh]);
    let config = rig.config(&with(&[refresh]));
    let mut app = App::new(&cluster, &config, &["^u.*"]);
    app.until("what is there", |app| app.reads(&["u0"]));
    rig.kafka.grow_topic("u", 3).expect("grown");
    app.until("the new ones", |app| app.reads(&["u0", "u1", "u2"]));
}

#[test]
fn a_pattern_that_cannot_be_read_is_told() {
    let rig = Rig::new(1);
    let mut app = app(&rig, &[], &["^("]);
    app.until("told", |app| app.has_heard(&Heard::Failed(Code::INVALID_ARGUMENT)));
}

#[test]
fn rule_8_12_a_changed_subscription_changes_what_is_read() {
    for strategy in [("partition.assignment.strategy", "range"), COOPERATIVE] {
        let rig = Rig::new(1);
        rig.kafka.create_topic("u", 1).expect("created");
        let mut app = app(&rig, &[strategy], &["t"]);
        app.until("t", |app| app.reads.len() == 4);
        app.member.membership.subscribe(to(&["u"]));
        app.until("u", |app| app.reads(&["u0"]));
        app.member.membership.subscribe(to(&[]));
        app.until("nothing", |app| app.reads.is_empty());
        rig.until("it left", || rig.kafka.group_members("g").is_empty());
        app.member.membership.subscribe(to(&["t"]));
        app.until("t again", |app| app.reads.len() == 4);
    }
}

#[test]
fn rule_8_18_a_static_member_that_comes_back_keeps_its_partitions_and_fences_the_one_before() {
    for strategy in [("partition.assignment.strategy", "range"), COOPERATIVE] {
        let rig = Rig::new(1);
        let properties = [strategy, ("group.instance.id", "one")];
        let mut first = app(&rig, &properties, &["t"]);
        first.until("assigned", |app| app.reads.len() == 4);
        first.leave();
        assert_eq!(rig.kafka.group_members("g").len(), 1, "its place is kept");
        let mut second = app(&rig, &properties, &["t"]);
        second.until("as before", |app| app.reads.len() == 4);
        assert_eq!(second.generation(), 1, "without a rebalance");
        // A twin.
        let mut twin = app(&rig, &properties, &["t"]);
        let fenced = Heard::Failed(Code::FENCED_INSTANCE_ID);
        until("fenced", &mut [&mut second, &mut twin], |apps| {
            apps[0].has_heard(&fenced) && apps[1].reads.len() == 4
        });
        assert!(
            second.heard.iter().any(|heard| matches!(heard, Heard::Lost(all) if all.len() == 4))
        );
    }
}

#[test]
fn static_members_need_a_broker_that_knows_them() {
    let rig = Rig::with(Options { release: Release::V1_1, ..Options::default() });
    let mut app = app(&rig, &[("group.instance.id", "one")], &["t"]);
    app.until("refused", |app| app.has_heard(&Heard::Failed(Code::UNSUPPORTED_FEATURE)));
}

#[test]
fn rule_8_26_a_session_that_the_broker_does_not_allow_is_told_once() {
    let options = || {
        let mut options = Options::default();
        options.set("group.max.session.timeout.ms", "5000").expect("an option");
        options
    };
    let rig = Rig::with(options());
    let mut app = app(&rig, &[], &["t"]);
    app.until("told", |app| app.has_heard(&Heard::Failed(Code::INVALID_SESSION_TIMEOUT)));
    assert_eq!(app.heard.len(), 1);
    assert_eq!(rig.kafka.requests(ApiKey::JoinGroup), 1);
}

#[test]
fn rule_8_26_members_without_a_common_assignor_are_told() {
    let rig = Rig::new(1);
    let mut first = app(&rig, &[("partition.assignment.strategy", "range")], &["t"]);
    first.until("alone", |app| app.reads.len() == 4);
    let mut second = app(&rig, &[("partition.assignment.strategy", "roundrobin")], &["t"]);
    let told = Heard::Failed(Code::INCONSISTENT_GROUP_PROTOCOL);
    second.until("told", |app| app.has_heard(&told));
    first.poll();
    assert_eq!(first.reads.len(), 4, "the group goes on");
}

/// Whether no partition is read by two.
fn nobody_shares(apps: &[&mut App]) -> bool {
    let mut all: Vec<&String> = apps.iter().flat_map(|app| &app.reads).collect();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    all.len() == count
}

#[test]
fn rule_8_16_one_eager_assignor_in_the_list_makes_the_member_eager_whichever_is_used() {
    let rig = Rig::new(1);
    let both = [("partition.assignment.strategy", "cooperative-sticky,range")];
    let mut a = app(&rig, &both, &["t"]);
    a.until("alone", |app| app.reads.len() == 4);
    a.forget();
    // Only one that both offer is used: cooperative-sticky.
    let mut b = app(&rig, &[COOPERATIVE], &["t"]);
    until("shared", &mut [&mut a, &mut b], |apps| {
        assert!(nobody_shares(apps));
        share(apps, 4) && apps.iter().all(|app| app.reads.len() == 2)
    });
    assert!(
        matches!(a.heard.first(), Some(Heard::Revoked(all)) if all.len() == 4),
        "{:?}",
        a.heard
    );
}

#[test]
fn rule_8_16_two_rolling_restarts_lead_from_eager_to_cooperative() {
    let rig = Rig::new(1);
    let lists = ["range", "cooperative-sticky,range", "cooperative-sticky"];
    let start = |list| app(&rig, &[("partition.assignment.strategy", list)], &["t"]);
    let settled = |apps: &[&mut App]| {
        assert!(nobody_shares(apps));
        share(apps, 4) && apps.iter().all(|app| app.reads.len() == 2)
    };
    let (mut a, mut b) = (start(lists[0]), start(lists[0]));
    until("as it was", &mut [&mut a, &mut b], settled);
    for list in &lists[1..] {
        a.leave();
        a = start(list);
        until("the first restarted", &mut [&mut a, &mut b], settled);
        b.leave();
        b = start(list);
        until("both restarted", &mut [&mut a, &mut b], settled);
    }
    a.forget();
    let mut c = start("cooperative-sticky");
    until("shared by three", &mut [&mut a, &mut b, &mut c], |apps| {
        assert!(nobody_shares(apps));
        share(apps, 4) && !apps[2].reads.is_empty()
    });
    let gave_all = |heard: &Heard| matches!(heard, Heard::Revoked(gone) if gone.len() == 2);
    assert!(!a.heard.iter().any(gave_all), "cooperative now: {:?}", a.heard);
}

#[test]
fn several_assignors_let_a_group_change_from_one_to_the_other() {
    let rig = Rig::new(1);
    let strategy = |list| [("partition.assignment.strategy", list)];
    let mut old = app(&rig, &strategy("range"), &["t"]);
    old.until("alone", |app| app.reads.len() == 4);
    let mut both = app(&rig, &strategy("roundrobin,range"), &["t"]);
    until("range", &mut [&mut old, &mut both], |apps| share(apps, 4) && !apps[1].reads.is_empty());
    old.leave();
    both.until("alone", |app| app.reads.len() == 4);
    let mut new = app(&rig, &strategy("roundrobin"), &["t"]);
    until("roundrobin", &mut [&mut both, &mut new], |apps| {
        apps[0].reads(&["t0", "t2"]) || apps[0].reads(&["t1", "t3"])
    });
}

#[test]
fn rule_8_24_a_member_that_stepped_out_leaves_and_comes_back() {
    let rig = Rig::new(1);
    let mut app = app(&rig, &[], &["t"]);
    app.until("assigned", |app| app.reads.len() == 4);
    app.member.membership.step_out();
    app.until("lost", |app| app.reads.is_empty());
    rig.until("it left", || rig.kafka.group_members("g").is_empty());
    assert_eq!(app.member.membership.identity(), None);
    app.member.membership.step_in();
    app.until("back", |app| app.reads.len() == 4);
}

/// Gives everything to the member whose id comes last, after failing once.
#[derive(Debug)]
struct ToTheLast(std::sync::atomic::AtomicBool);

impl Assign for ToTheLast {
    fn name(&self) -> &'static str {
        "to-the-last"
    }

    fn assign(&self, members: &[Candidate], topics: &Topics) -> Result<BTreeMap<String, Share>> {
        if !self.0.swap(true, std::sync::atomic::Ordering::Relaxed) {
            return Err(Error::new(Code::INVALID_STATE, "not today"));
        }
        let last = members.iter().map(|member| &member.member.id).max();
        let places = topics.0.iter().flat_map(|(topic, partitions)| {
            (0..).zip(partitions).map(|(number, _)| (topic.clone(), number))
        });
        let share = Share { places: places.collect(), user_data: None };
        Ok(last.map(|id| (id.clone(), share)).into_iter().collect())
    }
}

#[test]
fn rule_8_20_an_assignor_of_the_application_runs_on_its_thread_and_may_fail() {
    let rig = Rig::new(1);
    let own: Arc<dyn Assign> = Arc::new(ToTheLast(std::sync::atomic::AtomicBool::new(false)));
    let config = rig.config(&with(&[]));
    let join = |own: &Arc<dyn Assign>| {
        App::with_assignor(&rig.cluster, &config, &["t"], Some(Arc::clone(own)))
    };
    let mut a = join(&own);
    a.until("assigned", |app| app.reads.len() == 4);
    assert_eq!(a.heard[..2], [Heard::Ran, Heard::Failed(Code::INVALID_STATE)]);
    let mut b = join(&own);
    until("the last", &mut [&mut a, &mut b], |apps| {
        share(apps, 4) && apps[1].reads.len() == 4 && apps[0].reads.is_empty()
    });
}

/// Gives everything to the member that came last, whatever others own: not what KIP-429 asks for.
#[derive(Debug, Default)]
struct ToTheNewest(std::sync::Mutex<Vec<String>>);

impl Assign for ToTheNewest {
    fn name(&self) -> &'static str {
        "to-the-newest"
    }

    fn is_cooperative(&self) -> bool {
        true
    }

    fn assign(&self, members: &[Candidate], topics: &Topics) -> Result<BTreeMap<String, Share>> {
        let mut came = self.0.lock().expect("no panic");
        for id in members.iter().map(|member| &member.member.id) {
            if !came.contains(id) {
                came.push(id.clone());
            }
        }
        let places = topics.0.iter().flat_map(|(topic, partitions)| {
            (0..).zip(partitions).map(|(number, _)| (topic.clone(), number))
        });
        let share = Share { places: places.collect(), user_data: None };
        Ok(came.last().map(|id| (id.clone(), share)).into_iter().collect())
    }
}

#[test]
fn rule_8_14_a_cooperative_assignor_that_gives_what_another_owns_is_held_back_for_a_round() {
    let rig = Rig::new(1);
    let own: Arc<dyn Assign> = Arc::new(ToTheNewest::default());
    let config = rig.config(&with(&[COOPERATIVE]));
    let join = || App::with_assignor(&rig.cluster, &config, &["t"], Some(Arc::clone(&own)));
    let mut a = join();
    a.until("alone", |app| app.reads.len() == 4);
    let mut b = join();
    until("the newest", &mut [&mut a, &mut b], |apps| {
        assert!(nobody_shares(apps), "{:?} {:?}", apps[0].reads, apps[1].reads);
        apps[1].reads.len() == 4
    });
    let all = |heard: &&Heard| matches!(heard, Heard::Revoked(gone) if gone.len() == 4);
    assert_eq!(a.heard.iter().filter(all).count(), 1, "{:?}", a.heard);
    assert!(b.generation() >= 3, "its first round brought it nothing");
}

#[test]
fn rule_8_5_a_join_outlasts_request_timeout_ms() {
    let mut options = Options::default();
    options.set("group.initial.rebalance.delay.ms", "900").expect("an option");
    let rig = Rig::with(options);
    let mut app = app(&rig, &[("request.timeout.ms", "300"), ("fetch.max.wait.ms", "100")], &["t"]);
    app.until("assigned", |app| app.reads.len() == 4);
    assert_eq!(rig.kafka.requests(ApiKey::JoinGroup), 2, "one for the id and one for the group");
}

#[test]
fn rule_8_9_a_commit_waits_until_the_rebalance_is_over() {
    let rig = Rig::new(1);
    let mut a = app(&rig, &[COOPERATIVE], &["t"]);
    a.until("alone", |app| app.reads.len() == 4);
    // It joins, and the other one's join keeps it waiting.
    let mut b = app(&rig, &[], &["t"]);
    b.is_slow = true;
    let commit = a.member.offsets.commit(vec![(place(0), at(3))], false, soon());
    drop(b);
    a.until("still there", |app| !app.reads.is_empty());
    assert!(rig.run(commit)[0].is_ok());
    let gone = a.member.offsets.commit(vec![(place(0), at(4))], false, soon());
    assert!(rig.run(gone)[0].is_ok());
    assert_code(rig.commit(&*rig.alone(), 9), Code::UNKNOWN_MEMBER_ID);
}
