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

    /// The process-wide I/O threads.
    #[must_use]
    pub fn runtime(&self) -> crate::runtime::Runtime {
        todo!()
    }

    /// Where this cluster logs.
    #[must_use]
    pub fn logger(&self) -> &crate::log::Logger {
        todo!()
    }

    /// What the cluster was opened with; producers and consumers inherit it.
    #[must_use]
    pub fn config(&self) -> &crate::config::Config {
        todo!()
    }

    /// The broker of this node id, if metadata knows it.
    #[must_use]
    pub fn broker(&self, _id: i32) -> Option<Arc<crate::net::Broker>> {
        todo!()
    }

    /// The offsets for (topic, partition, time) at each leader, answers in the order asked.
    pub async fn list_offsets(
        &self,
        _questions: &[(Arc<Topic>, i32, i64)],
        _isolation: crate::config::IsolationLevel,
        _deadline: Instant,
    ) -> Vec<Result<OffsetAt>> {
        todo!()
    }

    /// As [`topic_metadata`](Self::topic_metadata), blocking: for application threads.
    pub fn wait_topic(
        &self,
        _topic: &Topic,
        _deadline: Option<Instant>,
    ) -> Result<Arc<TopicMetadata>> {
        todo!()
    }

    /// Takes over the leaders that a broker told of, as far as they may be trusted (invariant 1.12).
    pub fn take_hints(&self, _hints: &[LeaderHint], _endpoints: &[BrokerInfo]) {
        todo!()
    }

    /// Opens a cluster: checks the configuration and starts the metadata loop. Does not wait.
    pub fn open(_config: &crate::config::Config) -> Result<Arc<Self>> {
        todo!()
    }

    /// Waits for the first contact, blocking; the error says what each address answered.
    pub fn wait_ready(&self, _deadline: Option<Instant>) -> Result<()> {
        todo!()
    }

    /// Closes the children, then the connections, within the deadline, blocking. A second one is Ok.
    pub fn close(&self, _deadline: Option<Instant>) -> Result<()> {
        todo!()
    }

    /// The next change, blocking: kept from `open` on, one per broker and topic. CLOSED only when
    /// all is read.
    pub fn next_event(&self, _deadline: Option<Instant>) -> Result<Event> {
        todo!()
    }

    /// Ends the waits on the cluster, or the next one. Async-signal-safe.
    pub fn wakeup(&self) {
        todo!()
    }

    /// Readable while `next_event` would not wait.
    pub fn fd(&self) -> Result<isize> {
        todo!()
    }

    /// The cluster's id, once a broker told it.
    #[must_use]
    pub fn id(&self) -> Option<String> {
        todo!()
    }

    /// After a panic in a call on the handle: every waiter and every later call gets the error,
    /// children included.
    pub fn fail(&self, _error: crate::error::Error) {
        todo!()
    }

    /// Asks a broker for all topics of the cluster, blocking.
    pub fn all_topics(&self, _deadline: Option<Instant>) -> Result<Vec<Arc<TopicMetadata>>> {
        todo!()
    }

    /// Makes a topic by the controller, blocking.
    pub fn create_topic(&self, _topic: &NewTopic, _deadline: Option<Instant>) -> Result<()> {
        todo!()
    }

    /// Deletes a topic by the controller, blocking.
    pub fn delete_topic(&self, _name: &str, _deadline: Option<Instant>) -> Result<()> {
        todo!()
    }

    /// Registers a producer or consumer: closed before the cluster, told of fatal errors.
    pub fn register(&self, _child: Weak<dyn Child>) {
        todo!()
    }
}

/// An answer of ListOffsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetAt {
    /// The offset; −1 when no record is that late.
    pub offset: i64,
    /// The timestamp of the record found; −1 unknown.
    pub timestamp: i64,
    /// The leader epoch of the record found; −1 unknown.
    pub leader_epoch: i32,
}

/// A topic to be made; what is not given is the brokers' default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewTopic {
    /// The name.
    pub name: String,
    /// How many partitions.
    pub partitions: Option<i32>,
    /// How many replicas of each.
    pub replication_factor: Option<i32>,
    /// Its configuration, by Kafka's names.
    pub config: std::collections::BTreeMap<String, String>,
    /// The controller only checks.
    pub validate_only: bool,
}

/// Something changed: look again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The broker of this id.
    Broker(i32),
    /// The topic of this name.
    Topic(Arc<str>),
}
