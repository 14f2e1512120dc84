//! What is committed, when, and who hears of it.

use std::sync::Arc;
use std::time::Duration;

use samsa::Code;
use samsa::config::Config;
use samsa::consumer::{Callbacks, Consumer, Event};
use samsa::embedded::{Fault, FaultKind};
use samsa::group::Committed;
use samsa::protocol::record::Compression;

use crate::group_script::{SLOW, words};
use crate::rig::{Rig, assert_code, batch, deadline, place, poll, poll_error, read};

/// Its API key, as faults take it.
const OFFSET_COMMIT: i16 = 8;
const BY_HAND: (&str, &str) = ("enable.auto.commit", "false");
const QUICK: (&str, &str) = ("auto.commit.interval.ms", "20");
const FOUR: (&str, &str) = ("max.poll.records", "4");

#[test]
fn a_commit_without_positions_ends_before_the_first_message_that_is_not_freed() {
    let rig = Rig::new(1);
    rig.write(0, 12);
    let (consumer, script) = rig.member(&[BY_HAND, FOUR], &[0]);
    let (first, second) = (poll(&consumer), poll(&consumer));
    let commit = || consumer.commit(None, 20_000, None).unwrap()[0].offset.unwrap();
    assert_eq!(commit(), 0);
    drop(second);
    assert_eq!(commit(), 0, "freed out of order");
    drop(first);
    assert_eq!(commit(), 8);
    assert_eq!(script.offset(0).unwrap().offset, 8);
}

#[test]
fn messages_one_by_one_are_freed_one_by_one() {
    let rig = Rig::new(1);
    rig.write(0, 5);
    let (consumer, _script) = rig.member(&[BY_HAND], &[0]);
    let next = || consumer.next(20_000).unwrap();
    let (zero, one, two) = (next(), next(), next());
    let commit = || consumer.commit(None, 20_000, None).unwrap()[0].offset.unwrap();
    drop(one);
    assert_eq!(commit(), 0);
    drop(zero);
    assert_eq!(commit(), 2);
    let copy = two.detached();
    drop(two);
    assert_eq!(commit(), 3, "a copy holds nothing back");
    assert_eq!(copy.record().offset(), 2);
    let rest = poll(&consumer);
    assert_eq!((rest.len(), commit()), (2, 3));
    drop(rest);
    assert_eq!(commit(), 5);
}

#[test]
fn rule_11_1_the_next_offset_is_committed_or_the_end_that_compaction_kept() {
    let rig = Rig::new(1);
    let mut compacted = batch(0, 3, Compression::None);
    // Its last offset was 9; what had the offsets 3 to 9 is gone.
    compacted[23..27].copy_from_slice(&9_i32.to_be_bytes());
    rig.kafka.append_raw("t", 0, &compacted).unwrap();
    rig.write(0, 1);
    let (consumer, script) = rig.member(&[BY_HAND, ("check.crcs", "false")], &[0]);
    let commit = || consumer.commit(None, 20_000, None).unwrap()[0].offset.unwrap();
    for (read, wanted) in [(0, 1), (1, 2), (2, 10), (10, 11)] {
        let message = consumer.next(20_000).unwrap();
        assert_eq!(message.record().offset(), read);
        drop(message);
        assert_eq!(commit(), wanted, "after message {read}");
    }
    assert_eq!(script.offset(0).unwrap().offset, 11, "that of the message that comes next");
}

#[test]
fn rule_9_19_the_clock_commits_only_what_the_thread_came_back_for() {
    let rig = Rig::new(1);
    rig.write(0, 4);
    let (consumer, script) = rig.member(&[QUICK, FOUR], &[0]);
    drop(poll(&consumer));
    let commits = script.wait_commits(1);
    assert_eq!(commits[0], [(0, 0)], "the start, and nothing that is being worked on");
    assert_code(consumer.poll(0), Code::NOTHING);
    assert_eq!(script.wait_commits(2)[1], [(0, 4)]);
    assert_code(consumer.poll(200), Code::NOTHING);
    assert_eq!(script.commits().len(), 2, "what stands still is not committed again");
}

