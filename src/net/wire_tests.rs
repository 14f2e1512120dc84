//! Tests of one connection over an in-memory stream, with tokio's clock held.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use super::super::TcpTransport;
use super::super::books::Expects;
use super::super::duplex::Duplex;
use super::*;
use crate::error::Persistence;
use crate::os::fork::tests::in_child;

const MAX_FRAME: usize = 1 << 20;

fn open() -> (Wire, Duplex) {
    let (near, far) = Duplex::pair();
    let (wire, driver) = Wire::new(Arc::from("h:1"), Arc::new(near), MAX_FRAME);
    tokio::spawn(driver);
    (wire, far)
}

fn request(correlation: i32, length: usize) -> Outgoing {
    Outgoing {
        api: "Test",
        correlation,
        segments: vec![Bytes::from(vec![0; length])],
        expects: Expects::Answer,
        deadline: Instant::now() + Duration::from_secs(30),
    }
}

fn answer(correlation: i32) -> Vec<u8> {
    [4_i32.to_be_bytes(), correlation.to_be_bytes()].concat()
}

async fn outcome(pending: Pending) -> Result<Bytes> {
    pending.await.expect("the driver always answers")
}

#[tokio::test]
async fn a_request_is_on_the_wire_when_send_returns() {
    let (wire, far) = open();
    let _pending = wire.send(request(1, 100), Flush::Now).unwrap();
    assert_eq!(far.take().0.len(), 100, "no task ran in between");
}

#[tokio::test]
async fn many_small_requests_leave_in_one_vectored_write() {
    let (wire, far) = open();
    tokio::task::yield_now().await;
    let all: Vec<_> = (1..=20).map(|id| wire.send(request(id, 10), Flush::Soon).unwrap()).collect();
    assert_eq!(far.take().0.len(), 0);
    tokio::task::yield_now().await;
    let (bytes, writes) = far.take();
    assert_eq!((bytes.len(), writes), (200, 1));
    for (pending, id) in all.into_iter().zip(1..) {
        far.push(&answer(id));
        assert_eq!(outcome(pending).await.unwrap().len(), 4);
    }
}

#[tokio::test]
async fn answers_come_back_to_their_requests_also_when_several_arrive_at_once() {
    let (wire, far) = open();
    let first = wire.send(request(1, 10), Flush::Now).unwrap();
    let second = wire.send(request(2, 10), Flush::Now).unwrap();
    far.push(&[answer(1), answer(2)].concat());
    assert_eq!(outcome(first).await.unwrap(), 1_i32.to_be_bytes().as_slice());
    assert_eq!(outcome(second).await.unwrap(), 2_i32.to_be_bytes().as_slice());
}

#[tokio::test]
async fn a_full_stream_blocks_nobody_and_goes_on_when_there_is_room() {
    let (wire, far) = open();
    far.set_room(30);
    let pending = wire.send(request(1, 100), Flush::Now).unwrap();
    let later = wire.send(request(2, 100), Flush::Now).unwrap();
    assert_eq!(far.take().0.len(), 30);
    tokio::task::yield_now().await;
    far.set_room(1_000);
    assert_eq!(far.take_exact(170).await.unwrap().len(), 170);
    far.push(&[answer(1), answer(2)].concat());
    outcome(pending).await.unwrap();
    outcome(later).await.unwrap();
}

#[tokio::test]
async fn rule_1_20_a_close_tells_written_from_never_written() {
    let (wire, far) = open();
    far.set_room(50);
    let first = wire.send(request(1, 40), Flush::Now).unwrap();
    let second = wire.send(request(2, 40), Flush::Now).unwrap();
    let third = wire.send(request(3, 40), Flush::Now).unwrap();
    tokio::task::yield_now().await;
    drop(far);
    let known = [first, second, third].map(|pending| async {
        let error = outcome(pending).await.unwrap_err();
        assert_eq!((error.code(), error.broker()), (Code::DISCONNECTED, Some("h:1")), "{error}");
        error.persistence()
    });
    let [first, second, third] = known;
    assert_eq!(first.await, Persistence::PossiblyPersisted);
    assert_eq!(second.await, Persistence::PossiblyPersisted);
    assert_eq!(third.await, Persistence::NotPersisted);
}

