//! `samsa_batch`: what a poll gives, as structs, runs and columns.

use std::ffi::{c_char, c_void};
use std::mem::offset_of;
use std::ptr;

use super::args::{self, Out};
use super::error::samsa_error;
use super::guard::{free, guard, read};
use super::handle::Opaque;
use super::position::{give_list, samsa_positions};
use super::samsa_code;
use crate::consumer::{Batch, MessageView, Run};

/// In samsa_message_view.flags: the timestamp is the broker's (log append time).
pub const SAMSA_MESSAGE_LOG_APPEND_TIME: u32 = 1;

/// Messages that one poll gave, and the buffers that they lie in.
///
/// It never changes: any number of threads may read it. It outlives its consumer if need be. What it
/// holds counts against samsa.memory.limit until it is freed.
pub struct samsa_batch {
    _private: [u8; 0],
}

/// One message, 80 bytes, made by the thread that polled. The pointers lead into the batch.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct samsa_message_view {
    /// Offset in the partition.
    pub offset: i64,
    /// Where to resume after this message; not always offset + 1.
    pub next_offset: i64,
    /// Milliseconds since 1970; -1 when the message has none.
    pub timestamp: i64,
    /// The key, or NULL for none; an empty key is not NULL.
    pub key: *const c_void,
    /// The value, or NULL for none; an empty value is not NULL.
    pub value: *const c_void,
    /// The headers as they came, for samsa_headers_read; NULL without headers.
    pub headers: *const c_void,
    /// Bytes of the key.
    pub key_length: u32,
    /// Bytes of the value.
    pub value_length: u32,
    /// Bytes of the headers.
    pub headers_length: u32,
    /// How many headers.
    pub headers_count: u32,
    /// Index into samsa_batch_runs: topic and partition.
    pub run: u32,
    /// SAMSA_MESSAGE_... bits.
    pub flags: u16,
    /// How often the message was delivered; 0 where nobody counts.
    pub delivery_count: u16,
    /// Zero.
    pub reserved: [u32; 2],
}

/// Consecutive messages of one partition in a batch, 64 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct samsa_run {
    /// Name of the topic, NUL-terminated; lives as long as the batch.
    pub topic: *const c_char,
    /// The partition.
    pub partition: i64,
    /// The partition's high watermark when the messages were fetched; -1 unknown.
    pub high_watermark: i64,
    /// The partition's first offset when the messages were fetched; -1 unknown.
    pub log_start: i64,
    /// Where to resume after these messages.
    pub next_offset: i64,
    /// Index of the first message.
    pub first: u32,
    /// How many messages.
    pub count: u32,
    /// Leader epoch of the last message; -1 unknown.
    pub leader_epoch: i32,
    /// Zero.
    pub reserved: [u32; 3],
}

/// A batch as columns over one buffer: element i is message i. Set struct_size before the call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct samsa_columns {
    /// sizeof(samsa_columns).
    pub struct_size: usize,
    /// How many messages.
    pub count: usize,
    /// Keys and values, one after the other.
    pub buffer: *const c_void,
    /// Bytes in the buffer.
    pub buffer_length: usize,
    /// Where each key begins.
    pub key_positions: *const u32,
    /// How long each key is; UINT32_MAX for none.
    pub key_lengths: *const u32,
    /// Where each value begins.
    pub value_positions: *const u32,
    /// How long each value is; UINT32_MAX for none.
    pub value_lengths: *const u32,
    /// The offsets.
    pub offsets: *const i64,
    /// The timestamps; -1 for none.
    pub timestamps: *const i64,
}

const _: () = assert!(SAMSA_MESSAGE_LOG_APPEND_TIME == crate::consumer::LOG_APPEND_TIME as u32);
const _: () = assert!(crate::consumer::ABSENT == u32::MAX, "as the header says");

#[cfg(target_pointer_width = "64")]
const _: () = {
    // C's view of a message is the core's, field by field: a batch lends its own array.
    assert!(size_of::<samsa_message_view>() == 80 && size_of::<MessageView>() == 80);
    assert!(align_of::<samsa_message_view>() == align_of::<MessageView>());
    assert!(offset_of!(samsa_message_view, offset) == offset_of!(MessageView, offset));
    assert!(offset_of!(samsa_message_view, next_offset) == offset_of!(MessageView, next_offset));
    assert!(offset_of!(samsa_message_view, timestamp) == offset_of!(MessageView, timestamp));
    assert!(offset_of!(samsa_message_view, key) == offset_of!(MessageView, key));
    assert!(offset_of!(samsa_message_view, value) == offset_of!(MessageView, value));
    assert!(offset_of!(samsa_message_view, headers) == offset_of!(MessageView, headers));
    assert!(offset_of!(samsa_message_view, key_length) == offset_of!(MessageView, key_length));
    assert!(offset_of!(samsa_message_view, value_length) == offset_of!(MessageView, value_length));
    assert!(
        offset_of!(samsa_message_view, headers_length) == offset_of!(MessageView, headers_length)
    );
    assert!(
        offset_of!(samsa_message_view, headers_count) == offset_of!(MessageView, headers_count)
    );
    assert!(offset_of!(samsa_message_view, run) == offset_of!(MessageView, run));
    assert!(offset_of!(samsa_message_view, flags) == offset_of!(MessageView, flags));
    assert!(
        offset_of!(samsa_message_view, delivery_count) == offset_of!(MessageView, delivery_count)
    );
    // And what C programs were compiled against does not move.
    assert!(offset_of!(samsa_message_view, key) == 24);
    assert!(offset_of!(samsa_message_view, key_length) == 48);
    assert!(offset_of!(samsa_message_view, run) == 64);
    assert!(offset_of!(samsa_message_view, flags) == 68);
    assert!(offset_of!(samsa_message_view, reserved) == 72);
    assert!(size_of::<samsa_run>() == 64);
    assert!(offset_of!(samsa_run, partition) == 8);
    assert!(offset_of!(samsa_run, next_offset) == 32);
    assert!(offset_of!(samsa_run, first) == 40);
    assert!(offset_of!(samsa_run, leader_epoch) == 48);
    assert!(offset_of!(samsa_run, reserved) == 52);
    assert!(size_of::<samsa_columns>() == 80);
    assert!(offset_of!(samsa_columns, timestamps) == 72);
};

