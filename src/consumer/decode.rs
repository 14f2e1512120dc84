//! Reading one partition's share of an answer, batch by batch and record by record, on the thread
//! of the application. What one poll leaves, the next goes on with: nothing is decoded twice.

use std::mem::take;
use std::sync::Arc;

use bytes::Bytes;

use super::aborted::Aborted;
use super::batch::{Batch, Held, Run};
use super::budget::{Budget, Lease, Unread};
use super::buffers::Borrowing;
use super::group::Freed;
use super::name::Name;
use super::partition::Marks;
use super::view::MessageView;
use crate::error::{Code, Error, Result};
use crate::protocol::record::{BatchIter, Compression, Format, RawBatch, Records};

/// A batch in the making: the views of several partitions, up to a number.
#[derive(Debug)]
pub(super) struct Filling {
    batch: Batch,
    most: usize,
}

/// What the views of a run have in common.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) topic: Name,
    pub(super) partition: i64,
    pub(super) marks: Marks,
}

/// Where a [`Filling`] stood, to go back to when a partition turns out to have moved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    views: usize,
    runs: usize,
    held: usize,
}

impl Mark {
    /// The number of the run that is begun here.
    pub(super) fn run(self) -> u32 {
        self.runs as u32
    }
}

impl Filling {
    /// Room for `most` messages.
    pub(super) fn new(most: usize) -> Self {
        Self { batch: Batch::default(), most }
    }

    /// Whether no further message fits.
    pub(super) fn is_full(&self) -> bool {
        self.batch.views.len() >= self.most
    }

    /// How many messages there are.
    pub(super) fn len(&self) -> usize {
        self.batch.views.len()
    }

    /// The messages, for more to be added, and how many there may be in all.
    pub(super) fn views(&mut self) -> (&mut Vec<MessageView>, usize) {
        (&mut self.batch.views, self.most)
    }

    /// Keeps the bytes alive that views were added of.
    pub(super) fn hold(&mut self, bytes: Bytes, lease: &Arc<Lease>) {
        self.batch.held.push(Held::Buffer { _bytes: bytes, _lease: Arc::clone(lease) });
    }

    /// Whether there is no message.
    pub(super) fn is_empty(&self) -> bool {
        self.batch.views.is_empty()
    }

    /// The batch as it is now.
    pub(super) fn finish(self) -> Batch {
        self.batch
    }

    /// The same; the batch's end frees its messages.
    pub(super) fn finish_with(mut self, ticket: Option<Arc<()>>) -> Batch {
        self.batch._ticket = ticket;
        self.batch
    }

    /// The same, for messages that are freed one by one.
    pub(super) fn finish_marked(mut self) -> Batch {
        self.batch.marks = Some(Freed::new(self.batch.views.len()));
        self.batch
    }

    /// Whether messages were added since the mark.
    pub(super) fn grew(&self, mark: Mark) -> bool {
        self.batch.views.len() > mark.views
    }

    pub(super) fn mark(&self) -> Mark {
        let Batch { views, runs, held, .. } = &self.batch;
        Mark { views: views.len(), runs: runs.len(), held: held.len() }
    }

    /// Takes back what was added since the mark (6.11).
    pub(super) fn undo(&mut self, mark: Mark) {
        self.batch.views.truncate(mark.views);
        self.batch.runs.truncate(mark.runs);
        self.batch.held.truncate(mark.held);
    }

    /// Takes back every run that does not pass. What its messages lie in is kept, with the batch.
    pub(super) fn keep(&mut self, mut passes: impl FnMut(&Run) -> bool) {
        let (views, runs) = (take(&mut self.batch.views), take(&mut self.batch.runs));
        for mut run in runs.into_iter().filter(|run| passes(run)) {
            let kept = views.iter().skip(run.first as usize).take(run.count as usize);
            let (first, index) = (self.batch.views.len() as u32, self.batch.runs.len() as u32);
            self.batch.views.extend(kept.map(|view| MessageView { run: index, ..*view }));
            run.first = first;
            self.batch.runs.push(run);
        }
    }

    /// Closes the run of the views added since the mark; none if there are none.
    pub(super) fn close_run(&mut self, mark: Mark, source: &Source, epoch: i32, next_offset: i64) {
        let count = self.batch.views.len() - mark.views;
        if count == 0 {
            return;
        }
        self.batch.runs.push(Run {
            topic: source.topic.clone(),
            partition: source.partition,
            // Bounded by `most`, which is an i32 in configuration.
            first: mark.views as u32,
            count: count as u32,
            leader_epoch: epoch,
            high_watermark: source.marks.high_watermark,
            log_start: source.marks.log_start,
            next_offset,
        });
    }

