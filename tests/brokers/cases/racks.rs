//! Reading from the replica in the consumer's rack (KIP-392). Every broker has a rack of its own.

use super::leader::leader_of;
use crate::ground::Ground;
use crate::harness::topics;
use crate::programs::{produce, program, rows, run, text};

const MESSAGES: usize = 500;
/// A leader names no replica that fell behind, which on a busy machine may happen at any time.
const ATTEMPTS: usize = 5;

/// Whatever the rack, all is read, in order; with that of a follower from the follower.
pub fn the_replica_in_our_rack_is_read(ground: &Ground) {
    let topic = ground.topic("racks");
    topics::create(ground, &topic, 1, 3, &[]);
    let lines: Vec<_> = (0..MESSAGES).map(|n| format!("key\t{n}\n")).collect();
    let sent = produce(&ground.address, &topic, &["acks=all"], lines.concat().as_bytes());
    assert!(sent.status.success(), "{}", text(&sent.stderr));
    let leader = leader_of(ground, &topic, 0);
    for rack in 0..3 {
        let wanted = format!("is read from broker {rack}, which leader {leader}");
        let moves = || {
            topics::wait_in_sync(ground, &topic, 3);
            read_in(ground, &topic, rack).contains(&wanted)
        };
        match rack == leader {
            true => assert!(!moves(), "the leader is in rack {rack}"),
            false => {
                assert!((0..ATTEMPTS).any(|_| moves()), "never from the replica in rack {rack}")
            }
        }
    }
}

/// Reads the topic as a consumer in this rack, and gives what the client logs.
fn read_in(ground: &Ground, topic: &str, rack: usize) -> String {
    let mut command = program("consume");
    command.args(["-n", &MESSAGES.to_string(), topic]);
    command.args([
        &format!("bootstrap.servers={}", ground.address),
        &format!("client.rack=rack-{rack}"),
        "samsa.log=stderr",
        "samsa.log.level=debug",
        "auto.offset.reset=earliest",
    ]);
    let output = run(&mut command, b"");
    let said = text(&output.stderr);
    assert!(output.status.success(), "rack {rack}: {said}");
    let values: Vec<_> =
        rows(&output.stdout).iter().filter_map(|row| row.last().cloned()).collect();
    let wanted: Vec<_> = (0..MESSAGES).map(|n| n.to_string()).collect();
    assert_eq!(values, wanted, "rack {rack}");
    said
}
