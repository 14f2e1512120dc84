//! `samsa_embedded`: the embedded broker for C programs' own tests (`samsa_testing.h`).

use std::ffi::{CString, c_char};
use std::ptr;

use super::args::{self, Out};
use super::error::{c_string, samsa_error};
use super::guard::{call, free, guard, read};
use super::handle::{self, Opaque};
use super::samsa_code;
use crate::embedded::{Cluster, Fault, FaultId, FaultKind};
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
    cluster: Cluster,
    address: CString,
}

impl Opaque for samsa_embedded {
    type Inner = EmbeddedHandle;
    const NAME: &'static str = "samsa_embedded";
}

/// The answer carries the Kafka error code of the field code; nothing is applied.
pub const SAMSA_FAULT_ERROR_CODE: i32 = 1;
/// The request is applied, its answer is held back for delay_ms.
pub const SAMSA_FAULT_DELAY: i32 = 2;
/// The connection is closed before the request is applied.
pub const SAMSA_FAULT_DISCONNECT_BEFORE: i32 = 3;
/// The request is applied, then the connection is closed without an answer.
pub const SAMSA_FAULT_DISCONNECT_AFTER: i32 = 4;
/// No answer, now or later; the connection stays open and swallows what it is sent.
pub const SAMSA_FAULT_SILENCE: i32 = 5;
/// The leadership of the partitions named moves to the broker of the field leader (-1: nobody)
/// before the request is looked at.
pub const SAMSA_FAULT_LEADER_MOVE: i32 = 6;
/// The answer is no Kafka frame; then the connection closes.
pub const SAMSA_FAULT_GARBAGE: i32 = 7;
/// The answer is a frame with the right correlation id and a body without sense.
pub const SAMSA_FAULT_MALFORMED: i32 = 8;
/// The request is applied, half of the answer is written, then the connection closes.
pub const SAMSA_FAULT_CLOSE_MID_FRAME: i32 = 9;

/// The field partition of samsa_fault counts.
pub const SAMSA_FAULT_PARTITION: u32 = 1;
/// The field broker of samsa_fault counts.
pub const SAMSA_FAULT_BROKER: u32 = 2;
/// With an error code or silence: the request is applied all the same.
pub const SAMSA_FAULT_APPLIED: u32 = 4;

/// Which requests meet a fault, and what then happens to them. All zero but struct_size and kind
/// meets the next request of any kind, once.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct samsa_fault {
    /// sizeof(samsa_fault).
    pub struct_size: usize,
    /// The API's name as in Kafka (Produce, Fetch, Metadata); NULL meets any.
    pub api: *const c_char,
    /// The topic that the request must name; NULL meets any.
    pub topic: *const c_char,
    /// The partition that the request must name, with SAMSA_FAULT_PARTITION.
    pub partition: i64,
    /// SAMSA_FAULT_ERROR_CODE and so on.
    pub kind: i32,
    /// The broker that the request must reach, with SAMSA_FAULT_BROKER.
    pub broker: i32,
    /// Kafka's number of the error.
    pub code: i32,
    /// The broker that leadership moves to.
    pub leader: i32,
    /// How long an answer is held back, in milliseconds.
    pub delay_ms: u32,
    /// How many requests that fit pass first.
    pub skip: u32,
    /// How many are met after that: 0 = one, UINT32_MAX = all.
    pub times: u32,
    /// SAMSA_FAULT_PARTITION and so on.
    pub flags: u32,
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
            embedded.set(handle::give::<samsa_embedded>(EmbeddedHandle { cluster, address }));
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

/// Changes an option of the brokers by its name in Kafka's server.properties, for topics made later:
/// auto.create.topics.enable, num.partitions, default.replication.factor, message.max.bytes,
/// log.retention.bytes (per partition; the oldest batches are dropped above it),
/// log.message.timestamp.type; and cluster.id.
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
            e.cluster.set(args::text("name", name)?, args::text("value", value)?)
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
        guard(err, embedded, |e| e.cluster.create_topic(args::text("name", name)?, partitions))
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
    unsafe { guard(err, embedded, |e| e.cluster.delete_topic(args::text("name", name)?)) }
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
            let partition = partition_number(partition)?;
            offset.set(e.cluster.log_end_offset(args::text("topic", topic)?, partition)?);
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
            let (leader, _epoch) = e.cluster.leader(args::text("topic", topic)?, partition)?;
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
            e.cluster.move_leader(args::text("topic", topic)?, partition, broker)
        })
    }
}

