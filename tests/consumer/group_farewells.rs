//! How a member leaves in the middle of a rebalance, at the embedded broker's coordinator: others may take
//! their time, it does not (rule 8.25).

use std::sync::Arc;
use std::time::{Duration, Instant};

use samsa::Code;
use samsa::consumer::{Callbacks, Consumer};
use samsa::embedded::{Fault, FaultId, FaultKind};

use crate::group_script::{SLOW, Script, words};
use crate::rig::{PATIENCE, Rig, assert_code, deadline, read};

/// API keys as faults take them.
const OFFSET_COMMIT: i16 = 8;
pub(crate) const JOIN_GROUP: i16 = 11;
const LEAVE_GROUP: i16 = 13;
pub(crate) const SYNC_GROUP: i16 = 14;

pub(crate) const COOPERATIVE: (&str, &str) =
    ("partition.assignment.strategy", "cooperative-sticky");
const KIP_848: (&str, &str) = ("group.protocol", "consumer");
const RANGE: (&str, &str) = ("partition.assignment.strategy", "range");

/// Less than anything that it must not wait for, and more than a busy machine needs.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(10);

/// A member of "g" that has read partition 0 of "t" and not committed it, with the topic "u" beside.
pub(crate) fn reader(properties: &[(&str, &str)], callbacks: Callbacks) -> (Rig, Arc<Consumer>) {
    let rig = Rig::new(2);
    rig.kafka.create_topic("u", 1).unwrap();
    let member = rig.classic_with(&[&[SLOW], properties].concat(), callbacks);
    rig.write(0, 5);
    assert_eq!(read(&member, 5)[&0], [0, 1, 2, 3, 4]);
    (rig, member)
}

/// Nobody hears the next request of this API, nor what its connection says later.
fn silence(rig: &Rig, api: i16) -> FaultId {
    rig.kafka.inject(Fault::new(FaultKind::Silence).api(api).times(1))
}

/// Another member, whose join is not heard: whoever joins now waits for it.
pub(crate) fn sleeper(rig: &Rig, first: &Consumer) -> Arc<Consumer> {
    let second = rig.classic(&[SLOW, COOPERATIVE]);
    settle(rig, &[first, &second], 2);
    let unheard = silence(rig, JOIN_GROUP);
    second.subscribe(&["t", "u"]).unwrap();
    rig.kafka.wait_injected(unheard, 1, deadline()).unwrap();
    second
}

/// Polls until the group is at rest with so many members, and each has a partition.
fn settle(rig: &Rig, members: &[&Consumer], count: usize) {
    let limit = deadline();
    let rests = || {
        rig.kafka.group_state("g") == "Stable"
            && rig.kafka.group_members("g").len() == count
            && members.iter().all(|member| !member.assignment().unwrap().is_empty())
    };
    while !rests() {
        assert!(Instant::now() < limit, "{}", rig.kafka.group_state("g"));
        members.iter().for_each(|member| drop(member.poll(5)));
    }
}

/// Makes a member join again, and waits until its request of this API was heard.
pub(crate) fn rejoin(rig: &Rig, member: &Consumer, api: i16) {
    let before = rig.kafka.requests(api);
    member.subscribe(&["t", "u"]).unwrap();
    rig.kafka.wait_requests(api, before + 1, deadline()).unwrap();
}

fn closes_at_once(member: &Consumer) {
    let start = Instant::now();
    member.close(PATIENCE.as_millis() as i32).unwrap();
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
}

#[test]
fn rule_8_25_a_member_that_joins_with_others_who_take_their_time_commits_and_leaves_at_once() {
    let (rig, member) = reader(&[COOPERATIVE], Callbacks::default());
    let _second = sleeper(&rig, &member);
    rejoin(&rig, &member, JOIN_GROUP);
    assert_eq!(rig.kafka.committed("g", "t", 0), None);
    closes_at_once(&member);
    assert_eq!(rig.kafka.committed("g", "t", 0), Some(5));
    assert_eq!(rig.kafka.group_members("g").len(), 1, "it has left");
}

