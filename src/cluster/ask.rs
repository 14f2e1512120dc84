//! One question for metadata: which requests it takes in each version, and to whom they go.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::BrokerInfo;
use super::answer::{Answer, Asked, PartitionAnswer, TopicAnswer};
use super::hedge::first_answer;
use super::wishes::Question;
use crate::error::{Code, Error, Result};
use crate::net::{Broker, Connection, Flush, Purpose};
use crate::protocol::modern::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponsePartition,
    MetadataResponseTopic,
};

/// The first version in which a request can ask for no topic at all, and null means all.
const NULL_MEANS_ALL: i16 = 1;

/// The first version that says whether topics may be created.
const MAY_FORBID_CREATION: i16 = 4;

/// The first version whose leader epochs are reliable (invariant 1.5).
const RELIABLE_EPOCHS: i16 = 9;

/// What is asked: the wishes, and perhaps all topics besides.
#[derive(Clone, Debug, Default)]
pub(super) struct Ask {
    pub(super) question: Question,
    pub(super) all: bool,
}

/// One request of a question.
#[derive(Clone, Debug, PartialEq)]
struct Part {
    request: MetadataRequest,
    asked: Asked,
}

/// What came of a question.
#[derive(Debug)]
pub(super) enum Outcome {
    Answered(Answers),
    /// A broker that metadata listed says that this client is to bootstrap again (KIP-1102).
    Rebootstrap(Error),
}

/// A broker's answers to the parts of one question.
#[derive(Debug)]
pub(super) struct Answers {
    pub(super) broker: Arc<Broker>,
    pub(super) release: String,
    pub(super) answers: Vec<Answer>,
}

/// The requests of a question in this version (invariant 1.15): in version 0 an empty list means all
/// topics, from 1 on null does and an empty list means none; below 4 every topic that is named may be
/// created. So topics that must not be created are then picked out of all topics, which creates none.
fn parts(ask: &Ask, version: i16) -> Vec<Part> {
    let Question { creatable, found, others, .. } = &ask.question;
    // Where the version can forbid creation, what was found before is only looked at.
    let (create, look): (Vec<_>, Vec<_>) = if version >= MAY_FORBID_CREATION {
        (creatable.clone(), [found.as_slice(), others].concat())
    } else {
        ([creatable.as_slice(), found].concat(), others.clone())
    };
    let named = |names: &[Arc<str>], create: bool| Part {
        request: MetadataRequest {
            topics: Some(names.iter().map(topic).collect()),
            allow_auto_topic_creation: create || version < MAY_FORBID_CREATION,
            ..MetadataRequest::default()
        },
        asked: Asked::Topics(names.to_vec()),
    };
    let all = |asked| Part {
        request: MetadataRequest {
            topics: if version >= NULL_MEANS_ALL { None } else { Some(Vec::new()) },
            allow_auto_topic_creation: version < MAY_FORBID_CREATION,
            ..MetadataRequest::default()
        },
        asked,
    };
    let mut parts = Vec::new();
    if ask.all {
        parts.push(all(Asked::All));
    } else if !look.is_empty() && version < MAY_FORBID_CREATION {
        parts.push(all(Asked::Topics(look)));
    } else if !look.is_empty() {
        parts.push(named(&look, false));
    }
    if !create.is_empty() {
        // Of its own also beside "all", which creates nothing.
        parts.push(named(&create, true));
    }
    if parts.is_empty() {
        // The brokers alone; version 0 can only give them with all topics.
        let nothing = Asked::Topics(Vec::new());
        parts.push(if version >= NULL_MEANS_ALL { named(&[], false) } else { all(nothing) });
    }
    parts
}

fn topic(name: &Arc<str>) -> MetadataRequestTopic {
    MetadataRequestTopic { name: Some(name.to_string()), ..MetadataRequestTopic::default() }
}

/// Asks the brokers in this order until one has answered ([`first_answer`]).
pub(super) async fn ask(
    brokers: Vec<Arc<Broker>>,
    ask: Ask,
    request_timeout: Duration,
) -> Result<Outcome> {
    let one = |broker| outcome_of_one(broker, ask.clone(), request_timeout);
    first_answer("no broker answered the metadata request", brokers, one).await
}

async fn outcome_of_one(
    broker: Arc<Broker>,
    ask: Ask,
    request_timeout: Duration,
) -> Result<Outcome> {
    match ask_one(Arc::clone(&broker), ask, request_timeout).await {
        // From one of the bootstrap list it is a failure like others: the next one is asked.
        Err(error) if error.code() == Code::REBOOTSTRAP_REQUIRED && broker.id() >= 0 => {
            // Its id may soon be somebody else's.
            broker.disconnect_idle();
            Ok(Outcome::Rebootstrap(error))
        }
        answers => answers.map(Outcome::Answered),
    }
}

async fn ask_one(broker: Arc<Broker>, ask: Ask, request_timeout: Duration) -> Result<Answers> {
    // The set-up has its own limit within; this one only keeps the wait finite.
    let patience = Instant::now() + request_timeout + request_timeout;
    let connection = broker.connection(Purpose::Control, patience).await?;
    let version = connection.versions().pick::<MetadataRequest>()?;
    let deadline = Instant::now() + request_timeout;
    let mut pending = Vec::new();
    let parts = parts(&ask, version);
    for (number, part) in parts.iter().enumerate() {
        let flush = if number + 1 == parts.len() { Flush::Now } else { Flush::Soon };
        pending.push(connection.start(version, &part.request, deadline, flush)?);
    }
    let mut answers = Vec::new();
    for (part, pending) in parts.into_iter().zip(pending) {
        let response = pending.await?;
        answers.push(understand(&connection, version, part.asked, response)?);
    }
    let release = connection.versions().release().to_owned();
    Ok(Answers { broker, release, answers })
}

