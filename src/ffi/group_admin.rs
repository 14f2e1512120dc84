//! Groups of a cluster seen and changed from outside: `samsa_groups`, `samsa_group`.

use std::ffi::{CString, c_char};
use std::mem::offset_of;
use std::ptr;
use std::sync::Arc;

use super::args::{self, Out};
use super::cluster::samsa_cluster;
use super::error::samsa_error;
use super::guard::{free, guard, read};
use super::handle::{self, Opaque};
use super::position::{give_list, read_list, samsa_position, samsa_positions};
use super::samsa_code;
use super::snapshot::{Snapshot, keep, list};
use crate::consumer::Position;
use crate::group::TopicPartition;
use crate::group::admin::{self, GroupDescription, GroupKind, GroupListing, GroupMember};
use crate::runtime::deadline;

/// In samsa_group_view.kind: the broker does not say, which those below 3.8 do not.
pub const SAMSA_GROUP_UNKNOWN: u32 = 0;
/// In samsa_group_view.kind: members agree by the classic protocol.
pub const SAMSA_GROUP_CLASSIC: u32 = 1;
/// In samsa_group_view.kind: the coordinator assigns (KIP-848).
pub const SAMSA_GROUP_CONSUMER: u32 = 2;
/// In samsa_group_view.kind: no group of consumers, such as a share group.
pub const SAMSA_GROUP_OTHER: u32 = 3;

/// One group, 48 bytes; strings live as long as the handle that it came with.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct samsa_group_view {
    /// The group.
    pub id: *const c_char,
    /// What its members are: consumer, connect; empty for a group that has offsets only.
    pub protocol_type: *const c_char,
    /// Such as Stable or Empty; empty where the broker does not say (in lists below 2.6).
    pub state: *const c_char,
    /// The assignor; empty while none is chosen, and in lists.
    pub assignor: *const c_char,
    /// SAMSA_GROUP_UNKNOWN, SAMSA_GROUP_CLASSIC, SAMSA_GROUP_CONSUMER or SAMSA_GROUP_OTHER.
    pub kind: u32,
    /// The id of the broker that coordinates it.
    pub coordinator: i32,
    /// Counts its rebalances (KIP-848); -1 elsewhere.
    pub epoch: i32,
    /// 0.
    pub reserved: u32,
}

/// One member of a group, 72 bytes; strings and arrays live as long as the samsa_group.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct samsa_group_member_view {
    /// The id that the coordinator knows it by.
    pub id: *const c_char,
    /// group.instance.id of a static member, or NULL.
    pub instance: *const c_char,
    /// client.id.
    pub client_id: *const c_char,
    /// Where it connects from.
    pub host: *const c_char,
    /// The topics that it subscribes by name.
    pub topics: *const *const c_char,
    /// What it reads: partitions without a place in them.
    pub assignment: *const samsa_position,
    /// How many topics.
    pub topics_count: usize,
    /// How many partitions.
    pub assignment_count: usize,
    /// Its epoch (KIP-848); -1 elsewhere.
    pub epoch: i32,
    /// 0.
    pub reserved: u32,
}

#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<samsa_group_view>() == 48);
    assert!(offset_of!(samsa_group_view, protocol_type) == 8);
    assert!(offset_of!(samsa_group_view, state) == 16);
    assert!(offset_of!(samsa_group_view, assignor) == 24);
    assert!(offset_of!(samsa_group_view, kind) == 32);
    assert!(offset_of!(samsa_group_view, coordinator) == 36);
    assert!(offset_of!(samsa_group_view, epoch) == 40);
    assert!(size_of::<samsa_group_member_view>() == 72);
    assert!(offset_of!(samsa_group_member_view, instance) == 8);
    assert!(offset_of!(samsa_group_member_view, client_id) == 16);
    assert!(offset_of!(samsa_group_member_view, host) == 24);
    assert!(offset_of!(samsa_group_member_view, topics) == 32);
    assert!(offset_of!(samsa_group_member_view, assignment) == 40);
    assert!(offset_of!(samsa_group_member_view, topics_count) == 48);
    assert!(offset_of!(samsa_group_member_view, assignment_count) == 56);
    assert!(offset_of!(samsa_group_member_view, epoch) == 64);
};

