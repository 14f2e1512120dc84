//! The open batch of one partition.

use std::fmt;

use bytes::BytesMut;

use super::header::NewRecord;
use super::legacy::{self, NewMessage};
use super::plain::Plain;
use super::scratch;
use super::v2::{self, BATCH_OVERHEAD, Measure, NewBatch};
use super::{Compression, Format, NO_TIMESTAMP, SealedBatch};
use crate::error::{Code, Error, Result};

/// What a sealed batch may waste of its buffer, in bytes, before it is moved to a smaller one.
const SLIGHT: usize = 4 * 1024;

/// How far the fence is moved: what lies before it is summed while the nearest cache still has it.
const AHEAD: usize = 8 * 1024;

/// The open batch of one partition: records are encoded straight into its one buffer, which starts
/// small and grows, with room for the batch header in front.
///
/// Offsets inside count from 0 in every format; the broker assigns the real ones.
///
/// In this order: what each record needs stands together.
#[repr(C)]
pub struct BatchBuilder {
    /// How many bytes the batch has; the buffer's length for messages v0 and v1.
    size: usize,
    /// Records are written up to here with one look at this number, then [`make_ready`] moves it on.
    ///
    /// [`make_ready`]: Self::make_ready
    fence: usize,
    /// The batch, and behind it bytes that the next records overwrite: zeros, or what was left there by
    /// the batch that had the buffer before.
    buffer: BytesMut,
    count: u32,
    level: Option<i32>,
    format: Format,
    compression: Compression,
    base_timestamp: i64,
    max_timestamp: i64,
    /// Up to where the records of an uncompressed v2 batch are in `crc`.
    summed: usize,
    crc: u32,
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
        if format != Format::V2 {
            buffer.clear();
        }
        if buffer.len() < room {
            buffer.resize(room, 0);
        }
        Ok(Self {
            buffer,
            size: room,
            fence: room,
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

    /// Goes on in another buffer, and gives the one before: for callers that account for its memory and
    /// do not want it to double by itself.
    #[must_use]
    pub fn move_to(&mut self, mut buffer: BytesMut) -> BytesMut {
        self.sum_records(); // once they are copied they are no nearer
        if buffer.len() < self.size {
            buffer.clear();
            buffer.extend_from_slice(&self.buffer[..self.size]);
        } else {
            buffer[..self.size].copy_from_slice(&self.buffer[..self.size]);
        }
        if self.format != Format::V2 {
            buffer.truncate(self.size);
        }
        self.fence = self.size;
        std::mem::replace(&mut self.buffer, buffer)
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
        if self.size + measure.room() > self.fence {
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
        let record = Plain::new(key, value, delta, self.count)?;
        let limit = limit.min(i32::MAX as usize);
        if self.size + record.at_most() >= limit
            || self.format != Format::V2
            || timestamp < NO_TIMESTAMP
        {
            return None;
        }
        if self.size + record.room() > self.fence && !self.make_ready(record.room(), false) {
            return None;
        }
        let written = record.write(&mut self.buffer[self.size..]);
        self.size += written;
        self.note(timestamp);
        Some(written)
    }

    /// Where the next `bytes` bytes will be written, as far as the buffer is ready for them.
    #[inline]
    pub(crate) fn ahead(&self, bytes: usize) -> &[u8] {
        let end = self.fence.min(self.size + bytes);
        self.buffer.get(self.size..end).unwrap_or_default()
    }

    /// Moves the fence on, by at least `room` bytes behind the batch. The records before it are summed:
    /// they are still in the nearest cache. False, and nothing done, if the buffer is too small and
    /// `may_grow` is false.
    #[cold]
    fn make_ready(&mut self, room: usize, may_grow: bool) -> bool {
        let needed = self.size + room;
        if needed > self.buffer.capacity() && !may_grow {
            return false;
        }
        self.sum_records();
        let fence = (needed + AHEAD).min(self.buffer.capacity()).max(needed);
        if self.buffer.len() < fence {
            self.buffer.resize(fence, 0);
        }
        self.fence = fence;
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
    pub fn seal(self) -> Result<SealedBatch> {
        self.seal_into(BytesMut::with_capacity).map(|(sealed, _, _)| sealed)
    }

    /// The same with buffers of the caller's: `buffer` gives one of at least so many bytes. Comes with
    /// the buffer that is no longer needed, if the records moved to another, and with what the sealed
    /// bytes take of memory.
    ///
    /// # Errors
    /// As [`seal`](Self::seal).
    pub fn seal_into(
        mut self,
        buffer: impl FnOnce(usize) -> BytesMut,
    ) -> Result<(SealedBatch, Option<BytesMut>, usize)> {
        if self.count == 0 {
            return Err(Error::new(Code::INVALID_STATE, "a batch without records cannot be sent"));
        }
        self.sum_records();
        self.buffer.truncate(self.size);
        let mut left = None;
        if self.compression != Compression::None {
            let compressed = self.compressed(buffer)?;
            left = Some(std::mem::replace(&mut self.buffer, compressed));
            v2::check_size(self.buffer.len())?;
        } else if self.buffer.capacity() - self.size > self.size.max(SLIGHT) {
            // It may wait long: not in a buffer that it does not half fill.
            let mut smaller = buffer(self.size);
            smaller.clear();
            smaller.extend_from_slice(&self.buffer);
            left = Some(std::mem::replace(&mut self.buffer, smaller));
        }
        if self.format == Format::V2 {
            let new = NewBatch {
                attributes: self.compression.id(),
                count: self.count,
                base_timestamp: self.base_timestamp,
                max_timestamp: self.max_timestamp,
            };
            v2::write_header(&mut self.buffer, &new, self.crc);
        }
        let takes = self.buffer.capacity();
        let sealed = SealedBatch {
            bytes: self.buffer.freeze(),
            count: self.count,
            max_timestamp: self.max_timestamp,
            format: self.format,
            compression: self.compression,
            records_crc: self.crc,
        };
        Ok((sealed, left, takes))
    }

    /// The records, compressed: behind room for the header of a batch v2, whose CRC is brought up to
    /// date, or as one wrapper.
    fn compressed(&mut self, buffer: impl FnOnce(usize) -> BytesMut) -> Result<BytesMut> {
        let (compression, level, format) = (self.compression, self.level, self.format);
        // Encoders want room for the worst case: in a buffer of the thread's own.
        scratch::with(|packed| {
            let overhead = if format == Format::V2 { BATCH_OVERHEAD } else { 0 };
            compression.compress(level, format, &self.buffer[overhead..], packed)?;
            let overhead = overhead.max(legacy::overhead(format));
            let mut out = buffer(overhead + packed.len());
            out.clear();
            if format == Format::V2 {
                out.resize(BATCH_OVERHEAD, 0);
                out.extend_from_slice(packed);
                self.crc = crc32c::crc32c(packed);
                return Ok(out);
            }
            let message = NewMessage {
                format,
                offset: i64::from(self.count - 1),
                attributes: compression.id(),
                timestamp: self.max_timestamp,
                key: None,
                value: Some(packed),
            };
            legacy::append_message(&mut out, &message);
            Ok(out)
        })
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
