//! Idempotence against the embedded broker: sections 4 and 5 of the rules, one after the other.

use samsa::Code;
use samsa::embedded::{Cluster, Fault, FaultKind, Options, Release, TopicSpec};
use samsa::producer::{PurgeWhat, Record};
use samsa::protocol::modern::ApiKey;
use samsa::protocol::record::{BatchIter, RawBatch};

use crate::bench::{Bench, MAYBE, NOT, THERE, WAIT, bench, bench_on, on, on_produce, soon};

/// The batches in the log of a partition.
fn batches(bench: &Bench, partition: i32) -> Vec<RawBatch> {
    let stored = bench.kafka.batches("orders", partition).unwrap();
    stored.into_iter().flat_map(|bytes| BatchIter::new(bytes).map(Result::unwrap)).collect()
}

/// Epoch and base sequence of each batch in the log of a partition.
fn seats(bench: &Bench, partition: i32) -> Vec<(i16, i32)> {
    let seat = |batch: RawBatch| (batch.producer_epoch, batch.base_sequence);
    batches(bench, partition).into_iter().map(seat).collect()
}

fn send_to(bench: &Bench, partition: i32, mark: u64) {
    let value = mark.to_string();
    let record = Record::new(&bench.topic, value.as_bytes()).with_opaque(mark);
    bench.producer.send(&record.to_partition(partition), WAIT).unwrap();
}

/// Sends a record and awaits its outcome.
fn through(bench: &Bench, partition: i32, mark: u64) {
    send_to(bench, partition, mark);
    let [(seen, code, status, _)] = bench.outcomes(1)[..] else { panic!() };
    assert_eq!((seen, code, status), (mark, Code::NONE, THERE));
}

fn init_producer_ids(bench: &Bench) -> u64 {
    bench.kafka.requests(ApiKey::InitProducerId)
}

