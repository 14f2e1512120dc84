//! `samsa_event`: something that changed.

use std::ffi::{CString, c_char};
use std::ptr;

use super::args::Out;
use super::error::c_string;
use super::guard::{free, read};
use super::handle::Opaque;
use super::position::{PositionsHandle, samsa_position};
use crate::consumer::{Event, Name, Partitions};

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

/// `samsa_event_kind`: the group gave partitions to this consumer, besides those that it has. They are
/// read when the event is freed, from where samsa_consumer_seek put them meanwhile, or else from what
/// the group committed.
pub const SAMSA_EVENT_ASSIGNED: i32 = 5;
/// `samsa_event_kind`: partitions will be another member's when the event is freed, at the latest after
/// max.poll.interval.ms; until then positions of them can be committed. Their messages are handed out no
/// more. The positions say where reading stopped.
pub const SAMSA_EVENT_REVOKED: i32 = 6;
/// `samsa_event_kind`: partitions are another member's already, or may be: nothing of them can be
/// committed. The positions say where reading stopped.
pub const SAMSA_EVENT_LOST: i32 = 7;
/// `samsa_event_kind`: a commit ended; each position has its own code.
pub const SAMSA_EVENT_COMMITTED: i32 = 8;
/// `samsa_event_kind`: every broker of the cluster that is known was asked, and none answered (librdkafka's
/// ERR__ALL_BROKERS_DOWN). Told by samsa_cluster_next_event once until one answers again. The library goes
/// on trying, so that nothing need be done; the log says why. Not told of Kafka 0.7.
pub const SAMSA_EVENT_ALL_BROKERS_DOWN: i32 = 9;

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
    /// The partitions concerned, of a consumer's group.
    pub positions: Option<PositionsHandle>,
    /// Dropped with the event: what waits until the application has read it.
    pub hold: Option<Partitions>,
}

impl EventHandle {
    /// An event of this kind that concerns nothing yet.
    pub fn new(kind: i32) -> Self {
        Self {
            kind,
            topic: None,
            partition: -1,
            broker: -1,
            offset: -1,
            positions: None,
            hold: None,
        }
    }

    fn of_partitions(kind: i32, partitions: Partitions) -> Self {
        let positions = PositionsHandle::from(partitions.list().to_vec());
        Self { positions: Some(positions), hold: Some(partitions), ..Self::new(kind) }
    }

    fn of_partition(kind: i32, topic: &Name, partition: i64, offset: i64) -> Self {
        Self { topic: Some(c_string(topic.as_str())), partition, offset, ..Self::new(kind) }
    }
}

impl From<Event> for EventHandle {
    fn from(event: Event) -> Self {
        match event {
            Event::PartitionEnd { topic, partition, offset } => {
                Self::of_partition(SAMSA_EVENT_PARTITION_END, &topic, partition, offset)
            }
            Event::LogTruncated { topic, partition, offset } => {
                Self::of_partition(SAMSA_EVENT_LOG_TRUNCATED, &topic, partition, offset)
            }
            Event::Assigned(list) => Self::of_partitions(SAMSA_EVENT_ASSIGNED, list),
            Event::Revoked(list) => Self::of_partitions(SAMSA_EVENT_REVOKED, list),
            Event::Lost(list) => Self::of_partitions(SAMSA_EVENT_LOST, list),
            Event::Committed(list) => Self::of_partitions(SAMSA_EVENT_COMMITTED, list),
        }
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
            crate::cluster::Event::AllBrokersDown => Self::new(SAMSA_EVENT_ALL_BROKERS_DOWN),
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

/// The partitions concerned, of SAMSA_EVENT_ASSIGNED, _REVOKED, _LOST and _COMMITTED, as an array:
/// writes its address to `*list` and returns how many there are; 0 for other events.
///
/// Who frees: nobody; borrowed until the event is freed. NULL: `event` NULL gives 0 and a NULL list;
/// `list` may be NULL. Thread: any. On error: 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_event_positions(
    event: *const samsa_event,
    list: *mut *const samsa_position,
) -> usize {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let list = Out::new(list, ptr::null());
        read(event, 0, |event| {
            let positions = event.positions.as_ref().map(PositionsHandle::list).unwrap_or_default();
            if !positions.is_empty() {
                list.set(positions.as_ptr());
            }
            positions.len()
        })
    }
}

/// Frees the event, and lets go on what it held back (SAMSA_EVENT_ASSIGNED, SAMSA_EVENT_REVOKED). NULL
/// is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_event_free(event: *mut samsa_event) {
    // SAFETY: the caller keeps the header's rules.
    unsafe { free(event) }
}
