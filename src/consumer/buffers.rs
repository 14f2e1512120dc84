//! Buffers for decompressed records, used again: a fresh one costs a page fault for every 4 KiB, half
//! as much as decompressing it.

use std::cell::Cell;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::protocol::record::Memory;

/// The most buffers that wait to be used again.
const MOST: usize = 16;
/// Up to this size what fills less than a quarter of its buffer is copied out of it.
const COPIED: usize = 64 * 1024;

/// The buffers of one consumer that nobody reads any more.
#[derive(Debug)]
pub(super) struct Buffers {
    free: Mutex<Vec<Vec<u8>>>,
    /// The most bytes that wait to be used again.
    most_bytes: usize,
}

impl Buffers {
    pub(super) fn new(most_bytes: usize) -> Arc<Self> {
        Arc::new(Self { free: Mutex::default(), most_bytes })
    }

    /// The one that was used last, for the caches' sake, if it is large enough; else the largest.
    fn take(&self, wish: usize) -> Vec<u8> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = free.iter().rposition(|buffer| buffer.capacity() >= wish);
        let largest = || (0..free.len()).max_by_key(|&index| free[index].capacity());
        match fits.or_else(largest) {
            Some(index) => free.remove(index),
            None => Vec::new(),
        }
    }

    fn give_back(&self, buffer: Vec<u8>) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let kept: usize = free.iter().map(Vec::capacity).sum();
        if free.len() < MOST && kept.saturating_add(buffer.capacity()) <= self.most_bytes {
            free.push(buffer);
        }
    }
}

/// The buffers as one decompression sees them.
pub(super) struct Borrowing<'a> {
    buffers: &'a Arc<Buffers>,
    pinned: Cell<usize>,
}

impl<'a> Borrowing<'a> {
    pub(super) fn new(buffers: &'a Arc<Buffers>) -> Self {
        Self { buffers, pinned: Cell::new(0) }
    }

    /// How much memory the sealed bytes keep: no less than their length.
    pub(super) fn pinned(&self) -> usize {
        self.pinned.get()
    }
}

impl Memory for Borrowing<'_> {
    fn take(&self, wish: usize) -> Vec<u8> {
        self.buffers.take(wish)
    }

    fn seal(&self, buffer: Vec<u8>, length: usize) -> Bytes {
        if length <= COPIED && length < buffer.capacity() / 4 {
            let copy = Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
            self.buffers.give_back(buffer);
            self.pinned.set(length);
            return copy;
        }
        self.pinned.set(buffer.capacity());
        let length = length.min(buffer.len());
        Bytes::from_owner(Lent { buffer, length, buffers: Arc::clone(self.buffers) })
    }
}

/// A buffer that is being read.
struct Lent {
    buffer: Vec<u8>,
    length: usize,
    buffers: Arc<Buffers>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.buffers.give_back(mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(memory: &Borrowing<'_>, size: usize) -> Bytes {
        let mut buffer = memory.take(size);
        buffer.resize(buffer.len().max(size), 0);
        buffer[..size].fill(7);
        memory.seal(buffer, size)
    }

    #[test]
    fn a_buffer_comes_back_when_its_last_reader_is_gone() {
        let buffers = Buffers::new(1 << 20);
        let memory = Borrowing::new(&buffers);
        let first = filled(&memory, 100_000);
        let (address, part) = (first.as_ptr(), first.slice(50_000..));
        drop(first);
        let second = filled(&memory, 100_000);
        assert_ne!(second.as_ptr(), address, "it is still read");
        assert!(part.iter().all(|byte| *byte == 7));
        drop(part);
        let third = filled(&memory, 90_000);
        assert_eq!((third.as_ptr(), third.len()), (address, 90_000));
        assert!(memory.pinned() >= 100_000, "what it keeps counts, not what it holds");
    }

    #[test]
    fn what_waits_is_bounded_and_a_small_content_keeps_no_large_buffer() {
        let buffers = Buffers::new(250_000);
        let memory = Borrowing::new(&buffers);
        let held: Vec<_> = (0..5).map(|_| filled(&memory, 100_000)).collect();
        drop(held);
        assert_eq!(buffers.free.lock().unwrap().len(), 2);
        let small = filled(&memory, 10);
        assert_eq!((small.len(), memory.pinned()), (10, 10));
        assert_eq!(buffers.free.lock().unwrap().len(), 2, "the large one is free again");
    }
}
