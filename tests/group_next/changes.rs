//! Offsets while members come and go.

use std::sync::Arc;
use std::time::{Duration, Instant};

use samsa::Code;
use samsa::embedded::{Fault, FaultKind};
use samsa::group::{Committed, TopicPartition};
use samsa::protocol::modern::ApiKey;

use super::peer::Place;
use super::rig::{Peer, Rig, block, soon};

fn place(partition: i64) -> TopicPartition {
    TopicPartition { topic: Arc::from("t"), partition }
}

fn at(offset: i64) -> Committed {
    Committed { offset, leader_epoch: None, metadata: None }
}

/// A partition that the member owns.
fn owned(member: &Peer) -> Place {
    member.owned().pop_first().expect("owns some")
}

#[test]
fn rule_9_12_a_member_commits_and_reads_in_its_epoch() {
    let rig = Rig::new(2);
    let member = rig.member(&[]);
    rig.settled(&[&member], 2);
    member.commit(&("t".to_owned(), 1), 7).expect("committed");
    assert_eq!(rig.kafka.committed("g", "t", 1), Some(7));
    let found = block(member.member.offsets.fetch(vec![place(1), place(0)], soon()));
    let found: Vec<_> = found.expect("told").into_iter().map(|one| one.expect("told")).collect();
    assert_eq!(found.iter().flatten().map(|one| one.offset).collect::<Vec<_>>(), [7]);
}

/// Members whose stale commits wait for another epoch and for nothing else: heartbeats are slow, and so
/// is the longest pause.
fn patient(partitions: i32) -> (Rig, Peer) {
    let rig = Rig::new(partitions);
    rig.kafka.set("group.consumer.heartbeat.interval.ms", "600000").expect("set");
    rig.kafka.create_topic("u", 1).expect("made");
    let member = rig.member(&[("retry.backoff.max.ms", "600000")]);
    rig.settled(&[&member], usize::try_from(partitions).expect("small"));
    (rig, member)
}

fn stale_commit() -> Fault {
    Fault::new(FaultKind::ErrorCode(113)).api(ApiKey::OffsetCommit)
}

#[test]
fn rule_9_11_a_stale_commit_goes_again_with_the_next_epoch() {
    let (rig, member) = patient(4);
    let id = rig.kafka.inject(stale_commit());
    let places: Vec<_> = (0..4).map(|index| (place(index), at(5))).collect();
    let commit = member.member.offsets.commit(places, false, soon());
    let waiting = std::thread::spawn(move || block(commit));
    rig.kafka.wait_injected(id, 1, soon()).expect("met");
    assert!(!waiting.is_finished(), "the epoch is the same");
    // All of "t" goes, and the epoch rises.
    member.subscribe(&["u"]);
    // Only what is still owned is committed (rule 9.11).
    for (index, outcome) in (0..).zip(waiting.join().expect("no panic")) {
        match outcome {
            Ok(()) => assert_eq!(rig.kafka.committed("g", "t", index), Some(5)),
            Err(error) => assert_eq!(error.code(), Code::ILLEGAL_GENERATION),
        }
    }
}

#[test]
fn rule_9_11_a_stale_commit_goes_again_though_the_epoch_stays_the_same() {
    // Slow heartbeats: the pause ends it. Fast ones: the next answer does, after a pause.
    for interval in ["600000", "10"] {
        let rig = Rig::new(1);
        rig.kafka.set("group.consumer.heartbeat.interval.ms", interval).expect("set");
        let member = rig.member(&[]);
        rig.settled(&[&member], 1);
        let epoch = member.identity().expect("a member").generation;
        let id = rig.kafka.inject(stale_commit().times(3));
        member.commit(&("t".to_owned(), 0), 7).expect("committed");
        rig.kafka.wait_injected(id, 3, soon()).expect("met");
        assert_eq!(rig.kafka.committed("g", "t", 0), Some(7));
        assert_eq!(member.identity().expect("a member").generation, epoch);
    }
}

#[test]
fn rule_9_11_a_stale_commit_lets_commits_of_other_partitions_pass_and_no_others() {
    let (rig, member) = patient(2);
    let id = rig.kafka.inject(stale_commit());
    let commit = |index, offset, ms| {
        let deadline = Instant::now() + Duration::from_millis(ms);
        member.member.offsets.commit(vec![(place(index), at(offset))], false, deadline)
    };
    let long = 60_000;
    let stale = commit(0, 5, long);
    rig.kafka.wait_injected(id, 1, soon()).expect("met");
    // Of the same partition: behind it. Of another one: past it.
    let newer = commit(0, 9, long);
    block(commit(1, 7, long)).remove(0).expect("past it");
    assert_eq!(rig.kafka.committed("g", "t", 1), Some(7));
    assert_eq!(rig.kafka.committed("g", "t", 0), None, "it waits for the next epoch");
    // It gets more to read: the epoch rises.
    member.subscribe(&["t", "u"]);
    for outcome in [block(stale), block(newer)] {
        outcome.into_iter().for_each(|one| one.expect("committed"));
    }
    assert_eq!(rig.kafka.committed("g", "t", 0), Some(9), "the newer one came last");
}

#[test]
fn rule_9_11_offsets_that_are_asked_for_in_an_old_epoch_are_asked_for_again() {
    let rig = Rig::new(2);
    let first = rig.member(&[]);
    rig.settled(&[&first], 2);
    first.commit(&("t".to_owned(), 0), 3).expect("committed");
    let stale = Fault::new(FaultKind::RequestError(113)).api(ApiKey::OffsetFetch);
    let id = rig.kafka.inject(stale);
    let fetch = first.member.offsets.fetch(vec![place(0)], soon());
    let waiting = std::thread::spawn(move || block(fetch));
    rig.kafka.wait_injected(id, 1, soon()).expect("met");
    let second = rig.member(&[]);
    let found = waiting.join().expect("no panic").expect("told").remove(0).expect("told");
    assert_eq!(found.map(|one| one.offset), Some(3));
    rig.settled(&[&first, &second], 2);
}

#[test]
fn rule_9_11_commits_go_through_while_members_come_and_go() {
    let rig = Rig::new(4);
    let first = rig.member(&[]);
    rig.settled(&[&first], 4);
    for offset in 1..=4 {
        let second = rig.member(&[]);
        // Whatever moves, one that stays can always be committed.
        let mut committed = 0;
        while second.owned().len() < 2 {
            match first.commit(&owned(&first), offset * 100 + committed) {
                Ok(()) => committed += 1,
                Err(code) => assert_eq!(code, Code::ILLEGAL_GENERATION, "it went meanwhile"),
            }
        }
        assert!(committed > 0);
        second.leave();
        rig.settled(&[&first], 4);
    }
}

#[test]
fn rule_9_18_offsets_are_read_at_the_coordinator_that_is_it_now() {
    let rig = Rig::new(1);
    rig.kafka.set("group.consumer.heartbeat.interval.ms", "60000").expect("set");
    let member = rig.member(&[]);
    rig.settled(&[&member], 1);
    // No heartbeat finds out.
    rig.kafka.move_coordinator("g", 1).expect("moved");
    let deadline = Instant::now() + Duration::from_secs(10);
    let found = block(member.member.offsets.fetch(vec![place(0)], deadline));
    assert_eq!(found.expect("told").remove(0).expect("told"), None);
}
