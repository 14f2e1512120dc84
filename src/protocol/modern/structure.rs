//! The walks over a structure's fields that are the encoder, the decoder and the reflection.
//!
//! A definition (`define_structs!`) only lists its fields, once for reading and once for writing;
//! what is done with a field is written here, once for all structures.

use std::fmt::Debug;

use crate::error::{Code, Error, Result};

use super::schema::{Field, Schema};
use super::wire::{Version, Wire};
use super::{Reader, Writer};

/// A declared structure.
pub trait Structure: Clone + Debug + Default + PartialEq {
    /// What was declared.
    const SCHEMA: Schema;

    /// Shows every field, in order of declaration, with its value and a way to make its default.
    fn visit<V: Visitor>(&self, visitor: &mut V) -> Result<()>;

    /// Offers every field to be filled, in order of declaration.
    fn fill<F: Filler>(&mut self, filler: &mut F) -> Result<()>;
}

/// Sees the fields of a structure.
pub trait Visitor {
    /// Sees one field.
    fn field<T: Wire>(
        &mut self,
        field: &'static Field,
        value: &T,
        default: impl FnOnce() -> T,
    ) -> Result<()>;
}

/// Fills the fields of a structure.
pub trait Filler {
    /// Fills one field, or leaves it as it is.
    fn field<T: Wire>(&mut self, field: &'static Field, value: &mut T) -> Result<()>;
}

/// Sees a whole message as plain values: what reflection gives to logs, tools and tests.
pub trait Inspector {
    /// A null.
    fn null(&mut self);
    /// A boolean.
    fn boolean(&mut self, value: bool);
    /// An integer of any size.
    fn integer(&mut self, value: i64);
    /// An id.
    fn uuid(&mut self, value: super::Uuid);
    /// A string.
    fn text(&mut self, value: &str);
    /// Bytes or records.
    fn bytes(&mut self, value: &[u8]);
    /// The elements follow.
    fn begin_array(&mut self, count: usize);
    /// All elements were shown.
    fn end_array(&mut self);
    /// The fields follow.
    fn begin_struct(&mut self, name: &'static str);
    /// The value of a field follows, unless the answer is `false`.
    fn begin_field(&mut self, field: &'static Field) -> bool;
    /// All fields were shown.
    fn end_struct(&mut self);
}

pub(super) fn write<S: Structure>(value: &S, version: Version, w: &mut Writer) -> Result<()> {
    value.visit(&mut WriteFields { version, writer: w })?;
    if version.flexible {
        let mut tags = WriteTags { version, count: 0, fields: Writer::new() };
        value.visit(&mut tags)?;
        w.put_unsigned_varint(tags.count);
        w.put_writer(&tags.fields);
    }
    Ok(())
}

pub(super) fn read<S: Structure>(version: Version, r: &mut Reader) -> Result<S> {
    let mut value = S::default();
    value.fill(&mut ReadFields { version, reader: r })?;
    if version.flexible {
        for _ in 0..r.unsigned_varint()? {
            let tag = r.unsigned_varint()?;
            let size = usize::try_from(r.unsigned_varint()?).unwrap_or(usize::MAX);
            // A tag that we do not know is skipped by its size (rule 2.9).
            let mut reader = ReadTag { version, tag, reader: r.part(size)?, found: false };
            value.fill(&mut reader)?;
            if reader.found {
                reader.reader.finish()?;
            }
        }
    }
    Ok(value)
}

pub(super) fn inspect<S: Structure>(value: &S, to: &mut dyn Inspector) {
    to.begin_struct(S::SCHEMA.name);
    // Showing a field cannot fail.
    let _ = value.visit(&mut Inspect(to));
    to.end_struct();
}

/// Writes the fields that have a fixed place.
struct WriteFields<'a> {
    version: Version,
    writer: &'a mut Writer,
}

impl Visitor for WriteFields<'_> {
    #[inline]
    fn field<T: Wire>(
        &mut self,
        field: &'static Field,
        value: &T,
        default: impl FnOnce() -> T,
    ) -> Result<()> {
        if !field.is_in(self.version) {
            // Losing a value silently would change what the caller asked for (rule 2.8).
            let harmless = field.ignorable || *value == default();
            return if harmless { Ok(()) } else { Err(inexpressible(field, self.version)) };
        }
        if field.tag.is_some() {
            return Ok(());
        }
        check_null(field, value, self.version, Code::UNSUPPORTED_FEATURE)?;
        value.write(self.version, self.writer)
    }
}

/// Writes the tagged fields that are not the default.
struct WriteTags {
    version: Version,
    count: u32,
    fields: Writer,
}

impl Visitor for WriteTags {
    #[inline]
    fn field<T: Wire>(
        &mut self,
        field: &'static Field,
        value: &T,
        default: impl FnOnce() -> T,
    ) -> Result<()> {
        let Some(tag) = field.tag else { return Ok(()) };
        if !field.is_in(self.version) || *value == default() {
            return Ok(());
        }
        check_null(field, value, self.version, Code::UNSUPPORTED_FEATURE)?;
        let mut bytes = Writer::new();
        value.write(self.version, &mut bytes)?;
        let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.count += 1;
        self.fields.put_unsigned_varint(tag);
        self.fields.put_unsigned_varint(size);
        self.fields.put_writer(&bytes);
        Ok(())
    }
}

/// Reads the fields that have a fixed place; the others keep their default.
struct ReadFields<'a> {
    version: Version,
    reader: &'a mut Reader,
}

impl Filler for ReadFields<'_> {
    #[inline]
    fn field<T: Wire>(&mut self, field: &'static Field, value: &mut T) -> Result<()> {
        if field.tag.is_some() || !field.is_in(self.version) {
            return Ok(());
        }
        *value = T::read(self.version, self.reader).map_err(|e| in_field(field, e))?;
        check_null(field, value, self.version, Code::PROTOCOL)
    }
}

/// Reads the one field that has the tag, if there is one.
struct ReadTag {
    version: Version,
    tag: u32,
    reader: Reader,
    found: bool,
}

impl Filler for ReadTag {
    #[inline]
    fn field<T: Wire>(&mut self, field: &'static Field, value: &mut T) -> Result<()> {
        if field.tag != Some(self.tag) || !field.is_in(self.version) {
            return Ok(());
        }
        self.found = true;
        *value = T::read(self.version, &mut self.reader).map_err(|e| in_field(field, e))?;
        check_null(field, value, self.version, Code::PROTOCOL)
    }
}

struct Inspect<'a>(&'a mut dyn Inspector);

impl Visitor for Inspect<'_> {
    #[inline]
    fn field<T: Wire>(
        &mut self,
        field: &'static Field,
        value: &T,
        _: impl FnOnce() -> T,
    ) -> Result<()> {
        if self.0.begin_field(field) {
            value.inspect(self.0);
        }
        Ok(())
    }
}

fn check_null<T: Wire>(field: &Field, value: &T, version: Version, code: Code) -> Result<()> {
    if !value.is_null() || field.nullable.contains(version.number) {
        return Ok(());
    }
    let message = format!("field {} cannot be null at version {}", field.name, version.number);
    Err(Error::new(code, message))
}

#[cold]
fn inexpressible(field: &'static Field, version: Version) -> Error {
    let (name, versions) = (field.name, field.versions);
    let message =
        format!("field {name} exists in versions {versions}, not in version {}", version.number);
    Error::new(Code::UNSUPPORTED_FEATURE, message)
}

#[cold]
fn in_field(field: &'static Field, cause: Error) -> Error {
    Error::new(cause.code(), format!("field {}", field.name)).caused_by(cause)
}
