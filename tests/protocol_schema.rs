//! Every definition of ours against the official ones, field by field.
//!
//! The official definitions are JSON files in Kafka's clients jar: 3.9.2 has the versions that 4.0
//! removed, 4.3.1 the newest. `SAMSA_KAFKA_MESSAGES` names a directory with `3.9.2/` and `4.3.1/`;
//! without it `target/kafka-clients` is used, and filled with Maven where that is there.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use samsa::protocol::modern::schema::{Entity, Field, Kind, Schema, Versions};
use samsa::protocol::modern::{AnyRequest, ApiKey};
use serde_json::Value;

mod reflection;
use reflection::{Codec, codec, codecs, default_json, snake_case};

const RELEASES: [&str; 2] = ["3.9.2", "4.3.1"];

/// Where we differ from an official definition, on purpose.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    // 4.0 made the name ignorable because version 13 has the topic's id instead.
    ("3.9.2", "TopicProduceData.name", "ignorable"),
    ("3.9.2", "TopicProduceResponse.name", "ignorable"),
    // Losing "committed records only" would deliver aborted ones: Java's request builder refuses
    // it by hand, here the definition does (rule 2.8).
    ("3.9.2", "FetchRequest.isolation_level", "ignorable"),
    ("4.3.1", "FetchRequest.isolation_level", "ignorable"),
    // As with Produce: version 10 has the topic's id instead.
    ("3.9.2", "OffsetCommitRequestTopic.name", "ignorable"),
    ("3.9.2", "OffsetCommitResponseTopic.name", "ignorable"),
    ("3.9.2", "OffsetFetchRequestTopics.name", "ignorable"),
    ("3.9.2", "OffsetFetchResponseTopics.name", "ignorable"),
];

/// The directory with the official definitions; none if they cannot be had on this machine.
fn definitions() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOUND.get_or_init(find_definitions).as_deref()
}

fn find_definitions() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if let Some(named) = std::env::var_os("SAMSA_KAFKA_MESSAGES") {
        return Some(PathBuf::from(named));
    }
    let fetched = root.join("target/kafka-clients");
    let there = || RELEASES.iter().all(|r| fetched.join(r).join("FetchRequest.json").exists());
    let script = root.join("tests/golden/fetch-clients.sh");
    if !there() {
        let status = Command::new(&script).status();
        eprintln!("{}: {status:?}", script.display());
    }
    if there() {
        return Some(fetched);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "the official definitions are missing: run tests/golden/fetch-clients.sh (it needs mvn and \
         unzip), or name a directory with 3.9.2/*.json and 4.3.1/*.json in SAMSA_KAFKA_MESSAGES"
    );
    eprintln!("skipped: no official definitions; run tests/golden/fetch-clients.sh");
    None
}

fn read(directory: &Path, release: &str, name: &str) -> Value {
    let path = directory.join(release).join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&without_comments(&text))
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Removes `// …` to the end of the line, but not inside of a string.
fn without_comments(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for line in text.lines() {
        let (mut in_string, mut end) = (false, line.len());
        let bytes = line.as_bytes();
        for i in 0..bytes.len() {
            match bytes[i] {
                b'"' if i == 0 || bytes[i - 1] != b'\\' => in_string = !in_string,
                b'/' if !in_string && bytes.get(i + 1) == Some(&b'/') => {
                    end = i;
                    break;
                }
                _ => {}
            }
        }
        clean.push_str(&line[..end]);
        clean.push('\n');
    }
    clean
}

fn versions(text: &str) -> Versions {
    let number = |text: &str| text.parse().expect("a version");
    match text {
        "none" => Versions::NONE,
        _ => match (text.strip_suffix('+'), text.split_once('-')) {
            (Some(first), _) => Versions { first: number(first), last: i16::MAX },
            (_, Some((first, last))) => Versions { first: number(first), last: number(last) },
            _ => Versions { first: number(text), last: number(text) },
        },
    }
}

fn versions_of(json: &Value, key: &str) -> Versions {
    json.get(key).map_or(Versions::NONE, |text| versions(text.as_str().expect("text")))
}

/// The first flexible version; as in our tables `i16::MAX` if there is none.
fn flexible_since(json: &Value) -> i16 {
    match versions_of(json, "flexibleVersions") {
        Versions { first, last } if first > last => i16::MAX,
        flexible => flexible.first,
    }
}

fn kind_name(kind: &Kind) -> String {
    match kind {
        Kind::Bool => "bool".to_owned(),
        Kind::Int8 => "int8".to_owned(),
        Kind::Int16 => "int16".to_owned(),
        Kind::Int32 => "int32".to_owned(),
        Kind::Int64 => "int64".to_owned(),
        Kind::Uuid => "uuid".to_owned(),
        Kind::String => "string".to_owned(),
        Kind::Bytes => "bytes".to_owned(),
        Kind::Records => "records".to_owned(),
        Kind::Array(element) => format!("[]{}", kind_name(element)),
        Kind::Struct(schema) => schema.name.to_owned(),
    }
}