/// Adds a fault behind those injected before: of several that would close, delay or silence the same
/// request, the first does; error codes and leader moves add up.
///
/// `*id` names the fault; it may be NULL. NULL: `embedded` and `fault` are required. Thread: any.
/// Borrowed: the fault is copied. On error: `*id` is 0; SAMSA_ERR_INVALID_ARGUMENT for a kind, an API
/// or flags that there are not.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_inject(
    embedded: *mut samsa_embedded,
    fault: *const samsa_fault,
    id: *mut u64,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let id = Out::new(id, 0);
        guard(err, embedded, |e| {
            let fault = read_fault(&args::sized("fault", fault)?)?;
            id.set(e.cluster.inject(fault).0);
            Ok(())
        })
    }
}

/// How many requests a fault has met; 0 on a pointer that is no live samsa_embedded. Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_injected(embedded: *const samsa_embedded, id: u64) -> u64 {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(embedded, 0, |e| e.cluster.injected(FaultId(id))) }
}

/// Takes a fault back (0: every fault): it meets nothing more.
///
/// NULL: `embedded` is required. Thread: any. On error: none but that of a bad handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_withdraw(
    embedded: *mut samsa_embedded,
    id: u64,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        guard(err, embedded, |e| {
            match id {
                0 => e.cluster.withdraw_all(),
                id => e.cluster.withdraw(FaultId(id)),
            }
            Ok(())
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
            let api = api_key(args::text("api", api)?)?;
            e.cluster.wait_requests(api, n, deadline(timeout_ms)?)
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
    unsafe { guard(err, embedded, |e| e.cluster.stop_broker(broker)) }
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
    unsafe { guard(err, embedded, |e| e.cluster.start_broker(broker)) }
}

/// Stops every broker, closes every connection and frees the handle. NULL is fine. Clients that still
/// use the brokers see their connections end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_free(embedded: *mut samsa_embedded) {
    // SAFETY: the caller keeps the header's rules.
    unsafe { free(embedded) }
}

fn partition_number(partition: i64) -> Result<i32> {
    i32::try_from(partition).map_err(|_| refused(format!("there is no partition {partition}")))
}

fn api_key(name: &str) -> Result<ApiKey> {
    let found = ApiKey::ALL.iter().find(|key| key.name() == name);
    found.copied().ok_or_else(|| refused(format!("there is no API {name}; one is Produce")))
}

fn refused(why: String) -> Error {
    Error::new(Code::INVALID_ARGUMENT, why)
}

/// # Safety
/// The pointers of `fault` are NULL or NUL-terminated strings.
unsafe fn read_fault(fault: &samsa_fault) -> Result<Fault> {
    let flags = fault.flags;
    let known = SAMSA_FAULT_PARTITION | SAMSA_FAULT_BROKER | SAMSA_FAULT_APPLIED;
    if flags & !known != 0 {
        return Err(refused(format!("fault.flags has unknown bits: {flags:#x}")));
    }
    // SAFETY: by the contract of this function.
    let (api, topic) = unsafe {
        (args::optional_text("api", fault.api)?, args::optional_text("topic", fault.topic)?)
    };
    Ok(Fault {
        kind: fault_kind(fault)?,
        api: api.map(api_key).transpose()?.map(i16::from),
        topic: topic.map(str::to_owned),
        partition: match flags & SAMSA_FAULT_PARTITION {
            0 => None,
            _ => Some(partition_number(fault.partition)?),
        },
        broker: (flags & SAMSA_FAULT_BROKER != 0).then_some(fault.broker),
        skip: fault.skip,
        times: fault.times.max(1),
        applied: flags & SAMSA_FAULT_APPLIED != 0,
    })
}

