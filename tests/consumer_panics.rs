//! Forced panics in the consumer's tasks: every waiter wakes with an error, and nothing hangs.
//!
//! A program of its own: an armed panic strikes whoever passes the point next.
#![cfg(feature = "panic-injection")]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use samsa::Code;
use samsa::cluster::Cluster;
use samsa::config::Config;
use samsa::consumer::{Consumer, Name, Position};
use samsa::embedded;
use samsa::runtime::arm_panic;

/// One test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn place() -> Position {
    Position::new(Name::new("t").unwrap(), 0).at(0)
}

fn consumer() -> (embedded::Cluster, Arc<Cluster>, Arc<Consumer>) {
    let kafka = embedded::Cluster::start(1).unwrap();
    kafka.create_topic("t", 1).unwrap();
    let mut config = Config::new();
    config.set("bootstrap.servers", &kafka.address()).unwrap();
    config.set("fetch.max.wait.ms", "50").unwrap();
    let cluster = Cluster::open(&config).unwrap();
    let consumer = Consumer::new(&cluster, None).unwrap();
    (kafka, cluster, consumer)
}

fn panics_at(point: &str) {
    let _alone = alone();
    let (_kafka, cluster, consumer) = consumer();
    std::thread::scope(|scope| {
        let polling = scope.spawn(|| consumer.poll(-1));
        let waiting = scope.spawn(|| consumer.next(-1));
        arm_panic(point);
        consumer.assign(&[place()]).unwrap();
        for outcome in [polling.join().unwrap().err(), waiting.join().unwrap().err()] {
            let error = outcome.expect("an error");
            assert_eq!(error.code(), Code::PANIC, "{error}");
            assert!(error.is_fatal() && error.message().contains(point), "{error}");
        }
    });
    assert_eq!(consumer.poll(-1).unwrap_err().code(), Code::PANIC);
    assert_eq!(consumer.seek(&[place()]).unwrap_err().code(), Code::PANIC);
    consumer.close(1_000).unwrap();
    let other = Consumer::new(&cluster, None).unwrap();
    other.assign(&[place()]).unwrap();
    assert_eq!(other.poll(200).unwrap_err().code(), Code::NOTHING, "other consumers go on");
}

#[test]
fn a_panic_in_a_fetcher_wakes_every_waiter_with_an_error() {
    panics_at("fetcher");
}

#[test]
fn a_panic_in_the_task_that_follows_leaders_wakes_every_waiter_with_an_error() {
    panics_at("consumer");
}
