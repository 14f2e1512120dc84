//! Snappy, in xerial's framing (snappy-java's stream) and raw.
//!
//! Java writes the framing, librdkafka raw blocks; both are read. The framing is known by all eight
//! magic bytes, because a raw block may begin with the first of them, and its two version fields
//! are ignored, because Redpanda writes them in the other byte order (invariant 3.11).

use super::{Compression, above, malformed, not_compressed};
use crate::error::{Error, Result};

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const HEADER: usize = 16;
/// How much input Java puts into a chunk.
const CHUNK: usize = 32 * 1024;
/// A copy of 64 bytes takes three: no block can grow by more than this factor.
const MOST_GROWTH: usize = 22;

pub(super) fn compress(input: &[u8], out: &mut Vec<u8>) -> Result<()> {
    out.extend_from_slice(&MAGIC);
    // Version and the lowest version that can read it, both 1.
    out.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
    let mut encoder = snap::raw::Encoder::new();
    for chunk in input.chunks(CHUNK) {
        let length_at = out.len();
        let begin = length_at + 4;
        out.resize(begin + snap::raw::max_compress_len(chunk.len()), 0);
        let length = encoder
            .compress(chunk, &mut out[begin..])
            .map_err(|error| not_compressed(Compression::Snappy, error))?;
        out.truncate(begin + length);
        // A chunk of 32 KiB cannot come near 4 GiB.
        out[length_at..begin].copy_from_slice(&(length as u32).to_be_bytes());
    }
    Ok(())
}

pub(super) fn decompress(input: &[u8], cap: usize, out: &mut Vec<u8>) -> Result<usize> {
    let mut end = 0;
    let mut decoder = snap::raw::Decoder::new();
    if !input.starts_with(&MAGIC) {
        return append_block(&mut decoder, input, (0, cap), out);
    }
    let mut rest = input;
    while !rest.is_empty() {
        // snappy-java allows streams behind one another, each with its header.
        if rest.starts_with(&MAGIC) {
            rest = rest.get(HEADER..).ok_or_else(cut)?;
            continue;
        }
        let (length, behind) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        let length = u32::from_be_bytes(*length) as usize;
        let (block, behind) = behind.split_at_checked(length).ok_or_else(cut)?;
        end = append_block(&mut decoder, block, (end, cap), out)?;
        rest = behind;
    }
    Ok(end)
}

/// Decompresses one block behind what `out` holds. The block's own header says how much room it
/// wants: it gets it only if a block of this size can fill it, and within the cap.
fn append_block(
    decoder: &mut snap::raw::Decoder,
    block: &[u8],
    (begin, cap): (usize, usize),
    out: &mut Vec<u8>,
) -> Result<usize> {
    let bad = |error| malformed(Compression::Snappy, error);
    let claimed = snap::raw::decompress_len(block).map_err(bad)?;
    if claimed > cap - begin {
        return Err(above(Compression::Snappy, cap));
    }
    if claimed > block.len().saturating_mul(MOST_GROWTH) {
        let claim = format!("{} bytes cannot hold the {claimed} that they claim", block.len());
        return Err(malformed(Compression::Snappy, claim));
    }
    let target = &mut super::room(out, begin + claimed)[begin..];
    Ok(begin + decoder.decompress(block, target).map_err(bad)?)
}

#[cold]
fn cut() -> Error {
    malformed(Compression::Snappy, "a chunk of the xerial framing is cut")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::record::Format;

    fn decompress(input: &[u8], cap: usize) -> Result<Vec<u8>> {
        Compression::Snappy.decompress(Format::V2, input, cap)
    }

    #[test]
    fn streams_behind_one_another_and_empty_ones_are_read() {
        let content = b"some content ".repeat(10_000);
        let mut streams = Vec::new();
        compress(&content, &mut streams).expect("compressed");
        compress(b"", &mut streams).expect("compressed");
        compress(b"end", &mut streams).expect("compressed");
        let read = decompress(&streams, content.len() + 3).expect("decodes");
        assert!(read == [&content[..], b"end"].concat());
        assert!(decompress(&streams, content.len() + 2).is_err(), "above the cap");
    }

    #[test]
    fn no_block_can_grow_by_more_than_the_factor_that_is_believed() {
        let mut encoder = snap::raw::Encoder::new();
        for length in [1, 64, 65_536, 1 << 20] {
            let block = encoder.compress_vec(&vec![0; length]).expect("compressed");
            assert!(length <= block.len() * MOST_GROWTH, "{length} from {}", block.len());
        }
    }
}
