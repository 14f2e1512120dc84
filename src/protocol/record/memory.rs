//! Where decompressed records are put.

use bytes::Bytes;

/// Gives buffers to decompress into and takes them back as what was read from them.
pub trait Memory {
    /// A buffer of any length and content, which is written over and grown as need be; best with room
    /// for `wish` bytes.
    fn take(&self, wish: usize) -> Vec<u8>;

    /// The first `length` bytes of a buffer that [`take`](Self::take) gave.
    fn seal(&self, buffer: Vec<u8>, length: usize) -> Bytes;
}

/// A new buffer each time.
#[derive(Clone, Copy, Debug)]
pub struct Fresh;

impl Memory for Fresh {
    fn take(&self, _wish: usize) -> Vec<u8> {
        Vec::new()
    }

    fn seal(&self, mut buffer: Vec<u8>, length: usize) -> Bytes {
        buffer.truncate(length);
        Bytes::from(buffer)
    }
}
