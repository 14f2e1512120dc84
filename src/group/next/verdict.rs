//! What a code in a heartbeat's answer means.

use crate::error::Code;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The same coordinator again, after a pause.
    Again,
    /// Told to the application once, and again after a pause.
    Complain,
    /// At the coordinator that is to be found, at once (rule 9.18).
    Elsewhere,
    /// The coordinator does not count on this member: everything is lost, and it joins again (9.10).
    Fenced,
    /// Somebody has the static name (9.14).
    NameTaken,
    /// The broker has no such groups (9.17).
    Unsupported,
    /// The membership ends.
    Fatal,
}

/// `joins`: the heartbeat was one that joins.
pub(super) fn judge(code: Code, joins: bool) -> Verdict {
    match code {
        Code::NOT_COORDINATOR | Code::COORDINATOR_NOT_AVAILABLE => Verdict::Elsewhere,
        Code::FENCED_MEMBER_EPOCH | Code::UNKNOWN_MEMBER_ID => Verdict::Fenced,
        // A group that is gone has forgotten its members; one that cannot be joined is of another kind.
        Code::GROUP_ID_NOT_FOUND if !joins => Verdict::Fenced,
        Code::UNRELEASED_INSTANCE_ID => Verdict::NameTaken,
        Code::UNSUPPORTED_VERSION => Verdict::Unsupported,
        Code::TOPIC_AUTHORIZATION_FAILED => Verdict::Complain,
        code if code.is_retriable() => Verdict::Again,
        _ => Verdict::Fatal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_verdict() {
        let cases = [
            (Code::COORDINATOR_LOAD_IN_PROGRESS, Verdict::Again, Verdict::Again),
            (Code::NOT_COORDINATOR, Verdict::Elsewhere, Verdict::Elsewhere),
            (Code::COORDINATOR_NOT_AVAILABLE, Verdict::Elsewhere, Verdict::Elsewhere),
            (Code::FENCED_MEMBER_EPOCH, Verdict::Fenced, Verdict::Fenced),
            (Code::UNKNOWN_MEMBER_ID, Verdict::Fenced, Verdict::Fenced),
            (Code::GROUP_ID_NOT_FOUND, Verdict::Fatal, Verdict::Fenced),
            (Code::UNRELEASED_INSTANCE_ID, Verdict::NameTaken, Verdict::NameTaken),
            (Code::FENCED_INSTANCE_ID, Verdict::Fatal, Verdict::Fatal),
            (Code::UNSUPPORTED_VERSION, Verdict::Unsupported, Verdict::Unsupported),
            (Code::TOPIC_AUTHORIZATION_FAILED, Verdict::Complain, Verdict::Complain),
            (Code::GROUP_AUTHORIZATION_FAILED, Verdict::Fatal, Verdict::Fatal),
            (Code::GROUP_MAX_SIZE_REACHED, Verdict::Fatal, Verdict::Fatal),
            (Code::INVALID_REQUEST, Verdict::Fatal, Verdict::Fatal),
            (Code::UNSUPPORTED_ASSIGNOR, Verdict::Fatal, Verdict::Fatal),
            (Code::INVALID_REGULAR_EXPRESSION, Verdict::Fatal, Verdict::Fatal),
        ];
        for (code, joining, member) in cases {
            assert_eq!((judge(code, true), judge(code, false)), (joining, member), "{code:?}");
        }
    }
}
