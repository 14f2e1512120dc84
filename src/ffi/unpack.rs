//! Records that come packed in one buffer.

use super::args::{Out, array, bytes};
use super::handle::look;
use super::record::{partition_of, samsa_packed};
use super::topic::{TopicHandle, samsa_topic};
use crate::error::{Code, Error, Result};
use crate::producer::{List, Record};
use crate::protocol::record::Header;

/// Takes a packed buffer apart, record by record.
pub(super) struct Unpacker<'a> {
    topic: &'a TopicHandle,
    partition: Option<i64>,
    buffer: &'a [u8],
    keys: Option<&'a [u32]>,
    values: Option<&'a [u32]>,
    timestamps: Option<&'a [i64]>,
    opaques: Option<&'a [u64]>,
    headers_counts: Option<&'a [u32]>,
    header_lengths: &'a [u32],
    count: usize,
    next: usize,
    /// How long the record is that `first` showed.
    ahead: usize,
    accepted: Out<usize>,
}

impl<'a> Unpacker<'a> {
    /// # Errors
    /// INVALID_ARGUMENT for columns that are NULL with a length, and when the lengths do not use up the
    /// buffer: a caller that counts wrong must not lose bytes in silence.
    ///
    /// # Safety
    /// Everything that `packed` points to lives during `'a`.
    pub(super) unsafe fn new(packed: &samsa_packed, accepted: Out<usize>) -> Result<Self> {
        /// A column of as many elements as there are records, or NULL.
        ///
        /// # Safety
        /// As `array`.
        unsafe fn column<'a, T>(
            name: &str,
            pointer: *const T,
            count: usize,
        ) -> Result<Option<&'a [T]>> {
            if pointer.is_null() {
                return Ok(None);
            }
            // SAFETY: by the contract of this function.
            unsafe { array(name, pointer, count) }.map(Some)
        }
        let count = packed.count;
        // SAFETY: by the contract of this function.
        let unpacker = unsafe {
            Self {
                topic: look::<samsa_topic>(packed.topic)?.inner()?,
                partition: partition_of(packed.flags, packed.partition)?,
                buffer: bytes("buffer", packed.buffer, packed.buffer_length)?.unwrap_or_default(),
                keys: column("key_lengths", packed.key_lengths, count)?,
                values: column("value_lengths", packed.value_lengths, count)?,
                timestamps: column("timestamps", packed.timestamps, count)?,
                opaques: column("opaques", packed.opaques, count)?,
                headers_counts: column("headers_counts", packed.headers_counts, count)?,
                header_lengths: array(
                    "header_lengths",
                    packed.header_lengths,
                    packed.header_lengths_count,
                )?,
                count,
                next: 0,
                ahead: 0,
                accepted,
            }
        };
        unpacker.check_lengths()?;
        Ok(unpacker)
    }

    /// Refuses a buffer or a list of header lengths that is longer than the records say. One that is too
    /// short is found where it ends.
    fn check_lengths(&self) -> Result<()> {
        let sum = |lengths: &[u32]| -> u64 {
            lengths
                .iter()
                .map(|length| if *length == ABSENT { 0 } else { u64::from(*length) })
                .sum()
        };
        let columns = [self.keys, self.values, Some(self.header_lengths)];
        let bytes: u64 = columns.into_iter().flatten().map(sum).sum();
        if bytes < self.buffer.len() as u64 {
            let text = format!(
                "buffer_length is {}, but the lengths of the records add up to {bytes}",
                self.buffer.len()
            );
            return Err(Error::new(Code::INVALID_ARGUMENT, text));
        }
        let counts = self.headers_counts.unwrap_or_default();
        let lengths = 2 * counts.iter().map(|count| u64::from(*count)).sum::<u64>();
        if lengths < self.header_lengths.len() as u64 {
            let text = format!(
                "header_lengths_count is {}, but headers_counts ask for {lengths}",
                self.header_lengths.len()
            );
            return Err(Error::new(Code::INVALID_ARGUMENT, text));
        }
        Ok(())
    }

    /// The bytes at the front of the buffer behind `before`, as long as a column says.
    #[inline(always)]
    fn field(&self, column: Option<&[u32]>, before: usize) -> Option<Option<&'a [u8]>> {
        match column {
            None => Some(None),
            Some(column) => match *column.get(self.next)? {
                ABSENT => Some(None),
                length => Some(Some(self.buffer.get(before..)?.get(..length as usize)?)),
            },
        }
    }

    /// Gives the next record to `take`; false after the last.
    ///
    /// # Errors
    /// INVALID_ARGUMENT when its lengths are more than the buffer has; what `take` gives.
    pub(super) fn next(
        &mut self,
        headers: &mut Vec<Header<'a>>,
        take: impl FnOnce(&Record<'_>) -> Result<()>,
    ) -> Result<bool> {
        if self.next >= self.count {
            return Ok(false);
        }
        let index = self.next;
        let length = |column: Option<&[u32]>| column.map_or(ABSENT, |column| column[index]);
        let key = self.cut(length(self.keys))?;
        let value = self.cut(length(self.values))?;
        headers.clear();
        for _ in 0..self.headers_counts.map_or(0, |counts| counts[index]) {
            let header = self.header()?;
            headers.push(header);
        }
        let record = Record {
            topic: &self.topic.topic,
            partition: self.partition,
            timestamp: self.timestamps.map(|timestamps| timestamps[index]),
            key,
            value,
            headers: if headers.is_empty() { &() } else { headers },
            opaque: self.opaques.map_or(0, |opaques| opaques[index]),
        };
        take(&record)?;
        self.next += 1;
        self.accepted.set(self.next);
        Ok(true)
    }

    fn header(&mut self) -> Result<Header<'a>> {
        let Some((lengths, rest)) = self.header_lengths.split_at_checked(2) else {
            return Err(self.too_short("header_lengths"));
        };
        self.header_lengths = rest;
        let name = self.cut(lengths[0])?.unwrap_or_default();
        Ok(Header { name, value: self.cut(lengths[1])? })
    }

    fn cut(&mut self, length: u32) -> Result<Option<&'a [u8]>> {
        if length == ABSENT {
            return Ok(None);
        }
        let Some((bytes, rest)) = self.buffer.split_at_checked(length as usize) else {
            return Err(self.too_short("buffer"));
        };
        self.buffer = rest;
        Ok(Some(bytes))
    }

    fn too_short(&self, what: &str) -> Error {
        let text = format!("{what} ends within record {} of {}", self.next, self.count);
        Error::new(Code::INVALID_ARGUMENT, text)
    }
}

/// Records without headers; the bytes stay at the front of the buffer until they are accepted.
impl<'a> List<'a> for Unpacker<'a> {
    #[inline(always)]
    fn first(&mut self) -> Option<Record<'a>> {
        if self.next >= self.count || self.headers_counts.is_some() {
            return None;
        }
        let key = self.field(self.keys, 0)?;
        let key_length = key.map_or(0, <[u8]>::len);
        let value = self.field(self.values, key_length)?;
        self.ahead = key_length + value.map_or(0, <[u8]>::len);
        Some(Record {
            topic: &self.topic.topic,
            partition: self.partition,
            timestamp: match self.timestamps {
                Some(timestamps) => Some(*timestamps.get(self.next)?),
                None => None,
            },
            key,
            value,
            headers: &(),
            opaque: match self.opaques {
                Some(opaques) => *opaques.get(self.next)?,
                None => 0,
            },
        })
    }

    #[inline(always)]
    fn drop_first(&mut self) {
        self.buffer = self.buffer.get(self.ahead..).unwrap_or_default();
        self.next += 1;
        self.accepted.set(self.next);
    }
}

/// The length that stands for null.
const ABSENT: u32 = u32::MAX;
