//! One connection at the level of bytes: whoever sends also writes, one task reads and keeps time.
//!
//! Writing needs no task: the caller of [`Wire::send`] writes itself when the stream has room, so that
//! a request leaves without a wake-up of the I/O thread. Requests that arrive while somebody
//! writes are taken along by that writer in one vectored write. A task that sends several may ask for
//! [`Flush::Soon`]: then the driver, which runs next on the same thread, writes them all at once.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use tokio::time::Sleep;

use super::Transport;
use super::books::{Books, Listener, Outgoing, Pending, Poison, Reply};
use super::frame::{FrameReader, Progress};
use crate::error::{Code, Error, Result};
use crate::os::fork::Era;

/// The most slices of one vectored write.
const SLICES: usize = 64;

/// Reads and writes of one turn of the driver: then other tasks of the thread get theirs.
const TURN: usize = 16;

/// When the bytes of a request are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// By the caller, before the call returns, if the stream has room.
    Now,
    /// By the connection's task, together with what else is queued until it runs.
    Soon,
}

/// The sending side. The connection's task ends, and the stream closes, by [`Wire::end`].
#[derive(Clone)]
pub(super) struct Wire {
    shared: Arc<Shared>,
}

struct Shared {
    era: Era,
    peer: Arc<str>,
    state: Mutex<State>,
}

struct State {
    books: Books,
    // None once the connection is over: the descriptor closes with the last copy.
    transport: Option<Arc<dyn Transport>>,
    driver: Option<Waker>,
    // What the driver's timer is set to.
    armed: Option<Instant>,
    // Whether any byte came.
    heard: bool,
}

impl State {
    /// Who must be woken because the timer is set later than what is due first, or not at all.
    fn late_driver(&self) -> Option<Waker> {
        let due = self.books.next_due()?;
        self.armed.is_none_or(|armed| due < armed).then(|| self.driver.clone()).flatten()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, error: Error, quiet: bool) {
        // In a forked child the socket is the parent's, and a lock may be held by a thread that is
        // not here: nothing is touched.
        if !self.era.is_current() {
            return;
        }
        let error = if error.broker().is_some() {
            error
        } else {
            let error = Error::new(error.code(), format!("broker {}", self.peer)).caused_by(error);
            error.with_broker(&*self.peer)
        };
        let mut state = self.lock();
        if state.books.end(Poison { error, quiet }) {
            let (transport, driver) = (state.transport.take(), state.driver.take());
            drop(state);
            // Closing is not enough: a forked child has the socket too, and the broker would keep the
            // connection, and with it a member of a group that is gone, as long as the child lives.
            transport.into_iter().for_each(|transport| transport.shutdown());
            driver.into_iter().for_each(Waker::wake);
        }
    }

    /// Writes what is queued, as far as the stream takes it. `Blocked`: the rest is the driver's.
    fn write(&self, mut budget: usize) -> Progress {
        let (transport, taken) = {
            let mut state = self.lock();
            let transport = state.transport.clone();
            (transport, state.books.take_output(Instant::now()))
        };
        let (Some(transport), Some(mut rest)) = (transport, taken) else {
            return Progress::Blocked;
        };
        loop {
            if budget == 0 {
                self.lock().books.put_back(rest);
                return Progress::More;
            }
            budget -= 1;
            match write_some(&*transport, &mut rest) {
                Ok(count) => match self.lock().books.wrote(count, rest) {
                    Some(more) => rest = more,
                    None => return Progress::Blocked,
                },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.lock().books.put_back(rest);
                    return Progress::Blocked;
                }
                Err(error) => {
                    self.lock().books.put_back(rest);
                    let text = "the connection broke while it was written";
                    self.end(Error::new(Code::DISCONNECTED, text).caused_by(error), false);
                    return Progress::Blocked;
                }
            }
        }
    }
}

fn broken(error: io::Error) -> Error {
    Error::new(Code::DISCONNECTED, "the connection broke").caused_by(error)
}

fn write_some(transport: &dyn Transport, rest: &mut VecDeque<Bytes>) -> io::Result<usize> {
    let count = {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let used = rest.len().min(SLICES);
        for (slice, bytes) in slices.iter_mut().zip(rest.iter()) {
            *slice = IoSlice::new(bytes);
        }
        transport.try_write(slices.get(..used).unwrap_or(&slices))?
    };
    let mut left = count;
    while let Some(front) = rest.front_mut() {
        if left < front.len() {
            front.advance(left);
            break;
        }
        left -= front.len();
        rest.pop_front();
    }
    Ok(count)
}

