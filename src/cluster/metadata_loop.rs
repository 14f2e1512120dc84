//! The metadata loop: one task, which alone moves state.
//!
//! Everybody else leaves wishes, triggers and hints and wakes it. It asks when the schedule says so,
//! merges what comes back, and publishes: brokers first, then topics, then the snapshot, so that
//! whoever sees a leader finds its broker.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;
use tokio::time::sleep_until;

use super::answer::Answer;
use super::ask::{self, Answers, Ask, Outcome};
use super::candidates::{self, Candidate};
use super::core::{Core, lock};
use super::legacy_loop::LegacyQuestion;
use super::merge::{self, Action, Known};
use super::registry::{self, News};
use super::schedule::{Schedule, Scope, Urgency};
use super::{Event, Metadata, Topic, hint};
use crate::config::Address;
use crate::discovery::zookeeper::{Generation, Registry};
use crate::error::{Code, Error, Result};
use crate::log::Level;
use crate::net::{Backoff, Broker, Dialect, jitter};
use crate::runtime::inject_panic;

/// Bootstrap entries get ids from here on: outside the range of node ids (invariant 1.13).
const SEED_IDS: i32 = i32::MIN;

/// The release whose fresh brokers know nobody, not even themselves, until a first topic exists.
const SHY_RELEASE: &str = "0.8";

type Round = Pin<Box<dyn Future<Output = Result<Answers>> + Send>>;

/// Runs until the cluster ends.
pub(super) async fn run(core: Arc<Core>) {
    let backoff = Backoff { first: core.client.retry_backoff, most: core.client.retry_backoff_max };
    let schedule = Schedule::new(core.client.metadata_max_age, backoff);
    let registry = core.discovery.registry();
    let state = Loop {
        core,
        known: Known::nothing(),
        schedule,
        registry,
        registered: Arc::default(),
        catching_up: None,
        round: None,
        legacy: LegacyQuestion::default(),
        released: Vec::new(),
        asked: 0,
        all_down: false,
        jitter: jitter(),
    };
    state.run().await;
}

pub(super) struct Loop {
    pub(super) core: Arc<Core>,
    pub(super) known: Known,
    pub(super) schedule: Schedule,
    // The registry in ZooKeeper, and the snapshot of it that was taken last.
    registry: Option<watch::Receiver<Arc<Registry>>>,
    registered: Arc<Registry>,
    // Until when brokers are asked again for what the registry shows and they do not know.
    catching_up: Option<Instant>,
    pub(super) round: Option<Round>,
    // The questions to a cluster of Kafka 0.7, which the registry answers.
    pub(super) legacy: LegacyQuestion,
    // Topics that were let go while a question was under way: its answer may bring them back.
    pub(super) released: Vec<Arc<Topic>>,
    // The number of the wishes that the question under way covers.
    pub(super) asked: u64,
    // No broker answered the last question.
    all_down: bool,
    // One draw per attempt, so that the time of the next one stands still.
    jitter: f64,
}

enum Next {
    Mail,
    Registry,
    Time(&'static str),
    Answered(Result<Answers>),
}

impl Loop {
    async fn run(mut self) {
        while self.core.ended().is_none() {
            inject_panic("metadata");
            self.read_mail();
            match self.next().await {
                Next::Mail => {}
                Next::Registry => self.read_registry(),
                Next::Time(why) => self.ask(why),
                Next::Answered(Ok(answers)) => self.merge(&answers),
                Next::Answered(Err(error)) => self.failed(error),
            }
        }
    }

    async fn next(&mut self) -> Next {
        let due = self.schedule.due(Instant::now(), self.jitter);
        let (at, why) = due.unwrap_or((Instant::now(), ""));
        tokio::select! {
            () = self.core.woken() => Next::Mail,
            Ok(()) = changed(&mut self.registry) => Next::Registry,
            () = sleep_until(at.into()), if due.is_some() => Next::Time(why),
            outcome = under_way(&mut self.round), if self.round.is_some() => {
                self.round = None;
                Next::Answered(outcome)
            }
        }
    }

    fn read_mail(&mut self) {
        let mail = self.core.wishes(|wishes| wishes.take_mail());
        for (urgency, why) in mail.triggers {
            self.schedule.trigger(urgency, why);
        }
        if !mail.released.is_empty() {
            self.forget(&mail.released);
            self.released.extend(mail.released);
        }
        if !mail.hints.is_empty() || !mail.endpoints.is_empty() {
            let (known, actions) = hint::merge(&self.known, &mail.hints, &mail.endpoints);
            self.take(known, actions);
        }
    }

