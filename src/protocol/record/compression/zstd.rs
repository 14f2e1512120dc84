//! zstd, with one context for each thread and direction.

use std::cell::RefCell;

use zstd::zstd_safe::{self, CCtx, CParameter, DCtx, InBuffer, OutBuffer, ResetDirective};

use super::{Compression, above, malformed, not_compressed};
use crate::error::{Error, Result};

const DEFAULT_LEVEL: i32 = 3;
/// The least room that decompression starts with.
const LEAST_ROOM: usize = 4 * 1024;
/// What a frame may claim for its size and get at once, as a multiple of its length.
const TRUSTED_GROWTH: usize = 16;
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

pub(super) fn decompress(input: &[u8], cap: usize) -> Result<Vec<u8>> {
    // Taken out of its place while it is used: after an error it is dropped, not reused.
    let mut context = match DECODER.take() {
        Some(context) => context,
        None => DCtx::try_create().ok_or_else(out_of_memory)?,
    };
    let out = decode_all(&mut context, input, cap)?;
    if context.sizeof() <= KEPT_CONTEXT {
        DECODER.set(Some(context));
    }
    Ok(out)
}

/// Decodes every frame of `input`. A frame may lack its content size (Java's do), and may lie: the
/// buffer starts with what the input makes plausible and grows with what really comes.
fn decode_all(context: &mut DCtx<'_>, input: &[u8], cap: usize) -> Result<Vec<u8>> {
    let bad = |code| malformed(Compression::Zstd, zstd_safe::get_error_name(code));
    context.reset(ResetDirective::SessionOnly).map_err(bad)?;
    let mut out = vec![0; first_room(input).min(cap)];
    let mut source = InBuffer::around(input);
    let mut end = 0;
    loop {
        let mut target = OutBuffer::around_pos(&mut out[..], end);
        let wanted = context.decompress_stream(&mut target, &mut source).map_err(bad)?;
        end = target.pos();
        let all_read = source.pos() == input.len();
        if wanted == 0 && all_read {
            out.truncate(end);
            return Ok(out);
        }
        if end < out.len() {
            if all_read {
                return Err(malformed(Compression::Zstd, "the last frame is cut"));
            }
            continue;
        }
        if end >= cap {
            return Err(above(Compression::Zstd, cap));
        }
        out.resize((end * 2).max(LEAST_ROOM).min(cap), 0);
    }
}

fn first_room(input: &[u8]) -> usize {
    match zstd_safe::get_frame_content_size(input) {
        Ok(Some(claimed)) => {
            let plausible = input.len().saturating_mul(TRUSTED_GROWTH).max(LEAST_ROOM);
            usize::try_from(claimed).map_or(plausible, |claimed| claimed.min(plausible))
        }
        _ => input.len().saturating_mul(4).max(LEAST_ROOM),
    }
}

#[cold]
fn out_of_memory() -> Error {
    not_compressed(Compression::Zstd, "no memory for its context")
}

#[cfg(test)]
mod tests {
    use super::*;

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
