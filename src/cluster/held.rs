//! Topics that somebody reads or watches.

use std::sync::Arc;

use super::{Cluster, Topic};
use crate::os::fork::Era;

/// Topics that are kept fresh while this lives.
#[derive(Debug)]
pub struct HeldTopics {
    cluster: Arc<Cluster>,
    topics: Vec<Arc<Topic>>,
    era: Era,
}

impl HeldTopics {
    /// `creating`: brokers may make them for being asked, if they are allowed to.
    #[must_use]
    pub fn new(cluster: &Arc<Cluster>, topics: Vec<Arc<Topic>>, creating: bool) -> Self {
        for topic in &topics {
            cluster.hold_topic(topic);
            match creating {
                true => cluster.want_held_topic(topic),
                false => cluster.look_at_held_topic(topic),
            }
        }
        Self { cluster: Arc::clone(cluster), topics, era: Era::current() }
    }

    /// The same by their names. One that Kafka does not allow has no partitions, now or later.
    #[must_use]
    pub fn named<'a>(
        cluster: &Arc<Cluster>,
        names: impl Iterator<Item = &'a str>,
        creating: bool,
    ) -> Self {
        let topics = names.filter_map(|name| cluster.topic(name).ok()).collect();
        Self::new(cluster, topics, creating)
    }

    /// The topics.
    #[must_use]
    pub fn topics(&self) -> &[Arc<Topic>] {
        &self.topics
    }
}

impl Drop for HeldTopics {
    fn drop(&mut self) {
        // In a forked child the lock may be held by a thread that is not there.
        if self.era.is_current() {
            self.topics.iter().for_each(|topic| self.cluster.release_topic(topic));
        }
    }
}
