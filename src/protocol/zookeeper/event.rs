//! What a watch tells.

use super::Reader;
use crate::error::{Code, Error, Result};

/// What happened to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// It is there now.
    Created,
    /// It is gone.
    Deleted,
    /// Its data changed.
    DataChanged,
    /// A child came or went.
    ChildrenChanged,
}

/// A watch that fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeEvent {
    /// What happened.
    pub kind: EventKind,
    /// The node.
    pub path: String,
}

impl NodeEvent {
    /// Reads the body of an event. None for one that is about the session and not about a node, which
    /// the connection itself tells better; an unknown kind is an error.
    pub fn read(r: &mut Reader) -> Result<Option<Self>> {
        let (number, _state, path) = (r.int()?, r.int()?, r.string()?);
        let kind = match number {
            -1 => return Ok(None),
            1 => EventKind::Created,
            2 => EventKind::Deleted,
            3 => EventKind::DataChanged,
            4 => EventKind::ChildrenChanged,
            other => {
                return Err(Error::new(
                    Code::PROTOCOL,
                    format!("an event of unknown kind {other}"),
                ));
            }
        };
        Ok(Some(Self { kind, path }))
    }
}
