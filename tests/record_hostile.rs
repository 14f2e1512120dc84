//! Bytes from a hostile peer: every truncation, lying lengths and counts, and bombs of every codec
//! end in an error, and never in an allocation that the input does not account for.
//!
//! The allocator of these tests counts, for each thread by itself: tests run side by side.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Write as _;

use bytes::Bytes;
use samsa::protocol::record::{
    Assignment, BatchBuilder, BatchIter, Compression, Format, Header, NewRecord, assign_offsets,
};

struct Counting;

thread_local! {
    /// What this thread allocated and has not freed, and the most since [`most_allocated`] began.
    static NOW: Cell<usize> = const { Cell::new(0) };
    static MOST: Cell<usize> = const { Cell::new(0) };
}

fn count(change: impl FnOnce(usize) -> usize) {
    // A thread that ends frees its last blocks without its counters.
    let _ = NOW.try_with(|now| {
        now.set(change(now.get()));
        let _ = MOST.try_with(|most| most.set(most.get().max(now.get())));
    });
}

#[allow(unsafe_code, reason = "a test's allocator that counts and passes everything on")]
// SAFETY: every call goes to the system's allocator with the arguments it came with.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(|now| now + layout.size());
        // SAFETY: the caller keeps GlobalAlloc's contract, which is System's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(|now| now.saturating_sub(layout.size()));
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many bytes above what there was before were allocated at most while `body` ran.
fn most_allocated(body: impl FnOnce()) -> usize {
    let before = NOW.get();
    MOST.set(before);
    body();
    MOST.get().saturating_sub(before)
}

const CAP: usize = 1 << 20;
/// What decoders keep for themselves: contexts, tables, error texts.
const STATE: usize = 512 * 1024;

fn formats_and_codecs() -> impl Iterator<Item = (Format, Compression)> {
    let formats = [Format::V0, Format::V1, Format::V2].into_iter();
    formats
        .flat_map(|format| Compression::ALL.map(|codec| (format, codec)))
        .filter(|(format, codec)| *format == Format::V2 || *codec != Compression::Zstd)
}

fn batch(format: Format, codec: Compression, values: &[&[u8]]) -> Bytes {
    let mut builder = BatchBuilder::new(format, codec, None, 0).expect("a builder");
    let headers = [Header { name: b"a", value: Some(b"1") }, Header { name: b"a", value: None }];
    for value in values {
        let (key, value) = (Some(&b"key"[..]), Some(*value));
        let record = NewRecord { timestamp: 1, key, value, headers: &headers };
        let plain = NewRecord { headers: &(), ..record };
        let record = if format == Format::V2 { record } else { plain };
        builder.append(&record).expect("appended");
    }
    builder.seal().expect("sealed").bytes
}

/// Reads everything that can be read; whether all of it could.
fn read(bytes: &Bytes, check_crc: bool) -> bool {
    let mut walk = BatchIter::new(bytes.clone());
    let good = walk.by_ref().all(|batch| match batch {
        Ok(batch) => batch.decode(check_crc, CAP).is_ok(),
        Err(_) => false,
    });
    good && !walk.truncated()
}

fn store(bytes: &Bytes) -> bool {
    let assignment = Assignment {
        base_offset: 0,
        leader_epoch: 0,
        append_time: None,
        check_records: true,
        max_decompressed: CAP,
    };
    assign_offsets(bytes.clone(), &assignment).is_ok()
}

#[test]
fn every_truncation_of_every_format_and_codec_is_noticed() {
    for (format, codec) in formats_and_codecs() {
        let whole = batch(format, codec, &[b"one", b"two", b"a longer value, a longer value"]);
        assert!(read(&whole, true) && store(&whole), "{format} {codec}");
        for cut in 1..whole.len() {
            let bytes = whole.slice(..cut);
            // Plain messages are a batch each: between two of them nothing is missing.
            let mut walk = BatchIter::new(bytes.clone());
            walk.by_ref().for_each(drop);
            let between = format != Format::V2 && codec == Compression::None && !walk.truncated();
            assert!(between || !read(&bytes, true), "{format} {codec} cut at {cut}");
            assert!(between || !store(&bytes), "{format} {codec} cut at {cut}");
        }
    }
}

