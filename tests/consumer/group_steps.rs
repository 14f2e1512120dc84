//! Partitions that come and go: who hears of it, when, and what is handed out meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use samsa::Code;
use samsa::consumer::{Callbacks, Consumer, Event, Position};

use crate::group_script::{SLOW, numbers, words};
use crate::rig::{Rig, assert_code, place, poll, read};

const EVENTS: (&str, &str) = ("samsa.events", "assigned,revoked,lost");
const REBALANCE: Callbacks = Callbacks { rebalance: true, commit: false };

/// Polls for a moment: messages that came.
fn drain(consumer: &Consumer) -> usize {
    let mut count = 0;
    while let Ok(batch) = consumer.poll(30) {
        count += batch.len();
    }
    count
}

/// Polls until an event waits, and takes it; messages before it are a failure.
fn event(consumer: &Consumer) -> Event {
    assert_code(consumer.poll(20_000), Code::EVENT);
    consumer.next_event().unwrap().expect("poll said so")
}

#[test]
fn rule_7_1_what_the_group_gives_is_read_from_its_committed_offsets_or_else_by_the_policy() {
    let rig = Rig::new(2);
    rig.write(0, 10);
    rig.write(1, 3);
    let (consumer, script) = rig.scripted(&[SLOW]);
    script.set_offset(0, 7);
    consumer.subscribe(&["t"]).unwrap();
    script.assign(&[0, 1]).wait();
    let got = read(&consumer, 6);
    assert_eq!((&got[&0][..], &got[&1][..]), (&[7, 8, 9][..], &[0, 1, 2][..]));
}

#[test]
fn reset_offset_on_start_holds_for_the_first_assignment_of_a_partition() {
    let rig = Rig::new(1);
    rig.write(0, 5);
    let (consumer, script) = rig.scripted(&[SLOW, ("samsa.reset.offset.on.start", "true")]);
    script.set_offset(0, 3);
    consumer.subscribe(&["t"]).unwrap();
    script.assign(&[0]).wait();
    assert_eq!(read(&consumer, 5)[&0].len(), 5, "by the policy, though 3 is committed");
    let revoked = script.revoke(&[0]);
    assert_code(consumer.poll(50), Code::NOTHING);
    revoked.wait();
    script.assign(&[0]).wait();
    rig.write(0, 1);
    assert_eq!(read(&consumer, 1)[&0], [5], "the second time from what was committed");
}

#[test]
fn rule_8_12_partitions_that_stay_are_not_fetched_anew_when_others_come_and_go() {
    let rig = Rig::new(3);
    rig.write(0, 9);
    let (consumer, script) = rig.member(&[SLOW, ("max.poll.records", "3")], &[0, 1]);
    assert_eq!(read(&consumer, 3)[&0], [0, 1, 2]);
    // What waits of partition 0 must outlive the change: nobody could fetch it again.
    rig.kafka.delete_records("t", 0, 9).unwrap();
    let revoked = script.revoke(&[1]);
    assert_eq!(read(&consumer, 3)[&0], [3, 4, 5]);
    revoked.wait();
    script.assign(&[2]).wait();
    assert_eq!(read(&consumer, 3)[&0], [6, 7, 8]);
    rig.write(2, 2);
    assert_eq!(read(&consumer, 2)[&2], [0, 1]);
    assert_eq!(numbers(&consumer.assignment().unwrap()), [0, 2]);
}

