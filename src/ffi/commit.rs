//! `samsa_consumer_commit` and what belongs to it: offsets of a group.

use std::ptr;

use super::args::Out;
use super::callback::is_inside;
use super::consumer::{ConsumerHandle, samsa_consumer};
use super::error::samsa_error;
use super::guard::guard;
use super::position::{give_list, read_list, read_list_or_all, samsa_position, samsa_positions};
use super::samsa_code;
use crate::consumer::{Event, Position, Tell};
use crate::error::Result;

/// Commits positions for the group, so that whoever reads the partitions later goes on there. Given
/// positions need an offset: the one to be read next (samsa_batch_positions gives those of a batch);
/// leader epoch and metadata are kept with it. NULL with n = 0: for each assigned partition the first
/// message that was handed out and not yet freed, or where reading stands when all are (with
/// enable.auto.offset.store=false: what was stored).
///
/// `timeout_ms` 0: asynchronous, the outcome comes as SAMSA_EVENT_COMMITTED or to the commit callback, or
/// else a failure is an error of the next poll. Otherwise it waits (-1 = no limit), tries again what may
/// pass, and gives the error of the first partition that failed; out of time the outcome comes as that of
/// an asynchronous one. Commits never overtake each other, nor do their
/// outcomes. Asynchronous ones that queue up may become one: each is told how the newest word on its
/// partition ended.
///
/// `*outcome`, may be NULL: what was committed (asynchronous: is to be), with the code of each partition;
/// freed by samsa_positions_free. It is there also when a partition failed.
///
/// Who frees: the caller, as said; `positions` are copied. NULL: `consumer` is required, `positions`
/// unless n is 0. Thread: any; one of the calls that run callbacks, and allowed inside them, where it
/// runs none but the assignor's. On error: SAMSA_ERR_INVALID_GROUP_ID without group.id, SAMSA_ERR_INVALID_ARGUMENT,
/// SAMSA_ERR_TIMED_OUT; SAMSA_ERR_ILLEGAL_GENERATION or SAMSA_ERR_UNKNOWN_MEMBER_ID (KIP-848: also
/// SAMSA_ERR_FENCED_MEMBER_EPOCH; in ZooKeeper: SAMSA_ERR_NOT_ASSIGNED) when the partitions
/// are another's by now, and UNKNOWN_MEMBER_ID at once for those that the member lost and has not got
/// back; SAMSA_ERR_CLOSED when another thread closes the consumer meanwhile (it may be committed).
/// Condition: SAMSA_WOKEN.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_consumer_commit(
    consumer: *mut samsa_consumer,
    positions: *const samsa_position,
    n: usize,
    stride: usize,
    timeout_ms: i32,
    outcome: *mut *mut samsa_positions,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let outcome = Out::new(outcome, ptr::null_mut());
        guard(err, consumer, |held| {
            let positions = read_list_or_all(positions, n, stride)?;
            committing(consumer, held, outcome, |tell| {
                held.consumer.commit(positions.as_deref(), timeout_ms, tell)
            })
        })
    }
}

/// Stops reading partitions, as samsa_consumer_pause does, and then commits where they stand, as
/// samsa_consumer_commit does. NULL with n = 0: all assigned. Places in the positions are not read.
/// samsa_consumer_resume ends it.
///
/// Who frees: the caller, `*outcome` (may be NULL) by samsa_positions_free. NULL: `consumer` is required.
/// Thread: any; one of the calls that run callbacks. On error: as samsa_consumer_commit;
/// SAMSA_ERR_NOT_ASSIGNED, and nothing is stopped. Condition: SAMSA_WOKEN; the partitions are stopped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_consumer_stop_partitions(
    consumer: *mut samsa_consumer,
    positions: *const samsa_position,
    n: usize,
    stride: usize,
    timeout_ms: i32,
    outcome: *mut *mut samsa_positions,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let outcome = Out::new(outcome, ptr::null_mut());
        guard(err, consumer, |held| {
            let positions = read_list_or_all(positions, n, stride)?;
            committing(consumer, held, outcome, |tell| {
                held.consumer.stop_partitions(positions.as_deref(), timeout_ms, tell)
            })
        })
    }
}

/// Runs a call that commits; inside a callback of the consumer it tells nothing.
fn committing(
    consumer: *mut samsa_consumer,
    held: &ConsumerHandle,
    outcome: Out<*mut samsa_positions>,
    commit: impl FnOnce(Option<&mut Tell<'_>>) -> Result<Vec<Position>>,
) -> Result<()> {
    let mut tell = |event: Event| held.hooks.tell(consumer, event);
    let told: Option<&mut Tell<'_>> = if is_inside(consumer) { None } else { Some(&mut tell) };
    let done = commit(told)?;
    let failed = done.iter().find_map(|position| position.error.clone());
    if !outcome.is_null() {
        outcome.set(give_list(done));
    }
    failed.map_or(Ok(()), Err)
}

/// Notes positions as done: the next automatic commit, and a commit without positions, take them. For
/// programs with enable.auto.offset.store=false. What was stored is forgotten when the partition is given
/// up.
///
/// Who frees: nobody; the positions are copied. NULL: `consumer` is required, `positions` unless n is 0.
/// Thread: any. On error nothing is stored: SAMSA_ERR_INVALID_STATE with enable.auto.offset.store=true,
/// SAMSA_ERR_NOT_ASSIGNED, SAMSA_ERR_INVALID_ARGUMENT without an offset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_consumer_store(
    consumer: *mut samsa_consumer,
    positions: *const samsa_position,
    n: usize,
    stride: usize,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe { guard(err, consumer, |held| held.consumer.store(&read_list(positions, n, stride)?)) }
}

/// What the group has committed, in the order asked; NULL with n = 0: all assigned. Without
/// SAMSA_POSITION_OFFSET where nothing is committed; with a code where one partition failed. The
/// partitions need not be assigned. The list goes into samsa_consumer_assign as it is. `timeout_ms`: -1 =
/// no limit.
///
/// Who frees: the caller, `*out` by samsa_positions_free; `positions` is only read. NULL: `consumer` and
/// `out` are required. Thread: any. On error: `*out` is NULL; SAMSA_ERR_INVALID_GROUP_ID without
/// group.id, SAMSA_ERR_TIMED_OUT. Condition: SAMSA_WOKEN.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_consumer_committed(
    consumer: *mut samsa_consumer,
    positions: *const samsa_position,
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
            let which = read_list_or_all(positions, n, stride)?;
            out.set(give_list(held.consumer.committed(which.as_deref(), timeout_ms)?));
            Ok(())
        })
    }
}
