//! A batch: the unit of fate. Order, deadline, retry, purge and identity are per batch.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;

use super::budget::{Budget, Reserved};
use super::builder::{Builder, Sealed};
use super::pending::Stretch;
use super::tokens::Tokens;
use crate::error::Error;
use crate::producer::identity::Stamp;
use crate::runtime::Sender;

/// Answers a waiting publish: the partition, and the offset of its first record, −1 if it is not known.
pub(crate) type PublishSender = Sender<(i64, i64)>;

/// The batch that takes records now. In this order: what each record needs stands together.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct OpenBatch {
    pub(crate) builder: Builder,
    pub(crate) tokens: Tokens,
    pub(crate) reserved: Reserved,
    pub(crate) opened: Instant,
    pub(crate) stretch: Stretch,
    /// Its linger time is over.
    pub(crate) due: bool,
}

/// A batch that takes no more records. It has its place in the queue from the moment it was closed;
/// its bytes may come later.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Unique in its producer: late results find their batch by it, or find it gone.
    pub(crate) id: u64,
    /// How many records the partition had accepted before: its place in the order of outcomes.
    pub(crate) place: u64,
    pub(crate) count: u32,
    /// Its size before compression, in bytes; of a batch that is cut, the most that a part may have.
    pub(crate) raw_size: usize,
    /// The end of its delivery time, which began with its first record (invariant 4.3).
    pub(crate) deadline: Instant,
    pub(crate) stretch: Stretch,
    pub(crate) tokens: Tokens,
    /// None while it is being compressed or encoded anew.
    pub(crate) body: Option<Arc<Body>>,
    /// How often it was sent.
    pub(crate) attempts: u32,
    /// Some attempt may have been written.
    pub(crate) maybe_written: bool,
    /// The leader and its epoch at the last attempt.
    pub(crate) sent_to: Option<(i32, i32)>,
    /// Why the last attempt failed.
    pub(crate) last_error: Option<Error>,
    /// Given at the first send, kept for life (invariant 5.2).
    pub(crate) stamp: Option<Stamp>,
    /// A publish that waits for it; its outcome goes there instead of into a delivery.
    pub(crate) publish: Option<PublishSender>,
}

/// The bytes of a batch, and the memory they count for. Shared by the queue, the request that is
/// being written, and a delivery that keeps its records; the last one frees it (invariant 4.1).
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) sealed: Sealed,
    /// What is written in the bytes.
    stamp: Stamp,
    reserved: Mutex<Reserved>,
}

impl Batch {
    /// Whether no broker ever saw it. A part of one that was too large has attempts of its own, and numbers
    /// that a broker may have seen.
    pub(crate) fn was_never_sent(&self) -> bool {
        self.attempts == 0 && self.stamp.is_none()
    }
}

impl Body {
    pub(crate) fn new(sealed: Sealed, reserved: Reserved) -> Arc<Self> {
        Arc::new(Self { sealed, stamp: Stamp::NONE, reserved: Mutex::new(reserved) })
    }

    /// Writes `stamp` into the bytes, if another one is there: in place, or into a copy if a socket may
    /// still hold them (invariant 4.1). The time that takes does not depend on their number.
    pub(crate) fn stamp(self: &mut Arc<Self>, stamp: Stamp, budget: &Arc<Budget>) {
        if self.stamp == stamp {
            return;
        }
        if Arc::get_mut(self).is_none() {
            let room = budget.reserve_anyway(self.sealed.bytes().len());
            *self = Self::new(self.sealed.clone(), room);
        }
        if let Some(body) = Arc::get_mut(self) {
            let Stamp { era, base_sequence } = stamp;
            body.sealed.stamp(era.producer_id, era.epoch, base_sequence);
            body.stamp = stamp;
        }
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        self.sealed.bytes()
    }

    /// Counts `bytes` more for it, whatever the bound says: they were made out of it.
    pub(crate) fn grow_anyway(&self, bytes: usize) {
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner).grow_anyway(bytes);
    }

    /// From now on it is the application that holds it.
    pub(crate) fn mark_unread(&self) {
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner).mark_unread();
    }
}

/// Whoever holds it last is done with it; a socket that still holds the bytes keeps them from being used
/// again.
impl Drop for Body {
    fn drop(&mut self) {
        let bytes = self.sealed.take_bytes();
        self.reserved.get_mut().unwrap_or_else(PoisonError::into_inner).recycle(bytes);
    }
}
