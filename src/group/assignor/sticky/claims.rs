//! Which of the partitions that members say they own they do own.
//!
//! A member that missed a generation claims what others have got since: the newer claim wins, and of
//! two in the same generation neither (KIP-792).

use std::collections::{BTreeMap, BTreeSet};

use crate::group::assignor::{Member, Place, Topics};

/// The claims that count.
#[derive(Debug)]
pub(in crate::group::assignor) struct Claims<'a> {
    /// What each member owns, in the order in which it said so.
    owned: BTreeMap<&'a str, Vec<&'a Place>>,
    /// What several claimed in one generation: given to nobody, and to be given up first.
    pub(in crate::group::assignor) disputed: BTreeSet<&'a Place>,
}

impl<'a> Claims<'a> {
    pub(in crate::group::assignor) fn of(members: &'a [Member], topics: &Topics) -> Self {
        // For each partition the newest claim so far, and whether it is the only one that new.
        let mut newest: BTreeMap<&Place, (i32, &str)> = BTreeMap::new();
        let mut disputed: BTreeMap<&Place, i32> = BTreeMap::new();
        for member in members {
            let distinct: BTreeSet<&Place> = member.owned.iter().collect();
            for place in distinct {
                // What is no longer there, or no longer wanted, is nobody's.
                if topics.racks(place).is_none() || !member.topics.contains(&place.0) {
                    continue;
                }
                match newest.get(place) {
                    Some((generation, _)) if *generation > member.generation => {}
                    Some((generation, _)) if *generation == member.generation => {
                        disputed.insert(place, *generation);
                    }
                    _ => {
                        newest.insert(place, (member.generation, &member.id));
                    }
                }
            }
        }
        // A dispute of older claims is settled by a newer one.
        let settled = |place: &Place, generation: i32| {
            newest.get(place).is_some_and(|(newest, _)| *newest > generation)
        };
        let disputed: BTreeSet<&Place> = disputed
            .into_iter()
            .filter(|(place, generation)| !settled(place, *generation))
            .map(|(place, _)| place)
            .collect();
        let mut owned: BTreeMap<&str, Vec<&Place>> = BTreeMap::new();
        for member in members {
            let mut seen = BTreeSet::new();
            let mine = |place: &&Place| {
                newest.get(place).is_some_and(|(_, owner)| *owner == member.id)
                    && !disputed.contains(place)
            };
            let places: Vec<&Place> =
                member.owned.iter().filter(mine).filter(|place| seen.insert(*place)).collect();
            owned.insert(&member.id, places);
        }
        Self { owned, disputed }
    }

    /// What a member owns.
    pub(in crate::group::assignor) fn owned(&self, member: &str) -> &[&'a Place] {
        self.owned.get(member).map_or(&[], Vec::as_slice)
    }
}
