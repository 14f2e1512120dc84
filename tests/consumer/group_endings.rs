//! How a member leaves: close, unsubscribe, drop, a coordinator that says nothing.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use samsa::config::Config;
use samsa::consumer::{Callbacks, Consumer, Event};
use samsa::{Code, Result};

use crate::group_script::{SLOW, words};
use crate::rig::{PATIENCE, Rig, assert_code, deadline, place, poll, read};

#[test]
fn rule_8_25_close_tells_the_callback_commits_and_leaves() {
    let rig = Rig::new(1);
    rig.write(0, 5);
    let callbacks = Callbacks { rebalance: true, commit: false };
    let (consumer, script) = rig.scripted_with(&[SLOW], callbacks);
    consumer.subscribe(&["t"]).unwrap();
    script.assign(&[0]);
    let mut seen = Vec::new();
    drop(consumer.poll_telling(20_000, &mut |event| seen.push(words(&event))).unwrap());
    let mut tell = |event: Event| {
        seen.push(words(&event));
        assert!(script.commits().is_empty(), "the callback first");
        consumer.commit(None, 20_000, None).unwrap();
    };
    consumer.close_telling(20_000, Some(&mut tell)).unwrap();
    assert_eq!(seen, ["assigned [0]", "revoked [0]"]);
    assert_eq!(script.commits(), [[(0, 5)]], "and not again what the group knows");
    assert_eq!(script.calls().last().unwrap(), "leave");
    assert_code(consumer.poll(0), Code::CLOSED);
    consumer.close(0).unwrap();
    assert_eq!(script.calls().iter().filter(|call| *call == "leave").count(), 1);
}

#[test]
fn close_commits_what_was_freed_and_makes_no_event() {
    let rig = Rig::new(1);
    rig.write(0, 8);
    let events = ("samsa.events", "revoked,lost");
    let (consumer, script) = rig.member(&[SLOW, events, ("max.poll.records", "4")], &[0]);
    drop(poll(&consumer));
    let held = poll(&consumer);
    consumer.close(20_000).unwrap();
    assert_eq!(script.commits(), [[(0, 4)]]);
    assert_code(consumer.next_event(), Code::CLOSED);
    assert_eq!(held.len(), 4, "what was handed out stays readable");
}

