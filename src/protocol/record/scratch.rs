//! A buffer of each thread that compresses, for what has no final size yet.

use std::cell::RefCell;

/// A larger one is not kept.
const KEPT: usize = 2 * 1024 * 1024;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Lends the thread's buffer, empty.
pub(super) fn with<R>(work: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    // Taken out of its place: after a panic it is gone, not half filled.
    let mut buffer = BUFFER.take();
    buffer.clear();
    let result = work(&mut buffer);
    if buffer.capacity() <= KEPT {
        BUFFER.set(buffer);
    }
    result
}
