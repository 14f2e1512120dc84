//! The requests, each with the answer that belongs to it.

use bytes::Bytes;

use super::{Acl, Reader, Stat, Writer};
use crate::error::Result;

/// The number of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpCode {
    /// Makes a node.
    Create = 1,
    /// Deletes a node.
    Delete = 2,
    /// Looks whether a node is there.
    Exists = 3,
    /// Reads a node's data.
    GetData = 4,
    /// Changes a node's data.
    SetData = 5,
    /// Waits until the server has caught up with the leader.
    Sync = 9,
    /// Keeps the session alive.
    Ping = 11,
    /// Lists a node's children (`getChildren2`, which gives the node's stat too; since 3.3).
    GetChildren = 12,
    /// Proves who the client is.
    Auth = 100,
    /// Sets watches again.
    SetWatches = 101,
    /// Ends the session.
    CloseSession = -11,
}

/// A request and how to read its answer.
pub trait Request {
    /// Which operation it is.
    const OP: OpCode;
    /// What comes back when there is no error.
    type Answer;

    /// Appends the body.
    fn write(&self, w: &mut Writer) -> Result<()>;

    /// Reads the body of the answer.
    fn read(r: &mut Reader) -> Result<Self::Answer>;
}

/// A whole frame: its length, the id, the operation, the body.
pub fn frame(xid: i32, op: OpCode, body: &[u8]) -> Result<Bytes> {
    let mut w = Writer::new();
    w.count(body.len().saturating_add(8))?;
    w.int(xid);
    // The discriminant is the number on the wire.
    w.int(op as i32);
    let mut frame = bytes::BytesMut::from(w.finish());
    frame.extend_from_slice(body);
    Ok(frame.freeze())
}

/// How long a new node lives, and whether ZooKeeper numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateMode {
    /// Until it is deleted.
    Persistent = 0,
    /// Until the session ends.
    Ephemeral = 1,
    /// Until it is deleted; ten digits are appended to the name.
    PersistentSequential = 2,
    /// Until the session ends; ten digits are appended to the name.
    EphemeralSequential = 3,
}

/// Makes a node; answers its path, with the number if it is a sequential one.
#[derive(Clone, Debug)]
pub struct Create<'a> {
    /// Where.
    pub path: &'a str,
    /// Its data.
    pub data: &'a [u8],
    /// Who may do what.
    pub acl: &'a [Acl],
    /// How long it lives.
    pub mode: CreateMode,
}

impl Request for Create<'_> {
    const OP: OpCode = OpCode::Create;
    type Answer = String;

    fn write(&self, w: &mut Writer) -> Result<()> {
        w.string(self.path)?;
        w.buffer(self.data)?;
        w.count(self.acl.len())?;
        self.acl.iter().try_for_each(|entry| entry.write(w))?;
        w.int(self.mode as i32);
        Ok(())
    }

    fn read(r: &mut Reader) -> Result<String> {
        r.string()
    }
}

/// Deletes a node without children.
#[derive(Clone, Copy, Debug)]
pub struct Delete<'a> {
    /// Which.
    pub path: &'a str,
    /// Only if it has this version; −1: whatever it has.
    pub version: i32,
}

impl Request for Delete<'_> {
    const OP: OpCode = OpCode::Delete;
    type Answer = ();

    fn write(&self, w: &mut Writer) -> Result<()> {
        w.string(self.path)?;
        w.int(self.version);
        Ok(())
    }

    fn read(_: &mut Reader) -> Result<()> {
        Ok(())
    }
}

/// Changes a node's data.
#[derive(Clone, Copy, Debug)]
pub struct SetData<'a> {
    /// Which.
    pub path: &'a str,
    /// The new data.
    pub data: &'a [u8],
    /// Only if it has this version; −1: whatever it has.
    pub version: i32,
}