impl Wire {
    /// A connection over `transport`, and the task that must be run for it. `peer` names the broker in
    /// errors; `max_frame` is the largest frame taken from it. However long it is idle it stays, until
    /// [`ready`](Self::ready) says otherwise.
    pub(super) fn new(
        peer: Arc<str>,
        transport: Arc<dyn Transport>,
        max_frame: usize,
    ) -> (Self, Driver) {
        let books = Books::new(Instant::now());
        Self::with(peer, transport, books, FrameReader::new(max_frame))
    }

    /// The same to a broker of Kafka 0.7: answers come in order, and say nothing else of whose they are.
    pub(super) fn legacy(
        peer: Arc<str>,
        transport: Arc<dyn Transport>,
        max_frame: usize,
    ) -> (Self, Driver) {
        let books = Books::in_order(Instant::now());
        Self::with(peer, transport, books, FrameReader::legacy(max_frame))
    }

    fn with(
        peer: Arc<str>,
        transport: Arc<dyn Transport>,
        books: Books,
        reader: FrameReader,
    ) -> (Self, Driver) {
        let state = State {
            books,
            transport: Some(Arc::clone(&transport)),
            driver: None,
            armed: None,
            heard: false,
        };
        let shared = Arc::new(Shared { era: Era::current(), peer, state: Mutex::new(state) });
        let driver =
            Driver { shared: Arc::clone(&shared), transport, reader, heard: false, timer: None };
        (Self { shared }, driver)
    }

    /// The broker's name in errors.
    pub(super) fn peer(&self) -> &Arc<str> {
        &self.shared.peer
    }

    /// What the peer speaks is known: from here on it is closed after this time without use; none: never.
    pub(super) fn ready(&self, max_idle: Option<Duration>) {
        let mut state = self.shared.lock();
        state.books.ready(max_idle, Instant::now());
        let driver = state.late_driver();
        drop(state);
        driver.into_iter().for_each(Waker::wake);
    }

    /// Queues one request and writes as `flush` says. Never waits; from any thread.
    pub(super) fn send(&self, request: Outgoing, flush: Flush) -> Result<Pending> {
        self.shared.era.check()?;
        let mut state = self.shared.lock();
        let pending = state.books.queue(request, Instant::now())?;
        self.after_queue(state, flush);
        Ok(pending)
    }

    /// As [`send`](Self::send); the answer, or why there is none, is told to `listener` alone. In a forked
    /// child it hears nothing.
    pub(super) fn send_for(&self, request: Outgoing, flush: Flush, listener: Box<dyn Listener>) {
        if self.shared.era.check().is_err() {
            return;
        }
        let mut state = self.shared.lock();
        // An error is told.
        if state.books.queue_for(request, Reply::Listener(listener), Instant::now()).is_ok() {
            self.after_queue(state, flush);
        }
    }

    fn after_queue(&self, state: MutexGuard<'_, State>, flush: Flush) {
        let driver = if flush == Flush::Soon { state.driver.clone() } else { state.late_driver() };
        drop(state);
        if flush == Flush::Now {
            self.write_now();
        }
        driver.into_iter().for_each(Waker::wake);
    }

    fn write_now(&self) {
        self.shared.write(TURN);
        let state = self.shared.lock();
        // A full stream, or a spent turn: the driver waits for room and goes on.
        if state.books.wants_write(Instant::now()) {
            let driver = state.driver.clone();
            drop(state);
            driver.into_iter().for_each(Waker::wake);
        }
    }

    /// Keeps the connection silent for that long (invariant 4.18).
    pub(super) fn throttle(&self, time: Duration) {
        self.shared.lock().books.throttle(time, Instant::now());
    }

    /// Why the connection is over, or none while it lives.
    pub(super) fn poison(&self) -> Option<Poison> {
        self.shared.lock().books.poison().cloned()
    }

    /// How many requests wait.
    pub(super) fn in_flight(&self) -> usize {
        self.shared.lock().books.in_flight()
    }

    /// Whether the peer ever sent a byte.
    pub(super) fn heard_anything(&self) -> bool {
        self.shared.lock().heard
    }

