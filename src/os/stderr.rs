//! Standard error without std's lock, which a fork may leave locked in the child.

use super::sys;

/// Writes the bytes, as far as that works; a failure has nowhere to be told.
pub fn write(bytes: &[u8]) {
    sys::stderr::write(bytes);
}
