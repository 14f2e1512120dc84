//! The harness does what the other cases rely on.

use crate::ground::Ground;

/// Kill as a crash would, restart on the same ports and data.
pub fn a_killed_broker_serves_again_on_the_same_port(ground: &Ground) {
    let mut cluster = ground.cluster();
    cluster.kill(0);
    let port = ground.address.rsplit(':').next().and_then(|p| p.parse().ok()).expect("a port");
    assert!(crate::harness::probe::listed_brokers(port).is_err(), "a killed broker answers");
    cluster.restart(0);
    assert_eq!(cluster.address(), ground.address);
    assert_eq!(cluster.release(), ground.release);
}
