//! Two ends of an in-memory stream for tests; each direction has a bound, as a socket has.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{BufMut, BytesMut};

use super::Transport;

#[derive(Debug, Default)]
struct Pipe {
    bytes: VecDeque<u8>,
    room: usize,
    closed: bool,
    writes: usize,
    wakers: Vec<Waker>,
}

impl Pipe {
    fn wake(&mut self) {
        self.wakers.drain(..).for_each(Waker::wake);
    }
}

/// One end; dropping it closes both directions.
#[derive(Debug)]
pub(crate) struct Duplex {
    inbound: Arc<Mutex<Pipe>>,
    outbound: Arc<Mutex<Pipe>>,
}

fn lock(pipe: &Mutex<Pipe>) -> MutexGuard<'_, Pipe> {
    pipe.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Duplex {
    /// Both ends, with unlimited room.
    pub(crate) fn pair() -> (Self, Self) {
        let pipe = || Arc::new(Mutex::new(Pipe { room: usize::MAX, ..Pipe::default() }));
        let (a, b) = (pipe(), pipe());
        let near = Self { inbound: Arc::clone(&a), outbound: Arc::clone(&b) };
        (near, Self { inbound: b, outbound: a })
    }

    /// Lets the other end write at most `room` bytes more before it is blocked.
    pub(crate) fn set_room(&self, room: usize) {
        let mut pipe = lock(&self.inbound);
        pipe.room = room;
        pipe.wake();
    }

    /// Writes all of it towards the other end.
    pub(crate) fn push(&self, bytes: &[u8]) {
        let mut pipe = lock(&self.outbound);
        pipe.bytes.extend(bytes);
        pipe.wake();
    }

    /// What the other end has written and nobody read, and in how many writes since the last call.
    pub(crate) fn take(&self) -> (Vec<u8>, usize) {
        let mut pipe = lock(&self.inbound);
        let writes = std::mem::take(&mut pipe.writes);
        (pipe.bytes.drain(..).collect(), writes)
    }

    /// Waits until `count` bytes are there, and takes exactly them.
    pub(crate) async fn take_exact(&self, count: usize) -> io::Result<Vec<u8>> {
        std::future::poll_fn(|cx| {
            let mut pipe = lock(&self.inbound);
            if pipe.bytes.len() >= count {
                return Poll::Ready(Ok(pipe.bytes.drain(..count).collect()));
            }
            if pipe.closed {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            pipe.wakers.push(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}

impl Drop for Duplex {
    fn drop(&mut self) {
        for pipe in [&self.inbound, &self.outbound] {
            let mut pipe = lock(pipe);
            pipe.closed = true;
            pipe.wake();
        }
    }
}

impl Transport for Duplex {
    fn try_read(&self, buf: &mut BytesMut, limit: usize) -> io::Result<usize> {
        let mut pipe = lock(&self.inbound);
        if pipe.bytes.is_empty() {
            return if pipe.closed { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
        }
        let count = limit.min(pipe.bytes.len());
        for byte in pipe.bytes.drain(..count) {
            buf.put_u8(byte);
        }
        Ok(count)
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut pipe = lock(&self.outbound);
        if pipe.closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut written = 0;
        for slice in slices {
            let count = slice.len().min(pipe.room);
            pipe.bytes.extend(&slice[..count]);
            pipe.room -= count;
            written += count;
        }
        if written == 0 && slices.iter().any(|slice| !slice.is_empty()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        pipe.writes += 1;
        pipe.wake();
        Ok(written)
    }

    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut pipe = lock(&self.inbound);
        if pipe.closed || !pipe.bytes.is_empty() {
            return Poll::Ready(Ok(()));
        }
        pipe.wakers.push(cx.waker().clone());
        Poll::Pending
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut pipe = lock(&self.outbound);
        if pipe.closed || pipe.room > 0 {
            return Poll::Ready(Ok(()));
        }
        pipe.wakers.push(cx.waker().clone());
        Poll::Pending
    }
}
