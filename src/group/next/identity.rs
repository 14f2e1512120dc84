//! The id that a member makes for itself (KIP-1082).

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// Another id each time, in this process and in all others: also in a forked child, which has its
/// parent's random numbers (rule 9.1).
pub(super) fn fresh_member() -> Arc<str> {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let seed = (std::process::id(), SystemTime::now(), number);
    let halves = [RandomState::new().hash_one((seed, 0)), RandomState::new().hash_one((seed, 1))];
    Arc::from(text(u128::from(halves[0]) << 64 | u128::from(halves[1])))
}

/// A random UUID in its usual form (RFC 9562, version 4).
fn text(random: u128) -> String {
    let id = (random & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{id:032x}");
    let mut text = String::with_capacity(36);
    for (at, digit) in hex.chars().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rule_9_1_ids_are_random_uuids_and_none_is_made_twice() {
        assert_eq!(text(0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(text(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        let made: BTreeSet<Arc<str>> = (0..1_000).map(|_| fresh_member()).collect();
        assert_eq!(made.len(), 1_000);
    }
}
