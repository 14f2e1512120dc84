//! Rules that messages v0 and v1 must keep, and those between formats.

use bytes::Bytes;

use super::super::TimestampType;
use super::super::legacy::{self, NewMessage, append_message};
use super::*;
use crate::error::{Code, Error};

fn message(format: Format, offset: i64, attributes: i16, value: &[u8]) -> Vec<u8> {
    let mut buffer = Vec::new();
    let new = NewMessage {
        format,
        offset,
        attributes,
        timestamp: TIME.saturating_add(offset),
        key: None,
        value: Some(value),
    };
    append_message(&mut buffer, &new);
    buffer
}

/// A gzip wrapper around messages with these offsets.
fn wrapper(format: Format, offset: i64, inner: &[i64], attributes: i16) -> Bytes {
    let inner: Vec<u8> = inner.iter().flat_map(|at| message(format, *at, 0, b"inner")).collect();
    wrap(format, offset, &inner, attributes)
}

fn wrap(format: Format, offset: i64, inner: &[u8], attributes: i16) -> Bytes {
    let mut value = Vec::new();
    Compression::Gzip.compress(None, format, inner, &mut value).expect("compressed");
    Bytes::from(message(format, offset, attributes | Compression::Gzip.id(), &value))
}

fn offsets(bytes: &Bytes) -> Result<Vec<i64>, Error> {
    let decoded = only(bytes).decode(true, CAP)?;
    Ok(decoded.records.iter().map(|record| record.offset).collect())
}

#[test]
fn rule_3_6_offsets_inside_a_v1_wrapper_count_from_the_last_and_gaps_stay() {
    let bytes = wrapper(Format::V1, 109, &[0, 1, 5, 9], 0);
    assert_eq!(offsets(&bytes).expect("decodes"), [100, 101, 105, 109]);
    assert_eq!(only(&bytes).open(true, CAP).expect("opens").next_offset(), 110);
}

#[test]
fn rule_3_6_a_v1_wrapper_at_offset_0_leaves_the_inner_offsets_as_they_are() {
    let bytes = wrapper(Format::V1, 0, &[7, 8], 0);
    assert_eq!(offsets(&bytes).expect("decodes"), [7, 8]);
    assert_eq!(only(&bytes).open(true, CAP).expect("opens").next_offset(), 9);
}

#[test]
fn rule_3_6_a_v1_wrapper_below_its_last_inner_offset_is_corrupt() {
    let error = offsets(&wrapper(Format::V1, 3, &[0, 4], 0)).expect_err("3 < 4");
    assert_eq!(error.code(), Code::UNDECODABLE);
}

#[test]
fn rule_3_6_offsets_inside_a_wrapper_rise_and_leave_room_for_the_next() {
    for format in [Format::V0, Format::V1] {
        for inner in [&[5, 5][..], &[6, 5], &[5, i64::MAX]] {
            let error = offsets(&wrapper(format, 109, inner, 0)).expect_err("no order");
            assert_eq!(error.code(), Code::UNDECODABLE, "{inner:?}");
        }
    }
    let error = offsets(&wrapper(Format::V1, 0, &[0, i64::MAX], 0)).expect_err("no next offset");
    assert_eq!(error.code(), Code::UNDECODABLE);
}

#[test]
fn rule_3_6_offsets_inside_a_v0_wrapper_are_absolute() {
    let bytes = wrapper(Format::V0, 109, &[100, 101, 109], 0);
    assert_eq!(offsets(&bytes).expect("decodes"), [100, 101, 109]);
}

#[test]
fn rule_3_6_compression_inside_compression_is_corrupt() {
    for format in [Format::V0, Format::V1] {
        let nested = wrap(format, 0, &wrapper(format, 0, &[0], 0), 0);
        let error = offsets(&nested).expect_err("nested");
        assert!(error.message().contains("inside a compressed message"), "{error}");
    }
}

#[test]
fn a_wrapper_holds_messages_of_its_own_format_and_at_least_one() {
    let mixed = wrap(Format::V1, 0, &message(Format::V0, 0, 0, b"old"), 0);
    assert!(offsets(&mixed).is_err());
    assert!(offsets(&wrap(Format::V1, 0, b"", 0)).is_err());
    let cut = &message(Format::V1, 0, 0, b"cut")[..30];
    assert!(offsets(&wrap(Format::V1, 0, cut, 0)).is_err());
}