#[test]
fn rule_8_25_a_silent_coordinator_does_not_hold_up_a_close() {
    let rig = Rig::new(1);
    rig.write(0, 5);
    let (consumer, script) = rig.member(&[SLOW], &[0]);
    drop(poll(&consumer));
    script.fall_silent();
    let start = Instant::now();
    assert_code(consumer.close(100), Code::TIMED_OUT);
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_code(consumer.poll(0), Code::CLOSED);
    let (consumer, script) = rig.member(&[SLOW], &[0]);
    script.fall_silent();
    let start = Instant::now();
    consumer.close(0).unwrap();
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn commits_that_nobody_waits_for_are_over_before_the_consumer_is() {
    let by_hand = ("enable.auto.commit", "false");
    for subscribed in [true, false] {
        let rig = Rig::new(1);
        rig.write(0, 5);
        let callbacks = Callbacks { rebalance: false, commit: true };
        let (consumer, script) = rig.scripted_with(&[by_hand], callbacks);
        if subscribed {
            consumer.subscribe(&["t"]).unwrap();
            script.assign(&[0]).wait();
        } else {
            consumer.assign(&[place(0)]).unwrap();
        }
        drop(poll(&consumer));
        script.slow_down();
        consumer.commit(None, 0, None).unwrap();
        let mut seen = Vec::new();
        consumer.close_telling(20_000, Some(&mut |event| seen.push(words(&event)))).unwrap();
        assert_eq!(script.offset(0).map(|place| place.offset), Some(5));
        assert_eq!(seen, ["committed [0]"]);
    }
}

#[test]
fn partitions_are_given_up_when_commits_that_nobody_waits_for_are_over() {
    let by_hand = ("enable.auto.commit", "false");
    for rebalance in [true, false] {
        let rig = Rig::new(1);
        rig.write(0, 5);
        let callbacks = Callbacks { rebalance, commit: false };
        let (consumer, script) = rig.scripted_with(&[by_hand], callbacks);
        consumer.subscribe(&["t"]).unwrap();
        script.assign(&[0]);
        drop(poll(&consumer));
        script.slow_down();
        if !rebalance {
            consumer.commit(None, 0, None).unwrap();
        }
        let given_up = script.revoke(&[0]);
        let mut tell = |_| drop(consumer.commit(None, 0, None).unwrap());
        assert_code(consumer.poll_telling(200, &mut tell), Code::NOTHING);
        given_up.wait();
        assert_eq!(script.offset(0).map(|place| place.offset), Some(5));
    }
}

#[test]
fn a_second_close_does_not_take_the_last_commit_of_the_first() {
    let rig = Rig::new(1);
    rig.write(0, 5);
    let callbacks = Callbacks { rebalance: true, commit: false };
    let (consumer, script) = rig.scripted_with(&[SLOW], callbacks);
    consumer.subscribe(&["t"]).unwrap();
    script.assign(&[0]);
    drop(poll(&consumer));
    std::thread::scope(|scope| {
        let second = std::sync::OnceLock::new();
        let mut tell = |_| {
            // Within the callback of the first: nothing to wait for.
            consumer.close(-1).unwrap();
            assert_code(scope.spawn(|| consumer.close(50)).join().unwrap(), Code::TIMED_OUT);
            scope.spawn(|| consumer.close(0)).join().unwrap().unwrap();
            assert!(second.set(scope.spawn(|| consumer.close(20_000))).is_ok());
        };
        consumer.close_telling(20_000, Some(&mut tell)).unwrap();
        second.into_inner().unwrap().join().unwrap().unwrap();
    });
    assert_eq!(script.commits(), [[(0, 5)]]);
    assert_eq!(script.calls().iter().filter(|call| *call == "leave").count(), 1);
    assert_code(consumer.poll(0), Code::CLOSED);
}

#[test]
fn a_commit_that_a_close_does_not_wait_for_is_told_as_failed_once() {
    for (events, commit) in [("", true), ("committed", false)] {
        for timeout in [0, 1_000] {
            let rig = Rig::new(1);
            rig.write(0, 5);
            let callbacks = Callbacks { rebalance: false, commit };
            let by_hand = [("enable.auto.commit", "false"), ("samsa.events", events)];
            let (consumer, script) = rig.scripted_with(&by_hand, callbacks);
            consumer.subscribe(&["t"]).unwrap();
            script.assign(&[0]).wait();
            drop(poll(&consumer));
            script.fall_silent();
            consumer.commit(None, 0, None).unwrap();
            let mut seen = Vec::new();
            let closed = consumer.close_telling(timeout, Some(&mut |event| seen.push(event)));
            assert_eq!(closed.is_err(), timeout > 0, "{closed:?}");
            seen.extend(consumer.next_event().ok().flatten());
            let [Event::Committed(list)] = seen.as_slice() else { panic!("{seen:?}") };
            let error = list.list()[0].error.as_ref().expect("an error");
            assert_eq!((list.list()[0].offset, error.code()), (Some(5), Code::TIMED_OUT));
            assert_code(consumer.next_event(), Code::CLOSED);
        }
    }
}

#[test]
fn a_commit_that_fails_during_a_close_is_told_with_its_error() {
    let rig = Rig::new(1);
    rig.write(0, 5);
    let callbacks = Callbacks { rebalance: false, commit: true };
    let (consumer, script) = rig.scripted_with(&[("enable.auto.commit", "false")], callbacks);
    consumer.subscribe(&["t"]).unwrap();
    script.assign(&[0]).wait();
    drop(poll(&consumer));
    script.slow_down();
    script.refuse(Some(Code::GROUP_AUTHORIZATION_FAILED));
    consumer.commit(None, 0, None).unwrap();
    let mut seen = Vec::new();
    consumer.close_telling(20_000, Some(&mut |event| seen.push(event))).unwrap();
    let [Event::Committed(list)] = seen.as_slice() else { panic!("{seen:?}") };
    let error = list.list()[0].error.as_ref().expect("an error");
    assert_eq!(error.code(), Code::GROUP_AUTHORIZATION_FAILED);
}

#[test]
fn closing_the_cluster_leaves_the_group_too() {
    let rig = Rig::new(1);
    rig.write(0, 5);
    let (consumer, script) = rig.member(&[SLOW], &[0]);
    drop(poll(&consumer));
    rig.cluster.close(Some(deadline())).unwrap();
    assert_eq!(script.commits(), [[(0, 5)]]);
    assert_eq!(script.calls().last().unwrap(), "leave");
}

#[test]
fn a_consumer_that_is_dropped_leaves_without_waiting_and_commits_nothing() {
    let rig = Rig::new(1);
    rig.write(0, 5);
    let (consumer, script) = rig.member(&[SLOW], &[0]);
    drop(poll(&consumer));
    script.fall_silent();
    drop(consumer);
    script.wait_call("leave");
    assert!(script.commits().is_empty());
}

#[test]
fn steps_that_wait_at_a_close_are_done_with_it() {
    let rig = Rig::new(1);
    rig.write(0, 5);
    let events = ("samsa.events", "assigned,revoked,lost");
    let (consumer, script) = rig.scripted(&[SLOW, events]);
    consumer.subscribe(&["t"]).unwrap();
    let assigned = script.assign(&[0]);
    assert_code(consumer.poll(20_000), Code::EVENT);
    consumer.close(20_000).unwrap();
    assigned.wait();
    script.revoke(&[0]).wait();
    assert_code(consumer.next_event(), Code::CLOSED);
}

#[test]
fn an_ended_subscription_gives_everything_up_and_can_be_followed_by_another() {
    let rig = Rig::new(1);
    rig.write(0, 5);
    let (consumer, script) = rig.member(&[SLOW], &[0]);
    drop(poll(&consumer));
    consumer.unsubscribe(20_000, None).unwrap();
    assert_eq!(script.commits(), [[(0, 5)]]);
    script.wait_call("unsubscribe");
    assert!(consumer.assignment().unwrap().is_empty());
    assert!(consumer.subscription().unwrap().is_empty());
    script.revoke(&[0]).wait();
    // An assignment that crossed the end is not taken.
    script.assign(&[0]).wait();
    assert!(consumer.assignment().unwrap().is_empty());
    consumer.subscribe(&["t"]).unwrap();
    script.assign(&[0]).wait();
    rig.write(0, 1);
    assert_eq!(read(&consumer, 1)[&0], [5]);
    consumer.unsubscribe(20_000, None).unwrap();
    consumer.unsubscribe(20_000, None).unwrap();
}

#[test]
fn what_the_group_says_after_the_end_takes_nothing_that_was_assigned_by_hand_since() {
    let rig = Rig::new(1);
    rig.write(0, 5);
    let (consumer, script) = rig.member(&[SLOW], &[0]);
    drop(poll(&consumer));
    consumer.unsubscribe(20_000, None).unwrap();
    consumer.assign(&[place(0).at(2)]).unwrap();
    // They crossed the end of the subscription.
    script.revoke(&[0]).wait();
    script.lose(&[0]);
    assert_eq!(read(&consumer, 3)[&0], [2, 3, 4]);
    assert_eq!(consumer.assignment().unwrap().len(), 1);
}

/// What a call in a thread of its own gives, which has to end.
fn meanwhile<T: Send + 'static>(
    consumer: &Arc<Consumer>,
    call: impl FnOnce(&Consumer) -> Result<T> + Send + 'static,
) -> mpsc::Receiver<Result<T>> {
    let (told, outcome) = mpsc::channel();
    let consumer = Arc::clone(consumer);
    std::thread::spawn(move || told.send(call(&consumer)));
    outcome
}

