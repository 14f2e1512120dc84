//! The metadata loop and the live maps: brokers, topics, partitions.
//!
//! [`Cluster`] is the front door. Behind it one task, the metadata loop, alone moves state: it asks
//! when the schedule says so, merges answers by the rules of `merge` (pure, one test per rule), and
//! publishes immutable snapshots.

mod admin;
mod answer;
mod ask;
mod candidates;
mod catalogue;
mod child;
mod core;
mod epochs;
mod events;
mod hedge;
mod held;
mod hint;
mod legacy;
mod legacy_loop;
mod legacy_offsets;
mod merge;
mod merge_topic;
mod metadata;
mod metadata_loop;
mod offsets;
mod places;
mod registry;
mod schedule;
mod topic;
mod waiting;
mod wishes;

use std::fmt;
use std::future::Future;
use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, Instant};

pub use admin::NewTopic;
pub use child::Child;
pub use epochs::{EpochEnd, EpochQuestion};
pub use events::Event;
pub(crate) use hedge::{first_answer, first_or_all};
pub use held::HeldTopics;
pub use hint::LeaderHint;
pub use metadata::{BrokerInfo, Metadata, PartitionMetadata, TopicId, TopicMetadata};
pub use offsets::{EARLIEST, LATEST, OffsetAt};
pub use places::{ANY_OF_BROKER, Place, partition_broker, partition_number, partition_within};
pub(crate) use topic::check_legacy_name;
pub use topic::{Topic, check_name};

use self::core::{Core, lock};
use crate::config::{Address, ClientConfig, Config, IsolationLevel};
use crate::discovery;
pub use crate::discovery::zookeeper::Generation;
use crate::error::{Error, Result};
use crate::log::Logger;
use crate::net::{Broker, Network, Settings};
use crate::os::fork::Era;
use crate::runtime::{Completion, Runtime, Signal, far};

/// One Kafka cluster as this client sees it. All methods from any thread; those that say "blocking"
/// are for application threads, the async ones for tasks.
///
/// After [`close`](Self::close) calls give `CLOSED`, after a fatal error that error; events can still
/// be read. Dropped without a close it ends at once.
pub struct Cluster {
    core: Arc<Core>,
    era: Era,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("origin", &self.core.discovery.origin()).finish()
    }
}

impl Cluster {
    /// Opens a cluster: checks the configuration and starts looking for brokers; does not wait.
    ///
    /// `INVALID_PROPERTY` names the property; `RUNTIME` when the I/O threads cannot be started.
    pub fn open(config: &Config) -> Result<Arc<Self>> {
        let client = ClientConfig::from(config)?;
        let runtime = Runtime::get(client.io_threads)?;
        let network = Network::new(Settings::from(&client), runtime, client.logger.clone());
        Self::open_with(config.clone(), client, runtime, network)
    }

    fn open_with(
        config: Config,
        client: ClientConfig,
        runtime: Runtime,
        network: Arc<Network>,
    ) -> Result<Arc<Self>> {
        let discovery = discovery::of(&client, runtime);
        let core = Core::new(config, client, runtime, network, discovery);
        let cluster = Arc::new_cyclic(|cluster| {
            core.set_handle(Weak::clone(cluster));
            Self { core: Arc::clone(&core), era: Era::current() }
        });
        let failed = Arc::clone(&core);
        runtime.spawn("metadata", move |panic| failed.fail(panic), metadata_loop::run(core));
        Ok(cluster)
    }

    /// Waits for the first contact with a broker. Blocking.
    ///
    /// `TIMED_OUT` at `deadline` (`None`: no limit), with what each broker did in the chain of causes;
    /// `WOKEN` by [`wakeup`](Self::wakeup); the error of a cluster that failed.
    pub fn wait_ready(&self, deadline: Option<Instant>) -> Result<()> {
        self.core.wait_ready(deadline)
    }

    /// The topic of this name: the same object each time. Only notes it: nobody is asked.
    ///
    /// `INVALID_ARGUMENT` for a name that Kafka does not allow.
    pub fn topic(&self, name: &str) -> Result<Arc<Topic>> {
        self.core.check_name(name)?;
        self.core.topic(name)
    }

    /// `INVALID_ARGUMENT` for a topic's name that Kafka does not allow; one that only Kafka 0.7 allows is
    /// good once the cluster is known to be one.
    pub(crate) fn check_name(&self, name: &str) -> Result<()> {
        self.core.check_name(name)
    }

