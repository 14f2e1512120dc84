//! The log of one partition, in memory: whole batches, copied once when they are appended and
//! handed out as slices of what is stored.
//!
//! Batches are appended to an open buffer. The first read that reaches it seals what is there into
//! an immutable piece (no copy: the buffer goes on behind it), so that readers share memory with
//! the log and the log never waits for them. Positions are bytes since the log began and never
//! change, so that dropping from either end moves nothing.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::batch::{self, Head};
use crate::protocol::record::StoredBatch;

/// Capacity of the first buffer of a log; each following one is twice as large.
const SMALLEST_BUFFER: usize = 16 * 1024;
/// Capacity of the largest buffer, unless a batch needs more.
const LARGEST_BUFFER: usize = 1024 * 1024;
/// A reader that meets small pieces gets them copied together up to this size. Pieces are small
/// where another reader was at the end of the log, which sealed them as they came.
const GATHER: usize = 256 * 1024;

#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) base_offset: i64,
    pub(super) last_offset: i64,
    pub(super) max_timestamp: i64,
    pub(super) magic: u8,
    pub(super) codec: u8,
    position: u64,
    length: u32,
}

#[derive(Debug)]
struct Piece {
    position: u64,
    bytes: Bytes,
}

impl Piece {
    fn end(&self) -> u64 {
        self.position + self.bytes.len() as u64
    }
}

/// How a batch is appended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placing {
    pub(super) leader_epoch: i32,
    /// The broker's time, when it replaces the producer's.
    pub(super) append_time: Option<i64>,
    /// Offsets that the batch takes, ≥ 1: known to the caller, who counted what a wrapper holds.
    pub(super) span: i64,
}

/// What a read found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) bytes: Bytes,
    /// Whether `bytes` holds at least one whole batch.
    pub(super) whole: bool,
    /// Bytes that are there, of those wanted: more than `bytes` where pieces end.
    pub(super) ready: usize,
}

#[derive(Debug, Default)]
pub(super) struct Log {
    entries: VecDeque<Entry>,
    pieces: VecDeque<Piece>,
    open: BytesMut,
    /// Bytes before `open`, since the log began.
    open_position: u64,
    next_buffer: usize,
    start_offset: i64,
    end_offset: i64,
    /// Where each leader epoch began, ascending.
    epochs: Vec<(i32, i64)>,
}

impl Log {
    pub(super) fn start_offset(&self) -> i64 {
        self.start_offset
    }

    pub(super) fn end_offset(&self) -> i64 {
        self.end_offset
    }

    /// Bytes of the batches that the log holds.
    pub(super) fn size(&self) -> u64 {
        self.entries.front().map_or(0, |first| self.end() - first.position)
    }

