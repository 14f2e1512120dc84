//! What changed, kept until somebody looks: at most one event per broker and topic. Pure.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::merge::Change;

/// What changed. It says "look again": the snapshot is the truth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A broker came, moved, or went.
    Broker {
        /// Its node id.
        id: i32,
        /// What happened, all in all, since the last look.
        change: Change,
    },
    /// A topic came, changed, or went.
    Topic {
        /// Its name.
        name: Arc<str>,
        /// What happened, all in all, since the last look.
        change: Change,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Subject {
    Broker(i32),
    Topic(Arc<str>),
}

/// The events not yet read, oldest subject first.
#[derive(Debug, Default)]
pub(super) struct Events {
    order: VecDeque<Subject>,
    changes: HashMap<Subject, Change>,
}

impl Events {
    pub(super) fn broker(&mut self, id: i32, change: Change) {
        self.add(Subject::Broker(id), change);
    }

    pub(super) fn topic(&mut self, name: Arc<str>, change: Change) {
        self.add(Subject::Topic(name), change);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        let subject = self.order.pop_front()?;
        let change = self.changes.remove(&subject).unwrap_or(Change::Changed);
        Some(match subject {
            Subject::Broker(id) => Event::Broker { id, change },
            Subject::Topic(name) => Event::Topic { name, change },
        })
    }

    fn add(&mut self, subject: Subject, change: Change) {
        let merged = match (self.changes.get(&subject), change) {
            (None, change) => {
                self.order.push_back(subject.clone());
                change
            }
            // Whoever never heard of it learns that it is new, whatever happened to it since.
            (Some(Change::Added), Change::Changed) => Change::Added,
            // It was there before the first of these events.
            (Some(Change::Removed), Change::Added) => Change::Changed,
            (Some(_), change) => change,
        };
        self.changes.insert(subject, merged);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_event_of_the_same_subject_merges_with_the_older() {
        let mut events = Events::default();
        events.broker(1, Change::Added);
        events.topic(Arc::from("t"), Change::Changed);
        events.broker(1, Change::Changed);
        events.topic(Arc::from("t"), Change::Removed);
        assert_eq!(events.pop(), Some(Event::Broker { id: 1, change: Change::Added }));
        let gone = Event::Topic { name: Arc::from("t"), change: Change::Removed };
        assert_eq!(events.pop(), Some(gone));
        assert_eq!(events.pop(), None);
        events.broker(1, Change::Removed);
        events.broker(1, Change::Added);
        assert_eq!(events.pop(), Some(Event::Broker { id: 1, change: Change::Changed }));
        assert!(events.is_empty());
    }
}
