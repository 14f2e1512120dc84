//! What a broker does with a produced payload: check it, give it offsets, keep it as it was sent.

use bytes::{Bytes, BytesMut};

use super::corrupt::undecodable;
use super::legacy::{self, NewMessage, read_message};
use super::legacy_records::check_inner;
use super::v2::{self, LOG_APPEND_TIME, at, put};
use super::{BatchIter, Compression, Format, NO_PRODUCER_ID, RawBatch, TimestampType};
use crate::error::{Code, Error, Result};

/// What is assigned to the records of a produced payload, and how closely it is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Assignment {
    /// The offset of the first record.
    pub base_offset: i64,
    /// The leader epoch, for v2.
    pub leader_epoch: i32,
    /// The time of appending for a topic with `message.timestamp.type=LogAppendTime`, else none.
    pub append_time: Option<i64>,
    /// Whether the records of v2 batches are read too, as brokers do. v0 and v1 are always read:
    /// nothing else says how many there are.
    pub check_records: bool,
    /// The cap of decompression, in bytes.
    pub max_decompressed: usize,
}

/// A batch, or a run of plain messages v0 or v1, with its offsets in place: what a log keeps and a
/// Fetch answer carries.
#[derive(Clone, Debug)]
pub struct StoredBatch {
    /// The bytes, a copy that does not hold on to the request.
    pub bytes: Bytes,
    /// The format.
    pub format: Format,
    /// The first offset.
    pub base_offset: i64,
    /// The last offset.
    pub last_offset: i64,
    /// How many records there are.
    pub count: u32,
    /// The largest timestamp, −1 for none.
    pub max_timestamp: i64,
    /// The producer's id, −1 for none.
    pub producer_id: i64,
    /// The producer's epoch, −1 for none.
    pub producer_epoch: i16,
    /// The sequence number of the first record, −1 for none.
    pub base_sequence: i32,
    /// Whether it belongs to a transaction.
    pub transactional: bool,
}

/// Checks a produced payload and assigns offsets to its records, in order and without gaps.
///
/// Batches v2 get base offset and leader epoch, which their CRC does not cover. Messages v0 and v1
/// get an offset each; a v1 wrapper gets that of its last message if the inner ones are 0…n−1, and
/// is made anew with those else, as is a v0 wrapper, whose inner offsets are absolute.
///
/// # Errors
/// CORRUPT_MESSAGE for a wrong CRC, a broken frame, or a last batch that is cut; INVALID_RECORD for
/// a v2 batch that no producer may send (invariant 3.15); INVALID_TIMESTAMP for one that claims the
/// broker's time; UNDECODABLE for records that cannot be read.
pub fn assign_offsets(produced: Bytes, assignment: &Assignment) -> Result<Vec<StoredBatch>> {
    let mut next = *assignment;
    let mut stored: Vec<StoredBatch> = Vec::new();
    let mut batches = BatchIter::new(produced);
    for batch in batches.by_ref() {
        let batch = batch?;
        batch.verify()?;
        let one = match batch.format {
            Format::V2 => store_batch(&batch, &next)?,
            Format::V0 | Format::V1 if batch.compression()? == Compression::None => {
                store_messages(&batch, &next)?
            }
            Format::V0 | Format::V1 => store_wrapper(&batch, &next)?,
        };
        next.base_offset = one.last_offset + 1;
        stored.push(one);
    }
    if batches.truncated() {
        return Err(super::corrupt::corrupt("the last batch of the request is cut"));
    }
    Ok(stored)
}

impl StoredBatch {
    fn of(batch: &RawBatch, bytes: Bytes, base_offset: i64, count: u32) -> Self {
        Self {
            bytes,
            format: batch.format,
            base_offset,
            last_offset: base_offset + i64::from(count) - 1,
            count,
            max_timestamp: batch.max_timestamp,
            producer_id: batch.producer_id,
            producer_epoch: batch.producer_epoch,
            base_sequence: batch.base_sequence,
            transactional: batch.is_transactional(),
        }
    }
}

fn store_batch(batch: &RawBatch, assignment: &Assignment) -> Result<StoredBatch> {
    let count = check_header(batch)?;
    if assignment.check_records {
        check_records(batch, count, assignment.max_decompressed)?;
    }
    let mut bytes = BytesMut::from(&batch.bytes[..]);
    put(&mut bytes, at::BASE_OFFSET, assignment.base_offset.to_be_bytes());
    put(&mut bytes, at::LEADER_EPOCH, assignment.leader_epoch.to_be_bytes());
    if let Some(time) = assignment.append_time {
        put(&mut bytes, at::ATTRIBUTES, (batch.attributes | LOG_APPEND_TIME).to_be_bytes());
        put(&mut bytes, at::MAX_TIMESTAMP, time.to_be_bytes());
        v2::write_crc(&mut bytes);
    }
    let stored = StoredBatch::of(batch, bytes.freeze(), assignment.base_offset, count);
    Ok(StoredBatch {
        max_timestamp: assignment.append_time.unwrap_or(batch.max_timestamp),
        ..stored
    })
}

