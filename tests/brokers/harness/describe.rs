//! Who owns what in a group, as the coordinator or ZooKeeper says.
//!
//! Written against the wire and not with the library, as `probe` is.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::zookeeper::four_letters;

/// The partitions of one topic that each member has; a member may have none.
pub type Shares = Vec<BTreeSet<i32>>;

/// The members of a classic group (DescribeGroups v0), if it is stable.
pub fn classic(port: u16, group: &str, topic: &str) -> io::Result<Option<Shares>> {
    let mut body = Vec::new();
    body.extend(1_i32.to_be_bytes());
    put_text(&mut body, group);
    let answer = ask(port, 15, 0, &[], &body)?;
    let mut rest = &answer[..];
    if i32_of(&mut rest)? != 1 || i16_of(&mut rest)? != 0 {
        return Ok(None);
    }
    let (_group, state) = (text_of(&mut rest)?, text_of(&mut rest)?);
    let (_kind, _protocol) = (text_of(&mut rest)?, text_of(&mut rest)?);
    let mut shares = Shares::new();
    for _ in 0..i32_of(&mut rest)? {
        let (_id, _client, _host) = (text_of(&mut rest)?, text_of(&mut rest)?, text_of(&mut rest)?);
        let (_metadata, assignment) = (bytes_of(&mut rest)?, bytes_of(&mut rest)?);
        shares.push(share_of(&assignment, topic)?);
    }
    Ok((state == "Stable").then_some(shares))
}

/// What the classic protocol's assignment gives of a topic.
fn share_of(assignment: &[u8], topic: &str) -> io::Result<BTreeSet<i32>> {
    let (mut rest, mut share) = (assignment, BTreeSet::new());
    if rest.is_empty() {
        return Ok(share);
    }
    let _version = i16_of(&mut rest)?;
    for _ in 0..i32_of(&mut rest)? {
        let name = text_of(&mut rest)?;
        for _ in 0..i32_of(&mut rest)? {
            let partition = i32_of(&mut rest)?;
            if name == topic {
                share.insert(partition);
            }
        }
    }
    Ok(share)
}

/// The members of a KIP-848 group (ConsumerGroupDescribe v0), if it is stable and each has what it
/// shall have.
pub fn modern(port: u16, group: &str, topic: &str) -> io::Result<Option<Shares>> {
    // One group in a compact array, no operations, no tags.
    let mut body = vec![2];
    put_compact(&mut body, group);
    body.extend([0, 0]);
    let answer = ask(port, 69, 0, &[0], &body)?;
    let mut rest = &answer[1..];
    let (_throttle, _count) = (i32_of(&mut rest)?, varint_of(&mut rest)?);
    if i16_of(&mut rest)? != 0 {
        return Ok(None);
    }
    let (_message, _group) = (compact_of(&mut rest)?, compact_of(&mut rest)?);
    let state = compact_of(&mut rest)?;
    let (epoch, assigned) = (i32_of(&mut rest)?, i32_of(&mut rest)?);
    let _assignor = compact_of(&mut rest)?;
    let (mut shares, mut settled) = (Shares::new(), state == "Stable" && epoch == assigned);
    for _ in 1..varint_of(&mut rest)? {
        for _ in 0..3 {
            compact_of(&mut rest)?;
        }
        settled &= i32_of(&mut rest)? == epoch;
        let (_client, _host) = (compact_of(&mut rest)?, compact_of(&mut rest)?);
        for _ in 1..varint_of(&mut rest)? {
            compact_of(&mut rest)?;
        }
        compact_of(&mut rest)?;
        let (has, shall) = (assignment_of(&mut rest, topic)?, assignment_of(&mut rest, topic)?);
        let _tags = varint_of(&mut rest)?;
        settled &= has == shall;
        shares.push(has);
    }
    Ok(settled.then_some(shares))
}

fn assignment_of(rest: &mut &[u8], topic: &str) -> io::Result<BTreeSet<i32>> {
    let mut share = BTreeSet::new();
    for _ in 1..varint_of(rest)? {
        take(rest, 16)?;
        let name = compact_of(rest)?;
        for _ in 1..varint_of(rest)? {
            let partition = i32_of(rest)?;
            if name == topic {
                share.insert(partition);
            }
        }
        varint_of(rest)?;
    }
    varint_of(rest)?;
    Ok(share)
}

