//! Record batch v2: where its fields are, and how a record and a header are written.

use super::header::NewRecord;
use super::{NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE};
use super::{checksum, varint};
use crate::error::{Code, Error, Result};

/// Bytes of a batch header of format v2; the records follow.
pub const BATCH_OVERHEAD: usize = 61;

/// Where the fields of the batch header begin.
pub(super) mod at {
    pub(in super::super) const BASE_OFFSET: usize = 0;
    pub(in super::super) const LENGTH: usize = 8;
    pub(in super::super) const LEADER_EPOCH: usize = 12;
    pub(in super::super) const MAGIC: usize = 16;
    pub(in super::super) const CRC: usize = 17;
    pub(in super::super) const ATTRIBUTES: usize = 21;
    pub(in super::super) const LAST_OFFSET_DELTA: usize = 23;
    pub(in super::super) const BASE_TIMESTAMP: usize = 27;
    pub(in super::super) const MAX_TIMESTAMP: usize = 35;
    pub(in super::super) const PRODUCER_ID: usize = 43;
    pub(in super::super) const PRODUCER_EPOCH: usize = 51;
    pub(in super::super) const BASE_SEQUENCE: usize = 53;
    pub(in super::super) const COUNT: usize = 57;
}

/// Attribute bit 3, in v1 and v2: the broker set the timestamp.
pub(super) const LOG_APPEND_TIME: i16 = 0x08;
/// Attribute bit 4: the batch belongs to a transaction.
pub(super) const TRANSACTIONAL: i16 = 0x10;
/// Attribute bit 5: the batch holds a transaction marker.
pub(super) const CONTROL: i16 = 0x20;
/// Attribute bit 6: the base timestamp field holds the delete horizon (KIP-534).
pub(super) const DELETE_HORIZON: i16 = 0x40;

/// No leader epoch: brokers fill it in.
pub(super) const NO_LEADER_EPOCH: i32 = -1;

/// The least that one record takes: length, attributes, two deltas, two lengths, header count.
pub(super) const LEAST_RECORD: usize = 7;

/// A header written in one go, before the CRC.
pub(super) struct NewBatch {
    pub(super) attributes: i16,
    pub(super) count: u32,
    pub(super) base_timestamp: i64,
    pub(super) max_timestamp: i64,
}

/// Writes the header of a batch whose records already stand behind it, then its CRC. `records_crc` is
/// that of the records alone.
pub(super) fn write_header(batch: &mut [u8], new: &NewBatch, records_crc: u32) {
    let length = (batch.len() - at::LEADER_EPOCH) as u32;
    put(batch, at::BASE_OFFSET, 0_i64.to_be_bytes());
    put(batch, at::LENGTH, length.to_be_bytes());
    put(batch, at::LEADER_EPOCH, NO_LEADER_EPOCH.to_be_bytes());
    put(batch, at::MAGIC, [2]);
    put(batch, at::ATTRIBUTES, new.attributes.to_be_bytes());
    put(batch, at::LAST_OFFSET_DELTA, (new.count - 1).to_be_bytes());
    put(batch, at::BASE_TIMESTAMP, new.base_timestamp.to_be_bytes());
    put(batch, at::MAX_TIMESTAMP, new.max_timestamp.to_be_bytes());
    put(batch, at::PRODUCER_ID, NO_PRODUCER_ID.to_be_bytes());
    put(batch, at::PRODUCER_EPOCH, NO_PRODUCER_EPOCH.to_be_bytes());
    put(batch, at::BASE_SEQUENCE, NO_SEQUENCE.to_be_bytes());
    put(batch, at::COUNT, new.count.to_be_bytes());
    write_crc_from(batch, records_crc);
}

/// Writes the CRC-32C, which covers everything from the attributes on (invariant 3.9).
pub(super) fn write_crc(batch: &mut [u8]) {
    let crc = crc32c::crc32c(&batch[at::ATTRIBUTES..]);
    put(batch, at::CRC, crc.to_be_bytes());
}

/// The same, with the CRC of the records alone: they are not read again.
pub(super) fn write_crc_from(batch: &mut [u8], records_crc: u32) {
    let header = crc32c::crc32c(&batch[at::ATTRIBUTES..BATCH_OVERHEAD]);
    let crc = checksum::combine(header, records_crc, batch.len() - BATCH_OVERHEAD);
    put(batch, at::CRC, crc.to_be_bytes());
}

