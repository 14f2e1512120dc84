//! What becomes of a batch after an answer or a failure: one pure table.

use crate::config::Acks;
use crate::error::{Code, Error, Persistence};

/// What to do with a batch that was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send it again after a rest, while its delivery time lasts.
    Retry {
        /// The partition's leader is in doubt: look it up again.
        refresh: bool,
        /// This attempt may have been written all the same (invariant 4.6).
        maybe_written: bool,
    },
    /// Cut it in two and send the parts, in order (invariant 4.7).
    Split,
    /// It is on the broker, at an offset that the broker no longer knows (invariant 5.14).
    Duplicate,
    /// It is about the producer's identity: the partition's books say what it means (invariants, section
    /// 5). Without an identity the batch is refused.
    Identity,
    /// Some records are condemned, the others were not written (invariant 4.8).
    Condemn,
    /// Give up, and this is what is known of it.
    Fail(Persistence),
}

const RETRY: Action = Action::Retry { refresh: false, maybe_written: false };
const RETRY_ELSEWHERE: Action = Action::Retry { refresh: true, maybe_written: false };
const REFUSED: Action = Action::Fail(Persistence::NotPersisted);

/// What a broker answers before it has written anything, and no other try mends.
const REFUSALS: [i32; 19] =
    [10, 17, 18, 21, 29, 31, 32, 35, 42, 44, 48, 49, 50, 52, 53, 76, 90, 105, 120];

/// The action for the error code of a partition's answer.
///
/// `can_split`: the batch has more than one record.
pub(crate) fn classify(code: Code, acks: Acks, can_split: bool) -> Action {
    // A leader that loses its office while it waits for the replicas answers 6 (or 3, when it was
    // told to stop) for a batch that it has already appended; with acks 1 it answers before that.
    let while_waiting = acks == Acks::All;
    match code {
        Code::DUPLICATE_SEQUENCE_NUMBER => Action::Duplicate,
        Code::OUT_OF_ORDER_SEQUENCE_NUMBER
        | Code::INVALID_PRODUCER_EPOCH
        | Code::UNKNOWN_PRODUCER_ID
        | Code::UNSUPPORTED_FOR_MESSAGE_FORMAT => Action::Identity,
        Code::INVALID_RECORD => Action::Condemn,
        Code::MESSAGE_TOO_LARGE | Code::RECORD_LIST_TOO_LARGE if can_split => Action::Split,

        Code::NOT_LEADER_OR_FOLLOWER | Code::UNKNOWN_TOPIC_OR_PARTITION => {
            Action::Retry { refresh: true, maybe_written: while_waiting }
        }
        Code::REQUEST_TIMED_OUT | Code::NOT_ENOUGH_REPLICAS_AFTER_APPEND => {
            Action::Retry { refresh: false, maybe_written: true }
        }
        Code::NETWORK_EXCEPTION | Code::KAFKA_STORAGE_ERROR => {
            Action::Retry { refresh: true, maybe_written: true }
        }
        Code::CORRUPT_MESSAGE | Code::NOT_ENOUGH_REPLICAS | Code::THROTTLING_QUOTA_EXCEEDED => {
            RETRY
        }
        Code::LEADER_NOT_AVAILABLE
        | Code::REPLICA_NOT_AVAILABLE
        | Code::FENCED_LEADER_EPOCH
        | Code::UNKNOWN_LEADER_EPOCH
        | Code::UNKNOWN_TOPIC_ID
        | Code::INCONSISTENT_TOPIC_ID => RETRY_ELSEWHERE,

        // The broker does not say how far it came.
        Code::UNKNOWN_SERVER_ERROR => Action::Fail(Persistence::PossiblyPersisted),
        // A number of a newer broker: retriable (invariant 2.9), and nothing is known of the batch.
        code if code.info().is_none() => Action::Retry { refresh: true, maybe_written: true },
        code if code.is_retriable() => Action::Retry { refresh: true, maybe_written: true },
        code if REFUSALS.contains(&code.0) => REFUSED,
        // One that Produce never answers says nothing of the batch.
        _ => Action::Fail(Persistence::PossiblyPersisted),
    }
}

