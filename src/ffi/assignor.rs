//! An assignor of the application's own, for classic groups.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CString, c_char, c_void};
use std::mem::offset_of;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::args::{self, Out};
use super::callback::Registered;
use super::config::{samsa_config, samsa_release_callback};
use super::error::{c_string, samsa_error};
use super::guard::{guard, read};
use super::handle::{Lent, Opaque};
use super::position::{PositionsHandle, samsa_position};
use super::samsa_code;
use crate::consumer::{Name, Position};
use crate::error::{Code, Error, Result};
use crate::group::assign::{Assign, Candidate, OwnAssignor, Share};
use crate::group::assignor::Topics;

/// For samsa_config_set_assignor_callback: the assignor gives nobody what another member still owns, and
/// members keep what they have while others' partitions move (KIP-429). A partition that it gives all the
/// same comes in the next round. A member is cooperative only if every assignor that it offers is: with
/// partition.assignment.strategy=cooperative-sticky, not with its default, which offers range too.
pub const SAMSA_ASSIGNOR_COOPERATIVE: u32 = 1;

/// One round of sharing partitions out, lent to an assignor callback. Only the thread that runs the
/// callback may use it, and only until the callback returns.
pub struct samsa_assignment {
    _private: [u8; 0],
}

/// A member as an assignor sees it, 80 bytes; what it points to lives as long as the round.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct samsa_assignment_member {
    /// The id that the coordinator gave it.
    pub id: *const c_char,
    /// Its group.instance.id, or NULL.
    pub instance: *const c_char,
    /// Its rack, or NULL.
    pub rack: *const c_char,
    /// The topics that it subscribes to.
    pub topics: *const *const c_char,
    /// The partitions that it says it owns.
    pub owned: *const samsa_position,
    /// What it said besides (samsa_consumer_set_user_data), or NULL.
    pub user_data: *const c_void,
    /// The generation in which it got what it owns; -1 if it does not know.
    pub generation: i32,
    /// How many topics.
    pub topics_count: u32,
    /// How many owned partitions.
    pub owned_count: u32,
    /// Bytes of user_data.
    pub user_data_length: u32,
    /// Zero.
    pub reserved: [u64; 2],
}

/// A topic that is to be shared out, 32 bytes; its partitions are numbered from 0 on.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct samsa_assignment_topic {
    /// The name.
    pub name: *const c_char,
    /// How many partitions it has.
    pub partitions: i64,
    /// Zero.
    pub reserved: [u64; 2],
}

#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<samsa_assignment_member>() == 80);
    assert!(offset_of!(samsa_assignment_member, topics) == 24);
    assert!(offset_of!(samsa_assignment_member, owned) == 32);
    assert!(offset_of!(samsa_assignment_member, user_data) == 40);
    assert!(offset_of!(samsa_assignment_member, generation) == 48);
    assert!(offset_of!(samsa_assignment_member, user_data_length) == 60);
    assert!(size_of::<samsa_assignment_topic>() == 32);
    assert!(offset_of!(samsa_assignment_topic, partitions) == 8);
};

/// What one member's view borrows.
#[derive(Debug)]
struct Held {
    id: CString,
    instance: Option<CString>,
    rack: Option<CString>,
    _topics: Vec<CString>,
    topics: Vec<*const c_char>,
    owned: PositionsHandle,
    user_data: Option<Bytes>,
}

/// Who was given what.
#[derive(Debug, Default)]
struct Given {
    shares: BTreeMap<String, Share>,
    places: BTreeSet<(String, i32)>,
}

/// What a round's handle holds.
#[derive(Debug)]
pub struct AssignmentHandle {
    members: Vec<samsa_assignment_member>,
    topics: Vec<samsa_assignment_topic>,
    given: Mutex<Given>,
    ids: Vec<String>,
    counts: BTreeMap<String, usize>,
    _held: Vec<Held>,
    _names: Vec<CString>,
}