/// The groups of a cluster at one moment; never changes. Any thread may read it.
pub struct samsa_groups {
    _private: [u8; 0],
}

/// A group and its members at one moment; never changes. Any thread may read it.
pub struct samsa_group {
    _private: [u8; 0],
}

/// What the views of members point to.
#[derive(Debug, Default)]
pub struct Kept {
    strings: Vec<CString>,
    topics: Vec<Box<[*const c_char]>>,
    partitions: Vec<Box<[samsa_position]>>,
}

// SAFETY: the pointers lead into `strings`, which never changes and is as long-lived; plain memory.
unsafe impl Send for Kept {}
// SAFETY: as above.
unsafe impl Sync for Kept {}

/// A group as C sees it.
#[derive(Debug)]
pub struct GroupHandle {
    view: samsa_group_view,
    members: Snapshot<samsa_group_member_view, Kept>,
}

// SAFETY: `view` points into what `members` keeps; plain memory.
unsafe impl Send for GroupHandle {}
// SAFETY: as above.
unsafe impl Sync for GroupHandle {}

impl Opaque for samsa_groups {
    type Inner = Snapshot<samsa_group_view, Vec<CString>>;
    const NAME: &'static str = "samsa_groups";
    const BOUND: bool = false;
}

impl Opaque for samsa_group {
    type Inner = GroupHandle;
    const NAME: &'static str = "samsa_group";
    const BOUND: bool = false;
}

fn view(
    kept: &mut Vec<CString>,
    group: &GroupListing,
    assignor: &str,
    epoch: i32,
) -> samsa_group_view {
    samsa_group_view {
        id: keep(kept, &group.id),
        protocol_type: keep(kept, &group.protocol_type),
        state: keep(kept, &group.state),
        assignor: keep(kept, assignor),
        kind: match group.kind {
            GroupKind::Unknown => SAMSA_GROUP_UNKNOWN,
            GroupKind::Classic => SAMSA_GROUP_CLASSIC,
            GroupKind::Consumer => SAMSA_GROUP_CONSUMER,
            GroupKind::Other => SAMSA_GROUP_OTHER,
        },
        coordinator: group.coordinator,
        epoch,
        reserved: 0,
    }
}

fn groups(all: &[GroupListing]) -> Snapshot<samsa_group_view, Vec<CString>> {
    let mut kept = Vec::new();
    let views = all.iter().map(|group| view(&mut kept, group, "", -1)).collect();
    Snapshot::new(views, kept)
}

fn described(group: &GroupDescription) -> GroupHandle {
    let mut kept = Kept::default();
    let view = view(&mut kept.strings, &group.listing, &group.assignor, group.epoch);
    let members = group.members.iter().map(|one| member(&mut kept, one)).collect();
    GroupHandle { view, members: Snapshot::new(members, kept) }
}

fn member(kept: &mut Kept, member: &GroupMember) -> samsa_group_member_view {
    let strings = &mut kept.strings;
    let topics: Box<[_]> = member.topics.iter().map(|topic| keep(strings, topic)).collect();
    let place = |place: &TopicPartition| samsa_position {
        topic: keep(strings, &place.topic),
        partition: place.partition,
        offset: -1,
        timestamp: -1,
        metadata: ptr::null(),
        metadata_length: 0,
        leader_epoch: -1,
        code: 0,
        flags: 0,
        reserved: 0,
    };
    let partitions: Box<[_]> = member.assignment.iter().map(place).collect();
    let made = samsa_group_member_view {
        id: keep(strings, &member.id),
        instance: member.instance.as_deref().map_or(ptr::null(), |name| keep(strings, name)),
        client_id: keep(strings, &member.client_id),
        host: keep(strings, &member.host),
        topics: if topics.is_empty() { ptr::null() } else { topics.as_ptr() },
        assignment: if partitions.is_empty() { ptr::null() } else { partitions.as_ptr() },
        topics_count: topics.len(),
        assignment_count: partitions.len(),
        epoch: member.epoch,
        reserved: 0,
    };
    // The boxes' memory stays where it is.
    kept.topics.push(topics);
    kept.partitions.push(partitions);
    made
}

