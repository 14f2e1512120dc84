//! Subscribing to a topic.

use std::ffi::c_char;
use std::ptr;
use std::sync::Arc;

use super::args::{self, Out};
use super::consumer::{ConsumerHandle, samsa_consumer};
use super::error::samsa_error;
use super::guard::guard;
use super::handle;
use super::membership::Hooks;
use super::samsa_code;
use super::topic::samsa_topic;
use crate::consumer::Consumer;
use crate::runtime::deadline;

/// Makes a consumer of a whole topic and waits until its start positions are fixed, at most timeout_ms:
/// what is published afterwards is read. They follow the property auto.offset.reset (latest unless set).
/// With timeout_ms 0 it is only noted.
///
/// group NULL: every partition, without a group and without commits; partitions that are added to the
/// topic later are read too, from their beginning. Otherwise the consumer becomes a member of the group:
/// it waits until the group has given it partitions (perhaps none, when there are more members than
/// partitions) and their start positions are known, by the group's committed offsets or else by
/// auto.offset.reset; with a rebalance callback or samsa.events=assigned, until these can tell.
///
/// Who frees: the caller, by samsa_consumer_free. NULL: topic and consumer are required. Thread: any.
/// Borrowed: the group is copied. On error: `*consumer` is NULL; SAMSA_ERR_TIMED_OUT,
/// SAMSA_ERR_UNKNOWN_TOPIC_OR_PARTITION; what the group refuses. Condition: SAMSA_WOKEN, by
/// samsa_cluster_wakeup, with and without a group; `*consumer` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_topic_subscribe(
    topic: *mut samsa_topic,
    group: *const c_char,
    timeout_ms: i32,
    consumer: *mut *mut samsa_consumer,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let consumer = Out::new(consumer, ptr::null_mut());
        guard(err, topic, |topic| {
            let consumer = consumer.required("consumer")?;
            let deadline = deadline(timeout_ms)?;
            let cluster = &topic.cluster;
            let wait = (timeout_ms != 0).then_some(deadline);
            if let Some(group) = args::optional_text("group", group)? {
                let hooks = Hooks::of(None, cluster.cluster.config());
                let (open, topic, callbacks) = (cluster.open()?, &topic.topic, hooks.callbacks());
                let made = Consumer::subscribe_in_group(open, topic, group, callbacks, wait)?;
                let held = ConsumerHandle::new(made, hooks, Arc::clone(cluster));
                consumer.set(handle::give::<samsa_consumer>(held));
                return Ok(());
            }
            let made =
                Consumer::of_topic(cluster.open()?, &topic.topic, None, timeout_ms != 0, deadline)?;
            let held = ConsumerHandle::new(made, Hooks::default(), Arc::clone(cluster));
            consumer.set(handle::give::<samsa_consumer>(held));
            Ok(())
        })
    }
}
