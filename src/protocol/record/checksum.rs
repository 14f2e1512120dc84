//! The CRC-32C of a batch whose header changes after its records were summed.
//!
//! A batch's CRC covers most of its header and then all records. The header is written last, and once
//! more when the producer's identity is stamped into it; the records are summed once, while they are
//! still in the processor's caches. Two sums become that of both pieces by arithmetic: the first is
//! multiplied by xⁿ modulo the polynomial, where n is the number of bits behind it.

/// The Castagnoli polynomial, bits reversed: the highest bit stands for x⁰.
const POLYNOMIAL: u32 = 0x82f6_3b78;
const ONE: u32 = 1 << 31;

/// The products of a polynomial with each value of each half byte of another one.
type Products = [[u32; 16]; 8];

/// For x to the power 8·2ᵏ, which shifts by 2ᵏ bytes: a batch is shorter than 2³¹. Two kilobytes of it are
/// used for batches of one size; multiplying bit by bit took a tenth of what a small batch costs.
static SHIFTS: [Products; 31] = shifts();

const fn shifts() -> [Products; 31] {
    let mut shifts = [[[0; 16]; 8]; 31];
    let (mut power, mut k) = (ONE >> 8, 0);
    while k < shifts.len() {
        shifts[k] = products(power);
        power = multiply(&shifts[k], power);
        k += 1;
    }
    shifts
}

const fn products(of: u32) -> Products {
    let mut products = [[0; 16]; 8];
    // The bit behind the highest one stands for x¹, and so on.
    let (mut term, mut bit) = (of, 32);
    while bit > 0 {
        bit -= 1;
        let (half, own) = (bit / 4, 1 << (bit % 4));
        let mut value = 0;
        while value < 16 {
            if value & own != 0 {
                products[half][value] ^= term;
            }
            value += 1;
        }
        term = (term >> 1) ^ (POLYNOMIAL & (term & 1).wrapping_neg());
    }
    products
}

/// The product of two polynomials, modulo the third.
#[inline]
const fn multiply(products: &Products, by: u32) -> u32 {
    let (mut product, mut half) = (0, 0);
    while half < products.len() {
        product ^= products[half][(by >> (4 * half)) as usize & 15];
        half += 1;
    }
    product
}

/// The CRC-32C of two pieces of which one follows the other, `length` bytes long.
pub(super) fn combine(first: u32, second: u32, length: usize) -> u32 {
    let (mut shifted, mut left) = (first, length);
    for shift in &SHIFTS {
        if left & 1 != 0 {
            shifted = multiply(shift, shifted);
        }
        left >>= 1;
        if left == 0 {
            break;
        }
    }
    shifted ^ second
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
