//! Our codec against bytes that Kafka's own classes wrote.
//!
//! `tests/golden/GoldenMessages.java` wrote them (run `tests/golden/write-golden.sh` to write them
//! anew), with the clients of 3.9.2, for the versions that 4.0 removed, and of 4.3.1. Beside the
//! bytes stands what Kafka's JSON converter says of the same message.

use bytes::Bytes;
use samsa::protocol::modern::messages::fetch::{FetchRequest, FetchResponse};
use samsa::protocol::modern::messages::produce::ProduceRequest;
use samsa::protocol::modern::schema::{Kind, Schema};
use samsa::protocol::modern::{Message, Reader, Uuid, Writer};
use serde_json::{Map, Value};

mod reflection;
use reflection::{Codec, codec, codecs, default_json, encode, snake_case};

const FILES: [(&str, &str); 2] = [
    ("3.9.2", include_str!("golden/messages-3.9.2.txt")),
    ("4.3.1", include_str!("golden/messages-4.3.1.txt")),
];

struct Golden {
    release: &'static str,
    name: &'static str,
    version: i16,
    which: &'static str,
    hex: &'static str,
    json: &'static str,
}

impl Golden {
    fn parse(release: &'static str, line: &'static str) -> Self {
        let mut words = line.splitn(5, ' ');
        let mut word = || words.next().expect("five words");
        Self {
            release,
            name: word(),
            version: word().parse().expect("a version"),
            which: word(),
            hex: word(),
            json: word(),
        }
    }

    fn bytes(&self) -> Bytes {
        let byte = |i| u8::from_str_radix(&self.hex[i..i + 2], 16).expect("hex");
        match self.hex {
            "-" => Bytes::new(),
            hex => (0..hex.len()).step_by(2).map(byte).collect(),
        }
    }

    fn json(&self) -> Value {
        serde_json::from_str(self.json).expect("JSON")
    }
}

impl std::fmt::Display for Golden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} version {} ({}, {})", self.name, self.version, self.which, self.release)
    }
}

fn all() -> impl Iterator<Item = Golden> {
    FILES.iter().flat_map(|(release, text)| text.lines().map(|line| Golden::parse(release, line)))
}

fn one(name: &str, version: i16, which: &str) -> Golden {
    all()
        .find(|g| (g.name, g.version, g.which) == (name, version, which))
        .unwrap_or_else(|| panic!("no golden {name} {version} {which}"))
}

/// Kafka's JSON in the form of ours: names in snake case, tagged defaults filled in, every record
/// set by its size.
fn normalised(theirs: &Value, schema: &Schema, codec: &Codec, version: i16) -> Value {
    let theirs = theirs.as_object().expect("an object");
    let theirs: Map<_, _> = theirs.iter().map(|(k, v)| (snake_case(k), v.clone())).collect();
    let defaults = default_json(schema);
    let mut fields = Map::new();
    for field in schema.fields.iter().filter(|f| f.is_in(codec.version(version))) {
        let key = match field.kind {
            Kind::Records => format!("{}_size_in_bytes", field.name),
            _ => field.name.to_owned(),
        };
        let value = match (theirs.get(&key), &field.kind) {
            (None, _) if field.tag.is_some() => defaults[field.name].clone(),
            // The converter leaves null records out.
            (None, Kind::Records) => Value::Null,
            (None, _) => panic!("{} {version}: Kafka's JSON has no {key}", codec.name),
            (Some(value), kind) => normalised_value(value, kind, codec, version),
        };
        fields.insert(field.name.to_owned(), value);
    }
    Value::Object(fields)
}

fn normalised_value(theirs: &Value, kind: &Kind, codec: &Codec, version: i16) -> Value {
    match (kind, theirs) {
        (Kind::Struct(schema), Value::Object(_)) => normalised(theirs, schema, codec, version),
        (Kind::Array(element), Value::Array(elements)) => {
            elements.iter().map(|e| normalised_value(e, element, codec, version)).collect()
        }
        (Kind::Bytes, Value::String(text)) => base64(text).into(),
        _ => theirs.clone(),
    }
}

/// Bytes as Kafka's converter writes them.
fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let digit = DIGITS.iter().position(|digit| *digit == letter).expect("a digit");
        bits = (bits << 6) | u32::try_from(digit).expect("below 64");
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    bytes
}

/// Ours with every record set by its size.
fn records_by_size(ours: Value) -> Value {
    match ours {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| match (name.as_str(), value) {
                ("records", Value::Array(bytes)) => (name, bytes.len().into()),
                (_, value) => (name, records_by_size(value)),
            })
            .collect(),
        Value::Array(elements) => elements.into_iter().map(records_by_size).collect(),
        other => other,
    }
}

#[test]
fn kafkas_bytes_decode_and_encode_again_to_the_same_bytes() {
    for golden in all() {
        let codec = codec(golden.name);
        let left = (codec.decode)(golden.version, golden.bytes());
        assert_eq!(left.unwrap_or_else(|e| panic!("{golden}: {e}")), 0, "{golden}: left over");
        let again = (codec.recode)(golden.version, golden.bytes(), golden.version);
        let again = again.unwrap_or_else(|e| panic!("{golden}: {e}"));
        assert_eq!(Bytes::from(again), golden.bytes(), "{golden}");
    }
}

