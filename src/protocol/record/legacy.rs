//! Messages v0 and v1: how one is written, and how one is read.
//!
//! `offset i64, size i32, crc u32, magic i8, attributes i8, [timestamp i64,] key, value`, where key
//! and value have 32-bit lengths, −1 for null. The CRC-32 covers everything from the magic on.

use std::ops::DerefMut;

use bytes::BufMut;

use super::Format;
use super::corrupt::corrupt;
use super::v2::LOG_APPEND_TIME;
use super::{NO_TIMESTAMP, Span, TimestampType};
use crate::error::Result;

/// Offset and size, in front of every message and batch.
pub(super) const LOG_OVERHEAD: usize = 12;
/// The least size of a message: crc, magic, attributes, two lengths.
pub(super) const LEAST_SIZE: usize = 14;

pub(super) mod at {
    pub(in super::super) const OFFSET: usize = 0;
    pub(in super::super) const SIZE: usize = 8;
    pub(in super::super) const CRC: usize = 12;
    pub(in super::super) const MAGIC: usize = 16;
    pub(in super::super) const ATTRIBUTES: usize = 17;
    pub(in super::super) const TIMESTAMP: usize = 18;
}

/// Where the key's length stands.
const fn key_at(format: Format) -> usize {
    match format {
        Format::V0 => at::TIMESTAMP,
        Format::V1 | Format::V2 => at::TIMESTAMP + 8,
    }
}

/// What a message takes besides its key and value.
pub(super) const fn overhead(format: Format) -> usize {
    key_at(format) + 8
}

/// A message to be written.
pub(super) struct NewMessage<'a> {
    pub(super) format: Format,
    pub(super) offset: i64,
    pub(super) attributes: i16,
    pub(super) timestamp: i64,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
}

/// Appends a message with its CRC. The caller has checked that its size fits into 31 bits.
pub(super) fn append_message<B>(buffer: &mut B, message: &NewMessage<'_>)
where
    B: BufMut + DerefMut<Target = [u8]>,
{
    let begin = buffer.len();
    let content = message.key.map_or(0, <[u8]>::len) + message.value.map_or(0, <[u8]>::len);
    let size = overhead(message.format) - LOG_OVERHEAD + content;
    buffer.put_i64(message.offset);
    buffer.put_u32(size as u32);
    buffer.put_u32(0); // the CRC
    buffer.put_slice(&[message.format.magic(), message.attributes as u8]);
    if message.format != Format::V0 {
        buffer.put_i64(message.timestamp);
    }
    append_bytes(buffer, message.key);
    append_bytes(buffer, message.value);
    write_crc(&mut buffer[begin..]);
}

fn append_bytes(buffer: &mut impl BufMut, bytes: Option<&[u8]>) {
    let length = bytes.map_or(-1, |bytes| bytes.len() as i32);
    buffer.put_i32(length);
    buffer.put_slice(bytes.unwrap_or_default());
}

/// Writes the CRC-32 of one whole message, which is at least its overhead long.
pub(super) fn write_crc(message: &mut [u8]) {
    let crc = crc32fast::hash(&message[at::MAGIC..]);
    message[at::CRC..at::MAGIC].copy_from_slice(&crc.to_be_bytes());
}

/// A message as it was read; the spans count from the start of the buffer it was read from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    pub(super) format: Format,
    pub(super) offset: i64,
    pub(super) attributes: i16,
    pub(super) timestamp: i64,
    pub(super) key: Span,
    pub(super) value: Span,
    /// Where the message ends, and the next one begins.
    pub(super) end: usize,
}

impl Message {
    pub(super) fn timestamp_type(&self) -> TimestampType {
        timestamp_type(self.format, self.attributes)
    }
}

/// Who set the timestamp of a message with these attributes.
pub(super) fn timestamp_type(format: Format, attributes: i16) -> TimestampType {
    match format {
        Format::V0 => TimestampType::None,
        _ if attributes & LOG_APPEND_TIME != 0 => TimestampType::LogAppendTime,
        _ => TimestampType::CreateTime,
    }
}

/// Reads the message that begins at `begin`. It must be whole, and its lengths must add up.
pub(super) fn read_message(buffer: &[u8], begin: usize) -> Result<Message> {
    let bytes = buffer.get(begin..).unwrap_or_default();
    let Some(magic) = bytes.get(at::MAGIC).copied() else {
        return Err(corrupt("a message is cut before its magic byte"));
    };
    let format = match Format::from_magic(magic) {
        Some(format @ (Format::V0 | Format::V1)) => format,
        _ => return Err(corrupt(format!("magic byte {magic} inside a message set"))),
    };
    let size = i64::from(i32::from_be_bytes(field(bytes, at::SIZE)?));
    let least = (overhead(format) - LOG_OVERHEAD) as i64;
    let length = usize::try_from(size).unwrap_or(0) + LOG_OVERHEAD;
    if size < least || length > bytes.len() {
        let left = bytes.len() - LOG_OVERHEAD;
        return Err(corrupt(format!("a message says {size} bytes where {left} are left")));
    }
    let bytes = &bytes[..length];
    let timestamp = match format {
        Format::V0 => NO_TIMESTAMP,
        _ => i64::from_be_bytes(field(bytes, at::TIMESTAMP)?),
    };
    let mut position = key_at(format);
    let key = read_bytes(bytes, &mut position, begin)?;
    let value = read_bytes(bytes, &mut position, begin)?;
    if position != length {
        let rest = length - position;
        return Err(corrupt(format!("a message has {rest} bytes behind its value")));
    }
    Ok(Message {
        format,
        offset: i64::from_be_bytes(field(bytes, at::OFFSET)?),
        attributes: i16::from(bytes[at::ATTRIBUTES]),
        timestamp,
        key,
        value,
        end: begin + length,
    })
}

/// Compares the CRC of the message that begins at `begin` and was read there.
pub(super) fn verify(buffer: &[u8], begin: usize, message: &Message) -> Result<()> {
    let bytes = buffer.get(begin..message.end).unwrap_or_default();
    let stored = u32::from_be_bytes(field(bytes, at::CRC)?);
    let computed = crc32fast::hash(bytes.get(at::MAGIC..).unwrap_or_default());
    if stored != computed {
        return Err(corrupt(format!(
            "the CRC-32 of the message at offset {} is {computed:#010x}, not {stored:#010x}",
            message.offset
        )));
    }
    Ok(())
}

fn read_bytes(message: &[u8], position: &mut usize, begin: usize) -> Result<Span> {
    let length = i32::from_be_bytes(field(message, *position)?);
    *position += 4;
    if length == -1 {
        return Ok(Span::NULL);
    }
    let left = message.len() - *position;
    match usize::try_from(length) {
        Ok(length) if length <= left => {
            // Both fit: a buffer is never longer than 32 bits can say.
            let span = Span { start: (begin + *position) as u32, len: length as u32 };
            *position += length;
            Ok(span)
        }
        _ => Err(corrupt(format!("a message field says {length} bytes where {left} are left"))),
    }
}

/// The `N` bytes at `at`.
pub(super) fn field<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    let found = bytes.get(at..).and_then(<[u8]>::first_chunk);
    found.copied().ok_or_else(|| corrupt("a message is cut in its header"))
}
