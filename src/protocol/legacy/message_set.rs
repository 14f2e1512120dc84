//! A fetched set: messages behind one another, the last of them perhaps cut.

use bytes::Bytes;

use super::message::{Message, SIZE};
use crate::error::Result;

/// What is behind the last whole message of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// Nothing, or fewer bytes than a size field.
    None,
    /// The beginning of a message that takes so many bytes in all, its size field included. If it is
    /// the set's first message, a fetch of this size brings it.
    Cut(usize),
}

/// The messages of a set, front to back; after an error there is nothing more.
#[derive(Clone, Debug)]
pub struct MessageSet {
    rest: Bytes,
    offset: i64,
    failed: bool,
}

impl MessageSet {
    /// The set that a fetch from `offset` brought.
    #[must_use]
    pub fn new(bytes: Bytes, offset: i64) -> Self {
        Self { rest: bytes, offset, failed: false }
    }

    /// Where to fetch next: behind the messages that were read.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.offset
    }

    /// What is left once the iterator has ended without an error.
    #[must_use]
    pub fn tail(&self) -> Tail {
        let size = self.rest.first_chunk().map(|field| i32::from_be_bytes(*field));
        match size.and_then(|size| usize::try_from(size).ok()) {
            Some(size) => Tail::Cut(SIZE + size),
            None => Tail::None,
        }
    }
}

impl Iterator for MessageSet {
    type Item = Result<Message>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        match Message::read(&self.rest, self.offset).transpose()? {
            Ok(message) => {
                let length = (message.next_offset - message.offset) as usize;
                self.rest = self.rest.slice(length..);
                self.offset = message.next_offset;
                Some(Ok(message))
            }
            Err(error) => {
                self.failed = true;
                Some(Err(error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::append_message;
    use super::*;
    use crate::error::Code;

    fn two() -> Vec<u8> {
        let mut set = Vec::new();
        append_message(&mut set, b"hello");
        append_message(&mut set, b"");
        set
    }

    #[test]
    fn a_set_cut_at_any_byte_gives_its_whole_messages_and_says_what_is_cut() {
        let set = two();
        for cut in 0..=set.len() {
            let mut messages = MessageSet::new(Bytes::copy_from_slice(&set[..cut]), 100);
            let read: Vec<_> = messages.by_ref().map(|m| m.expect("whole").payload.len()).collect();
            let (expected, next, tail) = match cut {
                0..4 => (&[][..], 100, Tail::None),
                4..15 => (&[][..], 100, Tail::Cut(15)),
                15..19 => (&[5][..], 115, Tail::None),
                19..25 => (&[5][..], 115, Tail::Cut(10)),
                _ => (&[5, 0][..], 125, Tail::None),
            };
            assert_eq!(read, expected, "cut at {cut}");
            assert_eq!((messages.next_offset(), messages.tail()), (next, tail), "cut at {cut}");
        }
    }

    #[test]
    fn what_is_no_message_is_an_error_once_and_never_a_loop() {
        let hello = &two()[..15];
        for (bad, why) in [
            (&[0xff, 0xff, 0xff, 0xff][..], "a negative size"),
            (&[0, 0, 0, 0], "size 0"),
            (&[0, 0, 0, 4, 1, 0, 0, 0], "too short for any magic"),
            (&[0, 0, 0, 5, 1, 0, 0, 0, 0], "too short for magic 1"),
            (&[0, 0, 0, 9, 2], "magic 2, seen before the end is there"),
            (&[0x7f, 0xff, 0xff, 0xff, 9], "an absurd size of an unknown magic"),
            (&[0, 0, 0, 9, 1, 3], "codec 3"),
        ] {
            let mut set = MessageSet::new([hello, bad].concat().into(), 0);
            assert!(set.next().expect("one").is_ok(), "{why}");
            let error = set.next().expect("an end").expect_err(why);
            assert_eq!(error.code(), Code::CORRUPT_MESSAGE, "{why}");
            assert!(set.next().is_none(), "{why}");
            assert_eq!(set.next_offset(), 15, "{why}: never beyond what was read");
        }
    }

    #[test]
    fn a_message_beyond_what_63_bits_can_say_is_an_error() {
        let mut set = MessageSet::new(two().into(), i64::MAX - 3);
        let error = set.next().expect("one").expect_err("no log is that long");
        assert_eq!(error.code(), Code::CORRUPT_MESSAGE);
        assert!(set.next().is_none());
    }
}
