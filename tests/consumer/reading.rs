//! Reading: every message once, in order, whatever its format and size.

use std::sync::Mutex;

use samsa::Code;
use samsa::embedded::{Options, Release};
use samsa::protocol::modern::ApiKey;
use samsa::protocol::record::{Compression, Format};

use crate::rig::{Rig, batch, batch_of, place, poll, read, read_one};

#[test]
fn a_poll_gives_every_message_once_and_in_order() {
    let rig = Rig::new(12);
    for round in 0..5 {
        for partition in 0..12 {
            rig.write(partition, 100 + round);
        }
    }
    let consumer = rig.reader(&(0..12).collect::<Vec<_>>());
    let offsets = read(&consumer, 12 * 510);
    for partition in 0..12 {
        assert_eq!(offsets[&partition], (0..510).collect::<Vec<_>>(), "partition {partition}");
    }
    assert_eq!(consumer.poll(0).unwrap_err().code(), Code::NOTHING);
}

#[test]
fn a_poll_gives_no_more_than_max_poll_records() {
    let rig = Rig::new(1);
    rig.write(0, 100);
    let consumer = rig.consumer(&[("max.poll.records", "7")]);
    consumer.assign(&[place(0)]).unwrap();
    let sizes: Vec<_> = (0..15).map(|_| poll(&consumer).len()).collect();
    assert_eq!(sizes, [[7; 14].as_slice(), &[2]].concat());
}

#[test]
fn next_and_poll_can_be_mixed() {
    let rig = Rig::new(1);
    rig.write(0, 50);
    let consumer = rig.reader(&[0]);
    for offset in 0..10 {
        let message = consumer.next(20_000).unwrap();
        assert_eq!(message.record().offset(), offset);
        assert_eq!(consumer.position(None).unwrap()[0].offset, Some(offset + 1));
    }
    assert_eq!(read_one(&consumer, 40), (10..50).collect::<Vec<_>>());
    assert_eq!(consumer.position(None).unwrap()[0].offset, Some(50));
}

#[test]
fn concurrent_callers_share_the_messages_and_each_sees_partitions_in_order() {
    let rig = Rig::new(4);
    for _ in 0..20 {
        (0..4).for_each(|partition| rig.write(partition, 100));
    }
    let consumer = rig.reader(&[0, 1, 2, 3]);
    let all = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (consumer, all) = (&consumer, &all);
            scope.spawn(move || {
                let mut last = [-1; 4];
                while all.lock().unwrap().len() < 8_000 {
                    let got: Vec<_> = if thread == 0 {
                        let next = consumer.next(100).into_iter();
                        next.map(|m| (m.record().partition(), m.record().offset())).collect()
                    } else {
                        let batch = consumer.poll(100).unwrap_or_default();
                        batch.iter().map(|r| (r.partition(), r.offset())).collect()
                    };
                    for &(partition, offset) in &got {
                        let before = std::mem::replace(&mut last[partition as usize], offset);
                        assert!(before < offset, "{before} {offset}");
                    }
                    all.lock().unwrap().extend(got);
                }
            });
        }
    });
    let mut all = all.into_inner().unwrap();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 8_000, "each message once");
}

#[test]
fn batches_and_messages_outlive_their_consumer() {
    let rig = Rig::new(1);
    rig.write(0, 3);
    let consumer = rig.reader(&[0]);
    let message = consumer.next(20_000).unwrap();
    let copy = message.detached();
    let batch = poll(&consumer);
    consumer.close(1_000).unwrap();
    drop((consumer, rig));
    assert_eq!(message.record().value(), Some(&b"0"[..]));
    drop(message);
    assert_eq!((copy.record().value(), copy.record().timestamp()), (Some(&b"0"[..]), 1_000));
    assert_eq!(batch.get(1).unwrap().value(), Some(&b"2"[..]));
}

#[test]
fn every_broker_generation_is_read() {
    let releases = [
        (Release::V0_8_2, Format::V0),
        (Release::V0_9_0, Format::V0),
        (Release::V0_10_0, Format::V1),
        (Release::V0_10_2, Format::V1),
        (Release::V0_11_0, Format::V2),
        (Release::V1_1, Format::V2),
        (Release::V2_8, Format::V2),
        (Release::V3_9, Format::V2),
        (Release::V4_3, Format::V2),
        (Release::Newest, Format::V2),
    ];
    for (release, format) in releases {
        let rig = Rig::with(Options { release, ..Options::default() }, 1);
        let bytes = batch_of(0, &[b"0", b"1", b"2"], format, Compression::Gzip);
        rig.kafka.append_raw("t", 0, &bytes).unwrap();
        let consumer = rig.reader(&[0]);
        assert_eq!(read_one(&consumer, 3), [0, 1, 2], "{release:?}");
        let consumer = rig.consumer(&[]);
        consumer.assign(&[place(0).at(2)]).unwrap();
        assert_eq!(read_one(&consumer, 1), [2], "{release:?}");
    }
}

