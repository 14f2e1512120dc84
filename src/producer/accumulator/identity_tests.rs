//! One queue of an idempotent producer, with the test in the place of its sender and its broker.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::model_tests::numbers;
use super::{Answer, Arrival, Flight, Leader, Ledger, Purge, Queue, Seal, Take, Wanted};
use crate::cluster::Topic;
use crate::config::{Acks, Config, ProducerConfig};
use crate::error::{Code, Error, Persistence};
use crate::producer::Deliveries;
use crate::producer::identity::{Books, Era};
use crate::producer::mail::Mail;
use crate::producer::record::Record;
use crate::producer::sender::classify;
use crate::protocol::record::{BatchIter, Format};
use crate::runtime::Signal;

struct Bench {
    topic: Arc<Topic>,
    queue: Arc<Queue>,
    ledger: Arc<Ledger>,
    mail: Arc<Mail>,
    /// After every rest.
    later: Instant,
}

/// One record is one batch.
fn bench(properties: &[(&str, &str)]) -> Bench {
    let mut config = Config::new();
    for (name, value) in [("linger.ms", "0"), ("batch.size", "1")].iter().chain(properties) {
        config.set(name, value).unwrap();
    }
    let config = ProducerConfig::from(&config).unwrap();
    let ledger = Ledger::new(&config, Arc::new(Signal::new()));
    let topic = Topic::lone("orders", 0);
    let settings = config.for_topic(topic.name());
    let queue = Queue::new(Arc::clone(&topic), 3, settings, Arc::clone(&ledger));
    let mail = Mail::new(1);
    queue.lead(Some(Leader { mail: Arc::clone(&mail), epoch: 5 }));
    Bench { topic, queue, ledger, mail, later: Instant::now() + Duration::from_secs(20) }
}

/// With an id, and a leader that has acknowledged record 0.
fn proven(properties: &[(&str, &str)]) -> Bench {
    let bench = bench(properties);
    bench.ledger.identity.set_known(7);
    bench.send(0);
    let flight = bench.take().unwrap();
    bench.acknowledge(flight, 0);
    bench
}

/// What a batch carries: epoch, base sequence, the records' numbers.
fn seat(flight: &Flight) -> (i16, i32, Vec<u64>) {
    let bytes = flight.body.bytes();
    let batch = BatchIter::new(bytes.clone()).next().unwrap().unwrap();
    batch.verify().unwrap();
    assert_eq!(batch.producer_id, 7);
    (batch.producer_epoch, batch.base_sequence, numbers(bytes))
}

impl Bench {
    fn send(&self, number: u64) {
        let value = number.to_be_bytes();
        let record = Record::new(&self.topic, &value).with_opaque(number);
        let mut seals = Vec::new();
        let arrival = Arrival { record, timestamp: 1_000, sticky: false };
        self.queue.append(&arrival, &mut None, &mut seals).unwrap();
        seals.into_iter().for_each(Seal::run);
    }

    fn take_from(&self, mail: &Arc<Mail>) -> Option<Flight> {
        let wanted =
            Wanted { format: Format::V2, room: None, window: 5, now: self.later, once: false };
        loop {
            match self.queue.take(mail, &wanted) {
                Take::Flight(flight) => return Some(flight),
                Take::Seal(seal) => assert!(seal.run_on_io_thread(1)),
                _ => return None,
            }
        }
    }

    fn take(&self) -> Option<Flight> {
        self.take_from(&self.mail)
    }

    /// Sends records `numbers` and takes their batches.
    fn fly(&self, numbers: std::ops::Range<u64>) -> VecDeque<Flight> {
        numbers.clone().for_each(|number| self.send(number));
        numbers.map(|number| self.take().unwrap_or_else(|| panic!("{number} stays"))).collect()
    }

    fn acknowledge(&self, flight: Flight, base_offset: i64) {
        let written = Answer::Written { base_offset, log_append_time: -1 };
        self.queue.settle(&flight, "b:1", written, self.later);
    }

    fn refuse(&self, flight: Flight, code: i16) {
        let code = Code::from(code);
        let action = classify(code, Acks::All, flight.can_split);
        let (error, records) = (Error::bare(code), Vec::new());
        let refused = Answer::Refused { action, error, records, log_start: 0 };
        // Its rest is over by the time that batches are taken.
        let landed = self.queue.settle(&flight, "b:1", refused, Instant::now());
        landed.seals.into_iter().for_each(Seal::run);
    }