fn assert_closed<T: std::fmt::Debug>(outcome: &mpsc::Receiver<Result<T>>) {
    let outcome = outcome.recv_timeout(PATIENCE).expect("the call ends with the consumer");
    assert_code(outcome, Code::CLOSED);
}

#[test]
fn calls_that_wait_without_a_limit_end_when_another_thread_closes_the_consumer() {
    let rig = Rig::new(1);
    for round in 0..60 {
        let (consumer, script) = rig.member(&[("enable.auto.commit", "false")], &[0]);
        script.fall_silent();
        let at = [place(0).at(3)];
        let commit = meanwhile(&consumer, move |consumer| consumer.commit(Some(&at), -1, None));
        let committed = meanwhile(&consumer, |consumer| consumer.committed(None, -1));
        let (waiting, _) = rig.scripted(&[SLOW]);
        waiting.subscribe(&["t"]).unwrap();
        let started = meanwhile(&waiting, |consumer| consumer.wait_started(None));
        if round % 2 == 0 {
            script.wait_call("commit");
        }
        // The coordinator is silent: out of time or not, the consumer is closed.
        let _ = consumer.close(round % 3);
        waiting.close(0).unwrap();
        assert_closed(&commit);
        assert_closed(&committed);
        assert_closed(&started);
    }
}

