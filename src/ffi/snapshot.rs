//! What the cluster looked like at one moment: brokers, topics, partitions, as arrays of views.

use std::ffi::{CString, c_char};
use std::mem::offset_of;
use std::ptr;
use std::sync::Arc;

use super::error::c_string;
use super::guard::{free, read};
use super::handle::Opaque;
use super::samsa_code;
use crate::cluster::{Metadata, PartitionMetadata, TopicMetadata};
use crate::error::Error;

/// `samsa_broker_view.flags`: this broker is the controller.
pub const SAMSA_BROKER_CONTROLLER: u32 = 1;
/// `samsa_topic_view.flags`: the topic is one of Kafka's own.
pub const SAMSA_TOPIC_INTERNAL: u32 = 1;
/// `samsa_partition_view.flags`: the partition does not exist yet; a broker of Kafka 0.7 makes it when
/// something is sent to it.
pub const SAMSA_PARTITION_VIRTUAL: u32 = 1;

/// One broker. 48 bytes; strings live as long as the samsa_brokers.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct samsa_broker_view {
    /// The advertised host name.
    pub host: *const c_char,
    /// The rack, or NULL.
    pub rack: *const c_char,
    /// A number that changes when the broker was registered anew; -1 where that is not known.
    pub incarnation: i64,
    /// The id of the broker.
    pub id: i32,
    /// The advertised port.
    pub port: i32,
    /// SAMSA_BROKER_CONTROLLER.
    pub flags: u32,
    /// 0.
    pub reserved: [u32; 3],
}

/// One topic. 48 bytes; strings live as long as the samsa_topics.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct samsa_topic_view {
    /// The name.
    pub name: *const c_char,
    /// How many partitions it has.
    pub partitions: i64,
    /// The id of the topic (Kafka 2.8 and later); all zero where there is none.
    pub id: [u8; 16],
    /// 0, or why the topic cannot be used.
    pub code: samsa_code,
    /// SAMSA_TOPIC_INTERNAL.
    pub flags: u32,
    /// 0.
    pub reserved: [u32; 2],
}

/// One partition. 72 bytes; arrays live as long as the samsa_partitions.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct samsa_partition_view {
    /// The partition.
    pub partition: i64,
    /// The ids of all replicas, the preferred leader first.
    pub replicas: *const i32,
    /// The ids of the replicas in sync.
    pub in_sync: *const i32,
    /// The ids of the replicas known to be offline.
    pub offline: *const i32,
    /// How many replicas.
    pub replicas_count: u32,
    /// How many in sync.
    pub in_sync_count: u32,
    /// How many offline.
    pub offline_count: u32,
    /// The id of the leader; -1 while there is none.
    pub leader: i32,
    /// The epoch of the leader; -1 where it is not known.
    pub leader_epoch: i32,
    /// 0, or the error of the last answer about the partition.
    pub code: samsa_code,
    /// SAMSA_PARTITION_VIRTUAL.
    pub flags: u32,
    /// 0.
    pub reserved: [u32; 3],
}

#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<samsa_broker_view>() == 48);
    assert!(offset_of!(samsa_broker_view, rack) == 8);
    assert!(offset_of!(samsa_broker_view, incarnation) == 16);
    assert!(offset_of!(samsa_broker_view, id) == 24);
    assert!(offset_of!(samsa_broker_view, port) == 28);
    assert!(offset_of!(samsa_broker_view, flags) == 32);
    assert!(size_of::<samsa_topic_view>() == 48);
    assert!(offset_of!(samsa_topic_view, partitions) == 8);
    assert!(offset_of!(samsa_topic_view, id) == 16);
    assert!(offset_of!(samsa_topic_view, code) == 32);
    assert!(offset_of!(samsa_topic_view, flags) == 36);
    assert!(size_of::<samsa_partition_view>() == 72);
    assert!(offset_of!(samsa_partition_view, replicas) == 8);
    assert!(offset_of!(samsa_partition_view, in_sync) == 16);
    assert!(offset_of!(samsa_partition_view, offline) == 24);
    assert!(offset_of!(samsa_partition_view, replicas_count) == 32);
    assert!(offset_of!(samsa_partition_view, leader) == 44);
    assert!(offset_of!(samsa_partition_view, leader_epoch) == 48);
    assert!(offset_of!(samsa_partition_view, code) == 52);
    assert!(offset_of!(samsa_partition_view, flags) == 56);
};

/// The brokers of a cluster at one moment; never changes. Any thread may read it.
pub struct samsa_brokers {
    _private: [u8; 0],
}

/// The topics that are known of a cluster at one moment; never changes. Any thread may read it.
pub struct samsa_topics {
    _private: [u8; 0],
}

/// The partitions of a topic at one moment; never changes. Any thread may read it.
pub struct samsa_partitions {
    _private: [u8; 0],
}

