//! `samsa_position`: a place in a partition, in and out; `samsa_positions`: lists that come out.

use std::ffi::{c_char, c_void};
use std::mem::offset_of;
use std::ptr;
use std::sync::Arc;

use super::args::{self, Out, Strided};
use super::error::samsa_error;
use super::guard::{free, guard, read};
use super::handle::{self, Opaque};
use super::samsa_code;
use super::topic::samsa_topic;
use crate::consumer::{Name, Position, topic_offsets};
use crate::error::{Code, Error, Result};
use crate::runtime::deadline;

/// In samsa_position.flags: `offset` is given.
pub const SAMSA_POSITION_OFFSET: u32 = 1;
/// In samsa_position.flags: `timestamp` is given.
pub const SAMSA_POSITION_TIME: u32 = 2;
/// In samsa_position.flags: `leader_epoch` is given.
pub const SAMSA_POSITION_EPOCH: u32 = 4;

/// As an offset: the end of the partition.
pub const SAMSA_LATEST: i64 = -1;
/// As an offset: the first message that the partition still has.
pub const SAMSA_EARLIEST: i64 = -2;

const _: () = assert!(SAMSA_LATEST == crate::consumer::LATEST);
const _: () = assert!(SAMSA_EARLIEST == crate::consumer::EARLIEST);

/// A partition and a place in it, 64 bytes; one struct for what goes in and what comes out.
///
/// Flags say what is given: SAMSA_POSITION_OFFSET (0 or more, SAMSA_EARLIEST or SAMSA_LATEST),
/// SAMSA_POSITION_TIME, SAMSA_POSITION_EPOCH. An offset wins over a time. With neither, the committed
/// offset counts, or else auto.offset.reset. What one call returns, another takes as it is.
/// Passed in as an array with its stride (sizeof the struct).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct samsa_position {
    /// Name of the topic, NUL-terminated. In: read during the call. Out: lives as long as the list.
    pub topic: *const c_char,
    /// Number of the partition, 0 or more.
    pub partition: i64,
    /// An offset, SAMSA_EARLIEST or SAMSA_LATEST; out: -1 without SAMSA_POSITION_OFFSET.
    pub offset: i64,
    /// Milliseconds since 1970; out: -1 without SAMSA_POSITION_TIME.
    pub timestamp: i64,
    /// UTF-8 text kept with a committed offset, or NULL; may hold zero bytes.
    pub metadata: *const c_void,
    /// How many bytes.
    pub metadata_length: u32,
    /// Leader epoch of the message before the offset; out: -1 without SAMSA_POSITION_EPOCH.
    pub leader_epoch: i32,
    /// Out: 0, or the error of this partition alone. In: not read.
    pub code: samsa_code,
    /// SAMSA_POSITION_... bits.
    pub flags: u32,
    /// Zero.
    pub reserved: u64,
}

#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<samsa_position>() == 64);
    assert!(offset_of!(samsa_position, partition) == 8);
    assert!(offset_of!(samsa_position, offset) == 16);
    assert!(offset_of!(samsa_position, timestamp) == 24);
    assert!(offset_of!(samsa_position, metadata) == 32);
    assert!(offset_of!(samsa_position, metadata_length) == 40);
    assert!(offset_of!(samsa_position, leader_epoch) == 44);
    assert!(offset_of!(samsa_position, code) == 48);
    assert!(offset_of!(samsa_position, flags) == 52);
    assert!(offset_of!(samsa_position, reserved) == 56);
};

/// A list of positions that a call returned. It never changes: any number of threads may read it.
pub struct samsa_positions {
    _private: [u8; 0],
}

/// The list in C's form, and the names that it borrows.
#[derive(Debug)]
pub struct PositionsHandle {
    list: Vec<samsa_position>,
    _names: Vec<(Name, Option<Arc<str>>)>,
}

impl PositionsHandle {
    /// The list, as long as this value lives.
    pub fn list(&self) -> &[samsa_position] {
        &self.list
    }
}