impl Request for SetData<'_> {
    const OP: OpCode = OpCode::SetData;
    type Answer = Stat;

    fn write(&self, w: &mut Writer) -> Result<()> {
        w.string(self.path)?;
        w.buffer(self.data)?;
        w.int(self.version);
        Ok(())
    }

    fn read(r: &mut Reader) -> Result<Stat> {
        Stat::read(r)
    }
}

/// The requests that name a node and perhaps leave a watch.
macro_rules! watching {
    ($(#[$doc:meta])* $name:ident: $answer:ty, $r:ident => $read:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<'a> {
            /// Which.
            pub path: &'a str,
            /// Whether a watch is left.
            pub watch: bool,
        }

        impl Request for $name<'_> {
            const OP: OpCode = OpCode::$name;
            type Answer = $answer;

            fn write(&self, w: &mut Writer) -> Result<()> {
                w.string(self.path)?;
                w.bool(self.watch);
                Ok(())
            }

            fn read($r: &mut Reader) -> Result<$answer> {
                $read
            }
        }
    };
}

watching! {
    /// Looks whether a node is there. Its watch is left even where there is none.
    Exists: Stat, r => Stat::read(r)
}

watching! {
    /// Reads a node's data.
    GetData: (Bytes, Stat), r => Ok((r.buffer()?, Stat::read(r)?))
}

watching! {
    /// Lists the names of a node's children, in no order.
    GetChildren: (Vec<String>, Stat), r => Ok((r.names()?, Stat::read(r)?))
}

/// Waits until the server has caught up with the leader: a read behind it sees every change that was
/// there before.
#[derive(Clone, Copy, Debug)]
pub struct Sync<'a> {
    /// Any path.
    pub path: &'a str,
}

impl Request for Sync<'_> {
    const OP: OpCode = OpCode::Sync;
    type Answer = ();

    fn write(&self, w: &mut Writer) -> Result<()> {
        w.string(self.path)
    }

    fn read(r: &mut Reader) -> Result<()> {
        r.string().map(|_| ())
    }
}

/// Keeps the session alive.
#[derive(Clone, Copy, Debug)]
pub struct Ping;

/// Ends the session: its ephemeral nodes go at once.
#[derive(Clone, Copy, Debug)]
pub struct CloseSession;

macro_rules! empty {
    ($($name:ident)*) => {$(
        impl Request for $name {
            const OP: OpCode = OpCode::$name;
            type Answer = ();

            fn write(&self, _: &mut Writer) -> Result<()> {
                Ok(())
            }

            fn read(_: &mut Reader) -> Result<()> {
                Ok(())
            }
        }
    )*};
}

empty! { Ping CloseSession }

/// Proves who the client is, for this connection.
#[derive(Clone, Copy)]
pub struct Auth<'a> {
    /// `digest`, …
    pub scheme: &'a str,
    /// For `digest`: `user:password`.
    pub credentials: &'a [u8],
}

impl Request for Auth<'_> {
    const OP: OpCode = OpCode::Auth;
    type Answer = ();

    fn write(&self, w: &mut Writer) -> Result<()> {
        w.int(0);
        w.string(self.scheme)?;
        w.buffer(self.credentials)
    }

    fn read(_: &mut Reader) -> Result<()> {
        Ok(())
    }
}

/// Sets the watches of a session again on a new connection; what happened since `zxid` fires at once.
/// (`setWatches2`, since 3.6, adds persistent watches, of which there are none here.)
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetWatches {
    /// The newest transaction that the client has seen.
    pub zxid: i64,
    /// Nodes whose data is watched.
    pub data: Vec<String>,
    /// Nodes that were not there and whose creation is watched.
    pub exists: Vec<String>,
    /// Nodes whose children are watched.
    pub children: Vec<String>,
}

impl Request for SetWatches {
    const OP: OpCode = OpCode::SetWatches;
    type Answer = ();

    fn write(&self, w: &mut Writer) -> Result<()> {
        w.long(self.zxid);
        w.strings(&self.data)?;
        w.strings(&self.exists)?;
        w.strings(&self.children)
    }

    fn read(_: &mut Reader) -> Result<()> {
        Ok(())
    }
}
