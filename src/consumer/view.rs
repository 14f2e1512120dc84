//! One message as C sees it: a plain struct whose pointers lead into the batch's buffers.

use crate::protocol::record::{RecordSpan, Span, TimestampType};

/// Set in [`MessageView::flags`] when the timestamp is the broker's (log append time).
pub const LOG_APPEND_TIME: u16 = 1;

/// A message, 80 bytes, of fixed layout for the life of the soname. The pointers are NULL for an
/// absent key or value (an empty one has a pointer and length 0) and are valid as long as the batch
/// or message that gave the view.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct MessageView {
    /// Offset of the message in its partition.
    pub offset: i64,
    /// Where to resume after this message; not always `offset` + 1.
    pub next_offset: i64,
    /// Milliseconds since 1970; -1 when the message has none (message format 0).
    pub timestamp: i64,
    /// The key, or NULL.
    pub key: *const u8,
    /// The value, or NULL.
    pub value: *const u8,
    /// The headers as they came; `samsa_headers_read` takes them apart. NULL without headers.
    pub headers: *const u8,
    /// Bytes of the key.
    pub key_length: u32,
    /// Bytes of the value.
    pub value_length: u32,
    /// Bytes of the headers.
    pub headers_length: u32,
    /// How many headers there are.
    pub headers_count: u32,
    /// Index into the batch's runs: which topic and partition.
    pub run: u32,
    /// Bit 0: the timestamp is the broker's ([`LOG_APPEND_TIME`]).
    pub flags: u16,
    /// How often the message was delivered; 0 where nobody counts.
    pub delivery_count: u16,
    /// Zero.
    pub reserved: [u32; 2],
}

const _: () = assert!(size_of::<MessageView>() == 80 || size_of::<usize>() != 8);

impl MessageView {
    /// The view of one record; its pointers lead into `buffer`, out of which the record was read and
    /// which the caller keeps alive.
    #[inline(always)]
    pub(super) fn of(buffer: &[u8], record: &RecordSpan, run: u32) -> Self {
        let (key, key_length) = locate(buffer, record.key);
        let (value, value_length) = locate(buffer, record.value);
        let (headers, headers_length) = locate(buffer, record.headers);
        Self {
            offset: record.offset,
            // Offsets of an opened batch end below the largest number.
            next_offset: record.offset.wrapping_add(1),
            timestamp: record.timestamp,
            key,
            value,
            headers: if record.headers_count == 0 { std::ptr::null() } else { headers },
            key_length,
            value_length,
            headers_length,
            headers_count: record.headers_count,
            run,
            flags: match record.timestamp_type {
                TimestampType::LogAppendTime => LOG_APPEND_TIME,
                _ => 0,
            },
            delivery_count: 0,
            reserved: [0; 2],
        }
    }
}

impl MessageView {
    /// The view of a message of Kafka 0.7, which has nothing but a payload; it stands in a buffer that
    /// the caller keeps alive.
    #[inline(always)]
    pub(super) fn of_legacy(payload: &[u8], (offset, next_offset): (i64, i64), run: u32) -> Self {
        Self {
            offset,
            next_offset,
            timestamp: -1,
            key: std::ptr::null(),
            value: payload.as_ptr(),
            headers: std::ptr::null(),
            key_length: 0,
            // Sets reach 2 GiB.
            value_length: payload.len() as u32,
            headers_length: 0,
            headers_count: 0,
            run,
            flags: 0,
            delivery_count: 0,
            reserved: [0; 2],
        }
    }
}

/// Pointer and length for C, NULL for null. That the span lies in the buffer was seen when it was read
/// there: once more for each record would cost a tenth of the whole poll.
#[inline(always)]
fn locate(buffer: &[u8], span: Span) -> (*const u8, u32) {
    debug_assert!(span.is_null() || span.of(buffer).is_some(), "{span:?} of {}", buffer.len());
    if span.is_null() {
        return (std::ptr::null(), 0);
    }
    (buffer.as_ptr().wrapping_add(span.start as usize), span.len)
}
