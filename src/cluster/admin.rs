//! Creating and deleting topics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{sleep_until, timeout_at};

use super::core::{Core, lock};
use super::metadata_loop::learned;
use super::schedule::Urgency;
use super::topic::check_name;
use crate::error::{Code, Error, Persistence, Result};
use crate::net::{Backoff, Broker, Connection, Dialect, Purpose, Versions, jitter};
use crate::protocol::modern::ApiKey;
use crate::protocol::modern::messages::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use crate::protocol::modern::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};

/// A topic to be made; what is not given is the brokers' default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewTopic {
    /// The name.
    pub name: String,
    /// How many partitions; none: the brokers' `num.partitions` (2.4 and later).
    pub partitions: Option<i32>,
    /// How many replicas of each; none: the brokers' `default.replication.factor` (2.4 and later).
    pub replication_factor: Option<i32>,
    /// Its configuration, by Kafka's names.
    pub config: BTreeMap<String, String>,
    /// The controller only checks (0.10.2 and later).
    pub validate_only: bool,
}

impl NewTopic {
    /// A topic with the brokers' defaults.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    fn has_defaults(&self) -> bool {
        self.partitions.is_none() || self.replication_factor.is_none()
    }

    fn is_plain(&self) -> bool {
        *self == Self::new(self.name.clone())
    }

    fn to_wire(&self) -> Result<CreatableTopic> {
        let factor = self.replication_factor.map_or(Ok(-1), i16::try_from).map_err(|_| {
            let factor = self.replication_factor.unwrap_or_default();
            let text = format!("topic {}: no cluster can hold {factor} replicas", self.name);
            Error::new(Code::INVALID_REPLICATION_FACTOR, text).with_topic(&*self.name)
        })?;
        let config = |(name, value): (&String, &String)| CreatableTopicConfig {
            name: name.clone(),
            value: Some(value.clone()),
        };
        Ok(CreatableTopic {
            name: self.name.clone(),
            num_partitions: self.partitions.unwrap_or(-1),
            replication_factor: factor,
            assignments: Vec::new(),
            configs: self.config.iter().map(config).collect(),
        })
    }
}

/// A change of one topic, tried until it has an outcome.
#[derive(Clone, Debug)]
enum Change {
    Create(NewTopic),
    Delete(String),
}

/// What one attempt gave.
enum Attempt {
    Done,
    Again(Error),
    Failed(Error),
}

impl Core {
    /// See [`super::Cluster::create_topic`].
    pub(super) async fn create_topic(
        self: &Arc<Self>,
        topic: &NewTopic,
        deadline: Instant,
    ) -> Result<()> {
        check_name(&topic.name)?;
        self.change(Change::Create(topic.clone()), deadline).await?;
        if topic.validate_only {
            return Ok(());
        }
        // Brokers learn of it one after the other; what follows should find it. If it does not in
        // time, the topic is created all the same.
        let handle = self.topic(&topic.name)?;
        self.trigger(Urgency::Urgent, "a topic was created");
        let _ = self.topic_metadata(&handle, true, deadline).await;
        Ok(())
    }

    /// See [`super::Cluster::delete_topic`].
    pub(super) async fn delete_topic(
        self: &Arc<Self>,
        name: &str,
        deadline: Instant,
    ) -> Result<()> {
        check_name(name)?;
        self.change(Change::Delete(name.to_owned()), deadline).await?;
        // Asking for it again would make older brokers create it anew.
        let handle = lock(&self.topics).get(name).cloned();
        self.wish(|wishes| {
            if let Some(handle) = handle {
                wishes.forget(handle.index());
            }
            wishes.trigger(Urgency::Urgent, "a topic was deleted");
        });
        Ok(())
    }

    async fn change(self: &Arc<Self>, change: Change, deadline: Instant) -> Result<()> {
        let backoff =
            Backoff { first: self.client.retry_backoff, most: self.client.retry_backoff_max };
        let begun = Instant::now();
        // Whether an earlier attempt may have done it: then "it exists already" is our own doing.
        let mut perhaps_done = false;
        let mut trouble = None;
        for attempt in 1.. {
            self.check_open()?;
            let tried = timeout_at(deadline.into(), self.try_change(&change, deadline)).await;
            match tried {
                Ok(Attempt::Done) => return Ok(()),
                Ok(Attempt::Failed(error)) if perhaps_done && change.is_already_done(&error) => {
                    return Ok(());
                }
                Ok(Attempt::Failed(error)) => return Err(error),
                Ok(Attempt::Again(error)) => {
                    perhaps_done |= error.persistence() == Persistence::PossiblyPersisted
                        || error.code() == Code::REQUEST_TIMED_OUT;
                    trouble = Some(error);
                }
                Err(_) => {}
            }
            if Instant::now() >= deadline {
                break;
            }
            self.trigger(Urgency::Urgent, "a topic change needs the controller");
            let pause = Instant::now() + backoff.delay(attempt, jitter());
            sleep_until(pause.min(deadline).into()).await;
        }
        let text = format!("{change} had no outcome within {} ms", begun.elapsed().as_millis());
        let error = Error::new(Code::TIMED_OUT, text).with_topic(change.topic());
        Err(match trouble.or_else(|| self.trouble()) {
            Some(cause) => error.caused_by(cause),
            None => error,
        })
    }

