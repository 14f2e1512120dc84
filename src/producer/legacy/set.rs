//! The open batch of a partition of Kafka 0.7: a message set.

use bytes::{Bytes, BytesMut};

use crate::error::{Code, Error, Result};
use crate::producer::record::Record;
use crate::protocol::legacy::{MESSAGE_OVERHEAD, MessageSet, message_head, wrap};
use crate::protocol::record::{
    Compression, DecodedBatch, NO_TIMESTAMP, RecordSpan, Span, TimestampType,
};

/// What a sealed set may waste of its buffer, in bytes, before it is moved to a smaller one.
const SLIGHT: usize = 4 * 1024;

/// Messages behind one another in one buffer, which does not grow by itself on the short way.
#[derive(Debug)]
pub(crate) struct SetBuilder {
    buffer: BytesMut,
    count: u32,
    compression: Compression,
    level: Option<i32>,
    /// The largest payload, a wrapper's included.
    largest: usize,
}

/// A message set that is complete.
#[derive(Clone, Debug)]
pub(crate) struct SealedSet {
    pub(crate) bytes: Bytes,
    /// How many messages were put in; never 0.
    pub(crate) count: u32,
    /// What they were compressed with.
    pub(crate) compression: Compression,
}

impl SetBuilder {
    /// An empty set in a buffer whose content is forgotten.
    ///
    /// # Errors
    /// UNSUPPORTED_FEATURE for a codec that Kafka 0.7 does not know.
    pub(crate) fn in_buffer(
        compression: Compression,
        level: Option<i32>,
        largest: usize,
        mut buffer: BytesMut,
    ) -> Result<Self> {
        if matches!(compression, Compression::Lz4 | Compression::Zstd) {
            let text = format!(
                "compression.type={compression} is not known to Kafka 0.7: it has gzip and snappy"
            );
            let error = Error::new(Code::UNSUPPORTED_FEATURE, text);
            return Err(error.with_property("compression.type"));
        }
        buffer.clear();
        Ok(Self { buffer, count: 0, compression, level, largest })
    }

    pub(crate) fn compression(&self) -> Compression {
        self.compression
    }

    /// The same messages, to be sealed without compression.
    pub(crate) fn uncompressed(mut self) -> Self {
        self.compression = Compression::None;
        self
    }

    /// Goes on in another buffer, and gives the one before.
    pub(crate) fn move_to(&mut self, mut buffer: BytesMut) -> BytesMut {
        buffer.clear();
        buffer.extend_from_slice(&self.buffer);
        std::mem::replace(&mut self.buffer, buffer)
    }

    /// How many bytes a payload adds.
    pub(crate) fn encoded_size(payload: Option<&[u8]>) -> usize {
        MESSAGE_OVERHEAD + payload.map_or(0, <[u8]>::len)
    }

    /// Adds a message; the buffer grows if need be. What 0.7 has no place for was refused before.
    pub(crate) fn append(&mut self, payload: Option<&[u8]>) {
        let payload = payload.unwrap_or_default();
        self.buffer.reserve(MESSAGE_OVERHEAD + payload.len());
        self.put(payload);
    }

    /// Adds a message if nothing stands in the way: it has a value and no time of its own, the set stays
    /// below `limit` bytes, and the buffer has room. Gives how many bytes that were.
    #[inline(always)]
    pub(crate) fn append_plain(&mut self, record: &Record<'_>, limit: usize) -> Option<usize> {
        let payload = record.value?;
        let size = MESSAGE_OVERHEAD + payload.len();
        let end = self.buffer.len() + size;
        let plain = record.timestamp.is_none() && payload.len() <= self.largest;
        if !plain || end >= limit || end > self.buffer.capacity() {
            return None;
        }
        self.put(payload);
        Some(size)
    }