/// The action when the request got no answer, or could not be made.
pub(crate) fn classify_failure(error: &Error) -> Action {
    let persistence = error.persistence();
    match error.code() {
        // Neither time nor another try helps.
        Code::PANIC | Code::CLOSED | Code::FORKED | Code::CLUSTER_ID_CHANGED => {
            Action::Fail(persistence)
        }
        Code::UNSUPPORTED_FEATURE
        | Code::UNSUPPORTED_COMPRESSION_TYPE
        | Code::UNSUPPORTED_VERSION
        | Code::RECORD_TOO_LARGE
        | Code::INVALID_ARGUMENT
        | Code::UNDECODABLE => Action::Fail(persistence),
        _ => {
            Action::Retry { refresh: true, maybe_written: persistence != Persistence::NotPersisted }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAYBE: Action = Action::Retry { refresh: false, maybe_written: true };
    const MAYBE_ELSEWHERE: Action = Action::Retry { refresh: true, maybe_written: true };

    #[test]
    fn every_code_of_produce_has_its_action() {
        let table = [
            (-1, Action::Fail(Persistence::PossiblyPersisted)),
            (2, RETRY),
            (3, RETRY_ELSEWHERE),
            (5, RETRY_ELSEWHERE),
            (6, RETRY_ELSEWHERE),
            (7, MAYBE),
            (9, RETRY_ELSEWHERE),
            (10, Action::Split),
            (13, MAYBE_ELSEWHERE),
            (17, REFUSED),
            (18, Action::Split),
            (19, RETRY),
            (20, MAYBE),
            (21, REFUSED),
            (29, REFUSED),
            (31, REFUSED),
            (32, REFUSED),
            (35, REFUSED),
            (42, REFUSED),
            (43, Action::Identity),
            (44, REFUSED),
            (45, Action::Identity),
            (46, Action::Duplicate),
            (47, Action::Identity),
            (48, REFUSED),
            (49, REFUSED),
            (53, REFUSED),
            (56, MAYBE_ELSEWHERE),
            (58, Action::Fail(Persistence::PossiblyPersisted)),
            (59, Action::Identity),
            (74, RETRY_ELSEWHERE),
            (75, RETRY_ELSEWHERE),
            (76, REFUSED),
            (87, Action::Condemn),
            (89, RETRY),
            (90, REFUSED),
            (100, RETRY_ELSEWHERE),
            (103, RETRY_ELSEWHERE),
            (120, REFUSED),
            (31_999, MAYBE_ELSEWHERE),
        ];
        for (number, action) in table {
            assert_eq!(classify(Code(number), Acks::Leader, true), action, "code {number}");
        }
    }

    #[test]
    fn rule_4_6_with_acks_all_a_lost_leader_may_have_written() {
        for code in [Code::NOT_LEADER_OR_FOLLOWER, Code::UNKNOWN_TOPIC_OR_PARTITION] {
            assert_eq!(classify(code, Acks::All, true), MAYBE_ELSEWHERE);
            assert_eq!(classify(code, Acks::Leader, true), RETRY_ELSEWHERE);
        }
        for number in [19, 10, 87, 2, 29] {
            let action = classify(Code(number), Acks::All, false);
            let maybe = matches!(action, Action::Retry { maybe_written: true, .. });
            assert!(!maybe, "{number} is surely not written");
            assert_ne!(action, Action::Fail(Persistence::PossiblyPersisted), "{number}");
        }
    }

    #[test]
    fn rule_4_7_one_record_that_is_too_large_fails_and_several_are_split() {
        assert_eq!(classify(Code::MESSAGE_TOO_LARGE, Acks::All, true), Action::Split);
        assert_eq!(classify(Code::MESSAGE_TOO_LARGE, Acks::All, false), REFUSED);
    }

    #[test]
    fn rule_1_20_a_request_of_which_nothing_was_written_may_be_repeated_freely() {
        let unsent = Error::bare(Code::DISCONNECTED);
        assert_eq!(classify_failure(&unsent), RETRY_ELSEWHERE);
        for code in [Code::DISCONNECTED, Code::TIMED_OUT, Code::PROTOCOL, Code::FRAME_TOO_LARGE] {
            let sent = Error::bare(code).with_persistence(Persistence::PossiblyPersisted);
            assert_eq!(classify_failure(&sent), MAYBE_ELSEWHERE, "{sent:?}");
        }
    }

    #[test]
    fn what_no_other_try_can_mend_fails_at_once() {
        for code in [Code::UNSUPPORTED_FEATURE, Code::PANIC, Code::CLOSED] {
            assert_eq!(classify_failure(&Error::bare(code)), REFUSED, "{code:?}");
        }
    }
}