    async fn try_change(&self, change: &Change, deadline: Instant) -> Attempt {
        let broker = match self.controller() {
            Ok(broker) => broker,
            Err(error) => return Attempt::Again(error),
        };
        if broker.dialect() == Dialect::Legacy {
            return Attempt::Failed(refused_by_legacy(change));
        }
        let connection = match broker.connection(Purpose::Control, deadline).await {
            Ok(connection) => connection,
            Err(error) => return Attempt::Again(error),
        };
        if let Err(error) = change.check(connection.versions()) {
            return match change {
                Change::Create(topic) if self.may_create_by_asking(topic, &connection) => {
                    self.create_by_asking(topic, deadline).await
                }
                _ => Attempt::Failed(error),
            };
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let patience = left.min(self.client.request_timeout);
        let outcome = match change {
            Change::Create(topic) => create(&connection, topic, patience).await,
            Change::Delete(name) => delete(&connection, name, patience).await,
        };
        match outcome {
            Ok((Code::NONE, _)) => Attempt::Done,
            Ok((code, text)) => change.refused(code, text, &connection),
            Err(error) if error.is_retriable() => Attempt::Again(error),
            Err(error) => Attempt::Failed(error),
        }
    }

    /// The controller, or any broker while nobody says who that is: a 4.x broker passes requests on,
    /// others answer NOT_CONTROLLER.
    pub(super) fn controller(&self) -> Result<Arc<Broker>> {
        let metadata = self.metadata();
        // A fresh 0.8 knows no broker, not even itself: then the seeds are all there is.
        let seed = || lock(&self.brokers).seeds.iter().find(|seed| seed.is_connected()).cloned();
        let any = || learned(self).into_iter().next().or_else(seed);
        self.broker(metadata.controller).or_else(any).ok_or_else(|| {
            let text = "no broker of the cluster is known yet";
            let error = Error::new(Code::BROKER_NOT_AVAILABLE, text);
            self.trouble().map_or(error.clone(), |cause| error.caused_by(cause))
        })
    }

    /// Brokers without CreateTopics make a topic with their own defaults when they are asked for it.
    fn may_create_by_asking(&self, topic: &NewTopic, connection: &Connection) -> bool {
        let knows_the_api = connection.versions().range(ApiKey::CreateTopics).is_some();
        topic.is_plain() && self.client.allow_auto_create_topics && !knows_the_api
    }

    async fn create_by_asking(&self, topic: &NewTopic, deadline: Instant) -> Attempt {
        let handle = match self.topic(&topic.name) {
            Ok(handle) => handle,
            Err(error) => return Attempt::Failed(error),
        };
        handle.allow_creation();
        match self.topic_metadata(&handle, true, deadline).await {
            Ok(_) => Attempt::Done,
            Err(cause) => {
                let text = format!(
                    "the broker has no CreateTopics, and asking for topic {} did not create it: is \
                     auto.create.topics.enable=false there?",
                    topic.name
                );
                let error = Error::new(cause.code(), text).with_topic(&*topic.name);
                Attempt::Failed(error.caused_by(cause))
            }
        }
    }
}

async fn create(
    connection: &Connection,
    topic: &NewTopic,
    patience: Duration,
) -> Result<(Code, Option<String>)> {
    let request = CreateTopicsRequest {
        topics: vec![topic.to_wire()?],
        timeout_ms: i32::try_from(patience.as_millis()).unwrap_or(i32::MAX),
        validate_only: topic.validate_only,
    };
    // The broker's own time-out comes first, so that its answer can still arrive.
    let deadline = Instant::now() + patience + Duration::from_secs(5);
    let response = connection.request(&request, deadline).await?;
    let result = response.topics.into_iter().find(|result| result.name == topic.name);
    let result = result.ok_or_else(|| nothing_said(connection, &topic.name))?;
    Ok((Code::from(result.error_code), result.error_message))
}

async fn delete(
    connection: &Connection,
    name: &str,
    patience: Duration,
) -> Result<(Code, Option<String>)> {
    let state = DeleteTopicState { name: Some(name.to_owned()), ..DeleteTopicState::default() };
    let version = connection.versions().pick::<DeleteTopicsRequest>()?;
    let by_state = version >= 6;
    let request = DeleteTopicsRequest {
        topics: if by_state { vec![state] } else { Vec::new() },
        topic_names: if by_state { Vec::new() } else { vec![name.to_owned()] },
        timeout_ms: i32::try_from(patience.as_millis()).unwrap_or(i32::MAX),
    };
    let deadline = Instant::now() + patience + Duration::from_secs(5);
    let response = connection.request_at(version, &request, deadline).await?;
    let result = response.responses.into_iter().find(|r| r.name.as_deref() == Some(name));
    let result = result.ok_or_else(|| nothing_said(connection, name))?;
    Ok((Code::from(result.error_code), result.error_message))
}

fn nothing_said(connection: &Connection, name: &str) -> Error {
    let broker = connection.broker();
    let text = format!("broker {broker} answered without a word on topic {name}");
    Error::new(Code::PROTOCOL, text).with_broker(&**broker).with_topic(name)
}

impl Change {
    fn topic(&self) -> &str {
        match self {
            Self::Create(topic) => &topic.name,
            Self::Delete(name) => name,
        }
    }

