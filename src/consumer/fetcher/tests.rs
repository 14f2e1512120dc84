//! Tests of asking and of taking in: pure, without a broker.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::arrival::{Aftermath, Context, accept};
use super::plan::{Asked, Limits, choose, cut_to_fit, request, wish_of, worth};
use super::session::{Session, Words};
use crate::config::Reset;
use crate::consumer::budget::{Budget, Unread};
use crate::consumer::event::Event;
use crate::consumer::fixture::{
    BROKER, answer, batch, config, keep, now, share, state, state_with,
};
use crate::consumer::partition::{Item, Marks, Phase};
use crate::consumer::position::Start;
use crate::consumer::state::State;
use crate::consumer::truncation::Finding;
use crate::error::Code;
use crate::protocol::modern::Uuid;
use crate::protocol::modern::messages::fetch::{FetchResponse, PartitionData};

fn ask(state: &State, now: Instant) -> Vec<Asked> {
    match choose(state, (BROKER, &state.led[&BROKER]), now) {
        ControlFlow::Continue(asked) => asked,
        ControlFlow::Break(_) => Vec::new(),
    }
}

fn numbers(asked: &[Asked]) -> Vec<i32> {
    asked.iter().map(|a| a.number).collect()
}

/// Takes in an answer to what is asked now.
fn take(state: &mut State, asked: Vec<Asked>, response: FetchResponse, version: i16) -> Aftermath {
    let config = config();
    let budget = Budget::new(1 << 20, &std::sync::Arc::default());
    let seat = state.led[&BROKER].seat.clone();
    let context = Context {
        config: &config,
        broker: BROKER,
        version,
        now: now(),
        lease: Some(budget.charge(&seat, 1)),
        unread: Unread::new(&seat),
    };
    accept(state, &asked, true, response, &context)
}

fn fetch(state: &mut State, shares: Vec<PartitionData>) -> Aftermath {
    let asked = ask(state, now() + Duration::from_secs(60));
    take(state, asked, answer(shares), 12)
}

fn limits() -> Limits {
    Limits { max_wait_ms: 500, min_bytes: 1, max_bytes: 10_000, isolation: 0 }
}

#[test]
fn a_request_outside_of_sessions_names_each_topic_once() {
    let state = state(2);
    let asked = ask(&state, now());
    let made = request(&asked, &Words::sessionless(&asked), 12, limits(), "");
    assert_eq!((made.session_id, made.session_epoch, made.max_bytes), (0, -1, 10_000));
    assert_eq!(made.topics.len(), 1);
    let partitions = &made.topics[0].partitions;
    assert_eq!(partitions.iter().map(|p| p.partition).collect::<Vec<_>>(), [0, 1]);
    assert_eq!((partitions[0].current_leader_epoch, partitions[0].partition_max_bytes), (3, 1_000));
}

#[test]
fn rule_2_6_topic_ids_go_only_into_versions_that_have_them() {
    let mut state = state(1);
    assert!(!super::plan::all_have_ids(&ask(&state, now())));
    state.partitions[0].topic_id = Uuid([7; 16]);
    let asked = ask(&state, now());
    assert!(super::plan::all_have_ids(&asked));
    let id_in = |version| {
        request(&asked, &Session::default().next(&asked, version >= 13), version, limits(), "")
            .topics[0]
            .topic_id
    };
    assert_eq!((id_in(13), id_in(12)), (Uuid([7; 16]), Uuid::ZERO));
}

#[test]
fn rule_6_8_what_just_delivered_goes_last() {
    let mut state = state(3);
    fetch(&mut state, vec![share(0, 0, batch(0, 2)), share(1, 0, vec![]), share(2, 0, vec![])]);
    state.partitions[0].queue.clear();
    assert_eq!(numbers(&ask(&state, now())), [1, 2, 0]);
    let shares = vec![share(1, 0, batch(0, 2)), share(2, 0, vec![]), share(0, 0, batch(2, 2))];
    fetch(&mut state, shares);
    assert_eq!(numbers(&ask(&state, now())), [2, 1, 0], "by turns");
}

