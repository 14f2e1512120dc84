//! The session on one connection: requests out, answers and events in, pings, the last words.

use std::time::Instant;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::{sleep_until, timeout_at};

use super::Failure;
use super::inflight::{InFlight, Request};
use super::link::Link;
use super::reconnect::Worth;
use super::task::{Closing, End, Task, close_deadline};
use super::timing::{Due, Timing};
use super::watches::Watched;
use crate::error::{Code, Error, Result};
use crate::protocol::zookeeper::{
    Auth, ErrorCode, NodeEvent, OpCode, Reader, ReplyHeader, Request as _, SetWatches, Writer,
    frame, xid,
};

/// How many requests are on the way at once; the others wait in the mail.
const MOST: usize = 64;

/// The state of one connection.
struct Talk {
    link: Link,
    flight: InFlight,
    timing: Timing,
    /// It answered a request or a ping.
    useful: bool,
}

impl Task {
    /// Serves the session until the connection ends; says how it ended, and what it was good for.
    pub(super) async fn serve(&mut self, link: Link, closing: &mut Closing) -> (End, Worth) {
        let timeout = self.held.as_ref().map_or(self.settings.session_timeout, |held| held.timeout);
        let begun = Instant::now();
        let timing = Timing::new(timeout, begun);
        let mut talk = Talk { link, flight: InFlight::default(), timing, useful: false };
        let end = match self.converse(&mut talk, closing).await {
            Ok(end) | Err(end) => end,
        };
        let lost = match &end {
            End::Lost(error) | End::Refused(error) => error.clone(),
            End::Expired => Error::bare(Code::SESSION_EXPIRED),
            End::Closed => Error::new(Code::CLOSED, "the ZooKeeper session is closed"),
        };
        talk.flight.lost(&lost, &mut self.again);
        let worth = match (talk.useful, begun.elapsed() >= timeout / 3) {
            (false, _) => Worth::Nothing,
            (true, false) => Worth::Brief,
            (true, true) => Worth::Good,
        };
        (end, worth)
    }

    async fn converse(&mut self, talk: &mut Talk, closing: &mut Closing) -> Result<End, End> {
        self.greet(talk)?;
        loop {
            while talk.flight.len() < MOST {
                let Some(request) = self.again.pop_front() else { break };
                self.send(talk, request)?;
            }
            talk.link.write()?;
            let (at, due) = talk.timing.next(talk.flight.oldest());
            tokio::select! {
                deadline = close_deadline(closing) => return self.last_words(talk, deadline).await,
                ready = talk.link.readable() => {
                    ready?;
                    self.hear(talk)?;
                }
                ready = talk.link.writable(), if !talk.link.is_written() => ready?,
                request = self.mail.recv(), if talk.flight.len() < MOST => match request {
                    Some(request) => self.send(talk, request)?,
                    None => return self.last_words(talk, Instant::now()).await,
                },
                () = sleep_until(at.into()) => match due {
                    Due::Ping => ping(talk)?,
                    // This process may have slept, and the answer may be there all the same.
                    Due::Silent if self.hear(talk)? => {}
                    Due::Silent => {
                        let text = "the ZooKeeper server has been silent for too long";
                        return Err(End::Lost(Error::new(Code::TIMED_OUT, text)));
                    }
                },
            }
        }
    }

    /// Says who we are, and sets the watches again before anything else is asked: what happened
    /// meanwhile is told first.
    fn greet(&mut self, talk: &mut Talk) -> Result<(), End> {
        if let Some(auth) = &self.settings.auth {
            let (scheme, credentials) = (auth.scheme.as_str(), auth.credentials.as_bytes());
            let mut body = Writer::new();
            Auth { scheme, credentials }.write(&mut body)?;
            talk.link.push(&frame(xid::AUTH, OpCode::Auth, &body.finish())?);
        }
        let zxid = self.held.as_ref().map_or(0, |held| held.zxid);
        for request in self.watches.set_again(zxid) {
            let mut body = Writer::new();
            request.write(&mut body)?;
            talk.link.push(&frame(xid::SET_WATCHES, SetWatches::OP, &body.finish())?);
        }
        Ok(())
    }

    /// Sends a request, if somebody still waits for it and its session is this one.
    fn send(&mut self, talk: &mut Talk, request: Request) -> Result<(), End> {
        if request.answer.is_closed() {
            return Ok(());
        }
        if request.session != self.number {
            request.fail(Failure::Expired);
            return Ok(());
        }
        let (op, body) = (request.op, request.body.clone());
        let now = Instant::now();
        let id = talk.flight.send(request, now);
        talk.link.push(&frame(id, op, &body)?);
        talk.timing.sent(now);
        Ok(())
    }

