//! Free choices: records that no key binds to a partition (KIP-480, KIP-794).

use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::load::Loads;

/// Whether records without a key leave a partition that took `bytes` since they came to it:
/// once a batch's worth is there and the batch is complete, and at two batches' worth at the latest.
/// (Per batch alone, the slowest broker, whose batches linger longest, would get the most.)
#[inline]
#[must_use]
pub(crate) fn moves_on(bytes: usize, batch_complete: bool, batch_size: usize) -> bool {
    (batch_complete && bytes >= batch_size) || bytes >= batch_size.saturating_mul(2)
}

/// How many batches wait in a partition's queue; none if its broker takes nothing.
pub(crate) type Backlog<'a> = &'a dyn Fn(i32) -> Option<u32>;

/// So many queues are looked at for each choice on average, so that a thousand partitions do not make
/// choosing dear: their lengths are then older, by a choice for each partition at most.
const LOOKS_PER_CHOICE: usize = 16;

/// Where a topic's free choices fall.
#[derive(Debug)]
pub(crate) struct Sticky {
    /// The partition that records stick to, −1 before the first choice. The bytes it took are counted in
    /// its queue, whose lock the sender holds anyway.
    current: AtomicI32,
    /// How many partitions the topic has if all have a leader, else 0: saves the lock.
    whole: AtomicU32,
    choices: Mutex<Choices>,
    draws: AtomicU64,
    turns: AtomicU64,
    adaptive: bool,
}

#[derive(Debug)]
struct Choices {
    /// The partitions with a leader.
    available: Arc<[i32]>,
    loads: Option<Loads>,
    /// How many choices `loads` is good for.
    good_for: usize,
}

impl Sticky {
    /// `seed` sets topics and producers apart, so that they do not all begin with one partition.
    pub(crate) fn new(seed: u64, adaptive: bool) -> Self {
        Self {
            current: AtomicI32::new(-1),
            whole: AtomicU32::new(0),
            choices: Mutex::new(Choices { available: Arc::from([]), loads: None, good_for: 0 }),
            draws: AtomicU64::new(seed),
            turns: AtomicU64::new(0),
            adaptive,
        }
    }

    /// The partition in force, chosen now if there is none; `partitions` is the topic's count (> 0).
    #[inline]
    pub(crate) fn current(&self, partitions: u32) -> i32 {
        match self.current.load(Ordering::Relaxed) {
            -1 => self.leave(-1, partitions, None),
            current => current,
        }
    }

    /// Chooses anew if `from` is still the one in force, and gives the one that is.
    ///
    /// Two threads that find the same partition full both call this: only the first moves on.
    #[cold]
    pub(crate) fn leave(&self, from: i32, partitions: u32, backlog: Option<Backlog<'_>>) -> i32 {
        let next = self.draw(from, partitions, backlog);
        match self.current.compare_exchange(from, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => next,
            Err(other) => other,
        }
    }

    /// Any of the partitions with a leader, whatever was chosen before.
    pub(crate) fn any(&self, partitions: u32) -> i32 {
        let draw = mix(self.draws.fetch_add(1, Ordering::Relaxed));
        self.one_of(partitions, |among| within(draw, among))
    }

    /// A random number below `among` (> 0).
    pub(crate) fn number_below(&self, among: u32) -> u64 {
        within(mix(self.draws.fetch_add(1, Ordering::Relaxed)), u64::from(among))
    }

    /// The partition with a leader whose turn it is.
    pub(crate) fn turn(&self, partitions: u32) -> i32 {
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        self.one_of(partitions, |among| turn % among)
    }

    /// One of the partitions with a leader; of all if none has one.
    fn one_of(&self, partitions: u32, choose: impl Fn(u64) -> u64) -> i32 {
        if self.whole.load(Ordering::Relaxed) != partitions {
            let choices = self.lock();
            let at = choose(choices.available.len().max(1) as u64) as usize;
            if let Some(partition) = choices.available.get(at) {
                return *partition;
            }
        }
        choose(u64::from(partitions.max(1))) as i32
    }

    /// Notes which partitions have a leader; records leave one that has none any more.
    pub(crate) fn set_available(&self, available: Vec<i32>, partitions: u32) {
        let available: Arc<[i32]> = available.into();
        let whole = available.len() == partitions as usize;
        {
            let mut choices = self.lock();
            choices.available = Arc::clone(&available);
            (choices.loads, choices.good_for) = (None, 0);
            self.whole.store(if whole { partitions } else { 0 }, Ordering::Relaxed);
        }
        let current = self.current.load(Ordering::Relaxed);
        if current != -1 && !available.is_empty() && !available.contains(&current) {
            self.leave(current, partitions, None);
        }
    }

    /// A partition with a leader; any if none has one. By the lengths of the queues if they differ, else
    /// another than `from` if there is one.
    fn draw(&self, from: i32, partitions: u32, backlog: Option<Backlog<'_>>) -> i32 {
        let draw = mix(self.draws.fetch_add(1, Ordering::Relaxed));
        if let Some(backlog) = backlog.filter(|_| self.adaptive) {
            self.look(backlog);
        }
        let choices = self.lock();
        if let Some(loads) = &choices.loads {
            return loads.partition(within(draw, loads.tickets())).unwrap_or(0);
        }
        let available = &choices.available;
        let others = available.len() - usize::from(available.contains(&from));
        match others {
            0 if available.is_empty() => within(draw, u64::from(partitions.max(1))) as i32,
            0 => available[0],
            _ => {
                let mut rest = available.iter().filter(|partition| **partition != from);
                rest.nth(within(draw, others as u64) as usize).copied().unwrap_or(0)
            }
        }
    }

