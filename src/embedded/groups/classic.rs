//! A classic group: joins, generations, shares (KIP-62, KIP-345, KIP-394, KIP-814).
//!
//! ```text
//!           join              all joined, or too late
//!   empty ───────► preparing ─────────────────────────► completing
//!     ▲               ▲  ▲                                  │ the leader's sync
//!     │ all left      │  └──────── stable ◄─────────────────┘
//!     └───────────────┘     join, leave, a member dies
//! ```
//!
//! A request that has to wait for others is told so; it looks again when something was decided.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::member::{Identity, Member};
use crate::error::Code;

/// Where a group stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::embedded) enum Phase {
    /// It has no members.
    #[default]
    Empty,
    /// Members join; who has not by then is out.
    Preparing { until: Instant },
    /// The leader makes the shares; who has not asked for its by then is out.
    Completing { until: Instant },
    /// Everybody has a share.
    Stable,
}

impl Phase {
    /// The state's name, as Kafka's tools know it.
    pub(in crate::embedded) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Preparing { .. } => "PreparingRebalance",
            Self::Completing { .. } => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// A request to join.
#[derive(Clone, Debug)]
pub(in crate::embedded) struct Join {
    /// Empty for who has no id yet.
    pub(in crate::embedded) member: String,
    pub(in crate::embedded) instance: Option<String>,
    /// The id for who has none.
    pub(in crate::embedded) fresh: String,
    /// A new member has to come back with its id before it counts (KIP-394).
    pub(in crate::embedded) id_first: bool,
    pub(in crate::embedded) client_id: String,
    pub(in crate::embedded) host: String,
    pub(in crate::embedded) session: Duration,
    pub(in crate::embedded) rebalance: Duration,
    pub(in crate::embedded) protocol_type: String,
    pub(in crate::embedded) protocols: Vec<(String, Bytes)>,
    /// How long an empty group waits for more members.
    pub(in crate::embedded) initial_delay: Duration,
}

/// What a member is told of the new generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::embedded) struct Joined {
    pub(in crate::embedded) generation: i32,
    pub(in crate::embedded) protocol_type: Option<String>,
    pub(in crate::embedded) protocol: Option<String>,
    pub(in crate::embedded) leader: String,
    pub(in crate::embedded) skip_assignment: bool,
    pub(in crate::embedded) member: String,
    /// Everybody's id, static name and subscription: for the leader.
    pub(in crate::embedded) members: Vec<(String, Option<String>, Bytes)>,
}

/// A request for a share.
#[derive(Clone, Debug)]
pub(in crate::embedded) struct Sync<'a> {
    pub(in crate::embedded) who: Identity<'a>,
    pub(in crate::embedded) generation: i32,
    pub(in crate::embedded) protocol_type: Option<&'a str>,
    pub(in crate::embedded) protocol: Option<&'a str>,
    pub(in crate::embedded) assignments: Vec<(String, Bytes)>,
}

/// A share, and what it was made by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::embedded) struct Synced {
    pub(in crate::embedded) protocol_type: Option<String>,
    pub(in crate::embedded) protocol: Option<String>,
    pub(in crate::embedded) assignment: Bytes,
}

/// The members of a group and where it stands.
#[derive(Debug, Default)]
pub(in crate::embedded) struct Classic {
    phase: Phase,
    generation: i32,
    protocol_type: Option<String>,
    protocol: Option<String>,
    leader: Option<String>,
    /// In the order in which they came.
    members: Vec<Member>,
    /// Ids that were given out and did not come back yet, until when they may.
    promised: BTreeMap<String, Instant>,
    /// How long the rebalance under way waits for more, though all known members have joined.
    not_before: Option<Instant>,
}

impl Classic {
    pub(in crate::embedded) fn phase(&self) -> Phase {
        self.phase
    }

    pub(in crate::embedded) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(in crate::embedded) fn members(&self) -> &[Member] {
        &self.members
    }

    pub(in crate::embedded) fn protocol_type(&self) -> &str {
        self.protocol_type.as_deref().unwrap_or_default()
    }

