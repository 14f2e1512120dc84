//! Groups that agree by nodes in ZooKeeper: the Scala client's of Kafka 0.7 and of 0.8 to 1.x, and
//! PyKafka's.
//!
//! A member has a ZooKeeper session of its own. It registers itself, watches who else is there and which
//! partitions there are, computes its share as all members do, and reads a partition only while it holds
//! the partition's owner node. What stays its own across a rebalance is neither released nor read again.
//!
//! | what | for |
//! |---|---|
//! | `layout`, `registration`, `filter`, `identity` | what nodes are called, and what stands in them |
//! | `assignment`, `plan`, `tries` | who gets what; what to release and claim; when to try again |
//! | `reading`, `member`, `nodes` | one session: what is read, registered, claimed and released |
//! | `task`, `teller` | sessions one after the other; what the consumer is told |
//! | `offsets`, `store` | offsets in ZooKeeper; which stores count, and who may write |
//!
//! All but the last three rows are pure.

mod assignment;
mod filter;
mod identity;
mod layout;
mod member;
mod offsets;
mod orders;
mod plan;
mod reading;
mod registration;
mod shared;
mod store;
mod task;
mod teller;
mod tries;

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::watch;

use self::member::Member as Seat;
use self::orders::Orders;
use self::shared::{Shared, lock};
use self::store::Store;
use self::task::Task;
use self::teller::{Gate, Teller};
use super::{Identity, KafkaOffsets, Listener, Member, Membership, OffsetStore, Subscription};
use crate::cluster::Cluster;
use crate::config::{Assignor, GroupConfig, OffsetsStorage, ZooKeeperLayout};
use crate::discovery::zookeeper::Settings;
use crate::error::{Code, Error, Result};
use crate::os::fork::Era;
use crate::runtime::Completion;

/// A member of a group in ZooKeeper, which joins with its first subscription. Does not wait.
///
/// `INVALID_GROUP_ID` without a `group.id` that can be the name of a node; `INVALID_PROPERTY` without
/// `zookeeper.connect`, and for assignors that these groups do not have.
pub(super) fn start(
    cluster: &Arc<Cluster>,
    config: &GroupConfig,
    listener: Arc<dyn Listener>,
) -> Result<Member> {
    let client = cluster.client_config();
    let Some(zookeeper) = &client.zookeeper else {
        let text = "group.protocol=zookeeper needs zookeeper.connect";
        return Err(Error::new(Code::INVALID_PROPERTY, text).with_property("zookeeper.connect"));
    };
    let settings = Settings::new(client, zookeeper);
    let group = check(config)?;
    let (runtime, logger) = (cluster.runtime(), cluster.logger().clone());
    let shared = Arc::new(Shared::new(group, config.clone(), settings, runtime, logger));
    let zookeeper = &config.zookeeper;
    let kafka: Option<Arc<dyn OffsetStore>> = match zookeeper.offsets_storage
        == OffsetsStorage::Kafka
        || zookeeper.layout == ZooKeeperLayout::PyKafka
    {
        true => Some(KafkaOffsets::alone(cluster, config)?),
        false => None,
    };
    Ok(begin(&shared, kafka, listener))
}

fn check(config: &GroupConfig) -> Result<Arc<str>> {
    let group = config.id.clone().unwrap_or_default();
    if matches!(&*group, "" | "." | "..") || group.contains(|c: char| c == '/' || c.is_control()) {
        let text = format!("`{group}` cannot be the name of a group's node in ZooKeeper");
        return Err(Error::new(Code::INVALID_GROUP_ID, text).with_property("group.id"));
    }
    if !config.assignors.contains(&Assignor::Range) {
        let text = "groups in ZooKeeper have the assignor range only";
        let property = "partition.assignment.strategy";
        return Err(Error::new(Code::INVALID_PROPERTY, text).with_property(property));
    }
    let bad = |id: &String| id.contains(|c: char| c == '/' || c.is_control());
    if config.zookeeper.consumer_id.as_ref().is_some_and(bad) {
        let text = "consumer.id cannot be part of the name of a node in ZooKeeper";
        return Err(Error::new(Code::INVALID_PROPERTY, text).with_property("consumer.id"));
    }
    Ok(group)
}

