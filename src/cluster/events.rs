//! What changed, kept until somebody looks: at most one event per broker and topic, and one of all
//! brokers. Pure.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

/// Something changed, came or went: look again. The snapshot is the truth, so that nothing is lost by
/// merging.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The broker of this id.
    Broker(i32),
    /// The topic of this name.
    Topic(Arc<str>),
    /// Every broker that is known was asked for metadata, and none answered. Told once until one does;
    /// the library goes on trying.
    AllBrokersDown,
}

/// The events not yet read, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Events {
    order: VecDeque<Event>,
    waiting: HashSet<Event>,
}

impl Events {
    /// Adds an event, unless one of the same subject still waits.
    pub(super) fn add(&mut self, event: Event) {
        if self.waiting.insert(event.clone()) {
            self.order.push_back(event);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        let event = self.order.pop_front()?;
        self.waiting.remove(&event);
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_event_per_broker_and_topic_until_it_is_read() {
        let topic = || Event::Topic(Arc::from("t"));
        let mut events = Events::default();
        for _ in 0..3 {
            events.add(Event::Broker(1));
            events.add(topic());
        }
        assert_eq!(events.pop(), Some(Event::Broker(1)));
        events.add(Event::Broker(1));
        assert_eq!([events.pop(), events.pop()], [Some(topic()), Some(Event::Broker(1))]);
        assert!(events.is_empty() && events.pop().is_none());
    }
}
