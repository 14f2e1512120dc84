//! A KIP-848 group: the coordinator decides who reads what, members follow step by step.
//!
//! Three counters: the group's epoch moves with members, subscriptions and topics; the target assignment
//! is made for an epoch of the group; each member reaches that epoch when it has given up what goes. A
//! partition is another member's only after its owner has said that it let go, or is no member any more.

mod assign;
mod member;
mod reconcile;
mod subscribe;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

pub(in crate::embedded) use assign::Assignor;
pub(in crate::embedded) use member::{Member, Place};
pub(in crate::embedded) use subscribe::Catalogue;

use assign::{Asks, Counts};
use member::Progress;
use reconcile::{Aim, reconcile};

use crate::error::Code;

/// The epoch of a static member that is away (KIP-345).
pub(in crate::embedded) const AWAY: i32 = -2;

/// What a member says.
#[derive(Clone, Debug)]
pub(in crate::embedded) struct Beat {
    pub(in crate::embedded) member: String,
    pub(in crate::embedded) instance: Option<String>,
    pub(in crate::embedded) epoch: i32,
    pub(in crate::embedded) client_id: String,
    pub(in crate::embedded) host: String,
    // What follows is as before where there is none.
    pub(in crate::embedded) rack: Option<String>,
    pub(in crate::embedded) rebalance: Option<Duration>,
    pub(in crate::embedded) names: Option<BTreeSet<String>>,
    pub(in crate::embedded) regex: Option<String>,
    pub(in crate::embedded) assignor: Option<String>,
    pub(in crate::embedded) owned: Option<BTreeSet<Place>>,
}

/// What it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::embedded) struct Told {
    pub(in crate::embedded) member: String,
    pub(in crate::embedded) epoch: i32,
    /// What it may own; none if that has not changed.
    pub(in crate::embedded) assignment: Option<BTreeSet<Place>>,
}

/// How patient a group is.
#[derive(Clone, Copy, Debug)]
pub(in crate::embedded) struct Pace {
    /// How long a silent member stays one.
    pub(in crate::embedded) session: Duration,
    /// How soon after an assignment the next one may be made.
    pub(in crate::embedded) assignment: Duration,
}

/// Why not, with the words for it.
pub(in crate::embedded) type Refused = (Code, String);

/// The members of a group and what each is to have.
#[derive(Debug, Default)]
pub(in crate::embedded) struct Next {
    epoch: i32,
    target_epoch: i32,
    /// In the order in which they came.
    members: Vec<Member>,
    targets: BTreeMap<String, BTreeSet<Place>>,
    /// The subscribed topics as they were when the group last looked.
    topics: Counts,
    /// How long a silent member stays one.
    session: Duration,
    /// When the last assignment was made.
    assigned: Option<Instant>,
}

impl Next {
    pub(in crate::embedded) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(in crate::embedded) fn members(&self) -> &[Member] {
        &self.members
    }

    pub(in crate::embedded) fn epoch(&self) -> i32 {
        self.epoch
    }

    pub(in crate::embedded) fn target_epoch(&self) -> i32 {
        self.target_epoch
    }

    /// What a member is to have.
    pub(in crate::embedded) fn target(&self, member: &str) -> BTreeSet<Place> {
        self.targets.get(member).cloned().unwrap_or_default()
    }

