//! Tests of the room as a whole; what concerns one file alone is tested there.

mod messages;
mod round_trip;
mod rules;
mod sealed;
mod store;

use bytes::Bytes;

use super::{
    BATCH_OVERHEAD, BatchBuilder, BatchIter, Compression, DecodedBatch, Format, Header, NewRecord,
    RawBatch, SealedBatch, read_headers,
};

/// More than any test decompresses.
const CAP: usize = 1 << 24;
const TIME: i64 = 1_700_000_000_000;

/// A record that owns its bytes.
#[derive(Clone, Debug, PartialEq)]
struct Owned {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

fn record(timestamp: i64, key: &str, value: &str) -> Owned {
    Owned { timestamp, key: Some(key.into()), value: Some(value.into()), headers: Vec::new() }
}

fn three() -> Vec<Owned> {
    (0..3).map(|n| record(TIME + n, "key", &format!("value {n}"))).collect()
}

fn append(builder: &mut BatchBuilder, record: &Owned) -> crate::Result<()> {
    let headers: Vec<_> = record
        .headers
        .iter()
        .map(|(name, value)| Header { name, value: value.as_deref() })
        .collect();
    builder.append(&NewRecord {
        timestamp: record.timestamp,
        key: record.key.as_deref(),
        value: record.value.as_deref(),
        headers: &headers,
    })
}

fn seal(format: Format, codec: Compression, records: &[Owned]) -> SealedBatch {
    let mut builder = BatchBuilder::new(format, codec, None, 0).expect("a builder");
    for record in records {
        append(&mut builder, record).expect("appended");
    }
    builder.seal().expect("sealed")
}

fn batches(bytes: &Bytes) -> Vec<RawBatch> {
    BatchIter::new(bytes.clone()).collect::<crate::Result<_>>().expect("whole batches")
}

fn only(bytes: &Bytes) -> RawBatch {
    let mut batches = batches(bytes);
    assert_eq!(batches.len(), 1);
    batches.remove(0)
}

/// Every record of every batch, with its offset.
fn read_all(bytes: &Bytes) -> Vec<(i64, Owned)> {
    let decoded = batches(bytes).into_iter().map(|batch| batch.decode(true, CAP).expect("records"));
    decoded.flat_map(|batch| owned(&batch)).collect()
}

fn owned(batch: &DecodedBatch) -> Vec<(i64, Owned)> {
    let own = |span: super::Span| span.of(&batch.buffer).map(<[u8]>::to_vec);
    let each = batch.records.iter().map(|record| {
        let raw = record.headers.of(&batch.buffer).expect("header bytes");
        let headers = read_headers(raw, record.headers_count)
            .map(|header| header.expect("a header"))
            .map(|header| (header.name.to_vec(), header.value.map(<[u8]>::to_vec)))
            .collect();
        let (key, value) = (own(record.key), own(record.value));
        (record.offset, Owned { timestamp: record.timestamp, key, value, headers })
    });
    each.collect()
}

/// `bytes` with other bytes at `at`.
fn patched<const N: usize>(bytes: &Bytes, at: usize, with: [u8; N]) -> Bytes {
    let mut copy = bytes.to_vec();
    copy[at..at + N].copy_from_slice(&with);
    Bytes::from(copy)
}

/// The same, and the CRC of a v2 batch made right again.
fn patched_v2<const N: usize>(bytes: &Bytes, at: usize, with: [u8; N]) -> Bytes {
    let mut copy = patched(bytes, at, with).to_vec();
    super::v2::write_crc(&mut copy);
    Bytes::from(copy)
}
