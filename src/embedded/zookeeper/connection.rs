//! One connection: frames in; answers and events out, in the order in which they came to be.

use std::io::{self, IoSlice};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, Interest};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::state::State;
use super::world::Pending;
use crate::embedded::frames::Frames;
use crate::embedded::server::Ended;
use crate::os;

/// Serves a connection until either side closes it.
pub(super) async fn run(state: Arc<State>, server: i32, number: u64, stream: Ended<TcpStream>) {
    let _best_effort = stream.set_nodelay(true);
    let wake = state.world().enter(server, number);
    let mut connection = Connection { state, number, stream, wake };
    // Whatever ends it, the end of a connection is all that a client sees.
    let _ended = connection.serve().await;
}

struct Connection {
    state: Arc<State>,
    number: u64,
    stream: Ended<TcpStream>,
    wake: Arc<Notify>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.state.world().leave(self.number);
        self.state.progress.notify_all();
    }
}

impl Connection {
    async fn serve(&mut self) -> io::Result<()> {
        let (mut frames, mut held) = (Frames::default(), None);
        loop {
            let pending = self.state.world().pending(self.number);
            match pending {
                Pending::Silence => self.wake.notified().await,
                Pending::Close => return Ok(()),
                Pending::Write(bytes) => self.write(&bytes).await?,
                Pending::Nothing => {
                    match held.take().map_or_else(|| frames.next(), |f| Ok(Some(f)))? {
                        Some(frame) => {
                            held = self.state.take(self.number, frame);
                            if held.is_some() {
                                self.wake.notified().await;
                            }
                        }
                        None => self.read(&mut frames).await?,
                    }
                }
            }
        }
    }

    async fn read(&mut self, frames: &mut Frames) -> io::Result<()> {
        tokio::select! {
            () = self.wake.notified() => Ok(()),
            read = self.stream.read_buf(frames.room()) => match read? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(()),
            }
        }
    }

    async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let write = || os::net::write_vectored(&*self.stream, &[IoSlice::new(bytes)]);
            let written = self.stream.async_io(Interest::WRITABLE, write).await?;
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }
}
