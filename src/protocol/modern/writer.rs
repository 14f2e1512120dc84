//! Puts a frame together; large byte fields are shared, not copied.

use bytes::{BufMut, Bytes, BytesMut};

use super::Uuid;

/// Shorter byte fields are copied: a segment of its own costs an entry of the vectored write.
const SHARE_FROM: usize = 512;

/// Collects a frame: small fields in one buffer, large byte fields beside it.
///
/// [`Writer::finish`] gives the segments in order, ready for one vectored write.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    own: BytesMut,
    // Where in `own` each shared field belongs, ascending.
    shared: Vec<(usize, Bytes)>,
    shared_length: usize,
}

impl Writer {
    /// An empty frame.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty frame with room for `capacity` bytes besides the shared ones.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { own: BytesMut::with_capacity(capacity), ..Self::default() }
    }

    /// The number of bytes written, the shared ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.own.len() + self.shared_length
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes one byte, 1 or 0.
    pub fn put_bool(&mut self, value: bool) {
        self.own.put_u8(u8::from(value));
    }

    /// Writes one byte.
    pub fn put_i8(&mut self, value: i8) {
        self.own.put_i8(value);
    }

    /// Writes two bytes, most significant first.
    pub fn put_i16(&mut self, value: i16) {
        self.own.put_i16(value);
    }

    /// Writes four bytes, most significant first.
    pub fn put_i32(&mut self, value: i32) {
        self.own.put_i32(value);
    }

    /// Writes eight bytes, most significant first.
    pub fn put_i64(&mut self, value: i64) {
        self.own.put_i64(value);
    }

    /// Writes sixteen bytes.
    pub fn put_uuid(&mut self, value: Uuid) {
        self.own.put_slice(&value.0);
    }

    /// Writes an unsigned varint of one to five bytes.
    pub fn put_unsigned_varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.own.put_u8(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
            value >>= 7;
        }
        self.own.put_u8(u8::try_from(value).unwrap_or(0));
    }

    /// Copies bytes.
    pub fn put_slice(&mut self, bytes: &[u8]) {
        self.own.put_slice(bytes);
    }

    /// Adds a byte field without copying it, unless it is small.
    pub fn put_shared(&mut self, bytes: Bytes) {
        if bytes.len() < SHARE_FROM {
            return self.own.put_slice(&bytes);
        }
        self.shared_length += bytes.len();
        self.shared.push((self.own.len(), bytes));
    }

    /// Adds all that another writer collected, such as one tagged field.
    pub fn put_writer(&mut self, other: &Writer) {
        let start = self.own.len();
        self.own.put_slice(&other.own);
        self.shared_length += other.shared_length;
        self.shared.extend(other.shared.iter().map(|(at, bytes)| (start + at, bytes.clone())));
    }

    /// Overwrites four bytes written before, at `at` in the bytes that are not shared.
    pub(super) fn patch_i32(&mut self, at: usize, value: i32) {
        if let Some(place) = self.own.get_mut(at..at + 4) {
            place.copy_from_slice(&value.to_be_bytes());
        }
    }

    /// The frame, as segments in order; none is empty.
    #[must_use]
    pub fn finish(self) -> Vec<Bytes> {
        let own = self.own.freeze();
        let mut segments = Vec::with_capacity(2 * self.shared.len() + 1);
        let mut start = 0;
        for (at, bytes) in self.shared {
            if at > start {
                segments.push(own.slice(start..at));
            }
            segments.push(bytes);
            start = at;
        }
        if start < own.len() {
            segments.push(own.slice(start..));
        }
        segments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_field_is_a_segment_of_its_own_and_the_same_memory() {
        let large = Bytes::from(vec![7; SHARE_FROM]);
        let mut writer = Writer::new();
        writer.put_i32(1);
        writer.put_shared(large.clone());
        writer.put_shared(large.clone());
        writer.put_shared(Bytes::from_static(b"small"));
        assert_eq!(writer.len(), 4 + 2 * SHARE_FROM + 5);
        let segments = writer.finish();
        assert_eq!(segments.len(), 4);
        assert_eq!(segments[1].as_ptr(), large.as_ptr(), "not copied");
        assert_eq!(segments[2].as_ptr(), large.as_ptr(), "not copied");
        assert_eq!(&segments[3][..], b"small");
    }

    #[test]
    fn a_nested_writer_keeps_the_order_of_its_segments() {
        let large = Bytes::from(vec![7; SHARE_FROM]);
        let mut inner = Writer::new();
        inner.put_i8(2);
        inner.put_shared(large.clone());
        inner.put_i8(3);
        let mut outer = Writer::new();
        outer.put_i8(1);
        outer.put_writer(&inner);
        outer.put_i8(4);
        assert_eq!(outer.len(), 4 + SHARE_FROM);
        let bytes = outer.finish().concat();
        assert_eq!((&bytes[..2], &bytes[bytes.len() - 2..]), (&[1, 2][..], &[3, 4][..]));
    }

    #[test]
    fn an_empty_frame_has_no_segments() {
        assert!(Writer::new().is_empty() && Writer::new().finish().is_empty());
    }
}
