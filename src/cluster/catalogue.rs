//! Topics asked for on demand, beside the running snapshot.

use std::sync::Arc;
use std::time::Instant;

use tokio::time::{sleep_until, timeout_at};

use super::ask::Ask;
use super::core::Core;
use super::legacy;
use super::merge::{self, Known};
use super::metadata_loop::round;
use super::wishes::Question;
use super::{Metadata, TopicMetadata};
use crate::discovery::zookeeper::Generation;
use crate::error::{Code, Error, Result};
use crate::net::{Backoff, jitter};

impl Core {
    /// See [`super::Cluster::all_topics`].
    pub(super) async fn all_topics(
        self: Arc<Self>,
        deadline: Instant,
    ) -> Result<Vec<Arc<TopicMetadata>>> {
        let ask = Ask { all: true, ..Ask::default() };
        self.ask_anew(ask, deadline).await
    }

    /// See [`super::Cluster::topics_anew`].
    pub(super) async fn topics_anew(
        self: Arc<Self>,
        names: Vec<Arc<str>>,
        deadline: Instant,
    ) -> Result<Vec<Arc<TopicMetadata>>> {
        let question = Question { others: names, ..Question::default() };
        self.ask_anew(Ask { question, all: false }, deadline).await
    }

    async fn ask_anew(
        self: Arc<Self>,
        ask: Ask,
        deadline: Instant,
    ) -> Result<Vec<Arc<TopicMetadata>>> {
        let backoff =
            Backoff { first: self.client.retry_backoff, most: self.client.retry_backoff_max };
        let begun = Instant::now();
        let mut trouble = None;
        for attempt in 1.. {
            self.check_open()?;
            if self.is_legacy() {
                return self.registered_topics(deadline).await;
            }
            let round = round(Arc::clone(&self), ask.clone(), false);
            let answered = tokio::select! {
                answered = timeout_at(deadline.into(), round) => answered,
                // Nobody will answer: its brokers are no seeds.
                () = self.turns_legacy() => continue,
            };
            match answered {
                Ok(Ok(answers)) => {
                    let nothing = Known::nothing();
                    let merged = answers.answers.iter().fold(nothing, |known, answer| {
                        merge::merge(known, answer, Instant::now()).0
                    });
                    let mut topics: Vec<_> = merged.metadata.topics.into_values().collect();
                    topics.sort_by(|a, b| a.name.cmp(&b.name));
                    return Ok(topics);
                }
                Ok(Err(error)) if self.is_final(&error) => return Err(error),
                Ok(Err(error)) => trouble = Some(error),
                Err(_) => {}
            }
            let pause = Instant::now() + backoff.delay(attempt, jitter());
            if pause >= deadline {
                break;
            }
            sleep_until(pause.into()).await;
        }
        let ms = begun.elapsed().as_millis();
        let error = Error::new(Code::TIMED_OUT, format!("no answer about topics within {ms} ms"));
        let trouble = trouble.or_else(|| self.trouble());
        Err(trouble.map_or(error.clone(), |cause| error.caused_by(cause)))
    }

    fn is_legacy(&self) -> bool {
        self.snapshot.borrow().generation == Some(Generation::Legacy)
    }

    /// Waits until the registry showed that the cluster is of Kafka 0.7.
    async fn turns_legacy(&self) {
        let mut changes = self.snapshot.subscribe();
        let legacy = |metadata: &Arc<Metadata>| metadata.generation == Some(Generation::Legacy);
        if changes.wait_for(legacy).await.is_err() {
            // Nobody publishes any more, and so it never will.
            std::future::pending::<()>().await;
        }
    }

    /// Whether asking again is of no use. A registry that names no broker may name one later.
    fn is_final(&self, error: &Error) -> bool {
        let refused = || self.progress.borrow().refusal.is_some();
        !error.is_retriable() && (error.code() != Code::BROKER_NOT_AVAILABLE || refused())
    }

    /// Brokers of Kafka 0.7 tell of no topics: those that were ever written to are registered.
    async fn registered_topics(&self, deadline: Instant) -> Result<Vec<Arc<TopicMetadata>>> {
        let registry = self.discovery.snapshot(deadline).await?.unwrap_or_default();
        // In order: the map is sorted by name.
        let topics = registry.topics.keys().map(|name| legacy::topic(name, &registry));
        Ok(topics.map(Arc::new).collect())
    }
}
