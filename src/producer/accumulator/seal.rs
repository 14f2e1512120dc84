//! Finishing a batch outside its queue's lock: compression, header, CRC; or encoding it anew.

use std::sync::Arc;

use bytes::BytesMut;

use super::batch::Body;
use super::budget::{Budget, Reserved};
use super::builder::{Builder, Sealed};
use super::duty::Duty;
use super::queue::Queue;
use crate::error::{Code, Error, Result};
use crate::protocol::record::{Compression, Format};
use crate::runtime::codec;

/// Work on a batch that already has its place in the queue. Whoever drops it undone fails the batch:
/// the sender waits at a head that is not ready, and must not wait for ever.
#[derive(Debug)]
pub(crate) struct Seal {
    queue: Arc<Queue>,
    batch: u64,
    work: Option<Work>,
}

#[derive(Debug)]
pub(crate) enum Work {
    Build { builder: Builder, reserved: Reserved },
    Reencode { body: Arc<Body>, to: Encoding, budget: Arc<Budget> },
}

/// What a batch is encoded to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encoding {
    pub(crate) format: Format,
    pub(crate) compression: Compression,
    pub(crate) level: Option<i32>,
    /// The largest part before compression; smaller than the batch to split it.
    pub(crate) max_size: usize,
}

impl Seal {
    pub(crate) fn new(queue: Arc<Queue>, batch: u64, work: Work) -> Self {
        Self { queue, batch, work: Some(work) }
    }

    /// Whether it takes long enough to keep it off the I/O threads.
    fn is_heavy(&self) -> bool {
        match &self.work {
            Some(Work::Build { builder, .. }) => builder.compression() != Compression::None,
            Some(Work::Reencode { .. }) => true,
            None => false,
        }
    }

    /// Does the work on the calling thread; the queue then tells its sender.
    pub(crate) fn run(self) {
        drop(self.run_owing());
    }

    /// As [`run`](Self::run), but if the batch can leave now that is the caller's to tell.
    pub(crate) fn run_owing(mut self) -> Option<Duty> {
        self.work.take().and_then(|work| self.queue.sealed(self.batch, work.run()))
    }

    /// As [`run`](Self::run), for a thread that sends the batch itself: nobody is told.
    pub(crate) fn run_quietly(mut self) {
        if let Some(work) = self.work.take() {
            self.queue.sealed_quietly(self.batch, work.run());
        }
    }

    /// Lets go of the work: its batch has ended, and nobody needs its bytes.
    pub(super) fn forget(mut self) -> Option<Arc<Body>> {
        self.work = None;
        None
    }

    /// Makes the bytes without compression: they are for the delivery of a batch that ends now. Light
    /// enough for the queue's lock: a header and a checksum.
    pub(super) fn finish_plain(mut self) -> Option<Arc<Body>> {
        match self.work.take() {
            Some(Work::Build { builder, reserved }) => build(builder.uncompressed(), reserved).ok(),
            Some(Work::Reencode { body, .. }) => Some(body),
            None => None,
        }
    }

    /// For a sender task: does light work at once and gives true (the batch is ready, nobody needs to
    /// be told), hands heavy work to the codec pool.
    pub(crate) fn run_on_io_thread(self, codec_threads: usize) -> bool {
        if self.is_heavy() {
            // A full pool gives the job back: then it is done here after all, late but done.
            if let Err(job) = codec::submit(codec_threads, Box::new(move || self.run())) {
                job();
            }
            return false;
        }
        self.run_quietly();
        true
    }
}

impl Drop for Seal {
    fn drop(&mut self) {
        if self.work.take().is_some() {
            let error = Error::new(Code::ABANDONED, "the thread that compressed the batch ended");
            drop(self.queue.sealed(self.batch, Err(error)));
        }
    }
}

impl Work {
    /// The finished bytes: one body, or several parts in order.
    fn run(self) -> Result<Vec<Arc<Body>>> {
        match self {
            Self::Build { builder, reserved } => Ok(vec![build(builder, reserved)?]),
            Self::Reencode { body, to, budget } => {
                let parts =
                    body.sealed.reencode(to.format, to.compression, to.level, to.max_size)?;
                // The room of the old body comes back when its last request is done with it; the
                // parts are already accepted and cannot be refused.
                let part = |sealed: Sealed| {
                    let reserved = budget.reserve_anyway(sealed.bytes().len());
                    Body::new(sealed, reserved)
                };
                Ok(parts.into_iter().map(part).collect())
            }
        }
    }
}

/// Finishes a batch. What its bytes need no longer is given back: the buffer of records that were
/// compressed, or one that a lingering batch did not half fill.
fn build(builder: Builder, mut reserved: Reserved) -> Result<Arc<Body>> {
    let budget = Arc::clone(reserved.budget());
    let buffer = |least| budget.spare(least).unwrap_or_else(|| BytesMut::with_capacity(least));
    let (sealed, left, takes) = builder.seal_into(buffer)?;
    if let Some(left) = left {
        budget.keep_spare(left);
    }
    // A spare buffer may be a little larger than what was reserved; never mind, it is at most a quarter.
    reserved.shrink_to(takes);
    Ok(Body::new(sealed, reserved))
}
