//! The heads of record batches and old messages, as far as a broker reads them: it checks and
//! patches the head and never looks at a record. Kept apart from the client's own reader on
//! purpose: the two then judge each other.

use crate::error::{Code, Error, Result};

/// Bytes of a v2 batch before its first record.
pub(super) const HEAD: usize = 61;
/// The least that one record of a v2 batch takes.
pub(super) const LEAST_RECORD: usize = 7;
/// Offset and size: what precedes every batch and every old message.
pub(super) const PREFIX: usize = 12;
/// Bytes of an old message (magic 0) with null key and value, its prefix included.
const OLD_LEAST: usize = PREFIX + 14;

const TIMESTAMP_TYPE: i16 = 0x08;

/// What a broker knows of one batch (v2) or one old message (v0, v1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) base_offset: i64,
    /// Bytes in all, the prefix included.
    pub(super) length: usize,
    pub(super) magic: u8,
    pub(super) attributes: i16,
    /// v2 only; 0 else.
    pub(super) last_offset_delta: i32,
    /// v2: of the batch; v1: of the message; v0: −1.
    pub(super) max_timestamp: i64,
    pub(super) producer_id: i64,
    pub(super) producer_epoch: i16,
    pub(super) base_sequence: i32,
    /// v2: as the head says; 1 else.
    pub(super) count: i32,
}

impl Head {
    /// Reads the head at the start of `bytes`, which must hold the whole batch.
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        let base_offset = i64_at(bytes, 0)?;
        let size = i32_at(bytes, 8)?;
        let length = usize::try_from(size).ok().map_or(0, |s| s.saturating_add(PREFIX));
        if length < OLD_LEAST || length > bytes.len() {
            return Err(corrupt(format!(
                "a batch of {length} bytes where {} are left",
                bytes.len()
            )));
        }
        match byte_at(bytes, 16)? {
            magic @ 0..=1 => Self::read_old(bytes, base_offset, length, magic),
            2 => Self::read_v2(bytes, base_offset, length),
            magic => Err(corrupt(format!("magic {magic} is not known"))),
        }
    }

    fn read_old(bytes: &[u8], base_offset: i64, length: usize, magic: u8) -> Result<Self> {
        let attributes = i16::from(byte_at(bytes, 17)?);
        let max_timestamp = if magic == 1 { i64_at(bytes, 18)? } else { -1 };
        Ok(Self {
            base_offset,
            length,
            magic,
            attributes,
            last_offset_delta: 0,
            max_timestamp,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            count: 1,
        })
    }

    fn read_v2(bytes: &[u8], base_offset: i64, length: usize) -> Result<Self> {
        if length < HEAD {
            return Err(corrupt(format!("a batch of {length} bytes is shorter than its head")));
        }
        Ok(Self {
            base_offset,
            length,
            magic: 2,
            attributes: i16_at(bytes, 21)?,
            last_offset_delta: i32_at(bytes, 23)?,
            max_timestamp: i64_at(bytes, 35)?,
            producer_id: i64_at(bytes, 43)?,
            producer_epoch: i16_at(bytes, 51)?,
            base_sequence: i32_at(bytes, 53)?,
            count: i32_at(bytes, 57)?,
        })
    }

    /// The codec's number: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
    pub(super) fn codec(&self) -> u8 {
        u8::try_from(self.attributes & 0x07).unwrap_or(0)
    }

    /// Whether the checksum fits `batch`, the bytes that this head was read from.
    pub(super) fn checksum_fits(&self, batch: &[u8]) -> bool {
        let Some(batch) = batch.get(..self.length) else { return false };
        if self.magic == 2 {
            u32_at(batch, 17).is_ok_and(|crc| crc == crc32c::crc32c(&batch[21..]))
        } else {
            u32_at(batch, PREFIX).is_ok_and(|crc| crc == crc32fast::hash(&batch[16..]))
        }
    }
}

/// Gives an appended batch its place: the first offset and, in v2, the leader epoch. Neither is
/// under the checksum. An old wrapper carries the offset of its last message (`last`).
pub(super) fn place(batch: &mut [u8], magic: u8, base: i64, last: i64, leader_epoch: i32) {
    if magic == 2 {
        put(batch, 0, &base.to_be_bytes());
        put(batch, PREFIX, &leader_epoch.to_be_bytes());
    } else {
        put(batch, 0, &last.to_be_bytes());
    }
}