    /// The assignor, once one is chosen.
    pub(in crate::embedded) fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    fn at(&self, id: &str) -> Option<usize> {
        self.members.iter().position(|member| member.id == id)
    }

    fn at_instance(&self, instance: Option<&str>) -> Option<usize> {
        let instance = instance?;
        self.members.iter().position(|member| member.instance.as_deref() == Some(instance))
    }

    /// The member that a request comes from; 82 if another took its static name, 25 if there is no
    /// such member.
    fn who(&self, who: Identity<'_>) -> Result<usize, Code> {
        if let Some(at) = self.at_instance(who.instance) {
            let same = self.members.get(at).is_some_and(|member| member.id == who.member);
            return if same { Ok(at) } else { Err(Code::FENCED_INSTANCE_ID) };
        }
        match who.instance {
            Some(_) => Err(Code::UNKNOWN_MEMBER_ID),
            None => self.at(who.member).ok_or(Code::UNKNOWN_MEMBER_ID),
        }
    }

    /// Takes a member in, or its new subscription. Gives its id and the number of this attempt, with
    /// which [`joined`](Self::joined) says what came of it; an error is the answer.
    pub(in crate::embedded) fn join(
        &mut self,
        join: Join,
        now: Instant,
    ) -> Result<(String, u64), (Code, String)> {
        let refused = |code| Err((code, join.member.clone()));
        if !self.fits(&join) {
            return refused(Code::INCONSISTENT_GROUP_PROTOCOL);
        }
        let at = match (join.member.is_empty(), self.at_instance(join.instance.as_deref())) {
            (true, None) if join.id_first && join.instance.is_none() => {
                self.promised.insert(join.fresh.clone(), now + join.session);
                return Err((Code::MEMBER_ID_REQUIRED, join.fresh));
            }
            (true, None) => self.admit(join.fresh.clone(), &join, now),
            (true, Some(at)) => return Ok(self.replace_static(at, &join, now)),
            (false, _) => {
                let who = Identity { member: &join.member, instance: join.instance.as_deref() };
                match self.who(who) {
                    Ok(at) => at,
                    Err(Code::UNKNOWN_MEMBER_ID)
                        if self.promised.remove(&join.member).is_some() =>
                    {
                        self.admit(join.member.clone(), &join, now)
                    }
                    Err(code) => return refused(code),
                }
            }
        };
        Ok(self.rejoin(at, &join, now))
    }

    /// Whether the group and the member have an assignor in common.
    fn fits(&self, join: &Join) -> bool {
        let others = || {
            let same = |m: &&Member| !join.member.is_empty() && m.id == join.member;
            let twin = |m: &&Member| join.instance.is_some() && m.instance == join.instance;
            self.members.iter().filter(move |m| !same(m) && !twin(m))
        };
        if join.protocols.is_empty() || join.protocol_type.is_empty() {
            return false;
        }
        if others().next().is_none() {
            return true;
        }
        let known = |name: &String| others().all(|m| m.protocols.iter().any(|(n, _)| n == name));
        self.protocol_type.as_ref() == Some(&join.protocol_type)
            && join.protocols.iter().any(|(name, _)| known(name))
    }

    fn admit(&mut self, id: String, join: &Join, now: Instant) -> usize {
        self.protocol_type = Some(join.protocol_type.clone());
        self.members.push(Member {
            id,
            instance: join.instance.clone(),
            client_id: join.client_id.clone(),
            host: join.host.clone(),
            session: join.session,
            rebalance: join.rebalance,
            protocols: Vec::new(),
            assignment: Bytes::new(),
            seen: now,
            attempt: 0,
            joined: false,
            synced: false,
        });
        self.members.len() - 1
    }

    /// A static member came back without its id: it gets a new one, and whoever used the old one is
    /// fenced. Its share stays, without a rebalance, if nothing else about it changed.
    fn replace_static(&mut self, at: usize, join: &Join, now: Instant) -> (String, u64) {
        let Some(member) = self.members.get_mut(at) else { return (join.fresh.clone(), 0) };
        let old = std::mem::replace(&mut member.id, join.fresh.clone());
        let same = member.protocols == join.protocols;
        (member.seen, member.session, member.rebalance) = (now, join.session, join.rebalance);
        if self.leader.as_ref() == Some(&old) {
            self.leader = Some(join.fresh.clone());
        }
        if self.phase == Phase::Stable && same {
            return self.answered_as_is(at);
        }
        self.rejoin(at, join, now)
    }

