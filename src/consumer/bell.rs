//! What rings when a consumer has news: its own signal, and while a subscription is being made also the
//! cluster's, because the application has no handle of the consumer yet that it could wake.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::error::{Error, Result};
use crate::runtime::Signal;

/// A consumer's signal. Everything that is told by it comes of a change under the lock of its state, or
/// is its failure.
#[derive(Debug)]
pub(super) struct Bell {
    own: Arc<Signal>,
    cluster: Arc<Signal>,
    /// How many wait by the cluster's signal.
    starting: AtomicUsize,
}

impl Bell {
    pub(super) fn new(cluster: &Arc<Signal>) -> Self {
        Self { own: Arc::default(), cluster: Arc::clone(cluster), starting: AtomicUsize::new(0) }
    }

    /// The signal itself, for those whose news never end a start.
    pub(super) fn own(&self) -> &Arc<Signal> {
        &self.own
    }

    /// See [`Signal::notify`].
    pub(super) fn notify(&self) {
        self.own.notify();
        self.ring_for_starts();
    }

    /// See [`Signal::nudge`].
    pub(super) fn nudge(&self) {
        self.own.nudge();
        self.ring_for_starts();
    }

    /// See [`Signal::fail`].
    pub(super) fn fail(&self, error: Error) {
        self.own.fail(error);
        self.cluster.nudge();
    }

    /// As [`Signal::wait_for_result`], ended by the cluster's wake-up. `ready` looks at the state under
    /// its lock: whoever changes it later sees then that somebody starts.
    pub(super) fn wait_to_start<T>(
        &self,
        deadline: Option<Instant>,
        mut ready: impl FnMut() -> Option<Result<T>>,
    ) -> Result<Result<T>> {
        self.starting.fetch_add(1, Ordering::SeqCst);
        let outcome = self.cluster.wait_for_result(deadline, || {
            let failed = self.own.failure();
            failed.map_or_else(&mut ready, |error| Some(Err(error)))
        });
        self.starting.fetch_sub(1, Ordering::SeqCst);
        outcome
    }

    fn ring_for_starts(&self) {
        if self.starting.load(Ordering::SeqCst) > 0 {
            self.cluster.nudge();
        }
    }
}

impl Deref for Bell {
    type Target = Signal;

    fn deref(&self) -> &Signal {
        &self.own
    }
}
