//! A cluster of embedded brokers, a client of it, and short words for what tests do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use samsa::cluster::Cluster;
use samsa::config::Config;
use samsa::consumer::{Batch, Consumer, Name, Position};
use samsa::embedded::{self, Fault, FaultKind, Options};
use samsa::protocol::record::{
    Assignment, BatchBuilder, Compression, Format, NewRecord, assign_offsets,
};
use samsa::{Code, Error, Result};

/// API keys as faults take them.
pub(crate) const FETCH: i16 = 1;
pub(crate) const LIST_OFFSETS: i16 = 2;

/// No test waits longer than this for something that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Brokers and a client.
pub(crate) struct Rig {
    pub(crate) kafka: embedded::Cluster,
    pub(crate) cluster: Arc<Cluster>,
}

impl Rig {
    /// One broker with topic "t".
    pub(crate) fn new(partitions: i32) -> Self {
        Self::with(Options::default(), partitions)
    }

    pub(crate) fn with(options: Options, partitions: i32) -> Self {
        let kafka = embedded::Cluster::start_with(options).unwrap();
        kafka.create_topic("t", partitions).unwrap();
        let mut config = Config::new();
        config.set("bootstrap.servers", &kafka.address()).unwrap();
        config.set("retry.backoff.ms", "5").unwrap();
        config.set("retry.backoff.max.ms", "50").unwrap();
        config.set("auto.offset.reset", "earliest").unwrap();
        let cluster = Cluster::open(&config).unwrap();
        Self { kafka, cluster }
    }

    /// A consumer with these properties and nothing assigned.
    pub(crate) fn consumer(&self, properties: &[(&str, &str)]) -> Arc<Consumer> {
        let mut overrides = Config::new();
        for (name, value) in properties {
            overrides.set(name, value).unwrap();
        }
        Consumer::new(&self.cluster, Some(&overrides)).unwrap()
    }

    /// A consumer of these partitions of "t", by the policy (earliest).
    pub(crate) fn reader(&self, partitions: &[i32]) -> Arc<Consumer> {
        let consumer = self.consumer(&[]);
        let places: Vec<_> = partitions.iter().map(|&p| place(p)).collect();
        consumer.assign(&places).unwrap();
        consumer
    }

    /// Appends `count` records to a partition of "t", in one batch; record n has the value "n".
    pub(crate) fn write(&self, partition: i32, count: i64) {
        let end = self.kafka.log_end_offset("t", partition).unwrap();
        let bytes = batch(end, count, Compression::None);
        self.kafka.append_raw("t", partition, &bytes).unwrap();
    }

    /// Injects a fault into Fetch requests.
    pub(crate) fn fetch_fault(&self, kind: FaultKind) -> embedded::FaultId {
        self.kafka.inject(Fault::new(kind).api(FETCH).topic("t"))
    }
}

/// A batch whose record n has offset n, the value "n" and the time 1000 + n.
pub(crate) fn batch(offset: i64, count: i64, codec: Compression) -> Vec<u8> {
    let values: Vec<_> = (offset..offset + count).map(|n| n.to_string()).collect();
    let values: Vec<_> = values.iter().map(String::as_bytes).collect();
    batch_of(offset, &values, Format::V2, codec)
}

/// The same with a time (ms) for each record.
pub(crate) fn batch_at(offset: i64, times: &[i64]) -> Vec<u8> {
    let values: Vec<_> = (offset..).take(times.len()).map(|n| n.to_string()).collect();
    let records = times.iter().zip(&values).map(|(time, value)| (*time, value.as_bytes()));
    stored(offset, records, Format::V2, Compression::None)
}

pub(crate) fn batch_of(
    offset: i64,
    values: &[&[u8]],
    format: Format,
    codec: Compression,
) -> Vec<u8> {
    let records = (offset..).zip(values).map(|(n, value)| (1_000 + n, *value));
    stored(offset, records, format, codec)
}

fn stored<'a>(
    offset: i64,
    records: impl Iterator<Item = (i64, &'a [u8])>,
    format: Format,
    codec: Compression,
) -> Vec<u8> {
    let mut builder = BatchBuilder::new(format, codec, None, 1024).unwrap();
    for (timestamp, value) in records {
        let record = NewRecord { timestamp, key: None, value: Some(value), headers: &() };
        builder.append(&record).unwrap();
    }
    let assignment = Assignment {
        base_offset: offset,
        leader_epoch: 0,
        append_time: None,
        check_records: true,
        max_decompressed: 64 << 20,
    };
    let stored = assign_offsets(builder.seal().unwrap().bytes, &assignment).unwrap();
    stored.iter().flat_map(|b| b.bytes.to_vec()).collect()
}

/// A partition of "t".
pub(crate) fn place(partition: impl Into<i64>) -> Position {
    Position::new(Name::new("t").unwrap(), partition.into())
}

pub(crate) fn deadline() -> Instant {
    Instant::now() + PATIENCE
}

/// The next batch; panics when none comes or an error does.
pub(crate) fn poll(consumer: &Consumer) -> Batch {
    consumer.poll(PATIENCE.as_millis() as i32).expect("a batch within the patience of the tests")
}

/// The next error of the consumer; batches before it are dropped.
pub(crate) fn poll_error(consumer: &Consumer) -> Error {
    let limit = deadline();
    while Instant::now() < limit {
        match consumer.poll(1_000) {
            Err(error) if error.code() != Code::NOTHING => return error,
            _ => {}
        }
    }
    panic!("no error came");
}

/// Polls until `count` messages came: their offsets by partition.
pub(crate) fn read(consumer: &Consumer, count: usize) -> BTreeMap<i64, Vec<i64>> {
    let mut offsets = BTreeMap::<i64, Vec<i64>>::new();
    let mut left = count;
    while left > 0 {
        let batch = poll(consumer);
        for record in batch.iter() {
            assert_eq!(record.value(), Some(record.offset().to_string().as_bytes()));
            offsets.entry(record.partition()).or_default().push(record.offset());
        }
        left = left.checked_sub(batch.len()).expect("more messages than were written");
    }
    offsets
}

/// The same of partition 0 alone.
pub(crate) fn read_one(consumer: &Consumer, count: usize) -> Vec<i64> {
    read(consumer, count).remove(&0).unwrap_or_default()
}

/// That a call gave this code.
pub(crate) fn assert_code<T: std::fmt::Debug>(result: Result<T>, code: Code) {
    assert_eq!(result.expect_err("an error").code(), code);
}
