//! A member of a cluster that nobody has met yet: which groups it has shows at the first contact.
//!
//! Kafka 0.7 is found through ZooKeeper alone, and has groups in ZooKeeper only; whoever subscribes
//! right after the cluster was opened need not wait to learn which it is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use tokio::sync::watch;
use tokio::time::timeout_at;

use super::start::{self, Member};
use super::{
    Boxed, Committed, Identity, Listener, Membership, OffsetStore, Step, Subscription,
    TopicPartition,
};
use crate::cluster::{Cluster, Metadata};
use crate::config::GroupConfig;
use crate::error::{Code, Error, Result};
use crate::os::fork::Era;
use crate::runtime::Completion;

/// The member, once it is known what kind of member it is; or why it cannot be one.
type Decided = Option<Result<Arc<Member>>>;

#[derive(Debug)]
struct Undecided {
    asked: Mutex<Asked>,
    decided: watch::Sender<Decided>,
    era: Era,
}

/// What was asked of the member before it was known.
#[derive(Debug, Default)]
struct Asked {
    wish: Option<Subscription>,
    is_out: bool,
    has_left: bool,
}

/// A member whose kind is decided when the cluster knows its generation. Does not wait.
pub(super) fn start(
    cluster: &Arc<Cluster>,
    config: &GroupConfig,
    listener: Arc<dyn Listener>,
) -> Member {
    let (decided, _) = watch::channel(None);
    let (asked, era) = (Mutex::default(), Era::current());
    let undecided = Arc::new(Undecided { asked, decided, era });
    let deciding = decide(
        Arc::clone(&undecided),
        Arc::downgrade(cluster),
        cluster.changes(),
        config.clone(),
        Arc::clone(&listener),
    );
    let failed = Arc::clone(&undecided);
    let on_panic = move |panic: Error| failed.publish(Err(panic), &*listener);
    cluster.runtime().spawn("group", on_panic, deciding);
    Member {
        membership: Arc::clone(&undecided) as Arc<dyn Membership>,
        offsets: undecided as Arc<dyn OffsetStore>,
    }
}

async fn decide(
    undecided: Arc<Undecided>,
    cluster: Weak<Cluster>,
    mut changes: watch::Receiver<Arc<Metadata>>,
    config: GroupConfig,
    listener: Arc<dyn Listener>,
) {
    let known = changes.wait_for(|metadata| metadata.generation.is_some()).await.is_ok();
    let made = match cluster.upgrade().filter(|_| known) {
        Some(cluster) => start::known(&cluster, &config, Arc::clone(&listener)).map(Arc::new),
        None => Err(Error::new(Code::CLOSED, "the cluster is closed")),
    };
    undecided.publish(made, &*listener);
}

impl Drop for Undecided {
    fn drop(&mut self) {
        if !self.era.is_current() {
            // In a forked child: dropping the sender wakes tasks of the parent's runtime.
            std::mem::forget(self.decided.clone());
        }
    }
}

impl Asked {
    /// Who never joined has nobody to confirm that it left.
    fn leave(&mut self) -> Completion<()> {
        self.has_left = true;
        let (sender, completion) = Completion::new();
        sender.send(Ok(()));
        completion
    }
}

impl Undecided {
    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on calls go to the member; it hears of what was asked before.
    fn publish(&self, made: Result<Arc<Member>>, listener: &dyn Listener) {
        // Held until the member has heard: no call comes in between.
        let mut asked = self.asked();
        match &made {
            Ok(member) if asked.has_left => drop(member.membership.leave()),
            Ok(member) => {
                if asked.is_out {
                    member.membership.step_out();
                }
                if let Some(wish) = asked.wish.take() {
                    member.membership.subscribe(wish);
                }
            }
            Err(error) if !asked.has_left => listener.step(Step::Failed(error.clone().fatal())),
            Err(_) => {}
        }
        self.decided.send_replace(Some(made));
    }

    /// Does `known` with the member, or else `unknown` with what is asked of it. (In a forked child
    /// nobody decides any more.)
    fn either<T>(
        &self,
        known: impl FnOnce(&dyn Membership) -> T,
        unknown: impl FnOnce(&mut Asked) -> T,
    ) -> T {
        let mut asked = self.asked();
        match &*self.decided.borrow() {
            Some(Ok(member)) => known(&*member.membership),
            _ => unknown(&mut asked),
        }
    }

    /// The store, when it is known.
    fn store(&self, deadline: Instant) -> Boxed<Result<Arc<dyn OffsetStore>>> {
        let (mut decided, era) = (self.decided.subscribe(), self.era);
        Box::pin(async move {
            era.check()?;
            let waited = timeout_at(deadline.into(), decided.wait_for(Option::is_some)).await;
            match waited.as_ref().map(|known| known.as_ref().ok().and_then(|known| known.as_ref()))
            {
                Ok(Some(Ok(member))) => Ok(Arc::clone(&member.offsets)),
                Ok(Some(Err(error))) => Err(error.clone()),
                Ok(None) => Err(Error::bare(Code::CLOSED)),
                Err(_) => {
                    let text = "no broker is known that would show which groups there are";
                    Err(Error::new(Code::TIMED_OUT, text))
                }
            }
        })
    }
}

impl Membership for Undecided {
    fn subscribe(&self, subscription: Subscription) {
        // One of the two takes it.
        let (for_member, kept) = (subscription.clone(), subscription);
        self.either(|member| member.subscribe(for_member), |asked| asked.wish = Some(kept));
    }

    fn identity(&self) -> Option<Identity> {
        self.either(|member| member.identity(), |_| None)
    }

    fn step_out(&self) {
        self.either(|member| member.step_out(), |asked| asked.is_out = true);
    }

    fn step_in(&self) {
        self.either(|member| member.step_in(), |asked| asked.is_out = false);
    }

    fn rejoin(&self, why: &'static str) {
        self.either(|member| member.rejoin(why), |_| ());
    }

    fn finish(&self) {
        self.either(|member| member.finish(), |_| ());
    }

    fn leave(&self) -> Completion<()> {
        self.either(|member| member.leave(), Asked::leave)
    }

    fn leave_within(&self, limit: Instant) -> Completion<()> {
        self.either(|member| member.leave_within(limit), Asked::leave)
    }
}

impl OffsetStore for Undecided {
    fn fetch(
        &self,
        partitions: Vec<TopicPartition>,
        deadline: Instant,
    ) -> Boxed<Result<Vec<Result<Option<Committed>>>>> {
        let store = self.store(deadline);
        Box::pin(async move { store.await?.fetch(partitions, deadline).await })
    }

    fn commit(
        &self,
        places: Vec<(TopicPartition, Committed)>,
        once: bool,
        deadline: Instant,
    ) -> Boxed<Vec<Result<()>>> {
        // Once the member is known, its store keeps the order of the calls.
        if let Some(Ok(member)) = &*self.decided.borrow() {
            return member.offsets.commit(places, once, deadline);
        }
        let store = self.store(deadline);
        Box::pin(async move {
            match store.await {
                Ok(store) => store.commit(places, once, deadline).await,
                Err(error) => vec![Err(error); places.len()],
            }
        })
    }

    fn ages(&self) -> bool {
        matches!(&*self.decided.borrow(), Some(Ok(member)) if member.offsets.ages())
    }
}

#[cfg(test)]
#[path = "undecided_tests.rs"]
mod tests;
