//! Where reading starts and goes on: assign, seek, policies, times, watermarks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use samsa::Code;
use samsa::cluster::Cluster;
use samsa::config::Config;
use samsa::consumer::{Consumer, EARLIEST, LATEST, Name, Position, topic_offsets};
use samsa::embedded::{Fault, FaultKind, Options};

use crate::rig::{
    FETCH, LIST_OFFSETS, Rig, assert_code, batch_at, deadline, place, poll, poll_error, read,
    read_one,
};

#[test]
fn reading_starts_where_the_position_says() {
    let rig = Rig::new(1);
    rig.write(0, 10);
    let table = [
        (place(0), 0),
        (place(0).at(EARLIEST), 0),
        (place(0).at(4), 4),
        (place(0).at_time(1_007), 7),
        (place(0).at_time(0), 0),
    ];
    for (position, first) in table {
        let consumer = rig.consumer(&[]);
        consumer.assign(std::slice::from_ref(&position)).unwrap();
        let count = usize::try_from(10 - first).unwrap();
        assert_eq!(read_one(&consumer, count), (first..10).collect::<Vec<_>>(), "{position:?}");
    }
}

#[test]
fn latest_and_a_time_after_the_last_message_start_at_the_end() {
    for position in [place(0).at(LATEST), place(0).at_time(9_999_999)] {
        let rig = Rig::new(1);
        rig.write(0, 10);
        let consumer = rig.consumer(&[]);
        consumer.assign(&[position]).unwrap();
        let limit = deadline();
        while consumer.position(None).unwrap()[0].offset.is_none() {
            assert_code(consumer.poll(20), Code::NOTHING);
            assert!(std::time::Instant::now() < limit);
        }
        rig.write(0, 2);
        assert_eq!(read_one(&consumer, 2), [10, 11]);
    }
}

#[test]
fn rule_7_1_the_policy_decides_when_the_offset_is_gone() {
    let table = [("earliest", 500, 5), ("nearest", 2, 5), ("nearest", 500, 10), ("latest", 2, 10)];
    for (policy, start, expected) in table {
        let rig = Rig::new(1);
        rig.write(0, 10);
        rig.kafka.delete_records("t", 0, 5).unwrap();
        let consumer = rig.consumer(&[("auto.offset.reset", policy)]);
        consumer.assign(&[place(0).at(start)]).unwrap();
        let limit = deadline();
        while consumer.position(None).unwrap()[0].offset == Some(start)
            || consumer.position(None).unwrap()[0].offset.is_none()
        {
            if consumer.poll(20).is_ok() {
                break;
            }
            assert!(std::time::Instant::now() < limit, "{policy}");
        }
        rig.write(0, 1);
        let mut last = consumer.position(None).unwrap()[0].offset.unwrap();
        if expected == 5 {
            assert!(last >= 5, "{policy}: {last}");
        } else {
            assert_eq!(last, expected, "{policy}");
        }
        while last < 11 {
            last = consumer.next(20_000).unwrap().record().next_offset();
        }
    }
}

#[test]
fn rule_7_1_without_a_policy_the_application_is_told_and_others_go_on() {
    let rig = Rig::new(2);
    rig.write(0, 3);
    rig.write(1, 3);
    let consumer = rig.consumer(&[("auto.offset.reset", "none")]);
    consumer.assign(&[place(0).at(700), place(1).at(0)]).unwrap();
    let error = poll_error(&consumer);
    assert_eq!(
        (error.code(), error.topic(), error.partition()),
        (Code::NO_OFFSET, Some("t"), Some(0))
    );
    consumer.seek(&[place(0).at(1), place(1).at(0)]).unwrap();
    let offsets = read(&consumer, 5);
    assert_eq!((&offsets[&0][..], &offsets[&1][..]), (&[1, 2][..], &[0, 1, 2][..]));
    consumer.assign(&[place(0)]).unwrap();
    assert_eq!(poll_error(&consumer).code(), Code::NO_OFFSET, "nothing given, nothing committed");
}

