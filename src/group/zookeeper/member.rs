//! A member in its sessions: what it registered, owns and watches, and its rebalance.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;
use tokio::time::sleep_until;

use super::assignment::View;
use super::layout::Layout;
use super::orders::Orders;
use super::plan::{Held, Plan};
use super::reading::Reading;
use super::registration::Registration;
use super::shared::Shared;
use super::teller::Teller;
use super::tries::{Tries, pause};
use crate::discovery::zookeeper::{Failure, Outcome, Session, WatchEvent, Watcher, Watches};
use crate::error::{Code, Error, Result};
use crate::group::TopicPartition;
use crate::net::jitter;

/// What came of a rebalance.
pub(super) enum Verdict {
    /// The member has its share.
    Settled,
    /// Somebody is in the way: again, later.
    Blocked(Error),
}

/// All the state survives when a rebalance is cut short: whatever may have been made is noted before it
/// is asked for.
pub(super) struct Member {
    pub(super) shared: Arc<Shared>,
    pub(super) teller: Teller,
    orders: watch::Receiver<Orders>,
    pub(super) tries: Tries,
    watcher: Watcher,
    watches: Watches,
    /// What the member's node says.
    registered: Option<Registration>,
    /// The member's node may be there, with whatever in it.
    pub(super) touched: bool,
    pub(super) held: BTreeMap<TopicPartition, Held>,
    /// Which partition an owner node of ours is for, by its path.
    nodes: HashMap<String, TopicPartition>,
    /// Owner nodes of ours that somebody changed.
    suspects: BTreeSet<String>,
    /// Nodes of others that are in the way.
    awaited: BTreeSet<String>,
    /// It had its share once, since it joined.
    has_settled: bool,
}

impl Member {
    pub(super) fn new(
        shared: Arc<Shared>,
        teller: Teller,
        orders: watch::Receiver<Orders>,
    ) -> Self {
        let (watcher, watches) = Watcher::new();
        Self {
            shared,
            teller,
            orders,
            tries: Tries::default(),
            watcher,
            watches,
            registered: None,
            touched: false,
            held: BTreeMap::new(),
            nodes: HashMap::new(),
            suspects: BTreeSet::new(),
            awaited: BTreeSet::new(),
            has_settled: false,
        }
    }

    /// A new session: whatever was made in the last one is gone by itself, and is not touched; it may be
    /// somebody else's by now (rule 10.7).
    pub(super) fn begin(&mut self) {
        (self.watcher, self.watches) = Watcher::new();
        self.registered = None;
        self.touched = false;
        self.held.clear();
        self.nodes.clear();
        self.suspects.clear();
        self.awaited.clear();
        self.shared.set_member(None);
    }

    /// Nothing is read any more: tells so, and keeps the nodes in mind.
    pub(super) fn lose(&mut self) {
        let lost = self.forget();
        if !lost.is_empty() {
            self.teller.lost(lost);
        }
    }

    /// The subscription by which its share was told is over, and the nodes are about to go. The consumer
    /// let go of all that it had heard of by then; what it heard of since, while it had subscribed anew,
    /// is none of its new share. Its last commits may still be on their way.
    pub(super) fn overtaken(&self) {
        let told = self.read();
        if !told.is_empty() {
            self.teller.lost(told);
        }
    }

    /// What the consumer reads.
    fn read(&self) -> Vec<TopicPartition> {
        let reading = self.held.iter().filter(|(_, held)| held.is_read);
        reading.map(|(partition, _)| partition.clone()).collect()
    }

    /// Nothing is read any more; gives what was.
    pub(super) fn forget(&mut self) -> Vec<TopicPartition> {
        for partition in self.teller.revoked() {
            self.stop_reading(&partition);
        }
        let lost = self.read();
        lost.iter().for_each(|partition| self.stop_reading(partition));
        self.shared.disown(&lost);
        lost
    }

