//! One queue, with the test in the place of its sender.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::queue::{SLACK, State};
use super::shelves::Shelves;
use super::{
    Answer, Appended, Arrival, Flight, Leader, Ledger, Purge, Queue, Seal, Take, Wanted, Withdrawn,
};
use crate::cluster::Topic;
use crate::config::{Acks, Config, ProducerConfig};
use crate::error::{Code, Error, Persistence};
use crate::producer::Deliveries;
use crate::producer::mail::Mail;
use crate::producer::record::Record;
use crate::producer::sender::classify;
use crate::protocol::record::{BatchIter, Format};
use crate::runtime::{Completion, Signal};

struct Bench {
    topic: Arc<Topic>,
    queue: Arc<Queue>,
    ledger: Arc<Ledger>,
    mail: Arc<Mail>,
}

/// Without identity: what goes beyond is in `identity_tests`.
const PLAIN: [(&str, &str); 3] =
    [("linger.ms", "0"), ("retry.backoff.ms", "100"), ("enable.idempotence", "false")];

fn bench(properties: &[(&str, &str)]) -> Bench {
    bench_of(Topic::lone("orders", 0), 3, properties)
}

/// A queue of partition `partition`, for tests of what holds queues.
pub(crate) fn test_queue(partition: i32) -> Arc<Queue> {
    bench_of(Topic::lone("orders", 0), partition, &[]).queue
}

/// A batch on its way, of one record.
pub(crate) fn test_flight(topic: &Arc<Topic>, partition: i32) -> Flight {
    let bench = bench_of(Arc::clone(topic), partition, &[]);
    bench.send(b"value");
    bench.take().unwrap()
}

fn bench_of(topic: Arc<Topic>, partition: i32, properties: &[(&str, &str)]) -> Bench {
    let mut config = Config::new();
    for (name, value) in PLAIN.iter().chain(properties) {
        config.set(name, value).unwrap();
    }
    let config = ProducerConfig::from(&config).unwrap();
    let ledger = Ledger::new(&config, Arc::new(Signal::new()));
    let settings = config.for_topic(topic.name());
    let queue = Queue::new(Arc::clone(&topic), partition, settings, Arc::clone(&ledger));
    let mail = Mail::new(1);
    queue.lead(Some(Leader { mail: Arc::clone(&mail), epoch: 5 }));
    Bench { topic, queue, ledger, mail }
}

impl Bench {
    fn append(&self, value: &[u8], sticky: bool) -> Appended {
        let mut seals = Vec::new();
        let record = Record::new(&self.topic, value).with_opaque(value.len() as u64);
        let arrival = Arrival { record, timestamp: 1_000, sticky };
        let appended = self.queue.append(&arrival, &mut None, &mut seals).unwrap();
        seals.into_iter().for_each(Seal::run);
        appended
    }

    fn send(&self, value: &[u8]) {
        assert_eq!(self.append(value, false), Appended::Done);
    }

    /// Whether the sender was told that something can leave.
    fn is_posted(&self) -> bool {
        !self.mail.collect().ready.is_empty()
    }

    fn take_from(&self, mail: &Arc<Mail>, room: Option<usize>, now: Instant) -> Take {
        let wanted = Wanted { format: Format::V2, room, window: 5, now, once: false };
        match self.queue.take(mail, &wanted) {
            Take::Seal(seal) => {
                assert!(seal.run_on_io_thread(1), "uncompressed batches are light");
                self.queue.take(mail, &wanted)
            }
            other => other,
        }
    }

    fn take(&self) -> Option<Flight> {
        match self.take_from(&self.mail, None, Instant::now()) {
            Take::Flight(flight) => Some(flight),
            _ => None,
        }
    }

    fn refuse(&self, flight: &Flight, code: Code) {
        let action = classify(code, Acks::All, flight.can_split);
        let error = Error::bare(code);
        let refused = Answer::Refused { action, error, records: Vec::new(), log_start: -1 };
        let landed = self.queue.settle(flight, "b:1", refused, Instant::now());
        landed.seals.into_iter().for_each(Seal::run);
    }

    fn acknowledge(&self, flight: &Flight, base_offset: i64) {
        let written = Answer::Written { base_offset, log_append_time: -1 };
        self.queue.settle(flight, "b:1", written, Instant::now());
    }

    fn deliveries(&self) -> Deliveries {
        Deliveries::new(self.ledger.outbox.take().unwrap_or_default())
    }

