//! What `poll` gives: outcomes, record by record.

use std::sync::Arc;

use super::kept::Kept;
use super::outcome::Entry;
use crate::cluster::Topic;
use crate::error::{Code, Error, Persistence, Result};

/// The outcomes of some batches, each record exactly once; in order within a partition.
///
/// Holds the records themselves with `samsa.delivery.keep`; they count against `buffer.memory` until
/// it is dropped.
#[derive(Debug)]
pub struct Deliveries {
    entries: Vec<Entry>,
    /// The index of each entry's first record, and at the end the number of all.
    firsts: Vec<usize>,
}

/// The outcome of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The caller's mark.
    pub opaque: u64,
    /// The partition; on Kafka 0.7 `broker << 32 | number`.
    pub partition: i64,
    /// The offset; −1 if it is not known (not persisted, acks=0, a duplicate).
    pub offset: i64,
    /// The broker's time for topics with log-append time, else the record's own; −1 for none.
    pub timestamp: i64,
    /// 0, or why it failed; [`Deliveries::error`] tells more.
    pub code: Code,
    /// Whether it is on the broker.
    pub status: Persistence,
    /// Which of [`Deliveries::runs`] it belongs to.
    pub run: u32,
}

/// Consecutive records of one partition that shared a batch and a fate.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The topic.
    pub topic: &'a Arc<Topic>,
    /// The partition.
    pub partition: i64,
    /// The index of its first record in [`Deliveries::iter`].
    pub first: usize,
    /// How many records it has.
    pub count: usize,
}

impl Deliveries {
    pub(crate) fn new(entries: Vec<Entry>) -> Self {
        let mut firsts = Vec::with_capacity(entries.len() + 1);
        let mut records = 0;
        for entry in &entries {
            firsts.push(records);
            records += entry.count as usize;
        }
        firsts.push(records);
        Self { entries, firsts }
    }

    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.firsts.last().copied().unwrap_or(0)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every record's outcome.
    pub fn iter(&self) -> impl Iterator<Item = Delivery> {
        self.entries.iter().enumerate().flat_map(|(run, entry)| {
            (0..entry.count).map(move |index| Delivery {
                opaque: entry.tokens.opaque(index),
                partition: entry.partition,
                offset: entry.offset(index),
                timestamp: entry.timestamp(index),
                code: entry.code(index),
                status: entry.outcome.status,
                run: u32::try_from(run).unwrap_or(u32::MAX),
            })
        })
    }

    /// What `make` makes of every record's outcome: as [`iter`](Self::iter), but what records have in common
    /// is looked at once for all of them.
    pub fn list<T>(&self, make: impl Fn(Delivery) -> T) -> Vec<T> {
        let mut list = Vec::with_capacity(self.len());
        for (run, entry) in self.entries.iter().enumerate() {
            let run = u32::try_from(run).unwrap_or(u32::MAX);
            let (partition, status) = (entry.partition, entry.outcome.status);
            let (base, time) = (entry.outcome.base_offset, entry.outcome.log_append_time);
            let (common, step) = (entry.common_code(), i64::from(base >= 0));
            entry.tokens.runs(entry.count, |indexes, opaques, timestamp| {
                let timestamp = if time >= 0 { time } else { timestamp };
                let one = |index: u32, opaque, code| {
                    let offset = base.max(-1).saturating_add(step * i64::from(index));
                    make(Delivery { opaque, partition, offset, timestamp, code, status, run })
                };
                match common {
                    Some(code) if opaques.is_empty() => {
                        list.extend(indexes.map(|index| one(index, 0, code)));
                    }
                    Some(code) => {
                        list.extend(indexes.zip(opaques).map(|(at, mark)| one(at, *mark, code)));
                    }
                    None => list
                        .extend(indexes.map(|index| {
                            one(index, entry.tokens.opaque(index), entry.code(index))
                        })),
                }
            });
        }
        list
    }

    /// The batches, as runs of consecutive records.
    pub fn runs(&self) -> impl Iterator<Item = Run<'_>> {
        self.entries.iter().zip(&self.firsts).map(|(entry, first)| Run {
            topic: &entry.topic,
            partition: entry.partition,
            first: *first,
            count: entry.count as usize,
        })
    }

    /// Why the record at `index` failed; none if it did not, or there is no such record.
    #[must_use]
    pub fn error(&self, index: usize) -> Option<Error> {
        let (entry, at) = self.find(index)?;
        self.entries.get(entry)?.error(at)
    }

    /// The record at `index` itself, whatever became of it. The first call for a batch decodes it.
    ///
    /// # Errors
    /// INVALID_ARGUMENT if there is no such record, INVALID_STATE without `samsa.delivery.keep`.
    pub fn record(&self, index: usize) -> Result<Kept<'_>> {
        let found = self.find(index).and_then(|(at, record)| Some((self.entries.get(at)?, record)));
        let Some((entry, at)) = found else {
            let text = format!("there is no delivery {index}: there are {}", self.len());
            return Err(Error::new(Code::INVALID_ARGUMENT, text));
        };
        let Some(kept) = &entry.kept else {
            let text = "records are kept for their delivery only with samsa.delivery.keep=true";
            return Err(Error::new(Code::INVALID_STATE, text).with_property("samsa.delivery.keep"));
        };
        kept.record(at as usize)
    }

    /// The entry of a record, and its place in it.
    fn find(&self, index: usize) -> Option<(usize, u32)> {
        if index >= self.len() {
            return None;
        }
        let entry = self.firsts.partition_point(|first| *first <= index).checked_sub(1)?;
        let at = index - self.firsts.get(entry)?;
        Some((entry, u32::try_from(at).ok()?))
    }
}
