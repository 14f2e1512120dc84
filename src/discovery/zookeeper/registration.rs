//! What brokers write about themselves and their topics: Kafka 0.7's lines and the JSON of 0.8 to 3.9.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::config::Address;
use crate::error::{Code, Error, Result};

/// The largest registration that is read. Real ones have a few hundred bytes; a topic's partitions
/// may take more.
const LARGEST: usize = 1 << 20;

/// Which family of brokers is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// Kafka 0.7: partitions belong to brokers, nothing is replicated, positions are bytes.
    Legacy,
    /// Kafka 0.8 to 3.9.
    Modern,
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Legacy => "Kafka 0.7",
            Self::Modern => "Kafka 0.8 to 3.9",
        })
    }
}

/// One broker as it is registered now: the same object as long as the registration stays. A broker that
/// comes back is another one.
#[derive(Debug)]
pub struct RegisteredBroker {
    /// The broker's id.
    pub id: i32,
    /// The transaction that made the registration: another number each time the broker registers.
    pub incarnation: i64,
    /// What it says.
    pub form: Form,
    dead: AtomicBool,
}

/// What a registration says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// Kafka 0.7: `creator:host:port`.
    Legacy {
        /// The name that the broker made up when it started: `host-milliseconds`.
        creator: String,
        /// Where clients connect.
        address: Address,
    },
    /// Kafka 0.8 and later: JSON, version 1 to 5 so far.
    Modern {
        /// Where clients connect, at least one.
        endpoints: Vec<Endpoint>,
        /// The rack, if the broker has one (version 3 and later).
        rack: Option<String>,
    },
}

/// One listener of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The listener's name.
    pub listener: String,
    /// What is spoken there: `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT`, `SASL_SSL`.
    pub protocol: String,
    /// Where it is.
    pub address: Address,
}

/// Which of a broker's listeners is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// `security.protocol`.
    pub protocol: String,
    /// `samsa.listener.name`, if it is set.
    pub name: Option<String>,
}

impl RegisteredBroker {
    /// Reads the data of `/brokers/ids/<id>`. `PROTOCOL` says what is wrong with it.
    pub fn parse(id: i32, incarnation: i64, data: &[u8]) -> Result<Self> {
        let wrong = |what: String| {
            Error::new(Code::PROTOCOL, format!("the registration of broker {id} {what}"))
        };
        let text = text(data).map_err(wrong)?;
        let form = if text.trim_start().starts_with('{') { modern(text) } else { legacy(text) };
        Ok(Self { id, incarnation, form: form.map_err(wrong)?, dead: AtomicBool::new(false) })
    }

    /// Which family the broker belongs to.
    #[must_use]
    pub fn generation(&self) -> Generation {
        match self.form {
            Form::Legacy { .. } => Generation::Legacy,
            Form::Modern { .. } => Generation::Modern,
        }
    }

    /// Whether the registration is gone: the broker died, stopped, or came back as another object.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    pub(super) fn bury(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }

    /// The rack, if the broker has one.
    #[must_use]
    pub fn rack(&self) -> Option<&str> {
        match &self.form {
            Form::Modern { rack, .. } => rack.as_deref(),
            Form::Legacy { .. } => None,
        }
    }

    /// Where to connect to the listener that is wanted; the error lists what there is.
    pub fn address(&self, wanted: &Listener) -> Result<&Address> {
        let endpoints = match &self.form {
            Form::Legacy { address, .. } => return Ok(address),
            Form::Modern { endpoints, .. } => endpoints,
        };
        let fits = |endpoint: &&Endpoint| {
            let name = wanted.name.as_deref();
            let named = name.is_none_or(|name| endpoint.listener.eq_ignore_ascii_case(name));
            named && endpoint.protocol.eq_ignore_ascii_case(&wanted.protocol)
        };
        endpoints.iter().find(fits).map(|endpoint| &endpoint.address).ok_or_else(|| {
            let there: Vec<String> = endpoints
                .iter()
                .map(|endpoint| format!("{} ({})", endpoint.listener, endpoint.protocol))
                .collect();
            let (id, there, protocol) = (self.id, there.join(", "), &wanted.protocol);
            match &wanted.name {
                None => {
                    let text = format!("broker {id} has no listener for {protocol}, only {there}");
                    Error::new(Code::UNSUPPORTED_FEATURE, text)
                }
                Some(name) => {
                    let text = format!(
                        "broker {id} has no listener {name} for {protocol}, only {there}: see \
                         samsa.listener.name"
                    );
                    Error::new(Code::INVALID_PROPERTY, text).with_property("samsa.listener.name")
                }
            }
        })
    }
}

