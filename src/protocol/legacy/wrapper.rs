//! Compressed sets: one message whose payload is a compressed message set.
//!
//! Only the wrapper has a place in the log, so that a reader can resume before it or behind it, never
//! inside. Each inner message therefore resumes at the wrapper's own start, the last one at its end:
//! a commit in the middle replays the whole wrapper, as with the Scala client. Wrappers may be in
//! wrappers; all their messages come out flat.

use bytes::Bytes;

use super::message::{self, LEAST_SIZE_0 as LEAST_SIZE, Message};
use super::message_set::{MessageSet, Tail};
use crate::error::{Code, Error, Result};
use crate::protocol::record::{Compression, Format, Memory, Span};

/// How deep wrappers may be nested. The broker knows no limit; no client nests at all.
const DEEPEST: usize = 8;

/// The messages of a [`Message`] that was opened.
#[derive(Clone, Debug)]
pub struct Opened {
    /// What the spans point into: the message itself, or what it decompressed to.
    pub buffer: Bytes,
    /// The payloads, in order. None if the wrapper is empty. Eight bytes each: a message takes nine at
    /// least, so that the list is never larger than what decompressed.
    pub payloads: Vec<Span>,
    /// Where the message begins that was opened.
    offset: i64,
    /// Where to resume once all were read.
    next_offset: i64,
}

impl Opened {
    /// The messages, in order.
    pub fn messages(&self) -> impl ExactSizeIterator<Item = Inner> + '_ {
        self.messages_from(0)
    }

    /// The same, without the first ones.
    pub fn messages_from(&self, first: usize) -> impl ExactSizeIterator<Item = Inner> + '_ {
        let left = self.payloads.get(first..).unwrap_or_default();
        let (offset, last) = (self.offset, left.len().saturating_sub(1));
        left.iter().enumerate().map(move |(at, payload)| {
            let next_offset = if at == last { self.next_offset } else { offset };
            Inner { payload: *payload, offset, next_offset }
        })
    }
}

/// One message out of an opened one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inner {
    /// The payload.
    pub payload: Span,
    /// Where the message begins, or its wrapper.
    pub offset: i64,
    /// Where to resume once it was read.
    pub next_offset: i64,
}

/// Appends a set to another as one compressed message; an empty set stays empty, and without a codec
/// the messages are appended as they are.
///
/// # Errors
/// UNSUPPORTED_FEATURE for a codec that 0.7 does not know.
pub fn wrap(out: &mut Vec<u8>, set: &[u8], codec: Compression, level: Option<i32>) -> Result<()> {
    let attributes = match codec {
        Compression::None => {
            out.extend_from_slice(set);
            return Ok(());
        }
        Compression::Gzip => 1,
        Compression::Snappy => 2,
        Compression::Lz4 | Compression::Zstd => {
            let text = format!("Kafka 0.7 knows gzip and snappy, not {codec}");
            return Err(Error::new(Code::UNSUPPORTED_FEATURE, text));
        }
    };
    if set.is_empty() {
        return Ok(());
    }
    let mut payload = Vec::with_capacity(set.len() / 2);
    codec.compress(level, Format::V0, set, &mut payload)?;
    message::append(out, attributes, &payload);
    Ok(())
}

pub(super) fn open(
    message: &Message,
    check_crc: bool,
    cap: usize,
    memory: &dyn Memory,
) -> Result<Opened> {
    if check_crc {
        message.verify()?;
    }
    let (offset, next_offset) = (message.offset, message.next_offset);
    if message.compression == Compression::None {
        let payload = Span { start: 0, len: span_length(message.payload.len())? };
        let (buffer, payloads) = (message.payload.clone(), vec![payload]);
        return Ok(Opened { buffer, payloads, offset, next_offset });
    }
    let set = message.compression.decompress_in(Format::V0, &message.payload, cap, memory)?;
    let (buffer, payloads) = match plain_spans(message, &set, check_crc)? {
        Some(spans) => (set, spans),
        None => {
            let (buffer, left) = (memory.take(set.len()), cap - set.len());
            let mut flat = Flat { buffer, length: 0, spans: Vec::new(), left, check_crc };
            flat.unpack(message, set, DEEPEST - 1)?;
            (memory.seal(flat.buffer, flat.length), flat.spans)
        }
    };
    Ok(Opened { buffer, payloads, offset, next_offset })
}