    /// What the registry shows is taken at once; the brokers are asked what else it changes.
    fn read_registry(&mut self) {
        if self.registry.is_none() {
            return;
        }
        let registry = self.newest();
        let before = std::mem::replace(&mut self.registered, Arc::clone(&registry));
        let bootstrap = &self.core.client.bootstrap_servers;
        let refusal = registry::refusal(&registry, bootstrap);
        self.core.tell(|progress| progress.refusal = refusal);
        let (Some(listener), origin) =
            (self.core.discovery.listener(), self.core.discovery.origin())
        else {
            return;
        };
        let generation = self.known.metadata.generation;
        let brokers = match registry::news(&registry, generation, listener, &origin) {
            News::Brokers(brokers) => brokers,
            News::Legacy => return self.take_registry(&registry),
            News::Unusable(error) => return self.core.fail(error),
        };
        let (known, actions) = merge::register(&self.known, brokers);
        let brokers = registry::brokers_differ(&self.known, &known);
        self.take(known, actions);
        if brokers {
            self.schedule.trigger(Urgency::Urgent, "the brokers in ZooKeeper changed");
        }
        if registry::topics_differ(&before, &registry) {
            self.schedule.trigger(Urgency::Urgent, "a topic in ZooKeeper changed");
            self.catching_up = Some(Instant::now() + registry::CATCH_UP);
        }
    }

    /// The newest snapshot of the registry, which counts as seen.
    pub(super) fn newest(&mut self) -> Arc<Registry> {
        let registry = self.registry.as_mut();
        registry.map_or_else(Arc::default, |registry| Arc::clone(&registry.borrow_and_update()))
    }

    /// Asks the brokers; the answer is waited for beside everything else.
    fn ask(&mut self, why: &'static str) {
        if self.is_legacy() {
            return self.ask_registry(why);
        }
        // What is followed in ZooKeeper, and "all topics", are asked for as a whole.
        let scope = match self.registry.is_some() || self.core.client.events.topics {
            true => Scope::Everything,
            false => self.schedule.scope(Instant::now(), self.jitter),
        };
        let question = self.core.wishes(|wishes| wishes.question(scope));
        self.asked = question.number;
        self.schedule.asked(scope);
        self.jitter = jitter();
        let topics = question.creatable.len() + question.found.len() + question.others.len();
        if self.registry.is_some() {
            let names = [&question.creatable, &question.found, &question.others];
            self.core.discovery.follow(registry::follow(names.into_iter().flatten().cloned()));
        }
        self.core
            .logger
            .debug("metadata", format_args!("asking for {topics} topics and the brokers: {why}"));
        let ask = Ask { question, all: self.core.client.events.topics };
        let patience = self.core.client.metadata_recovery_rebootstrap_trigger;
        let failing =
            self.schedule.failing_since().is_some_and(|since| since.elapsed() >= patience);
        self.round = Some(Box::pin(round(Arc::clone(&self.core), ask, failing)));
    }

    fn merge(&mut self, answers: &Answers) {
        let now = Instant::now();
        self.all_down = false;
        let before = self.known.metadata.number;
        let mut named_brokers = false;
        for answer in &answers.answers {
            named_brokers |= !answer.brokers.is_empty();
            let known = std::mem::replace(&mut self.known, Known::nothing());
            let number = known.metadata.number;
            let (known, actions) = merge::merge(known, answer, now);
            self.take_since(number, known, actions);
            self.catch_up(answer);
        }
        let released = std::mem::take(&mut self.released);
        if !released.is_empty() {
            self.forget(&released);
        }
        self.schedule.answered(self.known.metadata.number != before, now);
        let patient = self.catching_up.is_some_and(|until| now < until);
        if patient && registry::is_behind(&self.known.metadata, &self.registered) {
            let why = "the brokers do not know yet what ZooKeeper shows";
            self.schedule.trigger(Urgency::Polite, why);
        }
        let address = answers.broker.address();
        if answers.broker.id() >= 0 {
            // The cluster's own brokers answer: the first contact has done its duty.
            for seed in lock(&self.core.brokers).seeds.iter() {
                seed.disconnect_idle();
            }
        }
        let contact = named_brokers || answers.release == SHY_RELEASE;
        let trouble = (!contact).then(|| {
            let text = format!("broker {address} answered that it knows no broker: it is starting");
            Error::new(Code::BROKER_NOT_AVAILABLE, text).with_broker(address.to_string())
        });
        let asked = self.asked;
        self.core.tell(|progress| {
            progress.contact |= contact;
            progress.answered = progress.answered.max(asked);
            progress.trouble = trouble;
        });
    }

