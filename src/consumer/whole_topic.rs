//! Subscribing to a whole topic without a group: every partition, also those that are added later.

use std::sync::Arc;
use std::time::Instant;

use super::Consumer;
use super::lookup::{topic_offsets, wall_clock};
use super::name::Name;
use super::partition::Partition;
use super::position::{EARLIEST, LATEST, Position, Start};
use super::reset::time_before;
use super::state::State;
use crate::cluster::{Cluster, Metadata, Topic};
use crate::config::{Config, Reset, TopicConsumerConfig};
use crate::error::{Code, Error, Result};

/// A topic whose partitions are all to be read.
#[derive(Debug)]
pub(super) struct WholeTopic {
    topic: Arc<Topic>,
    name: Name,
    own: TopicConsumerConfig,
    /// Whether its first partitions are assigned: those that come later are new, and read from their
    /// beginning, so that nothing of them is missed.
    begun: bool,
}

impl Consumer {
    /// A consumer of every partition of `topic`, without a group and without commits. Waits until
    /// the start positions are fixed, by `auto.offset.reset`: what is published afterwards is read.
    /// A deadline that is due already only notes the subscription.
    ///
    /// # Errors
    /// [`Code::NO_OFFSET`] when `auto.offset.reset` is none; TIMED_OUT; the topic's error.
    pub fn of_topic(
        cluster: &Arc<Cluster>,
        topic: &Arc<Topic>,
        overrides: Option<&Config>,
        wait: bool,
        deadline: Option<Instant>,
    ) -> Result<Arc<Self>> {
        let consumer = Self::new(cluster, overrides)?;
        let name = Name::new(topic.name())?;
        let own = consumer.topic_config(&name);
        let policy = own.auto_offset_reset;
        if policy == Reset::None {
            let text = "there is no group whose offsets could count, and auto.offset.reset is none: \
                        assign positions instead";
            return Err(Error::new(Code::NO_OFFSET, text).with_topic(name.as_str()));
        }
        let positions =
            if wait { start_positions(cluster, topic, &name, policy, deadline)? } else { vec![] };
        consumer.assign(&positions)?;
        let begun = !positions.is_empty();
        consumer.read_whole(WholeTopic { topic: Arc::clone(topic), name, own, begun })?;
        consumer.core().hold(vec![Arc::clone(topic)]);
        Ok(consumer)
    }
}

/// Where each partition starts. The end and times are asked for now.
fn start_positions(
    cluster: &Arc<Cluster>,
    topic: &Arc<Topic>,
    name: &Name,
    policy: Reset,
    deadline: Option<Instant>,
) -> Result<Vec<Position>> {
    let since = match policy {
        Reset::Latest => None,
        Reset::ByDuration(age) => Some(time_before(wall_clock(), age)),
        Reset::Earliest | Reset::Nearest | Reset::None => {
            return first_offsets(cluster, topic, name, deadline);
        }
    };
    // The end first: what is published between the two questions is then read, not skipped.
    let ends = topic_offsets(cluster, topic, LATEST, deadline)?;
    let found = match since {
        None => Vec::new(),
        Some(time) => topic_offsets(cluster, topic, time, deadline)?,
    };
    let mut fixed = Vec::with_capacity(ends.len());
    for (index, end) in ends.into_iter().enumerate() {
        let mut place = Position { timestamp: None, ..end };
        if let Some(found) = found.get(index) {
            place.offset = found.offset.or(place.offset);
            place.error = place.error.or_else(|| found.error.clone());
        }
        match place.error {
            Some(error) => return Err(error),
            None => fixed.push(place),
        }
    }
    Ok(fixed)
}

/// The beginning need not be known.
fn first_offsets(
    cluster: &Arc<Cluster>,
    topic: &Arc<Topic>,
    name: &Name,
    deadline: Option<Instant>,
) -> Result<Vec<Position>> {
    let known = cluster.wait_topic(topic, deadline)?;
    Ok(known.numbers().map(|n| Position::new(name.clone(), n).at(EARLIEST)).collect())
}

impl State {
    /// From now on partitions of this topic that are not assigned yet are added as they appear.
    pub(super) fn read_whole(&mut self, topic: WholeTopic) {
        self.whole = Some(topic);
    }

    /// The topic, as long as it has no partitions that would tell of its troubles.
    pub(super) fn absent_whole(&self) -> Option<Arc<str>> {
        let whole = self.whole.as_ref().filter(|whole| !whole.begun)?;
        Some(Arc::clone(whole.topic.name()))
    }

    /// Adds the partitions that metadata knows and the assignment does not.
    pub(super) fn grow(&mut self, metadata: &Metadata) {
        let Some(mut whole) = self.whole.take() else { return };
        if let Some(known) = metadata.topic(whole.name.as_str()) {
            let start = if whole.begun { Start::Earliest } else { Start::Default };
            for number in known.numbers() {
                if self.find(&whole.topic, number).is_none() {
                    let topic = Arc::clone(&whole.topic);
                    let one = Partition::new(topic, whole.name.clone(), number, whole.own);
                    self.add(one, start, -1);
                }
            }
            whole.begun |= !known.partitions.is_empty();
        }
        self.whole = Some(whole);
    }
}
