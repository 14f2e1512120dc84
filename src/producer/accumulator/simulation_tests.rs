//! Queues of several partitions, two model brokers, and a network that breaks wherever proptest says:
//! what was acknowledged is there once and in order, what was "not persisted" is not there, what was
//! "possibly persisted" is there once at most, and every record has its outcome in time.
//!
//! Everything runs on one thread in simulated time. The senders of the test take only what queues
//! announce, so that a lost announcement ends in a record without outcome.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;

use super::model_tests::{Manners, ModelPartition};
use super::{Answer, Appended, Arrival, Flight, Leader, Ledger, Purge, Queue, Seal, Take, Wanted};
use crate::cluster::Topic;
use crate::config::{Acks, Config, ProducerConfig};
use crate::error::{Code, Error, Persistence};
use crate::producer::Deliveries;
use crate::producer::identity::{Books, Era};
use crate::producer::mail::Mail;
use crate::producer::record::Record;
use crate::producer::sender::{Action, classify};
use crate::protocol::record::Format;
use crate::runtime::Signal;

const PARTITIONS: usize = 3;
const BROKERS: usize = 2;

#[derive(Clone, Debug)]
enum Step {
    Send {
        partition: usize,
        records: usize,
    },
    /// A broker's sender takes what is announced, and writes one request.
    Write {
        broker: usize,
    },
    /// The broker looks at the next request of its connection.
    Serve {
        broker: usize,
        faults: Vec<Option<Fault>>,
    },
    /// One answer that is on its way arrives; any of them, for tasks await them.
    Arrive {
        which: usize,
    },
    /// The connection breaks; of the requests on it so many may still be served later.
    Break {
        broker: usize,
        zombies: usize,
    },
    /// A request of a broken connection is served after all, and nobody hears of it.
    Zombie {
        which: usize,
    },
    Move {
        partition: usize,
    },
    /// The client hears who leads.
    Learn {
        partition: usize,
    },
    Wait {
        ms: u64,
    },
    Purge {
        partition: usize,
        queued: bool,
        in_flight: bool,
    },
    /// With nothing doubtful anywhere: a long time passes, and brokers forget producers.
    Forget {
        cut: bool,
    },
}

/// An error code for one batch, and whether it is appended all the same.
#[derive(Clone, Copy, Debug)]
struct Fault {
    code: i16,
    applied: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let partition = 0..PARTITIONS;
    let broker = 0..BROKERS;
    let refused = prop::sample::select(vec![19, 2, 6, 3, 7, 74, 31_999, 29, 87, 10, -1]);
    let applied = prop::sample::select(vec![7, 20, 6, 3, 13, 56, -1, 31_999]);
    let fault = prop_oneof![
        refused.prop_map(|code| Fault { code, applied: false }),
        applied.prop_map(|code| Fault { code, applied: true }),
    ];
    let faults = prop::collection::vec(prop::option::weighted(0.15, fault), PARTITIONS);
    let step = prop_oneof![
        8 => (partition.clone(), 1..6_usize)
            .prop_map(|(partition, records)| Step::Send { partition, records }),
        12 => broker.clone().prop_map(|broker| Step::Write { broker }),
        10 => (broker.clone(), faults).prop_map(|(broker, faults)| Step::Serve { broker, faults }),
        12 => (0..20_usize).prop_map(|which| Step::Arrive { which }),
        1 => (broker, 0..6_usize).prop_map(|(broker, zombies)| Step::Break { broker, zombies }),
        1 => (0..6_usize).prop_map(|which| Step::Zombie { which }),
        1 => partition.clone().prop_map(|partition| Step::Move { partition }),
        2 => partition.clone().prop_map(|partition| Step::Learn { partition }),
        3 => (1..250_u64).prop_map(|ms| Step::Wait { ms }),
        1 => (partition, any::<bool>(), any::<bool>()).prop_map(|(partition, queued, in_flight)| {
            Step::Purge { partition, queued, in_flight: in_flight && !queued }
        }),
        1 => any::<bool>().prop_map(|cut| Step::Forget { cut }),
    ];
    prop::collection::vec(step, 1..250)
}

/// A broker as the client sees it.
struct Broker {
    mail: Arc<Mail>,
    rotation: VecDeque<Arc<Queue>>,
    timers: Vec<(Instant, Arc<Queue>)>,
    /// The requests on the connection.
    wire: VecDeque<Vec<Flight>>,
}

