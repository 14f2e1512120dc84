//! Section 3 of the invariants, as far as bytes alone can break them: batches v2, and all formats.

use bytes::Bytes;

use super::super::v2::{self, at};
use super::super::{BatchIter, ControlMarker, NO_TIMESTAMP, TimestampType};
use super::*;
use crate::error::Code;

#[test]
fn rule_3_1_each_batch_is_parsed_by_its_own_magic_byte() {
    let formats = [Format::V0, Format::V2, Format::V1, Format::V2, Format::V0];
    let row: Vec<u8> = formats
        .iter()
        .flat_map(|format| seal(*format, Compression::None, &three()[..1]).bytes.to_vec())
        .collect();
    let seen: Vec<_> = batches(&Bytes::from(row)).iter().map(|batch| batch.format).collect();
    assert_eq!(seen, formats);
}

#[test]
fn rule_3_2_a_last_batch_that_is_cut_anywhere_ends_the_walk_and_keeps_the_good_ones() {
    for format in [Format::V0, Format::V1, Format::V2] {
        let good = seal(format, Compression::Gzip, &three()).bytes;
        let next = seal(format, Compression::None, &three()[..1]).bytes;
        for cut in 0..next.len() {
            let bytes = Bytes::from([&good[..], &next[..cut]].concat());
            let mut walk = BatchIter::new(bytes);
            let kept: Vec<_> = walk.by_ref().map(|batch| batch.expect("good")).collect();
            assert_eq!(kept.len(), 1, "{format} cut at {cut}");
            assert_eq!(walk.truncated(), cut > 0, "{format} cut at {cut}");
            assert!(!walk.nothing_whole());
            let wanted = (cut >= 12).then_some(next.len());
            assert_eq!(walk.wanted(), wanted, "{format} cut at {cut}");
        }
    }
}

#[test]
fn rule_3_2_a_first_batch_that_is_cut_is_told_apart_from_an_empty_answer() {
    let batch = seal(Format::V2, Compression::None, &three()).bytes;
    for cut in 1..batch.len() {
        let mut walk = BatchIter::new(batch.slice(..cut));
        assert!(walk.next().is_none() && walk.nothing_whole(), "cut at {cut}");
    }
    let mut nothing = BatchIter::new(Bytes::new());
    assert!(nothing.next().is_none() && !nothing.nothing_whole() && !nothing.truncated());
}

#[test]
fn rule_3_3_lengths_magic_and_counts_are_checked_before_use() {
    let good = seal(Format::V2, Compression::None, &three()).bytes;
    for length in [i32::MIN, -2, -1, 0, 13, 48] {
        assert_corrupt(&patched(&good, at::LENGTH, length.to_be_bytes()));
    }
    for magic in [3, 0x7f, 0xff] {
        assert_corrupt(&patched(&good, at::MAGIC, [magic]));
    }
    for count in [i32::MIN, -2, -1, i32::MAX, 100_000] {
        assert_corrupt(&patched_v2(&good, at::COUNT, count.to_be_bytes()));
    }
    for delta in [i32::MIN, -2, -1] {
        assert_corrupt(&patched_v2(&good, at::LAST_OFFSET_DELTA, delta.to_be_bytes()));
    }
    // The longest length there is looks like a batch that is cut.
    let mut walk = BatchIter::new(patched(&good, at::LENGTH, i32::MAX.to_be_bytes()));
    assert!(walk.next().is_none() && walk.nothing_whole());
    assert_eq!(walk.wanted(), Some(i32::MAX as usize + 12));
}

#[test]
fn rule_3_3_a_batch_that_claims_records_but_has_no_bytes_is_corrupt_not_empty() {
    for codec in Compression::ALL {
        let batch = seal(Format::V2, codec, &three()).bytes.slice(..BATCH_OVERHEAD);
        let length = (BATCH_OVERHEAD - 12) as u32;
        assert_corrupt(&patched_v2(&batch, at::LENGTH, length.to_be_bytes()));
    }
}