    /// Copies messages of a batch that `next` decoded, from index `first` on; returns how many
    /// fitted.
    pub(super) fn copy(&mut self, from: &Arc<Batch>, first: usize) -> usize {
        let (mark, left) = (self.mark(), from.views.get(first..).unwrap_or_default());
        let count = left.len().min(self.most - mark.views);
        let (Some(run), Some(last)) = (from.runs.first(), left[..count].last()) else { return 0 };
        let index = mark.runs as u32;
        self.batch.views.extend(left[..count].iter().map(|v| MessageView { run: index, ..*v }));
        self.batch.held.push(Held::Batch { _batch: Arc::clone(from) });
        let next_offset = if count == left.len() { run.next_offset } else { last.next_offset };
        let (first, count) = (mark.views as u32, count as u32);
        self.batch.runs.push(Run { first, count, next_offset, ..run.clone() });
        count as usize
    }
}

/// How batches are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decoding {
    /// Whether checksums are checked.
    pub(super) check_crc: bool,
    /// What one batch may decompress to.
    pub(super) largest: usize,
}

/// How reading ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// No room in the batch, or what comes next is of another leader epoch: there may be more.
    Full,
    /// No room for what comes next to be decompressed, until the application gives something back.
    Choked,
    /// All was read.
    End,
}

/// One partition's share of an answer, read up to `position`.
#[derive(Debug)]
pub(super) struct Reader {
    source: Source,
    batches: BatchIter,
    /// The next batch, which could not be opened when it was met.
    next: Option<RawBatch>,
    open: Option<Open>,
    position: i64,
    epoch: i32,
    decoding: Decoding,
    aborted: Option<Aborted>,
    lease: Arc<Lease>,
    /// The answer counts as unread as long as this reader lives.
    unread: Arc<Unread>,
}

/// A record batch being read.
#[derive(Debug)]
struct Open {
    records: Records,
    /// No record to come is below this offset; none where offsets need not grow (3.6).
    least: Option<i64>,
    next_offset: i64,
    lease: Arc<Lease>,
}

impl Reader {
    /// Reads `records` from `position` on; without the batches of aborted transactions, if they are
    /// given.
    pub(super) fn new(
        source: Source,
        (records, position): (Bytes, i64),
        decoding: Decoding,
        aborted: Option<Aborted>,
        (lease, unread): (Arc<Lease>, Arc<Unread>),
    ) -> Self {
        let batches = BatchIter::new(records);
        let (next, open, epoch) = (None, None, -1);
        Self { source, batches, next, open, position, epoch, decoding, aborted, lease, unread }
    }

    /// Where reading goes on; the application's position once what was read is handed out.
    pub(super) fn position(&self) -> i64 {
        self.position
    }

    /// Leaves out what lies below `position`.
    pub(super) fn skip_to(&mut self, position: i64) {
        self.position = self.position.max(position);
    }

    pub(super) fn unread(&self) -> &Arc<Unread> {
        &self.unread
    }

    /// Leader epoch of the last batch read; −1 where the format has none.
    pub(super) fn epoch(&self) -> i32 {
        self.epoch
    }

    /// Adds messages until the batch is full or all is read, and closes their run. After an error
    /// the position is that of what could not be decoded (3.13); what came before it is in the
    /// batch.
    pub(super) fn read(&mut self, into: &mut Filling) -> Result<Read> {
        let mark = into.mark();
        let run = mark.run();
        let outcome = self.read_batches(into, mark.views, run);
        into.close_run(mark, &self.source, self.epoch, self.position);
        outcome.map_err(|error| undecodable(&self.source, self.position, error))
    }

    fn read_batches(&mut self, into: &mut Filling, begin: usize, run: u32) -> Result<Read> {
        loop {
            let Some(open) = &mut self.open else {
                let raw = match self.next.take() {
                    Some(raw) => raw,
                    None => match self.batches.next() {
                        Some(raw) => raw?,
                        None => return Ok(Read::End),
                    },
                };
                if raw.partition_leader_epoch != self.epoch && into.batch.views.len() > begin {
                    // A run, and the position behind it, have the epoch of their last record: with a
                    // later one a truncation between the two would not be seen (7.11).
                    self.next = Some(raw);
                    return Ok(Read::Full);
                }
                let plain = raw.compression().is_ok_and(|codec| codec == Compression::None);
                if !plain && !self.lease.may_open() {
                    self.next = Some(raw);
                    return Ok(Read::Choked);
                }
                self.open_batch(raw)?;
                continue;
            };
            let before = into.batch.views.len();
            let outcome = open.fill(&mut into.batch.views, into.most, self.position, run);
            let added = &mut into.batch.views[before..];
            if let Some(last) = added.last_mut() {
                self.position = last.next_offset;
                // Rule 3.5: after the last record comes the end of the batch, which compaction keeps.
                if matches!(outcome, Ok(true)) {
                    last.next_offset = open.next_offset;
                }
                into.batch.held.push(Held::Buffer {
                    _bytes: open.records.buffer().clone(),
                    _lease: Arc::clone(&open.lease),
                });
            }
            if !outcome? {
                return Ok(Read::Full);
            }
            self.position = self.position.max(open.next_offset);
            self.open = None;
        }
    }

