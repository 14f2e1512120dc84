//! `samsa_fault`: what requests to the embedded broker meet, for C programs' own tests.

use std::ffi::c_char;

use super::args::{self, Out};
use super::embedded::{partition_number, refused, samsa_embedded};
use super::error::samsa_error;
use super::guard::{guard, read};
use super::samsa_code;
use crate::embedded::{Fault, FaultId, FaultKind};
use crate::error::Result;
use crate::runtime::deadline;

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
/// The answer tells the client to be quiet for delay_ms, as a quota does; so long nothing more is
/// read from the connection.
pub const SAMSA_FAULT_THROTTLE: i32 = 10;
/// The answer carries the field code for the request as a whole: beside its partitions where it can
/// (Fetch since version 7, Metadata since version 13), else for each of them.
pub const SAMSA_FAULT_REQUEST_ERROR: i32 = 11;
/// A Produce is refused with the field code because of the record at the place of the field record
/// in its batch.
pub const SAMSA_FAULT_RECORD_ERROR: i32 = 12;
/// A Produce is applied, and its answer does not say at which offset.
pub const SAMSA_FAULT_NO_OFFSET: i32 = 13;

/// The field partition of samsa_fault counts.
pub const SAMSA_FAULT_PARTITION: u32 = 1;
/// The field broker of samsa_fault counts.
pub const SAMSA_FAULT_BROKER: u32 = 2;
/// With an error code or silence: the request is applied all the same.
pub const SAMSA_FAULT_APPLIED: u32 = 4;
/// With an error code: the answer names the fields leader and leader_epoch as the partition's.
pub const SAMSA_FAULT_NAMES_LEADER: u32 = 8;

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
    /// The broker that leadership moves to, or that the answer names.
    pub leader: i32,
    /// How long an answer is held back, or the client is to be quiet, in milliseconds.
    pub delay_ms: u32,
    /// How many requests that fit pass first.
    pub skip: u32,
    /// How many are met after that: 0 = one, UINT32_MAX = all.
    pub times: u32,
    /// SAMSA_FAULT_PARTITION and so on.
    pub flags: u32,
    /// The place in its batch of the record that is to blame, from 0.
    pub record: i32,
    /// The leader epoch that the answer names.
    pub leader_epoch: i32,
}

/// Adds a fault behind those injected before: of several that would close, delay or silence the same
/// request, the first does; the others add up. What closes, delays, silences or throttles concerns the
/// whole connection; error codes, leader moves and hidden offsets only the partitions that it names.
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
            let fault = read_fault(&args::sized("fault", fault)?, &|name| e.brokers.api(name))?;
            id.set(e.brokers.inject(fault)?.0);
            Ok(())
        })
    }
}

/// How many requests a fault has met; 0 on a pointer that is no live samsa_embedded. Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_injected(embedded: *const samsa_embedded, id: u64) -> u64 {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(embedded, 0, |e| e.brokers.injected(FaultId(id))) }
}

/// Waits until a fault has met `n` requests.
///
/// NULL: `embedded` is required. Thread: any. On error: SAMSA_ERR_TIMED_OUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_wait_injected(
    embedded: *mut samsa_embedded,
    id: u64,
    n: u64,
    timeout_ms: i32,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        guard(err, embedded, |e| e.brokers.wait_injected(FaultId(id), n, deadline(timeout_ms)?))
    }
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
                0 => e.brokers.withdraw(None),
                id => e.brokers.withdraw(Some(FaultId(id))),
            }
            Ok(())
        })
    }
}

/// # Safety
/// The pointers of `fault` are NULL or NUL-terminated strings.
unsafe fn read_fault(
    fault: &samsa_fault,
    api_number: &dyn Fn(&str) -> Result<i16>,
) -> Result<Fault> {
    let flags = fault.flags;
    let known =
        SAMSA_FAULT_PARTITION | SAMSA_FAULT_BROKER | SAMSA_FAULT_APPLIED | SAMSA_FAULT_NAMES_LEADER;
    if flags & !known != 0 {
        return Err(refused(format!("fault.flags has unknown bits: {flags:#x}")));
    }
    // SAFETY: by the contract of this function.
    let (api, topic) = unsafe {
        (args::optional_text("api", fault.api)?, args::optional_text("topic", fault.topic)?)
    };
    Ok(Fault {
        kind: fault_kind(fault)?,
        api: api.map(api_number).transpose()?,
        topic: topic.map(str::to_owned),
        partition: match flags & SAMSA_FAULT_PARTITION {
            0 => None,
            _ => Some(partition_number(fault.partition)?),
        },
        broker: (flags & SAMSA_FAULT_BROKER != 0).then_some(fault.broker),
        skip: fault.skip,
        times: fault.times.max(1),
        applied: flags & SAMSA_FAULT_APPLIED != 0,
        leader: (flags & SAMSA_FAULT_NAMES_LEADER != 0)
            .then_some((fault.leader, fault.leader_epoch)),
    })
}

