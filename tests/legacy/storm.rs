//! Everything at once: senders, publishers that give up, brokers that die, come back and are forgotten.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use samsa::Code;
use samsa::cluster::Topic;
use samsa::error::Persistence;
use samsa::producer::{Producer, Record};

use super::rig::{Rig, known, producer, publisher, wait_until};

const BROKERS: i32 = 3;
/// How often a broker is struck, and how much is done between strikes.
const STRIKES: i32 = 40;
const WORK: u64 = 60;

/// What the threads share.
#[derive(Default)]
struct Weather {
    over: AtomicBool,
    /// Calls that came back.
    done: AtomicU64,
}

impl Weather {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn note(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until some more calls came back.
    fn let_work(&self) {
        let before = self.done.load(Ordering::Relaxed);
        wait_until("calls come back", || self.done.load(Ordering::Relaxed) >= before + WORK);
    }
}

/// Sends numbered messages until the storm is over; gives the numbers that were accepted.
fn send(producer: &Producer, topic: &Arc<Topic>, weather: &Weather, lane: u64) -> Vec<u64> {
    let mut accepted = Vec::new();
    for number in 1.. {
        if weather.is_over() {
            break;
        }
        let mark = lane << 32 | number;
        let (value, key) = (mark.to_string(), format!("{}", number % 7));
        let mut record = Record::new(topic, value.as_bytes()).with_opaque(mark);
        if number % 5 == 0 {
            record = record.with_key(key.as_bytes());
        }
        match producer.send(&record, 20) {
            Ok(()) => accepted.push(mark),
            // While no broker is registered there is no partition, and a full buffer is full.
            Err(error) => {
                assert!(error.is_retriable() || error.code() == Code::TIMED_OUT, "{error}")
            }
        }
        if number % 50 == 0 {
            let _ = producer.flush(20, None);
        }
        weather.note();
    }
    accepted
}

/// Publishes with little patience; gives what became of each value.
fn publish(
    publisher: &Producer,
    topic: &Arc<Topic>,
    weather: &Weather,
    lane: u64,
) -> Vec<(String, Persistence)> {
    let mut told = Vec::new();
    for number in 0.. {
        if weather.is_over() {
            break;
        }
        let values: Vec<String> = (0..3).map(|at| format!("p{lane}.{number}.{at}")).collect();
        let list: Vec<_> =
            values.iter().map(|value| Record::new(topic, value.as_bytes())).collect();
        let within = Instant::now() + Duration::from_millis(1 + number % 8);
        let status = match publisher.publish(&list, Some(within)) {
            Ok(_) => Persistence::Persisted,
            Err(error) => error.persistence(),
        };
        told.extend(values.into_iter().map(|value| (value, status)));
        weather.note();
    }
    told
}

fn rage(rig: &Rig, weather: &Weather) {
    for strike in 0..STRIKES {
        let victim = strike % BROKERS;
        match strike % 4 {
            0 => rig.brokers.close_connections(Some(victim)).unwrap(),
            1 => rig.unregister(victim),
            _ => rig.brokers.stop_broker(victim).unwrap(),
        }
        weather.let_work();
        rig.brokers.start_broker(victim).unwrap();
        rig.register(victim);
        weather.let_work();
    }
    weather.over.store(true, Ordering::Relaxed);
}

#[test]
fn every_outcome_is_told_once_and_true_whatever_breaks() {
    let rig = Rig::start(BROKERS as usize, 2);
    let cluster = rig.open(&[("linger.ms", "1"), ("batch.size", "300")]);
    let topic = known(&cluster, "t");
    let (producer, publisher) = (producer(&cluster), publisher(&cluster));
    let (weather, sent, published) = (Weather::default(), Mutex::default(), Mutex::default());
    std::thread::scope(|threads| {
        for lane in 1..=2 {
            let (producer, publisher, topic) = (&producer, &publisher, &topic);
            let (weather, sent, published) = (&weather, &sent, &published);
            threads.spawn(move || {
                let accepted: Vec<u64> = send(producer, topic, weather, lane);
                Mutex::<Vec<u64>>::lock(sent).unwrap().extend(accepted);
            });
            threads.spawn(move || {
                let told = publish(publisher, topic, weather, lane);
                Mutex::<Vec<(String, Persistence)>>::lock(published).unwrap().extend(told);
            });
        }
        threads.spawn(|| rage(&rig, &weather));
    });
    producer.close(60_000, None).expect("everything is decided");
    publisher.close(60_000, None).expect("everything is decided");
    let mut outcomes: HashMap<u64, Persistence> = HashMap::new();
    while let Ok(deliveries) = producer.poll(0) {
        for told in deliveries.iter() {
            assert!(outcomes.insert(told.opaque, told.status).is_none(), "{} twice", told.opaque);
        }
    }
    let sent = sent.into_inner().unwrap();
    assert_eq!(outcomes.len(), sent.len(), "each has one");
    let written: HashSet<String> = rig.all_messages("t").into_iter().collect();
    let outcomes = outcomes.into_iter().map(|(mark, status)| (mark.to_string(), status));
    let mut counts = [0; 3];
    for (value, status) in outcomes.chain(published.into_inner().unwrap()) {
        match status {
            Persistence::Persisted => assert!(written.contains(&value), "{value} is lost"),
            Persistence::NotPersisted => assert!(!written.contains(&value), "{value} is there"),
            Persistence::PossiblyPersisted => {}
        }
        counts[status as usize] += 1;
    }
    println!("{} sent, {counts:?} not, possibly and surely written", sent.len());
}