fn fault_kind(fault: &samsa_fault) -> Result<FaultKind> {
    Ok(match fault.kind {
        SAMSA_FAULT_ERROR_CODE => {
            let no_code = |_| refused(format!("fault.code {} is no Kafka error", fault.code));
            FaultKind::ErrorCode(i16::try_from(fault.code).map_err(no_code)?)
        }
        SAMSA_FAULT_DELAY => FaultKind::Delay(fault.delay_ms),
        SAMSA_FAULT_DISCONNECT_BEFORE => FaultKind::DisconnectBefore,
        SAMSA_FAULT_DISCONNECT_AFTER => FaultKind::DisconnectAfter,
        SAMSA_FAULT_SILENCE => FaultKind::Silence,
        SAMSA_FAULT_LEADER_MOVE => FaultKind::LeaderMove(fault.leader),
        SAMSA_FAULT_GARBAGE => FaultKind::Garbage,
        SAMSA_FAULT_MALFORMED => FaultKind::Malformed,
        SAMSA_FAULT_CLOSE_MID_FRAME => FaultKind::CloseMidFrame,
        kind => return Err(refused(format!("fault.kind {kind} is none of SAMSA_FAULT_..."))),
    })
}

const _: () = assert!(size_of::<samsa_fault>() == 64);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::error::{samsa_error_free, samsa_error_message};

    fn fault(kind: i32) -> samsa_fault {
        samsa_fault {
            struct_size: size_of::<samsa_fault>(),
            api: ptr::null(),
            topic: ptr::null(),
            partition: 0,
            kind,
            broker: 0,
            code: 0,
            leader: 0,
            delay_ms: 0,
            skip: 0,
            times: 0,
            flags: 0,
        }
    }

    #[test]
    fn a_zero_fault_meets_the_next_request_of_any_kind_once() {
        // SAFETY: no pointers.
        let read = unsafe { read_fault(&fault(SAMSA_FAULT_SILENCE)) }.unwrap();
        assert_eq!(read, Fault::new(FaultKind::Silence));
    }

    #[test]
    fn what_a_fault_names_is_read_and_checked() {
        let named = samsa_fault {
            api: c"Produce".as_ptr(),
            topic: c"t".as_ptr(),
            partition: 3,
            code: 6,
            times: 2,
            flags: SAMSA_FAULT_PARTITION | SAMSA_FAULT_APPLIED,
            ..fault(SAMSA_FAULT_ERROR_CODE)
        };
        let expected = Fault::new(FaultKind::ErrorCode(6)).api(ApiKey::Produce).topic("t");
        // SAFETY: literals.
        unsafe {
            let read = read_fault(&named).unwrap();
            assert_eq!(read, expected.partition(3).times(2).applied());
            assert!(read_fault(&samsa_fault { api: c"Prod".as_ptr(), ..named }).is_err());
            assert!(read_fault(&samsa_fault { flags: 64, ..named }).is_err());
            assert!(read_fault(&samsa_fault { code: 1 << 20, ..named }).is_err());
            assert!(read_fault(&fault(0)).is_err());
        }
    }

    #[test]
    fn faults_and_requests_are_counted_for_c() {
        use std::io::{Read, Write};
        let mut embedded = ptr::null_mut();
        let mut err = ptr::null_mut();
        // SAFETY: live out-parameters, handles freed once.
        unsafe {
            assert_eq!(samsa_embedded_start(1, &raw mut embedded, &raw mut err), 0);
            let mut id = 0;
            let closes = samsa_fault {
                api: c"ApiVersions".as_ptr(),
                ..fault(SAMSA_FAULT_DISCONNECT_BEFORE)
            };
            let code =
                samsa_embedded_inject(embedded, &raw const closes, &raw mut id, &raw mut err);
            assert_eq!(code, 0);
            let address = std::ffi::CStr::from_ptr(samsa_embedded_address(embedded));
            let mut peer = std::net::TcpStream::connect(address.to_str().unwrap()).unwrap();
            peer.write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 255, 255]).unwrap();
            assert_eq!(peer.read(&mut [0]).unwrap(), 0, "closed without a byte");
            assert_eq!(samsa_embedded_injected(embedded, id), 1);
            let (api, none) = (c"ApiVersions".as_ptr(), ptr::null_mut());
            assert_eq!(samsa_embedded_wait_requests(embedded, api, 1, 10_000, &raw mut err), 0);
            let code = samsa_embedded_wait_requests(embedded, api, 2, 0, none);
            assert_eq!(code, Code::TIMED_OUT.0);
            assert_eq!(samsa_embedded_withdraw(embedded, 0, &raw mut err), 0);
            samsa_embedded_free(embedded);
        }
    }

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