#[test]
fn rule_7_1_a_failed_question_is_asked_again_and_never_a_reset() {
    for code in [-1, 3, 5, 6, 9, 56, 74, 75, 78] {
        let rig = Rig::new(1);
        rig.write(0, 10);
        let fault = Fault::new(FaultKind::ErrorCode(code)).api(LIST_OFFSETS).times(3);
        let id = rig.kafka.inject(fault);
        let consumer = rig.consumer(&[]);
        consumer.assign(&[place(0).at_time(1_004)]).unwrap();
        assert_eq!(read_one(&consumer, 6), [4, 5, 6, 7, 8, 9], "code {code}");
        assert!(rig.kafka.injected(id) >= 1, "code {code}");
    }
}

#[test]
fn rule_7_4_a_late_look_up_does_not_undo_a_seek() {
    let rig = Rig::new(1);
    rig.write(0, 10);
    let id = rig.kafka.inject(Fault::new(FaultKind::Delay(300)).api(LIST_OFFSETS));
    let consumer = rig.consumer(&[]);
    consumer.assign(&[place(0).at(EARLIEST)]).unwrap();
    rig.kafka.wait_injected(id, 1, deadline()).unwrap();
    consumer.seek(&[place(0).at(8)]).unwrap();
    assert_eq!(read_one(&consumer, 2), [8, 9]);
    assert_code(consumer.poll(500), Code::NOTHING);
}

#[test]
fn seek_moves_in_both_directions_and_only_what_is_assigned() {
    let rig = Rig::new(2);
    rig.write(0, 10);
    let consumer = rig.reader(&[0]);
    assert_eq!(read_one(&consumer, 10).len(), 10);
    consumer.seek(&[place(0).at(3)]).unwrap();
    assert_eq!(consumer.position(None).unwrap()[0].offset, Some(3));
    assert_eq!(read_one(&consumer, 7), (3..10).collect::<Vec<_>>());
    assert_code(consumer.seek(&[place(0).at(0), place(1).at(0)]), Code::NOT_ASSIGNED);
    assert_eq!(consumer.position(None).unwrap()[0].offset, Some(10), "nothing changed");
}

#[test]
fn rule_6_14_a_pause_keeps_what_is_buffered_and_resume_gives_it() {
    let rig = Rig::new(2);
    rig.write(0, 10);
    let consumer = rig.consumer(&[("max.poll.records", "4")]);
    consumer.assign(&[place(0), place(1)]).unwrap();
    assert_eq!(read_one(&consumer, 4), [0, 1, 2, 3]);
    consumer.pause(Some(&[place(0)])).unwrap();
    assert_code(consumer.poll(50), Code::NOTHING);
    rig.write(1, 2);
    assert_eq!(read(&consumer, 2)[&1], [0, 1], "others go on");
    consumer.resume(None).unwrap();
    assert_eq!(read_one(&consumer, 6), [4, 5, 6, 7, 8, 9]);
}

#[test]
fn rule_6_14_a_seek_beats_what_the_pause_kept() {
    let rig = Rig::new(1);
    rig.write(0, 10);
    let consumer = rig.consumer(&[("max.poll.records", "2")]);
    consumer.assign(&[place(0)]).unwrap();
    assert_eq!(consumer.next(20_000).unwrap().record().offset(), 0);
    consumer.pause(None).unwrap();
    consumer.seek(&[place(0).at(7)]).unwrap();
    assert_code(consumer.next(50), Code::NOTHING);
    consumer.resume(None).unwrap();
    assert_eq!(read_one(&consumer, 3), [7, 8, 9]);
}

