//! Reading messages v0 and v1, plain or out of their compressed wrapper.

use super::corrupt::undecodable;
use super::legacy::{self, Message, read_message};
use super::{Compression, Format, RecordSpan, Span, TimestampType};
use crate::error::Result;

/// The place of the next message in the buffer, and what the wrapper says for all of them.
#[derive(Debug)]
pub(super) struct MessageCursor {
    at: usize,
    left: u32,
    /// What turns an inner offset into an absolute one.
    offset_base: i64,
    /// The wrapper's time of appending, which is that of every message in it (invariant 3.7).
    append_time: Option<i64>,
    check_crc: bool,
}

impl MessageCursor {
    /// A run of plain messages, with absolute offsets.
    pub(super) fn plain(count: u32, check_crc: bool) -> Self {
        Self { at: 0, left: count, offset_base: 0, append_time: None, check_crc }
    }

    /// The messages that a wrapper decompressed to, and the absolute offset of the last.
    ///
    /// One pass over them comes first, for the last inner offset is what the others count from.
    pub(super) fn wrapped(
        wrapper: &Message,
        buffer: &[u8],
        check_crc: bool,
    ) -> Result<(Self, i64)> {
        let (mut at, mut left, mut last) = (0, 0, None);
        // A producer leaves 0 and counts as it likes; a broker has put the messages in order.
        let is_stored = wrapper.offset != 0;
        while at < buffer.len() {
            let inner = read_message(buffer, at)?;
            check_inner(wrapper.format, &inner)?;
            if inner.offset < 0 || inner.offset == i64::MAX {
                return Err(undecodable(format!(
                    "the inner offset {} cannot be one",
                    inner.offset
                )));
            }
            if let Some(before) = last.filter(|before| is_stored && *before >= inner.offset) {
                let text = format!("the inner offset {} comes after {before}", inner.offset);
                return Err(undecodable(text));
            }
            (at, left, last) = (inner.end, left + 1, Some(inner.offset));
        }
        let last = last.ok_or_else(|| undecodable("the wrapper holds no message"))?;
        let offset_base = offset_base(wrapper, last)?;
        let append_time = wrapper.timestamp_type() == TimestampType::LogAppendTime;
        let append_time = append_time.then_some(wrapper.timestamp);
        Ok((Self { at: 0, left, offset_base, append_time, check_crc }, offset_base + last))
    }

    pub(super) fn remaining(&self) -> u32 {
        self.left
    }

    pub(super) fn visit(
        &mut self,
        data: &[u8],
        limit: u32,
        visitor: &mut impl FnMut(RecordSpan),
    ) -> Result<u32> {
        let wanted = limit.min(self.left);
        for _ in 0..wanted {
            let message = read_message(data, self.at)?;
            if self.check_crc {
                legacy::verify(data, self.at, &message)?;
            }
            self.at = message.end;
            self.left -= 1;
            visitor(self.record(&message));
        }
        Ok(wanted)
    }

    fn record(&self, message: &Message) -> RecordSpan {
        let (timestamp, timestamp_type) = match self.append_time {
            Some(time) => (time, TimestampType::LogAppendTime),
            None => (message.timestamp, message.timestamp_type()),
        };
        RecordSpan {
            offset: message.offset.saturating_add(self.offset_base),
            timestamp,
            timestamp_type,
            key: message.key,
            value: message.value,
            headers: Span { start: 0, len: 0 },
            headers_count: 0,
        }
    }
}

/// What is in a wrapper has its format, and is not compressed again (invariant 3.6).
pub(super) fn check_inner(format: Format, inner: &Message) -> Result<()> {
    if inner.format != format {
        let text = format!("a message {} inside a wrapper {format}", inner.format);
        return Err(undecodable(text));
    }
    if Compression::from_attributes(inner.attributes) != Some(Compression::None) {
        return Err(undecodable("a compressed message inside a compressed message"));
    }
    Ok(())
}

/// What to add to inner offsets (invariant 3.6): nothing in v0, where they are absolute; in v1
/// the wrapper has the offset of its last message. Old librdkafka producers left 0 there: then
/// the inner offsets are taken as they are.
fn offset_base(wrapper: &Message, last_inner: i64) -> Result<i64> {
    if wrapper.format == Format::V0 || wrapper.offset == 0 {
        return Ok(0);
    }
    let base = wrapper.offset - last_inner;
    if base < 0 {
        let offset = wrapper.offset;
        let text = format!("the wrapper's offset {offset} is below the inner offset {last_inner}");
        return Err(undecodable(text));
    }
    Ok(base)
}
