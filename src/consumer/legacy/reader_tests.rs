//! Sets as brokers of 0.7 keep them, read as polls read them.

use super::super::super::budget::Seat;
use super::super::super::fixture::keep;
use super::super::super::name::Name;
use super::super::super::partition::Marks;
use super::*;
use crate::error::Code;
use crate::protocol::legacy::{append_message, wrap};

const BASE: i64 = 1_000;

fn set(payloads: &[&[u8]]) -> Vec<u8> {
    let mut set = Vec::new();
    payloads.iter().for_each(|payload| append_message(&mut set, payload));
    set
}

fn wrapped(payloads: &[&[u8]], codec: Compression) -> Vec<u8> {
    let mut out = Vec::new();
    wrap(&mut out, &set(payloads), codec, None).unwrap();
    out
}

/// A message of magic 0.
fn old(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&(5 + payload.len() as u32).to_be_bytes());
    out.push(0);
    out.extend_from_slice(&crc32fast::hash(payload).to_be_bytes());
    out.extend_from_slice(payload);
    out
}

fn reader(set: Vec<u8>) -> Reader {
    let source =
        Source { topic: Name::new("t").unwrap(), partition: 3 << 32 | 2, marks: Marks::default() };
    let decoding = Decoding { check_crc: true, largest: 1 << 20 };
    Reader::new(source, (set.into(), BASE), decoding, keep())
}

/// What one poll of at most `most` messages gives: values, offsets, where each resumes.
fn poll(reader: &mut Reader, most: usize) -> (Vec<(String, i64, i64)>, Result<Read>) {
    let mut filling = Filling::new(most);
    let outcome = reader.read(&mut filling);
    let batch = filling.finish();
    let text = |value: Option<&[u8]>| String::from_utf8(value.unwrap_or(b"-").to_vec()).unwrap();
    let seen = batch.iter().map(|r| (text(r.value()), r.offset(), r.next_offset())).collect();
    for run in batch.runs() {
        assert_eq!((run.partition, run.next_offset), (3 << 32 | 2, reader.position()));
    }
    (seen, outcome)
}

fn seen(value: &str, offset: i64, next: i64) -> (String, i64, i64) {
    (value.to_owned(), BASE + offset, BASE + next)
}

#[test]
fn rule_10_13_a_message_resumes_behind_its_last_byte() {
    let mut reader = reader(set(&[b"one", b"", b"three"]));
    let (messages, outcome) = poll(&mut reader, 2);
    assert_eq!(messages, [seen("one", 0, 13), seen("", 13, 23)]);
    assert_eq!((outcome.unwrap(), reader.position()), (Read::Full, BASE + 23));
    let (messages, outcome) = poll(&mut reader, 2);
    assert_eq!(messages, [seen("three", 23, 38)]);
    assert_eq!((outcome.unwrap(), reader.position()), (Read::End, BASE + 38));
}

#[test]
fn rule_10_13_within_a_compressed_set_only_its_end_is_a_place_to_resume_at() {
    for codec in [Compression::Gzip, Compression::Snappy] {
        let mut bytes = set(&[b"pre"]);
        let wrapper = wrapped(&[b"one", b"two", b"three"], codec);
        bytes.extend_from_slice(&wrapper);
        bytes.extend(set(&[b"post"]));
        let (begin, end) = (13, 13 + wrapper.len() as i64);
        let mut reader = reader(bytes);
        let (messages, outcome) = poll(&mut reader, 3);
        let expected = [seen("pre", 0, 13), seen("one", begin, begin), seen("two", begin, begin)];
        assert_eq!((messages, outcome.unwrap()), (expected.to_vec(), Read::Full));
        assert_eq!(reader.position(), BASE + begin, "the whole wrapper comes again");
        let (messages, outcome) = poll(&mut reader, 9);
        let expected = [seen("three", begin, end), seen("post", end, end + 14)];
        assert_eq!((messages, outcome.unwrap()), (expected.to_vec(), Read::End));
    }
}

#[test]
fn messages_of_magic_0_and_1_and_compressed_sets_may_follow_each_other() {
    let parts = [
        old(b"zero"),
        set(&[b"one"]),
        wrapped(&[], Compression::Gzip),
        wrapped(&[b"in"], Compression::Snappy),
        old(b""),
    ];
    let (messages, outcome) = poll(&mut reader(parts.concat()), 9);
    let values: Vec<_> = messages.iter().map(|(value, ..)| value.as_str()).collect();
    assert_eq!((values, outcome.unwrap()), (vec!["zero", "one", "in", ""], Read::End));
    assert_eq!(messages.last().map(|m| m.2), Some(BASE + parts.concat().len() as i64));
}