#[test]
fn rule_6_14_paused_partitions_leave_the_request_and_keep_what_is_buffered() {
    let mut state = state(2);
    fetch(&mut state, vec![share(0, 0, batch(0, 2)), share(1, 0, vec![])]);
    state.set_paused(0, true);
    assert_eq!(numbers(&ask(&state, now())), [1]);
    assert!(state.next_ready().is_none(), "nothing is delivered");
    state.set_paused(0, false);
    assert_eq!(state.next_ready().map(|s| s.index), Some(0), "nothing is lost");
}

#[test]
fn rule_6_7_one_answer_ahead_and_paused_ones_do_not_count() {
    let mut state = state(2);
    for offset in [0, 2] {
        fetch(&mut state, vec![share(0, 0, batch(offset, 2)), share(1, 0, vec![])]);
    }
    assert!(ask(&state, now()).is_empty(), "two answers wait to be read");
    state.set_paused(0, true);
    assert_eq!(numbers(&ask(&state, now())), [1], "what is paused must not block the broker");
    state.set_paused(0, false);
    state.partitions[0].queue.pop_front();
    assert_eq!(numbers(&ask(&state, now())), [1, 0], "the first answer was read");
}

#[test]
fn rule_6_7_what_is_paused_must_not_block_the_broker_that_it_moved_away_from() {
    let mut state = state(2);
    for offset in [0, 2] {
        fetch(&mut state, vec![share(0, 0, batch(offset, 2)), share(1, 0, vec![])]);
    }
    state.set_paused(0, true);
    state.partitions[0].follow(BROKER + 1, 4);
    if let Some(led) = state.led.get_mut(&BROKER) {
        led.order.retain(|&index| index != 0);
    }
    assert_eq!(numbers(&ask(&state, now())), [1]);
}

#[test]
fn rule_6_10_a_partition_in_error_is_left_out_until_its_back_off_ends() {
    let mut state = state(2);
    let aftermath = fetch(&mut state, vec![share(0, 6, vec![]), share(1, 0, vec![])]);
    assert!(aftermath.refresh);
    assert_eq!(numbers(&ask(&state, now())), [1]);
    state.partitions[1].paused = true;
    let Some(led) = state.led.get(&BROKER) else { panic!("led") };
    let ControlFlow::Break(Some(due)) = choose(&state, (BROKER, led), now()) else {
        panic!("not left out")
    };
    assert!(due > now());
    assert_eq!(numbers(&ask(&state, due + Duration::from_secs(1))), [0]);
}

#[test]
fn rule_6_15_a_leader_switch_cancels_the_back_off() {
    let mut state = state(1);
    fetch(&mut state, vec![share(0, 6, vec![])]);
    state.partitions[0].follow(BROKER + 1, 4);
    assert!(state.partitions[0].retry.due(now()).is_none());
}

#[test]
fn rule_6_11_an_answer_of_another_era_is_void_even_at_the_same_offset() {
    let mut state = state(1);
    let asked = ask(&state, now());
    state.restart(0, Start::Offset(500), -1);
    state.restart(0, Start::Offset(0), -1);
    take(&mut state, asked, answer(vec![share(0, 0, batch(0, 2))]), 12);
    assert!(state.partitions[0].queue.is_empty() && state.partitions[0].fetch_offset == 0);
}

#[test]
fn rule_6_11_a_late_out_of_range_does_not_reset_a_new_position() {
    let mut state = state(1);
    let asked = ask(&state, now());
    state.restart(0, Start::Offset(500), -1);
    let aftermath = take(&mut state, asked, answer(vec![share(0, 1, vec![])]), 12);
    assert!(aftermath.gone.is_empty());
    assert_eq!(state.partitions[0].position, 500);
}