// SAFETY: the pointers in `list` lead into the shared texts of `_names`, which nobody writes and which
// live as long.
unsafe impl Send for PositionsHandle {}
// SAFETY: as above.
unsafe impl Sync for PositionsHandle {}

impl Opaque for samsa_positions {
    type Inner = PositionsHandle;
    const NAME: &'static str = "samsa_positions";
    const BOUND: bool = false;
}

impl From<Vec<Position>> for PositionsHandle {
    fn from(positions: Vec<Position>) -> Self {
        let list = positions.iter().map(to_c).collect();
        Self { list, _names: positions.into_iter().map(|p| (p.topic, p.metadata)).collect() }
    }
}

fn to_c(position: &Position) -> samsa_position {
    let flag = |given: bool, flag| if given { flag } else { 0 };
    samsa_position {
        topic: position.topic.as_c_str().as_ptr(),
        partition: position.partition,
        offset: position.offset.unwrap_or(-1),
        timestamp: position.timestamp.unwrap_or(-1),
        metadata: position.metadata.as_ref().map_or(ptr::null(), |text| text.as_ptr().cast()),
        // Kafka's limit lies far below.
        metadata_length: position.metadata.as_ref().map_or(0, |text| text.len() as u32),
        leader_epoch: position.leader_epoch.unwrap_or(-1),
        code: position.error.as_ref().map_or(0, |e| e.code().0),
        flags: flag(position.offset.is_some(), SAMSA_POSITION_OFFSET)
            | flag(position.timestamp.is_some(), SAMSA_POSITION_TIME)
            | flag(position.leader_epoch.is_some(), SAMSA_POSITION_EPOCH),
        reserved: 0,
    }
}

/// A position without a flag whose place would not count is refused: reading would silently begin
/// elsewhere. 0 and -1 stand in positions that came without a place.
fn check_flags(position: &samsa_position, topic: &str) -> Result<()> {
    let places = SAMSA_POSITION_OFFSET | SAMSA_POSITION_TIME;
    let forgotten = |value: i64| position.flags & places == 0 && value != 0 && value != -1;
    let (what, flag) = if forgotten(position.offset) {
        ("offset", "SAMSA_POSITION_OFFSET")
    } else if forgotten(position.timestamp) {
        ("timestamp", "SAMSA_POSITION_TIME")
    } else {
        return Ok(());
    };
    let text = format!(
        "topic {topic}: the position's {what} is given without {flag} in flags: set the flag, or leave \
         it 0"
    );
    let error = Error::new(Code::INVALID_ARGUMENT, text).with_topic(topic);
    Err(error.with_partition(position.partition))
}

/// Reads one position that C passed.
///
/// # Safety
/// `position.topic` is NULL or a NUL-terminated string, `position.metadata` NULL or as many bytes as its
/// length says; both live during the call.
unsafe fn from_c(position: &samsa_position) -> Result<Position> {
    // SAFETY: by the contract of this function.
    let topic = unsafe { args::text("position.topic", position.topic) }?;
    let known = SAMSA_POSITION_OFFSET | SAMSA_POSITION_TIME | SAMSA_POSITION_EPOCH;
    if position.flags & !known != 0 {
        let text = format!("position.flags has unknown bits: {:#x}", position.flags);
        return Err(Error::new(Code::INVALID_ARGUMENT, text).with_topic(topic));
    }
    check_flags(position, topic)?;
    let given = |flag, value| (position.flags & flag != 0).then_some(value);
    let mut read = Position::new(Name::new(topic)?, position.partition);
    read.offset = given(SAMSA_POSITION_OFFSET, position.offset);
    read.timestamp = given(SAMSA_POSITION_TIME, position.timestamp);
    read.leader_epoch = (position.flags & SAMSA_POSITION_EPOCH != 0 && position.leader_epoch >= 0)
        .then_some(position.leader_epoch);
    // SAFETY: by the contract of this function.
    read.metadata = unsafe { metadata(position) }?;
    Ok(read)
}

