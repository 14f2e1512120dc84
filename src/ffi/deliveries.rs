//! `samsa_deliveries`: outcomes, record by record.

use std::ffi::{CString, c_void};
use std::mem::offset_of;
use std::ptr;
use std::sync::OnceLock;

use super::args::Out;
use super::batch::{samsa_message_view, samsa_run};
use super::error::{c_string, samsa_error};
use super::guard::{free, guard, read};
use super::handle::{self, Opaque};
use super::samsa_code;
use crate::error::{Code, Error, Result};
use crate::producer::{Deliveries, Delivery};

/// Outcomes of records, each record's exactly once, in order within a partition (but for what
/// samsa_producer_purge ends before it was sent: it does not wait for what is in flight).
///
/// It never changes: any number of threads may read it. It outlives its producer if need be. With
/// samsa.delivery.keep it holds the records, which count against buffer.memory until it is freed.
pub struct samsa_deliveries {
    _private: [u8; 0],
}

/// The outcome of one record, 48 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct samsa_delivery {
    /// The program's mark, as it was sent.
    pub opaque: *mut c_void,
    /// The partition.
    pub partition: i64,
    /// The offset; -1 when it is not known (not persisted, acks=0, a duplicate).
    pub offset: i64,
    /// The broker's time for topics with log append time, else the record's own; -1 for none.
    pub timestamp: i64,
    /// 0, or why it failed; samsa_deliveries_error tells more.
    pub code: samsa_code,
    /// SAMSA_PERSISTED, SAMSA_NOT_PERSISTED or SAMSA_POSSIBLY_PERSISTED.
    pub status: u32,
    /// Index into samsa_deliveries_runs: topic and partition.
    pub run: u32,
    /// Zero.
    pub reserved: u32,
}

#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<samsa_delivery>() == 48);
    assert!(offset_of!(samsa_delivery, partition) == 8);
    assert!(offset_of!(samsa_delivery, offset) == 16);
    assert!(offset_of!(samsa_delivery, timestamp) == 24);
    assert!(offset_of!(samsa_delivery, code) == 32);
    assert!(offset_of!(samsa_delivery, status) == 36);
    assert!(offset_of!(samsa_delivery, run) == 40);
    assert!(offset_of!(samsa_delivery, reserved) == 44);
};

/// What a deliveries handle holds; lists are made by the thread that first asks for them.
#[derive(Debug)]
pub struct DeliveriesHandle {
    deliveries: Deliveries,
    list: OnceLock<Vec<samsa_delivery>>,
    runs: OnceLock<Runs>,
}

#[derive(Debug)]
struct Runs {
    runs: Vec<samsa_run>,
    _names: Vec<CString>,
}

// SAFETY: the pointers lead to names that are held beside them and never written, or are the
// application's marks, which are not looked at.
unsafe impl Send for DeliveriesHandle {}
// SAFETY: as above.
unsafe impl Sync for DeliveriesHandle {}

impl DeliveriesHandle {
    pub(super) fn new(deliveries: Deliveries) -> Self {
        Self { deliveries, list: OnceLock::new(), runs: OnceLock::new() }
    }

    fn list(&self) -> &[samsa_delivery] {
        self.list.get_or_init(|| self.deliveries.list(|one| to_c(&one)))
    }

    fn runs(&self) -> &[samsa_run] {
        &self.runs.get_or_init(|| Runs::new(&self.deliveries)).runs
    }
}

#[inline(always)]
fn to_c(delivery: &Delivery) -> samsa_delivery {
    samsa_delivery {
        opaque: delivery.opaque as usize as *mut c_void,
        partition: delivery.partition,
        offset: delivery.offset,
        timestamp: delivery.timestamp,
        code: delivery.code.0,
        status: delivery.status as u32,
        run: delivery.run,
        reserved: 0,
    }
}

impl Runs {
    fn new(deliveries: &Deliveries) -> Self {
        let mut names: Vec<CString> = Vec::new();
        let mut runs = Vec::new();
        for run in deliveries.runs() {
            let name = c_string(run.topic.name());
            runs.push(samsa_run {
                // The text of a CString does not move when the CString does.
                topic: name.as_ptr(),
                partition: run.partition,
                high_watermark: -1,
                log_start: -1,
                next_offset: -1,
                // More records than 32 bits count do not fit into any buffer.memory.
                first: u32::try_from(run.first).unwrap_or(u32::MAX),
                count: u32::try_from(run.count).unwrap_or(u32::MAX),
                leader_epoch: -1,
                reserved: [0; 3],
            });
            names.push(name);
        }
        Self { runs, _names: names }
    }
}