/// Turns a response into what the rules of merging read. What cannot be used is left out.
fn understand(
    connection: &Connection,
    version: i16,
    asked: Asked,
    response: MetadataResponse,
) -> Result<Answer> {
    let code = Code::from(response.error_code);
    if code != Code::NONE {
        let broker = connection.broker();
        let text = format!("broker {broker} refused the metadata request: {}", code.text());
        return Err(Error::new(code, text).with_broker(&**broker));
    }
    let brokers = response.brokers.into_iter().filter_map(|broker| {
        let port = u16::try_from(broker.port).ok().filter(|port| *port > 0)?;
        let (id, host, rack) = (broker.node_id, broker.host, broker.rack);
        (!host.is_empty()).then_some(BrokerInfo { id, host, port, rack })
    });
    let brokers = brokers.collect();
    let wanted: Option<HashSet<&str>> = match &asked {
        Asked::All => None,
        Asked::Topics(names) => Some(names.iter().map(|name| &**name).collect()),
    };
    let is_wanted = |topic: &MetadataResponseTopic| {
        let name = topic.name.as_deref().filter(|name| !name.is_empty());
        name.is_some_and(|name| wanted.as_ref().is_none_or(|wanted| wanted.contains(name)))
    };
    let topics =
        response.topics.into_iter().filter(is_wanted).map(understand_topic).collect::<Vec<_>>();
    Ok(Answer {
        cluster_id: response.cluster_id,
        controller: response.controller_id,
        brokers,
        topics,
        reliable_epochs: version >= RELIABLE_EPOCHS,
        asked,
    })
}

fn understand_topic(topic: MetadataResponseTopic) -> TopicAnswer {
    TopicAnswer {
        name: Arc::from(topic.name.unwrap_or_default()),
        id: topic.topic_id.0,
        error: Code::from(topic.error_code),
        internal: topic.is_internal,
        partitions: topic.partitions.into_iter().map(understand_partition).collect(),
    }
}

fn understand_partition(partition: MetadataResponsePartition) -> PartitionAnswer {
    PartitionAnswer {
        index: partition.partition_index,
        error: Code::from(partition.error_code),
        leader: partition.leader_id,
        leader_epoch: partition.leader_epoch,
        replicas: partition.replica_nodes,
        in_sync: partition.isr_nodes,
        offline: partition.offline_replicas,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask_for(creatable: &[&str], others: &[&str], all: bool) -> Ask {
        let names = |list: &[&str]| list.iter().map(|name| Arc::from(*name)).collect();
        let question =
            Question { creatable: names(creatable), others: names(others), ..Question::default() };
        Ask { question, all }
    }

    /// The parts as (names or none for all, creation allowed).
    fn shape(ask: &Ask, version: i16) -> Vec<(Option<Vec<String>>, bool)> {
        let names = |topics: Vec<MetadataRequestTopic>| {
            topics.into_iter().filter_map(|topic| topic.name).collect()
        };
        parts(ask, version)
            .into_iter()
            .map(|part| (part.request.topics.map(names), part.request.allow_auto_topic_creation))
            .collect()
    }

    fn named(names: &[&str]) -> Option<Vec<String>> {
        Some(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn rule_1_15_null_and_empty_mean_what_each_version_says() {
        let nothing = ask_for(&[], &[], false);
        assert_eq!(shape(&nothing, 0), [(named(&[]), true)], "version 0 cannot ask for none");
        assert_eq!(shape(&nothing, 1), [(named(&[]), true)]);
        assert_eq!(shape(&nothing, 12), [(named(&[]), false)]);
        let all = ask_for(&[], &[], true);
        assert_eq!(shape(&all, 0), [(named(&[]), true)]);
        assert_eq!(shape(&all, 1), [(None, true)]);
        assert_eq!(shape(&all, 12), [(None, false)]);
    }

    #[test]
    fn rule_1_15_a_topic_that_must_not_be_created_is_never_named_below_version_4() {
        let ask = ask_for(&["a"], &["b"], false);
        assert_eq!(shape(&ask, 3), [(None, true), (named(&["a"]), true)]);
        assert_eq!(shape(&ask, 0), [(named(&[]), true), (named(&["a"]), true)]);
        assert_eq!(shape(&ask, 4), [(named(&["b"]), false), (named(&["a"]), true)]);
        let asked: Vec<Asked> = parts(&ask, 3).into_iter().map(|part| part.asked).collect();
        assert_eq!(asked.first(), Some(&Asked::Topics(vec![Arc::from("b")])), "picked out of all");
    }

    #[test]
    fn a_refresh_of_known_topics_creates_none_where_the_version_can_say_so() {
        let question = Question { found: vec![Arc::from("a")], ..Question::default() };
        let ask = Ask { question, all: false };
        assert_eq!(shape(&ask, 4), [(named(&["a"]), false)]);
        assert_eq!(shape(&ask, 3), [(named(&["a"]), true)], "older ones would need all topics");
    }

    #[test]
    fn rule_1_15_beside_all_topics_creatable_ones_have_a_request_of_their_own() {
        let ask = ask_for(&["a"], &["b"], true);
        assert_eq!(shape(&ask, 12), [(None, false), (named(&["a"]), true)]);
    }
}
