//! Outcomes: exactly one per record, kept as one entry per batch and expanded by whoever reads them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::accumulator::{Reserved, Tokens};
use super::kept::KeptBatch;
use crate::cluster::Topic;
use crate::error::{Code, Error, Persistence, Result};
use crate::runtime::Signal;

/// What became of a batch.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: Persistence,
    pub(crate) error: Option<Error>,
    /// −1: not known, and then no record has an offset (invariant 4.9).
    pub(crate) base_offset: i64,
    /// −1: each record has its own timestamp.
    pub(crate) log_append_time: i64,
    /// The records that the broker condemned; empty if the error is everybody's.
    pub(crate) records: Vec<RecordError>,
}

/// A record because of which the broker refused its batch (KIP-467).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordError {
    pub(crate) index: u32,
    pub(crate) message: Option<String>,
}

impl Outcome {
    pub(crate) fn persisted(base_offset: i64, log_append_time: i64) -> Self {
        let (status, records) = (Persistence::Persisted, Vec::new());
        Self { status, error: None, base_offset, log_append_time, records }
    }

    /// acks=0: no error, and nobody knows.
    pub(crate) fn unacknowledged() -> Self {
        Self { status: Persistence::PossiblyPersisted, ..Self::persisted(-1, -1) }
    }

    /// The error says what is known of the records.
    pub(crate) fn failed(error: Error) -> Self {
        Self { status: error.persistence(), error: Some(error), ..Self::persisted(-1, -1) }
    }

    pub(crate) fn with_records(mut self, mut records: Vec<RecordError>) -> Self {
        records.sort_by_key(|record| record.index);
        self.records = records;
        self
    }

    /// For a publish: the first offset, or the error.
    pub(crate) fn into_publish(self) -> Result<i64> {
        match self.error {
            None => Ok(self.base_offset),
            Some(error) => Err(match self.records.into_iter().find_map(|record| record.message) {
                Some(message) => {
                    Error::new(error.code(), message).with_persistence(self.status).caused_by(error)
                }
                None => error,
            }),
        }
    }
}

/// The outcome of one batch, with what is needed to tell it record by record.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) topic: Arc<Topic>,
    pub(crate) partition: i64,
    pub(crate) count: u32,
    pub(crate) tokens: Tokens,
    pub(crate) outcome: Outcome,
    /// The records themselves, with `samsa.delivery.keep`.
    pub(crate) kept: Option<Arc<KeptBatch>>,
    /// Unread deliveries count against buffer.memory (invariant 4.12).
    pub(super) room: Option<Reserved>,
}

impl Entry {
    /// What an unread entry takes of memory, in bytes.
    pub(crate) fn cost(tokens: &Tokens) -> usize {
        size_of::<Entry>() + tokens.bytes()
    }

    pub(crate) fn new(
        topic: Arc<Topic>,
        partition: i64,
        count: u32,
        (tokens, mut room): (Tokens, Reserved),
        kept: Option<Arc<KeptBatch>>,
        outcome: Outcome,
    ) -> Self {
        // From here on only the application can free it.
        room.mark_unread();
        Self { topic, partition, count, tokens, outcome, kept, room: Some(room) }
    }

    /// The offset of the record at `index`, −1 if it is not known.
    pub(crate) fn offset(&self, index: u32) -> i64 {
        match self.outcome.base_offset {
            base if base >= 0 => base.saturating_add(index.into()),
            _ => -1,
        }
    }

    /// The broker's time, or else the record's own.
    pub(crate) fn timestamp(&self, index: u32) -> i64 {
        match self.outcome.log_append_time {
            time if time >= 0 => time,
            _ => self.tokens.timestamp(index),
        }
    }

    /// The code of every record, if they have one in common.
    pub(crate) fn common_code(&self) -> Option<Code> {
        self.outcome.records.is_empty().then(|| self.code(0))
    }

    /// The code of the record at `index`.
    pub(crate) fn code(&self, index: u32) -> Code {
        match &self.outcome.error {
            None => Code::NONE,
            Some(_) if self.is_spared(index) => Code::BATCH_REFUSED,
            Some(error) => error.code(),
        }
    }

    /// The whole error of the record at `index`.
    pub(crate) fn error(&self, index: u32) -> Option<Error> {
        let error = self.outcome.error.clone()?;
        if self.is_spared(index) {
            let text = "not written, because the broker refused another record of the same batch: \
                        send it again";
            let spared =
                Error::new(Code::BATCH_REFUSED, text).with_persistence(self.outcome.status);
            return Some(spared.caused_by(error));
        }
        let own = self.condemned(index).and_then(|record| record.message.clone());
        Some(match own {
            Some(message) => Error::new(error.code(), message)
                .with_persistence(self.outcome.status)
                .caused_by(error),
            None => error,
        })
    }

    fn condemned(&self, index: u32) -> Option<&RecordError> {
        let records = &self.outcome.records;
        let at = records.binary_search_by_key(&index, |record| record.index).ok()?;
        records.get(at)
    }

    /// The broker condemned others of the batch: this one can be sent again (invariant 4.8).
    fn is_spared(&self, index: u32) -> bool {
        !self.outcome.records.is_empty() && self.condemned(index).is_none()
    }
}

/// So many records are told at a time, or one batch. An entry takes little memory, however many records
/// it stands for; what a reader makes of them takes some dozen bytes for each.
const TOLD_AT_ONCE: usize = 1 << 20;

