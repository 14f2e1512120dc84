//! Tests of reading: what becomes of batches, and what one poll leaves for the next.

use super::aborted::Aborted;
use super::decode::{Filling, Outline, Read, outline};
use super::fixture::{as_control, batch, batch_as, in_transaction, marker, reader, reader_without};
use crate::error::Code;
use crate::protocol::modern::messages::fetch::AbortedTransaction;
use crate::protocol::record::{Compression, Format};

fn offsets(batch: &super::Batch) -> Vec<i64> {
    batch.iter().map(|r| r.offset()).collect()
}

#[test]
fn records_come_with_key_value_timestamp_and_run() {
    let mut filling = Filling::new(10);
    let mut reader = reader(batch(7, 2), 7, true);
    assert_eq!(reader.read(&mut filling).unwrap(), Read::End);
    let batch = filling.finish();
    let second = batch.get(1).unwrap();
    assert_eq!((second.key(), second.value()), (Some(&b"k8"[..]), Some(&b"v8"[..])));
    assert_eq!((second.timestamp(), second.next_offset()), (1_008, 9));
    let run = &batch.runs()[0];
    assert_eq!((run.first, run.count, run.leader_epoch), (0, 2, 5));
    assert_eq!((run.high_watermark, run.log_start, run.next_offset), (100, 0, 9));
}

#[test]
fn what_one_poll_leaves_the_next_goes_on_with() {
    let mut reader = reader([batch(0, 5), batch(5, 5)].concat(), 0, true);
    let mut polls = Vec::new();
    loop {
        let mut filling = Filling::new(4);
        let read = reader.read(&mut filling).unwrap();
        polls.push(offsets(&filling.finish()));
        if read == Read::End {
            break;
        }
    }
    assert_eq!(polls, [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9]]);
    assert_eq!(reader.position(), 10);
}

#[test]
fn rule_3_4_records_below_the_position_are_dropped() {
    let mut filling = Filling::new(10);
    reader([batch(0, 3), batch(3, 4)].concat(), 5, true).read(&mut filling).unwrap();
    assert_eq!(offsets(&filling.finish()), [5, 6]);
}

#[test]
fn rule_3_5_after_the_last_record_comes_the_end_that_compaction_kept() {
    let mut bytes = batch(0, 3);
    bytes[23..27].copy_from_slice(&9_i32.to_be_bytes());
    let mut filling = Filling::new(10);
    let mut reader = reader(bytes, 0, false);
    reader.read(&mut filling).unwrap();
    let batch = filling.finish();
    assert_eq!(batch.get(1).unwrap().next_offset(), 2);
    assert_eq!(batch.get(2).unwrap().next_offset(), 10);
    assert_eq!((reader.position(), batch.runs()[0].next_offset), (10, 10));
    assert_eq!(batch.positions()[0].offset, Some(10));
}

#[test]
fn rule_7_11_each_run_has_the_leader_epoch_of_its_own_last_record() {
    let mut later = batch(2, 2);
    later[12..16].copy_from_slice(&9_i32.to_be_bytes());
    let mut reader = reader([batch(0, 2), later].concat(), 0, true);
    let mut filling = Filling::new(10);
    assert_eq!(reader.read(&mut filling).unwrap(), Read::Full, "to be checked in with its epoch");
    assert_eq!((reader.position(), reader.epoch()), (2, 5));
    assert_eq!(reader.read(&mut filling).unwrap(), Read::End);
    assert_eq!((reader.position(), reader.epoch()), (4, 9));
    let batch = filling.finish();
    let runs: Vec<_> =
        batch.runs().iter().map(|r| (r.first, r.count, r.leader_epoch, r.next_offset)).collect();
    assert_eq!(runs, [(0, 2, 5, 2), (2, 2, 9, 4)]);
}

#[test]
fn rule_7_11_a_batch_that_cannot_be_opened_leaves_the_epoch_of_what_came_before_it() {
    let mut torn = batch(0, 2);
    torn[12..16].copy_from_slice(&9_i32.to_be_bytes());
    torn[17] ^= 1;
    let mut reader = reader(torn, 0, true);
    assert!(reader.read(&mut Filling::new(10)).is_err());
    assert_eq!((reader.position(), reader.epoch()), (0, -1));
}

#[test]
fn rule_6_12_the_position_advances_over_control_batches_that_nobody_gets() {
    let mut filling = Filling::new(10);
    let bytes = [batch(0, 2), as_control(batch(2, 1)), batch(3, 1)].concat();
    let mut reader = reader(bytes, 0, false);
    reader.read(&mut filling).unwrap();
    assert_eq!(offsets(&filling.finish()), [0, 1, 3]);
    assert_eq!(reader.position(), 4);
}

