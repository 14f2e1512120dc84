//! Records as views: positions in the batch's buffer instead of copies.

use super::TimestampType;

/// A stretch of a batch's buffer, or null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where it begins, in bytes from the buffer's start; 0 for null.
    pub start: u32,
    /// Its length in bytes; `u32::MAX` for null.
    pub len: u32,
}

impl Span {
    /// Absent, which is not the same as empty (invariant 3.18).
    pub const NULL: Self = Self { start: 0, len: u32::MAX };

    /// Whether it stands for null.
    #[must_use]
    #[inline]
    pub fn is_null(self) -> bool {
        self.len == u32::MAX
    }

    /// The bytes it stands for in the buffer that it came with; none for null, and none for a
    /// span that does not belong to this buffer.
    #[must_use]
    #[inline]
    pub fn of(self, buffer: &[u8]) -> Option<&[u8]> {
        if self.is_null() {
            return None;
        }
        let start = self.start as usize;
        buffer.get(start..start.checked_add(self.len as usize)?)
    }
}

/// One record: numbers, and where its bytes are in the batch's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordSpan {
    /// Absolute offset in the partition.
    pub offset: i64,
    /// Milliseconds since the epoch, −1 for none.
    pub timestamp: i64,
    /// Who set the timestamp.
    pub timestamp_type: TimestampType,
    /// The key, or null.
    pub key: Span,
    /// The value, or null.
    pub value: Span,
    /// The raw bytes of all headers, for [`read_headers`](super::read_headers); never null.
    pub headers: Span,
    /// How many headers these bytes hold.
    pub headers_count: u32,
}
