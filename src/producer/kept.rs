//! The records of a batch, held for its delivery (`samsa.delivery.keep`).
//!
//! Nothing is copied: the delivery shares the bytes that were sent, and decodes them when it is asked
//! for a record. A batch that ended while another thread compressed it gets its bytes a moment after its
//! outcome.

use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::accumulator::{Body, Sealed};
use crate::error::{Code, Error, Result};
use crate::protocol::record::{BatchIter, Compression, DecodedBatch, RecordSpan};

/// How long a reader waits for bytes that are being made. They need no broker: only a machine that
/// stands still takes longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The bytes of one batch, which may still be in the making.
#[derive(Debug, Default)]
pub(crate) struct KeptBatch {
    /// One body, or several if the batch was cut meanwhile; none yet; or why there are none.
    bodies: Mutex<Option<Result<Vec<Arc<Body>>>>>,
    made: Condvar,
    decoded: OnceLock<Vec<DecodedBatch>>,
}

/// A record that was kept for its delivery; borrows from the [`Deliveries`](super::Deliveries).
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a> {
    /// The key, or null.
    pub key: Option<&'a [u8]>,
    /// The value, or null.
    pub value: Option<&'a [u8]>,
    /// The raw headers, for [`read_headers`](crate::protocol::record::read_headers).
    pub headers: &'a [u8],
    /// How many headers these bytes hold.
    pub headers_count: u32,
    /// Its own timestamp in milliseconds, −1 for none.
    pub timestamp: i64,
}

impl KeptBatch {
    /// Of a batch whose bytes are there.
    pub(crate) fn of(body: Arc<Body>) -> Arc<Self> {
        let kept = Self::default();
        kept.fill(Ok(vec![body]));
        Arc::new(kept)
    }

    /// Brings the bytes; the first ones stay. From now on only the application can free them.
    pub(crate) fn fill(&self, bodies: Result<Vec<Arc<Body>>>) {
        bodies.iter().flatten().for_each(|body| body.mark_unread());
        let mut slot = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        slot.get_or_insert(bodies);
        drop(slot);
        self.made.notify_all();
    }

    /// The record at `index` of the batch.
    pub(crate) fn record(&self, index: usize) -> Result<Kept<'_>> {
        let batches = match self.decoded.get() {
            Some(batches) => batches,
            None => {
                let batches = decode(&self.bodies()?)?;
                self.decoded.get_or_init(|| batches)
            }
        };
        find(batches, index)
            .ok_or_else(|| Error::new(Code::UNDECODABLE, "the kept batch lacks a record"))
    }

    fn bodies(&self) -> Result<Vec<Arc<Body>>> {
        let slot = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        let (slot, _) = self
            .made
            .wait_timeout_while(slot, PATIENCE, |slot| slot.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        slot.clone().unwrap_or_else(|| {
            Err(Error::new(Code::TIMED_OUT, "the batch is still being compressed: ask again"))
        })
    }
}

/// What decoding takes counts like the bytes themselves (invariant 4.12).
fn decode(bodies: &[Arc<Body>]) -> Result<Vec<DecodedBatch>> {
    let mut batches = Vec::new();
    for body in bodies {
        if let Sealed::Set(set) = &body.sealed {
            let batch = set.decode()?;
            body.grow_anyway(
                batch.buffer.len() + batch.records.capacity() * size_of::<RecordSpan>(),
            );
            batches.push(batch);
            continue;
        }
        for batch in BatchIter::new(body.bytes().clone()) {
            let batch = batch?.decode(false, usize::MAX)?;
            let unpacked = match body.sealed.compression() {
                Compression::None => 0,
                _ => batch.buffer.len(),
            };
            body.grow_anyway(unpacked + batch.records.capacity() * size_of::<RecordSpan>());
            batches.push(batch);
        }
    }
    Ok(batches)
}

/// Plain messages v0 and v1 are a batch each, so that a body may hold several.
fn find(batches: &[DecodedBatch], mut at: usize) -> Option<Kept<'_>> {
    for batch in batches {
        match batch.records.get(at) {
            Some(record) => return Some(view(batch, record)),
            None => at -= batch.records.len(),
        }
    }
    None
}

fn view<'a>(batch: &'a DecodedBatch, record: &RecordSpan) -> Kept<'a> {
    Kept {
        key: record.key.of(&batch.buffer),
        value: record.value.of(&batch.buffer),
        headers: record.headers.of(&batch.buffer).unwrap_or_default(),
        headers_count: record.headers_count,
        timestamp: record.timestamp,
    }
}