    fn outcomes(&self) -> Vec<(u64, Code, Persistence)> {
        let each = Deliveries::new(self.ledger.outbox.take().unwrap_or_default());
        each.iter().map(|one| (one.opaque, one.code, one.status)).collect()
    }

    /// The next batches, each acknowledged before the next is taken.
    fn through(&self) -> Vec<(i16, i32, Vec<u64>)> {
        let mut seen = Vec::new();
        while let Some(flight) = self.take() {
            seen.push(seat(&flight));
            self.acknowledge(flight, 100);
        }
        seen
    }
}

#[test]
fn records_gather_until_the_producer_has_its_id() {
    let bench = bench(&[("batch.size", "1000")]);
    assert!(bench.ledger.identity.is_awaited());
    bench.send(1);
    assert!(bench.take().is_none(), "nothing is sent without it");
    bench.send(2);
    bench.mail.collect();
    bench.ledger.identity.set_known(7);
    bench.queue.hurry();
    assert_eq!(bench.mail.collect().ready.len(), 1, "the sender is told");
    assert_eq!(seat(&bench.take().unwrap()), (0, 0, vec![1, 2]), "one batch meanwhile");
}

#[test]
fn rule_5_3_five_batches_are_in_flight_and_each_answer_makes_room_for_one() {
    let bench = proven(&[]);
    let mut flights = bench.fly(1..6);
    bench.send(6);
    bench.mail.collect();
    assert!(bench.take().is_none(), "a broker remembers five");
    bench.acknowledge(flights.pop_front().unwrap(), 1);
    assert_eq!(bench.mail.collect().ready.len(), 1);
    assert_eq!(seat(&bench.take().unwrap()), (0, 6, vec![6]));
    let seats: Vec<_> = flights.iter().map(|flight| seat(flight).1).collect();
    assert_eq!(seats, [2, 3, 4, 5]);
}

#[test]
fn rule_4_14_a_new_leader_gets_one_batch_until_it_has_acknowledged_it() {
    let bench = proven(&[]);
    let mut flights = bench.fly(1..3);
    let next = Mail::new(2);
    bench.queue.lead(Some(Leader { mail: Arc::clone(&next), epoch: 6 }));
    bench.send(3);
    bench.send(4);
    bench.acknowledge(flights.pop_front().unwrap(), 1);
    assert!(bench.take_from(&next).is_none(), "one is still at the old leader");
    bench.acknowledge(flights.pop_front().unwrap(), 2);
    let first = bench.take_from(&next).unwrap();
    assert!(bench.take_from(&next).is_none(), "the old leader's answers earn it nothing");
    bench.acknowledge(first, 3);
    assert!(bench.take_from(&next).is_some());
}

#[test]
fn rule_5_4_answers_are_handled_in_the_order_of_sending() {
    let bench = proven(&[]);
    bench.outcomes();
    let mut flights = bench.fly(1..4);
    let (first, second) = (flights.pop_front().unwrap(), flights.pop_front().unwrap());
    bench.acknowledge(flights.pop_front().unwrap(), 3);
    bench.acknowledge(second, 2);
    assert!(bench.outcomes().is_empty(), "the first has no answer yet");
    bench.acknowledge(first, 1);
    let marks: Vec<_> = bench.outcomes().iter().map(|outcome| outcome.0).collect();
    assert_eq!(marks, [1, 2, 3]);
}

#[test]
fn rule_5_2_a_batch_that_is_sent_again_is_byte_for_byte_the_same() {
    let bench = proven(&[]);
    let flight = bench.fly(1..2).pop_front().unwrap();
    let bytes = flight.body.bytes().clone();
    bench.refuse(flight, 7);
    assert_eq!(bench.take().unwrap().body.bytes(), &bytes);
}

