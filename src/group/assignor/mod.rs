//! Who gets which partitions: pure functions of the members and of the cluster's topics.
//!
//! The leader of a classic group runs one of them, and members of other programs must agree with what
//! it says, so that `range`, `roundrobin` and, where all members subscribe alike, `sticky` give exactly
//! what Java's classes of the same name give.

mod cooperative;
mod range;
mod round_robin;
mod sticky;
mod topics;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

pub use cooperative::cooperative;
pub use range::range;
pub use round_robin::round_robin;
pub use sticky::sticky;
pub use topics::{Partition, Topics};

/// A partition of a topic, in the order of names and numbers.
pub type Place = (String, i32);

/// What a member asks for, and what it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// The id that the coordinator gave it.
    pub id: String,
    /// Its static name (KIP-345), which outlives its ids.
    pub instance: Option<String>,
    /// Where it runs (KIP-881).
    pub rack: Option<String>,
    /// The topics that it subscribes.
    pub topics: BTreeSet<String>,
    /// What it says that it owns.
    pub owned: Vec<Place>,
    /// The generation in which it got that; −1 if it does not know.
    pub generation: i32,
}

/// What each member gets, by its id. Every member is in it.
pub type Shares = BTreeMap<String, Vec<Place>>;

/// The order in which members come to their turn: static ones first, by their names.
fn turn(a: &Member, b: &Member) -> Ordering {
    match (&a.instance, &b.instance) {
        (Some(a), Some(b)) => a.cmp(b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.id.cmp(&b.id),
    }
}

/// The members in that order.
fn in_turn(members: &[Member]) -> Vec<&Member> {
    let mut members: Vec<&Member> = members.iter().collect();
    members.sort_by(|a, b| turn(a, b));
    members
}

/// Nothing for anybody.
fn no_shares(members: &[Member]) -> Shares {
    members.iter().map(|member| (member.id.clone(), Vec::new())).collect()
}