    fn outcomes(&self) -> Vec<(u64, Code, Persistence, i64)> {
        let each = self.deliveries();
        each.iter().map(|one| (one.opaque, one.code, one.status, one.offset)).collect()
    }
}

fn values(flight: &Flight) -> Vec<usize> {
    let batches = BatchIter::new(flight.body.bytes().clone());
    let batches = batches.map(|batch| batch.unwrap().decode(true, usize::MAX).unwrap());
    let lengths = batches.flat_map(|batch| {
        let lengths: Vec<_> =
            batch.records.iter().map(|record| record.value.len as usize).collect();
        lengths
    });
    lengths.collect()
}

const NOT: Persistence = Persistence::NotPersisted;
const MAYBE: Persistence = Persistence::PossiblyPersisted;
const THERE: Persistence = Persistence::Persisted;

#[test]
fn a_lone_record_with_linger_0_leaves_at_once_and_gets_its_offset() {
    let bench = bench(&[]);
    bench.send(b"1");
    assert!(bench.is_posted());
    let flight = bench.take().unwrap();
    bench.acknowledge(&flight, 70);
    drop(flight);
    assert_eq!(bench.outcomes(), [(1, Code::NONE, THERE, 70)]);
    assert_eq!(bench.ledger.budget.used(), 0, "all memory is back");
    assert_eq!(bench.ledger.pending.batches(), 0);
}

#[test]
fn records_gather_while_one_batch_of_the_partition_is_in_flight() {
    let bench = bench(&[]);
    bench.send(b"1");
    let flight = bench.take().unwrap();
    (2..=9).for_each(|length| bench.send(&vec![0; length]));
    assert!(bench.take().is_none(), "rule 4.4: one batch at a time");
    bench.acknowledge(&flight, 0);
    assert!(bench.is_posted(), "the answer sets the next batch free");
    let flight = bench.take().unwrap();
    assert_eq!(values(&flight), (2..=9).collect::<Vec<_>>());
}

#[test]
fn a_record_lingers_until_its_timer_fires_and_the_timer_is_set_once() {
    let bench = bench(&[("linger.ms", "50")]);
    bench.send(b"1");
    bench.send(b"22");
    let letters = bench.mail.collect();
    assert!(letters.ready.is_empty());
    let [(at, queue)] = &letters.timers[..] else { panic!("one timer") };
    assert!(bench.take().is_none(), "not yet");
    queue.timer_fired(&bench.mail, *at, *at);
    assert!(bench.is_posted());
    assert_eq!(values(&bench.take().unwrap()), [1, 2]);
}

#[test]
fn rule_4_10_linger_ends_when_the_batch_is_full() {
    let bench = bench(&[("linger.ms", "5000"), ("batch.size", "200")]);
    bench.send(&[0; 100]);
    assert!(!bench.is_posted());
    bench.send(&[0; 101]);
    assert!(bench.is_posted(), "the second did not fit any more");
    assert_eq!(values(&bench.take().unwrap()), [100]);
}

#[test]
fn rule_4_10_linger_ends_by_a_flush() {
    let bench = bench(&[("linger.ms", "5000")]);
    bench.send(b"1");
    bench.queue.flush().unwrap().run();
    assert!(bench.is_posted());
    assert!(bench.take().is_some());
}

#[test]
fn rule_4_10_linger_ends_when_memory_is_exhausted_and_somebody_waits() {
    let bench = bench(&[("linger.ms", "5000")]);
    bench.send(b"1");
    let turn = bench.ledger.budget.enter_line();
    bench.queue.hurry();
    assert!(bench.is_posted());
    drop(turn);
}

#[test]
fn rule_4_2_a_late_answer_for_a_finished_batch_changes_nothing() {
    let bench = bench(&[]);
    bench.send(b"1");
    let flight = bench.take().unwrap();
    let purge = Purge { queued: true, in_flight: true };
    assert_eq!(bench.queue.purge(purge, &Error::bare(Code::PURGED)), 1);
    assert_eq!(bench.outcomes(), [(1, Code::PURGED, MAYBE, -1)]);
    bench.send(b"22");
    assert!(bench.take().is_none(), "the partition waits for the request to end");
    bench.acknowledge(&flight, 7);
    assert!(bench.outcomes().is_empty(), "the first outcome is final");
    assert!(bench.take().is_some(), "and now it goes on");
}

