//! Bytes that no client sends, and requests that this server does not have.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use samsa::embedded::zookeeper::Server;

/// The first words of a client of 3.3, which does not know servers that only read.
const HELLO: &[u8] = b"\0\0\0\x2c\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x27\x10\0\0\0\0\0\0\0\0\
    \0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

fn connect(server: &Server) -> TcpStream {
    let address = server.address_of(0).unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

fn frame(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut frame).unwrap();
    frame
}

fn session(server: &Server) -> TcpStream {
    let mut stream = connect(server);
    stream.write_all(HELLO).unwrap();
    assert_eq!(frame(&mut stream).len(), 36, "without the byte that 3.4 added");
    stream
}

fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 64]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn what_is_no_frame_and_no_request_ends_the_connection_and_nothing_else() {
    let server = Server::start().unwrap();
    let mut bystander = session(&server);
    for bytes in [
        &b"\xff\xff\xff\xff"[..],
        b"\x7f\xff\xff\xff",
        b"\0\0\0\x04\0\0\0\x01",
        b"\0\0\0\x0d\0\0\0\x01\0\0\0\x04\x7f\xff\xff\xff\0",
        b"\0\0\0\x11\0\0\0\x01\0\0\0\x01\0\0\0\x01/\x7f\xff\xff\xff",
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let mut stream = session(&server);
        stream.write_all(bytes).unwrap();
        assert!(is_closed(&mut stream), "{bytes:?}");
        let mut stream = connect(&server);
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(is_closed(&mut stream), "as first words: {bytes:?}");
    }
    // A ping.
    bystander.write_all(b"\0\0\0\x08\xff\xff\xff\xfe\0\0\0\x0b").unwrap();
    assert_eq!(frame(&mut bystander)[..4], [0xff, 0xff, 0xff, 0xfe]);
}

#[test]
fn an_operation_that_is_not_there_is_refused_by_its_number_and_the_session_goes_on() {
    let server = Server::start().unwrap();
    let mut stream = session(&server);
    // Transactions (14), and a number that nobody knows.
    for op in [14_u8, 99] {
        stream.write_all(&[0, 0, 0, 8, 0, 0, 0, 7, 0, 0, 0, op]).unwrap();
        let answer = frame(&mut stream);
        assert_eq!(
            (&answer[..4], &answer[12..16]),
            (&[0, 0, 0, 7][..], &(-6_i32).to_be_bytes()[..])
        );
    }
    // A node without anybody who may do anything with it.
    let create = b"\0\0\0\x1a\0\0\0\x08\0\0\0\x01\0\0\0\x02/a\0\0\0\0\0\0\0\0\0\0\0\0";
    stream.write_all(create).unwrap();
    let answer = frame(&mut stream);
    assert_eq!(answer[12..16], (-114_i32).to_be_bytes());
}

#[test]
fn a_session_that_is_not_there_or_whose_password_is_wrong_is_told_so() {
    let server = Server::start().unwrap();
    drop(session(&server));
    let known = server.sessions()[0].to_be_bytes();
    for id in [[0, 0, 0, 0, 0, 0, 0, 9], known] {
        let mut hello = HELLO.to_vec();
        hello[20..28].copy_from_slice(&id);
        let mut stream = connect(&server);
        stream.write_all(&hello).unwrap();
        let answer = frame(&mut stream);
        assert_eq!(answer[4..16], [0; 12], "no time-out, no session");
        assert!(is_closed(&mut stream));
    }
}
