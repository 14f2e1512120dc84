//! A batch as columns: what Python and Ruby read three times cheaper than structs.

use super::batch::{Batch, Record};
use crate::error::{Code, Error, Result};

/// Stands for "absent" among the lengths; an empty key or value has length 0.
pub const ABSENT: u32 = u32::MAX;

/// The messages of a batch, column by column; row `i` is message `i`. All arrays have the length of
/// the batch.
#[derive(Debug, Default)]
pub struct Columns {
    /// Keys and values, gathered one after the other.
    pub buffer: Vec<u8>,
    /// Where each key begins in the buffer.
    pub key_positions: Vec<u32>,
    /// How long each key is; [`ABSENT`] for none.
    pub key_lengths: Vec<u32>,
    /// Where each value begins in the buffer.
    pub value_positions: Vec<u32>,
    /// How long each value is; [`ABSENT`] for none.
    pub value_lengths: Vec<u32>,
    /// Offset of each message.
    pub offsets: Vec<i64>,
    /// Timestamp of each message, ms since 1970; -1 none.
    pub timestamps: Vec<i64>,
}

impl Columns {
    /// Copies what the views borrow into one buffer.
    pub(super) fn gather(batch: &Batch) -> Result<Self> {
        let mut columns = Self::with_capacity(batch)?;
        for record in batch.iter() {
            let (position, length) = columns.push(record.key());
            columns.key_positions.push(position);
            columns.key_lengths.push(length);
            let (position, length) = columns.push(record.value());
            columns.value_positions.push(position);
            columns.value_lengths.push(length);
            columns.offsets.push(record.offset());
            columns.timestamps.push(record.timestamp());
        }
        Ok(columns)
    }

    fn with_capacity(batch: &Batch) -> Result<Self> {
        let size =
            |r: Record<'_>| r.key().map_or(0, <[u8]>::len) + r.value().map_or(0, <[u8]>::len);
        let bytes: usize = batch.iter().map(size).sum();
        // Positions are u32, and the largest value means "absent".
        if u32::try_from(bytes).map_or(true, |b| b == ABSENT) {
            let text = "a batch of more than 4 GiB has no columns: lower max.poll.records";
            return Err(Error::new(Code::INVALID_STATE, text));
        }
        let rows = batch.len();
        Ok(Self {
            buffer: Vec::with_capacity(bytes),
            key_positions: Vec::with_capacity(rows),
            key_lengths: Vec::with_capacity(rows),
            value_positions: Vec::with_capacity(rows),
            value_lengths: Vec::with_capacity(rows),
            offsets: Vec::with_capacity(rows),
            timestamps: Vec::with_capacity(rows),
        })
    }

    fn push(&mut self, part: Option<&[u8]>) -> (u32, u32) {
        // `with_capacity` made sure that every position fits.
        let position = self.buffer.len() as u32;
        self.buffer.extend_from_slice(part.unwrap_or_default());
        (position, part.map_or(ABSENT, |p| p.len() as u32))
    }
}