// SAFETY: the pointers lead into what is held beside them, which nobody writes.
unsafe impl Send for AssignmentHandle {}
// SAFETY: as above.
unsafe impl Sync for AssignmentHandle {}

impl Opaque for samsa_assignment {
    type Inner = AssignmentHandle;
    const NAME: &'static str = "samsa_assignment";
    const BOUND: bool = false;
}

fn pointer(text: Option<&CString>) -> *const c_char {
    text.map_or(ptr::null(), |text| text.as_ptr())
}

fn short(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl Held {
    fn new(candidate: &Candidate) -> Result<Self> {
        let member = &candidate.member;
        let topics: Vec<CString> = member.topics.iter().map(|topic| c_string(topic)).collect();
        let owned = member.owned.iter();
        let owned = owned.map(|(topic, n)| Ok(Position::new(Name::new(topic)?, i64::from(*n))));
        Ok(Self {
            id: c_string(&member.id),
            instance: member.instance.as_deref().map(c_string),
            rack: member.rack.as_deref().map(c_string),
            // The text of a CString does not move when the CString does.
            topics: topics.iter().map(|topic| topic.as_ptr()).collect(),
            _topics: topics,
            owned: owned.collect::<Result<Vec<_>>>()?.into(),
            user_data: candidate.user_data.clone(),
        })
    }

    fn view(&self, generation: i32) -> samsa_assignment_member {
        let data = self.user_data.as_ref();
        samsa_assignment_member {
            id: self.id.as_ptr(),
            instance: pointer(self.instance.as_ref()),
            rack: pointer(self.rack.as_ref()),
            topics: self.topics.as_ptr(),
            owned: self.owned.list().as_ptr(),
            user_data: data.map_or(ptr::null(), |data| data.as_ptr().cast()),
            generation,
            topics_count: short(self.topics.len()),
            owned_count: short(self.owned.list().len()),
            user_data_length: short(data.map_or(0, Bytes::len)),
            reserved: [0; 2],
        }
    }
}

impl AssignmentHandle {
    fn new(candidates: &[Candidate], topics: &Topics) -> Result<Self> {
        let held = candidates.iter().map(Held::new).collect::<Result<Vec<_>>>()?;
        let views = held.iter().zip(candidates);
        let members = views.map(|(held, c)| held.view(c.member.generation)).collect();
        let names: Vec<CString> = topics.0.keys().map(|name| c_string(name)).collect();
        let topic = |(name, partitions): (&CString, usize)| samsa_assignment_topic {
            name: name.as_ptr(),
            partitions: i64::try_from(partitions).unwrap_or(i64::MAX),
            reserved: [0; 2],
        };
        Ok(Self {
            members,
            topics: names.iter().zip(topics.0.values().map(Vec::len)).map(topic).collect(),
            given: Mutex::default(),
            ids: candidates.iter().map(|c| c.member.id.clone()).collect(),
            counts: topics.0.iter().map(|(name, all)| (name.clone(), all.len())).collect(),
            _held: held,
            _names: names,
        })
    }

    /// The id of the member at `index`.
    fn id(&self, index: usize) -> Result<&String> {
        self.ids.get(index).ok_or_else(|| {
            let text = format!("there is no member {index}, there are {}", self.ids.len());
            Error::new(Code::INVALID_ARGUMENT, text)
        })
    }

    fn given(&self) -> MutexGuard<'_, Given> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a partition that nobody was given.
    fn give(&self, member: usize, topic: &str, partition: i64) -> Result<()> {
        let refuse = |why: &str| {
            let text = format!("topic {topic}, partition {partition} {why}");
            Error::new(Code::INVALID_ARGUMENT, text).with_topic(topic).with_partition(partition)
        };
        let count = self.counts.get(topic).copied().unwrap_or(0);
        let within = usize::try_from(partition).is_ok_and(|number| number < count);
        let number = i32::try_from(partition).ok().filter(|_| within);
        let place = (topic.to_owned(), number.ok_or_else(|| refuse("is not there to be given"))?);
        let id = self.id(member)?;
        let mut given = self.given();
        if !given.places.insert(place.clone()) {
            return Err(refuse("was given before"));
        }
        given.shares.entry(id.clone()).or_default().places.push(place);
        Ok(())
    }
}

/// Shares partitions out among members: it calls samsa_assignment_give for each partition and returns 0,
/// or the code of an error: then the round fails, the error is told by a poll, and the group tries again.
/// It runs in the leader, on the thread that polls, also while that waits for a commit inside another
/// callback; it must return, and may call nothing but samsa_assignment functions.
pub type samsa_assignor_callback =
    Option<unsafe extern "C" fn(round: *mut samsa_assignment, user: *mut c_void) -> samsa_code>;

/// The callback as the group runs it.
#[derive(Debug)]
struct Own {
    name: String,
    cooperative: bool,
    set: Arc<Registered<samsa_assignor_callback>>,
}

impl Assign for Own {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_cooperative(&self) -> bool {
        self.cooperative
    }

    fn assign(&self, members: &[Candidate], topics: &Topics) -> Result<BTreeMap<String, Share>> {
        let Some(call) = self.set.call else { return Err(Error::bare(Code::INVALID_STATE)) };
        let lent = Lent::<samsa_assignment>::new(AssignmentHandle::new(members, topics)?);
        // SAFETY: the application's function, with the pointer it gave; the round lives meanwhile.
        let code = unsafe { call(lent.as_ptr(), self.set.user()) };
        if code != 0 {
            return Err(Error::bare(Code(code)));
        }
        Ok(std::mem::take(&mut lent.inner().given().shares))
    }
}

/// Has a callback share out partitions in classic groups (group.protocol=classic), for consumers that are
/// made with this configuration: they offer it by this name before those of
/// partition.assignment.strategy, and a group whose members all offer it uses it. call NULL takes it back.
///
/// Who frees: release(user), if not NULL, is called once after the last use; when this call fails, it is
/// not. NULL: config and name are required. Thread: any. Borrowed: the name is copied. On error nothing is
/// changed: SAMSA_ERR_INVALID_ARGUMENT for a name that a built-in assignor has, or unknown flags.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_config_set_assignor_callback(
    config: *mut samsa_config,
    name: *const c_char,
    flags: u32,
    call: samsa_assignor_callback,
    user: *mut c_void,
    release: samsa_release_callback,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        guard(err, config, |config| {
            let name = args::text("name", name)?.to_owned();
            check(&name, flags)?;
            let cooperative = flags & SAMSA_ASSIGNOR_COOPERATIVE != 0;
            let unused = config.edit(|config| {
                // The application's pointer is ours only from here on: a refused call releases nothing.
                let set = Registered::new(call, user, release);
                let own: Arc<dyn Assign> =
                    Arc::new(Own { name, cooperative, set: Arc::clone(&set) });
                // One without a function takes back what the cluster has.
                config.attach(Arc::new(OwnAssignor(call.is_some().then_some(own))));
                set
            })?;
            // Without a function that was its last use: the release function runs outside of the lock.
            drop(unused);
            Ok(())
        })
    }
}