    fn rejoin(&mut self, at: usize, join: &Join, now: Instant) -> (String, u64) {
        let phase = self.phase;
        let Some(member) = self.members.get_mut(at) else { return (join.fresh.clone(), 0) };
        let changed = member.protocols != join.protocols;
        let leads = self.leader.as_ref() == Some(&member.id);
        member.protocols.clone_from(&join.protocols);
        (member.seen, member.session, member.rebalance) = (now, join.session, join.rebalance);
        match phase {
            // Its answer was lost, or it asks without a reason.
            Phase::Completing { .. } if !changed => return self.answered_as_is(at),
            Phase::Stable if !changed && !leads => return self.answered_as_is(at),
            Phase::Preparing { .. } => {}
            Phase::Empty => self.prepare(now, join.initial_delay),
            Phase::Completing { .. } | Phase::Stable => self.prepare(now, Duration::ZERO),
        }
        let Some(member) = self.members.get_mut(at) else { return (join.fresh.clone(), 0) };
        member.attempt += 1;
        member.joined = true;
        let taken = (member.id.clone(), member.attempt);
        self.tick(now);
        taken
    }

    fn answered_as_is(&mut self, at: usize) -> (String, u64) {
        let Some(member) = self.members.get_mut(at) else { return (String::new(), 0) };
        member.attempt += 1;
        (member.id.clone(), member.attempt)
    }

    /// Begins a rebalance.
    fn prepare(&mut self, now: Instant, delay: Duration) {
        let longest = self.members.iter().map(|member| member.rebalance).max().unwrap_or_default();
        self.phase = Phase::Preparing { until: now + longest.max(delay) };
        self.not_before = Some(now + delay);
        for member in &mut self.members {
            member.synced = false;
        }
    }

    /// What came of an attempt to join; `None` while others are waited for.
    pub(in crate::embedded) fn joined(
        &self,
        id: &str,
        attempt: u64,
        can_skip: bool,
    ) -> Option<Result<Joined, Code>> {
        let Some(member) = self.at(id).and_then(|at| self.members.get(at)) else {
            return Some(Err(Code::UNKNOWN_MEMBER_ID));
        };
        if member.attempt != attempt {
            return Some(Err(Code::REBALANCE_IN_PROGRESS));
        }
        if member.joined {
            return None;
        }
        let leader = self.leader.clone().unwrap_or_default();
        let leads = leader == member.id;
        // Of a group that stays as it is only a new incarnation of a static leader hears so.
        let skip_assignment = leads && self.phase == Phase::Stable;
        let protocol = self.protocol.clone().unwrap_or_default();
        let all = || {
            let tell = |m: &Member| (m.id.clone(), m.instance.clone(), m.metadata(&protocol));
            self.members.iter().map(tell).collect()
        };
        Some(Ok(Joined {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            // Who cannot be told to keep the shares is not told that it leads (before KIP-814).
            leader: if skip_assignment && !can_skip { String::new() } else { leader },
            skip_assignment: skip_assignment && can_skip,
            member: member.id.clone(),
            members: if leads && (can_skip || !skip_assignment) { all() } else { Vec::new() },
        }))
    }