#[test]
fn rule_1_21_one_look_up_serves_all_partitions_and_threads() {
    let bench = bench_on(Options::default(), 8, &[]);
    std::thread::scope(|threads| {
        for partition in 0..8 {
            let bench = &bench;
            threads.spawn(move || send_to(bench, partition, 1));
        }
    });
    bench.outcomes(8);
    assert_eq!(init_producer_ids(&bench), 1);
    let ids: Vec<_> = (0..8).map(|at| batches(&bench, at)[0].producer_id).collect();
    assert!(ids[0] >= 0 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[test]
fn rule_4_6_what_was_appended_before_the_broker_answered_6_is_there_once() {
    let bench = bench(&[]);
    bench.kafka.inject(on_produce(FaultKind::ErrorCode(6)).applied());
    through(&bench, 0, 1);
    assert_eq!(bench.stored(), ["1"]);
}

#[test]
fn a_batch_whose_answer_was_lost_is_there_once_and_has_its_offset() {
    for kind in [FaultKind::DisconnectAfter, FaultKind::CloseMidFrame, FaultKind::Malformed] {
        let bench = bench(&[]);
        through(&bench, 0, 1);
        bench.kafka.inject(on_produce(kind));
        (2..6).for_each(|mark| bench.send(mark));
        let offsets: Vec<_> = bench.outcomes(4).iter().map(|outcome| outcome.3).collect();
        assert_eq!(offsets, [1, 2, 3, 4], "{kind:?}");
        assert_eq!(bench.stored(), ["1", "2", "3", "4", "5"], "{kind:?}");
    }
}

#[test]
fn rule_5_3_several_batches_are_in_flight_and_before_1_0_one() {
    for (release, at_once) in [(Release::Newest, 5), (Release::V0_11_0, 1)] {
        let options = Options { release, ..Options::default() };
        let bench = bench_on(options, 1, &[("batch.size", "1")]);
        through(&bench, 0, 1);
        let before = bench.kafka.requests(ApiKey::Produce);
        bench.kafka.inject(on_produce(FaultKind::Delay(600)).always());
        (2..12).for_each(|mark| bench.send(mark));
        // The broker reads one request after the other: what it has been sent is in its socket.
        let broker = bench.cluster.broker(0).unwrap();
        let deadline = soon().unwrap();
        while broker.in_flight() < at_once && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert_eq!(broker.in_flight(), at_once, "{release:?}");
        bench.kafka.withdraw_all();
        bench.outcomes(10);
        assert!(bench.kafka.requests(ApiKey::Produce) >= before + 10);
        let expected: Vec<_> = (1..12).map(|mark| mark.to_string()).collect();
        assert_eq!(bench.stored(), expected);
    }
}

#[test]
fn rule_5_9_a_partition_that_begins_anew_leaves_the_others_counting() {
    let bench = bench_on(Options::default(), 3, &[]);
    (0..3).for_each(|partition| through(&bench, partition, 1));
    // A gap in one, while a batch of another is written and its answer lost.
    bench.kafka.inject(on_produce(FaultKind::ErrorCode(45)).partition(1));
    bench.kafka.inject(on_produce(FaultKind::ErrorCode(7)).partition(2).applied());
    (0..3).for_each(|partition| send_to(&bench, partition, 2));
    bench.outcomes(3);
    (0..3).for_each(|partition| through(&bench, partition, 3));
    assert_eq!(seats(&bench, 0), [(0, 0), (0, 1), (0, 2)]);
    assert_eq!(seats(&bench, 1), [(0, 0), (1, 0), (1, 1)], "the next epoch, from 0 on");
    assert_eq!(seats(&bench, 2), [(0, 0), (0, 1), (0, 2)], "no other batch is stamped anew");
    assert_eq!(init_producer_ids(&bench), 1, "rule 5.8: the bump is local");
}

#[test]
fn rule_1_14_the_producers_id_is_not_bound_to_a_broker_that_says_nothing() {
    let options = Options { brokers: 2, ..Options::default() };
    let bench = bench_on(options, 1, &[("request.timeout.ms", "60000")]);
    // Whichever is asked first.
    let mute = Fault::new(FaultKind::Silence).api(ApiKey::InitProducerId);
    let mute = bench.kafka.inject(mute);
    bench.send(1);
    assert_eq!(bench.outcomes(1), [(1, Code::NONE, THERE, 0)]);
    assert_eq!(bench.kafka.injected(mute), 1);
}

#[test]
fn rule_5_12_a_batch_that_expired_after_it_was_written_is_never_taken_for_another() {
    let times = [("request.timeout.ms", "300"), ("delivery.timeout.ms", "600")];
    let bench = bench(&times);
    through(&bench, 0, 1);
    bench.kafka.inject(on_produce(FaultKind::Silence).applied());
    bench.kafka.inject(on_produce(FaultKind::Silence).always());
    bench.send(2);
    assert_eq!(bench.outcomes(1), [(2, Code::TIMED_OUT, MAYBE, -1)]);
    bench.kafka.withdraw_all();
    through(&bench, 0, 3);
    assert_eq!(bench.stored(), ["1", "2", "3"], "acknowledged is there");
    assert_eq!(seats(&bench, 0), [(0, 0), (0, 1), (1, 0)], "the number is not used again");
}

#[test]
fn rule_5_12_a_purged_batch_that_was_written_is_never_taken_for_another() {
    let bench = bench(&[]);
    through(&bench, 0, 1);
    let fault = bench.kafka.inject(on_produce(FaultKind::Delay(200)));
    bench.send(2);
    bench.kafka.wait_injected(fault, 1, soon()).unwrap();
    bench.producer.purge(PurgeWhat { queued: true, in_flight: true }).unwrap();
    bench.send(3);
    let outcomes = bench.outcomes(2);
    assert_eq!((outcomes[0].0, outcomes[0].1, outcomes[0].2), (2, Code::PURGED, MAYBE));
    assert_eq!((outcomes[1].0, outcomes[1].2), (3, THERE));
    assert_eq!(bench.stored(), ["1", "2", "3"]);
    assert_eq!(seats(&bench, 0), [(0, 0), (0, 1), (0, 2)], "the late answer closed the hole");
}

#[test]
fn rule_5_13_a_request_that_timed_out_at_the_broker_is_sent_again_as_it_is() {
    for applied in [false, true] {
        let bench = bench(&[]);
        through(&bench, 0, 1);
        let fault = on_produce(FaultKind::ErrorCode(7));
        bench.kafka.inject(if applied { fault.applied() } else { fault });
        bench.send(2);
        bench.send(3);
        bench.outcomes(2);
        assert_eq!(bench.stored(), ["1", "2", "3"], "applied: {applied}");
        assert!(seats(&bench, 0).iter().all(|(epoch, _)| *epoch == 0), "no bump");
    }
}

#[test]
fn rule_5_14_a_duplicate_is_a_success_at_an_unknown_offset() {
    let bench = bench(&[]);
    bench.kafka.inject(on_produce(FaultKind::ErrorCode(46)).applied());
    bench.send(1);
    assert_eq!(bench.outcomes(1), [(1, Code::NONE, THERE, -1)]);
    through(&bench, 0, 2);
    assert_eq!(seats(&bench, 0), [(0, 0), (0, 1)]);
}

#[test]
fn rule_5_15_a_broker_that_forgot_the_producer_is_told_a_new_epoch() {
    // 0.11 calls it out of order.
    for release in [Release::V0_11_0, Release::V1_1] {
        let bench = bench_on(Options { release, ..Options::default() }, 1, &[]);
        through(&bench, 0, 1);
        bench.kafka.forget_producer("orders", 0, None).unwrap();
        through(&bench, 0, 2);
        assert_eq!(seats(&bench, 0), [(0, 0), (1, 0)], "{release:?}");
        assert_eq!(bench.stored(), ["1", "2"], "{release:?}");
    }
}

#[test]
fn rule_5_15_newer_brokers_take_any_first_sequence() {
    let bench = bench(&[]);
    through(&bench, 0, 1);
    bench.kafka.forget_producer("orders", 0, None).unwrap();
    through(&bench, 0, 2);
    assert_eq!(seats(&bench, 0), [(0, 0), (0, 1)]);
}

#[test]
fn rule_5_17_no_permission_for_an_id_is_the_reason_of_time_outs_and_may_heal() {
    let times = [("request.timeout.ms", "200"), ("delivery.timeout.ms", "400")];
    let bench = bench(&times);
    let denied = Fault::new(FaultKind::ErrorCode(31)).api(ApiKey::InitProducerId).always();
    let denied = bench.kafka.inject(denied);
    bench.send(1);
    let deliveries = bench.producer.poll(WAIT).unwrap();
    let error = deliveries.error(0).unwrap();
    assert_eq!((error.code(), error.persistence()), (Code::TIMED_OUT, NOT));
    let cause = error.cause().expect("why");
    assert_eq!(cause.code(), Code::CLUSTER_AUTHORIZATION_FAILED, "{error}");
    bench.kafka.withdraw(denied);
    through(&bench, 0, 2);
    assert_eq!(bench.stored(), ["2"]);
}

#[test]
fn rule_5_17_a_look_up_that_fails_is_repeated() {
    for kind in [FaultKind::ErrorCode(15), FaultKind::DisconnectBefore, FaultKind::ErrorCode(-1)] {
        let bench = bench(&[]);
        let fault = Fault::new(kind).api(ApiKey::InitProducerId).times(3);
        bench.kafka.inject(fault);
        through(&bench, 0, 1);
        assert_eq!(init_producer_ids(&bench), 4, "{kind:?}");
    }
}

#[test]
fn rule_5_17_a_fenced_producer_takes_another_id_and_loses_nothing() {
    let bench = bench(&[]);
    through(&bench, 0, 1);
    bench.kafka.inject(on_produce(FaultKind::ErrorCode(47)));
    through(&bench, 0, 2);
    let ids: Vec<_> = batches(&bench, 0).iter().map(|batch| batch.producer_id).collect();
    assert_ne!(ids[0], ids[1]);
    assert_eq!(seats(&bench, 0), [(0, 0), (0, 0)]);
}

#[test]
fn rule_5_18_old_brokers_make_the_default_give_way_and_refuse_a_demand() {
    for release in [Release::V0_9_0, Release::V0_10_2] {
        let options = || Options { release, ..Options::default() };
        let bench = bench_on(options(), 1, &[]);
        (1..10).for_each(|mark| bench.send(mark));
        bench.outcomes(9);
        let expected: Vec<_> = (1..10).map(|mark| mark.to_string()).collect();
        assert_eq!(bench.stored(), expected, "{release:?}");

        let demanding = bench_on(options(), 1, &[("enable.idempotence", "true")]);
        demanding.send(1);
        let deliveries = demanding.producer.poll(WAIT).unwrap();
        let error = deliveries.error(0).unwrap();
        assert_eq!((error.code(), error.persistence()), (Code::UNSUPPORTED_FEATURE, NOT));
        assert!(error.message().contains("enable.idempotence=true"), "{error}");
        assert!(demanding.stored().is_empty());
    }
}

/// Two brokers, the first of which is too old for identities, and the other one away; each leads the
/// partition of its number. A record for the first has been sent, and its outcome is told.
fn half_upgraded(properties: &[(&str, &str)]) -> (Bench, Code) {
    let kafka = Cluster::start_with(Options { brokers: 2, ..Options::default() }).unwrap();
    kafka.set_release(Some(0), Release::V0_10_2).unwrap();
    let spec = TopicSpec { assignment: vec![vec![0], vec![1]], ..TopicSpec::new("orders", 2) };
    kafka.create_topic_with(&spec).unwrap();
    kafka.stop_broker(1).unwrap();
    let bench = on(kafka, properties);
    send_to(&bench, 0, 1);
    let code = bench.outcomes(1)[0].1;
    (bench, code)
}

#[test]
fn rule_5_18_one_old_broker_does_not_settle_it_for_those_that_are_newer() {
    for (properties, expected) in
        [(&[][..], Code::NONE), (&[("enable.idempotence", "true")][..], Code::UNSUPPORTED_FEATURE)]
    {
        let (bench, code) = half_upgraded(properties);
        assert_eq!(code, expected, "the old broker alone is there");
        bench.kafka.start_broker(1).unwrap();
        through(&bench, 1, 2);
        through(&bench, 1, 3);
        assert_eq!(seats(&bench, 1), [(0, 0), (0, 1)], "{properties:?}");
    }
}

#[test]
fn rule_5_18_a_partition_has_an_identity_from_the_first_record_after_its_broker_s_upgrade() {
    let (bench, _) = half_upgraded(&[]);
    bench.kafka.set_release(Some(0), Release::Newest).unwrap();
    bench.kafka.close_connections(Some(0)).unwrap();
    through(&bench, 0, 2);
    through(&bench, 0, 3);
    assert_eq!(seats(&bench, 0)[1..], [(0, 0), (0, 1)]);
}

#[test]
fn rule_1_6_a_topic_that_is_unknown_once_keeps_its_sequences() {
    let bench = bench(&[]);
    through(&bench, 0, 1);
    let unknown = Fault::new(FaultKind::ErrorCode(3)).api(ApiKey::Metadata);
    let unknown = bench.kafka.inject(unknown);
    bench.cluster.refresh_now("test");
    bench.kafka.wait_injected(unknown, 1, soon()).unwrap();
    (2..5).for_each(|mark| through(&bench, 0, mark));
    assert_eq!(seats(&bench, 0), [(0, 0), (0, 1), (0, 2), (0, 3)]);
    assert_eq!(bench.stored(), ["1", "2", "3", "4"]);
}

#[test]
fn rule_4_19_a_topic_that_was_made_anew_has_sequences_of_its_own() {
    let bench = bench(&[]);
    (1..4).for_each(|mark| through(&bench, 0, mark));
    bench.kafka.delete_topic("orders").unwrap();
    bench.kafka.create_topic("orders", 1).unwrap();
    through(&bench, 0, 4);
    through(&bench, 0, 5);
    assert_eq!(seats(&bench, 0), [(1, 0), (1, 1)]);
}

#[test]
fn rule_4_7_the_parts_of_a_batch_that_is_too_large_have_consecutive_sequences() {
    let options = Options { message_max_bytes: 1_000, ..Options::default() };
    let bench = bench_on(options, 1, &[("linger.ms", "50"), ("batch.size", "16384")]);
    let value = "v".repeat(150);
    for mark in 0..40_u64 {
        let record = Record::new(&bench.topic, value.as_bytes());
        bench.producer.send(&record.with_opaque(mark).to_partition(0), WAIT).unwrap();
    }
    let offsets: Vec<_> = bench.outcomes(40).iter().map(|outcome| outcome.3).collect();
    assert_eq!(offsets, (0..40).collect::<Vec<_>>());
    let mut next = 0;
    for batch in batches(&bench, 0) {
        assert_eq!((batch.producer_epoch, batch.base_sequence), (0, next));
        next += i32::try_from(batch.count.unwrap()).unwrap();
    }
    assert_eq!(next, 40);
}
