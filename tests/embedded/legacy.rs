//! The embedded brokers of Kafka 0.7, held against what a real one was seen to do.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use samsa::embedded::legacy::{Cluster, Fault, FaultKind, Options};
use samsa::protocol::legacy::{Fetch, Produce, Request, RequestId, append_message};
use serde_json::Value;

/// What tells silence from an answer that is still to come: a multi-fetch of three wrong partitions
/// behind it, whose answer is like no other.
const BARRIER: &[u8] = b"\0\0\0\x3d\0\x02\0\x03\
    \0\x01?\0\0\0\x63\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\x01?\0\0\0\x63\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\x01?\0\0\0\x63\0\0\0\0\0\0\0\0\0\0\0\0";
const BARRIER_ANSWER: &[u8] = b"\0\0\0\x14\0\0\0\0\0\x02\0\x03\0\0\0\x02\0\x03\0\0\0\x02\0\x03";
const PATIENCE: Duration = Duration::from_secs(20);

fn start() -> Cluster {
    // As the recorded broker: two partitions a topic, every message flushed.
    Cluster::start(Options { partitions: 2, ..Options::default() }).expect("started")
}

fn connect(cluster: &Cluster) -> TcpStream {
    let stream = TcpStream::connect(cluster.address(0).expect("an address")).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream
}

fn hex(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex");
    (0..text.len()).step_by(2).map(byte).collect()
}

/// Requests of a megabyte are recorded by their beginning and their length: the rest of the
/// payloads is the letter that they begin with.
fn request_of(exchange: &Value) -> Option<Vec<u8>> {
    let text = exchange["request"].as_str()?;
    let Some((beginning, _)) = text.split_once("...") else { return Some(hex(text)) };
    let name = exchange["name"].as_str().expect("a name");
    let beginning = hex(beginning);
    let topic_at = if name.contains("multiproduce") { 8 } else { 6 };
    let length = usize::from(u16::from_be_bytes([beginning[topic_at], beginning[topic_at + 1]]));
    let topic = std::str::from_utf8(&beginning[topic_at + 2..topic_at + 2 + length]).expect("text");
    let large = vec![b'a'; if name.contains("(max)") { 1_000_000 } else { 1_000_001 }];
    let (mut set, mut hello) = (Vec::new(), Vec::new());
    append_message(&mut hello, b"hello");
    if name.contains("small +") {
        set.extend_from_slice(&hello);
    }
    append_message(&mut set, &large);
    let produce = |partition, set| Produce { topic, partition, set };
    let request = match name.contains("multiproduce") {
        true => Request::MultiProduce(vec![produce(0, &set), produce(1, &hello)]),
        false => Request::Produce(produce(0, &set)),
    };
    let mut bytes = Vec::new();
    request.encode(&mut bytes).expect("encoded");
    assert!(bytes.starts_with(&beginning), "{name}");
    let claimed = format!("({} bytes)", bytes.len());
    assert!(text.contains(&claimed), "{name}: {claimed}");
    Some(bytes)
}

/// What comes until the connection ends; `None` if it stays open and the barrier's answer came.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Answered(Vec<u8>),
    Closed(Vec<u8>),
}

fn outcome(stream: &mut TcpStream, request: &[u8]) -> Outcome {
    // The broker may close before all of it is written.
    let _ = stream.write_all(request).and_then(|()| stream.write_all(BARRIER));
    let mut came = Vec::new();
    let mut chunk = [0; 65_536];
    while !came.ends_with(BARRIER_ANSWER) {
        match stream.read(&mut chunk) {
            Ok(0) => return Outcome::Closed(came),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                return Outcome::Closed(came);
            }
            read => came.extend_from_slice(&chunk[..read.expect("an outcome in time")]),
        }
    }
    came.truncate(came.len() - BARRIER_ANSWER.len());
    Outcome::Answered(came)
}

fn topic_of(request: &[u8]) -> Option<String> {
    match Request::decode(request.get(4..)?).ok()? {
        Request::Produce(produce) => Some(produce.topic.to_owned()),
        Request::MultiProduce(produces) => produces.first().map(|p| p.topic.to_owned()),
        _ => None,
    }
}