/// Views and what their pointers point to.
#[derive(Debug)]
pub struct Snapshot<V, K> {
    views: Vec<V>,
    // Held, not read: `views` points into it.
    _kept: K,
}

// SAFETY: the views point into `_kept`, which never changes and is as long-lived; plain memory.
unsafe impl<V, K: Send> Send for Snapshot<V, K> {}
// SAFETY: as above.
unsafe impl<V, K: Sync> Sync for Snapshot<V, K> {}

impl<V, K> Snapshot<V, K> {
    /// Views, and what they point into.
    pub(super) fn new(views: Vec<V>, kept: K) -> Self {
        Self { views, _kept: kept }
    }

    pub(super) fn list(&self, out: *mut *const V) -> usize {
        if !out.is_null() {
            // SAFETY: writable by the header's rules. An empty list gives NULL.
            unsafe { *out = if self.views.is_empty() { ptr::null() } else { self.views.as_ptr() } };
        }
        self.views.len()
    }
}

impl Opaque for samsa_brokers {
    type Inner = Snapshot<samsa_broker_view, Vec<CString>>;
    const NAME: &'static str = "samsa_brokers";
    const BOUND: bool = false;
}

impl Opaque for samsa_topics {
    type Inner = Snapshot<samsa_topic_view, Vec<CString>>;
    const NAME: &'static str = "samsa_topics";
    const BOUND: bool = false;
}

impl Opaque for samsa_partitions {
    type Inner = Snapshot<samsa_partition_view, Arc<TopicMetadata>>;
    const NAME: &'static str = "samsa_partitions";
    const BOUND: bool = false;
}

/// A copy of `text` among the strings that a snapshot keeps, as a pointer that stays.
pub(super) fn keep(kept: &mut Vec<CString>, text: &str) -> *const c_char {
    let text = c_string(text);
    // The heap block of a CString does not move when the vector grows.
    let pointer = text.as_ptr();
    kept.push(text);
    pointer
}

pub(super) fn brokers(metadata: &Metadata) -> Snapshot<samsa_broker_view, Vec<CString>> {
    let mut kept = Vec::new();
    let view = |broker: &Arc<crate::cluster::BrokerInfo>| samsa_broker_view {
        host: keep(&mut kept, &broker.host),
        rack: broker.rack.as_deref().map_or(ptr::null(), |rack| keep(&mut kept, rack)),
        incarnation: metadata.incarnations.get(&broker.id).copied().unwrap_or(-1),
        id: broker.id,
        port: i32::from(broker.port),
        flags: if broker.id == metadata.controller { SAMSA_BROKER_CONTROLLER } else { 0 },
        reserved: [0; 3],
    };
    let views = metadata.brokers.values().map(view).collect();
    Snapshot::new(views, kept)
}

pub(super) fn topics<'a>(
    topics: impl Iterator<Item = &'a Arc<TopicMetadata>>,
) -> Snapshot<samsa_topic_view, Vec<CString>> {
    let mut kept = Vec::new();
    let mut topics: Vec<_> = topics.collect();
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    let view = |topic: &Arc<TopicMetadata>| samsa_topic_view {
        name: keep(&mut kept, &topic.name),
        partitions: i64::try_from(topic.partitions.len()).unwrap_or(i64::MAX),
        id: topic.id,
        code: topic.error.as_ref().map_or(0, |error: &Error| error.code().0),
        flags: if topic.internal { SAMSA_TOPIC_INTERNAL } else { 0 },
        reserved: [0; 2],
    };
    let views = topics.into_iter().map(view).collect();
    Snapshot::new(views, kept)
}

pub(super) fn partitions(
    topic: Arc<TopicMetadata>,
) -> Snapshot<samsa_partition_view, Arc<TopicMetadata>> {
    let count = |ids: &[i32]| u32::try_from(ids.len()).unwrap_or(u32::MAX);
    let array = |ids: &[i32]| if ids.is_empty() { ptr::null() } else { ids.as_ptr() };
    let view = |(number, partition): (usize, &PartitionMetadata)| samsa_partition_view {
        partition: topic.number(number),
        replicas: array(&partition.replicas),
        in_sync: array(&partition.in_sync),
        offline: array(&partition.offline),
        replicas_count: count(&partition.replicas),
        in_sync_count: count(&partition.in_sync),
        offline_count: count(&partition.offline),
        leader: partition.leader,
        leader_epoch: partition.leader_epoch,
        code: partition.error.map_or(0, |code| code.0),
        flags: if topic.is_virtual(number) { SAMSA_PARTITION_VIRTUAL } else { 0 },
        reserved: [0; 3],
    };
    let views = topic.partitions.iter().enumerate().map(view).collect();
    Snapshot::new(views, topic)
}