    /// It left: the next time it joins as one that never had anything.
    pub(super) fn gone(&mut self) {
        self.forget();
        self.begin();
        self.tries.succeeded();
        self.has_settled = false;
    }

    fn stop_reading(&mut self, partition: &TopicPartition) {
        if let Some(held) = self.held.get_mut(partition) {
            held.is_read = false;
        }
    }

    /// Rebalances whenever something changed, one rebalance after the other (rule 10.8), until it can
    /// never succeed.
    pub(super) async fn work(&mut self, session: &Session) -> Failure {
        loop {
            let trouble = match self.rebalance(session).await {
                Ok(Verdict::Settled) => {
                    self.tries.succeeded();
                    self.change(None).await;
                    continue;
                }
                Ok(Verdict::Blocked(error)) => error,
                Err(failure @ Failure::Expired) => return failure,
                Err(failure) if failure.is_final() => return failure,
                Err(failure) => failure.into(),
            };
            let again = self.failed(trouble, session);
            self.change(Some(again)).await;
        }
    }

    /// A try failed; says when the next one is due.
    pub(super) fn stumble(&mut self, trouble: Error, session: std::time::Duration) -> Instant {
        let config = &self.shared.config.zookeeper;
        let (group, now) = (&self.shared.group, Instant::now());
        let due = self.tries.failed(now, config.rebalance_retries, session);
        self.shared.logger.debug("group", format_args!("{group}: a rebalance failed: {trouble}"));
        if due {
            let tries = self.tries.failures();
            let text = format!("group {group} could not rebalance in {tries} tries, and tries on");
            let error = Error::new(Code::TIMED_OUT, text).caused_by(trouble);
            self.shared.logger.warn("group", format_args!("{error}"));
            self.teller.failed(error);
        }
        now + pause(config.rebalance_backoff, jitter())
    }

    fn failed(&mut self, trouble: Error, session: &Session) -> Instant {
        self.stumble(trouble, session.timeout())
    }

