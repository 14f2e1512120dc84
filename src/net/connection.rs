//! One connection as the other rooms use it: typed requests, the versions, what is known of the rest.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::books::{Expects, Listener, Outgoing, Pending};
use super::wire::{Flush, Wire};
use super::{Versions, throttle};
use crate::error::{Code, Error, Persistence, Result};
use crate::log::Logger;
use crate::protocol::modern::{Request, header};

/// A connection to one broker, ready for use; copies are the same connection. It closes when it fails,
/// when it was idle for long, and when the last copy is dropped.
///
/// Any method from any thread. Errors name the broker, and their `persistence` is `NotPersisted` when
/// not one byte of the request was written, `PossiblyPersisted` when its outcome is unknown
/// (invariant 1.20).
#[derive(Clone, Debug)]
pub struct Connection {
    inner: Arc<Inner>,
}

struct Inner {
    wire: Wire,
    versions: Versions,
    client_id: Arc<str>,
    // For requests without an answer: how long the write may take.
    write_time: Duration,
    correlation: AtomicI32,
    logger: Logger,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("broker", self.wire.peer()).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.wire.end(Error::new(Code::DISCONNECTED, "this client closed the connection"), true);
    }
}

impl Connection {
    pub(super) fn new(
        wire: Wire,
        versions: Versions,
        client_id: Arc<str>,
        write_time: Duration,
        next_correlation: i32,
        logger: Logger,
    ) -> Self {
        let correlation = AtomicI32::new(next_correlation);
        let inner = Inner { wire, versions, client_id, write_time, correlation, logger };
        Self { inner: Arc::new(inner) }
    }

    /// What the broker speaks on this connection.
    #[must_use]
    pub fn versions(&self) -> &Versions {
        &self.inner.versions
    }

    /// The broker as errors name it: `host:port`.
    #[must_use]
    pub fn broker(&self) -> &Arc<str> {
        self.inner.wire.peer()
    }

