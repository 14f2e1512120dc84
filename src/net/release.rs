//! Which Kafka release a broker seems to be: for error messages, never for decisions.

use std::collections::BTreeMap;

use crate::protocol::modern::ApiKey;

/// Version ranges by the number of the API; numbers that we do not know are kept.
pub(super) type Ranges = BTreeMap<i16, (i16, i16)>;

/// What marks a release: an API whose smallest or largest version reaches a number.
enum Mark {
    Most(ApiKey, i16),
    Least(ApiKey, i16),
}

/// Newest first: the first mark that fits is the release. Other servers that speak the protocol get
/// the Kafka release that they resemble.
const MARKS: &[(&str, Mark)] = &[
    ("4.3", Mark::Most(ApiKey::DescribeLogDirs, 5)),
    ("4.2", Mark::Most(ApiKey::ListOffsets, 11)),
    ("4.1", Mark::Most(ApiKey::Produce, 13)),
    ("4.0", Mark::Least(ApiKey::Fetch, 4)),
    ("3.9", Mark::Most(ApiKey::Fetch, 17)),
    ("3.8", Mark::Most(ApiKey::Produce, 11)),
    ("3.7", Mark::Most(ApiKey::Produce, 10)),
    ("3.5", Mark::Most(ApiKey::Fetch, 14)),
    ("3.3", Mark::Most(ApiKey::DescribeLogDirs, 4)),
    ("3.2", Mark::Most(ApiKey::JoinGroup, 8)),
    ("3.1", Mark::Most(ApiKey::Fetch, 13)),
    ("3.0", Mark::Most(ApiKey::ListOffsets, 7)),
    ("2.8", Mark::Most(ApiKey::Produce, 9)),
    ("2.7", Mark::Most(ApiKey::Fetch, 12)),
    ("2.6", Mark::Most(ApiKey::DescribeClientQuotas, 0)),
    ("2.5", Mark::Most(ApiKey::InitProducerId, 3)),
    ("2.4", Mark::Most(ApiKey::Produce, 8)),
    ("2.3", Mark::Most(ApiKey::Fetch, 11)),
    ("2.2", Mark::Most(ApiKey::ElectLeaders, 0)),
    ("2.1", Mark::Most(ApiKey::Produce, 7)),
    ("2.0", Mark::Most(ApiKey::Produce, 6)),
    ("1.1", Mark::Most(ApiKey::Fetch, 7)),
    ("1.0", Mark::Most(ApiKey::Produce, 5)),
    ("0.11", Mark::Most(ApiKey::Produce, 3)),
    ("0.10.2", Mark::Most(ApiKey::CreateTopics, 1)),
    ("0.10.1", Mark::Most(ApiKey::CreateTopics, 0)),
];

/// The best guess from a broker's table.
pub(super) fn guess(ranges: &Ranges) -> &'static str {
    let fits = |mark: &Mark| match mark {
        Mark::Most(key, version) => {
            ranges.get(&key.number()).is_some_and(|(_, most)| most >= version)
        }
        Mark::Least(key, version) => {
            ranges.get(&key.number()).is_some_and(|(least, _)| least >= version)
        }
    };
    MARKS.iter().find(|(_, mark)| fits(mark)).map_or("0.10.0", |(release, _)| release)
}

/// Brokers that do not know ApiVersions. What they speak is fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Old {
    /// 0.8.2: closes the connection on ApiVersions.
    V0_8,
    /// 0.9: keeps silent on ApiVersions, answers what follows.
    V0_9,
}

impl Old {
    /// The name of the release.
    #[must_use]
    pub fn release(self) -> &'static str {
        match self {
            Self::V0_8 => "0.8",
            Self::V0_9 => "0.9",
        }
    }

    /// The table that the broker would send if it could.
    pub(super) fn ranges(self) -> Ranges {
        const V0_8: &[(ApiKey, i16)] = &[
            (ApiKey::Produce, 0),
            (ApiKey::Fetch, 0),
            (ApiKey::ListOffsets, 0),
            (ApiKey::Metadata, 0),
            (ApiKey::OffsetCommit, 1),
            (ApiKey::OffsetFetch, 1),
            (ApiKey::FindCoordinator, 0),
        ];
        const V0_9: &[(ApiKey, i16)] = &[
            (ApiKey::Produce, 1),
            (ApiKey::Fetch, 1),
            (ApiKey::ListOffsets, 0),
            (ApiKey::Metadata, 0),
            (ApiKey::OffsetCommit, 2),
            (ApiKey::OffsetFetch, 1),
            (ApiKey::FindCoordinator, 0),
            (ApiKey::JoinGroup, 0),
            (ApiKey::Heartbeat, 0),
            (ApiKey::LeaveGroup, 0),
            (ApiKey::SyncGroup, 0),
            (ApiKey::DescribeGroups, 0),
            (ApiKey::ListGroups, 0),
        ];
        let table = match self {
            Self::V0_8 => V0_8,
            Self::V0_9 => V0_9,
        };
        table.iter().map(|(key, most)| (key.number(), (0, *most))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Produce, Fetch, ListOffsets, JoinGroup, CreateTopics, InitProducerId, DescribeLogDirs as real
    /// brokers of these releases advertise them; −1 where absent.
    #[test]
    fn releases_are_guessed_from_the_tables_of_real_brokers() {
        const KEYS: [i16; 7] = [0, 1, 2, 11, 19, 22, 35];
        let brokers = [
            ("0.10.0", 0, [2, 2, 0, 0, -1, -1, -1]),
            ("0.10.2", 0, [2, 3, 1, 1, 1, -1, -1]),
            ("0.11", 0, [3, 5, 2, 2, 2, 0, -1]),
            ("1.1", 0, [5, 7, 2, 2, 2, 0, 0]),
            ("2.8", 0, [9, 12, 6, 7, 7, 4, 2]),
            ("3.9", 0, [11, 17, 9, 9, 7, 5, 4]),
            ("4.0", 4, [12, 17, 10, 9, 7, 5, 4]),
            ("4.1", 4, [13, 18, 10, 9, 7, 5, 4]),
            ("4.2", 4, [13, 18, 11, 9, 7, 5, 4]),
            ("4.3", 4, [13, 18, 11, 9, 7, 5, 5]),
        ];
        for (release, fetch_least, most) in brokers {
            let mut ranges: Ranges = KEYS
                .into_iter()
                .zip(most)
                .filter(|(_, most)| *most >= 0)
                .map(|(key, most)| (key, (0, most)))
                .collect();
            ranges.insert(1, (fetch_least, most[1]));
            assert_eq!(guess(&ranges), release);
        }
    }
}
