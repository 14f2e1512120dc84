//! A search for the broker that coordinates a group: whom to ask, and what they say.

use std::sync::Arc;
use std::time::Instant;

use crate::cluster::{Cluster, first_answer};
use crate::config::Address;
use crate::error::{Code, Error, Result};
use crate::net::{Broker, Connection, Purpose};
use crate::protocol::modern::messages::find_coordinator::{
    FindCoordinatorRequest, FindCoordinatorResponse,
};

/// The first version that asks for several keys at once.
const FIRST_KEYS: i16 = 4;

/// What the brokers say about who coordinates.
#[derive(Debug)]
pub(super) enum Told {
    Here { id: i32, address: Address },
    Later(Error),
    Refused(Error),
}

/// See the module. It is bound to no broker: what waits for it are heartbeats (invariant 1.14).
#[derive(Debug)]
pub(super) struct Search {
    question: Question,
    /// Who was no help, as often as that was so: asked behind the others.
    no_help: Vec<i32>,
}

impl Search {
    /// `lost`: the broker that coordinated last. Hung, it may look like the best one to ask: connected,
    /// with nothing to do.
    pub(super) fn new(cluster: &Arc<Cluster>, group: &Arc<str>, lost: Option<i32>) -> Self {
        let question = Question { cluster: Arc::clone(cluster), group: Arc::clone(group) };
        Self { question, no_help: lost.into_iter().collect() }
    }

    /// Asks until a broker has said something.
    pub(super) async fn ask(&mut self, deadline: Instant) -> Told {
        let brokers = self.in_order(self.question.cluster.reachable_brokers());
        if brokers.is_empty() {
            let text = "no broker of the cluster is known yet";
            return Told::Later(Error::new(Code::BROKER_NOT_AVAILABLE, text));
        }
        let group = &self.question.group;
        let nobody = format!("no broker answered who coordinates group {group}");
        let one = |broker| self.question.clone().ask(broker, deadline);
        match first_answer(&nobody, brokers, one).await {
            Ok((broker, told)) => {
                if matches!(told, Told::Later(_)) {
                    self.no_help.push(broker);
                }
                told
            }
            Err(error) => Told::Later(error),
        }
    }

    fn in_order(&self, mut brokers: Vec<Arc<Broker>>) -> Vec<Arc<Broker>> {
        let times = |id: i32| self.no_help.iter().filter(|other| **other == id).count();
        brokers.sort_by_key(|broker| times(broker.id()));
        brokers
    }
}

#[derive(Clone, Debug)]
struct Question {
    cluster: Arc<Cluster>,
    group: Arc<str>,
}

impl Question {
    /// Asks one broker: who that was, and its answer.
    async fn ask(self, broker: Arc<Broker>, deadline: Instant) -> Result<(i32, Told)> {
        let connection = broker.connection(Purpose::Control, deadline).await?;
        match self.ask_on(&connection).await {
            Err(error) if error.code() == Code::UNSUPPORTED_FEATURE => {
                Ok((broker.id(), Told::Refused(error)))
            }
            told => Ok((broker.id(), told?)),
        }
    }

    async fn ask_on(&self, connection: &Connection) -> Result<Told> {
        let version = connection.versions().pick::<FindCoordinatorRequest>()?;
        let deadline = Instant::now() + self.cluster.client_config().request_timeout;
        let request = request(version, &self.group);
        let response = connection.request_at(version, &request, deadline).await?;
        Ok(self.understand(version, response, connection))
    }

    fn understand(
        &self,
        version: i16,
        response: FindCoordinatorResponse,
        connection: &Connection,
    ) -> Told {
        let (code, message, id, host, port) = if version >= FIRST_KEYS {
            let ours = response.coordinators.into_iter().find(|found| *found.key == *self.group);
            let Some(found) = ours else {
                let text = format!("broker {} left the group out", connection.broker());
                return Told::Later(Error::new(Code::PROTOCOL, text));
            };
            (found.error_code, found.error_message, found.node_id, found.host, found.port)
        } else {
            let told = response.error_message;
            (response.error_code, told, response.node_id, response.host, response.port)
        };
        let code = Code::from(code);
        let port = u16::try_from(port).ok().filter(|port| *port > 0 && !host.is_empty());
        match (code, port) {
            (Code::NONE, Some(port)) => Told::Here { id, address: Address::new(host, port) },
            (Code::NONE, None) => {
                Told::Later(self.refused(Code::COORDINATOR_NOT_AVAILABLE, None, connection))
            }
            (code, _) => {
                let error = self.refused(code, message, connection);
                if error.is_retriable() { Told::Later(error) } else { Told::Refused(error) }
            }
        }
    }

    fn refused(&self, code: Code, message: Option<String>, connection: &Connection) -> Error {
        let why = message.filter(|text| !text.is_empty());
        let why = why.unwrap_or_else(|| code.text().to_owned());
        let broker = connection.broker();
        let text = format!("broker {broker} names no coordinator of group {}: {why}", self.group);
        Error::new(code, text).with_broker(&**broker)
    }
}

fn request(version: i16, group: &str) -> FindCoordinatorRequest {
    let mut request = FindCoordinatorRequest::default();
    if version >= FIRST_KEYS {
        request.coordinator_keys.push(group.to_owned());
    } else {
        group.clone_into(&mut request.key);
    }
    request
}
