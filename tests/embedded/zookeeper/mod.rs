//! The embedded ZooKeeper, asked by the library's client and by one that somebody else wrote.

mod hostile;
mod ours;
mod registration;
mod theirs;

use std::time::{Duration, Instant};

/// The end of a wait that is not meant to be reached.
fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}
