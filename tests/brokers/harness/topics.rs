//! Topics made and moved by Kafka's own tools, and what the brokers say of their replicas.

use std::process::Command;
use std::time::{Duration, Instant};

use samsa::cluster::NewTopic;

use super::process::{Folder, wait_until};
use super::{java, probe};
use crate::ground::Ground;
use crate::ours;
use crate::programs::{run, text};

/// Makes a topic with these settings (`name=value`).
pub fn create(ground: &Ground, topic: &str, partitions: i32, replicas: i32, settings: &[&str]) {
    if ground.release.since(0, 10) {
        // By ourselves: a JVM takes seconds to do so.
        let settings = settings.iter().filter_map(|setting| setting.split_once('='));
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let topic = NewTopic {
            partitions: Some(partitions),
            replication_factor: Some(replicas),
            config: settings.collect(),
            ..NewTopic::new(topic)
        };
        let cluster = ours::open(&ground.address, &[]).expect("the brokers");
        let deadline = Instant::now() + Duration::from_secs(60);
        return cluster.create_topic(&topic, Some(deadline)).expect("a new topic");
    }
    let mut command = tool(ground, "TopicCommand");
    command.args(["--create", "--topic", topic]);
    command.args(["--partitions", &partitions.to_string()]);
    command.args(["--replication-factor", &replicas.to_string()]);
    for setting in settings {
        command.args(["--config", setting]);
    }
    succeed(&mut command);
}

/// Deletes the records of a partition below `offset`.
pub fn delete_records(ground: &Ground, topic: &str, partition: i32, offset: i64) {
    let release = ground.release;
    let package = if release.since(3, 0) { "org.apache.kafka.tools" } else { "kafka.admin" };
    let what = format!(
        r#"{{"partitions":[{{"topic":"{topic}","partition":{partition},"offset":{offset}}}],"version":1}}"#
    );
    let folder = Folder::new("delete-records");
    let file = folder.path().join("what.json");
    std::fs::write(&file, what).expect("a file");
    let mut command = java::tool(release, &format!("{package}.DeleteRecordsCommand"));
    command.args(["--bootstrap-server", &ground.address]).arg("--offset-json-file").arg(&file);
    succeed(&mut command);
}

/// Gives each partition back to the first of its replicas.
pub fn elect_preferred_leaders(ground: &Ground) {
    let mut command = tool(ground, "LeaderElectionCommand");
    command.args(["--election-type", "preferred", "--all-topic-partitions"]);
    succeed(&mut command);
}

/// Waits until every partition of the topic has so many replicas in sync, as each broker sees it.
pub fn wait_in_sync(ground: &Ground, topic: &str, replicas: usize) {
    let ports: Vec<u16> = ground.address.split(',').filter_map(probe::port_of).collect();
    let whole = |port: &u16| {
        probe::in_sync(*port, topic)
            .is_ok_and(|counts| !counts.is_empty() && counts.iter().all(|n| *n >= replicas))
    };
    let in_sync = wait_until(Duration::from_secs(120), || ports.iter().all(whole));
    assert!(in_sync, "{topic} never had {replicas} replicas in sync");
}

/// One of the administrator's tools of the release, told where the cluster is.
fn tool(ground: &Ground, name: &str) -> Command {
    let release = ground.release;
    let package = if release.since(3, 0) { "org.apache.kafka.tools" } else { "kafka.admin" };
    let mut command = java::tool(release, &format!("{package}.{name}"));
    match ground.zookeeper() {
        Some(zookeeper) if !release.since(2, 8) => command.args(["--zookeeper", &zookeeper]),
        _ => command.args(["--bootstrap-server", &ground.address]),
    };
    command
}

fn succeed(command: &mut Command) {
    let output = run(command, b"");
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}
