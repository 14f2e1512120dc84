//! The task that follows the cluster: which broker is asked for which partition, which fetchers
//! run, which look-ups are due. It alone moves partitions between brokers.

use std::sync::Arc;
use std::time::Instant;

use super::absent::Watched;
use super::budget::Seat;
use super::core::Core;
use super::fetcher;
use super::group;
use super::legacy;
use super::lookup;
use super::partition::Marks;
use super::position::Start;
use super::state::State;
use super::validation;
use crate::cluster::Metadata;
use crate::error::{Code, Error};
use crate::protocol::modern::Uuid;
use crate::runtime::{Task, inject_panic};

/// Starts the task; a panic in it poisons the consumer.
pub(super) fn start(core: &Arc<Core>) -> Task {
    let shared = Arc::clone(core);
    let core = Arc::clone(core);
    core.cluster.runtime().spawn("consumer", move |error| shared.fail(error), run(core))
}

async fn run(core: Arc<Core>) {
    let mut changes = core.cluster.changes();
    loop {
        let metadata = Arc::clone(&changes.borrow_and_update());
        inject_panic("consumer");
        let next = round(&core, &metadata);
        let pause = async {
            match next {
                None => std::future::pending().await,
                Some(next) => tokio::time::sleep_until(next.into()).await,
            }
        };
        tokio::select! {
            changed = changes.changed() => if changed.is_err() {
                // The cluster is gone; it closes its children itself.
                return;
            },
            () = core.kick.notified() => {}
            () = pause => {}
        }
    }
}

/// Looks at everything once; gives when to look again if nothing changes.
fn round(core: &Arc<Core>, metadata: &Metadata) -> Option<Instant> {
    let mut state = core.lock();
    if state.closed {
        return None;
    }
    let now = Instant::now();
    let choices = state.mind_replicas(metadata, now, now + core.config.metadata_max_age);
    let absent = state.tell_absent(metadata, now);
    let fresh = state.follow(metadata);
    let due = state.due(now);
    let news = state.has_news();
    state.wake_fetchers();
    drop(state);
    for error in &absent.told {
        core.cluster.logger().warn("consumer", format_args!("{error}"));
    }
    let start = if metadata.is_legacy() { legacy::start } else { fetcher::start };
    for (broker, seat) in fresh {
        core.keep(start(core, broker, seat));
    }
    if !due.committed.is_empty() {
        core.keep(group::start(core, due.committed));
    }
    for slots in due.lookups.into_values() {
        core.keep(lookup::start(core, slots));
    }
    for (leader, slots) in due.validations {
        core.keep(validation::start(core, leader, slots));
    }
    if news {
        core.signal.notify();
    }
    if choices.unknown {
        core.cluster.refresh("a leader named a nearer replica that is not in the metadata");
    }
    [due.next, choices.next, absent.next].into_iter().flatten().min()
}

/// What [`State::tell_absent`] told, and when it is to look again.
struct Told {
    told: Vec<Error>,
    next: Option<Instant>,
}

impl State {
    /// Tells of topics that the application subscribed to by name and that cannot be read, and finds those
    /// whose partitions are to say so.
    fn tell_absent(&mut self, metadata: &Metadata, now: Instant) -> Told {
        let named = self.group.subscribed_names().chain(self.absent_whole());
        let mut watched: Vec<Watched> =
            named.map(|name| Watched { name, was_there: false, by_partition: false }).collect();
        for partition in self.partitions.iter().filter(|partition| partition.assigned) {
            let topic = metadata.topic(partition.name.as_str());
            let Some(topic) = topic.filter(|topic| topic.error.is_some()) else { continue };
            let was_there = partition.leader >= 0;
            match watched.iter_mut().find(|watched| watched.name == topic.name) {
                Some(watched) => watched.was_there |= was_there && watched.by_partition,
                None => watched.push(Watched {
                    name: Arc::clone(&topic.name),
                    was_there,
                    by_partition: true,
                }),
            }
        }
        let (told, next) = self.absent.look(&watched, metadata, now);
        told.iter().for_each(|error| self.report_general(error.clone()));
        Told { told, next }
    }

