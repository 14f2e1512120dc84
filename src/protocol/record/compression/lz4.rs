//! LZ4 frames, the framing by hand.
//!
//! By hand for three reasons: messages v0 carry a header checksum that is wrong on purpose, frames
//! may follow one another, and blocks decompress straight into the output, without a copy.
//!
//! The header checksum is the second byte of the xxHash32 of the frame descriptor. Kafka 0.8 and
//! 0.9 put the frame's magic number into the hash too; their peers refuse correct frames, Java
//! refuses the others (invariant 3.10).

use std::cell::RefCell;

use lz4::block::{CompressionMode, compress_to_buffer};
use lz4_flex::block::{
    CompressTable, compress_into_with_table, decompress_into, decompress_into_with_dict,
    get_maximum_output_size,
};
use twox_hash::XxHash32;

use super::{Compression, above, malformed, not_compressed};
use crate::error::{Error, Result};
use crate::protocol::record::Format;

const MAGIC: [u8; 4] = 0x184D_2204_u32.to_le_bytes();
/// Version 1, independent blocks, no checksums, no content size, no dictionary.
const FLAGS: u8 = 0x60;
/// Blocks of at most 64 KiB.
const BLOCK_64K: u8 = 0x40;
const BLOCK: usize = 64 * 1024;
/// In a block's length: the block is stored as it is.
const STORED: u32 = 0x8000_0000;
/// A match of 255 more bytes takes one: no block can grow by more than this factor.
const MOST_GROWTH: usize = 255;
/// How far back a linked block may look.
const WINDOW: usize = 64 * 1024;

const INDEPENDENT: u8 = 0x20;
const BLOCK_CHECKSUM: u8 = 0x10;
const CONTENT_SIZE: u8 = 0x08;
const CONTENT_CHECKSUM: u8 = 0x04;
const RESERVED_OR_DICTIONARY: u8 = 0x03;

thread_local! {
    /// The large kind, whatever the input: it looks at five bytes where the small one looks at four, and
    /// text of 16 kB becomes a quarter smaller at the same cost. Kept, as it is 16 kB itself.
    static TABLE: RefCell<CompressTable> = RefCell::new(CompressTable::large());
}

/// `level`: that of liblz4's high compression; none is the fast encoder.
pub(super) fn compress(
    input: &[u8],
    level: Option<i32>,
    format: Format,
    out: &mut Vec<u8>,
) -> Result<()> {
    let magic_at = out.len();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[FLAGS, BLOCK_64K]);
    let hashed_from = if format == Format::V0 { magic_at } else { magic_at + MAGIC.len() };
    let checksum = header_checksum(&out[hashed_from..]);
    out.push(checksum);

    let end = TABLE.with_borrow_mut(|table| -> Result<usize> {
        let mut end = out.len();
        for block in input.chunks(BLOCK) {
            end = compress_block(block, level, table, out, end)?;
        }
        Ok(end)
    })?;
    out.truncate(end);
    out.extend_from_slice(&[0; 4]);
    Ok(())
}

/// Puts a block and its length to `at`, whatever `out` holds from there on: what was cleared for the
/// worst case of one block serves the next. Gives the end.
fn compress_block(
    block: &[u8],
    level: Option<i32>,
    table: &mut CompressTable,
    out: &mut Vec<u8>,
    at: usize,
) -> Result<usize> {
    let begin = at + 4;
    let most = begin + get_maximum_output_size(block.len());
    let target = &mut super::room(out, most)[begin..];
    let failed = |error: &dyn std::fmt::Display| not_compressed(Compression::Lz4, error);
    let length = match level.map(CompressionMode::HIGHCOMPRESSION) {
        None => compress_into_with_table(block, target, table).map_err(|error| failed(&error))?,
        high => compress_to_buffer(block, high, false, target).map_err(|error| failed(&error))?,
    };
    let (field, end) = if length < block.len() {
        (length as u32, begin + length)
    } else {
        target[..block.len()].copy_from_slice(block);
        (block.len() as u32 | STORED, begin + block.len())
    };
    out[at..begin].copy_from_slice(&field.to_le_bytes());
    Ok(end)
}

pub(super) fn decompress(
    input: &[u8],
    format: Format,
    cap: usize,
    out: &mut Vec<u8>,
) -> Result<usize> {
    let wish = input.len().saturating_mul(3).min(cap);
    out.reserve(wish.saturating_sub(out.len()));
    let mut output = Output { buffer: out, end: 0, cap };
    let mut rest = Input(input);
    loop {
        read_frame(&mut rest, format, &mut output)?;
        if rest.0.is_empty() {
            return Ok(output.end);
        }
    }
}

/// What was decompressed so far: the first `end` bytes of a buffer, at most `cap` in all.
struct Output<'a> {
    buffer: &'a mut Vec<u8>,
    end: usize,
    cap: usize,
}

impl Output<'_> {
    fn since(&self, begin: usize) -> &[u8] {
        self.buffer.get(begin..self.end).unwrap_or_default()
    }
}

