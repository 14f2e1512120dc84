//! A model of what brokers do with the batches of idempotent producers (KIP-98, KIP-360), small enough
//! to be read against Kafka's rules, for the tests of queues.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use crate::protocol::record::BatchIter;

/// How a broker's release judges.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manners {
    /// How many batches of a producer it remembers: one before 1.0.
    pub(super) remembers: usize,
    /// Before 2.5 a producer it does not know has to begin at 0 (error 59).
    pub(super) unknown_begins_at_zero: bool,
}

/// One partition: one log, whoever leads it.
#[derive(Debug, Default)]
pub(super) struct ModelPartition {
    pub(super) leader: i32,
    pub(super) epoch: i32,
    /// The records, by their numbers.
    pub(super) log: Vec<u64>,
    /// Its first offset.
    pub(super) log_start: i64,
    producers: HashMap<i64, Known>,
}

/// What is remembered of a producer: its epoch, and first and last sequence and offset of batches.
#[derive(Debug, Default)]
struct Known {
    epoch: i16,
    batches: VecDeque<(i32, i32, i64)>,
}

fn later(sequence: i32, by: usize) -> i32 {
    ((i64::from(sequence) + by as i64) % (1 << 31)) as i32
}

impl ModelPartition {
    /// Appends a batch, or recognises it; gives its first offset, or an error code.
    pub(super) fn produce(&mut self, bytes: &Bytes, manners: Manners) -> Result<i64, i16> {
        let batch = BatchIter::new(bytes.clone()).next().unwrap().unwrap();
        batch.verify().unwrap();
        let (id, epoch, first) = (batch.producer_id, batch.producer_epoch, batch.base_sequence);
        let records = numbers(bytes);
        let last = later(first, records.len() - 1);
        let end = self.log.len() as i64;
        if id < 0 {
            self.log.extend(records);
            return Ok(end);
        }
        assert!(epoch >= 0 && first >= 0, "{epoch} {first}");
        if let Some(known) = self.producers.get(&id) {
            let same = |at: &&(i32, i32, i64)| (at.0, at.1) == (first, last);
            if epoch < known.epoch {
                return Err(47);
            }
            if epoch > known.epoch {
                if first != 0 {
                    return Err(45);
                }
            } else if let Some(found) = known.batches.iter().find(same) {
                return Ok(found.2);
            } else if known.batches.back().is_some_and(|newest| later(newest.1, 1) != first) {
                return Err(45);
            }
        } else if manners.unknown_begins_at_zero && first != 0 {
            return Err(59);
        }
        self.log.extend(records);
        let known = self.producers.entry(id).or_default();
        if known.epoch != epoch {
            *known = Known { epoch, ..Known::default() };
        }
        known.batches.push_back((first, last, end));
        if known.batches.len() > manners.remembers {
            known.batches.pop_front();
        }
        Ok(end)
    }

    /// Forgets every producer, as a broker does after producer.id.expiration.ms.
    pub(super) fn forget(&mut self) {
        self.producers.clear();
    }

    pub(super) fn move_to(&mut self, leader: i32) {
        (self.leader, self.epoch) = (leader, self.epoch + 1);
    }
}

/// The numbers of a batch's records: each has its own as its value.
pub(super) fn numbers(bytes: &Bytes) -> Vec<u64> {
    let decoded =
        BatchIter::new(bytes.clone()).map(|batch| batch.unwrap().decode(true, usize::MAX));
    let of = |batch: crate::protocol::record::DecodedBatch| {
        let number = |record: &crate::protocol::record::RecordSpan| {
            let value = record.value.of(&batch.buffer).unwrap();
            u64::from_be_bytes(value[..8].try_into().unwrap())
        };
        batch.records.iter().map(number).collect::<Vec<_>>()
    };
    decoded.flat_map(|batch| of(batch.unwrap())).collect()
}
