//! How most records are written into a batch v2: without headers, with numbers of at most three bytes.
//!
//! Each number is encoded once, in registers; neighbours leave in one store of eight bytes. That halves
//! the instructions against writing them one after the other, and nothing is loaded that was stored
//! just before.

use super::varint::{MAX_I32, zigzag};

/// A number as it stands in the batch: its bytes, the first one lowest.
#[derive(Clone, Copy)]
struct Number {
    bytes: u64,
    size: usize,
}

impl Number {
    /// None for one that takes more than three bytes.
    #[inline(always)]
    fn of(value: i64) -> Option<Self> {
        let raw = zigzag(value);
        if raw < 0x80 {
            Some(Self { bytes: raw, size: 1 })
        } else if raw < 0x4000 {
            Some(Self { bytes: (raw & 0x7f) | (raw << 1 & 0x7f00) | 0x80, size: 2 })
        } else if raw < 0x20_0000 {
            let bytes = (raw & 0x7f) | (raw << 1 & 0x7f00) | (raw << 2 & 0x7f_0000) | 0x8080;
            Some(Self { bytes, size: 3 })
        } else {
            None
        }
    }

    /// The length field of a key or value.
    #[inline(always)]
    fn of_length(bytes: Option<&[u8]>) -> Option<Self> {
        match bytes {
            None => Some(Self { bytes: 1, size: 1 }), // −1
            Some(bytes) => Self::of(i64::try_from(bytes.len()).ok()?),
        }
    }

    /// This one and behind it `next`; together they take eight bytes at most.
    #[inline(always)]
    fn then(self, next: Self) -> Self {
        Self { bytes: self.bytes | next.bytes << (8 * self.size), size: self.size + next.size }
    }
}

/// A record that is about to be written.
#[derive(Clone, Copy)]
pub(super) struct Plain<'a> {
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    /// The length of what follows it, the attributes, the timestamp.
    front: Number,
    offset: Number,
    key_length: Number,
    value_length: Number,
    body: usize,
}

impl<'a> Plain<'a> {
    /// None if one of its numbers is too large for this way.
    #[inline(always)]
    pub(super) fn new(
        key: Option<&'a [u8]>,
        value: Option<&'a [u8]>,
        timestamp_delta: i64,
        offset_delta: u32,
    ) -> Option<Self> {
        let timestamp = Number::of(timestamp_delta)?;
        let offset = Number::of(i64::from(offset_delta))?;
        let (key_length, value_length) = (Number::of_length(key)?, Number::of_length(value)?);
        let content = key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
        // Attributes and the number of headers take one byte each, both 0.
        let numbers = timestamp.size + offset.size + key_length.size + value_length.size;
        let body = 2 + numbers + content;
        let length = Number::of(i64::try_from(body).ok()?)?;
        let front = length.then(Number { bytes: 0, size: 1 }).then(timestamp);
        Some(Self { key, value, front, offset, key_length, value_length, body })
    }

    /// Its size as every record is measured: as if its length took the most bytes.
    #[inline(always)]
    pub(super) fn at_most(&self) -> usize {
        self.body + MAX_I32
    }

    /// The room that [`write`](Self::write) wants.
    #[inline(always)]
    pub(super) fn room(&self) -> usize {
        self.at_most() + size_of::<u64>()
    }

    /// Writes it to the front of `room` and gives how many bytes it takes.
    #[inline(always)]
    pub(super) fn write(&self, room: &mut [u8]) -> usize {
        let at = put(room, 0, self.front);
        let mut at = match self.key {
            None => put(room, at, self.offset.then(self.key_length).then(self.value_length)),
            Some(key) => {
                let at = put(room, at, self.offset.then(self.key_length));
                let at = copy(room, at, key);
                put(room, at, self.value_length)
            }
        };
        if let Some(value) = self.value {
            at = copy(room, at, value);
        }
        room[at] = 0;
        at + 1
    }
}

#[inline(always)]
fn put(room: &mut [u8], at: usize, number: Number) -> usize {
    room[at..at + 8].copy_from_slice(&number.bytes.to_le_bytes());
    at + number.size
}

#[inline(always)]
fn copy(room: &mut [u8], at: usize, bytes: &[u8]) -> usize {
    let end = at + bytes.len();
    room[at..end].copy_from_slice(bytes);
    end
}

#[cfg(test)]
mod tests {
    use super::super::header::NewRecord;
    use super::super::v2::{self, Measure};
    use super::*;

    #[test]
    fn a_record_looks_the_same_whichever_way_it_is_written() {
        let (small, large) = (vec![b'k'; 63], vec![b'v'; 70_000]);
        let fields = [
            None,
            Some(&[][..]),
            Some(&small[..1]),
            Some(&small),
            Some(&large[..64]),
            Some(&large),
        ];
        let numbers = [0, -1, 63, 64, -64, -65, 8_191, 8_192, 1_048_575, -1_048_576];
        for (key, value) in
            fields.iter().flat_map(|key| fields.iter().map(move |value| (*key, *value)))
        {
            for timestamp in numbers {
                for offset in [0, 63, 64, 8_191, 8_192, 1_000_000] {
                    let record = NewRecord { timestamp, key, value, headers: &() };
                    let measure = Measure::of(&record, timestamp, offset);
                    let mut long = vec![0; measure.room()];
                    let size = v2::write_record(&mut long, &record, &measure);
                    let plain = Plain::new(key, value, timestamp, offset).expect("small numbers");
                    let mut short = vec![0xff; plain.room()];
                    assert_eq!(plain.at_most(), measure.at_most());
                    assert_eq!(plain.write(&mut short), size);
                    assert!(short[..size] == long[..size], "{timestamp} {offset}");
                }
            }
        }
    }

    #[test]
    fn numbers_of_four_bytes_go_the_long_way() {
        assert!(Plain::new(None, None, 1_048_576, 0).is_none());
        assert!(Plain::new(None, None, 0, 1_048_576).is_none());
        assert!(Plain::new(None, Some(&vec![0; 1_048_576]), 0, 0).is_none());
    }
}