#[test]
fn rule_4_1_memory_of_an_ended_batch_is_free_only_when_its_request_is_over() {
    let bench = bench(&[("samsa.delivery.report", "none")]);
    bench.send(&[0; 1_000]);
    let flight = bench.take().unwrap();
    let bytes = flight.body.bytes().clone();
    bench.queue.purge(Purge { queued: true, in_flight: true }, &Error::bare(Code::PURGED));
    assert!(bench.ledger.budget.used() >= 1_000, "the socket may still read it");
    bench.send(&[1; 1_000]);
    assert!(bytes[100..1_000].iter().all(|byte| *byte == 0), "and nobody writes into it");
    let used = bench.ledger.budget.used();
    drop(flight);
    assert!(bench.ledger.budget.used() <= used - 1_000);
}

#[test]
fn rule_4_3_the_delivery_clock_starts_at_append_and_runs_through_retries() {
    let bench = bench(&[("delivery.timeout.ms", "31000")]);
    let start = Instant::now();
    bench.send(b"1");
    let flight = bench.take().unwrap();
    bench.refuse(&flight, Code::NOT_ENOUGH_REPLICAS);
    let due = bench.queue.expire(start).unwrap();
    assert!(due >= start + Duration::from_millis(31_000), "not before its time");
    assert_eq!(bench.queue.expire(due), None);
    let deliveries = bench.deliveries();
    let error = deliveries.error(0).unwrap();
    assert_eq!((error.code(), error.persistence()), (Code::TIMED_OUT, NOT));
    assert!(error.message().contains("delivery.timeout.ms=31000 after 1 attempts"), "{error}");
    assert_eq!(error.cause().unwrap().code(), Code::NOT_ENOUGH_REPLICAS, "why it had to wait");
    assert_eq!((error.topic(), error.partition()), (Some("orders"), Some(3)));
}

#[test]
fn rule_4_6_a_batch_that_was_once_perhaps_written_stays_so() {
    let bench = bench(&[]);
    bench.send(b"1");
    let flight = bench.take().unwrap();
    bench.refuse(&flight, Code::NOT_LEADER_OR_FOLLOWER);
    let later = Instant::now() + Duration::from_secs(5);
    let Take::Flight(flight) = bench.take_from(&bench.mail, None, later) else { panic!() };
    bench.refuse(&flight, Code::TOPIC_AUTHORIZATION_FAILED);
    assert_eq!(bench.outcomes(), [(1, Code::TOPIC_AUTHORIZATION_FAILED, MAYBE, -1)]);
}

#[test]
fn rule_4_5_the_head_rests_and_a_newer_leader_epoch_ends_its_rest() {
    let bench = bench(&[]);
    bench.send(b"1");
    assert!(bench.is_posted());
    let flight = bench.take().unwrap();
    bench.refuse(&flight, Code::NOT_LEADER_OR_FOLLOWER);
    assert!(bench.take().is_none(), "it rests");
    let letters = bench.mail.collect();
    assert!(letters.ready.is_empty() && letters.timers.len() == 1, "with a timer");
    let next = Mail::new(2);
    bench.queue.lead(Some(Leader { mail: Arc::clone(&next), epoch: 6 }));
    assert_eq!(next.collect().ready.len(), 1, "the new leader is tried at once");
    assert!(matches!(bench.take_from(&next, None, Instant::now()), Take::Flight(_)));
}

#[test]
fn rule_4_4_a_retry_goes_back_to_the_front() {
    let bench = bench(&[("batch.size", "100")]);
    (0..3).for_each(|more| bench.send(&vec![0; 90 + more]));
    let flight = bench.take().unwrap();
    bench.refuse(&flight, Code::REQUEST_TIMED_OUT);
    let later = Instant::now() + Duration::from_secs(5);
    for (turn, length) in [90, 91, 92].into_iter().enumerate() {
        let Take::Flight(flight) = bench.take_from(&bench.mail, None, later) else { panic!() };
        assert_eq!(values(&flight), [length]);
        bench.acknowledge(&flight, turn as i64);
    }
    let offsets: Vec<_> = bench.outcomes().iter().map(|outcome| outcome.3).collect();
    assert_eq!(offsets, [0, 1, 2]);
}