    /// Whether the broker can do this at all.
    fn check(&self, versions: &Versions) -> Result<()> {
        let topic = self.topic();
        let without = |error: Error, what: &str| {
            let text = format!("{} ({what})", error.message());
            Err(Error::new(error.code(), text).with_broker(&**versions.broker()).with_topic(topic))
        };
        match self {
            Self::Create(new) => match versions.pick::<CreateTopicsRequest>() {
                Ok(version) if version < 4 && new.has_defaults() => without(
                    versions.unsupported("creating topics with its own defaults"),
                    "give partitions and replication factor",
                ),
                Ok(_) => Ok(()),
                Err(error) => without(
                    error,
                    "it makes topics with its own defaults when they are first used, if its \
                     auto.create.topics.enable is true: leave partitions, replication factor and \
                     configs at their defaults, with allow.auto.create.topics=true, or publish to it",
                ),
            },
            Self::Delete(_) => match versions.pick::<DeleteTopicsRequest>() {
                Ok(_) => Ok(()),
                Err(error) => without(error, "use the tools of its release"),
            },
        }
    }

    /// Whether this refusal means that an earlier attempt of ours succeeded.
    fn is_already_done(&self, error: &Error) -> bool {
        match self {
            Self::Create(_) => error.code() == Code::TOPIC_ALREADY_EXISTS,
            Self::Delete(_) => error.code() == Code::UNKNOWN_TOPIC_OR_PARTITION,
        }
    }

    fn refused(&self, code: Code, text: Option<String>, connection: &Connection) -> Attempt {
        let broker = connection.broker();
        let said = text.filter(|text| !text.is_empty()).unwrap_or_else(|| code.text().to_owned());
        let error = Error::new(code, format!("broker {broker} refused: {self}: {said}"))
            .with_broker(&**broker)
            .with_topic(self.topic());
        // A topic that the controller does not know will not appear by waiting.
        let unknown = code == Code::UNKNOWN_TOPIC_OR_PARTITION;
        if code.is_retriable() && !unknown { Attempt::Again(error) } else { Attempt::Failed(error) }
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Create(topic) => write!(f, "creating topic {}", topic.name),
            Self::Delete(name) => write!(f, "deleting topic {name}"),
        }
    }
}

/// Kafka 0.7 has no administration: a topic is there when somebody writes to it, and stays.
fn refused_by_legacy(change: &Change) -> Error {
    let how = match change {
        Change::Create(_) => "a topic is made by writing to it",
        Change::Delete(_) => "a topic cannot be deleted",
    };
    let text = format!("{change}: on Kafka 0.7 {how}");
    Error::new(Code::UNSUPPORTED_FEATURE, text).with_topic(change.topic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_an_unknown_outcome_it_exists_already_means_done() {
        let create = Change::Create(NewTopic::new("t"));
        let delete = Change::Delete("t".to_owned());
        let exists = Error::bare(Code::TOPIC_ALREADY_EXISTS);
        let gone = Error::bare(Code::UNKNOWN_TOPIC_OR_PARTITION);
        assert!(create.is_already_done(&exists) && !create.is_already_done(&gone));
        assert!(delete.is_already_done(&gone) && !delete.is_already_done(&exists));
    }

    #[test]
    fn what_is_not_given_is_the_brokers_default() {
        let wire = NewTopic::new("t").to_wire().unwrap();
        assert_eq!((wire.num_partitions, wire.replication_factor), (-1, -1));
        let topic = NewTopic {
            partitions: Some(3),
            replication_factor: Some(2),
            config: BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]),
            ..NewTopic::new("t")
        };
        let wire = topic.to_wire().unwrap();
        assert_eq!((wire.num_partitions, wire.replication_factor), (3, 2));
        assert_eq!(wire.configs.first().unwrap().name, "cleanup.policy");
        let absurd = NewTopic { replication_factor: Some(100_000), ..NewTopic::new("t") };
        let error = absurd.to_wire().unwrap_err();
        assert_eq!((error.code(), error.topic()), (Code::INVALID_REPLICATION_FACTOR, Some("t")));
    }
}
