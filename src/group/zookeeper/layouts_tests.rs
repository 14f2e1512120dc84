//! Groups of Kafka 0.7 and of PyKafka, where offsets are kept, and how members come and go.

use std::time::Instant;

use super::fixture_tests::*;
use super::*;
use crate::group::{Boxed, Committed, TopicPartition};

/// What somebody else writes is there to be met: a peer that is not ours.
fn peer(ground: &Ground, id: &str, data: &str) {
    ground.set(&format!("/consumers/g/ids/{id}"), data);
}

#[test]
fn a_group_of_kafka_0_7_is_written_as_its_scala_client_writes_it() {
    let ground = Ground::empty();
    ground.legacy(10, "t", 2);
    ground.legacy(9, "t", 1);
    peer(&ground, "g_z-1795250380219-7208273b", r#"{ "t": 1 }"#);
    let member = ground.member(&[("consumer.id", "a")]);
    member.subscribe(&["t"]);
    // In the order of their names: 10-0, 10-1, 9-0.
    let (first, second) = (10_i64 << 32, (10_i64 << 32) + 1);
    member.has(&[&format!("t/{first}"), &format!("t/{second}")]);
    assert_eq!(ground.text("/consumers/g/ids/g_a").unwrap(), r#"{ "t": 1 }"#);
    assert_eq!(ground.zookeeper.children("/consumers/g/owners/t"), ["10-0", "10-1"]);
    assert_eq!(ground.text("/consumers/g/owners/t/10-1").unwrap(), "g_a-0");
    let places = vec![(partition("t", first), place(29)), (partition("t", second), place(0))];
    assert!(wait(member.offsets.commit(places, false, soon())).iter().all(Result::is_ok));
    assert_eq!(ground.text("/consumers/g/offsets/t/10-0").unwrap(), "29");
    ground.set("/consumers/g/offsets/t/10-1", "58");
    let asked = vec![partition("t", second), partition("t", 9 << 32)];
    let fetched = wait(member.offsets.fetch(asked, soon())).unwrap();
    let fetched: Vec<_> = fetched.into_iter().map(Result::unwrap).collect();
    assert_eq!(fetched, [Some(place(58)), None]);
    // A broker brings one more: what was ours is revoked and claimed in the new order.
    ground.legacy(9, "t", 3);
    member.has(&[&format!("t/{first}"), &format!("t/{second}"), &format!("t/{}", 9_i64 << 32)]);
}

#[test]
fn samsa_s_members_of_a_group_of_0_7_are_counted() {
    let ground = Ground::empty();
    ground.legacy(1, "t", 2);
    peer(&ground, "a-host:1c88de4b-0000-4000-8000-000000000000", "t");
    peer(&ground, "b-host:2452007c-0000-4000-8000-000000000000", "other");
    let member = ground.member(&[]);
    member.subscribe(&["t"]);
    member.has(&[&format!("t/{}", (1_i64 << 32) + 1)]);
}

#[test]
fn whitelists_and_blacklists_of_0_7_bring_in_topics_as_they_come() {
    let ground = Ground::empty();
    ground.legacy(0, "wa", 1);
    ground.legacy(0, "x", 1);
    let white = ground.member(&[("consumer.id", "a")]);
    white.subscribe_patterns(&["w.*"], &[]);
    white.has(&["wa/0"]);
    assert_eq!(ground.text("/consumers/g/ids/g_a").unwrap(), "*1*w.*");
    let black = ground.member(&[("consumer.id", "b")]);
    black.subscribe_patterns(&[".*"], &["w.*"]);
    black.has(&["x/0"]);
    assert_eq!(ground.text("/consumers/g/ids/g_b").unwrap(), "!1!w.*");
    ground.legacy(0, "wb", 1);
    ground.legacy(0, "y", 1);
    white.has(&["wa/0", "wb/0"]);
    black.has(&["x/0", "y/0"]);
}

fn pykafka_ground() -> Ground {
    let ground = Ground::modern("t", 3);
    for (partition, leader) in [(0, 2), (1, 10), (2, 2)] {
        let path = format!("/brokers/topics/t/partitions/{partition}/state");
        ground.set(&path, &format!(r#"{{"leader":{leader},"isr":[{leader}],"version":1}}"#));
    }
    ground
}

#[test]
fn a_group_of_pykafka_is_written_as_pykafka_writes_it() {
    let ground = pykafka_ground();
    peer(&ground, "host:2452007c-3854-48a7-9def-df2bc4d7c9e1", "t");
    let properties = [("zookeeper.group.layout", "pykafka"), ("consumer.id", "zzz:1")];
    let kafka: Arc<dyn OffsetStore> = Arc::new(FakeKafka::default());
    let member = ground.member_with(&properties, Some(kafka)).unwrap();
    member.subscribe(&["t"]);
    // In the order of leader-partition as text: 10-1, 2-0, 2-2.
    member.has(&["t/2"]);
    assert_eq!(ground.text("/consumers/g/ids/zzz:1").unwrap(), "t");
    assert_eq!(ground.text("/consumers/g/owners/b't'/2-2").unwrap(), "zzz:1");
    let commit = member.offsets.commit(vec![(partition("t", 2), place(5))], false, soon());
    assert!(wait(commit)[0].is_ok());
    assert!(ground.text("/consumers/g/offsets/t/2").is_none(), "PyKafka's offsets are in Kafka");
}

#[test]
fn rule_10_2_pykafka_s_owner_of_before_the_leader_moved_is_an_owner() {
    let ground = pykafka_ground();
    ground.set("/consumers/g/owners/b't'/7-1", "host:1");
    let more = [("zookeeper.group.layout", "pykafka"), ("rebalance.backoff.ms", "60000")];
    let member = ground.member(&more);
    member.subscribe(&["t"]);
    ground.wait("the claims are released", |ground| {
        ground.zookeeper.watches() > 3
            && ground.zookeeper.children("/consumers/g/owners/b't'") == ["7-1"]
    });
    assert!(member.recorder.look(|told| told.steps.is_empty()));
    ground.zookeeper.delete("/consumers/g/owners/b't'/7-1").unwrap();
    member.has(&["t/0", "t/1", "t/2"]);
}

#[test]
fn what_a_layout_does_not_have_is_refused() {
    let ground = pykafka_ground();
    let member = ground.member(&[("zookeeper.group.layout", "pykafka")]);
    member.subscribe(&["t", "u"]);
    member.recorder.wait("a refusal", |told| told.failures.len() == 1);
    let error = member.recorder.look(|told| told.failures[0].clone());
    assert_eq!((error.code(), error.is_fatal()), (Code::INVALID_ARGUMENT, true));
    member.subscribe(&["t"]);
    member.has(&["t/0", "t/1", "t/2"]);

    let old = Ground::empty();
    old.legacy(0, "t", 1);
    for property in [("zookeeper.group.layout", "pykafka"), ("offsets.storage", "kafka")] {
        let member = old.member(&[property]);
        member.subscribe(&["t"]);
        member.recorder.wait("a refusal", |told| told.failures.len() == 1);
        let error = member.recorder.look(|told| told.failures[0].clone());
        assert_eq!(error.property(), Some(property.0), "{error}");
        assert!(old.zookeeper.children("/consumers/g/ids").is_empty());
    }
    for (name, value, code) in [
        ("group.id", "a/b", Code::INVALID_GROUP_ID),
        ("group.id", "..", Code::INVALID_GROUP_ID),
        ("consumer.id", "a/b", Code::INVALID_PROPERTY),
        ("partition.assignment.strategy", "roundrobin", Code::INVALID_PROPERTY),
    ] {
        let error = old.try_member(&[(name, value)]).err().unwrap();
        assert_eq!((error.code(), error.property()), (code, Some(name)));
    }
}

/// What a coordinator would keep.
#[derive(Debug, Default)]
pub(super) struct FakeKafka(Mutex<std::collections::HashMap<TopicPartition, Committed>>);

impl OffsetStore for FakeKafka {
    fn fetch(
        &self,
        partitions: Vec<TopicPartition>,
        _deadline: Instant,
    ) -> Boxed<Result<Vec<Result<Option<Committed>>>>> {
        let kept = lock(&self.0);
        let found = partitions.iter().map(|one| Ok(kept.get(one).cloned())).collect();
        Box::pin(std::future::ready(Ok(found)))
    }

    fn commit(
        &self,
        places: Vec<(TopicPartition, Committed)>,
        _once: bool,
        _deadline: Instant,
    ) -> Boxed<Vec<Result<()>>> {
        let outcome = places.iter().map(|_| Ok(())).collect();
        lock(&self.0).extend(places);
        Box::pin(std::future::ready(outcome))
    }
}

#[test]
fn rule_10_12_stores_are_written_as_configured_and_read_from_the_larger() {
    let zookeeper = "/consumers/g/offsets/t/0";
    for (dual, node, expected) in [("true", Some("8"), Some(8)), ("false", None, Some(3))] {
        let ground = Ground::modern("t", 2);
        let kafka = Arc::new(FakeKafka::default());
        let member = ground.member_with(
            &[("offsets.storage", "kafka"), ("dual.commit.enabled", dual)],
            Some(Arc::clone(&kafka) as Arc<dyn OffsetStore>),
        );
        let member = member.unwrap();
        member.subscribe(&["t"]);
        member.has(&["t/0", "t/1"]);
        let commit = |offset| {
            let places = vec![(partition("t", 0), place(offset)), (partition("u", 0), place(1))];
            wait(member.offsets.commit(places, false, soon()))
        };
        let outcome = commit(3);
        assert!(outcome[0].is_ok());
        assert_eq!(outcome[1].as_ref().unwrap_err().code(), Code::NOT_ASSIGNED, "not ours");
        assert_eq!(lock(&kafka.0).len(), 1, "what is not ours does not reach the coordinator");
        assert_eq!(ground.text(zookeeper), node.map(|_| "3".to_owned()));
        if let Some(node) = node {
            ground.set(zookeeper, node);
        }
        let fetched = wait(member.offsets.fetch(vec![partition("t", 0)], soon())).unwrap();
        let offset = fetched[0].as_ref().unwrap().as_ref().map(|place| place.offset);
        assert_eq!(offset, expected, "dual {dual}");
    }
}

#[test]
fn a_member_that_steps_out_loses_its_share_and_joins_again_when_it_steps_in() {
    let ground = Ground::modern("t", 1);
    let member = ground.member(&[]);
    member.subscribe(&["t"]);
    member.has(&["t/0"]);
    member.membership.step_out();
    member.has(&[]);
    ground.wait("it left", |ground| ground.zookeeper.sessions().is_empty());
    assert_eq!(member.membership.identity(), None);
    member.membership.step_in();
    member.has(&["t/0"]);
    assert_eq!(member.recorder.look(|told| told.steps.clone()), ["+t/0", "!t/0", "+t/0"]);
}

#[test]
fn a_member_that_wishes_for_nothing_leaves_and_can_join_again() {
    let ground = Ground::modern("t", 1);
    ground.topic("u", 1);
    let member = ground.member(&[]);
    member.subscribe(&["t"]);
    member.has(&["t/0"]);
    member.subscribe(&[]);
    ground.wait("it left", |ground| ground.zookeeper.sessions().is_empty());
    member.subscribe(&["u"]);
    member.recorder.wait("the other topic", |told| told.steps == ["+t/0", "!t/0", "+u/0"]);
}

#[test]
fn a_new_subscription_is_registered_and_what_it_lacks_is_revoked() {
    let ground = Ground::modern("t", 1);
    ground.topic("u", 1);
    let member = ground.member(&[("consumer.id", "a")]);
    member.subscribe(&["t"]);
    member.has(&["t/0"]);
    member.subscribe(&["u"]);
    member.has(&["u/0"]);
    assert_eq!(member.recorder.look(|told| told.steps.clone()), ["+t/0", "-t/0", "+u/0"]);
    assert!(ground.text("/consumers/g/ids/g_a").unwrap().contains(r#"{"u":1}"#));
    assert!(ground.zookeeper.children("/consumers/g/owners/t").is_empty());
}

#[test]
fn an_idle_member_waits_or_is_refused_as_it_is_configured() {
    let ground = Ground::modern("t", 1);
    let first = ground.member(&[("consumer.id", "a")]);
    first.subscribe(&["t"]);
    first.has(&["t/0"]);
    let refused =
        ground.member(&[("consumer.id", "0"), ("samsa.group.refuse.idle.members", "true")]);
    refused.subscribe(&["t"]);
    refused.recorder.wait("a refusal", |told| told.failures.len() == 1);
    let error = refused.recorder.look(|told| told.failures[0].clone());
    assert_eq!(error.code(), Code::GROUP_MAX_SIZE_REACHED);
    assert_eq!(error.property(), Some("samsa.group.refuse.idle.members"));
    assert_eq!(ground.zookeeper.children("/consumers/g/ids"), ["g_a"], "it never registered");
    let waiting = ground.member(&[("consumer.id", "b")]);
    waiting.subscribe(&["t"]);
    ground.wait("both", |ground| ground.zookeeper.children("/consumers/g/ids").len() == 2);
    first.leave();
    waiting.has(&["t/0"]);
    assert_eq!(first.recorder.look(|told| told.steps.clone()), ["+t/0"]);
}

#[test]
fn leaving_is_bounded_and_quiet_although_zookeeper_is_silent() {
    let ground = Ground::modern("t", 1);
    let member = ground.member(&[]);
    member.leave();
    let member = ground.member(&[]);
    member.subscribe(&["t"]);
    member.has(&["t/0"]);
    ground.zookeeper.silence(None);
    let begun = Instant::now();
    member.leave();
    assert!(begun.elapsed() < PATIENCE / 2);
    assert_eq!(member.recorder.look(|told| told.steps.clone()), ["+t/0"]);
}

#[test]
fn a_leave_that_zookeeper_does_not_confirm_in_time_is_no_success() {
    let ground = Ground::modern("t", 1);
    let joined = || {
        let member = ground.member(&[]);
        member.subscribe(&["t"]);
        member.has(&["t/0"]);
        member
    };
    let member = joined();
    member.membership.leave_within(soon()).wait(Some(soon()), None).unwrap();
    assert!(ground.zookeeper.sessions().is_empty());
    let member = joined();
    ground.zookeeper.silence(None);
    let limit = Instant::now() + std::time::Duration::from_millis(300);
    let error = member.membership.leave_within(limit).wait(Some(soon()), None).unwrap_err();
    assert_eq!(error.code(), Code::TIMED_OUT);
    // One that never joined has no session.
    ground.member(&[]).membership.leave_within(limit).wait(Some(soon()), None).unwrap();
}

#[test]
fn rule_10_1_commits_on_their_way_are_done_before_the_session_ends() {
    let ground = Ground::modern("t", 1);
    let member = ground.member(&[]);
    member.subscribe(&["t"]);
    member.has(&["t/0"]);
    for offset in 1..=20 {
        // Nobody waits for it.
        drop(member.offsets.commit(vec![(partition("t", 0), place(offset))], false, soon()));
    }
    member.leave();
    assert_eq!(ground.text("/consumers/g/offsets/t/0").unwrap(), "20");
    assert!(ground.zookeeper.sessions().is_empty());
}

#[test]
fn a_member_that_is_dropped_leaves_by_itself() {
    let ground = Ground::modern("t", 1);
    let member = ground.member(&[]);
    member.subscribe(&["t"]);
    member.has(&["t/0"]);
    drop(member);
    ground.wait("it left", |ground| ground.zookeeper.sessions().is_empty());
}
