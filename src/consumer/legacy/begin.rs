//! Where a set begins that was asked for at an offset of the application's: perhaps within a message.
//! Pure.
//!
//! A broker of 0.7 serves any byte position. One that it named itself, or that stands behind a message
//! that was read, is a beginning; one that comes from elsewhere (a commit of another client, a guess)
//! may not be, and then the next message is looked for.

use bytes::Bytes;

use super::sizes;
use crate::protocol::legacy::{Message, Search, resynchronise};

/// What stands at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// A message; or one that is corrupt where it stands, which is told to the reader.
    Here,
    /// A message that takes so many bytes: ask for them.
    Needs(usize),
    /// The middle of a message; the next one begins so many bytes further on.
    After(usize),
    /// The middle of a message, and no other one in the whole answer.
    Nowhere,
    /// The middle of a message. No other one begins in so many bytes; the rest is still to be searched.
    Further(usize),
}

/// Looks at the bytes that a fetch of `asked` bytes brought; `most` is the largest fetch there is.
pub(super) fn begin(set: &Bytes, asked: usize, most: usize) -> Begin {
    let is_one = match Message::read(set, 0) {
        Ok(Some(message)) => message.verify().is_ok() || is_followed(set, &message),
        Ok(None) => match sizes::needs(set) {
            Some(needs) if needs <= most && asked < needs => return Begin::Needs(needs),
            // Fewer bytes than were asked for are all there are: a message would be whole.
            _ => false,
        },
        Err(_) => false,
    };
    if is_one {
        return Begin::Here;
    }
    match resynchronise(set) {
        Search::Found(at) => Begin::After(at),
        Search::Nowhere => Begin::Nowhere,
        Search::GaveUp(at) => Begin::Further(at),
    }
}

/// Whether a message whose checksum is wrong stands between messages all the same: then it is corrupt,
/// and not made up.
fn is_followed(set: &Bytes, message: &Message) -> bool {
    let length = usize::try_from(message.next_offset - message.offset).unwrap_or(usize::MAX);
    let Some(rest) = set.len().checked_sub(length).map(|_| set.slice(length..)) else {
        return false;
    };
    match Message::read(&rest, 0) {
        Ok(Some(next)) => next.verify().is_ok(),
        Ok(None) => rest.is_empty(),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::legacy::append_message;

    fn set(payloads: &[&[u8]]) -> Vec<u8> {
        let mut set = Vec::new();
        payloads.iter().for_each(|payload| append_message(&mut set, payload));
        set
    }

    fn at(set: &[u8], skip: usize) -> Begin {
        begin(&Bytes::copy_from_slice(&set[skip..]), 10_000, 10_000)
    }

    #[test]
    fn a_beginning_is_told_from_every_other_byte_of_a_message() {
        let set = set(&[b"hello there", b"two"]);
        assert_eq!(at(&set, 0), Begin::Here);
        for skip in 1..21 {
            assert_eq!(at(&set, skip), Begin::After(21 - skip), "{skip}");
        }
        assert_eq!(at(&set, 21), Begin::Here);
        assert_eq!(at(&set, 22), Begin::Nowhere);
    }

    #[test]
    fn a_message_that_is_corrupt_in_its_place_is_not_passed_over() {
        let mut damaged = set(&[b"hello", b"two"]);
        damaged[12] ^= 1;
        assert_eq!(at(&damaged, 0), Begin::Here);
        assert_eq!(at(&damaged[..15], 0), Begin::Here, "the last one of the log");
    }

    #[test]
    fn a_message_larger_than_the_fetch_is_asked_for_as_far_as_fetches_go() {
        let large = set(&[&[b'x'; 5_000]]);
        let first = Bytes::copy_from_slice(&large[..1_000]);
        assert_eq!(begin(&first, 1_000, 10_000), Begin::Needs(5_010));
        assert_eq!(begin(&first, 1_000, 5_009), Begin::Nowhere);
        assert_eq!(begin(&first, 5_010, 10_000), Begin::Nowhere, "all there is, and not whole");
    }
}