    /// Takes in the lengths of the queues, if those known have become too old.
    fn look(&self, backlog: Backlog<'_>) {
        let available = {
            let mut choices = self.lock();
            if choices.good_for > 0 {
                choices.good_for -= 1;
                return;
            }
            choices.good_for = choices.available.len() / LOOKS_PER_CHOICE;
            Arc::clone(&choices.available)
        };
        // Under no lock of this: the queues have their own.
        let length = |partition: &i32| backlog(*partition).map(|length| (*partition, length));
        let queues: Vec<(i32, u32)> = available.iter().filter_map(length).collect();
        let loads = Loads::new(&queues, available.len());
        let mut choices = self.lock();
        if Arc::ptr_eq(&choices.available, &available) {
            choices.loads = loads;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Choices> {
        self.choices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// SplitMix64's finalizer: spreads a counter.
fn mix(counter: u64) -> u64 {
    let mut z = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// A number below `among` out of 64 random bits.
fn within(random: u64, among: u64) -> u64 {
    ((u128::from(random) * u128::from(among)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_4_17_without_a_key_only_partitions_with_a_leader_are_chosen() {
        let sticky = Sticky::new(7, false);
        sticky.set_available(vec![2, 5, 9], 12);
        let mut from = sticky.current(12);
        for _ in 0..100 {
            assert!([2, 5, 9].contains(&from), "{from} has no leader");
            let next = sticky.leave(from, 12, None);
            assert_ne!(next, from, "it moves while there is another");
            from = next;
            assert!([2, 5, 9].contains(&sticky.any(12)) && [2, 5, 9].contains(&sticky.turn(12)));
        }
    }

    #[test]
    fn a_partition_that_loses_its_leader_is_left_at_once() {
        let sticky = Sticky::new(7, true);
        sticky.set_available(vec![0, 1], 2);
        let first = sticky.current(2);
        sticky.set_available(vec![1 - first], 2);
        assert_eq!(sticky.current(2), 1 - first);
        sticky.set_available(vec![], 2);
        assert_eq!(sticky.current(2), 1 - first, "with no leader at all it stays and waits");
        assert!((0..2).contains(&sticky.any(2)));
    }

    #[test]
    fn only_the_first_of_two_threads_moves_on() {
        let sticky = Sticky::new(3, true);
        sticky.set_available((0..8).collect(), 8);
        let from = sticky.current(8);
        let next = sticky.leave(from, 8, None);
        assert_eq!(
            sticky.leave(from, 8, None),
            next,
            "the second comes along instead of moving again"
        );
    }

    #[test]
    fn rule_4_17_records_move_on_by_bytes_and_when_the_batch_is_complete() {
        assert!(!moves_on(9_999, true, 10_000), "complete, but less than a batch's worth");
        assert!(!moves_on(10_001, false, 10_000), "a batch's worth, but it is not complete");
        assert!(moves_on(10_000, true, 10_000));
        assert!(moves_on(20_000, false, 10_000), "two batches' worth at the latest");
    }

    /// How often each partition is chosen, of `draws` times.
    fn chosen(sticky: &Sticky, partitions: u32, draws: usize, backlog: Backlog<'_>) -> Vec<usize> {
        let mut counts = vec![0; partitions as usize];
        let mut from = sticky.current(partitions);
        for _ in 0..draws {
            from = sticky.leave(from, partitions, Some(backlog));
            counts[from as usize] += 1;
        }
        counts
    }

    #[test]
    fn kip_794_a_long_queue_is_chosen_less_often_and_a_stalled_broker_not_at_all() {
        let sticky = Sticky::new(11, true);
        sticky.set_available((0..4).collect(), 4);
        let backlog = |partition| [Some(0), Some(3), None, Some(1)][partition as usize];
        let counts = chosen(&sticky, 4, 8_000, &backlog);
        assert_eq!(counts[2], 0);
        for (partition, tickets) in [(0, 4), (1, 1), (3, 3)] {
            let expected = tickets * 1_000;
            let off = counts[partition].abs_diff(expected);
            assert!(off < 150, "partition {partition}: {} of {expected}", counts[partition]);
        }
    }

    #[test]
    fn kip_794_without_adaptive_partitioning_queues_do_not_count() {
        let sticky = Sticky::new(11, false);
        sticky.set_available((0..4).collect(), 4);
        let counts = chosen(&sticky, 4, 8_000, &|partition| Some(partition as u32 * 10));
        assert!(counts.iter().all(|count| count.abs_diff(2_000) < 200), "{counts:?}");
    }

    #[test]
    fn kip_794_lengths_are_looked_at_a_few_times_a_choice_however_many_partitions_there_are() {
        let sticky = Sticky::new(11, true);
        sticky.set_available((0..1_000).collect(), 1_000);
        let looks = std::cell::Cell::new(0);
        let backlog = |_| {
            looks.set(looks.get() + 1);
            Some(0)
        };
        chosen(&sticky, 1_000, 630, &backlog);
        assert_eq!(looks.get(), 10_000, "each queue ten times");
    }

    #[test]
    fn random_and_turns_reach_every_partition_equally() {
        let sticky = Sticky::new(5, true);
        sticky.set_available((0..7).collect(), 7);
        let mut counts = [[0_usize; 7]; 2];
        for _ in 0..7_000 {
            counts[0][sticky.any(7) as usize] += 1;
            counts[1][sticky.turn(7) as usize] += 1;
        }
        assert!(counts[0].iter().all(|count| count.abs_diff(1_000) < 150), "{counts:?}");
        assert_eq!(counts[1], [1_000; 7]);
    }
}
