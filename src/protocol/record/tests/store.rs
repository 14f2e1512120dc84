//! What a broker does with produced bytes.

use bytes::Bytes;

use super::super::legacy::{self, NewMessage, append_message};
use super::super::v2::at;
use super::super::{Assignment, StoredBatch, TimestampType, assign_offsets};
use super::*;
use crate::error::Code;

const FIRST: i64 = 5_000_000_000;

fn assignment() -> Assignment {
    Assignment {
        base_offset: FIRST,
        leader_epoch: 4,
        append_time: None,
        check_records: true,
        max_decompressed: CAP,
    }
}

fn stored(bytes: &Bytes) -> StoredBatch {
    let mut stored = assign_offsets(bytes.clone(), &assignment()).expect("stored");
    assert_eq!(stored.len(), 1);
    stored.remove(0)
}

fn code(bytes: &Bytes) -> Code {
    assign_offsets(bytes.clone(), &assignment()).expect_err("refused").code()
}

#[test]
fn every_format_and_codec_gets_its_offsets_and_reads_back() {
    for format in [Format::V0, Format::V1, Format::V2] {
        for codec in Compression::ALL {
            if codec == Compression::Zstd && format != Format::V2 {
                continue;
            }
            let sealed = seal(format, codec, &three());
            let all = assign_offsets(sealed.bytes, &assignment()).expect("stored");
            let bytes: Bytes = all.iter().flat_map(|batch| batch.bytes.to_vec()).collect();
            let offsets: Vec<_> = read_all(&bytes).iter().map(|(offset, _)| *offset).collect();
            assert_eq!(offsets, [FIRST, FIRST + 1, FIRST + 2], "{format} {codec}");
            assert_eq!(all.last().map(|last| last.last_offset), Some(FIRST + 2));
            assert_eq!(all.iter().map(|batch| batch.count).sum::<u32>(), 3);
        }
    }
}

#[test]
fn a_v2_batch_is_stored_as_sent_but_for_offset_and_epoch() {
    let mut sealed = seal(Format::V2, Compression::Zstd, &three());
    sealed.stamp(77, 3, 9, true);
    let stored = stored(&sealed.bytes);
    let batch = only(&stored.bytes);
    assert_eq!((batch.base_offset, batch.partition_leader_epoch), (FIRST, 4));
    assert_eq!(stored.bytes[at::MAGIC..], sealed.bytes[at::MAGIC..]);
    let identity = (stored.producer_id, stored.producer_epoch, stored.base_sequence);
    assert_eq!((identity, stored.transactional), ((77, 3, 9), true));
    assert_eq!(stored.max_timestamp, TIME + 2);
}

#[test]
fn rule_3_15_a_broker_refuses_batches_that_no_producer_may_send() {
    let good = seal(Format::V2, Compression::None, &three()).bytes;
    let invalid = [
        patched_v2(&good, at::LAST_OFFSET_DELTA, 3_u32.to_be_bytes()),
        patched_v2(&good, at::ATTRIBUTES, 0x20_i16.to_be_bytes()),
        patched_v2(&good, at::PRODUCER_ID, 77_i64.to_be_bytes()),
    ];
    for batch in invalid {
        assert_eq!(code(&batch), Code::INVALID_RECORD);
    }
    let append_time = patched_v2(&good, at::ATTRIBUTES, 0x08_i16.to_be_bytes());
    assert_eq!(code(&append_time), Code::INVALID_TIMESTAMP);
    assert_eq!(code(&patched(&good, good.len() - 2, [0])), Code::CORRUPT_MESSAGE);
    assert_eq!(code(&good.slice(..good.len() - 1)), Code::CORRUPT_MESSAGE);
    // attributes of the first record, its timestamp delta, then its offset delta
    let unordered = patched_v2(&good, BATCH_OVERHEAD + 3, [2]);
    assert_eq!(code(&unordered), Code::UNDECODABLE);
}

#[test]
fn whatever_base_offset_a_client_left_is_overwritten() {
    for left in [-1, 7, i64::MIN, i64::MAX - 5] {
        for format in [Format::V0, Format::V2] {
            let one = seal(format, Compression::None, &three()[..1]).bytes;
            let stored = stored(&patched(&one, 0, left.to_be_bytes()));
            assert_eq!(only(&stored.bytes).base_offset, FIRST);
        }
    }
}

#[test]
fn the_time_of_appending_replaces_the_producers() {
    for format in [Format::V1, Format::V2] {
        for codec in [Compression::None, Compression::Gzip] {
            let sealed = seal(format, codec, &three());
            let at_55 = Assignment { append_time: Some(55), ..assignment() };
            for stored in assign_offsets(sealed.bytes, &at_55).expect("stored") {
                assert_eq!(stored.max_timestamp, 55);
                for record in only(&stored.bytes).decode(true, CAP).expect("decodes").records {
                    let time = (record.timestamp, record.timestamp_type);
                    assert_eq!(time, (55, TimestampType::LogAppendTime), "{format} {codec}");
                }
            }
        }
    }
}

#[test]
fn a_wrapper_with_inner_offsets_of_its_own_is_made_anew() {
    // PyKafka leaves −1 everywhere, old clients anything.
    for format in [Format::V0, Format::V1] {
        let mut inner = Vec::new();
        for value in ["a", "b"] {
            let (key, value) = (None, Some(value.as_bytes()));
            let message =
                NewMessage { format, offset: -1, attributes: 0, timestamp: TIME, key, value };
            append_message(&mut inner, &message);
        }
        let mut value = Vec::new();
        Compression::Lz4.compress(None, format, &inner, &mut value).expect("compressed");
        let (attributes, value) = (Compression::Lz4.id(), Some(&value[..]));
        let mut bytes = Vec::new();
        let message =
            NewMessage { format, offset: -1, attributes, timestamp: TIME, key: None, value };
        append_message(&mut bytes, &message);
        let stored = stored(&Bytes::from(bytes));
        assert_eq!((stored.count, stored.last_offset), (2, FIRST + 1));
        let read = read_all(&stored.bytes);
        assert_eq!(read.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [FIRST, FIRST + 1]);
        assert_eq!(read[1].1.value.as_deref(), Some(&b"b"[..]));
    }
}

#[test]
fn a_v1_wrapper_whose_offsets_are_right_keeps_its_bytes() {
    let sealed = seal(Format::V1, Compression::Snappy, &three()).bytes;
    let stored = stored(&sealed);
    assert_eq!(stored.bytes[8..], sealed[8..]);
    assert_eq!(only(&stored.bytes).last_offset, FIRST + 2);
}

#[test]
fn an_inner_message_with_a_wrong_crc_is_refused() {
    let mut inner = Vec::new();
    let (key, value) = (None, Some(&b"v"[..]));
    let format = Format::V1;
    let message = NewMessage { format, offset: 0, attributes: 0, timestamp: TIME, key, value };
    append_message(&mut inner, &message);
    inner[legacy::at::CRC] ^= 1;
    let mut packed = Vec::new();
    Compression::Gzip.compress(None, format, &inner, &mut packed).expect("compressed");
    let mut bytes = Vec::new();
    let attributes = Compression::Gzip.id();
    append_message(&mut bytes, &NewMessage { attributes, value: Some(&packed), ..message });
    assert_eq!(code(&Bytes::from(bytes)), Code::CORRUPT_MESSAGE);
}
