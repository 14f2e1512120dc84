//! Batches that can go anywhere leave a partition that cannot take them.

use std::sync::Arc;

use super::super::accumulator::{Queue, Withdrawn};
use super::super::core::Core;
use super::super::topics::TopicQueues;
use crate::net::jitter;

impl Core {
    /// Moves what waits in a queue of Kafka 0.7 to another live partition, all of it and in order, if its
    /// records are bound to none. Called when its broker is gone, cannot be reached, or did not prove a
    /// batch. Without a better place they stay, and are sent when there is one.
    pub(crate) fn rescue(&self, queue: &Arc<Queue>) {
        if !queue.is_free() {
            return;
        }
        let Some(topic) = self.topics.get(queue.topic()) else { return };
        if let Some(seal) = queue.flush() {
            seal.run_on_io_thread(self.config.codec_threads);
        }
        let moved = {
            let _still = topic.slots.hold();
            let Some(refuge) = refuge(topic, queue) else { return };
            let batches = queue.give_away();
            let records: u64 = batches.iter().map(|batch| u64::from(batch.count)).sum();
            if records > 0 {
                refuge.adopt(batches);
            }
            (records, refuge.number())
        };
        let (records, to) = moved;
        if records > 0 {
            topic.move_on(queue.partition());
            let (name, from) = (queue.topic().name(), queue.number());
            let line =
                format_args!("{name}: {records} messages move from partition {from} to {to}");
            self.cluster.logger().debug("producer", line);
        }
    }

    /// Moves what is left in queues of this topic whose brokers are gone.
    pub(crate) fn rescue_all(&self, topic: &TopicQueues) {
        for queue in topic.free_queues().filter(|queue| queue.is_stranded()) {
            self.rescue(queue);
        }
    }

    /// A publish gives up on its batch, which may have moved meanwhile.
    pub(crate) fn withdraw(&self, queue: &Arc<Queue>, batch: u64) -> Withdrawn {
        let topic = self.topics.get(queue.topic()).filter(|_| queue.is_free());
        let Some(topic) = topic else { return queue.withdraw(batch) };
        let _still = topic.slots.hold();
        let mut withdrawn = topic.free_queues().map(|queue| queue.withdraw(batch));
        withdrawn.find(|withdrawn| *withdrawn != Withdrawn::TooLate).unwrap_or(Withdrawn::TooLate)
    }
}

/// A partition on another broker that can be reached, as far as is known. One whose own broker is gone
/// takes any that has a broker: who cannot be reached now may be later, and moves it on if not.
fn refuge<'a>(topic: &'a TopicQueues, queue: &Queue) -> Option<&'a Arc<Queue>> {
    let places = topic.slots.elsewhere(queue.number());
    let led: Vec<_> =
        places.iter().filter_map(|at| topic.queue(*at)).filter(|q| q.is_led()).collect();
    let sound: Vec<_> = led.iter().copied().filter(|queue| queue.is_reachable()).collect();
    let among = if sound.is_empty() && !queue.is_led() { led } else { sound };
    let draw = (jitter() * among.len() as f64) as usize;
    among.get(draw.min(among.len().saturating_sub(1))).copied()
}