/// How many messages a set has, by their sizes alone: room for all of them is made at once.
fn count(set: &[u8]) -> usize {
    let (mut rest, mut count) = (set, 0);
    while let Some((size, behind)) = rest.split_first_chunk() {
        let size = u32::from_be_bytes(*size) as usize;
        let Some(next) = behind.get(size..).filter(|_| size >= LEAST_SIZE) else { break };
        (rest, count) = (next, count + 1);
    }
    count
}

/// Where the payloads of a decompressed set are; none if there are wrappers among its messages, which
/// no client of 0.7 writes.
fn plain_spans(wrapper: &Message, set: &Bytes, check_crc: bool) -> Result<Option<Vec<Span>>> {
    let (mut spans, mut messages) =
        (Vec::with_capacity(count(set)), MessageSet::new(set.clone(), 0));
    while let Some(inner) = messages.next().transpose()? {
        if check_crc {
            inner.verify()?;
        }
        if inner.compression != Compression::None {
            return Ok(None);
        }
        let end = span_length(usize::try_from(inner.next_offset).unwrap_or(usize::MAX))?;
        let len = span_length(inner.payload.len())?;
        spans.push(Span { start: end - len, len });
    }
    whole(wrapper, &messages)?;
    Ok(Some(spans))
}

/// A broker would have refused a set whose last message is cut.
fn whole(wrapper: &Message, read: &MessageSet) -> Result<()> {
    match read.tail() {
        Tail::None => Ok(()),
        Tail::Cut(_) => Err(undecodable(wrapper, "its last message is cut")),
    }
}

/// Wrappers on their way to one buffer.
struct Flat {
    /// Of any length and content behind `length`, as [`Memory`] gives it.
    buffer: Vec<u8>,
    length: usize,
    spans: Vec<Span>,
    /// How many bytes may still come out of wrappers, those around others included.
    left: usize,
    check_crc: bool,
}

impl Flat {
    /// Takes in what a wrapper holds, whose wrappers may be nested so many times more.
    fn unpack(&mut self, wrapper: &Message, set: Bytes, depth: usize) -> Result<()> {
        self.spans.reserve(count(&set));
        let mut set = MessageSet::new(set, 0);
        for inner in set.by_ref() {
            let inner = inner?;
            if self.check_crc {
                inner.verify()?;
            }
            if inner.compression == Compression::None {
                self.keep(&inner.payload)?;
                continue;
            }
            if depth == 0 {
                return Err(undecodable(&inner, &format!("wrappers are nested {DEEPEST} times")));
            }
            let within = inner.compression.decompress(Format::V0, &inner.payload, self.left)?;
            self.left -= within.len();
            self.unpack(&inner, within.into(), depth - 1)?;
        }
        whole(wrapper, &set)
    }

    fn keep(&mut self, payload: &[u8]) -> Result<()> {
        let (start, end) = (self.length, self.length + payload.len());
        self.spans.push(Span { start: span_length(start)?, len: span_length(payload.len())? });
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        self.buffer[start..end].copy_from_slice(payload);
        self.length = end;
        Ok(())
    }
}

/// Spans hold 32 bits, of which the last number means null.
fn span_length(bytes: usize) -> Result<u32> {
    let length = u32::try_from(bytes).ok().filter(|length| *length != Span::NULL.len);
    length.ok_or_else(|| Error::new(Code::UNDECODABLE, "a set of more than 4 GiB"))
}

#[cold]
fn undecodable(wrapper: &Message, what: &str) -> Error {
    let text = format!("the compressed set at offset {} is malformed: {what}", wrapper.offset);
    Error::new(Code::UNDECODABLE, text)
}

