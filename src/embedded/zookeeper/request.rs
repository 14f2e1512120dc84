//! Requests as they come in. Read apart from how the client writes them: the two are checked against
//! each other.

use bytes::Bytes;

use crate::error::{Code, Error, Result};
use crate::protocol::zookeeper::{Acl, CreateMode, OpCode, Reader, SetWatches};

/// The first words of a connection.
#[derive(Debug)]
pub(super) struct Hello {
    pub(super) last_zxid: i64,
    pub(super) timeout_ms: i32,
    pub(super) session: i64,
    pub(super) password: Bytes,
    /// Whether the client is of 3.4 or later, which say whether they would be content with a server
    /// that only reads, and hear whether this is one.
    pub(super) knows_read_only: bool,
}

impl Hello {
    pub(super) fn read(frame: Bytes) -> Result<Self> {
        let mut r = Reader::new(frame);
        let _version = r.int()?;
        Ok(Self {
            last_zxid: r.long()?,
            timeout_ms: r.int()?,
            session: r.long()?,
            password: r.buffer()?,
            knows_read_only: !r.is_at_end(),
        })
    }
}

/// A request that the server knows.
#[derive(Debug)]
pub(super) enum Request {
    Create {
        path: String,
        data: Bytes,
        acl: Vec<Acl>,
        mode: CreateMode,
        with_stat: bool,
    },
    Delete {
        path: String,
        version: i32,
    },
    Exists {
        path: String,
        watch: bool,
    },
    GetData {
        path: String,
        watch: bool,
    },
    SetData {
        path: String,
        data: Bytes,
        version: i32,
    },
    GetAcl {
        path: String,
    },
    SetAcl {
        path: String,
    },
    GetChildren {
        path: String,
        watch: bool,
        with_stat: bool,
    },
    Sync {
        path: String,
    },
    Ping,
    Auth {
        scheme: String,
    },
    SetWatches(SetWatches),
    Close,
    /// An operation that this server does not have.
    Unknown,
}

/// The number of `create2`, which answers a stat too.
const CREATE2: i32 = 15;
/// `getACL` and `setACL`.
const GET_ACL: i32 = 6;
const SET_ACL: i32 = 7;
/// The first `getChildren`, which answers no stat.
const GET_CHILDREN: i32 = 8;

/// A request with what stands before it.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) xid: i32,
    pub(super) request: Request,
}

impl Envelope {
    pub(super) fn read(frame: Bytes) -> Result<Self> {
        let mut r = Reader::new(frame);
        let (xid, op) = (r.int()?, r.int()?);
        Ok(Self { xid, request: read(op, &mut r)? })
    }
}

fn read(op: i32, r: &mut Reader) -> Result<Request> {
    const CREATE: i32 = OpCode::Create as i32;
    const DELETE: i32 = OpCode::Delete as i32;
    const EXISTS: i32 = OpCode::Exists as i32;
    const GET_DATA: i32 = OpCode::GetData as i32;
    const SET_DATA: i32 = OpCode::SetData as i32;
    const SYNC: i32 = OpCode::Sync as i32;
    const PING: i32 = OpCode::Ping as i32;
    const GET_CHILDREN2: i32 = OpCode::GetChildren as i32;
    const AUTH: i32 = OpCode::Auth as i32;
    const SET_WATCHES: i32 = OpCode::SetWatches as i32;
    const CLOSE: i32 = OpCode::CloseSession as i32;
    Ok(match op {
        CREATE | CREATE2 => Request::Create {
            path: r.string()?,
            data: r.buffer()?,
            acl: acl(r)?,
            mode: mode(r.int()?)?,
            with_stat: op == CREATE2,
        },
        DELETE => Request::Delete { path: r.string()?, version: r.int()? },
        EXISTS => Request::Exists { path: r.string()?, watch: r.bool()? },
        GET_DATA => Request::GetData { path: r.string()?, watch: r.bool()? },
        SET_DATA => Request::SetData { path: r.string()?, data: r.buffer()?, version: r.int()? },
        GET_ACL => Request::GetAcl { path: r.string()? },
        SET_ACL => Request::SetAcl { path: r.string()? },
        GET_CHILDREN | GET_CHILDREN2 => Request::GetChildren {
            path: r.string()?,
            watch: r.bool()?,
            with_stat: op == GET_CHILDREN2,
        },
        SYNC => Request::Sync { path: r.string()? },
        PING => Request::Ping,
        AUTH => {
            let _kind = r.int()?;
            Request::Auth { scheme: r.string()? }
        }
        SET_WATCHES => Request::SetWatches(SetWatches {
            zxid: r.long()?,
            data: r.strings()?,
            exists: r.strings()?,
            children: r.strings()?,
        }),
        CLOSE => Request::Close,
        _ => Request::Unknown,
    })
}

fn acl(r: &mut Reader) -> Result<Vec<Acl>> {
    // Read one by one: a count that cannot be true ends where the bytes end.
    let count = r.int()?.max(0);
    let entry =
        |r: &mut Reader| Ok(Acl { permissions: r.int()?, scheme: r.string()?, id: r.string()? });
    (0..count).map(|_| entry(r)).collect()
}

fn mode(number: i32) -> Result<CreateMode> {
    match number {
        0 => Ok(CreateMode::Persistent),
        1 => Ok(CreateMode::Ephemeral),
        2 => Ok(CreateMode::PersistentSequential),
        3 => Ok(CreateMode::EphemeralSequential),
        other => {
            let why = format!("nodes of kind {other} are not served");
            Err(Error::new(Code::PROTOCOL, why))
        }
    }
}