fn entity_name(entity: Entity) -> &'static str {
    match entity {
        Entity::BrokerId => "brokerId",
        Entity::GroupId => "groupId",
        Entity::ProducerId => "producerId",
        Entity::TopicName => "topicName",
        Entity::TransactionalId => "transactionalId",
    }
}

fn element_schema(kind: &Kind) -> Option<&'static Schema> {
    match kind {
        Kind::Array(element) => element_schema(element),
        Kind::Struct(schema) => Some(schema),
        _ => None,
    }
}

/// The default by the rules of Kafka's generator.
fn official_default(json: &Value, ours: &Field) -> Value {
    let text = match json.get("default") {
        None => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(number) => Some(number.to_string()),
    };
    match (&ours.kind, text.as_deref()) {
        (_, Some("null")) | (Kind::Records, None) => Value::Null,
        (Kind::Bool, text) => Value::Bool(text == Some("true")),
        (Kind::Int8 | Kind::Int16 | Kind::Int32 | Kind::Int64, text) => {
            let text = text.unwrap_or("0");
            let number = match text.strip_prefix("0x") {
                Some(hex) => i64::from_str_radix(hex, 16),
                None => text.parse(),
            };
            number.expect("a number").into()
        }
        (Kind::String, text) => text.unwrap_or("").into(),
        (Kind::Bytes, None) => Value::Array(Vec::new()),
        (Kind::Uuid, None) => "AAAAAAAAAAAAAAAAAAAAAA".into(),
        (Kind::Array(_), None) => Value::Array(Vec::new()),
        (Kind::Struct(schema), None) => default_json(schema),
        (kind, text) => panic!("{kind:?} with default {text:?}"),
    }
}

struct Comparison<'a> {
    release: &'a str,
    valid: Versions,
    commons: &'a Value,
    problems: Vec<String>,
}

impl Comparison<'_> {
    fn expect<T: PartialEq + std::fmt::Debug>(&mut self, at: &str, what: &str, ours: T, theirs: T) {
        let known = DIFFERENCES.contains(&(self.release, at, what));
        if (ours == theirs) == known {
            let note = if known { " (a listed difference that is none)" } else { "" };
            self.problems.push(format!(
                "{} {at}: {what} is {ours:?}, officially {theirs:?}{note}",
                self.release
            ));
        }
    }

    fn structure(&mut self, ours: &Schema, theirs: &Value) {
        let fields = theirs.as_array().expect("fields");
        let defaults = default_json(ours);
        let mut last_place = 0;
        for json in fields {
            let name = snake_case(json["name"].as_str().expect("a name"));
            let at = format!("{}.{name}", ours.name);
            let Some(place) = ours.fields.iter().position(|f| f.name == name) else {
                self.problems.push(format!("{} {at} is missing", self.release));
                continue;
            };
            self.expect(&at, "out of order", place < last_place, false);
            last_place = place;
            self.field(&at, &ours.fields[place], json);
            let default = official_default(json, &ours.fields[place]);
            self.expect(&at, "default", &defaults[&name], &default);
        }
        for field in ours.fields {
            let official =
                fields.iter().any(|f| snake_case(f["name"].as_str().unwrap()) == field.name);
            let used = (self.valid.first..=self.valid.last).any(|v| field.versions.contains(v));
            let at = format!("{}.{}", ours.name, field.name);
            self.expect(&at, "in use", used && !official, false);
        }
    }

    fn field(&mut self, at: &str, ours: &Field, json: &Value) {
        let theirs = versions_of(json, "versions");
        let tagged = versions_of(json, "taggedVersions");
        let nullable = versions_of(json, "nullableVersions");
        for v in self.valid.first..=self.valid.last {
            self.expect(at, "versions", ours.versions.contains(v), theirs.contains(v));
            let present = theirs.contains(v);
            let null = (ours.nullable.contains(v) && present, nullable.contains(v) && present);
            self.expect(at, "nullableVersions", null.0, null.1);
            let tag = (ours.tag.is_some() && present, tagged.contains(v) && present);
            self.expect(at, "taggedVersions", tag.0, tag.1);
        }
        if self.release == RELEASES[1] {
            self.expect(at, "versions", ours.versions.to_string(), theirs.to_string());
        }
        self.expect(at, "type", kind_name(&ours.kind).as_str(), json["type"].as_str().unwrap());
        self.expect(at, "tag", ours.tag.map(u64::from), json.get("tag").and_then(Value::as_u64));
        let ignorable = json.get("ignorable").and_then(Value::as_bool).unwrap_or(false);
        self.expect(at, "ignorable", ours.ignorable, ignorable);
        let entity = json.get("entityType").and_then(Value::as_str);
        self.expect(at, "entityType", ours.entity.map(entity_name), entity);
        if let Some(schema) = element_schema(&ours.kind) {
            self.structure(schema, fields_of(json, self.commons));
        }
    }
}

