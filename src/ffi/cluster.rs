//! `samsa_cluster`: open, close, wake, look.

use std::ffi::{CString, c_char, c_void};
use std::ptr;
use std::sync::{Arc, OnceLock};

use once_cell::sync::OnceCell;

use super::args::{self, Out};
use super::callback::{self, Registered};
use super::config::{callback_of, samsa_config, samsa_release_callback};
use super::error::{c_string, samsa_error};
use super::event::{EventHandle, samsa_event};
use super::guard::{call, free, guard, poll_like, read, signal};
use super::handle::{self, Lent, Opaque};
use super::samsa_code;
use super::snapshot::{self, samsa_brokers, samsa_topics};
use super::topic::{TopicHandle, samsa_topic};
use crate::cluster::{Cluster, Generation};
use crate::error::{Error, Result};
use crate::producer::Producer;
use crate::runtime::deadline;

/// One Kafka cluster: its connections, its metadata, the parent of topics, producers and consumers.
///
/// Any thread may use it. Close it when outcomes matter, then free it; what was made from it keeps
/// what it needs of it, so that every order of frees is right.
pub struct samsa_cluster {
    _private: [u8; 0],
}

/// What a cluster handle holds; topics, producers and consumers share it.
#[derive(Debug)]
pub struct ClusterHandle {
    /// The core's cluster.
    pub cluster: Arc<Cluster>,
    id: OnceLock<CString>,
    on_change: Option<Arc<Registered<ClusterCall>>>,
    publisher: OnceCell<Arc<Producer>>,
}

impl ClusterHandle {
    fn new(cluster: Arc<Cluster>) -> Arc<Self> {
        let on_change = callback_of::<ClusterCall>(cluster.config());
        Arc::new(Self { cluster, id: OnceLock::new(), on_change, publisher: OnceCell::new() })
    }

    /// The core's cluster for new work: `Err` once it is closed.
    pub(super) fn open(&self) -> Result<&Arc<Cluster>> {
        self.cluster.check_open()?;
        Ok(&self.cluster)
    }

    /// The content of a topic handle for `name`.
    pub fn topic(self: &Arc<Self>, name: &str) -> Result<TopicHandle> {
        Ok(TopicHandle::new(self.open()?.topic(name)?, Arc::clone(self)))
    }

    /// The producer behind `samsa_topic_publish`: one per cluster, made at first use, closed with it.
    pub fn publisher(&self) -> Result<&Arc<Producer>> {
        self.publisher.get_or_try_init(|| Producer::publisher(self.open()?))
    }
}

impl Opaque for samsa_cluster {
    type Inner = Arc<ClusterHandle>;
    const NAME: &'static str = "samsa_cluster";

    fn poisoned(inner: &Self::Inner, error: &Error) {
        inner.cluster.fail(error.clone());
    }
}

/// Tells of a change of the cluster. Runs inside samsa_cluster_next_event; the event is lent.
pub type samsa_cluster_callback = Option<
    unsafe extern "C" fn(cluster: *mut samsa_cluster, event: *const samsa_event, user: *mut c_void),
>;

/// A cluster callback, as configurations carry it.
#[derive(Debug)]
pub struct ClusterCall(samsa_cluster_callback);

/// Has changes of the cluster told to a callback, which runs inside samsa_cluster_next_event; that
/// gives 0 and NULL then. call NULL takes the callback back. Only samsa_cluster_open takes a configuration
/// with it: where a producer or consumer is made it gives SAMSA_ERR_INVALID_PROPERTY.
///
/// Who frees: release(user), if not NULL, is called once after the last use; when this call fails, it
/// is not. Thread: any. On error: nothing is changed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_config_set_cluster_callback(
    config: *mut samsa_config,
    call: samsa_cluster_callback,
    user: *mut c_void,
    release: samsa_release_callback,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        guard(err, config, |config| {
            let unused = config.edit(|config| {
                // The application's pointer is ours only from here on: a refused call releases nothing.
                let set = Registered::new(ClusterCall(call), user, release);
                match call {
                    Some(_) => config.attach_to_cluster(Arc::clone(&set), "the cluster callback"),
                    None => config.detach::<Registered<ClusterCall>>(),
                }
                set
            })?;
            // Without a function that was its last use: the release function runs outside of the lock.
            drop(unused);
            Ok(())
        })
    }
}

