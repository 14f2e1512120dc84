//! `samsa_record` and `samsa_packed`: records on their way in. [`unpack`](super::unpack) reads the packed
//! ones.

use std::ffi::c_void;
use std::mem::offset_of;

use super::args::{Out, Strided, array, bytes};
use super::handle::{look, peek};
use super::header::samsa_header;
use super::topic::{TopicHandle, samsa_topic};
use crate::error::{Code, Error, Result};
use crate::producer::{List, Record};
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
    /// The partition, if flags has SAMSA_RECORD_PARTITION; -1 lets the partitioner choose. Without the
    /// flag it must be 0 or -1: a partition that would not count is refused. On Kafka 0.7
    /// samsa_partition_of(broker, number); with a negative number the broker chooses.
    pub partition: i64,
    /// Milliseconds since 1970, if flags has SAMSA_RECORD_TIMESTAMP; else 0 or -1.
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
pub(super) fn partition_of(flags: u32, partition: i64) -> Result<Option<i64>> {
    if flags & !KNOWN_FLAGS != 0 {
        let text = format!("the flags {flags:#x} of a record are not all known: set others to 0");
        return Err(Error::new(Code::INVALID_ARGUMENT, text));
    }
    match partition {
        -1 => Ok(None),
        0 if flags & SAMSA_RECORD_PARTITION == 0 => Ok(None),
        // Who names a partition means it: the record would silently go elsewhere.
        given if flags & SAMSA_RECORD_PARTITION == 0 => {
            let text = format!(
                "partition {given} is given without SAMSA_RECORD_PARTITION in flags: set the flag, \
                 or leave the partition 0 or -1"
            );
            Err(Error::new(Code::INVALID_ARGUMENT, text).with_partition(given))
        }
        given if given >= 0 => Ok(Some(given)),
        given => {
            let text = format!("{given} is not a partition");
            Err(Error::new(Code::INVALID_ARGUMENT, text).with_partition(given))
        }
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
        if has_stray_time(record) {
            let text = format!(
                "timestamp {} is given without SAMSA_RECORD_TIMESTAMP in flags: set the flag, or leave \
                 the timestamp 0 or -1",
                record.timestamp
            );
            return Err(Error::new(Code::INVALID_ARGUMENT, text));
        }
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

/// Whether a time is given that would silently not count.
#[inline(always)]
fn has_stray_time(record: &samsa_record) -> bool {
    record.flags & SAMSA_RECORD_TIMESTAMP == 0 && !matches!(record.timestamp, -1 | 0)
}

/// The topic of the record before, which is mostly that of the next one.
#[derive(Default)]
pub(super) struct LastTopic<'a>(Option<(*const samsa_topic, &'a TopicHandle)>);

impl<'a> LastTopic<'a> {
    /// # Safety
    /// `topic` is NULL or a handle of this library, not freed during `'a`.
    #[inline(always)]
    unsafe fn find(&mut self, topic: *const samsa_topic) -> Option<&'a TopicHandle> {
        match self.0 {
            Some((last, handle)) if last == topic => Some(handle),
            _ => {
                // SAFETY: by the contract of this function.
                let handle = unsafe { peek::<samsa_topic>(topic) }?;
                self.0 = Some((topic, handle));
                Some(handle)
            }
        }
    }
}

/// A record without headers in which nothing is wrong; none for any other, which [`read_record`] reads
/// or refuses. Makes no error object: this is the way that most records take.
///
/// # Safety
/// As [`read_record`].
#[inline(always)]
pub(super) unsafe fn read_plain<'a>(
    record: &'a samsa_record,
    topics: &mut LastTopic<'a>,
) -> Option<Record<'a>> {
    if record.headers_count != 0 || record.flags & !KNOWN_FLAGS != 0 || has_stray_time(record) {
        return None;
    }
    let partition = match record.partition {
        -1 => None,
        0 if record.flags & SAMSA_RECORD_PARTITION == 0 => None,
        _ if record.flags & SAMSA_RECORD_PARTITION == 0 => return None,
        given if given >= 0 => Some(given),
        _ => return None,
    };
    let timed = record.flags & SAMSA_RECORD_TIMESTAMP != 0;
    // SAFETY: by the contract of this function.
    unsafe {
        Some(Record {
            topic: &topics.find(record.topic)?.topic,
            partition,
            timestamp: timed.then_some(record.timestamp),
            key: plain_bytes(record.key, record.key_length)?,
            value: plain_bytes(record.value, record.value_length)?,
            headers: &(),
            opaque: record.opaque as usize as u64,
        })
    }
}

/// Bytes by pointer and length; the outer none for a length without a pointer.
///
/// # Safety
/// `pointer` is NULL or points to `length` bytes that live during the call.
#[inline(always)]
unsafe fn plain_bytes<'a>(pointer: *const c_void, length: u32) -> Option<Option<&'a [u8]>> {
    if pointer.is_null() {
        return (length == 0).then_some(None);
    }
    let length = usize::try_from(length).ok().filter(|length| isize::try_from(*length).is_ok())?;
    // SAFETY: by the contract of this function.
    Some(Some(unsafe { std::slice::from_raw_parts(pointer.cast(), length) }))
}

/// An array of records from C, of which so many were accepted.
pub(super) struct RecordList<'a> {
    records: Strided<'a, samsa_record>,
    next: usize,
    topics: LastTopic<'a>,
    accepted: Out<usize>,
}

impl<'a> RecordList<'a> {
    /// # Safety
    /// `records` is NULL or points to `n` records, `stride` bytes apart, which live during `'a` with all
    /// they point to.
    pub(super) unsafe fn new(
        records: *const samsa_record,
        n: usize,
        stride: usize,
        accepted: Out<usize>,
    ) -> Result<Self> {
        // SAFETY: by the contract of this function.
        let records = unsafe { Strided::new("records", records, n, stride) }?;
        Ok(Self { records, next: 0, topics: LastTopic::default(), accepted })
    }

    /// The first that was not accepted, whatever it is like.
    pub(super) fn current(&self) -> Option<&'a samsa_record> {
        self.records.get(self.next)
    }
}

impl<'a> List<'a> for RecordList<'a> {
    #[inline(always)]
    fn first(&mut self) -> Option<Record<'a>> {
        let record = self.records.get(self.next)?;
        // SAFETY: by the contract of `new`.
        unsafe { read_plain(record, &mut self.topics) }
    }

    #[inline(always)]
    fn drop_first(&mut self) {
        self.next += 1;
        self.accepted.set(self.next);
    }
}
