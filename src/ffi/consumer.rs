//! `samsa_consumer`: assign, read, move, look, close.

use std::ptr;
use std::sync::Arc;

use super::args::{Out, null_argument};
use super::batch::samsa_batch;
use super::cluster::{ClusterHandle, samsa_cluster};
use super::config::{optional_config, samsa_config};
use super::error::samsa_error;
use super::event::samsa_event;
use super::guard::{free, guard, poll_like, signal};
use super::handle::{self, Opaque};
use super::membership::Hooks;
use super::message::{give_message, samsa_message};
use super::position::{give_list, read_list, read_list_or_all, samsa_position, samsa_positions};
use super::samsa_code;
use crate::consumer::{Consumer, Position};
use crate::error::{Code, Error, Result};

/// A consumer: it reads partitions of one cluster.
///
/// Any thread may use it, several at once: each message goes to one caller. In a group the automatic
/// commit takes what was handed out when it was freed and the thread that got it polls again (or has
/// ended): a thread that works on messages covers them until it comes back. After samsa_consumer_close
/// calls give SAMSA_ERR_CLOSED. Batches and messages outlive it.
pub struct samsa_consumer {
    _private: [u8; 0],
}

/// What a consumer handle holds.
#[derive(Debug)]
pub struct ConsumerHandle {
    pub(super) consumer: Arc<Consumer>,
    pub(super) hooks: Hooks,
    // The cluster lives as long as its children.
    _cluster: Arc<ClusterHandle>,
}

impl ConsumerHandle {
    /// The content of a consumer handle.
    pub(super) fn new(consumer: Arc<Consumer>, hooks: Hooks, cluster: Arc<ClusterHandle>) -> Self {
        Self { consumer, hooks, _cluster: cluster }
    }
}

impl Opaque for samsa_consumer {
    type Inner = ConsumerHandle;
    const NAME: &'static str = "samsa_consumer";

    fn poisoned(inner: &ConsumerHandle, error: &Error) {
        inner.consumer.fail(error.clone());
    }
}

/// Makes a consumer with nothing assigned. `overrides`, may be NULL, win over the cluster's
/// configuration and are copied. Does not wait.
///
/// Who frees: the caller, `*consumer` by samsa_consumer_free. NULL: `cluster` and `consumer` are
/// required. Thread: any. Borrowed: nothing is kept of the arguments. On error: `*consumer` is NULL;
/// SAMSA_ERR_INVALID_PROPERTY names the property.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_consumer_new(
    cluster: *mut samsa_cluster,
    overrides: *const samsa_config,
    consumer: *mut *mut samsa_consumer,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let consumer = Out::new(consumer, ptr::null_mut());
        guard(err, cluster, |cluster| {
            let consumer = consumer.required("consumer")?;
            let overrides = optional_config(overrides)?;
            let hooks = Hooks::of(overrides.as_ref(), cluster.cluster.config());
            let callbacks = hooks.callbacks();
            let made = Consumer::with_callbacks(cluster.open()?, overrides.as_ref(), callbacks)?;
            let held = ConsumerHandle::new(made, hooks, Arc::clone(cluster));
            consumer.set(handle::give::<samsa_consumer>(held));
            Ok(())
        })
    }
}

/// Replaces the assignment: from now on exactly these partitions are read, each from the place that its
/// position gives, or by auto.offset.reset. What was fetched before is dropped. NULL with n = 0 stops
/// reading. Only notes it and does not wait: troubles come by samsa_consumer_poll, a topic that does not
/// exist once for each partition, when brokers have said so for 5 s.
///
/// With group.id a partition without a place begins where the group's committed offset says, and positions
/// can be committed; but the consumer is no member, and the group takes its commits only while it has no
/// members (SAMSA_ERR_UNKNOWN_MEMBER_ID).
///
/// Who frees: nobody; the positions and their names are copied. NULL: `consumer` is required,
/// `positions` unless n is 0. Thread: any. On error nothing changes: SAMSA_ERR_INVALID_ARGUMENT for a
/// place or a name that cannot be, or a partition named twice; SAMSA_ERR_INVALID_STATE while subscribed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_consumer_assign(
    consumer: *mut samsa_consumer,
    positions: *const samsa_position,
    n: usize,
    stride: usize,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        guard(err, consumer, |held| {
            let positions = read_list_or_all(positions, n, stride)?.unwrap_or_default();
            held.consumer.assign(&positions)
        })
    }
}