#[test]
fn a_commit_by_the_clock_of_what_is_not_the_member_s_any_more_is_told_by_the_loss_alone() {
    let rig = Rig::new(1);
    rig.write(0, 4);
    let (consumer, script) = rig.member(&[QUICK, FOUR, ("samsa.events", "lost")], &[0]);
    script.refuse(Some(Code::NOT_ASSIGNED));
    drop(poll(&consumer));
    script.wait_commits(2);
    assert_code(consumer.poll(0), Code::NOTHING);
    script.lose(&[0]);
    assert_code(consumer.poll(20_000), Code::EVENT);
    let told = consumer.next_event().unwrap().map(|event| words(&event));
    assert_eq!(told.as_deref(), Some("lost [0]"));
    assert_code(consumer.poll(0), Code::NOTHING);
}

#[test]
fn rule_9_19_a_thread_that_does_not_come_back_holds_back_the_clock_and_one_that_ended_does_not() {
    let rig = Rig::new(1);
    rig.write(0, 8);
    let (consumer, script) = rig.member(&[QUICK, FOUR], &[0]);
    drop(poll(&consumer));
    std::thread::scope(|scope| {
        scope.spawn(|| drop(poll(&consumer)));
    });
    assert_code(consumer.poll(0), Code::NOTHING);
    let limit = crate::rig::deadline();
    while script.offset(0).map(|c| c.offset) != Some(8) {
        assert!(std::time::Instant::now() < limit, "{:?}", script.commits());
        assert_code(consumer.poll(5), Code::NOTHING);
    }
}

#[test]
fn rule_11_2_what_takes_longer_than_the_interval_is_committed_by_the_clock_when_it_is_done() {
    let rig = Rig::new(1);
    rig.write(0, 4);
    let (consumer, script) = rig.member(&[QUICK, FOUR], &[0]);
    // Many intervals, in which there is nothing to commit.
    let work = || script.never("nothing", Duration::from_millis(200));
    drop(poll(&consumer));
    work();
    // The thread comes back, and nothing more is handed out.
    assert_code(consumer.poll(0), Code::NOTHING);
    script.wait_offset(0, 4);

    rig.write(0, 4);
    let batch = poll(&consumer);
    assert_code(consumer.poll(0), Code::NOTHING);
    work();
    // Nobody polls: the messages are freed, that is all.
    drop(batch);
    script.wait_offset(0, 8);
}

#[test]
fn given_positions_are_committed_as_they_are_with_metadata_and_epoch() {
    let rig = Rig::new(2);
    let (consumer, script) = rig.member(&[BY_HAND], &[0]);
    let mut given = place(0).at(3);
    given.metadata = Some(Arc::from("a\0b"));
    given.leader_epoch = Some(5);
    consumer.commit(Some(&[given.clone(), place(1).at(9)]), 20_000, None).unwrap();
    let kept = Committed { offset: 3, leader_epoch: Some(5), metadata: Some(Arc::from("a\0b")) };
    assert_eq!(script.offset(0), Some(kept));
    let found = consumer.committed(Some(&[place(1), place(0)]), 20_000).unwrap();
    assert_eq!((found[0].offset, found[1].offset), (Some(9), Some(3)));
    assert_eq!(found[1].metadata.as_deref(), Some("a\0b"));
    assert_code(consumer.commit(Some(&[place(0)]), 1_000, None), Code::INVALID_ARGUMENT);
    // What `committed` gives goes into `seek` as it is.
    consumer.seek(&found[1..]).unwrap();
}

#[test]
fn rule_11_4_positions_are_not_committed_behind_an_explicit_commit_of_the_same_life() {
    let rig = Rig::new(1);
    rig.write(0, 8);
    let (consumer, script) = rig.member(&[QUICK, FOUR], &[0]);
    // The clock's own commit, of the start, is over: it would race with the next.
    script.wait_offset(0, 0);
    let held = poll(&consumer);
    consumer.commit(Some(&held.positions()), 20_000, None).unwrap();
    let next = poll(&consumer);
    assert_code(consumer.poll(100), Code::NOTHING);
    assert_eq!(script.offset(0).unwrap().offset, 4, "the held batch does not take it back");
    drop((held, next));
    consumer.seek(&[place(0).at(1)]).unwrap();
    drop(poll(&consumer));
    let explicit = consumer.commit(Some(&[place(0).at(2)]), 20_000, None).unwrap();
    assert_eq!(explicit[0].offset, Some(2), "a commit by name may go back");
}

