//! Which broker generation an embedded broker plays, so that negotiation can be tested without one.

use super::sequence::{REMEMBERED, Strictness};
use crate::error::Code;

/// The broker generation to play.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// Closes the connection on ApiVersions and on any API it does not know.
    V0_8_2,
    /// Silent on ApiVersions and on any API it does not know; answers what is pipelined behind it.
    V0_9_0,
    /// ApiVersions v0 only; a newer one gets error 35 in the layout of v0 with an empty list.
    V0_10_0,
    /// As 0.10.0, with the versions of 0.10.2.
    V0_10_2,
    /// The first with record batches (magic 2) and producer ids.
    V0_11_0,
    /// The versions of 1.1.
    V1_1,
    /// The first here with flexible versions.
    V2_8,
    /// The last that speaks to every client since 0.8.
    V3_9,
    /// Advertises Produce from version 0 as 4.x does, and closes on versions 0 to 2 as it does too.
    V4_3,
    /// Every version that the library's protocol definitions hold, advertised exactly.
    #[default]
    Newest,
}

/// First and last version of an API.
pub(super) type Range = (i16, i16);

const NONE: Option<Range> = None;

const fn upto(max: i16) -> Option<Range> {
    Some((0, max))
}

/// What the releases answer to ApiVersions, for the APIs that an embedded broker serves; 0.8.2 and
/// 0.9.0, which cannot be asked, by their documentation. Columns: 0.8.2, 0.9.0, 0.10.0, 0.10.2,
/// 0.11.0, 1.1, 2.8, 3.9, 4.3.
const ADVERTISED: [(i16, [Option<Range>; 9]); 22] = [
    (0, [upto(0), upto(1), upto(2), upto(2), upto(3), upto(5), upto(9), upto(11), upto(13)]),
    (1, [upto(0), upto(1), upto(2), upto(3), upto(5), upto(7), upto(12), upto(17), Some((4, 18))]),
    (2, [upto(0), upto(0), upto(0), upto(1), upto(2), upto(2), upto(6), upto(9), Some((1, 11))]),
    (3, [upto(0), upto(0), upto(1), upto(2), upto(4), upto(5), upto(11), upto(12), upto(13)]),
    (10, [upto(0), upto(0), upto(0), upto(0), upto(1), upto(1), upto(3), upto(6), upto(6)]),
    (8, [upto(1), upto(2), upto(2), upto(2), upto(3), upto(3), upto(8), upto(9), Some((2, 10))]),
    (9, [upto(1), upto(1), upto(1), upto(2), upto(3), upto(3), upto(7), upto(9), Some((1, 10))]),
    (11, [NONE, upto(0), upto(0), upto(1), upto(2), upto(2), upto(7), upto(9), upto(9)]),
    (12, [NONE, upto(0), upto(0), upto(0), upto(1), upto(1), upto(4), upto(4), upto(4)]),
    (13, [NONE, upto(0), upto(0), upto(0), upto(1), upto(1), upto(4), upto(5), upto(5)]),
    (14, [NONE, upto(0), upto(0), upto(0), upto(1), upto(1), upto(5), upto(5), upto(5)]),
    (15, [NONE, upto(0), upto(0), upto(0), upto(1), upto(1), upto(5), upto(5), upto(6)]),
    (16, [NONE, upto(0), upto(0), upto(0), upto(1), upto(1), upto(4), upto(5), upto(5)]),
    (42, [NONE, NONE, NONE, NONE, NONE, upto(0), upto(2), upto(2), upto(2)]),
    (47, [NONE, NONE, NONE, NONE, NONE, NONE, upto(0), upto(0), upto(0)]),
    (18, [NONE, NONE, upto(0), upto(0), upto(1), upto(1), upto(3), upto(4), upto(4)]),
    (19, [NONE, NONE, NONE, upto(1), upto(2), upto(2), upto(7), upto(7), Some((2, 7))]),
    (20, [NONE, NONE, NONE, upto(0), upto(1), upto(1), upto(6), upto(6), Some((1, 6))]),
    (22, [NONE, NONE, NONE, NONE, upto(0), upto(0), upto(4), upto(5), upto(5)]),
    (23, [NONE, NONE, NONE, NONE, upto(0), upto(0), upto(4), upto(4), Some((2, 4))]),
    (68, [NONE, NONE, NONE, NONE, NONE, NONE, NONE, upto(0), upto(1)]),
    (69, [NONE, NONE, NONE, NONE, NONE, NONE, NONE, upto(0), upto(1)]),
];

/// What happens to a request of an API that the broker does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// The connection is closed.
    Close,
    /// The request is forgotten; those behind it are answered.
    Forget,
}

impl Release {
    /// The versions advertised for an API, out of those that are served at all.
    pub(super) fn advertised(self, api: i16, defined: Range) -> Option<Range> {
        if self == Self::Newest {
            return Some(defined);
        }
        let (_, row) = ADVERTISED.iter().find(|(key, _)| *key == api)?;
        let (min, max) = (*row.get(self as usize)?)?;
        let range = (min.max(defined.0), max.min(defined.1));
        (range.0 <= range.1).then_some(range)
    }

    /// Whether a version is answered, though it be advertised: 4.x advertises Produce 0 to 2 for
    /// the sake of old librdkafka and closes on them (KIP-896).
    pub(super) fn answers(self, api: i16, version: i16) -> bool {
        !(self == Self::V4_3 && api == 0 && version < 3)
    }

    pub(super) fn on_unknown_api(self) -> Unknown {
        if self == Self::V0_9_0 { Unknown::Forget } else { Unknown::Close }
    }

    /// 0.8 and 0.9 read no version in Metadata: any is answered as version 0.
    pub(super) fn metadata_is_always_v0(self) -> bool {
        self <= Self::V0_9_0
    }

    /// Since 2.4 the answer to a too new ApiVersions names the versions of ApiVersions (KIP-511).
    pub(super) fn names_api_versions_on_error(self) -> bool {
        self >= Self::V2_8
    }

    /// Whether groups by KIP-848 are switched on: 3.9 lists their APIs and refuses each request.
    pub(super) fn has_next_groups(self) -> bool {
        self >= Self::V4_3
    }

    pub(super) fn strictness(self) -> Strictness {
        let unknown_must_begin_at_zero = match self {
            _ if self < Self::V1_1 => Some(Code::OUT_OF_ORDER_SEQUENCE_NUMBER),
            _ if self < Self::V2_8 => Some(Code::UNKNOWN_PRODUCER_ID),
            _ => None,
        };
        let remembered = if self < Self::V1_1 { 1 } else { REMEMBERED };
        Strictness { unknown_must_begin_at_zero, remembered }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_advertises_exactly_what_is_defined() {
        assert_eq!(Release::Newest.advertised(1, (0, 18)), Some((0, 18)));
    }

    #[test]
    fn an_old_release_advertises_its_own_versions() {
        assert_eq!(Release::V0_8_2.advertised(0, (0, 13)), Some((0, 0)));
        assert_eq!(Release::V0_9_0.advertised(18, (0, 4)), None);
        assert_eq!(Release::V1_1.advertised(1, (0, 18)), Some((0, 7)));
        assert_eq!(Release::V4_3.advertised(0, (0, 13)), Some((0, 13)));
        assert!(!Release::V4_3.answers(0, 2) && Release::V4_3.answers(0, 3));
    }
}
