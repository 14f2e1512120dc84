//! The sender task of one broker.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::super::accumulator::{Answer, Flight, Queue, Take, Wanted};
use super::super::core::Core;
use super::super::mail::{Mail, Profile};
use super::super::timers::Timers;
use super::answer::refused;
use super::call::{land, launch};
use super::office::Live;
use super::request::Cargo;
use crate::error::{Code, Error, Result};
use crate::net::{Backoff, Purpose, jitter};
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
    loop {
        inject_panic("sender");
        if !sender.collect() {
            return;
        }
        sender.send_all().await;
        sender.mail.office.set_backlog(!sender.rotation.is_empty());
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

/// What came of an attempt to send.
enum Sent {
    One,
    Nothing,
    /// The office is taken: the bell will ring.
    Later,
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
            // What follows from them may come to this very box.
            more = !letters.answers.is_empty();
            for (number, frame) in letters.answers {
                if let Some(call) = self.mail.office.take(number) {
                    call.answered(frame);
                }
            }
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
            // What came over a connection that is over comes first: a new one may take its time, and the
            // acknowledged would be waiting, and those to be sent again not be before their successors.
            let is_over = self.connection.as_ref().is_some_and(|live| !live.connection.is_open());
            if is_over && self.mail.has_answers() {
                return;
            }
            let Some(live) = self.connect().await else { return self.let_go() };
            match self.send_one(live) {
                Sent::One => {}
                Sent::Nothing => continue,
                Sent::Later => return,
            }
            // A request is up to a megabyte to seal: let other tasks of this thread have their turn.
            tokio::task::yield_now().await;
        }
    }

    /// Sends one request, unless a calling thread does so now.
    fn send_one(&mut self, live: Live) -> Sent {
        let mail = Arc::clone(&self.mail);
        let Some(mut seat) = mail.office.enter_or_be_rung_for(&mail) else { return Sent::Later };
        if self.is_saturated() {
            return Sent::Nothing;
        }
        let cargo = self.gather(&live.profile);
        let sent = if cargo.is_empty() {
            Sent::Nothing // whoever was in the rotation had nothing after all
        } else {
            launch(&self.core, &mail, &live, cargo);
            Sent::One
        };
        seat.set_live(live);
        sent
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
                self.mail.set_profile(Arc::clone(&live.profile));
                if live.profile.gives_ids {
                    self.core.ledger.identity.ask_anew(); // before the first batch is taken
                }
                self.connection = Some(live.clone());
                Some(live)
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                let rest = self.backoff.delay(self.failures, jitter());
                self.rests_until = Some(Instant::now() + rest);
                self.mail.set_failure(Some(error));
                // Perhaps nobody is served now, and then nobody is held up.
                self.core.ledger.budget.look_aside();
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
        let profile = Arc::new(Profile::of(connection.versions())?);
        Ok(Live { connection, profile })
    }

    /// Takes one batch of each queue, in turn, as far as the request has room.
    fn gather(&mut self, profile: &Profile) -> Cargo {
        let mut cargo = Cargo::default();
        let (now, window) = (Instant::now(), profile.window.min(self.core.config.max_in_flight));
        let mut again = Vec::new();
        while let Some(queue) = self.rotation.pop_front() {
            let room = cargo.room(self.core.config.max_request_size);
            let wanted = Wanted { format: profile.format, room, window, now, once: true };
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
                // Two threads may have announced it one after the other.
                Take::Again => again.push(queue),
                Take::Nothing => {}
            }
        }
        self.rotation.extend(again);
        cargo
    }

    fn land(&self, flight: &Flight, broker: &str, answer: Answer) {
        land(&self.core, flight, broker, answer);
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