/// Stamps the broker's time on a batch (KIP-32). Time and attributes are under the checksum, which
/// is made anew; magic 0 has no time.
pub(super) fn stamp_append_time(batch: &mut [u8], magic: u8, now: i64) {
    match magic {
        2 => {
            let attributes = i16_at(batch, 21).unwrap_or(0) | TIMESTAMP_TYPE;
            put(batch, 21, &attributes.to_be_bytes());
            put(batch, 35, &now.to_be_bytes());
            let crc = crc32c::crc32c(batch.get(21..).unwrap_or_default());
            put(batch, 17, &crc.to_be_bytes());
        }
        1 => {
            let attributes = byte_at(batch, 17).unwrap_or(0) | 0x08;
            put(batch, 17, &[attributes]);
            put(batch, 18, &now.to_be_bytes());
            let crc = crc32fast::hash(batch.get(16..).unwrap_or_default());
            put(batch, PREFIX, &crc.to_be_bytes());
        }
        _ => {}
    }
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

fn corrupt(message: String) -> Error {
    Error::new(Code::CORRUPT_MESSAGE, message)
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    bytes
        .get(at..at + N)
        .and_then(|b| b.try_into().ok())
        .ok_or_else(|| corrupt(format!("{} bytes are too few for a batch", bytes.len())))
}

fn byte_at(bytes: &[u8], at: usize) -> Result<u8> {
    array_at::<1>(bytes, at).map(|b| b[0])
}

fn i16_at(bytes: &[u8], at: usize) -> Result<i16> {
    array_at(bytes, at).map(i16::from_be_bytes)
}

fn i32_at(bytes: &[u8], at: usize) -> Result<i32> {
    array_at(bytes, at).map(i32::from_be_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    array_at(bytes, at).map(u32::from_be_bytes)
}

fn i64_at(bytes: &[u8], at: usize) -> Result<i64> {
    array_at(bytes, at).map(i64::from_be_bytes)
}

/// Batches made by hand for the tests of this room.
#[cfg(test)]
pub(super) mod samples {
    use super::{HEAD, PREFIX, put};

    /// A v2 batch of `count` records whose bodies are `body` (never read by a broker).
    pub(crate) fn v2(count: i32, max_timestamp: i64, body: &[u8]) -> Vec<u8> {
        v2_of(count, max_timestamp, body, -1, -1, -1)
    }

    pub(crate) fn v2_of(
        count: i32,
        max_timestamp: i64,
        body: &[u8],
        producer_id: i64,
        epoch: i16,
        sequence: i32,
    ) -> Vec<u8> {
        let mut batch = vec![0; HEAD];
        batch.extend_from_slice(body);
        let size = i32::try_from(batch.len() - PREFIX).unwrap();
        put(&mut batch, 8, &size.to_be_bytes());
        put(&mut batch, 12, &(-1_i32).to_be_bytes());
        put(&mut batch, 16, &[2]);
        put(&mut batch, 23, &(count - 1).to_be_bytes());
        put(&mut batch, 35, &max_timestamp.to_be_bytes());
        put(&mut batch, 43, &producer_id.to_be_bytes());
        put(&mut batch, 51, &epoch.to_be_bytes());
        put(&mut batch, 53, &sequence.to_be_bytes());
        put(&mut batch, 57, &count.to_be_bytes());
        let crc = crc32c::crc32c(&batch[21..]);
        put(&mut batch, 17, &crc.to_be_bytes());
        batch
    }

    /// An uncompressed message of magic 0 with a null key.
    pub(crate) fn v0(value: &[u8]) -> Vec<u8> {
        let mut message = vec![0; PREFIX + 4];
        message.extend_from_slice(&[0, 0]);
        message.extend_from_slice(&(-1_i32).to_be_bytes());
        message.extend_from_slice(&i32::try_from(value.len()).unwrap().to_be_bytes());
        message.extend_from_slice(value);
        let size = i32::try_from(message.len() - PREFIX).unwrap();
        put(&mut message, 8, &size.to_be_bytes());
        let crc = crc32fast::hash(&message[16..]);
        put(&mut message, PREFIX, &crc.to_be_bytes());
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placing_a_batch_leaves_its_checksum_right() {
        let mut batch = samples::v2(3, 99, b"records");
        place(&mut batch, 2, 1_000, 1_002, 5);
        let head = Head::read(&batch).unwrap();
        assert_eq!((head.base_offset, head.count, head.max_timestamp), (1_000, 3, 99));
        assert!(head.checksum_fits(&batch));
    }

    #[test]
    fn stamping_the_append_time_makes_the_checksum_anew() {
        let mut batch = samples::v2(1, 99, b"records");
        stamp_append_time(&mut batch, 2, 7_777);
        let head = Head::read(&batch).unwrap();
        assert_eq!((head.max_timestamp, head.attributes & TIMESTAMP_TYPE), (7_777, TIMESTAMP_TYPE));
        assert!(head.checksum_fits(&batch));
    }

    #[test]
    fn a_flipped_bit_is_seen_in_both_formats() {
        for mut batch in [samples::v2(1, 1, b"abc"), samples::v0(b"abc")] {
            let head = Head::read(&batch).unwrap();
            assert!(head.checksum_fits(&batch));
            *batch.last_mut().unwrap() ^= 1;
            assert!(!head.checksum_fits(&batch));
        }
    }

    #[test]
    fn every_truncation_of_a_batch_is_an_error() {
        for batch in [samples::v2(1, 1, b"abc"), samples::v0(b"abc")] {
            for end in 0..batch.len() {
                assert!(Head::read(&batch[..end]).is_err(), "{end} of {} bytes", batch.len());
            }
        }
    }
}
