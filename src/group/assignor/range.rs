//! `range`: of every topic by itself, neighbouring partitions to each member, so that topics with as
//! many partitions end up alike: whoever reads partition 3 of one reads partition 3 of the other.
//!
//! Where racks matter, members first get what has a replica in their rack, within their number, and
//! topics that ended up alike without racks still do (KIP-881).

use std::collections::BTreeMap;

use super::{Member, Place, Shares, Topics, in_turn, no_shares};

/// Gives each member a range of every topic that it subscribes. The first ones get one more each
/// where the partitions cannot be divided evenly.
#[must_use]
pub fn range(members: &[Member], topics: &Topics) -> Shares {
    let mut shares = no_shares(members);
    let turns = in_turn(members);
    let mut open: Vec<Open<'_>> =
        topics.0.keys().filter_map(|topic| Open::new(topic, &turns, topics)).collect();
    let racks_matter = open.iter().any(|topic| topic.racks_matter);
    if racks_matter {
        match_racks(&mut open, topics, &mut shares);
    }
    for topic in &mut open {
        topic.deal(&mut shares, |_, _| true);
    }
    if racks_matter {
        shares.values_mut().for_each(|share| share.sort());
    }
    shares
}

/// A topic that is being shared out.
struct Open<'a> {
    name: &'a String,
    readers: Vec<&'a Member>,
    /// How many partitions it has.
    count: usize,
    /// How many each reader gets at least, and how many readers still get one more.
    each: usize,
    extras: usize,
    left: Vec<Place>,
    given: Vec<usize>,
    racks_matter: bool,
}

impl<'a> Open<'a> {
    fn new(name: &'a String, turns: &[&'a Member], topics: &Topics) -> Option<Self> {
        let readers: Vec<&Member> =
            turns.iter().copied().filter(|member| member.topics.contains(name)).collect();
        let left: Vec<Place> = topics.places(name).collect();
        let count = left.len();
        let racks = readers.iter().map(|member| member.rack.as_deref());
        Some(Self {
            racks_matter: topics.racks_matter(racks, std::iter::once(name)),
            each: count.checked_div(readers.len())?,
            extras: count.checked_rem(readers.len())?,
            given: vec![0; readers.len()],
            name,
            readers,
            count,
            left,
        })
    }

    /// How many more a reader may get.
    fn room(&self, reader: usize) -> usize {
        let most = self.each + usize::from(self.extras > 0);
        most.saturating_sub(self.given.get(reader).copied().unwrap_or(most))
    }

    fn give(&mut self, reader: usize, places: Vec<Place>, shares: &mut Shares) {
        let Some((member, given)) = self.readers.get(reader).zip(self.given.get_mut(reader)) else {
            return;
        };
        *given += places.len();
        if *given > self.each {
            self.extras -= 1;
        }
        self.left.retain(|place| !places.contains(place));
        shares.entry(member.id.clone()).or_default().extend(places);
    }

    /// Gives every reader in turn what it may get of what is left.
    fn deal(&mut self, shares: &mut Shares, may: impl Fn(&Member, &Place) -> bool) {
        for reader in 0..self.readers.len() {
            let Some(member) = self.readers.get(reader).copied() else { return };
            let fitting = self.left.iter().filter(|place| may(member, place));
            let places: Vec<Place> = fitting.take(self.room(reader)).cloned().collect();
            if !places.is_empty() {
                self.give(reader, places, shares);
            }
        }
    }
}

/// Who has no rack reads anything; the others what has a replica in theirs.
fn in_rack(topics: &Topics, member: &Member, place: &Place) -> bool {
    member
        .rack
        .as_ref()
        .is_none_or(|rack| topics.racks(place).is_some_and(|racks| racks.contains(rack)))
}

/// Gives out what can be read in the rack of its reader.
fn match_racks(open: &mut [Open<'_>], topics: &Topics, shares: &mut Shares) {
    // Topics with the same readers and as many partitions go together.
    let mut alike: BTreeMap<(Vec<&String>, usize), Vec<usize>> = BTreeMap::new();
    for (index, topic) in open.iter().enumerate() {
        let readers = topic.readers.iter().map(|member| &member.id).collect();
        alike.entry((readers, topic.count)).or_default().push(index);
    }
    let alike: Vec<Vec<usize>> = alike.into_values().collect();
    for together in alike {
        match together[..] {
            [alone] => {
                if let Some(topic) = open.get_mut(alone).filter(|topic| topic.racks_matter) {
                    topic.deal(shares, |member, place| in_rack(topics, member, place));
                }
            }
            _ => match_together(open, &together, topics, shares),
        }
    }
}

/// Gives each number's partitions of all these topics to one reader who has all of them in its rack,
/// if there is one.
fn match_together(open: &mut [Open<'_>], together: &[usize], topics: &Topics, shares: &mut Shares) {
    let Some(first) = together.first().and_then(|first| open.get(*first)) else { return };
    let (count, readers) = (first.count, first.readers.clone());
    for number in (0..).take(count) {
        let fits = |(reader, member): &(usize, &&Member)| {
            together.iter().filter_map(|index| open.get(*index)).all(|topic| {
                let place = (topic.name.clone(), number);
                topic.room(*reader) > 0 && in_rack(topics, member, &place)
            })
        };
        let found = readers.iter().enumerate().find(fits).map(|(reader, _)| reader);
        let Some(reader) = found else { continue };
        for index in together {
            if let Some(topic) = open.get_mut(*index) {
                let place = (topic.name.clone(), number);
                topic.give(reader, vec![place], shares);
            }
        }
    }
}
