//! A member of a classic group as a machine: what happened goes in, what is to be done comes out. It
//! does no I/O and reads no clock.
//!
//! ```text
//!   out ──subscribed──► waiting ──► joining ──► leading ──► syncing ──► stable
//!    ▲                   ▲  what keeps it:        (leader)                │
//!    │                   │  revocations, back-off                         │
//!    └──── parting ◄─────┴──── rebalance, loss, another subscription ◄────┘
//! ```
//!
//! While it waits, heartbeats go on. Everything that has to be given up before a join is given up there:
//! eager members give up all, cooperative ones what is not wished for any more (rule 8.12).

mod ending;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::acts::{
    Act, Assigned, Joined, Joining, Leading, Led, Rules, Stage, Syncing, Trouble, Who, Wish,
};
use super::verdict::{self, Loss, Verdict};
use crate::error::{Code, Error};
use crate::group::TopicPartition;
use crate::net::jitter;

/// Something for the application that may not overtake what is before it.
#[derive(Clone, Debug)]
enum Tell {
    Assign(Vec<TopicPartition>),
    Revoke(Vec<TopicPartition>),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Machine {
    rules: Rules,
    wish: Option<Wish>,
    /// The application does not poll.
    stepped_out: bool,
    /// It left for good.
    ended: bool,
    /// The consumer commits for the last time: it joins no more (rule 8.25).
    finishing: bool,
    /// Until when its last commit waits for a round that is being completed.
    last_round: Option<Instant>,
    stage: Stage,
    who: Who,
    owned: BTreeSet<TopicPartition>,
    last: Vec<TopicPartition>,
    /// The generation that brought `owned` and `last`.
    brought: i32,
    leads: bool,
    protocol: String,
    mine_alone: Vec<Arc<str>>,
    /// What it was told with `last`.
    user_data: Option<Bytes>,
    attempt: u64,
    /// Another rebalance is wanted, and why.
    again: Option<&'static str>,
    why: &'static str,
    failures: u32,
    not_before: Option<Instant>,
    /// When the coordinator last heard of it for sure.
    heard: Instant,
    beat_due: Instant,
    beat_out: bool,
    beat_failures: u32,
    queue: VecDeque<Tell>,
    telling: Option<(u64, Tell)>,
    steps: u64,
    acts: Vec<Act>,
}

impl Machine {
    pub(super) fn new(rules: Rules, now: Instant) -> Self {
        Self {
            rules,
            wish: None,
            stepped_out: false,
            ended: false,
            finishing: false,
            last_round: None,
            stage: Stage::Out,
            who: Who { member: Arc::from(""), generation: -1 },
            owned: BTreeSet::new(),
            last: Vec::new(),
            brought: -1,
            leads: false,
            protocol: String::new(),
            mine_alone: Vec::new(),
            user_data: None,
            attempt: 0,
            again: None,
            why: "it subscribed",
            failures: 0,
            not_before: None,
            heard: now,
            beat_due: now,
            beat_out: false,
            beat_failures: 0,
            queue: VecDeque::new(),
            telling: None,
            steps: 0,
            acts: Vec::new(),
        }
    }

    /// What is to be done, in this order.
    pub(super) fn take(&mut self) -> Vec<Act> {
        std::mem::take(&mut self.acts)
    }

    #[cfg(test)]
    fn stage(&self) -> Stage {
        self.stage
    }

    /// Whether the member left for good, as far as it has to do with it.
    pub(super) fn is_gone(&self) -> bool {
        self.ended && self.stage == Stage::Out
    }

    /// Whether it was told to leave for good.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// When time alone will change something.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let waits = self.stage == Stage::Waiting && !self.finishing;
        let join = self.not_before.filter(|_| waits);
        let beat = (self.beats() && !self.beat_out).then_some(self.beat_due);
        let session = self.sure_until();
        [join, beat, session, self.last_round].into_iter().flatten().min()
    }

