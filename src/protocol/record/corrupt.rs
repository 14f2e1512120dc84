//! The two ways in which bytes can be bad.

use crate::error::{Code, Error};

/// The frame of a batch is wrong, or its checksum: what a broker calls CORRUPT_MESSAGE.
#[cold]
pub(super) fn corrupt(message: impl Into<String>) -> Error {
    Error::new(Code::CORRUPT_MESSAGE, message)
}

/// The frame is right, but what is in it cannot be decoded: decompression or a record failed.
#[cold]
pub(super) fn undecodable(message: impl Into<String>) -> Error {
    Error::new(Code::UNDECODABLE, message)
}
