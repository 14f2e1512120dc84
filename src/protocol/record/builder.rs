//! The open batch of one partition.

use std::fmt;

use bytes::{Bytes, BytesMut};

use super::header::NewRecord;
use super::legacy::{self, NewMessage};
use super::v2::{self, BATCH_OVERHEAD, Measure, NewBatch};
use super::{Compression, Format, NO_TIMESTAMP, SealedBatch};
use crate::error::{Code, Error, Result};

/// How far zeros are laid out ahead of the records. What is behind them is summed while the nearest
/// cache still has it.
const AHEAD: usize = 8 * 1024;

/// The open batch of one partition: records are encoded straight into its one buffer, which starts
/// small and grows, with room for the batch header in front.
///
/// Offsets inside count from 0 in every format; the broker assigns the real ones.
pub struct BatchBuilder {
    /// The batch, and behind it zeros that the next records overwrite: a few kilobytes at a time, so
    /// that a record is written with one look at the length, and the zeros cost next to nothing.
    buffer: BytesMut,
    /// How many bytes the batch has; the buffer's length for messages v0 and v1.
    size: usize,
    /// Up to where the records of an uncompressed v2 batch are in `crc`.
    summed: usize,
    crc: u32,
    format: Format,
    compression: Compression,
    level: Option<i32>,
    count: u32,
    base_timestamp: i64,
    max_timestamp: i64,
}

impl BatchBuilder {
    /// An empty batch. `level` is the codec's default if none; the buffer starts with
    /// `initial_capacity` bytes, header included.
    ///
    /// # Errors
    /// UNSUPPORTED_FEATURE for zstd below v2.
    pub fn new(
        format: Format,
        compression: Compression,
        level: Option<i32>,
        initial_capacity: usize,
    ) -> Result<Self> {
        Self::in_buffer(format, compression, level, BytesMut::with_capacity(initial_capacity))
    }

