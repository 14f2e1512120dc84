//! The brokers that the cases of one release share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::harness::{Cluster, Release};

/// A running cluster and fresh topic names on it.
pub struct Ground {
    /// The release of its brokers.
    pub release: &'static Release,
    /// Its bootstrap list.
    pub address: String,
    cluster: Mutex<Cluster>,
    next_topic: AtomicU32,
}

impl Ground {
    /// Starts a cluster of `brokers` brokers.
    pub fn start(release: &'static Release, brokers: u32) -> Ground {
        let cluster = Cluster::start(release, brokers);
        let address = cluster.address();
        Ground { release, address, cluster: Mutex::new(cluster), next_topic: AtomicU32::new(0) }
    }

    /// A topic name that no other case uses.
    pub fn topic(&self, stem: &str) -> String {
        format!("{stem}-{}", self.next_topic.fetch_add(1, Ordering::Relaxed))
    }

    /// The address of ZooKeeper, for releases that have one.
    pub fn zookeeper(&self) -> Option<String> {
        self.cluster().zookeeper()
    }

    /// The cluster itself, to kill and restart its brokers.
    pub fn cluster(&self) -> MutexGuard<'_, Cluster> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The shared single-broker clusters, one per release, started at first use.
#[derive(Default)]
pub struct Grounds {
    started: Mutex<HashMap<&'static str, Arc<OnceLock<Arc<Ground>>>>>,
}

impl Grounds {
    /// The shared broker of a release.
    pub fn of(&self, release: &'static Release) -> Arc<Ground> {
        let cell = {
            let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(started.entry(release.version).or_default())
        };
        // Outside the lock: starting one release does not hold up cases of another.
        Arc::clone(cell.get_or_init(|| Arc::new(Ground::start(release, 1))))
    }

    /// Ends all of them.
    pub fn close(&self) {
        self.started.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