#[test]
fn rule_5_5_after_a_refusal_only_the_lowest_sequence_goes_out_until_it_is_settled() {
    let bench = proven(&[]);
    let mut flights = bench.fly(1..4);
    bench.send(4);
    bench.refuse(flights.pop_front().unwrap(), 19);
    assert!(bench.take().is_none(), "two are still in flight");
    bench.refuse(flights.pop_front().unwrap(), 45);
    bench.refuse(flights.pop_front().unwrap(), 45);
    for number in 1..4 {
        let flight = bench.take().unwrap();
        assert_eq!(seat(&flight), (0, number as i32, vec![number]), "rule 4.4: in their order");
        assert!(bench.take().is_none(), "nothing goes out behind it");
        bench.acknowledge(flight, 1);
    }
    assert_eq!(bench.through(), [(0, 4, vec![4])]);
}

#[test]
fn rule_5_7_an_echo_of_an_earlier_failure_bumps_nothing() {
    let bench = proven(&[]);
    let mut flights = bench.fly(1..3);
    bench.refuse(flights.pop_front().unwrap(), 6);
    bench.refuse(flights.pop_front().unwrap(), 45);
    assert_eq!(bench.through(), [(0, 1, vec![1]), (0, 2, vec![2])]);
}

#[test]
fn rule_5_10_after_a_gap_the_batches_are_stamped_anew_in_their_order() {
    let bench = proven(&[]);
    let mut flights = bench.fly(1..4);
    bench.send(4);
    // Answers come in any order.
    bench.refuse(flights.pop_back().unwrap(), 45);
    bench.refuse(flights.pop_front().unwrap(), 45);
    assert!(bench.take().is_none(), "not before nothing is in flight");
    bench.refuse(flights.pop_front().unwrap(), 45);
    let expected: Vec<_> = (1..5).map(|number| (1, number as i32 - 1, vec![number])).collect();
    assert_eq!(bench.through(), expected, "under the next epoch, from 0 on");
}

#[test]
fn rule_5_11_a_fatal_error_in_the_middle_waits_until_the_batches_before_it_are_settled() {
    let bench = proven(&[]);
    bench.outcomes();
    let mut flights = bench.fly(1..4);
    bench.refuse(flights.pop_front().unwrap(), 7); // perhaps written
    bench.refuse(flights.pop_front().unwrap(), 29);
    bench.refuse(flights.pop_front().unwrap(), 45);
    let first = bench.take().unwrap();
    assert_eq!(seat(&first), (0, 1, vec![1]), "under its old stamp");
    bench.acknowledge(first, 1);
    let third = bench.take().unwrap();
    assert_eq!(seat(&third), (0, 3, vec![3]), "the broker says what became of the one before it");
    bench.refuse(third, 45);
    assert_eq!(bench.through(), [(1, 0, vec![3])]);
    let (there, not) = (Persistence::Persisted, Persistence::NotPersisted);
    let seen: Vec<_> = bench.outcomes().iter().map(|(mark, _, status)| (*mark, *status)).collect();
    assert_eq!(seen, [(1, there), (2, not), (3, there)]);
}

#[test]
fn rule_5_12_what_is_purged_in_flight_leaves_a_hole_that_the_next_batch_settles() {
    for (code, expected) in [(0, (0, 3)), (45, (1, 0))] {
        let bench = proven(&[]);
        let mut flights = bench.fly(1..3);
        bench.send(3);
        bench.send(4);
        bench.queue.purge(Purge { queued: false, in_flight: true }, &Error::bare(Code::PURGED));
        assert!(bench.take().is_none(), "nothing new gets a number");
        let (first, second) = (flights.pop_front().unwrap(), flights.pop_front().unwrap());
        match code {
            0 => {
                bench.refuse(first, 7);
                bench.acknowledge(second, 2); // then the first was there as well
            }
            _ => {
                bench.refuse(first, 19);
                bench.refuse(second, 45);
            }
        }
        let third = bench.take().unwrap();
        let (epoch, sequence, numbers) = seat(&third);
        assert_eq!(((epoch, sequence), numbers), (expected, vec![3]), "after {code}");
    }
}

#[test]
fn rule_5_12_a_part_of_a_batch_that_was_too_large_leaves_a_hole_when_it_is_purged() {
    let bench = proven(&[("batch.size", "1000")]);
    bench.send(1);
    bench.send(2);
    let flight = bench.take().unwrap();
    assert_eq!(seat(&flight), (0, 1, vec![1, 2]));
    bench.refuse(flight, 10);
    bench.queue.purge(Purge { queued: true, in_flight: false }, &Error::bare(Code::PURGED));
    bench.send(3);
    assert_eq!(seat(&bench.take().unwrap()), (1, 0, vec![3]), "without being refused first");
}