impl Opaque for samsa_deliveries {
    type Inner = DeliveriesHandle;
    // Bound: its end gives room back to the producer, whose locks a child may not touch.
    const NAME: &'static str = "samsa_deliveries";
}

/// The outcomes as an array: writes its address to `*list` and returns how many there are.
///
/// Who frees: nobody; the array is borrowed until samsa_deliveries_free. NULL: `deliveries` NULL gives 0
/// and a NULL array; `list` may be NULL. Thread: any. On error: 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_deliveries_list(
    deliveries: *const samsa_deliveries,
    list: *mut *const samsa_delivery,
) -> usize {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let list = Out::new(list, ptr::null());
        read(deliveries, 0, |held| {
            list.set(held.list().as_ptr());
            held.list().len()
        })
    }
}

/// The partitions of the outcomes: writes the address of an array of consecutive outcomes of one partition
/// to `*runs` and returns how many there are. Watermarks, log start, next offset and epoch are -1.
///
/// Who frees: nobody; the array and its names are borrowed until samsa_deliveries_free. NULL: `deliveries`
/// NULL gives 0 and a NULL array; `runs` may be NULL. Thread: any. On error: 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_deliveries_runs(
    deliveries: *const samsa_deliveries,
    runs: *mut *const samsa_run,
) -> usize {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let runs = Out::new(runs, ptr::null());
        read(deliveries, 0, |held| {
            runs.set(held.runs().as_ptr());
            held.runs().len()
        })
    }
}

/// Why the record at `index` failed, with broker and cause; NULL if it did not, and for an index that is
/// out of range.
///
/// Who frees: the caller, by samsa_error_free. NULL: gives NULL. Thread: any. On error: NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_deliveries_error(
    deliveries: *const samsa_deliveries,
    index: usize,
) -> *mut samsa_error {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        read(deliveries, ptr::null_mut(), |held| {
            let error = held.deliveries.error(index);
            error.map_or(ptr::null_mut(), |error| handle::give::<samsa_error>(error.into()))
        })
    }
}

/// The record at `index` itself, as it was sent: key, value, headers (for samsa_headers_read), timestamp.
/// Needs samsa.delivery.keep=true.
///
/// Who frees: nobody; what the view points to is borrowed until samsa_deliveries_free. NULL: both are
/// required. Thread: any. On error: `*view` is all zero but offsets and timestamp, which are -1;
/// SAMSA_ERR_INVALID_STATE without samsa.delivery.keep, SAMSA_ERR_INVALID_ARGUMENT for an index out of
/// range.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_deliveries_record(
    deliveries: *const samsa_deliveries,
    index: usize,
    view: *mut samsa_message_view,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let view = Out::new(view, ABSENT);
        guard(err, deliveries, |held| {
            let view = view.required("view")?;
            view.set(view_of(held, index)?);
            Ok(())
        })
    }
}

const ABSENT: samsa_message_view = samsa_message_view {
    offset: -1,
    next_offset: -1,
    timestamp: -1,
    key: ptr::null(),
    value: ptr::null(),
    headers: ptr::null(),
    key_length: 0,
    value_length: 0,
    headers_length: 0,
    headers_count: 0,
    run: 0,
    flags: 0,
    delivery_count: 0,
    reserved: [0; 2],
};

fn view_of(held: &DeliveriesHandle, index: usize) -> Result<samsa_message_view> {
    let kept = held.deliveries.record(index)?;
    let delivery = held.list().get(index).ok_or_else(|| Error::bare(Code::INVALID_ARGUMENT))?;
    let pointer = |bytes: Option<&[u8]>| bytes.map_or(ptr::null(), |bytes| bytes.as_ptr().cast());
    // Lengths within a record have 32 bits.
    let length = |bytes: Option<&[u8]>| bytes.map_or(0, |bytes| bytes.len() as u32);
    let headers = (kept.headers_count > 0).then_some(kept.headers);
    Ok(samsa_message_view {
        offset: delivery.offset,
        next_offset: if delivery.offset < 0 { -1 } else { delivery.offset + 1 },
        timestamp: delivery.timestamp,
        key: pointer(kept.key),
        value: pointer(kept.value),
        headers: pointer(headers),
        key_length: length(kept.key),
        value_length: length(kept.value),
        headers_length: length(headers),
        headers_count: kept.headers_count,
        run: delivery.run,
        ..ABSENT
    })
}

/// Frees the deliveries. NULL is fine; those lent to a callback are left alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_deliveries_free(deliveries: *mut samsa_deliveries) {
    // SAFETY: the caller keeps the header's rules.
    unsafe { free(deliveries) }
}
