//! One connection to a ZooKeeper server: bytes in and out, frames, the first words.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use tokio::time::timeout_at;

use crate::config::Address;
use crate::error::{Code, Error, Result};
use crate::net::{Dialer, FrameReader, Progress, TcpDialer, Transport};
use crate::protocol::zookeeper::{ConnectRequest, ConnectResponse};

/// The largest frame taken from a server. Servers refuse nodes above 1 MiB by default; a list of
/// children may be longer.
const LARGEST_FRAME: usize = 16 << 20;

/// Passwords are 16 bytes; a longer one would be kept and sent back each time.
const LONGEST_PASSWORD: usize = 1_024;

/// Why there is no connection.
#[derive(Debug)]
pub(super) struct NoLink {
    pub(super) error: Error,
    /// The server took the connection and ended it before a word: it does not serve at the moment, or
    /// it does not want this session.
    pub(super) slammed: bool,
}

/// A connection on which a session is served. Dropped, it is shut down: a forked child may hold the
/// socket too.
pub(super) struct Link {
    transport: Arc<dyn Transport>,
    frames: FrameReader,
    out: BytesMut,
}

impl Link {
    /// Connects to a server and opens the session, before `deadline`. Errors name the server.
    pub(super) async fn open(
        server: &Address,
        hello: &ConnectRequest,
        deadline: Instant,
    ) -> Result<(Self, ConnectResponse), NoLink> {
        let named = |error: Error| {
            let text = format!("ZooKeeper server {server}");
            Error::new(error.code(), text).caused_by(error)
        };
        let no = |error| NoLink { error: named(error), slammed: false };
        let transport = TcpDialer.dial(server, deadline, &|_| ()).await.map_err(no)?;
        let mut link = Self {
            transport,
            frames: FrameReader::of("ZooKeeper", LARGEST_FRAME),
            out: BytesMut::new(),
        };
        link.push(&hello.frame().map_err(no)?);
        let answer = match timeout_at(deadline.into(), link.first_frame()).await {
            Ok(Ok(frame)) => frame,
            Ok(Err(error)) => {
                let slammed = error.code() == Code::DISCONNECTED;
                return Err(NoLink { error: named(error), slammed });
            }
            Err(_) => {
                let text = "it accepted the connection and did not answer in time";
                return Err(no(Error::new(Code::TIMED_OUT, text)));
            }
        };
        let answer = ConnectResponse::read(answer).map_err(no)?;
        if answer.password.len() > LONGEST_PASSWORD {
            let text = format!("it gave a password of {} bytes", answer.password.len());
            return Err(no(Error::new(Code::PROTOCOL, text)));
        }
        Ok((link, answer))
    }

    async fn first_frame(&mut self) -> Result<Bytes> {
        let mut first = None;
        loop {
            self.write()?;
            // One frame and no more: nothing else is answered before the session is there.
            let mut take = |frame| match first.replace(frame) {
                None => Ok(()),
                Some(_) => Err(Error::new(Code::PROTOCOL, "it sent more than the first answer")),
            };
            self.frames.read(&*self.transport, &mut take)?;
            if let Some(frame) = first {
                return Ok(frame);
            }
            if self.is_written() { self.readable().await? } else { self.writable().await? }
        }
    }

    /// Adds bytes to those that wait to be written.
    pub(super) fn push(&mut self, frame: &[u8]) {
        self.out.extend_from_slice(frame);
    }

    pub(super) fn is_written(&self) -> bool {
        self.out.is_empty()
    }

    /// Writes as much as there is room for.
    pub(super) fn write(&mut self) -> Result<()> {
        while !self.out.is_empty() {
            match self.transport.try_write(&[IoSlice::new(&self.out)]) {
                Ok(count) => self.out.advance(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => {
                    let text = "the connection broke";
                    return Err(Error::new(Code::DISCONNECTED, text).caused_by(error));
                }
            }
        }
        Ok(())
    }

    /// Reads once, without waiting; true when more may be there. Whole frames go to `sink`.
    pub(super) fn read(&mut self, sink: &mut impl FnMut(Bytes) -> Result<()>) -> Result<bool> {
        self.frames.read(&*self.transport, sink).map(|progress| progress == Progress::More)
    }

    /// Waits until something may be read.
    pub(super) async fn readable(&self) -> Result<()> {
        poll_fn(|cx| self.transport.poll_read_ready(cx)).await.map_err(Error::from)
    }

    /// Waits until something may be written.
    pub(super) async fn writable(&self) -> Result<()> {
        poll_fn(|cx| self.transport.poll_write_ready(cx)).await.map_err(Error::from)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.transport.shutdown();
    }
}
