//! Members that subscribe different topics: even is what nobody can improve.
//!
//! Everybody keeps what they own, and the rest goes to whoever has least of those who may have it.
//! Then, as long as some chain of moves (this one gives a partition to that one, who gives another
//! one on) takes one from a member and ends at a member with at least two fewer, the shortest such
//! chain is made. Each makes the sum of the squares smaller, so that it ends; and where there is none,
//! no other division is more even. What is moved in the end without need is moved back, by chains that
//! change nobody's number, or pass on who has one more.

mod refine;

use std::collections::{BTreeMap, VecDeque};

use super::Claims;
use crate::group::assignor::{Member, Place, Shares, Topics};

/// Up to how many members needless moves are looked for: the search grows with their third power.
const MOST_REFINED: usize = 200;

pub(super) fn share_out(members: &[Member], topics: &Topics, claims: &Claims<'_>) -> Shares {
    let mut division = Division::of(members, topics, claims);
    division.deal();
    while division.improve() {}
    if members.len() <= MOST_REFINED {
        while let Some(cycle) = refine::cheaper(&division) {
            cycle.into_iter().for_each(|(place, to)| division.give(place, to));
        }
    }
    division.into_shares(members)
}

struct Division<'a> {
    places: Vec<Place>,
    /// By topic, the members that may have it.
    readers: BTreeMap<&'a str, Vec<usize>>,
    /// By partition, the member that has it.
    owner: Vec<Option<usize>>,
    /// By partition, the member that had it before.
    before: Vec<Option<usize>>,
    /// By member, its partitions.
    held: Vec<Vec<usize>>,
}

impl<'a> Division<'a> {
    fn of(members: &'a [Member], topics: &Topics, claims: &Claims<'_>) -> Self {
        let mut readers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, member) in members.iter().enumerate() {
            for topic in &member.topics {
                readers.entry(topic).or_default().push(index);
            }
        }
        let places: Vec<Place> = readers.keys().flat_map(|topic| topics.places(topic)).collect();
        let mut owner = vec![None; places.len()];
        let mut held = vec![Vec::new(); members.len()];
        for (index, member) in members.iter().enumerate() {
            for place in claims.owned(&member.id) {
                let Ok(at) = places.binary_search(place) else { continue };
                if let (Some(owner), Some(held)) = (owner.get_mut(at), held.get_mut(index)) {
                    *owner = Some(index);
                    held.push(at);
                }
            }
        }
        Self { places, readers, before: owner.clone(), owner, held }
    }

    fn readers_of(&self, place: usize) -> &[usize] {
        let topic = self.places.get(place).map(|(topic, _)| topic.as_str());
        topic.and_then(|topic| self.readers.get(topic)).map_or(&[], Vec::as_slice)
    }

    fn load(&self, member: usize) -> usize {
        self.held.get(member).map_or(0, Vec::len)
    }

    fn give(&mut self, place: usize, to: usize) {
        let from = self.owner.get(place).copied().flatten();
        if let Some(held) = from.and_then(|from| self.held.get_mut(from)) {
            held.retain(|other| *other != place);
        }
        if let (Some(owner), Some(held)) = (self.owner.get_mut(place), self.held.get_mut(to)) {
            *owner = Some(to);
            held.push(place);
        }
    }

    /// Gives out what nobody has: first what the fewest may have.
    fn deal(&mut self) {
        let mut free: Vec<usize> =
            (0..self.places.len()).filter(|at| self.owner.get(*at) == Some(&None)).collect();
        free.sort_by_key(|at| (self.readers_of(*at).len(), *at));
        for place in free {
            let least = self.readers_of(place).iter().copied().min_by_key(|r| (self.load(*r), *r));
            if let Some(reader) = least {
                self.give(place, reader);
            }
        }
    }

    /// Makes one chain of moves, if there is one that helps.
    fn improve(&mut self) -> bool {
        let mut givers: Vec<usize> = (0..self.held.len()).collect();
        givers.sort_by_key(|member| std::cmp::Reverse(self.load(*member)));
        for giver in givers {
            if let Some(chain) = self.chain(giver) {
                // From its end: nobody gives away what they are about to get.
                for (place, to) in chain.into_iter().rev() {
                    self.give(place, to);
                }
                return true;
            }
        }
        false
    }

    /// The shortest chain from a member to one with at least two partitions fewer: what goes where.
    fn chain(&self, giver: usize) -> Option<Vec<(usize, usize)>> {
        let enough = self.load(giver).checked_sub(2)?;
        // Who was reached, by which partition of whom.
        let mut reached: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
        let mut open = VecDeque::from([giver]);
        while let Some(member) = open.pop_front() {
            let mut held: Vec<usize> = self.held.get(member).cloned().unwrap_or_default();
            // What was moved already, or goes back to who had it, costs nothing more.
            held.sort_by_key(|place| (self.before.get(*place) == Some(&Some(member)), *place));
            for place in held {
                for reader in self.readers_of(place).iter().copied() {
                    if reader == giver || reached.contains_key(&reader) {
                        continue;
                    }
                    reached.insert(reader, (member, place));
                    if self.load(reader) <= enough {
                        return Some(trace(&reached, giver, reader));
                    }
                    open.push_back(reader);
                }
            }
        }
        None
    }

    fn into_shares(self, members: &[Member]) -> Shares {
        let share = |(member, mut held): (&Member, Vec<usize>)| {
            held.sort_unstable();
            let places = held.into_iter().filter_map(|at| self.places.get(at).cloned());
            (member.id.clone(), places.collect())
        };
        members.iter().zip(self.held).map(share).collect()
    }
}

fn trace(
    reached: &BTreeMap<usize, (usize, usize)>,
    giver: usize,
    end: usize,
) -> Vec<(usize, usize)> {
    let (mut chain, mut to) = (Vec::new(), end);
    while let Some((from, place)) = reached.get(&to).filter(|_| to != giver) {
        chain.push((*place, to));
        to = *from;
    }
    chain.reverse();
    chain
}