#[cfg(test)]
mod tests {
    use super::super::append_message;
    use super::*;

    fn wrapped(payloads: &[&[u8]], codec: Compression) -> Vec<u8> {
        let (mut set, mut out) = (Vec::new(), Vec::new());
        payloads.iter().for_each(|payload| append_message(&mut set, payload));
        wrap(&mut out, &set, codec, None).expect("wrapped");
        out
    }

    fn first(set: Vec<u8>, offset: i64) -> Message {
        MessageSet::new(set.into(), offset).next().expect("one").expect("whole")
    }

    fn opened(set: Vec<u8>, offset: i64) -> Vec<(Vec<u8>, i64, i64)> {
        let opened = first(set, offset).open(true, 1 << 20).expect("opened");
        let bytes = |inner: &Inner| inner.payload.of(&opened.buffer).expect("bytes").to_vec();
        let seen = |inner: Inner| (bytes(&inner), inner.offset, inner.next_offset);
        opened.messages().map(seen).collect()
    }

    #[test]
    fn every_inner_message_resumes_at_the_wrapper_and_the_last_behind_it() {
        for codec in [Compression::Gzip, Compression::Snappy] {
            let set = wrapped(&[b"one", b"", b"three"], codec);
            let end = 100 + set.len() as i64;
            let expected = [
                (b"one".to_vec(), 100, 100),
                (b"".to_vec(), 100, 100),
                (b"three".to_vec(), 100, end),
            ];
            assert_eq!(opened(set, 100), expected, "{codec}");
        }
    }

    #[test]
    fn the_list_of_many_tiny_messages_is_no_larger_than_they_are() {
        let payloads = vec![&b""[..]; 10_000];
        let opened = first(wrapped(&payloads, Compression::Gzip), 0).open(true, 1 << 20);
        let opened = opened.expect("opened");
        assert_eq!((opened.payloads.len(), opened.payloads.capacity()), (10_000, 10_000));
        assert!(opened.payloads.capacity() * size_of::<Span>() <= opened.buffer.len());
    }

    #[test]
    fn wrappers_in_wrappers_come_out_flat_and_only_so_deep() {
        let mut set = wrapped(&[b"a", b"b"], Compression::Gzip);
        for depth in 1..=DEEPEST {
            let message = first(set.clone(), 0);
            let names: Vec<_> = opened(set.clone(), 0).into_iter().map(|(name, ..)| name).collect();
            assert_eq!(names, [b"a", b"b"], "{depth} deep");
            assert!(message.open(true, 20).is_err(), "{depth} deep, above the cap");
            let mut outer = Vec::new();
            wrap(&mut outer, &set, Compression::Snappy, None).expect("wrapped");
            set = outer;
        }
        let error = first(set, 0).open(true, 1 << 20).expect_err("too deep");
        assert_eq!(error.code(), Code::UNDECODABLE);
    }

    #[test]
    fn a_damaged_inner_message_is_noticed_only_if_crcs_are_checked() {
        let mut inner = wrapped(&[b"one", b"two"], Compression::None);
        *inner.last_mut().expect("a byte") ^= 1;
        let mut set = Vec::new();
        wrap(&mut set, &inner, Compression::Gzip, None).expect("wrapped");
        let message = first(set, 0);
        assert_eq!(message.open(true, 100).expect_err("bad").code(), Code::CORRUPT_MESSAGE);
        assert_eq!(message.open(false, 100).expect("not looked at").payloads.len(), 2);
    }

    #[test]
    fn an_empty_set_makes_no_wrapper_and_modern_codecs_are_refused() {
        assert!(wrapped(&[], Compression::Gzip).is_empty());
        for codec in [Compression::Lz4, Compression::Zstd] {
            let error = wrap(&mut Vec::new(), b"set", codec, None).expect_err("refused");
            assert_eq!(error.code(), Code::UNSUPPORTED_FEATURE);
        }
    }
}
