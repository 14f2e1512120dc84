//! Each peer reads what we wrote and writes what we read, for every codec that both know.

use samsa::Code;

use crate::ground::Ground;
use crate::ours;
use crate::peers::{Message, java, kcat, message, python::Client};

/// kcat (librdkafka 2.0), told the version of old brokers.
pub fn kcat(ground: &Ground) {
    let (release, address) = (ground.release, &ground.address);
    for codec in codecs(ground, &["none", "gzip", "snappy", "lz4"]) {
        both_ways(
            ground,
            codec,
            &message::of_text(),
            |topic, messages| kcat::write(release, address, topic, codec, messages),
            |topic, count| kcat::read(release, address, topic, count),
        );
    }
}

/// The console producer and consumer of the broker's own release.
pub fn console_tools(ground: &Ground) {
    for codec in codecs(ground, &["none", "gzip", "snappy", "lz4"]) {
        both_ways(
            ground,
            codec,
            &message::of_text(),
            |topic, messages| java::write(ground, topic, codec, messages),
            |topic, count| java::read(ground, topic, count),
        );
    }
}

/// PyKafka: the ancestor.
pub fn pykafka(ground: &Ground) {
    let (release, address) = (ground.release, &ground.address);
    for codec in ["none", "gzip", "snappy"] {
        both_ways(
            ground,
            codec,
            &message::of_every_kind(),
            |topic, messages| Client::PyKafka.write(release, address, topic, codec, messages),
            |topic, count| Client::PyKafka.read(release, address, topic, count),
        );
    }
}

/// confluent-kafka: the incumbent, newest; with headers where the broker has them.
pub fn confluent(ground: &Ground) {
    let (release, address) = (ground.release, &ground.address);
    let mut messages = message::of_every_kind();
    if release.since(0, 11) {
        messages.extend(message::with_headers());
    }
    for codec in codecs(ground, &["none", "gzip", "snappy", "lz4"]) {
        both_ways(
            ground,
            codec,
            &messages,
            |topic, messages| Client::Confluent.write(release, address, topic, codec, messages),
            |topic, count| Client::Confluent.read(release, address, topic, count),
        );
    }
}

/// Headers to a broker that has none are an error that names its version.
pub fn headers_below_0_11_name_the_brokers_version(ground: &Ground) {
    let topic = ground.topic("headers");
    let error = ours::write(&ground.address, &topic, "none", &message::with_headers())
        .expect_err("headers cannot be stored");
    assert_eq!(error.code(), Code::UNSUPPORTED_FEATURE, "{error}");
    let release: Vec<&str> = ground.release.version.splitn(3, '.').collect();
    assert!(error.message().contains(&release[..2].join(".")), "{error}");
    assert!(error.message().contains("header"), "{error}");
}

/// What we write comes back as it was: every kind of key, value and header.
pub fn ourselves(ground: &Ground) {
    let mut messages = message::of_every_kind();
    if ground.release.since(0, 11) {
        messages.extend(message::with_headers());
    }
    for codec in codecs(ground, &["none", "gzip", "snappy", "lz4"]) {
        let topic = ground.topic(codec);
        let context = format!("{codec} on {}", ground.release.version);
        ours::write(&ground.address, &topic, codec, &messages)
            .unwrap_or_else(|e| panic!("{context}: {e}"));
        let read = ours::read(&ground.address, &topic, messages.len());
        assert_eq!(read.unwrap_or_else(|e| panic!("{context}: {e}")), messages, "{context}");
    }
}

fn both_ways(
    ground: &Ground,
    codec: &str,
    messages: &[Message],
    write: impl Fn(&str, &[Message]),
    read: impl Fn(&str, usize) -> Vec<Message>,
) {
    let count = messages.len();
    let context = |what: &str| format!("{codec} on {}: {what}", ground.release.version);

    let topic = ground.topic("ours");
    ours::write(&ground.address, &topic, codec, messages)
        .unwrap_or_else(|e| panic!("{}: {e}", context("we write")));
    assert_eq!(read(&topic, count), messages, "{}", context("the peer reads what we wrote"));

    let topic = ground.topic("theirs");
    write(&topic, messages);
    let got = ours::read(&ground.address, &topic, count)
        .unwrap_or_else(|e| panic!("{}: {e}", context("we read")));
    assert_eq!(got, messages, "{}", context("we read what the peer wrote"));
}

fn codecs<'a>(ground: &Ground, base: &[&'a str]) -> Vec<&'a str> {
    let mut codecs = base.to_vec();
    if ground.release.since(2, 1) {
        codecs.push("zstd");
    }
    codecs
}