/// Writes a field; `batch` is at least a header long.
pub(super) fn put<const N: usize>(batch: &mut [u8], at: usize, field: [u8; N]) {
    batch[at..at + N].copy_from_slice(&field);
}

/// What a record is known by before it is written: asked once, for the list of headers is behind a
/// virtual call.
#[derive(Clone, Copy)]
pub(super) struct Measure {
    /// The bytes that follow the record's length field.
    pub(super) body: usize,
    timestamp_delta: i64,
    offset_delta: u32,
    headers: usize,
}

impl Measure {
    #[inline]
    pub(super) fn of(record: &NewRecord<'_>, timestamp_delta: i64, offset_delta: u32) -> Self {
        let optional = |bytes: Option<&[u8]>| match bytes {
            None => 1,
            Some(bytes) => varint::len(bytes.len() as i64) + bytes.len(),
        };
        let fixed = 1 + varint::len(timestamp_delta) + varint::len(i64::from(offset_delta));
        let headers = record.headers.count();
        let headers_size = if headers == 0 { 1 } else { headers_size(record, headers) };
        let body = fixed + optional(record.key) + optional(record.value) + headers_size;
        Self { body, timestamp_delta, offset_delta, headers }
    }

    /// The whole record, its length field included, at most.
    #[inline(always)]
    pub(super) fn at_most(&self) -> usize {
        self.body + varint::MAX_I32
    }

    /// The room that [`write_record`] wants.
    #[inline(always)]
    pub(super) fn room(&self) -> usize {
        self.body + varint::MAX_I32 + varint::ROOM
    }
}

fn headers_size(record: &NewRecord<'_>, count: usize) -> usize {
    let each = (0..count).map(|index| {
        let header = record.headers.get(index);
        let value = header.value.map_or(1, |value| varint::len(value.len() as i64) + value.len());
        varint::len(header.name.len() as i64) + header.name.len() + value
    });
    varint::len(count as i64) + each.sum::<usize>()
}

/// Writes one record as it was measured, behind its length; gives how many bytes that are. `room` has
/// at least [`Measure::room`] bytes.
///
/// Numbers are written where they belong: put together on the stack and copied, they would wait some
/// 12 cycles for bytes just stored to be loadable as a vector.
#[inline]
pub(super) fn write_record(room: &mut [u8], record: &NewRecord<'_>, measure: &Measure) -> usize {
    let mut at = varint::put(room, 0, measure.body as i64);
    room[at] = 0; // the record's attributes: none are defined
    at = varint::put(room, at + 1, measure.timestamp_delta);
    at = varint::put(room, at, i64::from(measure.offset_delta));
    at = write_bytes(room, at, record.key);
    at = write_bytes(room, at, record.value);
    write_headers(room, at, record, measure.headers)
}

/// Key, value or header value behind its length, which is −1 for null.
#[inline(always)]
fn write_bytes(room: &mut [u8], at: usize, bytes: Option<&[u8]>) -> usize {
    match bytes {
        None => varint::put(room, at, -1),
        Some(bytes) => {
            let begin = varint::put(room, at, bytes.len() as i64);
            let end = begin + bytes.len();
            room[begin..end].copy_from_slice(bytes);
            end
        }
    }
}

fn write_headers(room: &mut [u8], at: usize, record: &NewRecord<'_>, count: usize) -> usize {
    let mut at = varint::put(room, at, count as i64);
    for index in 0..count {
        let header = record.headers.get(index);
        at = write_bytes(room, at, Some(header.name));
        at = write_bytes(room, at, header.value);
    }
    at
}

/// The error of a record or batch that does not fit into Kafka's 32-bit lengths.
#[cold]
pub(super) fn too_large(size: usize) -> Error {
    let limit = i32::MAX;
    let message = format!("the batch would be {size} bytes long, above Kafka's limit of {limit}");
    Error::new(Code::RECORD_TOO_LARGE, message)
}

/// Refuses a batch of `size` bytes that does not fit into Kafka's 32-bit lengths.
#[inline]
pub(super) fn check_size(size: usize) -> Result<()> {
    if size > i32::MAX as usize { Err(too_large(size)) } else { Ok(()) }
}
