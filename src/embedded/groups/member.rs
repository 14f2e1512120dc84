//! What a classic group keeps of a member.

use std::time::{Duration, Instant};

use bytes::Bytes;

/// How a request names a member: by the id that the coordinator gave it and, if it is static, by the
/// name that its user gave it (KIP-345).
#[derive(Clone, Copy, Debug)]
pub(in crate::embedded) struct Identity<'a> {
    pub(in crate::embedded) member: &'a str,
    pub(in crate::embedded) instance: Option<&'a str>,
}

/// One member.
#[derive(Clone, Debug)]
pub(in crate::embedded) struct Member {
    pub(in crate::embedded) id: String,
    pub(in crate::embedded) instance: Option<String>,
    pub(in crate::embedded) client_id: String,
    pub(in crate::embedded) host: String,
    pub(super) session: Duration,
    pub(super) rebalance: Duration,
    /// The assignors that it knows, each with its subscription, the dearest first.
    pub(in crate::embedded) protocols: Vec<(String, Bytes)>,
    pub(in crate::embedded) assignment: Bytes,
    /// When it was last heard of.
    pub(super) seen: Instant,
    /// Counts its joins, so that a join that was repeated ends the one before.
    pub(super) attempt: u64,
    /// It joined the rebalance under way and waits for the others.
    pub(super) joined: bool,
    /// It asked for its share of this generation.
    pub(super) synced: bool,
}

impl Member {
    /// Whether its session is over. Who waits for the group to decide is alive.
    pub(super) fn is_dead(&self, now: Instant, waits: bool) -> bool {
        !waits && now >= self.seen + self.session
    }

    /// What it said for an assignor; nothing if it does not know it.
    pub(in crate::embedded) fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|(name, _)| name == protocol);
        found.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }
}