    /// Waits until something changed that a rebalance may answer, or until `again`.
    async fn change(&mut self, again: Option<Instant>) {
        loop {
            let pause = async {
                match again {
                    Some(again) => sleep_until(again.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(event) = self.watches.next() => {
                    if self.hear(event) {
                        return;
                    }
                }
                Ok(()) = self.orders.changed() => return,
                () = pause => return,
                else => std::future::pending().await,
            }
        }
    }

    /// Notes a change; whether it matters. Of our own releases we need not hear.
    fn hear(&mut self, event: WatchEvent) -> bool {
        let WatchEvent::Node(event) = event else { return true };
        if self.awaited.remove(&event.path) {
            return true;
        }
        let owners = self.shared.paths.all_owners();
        if !event.path.starts_with(&owners) {
            return true;
        }
        let partition = self.nodes.get(&event.path);
        let is_held = partition.is_some_and(|partition| self.held.contains_key(partition));
        if is_held {
            self.suspects.insert(event.path);
        }
        is_held
    }

    /// One rebalance: releases what goes, reads everything anew, computes, claims what comes (rule 10.1).
    async fn rebalance(&mut self, session: &Session) -> Outcome<Verdict> {
        self.teller.settled().await;
        loop {
            while let Some(event) = self.watches.try_next() {
                self.hear(event);
            }
            self.examine(session).await?;
            let wish = self.orders.borrow_and_update().wish.clone();
            let (shared, watcher) = (Arc::clone(&self.shared), self.watcher.clone());
            let reading = Reading { shared: &shared, session, watcher: Some(&watcher) };
            let Some(layout) = reading.layout().await? else { return Ok(Verdict::Settled) };
            let exclude_internal = shared.config.exclude_internal_topics;
            let existing =
                if wish.patterns.is_empty() { Vec::new() } else { reading.topics().await? };
            let registration = Registration::of(&wish, &existing, exclude_internal)
                .and_then(|registration| check(layout, registration))
                .map_err(Error::fatal)?;
            if layout == Layout::PyKafka {
                reading.watch_brokers().await?;
            }
            let topics = registration.topics(&existing, exclude_internal);
            let topics = reading.partitions(layout, topics).await?;
            let mut view = View { layout, exclude_internal, members: BTreeMap::new(), topics };
            if shared.config.zookeeper.refuse_idle_members && !self.has_settled {
                view.members = reading.members(layout).await?;
                view.members.remove(&*shared.id(layout));
                if view.is_crowded() {
                    return Err(crowded(&shared.group).into());
                }
            }
            if let Some(blocked) = self.register(session, layout, registration).await? {
                return Ok(Verdict::Blocked(blocked));
            }
            view.members = reading.members(layout).await?;
            let id = shared.id(layout);
            if !view.members.contains_key(&*id) {
                self.registered = None;
                let text = format!("the node of member {id} was deleted by somebody");
                return Ok(Verdict::Blocked(Error::new(Code::ZOOKEEPER, text)));
            }
            let plan = Plan::new(&self.held, &view.wanted(&id));
            if plan.releases() {
                self.release(session, layout, plan).await?;
                continue;
            }
            if plan.claim.is_empty() && !self.has_settled {
                // No partition is for it. Who waits for the first share must hear that this is all.
                self.teller.assign(Vec::new());
            } else if let Some(blocked) = self.claim(session, layout, plan.claim).await? {
                return Ok(Verdict::Blocked(blocked));
            }
            self.has_settled = true;
            return Ok(Verdict::Settled);
        }
    }

    /// Looks at owner nodes of ours that changed: what is not ours any more is lost (rule 10.2).
    async fn examine(&mut self, session: &Session) -> Outcome<()> {
        while let Some(path) = self.suspects.first().cloned() {
            let stat = session.exists(&path, Some(&self.watcher), super::reading::soon()).await?;
            let is_ours = stat.is_some_and(|stat| stat.ephemeral_owner == session.id());
            self.suspects.remove(&path);
            if is_ours {
                continue;
            }
            let Some(partition) = self.nodes.remove(&path) else { continue };
            let held = self.held.remove(&partition);
            self.shared.disown(std::slice::from_ref(&partition));
            if held.is_some_and(|held| held.is_read) {
                self.teller.lost(vec![partition]);
            }
        }
        Ok(())
    }

    /// Gives up what goes: the consumer commits and hands over first, then the nodes are released.
    async fn release(&mut self, session: &Session, layout: Layout, plan: Plan) -> Outcome<()> {
        if !plan.revoke.is_empty() {
            self.teller.revoke(plan.revoke.clone());
            self.teller.settled().await;
            plan.revoke.iter().for_each(|partition| self.stop_reading(partition));
            self.shared.disown(&plan.revoke);
        }
        let going: Vec<TopicPartition> = plan.revoke.into_iter().chain(plan.release).collect();
        self.let_go(session, layout, &going).await
    }
}

/// Refuses what a layout cannot say.
fn check(layout: Layout, registration: Registration) -> Result<Registration> {
    match &registration {
        Registration::Topics(topics) if layout == Layout::PyKafka && topics.len() > 1 => {}
        Registration::White(_) | Registration::Black(_) if layout == Layout::PyKafka => {}
        _ => return Ok(registration),
    }
    let text = "a member of PyKafka's groups reads one topic, by its name";
    Err(Error::new(Code::INVALID_ARGUMENT, text).with_property("zookeeper.group.layout"))
}

/// No partition is left, and `samsa.group.refuse.idle.members` is set.
fn crowded(group: &str) -> Error {
    let text = format!("group {group} has a member for each partition already");
    let error = Error::new(Code::GROUP_MAX_SIZE_REACHED, text);
    error.with_property("samsa.group.refuse.idle.members").fatal()
}

#[path = "nodes.rs"]
mod nodes;
