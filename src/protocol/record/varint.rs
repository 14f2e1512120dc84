//! Zigzag varints of record batch v2.

/// The most bytes that a 32-bit varint takes.
pub(super) const MAX_I32: usize = 5;
/// The most bytes that a 64-bit varint takes.
pub(super) const MAX_I64: usize = 10;

#[inline]
pub(super) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[inline]
const fn unzigzag(raw: u64) -> i64 {
    ((raw >> 1) as i64) ^ -((raw & 1) as i64)
}

/// How many bytes `value` takes.
#[inline]
pub(super) const fn len(value: i64) -> usize {
    // 7 bits a byte: ceil(bits / 7), by a multiplication that is exact for 1..=64 bits.
    let bits = 64 - (zigzag(value) | 1).leading_zeros() as usize;
    (bits * 9 + 64) / 64
}

/// What [`put`] wants behind the position it writes at: it stores whole words where that is cheaper.
pub(super) const ROOM: usize = MAX_I64;

/// Writes `value` at `at` and gives the position behind it. The caller leaves [`ROOM`] bytes there; those
/// behind the value may be overwritten.
#[inline(always)]
pub(super) fn put(into: &mut [u8], at: usize, value: i64) -> usize {
    let raw = zigzag(value);
    if raw < 0x80 {
        into[at] = raw as u8;
        return at + 1;
    }
    if raw < 0x4000 {
        let two = (raw as u16 & 0x7f) | 0x80 | (raw as u16 >> 7) << 8;
        into[at..at + 2].copy_from_slice(&two.to_le_bytes());
        return at + 2;
    }
    if raw < 0x20_0000 {
        let raw = raw as u32;
        let three = (raw & 0x7f) | (raw << 1 & 0x7f00) | 0x8080 | raw >> 14 << 16;
        into[at..at + 4].copy_from_slice(&three.to_le_bytes());
        return at + 3;
    }
    put_long(into, at, raw)
}

#[inline(never)]
fn put_long(into: &mut [u8], mut at: usize, mut raw: u64) -> usize {
    while raw >= 0x80 {
        into[at] = raw as u8 | 0x80;
        at += 1;
        raw >>= 7;
    }
    into[at] = raw as u8;
    at + 1
}

/// Reads a 64-bit varint and moves `at` behind it; none if it is cut or longer than ten bytes.
#[inline(always)]
pub(super) fn read_i64(data: &[u8], at: &mut usize) -> Option<i64> {
    let first = *data.get(*at)?;
    if first < 0x80 {
        *at += 1;
        return Some(unzigzag(u64::from(first)));
    }
    let second = *data.get(*at + 1)?;
    if second < 0x80 {
        *at += 2;
        return Some(unzigzag(u64::from(first & 0x7f) | u64::from(second) << 7));
    }
    let (raw, end) = read_long(data, *at, MAX_I64)?;
    *at = end;
    Some(unzigzag(raw))
}

/// Reads a 32-bit varint and moves `at` behind it; none if it is cut or does not fit.
#[inline(always)]
pub(super) fn read_i32(data: &[u8], at: &mut usize) -> Option<i32> {
    Some(unzigzag(u64::from(read_zigzag(data, at)?)) as i32)
}

/// The same, as it stands there: an even number is twice a value of 0 or more, 1 stands for −1.
#[inline(always)]
pub(super) fn read_zigzag(data: &[u8], at: &mut usize) -> Option<u32> {
    let first = *data.get(*at)?;
    if first < 0x80 {
        *at += 1;
        return Some(u32::from(first));
    }
    let second = *data.get(*at + 1)?;
    if second < 0x80 {
        *at += 2;
        return Some(u32::from(first & 0x7f) | u32::from(second) << 7);
    }
    let (raw, end) = read_long(data, *at, MAX_I32)?;
    *at = end;
    u32::try_from(raw).ok()
}

/// The value and where it ends. Out of line and by value, so that the callers' position stays in a
/// register.
#[cold]
#[inline(never)]
fn read_long(data: &[u8], at: usize, most: usize) -> Option<(u64, usize)> {
    let mut raw = 0_u64;
    for (index, &byte) in data.get(at..)?.iter().take(most).enumerate() {
        let bits = u64::from(byte & 0x7f);
        let shifted = bits << (7 * index);
        if shifted >> (7 * index) != bits {
            return None;
        }
        raw |= shifted;
        if byte < 0x80 {
            return Some((raw, at + index + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDGES: [i64; 14] = [
        0,
        -1,
        1,
        -64,
        63,
        64,
        -65,
        8191,
        8192,
        i32::MAX as i64,
        i32::MIN as i64,
        1 << 40,
        i64::MAX,
        i64::MIN,
    ];

    fn encoded(value: i64) -> Vec<u8> {
        let mut into = [0; ROOM];
        let end = put(&mut into, 0, value);
        into[..end].to_vec()
    }

    #[test]
    fn values_at_the_edges_of_each_length_come_back_and_their_length_is_foretold() {
        let powers = (0..63).flat_map(|bit| [1_i64 << bit, -(1_i64 << bit), (1_i64 << bit) - 1]);
        for value in EDGES.into_iter().chain(powers) {
            let bytes = encoded(value);
            let mut at = 0;
            assert_eq!(read_i64(&bytes, &mut at), Some(value));
            assert_eq!((at, len(value)), (bytes.len(), bytes.len()), "{value}");
            for cut in 0..bytes.len() {
                assert_eq!(read_i64(&bytes[..cut], &mut 0), None, "{value} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_32_bit_varint_that_does_not_fit_is_refused() {
        for value in EDGES {
            let read = read_i32(&encoded(value), &mut 0);
            assert_eq!(read, i32::try_from(value).ok(), "{value}");
        }
        assert_eq!(read_i32(&[0x80, 0x80, 0x80, 0x80, 0x80, 0], &mut 0), None, "six bytes");
        assert_eq!(read_i64(&[0xff; 11], &mut 0), None, "never ends");
        let too_much = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert_eq!(read_i64(&too_much, &mut 0), None, "65 bits");
    }
}