#[test]
fn rule_6_19_out_of_range_from_the_leader_follows_the_policy() {
    let mut state = state(1);
    let aftermath = fetch(&mut state, vec![share(0, 1, vec![])]);
    assert_eq!(aftermath.gone.len(), 1);
    assert!(matches!(state.partitions[0].phase, Phase::Lookup { .. }));
    let mut state = state_with(1, Reset::None);
    fetch(&mut state, vec![share(0, 1, vec![])]);
    let error = state.take_report().unwrap();
    assert_eq!((error.code(), error.partition()), (Code::NO_OFFSET, Some(0)));
    assert!(ask(&state, now()).is_empty(), "it waits for a seek");
}

/// A share that sends us to another broker, without records.
fn nearer(broker: i32) -> PartitionData {
    PartitionData { preferred_read_replica: broker, ..share(0, 0, vec![]) }
}

#[test]
fn rule_6_18_a_named_replica_is_asked_from_the_place_that_was_reached_and_the_leader_no_more() {
    let mut state = state(2);
    let asked = ask(&state, now());
    fetch(&mut state, vec![share(0, 0, batch(0, 2)), share(1, 0, vec![])]);
    let aftermath = fetch(&mut state, vec![nearer(7), share(1, 0, vec![])]);
    assert!(aftermath.elsewhere);
    assert_eq!(state.partitions[0].source(), 7);
    assert_eq!(state.partitions[0].fetch_offset, 2, "not that of an older request");
    assert_eq!(numbers(&ask(&state, now())), [1], "left out at once: no spin until it is moved");
    take(&mut state, asked, answer(vec![nearer(8)]), 12);
    assert_eq!(state.partitions[0].source(), 7, "an answer to what was asked before is void");
}

#[test]
fn rule_6_18_a_leader_that_names_a_failed_replica_again_is_not_told_the_rack() {
    let mut state = state(1);
    fetch(&mut state, vec![nearer(7)]);
    let until = now() + Duration::from_secs(60);
    state.shun_replica(7, until);
    let aftermath = fetch(&mut state, vec![nearer(7)]);
    assert!(!aftermath.elsewhere);
    assert_eq!(state.partitions[0].source(), BROKER);
    assert_eq!(state.led[&BROKER].rackless_until, Some(until));
    assert_eq!(numbers(&ask(&state, now())), [0], "it stays fetchable");
}

#[test]
fn rule_6_19_out_of_range_from_a_follower_goes_to_the_leader_with_the_same_offset() {
    for code in [1, 78, 6, 9] {
        let mut state = state(1);
        state.restart(0, Start::Offset(40), -1);
        state.partitions[0].leader = BROKER + 1;
        let until = now() + Duration::from_secs(60);
        state.partitions[0].replica.prefer(BROKER, now(), until).unwrap();
        let era = state.slot(0).era;
        let aftermath = fetch(&mut state, vec![share(0, code, vec![])]);
        assert!(aftermath.elsewhere && aftermath.gone.is_empty(), "code {code}");
        assert_eq!(state.partitions[0].source(), BROKER + 1);
        assert_eq!((state.partitions[0].fetch_offset, state.slot(0).era), (40, era));
        assert!(state.partitions[0].retry.due(now()).is_none(), "the leader is asked at once");
    }
}

#[test]
fn rule_6_19_a_late_error_of_a_follower_that_is_read_no_more_says_nothing() {
    for code in [1, 6, 75, 29] {
        let mut state = state(1);
        state.restart(0, Start::Offset(40), -1);
        state.partitions[0].leader = BROKER + 1;
        let until = now() + Duration::from_secs(60);
        state.partitions[0].replica.prefer(BROKER, now(), until).unwrap();
        let asked = ask(&state, now());
        // Its time is over while the answer is on its way: the leader is asked again.
        state.partitions[0].replica.forget();
        let era = state.slot(0).era;
        let aftermath = take(&mut state, asked, answer(vec![share(0, code, vec![])]), 12);
        assert!(aftermath.gone.is_empty(), "code {code}");
        let slot = state.slot(0);
        let partition = &state.partitions[0];
        assert_eq!((partition.phase, partition.fetch_offset), (Phase::Fetch, 40), "code {code}");
        assert_eq!(slot.era, era, "code {code}: no reset");
        assert!(partition.retry.due(now()).is_none(), "code {code}: the leader is asked at once");
        assert!(state.take_report().is_none(), "code {code}");
    }
}

