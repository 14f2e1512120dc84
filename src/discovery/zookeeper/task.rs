//! The task of a session: connects, reconnects, pings, and gives up; alone moves state.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;

use super::inflight::Request;
use super::link::{Link, NoLink};
use super::reconnect::{Attempt, Reconnect};
use super::watches::WatchTable;
use super::{Failure, Phase, Settings, Status};
use crate::error::{Code, Error};
use crate::log::{Level, Logger};
use crate::net::jitter;
use crate::protocol::zookeeper::{ConnectRequest, ConnectResponse};
use crate::runtime::inject_panic;

/// How long a session that nobody holds any more is given for its last words.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The shortest time that one attempt gets.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(100);

/// What the task and the handles share.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) status: watch::Sender<Status>,
    /// When the newest request was sent that a server has answered.
    pub(super) confirmed: watch::Sender<Instant>,
    /// It ended here while it may live on at the servers, with its nodes, for its time-out.
    left_open: AtomicBool,
}

impl Board {
    pub(super) fn new(timeout: Duration) -> Self {
        let (phase, trouble) = (Phase::Connecting, None);
        let status = Status { session: 1, id: 0, timeout, phase, trouble };
        let confirmed = watch::Sender::new(Instant::now());
        Self { status: watch::Sender::new(status), confirmed, left_open: AtomicBool::new(false) }
    }

    /// Once the session has ended: whether no server has confirmed that it is over.
    pub(super) fn is_left_open(&self) -> bool {
        self.left_open.load(Ordering::Acquire)
    }

    pub(super) fn confirmed(&self) -> Instant {
        *self.confirmed.borrow()
    }

    pub(super) fn confirm(&self, at: Instant) {
        self.confirmed.send_if_modified(|confirmed| {
            let is_newer = at > *confirmed;
            *confirmed = at.max(*confirmed);
            is_newer
        });
    }

    /// The session is over for good: everybody who waits gets `error`. The first reason stays.
    pub(super) fn end(&self, error: &Error) {
        self.status.send_modify(|status| {
            if !matches!(status.phase, Phase::Ended(_)) {
                status.phase = Phase::Ended(error.clone());
                status.id = 0;
            }
        });
    }
}

/// A session that a server gave.
pub(super) struct Held {
    pub(super) id: i64,
    pub(super) password: Bytes,
    /// The newest transaction that an answer has shown.
    pub(super) zxid: i64,
    pub(super) timeout: Duration,
}

/// When the session is to be closed, once somebody said so.
pub(super) type Closing = watch::Receiver<Option<Instant>>;

/// How a connection ended.
pub(super) enum End {
    /// It broke, or the server left the protocol or fell silent.
    Lost(Error),
    /// The server says that the session is gone.
    Expired,
    /// It was asked for.
    Closed,
    /// It can never succeed.
    Refused(Error),
}

pub(super) struct Task {
    pub(super) settings: Settings,
    pub(super) logger: Logger,
    pub(super) board: Arc<Board>,
    pub(super) mail: mpsc::Receiver<Request>,
    pub(super) watches: WatchTable,
    /// Requests to be sent before those in the mail.
    pub(super) again: VecDeque<Request>,
    pub(super) held: Option<Held>,
    /// The number of the session, or of the one to come.
    pub(super) number: u64,
    reconnect: Reconnect,
}

impl Task {
    pub(super) fn new(
        settings: Settings,
        logger: Logger,
        board: Arc<Board>,
        mail: mpsc::Receiver<Request>,
    ) -> Self {
        let servers = settings.ensemble.servers.clone();
        // A percentage is random enough to spread clients.
        let start = (0..100).take_while(|n| f64::from(*n) < jitter() * 100.0).count();
        let reconnect = Reconnect::new(servers, settings.reconnect, start);
        let (watches, again) = (WatchTable::default(), VecDeque::new());
        Self { settings, logger, board, mail, watches, again, held: None, number: 1, reconnect }
    }

    /// Runs until the session is closed or refused.
    pub(super) async fn run(mut self, mut closing: Closing) {
        let error = self.live(&mut closing).await;
        self.board.left_open.store(self.held.is_some(), Ordering::Release);
        self.board.end(&error);
        self.watches.expire();
        self.mail.close();
        while let Ok(request) = self.mail.try_recv() {
            self.again.push_back(request);
        }
        for request in self.again.drain(..) {
            request.fail(Failure::Other(error.clone()));
        }
    }

    async fn live(&mut self, closing: &mut Closing) -> Error {
        let closed = || Error::new(Code::CLOSED, "the ZooKeeper session is closed");
        loop {
            inject_panic("zookeeper");
            let mut until = closing.clone();
            let link = tokio::select! {
                biased;
                _ = close_deadline(&mut until) => return closed(),
                link = self.connect() => match link {
                    Some(link) => link,
                    // No server is named: `Ensemble` does not let that happen.
                    None => return closed(),
                },
            };
            let (end, worth) = self.serve(link, closing).await;
            self.reconnect.lost(worth);
            match end {
                End::Closed => return closed(),
                End::Refused(error) => {
                    self.logger.error("zookeeper", format_args!("{error}"));
                    return error;
                }
                End::Expired => self.expire("a server said so"),
                End::Lost(error) => self.suspend(error),
            }
        }
    }

