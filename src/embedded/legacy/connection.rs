//! One connection: frames in, answers out, strictly in order.

use std::io::{self, IoSlice};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, Interest};
use tokio::net::TcpStream;

use super::serve::{self, Step};
use super::state::State;
use crate::embedded::frames::Frames;
use crate::embedded::server::Ended;
use crate::os;

/// Serves a connection until either side closes it.
pub(super) async fn run(state: Arc<State>, broker: i32, mut stream: Ended<TcpStream>) {
    let _best_effort = stream.set_nodelay(true);
    // Whatever ends it, the end of a connection is all that a client sees.
    let _ended = serve(&state, broker, &mut stream).await;
}

async fn serve(state: &State, broker: i32, stream: &mut Ended<TcpStream>) -> io::Result<()> {
    let mut frames = Frames::default();
    loop {
        while let Some(frame) = frames.next()? {
            match serve::frame(state, broker, &frame) {
                Step::Answer(answer) => write(stream, &answer).await?,
                Step::Close(last) => return write(stream, &last).await,
                Step::Mute => loop {
                    frames.clear();
                    read_more(stream, &mut frames).await?;
                },
            }
        }
        read_more(stream, &mut frames).await?;
    }
}

async fn read_more(stream: &mut Ended<TcpStream>, frames: &mut Frames) -> io::Result<()> {
    match stream.read_buf(frames.room()).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

async fn write(stream: &Ended<TcpStream>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let write = || os::net::write_vectored(&**stream, &[IoSlice::new(bytes)]);
        let written = stream.async_io(Interest::WRITABLE, write).await?;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}