#[test]
fn rule_6_13_an_answer_without_batches_moves_nothing() {
    let mut state = state(1);
    let mut empty = share(0, 0, vec![]);
    empty.records = None;
    fetch(&mut state, vec![empty]);
    assert_eq!(state.partitions[0].fetch_offset, 0);
    assert_eq!(state.partitions[0].marks.high_watermark, 100);
}

#[test]
fn rule_6_23_a_partition_that_appears_twice_counts_once() {
    let mut state = state(1);
    fetch(&mut state, vec![share(0, 0, batch(0, 2)), share(0, 0, batch(2, 2))]);
    assert_eq!((state.partitions[0].queue.len(), state.partitions[0].fetch_offset), (1, 2));
}

#[test]
fn an_unasked_partition_is_ignored_and_an_unanswered_one_is_not_asked_again_at_once() {
    let mut state = state(2);
    fetch(&mut state, vec![share(0, 0, vec![]), share(9, 0, batch(0, 2))]);
    assert_eq!(numbers(&ask(&state, now())), [0]);
}

#[test]
fn rule_6_4_an_empty_answer_with_a_throttle_time_is_a_quotas_notice() {
    let mut state = state(1);
    let asked = ask(&state, now());
    let response = FetchResponse { throttle_time_ms: 50, ..FetchResponse::default() };
    take(&mut state, asked, response, 12);
    assert_eq!(numbers(&ask(&state, now())), [0]);
}

#[test]
fn rule_6_9_below_v3_the_size_grows_up_to_a_cap_and_then_the_application_is_told_once() {
    let mut state = state(1);
    let cut = || batch(0, 50)[..100].to_vec();
    let mut sizes = Vec::new();
    while state.partitions[0].retry.due(now()).is_none() {
        let asked = ask(&state, now());
        sizes.push(asked[0].size);
        take(&mut state, asked, answer(vec![share(0, 0, cut())]), 2);
        assert!(sizes.len() < 40, "no end");
    }
    assert_eq!((sizes[..3].to_vec(), sizes.last()), (vec![1_000, 2_000, 4_000], Some(&52_428_800)));
    let error = state.take_report().unwrap();
    assert_eq!(error.code(), Code::RECORD_TOO_LARGE);
    assert_eq!(error.property(), Some("fetch.max.bytes"));
    let asked = ask(&state, now() + Duration::from_secs(60));
    take(&mut state, asked, answer(vec![share(0, 0, cut())]), 2);
    assert!(state.take_report().is_none());
}

#[test]
fn rule_3_2_from_v3_on_a_cut_first_batch_is_a_fault_of_the_broker() {
    let mut state = state(1);
    fetch(&mut state, vec![share(0, 0, batch(0, 50)[..100].to_vec())]);
    assert_eq!(state.take_report().unwrap().code(), Code::PROTOCOL);
    assert_eq!(state.partitions[0].fetch_size, 1_000);
}

#[test]
fn rule_6_15_what_the_application_must_know_it_is_told_once_until_it_heals() {
    let mut state = state(1);
    for _ in 0..3 {
        fetch(&mut state, vec![share(0, 29, vec![])]);
    }
    let error = state.take_report().unwrap();
    assert_eq!((error.code(), error.topic()), (Code::TOPIC_AUTHORIZATION_FAILED, Some("t")));
    assert!(state.take_report().is_none());
    fetch(&mut state, vec![share(0, 0, vec![])]);
    fetch(&mut state, vec![share(0, 29, vec![])]);
    assert!(state.take_report().is_some(), "again after it had healed");
}

