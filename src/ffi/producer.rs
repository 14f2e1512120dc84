//! `samsa_producer`: send, poll, flush, purge, close.

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use super::args::{Out, Strided, sized};
use super::callback::{Registered, inside};
use super::cluster::{ClusterHandle, samsa_cluster};
use super::config::{
    callback_of, optional_config, samsa_config, samsa_release_callback, set_callback,
};
use super::deliveries::{DeliveriesHandle, samsa_deliveries};
use super::error::samsa_error;
use super::guard::{free, guard, poll_like, signal};
use super::handle::{self, Lent, Opaque};
use super::record::{LastTopic, RecordList, read_plain, read_record, samsa_packed, samsa_record};
use super::samsa_code;
use super::unpack::Unpacker;
use crate::error::{Code, Error, Result};
use crate::producer::{Deliveries, List, Producer, PurgeWhat};

/// For samsa_producer_purge: records that are with no broker now.
pub const SAMSA_PURGE_QUEUED: u32 = 1;
/// For samsa_producer_purge: records whose answer is awaited; they are possibly persisted.
pub const SAMSA_PURGE_IN_FLIGHT: u32 = 2;

/// Sends records to topics of one cluster. Each accepted record has exactly one outcome, its delivery.
///
/// Any thread may use it, several at once. Close it when outcomes matter, then free it.
pub struct samsa_producer {
    _private: [u8; 0],
}

/// What a producer handle holds.
#[derive(Debug)]
pub struct ProducerHandle {
    producer: Arc<Producer>,
    callback: Option<Arc<Registered<DeliveryCall>>>,
    // The cluster lives as long as its children.
    _cluster: Arc<ClusterHandle>,
}

impl Opaque for samsa_producer {
    type Inner = ProducerHandle;
    const NAME: &'static str = "samsa_producer";

    fn poisoned(inner: &ProducerHandle, error: &Error) {
        inner.producer.fail(error.clone());
    }
}

/// Takes deliveries, on the thread that called poll, flush or close of the producer. They are lent: valid
/// until the callback returns.
pub type samsa_delivery_callback = Option<
    unsafe extern "C" fn(
        producer: *mut samsa_producer,
        deliveries: *const samsa_deliveries,
        user: *mut c_void,
    ),
>;

/// A delivery callback, as configurations carry it; none takes one back that the cluster has.
#[derive(Debug)]
pub struct DeliveryCall(samsa_delivery_callback);

impl ProducerHandle {
    fn has_callback(&self) -> bool {
        self.callback.as_ref().is_some_and(|set| set.call.0.is_some())
    }

    /// Runs the delivery callback of the handle behind `producer`.
    fn tell(&self, producer: *mut samsa_producer, deliveries: Deliveries) {
        let set = self.callback.as_ref().and_then(|set| Some((set.call.0?, set.user())));
        let Some((call, user)) = set else { return };
        let lent = Lent::<samsa_deliveries>::new(DeliveriesHandle::new(deliveries));
        inside(producer, || {
            // SAFETY: the application's function, with the pointer it gave; what it is lent lives
            // meanwhile.
            unsafe { call(producer, lent.as_ptr(), user) }
        });
    }

    /// Runs `call` with what it needs to hand deliveries to the callback, if there is one.
    fn with_callback<R>(
        &self,
        producer: *mut samsa_producer,
        call: impl FnOnce(Option<&mut dyn FnMut(Deliveries)>) -> R,
    ) -> R {
        let mut tell = |deliveries| self.tell(producer, deliveries);
        call(self.has_callback().then_some(&mut tell as &mut dyn FnMut(Deliveries)))
    }
}

/// Has deliveries told to a callback, inside samsa_producer_poll, samsa_producer_flush and
/// samsa_producer_close of a producer that is made with this configuration. call NULL takes the callback
/// back, also that of the cluster for a producer with this configuration.
///
/// Who frees: release(user), if not NULL, is called once after the last use; when this call fails, it
/// is not called. NULL: config is required. Thread: any. Borrowed: nothing. On error: nothing
/// is changed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_config_set_delivery_callback(
    config: *mut samsa_config,
    call: samsa_delivery_callback,
    user: *mut c_void,
    release: samsa_release_callback,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe { set_callback(err, config, DeliveryCall(call), user, release) }
}

