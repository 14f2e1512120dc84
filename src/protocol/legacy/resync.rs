//! Finding the next message from a position that is none's beginning.
//!
//! A broker of 0.7 serves any byte position, also one in the middle of a message: what it gives then
//! begins with garbage. A reader that was told such a position looks for the first place from which
//! on there is a message with a right checksum.

use bytes::Bytes;

use super::message::Message;

/// How many bytes may be summed for each byte that is searched: sizes in the garbage are anybody's
/// word, and each could make a candidate of all that follows.
const EFFORT: usize = 16;

/// Where in `bytes` the first message begins that is whole and has a right CRC; none if there is
/// none, or if finding it would cost out of proportion.
#[must_use]
pub fn resynchronise(bytes: &Bytes) -> Option<usize> {
    let mut effort = bytes.len().saturating_mul(EFFORT);
    for at in 0..bytes.len() {
        let Ok(Some(message)) = Message::read(&bytes.slice(at..), 0) else { continue };
        effort = effort.checked_sub(message.payload.len())?;
        if message.verify().is_ok() {
            return Some(at);
        }
    }
    None
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
        assert_eq!(resynchronise(&set), Some(0));
        for at in 1..=second {
            assert_eq!(resynchronise(&set.slice(at..)), Some(second - at), "from {at}");
        }
        for at in second + 1..=set.len() {
            assert_eq!(resynchronise(&set.slice(at..)), None, "from {at}");
        }
    }

    #[test]
    fn hostile_bytes_cost_no_more_than_in_proportion() {
        // Every fourth byte begins a message of a quarter of a megabyte, with a wrong checksum.
        let hostile = Bytes::from([0, 4, 0, 0].repeat(1 << 18));
        assert_eq!(resynchronise(&hostile), None);
    }
}
