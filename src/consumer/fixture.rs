//! What the tests of this room share: a consumer's state without a cluster, batches as brokers
//! store them, and the answers that carry them.

use std::sync::{Arc, Weak};
use std::time::Instant;

use bytes::Bytes;

use super::aborted::Aborted;
use super::budget::{Budget, Lease, Seat, Unread};
use super::core::Core;
use super::decode::{Decoding, Reader, Source};
use super::group::{Part, Steps};
use super::name::Name;
use super::partition::{Item, Marks};
use super::position::Start;
use super::share::Share;
use super::state::{Led, State, Wish};
use crate::cluster::{Cluster, Topic};
use crate::config::{Config, ConsumerConfig, GroupConfig, Reset, TopicConsumerConfig};
use crate::error::{Code, Error};
use crate::group::Listener;
use crate::group::assign::OwnAssignor;
use crate::protocol::modern::Uuid;
use crate::protocol::modern::messages::fetch::{
    FetchResponse, FetchableTopicResponse, PartitionData,
};
use crate::protocol::record::{
    Assignment, BatchBuilder, Compression, Format, NewRecord, assign_offsets,
};

/// The broker that leads every partition of a fixture.
pub(super) const BROKER: i32 = 1;

/// The leader epoch in which every batch of a fixture was appended.
const LEADER_EPOCH: i32 = 5;

/// A batch of `count` records from `offset` on; record n has key "kn" and value "vn".
pub(super) fn batch(offset: i64, count: i64) -> Vec<u8> {
    batch_as(offset, count, Format::V2, Compression::None)
}

/// The same in any format and codec.
pub(super) fn batch_as(offset: i64, count: i64, format: Format, codec: Compression) -> Vec<u8> {
    let mut builder = BatchBuilder::new(format, codec, None, 256).unwrap();
    for n in offset..offset + count {
        let (key, value) = (format!("k{n}"), format!("v{n}"));
        let record = NewRecord {
            timestamp: 1_000 + n,
            key: Some(key.as_bytes()),
            value: Some(value.as_bytes()),
            headers: &(),
        };
        builder.append(&record).unwrap();
    }
    let assignment = Assignment {
        base_offset: offset,
        leader_epoch: LEADER_EPOCH,
        append_time: None,
        check_records: true,
        max_decompressed: 1 << 20,
    };
    let stored = assign_offsets(builder.seal().unwrap().bytes, &assignment).unwrap();
    stored.iter().flat_map(|b| b.bytes.to_vec()).collect()
}

/// Turns a batch v2 into a control batch (its checksum no longer fits).
pub(super) fn as_control(mut batch: Vec<u8>) -> Vec<u8> {
    batch[22] |= 0x20;
    batch
}

/// Puts a batch v2 into a transaction of this producer (its checksum no longer fits).
pub(super) fn in_transaction(mut batch: Vec<u8>, producer: i64) -> Vec<u8> {
    batch[22] |= 0x10;
    batch[43..51].copy_from_slice(&producer.to_be_bytes());
    batch
}

/// The marker that ends a transaction (its checksum does not fit).
pub(super) fn marker(offset: i64, producer: i64, commits: bool) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Format::V2, Compression::None, None, 256).unwrap();
    let key = [0, 0, 0, u8::from(commits)];
    let value = Some(&[0_u8; 6][..]);
    builder.append(&NewRecord { timestamp: 0, key: Some(&key), value, headers: &() }).unwrap();
    let mut bytes = builder.seal().unwrap().bytes.to_vec();
    bytes[..8].copy_from_slice(&offset.to_be_bytes());
    bytes[12..16].copy_from_slice(&LEADER_EPOCH.to_be_bytes());
    as_control(in_transaction(bytes, producer))
}

/// Default settings, without a cluster.
pub(super) fn config() -> ConsumerConfig {
    ConsumerConfig::from(&Config::new()).unwrap()
}