/// Makes a producer. `overrides`, may be NULL, win over the cluster's configuration and are copied. Does
/// not wait.
///
/// Who frees: the caller, `*producer` by samsa_producer_free. NULL: `cluster` and `producer` are
/// required. Thread: any. Borrowed: nothing is kept of the arguments. On error: `*producer` is NULL;
/// SAMSA_ERR_INVALID_PROPERTY names the property.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_producer_new(
    cluster: *mut samsa_cluster,
    overrides: *const samsa_config,
    producer: *mut *mut samsa_producer,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let producer = Out::new(producer, ptr::null_mut());
        guard(err, cluster, |cluster| {
            let producer = producer.required("producer")?;
            let overrides = optional_config(overrides)?;
            let made = Producer::new(cluster.open()?, overrides.as_ref())?;
            let own = overrides.as_ref().and_then(callback_of::<DeliveryCall>);
            let callback = own.or_else(|| callback_of::<DeliveryCall>(cluster.cluster.config()));
            let held = ProducerHandle { producer: made, callback, _cluster: Arc::clone(cluster) };
            producer.set(handle::give::<samsa_producer>(held));
            Ok(())
        })
    }
}

/// Accepts a record: it is copied, sent in the background, and its outcome comes as a delivery.
/// `timeout_ms` bounds the wait for metadata and for room in buffer.memory: 0 = try (without metadata it
/// starts the look-up), -1 = max.block.ms, which also bounds any other value. `record_size` is
/// sizeof(samsa_record).
///
/// Who frees: nobody. NULL: `producer`, `record` and its topic are required. Thread: any, several at once.
/// Borrowed: nothing is kept of the record. On error the record has no outcome: SAMSA_WOULD_BLOCK (a
/// condition) with timeout 0, and inside a delivery callback of the producer, where it never waits;
/// SAMSA_WOKEN (a condition) after samsa_producer_wakeup if it had to wait; SAMSA_ERR_BUFFER_FULL and
/// SAMSA_ERR_TIMED_OUT out of time, SAMSA_ERR_UNREAD_DELIVERIES at once when only reading deliveries
/// makes room, SAMSA_ERR_RECORD_TOO_LARGE and others for a bad record. A partition that nobody serves may
/// be refused alone, while others are accepted (see buffer.memory): SAMSA_ERR_BUFFER_FULL then names it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_producer_send(
    producer: *mut samsa_producer,
    record: *const samsa_record,
    record_size: usize,
    timeout_ms: i32,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        guard(err, producer, |held| {
            let record = one_record(record, record_size)?;
            match read_plain(record, &mut LastTopic::default()) {
                Some(record) => held.producer.send(&record, timeout_ms),
                None => held.producer.send(&read_record(record, None)?, timeout_ms),
            }
        })
    }
}

/// # Safety
/// `record` is NULL or points to `size` bytes that live during the call.
#[inline(always)]
unsafe fn one_record<'a>(record: *const samsa_record, size: usize) -> Result<&'a samsa_record> {
    if record.is_null() {
        return Err(super::args::null_argument("record"));
    }
    // SAFETY: by the contract of this function.
    let array = unsafe { Strided::new("record", record, 1, size) }?;
    array.get(0).ok_or_else(|| super::args::null_argument("record"))
}

