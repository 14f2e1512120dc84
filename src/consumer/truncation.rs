//! What the end of an era says about a position (KIP-320): pure.
//!
//! After an unclean election the new leader's log may end before what was read, or go on with other
//! records under the same offsets. The epoch of the last record read tells: the leader says where its
//! log of that epoch ends.

use crate::cluster::EpochEnd;

/// What became of a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// All that was fetched is in the leader's log.
    Sound,
    /// What was handed out is, what waits to be read is not.
    Unread,
    /// What was handed out is not: the log parted here.
    Lost(EpochEnd),
    /// The leader does not know the epoch.
    Unknown,
}

/// Rule 6.17: `end` is where the leader's log of the epoch ends that stands before `fetch_offset`;
/// up to `position` records were handed out.
pub(super) fn judge(end: EpochEnd, position: i64, fetch_offset: i64) -> Finding {
    if end.offset < 0 || end.epoch < 0 {
        Finding::Unknown
    } else if end.offset >= fetch_offset {
        Finding::Sound
    } else if end.offset >= position {
        Finding::Unread
    } else {
        Finding::Lost(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_6_17_the_end_of_the_epoch_decides() {
        let end = |epoch, offset| EpochEnd { epoch, offset };
        // Handed out up to 50, fetched up to 80.
        let table = [
            (end(4, 200), Finding::Sound),
            (end(4, 80), Finding::Sound),
            (end(4, 79), Finding::Unread),
            (end(3, 50), Finding::Unread),
            (end(3, 49), Finding::Lost(end(3, 49))),
            (end(0, 0), Finding::Lost(end(0, 0))),
            (end(-1, 40), Finding::Unknown),
            (end(4, -1), Finding::Unknown),
            (end(-1, -1), Finding::Unknown),
        ];
        for (end, finding) in table {
            assert_eq!(judge(end, 50, 80), finding, "{end:?}");
        }
        assert_eq!(judge(end(2, 50), 50, 50), Finding::Sound, "nothing waits to be read");
    }
}