#[test]
fn every_recorded_exchange_ends_as_on_a_real_broker() {
    let exchanges = include_str!("../golden/kafka-0.7/exchanges.json");
    let exchanges: Vec<Value> = serde_json::from_str(exchanges).expect("JSON");
    let cluster = start();
    let mut compared = 0;
    for exchange in &exchanges {
        let name = exchange["name"].as_str().expect("a name");
        let Some(request) = request_of(exchange) else { continue };
        let mut stream = connect(&cluster);
        let expected = match exchange["outcome"].as_str().expect("an outcome") {
            "closed" => Outcome::Closed(Vec::new()),
            "silent" => Outcome::Answered(Vec::new()),
            _ => Outcome::Answered(hex(exchange["response"].as_str().expect("a response"))),
        };
        let found = outcome(&mut stream, &request);
        match name {
            // Ours are the times of the segments, not of the recording: what was written is older
            // than an hour from now, and so than the recorded moment in the past.
            "offsets time=now+1h" | "offsets time=now-1h" => {}
            // The dice fall on either partition.
            "produce-fault partition -1 (random)" => {
                assert_eq!(found, expected, "{name}");
                let topic = topic_of(&request).expect("a topic");
                let lengths: Vec<_> =
                    (0..2).map(|p| cluster.log(0, &topic, p).expect("a log").len()).collect();
                assert_eq!(lengths.iter().sum::<usize>(), 15, "{name}");
            }
            _ => {
                assert_eq!(found, expected, "{name}");
                check_after(&cluster, exchange, &request, name);
            }
        }
        compared += 1;
    }
    assert_eq!(compared, 83, "two are conversations, one was recorded raw");
}

/// What the broker held afterwards.
fn check_after(cluster: &Cluster, exchange: &Value, request: &[u8], name: &str) {
    let Some(topic) = topic_of(request) else { return };
    if let Some(after) = exchange["fetch_after"].as_str() {
        let fetch = Fetch { topic: &topic, partition: 0, offset: 0, max_size: 1 << 20 };
        let mut bytes = Vec::new();
        Request::Fetch(fetch).encode(&mut bytes).expect("encoded");
        let found = outcome(&mut connect(cluster), &bytes);
        assert_eq!(found, Outcome::Answered(hex(after)), "{name}, fetched");
    }
    if name.starts_with("produce-fault topic ") {
        // Recorded was the end of a topic with a plain name, which nothing was written to.
        let appended = if exchange["outcome"] == "silent" { 15 } else { 0 };
        assert_eq!(cluster.log(0, &topic, 0).expect("a broker").len(), appended, "{name}");
        return;
    }
    for partition in 0..2 {
        let field = format!("end_offset_p{partition}");
        let Some(ends) = exchange["after"][field.as_str()].as_array() else { continue };
        let log = cluster.log(0, &topic, partition).expect("a broker");
        assert_eq!(ends[0].as_u64(), Some(log.len() as u64), "{name}, partition {partition}");
    }
}

#[test]
fn a_negative_size_gets_a_header_that_counts_it_and_then_the_end() {
    let cluster = start();
    let mut set = Vec::new();
    append_message(&mut set, b"hello");
    let mut bytes = Vec::new();
    Request::Produce(Produce { topic: "t", partition: 0, set: &set }).encode(&mut bytes).unwrap();
    let fetch = Fetch { topic: "t", partition: 0, offset: 0, max_size: -5 };
    Request::Fetch(fetch).encode(&mut bytes).expect("encoded");
    let found = outcome(&mut connect(&cluster), &bytes);
    assert_eq!(found, Outcome::Closed(b"\xff\xff\xff\xfd\0\0".to_vec()));
}

