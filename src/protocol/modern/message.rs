//! Requests and responses.

use std::ops::RangeInclusive;

use crate::error::{Code, Error, Result};

use super::structure::{self, Inspector, Structure};
use super::wire::{Nullable, Version, Wire};
use super::{ApiKey, Reader, Writer};

impl<S: Structure> Wire for S {
    const KIND: super::schema::Kind = super::schema::Kind::Struct(&S::SCHEMA);

    fn write(&self, version: Version, w: &mut Writer) -> Result<()> {
        structure::write(self, version, w)
    }

    fn read(version: Version, r: &mut Reader) -> Result<Self> {
        structure::read(version, r)
    }

    fn inspect(&self, to: &mut dyn Inspector) {
        structure::inspect(self, to);
    }
}

/// Nullable structures have a byte in front: below 0 for null.
impl<S: Structure> Nullable for S {
    const KIND: super::schema::Kind = <S as Wire>::KIND;

    fn write_or_null(value: Option<&Self>, version: Version, w: &mut Writer) -> Result<()> {
        w.put_i8(if value.is_some() { 1 } else { -1 });
        value.map_or(Ok(()), |value| structure::write(value, version, w))
    }

    fn read_or_null(version: Version, r: &mut Reader) -> Result<Option<Self>> {
        if r.i8()? < 0 {
            return Ok(None);
        }
        structure::read(version, r).map(Some)
    }

    fn inspect(&self, to: &mut dyn Inspector) {
        structure::inspect(self, to);
    }
}

/// A request or a response, in all versions that any broker from 0.8.2 to 4.3 speaks.
///
/// One structure holds the fields of all versions. Fields that a version lacks keep their default
/// when decoded; a value other than the default in such a field makes [`Message::encode`] fail,
/// unless Kafka's own definition calls its loss harmless (rule 2.8).
pub trait Message: Structure {
    /// The API that this message belongs to.
    const KEY: ApiKey;
    /// All versions known.
    const VERSIONS: RangeInclusive<i16>;
    /// The first version in the flexible format; `i16::MAX` if there is none.
    const FLEXIBLE: i16;

    /// Appends the message, without any header.
    ///
    /// # Errors
    /// [`Code::UNSUPPORTED_FEATURE`] if the version cannot express a field, or is unknown;
    /// [`Code::INVALID_ARGUMENT`] if a string, array or byte field is too long for its length.
    fn encode(&self, version: i16, w: &mut Writer) -> Result<()> {
        let written = known::<Self>(version).and_then(|version| self.write(version, w));
        written.map_err(|cause| in_message::<Self>("encode", version, cause))
    }

    /// Takes the message, without any header, off the front.
    ///
    /// # Errors
    /// [`Code::PROTOCOL`] if the bytes are not this message;
    /// [`Code::UNSUPPORTED_FEATURE`] if the version is unknown.
    fn decode(version: i16, r: &mut Reader) -> Result<Self> {
        let read = known::<Self>(version).and_then(|version| Self::read(version, r));
        read.map_err(|cause| in_message::<Self>("decode", version, cause))
    }
}

/// A request, which knows its response.
pub trait Request: Message {
    /// What the broker answers.
    type Response: Message;
}

fn known<M: Message>(version: i16) -> Result<Version> {
    if M::VERSIONS.contains(&version) {
        return Ok(Version { number: version, flexible: version >= M::FLEXIBLE });
    }
    let (first, last) = (M::VERSIONS.start(), M::VERSIONS.end());
    let message = format!("only versions {first} to {last} are known");
    Err(Error::new(Code::UNSUPPORTED_FEATURE, message))
}

#[cold]
fn in_message<M: Message>(act: &str, version: i16, cause: Error) -> Error {
    let message = format!("cannot {act} {} version {version}", M::SCHEMA.name);
    Error::new(cause.code(), message).caused_by(cause)
}
