//! The first words on a connection: what does this broker speak?

use std::time::Instant;

use bytes::Bytes;

use super::Versions;
use super::books::{Expects, Outgoing, Pending};
use super::memory::{API_VERSIONS, Memory, Opening};
use super::release::Old;
use super::wire::{Flush, Wire};
use crate::error::{Code, Error, Result};
use crate::protocol::modern::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use crate::protocol::modern::messages::fetch::FetchRequest;
use crate::protocol::modern::messages::metadata::MetadataRequest;
use crate::protocol::modern::{ApiKey, Request, header};

/// The answer of 0.8 to an empty Fetch: correlation id, no topics. 0.9 says a throttle time besides.
const EMPTY_FETCH_OF_0_8: usize = 8;

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
    pub(super) async fn run(&mut self, opening: Opening) -> Result<Verdict> {
        match opening {
            Opening::Nothing(old) => Ok(self.old(old)),
            Opening::Ask(version) => self.versions(version, version).await,
            Opening::Discover(version) => {
                let request = MetadataRequest::default();
                let frame = self.exchange(1, &request).await.map_err(|cause| self.mute(cause))?;
                match generation(&frame)? {
                    Generation::Modern => self.versions(version, version).await,
                    Generation::Old => self.which_old().await,
                }
            }
        }
    }

    fn old(&self, old: Old) -> Verdict {
        Verdict::Ready(Versions::of_old(self.wire.peer(), old), Memory::Old(old))
    }

    /// 0.8 or 0.9? An empty Fetch v1 tells: 0.8 answers in version 0, whatever is asked.
    async fn which_old(&mut self) -> Result<Verdict> {
        match self.exchange(1, &FetchRequest { max_wait_ms: 0, ..FetchRequest::default() }).await {
            Ok(frame) if frame.len() > EMPTY_FETCH_OF_0_8 => Ok(self.old(Old::V0_9)),
            Ok(_) => Ok(self.old(Old::V0_8)),
            // Something else that is old, and stricter: nothing newer than 0.8 is asked of it.
            Err(error) if error.code() == Code::DISCONNECTED => {
                Ok(Verdict::Again(Opening::Nothing(Old::V0_8)))
            }
            Err(error) => Err(error),
        }
    }

    /// Asks for the versions, and draws the conclusion. `first` is what this connection began with.
    async fn versions(&mut self, first: i16, mut version: i16) -> Result<Verdict> {
        loop {
            let request = ApiVersionsRequest {
                client_software_name: "libsamsa".to_owned(),
                client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
            };
            let frame = match self.exchange(version, &request).await {
                Ok(frame) => frame,
                // A reset may mean "this version is too new" (invariant 2.10), or that an address which
                // was modern is served by an old broker now: both are found out on a new connection.
                Err(error) if error.code() == Code::DISCONNECTED && first > 0 => {
                    return Ok(Verdict::Again(Opening::Discover(0)));
                }
                Err(error) => return Err(self.mute(error)),
            };
            let (_, answer) = header::decode_response::<ApiVersionsRequest>(version, frame)?;
            match conclude(&answer, version)? {
                Conclusion::Spoken => return Ok(self.ready(&answer)),
                Conclusion::Lower(lower) => version = lower,
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

    /// The error of a peer that closes on requests that every broker answers.
    fn mute(&self, cause: Error) -> Error {
        if cause.code() != Code::DISCONNECTED || self.wire.heard_anything() {
            return cause;
        }
        let text = "it closes each connection before it answers anything: is this a Kafka broker?";
        Error::new(Code::CONNECTION_FAILED, text).caused_by(cause)
    }

    /// Sends a request and waits for its frame.
    async fn exchange<R: Request>(&mut self, version: i16, request: &R) -> Result<Bytes> {
        let correlation = self.correlation;
        self.correlation = self.correlation.wrapping_add(1) & i32::MAX;
        let segments = header::encode_request(version, correlation, self.client_id, request)?;
        let (api, expects, deadline) = (R::KEY.name(), Expects::Answer, self.deadline);
        let outgoing = Outgoing { api, correlation, segments, expects, deadline };
        received(self.wire.send(outgoing, Flush::Now)?).await
    }
}

async fn received(pending: Pending) -> Result<Bytes> {
    let ended = || Error::new(Code::ABANDONED, "the connection's task ended");
    pending.await.unwrap_or_else(|_| Err(ended()))
}

#[derive(Debug, PartialEq, Eq)]
enum Generation {
    Modern,
    Old,
}

/// Whether a broker reads versions: by the layout of its answer to an empty Metadata v1. An answer in
/// one layout never fits the other: where version 1 has a rack and the controller, version 0 has the
/// count of topics and ends.
fn generation(frame: &Bytes) -> Result<Generation> {
    let as_v1 = header::decode_response::<MetadataRequest>(1, frame.clone());
    let as_v0 = header::decode_response::<MetadataRequest>(0, frame.clone());
    match (as_v1, as_v0) {
        // An empty list asks for no topic.
        (Ok((_, answer)), _) if answer.topics.is_empty() => Ok(Generation::Modern),
        (_, Ok(_)) => Ok(Generation::Old),
        (Ok(_), Err(_)) => Ok(Generation::Modern),
        (Err(cause), Err(_)) => {
            Err(Error::new(Code::PROTOCOL, "it answered Metadata with nonsense").caused_by(cause))
        }
    }
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
