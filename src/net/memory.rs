//! What is remembered of addresses, and what a new connection therefore begins with. Pure.
//!
//! Kafka 0.8 closes the connection on ApiVersions. 0.9 never answers it, and worse: the exception it
//! throws leaves its network thread's loop, and requests of other clients that were read in the same
//! round are lost with it (measured). So a peer that may be that old is not asked for its versions at
//! all before it has shown that it reads them.
//!
//! The question that tells is **Metadata version 1 with an empty list**. 0.8 and 0.9 ignore the version
//! and answer in the layout of version 0; every later broker, up to 4.3, answers in that of version 1.
//! So the old ones are known after one round trip, by an answer, never by a time-out. Why this request:
//!
//! - every release answers it; Fetch and ListOffsets that old are gone since 4.0, FindCoordinator makes
//!   old brokers create `__consumer_offsets`, 0.8 knows no Heartbeat;
//! - in version 1 an empty list means no topics: from a modern broker, however large its cluster, the
//!   answer is short (in version 0 it would be every topic), and nothing is created.
//!
//! It costs a modern broker's first connection one round trip more than a plain ApiVersions. Hence it is
//! sent only where it can teach something: not to an address that answered ApiVersions before, and not
//! once any broker of the cluster is 4.0 or newer, since those cannot share a cluster with 0.9.

use super::release::Old;

/// The version of ApiVersions to begin with. 4 would tell no more than 3 does, and cost brokers from
/// 2.4 to 3.8 a second round trip.
pub(super) const API_VERSIONS: i16 = 3;

/// What is known of an address from earlier connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    /// It answers ApiVersions, at this version or below.
    Modern(i16),
    /// It does not know ApiVersions.
    Old(Old),
}

/// What to begin a connection with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// Metadata v1; if that shows a modern broker, ApiVersions of this version.
    Discover(i16),
    /// ApiVersions of this version.
    Ask(i16),
    /// Nothing: it is known what this broker speaks.
    Nothing(Old),
}

/// What to begin a connection to an address with. `no_old_brokers`: some broker of the cluster is 4.0
/// or newer.
pub(super) fn opening(memory: Option<Memory>, no_old_brokers: bool) -> Opening {
    match memory {
        Some(Memory::Modern(version)) => Opening::Ask(version),
        Some(Memory::Old(old)) => Opening::Nothing(old),
        None if no_old_brokers => Opening::Ask(API_VERSIONS),
        None => Opening::Discover(API_VERSIONS),
    }
}

/// What stays remembered when an established connection broke: an old broker may come back as a newer
/// one (invariant 2.4); a modern one is asked for its versions on each connection anyway.
pub(super) fn after_break(memory: Memory) -> Option<Memory> {
    match memory {
        Memory::Modern(_) => Some(memory),
        Memory::Old(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_v1_goes_only_to_addresses_that_may_be_old() {
        let cases = [
            (None, false, Opening::Discover(3)),
            (None, true, Opening::Ask(3)),
            (Some(Memory::Modern(3)), false, Opening::Ask(3)),
            (Some(Memory::Modern(0)), true, Opening::Ask(0)),
            (Some(Memory::Old(Old::V0_9)), false, Opening::Nothing(Old::V0_9)),
        ];
        for (memory, no_old_brokers, expected) in cases {
            assert_eq!(opening(memory, no_old_brokers), expected, "{memory:?}");
        }
    }

    #[test]
    fn rule_2_4_an_old_broker_is_discovered_anew_after_a_break() {
        assert_eq!(after_break(Memory::Old(Old::V0_9)), None);
        assert_eq!(after_break(Memory::Modern(3)), Some(Memory::Modern(3)));
    }
}