struct Simulation {
    start: Instant,
    now: Instant,
    manners: Manners,
    ledger: Arc<Ledger>,
    topic: Arc<Topic>,
    queues: Vec<Arc<Queue>>,
    partitions: Vec<ModelPartition>,
    brokers: Vec<Broker>,
    answers: Vec<(Flight, Answer)>,
    /// Batches of broken connections: broker, partition, bytes.
    zombies: Vec<(usize, usize, Bytes)>,
    sent: Vec<Vec<u64>>,
    next_number: u64,
    next_id: i64,
    near_the_end: bool,
}

impl Simulation {
    fn new(manners: Manners, near_the_end: bool) -> Self {
        let mut config = Config::new();
        for (name, value) in [
            ("linger.ms", "0"),
            ("batch.size", "130"),
            ("retry.backoff.ms", "10"),
            ("retry.backoff.max.ms", "40"),
            ("request.timeout.ms", "100"),
            ("delivery.timeout.ms", "1000"),
            ("buffer.memory", "100000000"),
        ] {
            config.set(name, value).unwrap();
        }
        let config = ProducerConfig::from(&config).unwrap();
        let ledger = Ledger::new(&config, Arc::new(Signal::new()));
        let topic = Topic::lone("orders", 0);
        let settings = config.for_topic("orders");
        let queue =
            |partition| Queue::new(Arc::clone(&topic), partition, settings, Arc::clone(&ledger));
        let queues: Vec<_> = (0..PARTITIONS as i32).map(queue).collect();
        if near_the_end && !manners.unknown_begins_at_zero {
            ledger.identity.prepare();
            ledger.identity.set_known(7);
            for queue in &queues {
                let era = Era { producer_id: 7, epoch: i16::MAX - 1 };
                queue.lock().books = Books::at(era, i32::MAX - 6);
            }
        }
        let broker = |id| Broker {
            mail: Mail::new(id),
            rotation: VecDeque::new(),
            timers: Vec::new(),
            wire: VecDeque::new(),
        };
        let start = Instant::now();
        let mut simulation = Self {
            start,
            now: start,
            manners,
            ledger: Arc::clone(&ledger),
            topic: Arc::clone(&topic),
            queues,
            partitions: (0..PARTITIONS).map(|_| ModelPartition::default()).collect(),
            brokers: (0..BROKERS as i32).map(broker).collect(),
            answers: Vec::new(),
            zombies: Vec::new(),
            sent: vec![Vec::new(); PARTITIONS],
            next_number: 1,
            next_id: 8,
            near_the_end,
        };
        (0..PARTITIONS).for_each(|partition| simulation.learn(partition));
        simulation
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Send { partition, records } => self.send(*partition, *records),
            Step::Write { broker } => self.write(*broker),
            Step::Serve { broker, faults } => self.serve(*broker, faults),
            Step::Arrive { which } => self.arrive(*which),
            Step::Break { broker, zombies } => self.break_connection(*broker, *zombies),
            Step::Zombie { which } => self.zombie(*which),
            Step::Move { partition } => {
                let other = 1 - self.partitions[*partition].leader;
                self.partitions[*partition].move_to(other);
            }
            Step::Learn { partition } => self.learn(*partition),
            Step::Wait { ms } => self.wait(Duration::from_millis(*ms)),
            Step::Purge { partition, queued, in_flight } => {
                let purge = Purge { queued: *queued, in_flight: *in_flight };
                self.queues[*partition].purge(purge, &Error::bare(Code::PURGED));
            }
            Step::Forget { cut } => self.forget(*cut),
        }
    }

    fn send(&mut self, partition: usize, records: usize) {
        for _ in 0..records {
            let (number, queue) = (self.next_number, &self.queues[partition]);
            self.next_number += 1;
            let value = number.to_be_bytes();
            let record = Record::new(&self.topic, &value).with_opaque(number);
            let mut seals = Vec::new();
            let arrival = Arrival { record, timestamp: 1_000, sticky: false };
            let appended = queue.append(&arrival, &mut None, &mut seals).unwrap();
            assert_eq!(appended, Appended::Done);
            // Batches are opened by the real clock: set it to the simulated one.
            let mut state = queue.lock();
            if let Some(open) = state.open.as_mut().filter(|open| open.builder.count() == 1) {
                open.opened = self.now;
            }
            drop(state);
            seals.into_iter().for_each(Seal::run);
            self.sent[partition].push(number);
        }
    }

    fn write(&mut self, broker: usize) {
        self.give_id();
        let (now, five) = (self.now, self.manners.remembers);
        let broker = &mut self.brokers[broker];
        let letters = broker.mail.collect();
        broker.rotation.extend(letters.ready);
        broker.timers.extend(letters.timers);
        let due: Vec<_> = broker.timers.extract_due(now);
        for (at, queue) in due {
            queue.timer_fired(&broker.mail, at, now);
        }
        broker.rotation.extend(broker.mail.collect().ready);
        if broker.wire.len() >= 5 {
            return;
        }
        let (mut flights, mut again) = (Vec::new(), Vec::new());
        let mut turns = 0;
        while let Some(queue) = broker.rotation.pop_front() {
            turns += 1;
            assert!(turns < 1_000, "the sender goes in circles");
            let wanted = Wanted { format: Format::V2, room: None, window: five, now, once: false };
            match queue.take(&broker.mail, &wanted) {
                Take::Flight(flight) => {
                    again.extend(flight.more.then(|| Arc::clone(&queue)));
                    flights.push(flight);
                }
                Take::Seal(seal) => {
                    assert!(seal.run_on_io_thread(1));
                    broker.rotation.push_front(queue);
                }
                Take::NoRoom | Take::Again => panic!("there is no limit"),
                Take::Nothing => {}
            }
        }
        broker.rotation.extend(again);
        if !flights.is_empty() {
            broker.wire.push_back(flights);
        }
        self.check_in_flight();
    }

    /// The look-up of producer ids answers as soon as one is wanted.
    fn give_id(&mut self) {
        if self.ledger.identity.is_awaited() {
            self.ledger.identity.set_known(self.next_id);
            self.next_id += 1;
            self.queues.iter().for_each(Queue::hurry);
        }
    }

    /// Invariant 5.3.
    fn check_in_flight(&self) {
        let mut counts = HashMap::new();
        let wires = self.brokers.iter().flat_map(|broker| broker.wire.iter().flatten());
        for flight in wires.chain(self.answers.iter().map(|(flight, _)| flight)) {
            *counts.entry(flight.queue.partition()).or_insert(0_usize) += 1;
        }
        assert!(counts.values().all(|count| *count <= self.manners.remembers), "{counts:?}");
    }

    fn serve(&mut self, broker: usize, faults: &[Option<Fault>]) {
        let Some(flights) = self.brokers[broker].wire.pop_front() else { return };
        for flight in flights {
            let at = flight.queue.partition() as usize;
            let fault = faults.get(at).copied().flatten();
            let answer = self.judge(broker, at, &flight, fault);
            self.answers.push((flight, answer));
        }
    }

    fn judge(&mut self, broker: usize, at: usize, flight: &Flight, fault: Option<Fault>) -> Answer {
        let partition = &mut self.partitions[at];
        let is_leader = partition.leader == broker as i32;
        let verdict = match fault {
            Some(Fault { code, applied: false }) => Err(code),
            _ if !is_leader => Err(6),
            _ => partition.produce(flight.body.bytes(), self.manners),
        };
        // What was refused as out of order stays that, whatever the fault.
        match (verdict, fault) {
            (Ok(_), Some(Fault { code, applied: true })) => refuse(code, flight, partition),
            (Ok(base_offset), _) => Answer::Written { base_offset, log_append_time: -1 },
            (Err(code), _) => refuse(code, flight, partition),
        }
    }

    fn arrive(&mut self, which: usize) {
        if self.answers.is_empty() {
            return;
        }
        let (flight, answer) = self.answers.swap_remove(which % self.answers.len());
        let landed = flight.queue.settle(&flight, "b:1", answer, self.now);
        landed.seals.into_iter().for_each(Seal::run);
    }

    fn break_connection(&mut self, broker: usize, zombies: usize) {
        let wire = std::mem::take(&mut self.brokers[broker].wire);
        for (turn, flights) in wire.into_iter().enumerate() {
            for flight in flights {
                let at = flight.queue.partition() as usize;
                if turn < zombies {
                    self.zombies.push((broker, at, flight.body.bytes().clone()));
                }
                let error = Error::bare(Code::DISCONNECTED)
                    .with_persistence(Persistence::PossiblyPersisted);
                let action = Action::Retry { refresh: true, maybe_written: true };
                let answer = Answer::Refused { action, error, records: Vec::new(), log_start: -1 };
                self.answers.push((flight, answer));
            }
        }
    }

    fn zombie(&mut self, which: usize) {
        if self.zombies.is_empty() {
            return;
        }
        let (broker, at, bytes) = self.zombies.remove(which % self.zombies.len());
        if self.partitions[at].leader == broker as i32 {
            let _ = self.partitions[at].produce(&bytes, self.manners);
        }
    }

    fn learn(&mut self, partition: usize) {
        let known = &self.partitions[partition];
        let mail = Arc::clone(&self.brokers[known.leader as usize].mail);
        self.queues[partition].lead(Some(Leader { mail, epoch: known.epoch }));
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        for queue in &self.queues {
            queue.expire(self.now);
        }
    }

    fn forget(&mut self, cut: bool) {
        if !self.zombies.is_empty() || self.ledger.pending.batches() > 0 {
            return;
        }
        if self.queues.iter().any(|queue| !queue.lock().flying.is_empty()) {
            return;
        }
        self.wait(Duration::from_secs(200_000));
        for partition in &mut self.partitions {
            partition.forget();
            if cut {
                partition.log_start = partition.log.len() as i64;
            }
        }
    }

    /// Everything heals: every record gets its outcome.
    fn drain(&mut self) {
        for _ in 0..300 {
            if self.ledger.pending.batches() == 0 {
                return;
            }
            for partition in 0..PARTITIONS {
                self.learn(partition);
            }
            for broker in 0..BROKERS {
                self.write(broker);
                while !self.brokers[broker].wire.is_empty() {
                    self.serve(broker, &[]);
                }
            }
            while !self.answers.is_empty() {
                self.arrive(0);
            }
            self.wait(Duration::from_millis(15));
        }
        panic!("{} batches have no outcome: {:?}", self.ledger.pending.batches(), self.queues);
    }

    fn check(mut self) {
        self.drain();
        // Long after everybody gave up.
        while !self.zombies.is_empty() {
            self.zombie(0);
        }
        let mut outcomes = HashMap::new();
        let mut last = [None; PARTITIONS];
        for one in Deliveries::new(self.ledger.outbox.take().unwrap_or_default()).iter() {
            // What was purged before it was sent is told at once (invariant 4.12 for all others).
            if one.code != Code::PURGED || one.status != Persistence::NotPersisted {
                let before = last[one.partition as usize].replace(one.opaque);
                assert!(before < Some(one.opaque), "{} is told after {before:?}", one.opaque);
            }
            let seen = outcomes.insert(one.opaque, (one.status, one.offset, one.code));
            assert!(seen.is_none(), "two outcomes for {}", one.opaque);
        }
        for (partition, sent) in self.partitions.iter().zip(&self.sent) {
            let log = &partition.log;
            let there = |number: &u64| {
                outcomes.get(number).is_some_and(|(status, ..)| *status == Persistence::Persisted)
            };
            let known = log.iter().filter(|number| there(number));
            assert!(known.is_sorted_by(|a, b| a < b), "twice or out of order: {log:?}");
            let mut all = log.clone();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), log.len(), "twice: {log:?}");
            // A new epoch fences what is still on its way under the old one; a new id does not.
            if self.next_id <= 9 && !self.near_the_end {
                assert!(log.is_sorted(), "out of order: {log:?}");
            }
            for number in sent {
                let (status, offset, code) = outcomes.remove(number).expect("an outcome");
                let at = log.iter().position(|stored| stored == number);
                match status {
                    Persistence::Persisted => {
                        let at = at.unwrap_or_else(|| panic!("{number} is lost")) as i64;
                        assert!(offset == -1 || offset == at, "{number}: {offset}, not {at}");
                    }
                    Persistence::NotPersisted => assert_eq!(at, None, "{number}: {code:?}"),
                    Persistence::PossiblyPersisted => {}
                }
            }
        }
        assert!(outcomes.is_empty());
        assert!(self.now > self.start);
    }
}

