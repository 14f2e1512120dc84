//! Section 10 of the rules, one by one, on an embedded ZooKeeper.

use std::time::Instant;

use super::fixture_tests::*;
use super::*;
use crate::embedded::zookeeper::{Fault, FaultKind};
use crate::protocol::zookeeper::OpCode;

const OWNERS: &str = "/consumers/g/owners/t";

#[test]
fn a_member_registers_as_the_scala_client_does_and_reads_everything() {
    let ground = Ground::modern("t", 2);
    let member = ground.member(&[]);
    member.subscribe(&["t"]);
    member.has(&["t/0", "t/1"]);
    let id = member.id();
    assert_eq!(ground.zookeeper.children("/consumers/g/ids"), [id.as_str()]);
    let data = ground.text(&format!("/consumers/g/ids/{id}")).unwrap();
    let expected = r#"{"version":1,"subscription":{"t":1},"pattern":"static","timestamp":"#;
    assert!(data.starts_with(expected), "{data}");
    for number in ["0", "1"] {
        let node = ground.zookeeper.node(&format!("{OWNERS}/{number}")).unwrap();
        assert_eq!(node.data, format!("{id}-0").as_bytes());
        assert_eq!(node.owner, Some(member.session()));
    }
    member.leave();
    assert!(ground.zookeeper.children(OWNERS).is_empty());
    assert!(ground.zookeeper.children("/consumers/g/ids").is_empty());
    assert!(ground.zookeeper.node("/consumers/g").is_some(), "only what was ephemeral goes");
}

#[test]
fn rule_10_1_what_goes_is_revoked_and_committed_before_it_is_released_and_what_stays_stays() {
    let ground = Ground::modern("t", 2);
    let first = ground.member(&[("consumer.id", "a")]);
    first.subscribe(&["t"]);
    first.has(&["t/0", "t/1"]);
    first.recorder.be_slow();
    let second = ground.member(&[("consumer.id", "b")]);
    second.subscribe(&["t"]);
    first.recorder.wait("a revocation", |told| told.steps.last().unwrap() == "-t/1");
    assert_eq!(ground.text(&format!("{OWNERS}/1")).unwrap(), "g_a-0", "not before it is heard");
    let committed = first.offsets.commit(vec![(partition("t", 1), place(7))], false, soon());
    assert!(wait(committed)[0].is_ok());
    first.recorder.come_back();
    second.has(&["t/1"]);
    assert_eq!(ground.text("/consumers/g/offsets/t/1").unwrap(), "7");
    first.has(&["t/0"]);
    assert_eq!(first.recorder.look(|told| told.steps.clone()), ["+t/0,t/1", "-t/1"]);
}

#[test]
fn rule_10_2_a_partition_is_read_only_while_its_owner_node_is_held() {
    let ground = Ground::modern("t", 1);
    ground.set(&format!("{OWNERS}/0"), "somebody-0");
    let member = ground.member(&[("rebalance.max.retries", "1000000")]);
    member.subscribe(&["t"]);
    ground.wait("a claim that fails", |ground| {
        ground.zookeeper.children("/consumers/g/ids").len() == 1 && ground.zookeeper.watches() > 3
    });
    assert!(member.recorder.look(|told| told.steps.is_empty()));
    ground.zookeeper.delete(&format!("{OWNERS}/0")).unwrap();
    member.has(&["t/0"]);
    // Somebody deletes it, whoever that may be: reading ends, and the partition is claimed anew.
    ground.zookeeper.delete(&format!("{OWNERS}/0")).unwrap();
    member.recorder.wait("lost and found", |told| told.steps == ["+t/0", "!t/0", "+t/0"]);
    assert_eq!(ground.text(&format!("{OWNERS}/0")).unwrap(), format!("{}-0", member.id()));
}