/// The fields of a structure: written where it is used, or once for several uses.
fn fields_of<'a>(json: &'a Value, commons: &'a Value) -> &'a Value {
    let name = json["type"].as_str().expect("a type").trim_start_matches("[]");
    let mut shared = commons.as_array().into_iter().flatten();
    let shared = shared.find(|common| common["name"] == name);
    &shared.unwrap_or(json)["fields"]
}

fn compare(codec: &Codec, json: &Value, release: &str) -> Vec<String> {
    let valid = versions_of(json, "validVersions");
    let commons = &json["commonStructs"];
    let mut comparison = Comparison { release, valid, commons, problems: Vec::new() };
    let ours = (codec.first <= valid.first, valid.last <= codec.last);
    comparison.expect(codec.name, "version range", ours, (true, true));
    let flexible = flexible_since(json);
    comparison.expect(codec.name, "flexibleVersions", codec.flexible, flexible);
    comparison.expect(codec.name, "name", codec.name, json["name"].as_str().unwrap());
    comparison.structure(&codec.schema, &json["fields"]);
    comparison.problems
}

#[test]
fn every_definition_agrees_with_the_official_ones_field_by_field() {
    let Some(directory) = definitions() else { return };
    let mut problems = Vec::new();
    for codec in codecs() {
        for release in RELEASES {
            let json = read(directory, release, codec.name);
            problems.extend(compare(&codec, &json, release));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn a_difference_of_any_kind_is_found() {
    let Some(directory) = definitions() else { return };
    let official = read(directory, RELEASES[1], "FetchRequest");
    for (place, other) in [
        ("/validVersions", Value::from("4-19")),
        ("/flexibleVersions", "13+".into()),
        ("/fields/5/name", "MostBytes".into()),
        ("/fields/5/type", "int64".into()),
        ("/fields/5/versions", "4+".into()),
        ("/fields/5/default", "1".into()),
        ("/fields/5/ignorable", false.into()),
        ("/fields/0/nullableVersions", "13+".into()),
        ("/fields/0/taggedVersions", "13+".into()),
        ("/fields/0/tag", 3.into()),
        ("/fields/1/entityType", "topicName".into()),
        ("/fields/9/fields/2/fields/2/versions", "1+".into()),
        ("/fields/8", official["fields"][9].clone()),
    ] {
        let mut changed = official.clone();
        *changed.pointer_mut(place).expect(place) = other;
        let problems = compare(&codec("FetchRequest"), &changed, RELEASES[1]);
        assert!(!problems.is_empty(), "{place} was changed and nobody saw it");
    }
    assert_eq!(compare(&codec("FetchRequest"), &official, RELEASES[1]), [""; 0]);
}

#[test]
fn every_version_of_both_releases_is_defined_and_no_other() {
    let Some(directory) = definitions() else { return };
    for codec in codecs() {
        let [old, new] = RELEASES
            .map(|release| versions_of(&read(directory, release, codec.name), "validVersions"));
        let union = (old.first.min(new.first), old.last.max(new.last));
        assert_eq!((codec.first, codec.last), union, "{}", codec.name);
        assert!(new.first <= old.last, "{}: no hole between the releases", codec.name);
    }
}

#[test]
fn every_api_key_has_its_official_name() {
    let Some(directory) = definitions() else { return };
    let mut seen = 0;
    for entry in std::fs::read_dir(directory.join(RELEASES[1])).expect("a directory") {
        let file = entry.expect("an entry").file_name().into_string().expect("a name");
        let Some(name) = file.strip_suffix("Request.json") else { continue };
        let json = read(directory, RELEASES[1], &format!("{name}Request"));
        let Some(number) = json["apiKey"].as_i64() else { continue };
        let key = ApiKey::try_from(i16::try_from(number).unwrap()).expect(name);
        assert_eq!(key.name(), name);
        let flexible = flexible_since(&json);
        assert_eq!(AnyRequest::api(key).map_or(flexible, |api| api.flexible), flexible, "{name}");
        seen += 1;
    }
    assert_eq!(seen, ApiKey::ALL.len());
}

#[test]
fn tags_ascend_in_the_order_of_declaration_because_they_are_sent_in_it() {
    fn check(schema: &Schema) {
        let tags: Vec<_> = schema.fields.iter().filter_map(|f| f.tag).collect();
        assert!(tags.windows(2).all(|pair| pair[0] < pair[1]), "{}: {tags:?}", schema.name);
        schema.fields.iter().filter_map(|f| element_schema(&f.kind)).for_each(check);
    }
    codecs().iter().for_each(|codec| check(&codec.schema));
}

#[test]
fn comments_are_removed_but_not_from_inside_of_strings() {
    let text = "// licence\n{ \"a\": \"http://x\", // a \"note\"\n \"b\": 1 }";
    let json: Value = serde_json::from_str(&without_comments(text)).expect("JSON");
    assert_eq!(json["a"], "http://x");
    assert_eq!(json["b"], 1);
}
