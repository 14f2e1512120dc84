//! `samsa_record` and `samsa_packed`: records on their way in.

use std::ffi::c_void;
use std::mem::offset_of;

use super::args::{self, array, bytes};
use super::handle::look;
use super::header::samsa_header;
use super::topic::{TopicHandle, samsa_topic};
use crate::error::{Code, Error, Result};
use crate::producer::Record;
use crate::protocol::record::{Header, Headers};

/// In samsa_record.flags and samsa_packed.flags: `partition` says where to; else the partitioner
/// chooses.
pub const SAMSA_RECORD_PARTITION: u32 = 1;
/// In samsa_record.flags: `timestamp` is given; else it is the time of the call.
pub const SAMSA_RECORD_TIMESTAMP: u32 = 2;

const KNOWN_FLAGS: u32 = SAMSA_RECORD_PARTITION | SAMSA_RECORD_TIMESTAMP;

/// One record to be sent, 72 bytes. All zero means: null key and value, no headers, the partitioner
/// chooses, now. Only what a call reads is borrowed, and only for the call: accepted records are copied.
///
/// An array of records is passed with the size of one, so that the struct may grow at its end.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct samsa_record {
    /// Where to: a topic of the producer's cluster.
    pub topic: *mut samsa_topic,
    /// The key, or NULL for none; an empty key is not NULL.
    pub key: *const c_void,
    /// The value, or NULL for none; an empty value is not NULL.
    pub value: *const c_void,
    /// The headers, or NULL for none.
    pub headers: *const samsa_header,
    /// The program's own mark, given back with the outcome; never looked at.
    pub opaque: *mut c_void,
    /// The partition, if flags has SAMSA_RECORD_PARTITION; -1 lets the partitioner choose.
    pub partition: i64,
    /// Milliseconds since 1970, if flags has SAMSA_RECORD_TIMESTAMP.
    pub timestamp: i64,
    /// Bytes of the key.
    pub key_length: u32,
    /// Bytes of the value.
    pub value_length: u32,
    /// How many headers.
    pub headers_count: u32,
    /// SAMSA_RECORD_... bits; others must be 0.
    pub flags: u32,
}

/// Many records to one topic, whose bytes lie one after the other in one buffer: for languages that
/// would have to build each samsa_record. Set struct_size to sizeof(samsa_packed); all zero else means
/// no records.
///
/// The buffer holds for each record its key, its value, then for each of its headers name and value,
/// without anything between them. A length of UINT32_MAX stands for null and takes no bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct samsa_packed {
    /// sizeof(samsa_packed).
    pub struct_size: usize,
    /// Where to: a topic of the producer's cluster.
    pub topic: *mut samsa_topic,
    /// How many records.
    pub count: usize,
    /// The bytes of all records.
    pub buffer: *const c_void,
    /// How many bytes they are.
    pub buffer_length: usize,
    /// The length of each key; NULL: no record has a key.
    pub key_lengths: *const u32,
    /// The length of each value; NULL: no record has a value.
    pub value_lengths: *const u32,
    /// Milliseconds since 1970 of each record; NULL: the time of the call.
    pub timestamps: *const i64,
    /// The program's mark of each record, given back with its outcome; NULL: none.
    pub opaques: *const u64,
    /// How many headers each record has; NULL: none.
    pub headers_counts: *const u32,
    /// The lengths of name and value of each header, of all records; NULL without headers.
    pub header_lengths: *const u32,
    /// How many lengths that are: two per header.
    pub header_lengths_count: usize,
    /// The partition for all, if flags has SAMSA_RECORD_PARTITION; -1 lets the partitioner choose.
    pub partition: i64,
    /// SAMSA_RECORD_PARTITION or 0.
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
}

#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<samsa_record>() == 72);
    assert!(offset_of!(samsa_record, key) == 8);
    assert!(offset_of!(samsa_record, value) == 16);
    assert!(offset_of!(samsa_record, headers) == 24);
    assert!(offset_of!(samsa_record, opaque) == 32);
    assert!(offset_of!(samsa_record, partition) == 40);
    assert!(offset_of!(samsa_record, timestamp) == 48);
    assert!(offset_of!(samsa_record, key_length) == 56);
    assert!(offset_of!(samsa_record, value_length) == 60);
    assert!(offset_of!(samsa_record, headers_count) == 64);
    assert!(offset_of!(samsa_record, flags) == 68);
    assert!(size_of::<samsa_packed>() == 112);
    assert!(offset_of!(samsa_packed, topic) == 8);
    assert!(offset_of!(samsa_packed, count) == 16);
    assert!(offset_of!(samsa_packed, buffer) == 24);
    assert!(offset_of!(samsa_packed, key_lengths) == 40);
    assert!(offset_of!(samsa_packed, timestamps) == 56);
    assert!(offset_of!(samsa_packed, headers_counts) == 72);
    assert!(offset_of!(samsa_packed, header_lengths_count) == 88);
    assert!(offset_of!(samsa_packed, partition) == 96);
    assert!(offset_of!(samsa_packed, flags) == 104);
};

