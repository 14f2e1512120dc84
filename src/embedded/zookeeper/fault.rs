//! Faults that tests inject into an embedded ZooKeeper.

use crate::embedded::turn;
use crate::protocol::zookeeper::{ErrorCode, OpCode};

/// What happens to a request that a fault meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The connection is closed before the request is looked at.
    CloseBefore,
    /// The request is done, and the connection is closed without an answer: the client cannot know.
    CloseAfter,
    /// Nothing is done; the answer is this error.
    Refuse(ErrorCode),
}

/// A rule that meets requests; hand it to [`Server::inject`](super::Server::inject).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What happens.
    pub kind: FaultKind,
    /// The operation that it meets; None meets any but pings.
    pub op: Option<OpCode>,
    /// The node that it meets, or any below it; None meets any.
    pub path: Option<String>,
    /// The session that it meets; None meets any.
    pub session: Option<i64>,
    /// How many matching requests pass first.
    pub skip: u32,
    /// How many are met after that; `u32::MAX` = all.
    pub times: u32,
}

impl Fault {
    /// A fault that meets the next request of any kind.
    #[must_use]
    pub fn new(kind: FaultKind) -> Self {
        Self { kind, op: None, path: None, session: None, skip: 0, times: 1 }
    }

    /// Meets only this operation.
    #[must_use]
    pub fn op(mut self, op: OpCode) -> Self {
        self.op = Some(op);
        self
    }

    /// Meets only this node and what is below it.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    /// Meets only requests of this session.
    #[must_use]
    pub fn session(mut self, session: i64) -> Self {
        self.session = Some(session);
        self
    }

    /// Lets so many matching requests pass first.
    #[must_use]
    pub fn skip(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }

    /// Meets so many requests instead of one.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// Looks at a request: whether the fault meets it.
    pub(super) fn meets(&mut self, op: OpCode, path: &str, session: i64) -> bool {
        let below = |at: &str| {
            path.strip_prefix(at).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let fits = self.op.map_or(op != OpCode::Ping, |wanted| wanted == op)
            && self.path.as_deref().is_none_or(below)
            && self.session.is_none_or(|wanted| wanted == session);
        fits && turn::has_come(&mut self.skip, &mut self.times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_meets_its_operation_its_node_and_its_session() {
        let mut fault = Fault::new(FaultKind::CloseAfter).op(OpCode::Create).path("/a").session(7);
        let mut meets = |op, path, session| {
            fault.times = 1;
            fault.meets(op, path, session)
        };
        assert!(meets(OpCode::Create, "/a", 7));
        assert!(meets(OpCode::Create, "/a/b", 7));
        assert!(!meets(OpCode::Create, "/ab", 7), "another node that begins alike");
        assert!(!meets(OpCode::Delete, "/a", 7));
        assert!(!meets(OpCode::Create, "/a", 8));
    }

    #[test]
    fn a_fault_passes_some_meets_some_and_then_none_and_leaves_pings_alone() {
        let mut fault = Fault::new(FaultKind::CloseBefore).skip(1).times(2);
        assert!(!fault.meets(OpCode::Ping, "", 7));
        let met = [0; 5].map(|_| fault.meets(OpCode::Exists, "/", 7));
        assert_eq!(met, [false, true, true, false, false]);
    }
}