#[test]
fn rule_8_25_an_eager_member_does_too_and_had_committed_before_it_joined() {
    let rig = Rig::new(2);
    rig.kafka.create_topic("u", 1).unwrap();
    let member = rig.classic(&[SLOW, RANGE]);
    let second = rig.classic(&[SLOW, RANGE]);
    settle(&rig, &[&member, &second], 2);
    (0..2).for_each(|partition| rig.write(partition, 5));
    let mine = member.assignment().unwrap()[0].partition;
    read(&member, 5);
    let unheard = silence(&rig, JOIN_GROUP);
    second.subscribe(&["t", "u"]).unwrap();
    rig.kafka.wait_injected(unheard, 1, deadline()).unwrap();
    let before = rig.kafka.requests(JOIN_GROUP);
    member.subscribe(&["t", "u"]).unwrap();
    // It gives up before it joins, once its thread has come back.
    while rig.kafka.requests(JOIN_GROUP) == before {
        let _ = member.poll(5);
    }
    closes_at_once(&member);
    assert_eq!(rig.kafka.committed("g", "t", mine as i32), Some(5));
    assert_eq!(rig.kafka.group_members("g").len(), 1);
}

#[test]
fn rule_8_25_a_static_member_commits_and_stays() {
    let named = ("group.instance.id", "one");
    let (rig, member) = reader(&[COOPERATIVE, named], Callbacks::default());
    let _second = sleeper(&rig, &member);
    rejoin(&rig, &member, JOIN_GROUP);
    closes_at_once(&member);
    assert_eq!(rig.kafka.committed("g", "t", 0), Some(5));
    assert_eq!(rig.kafka.group_members("g").len(), 2);
    assert_eq!(rig.kafka.requests(LEAVE_GROUP), 0);
}

#[test]
fn rule_8_25_the_callback_of_the_last_revocation_can_commit_while_others_join() {
    let callbacks = Callbacks { rebalance: true, commit: false };
    let by_hand = ("enable.auto.commit", "false");
    let rig = Rig::new(2);
    rig.kafka.create_topic("u", 1).unwrap();
    let member = rig.classic_with(&[COOPERATIVE, by_hand], callbacks);
    rig.write(0, 5);
    let limit = deadline();
    while member.poll_telling(5, &mut |event| drop(event)).is_err() {
        assert!(Instant::now() < limit, "nothing came");
    }
    let second = rig.classic(&[SLOW, COOPERATIVE]);
    while second.assignment().unwrap().is_empty() || rig.kafka.group_state("g") != "Stable" {
        assert!(Instant::now() < limit, "not shared");
        let _ = member.poll_telling(5, &mut |event| drop(event));
        let _ = second.poll(5);
    }
    let mine = member.assignment().unwrap()[0].partition;
    let unheard = silence(&rig, JOIN_GROUP);
    second.subscribe(&["t", "u"]).unwrap();
    rig.kafka.wait_injected(unheard, 1, deadline()).unwrap();
    rejoin(&rig, &member, JOIN_GROUP);
    let (start, mut told) = (Instant::now(), 0);
    let mut tell = |_| {
        told += 1;
        member.commit(None, PATIENCE.as_millis() as i32, None).unwrap();
    };
    member.close_telling(PATIENCE.as_millis() as i32, Some(&mut tell)).unwrap();
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    assert_eq!(told, 1);
    let expected = if mine == 0 { 5 } else { 0 };
    assert_eq!(rig.kafka.committed("g", "t", mine as i32), Some(expected));
}

