//! What is remembered of addresses, and what a new connection therefore begins with. Pure.
//!
//! The first request to an unknown address must tell three kinds of peers apart in one round trip:
//! Kafka 0.8 closes the connection on ApiVersions, 0.9 never answers it, everybody else does. So
//! ApiVersions and Metadata v0 leave together: 0.9 answers only the second.
//!
//! Why Metadata v0: it is the one harmless request that every broker from 0.8.2 to 4.3 answers. Fetch
//! and ListOffsets in their version 0 are gone since 4.0; FindCoordinator makes old brokers create
//! `__consumer_offsets`; 0.8 knows no Heartbeat. Its price: an empty list means all topics, which is a
//! large answer on a large cluster. Hence it is sent only where it can teach something:
//!
//! - not to an address that answered ApiVersions before: a plain ApiVersions is enough, and an address
//!   that disappoints is unknown again;
//! - not when any broker of the cluster is 4.0 or newer: those cannot share a cluster with 0.9;
//! - otherwise with the name of one topic that is known to exist, as soon as there is one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::release::Old;

/// How long an old broker's release is believed after its connection broke: it may have been upgraded.
/// Asking again costs a 0.9 broker an exception in its network thread, which may take requests of other
/// clients with it; so not at each reconnect.
const RECHECK: Duration = Duration::from_secs(60);

/// The version of ApiVersions to begin with. 4 would tell no more than 3 does, and cost brokers from
/// 2.4 to 3.8 a second round trip.
pub(super) const API_VERSIONS: i16 = 3;

/// What is known of an address from earlier connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    /// It answers ApiVersions, at this version or below.
    Modern(i16),
    /// It does not know ApiVersions.
    Old(Old, Instant),
}

/// What to begin a connection with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// ApiVersions and, in the same write, Metadata v0 for this topic or all topics.
    Discover(Option<Arc<str>>),
    /// ApiVersions of this version alone.
    Ask(i16),
    /// Metadata v0, then ApiVersions v0: after a close without a byte. A 0.8 broker answers the first
    /// and closes on the second; a peer that resets connections on an ApiVersions version too new for
    /// it answers both (invariant 2.10).
    MetadataFirst,
    /// Nothing: it is known what this broker speaks.
    Nothing(Old),
}

/// What the cluster as a whole has taught.
#[derive(Clone, Debug, Default)]
pub(super) struct Surroundings {
    /// Some broker is 4.0 or newer.
    pub(super) no_old_brokers: bool,
    /// A topic that exists.
    pub(super) topic: Option<Arc<str>>,
}

/// What to begin a connection to an address with.
pub(super) fn opening(memory: Option<Memory>, around: &Surroundings) -> Opening {
    match memory {
        Some(Memory::Modern(version)) => Opening::Ask(version),
        Some(Memory::Old(old, _)) => Opening::Nothing(old),
        None if around.no_old_brokers => Opening::Ask(API_VERSIONS),
        None => Opening::Discover(around.topic.clone()),
    }
}

/// What stays remembered when an established connection broke. `answered`: the broker ever sent a
/// frame on it.
pub(super) fn after_break(memory: Option<Memory>, answered: bool, now: Instant) -> Option<Memory> {
    memory.filter(|memory| match memory {
        Memory::Modern(_) => true,
        // Without a single answer the table was probably wrong.
        Memory::Old(_, learned) => answered && now.saturating_duration_since(*learned) < RECHECK,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_v0_goes_only_to_addresses_that_may_be_old() {
        let new_cluster = Surroundings { no_old_brokers: true, topic: None };
        let with_topic = Surroundings { no_old_brokers: false, topic: Some(Arc::from("t")) };
        let unknown = Surroundings::default();
        let now = Instant::now();
        let cases = [
            (None, &unknown, Opening::Discover(None)),
            (None, &with_topic, Opening::Discover(Some(Arc::from("t")))),
            (None, &new_cluster, Opening::Ask(3)),
            (Some(Memory::Modern(3)), &unknown, Opening::Ask(3)),
            (Some(Memory::Modern(0)), &new_cluster, Opening::Ask(0)),
            (Some(Memory::Old(Old::V0_9, now)), &unknown, Opening::Nothing(Old::V0_9)),
        ];
        for (memory, around, expected) in cases {
            assert_eq!(opening(memory, around), expected, "{memory:?} {around:?}");
        }
    }

    #[test]
    fn rule_2_4_an_old_broker_is_asked_again_after_a_break_but_not_at_each() {
        let now = Instant::now();
        let old = Some(Memory::Old(Old::V0_9, now));
        assert_eq!(after_break(old, true, now + RECHECK / 2), old);
        assert_eq!(after_break(old, true, now + RECHECK), None);
        assert_eq!(after_break(old, false, now), None, "it never answered: the table was wrong");
        let modern = Some(Memory::Modern(3));
        assert_eq!(after_break(modern, false, now + RECHECK), modern, "it is asked anyway");
    }
}
