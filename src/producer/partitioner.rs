//! Which partition a record goes to when the caller does not say.
//!
//! Java's default: a key decides by murmur2 over **all** partitions, dead ones included, so that keys
//! stay where they are when a broker dies; without a key records stick to one partition that has a
//! leader, and move on by bytes (KIP-480, KIP-794; invariant 4.17).

use std::fmt;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::record::Record;
use crate::error::{Code, Error, Result};

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

/// The partition of a key among `partitions` (> 0), as Java's default partitioner chooses it.
#[inline]
#[must_use]
pub fn keyed(key: &[u8], partitions: u32) -> i32 {
    ((murmur2(key) & 0x7fff_ffff) % partitions.max(1)) as i32
}

/// The application's own choice for records that name no partition; runs on the sending thread, under no
/// lock. Attach it to a [`Config`](crate::config::Config): producers made with it ask it first.
pub struct CustomPartitioner {
    choose: Choose,
}

/// Gives the partition of a record among so many, or none to leave it to the property `partitioner`.
type Choose = Box<dyn Fn(&Record<'_>, u32) -> Option<i64> + Send + Sync>;

impl CustomPartitioner {
    /// A partitioner that asks `choose`, which gives a partition below the count it is told, or none.
    pub fn new(choose: impl Fn(&Record<'_>, u32) -> Option<i64> + Send + Sync + 'static) -> Self {
        Self { choose: Box::new(choose) }
    }

    /// The partition chosen.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for a partition that the topic has not.
    pub(crate) fn choose(&self, record: &Record<'_>, partitions: u32) -> Result<Option<i32>> {
        let Some(chosen) = (self.choose)(record, partitions) else { return Ok(None) };
        match i32::try_from(chosen) {
            Ok(partition) if (0..i64::from(partitions)).contains(&chosen) => Ok(Some(partition)),
            _ => {
                let name = record.topic.name();
                let text = format!(
                    "the partitioner callback chose partition {chosen} of topic {name}, which has \
                     {partitions}"
                );
                Err(Error::new(Code::INVALID_ARGUMENT, text)
                    .with_topic(&**name)
                    .with_partition(chosen))
            }
        }
    }
}

impl fmt::Debug for CustomPartitioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomPartitioner")
    }
}

/// Whether records without a key leave a partition that took `bytes` since they came to it:
/// once a batch's worth is there and the batch is complete, and at two batches' worth at the latest.
/// (Per batch alone, the slowest broker, whose batches linger longest, would get the most.)
#[inline]
#[must_use]
pub(crate) fn moves_on(bytes: usize, batch_complete: bool, batch_size: usize) -> bool {
    (batch_complete && bytes >= batch_size) || bytes >= batch_size.saturating_mul(2)
}

/// Where a topic's records without a key go now.
#[derive(Debug)]
pub(crate) struct Sticky {
    /// The partition, −1 before the first choice. The bytes it took are counted in its queue, whose
    /// lock the sender holds anyway.
    current: AtomicI32,
    available: Mutex<Arc<[i32]>>,
    draws: AtomicU64,
}

