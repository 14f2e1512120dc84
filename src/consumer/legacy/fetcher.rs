//! One task per broker of 0.7: asks, takes the answer in, asks again; pauses when there is nothing.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::budget::{Seat, Unread};
use super::super::contact::Contact;
use super::super::core::Core;
use super::super::fetcher::{self, Asked, Pace};
use super::arrival::{self, Context};
use super::idle::Idle;
use super::plan::{self, Sizes};
use crate::config::IsolationLevel;
use crate::error::{Code, Error, Persistence, Result};
use crate::net::Connection;
use crate::protocol::legacy::{Answer, Request, read_multi_fetch};
use crate::runtime::{Task, inject_panic};

/// Starts the fetcher of one broker; a panic in it poisons the consumer.
pub(in crate::consumer) fn start(core: &Arc<Core>, broker: i32, seat: Arc<Seat>) -> Task {
    let fetcher = Fetcher {
        core: Arc::clone(core),
        broker,
        seat,
        contact: Contact::new(core, broker),
        pace: Pace::default(),
        needs: Sizes::default(),
        idle: Idle::default(),
    };
    let core = Arc::clone(core);
    core.cluster.runtime().spawn("fetcher", move |error| core.fail(error), fetcher.run())
}

struct Fetcher {
    core: Arc<Core>,
    broker: i32,
    seat: Arc<Seat>,
    contact: Contact,
    pace: Pace,
    needs: Sizes,
    idle: Idle,
}

/// A request ready to be sent.
struct Ask {
    partitions: Vec<Asked>,
    /// How many partitions wanted to be asked.
    wanted: usize,
    /// What the request asks for, what it could have, and when.
    grant: usize,
    most: usize,
    at: Instant,
}

impl Fetcher {
    async fn run(mut self) {
        loop {
            let now = Instant::now();
            let pause = match self.contact.due(now) {
                Some(due) => ControlFlow::Break(Some(due)),
                None => self.choose(now).map_continue(|_| ()),
            };
            match pause {
                ControlFlow::Break(until) => self.seat.rest(until).await,
                ControlFlow::Continue(()) => match self.fetch().await {
                    Ok(None) => {}
                    Ok(Some(pause)) => self.seat.rest(Some(Instant::now() + pause)).await,
                    Err(error) => self.contact.failed(&error),
                },
            }
        }
    }

    fn choose(&self, now: Instant) -> ControlFlow<Option<Instant>, Vec<Asked>> {
        let state = self.core.lock();
        match state.led.get(&self.broker) {
            Some(led) => fetcher::choose(&state, (self.broker, led), now),
            None => ControlFlow::Break(None),
        }
    }

    /// One request and its answer; how long to pause after it.
    async fn fetch(&mut self) -> Result<Option<Duration>> {
        let connection = self.contact.connect().await?;
        if self.core.config.isolation_level == IsolationLevel::ReadCommitted {
            return Err(connection.versions().unsupported("isolation.level=read_committed"));
        }
        // Chosen anew: connecting took time.
        let ControlFlow::Continue(partitions) = self.choose(Instant::now()) else {
            return Ok(None);
        };
        let Some(ask) = self.prepare(partitions) else {
            // Who waits for messages learns why there are none; a release wakes us.
            self.core.signal.nudge();
            self.seat.rest(None).await;
            self.core.budget.give_up(&self.seat);
            return Ok(None);
        };
        let shares = self.exchange(&connection, &ask.partitions).await?;
        inject_panic("fetcher");
        self.contact.succeeded();
        Ok(self.file(ask, shares))
    }

    /// The request; none when the budget is used up: the seat is registered.
    fn prepare(&self, mut partitions: Vec<Asked>) -> Option<Ask> {
        let config = &self.core.config;
        let brokers = self.core.lock().brokers();
        let most = usize::try_from(config.fetch_max_bytes).unwrap_or(0);
        let most = most.min(self.core.budget.share(brokers));
        let wanted = partitions.len();
        let wish = self.needs.wish(&partitions, self.pace.wish(most)).min(most);
        let worth = self.needs.worth(&partitions);
        let grant = self.core.budget.grant(&self.seat, wish, worth)?;
        self.needs.divide(&mut partitions, grant);
        Some(Ask { partitions, wanted, grant, most, at: Instant::now() })
    }

    async fn exchange(&self, connection: &Connection, partitions: &[Asked]) -> Result<Vec<Answer>> {
        let deadline = Instant::now() + self.core.config.request_timeout;
        let request = Request::MultiFetch(plan::fetches(partitions));
        let answer = connection.ask(&request, deadline)?.await?;
        if answer.code != Code::NONE {
            return Err(Error::new(answer.code, "the fetch was refused as a whole"));
        }
        read_multi_fetch(&answer.body, partitions.len()).map_err(|error| {
            // What follows it on the connection cannot be told apart either.
            let error = error.with_persistence(Persistence::PossiblyPersisted);
            connection.close(error.clone());
            error
        })
    }

    /// Files the shares under their partitions; how long to pause after it.
    fn file(&mut self, ask: Ask, shares: Vec<Answer>) -> Option<Duration> {
        let core = Arc::clone(&self.core);
        let bytes = shares.iter().map(|share| share.body.len()).sum();
        self.pace.answered(ask.grant, bytes, ask.at.elapsed(), ask.most);
        let context = Context {
            config: &core.config,
            now: Instant::now(),
            keep: (bytes > 0)
                .then(|| (core.budget.charge(&self.seat, bytes), Unread::new(&self.seat))),
        };
        let mut state = core.lock();
        let needs = &mut self.needs;
        let aftermath = arrival::accept(&mut state, &ask.partitions, shares, needs, &context);
        // Who was asked goes behind those that there was no room for.
        let asked: HashSet<usize> = ask.partitions.iter().map(|asked| asked.slot.index).collect();
        state.rotate(self.broker, |index| asked.contains(&index));
        let news = state.has_news();
        drop(state);
        drop(context);
        if news {
            core.signal.notify();
        }
        if aftermath.refresh {
            core.cluster.refresh("a broker does not have what was fetched from it");
        }
        self.tell(&aftermath);
        let counts = (ask.partitions.len(), ask.wanted);
        self.idle.answered(aftermath.has_data, counts, core.config.fetch_max_wait)
    }

    fn tell(&self, aftermath: &arrival::Aftermath) {
        let logger = self.core.cluster.logger();
        for Asked { name, number, offset, .. } in &aftermath.gone {
            logger.info(
                "fetcher",
                format_args!(
                    "offset {offset} of topic {name}, partition {number} is out of range on broker \
                     {}: auto.offset.reset decides",
                    self.broker
                ),
            );
            self.core.kick.notify_one();
        }
        for (Asked { name, number, .. }, from, to) in &aftermath.moved {
            logger.warn(
                "fetcher",
                format_args!(
                    "no message of topic {name}, partition {number} on broker {} begins at offset \
                     {from}: reading goes on at offset {to}",
                    self.broker
                ),
            );
        }
    }
}
