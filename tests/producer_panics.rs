//! Forced panics in the producer's tasks: every waiter and every record learns of it.
//!
//! A program of its own: an armed panic strikes whoever passes the point next.
#![cfg(feature = "panic-injection")]

#[allow(dead_code, reason = "the producer's tests share it")]
#[path = "producer/bench.rs"]
mod bench;

use samsa::Code;
use samsa::producer::Record;
use samsa::runtime::{arm_panic, disarm_panics};

use crate::bench::{WAIT, bench};

// One test: the points are the process's.
#[test]
fn a_panic_in_a_background_task_gives_every_record_an_outcome_and_wakes_every_waiter() {
    for point in ["produce-call", "sender"] {
        // What the record before left to do may meet the point first: then the send is refused.
        let met_by_the_record = (0..100).any(|_| panics_at(point));
        assert!(met_by_the_record, "{point}");
    }
}

/// Lets a background task panic while a record is on its way; whether the record was accepted before.
fn panics_at(point: &'static str) -> bool {
    let bench = bench(&[]);
    bench.send(1);
    assert_eq!(bench.outcomes(1)[0].1, Code::NONE);
    arm_panic(point);
    let accepted = std::thread::scope(|threads| {
        let flusher = threads.spawn(|| {
            let record = Record::new(&bench.topic, b"x").with_opaque(2).to_partition(0);
            let sent = bench.producer.send(&record, WAIT);
            (sent, bench.producer.flush(-1, None).1)
        });
        let (sent, flushed) = flusher.join().unwrap();
        for refused in [&sent, &flushed].into_iter().filter_map(|result| result.as_ref().err()) {
            assert_eq!(refused.code(), Code::PANIC, "{point}");
        }
        sent.is_ok()
    });
    if accepted {
        let deliveries = bench.producer.poll(WAIT).unwrap();
        assert!(deliveries.iter().all(|one| one.code == Code::PANIC), "{point}");
        assert_eq!(deliveries.len(), 1);
    }
    assert_eq!(bench.producer.poll(-1).unwrap_err().code(), Code::PANIC);
    let record = Record::new(&bench.topic, b"x");
    assert_eq!(bench.producer.send(&record, -1).unwrap_err().code(), Code::PANIC);
    disarm_panics();
    accepted
}