#[test]
fn every_field_has_the_value_that_kafka_gave_it() {
    for golden in all() {
        let codec = codec(golden.name);
        let ours = (codec.json)(golden.version, golden.bytes()).expect("decodes");
        let theirs = normalised(&golden.json(), &codec.schema, &codec, golden.version);
        assert_eq!(records_by_size(ours), theirs, "{golden}");
    }
}

#[test]
fn the_default_message_is_kafkas_default_message() {
    for golden in all().filter(|golden| golden.which == "default") {
        let ours = (codec(golden.name).default)(golden.version).expect("encodes");
        assert_eq!(Bytes::from(ours), golden.bytes(), "{golden}");
    }
}

#[test]
fn golden_bytes_exist_for_every_version_and_both_releases_agree() {
    for codec in codecs() {
        for version in codec.versions() {
            for which in ["default", "full", "null"] {
                let mut found =
                    all().filter(|g| (g.name, g.version, g.which) == (codec.name, version, which));
                let first = found.next().unwrap_or_else(|| panic!("{} {version}", codec.name));
                assert!(found.all(|other| other.hex == first.hex), "{first}");
            }
        }
    }
}

#[test]
fn a_full_fetch_request_holds_the_values_field_by_field() {
    let golden = one("FetchRequest", 18, "full");
    let request = FetchRequest::decode(18, &mut Reader::new(golden.bytes())).expect("decodes");
    assert_eq!(request.cluster_id.as_deref(), Some("ClusterId-1"));
    assert_eq!(request.replica_state.replica_id, 1_000_003);
    assert_eq!(request.replica_state.replica_epoch, 1_000_000_000_004);
    assert_eq!(request.replica_id, -1, "version 15 moved it into the state");
    assert_eq!(request.max_wait_ms, 1_000_005);
    let topic = &request.topics[0];
    assert_eq!(topic.topic, "", "from version 13 on there are only ids");
    assert!(!topic.topic_id.is_zero());
    assert_eq!(topic.partitions[0].high_watermark % 1_000_000_000_000, 21);
    assert!(request.rack_id.starts_with("RackId-"));
}

#[test]
fn the_records_of_kafkas_fetch_response_arrive_whole_and_are_slices_of_the_frame() {
    for version in FetchResponse::VERSIONS {
        let frame = one("FetchResponse", version, "full").bytes();
        let mut r = Reader::new(frame.clone());
        let response = FetchResponse::decode(version, &mut r).expect("decodes");
        assert_eq!(response.responses.len(), 2);
        for partition in response.responses.iter().flat_map(|topic| &topic.partitions) {
            let records = partition.records.as_ref().expect("records");
            // The pattern that the Java program writes.
            let first = records[0];
            assert_eq!(records.len(), 20 + usize::from(first));
            assert!(records.iter().zip(first..).all(|(have, want)| *have == want));
            let (frame, records) = (frame.as_ptr_range(), records.as_ptr_range());
            assert!(frame.start <= records.start && records.end <= frame.end, "not copied");
        }
    }
}

#[test]
fn records_of_a_produce_request_are_not_copied() {
    let golden = one("ProduceRequest", 9, "full");
    let mut request = ProduceRequest::decode(9, &mut Reader::new(golden.bytes())).expect("decodes");
    let records = Bytes::from(vec![1; 100_000]);
    for topic in &mut request.topic_data {
        topic.partition_data[0].records = Some(records.clone());
    }
    for version in 3..=9 {
        let mut w = Writer::new();
        request.encode(version, &mut w).expect("encodes");
        let shared = w.finish().iter().filter(|s| s.as_ptr() == records.as_ptr()).count();
        assert_eq!(shared, 2, "version {version}: both partitions share the memory of the batch");
    }
}

#[test]
fn an_id_is_printed_as_kafka_prints_it() {
    let golden = one("MetadataResponse", 13, "full");
    let theirs = golden.json();
    let text = theirs["topics"][0]["topicId"].as_str().expect("an id");
    let ours = (codec("MetadataResponse").json)(13, golden.bytes()).expect("decodes");
    assert_eq!(ours["topics"][0]["topic_id"], text);
    assert_ne!(text, Uuid::ZERO.to_string());
}

#[test]
fn rule_2_8_a_value_that_the_version_cannot_express_fails_the_request() {
    let produce = ProduceRequest { transactional_id: Some("t".into()), ..Default::default() };
    let fetch = FetchRequest { isolation_level: 1, ..Default::default() };
    for (version, encoded) in [
        (2, encode(&produce, 2)),
        (0, encode(&produce, 0)),
        (3, encode(&fetch, 3)),
        (0, encode(&fetch, 0)),
    ] {
        let error = encoded.expect_err("cannot be expressed");
        assert_eq!(error.code(), samsa::Code::UNSUPPORTED_FEATURE);
        assert!(error.message().contains(&format!("version {version}")), "{error}");
    }
    assert!(encode(&produce, 3).is_ok() && encode(&fetch, 4).is_ok());
    let harmless = FetchRequest { rack_id: "r".into(), max_bytes: 1, ..Default::default() };
    assert_eq!(encode(&harmless, 0).ok(), encode(&FetchRequest::default(), 0).ok(), "dropped");
}
