//! `samsa_embedded`: the embedded broker for C programs' own tests (`samsa_testing.h`).

use std::ffi::{CString, c_char};
use std::ptr;

use super::args::{self, Out};
use super::embedded_legacy::Brokers;
use super::error::{c_string, samsa_error};
use super::guard::{call, free, guard, read};
use super::handle::{self, Opaque};
use super::samsa_code;
use crate::embedded::Cluster;
use crate::error::{Code, Error, Result};
use crate::protocol::modern::ApiKey;
use crate::runtime::deadline;

/// A cluster of brokers in this process, on loopback ports, in memory. Any thread may use it.
///
/// A topic that a client asks for is made on the spot, unless auto.create.topics.enable is false.
#[derive(Debug)]
pub struct samsa_embedded {
    _private: [u8; 0],
}

/// What an embedded handle holds.
#[derive(Debug)]
pub struct EmbeddedHandle {
    pub(super) brokers: Brokers,
    pub(super) address: CString,
}

impl Opaque for samsa_embedded {
    type Inner = EmbeddedHandle;
    const NAME: &'static str = "samsa_embedded";
}

/// Starts brokers (1 to 100) with the ids 0, 1, ...
///
/// Who frees: the caller, `*embedded` by samsa_embedded_free. NULL: `embedded` is required. Thread:
/// any. On error: `*embedded` is NULL; SAMSA_ERR_INVALID_ARGUMENT for another number,
/// SAMSA_ERR_IO when no port can be had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_start(
    brokers: i32,
    embedded: *mut *mut samsa_embedded,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let embedded = Out::new(embedded, ptr::null_mut());
        call(err, || {
            let embedded = embedded.required("embedded")?;
            let cluster = Cluster::start(usize::try_from(brokers).unwrap_or(0))?;
            let address = c_string(&cluster.address());
            let handle = EmbeddedHandle { brokers: Brokers::Modern(cluster), address };
            embedded.set(handle::give::<samsa_embedded>(handle));
            Ok(())
        })
    }
}

/// The bootstrap list of all brokers, running or not: 127.0.0.1:port,... NULL on a pointer that is no
/// live samsa_embedded.
///
/// Borrowed: valid until the handle is freed. Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_address(embedded: *const samsa_embedded) -> *const c_char {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(embedded, ptr::null(), |e| e.address.as_ptr()) }
}

/// Changes an option of the brokers by its name in Kafka's server.properties. It counts from the next
/// request on; what concerns topics, for those made later.
///
/// - Topics: auto.create.topics.enable, num.partitions, default.replication.factor, message.max.bytes,
///   log.retention.bytes (per partition; the oldest batches are dropped above it),
///   log.message.timestamp.type.
/// - Classic groups: group.initial.rebalance.delay.ms (how long an empty group waits for more members; 0
///   here, 3000 in Kafka), group.min.session.timeout.ms and group.max.session.timeout.ms (which
///   session.timeout.ms members may have; 1 and 1800000 here, 6000 and 1800000 in Kafka).
/// - KIP-848 groups: group.consumer.session.timeout.ms (how long a silent member stays one; 45000),
///   group.consumer.heartbeat.interval.ms (what members are told; 5000),
///   group.consumer.assignment.interval.ms (how soon after an assignment the next may be made; 0 here).
/// - Reading: broker.rack (the racks of all brokers, by id, separated by commas), replica.selector.class
///   (Kafka's RackAwareReplicaSelector, or nothing), max.incremental.fetch.session.cache.slots (1000).
/// - cluster.id.
///
/// NULL: every pointer but `err` is required. Thread: any. Borrowed: the strings are copied. On error:
/// nothing is changed; SAMSA_ERR_UNKNOWN_PROPERTY, SAMSA_ERR_INVALID_PROPERTY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_set(
    embedded: *mut samsa_embedded,
    name: *const c_char,
    value: *const c_char,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        guard(err, embedded, |e| {
            e.brokers.modern()?.set(args::text("name", name)?, args::text("value", value)?)
        })
    }
}

/// Makes a topic; its leaders are spread over the brokers.
///
/// NULL: every pointer but `err` is required. Thread: any. Borrowed: the name is copied. On error:
/// SAMSA_ERR_TOPIC_ALREADY_EXISTS, SAMSA_ERR_INVALID_TOPIC_EXCEPTION, SAMSA_ERR_INVALID_PARTITIONS.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_create_topic(
    embedded: *mut samsa_embedded,
    name: *const c_char,
    partitions: i32,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        guard(err, embedded, |e| {
            e.brokers.modern()?.create_topic(args::text("name", name)?, partitions)
        })
    }
}

