//! What was sent, where its outcome says that it is, and what came back.

use std::collections::BTreeSet;

/// What is promised of each record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// Once, in the order of its thread and partition.
    ExactlyOnce,
    /// At least once; without its repetitions in the order of its thread and partition.
    AtLeastOnce,
}

/// A workload: `threads` threads send `each` records each, in turn to `partitions` partitions.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub threads: u64,
    pub partitions: u64,
    pub each: u64,
    pub promise: Promise,
}

impl Plan {
    /// Records in all.
    pub fn total(&self) -> u64 {
        self.threads * self.each
    }

    /// The partition of the `n`-th record of any thread.
    pub fn partition(&self, n: u64) -> u64 {
        n % self.partitions
    }

    /// The value of the `n`-th record of a thread: its number in all, and as much again.
    pub fn value(&self, thread: u64, n: u64) -> [u8; 40] {
        let mut value = [b'.'; 40];
        value[..8].copy_from_slice(&(thread * self.each + n).to_be_bytes());
        value
    }

    fn number(value: &[u8]) -> u64 {
        let number = value.first_chunk::<8>().expect("a value of ours");
        assert!(value.len() == 40 && value[8..].iter().all(|b| *b == b'.'), "{value:?}");
        u64::from_be_bytes(*number)
    }
}

/// What came back, held against the plan as it comes.
pub struct Reading {
    plan: Plan,
    /// By thread and partition: the next record.
    next: Vec<u64>,
    /// Repetitions, where they are allowed: records by number that came.
    seen: BTreeSet<u64>,
    /// By partition: the offset that the next record has at least.
    offsets: Vec<i64>,
    /// By number: where it was read; −1 not yet.
    places: Vec<i64>,
    /// Records that came for the first time.
    pub distinct: u64,
    /// Records that came again.
    pub repeated: u64,
}

impl Reading {
    pub fn new(plan: Plan) -> Reading {
        let partitions = usize::try_from(plan.partitions).expect("few");
        let lanes = usize::try_from(plan.threads * plan.partitions).expect("few");
        let total = usize::try_from(plan.total()).expect("what memory holds");
        let next = (0..lanes as u64).map(|lane| lane % plan.partitions).collect();
        let (offsets, places) = (vec![0; partitions], vec![-1; total]);
        let seen = BTreeSet::new();
        Reading { plan, next, seen, offsets, places, distinct: 0, repeated: 0 }
    }

    /// A record of the log, in the order of its partition.
    pub fn take(&mut self, partition: i64, offset: i64, value: &[u8]) {
        let number = Plan::number(value);
        let (thread, n) = (number / self.plan.each, number % self.plan.each);
        let at = usize::try_from(partition).expect("a partition");
        assert_eq!(self.plan.partition(n), at as u64, "record {n} of thread {thread} strayed");
        let due = &mut self.offsets[at];
        assert!(offset >= *due, "offset {offset} of partition {partition} came after {due}");
        *due = offset + 1;
        let lane = thread * self.plan.partitions + self.plan.partition(n);
        let next = &mut self.next[usize::try_from(lane).expect("few")];
        if n == *next {
            *next += self.plan.partitions;
            self.distinct += 1;
            self.places[usize::try_from(number).expect("in memory")] = offset;
            return;
        }
        let who = format!("record {n} of thread {thread}, partition {partition}, offset {offset}");
        assert!(n < *next, "{who} came before record {next}: lost or out of order");
        assert!(self.plan.promise == Promise::AtLeastOnce, "{who} came twice");
        self.seen.insert(number);
        self.repeated += 1;
    }

    /// Whether every record came.
    pub fn is_complete(&self) -> bool {
        self.distinct == self.plan.total()
    }

    /// Holds an outcome's offset against the log: −1 is "not known", and a repetition may have taken
    /// the place of the one that was read first.
    pub fn check_outcome(&self, number: u64, offset: i64) {
        let place = self.places[usize::try_from(number).expect("in memory")];
        let fits = offset == -1 || offset == place || self.seen.contains(&number);
        assert!(fits, "record {number} was acknowledged at {offset} and is at {place}");
    }
}