    /// The state's name, as Kafka's tools know it.
    pub(in crate::embedded) fn state(&self) -> &'static str {
        let there = |m: &Member| m.progress == Progress::Stable && m.epoch == self.target_epoch;
        match self.members.as_slice() {
            [] => "Empty",
            _ if self.epoch > self.target_epoch => "Assigning",
            members if members.iter().all(there) => "Stable",
            _ => "Reconciling",
        }
    }

    /// The assignor that most members ask for.
    pub(in crate::embedded) fn assignor(&self) -> Assignor {
        let asked = || self.members.iter().filter_map(|m| Assignor::named(m.assignor.as_deref()?));
        let votes = |assignor| asked().filter(|asked| *asked == assignor).count();
        if votes(Assignor::Range) > votes(Assignor::Uniform) {
            Assignor::Range
        } else {
            Assignor::Uniform
        }
    }

    fn at(&self, id: &str) -> Option<usize> {
        self.members.iter().position(|member| member.id == id)
    }

    fn at_instance(&self, instance: &str) -> Option<usize> {
        self.members.iter().position(|member| member.instance.as_deref() == Some(instance))
    }

    /// A heartbeat, which also joins (epoch 0).
    pub(in crate::embedded) fn heartbeat(
        &mut self,
        beat: &Beat,
        catalogue: &Catalogue,
        pace: Pace,
        now: Instant,
    ) -> Result<Told, Refused> {
        self.session = pace.session;
        if let Some(regex) = &beat.regex {
            subscribe::check(regex)?;
        }
        let at = self.find(beat, now)?;
        let Some(member) = self.members.get_mut(at) else { return Err(unknown(&beat.member)) };
        let before = member.assigned.clone();
        let changed = update(member, beat);
        member.seen = now;
        self.look_at_topics(catalogue, changed);
        let rested = self.assigned.is_none_or(|before| now >= before + pace.assignment);
        if self.epoch > self.target_epoch && rested {
            self.assigned = Some(now);
            self.make_targets(catalogue);
        }
        self.advance(at, beat.owned.as_ref(), catalogue, now);
        let Some(member) = self.members.get(at) else { return Err(unknown(&beat.member)) };
        // Who says everything has lost an answer, and hears everything.
        let full = beat.epoch == 0
            || (beat.rebalance.is_some() && beat.owned.is_some() && beat.names.is_some());
        let tell = full || !before.keys().eq(member.assigned.keys());
        Ok(Told {
            member: member.id.clone(),
            epoch: member.epoch,
            assignment: tell.then(|| member.assigned.keys().copied().collect()),
        })
    }

    /// The member that speaks, taken in if it joins.
    fn find(&mut self, beat: &Beat, now: Instant) -> Result<usize, Refused> {
        let joins = beat.epoch == 0;
        let at = match &beat.instance {
            None => self.at(&beat.member),
            Some(instance) => {
                let at = self.at_instance(instance);
                let owner = at.and_then(|at| self.members.get(at));
                if let Some(owner) = owner.filter(|owner| joins && owner.epoch != AWAY) {
                    // Its own owner too, as brokers of 4.3 have it.
                    let text = format!("{instance} is still member {}", owner.id);
                    return Err((Code::UNRELEASED_INSTANCE_ID, text));
                }
                match owner.filter(|owner| owner.id != beat.member) {
                    Some(owner) if joins => {
                        let old = owner.id.clone();
                        self.replace(&old, &beat.member);
                    }
                    Some(owner) => {
                        let text = format!("{instance} is now member {}", owner.id);
                        return Err((Code::FENCED_INSTANCE_ID, text));
                    }
                    None => {}
                }
                at
            }
        };
        match at.and_then(|at| self.members.get(at)) {
            Some(member) => check_epoch(member, beat)?,
            None if joins => self.members.push(Member::new(beat.member.clone(), now)),
            None => return Err(unknown(&beat.member)),
        }
        Ok(at.unwrap_or(self.members.len() - 1))
    }

    /// A static member has come back under another id.
    fn replace(&mut self, old: &str, new: &str) {
        if let Some(target) = self.targets.remove(old) {
            self.targets.insert(new.to_owned(), target);
        }
        for member in self.members.iter_mut().filter(|member| member.id == old) {
            new.clone_into(&mut member.id);
            (member.epoch, member.previous) = (0, 0);
        }
    }

    /// Counts a new epoch if the subscriptions or their topics have changed.
    fn look_at_topics(&mut self, catalogue: &Catalogue, changed: bool) {
        let subscribed = self.members.iter().flat_map(|member| catalogue.subscribed(member));
        let topics: Counts = subscribed.collect();
        if changed || topics != self.topics {
            self.epoch += 1;
            self.topics = topics;
        }
    }

    fn make_targets(&mut self, catalogue: &Catalogue) {
        let asks = |member: &'_ Member| {
            let topics = catalogue.subscribed(member).into_iter().map(|(id, _)| id).collect();
            (topics, self.target(&member.id))
        };
        let asked: Vec<_> = self.members.iter().map(asks).collect();
        let asks = self.members.iter().zip(asked).map(|(member, (topics, had))| Asks {
            id: &member.id,
            instance: member.instance.as_deref(),
            topics,
            had,
        });
        let asks: Vec<Asks<'_>> = asks.collect();
        let targets = self.assignor().assign(&asks, &self.topics);
        let named = asks.iter().map(|ask| ask.id.to_owned()).zip(targets).collect();
        (self.targets, self.target_epoch) = (named, self.epoch);
    }

    fn advance(
        &mut self,
        at: usize,
        owned: Option<&BTreeSet<Place>>,
        catalogue: &Catalogue,
        now: Instant,
    ) {
        let Some(member) = self.members.get(at) else { return };
        let subscribed: Counts = catalogue.subscribed(member).into_iter().collect();
        let others = || self.members.iter().filter(|other| other.id != member.id);
        let aim = Aim {
            epoch: self.target_epoch,
            target: &self.target(&member.id),
            subscribes: &|place| subscribed.contains_key(&place.0),
            free: &|place| !others().any(|other| other.holds(place)),
        };
        let mut moved = member.clone();
        reconcile(&mut moved, owned, &aim);
        if moved.progress != Progress::Unrevoked {
            moved.revoke_by = None;
        } else if moved.revoke_by.is_none() || moved.revoking != member.revoking {
            moved.revoke_by = Some(now + moved.rebalance);
        }
        if let Some(member) = self.members.get_mut(at) {
            *member = moved;
        }
    }

    /// A member leaves: for good (−1), or a static one for a while (−2).
    pub(in crate::embedded) fn leave(&mut self, beat: &Beat) -> Result<Told, Refused> {
        let at = match &beat.instance {
            Some(instance) => self.at_instance(instance),
            None => self.at(&beat.member),
        };
        let member = at.and_then(|at| self.members.get_mut(at));
        let Some(member) = member else { return Err(unknown(&beat.member)) };
        if member.id != beat.member {
            let text = format!("the instance is now member {}", member.id);
            return Err((Code::FENCED_INSTANCE_ID, text));
        }
        if beat.epoch == AWAY {
            member.epoch = AWAY;
            member.revoking.clear();
            member.revoke_by = None;
        } else {
            self.expel(&beat.member);
        }
        Ok(Told { member: beat.member.clone(), epoch: beat.epoch, assignment: None })
    }

    /// Ends a membership; whether there was one.
    pub(in crate::embedded) fn expel(&mut self, id: &str) -> bool {
        let Some(at) = self.at(id) else { return false };
        self.members.remove(at);
        self.targets.remove(id);
        self.epoch += 1;
        true
    }

    /// Ends the memberships that are over at `now`.
    pub(in crate::embedded) fn tick(&mut self, now: Instant) -> bool {
        let over = self.members.iter().filter(|member| now >= member.due(self.session));
        let over: Vec<String> = over.map(|member| member.id.clone()).collect();
        for id in &over {
            self.expel(id);
        }
        !over.is_empty()
    }

    /// Whether a member may commit: in its epoch anything, in an older one what it has held since then
    /// (KIP-1251).
    pub(in crate::embedded) fn may_commit(
        &self,
        id: &str,
        epoch: i32,
        place: Option<&Place>,
    ) -> Result<(), Code> {
        let member = self.at(id).and_then(|at| self.members.get(at));
        let member = member.ok_or(Code::UNKNOWN_MEMBER_ID)?;
        let held = |place: &Place| member.assigned.get(place).or(member.revoking.get(place));
        let since = place.and_then(held).is_some_and(|since| *since <= epoch);
        match epoch {
            _ if epoch == member.epoch || (epoch < member.epoch && since) => Ok(()),
            _ => Err(Code::STALE_MEMBER_EPOCH),
        }
    }

    /// Whether a member may read what was committed.
    pub(in crate::embedded) fn may_fetch(&self, id: &str, epoch: i32) -> Result<(), Code> {
        self.may_commit(id, epoch, None)
    }
}