#[test]
fn what_was_told_of_unread_data_is_not_told_again_because_nothing_came_behind_it() {
    let mut state = state(1);
    fetch(&mut state, vec![share(0, 0, batch(0, 2))]);
    assert!(state.partitions[0].tell_once(Code::UNDECODABLE, 0));
    fetch(&mut state, vec![share(0, 0, vec![])]);
    assert!(!state.partitions[0].tell_once(Code::UNDECODABLE, 0), "the data is still there");
    state.partitions[0].queue.clear();
    state.partitions[0].position = 2;
    fetch(&mut state, vec![share(0, 2, vec![])]);
    assert!(state.partitions[0].tell_once(Code::UNDECODABLE, 0));
}

#[test]
fn an_error_of_a_partition_is_void_once_the_partition_moved() {
    let mut state = state(1);
    fetch(&mut state, vec![share(0, 29, vec![])]);
    state.restart(0, Start::Offset(1), -1);
    assert!(state.take_report().is_none());
}

#[test]
fn one_partitions_worth_is_that_of_the_topic_with_the_largest_fetch_size() {
    let mut state = state(3);
    state.partitions[1].fetch_size = 70_000;
    assert_eq!(worth(&ask(&state, now())), 70_000);
    state.set_paused(1, true);
    assert_eq!(worth(&ask(&state, now())), 1_000, "of those that are asked for");
}

#[test]
fn truncations_of_a_partition_that_nobody_reads_of_are_one_event_at_the_lowest_offset() {
    let mut state = state(2);
    let truncated = |state: &mut State, index: usize, offset| {
        let partition = &state.partitions[index];
        let (topic, partition) = (partition.name.clone(), partition.number);
        state.push_event(Event::LogTruncated { topic, partition, offset });
    };
    for (index, offset) in [(0, 9), (1, 7), (0, 4), (0, 6), (1, 8)] {
        truncated(&mut state, index, offset);
    }
    let mut told = Vec::new();
    while let Some(Event::LogTruncated { partition, offset, .. }) = state.take_event() {
        told.push((partition, offset));
    }
    assert_eq!(told, [(0, 4), (1, 7)]);
    truncated(&mut state, 0, 5);
    assert!(state.has_event(), "the one before it was read");
}

#[test]
fn below_v3_a_request_asks_for_as_many_partitions_as_there_is_room() {
    let state = state(5);
    let asked = |version, grant| {
        let mut asked = ask(&state, now());
        cut_to_fit(&mut asked, version, grant);
        asked.len()
    };
    assert_eq!((asked(2, 2_500), asked(2, 10), asked(3, 10)), (2, 1, 5));
    let asked = ask(&state, now());
    let wish = |version, most| wish_of(&asked, version, 1_500, most);
    assert_eq!((wish(2, 9_000), wish(2, 3_000), wish(3, 9_000)), (5_000, 3_000, 1_500));
}

#[test]
fn rule_6_8_below_v3_idle_partitions_leave_the_next_request_to_the_others() {
    let mut state = state(5);
    let mut turn = |answered: &dyn Fn(i32) -> Vec<u8>| {
        let mut asked = ask(&state, now() + Duration::from_secs(60));
        assert_eq!(cut_to_fit(&mut asked, 2, 2_500), 3, "requests for all");
        let numbers = numbers(&asked);
        let shares = numbers.iter().map(|number| share(*number, 0, answered(*number)));
        let answer = answer(shares.collect());
        take(&mut state, asked, answer, 2);
        numbers
    };
    let idle = |_: i32| Vec::new();
    assert_eq!([turn(&idle), turn(&idle)], [[0, 1], [2, 3]]);
    let busy = |number: i32| if number == 4 { batch(0, 2) } else { Vec::new() };
    assert_eq!(turn(&busy), [4, 0]);
    assert_eq!([turn(&idle), turn(&idle)], [[1, 2], [3, 0]], "who delivered is behind all");
}

