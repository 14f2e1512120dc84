//! Brokers that close, lie, fall silent or go; sets that are none.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;

use samsa::Code;
use samsa::cluster::Cluster;
use samsa::config::Config;
use samsa::consumer::Consumer;
use samsa::embedded::legacy::{Fault, FaultKind, Options};
use samsa::embedded::zookeeper::Server;
use samsa::protocol::legacy::{RequestId, answer_multi_fetch, append_message};
use samsa::protocol::record::Compression;

use super::consume_rig::*;

#[test]
fn closed_silent_and_cut_connections_cost_no_message_and_bring_none_twice() {
    let rig = Rig::with(Options::default(), &[("request.timeout.ms", "300")]);
    let consumer = rig.reader(&[place(0, 0)]);
    let mut expected = Vec::new();
    let kinds =
        [FaultKind::CloseBefore, FaultKind::CloseAfter, FaultKind::Silence, FaultKind::Cut(9)];
    for (n, kind) in kinds.into_iter().enumerate() {
        rig.brokers.inject(Fault::new(kind).request(RequestId::MultiFetch));
        let payload = format!("message {n}");
        rig.write(0, 0, &[&payload]);
        expected.push(payload);
        assert_eq!(read(&consumer, 1), expected[n..], "{kind:?}");
    }
    rig.brokers.close_connections(None).unwrap();
    rig.write(0, 0, &["last"]);
    assert_eq!(read(&consumer, 1), ["last"]);
}

#[test]
fn a_broker_that_stops_and_comes_back_is_read_on_and_others_meanwhile() {
    let rig = Rig::new(2, 1);
    rig.write(0, 0, &["zero"]);
    rig.write(1, 0, &["one"]);
    rig.wait_registered(0);
    rig.wait_registered(1);
    let consumer = rig.reader(&[place(0, 0), place(1, 0)]);
    let mut seen = read(&consumer, 2);
    seen.sort();
    assert_eq!(seen, ["one", "zero"]);
    rig.brokers.stop_broker(0).unwrap();
    rig.write(1, 0, &["while it is away"]);
    assert_eq!(read(&consumer, 1), ["while it is away"]);
    assert_quiet(&consumer);
    rig.brokers.start_broker(0).unwrap();
    rig.write(0, 0, &["back"]);
    assert_eq!(read(&consumer, 1), ["back"]);
}

#[test]
fn codes_that_pass_are_waited_out_and_others_told_once() {
    let rig = Rig::new(1, 1);
    rig.write(0, 0, &["one"]);
    let code = |code| Fault::new(FaultKind::Code(code)).request(RequestId::MultiFetch).times(3);
    rig.brokers.inject(code(3));
    let consumer = rig.reader(&[place(0, 0)]);
    assert_eq!(read(&consumer, 1), ["one"]);
    rig.write(0, 0, &["two"]);
    rig.brokers.inject(code(-1));
    consumer.seek(&[place(0, 0).at(0)]).unwrap();
    let (seen, error) = read_to_error(&consumer);
    assert!(seen.is_empty());
    assert_eq!((error.code(), error.partition()), (Code::UNKNOWN_SERVER_ERROR, Some(0)));
    assert_eq!(read(&consumer, 2), ["one", "two"], "once, and then it goes on");
}

#[test]
fn a_message_larger_than_the_fetch_grows_it_up_to_the_limit() {
    let rig = Rig::new(1, 1);
    let large = "x".repeat(300_000);
    rig.write(0, 0, &["small", &large, "behind"]);
    let limits = [("max.partition.fetch.bytes", "1000"), ("fetch.max.bytes", "400000")];
    let consumer = rig.reader_with(&[place(0, 0)], &limits);
    assert_eq!(read(&consumer, 3), ["small", &large, "behind"]);

    let limits = [("max.partition.fetch.bytes", "1000"), ("fetch.max.bytes", "200000")];
    let consumer = rig.reader_with(&[place(0, 0)], &limits);
    let (seen, error) = read_to_error(&consumer);
    assert_eq!(seen, ["small"]);
    assert_eq!(error.code(), Code::RECORD_TOO_LARGE);
    assert_eq!((error.property(), error.partition()), (Some("fetch.max.bytes"), Some(0)));
    assert_quiet(&consumer);
    // The application goes on behind it.
    consumer.seek(&[place(0, 0).at(15 + 300_010)]).unwrap();
    assert_eq!(read(&consumer, 1), ["behind"]);
}

#[test]
fn a_message_over_the_limit_where_reading_begins_is_told_as_that_and_its_payload_is_not_read() {
    let rig = Rig::new(1, 1);
    // As in the log of a mirror.
    let payload = set(&["inside"]).repeat(20_000);
    let mut large = Vec::new();
    append_message(&mut large, &payload);
    let behind = 15 + large.len() as i64;
    rig.append(0, 0, &[set(&["small"]), large, set(&["behind"])].concat());
    let limits = [("max.partition.fetch.bytes", "1000"), ("fetch.max.bytes", "200000")];
    let consumer = rig.reader_with(&[place(0, 0).at(15)], &limits);
    let (seen, error) = read_to_error(&consumer);
    assert_eq!((seen, error.code()), (Vec::new(), Code::RECORD_TOO_LARGE), "{error}");
    assert_eq!((error.property(), error.partition()), (Some("fetch.max.bytes"), Some(0)));
    assert_quiet(&consumer);
    assert_eq!(position(&consumer, &place(0, 0)), Some(15));
    consumer.seek(&[place(0, 0).at(behind)]).unwrap();
    assert_eq!(read(&consumer, 1), ["behind"]);
}