    /// Drops what is known of topics that nobody wants any more (unless somebody does again).
    pub(super) fn forget(&mut self, topics: &[Arc<Topic>]) {
        let before = self.known.metadata.topics.len();
        for topic in topics {
            if self.core.client.events.topics || self.core.wishes(|wishes| wishes.is_wanted(topic))
            {
                continue;
            }
            self.known.metadata.topics.remove(topic.name());
            self.known.history.remove(topic.name());
            self.legacy.forget(topic.name());
            topic.forget();
        }
        if self.known.metadata.topics.len() < before {
            self.known.metadata.number += 1;
            self.publish(&[]);
        }
    }

    /// A handle that was made while its topic was being published for the first time saw neither the
    /// old snapshot nor the new one: it gets what is known now.
    fn catch_up(&self, answer: &Answer) {
        let topics = lock(&self.core.topics);
        let missed = answer.topics.iter().filter_map(|topic| topics.get(&topic.name));
        let missed: Vec<_> = missed.filter(|topic| topic.metadata().is_none()).cloned().collect();
        drop(topics);
        for topic in missed {
            if let Some(metadata) = self.known.metadata.topic(topic.name()) {
                topic.publish(Arc::clone(metadata));
            }
        }
    }

    fn failed(&mut self, error: Error) {
        self.schedule.failed("the last metadata request failed", Instant::now());
        if !std::mem::replace(&mut self.all_down, true) {
            lock(&self.core.events).add(Event::AllBrokersDown);
            self.core.signal.notify();
        }
        // The same trouble is told once, not at each attempt (invariant 13.7).
        let before = self.core.progress.borrow().trouble.clone();
        let known = before.is_some_and(|before| before.message() == error.message());
        let level = if known { Level::Debug } else { Level::Warn };
        self.core.logger.log(level, "metadata", format_args!("{error}"));
        self.core.tell(|progress| progress.trouble = Some(error));
    }

    /// Takes a new state and does what it asks for.
    pub(super) fn take(&mut self, known: Known, actions: Vec<Action>) {
        self.take_since(self.known.metadata.number, known, actions);
    }

    /// As [`take`](Self::take); `number` is that of the state before.
    fn take_since(&mut self, number: u64, known: Known, actions: Vec<Action>) {
        self.known = known;
        let mut events = Vec::new();
        for action in actions {
            match action {
                Action::Retry(why) => self.schedule.trigger(Urgency::Polite, why),
                Action::ForeignCluster { known, answered } => {
                    return self.core.fail(foreign(&known, &answered));
                }
                action => events.push(action),
            }
        }
        if self.known.metadata.number != number {
            self.publish(&events);
        }
    }

    fn publish(&self, changes: &[Action]) {
        let snapshot = Arc::new(self.known.metadata.clone());
        for change in changes {
            if let Action::Broker(id, _) = change {
                place_broker(&self.core, &snapshot, *id);
            }
        }
        let now = Instant::now();
        let mut told = Vec::new();
        for change in changes {
            if let Action::Topic(name, _) = change {
                let handle = lock(&self.core.topics).get(name).cloned();
                let metadata = snapshot.topics.get(name).cloned();
                match (&handle, metadata) {
                    (Some(handle), Some(metadata)) => {
                        let usable = metadata.error.is_none() && !metadata.partitions.is_empty();
                        handle.publish(metadata);
                        if usable {
                            self.core.wishes(|wishes| wishes.found(handle.index(), now));
                        }
                    }
                    // A handle that nobody uses, of a topic of 0.7 that is gone.
                    (Some(handle), None) => handle.forget(),
                    (None, _) => {}
                }
                if handle.is_none() && !self.core.client.events.topics {
                    continue;
                }
            }
            told.push(change);
        }
        self.core.snapshot.send_replace(snapshot);
        self.tell_events(&told);
    }