#[test]
fn rule_10_3_a_try_that_meets_an_owner_releases_what_it_claimed() {
    let ground = Ground::modern("t", 3);
    ground.set(&format!("{OWNERS}/2"), "somebody-0");
    let member = ground.member(&[("rebalance.backoff.ms", "60000")]);
    member.subscribe(&["t"]);
    ground.wait("all claims but one are released", |ground| {
        let watched = ground.zookeeper.watches() >= 4;
        watched && ground.zookeeper.children(OWNERS) == ["2"]
    });
    assert!(member.recorder.look(|told| told.steps.is_empty()));
    ground.zookeeper.delete(&format!("{OWNERS}/2")).unwrap();
    // Long before the pause is over: the node that was in the way is watched.
    member.has(&["t/0", "t/1", "t/2"]);
}

#[test]
fn rule_10_4_a_rebalance_that_fails_is_told_once_and_tried_on() {
    let ground = Ground::modern("t", 1);
    ground.set(&format!("{OWNERS}/0"), "somebody-0");
    let member = ground.member(&[]);
    let begun = Instant::now();
    member.subscribe(&["t"]);
    member.recorder.wait("a failure", |told| told.failures.len() == 1);
    assert!(begun.elapsed() >= SESSION, "a dead owner's session may live as long");
    let error = member.recorder.look(|told| told.failures[0].clone());
    assert!(error.is_retriable() && !error.is_fatal(), "{error}");
    assert!(error.to_string().contains("/consumers/g/owners/t/0 still belongs to `somebody-0`"));
    ground.zookeeper.delete(&format!("{OWNERS}/0")).unwrap();
    member.has(&["t/0"]);
    assert_eq!(member.recorder.look(|told| told.failures.len()), 1);
}

#[test]
fn rule_10_5_a_claim_whose_answer_was_lost_is_ours() {
    let ground = Ground::modern("t", 1);
    for path in ["/consumers/g/ids", OWNERS] {
        let lost = Fault::new(FaultKind::CloseAfter).op(OpCode::Create);
        ground.zookeeper.ensure(path, b"").unwrap();
        ground.zookeeper.inject(lost.path(path));
    }
    let member = ground.member(&[]);
    member.subscribe(&["t"]);
    member.has(&["t/0"]);
    let node = ground.zookeeper.node(&format!("{OWNERS}/0")).unwrap();
    assert_eq!(node.owner, Some(member.session()));
    assert!(member.recorder.look(|told| told.failures.is_empty() && told.steps == ["+t/0"]));
}

#[test]
fn rule_10_5_a_former_self_is_waited_for() {
    let ground = Ground::modern("t", 1);
    let former = ground.member(&[("consumer.id", "a")]);
    former.subscribe(&["t"]);
    former.has(&["t/0"]);
    let member = ground.member(&[("consumer.id", "a"), ("rebalance.max.retries", "1000000")]);
    member.subscribe(&["t"]);
    ground.wait("two sessions", |ground| ground.zookeeper.sessions().len() == 2);
    assert_eq!(member.membership.identity(), None);
    former.leave();
    member.has(&["t/0"]);
    assert_eq!(ground.text(&format!("{OWNERS}/0")).unwrap(), "g_a-0");
}

#[test]
fn rule_10_6_a_silent_zookeeper_ends_reading_before_the_session_can_end() {
    let ground = Ground::modern("t", 1);
    let member = ground.member(&[("consumer.id", "a")]);
    member.subscribe(&["t"]);
    member.has(&["t/0"]);
    let other = ground.member(&[("consumer.id", "b"), ("rebalance.max.retries", "1000000")]);
    other.subscribe(&["t"]);
    ground.wait("two members", |ground| ground.zookeeper.children("/consumers/g/ids").len() == 2);
    let session = member.session();
    ground.zookeeper.silence(Some(session));
    member.recorder.wait("the end of reading", |told| told.steps == ["+t/0", "!t/0"]);
    let node = ground.zookeeper.node(&format!("{OWNERS}/0"));
    assert_eq!(node.and_then(|node| node.owner), Some(session), "others cannot have it yet");
    let refused = member.offsets.commit(vec![(partition("t", 0), place(7))], true, soon());
    assert_eq!(wait(refused)[0].as_ref().unwrap_err().code(), Code::NOT_ASSIGNED);
    other.has(&["t/0"]);
    ground.zookeeper.speak(None);
    other.has(&[]);
    member.has(&["t/0"]);
}