    /// Reads what is there; false if nothing was.
    fn hear(&mut self, talk: &mut Talk) -> Result<bool, End> {
        let mut frames = Vec::new();
        let heard = talk.link.read(&mut |frame| {
            frames.push(frame);
            Ok(())
        });
        // What came before a broken end still counts.
        for frame in frames {
            self.take(talk, frame)?;
        }
        let heard = heard?;
        if heard {
            talk.timing.heard(Instant::now());
        }
        Ok(heard)
    }

    fn take(&mut self, talk: &mut Talk, frame: Bytes) -> Result<(), End> {
        let mut reader = Reader::new(frame);
        let header = ReplyHeader::read(&mut reader)?;
        match header.xid {
            xid::EVENT => {
                if let Some(event) = NodeEvent::read(&mut reader)? {
                    let shown = self.settings.shown(&event.path).to_owned();
                    self.watches.fire(&event, &shown);
                }
                return Ok(());
            }
            xid::PING => {
                let sent = talk.flight.pinged()?;
                self.board.confirm(sent);
            }
            xid::AUTH if header.error != ErrorCode::OK => {
                let text = format!(
                    "ZooKeeper refused samsa.zookeeper.auth: {} ({})",
                    header.error.text(),
                    header.error.0
                );
                let error = Error::new(Code::ZOOKEEPER, text);
                return Err(End::Refused(error.with_property("samsa.zookeeper.auth")));
            }
            xid::AUTH => return Ok(()),
            xid::SET_WATCHES if header.error != ErrorCode::OK => {
                let text = format!("the watches could not be set again: {}", header.error.text());
                return Err(End::Lost(Error::new(Code::ZOOKEEPER, text)));
            }
            xid::SET_WATCHES => return Ok(()),
            _ => self.answer(talk, header, reader.rest()?)?,
        }
        talk.useful = true;
        Ok(())
    }

    fn answer(&mut self, talk: &mut Talk, header: ReplyHeader, body: Bytes) -> Result<(), End> {
        let (mut request, sent) = talk.flight.answered(header.xid)?;
        if let Some(held) = self.held.as_mut() {
            held.zxid = held.zxid.max(header.zxid);
        }
        match header.error {
            ErrorCode::SESSION_EXPIRED => {
                request.fail(Failure::Expired);
                return Err(End::Expired);
            }
            ErrorCode::SESSION_MOVED => {
                // Nothing was done: another server serves the session by now.
                self.again.push_front(request);
                let text = "the session moved to another ZooKeeper server";
                return Err(End::Lost(Error::new(Code::DISCONNECTED, text)));
            }
            _ => {}
        }
        self.board.confirm(sent);
        let found = header.error == ErrorCode::OK;
        let refused = !found && header.error != ErrorCode::NO_NODE;
        if let (Some((path, watcher)), false) = (request.watch.take(), refused) {
            if let Some(what) = Watched::after(request.op, found) {
                self.watches.add(what, path, watcher);
            }
        }
        // Whoever gave up needs no answer.
        let _ = request.answer.send(Ok((header.error, body)));
        Ok(())
    }

    /// Ends the session at the server, so that its nodes go at once; answers that still come are
    /// handed out. A server that says nothing holds nobody up beyond `deadline`.
    async fn last_words(&mut self, talk: &mut Talk, deadline: Instant) -> Result<End, End> {
        // No more than is on its way is served: the mail fails.
        let (answer, mut closed) = oneshot::channel();
        let (session, op) = (self.number, OpCode::CloseSession);
        let request = Request { session, op, body: Bytes::new(), watch: None, answer };
        self.send(talk, request)?;
        let farewell = async {
            while closed.try_recv().is_err() {
                talk.link.write()?;
                tokio::select! {
                    ready = talk.link.readable() => {
                        ready?;
                        self.hear(talk)?;
                    }
                    ready = talk.link.writable(), if !talk.link.is_written() => ready?,
                }
            }
            Ok::<(), End>(())
        };
        // Whatever happens, it is closed; only an answer says that it is over at the servers too.
        if matches!(timeout_at(deadline.into(), farewell).await, Ok(Ok(()))) {
            self.held = None;
        }
        Ok(End::Closed)
    }
}

fn ping(talk: &mut Talk) -> Result<(), End> {
    let now = Instant::now();
    talk.link.push(&frame(xid::PING, OpCode::Ping, &[])?);
    talk.flight.ping(now);
    talk.timing.sent(now);
    Ok(())
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Lost(error)
    }
}
