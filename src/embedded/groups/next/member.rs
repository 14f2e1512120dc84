//! What a KIP-848 group keeps of a member.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::protocol::modern::Uuid;

/// A partition by its topic's id.
pub(in crate::embedded) type Place = (Uuid, i32);

/// Partitions, each with the epoch in which its member got it (KIP-1251).
pub(in crate::embedded) type Held = BTreeMap<Place, i32>;

/// How far a member is on the way to its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::embedded) enum Progress {
    /// It has what it is to have.
    Stable,
    /// It has to give partitions up and say so.
    Unrevoked,
    /// It waits for partitions that others still hold.
    Unreleased,
}

/// One member.
#[derive(Clone, Debug)]
pub(in crate::embedded) struct Member {
    pub(in crate::embedded) id: String,
    pub(in crate::embedded) instance: Option<String>,
    pub(in crate::embedded) rack: Option<String>,
    pub(in crate::embedded) client_id: String,
    pub(in crate::embedded) host: String,
    pub(super) rebalance: Duration,
    pub(in crate::embedded) names: BTreeSet<String>,
    /// Empty: none.
    pub(in crate::embedded) regex: String,
    pub(super) assignor: Option<String>,
    /// 0 before the first answer, −2 while a static member is away.
    pub(in crate::embedded) epoch: i32,
    pub(super) previous: i32,
    pub(super) progress: Progress,
    pub(in crate::embedded) assigned: Held,
    pub(super) revoking: Held,
    /// When it was last heard of.
    pub(super) seen: Instant,
    /// Until when it has to give up what it revokes.
    pub(super) revoke_by: Option<Instant>,
}

impl Member {
    pub(super) fn new(id: String, now: Instant) -> Self {
        Self {
            id,
            instance: None,
            rack: None,
            client_id: String::new(),
            host: String::new(),
            rebalance: Duration::ZERO,
            names: BTreeSet::new(),
            regex: String::new(),
            assignor: None,
            epoch: 0,
            previous: 0,
            progress: Progress::Stable,
            assigned: Held::new(),
            revoking: Held::new(),
            seen: now,
            revoke_by: None,
        }
    }

    /// Whether nobody else may have the partition yet.
    pub(super) fn holds(&self, place: &Place) -> bool {
        self.assigned.contains_key(place) || self.revoking.contains_key(place)
    }

    /// When it is dead or overdue, if nothing is heard of it.
    pub(super) fn due(&self, session: Duration) -> Instant {
        let session = self.seen + session;
        self.revoke_by.map_or(session, |revoke_by| revoke_by.min(session))
    }

    pub(super) fn enter(&mut self, progress: Progress, epoch: i32, assigned: Held, revoking: Held) {
        self.progress = progress;
        (self.previous, self.epoch) = (self.epoch, epoch);
        (self.assigned, self.revoking) = (assigned, revoking);
    }
}
