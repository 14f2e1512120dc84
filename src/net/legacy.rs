//! Connections to brokers of Kafka 0.7.
//!
//! Nothing is negotiated: no request has a version, and no answer an id. Requests are pipelined, and
//! answers belong to them by their order alone; so whatever leaves an answer in doubt (a time-out, a
//! frame that makes no sense) ends the connection. A produce has no answer at all: what its sender
//! wants to know it learns from a request behind it, because a broker serves one connection strictly
//! in order.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;

use super::books::{Expects, Outgoing, Pending};
use super::network::Network;
use super::wire::{Flush, Wire};
use super::{Connection, Stage, Versions};
use crate::config::Address;
use crate::error::{Code, Error, Persistence, Result};
use crate::protocol::legacy::{Answer, Request, RequestId, read_answer};

/// What is spoken with a broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// The protocol of Kafka 0.8 and later: versions, correlation ids.
    #[default]
    Modern,
    /// That of Kafka 0.7.
    Legacy,
}

impl Network {
    /// Connects to a broker of Kafka 0.7 before `deadline`.
    pub(super) async fn connect_legacy(
        &self,
        address: &Address,
        deadline: Instant,
        stage: &(dyn Fn(Stage) + Send + Sync),
    ) -> Result<Connection> {
        let transport = self.dial(address, deadline, stage).await?;
        let settings = self.settings();
        let peer: Arc<str> = Arc::from(address.to_string());
        let (wire, driver) = Wire::legacy(Arc::clone(&peer), transport, settings.max_frame);
        wire.ready(settings.max_idle);
        self.runtime().spawn("connection", driver.on_panic(), driver);
        self.logger().debug("net", format_args!("connected to broker {address} (Kafka 0.7)"));
        let client_id = Arc::clone(&settings.client_id);
        let versions = Versions::of_legacy(&peer);
        let (time, logger) = (settings.request_timeout, self.logger().clone());
        Ok(Connection::new(wire, versions, client_id, time, 0, logger))
    }
}

impl Connection {
    /// Sends a request of Kafka 0.7 that is answered (Fetch, MultiFetch, Offsets). Written before this
    /// returns, if the stream has room; await the answer later, or from elsewhere. Requests are
    /// answered in their order.
    ///
    /// `deadline` is the broker's time: when it passes the connection is closed, because an answer that
    /// comes later could not be told from the next one.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for a request that has no answer, or that cannot be encoded; INVALID_STATE on a
    /// connection to a newer broker; else those of [`request`](Self::request).
    pub fn ask(&self, request: &Request<'_>, deadline: Instant) -> Result<LegacyAnswer> {
        if !request.id().is_answered() {
            let text = format!("{:?} of Kafka 0.7 is never answered", request.id());
            return Err(Error::new(Code::INVALID_ARGUMENT, text));
        }
        let mut bytes = Vec::new();
        request.encode(&mut bytes)?;
        self.ask_bytes(name(request.id()), vec![bytes.into()], deadline, Flush::Now)
    }

    /// Sends a request of Kafka 0.7 that is not answered (Produce, MultiProduce), and waits until its
    /// last byte is written, for `request.timeout.ms` at most.
    ///
    /// # Errors
    /// As [`ask`](Self::ask), for a request that is answered.
    pub async fn tell(&self, request: &Request<'_>) -> Result<()> {
        if request.id().is_answered() {
            let text = format!("{:?} of Kafka 0.7 is answered", request.id());
            return Err(Error::new(Code::INVALID_ARGUMENT, text));
        }
        let mut bytes = Vec::new();
        request.encode(&mut bytes)?;
        let deadline = Instant::now() + self.write_time();
        self.tell_bytes(name(request.id()), vec![bytes.into()], deadline)?.await
    }

    /// As [`ask`](Self::ask), for encoded requests of which the last one alone is answered.
    pub(crate) fn ask_bytes(
        &self,
        api: &'static str,
        segments: Vec<Bytes>,
        deadline: Instant,
        flush: Flush,
    ) -> Result<LegacyAnswer> {
        let pending = self.send_legacy(api, segments, Expects::Answer, deadline, flush)?;
        Ok(LegacyAnswer { pending, connection: self.clone() })
    }

    /// As [`tell`](Self::tell), for encoded requests; they are queued in their order when this returns.
    pub(crate) fn tell_bytes(
        &self,
        api: &'static str,
        segments: Vec<Bytes>,
        deadline: Instant,
    ) -> Result<impl Future<Output = Result<()>> + Send + use<>> {
        let pending = self.send_legacy(api, segments, Expects::Nothing, deadline, Flush::Now)?;
        let connection = self.clone();
        Ok(async move { connection.outcome(pending.await).map(drop) })
    }

    fn send_legacy(
        &self,
        api: &'static str,
        segments: Vec<Bytes>,
        expects: Expects,
        deadline: Instant,
        flush: Flush,
    ) -> Result<Pending> {
        if !self.is_legacy() {
            let text =
                format!("a request of Kafka 0.7 to broker {}, which is newer", self.broker());
            return Err(Error::new(Code::INVALID_STATE, text).with_broker(&**self.broker()));
        }
        let outgoing = Outgoing { api, correlation: 0, segments, expects, deadline };
        self.wire().send(outgoing, flush)
    }

    /// Whether the broker is of Kafka 0.7.
    #[must_use]
    pub fn is_legacy(&self) -> bool {
        self.versions().is_legacy()
    }
}

/// Kafka's name of a request, for messages.
fn name(id: RequestId) -> &'static str {
    match id {
        RequestId::Produce => "Produce",
        RequestId::Fetch => "Fetch",
        RequestId::MultiFetch => "MultiFetch",
        RequestId::MultiProduce => "MultiProduce",
        RequestId::Offsets => "Offsets",
    }
}

/// An answer of a 0.7 broker under way; a future. Dropping it gives up on the answer, not on the
/// connection.
#[derive(Debug)]
pub struct LegacyAnswer {
    pending: Pending,
    connection: Connection,
}

impl LegacyAnswer {
    /// The connection that the answer comes on. Whoever finds that the body makes no sense closes it.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }
}

impl Future for LegacyAnswer {
    type Output = Result<Answer>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match Pin::new(&mut self.pending).poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(received) => {
                let frame = self.connection.outcome(received);
                let read = |frame| {
                    let persistence = Persistence::PossiblyPersisted;
                    read_answer(frame).map_err(|error| error.with_persistence(persistence))
                };
                Poll::Ready(frame.and_then(read))
            }
        }
    }
}

#[cfg(test)]
#[path = "legacy_tests.rs"]
mod tests;