#[test]
fn a_batch_whose_length_was_adjusted_to_its_truncation_is_an_error() {
    for (format, codec) in formats_and_codecs() {
        let whole = batch(format, codec, &[b"a longer value, a longer value"]);
        for cut in 1..whole.len() {
            let mut bytes = whole[..cut].to_vec();
            let length = (cut as u32).saturating_sub(12);
            if let Some(field) = bytes.get_mut(8..12) {
                field.copy_from_slice(&length.to_be_bytes());
            }
            // Not even the CRC is there to help.
            assert!(!read(&Bytes::from(bytes), false), "{format} {codec} cut at {cut}");
        }
    }
}

#[test]
fn any_one_byte_changed_neither_panics_nor_allocates_more_than_the_cap() {
    for (format, codec) in formats_and_codecs() {
        let whole = batch(format, codec, &[b"one", b"two", b"a longer value, a longer value"]);
        for position in 0..whole.len() {
            for byte in [0, 1, 0x7f, 0x80, 0xfe, 0xff] {
                let mut bytes = whole.to_vec();
                bytes[position] = byte;
                let bytes = Bytes::from(bytes);
                let most = most_allocated(|| {
                    read(&bytes, false);
                });
                assert!(most <= CAP + STATE, "{format} {codec} {position}={byte}: {most}");
            }
        }
    }
}

#[test]
fn hostile_lengths_allocate_nothing() {
    let whole = batch(Format::V2, Compression::None, &[b"one", b"two", b"three"]);
    for lie in [-2_i32, i32::MIN, i32::MAX, i32::MAX - 12, 1 << 30] {
        // Length, last offset delta, count.
        for position in [8, 23, 57] {
            let mut bytes = whole.to_vec();
            bytes[position..position + 4].copy_from_slice(&lie.to_be_bytes());
            let bytes = Bytes::from(bytes);
            let mut good = true;
            let most = most_allocated(|| good = read(&bytes, false));
            assert!(!good || position == 23 && lie > 0, "{lie} at {position}");
            assert!(most < 4096, "{lie} at {position}: {most} bytes");
        }
    }
    let message = batch(Format::V1, Compression::None, &[b"one"]);
    for lie in [-2_i32, i32::MIN, i32::MAX, i32::MAX - 12, 1 << 30] {
        // Size, key length.
        for position in [8, 26] {
            let mut bytes = message.to_vec();
            bytes[position..position + 4].copy_from_slice(&lie.to_be_bytes());
            let bytes = Bytes::from(bytes);
            let most = most_allocated(|| assert!(!read(&bytes, false), "{lie} at {position}"));
            assert!(most < 4096, "{lie} at {position}: {most} bytes");
        }
    }
}

#[test]
fn hostile_varints_inside_a_record_allocate_nothing() {
    let whole = batch(Format::V2, Compression::None, &[b"one"]);
    // −1 − n and n as zigzag varints, five bytes long.
    let lies = [[0xff, 0xff, 0xff, 0xff, 0x0f], [0xfe, 0xff, 0xff, 0xff, 0x0f]];
    for position in 61..whole.len() {
        for lie in lies {
            let mut bytes = whole[..position].to_vec();
            bytes.extend(lie);
            bytes.extend(&whole[position + 1..]);
            let length = bytes.len() as u32 - 12;
            bytes[8..12].copy_from_slice(&length.to_be_bytes());
            // Once with the record's old length, once with the right one for the longer record.
            for record_length in [bytes[61], bytes[61].wrapping_add(8)] {
                bytes[61] = if position == 61 { bytes[61] } else { record_length };
                let bytes = Bytes::from(bytes.clone());
                let most = most_allocated(|| {
                    read(&bytes, false);
                });
                assert!(most < 4096, "at {position}: {most} bytes");
            }
        }
    }
}