/// Two are alike when they are the same registration.
impl PartialEq for RegisteredBroker {
    fn eq(&self, other: &Self) -> bool {
        (self.id, self.incarnation, &self.form) == (other.id, other.incarnation, &other.form)
    }
}

/// What is registered of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegisteredTopic {
    /// Kafka 0.7: how many partitions each broker has, by its id.
    Legacy(BTreeMap<i32, i32>),
    /// Kafka 0.8 and later: the replicas of each partition, by its number.
    Modern(BTreeMap<i32, Vec<i32>>),
}

/// The most partitions of a topic at one broker of Kafka 0.7 that are believed: each costs memory.
const PARTITIONS_MAX: i32 = 100_000;

/// Reads the data of `/brokers/topics/<topic>/<broker>` of Kafka 0.7; nothing counts as 1.
pub fn partition_count(data: &[u8]) -> Result<i32> {
    let wrong = || {
        Error::new(Code::PROTOCOL, "a partition count in ZooKeeper is no number from 1 to 100000")
    };
    let text = text(data).map_err(|_| wrong())?.trim();
    let count = if text.is_empty() { Ok(1) } else { text.parse::<i32>() };
    count.ok().filter(|count| (1..=PARTITIONS_MAX).contains(count)).ok_or_else(wrong)
}

/// Reads the data of `/brokers/topics/<topic>` of Kafka 0.8 and later.
pub fn partitions(data: &[u8]) -> Result<BTreeMap<i32, Vec<i32>>> {
    let wrong =
        |what| Error::new(Code::PROTOCOL, format!("the partitions of a topic in ZooKeeper {what}"));
    let text = text(data).map_err(wrong)?;
    let json = json(text).map_err(wrong)?;
    let list = json.get("partitions").and_then(Value::as_object);
    let list = list.ok_or_else(|| wrong("are not listed".to_owned()))?;
    list.iter()
        .map(|(partition, replicas)| {
            let partition = partition.parse().ok()?;
            let replicas: Option<Vec<i32>> = replicas.as_array()?.iter().map(int).collect();
            Some((partition, replicas?))
        })
        .collect::<Option<_>>()
        .ok_or_else(|| wrong("are not numbers".to_owned()))
}

fn text(data: &[u8]) -> Result<&str, String> {
    if data.len() > LARGEST {
        return Err(format!("has {} bytes, which are too many", data.len()));
    }
    std::str::from_utf8(data).map_err(|_| "is not UTF-8".to_owned())
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"))
}

fn int(value: &Value) -> Option<i32> {
    value.as_i64().and_then(|number| i32::try_from(number).ok())
}

/// `creator:host:port`, where the creator is `host-milliseconds`. A host that has colons itself (IPv6,
/// which broke the clients of its time) is found behind the milliseconds.
fn legacy(text: &str) -> Result<Form, String> {
    let wrong = || format!("is neither creator:host:port nor JSON: `{}`", shown(text));
    let (rest, port) = text.trim().rsplit_once(':').ok_or_else(wrong)?;
    let parts: Vec<&str> = rest.split(':').collect();
    let (creator, host) = if let [creator, host] = parts[..] {
        (creator, host)
    } else {
        let dash = rest.rfind('-').ok_or_else(wrong)?;
        let colon = rest[dash..].find(':').ok_or_else(wrong)? + dash;
        (&rest[..colon], &rest[colon + 1..])
    };
    let address = place(host, port).ok_or_else(wrong)?;
    Ok(Form::Legacy { creator: creator.to_owned(), address })
}

