//! What the next multi-fetch asks a broker for: pure.
//!
//! Each partition's share of the answer has a size of its own, and the answer may have them all: what
//! may be asked for in all is divided.

use std::collections::HashMap;

use super::super::fetcher::Asked;
use super::super::partition::Era;
use crate::protocol::legacy::Fetch;

/// The least that a partition is asked for as long as it is not alone too much.
const LEAST: usize = 64 * 1024;
/// The most partitions of a request: they are counted in 16 bits.
const MOST: usize = 32_767;

/// What is remembered of partitions from one request to the next; by index.
#[derive(Debug, Default)]
pub(super) struct Sizes(HashMap<usize, (Era, usize)>);

impl Sizes {
    /// The next message of a partition takes so many bytes.
    pub(super) fn need(&mut self, asked: &Asked, bytes: usize) {
        self.0.insert(asked.slot.index, (asked.slot.era, bytes));
    }

    /// It came.
    pub(super) fn forget(&mut self, asked: &Asked) {
        self.0.remove(&asked.slot.index);
    }

    fn of(&self, asked: &Asked) -> Option<usize> {
        let (era, bytes) = self.0.get(&asked.slot.index)?;
        (*era == asked.slot.era).then_some(*bytes)
    }

    /// One partition's worth, whatever is held: what the largest message that is waited for takes.
    pub(super) fn worth(&self, partitions: &[Asked]) -> usize {
        partitions.iter().filter_map(|asked| self.of(asked)).max().unwrap_or(0).max(LEAST)
    }

    /// Bytes that a request for these partitions should have room for, so that none has a small share.
    pub(super) fn wish(&self, partitions: &[Asked], pace: usize) -> usize {
        let least = partitions.len().saturating_mul(LEAST);
        pace.max(least).max(self.worth(partitions))
    }

    /// Divides `grant` bytes; partitions that nothing is left for are left out, but never all.
    pub(super) fn divide(&self, partitions: &mut Vec<Asked>, grant: usize) {
        let share = (grant / partitions.len().max(1)).max(LEAST);
        let mut left = grant;
        let mut count = 0;
        for asked in partitions.iter_mut().take(MOST) {
            let own = usize::try_from(asked.size).unwrap_or(0);
            let size = self.of(asked).unwrap_or(0).max(own.min(share));
            if count > 0 && size > left {
                break;
            }
            asked.size = i32::try_from(size).unwrap_or(i32::MAX);
            left = left.saturating_sub(size);
            count += 1;
        }
        partitions.truncate(count);
    }
}

/// The request.
pub(super) fn fetches(partitions: &[Asked]) -> Vec<Fetch<'_>> {
    let fetch = |asked| {
        let Asked { name, number, offset, size, .. }: &Asked = asked;
        Fetch { topic: name.as_str(), partition: *number, offset: *offset, max_size: *size }
    };
    partitions.iter().map(fetch).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::name::Name;
    use super::super::super::state::Slot;
    use super::*;
    use crate::protocol::modern::Uuid;

    const MIB: usize = 1 << 20;

    fn partitions(count: usize) -> Vec<Asked> {
        let asked = |index| Asked {
            slot: Slot { index, era: Era(1) },
            topic: 0,
            name: Name::new("t").unwrap(),
            id: Uuid::ZERO,
            number: index as i32,
            offset: 0,
            leader_epoch: -1,
            size: MIB as i32,
        };
        (0..count).map(asked).collect()
    }

    fn sizes(sizes: &Sizes, count: usize, grant: usize) -> Vec<usize> {
        let mut asked = partitions(count);
        sizes.divide(&mut asked, grant);
        asked.iter().map(|asked| asked.size as usize).collect()
    }

    #[test]
    fn what_may_be_asked_for_is_divided_and_nobody_gets_too_little() {
        let none = Sizes::default();
        assert_eq!(sizes(&none, 1, 8 * MIB), [MIB], "its own limit");
        assert_eq!(sizes(&none, 4, MIB), [MIB / 4; 4]);
        assert_eq!(sizes(&none, 100, MIB), [LEAST; 16], "the others come next");
        assert_eq!(sizes(&none, 1, 10), [LEAST], "one at least");
        assert_eq!(none.wish(&partitions(100), MIB), 100 * LEAST);
    }

    #[test]
    fn a_large_message_is_asked_for_whole_until_it_came_or_the_partition_moved() {
        let mut needs = Sizes::default();
        let asked = partitions(3);
        needs.need(&asked[1], 5 * MIB);
        assert_eq!(sizes(&needs, 3, 6 * MIB), [MIB, 5 * MIB], "no room for the third");
        assert_eq!(needs.worth(&asked), 5 * MIB);
        let mut moved = partitions(3);
        moved[1].slot.era = Era(2);
        assert_eq!(needs.worth(&moved), LEAST);
        needs.forget(&asked[1]);
        assert_eq!(needs.worth(&asked), LEAST);
    }
}