    #[inline(always)]
    fn put(&mut self, payload: &[u8]) {
        self.buffer.extend_from_slice(&message_head(payload));
        self.buffer.extend_from_slice(payload);
        self.count += 1;
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn size(&self) -> usize {
        self.buffer.len()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// Compresses: the set is then one message. One whose compressed bytes a broker would drop, because
    /// they are more than it takes as one message, goes as it is: each of its own messages is small enough.
    ///
    /// `buffer` gives a buffer of at least so many bytes. Comes with the buffer that is no longer needed,
    /// and with what the sealed bytes take of memory.
    ///
    /// # Errors
    /// INVALID_STATE for an empty set; INVALID_ARGUMENT if the codec refuses its level.
    pub(crate) fn seal_into(
        self,
        buffer: impl FnOnce(usize) -> BytesMut,
    ) -> Result<(SealedSet, Option<BytesMut>, usize)> {
        if self.count == 0 {
            return Err(Error::new(Code::INVALID_STATE, "a set without messages cannot be sent"));
        }
        let (count, compression) = (self.count, self.compression);
        if compression != Compression::None {
            let mut wrapped = Vec::new();
            wrap(&mut wrapped, &self.buffer, compression, self.level)?;
            if wrapped.len() <= self.largest.saturating_add(MESSAGE_OVERHEAD) {
                let takes = wrapped.capacity();
                let set = SealedSet { bytes: wrapped.into(), count, compression };
                return Ok((set, Some(self.buffer), takes));
            }
        }
        let size = self.buffer.len();
        let (bytes, left) = if self.buffer.capacity() - size > size.max(SLIGHT) {
            // It may wait long: not in a buffer that it does not half fill.
            let mut smaller = buffer(size);
            smaller.clear();
            smaller.extend_from_slice(&self.buffer);
            (smaller, Some(self.buffer))
        } else {
            (self.buffer, None)
        };
        let takes = bytes.capacity();
        let set = SealedSet { bytes: bytes.freeze(), count, compression: Compression::None };
        Ok((set, left, takes))
    }
}

impl SealedSet {
    /// The messages, for a delivery that keeps them.
    ///
    /// # Errors
    /// UNDECODABLE, CORRUPT_MESSAGE if these are not the bytes that were put in.
    pub(crate) fn decode(&self) -> Result<DecodedBatch> {
        let mut records = Vec::with_capacity(self.count as usize);
        let mut buffer = self.bytes.clone();
        for message in MessageSet::new(self.bytes.clone(), 0) {
            let message = message?;
            let opened = message.open(false, usize::MAX)?;
            // A plain message is looked at where it lies; a wrapper is all there is.
            let begin = match message.compression {
                Compression::None => {
                    u32::try_from(message.offset).unwrap_or(0) + MESSAGE_OVERHEAD as u32
                }
                _ => {
                    buffer = opened.buffer;
                    0
                }
            };
            let moved = |span: Span| Span { start: begin + span.start, ..span };
            records.extend(opened.payloads.iter().map(|payload| record(moved(*payload))));
        }
        Ok(DecodedBatch { buffer, records, next_offset: -1 })
    }
}

fn record(value: Span) -> RecordSpan {
    RecordSpan {
        offset: -1,
        timestamp: NO_TIMESTAMP,
        timestamp_type: TimestampType::None,
        key: Span::NULL,
        value,
        headers: Span { start: 0, len: 0 },
        headers_count: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Topic;

    fn builder(compression: Compression, largest: usize) -> SetBuilder {
        let buffer = BytesMut::with_capacity(4_096);
        SetBuilder::in_buffer(compression, None, largest, buffer).unwrap()
    }

    fn sealed(builder: SetBuilder) -> SealedSet {
        builder.seal_into(BytesMut::with_capacity).unwrap().0
    }

    fn payloads(set: &SealedSet) -> Vec<Vec<u8>> {
        let open = |message: crate::protocol::legacy::Message| {
            let opened = message.open(true, 1 << 20).unwrap();
            let bytes = |payload: &Span| payload.of(&opened.buffer).unwrap().to_vec();
            opened.payloads.iter().map(bytes).collect::<Vec<_>>()
        };
        MessageSet::new(set.bytes.clone(), 0).flat_map(|message| open(message.unwrap())).collect()
    }

    /// What a delivery that keeps its records shows.
    fn kept(set: &SealedSet) -> Vec<Vec<u8>> {
        let batch = set.decode().unwrap();
        let value = |record: &RecordSpan| record.value.of(&batch.buffer).unwrap().to_vec();
        batch.records.iter().map(value).collect()
    }

    #[test]
    fn both_ways_write_the_bytes_that_all_clients_of_0_7_write() {
        let topic = Topic::lone("t", 0);
        let mut short = builder(Compression::None, 100);
        assert_eq!(short.append_plain(&Record::new(&topic, b"hello"), 1_000), Some(15));
        let mut long = builder(Compression::None, 100);
        long.append(Some(b"hello"));
        let (short, long) = (sealed(short), sealed(long));
        let expected = b"\0\0\0\x0b\x01\0\x36\x10\xa6\x86hello";
        assert_eq!((&short.bytes[..], &long.bytes[..]), (&expected[..], &expected[..]));
    }

    #[test]
    fn the_short_way_takes_only_what_needs_no_closer_look() {
        let topic = Topic::lone("t", 0);
        let plain = Record::new(&topic, b"0123456789");
        let mut set = builder(Compression::None, 10);
        assert_eq!(set.append_plain(&plain, 20), None, "the limit");
        assert_eq!(set.append_plain(&Record { timestamp: Some(1), ..plain }, 99), None);
        assert_eq!(set.append_plain(&Record { value: None, ..plain }, 99), None);
        let eleven = Record { value: Some(b"0123456789a"), ..plain };
        assert_eq!(set.append_plain(&eleven, 99), None, "the largest payload");
        set.buffer = BytesMut::with_capacity(0);
        assert_eq!(set.append_plain(&plain, 99), None, "no room");
        assert_eq!((set.count(), set.size()), (0, 0));
    }

    #[test]
    fn a_compressed_set_is_one_message_and_comes_apart_again() {
        for codec in [Compression::Gzip, Compression::Snappy] {
            let mut set = builder(codec, 1_000);
            for payload in [&b"one"[..], b"", b"three"] {
                set.append(Some(payload));
            }
            let set = sealed(set);
            assert_eq!((set.count, set.compression), (3, codec));
            assert_eq!(MessageSet::new(set.bytes.clone(), 0).count(), 1);
            assert_eq!(payloads(&set), [&b"one"[..], b"", b"three"]);
            assert_eq!(kept(&set), payloads(&set));
        }
    }

    #[test]
    fn a_wrapper_that_a_broker_would_drop_goes_as_plain_messages() {
        let mut set = builder(Compression::Gzip, 20);
        let noise: Vec<Vec<u8>> = (0..4_u8).map(|k| vec![k.wrapping_mul(97); 15]).collect();
        noise.iter().for_each(|payload| set.append(Some(payload)));
        let set = sealed(set);
        assert_eq!((set.compression, payloads(&set)), (Compression::None, noise.clone()));
        assert_eq!(kept(&set), noise);
    }

    #[test]
    fn codecs_of_later_releases_and_empty_sets_are_refused() {
        for codec in [Compression::Lz4, Compression::Zstd] {
            let error = SetBuilder::in_buffer(codec, None, 1, BytesMut::new()).unwrap_err();
            assert_eq!(error.code(), Code::UNSUPPORTED_FEATURE);
            assert!(error.message().contains("Kafka 0.7"), "{error}");
        }
        let error = builder(Compression::None, 1).seal_into(BytesMut::with_capacity).unwrap_err();
        assert_eq!(error.code(), Code::INVALID_STATE);
    }
}