    /// Closes the connection; who waits gets `error`. `quiet`: nothing that counts as "down".
    pub(super) fn end(&self, error: Error, quiet: bool) {
        self.shared.end(error, quiet);
    }
}

/// The task of one connection: reads, writes what the senders could not, keeps the deadlines.
/// Ends with the connection.
pub(super) struct Driver {
    shared: Arc<Shared>,
    transport: Arc<dyn Transport>,
    reader: FrameReader,
    heard: bool,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Driver {
    /// For the supervisor: a panic in this task ends the connection.
    pub(super) fn on_panic(&self) -> impl FnOnce(Error) + Send + 'static + use<> {
        let shared = Arc::clone(&self.shared);
        move |error| shared.end(error, false)
    }

    /// Handles what is due and sets the timer. Ready when the connection is over.
    fn poll_time(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Each round either handles something due, sets the timer later, or waits: two do, four bound it.
        for _ in 0..4 {
            let now = Instant::now();
            let mut state = self.shared.lock();
            let due = state.books.next_due();
            if due.is_some_and(|due| due <= now) {
                let end = state.books.due(now);
                drop(state);
                match end {
                    Some(poison) => self.shared.end(poison.error, poison.quiet),
                    // The end of a silence: writing comes after this in the same turn.
                    None => cx.waker().wake_by_ref(),
                }
                return Poll::Pending;
            }
            // A timer that fires too early costs one wake-up; setting it with each request would cost
            // more. So it is only moved when it would fire too late.
            let armed = match (due, state.armed) {
                (Some(due), None) => Some(due),
                (Some(due), Some(armed)) => Some(due.min(armed)),
                (None, armed) => armed,
            };
            let moved = armed != state.armed;
            state.armed = armed;
            drop(state);
            let Some(at) = armed else { return Poll::Pending };
            if moved || self.timer.is_none() {
                let at = tokio::time::Instant::from_std(at);
                match self.timer.as_mut() {
                    Some(timer) => timer.as_mut().reset(at),
                    None => self.timer = Some(Box::pin(tokio::time::sleep_until(at))),
                }
            }
            let fired = self.timer.as_mut().is_some_and(|t| t.as_mut().poll(cx).is_ready());
            if !fired {
                return Poll::Pending;
            }
            self.shared.lock().armed = None;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Writes what is queued. True if the turn ended with more to do.
    fn poll_write(&self, cx: &mut Context<'_>) -> bool {
        for _ in 0..TURN {
            if !self.shared.lock().books.wants_write(Instant::now()) {
                return false;
            }
            match self.transport.poll_write_ready(cx) {
                Poll::Pending => return false,
                Poll::Ready(Ok(())) => {
                    self.shared.write(TURN);
                }
                Poll::Ready(Err(error)) => {
                    self.shared.end(broken(error), false);
                    return false;
                }
            }
        }
        true
    }

    /// Reads what is there. True if the turn ended with more to do.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> bool {
        for _ in 0..TURN {
            match self.transport.poll_read_ready(cx) {
                Poll::Pending => return false,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    self.shared.end(broken(error), false);
                    return false;
                }
            }
            let (shared, now) = (&self.shared, Instant::now());
            let mut sink = |frame| shared.lock().books.received(frame, now);
            match self.reader.read(&*self.transport, &mut sink) {
                Ok(Progress::More) if !self.heard => {
                    self.heard = true;
                    self.shared.lock().heard = true;
                }
                Ok(_) => {}
                Err(error) => {
                    self.shared.end(error, false);
                    return false;
                }
            }
        }
        true
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        {
            // First, so that whoever changes the books from now on wakes this task again.
            let mut state = self.shared.lock();
            if !state.driver.as_ref().is_some_and(|driver| driver.will_wake(cx.waker())) {
                state.driver = Some(cx.waker().clone());
            }
        }
        let mut again = self.poll_write(cx);
        again |= self.poll_read(cx);
        // After reading, so that an answer that is there counts before its deadline does.
        let _ = self.poll_time(cx);
        if self.shared.lock().books.poison().is_some() {
            return Poll::Ready(());
        }
        if again {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Drop for Driver {
    /// A task that ends in any other way than by the connection's end (an aborted task, a runtime
    /// that stops) leaves nobody waiting.
    fn drop(&mut self) {
        let text = "the connection's task ended";
        self.shared.end(Error::new(Code::ABANDONED, text), false);
    }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