#[test]
fn rule_11_3_stored_offsets_are_of_one_assignment_and_of_what_is_assigned() {
    let rig = Rig::new(2);
    rig.write(0, 8);
    let (consumer, script) = rig.member(&[SLOW, ("enable.auto.offset.store", "false")], &[0]);
    drop(poll(&consumer));
    assert!(consumer.commit(None, 20_000, None).unwrap().is_empty(), "nothing is stored");
    assert_code(consumer.store(&[place(1).at(2)]), Code::NOT_ASSIGNED);
    consumer.store(&[place(0).at(3)]).unwrap();
    let revoked = script.revoke(&[0]);
    assert_code(consumer.poll(20), Code::NOTHING);
    revoked.wait();
    assert_eq!(script.commits(), [[(0, 3)]]);
    // Another member went on; what was stored before is forgotten.
    script.set_offset(0, 7);
    script.assign(&[0]).wait();
    assert_eq!(read(&consumer, 1)[&0], [7]);
    assert!(consumer.commit(None, 20_000, None).unwrap().is_empty());
    let (other, _) = rig.member(&[SLOW], &[0]);
    assert_code(other.store(&[place(0).at(1)]), Code::INVALID_STATE);
}

#[test]
fn an_asynchronous_commit_is_told_as_an_event_by_a_callback_or_as_an_error() {
    let rig = Rig::new(1);
    let at = [place(0).at(1)];
    let (consumer, script) = rig.member(&[BY_HAND, ("samsa.events", "committed")], &[0]);
    consumer.commit(Some(&at), 0, None).unwrap();
    assert_code(consumer.poll(20_000), Code::EVENT);
    assert_eq!(words(&consumer.next_event().unwrap().unwrap()), "committed [0]");
    script.refuse(Some(Code::OFFSET_METADATA_TOO_LARGE));
    consumer.commit(Some(&at), 0, None).unwrap();
    assert_code(consumer.poll(20_000), Code::EVENT);
    let Some(Event::Committed(list)) = consumer.next_event().unwrap() else { panic!("no outcome") };
    let error = list.list()[0].error.as_ref().unwrap();
    assert_eq!(error.code(), Code::OFFSET_METADATA_TOO_LARGE);

    let callbacks = Callbacks { rebalance: false, commit: true };
    let (consumer, script) = rig.scripted_with(&[BY_HAND], callbacks);
    consumer.subscribe(&["t"]).unwrap();
    script.assign(&[0]).wait();
    consumer.commit(Some(&at), 0, None).unwrap();
    let mut seen = Vec::new();
    let mut tell = |event: Event| seen.push(words(&event));
    // A commit that waits tells the outcomes of those before it (11.5).
    consumer.commit(Some(&at), 20_000, Some(&mut tell)).unwrap();
    assert_eq!(seen, ["committed [0]"]);

    let (consumer, script) = rig.member(&[BY_HAND], &[0]);
    script.refuse(Some(Code::OFFSET_METADATA_TOO_LARGE));
    consumer.commit(Some(&at), 0, None).unwrap();
    assert_code(consumer.poll(20_000), Code::OFFSET_METADATA_TOO_LARGE);
}

#[test]
fn rule_11_5_a_commit_that_waits_is_over_after_those_before_it() {
    let rig = Rig::new(1);
    let callbacks = Callbacks { rebalance: false, commit: true };
    let (consumer, script) = rig.scripted_with(&[BY_HAND], callbacks);
    consumer.subscribe(&["t"]).unwrap();
    script.assign(&[0]).wait();
    script.slow_down();
    consumer.commit(Some(&[place(0).at(1)]), 0, None).unwrap();
    script.speed_up();
    let mut seen = Vec::new();
    let mut tell = |event: Event| seen.push(words(&event));
    consumer.commit(Some(&[place(0).at(2)]), 20_000, Some(&mut tell)).unwrap();
    assert_eq!(seen, ["committed [0]"]);

    // As an event likewise: it is there before the call returns.
    let (consumer, script) = rig.member(&[BY_HAND, ("samsa.events", "committed")], &[0]);
    script.slow_down();
    consumer.commit(Some(&[place(0).at(1)]), 0, None).unwrap();
    script.speed_up();
    consumer.commit(Some(&[place(0).at(2)]), 20_000, None).unwrap();
    assert_eq!(words(&consumer.next_event().unwrap().unwrap()), "committed [0]");
}

