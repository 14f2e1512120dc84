//! Sealed batches: stamped, split, made anew; and what the builder says of its size.

use super::*;
use crate::error::Code;

#[test]
fn stamping_writes_the_identity_and_a_right_crc() {
    for codec in Compression::ALL {
        let mut sealed = seal(Format::V2, codec, &three());
        for transactional in [true, false] {
            sealed.stamp(77, 3, 9, transactional);
            let batch = only(&sealed.bytes);
            batch.verify().expect("the CRC is right");
            let identity = (batch.producer_id, batch.producer_epoch, batch.base_sequence);
            assert_eq!((identity, batch.is_transactional()), ((77, 3, 9), transactional));
            assert_eq!(batch.compression().expect("known"), codec);
            assert_eq!(read_all(&sealed.bytes).len(), 3);
        }
    }
}

#[test]
fn rule_4_1_stamping_never_changes_bytes_that_someone_else_still_holds() {
    let mut sealed = seal(Format::V2, Compression::None, &three());
    let address = sealed.bytes.as_ptr();
    sealed.stamp(1, 1, 1, false);
    assert_eq!(sealed.bytes.as_ptr(), address, "in place as long as nobody holds them");
    let held = sealed.bytes.clone();
    let before = held.to_vec();
    sealed.stamp(2, 2, 2, false);
    assert_eq!(held, before, "the socket's bytes stay");
    assert_eq!(only(&sealed.bytes).producer_id, 2);
}

#[test]
fn messages_have_no_place_for_an_identity_and_stay_as_they_are() {
    let mut sealed = seal(Format::V1, Compression::None, &three());
    let before = sealed.bytes.clone();
    sealed.stamp(77, 3, 9, true);
    assert_eq!(sealed.bytes, before);
}

#[test]
fn a_batch_splits_into_smaller_ones_in_order_and_a_large_record_goes_alone() {
    let mut records: Vec<_> =
        (0..50).map(|n| record(TIME + n, "k", &format!("value {n}"))).collect();
    records[20].value = Some(vec![b'x'; 4000]);
    let sealed = seal(Format::V2, Compression::Gzip, &records);
    let parts = sealed.reencode(Format::V2, Compression::None, None, 400).expect("split");
    assert!(parts.len() >= 4, "{}", parts.len());
    assert!(parts.iter().all(|part| part.bytes.len() <= 400 || part.count == 1));
    let again: Vec<_> =
        parts.iter().flat_map(|part| read_all(&part.bytes)).map(|(_, r)| r).collect();
    assert_eq!(again, records);
    assert_eq!(parts.iter().map(|part| part.count).sum::<u32>(), sealed.count);
}

#[test]
fn rule_3_16_a_batch_changes_its_format_with_its_records() {
    let formats = [Format::V0, Format::V1, Format::V2];
    for from in formats {
        for to in formats {
            let sealed = seal(from, Compression::Snappy, &three());
            let made = sealed.reencode(to, Compression::Lz4, None, usize::MAX).expect("made anew");
            assert_eq!((made.len(), made[0].format, made[0].count), (1, to, 3));
            let values =
                |bytes| -> Vec<_> { read_all(bytes).into_iter().map(|(_, r)| r.value).collect() };
            assert_eq!(values(&made[0].bytes), values(&sealed.bytes), "{from} to {to}");
        }
    }
}

#[test]
fn headers_stop_a_batch_from_going_back_to_messages() {
    let mut records = three();
    records[1].headers = vec![(b"a".to_vec(), None), (b"a".to_vec(), Some(b"2".to_vec()))];
    let sealed = seal(Format::V2, Compression::None, &records);
    let error =
        sealed.reencode(Format::V1, Compression::None, None, usize::MAX).expect_err("refused");
    assert_eq!(error.code(), Code::UNSUPPORTED_FEATURE);
    let again =
        sealed.reencode(Format::V2, Compression::Zstd, None, usize::MAX).expect("v2 takes them");
    assert_eq!(read_all(&again[0].bytes)[1].1, records[1]);
}

#[test]
fn the_size_foretold_is_never_below_what_append_adds() {
    for format in [Format::V0, Format::V1, Format::V2] {
        let mut builder = BatchBuilder::new(format, Compression::None, None, 0).expect("a builder");
        for n in 0..300_i64 {
            let text = "x".repeat(n as usize * 3 % 200);
            let owned = record(TIME + n * n * n, &text, &text);
            let (key, value) = (owned.key.as_deref(), owned.value.as_deref());
            let new = NewRecord { timestamp: owned.timestamp, key, value, headers: &() };
            let (before, foretold) = (builder.size(), builder.encoded_size(&new));
            builder.append(&new).expect("appended");
            let added = builder.size() - before;
            assert!(added <= foretold && foretold <= added + 5, "{added} of {foretold}");
        }
        assert!(builder.capacity() >= builder.size());
    }
}

#[test]
fn levels_reach_their_codec() {
    let words: Vec<_> =
        (0..2000_u64).map(|n| record(TIME, "k", &format!("{}", n * n * 7919))).collect();
    let codecs = [(Compression::Gzip, 1, 9), (Compression::Lz4, 3, 12), (Compression::Zstd, 1, 19)];
    for (codec, low, high) in codecs {
        let size = |level| {
            let mut builder =
                BatchBuilder::new(Format::V2, codec, Some(level), 0).expect("a builder");
            words.iter().for_each(|record| append(&mut builder, record).expect("appended"));
            builder.seal().expect("sealed").bytes.len()
        };
        assert!(size(high) < size(low), "{codec}");
        assert!(
            codec.levels().is_some_and(|levels| levels.contains(&low) && levels.contains(&high))
        );
    }
}

#[test]
fn codecs_are_found_by_name_and_number() {
    for codec in Compression::ALL {
        assert_eq!(Compression::from_name(codec.name()), Some(codec));
        assert_eq!(Compression::from_attributes(codec.id() | 0x38), Some(codec));
    }
    assert_eq!(Compression::from_name("brotli"), None);
    assert_eq!((5..8).find_map(Compression::from_attributes), None);
}