    /// Until when the coordinator is sure to count it as a member (8.7); none while no clock runs.
    pub(super) fn sure_until(&self) -> Option<Instant> {
        self.beats().then_some(self.heard + self.rules.session)
    }

    /// Whether it sends heartbeats: from the join's answer on, whatever the application does (8.6). In a
    /// join without partitions the coordinator waits for others, and counts it as alive.
    fn beats(&self) -> bool {
        let joins_in_peace = self.stage == Stage::Joining && self.owned.is_empty();
        self.who.generation >= 0 && self.stage != Stage::Out && !joins_in_peace
    }

    // What happened

    /// Something else is wished for, or nothing.
    pub(super) fn subscribe(&mut self, wish: Option<Wish>, now: Instant) {
        if self.ended {
            return;
        }
        let same = match (&self.wish, &wish) {
            (Some(old), Some(new)) => old.topics == new.topics,
            _ => false,
        };
        self.wish = wish;
        (self.finishing, self.last_round) = (false, None);
        match (self.stage, self.wish.is_some()) {
            (_, true) if self.stepped_out => {}
            (Stage::Out, true) => {
                (self.failures, self.not_before, self.why) = (0, None, "it subscribed");
                self.stage = Stage::Waiting;
            }
            (Stage::Parting, true) => self.stage = Stage::Waiting,
            (_, true) if !same => self.want("its subscription changed"),
            (_, true) => {}
            // What it lost when it stepped out is none of its any more.
            (Stage::Out, false) => self.acts.push(Act::Dismiss { shut: false }),
            // Without an id there is nobody yet who could leave: the answer brings it.
            (Stage::Joining, false) if self.who.member.is_empty() => {}
            (_, false) => {
                self.abandon();
                self.stage = Stage::Parting;
            }
        }
        self.advance(now);
    }

    /// The same wish means these topics now.
    pub(super) fn resolved(&mut self, topics: Vec<Arc<str>>, now: Instant) {
        let Some(wish) = &mut self.wish else { return };
        if wish.topics != topics {
            wish.topics = topics;
            self.want("topics that match came or went");
            self.advance(now);
        }
    }

    /// Another rebalance is wanted (KIP-568).
    pub(super) fn rejoin(&mut self, why: &'static str, now: Instant) {
        self.want(why);
        self.advance(now);
    }

    fn want(&mut self, why: &'static str) {
        match self.stage {
            Stage::Stable => {
                self.why = why;
                self.stage = Stage::Waiting;
            }
            // Rule 8.1: after the answer.
            Stage::Joining | Stage::Leading | Stage::Syncing => self.again = Some(why),
            Stage::Out | Stage::Waiting | Stage::Parting => {}
        }
    }

    /// The application has heard a step.
    pub(super) fn told(&mut self, step: u64, now: Instant) {
        match self.telling.take() {
            Some((number, Tell::Revoke(partitions))) if number == step => {
                partitions.iter().for_each(|partition| {
                    self.owned.remove(partition);
                });
                self.acts.push(Act::GiveUp(partitions));
            }
            Some((number, Tell::Assign(_))) if number == step => {}
            other => self.telling = other,
        }
        self.pump();
        self.advance(now);
    }

    /// The application polls no more: out, until it does (rule 8.24).
    pub(super) fn step_out(&mut self) {
        self.stepped_out = true;
        if self.stage != Stage::Out {
            self.abandon();
            self.lose(Loss::Generation);
            self.go("the application did not poll within max.poll.interval.ms");
        }
    }

    /// It polls again.
    pub(super) fn step_in(&mut self, now: Instant) {
        self.stepped_out = false;
        if self.stage == Stage::Out && self.wish.is_some() && !self.ended {
            (self.failures, self.not_before, self.why) = (0, None, "the application polls again");
            self.stage = Stage::Waiting;
            self.advance(now);
        }
    }

    /// Out for good; nothing more is told.
    pub(super) fn leave(&mut self) {
        self.ended = true;
        self.wish = None;
        self.queue.clear();
        let nameless = self.stage == Stage::Joining && self.who.member.is_empty();
        if self.stage == Stage::Out || (nameless && !self.rules.is_static) {
            return;
        }
        self.abandon();
        self.go("the consumer closes");
    }

