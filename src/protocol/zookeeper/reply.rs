//! What stands before every answer and event.

use super::{ErrorCode, Reader};
use crate::error::Result;

/// The header of everything that a server sends after the first answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyHeader {
    /// The request that is answered, or one of [`xid`](super::xid).
    pub xid: i32,
    /// The newest transaction of the server; ≤ 0 when it does not say.
    pub zxid: i64,
    /// Whether the request succeeded.
    pub error: ErrorCode,
}

impl ReplyHeader {
    /// Reads the header; the body follows if there is no error.
    pub fn read(r: &mut Reader) -> Result<Self> {
        Ok(Self { xid: r.int()?, zxid: r.long()?, error: ErrorCode(r.int()?) })
    }
}