fn check(name: &str, flags: u32) -> Result<()> {
    let built_in = ["range", "roundrobin", "sticky", "cooperative-sticky"];
    if name.is_empty() || built_in.contains(&name) {
        let text = format!("an assignor of the application cannot be called {name:?}");
        return Err(Error::new(Code::INVALID_ARGUMENT, text));
    }
    if flags & !SAMSA_ASSIGNOR_COOPERATIVE != 0 {
        return Err(Error::new(Code::INVALID_ARGUMENT, format!("flags {flags:#x} are not known")));
    }
    Ok(())
}

/// The members of the group, as an array: writes its address to `*members` and returns how many there are.
///
/// Borrowed: valid until the callback returns. NULL: `round` NULL gives 0 and a NULL array; `members` may
/// be NULL. Thread: that of the callback. On error: 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_assignment_members(
    round: *const samsa_assignment,
    members: *mut *const samsa_assignment_member,
) -> usize {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let members = Out::new(members, ptr::null());
        read(round, 0, |round| {
            members.set(round.members.as_ptr());
            round.members.len()
        })
    }
}

/// The topics that the members subscribe to and that exist, as an array: writes its address to `*topics`
/// and returns how many there are.
///
/// Borrowed: valid until the callback returns. NULL: `round` NULL gives 0 and a NULL array; `topics` may
/// be NULL. Thread: that of the callback. On error: 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_assignment_topics(
    round: *const samsa_assignment,
    topics: *mut *const samsa_assignment_topic,
) -> usize {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let topics = Out::new(topics, ptr::null());
        read(round, 0, |round| {
            topics.set(round.topics.as_ptr());
            round.topics.len()
        })
    }
}