    /// Takes over leaders and topic ids; gives the brokers that need a fetcher from now on.
    pub(super) fn follow(&mut self, metadata: &Metadata) -> Vec<(i32, Arc<Seat>)> {
        self.grow(metadata);
        for index in 0..self.partitions.len() {
            self.follow_one(index, metadata);
        }
        self.regroup()
    }

    fn follow_one(&mut self, index: usize, metadata: &Metadata) {
        let slot = self.slot(index);
        let Some(partition) = self.partitions.get_mut(index).filter(|p| p.assigned) else { return };
        let Some(topic) = metadata.topic(partition.name.as_str()) else { return };
        if let Some(error) = &topic.error {
            let by_name = self.group.subscribed_names().any(|name| name == topic.name);
            // Told once of the whole topic, then.
            let is_time = !by_name && self.absent.is_told(&topic.name, error.code());
            if is_time && partition.tell_once(error.code(), -1) {
                self.report(slot, error.clone());
            }
            return;
        }
        let Some(known) = topic.partition(partition.number) else {
            if topic.may_come(metadata, partition.number) {
                partition.follow(-1, -1);
                return;
            }
            // Before the first answer, and when partitions are being added, the list is short.
            if !topic.partitions.is_empty()
                && partition.tell_once(Code::UNKNOWN_TOPIC_OR_PARTITION, -1)
            {
                let text = format!(
                    "topic {} has {} partitions, there is no partition {}",
                    partition.name,
                    topic.partitions.len(),
                    partition.number
                );
                let error = Error::new(Code::UNKNOWN_TOPIC_OR_PARTITION, text)
                    .with_topic(partition.name.as_str())
                    .with_partition(partition.number);
                self.report(slot, error);
            }
            return;
        };
        let id = Uuid(topic.id);
        let recreated = ![id, partition.topic_id].contains(&Uuid::ZERO) && partition.topic_id != id;
        if !id.is_zero() {
            partition.topic_id = id;
        }
        if known.leader >= 0 {
            partition.follow(known.leader, known.leader_epoch);
        }
        if recreated {
            // Offsets of the old log mean nothing in the new one (6.24), its ends no more than others.
            partition.marks = Marks::default();
            // What the group committed lies in the old one too.
            self.restart(index, Start::Policy, -1);
        }
    }

    /// Puts every partition under the broker that it is read from; those that stay keep their place in the rotation.
    fn regroup(&mut self) -> Vec<(i32, Arc<Seat>)> {
        let State { partitions, led, .. } = self;
        let leads = |broker: i32, index: usize| {
            partitions
                .get(index)
                .is_some_and(|p: &super::partition::Partition| p.source() == broker)
        };
        let mut placed = vec![false; partitions.len()];
        for (&broker, group) in led.iter_mut() {
            group.order.retain(|&index| leads(broker, index));
            group.order.iter().for_each(|&index| placed[index] = true);
        }
        let mut fresh = Vec::new();
        for (index, partition) in partitions.iter().enumerate() {
            let source = partition.source();
            if placed[index] || source < 0 {
                continue;
            }
            let group = led.entry(source).or_insert_with(|| {
                let group = super::state::Led::default();
                fresh.push((source, Arc::clone(&group.seat)));
                group
            });
            group.order.push(index);
        }
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{BROKER, state};
    use super::*;
    use crate::cluster::{PartitionMetadata, TopicMetadata};

    fn metadata(id: u8) -> Metadata {
        let partition = PartitionMetadata { leader: BROKER, ..PartitionMetadata::unknown() };
        let topic = TopicMetadata {
            name: Arc::from("t"),
            id: [id; 16],
            error: None,
            partitions: vec![partition],
            places: None,
            internal: false,
        };
        let mut metadata = Metadata::empty();
        metadata.topics.insert(Arc::from("t"), Arc::new(topic));
        metadata
    }

    #[test]
    fn rule_6_24_the_ends_of_a_log_are_forgotten_with_it() {
        let mut state = state(1);
        state.follow(&metadata(1));
        let era = state.slot(0).era;
        state.partitions[0].marks = Marks { high_watermark: 50, last_stable: 50, log_start: 7 };
        state.follow(&metadata(1));
        assert_eq!((state.watermarks(0), state.slot(0).era), ((7, 50), era), "the same topic");
        state.follow(&metadata(2));
        assert_eq!(state.watermarks(0), (-1, -1));
        assert_ne!(state.slot(0).era, era);
    }
}
