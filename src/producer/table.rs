//! A table that grows and is read without a lock: topics by their index, queues by partition.

use std::sync::OnceLock;

/// The first segment holds so many entries, each further one twice as many as the one before.
const FIRST: usize = 16;
const SEGMENTS: usize = 24;

type Segment<T> = OnceLock<Box<[OnceLock<T>]>>;

/// Entries are set once and stay. Reading is two loads; growing never moves an entry.
#[derive(Debug)]
pub(crate) struct Table<T> {
    segments: [Segment<T>; SEGMENTS],
}

impl<T> Table<T> {
    pub(crate) fn new() -> Self {
        Self { segments: std::array::from_fn(|_| OnceLock::new()) }
    }

    /// The entry at `index`, if it was set.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        let (segment, at) = place(index);
        self.segments.get(segment)?.get()?.get(at)?.get()
    }

    /// The entry at `index`, made if need be. None beyond 2²⁸ entries: nobody has them.
    pub(crate) fn get_or_init(&self, index: usize, make: impl FnOnce() -> T) -> Option<&T> {
        let (segment, at) = place(index);
        let entries = self.segments.get(segment)?.get_or_init(|| {
            let size = FIRST << segment;
            (0..size).map(|_| OnceLock::new()).collect()
        });
        Some(entries.get(at)?.get_or_init(make))
    }

    /// Every entry that was set, by ascending index.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        let segments = self.segments.iter().filter_map(OnceLock::get);
        segments.flat_map(|entries| entries.iter().filter_map(OnceLock::get))
    }
}

/// Segment and position: segment k begins at FIRST × (2ᵏ − 1).
#[inline]
fn place(index: usize) -> (usize, usize) {
    let block = index / FIRST + 1;
    let segment = block.ilog2() as usize;
    (segment, index - FIRST * ((1 << segment) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_has_a_place_of_its_own() {
        let table = Table::new();
        for index in 0..5_000 {
            assert_eq!(table.get(index), None);
            assert_eq!(table.get_or_init(index, || index), Some(&index));
        }
        assert!((0..5_000).all(|index| table.get(index) == Some(&index)));
        assert!(table.iter().copied().eq(0..5_000));
    }

    #[test]
    fn a_far_index_makes_only_its_own_segment() {
        let table = Table::new();
        table.get_or_init(100_000, || 1);
        assert_eq!(table.iter().count(), 1);
        assert_eq!(table.get(99_999), None);
        assert_eq!(table.get(usize::MAX), None);
    }

    #[test]
    fn an_entry_is_set_once() {
        let table = Table::new();
        table.get_or_init(3, || 1);
        assert_eq!(table.get_or_init(3, || 2), Some(&1));
    }
}
