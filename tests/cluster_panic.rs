//! A panic in the metadata loop, in a test build: nobody waits for ever.
#![cfg(feature = "panic-injection")]

use std::time::{Duration, Instant};

use samsa::Code;
use samsa::cluster::Cluster;
use samsa::config::Config;
use samsa::{embedded, runtime};

// Armed panics are the process's: one test in this file.
#[test]
fn a_panic_in_the_metadata_loop_fails_the_handle_and_wakes_who_waits() {
    let kafka = embedded::Cluster::start(1).expect("the embedded broker");
    let mut config = Config::new();
    config.set("bootstrap.servers", &kafka.address()).expect("servers");
    let cluster = Cluster::open(&config).expect("open");
    cluster.wait_ready(Some(Instant::now() + Duration::from_secs(20))).expect("contact");
    let waiting = {
        let cluster = std::sync::Arc::clone(&cluster);
        std::thread::spawn(move || {
            loop {
                // Events of the start are read first; then it waits without limit.
                if let Err(error) = cluster.next_event(None) {
                    return error;
                }
            }
        })
    };
    runtime::arm_panic("metadata");
    cluster.refresh_now("a test");
    let error = waiting.join().expect("the waiter itself does not panic");
    assert_eq!(error.code(), Code::PANIC, "{error}");
    assert_eq!(cluster.topic("t").expect_err("poisoned").code(), Code::PANIC);
}
