//! `samsa_event`: what happened besides messages, for who asked for it.

use std::ffi::{CString, c_char};
use std::ptr;

use super::error::c_string;
use super::guard::{free, read};
use super::handle::Opaque;
use crate::consumer::Event;

/// Kind of a samsa_event: all messages of a partition up to the event's offset were handed out, and
/// there was none after it when the broker was last asked. A consumer's, by samsa.events=partition_end.
pub const SAMSA_EVENT_PARTITION_END: i32 = 1;

/// Something that happened besides messages. It never changes: any number of threads may read it.
#[repr(C)]
#[derive(Debug)]
pub struct samsa_event {
    _private: [u8; 0],
}

/// What an event handle holds; what a kind does not have is absent or -1.
#[derive(Debug)]
pub struct EventHandle {
    /// One of the SAMSA_EVENT_... kinds.
    pub kind: i32,
    /// The topic concerned.
    pub topic: Option<CString>,
    /// The partition concerned.
    pub partition: i64,
    /// The offset concerned.
    pub offset: i64,
}

impl From<Event> for EventHandle {
    fn from(event: Event) -> Self {
        let Event::PartitionEnd { topic, partition, offset } = event;
        Self {
            kind: SAMSA_EVENT_PARTITION_END,
            topic: Some(c_string(topic.as_str())),
            partition: partition.into(),
            offset,
        }
    }
}

impl Opaque for samsa_event {
    type Inner = EventHandle;
    const NAME: &'static str = "samsa_event";
    const BOUND: bool = false;
}

/// What happened: a SAMSA_EVENT_... number. A program ignores kinds that it does not know.
///
/// NULL gives 0. Thread: any. On error: 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_event_kind(event: *const samsa_event) -> i32 {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(event, 0, |e| e.kind) }
}

/// Name of the topic concerned, or NULL.
///
/// Who frees: nobody; borrowed until samsa_event_free. NULL gives NULL. Thread: any. On error: NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_event_topic(event: *const samsa_event) -> *const c_char {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(event, ptr::null(), |e| e.topic.as_ref().map_or(ptr::null(), |t| t.as_ptr())) }
}

/// The partition concerned, or -1.
///
/// NULL gives -1. Thread: any. On error: -1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_event_partition(event: *const samsa_event) -> i64 {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(event, -1, |e| e.partition) }
}

/// The offset concerned, or -1.
///
/// NULL gives -1. Thread: any. On error: -1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_event_offset(event: *const samsa_event) -> i64 {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(event, -1, |e| e.offset) }
}

/// Frees an event; what it lent is gone. NULL is fine. Never waits. Thread: any, as the last use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_event_free(event: *mut samsa_event) {
    // SAFETY: the caller keeps the header's rules.
    unsafe { free(event) }
}
