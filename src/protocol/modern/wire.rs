//! How each type looks in bytes, in the old and in the flexible format (KIP-482).

use bytes::Bytes;

use crate::error::{Code, Error, Result};

use super::schema::Kind;
use super::structure::Inspector;
use super::{Reader, Uuid, Writer};

/// The version of a message, and whether its format is the flexible one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// The version's number.
    pub number: i16,
    /// Compact lengths, and tagged fields at the end of every structure.
    pub flexible: bool,
}

/// A type that a field can have.
pub trait Wire: Sized + PartialEq {
    /// The type's name in a schema.
    const KIND: Kind;

    /// Appends the value.
    fn write(&self, version: Version, w: &mut Writer) -> Result<()>;

    /// Takes a value off the front.
    fn read(version: Version, r: &mut Reader) -> Result<Self>;

    /// Whether this is the null of a nullable type.
    fn is_null(&self) -> bool {
        false
    }

    /// Shows the value to an inspector.
    fn inspect(&self, to: &mut dyn Inspector);
}

macro_rules! fixed_size {
    ($($type:ty: $kind:ident, $read:ident, $write:ident, $show:ident;)*) => {$(
        impl Wire for $type {
            const KIND: Kind = Kind::$kind;

            #[inline]
            fn write(&self, _: Version, w: &mut Writer) -> Result<()> {
                w.$write(*self);
                Ok(())
            }

            #[inline]
            fn read(_: Version, r: &mut Reader) -> Result<Self> {
                r.$read()
            }

            fn inspect(&self, to: &mut dyn Inspector) {
                to.$show((*self).into());
            }
        }
    )*};
}

fixed_size! {
    bool: Bool, bool, put_bool, boolean;
    i8: Int8, i8, put_i8, integer;
    i16: Int16, i16, put_i16, integer;
    i32: Int32, i32, put_i32, integer;
    i64: Int64, i64, put_i64, integer;
    Uuid: Uuid, uuid, put_uuid, uuid;
}

/// A type with a length in front, which can say null.
pub trait Nullable: Sized + PartialEq {
    /// The type's name in a schema.
    const KIND: Kind;

    /// Appends the value, or null.
    fn write_or_null(value: Option<&Self>, version: Version, w: &mut Writer) -> Result<()>;

    /// Takes a value, or null, off the front.
    fn read_or_null(version: Version, r: &mut Reader) -> Result<Option<Self>>;

    /// Shows the value to an inspector.
    fn inspect(&self, to: &mut dyn Inspector);
}

impl<T: Nullable> Wire for Option<T> {
    const KIND: Kind = T::KIND;

    fn write(&self, version: Version, w: &mut Writer) -> Result<()> {
        T::write_or_null(self.as_ref(), version, w)
    }

    fn read(version: Version, r: &mut Reader) -> Result<Self> {
        T::read_or_null(version, r)
    }

    fn is_null(&self) -> bool {
        self.is_none()
    }

    fn inspect(&self, to: &mut dyn Inspector) {
        match self {
            Some(value) => value.inspect(to),
            None => to.null(),
        }
    }
}

// `impl<T: Nullable> Wire for T` would overlap with the numbers: three lines of forwarding each.
macro_rules! never_null {
    ($([$($generic:tt)*] $type:ty;)*) => {$(
        impl<$($generic)*> Wire for $type {
            const KIND: Kind = <Self as Nullable>::KIND;

            fn write(&self, version: Version, w: &mut Writer) -> Result<()> {
                Self::write_or_null(Some(self), version, w)
            }

            fn read(version: Version, r: &mut Reader) -> Result<Self> {
                Self::read_or_null(version, r)?.ok_or_else(|| unexpected_null(r))
            }

            fn inspect(&self, to: &mut dyn Inspector) {
                Nullable::inspect(self, to);
            }
        }
    )*};
}

never_null! {
    [] String;
    [] Bytes;
    [T: Wire] Vec<T>;
}

impl Nullable for String {
    const KIND: Kind = Kind::String;

    fn write_or_null(value: Option<&Self>, version: Version, w: &mut Writer) -> Result<()> {
        if version.flexible {
            write_compact_length(value.map(String::len), w)?;
        } else {
            let length = value.map_or(Ok(-1), |text| i16::try_from(text.len()));
            w.put_i16(length.map_err(|_| too_long("a string", value.map_or(0, String::len)))?);
        }
        w.put_slice(value.map_or(&[], |text| text.as_bytes()));
        Ok(())
    }

    fn read_or_null(version: Version, r: &mut Reader) -> Result<Option<Self>> {
        let length = if version.flexible { r.compact_length()? } else { r.short_length()? };
        length.map(|length| r.text(length)).transpose()
    }

    fn inspect(&self, to: &mut dyn Inspector) {
        to.text(self);
    }
}

impl Nullable for Bytes {
    const KIND: Kind = Kind::Bytes;

    fn write_or_null(value: Option<&Self>, version: Version, w: &mut Writer) -> Result<()> {
        write_length(value.map(Bytes::len), version, w)?;
        if let Some(bytes) = value {
            w.put_shared(bytes.clone());
        }
        Ok(())
    }

    fn read_or_null(version: Version, r: &mut Reader) -> Result<Option<Self>> {
        let length = read_length(version, r)?;
        length.map(|length| r.bytes(length)).transpose()
    }

    fn inspect(&self, to: &mut dyn Inspector) {
        to.bytes(self);
    }
}

impl<T: Wire> Nullable for Vec<T> {
    const KIND: Kind = Kind::Array(&T::KIND);

    fn write_or_null(value: Option<&Self>, version: Version, w: &mut Writer) -> Result<()> {
        write_length(value.map(Vec::len), version, w)?;
        value.into_iter().flatten().try_for_each(|element| element.write(version, w))
    }

    fn read_or_null(version: Version, r: &mut Reader) -> Result<Option<Self>> {
        let Some(count) = read_length(version, r)? else { return Ok(None) };
        let smallest = T::KIND.min_size(version);
        r.check_count(count, smallest)?;
        // `check_count` refused what cannot be there, so this is bounded by the frame.
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(T::read(version, r)?);
        }
        Ok(Some(elements))
    }

    fn inspect(&self, to: &mut dyn Inspector) {
        to.begin_array(self.len());
        self.iter().for_each(|element| element.inspect(to));
        to.end_array();
    }
}

fn read_length(version: Version, r: &mut Reader) -> Result<Option<usize>> {
    if version.flexible { r.compact_length() } else { r.long_length() }
}

fn write_length(length: Option<usize>, version: Version, w: &mut Writer) -> Result<()> {
    if version.flexible {
        return write_compact_length(length, w);
    }
    let sent = length.map_or(Ok(-1), i32::try_from);
    w.put_i32(sent.map_err(|_| too_long("a field", length.unwrap_or(0)))?);
    Ok(())
}

fn write_compact_length(length: Option<usize>, w: &mut Writer) -> Result<()> {
    // Java reads the varint as an int: no more than 2³¹ − 1 after one was added.
    let sent = length.map_or(Ok(0), |length| i32::try_from(length.saturating_add(1)));
    let sent = sent.map_err(|_| too_long("a field", length.unwrap_or(0)))?;
    w.put_unsigned_varint(sent.unsigned_abs());
    Ok(())
}

#[cold]
fn too_long(what: &str, length: usize) -> Error {
    Error::new(Code::INVALID_ARGUMENT, format!("{what} of {length} bytes or elements is too long"))
}

#[cold]
fn unexpected_null(r: &Reader) -> Error {
    let position = r.position();
    Error::new(Code::PROTOCOL, format!("before byte {position}: null where a value is required"))
}