#[test]
fn rule_10_1_a_revocation_that_comes_during_the_end_is_answered_after_the_last_commit() {
    let callbacks = Callbacks { rebalance: true, commit: false };
    for closes in [true, false] {
        let rig = Rig::new(1);
        rig.write(0, 5);
        let (member, script) = rig.scripted_with(&[SLOW], callbacks);
        member.subscribe(&["t"]).unwrap();
        script.assign(&[0]);
        drop(member.poll_telling(PATIENCE.as_millis() as i32, &mut |event| drop(event)).unwrap());
        let mut revoked = None;
        let mut tell = |_| {
            revoked = Some(script.revoke(&[0]));
            let before = script.calls().iter().filter(|call| *call == "done").count();
            std::thread::sleep(Duration::from_millis(100));
            let after = script.calls().iter().filter(|call| *call == "done").count();
            assert_eq!(before, after, "what was read could not be committed any more");
        };
        let time = PATIENCE.as_millis() as i32;
        match closes {
            true => member.close_telling(time, Some(&mut tell)).unwrap(),
            false => member.unsubscribe(time, Some(&mut tell)).unwrap(),
        }
        assert_eq!(script.offset(0).map(|place| place.offset), Some(5));
        revoked.expect("told").wait();
    }
}

#[test]
fn a_callback_that_never_returns_holds_a_revocation_up_only_for_the_time_between_two_polls() {
    let callbacks = Callbacks { rebalance: true, commit: false };
    let rig = Rig::new(1);
    rig.write(0, 5);
    let (member, script) = rig.scripted_with(&[SLOW, ("max.poll.interval.ms", "3000")], callbacks);
    member.subscribe(&["t"]).unwrap();
    script.assign(&[0]);
    drop(member.poll_telling(PATIENCE.as_millis() as i32, &mut |event| drop(event)).unwrap());
    // It would wait for ever: others need the partition first.
    let mut tell = |_| script.revoke(&[0]).wait();
    member.close_telling(PATIENCE.as_millis() as i32, Some(&mut tell)).unwrap();
}

/// A member that was told of partition 0 and read five messages of it, which are free.
fn told_reader(rig: &Rig, properties: &[(&str, &str)]) -> (Arc<Consumer>, Arc<Script>) {
    let callbacks = Callbacks { rebalance: true, commit: false };
    rig.write(0, 5);
    let (member, script) = rig.scripted_with(properties, callbacks);
    member.subscribe(&["t"]).unwrap();
    script.assign(&[0]);
    drop(member.poll_telling(PATIENCE.as_millis() as i32, &mut |event| drop(event)).unwrap());
    (member, script)
}

#[test]
fn rule_11_2_a_close_commits_what_a_thread_came_back_for_that_ends_the_subscription_meanwhile() {
    let rig = Rig::new(1);
    let (member, script) = told_reader(&rig, &[SLOW]);
    let (mut closed, mut committed) = (None, Vec::new());
    let time = PATIENCE.as_millis() as i32;
    let mut tell = |_| {
        closed = std::thread::scope(|scope| scope.spawn(|| member.close(time)).join().ok());
        committed = script.commits();
    };
    member.unsubscribe(time, Some(&mut tell)).unwrap();
    closed.expect("told").unwrap();
    assert_eq!(committed, [[(0, 5)]]);
}

#[test]
fn rule_10_1_of_two_threads_that_end_subscriptions_the_last_one_gives_partitions_up() {
    let rig = Rig::new(1);
    let (member, script) = told_reader(&rig, &[("enable.auto.commit", "false")]);
    let time = PATIENCE.as_millis() as i32;
    let (mut revoked, mut given_up, mut outcomes) = (None, true, Vec::new());
    let mut tell = |_| {
        let flag = script.revoke(&[0]);
        std::thread::scope(|scope| {
            let second = || member.subscribe(&["t"]).and_then(|()| member.unsubscribe(time, None));
            outcomes.push(scope.spawn(second).join().unwrap());
        });
        given_up = flag.is_set() || script.calls().iter().any(|call| call == "unsubscribe");
        outcomes.push(member.commit(None, time, None).map(drop));
        revoked = Some(flag);
    };
    member.unsubscribe(time, Some(&mut tell)).unwrap();
    outcomes.into_iter().for_each(|outcome| outcome.unwrap());
    assert!(!given_up, "what the first handled could not be committed any more");
    assert_eq!(script.offset(0).map(|place| place.offset), Some(5));
    revoked.expect("told").wait();
    assert_eq!(script.calls().iter().filter(|call| *call == "unsubscribe").count(), 1);
    assert!(member.assignment().unwrap().is_empty());
}

