//! What an embedded ZooKeeper is started with.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Settings of an embedded ZooKeeper, which do not change while it runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many servers listen, each on a port of its own; 1 … 10. They serve the same nodes and
    /// sessions, as an ensemble does that never lags behind.
    pub servers: usize,
    /// The session time-outs that are granted (`minSessionTimeout`, `maxSessionTimeout`); a wish
    /// outside gets the nearer end. The default is 100 ms to 60 s, ZooKeeper's is 4 s to 40 s.
    pub session_timeout: RangeInclusive<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        let session_timeout = Duration::from_millis(100)..=Duration::from_secs(60);
        Self { servers: 1, session_timeout }
    }
}
