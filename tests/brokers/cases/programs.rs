//! The three C programs do on every release what their usage says.

use crate::ground::Ground;
use crate::programs::{cluster, consume, produce, text};

/// A line is a message, a tab makes a key; every message comes back with its place and time.
pub fn produce_and_consume_round_trip(ground: &Ground) {
    let topic = ground.topic("programs");
    let lines = "plain\nkey\tvalue\n\tempty key\nempty value\t\nsm\u{f6}rg\u{e5}s\n";
    let output = produce(&ground.address, &topic, &[], lines.as_bytes());
    assert_eq!(text(&output.stdout), "5 of 5 acknowledged\n", "{}", text(&output.stderr));
    assert!(output.status.success());

    let rows = consume(&ground.address, &topic, &[], 5);
    let wanted = [
        ("\\N", "plain"),
        ("key", "value"),
        ("", "empty key"),
        ("empty value", ""),
        ("\\N", "sm\u{f6}rg\u{e5}s"),
    ];
    for (offset, (row, (key, value))) in rows.iter().zip(wanted).enumerate() {
        let place = ["0".to_owned(), offset.to_string(), (offset + 1).to_string()];
        assert_eq!(row[..3], place, "partition, offset, next offset of {row:?}");
        let timestamp: i64 = row[3].parse().expect("a timestamp");
        // Message format 0 (0.8, 0.9) has none.
        assert_eq!(timestamp > 1_600_000_000_000, ground.release.since(0, 10), "{row:?}");
        assert_eq!((row[4].as_str(), row[5].as_str()), (key, value));
    }
}

/// Every codec that the release knows, written by the producer and read back.
pub fn every_codec_round_trips(ground: &Ground) {
    let mut codecs = vec!["none", "gzip", "snappy", "lz4"];
    if ground.release.since(2, 1) {
        codecs.push("zstd");
    }
    for codec in codecs {
        let topic = ground.topic(codec);
        let lines: String = (0..500).map(|i| format!("k{i}\tthe same words {i}\n")).collect();
        let option = format!("compression.type={codec}");
        let output = produce(&ground.address, &topic, &[&option], lines.as_bytes());
        assert!(output.status.success(), "{codec}: {}", text(&output.stderr));
        let rows = consume(&ground.address, &topic, &[], 500);
        for (i, row) in rows.iter().enumerate() {
            assert_eq!((&row[4], &row[5]), (&format!("k{i}"), &format!("the same words {i}")));
        }
    }
}

/// The cluster program lists the broker and the topic.
pub fn the_cluster_program_lists_brokers_and_topics(ground: &Ground) {
    let topic = ground.topic("listed");
    assert!(produce(&ground.address, &topic, &[], b"x\n").status.success());
    let output = cluster(&ground.address);
    let listing = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(listing.contains(&ground.address), "no broker in:\n{listing}");
    assert!(listing.contains(&topic), "no topic in:\n{listing}");
}

/// A record that the broker refuses is said, with the exit status, never dropped in silence.
pub fn a_message_above_the_limits_is_an_error(ground: &Ground) {
    let topic = ground.topic("large");
    let mut lines = vec![b'x'; 2_000_000];
    lines.push(b'\n');
    let output = produce(&ground.address, &topic, &[], &lines);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("max.request.size"), "{said}");
    // The client lets it pass, the broker (1 MB by default) does not.
    let output = produce(&ground.address, &topic, &["max.request.size=4000000"], &lines);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains(&topic), "{}", text(&output.stderr));
}

/// A codec that the release does not know is an error that names the release.
pub fn zstd_below_2_1_names_the_brokers_version(ground: &Ground) {
    let topic = ground.topic("zstd");
    let output = produce(&ground.address, &topic, &["compression.type=zstd"], b"x\n");
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    let release: Vec<&str> = ground.release.version.splitn(3, '.').collect();
    assert!(said.contains("zstd") && said.contains(&release[..2].join(".")), "{said}");
}