    /// The answer to a join.
    pub(super) fn joined(&mut self, attempt: u64, answer: Result<Joined, Trouble>, now: Instant) {
        if attempt != self.attempt || self.stage != Stage::Joining {
            return;
        }
        let joined = match answer {
            Ok(joined) => joined,
            Err(trouble) => return self.not_joined(trouble, now),
        };
        if self.owned.is_empty() {
            // Who holds something is kept by its heartbeats, which tell when they were sent.
            self.hear(now, now);
        }
        // One of the new generation is not due before the others have heard of it.
        (self.beat_due, self.beat_failures) = (now + self.rules.heartbeat, 0);
        (self.who, self.beat_out) = (joined.who, false);
        if self.last_round.is_some() {
            // The former generation is over.
            self.acts.push(Act::Shut);
        }
        self.acts.push(Act::Introduce(self.who.clone()));
        if self.wish.is_none() {
            self.stage = Stage::Parting;
            return self.advance(now);
        }
        if let (Some(wish), Some(topics), None) = (&mut self.wish, joined.topics, self.again) {
            wish.topics = topics;
        }
        (self.leads, self.protocol) = (joined.leads, joined.protocol);
        self.mine_alone.clear();
        if self.leads {
            self.stage = Stage::Leading;
            self.acts.push(Act::Lead(Leading {
                attempt,
                me: Arc::clone(&self.who.member),
                protocol: self.protocol.clone(),
                members: joined.members,
                skip: joined.skip,
            }));
        } else {
            self.sync(Vec::new());
        }
    }

    fn sync(&mut self, shares: Vec<(String, Bytes)>) {
        self.stage = Stage::Syncing;
        let (attempt, who) = (self.attempt, self.who.clone());
        self.acts.push(Act::Sync(Syncing {
            attempt,
            who,
            protocol: self.protocol.clone(),
            shares,
        }));
    }

    fn not_joined(&mut self, trouble: Trouble, now: Instant) {
        match verdict::join(trouble.error.code()) {
            Verdict::Fatal => self.fail(trouble.error),
            Verdict::WithId => match trouble.member {
                Some(member) if self.who.member.is_empty() => {
                    self.who.member = member;
                    (self.stage, self.not_before) = (Stage::Waiting, None);
                    self.advance(now);
                }
                _ => self.retry(now, self.failures + 1),
            },
            Verdict::Forget(loss) => {
                self.lose(loss);
                self.retry(now, self.failures);
            }
            Verdict::Fine | Verdict::Rebalance | Verdict::Later => {
                self.retry(now, self.failures + 1);
            }
        }
    }

    /// The leader's work is done. If it failed the round has, and nobody gets an empty plan (8.20).
    pub(super) fn led(&mut self, attempt: u64, outcome: Result<Led, Error>, now: Instant) {
        if attempt != self.attempt || self.stage != Stage::Leading {
            return;
        }
        match outcome {
            Ok(led) => {
                self.mine_alone = led.mine_alone;
                self.sync(led.shares);
            }
            Err(_) => {
                self.why = "the assignment failed";
                self.retry(now, self.failures + 1);
            }
        }
    }

    /// The answer to a sync: what the member gets.
    pub(super) fn synced(&mut self, attempt: u64, answer: Result<Assigned, Trouble>, now: Instant) {
        if attempt != self.attempt || self.stage != Stage::Syncing {
            return;
        }
        match answer {
            Ok(assigned) => self.settle(assigned, now),
            Err(trouble) => match verdict::sync(trouble.error.code()) {
                Verdict::Fatal => self.fail(trouble.error),
                Verdict::Forget(loss) => {
                    self.lose(loss);
                    self.retry(now, self.failures);
                }
                Verdict::Rebalance => {
                    self.why = "the group rebalances again";
                    self.retry(now, self.failures);
                }
                Verdict::Fine | Verdict::WithId | Verdict::Later => {
                    self.retry(now, self.failures + 1);
                }
            },
        }
    }

