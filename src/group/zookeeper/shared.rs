//! What a membership, its task and its offset store share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::timeout_at;

use super::identity::member_id;
use super::layout::{Layout, Paths};
use crate::config::GroupConfig;
use crate::discovery::zookeeper::{Phase, Session, Settings, ZooKeeper};
use crate::error::Error;
use crate::group::{Identity, TopicPartition};
use crate::log::Logger;
use crate::runtime::Runtime;

/// How long the last commits may take before the session ends all the same.
const LAST_COMMITS: Duration = Duration::from_secs(3);

/// How long ZooKeeper is given to hear that a session ends.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The membership's own client of ZooKeeper, started when it is needed: its session, and what happens
/// to it, are this member's alone.
#[derive(Debug)]
pub(super) struct Clients {
    settings: Settings,
    runtime: Runtime,
    logger: Logger,
    current: Mutex<Option<Current>>,
}

#[derive(Debug)]
struct Current {
    client: ZooKeeper,
    /// It is asked to end, and serves nobody any more.
    is_closing: bool,
}

impl Clients {
    pub(super) fn new(settings: Settings, runtime: Runtime, logger: Logger) -> Self {
        Self { settings, runtime, logger, current: Mutex::default() }
    }

    /// The client; a new one if there is none, or it ends.
    pub(super) fn get(&self) -> ZooKeeper {
        let mut current = lock(&self.current);
        let serves = |current: &&Current| {
            let status = current.client.status();
            let ended = matches!(status.borrow().phase, Phase::Ended(_));
            !ended && !current.is_closing
        };
        if let Some(current) = current.as_ref().filter(serves) {
            return current.client.clone();
        }
        let client = ZooKeeper::start(self.settings.clone(), self.runtime, &self.logger);
        current.insert(Current { client, is_closing: false }).client.clone()
    }

    /// Ends the session, and with it its nodes; waits until that is so, or `deadline`. Whether it is so.
    async fn end(&self, deadline: Instant) -> bool {
        let client = lock(&self.current).as_mut().map(|current| {
            current.is_closing = true;
            current.client.clone()
        });
        let Some(client) = client else { return true };
        client.close(deadline);
        client.closed().await
    }
}

/// Whose offsets may be written (rule 10.11).
#[derive(Debug, Default)]
struct Own {
    /// The member's node, while it is registered.
    member: Option<Arc<str>>,
    /// The session that owns the partitions.
    session: Option<Session>,
    /// Each with the number of its claim.
    partitions: BTreeMap<TopicPartition, u64>,
    claims: u64,
}

/// Who may write a partition's offset.
#[derive(Debug)]
pub(super) enum Right {
    /// This member, in this session, since the claim of this number.
    Owner(Session, u64),
    /// It is a member, and another one's partition.
    NotOwner,
    /// It is no member: whoever finds the partition without an owner.
    Outsider,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) group: Arc<str>,
    pub(super) paths: Paths,
    pub(super) config: GroupConfig,
    pub(super) runtime: Runtime,
    pub(super) logger: Logger,
    pub(super) clients: Clients,
    layout: OnceLock<Layout>,
    id: OnceLock<Arc<str>>,
    own: Mutex<Own>,
    /// How many commits are on their way.
    commits: watch::Sender<usize>,
    /// Nodes of topics that could not be read, each of which was logged.
    doubted: Mutex<BTreeSet<String>>,
    /// Until when somebody waits for the end of the session, once the member has left for good.
    leave: OnceLock<Instant>,
}

/// A commit on its way.
#[derive(Debug)]
pub(super) struct Commit(Arc<Shared>);

