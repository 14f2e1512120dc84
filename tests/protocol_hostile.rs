//! Bytes that lie: every decoder gives an error, and allocates no more than the input could fill.

#![allow(unsafe_code, reason = "an allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bytes::Bytes;
use samsa::protocol::modern::header::RequestHeader;
use samsa::protocol::modern::{AnyRequest, ApiKey, Reader};
use samsa::protocol::zookeeper;
use samsa::{Code, Error};

mod reflection;
use reflection::generate::{Generated, Length, encode_length, generate};
use reflection::{Codec, codec, codecs};

/// Counts what each thread holds, and the most that it held.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn size_of_block(layout: Layout) -> isize {
    // No block is larger than isize::MAX.
    isize::try_from(layout.size()).unwrap_or(isize::MAX)
}

fn count(bytes: isize) {
    // A thread that ends has no counters any more.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

// SAFETY: every call goes to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(size_of_block(layout));
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(-size_of_block(layout));
        // SAFETY: the caller's promise about `place` and `layout` is passed on.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes held during `act` beyond those held before.
fn peak_of<T>(act: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.get();
    PEAK.set(before);
    let result = act();
    (result, (PEAK.get() - before).unsigned_abs())
}

/// An empty string is one byte in a flexible array and 24 in memory; structures weigh less.
const MOST_PER_BYTE: usize = 64;
/// For the error and its chain of causes.
const FOR_AN_ERROR: usize = 4096;

/// Decodes bytes that are not a valid message; gives the error.
fn refused(codec: &Codec, version: i16, bytes: Vec<u8>, what: &str) -> Error {
    let length = bytes.len();
    let bytes = Bytes::from(bytes);
    let (result, peak) = peak_of(|| (codec.decode)(version, bytes));
    let allowed = MOST_PER_BYTE * length + FOR_AN_ERROR;
    assert!(
        peak <= allowed,
        "{} version {version}, {what}: {length} bytes made {peak} bytes of memory",
        codec.name
    );
    match result {
        Err(error) => error,
        Ok(left) => panic!("{} version {version}, {what}: decoded, {left} left", codec.name),
    }
}

/// Every API and version with a message that has two elements in every array.
fn every_message() -> impl Iterator<Item = (Codec, i16, Generated)> {
    codecs().into_iter().flat_map(|codec| {
        codec.versions().flat_map(move |version| {
            // 2: two elements and short strings; 1: every optional tagged field is there.
            let tapes = [vec![2; 4000], vec![1; 4000], vec![5; 4000]];
            tapes.map(|tape| (codec, version, generate(&codec, version, &tape, true)))
        })
    })
}

#[test]
fn every_truncation_of_every_message_is_an_error() {
    for (codec, version, message) in every_message() {
        for end in 0..message.bytes.len() {
            let what = format!("cut after {end} of {} bytes", message.bytes.len());
            let error = refused(&codec, version, message.bytes[..end].to_vec(), &what);
            assert_eq!(error.code(), Code::PROTOCOL, "{error}");
        }
    }
}

#[test]
fn every_length_that_lies_is_an_error_without_a_large_allocation() {
    for (codec, version, message) in every_message() {
        for (at, how) in &message.lengths {
            let left = i64::try_from(message.bytes.len() - at.end).expect("small");
            let lies: &[i64] = match how {
                Length::Short => &[-2, i16::MIN.into(), i16::MAX.into(), left + 1],
                Length::Long => &[-2, i32::MIN.into(), i32::MAX.into(), left + 1],
                // Minus two is 2³² − 2 here; −1 is what overflows when one is added.
                Length::Compact => &[-2, i32::MAX.into(), i64::from(i32::MAX) - 1, left + 1],
                Length::Varint => &[-1, -2, i32::MAX.into(), left + 1],
            };
            for lie in lies {
                let mut bytes = message.bytes.clone();
                bytes.splice(at.clone(), encode_length(*how, *lie));
                let what = format!("{how:?} length {lie} at byte {}", at.start);
                let error = refused(&codec, version, bytes, &what);
                assert_eq!(error.code(), Code::PROTOCOL, "{error}");
            }
        }
    }
}

#[test]
fn lies_at_every_depth_at_once_do_not_add_up() {
    for (codec, version, message) in every_message() {
        // Every array claims as many elements as there are bytes: only the smallest pass the check.
        for count in [1, 2, 16, message.bytes.len()] {
            let mut bytes = message.bytes.clone();
            for (at, how) in message.lengths.iter().rev() {
                if matches!(how, Length::Long | Length::Compact) {
                    let count = i64::try_from(count).expect("small");
                    bytes.splice(at.clone(), encode_length(*how, count));
                }
            }
            let length = bytes.len();
            let bytes = Bytes::from(bytes);
            let (_, peak) = peak_of(|| (codec.decode)(version, bytes));
            let allowed = MOST_PER_BYTE * length + FOR_AN_ERROR;
            assert!(peak <= allowed, "{} {version}, {count}: {peak} of {length}", codec.name);
        }
    }
}

#[test]
fn null_where_a_value_is_required_is_an_error() {
    let mut met = 0;
    for (codec, version, message) in every_message() {
        for (at, how) in message.lengths.iter().filter(|(_, how)| *how != Length::Varint) {
            let mut bytes = message.bytes.clone();
            bytes.splice(at.clone(), encode_length(*how, -1));
            // Where null is allowed, what follows is out of place; it may still be a message.
            if let Err(error) = (codec.decode)(version, Bytes::from(bytes)) {
                assert_eq!(error.code(), Code::PROTOCOL, "{error}");
                met += usize::from(error.message().contains("null"));
            }
        }
    }
    assert!(met > 1000, "{met} nulls were refused");
}

#[test]
fn a_tagged_field_that_is_longer_than_its_value_is_an_error() {
    // No error, no APIs, no throttle time, one tagged field: 3, a boolean, in two bytes.
    let bytes = vec![0, 0, 1, 0, 0, 0, 0, 1, 3, 2, 1, 1];
    let error = refused(&codec("ApiVersionsResponse"), 3, bytes, "tag 3");
    assert!(error.message().contains("left over"), "{error}");
}

#[test]
fn random_bytes_never_panic_and_never_allocate_without_bound() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[0]
    };
    for codec in codecs() {
        for version in codec.versions() {
            for length in 0..100 {
                // Small numbers are likelier to be lengths that pass.
                let bytes: Bytes = (0..length).map(|i| next() >> (i % 8)).collect();
                let (_, peak) = peak_of(|| (codec.decode)(version, bytes));
                assert!(peak <= MOST_PER_BYTE * length + FOR_AN_ERROR, "{} bytes", peak);
            }
        }
    }
}

