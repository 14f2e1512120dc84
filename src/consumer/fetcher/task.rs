//! One task per broker: asks, waits for the answer, takes it in, asks again.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use super::arrival::{self, Context};
use super::pace::Pace;
use super::plan::{self, Asked, Limits};
use super::session::{Refusal, Session, Words};
use crate::config::IsolationLevel;
use crate::consumer::budget::{Seat, Unread};
use crate::consumer::contact::Contact;
use crate::consumer::core::Core;
use crate::error::{Code, Error, Persistence, Result};
use crate::net::{Connection, Flush, Purpose};
use crate::protocol::modern::messages::fetch::{FetchRequest, FetchResponse};
use crate::runtime::{Task, inject_panic};

/// Starts the fetcher of one broker; a panic in it poisons the consumer.
pub(in crate::consumer) fn start(core: &Arc<Core>, broker: i32, seat: Arc<Seat>) -> Task {
    let fetcher = Fetcher {
        core: Arc::clone(core),
        broker,
        seat,
        contact: Contact::new(core, broker),
        session: Session::default(),
        pace: Pace::default(),
    };
    let core = Arc::clone(core);
    core.cluster.runtime().spawn("fetcher", move |error| core.fail(error), fetcher.run())
}

struct Fetcher {
    core: Arc<Core>,
    broker: i32,
    seat: Arc<Seat>,
    contact: Contact,
    session: Session,
    pace: Pace,
}

/// A request ready to be sent.
struct Ask {
    /// All that is to be fetched.
    partitions: Vec<Asked>,
    /// What of it the broker must hear.
    words: Words,
    version: i16,
    limits: Limits,
    tells_rack: bool,
    /// What the request asks for, what it could have, and when.
    grant: usize,
    most: usize,
    at: Instant,
}

