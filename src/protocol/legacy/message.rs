//! One message of 0.7: `size i32, magic i8, [attributes i8,] crc u32, payload`.
//!
//! The CRC-32 covers the payload alone. There is no key, no timestamp and no null: a payload may be
//! empty. Magic 0 has no attributes and is never compressed, whatever its payload looks like.

use bytes::Bytes;

use super::wrapper::{self, Opened};
use crate::error::{Code, Error, Result};
use crate::protocol::record::{Compression, Fresh, Memory};

/// The size field in front of a message, which it does not count.
pub(super) const SIZE: usize = 4;
/// Magic and CRC: the least that magic 0 has.
pub(super) const LEAST_SIZE_0: usize = 5;
/// Magic, attributes and CRC: the least that magic 1 has.
const LEAST_SIZE_1: usize = 6;
/// What a message as we write it takes besides its payload.
pub const MESSAGE_OVERHEAD: usize = SIZE + LEAST_SIZE_1;
/// The attribute bits that hold the codec; brokers ignore the others.
const CODEC_MASK: u8 = 0x03;

/// Appends a plain message, or a wrapper's frame, to a set. Payloads reach 2 GiB at most.
pub(super) fn append(set: &mut Vec<u8>, attributes: u8, payload: &[u8]) {
    set.reserve(MESSAGE_OVERHEAD + payload.len());
    set.extend_from_slice(&head(attributes, payload));
    set.extend_from_slice(payload);
}

/// What stands before the payload.
#[inline(always)]
fn head(attributes: u8, payload: &[u8]) -> [u8; MESSAGE_OVERHEAD] {
    let [a, b, c, d] = ((LEAST_SIZE_1 + payload.len()) as u32).to_be_bytes();
    let [e, f, g, h] = crc32fast::hash(payload).to_be_bytes();
    [a, b, c, d, 1, attributes, e, f, g, h]
}

/// What stands before the payload of a plain message, for writers that have a buffer of their own.
#[inline(always)]
#[must_use]
pub fn message_head(payload: &[u8]) -> [u8; MESSAGE_OVERHEAD] {
    head(0, payload)
}

/// Appends one message to a set, as all clients of 0.7 write it (magic 1, not compressed). The
/// payload must be shorter than 2 GiB; what a broker takes is far less (`max.message.size`).
pub fn append_message(set: &mut Vec<u8>, payload: &[u8]) {
    append(set, 0, payload);
}

/// A whole message of a fetched set: a plain one, or the wrapper of a compressed set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where it begins, in bytes of the partition's log.
    pub offset: i64,
    /// Where the next one begins.
    pub next_offset: i64,
    /// What its payload is compressed with; none for a plain message.
    pub compression: Compression,
    /// The CRC-32 that it carries.
    pub crc: u32,
    /// What is behind the CRC.
    pub payload: Bytes,
}

impl Message {
    /// Reads the message whose size field begins `bytes`; `None` if its end is not there.
    ///
    /// # Errors
    /// CORRUPT_MESSAGE for a size, a magic or a codec that no message has.
    pub fn read(bytes: &Bytes, offset: i64) -> Result<Option<Self>> {
        let Some(size) = size_of(bytes, offset)? else { return Ok(None) };
        let end = SIZE + size;
        // The kind is judged as soon as it can be seen: a reader that waits for the rest of what
        // is no message would wait for ever.
        let Some(head) = bytes.get(SIZE..end.min(bytes.len())) else { return Ok(None) };
        let Some(&magic) = head.first() else { return Ok(None) };
        let (least, compression) = match (magic, head.get(1)) {
            (0, _) => (LEAST_SIZE_0, Compression::None),
            (1, None) => return Ok(None),
            (1, Some(attributes)) => (LEAST_SIZE_1, codec(*attributes, offset)?),
            (magic, _) => {
                return Err(corrupt(format!("magic byte {magic} at offset {offset}")));
            }
        };
        if size < least {
            return Err(corrupt(format!("a message of {size} bytes at offset {offset}")));
        }
        if bytes.len() < end {
            return Ok(None);
        }
        let crc = head.get(least - 4..).and_then(|rest| rest.first_chunk());
        let crc = crc.copied().map(u32::from_be_bytes).unwrap_or_default();
        let payload = bytes.slice(SIZE + least..end);
        let Some(next_offset) = offset.checked_add(end as i64) else {
            return Err(corrupt(format!("a message at offset {offset}, where no log can be")));
        };
        Ok(Some(Self { offset, next_offset, compression, crc, payload }))
    }

    /// Compares the CRC.
    ///
    /// # Errors
    /// CORRUPT_MESSAGE if it is not that of the payload.
    pub fn verify(&self) -> Result<()> {
        let (stored, computed) = (self.crc, crc32fast::hash(&self.payload));
        if stored == computed {
            return Ok(());
        }
        let offset = self.offset;
        Err(corrupt(format!(
            "the CRC-32 of the message at offset {offset} is {computed:#010x}, not {stored:#010x}"
        )))
    }

    /// The messages in it: itself if it is plain, else what it decompresses to, which may be
    /// `cap` bytes in all. CRCs are checked if `check_crc`.
    ///
    /// # Errors
    /// CORRUPT_MESSAGE for a wrong CRC; UNDECODABLE for what does not decompress or holds no whole
    /// messages.
    pub fn open(&self, check_crc: bool, cap: usize) -> Result<Opened> {
        self.open_in(check_crc, cap, &Fresh)
    }

    /// The same, decompressed into `memory`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_in(&self, check_crc: bool, cap: usize, memory: &dyn Memory) -> Result<Opened> {
        wrapper::open(self, check_crc, cap, memory)
    }
}

/// What the size field says; `None` if it is not whole.
fn size_of(bytes: &[u8], offset: i64) -> Result<Option<usize>> {
    let Some(field) = bytes.first_chunk() else { return Ok(None) };
    let size = i32::from_be_bytes(*field);
    match usize::try_from(size) {
        Ok(size) if size >= LEAST_SIZE_0 => Ok(Some(size)),
        _ => Err(corrupt(format!("a message of {size} bytes at offset {offset}"))),
    }
}

fn codec(attributes: u8, offset: i64) -> Result<Compression> {
    match attributes & CODEC_MASK {
        0 => Ok(Compression::None),
        1 => Ok(Compression::Gzip),
        2 => Ok(Compression::Snappy),
        other => {
            Err(corrupt(format!("codec {other} at offset {offset}: 0.7 has none of this number")))
        }
    }
}

#[cold]
pub(super) fn corrupt(text: impl Into<String>) -> Error {
    Error::new(Code::CORRUPT_MESSAGE, text)
}
