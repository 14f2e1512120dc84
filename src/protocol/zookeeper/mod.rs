//! ZooKeeper's records and requests (jute) as a client sees them: 3.4 and later.
//!
//! Integers are big-endian; strings and byte fields have a four-byte length in front, −1 for null.
//! Every frame has its own four-byte length. A session begins with a [`ConnectRequest`]; after it each
//! request carries an id (`xid`) and an operation, and answers come in the order of the requests, with
//! watch events in between (see [`ReplyHeader`]).

mod error;
mod event;
mod jute;
mod reply;
mod request;
mod session;
mod stat;

pub use error::ErrorCode;
pub use event::{EventKind, NodeEvent};
pub use jute::{Reader, Writer};
pub use reply::ReplyHeader;
pub use request::{
    Auth, CloseSession, Create, CreateMode, Delete, Exists, GetChildren, GetData, OpCode, Ping,
    Request, SetData, SetWatches, Sync, frame,
};
pub use session::{ConnectRequest, ConnectResponse};
pub use stat::{Acl, Stat};

/// The ids of what is not numbered.
pub mod xid {
    /// Watch events.
    pub const EVENT: i32 = -1;
    /// Pings.
    pub const PING: i32 = -2;
    /// Authentication.
    pub const AUTH: i32 = -4;
    /// Watches set again on a new connection.
    pub const SET_WATCHES: i32 = -8;
}

#[cfg(test)]
mod tests;