#[test]
fn what_is_known_of_a_commit_is_not_held_back_longer_than_asked() {
    let rig = Rig::new(1);
    let (consumer, script) = rig.member(&[BY_HAND, ("samsa.events", "committed")], &[0]);
    script.fall_silent();
    consumer.commit(Some(&[place(0).at(1)]), 0, None).unwrap();
    script.speak();
    let told = consumer.commit(Some(&[place(0).at(2)]), 2_000, None).unwrap();
    assert!(told[0].error.is_none() && script.offset(0).unwrap().offset == 2);
}

#[test]
fn a_failed_commit_of_the_clock_is_told_once_until_one_succeeds() {
    let rig = Rig::new(1);
    let (consumer, script) = rig.member(&[QUICK], &[0]);
    script.wait_commits(1);
    script.refuse(Some(Code::GROUP_AUTHORIZATION_FAILED));
    rig.write(0, 1);
    drop(poll(&consumer));
    let error = poll_error(&consumer);
    assert_eq!(error.code(), Code::GROUP_AUTHORIZATION_FAILED);
    assert_eq!((error.topic(), error.partition()), (Some("t"), Some(0)));
    let count = script.commits().len();
    script.wait_commits(count + 2);
    assert_code(consumer.poll(0), Code::NOTHING);
    script.refuse(None);
    script.wait_offset(0, 1);
    script.refuse(Some(Code::GROUP_AUTHORIZATION_FAILED));
    rig.write(0, 1);
    drop(poll(&consumer));
    assert_eq!(poll_error(&consumer).code(), Code::GROUP_AUTHORIZATION_FAILED, "told anew");
}

#[test]
fn a_commit_out_of_time_says_so_and_a_wake_up_ends_it() {
    let rig = Rig::new(1);
    let (consumer, script) = rig.member(&[BY_HAND], &[0]);
    script.fall_silent();
    let at = [place(0).at(1)];
    let told = consumer.commit(Some(&at), 30, None).unwrap();
    assert_eq!(told[0].error.as_ref().unwrap().code(), Code::TIMED_OUT);
    consumer.wakeup();
    assert_code(consumer.commit(Some(&at), 20_000, None), Code::WOKEN);
}

#[test]
fn rule_11_10_assigned_partitions_are_committed_without_membership() {
    let rig = Rig::new(1);
    rig.write(0, 6);
    let (consumer, script) = rig.scripted(&[QUICK, FOUR]);
    script.set_offset(0, 2);
    consumer.assign(&[place(0)]).unwrap();
    assert_eq!(read(&consumer, 4)[&0], [2, 3, 4, 5]);
    assert_code(consumer.poll(0), Code::NOTHING);
    let limit = crate::rig::deadline();
    while script.offset(0).map(|c| c.offset) != Some(6) {
        assert!(std::time::Instant::now() < limit, "{:?}", script.commits());
        std::thread::yield_now();
    }
    assert!(script.calls().is_empty(), "no membership: {:?}", script.calls());
}

#[test]
fn stopped_partitions_are_committed_where_they_stand() {
    let rig = Rig::new(2);
    rig.write(0, 8);
    let (consumer, script) = rig.member(&[BY_HAND, FOUR], &[0, 1]);
    drop(poll(&consumer));
    assert!(!consumer.is_empty().unwrap(), "four wait");
    consumer.stop_partitions(Some(&[place(0)]), 20_000, None).unwrap();
    assert_eq!(script.commits(), [[(0, 4)]]);
    assert!(consumer.is_empty().unwrap());
    assert_code(consumer.poll(50), Code::NOTHING);
    assert!(consumer.is_empty().unwrap());
    consumer.resume(None).unwrap();
    assert_eq!(read(&consumer, 4)[&0], [4, 5, 6, 7]);
}

