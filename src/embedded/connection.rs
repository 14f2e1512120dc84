//! One connection of a broker: frames in, answers out, in the order of the requests.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncReadExt, Interest};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::frames::Frames;
use super::serve::{self, Answer, Caller, Fate, Step};
use super::server::{Ended, Host};
use super::state::Shared;
use crate::error::Error;
use crate::os;

/// Slices handed to one system call.
const SLICES: usize = 64;
/// Bytes of answers that may wait for requests that came with theirs.
const WAITING: usize = 1024 * 1024;

impl Host for Shared {
    fn is_alive(&self, broker: i32) -> bool {
        Self::is_alive(self, broker)
    }

    fn fail(&self, error: Error) {
        Self::fail(self, error);
    }

    async fn serve(self: Arc<Self>, broker: i32, number: u64, stream: Ended<TcpStream>) {
        run(self, broker, number, stream).await;
    }
}

async fn run(shared: Arc<Shared>, broker: i32, number: u64, stream: Ended<TcpStream>) {
    // Answers are whole when they are written: waiting for more would only delay them.
    let _best_effort = stream.set_nodelay(true);
    let mut connection = Connection {
        shared,
        caller: Caller { broker, connection: number },
        stream,
        frames: Frames::default(),
        out: VecDeque::new(),
        waiting: 0,
        waiter: Arc::new(Notify::new()),
    };
    // Whatever ends it (the peer left, it sent no frame), the end of a connection is all there is
    // to do: the client sees it and says why.
    let _ended = connection.serve().await;
}

struct Connection {
    shared: Arc<Shared>,
    caller: Caller,
    stream: Ended<TcpStream>,
    frames: Frames,
    out: VecDeque<Bytes>,
    /// Bytes in `out`.
    waiting: usize,
    waiter: Arc<Notify>,
}

impl Connection {
    async fn serve(&mut self) -> io::Result<()> {
        loop {
            while let Some(frame) = self.frames.next()? {
                let step = serve::frame(&self.shared, self.caller, frame);
                self.take(step).await?;
                // Small requests may have large answers: a peer that does not read gets no more.
                if self.waiting > WAITING {
                    self.write_out().await?;
                }
            }
            self.write_out().await?;
            self.read_more().await?;
        }
    }

    async fn read_more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(self.frames.room()).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Does what the step says; an error ends the connection.
    async fn take(&mut self, step: Step) -> io::Result<()> {
        let answer = match step.answer {
            Answer::None => Vec::new(),
            Answer::Frame(answer) => answer,
            Answer::Fetch(fetch) => self.long_poll(*fetch).await?,
            Answer::Group(wait) => self.group(&wait).await?,
        };
        match step.fate {
            Fate::Send => self.queue(answer),
            Fate::Delay(ms) => {
                self.write_out().await?;
                self.pause(ms).await?;
                self.queue(answer);
            }
            Fate::Quiet(ms) => {
                self.queue(answer);
                self.write_out().await?;
                self.pause(ms).await?;
            }
            Fate::Close => return self.close(Vec::new()).await,
            Fate::Mute => return self.swallow().await,
            Fate::Garbage => return self.close(vec![serve::garbage()]).await,
            Fate::Malformed => self.queue(vec![serve::malformed(&answer)]),
            Fate::Half => return self.close(vec![serve::half(&answer)]).await,
        }
        Ok(())
    }

    /// Looks at nothing that comes for so many milliseconds.
    async fn pause(&mut self, ms: u32) -> io::Result<()> {
        let due = Instant::now() + Duration::from_millis(ms.into());
        while Instant::now() < due {
            self.idle(due).await?;
        }
        Ok(())
    }

    fn queue(&mut self, answer: Vec<Bytes>) {
        self.waiting += answer.iter().map(Bytes::len).sum::<usize>();
        self.out.extend(answer);
    }

    /// Writes what is due and these last bytes, then ends.
    async fn close(&mut self, last: Vec<Bytes>) -> io::Result<()> {
        self.queue(last);
        self.write_out().await?;
        Err(io::ErrorKind::ConnectionAborted.into())
    }

    /// Stays open and says nothing more, whatever comes.
    async fn swallow(&mut self) -> io::Result<()> {
        self.write_out().await?;
        loop {
            self.frames.clear();
            self.read_more().await?;
        }
    }

    /// Waits until the fetch has what it asked for, its time is over, or the peer has left.
    async fn long_poll(&mut self, fetch: serve::Fetch) -> io::Result<Vec<Bytes>> {
        let due = Instant::from_std(fetch.deadline);
        loop {
            let due_now = Instant::now() >= due;
            if let Some(answer) = fetch.poll(&self.shared, &self.waiter, due_now) {
                return answer.map_err(io::Error::other);
            }
            self.write_out().await?;
            self.idle(due).await?;
        }
    }

    /// Waits until the group has decided, or the peer has left.
    async fn group(&mut self, wait: &serve::Wait) -> io::Result<Vec<Bytes>> {
        loop {
            let now = std::time::Instant::now();
            if let Some(answer) = wait.poll(&self.shared, &self.waiter, now) {
                return answer.map_err(io::Error::other);
            }
            let due = Instant::from_std(wait.due(&self.shared, now));
            self.write_out().await?;
            self.idle(due).await?;
        }
    }

    /// Waits until a partition that was asked for changes, or it is due; perhaps not so long. An
    /// error when the peer has left.
    async fn idle(&mut self, due: Instant) -> io::Result<()> {
        tokio::select! {
            () = self.waiter.notified() => {}
            () = tokio::time::sleep_until(due) => {}
            // What comes meanwhile is only read ahead; it tells that the peer has left.
            read = self.stream.read_buf(self.frames.room()), if self.frames.may_read_ahead() => {
                if read? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
        Ok(())
    }

    async fn write_out(&mut self) -> io::Result<()> {
        while !self.out.is_empty() {
            let (out, stream) = (&self.out, &self.stream);
            let write = || {
                let mut slices = [IoSlice::new(&[]); SLICES];
                let mut used = 0;
                for (slice, bytes) in slices.iter_mut().zip(out) {
                    *slice = IoSlice::new(bytes);
                    used += 1;
                }
                os::net::write_vectored(&**stream, slices.get(..used).unwrap_or_default())
            };
            let written = stream.async_io(Interest::WRITABLE, write).await?;
            self.consume(written);
        }
        Ok(())
    }

    fn consume(&mut self, mut written: usize) {
        self.waiting = self.waiting.saturating_sub(written);
        while let Some(front) = self.out.front_mut() {
            if front.len() > written {
                front.advance(written);
                return;
            }
            written -= front.len();
            self.out.pop_front();
        }
    }
}