/// The members of a group in ZooKeeper: what each session owns below the topic's owners node.
pub fn zookeeper(port: u16, group: &str, topic: &str) -> Shares {
    let (ids, owners) = (format!("/consumers/{group}/ids/"), format!("/consumers/{group}/owners/"));
    let mut shares: Vec<(bool, BTreeSet<i32>)> = Vec::new();
    // `dump` lists the ephemeral nodes of each session below a line with its id.
    for line in four_letters(port, "dump").lines() {
        let path = line.trim();
        if path.starts_with("0x") {
            shares.push((false, BTreeSet::new()));
        }
        let Some((member, share)) = shares.last_mut() else { continue };
        *member |= path.starts_with(&ids);
        // Kafka's nodes are the partitions, PyKafka's begin with a broker; its topics are b'topic'.
        let owned = path.strip_prefix(&owners).and_then(|rest| rest.split_once('/'));
        if let Some((name, node)) = owned
            && (name == topic || name == format!("b'{topic}'"))
        {
            share.extend(node.rsplit('-').next().and_then(|number| number.parse::<i32>().ok()));
        }
    }
    shares.into_iter().filter_map(|(member, share)| member.then_some(share)).collect()
}

/// One request, with these bytes behind the client's name; the answer from behind its correlation id.
fn ask(port: u16, key: i16, version: i16, tags: &[u8], body: &[u8]) -> io::Result<Vec<u8>> {
    let mut request = Vec::new();
    request.extend(key.to_be_bytes());
    request.extend(version.to_be_bytes());
    request.extend(1_i32.to_be_bytes());
    put_text(&mut request, "judge");
    request.extend(tags);
    request.extend(body);
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(&i32::try_from(request.len()).unwrap_or(0).to_be_bytes())?;
    stream.write_all(&request)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap_or(0)];
    stream.read_exact(&mut answer)?;
    Ok(answer.split_off(4))
}

fn put_text(to: &mut Vec<u8>, text: &str) {
    to.extend(i16::try_from(text.len()).unwrap_or(0).to_be_bytes());
    to.extend(text.as_bytes());
}

/// Shorter than 127 bytes, so that its length is one byte.
fn put_compact(to: &mut Vec<u8>, text: &str) {
    to.push(u8::try_from(text.len() + 1).unwrap_or(0));
    to.extend(text.as_bytes());
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> io::Result<&'a [u8]> {
    let (taken, left) =
        rest.split_at_checked(count).ok_or(io::Error::from(io::ErrorKind::UnexpectedEof))?;
    *rest = left;
    Ok(taken)
}

fn i16_of(rest: &mut &[u8]) -> io::Result<i16> {
    Ok(i16::from_be_bytes(*take(rest, 2)?.first_chunk().unwrap_or(&[0; 2])))
}

fn i32_of(rest: &mut &[u8]) -> io::Result<i32> {
    Ok(i32::from_be_bytes(*take(rest, 4)?.first_chunk().unwrap_or(&[0; 4])))
}

fn varint_of(rest: &mut &[u8]) -> io::Result<u32> {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = take(rest, 1)?[0];
        value |= u32::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 || shift > 28 {
            return Ok(value);
        }
    }
}

fn text_of(rest: &mut &[u8]) -> io::Result<String> {
    let length = usize::try_from(i16_of(rest)?).unwrap_or(0);
    Ok(String::from_utf8_lossy(take(rest, length)?).into_owned())
}

fn bytes_of(rest: &mut &[u8]) -> io::Result<Vec<u8>> {
    let length = usize::try_from(i32_of(rest)?).unwrap_or(0);
    Ok(take(rest, length)?.to_vec())
}

fn compact_of(rest: &mut &[u8]) -> io::Result<String> {
    let length = varint_of(rest)?.saturating_sub(1) as usize;
    Ok(String::from_utf8_lossy(take(rest, length)?).into_owned())
}
