//! What a membership and the consumer that it serves ask of each other.
//!
//! A membership is a state machine driven by a task of its own on the I/O threads. It decides which
//! partitions its member reads, and says so in [`Step`]s; the consumer tells the application of them
//! inside its poll-like calls, and reports back through [`Done`] when the application has heard. What
//! keeps a member alive (heartbeats, a session) never waits for either.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::assign::Assign;
use crate::error::Error;
use crate::runtime::Completion;

/// A partition by the name of its topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic.
    pub topic: Arc<str>,
    /// Kafka's number; in Kafka 0.7, where a partition is one of a broker's, `broker << 32 | number`.
    pub partition: i64,
}

/// What an application wishes to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    /// By name; in order, each once.
    pub topics: Vec<Arc<str>>,
    /// Regular expressions: every topic whose whole name one of them matches. Without the `^` by which
    /// the application marked them, if that was all.
    pub patterns: Vec<Arc<str>>,
    /// Regular expressions of topics that no pattern brings in (the old Scala client's blacklist).
    pub except: Vec<Arc<str>>,
}

impl Subscription {
    /// Whether nothing is wished for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty() && self.patterns.is_empty()
    }
}

/// What became of the member's partitions. Steps come one after the other: a membership that gave an
/// [`Assign`](Step::Assign) or a [`Revoke`](Step::Revoke) gives the next of either only when that one is
/// done. [`Lost`](Step::Lost) may come at any time, and makes steps that were not told yet void: an
/// `Assign` of lost partitions is never told, a `Revoke` of them is told as lost. A closure that was
/// overtaken so is dropped, and with it its [`Done`].
#[derive(Debug)]
pub enum Step {
    /// These partitions are the member's, besides those that it has. They are read from the offsets that
    /// the group committed. Done when the application has heard; reading begins then.
    Assign(Vec<TopicPartition>, Done),
    /// These will be another member's. Nothing of them is handed out from the moment the step arrives;
    /// what was handed out and come back for is committed, the application hears, and then it is done.
    Revoke(Vec<TopicPartition>, Done),
    /// These are another member's already, or may be: nothing is committed.
    Lost(Vec<TopicPartition>),
    /// Something for the thread that polls next, such as the application's own assignor.
    Run(Job),
    /// Told once by a poll-like call. Fatal ones end the membership until the next subscription.
    Failed(Error),
}

/// Something that runs on a thread of the application.
pub struct Job(pub Box<dyn FnOnce() + Send>);

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Job")
    }
}

/// Says that a step is done, when it is dropped: none can be forgotten.
pub struct Done(Option<Box<dyn FnOnce() + Send>>);

impl Done {
    /// Calls `told`, which must neither block nor fail, once.
    pub fn new(told: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(told)))
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        if let Some(told) = self.0.take() {
            told();
        }
    }
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Done")
    }
}

/// Where a membership's steps go: the consumer.
pub trait Listener: fmt::Debug + Send + Sync {
    /// Takes a step, in the order of the calls. Never blocks, never calls back into the membership.
    fn step(&self, step: Step);

    /// The member is sure to be one until then (none: nothing ends that by the clock). Past it nothing
    /// more is handed out, until this is called again or the partitions are taken away: a process that
    /// stood still may run on before its membership has noticed (rules 8.7, 10.6). Never blocks.
    fn confirmed(&self, _until: Option<Instant>) {}

    /// The application's own assignor, if it has one: a classic group offers it before the configured
    /// ones, and runs it by [`Step::Run`]. Asked once, when the membership starts.
    fn assignor(&self) -> Option<Arc<dyn Assign>> {
        None
    }

    /// What the member says of itself to that assignor. Asked before every join. Never blocks.
    fn user_data(&self) -> Option<Bytes> {
        None
    }
}

/// Who a member is in its group, as commits and applications are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `group.id`.
    pub group: Arc<str>,
    /// The id that the coordinator knows the member by; in ZooKeeper the name of its node.
    pub member: Arc<str>,
    /// `group.instance.id` of a static member.
    pub instance: Option<Arc<str>>,
    /// Generation (classic) or member epoch (KIP-848); −1 where there is none.
    pub generation: i32,
    /// What the application's own assignor, in the group's leader, told it with its newest assignment.
    pub user_data: Option<Bytes>,
}

/// One member of one group. Its calls do not wait; dropped, it is gone from the group only when its
/// session ends: [`leave`](Self::leave) first.
pub trait Membership: fmt::Debug + Send + Sync {
    /// From now on this is wished for; empty: leave the group, and stay ready to join again.
    fn subscribe(&self, subscription: Subscription);

    /// Who the member is now; none while it is no member.
    fn identity(&self) -> Option<Identity>;

    /// The application has not polled for `max.poll.interval.ms`: leave the group now, tell
    /// [`Step::Lost`], and stay out until [`step_in`](Self::step_in).
    fn step_out(&self);

    /// The application polls again.
    fn step_in(&self);

    /// Asks for a rebalance, where a member may (KIP-568).
    fn rejoin(&self, why: &'static str);

    /// The consumer commits for the last time, and leaves then, by [`leave`](Self::leave) or by
    /// subscribing to nothing: from now on no rebalance begins, and commits do not wait for others. A
    /// round that is being completed may delay them for a moment. The next subscription ends it. Nothing
    /// to do where commits never wait for other members. What is revoked from now on the consumer answers
    /// after its last commit.
    fn finish(&self) {}

    /// Leaves the group for good: nothing more is told. The consumer has revoked and committed before.
    /// Completed when the coordinator has answered or need not be asked (a static member stays,
    /// KIP-345); whoever waits for it bounds the wait.
    fn leave(&self) -> Completion<()>;

    /// The same for who waits until `limit` that it is confirmed. A membership that would wait for less
    /// time by itself waits so long, and completes with TIMED_OUT if nobody has confirmed it by then.
    fn leave_within(&self, _limit: Instant) -> Completion<()> {
        self.leave()
    }
}
