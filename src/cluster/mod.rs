//! The metadata loop and the live maps: brokers, topics, partitions.

mod answer;
mod child;
mod hint;
mod merge;
mod merge_topic;
mod metadata;
mod schedule;
mod topic;

use std::sync::{Arc, Weak};
use std::time::Instant;

pub use child::Child;
pub use hint::LeaderHint;
pub use merge::Change;
pub use metadata::{BrokerInfo, Metadata, PartitionMetadata, TopicId, TopicMetadata};
pub use topic::{Topic, check_name};

use crate::error::Result;

/// One Kafka cluster as this client sees it. All methods from any thread; those that say "blocking"
/// are for application threads, the async ones for tasks.
#[derive(Debug)]
pub struct Cluster {}

impl Cluster {
    /// The topic of this name: the same object each time. Only notes it: nobody is asked.
    ///
    /// `INVALID_ARGUMENT` for a name that Kafka does not allow.
    pub fn topic(self: &Arc<Self>, name: &str) -> Result<Arc<Topic>> {
        check_name(name)?;
        todo!()
    }

    /// The newest snapshot.
    #[must_use]
    pub fn metadata(&self) -> Arc<Metadata> {
        todo!()
    }

    /// Sees each new snapshot.
    #[must_use]
    pub fn changes(&self) -> tokio::sync::watch::Receiver<Arc<Metadata>> {
        todo!()
    }

    /// Asks for new metadata soon; merged with what is asked already, slowed when answers repeat.
    pub fn refresh(&self, _why: &'static str) {
        todo!()
    }

    /// Asks for new metadata at once.
    pub fn refresh_now(&self, _why: &'static str) {
        todo!()
    }

    /// Wishes for the metadata of these topics: from now on they are kept fresh.
    pub fn want_topics(&self, _topics: &[Arc<Topic>]) {
        todo!()
    }

    /// The metadata of a topic, asked for if need be: partitions are there and no topic error.
    pub async fn topic_metadata(
        &self,
        _topic: &Topic,
        _deadline: Instant,
    ) -> Result<Arc<TopicMetadata>> {
        todo!()
    }

    /// Registers a producer or consumer: closed before the cluster, told of fatal errors.
    pub fn register(&self, _child: Weak<dyn Child>) {
        todo!()
    }
}