fn fault_kind(fault: &samsa_fault) -> Result<FaultKind> {
    let code = || {
        let no_code = |_| refused(format!("fault.code {} is no Kafka error", fault.code));
        i16::try_from(fault.code).map_err(no_code)
    };
    Ok(match fault.kind {
        SAMSA_FAULT_ERROR_CODE => FaultKind::ErrorCode(code()?),
        SAMSA_FAULT_DELAY => FaultKind::Delay(fault.delay_ms),
        SAMSA_FAULT_DISCONNECT_BEFORE => FaultKind::DisconnectBefore,
        SAMSA_FAULT_DISCONNECT_AFTER => FaultKind::DisconnectAfter,
        SAMSA_FAULT_SILENCE => FaultKind::Silence,
        SAMSA_FAULT_LEADER_MOVE => FaultKind::LeaderMove(fault.leader),
        SAMSA_FAULT_GARBAGE => FaultKind::Garbage,
        SAMSA_FAULT_MALFORMED => FaultKind::Malformed,
        SAMSA_FAULT_CLOSE_MID_FRAME => FaultKind::CloseMidFrame,
        SAMSA_FAULT_THROTTLE => FaultKind::Throttle(fault.delay_ms),
        SAMSA_FAULT_REQUEST_ERROR => FaultKind::RequestError(code()?),
        SAMSA_FAULT_RECORD_ERROR => FaultKind::RecordError { code: code()?, record: fault.record },
        SAMSA_FAULT_NO_OFFSET => FaultKind::NoOffset,
        kind => return Err(refused(format!("fault.kind {kind} is none of SAMSA_FAULT_..."))),
    })
}

const _: () = assert!(size_of::<samsa_fault>() == 72);

#[cfg(test)]
mod tests {
    use std::ptr;

    use super::*;
    use crate::error::Code;
    use crate::ffi::embedded::{
        api_key, samsa_embedded_address, samsa_embedded_free, samsa_embedded_start,
        samsa_embedded_wait_requests,
    };
    use crate::protocol::modern::ApiKey;

    unsafe fn read_modern(fault: &samsa_fault) -> Result<Fault> {
        // SAFETY: by the contract of this function, which is the same.
        unsafe { read_fault(fault, &|name| api_key(name).map(i16::from)) }
    }

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
            record: 0,
            leader_epoch: 0,
        }
    }

    #[test]
    fn a_zero_fault_meets_the_next_request_of_any_kind_once() {
        // SAFETY: no pointers.
        let read = unsafe { read_modern(&fault(SAMSA_FAULT_SILENCE)) }.unwrap();
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
            let read = read_modern(&named).unwrap();
            assert_eq!(read, expected.partition(3).times(2).applied());
            assert!(read_modern(&samsa_fault { api: c"Prod".as_ptr(), ..named }).is_err());
            assert!(read_modern(&samsa_fault { flags: 64, ..named }).is_err());
            assert!(read_modern(&samsa_fault { code: 1 << 20, ..named }).is_err());
            assert!(read_modern(&fault(0)).is_err());
            let blames = samsa_fault {
                record: 2,
                leader: 1,
                leader_epoch: 7,
                flags: SAMSA_FAULT_NAMES_LEADER,
                ..samsa_fault { kind: SAMSA_FAULT_RECORD_ERROR, ..named }
            };
            let kind = FaultKind::RecordError { code: 6, record: 2 };
            let expected = Fault::new(kind).api(ApiKey::Produce).topic("t").times(2);
            assert_eq!(read_modern(&blames).unwrap(), expected.naming_leader(1, 7));
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
            assert_eq!(samsa_embedded_wait_injected(embedded, id, 1, 10_000, &raw mut err), 0);
            assert_eq!(samsa_embedded_injected(embedded, id), 1);
            let code = samsa_embedded_wait_injected(embedded, id, 2, 0, ptr::null_mut());
            assert_eq!(code, Code::TIMED_OUT.0);
            let (api, none) = (c"ApiVersions".as_ptr(), ptr::null_mut());
            assert_eq!(samsa_embedded_wait_requests(embedded, api, 1, 10_000, &raw mut err), 0);
            let code = samsa_embedded_wait_requests(embedded, api, 2, 0, none);
            assert_eq!(code, Code::TIMED_OUT.0);
            assert_eq!(samsa_embedded_withdraw(embedded, 0, &raw mut err), 0);
            samsa_embedded_free(embedded);
        }
    }
}
