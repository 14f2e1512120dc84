//! What tests read from the logs, and write into them behind the protocol's back.

use std::time::Instant;

use bytes::Bytes;

use super::batch::Head;
use super::cluster::Cluster;
use crate::error::{Code, Result};
use crate::protocol::record::{BatchIter, Span, read_headers};

const MAX_DECOMPRESSED: usize = 1 << 30;

/// A record as a partition's log holds it, decompressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// The record's offset.
    pub offset: i64,
    /// Milliseconds since the epoch, −1 when the format has none.
    pub timestamp: i64,
    /// The key, or None.
    pub key: Option<Bytes>,
    /// The value, or None.
    pub value: Option<Bytes>,
    /// Names and values in order.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

impl Cluster {
    /// The first offset that the log has.
    pub fn log_start_offset(&self, topic: &str, partition: i32) -> Result<i64> {
        Ok(self.shared.partition(topic, partition)?.lock().log.start_offset())
    }

    /// The offset that the next record gets.
    pub fn log_end_offset(&self, topic: &str, partition: i32) -> Result<i64> {
        Ok(self.shared.partition(topic, partition)?.lock().log.end_offset())
    }

    /// Waits until the end of the log is at least `offset`; `TIMED_OUT` at the deadline. The topic
    /// may be made meanwhile.
    pub fn wait_log_end(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
        deadline: impl Into<Option<Instant>>,
    ) -> Result<()> {
        let end = || match self.log_end_offset(topic, partition) {
            Err(error) if error.code() == Code::UNKNOWN_TOPIC_OR_PARTITION => Ok(0),
            end => end,
        };
        let why = || {
            let end = end().unwrap_or(0);
            format!("the log of {topic} [{partition}] ends at {end}, not at {offset}")
        };
        self.shared.wait(deadline.into(), &why, &|| Ok(end()? >= offset))
    }

    /// Every batch of the log as stored, oldest first.
    pub fn batches(&self, topic: &str, partition: i32) -> Result<Vec<Bytes>> {
        let partition = self.shared.partition(topic, partition)?;
        let mut state = partition.lock();
        let entries: Vec<_> = state.log.entries().copied().collect();
        Ok(entries.iter().map(|entry| state.log.batch(entry)).collect())
    }

    /// Every record of the log, decompressed, oldest first; those of control batches too.
    ///
    /// `CORRUPT_MESSAGE` or `UNDECODABLE` for what no client could read either.
    pub fn records(&self, topic: &str, partition: i32) -> Result<Vec<StoredRecord>> {
        let mut records = Vec::new();
        for stored in self.batches(topic, partition)? {
            for batch in BatchIter::new(stored) {
                let decoded = batch?.decode(true, MAX_DECOMPRESSED)?;
                let part = |span: Span| {
                    span.of(&decoded.buffer).map(|bytes| decoded.buffer.slice_ref(bytes))
                };
                for record in &decoded.records {
                    let raw = record.headers.of(&decoded.buffer).unwrap_or_default();
                    let headers = read_headers(raw, record.headers_count).map(|header| {
                        let header = header?;
                        let value = header.value.map(Bytes::copy_from_slice);
                        Ok((Bytes::copy_from_slice(header.name), value))
                    });
                    records.push(StoredRecord {
                        offset: record.offset,
                        timestamp: record.timestamp,
                        key: part(record.key),
                        value: part(record.value),
                        headers: headers.collect::<Result<_>>()?,
                    });
                }
            }
        }
        Ok(records)
    }

    /// Appends batches or old messages as they are, their offsets included, checking nothing but
    /// where each ends: corrupt, compacted or control batches for consumers to meet. The leader
    /// epoch is stamped as with every append.
    pub fn append_raw(&self, topic: &str, partition: i32, batches: &[u8]) -> Result<()> {
        let partition = self.shared.partition(topic, partition)?;
        let mut state = partition.lock();
        let mut rest = batches;
        while !rest.is_empty() {
            let head = Head::read(rest)?;
            let (batch, behind) = rest.split_at(head.length.min(rest.len()));
            let epoch = state.leader_epoch;
            state.log.append_as_is(batch, &head, epoch);
            rest = behind;
        }
        state.wake();
        self.shared.progress.notify_all();
        Ok(())
    }

    /// Drops every batch that reaches `offset`, as the election of a leader without them does.
    pub fn truncate(&self, topic: &str, partition: i32, offset: i64) -> Result<()> {
        let partition = self.shared.partition(topic, partition)?;
        let mut state = partition.lock();
        state.log.truncate(offset);
        state.producers.truncate(offset);
        state.wake();
        Ok(())
    }

    /// Makes a broker the leader whose log ends before `offset`, as an unclean election does: the
    /// batches that reach it are lost, and the next epoch begins there.
    pub fn elect_unclean(
        &self,
        topic: &str,
        partition: i32,
        broker: i32,
        offset: i64,
    ) -> Result<()> {
        self.shared.seat(broker)?;
        let partition = self.shared.partition(topic, partition)?;
        let mut state = partition.lock();
        state.log.truncate(offset);
        state.producers.truncate(offset);
        state.move_leader(broker);
        drop(state);
        self.shared.progress.notify_all();
        Ok(())
    }

    /// Moves the start of the log to `offset`, as DeleteRecords does.
    pub fn delete_records(&self, topic: &str, partition: i32, offset: i64) -> Result<()> {
        let partition = self.shared.partition(topic, partition)?;
        let mut state = partition.lock();
        state.log.delete_before(offset);
        state.wake();
        Ok(())
    }
}