impl Drop for Commit {
    fn drop(&mut self) {
        self.0.commits.send_modify(|commits| *commits = commits.saturating_sub(1));
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(
        group: Arc<str>,
        config: GroupConfig,
        settings: Settings,
        runtime: Runtime,
        logger: Logger,
    ) -> Self {
        Self {
            paths: Paths::new(Arc::clone(&group)),
            group,
            config,
            runtime,
            logger: logger.clone(),
            clients: Clients::new(settings, runtime, logger),
            layout: OnceLock::new(),
            id: OnceLock::new(),
            own: Mutex::default(),
            commits: watch::Sender::new(0),
            doubted: Mutex::default(),
            leave: OnceLock::new(),
        }
    }

    /// A commit begins; the session is not ended before it is done, if that does not take long.
    pub(super) fn begin_commit(self: &Arc<Self>) -> Commit {
        self.commits.send_modify(|commits| *commits += 1);
        Commit(Arc::clone(self))
    }

    /// The member leaves for good; somebody waits until `limit` for the end of its session.
    pub(super) fn take_leave(&self, limit: Option<Instant>) {
        if let Some(limit) = limit {
            // The first one waits for it.
            let _ = self.leave.set(limit);
        }
    }

    /// Ends the session when the commits on their way are done. Each of the two has its time, so that a
    /// silent ZooKeeper holds nobody up. Whether the session is over: a server said so, or there was none.
    pub(super) async fn farewell(&self) -> bool {
        self.set_member(None);
        let mut commits = self.commits.subscribe();
        let done = commits.wait_for(|commits| *commits == 0);
        let limit = self.leave.get().copied();
        let last_commits = Instant::now() + LAST_COMMITS;
        let last_commits = limit.map_or(last_commits, |limit| limit.min(last_commits));
        let _ = timeout_at(last_commits.into(), done).await;
        // Who goes before it is over has had its answer: the server is told all the same.
        let last_words = Instant::now() + LAST_WORDS;
        // Longer than its time-out a session does not last, heard or not.
        let longest = Instant::now() + self.clients.settings.session_timeout;
        let limit = limit.map_or(last_words, |limit| limit.min(longest).max(last_words));
        self.clients.end(limit).await
    }

    /// The layout, once the brokers that are registered have shown their generation.
    pub(super) fn layout(&self) -> Option<Layout> {
        self.layout.get().copied()
    }

    pub(super) fn set_layout(&self, layout: Layout) -> Layout {
        *self.layout.get_or_init(|| layout)
    }

    /// A topic's node cannot be read, and counts as not there: logged once, not in each rebalance.
    pub(super) fn doubt(&self, path: &str, why: &Error) {
        if lock(&self.doubted).insert(path.to_owned()) {
            let group = &self.group;
            let text = format_args!("{group}: {path} in ZooKeeper counts as not there: {why}");
            self.logger.warn("group", text);
        }
    }

    /// It can be read; should it not be any more, that is logged again.
    pub(super) fn trust(&self, path: &str) {
        lock(&self.doubted).remove(path);
    }

    /// What this member is called, in every session.
    pub(super) fn id(&self, layout: Layout) -> Arc<str> {
        let make = || {
            let consumer = self.config.zookeeper.consumer_id.as_deref();
            member_id(layout, &self.group, consumer).into()
        };
        Arc::clone(self.id.get_or_init(make))
    }

    pub(super) fn identity(&self) -> Option<Identity> {
        let member = lock(&self.own).member.clone()?;
        let group = Arc::clone(&self.group);
        Some(Identity { group, member, instance: None, generation: -1, user_data: None })
    }

    /// The member is registered under this name, or not at all.
    pub(super) fn set_member(&self, member: Option<Arc<str>>) {
        lock(&self.own).member = member;
    }

    /// These partitions belong to the member as long as this session lives.
    pub(super) fn own(&self, session: &Session, partitions: &[TopicPartition]) {
        let mut own = lock(&self.own);
        own.session = Some(session.clone());
        own.claims += 1;
        let claim = own.claims;
        own.partitions.extend(partitions.iter().map(|partition| (partition.clone(), claim)));
    }

    /// These do not any more, or never will.
    pub(super) fn disown(&self, partitions: &[TopicPartition]) {
        let mut own = lock(&self.own);
        for partition in partitions {
            own.partitions.remove(partition);
        }
    }

    /// Who may write a partition's offset now.
    pub(super) fn right(&self, partition: &TopicPartition) -> Right {
        let own = lock(&self.own);
        match (&own.session, own.partitions.get(partition), &own.member) {
            (Some(session), Some(claim), _) => Right::Owner(session.clone(), *claim),
            (_, _, Some(_)) => Right::NotOwner,
            (_, _, None) => Right::Outsider,
        }
    }
}