/// What is to be kept beside a committed offset.
///
/// # Safety
/// `position.metadata` is NULL or points to as many bytes as its length says.
unsafe fn metadata(position: &samsa_position) -> Result<Option<Arc<str>>> {
    // SAFETY: by the contract of this function.
    let bytes = unsafe {
        args::bytes("position.metadata", position.metadata, position.metadata_length as usize)
    }?;
    let Some(bytes) = bytes else { return Ok(None) };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let text = format!("position.metadata is not UTF-8 at byte {at}");
        Error::new(Code::INVALID_ARGUMENT, text)
    })?;
    Ok(Some(Arc::from(text)))
}

/// Reads an array of positions.
///
/// # Safety
/// `positions` is NULL or points to `count` structs, `stride` bytes apart, and their names live
/// during the call.
pub unsafe fn read_list(
    positions: *const samsa_position,
    count: usize,
    stride: usize,
) -> Result<Vec<Position>> {
    // SAFETY: by the contract of this function.
    let list = unsafe { Strided::new("positions", positions, count, stride) }?;
    // SAFETY: as above.
    list.iter().map(|position| unsafe { from_c(position) }).collect()
}

/// As [`read_list`], where NULL with no elements means "all assigned".
///
/// # Safety
/// As [`read_list`].
pub unsafe fn read_list_or_all(
    positions: *const samsa_position,
    count: usize,
    stride: usize,
) -> Result<Option<Vec<Position>>> {
    if positions.is_null() && count == 0 {
        return Ok(None);
    }
    // SAFETY: by the contract of this function.
    unsafe { read_list(positions, count, stride) }.map(Some)
}

/// Hands a list to C.
pub fn give_list(positions: Vec<Position>) -> *mut samsa_positions {
    handle::give::<samsa_positions>(positions.into())
}

/// The positions as an array, in the order asked: writes its address to `*list` and returns how many
/// there are.
///
/// Who frees: nobody; borrowed until samsa_positions_free. NULL: `positions` NULL gives 0 and a NULL
/// list; `list` may be NULL to ask for the number alone. Thread: any. On error: 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_positions_list(
    positions: *const samsa_positions,
    list: *mut *const samsa_position,
) -> usize {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let list = Out::new(list, ptr::null());
        read(positions, 0, |positions| {
            list.set(positions.list.as_ptr());
            positions.list.len()
        })
    }
}

/// Frees a list; what it lent is gone. NULL is fine. Never waits. Thread: any, as the last use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_positions_free(positions: *mut samsa_positions) {
    // SAFETY: the caller keeps the header's rules.
    unsafe { free(positions) }
}

/// The offsets of every partition of a topic: `when` is SAMSA_EARLIEST, SAMSA_LATEST, or milliseconds
/// since 1970 for the first message not older. In the order of the partitions; without
/// SAMSA_POSITION_OFFSET where no message is that late; with a code where one partition failed. Waits
/// for the topic's metadata if need be. `timeout_ms`: -1 = no limit. Kafka 0.7 knows no times of messages: by
/// time it gives where the newest file begins that was last written to before.
///
/// Who frees: the caller, `*positions` by samsa_positions_free. NULL: `topic` and `positions` are
/// required. Thread: any. On error: `*positions` is NULL; SAMSA_ERR_TIMED_OUT,
/// SAMSA_ERR_INVALID_ARGUMENT. Condition: SAMSA_WOKEN, by samsa_cluster_wakeup.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_topic_offsets(
    topic: *mut samsa_topic,
    when: i64,
    timeout_ms: i32,
    positions: *mut *mut samsa_positions,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let positions = Out::new(positions, ptr::null_mut());
        guard(err, topic, |held| {
            let positions = positions.required("positions")?;
            let limit = deadline(timeout_ms)?;
            let found = topic_offsets(&held.cluster.cluster, &held.topic, when, limit)?;
            positions.set(give_list(found));
            Ok(())
        })
    }
}