#[test]
fn a_varint_longer_than_32_bits_is_an_error() {
    for bytes in [[0xff, 0xff, 0xff, 0xff, 0x1f], [0x80, 0x80, 0x80, 0x80, 0x80]] {
        let error =
            Reader::new(Bytes::copy_from_slice(&bytes)).unsigned_varint().expect_err("long");
        assert_eq!(error.code(), Code::PROTOCOL);
    }
    let longest = [0xff, 0xff, 0xff, 0xff, 0x0f];
    let value = Reader::new(Bytes::copy_from_slice(&longest)).unsigned_varint();
    assert_eq!(value.expect("32 bits"), u32::MAX);
}

#[test]
fn every_truncation_of_a_request_header_is_an_error() {
    let header = [0, 18, 0, 3, 0, 0, 0, 7, 0, 2, b'm', b'e', 1, 9, 2, 0xaa, 0xbb];
    for end in 0..header.len() {
        let mut r = Reader::new(Bytes::copy_from_slice(&header[..end]));
        assert_eq!(RequestHeader::decode(&mut r).expect_err("cut").code(), Code::PROTOCOL);
    }
    let mut r = Reader::new(Bytes::copy_from_slice(&header));
    assert_eq!(RequestHeader::decode(&mut r).expect("whole").client_id.as_deref(), Some("me"));
}

#[test]
fn an_api_without_a_definition_is_refused_by_name() {
    let mut r = Reader::new(Bytes::new());
    let error = AnyRequest::decode(ApiKey::Vote, 0, &mut r).expect_err("no definition");
    assert_eq!(error.code(), Code::UNSUPPORTED_FEATURE);
    assert!(error.message().contains("Vote"), "{error}");
}

#[test]
fn what_a_zookeeper_server_claims_costs_no_memory() {
    fn costs<R: zookeeper::Request>(claim: &[u8], what: &str) {
        let bytes = Bytes::copy_from_slice(claim);
        let (answer, peak) = peak_of(|| R::read(&mut zookeeper::Reader::new(bytes)).map(drop));
        assert!(answer.is_err(), "{what}");
        assert!(peak <= FOR_AN_ERROR, "{what}: {peak} bytes");
    }
    let most = i32::MAX.to_be_bytes();
    let one = 1_i32.to_be_bytes();
    costs::<zookeeper::GetChildren<'_>>(&most, "a list of 2^31-1 names");
    costs::<zookeeper::GetChildren<'_>>(&[&most[..], &one, b"a"].concat(), "one name of 2^31-1");
    costs::<zookeeper::GetChildren<'_>>(&[one, most].concat(), "a name of 2^31-1 bytes");
    costs::<zookeeper::GetChildren<'_>>(&[0, 0, 0, 1, 0, 0, 0, 2, 0xc3, 0x28], "no UTF-8");
    let nameless = [&1_000_000_i32.to_be_bytes()[..], &[0; 4_000_000]].concat();
    costs::<zookeeper::GetChildren<'_>>(&nameless, "a million names of nothing");
    let cut = [&1_000_000_i32.to_be_bytes()[..], &[0xff; 4_000_000]].concat();
    costs::<zookeeper::GetChildren<'_>>(&cut, "a million names that are none");
    costs::<zookeeper::GetData<'_>>(&most, "data of 2^31-1 bytes");
    costs::<zookeeper::Create<'_>>(&most, "a path of 2^31-1 bytes");
    let password = Bytes::from([&[0; 16][..], &most].concat());
    let (session, peak) = peak_of(|| zookeeper::ConnectResponse::read(password).map(drop));
    assert!(session.is_err() && peak <= FOR_AN_ERROR, "a password of 2^31-1 bytes: {peak}");
}
