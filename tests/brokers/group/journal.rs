//! What the members of a group read, and whether it is what a group promises.

use std::collections::{BTreeMap, BTreeSet};

/// A member, by the order in which they joined.
pub type MemberIndex = usize;

/// Every reading of every numbered record, in the order in which the members told of them.
#[derive(Debug, Default)]
pub struct Journal {
    /// By partition: who read which number.
    readings: Vec<Vec<(MemberIndex, u64)>>,
    /// Members whose readings others may repeat.
    forgiven: BTreeMap<MemberIndex, Forgiveness>,
}

/// Why what a member read may be read again after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgiveness {
    /// It was killed: others read on from its last commit.
    Killed,
    /// Its client commits too little when it gives a partition up, or reads on after it committed.
    Repeats,
}

impl Journal {
    /// A journal of a topic with so many partitions.
    pub fn new(partitions: usize) -> Journal {
        Journal { readings: vec![Vec::new(); partitions], forgiven: BTreeMap::new() }
    }

    /// A member told of the record with this number in this partition.
    pub fn read(&mut self, member: MemberIndex, partition: usize, number: u64) {
        self.readings[partition].push((member, number));
    }

    /// What this member reads may be read again after it.
    pub fn forgive(&mut self, member: MemberIndex, why: Forgiveness) {
        self.forgiven.entry(member).or_insert(why);
    }

    /// By partition: who read what was numbered `marks` or higher, and the highest number of it.
    pub fn readers_since(&self, marks: &[u64]) -> Vec<(BTreeSet<MemberIndex>, Option<u64>)> {
        let since = |(readings, mark): (&Vec<(MemberIndex, u64)>, &u64)| {
            let new: Vec<_> = readings.iter().filter(|(_, number)| number >= mark).collect();
            let members = new.iter().map(|(member, _)| *member).collect();
            (members, new.iter().map(|(_, number)| *number).max())
        };
        self.readings.iter().zip(marks).map(since).collect()
    }

    /// Whether every number below `counts` was read in its partition.
    pub fn is_complete(&self, counts: &[u64]) -> bool {
        self.missing(counts).is_empty()
    }

    /// What breaks the promises, as sentences: a record that nobody read, one that was read again after
    /// a member read it who lived, or one that was never written.
    pub fn faults(&self, counts: &[u64]) -> Vec<String> {
        let mut faults: Vec<String> = self
            .missing(counts)
            .into_iter()
            .map(|(partition, number)| format!("{partition}-{number} was read by nobody"))
            .collect();
        for (partition, readings) in self.readings.iter().enumerate() {
            let mut readers: BTreeMap<u64, Vec<MemberIndex>> = BTreeMap::new();
            readings
                .iter()
                .for_each(|(who, number)| readers.entry(*number).or_default().push(*who));
            for (number, members) in readers {
                if number >= counts[partition] {
                    faults.push(format!("{partition}-{number} was never written"));
                }
                if self.are_too_many(&members) {
                    faults.push(format!("{partition}-{number} was read by members {members:?}"));
                }
            }
        }
        faults
    }

    /// How many readings were repetitions.
    pub fn repetitions(&self) -> usize {
        let repeated = |readings: &Vec<(MemberIndex, u64)>| {
            let distinct: BTreeSet<u64> = readings.iter().map(|(_, number)| *number).collect();
            readings.len() - distinct.len()
        };
        self.readings.iter().map(repeated).sum()
    }

    /// Whether one of these readings, in their order, came after one that was to be the last.
    fn are_too_many(&self, members: &[MemberIndex]) -> bool {
        members.iter().enumerate().any(|(at, member)| match self.forgiven.get(member) {
            None => at + 1 < members.len(),
            Some(Forgiveness::Killed) => members[at + 1..].contains(member),
            Some(Forgiveness::Repeats) => false,
        })
    }

    fn missing(&self, counts: &[u64]) -> Vec<(usize, u64)> {
        let of = |(partition, readings): (usize, &Vec<(MemberIndex, u64)>)| {
            let seen: BTreeSet<u64> = readings.iter().map(|(_, number)| *number).collect();
            let unread = (0..counts[partition]).filter(move |number| !seen.contains(number));
            unread.map(move |number| (partition, number)).collect::<Vec<_>>()
        };
        self.readings.iter().enumerate().flat_map(of).collect()
    }
}

/// The judge itself: it finds what it is there to find, and lets pass what is right.
pub fn the_judge_finds_every_kind_of_fault() {
    use Forgiveness::{Killed, Repeats};
    let faults = |readings: &[(MemberIndex, usize, u64)], why: &[(MemberIndex, Forgiveness)]| {
        let mut journal = journal_of(readings);
        why.iter().for_each(|(who, why)| journal.forgive(*who, *why));
        journal.faults(&[2, 1])
    };
    let all = [(0, 0, 0), (0, 0, 1), (1, 1, 0)];
    assert_eq!(faults(&all, &[]), [""; 0]);
    assert_eq!(faults(&all[..2], &[]), ["1-0 was read by nobody"]);
    let twice = [&all[..], &[(1, 0, 1)]].concat();
    let wrong = ["0-1 was read by members [0, 1]"];
    assert_eq!(faults(&twice, &[]), wrong);
    assert_eq!(faults(&twice, &[(0, Killed)]), [""; 0], "read again after one that was killed");
    assert_eq!(faults(&twice, &[(0, Repeats)]), [""; 0], "or by whom it may be repeated");
    assert_eq!(faults(&twice, &[(1, Killed), (2, Repeats)]), wrong, "but not by just anybody");
    let again = [&all[..], &[(0, 0, 1)]].concat();
    assert_eq!(faults(&again, &[(0, Killed)]), ["0-1 was read by members [0, 0]"]);
    assert_eq!(faults(&again, &[(0, Repeats)]), [""; 0]);
    let invented = [&all[..], &[(1, 1, 7)]].concat();
    assert_eq!(faults(&invented, &[]), ["1-7 was never written"]);

    let journal = journal_of(&twice);
    let readers = journal.readers_since(&[1, 1]);
    assert_eq!(readers, [(BTreeSet::from([0, 1]), Some(1)), (BTreeSet::new(), None)]);
    assert_eq!((journal.repetitions(), journal.is_complete(&[2, 1])), (1, true));
}

fn journal_of(readings: &[(MemberIndex, usize, u64)]) -> Journal {
    let mut journal = Journal::new(2);
    readings.iter().for_each(|(who, partition, number)| journal.read(*who, *partition, *number));
    journal
}
