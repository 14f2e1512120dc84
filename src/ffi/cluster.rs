//! `samsa_cluster`: open, close, wake, look.

use std::ffi::c_char;
use std::ptr;
use std::sync::Arc;

use once_cell::sync::OnceCell;

use super::args::{self, Out};
use super::error::samsa_error;
use super::guard::{free, guard};
use super::handle::{self, Opaque};
use super::samsa_code;
use super::topic::{TopicHandle, samsa_topic};
use crate::cluster::Cluster;
use crate::error::Result;
use crate::producer::Producer;

/// One Kafka cluster: its connections, its metadata, the parent of topics, producers and consumers.
///
/// Any thread may use it. Close it when outcomes matter, then free it; what was made from it keeps
/// what it needs of it, so that every order of frees is right.
#[derive(Debug)]
pub struct samsa_cluster {
    _private: [u8; 0],
}

/// What a cluster handle holds; topics, producers and consumers share it.
#[derive(Debug)]
pub struct ClusterHandle {
    /// The core's cluster.
    pub cluster: Arc<Cluster>,
    publisher: OnceCell<Arc<Producer>>,
}

impl ClusterHandle {
    /// The content of a cluster handle.
    #[must_use]
    pub fn new(cluster: Arc<Cluster>) -> Self {
        Self { cluster, publisher: OnceCell::new() }
    }

    /// The producer behind the cluster's publish calls, made at first use. It is a child of the cluster,
    /// which closes it.
    pub fn publisher(&self) -> Result<&Arc<Producer>> {
        self.publisher.get_or_try_init(|| Producer::publisher(&self.cluster))
    }

    /// The content of a topic handle for `name`.
    pub fn topic(self: &Arc<Self>, name: &str) -> Result<TopicHandle> {
        Ok(TopicHandle::new(self.cluster.topic(name)?, Arc::clone(self)))
    }
}

impl Opaque for samsa_cluster {
    type Inner = Arc<ClusterHandle>;
    const NAME: &'static str = "samsa_cluster";
}

/// Gives a handle for the topic of this name and notes that its metadata is to be kept. Does not wait
/// and does not ask whether the topic exists.
///
/// Who frees: the caller, by samsa_topic_free. NULL: cluster, name and topic are required.
/// Thread: any. Borrowed: the name is copied. On error: `*topic` is NULL; SAMSA_ERR_INVALID_ARGUMENT
/// for a name that Kafka does not allow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_cluster_topic(
    cluster: *mut samsa_cluster,
    name: *const c_char,
    topic: *mut *mut samsa_topic,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let topic = Out::new(topic, ptr::null_mut());
        guard(err, cluster, |cluster| {
            let topic = topic.required("topic")?;
            let name = args::text("name", name)?;
            topic.set(handle::give::<samsa_topic>(cluster.topic(name)?));
            Ok(())
        })
    }
}

/// Frees the cluster handle. NULL is fine. Never waits: without a close before it, what is queued is
/// abandoned, and the log says how much.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_cluster_free(cluster: *mut samsa_cluster) {
    // SAFETY: the caller keeps the header's rules.
    unsafe { free(cluster) }
}