    /// Bytes since the log began.
    fn end(&self) -> u64 {
        self.open_position + self.open.len() as u64
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Appends one batch at the end of the log and gives its first offset.
    pub(super) fn append(&mut self, batch: &[u8], head: &Head, placing: Placing) -> i64 {
        let base = self.end_offset;
        let last = base + placing.span.max(1) - 1;
        self.begin_epoch(placing.leader_epoch);
        let mut max_timestamp = head.max_timestamp;
        let at = self.copy_in(batch);
        if let Some(stored) = self.open.get_mut(at..) {
            if let Some(now) = placing.append_time {
                batch::stamp_append_time(stored, head.magic, now);
                max_timestamp = now;
            }
            batch::place(stored, head.magic, base, last, placing.leader_epoch);
        }
        self.note_entry(at, head, base, last, max_timestamp);
        base
    }

    /// Appends a batch as it is, its own offsets included, but for the leader epoch, which no
    /// checksum covers and every log stamps; what follows continues behind it.
    pub(super) fn append_as_is(&mut self, batch: &[u8], head: &Head, leader_epoch: i32) {
        let base = head.base_offset;
        let last = base.saturating_add(i64::from(head.last_offset_delta.max(0)));
        self.begin_epoch(leader_epoch);
        let at = self.copy_in(batch);
        if let Some(stored) = self.open.get_mut(at..) {
            batch::place(stored, head.magic, base, base, leader_epoch);
        }
        self.note_entry(at, head, base, last, head.max_timestamp);
    }

    /// Appends what already has its offsets: a batch, or a run of old messages.
    pub(super) fn append_stored(&mut self, stored: &StoredBatch) {
        let codec = stored.bytes.get(17).map_or(0, |attributes| attributes & 0x07);
        let at = self.copy_in(&stored.bytes);
        self.entries.push_back(Entry {
            base_offset: stored.base_offset,
            last_offset: stored.last_offset,
            max_timestamp: stored.max_timestamp,
            magic: stored.format.magic(),
            codec,
            position: self.open_position + at as u64,
            length: u32::try_from(stored.bytes.len()).unwrap_or(u32::MAX),
        });
        self.end_offset = self.end_offset.max(stored.last_offset.saturating_add(1));
    }

    fn copy_in(&mut self, batch: &[u8]) -> usize {
        if self.open.capacity() - self.open.len() < batch.len() {
            self.seal();
            let capacity = self.next_buffer.clamp(SMALLEST_BUFFER, LARGEST_BUFFER);
            self.next_buffer = capacity * 2;
            self.open = BytesMut::with_capacity(capacity.max(batch.len()));
        }
        let at = self.open.len();
        self.open.extend_from_slice(batch);
        at
    }

    fn note_entry(&mut self, at: usize, head: &Head, base: i64, last: i64, max_timestamp: i64) {
        self.entries.push_back(Entry {
            base_offset: base,
            last_offset: last,
            max_timestamp,
            magic: head.magic,
            codec: head.codec(),
            position: self.open_position + at as u64,
            length: u32::try_from(self.open.len() - at).unwrap_or(u32::MAX),
        });
        self.end_offset = self.end_offset.max(last.saturating_add(1));
    }

    /// A new leader notes where its era begins, before it takes the first record.
    pub(super) fn begin_epoch(&mut self, epoch: i32) {
        if self.epochs.last().is_none_or(|&(last, _)| last < epoch) {
            self.epochs.push((epoch, self.end_offset));
        }
    }

    /// Makes what is open an immutable piece; the buffer goes on behind it.
    fn seal(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let bytes = self.open.split().freeze();
        let position = self.open_position;
        self.open_position += bytes.len() as u64;
        self.pieces.push_back(Piece { position, bytes });
    }

    /// The batch that holds `offset`, or the first one behind it.
    pub(super) fn entry_at(&self, offset: i64) -> Option<&Entry> {
        self.entries.get(self.index_at(offset))
    }

    fn index_at(&self, offset: i64) -> usize {
        self.entries.partition_point(|e| e.last_offset < offset)
    }

    /// Batches from the one that holds `offset`, cut at `max_bytes` wherever that is, as brokers
    /// do; with `at_least_one` the first batch comes whole, however large (KIP-74).
    pub(super) fn read(&mut self, offset: i64, max_bytes: usize, at_least_one: bool) -> Found {
        let Some(first) = self.entry_at(offset).copied() else {
            return Found { bytes: Bytes::new(), whole: false, ready: 0 };
        };
        let first_length = first.length as usize;
        let wanted = if at_least_one { max_bytes.max(first_length) } else { max_bytes };
        let ready = usize::try_from(self.end() - first.position).unwrap_or(usize::MAX);
        let bytes = self.read_at(first.position, wanted);
        Found { whole: bytes.len() >= first_length, bytes, ready: ready.min(wanted) }
    }

    fn read_at(&mut self, position: u64, wanted: usize) -> Bytes {
        if position.saturating_add(wanted as u64) > self.open_position {
            self.seal();
        }
        let index = self.pieces.partition_point(|p| p.end() <= position);
        let Some(piece) = self.pieces.get(index) else { return Bytes::new() };
        let from = usize::try_from(position - piece.position).unwrap_or(usize::MAX);
        let bytes = piece.bytes.slice(from.min(piece.bytes.len())..);
        if bytes.len() >= wanted {
            return bytes.slice(..wanted);
        }
        if bytes.len() >= GATHER || index + 1 == self.pieces.len() {
            return bytes;
        }
        let mut gathered = BytesMut::with_capacity(wanted.min(GATHER));
        gathered.extend_from_slice(&bytes);
        for piece in self.pieces.range(index + 1..) {
            let room = wanted.min(GATHER).saturating_sub(gathered.len());
            gathered.extend_from_slice(&piece.bytes[..room.min(piece.bytes.len())]);
        }
        gathered.freeze()
    }

    /// The bytes of one batch.
    pub(super) fn batch(&mut self, entry: &Entry) -> Bytes {
        self.read_at(entry.position, entry.length as usize)
    }

    /// Drops the oldest batches until at most `bytes` are kept; the newest batch always stays.
    pub(super) fn retain(&mut self, bytes: u64) {
        while self.entries.len() > 1 && self.size() > bytes {
            self.entries.pop_front();
        }
        if let Some(first) = self.entries.front() {
            self.start_offset = self.start_offset.max(first.base_offset);
        }
        self.drop_unreached_pieces();
    }

    /// Moves the start of the log to `offset` (DeleteRecords).
    pub(super) fn delete_before(&mut self, offset: i64) {
        self.start_offset = offset.clamp(self.start_offset, self.end_offset);
        while self.entries.front().is_some_and(|e| e.last_offset < self.start_offset) {
            self.entries.pop_front();
        }
        self.drop_unreached_pieces();
    }

    fn drop_unreached_pieces(&mut self) {
        let first = self.entries.front().map_or(u64::MAX, |e| e.position);
        while self.pieces.front().is_some_and(|p| p.end() <= first) {
            self.pieces.pop_front();
        }
    }

    /// Drops every batch that reaches `offset`, as a new leader without them does.
    pub(super) fn truncate(&mut self, offset: i64) {
        self.seal();
        while self.entries.back().is_some_and(|e| e.last_offset >= offset) {
            self.entries.pop_back();
        }
        let kept = self.entries.back();
        self.end_offset =
            kept.map_or(self.start_offset.min(offset), |e| e.last_offset.saturating_add(1));
        self.start_offset = self.start_offset.min(self.end_offset);
        let end = kept.map_or(0, |e| e.position + u64::from(e.length));
        while self.pieces.back().is_some_and(|p| p.position >= end) {
            self.pieces.pop_back();
        }
        if let Some(last) = self.pieces.back_mut() {
            last.bytes.truncate(usize::try_from(end - last.position).unwrap_or(usize::MAX));
        }
        // Positions only grow: what comes next takes the place of what was dropped.
        self.open_position = self.pieces.back().map_or(end, Piece::end);
        self.epochs.retain(|&(_, start)| start < self.end_offset);
    }

    /// The largest epoch not above `epoch`, and the offset where the next one began (KIP-320). An
    /// epoch before the first one known ends where that begins; one that is still to come is not
    /// known.
    pub(super) fn end_of_epoch(&self, epoch: i32) -> Option<(i32, i64)> {
        let &(latest, _) = self.epochs.last()?;
        if epoch < 0 || epoch > latest {
            return None;
        }
        let index = self.epochs.partition_point(|&(e, _)| e <= epoch);
        let found = index.checked_sub(1).and_then(|at| self.epochs.get(at));
        let end = self.epochs.get(index).map_or(self.end_offset, |&(_, start)| start);
        Some((found.map_or(epoch, |&(found, _)| found), end))
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::samples;
    use super::*;

    fn append(log: &mut Log, count: i32, body: &[u8]) -> i64 {
        append_at(log, count, body, 0)
    }

    fn append_at(log: &mut Log, count: i32, body: &[u8], leader_epoch: i32) -> i64 {
        let batch = samples::v2(count, 0, body);
        let head = Head::read(&batch).unwrap();
        log.append(&batch, &head, Placing { leader_epoch, append_time: None, span: count.into() })
    }

    fn offsets(bytes: &[u8]) -> Vec<i64> {
        let mut rest = bytes;
        let mut found = Vec::new();
        while let Ok(head) = Head::read(rest) {
            assert!(head.checksum_fits(rest));
            found.push(head.base_offset);
            rest = &rest[head.length..];
        }
        found
    }

    #[test]
    fn a_read_begins_with_the_batch_that_holds_the_offset() {
        let mut log = Log::default();
        for _ in 0..5 {
            append(&mut log, 10, b"abc");
        }
        assert_eq!(offsets(&log.read(25, usize::MAX / 2, true).bytes), [20, 30, 40]);
        assert_eq!((log.start_offset(), log.end_offset()), (0, 50));
        assert!(log.read(50, 1_000, true).bytes.is_empty());
    }

    #[test]
    fn rule_kip_74_the_first_batch_comes_whole_when_it_must_and_is_cut_when_it_need_not() {
        let mut log = Log::default();
        append(&mut log, 1, &[7; 500]);
        let whole = log.read(0, 10, true);
        assert!(whole.whole && whole.bytes.len() == 561);
        let cut = log.read(0, 10, false);
        assert!(!cut.whole && cut.bytes.len() == 10);
    }

    #[test]
    fn what_a_reader_holds_is_not_changed_by_what_is_appended_later() {
        let mut log = Log::default();
        append(&mut log, 1, b"first");
        let held = log.read(0, 1 << 20, true).bytes;
        let before = held.to_vec();
        append(&mut log, 1, b"second");
        assert_eq!(held, before);
        assert_eq!(offsets(&log.read(0, 1 << 20, true).bytes), [0, 1], "pieces are gathered");
    }

    #[test]
    fn retention_drops_the_oldest_batches_and_moves_the_start() {
        let mut log = Log::default();
        for _ in 0..100 {
            append(&mut log, 2, &[1; 10_000]);
            log.retain(50_000);
        }
        assert!(log.size() <= 50_000);
        assert_eq!(log.start_offset(), 192);
        assert_eq!(offsets(&log.read(0, usize::MAX / 2, true).bytes)[0], 192);
        assert!(log.pieces.iter().map(|p| p.bytes.len()).sum::<usize>() < 2 * LARGEST_BUFFER);
    }

    #[test]
    fn a_truncated_log_goes_on_where_it_was_cut() {
        let mut log = Log::default();
        for epoch in 0..4 {
            append_at(&mut log, 5, b"abc", epoch);
            log.read(0, 1, true);
        }
        log.truncate(12);
        assert_eq!(log.end_offset(), 10, "a batch that reaches the offset goes whole");
        assert_eq!(append_at(&mut log, 1, b"new", 9), 10);
        assert_eq!(offsets(&log.read(0, 1 << 20, true).bytes), [0, 5, 10]);
        assert_eq!(log.end_of_epoch(3), Some((1, 10)));
        assert_eq!(log.end_of_epoch(9), Some((9, 11)));
        log.truncate(0);
        assert_eq!((log.end_offset(), log.size()), (0, 0));
        append(&mut log, 1, b"again");
        assert_eq!(offsets(&log.read(0, 1 << 20, true).bytes), [0]);
    }

    #[test]
    fn deleting_records_inside_a_batch_keeps_the_batch() {
        let mut log = Log::default();
        append(&mut log, 10, b"abc");
        append(&mut log, 10, b"abc");
        log.delete_before(15);
        assert_eq!(log.start_offset(), 15);
        assert_eq!(offsets(&log.read(15, 1 << 20, true).bytes), [10]);
    }

    #[test]
    fn large_batches_and_many_small_ones_read_back_whole() {
        let mut log = Log::default();
        let sizes = [10, 3_000_000, 20, 100_000, 1];
        for size in sizes {
            append(&mut log, 1, &vec![3; size]);
        }
        let mut offset = 0;
        while offset < log.end_offset() {
            let found = log.read(offset, 64 * 1024, true);
            let first = Head::read(&found.bytes).unwrap();
            assert_eq!(first.base_offset, offset);
            offset += 1;
        }
    }
}
