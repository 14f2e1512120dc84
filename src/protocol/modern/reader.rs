//! Takes a frame apart; every read is checked against the bytes that are left.

use byteorder::{BigEndian, ByteOrder};
use bytes::Bytes;

use crate::error::{Code, Error, Result};

use super::Uuid;

/// A position in a frame. Byte fields are taken out as slices of the frame, not copied.
///
/// Every read that would pass the end, and every length that cannot be true, is an
/// [`Code::PROTOCOL`] error that says where; nothing is allocated on the word of a length.
#[derive(Clone, Debug)]
pub struct Reader {
    bytes: Bytes,
    position: usize,
}

impl Reader {
    /// Starts at the first byte.
    #[must_use]
    pub fn new(bytes: Bytes) -> Self {
        Self { bytes, position: 0 }
    }

    /// The number of bytes not yet read.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    /// The number of bytes already read.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }

    /// Reads one byte; anything but 0 is true, as in Java.
    pub fn bool(&mut self) -> Result<bool> {
        Ok(self.i8()? != 0)
    }

    /// Reads one byte.
    pub fn i8(&mut self) -> Result<i8> {
        Ok(i8::from_ne_bytes([self.u8()?]))
    }

    /// Reads two bytes, most significant first.
    pub fn i16(&mut self) -> Result<i16> {
        self.take(2).map(BigEndian::read_i16)
    }

    /// Reads four bytes, most significant first.
    pub fn i32(&mut self) -> Result<i32> {
        self.take(4).map(BigEndian::read_i32)
    }

    /// Reads eight bytes, most significant first.
    pub fn i64(&mut self) -> Result<i64> {
        self.take(8).map(BigEndian::read_i64)
    }

    /// Reads sixteen bytes.
    pub fn uuid(&mut self) -> Result<Uuid> {
        let mut id = Uuid::ZERO;
        id.0.copy_from_slice(self.take(16)?);
        Ok(id)
    }

    /// Reads an unsigned varint: 7 bits a byte, least significant first, at most 5 bytes.
    pub fn unsigned_varint(&mut self) -> Result<u32> {
        let start = self.position;
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.u8()?;
            let bits = u32::from(byte & 0x7f);
            // The fifth byte has room for four bits only.
            if shift == 28 && byte > 0x0f {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Error::new(Code::PROTOCOL, format!("byte {start}: a varint is longer than 32 bits")))
    }

    /// Reads a length of the flexible format, which is sent plus one; 0 means null.
    pub fn compact_length(&mut self) -> Result<Option<usize>> {
        let Some(length) = self.unsigned_varint()?.checked_sub(1) else { return Ok(None) };
        usize::try_from(length).map(Some).map_err(|_| self.bad_length(i64::from(length)))
    }

    /// Reads a two-byte length of the old format; −1 means null.
    pub fn short_length(&mut self) -> Result<Option<usize>> {
        let length = self.i16()?;
        self.length(i64::from(length))
    }

    /// Reads a four-byte length of the old format; −1 means null.
    pub fn long_length(&mut self) -> Result<Option<usize>> {
        let length = self.i32()?;
        self.length(i64::from(length))
    }

    fn length(&self, length: i64) -> Result<Option<usize>> {
        match length {
            -1 => Ok(None),
            _ => usize::try_from(length).map(Some).map_err(|_| self.bad_length(length)),
        }
    }

    /// Reads `length` bytes as a slice of the frame, which shares its memory.
    pub fn bytes(&mut self, length: usize) -> Result<Bytes> {
        let start = self.position;
        self.take(length)?;
        Ok(self.bytes.slice(start..start + length))
    }

    /// Reads `length` bytes of text. Bytes that are not UTF-8 become U+FFFD, as in Java: names
    /// and messages that other clients made up must not cost a whole answer.
    pub fn text(&mut self, length: usize) -> Result<String> {
        self.take(length).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// Checks that `count` elements of at least `smallest` bytes each can be there at all, so
    /// that a count never allocates more than the frame could fill.
    pub fn check_count(&self, count: usize, smallest: usize) -> Result<()> {
        if count <= self.remaining() / smallest.max(1) {
            return Ok(());
        }
        Err(Error::new(
            Code::PROTOCOL,
            format!(
                "byte {}: an array of {count} elements cannot be in the {} bytes left",
                self.position,
                self.remaining()
            ),
        ))
    }

    /// Reads `length` bytes as a reader of their own, such as one tagged field.
    pub fn part(&mut self, length: usize) -> Result<Reader> {
        self.bytes(length).map(Reader::new)
    }

    /// Skips the tagged fields at the end of a flexible structure of which none is known.
    pub fn skip_tagged_fields(&mut self) -> Result<()> {
        for _ in 0..self.unsigned_varint()? {
            self.unsigned_varint()?;
            let size = self.unsigned_varint()?;
            self.take(usize::try_from(size).unwrap_or(usize::MAX))?;
        }
        Ok(())
    }

    /// Checks that everything was read.
    pub fn finish(&self) -> Result<()> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(Error::new(
                Code::PROTOCOL,
                format!("{left} bytes are left over after byte {}", self.position),
            )),
        }
    }

    fn u8(&mut self) -> Result<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&[u8]> {
        if length > self.remaining() {
            return Err(self.short_of(length));
        }
        let start = self.position;
        self.position += length;
        Ok(&self.bytes[start..self.position])
    }

    #[cold]
    fn short_of(&self, length: usize) -> Error {
        Error::new(
            Code::PROTOCOL,
            format!(
                "byte {}: {length} bytes are needed, {} are left",
                self.position,
                self.remaining()
            ),
        )
    }

    #[cold]
    fn bad_length(&self, length: i64) -> Error {
        let position = self.position;
        Error::new(Code::PROTOCOL, format!("before byte {position}: a length of {length}"))
    }
}