/// The assigned partitions with their positions, in the order of the assignment.
///
/// Who frees: the caller, `*positions` by samsa_positions_free. NULL: both are required. Thread: any.
/// On error: `*positions` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_consumer_assignment(
    consumer: *mut samsa_consumer,
    positions: *mut *mut samsa_positions,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let positions = Out::new(positions, ptr::null_mut());
        guard(err, consumer, |held| {
            let positions = positions.required("positions")?;
            positions.set(give_list(held.consumer.assignment()?));
            Ok(())
        })
    }
}

/// Waits for messages and gives up to max.poll.records of them, in order within each partition.
/// `timeout_ms`: 0 = do not wait, -1 = no limit.
///
/// Who frees: the caller, `*batch` by samsa_batch_free. NULL: both are required. Thread: any, several
/// at once; one of the calls that run callbacks. On error: `*batch` is NULL. Conditions:
/// SAMSA_NOTHING, SAMSA_WOKEN, SAMSA_EVENT (read it with samsa_consumer_next_event first). Errors of
/// partitions (SAMSA_ERR_NO_OFFSET, SAMSA_ERR_UNDECODABLE, an authorization, ...) and of the group
/// (SAMSA_ERR_MAX_POLL_EXCEEDED: the member had left, and joins again; a failed automatic commit, ...)
/// come once each, and the others go on; SAMSA_ERR_MEMORY_LIMIT says once that what the program holds stops
/// fetching.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_consumer_poll(
    consumer: *mut samsa_consumer,
    timeout_ms: i32,
    batch: *mut *mut samsa_batch,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let batch = Out::new(batch, ptr::null_mut());
        poll_like(err, consumer, |held| {
            let batch = batch.required("batch")?;
            let mut tell = |event| held.hooks.tell(consumer, event);
            let polled = held.consumer.poll_telling(timeout_ms, &mut tell)?;
            batch.set(handle::give::<samsa_batch>(polled.into()));
            Ok(())
        })
    }
}

/// Waits for one message. `timeout_ms`: 0 = do not wait, -1 = no limit. May be mixed with
/// samsa_consumer_poll.
///
/// Who frees: the caller, `*message` by samsa_message_free. NULL: both are required. Thread: any,
/// several at once; one of the calls that run callbacks. On error: `*message` is NULL; conditions and
/// errors as in samsa_consumer_poll.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_consumer_next(
    consumer: *mut samsa_consumer,
    timeout_ms: i32,
    message: *mut *mut samsa_message,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let message = Out::new(message, ptr::null_mut());
        poll_like(err, consumer, |held| {
            let message = message.required("message")?;
            let mut tell = |event| held.hooks.tell(consumer, event);
            message.set(give_message(held.consumer.next_telling(timeout_ms, &mut tell)?));
            Ok(())
        })
    }
}

/// The oldest unread event. Does not wait; after close SAMSA_ERR_CLOSED once all is read.
///
/// Who frees: the caller, `*event` by samsa_event_free. NULL: both are required. Thread: any. On
/// error: `*event` is NULL. Condition: SAMSA_NOTHING when there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_consumer_next_event(
    consumer: *mut samsa_consumer,
    event: *mut *mut samsa_event,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let event = Out::new(event, ptr::null_mut());
        guard(err, consumer, |held| {
            let event = event.required("event")?;
            let next = held.consumer.next_event()?.ok_or(Error::bare(Code::NOTHING))?;
            event.set(handle::give::<samsa_event>(next.into()));
            Ok(())
        })
    }
}

/// Moves assigned partitions: what was fetched of them is dropped, also what is on its way, and reading
/// goes on at the given places. Does not wait.
///
/// Who frees: nobody; the positions are copied. NULL: `consumer` is required, `positions` unless n is
/// 0. Thread: any. On error nothing changes: SAMSA_ERR_NOT_ASSIGNED, SAMSA_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_consumer_seek(
    consumer: *mut samsa_consumer,
    positions: *const samsa_position,
    n: usize,
    stride: usize,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe { guard(err, consumer, |held| held.consumer.seek(&read_list(positions, n, stride)?)) }
}

