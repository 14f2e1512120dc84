//! `samsa_consumer` in a group: subscribing, hearing of partitions, who the member is.

use std::ffi::{CString, c_char, c_void};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::args::{self, Out};
use super::callback::{Registered, inside};
use super::config::{callback_of, samsa_config, samsa_release_callback, set_callback};
use super::consumer::samsa_consumer;
use super::error::{c_string, samsa_error};
use super::event::{EventHandle, samsa_event};
use super::guard::{free, guard, poll_like, read};
use super::handle::{self, Lent, Opaque};
use super::position::{give_list, samsa_positions};
use super::samsa_code;
use crate::config::Config;
use crate::consumer::{Callbacks, Event, Name, Position};
use crate::error::{Code, Error, Result};
use crate::group::Identity;

/// Tells that the group gave partitions to the consumer (SAMSA_EVENT_ASSIGNED), takes them back
/// (SAMSA_EVENT_REVOKED), or has them lost to it (SAMSA_EVENT_LOST). It runs on the thread that called
/// samsa_consumer_poll, samsa_consumer_next, samsa_consumer_commit, samsa_consumer_unsubscribe or
/// samsa_consumer_close, without a lock of the library. When it returns, what was assigned is read and
/// what was revoked is given up. It may call everything, samsa_consumer_seek and samsa_consumer_commit
/// too, but those of the consumer that run callbacks (SAMSA_ERR_IN_CALLBACK) and its free.
///
/// Borrowed: consumer and event are lent until it returns.
pub type samsa_rebalance_callback = Option<
    unsafe extern "C" fn(
        consumer: *mut samsa_consumer,
        event: *const samsa_event,
        user: *mut c_void,
    ),
>;

/// Tells how a commit ended (SAMSA_EVENT_COMMITTED) that nobody waited for, or not long enough; each
/// position has its own code. Where it runs and what it may call: as samsa_rebalance_callback.
///
/// Borrowed: consumer and event are lent until it returns.
pub type samsa_commit_callback = Option<
    unsafe extern "C" fn(
        consumer: *mut samsa_consumer,
        event: *const samsa_event,
        user: *mut c_void,
    ),
>;

/// A rebalance callback, as configurations carry it; none takes one back that the cluster has.
#[derive(Debug)]
pub struct RebalanceCall(samsa_rebalance_callback);

/// A commit callback, as configurations carry it.
#[derive(Debug)]
pub struct CommitCall(samsa_commit_callback);

/// The callbacks of one consumer.
#[derive(Debug, Default)]
pub struct Hooks {
    rebalance: Option<Arc<Registered<RebalanceCall>>>,
    commit: Option<Arc<Registered<CommitCall>>>,
}

impl Hooks {
    /// What the consumer's own configuration sets, or else the cluster's.
    pub(super) fn of(overrides: Option<&Config>, cluster: &Config) -> Self {
        let rebalance = overrides.and_then(callback_of::<RebalanceCall>);
        let commit = overrides.and_then(callback_of::<CommitCall>);
        Self {
            rebalance: rebalance.or_else(|| callback_of::<RebalanceCall>(cluster)),
            commit: commit.or_else(|| callback_of::<CommitCall>(cluster)),
        }
    }

    /// Which of them there are.
    pub(super) fn callbacks(&self) -> Callbacks {
        Callbacks {
            rebalance: self.rebalance.as_ref().is_some_and(|set| set.call.0.is_some()),
            commit: self.commit.as_ref().is_some_and(|set| set.call.0.is_some()),
        }
    }

    /// Runs the callback of the event's kind for the handle behind `consumer`.
    pub(super) fn tell(&self, consumer: *mut samsa_consumer, event: Event) {
        let rebalance = self.rebalance.as_ref().and_then(|set| Some((set.call.0?, set.user())));
        let commit = self.commit.as_ref().and_then(|set| Some((set.call.0?, set.user())));
        let set = if matches!(event, Event::Committed(_)) { commit } else { rebalance };
        let Some((call, user)) = set else { return };
        let lent = Lent::<samsa_event>::new(EventHandle::from(event));
        inside(consumer, || {
            // SAFETY: the application's function, with the pointer it gave; what it is lent lives
            // meanwhile.
            unsafe { call(consumer, lent.as_ptr(), user) }
        });
    }
}

