//! What a cluster can do to the producers and consumers made from it.

use std::time::Instant;

use crate::error::{Error, Result};

/// A producer or consumer as its cluster sees it. The cluster holds it weakly.
pub trait Child: Send + Sync {
    /// Closes the child within the deadline (`None`: no limit), as its own close does; called by the
    /// thread that closes the cluster, before the cluster's own connections close.
    fn close(&self, deadline: Option<Instant>) -> Result<()>;

    /// Tells of an error after which no call can succeed (another cluster id, a panic in the metadata
    /// loop): every waiter and every later call of the child gets it. Called from an I/O thread: it
    /// must not wait.
    fn fail(&self, error: Error);
}
