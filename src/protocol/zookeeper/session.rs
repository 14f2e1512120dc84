//! The first words on a connection.

use bytes::Bytes;

use super::{Reader, Writer};
use crate::error::{Code, Error, Result};

/// Opens a session, or takes one up again on another connection.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectRequest {
    /// The newest transaction that the client has seen: a server that is behind refuses.
    pub last_zxid: i64,
    /// The session time-out wished for, in milliseconds.
    pub timeout_ms: i32,
    /// The session, 0 for a new one.
    pub session_id: i64,
    /// The session's password; 16 zeros for a new one.
    pub password: Bytes,
    /// Whether a server without quorum, which only reads, is good enough.
    pub read_only: bool,
}

/// Without the password: who has it can take the session over.
impl std::fmt::Debug for ConnectRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let session = format_args!("{:#x}", self.session_id);
        f.debug_struct("ConnectRequest").field("session_id", &session).finish_non_exhaustive()
    }
}

impl ConnectRequest {
    /// The whole frame, its length included.
    pub fn frame(&self) -> Result<Bytes> {
        let mut w = Writer::new();
        w.int(0);
        w.long(self.last_zxid);
        w.int(self.timeout_ms);
        w.long(self.session_id);
        w.buffer(&self.password)?;
        w.bool(self.read_only);
        let mut frame = Writer::new();
        frame.buffer(&w.finish())?;
        Ok(frame.finish())
    }
}

/// The server's answer.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectResponse {
    /// The session time-out granted, in milliseconds; 0 when the session asked for has expired.
    pub timeout_ms: i32,
    /// The session; 0 when the one asked for has expired.
    pub session_id: i64,
    /// Its password.
    pub password: Bytes,
    /// Whether the server only reads; servers below 3.4 do not say.
    pub read_only: bool,
}

/// Without the password.
impl std::fmt::Debug for ConnectResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let session = format_args!("{:#x}", self.session_id);
        f.debug_struct("ConnectResponse").field("session_id", &session).finish_non_exhaustive()
    }
}

impl ConnectResponse {
    /// Reads a frame. What may stand after the known fields is left alone.
    pub fn read(frame: Bytes) -> Result<Self> {
        let mut r = Reader::new(frame);
        let version = r.int()?;
        if version != 0 {
            let text = format!("an answer in version {version} of ZooKeeper's protocol");
            return Err(Error::new(Code::PROTOCOL, text));
        }
        Ok(Self {
            timeout_ms: r.int()?,
            session_id: r.long()?,
            password: r.buffer()?,
            read_only: if r.is_at_end() { false } else { r.bool()? },
        })
    }

    /// Whether the session asked for is gone.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.timeout_ms <= 0 || self.session_id == 0
    }
}