    /// Opens a batch, or passes over one that holds nothing for the application.
    fn open_batch(&mut self, raw: RawBatch) -> Result<()> {
        let Decoding { check_crc, largest } = self.decoding;
        let aborted = match &mut self.aborted {
            Some(aborted) => aborted.covers(&raw, (check_crc, largest))?,
            None => false,
        };
        let next_offset = raw.next_offset();
        if next_offset <= self.position {
            return Ok(());
        }
        let epoch = raw.partition_leader_epoch;
        if raw.is_control() || aborted {
            // Never delivered, but the position advances over them (3.14, 6.12).
            if check_crc {
                raw.verify()?;
            }
            (self.position, self.epoch) = (next_offset, epoch);
            return Ok(());
        }
        let plain = raw.compression()? == Compression::None;
        let least = (raw.format == Format::V2).then_some(raw.base_offset);
        let memory = Borrowing::new(self.lease.buffers());
        let records = raw.open_in(check_crc, largest, &memory)?;
        let lease = match plain {
            true => Arc::clone(&self.lease),
            false => Budget::charge_like(&self.lease, memory.pinned()),
        };
        let next_offset = next_offset.max(records.next_offset());
        self.epoch = epoch;
        self.open = Some(Open { records, least, next_offset, lease });
        Ok(())
    }
}

/// Says of a partition's bytes at an offset that they cannot be decoded.
pub(super) fn undecodable(source: &Source, at: i64, error: Error) -> Error {
    let Source { topic, partition, .. } = source;
    let text = format!(
        "the batch at offset {at} of topic {topic}, partition {partition}, cannot be decoded \
         (seek past it to go on)"
    );
    let code = match error.code() {
        Code::CORRUPT_MESSAGE | Code::UNSUPPORTED_COMPRESSION_TYPE => error.code(),
        _ => Code::UNDECODABLE,
    };
    Error::new(code, text).with_topic(topic.as_str()).with_partition(*partition).caused_by(error)
}

impl Open {
    /// Adds views; true when the batch was read to its end, false when there is no more room.
    fn fill(
        &mut self,
        views: &mut Vec<MessageView>,
        most: usize,
        position: i64,
        run: u32,
    ) -> Result<bool> {
        let buffer = self.records.buffer().clone();
        while self.records.remaining() > 0 {
            let Some(room) = most.checked_sub(views.len()).filter(|room| *room > 0) else {
                return Ok(false);
            };
            let limit = u32::try_from(room).unwrap_or(u32::MAX).min(self.records.remaining());
            views.reserve(limit as usize);
            let before = views.len();
            if self.least.is_some_and(|least| least >= position) {
                self.records.visit(limit, &mut |record| {
                    views.push(MessageView::of(&buffer, &record, run));
                })?;
            } else {
                self.records.visit(limit, &mut |record| {
                    // Batches are returned whole: what lies below was not asked for (3.4).
                    if record.offset >= position {
                        views.push(MessageView::of(&buffer, &record, run));
                    }
                })?;
            }
            if let (Some(least), Some(last)) = (&mut self.least, views[before..].last()) {
                *least = last.next_offset;
            }
        }
        Ok(true)
    }
}

/// What the headers of an answer's batches say, without decoding any: enough to fetch on while
/// the application has not read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outline {
    /// No bytes at all: never a reason to advance (6.13).
    Empty,
    /// The first batch is incomplete: it is larger than the fetch size (3.2).
    Cut,
    /// Batches up to here; the leader epoch of the last one, −1 where its format has none.
    UpTo(i64, i32),
    /// The headers do not say where it ends; reading will.
    Unclear,
}

/// Walks the batch headers of `records`, fetched at `offset`.
pub(super) fn outline(records: &Bytes, offset: i64) -> Outline {
    if records.is_empty() {
        return Outline::Empty;
    }
    let mut batches = BatchIter::new(records.clone());
    let (mut end, mut epoch) = (None, -1);
    for batch in &mut batches {
        match batch {
            Ok(batch) => {
                end = end.max(Some(batch.next_offset()));
                epoch = batch.partition_leader_epoch;
            }
            Err(_) => return Outline::Unclear,
        }
    }
    match end {
        None => Outline::Cut,
        Some(end) if end > offset => Outline::UpTo(end, epoch),
        // Old producers wrote wrappers with offset 0 (3.6): only decoding tells.
        Some(_) => Outline::Unclear,
    }
}
