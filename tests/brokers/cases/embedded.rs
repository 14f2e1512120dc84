//! The embedded broker, judged by clients that no one here wrote.

use samsa::embedded::Cluster;

use super::rebalance_aware;
use crate::group::journal;
use crate::harness::{Release, java};
use crate::peers::{Message, message, python::Client};
use crate::programs::{run, text};

/// The cases that need no real broker.
pub const ALL: &[(&str, fn())] = &[
    ("librdkafka_produces_to_it_and_consumes_from_it", librdkafka),
    ("javas_console_consumer_reads_a_partition", console_consumer),
    (
        "state_by_partition_counts_every_message_once",
        rebalance_aware::state_counts_every_message_once,
    ),
    ("the_judge_of_groups_finds_every_kind_of_fault", journal::the_judge_finds_every_kind_of_fault),
];

fn librdkafka() {
    let kafka = Cluster::start(3).expect("an embedded cluster");
    let release = Release::of("4.3.1");
    let messages: Vec<Message> =
        message::of_every_kind().into_iter().chain(message::with_headers()).collect();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        Client::Confluent.write(release, &kafka.address(), codec, codec, &messages);
        let read = Client::Confluent.read(release, &kafka.address(), codec, messages.len());
        assert_eq!(read, messages, "{codec}");
    }
}

fn console_consumer() {
    let kafka = Cluster::start(1).expect("an embedded cluster");
    let (release, topic, messages) = (Release::of("4.3.1"), "console", message::of_text());
    Client::Confluent.write(release, &kafka.address(), topic, "none", &messages);
    let class = "org.apache.kafka.tools.consumer.ConsoleConsumer";
    let mut command = java::tool(release, class);
    command.args(["--bootstrap-server", &kafka.address(), "--topic", topic]);
    command.args(["--partition", "0", "--offset", "earliest", "--max-messages", "20"]);
    let output = run(&mut command, b"");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let wanted: Vec<String> =
        messages.iter().map(|m| text(m.value.as_deref().unwrap_or_default())).collect();
    assert_eq!(text(&output.stdout).lines().collect::<Vec<_>>(), wanted);
}