#[test]
fn a_callback_that_panics_at_the_end_of_a_subscription_leaves_the_next_one_its_revocations() {
    let rig = Rig::new(1);
    let (member, script) = told_reader(&rig, &[SLOW]);
    let mut revoked = None;
    let mut tell = |_| {
        revoked = Some(script.revoke(&[0]));
        std::panic::resume_unwind(Box::new("the application's"));
    };
    let end = || member.unsubscribe(PATIENCE.as_millis() as i32, Some(&mut tell));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(end)).is_err());
    revoked.expect("told").wait();
    member.subscribe(&["t"]).unwrap();
    script.assign(&[0]);
    let (mut seen, mut revoked, limit) = (Vec::new(), None, deadline());
    while seen.len() < 2 {
        assert!(Instant::now() < limit, "{seen:?}");
        drop(member.poll_telling(5, &mut |event| seen.push(words(&event))));
        if !seen.is_empty() && revoked.is_none() {
            revoked = Some(script.revoke(&[0]));
        }
    }
    assert_eq!(seen, ["assigned [0]", "revoked [0]"]);
}

#[test]
fn rule_8_25_a_generation_that_ends_as_its_last_commit_arrives_is_followed_to_the_next() {
    // Its only second chance is the next generation.
    let patient = ("retry.backoff.max.ms", "20000");
    let (rig, member) = reader(&[COOPERATIVE, patient], Callbacks::default());
    let second = sleeper(&rig, &member);
    rejoin(&rig, &member, JOIN_GROUP);
    let ended = FaultKind::ErrorCode(Code::ILLEGAL_GENERATION.0 as i16);
    let late = rig.kafka.inject(Fault::new(ended).api(OFFSET_COMMIT).times(1));
    std::thread::scope(|scope| {
        let closing = scope.spawn(|| closes_at_once(&member));
        rig.kafka.wait_injected(late, 1, deadline()).unwrap();
        // Nobody is waited for any more.
        second.close(0).unwrap();
        closing.join().unwrap();
    });
    assert_eq!(rig.kafka.committed("g", "t", 0), Some(5));
    assert!(rig.kafka.group_members("g").is_empty());
}

#[test]
fn rule_8_25_a_round_that_is_being_completed_is_waited_for() {
    let (rig, member) = reader(&[COOPERATIVE], Callbacks::default());
    let slow = Fault::new(FaultKind::Delay(200)).api(SYNC_GROUP).times(1);
    let slow = rig.kafka.inject(slow);
    rejoin(&rig, &member, SYNC_GROUP);
    closes_at_once(&member);
    assert_eq!(rig.kafka.injected(slow), 1);
    assert_eq!(rig.kafka.committed("g", "t", 0), Some(5));
    assert!(rig.kafka.group_members("g").is_empty());
}

#[test]
fn rule_8_25_a_round_that_its_leader_does_not_complete_is_not_waited_for_and_the_error_is_told() {
    let (rig, member) = reader(&[COOPERATIVE], Callbacks::default());
    let unheard = silence(&rig, SYNC_GROUP);
    rejoin(&rig, &member, SYNC_GROUP);
    rig.kafka.wait_injected(unheard, 1, deadline()).unwrap();
    let start = Instant::now();
    assert_code(member.close(PATIENCE.as_millis() as i32), Code::REBALANCE_IN_PROGRESS);
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    assert!(rig.kafka.group_members("g").is_empty(), "it has left all the same");
}

