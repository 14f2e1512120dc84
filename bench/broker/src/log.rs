//! The log that every partition of every topic has.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use samsa::protocol::record::{BatchBuilder, Format, NewRecord};

use crate::options::Options;
use crate::text;

/// The end of an endless log.
const FAR: i64 = 1 << 40;
/// Plain bytes of a batch.
const BATCH_BYTES: usize = 500_000;
/// The most bytes of one partition in an answer.
const RUN_BYTES: usize = 4 << 20;
/// From here on an answer shares the log's memory. Smaller ones are copied: the encoder would copy
/// the smallest in any case, and then nothing could be patched.
const SHARE_FROM: usize = 64 << 10;
/// What a record needs besides its value, about.
const RECORD_OVERHEAD: usize = 8;
const TIMESTAMP: i64 = 1_700_000_000_000;

/// One batch, many times in a row.
pub struct Log {
    run: Bytes,
    batch: usize,
    records: i64,
    rate: Option<f64>,
    begin: Instant,
}

/// What a fetch finds.
pub enum Found {
    Nothing,
    /// With their offsets.
    Copied(Bytes),
    /// To be patched when they are written: so many whole batches from this offset on.
    Shared {
        bytes: Bytes,
        base: i64,
    },
}

impl Log {
    pub fn new(options: &Options) -> Result<Self, String> {
        let fitting = (BATCH_BYTES / (options.size + RECORD_OVERHEAD)).max(1);
        let records = match options.rate {
            Some(_) => 1,
            None => options.batch_records.unwrap_or(fitting).max(1),
        };
        let mut batch = BatchBuilder::new(Format::V2, options.codec, options.level, 512)
            .map_err(|e| e.to_string())?;
        for (line, time) in text::lines(records, options.size).zip(TIMESTAMP..) {
            let record = NewRecord { timestamp: time, key: None, value: Some(&line), headers: &() };
            batch.append(&record).map_err(|e| e.to_string())?;
        }
        let batch = batch.seal().map_err(|e| e.to_string())?.bytes;
        let times = (RUN_BYTES / batch.len()).max(1);
        Ok(Self {
            run: Bytes::from(batch.repeat(times)),
            batch: batch.len(),
            records: i64::try_from(records).map_err(|e| e.to_string())?,
            rate: options.rate,
            begin: Instant::now(),
        })
    }

    /// The offset after the last record.
    pub fn end(&self) -> i64 {
        match self.rate {
            None => FAR,
            Some(rate) => (self.begin.elapsed().as_secs_f64() * rate) as i64,
        }
    }

    /// How long until the log has a record at `offset`; None if it never will.
    pub fn until(&self, offset: i64) -> Option<Duration> {
        match self.rate {
            None => Some(Duration::ZERO),
            Some(rate) if rate > 0.0 => {
                let due = Duration::from_secs_f64((offset + 1) as f64 / rate);
                Some(due.saturating_sub(self.begin.elapsed()))
            }
            Some(_) => None,
        }
    }

    /// Whole batches from the one with `offset` on, as many as fit into `room`; if none does, one
    /// in case of `at_least_one`.
    pub fn read(&self, offset: i64, room: usize, at_least_one: bool) -> Found {
        let base = offset - offset % self.records;
        let there = usize::try_from((self.end() - base) / self.records).unwrap_or(0);
        let fitting = (room.min(self.run.len()) / self.batch).max(usize::from(at_least_one));
        let batches = fitting.min(there);
        if batches == 0 {
            return Found::Nothing;
        }
        let bytes = self.run.slice(..batches * self.batch);
        if bytes.len() >= SHARE_FROM {
            return Found::Shared { bytes, base };
        }
        let mut copy = BytesMut::from(&bytes[..]);
        for (batch, base) in copy.chunks_mut(self.batch).zip(self.bases(base)) {
            batch[..8].copy_from_slice(&base.to_be_bytes());
        }
        Found::Copied(copy.freeze())
    }

    /// The base offsets of the batches from `base` on.
    pub fn bases(&self, base: i64) -> impl Iterator<Item = i64> + use<> {
        (base..).step_by(usize::try_from(self.records).unwrap_or(1))
    }

    /// Whether this is memory of the log, to be patched when it is written.
    pub fn owns(&self, bytes: &Bytes) -> bool {
        self.run.as_ptr_range().contains(&bytes.as_ptr())
    }

    pub fn batch_bytes(&self) -> usize {
        self.batch
    }

    /// How many records so many bytes of the log hold.
    pub fn records_in(&self, bytes: usize) -> u64 {
        (bytes / self.batch) as u64 * self.records.unsigned_abs()
    }
}
