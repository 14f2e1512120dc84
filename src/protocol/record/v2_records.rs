//! Reading the records of a batch v2: the consumer's hot path.

use super::corrupt::undecodable;
use super::header::skip_headers;
use super::{RawBatch, RecordSpan, Span, TimestampType, varint};
use crate::error::{Error, Result};

/// The place of the next record in the (decompressed) buffer, and what its deltas count from.
#[derive(Debug)]
pub(super) struct BatchCursor {
    at: usize,
    left: u32,
    base_offset: i64,
    base_timestamp: i64,
    /// The time of appending is that of every record (invariant 3.7).
    append_time: Option<i64>,
    /// Offsets grow, and stay within what the header says: a position never goes back.
    least_delta: i64,
    last_delta: i64,
}

impl BatchCursor {
    pub(super) fn new(batch: &RawBatch, begin: usize, count: u32) -> Self {
        let append_time = batch.timestamp_type() == TimestampType::LogAppendTime;
        Self {
            at: begin,
            left: count,
            base_offset: batch.base_offset,
            base_timestamp: batch.base_timestamp,
            append_time: append_time.then_some(batch.max_timestamp),
            least_delta: 0,
            last_delta: batch.last_offset - batch.base_offset,
        }
    }

    pub(super) fn remaining(&self) -> u32 {
        self.left
    }

    #[inline]
    pub(super) fn visit(
        &mut self,
        data: &[u8],
        limit: u32,
        visitor: &mut impl FnMut(RecordSpan),
    ) -> Result<u32> {
        let wanted = limit.min(self.left);
        for done in 0..wanted {
            let Some(record) = self.read(data) else {
                self.left -= done;
                return Err(self.malformed());
            };
            visitor(record);
        }
        self.left -= wanted;
        if self.left == 0 && self.at != data.len() {
            return Err(self.left_over(data.len() - self.at));
        }
        Ok(wanted)
    }

    /// Reads one record; none if anything in it does not add up.
    #[inline(always)]
    fn read(&mut self, data: &[u8]) -> Option<RecordSpan> {
        let mut at = self.at;
        let length = usize::try_from(varint::read_i32(data, &mut at)?).ok()?;
        let end = at.checked_add(length)?;
        // From here on no field can reach beyond its record.
        let data = data.get(..end)?;
        at += 1; // the record's attributes: none are defined
        let timestamp_delta = varint::read_i64(data, &mut at)?;
        let delta = i64::from(varint::read_i32(data, &mut at)?);
        if delta < self.least_delta || delta > self.last_delta {
            return None;
        }
        let key = read_bytes(data, &mut at)?;
        let value = read_bytes(data, &mut at)?;
        let headers_count = u32::try_from(varint::read_i32(data, &mut at)?).ok()?;
        let headers = Span { start: at as u32, len: (end - at) as u32 };
        if headers_count != 0 {
            skip_headers(data, &mut at, headers_count)?;
        }
        if at != end {
            return None;
        }
        self.at = end;
        self.least_delta = delta + 1;
        let (timestamp, timestamp_type) = match self.append_time {
            None => (self.base_timestamp.wrapping_add(timestamp_delta), TimestampType::CreateTime),
            Some(time) => (time, TimestampType::LogAppendTime),
        };
        let offset = self.base_offset + delta;
        Some(RecordSpan { offset, timestamp, timestamp_type, key, value, headers, headers_count })
    }

    #[cold]
    fn malformed(&self) -> Error {
        undecodable(format!(
            "the record behind offset {} of the batch is malformed: a length, a count or an offset \
             in it does not add up, with {} records still to come",
            self.base_offset + self.least_delta - 1,
            self.left
        ))
    }

    #[cold]
    fn left_over(&self, bytes: usize) -> Error {
        undecodable(format!(
            "{bytes} bytes are left behind the last record of the batch at offset {}",
            self.base_offset
        ))
    }
}

#[inline(always)]
fn read_bytes(data: &[u8], at: &mut usize) -> Option<Span> {
    let length = varint::read_i32(data, at)?;
    if length == -1 {
        return Some(Span::NULL);
    }
    let start = *at;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    if end > data.len() {
        return None;
    }
    *at = end;
    Some(Span { start: start as u32, len: length as u32 })
}
