//! One batch as it came: its header, not yet its records.

use bytes::Bytes;

use super::corrupt::{corrupt, undecodable};
use super::legacy::{self, LOG_OVERHEAD, field, read_message};
use super::legacy_records::MessageCursor;
use super::records::{DecodedBatch, Records};
use super::v2::{self, BATCH_OVERHEAD, LEAST_RECORD, at};
use super::v2_records::BatchCursor;
use super::{
    Compression, Format, Fresh, Memory, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE,
    NO_TIMESTAMP, Span, TimestampType,
};
use crate::error::Result;

/// The header of a batch, and its bytes. What v0 and v1 do not have is −1.
///
/// Plain messages v0 and v1 that follow one another are one batch; attributes and base timestamp
/// are the first one's then, and each record has its own timestamp type.
#[derive(Clone, Debug)]
pub struct RawBatch {
    /// The format, from its magic byte.
    pub format: Format,
    /// The first offset. Of a compressed v0 or v1 wrapper only the last is known before it is
    /// opened: it stands here too.
    pub base_offset: i64,
    /// The last offset the batch stands for, whether or not compaction removed the record.
    pub last_offset: i64,
    /// The leader epoch in which it was appended.
    pub partition_leader_epoch: i32,
    /// The attributes as they came.
    pub attributes: i16,
    /// The timestamp that deltas count from.
    pub base_timestamp: i64,
    /// The largest timestamp, or the time of appending.
    pub max_timestamp: i64,
    /// The producer's id.
    pub producer_id: i64,
    /// The producer's epoch.
    pub producer_epoch: i16,
    /// The sequence number of the first record.
    pub base_sequence: i32,
    /// How many records it says it holds; none for a compressed wrapper, which does not say.
    pub count: Option<u32>,
    /// The whole batch.
    pub bytes: Bytes,
}

/// What a control batch says (invariant 3.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlMarker {
    /// The transaction was aborted.
    Abort,
    /// The transaction was committed.
    Commit,
    /// A kind that this version does not know, to be skipped; none for an empty batch.
    Other(Option<i16>),
}

impl RawBatch {
    /// Reads the header of one whole batch; `bytes` are at least as long as the format's header.
    pub(super) fn parse(format: Format, bytes: Bytes) -> Result<Self> {
        match format {
            Format::V2 => Self::parse_batch(bytes),
            Format::V0 | Format::V1 => Self::parse_messages(format, bytes),
        }
    }

    fn parse_batch(bytes: Bytes) -> Result<Self> {
        let count = i32::from_be_bytes(field(&bytes, at::COUNT)?);
        let last_offset_delta = i32::from_be_bytes(field(&bytes, at::LAST_OFFSET_DELTA)?);
        let base_offset = i64::from_be_bytes(field(&bytes, at::BASE_OFFSET)?);
        let room = bytes.len() - BATCH_OVERHEAD;
        let Ok(known) = u32::try_from(count) else {
            return Err(corrupt(format!("the batch at offset {base_offset} says {count} records")));
        };
        // A compressed batch may hold more records than bytes; how many is checked when it opens.
        if known as usize > room && bytes[at::ATTRIBUTES + 1] & 7 == 0 || known > 0 && room == 0 {
            return Err(corrupt(format!(
                "the batch at offset {base_offset} says {count} records in {room} bytes"
            )));
        }
        let last_offset = base_offset.checked_add(i64::from(last_offset_delta));
        let Some(last_offset) = last_offset.filter(|_| last_offset_delta >= 0) else {
            return Err(corrupt(format!(
                "the batch at offset {base_offset} says {last_offset_delta} for its last offset \
                 delta"
            )));
        };
        Ok(Self {
            format: Format::V2,
            base_offset,
            last_offset,
            partition_leader_epoch: i32::from_be_bytes(field(&bytes, at::LEADER_EPOCH)?),
            attributes: i16::from_be_bytes(field(&bytes, at::ATTRIBUTES)?),
            base_timestamp: i64::from_be_bytes(field(&bytes, at::BASE_TIMESTAMP)?),
            max_timestamp: i64::from_be_bytes(field(&bytes, at::MAX_TIMESTAMP)?),
            producer_id: i64::from_be_bytes(field(&bytes, at::PRODUCER_ID)?),
            producer_epoch: i16::from_be_bytes(field(&bytes, at::PRODUCER_EPOCH)?),
            base_sequence: i32::from_be_bytes(field(&bytes, at::BASE_SEQUENCE)?),
            count: Some(known),
            bytes,
        })
    }

