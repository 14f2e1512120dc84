//! What ZooKeeper tells of a node, and who may do what with it.

use super::{Reader, Writer};
use crate::error::Result;

/// What ZooKeeper knows of a node besides its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// The transaction that created the node: a node that was deleted and made again has another one.
    pub created: i64,
    /// The transaction that last changed its data.
    pub modified: i64,
    /// When it was created, by the server's clock, in milliseconds since 1970.
    pub created_at: i64,
    /// When its data last changed.
    pub modified_at: i64,
    /// How often its data changed: what a conditional change must name.
    pub version: i32,
    /// How often its list of children changed.
    pub children_version: i32,
    /// How often its access list changed.
    pub acl_version: i32,
    /// The session that owns an ephemeral node; 0 for a persistent one.
    pub ephemeral_owner: i64,
    /// The length of its data in bytes.
    pub data_length: i32,
    /// How many children it has.
    pub children: i32,
    /// The transaction that last changed its list of children.
    pub children_modified: i64,
}

impl Stat {
    pub(super) fn read(r: &mut Reader) -> Result<Self> {
        Ok(Self {
            created: r.long()?,
            modified: r.long()?,
            created_at: r.long()?,
            modified_at: r.long()?,
            version: r.int()?,
            children_version: r.int()?,
            acl_version: r.int()?,
            ephemeral_owner: r.long()?,
            data_length: r.int()?,
            children: r.int()?,
            children_modified: r.long()?,
        })
    }

    /// Appends it as a server answers it.
    pub fn write(&self, w: &mut Writer) {
        w.long(self.created);
        w.long(self.modified);
        w.long(self.created_at);
        w.long(self.modified_at);
        w.int(self.version);
        w.int(self.children_version);
        w.int(self.acl_version);
        w.long(self.ephemeral_owner);
        w.int(self.data_length);
        w.int(self.children);
        w.long(self.children_modified);
    }
}

/// One entry of an access list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acl {
    /// What is allowed: read 1, write 2, create 4, delete 8, administer 16.
    pub permissions: i32,
    /// How the identity is proved: `world`, `auth`, `digest`, `ip`, …
    pub scheme: String,
    /// To whom.
    pub id: String,
}

impl Acl {
    /// All is allowed to everybody: what Kafka's own clients write.
    #[must_use]
    pub fn open() -> Vec<Self> {
        vec![Self { permissions: 31, scheme: "world".to_owned(), id: "anyone".to_owned() }]
    }

    /// All is allowed to whoever the session has authenticated as, nothing to others.
    #[must_use]
    pub fn creator_all() -> Vec<Self> {
        vec![Self { permissions: 31, scheme: "auth".to_owned(), id: String::new() }]
    }

    pub(super) fn write(&self, w: &mut Writer) -> Result<()> {
        w.int(self.permissions);
        w.string(&self.scheme)?;
        w.string(&self.id)
    }
}
