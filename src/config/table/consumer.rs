//! What belongs to consumers.

use super::{
    INT_MAX, Kind, Owner, Property, Unit, bytes, librdkafka, librdkafka_as, millis, pykafka,
};

/// With the names of librdkafka and of the old Scala client, and PyKafka's numbers.
const RESETS: &[&[&str]] = &[
    &["earliest", "smallest", "beginning", "-2"],
    &["latest", "largest", "end", "-1"],
    &["nearest"],
    &["none", "error"],
];

/// Before a duration of ISO 8601 (KIP-1106).
pub(in crate::config) const BY_DURATION: &str = "by_duration:";

pub(super) const ROWS: &[Property] = &[
    Property {
        name: "fetch.min.bytes",
        owner: Owner::Consumer,
        per_topic: false,
        kind: bytes(0),
        default: "1",
        doc: "How many bytes a broker gathers before it answers a fetch; 1: whatever is there. No more than one fetch may have: `fetch.max.bytes`, and the part of `samsa.memory.limit` that is free.",
        aliases: &[pykafka("fetch_min_bytes")],
    },
    Property {
        name: "fetch.max.wait.ms",
        owner: Owner::Consumer,
        per_topic: false,
        kind: millis(0),
        default: "500",
        doc: "How long a broker waits for `fetch.min.bytes`. Must be less than `request.timeout.ms`. Kafka 0.7 does not wait: there it is the longest pause of a consumer that finds nothing. A partition that is sought, resumed or assigned while its broker holds back an answer for others is asked for after that one, as in Java and librdkafka: so long it may take at most.",
        aliases: &[librdkafka("fetch.wait.max.ms"), pykafka("fetch_wait_max_ms")],
    },
    Property {
        name: "fetch.max.bytes",
        owner: Owner::Consumer,
        per_topic: false,
        kind: bytes(0),
        default: "52428800",
        doc: "The most bytes in the answer to one fetch. A larger first batch comes all the same; from brokers before 0.10.1 a message larger than this does not come at all.",
        aliases: &[],
    },
    Property {
        name: "max.partition.fetch.bytes",
        owner: Owner::Consumer,
        per_topic: true,
        kind: bytes(0),
        default: "1048576",
        doc: "The most bytes of one partition in one answer. A larger first batch comes all the same.",
        aliases: &[librdkafka("fetch.message.max.bytes"), pykafka("fetch_message_max_bytes")],
    },
    Property {
        name: "max.poll.records",
        owner: Owner::Consumer,
        per_topic: false,
        kind: Kind::Number { min: 1, max: INT_MAX },
        default: "500",
        doc: "The most messages that one `poll` gives.",
        aliases: &[],
    },
    Property {
        name: "auto.offset.reset",
        owner: Owner::Consumer,
        per_topic: true,
        kind: Kind::ChoiceOrDuration { choices: RESETS, prefix: BY_DURATION },
        default: "latest",
        doc: "Where to start without a position, and go on when the position is gone: `earliest`, `latest`, `nearest` (the end of what is there that is nearer to the position; `earliest` without one), `by_duration:PT1H` (the first message that is at most so old, by its timestamp, counted from the look-up; the end if none is; days, hours, minutes and seconds as in ISO 8601), or `none` (an error).",
        aliases: &[pykafka("auto_offset_reset")],
    },
    Property {
        name: "client.rack",
        owner: Owner::Consumer,
        per_topic: false,
        kind: Kind::Text,
        default: "",
        doc: "The rack (availability zone) of this consumer. A broker whose `replica.selector.class` heeds racks then sends it to the replica in the same one, which is read until `metadata.max.age.ms` is over, it fails, or the leader changes. Empty: leaders are read.",
        aliases: &[],
    },
    Property {
        name: "check.crcs",
        owner: Owner::Consumer,
        per_topic: false,
        kind: Kind::Boolean,
        default: "true",
        doc: "Whether the checksum of every batch is checked.",
        aliases: &[],
    },
    Property {
        name: "isolation.level",
        owner: Owner::Consumer,
        per_topic: false,
        kind: Kind::Choice(&[&["read_uncommitted"], &["read_committed"]]),
        default: "read_uncommitted",
        doc: "Whether messages of transactions that were aborted, or are still open, are read.",
        aliases: &[],
    },
    Property {
        name: "samsa.memory.limit",
        owner: Owner::Consumer,
        per_topic: false,
        kind: Kind::Bytes { min: 1 << 16, max: 1 << 46 },
        default: "67108864",
        doc: "How many fetched bytes a consumer holds, waiting to be polled or in batches that were not freed. Beyond it nothing more is fetched than one partition's worth per broker.",
        aliases: &[librdkafka_as("queued.max.messages.kbytes", Unit::Kibibytes)],
    },
];