#[tokio::test(start_paused = true)]
async fn rule_13_4_a_time_out_closes_the_connection_and_everybody_learns() {
    let (wire, far) = open();
    let mut short = request(1, 10);
    short.deadline = Instant::now();
    let first = wire.send(short, Flush::Now).unwrap();
    let second = wire.send(request(2, 10), Flush::Now).unwrap();
    for pending in [first, second] {
        let error = outcome(pending).await.unwrap_err();
        assert_eq!(error.code(), Code::TIMED_OUT, "{error}");
        assert_eq!(error.persistence(), Persistence::PossiblyPersisted);
    }
    assert!(wire.send(request(3, 10), Flush::Now).is_err());
    tokio::task::yield_now().await;
    assert!(far.take_exact(1_000).await.is_err(), "the stream is closed");
}

#[tokio::test]
async fn rule_13_11_an_idle_connection_closes_by_itself_and_quietly() {
    let (wire, far) = open();
    wire.ready(Some(Duration::from_millis(5)));
    let pending = wire.send(request(1, 10), Flush::Now).unwrap();
    far.take_exact(10).await.unwrap();
    far.push(&answer(1));
    outcome(pending).await.unwrap();
    assert!(far.take_exact(1).await.is_err(), "the stream is closed");
    assert!(wire.poison().unwrap().quiet);
}

#[tokio::test]
async fn garbage_ends_the_connection_with_an_error_that_names_the_broker() {
    let (wire, far) = open();
    let pending = wire.send(request(1, 10), Flush::Now).unwrap();
    far.push(&[0xff; 20]);
    let error = outcome(pending).await.unwrap_err();
    assert_eq!(error.code(), Code::PROTOCOL);
    assert!(error.message().contains("h:1"), "{error}");
}

#[tokio::test]
async fn rule_13_9_a_driver_that_ends_leaves_nobody_waiting() {
    let (near, _far) = Duplex::pair();
    let (wire, driver) = Wire::new(Arc::from("h:1"), Arc::new(near), MAX_FRAME);
    let pending = wire.send(request(1, 10), Flush::Now).unwrap();
    drop(driver);
    assert_eq!(outcome(pending).await.unwrap_err().code(), Code::ABANDONED);
}

/// A connection over TCP, and the peer's end of it.
async fn open_tcp() -> (Wire, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let near = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let transport = Arc::new(TcpTransport::new(near).unwrap());
    let (wire, driver) = Wire::new(Arc::from("h:1"), transport, MAX_FRAME);
    tokio::spawn(driver);
    let (far, _) = listener.accept().unwrap();
    far.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    (wire, far)
}

#[tokio::test]
async fn the_peer_sees_the_end_also_while_a_forked_child_lives() {
    let (wire, mut far) = open_tcp().await;
    let (mut parent, mut child) = UnixStream::pair().unwrap();
    let living = std::thread::spawn(move || {
        in_child(|| child.write_all(b"x").is_ok() && child.read_exact(&mut [0]).is_ok())
    });
    parent.read_exact(&mut [0]).unwrap();
    wire.end(Error::bare(Code::CLOSED), true);
    assert_eq!(far.read(&mut [0]).unwrap(), 0, "the end");
    parent.write_all(b"x").unwrap();
    assert!(living.join().unwrap(), "the child lived until now");
}

#[tokio::test]
async fn a_forked_child_does_not_end_its_parent_s_connection() {
    let (wire, mut far) = open_tcp().await;
    assert!(in_child(|| {
        wire.end(Error::bare(Code::CLOSED), true);
        true
    }));
    let pending = wire.send(request(1, 10), Flush::Now).unwrap();
    far.read_exact(&mut [0; 10]).unwrap();
    far.write_all(&answer(1)).unwrap();
    outcome(pending).await.unwrap();
}
