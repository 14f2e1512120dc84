//! The assignors of the coordinator.

use std::collections::{BTreeMap, BTreeSet};

use super::member::Place;
use crate::protocol::modern::Uuid;

/// A member, as far as assignors care.
#[derive(Clone, Debug)]
pub(super) struct Asks<'a> {
    pub(super) id: &'a str,
    pub(super) instance: Option<&'a str>,
    /// The topics that it subscribes and that there are.
    pub(super) topics: BTreeSet<Uuid>,
    /// What it was to have until now.
    pub(super) had: BTreeSet<Place>,
}

/// How many partitions the subscribed topics have.
pub(super) type Counts = BTreeMap<Uuid, i32>;

/// What each member is to have, in the order of the members asked.
pub(super) type Targets = Vec<BTreeSet<Place>>;

/// An assignor by the name that members ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::embedded) enum Assignor {
    /// As many for each, with few moves.
    Uniform,
    /// Of every topic neighbouring partitions.
    Range,
}

impl Assignor {
    /// The assignor of this name.
    pub(in crate::embedded) fn named(name: &str) -> Option<Self> {
        [Self::Uniform, Self::Range].into_iter().find(|assignor| assignor.name() == name)
    }

    /// Its name.
    pub(in crate::embedded) fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    pub(super) fn assign(self, members: &[Asks<'_>], counts: &Counts) -> Targets {
        match self {
            Self::Range => range(members, counts),
            Self::Uniform => {
                let alike = members.windows(2).all(|pair| match pair {
                    [a, b] => a.topics == b.topics,
                    _ => true,
                });
                if alike { alike_uniform(members, counts) } else { uniform(members, counts) }
            }
        }
    }
}

fn places(counts: &Counts, topic: Uuid) -> impl Iterator<Item = Place> {
    (0..counts.get(&topic).copied().unwrap_or(0)).map(move |index| (topic, index))
}

/// What a member had and may keep.
fn kept(member: &Asks<'_>, counts: &Counts) -> BTreeSet<Place> {
    let there = |&&(topic, index): &&Place| {
        member.topics.contains(&topic) && counts.get(&topic).is_some_and(|count| index < *count)
    };
    member.had.iter().filter(there).copied().collect()
}

/// Static members first, by their names; then the others by their ids.
fn range(members: &[Asks<'_>], counts: &Counts) -> Targets {
    let mut targets = vec![BTreeSet::new(); members.len()];
    let mut turns: Vec<(usize, &Asks<'_>)> = members.iter().enumerate().collect();
    turns.sort_by_key(|(_, m)| (m.instance.is_none(), m.instance, m.id));
    for topic in counts.keys() {
        let readers: Vec<usize> =
            turns.iter().filter(|(_, m)| m.topics.contains(topic)).map(|(at, _)| *at).collect();
        let all: Vec<Place> = places(counts, *topic).collect();
        let mut rest = all.as_slice();
        for (nth, reader) in readers.iter().enumerate() {
            // As even as can be, the first ones with one more.
            let share = rest.len().div_ceil(readers.len() - nth);
            let (own, others) = rest.split_at(share);
            rest = others;
            if let Some(target) = targets.get_mut(*reader) {
                target.extend(own);
            }
        }
    }
    targets
}

/// All subscribe the same: everybody keeps up to its quota, and what is left fills the others.
fn alike_uniform(members: &[Asks<'_>], counts: &Counts) -> Targets {
    let Some(first) = members.first() else { return Vec::new() };
    let mut left: BTreeSet<Place> =
        first.topics.iter().flat_map(|topic| places(counts, *topic)).collect();
    let (each, mut extras) = (left.len() / members.len(), left.len() % members.len());
    let mut targets: Targets = members.iter().map(|member| kept(member, counts)).collect();
    // Who has most gets the extra ones: so fewest move.
    let mut turns: Vec<usize> = (0..members.len()).collect();
    turns.sort_by_key(|at| std::cmp::Reverse(targets.get(*at).map_or(0, BTreeSet::len)));
    let mut quotas = Vec::new();
    for at in turns {
        let quota = each + usize::from(extras > 0);
        extras = extras.saturating_sub(1);
        let Some(target) = targets.get_mut(at) else { continue };
        while target.len() > quota {
            target.pop_last();
        }
        target.iter().for_each(|place| {
            left.remove(place);
        });
        quotas.push((at, quota));
    }
    for (at, quota) in quotas {
        let Some(target) = targets.get_mut(at) else { continue };
        while target.len() < quota {
            let Some(place) = left.pop_first() else { break };
            target.insert(place);
        }
    }
    targets
}

/// Subscriptions differ: what nobody has goes to the reader with least, then single partitions move
/// from who has most, as long as that evens something out.
fn uniform(members: &[Asks<'_>], counts: &Counts) -> Targets {
    let mut targets: Targets = members.iter().map(|member| kept(member, counts)).collect();
    let taken: BTreeSet<Place> = targets.iter().flatten().copied().collect();
    for topic in counts.keys() {
        for place in places(counts, *topic).filter(|place| !taken.contains(place)) {
            let least = least_loaded(members, &targets, *topic);
            if let Some(target) = least.and_then(|at| targets.get_mut(at)) {
                target.insert(place);
            }
        }
    }
    while let Some((from, place, to)) = better_place(members, &targets) {
        targets.get_mut(from).map(|target| target.remove(&place));
        targets.get_mut(to).map(|target| target.insert(place));
    }
    targets
}

fn least_loaded(members: &[Asks<'_>], targets: &Targets, topic: Uuid) -> Option<usize> {
    let readers = (0..).zip(members).filter(|(_, member)| member.topics.contains(&topic));
    readers.map(|(at, _)| at).min_by_key(|at| targets.get(*at).map(BTreeSet::len))
}

/// A partition whose owner has at least two more than another of its readers, the fullest owner first.
/// Every such move lowers the sum of squares: they come to an end.
fn better_place(members: &[Asks<'_>], targets: &Targets) -> Option<(usize, Place, usize)> {
    let mut owners: Vec<usize> = (0..targets.len()).collect();
    let load = |at: usize| targets.get(at).map_or(0, BTreeSet::len);
    owners.sort_by_key(|at| std::cmp::Reverse(load(*at)));
    for owner in owners {
        let mut last = None;
        for place in
            targets.get(owner)?.iter().filter(|place| last.replace(place.0) != Some(place.0))
        {
            let least = least_loaded(members, targets, place.0)?;
            if load(owner) >= load(least) + 2 {
                return Some((owner, *place, least));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Uuid = Uuid([1; 16]);
    const U: Uuid = Uuid([2; 16]);

    fn asks<'a>(id: &'a str, topics: &[Uuid], had: &BTreeSet<Place>) -> Asks<'a> {
        Asks { id, instance: None, topics: topics.iter().copied().collect(), had: had.clone() }
    }

    fn sizes(targets: &Targets) -> Vec<usize> {
        targets.iter().map(BTreeSet::len).collect()
    }

    #[test]
    fn uniform_gives_as_many_to_each_and_moves_few() {
        let counts = Counts::from([(T, 7), (U, 5)]);
        let none = BTreeSet::new();
        let one = Assignor::Uniform.assign(&[asks("a", &[T, U], &none)], &counts);
        assert_eq!(sizes(&one), [12]);
        let two = [asks("a", &[T, U], &one[0]), asks("b", &[T, U], &none)];
        let two = Assignor::Uniform.assign(&two, &counts);
        assert_eq!(sizes(&two), [6, 6]);
        let members = ["a", "b", "c", "d", "e"];
        let had = [&two[0], &two[1], &none, &none, &none];
        let five: Vec<_> =
            members.iter().zip(had).map(|(id, had)| asks(id, &[T, U], had)).collect();
        let five = Assignor::Uniform.assign(&five, &counts);
        assert_eq!(sizes(&five), [3, 3, 2, 2, 2]);
        assert!(five[0].is_subset(&two[0]) && five[1].is_subset(&two[1]));
        let all: BTreeSet<Place> = five.iter().flatten().copied().collect();
        assert_eq!(all.len(), 12);
    }

    #[test]
    fn uniform_evens_out_what_differing_subscriptions_allow() {
        let counts = Counts::from([(T, 6), (U, 2)]);
        let all: BTreeSet<Place> = places(&counts, T).chain(places(&counts, U)).collect();
        let none = BTreeSet::new();
        let members = [asks("a", &[T, U], &all), asks("b", &[U], &none), asks("c", &[T], &none)];
        let targets = Assignor::Uniform.assign(&members, &counts);
        assert_eq!(sizes(&targets), [3, 2, 3]);
        assert!(targets[1].iter().all(|place| place.0 == U));
        assert!(targets[2].iter().all(|place| place.0 == T));
    }

    #[test]
    fn range_gives_neighbours_and_the_first_one_more() {
        let counts = Counts::from([(T, 5), (U, 2)]);
        let none = BTreeSet::new();
        let mut members = [asks("a", &[T, U], &none), asks("b", &[T, U], &none)];
        members[1].instance = Some("z");
        let targets = Assignor::Range.assign(&members, &counts);
        assert_eq!(targets[1], BTreeSet::from([(T, 0), (T, 1), (T, 2), (U, 0)]), "static first");
        assert_eq!(targets[0], BTreeSet::from([(T, 3), (T, 4), (U, 1)]));
    }

    #[test]
    fn what_is_gone_is_given_to_nobody() {
        let counts = Counts::from([(T, 1)]);
        let had = BTreeSet::from([(T, 0), (T, 1), (U, 0)]);
        for topics in [&[T][..], &[T, U]] {
            let targets = Assignor::Uniform.assign(&[asks("a", topics, &had)], &counts);
            assert_eq!(targets, [BTreeSet::from([(T, 0)])]);
        }
        assert_eq!(Assignor::Uniform.assign(&[], &counts), Targets::new());
    }
}
