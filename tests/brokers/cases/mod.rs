//! The cases: what must hold on real brokers.

mod harness;

use crate::ground::Ground;
use crate::harness::Need;

/// One thing that must hold on every release that has what it needs.
pub struct Case {
    /// A sentence, in snake case.
    pub name: &'static str,
    /// What a release must have for the case to run there.
    pub needs: &'static [Need],
    /// 0: the release's shared broker serves; else a cluster of so many brokers of its own.
    pub own_cluster: u32,
    /// The case; it panics when it does not hold.
    pub run: fn(&Ground),
}

/// Every case, in the order in which they run on each release.
pub const ALL: &[Case] = &[Case {
    name: "a_killed_broker_serves_again_on_the_same_port",
    needs: &[],
    own_cluster: 1,
    run: harness::a_killed_broker_serves_again_on_the_same_port,
}];