/// Stops delivery and fetching of partitions; what is buffered is kept. NULL with n = 0: all assigned.
/// Places in the positions are not read.
///
/// Who frees: nobody; the positions are copied. NULL: `consumer` is required. Thread: any. On error:
/// SAMSA_ERR_NOT_ASSIGNED, and nothing changes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_consumer_pause(
    consumer: *mut samsa_consumer,
    positions: *const samsa_position,
    n: usize,
    stride: usize,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        guard(err, consumer, |held| {
            held.consumer.pause(read_list_or_all(positions, n, stride)?.as_deref())
        })
    }
}

/// Ends a pause; does nothing for what is not paused. NULL with n = 0: all assigned. Places in the
/// positions are not read.
///
/// Who frees: nobody; the positions are copied. NULL: `consumer` is required. Thread: any. On error:
/// SAMSA_ERR_NOT_ASSIGNED, and nothing changes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_consumer_resume(
    consumer: *mut samsa_consumer,
    positions: *const samsa_position,
    n: usize,
    stride: usize,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        guard(err, consumer, |held| {
            held.consumer.resume(read_list_or_all(positions, n, stride)?.as_deref())
        })
    }
}

/// Where partitions go on: the place after the last message that was handed out, without an offset
/// while none is known yet. In the order asked; NULL with n = 0: all assigned. Does not wait.
///
/// Who frees: the caller, `*out` by samsa_positions_free; `positions` is only read. NULL: `consumer`
/// and `out` are required. Thread: any. On error: `*out` is NULL; SAMSA_ERR_NOT_ASSIGNED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_consumer_position(
    consumer: *mut samsa_consumer,
    positions: *const samsa_position,
    n: usize,
    stride: usize,
    out: *mut *mut samsa_positions,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let out = Out::new(out, ptr::null_mut());
        guard(err, consumer, |held| {
            let out = out.required("out")?;
            let which = read_list_or_all(positions, n, stride)?;
            out.set(give_list(held.consumer.position(which.as_deref())?));
            Ok(())
        })
    }
}

/// First offset and end (high watermark) of one partition. `timeout_ms` 0: what the last fetch said, -1
/// for what is not known; otherwise the leader is asked, and the partition need not be assigned.
///
/// Who frees: nobody. NULL: `consumer` and `partition` are required; `low` and `high` may be NULL.
/// Thread: any. On error: `*low` and `*high` are -1; SAMSA_ERR_TIMED_OUT, SAMSA_ERR_NOT_ASSIGNED.
/// Condition: SAMSA_WOKEN.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_consumer_watermarks(
    consumer: *mut samsa_consumer,
    partition: *const samsa_position,
    timeout_ms: i32,
    low: *mut i64,
    high: *mut i64,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let (low, high) = (Out::new(low, -1), Out::new(high, -1));
        guard(err, consumer, |held| {
            let which = one(partition)?;
            let (first, end) = held.consumer.watermarks(&which, timeout_ms)?;
            low.set(first);
            high.set(end);
            Ok(())
        })
    }
}

/// How far the position of an assigned partition is behind its end, in offsets, as the last fetch said;
/// -1 while one of them is not known. Does not wait.
///
/// Who frees: nobody. NULL: all are required. Thread: any. On error: `*lag` is -1;
/// SAMSA_ERR_NOT_ASSIGNED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_consumer_lag(
    consumer: *mut samsa_consumer,
    partition: *const samsa_position,
    lag: *mut i64,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let lag = Out::new(lag, -1);
        guard(err, consumer, |held| {
            let lag = lag.required("lag")?;
            lag.set(held.consumer.lag(&one(partition)?)?.unwrap_or(-1));
            Ok(())
        })
    }
}

