//! A panic in the tasks of discovery through ZooKeeper, in a test build: nobody waits for ever.
#![cfg(feature = "panic-injection")]

use std::time::{Duration, Instant};

use samsa::cluster::Cluster;
use samsa::config::Config;
use samsa::{Code, runtime};

// Armed panics are the process's: one test in this file.
#[test]
fn a_panic_in_a_task_of_discovery_fails_the_handle_and_wakes_who_waits() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    for task in ["zookeeper", "registry"] {
        runtime::arm_panic(task);
        let mut config = Config::new();
        config.set("zookeeper.connect", &address).expect("a server");
        let cluster = Cluster::open(&config).expect("open does not wait");
        let end = Instant::now() + Duration::from_secs(20);
        let error = cluster.wait_ready(Some(end)).expect_err("a panic");
        assert_eq!(error.code(), Code::PANIC, "{task}: {error}");
        assert_eq!(cluster.topic("t").expect_err("poisoned").code(), Code::PANIC);
        cluster.close(Some(end)).expect("it is over already");
        assert!(Instant::now() < end);
    }
}
