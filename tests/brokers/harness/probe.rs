//! Whether a broker serves: Metadata v0, the one request that every release answers.
//!
//! Written against the wire and not with the library, so that the library's own faults cannot hide
//! a broker that is up, or the reverse.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// The ids of the brokers that the one at `port` lists.
pub fn listed_brokers(port: u16) -> io::Result<Vec<i32>> {
    // Length, key 3, version 0, correlation id 1, client id "p", no topics (that is: all).
    const REQUEST: [u8; 19] = [0, 0, 0, 15, 0, 3, 0, 0, 0, 0, 0, 1, 0, 1, b'p', 0, 0, 0, 0];
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(&REQUEST)?;
    let length = read_i32(&mut stream)?;
    let mut answer = vec![0; usize::try_from(length).unwrap_or(0)];
    stream.read_exact(&mut answer)?;
    let mut rest = &answer[..];
    let (_correlation, count) = (read_i32(&mut rest)?, read_i32(&mut rest)?);
    (0..count).map(|_| read_broker(&mut rest)).collect()
}

fn read_broker(rest: &mut &[u8]) -> io::Result<i32> {
    let id = read_i32(rest)?;
    let mut length = [0; 2];
    rest.read_exact(&mut length)?;
    let mut host = vec![0; usize::from(u16::from_be_bytes(length))];
    rest.read_exact(&mut host)?;
    read_i32(rest)?;
    Ok(id)
}

fn read_i32(from: &mut impl Read) -> io::Result<i32> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes)?;
    Ok(i32::from_be_bytes(bytes))
}
