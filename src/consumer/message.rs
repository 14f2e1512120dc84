//! One message that stands alone: it holds its batch, and so the fetched buffer.

use std::sync::Arc;

use bytes::Bytes;

use super::batch::{Batch, Held, Record, Run};
use super::view::MessageView;

/// One message. Cloning shares the buffer; the message may outlive its consumer and be read from
/// any thread.
///
/// In a group it holds back commits of what follows it until it is dropped; a clone does not.
#[derive(Debug)]
pub struct Message {
    batch: Arc<Batch>,
    // Two words in all: it is moved several times on its way out.
    index: u32,
    /// Whether its end is noted.
    counts: bool,
}

impl Clone for Message {
    fn clone(&self) -> Self {
        Self { batch: Arc::clone(&self.batch), index: self.index, counts: false }
    }
}

impl Drop for Message {
    #[inline]
    fn drop(&mut self) {
        if let Some(marks) = self.batch.marks.as_ref().filter(|_| self.counts) {
            marks.free(self.index as usize);
        }
    }
}

impl Message {
    /// The message at `index` of `batch`, and the offset after it; none when there is none.
    #[must_use]
    #[inline]
    pub(super) fn new(batch: &Arc<Batch>, index: usize) -> Option<(Self, i64)> {
        let next_offset = batch.views.get(index)?.next_offset;
        let counts = batch.marks.is_some();
        let index = u32::try_from(index).ok()?;
        Some((Self { batch: Arc::clone(batch), index, counts }, next_offset))
    }

    /// What the message says; borrowed from it.
    #[must_use]
    pub fn record(&self) -> Record<'_> {
        // `new` looked both up, and a batch in an Arc does not change.
        let view = &self.batch.views[self.index as usize];
        Record { view, run: &self.batch.runs[view.run as usize] }
    }

    /// The run it belongs to: topic, partition, leader epoch, watermarks.
    #[must_use]
    pub fn run(&self) -> &Run {
        self.record().run
    }

    /// The same message with bytes of its own, so that the fetched buffer can go.
    #[must_use]
    pub fn detached(&self) -> Self {
        let record = self.record();
        let view = record.view();
        let parts = [record.key(), record.value(), record.raw_headers()];
        let mut copy = Vec::with_capacity(parts.iter().flatten().map(|p| p.len()).sum());
        let starts = parts.map(|part| {
            let start = copy.len();
            copy.extend_from_slice(part.unwrap_or_default());
            part.map(|_| start)
        });
        let bytes = Bytes::from(copy);
        let [key, value, headers] = starts
            .map(|start| start.map_or(std::ptr::null(), |at| bytes.as_ptr().wrapping_add(at)));
        let view = MessageView { key, value, headers, run: 0, ..*view };
        let run = Run { first: 0, count: 1, ..record.run.clone() };
        let held = Held::Copy { _bytes: bytes };
        let batch =
            Batch { views: vec![view], runs: vec![run], held: vec![held], ..Batch::default() };
        Self { batch: Arc::new(batch), index: 0, counts: false }
    }
}
