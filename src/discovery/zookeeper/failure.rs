//! Why a request to ZooKeeper did not succeed.

use crate::error::{Code, Error};
use crate::protocol::zookeeper::ErrorCode;

/// What became of a request that did not succeed.
#[derive(Clone, Debug)]
pub enum Failure {
    /// The server refused it: nothing was done.
    Refused {
        /// Why.
        code: ErrorCode,
        /// The node, as the caller named it.
        path: String,
    },
    /// The connection was lost before the answer: a change may have been made. (Reads are repeated and
    /// never end so.)
    Lost(Error),
    /// The session that the request belongs to has ended: its ephemeral nodes and watches are gone.
    Expired,
    /// It was not sent, or its answer did not come or could not be read: `TIMED_OUT`, `CLOSED`,
    /// `FORKED`, `PROTOCOL`, `INVALID_ARGUMENT`. After `TIMED_OUT` a change may have been made.
    Other(Error),
}

impl Failure {
    /// Whether the server refused with this code.
    #[must_use]
    pub fn is(&self, wanted: ErrorCode) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == wanted)
    }

    /// Whether there is no such node.
    #[must_use]
    pub fn is_no_node(&self) -> bool {
        self.is(ErrorCode::NO_NODE)
    }

    /// Whether the handle was closed or is a parent's: trying again is of no use.
    #[must_use]
    pub fn is_final(&self) -> bool {
        let is_final = |error: &Error| {
            matches!(error.code(), Code::CLOSED | Code::FORKED | Code::PANIC) || error.is_fatal()
        };
        matches!(self, Self::Other(error) if is_final(error))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused { code, path } => {
                let text = format!("ZooKeeper refused {path}: {} ({})", code.text(), code.0);
                Self::new(Code::ZOOKEEPER, text)
            }
            Failure::Expired => Self::bare(Code::SESSION_EXPIRED),
            Failure::Lost(error) | Failure::Other(error) => error,
        }
    }
}