/// For each position with a time: the first offset whose message is not older. The list comes in the
/// order asked; without SAMSA_POSITION_OFFSET where no message is that late; with a code where one
/// partition failed. The partitions need not be assigned. `timeout_ms`: -1 = no limit.
///
/// Who frees: the caller, `*out` by samsa_positions_free; `times` is only read. NULL: `consumer` and
/// `out` are required, `times` unless n is 0. Thread: any. On error: `*out` is NULL;
/// SAMSA_ERR_INVALID_ARGUMENT without a time, SAMSA_ERR_TIMED_OUT. Condition: SAMSA_WOKEN.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_consumer_offsets_for_times(
    consumer: *mut samsa_consumer,
    times: *const samsa_position,
    n: usize,
    stride: usize,
    timeout_ms: i32,
    out: *mut *mut samsa_positions,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let out = Out::new(out, ptr::null_mut());
        guard(err, consumer, |held| {
            let out = out.required("out")?;
            let times = read_list(times, n, stride)?;
            out.set(give_list(held.consumer.offsets_for_times(&times, timeout_ms)?));
            Ok(())
        })
    }
}

/// Ends every wait in progress on the consumer with SAMSA_WOKEN, or else the next one: it is remembered
/// once. Async-signal-safe. NULL does nothing. Thread: any, also a signal handler.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_consumer_wakeup(consumer: *mut samsa_consumer) {
    // SAFETY: the caller keeps the header's rules.
    unsafe { signal(consumer, |held| held.consumer.wakeup()) }
}

/// A descriptor for an event loop: readable while a poll would not wait; it may also be so without
/// reason. A poll that gives SAMSA_NOTHING clears it.
///
/// Who frees: nobody; the library alone reads and closes it, it lives until samsa_consumer_free. NULL:
/// both are required. Thread: any. On error: `*fd` is -1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_consumer_fd(
    consumer: *mut samsa_consumer,
    fd: *mut isize,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let fd = Out::new(fd, -1);
        guard(err, consumer, |held| {
            let fd = fd.required("fd")?;
            fd.set(held.consumer.fd()?);
            Ok(())
        })
    }
}

/// Stops reading and drops what was not handed out. Polls in progress and later calls give
/// SAMSA_ERR_CLOSED; batches, messages and events stay readable.
///
/// In a group first: the rebalance callback, if there is one, hears of all partitions as revoked and may
/// commit; with enable.auto.commit=true what was handed out and freed is committed, but not what another
/// thread got that lives and did not poll again; the group is left, so that the other members need not wait for the end of a session (a static member stays). No event is
/// made. `timeout_ms` bounds all of it; 0 = do not wait for commit and group, -1 = as long as requests
/// may take. Commits that are not waited for any longer are told as failed by SAMSA_ERR_TIMED_OUT where
/// the outcomes of commits are told; they may arrive all the same.
///
/// Who frees: the handle stays and is freed by samsa_consumer_free. NULL: `consumer` is required.
/// Thread: any; one of the calls that run callbacks. A wake-up does not end it. On error it is closed all
/// the same: SAMSA_ERR_TIMED_OUT, or why the commit failed; a second close gives 0. One that comes while
/// another thread closes waits for that one, and gives SAMSA_ERR_TIMED_OUT if it is not done in time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_consumer_close(
    consumer: *mut samsa_consumer,
    timeout_ms: i32,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        poll_like(err, consumer, |held| {
            let mut tell = |event| held.hooks.tell(consumer, event);
            held.consumer.close_telling(timeout_ms, Some(&mut tell))
        })
    }
}

/// Frees the consumer; without a close before it, reading ends, what was not handed out is dropped,
/// nothing is committed, and the group is told without waiting. NULL is fine. Never waits. Thread: any, as the last use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_consumer_free(consumer: *mut samsa_consumer) {
    // SAFETY: the caller keeps the header's rules.
    unsafe { free(consumer) }
}

/// Reads one required position.
///
/// # Safety
/// `position` is NULL or a live struct.
unsafe fn one(position: *const samsa_position) -> Result<Position> {
    // SAFETY: by the contract of this function.
    let list = unsafe {
        let count = usize::from(!position.is_null());
        read_list(position, count, size_of::<samsa_position>())
    }?;
    list.into_iter().next().ok_or_else(|| null_argument("partition"))
}
