//! gzip: one member written, any number read.

use std::io::{Read, Write};

use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::{Compression, above, malformed, not_compressed};
use crate::error::Result;

pub(super) fn compress(input: &[u8], level: Option<i32>, out: &mut Vec<u8>) -> Result<()> {
    let level = level.map_or_else(flate2::Compression::default, |level| {
        flate2::Compression::new(level.clamp(1, 9).unsigned_abs())
    });
    let failed = |error| not_compressed(Compression::Gzip, error);
    out.reserve(input.len() / 3);
    let mut encoder = GzEncoder::new(out, level);
    encoder.write_all(input).map_err(failed)?;
    encoder.finish().map_err(failed)?;
    Ok(())
}

/// `read_to_end` grows its buffer with what really comes: the trailer's size is not looked at.
pub(super) fn decompress(input: &[u8], cap: usize, out: &mut Vec<u8>) -> Result<usize> {
    out.clear();
    out.reserve(input.len().saturating_mul(3).min(cap));
    let mut capped = MultiGzDecoder::new(input).take(cap as u64 + 1);
    capped.read_to_end(out).map_err(|error| malformed(Compression::Gzip, error))?;
    if out.len() > cap {
        return Err(above(Compression::Gzip, cap));
    }
    Ok(out.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::record::Format;

    fn decompress(input: &[u8], cap: usize) -> Result<Vec<u8>> {
        Compression::Gzip.decompress(Format::V2, input, cap)
    }

    #[test]
    fn members_behind_one_another_are_all_read() {
        let mut members = Vec::new();
        compress(b"first ", None, &mut members).expect("compressed");
        compress(b"second", Some(9), &mut members).expect("compressed");
        assert_eq!(decompress(&members, 12).expect("decodes"), b"first second");
        assert!(decompress(&members, 11).is_err(), "above the cap");
    }

    #[test]
    fn a_wrong_trailer_is_noticed() {
        let mut member = Vec::new();
        compress(b"content", None, &mut member).expect("compressed");
        for back in 1..=8 {
            let mut bad = member.clone();
            let at = bad.len() - back;
            bad[at] ^= 1;
            assert!(decompress(&bad, 100).is_err(), "{back} from the end");
        }
    }
}