#[test]
fn rule_3_3_a_count_that_is_not_that_of_the_records_is_an_error() {
    for codec in Compression::ALL {
        let batch = seal(Format::V2, codec, &three()).bytes;
        for count in [0, 1, 2, 4, 40] {
            let lie = patched_v2(&batch, at::COUNT, u32::to_be_bytes(count));
            let opened = BatchIter::new(lie).next().expect("a batch");
            let error = opened.and_then(|batch| batch.decode(true, CAP)).expect_err("a lie");
            let codes = [Code::UNDECODABLE, Code::CORRUPT_MESSAGE];
            assert!(codes.contains(&error.code()), "{codec}, {count}: {error}");
        }
    }
}

#[test]
fn rule_3_4_batches_are_returned_whole_and_each_record_has_its_offset() {
    let batch =
        patched(&seal(Format::V2, Compression::None, &three()).bytes, 0, [0, 0, 0, 0, 0, 0, 0, 9]);
    let offsets: Vec<_> = read_all(&batch).iter().map(|(offset, _)| *offset).collect();
    assert_eq!(offsets, [9, 10, 11], "a reader who asked for 10 drops 9 itself");
}

#[test]
fn rule_3_5_next_offset_comes_from_last_offset_delta() {
    let compacted = patched_v2(
        &seal(Format::V2, Compression::None, &three()).bytes,
        at::LAST_OFFSET_DELTA,
        7_u32.to_be_bytes(),
    );
    let batch = only(&patched(&compacted, 0, 100_i64.to_be_bytes()));
    assert_eq!((batch.last_offset, batch.next_offset()), (107, 108));
    let records = batch.open(true, CAP).expect("opens");
    assert_eq!((records.next_offset(), records.remaining()), (108, 3));
}

#[test]
fn rule_3_5_a_batch_without_records_moves_the_position_too() {
    let empty = only(&empty_batch(v2::CONTROL));
    assert_eq!(empty.next_offset(), 108);
    let decoded = empty.decode(true, CAP).expect("decodes");
    assert!(decoded.records.is_empty());
    assert_eq!(decoded.next_offset, 108);
}

/// Offsets 100 to 107, all compacted away.
fn empty_batch(attributes: i16) -> Bytes {
    let batch = seal(Format::V2, Compression::None, &three()).bytes.slice(..BATCH_OVERHEAD);
    let batch = patched(&batch, 0, 100_i64.to_be_bytes());
    let batch = patched(&batch, at::LENGTH, (BATCH_OVERHEAD as u32 - 12).to_be_bytes());
    let batch = patched(&batch, at::LAST_OFFSET_DELTA, 7_u32.to_be_bytes());
    let batch = patched(&batch, at::ATTRIBUTES, attributes.to_be_bytes());
    patched_v2(&batch, at::COUNT, 0_u32.to_be_bytes())
}

#[test]
fn rule_3_7_log_append_time_of_a_v2_batch_is_its_max_timestamp_for_every_record() {
    let batch = seal(Format::V2, Compression::Lz4, &three()).bytes;
    let attributes = Compression::Lz4.id() | v2::LOG_APPEND_TIME;
    let batch = patched(&batch, at::ATTRIBUTES, attributes.to_be_bytes());
    let batch = only(&patched_v2(&batch, at::MAX_TIMESTAMP, 55_i64.to_be_bytes()));
    let decoded = batch.decode(true, CAP).expect("decodes");
    for record in decoded.records {
        assert_eq!((record.timestamp, record.timestamp_type), (55, TimestampType::LogAppendTime));
    }
}

#[test]
fn rule_3_8_timestamp_deltas_are_64_bit_and_may_be_negative() {
    let times = [TIME, 0, i64::MAX / 2, NO_TIMESTAMP, TIME + 3_000_000_000];
    let records: Vec<_> = times.iter().map(|time| record(*time, "k", "v")).collect();
    let sealed = seal(Format::V2, Compression::None, &records);
    assert_eq!(sealed.max_timestamp, i64::MAX / 2);
    let read: Vec<_> = read_all(&sealed.bytes).iter().map(|(_, r)| r.timestamp).collect();
    assert_eq!(read, times);
}