/// What a batch handle holds: the batch, and its runs in C's form.
#[derive(Debug)]
pub struct BatchHandle {
    batch: Batch,
    runs: Vec<samsa_run>,
}

// SAFETY: the pointers in `runs` lead to names that `batch` holds and nobody writes.
unsafe impl Send for BatchHandle {}
// SAFETY: as above.
unsafe impl Sync for BatchHandle {}

impl From<Batch> for BatchHandle {
    fn from(batch: Batch) -> Self {
        let runs = batch.runs().iter().map(run_to_c).collect();
        Self { batch, runs }
    }
}

fn run_to_c(run: &Run) -> samsa_run {
    samsa_run {
        topic: run.topic.as_c_str().as_ptr(),
        partition: run.partition,
        high_watermark: run.high_watermark,
        log_start: run.log_start,
        next_offset: run.next_offset,
        first: run.first,
        count: run.count,
        leader_epoch: run.leader_epoch,
        reserved: [0; 3],
    }
}

impl Opaque for samsa_batch {
    type Inner = BatchHandle;
    // Bound: its end gives room back to the consumer's fetchers, which a child does not have.
    const NAME: &'static str = "samsa_batch";
}

/// The messages as an array: writes its address to `*messages` and returns how many there are.
///
/// Who frees: nobody; the array and all it points to are borrowed until samsa_batch_free. NULL:
/// `batch` NULL gives 0 and a NULL array; `messages` may be NULL. Thread: any. On error: 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_batch_messages(
    batch: *const samsa_batch,
    messages: *mut *const samsa_message_view,
) -> usize {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let messages = Out::new(messages, ptr::null());
        read(batch, 0, |held| {
            // The same layout: asserted above.
            messages.set(held.batch.views().as_ptr().cast());
            held.batch.len()
        })
    }
}

/// Which messages belong to which partition, as an array in the order of the messages: writes its
/// address to `*runs` and returns how many there are. A partition may have several runs.
///
/// Who frees: nobody; borrowed until samsa_batch_free. NULL: `batch` NULL gives 0 and a NULL array;
/// `runs` may be NULL. Thread: any. On error: 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_batch_runs(
    batch: *const samsa_batch,
    runs: *mut *const samsa_run,
) -> usize {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let runs = Out::new(runs, ptr::null());
        read(batch, 0, |held| {
            runs.set(held.runs.as_ptr());
            held.runs.len()
        })
    }
}

/// Fills `*columns` with the messages as columns over one buffer. The first call gathers them, further
/// ones give the same.
///
/// Who frees: nobody; borrowed until samsa_batch_free. NULL: both are required, and
/// columns->struct_size must be set. Thread: any. On error: SAMSA_ERR_INVALID_STATE when keys and
/// values together pass 4 GiB; `*columns` is then unchanged.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_batch_columns(
    batch: *mut samsa_batch,
    columns: *mut samsa_columns,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        guard(err, batch, |held| {
            let made = held.batch.columns()?;
            let filled = samsa_columns {
                struct_size: size_of::<samsa_columns>(),
                count: held.batch.len(),
                buffer: made.buffer.as_ptr().cast(),
                buffer_length: made.buffer.len(),
                key_positions: made.key_positions.as_ptr(),
                key_lengths: made.key_lengths.as_ptr(),
                value_positions: made.value_positions.as_ptr(),
                value_lengths: made.value_lengths.as_ptr(),
                offsets: made.offsets.as_ptr(),
                timestamps: made.timestamps.as_ptr(),
            };
            args::fill_sized("columns", columns, filled)
        })
    }
}

/// Where each partition resumes after this batch: what to commit when all of it is processed, or to
/// assign later.
///
/// Who frees: the caller, `*positions` by samsa_positions_free. NULL: both are required. Thread: any.
/// On error: `*positions` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_batch_positions(
    batch: *const samsa_batch,
    positions: *mut *mut samsa_positions,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let positions = Out::new(positions, ptr::null_mut());
        guard(err, batch, |held| {
            positions.required("positions")?.set(give_list(held.batch.positions()));
            Ok(())
        })
    }
}

/// Frees a batch; what it lent is gone, and its bytes no longer count against samsa.memory.limit. NULL
/// is fine. Never waits. Thread: any, as the last use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_batch_free(batch: *mut samsa_batch) {
    // SAFETY: the caller keeps the header's rules.
    unsafe { free(batch) }
}