/// Where entries wait to be read.
#[derive(Debug)]
pub(crate) struct Outbox {
    entries: Mutex<VecDeque<Entry>>,
    /// Records that were not persisted since the last flush.
    failed: AtomicU64,
    signal: Arc<Signal>,
}

impl Outbox {
    pub(crate) fn new(signal: Arc<Signal>) -> Self {
        Self { entries: Mutex::default(), failed: AtomicU64::new(0), signal }
    }

    /// Adds an entry and wakes who polls.
    pub(crate) fn push(&self, entry: Entry) {
        let first = {
            let mut entries = self.lock();
            entries.push_back(entry);
            entries.len() == 1
        };
        if first {
            self.signal.notify();
        }
    }

    /// What waits, as much as is told at a time; none if nothing does. What is taken no longer counts as
    /// unread, unless its records are kept: those count until they are freed.
    pub(crate) fn take(&self) -> Option<Vec<Entry>> {
        let mut records = 0;
        let mut entries: Vec<Entry> = {
            let mut waiting = self.lock();
            let fits = waiting.iter().take_while(|entry| {
                let before = records;
                records += entry.count as usize;
                before == 0 || records <= TOLD_AT_ONCE
            });
            let count = fits.count();
            if count == waiting.len() {
                std::mem::take(&mut *waiting).into() // as it is, and with its memory
            } else {
                waiting.drain(..count).collect()
            }
        };
        for entry in &mut entries {
            entry.room = None;
        }
        (!entries.is_empty()).then_some(entries)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// How many entries wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    pub(crate) fn count_failed(&self, records: u64) {
        self.failed.fetch_add(records, Ordering::Relaxed);
    }

    /// How many records failed since this was last asked.
    pub(crate) fn take_failed(&self) -> u64 {
        self.failed.swap(0, Ordering::Relaxed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::producer::Deliveries;
    use crate::producer::accumulator::Budget;

    fn entry(outcome: Outcome) -> Entry {
        let budget = Budget::new(10_000, Arc::new(Signal::new()));
        let mut tokens = Tokens::default();
        (0..3).for_each(|index| tokens.push(index, u64::from(index) + 10, 500));
        let room = budget.reserve_anyway(Entry::cost(&tokens));
        Entry::new(Topic::lone("orders", 0), 1, 3, (tokens, room), None, outcome)
    }

    #[test]
    fn rule_4_8_only_the_records_that_the_broker_names_are_condemned() {
        let error = Error::new(Code::INVALID_RECORD, "bad").with_broker("b:1");
        let named = RecordError { index: 1, message: Some("no key".to_owned()) };
        let entry = entry(Outcome::failed(error).with_records(vec![named]));
        let codes = [0, 1, 2].map(|index| entry.code(index));
        assert_eq!(codes, [Code::BATCH_REFUSED, Code::INVALID_RECORD, Code::BATCH_REFUSED]);
        let condemned = entry.error(1).unwrap();
        assert!(condemned.message().starts_with("no key") && !condemned.is_retriable());
        let spared = entry.error(2).unwrap();
        assert!(spared.is_retriable(), "it may be sent again");
        assert_eq!(spared.broker(), Some("b:1"));
    }

    #[test]
    fn rule_4_8_without_names_the_whole_batch_is_condemned() {
        let entry = entry(Outcome::failed(Error::bare(Code::INVALID_RECORD)));
        assert!((0..3).all(|index| entry.code(index) == Code::INVALID_RECORD));
    }

    #[test]
    fn rule_4_9_the_records_own_time_counts_unless_the_broker_has_one() {
        let own = entry(Outcome::persisted(7, -1));
        assert_eq!((own.offset(2), own.timestamp(2)), (9, 500));
        let brokers = entry(Outcome::persisted(7, 900));
        assert_eq!(brokers.timestamp(0), 900);
        assert_eq!(entry(Outcome::persisted(-1, -1)).offset(2), -1);
    }

    #[test]
    fn walking_through_deliveries_gives_what_iterating_gives() {
        let named = RecordError { index: 1, message: None };
        let refused = Outcome::failed(Error::bare(Code::INVALID_RECORD)).with_records(vec![named]);
        let outcomes = [Outcome::persisted(7, -1), refused, Outcome::persisted(-1, 900)];
        let deliveries = Deliveries::new(outcomes.into_iter().map(entry).collect());
        let listed = deliveries.list(|delivery| delivery);
        assert_eq!((listed.len(), listed), (9, deliveries.iter().collect()));
    }

    #[test]
    fn what_piled_up_unread_is_told_a_million_records_at_a_time() {
        let outbox = Outbox::new(Arc::new(Signal::new()));
        for count in [600_000, 400_000, 600_000, 5_000_000, 1] {
            outbox.push(Entry { count, ..entry(Outcome::persisted(0, -1)) });
        }
        let mut told = Vec::new();
        while let Some(entries) = outbox.take() {
            told.push(entries.iter().map(|entry| entry.count).collect::<Vec<_>>());
        }
        assert_eq!(told, [vec![600_000, 400_000], vec![600_000], vec![5_000_000], vec![1]]);
        assert!(outbox.is_empty());
    }

    #[test]
    fn without_an_acknowledgement_there_is_no_error_and_no_certainty() {
        let entry = entry(Outcome::unacknowledged());
        assert_eq!((entry.code(0), entry.offset(0)), (Code::NONE, -1));
        assert_eq!(entry.outcome.status, Persistence::PossiblyPersisted);
    }
}
