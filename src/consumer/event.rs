//! What happens besides messages; only what `samsa.events`, or a callback, asks for.

use std::sync::{Arc, Weak};

use super::core::Core;
use super::name::Name;
use super::position::Position;

/// Something that an application may want to know in its place among the messages.
#[derive(Clone, Debug)]
pub enum Event {
    /// Every message of the partition up to `offset` was handed out, and there was none after it
    /// when the broker was last asked.
    PartitionEnd {
        /// The topic.
        topic: Name,
        /// The partition's number.
        partition: i64,
        /// The end: the offset that the next message will have at least.
        offset: i64,
    },
    /// Records of the partition that were handed out are lost: the leader's log parts from what was
    /// read at `offset`, where reading goes on (KIP-320).
    LogTruncated {
        /// The topic.
        topic: Name,
        /// The partition's number.
        partition: i64,
        /// The first offset that may hold another record than the one that was read.
        offset: i64,
    },
    /// The group gave these partitions to this member, besides those that it has. They are read when
    /// the event is dropped, from where the application sought them meanwhile, or else from what the
    /// group committed.
    Assigned(Partitions),
    /// These partitions will be another member's when the event is dropped: positions can be committed
    /// until then. Nothing of them is handed out any more.
    Revoked(Partitions),
    /// These partitions are another member's already, or may be: nothing of them can be committed.
    Lost(Partitions),
    /// A commit ended; each position carries its own error.
    Committed(Partitions),
}

impl Event {
    /// Takes in a later event that says more of the same; false if it must be told by itself.
    pub(super) fn absorb(&mut self, later: &Event) -> bool {
        match (self, later) {
            (
                Self::LogTruncated { topic, partition, offset },
                Self::LogTruncated { topic: other, partition: number, offset: end },
            ) if topic.as_str() == other.as_str() && partition == number => {
                *offset = (*offset).min(*end);
                true
            }
            _ => false,
        }
    }
}

/// The partitions that an event is about.
#[derive(Clone, Debug)]
pub struct Partitions {
    list: Vec<Position>,
    _hold: Option<Arc<Hold>>,
}

impl Partitions {
    pub(super) fn new(list: Vec<Position>, hold: Option<Hold>) -> Self {
        Self { list, _hold: hold.map(Arc::new) }
    }

    /// The partitions; of those that are revoked or lost, where reading stopped.
    #[must_use]
    pub fn list(&self) -> &[Position] {
        &self.list
    }
}

/// Keeps a step back until the application has done with the event that told it: dropped with the
/// last clone of it.
#[derive(Debug)]
pub(super) struct Hold {
    core: Weak<Core>,
    id: u64,
}

impl Hold {
    pub(super) fn new(core: Weak<Core>, id: u64) -> Self {
        Self { core, id }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(core) = self.core.upgrade() {
            core.release(self.id);
        }
    }
}
