//! What the codes of a coordinator's answers mean for a member. Pure.

use crate::error::Code;

/// What a member has to forget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// Its generation: the coordinator still knows the member (rule 8.4).
    Generation,
    /// Its id too: it begins as a new member.
    Member,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Fine,
    /// Join again with the id that came (KIP-394).
    WithId,
    /// The group rebalances: join, and keep everything.
    Rebalance,
    /// Others may have the partitions: forget, and join.
    Forget(Loss),
    /// Again after a pause; the coordinator may have to be found first.
    Later,
    /// Nobody but the user can mend it.
    Fatal,
}

/// Codes that end the membership whatever was asked (rules 8.4, 8.26).
fn is_fatal(code: Code) -> bool {
    matches!(
        code,
        Code::INCONSISTENT_GROUP_PROTOCOL
            | Code::INVALID_GROUP_ID
            | Code::INVALID_SESSION_TIMEOUT
            | Code::GROUP_AUTHORIZATION_FAILED
            | Code::GROUP_MAX_SIZE_REACHED
            | Code::FENCED_INSTANCE_ID
            | Code::UNSUPPORTED_VERSION
            | Code::UNSUPPORTED_FEATURE
            | Code::INVALID_ARGUMENT
            | Code::CLOSED
    )
}

fn forgotten(code: Code) -> Option<Loss> {
    match code {
        Code::UNKNOWN_MEMBER_ID => Some(Loss::Member),
        Code::ILLEGAL_GENERATION => Some(Loss::Generation),
        _ => None,
    }
}

/// Of JoinGroup.
pub(super) fn join(code: Code) -> Verdict {
    match code {
        Code::NONE => Verdict::Fine,
        Code::MEMBER_ID_REQUIRED => Verdict::WithId,
        Code::REBALANCE_IN_PROGRESS => Verdict::Later,
        code if is_fatal(code) => Verdict::Fatal,
        code => match forgotten(code) {
            Some(loss) => Verdict::Forget(loss),
            // Numbers of ours say that there was no answer: a peer that sends nonsense may not be Kafka.
            None if code.is_retriable() || code.0 < -1 => Verdict::Later,
            None => Verdict::Fatal,
        },
    }
}

/// Of SyncGroup.
pub(super) fn sync(code: Code) -> Verdict {
    match code {
        Code::NONE => Verdict::Fine,
        Code::REBALANCE_IN_PROGRESS => Verdict::Rebalance,
        code if is_fatal(code) => Verdict::Fatal,
        code => forgotten(code).map_or(Verdict::Later, Verdict::Forget),
    }
}

/// Of Heartbeat, and of what a commit says of its member (rule 8.10). What is not known here changes
/// nothing: the session's own time decides.
pub(super) fn beat(code: Code) -> Verdict {
    match code {
        Code::NONE => Verdict::Fine,
        Code::REBALANCE_IN_PROGRESS => Verdict::Rebalance,
        code if is_fatal(code) => Verdict::Fatal,
        code => forgotten(code).map_or(Verdict::Later, Verdict::Forget),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORGET_ALL: Verdict = Verdict::Forget(Loss::Member);
    const FORGET_GENERATION: Verdict = Verdict::Forget(Loss::Generation);

    #[test]
    fn rule_8_4_what_is_forgotten_depends_on_the_code() {
        for judge in [join, sync, beat] {
            assert_eq!(judge(Code::UNKNOWN_MEMBER_ID), FORGET_ALL);
            assert_eq!(judge(Code::ILLEGAL_GENERATION), FORGET_GENERATION);
            assert_eq!(judge(Code::FENCED_INSTANCE_ID), Verdict::Fatal);
        }
    }

    #[test]
    fn rule_8_26_what_only_the_user_can_mend_is_fatal() {
        for code in [
            Code::INCONSISTENT_GROUP_PROTOCOL,
            Code::INVALID_SESSION_TIMEOUT,
            Code::INVALID_GROUP_ID,
            Code::GROUP_AUTHORIZATION_FAILED,
            Code::GROUP_MAX_SIZE_REACHED,
        ] {
            assert_eq!(join(code), Verdict::Fatal, "{code:?}");
        }
    }

    #[test]
    fn rule_8_8_a_coordinator_that_moves_or_loads_ends_nothing() {
        for code in [
            Code::COORDINATOR_LOAD_IN_PROGRESS,
            Code::COORDINATOR_NOT_AVAILABLE,
            Code::NOT_COORDINATOR,
            Code::DISCONNECTED,
            Code::TIMED_OUT,
            Code::FRAME_TOO_LARGE,
            Code(31_999),
        ] {
            for judge in [join, sync, beat] {
                assert_eq!(judge(code), Verdict::Later, "{code:?}");
            }
        }
    }

    #[test]
    fn rule_8_3_a_member_that_gets_its_id_comes_back_with_it() {
        assert_eq!(join(Code::MEMBER_ID_REQUIRED), Verdict::WithId);
    }

    #[test]
    fn rule_8_6_a_rebalance_is_no_failure() {
        assert_eq!(beat(Code::REBALANCE_IN_PROGRESS), Verdict::Rebalance);
        assert_eq!(sync(Code::REBALANCE_IN_PROGRESS), Verdict::Rebalance);
        assert_eq!(join(Code::REBALANCE_IN_PROGRESS), Verdict::Later);
    }
}