/// Gives a partition to the member at this index of samsa_assignment_members.
///
/// NULL: `round` and `topic` are required. Thread: that of the callback. Borrowed: the name is copied. On
/// error nothing is given: SAMSA_ERR_INVALID_ARGUMENT for a member or partition that there is not, or a
/// partition that was given before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_assignment_give(
    round: *mut samsa_assignment,
    member: usize,
    topic: *const c_char,
    partition: i64,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe { guard(err, round, |round| round.give(member, args::text("topic", topic)?, partition)) }
}

/// Has the member at this index told something besides its partitions: it finds it by
/// samsa_membership_user_data. NULL with length 0 tells it nothing.
///
/// NULL: `round` is required, `user_data` unless length is 0. Thread: that of the callback. Borrowed: the
/// bytes are copied. On error: SAMSA_ERR_INVALID_ARGUMENT for a member that there is not.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_assignment_tell(
    round: *mut samsa_assignment,
    member: usize,
    user_data: *const c_void,
    length: usize,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        guard(err, round, |round| {
            let data = args::bytes("user_data", user_data, length)?.map(Bytes::copy_from_slice);
            let id = round.id(member)?.clone();
            round.given().shares.entry(id).or_default().user_data = data;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::config::{samsa_config_free, samsa_config_new};
    use super::super::handle::look;
    use super::*;
    use crate::os::fork::tests::in_child;

    static RELEASED: AtomicUsize = AtomicUsize::new(0);

    unsafe extern "C" fn count(_: *mut c_void) {
        RELEASED.fetch_add(1, Ordering::SeqCst);
    }

    unsafe extern "C" fn assign(_: *mut samsa_assignment, _: *mut c_void) -> samsa_code {
        0
    }

    fn set(config: *mut samsa_config, call: samsa_assignor_callback) -> samsa_code {
        let (name, user, err) = (c"own".as_ptr(), ptr::null_mut(), ptr::null_mut());
        // SAFETY: a live configuration, and a release function that takes any pointer.
        unsafe { samsa_config_set_assignor_callback(config, name, 0, call, user, Some(count), err) }
    }

    #[test]
    fn a_call_that_fails_in_a_forked_child_releases_nothing_and_one_that_succeeds_releases_once() {
        let config = samsa_config_new();
        // SAFETY: it lives until the free.
        let handle = unsafe { look(config) }.unwrap().inner().unwrap();
        let forked = handle.edit(|_| {
            // The lock is held by a thread that the child does not have.
            in_child(|| {
                set(config, Some(assign)) == Code::FORKED.0 && RELEASED.load(Ordering::SeqCst) == 0
            })
        });
        assert!(forked.unwrap());
        assert_eq!(set(config, Some(assign)), 0);
        assert_eq!(RELEASED.load(Ordering::SeqCst), 0);
        assert_eq!(set(config, None), 0);
        assert_eq!(RELEASED.load(Ordering::SeqCst), 2, "what was replaced, and what nothing keeps");
        // SAFETY: the last use.
        unsafe { samsa_config_free(config) };
        assert_eq!(RELEASED.load(Ordering::SeqCst), 2);
    }
}