fn modern(text: &str) -> Result<Form, String> {
    let json = json(text)?;
    let string = |name: &str| json.get(name).and_then(Value::as_str);
    let rack = string("rack").map(str::to_owned);
    let protocols = json.get("listener_security_protocol_map").and_then(Value::as_object);
    let endpoints = match json.get("endpoints").and_then(Value::as_array) {
        Some(list) => list
            .iter()
            .map(|entry| {
                let endpoint = entry.as_str().and_then(endpoint);
                let (listener, address) = endpoint
                    .ok_or_else(|| format!("has the endpoint {}", shown(&entry.to_string())))?;
                // Before version 4 a listener is called as its protocol.
                let mapped = protocols.and_then(|map| map.get(&listener)).and_then(Value::as_str);
                let protocol = mapped.unwrap_or(&listener).to_owned();
                Ok(Endpoint { listener, protocol, address })
            })
            .collect::<Result<Vec<_>, String>>()?,
        // Version 1: Kafka 0.8 speaks in clear text only.
        None => {
            let port = json.get("port").and_then(int).map(|port| port.to_string());
            let address = string("host").zip(port).and_then(|(host, port)| place(host, &port));
            let address = address.ok_or("has neither endpoints nor host and port")?;
            let (listener, protocol) = ("PLAINTEXT".to_owned(), "PLAINTEXT".to_owned());
            vec![Endpoint { listener, protocol, address }]
        }
    };
    if endpoints.is_empty() {
        return Err("has no endpoint".to_owned());
    }
    Ok(Form::Modern { endpoints, rack })
}

/// `NAME://host:port`, with or without brackets around an IPv6 address.
fn endpoint(text: &str) -> Option<(String, Address)> {
    let (listener, place_text) = text.split_once("://")?;
    let (host, port) = place_text.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Some((listener.to_owned(), place(host, port)?))
}

fn place(host: &str, port: &str) -> Option<Address> {
    let port: u16 = port.parse().ok()?;
    let good =
        port > 0 && !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c == '/');
    good.then(|| Address::new(host, port))
}

