//! Record batch v2: where its fields are, and how a record and a header are written.

use super::header::NewRecord;
use super::{NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE};
use super::{crc, varint};
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

/// Writes the header of a batch whose records already stand behind it, then its CRC.
pub(super) fn write_header(batch: &mut [u8], new: &NewBatch) {
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
    write_crc(batch);
}

/// Writes the CRC-32C, which covers everything from the attributes on (invariant 3.9).
pub(super) fn write_crc(batch: &mut [u8]) {
    let crc = crc32c::crc32c(&batch[at::ATTRIBUTES..]);
    put(batch, at::CRC, crc.to_be_bytes());
}

/// The CRC of the part of the header that holds attributes and identity, for [`mend_crc`].
pub(super) fn identity_crc(batch: &[u8]) -> u32 {
    crc32c::crc32c(&batch[at::ATTRIBUTES..at::COUNT])
}

/// Makes the CRC right again after attributes or identity have changed; `before` is what
/// [`identity_crc`] was. The records are not read again: a CRC is linear, so that a difference at the
/// front changes it by that difference moved over the bytes behind.
pub(super) fn mend_crc(batch: &mut [u8], before: u32) {
    let change = crc::moved(before ^ identity_crc(batch), batch.len() - at::COUNT);
    let mut field = [0; 4];
    field.copy_from_slice(&batch[at::CRC..at::ATTRIBUTES]);
    put(batch, at::CRC, (u32::from_be_bytes(field) ^ change).to_be_bytes());
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
    #[inline]
    pub(super) fn at_most(&self) -> usize {
        self.body + varint::MAX_I32
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

/// Room for the numbers in front of a record's key or value: five varints and the attributes.
const HEAD: usize = 32;

/// Appends one record as it was measured, behind its length.
///
/// This is the producer's hot path. The numbers are written where they belong, into room that two
/// vector stores made; put together on the stack and copied, they would wait some 12 cycles for
/// bytes just stored to be loadable as a vector.
#[inline]
pub(super) fn append_record(buffer: &mut Vec<u8>, record: &NewRecord<'_>, measure: &Measure) {
    buffer.reserve(measure.at_most() + HEAD);
    append_head(buffer, |head, used| {
        varint::put(head, used, measure.body as i64);
        *used += 1; // the record's attributes: none are defined
        varint::put(head, used, measure.timestamp_delta);
        varint::put(head, used, i64::from(measure.offset_delta));
        varint::put(head, used, length(record.key));
        if record.key.is_none() {
            varint::put(head, used, length(record.value));
        }
    });
    if let Some(key) = record.key {
        buffer.extend_from_slice(key);
        append_head(buffer, |head, used| varint::put(head, used, length(record.value)));
    }
    buffer.extend_from_slice(record.value.unwrap_or_default());
    match measure.headers {
        0 => buffer.push(0),
        count => append_headers(buffer, record, count),
    }
}

/// The length field of key, value or header value: −1 for null.
#[inline]
fn length(bytes: Option<&[u8]>) -> i64 {
    bytes.map_or(-1, |bytes| bytes.len() as i64)
}

#[inline(always)]
fn append_head(buffer: &mut Vec<u8>, write: impl FnOnce(&mut [u8; HEAD], &mut usize)) {
    let begin = buffer.len();
    buffer.extend_from_slice(&[0; HEAD]);
    let mut used = 0;
    if let Some(head) = buffer.last_chunk_mut() {
        write(head, &mut used);
    }
    buffer.truncate(begin + used);
}

fn append_headers(buffer: &mut Vec<u8>, record: &NewRecord<'_>, count: usize) {
    append_varint(buffer, count as i64);
    for index in 0..count {
        let header = record.headers.get(index);
        append_varint(buffer, header.name.len() as i64);
        buffer.extend_from_slice(header.name);
        append_varint(buffer, length(header.value));
        buffer.extend_from_slice(header.value.unwrap_or_default());
    }
}

fn append_varint(buffer: &mut Vec<u8>, value: i64) {
    append_head(buffer, |head, used| varint::put(head, used, value));
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
