//! Buffers of batches that ended, kept for the next ones.
//!
//! A fresh buffer of some hundred kilobytes costs more than the records that go into it: its pages come
//! from the kernel one by one, and go back when it is freed.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};

use super::shelves::{self, Shelves};

/// Smaller ones are kept by classes of size.
pub(super) const LEAST: usize = shelves::END;
/// How many of the newest are looked at for one that fits.
const LOOKED_AT: usize = 8;
/// What stays when nothing is under way any more.
const KEPT_IDLE: usize = 256 * 1024;

/// A stack of buffers: the one that was used last is still in the processor's caches.
#[derive(Default)]
pub(super) struct Spares {
    /// The newest at the back.
    buffers: Mutex<VecDeque<BytesMut>>,
    small: Shelves,
    /// What they take of memory; read without the lock.
    bytes: AtomicUsize,
}

impl Spares {
    /// What they take, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// A buffer of at least `least` bytes, and not much more.
    pub(super) fn take(&self, least: usize) -> Option<BytesMut> {
        if self.bytes() == 0 {
            return None;
        }
        if least < LEAST {
            return self.taken(self.small.take(least));
        }
        let most = least.saturating_add(least / 4);
        let mut buffers = self.lock();
        let newest = buffers.len().saturating_sub(LOOKED_AT);
        let fits = |buffer: &BytesMut| (least..=most).contains(&buffer.capacity());
        let at = newest + buffers.range(newest..).rposition(fits)?;
        self.taken(buffers.swap_remove_back(at))
    }

    fn taken(&self, buffer: Option<BytesMut>) -> Option<BytesMut> {
        self.bytes.fetch_sub(buffer.as_ref().map_or(0, BytesMut::capacity), Ordering::Relaxed);
        buffer
    }

    /// Keeps a buffer, if all of them stay within `room` bytes.
    pub(super) fn put(&self, buffer: BytesMut, room: usize) {
        let size = buffer.capacity();
        let with_it = |bytes: usize| bytes.checked_add(size).filter(|bytes| *bytes <= room);
        let relaxed = Ordering::Relaxed;
        if size < shelves::LEAST || self.bytes.fetch_update(relaxed, relaxed, with_it).is_err() {
            return;
        }
        if let Some(buffer) = self.small.put(buffer) {
            self.lock().push_back(buffer);
        }
    }

    /// Keeps the buffer of `bytes`, unless somebody still holds them: a socket that has not written them
    /// frees them itself (invariant 4.1).
    pub(super) fn put_bytes(&self, bytes: Bytes, room: usize) {
        if bytes.len() >= shelves::LEAST / 2 {
            if let Ok(buffer) = bytes.try_into_mut() {
                self.put(buffer, room);
            }
        }
    }

    /// Frees the oldest until what is left takes at most `bytes`.
    pub(super) fn shrink_to(&self, bytes: usize) {
        if self.bytes() <= bytes {
            return;
        }
        let mut freed = Vec::new();
        {
            let mut buffers = self.lock();
            while self.bytes() > bytes {
                let Some(buffer) = buffers.pop_front() else { break };
                freed.extend(self.taken(Some(buffer)));
            }
        }
        while self.bytes() > bytes {
            let Some(buffer) = self.taken(self.small.take_any()) else { break };
            freed.push(buffer);
        }
        drop(freed); // a call into the kernel each: without the lock
    }

    /// Nothing is under way any more. Of the small ones none is kept: some hundred of them, strewn over the
    /// allocator's memory, would keep all of it.
    pub(super) fn rest(&self) {
        for buffers in self.small.clear() {
            let bytes = buffers.iter().map(BytesMut::capacity).sum();
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        self.shrink_to(KEPT_IDLE);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<BytesMut>> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Spares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spares({} bytes)", self.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spares(sizes: &[usize]) -> Spares {
        let spares = Spares::default();
        sizes.iter().for_each(|size| spares.put(BytesMut::with_capacity(*size), usize::MAX));
        spares
    }

    #[test]
    fn the_newest_buffer_that_fits_is_taken() {
        let spares = spares(&[20_000, 100_000, 21_000, 40_000]);
        assert_eq!(spares.bytes(), 181_000);
        assert_eq!(spares.take(20_000).map(|buffer| buffer.capacity()), Some(21_000));
        assert_eq!(spares.take(20_000).map(|buffer| buffer.capacity()), Some(20_000));
        assert!(spares.take(20_000).is_none(), "40,000 would be a waste");
        assert!(spares.take(900).is_none(), "that would be a waste, too");
        assert_eq!(spares.bytes(), 140_000);
    }

    #[test]
    fn they_stay_within_their_room_and_the_oldest_go_first() {
        let spares = spares(&[30_000, 20_000, 50_000]);
        spares.put(BytesMut::with_capacity(30_000), 120_000);
        assert_eq!(spares.bytes(), 100_000, "no room for a fourth");
        spares.shrink_to(70_000);
        assert_eq!(spares.bytes(), 70_000);
        assert!(spares.take(30_000).is_none());
        spares.shrink_to(0);
        assert_eq!(spares.bytes(), 0);
    }

    #[test]
    fn rule_4_1_bytes_that_a_socket_holds_are_never_used_again() {
        let spares = Spares::default();
        let mut buffer = BytesMut::with_capacity(40_000);
        buffer.resize(30_000, 7);
        let bytes = buffer.freeze();
        let socket = bytes.clone();
        spares.put_bytes(bytes, usize::MAX);
        assert!(spares.take(40_000).is_none(), "the socket has them");
        let address = socket.as_ptr();
        spares.put_bytes(socket, usize::MAX);
        let again = spares.take(40_000).expect("nobody holds them any more");
        assert_eq!(
            (again.as_ptr(), again.capacity()),
            (address, 40_000),
            "whole, and the same memory"
        );
    }
}
