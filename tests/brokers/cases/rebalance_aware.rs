//! `examples-c/rebalance_aware`: state kept by partition counts each message once, though members
//! come, leave and die.

use std::path::Path;
use std::time::Duration;

use samsa::embedded::Cluster;

use crate::harness::process::{Folder, Process, wait_until};
use crate::programs::{produce, program, text};

const PARTITIONS: i32 = 4;
const GROUP: &str = "counters";
const TOPIC: &str = "counted";

/// Two members and a third that follows one of them that was killed.
pub fn state_counts_every_message_once() {
    let kafka = Cluster::start(1).expect("an embedded cluster");
    kafka.create_topic(TOPIC, PARTITIONS).expect("a topic");
    let folder = Folder::new("state");
    let (states, log) = (folder.path().join("states"), folder.path().join("log"));
    std::fs::create_dir(&states).expect("a folder");
    let join = || Process::start(&mut member(&kafka.address(), &states), &log);

    write(&kafka, 0);
    let mut first = join();
    wait_members(&kafka, 1);
    wait_counted(&kafka, 1);
    let mut second = join();
    wait_members(&kafka, 2);
    write(&kafka, 1);
    // As a crash: what it counted and did not save is counted by who follows.
    first.kill();
    let mut third = join();
    wait_members(&kafka, 2);
    write(&kafka, 2);
    wait_counted(&kafka, 3);
    let ended = second.end(Duration::from_secs(30));
    assert!(ended.is_some_and(|status| status.success()), "{}", said(&log));
    wait_members(&kafka, 1);
    let ended = third.end(Duration::from_secs(30));
    assert!(ended.is_some_and(|status| status.success()), "{}", said(&log));

    let (mut messages, mut bytes) = (0, 0);
    for partition in 0..PARTITIONS {
        let state = std::fs::read_to_string(states.join(format!("{TOPIC}-{partition}")));
        let state: Vec<i64> = state
            .expect("a state")
            .split_whitespace()
            .map(|number| number.parse().expect("a number"))
            .collect();
        let end = kafka.log_end_offset(TOPIC, partition).expect("the partition");
        assert_eq!(kafka.committed(GROUP, TOPIC, partition), Some(state[0]), "{}", said(&log));
        assert_eq!((state[0], state[1]), (end, end), "partition {partition}: {}", said(&log));
        messages += state[1];
        bytes += state[2];
    }
    assert_eq!((messages, bytes), (3 * EACH, 3 * EACH * 7), "{}", said(&log));
}

/// Messages of a round, 7 bytes each.
const EACH: i64 = 200;

/// A round of messages.
fn write(kafka: &Cluster, round: u32) {
    let lines: String = (0..EACH).map(|n| format!("k{n}\tm{round}-{n:04}\n")).collect();
    let sent = produce(&kafka.address(), TOPIC, &[], lines.as_bytes());
    assert!(sent.status.success(), "{}", text(&sent.stderr));
}

fn member(address: &str, states: &Path) -> std::process::Command {
    let mut command = program("rebalance_aware");
    command.arg(GROUP).arg(states).arg(TOPIC);
    command.arg(format!("bootstrap.servers={address}"));
    command.args(["session.timeout.ms=3000", "heartbeat.interval.ms=100"]);
    command
}

fn wait_members(kafka: &Cluster, count: usize) {
    let end = std::time::Instant::now() + Duration::from_secs(60);
    kafka.wait_group(GROUP, Some("Stable"), count, end).expect("a stable group");
}

/// Waits until the messages of so many rounds are counted and committed.
fn wait_counted(kafka: &Cluster, rounds: i64) {
    let counted = || (0..PARTITIONS).filter_map(|p| kafka.committed(GROUP, TOPIC, p)).sum::<i64>();
    let all = wait_until(Duration::from_secs(60), || counted() == rounds * EACH);
    assert!(all, "{} of {} messages were counted", counted(), rounds * EACH);
}

fn said(log: &Path) -> String {
    std::fs::read_to_string(log).unwrap_or_default()
}