impl Sticky {
    /// `seed` sets topics and producers apart, so that they do not all begin with one partition.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            current: AtomicI32::new(-1),
            available: Mutex::new(Arc::from([])),
            draws: AtomicU64::new(seed),
        }
    }

    /// The partition in force, chosen now if there is none; `partitions` is the topic's count (> 0).
    #[inline]
    pub(crate) fn current(&self, partitions: u32) -> i32 {
        match self.current.load(Ordering::Relaxed) {
            -1 => self.leave(-1, partitions),
            current => current,
        }
    }

    /// Chooses anew if `from` is still the one in force, and gives the one that is.
    ///
    /// Two threads that find the same partition full both call this: only the first moves on.
    #[cold]
    pub(crate) fn leave(&self, from: i32, partitions: u32) -> i32 {
        let next = self.draw(from, partitions);
        match self.current.compare_exchange(from, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => next,
            Err(other) => other,
        }
    }

    /// Any of the partitions with a leader, whatever was chosen before.
    pub(crate) fn any(&self, partitions: u32) -> i32 {
        self.draw(-1, partitions)
    }

    /// Notes which partitions have a leader; records leave one that has none any more.
    pub(crate) fn set_available(&self, available: Vec<i32>, partitions: u32) {
        let available: Arc<[i32]> = available.into();
        *self.lock() = Arc::clone(&available);
        let current = self.current.load(Ordering::Relaxed);
        if current != -1 && !available.is_empty() && !available.contains(&current) {
            self.leave(current, partitions);
        }
    }

    /// A partition with a leader, another than `from` if there is one; any if none has a leader.
    fn draw(&self, from: i32, partitions: u32) -> i32 {
        let draw = mix(self.draws.fetch_add(1, Ordering::Relaxed));
        let available = Arc::clone(&self.lock());
        let others = available.len() - usize::from(available.contains(&from));
        let pick = |among: usize| (draw % among.max(1) as u64) as usize;
        match others {
            0 if available.is_empty() => pick(partitions as usize) as i32,
            0 => available[0],
            _ => {
                let mut rest = available.iter().filter(|partition| **partition != from);
                rest.nth(pick(others)).copied().unwrap_or(0)
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Arc<[i32]>> {
        self.available.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// SplitMix64's finalizer: spreads a counter.
fn mix(counter: u64) -> u64 {
    let mut z = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
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
    fn rule_4_17_keys_count_all_partitions_whoever_leads_them() {
        let sticky = Sticky::new(1);
        let before: Vec<i32> = (0..100_u32).map(|key| keyed(&key.to_be_bytes(), 12)).collect();
        sticky.set_available(vec![3], 12);
        let after: Vec<i32> = (0..100_u32).map(|key| keyed(&key.to_be_bytes(), 12)).collect();
        assert_eq!(before, after);
        assert!(before.iter().all(|partition| (0..12).contains(partition)));
        assert_eq!(keyed(b"foobar", 1), 0);
    }

    #[test]
    fn rule_4_17_without_a_key_only_partitions_with_a_leader_are_chosen() {
        let sticky = Sticky::new(7);
        sticky.set_available(vec![2, 5, 9], 12);
        let mut from = sticky.current(12);
        for _ in 0..100 {
            assert!([2, 5, 9].contains(&from), "{from} has no leader");
            let next = sticky.leave(from, 12);
            assert_ne!(next, from, "it moves while there is another");
            from = next;
        }
    }

    #[test]
    fn a_partition_that_loses_its_leader_is_left_at_once() {
        let sticky = Sticky::new(7);
        sticky.set_available(vec![0, 1], 2);
        let first = sticky.current(2);
        sticky.set_available(vec![1 - first], 2);
        assert_eq!(sticky.current(2), 1 - first);
        sticky.set_available(vec![], 2);
        assert_eq!(sticky.current(2), 1 - first, "with no leader at all it stays and waits");
    }

    #[test]
    fn only_the_first_of_two_threads_moves_on() {
        let sticky = Sticky::new(3);
        sticky.set_available((0..8).collect(), 8);
        let from = sticky.current(8);
        let next = sticky.leave(from, 8);
        assert_eq!(sticky.leave(from, 8), next, "the second comes along instead of moving again");
    }

    #[test]
    fn rule_4_17_records_move_on_by_bytes_and_when_the_batch_is_complete() {
        assert!(!moves_on(9_999, true, 10_000), "complete, but less than a batch's worth");
        assert!(!moves_on(10_001, false, 10_000), "a batch's worth, but it is not complete");
        assert!(moves_on(10_000, true, 10_000));
        assert!(moves_on(20_000, false, 10_000), "two batches' worth at the latest");
    }
}
