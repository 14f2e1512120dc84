//! Members of classic groups: a coordinator gathers them, one of them assigns (Kafka 0.9 and later).
//!
//! `machine` decides, pure, by the codes of `verdict`; `task` does what it says; `wire` has the requests;
//! `share` and `lead` are the leader's part; `user_data` is what sticky assignors say of themselves.

mod acts;
mod lead;
mod machine;
mod share;
mod task;
mod user_data;
mod verdict;
mod wire;

pub(super) use share::read as read_assignment;

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc;

use self::task::{Mail, Pattern};
use super::assign::Assign;
use super::coordinator::Coordinator;
use super::membership::{Identity, Listener, Membership, Step, Subscription};
use super::standing::Standing;
use super::{KafkaOffsets, Member, group_id};
use crate::cluster::Cluster;
use crate::config::GroupConfig;
use crate::error::Result;
use crate::runtime::Completion;

/// What the member and its task share.
#[derive(Debug)]
struct Shared {
    cluster: Arc<Cluster>,
    config: GroupConfig,
    coordinator: Arc<Coordinator>,
    standing: Arc<Standing>,
    listener: Arc<dyn Listener>,
    /// The application's own assignor.
    own: Option<Arc<dyn Assign>>,
    /// What is subscribed by pattern, if anything is.
    pattern: Mutex<Option<Pattern>>,
    /// What the leader's assignor told the member with its newest assignment.
    told: Mutex<Option<Bytes>>,
}

/// A member of a classic group. The front of a task.
#[derive(Debug)]
struct Classic {
    shared: Arc<Shared>,
    mail: mpsc::UnboundedSender<Mail>,
}

/// See [`super::start()`].
pub(super) fn start(
    cluster: &Arc<Cluster>,
    config: &GroupConfig,
    listener: Arc<dyn Listener>,
) -> Result<Member> {
    let coordinator = Coordinator::new(cluster, group_id(config)?);
    let (mail, received) = mpsc::unbounded_channel();
    let ear = mail.downgrade();
    let standing = Standing::new(Box::new(move |code, stamp| {
        if let Some(mail) = ear.upgrade() {
            // Nobody hears it once the member has left.
            let _ = mail.send(Mail::Committed(code, stamp.clone()));
        }
    }));
    let shared = Arc::new(Shared {
        cluster: Arc::clone(cluster),
        config: config.clone(),
        coordinator: Arc::clone(&coordinator),
        standing: Arc::clone(&standing),
        own: listener.assignor(),
        listener,
        pattern: Mutex::default(),
        told: Mutex::default(),
    });
    let panicked = Arc::clone(&shared);
    let on_panic = move |error| {
        panicked.standing.dismiss(false);
        panicked.listener.step(Step::Failed(error));
    };
    let run = task::run(Arc::clone(&shared), mail.downgrade(), received);
    // It ends when the front is gone, and has left then if it was told to.
    drop(cluster.runtime().spawn("group", on_panic, run));
    Ok(Member {
        membership: Arc::new(Classic { shared, mail }),
        offsets: KafkaOffsets::of(coordinator, standing, config),
    })
}

impl Shared {
    /// The topics that are subscribed at this moment, if that depends on which there are and was not
    /// looked at a moment ago (rule 8.22).
    async fn topics_now(&self) -> Option<Vec<Arc<str>>> {
        let stale = {
            let pattern = self.pattern.lock().unwrap_or_else(PoisonError::into_inner);
            pattern.as_ref().and_then(|pattern| pattern.stale(self.config.retry_backoff))
        };
        let deadline = std::time::Instant::now() + self.config.request_timeout;
        // What was known before serves if nobody answers.
        stale?.resolve_now(&self.cluster, deadline).await.ok()
    }

    fn inform(&self, user_data: Option<Bytes>) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = user_data;
    }
}

impl Classic {
    /// A task that has ended takes no more mail, and has nothing more to do.
    fn send(&self, mail: Mail) {
        let _ = self.mail.send(mail);
    }
}

impl Membership for Classic {
    fn subscribe(&self, subscription: Subscription) {
        self.send(Mail::Subscribe(subscription));
    }

    fn identity(&self) -> Option<Identity> {
        let stamp = self.shared.standing.stamp()?;
        Some(Identity {
            group: Arc::clone(self.shared.coordinator.group()),
            member: stamp.member,
            instance: stamp.instance,
            generation: stamp.generation,
            user_data: self.shared.told.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        })
    }

    fn step_out(&self) {
        self.send(Mail::StepOut);
    }

    fn step_in(&self) {
        self.send(Mail::StepIn);
    }

    fn rejoin(&self, why: &'static str) {
        self.send(Mail::Rejoin(why));
    }

    fn finish(&self) {
        self.send(Mail::Finish);
    }

    fn leave(&self) -> Completion<()> {
        let (told, left) = Completion::new();
        self.send(Mail::Leave(told));
        left
    }
}
