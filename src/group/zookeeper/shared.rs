//! What a membership, its task and its offset store share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use super::identity::member_id;
use super::layout::{Layout, Paths};
use crate::config::GroupConfig;
use crate::discovery::zookeeper::{Phase, Session, Settings, ZooKeeper};
use crate::group::{Identity, TopicPartition};
use crate::log::Logger;
use crate::runtime::Runtime;

/// The membership's own client of ZooKeeper, started when it is needed: its session, and what happens
/// to it, are this member's alone.
#[derive(Debug)]
pub(super) struct Clients {
    settings: Settings,
    runtime: Runtime,
    logger: Logger,
    current: Mutex<Option<ZooKeeper>>,
}

impl Clients {
    pub(super) fn new(settings: Settings, runtime: Runtime, logger: Logger) -> Self {
        Self { settings, runtime, logger, current: Mutex::default() }
    }

    /// The client; a new one if there is none, or it has ended.
    pub(super) fn get(&self) -> ZooKeeper {
        let mut current = lock(&self.current);
        let ended = |client: &ZooKeeper| matches!(client.status().borrow().phase, Phase::Ended(_));
        if let Some(client) = current.as_ref().filter(|client| !ended(client)) {
            return client.clone();
        }
        let client = ZooKeeper::start(self.settings.clone(), self.runtime, &self.logger);
        current.insert(client).clone()
    }

    /// Asks for the end of the session, and with it of its nodes; gives the client to wait for.
    pub(super) fn end(&self, deadline: Instant) -> Option<ZooKeeper> {
        let client = lock(&self.current).take()?;
        client.close(deadline);
        Some(client)
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
        }
    }

    /// The layout, once the brokers that are registered have shown their generation.
    pub(super) fn layout(&self) -> Option<Layout> {
        self.layout.get().copied()
    }

    pub(super) fn set_layout(&self, layout: Layout) -> Layout {
        *self.layout.get_or_init(|| layout)
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
        Some(Identity { group: Arc::clone(&self.group), member, instance: None, generation: -1 })
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
