//! What a topic's settings make of a log: whose time it has, how large a message may be, what
//! compaction leaves.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use samsa::Code;
use samsa::consumer::{Name, Position};

use crate::ground::Ground;
use crate::harness::process::wait_until;
use crate::harness::topics;
use crate::ours;
use crate::peers::{Message, kcat, message, python::Client};

/// Times that a producer gives, old and out of order, are those that every consumer sees.
pub fn times_survive_both_ways(ground: &Ground) {
    let (release, address) = (ground.release, &ground.address);
    let messages = message::with_times();
    for codec in ["none", "gzip"] {
        // Kept for ever: they are older than any retention.
        let topic = ground.topic("times");
        topics::create(ground, &topic, 1, 1, &["retention.ms=-1"]);
        let told = ours::write_timed(address, &topic, codec, &messages).expect("we write");
        let given: Vec<_> = messages.iter().filter_map(|m| m.timestamp).collect();
        assert_eq!(told, given, "{codec} on {}: what outcomes tell", release.version);
        let read = Client::Confluent.read_timed(release, address, &topic, messages.len());
        assert_eq!(read, messages, "{codec} on {}: the peer reads ours", release.version);
        Client::Confluent.write(release, address, &topic, codec, &messages);
        let read = ours::read_timed(address, &topic, messages.len() * 2).expect("we read");
        assert_eq!(read[messages.len()..], messages, "{codec} on {}: theirs", release.version);
    }
}

/// Where the topic's time is the broker's, outcomes and consumers tell that one.
pub fn the_brokers_time(ground: &Ground) {
    let (release, address) = (ground.release, &ground.address);
    let messages = message::with_times();
    let before = now();
    for codec in ["none", "gzip"] {
        let topic = ground.topic("append-times");
        topics::create(ground, &topic, 1, 1, &["message.timestamp.type=LogAppendTime"]);
        let told = ours::write_timed(address, &topic, codec, &messages).expect("we write");
        Client::Confluent.write(release, address, &topic, codec, &messages);
        let ours = ours::read_timed(address, &topic, messages.len() * 2).expect("we read");
        let theirs = Client::Confluent.read_timed(release, address, &topic, messages.len() * 2);
        assert_eq!(ours, theirs, "{codec} on {}", release.version);
        let times: Vec<i64> = ours.iter().filter_map(|m| m.timestamp).collect();
        assert_eq!(told, times[..messages.len()], "{codec} on {}: outcomes", release.version);
        let recent = |time: &i64| (before - 1_000..=now() + 1_000).contains(time);
        assert!(times.iter().all(recent), "{codec} on {}: {times:?}", release.version);
    }
}

/// A message larger than what both sides would take or ask for by default.
pub fn large_messages(ground: &Ground) {
    let (release, address) = (ground.release, &ground.address);
    let large: Vec<u8> = (0..3_000_000_u32).map(|i| b'a' + (i % 7919 % 26) as u8).collect();
    let small = |value: &[u8]| Message::new(Some(b"k"), Some(value));
    let messages = [small(b"before"), small(&large), small(b"after")];
    let topic = ground.topic("large");
    topics::create(ground, &topic, 1, 1, &["max.message.bytes=4000000"]);
    ours::write(address, &topic, "none", &messages).expect("we write");
    assert_eq!(kcat::read(release, address, &topic, 3), messages, "on {}", release.version);
    let mut written = 3;
    if release.since(0, 10) {
        Client::Confluent.write(release, address, &topic, "none", &messages);
        written += 3;
    }
    let read = ours::read(address, &topic, written).expect("we read");
    assert!(read.chunks(3).all(|three| three == messages), "on {}", release.version);
}

const KEYS: usize = 60;
const ROUNDS: usize = 5;

/// A compacted log has holes: within batches, at their ends, and where whole batches were. What is
/// left of each key is the newest, and the position comes to the end.
pub fn compaction(ground: &Ground) {
    let (release, address) = (ground.release, &ground.address);
    let topic = ground.topic("compacted");
    // The smallest segments that 4.x allows; what is in the newest one is never compacted.
    let settings =
        ["cleanup.policy=compact", "min.cleanable.dirty.ratio=0.01", "segment.bytes=1048576"];
    topics::create(ground, &topic, 1, 1, &settings);
    for round in 0..ROUNDS {
        let messages: Vec<Message> = (0..KEYS).map(|key| versioned(key, round)).collect();
        match round % 2 {
            1 if release.since(0, 11) => {
                Client::Confluent.write(release, address, &topic, "none", &messages);
            }
            _ => ours::write(address, &topic, "none", &messages).expect("we write"),
        }
    }
    let mut left = 0;
    let compacted = wait_until(Duration::from_secs(90), || {
        left = read_to_end(ground, &topic);
        left < KEYS * ROUNDS - KEYS
    });
    assert!(compacted, "{left} messages are left on {}", release.version);
}

/// Ten incompressible kilobytes.
fn versioned(key: usize, round: usize) -> Message {
    let mut noise = (key * 31 + round * 7 + 1) as u32;
    let mut value = format!("{round:02}").into_bytes();
    value.extend((0..10_000).map(|_| {
        noise ^= noise << 13;
        noise ^= noise >> 17;
        noise ^= noise << 5;
        noise as u8
    }));
    Message::new(Some(format!("{key:03}").as_bytes()), Some(&value))
}

/// Reads the whole log and holds it against what compaction promises; gives what is left.
fn read_to_end(ground: &Ground, topic: &str) -> usize {
    let consumer = ours::reader(&ground.address, topic, &[]).expect("a consumer");
    let place = Position::new(Name::new(topic).expect("a name"), 0);
    let (_, end) = consumer.watermarks(&place, 60_000).expect("the ends of the log");
    assert_eq!(end, (KEYS * ROUNDS) as i64);
    let (mut newest, mut left, mut last) = (BTreeMap::new(), 0, -1);
    while consumer.position(None).expect("positions")[0].offset != Some(end) {
        let batch = match consumer.poll(60_000) {
            Ok(batch) => batch,
            Err(error) => panic!("behind offset {last}: {error}"),
        };
        for record in batch.iter() {
            assert!(record.offset() > last, "{} after {last}", record.offset());
            last = record.offset();
            let round = record.value().map(|v| v[..2].to_vec());
            let before = newest.insert(record.key().map(<[u8]>::to_vec), round.clone());
            assert!(before.is_none_or(|before| before < round), "in order of writing");
            left += 1;
        }
    }
    assert_eq!(newest.len(), KEYS);
    let last_round = Some(format!("{:02}", ROUNDS - 1).into_bytes());
    assert!(newest.values().all(|round| *round == last_round), "the newest of each key");
    assert_eq!(consumer.poll(0).expect_err("nothing more").code(), Code::NOTHING);
    left
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    i64::try_from(since.as_millis()).expect("this era")
}