#[test]
fn a_count_that_compressed_bytes_make_plausible_but_their_content_does_not_allocates_nothing() {
    for codec in Compression::ALL {
        let whole = batch(Format::V2, codec, &[b"one", b"two"]);
        for count in [i32::MAX, 1 << 20, 1000] {
            let mut bytes = whole.to_vec();
            bytes[57..61].copy_from_slice(&count.to_be_bytes());
            let bytes = Bytes::from(bytes);
            let most = most_allocated(|| assert!(!read(&bytes, false), "{codec} {count}"));
            assert!(most < STATE, "{codec} {count}: {most} bytes");
        }
    }
}

#[test]
fn bombs_stop_at_the_cap() {
    let zeros = vec![0; 8 * CAP];
    for (format, codec) in formats_and_codecs().filter(|(_, codec)| *codec != Compression::None) {
        let bomb = batch(format, codec, &[&zeros]);
        let mut good = true;
        let most = most_allocated(|| good = read(&bomb, false));
        assert!(!good, "{format} {codec}");
        assert!(most <= 3 * CAP + STATE, "{format} {codec}: {} bytes made {most}", bomb.len());
    }
}

/// A batch v2 around what claims to be data of this codec.
fn around(codec: Compression, payload: &[u8]) -> Bytes {
    let mut bytes = batch(Format::V2, Compression::None, &[b"x"])[..61].to_vec();
    bytes.extend(payload);
    let length = bytes.len() as u32 - 12;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    bytes[22] = codec as u8;
    Bytes::from(bytes)
}

#[test]
fn sizes_that_codecs_declare_are_not_believed() {
    let xerial = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
    // 4 GiB − 1 as snappy's varint, then nothing; and as a chunk length of the framing.
    let four_gigabytes = [0xff, 0xff, 0xff, 0xff, 0x0f, 0x00];
    let framed = [&xerial[..], &[0, 0, 0, 6], &four_gigabytes].concat();
    let long_chunk = [&xerial[..], &[0xff, 0xff, 0xff, 0xff, 0x00]].concat();
    // A zstd frame that claims 2⁶⁰ bytes: magic, 8-byte content size, single segment; an empty block.
    let zstd =
        [&[0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x10][..], &[1, 0, 0]].concat();
    // An LZ4 frame with a content size of 2⁶³ and 4 MiB blocks, whose block says 2 GiB.
    let lz4 = [
        &[0x04, 0x22, 0x4d, 0x18, 0x68, 0x70, 0, 0, 0, 0, 0, 0, 0, 0x80, 0][..],
        &[0xff, 0xff, 0xff, 0x7f, 0x00],
    ]
    .concat();
    // A gzip member whose trailer says 4 GiB.
    let mut gzip = batch(Format::V2, Compression::Gzip, &[b"x"])[61..].to_vec();
    let end = gzip.len();
    gzip[end - 4..].copy_from_slice(&[0xff; 4]);
    let cases = [
        (Compression::Snappy, &four_gigabytes[..]),
        (Compression::Snappy, &framed),
        (Compression::Snappy, &long_chunk),
        (Compression::Zstd, &zstd),
        (Compression::Lz4, &lz4),
        (Compression::Gzip, &gzip),
    ];
    for (codec, payload) in cases {
        let bytes = around(codec, payload);
        let most = most_allocated(|| assert!(!read(&bytes, false), "{codec} {payload:02x?}"));
        assert!(most < STATE, "{codec}: {most} bytes");
    }
}

#[test]
fn bombs_inside_bombs_are_refused_without_opening_the_inner_one() {
    let inner = batch(Format::V1, Compression::Gzip, &[&vec![0; CAP / 2]]);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&inner).expect("to memory");
    let packed = packed.finish().expect("to memory");
    // The inner wrapper's header will do for the outer one: no key, and the value's length.
    let mut nested = inner[..34].to_vec();
    nested[8..12].copy_from_slice(&(22 + packed.len() as u32).to_be_bytes());
    nested[30..34].copy_from_slice(&(packed.len() as u32).to_be_bytes());
    nested.extend(packed);
    let nested = Bytes::from(nested);
    assert!(read(&inner, true));
    let most = most_allocated(|| assert!(!read(&nested, false)));
    assert!(most < STATE, "{most} bytes");
}