#[test]
fn nothing_of_a_partition_is_handed_out_from_the_arrival_of_its_revocation_on() {
    let rig = Rig::new(2);
    rig.write(0, 50);
    let (consumer, script) = rig.scripted(&[SLOW, EVENTS, ("max.poll.records", "5")]);
    consumer.subscribe(&["t"]).unwrap();
    let assigned = script.assign(&[0, 1]);
    drop(event(&consumer));
    assigned.wait();
    assert_eq!(read(&consumer, 5)[&0].len(), 5);
    let revoked = script.revoke(&[0]);
    rig.write(1, 1);
    // The poll may come back for what it got before anything is told; of 0 nothing comes.
    let event = loop {
        match consumer.poll(20_000) {
            Ok(batch) => assert!(batch.iter().all(|record| record.partition() == 1)),
            Err(error) if error.code() == Code::EVENT => {
                break consumer.next_event().unwrap().unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(words(&event), "revoked [0]");
    assert!(!revoked.is_set(), "held until the event is freed");
    assert_eq!(script.commits(), [[(0, 5)]]);
    drop(event);
    revoked.wait();
    assert_eq!(numbers(&consumer.assignment().unwrap()), [1]);
}

#[test]
fn rule_8_11_a_revocation_waits_for_who_works_on_messages_and_commits_what_they_did() {
    let rig = Rig::new(1);
    rig.write(0, 10);
    let (consumer, script) = rig.member(&[SLOW, ("max.poll.records", "4")], &[0]);
    let batch = poll(&consumer);
    let revoked = script.revoke(&[0]);
    // The application works on its batch.
    script.never("done again", Duration::from_millis(50));
    assert!(!revoked.is_set() && script.commits().is_empty());
    drop(batch);
    assert_code(consumer.poll(50), Code::NOTHING);
    revoked.wait();
    assert_eq!(script.commits(), [[(0, 4)]]);
}

#[test]
fn a_revocation_needs_nobody_when_nothing_is_in_the_applications_hands() {
    let rig = Rig::new(1);
    let (consumer, script) = rig.member(&[SLOW], &[0]);
    script.revoke(&[0]).wait();
    assert!(consumer.assignment().unwrap().is_empty());
}

#[test]
fn what_is_assigned_is_held_until_its_event_is_freed_and_a_seek_there_counts() {
    let rig = Rig::new(1);
    rig.write(0, 10);
    let (consumer, script) = rig.scripted(&[SLOW, EVENTS]);
    script.set_offset(0, 2);
    consumer.subscribe(&["t"]).unwrap();
    let assigned = script.assign(&[0]);
    let event = event(&consumer);
    assert_eq!(words(&event), "assigned [0]");
    assert_eq!(drain(&consumer), 0, "held");
    consumer.seek(&[place(0).at(8)]).unwrap();
    assert_eq!(drain(&consumer), 0, "still held");
    assert!(!assigned.is_set());
    drop(event);
    assigned.wait();
    assert_eq!(read(&consumer, 2)[&0], [8, 9]);
}

#[test]
fn a_callback_hears_inside_polls_and_may_seek_and_commit_there() {
    let rig = Rig::new(2);
    rig.write(0, 6);
    let (consumer, script) = rig.scripted_with(&[SLOW, ("enable.auto.commit", "false")], REBALANCE);
    consumer.subscribe(&["t"]).unwrap();
    let assigned = script.assign(&[0, 1]);
    let mut seen = Vec::new();
    let batch = consumer.poll_telling(20_000, &mut |event| {
        seen.push(words(&event));
        consumer.seek(&[place(0).at(4)]).unwrap();
    });
    assert_eq!(batch.unwrap().get(0).unwrap().offset(), 4);
    assigned.wait();
    let revoked = script.revoke(&[0, 1]);
    let mut tell = |event: Event| {
        seen.push(words(&event));
        let Event::Revoked(list) = &event else { panic!("{event:?}") };
        assert_eq!(list.list()[0].offset, Some(6), "where reading stopped");
        assert!(!revoked.is_set());
        consumer.commit(Some(&list.list()[..1]), 20_000, None).unwrap();
    };
    assert_code(consumer.poll_telling(100, &mut tell), Code::NOTHING);
    revoked.wait();
    assert_eq!(seen, ["assigned [0, 1]", "revoked [0, 1]"]);
    assert_eq!(script.commits(), [[(0, 6)]]);
}

#[test]
fn events_of_the_group_overtake_queued_messages_and_end_a_wait() {
    let rig = Rig::new(2);
    rig.write(0, 100);
    let (consumer, script) = rig.scripted(&[SLOW, EVENTS, ("max.poll.records", "1")]);
    consumer.subscribe(&["t"]).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| consumer.poll(-1));
        script.assign(&[0]);
        assert_code(waiting.join().unwrap(), Code::EVENT);
    });
    drop(consumer.next_event().unwrap());
    assert_eq!(read(&consumer, 1)[&0], [0]);
    script.assign(&[1]);
    assert_eq!(words(&event(&consumer)), "assigned [1]", "before the 99 that wait");
}

