//! Values that compress as text does: about 2.6 times by LZ4.

const WORDS: [&str; 16] = [
    "alpha", "beta", "gamma", "delta", "order", "price", "user", "status", "shipped", "pending",
    "Berlin", "Paris", "total", "amount", "created", "updated",
];

/// So many values of `size` bytes each; always the same ones.
pub fn lines(count: usize, size: usize) -> impl Iterator<Item = Vec<u8>> {
    let mut state = 1_u64;
    (0..count).map(move |index| {
        let mut line = format!("{{\"id\":{},", index * 7919 % 1_000_003);
        while line.len() < size {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let word = WORDS[(state >> 33) as usize % WORDS.len()];
            line += &format!("\"{word}\":{},", (state >> 40) % 100);
        }
        line.truncate(size);
        line.into_bytes()
    })
}