/// A broker that a test plays: it answers every multi-fetch of one partition from these bytes.
fn play(set: Vec<u8>) -> (Server, Arc<Cluster>, JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let zookeeper = Server::start().expect("a ZooKeeper");
    let port = listener.local_addr().expect("bound").port();
    let data = format!("played:127.0.0.1:{port}");
    zookeeper.ensure("/brokers/ids/0", data.as_bytes()).expect("registered");
    zookeeper.ensure(&format!("/brokers/topics/{TOPIC}/0"), b"1").expect("registered");
    let served = std::thread::spawn(move || {
        let (mut requests, mut connections) = (0, Vec::new());
        let Ok((stream, _)) = listener.accept() else { return 0 };
        connections.push(stream);
        while let Some(offset) = read_offset(&mut connections[0]) {
            requests += 1;
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(set.len());
            let mut answer = Vec::new();
            answer_multi_fetch(&mut answer, &[(0, &set[from..])]);
            if connections[0].write_all(&answer).is_err() {
                break;
            }
        }
        requests
    });
    let mut config = Config::new();
    let address = zookeeper.address();
    let properties = [
        ("zookeeper.connect", &address[..]),
        ("fetch.max.wait.ms", "20"),
        ("retry.backoff.ms", "20"),
        ("retry.backoff.max.ms", "100"),
        ("auto.offset.reset", "none"),
    ];
    for (name, value) in properties {
        config.set(name, value).expect("a property");
    }
    (zookeeper, Cluster::open(&config).expect("opened"), served)
}

/// The offset that a multi-fetch of one partition asks for.
fn read_offset(stream: &mut TcpStream) -> Option<i64> {
    let mut size = [0; 4];
    stream.read_exact(&mut size).ok()?;
    let mut frame = vec![0; u32::from_be_bytes(size) as usize];
    stream.read_exact(&mut frame).ok()?;
    let offset = frame[frame.len() - 12..frame.len() - 4].try_into().ok()?;
    Some(i64::from_be_bytes(offset))
}

/// What is no message, and the code that says so.
fn no_messages() -> [(&'static str, Vec<u8>, Code); 6] {
    let mut crc = set(&["bad"]);
    crc[12] ^= 1;
    let mut magic = set(&["bad"]);
    magic[4] = 9;
    let mut inside = wrapped(&["bad"], Compression::Gzip);
    let last = inside.len() - 1;
    inside[last] ^= 1;
    let mut codec = set(&["bad"]);
    codec[5] = 3;
    let negative = [0xff, 0xff, 0xff, 0xfb, 1, 0, 0, 0, 0, 0].to_vec();
    let absurd = [0x7f, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0].to_vec();
    [
        ("a wrong checksum", crc, Code::CORRUPT_MESSAGE),
        ("an unknown magic", magic, Code::CORRUPT_MESSAGE),
        ("an unknown codec", codec, Code::CORRUPT_MESSAGE),
        ("a compressed set that is none", inside, Code::CORRUPT_MESSAGE),
        ("a negative length", negative, Code::CORRUPT_MESSAGE),
        ("an absurd length", absurd, Code::RECORD_TOO_LARGE),
    ]
}

#[test]
fn what_is_no_message_is_an_error_of_its_partition_and_never_a_loop() {
    for (what, bytes, code) in no_messages() {
        let good = set(&["good"]);
        let (_zookeeper, cluster, served) = play([good, bytes].concat());
        let consumer = Consumer::new(&cluster, None).unwrap();
        consumer.assign(&[place(0, 0).at(0)]).unwrap();
        let (seen, error) = read_to_error(&consumer);
        assert_eq!((seen, error.code()), (vec!["good".to_owned()], code), "{what}: {error}");
        assert_eq!(error.partition(), Some(0));
        assert_eq!(position(&consumer, &place(0, 0)), Some(14), "{what}");
        assert_quiet(&consumer);
        consumer.close(1_000).unwrap();
        cluster.close(Some(soon())).unwrap();
        let requests = served.join().expect("served");
        assert!(requests < 50, "{what}: {requests} requests");
    }
}

#[test]
fn what_is_no_message_is_an_error_also_where_reading_begins() {
    for (what, bytes, code) in no_messages() {
        let (_zookeeper, cluster, served) = play([bytes, set(&["good"])].concat());
        let consumer = Consumer::new(&cluster, None).unwrap();
        consumer.assign(&[place(0, 0).at(0)]).unwrap();
        let (seen, error) = read_to_error(&consumer);
        assert_eq!((seen, error.code()), (Vec::new(), code), "{what}: {error}");
        assert_eq!(error.partition(), Some(0));
        assert_eq!(position(&consumer, &place(0, 0)), Some(0), "{what}");
        assert_quiet(&consumer);
        // Within it is no place of its own: from there the next message is looked for.
        consumer.seek(&[place(0, 0).at(1)]).unwrap();
        assert_eq!(read(&consumer, 1), ["good"], "{what}");
        consumer.close(1_000).unwrap();
        cluster.close(Some(soon())).unwrap();
        served.join().expect("served");
    }
}
