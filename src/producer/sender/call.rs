//! One request to a broker, from its writing to its answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::super::accumulator::{Answer, Flight};
use super::super::core::Core;
use super::super::legacy;
use super::super::mail::{InFlight, Mail};
use super::answer::{answers, hints, refused};
use super::office::Live;
use super::request::Cargo;
use crate::config::Acks;
use crate::error::{Code, Error, Persistence, Result};
use crate::net::Listener;
use crate::os::fork::Era;
use crate::protocol::modern::Uuid;
use crate::protocol::modern::messages::produce::{ProduceRequest, ProduceResponse};
use crate::runtime::inject_panic;

/// The first version of Produce that names topics by id.
const FIRST_WITH_TOPIC_IDS: i16 = 13;

/// A request under way.
#[derive(Debug)]
pub(crate) struct Call {
    core: Arc<Core>,
    live: Live,
    version: i16,
    flights: Vec<Flight>,
    ids: Option<BTreeMap<usize, Uuid>>,
    /// Rings the sender when it is dropped.
    in_flight: InFlight,
}

/// Writes a request of these batches, by the one who is in the office. Its answer comes into the
/// sender's box, so that no task need be started, and no thread woken, before there is something to do.
pub(super) fn launch(core: &Arc<Core>, mail: &Arc<Mail>, live: &Live, cargo: Cargo) {
    let config = &core.config;
    if live.connection.is_legacy() {
        let (flights, in_flight) = (cargo.into_flights(), mail.take_off());
        return legacy::launch(core, &live.connection, flights, in_flight);
    }
    let mut ids = cargo.topic_ids();
    let versions = live.connection.versions();
    let version = match &ids {
        Some(_) => versions.pick_with_topic_ids::<ProduceRequest>(),
        None => versions.pick::<ProduceRequest>(),
    };
    let version = version.unwrap_or(live.profile.version);
    if version < FIRST_WITH_TOPIC_IDS {
        ids = None;
    }
    let request = cargo.request(config.acks, config.request_timeout, ids.as_ref());
    let call = Call {
        core: Arc::clone(core),
        live: live.clone(),
        version,
        flights: cargo.into_flights(),
        ids,
        in_flight: mail.take_off(),
    };
    if config.acks == Acks::None {
        let broken = Arc::clone(core);
        let on_panic = move |error| broken.fail(&error);
        core.runtime.spawn("produce call", on_panic, call.unacknowledged(request));
        return;
    }
    let deadline = Instant::now() + config.request_timeout;
    // Kept before it is written: the answer may be there before this thread goes on.
    let Some(number) = mail.office.keep(call) else { return };
    let listener = Note { mail: Some(Arc::clone(mail)), number, era: core.era };
    // Written now, before the next request is made: the order of requests is that of the batches. That it
    // could not be written is told to the listener as well: were it settled here, the sender might hear of
    // a listener that is gone first, and take the batches for perhaps written (invariant 1.20).
    live.connection.start_for(version, &request, deadline, Box::new(listener));
}

/// Brings an answer into the sender's box. Under the connection's lock it takes none but the box's, which
/// is a leaf.
#[derive(Debug)]
struct Note {
    mail: Option<Arc<Mail>>,
    number: u64,
    era: Era,
}

impl Listener for Note {
    fn tell(mut self: Box<Self>, frame: Result<Bytes>) {
        if let Some(mail) = self.mail.take() {
            mail.answer(self.number, frame);
        }
    }
}

impl Drop for Note {
    /// Never told: there was a panic, and nobody knows what became of the request.
    fn drop(&mut self) {
        if let Some(mail) = self.mail.take().filter(|_| self.era.is_current()) {
            let error = Error::bare(Code::ABANDONED);
            mail.answer(self.number, Err(error.with_persistence(Persistence::PossiblyPersisted)));
        }
    }
}

impl Call {
    /// The answer came, or why there is none.
    pub(super) fn answered(self, frame: Result<Bytes>) {
        inject_panic("produce-call");
        match self.live.connection.response::<ProduceRequest>(self.version, frame) {
            Ok(response) => self.done(response),
            Err(error) => self.failed(&error),
        }
    }

    async fn unacknowledged(self, request: ProduceRequest) {
        let written = tokio::select! {
            written = self.live.connection.send_only_at(self.version, &request) => written,
            // Every batch has its outcome then.
            () = self.in_flight.ended() => return,
        };
        inject_panic("produce-call");
        match written {
            Err(error) => self.failed(&error),
            Ok(()) => {
                for flight in &self.flights {
                    self.land(flight, Answer::Unacknowledged);
                }
            }
        }
    }

    fn done(mut self, response: ProduceResponse) {
        let (hints, endpoints) = hints(&response, &self.flights, self.ids.as_ref());
        if !hints.is_empty() {
            // Before the batches go back to their queues: they then find the new leader.
            self.core.cluster.take_hints(&hints, &endpoints);
        }
        let (acks, flights) = (self.core.config.acks, std::mem::take(&mut self.flights));
        let now = Instant::now();
        for (flight, answer) in answers(response, flights, self.ids.as_ref(), acks) {
            land_at(&self.core, &flight, &self.live.profile.address, answer, now);
        }
    }

    fn failed(self, error: &Error) {
        for flight in &self.flights {
            self.land(flight, refused(error));
        }
    }

    fn land(&self, flight: &Flight, answer: Answer) {
        land(&self.core, flight, &self.live.profile.address, answer);
    }
}

/// Brings an answer to its queue, and does what follows from it.
pub(crate) fn land(core: &Core, flight: &Flight, broker: &str, answer: Answer) {
    land_at(core, flight, broker, answer, Instant::now());
}

/// The same at a time that was read for a whole request.
fn land_at(core: &Core, flight: &Flight, broker: &str, answer: Answer, now: Instant) {
    let landed = flight.queue.settle(flight, broker, answer, now);
    if landed.refresh {
        core.cluster.refresh("a partition's leader refused a batch");
    }
    for seal in landed.seals {
        seal.run_on_io_thread(core.config.codec_threads);
    }
}