#[test]
fn rule_4_7_a_batch_too_large_for_the_broker_is_cut_in_order_and_counts_no_retry() {
    let bench = bench(&[("retries", "0")]);
    (1..=8).for_each(|length| bench.send(&vec![0; length * 10]));
    let flight = bench.take().unwrap();
    bench.refuse(&flight, Code::MESSAGE_TOO_LARGE);
    drop(flight);
    let (mut seen, mut offset) = (Vec::new(), 0);
    while let Some(flight) = bench.take() {
        seen.extend(values(&flight));
        bench.acknowledge(&flight, offset);
        offset = seen.len() as i64;
    }
    assert_eq!(seen, (1..=8).map(|length| length * 10).collect::<Vec<_>>());
    let outcomes = bench.outcomes();
    let expected: Vec<_> =
        (0..8_u8).map(|i| (u64::from(i + 1) * 10, Code::NONE, THERE, i64::from(i))).collect();
    assert_eq!(outcomes, expected, "every mark came back with its own offset");
    assert_eq!((bench.ledger.budget.used(), bench.ledger.pending.batches()), (0, 0));
}

#[test]
fn rule_4_7_a_batch_is_cut_until_its_parts_fit_however_unevenly_it_was_compressed() {
    const MOST: usize = 8_000;
    let bench = bench(&[("compression.type", "gzip"), ("batch.size", "1000000")]);
    let mut seed = 1_u32;
    let mut noise = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    };
    // What shrinks to nothing comes first: two parts without it are more than the broker takes.
    (0..3).for_each(|_| bench.send(&[0; 60_000]));
    (0..2).for_each(|_| bench.send(&(0..5_000).map(|_| noise()).collect::<Vec<_>>()));
    bench.queue.flush().unwrap().run();
    let (mut refused, mut seen) = (0, Vec::new());
    while let Some(flight) = bench.take() {
        if flight.body.bytes().len() > MOST {
            refused += 1;
            assert!(refused <= 20, "it is sent again and again as it is");
            bench.refuse(&flight, Code::MESSAGE_TOO_LARGE);
        } else {
            bench.acknowledge(&flight, seen.len() as i64);
            seen.extend(values(&flight));
        }
    }
    assert_eq!(seen, [60_000, 60_000, 60_000, 5_000, 5_000]);
    assert!(bench.outcomes().iter().all(|outcome| outcome.1 == Code::NONE));
    assert_eq!((bench.ledger.budget.used(), bench.ledger.pending.batches()), (0, 0));
}

#[test]
fn rule_4_7_one_record_that_is_too_large_fails() {
    let bench = bench(&[]);
    bench.send(b"1");
    let flight = bench.take().unwrap();
    bench.refuse(&flight, Code::MESSAGE_TOO_LARGE);
    assert_eq!(bench.outcomes(), [(1, Code::MESSAGE_TOO_LARGE, NOT, -1)]);
}

#[test]
fn rule_4_9_an_unknown_base_offset_makes_no_offsets() {
    let bench = bench(&[]);
    bench.send(b"1");
    bench.send(b"22");
    let flight = bench.take().unwrap();
    bench.acknowledge(&flight, -1);
    assert_eq!(bench.outcomes(), [(1, Code::NONE, THERE, -1), (2, Code::NONE, THERE, -1)]);
}

#[test]
fn rule_4_13_a_full_budget_is_told_before_anything_is_taken_and_room_comes_per_batch() {
    let bench = bench(&[("buffer.memory", "2100"), ("batch.size", "1000")]);
    bench.send(&[0; 800]);
    bench.send(&[0; 801]);
    let Appended::NeedRoom(bytes) = bench.append(&[0; 802], false) else { panic!("no room") };
    assert!(bytes >= 802);
    assert_eq!(bench.ledger.pending.batches(), 2, "the third opened none");
    let flight = bench.take().unwrap();
    bench.acknowledge(&flight, 0);
    drop(flight);
    drop(bench.deliveries());
    bench.send(&[0; 802]);
}

#[test]
fn the_buffer_of_a_small_batch_lies_where_the_next_one_looks_for_it() {
    let bench = bench(&[("batch.size", "10000")]);
    let mut state = State::default();
    state.limit = 10_000;
    for wanted in 512..=10_000 + SLACK {
        let shelves = Shelves::default();
        let capacity = bench.queue.rounded(&state, wanted);
        assert!(shelves.put(BytesMut::with_capacity(capacity)).is_none(), "{wanted}");
        assert!(shelves.take(wanted).is_some() && capacity <= wanted + wanted / 4, "{wanted}");
    }
}