#[test]
fn rule_11_11_nothing_is_committed_by_the_clock_while_partitions_change_hands() {
    let rig = Rig::new(2);
    rig.write(0, 4);
    let events = ("samsa.events", "assigned");
    let (consumer, script) = rig.scripted(&[QUICK, FOUR, events]);
    let next_event = || {
        assert_code(consumer.poll(20_000), Code::EVENT);
        consumer.next_event().unwrap().expect("poll said so")
    };
    consumer.subscribe(&["t"]).unwrap();
    let first = script.assign(&[0]);
    drop(next_event());
    first.wait();
    drop(poll(&consumer));
    // The thread comes back for its messages when the change has begun.
    let second = script.assign(&[1]);
    let held = next_event();
    assert_eq!(words(&held), "assigned [1]");
    assert_code(consumer.poll(200), Code::NOTHING);
    let committed = || script.offset(0).map(|kept| kept.offset);
    assert_ne!(committed(), Some(4), "ten intervals later");
    drop(held);
    second.wait();
    let limit = crate::rig::deadline();
    while committed() != Some(4) {
        assert!(std::time::Instant::now() < limit, "{:?}", script.commits());
        assert_code(consumer.poll(5), Code::NOTHING);
    }
}

#[test]
fn rule_11_8_a_quiet_partition_of_a_broker_that_forgets_is_committed_again_once() {
    let rig = Rig::new(1);
    rig.write(0, 5);
    let (consumer, script) = rig.scripted(&[QUICK]);
    script.set_offset(0, 5);
    script.forget_by_age();
    consumer.subscribe(&["t"]).unwrap();
    script.assign(&[0]).wait();
    assert_eq!(script.wait_commits(1), [[(0, 5)]]);
    rig.write(0, 1);
    drop(poll(&consumer));
    assert_code(consumer.poll(0), Code::NOTHING);
    script.wait_offset(0, 6);
    assert_eq!(script.commits(), [[(0, 5)], [(0, 6)]], "and not each interval");
}

#[test]
fn rule_11_8_a_close_repeats_what_is_quiet_only_where_it_is_forgotten() {
    let rig = Rig::new(1);
    rig.write(0, 5);
    for forgets in [true, false] {
        let (consumer, script) = rig.scripted(&[SLOW]);
        script.set_offset(0, 5);
        if forgets {
            script.forget_by_age();
        }
        consumer.subscribe(&["t"]).unwrap();
        script.assign(&[0]);
        consumer.wait_started(Some(deadline())).unwrap();
        consumer.close(20_000).unwrap();
        let commits: &[&[(i64, i64)]] = if forgets { &[&[(0, 5)]] } else { &[] };
        assert_eq!(script.commits(), commits);
    }
}

#[test]
fn asynchronous_commits_faster_than_the_coordinator_go_together_and_each_is_told() {
    const COMMITS: i64 = 2_000;
    let rig = Rig::new(1);
    // What comes meanwhile queues up behind the first.
    rig.kafka.inject(Fault::new(FaultKind::Delay(2_000)).api(OFFSET_COMMIT).times(1));
    let mut config = Config::new();
    config.set("group.id", "g").unwrap();
    config.set("enable.auto.commit", "false").unwrap();
    let callbacks = Callbacks { rebalance: false, commit: true };
    let consumer = Consumer::with_callbacks(&rig.cluster, Some(&config), callbacks).unwrap();
    consumer.assign(&[place(0)]).unwrap();
    for offset in 1..=COMMITS {
        consumer.commit(Some(&[place(0).at(offset)]), 0, None).unwrap();
    }
    let mut told = 0;
    let mut tell = |event: Event| {
        let Event::Committed(list) = event else { panic!("{event:?}") };
        assert!(list.list()[0].error.is_none(), "{list:?}");
        told += 1;
    };
    let last = [place(0).at(COMMITS + 1)];
    consumer.commit(Some(&last), 20_000, Some(&mut tell)).unwrap();
    assert_eq!(told, COMMITS);
    assert_eq!(rig.kafka.committed("g", "t", 0), Some(COMMITS + 1));
    let requests = rig.kafka.history().iter().filter(|seen| seen.api == OFFSET_COMMIT).count();
    assert!(requests < COMMITS as usize, "{requests} requests");
}
