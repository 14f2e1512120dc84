//! Which questions to brokers are due.

use std::collections::BTreeMap;
use std::time::Instant;

use super::partition::Phase;
use super::state::{Slot, State};

/// Partitions by the leader to be asked, and when to look again.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// Where to start, by what the group committed; that is no leader's affair.
    pub(super) committed: Vec<Slot>,
    /// Where to start, or go on.
    pub(super) lookups: BTreeMap<i32, Vec<Slot>>,
    /// Whether what was read is still there.
    pub(super) validations: BTreeMap<i32, Vec<Slot>>,
    /// When the next question is due.
    pub(super) next: Option<Instant>,
}

impl State {
    /// The questions that are due: marks them as asked. They go by leader, for those of one end when
    /// its last partition was answered, so that partitions of a broker in trouble must not share them
    /// with others; without a leader there is nobody to ask.
    pub(super) fn due(&mut self, now: Instant) -> Due {
        let mut due = Due::default();
        for (index, partition) in self.partitions.iter_mut().enumerate() {
            if partition.fenced {
                continue;
            }
            let (asked, questions) = match &mut partition.phase {
                Phase::Committed { asked } => {
                    let waits = *asked;
                    match partition.retry.due(now) {
                        _ if waits => {}
                        None => {
                            *asked = true;
                            due.committed.push(Slot { index, era: partition.era });
                        }
                        Some(later) => due.next = Some(due.next.map_or(later, |n| n.min(later))),
                    }
                    continue;
                }
                Phase::Lookup { asked, .. } => (asked, &mut due.lookups),
                Phase::Validate { asked } => (asked, &mut due.validations),
                Phase::Fetch | Phase::Adrift | Phase::Halted => continue,
            };
            if *asked || partition.leader < 0 {
                continue;
            }
            match partition.retry.due(now) {
                None => {
                    *asked = true;
                    let slot = Slot { index, era: partition.era };
                    questions.entry(partition.leader).or_default().push(slot);
                }
                Some(later) => due.next = Some(due.next.map_or(later, |next| next.min(later))),
            }
        }
        due
    }
}
