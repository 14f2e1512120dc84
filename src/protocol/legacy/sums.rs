//! CRC-32s of any parts of one buffer, each at about the same cost however long the part is.
//!
//! The CRC of what is in front is kept at every so many bytes. That of a part is what the CRC of all up
//! to its end differs by from the CRC of all before it, moved on by the length of the part: CRCs are
//! polynomials over GF(2), and moving on is a multiplication by a power of x (as zlib's
//! `crc32_combine`).

use bytes::Bytes;

/// So many bytes are between two places whose CRC is kept.
const STEP: usize = 256;

/// The polynomial of CRC-32, least power last.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// x to the power of 0.
const ONE: u32 = 1 << 31;

/// x to the power of 8: one byte.
const BYTE: u32 = 1 << 23;

/// The CRCs of a buffer's parts.
pub(super) struct Sums<'a> {
    bytes: &'a Bytes,
    /// Of what is before each step.
    kept: Vec<u32>,
    /// x to the power of 8 · digit · 256^place: what moves a CRC on by so many bytes.
    moves: [[u32; 256]; 4],
}

impl<'a> Sums<'a> {
    pub(super) fn new(bytes: &'a Bytes) -> Self {
        let mut hasher = crc32fast::Hasher::new();
        let mut kept = vec![0];
        for step in bytes.chunks_exact(STEP) {
            hasher.update(step);
            kept.push(hasher.clone().finalize());
        }
        let (mut moves, mut unit) = ([[ONE; 256]; 4], BYTE);
        for place in &mut moves {
            let mut power = ONE;
            for slot in place {
                *slot = power;
                power = multiplied(power, unit);
            }
            unit = power;
        }
        Self { bytes, kept, moves }
    }

    /// The CRC of the bytes from `start` to `end`, of which there are less than 4 GiB.
    pub(super) fn of(&self, start: usize, end: usize) -> u32 {
        if end - start <= STEP {
            return crc32fast::hash(self.bytes.get(start..end).unwrap_or_default());
        }
        let digits = ((end - start) as u32).to_le_bytes();
        let places = self.moves.iter().zip(digits);
        let moved = places.fold(self.before(start), |sum, (place, digit)| match digit {
            0 => sum,
            digit => multiplied(place.get(usize::from(digit)).copied().unwrap_or(ONE), sum),
        });
        self.before(end) ^ moved
    }

    /// The CRC of all bytes before this place.
    fn before(&self, place: usize) -> u32 {
        let step = place / STEP;
        let kept = self.kept.get(step).copied().unwrap_or_default();
        let mut hasher = crc32fast::Hasher::new_with_initial(kept);
        hasher.update(self.bytes.get(step * STEP..place).unwrap_or_default());
        hasher.finalize()
    }
}

/// The product of two polynomials, modulo that of CRC-32.
fn multiplied(a: u32, mut b: u32) -> u32 {
    let mut product = 0;
    for power in (0..u32::BITS).rev() {
        // All bits or none, without a branch.
        product ^= b & 0_u32.wrapping_sub(a >> power & 1);
        b = b >> 1 ^ POLYNOMIAL & 0_u32.wrapping_sub(b & 1);
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_every_part_is_that_of_its_bytes_alone() {
        let bytes: Bytes = (0..200_000_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
        let sums = Sums::new(&bytes);
        let places = [0, 1, 3, 255, 256, 257, 511, 512, 1_000, 65_536, 70_001, 199_999, 200_000];
        for (at, start) in places.iter().enumerate() {
            for end in &places[at..] {
                let expected = crc32fast::hash(&bytes[*start..*end]);
                assert_eq!(sums.of(*start, *end), expected, "{start}..{end}");
            }
        }
    }
}