    /// Tries one server after the other until one has taken the session, or given a new one.
    async fn connect(&mut self) -> Option<Link> {
        loop {
            let attempt = self.reconnect.attempt(jitter())?;
            if !attempt.pause.is_zero() {
                sleep_until((Instant::now() + attempt.pause).into()).await;
            }
            let hello = self.hello(attempt.blank);
            let begun = Instant::now();
            let deadline = begun + self.attempt_time();
            let opened = match Link::open(&attempt.server, &hello, deadline).await {
                Ok((link, answer)) => self.adopt(&attempt, &hello, &answer).map(|()| link),
                Err(no_link) => Err(Some(no_link)),
            };
            match opened {
                Ok(link) => {
                    self.board.confirm(begun);
                    return Some(link);
                }
                Err(None) => self.reconnect.expired(),
                Err(Some(no_link)) => self.failed(no_link),
            }
        }
    }

    /// Each server gets its share of the time that one round may take, so that a silent one does not
    /// cost the session.
    fn attempt_time(&self) -> Duration {
        let timeout = self.held.as_ref().map_or(self.settings.session_timeout, |held| held.timeout);
        let servers = u32::try_from(self.settings.ensemble.servers.len()).unwrap_or(u32::MAX);
        (timeout.min(self.settings.connection_timeout) / servers.max(1)).max(SHORTEST_ATTEMPT)
    }

    fn hello(&self, blank: bool) -> ConnectRequest {
        let timeout = self.settings.session_timeout.as_millis();
        let new = ConnectRequest {
            last_zxid: 0,
            timeout_ms: i32::try_from(timeout).unwrap_or(i32::MAX),
            session_id: 0,
            password: Bytes::from_static(&[0; 16]),
            read_only: false,
        };
        match self.held.as_ref().filter(|_| !blank) {
            Some(held) => ConnectRequest {
                last_zxid: held.zxid,
                session_id: held.id,
                password: held.password.clone(),
                ..new
            },
            None => new,
        }
    }

    /// Takes what a server gave; `Err(None)` when it said that the session is gone.
    fn adopt(
        &mut self,
        attempt: &Attempt,
        hello: &ConnectRequest,
        answer: &ConnectResponse,
    ) -> Result<(), Option<NoLink>> {
        let asked = hello.session_id != 0;
        if asked && answer.is_expired() {
            self.expire("a server said so");
            return Err(None);
        }
        if answer.is_expired() || (asked && answer.session_id != hello.session_id) {
            let text = format!(
                "ZooKeeper server {} gave a session that was not asked for",
                attempt.server
            );
            let error = Error::new(Code::PROTOCOL, text);
            return Err(Some(NoLink { error, slammed: false }));
        }
        if !asked && self.held.is_some() {
            self.expire("no server takes it up any more");
        }
        let timeout = Duration::from_millis(u64::try_from(answer.timeout_ms).unwrap_or(0));
        let zxid = self.held.as_ref().map_or(0, |held| held.zxid);
        let (id, password) = (answer.session_id, answer.password.clone());
        self.held = Some(Held { id, password, zxid, timeout });
        self.reconnect.connected();
        let server = &attempt.server;
        let ms = timeout.as_millis();
        self.logger.info(
            "zookeeper",
            format_args!("session {id:#x} is served by {server}, time-out {ms} ms"),
        );
        let session = self.number;
        let phase = Phase::Connected;
        self.board.status.send_replace(Status { session, id, timeout, phase, trouble: None });
        Ok(())
    }

    fn failed(&mut self, no_link: NoLink) {
        let overdue =
            self.held.as_ref().is_some_and(|held| self.board.confirmed().elapsed() > held.timeout);
        self.reconnect.failed(no_link.slammed, overdue);
        // The same trouble is told once, not at each attempt (invariant 13.7).
        let error = no_link.error;
        let before = self.board.status.borrow().trouble.clone();
        let known = before.is_some_and(|before| before.message() == error.message());
        let level = if known { Level::Debug } else { Level::Warn };
        self.logger.log(level, "zookeeper", format_args!("{error}"));
        self.board.status.send_modify(|status| status.trouble = Some(error));
    }

    fn suspend(&mut self, error: Error) {
        self.logger.warn("zookeeper", format_args!("the connection was lost: {error}"));
        self.board.status.send_modify(|status| {
            status.phase = Phase::Suspended;
            status.trouble = Some(error);
        });
    }

    /// The session is gone, and with it its nodes and watches (rule 10.7).
    fn expire(&mut self, why: &str) {
        if let Some(held) = self.held.take() {
            let id = held.id;
            self.logger.warn("zookeeper", format_args!("session {id:#x} has expired: {why}"));
        }
        self.number += 1;
        let session = self.number;
        self.board.status.send_modify(|status| {
            status.session = session;
            status.id = 0;
            status.phase = Phase::Connecting;
        });
        self.watches.expire();
        for request in self.again.drain(..) {
            request.fail(Failure::Expired);
        }
    }
}

/// Waits until the session is to be closed; gives the end of the time for it.
pub(super) async fn close_deadline(closing: &mut Closing) -> Instant {
    match closing.wait_for(Option::is_some).await {
        Ok(deadline) => deadline.unwrap_or_else(Instant::now),
        // Every handle was dropped.
        Err(_) => Instant::now() + LAST_WORDS,
    }
}