/// Forgets a topic and its records.
///
/// NULL: every pointer but `err` is required. Thread: any. Borrowed: the name is read during the
/// call. On error: SAMSA_ERR_UNKNOWN_TOPIC_OR_PARTITION.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_delete_topic(
    embedded: *mut samsa_embedded,
    name: *const c_char,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe { guard(err, embedded, |e| e.brokers.modern()?.delete_topic(args::text("name", name)?)) }
}

/// The offset that the next record of a partition gets.
///
/// NULL: every pointer but `err` is required. Thread: any. Borrowed: the name is read during the
/// call. On error: `*offset` is -1; SAMSA_ERR_UNKNOWN_TOPIC_OR_PARTITION.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_log_end(
    embedded: *const samsa_embedded,
    topic: *const c_char,
    partition: i64,
    offset: *mut i64,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let offset = Out::new(offset, -1);
        guard(err, embedded, |e| {
            let offset = offset.required("offset")?;
            offset.set(e.brokers.log_end(args::text("topic", topic)?, partition)?);
            Ok(())
        })
    }
}

/// The broker that leads a partition, -1 for none.
///
/// NULL: every pointer but `err` is required. Thread: any. Borrowed: the name is read during the
/// call. On error: `*broker` is -1; SAMSA_ERR_UNKNOWN_TOPIC_OR_PARTITION.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_leader(
    embedded: *const samsa_embedded,
    topic: *const c_char,
    partition: i64,
    broker: *mut i32,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let broker = Out::new(broker, -1);
        guard(err, embedded, |e| {
            let broker = broker.required("broker")?;
            let partition = partition_number(partition)?;
            let (leader, _epoch) =
                e.brokers.modern()?.leader(args::text("topic", topic)?, partition)?;
            broker.set(leader);
            Ok(())
        })
    }
}

/// Makes a broker the leader of a partition (-1: nobody), with the next leader epoch.
///
/// NULL: every pointer but `err` is required. Thread: any. Borrowed: the name is read during the
/// call. On error: SAMSA_ERR_UNKNOWN_TOPIC_OR_PARTITION; SAMSA_ERR_INVALID_ARGUMENT for a broker that
/// there is not.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_move_leader(
    embedded: *mut samsa_embedded,
    topic: *const c_char,
    partition: i64,
    broker: i32,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        guard(err, embedded, |e| {
            let partition = partition_number(partition)?;
            e.brokers.modern()?.move_leader(args::text("topic", topic)?, partition, broker)
        })
    }
}

/// Waits until the brokers together received `n` requests of an API since their start.
///
/// NULL: `embedded` and `api` are required. Thread: any. Borrowed: the name is read during the call.
/// On error: SAMSA_ERR_TIMED_OUT; SAMSA_ERR_INVALID_ARGUMENT for an API that there is not.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_wait_requests(
    embedded: *mut samsa_embedded,
    api: *const c_char,
    n: u64,
    timeout_ms: i32,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        guard(err, embedded, |e| {
            e.brokers.wait_requests(args::text("api", api)?, n, deadline(timeout_ms)?)
        })
    }
}

/// Stops a broker: its port refuses, its connections are closed; partitions that it led elect another
/// living replica, or have no leader.
///
/// NULL: `embedded` is required. Thread: any. On error: SAMSA_ERR_INVALID_ARGUMENT for a broker that
/// there is not.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_stop_broker(
    embedded: *mut samsa_embedded,
    broker: i32,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe { guard(err, embedded, |e| e.brokers.stop_broker(broker)) }
}

/// Starts a stopped broker again on its old port; nothing happens if it runs.
///
/// NULL: `embedded` is required. Thread: any. On error: SAMSA_ERR_INVALID_ARGUMENT for a broker that
/// there is not, SAMSA_ERR_IO if something else took the port.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_start_broker(
    embedded: *mut samsa_embedded,
    broker: i32,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe { guard(err, embedded, |e| e.brokers.start_broker(broker)) }
}

/// Closes every open connection of a broker (-1: of all); the brokers go on, their ports too.
///
/// NULL: `embedded` is required. Thread: any. On error: SAMSA_ERR_INVALID_ARGUMENT for a broker that
/// there is not.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_close_connections(
    embedded: *mut samsa_embedded,
    broker: i32,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        guard(err, embedded, |e| e.brokers.close_connections((broker != -1).then_some(broker)))
    }
}