#[test]
fn rule_8_25_an_end_of_the_subscription_does_not_wait_either_and_the_next_one_joins_again() {
    let (rig, member) = reader(&[COOPERATIVE], Callbacks::default());
    // Alone: its own join is the one that nobody hears.
    let unheard = silence(&rig, JOIN_GROUP);
    member.subscribe(&["t", "u"]).unwrap();
    rig.kafka.wait_injected(unheard, 1, deadline()).unwrap();
    let start = Instant::now();
    member.unsubscribe(PATIENCE.as_millis() as i32, None).unwrap();
    assert_eq!(rig.kafka.committed("g", "t", 0), Some(5));
    member.subscribe(&["t"]).unwrap();
    rig.write(0, 1);
    assert_eq!(read(&member, 1)[&0], [5], "not behind the join that is still held");
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
}

#[test]
fn rule_8_25_with_no_time_at_all_the_member_leaves_after_its_last_commit_also_if_it_is_freed() {
    for protocol in [COOPERATIVE, KIP_848] {
        for frees in [false, true] {
            let (rig, member) = reader(&[protocol], Callbacks::default());
            member.close(0).unwrap();
            let kept = (!frees).then_some(member);
            wait_members(&rig, 0);
            assert_eq!(rig.kafka.committed("g", "t", 0), Some(5), "{protocol:?}, freed: {frees}");
            drop(kept);
        }
    }
}

#[test]
fn rule_8_25_so_it_does_while_others_join() {
    for frees in [false, true] {
        let (rig, member) = reader(&[COOPERATIVE], Callbacks::default());
        let _second = sleeper(&rig, &member);
        rejoin(&rig, &member, JOIN_GROUP);
        member.close(0).unwrap();
        let kept = (!frees).then_some(member);
        wait_members(&rig, 1);
        assert_eq!(rig.kafka.committed("g", "t", 0), Some(5), "freed: {frees}");
        drop(kept);
    }
}

#[test]
fn rule_8_25_an_end_of_the_subscription_without_time_gives_up_after_the_last_commit() {
    for protocol in [COOPERATIVE, RANGE, KIP_848] {
        let (rig, member) = reader(&[protocol], Callbacks::default());
        for round in 1..4 {
            member.unsubscribe(0, None).unwrap();
            if round % 2 == 0 {
                wait_members(&rig, 0);
            }
            member.subscribe(&["t"]).unwrap();
            // Exactly once: what it read was committed before somebody else, here itself, could have it.
            rig.write(0, 5);
            let next = 5 * round;
            assert_eq!(read(&member, 5)[&0], (next..next + 5).collect::<Vec<_>>(), "{protocol:?}");
        }
    }
}

#[test]
fn rule_8_25_so_it_does_while_a_round_is_being_completed() {
    for frees in [false, true] {
        let (rig, member) = reader(&[COOPERATIVE], Callbacks::default());
        let slow = rig.kafka.inject(Fault::new(FaultKind::Delay(300)).api(SYNC_GROUP).times(1));
        rejoin(&rig, &member, SYNC_GROUP);
        member.unsubscribe(0, None).unwrap();
        if frees {
            drop(member);
            wait_members(&rig, 0);
        } else {
            // What follows the end waits for it.
            member.subscribe(&["t"]).unwrap();
            rig.write(0, 1);
            assert_eq!(read(&member, 1)[&0], [5]);
        }
        assert_eq!(rig.kafka.injected(slow), 1);
        assert_eq!(rig.kafka.committed("g", "t", 0), Some(5), "freed: {frees}");
    }
}

#[test]
fn a_consumer_that_is_freed_without_a_close_leaves_its_group() {
    for protocol in [COOPERATIVE, KIP_848] {
        let (rig, member) = reader(&[protocol], Callbacks::default());
        drop(member);
        wait_members(&rig, 0);
    }
}

/// Waits until the group has so many members.
fn wait_members(rig: &Rig, count: usize) {
    let limit = deadline();
    while rig.kafka.group_members("g").len() != count {
        assert!(Instant::now() < limit, "{:?}", rig.kafka.group_members("g"));
        std::thread::yield_now();
    }
}
