//! The console tools of each release: Kafka's own Java and Scala clients.

use std::process::Command;

use super::Message;
use crate::ground::Ground;
use crate::harness::java;
use crate::programs::{run, text};

/// Writes keyed text messages with the release's console producer.
pub fn write(ground: &Ground, topic: &str, codec: &str, messages: &[Message]) {
    let release = ground.release;
    let class = if release.since(4, 0) {
        "org.apache.kafka.tools.ConsoleProducer"
    } else {
        "kafka.tools.ConsoleProducer"
    };
    let broker = if release.since(2, 8) { "--bootstrap-server" } else { "--broker-list" };
    let mut command: Command = java::tool(release, class);
    command.args([broker, &ground.address, "--topic", topic, "--compression-codec", codec]);
    let property = if release.since(4, 0) { "--reader-property" } else { "--property" };
    command.args([property, "parse.key=true"]);
    if !release.since(1, 0) {
        // Its default is acks=0: what it sends while the topic is being created can be lost unseen.
        command.args(["--request-required-acks", "1"]);
    }
    let lines: String = messages.iter().map(line).collect();
    let output = run(&mut command, lines.as_bytes());
    assert!(output.status.success(), "console producer: {}", text(&output.stderr));
}

fn line(message: &Message) -> String {
    let part = |bytes: &Option<Vec<u8>>| text(bytes.as_deref().expect("a key and a value"));
    format!("{}\t{}\n", part(&message.key), part(&message.value))
}

/// Reads the first `count` messages with the release's console consumer.
pub fn read(ground: &Ground, topic: &str, count: usize) -> Vec<Message> {
    let release = ground.release;
    let class = if release.since(3, 0) {
        "org.apache.kafka.tools.consumer.ConsoleConsumer"
    } else {
        "kafka.tools.ConsoleConsumer"
    };
    let mut command = java::tool(release, class);
    match ground.zookeeper() {
        // 0.8 has only the old consumer; 0.9's new one is less trusted than the old.
        Some(zookeeper) if !release.since(0, 10) => command.args(["--zookeeper", &zookeeper]),
        _ => command.args(["--bootstrap-server", &ground.address]),
    };
    command.args(["--topic", topic, "--from-beginning", "--max-messages", &count.to_string()]);
    let property = if release.since(4, 0) { "--formatter-property" } else { "--property" };
    command.args([property, "print.key=true"]);
    let output = run(&mut command, b"");
    assert!(output.status.success(), "console consumer: {}", text(&output.stderr));
    text(&output.stdout).lines().map(parse).collect()
}

fn parse(line: &str) -> Message {
    let (key, value) = line.split_once('\t').unwrap_or_else(|| panic!("no key in {line:?}"));
    Message::new(Some(key.as_bytes()), Some(value.as_bytes()))
}