fn unknown(member: &str) -> Refused {
    (Code::UNKNOWN_MEMBER_ID, format!("member {member} is no member of the group"))
}

/// A member may be one answer behind, if it owns no more than it may; and it may always begin anew.
fn check_epoch(member: &Member, beat: &Beat) -> Result<(), Refused> {
    let within = || {
        let owned = beat.owned.as_ref();
        owned.is_some_and(|owned| owned.iter().all(|place| member.assigned.contains_key(place)))
    };
    let behind = beat.epoch == member.previous && beat.epoch < member.epoch && within();
    if beat.epoch == 0 || beat.epoch == member.epoch || behind {
        return Ok(());
    }
    let text = format!(
        "the member has epoch {}, the coordinator knows {}: give up all partitions and rejoin",
        beat.epoch, member.epoch
    );
    Err((Code::FENCED_MEMBER_EPOCH, text))
}

/// Takes what the beat says of the member; whether its subscription or assignor is another one.
fn update(member: &mut Member, beat: &Beat) -> bool {
    fn set<T: Clone + PartialEq>(old: &mut T, new: Option<&T>) -> bool {
        let changed = new.is_some_and(|new| new != old);
        if let Some(new) = new {
            old.clone_from(new);
        }
        changed
    }
    let is_new = member.client_id.is_empty() && member.epoch == 0;
    beat.client_id.clone_into(&mut member.client_id);
    beat.host.clone_into(&mut member.host);
    set(&mut member.rebalance, beat.rebalance.as_ref());
    if beat.instance.is_some() {
        member.instance.clone_from(&beat.instance);
    }
    if beat.rack.is_some() {
        member.rack.clone_from(&beat.rack);
    }
    let names = set(&mut member.names, beat.names.as_ref());
    let regex = set(&mut member.regex, beat.regex.as_ref());
    let assignor = match &beat.assignor {
        Some(_) if member.assignor != beat.assignor => {
            member.assignor.clone_from(&beat.assignor);
            true
        }
        _ => false,
    };
    is_new || names || regex || assignor
}

#[cfg(test)]
mod tests;
