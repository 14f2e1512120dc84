//! From a stream of bytes to whole answers: each frame is one buffer of its own.

use std::cell::RefCell;
use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::Transport;
use crate::error::{Code, Error, Result};

/// One read takes at most this much; small answers arrive many at a time.
const SCRATCH: usize = 32 * 1024;

/// The rest of a frame is read straight into its buffer when it is longer than this.
const DIRECT: usize = 16 * 1024;

/// One read into a frame's buffer takes at most this much: the I/O thread has others to serve.
const LARGE: usize = 256 * 1024;

/// What a peer's word alone may make us allocate; beyond it the buffer doubles as bytes arrive.
const TRUSTED: usize = 4 * 1024 * 1024;

/// The shortest frame: a correlation id.
const SHORTEST: usize = 4;
/// The shortest one of Kafka 0.7: an error code.
const SHORTEST_LEGACY: usize = 2;

thread_local! {
    // Shared by all connections of an I/O thread: an idle connection holds no buffer.
    static BUFFER: RefCell<BytesMut> = RefCell::new(BytesMut::with_capacity(SCRATCH));
}

/// What one round of reading gave.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Something was read, and more may be there.
    More,
    /// Nothing to read now.
    Blocked,
}

/// Cuts the stream into frames. Holds only the frame in progress.
#[derive(Debug)]
pub(crate) struct FrameReader {
    protocol: &'static str,
    shortest: usize,
    limit: usize,
    prefix: BytesMut,
    // The frame being read and its whole length.
    open: Option<(BytesMut, usize)>,
}

impl FrameReader {
    /// Kafka's frames; those above `limit` bytes are refused.
    pub(super) fn new(limit: usize) -> Self {
        Self::of("Kafka", limit)
    }

    /// Frames of Kafka 0.7, which may hold an error code and nothing else.
    pub(super) fn legacy(limit: usize) -> Self {
        Self { shortest: SHORTEST_LEGACY, ..Self::of("Kafka 0.7", limit) }
    }

    /// Frames of another protocol that are cut in the same way; errors name it.
    pub(crate) fn of(protocol: &'static str, limit: usize) -> Self {
        Self { protocol, shortest: SHORTEST, limit, prefix: BytesMut::new(), open: None }
    }

    /// Reads once and hands each whole frame (without its length) to `sink`.
    ///
    /// Errors: `DISCONNECTED` at the end of the stream, `PROTOCOL` and `FRAME_TOO_LARGE` for a length
    /// that cannot be, and what the system reported. The caller adds the broker's name.
    pub(crate) fn read(
        &mut self,
        transport: &dyn Transport,
        sink: &mut impl FnMut(Bytes) -> Result<()>,
    ) -> Result<Progress> {
        match self.open.as_mut() {
            Some((body, length)) if *length - body.len() >= DIRECT => {
                let rest = *length - body.len();
                if body.capacity() == body.len() {
                    // Every doubling was paid for by bytes that came.
                    body.reserve(rest.min(body.len().max(TRUSTED)));
                }
                let room = body.capacity() - body.len();
                match transport.try_read(body, rest.min(room).min(LARGE)) {
                    Ok(0) => Err(self.ended("it closed the connection")),
                    Ok(_) => self.close_frame(sink).map(|()| Progress::More),
                    Err(error) => self.blocked(error),
                }
            }
            _ => BUFFER.with_borrow_mut(|scratch| {
                scratch.clear();
                scratch.reserve(SCRATCH);
                match transport.try_read(scratch, SCRATCH) {
                    Ok(0) => Err(self.ended("it closed the connection")),
                    Ok(_) => self.feed(scratch, sink).map(|()| Progress::More),
                    Err(error) => self.blocked(error),
                }
            }),
        }
    }

    fn feed(&mut self, mut bytes: &[u8], sink: &mut impl FnMut(Bytes) -> Result<()>) -> Result<()> {
        while !bytes.is_empty() {
            if let Some((body, length)) = self.open.as_mut() {
                let take = bytes.len().min(*length - body.len());
                body.put(Buf::take(&mut bytes, take));
            } else {
                let take = bytes.len().min(4 - self.prefix.len());
                self.prefix.put(Buf::take(&mut bytes, take));
                if self.prefix.len() == 4 {
                    self.open_frame()?;
                }
            }
            self.close_frame(sink)?;
        }
        Ok(())
    }

    fn open_frame(&mut self) -> Result<()> {
        let announced = self.prefix.clone().get_i32();
        let length = usize::try_from(announced).ok().filter(|length| *length >= self.shortest);
        let Some(length) = length else {
            return Err(Error::new(Code::PROTOCOL, nonsense(self.protocol, &self.prefix)));
        };
        if length > self.limit {
            let guess = foreign(&self.prefix).map_or(String::new(), |what| format!(" ({what})"));
            return Err(Error::new(
                Code::FRAME_TOO_LARGE,
                format!(
                    "it announced a frame of {length} bytes, above the limit of {}{guess}",
                    self.limit
                ),
            ));
        }
        self.prefix.clear();
        self.open = Some((BytesMut::with_capacity(length.min(TRUSTED)), length));
        Ok(())
    }