    fn tell_events(&self, changes: &[&Action]) {
        let mut events = lock(&self.core.events);
        for change in changes {
            match change {
                Action::Broker(id, _) => events.add(Event::Broker(*id)),
                Action::Topic(name, _) => events.add(Event::Topic(Arc::clone(name))),
                Action::Retry(_) | Action::ForeignCluster { .. } => {}
            }
        }
        let any = !events.is_empty();
        drop(events);
        if any {
            self.core.signal.notify();
        }
    }
}

/// One question, put to one broker after the other. `failing`: refreshes have failed for so long that
/// the seeds count again.
pub(super) async fn round(core: Arc<Core>, ask: Ask, failing: bool) -> Result<Answers> {
    let patience = core.client.request_timeout;
    let brokers = candidates(&core, failing).await?;
    let error = match ask::ask(brokers, ask.clone(), patience).await? {
        Outcome::Answered(answers) => return Ok(answers),
        Outcome::Rebootstrap(error) => error,
    };
    // Other learned brokers may answer as if nothing were wrong: who sent this knows better (KIP-1102).
    core.logger.info("metadata", format_args!("the first brokers are asked again: {error}"));
    match ask::ask(seeds(&core).await?, ask, patience).await? {
        Outcome::Answered(answers) => Ok(answers),
        Outcome::Rebootstrap(error) => Err(error),
    }
}

/// Whom to ask, in order. Discovery is asked only when its answer counts (invariant 1.16).
async fn candidates(core: &Core, failing: bool) -> Result<Vec<Arc<Broker>>> {
    let mut brokers = learned(core);
    let usable = look_at(&brokers).iter().any(|c| c.connected || c.backing_off_until.is_none());
    if failing || !usable {
        match seeds(core).await {
            Ok(seeds) => brokers.extend(seeds),
            // A registry that is away does not hide the brokers that are known already.
            Err(error) if brokers.is_empty() => return Err(error),
            Err(_) => {}
        }
    }
    Ok(in_order(&brokers, failing))
}

/// Whom to ask anything else than metadata, in order: who is known.
pub(super) fn reachable(core: &Core) -> Vec<Arc<Broker>> {
    let mut brokers = learned(core);
    if brokers.is_empty() {
        brokers.clone_from(&lock(&core.brokers).seeds);
    }
    in_order(&brokers, false)
}

fn in_order(brokers: &[Arc<Broker>], failing: bool) -> Vec<Arc<Broker>> {
    let order = candidates::order(&look_at(brokers), failing);
    order.into_iter().filter_map(|index| brokers.get(index).cloned()).collect()
}

/// Waits for the next snapshot of the registry; for ever where there is none.
async fn changed(
    registry: &mut Option<watch::Receiver<Arc<Registry>>>,
) -> Result<(), watch::error::RecvError> {
    match registry {
        Some(registry) => registry.changed().await,
        None => std::future::pending().await,
    }
}

async fn under_way(round: &mut Option<Round>) -> Result<Answers> {
    match round {
        Some(round) => round.await,
        None => std::future::pending().await,
    }
}

fn look_at(brokers: &[Arc<Broker>]) -> Vec<Candidate> {
    let now = Instant::now();
    let candidate = |broker: &Arc<Broker>| Candidate {
        seed: broker.id() < 0,
        connected: broker.is_connected(),
        backing_off_until: broker.backing_off_until(now),
        in_flight: broker.in_flight(),
    };
    brokers.iter().map(candidate).collect()
}

/// The brokers that metadata lists.
pub(super) fn learned(core: &Core) -> Vec<Arc<Broker>> {
    let brokers = lock(&core.brokers);
    brokers.listed.iter().filter_map(|id| brokers.by_id.get(id).cloned()).collect()
}

/// The brokers that discovery names; one object per address, for as long as it is named.
async fn seeds(core: &Core) -> Result<Vec<Arc<Broker>>> {
    let found = core.discovery.seeds().await?;
    let mut brokers = lock(&core.brokers);
    let known = std::mem::take(&mut brokers.seeds);
    for (number, address) in (0..).zip(found) {
        let same = known.iter().find(|broker| broker.address() == address).cloned();
        brokers.seeds.push(same.unwrap_or_else(|| seed(core, number, address)));
    }
    Ok(brokers.seeds.clone())
}

fn seed(core: &Core, number: i32, address: Address) -> Arc<Broker> {
    let id = SEED_IDS.saturating_add(number);
    Broker::new(id, address, None, Arc::clone(&core.network))
}

/// Makes or moves the object of a broker that metadata lists, or marks it as no longer listed.
fn place_broker(core: &Core, snapshot: &Metadata, id: i32) {
    let mut brokers = lock(&core.brokers);
    let Some(info) = snapshot.brokers.get(&id) else {
        brokers.listed.remove(&id);
        return;
    };
    let (address, rack) = (Address::new(info.host.clone(), info.port), info.rack.clone());
    brokers.listed.insert(id);
    match brokers.by_id.get(&id).cloned() {
        Some(broker) => {
            drop(brokers);
            broker.set_address(address, rack);
            if broker.dialect() == Dialect::Legacy {
                broker.forgive(); // it is registered anew
            }
        }
        None => {
            let dialect = match snapshot.generation {
                Some(Generation::Legacy) => Dialect::Legacy,
                _ => Dialect::Modern,
            };
            let network = Arc::clone(&core.network);
            let broker = Broker::speaking(dialect, id, address, rack, network);
            brokers.by_id.insert(id, broker);
        }
    }
}

fn foreign(known: &str, answered: &str) -> Error {
    let text = format!(
        "a broker answered for cluster {answered}, but this handle belongs to cluster {known}: \
         were the addresses given to other brokers? Open a new cluster handle"
    );
    Error::new(Code::CLUSTER_ID_CHANGED, text)
}