    /// The topic of this name, which a group has given: it may know before this cluster does that it is
    /// on Kafka 0.7, and what names are good.
    pub(crate) fn topic_of_group(&self, name: &str) -> Result<Arc<Topic>> {
        match self.generation() {
            None => check_legacy_name(name)?,
            Some(_) => self.core.check_name(name)?,
        }
        self.core.topic(name)
    }

    /// The newest snapshot.
    #[must_use]
    pub fn metadata(&self) -> Arc<Metadata> {
        self.core.metadata()
    }

    /// Sees each new snapshot.
    #[must_use]
    pub fn changes(&self) -> tokio::sync::watch::Receiver<Arc<Metadata>> {
        self.core.snapshot.subscribe()
    }

    /// Every topic that the cluster has at this moment; asked anew, creates none, and leaves the running
    /// snapshot alone. Blocking, with the errors of [`wait_ready`](Self::wait_ready).
    pub fn all_topics(&self, deadline: Option<Instant>) -> Result<Vec<Arc<TopicMetadata>>> {
        let core = Arc::clone(&self.core);
        let ask = async move { core.all_topics(deadline.unwrap_or_else(far)).await };
        self.block("all topics", deadline, ask)
    }

    /// As [`all_topics`](Self::all_topics), for tasks.
    pub async fn all_topics_async(&self, deadline: Instant) -> Result<Vec<Arc<TopicMetadata>>> {
        Arc::clone(&self.core).all_topics(deadline).await
    }

    /// These topics as a broker knows them at this moment; asked anew, creates none, and leaves the
    /// running snapshot alone. What does not exist is there with its error.
    pub async fn topics_anew(
        &self,
        names: Vec<Arc<str>>,
        deadline: Instant,
    ) -> Result<Vec<Arc<TopicMetadata>>> {
        Arc::clone(&self.core).topics_anew(names, deadline).await
    }

    /// A broker that an answer named, with connections of its own, which close when the last copy is
    /// dropped: for requests that must wait behind nobody else's (invariant 1.18).
    pub fn broker_apart(&self, id: i32, address: Address) -> Arc<Broker> {
        Broker::new(id, address, None, Arc::clone(&self.core.network))
    }

    /// The brokers that can be asked something, in the order in which to ask: connected ones with little
    /// to do first, those that cannot be connected to now last; only those of the bootstrap list while no
    /// other is known.
    pub fn reachable_brokers(&self) -> Vec<Arc<Broker>> {
        metadata_loop::reachable(&self.core)
    }

    /// Which family of brokers the cluster is made of; none before the first contact.
    #[must_use]
    pub fn generation(&self) -> Option<Generation> {
        self.core.snapshot.borrow().generation
    }

    /// Asks for new metadata soon; merged with what is asked already, slowed when answers repeat.
    pub fn refresh(&self, why: &'static str) {
        self.core.trigger(schedule::Urgency::Polite, why);
    }

    /// Asks for new metadata at once, unless that has been of no use lately (invariant 1.11).
    pub fn refresh_now(&self, why: &'static str) {
        self.core.trigger(schedule::Urgency::Urgent, why);
    }

    /// Tells of new leaders that a broker named in an answer (KIP-951); taken if they can be trusted
    /// (invariant 1.12). `endpoints` are the brokers that came with them.
    pub fn take_hints(&self, hints: &[LeaderHint], endpoints: &[BrokerInfo]) {
        self.core.wish(|wishes| wishes.hint(hints, endpoints));
    }

    /// Wishes for the metadata of these topics: from now on they are kept fresh.
    pub fn want_topics(&self, topics: &[Arc<Topic>]) {
        let now = Instant::now();
        self.core.wish(|wishes| {
            for topic in topics {
                wishes.want(topic, true, now);
            }
        });
    }

    /// For a producer that uses this topic from now on: it is kept fresh until the last that holds it
    /// [releases](Self::release_topic) it. Does not ask for a topic that is not known: that is
    /// [`want_held_topic`](Self::want_held_topic).
    pub(crate) fn hold_topic(&self, topic: &Arc<Topic>) {
        self.core.wish(|wishes| wishes.hold(topic, Instant::now()));
    }

    /// As [`want_topics`](Self::want_topics), for as long as somebody holds the topic.
    pub(crate) fn want_held_topic(&self, topic: &Arc<Topic>) {
        self.core.want(topic, false, Instant::now());
    }

