//! Round trips: our decoder on our encoder for any records, and against the `kafka-protocol` crate.

use bytes::BytesMut;
use kafka_protocol::records::{
    Compression as Theirs, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions,
    TimestampType as TheirType,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

fn bytes_of_any_length() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => vec(any::<u8>(), 0..40),
        // Around the places where a varint gets longer, and compressible.
        2 => (60_usize..70, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]),
        1 => (8190_usize..8195, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]),
    ]
}

fn any_record() -> impl Strategy<Value = Owned> {
    let timestamp = prop_oneof![Just(-1), 0_i64..=i64::MAX, TIME - 1000..TIME + 1000];
    let headers = vec((bytes_of_any_length(), option::of(bytes_of_any_length())), 0..4);
    let content = (option::of(bytes_of_any_length()), option::of(bytes_of_any_length()));
    (timestamp, content, headers).prop_map(|(timestamp, (key, value), headers)| Owned {
        timestamp,
        key,
        value,
        headers,
    })
}

fn any_codec() -> impl Strategy<Value = Compression> {
    (0_usize..5).prop_map(|number| Compression::ALL[number])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_records_come_back_from_a_v2_batch(
        records in vec(any_record(), 1..40),
        codec in any_codec(),
    ) {
        let sealed = seal(Format::V2, codec, &records);
        prop_assert_eq!(sealed.count as usize, records.len());
        prop_assert_eq!(Some(sealed.max_timestamp), records.iter().map(|r| r.timestamp).max());
        let expected: Vec<_> = (0..).zip(records).collect();
        prop_assert_eq!(read_all(&sealed.bytes), expected);
    }

    #[test]
    fn any_records_come_back_from_messages(
        mut records in vec(any_record(), 1..40),
        codec in any_codec(),
        v1 in any::<bool>(),
    ) {
        let format = if v1 { Format::V1 } else { Format::V0 };
        let codec = if codec == Compression::Zstd { Compression::None } else { codec };
        records.iter_mut().for_each(|record| record.headers.clear());
        let sealed = seal(format, codec, &records);
        if !v1 {
            records.iter_mut().for_each(|record| record.timestamp = -1);
        }
        let expected: Vec<_> = (0..).zip(records).collect();
        prop_assert_eq!(read_all(&sealed.bytes), expected);
    }

    #[test]
    fn reading_in_steps_gives_what_reading_at_once_gives(
        records in vec(any_record(), 1..40),
        step in 1_u32..7,
    ) {
        let batch = only(&seal(Format::V2, Compression::None, &records).bytes);
        let whole = batch.clone().decode(true, CAP).expect("decodes");
        let mut stepwise = Vec::new();
        let mut open = batch.open(true, CAP).expect("opens");
        while open.remaining() > 0 {
            let read = open.visit(step, &mut |record| stepwise.push(record)).expect("reads");
            prop_assert!(read <= step && read > 0);
        }
        prop_assert_eq!(stepwise, whole.records);
    }

    /// Whatever the bytes are: no panic, and the walk ends.
    #[test]
    fn any_bytes_end_in_records_or_an_error(
        mut bytes in vec(any::<u8>(), 0..300),
        magic in 0_u8..4,
        length in 0_u8..255,
        codec in 0_u8..8,
    ) {
        // Without some help hardly anything would get behind the first check.
        for (at, byte) in [(8, 0), (9, 0), (10, 0), (11, length), (16, magic), (17, codec), (22, codec)] {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        for batch in BatchIter::new(bytes.into()).flatten() {
            let _ = batch.decode(false, 1 << 16);
        }
    }
}

fn theirs(codec: Compression) -> Theirs {
    match codec {
        Compression::None => Theirs::None,
        other => unreachable!("{other} is not built into the witness"),
    }
}

#[test]
fn the_kafka_protocol_crate_reads_what_we_write() {
    let sealed = seal(Format::V2, Compression::None, &three());
    let mut bytes = sealed.bytes;
    let read = RecordBatchDecoder::decode(&mut bytes).expect("it decodes");
    let values: Vec<_> = read.records.iter().map(|record| record.value.clone()).collect();
    let expected: Vec<_> = three().into_iter().map(|record| record.value.map(Into::into)).collect();
    assert_eq!(values, expected);
}

#[test]
fn we_read_what_the_kafka_protocol_crate_writes() {
    let records: Vec<_> = three()
        .into_iter()
        .zip(0..)
        .map(|(record, offset)| Record {
            transactional: false,
            control: false,
            partition_leader_epoch: 0,
            producer_id: -1,
            producer_epoch: -1,
            timestamp_type: TheirType::Creation,
            offset,
            sequence: -1,
            delete_horizon: false,
            timestamp: record.timestamp,
            key: record.key.map(Into::into),
            value: record.value.map(Into::into),
            headers: Default::default(),
        })
        .collect();
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: theirs(Compression::None) };
    RecordBatchEncoder::encode(&mut bytes, records.iter(), &options).expect("it encodes");
    let expected: Vec<_> = (0..).zip(three()).collect();
    assert_eq!(read_all(&bytes.freeze()), expected);
}
