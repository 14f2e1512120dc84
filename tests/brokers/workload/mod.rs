//! Threads that produce while the brokers die and leaders move, and a reader that follows them.

mod books;
mod gate;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use books::{Plan, Promise, Reading};
pub use gate::Gate;
use samsa::Code;
use samsa::cluster::{Cluster, Topic};
use samsa::consumer::{Consumer, EARLIEST, Name, Position};
use samsa::error::Persistence;
use samsa::producer::{Producer, Record};

use crate::ours;

/// How long nothing at all may come.
const PATIENCE: Duration = Duration::from_secs(180);

/// Runs the plan against the topic while `trouble` decides how far it may go; returns when every
/// record has its outcome and was read. Panics when a promise is broken.
pub fn run(address: &str, topic: &str, plan: Plan, trouble: impl FnOnce(&Gate)) {
    let idempotent = if plan.promise == Promise::ExactlyOnce { "true" } else { "false" };
    let options = [
        ("enable.idempotence", idempotent),
        ("acks", "all"),
        ("linger.ms", "5"),
        ("delivery.timeout.ms", "300000"),
        ("max.block.ms", "180000"),
    ];
    let cluster = ours::open(address, &options).expect("the brokers");
    let producer = Producer::new(&cluster, None).expect("a producer");
    let sent_to = cluster.topic(topic).expect("a topic");
    let gate = Gate::default();
    let (reading, places) = std::thread::scope(|threads| {
        for thread in 0..plan.threads {
            let (gate, producer, topic) = (&gate, &producer, &sent_to);
            threads.spawn(move || send(gate, producer, topic, plan, thread));
        }
        let outcomes = threads.spawn(|| collect(&gate, &producer, plan));
        let reader = threads.spawn(|| read(&gate, address, topic, plan));
        let guard = gate.guard();
        trouble(&gate);
        gate.allow(plan.each);
        gate.wait_settled(plan.total());
        drop(guard);
        (reader.join().expect("every record is read"), outcomes.join().expect("every outcome"))
    });
    for (number, offset) in (0..).zip(places) {
        reading.check_outcome(number, offset);
    }
    end_of_logs(&cluster, topic, plan, &reading);
    producer.close(60_000, None).expect("nothing is left to do");
}

fn send(gate: &Gate, producer: &Producer, topic: &Arc<Topic>, plan: Plan, thread: u64) {
    let _guard = gate.guard();
    for n in 0..plan.each {
        // In strides: the gate is a lock, and a record costs less than one.
        if n % 64 == 0 && !gate.pass(n) {
            return;
        }
        let value = plan.value(thread, n);
        let partition = i32::try_from(plan.partition(n)).expect("few");
        let record =
            Record::new(topic, &value).to_partition(partition).with_opaque(thread * plan.each + n);
        while let Err(error) = producer.send(&record, -1) {
            // Outcomes fill the buffer until the other thread has read them.
            assert_eq!(error.code(), Code::UNREAD_DELIVERIES, "{error}");
            std::thread::yield_now();
        }
    }
}

/// Every outcome: each record has one, and it is success. Gives the offsets by number.
fn collect(gate: &Gate, producer: &Producer, plan: Plan) -> Vec<i64> {
    let _guard = gate.guard();
    const NONE: i64 = i64::MIN;
    let total = usize::try_from(plan.total()).expect("what memory holds");
    let (mut offsets, mut settled) = (vec![NONE; total], 0);
    let mut quiet_since = Instant::now();
    while settled < total && !gate.is_over() {
        let deliveries = match producer.poll(1_000) {
            Ok(deliveries) => deliveries,
            Err(error) => {
                assert_eq!(error.code(), Code::NOTHING, "{error}");
                assert!(quiet_since.elapsed() < PATIENCE, "{settled} of {total} outcomes came");
                continue;
            }
        };
        quiet_since = Instant::now();
        for (index, one) in deliveries.iter().enumerate() {
            let why = || deliveries.error(index);
            assert_eq!(one.code, Code::NONE, "record {}: {:?}", one.opaque, why());
            assert_eq!(one.status, Persistence::Persisted, "record {}", one.opaque);
            let place = &mut offsets[usize::try_from(one.opaque).expect("a number of ours")];
            assert_eq!(*place, NONE, "record {} has two outcomes", one.opaque);
            *place = one.offset;
        }
        settled += deliveries.len();
        gate.settle(deliveries.len() as u64);
    }
    offsets
}

/// Reads along from the first record on, through whatever happens to the brokers.
fn read(gate: &Gate, address: &str, topic: &str, plan: Plan) -> Reading {
    let _guard = gate.guard();
    let cluster = ours::open(address, &[]).expect("the brokers");
    let consumer = Consumer::new(&cluster, None).expect("a consumer");
    let name = Name::new(topic).expect("a name");
    let places: Vec<Position> = (0..plan.partitions)
        .map(|p| Position::new(name.clone(), i64::try_from(p).expect("few")).at(EARLIEST))
        .collect();
    consumer.assign(&places).expect("an assignment");
    let mut reading = Reading::new(plan);
    let mut quiet_since = Instant::now();
    while !reading.is_complete() && !gate.is_over() {
        match consumer.poll(1_000) {
            Ok(batch) => {
                quiet_since = Instant::now();
                for record in batch.iter() {
                    let value = record.value().expect("a value");
                    reading.take(record.partition(), record.offset(), value);
                }
            }
            Err(error) if error.code() == Code::NOTHING => {
                let left = plan.total() - reading.distinct;
                assert!(quiet_since.elapsed() < PATIENCE, "{left} records never came");
            }
            // The topic is new: not every broker has heard of it.
            Err(error) if error.is_retriable() && reading.distinct == 0 => {}
            Err(error) => panic!("{error}"),
        }
    }
    reading
}

/// The logs hold what was read and nothing behind it.
fn end_of_logs(cluster: &Arc<Cluster>, topic: &str, plan: Plan, reading: &Reading) {
    let consumer = Consumer::new(cluster, None).expect("a consumer");
    let name = Name::new(topic).expect("a name");
    let ends = (0..plan.partitions).map(|partition| {
        let place = Position::new(name.clone(), i64::try_from(partition).expect("few"));
        let (low, high) = consumer.watermarks(&place, 60_000).expect("the ends of the log");
        u64::try_from(high - low).expect("an end behind the start")
    });
    let held: u64 = ends.sum();
    match plan.promise {
        Promise::ExactlyOnce => assert_eq!(held, plan.total(), "records in the logs"),
        Promise::AtLeastOnce => assert!(held >= reading.distinct + reading.repeated),
    }
}