/// Has a callback hear of the partitions of a group, for consumers that are made with this configuration;
/// it comes before the events of samsa.events. Without either the library answers itself: what is
/// assigned is read, and with enable.auto.commit=true what was processed is committed before partitions
/// are given up. call NULL takes the callback back, also that of the cluster for a consumer with this
/// configuration. A samsa_cluster_close closes consumers without it.
///
/// Who frees: release(user), if not NULL, is called once after the last use; when this call fails, it
/// is not. NULL: config is required. Thread: any. Borrowed: nothing. On error: nothing is changed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_config_set_rebalance_callback(
    config: *mut samsa_config,
    call: samsa_rebalance_callback,
    user: *mut c_void,
    release: samsa_release_callback,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe { set_callback(err, config, RebalanceCall(call), user, release) }
}

/// Has a callback hear of the outcomes of commits that nobody waited for; it comes before the events of
/// samsa.events. Without either a failure is an error of the next poll. call NULL takes it back.
///
/// Who frees: release(user), if not NULL, is called once after the last use; when this call fails, it
/// is not. NULL: config is required. Thread: any. Borrowed: nothing. On error: nothing is changed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_config_set_commit_callback(
    config: *mut samsa_config,
    call: samsa_commit_callback,
    user: *mut c_void,
    release: samsa_release_callback,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe { set_callback(err, config, CommitCall(call), user, release) }
}

/// Subscribes to topics as a member of the group that the property group.id names: its members share
/// their partitions. A further call changes what is wished for. Each of the n texts is the name of a
/// topic; or ^ and a regular expression: every topic whose whole name it matches, also one that comes
/// later (within metadata.max.age.ms; where the coordinator looks, which it does for a single expression
/// with group.protocol=consumer, when it looks); or ! and a regular expression: topics that no expression
/// brings in (a blacklist; with nothing but these, every other topic is read). Only notes it and does not
/// wait: partitions come while the program polls.
///
/// A topic that was named and does not exist, or was deleted, is told once by a call that polls, as
/// SAMSA_ERR_UNKNOWN_TOPIC_OR_PARTITION, when brokers have said so for 5 s (of one that was there: for
/// longer); it is read as soon as it is made.
///
/// A member must go on polling as long as something waits to be read: max.poll.interval.ms.
///
/// Who frees: nobody; the texts are copied. NULL: consumer, topics and each text are required. Thread:
/// any. On error: nothing is changed; SAMSA_ERR_INVALID_GROUP_ID without group.id,
/// SAMSA_ERR_INVALID_STATE while partitions are assigned by samsa_consumer_assign,
/// SAMSA_ERR_INVALID_REGULAR_EXPRESSION, SAMSA_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_consumer_subscribe(
    consumer: *mut samsa_consumer,
    topics: *const *const c_char,
    n: usize,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        guard(err, consumer, |held| {
            let texts = args::array("topics", topics, n)?;
            let texts = texts.iter().map(|text| args::text("topics", *text));
            held.consumer.subscribe(&texts.collect::<Result<Vec<_>>>()?)
        })
    }
}

/// Ends the subscription: the rebalance callback, if there is one, hears of all partitions as revoked and
/// may commit; with enable.auto.commit=true what was handed out and freed is committed, but not what
/// another thread got that lives and did not poll again; the group is left. No event is made. Does nothing
/// without a subscription. A subscription made meanwhile, in the callback or by another thread, begins when
/// this one has ended. `timeout_ms` bounds the commit; 0 = do not wait for it, -1 = as long as a request may
/// take (request.timeout.ms). A wake-up does not end it.
///
/// Who frees: nobody. NULL: consumer is required. Thread: any; one of the calls that run callbacks. On
/// error the subscription has ended all the same: SAMSA_ERR_TIMED_OUT, or why the commit failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_consumer_unsubscribe(
    consumer: *mut samsa_consumer,
    timeout_ms: i32,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        poll_like(err, consumer, |held| {
            let mut tell = |event| held.hooks.tell(consumer, event);
            held.consumer.unsubscribe(timeout_ms, Some(&mut tell))
        })
    }
}