    /// As [`want_held_topic`](Self::want_held_topic), for somebody who would only know of the topic: it
    /// is never created for that.
    pub(crate) fn look_at_held_topic(&self, topic: &Arc<Topic>) {
        self.core.wish(|wishes| wishes.look(topic, Instant::now()));
    }

    /// The opposite of [`hold_topic`](Self::hold_topic). A topic that nobody wants any more is forgotten.
    pub(crate) fn release_topic(&self, topic: &Arc<Topic>) {
        self.core.wish(|wishes| wishes.release(topic));
    }

    /// As [`topic_metadata`](Self::topic_metadata), for as long as somebody holds the topic.
    pub(crate) async fn held_topic_metadata(
        &self,
        topic: &Arc<Topic>,
        deadline: Instant,
    ) -> Result<Arc<TopicMetadata>> {
        self.core.topic_metadata(topic, false, deadline).await
    }

    /// Why a wait for the metadata of `topic` that began at `begun` came to nothing: the topic is still
    /// unknown, or what keeps the brokers from answering.
    pub fn no_metadata(&self, topic: &Topic, begun: Instant) -> Error {
        self.core.no_metadata(topic, begun)
    }

    /// The metadata of a topic, asked for if need be: partitions are there and no topic error.
    ///
    /// `UNKNOWN_TOPIC_OR_PARTITION` when every broker asked has denied it for 5 s (a new topic spreads
    /// slowly), or still at `deadline`; `TOPIC_AUTHORIZATION_FAILED`, `INVALID_TOPIC_EXCEPTION` at
    /// once; `TIMED_OUT` at `deadline` with the cause.
    pub async fn topic_metadata(
        &self,
        topic: &Arc<Topic>,
        deadline: Instant,
    ) -> Result<Arc<TopicMetadata>> {
        self.core.topic_metadata(topic, true, deadline).await
    }

    /// As [`topic_metadata`](Self::topic_metadata), blocking; this cluster's wake-up ends it.
    pub fn wait_topic(
        &self,
        topic: &Arc<Topic>,
        deadline: Option<Instant>,
    ) -> Result<Arc<TopicMetadata>> {
        self.core.wait_topic(topic, deadline, &self.core.signal)
    }

    /// The broker of this node id, if metadata lists it.
    #[must_use]
    pub fn broker(&self, id: i32) -> Option<Arc<Broker>> {
        self.core.broker(id)
    }

    /// A broker that metadata lists, connected if possible.
    #[must_use]
    pub fn any_broker(&self) -> Option<Arc<Broker>> {
        let brokers = metadata_loop::learned(&self.core);
        brokers.iter().find(|broker| broker.is_connected()).or(brokers.first()).cloned()
    }

    /// The controller, or any broker while nobody says who that is.
    pub fn controller(&self) -> Result<Arc<Broker>> {
        self.core.controller()
    }

    /// Creates a topic, and waits until the metadata shows it, or `deadline`. Blocking.
    ///
    /// `TOPIC_ALREADY_EXISTS`, `INVALID_PARTITIONS`, … as the controller says; `UNSUPPORTED_FEATURE`
    /// names a release that cannot (below 0.10.1, or below 2.4 with default counts); `TIMED_OUT`.
    /// Brokers below 0.10.1 make a topic that has nothing but a name by being asked for it, if
    /// `allow.auto.create.topics` is true here and `auto.create.topics.enable` there.
    pub fn create_topic(&self, topic: &NewTopic, deadline: Option<Instant>) -> Result<()> {
        let (core, topic) = (Arc::clone(&self.core), topic.clone());
        let ask = async move { core.create_topic(&topic, deadline.unwrap_or_else(far)).await };
        self.block("create topic", deadline, ask)
    }

    /// As [`create_topic`](Self::create_topic), for tasks.
    pub async fn create_topic_async(&self, topic: &NewTopic, deadline: Instant) -> Result<()> {
        self.core.create_topic(topic, deadline).await
    }

    /// Deletes a topic. Blocking.
    ///
    /// `UNKNOWN_TOPIC_OR_PARTITION`, `TOPIC_DELETION_DISABLED`, … as the controller says;
    /// `UNSUPPORTED_FEATURE` names a release that cannot (below 0.10.1); `TIMED_OUT`.
    pub fn delete_topic(&self, name: &str, deadline: Option<Instant>) -> Result<()> {
        let (core, name) = (Arc::clone(&self.core), name.to_owned());
        let ask = async move { core.delete_topic(&name, deadline.unwrap_or_else(far)).await };
        self.block("delete topic", deadline, ask)
    }