    fn parse_messages(format: Format, bytes: Bytes) -> Result<Self> {
        let base_offset = i64::from_be_bytes(field(&bytes, legacy::at::OFFSET)?);
        let attributes = i16::from(field::<1>(&bytes, legacy::at::ATTRIBUTES)?[0]);
        let plain = Compression::from_attributes(attributes) == Some(Compression::None);
        let (mut begin, mut count) = (0, 0);
        let (mut last_offset, mut base_timestamp, mut max_timestamp) =
            (base_offset, None, i64::MIN);
        while let Ok(size) = field(&bytes, begin + legacy::at::SIZE) {
            let timestamp = match format {
                Format::V0 => NO_TIMESTAMP,
                _ => i64::from_be_bytes(field(&bytes, begin + legacy::at::TIMESTAMP)?),
            };
            last_offset = i64::from_be_bytes(field(&bytes, begin + legacy::at::OFFSET)?);
            base_timestamp.get_or_insert(timestamp);
            max_timestamp = max_timestamp.max(timestamp);
            (begin, count) = (begin + LOG_OVERHEAD + u32::from_be_bytes(size) as usize, count + 1);
        }
        Ok(Self {
            format,
            base_offset,
            last_offset,
            partition_leader_epoch: v2::NO_LEADER_EPOCH,
            attributes,
            base_timestamp: base_timestamp.unwrap_or(NO_TIMESTAMP),
            max_timestamp,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            base_sequence: NO_SEQUENCE,
            count: plain.then_some(count),
            bytes,
        })
    }

    /// The codec.
    ///
    /// # Errors
    /// UNDECODABLE for a number that this version does not know.
    pub fn compression(&self) -> Result<Compression> {
        Compression::from_attributes(self.attributes).ok_or_else(|| {
            let codec = self.attributes & super::compression::CODEC_MASK;
            self.context(undecodable(format!("its codec has the unknown number {codec}")))
        })
    }

    /// Who set the timestamps.
    #[must_use]
    pub fn timestamp_type(&self) -> TimestampType {
        legacy::timestamp_type(self.format, self.attributes)
    }

