//! The leader of a partition dies while the C programs produce and consume.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use crate::ground::Ground;
use crate::harness::process::wait_until;
use crate::harness::{java, topics};
use crate::programs::{program, rows, run, text};

const MESSAGES: usize = 3000;

/// acks=all: nothing that was acknowledged is lost, nothing overtakes within a partition, and both
/// programs go on by themselves. They run with the default action of SIGPIPE.
pub fn killing_the_leader_loses_and_reorders_nothing(ground: &Ground) {
    let topic = ground.topic("leader");
    topics::create(ground, &topic, 3, 3, &["min.insync.replicas=2"]);
    let bootstrap = format!("bootstrap.servers={}", ground.address);
    // Until every acknowledged message came; duplicates may come before the last one.
    let mut consumer = program("consume")
        .args([&topic, &bootstrap])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("consume");
    let mut producer = program("produce")
        .args([&topic, &bootstrap])
        .args(["acks=all", "linger.ms=5", "batch.size=2000", "delivery.timeout.ms=120000"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("produce");
    let printed = consumer.stdout.take().expect("a pipe");
    let reader = std::thread::spawn(move || read_until_complete(printed));

    let mut lines = producer.stdin.take().expect("a pipe");
    let mut killed = None;
    for i in 0..MESSAGES {
        // A key pins every tenth message to its partition, so that each partition has a sequence.
        writeln!(lines, "{}\t{i}", i % 10).expect("the producer reads");
        if i == MESSAGES / 3 {
            let leader = leader_of(ground, &topic, 0);
            ground.cluster().kill(leader);
            killed = Some(leader);
        }
        if i % 50 == 0 {
            lines.flush().expect("the producer reads");
        }
    }
    drop(lines);
    let output = producer.wait_with_output().expect("its output");
    let said = text(&output.stdout);
    assert_eq!(
        said,
        format!("{MESSAGES} of {MESSAGES} acknowledged\n"),
        "{}",
        text(&output.stderr)
    );

    let consumed = reader.join().expect("the reader");
    let _ = run(std::process::Command::new("kill").args(["-INT", &consumer.id().to_string()]), b"");
    let ended = wait_until(Duration::from_secs(20), || matches!(consumer.try_wait(), Ok(Some(_))));
    if !ended {
        let _ = consumer.kill();
    }
    assert!(ended, "consume does not end at SIGINT");
    in_order_and_complete(&consumed);
    ground.cluster().restart(killed.expect("a broker was killed"));
}

/// Reads the consumer's rows until each message has come once.
fn read_until_complete(printed: impl std::io::Read) -> Vec<Vec<String>> {
    use std::io::{BufRead, BufReader};
    let mut seen = std::collections::HashSet::new();
    let mut all = Vec::new();
    for line in BufReader::new(printed).lines().map_while(Result::ok) {
        let row = rows(line.as_bytes()).remove(0);
        seen.insert(row[5].clone());
        all.push(row);
        if seen.len() == MESSAGES {
            break;
        }
    }
    all
}

/// A retry after an unknown outcome may repeat a run of messages, but the first appearances of each
/// partition's messages are in the order in which they were sent.
fn in_order_and_complete(consumed: &[Vec<String>]) {
    let mut last_of_key: BTreeMap<&str, usize> = BTreeMap::new();
    let mut first_seen = std::collections::HashSet::new();
    for row in consumed {
        let number: usize = row[5].parse().expect("a number");
        if !first_seen.insert(number) {
            continue;
        }
        if let Some(last) = last_of_key.insert(&row[4], number) {
            assert!(last < number, "message {number} of key {} came after {last}", row[4]);
        }
    }
    let missing: Vec<usize> = (0..MESSAGES).filter(|i| !first_seen.contains(i)).take(10).collect();
    assert!(missing.is_empty(), "acknowledged, but lost: {missing:?} …");
}

/// The index of the broker that leads a partition, as Kafka's own tool says.
pub(super) fn leader_of(ground: &Ground, topic: &str, partition: usize) -> usize {
    let mut command = java::tool(ground.release, "org.apache.kafka.tools.TopicCommand");
    command.args(["--bootstrap-server", &ground.address, "--describe", "--topic", topic]);
    let output = run(&mut command, b"");
    let listing = text(&output.stdout);
    let line = listing.lines().find(|line| line.contains(&format!("Partition: {partition}\t")));
    let leader = line.and_then(|line| line.split("Leader: ").nth(1)?.split('\t').next());
    leader
        .and_then(|id| id.trim().parse().ok())
        .unwrap_or_else(|| panic!("no leader in:\n{listing}"))
}
