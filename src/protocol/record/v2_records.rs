//! Reading the records of a batch v2: the consumer's hot path.

use super::corrupt::undecodable;
use super::header::end_of_headers;
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
    least_delta: u32,
    last_delta: u32,
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
            last_delta: (batch.last_offset - batch.base_offset) as u32,
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
        // In locals, that is registers: through `self` each record would wait for the last one's
        // stores.
        let (mut at, mut least_delta) = (self.at, self.least_delta);
        let mut done = 0;
        while done < wanted {
            let Some(record) = self.read(data, &mut at, &mut least_delta) else { break };
            done += 1;
            visitor(record);
        }
        (self.at, self.least_delta) = (at, least_delta);
        self.left -= done;
        if done < wanted {
            return Err(self.malformed());
        }
        if self.left == 0 && at != data.len() {
            return Err(self.left_over(data.len() - at));
        }
        Ok(done)
    }

    /// Reads the record at `next`, which moves behind it; none if anything in it does not add up.
    #[inline(always)]
    fn read(&self, data: &[u8], next: &mut usize, least_delta: &mut u32) -> Option<RecordSpan> {
        let mut at = *next;
        let end = read_length(data, &mut at)?.checked_add(at)?;
        // From here on no field can reach beyond its record.
        let data = data.get(..end)?;
        at += 1; // the record's attributes: none are defined
        let timestamp_delta = varint::read_i64(data, &mut at)?;
        let delta = read_length(data, &mut at)? as u32;
        if delta < *least_delta || delta > self.last_delta {
            return None;
        }
        let key = read_bytes(data, &mut at)?;
        let value = read_bytes(data, &mut at)?;
        let headers_count = read_length(data, &mut at)? as u32;
        let headers = Span { start: at as u32, len: (end - at) as u32 };
        if headers_count != 0 {
            at = end_of_headers(data, at, headers_count)?;
        }
        if at != end {
            return None;
        }
        *next = end;
        *least_delta = delta + 1;
        let (timestamp, timestamp_type) = match self.append_time {
            None => (self.base_timestamp.wrapping_add(timestamp_delta), TimestampType::CreateTime),
            Some(time) => (time, TimestampType::LogAppendTime),
        };
        let offset = self.base_offset + i64::from(delta);
        Some(RecordSpan { offset, timestamp, timestamp_type, key, value, headers, headers_count })
    }

    #[cold]
    fn malformed(&self) -> Error {
        undecodable(format!(
            "the record behind offset {} of the batch is malformed: a length, a count or an offset \
             in it does not add up, with {} records still to come",
            self.base_offset + i64::from(self.least_delta) - 1,
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

/// A varint that cannot be negative; none if it is.
#[inline(always)]
fn read_length(data: &[u8], at: &mut usize) -> Option<usize> {
    let raw = varint::read_zigzag(data, at)?;
    if raw & 1 == 0 { Some((raw >> 1) as usize) } else { None }
}

#[inline(always)]
fn read_bytes(data: &[u8], at: &mut usize) -> Option<Span> {
    let raw = varint::read_zigzag(data, at)?;
    if raw & 1 != 0 {
        // −1 and nothing else.
        return if raw == 1 { Some(Span::NULL) } else { None };
    }
    let (start, length) = (*at, (raw >> 1) as usize);
    if length > data.len() - start {
        return None;
    }
    *at = start + length;
    Some(Span { start: start as u32, len: length as u32 })
}
