//! kcat (librdkafka): the one modern client that still speaks to 0.8 and 0.9 when told the version.

use std::process::Command;

use super::Message;
use crate::harness::Release;
use crate::programs::{run, text};

/// Writes keyed text messages to partition 0.
pub fn write(release: &Release, address: &str, topic: &str, codec: &str, messages: &[Message]) {
    let mut lines = Vec::new();
    for message in messages {
        lines.extend_from_slice(message.key.as_deref().expect("kcat is given keys"));
        lines.push(b'\t');
        lines.extend_from_slice(message.value.as_deref().expect("kcat is given values"));
        lines.push(b'\n');
    }
    let mut command = kcat(release, address, topic);
    let output = run(command.args(["-P", "-p", "0", "-K", "\t", "-z", codec]), &lines);
    assert!(output.status.success(), "kcat: {}", text(&output.stderr));
}

/// Reads the first `count` messages of partition 0.
pub fn read(release: &Release, address: &str, topic: &str, count: usize) -> Vec<Message> {
    let mut command = kcat(release, address, topic);
    command.args(["-C", "-q", "-p", "0", "-o", "beginning", "-c", &count.to_string()]);
    // Lengths first, so that any byte may follow; -1 is null.
    let output = run(command.args(["-f", "%K %S:%k%s"]), b"");
    assert!(output.status.success(), "kcat: {}", text(&output.stderr));
    let mut rest = &output.stdout[..];
    let messages: Vec<Message> = (0..count).map(|_| parse(&mut rest)).collect();
    assert!(rest.is_empty(), "kcat printed more than {count} messages");
    messages
}

fn parse(rest: &mut &[u8]) -> Message {
    let colon = rest.iter().position(|&b| b == b':').expect("the lengths");
    let lengths = text(&rest[..colon]);
    let (key, value) = lengths.split_once(' ').expect("two lengths");
    *rest = &rest[colon + 1..];
    Message { key: take(rest, key), value: take(rest, value), ..Message::default() }
}

fn take(rest: &mut &[u8], length: &str) -> Option<Vec<u8>> {
    let length: isize = length.trim().parse().expect("a length");
    let (taken, left) = rest.split_at(usize::try_from(length).ok()?);
    *rest = left;
    Some(taken.to_vec())
}

fn kcat(release: &Release, address: &str, topic: &str) -> Command {
    let mut command = Command::new("kcat");
    command.args(["-b", address, "-t", topic]);
    if !release.since(0, 10) {
        let fallback = format!("broker.version.fallback={}", release.version);
        command.args(["-X", "api.version.request=false", "-X", &fallback]);
    }
    command
}