#[test]
fn assign_replaces_and_an_empty_assignment_stops() {
    let rig = Rig::new(3);
    (0..3).for_each(|partition| rig.write(partition, 5));
    let consumer = rig.reader(&[0, 1]);
    assert_eq!(read(&consumer, 10).len(), 2);
    consumer.assign(&[place(2), place(1).at(4)]).unwrap();
    let offsets = read(&consumer, 6);
    assert_eq!((offsets[&2].len(), &offsets[&1][..]), (5, &[4][..]));
    let partitions: Vec<_> = consumer.assignment().unwrap().iter().map(|p| p.partition).collect();
    assert_eq!(partitions, [2, 1], "in the order given");
    assert_code(consumer.assign(&[place(0), place(0)]), Code::INVALID_ARGUMENT);
    consumer.assign(&[]).unwrap();
    rig.write(1, 1);
    assert_code(consumer.poll(50), Code::NOTHING);
}

#[test]
fn watermarks_are_cached_by_fetches_or_asked() {
    let rig = Rig::new(2);
    rig.write(0, 10);
    rig.kafka.delete_records("t", 0, 4).unwrap();
    let consumer = rig.consumer(&[]);
    consumer.assign(&[place(0)]).unwrap();
    assert_eq!(consumer.watermarks(&place(0), 20_000).unwrap(), (4, 10));
    assert_eq!(consumer.watermarks(&place(1), 20_000).unwrap(), (0, 0), "not assigned");
    assert_eq!(read_one(&consumer, 6).len(), 6);
    assert_eq!(consumer.watermarks(&place(0), 0).unwrap(), (4, 10));
    assert_code(consumer.watermarks(&place(1), 0), Code::NOT_ASSIGNED);
}

#[test]
fn rule_7_12_after_a_failed_question_watermarks_are_asked_again() {
    let rig = Rig::new(1);
    rig.write(0, 10);
    let consumer = rig.consumer(&[]);
    rig.kafka.inject(Fault::new(FaultKind::ErrorCode(29)).api(LIST_OFFSETS));
    let refused = consumer.watermarks(&place(0), 20_000);
    assert_code(refused, Code::TOPIC_AUTHORIZATION_FAILED);
    rig.kafka.inject(Fault::new(FaultKind::Delay(1_000)).api(LIST_OFFSETS));
    assert_code(consumer.watermarks(&place(0), 100), Code::TIMED_OUT);
    assert_eq!(consumer.watermarks(&place(0), 20_000).unwrap(), (0, 10));
}

#[test]
fn rule_7_6_offsets_for_times_say_null_when_nothing_is_that_late() {
    let rig = Rig::new(2);
    rig.write(0, 10);
    let consumer = rig.consumer(&[]);
    let times = [place(0).at_time(1_006), place(1).at_time(5), place(0).at_time(99_999)];
    let found = consumer.offsets_for_times(&times, 20_000).unwrap();
    let offsets: Vec<_> = found.iter().map(|p| (p.partition, p.offset)).collect();
    assert_eq!(offsets, [(0, Some(6)), (1, None), (0, None)], "in the order asked");
    assert_code(consumer.offsets_for_times(&[place(0)], 1_000), Code::INVALID_ARGUMENT);
}

#[test]
fn a_partition_that_does_not_exist_fails_alone_and_by_name() {
    let rig = Rig::new(1);
    rig.write(0, 10);
    let consumer = rig.consumer(&[]);
    let times = [place(0).at_time(1_006), place(7).at_time(5)];
    let found = consumer.offsets_for_times(&times, 1_000).unwrap();
    assert_eq!(found[0].offset, Some(6), "the others keep their answers");
    let error = found[1].error.as_ref().expect("partition 7 is not there");
    assert_eq!((error.topic(), error.partition()), (Some("t"), Some(7)), "{error}");
}

#[test]
fn topic_offsets_give_every_partition() {
    let rig = Rig::new(3);
    rig.write(1, 4);
    let topic = rig.cluster.topic("t").unwrap();
    let ask = |when| {
        let found = topic_offsets(&rig.cluster, &topic, when, Some(deadline())).unwrap();
        found.iter().map(|p| p.offset).collect::<Vec<_>>()
    };
    assert_eq!(ask(EARLIEST), [Some(0), Some(0), Some(0)]);
    assert_eq!(ask(LATEST), [Some(0), Some(4), Some(0)]);
    assert_eq!(ask(1_002), [None, Some(2), None]);
}

