//! Groups of the embedded broker, for C programs' own tests (`samsa_testing.h`).

use std::ffi::{CStr, CString, c_char};
use std::ptr;

use super::args::{self, Out};
use super::embedded::{partition_number, samsa_embedded};
use super::error::samsa_error;
use super::guard::{free, guard, plain, read};
use super::handle::{self, Opaque};
use super::samsa_code;
use super::snapshot::{Snapshot, keep, list};
use crate::embedded::GroupMember;
use crate::error::{Code, Error, Result};
use crate::runtime::deadline;

/// A member of a group. Its strings live as long as the samsa_embedded_members.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct samsa_embedded_member {
    /// The id that the coordinator knows it by.
    pub id: *const c_char,
    /// Its group.instance.id; NULL without one.
    pub instance_id: *const c_char,
    /// Its client.id.
    pub client_id: *const c_char,
}

/// The members of a group at one moment; never changes. Any thread may read it.
#[derive(Debug)]
pub struct samsa_embedded_members {
    _private: [u8; 0],
}

impl Opaque for samsa_embedded_members {
    type Inner = Snapshot<samsa_embedded_member, Vec<CString>>;
    const NAME: &'static str = "samsa_embedded_members";
    const BOUND: bool = false;
}

/// The members of a group, in the order in which they came; none if there is no such group.
///
/// Who frees: the caller, `*members` by samsa_embedded_members_free. NULL: every pointer but `err` is
/// required. Thread: any. Borrowed: the name is read during the call. On error: `*members` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_group_members(
    embedded: *const samsa_embedded,
    group: *const c_char,
    members: *mut *mut samsa_embedded_members,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let members = Out::new(members, ptr::null_mut());
        guard(err, embedded, |e| {
            let members = members.required("members")?;
            let found = e.brokers.modern()?.group_members(args::text("group", group)?);
            members.set(handle::give::<samsa_embedded_members>(snapshot(&found)));
            Ok(())
        })
    }
}

fn snapshot(members: &[GroupMember]) -> Snapshot<samsa_embedded_member, Vec<CString>> {
    let mut kept = Vec::new();
    let view = |member: &GroupMember| samsa_embedded_member {
        id: keep(&mut kept, &member.id),
        instance_id: member.instance.as_deref().map_or(ptr::null(), |name| keep(&mut kept, name)),
        client_id: keep(&mut kept, &member.client_id),
    };
    let views = members.iter().map(view).collect();
    Snapshot::new(views, kept)
}

/// Gives the array of members and returns how many there are; 0 and NULL for NULL.
///
/// Borrowed: the array is valid until the samsa_embedded_members is freed. Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_members_list(
    members: *const samsa_embedded_members,
    views: *mut *const samsa_embedded_member,
) -> usize {
    // SAFETY: the caller keeps the header's rules.
    unsafe { list(members, views, Snapshot::list) }
}

/// Frees the snapshot. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_members_free(members: *mut samsa_embedded_members) {
    // SAFETY: the caller keeps the header's rules.
    unsafe { free(members) }
}

/// Where a group stands, in Kafka's words: Empty, PreparingRebalance, CompletingRebalance, Assigning,
/// Reconciling, Stable; Dead if there is no such group. NULL for NULL or on a pointer that is no live
/// samsa_embedded.
///
/// Borrowed: a constant. Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_group_state(
    embedded: *const samsa_embedded,
    group: *const c_char,
) -> *const c_char {
    plain(ptr::null(), || {
        // SAFETY: the caller keeps the header's rules.
        let Ok(group) = (unsafe { args::text("group", group) }) else { return ptr::null() };
        // SAFETY: as above.
        unsafe {
            read(embedded, ptr::null(), |e| {
                e.brokers.modern().map_or(ptr::null(), |c| constant(c.group_state(group)).as_ptr())
            })
        }
    })
}

/// The state's name as C reads it.
fn constant(state: &str) -> &'static CStr {
    const STATES: [&CStr; 7] = [
        c"Dead",
        c"Empty",
        c"PreparingRebalance",
        c"CompletingRebalance",
        c"Assigning",
        c"Reconciling",
        c"Stable",
    ];
    STATES.into_iter().find(|name| name.to_str() == Ok(state)).unwrap_or(c"Unknown")
}

/// Waits until a group has so many members and is in this state (see samsa_embedded_group_state; NULL:
/// in any).
///
/// NULL: `embedded` and `group` are required. Thread: any. Borrowed: the strings are read during the
/// call. On error: SAMSA_ERR_TIMED_OUT, with what the group is instead.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_wait_group(
    embedded: *mut samsa_embedded,
    group: *const c_char,
    state: *const c_char,
    members: usize,
    timeout_ms: i32,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        guard(err, embedded, |e| {
            let (group, state) =
                (args::text("group", group)?, args::optional_text("state", state)?);
            e.brokers.modern()?.wait_group(group, state, members, deadline(timeout_ms)?)
        })
    }
}