fn refuse(code: i16, flight: &Flight, partition: &ModelPartition) -> Answer {
    let code = Code::from(code);
    let action = classify(code, Acks::All, flight.can_split);
    let (error, records) = (Error::bare(code), Vec::new());
    Answer::Refused { action, error, records, log_start: partition.log_start }
}

trait ExtractDue {
    fn extract_due(&mut self, now: Instant) -> Self;
}

impl ExtractDue for Vec<(Instant, Arc<Queue>)> {
    fn extract_due(&mut self, now: Instant) -> Self {
        let (due, later) = std::mem::take(self).into_iter().partition(|(at, _)| *at <= now);
        *self = later;
        due
    }
}

fn manners() -> impl Strategy<Value = Manners> {
    prop::sample::select(vec![(5, false), (5, false), (5, true), (1, true)]).prop_map(
        |(remembers, unknown_begins_at_zero)| Manners { remembers, unknown_begins_at_zero },
    )
}

/// What is known to be found soon is not worth minutes of making it smaller.
fn settings() -> ProptestConfig {
    ProptestConfig {
        max_shrink_iters: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(settings())]
    #[test]
    fn exactly_once_and_in_order_whatever_breaks(
        manners in manners(),
        near_the_end in any::<bool>(),
        steps in steps(),
    ) {
        let mut simulation = Simulation::new(manners, near_the_end);
        for step in &steps {
            simulation.step(step);
        }
        simulation.wait(Duration::from_millis(1));
        simulation.check();
    }
}
