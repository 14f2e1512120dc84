//! What goes into a member's machine, and what comes out of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::error::Error;
use crate::group::{Subscribed, TopicPartition};
use crate::net::Backoff;

/// What does not change while the member lives.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) session: Duration,
    pub(super) heartbeat: Duration,
    pub(super) backoff: Backoff,
    /// What all configured assignors can (rule 8.16).
    pub(super) cooperative: bool,
    /// It has a `group.instance.id` (KIP-345).
    pub(super) is_static: bool,
}

/// Where a member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not in the group, and nothing is wished for, or it may not join.
    Out,
    /// It joins as soon as nothing keeps it.
    Waiting,
    Joining,
    Leading,
    Syncing,
    Stable,
    /// It leaves as soon as it has given up what it holds.
    Parting,
}

/// What the member wishes to read.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) subscribed: Subscribed,
    /// The topics that it means at the moment, sorted.
    pub(super) topics: Vec<Arc<str>>,
}

impl Wish {
    /// Also what a pattern means and was not seen yet (rule 8.22).
    pub(super) fn accepts(&self, topic: &str) -> bool {
        self.topics.iter().any(|known| **known == *topic) || self.subscribed.means(topic)
    }
}

/// Who the member is: requests carry it, and their answers count only while it is the same (8.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Who {
    pub(super) member: Arc<str>,
    pub(super) generation: i32,
}

/// A join to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Joining {
    pub(super) attempt: u64,
    pub(super) member: Arc<str>,
    pub(super) topics: Vec<Arc<str>>,
    /// What it holds, and since which generation: claims for the leader (rules 8.12, 8.15).
    pub(super) owned: Vec<TopicPartition>,
    /// What it was given last, also if it gave that up for this join: for `sticky`.
    pub(super) last: Vec<TopicPartition>,
    pub(super) generation: i32,
    pub(super) why: &'static str,
}

/// A member as the leader hears of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) id: String,
    pub(super) instance: Option<String>,
    pub(super) metadata: Bytes,
}

/// The answer to a join.
#[derive(Clone, Debug)]
pub(super) struct Joined {
    pub(super) who: Who,
    pub(super) protocol: String,
    pub(super) leads: bool,
    /// The leader keeps the assignment that there is (KIP-814).
    pub(super) skip: bool,
    pub(super) members: Vec<Told>,
    /// What the wish meant when the join was sent, if that was looked up.
    pub(super) topics: Option<Vec<Arc<str>>>,
}

/// The leader's work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leading {
    pub(super) attempt: u64,
    pub(super) me: Arc<str>,
    pub(super) protocol: String,
    pub(super) members: Vec<Told>,
    pub(super) skip: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Led {
    pub(super) shares: Vec<(String, Bytes)>,
    /// With `skip`: topics that this member alone reads.
    pub(super) mine_alone: Vec<Arc<str>>,
}

/// A sync to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Syncing {
    pub(super) attempt: u64,
    pub(super) who: Who,
    pub(super) protocol: String,
    pub(super) shares: Vec<(String, Bytes)>,
}

/// The answer to a sync: what the member gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Assigned {
    pub(super) places: Vec<TopicPartition>,
    /// What an assignor of the application's own told it besides.
    pub(super) user_data: Option<Bytes>,
}

/// Why a request came to nothing: a code of the coordinator's, or of ours.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) error: Error,
    /// The id that came with it.
    pub(super) member: Option<Arc<str>>,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Join(Joining),
    Lead(Leading),
    Sync(Syncing),
    Beat(Who),
    Leave(Arc<str>, &'static str),
    /// The answer to the join, the sync or the leader's work under way does not count any more.
    Abandon,
    /// The coordinator is silent: look for it again.
    Elsewhere,
    /// No commits from now on.
    Shut,
    /// Commits go on as the member that it was, though a rebalance is under way: it leaves.
    Reopen,
    /// The member is this one; commits wait on.
    Introduce(Who),
    /// It holds these too, and commits go on.
    Hold(Vec<TopicPartition>, Who),
    /// Its leader's assignor told it this besides.
    Inform(Option<Bytes>),
    /// It does not hold these any more.
    GiveUp(Vec<TopicPartition>),
    /// It holds nothing and is nobody; whether commits wait for it to be somebody again.
    Dismiss {
        shut: bool,
    },
    /// Steps for the application; the first two come back by their numbers.
    Assign(Vec<TopicPartition>, u64),
    Revoke(Vec<TopicPartition>, u64),
    Lost(Vec<TopicPartition>),
    Failed(Error),
    /// Whether this member watches the topics of all (rule 8.19).
    Watch(bool),
}