    /// As [`delete_topic`](Self::delete_topic), for tasks.
    pub async fn delete_topic_async(&self, name: &str, deadline: Instant) -> Result<()> {
        self.core.delete_topic(name, deadline).await
    }

    /// The offsets for (topic, partition, time in ms or [`EARLIEST`], [`LATEST`]) at each leader;
    /// answers in the order asked. Follows the leader when it moves (invariant 7.9).
    ///
    /// Nothing that late, and topics in a format without timestamps, give offset −1 (invariant 7.6).
    /// Brokers below 0.10.1 know times by segment only: the answer is then the start of a segment at or
    /// before the time. Errors: `TIMED_OUT` with the cause, what [`topic_metadata`](Self::topic_metadata)
    /// gives, `UNSUPPORTED_FEATURE` for `read_committed` below 0.11 and special times.
    pub async fn list_offsets(
        &self,
        questions: &[(Arc<Topic>, i64, i64)],
        isolation: IsolationLevel,
        deadline: Instant,
    ) -> Vec<Result<OffsetAt>> {
        self.core.list_offsets(questions, isolation, deadline, false).await
    }

    /// As [`list_offsets`](Self::list_offsets), for who asks again anyway: a question over which a broker of
    /// Kafka 0.7 closed its connection twice ends with that, instead of holding up the others until the
    /// deadline. 0.7 says no otherwise that it does not have a partition.
    pub async fn look_up_offsets(
        &self,
        questions: &[(Arc<Topic>, i64, i64)],
        isolation: IsolationLevel,
        deadline: Instant,
    ) -> Vec<Result<OffsetAt>> {
        self.core.list_offsets(questions, isolation, deadline, true).await
    }

    /// Where the logs of eras end, as this leader says (KIP-320): answers in the order asked, none at
    /// all from a broker that does not tell consumers (below 2.3). A question names a partition once.
    pub async fn epoch_ends(
        &self,
        leader: i32,
        questions: &[EpochQuestion],
        deadline: Instant,
    ) -> Result<Option<Vec<Result<EpochEnd>>>> {
        self.core.epoch_ends(leader, questions, deadline).await
    }

    /// What changed since the last look: at most one event per broker and topic, and one of all brokers.
    /// Blocking.
    ///
    /// The conditions `NOTHING` at `deadline` and `WOKEN`; after a close `CLOSED` once all is read.
    pub fn next_event(&self, deadline: Option<Instant>) -> Result<Event> {
        let ready = || {
            let event = lock(&self.core.events).pop();
            event.map(Ok).or_else(|| self.core.ended().map(Err))
        };
        self.core.signal.wait(deadline, ready)?
    }

    /// Ends the waits in progress on this handle, or else the next one. Async-signal-safe.
    pub fn wakeup(&self) {
        self.core.signal.wakeup();
    }

    /// A descriptor that is readable while [`next_event`](Self::next_event) would not wait.
    pub fn fd(&self) -> Result<isize> {
        self.core.signal.fd()
    }

    /// Where this cluster's callers wait.
    #[must_use]
    pub fn signal(&self) -> &Arc<Signal> {
        &self.core.signal
    }