/// The beginning of what somebody wrote.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(data: &str) -> Result<RegisteredBroker> {
        RegisteredBroker::parse(3, 77, data.as_bytes())
    }

    fn plaintext() -> Listener {
        Listener { protocol: "PLAINTEXT".to_owned(), name: None }
    }

    #[test]
    fn every_release_s_registration_is_read() {
        const HOST: &str = "127.0.0.1:19092";
        for (data, generation) in [
            ("127.0.0.1-1795250037452:127.0.0.1:19092", Generation::Legacy),
            (
                r#"{"jmx_port":-1,"timestamp":"1","host":"127.0.0.1","version":1,"port":19092}"#,
                Generation::Modern,
            ),
            (
                r#"{"jmx_port":-1,"timestamp":"1","endpoints":["PLAINTEXT://127.0.0.1:19092"],
                   "host":"127.0.0.1","version":2,"port":19092}"#,
                Generation::Modern,
            ),
            (
                r#"{"listener_security_protocol_map":{"PLAINTEXT":"PLAINTEXT"},
                   "endpoints":["PLAINTEXT://127.0.0.1:19092"],"jmx_port":-1,"host":"127.0.0.1",
                   "timestamp":"1","port":19092,"version":4}"#,
                Generation::Modern,
            ),
            (
                r#"{"features":{},"listener_security_protocol_map":{"PLAINTEXT":"PLAINTEXT"},
                   "endpoints":["PLAINTEXT://127.0.0.1:19092"],"jmx_port":-1,"port":19092,
                   "host":"127.0.0.1","version":5,"timestamp":"1"}"#,
                Generation::Modern,
            ),
        ] {
            let broker = parse(data).unwrap();
            assert_eq!((broker.id, broker.incarnation), (3, 77));
            assert_eq!(broker.generation(), generation, "{data}");
            assert_eq!(broker.address(&plaintext()).unwrap().to_string(), HOST, "{data}");
            assert_eq!(broker.rack(), None);
        }
    }

    #[test]
    fn kafka_0_7_s_line_has_creator_host_and_port() {
        for (data, creator, address) in [
            ("h-12:h:9092", "h-12", "h:9092"),
            ("a-b-c-12:10.0.0.1:1", "a-b-c-12", "10.0.0.1:1"),
            ("fe80::1-12:fe80::1:9092", "fe80::1-12", "[fe80::1]:9092"),
        ] {
            let Form::Legacy { creator: read, address: place } = parse(data).unwrap().form else {
                panic!("{data}")
            };
            assert_eq!((read.as_str(), place.to_string().as_str()), (creator, address));
        }
    }

    const MANY: &str = r#"{"version":4,"host":null,"port":-1,"rack":"r1",
        "listener_security_protocol_map":{"IN":"PLAINTEXT","OUT":"SASL_SSL","ALSO":"PLAINTEXT"},
        "endpoints":["OUT://out:1","IN://in:2","ALSO://[::1]:3"]}"#;

    #[test]
    fn the_listener_that_fits_is_chosen_by_protocol_and_by_name() {
        let broker = parse(MANY).unwrap();
        assert_eq!(broker.rack(), Some("r1"));
        let choose = |protocol: &str, name: Option<&str>| {
            let name = name.map(str::to_owned);
            let wanted = Listener { protocol: protocol.to_owned(), name };
            broker.address(&wanted).map(ToString::to_string)
        };
        assert_eq!(choose("PLAINTEXT", None).unwrap(), "in:2", "the first one");
        assert_eq!(choose("PLAINTEXT", Some("also")).unwrap(), "[::1]:3");
        assert_eq!(choose("SASL_SSL", None).unwrap(), "out:1");
        let error = choose("SSL", None).unwrap_err();
        assert_eq!(error.code(), Code::UNSUPPORTED_FEATURE);
        let there = "only OUT (SASL_SSL), IN (PLAINTEXT), ALSO (PLAINTEXT)";
        assert!(error.message().contains(there), "{error}");
        for name in ["OUT", "NO"] {
            let error = choose("PLAINTEXT", Some(name)).unwrap_err();
            assert_eq!(error.property(), Some("samsa.listener.name"));
        }
    }

    #[test]
    fn what_is_no_registration_is_an_error_that_names_the_broker() {
        for data in [
            "",
            "host",
            "host:9092",
            "a:b:c",
            "a:b:0",
            "a:b:65536",
            "a::9092",
            "a:b:c:d:9092",
            "{",
            "{}",
            r#"{"version":1,"host":"h"}"#,
            r#"{"version":1,"host":"h","port":"9092"}"#,
            r#"{"version":1,"host":null,"port":-1}"#,
            r#"{"version":4,"endpoints":[]}"#,
            r#"{"version":4,"endpoints":["PLAINTEXT//h:1"]}"#,
            r#"{"version":4,"endpoints":[7]}"#,
            r#"{"version":4,"endpoints":["PLAINTEXT://h:99999"]}"#,
        ] {
            let error = parse(data).unwrap_err();
            assert_eq!(error.code(), Code::PROTOCOL, "{data}");
            assert!(error.message().contains("broker 3"), "{data}: {error}");
        }
        let deep = format!("{{\"a\":{}", "[".repeat(100_000));
        parse(&deep).unwrap_err();
        RegisteredBroker::parse(1, 1, &[0xff, 0xfe]).unwrap_err();
        RegisteredBroker::parse(1, 1, &vec![b' '; LARGEST + 1]).unwrap_err();
    }

    #[test]
    fn topics_are_read_in_both_generations() {
        for (data, count) in [
            ("4", Some(4)),
            (" 1\n", Some(1)),
            ("", Some(1)),
            ("0", None),
            ("x", None),
            ("-1", None),
            ("100000", Some(100_000)),
            ("2147483647", None),
        ] {
            assert_eq!(partition_count(data.as_bytes()).ok(), count, "{data:?}");
        }
        let modern = r#"{"version":3,"topic_id":"x","partitions":{"0":[1,2],"10":[2]},
                        "adding_replicas":{},"removing_replicas":{}}"#;
        let read = partitions(modern.as_bytes()).unwrap();
        assert_eq!(read, BTreeMap::from([(0, vec![1, 2]), (10, vec![2])]));
        for bad in [
            "",
            "{}",
            r#"{"partitions":[]}"#,
            r#"{"partitions":{"x":[1]}}"#,
            r#"{"partitions":{"0":["a"]}}"#,
        ] {
            assert_eq!(partitions(bad.as_bytes()).unwrap_err().code(), Code::PROTOCOL, "{bad}");
        }
    }
}
