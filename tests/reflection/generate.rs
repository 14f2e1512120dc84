//! Valid bytes of any message, made from its schema alone: an encoder of its own, so that the real
//! one is not its own witness. It notes where lengths are, so that tests can lie about them.

use std::ops::Range;

use samsa::protocol::modern::Version;
use samsa::protocol::modern::schema::{Field, Kind, Schema};

use super::Codec;

/// How a length is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// Two bytes, −1 is null.
    Short,
    /// Four bytes, −1 is null.
    Long,
    /// An unsigned varint of the length plus one, 0 is null.
    Compact,
    /// An unsigned varint as it is: the count of tagged fields, or the size of one.
    Varint,
}

/// A valid message and where its lengths are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Generated {
    pub(crate) bytes: Vec<u8>,
    pub(crate) lengths: Vec<(Range<usize>, Length)>,
}

/// Makes a message; every choice takes a number off the tape, and an empty tape gives zeros, so
/// that a shorter tape is a simpler message.
pub(crate) fn generate(codec: &Codec, version: i16, tape: &[u8], unknown_tags: bool) -> Generated {
    let mut generator = Generator {
        version: codec.version(version),
        tape: tape.iter(),
        unknown_tags,
        out: Generated::default(),
    };
    generator.structure(codec.schema.fields);
    generator.out
}

struct Generator<'a> {
    version: Version,
    tape: std::slice::Iter<'a, u8>,
    unknown_tags: bool,
    out: Generated,
}

impl Generator<'_> {
    fn choice(&mut self) -> u8 {
        self.tape.next().copied().unwrap_or(0)
    }

    fn random<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.choice())
    }

    fn structure(&mut self, schema: &'static [Field]) {
        let version = self.version;
        for field in schema.iter().filter(|f| f.tag.is_none() && f.is_in(version)) {
            self.field(field);
        }
        if self.version.flexible {
            self.tagged_fields(schema);
        }
    }

    fn field(&mut self, field: &'static Field) {
        let nullable = field.nullable.contains(self.version.number);
        let null = nullable && self.choice() % 4 == 3;
        match field.kind {
            Kind::Array(_) | Kind::String | Kind::Bytes | Kind::Records if null => {
                self.length(None, matches!(field.kind, Kind::String));
            }
            Kind::Struct(_) if null => self.out.bytes.push(0xff),
            Kind::Struct(_) if nullable => {
                self.out.bytes.push(1);
                self.value(&field.kind);
            }
            kind => self.value(&kind),
        }
    }

    fn value(&mut self, kind: &Kind) {
        match kind {
            Kind::Bool => {
                let value = self.choice() % 2;
                self.out.bytes.push(value);
            }
            Kind::Int8 => self.fixed::<1>(),
            Kind::Int16 => self.fixed::<2>(),
            Kind::Int32 => self.fixed::<4>(),
            Kind::Int64 => self.fixed::<8>(),
            Kind::Uuid => self.fixed::<16>(),
            Kind::String => {
                let length = usize::from(self.choice() % 8);
                self.length(Some(length), true);
                for _ in 0..length {
                    let letter = b'a' + self.choice() % 26;
                    self.out.bytes.push(letter);
                }
            }
            Kind::Bytes | Kind::Records => {
                // Sometimes long enough to be a segment of its own.
                let length = usize::from(self.choice()) * 4;
                self.length(Some(length), false);
                let fill = self.choice();
                self.out.bytes.extend(std::iter::repeat_n(fill, length));
            }
            Kind::Array(element) => {
                let count = usize::from(self.choice() % 4);
                self.length(Some(count), false);
                (0..count).for_each(|_| self.value(element));
            }
            Kind::Struct(schema) => self.structure(schema.fields),
        }
    }

    fn fixed<const N: usize>(&mut self) {
        let bytes = self.random::<N>();
        self.out.bytes.extend(bytes);
    }

    fn length(&mut self, length: Option<usize>, short: bool) {
        let start = self.out.bytes.len();
        let how = match (self.version.flexible, short) {
            (true, _) => Length::Compact,
            (false, true) => Length::Short,
            (false, false) => Length::Long,
        };
        let bytes = encode_length(how, length.map_or(-1, |length| i64::try_from(length).unwrap()));
        self.out.bytes.extend(bytes);
        self.out.lengths.push((start..self.out.bytes.len(), how));
    }

    fn tagged_fields(&mut self, fields: &'static [Field]) {
        let version = self.version;
        let mut sent = Vec::new();
        for field in fields.iter().filter(|f| f.tag.is_some() && f.is_in(version)) {
            if self.choice() % 2 == 1 {
                sent.push((field.tag.unwrap(), Some(field)));
            }
        }
        if self.unknown_tags && self.choice() % 2 == 1 {
            sent.push((1000 + u32::from(self.choice()), None));
        }
        self.varint(sent.len());
        for (tag, field) in sent {
            self.out.bytes.extend(unsigned_varint(tag));
            self.tagged_field(field);
        }
    }

    fn tagged_field(&mut self, field: Option<&'static Field>) {
        let mut inner = Generator {
            version: self.version,
            tape: self.tape.clone(),
            unknown_tags: self.unknown_tags,
            out: Generated::default(),
        };
        match field {
            Some(field) => inner.tagged_value(field),
            None => inner.fixed::<3>(),
        }
        self.tape = inner.tape;
        self.varint(inner.out.bytes.len());
        let start = self.out.bytes.len();
        let moved = |(at, how): (Range<usize>, Length)| (at.start + start..at.end + start, how);
        self.out.lengths.extend(inner.out.lengths.into_iter().map(moved));
        self.out.bytes.extend(inner.out.bytes);
    }

    /// A tagged field is never sent with its default: the first byte of what is inside makes sure.
    fn tagged_value(&mut self, field: &'static Field) {
        match field.kind {
            Kind::Bool => self.out.bytes.push(1),
            Kind::Array(element) => {
                self.length(Some(1), false);
                self.value(element);
            }
            Kind::String => {
                self.length(Some(1), true);
                self.out.bytes.push(b'x');
            }
            Kind::Struct(schema) => self.not_default(schema),
            kind => {
                let at = self.out.bytes.len();
                self.value(&kind);
                // Neither −1, nor 0, nor the highest number.
                self.out.bytes[at] = 0x55;
            }
        }
    }

    fn not_default(&mut self, schema: &'static Schema) {
        let at = self.out.bytes.len();
        self.structure(schema.fields);
        // The tagged structures begin with a number whose default is −1.
        self.out.bytes[at] = 0x55;
    }

    fn varint(&mut self, value: usize) {
        let start = self.out.bytes.len();
        self.out.bytes.extend(unsigned_varint(u32::try_from(value).unwrap()));
        self.out.lengths.push((start..self.out.bytes.len(), Length::Varint));
    }
}

/// A length as it would be sent, cut to the width of its format.
pub(crate) fn encode_length(how: Length, length: i64) -> Vec<u8> {
    match how {
        Length::Short => (length as i16).to_be_bytes().to_vec(),
        Length::Long => (length as i32).to_be_bytes().to_vec(),
        Length::Compact => unsigned_varint((length as u32).wrapping_add(1)),
        Length::Varint => unsigned_varint(length as u32),
    }
}

fn unsigned_varint(mut value: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}
