//! What a broker does with a produced set before it appends it.

use bytes::Bytes;

use crate::error::Result;
use crate::protocol::legacy::{MessageSet, Tail};

/// The most that a set may decompress to: a broker of 0.7 has no limit but its memory.
const CAP: usize = 256 << 20;

/// The verdict about a set that is sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// So many of its bytes are whole messages, and so many messages are in them, those in
    /// wrappers counted.
    Append { length: usize, messages: u64 },
    /// One of its messages is above `max.message.size`: all of it is dropped, and nobody is told.
    Drop,
}

/// Judges a set. An error closes the connection.
pub(super) fn judge(set: &Bytes, max_message_size: usize) -> Result<Verdict> {
    let mut shallow = MessageSet::new(set.clone(), 0);
    let mut oversize = false;
    let mut messages = Vec::new();
    for message in shallow.by_ref() {
        let message = message?;
        oversize |= message.payload.len() > max_message_size;
        messages.push(message);
    }
    if let (true, Tail::Cut(_)) = (messages.is_empty(), shallow.tail()) {
        let text = "the first message of a set is cut";
        return Err(crate::Error::new(crate::Code::CORRUPT_MESSAGE, text));
    }
    if oversize {
        return Ok(Verdict::Drop);
    }
    let mut count = 0;
    for message in &messages {
        count += message.open(true, CAP)?.payloads.len() as u64;
    }
    let length = usize::try_from(shallow.next_offset()).unwrap_or(0);
    Ok(Verdict::Append { length, messages: count })
}