#[test]
fn a_partial_tail_ends_quietly() {
    let whole = set(&[b"one", b"two"]);
    for cut in 13..26 {
        let mut reader = reader(whole[..cut].to_vec());
        let (messages, outcome) = poll(&mut reader, 9);
        assert_eq!((messages.len(), outcome.unwrap()), (1, Read::End), "{cut}");
        assert_eq!(reader.position(), BASE + 13);
    }
}

#[test]
fn what_is_no_message_is_an_error_in_its_place_behind_what_is_one() {
    let mut damaged = set(&[b"two"]);
    damaged[12] ^= 1;
    let mut in_wrapper = wrapped(&[b"one"], Compression::Gzip);
    let last = in_wrapper.len() - 1;
    in_wrapper[last] ^= 1;
    let mut magic = set(&[b"two"]);
    magic[4] = 2;
    let mut codec = set(&[b"two"]);
    codec[5] = 3;
    let negative = [0xff, 0xff, 0xff, 0xfe, 1, 0, 0, 0, 0, 0].to_vec();
    let tiny = [0, 0, 0, 4, 1, 0, 0, 0].to_vec();
    for bytes in [damaged, in_wrapper, magic, codec, negative, tiny] {
        let mut reader = reader([set(&[b"one"]), bytes].concat());
        let (messages, outcome) = poll(&mut reader, 9);
        assert_eq!(messages, [seen("one", 0, 13)]);
        let error = outcome.unwrap_err();
        assert_eq!((error.code(), error.partition()), (Code::CORRUPT_MESSAGE, Some(3 << 32 | 2)));
        assert_eq!(reader.position(), BASE + 13);
        assert!(error.message().contains("1013"), "{error}");
    }
}

#[test]
fn a_wrong_checksum_counts_only_if_checksums_are_checked() {
    let mut damaged = set(&[b"one", b"two"]);
    damaged[12] ^= 1;
    let mut reader = reader(damaged);
    reader.decoding.check_crc = false;
    assert_eq!(poll(&mut reader, 9).0.len(), 2);
}

#[test]
fn what_decompresses_to_more_than_allowed_is_refused() {
    let mut reader = reader(wrapped(&[&[b'x'; 5_000]], Compression::Gzip));
    reader.decoding.largest = 1_000;
    assert!(poll(&mut reader, 9).1.is_err());
}

#[test]
fn what_an_opened_set_holds_is_charged_as_long_as_it_is_held() {
    let budget = Budget::new(1 << 24, &Arc::default());
    let seat = Arc::new(Seat::default());
    // Empty messages: ten bytes each where they are decompressed, and each has a place in the list.
    let bytes = wrapped(&[&b""[..]; 10_000], Compression::Gzip);
    let answer = bytes.len();
    let mut reader = reader(bytes);
    (reader.lease, reader.unread) = (budget.charge(&seat, answer), Unread::new(&seat));
    let mut first = Filling::new(1);
    assert_eq!(reader.read(&mut first).unwrap(), Read::Full);
    let (decompressed, listed) = (10_000 * 10, 10_000 * size_of::<Span>());
    assert!(budget.used() >= answer + decompressed + listed, "{}", budget.used());
    let mut rest = Filling::new(20_000);
    assert_eq!(reader.read(&mut rest).unwrap(), Read::End);
    let held = budget.used() - answer;
    assert!((decompressed..decompressed + listed).contains(&held), "{held}: the list is gone");
    drop((first.finish(), reader));
    assert!(budget.used() >= decompressed, "a batch holds what it shows");
    drop(rest.finish());
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_buffer_that_a_set_was_decompressed_into_serves_the_next_one() {
    let budget = Budget::new(1 << 24, &Arc::default());
    let answer = budget.charge(&Arc::new(Seat::default()), 1);
    let payload = vec![b'x'; 200_000];
    let address = |codec| {
        let mut reader = reader(wrapped(&[&payload], codec));
        reader.lease = Arc::clone(&answer);
        let mut filling = Filling::new(9);
        reader.read(&mut filling).unwrap();
        let batch = filling.finish();
        batch.iter().next().unwrap().value().unwrap().as_ptr().addr()
    };
    let first = address(Compression::Gzip);
    assert_eq!(address(Compression::Gzip), first);
}