#[test]
fn who_waits_for_the_first_partitions_of_a_group_is_told_that_the_cluster_was_closed() {
    for _ in 0..10 {
        let rig = Rig::new(1);
        let (consumer, _script) = rig.scripted(&[SLOW]);
        consumer.subscribe(&["t"]).unwrap();
        let started = meanwhile(&consumer, |consumer| consumer.wait_started(None));
        rig.cluster.close(Some(deadline())).unwrap();
        assert_closed(&started);
    }
}

#[test]
fn a_commit_that_its_caller_gave_up_on_is_told_when_a_close_cuts_it_off() {
    let rig = Rig::new(1);
    let callbacks = Callbacks { rebalance: false, commit: true };
    let (consumer, script) = rig.scripted_with(&[("enable.auto.commit", "false")], callbacks);
    consumer.subscribe(&["t"]).unwrap();
    script.assign(&[0]).wait();
    script.fall_silent();
    consumer.wakeup();
    assert_code(consumer.commit(Some(&[place(0).at(3)]), -1, None), Code::WOKEN);
    let mut seen = Vec::new();
    let closed = consumer.close_telling(2_000, Some(&mut |event| seen.push(event)));
    assert_code(closed, Code::TIMED_OUT);
    let [Event::Committed(list)] = seen.as_slice() else { panic!("{seen:?}") };
    let error = list.list()[0].error.as_ref().expect("an error");
    assert_eq!((list.list()[0].offset, error.code()), (Some(3), Code::TIMED_OUT));
}

#[test]
fn a_close_whose_callback_takes_all_its_time_tells_that_commits_are_still_out() {
    let rig = Rig::new(1);
    let callbacks = Callbacks { rebalance: true, commit: true };
    let (consumer, script) = rig.scripted_with(&[("enable.auto.commit", "false")], callbacks);
    consumer.subscribe(&["t"]).unwrap();
    script.assign(&[0]);
    assert_code(consumer.poll_telling(50, &mut |_| {}), Code::NOTHING);
    script.fall_silent();
    consumer.commit(Some(&[place(0).at(3)]), 0, None).unwrap();
    let mut seen = Vec::new();
    let mut tell = |event: Event| {
        if matches!(event, Event::Revoked(_)) {
            std::thread::sleep(Duration::from_millis(1_000));
        }
        seen.push(words(&event));
    };
    assert_code(consumer.close_telling(1_000, Some(&mut tell)), Code::TIMED_OUT);
    assert_eq!(seen, ["revoked [0]", "committed [0]"]);
}

#[test]
fn a_subscription_made_while_another_ends_is_told_behind_the_end() {
    let rig = Rig::new(2);
    rig.kafka.create_topic("u", 1).unwrap();
    let callbacks = Callbacks { rebalance: true, commit: false };
    for elsewhere in [false, true] {
        let (consumer, script) = rig.scripted_with(&[SLOW], callbacks);
        consumer.subscribe(&["t"]).unwrap();
        script.assign(&[0]);
        assert_code(consumer.poll_telling(50, &mut |_| {}), Code::NOTHING);
        let mut tell = |event: Event| {
            assert_eq!(words(&event), "revoked [0]");
            std::thread::scope(|scope| match elsewhere {
                true => scope.spawn(|| consumer.subscribe(&["u"])).join().unwrap().unwrap(),
                false => consumer.subscribe(&["u"]).unwrap(),
            });
            // This share is still one of the old subscription.
            script.assign(&[1]).wait();
        };
        consumer.unsubscribe(20_000, Some(&mut tell)).unwrap();
        let calls = script.calls().into_iter().filter(|call| call.ends_with("subscribe"));
        assert_eq!(calls.collect::<Vec<_>>(), ["subscribe", "unsubscribe", "subscribe"]);
        assert_eq!(*script.subscription().unwrap().topics[0], *"u");
        assert_eq!(*consumer.subscription().unwrap()[0], *"u");
        assert!(consumer.assignment().unwrap().is_empty());
        script.assign(&[1]);
        assert_code(consumer.poll_telling(50, &mut |_| {}), Code::NOTHING);
        assert_eq!(consumer.assignment().unwrap().len(), 1);
    }
}

