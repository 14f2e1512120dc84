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
    /// A message; or what should be one and cannot be read, which is told to the reader.
    Here,
    /// A message that takes more than the largest fetch, as far as can be told.
    TooLarge,
    /// A message that takes so many bytes: ask for them.
    Needs(usize),
    /// The middle of a message; the next one begins so many bytes further on.
    After(usize),
    /// The middle of a message, and no other one in the whole answer.
    Nowhere,
    /// The middle of a message. No other one begins in so many bytes; the rest is still to be searched.
    Further(usize),
}

/// The largest request that a broker takes unless it was told otherwise (`max.socket.request.bytes`): no
/// message in its log is larger.
const LARGEST: usize = 100 * 1024 * 1024;

/// Looks at the bytes that a fetch of `asked` bytes brought; `most` is the largest fetch there is.
pub(super) fn begin(set: &Bytes, asked: usize, most: usize) -> Begin {
    let needs = sizes::needs(set);
    let is_one = match Message::read(set, 0) {
        Ok(Some(message)) => message.verify().is_ok() || is_followed(set, needs),
        Ok(None) => match needs {
            Some(needs) if needs <= most && asked < needs => return Begin::Needs(needs),
            // Nothing in it is a message of the log, whatever it looks like.
            Some(needs) if needs > most && needs <= LARGEST && !may_lack_a_byte(set) => {
                return Begin::TooLarge;
            }
            // Fewer bytes than were asked for are all there are: a message would be whole.
            _ => false,
        },
        // A magic or a codec that nobody knows.
        Err(_) => is_followed(set, needs),
    };
    if is_one {
        return Begin::Here;
    }
    match resynchronise(set) {
        Search::Found(at) if has_wrong_size(set, at) => Begin::Here,
        Search::Found(at) => Begin::After(at),
        Search::Nowhere if set.len() < asked && has_wrong_size(set, set.len()) => Begin::Here,
        Search::Nowhere => Begin::Nowhere,
        Search::GaveUp(at) => Begin::Further(at),
    }
}

/// Whether what takes so many bytes stands in front of a message, or of the end: then it should be one
/// itself, and was not made up from the middle of another.
fn is_followed(set: &Bytes, length: Option<usize>) -> bool {
    let Some(length) = length.filter(|length| *length <= set.len()) else { return false };
    let rest = set.slice(length..);
    match Message::read(&rest, 0) {
        Ok(Some(next)) => next.verify().is_ok(),
        Ok(None) => rest.is_empty(),
        Err(_) => false,
    }
}

/// Whether this may be a message of magic 1 from its second byte on, which looks like one of magic 0, or
/// of 1 if it is compressed, and 256 times as large.
fn may_lack_a_byte(set: &Bytes) -> bool {
    set.get(3) == Some(&1)
}

/// Whether these bytes are a message up to `end` in all but their size: the checksum is that of the rest.
fn has_wrong_size(set: &Bytes, end: usize) -> bool {
    let Some(&[a, b, c, _, magic]) = set.first_chunk() else { return false };
    let crc_at = match magic {
        // The same, of a message whose magic is what is wrong.
        0 if may_lack_a_byte(set) || u32::from_be_bytes([0, a, b, c]) as usize + 3 == end => {
            return false;
        }
        0 => 5,
        1 => 6,
        _ => return false,
    };
    let Some(bytes) = set.get(crc_at..end) else { return false };
    let crc = bytes.split_first_chunk().map(|(crc, payload)| (u32::from_be_bytes(*crc), payload));
    crc.is_some_and(|(crc, payload)| crc32fast::hash(payload) == crc)
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
    fn what_stands_in_front_of_a_message_and_cannot_be_read_is_not_passed_over() {
        let sound = set(&[b"hello", b"two"]);
        let with = |at: usize, byte: u8| {
            let mut set = sound.clone();
            set[at] = byte;
            set
        };
        for (what, set) in [
            ("magic", with(4, 9)),
            ("codec", with(5, 3)),
            ("a negative size", with(0, 0xff)),
            ("an absurd size", with(0, 0x7f)),
            ("a size that is too large", with(2, 1)),
            ("one that is too small", with(3, 7)),
            ("none", with(3, 0)),
        ] {
            assert_eq!(at(&set, 0), Begin::Here, "{what}");
            assert_eq!(at(&set[..15], 0), Begin::Here, "{what}, the last one of the log");
            assert_eq!(at(&set, 1), Begin::After(14), "{what}, from within it");
        }
    }

    #[test]
    fn a_message_larger_than_the_fetch_is_asked_for_as_far_as_fetches_go() {
        let large = set(&[&[b'x'; 5_000]]);
        let first = Bytes::copy_from_slice(&large[..1_000]);
        assert_eq!(begin(&first, 1_000, 10_000), Begin::Needs(5_010));
        assert_eq!(begin(&first, 1_000, 5_009), Begin::TooLarge);
        let within = begin(&first.slice(1..), 999, 10_000);
        assert_eq!(within, Begin::Nowhere, "from its second byte on it looks larger than that");
        assert_eq!(begin(&first, 5_010, 10_000), Begin::Nowhere, "all there is, and not whole");
    }
}
