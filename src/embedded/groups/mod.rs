//! The group coordinator: members, generations and offsets of groups, in memory.
//!
//! Nothing here knows the wire, waits, or reads a clock: `classic` is the state machine of classic
//! groups, `member` what it keeps of each member, `next` that of groups by KIP-848, `offsets` what groups
//! committed. `serve` turns requests into calls and waits for what is not decided yet.

mod classic;
mod member;
mod next;
mod offsets;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Notify;

pub(super) use classic::{Classic, Join, Joined, Phase, Sync, Synced};
pub(super) use member::{Identity, Member};
pub(super) use next::{
    Assignor, Beat, Catalogue, Member as NextMember, Next, Pace, Place, Refused, Told,
};
pub(super) use offsets::{Committed, Offsets};

use crate::error::Code;

/// One group: its members and its offsets.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) classic: Classic,
    /// There once a member has joined by KIP-848; gone again when a classic one joins.
    pub(super) next: Option<Next>,
    pub(super) offsets: Offsets,
    waiters: Vec<Arc<Notify>>,
}

impl Group {
    /// The group as a classic one. With members by KIP-848 it is none, and stays it: a live change of
    /// protocol is not played.
    pub(super) fn as_classic(&mut self) -> Result<&mut Classic, Code> {
        if self.next.as_ref().is_some_and(|next| !next.is_empty()) {
            return Err(Code::INCONSISTENT_GROUP_PROTOCOL);
        }
        self.next = None;
        Ok(&mut self.classic)
    }

    /// The group as one by KIP-848, which a member may make of an empty one.
    pub(super) fn as_next(&mut self, joins: bool) -> Result<&mut Next, Code> {
        if joins && self.classic.is_empty() {
            return Ok(self.next.get_or_insert_default());
        }
        self.next.as_mut().ok_or(Code::GROUP_ID_NOT_FOUND)
    }

    /// Whether it has no members.
    pub(super) fn is_empty(&self) -> bool {
        self.classic.is_empty() && self.next.as_ref().is_none_or(Next::is_empty)
    }

    /// The state's name, as Kafka's tools know it.
    pub(super) fn state(&self) -> &'static str {
        self.next.as_ref().map_or_else(|| self.classic.phase().name(), Next::state)
    }

    /// Does what is due by time.
    fn tick(&mut self, now: Instant) {
        let next = self.next.as_mut().is_some_and(|next| next.tick(now));
        if self.classic.tick(now) || next {
            self.wake();
        }
    }

    /// Wakes every request that waits for this group: something was decided.
    pub(super) fn wake(&mut self) {
        self.waiters.drain(..).for_each(|waiter| waiter.notify_one());
    }

    /// Wakes this one with the next decision.
    pub(super) fn register(&mut self, waiter: &Arc<Notify>) {
        if !self.waiters.iter().any(|known| Arc::ptr_eq(known, waiter)) {
            self.waiters.push(Arc::clone(waiter));
        }
    }
}

/// All groups of the cluster, and who coordinates them.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: BTreeMap<String, Group>,
    /// Groups whose coordinator a test chose; the others are coordinated by the living broker with
    /// the lowest id.
    coordinators: BTreeMap<String, i32>,
    last_member: u64,
}

impl Groups {
    /// A group, with what time has decided meanwhile.
    pub(super) fn group(&mut self, id: &str, now: Instant) -> Option<&mut Group> {
        let group = self.groups.get_mut(id)?;
        group.tick(now);
        Some(group)
    }

    /// A group, made if it is not there.
    pub(super) fn group_or_new(&mut self, id: &str, now: Instant) -> &mut Group {
        if !self.groups.contains_key(id) {
            self.groups.insert(id.to_owned(), Group::default());
        }
        let group = self.groups.entry(id.to_owned()).or_default();
        group.tick(now);
        group
    }

    /// A member id that no one has.
    pub(super) fn fresh_member_id(&mut self, client_id: &str) -> String {
        self.last_member += 1;
        format!("{client_id}-{:08x}", self.last_member)
    }

    /// The groups' names, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        self.groups.keys().cloned().collect()
    }

    /// Forgets a group without members.
    pub(super) fn delete(&mut self, id: &str, now: Instant) -> Result<(), Code> {
        let group = self.group(id, now).ok_or(Code::GROUP_ID_NOT_FOUND)?;
        if !group.is_empty() {
            return Err(Code::NON_EMPTY_GROUP);
        }
        self.groups.remove(id);
        Ok(())
    }

    /// The broker that a test chose for a group.
    pub(super) fn coordinator(&self, id: &str) -> Option<i32> {
        self.coordinators.get(id).copied()
    }

    pub(super) fn set_coordinator(&mut self, id: &str, broker: i32) {
        self.coordinators.insert(id.to_owned(), broker);
        if let Some(group) = self.groups.get_mut(id) {
            group.wake();
        }
    }
}
