//! Small buffers of batches that ended, by classes of size.
//!
//! With a thousand partitions batches are a few kilobytes, thousands are under way, and they come and go
//! together: from the allocator each would be cut out of another piece and joined with its neighbours, and
//! be cleared before its first record. One list for all sizes is no better: what lies on top seldom fits.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;

/// Larger ones are few, and are kept in another way.
pub(super) const END: usize = 1 << END_BITS;
/// Smaller ones the allocator keeps for itself.
pub(super) const LEAST: usize = 1 << LEAST_BITS;
const LEAST_BITS: u32 = 9;
const END_BITS: u32 = 14;
/// Four in each doubling, so that no batch wastes more than a fifth of its buffer.
const CLASSES: usize = 4 * (END_BITS - LEAST_BITS) as usize;

/// A stack of buffers for each class of size: the one that was used last is still in the caches.
#[derive(Default)]
pub(super) struct Shelves([Mutex<Vec<BytesMut>>; CLASSES]);

/// The class of a buffer: the last one whose size it has.
fn class_below(capacity: usize) -> Option<usize> {
    let bits = capacity.checked_ilog2().filter(|bits| (LEAST_BITS..END_BITS).contains(bits))?;
    Some(4 * (bits - LEAST_BITS) as usize + (capacity >> (bits - 2) & 3))
}

fn size_of_class(class: usize) -> usize {
    (4 + class % 4) << (LEAST_BITS as usize - 2 + class / 4)
}

/// The first class whose buffers are all large enough.
fn class_above(least: usize) -> Option<usize> {
    let class = class_below(least)?;
    let class = if size_of_class(class) < least { class + 1 } else { class };
    (class < CLASSES).then_some(class)
}

/// The size of buffers that fit best for `least` bytes; the same if it is none for a shelf.
pub(super) fn rounded(least: usize) -> usize {
    class_above(least).map_or(least, size_of_class)
}

impl Shelves {
    /// A buffer of at least `least` bytes.
    pub(super) fn take(&self, least: usize) -> Option<BytesMut> {
        self.shelf(class_above(least)?)?.pop()
    }

    /// Gives it back if there is no shelf for it.
    pub(super) fn put(&self, buffer: BytesMut) -> Option<BytesMut> {
        match class_below(buffer.capacity()).and_then(|class| self.shelf(class)) {
            Some(mut shelf) => {
                shelf.push(buffer);
                None
            }
            None => Some(buffer),
        }
    }

    /// Takes out any of them.
    pub(super) fn take_any(&self) -> Option<BytesMut> {
        (0..CLASSES).rev().find_map(|class| self.shelf(class)?.pop())
    }

    /// Takes out all of them, shelf by shelf.
    pub(super) fn clear(&self) -> impl Iterator<Item = Vec<BytesMut>> {
        (0..CLASSES)
            .filter_map(|class| self.shelf(class).map(|mut shelf| std::mem::take(&mut *shelf)))
    }

    fn shelf(&self, class: usize) -> Option<MutexGuard<'_, Vec<BytesMut>>> {
        self.0.get(class).map(|shelf| shelf.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_holds_what_is_at_least_its_size_and_less_than_the_next_one() {
        for capacity in LEAST..END {
            let class = class_below(capacity).expect("a class");
            assert!(size_of_class(class) <= capacity && capacity < size_of_class(class + 1));
            let rounded = rounded(capacity);
            assert!(
                (capacity..=capacity + capacity / 4).contains(&rounded),
                "{capacity} {rounded}"
            );
        }
        assert_eq!((class_below(LEAST), class_below(LEAST - 1)), (Some(0), None));
        assert_eq!((class_below(END - 1), class_below(END)), (Some(CLASSES - 1), None));
        assert_eq!((rounded(LEAST - 1), rounded(END), rounded(0)), (LEAST - 1, END, 0));
        assert_eq!(rounded(END - 1), END - 1, "the last ones are larger than any class");
    }

    #[test]
    fn whoever_takes_a_buffer_gets_one_that_is_large_enough_and_was_put_there_last() {
        let shelves = Shelves::default();
        for capacity in [600, 640, 2_600, 2_559] {
            assert!(shelves.put(BytesMut::with_capacity(capacity)).is_none());
        }
        let take = |least| shelves.take(least).map(|buffer| buffer.capacity());
        assert_eq!(take(600), Some(640), "600 is in the class below");
        assert_eq!((take(600), take(513)), (None, None));
        assert_eq!((take(512), take(512)), (Some(600), None));
        assert_eq!((take(2_200), take(2_200)), (Some(2_600), None));
        assert_eq!(shelves.take_any().map(|buffer| buffer.capacity()), Some(2_559));
        assert!(shelves.take_any().is_none());
        assert!(shelves.put(BytesMut::with_capacity(700)).is_none());
        assert_eq!(shelves.clear().map(|buffers| buffers.len()).sum::<usize>(), 1);
        assert!(shelves.take_any().is_none());
    }

    #[test]
    fn what_has_no_shelf_comes_back() {
        let shelves = Shelves::default();
        let other = |capacity| shelves.put(BytesMut::with_capacity(capacity));
        assert!(other(LEAST - 1).is_some() && other(END).is_some());
        assert!(shelves.take(10).is_none() && shelves.take(END).is_none());
    }
}
