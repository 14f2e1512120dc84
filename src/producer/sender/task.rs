//! The sender task of one broker.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::super::accumulator::{Answer, Flight, Queue, Take, Wanted};
use super::super::core::Core;
use super::super::legacy;
use super::super::mail::{InFlight, Mail, Profile};
use super::super::timers::Timers;
use super::answer::{answers, hints, refused};
use super::request::Cargo;
use crate::config::Acks;
use crate::error::{Code, Error, Result};
use crate::net::{Backoff, Connection, Flush, Purpose, jitter};
use crate::protocol::modern::Uuid;
use crate::protocol::modern::messages::produce::{ProduceRequest, ProduceResponse};
use crate::runtime::inject_panic;

/// Serves the queues that post to `mail` until it is stopped.
pub(crate) async fn run(core: Arc<Core>, mail: Arc<Mail>) {
    let backoff = Backoff { first: core.config.retry_backoff, most: core.config.retry_backoff_max };
    let mut sender = Sender {
        core,
        mail,
        rotation: VecDeque::new(),
        timers: Timers::default(),
        connection: None,
        backoff,
        failures: 0,
        rests_until: None,
    };
    while sender.collect() {
        inject_panic("sender");
        sender.send_all().await;
        sender.sleep().await;
    }
}

struct Sender {
    core: Arc<Core>,
    mail: Arc<Mail>,
    /// Queues with something to send, served in turn: who did not fit begins the next request
    /// (invariant 4.15).
    rotation: VecDeque<Arc<Queue>>,
    timers: Timers,
    connection: Option<Live>,
    backoff: Backoff,
    /// Attempts to connect that failed in a row, and until when not to try again.
    failures: u32,
    rests_until: Option<Instant>,
}

#[derive(Clone)]
struct Live {
    connection: Connection,
    profile: Profile,
}

impl Sender {
    /// Takes in what came; false when the task is to end.
    fn collect(&mut self) -> bool {
        let now = Instant::now();
        let mut more = true;
        while more {
            let letters = self.mail.collect();
            if letters.stopped {
                self.rotation.clear();
                self.timers.clear();
                return false;
            }
            self.rotation.extend(letters.ready);
            for (at, queue) in letters.timers {
                self.timers.add(at, queue);
            }
            more = false;
            while let Some((at, queue)) = self.timers.due(now) {
                queue.timer_fired(&self.mail, at, now);
                more = true; // it may have posted to this very box
            }
        }
        true
    }

    fn is_saturated(&self) -> bool {
        self.mail.in_flight() >= self.core.config.max_in_flight
    }

    /// Sends as many requests as may be in flight and there is something for.
    async fn send_all(&mut self) {
        while !self.rotation.is_empty() && !self.is_saturated() {
            let Some(live) = self.connect().await else { return self.let_go() };
            let cargo = self.gather(&live.profile);
            if cargo.is_empty() {
                continue; // whoever was in the rotation had nothing after all
            }
            self.launch(&live, cargo);
            // A request is up to a megabyte to seal: let other tasks of this thread have their turn.
            tokio::task::yield_now().await;
        }
    }

    /// The broker cannot be reached: forgets the queues that need it no longer. A broker that is gone
    /// for good would else be called for ever, and metadata asked for each time.
    fn let_go(&mut self) {
        let mail = &self.mail;
        let core = &self.core;
        self.rotation.retain(|queue| {
            core.rescue(queue);
            queue.needs(mail)
        });
    }

    /// The connection, opened if need be. None while the broker cannot be reached.
    async fn connect(&mut self) -> Option<Live> {
        if let Some(live) = self.connection.as_ref().filter(|live| live.connection.is_open()) {
            return Some(live.clone());
        }
        self.connection = None;
        let now = Instant::now();
        if self.rests_until.is_some_and(|until| until > now) {
            return None;
        }
        match self.open(now).await {
            Ok(live) => {
                (self.failures, self.rests_until) = (0, None);
                self.mail.set_failure(None);
                self.mail.set_profile(live.profile.clone());
                self.connection = Some(live.clone());
                Some(live)
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                let rest = self.backoff.delay(self.failures, jitter());
                self.rests_until = Some(Instant::now() + rest);
                self.mail.set_failure(Some(error));
                self.core.cluster.refresh("a producer cannot reach a leader");
                None
            }
        }
    }

    async fn open(&self, now: Instant) -> Result<Live> {
        let id = self.mail.broker();
        let broker = self.core.cluster.broker(id).ok_or_else(|| {
            let text = format!("the cluster no longer names broker {id}, which led the partition");
            Error::new(Code::CONNECTION_FAILED, text)
        })?;
        self.mail.set_broker(Arc::clone(&broker));
        let deadline = now + self.core.config.request_timeout;
        let connection = tokio::select! {
            connection = broker.connection(Purpose::Produce, deadline) => connection?,
            () = self.mail.ended() => return Err(Error::bare(Code::CLOSED)),
        };
        let profile = Profile::of(connection.versions())?;
        Ok(Live { connection, profile })
    }