/// The offset that a group committed for a partition, -1 if it committed none.
///
/// NULL: every pointer but `err` is required. Thread: any. Borrowed: the names are read during the
/// call. On error: `*offset` is -1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_committed(
    embedded: *const samsa_embedded,
    group: *const c_char,
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
            let (group, topic) = (args::text("group", group)?, args::text("topic", topic)?);
            let committed =
                e.brokers.modern()?.committed(group, topic, partition_number(partition)?);
            offset.set(committed.unwrap_or(-1));
            Ok(())
        })
    }
}

/// The broker that coordinates a group, -1 if it does not run.
///
/// NULL: every pointer but `err` is required. Thread: any. Borrowed: the name is read during the
/// call. On error: `*broker` is -1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_coordinator(
    embedded: *const samsa_embedded,
    group: *const c_char,
    broker: *mut i32,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let broker = Out::new(broker, -1);
        guard(err, embedded, |e| {
            let broker = broker.required("broker")?;
            let found = e.brokers.modern()?.coordinator(args::text("group", group)?);
            broker.set(found.unwrap_or(-1));
            Ok(())
        })
    }
}

/// Makes a broker the coordinator of a group, which keeps its members and offsets; the old one answers
/// SAMSA_ERR_NOT_COORDINATOR from now on.
///
/// NULL: `embedded` and `group` are required. Thread: any. Borrowed: the name is copied. On error:
/// SAMSA_ERR_INVALID_ARGUMENT for a broker that there is not.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_move_coordinator(
    embedded: *mut samsa_embedded,
    group: *const c_char,
    broker: i32,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        guard(err, embedded, |e| {
            e.brokers.modern()?.move_coordinator(args::text("group", group)?, broker)
        })
    }
}

/// Throws a member out of its group, as when its session ends; the others rebalance. NULL for `member`:
/// all of them.
///
/// NULL: `embedded` and `group` are required. Thread: any. Borrowed: the strings are read during the
/// call. On error: SAMSA_ERR_UNKNOWN_MEMBER_ID if the group has no such member, or none at all.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_expire_member(
    embedded: *mut samsa_embedded,
    group: *const c_char,
    member: *const c_char,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        guard(err, embedded, |e| {
            let group = args::text("group", group)?;
            match args::optional_text("member", member)? {
                Some(member) => e.brokers.modern()?.expire_member(group, member),
                None => expire_all(e.brokers.modern()?, group),
            }
        })
    }
}

fn expire_all(cluster: &crate::embedded::Cluster, group: &str) -> Result<()> {
    let members = cluster.group_members(group);
    if members.is_empty() {
        let why = format!("group {group} has no members");
        return Err(Error::new(Code::UNKNOWN_MEMBER_ID, why));
    }
    members.iter().try_for_each(|member| cluster.expire_member(group, &member.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::embedded::{samsa_embedded_free, samsa_embedded_start};

    #[test]
    fn a_group_that_is_not_there_is_dead_empty_and_nobody_can_be_thrown_out() {
        let (mut embedded, mut err) = (ptr::null_mut(), ptr::null_mut());
        let none = ptr::null_mut();
        // SAFETY: live out-parameters, literals, handles freed once.
        unsafe {
            assert_eq!(samsa_embedded_start(2, &raw mut embedded, &raw mut err), 0);
            let group = c"g".as_ptr();
            let state = samsa_embedded_group_state(embedded, group);
            assert_eq!(CStr::from_ptr(state), c"Dead");
            assert!(samsa_embedded_group_state(embedded, ptr::null()).is_null());
            let (mut members, mut views) = (ptr::null_mut(), ptr::null());
            let code =
                samsa_embedded_group_members(embedded, group, &raw mut members, &raw mut err);
            assert_eq!(code, 0);
            assert_eq!(samsa_embedded_members_list(members, &raw mut views), 0);
            samsa_embedded_members_free(members);
            let code = samsa_embedded_wait_group(embedded, group, c"Stable".as_ptr(), 1, 0, none);
            assert_eq!(code, Code::TIMED_OUT.0);
            let code = samsa_embedded_wait_group(embedded, group, ptr::null(), 0, 0, none);
            assert_eq!(code, 0);
            for member in [ptr::null(), c"m".as_ptr()] {
                let code = samsa_embedded_expire_member(embedded, group, member, none);
                assert_eq!(code, Code::UNKNOWN_MEMBER_ID.0);
            }
            let (mut broker, mut offset) = (9, 9);
            let code = samsa_embedded_coordinator(embedded, group, &raw mut broker, &raw mut err);
            assert_eq!((code, broker), (0, 0));
            assert_eq!(samsa_embedded_move_coordinator(embedded, group, 1, &raw mut err), 0);
            let code = samsa_embedded_coordinator(embedded, group, &raw mut broker, &raw mut err);
            assert_eq!((code, broker), (0, 1));
            let code = samsa_embedded_move_coordinator(embedded, group, 9, none);
            assert_eq!(code, Code::INVALID_ARGUMENT.0);
            let committed = samsa_embedded_committed;
            let code = committed(embedded, group, c"t".as_ptr(), 0, &raw mut offset, &raw mut err);
            assert_eq!((code, offset), (0, -1));
            samsa_embedded_free(embedded);
        }
    }

    #[test]
    fn every_state_has_a_name_in_c() {
        assert_eq!(constant("CompletingRebalance"), c"CompletingRebalance");
        assert_eq!(constant("?"), c"Unknown");
    }
}
