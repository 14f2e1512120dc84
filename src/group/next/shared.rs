//! What the membership, its offset store and its task share.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use tokio::sync::mpsc;

use super::task::Event;
use crate::error::Result;
use crate::group::{Boxed, Committed, Identity, KafkaOffsets, Member, OffsetStore, TopicPartition};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Shared {
    identity: Mutex<Option<Identity>>,
    /// The classic membership that took over (9.17).
    classic: OnceLock<Member>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Option<Identity>> {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_identity(&self, identity: Option<Identity>) {
        *self.lock() = identity;
    }

    /// Who the member is, whoever says so.
    pub(super) fn identity(&self) -> Option<Identity> {
        match self.classic.get() {
            Some(member) => member.membership.identity(),
            None => self.lock().clone(),
        }
    }

    pub(super) fn classic(&self) -> Option<&Member> {
        self.classic.get()
    }

    /// From now on everything goes to `member`, also what was in the mail.
    pub(super) fn hand_over(&self, member: Member, mail: &mut mpsc::UnboundedReceiver<Event>) {
        let member = self.classic.get_or_init(|| member);
        mail.close();
        while let Ok(event) = mail.try_recv() {
            match event {
                Event::Subscribe(asked) => member.membership.subscribe(asked),
                Event::StepOut => member.membership.step_out(),
                Event::StepIn => member.membership.step_in(),
                Event::Finish => member.membership.finish(),
                Event::Leave(leaver) => {
                    // It has not joined yet: there is nothing to wait for.
                    drop(member.membership.leave());
                    leaver.send(Ok(()));
                }
                Event::Done(_) | Event::Doubt(_) => {}
            }
        }
    }
}

/// The offsets of the member, or of the classic one that took over.
#[derive(Debug)]
pub(super) struct Offsets {
    pub(super) shared: std::sync::Arc<Shared>,
    pub(super) own: std::sync::Arc<KafkaOffsets>,
}

impl Offsets {
    fn store(&self) -> &dyn OffsetStore {
        match self.shared.classic() {
            Some(member) => &*member.offsets,
            None => &*self.own,
        }
    }
}

impl OffsetStore for Offsets {
    fn fetch(
        &self,
        partitions: Vec<TopicPartition>,
        deadline: Instant,
    ) -> Boxed<Result<Vec<Result<Option<Committed>>>>> {
        self.store().fetch(partitions, deadline)
    }

    fn commit(
        &self,
        places: Vec<(TopicPartition, Committed)>,
        once: bool,
        deadline: Instant,
    ) -> Boxed<Vec<Result<()>>> {
        self.store().commit(places, once, deadline)
    }
}