/// Gives the array of brokers and returns how many there are; 0 and NULL for NULL.
///
/// Borrowed: the array is valid until the samsa_brokers is freed. Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_brokers_list(
    brokers: *const samsa_brokers,
    views: *mut *const samsa_broker_view,
) -> usize {
    // SAFETY: the caller keeps the header's rules.
    unsafe { list(brokers, views, Snapshot::list) }
}

/// Frees the snapshot. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_brokers_free(brokers: *mut samsa_brokers) {
    // SAFETY: the caller keeps the header's rules.
    unsafe { free(brokers) }
}

/// Gives the array of topics, in order of their names, and returns how many there are; 0 and NULL for
/// NULL.
///
/// Borrowed: the array is valid until the samsa_topics is freed. Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_topics_list(
    topics: *const samsa_topics,
    views: *mut *const samsa_topic_view,
) -> usize {
    // SAFETY: the caller keeps the header's rules.
    unsafe { list(topics, views, Snapshot::list) }
}

/// Frees the snapshot. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_topics_free(topics: *mut samsa_topics) {
    // SAFETY: the caller keeps the header's rules.
    unsafe { free(topics) }
}

/// Gives the array of partitions, in their order, and returns how many there are; 0 and NULL for NULL.
///
/// Borrowed: the array is valid until the samsa_partitions is freed. Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_partitions_list(
    partitions: *const samsa_partitions,
    views: *mut *const samsa_partition_view,
) -> usize {
    // SAFETY: the caller keeps the header's rules.
    unsafe { list(partitions, views, Snapshot::list) }
}

/// Frees the snapshot. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_partitions_free(partitions: *mut samsa_partitions) {
    // SAFETY: the caller keeps the header's rules.
    unsafe { free(partitions) }
}

/// The shape of every `samsa_X_list`: the out-parameter is NULL before the handle is looked at.
///
/// # Safety
/// `handle` is NULL or a live handle of this library; `views` is NULL or writable.
pub(super) unsafe fn list<H: Opaque, V>(
    handle: *const H,
    views: *mut *const V,
    body: impl FnOnce(&H::Inner, *mut *const V) -> usize,
) -> usize {
    // SAFETY: the caller's contract is ours.
    unsafe {
        if !views.is_null() {
            *views = ptr::null();
        }
        read(handle, 0, |inner| body(inner, views))
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;
    use crate::cluster::BrokerInfo;
    use crate::ffi::handle::give;

    fn metadata() -> Metadata {
        let mut metadata = Metadata::empty();
        for id in [2, 1] {
            let rack = (id == 2).then(|| "r".to_owned());
            let broker = BrokerInfo { id, host: format!("h{id}"), port: 9092, rack };
            metadata.brokers.insert(id, Arc::new(broker));
        }
        metadata.controller = 2;
        metadata
    }

    #[test]
    fn brokers_come_in_order_with_host_rack_and_controller() {
        let handle = give::<samsa_brokers>(brokers(&metadata()));
        let mut views = ptr::null();
        // SAFETY: a live handle, freed once; its views are read before.
        unsafe {
            assert_eq!(samsa_brokers_list(handle, &raw mut views), 2);
            let views = std::slice::from_raw_parts(views, 2);
            assert_eq!(CStr::from_ptr(views[1].host), c"h2");
            assert_eq!(CStr::from_ptr(views[1].rack), c"r");
            assert!(views[0].rack.is_null() && views[0].flags == 0);
            assert_eq!((views[1].id, views[1].flags), (2, SAMSA_BROKER_CONTROLLER));
            samsa_brokers_free(handle);
        }
    }

    #[test]
    fn partitions_lend_their_replica_lists() {
        let mut partition = PartitionMetadata::unknown();
        partition.replicas = vec![3, 1];
        let topic = TopicMetadata {
            name: Arc::from("t"),
            id: [0; 16],
            error: None,
            partitions: vec![PartitionMetadata::unknown(), partition],
            places: None,
            internal: false,
        };
        let handle = give::<samsa_partitions>(partitions(Arc::new(topic)));
        let mut views = ptr::null();
        // SAFETY: a live handle, freed once; its views are read before.
        unsafe {
            assert_eq!(samsa_partitions_list(handle, &raw mut views), 2);
            let views = std::slice::from_raw_parts(views, 2);
            assert_eq!((views[1].partition, views[1].leader), (1, -1));
            let replicas = std::slice::from_raw_parts(views[1].replicas, 2);
            assert_eq!(replicas, [3, 1]);
            assert!(views[0].replicas.is_null(), "an empty list is NULL, 0");
            samsa_partitions_free(handle);
        }
    }

    #[test]
    fn lists_of_no_handle_are_empty_and_say_so_in_both_ways() {
        let mut views = ptr::dangling();
        // SAFETY: NULL is allowed.
        let count = unsafe { samsa_topics_list(ptr::null(), &raw mut views) };
        assert!(count == 0 && views.is_null());
    }
}
