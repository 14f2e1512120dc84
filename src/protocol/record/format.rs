//! The three record formats, and what a timestamp means.

use std::fmt;

/// A record format, told by the magic byte at offset 16 of every batch and message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// Message v0: no timestamp, no headers. Brokers 0.8 and 0.9.
    V0 = 0,
    /// Message v1: a timestamp, relative offsets inside a compressed wrapper. Brokers 0.10.
    V1 = 1,
    /// Record batch v2: headers, producer id, CRC-32C. Brokers 0.11 and later.
    V2 = 2,
}

impl Format {
    /// The format of a magic byte, or none for a number that this version does not know.
    #[must_use]
    pub fn from_magic(magic: u8) -> Option<Self> {
        match magic {
            0 => Some(Self::V0),
            1 => Some(Self::V1),
            2 => Some(Self::V2),
            _ => None,
        }
    }

    /// The magic byte.
    #[must_use]
    pub fn magic(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.magic())
    }
}

/// Who set a record's timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TimestampType {
    /// Message v0 has none; the timestamp is −1.
    None = 0,
    /// The producer.
    CreateTime = 1,
    /// The broker, when it appended the batch.
    LogAppendTime = 2,
}
