//! `samsa_event`: something that changed.

use std::any::Any;
use std::ffi::{CString, c_char};
use std::ptr;

use super::error::c_string;
use super::guard::{free, read};
use super::handle::Opaque;

/// `samsa_event_kind`: no event (NULL).
pub const SAMSA_EVENT_NONE: i32 = 0;
/// `samsa_event_kind`: a broker came, went, or changed its address: look at samsa_cluster_brokers.
pub const SAMSA_EVENT_BROKER: i32 = 1;
/// `samsa_event_kind`: a topic came, went, or its partitions changed: look at samsa_topic_partitions.
pub const SAMSA_EVENT_TOPIC: i32 = 2;
/// `samsa_event_kind`: a consumer has read a partition up to its end.
pub const SAMSA_EVENT_PARTITION_END: i32 = 3;

/// `samsa_event_kind`: messages that a consumer has read were lost by an unclean leader election; it goes
/// on at samsa_event_offset, where the log parts from what was read.
pub const SAMSA_EVENT_LOG_TRUNCATED: i32 = 4;

/// Something that changed. It says look again; what is true now stands in the snapshots: nothing is
/// lost, only merged. Any thread may read it.
pub struct samsa_event {
    _private: [u8; 0],
}

/// What an event handle holds.
#[derive(Debug)]
pub struct EventHandle {
    /// `SAMSA_EVENT_…`.
    pub kind: i32,
    /// The topic concerned.
    pub topic: Option<CString>,
    /// The partition concerned, or −1.
    pub partition: i64,
    /// The broker concerned, or −1.
    pub broker: i32,
    /// The offset concerned (the end of a partition), or −1.
    pub offset: i64,
    /// Dropped with the event: what waits until the application has read it.
    pub hold: Option<Hold>,
}

/// Something that an event keeps back as long as it is not freed.
pub struct Hold(pub Box<dyn Any + Send + Sync>);

impl std::fmt::Debug for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hold")
    }
}

impl EventHandle {
    /// An event of this kind that concerns nothing yet.
    pub fn new(kind: i32) -> Self {
        Self { kind, topic: None, partition: -1, broker: -1, offset: -1, hold: None }
    }
}

impl From<crate::cluster::Event> for EventHandle {
    fn from(event: crate::cluster::Event) -> Self {
        match event {
            crate::cluster::Event::Broker(id) => {
                Self { broker: id, ..Self::new(SAMSA_EVENT_BROKER) }
            }
            crate::cluster::Event::Topic(name) => {
                Self { topic: Some(c_string(&name)), ..Self::new(SAMSA_EVENT_TOPIC) }
            }
        }
    }
}

impl Opaque for samsa_event {
    type Inner = EventHandle;
    const NAME: &'static str = "samsa_event";
}

/// What happened: SAMSA_EVENT_BROKER, …; SAMSA_EVENT_NONE for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_event_kind(event: *const samsa_event) -> i32 {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(event, SAMSA_EVENT_NONE, |event| event.kind) }
}

/// The name of the topic concerned, or NULL.
///
/// Borrowed: valid until the event is freed. Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_event_topic(event: *const samsa_event) -> *const c_char {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        read(event, ptr::null(), |event| event.topic.as_ref().map_or(ptr::null(), |t| t.as_ptr()))
    }
}

/// The partition concerned, or -1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_event_partition(event: *const samsa_event) -> i64 {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(event, -1, |event| event.partition) }
}

/// The offset concerned (of SAMSA_EVENT_PARTITION_END: where the partition ended; of
/// SAMSA_EVENT_LOG_TRUNCATED: where reading goes on), or -1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_event_offset(event: *const samsa_event) -> i64 {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(event, -1, |event| event.offset) }
}

/// The id of the broker concerned, or -1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_event_broker(event: *const samsa_event) -> i32 {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(event, -1, |event| event.broker) }
}

/// Frees the event. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_event_free(event: *mut samsa_event) {
    // SAFETY: the caller keeps the header's rules.
    unsafe { free(event) }
}