fn begin(
    shared: &Arc<Shared>,
    kafka: Option<Arc<dyn OffsetStore>>,
    listener: Arc<dyn Listener>,
) -> Member {
    let (orders, heard) = watch::channel(Orders::default());
    let gate: Gate = Arc::new(Mutex::new(false));
    let teller = Teller::new(Arc::clone(&listener), Arc::clone(&gate));
    let seat = Seat::new(Arc::clone(shared), teller, heard.clone());
    let task = Task::new(seat, heard, Arc::clone(&listener));
    let closed = Arc::clone(&gate);
    let on_panic = move |panic: Error| {
        if !*lock(&closed) {
            listener.step(super::Step::Failed(panic));
        }
    };
    shared.runtime.spawn("zookeeper group", on_panic, task.run());
    let offsets: Arc<dyn OffsetStore> = Arc::new(Store::new(Arc::clone(shared), kafka));
    let shared = Arc::clone(shared);
    let membership = Arc::new(ZooKeeperMembership { shared, orders, gate, era: Era::current() });
    Member { membership, offsets }
}

/// The consumer's handle on its member.
struct ZooKeeperMembership {
    shared: Arc<Shared>,
    orders: watch::Sender<Orders>,
    gate: Gate,
    era: Era,
}

impl fmt::Debug for ZooKeeperMembership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZooKeeperMembership").field("group", &self.shared.group).finish()
    }
}

impl Drop for ZooKeeperMembership {
    fn drop(&mut self) {
        if !self.era.is_current() {
            // In a forked child: dropping the sender wakes a task of the parent's runtime.
            std::mem::forget((self.orders.clone(), Arc::clone(&self.shared)));
        }
    }
}

impl ZooKeeperMembership {
    fn order(&self, change: impl FnOnce(&mut Orders)) {
        if self.era.is_current() {
            self.orders.send_modify(change);
        }
    }

    /// Leaves for good. For who waits until `limit`, the end of the session is given so long, and must be
    /// confirmed: until the session is over, nobody else is given what the member had.
    fn go(&self, limit: Option<Instant>) -> Completion<()> {
        let (sender, completion) = Completion::new();
        if !self.era.is_current() {
            return completion;
        }
        *lock(&self.gate) = true;
        // Before the order: the task that hears it ends the session too, and takes as long.
        self.shared.take_leave(limit);
        self.order(|orders| orders.has_left = true);
        let shared = Arc::clone(&self.shared);
        self.shared.runtime.spawn("zookeeper group leaves", |_| {}, async move {
            let is_over = shared.farewell().await;
            sender.send(match is_over || limit.is_none() {
                true => Ok(()),
                false => Err(Error::new(Code::TIMED_OUT, "ZooKeeper did not end the session")),
            });
        });
        completion
    }
}

impl Membership for ZooKeeperMembership {
    fn subscribe(&self, subscription: Subscription) {
        self.order(|orders| {
            orders.ends += u64::from(subscription.is_empty());
            orders.wish = subscription;
            orders.number += 1;
        });
    }

    fn identity(&self) -> Option<Identity> {
        self.shared.identity()
    }

    fn step_out(&self) {
        self.order(|orders| {
            orders.is_out = true;
            orders.ends += 1;
            orders.outs += 1;
        });
    }

    fn step_in(&self) {
        self.order(|orders| orders.is_out = false);
    }

    fn rejoin(&self, _why: &'static str) {
        self.order(|orders| orders.rejoins += 1);
    }

    fn leave(&self) -> Completion<()> {
        self.go(None)
    }

    fn leave_within(&self, limit: Instant) -> Completion<()> {
        self.go(Some(limit))
    }
}

#[cfg(test)]
mod again_tests;
#[cfg(test)]
mod chaos_tests;
#[cfg(test)]
mod fixture_tests;
#[cfg(test)]
mod layouts_tests;
#[cfg(test)]
mod readable_tests;
#[cfg(test)]
mod rules_tests;
