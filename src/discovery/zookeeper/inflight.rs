//! The requests on one connection that wait for their answers, and those that must be sent again. Pure.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::Failure;
use super::watches::Watcher;
use crate::error::{Code, Error, Result};
use crate::protocol::zookeeper::{ErrorCode, OpCode};

/// What the session's task gives back for a request: the server's verdict and the answer's bytes.
pub(super) type Answer = std::result::Result<(ErrorCode, Bytes), Failure>;

/// A request on its way to the session's task.
#[derive(Debug)]
pub(super) struct Request {
    /// The number of the session that it belongs to.
    pub(super) session: u64,
    pub(super) op: OpCode,
    pub(super) body: Bytes,
    /// The full path and who watches it from this read on.
    pub(super) watch: Option<(String, Watcher)>,
    pub(super) answer: oneshot::Sender<Answer>,
}

impl Request {
    pub(super) fn fail(self, failure: Failure) {
        // Whoever gave up needs no answer.
        let _ = self.answer.send(Err(failure));
    }

    /// Whether doing it twice is as good as once.
    fn is_read(&self) -> bool {
        use OpCode::{Exists, GetChildren, GetData, Sync};
        matches!(self.op, Exists | GetData | GetChildren | Sync)
    }
}

#[derive(Debug)]
struct Sent {
    xid: i32,
    at: Instant,
    request: Request,
}

/// What was sent on the connection, in order. A server answers strictly in that order.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    last_xid: i32,
    sent: VecDeque<Sent>,
    pings: VecDeque<Instant>,
}

impl InFlight {
    pub(super) fn len(&self) -> usize {
        self.sent.len()
    }

    /// When the oldest request that waits was sent.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.sent.front().map(|sent| sent.at)
    }

    /// Notes a request; gives its id. Ids begin anew with each connection and stay positive.
    pub(super) fn send(&mut self, request: Request, at: Instant) -> i32 {
        self.last_xid = self.last_xid.checked_add(1).unwrap_or(1);
        self.sent.push_back(Sent { xid: self.last_xid, at, request });
        self.last_xid
    }

    /// Notes a ping.
    pub(super) fn ping(&mut self, at: Instant) {
        self.pings.push_back(at);
    }

    /// Takes what an answer belongs to, with when it was sent; an id out of order breaks the
    /// connection, because nothing after it can be told apart any more.
    pub(super) fn answered(&mut self, xid: i32) -> Result<(Request, Instant)> {
        match self.sent.pop_front() {
            Some(sent) if sent.xid == xid => Ok((sent.request, sent.at)),
            other => {
                let expected = other.map(|sent| {
                    let xid = sent.xid;
                    self.sent.push_front(sent);
                    format!("the one to request {xid}")
                });
                let expected = expected.unwrap_or_else(|| "none".to_owned());
                let text = format!("it sent an answer to request {xid}, expected was {expected}");
                Err(Error::new(Code::PROTOCOL, text))
            }
        }
    }

    /// When the ping was sent that is answered now.
    pub(super) fn pinged(&mut self) -> Result<Instant> {
        self.pings
            .pop_front()
            .ok_or_else(|| Error::new(Code::PROTOCOL, "it answered a ping that was not sent"))
    }

    /// The connection is lost: reads are kept to be sent again, changes fail, because nobody knows
    /// whether they were made.
    pub(super) fn lost(self, error: &Error, again: &mut VecDeque<Request>) {
        let mut reads: VecDeque<Request> = VecDeque::new();
        for Sent { request, .. } in self.sent {
            if request.is_read() {
                reads.push_back(request);
            } else {
                request.fail(Failure::Lost(error.clone()));
            }
        }
        // Before those that had to wait already: they were asked first.
        reads.append(again);
        *again = reads;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(op: OpCode) -> (Request, oneshot::Receiver<Answer>) {
        let (answer, receiver) = oneshot::channel();
        (Request { session: 1, op, body: Bytes::new(), watch: None, answer }, receiver)
    }

    #[test]
    fn answers_come_in_the_order_of_the_requests_or_break_the_connection() {
        let mut books = InFlight::default();
        let now = Instant::now();
        let (one, _one) = request(OpCode::GetData);
        let (two, _two) = request(OpCode::Create);
        assert_eq!((books.send(one, now), books.send(two, now)), (1, 2));
        assert_eq!(books.oldest(), Some(now));
        assert_eq!(books.answered(2).unwrap_err().code(), Code::PROTOCOL);
        assert_eq!(books.answered(1).unwrap().0.op, OpCode::GetData);
        assert_eq!(books.answered(2).unwrap().0.op, OpCode::Create);
        for unsolicited in [3, 0, i32::MIN, i32::MAX] {
            let error = books.answered(unsolicited).unwrap_err();
            assert_eq!(error.code(), Code::PROTOCOL, "{error}");
        }
        assert_eq!(books.pinged().unwrap_err().code(), Code::PROTOCOL);
        books.ping(now);
        assert_eq!(books.pinged().unwrap(), now);
    }

    #[test]
    fn when_the_connection_is_lost_reads_are_kept_in_order_and_changes_fail() {
        let mut books = InFlight::default();
        let mut receivers = Vec::new();
        for op in [OpCode::GetData, OpCode::Create, OpCode::Exists, OpCode::Delete] {
            let (request, receiver) = request(op);
            books.send(request, Instant::now());
            receivers.push(receiver);
        }
        let (waiting, _waiting) = request(OpCode::GetChildren);
        let mut again = VecDeque::from([waiting]);
        books.lost(&Error::bare(Code::DISCONNECTED), &mut again);
        let ops: Vec<OpCode> = again.iter().map(|request| request.op).collect();
        assert_eq!(ops, [OpCode::GetData, OpCode::Exists, OpCode::GetChildren]);
        for (index, receiver) in receivers.iter_mut().enumerate() {
            let lost = matches!(receiver.try_recv(), Ok(Err(Failure::Lost(_))));
            assert_eq!(lost, index % 2 == 1, "request {index}");
        }
    }

    #[test]
    fn ids_stay_positive_for_ever() {
        let mut books = InFlight { last_xid: i32::MAX, ..InFlight::default() };
        let (request, _answer) = request(OpCode::Exists);
        assert_eq!(books.send(request, Instant::now()), 1);
    }
}