    fn settle(&mut self, assigned: Assigned, now: Instant) {
        // How long this waited to be read nobody knows: only heartbeats say that it is a member still (8.7).
        let Assigned { places: assigned, user_data } = assigned;
        let Some(wish) = &self.wish else { return };
        if assigned.iter().any(|place| !wish.accepts(&place.topic)) {
            // Rule 8.22.
            self.why = "it was given what it does not subscribe";
            return self.retry(now, self.failures + 1);
        }
        let orphaned = self.mine_alone.iter().any(|topic| {
            wish.topics.contains(topic) && !assigned.iter().any(|place| place.topic == *topic)
        });
        if orphaned && self.again.is_none() {
            // Rule 8.18: the assignment that was kept is older than its subscription.
            self.again = Some("its subscription changed while it was away");
        }
        (self.failures, self.not_before, self.stage) = (0, None, Stage::Stable);
        let assigned: BTreeSet<TopicPartition> = assigned.into_iter().collect();
        let revoked: Vec<_> = self.owned.difference(&assigned).cloned().collect();
        let added: Vec<_> = assigned.difference(&self.owned).cloned().collect();
        // What it is told besides comes with an assignment, also with one of nothing.
        let told = user_data != self.user_data;
        let first = self.brought < 0 || !self.rules.cooperative;
        (self.last, self.brought) = (assigned.into_iter().collect(), self.who.generation);
        self.owned.extend(added.iter().cloned());
        if told {
            self.user_data.clone_from(&user_data);
            self.acts.push(Act::Inform(user_data));
        }
        self.acts.push(Act::Hold(added.clone(), self.who.clone()));
        self.acts.push(Act::Watch(self.leads));
        if !revoked.is_empty() && !self.finishing {
            // Rule 8.13: once they are given up, somebody else may have them.
            self.again = Some("it gave partitions up");
            self.tell(Tell::Revoke(revoked));
        }
        if (first || told || !added.is_empty()) && !self.finishing {
            self.tell(Tell::Assign(added));
        }
        if let Some(why) = self.again.take() {
            self.want(why);
        }
        self.advance(now);
    }

    /// The answer to a heartbeat that was sent then (rules 8.2, 8.6).
    pub(super) fn beaten(&mut self, who: &Who, code: Code, sent: Instant, now: Instant) {
        if *who != self.who || self.stage == Stage::Out {
            return;
        }
        self.beat_out = false;
        // A join or a sync under way has an answer of its own.
        let answered_elsewhere = matches!(self.stage, Stage::Joining | Stage::Syncing);
        match verdict::beat(code) {
            Verdict::Fine => self.hear(sent, now),
            Verdict::Rebalance => {
                self.hear(sent, now);
                if self.stage == Stage::Stable {
                    self.want("the group rebalances");
                }
            }
            Verdict::Forget(_) | Verdict::Fatal if answered_elsewhere => {
                self.beat_due = now + self.rules.heartbeat;
            }
            Verdict::Forget(loss) => self.forget(loss, now),
            Verdict::Fatal => self.fail(Error::new(code, "the member is not taken any more")),
            Verdict::WithId | Verdict::Later => {
                self.beat_failures += 1;
                let pause = self.rules.backoff.delay(self.beat_failures, jitter());
                self.beat_due = now + pause.min(self.rules.heartbeat);
            }
        }
        self.advance(now);
    }

    /// What a commit was answered, as far as it concerns the member (rule 8.10).
    pub(super) fn committed(&mut self, who: &Who, code: Code, now: Instant) {
        if *who != self.who
            || !matches!(self.stage, Stage::Stable | Stage::Waiting | Stage::Parting)
        {
            return;
        }
        match verdict::beat(code) {
            Verdict::Rebalance => self.want("a commit met a rebalance"),
            Verdict::Forget(loss) => self.forget(loss, now),
            Verdict::Fatal => {
                self.fail(Error::new(code, "a commit was refused: the member is fenced"))
            }
            Verdict::Fine | Verdict::WithId | Verdict::Later => {}
        }
        self.advance(now);
    }