/// What became of the preparation.
enum Prepared {
    /// The request.
    Ask(Ask),
    /// Things changed while connecting: look again.
    Nothing,
    /// The budget is used up; the seat is registered.
    NoRoom,
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
                ControlFlow::Break(until) => {
                    self.leave_when_done();
                    self.seat.rest(until).await;
                }
                ControlFlow::Continue(()) => {
                    if let Err(error) = self.fetch().await {
                        self.contact.failed(&error);
                    }
                }
            }
        }
    }

    fn choose(&self, now: Instant) -> ControlFlow<Option<Instant>, Vec<Asked>> {
        let state = self.core.lock();
        match state.led.get(&self.broker) {
            Some(led) => plan::choose(&state, (self.broker, led), now),
            None => ControlFlow::Break(None),
        }
    }

    /// One request and its answer.
    async fn fetch(&mut self) -> Result<()> {
        let connection = self.contact.connect().await?;
        match self.prepare(&connection)? {
            Prepared::Nothing => Ok(()),
            Prepared::NoRoom => {
                // Who waits for messages learns why there are none; a release wakes us.
                self.core.signal.nudge();
                self.seat.rest(None).await;
                self.core.budget.give_up(&self.seat);
                Ok(())
            }
            Prepared::Ask(ask) => {
                let config = &self.core.config;
                // From now on, whatever time connecting took; and more than the broker may wait
                // (6.10), or each quiet partition would cost a connection.
                let deadline = ask.at + config.request_timeout + config.fetch_max_wait;
                let Ask { partitions, words, version, limits, .. } = &ask;
                let rack = if ask.tells_rack { config.client_rack.as_str() } else { "" };
                let request = plan::request(partitions, words, *version, *limits, rack);
                let answer = connection.request_at(*version, &request, deadline).await;
                drop(request);
                inject_panic("fetcher");
                match answer {
                    Ok(response) => self.accept(ask, response),
                    Err(error) => {
                        if error.persistence() != Persistence::NotPersisted {
                            self.session.doubt();
                        }
                        Err(error)
                    }
                }
            }
        }
    }

    /// Chooses anew, now that there is a connection: connecting took time.
    fn prepare(&self, connection: &Connection) -> Result<Prepared> {
        let ControlFlow::Continue(mut partitions) = self.choose(Instant::now()) else {
            return Ok(Prepared::Nothing);
        };
        let config = &self.core.config;
        let bytes = |number: i32| usize::try_from(number).unwrap_or(0);
        let worth = plan::worth(&partitions);
        let (brokers, tells_rack) = {
            let state = self.core.lock();
            let rackless = state.led.get(&self.broker).and_then(|led| led.rackless_until);
            (state.brokers(), rackless.is_none_or(|until| until <= Instant::now()))
        };
        let most = bytes(config.fetch_max_bytes).min(self.core.budget.share(brokers));
        let version = self.version(connection, &partitions)?;
        // Brokers from 2.5 on wait for no more than they may answer, older ones for their whole time.
        let least = bytes(config.fetch_min_bytes).min(most);
        let wish = plan::wish_of(&partitions, version, self.pace.wish(most).max(least), most);
        let Some(grant) = self.core.budget.grant(&self.seat, wish, worth) else {
            return Ok(Prepared::NoRoom);
        };
        let turns = plan::cut_to_fit(&mut partitions, version, grant);
        let max_wait = config.fetch_max_wait.as_millis() / turns as u128;
        let max_bytes = i32::try_from(grant).unwrap_or(i32::MAX);
        let limits = Limits {
            max_wait_ms: i32::try_from(max_wait).unwrap_or(i32::MAX),
            min_bytes: config.fetch_min_bytes.min(max_bytes),
            max_bytes,
            isolation: config.isolation_level.wire(),
        };
        let words = match version >= plan::FIRST_VERSION_WITH_SESSIONS {
            true => self.session.next(&partitions, version >= plan::FIRST_VERSION_WITH_IDS),
            false => Words::sessionless(&partitions),
        };
        let at = Instant::now();
        Ok(Prepared::Ask(Ask { partitions, words, version, limits, tells_rack, grant, most, at }))
    }

    /// Topic ids only where every topic of the request has one (2.6); committed data only where the
    /// broker can tell (2.8).
    fn version(&self, connection: &Connection, partitions: &[Asked]) -> Result<i16> {
        let versions = connection.versions();
        let version = match plan::all_have_ids(partitions) {
            true => versions.pick_with_topic_ids::<FetchRequest>()?,
            false => versions.pick::<FetchRequest>()?,
        };
        let committed = self.core.config.isolation_level == IsolationLevel::ReadCommitted;
        match committed && version < plan::FIRST_VERSION_WITH_ISOLATION {
            true => Err(versions.unsupported("isolation.level=read_committed")),
            false => Ok(version),
        }
    }

    fn accept(&mut self, ask: Ask, response: FetchResponse) -> Result<()> {
        let code = Code::from(response.error_code);
        if code != Code::NONE {
            return match self.session.refused(&ask.words, code) {
                Refusal::AskAgain => Ok(()),
                Refusal::Pause => Err(Error::new(code, "the fetch was refused as a whole")),
            };
        }
        self.contact.succeeded();
        self.take_in(ask, response);
        Ok(())
    }

    fn take_in(&mut self, ask: Ask, response: FetchResponse) {
        let session = response.session_id;
        let shares = response.responses.iter().flat_map(|topic| &topic.partitions);
        let bytes = shares.map(|p| p.records.as_ref().map_or(0, bytes::Bytes::len)).sum();
        self.pace.answered(ask.grant, bytes, ask.at.elapsed(), ask.most);
        let sound = self.file(&ask, response, bytes);
        self.session.acknowledged(&ask.words, &ask.partitions, session, sound);
    }

    /// Files the shares of an answer under their partitions; whether it was sound.
    fn file(&self, ask: &Ask, response: FetchResponse, bytes: usize) -> bool {
        let core = &self.core;
        let context = Context {
            config: &core.config,
            broker: self.broker,
            version: ask.version,
            now: Instant::now(),
            lease: (bytes > 0).then(|| core.budget.charge(&self.seat, bytes)),
            unread: Unread::new(&self.seat),
        };
        let mut state = core.lock();
        let full = ask.words.is_full();
        let aftermath = arrival::accept(&mut state, &ask.partitions, full, response, &context);
        let news = state.has_news();
        drop(state);
        drop(context);
        if news {
            core.signal.notify();
        }
        if !aftermath.hints.is_empty() {
            core.cluster.take_hints(&aftermath.hints, &aftermath.endpoints);
        }
        if aftermath.refresh {
            core.cluster.refresh("a broker no longer leads what was fetched from it");
        }
        if aftermath.diverged {
            core.kick.notify_one();
        }
        for (topic, partition, broker) in &aftermath.nearer {
            core.cluster.logger().debug(
                "fetcher",
                format_args!(
                    "topic {topic}, partition {partition} is read from broker {broker}, which \
                     leader {} named as the nearest",
                    self.broker
                ),
            );
        }
        if aftermath.elsewhere {
            core.kick.notify_one();
        }
        for (topic, partition, offset) in &aftermath.gone {
            core.cluster.logger().info(
                "fetcher",
                format_args!(
                    "offset {offset} of topic {topic}, partition {partition} is out of range on \
                     broker {}: auto.offset.reset decides",
                    self.broker
                ),
            );
            core.kick.notify_one();
        }
        aftermath.sound
    }

    /// Closes the session when this broker has nothing for us any more.
    fn leave_when_done(&mut self) {
        if self.session.is_open() {
            let state = self.core.lock();
            let done = state.led.get(&self.broker).is_none_or(|led| led.order.is_empty());
            drop(state);
            if done {
                self.close_session();
            }
        }
    }

    /// Frees the session's place at the broker, best effort (6.1): nothing is opened for it, and
    /// nobody waits for the answer. Behind our own long poll it would not be read in time; a session
    /// may be closed on any connection.
    fn close_session(&mut self) {
        let Some(id) = self.session.take() else { return };
        let own = self.contact.own().and_then(|own| own.open_connection(Purpose::Fetch));
        let shared = || self.core.cluster.broker(self.broker)?.open_connection(Purpose::Control);
        let connection = own.filter(|own| own.in_flight() == 0).or_else(shared);
        let Some(connection) = connection else { return };
        let version = connection.versions().pick::<FetchRequest>();
        let Ok(version) = version else { return };
        let deadline = Instant::now() + self.core.config.request_timeout;
        // It may fail: the broker then drops the session when it needs the place.
        let _unheard = connection.start(version, &plan::closing(id), deadline, Flush::Now);
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        self.close_session();
    }
}
