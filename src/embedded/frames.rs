//! Bytes from a socket, cut into frames.

use std::io;

use bytes::{Buf, Bytes, BytesMut};

/// The largest frame that is taken (Kafka's `socket.request.max.bytes`).
const FRAME_MAX: usize = 100 * 1024 * 1024;
/// Room made for a read when nothing is known of what comes.
const READ: usize = 64 * 1024;
/// How much may be read ahead while a request is still being answered.
const AHEAD: usize = 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct Frames {
    buffer: BytesMut,
}

impl Frames {
    /// The next whole frame, without its length; an error when the length cannot be one.
    pub(super) fn next(&mut self) -> io::Result<Option<Bytes>> {
        let Some(length) = self.length()? else { return Ok(None) };
        if self.buffer.len() < 4 + length {
            return Ok(None);
        }
        self.buffer.advance(4);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }

    fn length(&self) -> io::Result<Option<usize>> {
        let Some(prefix) = self.buffer.first_chunk::<4>() else { return Ok(None) };
        match usize::try_from(i32::from_be_bytes(*prefix)) {
            Ok(length) if length <= FRAME_MAX => Ok(Some(length)),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "not a Kafka frame")),
        }
    }

    /// The buffer to read into, with room: for the rest of the frame that has begun, but never
    /// more than as much again as has come, so that a length alone makes nobody allocate.
    pub(super) fn room(&mut self) -> &mut BytesMut {
        let have = self.buffer.len();
        let missing = match self.length() {
            Ok(Some(length)) => (4 + length).saturating_sub(have),
            _ => 0,
        };
        self.buffer.reserve(missing.min(have).max(READ));
        &mut self.buffer
    }

    pub(super) fn may_read_ahead(&self) -> bool {
        self.buffer.len() < AHEAD
    }

    /// Forgets what was read.
    pub(super) fn clear(&mut self) {
        self.buffer.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_however_they_come_in() {
        let wire = [&[0, 0, 0, 3][..], b"abc", &[0, 0, 0, 0], &[0, 0, 0, 1], b"x"].concat();
        let mut frames = Frames::default();
        let mut found = Vec::new();
        for byte in wire {
            frames.room().extend_from_slice(&[byte]);
            while let Some(frame) = frames.next().unwrap() {
                found.push(frame.to_vec());
            }
        }
        assert_eq!(found, [b"abc".to_vec(), vec![], b"x".to_vec()]);
    }

    #[test]
    fn a_length_that_cannot_be_one_is_an_error() {
        for length in [-1_i32, i32::MAX, 100 * 1024 * 1024 + 1] {
            let mut frames = Frames::default();
            frames.room().extend_from_slice(&length.to_be_bytes());
            assert!(frames.next().is_err(), "{length}");
        }
    }

    #[test]
    fn a_large_length_alone_makes_nobody_allocate() {
        let mut frames = Frames::default();
        frames.room().extend_from_slice(&(90_i32 << 20).to_be_bytes());
        assert!(frames.room().capacity() <= 2 * READ);
    }
}