    /// The same in a buffer that was used before; what it holds is forgotten.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn in_buffer(
        format: Format,
        compression: Compression,
        level: Option<i32>,
        mut buffer: BytesMut,
    ) -> Result<Self> {
        compression.check(format)?;
        let room = if format == Format::V2 { BATCH_OVERHEAD } else { 0 };
        buffer.clear();
        buffer.resize(room, 0);
        Ok(Self {
            buffer,
            size: room,
            summed: room,
            crc: 0,
            format,
            compression,
            level,
            count: 0,
            base_timestamp: NO_TIMESTAMP,
            max_timestamp: NO_TIMESTAMP,
        })
    }

    /// The format, fixed when the batch opened.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// The codec it will be sealed with.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// The same records, to be sealed without compression.
    #[must_use]
    pub fn uncompressed(mut self) -> Self {
        self.compression = Compression::None;
        self
    }

    /// Makes the buffer `capacity` bytes large, if it is smaller: for callers that account for its
    /// memory and do not want it to double by itself.
    pub fn grow_to(&mut self, capacity: usize) {
        if capacity > self.buffer.capacity() {
            let mut larger = BytesMut::with_capacity(capacity);
            larger.extend_from_slice(&self.buffer[..self.size]);
            self.buffer = larger;
        }
    }

    /// How many bytes [`append`](Self::append) would add now, before compression.
    #[must_use]
    #[inline]
    pub fn encoded_size(&self, record: &NewRecord<'_>) -> usize {
        if self.format == Format::V2 {
            self.measure(record).at_most()
        } else {
            let content = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
            legacy::overhead(self.format) + content
        }
    }

    /// Encodes one record behind the others. Nothing is allocated but the buffer's growth.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for a negative timestamp other than −1, UNSUPPORTED_FEATURE for headers
    /// below v2, RECORD_TOO_LARGE above 2³¹ − 1 bytes. The batch is as before then.
    #[inline]
    pub fn append(&mut self, record: &NewRecord<'_>) -> Result<()> {
        if record.timestamp < NO_TIMESTAMP {
            return Err(negative_timestamp(record.timestamp));
        }
        if self.format != Format::V2 {
            return self.append_message(record);
        }
        let measure = self.measure(record);
        v2::check_size(self.size + measure.at_most())?;
        if self.buffer.len() - self.size < measure.room() {
            self.make_ready(measure.room(), true);
        }
        self.size += v2::write_record(&mut self.buffer[self.size..], record, &measure);
        self.note(record.timestamp);
        Ok(())
    }

    /// Encodes a record without headers if nothing stands in the way: a batch v2 that stays below
    /// `limit` bytes, a buffer that need not grow, a timestamp that is one. Gives how many bytes that
    /// were; none, and nothing done, for [`append`](Self::append) to look closer.
    #[inline]
    pub(crate) fn append_plain(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        limit: usize,
    ) -> Option<usize> {
        let delta = if self.count == 0 { 0 } else { timestamp.wrapping_sub(self.base_timestamp) };
        let measure = Measure::of_plain(key, value, delta, self.count);
        let limit = limit.min(i32::MAX as usize);
        if self.size + measure.at_most() >= limit
            || self.format != Format::V2
            || timestamp < NO_TIMESTAMP
        {
            return None;
        }
        if self.buffer.len() - self.size < measure.room() && !self.make_ready(measure.room(), false)
        {
            return None;
        }
        let written = v2::write_plain(&mut self.buffer[self.size..], key, value, &measure);
        self.size += written;
        self.note(timestamp);
        Some(written)
    }

    /// Puts zeros behind the batch, at least `room` of them. While that part of the buffer is being
    /// left, its records are summed: they are still in the nearest cache. False, and nothing done, if
    /// the buffer is too small and `may_grow` is false.
    #[cold]
    fn make_ready(&mut self, room: usize, may_grow: bool) -> bool {
        let needed = self.size + room;
        if needed > self.buffer.capacity() && !may_grow {
            return false;
        }
        self.sum_records();
        let ahead = (needed + AHEAD).min(self.buffer.capacity()).max(needed);
        self.buffer.resize(ahead, 0);
        true
    }

    /// Brings the CRC of the records up to date. Those of a compressed batch are summed when they have
    /// their final bytes.
    fn sum_records(&mut self) {
        if self.format == Format::V2 && self.compression == Compression::None {
            self.crc = crc32c::crc32c_append(self.crc, &self.buffer[self.summed..self.size]);
            self.summed = self.size;
        }
    }

    fn append_message(&mut self, record: &NewRecord<'_>) -> Result<()> {
        if record.headers.count() > 0 {
            return Err(no_headers(self.format));
        }
        // The wrapper of a compressed batch has an overhead of its own.
        let wrapper = legacy::overhead(self.format);
        v2::check_size(self.size + self.encoded_size(record) + wrapper)?;
        let message = NewMessage {
            format: self.format,
            offset: i64::from(self.count),
            attributes: 0,
            timestamp: record.timestamp,
            key: record.key,
            value: record.value,
        };
        legacy::append_message(&mut self.buffer, &message);
        self.size = self.buffer.len();
        self.note(record.timestamp);
        Ok(())
    }

    #[inline(always)]
    fn measure(&self, record: &NewRecord<'_>) -> Measure {
        // Deltas count from the first record's timestamp and may be negative.
        let first = self.count == 0;
        let delta = if first { 0 } else { record.timestamp.wrapping_sub(self.base_timestamp) };
        Measure::of(record, delta, self.count)
    }

    #[inline(always)]
    fn note(&mut self, timestamp: i64) {
        if self.count == 0 {
            self.base_timestamp = timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.count += 1;
    }

    /// How many records it holds.
    #[must_use]
    #[inline]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Its size in bytes, overhead included, before compression.
    #[must_use]
    #[inline]
    pub fn size(&self) -> usize {
        self.size
    }

    /// What its buffer takes of memory, in bytes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// The largest timestamp in it, −1 for none.
    #[must_use]
    pub fn max_timestamp(&self) -> i64 {
        self.max_timestamp
    }

    /// Compresses, writes header and CRC: the bytes of a Produce request. Plain messages v0 and v1
    /// stay as they are; compressed ones become one wrapper.
    ///
    /// # Errors
    /// INVALID_STATE for an empty batch, which no broker takes (invariant 3.15); INVALID_ARGUMENT
    /// if the codec refuses its level.
    pub fn seal(mut self) -> Result<SealedBatch> {
        if self.count == 0 {
            return Err(Error::new(Code::INVALID_STATE, "a batch without records cannot be sent"));
        }
        let (format, compression, count) = (self.format, self.compression, self.count);
        let max_timestamp = self.max_timestamp;
        self.sum_records();
        self.buffer.truncate(self.size);
        let (bytes, records_crc) = match format {
            Format::V2 => self.seal_batch()?,
            Format::V0 | Format::V1 => (self.seal_messages()?, 0),
        };
        v2::check_size(bytes.len())?;
        Ok(SealedBatch { bytes, count, max_timestamp, format, compression, records_crc })
    }

    fn seal_batch(self) -> Result<(Bytes, u32)> {
        let new = NewBatch {
            attributes: self.compression.id(),
            count: self.count,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
        };
        if self.compression == Compression::None {
            let mut batch = self.buffer;
            v2::write_header(&mut batch, &new, self.crc);
            return Ok((batch.freeze(), self.crc));
        }
        let mut batch = self.compressed(BATCH_OVERHEAD)?;
        let crc = crc32c::crc32c(&batch[BATCH_OVERHEAD..]);
        v2::write_header(&mut batch, &new, crc);
        Ok((Bytes::from(batch), crc))
    }

    fn seal_messages(self) -> Result<Bytes> {
        if self.compression == Compression::None {
            return Ok(self.buffer.freeze());
        }
        let value = self.compressed(0)?;
        let message = NewMessage {
            format: self.format,
            offset: i64::from(self.count - 1),
            attributes: self.compression.id(),
            timestamp: self.max_timestamp,
            key: None,
            value: Some(&value),
        };
        let mut wrapper = Vec::with_capacity(legacy::overhead(self.format) + value.len());
        legacy::append_message(&mut wrapper, &message);
        Ok(Bytes::from(wrapper))
    }

    /// The records, compressed, behind `room` empty bytes.
    fn compressed(&self, room: usize) -> Result<Vec<u8>> {
        let records = &self.buffer[if self.format == Format::V2 { BATCH_OVERHEAD } else { 0 }..];
        let mut out = Vec::with_capacity(room + records.len() / 2);
        out.resize(room, 0);
        self.compression.compress(self.level, self.format, records, &mut out)?;
        // Encoders want room for the worst case; the batch may wait long, and what it holds counts.
        out.shrink_to_fit();
        Ok(out)
    }
}

impl fmt::Debug for BatchBuilder {
    /// Without the records, which may be a megabyte.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchBuilder")
            .field("format", &self.format)
            .field("compression", &self.compression)
            .field("count", &self.count)
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

#[cold]
fn negative_timestamp(timestamp: i64) -> Error {
    let message = format!("timestamp {timestamp} is negative: give milliseconds since 1970, or -1");
    Error::new(Code::INVALID_ARGUMENT, message)
}

#[cold]
fn no_headers(format: Format) -> Error {
    let message = format!(
        "record headers need record batches v2 (brokers 0.11 and later), but the partition's \
         leader takes message format {format}"
    );
    Error::new(Code::UNSUPPORTED_FEATURE, message)
}
