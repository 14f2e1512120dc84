//! Finding the next message from a position that is none's beginning.
//!
//! A broker of 0.7 serves any byte position, also one in the middle of a message: what it gives then
//! begins with garbage. A reader that was told such a position looks for the first place from which
//! on there is a message with a right checksum.

use bytes::Bytes;

use super::message::{Message, SIZE};
use super::sums::Sums;

/// How many places are tried where a message may begin, by its size and kind, and its checksum shows that
/// none does. Sizes in the garbage are anybody's word: numbers that are stored as a message may each
/// look like the size of one.
const TRIES: usize = 1 << 18;

/// What a search for the next message came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// The first message that is whole and has a right CRC begins here.
    Found(usize),
    /// None is in all the bytes.
    Nowhere,
    /// None begins before this place, which is never the first one. The rest was not looked at: it would
    /// have cost out of proportion. Another search may begin there.
    GaveUp(usize),
}

/// Where in `bytes` the first message begins that is whole and has a right CRC.
#[must_use]
pub fn resynchronise(bytes: &Bytes) -> Search {
    let (sums, mut tries) = (Sums::new(bytes), 0);
    for at in 0..bytes.len() {
        if !may_begin(&bytes[at..]) {
            continue;
        }
        let Ok(Some(message)) = Message::read(&bytes.slice(at..), 0) else { continue };
        if tries == TRIES {
            return Search::GaveUp(at);
        }
        tries += 1;
        let end = at + usize::try_from(message.next_offset).unwrap_or(0);
        if sums.of(end - message.payload.len(), end) == message.crc {
            return Search::Found(at);
        }
    }
    Search::Nowhere
}

/// Whether a whole message could begin these bytes: most of what is none is told by a look.
#[inline]
fn may_begin(bytes: &[u8]) -> bool {
    let Some([a, b, c, d, magic]) = bytes.first_chunk() else { return false };
    let size = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
    *magic <= 1 && size <= bytes.len() - SIZE
}

#[cfg(test)]
mod tests {
    use super::super::append_message;
    use super::*;

    #[test]
    fn from_every_byte_of_a_message_the_next_one_is_found() {
        let mut set = Vec::new();
        append_message(&mut set, b"the first message");
        let second = set.len();
        append_message(&mut set, b"the second");
        let set = Bytes::from(set);
        assert_eq!(resynchronise(&set), Search::Found(0));
        for at in 1..=second {
            let found = resynchronise(&set.slice(at..));
            assert_eq!(found, Search::Found(second - at), "from {at}");
        }
        for at in second + 1..=set.len() {
            assert_eq!(resynchronise(&set.slice(at..)), Search::Nowhere, "from {at}");
        }
    }

    /// Numbers each of which could be the size of a message of magic 0, and so could what begins at its
    /// last byte.
    fn numbers(count: usize) -> Vec<u8> {
        [0, 0, 0x40, 0].repeat(count)
    }

    #[test]
    fn a_message_behind_numbers_that_look_like_sizes_is_found() {
        let mut set = numbers(100_000);
        let behind = set.len();
        append_message(&mut set, b"two");
        assert_eq!(resynchronise(&set.into()), Search::Found(behind));
    }

    #[test]
    fn a_search_that_costs_too_much_ends_where_another_one_may_begin() {
        let mut set = numbers(TRIES);
        let behind = set.len();
        append_message(&mut set, b"two");
        let set = Bytes::from(set);
        let (mut at, mut searches) = (0, 0);
        let found = loop {
            searches += 1;
            match resynchronise(&set.slice(at..)) {
                Search::GaveUp(further) => {
                    assert!(further >= TRIES, "it gets on: {further}");
                    at += further;
                }
                search => break search,
            }
        };
        assert_eq!((found, searches), (Search::Found(behind - at), 2));
    }
}