/// Opens a cluster by the property bootstrap.servers or zookeeper.connect and waits for the first
/// contact, at most timeout_ms; with 0 it does not wait, and goes on trying in the background.
///
/// Who frees: the caller, by samsa_cluster_free. NULL: config and cluster are required. Thread: any.
/// Borrowed: the configuration is copied. On error: `*cluster` is NULL; SAMSA_ERR_TIMED_OUT and
/// SAMSA_ERR_CONNECTION_FAILED say what each broker answered, SAMSA_ERR_INVALID_PROPERTY which
/// property does not fit, SAMSA_ERR_ZOOKEEPER what ZooKeeper refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_cluster_open(
    config: *const samsa_config,
    timeout_ms: i32,
    cluster: *mut *mut samsa_cluster,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let cluster = Out::new(cluster, ptr::null_mut());
        call(err, || {
            let config = handle::look(config)?.inner()?.copy()?;
            let cluster = cluster.required("cluster")?;
            let deadline = deadline(timeout_ms)?;
            let opened = Cluster::open(&config)?;
            if timeout_ms != 0 {
                opened.wait_ready(deadline)?;
            }
            cluster.set(handle::give::<samsa_cluster>(ClusterHandle::new(opened)));
            Ok(())
        })
    }
}

/// Closes the producers and consumers of the cluster, then its connections, within timeout_ms in all.
/// Events can still be read. A wake-up does not end it.
///
/// NULL: cluster is required. Thread: any. On error: SAMSA_ERR_TIMED_OUT when not everything could be
/// finished; what could not has its outcome, and everything is closed. A second close gives 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_cluster_close(
    cluster: *mut samsa_cluster,
    timeout_ms: i32,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe { guard(err, cluster, |handle| handle.cluster.close(deadline(timeout_ms)?)) }
}

/// Ends every wait now in progress on the cluster (next_event, publish, create_topic, ...) with
/// SAMSA_WOKEN, or else the next one: it is remembered once. May be called in a signal handler.
///
/// Does nothing on NULL and on what is no live samsa_cluster. Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_cluster_wakeup(cluster: *mut samsa_cluster) {
    // SAFETY: the caller keeps the header's rules.
    unsafe { signal(cluster, |handle| handle.cluster.wakeup()) }
}

/// Gives a descriptor that is readable while samsa_cluster_next_event would not wait.
///
/// The library alone reads and closes it; it lives until samsa_cluster_free. NULL: cluster and fd are
/// required. Thread: any. On error: `*fd` is -1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_cluster_fd(
    cluster: *mut samsa_cluster,
    fd: *mut isize,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let fd = Out::new(fd, -1);
        guard(err, cluster, |handle| {
            fd.required("fd")?.set(handle.cluster.fd()?);
            Ok(())
        })
    }
}

/// Waits for a change of the cluster: a broker or a topic that has a handle. Changes are kept from
/// samsa_cluster_open on, one for each broker and topic (a newer one replaces an older).
///
/// With a cluster callback the event goes there, and `*event` is NULL. Conditions: SAMSA_NOTHING,
/// SAMSA_WOKEN.
/// Who frees: the caller, by samsa_event_free. NULL: cluster and event are required. Thread: any. On
/// error: `*event` is NULL; SAMSA_ERR_CLOSED after close, when all is read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_cluster_next_event(
    cluster: *mut samsa_cluster,
    timeout_ms: i32,
    event: *mut *mut samsa_event,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let event = Out::new(event, ptr::null_mut());
        poll_like(err, cluster, |handle| {
            let event = event.required("event")?;
            let next = handle.cluster.next_event(deadline(timeout_ms)?)?;
            let next = EventHandle::from(next);
            let on_change = handle.on_change.as_deref();
            match on_change.and_then(|set| Some((set.call.0?, set.user()))) {
                Some((call, user)) => {
                    let lent = Lent::<samsa_event>::new(next);
                    callback::inside(cluster, || call(cluster, lent.as_ptr(), user));
                }
                None => event.set(handle::give::<samsa_event>(next)),
            }
            Ok(())
        })
    }
}