/// A state with `count` partitions of topic "t", all led by [`BROKER`] and fetched from offset 0.
pub(super) fn state(count: i64) -> State {
    state_with(count, Reset::Earliest)
}

pub(super) fn state_with(count: i64, auto_offset_reset: Reset) -> State {
    let mut state = State::default();
    let topic = Topic::new("t".into(), 0, Weak::new(), false);
    let wish = |number| Wish {
        topic: Arc::clone(&topic),
        name: Name::new("t").unwrap(),
        number,
        start: Start::Offset(0),
        epoch: -1,
        own: TopicConsumerConfig { auto_offset_reset, max_partition_fetch_bytes: 1_000 },
    };
    state.assign((0..count).map(wish).collect());
    for partition in &mut state.partitions {
        partition.follow(BROKER, 3);
    }
    let order = (0..state.partitions.len()).collect();
    state.led.insert(BROKER, Led { order, ..Led::default() });
    state
}

/// Data of a partition that waits to be read.
pub(super) fn waiting(number: i64, records: Vec<u8>) -> Item {
    waiting_within(1 << 20, number, records)
}

/// The same, of a consumer with this limit of memory.
pub(super) fn waiting_within(limit: usize, number: i64, records: Vec<u8>) -> Item {
    let mut source = source();
    source.partition = number;
    let decoding = Decoding { check_crc: true, largest: 1 << 20 };
    let reader = Reader::new(source, (records.into(), 0), decoding, None, keep_within(limit));
    Item::Data(Share::Batches(Box::new(reader)))
}

/// What the tasks of a consumer share, without the tasks, and with a cluster that nobody answers for.
pub(super) fn core(state: State) -> Arc<Core> {
    let mut config = Config::new();
    config.set("bootstrap.servers", "127.0.0.1:1").unwrap();
    let cluster = Cluster::open(&config).unwrap();
    let make = |_: &Arc<Cluster>, _: &GroupConfig, _: Arc<dyn Listener>| {
        Err(Error::bare(Code::INVALID_STATE))
    };
    let part = Part::new(Box::new(make), OwnAssignor::default());
    let core = Core::new(cluster, self::config(), Steps::default(), part);
    *core.lock() = state;
    core
}

fn source() -> Source {
    Source {
        topic: Name::new("t").unwrap(),
        partition: 0,
        marks: Marks { high_watermark: 100, last_stable: 100, log_start: 0 },
    }
}

/// A reader over these bytes from `position` on.
pub(super) fn reader(records: Vec<u8>, position: i64, check_crc: bool) -> Reader {
    reader_without(records, position, check_crc, None)
}

/// The same, without what was aborted.
pub(super) fn reader_without(
    records: Vec<u8>,
    position: i64,
    check_crc: bool,
    aborted: Option<Aborted>,
) -> Reader {
    let decoding = Decoding { check_crc, largest: 1 << 20 };
    Reader::new(source(), (records.into(), position), decoding, aborted, keep())
}

pub(super) fn keep() -> (Arc<Lease>, Arc<Unread>) {
    keep_within(1 << 20)
}

fn keep_within(limit: usize) -> (Arc<Lease>, Arc<Unread>) {
    let seat = Arc::new(Seat::default());
    (Budget::new(limit, &Arc::default()).charge(&seat, 1), Unread::new(&seat))
}

/// One partition's share of an answer.
pub(super) fn share(number: i32, code: i16, records: Vec<u8>) -> PartitionData {
    PartitionData {
        partition_index: number,
        error_code: code,
        high_watermark: 100,
        records: Some(Bytes::from(records)),
        ..PartitionData::default()
    }
}

/// An answer about topic "t".
pub(super) fn answer(partitions: Vec<PartitionData>) -> FetchResponse {
    let topic = FetchableTopicResponse { topic: "t".to_owned(), topic_id: Uuid::ZERO, partitions };
    FetchResponse { responses: vec![topic], ..FetchResponse::default() }
}

/// A moment; tests move it by hand.
pub(super) fn now() -> Instant {
    Instant::now()
}
