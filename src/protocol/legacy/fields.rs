//! Big-endian fields of requests and answers, bounded by the bytes that are left.

use crate::error::{Code, Error, Result};

/// Cuts fields off the front of `rest`.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn i16(&mut self) -> Result<i16> {
        self.array().map(i16::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64> {
        self.array().map(i64::from_be_bytes)
    }

    pub(super) fn bytes(&mut self, length: i32) -> Result<&'a [u8]> {
        let left = self.left();
        let wanted = usize::try_from(length).ok();
        let Some((bytes, rest)) = wanted.and_then(|wanted| self.rest.split_at_checked(wanted))
        else {
            return Err(malformed(format!("a field says {length} bytes where {left} are left")));
        };
        self.rest = rest;
        Ok(bytes)
    }

    /// `int16` length and UTF-8. No field may be null in 0.7.
    pub(super) fn text(&mut self) -> Result<&'a str> {
        let length = self.i16()?;
        let bytes = self.bytes(i32::from(length))?;
        std::str::from_utf8(bytes).map_err(|_| malformed("a topic's name is not UTF-8"))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let Some((field, rest)) = self.rest.split_first_chunk() else {
            let left = self.left();
            return Err(malformed(format!("a field of {N} bytes where {left} are left")));
        };
        self.rest = rest;
        Ok(*field)
    }
}

/// Bytes that no 0.7 broker or client writes.
#[cold]
pub(super) fn malformed(text: impl Into<String>) -> Error {
    Error::new(Code::PROTOCOL, text)
}
