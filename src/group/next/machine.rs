//! A member of a KIP-848 group as a state machine: no clock, no wait, no wire.
//!
//! ```text
//!            subscribe              an answer
//!    idle ─────────────► joining ─────────────► member
//!     ▲                   ▲   ▲ fenced, unknown   │ │
//!     │                   │   └───────────────────┘ │ unsubscribe, no poll for too long
//!     └─────── leaving ◄──┼───────────────────────┘
//!                 │ away ─┘ polls again
//! ```
//!
//! Heartbeats have one timer and one place on the way, whatever the application does with its
//! partitions: what it has done with is said in the next one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::beat::{Beat, Constants, Told, Wish};
use super::books::{Books, Move};
use super::verdict::{Verdict, judge};
use crate::error::{Code, Error};
use crate::group::TopicPartition;
use crate::net::{Backoff, jitter};

/// How often a name that somebody has is asked for again after the member's own fencing (9.14).
const REPRIEVES: u32 = 3;

/// The epochs by which members leave: for good, and static ones for a while (9.13).
const LEAVE: i32 = -1;
const LEAVE_STATIC: i32 = -2;

/// Without an answer for so many intervals, and at least this long, the member is not sure to be one any
/// more, and after so many times that it counts itself out (8.7). The session's length is the broker's secret;
/// Kafka's own is nine intervals, and three are what Kafka advises at least.
const SURE_INTERVALS: u32 = 3;
const SURE_LEAST: Duration = Duration::from_secs(3);
const OUT_AFTER: u32 = 3;

/// What the machine wants done, in this order.
#[derive(Debug)]
pub(super) enum Action {
    /// The application is to give these up, then to say so by the number.
    Revoke(u64, Vec<TopicPartition>),
    /// The application gets these, and says so.
    Assign(u64, Vec<TopicPartition>),
    /// These are another's.
    Lost(Vec<TopicPartition>),
    /// The subscription by which the application was told of these is over. It let go of all that it had
    /// heard of by then; what it heard of since is none of its new subscription.
    Overtaken(Vec<TopicPartition>),
    /// The application is told.
    Failed(Error),
    /// The application has given these up.
    GaveUp(Vec<TopicPartition>),
    /// The member has this id and epoch now.
    Known(Arc<str>, i32),
    /// The coordinator has answered a heartbeat: until then the member is sure to be one.
    Heard(Instant),
    /// The coordinator was not heard for so long that another is to be looked for.
    Elsewhere,
    /// It is no member now. Commits wait for it to be one again; or they go as nobody's.
    Unknown { waits: bool },
    /// Commits wait no longer for it to be a member: it ends.
    Reopen,
    /// Leave with this id and epoch, whatever is on its way; [`Machine::left`] when that is over.
    Leave(Arc<str>, i32),
    /// The brokers have no such groups: be a member of a classic one, from now on (9.17).
    Classic,
    /// The membership is over for good.
    Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing is subscribed, or it has failed.
    Idle,
    Joining,
    Member,
    Leaving(After),
    /// The application does not poll (9.15).
    Away,
    Gone,
}

/// What comes after a leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Idle,
    Away,
    Rejoin,
    Gone,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Machine {
    constants: Constants,
    backoff: Backoff,
    phase: Phase,
    /// Made by the client, once in its life (9.1); before version 1 what the coordinator says.
    member: Arc<str>,
    is_own_id: bool,
    epoch: i32,
    /// What is to be read. A member without one has a subscription that is not resolved yet, and goes on
    /// with the one before.
    wish: Option<Wish>,
    /// What the coordinator has confirmed to have heard; none: say everything.
    said: Option<Wish>,
    books: Books,
    /// A reconciliation ended that the coordinator was not told of.
    acknowledge: bool,
    /// The number of the heartbeat that is on its way, and the wish in it, if it tells one.
    out: Option<(u64, Option<Wish>)>,
    /// When the last heartbeat was sent, and the last one that was answered well in this epoch.
    sent: Option<Instant>,
    proven: Option<Instant>,
    beats: u64,
    /// Whether the coordinator may know of the member.
    contacted: bool,
    /// Whether a heartbeat was ever answered without error: before that 35 means that brokers have no
    /// such groups.
    welcomed: bool,
    due: Option<Instant>,
    interval: Duration,
    failures: u32,
    reprieves: u32,
    complained: Option<Code>,
    /// The consumer commits for the last time (rule 8.25).
    finishing: bool,
    actions: Vec<Action>,
}