/// Accepts records as samsa_producer_send does, in order, until one is refused. They may go to several
/// topics. One `timeout_ms` for all. `stride` is sizeof(samsa_record).
///
/// `*accepted` is how many were accepted, exact on failure too: then it is the index of the refused one.
///
/// Who frees: nobody. NULL: `producer` is required, `records` unless n is 0; `accepted` may be NULL.
/// Thread: any, several at once. Borrowed: nothing is kept of the records. On error: as
/// samsa_producer_send; those accepted before have their outcomes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_producer_send_batch(
    producer: *mut samsa_producer,
    records: *const samsa_record,
    n: usize,
    stride: usize,
    timeout_ms: i32,
    accepted: *mut usize,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let accepted = Out::new(accepted, 0);
        guard(err, producer, |held| {
            let mut records = RecordList::new(records, n, stride, accepted)?;
            let mut sending = held.producer.sending(timeout_ms)?;
            loop {
                sending.send_list(&mut records)?;
                // Where the list stops it is at its end, or at a record for a closer look.
                let Some(record) = records.current() else { return Ok(()) };
                sending.send(&read_record(record, None)?)?;
                records.drop_first();
            }
        })
    }
}

/// As samsa_producer_send_batch, for records packed into one buffer.
///
/// Who frees: nobody. NULL: `producer`, `packed` and its topic are required; `accepted` may be NULL.
/// Thread: any, several at once. Borrowed: nothing is kept of the buffer. On error: as
/// samsa_producer_send_batch; SAMSA_ERR_INVALID_ARGUMENT when lengths and buffer do not fit together.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_producer_send_packed(
    producer: *mut samsa_producer,
    packed: *const samsa_packed,
    timeout_ms: i32,
    accepted: *mut usize,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let accepted = Out::new(accepted, 0);
        guard(err, producer, |held| {
            let packed = sized("packed", packed)?;
            let mut records = Unpacker::new(&packed, accepted)?;
            let mut sending = held.producer.sending(timeout_ms)?;
            let mut headers = Vec::new();
            loop {
                sending.send_list(&mut records)?;
                if !records.next(&mut headers, |record| sending.send(record))? {
                    return Ok(());
                }
            }
        })
    }
}

/// Gives the outcomes that are there, those of some million records at most (the next poll gives more);
/// waits for the first. `timeout_ms`: 0 = do not wait, -1 = no limit.
/// With a delivery callback they go there, and the call gives 0 and NULL.
///
/// Who frees: the caller, `*deliveries` by samsa_deliveries_free. NULL: `producer` is required;
/// `deliveries` may be NULL with a delivery callback only. Thread: any, several at once: each delivery
/// goes to one caller; one of the calls that run callbacks. On error: `*deliveries` is NULL. Conditions:
/// SAMSA_NOTHING, SAMSA_WOKEN. SAMSA_ERR_CLOSED once a closed producer has told everything.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_producer_poll(
    producer: *mut samsa_producer,
    timeout_ms: i32,
    deliveries: *mut *mut samsa_deliveries,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let deliveries = Out::new(deliveries, ptr::null_mut());
        poll_like(err, producer, |held| {
            if held.has_callback() {
                let deliveries = held.producer.poll(timeout_ms)?;
                held.producer.telling(|| held.tell(producer, deliveries));
                return Ok(());
            }
            let out = deliveries.required("deliveries")?;
            let polled = held.producer.poll(timeout_ms)?;
            out.set(handle::give::<samsa_deliveries>(DeliveriesHandle::new(polled)));
            Ok(())
        })
    }
}

/// Sends at once what was accepted before, and waits until each such record has its outcome.
/// `timeout_ms`: 0 = do not wait, -1 = no limit (delivery.timeout.ms bounds it then).
///
/// `*failed` is how many outcomes since the last flush were failures, exact on failure too.
///
/// Who frees: nobody. NULL: `producer` is required; `failed` may be NULL. Thread: any; one of the calls
/// that run callbacks. On error: SAMSA_ERR_TIMED_OUT when something is left, SAMSA_WOKEN (a condition).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_producer_flush(
    producer: *mut samsa_producer,
    timeout_ms: i32,
    failed: *mut u64,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let failed = Out::new(failed, 0);
        poll_like(err, producer, |held| {
            let (records, result) =
                held.with_callback(producer, |tell| held.producer.flush(timeout_ms, tell));
            failed.set(records);
            result
        })
    }
}