#[test]
fn the_end_of_a_partition_is_marked_once_in_its_place() {
    let mut state = state(1);
    let mut config = config();
    config.events.partition_end = true;
    let (lease, unread) = keep();
    let context = Context {
        config: &config,
        broker: BROKER,
        version: 12,
        now: now(),
        lease: Some(lease),
        unread,
    };
    let share = |records| PartitionData { high_watermark: 2, ..share(0, 0, records) };
    for records in [batch(0, 2), vec![], vec![]] {
        let asked = ask(&state, now());
        accept(&mut state, &asked, true, answer(vec![share(records)]), &context);
    }
    let kinds: Vec<_> =
        state.partitions[0].queue.iter().map(|i| matches!(i, Item::End(2))).collect();
    assert_eq!(kinds, [false, true]);
}

#[test]
fn rule_6_4_the_end_is_marked_after_a_seek_to_it_though_the_session_has_no_news_of_it() {
    let mut state = state(2);
    let mut config = config();
    config.events.partition_end = true;
    let (lease, unread) = keep();
    let context = Context {
        config: &config,
        broker: BROKER,
        version: 12,
        now: now(),
        lease: Some(lease),
        unread,
    };
    let asked = ask(&state, now());
    let told = answer(vec![share(0, 0, vec![]), share(1, 0, vec![])]);
    accept(&mut state, &asked, true, told, &context);
    state.restart(0, Start::Offset(100), -1);
    for _ in 0..2 {
        let asked = ask(&state, now());
        accept(&mut state, &asked, false, FetchResponse::default(), &context);
    }
    assert!(matches!(state.partitions[0].queue.make_contiguous(), [Item::End(100)]));
    assert!(state.partitions[1].queue.is_empty(), "it is not at its end");
}

#[test]
fn rule_6_4_what_a_void_answer_says_of_the_log_is_kept_for_a_session_says_it_once() {
    let mut state = state(1);
    let asked = ask(&state, now());
    state.restart(0, Start::Offset(40), -1);
    take(&mut state, asked.clone(), answer(vec![share(0, 0, batch(0, 2))]), 12);
    assert_eq!(state.watermarks(0).1, 100);
    assert_eq!((state.partitions[0].fetch_offset, state.partitions[0].queue.len()), (40, 0));
    state.partitions[0].marks = Marks::default();
    state.partitions[0].follow(BROKER, 4);
    take(&mut state, asked, answer(vec![share(0, 0, vec![])]), 12);
    assert_eq!(state.watermarks(0).1, -1, "another leader's log may end elsewhere");
}

#[test]
fn rule_6_10_a_log_that_parted_is_validated_and_not_asked_again_meanwhile() {
    let mut state = state(2);
    fetch(&mut state, vec![share(0, 0, batch(0, 4)), share(1, 0, vec![])]);
    let parted = |number| {
        let mut share = share(number, 0, vec![]);
        (share.diverging_epoch.epoch, share.diverging_epoch.end_offset) = (2, 3);
        share
    };
    let aftermath = fetch(&mut state, vec![parted(0), parted(1)]);
    assert!(aftermath.diverged);
    assert_eq!(state.partitions[0].phase, Phase::Validate { asked: false });
    // What has no epoch cannot be validated: it waits instead.
    assert_eq!(state.partitions[1].phase, Phase::Fetch);
    assert!(ask(&state, now()).is_empty());
}

#[test]
fn rule_6_16_an_answer_of_the_old_leader_counts_no_more_when_another_leads() {
    let mut state = state(1);
    fetch(&mut state, vec![share(0, 0, batch(0, 4))]);
    let asked = ask(&state, now());
    state.partitions[0].follow(BROKER, 4);
    take(&mut state, asked.clone(), answer(vec![share(0, 0, batch(4, 4))]), 12);
    assert_eq!(state.partitions[0].fetch_offset, 4, "while the position is validated");
    state.validated(0, Finding::Sound);
    take(&mut state, asked, answer(vec![share(0, 1, vec![])]), 12);
    assert_eq!(state.partitions[0].phase, Phase::Fetch, "and afterwards");
    assert_eq!(state.partitions[0].fetch_offset, 4);
}