/// The id of the cluster, as its brokers tell it from 0.10.1 on; NULL while it is not known.
///
/// Borrowed: valid until the cluster is freed. Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_cluster_id(cluster: *const samsa_cluster) -> *const c_char {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        read(cluster, ptr::null(), |handle| match handle.cluster.id() {
            // It never changes: another id is an error of the cluster.
            Some(id) => handle.id.get_or_init(|| c_string(&id)).as_ptr(),
            None => ptr::null(),
        })
    }
}

/// Whether the cluster is one of Kafka 0.7, whose partitions are a broker and a number
/// (samsa_partition_broker), and whose offsets are positions in bytes. False before the first contact,
/// and for what is no live samsa_cluster. It never changes afterwards.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_cluster_is_legacy(cluster: *const samsa_cluster) -> bool {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        read(cluster, false, |handle| handle.cluster.generation() == Some(Generation::Legacy))
    }
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

/// Gives the brokers as they are known now. Does not wait.
///
/// Who frees: the caller, by samsa_brokers_free. NULL: cluster and brokers are required. Thread: any.
/// On error: `*brokers` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_cluster_brokers(
    cluster: *mut samsa_cluster,
    brokers: *mut *mut samsa_brokers,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let brokers = Out::new(brokers, ptr::null_mut());
        guard(err, cluster, |handle| {
            let brokers = brokers.required("brokers")?;
            let snapshot = snapshot::brokers(&handle.open()?.metadata());
            brokers.set(handle::give::<samsa_brokers>(snapshot));
            Ok(())
        })
    }
}

/// Asks a broker for all topics of the cluster, on Kafka 0.7 ZooKeeper, and gives them in order of their
/// names.
///
/// Who frees: the caller, by samsa_topics_free. NULL: cluster and topics are required. Thread: any.
/// On error: `*topics` is NULL; SAMSA_ERR_TIMED_OUT. Condition: SAMSA_WOKEN.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_cluster_topics(
    cluster: *mut samsa_cluster,
    timeout_ms: i32,
    topics: *mut *mut samsa_topics,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let topics = Out::new(topics, ptr::null_mut());
        guard(err, cluster, |handle| {
            let topics = topics.required("topics")?;
            let all = handle.cluster.all_topics(deadline(timeout_ms)?)?;
            topics.set(handle::give::<samsa_topics>(snapshot::topics(all.iter())));
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::config::{optional_config, samsa_config_free, samsa_config_new};
    use super::*;
    use crate::config::Config;
    use crate::error::Code;

    static RELEASED: AtomicUsize = AtomicUsize::new(0);

    unsafe extern "C" fn count(_: *mut c_void) {
        RELEASED.fetch_add(1, Ordering::SeqCst);
    }

    unsafe extern "C" fn on_change(_: *mut samsa_cluster, _: *const samsa_event, _: *mut c_void) {}

    #[test]
    fn a_cluster_callback_among_overrides_is_refused_and_released_once() {
        let config = samsa_config_new();
        let set = |call| {
            let (user, err) = (ptr::null_mut(), ptr::null_mut());
            // SAFETY: a live configuration, and a release function that takes any pointer.
            unsafe { samsa_config_set_cluster_callback(config, call, user, Some(count), err) }
        };
        let overlay = || {
            // SAFETY: it lives until the free.
            let overrides = unsafe { optional_config(config) }.unwrap();
            Config::new().overlay(overrides.as_ref()).map(drop)
        };
        assert_eq!(set(Some(on_change)), 0);
        let error = overlay().unwrap_err();
        assert_eq!(error.code(), Code::INVALID_PROPERTY);
        assert!(error.message().contains("cluster callback"), "{error}");
        assert_eq!(RELEASED.load(Ordering::SeqCst), 0);
        assert_eq!(set(None), 0);
        assert_eq!(
            RELEASED.load(Ordering::SeqCst),
            2,
            "what was taken back, and what nothing keeps"
        );
        overlay().unwrap();
        // SAFETY: the last use.
        unsafe { samsa_config_free(config) };
        assert_eq!(RELEASED.load(Ordering::SeqCst), 2);
    }
}