#[test]
fn rules_5_6_and_5_17_a_fenced_producer_goes_on_under_another_id_with_sequences_of_that() {
    let bench = proven(&[]);
    let flight = bench.fly(1..2).pop_front().unwrap();
    bench.send(2);
    bench.refuse(flight, 47);
    assert!(bench.take().is_none() && bench.ledger.identity.is_awaited());
    bench.ledger.identity.set_known(8);
    for (sequence, number) in [(0, 1), (1, 2)] {
        let flight = bench.take().unwrap();
        let batch = BatchIter::new(flight.body.bytes().clone()).next().unwrap().unwrap();
        let stamp = (batch.producer_id, batch.producer_epoch, batch.base_sequence);
        assert_eq!((stamp, numbers(flight.body.bytes())), ((8, 0, sequence), vec![number]));
        bench.acknowledge(flight, 1);
    }
}

#[test]
fn rule_4_4_a_partition_whose_producer_loses_its_id_sends_one_batch_at_a_time() {
    let bench = proven(&[]);
    let flights = bench.fly(1..3);
    // Another partition used the id up, and the only broker that could be asked knows none.
    bench.ledger.identity.get(Some(7));
    bench.ledger.identity.give_way(Error::bare(Code::UNSUPPORTED_VERSION));
    (3..6).for_each(|number| bench.send(number));
    for flight in flights {
        assert!(bench.take().is_none(), "beside those that have one");
        bench.acknowledge(flight, 1);
    }
    for number in 3..6 {
        let flight = bench.take().unwrap();
        assert_eq!(numbers(flight.body.bytes()), [number]);
        assert!(bench.take().is_none(), "beside one that has none");
        bench.acknowledge(flight, 1);
    }
}

#[test]
fn rule_5_18_a_topic_of_an_old_format_goes_on_without_identity_in_order() {
    let bench = proven(&[]);
    let mut flights = bench.fly(1..4);
    bench.refuse(flights.pop_front().unwrap(), 43);
    bench.refuse(flights.pop_front().unwrap(), 43);
    bench.refuse(flights.pop_front().unwrap(), 43);
    for number in 1..4 {
        let flight = bench.take().unwrap();
        let batch = BatchIter::new(flight.body.bytes().clone()).next().unwrap().unwrap();
        batch.verify().unwrap();
        assert_eq!((batch.producer_id, batch.base_sequence), (-1, -1));
        assert_eq!(numbers(flight.body.bytes()), [number]);
        assert!(bench.take().is_none(), "rule 4.4: one at a time");
        bench.acknowledge(flight, 1);
    }
}

#[test]
fn rule_4_7_the_parts_of_a_batch_that_is_cut_have_consecutive_sequences_across_the_wrap() {
    let bench = proven(&[("batch.size", "1000")]);
    let era = Era { producer_id: 7, epoch: 0 };
    bench.queue.lock().books = Books::at(era, i32::MAX - 3);
    (1..9).for_each(|number| bench.send(number));
    let flight = bench.take().unwrap();
    assert_eq!(seat(&flight).1, i32::MAX - 3);
    bench.refuse(flight, 10);
    let mut next = i32::MAX - 3;
    let mut all = Vec::new();
    for (epoch, sequence, numbers) in bench.through() {
        assert_eq!((epoch, sequence), (0, next), "rule 5.1");
        next = next.wrapping_add(numbers.len() as i32) & i32::MAX;
        all.extend(numbers);
    }
    assert_eq!((all, next), ((1..9).collect(), 4));
}

#[test]
fn rule_5_2_a_batch_that_may_be_written_is_never_cut() {
    let bench = proven(&[("batch.size", "1000")]);
    bench.outcomes();
    (1..4).for_each(|number| bench.send(number));
    let flight = bench.take().unwrap();
    bench.refuse(flight, 7);
    let flight = bench.take().unwrap();
    bench.refuse(flight, 10);
    let maybe = |number| (number, Code::MESSAGE_TOO_LARGE, Persistence::PossiblyPersisted);
    assert_eq!(bench.outcomes(), [maybe(1), maybe(2), maybe(3)]);
}

