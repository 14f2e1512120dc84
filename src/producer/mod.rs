//! Front door, accumulator, per-broker sender, partitioners, outcomes.
//!
//! A record's way: [`Producer::send`] checks it, the partitioner chooses its partition, and it is
//! encoded straight into that partition's open batch, under the queue's lock, the only one on the
//! way. A batch that is full, or whose linger time is over, takes its place in the queue, is finished
//! outside the lock (compression, CRC), and is announced to the sender of the partition's leader: one
//! task per broker, which puts a batch of every ready partition into one request. The answer goes back
//! to the queue, which decides what follows: an outcome, or another attempt. Outcomes wait in the
//! outbox, one entry per batch, until [`Producer::poll`] takes them.
//!
//! Who does what: application threads encode and compress; sender tasks move whole batches; the keeper
//! task moves queues between senders when leaders change, and ends what is past its time.
//!
//! Locks, in the order they are taken: a topic's update, queue growth, queue, then one of the leaves
//! (mail, outbox, pending, budget). Application code is called under none of them.

mod accumulator;
mod core;
mod deliveries;
mod identity;
mod idle;
mod keeper;
mod kept;
mod legacy;
mod lifecycle;
mod look_up;
mod mail;
mod outcome;
pub mod partitioner;
mod publish;
mod record;
mod room;
mod send;
mod sender;
mod table;
mod timers;
mod topics;

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Instant;

pub use deliveries::{Deliveries, Delivery, Run};
pub use kept::Kept;
pub use lifecycle::{Load, PurgeWhat};
pub use record::Record;
pub(crate) use send::List;
pub use send::Sending;

use self::core::{Core, Life};
pub use self::partitioner::CustomPartitioner;
use crate::cluster::{Child, Cluster};
use crate::config::{Config, ProducerConfig};
use crate::error::{Code, Error, Result};
use crate::runtime::{self, Signal};

/// Sends records to the topics of one cluster.
///
/// Every method from any thread, also concurrently. Every accepted record has exactly one outcome,
/// given by [`poll`](Self::poll) unless `samsa.delivery.report` says otherwise. Dropping a producer
/// that was not closed abandons what is queued, and logs how much.
pub struct Producer {
    core: Arc<Core>,
}

impl Producer {
    /// A producer with the cluster's configuration, `overrides` on top. Waits for nothing.
    ///
    /// # Errors
    /// INVALID_PROPERTY for properties that contradict each other or have no place here; CLOSED for a
    /// closed cluster.
    pub fn new(cluster: &Arc<Cluster>, overrides: Option<&Config>) -> Result<Arc<Self>> {
        let config = ProducerConfig::with_overrides(cluster.config(), overrides)?;
        let own = overrides.and_then(Config::attached::<CustomPartitioner>);
        let partitioner = own.or_else(|| cluster.config().attached());
        Self::with(cluster, config, partitioner, None)
    }

    fn with(
        cluster: &Arc<Cluster>,
        config: ProducerConfig,
        partitioner: Option<Arc<CustomPartitioner>>,
        signal: Option<Arc<Signal>>,
    ) -> Result<Arc<Self>> {
        for warning in &config.warnings {
            cluster.logger().warn("producer", format_args!("{warning}"));
        }
        let core = Core::new(cluster, config, partitioner, signal);
        core.start();
        let producer = Arc::new(Self { core });
        let child: Weak<dyn Child> = Arc::<Self>::downgrade(&producer);
        cluster.register(child)?;
        Ok(producer)
    }

    /// The outcomes that are there, each record's once, of some million records at most; waits up to
    /// `timeout_ms` for the first (0: do not wait, −1: no limit).
    ///
    /// # Errors
    /// The conditions NOTHING and WOKEN; CLOSED once a closed producer has nothing more to tell; PANIC
    /// likewise for a broken one.
    pub fn poll(&self, timeout_ms: i32) -> Result<Deliveries> {
        let core = &self.core;
        core.era.check()?;
        let deadline = runtime::deadline(timeout_ms)?;
        if let Some(entries) = core.ledger.outbox.take() {
            return Ok(Deliveries::new(entries));
        }
        let waited = core.signal.wait(deadline, || {
            // In this order: the last outcome is there before the end of the close.
            let life = core.life();
            match core.ledger.outbox.take() {
                Some(entries) => Some(Ok(entries)),
                None => (life == Life::Closed).then(|| Err(Error::bare(Code::CLOSED))),
            }
        });
        match waited {
            Ok(entries) => entries.map(Deliveries::new),
            // The panic that ends the wait gave every record its outcome before: read them first.
            Err(error) if error.code().is_condition() => Err(error),
            Err(error) => match core.ledger.outbox.take() {
                Some(entries) => Ok(Deliveries::new(entries)),
                None => Err(error),
            },
        }
    }

    /// Ends every wait in progress on this producer with WOKEN, or else the next one; remembered once.
    /// Allowed in a signal handler.
    pub fn wakeup(&self) {
        self.core.signal.wakeup();
    }

    /// A descriptor for event loops, readable while a poll would not wait, and once after a
    /// WOULD_BLOCK when there is room again. The producer alone reads and closes it.
    pub fn fd(&self) -> Result<isize> {
        self.core.era.check()?;
        self.core.signal.fd()
    }

    /// The cluster it sends to.
    #[must_use]
    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.core.cluster
    }

    /// What it was made with.
    #[must_use]
    pub fn config(&self) -> &ProducerConfig {
        &self.core.config
    }

    /// Breaks the producer: every record, every waiter and every later call gets `error`. For a panic
    /// in a call.
    pub fn fail(&self, error: Error) {
        if self.core.era.is_current() {
            self.core.fail(&error);
        }
    }
}

impl Child for Producer {
    fn begin_close(&self) -> bool {
        self.begin_to_close()
    }

    fn close(&self, deadline: Option<Instant>) -> Result<()> {
        self.close_by(deadline, None)
    }

    fn fail(&self, error: Error) {
        Self::fail(self, error);
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("life", &self.core.life()).finish_non_exhaustive()
    }
}