/// What is left of the input.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(cut)?;
        self.0 = rest;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32> {
        let (taken, rest) = self.0.split_first_chunk::<4>().ok_or_else(cut)?;
        self.0 = rest;
        Ok(u32::from_le_bytes(*taken))
    }
}

struct Descriptor {
    flags: u8,
    block_size: usize,
}

impl Descriptor {
    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

fn read_descriptor(input: &mut Input<'_>, format: Format) -> Result<Descriptor> {
    let whole = input.0;
    if input.take(MAGIC.len())? != MAGIC {
        return Err(malformed(Compression::Lz4, "no frame begins where one should"));
    }
    let &[flags, sizes] = input.take(2)? else { return Err(cut()) };
    if flags >> 6 != 1 || flags & RESERVED_OR_DICTIONARY != 0 {
        let what = format!("frame flags {flags:#04x} (not version 1, or with a dictionary)");
        return Err(malformed(Compression::Lz4, what));
    }
    let block_size = match (sizes >> 4) & 7 {
        size @ 4..=7 => 1 << (8 + 2 * size),
        size => return Err(malformed(Compression::Lz4, format!("block size code {size}"))),
    };
    if flags & CONTENT_SIZE != 0 {
        input.take(8)?;
    }
    let descriptor = &whole[MAGIC.len()..whole.len() - input.0.len()];
    let stored = input.take(1)?;
    // v0 has it wrong or right, depending on who wrote it: not looked at.
    if format != Format::V0 && stored != [header_checksum(descriptor)] {
        return Err(malformed(Compression::Lz4, "the frame's header checksum is wrong"));
    }
    Ok(Descriptor { flags, block_size })
}

fn read_frame(input: &mut Input<'_>, format: Format, out: &mut Output<'_>) -> Result<()> {
    let descriptor = read_descriptor(input, format)?;
    let frame_at = out.end;
    loop {
        let field = input.u32()?;
        if field == 0 {
            break;
        }
        let block = input.take((field & !STORED) as usize)?;
        if descriptor.has(BLOCK_CHECKSUM) && input.u32()? != XxHash32::oneshot(0, block) {
            return Err(malformed(Compression::Lz4, "a block's checksum is wrong"));
        }
        append_block(block, field & STORED != 0, &descriptor, frame_at, out)?;
    }
    if descriptor.has(CONTENT_CHECKSUM) && input.u32()? != XxHash32::oneshot(0, out.since(frame_at))
    {
        return Err(malformed(Compression::Lz4, "the content checksum is wrong"));
    }
    Ok(())
}

/// Puts one block's content behind what `out` holds; `frame_at` is where its frame began there.
fn append_block(
    block: &[u8],
    stored: bool,
    descriptor: &Descriptor,
    frame_at: usize,
    out: &mut Output<'_>,
) -> Result<()> {
    let (begin, cap) = (out.end, out.cap);
    let room = descriptor.block_size.min(block.len().saturating_mul(MOST_GROWTH));
    let within = room.min(cap - begin);
    if stored {
        if block.len() > within {
            return Err(if block.len() > room { too_long() } else { above(Compression::Lz4, cap) });
        }
        out.end = begin + block.len();
        super::room(out.buffer, out.end)[begin..].copy_from_slice(block);
        return Ok(());
    }
    let (before, target) = super::room(out.buffer, begin + within).split_at_mut(begin);
    let decoded = if descriptor.has(INDEPENDENT) {
        decompress_into(block, target)
    } else {
        let window = &before[frame_at.max(begin.saturating_sub(WINDOW))..];
        decompress_into_with_dict(block, target, window)
    };
    match decoded {
        Ok(length) => out.end = begin + length,
        Err(lz4_flex::block::DecompressError::OutputTooSmall { .. }) if within < room => {
            return Err(above(Compression::Lz4, cap));
        }
        Err(error) => return Err(malformed(Compression::Lz4, error)),
    }
    Ok(())
}

fn header_checksum(descriptor: &[u8]) -> u8 {
    (XxHash32::oneshot(0, descriptor) >> 8) as u8
}

#[cold]
fn cut() -> Error {
    malformed(Compression::Lz4, "the frame is cut")
}

#[cold]
fn too_long() -> Error {
    malformed(Compression::Lz4, "a block is longer than its frame allows")
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

    use super::*;

    fn decompress(input: &[u8], format: Format, cap: usize) -> Result<Vec<u8>> {
        Compression::Lz4.decompress(format, input, cap)
    }

    /// Several blocks of 64 KiB, some compressible.
    fn content() -> Vec<u8> {
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let text = (0..40_000_u32).flat_map(|n| (n / 7).to_le_bytes());
        let mut content: Vec<u8> = text.collect();
        content.extend((0..100_000).map(|_| noise()));
        content
    }

    fn frame_of(info: FrameInfo, content: &[u8]) -> Vec<u8> {
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(content).expect("to memory");
        encoder.finish().expect("to memory")
    }

    /// Every kind of frame that the specification allows without a dictionary.
    fn infos(content: &[u8]) -> Vec<FrameInfo> {
        let mut infos = Vec::new();
        for mode in [BlockMode::Independent, BlockMode::Linked] {
            for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max4MB] {
                for bits in 0..8 {
                    let info = FrameInfo::new()
                        .block_mode(mode)
                        .block_size(size)
                        .block_checksums(bits & 1 != 0)
                        .content_checksum(bits & 2 != 0)
                        .content_size((bits & 4 != 0).then_some(content.len() as u64));
                    infos.push(info);
                }
            }
        }
        infos
    }