    /// Whether it belongs to a transaction.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.has(v2::TRANSACTIONAL)
    }

    /// Whether it holds a transaction marker: never delivered, but its offsets count.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.has(v2::CONTROL)
    }

    /// When compaction may remove its tombstones (milliseconds), if its base timestamp says that
    /// (KIP-534).
    #[must_use]
    pub fn delete_horizon(&self) -> Option<i64> {
        self.has(v2::DELETE_HORIZON).then_some(self.base_timestamp)
    }

    fn has(&self, bit: i16) -> bool {
        self.format == Format::V2 && self.attributes & bit != 0
    }

    /// Where to go on after the whole batch: behind its last offset, also when compaction removed
    /// the last record, and when it holds none (invariant 3.5).
    ///
    /// For a v0 or v1 wrapper [`Records::next_offset`] is the better answer: it knows the inside.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.last_offset.saturating_add(1)
    }

    /// Compares the checksum: CRC-32C from the attributes on (v2), CRC-32 from the magic on
    /// (v0, v1). Neither covers the offsets (invariant 3.9).
    ///
    /// # Errors
    /// CORRUPT_MESSAGE.
    pub fn verify(&self) -> Result<()> {
        let verified = match self.format {
            Format::V2 => self.verify_batch(),
            Format::V0 | Format::V1 => self.verify_messages(),
        };
        verified.map_err(|error| self.context(error))
    }

    fn verify_batch(&self) -> Result<()> {
        let stored = u32::from_be_bytes(field(&self.bytes, at::CRC)?);
        let computed = crc32c::crc32c(self.bytes.get(at::ATTRIBUTES..).unwrap_or_default());
        if computed == stored {
            return Ok(());
        }
        Err(corrupt(format!("its CRC-32C is {computed:#010x}, not {stored:#010x}")))
    }

    fn verify_messages(&self) -> Result<()> {
        let mut begin = 0;
        while begin < self.bytes.len() {
            let message = read_message(&self.bytes, begin)?;
            legacy::verify(&self.bytes, begin, &message)?;
            begin = message.end;
        }
        Ok(())
    }

    /// Checks the CRC if asked to, decompresses into at most `max_decompressed` bytes, and gives
    /// the records, to be read one after another.
    ///
    /// # Errors
    /// CORRUPT_MESSAGE for a wrong CRC, UNDECODABLE for what cannot be decompressed or read; both
    /// name the offset (invariant 3.13).
    pub fn open(self, check_crc: bool, max_decompressed: usize) -> Result<Records> {
        self.open_in(check_crc, max_decompressed, &Fresh)
    }

    /// As [`open`](Self::open), decompressing into `memory`.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_in(
        self,
        check_crc: bool,
        max_decompressed: usize,
        memory: &dyn Memory,
    ) -> Result<Records> {
        // Plain messages are checked one by one as they are read: those before a bad one are good.
        if check_crc && (self.format == Format::V2 || self.count.is_none()) {
            self.verify()?;
        }
        if self.base_offset < 0 || self.last_offset == i64::MAX {
            return Err(self.context(corrupt("an offset of a stored batch cannot be this")));
        }
        let opened = match self.format {
            Format::V2 => self.open_batch(max_decompressed, memory),
            Format::V0 | Format::V1 => self.open_messages(check_crc, max_decompressed, memory),
        };
        opened.map_err(|error| self.context(error))
    }

    fn open_batch(&self, cap: usize, memory: &dyn Memory) -> Result<Records> {
        let count = self.count.unwrap_or(0);
        let compression = self.compression()?;
        let (buffer, begin) = if compression == Compression::None || count == 0 {
            (self.bytes.clone(), BATCH_OVERHEAD)
        } else {
            let records = self.bytes.get(BATCH_OVERHEAD..).unwrap_or_default();
            (compression.decompress_in(Format::V2, records, cap, memory)?, 0)
        };
        let room = buffer.len() - begin;
        if (count as usize).saturating_mul(LEAST_RECORD) > room || count == 0 && room > 0 {
            return Err(undecodable(format!("it says {count} records in {room} bytes")));
        }
        Ok(Records::of_batch(buffer, self.next_offset(), BatchCursor::new(self, begin, count)))
    }

    fn open_messages(&self, check_crc: bool, cap: usize, memory: &dyn Memory) -> Result<Records> {
        let compression = self.compression()?;
        if compression == Compression::None {
            let cursor = MessageCursor::plain(self.count.unwrap_or(0), check_crc);
            let bytes = self.bytes.clone();
            return Ok(Records::of_messages(bytes, self.next_offset(), cursor));
        }
        let wrapper = read_message(&self.bytes, 0)?;
        compression.check(self.format).map_err(|error| undecodable(error.message()))?;
        let value = wrapper.value.of(&self.bytes).filter(|_| wrapper.value != Span::NULL);
        let value = value.ok_or_else(|| undecodable("the compressed message has no value"))?;
        let buffer = compression.decompress_in(self.format, value, cap, memory)?;
        let (cursor, last) = MessageCursor::wrapped(&wrapper, &buffer, check_crc)?;
        let next_offset = self.last_offset.max(last).saturating_add(1);
        Ok(Records::of_messages(buffer, next_offset, cursor))
    }

    /// [`open`](Self::open), and all records at once.
    ///
    /// # Errors
    /// As `open`, and UNDECODABLE if any record is malformed.
    pub fn decode(self, check_crc: bool, max_decompressed: usize) -> Result<DecodedBatch> {
        self.open(check_crc, max_decompressed)?.decode()
    }

    /// What this control batch says: its first record's key (version, type) alone matters.
    ///
    /// # Errors
    /// As [`open`](Self::open); UNDECODABLE for a key that is shorter than its two numbers.
    pub fn control_marker(
        &self,
        check_crc: bool,
        max_decompressed: usize,
    ) -> Result<ControlMarker> {
        let mut records = self.clone().open(check_crc, max_decompressed)?;
        let mut key = Span::NULL;
        if records.visit(1, &mut |record| key = record.key)? == 0 {
            return Ok(ControlMarker::Other(None));
        }
        match key.of(records.buffer()) {
            Some(&[_, _, high, low, ..]) => Ok(match i16::from_be_bytes([high, low]) {
                0 => ControlMarker::Abort,
                1 => ControlMarker::Commit,
                other => ControlMarker::Other(Some(other)),
            }),
            _ => Err(self.context(undecodable("the key of a control record is too short"))),
        }
    }

    /// Says in front of `error` which batch it is about.
    fn context(&self, error: crate::Error) -> crate::Error {
        let offset = self.last_offset;
        let text = match self.format {
            Format::V2 => format!("the record batch at offset {} is bad", self.base_offset),
            format => format!("the message {format} at offset {offset} is bad"),
        };
        crate::Error::new(error.code(), text).caused_by(error)
    }
}
