//! The first words on a connection: what does this broker speak?

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Versions;
use super::books::{Expects, Outgoing, Pending};
use super::memory::{API_VERSIONS, Memory, Opening};
use super::release::Old;
use super::wire::{Flush, Wire};
use crate::error::{Code, Error, Result};
use crate::protocol::modern::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use crate::protocol::modern::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use crate::protocol::modern::{ApiKey, Request, header};

/// How long an answer that nobody waits for (Metadata v0 of a modern broker) may come after the
/// set-up: on a large cluster it is large.
const LATE_ANSWER: Duration = Duration::from_secs(120);

/// The outcome of negotiating on one connection.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The connection can be used.
    Ready(Versions, Memory),
    /// Make a new connection, and begin it so.
    Again(Opening),
}

/// Negotiates on one new connection.
pub(super) struct Negotiation<'a> {
    pub(super) wire: &'a Wire,
    pub(super) client_id: &'a str,
    /// The end of the set-up time.
    pub(super) deadline: Instant,
    /// The next correlation id; the connection goes on from here.
    pub(super) correlation: i32,
}

impl Negotiation<'_> {
    /// Runs the dialogue that begins with `opening`.
    pub(super) async fn run(&mut self, opening: Opening, now: Instant) -> Result<Verdict> {
        match opening {
            Opening::Nothing(old) => Ok(self.old(old, now)),
            Opening::Ask(version) => {
                let ask = self.ask(version, Expects::Answer)?;
                let pending = self.wire.send(ask, Flush::Now)?;
                self.versions(pending, version, false, now).await
            }
            Opening::Discover(topic) => {
                let ask = self.ask(API_VERSIONS, Expects::PerhapsAnswer)?;
                let metadata = self.metadata(topic)?;
                let mut pending = self.wire.send_all(vec![ask, metadata], Flush::Now)?.into_iter();
                let Some(versions) = pending.next() else { return Err(no_answer()) };
                self.versions(versions, API_VERSIONS, false, now).await
            }
            Opening::MetadataFirst => {
                let metadata = self.metadata(None)?;
                let ask = self.ask(0, Expects::Answer)?;
                let mut pending = self.wire.send_all(vec![metadata, ask], Flush::Now)?.into_iter();
                let (Some(metadata), Some(versions)) = (pending.next(), pending.next()) else {
                    return Err(no_answer());
                };
                received(metadata).await.map_err(|cause| self.mute(cause))?;
                self.versions(versions, 0, true, now).await
            }
        }
    }

    fn old(&self, old: Old, now: Instant) -> Verdict {
        Verdict::Ready(Versions::of_old(self.wire.peer(), old), Memory::Old(old, now))
    }

    /// Waits for the answer to ApiVersions and draws the conclusion.
    async fn versions(
        &mut self,
        first: Pending,
        asked: i16,
        metadata_answered: bool,
        now: Instant,
    ) -> Result<Verdict> {
        let (mut pending, mut version) = (first, asked);
        loop {
            let frame = match received(pending).await {
                Ok(frame) => frame,
                // Passed over: the answer to what came behind it is there.
                Err(error) if error.code() == Code::UNSUPPORTED_VERSION => {
                    return Ok(self.old(Old::V0_9, now));
                }
                Err(error) => return self.closed(error, metadata_answered),
            };
            let (_, answer) = header::decode_response::<ApiVersionsRequest>(version, frame)?;
            match conclude(&answer, version)? {
                Conclusion::Spoken => return Ok(self.ready(&answer)),
                Conclusion::Lower(lower) => {
                    version = lower;
                    let ask = self.ask(version, Expects::Answer)?;
                    pending = self.wire.send(ask, Flush::Now)?;
                }
            }
        }
    }

    fn ready(&self, answer: &ApiVersionsResponse) -> Verdict {
        let versions = Versions::from_answer(self.wire.peer(), answer);
        // What the broker advertises counts, not what it was asked last: the close that led to a lower
        // version may have been an accident.
        let most = versions.range(ApiKey::ApiVersions).map_or(0, |(_, most)| most);
        Verdict::Ready(versions, Memory::Modern(most.clamp(0, API_VERSIONS)))
    }

    /// The connection ended instead of an answer.
    fn closed(&self, error: Error, metadata_answered: bool) -> Result<Verdict> {
        if error.code() != Code::DISCONNECTED {
            return Err(error);
        }
        if metadata_answered {
            return Ok(Verdict::Again(Opening::Nothing(Old::V0_8)));
        }
        if self.wire.heard_anything() {
            return Err(error);
        }
        Ok(Verdict::Again(Opening::MetadataFirst))
    }

    /// Closed again, and this time on a request that every broker answers.
    fn mute(&self, cause: Error) -> Error {
        if cause.code() != Code::DISCONNECTED || self.wire.heard_anything() {
            return cause;
        }
        let text = "it closes each connection before it answers anything: is this a Kafka broker?";
        Error::new(Code::CONNECTION_FAILED, text).caused_by(cause)
    }

    fn ask(&mut self, version: i16, expects: Expects) -> Result<Outgoing> {
        let request = ApiVersionsRequest {
            client_software_name: "libsamsa".to_owned(),
            client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        self.outgoing(version, &request, expects, self.deadline)
    }

    fn metadata(&mut self, topic: Option<Arc<str>>) -> Result<Outgoing> {
        let named = topic.map(|name| MetadataRequestTopic {
            name: Some(name.to_string()),
            ..MetadataRequestTopic::default()
        });
        let topics = Some(named.into_iter().collect());
        let request = MetadataRequest { topics, ..MetadataRequest::default() };
        self.outgoing(0, &request, Expects::Answer, self.deadline + LATE_ANSWER)
    }

    fn outgoing<R: Request>(
        &mut self,
        version: i16,
        request: &R,
        expects: Expects,
        deadline: Instant,
    ) -> Result<Outgoing> {
        let correlation = self.correlation;
        self.correlation = self.correlation.wrapping_add(1) & i32::MAX;
        let segments = header::encode_request(version, correlation, self.client_id, request)?;
        Ok(Outgoing { api: R::KEY.name(), correlation, segments, expects, deadline })
    }
}

async fn received(pending: Pending) -> Result<Bytes> {
    pending.await.unwrap_or_else(|_| Err(no_answer()))
}

fn no_answer() -> Error {
    Error::new(Code::ABANDONED, "the connection's task ended")
}

#[derive(Debug, PartialEq, Eq)]
enum Conclusion {
    Spoken,
    Lower(i16),
}

/// What an answer to ApiVersions of version `asked` means. Error 35 leads to a strictly lower version,
/// and its one-entry list is never taken for the broker's table (invariant 2.2).
fn conclude(answer: &ApiVersionsResponse, asked: i16) -> Result<Conclusion> {
    match Code::from(answer.error_code) {
        Code::NONE if answer.api_keys.is_empty() => {
            Err(Error::new(Code::PROTOCOL, "it answered ApiVersions with an empty list"))
        }
        Code::NONE => Ok(Conclusion::Spoken),
        Code::UNSUPPORTED_VERSION if asked > 0 => {
            let own =
                answer.api_keys.iter().find(|api| api.api_key == ApiKey::ApiVersions.number());
            let lower = own.map_or(0, |api| api.max_version).clamp(0, asked - 1);
            Ok(Conclusion::Lower(lower))
        }
        code => Err(Error::new(
            code,
            format!("it refused ApiVersions version {asked}: {}", code.text()),
        )),
    }
}

#[cfg(test)]
#[path = "negotiate_tests.rs"]
mod tests;
