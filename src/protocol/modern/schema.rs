//! What a definition says of its fields, as constant tables.
//!
//! The codec is made of them, and the tests hold them against the official definitions.

use std::fmt;

use super::structure::Inspector;
use super::wire::{Version, Wire};

/// A range of versions, both ends included; open ranges end at `i16::MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The first version.
    pub first: i16,
    /// The last version.
    pub last: i16,
}

impl Versions {
    /// No version at all.
    pub const NONE: Versions = Versions { first: 0, last: -1 };

    /// Whether the range holds this version.
    #[must_use]
    pub const fn contains(self, version: i16) -> bool {
        self.first <= version && version <= self.last
    }
}

impl fmt::Display for Versions {
    /// As in the official definitions: `0+`, `0-12`, `7`, `none`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self { first, last } if first > last => f.write_str("none"),
            Self { first, last: i16::MAX } => write!(f, "{first}+"),
            Self { first, last } if first == last => write!(f, "{first}"),
            Self { first, last } => write!(f, "{first}-{last}"),
        }
    }
}

/// What a value names, beyond its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entity {
    /// A broker's id.
    BrokerId,
    /// A group's name.
    GroupId,
    /// A producer's id.
    ProducerId,
    /// A topic's name.
    TopicName,
    /// A transactional id.
    TransactionalId,
}

/// The type of a field.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// One byte, 0 or 1.
    Bool,
    /// One byte.
    Int8,
    /// Two bytes.
    Int16,
    /// Four bytes.
    Int32,
    /// Eight bytes.
    Int64,
    /// Sixteen bytes.
    Uuid,
    /// Text with a length.
    String,
    /// Bytes with a length.
    Bytes,
    /// Record batches: bytes with a length, never copied.
    Records,
    /// A count and that many elements.
    Array(&'static Kind),
    /// A structure.
    Struct(&'static Schema),
}

impl Kind {
    /// The fewest bytes that a value takes at this version: what bounds an array's count.
    #[must_use]
    pub fn min_size(&self, version: Version) -> usize {
        let length = |old: usize| if version.flexible { 1 } else { old };
        match self {
            Kind::Bool | Kind::Int8 => 1,
            Kind::Int16 => 2,
            Kind::Int32 => 4,
            Kind::Int64 => 8,
            Kind::Uuid => 16,
            Kind::String => length(2),
            Kind::Bytes | Kind::Records | Kind::Array(_) => length(4),
            Kind::Struct(schema) => schema.min_size(version),
        }
    }
}

/// A structure: a message, or an element of one.
#[derive(Clone, Copy)]
pub struct Schema {
    /// The official name.
    pub name: &'static str,
    /// The fields in the order in which they are sent.
    pub fields: &'static [Field],
    /// Shows the default value to an inspector.
    pub inspect_default: fn(&mut dyn Inspector),
}

impl Schema {
    /// The fewest bytes that the structure takes at this version.
    #[must_use]
    pub fn min_size(&self, version: Version) -> usize {
        // A flexible structure ends with the count of its tagged fields.
        let present = self.fields.iter().filter(|f| f.tag.is_none() && f.is_in(version));
        present.map(|f| f.min_size(version)).sum::<usize>() + usize::from(version.flexible)
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(self.name).field("fields", &self.fields).finish_non_exhaustive()
    }
}

/// A field of a structure. [`since`] or [`between`] begins one.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The official name, in snake case.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// The versions that have it.
    pub versions: Versions,
    /// The versions in which it may be null.
    pub nullable: Versions,
    /// If set, the field is sent under this tag, and only if it is not the default.
    pub tag: Option<u32>,
    /// Whether a value may be dropped silently where the version cannot express it (rule 2.8).
    pub ignorable: bool,
    /// What the value names.
    pub entity: Option<Entity>,
}

/// A field that exists from version `first` on.
#[must_use]
pub const fn since(first: i16) -> Field {
    between(first, i16::MAX)
}

/// A field that exists from version `first` to version `last`.
#[must_use]
pub const fn between(first: i16, last: i16) -> Field {
    Field {
        name: "",
        kind: Kind::Bool,
        versions: Versions { first, last },
        nullable: Versions::NONE,
        tag: None,
        ignorable: false,
        entity: None,
    }
}

impl Field {
    /// May be null from version `first` on.
    #[must_use]
    pub const fn nullable(mut self, first: i16) -> Self {
        self.nullable = Versions { first, last: self.versions.last };
        self
    }

    /// Is sent under a tag.
    #[must_use]
    pub const fn tag(mut self, tag: u32) -> Self {
        self.tag = Some(tag);
        self
    }

    /// May be dropped silently where the version cannot express it.
    #[must_use]
    pub const fn ignorable(mut self) -> Self {
        self.ignorable = true;
        self
    }

    /// Names something.
    #[must_use]
    pub const fn entity(mut self, entity: Entity) -> Self {
        self.entity = Some(entity);
        self
    }

    /// Holds record batches rather than any bytes.
    #[must_use]
    pub const fn records(mut self) -> Self {
        self.kind = Kind::Records;
        self
    }

    /// Gives the field its name and the type that Rust knows it by.
    #[must_use]
    pub const fn of<T: Wire>(mut self, name: &'static str) -> Self {
        self.name = name;
        if !matches!(self.kind, Kind::Records) {
            self.kind = T::KIND;
        }
        self
    }

    fn min_size(&self, version: Version) -> usize {
        match self.kind {
            // A null structure is a single byte.
            Kind::Struct(_) if self.nullable.contains(version.number) => 1,
            kind => kind.min_size(version),
        }
    }

    /// Whether this version has the field.
    #[must_use]
    pub const fn is_in(&self, version: Version) -> bool {
        self.versions.contains(version.number)
    }
}