#[test]
fn rule_3_7_the_wrappers_time_of_appending_is_that_of_every_inner_message() {
    let appended =
        only(&wrapper(Format::V1, 105, &[0, 5], 0x08)).decode(true, CAP).expect("decodes");
    for record in appended.records {
        let time = (record.timestamp, record.timestamp_type);
        assert_eq!(time, (TIME + 105, TimestampType::LogAppendTime));
    }
    let created = only(&wrapper(Format::V1, 105, &[0, 5], 0)).decode(true, CAP).expect("decodes");
    let times: Vec<_> = created.records.iter().map(|record| record.timestamp).collect();
    assert_eq!(times, [TIME, TIME + 5], "create time is each message's own");
}

#[test]
fn rule_3_9_the_crc_of_a_message_covers_it_from_the_magic_on() {
    for format in [Format::V0, Format::V1] {
        let good = Bytes::from(message(format, 3, 0, b"value"));
        for position in (0..8).chain(12..good.len()) {
            let bytes = patched(&good, position, [good[position] ^ 0x40]);
            let Some(Ok(batch)) = BatchIter::new(bytes).next() else { continue };
            assert_eq!(batch.verify().is_err(), position >= 12, "{format} byte {position}");
        }
    }
}

#[test]
fn rule_3_9_inner_messages_have_a_crc_of_their_own() {
    let mut inner = message(Format::V1, 0, 0, b"inner");
    let last = inner.len() - 1;
    inner[last] ^= 1;
    let bytes = wrap(Format::V1, 0, &inner, 0);
    only(&bytes).verify().expect("the wrapper's CRC is right");
    let error = offsets(&bytes).expect_err("the inner one is wrong");
    assert_eq!(error.code(), Code::CORRUPT_MESSAGE);
    only(&bytes).decode(false, CAP).expect("check.crcs=false");
}

#[test]
fn rule_3_10_lz4_in_magic_0_has_the_header_checksum_that_old_brokers_expect() {
    let frame = |format: Format| {
        let sealed = seal(format, Compression::Lz4, &three()).bytes;
        let value_at = legacy::overhead(format);
        sealed[value_at..value_at + 7].to_vec()
    };
    // As in golden/records-*.txt: both by Java's Lz4BlockOutputStream.
    assert_eq!(frame(Format::V0), [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x1a]);
    assert_eq!(frame(Format::V1), [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]);
}

#[test]
fn rule_3_10_the_wrong_header_checksum_is_ignored_in_magic_0_and_refused_above() {
    for (format, accepted) in [(Format::V0, true), (Format::V1, false)] {
        let sealed = seal(format, Compression::Lz4, &three()).bytes;
        for checksum in [0x1a, 0x82, 0x00] {
            let mut bytes = patched(&sealed, legacy::overhead(format) + 6, [checksum]).to_vec();
            legacy::write_crc(&mut bytes);
            let read = only(&Bytes::from(bytes)).decode(true, CAP);
            assert_eq!(read.is_ok(), accepted || checksum == 0x82, "{format} {checksum:#x}");
        }
    }
}

#[test]
fn rule_3_11_snappy_is_written_in_xerial_framing_and_read_with_and_without() {
    let sealed = seal(Format::V1, Compression::Snappy, &three()).bytes;
    let framed = &sealed[legacy::overhead(Format::V1)..];
    assert_eq!(framed[..16], [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1]);
    assert_eq!(read_all(&sealed).len(), 3);

    let mut inner = message(Format::V1, 0, 0, b"raw");
    inner.extend(message(Format::V1, 1, 0, b"raw"));
    let raw = snap::raw::Encoder::new().compress_vec(&inner).expect("compressed");
    let raw = Bytes::from(message(Format::V1, 1, Compression::Snappy.id(), &raw));
    assert_eq!(offsets(&raw).expect("decodes"), [0, 1]);
}