#[test]
fn a_whole_topic_is_read_with_the_partitions_that_are_added_later() {
    let rig = Rig::new(2);
    (0..2).for_each(|partition| rig.write(partition, 3));
    let topic = rig.cluster.topic("t").unwrap();
    let consumer = Consumer::of_topic(&rig.cluster, &topic, None, true, Some(deadline())).unwrap();
    let offsets = read(&consumer, 6);
    assert_eq!((&offsets[&0][..], &offsets[&1][..]), (&[0, 1, 2][..], &[0, 1, 2][..]));
    rig.kafka.grow_topic("t", 3).unwrap();
    rig.write(2, 2);
    rig.cluster.refresh_now("the topic grew");
    assert_eq!(read(&consumer, 2)[&2], [0, 1], "from its beginning");
}

#[test]
fn a_whole_topic_from_its_end_gives_what_is_written_after_the_call() {
    let rig = Rig::new(1);
    rig.write(0, 5);
    let mut latest = Config::new();
    latest.set("auto.offset.reset", "latest").unwrap();
    let topic = rig.cluster.topic("t").unwrap();
    let subscribe = |overrides: &Config| {
        Consumer::of_topic(&rig.cluster, &topic, Some(overrides), true, Some(deadline()))
    };
    let consumer = subscribe(&latest).unwrap();
    rig.write(0, 2);
    assert_eq!(read_one(&consumer, 2), [5, 6]);
    latest.set("auto.offset.reset", "none").unwrap();
    assert_code(subscribe(&latest), Code::NO_OFFSET);
}

#[test]
fn rule_7_5_a_partition_without_a_leader_does_not_hold_up_the_others() {
    let rig = Rig::new(2);
    rig.write(0, 3);
    rig.write(1, 3);
    rig.kafka.move_leader("t", 1, -1).unwrap();
    let consumer = rig.reader(&[0, 1]);
    assert_eq!(read(&consumer, 3)[&0], [0, 1, 2]);
    rig.kafka.move_leader("t", 1, 0).unwrap();
    assert_eq!(read(&consumer, 3)[&1], [0, 1, 2]);
}

#[test]
fn rule_7_10_under_latest_a_partition_added_later_is_read_from_its_beginning() {
    let rig = Rig::new(1);
    rig.write(0, 3);
    let mut latest = Config::new();
    latest.set("auto.offset.reset", "latest").unwrap();
    let topic = rig.cluster.topic("t").unwrap();
    let consumer =
        Consumer::of_topic(&rig.cluster, &topic, Some(&latest), true, Some(deadline())).unwrap();
    rig.kafka.grow_topic("t", 2).unwrap();
    rig.write(1, 2);
    rig.cluster.refresh_now("the topic grew");
    assert_eq!(read(&consumer, 2)[&1], [0, 1]);
}

#[test]
fn rule_6_25_the_end_of_the_log_is_a_legal_place_and_beyond_it_is_not() {
    let rig = Rig::new(1);
    rig.write(0, 10);
    let consumer = rig.consumer(&[("fetch.max.wait.ms", "10"), ("auto.offset.reset", "none")]);
    consumer.assign(&[place(0).at(10)]).unwrap();
    rig.kafka.wait_requests(FETCH, 2, deadline()).unwrap();
    assert_code(consumer.poll(0), Code::NOTHING);
    rig.write(0, 1);
    assert_eq!(read_one(&consumer, 1), [10]);
    consumer.seek(&[place(0).at(99)]).unwrap();
    let error = poll_error(&consumer);
    assert_eq!((error.topic(), error.partition()), (Some("t"), Some(0)), "{error}");
}