    /// Takes one batch of each queue, in turn, as far as the request has room.
    fn gather(&mut self, profile: &Profile) -> Cargo {
        let mut cargo = Cargo::default();
        let (now, window) = (Instant::now(), profile.window.min(self.core.config.max_in_flight));
        let mut again = Vec::new();
        while let Some(queue) = self.rotation.pop_front() {
            let room = cargo.room(self.core.config.max_request_size);
            let wanted = Wanted { format: profile.format, room, window, now };
            match queue.take(&self.mail, &wanted) {
                Take::Flight(flight) => {
                    // A request carries one batch of a partition; the next one goes with the next.
                    again.extend(flight.more.then(|| Arc::clone(&queue)));
                    match profile.check(flight.body.sealed.compression()) {
                        Ok(()) => cargo.add(flight),
                        Err(error) => self.land(&flight, &profile.address, refused(&error)),
                    }
                }
                Take::Seal(seal) => {
                    if seal.run_on_io_thread(self.core.config.codec_threads) {
                        self.rotation.push_front(queue);
                    }
                }
                Take::NoRoom => {
                    self.rotation.push_front(queue);
                    break;
                }
                Take::Nothing => {}
            }
        }
        self.rotation.extend(again);
        cargo
    }

    fn land(&self, flight: &Flight, broker: &str, answer: Answer) {
        land(&self.core, flight, broker, answer);
    }

    /// Writes the request; a task of its own awaits the answer.
    fn launch(&self, live: &Live, cargo: Cargo) {
        let config = &self.core.config;
        if live.connection.is_legacy() {
            let (flights, in_flight) = (cargo.into_flights(), self.mail.take_off());
            return legacy::launch(&self.core, &live.connection, flights, in_flight);
        }
        let mut ids = cargo.topic_ids();
        let version = match &ids {
            Some(_) => live.connection.versions().pick_with_topic_ids::<ProduceRequest>(),
            None => live.connection.versions().pick::<ProduceRequest>(),
        };
        let version = version.unwrap_or(live.profile.version);
        if version < FIRST_WITH_TOPIC_IDS {
            ids = None;
        }
        let request = cargo.request(config.acks, config.request_timeout, ids.as_ref());
        let call = Call {
            core: Arc::clone(&self.core),
            broker: live.profile.address.clone(),
            flights: cargo.into_flights(),
            ids,
            in_flight: self.mail.take_off(),
        };
        let core = Arc::clone(&self.core);
        let broken = move |error| core.fail(&error);
        let connection = live.connection.clone();
        if config.acks == Acks::None {
            let call = call.unacknowledged(connection, version, request);
            self.core.runtime.spawn("produce call", broken, call);
            return;
        }
        let deadline = Instant::now() + config.request_timeout;
        // Written by this task, before the next request is made: the order of requests is that of
        // the batches.
        match connection.start(version, &request, deadline, Flush::Now) {
            Ok(answer) => {
                let call = call.answered(answer);
                self.core.runtime.spawn("produce call", broken, call);
            }
            Err(error) => call.failed(&error),
        }
    }

    /// Until the bell rings or a timer is due.
    async fn sleep(&self) {
        let resting = self.rests_until.filter(|_| !self.rotation.is_empty());
        let until = [self.timers.next(), resting].into_iter().flatten().min();
        if self.mail.may_sleep(until, self.is_saturated(), self.rotation.is_empty()) {
            self.mail.sleep(until).await;
        }
    }
}

/// The first version of Produce that names topics by id.
const FIRST_WITH_TOPIC_IDS: i16 = 13;

/// A request under way.
struct Call {
    core: Arc<Core>,
    broker: String,
    flights: Vec<Flight>,
    ids: Option<BTreeMap<usize, Uuid>>,
    /// Rings the sender when it is dropped.
    in_flight: InFlight,
}

impl Call {
    async fn answered(self, answer: impl Future<Output = Result<ProduceResponse>>) {
        let response = tokio::select! {
            response = answer => response,
            // Every batch has its outcome then: nobody waits for this answer.
            () = self.in_flight.ended() => return,
        };
        inject_panic("produce-call");
        match response {
            Ok(response) => self.done(response),
            Err(error) => self.failed(&error),
        }
    }

    async fn unacknowledged(self, connection: Connection, version: i16, request: ProduceRequest) {
        let written = tokio::select! {
            written = connection.send_only_at(version, &request) => written,
            () = self.in_flight.ended() => return,
        };
        inject_panic("produce-call");
        match written {
            Err(error) => self.failed(&error),
            Ok(()) => {
                for flight in &self.flights {
                    land(&self.core, flight, &self.broker, Answer::Unacknowledged);
                }
            }
        }
    }

    fn done(self, response: ProduceResponse) {
        let (hints, endpoints) = hints(&response, &self.flights, self.ids.as_ref());
        if !hints.is_empty() {
            // Before the batches go back to their queues: they then find the new leader.
            self.core.cluster.take_hints(&hints, &endpoints);
        }
        let acks = self.core.config.acks;
        for (flight, answer) in answers(response, self.flights, self.ids.as_ref(), acks) {
            land(&self.core, &flight, &self.broker, answer);
        }
        drop(self.in_flight);
    }

    fn failed(self, error: &Error) {
        for flight in &self.flights {
            land(&self.core, flight, &self.broker, refused(error));
        }
    }
}

/// Brings an answer to its queue, and does what follows from it.
pub(crate) fn land(core: &Core, flight: &Flight, broker: &str, answer: Answer) {
    let landed = flight.queue.settle(flight, broker, answer, Instant::now());
    if landed.refresh {
        core.cluster.refresh("a partition's leader refused a batch");
    }
    for seal in landed.seals {
        seal.run_on_io_thread(core.config.codec_threads);
    }
}