#[test]
fn rule_8_17_lost_partitions_are_not_committed_and_told_apart_from_revoked_ones() {
    let rig = Rig::new(2);
    rig.write(0, 4);
    let (consumer, script) = rig.scripted(&[SLOW, EVENTS]);
    consumer.subscribe(&["t"]).unwrap();
    let assigned = script.assign(&[0, 1]);
    drop(event(&consumer));
    assigned.wait();
    assert_eq!(read(&consumer, 4)[&0].len(), 4);
    script.lose(&[0, 1]);
    assert_eq!(words(&event(&consumer)), "lost [0, 1]");
    assert!(consumer.commit(None, 20_000, None).unwrap().is_empty(), "nothing is its own");
    assert!(script.commits().is_empty() && consumer.assignment().unwrap().is_empty());
}

#[test]
fn an_assignment_that_is_lost_before_it_was_told_is_never_told() {
    let rig = Rig::new(2);
    let (consumer, script) = rig.scripted(&[SLOW, EVENTS]);
    consumer.subscribe(&["t"]).unwrap();
    let assigned = script.assign(&[0]);
    script.lose(&[0]);
    assigned.wait();
    let next = script.assign(&[1]);
    assert_eq!(words(&event(&consumer)), "assigned [1]");
    next.wait();
}

#[test]
fn a_revocation_that_is_lost_before_it_was_told_is_told_as_lost() {
    let rig = Rig::new(1);
    rig.write(0, 1);
    let (consumer, script) = rig.scripted(&[SLOW, EVENTS]);
    consumer.subscribe(&["t"]).unwrap();
    let assigned = script.assign(&[0]);
    drop(event(&consumer));
    assigned.wait();
    let _held = poll(&consumer);
    let revoked = script.revoke(&[0]);
    script.lose(&[0]);
    assert_eq!(words(&event(&consumer)), "lost [0]");
    revoked.wait();
    assert!(script.commits().is_empty());
}

#[test]
fn rule_8_13_a_partition_that_goes_and_comes_back_is_looked_up_anew() {
    let rig = Rig::new(1);
    rig.write(0, 9);
    let (consumer, script) = rig.member(&[SLOW], &[0]);
    assert_eq!(read(&consumer, 9)[&0].len(), 9);
    script.lose(&[0]);
    script.set_offset(0, 6);
    script.assign(&[0]).wait();
    assert_eq!(read(&consumer, 3)[&0], [6, 7, 8], "another member's commit counts");
}

#[test]
fn an_event_that_is_held_too_long_holds_nothing_any_more() {
    let rig = Rig::new(1);
    let (consumer, script) = rig.scripted(&[SLOW, EVENTS, ("max.poll.interval.ms", "300")]);
    consumer.subscribe(&["t"]).unwrap();
    let assigned = script.assign(&[0]);
    let held = event(&consumer);
    assigned.wait();
    drop(held);
    assert_eq!(numbers(&consumer.assignment().unwrap()), [0]);
}

#[test]
fn an_event_that_is_held_for_the_time_that_was_asked_for_still_holds() {
    let rig = Rig::new(1);
    let (consumer, script) = rig.scripted(&[SLOW, EVENTS, ("max.poll.interval.ms", "100")]);
    consumer.subscribe(&["t"]).unwrap();
    let assigned = script.assign(&[0]);
    drop(event(&consumer));
    assigned.wait();
    consumer.extend(Duration::from_secs(600)).unwrap();
    let revoked = script.revoke(&[0]);
    let held = event(&consumer);
    script.never("step out", Duration::from_millis(400));
    assert!(!revoked.is_set(), "the application asked for more time");
    drop(held);
    revoked.wait();
}