#[test]
fn rule_3_1_formats_and_codecs_mix_in_one_partition() {
    let rig = Rig::new(1);
    let codecs = [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];
    let mut end = 0;
    for format in [Format::V0, Format::V1, Format::V2] {
        for codec in codecs {
            if codec == Compression::Zstd && format != Format::V2 {
                continue;
            }
            let values = [end.to_string(), (end + 1).to_string()];
            let values: Vec<_> = values.iter().map(String::as_bytes).collect();
            rig.kafka.append_raw("t", 0, &batch_of(end, &values, format, codec)).unwrap();
            end += 2;
        }
    }
    let count = usize::try_from(end).unwrap();
    assert_eq!(read_one(&rig.reader(&[0]), count), (0..end).collect::<Vec<_>>());
}

#[test]
fn rule_6_9_a_record_larger_than_the_fetch_size_still_arrives() {
    for release in [Release::Newest, Release::V0_9_0] {
        let rig = Rig::with(Options { release, ..Options::default() }, 1);
        let format = if release == Release::Newest { Format::V2 } else { Format::V0 };
        let large = vec![b'x'; 300_000];
        let bytes = batch_of(0, &[&large], format, Compression::None);
        rig.kafka.append_raw("t", 0, &bytes).unwrap();
        let consumer = rig.consumer(&[("max.partition.fetch.bytes", "1000")]);
        consumer.assign(&[place(0)]).unwrap();
        assert_eq!(poll(&consumer).get(0).unwrap().value(), Some(&large[..]), "{release:?}");
    }
}

#[test]
fn a_broker_gathers_as_much_as_it_is_asked_to() {
    let rig = Rig::new(6);
    let value = vec![b'x'; 900_000];
    for partition in 0..6 {
        let bytes = batch_of(0, &[&value], Format::V2, Compression::None);
        rig.kafka.append_raw("t", partition, &bytes).unwrap();
    }
    let consumer = rig.consumer(&[("fetch.min.bytes", "4000000"), ("fetch.max.wait.ms", "20000")]);
    consumer.assign(&(0..6).map(place).collect::<Vec<_>>()).unwrap();
    let fetches = rig.kafka.requests(ApiKey::Fetch);
    // Four fit into the answer, and the others do not fill another.
    let mut seen = 0;
    while seen < 4 {
        seen += poll(&consumer).len();
    }
    assert!(rig.kafka.requests(ApiKey::Fetch) - fetches <= 2);
}

#[test]
fn rule_3_2_answers_cut_at_the_fetch_size_lose_nothing() {
    for release in [Release::Newest, Release::V0_9_0] {
        let rig = Rig::with(Options { release, ..Options::default() }, 1);
        let format = if release == Release::Newest { Format::V2 } else { Format::V0 };
        for n in 0..200_i64 {
            let value = n.to_string();
            let bytes = batch_of(n, &[value.as_bytes()], format, Compression::None);
            rig.kafka.append_raw("t", 0, &bytes).unwrap();
        }
        let consumer = rig.consumer(&[("max.partition.fetch.bytes", "500")]);
        consumer.assign(&[place(0)]).unwrap();
        assert_eq!(read_one(&consumer, 200), (0..200).collect::<Vec<_>>(), "{release:?}");
    }
}

#[test]
fn rule_6_12_control_batches_move_the_position_and_nobody_gets_them() {
    let rig = Rig::new(1);
    rig.write(0, 2);
    let mut control = batch(2, 1, Compression::None);
    control[22] |= 0x20;
    rig.kafka.append_raw("t", 0, &control).unwrap();
    let consumer = rig.consumer(&[("check.crcs", "false")]);
    consumer.assign(&[place(0)]).unwrap();
    assert_eq!(read_one(&consumer, 2), [0, 1]);
    let limit = crate::rig::deadline();
    while consumer.position(None).unwrap()[0].offset != Some(3) {
        assert_eq!(consumer.poll(100).unwrap_err().code(), Code::NOTHING);
        assert!(std::time::Instant::now() < limit, "the position stands before the control batch");
    }
}

#[test]
fn the_end_of_a_partition_is_an_event_after_its_last_message() {
    let rig = Rig::new(1);
    rig.write(0, 3);
    let consumer = rig.consumer(&[("samsa.events", "partition_end")]);
    consumer.assign(&[place(0)]).unwrap();
    assert_eq!(read_one(&consumer, 3), [0, 1, 2]);
    assert_eq!(consumer.poll(20_000).unwrap_err().code(), Code::EVENT);
    assert_eq!(consumer.next(0).unwrap_err().code(), Code::EVENT, "until it is read");
    let Some(samsa::consumer::Event::PartitionEnd { partition, offset, .. }) =
        consumer.next_event().unwrap()
    else {
        panic!("another event");
    };
    assert_eq!((partition, offset), (0, 3));
    assert!(consumer.next_event().unwrap().is_none());
    assert_eq!(consumer.poll(50).unwrap_err().code(), Code::NOTHING, "told once");
}
