//! What embedded brokers of 0.7 register, read back by a client that somebody else wrote.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use samsa::embedded::legacy::{Cluster, Options};
use samsa::embedded::zookeeper::Server;
use samsa::protocol::legacy::{Produce, Request, append_message};
use zookeeper::{WatchedEvent, ZooKeeper};

use super::soon;

fn start(server: &Server, chroot: &str) -> Cluster {
    let options = Options {
        brokers: 2,
        partitions: 3,
        topic_partitions: [("wide".to_owned(), 7)].into(),
        zookeeper: Some(format!("{}{chroot}", server.address())),
        ..Options::default()
    };
    Cluster::start(options).expect("registered brokers")
}

fn write(cluster: &Cluster, broker: i32, topic: &str) {
    let mut set = Vec::new();
    append_message(&mut set, b"hello");
    let mut bytes = Vec::new();
    Request::Produce(Produce { topic, partition: 0, set: &set }).encode(&mut bytes).unwrap();
    let mut stream = TcpStream::connect(cluster.address(broker).unwrap()).unwrap();
    stream.write_all(&bytes).unwrap();
    cluster
        .wait_requests(broker, samsa::protocol::legacy::RequestId::Produce, 1, soon())
        .expect("written");
}

#[test]
fn brokers_are_there_with_creator_host_and_port_and_topics_when_they_are_written_to() {
    let server = Server::start().unwrap();
    server.ensure("/some/kafka", b"").unwrap();
    let cluster = start(&server, "/some/kafka");
    let witness = ZooKeeper::connect(
        &format!("{}/some/kafka", server.address()),
        Duration::from_secs(10),
        |_: WatchedEvent| {},
    )
    .unwrap();
    let mut ids = witness.get_children("/brokers/ids", false).unwrap();
    ids.sort();
    assert_eq!(ids, ["0", "1"]);
    let (data, stat) = witness.get_data("/brokers/ids/1", false).unwrap();
    let data = String::from_utf8(data).unwrap();
    let fields: Vec<&str> = data.split(':').collect();
    let address = cluster.address(1).unwrap();
    assert!(fields[0].starts_with("127.0.0.1-"), "{data}");
    assert_eq!(fields[1..], [address.ip().to_string(), address.port().to_string()]);
    assert_ne!(stat.ephemeral_owner, 0);
    assert!(witness.get_children("/brokers/topics", false).unwrap().is_empty());

    write(&cluster, 1, "wide");
    let there = |s: &Server| s.node("/some/kafka/brokers/topics/wide/1").is_some();
    server.wait_until(soon(), there).unwrap();
    let (count, stat) = witness.get_data("/brokers/topics/wide/1", false).unwrap();
    assert_eq!(count, b"7");
    assert_ne!(stat.ephemeral_owner, 0);
    assert!(witness.exists("/brokers/topics/wide/0", false).unwrap().is_none(), "not written to");
}

#[test]
fn a_broker_that_stops_goes_with_its_topics_and_comes_back_with_them() {
    let server = Server::start().unwrap();
    let cluster = start(&server, "");
    write(&cluster, 0, "t");
    server.wait_until(soon(), |s| s.node("/brokers/topics/t/0").is_some()).unwrap();
    let before = server.node("/brokers/ids/0").unwrap().owner;
    cluster.stop_broker(0).unwrap();
    assert!(server.node("/brokers/ids/0").is_none() && server.node("/brokers/ids/1").is_some());
    assert!(server.children("/brokers/topics/t").is_empty(), "the topic's node stays, empty");
    cluster.start_broker(0).unwrap();
    let node = server.node("/brokers/topics/t/0").expect("registered again");
    assert_eq!(node.data, b"3");
    assert_ne!(server.node("/brokers/ids/0").unwrap().owner, before, "another session");
    cluster.stop();
    assert!(server.children("/brokers/ids").is_empty());
}

#[test]
fn after_an_expiry_everything_is_registered_again() {
    let server = Server::start().unwrap();
    let cluster = start(&server, "");
    write(&cluster, 1, "t");
    server.wait_until(soon(), |s| s.node("/brokers/topics/t/1").is_some()).unwrap();
    assert_eq!(server.expire_all(), 2);
    let back = |s: &Server| {
        s.children("/brokers/ids").len() == 2 && s.node("/brokers/topics/t/1").is_some()
    };
    server.wait_until(soon(), back).unwrap();
}

#[test]
fn a_chroot_that_is_not_there_is_an_error_of_the_start() {
    let server = Server::start().unwrap();
    let zookeeper = Some(format!("{}/missing", server.address()));
    let error = Cluster::start(Options { zookeeper, ..Options::default() }).unwrap_err();
    assert_eq!(error.code(), samsa::Code::ZOOKEEPER, "{error}");
    let text = error.to_string();
    assert!(text.contains("broker 0") && text.contains("there is no /missing"), "{text}");
}