    fn close_frame(&mut self, sink: &mut impl FnMut(Bytes) -> Result<()>) -> Result<()> {
        if self.open.as_ref().is_some_and(|(body, length)| body.len() == *length) {
            if let Some((body, _)) = self.open.take() {
                return sink(body.freeze());
            }
        }
        Ok(())
    }

    fn ended(&self, how: &str) -> Error {
        let text = match &self.open {
            Some((body, length)) => {
                format!("{how} in the middle of a frame, after {} of {length} bytes", body.len())
            }
            None if !self.prefix.is_empty() => format!("{how} in the middle of a frame's length"),
            None => how.to_owned(),
        };
        Error::new(Code::DISCONNECTED, text)
    }

    fn blocked(&self, error: io::Error) -> Result<Progress> {
        if error.kind() == io::ErrorKind::WouldBlock {
            return Ok(Progress::Blocked);
        }
        Err(self.ended("the connection broke").caused_by(error))
    }
}

fn nonsense(protocol: &str, prefix: &[u8]) -> String {
    let begins = || format!("a frame that begins with {prefix:02x?}");
    let what = foreign(prefix).map_or_else(begins, str::to_owned);
    format!("it does not speak {protocol}'s protocol ({what})")
}

/// The usual strangers behind a wrong port.
fn foreign(prefix: &[u8]) -> Option<&'static str> {
    match prefix {
        b"HTTP" => Some("this looks like an HTTP server"),
        b"SSH-" => Some("this looks like an SSH server"),
        [0x15 | 0x16, 3, _, _] => Some("this looks like a TLS listener"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::duplex::Duplex;
    use super::*;

    fn read_all(reader: &mut FrameReader, end: &Duplex) -> (Vec<Bytes>, Result<()>) {
        let mut frames = Vec::new();
        for _ in 0..10_000 {
            let step = reader.read(end, &mut |frame| {
                frames.push(frame);
                Ok(())
            });
            match step {
                Ok(Progress::More) => {}
                Ok(Progress::Blocked) => return (frames, Ok(())),
                Err(error) => return (frames, Err(error)),
            }
        }
        panic!("reading does not end");
    }

    fn frame(body: &[u8]) -> Vec<u8> {
        let mut bytes = i32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend_from_slice(body);
        bytes
    }

    #[test]
    fn frames_are_found_whatever_the_cuts_in_the_stream() {
        let big = vec![7_u8; 3 * SCRATCH];
        let stream = [frame(b"one!"), frame(&big), frame(b"three")].concat();
        for cut in [1, 3, 4, 5, 1_000, SCRATCH, stream.len()] {
            let (near, far) = Duplex::pair();
            let mut reader = FrameReader::new(1 << 20);
            let mut frames = Vec::new();
            for piece in stream.chunks(cut) {
                far.push(piece);
                let (some, end) = read_all(&mut reader, &near);
                end.unwrap();
                frames.extend(some);
            }
            assert_eq!(frames.len(), 3, "cut at {cut}");
            assert!(frames[0] == "one!" && frames[1] == big && frames[2] == "three");
        }
    }

    #[test]
    fn a_lying_length_allocates_little_and_a_large_frame_still_arrives() {
        let (near, far) = Duplex::pair();
        let mut reader = FrameReader::new(100 << 20);
        far.push(&(64_i32 << 20).to_be_bytes());
        read_all(&mut reader, &near).1.unwrap();
        let held = reader.open.as_ref().unwrap().0.capacity();
        assert!(held <= TRUSTED, "{held} bytes for a promise");
        for _ in 0..64 {
            far.push(&vec![1_u8; 1 << 20]);
            let (frames, end) = read_all(&mut reader, &near);
            end.unwrap();
            if let Some(frame) = frames.first() {
                assert_eq!(frame.len(), 64 << 20);
                return;
            }
        }
        panic!("the frame never came");
    }

    #[test]
    fn impossible_lengths_are_errors_that_say_who_may_answer_there() {
        let cases: [(&[u8], Code, &str); 5] = [
            (&(-2_i32).to_be_bytes(), Code::PROTOCOL, "does not speak Kafka"),
            (&3_i32.to_be_bytes(), Code::PROTOCOL, "does not speak Kafka"),
            (b"HTTP/1.1 400", Code::FRAME_TOO_LARGE, "HTTP"),
            (&[0x15, 3, 3, 0, 2, 2, 70], Code::FRAME_TOO_LARGE, "TLS"),
            (&i32::MAX.to_be_bytes(), Code::FRAME_TOO_LARGE, "2147483647"),
        ];
        for (bytes, code, words) in cases {
            let (near, far) = Duplex::pair();
            far.push(bytes);
            let error = read_all(&mut FrameReader::new(1 << 20), &near).1.unwrap_err();
            assert_eq!(error.code(), code, "{bytes:?}");
            assert!(error.message().contains(words), "{error}");
        }
    }

    #[test]
    fn a_close_in_the_middle_of_a_frame_says_how_far_it_came() {
        let (near, far) = Duplex::pair();
        far.push(&frame(b"0123456789")[..9]);
        drop(far);
        let error = read_all(&mut FrameReader::new(100), &near).1.unwrap_err();
        assert_eq!(error.code(), Code::DISCONNECTED);
        assert!(error.message().contains("after 5 of 10 bytes"), "{error}");
    }
}
