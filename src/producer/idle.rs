//! Topics that nobody sends to any more (`metadata.max.idle.ms`): the cluster need not keep them fresh,
//! and their queues give back what they held ready. The queues themselves stay, and with them the
//! sequences of the producer's identity: a topic that comes back goes on where it was (invariant 1.6).

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::accumulator::Queue;
use super::core::Core;

/// A topic has expired when so many looks in a row found it unused: it was idle for the stated time
/// then, and for a quarter more at most.
pub(super) const LOOKS: u8 = 4;

/// When to look next. There is no timer while no topic is in use.
#[derive(Debug)]
pub(super) struct Looks {
    every: Duration,
    next: Option<Instant>,
}

impl Looks {
    pub(super) fn new(idle: Duration) -> Self {
        Self { every: idle / u32::from(LOOKS), next: None }
    }

    /// The time of the next look, for topics in use or not.
    pub(super) fn next(&mut self, in_use: bool, now: Instant) -> Option<Instant> {
        if !in_use {
            self.next = None;
        } else if self.next.is_none() {
            self.next = now.checked_add(self.every);
        }
        self.next
    }

    /// Whether it is time; then the next look is a period away.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let due = self.next.is_some_and(|next| next <= now);
        if due {
            self.next = now.checked_add(self.every);
        }
        due
    }
}

impl Core {
    /// Looks at every topic in use, and lets those go that were unused for long enough.
    pub(super) fn look_for_idle_topics(&self) {
        for topic in self.topics.iter() {
            if topic.was_idle() && topic.retire() {
                self.cluster.release_topic(&topic.topic);
                self.topics.left();
                let text = format_args!("topic {} is no longer used", topic.topic.name());
                self.cluster.logger().debug("producer", text);
            }
        }
    }

    /// A record came to a queue just when its topic was let go: it waits there, and the topic is wanted
    /// again.
    pub(super) fn revive(self: &Arc<Self>, queue: &Arc<Queue>) {
        if let Some(topic) = self.topics.get(queue.topic()) {
            self.use_topic(topic);
            self.cluster.want_held_topic(&topic.topic);
            self.update(topic);
        }
    }

    /// Topics are kept fresh for this producer no more.
    pub(super) fn release_topics(&self) {
        for topic in self.topics.iter().filter(|topic| topic.let_go()) {
            self.cluster.release_topic(&topic.topic);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_a_quarter_of_the_time_apart_and_only_while_a_topic_is_in_use() {
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let mut looks = Looks::new(Duration::from_millis(400));
        assert_eq!((looks.next(false, now), looks.is_due(at(1_000))), (None, false));
        assert_eq!(looks.next(true, now), Some(at(100)));
        assert_eq!(looks.next(true, at(50)), Some(at(100)), "asked again, it stays");
        assert!(!looks.is_due(at(99)) && looks.is_due(at(101)));
        assert_eq!(looks.next(true, at(110)), Some(at(201)));
        assert_eq!(looks.next(false, at(120)), None);
    }
}