/// A record reads its own headers: nothing is copied and nothing allocated for them.
impl Headers for samsa_record {
    fn count(&self) -> usize {
        self.headers_count as usize
    }

    fn get(&self, index: usize) -> Header<'_> {
        // SAFETY: only `read_record` makes a `Record` of this, after `check_headers` read each of them
        // by the same pointers, which live during the call.
        unsafe {
            let header = &*self.headers.add(index);
            read_header(header).unwrap_or(Header { name: &[], value: None })
        }
    }
}

/// # Safety
/// The header's pointers and lengths belong together.
unsafe fn read_header(header: &samsa_header) -> Result<Header<'_>> {
    // SAFETY: by the contract of this function.
    unsafe {
        let name = bytes("a header's name", header.name, header.name_length as usize)?;
        let value = bytes("a header's value", header.value, header.value_length as usize)?;
        Ok(Header { name: name.unwrap_or_default(), value })
    }
}

/// # Safety
/// The record's headers live during the call.
unsafe fn check_headers(record: &samsa_record) -> Result<()> {
    // SAFETY: by the contract of this function.
    unsafe {
        for header in array("headers", record.headers, record.headers_count as usize)? {
            read_header(header)?;
        }
    }
    Ok(())
}

/// The partition of a record: none if it is not given, or −1.
fn partition_of(flags: u32, partition: i64) -> Result<Option<i32>> {
    if flags & !KNOWN_FLAGS != 0 {
        let text = format!("the flags {flags:#x} of a record are not all known: set others to 0");
        return Err(Error::new(Code::INVALID_ARGUMENT, text));
    }
    match partition {
        _ if flags & SAMSA_RECORD_PARTITION == 0 => Ok(None),
        -1 => Ok(None),
        given => i32::try_from(given).ok().filter(|given| *given >= 0).map(Some).ok_or_else(|| {
            let text = format!("{given} is not a partition");
            Error::new(Code::INVALID_ARGUMENT, text).with_partition(given)
        }),
    }
}

/// A record from C. `topic`: what to take when it names none.
///
/// # Safety
/// Everything the record points to lives during `'a`; its topic is NULL or a handle of this library.
#[inline]
pub(super) unsafe fn read_record<'a>(
    record: &'a samsa_record,
    topic: Option<&'a TopicHandle>,
) -> Result<Record<'a>> {
    // SAFETY: by the contract of this function.
    unsafe {
        let topic = match topic {
            Some(topic) if record.topic.is_null() => topic,
            _ => look::<samsa_topic>(record.topic)?.inner()?,
        };
        let headers: &dyn Headers = if record.headers_count == 0 {
            &()
        } else {
            check_headers(record)?;
            record
        };
        let timed = record.flags & SAMSA_RECORD_TIMESTAMP != 0;
        Ok(Record {
            topic: &topic.topic,
            partition: partition_of(record.flags, record.partition)?,
            timestamp: timed.then_some(record.timestamp),
            key: bytes("key", record.key, record.key_length as usize)?,
            value: bytes("value", record.value, record.value_length as usize)?,
            headers,
            opaque: record.opaque as usize as u64,
        })
    }
}

/// Takes a packed buffer apart, record by record.
pub(super) struct Unpacker<'a> {
    topic: &'a TopicHandle,
    partition: Option<i32>,
    buffer: &'a [u8],
    keys: Option<&'a [u32]>,
    values: Option<&'a [u32]>,
    timestamps: Option<&'a [i64]>,
    opaques: Option<&'a [u64]>,
    headers_counts: Option<&'a [u32]>,
    header_lengths: &'a [u32],
    count: usize,
    next: usize,
}

impl<'a> Unpacker<'a> {
    /// # Safety
    /// Everything that `packed` points to lives during `'a`.
    pub(super) unsafe fn new(packed: &samsa_packed) -> Result<Self> {
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
        unsafe {
            Ok(Self {
                topic: look::<samsa_topic>(packed.topic)?.inner()?,
                partition: partition_of(packed.flags, packed.partition)?,
                buffer: bytes("buffer", packed.buffer, packed.buffer_length)?.unwrap_or_default(),
                keys: column("key_lengths", packed.key_lengths, count)?,
                values: column("value_lengths", packed.value_lengths, count)?,
                timestamps: column("timestamps", packed.timestamps, count)?,
                opaques: column("opaques", packed.opaques, count)?,
                headers_counts: column("headers_counts", packed.headers_counts, count)?,
                header_lengths: args::array(
                    "header_lengths",
                    packed.header_lengths,
                    packed.header_lengths_count,
                )?,
                count,
                next: 0,
            })
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

/// The length that stands for null.
const ABSENT: u32 = u32::MAX;
