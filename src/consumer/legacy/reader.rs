//! Reading a message set of 0.7 on the thread of the application: what one poll leaves, the next goes
//! on with.

use std::sync::Arc;

use bytes::Bytes;

use super::super::budget::{Budget, Lease, Unread};
use super::super::buffers::Borrowing;
use super::super::decode::{Decoding, Filling, Read, Source, undecodable};
use super::super::view::MessageView;
use crate::error::Result;
use crate::protocol::legacy::{Inner, Message, Opened};
use crate::protocol::record::{Compression, Span};

/// Size, magic, attributes and CRC of a message of magic 1: what stands before its payload.
const HEAD: usize = 10;
/// The part of the head that the size counts.
const COUNTED: usize = 6;
/// The bits of the attributes that name a codec.
const CODEC: u8 = 3;

/// One partition's share of an answer.
#[derive(Debug)]
pub(in crate::consumer) struct Reader {
    source: Source,
    set: Bytes,
    /// The offset of the set's first byte.
    base: i64,
    /// Where in the set the next message begins.
    at: usize,
    /// A compressed set that is being read.
    open: Option<Open>,
    position: i64,
    decoding: Decoding,
    lease: Arc<Lease>,
    /// The answer counts as unread as long as this reader lives.
    unread: Arc<Unread>,
}

#[derive(Debug)]
struct Open {
    opened: Opened,
    /// The next of its messages.
    next: usize,
    /// The end of the wrapper, the only place in it to resume at (10.13).
    end: i64,
    /// For the bytes, as long as a batch or message holds them.
    lease: Arc<Lease>,
    /// For the list of its messages, until all are handed out.
    _listed: Arc<Lease>,
}

/// A plain message where it stands.
struct Plain {
    payload: usize,
    length: usize,
}

impl Reader {
    /// Reads the set that was fetched at `offset`.
    pub(super) fn new(
        source: Source,
        (set, offset): (Bytes, i64),
        decoding: Decoding,
        (lease, unread): (Arc<Lease>, Arc<Unread>),
    ) -> Self {
        let (base, position, open) = (offset, offset, None);
        Self { source, set, base, at: 0, open, position, decoding, lease, unread }
    }

    /// Where reading goes on: within a compressed set at its beginning.
    pub(in crate::consumer) fn position(&self) -> i64 {
        self.position
    }

    pub(in crate::consumer) fn unread(&self) -> &Arc<Unread> {
        &self.unread
    }

    /// Adds messages until the batch is full or all is read, and closes their run.
    pub(in crate::consumer) fn read(&mut self, into: &mut Filling) -> Result<Read> {
        let mark = into.mark();
        let run = mark.run();
        let outcome = self.fill(into, run);
        into.close_run(mark, &self.source, -1, self.position);
        outcome.map_err(|error| undecodable(&self.source, self.position, error))
    }

    fn fill(&mut self, into: &mut Filling, run: u32) -> Result<Read> {
        loop {
            if let Some(open) = &mut self.open {
                let whole = open.fill(into, run);
                if !whole {
                    return Ok(Read::Full);
                }
                self.position = open.end;
                self.open = None;
            }
            let (before, outcome) = (into.len(), self.fill_plain(into, run));
            if into.len() > before {
                into.hold(self.set.clone(), &self.lease);
            }
            if !outcome? {
                return Ok(Read::Full);
            }
            // Not a plain message: the end, a wrapper, magic 0 or nonsense.
            let place = self.place(self.at);
            let Some(message) = Message::read(&self.set.slice(self.at..), place)? else {
                return Ok(Read::End);
            };
            if into.is_full() {
                return Ok(Read::Full);
            }
            if message.compression != Compression::None && !self.lease.may_open() {
                return Ok(Read::Choked);
            }
            self.open(&message)?;
        }
    }

