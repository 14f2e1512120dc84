//! The hash functions of other clients' partitioners, with exactly their results.

/// Kafka's murmur2 (32 bits, seed 0x9747b28c), as its Java clients compute it.
#[must_use]
pub fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c_u32 ^ key.len() as u32;
    let mut chunks = key.chunks_exact(4);
    for chunk in &mut chunks {
        // chunks_exact gives slices of four; the default is never used.
        let mut k = u32::from_le_bytes(chunk.try_into().unwrap_or_default()).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |tail, byte| tail << 8 | u32::from(*byte));
        hash = (hash ^ tail).wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> 15
}

/// FNV-1a (32 bits), read as a signed number whose sign is dropped: what Sarama does, and librdkafka
/// to agree with it.
pub(super) fn fnv1a(key: &[u8]) -> u32 {
    let hash = key
        .iter()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    (hash as i32).unsigned_abs()
}

/// The SHA-1 of `key`, read as one number of 160 bits, modulo `among` (> 0).
pub(super) fn sha1_modulo(key: &[u8], among: u32) -> u32 {
    let among = u64::from(among.max(1));
    let words = sha1(key);
    // Below 2³² each time, so that nothing overflows; the result is below `among`, which has 32 bits.
    words.iter().fold(0, |rest, word| (rest << 32 | u64::from(*word)) % among) as u32
}

/// SHA-1 (FIPS 180-4), for placing keys and nothing else: it is no longer safe against forgers.
fn sha1(message: &[u8]) -> [u32; 5] {
    let mut state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    let mut chunks = message.chunks_exact(64);
    for chunk in &mut chunks {
        block(&mut state, chunk);
    }
    // The rest, a one bit, zeros, and the length in bits: one block, or two if the length needs it.
    let rest = chunks.remainder();
    let mut last = [0_u8; 128];
    let length = if rest.len() < 56 { 64 } else { 128 };
    let padding = rest.iter().copied().chain([0x80]);
    last.iter_mut().zip(padding).for_each(|(to, byte)| *to = byte);
    let bits = (message.len() as u64).wrapping_mul(8).to_be_bytes();
    last.iter_mut().take(length).rev().zip(bits.iter().rev()).for_each(|(to, byte)| *to = *byte);
    for chunk in last.chunks_exact(64).take(length / 64) {
        block(&mut state, chunk);
    }
    state
}

fn block(state: &mut [u32; 5], chunk: &[u8]) {
    let mut words = [0_u32; 80];
    for (word, bytes) in words.iter_mut().zip(chunk.chunks_exact(4)) {
        *word = u32::from_be_bytes(bytes.try_into().unwrap_or_default());
    }
    for at in 16..80 {
        words[at] =
            (words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16]).rotate_left(1);
    }
    let [mut a, mut b, mut c, mut d, mut e] = *state;
    for (at, word) in words.iter().enumerate() {
        let (mixed, constant) = match at {
            0..20 => (b & c | !b & d, 0x5a82_7999),
            20..40 => (b ^ c ^ d, 0x6ed9_eba1),
            40..60 => (b & c | b & d | c & d, 0x8f1b_bcdc),
            _ => (b ^ c ^ d, 0xca62_c1d6),
        };
        let next = a.rotate_left(5).wrapping_add(mixed).wrapping_add(e);
        let next = next.wrapping_add(constant).wrapping_add(*word);
        (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
    }
    for (sum, part) in state.iter_mut().zip([a, b, c, d, e]) {
        *sum = sum.wrapping_add(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_gives_the_values_of_kafkas_own_test() {
        // org.apache.kafka.common.utils.UtilsTest.testMurmur2
        let golden: [(&[u8], i32); 7] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            (b"abc", 479_470_107),
            (b"", 275_646_681),
        ];
        for (key, hash) in golden {
            assert_eq!(murmur2(key) as i32, hash, "{:?}", String::from_utf8_lossy(key));
        }
    }

    #[test]
    fn sha1_gives_the_values_of_its_standard_and_takes_every_length() {
        let abc = [0xa999_3e36, 0x4706_816a, 0xba3e_2571, 0x7850_c26c, 0x9cd0_d89d];
        assert_eq!(sha1(b"abc"), abc);
        let two = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        assert_eq!(sha1(two), [0x8498_3e44, 0x1c3b_d26e, 0xbaae_4aa1, 0xf951_29e5, 0xe546_70f1]);
        assert_eq!(
            sha1(&[b'a'; 1_000_000]),
            [0x34aa_973c, 0xd4c4_daa4, 0xf61e_eb2b, 0xdbad_2731, 0x6534_016f]
        );
    }
}
