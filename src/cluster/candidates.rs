//! Which brokers to ask for metadata and the like, and in which order: pure.

use std::time::Instant;

/// What the choice depends on, of one broker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// It came from discovery, not from metadata.
    pub(super) seed: bool,
    pub(super) connected: bool,
    /// Set when attempts to connect failed and the next is not due yet.
    pub(super) backing_off_until: Option<Instant>,
    pub(super) in_flight: usize,
}

/// The order in which to ask, as indices. A refresh is bound to no broker: the one with the least to
/// do among those connected comes first, and the others stand by (invariant 1.14).
///
/// Seeds count only when no learned broker is connected or may be connected to now, or when `failing`
/// says that refreshes have failed for longer than the trigger time; learned brokers come first even
/// then (invariant 1.16).
pub(super) fn order(candidates: &[Candidate], failing: bool) -> Vec<usize> {
    let learned_usable =
        candidates.iter().any(|c| !c.seed && (c.connected || c.backing_off_until.is_none()));
    let with_seeds = failing || !learned_usable;
    let mut order: Vec<usize> = candidates
        .iter()
        .enumerate()
        .filter(|(_, candidate)| with_seeds || !candidate.seed)
        .map(|(index, _)| index)
        .collect();
    order.sort_by_key(|index| {
        candidates.get(*index).map(|c| {
            let rest = !c.connected && c.backing_off_until.is_some();
            (rest, c.backing_off_until.filter(|_| rest), c.seed, !c.connected, c.in_flight)
        })
    });
    order
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn up(in_flight: usize) -> Candidate {
        Candidate { seed: false, connected: true, backing_off_until: None, in_flight }
    }

    fn new() -> Candidate {
        Candidate { connected: false, ..up(0) }
    }

    fn down(ms: u64) -> Candidate {
        let until = Instant::now() + Duration::from_millis(ms);
        Candidate { backing_off_until: Some(until), ..new() }
    }

    fn seed() -> Candidate {
        Candidate { seed: true, ..new() }
    }

    #[test]
    fn rule_1_14_the_least_busy_connected_broker_is_asked_and_the_others_stand_by() {
        assert_eq!(order(&[new(), up(3), up(1), down(9), seed()], false), [2, 1, 0, 3]);
    }

    #[test]
    fn rule_1_16_seeds_count_only_when_no_learned_broker_is_connected_or_connectable() {
        assert_eq!(order(&[new(), seed()], false), [0]);
        assert_eq!(order(&[down(5), seed()], false), [1, 0]);
        assert_eq!(order(&[down(9), down(5), seed()], false), [2, 1, 0], "the one due first");
        assert_eq!(order(&[seed(), seed()], false), [0, 1]);
    }

    #[test]
    fn rule_1_16_after_the_trigger_time_seeds_count_and_learned_brokers_are_preferred() {
        assert_eq!(order(&[seed(), new(), up(7)], true), [2, 1, 0]);
    }
}
