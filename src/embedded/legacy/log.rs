//! One partition's log: segments of bytes, of which the flushed ones are seen.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::options::Options;

#[derive(Debug)]
struct Segment {
    /// The log position of its first byte.
    start: i64,
    bytes: Vec<u8>,
    /// When it was last written, in milliseconds since 1970.
    modified: i64,
}

impl Segment {
    fn new(start: i64, now_ms: i64) -> Self {
        Self { start, bytes: Vec::new(), modified: now_ms }
    }

    fn end(&self) -> i64 {
        self.start + self.bytes.len() as i64
    }
}

/// The log of a partition that was written to at least once.
#[derive(Debug)]
pub(super) struct Log {
    /// Never empty; the last one is written to.
    segments: VecDeque<Segment>,
    /// Up to where consumers see it.
    flushed: i64,
    unflushed_messages: u64,
    last_flush: Instant,
}

/// The two clocks a log needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) instant: Instant,
    /// Milliseconds since 1970.
    pub(super) ms: i64,
}

impl Log {
    pub(super) fn new(now: Now) -> Self {
        Self {
            segments: VecDeque::from([Segment::new(0, now.ms)]),
            flushed: 0,
            unflushed_messages: 0,
            last_flush: now.instant,
        }
    }

    /// Appends a set of `messages` messages, and flushes if that is due.
    pub(super) fn append(&mut self, set: &[u8], messages: u64, options: &Options, now: Now) {
        let (written, last_start) = match self.segments.back() {
            Some(last) => (last.bytes.len(), last.end()),
            None => (0, self.flushed),
        };
        // Before the append: a segment grows beyond the limit by what made it do so.
        if written > 0 && written + set.len() > options.segment_bytes {
            self.flush(now);
            self.segments.push_back(Segment::new(last_start, now.ms));
        }
        if let Some(segment) = self.segments.back_mut() {
            segment.bytes.extend_from_slice(set);
            segment.modified = now.ms;
        }
        self.unflushed_messages += messages;
        if self.unflushed_messages >= options.flush_messages {
            self.flush(now);
        }
        self.retain(options);
    }

    fn retain(&mut self, options: &Options) {
        let Some(limit) = options.retention_bytes else { return };
        let mut kept: usize = self.segments.iter().map(|segment| segment.bytes.len()).sum();
        while self.segments.len() > 1 && kept > limit {
            kept -= self.segments.pop_front().map_or(0, |segment| segment.bytes.len());
        }
    }

    fn flush(&mut self, now: Now) {
        self.flushed = self.segments.back().map_or(self.flushed, Segment::end);
        self.unflushed_messages = 0;
        self.last_flush = now.instant;
    }

    /// Does what Kafka's flush scheduler would have done by now.
    pub(super) fn flush_if_due(&mut self, interval: Duration, now: Now) {
        if now.instant.saturating_duration_since(self.last_flush) >= interval {
            self.flush(now);
        }
    }

    /// At most `most` bytes from `offset` on, up to the end of its segment and of what is flushed;
    /// none if the log has no such position.
    pub(super) fn read(&self, offset: i64, most: usize) -> Option<&[u8]> {
        let first = self.segments.front()?.start;
        if offset < first || offset > self.flushed {
            return None;
        }
        let segment = self.segments.iter().rev().find(|segment| segment.start <= offset)?;
        let begin = usize::try_from(offset - segment.start).ok()?;
        let seen = usize::try_from(self.flushed.min(segment.end()) - segment.start).ok()?;
        segment.bytes.get(begin..seen.max(begin).min(begin.saturating_add(most)))
    }

    /// Where each segment begins and when it was written, oldest first, and the end of what is
    /// flushed.
    pub(super) fn marks(&self) -> (Vec<(i64, i64)>, i64) {
        let starts = self.segments.iter().map(|segment| (segment.start, segment.modified));
        (starts.collect(), self.flushed)
    }

    /// Where the next message goes.
    pub(super) fn end(&self) -> i64 {
        self.segments.back().map_or(0, Segment::end)
    }

    /// Whether the segment that is written to has anything.
    pub(super) fn last_has_bytes(&self) -> bool {
        self.segments.back().is_some_and(|segment| !segment.bytes.is_empty())
    }

    /// All bytes that are kept, flushed or not.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.segments.iter().flat_map(|segment| &segment.bytes).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Now {
        Now { instant: Instant::now(), ms: 1_000 }
    }

    #[test]
    fn consumers_see_what_was_flushed_by_count_or_by_time() {
        let options = Options { flush_messages: 3, ..Options::default() };
        let begun = now();
        let mut log = Log::new(begun);
        log.append(b"0123456789", 2, &options, begun);
        assert_eq!((log.read(0, 100), log.read(10, 100)), (Some(&b""[..]), None));
        log.append(b"ab", 1, &options, begun);
        assert_eq!(log.read(10, 100), Some(&b"ab"[..]));
        log.append(b"cd", 1, &options, begun);
        let interval = Duration::from_secs(3);
        log.flush_if_due(interval, Now { instant: begun.instant + interval / 2, ms: 0 });
        assert_eq!(log.read(10, 100), Some(&b"ab"[..]));
        log.flush_if_due(interval, Now { instant: begun.instant + interval, ms: 0 });
        assert_eq!(log.read(10, 100), Some(&b"abcd"[..]));
    }

    #[test]
    fn a_read_never_crosses_a_segment_and_old_segments_go() {
        let options = Options { segment_bytes: 8, retention_bytes: Some(12), ..Options::default() };
        let mut log = Log::new(now());
        for part in [b"aaaaa", b"bbbbb", b"ccccc"] {
            log.append(part, 1, &options, now());
        }
        assert_eq!(log.read(0, 100), None, "gone");
        assert_eq!(log.read(5, 100), Some(&b"bbbbb"[..]));
        assert_eq!(log.read(7, 2), Some(&b"bb"[..]));
        assert_eq!(log.read(10, 100), Some(&b"ccccc"[..]));
        assert_eq!((log.read(15, 100), log.read(16, 100)), (Some(&b""[..]), None));
        assert_eq!(log.marks().0.iter().map(|(start, _)| *start).collect::<Vec<_>>(), [5, 10]);
    }
}