    /// Time passed.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.sure_until().is_some_and(|end| now >= end) {
            // Rule 8.7: by now the coordinator may have given everything away.
            self.acts.push(Act::Elsewhere);
            self.forget(Loss::Generation, now);
        }
        if self.beats() && !self.beat_out && now >= self.beat_due {
            self.beat_out = true;
            self.acts.push(Act::Beat(self.who.clone()));
        }
        self.hurry(now);
        self.advance(now);
    }

    // What follows

    fn hear(&mut self, at: Instant, now: Instant) {
        self.heard = at.max(self.heard);
        self.beat_due = now + self.rules.heartbeat;
        self.beat_failures = 0;
    }

    /// What is next, where nothing is out.
    fn advance(&mut self, now: Instant) {
        if self.stage == Stage::Parting && self.wish.is_some() {
            self.stage = Stage::Waiting;
        }
        match self.stage {
            Stage::Parting if self.gives_up() => {}
            Stage::Parting if self.owned.is_empty() => self.go("it unsubscribed"),
            Stage::Parting => self.tell(Tell::Revoke(self.owned.iter().cloned().collect())),
            Stage::Waiting => self.try_to_join(now),
            _ => {}
        }
    }

    fn try_to_join(&mut self, now: Instant) {
        let Some(wish) = &self.wish else {
            self.stage = Stage::Parting;
            return self.advance(now);
        };
        if self.finishing {
            return self.acts.push(Act::Reopen);
        }
        if self.gives_up() || self.not_before.is_some_and(|time| now < time) {
            return;
        }
        let stays = |place: &TopicPartition| self.rules.cooperative && wish.accepts(&place.topic);
        let goes: Vec<_> = self.owned.iter().filter(|place| !stays(place)).cloned().collect();
        if !goes.is_empty() {
            if self.failures > 0 {
                // A round that came to nothing left the gate shut, and what goes is committed first (8.11).
                self.acts.push(Act::Reopen);
            }
            return self.tell(Tell::Revoke(goes));
        }
        self.attempt += 1;
        let join = Joining {
            attempt: self.attempt,
            member: Arc::clone(&self.who.member),
            topics: wish.topics.clone(),
            owned: self.owned.iter().cloned().collect(),
            last: self.last.clone(),
            generation: self.brought,
            why: self.why,
        };
        self.stage = Stage::Joining;
        self.acts.extend([Act::Shut, Act::Join(join)]);
    }

    /// Whether a revocation is with the application or on the way there.
    pub(super) fn gives_up(&self) -> bool {
        let telling = self.telling.iter().map(|(_, tell)| tell);
        telling.chain(&self.queue).any(|tell| matches!(tell, Tell::Revoke(_)))
    }

    fn tell(&mut self, tell: Tell) {
        self.queue.push_back(tell);
        self.pump();
    }

    /// Gives the application the next step, if it has none.
    fn pump(&mut self) {
        if self.telling.is_some() || self.ended {
            return;
        }
        let Some(next) = self.queue.pop_front() else { return };
        self.steps += 1;
        self.acts.push(match &next {
            Tell::Assign(partitions) => Act::Assign(partitions.clone(), self.steps),
            Tell::Revoke(partitions) => Act::Revoke(partitions.clone(), self.steps),
        });
        self.telling = Some((self.steps, next));
    }

    /// Joins again, after so many failures.
    fn retry(&mut self, now: Instant, failures: u32) {
        let pause = self.rules.backoff.delay(failures, jitter());
        self.not_before = (!pause.is_zero()).then(|| now + pause);
        self.failures = self.failures.saturating_add(1);
        if let Some(why) = self.again.take() {
            self.why = why;
        }
        self.stage = Stage::Waiting;
        self.advance(now);
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "rounds_tests.rs"]
mod rounds_tests;

#[cfg(test)]
#[path = "ending_tests.rs"]
mod ending_tests;