impl Machine {
    pub(super) fn new(constants: Constants, member: Arc<str>, backoff: Backoff) -> Self {
        Self {
            constants,
            backoff,
            phase: Phase::Idle,
            member,
            is_own_id: true,
            epoch: 0,
            wish: None,
            said: None,
            books: Books::default(),
            acknowledge: false,
            out: None,
            sent: None,
            proven: None,
            beats: 0,
            contacted: false,
            welcomed: false,
            due: None,
            // Kafka's own, until an answer says otherwise.
            interval: Duration::from_secs(5),
            failures: 0,
            reprieves: 0,
            complained: None,
            finishing: false,
            actions: Vec::new(),
        }
    }

    pub(super) fn constants(&self) -> &Constants {
        &self.constants
    }

    /// What is to be done since the last call.
    pub(super) fn actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    pub(super) fn books(&self) -> &Books {
        &self.books
    }

    /// The heartbeat whose answer is waited for.
    pub(super) fn outstanding(&self) -> Option<u64> {
        self.out.as_ref().map(|(number, _)| *number)
    }

    /// Whether the last heartbeat failed too.
    pub(super) fn is_failing(&self) -> bool {
        self.failures > 0
    }

    fn is_in(&self) -> bool {
        matches!(self.phase, Phase::Joining | Phase::Member)
    }

    /// When the next heartbeat is to be sent; none while one is out, nothing is subscribed, or who would
    /// join has nothing to say yet.
    pub(super) fn due(&self) -> Option<Instant> {
        let speaks = self.phase == Phase::Member || self.wish.is_some();
        self.due.filter(|_| self.out.is_none() && self.is_in() && speaks)
    }

    /// How long a heartbeat proves the membership.
    fn sure_for(&self) -> Duration {
        (self.interval * SURE_INTERVALS).max(SURE_LEAST)
    }

    /// When the member counts itself out if no heartbeat is answered until then (8.7).
    pub(super) fn ends(&self) -> Option<Instant> {
        let proven = self.proven.filter(|_| self.is_in() && self.epoch > 0)?;
        Some(proven + self.session())
    }

    /// What counts as the session's length here.
    fn session(&self) -> Duration {
        self.sure_for() * OUT_AFTER
    }

    /// How long the answer to a heartbeat is waited for: there is time for a second one, at another
    /// coordinator, in the same session.
    pub(super) fn patience(&self) -> Duration {
        self.session() / 2
    }

