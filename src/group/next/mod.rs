//! Membership by KIP-848 (`group.protocol=consumer`): the coordinator assigns, members follow.
//!
//! `machine` decides what is said and done, with `books` for what is owned and what is to be; `beat` is
//! what heartbeats say, `verdict` what their errors mean, `wish` who resolves a subscription. `task`
//! drives the machine: it alone knows the clock, and `wire` and `names` ask the brokers.

mod beat;
mod books;
mod identity;
mod machine;
mod names;
mod shared;
mod task;
mod verdict;
mod wire;
mod wish;

use std::sync::Arc;

use tokio::sync::mpsc;

use self::beat::Constants;
use self::machine::Machine;
use self::shared::{Offsets, Shared};
use self::task::{Event, Task};
use super::{
    Coordinator, Identity, KafkaOffsets, Listener, Member, Membership, Standing, Subscription,
    group_id,
};
use crate::cluster::Cluster;
use crate::config::{GroupConfig, GroupProtocol};
use crate::error::{Code, Result};
use crate::net::Backoff;
use crate::runtime::Completion;

/// A member that joins with its first subscription. On brokers without such groups it becomes one of a
/// classic group then, one way (rule 9.17). Does not wait.
///
/// `INVALID_GROUP_ID` when no `group.id` is set.
pub(super) fn start(
    cluster: &Arc<Cluster>,
    config: &GroupConfig,
    listener: Arc<dyn Listener>,
) -> Result<Member> {
    let group = group_id(config)?;
    let (post, mail) = mpsc::unbounded_channel();
    let ear = post.downgrade();
    let standing = Standing::new(Box::new(move |code, stamp| {
        let doubts = [Code::UNKNOWN_MEMBER_ID, Code::FENCED_MEMBER_EPOCH, Code::FENCED_INSTANCE_ID];
        if doubts.contains(&code) {
            // After the end of the membership nobody minds.
            let _ = ear.upgrade().map(|post| post.send(Event::Doubt(stamp.generation)));
        }
    }));
    let coordinator = Coordinator::new(cluster, group);
    let shared = Arc::new(Shared::default());
    let own = KafkaOffsets::of(Arc::clone(&coordinator), Arc::clone(&standing), config);
    let offsets = Arc::new(Offsets { shared: Arc::clone(&shared), own });
    let backoff = Backoff { first: config.retry_backoff, most: config.retry_backoff_max };
    let constants = Constants {
        group: Arc::clone(group),
        instance: config.instance_id.clone(),
        rack: config.rack.clone(),
        assignor: config.remote_assignor.clone(),
        rebalance_ms: i32::try_from(config.max_poll_interval.as_millis()).unwrap_or(i32::MAX),
    };
    let task = Task {
        machine: Machine::new(constants, identity::fresh_member(), backoff),
        mail,
        post: post.downgrade(),
        shared: Arc::clone(&shared),
        coordinator,
        standing,
        listener: Arc::clone(&listener),
        config: config.clone(),
        backoff,
    };
    let panicked = move |error| task::panicked(&listener, error);
    cluster.runtime().spawn("membership", panicked, task.run());
    Ok(Member { membership: Arc::new(Next { post, shared }), offsets })
}

/// The classic member that takes over.
fn classic(
    cluster: &Arc<Cluster>,
    config: &GroupConfig,
    listener: Arc<dyn Listener>,
) -> Result<Member> {
    let config = GroupConfig { protocol: GroupProtocol::Classic, ..config.clone() };
    super::start::known(cluster, &config, listener)
}

/// See the module.
#[derive(Debug)]
struct Next {
    post: mpsc::UnboundedSender<Event>,
    shared: Arc<Shared>,
}

impl Next {
    /// To the task; or to the classic membership that took over from it.
    fn send(&self, event: Event, to_classic: impl FnOnce(&dyn Membership)) {
        if self.post.send(event).is_err() {
            if let Some(member) = self.shared.classic() {
                to_classic(&*member.membership);
            }
        }
    }
}

impl Membership for Next {
    fn subscribe(&self, subscription: Subscription) {
        let event = Event::Subscribe(subscription.clone());
        self.send(event, |classic| classic.subscribe(subscription));
    }

    fn identity(&self) -> Option<Identity> {
        self.shared.identity()
    }

    fn step_out(&self) {
        self.send(Event::StepOut, |classic| classic.step_out());
    }

    fn step_in(&self) {
        self.send(Event::StepIn, |classic| classic.step_in());
    }

    /// The coordinator alone decides when it assigns anew.
    fn rejoin(&self, why: &'static str) {
        if let Some(member) = self.shared.classic() {
            member.membership.rejoin(why);
        }
    }

    /// Members never wait for others here, but a commit may wait for the member to be one again.
    fn finish(&self) {
        self.send(Event::Finish, |classic| classic.finish());
    }

    fn leave(&self) -> Completion<()> {
        let (sender, left) = Completion::new();
        match self.post.send(Event::Leave(sender)) {
            Ok(()) => left,
            Err(mpsc::error::SendError(event)) => match self.shared.classic() {
                Some(member) => member.membership.leave(),
                None => {
                    // It has left before.
                    event.has_left();
                    left
                }
            },
        }
    }
}