    /// Takes the leader's shares. An error is the answer; else [`synced`](Self::synced) says what
    /// the member gets.
    pub(in crate::embedded) fn sync(&mut self, sync: Sync<'_>, now: Instant) -> Result<(), Code> {
        let at = self.who(sync.who)?;
        let fits = |asked: Option<&str>, have: &Option<String>| {
            asked.is_none_or(|asked| have.as_deref() == Some(asked))
        };
        if sync.generation != self.generation {
            return Err(Code::ILLEGAL_GENERATION);
        }
        if !fits(sync.protocol_type, &self.protocol_type) || !fits(sync.protocol, &self.protocol) {
            return Err(Code::INCONSISTENT_GROUP_PROTOCOL);
        }
        let Some(member) = self.members.get_mut(at) else { return Err(Code::UNKNOWN_MEMBER_ID) };
        (member.synced, member.seen) = (true, now);
        let leads = self.leader.as_ref() == Some(&member.id);
        match self.phase {
            Phase::Preparing { .. } => Err(Code::REBALANCE_IN_PROGRESS),
            Phase::Empty => Err(Code::UNKNOWN_MEMBER_ID),
            Phase::Completing { .. } if leads => {
                for member in &mut self.members {
                    let share = sync.assignments.iter().find(|(id, _)| *id == member.id);
                    member.assignment = share.map(|(_, share)| share.clone()).unwrap_or_default();
                    member.seen = now;
                }
                self.phase = Phase::Stable;
                Ok(())
            }
            Phase::Completing { .. } | Phase::Stable => Ok(()),
        }
    }

    /// The share of a member that asked in this generation; `None` while the leader is waited for.
    pub(in crate::embedded) fn synced(
        &self,
        id: &str,
        generation: i32,
    ) -> Option<Result<Synced, Code>> {
        let Some(member) = self.at(id).and_then(|at| self.members.get(at)) else {
            return Some(Err(Code::UNKNOWN_MEMBER_ID));
        };
        match self.phase {
            Phase::Completing { .. } if generation == self.generation => None,
            Phase::Stable if generation == self.generation => Some(Ok(Synced {
                protocol_type: self.protocol_type.clone(),
                protocol: self.protocol.clone(),
                assignment: member.assignment.clone(),
            })),
            _ => Some(Err(Code::REBALANCE_IN_PROGRESS)),
        }
    }

    /// A member of this generation shows that it is alive.
    fn hear_of(&mut self, who: Identity<'_>, generation: i32, now: Instant) -> Result<(), Code> {
        let at = self.who(who)?;
        if generation != self.generation {
            return Err(Code::ILLEGAL_GENERATION);
        }
        if let Some(member) = self.members.get_mut(at) {
            member.seen = now;
        }
        Ok(())
    }

    /// A member is alive.
    pub(in crate::embedded) fn heartbeat(
        &mut self,
        who: Identity<'_>,
        generation: i32,
        now: Instant,
    ) -> Result<(), Code> {
        self.hear_of(who, generation, now)?;
        match self.phase {
            Phase::Empty => Err(Code::UNKNOWN_MEMBER_ID),
            Phase::Preparing { .. } => Err(Code::REBALANCE_IN_PROGRESS),
            Phase::Completing { .. } | Phase::Stable => Ok(()),
        }
    }

    /// A member goes. A static one may be named without its id.
    pub(in crate::embedded) fn leave(
        &mut self,
        who: Identity<'_>,
        now: Instant,
    ) -> Result<(), Code> {
        if self.promised.remove(who.member).is_some() {
            self.tick(now);
            return Ok(());
        }
        let at = match (who.member.is_empty(), who.instance) {
            (true, Some(_)) => self.at_instance(who.instance).ok_or(Code::UNKNOWN_MEMBER_ID)?,
            _ => self.who(who)?,
        };
        self.remove(at, now);
        Ok(())
    }

    /// Ends a member's session, static or not.
    pub(in crate::embedded) fn expel(
        &mut self,
        who: Identity<'_>,
        now: Instant,
    ) -> Result<(), Code> {
        let at = self.at(who.member).ok_or(Code::UNKNOWN_MEMBER_ID)?;
        self.remove(at, now);
        Ok(())
    }

    fn remove(&mut self, at: usize, now: Instant) {
        self.members.remove(at);
        self.lost_members(now);
        self.tick(now);
    }

    /// Whether a commit of this member and generation is taken, which also says that it is alive.
    /// Without membership (−1) only while there are no members.
    pub(in crate::embedded) fn may_commit(
        &mut self,
        who: Identity<'_>,
        generation: i32,
        now: Instant,
    ) -> Result<(), Code> {
        if generation < 0 && self.members.is_empty() {
            return Ok(());
        }
        self.hear_of(who, generation, now)?;
        match self.phase {
            Phase::Completing { .. } => Err(Code::REBALANCE_IN_PROGRESS),
            _ => Ok(()),
        }
    }