#[test]
fn kip_1106_reading_starts_with_the_first_message_that_is_young_enough() {
    let rig = Rig::new(2);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let minutes_ago = [180, 120, 10, 5].map(|minutes| now - minutes * 60_000);
    rig.kafka.append_raw("t", 0, &batch_at(0, &minutes_ago)).unwrap();
    rig.write(1, 4);
    let properties = [("auto.offset.reset", "by_duration:PT1H")];
    let consumer = rig.consumer(&properties);
    consumer.assign(&[place(0), place(1)]).unwrap();
    assert_eq!(read(&consumer, 2)[&0], [2, 3]);
    let ends = consumer.position(None).unwrap();
    assert_eq!(ends[1].offset, Some(4), "nothing is that young: the end");
    // It is a policy too for a place that is gone.
    consumer.seek(&[place(0).at(99)]).unwrap();
    assert_eq!(read(&consumer, 2)[&0], [2, 3]);
    let mut overrides = Config::new();
    overrides.set("auto.offset.reset", "by_duration:P0DT2H30M").unwrap();
    let topic = rig.cluster.topic("t").unwrap();
    let whole = Consumer::of_topic(&rig.cluster, &topic, Some(&overrides), true, Some(deadline()));
    let whole = whole.unwrap();
    assert_eq!(read(&whole, 3)[&0], [1, 2, 3]);
    rig.write(1, 1);
    assert_eq!(read(&whole, 1)[&1], [4], "what is published after the call is read");
}

#[test]
fn an_unknown_topic_does_not_hold_up_the_others_of_a_question() {
    let options = Options { auto_create_topics: false, ..Options::default() };
    let rig = Rig::with(options, 1);
    rig.write(0, 10);
    let elsewhere = |name| Position::new(Name::new(name).unwrap(), 0).at_time(5);
    let consumer = rig.consumer(&[]);
    let times = [elsewhere("nowhere"), place(0).at_time(1_006), elsewhere("neither")];
    let found = consumer.offsets_for_times(&times, 500).unwrap();
    assert_eq!(found[1].offset, Some(6));
    for (index, name) in [(0, "nowhere"), (2, "neither")] {
        let error = found[index].error.as_ref().expect("there is no such topic");
        assert_eq!(error.topic(), Some(name), "{error}");
    }
}

#[test]
fn rule_7_8_committed_data_are_looked_up_where_brokers_can_tell_or_not_at_all() {
    let rig = Rig::new(1);
    rig.write(0, 3);
    let properties = [("isolation.level", "read_committed"), ("auto.offset.reset", "latest")];
    let consumer = rig.consumer(&properties);
    consumer.assign(&[place(0)]).unwrap();
    rig.kafka.wait_requests(FETCH, 1, deadline()).unwrap();
    rig.write(0, 1);
    assert_eq!(read_one(&consumer, 1), [3]);
    // Below version 2 the question could not say what is meant.
    rig.kafka.limit_versions(None, LIST_OFFSETS, 0, 1).unwrap();
    rig.kafka.close_connections(None).unwrap();
    consumer.seek(&[place(0).at(LATEST)]).unwrap();
    let error = poll_error(&consumer);
    assert_eq!(error.code(), Code::UNSUPPORTED_FEATURE, "{error}");
}

#[test]
fn every_partition_of_every_broker_has_its_turn() {
    let rig = Rig::with(Options { brokers: 2, ..Options::default() }, 6);
    for partition in 0..6 {
        for _ in 0..50 {
            rig.write(partition, 10);
        }
    }
    let consumer = rig.consumer(&[
        ("max.poll.records", "10"),
        ("max.partition.fetch.bytes", "1000"),
        ("fetch.max.bytes", "2000"),
    ]);
    let places: Vec<_> = (0..6).map(place).collect();
    consumer.assign(&places).unwrap();
    let mut counts = BTreeMap::<i64, usize>::new();
    while counts.len() < 6 || counts.values().min() < Some(&100) {
        for (partition, offsets) in read_some(&consumer) {
            *counts.entry(partition).or_default() += offsets;
        }
        let most = counts.values().max().copied().unwrap_or_default();
        assert!(most < 500, "one partition was read to its end while others waited: {counts:?}");
    }
}