    #[test]
    fn frames_of_every_kind_are_read_and_so_are_two_behind_one_another() {
        let content = content();
        for info in infos(&content) {
            let frame = frame_of(info, &content);
            let read = decompress(&frame, Format::V2, content.len()).expect("one frame");
            assert!(read == content);
            let two = [&frame[..], &frame].concat();
            let read = decompress(&two, Format::V2, 2 * content.len()).expect("two frames");
            assert!(read == content.repeat(2));
        }
    }

    #[test]
    fn checksums_that_are_there_are_checked() {
        let content = content();
        let whole = FrameInfo::new().content_checksum(true);
        let mut frame = frame_of(whole, &content);
        let last = frame.len() - 1;
        frame[last] ^= 1;
        assert!(decompress(&frame, Format::V2, content.len()).is_err());
        let mut frame = frame_of(FrameInfo::new().block_checksums(true), &content);
        // The last block of all is stored: nothing but its checksum can tell.
        let in_last_block = frame.len() - 100;
        frame[in_last_block] ^= 1;
        assert!(decompress(&frame, Format::V2, content.len()).is_err());
    }

    #[test]
    fn what_we_write_another_decoder_reads() {
        for content in [Vec::new(), b"short".to_vec(), content()] {
            let mut frame = Vec::new();
            compress(&content, None, Format::V1, &mut frame).expect("compressed");
            let mut read = Vec::new();
            FrameDecoder::new(&frame[..]).read_to_end(&mut read).expect("decodes");
            assert!(read == content);
        }
    }

    #[test]
    fn a_level_makes_blocks_smaller_that_every_decoder_reads() {
        let words = ["status", "delta", "order", "Berlin", "total", "price", "updated", "amount"];
        let mut state = 7_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state as usize >> 16
        };
        let mut field = || format!("\"{}\":{},", words[next() % 8], next() % 100);
        let content: String = (0..20_000).map(|_| field()).collect();
        for format in [Format::V0, Format::V1, Format::V2] {
            let mut sizes = Vec::new();
            for level in [None, Some(1), Some(3), Some(9), Some(17)] {
                let mut frame = Vec::new();
                compress(content.as_bytes(), level, format, &mut frame).expect("compressed");
                let read = decompress(&frame, format, content.len()).expect("decodes");
                assert!(read == content.as_bytes(), "{level:?}");
                if format != Format::V0 {
                    let mut read = Vec::new();
                    FrameDecoder::new(&frame[..]).read_to_end(&mut read).expect("another decodes");
                    assert!(read == content.as_bytes(), "{level:?}");
                }
                sizes.push(frame.len());
            }
            assert!(sizes[3] < sizes[0] * 95 / 100, "{sizes:?}");
            assert!(sizes[4] < sizes[3] && sizes[3] < sizes[1], "{sizes:?}");
        }
    }

    #[test]
    fn fields_and_numbers_shrink_nearly_as_much_in_a_small_batch_as_in_a_large_one() {
        let mut state = 7_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 16
        };
        let names = ["status", "delta", "order", "Berlin", "total", "price", "updated", "amount"];
        let mut field = || format!("\"{}\":{},", names[next() as usize % 8], next() % 100);
        let text: String = (0..20_000).map(|_| field()).collect();
        let shrinks_to = |content: &str| {
            let mut frame = Vec::new();
            compress(content.as_bytes(), None, Format::V2, &mut frame).expect("compressed");
            frame.len() as f64 / content.len() as f64
        };
        let (small, large) = (shrinks_to(&text[..16_000]), shrinks_to(&text));
        assert!(small < 1.25 * large, "{small} {large}");
    }

    #[test]
    fn dictionaries_other_versions_and_bytes_behind_the_frame_are_refused() {
        let mut frame = Vec::new();
        compress(b"content", None, Format::V0, &mut frame).expect("compressed");
        for flags in [FLAGS | 1, FLAGS | 2, 0x20, 0xa0] {
            let mut other = frame.clone();
            other[4] = flags;
            assert!(decompress(&other, Format::V0, 100).is_err(), "{flags:#x}");
        }
        frame.push(0);
        assert!(decompress(&frame, Format::V0, 100).is_err());
        assert!(decompress(b"", Format::V0, 100).is_err());
    }
}