/// What a broker refuses in a header (invariant 3.15).
fn check_header(batch: &RawBatch) -> Result<u32> {
    let invalid = |text: String| Err(Error::new(Code::INVALID_RECORD, text));
    let count = batch.count.unwrap_or(0);
    let span = batch.last_offset - batch.base_offset + 1;
    if count == 0 || span != i64::from(count) {
        return invalid(format!("a produced batch of {count} records spans {span} offsets"));
    }
    if batch.is_control() {
        return invalid("a producer cannot write control batches".to_owned());
    }
    if batch.producer_id != NO_PRODUCER_ID && batch.base_sequence < 0 {
        let (id, sequence) = (batch.producer_id, batch.base_sequence);
        return invalid(format!("producer {id} sent the sequence number {sequence}"));
    }
    if batch.timestamp_type() == TimestampType::LogAppendTime {
        let text = "a producer cannot say that its timestamps are the broker's";
        return Err(Error::new(Code::INVALID_TIMESTAMP, text));
    }
    Ok(count)
}

fn check_records(batch: &RawBatch, count: u32, cap: usize) -> Result<()> {
    // Clients may leave anything in the base offset; brokers overwrite it.
    let batch = RawBatch { base_offset: 0, last_offset: i64::from(count) - 1, ..batch.clone() };
    let mut expected = 0;
    let mut in_order = true;
    batch.open(false, cap)?.visit(u32::MAX, &mut |record| {
        in_order &= record.offset == expected;
        expected += 1;
    })?;
    if in_order {
        return Ok(());
    }
    Err(Error::new(Code::INVALID_RECORD, "the offsets in a produced batch are not 0, 1, 2, …"))
}

fn store_messages(batch: &RawBatch, assignment: &Assignment) -> Result<StoredBatch> {
    let mut bytes = BytesMut::from(&batch.bytes[..]);
    let (mut begin, mut count) = (0, 0_u32);
    while begin < bytes.len() {
        let end = read_message(&bytes, begin)?.end;
        let offset = assignment.base_offset + i64::from(count);
        renew(&mut bytes[begin..end], batch.format, offset, assignment.append_time);
        (begin, count) = (end, count + 1);
    }
    let stored = StoredBatch::of(batch, bytes.freeze(), assignment.base_offset, count);
    Ok(StoredBatch { max_timestamp: stored_time(batch, assignment), ..stored })
}

fn stored_time(batch: &RawBatch, assignment: &Assignment) -> i64 {
    match assignment.append_time {
        Some(time) if batch.format == Format::V1 => time,
        _ => batch.max_timestamp,
    }
}

/// Gives one message another offset, and in v1 the time of appending.
fn renew(message: &mut [u8], format: Format, offset: i64, append_time: Option<i64>) {
    put(message, legacy::at::OFFSET, offset.to_be_bytes());
    if let (Some(time), Format::V1) = (append_time, format) {
        message[legacy::at::ATTRIBUTES] |= LOG_APPEND_TIME as u8;
        put(message, legacy::at::TIMESTAMP, time.to_be_bytes());
        legacy::write_crc(message);
    }
}

fn store_wrapper(batch: &RawBatch, assignment: &Assignment) -> Result<StoredBatch> {
    let compression = batch.compression()?;
    compression.check(batch.format)?;
    let wrapper = read_message(&batch.bytes, 0)?;
    let value = wrapper.value.of(&batch.bytes);
    let value = value.ok_or_else(|| undecodable("the compressed message has no value"))?;
    let mut inner = compression.decompress(batch.format, value, assignment.max_decompressed)?;

    let relative = batch.format == Format::V1;
    let first = if relative { 0 } else { assignment.base_offset };
    let (count, in_place) = renumber(&mut inner, batch.format, first)?;
    let last_offset = assignment.base_offset + i64::from(count) - 1;
    let bytes = if in_place {
        let mut bytes = BytesMut::from(&batch.bytes[..]);
        renew(&mut bytes, batch.format, last_offset, assignment.append_time);
        bytes.freeze()
    } else {
        let mut value = Vec::with_capacity(value.len());
        compression.compress(None, batch.format, &inner, &mut value)?;
        let time = if relative { assignment.append_time } else { None };
        let mut bytes = Vec::new();
        let message = NewMessage {
            format: batch.format,
            offset: last_offset,
            attributes: batch.attributes | if time.is_some() { LOG_APPEND_TIME } else { 0 },
            timestamp: time.unwrap_or(wrapper.timestamp),
            key: None,
            value: Some(&value),
        };
        legacy::append_message(&mut bytes, &message);
        Bytes::from(bytes)
    };
    let stored = StoredBatch::of(batch, bytes, assignment.base_offset, count);
    Ok(StoredBatch { max_timestamp: stored_time(batch, assignment), ..stored })
}

/// Numbers the messages in `inner` from `first` on; says how many there are, and whether they had
/// these numbers before.
fn renumber(inner: &mut [u8], format: Format, first: i64) -> Result<(u32, bool)> {
    let (mut begin, mut count, mut as_before) = (0, 0_u32, true);
    while begin < inner.len() {
        let message = read_message(inner, begin)?;
        check_inner(format, &message)?;
        legacy::verify(inner, begin, &message)?;
        let offset = first + i64::from(count);
        as_before &= message.offset == offset;
        put(&mut inner[begin..], legacy::at::OFFSET, offset.to_be_bytes());
        (begin, count) = (message.end, count + 1);
    }
    if count == 0 {
        return Err(undecodable("the wrapper holds no message"));
    }
    Ok((count, as_before))
}