#[test]
fn work_of_the_membership_is_done_by_the_thread_that_polls() {
    let rig = Rig::new(1);
    let (consumer, script) = rig.member(&[SLOW], &[0]);
    let (sender, ran) = samsa::runtime::Completion::new();
    let job = move || sender.send(Ok(std::thread::current().id()));
    script.step(samsa::group::Step::Run(samsa::group::Job(Box::new(job))));
    assert_code(consumer.poll(0), Code::NOTHING);
    assert_eq!(ran.try_take().unwrap().unwrap(), std::thread::current().id());
}

#[test]
fn a_failure_of_the_membership_is_told_once() {
    let rig = Rig::new(1);
    let (consumer, script) = rig.member(&[SLOW], &[0]);
    script.step(samsa::group::Step::Failed(samsa::Error::bare(Code::GROUP_AUTHORIZATION_FAILED)));
    assert_code(consumer.poll(20_000), Code::GROUP_AUTHORIZATION_FAILED);
    assert_code(consumer.poll(30), Code::NOTHING);
}

#[test]
fn subscribing_and_assigning_do_not_mix() {
    let rig = Rig::new(1);
    let (consumer, script) = rig.scripted(&[SLOW]);
    consumer.assign(&[place(0)]).unwrap();
    assert_code(consumer.subscribe(&["t"]), Code::INVALID_STATE);
    consumer.assign(&[]).unwrap();
    consumer.subscribe(&["t", "^x.*", "!xy"]).unwrap();
    assert_code(consumer.assign(&[place(0)]), Code::INVALID_STATE);
    let said = consumer.subscription().unwrap();
    assert_eq!(said.iter().map(|s| &**s).collect::<Vec<_>>(), ["t", "^x.*", "!xy"]);
    let heard = script.subscription().unwrap();
    assert_eq!((&*heard.topics[0], &*heard.patterns[0], &*heard.except[0]), ("t", "x.*", "xy"));
    assert_code(rig.consumer(&[]).subscribe(&["t"]), Code::INVALID_GROUP_ID);
}

#[test]
fn who_the_member_is_can_be_asked_and_a_rebalance_asked_for() {
    let rig = Rig::new(1);
    let (consumer, script) = rig.scripted(&[SLOW]);
    assert!(consumer.identity().unwrap().is_none());
    assert_code(consumer.enforce_rebalance(), Code::INVALID_STATE);
    consumer.subscribe(&["t"]).unwrap();
    let identity = consumer.identity().unwrap().unwrap();
    assert_eq!((&*identity.member, identity.generation), ("m-1", 7));
    consumer.enforce_rebalance().unwrap();
    script.wait_call("rejoin");
}

#[test]
fn rule_8_24_an_application_that_reads_no_more_leaves_and_comes_back_with_its_next_poll() {
    let rig = Rig::new(1);
    rig.write(0, 10);
    let (consumer, script) =
        rig.member(&[SLOW, ("max.poll.interval.ms", "250"), ("max.poll.records", "2")], &[0]);
    assert_eq!(read(&consumer, 2)[&0], [0, 1]);
    script.wait_call("step out");
    script.lose(&[0]);
    assert_code(consumer.poll(0), Code::MAX_POLL_EXCEEDED);
    script.wait_call("step in");
    assert_code(consumer.poll(20), Code::NOTHING);
}

#[test]
fn rule_8_24_an_application_on_an_idle_topic_keeps_its_place() {
    let rig = Rig::new(1);
    let (consumer, script) = rig.member(&[SLOW, ("max.poll.interval.ms", "50")], &[0]);
    assert_code(consumer.poll(100), Code::NOTHING);
    script.never("step out", Duration::from_millis(300));
}