    /// Whether requests may still be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.inner.wire.poison().is_none()
    }

    /// How many requests wait for their answers.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.inner.wire.in_flight()
    }

    /// Closes the connection; who waits on it gets `error`.
    pub fn close(&self, error: Error) {
        self.inner.wire.end(error, true);
    }

    /// How long the write of a request without an answer may take.
    pub(super) fn write_time(&self) -> Duration {
        self.inner.write_time
    }

    pub(super) fn wire(&self) -> &Wire {
        &self.inner.wire
    }

    /// Sends a request in the highest common version ([`Versions::pick`]) and waits for the answer.
    ///
    /// `deadline` is the broker's time, normally `request.timeout.ms` from now: when it passes, the
    /// connection is closed and every request on it has an unknown outcome (invariant 13.4). A caller
    /// with less patience drops the future; the answer is then read and discarded.
    pub async fn request<R: Request>(&self, request: &R, deadline: Instant) -> Result<R::Response> {
        let version = self.versions().pick::<R>()?;
        self.request_at(version, request, deadline).await
    }

    /// As [`request`](Self::request), in a version that the caller picked.
    pub async fn request_at<R: Request>(
        &self,
        version: i16,
        request: &R,
        deadline: Instant,
    ) -> Result<R::Response> {
        self.start(version, request, deadline, Flush::Now)?.await
    }

    /// Sends a request without waiting; await the outcome later, or from elsewhere. The request is
    /// written before this returns if the stream has room, unless `flush` is [`Flush::Soon`].
    pub fn start<R: Request>(
        &self,
        version: i16,
        request: &R,
        deadline: Instant,
        flush: Flush,
    ) -> Result<Answer<R>> {
        let outgoing = self.outgoing(version, request, Expects::Answer, deadline)?;
        let pending = self.inner.wire.send(outgoing, flush)?;
        Ok(Answer { pending, connection: self.clone(), version, request: PhantomData })
    }

    /// As [`start`](Self::start), written before this returns if the stream has room; `listener` alone is
    /// told of the answer, which [`response`](Self::response) reads, or of why there is none.
    pub fn start_for<R: Request>(
        &self,
        version: i16,
        request: &R,
        deadline: Instant,
        listener: Box<dyn Listener>,
    ) {
        match self.outgoing(version, request, Expects::Answer, deadline) {
            Ok(outgoing) => self.inner.wire.send_for(outgoing, Flush::Now, listener),
            Err(error) => listener.tell(Err(error)),
        }
    }

    /// Reads what a listener was told.
    pub fn response<R: Request>(
        &self,
        version: i16,
        frame: Result<bytes::Bytes>,
    ) -> Result<R::Response> {
        let decoded = header::decode_response::<R>(version, frame?);
        let (_, response) = decoded.map_err(|cause| self.undecodable::<R>(cause))?;
        let silence = throttle::asked::<R>(version, &response);
        if !silence.is_zero() {
            self.keep_silent::<R>(silence);
        }
        Ok(response)
    }

    /// The broker asked for silence (invariant 4.18).
    fn keep_silent<R: Request>(&self, asked: Duration) {
        if asked > throttle::LONGEST {
            let (broker, api) = (self.broker(), R::KEY.name());
            let (asked, kept) = (asked.as_millis(), throttle::LONGEST.as_millis());
            self.inner.logger.warn(
                "net",
                format_args!(
                    "broker {broker} answered {api} and asked for {asked} ms of silence: only {kept} ms \
                     are kept"
                ),
            );
        }
        self.wire().throttle(asked.min(throttle::LONGEST));
    }

    /// A peer that answers nonsense is not listened to any longer.
    fn undecodable<R: Request>(&self, cause: Error) -> Error {
        let broker = self.broker();
        let text = format!("broker {broker} answered {} with nonsense", R::KEY.name());
        let error = Error::new(Code::PROTOCOL, text).caused_by(cause).with_broker(&**broker);
        self.wire().end(error.clone(), false);
        error.with_persistence(Persistence::PossiblyPersisted)
    }

    /// Sends a request that is never answered (Produce with acks=0), and waits until its last byte is
    /// written (invariant 1.23). Bounded by `request.timeout.ms`.
    pub async fn send_only<R: Request>(&self, request: &R) -> Result<()> {
        let version = self.versions().pick::<R>()?;
        self.send_only_at(version, request).await
    }

    /// As [`send_only`](Self::send_only), in a version that the caller picked.
    pub async fn send_only_at<R: Request>(&self, version: i16, request: &R) -> Result<()> {
        let deadline = Instant::now() + self.inner.write_time;
        let outgoing = self.outgoing(version, request, Expects::Nothing, deadline)?;
        let pending = self.inner.wire.send(outgoing, Flush::Now)?;
        self.outcome(pending.await).map(|_| ())
    }

    fn outgoing<R: Request>(
        &self,
        version: i16,
        request: &R,
        expects: Expects,
        deadline: Instant,
    ) -> Result<Outgoing> {
        // Ids only tell answers apart: they wrap, and stay positive.
        let correlation = self.inner.correlation.fetch_add(1, Ordering::Relaxed) & i32::MAX;
        let encoded = header::encode_request(version, correlation, &self.inner.client_id, request);
        let segments = encoded.map_err(|cause| {
            let versions = self.versions();
            let text = format!("for broker {} (Kafka {})", versions.broker(), versions.release());
            Error::new(cause.code(), text).caused_by(cause).with_broker(&**versions.broker())
        })?;
        Ok(Outgoing { api: R::KEY.name(), correlation, segments, expects, deadline })
    }

    pub(super) fn outcome(
        &self,
        received: Result<Result<bytes::Bytes>, tokio::sync::oneshot::error::RecvError>,
    ) -> Result<bytes::Bytes> {
        // The books answer everybody before they go; this is for a panic in them.
        received.unwrap_or_else(|_| {
            let error = Error::new(Code::ABANDONED, format!("broker {}", self.broker()));
            Err(error.with_persistence(Persistence::PossiblyPersisted))
        })
    }
}

/// An answer under way; a future. Dropping it gives up on the answer, not on the connection.
#[derive(Debug)]
pub struct Answer<R: Request> {
    pending: Pending,
    connection: Connection,
    version: i16,
    request: PhantomData<fn() -> R>,
}

impl<R: Request> Future for Answer<R> {
    type Output = Result<R::Response>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match Pin::new(&mut self.pending).poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(received) => {
                let frame = self.connection.outcome(received);
                Poll::Ready(self.connection.response::<R>(self.version, frame))
            }
        }
    }
}
