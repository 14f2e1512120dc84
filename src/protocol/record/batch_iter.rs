//! Cuts a partition's bytes into batches.

use bytes::Bytes;

use super::compression::CODEC_MASK;
use super::corrupt::corrupt;
use super::legacy::{LEAST_SIZE, LOG_OVERHEAD};
use super::raw_batch::RawBatch;
use super::{Format, legacy, v2};
use crate::error::Result;

/// Walks the bytes of one partition of a fetch answer (or of a produce request), batch by batch.
///
/// Each batch is told by its own magic byte (invariant 3.1): old messages stand in front of new
/// batches where a topic lived through an upgrade. Plain messages v0 or v1 that follow one another
/// with growing offsets come as one batch.
///
/// Brokers cut the answer at the size asked for, anywhere: a last batch that is not whole ends the
/// walk quietly (invariant 3.2). It ends after the first error too, for what follows cannot be
/// found.
#[derive(Clone, Debug)]
pub struct BatchIter {
    rest: Bytes,
    whole: usize,
    failed: bool,
}

impl BatchIter {
    /// Begins with the first batch.
    #[must_use]
    pub fn new(bytes: Bytes) -> Self {
        Self { rest: bytes, whole: 0, failed: false }
    }

    /// Whether what is left, after the walk, is a batch that is not whole.
    #[must_use]
    pub fn truncated(&self) -> bool {
        !self.failed && !self.rest.is_empty() && self.cut().is_some()
    }

    /// Whether the bytes begin with a batch that is not whole: a record larger than the fetch size
    /// (Fetch below 3), or a protocol error (invariant 3.2).
    #[must_use]
    pub fn nothing_whole(&self) -> bool {
        self.whole == 0 && self.truncated()
    }

    /// How many bytes the batch at hand says it takes, if it is not whole and says so: what to
    /// raise the fetch size to. A peer's word: cap it.
    #[must_use]
    pub fn wanted(&self) -> Option<usize> {
        let length = legacy::field(&self.rest, legacy::at::SIZE).ok().map(i32::from_be_bytes)?;
        let wanted = usize::try_from(length).ok()?.checked_add(LOG_OVERHEAD)?;
        (!self.failed && wanted > self.rest.len()).then_some(wanted)
    }

    /// Some if the batch at hand is not whole. The shortest that says its magic is 17 bytes.
    fn cut(&self) -> Option<()> {
        if self.rest.len() <= legacy::at::MAGIC {
            return Some(());
        }
        self.wanted().map(|_| ())
    }

    fn next_whole(&mut self) -> Result<Option<RawBatch>> {
        let Ok(length) = legacy::field(&self.rest, legacy::at::SIZE).map(i32::from_be_bytes) else {
            return Ok(None);
        };
        let least = LEAST_SIZE;
        let Some(length) = usize::try_from(length).ok().filter(|length| *length >= least) else {
            return Err(corrupt(format!("a batch says {length} bytes, less than {least}")));
        };
        let Some(&magic) = self.rest.get(legacy::at::MAGIC) else { return Ok(None) };
        let Some(format) = Format::from_magic(magic) else {
            return Err(corrupt(format!("a batch has the magic byte {magic}, not 0, 1 or 2")));
        };
        let end = length.checked_add(LOG_OVERHEAD).ok_or_else(|| corrupt("length overflow"))?;
        let least =
            if format == Format::V2 { v2::BATCH_OVERHEAD } else { legacy::overhead(format) };
        if end < least {
            let text = format!("a {format} batch says {end} bytes, less than its header's {least}");
            return Err(corrupt(text));
        }
        if end > self.rest.len() {
            return Ok(None);
        }
        let end = self.end_of_run(format, end);
        RawBatch::parse(format, self.rest.split_to(end)).map(Some)
    }

    /// Where the run of plain messages ends that begins with the one that ends at `end`. Whatever
    /// is odd about the next message ends the run: it is looked at when its turn comes.
    fn end_of_run(&self, format: Format, mut end: usize) -> usize {
        let Some(mut last) = PlainMessage::at(&self.rest, 0, format) else { return end };
        while let Some(next) = PlainMessage::at(&self.rest, end, format) {
            if next.offset <= last.offset || next.end > self.rest.len() {
                break;
            }
            (last, end) = (next, next.end);
        }
        end
    }
}

/// What tells whether a message continues a run.
#[derive(Clone, Copy)]
struct PlainMessage {
    offset: i64,
    end: usize,
}

impl PlainMessage {
    /// The message at `begin`, if it is a plain one of this format and not too short.
    fn at(bytes: &[u8], begin: usize, format: Format) -> Option<Self> {
        let head: &[u8; legacy::at::TIMESTAMP] = bytes.get(begin..)?.first_chunk()?;
        let plain = i16::from(head[legacy::at::ATTRIBUTES]) & CODEC_MASK == 0;
        let size = u32::from_be_bytes(legacy::field(head, legacy::at::SIZE).ok()?) as usize;
        if format == Format::V2
            || head[legacy::at::MAGIC] != format.magic()
            || !plain
            || size + LOG_OVERHEAD < legacy::overhead(format)
        {
            return None;
        }
        let offset = i64::from_be_bytes(legacy::field(head, legacy::at::OFFSET).ok()?);
        Some(Self { offset, end: begin.checked_add(size + LOG_OVERHEAD)? })
    }
}

impl Iterator for BatchIter {
    type Item = Result<RawBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.next_whole().transpose()?;
        match &next {
            Ok(_) => self.whole += 1,
            Err(_) => self.failed = true,
        }
        Some(next)
    }
}

impl std::iter::FusedIterator for BatchIter {}
