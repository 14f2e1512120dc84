//! The records of an opened batch.

use bytes::Bytes;

use super::RecordSpan;
use super::legacy_records::MessageCursor;
use super::v2_records::BatchCursor;
use crate::error::{Error, Result};

/// An opened batch: one buffer, and a place in it. Records are read when they are asked for, so
/// that a reader can stop after any of them and go on later.
#[derive(Debug)]
pub struct Records {
    buffer: Bytes,
    next_offset: i64,
    cursor: Cursor,
}

#[derive(Debug)]
enum Cursor {
    Batch(BatchCursor),
    Messages(MessageCursor),
    Failed(Error),
}

/// A batch with all its records read.
#[derive(Clone, Debug)]
pub struct DecodedBatch {
    /// What the spans point into: the batch itself, or what it decompressed to.
    pub buffer: Bytes,
    /// Every record, in the order of offsets.
    pub records: Vec<RecordSpan>,
    /// Where to go on after the batch (invariant 3.5).
    pub next_offset: i64,
}

impl Records {
    pub(super) fn of_batch(buffer: Bytes, next_offset: i64, cursor: BatchCursor) -> Self {
        Self { buffer, next_offset, cursor: Cursor::Batch(cursor) }
    }

    pub(super) fn of_messages(buffer: Bytes, next_offset: i64, cursor: MessageCursor) -> Self {
        Self { buffer, next_offset, cursor: Cursor::Messages(cursor) }
    }

    /// What the spans point into. It stays where it is as long as any clone of it lives.
    #[must_use]
    pub fn buffer(&self) -> &Bytes {
        &self.buffer
    }

    /// Where to go on once every record was read (invariant 3.5).
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// How many records are still to be read; 0 after an error.
    #[must_use]
    pub fn remaining(&self) -> u32 {
        match &self.cursor {
            Cursor::Batch(cursor) => cursor.remaining(),
            Cursor::Messages(cursor) => cursor.remaining(),
            Cursor::Failed(_) => 0,
        }
    }

    /// Reads at most `limit` further records and gives each to `visitor`; returns how many. Records
    /// below the position asked for are among them: brokers return whole batches (invariant 3.4).
    ///
    /// # Errors
    /// UNDECODABLE (CORRUPT_MESSAGE for the CRC of an inner message) at the first record that
    /// cannot be read, after those before it were given to `visitor`; the same again afterwards.
    #[inline]
    pub fn visit(&mut self, limit: u32, visitor: &mut impl FnMut(RecordSpan)) -> Result<u32> {
        let read = match &mut self.cursor {
            Cursor::Batch(cursor) => cursor.visit(&self.buffer, limit, visitor),
            Cursor::Messages(cursor) => cursor.visit(&self.buffer, limit, visitor),
            Cursor::Failed(error) => return Err(error.clone()),
        };
        read.inspect_err(|error| self.cursor = Cursor::Failed(error.clone()))
    }

    /// Reads all records that are left.
    ///
    /// # Errors
    /// As [`visit`](Self::visit).
    pub fn decode(mut self) -> Result<DecodedBatch> {
        // The count was checked against the bytes when the batch opened.
        let mut records = Vec::with_capacity(self.remaining() as usize);
        self.visit(u32::MAX, &mut |record| records.push(record))?;
        Ok(DecodedBatch { buffer: self.buffer, records, next_offset: self.next_offset })
    }
}