/// What was subscribed to, in the words of samsa_consumer_subscribe: a list whose topics are the texts,
/// with partition -1. Empty without a subscription.
///
/// Who frees: the caller, `*topics` by samsa_positions_free. NULL: both are required. Thread: any. On
/// error: `*topics` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_consumer_subscription(
    consumer: *mut samsa_consumer,
    topics: *mut *mut samsa_positions,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let topics = Out::new(topics, ptr::null_mut());
        guard(err, consumer, |held| {
            let topics = topics.required("topics")?;
            let texts = held.consumer.subscription()?;
            let entry = |text: &Arc<str>| Ok(Position::new(Name::new(text)?, -1));
            topics.set(give_list(texts.iter().map(entry).collect::<Result<Vec<_>>>()?));
            Ok(())
        })
    }
}

/// Gives the program time: for `ms` milliseconds from now it need not poll, whatever
/// max.poll.interval.ms says, and an event of partitions that are assigned or revoked can be held so long.
/// For work that takes long. What the group itself grants is not changed: a coordinator waits for members
/// that give up partitions as long as max.poll.interval.ms.
///
/// Who frees: nobody. NULL: consumer is required. Thread: any. On error: SAMSA_ERR_INVALID_ARGUMENT for
/// a negative time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_consumer_extend(
    consumer: *mut samsa_consumer,
    ms: i32,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        guard(err, consumer, |held| {
            let ms = u64::try_from(ms).map_err(|_| {
                Error::new(Code::INVALID_ARGUMENT, format!("ms is {ms}: give milliseconds"))
            })?;
            held.consumer.extend(Duration::from_millis(ms))
        })
    }
}

/// Asks for a rebalance of the group, where a member may ask (classic groups from Kafka 2.5 on). Only
/// notes it.
///
/// Who frees: nobody. NULL: consumer is required. Thread: any. On error: SAMSA_ERR_INVALID_STATE without
/// a subscription.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_consumer_enforce_rebalance(
    consumer: *mut samsa_consumer,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe { guard(err, consumer, |held| held.consumer.enforce_rebalance()) }
}

/// Says something of this member to the group's assignor callback (samsa_config_set_assignor_callback),
/// which finds it as user_data of its samsa_assignment_member: what it can take, where it runs, what it has
/// cached. It goes with each join from now on, until it is said anew; to have it heard at once, call
/// samsa_consumer_enforce_rebalance. Say it before samsa_consumer_subscribe for the first join to carry it,
/// or while partitions are revoked for the next one. NULL with length 0 says nothing; a pointer with
/// length 0 says something of no bytes. The coordinator keeps it with the group: stay far below 1 MB for
/// all members together.
///
/// Who frees: nobody; the bytes are copied. NULL: consumer is required, `user_data` unless length is 0.
/// Thread: any. On error nothing is changed: SAMSA_ERR_INVALID_STATE for a consumer without an assignor
/// callback, SAMSA_ERR_INVALID_ARGUMENT for more than INT32_MAX bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_consumer_set_user_data(
    consumer: *mut samsa_consumer,
    user_data: *const c_void,
    length: usize,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        guard(err, consumer, |held| {
            if i32::try_from(length).is_err() {
                let text =
                    format!("user_data has {length} bytes: Kafka takes no more than 2^31 - 1");
                return Err(Error::new(Code::INVALID_ARGUMENT, text));
            }
            let data = args::bytes("user_data", user_data, length)?;
            held.consumer.set_user_data(data.map(Bytes::copy_from_slice))
        })
    }
}