/// Asks every broker for the groups that it coordinates and gives them in order of their names. The
/// groups of a broker that does not answer, within `request.timeout.ms` or the call's own time, are not
/// in the list, with a line in the log; only if no broker answers the call fails, with what became of one.
///
/// Who frees: the caller, by samsa_groups_free. NULL: cluster and groups are required. Thread: any.
/// On error: `*groups` is NULL; SAMSA_ERR_TIMED_OUT; SAMSA_ERR_UNSUPPORTED_FEATURE by brokers below 0.9.
/// Condition: SAMSA_WOKEN.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_cluster_groups(
    cluster: *mut samsa_cluster,
    timeout_ms: i32,
    groups: *mut *mut samsa_groups,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let out = Out::new(groups, ptr::null_mut());
        guard(err, cluster, |handle| {
            let out = out.required("groups")?;
            let all = admin::list_groups(&handle.cluster, deadline(timeout_ms)?)?;
            out.set(handle::give::<samsa_groups>(self::groups(&all)));
            Ok(())
        })
    }
}

/// Gives the array of groups, in order of their names, and returns how many there are; 0 and NULL for
/// NULL.
///
/// Borrowed: the array is valid until the samsa_groups is freed. Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_groups_list(
    groups: *const samsa_groups,
    views: *mut *const samsa_group_view,
) -> usize {
    // SAFETY: the caller keeps the header's rules.
    unsafe { list(groups, views, Snapshot::list) }
}

/// Frees the snapshot. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_groups_free(groups: *mut samsa_groups) {
    // SAFETY: the caller keeps the header's rules.
    unsafe { free(groups) }
}

/// Asks the coordinator of a group, classic or KIP-848, for its state and its members.
///
/// Who frees: the caller, by samsa_group_free. NULL: cluster, id and group are required. Thread: any.
/// On error: `*group` is NULL; SAMSA_ERR_GROUP_ID_NOT_FOUND; SAMSA_ERR_TIMED_OUT;
/// SAMSA_ERR_UNSUPPORTED_FEATURE by brokers below 0.9. Condition: SAMSA_WOKEN.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_cluster_describe_group(
    cluster: *mut samsa_cluster,
    id: *const c_char,
    timeout_ms: i32,
    group: *mut *mut samsa_group,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let out = Out::new(group, ptr::null_mut());
        guard(err, cluster, |handle| {
            let out = out.required("group")?;
            let id = args::text("id", id)?;
            let found = admin::describe_group(&handle.cluster, id, deadline(timeout_ms)?)?;
            out.set(handle::give::<samsa_group>(described(&found)));
            Ok(())
        })
    }
}

/// Gives what concerns the group as a whole; NULL for NULL.
///
/// Borrowed: valid until the samsa_group is freed. Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_group_info(group: *const samsa_group) -> *const samsa_group_view {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(group, ptr::null(), |group| &raw const group.view) }
}

/// Gives the array of members and returns how many there are; 0 and NULL for NULL.
///
/// Borrowed: the array is valid until the samsa_group is freed. Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_group_members(
    group: *const samsa_group,
    views: *mut *const samsa_group_member_view,
) -> usize {
    // SAFETY: the caller keeps the header's rules.
    unsafe { list(group, views, |group, views| group.members.list(views)) }
}

/// Frees the snapshot. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_group_free(group: *mut samsa_group) {
    // SAFETY: the caller keeps the header's rules.
    unsafe { free(group) }
}

/// Deletes a group that has no members, with its offsets.
///
/// NULL: cluster and id are required. Thread: any. On error: SAMSA_ERR_NON_EMPTY_GROUP;
/// SAMSA_ERR_GROUP_ID_NOT_FOUND; SAMSA_ERR_UNSUPPORTED_FEATURE by brokers below 1.1;
/// SAMSA_ERR_TIMED_OUT. Condition: SAMSA_WOKEN. After these two it may be deleted all the same.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_cluster_delete_group(
    cluster: *mut samsa_cluster,
    id: *const c_char,
    timeout_ms: i32,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        guard(err, cluster, |handle| {
            let id = args::text("id", id)?;
            admin::delete_group(&handle.cluster, id, deadline(timeout_ms)?)
        })
    }
}