/// Deletes the records of a partition below `offset`, as retention or DeleteRecords does: the log
/// then starts there. A consumer that stood before it meets SAMSA_ERR_OFFSET_OUT_OF_RANGE.
///
/// NULL: every pointer but `err` is required. Thread: any. Borrowed: the name is read during the
/// call. On error: SAMSA_ERR_UNKNOWN_TOPIC_OR_PARTITION.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_delete_records(
    embedded: *mut samsa_embedded,
    topic: *const c_char,
    partition: i64,
    offset: i64,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        guard(err, embedded, |e| {
            let partition = partition_number(partition)?;
            e.brokers.modern()?.delete_records(args::text("topic", topic)?, partition, offset)
        })
    }
}

/// Drops every batch of a partition that reaches `offset`, as the election of a leader that lacks
/// them does. Move the leader too, for a new epoch: clients detect truncation by it.
///
/// NULL: every pointer but `err` is required. Thread: any. Borrowed: the name is read during the
/// call. On error: SAMSA_ERR_UNKNOWN_TOPIC_OR_PARTITION.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_truncate(
    embedded: *mut samsa_embedded,
    topic: *const c_char,
    partition: i64,
    offset: i64,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        guard(err, embedded, |e| {
            let partition = partition_number(partition)?;
            e.brokers.modern()?.truncate(args::text("topic", topic)?, partition, offset)
        })
    }
}

/// Stops every broker, closes every connection and frees the handle. NULL is fine. Clients that still
/// use the brokers see their connections end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_free(embedded: *mut samsa_embedded) {
    // SAFETY: the caller keeps the header's rules.
    unsafe { free(embedded) }
}

pub(super) fn partition_number(partition: i64) -> Result<i32> {
    i32::try_from(partition).map_err(|_| refused(format!("there is no partition {partition}")))
}

pub(super) fn api_key(name: &str) -> Result<ApiKey> {
    let found = ApiKey::ALL.iter().find(|key| key.name() == name);
    found.copied().ok_or_else(|| refused(format!("there is no API {name}; one is Produce")))
}

pub(super) fn refused(why: String) -> Error {
    Error::new(Code::INVALID_ARGUMENT, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::error::{samsa_error_free, samsa_error_message};

    #[test]
    fn brokers_start_stop_and_end_from_c() {
        let mut embedded = ptr::null_mut();
        let mut err = ptr::null_mut();
        // SAFETY: live out-parameters, handles freed once.
        unsafe {
            assert_eq!(samsa_embedded_start(2, &raw mut embedded, &raw mut err), 0);
            assert!(!samsa_embedded_address(embedded).is_null());
            assert_eq!(samsa_embedded_create_topic(embedded, c"t".as_ptr(), 2, &raw mut err), 0);
            let code = samsa_embedded_create_topic(embedded, c"t".as_ptr(), 2, &raw mut err);
            assert_eq!(code, Code::TOPIC_ALREADY_EXISTS.0);
            assert!(!samsa_error_message(err).is_null());
            samsa_error_free(err);
            assert_eq!(samsa_embedded_stop_broker(embedded, 0, &raw mut err), 0);
            let mut leader = 9;
            let leads = &raw mut leader;
            assert_eq!(samsa_embedded_leader(embedded, c"t".as_ptr(), 0, leads, &raw mut err), 0);
            assert_eq!(leader, 1);
            assert_eq!(samsa_embedded_start_broker(embedded, 0, &raw mut err), 0);
            let moved = samsa_embedded_move_leader(embedded, c"t".as_ptr(), 0, 0, &raw mut err);
            assert_eq!(moved, 0);
            let mut end = 9;
            let ends = &raw mut end;
            assert_eq!(samsa_embedded_log_end(embedded, c"t".as_ptr(), 1, ends, &raw mut err), 0);
            assert_eq!(end, 0);
            assert_eq!(samsa_embedded_delete_topic(embedded, c"t".as_ptr(), &raw mut err), 0);
            let code = samsa_embedded_log_end(embedded, c"t".as_ptr(), 1, ends, ptr::null_mut());
            assert_eq!((code, end), (Code::UNKNOWN_TOPIC_OR_PARTITION.0, -1));
            samsa_embedded_free(embedded);
            samsa_embedded_free(ptr::null_mut());
            assert_eq!(
                samsa_embedded_start(0, &raw mut embedded, ptr::null_mut()),
                Code::INVALID_ARGUMENT.0
            );
            assert!(embedded.is_null());
        }
    }
}
