//! A batch that is complete: what a Produce request carries.

use bytes::{Bytes, BytesMut};

use super::header::{Header, NewRecord, read_headers};
use super::v2::{self, TRANSACTIONAL, at, put};
use super::{BatchBuilder, BatchIter, Compression, DecodedBatch, Format, RecordSpan};
use crate::error::{Code, Error, Result};

/// A batch that is complete, with header and CRC; offsets inside count from 0.
#[derive(Clone, Debug)]
pub struct SealedBatch {
    /// The bytes as they go into the request.
    pub bytes: Bytes,
    /// How many records it holds; never 0.
    pub count: u32,
    /// The largest timestamp in it, −1 for none.
    pub max_timestamp: i64,
    /// The format.
    pub format: Format,
    /// The codec.
    pub compression: Compression,
    /// The CRC-32C of the records as they stand in a v2 batch: a stamp changes the header alone.
    pub(super) records_crc: u32,
}

impl SealedBatch {
    /// Writes the producer's identity into a v2 batch and brings its CRC up to date; v0 and v1 have no
    /// place for it and stay as they are. The records are not touched: any thread may do it.
    ///
    /// Bytes that a socket may still hold are not touched (invariant 4.1): if `bytes` was cloned
    /// and the clone lives, the batch is copied, else it is changed in place.
    pub fn stamp(&mut self, producer_id: i64, epoch: i16, base_sequence: i32, transactional: bool) {
        if self.format != Format::V2 {
            return;
        }
        let mut batch = std::mem::take(&mut self.bytes)
            .try_into_mut()
            .unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        let attributes = self.compression.id() | if transactional { TRANSACTIONAL } else { 0 };
        put(&mut batch, at::ATTRIBUTES, attributes.to_be_bytes());
        put(&mut batch, at::PRODUCER_ID, producer_id.to_be_bytes());
        put(&mut batch, at::PRODUCER_EPOCH, epoch.to_be_bytes());
        put(&mut batch, at::BASE_SEQUENCE, base_sequence.to_be_bytes());
        v2::write_crc_from(&mut batch, self.records_crc);
        self.bytes = batch.freeze();
    }

    /// Decodes the records and encodes them anew: in another format for another broker
    /// (invariant 3.16), with another codec, or in several batches of at most `max_size` bytes
    /// before compression. A record larger than that has a batch of its own. Order and count stay;
    /// the producer's identity does not.
    ///
    /// It touches every record: not for an I/O thread.
    ///
    /// # Errors
    /// UNSUPPORTED_FEATURE for headers or zstd below v2.
    pub fn reencode(
        &self,
        format: Format,
        compression: Compression,
        level: Option<i32>,
        max_size: usize,
    ) -> Result<Vec<SealedBatch>> {
        let mut sealed = Vec::new();
        let mut open = BatchBuilder::new(format, compression, level, 0)?;
        for batch in BatchIter::new(self.bytes.clone()) {
            let batch = batch?.decode(false, usize::MAX)?;
            for record in &batch.records {
                let headers = headers_of(&batch, record)?;
                let record = new_record(&batch, record, &headers);
                if !open.is_empty() && open.size() + open.encoded_size(&record) > max_size {
                    sealed.push(open.seal()?);
                    open = BatchBuilder::new(format, compression, level, 0)?;
                }
                open.append(&record)?;
            }
        }
        sealed.push(open.seal()?);
        let count: u32 = sealed.iter().map(|batch| batch.count).sum();
        if count != self.count {
            let text = format!("a batch of {} records came back as {count}", self.count);
            return Err(Error::new(Code::UNDECODABLE, text));
        }
        Ok(sealed)
    }
}

fn headers_of<'a>(batch: &'a DecodedBatch, record: &RecordSpan) -> Result<Vec<Header<'a>>> {
    let raw = record.headers.of(&batch.buffer).unwrap_or_default();
    read_headers(raw, record.headers_count).collect()
}

fn new_record<'a>(
    batch: &'a DecodedBatch,
    record: &RecordSpan,
    headers: &'a Vec<Header<'_>>,
) -> NewRecord<'a> {
    NewRecord {
        timestamp: record.timestamp,
        key: record.key.of(&batch.buffer),
        value: record.value.of(&batch.buffer),
        headers,
    }
}