/// The messages of one poll by partition.
fn read_some(consumer: &Consumer) -> BTreeMap<i64, usize> {
    let mut counts = BTreeMap::new();
    for record in crate::rig::poll(consumer).iter() {
        *counts.entry(record.partition()).or_default() += 1;
    }
    counts
}

#[test]
fn after_a_seek_nothing_waits_to_be_read_until_it_has_come() {
    let rig = Rig::new(1);
    rig.write(0, 10);
    let consumer = rig.consumer(&[("max.poll.records", "2")]);
    consumer.assign(&[place(0)]).unwrap();
    drop(poll(&consumer));
    assert!(!consumer.is_empty().unwrap(), "eight wait");
    consumer.seek(&[place(0).at(10)]).unwrap();
    assert!(consumer.is_empty().unwrap());
    rig.write(0, 1);
    assert_eq!(read_one(&consumer, 1), [10]);
}

/// A client that gives a request 200 ms, whose brokers refuse to list offsets until this is withdrawn.
fn refused_offsets(rig: &mut Rig) -> samsa::embedded::FaultId {
    let mut config = Config::new();
    config.set("bootstrap.servers", &rig.kafka.address()).unwrap();
    config.set("request.timeout.ms", "200").unwrap();
    config.set("delivery.timeout.ms", "1000").unwrap();
    config.set("fetch.max.wait.ms", "50").unwrap();
    config.set("retry.backoff.max.ms", "100").unwrap();
    rig.cluster = Cluster::open(&config).unwrap();
    let refusal = FaultKind::ErrorCode(6);
    rig.kafka.inject(Fault::new(refusal).api(LIST_OFFSETS).times(u32::MAX))
}

#[test]
fn without_a_limit_offsets_are_asked_for_until_they_are_known() {
    let mut rig = Rig::new(1);
    rig.write(0, 7);
    let refusal = refused_offsets(&mut rig);
    let topic = rig.cluster.topic("t").unwrap();
    let consumer = rig.consumer(&[]);
    std::thread::scope(|scope| {
        let ends = scope.spawn(|| topic_offsets(&rig.cluster, &topic, LATEST, None));
        let marks = scope.spawn(|| consumer.watermarks(&place(0), -1));
        // Longer than one request may take.
        let begin = std::time::Instant::now();
        let mut asked = 0;
        while begin.elapsed() < std::time::Duration::from_millis(600) || asked < 6 {
            asked += 1;
            rig.kafka.wait_injected(refusal, asked, deadline()).unwrap();
        }
        assert!(!ends.is_finished() && !marks.is_finished());
        rig.kafka.withdraw(refusal);
        assert_eq!(ends.join().unwrap().unwrap()[0].offset, Some(7));
        assert_eq!(marks.join().unwrap().unwrap(), (0, 7));
    });
}

#[test]
fn a_wake_up_of_the_cluster_ends_the_wait_for_a_topics_offsets() {
    let mut rig = Rig::new(1);
    let refusal = refused_offsets(&mut rig);
    let topic = rig.cluster.topic("t").unwrap();
    let holders = Arc::strong_count(&rig.cluster);
    std::thread::scope(|scope| {
        let ends = scope.spawn(|| topic_offsets(&rig.cluster, &topic, LATEST, None));
        rig.kafka.wait_injected(refusal, 2, deadline()).unwrap();
        rig.cluster.wakeup();
        assert_code(ends.join().unwrap(), Code::WOKEN);
    });
    let limit = deadline();
    // Nobody asks on, and keeps the cluster alive for it.
    while Arc::strong_count(&rig.cluster) > holders {
        assert!(std::time::Instant::now() < limit, "the question goes on");
        std::thread::yield_now();
    }
}