#[test]
fn rule_3_2_a_truncated_tail_keeps_the_good_batches() {
    let whole = [batch(0, 3), batch(3, 3)].concat();
    for cut in 1..batch(3, 3).len() {
        let mut filling = Filling::new(10);
        let mut reader = reader(whole[..whole.len() - cut].to_vec(), 0, true);
        assert_eq!(reader.read(&mut filling).unwrap(), Read::End, "{cut}");
        assert_eq!((filling.finish().len(), reader.position()), (3, 3));
    }
}

#[test]
fn rule_3_13_an_undecodable_batch_is_named_and_the_position_stays() {
    let mut bytes = [batch(0, 3), batch(3, 3)].concat();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let mut filling = Filling::new(10);
    let mut reader = reader(bytes, 0, true);
    let error = reader.read(&mut filling).unwrap_err();
    assert_eq!((error.topic(), error.partition()), (Some("t"), Some(0)));
    assert!(error.message().contains("offset 3"), "{error}");
    assert!([Code::CORRUPT_MESSAGE, Code::UNDECODABLE].contains(&error.code()), "{error:?}");
    assert_eq!(reader.position(), 3);
    assert_eq!(offsets(&filling.finish()), [0, 1, 2], "what came before it is delivered");
}

#[test]
fn every_format_and_codec_reads_the_same() {
    for format in [Format::V0, Format::V1, Format::V2] {
        for codec in [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4] {
            let mut filling = Filling::new(10);
            let mut reader = reader(batch_as(4, 3, format, codec), 5, true);
            reader.read(&mut filling).unwrap();
            let batch = filling.finish();
            assert_eq!(offsets(&batch), [5, 6], "{format} {codec:?}");
            assert_eq!(batch.get(0).unwrap().value(), Some(&b"v5"[..]));
            assert_eq!(reader.position(), 7);
        }
    }
}

#[test]
fn what_a_moved_partition_added_is_taken_back() {
    let mut filling = Filling::new(10);
    reader(batch(0, 2), 0, true).read(&mut filling).unwrap();
    let mark = filling.mark();
    reader(batch(50, 2), 50, true).read(&mut filling).unwrap();
    filling.undo(mark);
    let batch = filling.finish();
    assert_eq!((offsets(&batch), batch.runs().len()), (vec![0, 1], 1));
}

#[test]
fn columns_hold_what_the_views_show() {
    let mut filling = Filling::new(10);
    reader(batch(8, 3), 8, true).read(&mut filling).unwrap();
    let batch = filling.finish();
    let columns = batch.columns().unwrap();
    assert_eq!((columns.offsets.as_slice(), columns.timestamps[0]), (&[8, 9, 10][..], 1_008));
    let (at, length) = (columns.value_positions[2] as usize, columns.value_lengths[2] as usize);
    assert_eq!(&columns.buffer[at..at + length], b"v10");
}

#[test]
fn rule_6_13_no_batches_are_no_progress() {
    assert_eq!(outline(&Vec::new().into(), 7), Outline::Empty);
    let cut = batch(7, 3)[..40].to_vec();
    assert_eq!(outline(&cut.into(), 7), Outline::Cut);
    assert_eq!(outline(&[batch(0, 9), batch(9, 2)].concat().into(), 7), Outline::UpTo(11, 5));
    assert_eq!(outline(&batch(0, 2).into(), 7), Outline::Unclear, "nothing at or after it");
}

#[test]
fn rule_6_20_an_abort_marker_ends_the_aborted_transaction_and_nothing_else() {
    let bytes = [
        in_transaction(batch(0, 2), 7),
        in_transaction(batch(2, 1), 8),
        batch(3, 1),
        marker(4, 7, false),
        in_transaction(batch(5, 2), 7),
        marker(7, 7, true),
        marker(8, 8, true),
    ];
    let list = [AbortedTransaction { producer_id: 7, first_offset: 0 }];
    for (aborted, expected) in
        [(Some(Aborted::new(&list)), vec![2, 3, 5, 6]), (None, vec![0, 1, 2, 3, 5, 6])]
    {
        let mut filling = Filling::new(10);
        let mut reader = reader_without(bytes.concat(), 0, false, aborted);
        reader.read(&mut filling).unwrap();
        assert_eq!((offsets(&filling.finish()), reader.position()), (expected, 9));
    }
}