#[test]
fn a_request_takes_one_batch_of_a_partition_however_often_the_queue_comes() {
    let bench = proven(&[]);
    (1..3).for_each(|number| bench.send(number));
    let mut wanted =
        Wanted { format: Format::V2, room: None, window: 5, now: bench.later, once: true };
    let mut taken = Vec::new();
    for _ in 0..9 {
        match bench.queue.take(&bench.mail, &wanted) {
            Take::Flight(flight) => taken.push(flight),
            Take::Seal(seal) => assert!(seal.run_on_io_thread(1)),
            Take::Again => wanted.now += Duration::from_nanos(1),
            _ => break,
        }
        assert!(taken.len() < 2 || wanted.now > bench.later, "two in one request");
    }
    assert_eq!(taken.len(), 2);
}

#[test]
fn rule_4_12_an_acceptance_that_overtakes_a_batch_which_is_sent_again_is_told_after_it() {
    let bench = proven(&[]);
    bench.outcomes();
    let mut flights = bench.fly(1..4);
    bench.refuse(flights.pop_front().unwrap(), 7);
    flights.drain(..).zip(2..).for_each(|(flight, offset)| bench.acknowledge(flight, offset));
    assert_eq!(bench.outcomes(), [], "the first is not decided");
    assert_eq!((bench.queue.undecided(), bench.ledger.pending.batches()), (3, 3));
    let again = bench.take().unwrap();
    assert_eq!(bench.outcomes(), []);
    bench.refuse(again, 46);
    let told: Vec<_> = bench.outcomes().iter().map(|told| (told.0, told.1)).collect();
    assert_eq!(told, [1, 2, 3].map(|number| (number, Code::NONE)));
    assert_eq!((bench.queue.undecided(), bench.ledger.pending.batches()), (0, 0));
}

#[test]
fn rule_4_12_what_waited_for_a_batch_is_told_when_that_is_purged() {
    let bench = proven(&[]);
    bench.outcomes();
    let mut flights = bench.fly(1..3);
    bench.refuse(flights.pop_front().unwrap(), 7);
    bench.acknowledge(flights.pop_front().unwrap(), 2);
    let purge = Purge { queued: true, in_flight: false };
    assert_eq!(bench.queue.purge(purge, &Error::bare(Code::PURGED)), 1);
    let told: Vec<_> = bench.outcomes().iter().map(|told| (told.0, told.1)).collect();
    assert_eq!(told, [(1, Code::PURGED), (2, Code::NONE)]);
}

#[test]
fn rule_4_12_a_purge_of_all_tells_a_batch_that_came_back_before_those_behind_it() {
    let bench = proven(&[]);
    bench.outcomes();
    let mut flights = bench.fly(1..4);
    bench.send(4);
    bench.refuse(flights.pop_front().unwrap(), 7);
    let purge = Purge { queued: true, in_flight: true };
    assert_eq!(bench.queue.purge(purge, &Error::bare(Code::PURGED)), 4);
    let told: Vec<_> = bench.outcomes().iter().map(|told| told.0).collect();
    assert_eq!(told, [1, 2, 3, 4]);
    assert_eq!((bench.queue.undecided(), bench.ledger.pending.batches()), (0, 0));
}

#[test]
fn rule_4_12_a_purge_of_what_is_in_flight_is_told_behind_a_batch_that_came_back() {
    let bench = proven(&[]);
    bench.outcomes();
    let mut flights = bench.fly(1..3);
    bench.refuse(flights.pop_front().unwrap(), 7);
    let purge = Purge { queued: false, in_flight: true };
    assert_eq!(bench.queue.purge(purge, &Error::bare(Code::PURGED)), 1);
    assert_eq!(bench.outcomes(), [], "the first is not decided");
    bench.acknowledge(flights.pop_front().unwrap(), 2);
    let again = bench.take().unwrap();
    bench.acknowledge(again, 1);
    let told: Vec<_> = bench.outcomes().iter().map(|told| (told.0, told.1)).collect();
    assert_eq!(told, [(1, Code::NONE), (2, Code::PURGED)]);
}
