//! The first contact with a cluster: every way in which it can fail gives an error that names the
//! broker and the cause, within the caller's time.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use samsa::cluster::Cluster;
use samsa::config::Config;
use samsa::embedded;
use samsa::{Code, Error};

const TIME: Duration = Duration::from_millis(400);
const LONG: Duration = Duration::from_secs(20);

fn open(servers: &str) -> Arc<Cluster> {
    let mut config = Config::new();
    config.set("bootstrap.servers", servers).expect("a list of servers");
    Cluster::open(&config).expect("open does not wait")
}

/// What `wait_ready` says of these servers, and that it says it in time.
fn contact(servers: &str) -> Error {
    let cluster = open(servers);
    let begun = Instant::now();
    let error = cluster.wait_ready(Some(begun + TIME)).expect_err("nobody answers there");
    let took = begun.elapsed();
    assert!(took >= TIME && took < TIME * 10, "{took:?}");
    assert_eq!(error.code(), Code::TIMED_OUT, "{error}");
    assert!(error.is_retriable());
    assert!(error.message().contains(servers), "{error}");
    cluster.close(Some(Instant::now() + LONG)).expect("close");
    error
}

/// A listener whose connections are handled by `serve` until the test ends.
fn listen(serve: fn(&mut TcpStream)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let _accepting: JoinHandle<()> = std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming().flatten().take(1_000) {
            let mut stream = stream;
            serve(&mut stream);
            held.push(stream);
        }
    });
    address
}

fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").to_string()
}

#[test]
fn a_name_that_does_not_exist() {
    let error = contact("no-such-broker.invalid:9092");
    assert_eq!(error.broker(), Some("no-such-broker.invalid:9092"), "{error}");
    assert!(error.message().contains("could not be resolved"), "{error}");
}

#[test]
fn a_closed_port() {
    let address = closed_port();
    let error = contact(&address);
    assert_eq!(error.broker(), Some(address.as_str()));
    assert!(error.message().contains("refused"), "{error}");
}

#[test]
fn a_zookeeper_that_is_not_there_or_silent_is_named() {
    for (address, why) in [
        (closed_port(), "refused"),
        (listen(|_| {}), "within"),
        (listen(|stream| drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"))), "HTTP"),
    ] {
        let mut config = Config::new();
        config.set("zookeeper.connect", &address).expect("a server");
        let cluster = Cluster::open(&config).expect("open does not wait");
        let begun = Instant::now();
        let error = cluster.wait_ready(Some(begun + TIME)).expect_err("nobody answers there");
        assert_eq!(error.code(), Code::TIMED_OUT, "{error}");
        let message = error.message();
        assert!(message.contains(&address) && message.contains(why), "{message}");
        assert!(begun.elapsed() < TIME * 10);
        let begun = Instant::now();
        cluster.close(Some(begun + LONG)).expect("close");
        assert!(begun.elapsed() < TIME * 10, "nobody holds up close");
    }
}

#[test]
fn a_peer_that_accepts_and_says_nothing() {
    let address = listen(|_| {});
    let error = contact(&address);
    assert_eq!(error.broker(), Some(address.as_str()));
    assert!(error.message().contains("accepted the connection and has not answered"), "{error}");
}

#[test]
fn a_peer_that_answers_garbage() {
    let address = listen(|stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let error = contact(&address);
    assert_eq!(error.broker(), Some(address.as_str()));
    assert!(error.message().contains("HTTP server"), "{error}");
}

#[test]
fn a_peer_that_answers_random_bytes() {
    let address = listen(|stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(&[0x00, 0x00, 0x00, 0x08, 0x77, 0x66, 0x55, 0x44, 1, 2, 3, 4]);
    });
    let error = contact(&address);
    assert_eq!(error.broker(), Some(address.as_str()));
    assert!(error.message().contains("correlation id"), "{error}");
}

#[test]
fn a_peer_that_closes_in_the_middle_of_a_frame() {
    let address = listen(|stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(&[0, 0, 0, 99, 0, 0, 0, 1]);
        let _ = stream.shutdown(std::net::Shutdown::Write);
    });
    let error = contact(&address);
    assert_eq!(error.broker(), Some(address.as_str()));
    assert!(error.message().contains("in the middle of a frame, after 4 of 99 bytes"), "{error}");
}

#[test]
fn a_peer_that_closes_at_once() {
    let address = listen(|stream| {
        let _ = stream.shutdown(std::net::Shutdown::Both);
    });
    let error = contact(&address);
    assert_eq!(error.broker(), Some(address.as_str()));
    assert!(error.message().contains("is this a Kafka broker?"), "{error}");
}

#[test]
fn several_dead_servers_are_all_named() {
    let (a, b) = (closed_port(), closed_port());
    let error = contact(&format!("{a},{b}"));
    assert!(error.message().contains(&format!("broker {a}")), "{error}");
    assert!(error.message().contains(&format!("broker {b}")), "{error}");
}

#[test]
fn one_living_server_among_dead_and_silent_ones_is_enough() {
    let kafka = embedded::Cluster::start(1).expect("the embedded broker");
    let servers = format!("{},{},{}", closed_port(), listen(|_| {}), kafka.address());
    let cluster = open(&servers);
    cluster.wait_ready(Some(Instant::now() + LONG)).expect("contact");
}

#[test]
fn rule_1_17_localhost_is_reached_by_whichever_of_its_addresses_answers() {
    let kafka = embedded::Cluster::start(1).expect("the embedded broker");
    let address = kafka.address().replace("127.0.0.1", "localhost");
    open(&address).wait_ready(Some(Instant::now() + LONG)).expect("contact");
}

#[test]
fn a_broker_that_starts_later_is_found() {
    let kafka = embedded::Cluster::start(1).expect("the embedded broker");
    kafka.stop_broker(0).or_else(|_| kafka.stop_broker(1)).expect("stopped");
    let cluster = open(&kafka.address());
    let begun = Instant::now();
    assert!(cluster.wait_ready(Some(begun + TIME)).is_err());
    kafka.start_broker(0).or_else(|_| kafka.start_broker(1)).expect("started");
    cluster.wait_ready(Some(Instant::now() + LONG)).expect("contact");
}

#[test]
fn a_list_of_topics_that_does_not_come_says_why() {
    let address = closed_port();
    let cluster = open(&address);
    let begun = Instant::now();
    let error = cluster.all_topics(Some(begun + TIME)).expect_err("nobody answers");
    assert_eq!((error.code(), error.broker()), (Code::TIMED_OUT, Some(address.as_str())));
    assert!(begun.elapsed() < TIME * 10 && error.message().contains("refused"), "{error}");
}

#[test]
fn a_wake_up_ends_the_wait_and_a_close_gives_closed() {
    let cluster = open(&closed_port());
    cluster.wakeup();
    let error = cluster.wait_ready(None).expect_err("woken");
    assert_eq!(error.code(), Code::WOKEN);
    cluster.close(Some(Instant::now() + LONG)).expect("close");
    assert_eq!(cluster.wait_ready(None).expect_err("closed").code(), Code::CLOSED);
}