    /// Some members are gone: the others rebalance.
    fn lost_members(&mut self, now: Instant) {
        let known = |id: &String| self.members.iter().any(|member| member.id == *id);
        if !self.leader.as_ref().is_some_and(known) {
            self.leader = None;
        }
        match self.phase {
            Phase::Completing { .. } | Phase::Stable => self.prepare(now, Duration::ZERO),
            Phase::Empty | Phase::Preparing { .. } => {}
        }
    }

    /// Does what is due by time, and ends a rebalance that everybody joined. Whether anything was
    /// decided.
    pub(in crate::embedded) fn tick(&mut self, now: Instant) -> bool {
        let promised = self.promised.len();
        self.promised.retain(|_, until| now < *until);
        let mut decided = self.promised.len() < promised;
        let completing = matches!(self.phase, Phase::Completing { .. });
        let late = matches!(self.phase, Phase::Completing { until } if now >= until);
        let before = self.members.len();
        self.members.retain(|member| {
            let waits = member.joined || (completing && member.synced);
            !member.is_dead(now, waits) && (!late || member.synced)
        });
        if self.members.len() < before {
            self.lost_members(now);
            decided = true;
        }
        if let Phase::Preparing { until, .. } = self.phase {
            let all = self.promised.is_empty() && self.members.iter().all(|member| member.joined);
            let waited = self.not_before.is_none_or(|time| now >= time);
            if (all && waited) || now >= until {
                self.begin_generation(now);
                decided = true;
            }
        }
        decided
    }

    fn begin_generation(&mut self, now: Instant) {
        // A static member that has not joined keeps its place until its session ends.
        self.members.retain(|member| member.joined || member.instance.is_some());
        self.generation += 1;
        self.not_before = None;
        if self.members.is_empty() {
            (self.phase, self.protocol, self.leader) = (Phase::Empty, None, None);
            return;
        }
        self.protocol = self.vote();
        let known = |id: &String| self.members.iter().any(|m| m.id == *id && m.joined);
        if !self.leader.as_ref().is_some_and(known) {
            let joined = self.members.iter().find(|member| member.joined);
            self.leader = joined.or(self.members.first()).map(|member| member.id.clone());
        }
        let longest = self.members.iter().map(|member| member.rebalance).max();
        self.phase = Phase::Completing { until: now + longest.unwrap_or_default() };
        for member in &mut self.members {
            (member.joined, member.synced, member.seen) = (false, false, now);
        }
    }

    /// The assignor that all know and most like best.
    fn vote(&self) -> Option<String> {
        let (first, others) = self.members.split_first()?;
        let all_know =
            |name: &str| others.iter().all(|m| m.protocols.iter().any(|(known, _)| known == name));
        let candidates: Vec<&str> =
            first.protocols.iter().map(|(name, _)| &**name).filter(|name| all_know(name)).collect();
        let votes = |candidate: &str| {
            let likes = |m: &&Member| {
                let best = m.protocols.iter().find(|(name, _)| candidates.contains(&&**name));
                best.is_some_and(|(name, _)| name == candidate)
            };
            self.members.iter().filter(likes).count()
        };
        // Of several with as many votes the first, in the order of the first member.
        let best = candidates.iter().rev().max_by_key(|candidate| votes(candidate))?;
        Some((*best).to_owned())
    }

    /// When time alone will decide something next.
    pub(in crate::embedded) fn next_due(&self, now: Instant) -> Option<Instant> {
        let sessions = self.members.iter().map(|member| member.seen + member.session);
        let phase = match self.phase {
            Phase::Preparing { until, .. } | Phase::Completing { until } => Some(until),
            Phase::Empty | Phase::Stable => None,
        };
        let promised = self.promised.values().copied();
        // What lies behind is the session of who waits, and does not end.
        let all = sessions.chain(phase).chain(self.not_before).chain(promised);
        all.filter(|due| *due > now).min()
    }
}

#[cfg(test)]
mod tests;
