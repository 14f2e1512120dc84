//! A record to be written, and record headers both ways.

use super::corrupt::undecodable;
use super::varint;
use crate::error::Result;

/// One record header. Names may repeat, and their order is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The name; UTF-8 by Kafka's rules, but bytes here.
    pub name: &'a [u8],
    /// The value, or null.
    pub value: Option<&'a [u8]>,
}

/// A list of headers, whatever the caller keeps it in.
pub trait Headers {
    /// How many there are.
    fn count(&self) -> usize;
    /// The header at `index`, which is below [`count`](Self::count).
    fn get(&self, index: usize) -> Header<'_>;
}

impl Headers for () {
    #[inline]
    fn count(&self) -> usize {
        0
    }

    fn get(&self, _index: usize) -> Header<'_> {
        Header { name: &[], value: None }
    }
}

impl Headers for [Header<'_>] {
    fn count(&self) -> usize {
        self.len()
    }

    fn get(&self, index: usize) -> Header<'_> {
        self[index]
    }
}

impl<const N: usize> Headers for [Header<'_>; N] {
    fn count(&self) -> usize {
        N
    }

    fn get(&self, index: usize) -> Header<'_> {
        self[index]
    }
}

impl Headers for Vec<Header<'_>> {
    fn count(&self) -> usize {
        self.len()
    }

    fn get(&self, index: usize) -> Header<'_> {
        self[index]
    }
}

/// A record to be appended; everything is borrowed and copied once, into the batch.
#[derive(Clone, Copy)]
pub struct NewRecord<'a> {
    /// Milliseconds since the epoch, −1 for none.
    pub timestamp: i64,
    /// The key, or null.
    pub key: Option<&'a [u8]>,
    /// The value, or null.
    pub value: Option<&'a [u8]>,
    /// The headers; `&()` for none.
    pub headers: &'a dyn Headers,
}

/// Reads the raw header bytes of a [`RecordSpan`](super::RecordSpan), one header at a time.
///
/// Batches check their headers when they are read, so an error here means that `raw` and `count`
/// do not belong together. It ends after the first error.
pub fn read_headers(raw: &[u8], count: u32) -> RawHeaders<'_> {
    RawHeaders { raw, at: 0, left: count }
}

/// The iterator of [`read_headers`].
#[derive(Clone, Debug)]
pub struct RawHeaders<'a> {
    raw: &'a [u8],
    at: usize,
    left: u32,
}

impl<'a> Iterator for RawHeaders<'a> {
    type Item = Result<Header<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let header = read_one(self.raw, &mut self.at);
        if header.is_none() {
            self.left = 0;
        }
        Some(header.ok_or_else(|| undecodable("a record header runs past the end of its record")))
    }
}

fn read_one<'a>(raw: &'a [u8], at: &mut usize) -> Option<Header<'a>> {
    let length = usize::try_from(varint::read_i32(raw, at)?).ok()?;
    let name = take(raw, at, length)?;
    let value = match varint::read_i32(raw, at)? {
        -1 => None,
        length => Some(take(raw, at, usize::try_from(length).ok()?)?),
    };
    Some(Header { name, value })
}

fn take<'a>(raw: &'a [u8], at: &mut usize, length: usize) -> Option<&'a [u8]> {
    let end = at.checked_add(length)?;
    let bytes = raw.get(*at..end)?;
    *at = end;
    Some(bytes)
}

/// Walks `count` headers from `at` on and says where they end; none if they are malformed. Out of
/// line: most records have none, and the reader of records wants its registers.
#[inline(never)]
pub(super) fn end_of_headers(raw: &[u8], mut at: usize, count: u32) -> Option<usize> {
    for _ in 0..count {
        read_one(raw, &mut at)?;
    }
    Some(at)
}
