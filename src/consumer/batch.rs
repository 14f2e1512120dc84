//! What a poll gives: views of messages, the runs they belong to, and the buffers that they borrow.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::budget::Lease;
use super::columns::Columns;
use super::group::Freed;
use super::name::Name;
use super::position::Position;
use super::view::MessageView;
use crate::error::Result;
use crate::protocol::record::{self, Header};

/// Consecutive messages of one partition within a [`Batch`].
#[derive(Clone, Debug)]
pub struct Run {
    /// The topic.
    pub topic: Name,
    /// The partition's number.
    pub partition: i64,
    /// Index of the first message in [`Batch::views`].
    pub first: u32,
    /// How many messages.
    pub count: u32,
    /// Leader epoch of the last message; -1 when the broker gave none.
    pub leader_epoch: i32,
    /// The partition's high watermark when the data was fetched; -1 unknown.
    pub high_watermark: i64,
    /// The partition's first offset when the data was fetched; -1 unknown.
    pub log_start: i64,
    /// Where to resume after these messages; may lie beyond the last one's `next_offset`, over
    /// batches that hold nothing for applications (invariant 6.12).
    pub next_offset: i64,
}

/// What keeps the bytes alive that views lead into, and their share of the consumer's budget.
#[derive(Debug)]
pub(super) enum Held {
    /// A fetched or decompressed buffer.
    Buffer { _bytes: Bytes, _lease: Arc<Lease> },
    /// Bytes of their own, outside the budget.
    Copy { _bytes: Bytes },
    /// Another batch, from which views were copied.
    Batch { _batch: Arc<Batch> },
}

/// Messages of one or more partitions, in order within each. Owns what its views borrow: it may
/// outlive its consumer, be read by several threads, and be dropped on any.
#[derive(Debug, Default)]
pub struct Batch {
    pub(super) views: Vec<MessageView>,
    pub(super) runs: Vec<Run>,
    pub(super) held: Vec<Held>,
    pub(super) columns: OnceLock<Columns>,
    /// Gone with the batch: then its messages no longer hold back commits of a group.
    pub(super) _ticket: Option<Arc<()>>,
    /// Which messages were freed one by one, if that matters to a group.
    pub(super) marks: Option<Freed>,
}

// SAFETY: the pointers of `views` lead into `held`, buffers that nobody writes once they are in a
// batch and that live as long as it; so views may be sent and read from any thread, as &[u8] may.
#[allow(unsafe_code, reason = "views hold raw pointers so that C reads them as they are")]
unsafe impl Send for Batch {}
// SAFETY: as above; a shared batch is only read.
#[allow(unsafe_code, reason = "views hold raw pointers so that C reads them as they are")]
unsafe impl Sync for Batch {}

impl Batch {
    /// The messages as plain structs; valid as long as this batch.
    #[must_use]
    pub fn views(&self) -> &[MessageView] {
        &self.views
    }

    /// Which messages belong to which partition, in the order of [`Batch::views`].
    #[must_use]
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// How many messages there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.views.len()
    }

    /// Whether there is no message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.views.is_empty()
    }

    /// The message at `index`, if there is one.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Record<'_>> {
        let view = self.views.get(index)?;
        Some(Record { view, run: self.runs.get(view.run as usize)? })
    }

    /// All messages in order.
    pub fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// Where each partition resumes after this batch, one position a partition.
    #[must_use]
    pub fn positions(&self) -> Vec<Position> {
        let mut positions: Vec<Position> = Vec::with_capacity(self.runs.len());
        for run in &self.runs {
            positions.retain(|p| p.partition != run.partition || p.topic != run.topic);
            let mut position = Position::new(run.topic.clone(), run.partition).at(run.next_offset);
            position.leader_epoch = (run.leader_epoch >= 0).then_some(run.leader_epoch);
            positions.push(position);
        }
        positions
    }

    /// The messages as columns over one gathered buffer, made at the first call and kept.
    /// [`crate::Code::INVALID_STATE`] when keys and values pass 4 GiB.
    pub fn columns(&self) -> Result<&Columns> {
        if let Some(columns) = self.columns.get() {
            return Ok(columns);
        }
        let made = Columns::gather(self)?;
        Ok(self.columns.get_or_init(|| made))
    }
}

/// One message of a batch, for Rust.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub(super) view: &'a MessageView,
    pub(super) run: &'a Run,
}

impl<'a> Record<'a> {
    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &'a str {
        self.run.topic.as_str()
    }

    /// The partition's number.
    #[must_use]
    pub fn partition(&self) -> i64 {
        self.run.partition
    }

    /// Offset in the partition.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.view.offset
    }

    /// Where to resume after this message.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.view.next_offset
    }

    /// Milliseconds since 1970; -1 none.
    #[must_use]
    pub fn timestamp(&self) -> i64 {
        self.view.timestamp
    }

    /// The key; absent and empty differ.
    #[must_use]
    pub fn key(&self) -> Option<&'a [u8]> {
        bytes(self.view.key, self.view.key_length)
    }

    /// The value; absent and empty differ.
    #[must_use]
    pub fn value(&self) -> Option<&'a [u8]> {
        bytes(self.view.value, self.view.value_length)
    }

    /// The headers in order, duplicates included; an error where the bytes are no headers.
    pub fn headers(&self) -> impl Iterator<Item = Result<Header<'a>>> + use<'a> {
        record::read_headers(self.raw_headers().unwrap_or_default(), self.view.headers_count)
    }

    pub(super) fn raw_headers(&self) -> Option<&'a [u8]> {
        bytes(self.view.headers, self.view.headers_length)
    }

    /// The plain struct.
    #[must_use]
    pub fn view(&self) -> &'a MessageView {
        self.view
    }
}

/// The bytes that a view borrows from its batch. Only for views that lie in a [`Batch`].
fn bytes<'a>(start: *const u8, length: u32) -> Option<&'a [u8]> {
    if start.is_null() {
        return None;
    }
    // SAFETY: `MessageView::of` made pointer and length from one span inside a buffer that the
    // batch holds, and the lifetime handed out is that of the borrow of the batch; nobody writes
    // the buffer.
    #[allow(unsafe_code, reason = "the one place where views turn back into slices")]
    Some(unsafe { std::slice::from_raw_parts(start, length as usize) })
}
