//! Tells the consumer what becomes of its partitions, in an order that it can follow.

use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use super::shared::lock;
use crate::error::Error;
use crate::group::{Done, Listener, Step, TopicPartition};
use crate::os::fork::Era;

/// Whether the member has left for good: nothing is told any more.
pub(super) type Gate = Arc<Mutex<bool>>;

/// A step that the application may not have heard of yet.
#[derive(Debug)]
struct Pending {
    done: oneshot::Receiver<()>,
    revoking: Vec<TopicPartition>,
}

#[derive(Debug)]
pub(super) struct Teller {
    listener: Arc<dyn Listener>,
    gate: Gate,
    pending: Option<Pending>,
}

impl Teller {
    pub(super) fn new(listener: Arc<dyn Listener>, gate: Gate) -> Self {
        Self { listener, gate, pending: None }
    }

    /// These are the member's.
    pub(super) fn assign(&mut self, partitions: Vec<TopicPartition>) {
        let done = self.pend(Vec::new());
        self.tell(Step::Assign(partitions, done));
    }

    /// These must be given up; [`settled`](Self::settled) says when they are.
    pub(super) fn revoke(&mut self, partitions: Vec<TopicPartition>) {
        let done = self.pend(partitions.clone());
        self.tell(Step::Revoke(partitions, done));
    }

    /// These are another member's by now, or may be.
    pub(super) fn lost(&self, partitions: Vec<TopicPartition>) {
        self.tell(Step::Lost(partitions));
    }

    pub(super) fn failed(&self, error: Error) {
        self.tell(Step::Failed(error));
    }

    /// Waits until the application has heard of the last step.
    pub(super) async fn settled(&mut self) {
        if let Some(pending) = &mut self.pending {
            // Dropped without a word, it is done too.
            let _ = (&mut pending.done).await;
        }
        self.pending = None;
    }

    /// What was revoked, if the application has heard of it and nobody has asked yet.
    pub(super) fn revoked(&mut self) -> Vec<TopicPartition> {
        let heard = |pending: &mut Pending| {
            !matches!(pending.done.try_recv(), Err(oneshot::error::TryRecvError::Empty))
        };
        self.pending.take_if(heard).map_or_else(Vec::new, |pending| pending.revoking)
    }

    fn pend(&mut self, revoking: Vec<TopicPartition>) -> Done {
        let (sender, done) = oneshot::channel();
        self.pending = Some(Pending { done, revoking });
        let era = Era::current();
        Done::new(move || {
            if era.is_current() {
                // A task that ended needs no word.
                let _ = sender.send(());
            } else {
                // In a forked child it would wake a task of the parent's runtime.
                std::mem::forget(sender);
            }
        })
    }

    fn tell(&self, step: Step) {
        let gate = lock(&self.gate);
        if !*gate {
            self.listener.step(step);
        }
    }
}