    /// What the cluster was opened with; producers and consumers inherit it.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.core.config
    }

    /// The typed properties of the cluster and its connections.
    #[must_use]
    pub fn client_config(&self) -> &ClientConfig {
        &self.core.client
    }

    /// The process-wide I/O threads.
    #[must_use]
    pub fn runtime(&self) -> Runtime {
        self.core.runtime
    }

    /// Where this cluster logs.
    #[must_use]
    pub fn logger(&self) -> &Logger {
        &self.core.logger
    }

    /// The cluster's own id, once a broker of 0.10.1 or later has told it.
    #[must_use]
    pub fn id(&self) -> Option<String> {
        self.core.metadata().cluster_id.clone()
    }

    /// After a panic in a call on the handle: every waiter and every later call gets `error`, producers
    /// and consumers included.
    pub fn fail(&self, error: Error) {
        self.core.fail(error);
    }

    /// Registers a producer or consumer: closed before the cluster, told of fatal errors. `Err` once the
    /// cluster was closed or failed: nobody would close it.
    pub fn register(&self, child: Weak<dyn Child>) -> Result<()> {
        let mut children = lock(&self.core.children);
        // Under the lock: whoever ends the cluster takes the children afterwards.
        self.core.check_open()?;
        children.retain(|child| child.strong_count() > 0);
        children.push(child);
        Ok(())
    }

    /// `Err` once the cluster was closed (`CLOSED`) or failed, and in a forked child.
    pub fn check_open(&self) -> Result<()> {
        self.era.check()?;
        self.core.check_open()
    }

    /// Closes producers and consumers, then the connections, within `deadline` (`None`: no limit).
    /// Blocking; a wake-up does not end it. A second close does nothing.
    ///
    /// `TIMED_OUT` when a child could not finish: its outcomes say what became of its records.
    pub fn close(&self, deadline: Option<Instant>) -> Result<()> {
        self.era.check()?;
        if self.core.ended().is_some() {
            return Ok(());
        }
        let mut children = self.core.take_children();
        // All sends begin before anybody is waited for; who has yet to commit and leave comes first then.
        children.sort_by_cached_key(|child| child.begin_close());
        let mut outcome = Ok(());
        for child in children {
            outcome = outcome.and(child.close(deadline));
        }
        self.core.end(Core::closed());
        // Those that were made meanwhile; a second close of the others does nothing.
        for child in self.core.take_children() {
            outcome = outcome.and(child.close(deadline));
        }
        self.core.signal.notify();
        // A registry in ZooKeeper hears of the end before the process may be gone. It is bounded by
        // itself, and its failure is no failure of the close.
        let farewell = lock(&self.core.farewell).take();
        if let Some(farewell) = farewell {
            let _ = farewell.wait(deadline, None);
        }
        outcome
    }

    /// Runs `future` as a task and waits for it on this thread, until a little after `deadline`; this
    /// cluster's wake-up and its end do end it.
    pub(crate) fn block<T: Send + 'static>(
        &self,
        name: &'static str,
        deadline: Option<Instant>,
        future: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.era.check()?;
        self.core.check_open()?;
        let (sender, completion) = Completion::new();
        let core = Arc::clone(&self.core);
        let task = self.core.runtime.spawn(name, |_| {}, async move {
            // Whatever it waits for, the end of the cluster ends it too.
            let mut progress = core.progress.subscribe();
            let mut future = std::pin::pin!(future);
            let outcome = loop {
                tokio::select! {
                    outcome = &mut future => break outcome,
                    Ok(()) = progress.changed() => {
                        if let Some(error) = core.ended() {
                            break Err(error);
                        }
                    }
                }
            };
            sender.send(outcome);
        });
        // The task keeps the deadline itself and knows why it was missed; a little more for its word.
        let limit = deadline.map(|deadline| deadline.max(Instant::now()) + GRACE);
        completion.wait(limit, Some(&self.core.signal)).inspect_err(|_| task.abort())
    }
}

/// How long a call waits for its task's own error at the deadline.
const GRACE: Duration = Duration::from_millis(100);

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.era.check().is_err() {
            // In a forked child: the sockets, the descriptors and perhaps held locks are the parent's.
            std::mem::forget(Arc::clone(&self.core));
            return;
        }
        self.core.end(Core::closed());
    }
}

impl Core {
    /// See [`Cluster::check_name`].
    fn check_name(&self, name: &str) -> Result<()> {
        match self.metadata().generation {
            Some(Generation::Legacy) => check_legacy_name(name),
            _ => check_name(name),
        }
    }

    /// See [`Cluster::topic`]. The name was checked.
    fn topic(&self, name: &str) -> Result<Arc<Topic>> {
        self.check_open()?;
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(topic) = topics.get(name) {
            return Ok(Arc::clone(topic));
        }
        let name: Arc<str> = Arc::from(name);
        let creation = self.client.allow_auto_create_topics;
        let topic = Topic::new(Arc::clone(&name), topics.len(), self.handle(), creation);
        // A cluster that follows all topics may know it already.
        if let Some(metadata) = self.metadata().topic(&name) {
            topic.publish(Arc::clone(metadata));
        }
        topics.insert(name, Arc::clone(&topic));
        Ok(topic)
    }
}

#[cfg(test)]
#[path = "cluster_tests.rs"]
mod tests;