#[test]
fn rule_3_11_raw_snappy_that_begins_like_the_framing_is_told_apart_by_all_eight_bytes() {
    // A block of 0x82 | 0x53 << 7 bytes: its length field is the first two bytes of the magic.
    let length = 0x02 | 0x53 << 7;
    let value: Vec<u8> = b"x".repeat(length - message(Format::V1, 0, 0, b"").len());
    let inner = message(Format::V1, 0, 0, &value);
    let block = snap::raw::Encoder::new().compress_vec(&inner).expect("compressed");
    assert_eq!(block[..2], [0x82, 0x53]);
    let bytes = Bytes::from(message(Format::V1, 0, Compression::Snappy.id(), &block));
    assert_eq!(offsets(&bytes).expect("decodes"), [0]);
}

#[test]
fn rule_3_11_the_version_fields_of_the_framing_are_ignored() {
    let sealed = seal(Format::V1, Compression::Snappy, &three()).bytes;
    let fields_at = legacy::overhead(Format::V1) + 8;
    let mut bytes = patched(&sealed, fields_at, [1, 0, 0, 0, 9, 0, 0, 0]).to_vec();
    legacy::write_crc(&mut bytes);
    assert_eq!(read_all(&Bytes::from(bytes)).len(), 3, "little-endian, as Redpanda writes them");
}

#[test]
fn rule_3_12_zstd_needs_batches_v2_and_the_error_says_so() {
    for format in [Format::V0, Format::V1] {
        let error = BatchBuilder::new(format, Compression::Zstd, None, 0).expect_err("refused");
        assert_eq!(error.code(), Code::UNSUPPORTED_FEATURE);
        assert!(error.message().contains("2.1"), "{error}");
    }
}

#[test]
fn rule_3_15_a_produced_v1_wrapper_counts_0_to_n_minus_1_inside() {
    let sealed = seal(Format::V1, Compression::Gzip, &three()).bytes;
    let batch = only(&sealed);
    assert_eq!((batch.last_offset, batch.max_timestamp), (2, TIME + 2));
    assert_eq!(offsets(&sealed).expect("decodes"), [0, 1, 2]);
    let plain = seal(Format::V0, Compression::None, &three()).bytes;
    assert_eq!(offsets(&plain).expect("decodes"), [0, 1, 2], "plain messages, one after another");
}

#[test]
fn plain_messages_in_a_row_are_one_batch_until_something_changes() {
    let plain = |format, offset| message(format, offset, 0, b"plain");
    let row = [
        plain(Format::V0, 3),
        plain(Format::V0, 5),
        plain(Format::V1, 6),
        wrapper(Format::V1, 9, &[0, 1], 0).to_vec(),
        plain(Format::V1, 10),
        plain(Format::V1, 12),
        plain(Format::V1, 12),
    ];
    let seen: Vec<_> = batches(&Bytes::from(row.concat()))
        .iter()
        .map(|batch| (batch.base_offset, batch.last_offset, batch.count, batch.max_timestamp))
        .collect();
    let expected = [
        (3, 5, Some(2), -1),
        (6, 6, Some(1), TIME + 6),
        (9, 9, None, TIME + 9),
        (10, 12, Some(2), TIME + 12),
        (12, 12, Some(1), TIME + 12),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn rule_3_13_plain_messages_before_a_corrupt_one_are_given_out() {
    let mut row: Vec<u8> = (7..10).flat_map(|at| message(Format::V1, at, 0, b"v")).collect();
    let last = row.len() - 1;
    row[last] ^= 1;
    let mut records = only(&Bytes::from(row)).open(true, CAP).expect("opens");
    let mut seen = Vec::new();
    let error = records.visit(9, &mut |record| seen.push(record.offset)).expect_err("a bad CRC");
    assert_eq!((seen, error.code()), (vec![7, 8], Code::CORRUPT_MESSAGE));
    assert!(error.message().contains("offset 9"), "{error}");
}

#[test]
fn rule_3_16_headers_cannot_go_into_a_format_without_them() {
    let mut with_headers = record(TIME, "k", "v");
    with_headers.headers = vec![(b"name".to_vec(), None)];
    for format in [Format::V0, Format::V1] {
        let mut builder = BatchBuilder::new(format, Compression::None, None, 0).expect("a builder");
        let error = append(&mut builder, &with_headers).expect_err("refused");
        assert_eq!(error.code(), Code::UNSUPPORTED_FEATURE);
        assert!(error.message().contains("0.11") && builder.is_empty(), "{error}");
    }
}
