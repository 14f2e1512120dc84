//! Arithmetic on CRC-32C values, for batches whose header changes.
//!
//! A CRC is the remainder of a polynomial over two elements; its bits stand in reverse, so that the
//! highest bit is the coefficient of x⁰. Bytes that follow multiply what came before by x⁸ each.

/// Castagnoli's polynomial without its x³², in reverse.
const POLYNOMIAL: u32 = 0x82f6_3b78;
const ONE: u32 = 1 << 31;

/// The remainders of x^(2^k): enough for 2³¹ bytes.
const POWERS: [u32; 35] = powers();

const fn powers() -> [u32; 35] {
    let mut powers = [0; 35];
    powers[0] = ONE >> 1;
    let mut k = 1;
    while k < powers.len() {
        powers[k] = product(powers[k - 1], powers[k - 1]);
        k += 1;
    }
    powers
}

/// The remainder of a · b.
const fn product(mut a: u32, mut b: u32) -> u32 {
    let mut sum = 0;
    while a != 0 {
        if a & ONE != 0 {
            sum ^= b;
        }
        a <<= 1;
        b = if b & 1 == 0 { b >> 1 } else { (b >> 1) ^ POLYNOMIAL };
    }
    sum
}

/// What a difference between two CRCs becomes when the same `bytes` bytes are appended to both.
pub(super) fn moved(difference: u32, bytes: usize) -> u32 {
    let (mut bits, mut moved) = (bytes as u64 * 8, difference);
    for power in POWERS {
        if bits & 1 == 1 {
            moved = product(power, moved);
        }
        bits >>= 1;
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_moves_over_what_follows() {
        for length in [0, 1, 2, 3, 7, 8, 61, 255, 256, 1_000, 4_096, 65_537, 1 << 20] {
            let tail: Vec<u8> = (0..length).map(|i| (i * 31 % 251) as u8).collect();
            let (one, two) = ([&b"abcd"[..], &tail].concat(), [&b"wxyz"[..], &tail].concat());
            let front = crc32c::crc32c(b"abcd") ^ crc32c::crc32c(b"wxyz");
            let whole = crc32c::crc32c(&one) ^ crc32c::crc32c(&two);
            assert_eq!(moved(front, length), whole, "{length}");
        }
    }
}