#[test]
fn rule_3_8_the_delete_horizon_stands_in_the_base_timestamp_and_deltas_count_from_it() {
    let sealed = seal(Format::V2, Compression::None, &three()).bytes;
    let marked = patched(&sealed, at::ATTRIBUTES, v2::DELETE_HORIZON.to_be_bytes());
    let batch = only(&patched_v2(&marked, at::BASE_TIMESTAMP, (TIME + 9).to_be_bytes()));
    assert_eq!(batch.delete_horizon(), Some(TIME + 9));
    let decoded = batch.decode(true, CAP).expect("decodes");
    assert_eq!(decoded.records[2].timestamp, TIME + 9 + 2);
}

#[test]
fn rule_3_9_the_crc_of_v2_covers_attributes_to_end_and_nothing_before() {
    let good = seal(Format::V2, Compression::None, &three()).bytes;
    let mut compared = 0;
    for position in 0..good.len() {
        let changed = patched(&good, position, [good[position] ^ 0x10]);
        // A length, a magic or a count that cannot be right is refused before the CRC is looked at.
        let Some(Ok(batch)) = BatchIter::new(changed).next() else { continue };
        assert_eq!(batch.verify().is_err(), position >= at::CRC, "byte {position}");
        compared += 1;
    }
    assert!(compared > good.len() - 20, "{compared} of {}", good.len());
}

#[test]
fn rule_3_13_an_undecodable_batch_is_reported_with_its_offset() {
    let batch = seal(Format::V2, Compression::Snappy, &three()).bytes;
    let bad = patched(&batch, 0, 4711_i64.to_be_bytes());
    let bad = patched_v2(&bad, BATCH_OVERHEAD + 20, [0xff, 0xff, 0x7f]);
    let error = only(&bad).decode(true, CAP).expect_err("not snappy");
    assert_eq!(error.code(), Code::UNDECODABLE);
    assert!(
        error.message().contains("offset 4711") && error.message().contains("snappy"),
        "{error}"
    );
    let unknown = only(&patched_v2(&batch, at::ATTRIBUTES, 7_i16.to_be_bytes()));
    assert!(unknown.decode(true, CAP).is_err_and(|error| error.message().contains("number 7")));
}

#[test]
fn rule_3_13_what_stands_before_a_bad_record_is_given_out_and_the_error_stays() {
    let sealed = seal(Format::V2, Compression::None, &three()).bytes;
    // The last record's header count says −1.
    let bad = patched_v2(&sealed, sealed.len() - 1, [1]);
    let mut records = only(&bad).open(true, CAP).expect("opens");
    let mut seen = Vec::new();
    let first = records.visit(9, &mut |record| seen.push(record.offset)).expect_err("malformed");
    assert_eq!((seen, first.code()), (vec![0, 1], Code::UNDECODABLE));
    assert_eq!(records.remaining(), 0);
    assert!(records.visit(9, &mut |_| ()).is_err(), "the same again");
}

#[test]
fn rule_3_13_decompression_is_capped() {
    let zeros = vec![record(TIME, "", &"0".repeat(1 << 20))];
    for codec in Compression::ALL.into_iter().skip(1) {
        let batch = only(&seal(Format::V2, codec, &zeros).bytes);
        let error = batch.clone().decode(true, 1 << 19).expect_err("above the cap");
        assert!(error.message().contains("limit of 524288 bytes"), "{codec}: {error}");
        batch.decode(true, (1 << 20) + 32).expect("within the cap");
    }
}