    /// Time passed. A coordinator that was not heard for a whole session, for whatever reason (silence,
    /// a connection that breaks each time, an error that is to be tried again for ever), has given the
    /// partitions away.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.ends().is_some_and(|end| now >= end) {
            self.out = None;
            self.begin_anew(now);
            self.actions.push(Action::Elsewhere);
        }
    }

    fn hasten(&mut self, now: Instant) {
        self.due = Some(now);
    }

    /// The heartbeat that is due.
    pub(super) fn beat(&mut self, now: Instant) -> Option<Beat> {
        if self.due().is_none_or(|due| due > now) {
            return None;
        }
        self.beats += 1;
        let (said, joins) = (self.said.as_ref(), self.epoch == 0);
        let full = said.is_none();
        let wish = self.wish.clone();
        let pattern = wish.as_ref().and_then(|wish| match (said, &wish.pattern) {
            (None, pattern) => pattern.clone(),
            (Some(said), new) if said.pattern == *new => None,
            // Empty takes it back.
            (Some(_), new) => Some(new.clone().unwrap_or_else(|| Arc::from(""))),
        });
        let names = wish.as_ref().map(|wish| &wish.names);
        let names = names.filter(|names| said.map(|said| &said.names) != Some(*names)).cloned();
        let owned = match (joins, full || self.acknowledge) {
            (true, _) => Some(<_>::default()),
            (false, true) => Some(self.books.owned().clone()),
            (false, false) => None,
        };
        let beat = Beat {
            number: self.beats,
            member: Arc::clone(&self.member),
            is_own_id: self.is_own_id,
            epoch: self.epoch,
            full,
            names,
            pattern,
            owned,
        };
        self.acknowledge = false;
        self.contacted = true;
        self.out = Some((beat.number, wish));
        self.sent = Some(now);
        Some(beat)
    }

    /// The answer to a heartbeat, without error. That of one that was given up is dropped (9.13).
    pub(super) fn answered(&mut self, number: u64, told: Told, now: Instant) {
        let Some((_, wish)) = self.out.take_if(|(out, _)| *out == number) else { return };
        (self.failures, self.reprieves, self.complained) = (0, 0, None);
        self.welcomed = true;
        if let Ok(ms @ 1..) = u64::try_from(told.interval_ms) {
            self.interval = Duration::from_millis(ms);
        }
        self.due = Some(now + self.interval);
        // A negative epoch would make the next heartbeat leave (9.13), and 0 is none.
        if told.epoch <= 0 {
            self.said = None;
            return;
        }
        if wish.is_some() {
            self.said = wish;
        }
        if let Some(member) = told.member {
            self.member = member;
            self.is_own_id = false;
        }
        if self.phase == Phase::Joining || self.epoch != told.epoch {
            self.phase = Phase::Member;
            self.epoch = told.epoch;
            self.actions.push(Action::Known(Arc::clone(&self.member), self.epoch));
        }
        if let Some(assignment) = told.assignment {
            self.books.receive(assignment);
        }
        // It counted the member when it heard of it, not when it was heard.
        let proven = self.sent.unwrap_or(now);
        self.proven = Some(proven);
        self.actions.push(Action::Heard(proven + self.sure_for()));
        if self.wish.is_some() && self.said != self.wish {
            self.hasten(now);
        }
        self.settle(now);
    }

    /// Takes the way to the target as far as it goes without the application.
    pub(super) fn settle(&mut self, now: Instant) {
        while let Some(next) = self.books.advance() {
            match next {
                Move::Revoke(step, list) => self.actions.push(Action::Revoke(step, list)),
                Move::Assign(step, list) => self.actions.push(Action::Assign(step, list)),
                Move::Acknowledge => {
                    self.acknowledge = true;
                    self.hasten(now);
                }
            }
        }
    }

    /// The name of a topic that is to be read.
    pub(super) fn learn(&mut self, topic: crate::cluster::TopicId, name: Arc<str>) {
        self.books.learn(topic, name);
    }

    /// The application has done with a step.
    pub(super) fn done(&mut self, step: u64, now: Instant) {
        let gone = self.books.done(step);
        if !gone.is_empty() {
            self.actions.push(Action::GaveUp(gone));
        }
        self.settle(now);
    }

    /// A heartbeat was answered with an error.
    pub(super) fn refused(
        &mut self,
        number: u64,
        code: Code,
        message: Option<String>,
        now: Instant,
    ) {
        if self.out.take_if(|(out, _)| *out == number).is_none() {
            return;
        }
        // Whatever was said may not have been heard (9.3).
        self.said = None;
        let joins = self.epoch == 0;
        let error = self.error(code, message.as_deref());
        match judge(code, joins) {
            Verdict::Again => self.pause(now),
            Verdict::Elsewhere => self.hasten(now),
            Verdict::Complain => {
                if self.complained.replace(code) != Some(code) {
                    self.actions.push(Action::Failed(error));
                }
                self.pause(now);
            }
            Verdict::Fenced if joins => self.pause(now),
            Verdict::Fenced => self.fenced(now),
            Verdict::NameTaken if joins && self.reprieves > 0 => {
                // The name is still this member's own: it is laid down before it is taken again.
                self.reprieves -= 1;
                self.leave_for(After::Rejoin, now);
            }
            Verdict::Unsupported if !self.welcomed => self.unsupported(),
            Verdict::NameTaken | Verdict::Unsupported | Verdict::Fatal => self.fail(error, now),
        }
    }

    fn error(&self, code: Code, message: Option<&str>) -> Error {
        let group = &self.constants.group;
        let why = message.filter(|text| !text.is_empty()).unwrap_or(code.text());
        Error::new(code, format!("the coordinator of group {group} refuses the member: {why}"))
    }

    fn pause(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.due = Some(now + self.backoff.delay(self.failures, jitter()));
    }

    /// Rule 9.10: nothing is committed, the id stays, no back-off.
    fn fenced(&mut self, now: Instant) {
        self.reprieves = REPRIEVES;
        self.begin_anew(now);
    }

    /// What it had is another's: joins as a member that has nothing.
    fn begin_anew(&mut self, now: Instant) {
        let lost = self.books.lose();
        self.join(now);
        self.tell_lost(lost);
    }

    /// What it had is lost. After the word that it is no member, which shuts the gate of commits: whoever
    /// has heard of the loss commits nothing by the old claim.
    fn tell_lost(&mut self, lost: Vec<TopicPartition>) {
        if !lost.is_empty() {
            self.actions.push(Action::Lost(lost));
        }
    }

    /// It is no member, by its own will or for now. What it lost stays lost also if it commits for the last
    /// time meanwhile: only the commits of all else go on.
    fn unknown(&mut self, waits: bool) {
        self.actions.push(Action::Unknown { waits });
        if waits && self.finishing {
            self.actions.push(Action::Reopen);
        }
    }

    fn join(&mut self, now: Instant) {
        self.phase = Phase::Joining;
        self.acknowledge = false;
        (self.epoch, self.said, self.contacted, self.proven) = (0, None, false, None);
        self.unknown(true);
        self.hasten(now);
    }

    /// No answer came: the connection failed, or time ran out.
    pub(super) fn failed(&mut self, number: u64, error: Error, now: Instant) {
        if self.out.take_if(|(out, _)| *out == number).is_none() {
            return;
        }
        self.said = None;
        match error.code() {
            Code::UNSUPPORTED_FEATURE if !self.welcomed => self.unsupported(),
            // Somebody else closed the cluster, and tells of it.
            Code::CLOSED => self.phase = Phase::Gone,
            // What brokers say of the group when its coordinator is looked for, or cannot say at all.
            code if code == Code::UNSUPPORTED_FEATURE || (code.0 > 0 && !error.is_retriable()) => {
                self.fail(error, now);
            }
            // A connection that broke, nonsense, or silence: the coordinator is looked for at once, and
            // with pauses if that goes on.
            _ => {
                self.due = Some(now + self.backoff.delay(self.failures, jitter()));
                self.failures = self.failures.saturating_add(1);
            }
        }
    }

    /// A heartbeat could not be said to this coordinator; another subscription follows, and may take its
    /// time. Until then a member stays one, by heartbeats that say nothing of topics, which changes
    /// nothing; who joins has nothing to say and waits. What was in this one was not said.
    pub(super) fn postponed(&mut self, number: u64) {
        if self.out.take_if(|(out, _)| *out == number).is_some() {
            self.wish = None;
            self.acknowledge = true;
        }
    }

    fn unsupported(&mut self) {
        self.phase = Phase::Gone;
        self.actions.push(Action::Classic);
    }

    /// The membership ends with an error, until the next subscription.
    fn fail(&mut self, error: Error, now: Instant) {
        let lost = self.books.lose();
        self.acknowledge = false;
        self.wish = None;
        if self.epoch > 0 {
            self.leave_for(After::Idle, now);
        } else {
            self.phase = Phase::Idle;
            self.actions.push(Action::Unknown { waits: false });
        }
        self.tell_lost(lost);
        self.actions.push(Action::Failed(error));
    }

    /// What is subscribed from now on; none: nothing.
    pub(super) fn subscribe(&mut self, wish: Option<Wish>, now: Instant) {
        self.wish = wish;
        self.finishing = false;
        match (self.phase, &self.wish) {
            (Phase::Idle, Some(_)) => self.join(now),
            (Phase::Joining | Phase::Member, Some(wish)) if self.said.as_ref() != Some(wish) => {
                self.hasten(now);
            }
            (Phase::Joining | Phase::Member, None) => self.leave_for(After::Idle, now),
            (Phase::Leaving(After::Idle), Some(_)) => self.phase = Phase::Leaving(After::Rejoin),
            (Phase::Leaving(After::Rejoin | After::Away), None) => {
                self.phase = Phase::Leaving(After::Idle);
            }
            (Phase::Away, None) => self.phase = Phase::Idle,
            _ => {}
        }
    }

    /// The application does not poll: leaves at once, and tells of the loss then (9.15).
    pub(super) fn step_out(&mut self, now: Instant) {
        match self.phase {
            Phase::Joining | Phase::Member => {
                let lost = self.books.lose();
                self.leave_for(After::Away, now);
                self.tell_lost(lost);
            }
            Phase::Leaving(After::Rejoin) => self.phase = Phase::Leaving(After::Away),
            _ => {}
        }
    }

    /// The application polls again.
    pub(super) fn step_in(&mut self, now: Instant) {
        match self.phase {
            Phase::Away => self.join(now),
            Phase::Leaving(After::Away) => self.phase = Phase::Leaving(After::Rejoin),
            _ => {}
        }
    }

    /// The consumer commits for the last time, and leaves then (rule 8.25). A member commits whatever
    /// others do; who is none at the moment has nothing that its commits could wait for.
    pub(super) fn finish(&mut self) {
        self.finishing = true;
        if matches!(self.phase, Phase::Joining | Phase::Leaving(_) | Phase::Away) {
            self.actions.push(Action::Reopen);
        }
    }

    /// Leaves for good.
    pub(super) fn leave(&mut self, now: Instant) {
        match self.phase {
            Phase::Joining | Phase::Member => self.leave_for(After::Gone, now),
            Phase::Leaving(_) => self.phase = Phase::Leaving(After::Gone),
            Phase::Idle | Phase::Away | Phase::Gone => {
                self.phase = Phase::Gone;
                self.actions.push(Action::Gone);
            }
        }
    }

    /// Gives up what is on its way, and leaves if the coordinator may know of the member.
    ///
    /// An application that unsubscribed and subscribed again at once may have taken what the last answer
    /// brought for its new share:
    ///
    /// ```text
    ///   application:   unsubscribes  subscribes  takes P: it has subscribed
    ///   member:                      P is its    │        hears of the end, forgets P ── P is another's
    /// ```
    ///
    /// So it hears that P is none of it.
    fn leave_for(&mut self, after: After, now: Instant) {
        let told = self.books.lose();
        self.out = None;
        self.said = None;
        self.acknowledge = false;
        self.phase = Phase::Leaving(after);
        self.unknown(matches!(after, After::Away | After::Rejoin));
        if after == After::Idle && !told.is_empty() {
            self.actions.push(Action::Overtaken(told));
        }
        if !self.contacted {
            return self.left(now);
        }
        self.contacted = false;
        let epoch = if self.constants.instance.is_some() { LEAVE_STATIC } else { LEAVE };
        self.actions.push(Action::Leave(Arc::clone(&self.member), epoch));
    }

    /// The leave is over, whatever was answered (9.13).
    pub(super) fn left(&mut self, now: Instant) {
        let Phase::Leaving(after) = self.phase else { return };
        self.epoch = 0;
        match after {
            After::Idle => self.phase = Phase::Idle,
            After::Away => self.phase = Phase::Away,
            After::Rejoin => self.join(now),
            After::Gone => {
                self.phase = Phase::Gone;
                self.actions.push(Action::Gone);
            }
        }
    }

    /// A commit of the member in its present epoch was answered as if it were none: a heartbeat finds out.
    pub(super) fn doubted(&mut self, epoch: i32, now: Instant) {
        if self.phase == Phase::Member && self.epoch == epoch {
            self.hasten(now);
        }
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "subscription_tests.rs"]
mod subscription_tests;
