//! The metadata loop of a cluster of Kafka 0.7: nobody is asked, the registry answers.
//!
//! A question is answered once the registry has looked for every topic that it names; whatever changes
//! later comes by itself. While ZooKeeper is away everything stays as it was known.

use std::time::Instant;

use super::core::lock;
use super::legacy::{self, Wanted};
use super::metadata_loop::Loop;
use super::registry;
use super::schedule::{Scope, Urgency};
use crate::discovery::zookeeper::{Generation, Registry};

/// What the loop knows of its questions.
#[derive(Debug, Default)]
pub(super) struct LegacyQuestion {
    /// The topics that somebody wants.
    wanted: Wanted,
    /// The last question waits for its answer.
    pending: bool,
}

impl LegacyQuestion {
    /// This topic is not wanted any more.
    pub(super) fn forget(&mut self, topic: &str) {
        self.wanted.remove(topic);
    }
}

impl Loop {
    pub(super) fn is_legacy(&self) -> bool {
        self.known.metadata.generation == Some(Generation::Legacy)
    }

    /// Says which topics the registry shall tell of; perhaps it has already.
    pub(super) fn ask_registry(&mut self, why: &'static str) {
        let question = self.core.wishes(|wishes| wishes.question(Scope::Everything));
        self.asked = question.number;
        self.schedule.asked(Scope::Everything);
        let names = [question.creatable, question.found, question.others];
        self.legacy.wanted = names.into_iter().flatten().collect();
        self.legacy.pending = true;
        let topics = self.legacy.wanted.len();
        let line = format_args!("looking for {topics} topics of Kafka 0.7: {why}");
        self.core.logger.debug("metadata", line);
        self.core.discovery.follow(registry::follow(self.legacy.wanted.iter().cloned()));
        let registry = self.newest();
        self.take_registry(&registry);
    }

    /// Takes what the registry of a 0.7 cluster shows now.
    pub(super) fn take_registry(&mut self, registry: &Registry) {
        if !registry.is_live {
            return;
        }
        if !self.is_legacy() {
            // What was asked before anybody knew whom is asked nobody any more.
            self.round = None;
            self.schedule.answered(true, Instant::now());
            self.schedule.trigger(Urgency::Wish, "the cluster is of Kafka 0.7");
            self.core.logger.info("metadata", format_args!("the cluster is of Kafka 0.7"));
        }
        let before = self.known.metadata.number;
        let (known, actions) = legacy::merge(&self.known, registry, &self.legacy.wanted);
        self.take(known, actions);
        self.catch_up_legacy();
        let covered = self.legacy.pending && legacy::is_read(registry, &self.legacy.wanted);
        if covered {
            self.legacy.pending = false;
            self.schedule.answered(self.known.metadata.number != before, Instant::now());
            let released = std::mem::take(&mut self.released);
            self.forget(&released);
        }
        let (asked, contact) = (self.asked, !registry.brokers.is_empty());
        self.core.tell(|progress| {
            progress.contact |= contact;
            progress.trouble = None;
            if covered {
                progress.answered = progress.answered.max(asked);
            }
        });
    }

    /// A handle that was made while its topic was being published for the first time.
    fn catch_up_legacy(&self) {
        let topics = lock(&self.core.topics);
        let missed: Vec<_> =
            topics.values().filter(|topic| topic.metadata().is_none()).cloned().collect();
        drop(topics);
        for topic in missed {
            if let Some(metadata) = self.known.metadata.topic(topic.name()) {
                topic.publish(std::sync::Arc::clone(metadata));
            }
        }
    }
}