#[test]
fn rule_3_14_only_the_key_of_the_first_control_record_says_what_it_is() {
    let markers =
        [(0, ControlMarker::Abort), (1, ControlMarker::Commit), (5, ControlMarker::Other(Some(5)))];
    for (kind, marker) in markers {
        let key = String::from_utf8(vec![0, 0, 0, kind]).expect("text");
        let batch =
            seal(Format::V2, Compression::None, &[record(TIME, &key, "\0\0whatever")]).bytes;
        let batch = only(&patched_v2(&batch, at::ATTRIBUTES, v2::CONTROL.to_be_bytes()));
        assert!(batch.is_control());
        assert_eq!(batch.control_marker(true, CAP).expect("a marker"), marker);
    }
    let empty = only(&empty_batch(v2::CONTROL));
    assert_eq!(empty.control_marker(true, CAP).expect("empty"), ControlMarker::Other(None));
    let short = seal(Format::V2, Compression::None, &three()).bytes;
    let short = only(&patched_v2(&short, at::ATTRIBUTES, v2::CONTROL.to_be_bytes()));
    assert!(short.control_marker(true, CAP).is_err(), "three bytes are no key");
}

#[test]
fn rule_3_15_a_produced_batch_counts_from_0_and_is_never_empty() {
    let batch = only(&seal(Format::V2, Compression::Zstd, &three()).bytes);
    assert_eq!((batch.base_offset, batch.last_offset, batch.count), (0, 2, Some(3)));
    assert!(!batch.is_control() && !batch.is_transactional());
    let empty =
        BatchBuilder::new(Format::V2, Compression::None, None, 0).expect("a builder").seal();
    assert_eq!(empty.expect_err("nothing in it").code(), Code::INVALID_STATE);
}

#[test]
fn rule_3_18_null_is_not_empty_for_key_value_and_header_value() {
    let null = Owned { timestamp: TIME, key: None, value: None, headers: Vec::new() };
    let mut empty = record(TIME, "", "");
    empty.headers = vec![(b"null".to_vec(), None), (Vec::new(), Some(Vec::new()))];
    let records = vec![null, empty];
    let sealed = seal(Format::V2, Compression::None, &records);
    let read: Vec<_> = read_all(&sealed.bytes).into_iter().map(|(_, record)| record).collect();
    assert_eq!(read, records);
}

#[test]
fn rule_3_18_a_negative_timestamp_other_than_none_is_refused() {
    let mut builder = BatchBuilder::new(Format::V2, Compression::None, None, 0).expect("a builder");
    append(&mut builder, &record(-1, "k", "v")).expect("none");
    let error = append(&mut builder, &record(-2, "k", "v")).expect_err("negative");
    assert_eq!((error.code(), builder.count()), (Code::INVALID_ARGUMENT, 1));
}

#[test]
fn offsets_that_go_back_or_leave_the_batch_are_refused() {
    let sealed = seal(Format::V2, Compression::None, &three()).bytes;
    let shorter = patched_v2(&sealed, at::LAST_OFFSET_DELTA, 1_u32.to_be_bytes());
    assert!(only(&shorter).decode(true, CAP).is_err(), "record 2 is behind the last offset");
    // length, attributes, timestamp delta, then the offset delta of the first record
    let back = patched_v2(&sealed, BATCH_OVERHEAD + 3, [2]);
    assert!(only(&back).decode(true, CAP).is_err(), "1, 1, 2");
    let negative = patched(&sealed, 0, (-1_i64).to_be_bytes());
    assert!(only(&negative).decode(true, CAP).is_err());
    let highest = patched(&sealed, 0, (i64::MAX - 2).to_be_bytes());
    assert!(only(&highest).decode(true, CAP).is_err(), "no offset follows it");
}

fn assert_corrupt(bytes: &Bytes) {
    let mut walk = BatchIter::new(bytes.clone());
    let error = walk.next().expect("an item").expect_err("corrupt");
    assert_eq!(error.code(), Code::CORRUPT_MESSAGE, "{error}");
    assert!(walk.next().is_none() && !walk.truncated(), "the walk ends with the error");
}
