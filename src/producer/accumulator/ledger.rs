//! What all queues of a producer share: memory, the count of open fates, where outcomes go.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::batch::{Batch, Body};
use super::budget::Budget;
use super::pending::Pending;
use super::queue::Queue;
use crate::config::{DeliveryReport, ProducerConfig};
use crate::error::{Code, Error, Result};
use crate::net::{Backoff, jitter};
use crate::producer::identity::Identity;
use crate::producer::kept::KeptBatch;
use crate::producer::mail::Mail;
use crate::producer::outcome::{Entry, Outbox, Outcome};
use crate::runtime::Signal;

#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) budget: Arc<Budget>,
    pub(crate) pending: Pending,
    pub(crate) outbox: Outbox,
    /// Who the producer is to its brokers.
    pub(crate) identity: Identity,
    /// The task that watches delivery deadlines.
    pub(crate) keeper: Arc<Mail>,
    pub(crate) delivery_timeout: Duration,
    /// How large a batch may become that is compressed afterwards: whatever the codec makes of it, it
    /// fits into a request, and several fit into memory.
    pub(super) largest_batch: usize,
    /// The largest payload that a broker of Kafka 0.7 is sent.
    pub(crate) largest_legacy: usize,
    /// Whether any outcome will be told per record.
    pub(crate) keeps_tokens: bool,
    report: DeliveryReport,
    /// Whether deliveries hold their records.
    pub(super) keep: bool,
    /// Batches that ended while their bytes were being made, by their numbers: their deliveries wait for
    /// these.
    unmade: Mutex<HashMap<u64, Arc<KeptBatch>>>,
    retries: u32,
    backoff: Backoff,
    next_batch: AtomicU64,
    /// No record is accepted any more. Read under a queue's lock, set before `close` walks the queues:
    /// what a queue accepted before, the walk finds.
    closed: AtomicBool,
    failure: OnceLock<Error>,
}

impl Ledger {
    pub(crate) fn new(config: &ProducerConfig, signal: Arc<Signal>) -> Arc<Self> {
        Arc::new(Self {
            budget: Budget::new(config.buffer_memory, Arc::clone(&signal)),
            pending: Pending::new(Arc::clone(&signal)),
            outbox: Outbox::new(signal),
            identity: Identity::new(config),
            keeper: Mail::new(-1),
            delivery_timeout: config.delivery_timeout,
            largest_batch: config.max_request_size.min(config.buffer_memory / 8),
            largest_legacy: config.legacy_max_request_size,
            keeps_tokens: config.delivery_report != DeliveryReport::None,
            report: config.delivery_report,
            keep: config.delivery_keep,
            unmade: Mutex::default(),
            retries: config.retries,
            backoff: Backoff { first: config.retry_backoff, most: config.retry_backoff_max },
            next_batch: AtomicU64::new(1),
            closed: AtomicBool::new(false),
            failure: OnceLock::new(),
        })
    }

    /// `CLOSED`, or the panic that broke the producer, once no record is accepted any more.
    #[inline]
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.is_closed() { Err(self.closed_error()) } else { Ok(()) }
    }

    /// Whether no record is accepted any more.
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    #[cold]
    fn closed_error(&self) -> Error {
        self.failure.get().cloned().unwrap_or_else(|| Error::bare(Code::CLOSED))
    }

    /// Refuses records from now on; false if it was so already.
    pub(crate) fn close(&self) -> bool {
        !self.closed.swap(true, Ordering::SeqCst)
    }

    /// Closes for good because of an error that no later call can mend.
    pub(crate) fn fail(&self, error: Error) {
        let _ = self.failure.set(error);
        self.close();
    }

    /// Whether an error broke the producer.
    pub(crate) fn is_broken(&self) -> bool {
        self.failure.get().is_some()
    }

    pub(super) fn next_batch(&self) -> u64 {
        self.next_batch.fetch_add(1, Ordering::Relaxed)
    }

    /// The rest after so many attempts (invariant 13.5).
    pub(super) fn rest(&self, attempts: u32) -> Duration {
        self.backoff.delay(attempts, jitter())
    }

    /// Whether a batch sent so often may be sent again.
    pub(super) fn may_retry(&self, attempts: u32) -> bool {
        attempts <= self.retries && !self.is_broken()
    }

    /// Gives a batch its outcome: exactly one, because whoever calls this owns the batch. Called under
    /// the queue's lock, so that outcomes of a partition come in order (invariant 4.12).
    pub(super) fn settle(&self, queue: &Queue, batch: Batch, outcome: Outcome) {
        let stretch = batch.stretch;
        match batch.publish {
            Some(sender) => {
                sender.send(outcome.into_publish().map(|offset| (queue.number(), offset)));
            }
            None => {
                let failed = outcome.error.is_some();
                if failed {
                    self.outbox.count_failed(batch.count.into());
                }
                let told = match self.report {
                    DeliveryReport::All => true,
                    DeliveryReport::Failures => failed,
                    DeliveryReport::None => false,
                };
                if told {
                    let kept = self.keep.then(|| self.kept(batch.id, batch.body));
                    let room = self.budget.reserve_anyway(Entry::cost(&batch.tokens));
                    let tokens = (batch.tokens, room);
                    let (topic, partition) = (queue.topic.clone(), queue.number());
                    let entry = Entry::new(topic, partition, batch.count, tokens, kept, outcome);
                    self.outbox.push(entry);
                }
            }
        }
        self.pending.done(stretch);
    }

    /// The records of a batch for its delivery.
    fn kept(&self, batch: u64, body: Option<Arc<Body>>) -> Arc<KeptBatch> {
        if let Some(body) = body {
            return KeptBatch::of(body);
        }
        let kept = Arc::<KeptBatch>::default();
        self.unmade().insert(batch, Arc::clone(&kept));
        kept
    }

    /// The bytes of a batch that is no longer in its queue: for its delivery, if that waits for them.
    /// Called under the queue's lock, as [`settle`](Self::settle) is: one of the two comes first.
    pub(super) fn bring_late(&self, batch: u64, bodies: Result<Vec<Arc<Body>>>) {
        let waiting = self.unmade().remove(&batch);
        if let Some(kept) = waiting {
            kept.fill(bodies);
        }
    }

    fn unmade(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<KeptBatch>>> {
        self.unmade.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
