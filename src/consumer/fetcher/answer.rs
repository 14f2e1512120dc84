//! What the answer to a fetch means: pure tables.

use crate::error::Code;

/// What becomes of a partition after a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::consumer) enum Verdict {
    /// Take the data.
    Data,
    /// The offset does not exist on the leader: the policy decides (6.19).
    Reset,
    /// Another broker leads, or this one is changing: ask for metadata, back off, retry.
    Move,
    /// The broker is behind, or something passing: back off, retry.
    Wait,
    /// The application must know; back off and go on, it may heal (13.7).
    Tell,
}

/// Rule 6.15.
pub(in crate::consumer) fn classify(code: Code) -> Verdict {
    match code {
        Code::NONE => Verdict::Data,
        Code::OFFSET_OUT_OF_RANGE => Verdict::Reset,
        Code::UNKNOWN_TOPIC_OR_PARTITION
        | Code::LEADER_NOT_AVAILABLE
        | Code::NOT_LEADER_OR_FOLLOWER
        | Code::REPLICA_NOT_AVAILABLE
        | Code::KAFKA_STORAGE_ERROR
        | Code::FENCED_LEADER_EPOCH
        | Code::OFFSET_NOT_AVAILABLE
        | Code::UNKNOWN_TOPIC_ID
        | Code::INCONSISTENT_TOPIC_ID => Verdict::Move,
        // The broker has not heard of the epoch yet: it will, and metadata would say nothing new.
        Code::UNKNOWN_LEADER_EPOCH => Verdict::Wait,
        Code::CORRUPT_MESSAGE => Verdict::Tell,
        // A code of a newer broker included (2.9).
        code if code.is_retriable() => Verdict::Wait,
        _ => Verdict::Tell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_6_15_each_code_has_its_consequence() {
        let table = [
            (0, Verdict::Data),
            (1, Verdict::Reset),
            (74, Verdict::Move),
            (75, Verdict::Wait),
            (6, Verdict::Move),
            (9, Verdict::Move),
            (56, Verdict::Move),
            (78, Verdict::Move),
            (100, Verdict::Move),
            (103, Verdict::Move),
            (3, Verdict::Move),
            (5, Verdict::Move),
            (29, Verdict::Tell),
            (2, Verdict::Tell),
            (76, Verdict::Tell),
            (-1, Verdict::Wait),
        ];
        for (code, verdict) in table {
            assert_eq!(classify(Code(code)), verdict, "code {code}");
        }
    }

    #[test]
    fn rule_2_9_an_unknown_code_is_retried() {
        assert_eq!(classify(Code(31_999)), Verdict::Wait);
    }
}