/// Makes a group forget what it committed for these partitions; members must not read their topics.
/// Places in the positions are not read.
///
/// `*outcome`, may be NULL: the partitions in the order asked, with the code of each.
///
/// Who frees: the caller, `*outcome` by samsa_positions_free; `positions` are copied. NULL: cluster and
/// id are required, `positions` unless n is 0. Thread: any. On error: the error of the first partition
/// that failed, such as SAMSA_ERR_GROUP_SUBSCRIBED_TO_TOPIC, with `*outcome`; without it
/// SAMSA_ERR_GROUP_ID_NOT_FOUND, SAMSA_ERR_UNSUPPORTED_FEATURE by brokers below 2.4, SAMSA_ERR_TIMED_OUT.
/// Condition: SAMSA_WOKEN. After these two they may be forgotten all the same.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_cluster_delete_offsets(
    cluster: *mut samsa_cluster,
    id: *const c_char,
    positions: *const samsa_position,
    n: usize,
    stride: usize,
    timeout_ms: i32,
    outcome: *mut *mut samsa_positions,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let wanted = !outcome.is_null();
        let outcome = Out::new(outcome, ptr::null_mut());
        guard(err, cluster, |handle| {
            let id = args::text("id", id)?;
            let mut positions = read_list(positions, n, stride)?;
            let place = |position: &Position| TopicPartition {
                topic: Arc::from(position.topic.as_str()),
                partition: position.partition,
            };
            let places = positions.iter().map(place).collect();
            let until = deadline(timeout_ms)?;
            let outcomes = admin::delete_offsets(&handle.cluster, id, places, until)?;
            for (position, outcome) in positions.iter_mut().zip(&outcomes) {
                position.error = outcome.as_ref().err().cloned();
            }
            if wanted {
                outcome.set(give_list(positions));
            }
            outcomes.into_iter().collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    #[test]
    fn a_group_lends_its_members_with_their_topics_and_partitions() {
        let listing = GroupListing {
            id: "g".to_owned(),
            protocol_type: "consumer".to_owned(),
            state: "Stable".to_owned(),
            kind: GroupKind::Consumer,
            coordinator: 7,
        };
        let place = |partition| TopicPartition { topic: Arc::from("t"), partition };
        let full = GroupMember {
            id: "m".to_owned(),
            instance: Some("i".to_owned()),
            topics: vec!["t".to_owned(), "u".to_owned()],
            assignment: vec![place(0), place(3)],
            epoch: 5,
            ..GroupMember::default()
        };
        let members = vec![full, GroupMember::default()];
        let assignor = "uniform".to_owned();
        let group = GroupDescription { listing, assignor, epoch: 5, members };
        let handle = handle::give::<samsa_group>(described(&group));
        let mut views = ptr::null();
        // SAFETY: a live handle, freed once; its views are read before.
        unsafe {
            let info = &*samsa_group_info(handle);
            assert_eq!(
                (CStr::from_ptr(info.id), CStr::from_ptr(info.assignor)),
                (c"g", c"uniform")
            );
            assert_eq!((info.kind, info.coordinator, info.epoch), (SAMSA_GROUP_CONSUMER, 7, 5));
            assert_eq!(samsa_group_members(handle, &raw mut views), 2);
            let views = std::slice::from_raw_parts(views, 2);
            assert_eq!(CStr::from_ptr(views[0].instance), c"i");
            let topics = std::slice::from_raw_parts(views[0].topics, views[0].topics_count);
            assert_eq!(CStr::from_ptr(topics[1]), c"u");
            let count = views[0].assignment_count;
            let assignment = std::slice::from_raw_parts(views[0].assignment, count);
            assert_eq!((CStr::from_ptr(assignment[1].topic), assignment[1].partition), (c"t", 3));
            assert!(views[1].instance.is_null() && views[1].assignment.is_null());
            samsa_group_free(handle);
        }
    }
}