#[test]
fn rule_4_14_the_old_sender_takes_nothing_after_a_move_and_its_answer_is_awaited() {
    let bench = bench(&[("batch.size", "100")]);
    bench.send(&[0; 90]);
    let flight = bench.take().unwrap();
    bench.send(&[0; 91]);
    let next = Mail::new(2);
    bench.queue.lead(Some(Leader { mail: Arc::clone(&next), epoch: 6 }));
    assert!(bench.take().is_none(), "out of office");
    let now = Instant::now();
    assert!(matches!(bench.take_from(&next, None, now), Take::Nothing), "one is still in flight");
    bench.acknowledge(&flight, 0);
    assert_eq!(next.collect().ready.len(), 1, "its answer reaches the owner of now");
    assert!(matches!(bench.take_from(&next, None, now), Take::Flight(_)));
}

#[test]
fn rule_4_14_a_batch_that_is_finished_while_the_partition_moves_is_announced_to_the_new_leader() {
    let bench = bench(&[]);
    bench.send(b"moved");
    let wanted =
        Wanted { format: Format::V2, room: None, window: 5, now: Instant::now(), once: false };
    let Take::Seal(seal) = bench.queue.take(&bench.mail, &wanted) else { panic!("not open") };
    let new = Mail::new(2);
    bench.queue.lead(Some(Leader { mail: Arc::clone(&new), epoch: 6 }));
    assert!(seal.run_on_io_thread(1), "the old sender finishes it");
    assert!(matches!(bench.queue.take(&bench.mail, &wanted), Take::Nothing));
    assert_eq!(new.collect().ready.len(), 1, "the new sender knows");
    assert!(matches!(bench.queue.take(&new, &wanted), Take::Flight(_)));
}

#[test]
fn rule_4_15_a_batch_that_does_not_fit_waits_for_the_next_request_and_goes_alone() {
    let bench = bench(&[]);
    bench.send(&[0; 5_000]);
    let now = Instant::now();
    assert!(matches!(bench.take_from(&bench.mail, Some(100), now), Take::NoRoom));
    assert!(matches!(bench.take_from(&bench.mail, None, now), Take::Flight(_)));
}

#[test]
fn rule_4_16_without_a_leader_records_wait_until_their_time_is_over() {
    let bench = bench(&[("delivery.timeout.ms", "40000")]);
    bench.queue.lead(None);
    bench.send(b"1");
    let due = Instant::now() + Duration::from_millis(40_001);
    assert!(bench.queue.expire(due - Duration::from_secs(5)).is_some());
    assert!(bench.outcomes().is_empty());
    assert_eq!(bench.queue.expire(due), None);
    let deliveries = bench.deliveries();
    assert!(deliveries.error(0).unwrap().message().contains("no leader"));
}

#[test]
fn rule_4_17_keyless_records_move_on_after_a_batch_and_two_at_the_latest() {
    let bench = bench(&[("batch.size", "1000"), ("linger.ms", "5000")]);
    let mut bytes = 0;
    while bench.append(&[0; 100], true) == Appended::Done {
        bytes += 100;
        assert!(bytes < 3_000, "it never moved on");
    }
    assert!((800..=2_000).contains(&bytes), "{bytes}");
}

#[test]
fn a_batch_size_of_0_gives_each_record_a_batch_of_its_own() {
    let bench = bench(&[("batch.size", "0")]);
    for _ in 0..3 {
        let mut tries = 0;
        while bench.append(b"x", true) == Appended::MoveOn {
            tries += 1;
            assert!(tries < 3, "with one partition there is no other to move on to");
        }
    }
    assert_eq!(bench.ledger.pending.batches(), 3);
}

#[test]
fn a_queue_that_needs_its_sender_no_longer_says_so_and_is_announced_anew() {
    let bench = bench(&[]);
    bench.send(b"1");
    assert!(bench.is_posted() && bench.queue.needs(&bench.mail), "a record waits");
    bench.queue.purge(Purge { queued: true, in_flight: false }, &Error::bare(Code::PURGED));
    assert!(!bench.queue.needs(&bench.mail), "nothing does");
    bench.send(b"22");
    assert!(bench.is_posted(), "the sender let go of it");
    let next = Mail::new(2);
    bench.queue.lead(Some(Leader { mail: Arc::clone(&next), epoch: 6 }));
    assert!(!bench.queue.needs(&bench.mail), "another broker leads");
    assert_eq!(next.collect().ready.len(), 1);
}