/// Ends records that have no outcome yet: their deliveries say SAMSA_ERR_PURGED. `flags`:
/// SAMSA_PURGE_QUEUED, SAMSA_PURGE_IN_FLIGHT or both. Later records are not concerned. With
/// SAMSA_PURGE_QUEUED alone, records that were never sent are told before those of their partition in flight.
///
/// `*purged` is how many that were. Who frees: nobody. NULL: `producer` is required; `purged` may be NULL.
/// Thread: any. On error: nothing is purged; SAMSA_ERR_INVALID_ARGUMENT for other flags.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_producer_purge(
    producer: *mut samsa_producer,
    flags: u32,
    purged: *mut u64,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let purged = Out::new(purged, 0);
        guard(err, producer, |held| {
            if flags & !(SAMSA_PURGE_QUEUED | SAMSA_PURGE_IN_FLIGHT) != 0 {
                let text = format!("flags is {flags:#x}: give SAMSA_PURGE_... bits");
                return Err(Error::new(Code::INVALID_ARGUMENT, text));
            }
            let what = PurgeWhat {
                queued: flags & SAMSA_PURGE_QUEUED != 0,
                in_flight: flags & SAMSA_PURGE_IN_FLIGHT != 0,
            };
            purged.set(held.producer.purge(what)?);
            Ok(())
        })
    }
}

/// How much a producer holds now: batches without an outcome, and the bytes of buffer.memory that
/// records and unread outcomes take. For gauges, and for who paces itself; nothing needs to be asked for
/// a flush or a close to be complete.
///
/// Who frees: nobody. NULL: `producer` is required; `batches` and `bytes` may be NULL. Thread: any. On
/// error: both are 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_producer_load(
    producer: *mut samsa_producer,
    batches: *mut u64,
    bytes: *mut u64,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let (batches, bytes) = (Out::new(batches, 0), Out::new(bytes, 0));
        guard(err, producer, |held| {
            let load = held.producer.load()?;
            batches.set(load.batches);
            bytes.set(load.bytes);
            Ok(())
        })
    }
}

/// Accepts nothing more and decides every outcome within the time; what is left then gets one that says
/// SAMSA_ERR_CLOSED. `timeout_ms`: 0 = do not wait, -1 = no limit. The handle stays: deliveries can be
/// polled during and after.
///
/// Who frees: nobody, the handle is freed by samsa_producer_free. NULL: `producer` is required. Thread:
/// any; one of the calls that run callbacks. A wake-up does not end it. On error: SAMSA_ERR_TIMED_OUT when
/// records were given up; a second close gives 0. A samsa_cluster_close inside a callback of it gives
/// SAMSA_ERR_IN_CALLBACK, and closes the cluster all the same.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_producer_close(
    producer: *mut samsa_producer,
    timeout_ms: i32,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        poll_like(err, producer, |held| {
            held.with_callback(producer, |tell| held.producer.close(timeout_ms, tell))
        })
    }
}

/// Frees the producer. NULL is fine. Never waits: without a close before it, what is queued is abandoned,
/// and the log says how much.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_producer_free(producer: *mut samsa_producer) {
    // SAFETY: the caller keeps the header's rules.
    unsafe { free(producer) }
}

/// Ends every wait now in progress on the producer (poll, send, flush) with SAMSA_WOKEN, or else the next
/// one; remembered once. NULL is fine. Allowed in a signal handler.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_producer_wakeup(producer: *mut samsa_producer) {
    // SAFETY: the caller keeps the header's rules.
    unsafe { signal(producer, |held| held.producer.wakeup()) }
}

/// A descriptor for an event loop: readable while a poll would not wait, and once after a
/// SAMSA_WOULD_BLOCK when there is room again. It may also be so without reason. A poll that gives
/// SAMSA_NOTHING clears it.
///
/// Who frees: nobody; the library alone reads and closes it, it lives until samsa_producer_free. NULL:
/// both are required. Thread: any. On error: `*fd` is -1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_producer_fd(
    producer: *mut samsa_producer,
    fd: *mut isize,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let fd = Out::new(fd, -1);
        guard(err, producer, |held| {
            let fd = fd.required("fd")?;
            fd.set(held.producer.fd()?);
            Ok(())
        })
    }
}
