//! Members that all subscribe the same topics: everybody gets the same number, some one more.

use std::collections::{BTreeMap, BTreeSet};

use super::Claims;
use crate::group::assignor::{Member, Place, Shares, Topics, no_shares};

pub(super) fn share_out(members: &[Member], topics: &Topics, claims: &Claims<'_>) -> Shares {
    let Some(first) = members.first() else { return Shares::new() };
    let mut all: Vec<Place> = first.topics.iter().flat_map(|topic| topics.places(topic)).collect();
    let racks = Racks::of(members, topics, &first.topics);
    if let Some(racks) = &racks {
        // What the fewest can read nearby comes first.
        all.sort_by_key(|place| racks.readers(place));
    }
    let far = |member: &Member, place: &Place| {
        racks.as_ref().is_some_and(|racks| racks.is_far(&member.id, place))
    };
    let mut dealing = Dealing::new(members, all.len());
    for member in in_java_order(members) {
        let owned = claims.owned(&member.id).iter().copied();
        let near: Vec<&Place> = owned.filter(|place| !far(member, place)).collect();
        dealing.keep(member, &near);
    }
    dealing.short.sort_unstable();
    dealing.exact.sort_unstable();
    let kept: BTreeSet<Place> = dealing.shares.values().flatten().cloned().collect();
    all.retain(|place| !kept.contains(place));
    if let Some(racks) = &racks {
        all = dealing.deal_near(all, racks);
    }
    let mut next = 0;
    for place in all {
        next = dealing.deal(place, next);
    }
    dealing.shares
}

/// Who is in which rack, where that matters (KIP-881).
struct Racks<'a> {
    topics: &'a Topics,
    of: BTreeMap<&'a str, &'a str>,
}

impl<'a> Racks<'a> {
    fn of(
        members: &'a [Member],
        topics: &'a Topics,
        subscribed: &BTreeSet<String>,
    ) -> Option<Self> {
        let racks = members.iter().map(|member| member.rack.as_deref());
        let of = |member: &'a Member| Some((member.id.as_str(), member.rack.as_deref()?));
        topics
            .racks_matter(racks, subscribed.iter())
            .then(|| Self { topics, of: members.iter().filter_map(of).collect() })
    }

    fn near(&self, member: &str, place: &Place) -> bool {
        let racks = self.topics.racks(place);
        self.of.get(member).is_some_and(|rack| racks.is_some_and(|racks| racks.contains(*rack)))
    }

    fn is_far(&self, member: &str, place: &Place) -> bool {
        self.of.contains_key(member) && !self.near(member, place)
    }

    /// How many members have a replica in their rack.
    fn readers(&self, place: &Place) -> usize {
        self.of.keys().filter(|member| self.near(member, place)).count()
    }
}

struct Dealing<'a> {
    shares: Shares,
    /// How many each member gets at least, and how many members get one more.
    least: usize,
    extras: usize,
    /// How many have one more by now.
    full: usize,
    /// Who has less than the least.
    short: Vec<&'a str>,
    /// Who has the least, and may get one more.
    exact: Vec<&'a str>,
}

impl<'a> Dealing<'a> {
    fn new(members: &[Member], count: usize) -> Self {
        Self {
            shares: no_shares(members),
            least: count.checked_div(members.len()).unwrap_or(0),
            extras: count.checked_rem(members.len()).unwrap_or(0),
            full: 0,
            short: Vec::new(),
            exact: Vec::new(),
        }
    }

    /// Leaves a member as much of what it owns as fits.
    fn keep(&mut self, member: &'a Member, owned: &[&Place]) {
        let most = self.least + usize::from(self.extras > 0);
        let kept = match owned.len() {
            few if few < self.least => {
                self.short.push(&member.id);
                few
            }
            many if many >= most && self.full < self.extras => {
                self.full += 1;
                if self.full == self.extras {
                    // Nobody else may have one more.
                    self.exact.clear();
                }
                most
            }
            _ => {
                if self.full < self.extras {
                    self.exact.push(&member.id);
                }
                self.least
            }
        };
        let kept = owned.iter().take(kept).map(|place| (*place).clone());
        self.shares.entry(member.id.clone()).or_default().extend(kept);
    }

    /// Gives every partition to somebody who has a replica of it in their rack, in turn; gives those
    /// for which there is nobody who may have more.
    fn deal_near(&mut self, places: Vec<Place>, racks: &Racks<'_>) -> Vec<Place> {
        let (mut far, mut next) = (Vec::new(), 0);
        for place in places {
            let order = (next..self.short.len()).chain(0..next.min(self.short.len()));
            let near = |at: &usize| self.short.get(*at).is_some_and(|m| racks.near(m, &place));
            if let Some(at) = order.into_iter().find(near) {
                next = self.give_short(place, at);
            } else if let Some(at) = self.exact.iter().position(|m| racks.near(m, &place)) {
                self.give_exact(place, at);
            } else {
                far.push(place);
            }
        }
        far
    }

    /// Gives a partition to somebody who is short of it; gives who is next.
    fn give_short(&mut self, place: Place, at: usize) -> usize {
        let Some(member) = self.short.get(at).copied() else { return 0 };
        let share = self.shares.entry(member.to_owned()).or_default();
        share.push(place);
        if share.len() < self.least {
            return at + 1;
        }
        self.short.remove(at);
        if self.full < self.extras {
            self.exact.push(member);
        }
        if self.short.is_empty() { 0 } else { at }
    }

    /// Gives a partition to somebody who then has one more than the least.
    fn give_exact(&mut self, place: Place, at: usize) {
        let member = self.exact.remove(at);
        self.shares.entry(member.to_owned()).or_default().push(place);
        self.full += 1;
        if self.full == self.extras {
            // Nobody else may have one more.
            self.exact.clear();
        }
    }

    /// Gives a partition to the next one who is short of it, from `next` on, else to the next one who
    /// may have one more; gives who is next.
    fn deal(&mut self, place: Place, next: usize) -> usize {
        if !self.short.is_empty() {
            return self.give_short(place, if next < self.short.len() { next } else { 0 });
        }
        if !self.exact.is_empty() {
            self.give_exact(place, 0);
        }
        0
    }
}

/// The members in the order in which Java looks at them, which is that of its hash tables: it decides
/// who keeps one more when too many have.
fn in_java_order(members: &[Member]) -> Vec<&Member> {
    let mut table = 16_usize;
    while members.len() * 4 > table * 3 {
        table *= 2;
    }
    let place = |id: &str| {
        let mut hash = 0_u32;
        for unit in id.encode_utf16() {
            hash = hash.wrapping_mul(31).wrapping_add(u32::from(unit));
        }
        (hash ^ (hash >> 16)) as usize & (table - 1)
    };
    let mut ordered: Vec<&Member> = members.iter().collect();
    ordered.sort_by_key(|member| place(&member.id));
    ordered
}
