//! What a cluster can do to the producers and consumers made from it.

use std::time::Instant;

use crate::error::{Error, Result};

/// A producer or consumer as its cluster sees it. The cluster holds it weakly.
pub trait Child: Send + Sync {
    /// The cluster is about to close: what goes on without a waiting thread begins now, so that one child that
    /// takes all the time does not cost the others theirs. It must not wait. True if it did begin something:
    /// it is then closed after those that have everything still to do.
    fn begin_close(&self) -> bool {
        false
    }

    /// Closes the child within the deadline (`None`: no limit), as its own close does; called by the
    /// thread that closes the cluster, before the cluster's own connections close.
    fn close(&self, deadline: Option<Instant>) -> Result<()>;

    /// Tells of an error after which no call can succeed (another cluster id, a panic in the metadata
    /// loop): every waiter and every later call of the child gets it. Called from an I/O thread: it
    /// must not wait.
    fn fail(&self, error: Error);
}
