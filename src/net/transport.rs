//! The stream under a connection: TCP, an in-memory pair in tests; TLS has its seat here.

use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use bytes::{BufMut, BytesMut};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::os;

/// A non-blocking byte stream that two threads may use at once, one reading and one writing.
///
/// The calls never wait: `WouldBlock` says that there is nothing to read or no room, and the
/// `poll_…_ready` that follows arranges the wake-up. That shape (instead of tokio's `AsyncWrite`) lets
/// an application thread write its request itself, and the I/O thread wake only for the answer.
pub trait Transport: Send + Sync + 'static {
    /// Appends at most `limit` bytes to `buf`; 0 is the end of the stream.
    fn try_read(&self, buf: &mut BytesMut, limit: usize) -> io::Result<usize>;

    /// Writes the slices in order as far as there is room. Never raises SIGPIPE.
    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Ends the connection in both directions for every process that holds the socket: a forked child
    /// that inherited it would keep it open.
    fn shutdown(&self) {}

    /// Ready when a read may succeed; else the task is woken then. Only one task asks.
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ready when a write may succeed; else the task is woken then. Only one task asks.
    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// Whether the system tells of bytes that come after a read which left room: with epoll, whose edges
/// tokio takes, a short read has emptied the socket, and the end of a stream is noted apart.
const TELLS_EACH_ARRIVAL: bool = cfg!(target_os = "linux");

/// Plain TCP. Written by `sendmsg(MSG_NOSIGNAL)` alone: tokio's own vectored write is `writev`, whose
/// SIGPIPE kills a C program that kept the default action.
#[derive(Debug)]
pub struct TcpTransport {
    stream: TcpStream,
}

impl TcpTransport {
    /// Takes a connected stream and turns Nagle's delay off: requests are whole when they are written.
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream })
    }
}

impl Transport for TcpTransport {
    fn try_read(&self, buf: &mut BytesMut, limit: usize) -> io::Result<usize> {
        let mut taken = None;
        let outcome = self.stream.try_io(Interest::READABLE, || {
            let read = self.stream.try_read_buf(&mut (&mut *buf).limit(limit))?;
            if TELLS_EACH_ARRIVAL && (1..limit).contains(&read) {
                // tokio hears that there is no more now, and need not ask the kernel for a refusal.
                taken = Some(read);
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(read)
        });
        taken.map_or(outcome, Ok)
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        // try_io keeps tokio's note of readiness right: it is cleared when the kernel says WouldBlock.
        let write = || os::net::write_vectored(&self.stream, slices);
        self.stream.try_io(Interest::WRITABLE, write)
    }

    fn shutdown(&self) {
        // It may be broken already.
        let _ = os::net::shutdown(&self.stream);
    }

    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_read_ready(cx)
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_write_ready(cx)
    }
}