#[test]
fn a_topic_subscribed_to_again_in_the_callback_of_an_unsubscribe_is_read() {
    let rig = Rig::new(1);
    rig.write(0, 5);
    let mut config = Config::new();
    config.set("group.id", "g").unwrap();
    let callbacks = Callbacks { rebalance: true, commit: false };
    let consumer = Consumer::with_callbacks(&rig.cluster, Some(&config), callbacks).unwrap();
    consumer.subscribe(&["t"]).unwrap();
    let next = || {
        let limit = deadline();
        loop {
            match consumer.poll_telling(1_000, &mut |_| {}) {
                Ok(batch) => return batch.iter().next().map(|record| record.offset()),
                Err(error) => assert_eq!(error.code(), Code::NOTHING),
            }
            assert!(Instant::now() < limit, "nothing is read");
        }
    };
    assert_eq!(next(), Some(0));
    let mut tell = |_| consumer.subscribe(&["t"]).unwrap();
    consumer.unsubscribe(20_000, Some(&mut tell)).unwrap();
    rig.write(0, 1);
    assert_eq!(next(), Some(5), "what was handled is committed, and the rest read");
}

#[test]
fn partitions_assigned_by_hand_in_the_callback_of_an_unsubscribe_stay() {
    let rig = Rig::new(1);
    rig.write(0, 5);
    let callbacks = Callbacks { rebalance: true, commit: false };
    let (consumer, script) = rig.scripted_with(&[SLOW], callbacks);
    consumer.subscribe(&["t"]).unwrap();
    script.assign(&[0]);
    drop(poll(&consumer));
    let mut tell = |_| consumer.assign(&[place(0).at(2)]).unwrap();
    consumer.unsubscribe(20_000, Some(&mut tell)).unwrap();
    assert_eq!(read(&consumer, 3)[&0], [2, 3, 4]);
}

#[test]
fn rule_11_2_a_last_commit_stops_at_what_another_thread_still_works_on() {
    let ends: [fn(&Rig, &Consumer) -> Result<()>; 3] = [
        |_, consumer| consumer.close(20_000),
        |_, consumer| consumer.unsubscribe(20_000, None),
        |rig, _| rig.cluster.close(Some(deadline())),
    ];
    for end in ends {
        let rig = Rig::new(1);
        rig.write(0, 8);
        let (consumer, script) = rig.member(&[SLOW, ("max.poll.records", "4")], &[0]);
        drop(poll(&consumer));
        let ((got, works), (over, goes)) = (mpsc::channel(), mpsc::channel::<()>());
        std::thread::scope(|scope| {
            let consumer = &consumer;
            scope.spawn(move || {
                // Bindings copy what they hand on: the work goes on when the batch is freed.
                drop(poll(consumer));
                got.send(()).unwrap();
                // Until it is told, or the other failed.
                let _ = goes.recv_timeout(PATIENCE);
            });
            works.recv_timeout(PATIENCE).expect("it gets what is left");
            let ended = end(&rig, consumer);
            let commits = script.commits();
            drop(over);
            ended.unwrap();
            assert_eq!(commits, [[(0, 4)]], "what the thread that leaves came back for");
        });
    }
}

#[test]
fn rule_11_2_a_thread_that_ended_does_not_hold_back_a_last_commit() {
    let rig = Rig::new(1);
    rig.write(0, 5);
    let (consumer, script) = rig.member(&[SLOW], &[0]);
    let other = Arc::clone(&consumer);
    std::thread::spawn(move || drop(poll(&other))).join().unwrap();
    consumer.close(20_000).unwrap();
    assert_eq!(script.commits(), [[(0, 5)]]);
}
