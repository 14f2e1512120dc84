//! Brokers of Kafka 0.7 that are played by hand, on loopback.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::{Backoff, Broker, Purpose, Settings};
use super::*;
use crate::log::Logger;
use crate::protocol::legacy::{Fetch, LATEST, Offsets, Produce};
use crate::protocol::modern::messages::metadata::MetadataRequest;
use crate::runtime::Runtime;

const MS: Duration = Duration::from_millis(1);

fn soon() -> Instant {
    Instant::now() + 10_000 * MS
}

/// A broker, and a connection to it as the broker sees it.
async fn connected() -> (Arc<Broker>, Connection, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::new("127.0.0.1", listener.local_addr().unwrap().port());
    let settings = Settings {
        client_id: Arc::from("test"),
        request_timeout: 10_000 * MS,
        reconnect: Backoff { first: 5 * MS, most: 20 * MS },
        setup: Backoff { first: 10_000 * MS, most: 30_000 * MS },
        max_idle: None,
        max_frame: 1 << 20,
    };
    let network = Network::new(settings, Runtime::get(None).unwrap(), Logger::none());
    let broker = Broker::speaking(Dialect::Legacy, 1, address, None, network);
    let connection = broker.connection(Purpose::Fetch, soon()).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    (broker, connection, stream)
}

fn fetch(offset: i64) -> Request<'static> {
    Request::Fetch(Fetch { topic: "t", partition: 0, offset, max_size: 100 })
}

fn offsets() -> Request<'static> {
    Request::Offsets(Offsets { topic: "t", partition: 0, time: LATEST, max_number: 1 })
}

async fn frame(stream: &mut TcpStream) -> Vec<u8> {
    let mut frame = vec![0; stream.read_i32().await.unwrap() as usize];
    stream.read_exact(&mut frame).await.unwrap();
    frame
}

#[tokio::test]
async fn answers_belong_to_their_requests_by_order_and_a_produce_has_none() {
    let (_broker, connection, mut stream) = connected().await;
    let first = connection.ask(&fetch(7), soon()).unwrap();
    connection
        .tell(&Request::Produce(Produce { topic: "t", partition: 0, set: b"" }))
        .await
        .unwrap();
    let second = connection.ask(&offsets(), soon()).unwrap();
    assert_eq!(connection.in_flight(), 2);
    for id in [1, 0, 4] {
        assert_eq!(frame(&mut stream).await[..2], [0, id], "written in their order, none awaited");
    }
    // A fetch without messages is answered by its code alone: the shortest frame of all.
    stream.write_all(&[0, 0, 0, 2, 0, 0, 0, 0, 0, 6, 0, 0, 9, 9, 9, 9]).await.unwrap();
    let (first, second) = (first.await.unwrap(), second.await.unwrap());
    assert_eq!((first.code, first.body.len()), (Code::NONE, 0));
    assert_eq!((second.code, &second.body[..]), (Code::NONE, &[9; 4][..]));
}

#[tokio::test]
async fn rule_13_4_a_time_out_closes_the_connection_and_fails_all_that_wait() {
    let (broker, connection, mut stream) = connected().await;
    let late = connection.ask(&fetch(0), Instant::now() + 30 * MS).unwrap();
    let patient = connection.ask(&offsets(), soon()).unwrap();
    let error = late.await.unwrap_err();
    assert_eq!(
        (error.code(), error.persistence()),
        (Code::TIMED_OUT, Persistence::PossiblyPersisted)
    );
    assert_eq!(patient.await.unwrap_err().code(), Code::TIMED_OUT, "its answer could not be told");
    assert!(!connection.is_open() && broker.open_connection(Purpose::Fetch).is_none());
    while stream.read_u8().await.is_ok() {}
}

#[tokio::test]
async fn a_socket_that_the_broker_closes_is_noticed_while_nothing_is_asked() {
    let (broker, connection, stream) = connected().await;
    drop(stream);
    while connection.is_open() {
        tokio::task::yield_now().await;
    }
    assert!(!broker.is_connected());
    let error = connection.ask(&fetch(0), soon()).unwrap_err();
    assert_eq!(error.persistence(), Persistence::NotPersisted, "not one byte was written");
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_ends_the_connection() {
    let (_broker, connection, mut stream) = connected().await;
    stream.write_all(&[0, 0, 0, 2, 0, 0]).await.unwrap();
    while connection.is_open() {
        tokio::task::yield_now().await;
    }
    let error = connection.ask(&fetch(0), soon()).unwrap_err();
    assert!(error.message().contains("nobody asked for"), "{error}");
}

#[tokio::test]
async fn requests_of_newer_brokers_are_refused_by_the_name_of_kafka_0_7() {
    let (_broker, connection, _stream) = connected().await;
    assert!(connection.is_legacy());
    let error = connection.request(&MetadataRequest::default(), soon()).await.unwrap_err();
    assert_eq!(error.code(), Code::UNSUPPORTED_FEATURE);
    assert!(error.message().contains("Kafka 0.7"), "{error}");
    let produce = Request::Produce(Produce { topic: "t", partition: 0, set: b"" });
    assert_eq!(connection.ask(&produce, soon()).unwrap_err().code(), Code::INVALID_ARGUMENT);
    assert_eq!(connection.tell(&offsets()).await.unwrap_err().code(), Code::INVALID_ARGUMENT);
}
