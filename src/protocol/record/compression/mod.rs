//! The five codecs, and the one rule for reading: output is capped, sizes in the input are hints.

mod gzip;
mod lz4;
mod snappy;
mod zstd;

use std::fmt;
use std::ops::RangeInclusive;

use bytes::Bytes;

use super::corrupt::undecodable;
use super::{Format, Memory};
use crate::error::{Code, Error, Result};

/// A compression codec; the number is its value in the low three attribute bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// As they are.
    #[default]
    None = 0,
    /// RFC 1952; every broker.
    Gzip = 1,
    /// Written in xerial framing, as Java does; every broker.
    Snappy = 2,
    /// LZ4 frames of independent 64 KiB blocks; every broker from 0.8.2 on.
    Lz4 = 3,
    /// Record batch v2 only, brokers 2.1 and later (invariant 3.12).
    Zstd = 4,
}

/// The attribute bits that hold the codec.
pub(super) const CODEC_MASK: i16 = 0x07;

impl Compression {
    /// Every codec, in the order of its number.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The codec of a batch's or message's attributes, or none for a number not known.
    #[must_use]
    pub fn from_attributes(attributes: i16) -> Option<Self> {
        Self::ALL.get(usize::from((attributes & CODEC_MASK).unsigned_abs())).copied()
    }

    /// The codec of this name, as in the property `compression.type`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name() == name)
    }

    /// The name, as in the property `compression.type`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The number in the attributes.
    #[must_use]
    pub fn id(self) -> i16 {
        self as i16
    }

    /// The levels that `compression.<codec>.level` may have; none for a codec without levels.
    ///
    /// LZ4's are those of its high compression; without a level it is the fast encoder.
    #[must_use]
    pub fn levels(self) -> Option<RangeInclusive<i32>> {
        match self {
            Self::None | Self::Snappy => None,
            Self::Gzip => Some(1..=9),
            Self::Lz4 => Some(1..=17),
            Self::Zstd => Some(-131_072..=22),
        }
    }

    /// Refuses what a format cannot carry: zstd below v2, as brokers do.
    pub(super) fn check(self, format: Format) -> Result<()> {
        if self == Self::Zstd && format != Format::V2 {
            return Err(Error::new(
                Code::UNSUPPORTED_FEATURE,
                format!(
                    "zstd needs record batches v2 (brokers 2.1 and later), but the partition's \
                     leader takes message format {format}: choose another compression.type"
                ),
            ));
        }
        Ok(())
    }

    /// Appends `input`, compressed, to `out`. `level` is the codec's own default if none.
    pub(in crate::protocol) fn compress(
        self,
        level: Option<i32>,
        format: Format,
        input: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<()> {
        match self {
            Self::None => out.extend_from_slice(input),
            Self::Gzip => gzip::compress(input, level, out)?,
            Self::Snappy => snappy::compress(input, out)?,
            Self::Lz4 => lz4::compress(input, level, format, out)?,
            Self::Zstd => zstd::compress(input, level, out)?,
        }
        Ok(())
    }

    /// Decompresses `input` into `memory`, at most `cap` bytes.
    pub(in crate::protocol) fn decompress_in(
        self,
        format: Format,
        input: &[u8],
        cap: usize,
        memory: &dyn Memory,
    ) -> Result<Bytes> {
        // A guess: four times as long is common.
        let mut buffer = memory.take(input.len().saturating_mul(4).min(cap));
        let length = self.decompress_into(format, input, cap, &mut buffer)?;
        Ok(memory.seal(buffer, length))
    }

    /// Decompresses `input` into at most `cap` bytes.
    pub(in crate::protocol) fn decompress(
        self,
        format: Format,
        input: &[u8],
        cap: usize,
    ) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let length = self.decompress_into(format, input, cap, &mut out)?;
        out.truncate(length);
        Ok(out)
    }

    /// Decompresses `input` to the beginning of `out`, whatever that holds, at most `cap` bytes; gives
    /// how many. `out` grows with what really comes, and keeps its length otherwise, so that a buffer
    /// which is used again need not be cleared.
    fn decompress_into(
        self,
        format: Format,
        input: &[u8],
        cap: usize,
        out: &mut Vec<u8>,
    ) -> Result<usize> {
        // Spans hold 32-bit positions.
        let cap = cap.min(u32::MAX as usize - 1);
        match self {
            Self::None if input.len() <= cap => {
                room(out, input.len()).copy_from_slice(input);
                Ok(input.len())
            }
            Self::None => Err(above(self, cap)),
            Self::Gzip => gzip::decompress(input, cap, out),
            Self::Snappy => snappy::decompress(input, cap, out),
            Self::Lz4 => lz4::decompress(input, format, cap, out),
            Self::Zstd => zstd::decompress(input, cap, out),
        }
    }
}

/// The first `length` bytes of a buffer, which grows to that length if it is shorter.
fn room(buffer: &mut Vec<u8>, length: usize) -> &mut [u8] {
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
    &mut buffer[..length]
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The error of output above the cap.
#[cold]
fn above(codec: Compression, cap: usize) -> Error {
    undecodable(format!("the {codec} data decompress to more than the limit of {cap} bytes"))
}

/// The error of input that is not what the codec writes.
#[cold]
fn malformed(codec: Compression, what: impl fmt::Display) -> Error {
    undecodable(format!("the {codec} data are malformed: {what}"))
}

/// The error of an encoder, which only a wrong level or a lack of memory can bring about.
#[cold]
fn not_compressed(codec: Compression, what: impl fmt::Display) -> Error {
    Error::new(Code::INVALID_ARGUMENT, format!("{codec} compression failed: {what}"))
}
