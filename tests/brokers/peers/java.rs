//! The console tools of each release: Kafka's own Java and Scala clients.

use std::path::Path;
use std::process::Command;

use super::Message;
use crate::ground::Ground;
use crate::harness::{Release, java};
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
    // Its default of 1.5 s is short for a busy machine: it then sends again, and everything comes twice.
    command.args(["--request-timeout-ms", "60000"]);
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
    let mut command = console_consumer(ground.release);
    match ground.zookeeper() {
        // 0.8 has only the old consumer; 0.9's new one is less trusted than the old.
        Some(zookeeper) if !ground.release.since(0, 10) => {
            command.args(["--zookeeper", &zookeeper])
        }
        _ => command.args(["--bootstrap-server", &ground.address]),
    };
    command.args(["--topic", topic, "--from-beginning", "--max-messages", &count.to_string()]);
    let property = if ground.release.since(4, 0) { "--formatter-property" } else { "--property" };
    command.args([property, "print.key=true"]);
    let output = run(&mut command, b"");
    assert!(output.status.success(), "console consumer: {}", text(&output.stderr));
    text(&output.stdout).lines().map(parse).collect()
}

/// The console consumer as a member of a group, which prints values until SIGTERM. `options` are
/// properties, kept in `folder`.
pub fn member(
    ground: &Ground,
    topic: &str,
    group: &str,
    options: &[&str],
    folder: &Path,
) -> Command {
    let mut command = console_consumer(ground.release);
    if !ground.release.since(0, 10) {
        command.arg("--new-consumer");
    }
    command.args(["--bootstrap-server", &ground.address, "--topic", topic, "--from-beginning"]);
    command.args(properties(ground.release, group, options, folder));
    command
}

/// The old Scala console consumer, which agrees with others in ZooKeeper (up to 1.1). The first
/// member of a group reads from the beginning, where nothing is committed yet.
pub fn old_member(
    ground: &Ground,
    topic: &str,
    group: &str,
    options: &[&str],
    folder: &Path,
    first: bool,
) -> Command {
    let zookeeper = ground.zookeeper().expect("a ZooKeeper");
    let mut command = console_consumer(ground.release);
    command.args(["--zookeeper", &zookeeper, "--topic", topic]);
    if first {
        command.arg("--from-beginning");
    }
    command.args(properties(ground.release, group, options, folder));
    command
}

fn properties(release: &Release, group: &str, options: &[&str], folder: &Path) -> [String; 2] {
    let file = folder.join("consumer.properties");
    let text = format!("group.id={group}\n{}\n", options.join("\n"));
    std::fs::write(&file, text).expect("a file of properties");
    let option = if release.since(4, 0) { "--command-config" } else { "--consumer.config" };
    [option.to_owned(), file.display().to_string()]
}

fn console_consumer(release: &Release) -> Command {
    let class = if release.since(3, 0) {
        "org.apache.kafka.tools.consumer.ConsoleConsumer"
    } else {
        "kafka.tools.ConsoleConsumer"
    };
    java::tool(release, class)
}

fn parse(line: &str) -> Message {
    let (key, value) = line.split_once('\t').unwrap_or_else(|| panic!("no key in {line:?}"));
    Message::new(Some(key.as_bytes()), Some(value.as_bytes()))
}
