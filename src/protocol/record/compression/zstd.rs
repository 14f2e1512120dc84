//! zstd, with one context for each thread and direction.

use std::cell::RefCell;

use zstd::zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd::zstd_safe::{self, CCtx, CParameter, DCtx};

use super::{Compression, above, malformed, not_compressed};
use crate::error::{Error, Result};

const DEFAULT_LEVEL: i32 = 3;
/// The least room that decompression starts with.
const LEAST_ROOM: usize = 4 * 1024;
/// What a frame may claim for its size and get at once, as a multiple of its length.
const TRUSTED_GROWTH: usize = 16;
/// By how much a buffer grows that did not suffice: all is decoded again each time.
const GROWTH: usize = 2;
/// What zstd says of it.
const TOO_SMALL: usize = 0_usize.wrapping_sub(ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall as usize);
/// A context that grew beyond this (a high level, a frame with a large window) is not kept.
const KEPT_CONTEXT: usize = 8 * 1024 * 1024;

thread_local! {
    // A context is some hundred kilobytes that take longer to make than a small batch to compress.
    static ENCODER: RefCell<Option<CCtx<'static>>> = const { RefCell::new(None) };
    static DECODER: RefCell<Option<DCtx<'static>>> = const { RefCell::new(None) };
}

pub(super) fn compress(input: &[u8], level: Option<i32>, out: &mut Vec<u8>) -> Result<()> {
    let mut context = match ENCODER.take() {
        Some(context) => context,
        None => CCtx::try_create().ok_or_else(out_of_memory)?,
    };
    let failed = |code| not_compressed(Compression::Zstd, zstd_safe::get_error_name(code));
    let level = CParameter::CompressionLevel(level.unwrap_or(DEFAULT_LEVEL));
    context.set_parameter(level).map_err(failed)?;
    let begin = out.len();
    out.resize(begin + zstd_safe::compress_bound(input.len()), 0);
    let length = context.compress2(&mut out[begin..], input).map_err(failed)?;
    out.truncate(begin + length);
    if context.sizeof() <= KEPT_CONTEXT {
        ENCODER.set(Some(context));
    }
    Ok(())
}

pub(super) fn decompress(input: &[u8], cap: usize, out: &mut Vec<u8>) -> Result<usize> {
    // Taken out of its place while it is used: after an error it is dropped, not reused.
    let mut context = match DECODER.take() {
        Some(context) => context,
        None => DCtx::try_create().ok_or_else(out_of_memory)?,
    };
    let length = decode_all(&mut context, input, cap, out)?;
    if context.sizeof() <= KEPT_CONTEXT {
        DECODER.set(Some(context));
    }
    Ok(length)
}

/// Decodes every frame of `input` in one go, which needs no window and no copy out of it. A frame may
/// lack its content size (Java's do), and may lie: the buffer starts with what it has, or what the
/// input makes plausible, and grows when that did not suffice.
fn decode_all(
    context: &mut DCtx<'_>,
    input: &[u8],
    cap: usize,
    out: &mut Vec<u8>,
) -> Result<usize> {
    let mut size = first_room(input).max(out.len()).min(cap);
    loop {
        match context.decompress(super::room(out, size), input) {
            Ok(length) => return Ok(length),
            Err(code) if code != TOO_SMALL => {
                return Err(malformed(Compression::Zstd, zstd_safe::get_error_name(code)));
            }
            Err(_) if size >= cap => return Err(above(Compression::Zstd, cap)),
            Err(_) => {
                // What it claims is believed as far as it has filled half of that.
                let claim = claimed(input).filter(|claim| *claim > size).unwrap_or(usize::MAX);
                size = size.saturating_mul(GROWTH).max(LEAST_ROOM).min(claim).min(cap);
                // Nothing in it is wanted: growing it would keep both, old and new, for a while.
                *out = Vec::new();
            }
        }
    }
}

fn first_room(input: &[u8]) -> usize {
    match claimed(input) {
        Some(claimed) => claimed.min(input.len().saturating_mul(TRUSTED_GROWTH).max(LEAST_ROOM)),
        None => input.len().saturating_mul(4).max(LEAST_ROOM),
    }
}

/// The size that the first frame says it has.
fn claimed(input: &[u8]) -> Option<usize> {
    zstd_safe::get_frame_content_size(input).ok()?.map(|n| usize::try_from(n).unwrap_or(usize::MAX))
}

#[cold]
fn out_of_memory() -> Error {
    not_compressed(Compression::Zstd, "no memory for its context")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::record::Format;

    fn decompress(input: &[u8], cap: usize) -> Result<Vec<u8>> {
        Compression::Zstd.decompress(Format::V2, input, cap)
    }

    #[test]
    fn frames_behind_one_another_are_all_read_with_and_without_a_content_size() {
        let content = b"some content, again and again ".repeat(10_000);
        let mut frames = Vec::new();
        compress(&content, None, &mut frames).expect("compressed");
        // The streaming encoder does not know the size when it writes the header.
        frames.extend(zstd::encode_all(&content[..], 1).expect("compressed"));
        compress(b"end", Some(19), &mut frames).expect("compressed");
        let expected = [&content[..], &content, b"end"].concat();
        assert!(decompress(&frames, expected.len()).expect("decodes") == expected);
        let error = decompress(&frames, expected.len() - 1).expect_err("above the cap");
        assert!(error.message().contains("limit"), "{error}");
    }

    #[test]
    fn a_cut_frame_is_an_error_and_leaves_the_threads_context_usable() {
        let mut frame = Vec::new();
        compress(&b"content ".repeat(1000), None, &mut frame).expect("compressed");
        for cut in 0..frame.len() {
            assert!(decompress(&frame[..cut], 8000).is_err() || cut == 0, "cut at {cut}");
            assert_eq!(decompress(&frame, 8000).expect("whole").len(), 8000);
        }
    }

    #[test]
    fn a_level_stays_with_its_call() {
        let content: Vec<u8> = (0..50_000_u64).flat_map(|n| (n * n).to_be_bytes()).collect();
        let length = |level| {
            let mut frame = Vec::new();
            compress(&content, level, &mut frame).expect("compressed");
            frame.len()
        };
        let before = length(None);
        assert_ne!(length(Some(-5)), before);
        assert_eq!(length(None), before);
    }
}