#[test]
fn pipelined_requests_are_answered_in_order_and_bytes_may_come_one_by_one() {
    let exchanges = include_str!("../golden/kafka-0.7/exchanges.json");
    let exchanges: Vec<Value> = serde_json::from_str(exchanges).expect("JSON");
    let recorded = exchanges.iter().find(|e| e["name"] == "pipelined P,F,O,P,F").expect("there");
    let expected: Vec<u8> = recorded["responses"]
        .as_array()
        .expect("a list")
        .iter()
        .flat_map(|response| hex(response.as_str().expect("hex")))
        .collect();
    let cluster = start();
    let set = |payload| {
        let mut set = Vec::new();
        append_message(&mut set, payload);
        set
    };
    let (hello, world) = (set(b"hello"), set(b"world"));
    let topic = "pipelined";
    let fetch = Fetch { topic, partition: 0, offset: 0, max_size: 65_536 };
    let latest = samsa::protocol::legacy::Offsets { topic, partition: 0, time: -1, max_number: 1 };
    let mut bytes = Vec::new();
    for request in [
        Request::Produce(Produce { topic, partition: 0, set: &hello }),
        Request::Fetch(fetch),
        Request::Offsets(latest),
        Request::Produce(Produce { topic, partition: 0, set: &world }),
        Request::Fetch(fetch),
    ] {
        request.encode(&mut bytes).expect("encoded");
    }
    let mut stream = connect(&cluster);
    let (last, first) = bytes.split_last().expect("bytes");
    stream.set_nodelay(true).expect("set");
    for byte in first {
        stream.write_all(&[*byte]).expect("written");
    }
    assert_eq!(outcome(&mut stream, &[*last]), Outcome::Answered(expected));
}

#[test]
fn a_broker_that_dies_keeps_its_log_and_comes_back_on_its_port() {
    let cluster = start();
    let mut set = Vec::new();
    append_message(&mut set, b"hello");
    let mut produce = Vec::new();
    Request::Produce(Produce { topic: "t", partition: 1, set: &set }).encode(&mut produce).unwrap();
    let mut stream = connect(&cluster);
    assert_eq!(outcome(&mut stream, &produce), Outcome::Answered(Vec::new()));
    cluster.stop_broker(0).expect("stopped");
    assert!(matches!(outcome(&mut stream, &produce), Outcome::Closed(_)));
    assert!(TcpStream::connect(cluster.address(0).expect("an address")).is_err());
    cluster.start_broker(0).expect("started");
    assert_eq!(outcome(&mut connect(&cluster), &produce), Outcome::Answered(Vec::new()));
    assert_eq!(cluster.log(0, "t", 1).expect("a log"), [&set[..], &set].concat());
}

#[test]
fn faults_meet_the_requests_they_name() {
    let cluster = start();
    let mut set = Vec::new();
    append_message(&mut set, b"hello");
    let mut produce = Vec::new();
    Request::Produce(Produce { topic: "t", partition: 0, set: &set }).encode(&mut produce).unwrap();
    let log = || cluster.log(0, "t", 0).expect("a broker").len();

    cluster.inject(Fault::new(FaultKind::CloseBefore).request(RequestId::Produce));
    assert_eq!(outcome(&mut connect(&cluster), &produce), Outcome::Closed(Vec::new()));
    assert_eq!(log(), 0);
    cluster.inject(Fault::new(FaultKind::CloseAfter).request(RequestId::Produce));
    assert_eq!(outcome(&mut connect(&cluster), &produce), Outcome::Closed(Vec::new()));
    assert_eq!(log(), 15);
    cluster.inject(Fault::new(FaultKind::Cut(5)).request(RequestId::MultiFetch));
    let cut = Outcome::Closed(BARRIER_ANSWER[..5].to_vec());
    assert_eq!(outcome(&mut connect(&cluster), &produce), cut);
    cluster.inject(Fault::new(FaultKind::Code(1)).request(RequestId::Fetch));
    let fetch = Fetch { topic: "t", partition: 0, offset: 0, max_size: 100 };
    let mut bytes = Vec::new();
    Request::Fetch(fetch).encode(&mut bytes).expect("encoded");
    let refused = Outcome::Answered(b"\0\0\0\x02\0\x01".to_vec());
    assert_eq!(outcome(&mut connect(&cluster), &bytes), refused);

    cluster.inject(Fault::new(FaultKind::Silence).request(RequestId::Fetch));
    let mut stream = connect(&cluster);
    stream.write_all(&bytes).and_then(|()| stream.write_all(BARRIER)).expect("written");
    // Another connection is served meanwhile, and this one says nothing until it is closed.
    assert_eq!(outcome(&mut connect(&cluster), &[]), Outcome::Answered(Vec::new()));
    cluster.close_connections(Some(0)).expect("closed");
    let mut came = Vec::new();
    let _ = stream.read_to_end(&mut came);
    assert!(came.is_empty(), "{came:?}");
    let deadline = Instant::now() + PATIENCE;
    cluster.wait_requests(0, RequestId::Produce, 2, deadline).expect("the first was not done");
    assert_eq!(cluster.requests(0, RequestId::Produce).expect("a broker"), 2);
}
