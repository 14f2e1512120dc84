//! Publishing to a topic: the calls that wait for the outcome.

use std::ffi::c_void;

use super::args::{Out, Strided, bytes};
use super::error::samsa_error;
use super::guard::guard;
use super::record::{read_record, samsa_record};
use super::samsa_code;
use super::topic::{TopicHandle, samsa_topic};
use crate::error::{Code, Error, Result};
use crate::producer::Record;
use crate::runtime;

/// Publishes one record and waits until the broker has it (as the property acks says). Keyed records go
/// where their key belongs, others to a partition that the library chooses. `timeout_ms`: -1 = no limit of
/// the call's own: max.block.ms bounds the wait for the topic's metadata and for room in buffer.memory,
/// delivery.timeout.ms what comes then; 0 is an error: use samsa_producer_send.
///
/// Writes where it went to `*partition` and `*offset`; offset -1: not known (acks=0, Kafka 0.7).
///
/// Who frees: nobody. NULL: `topic` is required; key or value NULL with length 0 means none; `partition`
/// and `offset` may be NULL. Thread: any, several at once. Borrowed: nothing is kept. On error: both are
/// -1; samsa_error_status tells whether the record may be there all the same: not if it was withdrawn in
/// time, possibly if it had been sent. After samsa_cluster_wakeup likewise: SAMSA_WOKEN (a condition) if it
/// was withdrawn, and surely is not there; SAMSA_ERR_TIMED_OUT, possibly persisted, if it had been sent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_topic_publish(
    topic: *mut samsa_topic,
    key: *const c_void,
    key_length: usize,
    value: *const c_void,
    value_length: usize,
    timeout_ms: i32,
    partition: *mut i64,
    offset: *mut i64,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let (partition, offset) = (Out::new(partition, -1), Out::new(offset, -1));
        guard(err, topic, |topic| {
            let record = Record {
                topic: &topic.topic,
                partition: None,
                timestamp: None,
                key: bytes("key", key, key_length)?,
                value: bytes("value", value, value_length)?,
                headers: &(),
                opaque: 0,
            };
            publish(topic, &[record], timeout_ms, partition, offset)
        })
    }
}

/// Publishes records to one partition, in order, as one batch, and waits as samsa_topic_publish does. The
/// first record's partition, if given, else its key chooses; the others must name the same partition or
/// none. Their topic is NULL or this one; n = 1 is a publish with partition, headers, timestamp. `stride`
/// is sizeof(samsa_record).
///
/// Writes the partition, and the first record's offset: the others follow it; -1: not known.
///
/// Who frees: nobody. NULL: `topic` and `records` are required; `partition` and `first_offset` may be
/// NULL. Thread: any, several at once. Borrowed: nothing is kept. On error and after a wake-up: as
/// samsa_topic_publish, for all of them; SAMSA_ERR_RECORD_TOO_LARGE when they do not fit into one request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_topic_publish_list(
    topic: *mut samsa_topic,
    records: *const samsa_record,
    n: usize,
    stride: usize,
    timeout_ms: i32,
    partition: *mut i64,
    first_offset: *mut i64,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let (partition, offset) = (Out::new(partition, -1), Out::new(first_offset, -1));
        guard(err, topic, |topic| {
            let records = Strided::new("records", records, n, stride)?;
            let list: Result<Vec<_>> =
                records.iter().map(|record| read_record(record, Some(topic))).collect();
            publish(topic, &list?, timeout_ms, partition, offset)
        })
    }
}

fn publish(
    topic: &TopicHandle,
    records: &[Record<'_>],
    timeout_ms: i32,
    partition: Out<i64>,
    offset: Out<i64>,
) -> Result<()> {
    if timeout_ms == 0 {
        let text = "timeout_ms is 0: a publish waits for its outcome; samsa_producer_send does not";
        return Err(Error::new(Code::INVALID_ARGUMENT, text));
    }
    if records.iter().any(|record| !std::sync::Arc::ptr_eq(record.topic, &topic.topic)) {
        let text = "a record of the list names another topic: leave it NULL";
        return Err(Error::new(Code::INVALID_ARGUMENT, text));
    }
    let deadline = runtime::deadline(timeout_ms)?;
    let (went_to, at) = topic.cluster.publisher()?.publish(records, deadline)?;
    partition.set(went_to);
    offset.set(at);
    Ok(())
}
