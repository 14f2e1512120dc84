//! The CRC-32C of a batch whose header changes after its records were summed.
//!
//! A batch's CRC covers most of its header and then all records. The header is written last, and once
//! more when the producer's identity is stamped into it; the records are summed once, while they are
//! still in the processor's caches. Two sums become that of both pieces by arithmetic: the first is
//! multiplied by xⁿ modulo the polynomial, where n is the number of bits behind it.

/// The Castagnoli polynomial, bits reversed: the highest bit stands for x⁰.
const POLYNOMIAL: u32 = 0x82f6_3b78;
const ONE: u32 = 1 << 31;

/// x to the power 2ᵏ, for every k that a length in bits can have.
const POWERS: [u32; 64] = powers();

const fn powers() -> [u32; 64] {
    let mut powers = [ONE >> 1; 64];
    let mut k = 1;
    while k < powers.len() {
        powers[k] = multiply(powers[k - 1], powers[k - 1]);
        k += 1;
    }
    powers
}

/// The product of two polynomials, modulo the third.
const fn multiply(a: u32, mut b: u32) -> u32 {
    let (mut product, mut term) = (0, ONE);
    while term != 0 {
        // Without a branch: the bits of a checksum cannot be foretold.
        product ^= b & ((a & term != 0) as u32).wrapping_neg();
        b = (b >> 1) ^ (POLYNOMIAL & (b & 1).wrapping_neg());
        term >>= 1;
    }
    product
}

/// The CRC-32C of two pieces of which one follows the other, `length` bytes long.
pub(super) fn combine(first: u32, second: u32, length: usize) -> u32 {
    let (mut shift, mut left, mut k) = (ONE, length, 3); // eight bits a byte
    while left != 0 {
        if left & 1 != 0 {
            shift = multiply(shift, POWERS[k]);
        }
        left >>= 1;
        k += 1;
    }
    multiply(shift, first) ^ second
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_of_two_pieces_make_the_sum_of_both() {
        let bytes: Vec<u8> = (0..70_000_u32).map(|n| (n.wrapping_mul(n) >> 5) as u8).collect();
        let whole = crc32c::crc32c(&bytes);
        for at in [0, 1, 7, 40, 61, 4_096, 65_535, 69_999, 70_000] {
            let (first, second) = bytes.split_at(at);
            let sums = (crc32c::crc32c(first), crc32c::crc32c(second));
            assert_eq!(combine(sums.0, sums.1, second.len()), whole, "cut at {at}");
        }
    }
}