/// Whether nothing waits to be read: no message, no event, no error. True for NULL and after close.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_consumer_empty(consumer: *const samsa_consumer) -> bool {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(consumer, true, |held| held.consumer.is_empty().unwrap_or(true)) }
}

/// Who a consumer was in its group at one moment; never changes. Any thread may read it.
pub struct samsa_membership {
    _private: [u8; 0],
}

/// What a membership handle holds.
#[derive(Debug)]
pub struct MembershipHandle {
    group: CString,
    member: CString,
    instance: Option<CString>,
    generation: i32,
    user_data: Option<Bytes>,
}

impl From<Identity> for MembershipHandle {
    fn from(identity: Identity) -> Self {
        Self {
            group: c_string(&identity.group),
            member: c_string(&identity.member),
            instance: identity.instance.as_deref().map(c_string),
            generation: identity.generation,
            user_data: identity.user_data,
        }
    }
}

impl Opaque for samsa_membership {
    type Inner = MembershipHandle;
    const NAME: &'static str = "samsa_membership";
    const BOUND: bool = false;
}

/// Who the consumer is in its group now. Condition: SAMSA_NOTHING while it is no member.
///
/// Who frees: the caller, `*membership` by samsa_membership_free. NULL: both are required. Thread: any.
/// On error: `*membership` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_consumer_membership(
    consumer: *mut samsa_consumer,
    membership: *mut *mut samsa_membership,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let membership = Out::new(membership, ptr::null_mut());
        guard(err, consumer, |held| {
            let membership = membership.required("membership")?;
            let identity = held.consumer.identity()?.ok_or(Error::bare(Code::NOTHING))?;
            membership.set(handle::give::<samsa_membership>(identity.into()));
            Ok(())
        })
    }
}

/// The name of the group.
///
/// Borrowed: valid until the membership is freed. NULL gives NULL. Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_membership_group(
    membership: *const samsa_membership,
) -> *const c_char {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(membership, ptr::null(), |m| m.group.as_ptr()) }
}

/// The id that the group knows the member by.
///
/// Borrowed: valid until the membership is freed. NULL gives NULL. Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_membership_member(
    membership: *const samsa_membership,
) -> *const c_char {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(membership, ptr::null(), |m| m.member.as_ptr()) }
}

/// The group.instance.id of a static member; NULL for others.
///
/// Borrowed: valid until the membership is freed. NULL gives NULL. Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_membership_instance(
    membership: *const samsa_membership,
) -> *const c_char {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        read(membership, ptr::null(), |m| m.instance.as_ref().map_or(ptr::null(), |i| i.as_ptr()))
    }
}

/// The generation (classic) or member epoch (KIP-848); -1 where there is none.
///
/// NULL gives -1. Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_membership_generation(membership: *const samsa_membership) -> i32 {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(membership, -1, |m| m.generation) }
}

/// What the assignor callback of the group's leader told this member (samsa_assignment_tell) with its newest
/// assignment: writes the address to `*user_data` and returns how many bytes it has. The address is NULL if
/// it was told nothing; something of no bytes has an address. When it changes, an assignment is announced
/// (SAMSA_EVENT_ASSIGNED, or the rebalance callback), if need be one of no partitions: look then.
///
/// Borrowed: valid until the membership is freed. NULL: `membership` NULL gives 0 and a NULL address;
/// `user_data` may be NULL. Thread: any. On error: 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_membership_user_data(
    membership: *const samsa_membership,
    user_data: *mut *const c_void,
) -> usize {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let user_data = Out::new(user_data, ptr::null());
        read(membership, 0, |membership| {
            let Some(data) = &membership.user_data else { return 0 };
            user_data.set(data.as_ptr().cast());
            data.len()
        })
    }
}

/// Frees a membership. NULL is fine. Never waits. Thread: any, as the last use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_membership_free(membership: *mut samsa_membership) {
    // SAFETY: the caller keeps the header's rules.
    unsafe { free(membership) }
}