#[test]
fn rule_8_24_what_is_paused_does_not_wait_to_be_read() {
    let rig = Rig::new(1);
    rig.write(0, 10);
    let (consumer, script) =
        rig.member(&[SLOW, ("max.poll.interval.ms", "400"), ("max.poll.records", "2")], &[0]);
    assert_eq!(read(&consumer, 2)[&0], [0, 1]);
    consumer.pause(None).unwrap();
    assert!(consumer.is_empty().unwrap(), "eight are there, but not to be read");
    script.never("step out", Duration::from_millis(800));
    consumer.resume(None).unwrap();
    assert!(!consumer.is_empty().unwrap());
    assert_eq!(read(&consumer, 2)[&0], [2, 3]);
}

#[test]
fn time_can_be_asked_for() {
    let rig = Rig::new(1);
    rig.write(0, 10);
    let (consumer, script) =
        rig.member(&[SLOW, ("max.poll.interval.ms", "100"), ("max.poll.records", "2")], &[0]);
    consumer.extend(Duration::from_secs(600)).unwrap();
    assert_eq!(read(&consumer, 2)[&0], [0, 1]);
    script.never("step out", Duration::from_millis(400));
    assert_eq!(read(&consumer, 2)[&0], [2, 3]);
}

#[test]
fn a_topic_in_a_group_waits_for_its_assignment_and_its_starts() {
    let rig = Rig::new(1);
    let (consumer, script) = rig.scripted(&[SLOW]);
    consumer.subscribe(&["t"]).unwrap();
    let consumer = Arc::clone(&consumer);
    assert_code(consumer.wait_started(Some(std::time::Instant::now())), Code::TIMED_OUT);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| consumer.wait_started(Some(crate::rig::deadline())));
        script.assign(&[0]);
        waiting.join().unwrap().unwrap();
    });
    assert_eq!(consumer.position(None).unwrap()[0].offset, Some(0));
}

#[test]
fn what_starts_in_a_group_ends_with_the_cluster_s_wake_up_and_with_a_close() {
    let rig = Rig::new(1);
    let (consumer, _script) = rig.scripted(&[SLOW]);
    consumer.subscribe(&["t"]).unwrap();
    rig.cluster.wakeup();
    assert_code(consumer.wait_started(Some(crate::rig::deadline())), Code::WOKEN);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| consumer.wait_started(Some(crate::rig::deadline())));
        consumer.close(0).unwrap();
        assert_code(waiting.join().unwrap(), Code::CLOSED);
    });
}

#[test]
fn rules_8_7_and_10_6_nothing_is_handed_out_past_the_time_for_which_the_member_is_sure_to_be_one() {
    let rig = Rig::new(1);
    rig.write(0, 9);
    let (consumer, script) = rig.member(&[SLOW, ("max.poll.records", "3")], &[0]);
    let hour = Duration::from_secs(3_600);
    script.confirmed(Some(Instant::now() + hour));
    assert_eq!(read(&consumer, 3)[&0], [0, 1, 2]);
    assert_eq!(consumer.next(20_000).unwrap().record().offset(), 3);
    assert_eq!(consumer.next(20_000).unwrap().record().offset(), 4);
    // What is queued now is as good as another member's.
    script.confirmed(Some(Instant::now()));
    assert_code(consumer.next(0), Code::NOTHING);
    assert_code(consumer.poll(50), Code::NOTHING);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| consumer.next(20_000).unwrap().record().offset());
        script.confirmed(Some(Instant::now() + hour));
        assert_eq!(waiting.join().unwrap(), 5, "it was a member all the time");
    });
    script.confirmed(Some(Instant::now()));
    script.lose(&[0]);
    script.confirmed(None);
    assert_code(consumer.poll(50), Code::NOTHING);
    // Without a group nobody says for how long it reads.
    script.confirmed(Some(Instant::now()));
    consumer.unsubscribe(0, None).unwrap();
    let seventh = Position { offset: Some(7), ..place(0) };
    consumer.assign(&[seventh]).unwrap();
    assert_eq!(read(&consumer, 2)[&0], [7, 8]);
}
