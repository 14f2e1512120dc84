//! Forced panics in the background: every waiter and every record learns of it.

use samsa::Code;
use samsa::producer::Record;
use samsa::runtime::{arm_panic, disarm_panics};

use crate::bench::{WAIT, bench};

// One test: the points are the process's.
#[test]
fn a_panic_in_a_background_task_gives_every_record_an_outcome_and_wakes_every_waiter() {
    for point in ["produce-call", "sender"] {
        let bench = bench(&[]);
        bench.send(1);
        assert_eq!(bench.outcomes(1)[0].1, Code::NONE);
        arm_panic(point);
        std::thread::scope(|threads| {
            let flusher = threads.spawn(|| {
                let record = Record::new(&bench.topic, b"x").with_opaque(2).to_partition(0);
                let _ = bench.producer.send(&record, WAIT);
                bench.producer.flush(-1, None).1
            });
            if let Err(error) = flusher.join().unwrap() {
                assert_eq!(error.code(), Code::PANIC, "{point}");
            }
        });
        let deliveries = bench.producer.poll(WAIT).unwrap();
        assert!(deliveries.iter().all(|one| one.code == Code::PANIC), "{point}");
        assert_eq!(deliveries.len(), 1);
        assert_eq!(bench.producer.poll(-1).unwrap_err().code(), Code::PANIC);
        let record = Record::new(&bench.topic, b"x");
        assert_eq!(bench.producer.send(&record, -1).unwrap_err().code(), Code::PANIC);
        disarm_panics();
    }
}