#[test]
fn rule_10_6_the_consumer_is_told_at_each_answer_for_how_long_it_may_hand_out() {
    let ground = Ground::modern("t", 1);
    let member = ground.member(&[]);
    member.subscribe(&["t"]);
    member.has(&["t/0"]);
    let first = member.recorder.look(|told| told.sure_until).expect("told before its share");
    member.recorder.wait("a ping", |told| told.sure_until > Some(first));
    let told = member.recorder.look(|told| told.sure_until).expect("a time");
    assert!(told <= Instant::now() + SESSION * 2 / 3, "two thirds after the request was sent");
}

#[test]
fn rule_10_6_a_zookeeper_that_comes_back_in_time_finds_the_owner_reading_again() {
    let ground = Ground::modern("t", 1);
    let member = ground.member(&[]);
    member.subscribe(&["t"]);
    member.has(&["t/0"]);
    let session = member.session();
    // While no server runs, no session ends.
    ground.zookeeper.stop();
    member.recorder.wait("the end of reading", |told| told.has.is_empty());
    ground.zookeeper.start_server(0).unwrap();
    member.has(&["t/0"]);
    assert_eq!(member.session(), session);
    assert_eq!(member.recorder.look(|told| told.steps.clone()), ["+t/0", "!t/0", "+t/0"]);
}

#[test]
fn rule_10_6_a_short_loss_of_the_connection_is_not_noticed() {
    let ground = Ground::modern("t", 1);
    let member = ground.member(&[]);
    member.subscribe(&["t"]);
    member.has(&["t/0"]);
    ground.zookeeper.close_connections(None);
    // Something that only a connected member notices.
    ground.topic("t", 2);
    member.has(&["t/0", "t/1"]);
    assert_eq!(member.recorder.look(|told| told.steps.clone()), ["+t/0", "+t/1"]);
}

#[test]
fn rule_10_7_an_expired_member_registers_again_and_deletes_nothing() {
    let ground = Ground::modern("t", 2);
    let first = ground.member(&[("consumer.id", "a")]);
    let second = ground.member(&[("consumer.id", "b")]);
    first.subscribe(&["t"]);
    second.subscribe(&["t"]);
    first.has(&["t/0"]);
    second.has(&["t/1"]);
    let session = first.session();
    ground.zookeeper.expire(session).unwrap();
    first.recorder.wait("the loss", |told| told.steps.iter().any(|step| step == "!t/0"));
    first.has(&["t/0"]);
    second.has(&["t/1"]);
    assert_ne!(first.session(), session);
    assert_eq!(ground.zookeeper.children("/consumers/g/ids"), ["g_a", "g_b"]);
}

#[test]
fn rule_10_7_the_successor_s_nodes_are_left_alone() {
    let ground = Ground::modern("t", 1);
    let first = ground.member(&[("consumer.id", "a"), ("rebalance.max.retries", "1000000")]);
    first.subscribe(&["t"]);
    first.has(&["t/0"]);
    // The session ends while nobody can tell, and somebody takes the partition.
    let session = first.session();
    ground.zookeeper.silence(Some(session));
    ground.wait("the end of the session", |ground| !ground.zookeeper.sessions().contains(&session));
    ground.set(&format!("{OWNERS}/0"), "successor-0");
    ground.zookeeper.speak(None);
    ground.wait("the member is back", |ground| {
        ground.zookeeper.children("/consumers/g/ids").len() == 1
    });
    first.leave();
    assert_eq!(ground.text(&format!("{OWNERS}/0")).unwrap(), "successor-0");
}

#[test]
fn rule_10_8_members_that_come_together_agree() {
    let ground = Ground::modern("t", 8);
    let members: Vec<Peer> =
        (0..4).map(|number| ground.member(&[("consumer.id", &format!("m{number}"))])).collect();
    members.iter().for_each(|member| member.subscribe(&["t"]));
    for (number, member) in members.iter().enumerate() {
        member.has(&[&format!("t/{}", number * 2), &format!("t/{}", number * 2 + 1)]);
    }
    members[1].leave();
    members[0].has(&["t/0", "t/1", "t/2"]);
    members[2].has(&["t/3", "t/4", "t/5"]);
    members[3].has(&["t/6", "t/7"]);
}

