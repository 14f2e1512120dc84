//! Whether a broker serves: Metadata v0, the one request that every release answers.
//!
//! Written against the wire and not with the library, so that the library's own faults cannot hide
//! a broker that is up, or the reverse.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// The ids of the brokers that the one at `port` lists.
pub fn listed_brokers(port: u16) -> io::Result<Vec<i32>> {
    read_brokers(&mut &metadata(port)?[..])
}

/// How many replicas of each partition of a topic are in sync, as the broker at `port` sees it.
pub fn in_sync(port: u16, topic: &str) -> io::Result<Vec<usize>> {
    let answer = metadata(port)?;
    let mut rest = &answer[..];
    read_brokers(&mut rest)?;
    let mut counts = Vec::new();
    for _ in 0..read_i32(&mut rest)? {
        let (_error, name) = (read_i16(&mut rest)?, read_text(&mut rest)?);
        for _ in 0..read_i32(&mut rest)? {
            let _error = read_i16(&mut rest)?;
            let (_index, _leader) = (read_i32(&mut rest)?, read_i32(&mut rest)?);
            let (_replicas, in_sync) = (read_ids(&mut rest)?, read_ids(&mut rest)?);
            if name == topic {
                counts.push(in_sync.len());
            }
        }
    }
    Ok(counts)
}

/// The port of `host:port`.
pub fn port_of(address: &str) -> Option<u16> {
    address.rsplit(':').next()?.parse().ok()
}

/// The answer to Metadata v0 for all topics, from its list of brokers on.
fn metadata(port: u16) -> io::Result<Vec<u8>> {
    // Length, key 3, version 0, correlation id 1, client id "p", no topics (that is: all).
    const REQUEST: [u8; 19] = [0, 0, 0, 15, 0, 3, 0, 0, 0, 0, 0, 1, 0, 1, b'p', 0, 0, 0, 0];
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(&REQUEST)?;
    let length = read_i32(&mut stream)?;
    let _correlation = read_i32(&mut stream)?;
    let mut answer = vec![0; usize::try_from(length - 4).unwrap_or(0)];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

fn read_brokers(rest: &mut &[u8]) -> io::Result<Vec<i32>> {
    let mut ids = Vec::new();
    for _ in 0..read_i32(rest)? {
        ids.push(read_i32(rest)?);
        let (_host, _port) = (read_text(rest)?, read_i32(rest)?);
    }
    Ok(ids)
}

fn read_ids(rest: &mut &[u8]) -> io::Result<Vec<i32>> {
    (0..read_i32(rest)?).map(|_| read_i32(rest)).collect()
}

fn read_text(rest: &mut &[u8]) -> io::Result<String> {
    let mut text = vec![0; usize::try_from(read_i16(rest)?).unwrap_or(0)];
    rest.read_exact(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn read_i16(from: &mut impl Read) -> io::Result<i16> {
    let mut bytes = [0; 2];
    from.read_exact(&mut bytes)?;
    Ok(i16::from_be_bytes(bytes))
}

fn read_i32(from: &mut impl Read) -> io::Result<i32> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes)?;
    Ok(i32::from_be_bytes(bytes))
}