    /// Adds the plain messages of magic 1 that stand here; false when there is no more room.
    fn fill_plain(&mut self, into: &mut Filling, run: u32) -> Result<bool> {
        let set = &self.set[..];
        let (mut at, mut outcome) = (self.at, Ok(true));
        let (views, most) = into.views();
        // Which instructions there are is looked up once, not for each message.
        let blank = crc32fast::Hasher::new();
        let check_crc = self.decoding.check_crc;
        if let Some(first) = plain_at(set, at) {
            let alike = (set.len() - at) / (HEAD + first.length);
            views.reserve(alike.min(most.saturating_sub(views.len())));
        }
        while let Some(plain) = plain_at(set, at) {
            if views.len() >= most {
                outcome = Ok(false);
                break;
            }
            let Some(payload) = set.get(plain.payload..plain.payload + plain.length) else { break };
            if check_crc && crc_of(&blank, payload) != crc_at(set, at) {
                // Said as for every other one: Message knows the words.
                let place = self.place(at);
                outcome = self.complain(at, place).map(|()| true);
                break;
            }
            let offset = self.place(at);
            at = plain.payload + plain.length;
            views.push(MessageView::of_legacy(payload, (offset, self.place(at)), run));
        }
        self.at = at;
        self.position = self.place(at);
        outcome
    }

    /// The offset of a byte of the set; at the end of all offsets there is no log.
    #[inline(always)]
    fn place(&self, at: usize) -> i64 {
        self.base.saturating_add(at as i64)
    }

    fn complain(&self, at: usize, place: i64) -> Result<()> {
        Message::read(&self.set.slice(at..), place)?.map_or(Ok(()), |message| message.verify())
    }

    /// Opens a message that is a wrapper, or of magic 0.
    fn open(&mut self, message: &Message) -> Result<()> {
        let Decoding { check_crc, largest } = self.decoding;
        let memory = Borrowing::new(self.lease.buffers());
        let opened = message.open_in(check_crc, largest, &memory)?;
        let listed = opened.payloads.capacity() * size_of::<Span>();
        // Small messages: the list of them is larger than they are.
        let (lease, listed) = match message.compression {
            Compression::None => (Arc::clone(&self.lease), Arc::clone(&self.lease)),
            _ => (
                Budget::charge_like(&self.lease, memory.pinned()),
                Budget::charge_like(&self.lease, listed),
            ),
        };
        let end = message.next_offset;
        self.at += (end - message.offset) as usize;
        self.open = Some(Open { opened, next: 0, end, lease, _listed: listed });
        Ok(())
    }
}

impl Open {
    /// Adds messages; false when there is no more room.
    fn fill(&mut self, into: &mut Filling, run: u32) -> bool {
        let buffer = &self.opened.buffer;
        let left = self.opened.messages_from(self.next);
        let (views, most) = into.views();
        let count = left.len().min(most.saturating_sub(views.len()));
        let of = |inner: Inner| {
            let payload = span(buffer, inner.payload);
            MessageView::of_legacy(payload, (inner.offset, inner.next_offset), run)
        };
        views.extend(left.take(count).map(of));
        self.next += count;
        if count > 0 {
            into.hold(buffer.clone(), &self.lease);
        }
        self.next == self.opened.payloads.len()
    }
}

fn span(buffer: &Bytes, span: Span) -> &[u8] {
    span.of(buffer).unwrap_or_default()
}

/// The plain message of magic 1 that begins here and is whole.
#[inline(always)]
fn plain_at(set: &[u8], at: usize) -> Option<Plain> {
    let rest = set.get(at..)?;
    let head: &[u8; HEAD] = rest.first_chunk()?;
    let size = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let length = size.checked_sub(COUNTED)?;
    let is_plain = head[4] == 1 && head[5] & CODEC == 0 && length <= rest.len() - HEAD;
    is_plain.then_some(Plain { payload: at + HEAD, length })
}

#[inline(always)]
fn crc_of(blank: &crc32fast::Hasher, payload: &[u8]) -> u32 {
    let mut hasher = blank.clone();
    hasher.update(payload);
    hasher.finalize()
}

#[inline(always)]
fn crc_at(set: &[u8], at: usize) -> u32 {
    let field = set.get(at + COUNTED..).and_then(|rest| rest.first_chunk());
    field.copied().map(u32::from_be_bytes).unwrap_or_default()
}

// The format is read a second time above, for speed: so that it is the same.
const _: () = assert!(crate::protocol::legacy::MESSAGE_OVERHEAD == HEAD);

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