#[test]
fn rule_3_16_a_batch_of_another_format_is_encoded_anew_for_its_broker() {
    let bench = bench(&[]);
    bench.send(b"1");
    let now = Instant::now();
    let wanted = |format| Wanted { format, room: None, window: 5, now, once: false };
    let Take::Seal(seal) = bench.queue.take(&bench.mail, &wanted(Format::V0)) else { panic!() };
    seal.run();
    let Take::Seal(seal) = bench.queue.take(&bench.mail, &wanted(Format::V0)) else { panic!() };
    assert!(!bench.is_posted() || bench.take().is_none(), "the sender waits at the head");
    seal.run();
    let Take::Flight(flight) = bench.queue.take(&bench.mail, &wanted(Format::V0)) else { panic!() };
    assert_eq!(flight.body.sealed.format(), Some(Format::V0));
    bench.acknowledge(&flight, 4);
    assert_eq!(bench.outcomes(), [(1, Code::NONE, THERE, 4)]);
}

#[test]
fn work_on_a_batch_that_is_lost_fails_the_batch_and_not_the_partition() {
    let bench = bench(&[]);
    bench.send(b"1");
    drop(bench.queue.flush());
    assert_eq!(bench.outcomes(), [(1, Code::ABANDONED, NOT, -1)]);
    bench.send(b"22");
    assert!(bench.take().is_some());
}

#[test]
fn a_publish_is_withdrawn_as_long_as_it_was_not_sent() {
    let bench = bench(&[]);
    let publish = |bench: &Bench| {
        let record = Record::new(&bench.topic, b"1");
        let mut builder = bench.queue.publish_builder(500).unwrap();
        builder.append(&record.to_new(1)).unwrap();
        let room = bench.ledger.budget.try_reserve(500).unwrap();
        let ((sender, answer), mut seals) = (Completion::new(), Vec::new());
        let batch = bench.queue.publish(builder, room, sender, &mut seals).unwrap();
        seals.into_iter().for_each(Seal::run);
        (batch, answer)
    };
    let (batch, _) = publish(&bench);
    assert_eq!(bench.queue.withdraw(batch), Withdrawn::Unsent);
    assert!(bench.take().is_none());

    let (batch, _) = publish(&bench);
    let flight = bench.take().unwrap();
    assert_eq!(bench.queue.withdraw(batch), Withdrawn::Sent);
    bench.acknowledge(&flight, 1);
    drop(flight);

    let (batch, answer) = publish(&bench);
    let flight = bench.take().unwrap();
    bench.acknowledge(&flight, 9);
    assert_eq!(bench.queue.withdraw(batch), Withdrawn::TooLate);
    assert_eq!(answer.try_take().unwrap().unwrap().1, 9);
    drop(flight);
    assert_eq!((bench.ledger.budget.used(), bench.ledger.pending.batches()), (0, 0));
}

#[test]
fn unread_deliveries_count_until_they_are_taken() {
    let bench = bench(&[]);
    bench.send(b"1");
    let flight = bench.take().unwrap();
    bench.acknowledge(&flight, 0);
    drop(flight);
    assert!(bench.ledger.budget.unread() > 0);
    assert_eq!(bench.ledger.budget.unread(), bench.ledger.budget.used());
    drop(bench.deliveries());
    assert_eq!(bench.ledger.budget.used(), 0);
}

#[test]
fn kept_records_come_with_their_delivery_and_count_until_it_is_dropped() {
    let bench = bench(&[("samsa.delivery.keep", "true")]);
    bench.send(b"hello");
    let flight = bench.take().unwrap();
    bench.acknowledge(&flight, 0);
    drop(flight);
    let deliveries = bench.deliveries();
    assert!(bench.ledger.budget.unread() > 0);
    let kept = deliveries.record(0).unwrap();
    assert_eq!((kept.value, kept.key), (Some(&b"hello"[..]), None));
    assert_eq!(deliveries.record(1).unwrap_err().code(), Code::INVALID_ARGUMENT);
    drop(deliveries);
    assert_eq!(bench.ledger.budget.used(), 0);
}

#[test]
fn only_failures_are_told_when_only_they_are_asked_for() {
    let bench = bench(&[("samsa.delivery.report", "failures")]);
    bench.send(b"1");
    let flight = bench.take().unwrap();
    bench.acknowledge(&flight, 0);
    bench.send(b"22");
    let flight = bench.take().unwrap();
    bench.refuse(&flight, Code::INVALID_TOPIC_EXCEPTION);
    assert_eq!(bench.outcomes(), [(2, Code::INVALID_TOPIC_EXCEPTION, NOT, -1)]);
    assert_eq!(bench.ledger.outbox.take_failed(), 1);
}