#[test]
fn rule_10_9_partitions_topics_and_brokers_are_noticed_when_they_come() {
    let ground = Ground::empty();
    let member = ground.member(&[]);
    member.subscribe_patterns(&["t.*"], &[]);
    ground.wait("a watch on the brokers", |ground| ground.zookeeper.watches() > 0);
    ground.broker();
    ground.wait("the member", |ground| ground.zookeeper.children("/consumers/g/ids").len() == 1);
    ground.topic("t1", 1);
    member.has(&["t1/0"]);
    ground.topic("t1", 2);
    member.has(&["t1/0", "t1/1"]);
    ground.topic("other", 1);
    ground.topic("t2", 1);
    member.has(&["t1/0", "t1/1", "t2/0"]);
    let data = ground.text(&format!("/consumers/g/ids/{}", member.id())).unwrap();
    assert!(data.contains(r#""subscription":{"t.*":1},"pattern":"white_list""#), "{data}");
}

#[test]
fn rule_10_10_a_member_that_nobody_can_read_has_its_share() {
    let ground = Ground::modern("t", 2);
    ground.set("/consumers/g/ids/a", "who knows what");
    let member = ground.member(&[("consumer.id", "z")]);
    member.subscribe(&["t"]);
    member.has(&["t/1"]);
    ground.zookeeper.delete("/consumers/g/ids/a").unwrap();
    member.has(&["t/0", "t/1"]);
}

#[test]
fn rule_10_11_offsets_are_written_by_the_owner_only_and_unchanged_ones_are_not() {
    let ground = Ground::modern("t", 1);
    let member = ground.member(&[("consumer.id", "a")]);
    let commit = |offset| {
        let commit = member.offsets.commit(vec![(partition("t", 0), place(offset))], false, soon());
        wait(commit).remove(0)
    };
    commit(3).expect("nobody owns it: an outsider may write");
    member.subscribe(&["t"]);
    member.has(&["t/0"]);
    let fetched = wait(member.offsets.fetch(vec![partition("t", 0)], soon())).unwrap();
    assert_eq!(fetched[0].as_ref().unwrap(), &Some(place(3)));
    let version = || ground.zookeeper.node("/consumers/g/offsets/t/0").unwrap().version;
    let before = version();
    commit(3).unwrap();
    assert_eq!(version(), before, "unchanged: not written");
    commit(4).unwrap();
    assert_eq!(version(), before + 1);
    // Somebody else, such as a tool, wrote meanwhile: the owner has the last word.
    ground.set("/consumers/g/offsets/t/0", "100");
    commit(5).unwrap();
    assert_eq!(ground.text("/consumers/g/offsets/t/0").unwrap(), "5");
    let other = ground.member(&[("consumer.id", "b")]);
    other.subscribe(&["t"]);
    ground.wait("both", |ground| ground.zookeeper.children("/consumers/g/ids").len() == 2);
    other.recorder.wait("no step", |told| told.steps.is_empty());
    member.membership.step_out();
    other.has(&["t/0"]);
    let late = commit(6).unwrap_err();
    assert!([Code::NOT_ASSIGNED, Code::UNKNOWN_MEMBER_ID].contains(&late.code()), "{late}");
    assert_eq!(ground.text("/consumers/g/offsets/t/0").unwrap(), "5");
}

#[test]
fn rule_11_5_commits_do_not_overtake_each_other() {
    let ground = Ground::modern("t", 1);
    let member = ground.member(&[]);
    member.subscribe(&["t"]);
    member.has(&["t/0"]);
    let commits: Vec<_> = (0..50)
        .map(|offset| {
            member.offsets.commit(vec![(partition("t", 0), place(offset))], false, soon())
        })
        .collect();
    // Some are not waited for, and none is waited for in order.
    for commit in commits.into_iter().rev().step_by(2) {
        assert!(wait(commit)[0].is_ok());
    }
    assert_eq!(ground.text("/consumers/g/offsets/t/0").unwrap(), "49");
}
