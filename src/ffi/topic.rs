//! `samsa_topic`: a name within one cluster.

use std::ffi::{CString, c_char};
use std::ptr;
use std::sync::Arc;

use super::args::Out;
use super::cluster::ClusterHandle;
use super::error::{c_string, samsa_error};
use super::guard::{free, guard, read};
use super::handle::{self, Opaque};
use super::samsa_code;
use super::snapshot::{self, samsa_partitions};
use crate::cluster::Topic;
use crate::runtime::deadline;

/// A topic of one cluster. It keeps its cluster alive; another cluster refuses it with
/// SAMSA_ERR_FOREIGN_TOPIC.
///
/// Whether the topic exists is not asked when the handle is made. Any thread may use it.
#[derive(Debug)]
pub struct samsa_topic {
    _private: [u8; 0],
}

/// What a topic handle holds.
#[derive(Debug)]
pub struct TopicHandle {
    /// The core's topic, the same object for every handle of the name.
    pub topic: Arc<Topic>,
    /// The cluster, with what its C handle carries.
    pub cluster: Arc<ClusterHandle>,
    name: CString,
}

impl TopicHandle {
    /// A handle's content for a topic of `cluster`.
    pub fn new(topic: Arc<Topic>, cluster: Arc<ClusterHandle>) -> Self {
        let name = c_string(topic.name());
        Self { topic, cluster, name }
    }
}

impl Opaque for samsa_topic {
    type Inner = TopicHandle;
    const NAME: &'static str = "samsa_topic";
}

/// The topic's name; NULL on a pointer that is no live samsa_topic.
///
/// Borrowed: valid until the topic is freed. Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_topic_name(topic: *const samsa_topic) -> *const c_char {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(topic, ptr::null(), |topic| topic.name.as_ptr()) }
}

/// Gives the partitions of the topic as they are known; waits for the first answer about the topic, if
/// there was none yet, at most timeout_ms.
///
/// Who frees: the caller, by samsa_partitions_free. NULL: topic and partitions are required. Thread:
/// any. On error: `*partitions` is NULL; SAMSA_ERR_UNKNOWN_TOPIC_OR_PARTITION, SAMSA_ERR_TIMED_OUT.
/// Condition: SAMSA_WOKEN, by samsa_cluster_wakeup.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_topic_partitions(
    topic: *mut samsa_topic,
    timeout_ms: i32,
    partitions: *mut *mut samsa_partitions,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let partitions = Out::new(partitions, ptr::null_mut());
        guard(err, topic, |handle| {
            let partitions = partitions.required("partitions")?;
            let deadline = deadline(timeout_ms)?;
            let cluster = &handle.cluster;
            let known = cluster.open()?.wait_topic(&handle.topic, deadline)?;
            partitions.set(handle::give::<samsa_partitions>(snapshot::partitions(known)));
            Ok(())
        })
    }
}

/// Frees a topic handle. NULL is fine. What was made or accepted with the handle stays: consumers,
/// messages, and records that a send has taken. A samsa_record or samsa_packed that still names the
/// handle must not be passed any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_topic_free(topic: *mut samsa_topic) {
    // SAFETY: the caller keeps the header's rules.
    unsafe { free(topic) }
}
