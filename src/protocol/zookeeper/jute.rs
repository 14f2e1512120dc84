//! How each type looks in bytes; every read is checked against the bytes that are left.

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::{Code, Error, Result};
use crate::protocol::modern;

/// A position in a frame. Byte fields are slices of the frame, not copies; nothing is allocated on
/// the word of a length or a count.
#[derive(Clone, Debug)]
pub struct Reader(modern::Reader);

impl Reader {
    /// Starts at the first byte.
    #[must_use]
    pub fn new(frame: Bytes) -> Self {
        Self(modern::Reader::new(frame))
    }

    /// Reads one byte; anything but 0 is true.
    pub fn bool(&mut self) -> Result<bool> {
        self.0.bool()
    }

    /// Reads four bytes.
    pub fn int(&mut self) -> Result<i32> {
        self.0.i32()
    }

    /// Reads eight bytes.
    pub fn long(&mut self) -> Result<i64> {
        self.0.i64()
    }

    /// Reads a byte field; null is empty, as ZooKeeper's own clients make no difference on the way in.
    pub fn buffer(&mut self) -> Result<Bytes> {
        match self.0.long_length()? {
            Some(length) => self.0.bytes(length),
            None => Ok(Bytes::new()),
        }
    }

    /// Reads text. Null and bytes that are not UTF-8 are errors: a path that was mended would be
    /// another path.
    pub fn string(&mut self) -> Result<String> {
        let position = self.0.position();
        let wrong = |what| Error::new(Code::PROTOCOL, format!("byte {position}: {what}"));
        let length = self.0.long_length()?.ok_or_else(|| wrong("null where text is required"))?;
        let bytes = self.0.bytes(length)?;
        std::str::from_utf8(&bytes).map(str::to_owned).map_err(|_| wrong("text is not UTF-8"))
    }

    /// Reads a list of texts; null is empty.
    pub fn strings(&mut self) -> Result<Vec<String>> {
        self.list(Self::string)
    }

    /// Reads the names of nodes; null is no name. One without a letter is an error: millions of them fit
    /// into a frame, and each would take several times its place there.
    pub fn names(&mut self) -> Result<Vec<String>> {
        self.list(|reader| {
            let position = reader.0.position();
            let name = reader.string()?;
            if name.is_empty() {
                let text = format!("byte {position}: a node without a name");
                return Err(Error::new(Code::PROTOCOL, text));
            }
            Ok(name)
        })
    }

    fn list(&mut self, read: impl Fn(&mut Self) -> Result<String>) -> Result<Vec<String>> {
        let count = self.0.long_length()?.unwrap_or(0);
        // The length alone takes four bytes: a count that cannot be true allocates nothing, and one that
        // may be true no more than was read.
        self.0.check_count(count, 4)?;
        let mut list = Vec::new();
        for _ in 0..count {
            list.push(read(self)?);
        }
        Ok(list)
    }

    /// Takes what is left.
    pub fn rest(&mut self) -> Result<Bytes> {
        self.0.bytes(self.0.remaining())
    }

    /// Whether everything was read.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.0.remaining() == 0
    }

    /// Checks that everything was read.
    pub fn finish(&self) -> Result<()> {
        self.0.finish()
    }
}

/// Collects a frame.
#[derive(Clone, Debug, Default)]
pub struct Writer(BytesMut);

impl Writer {
    /// An empty frame.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes one byte, 1 or 0.
    pub fn bool(&mut self, value: bool) {
        self.0.put_u8(u8::from(value));
    }

    /// Writes four bytes.
    pub fn int(&mut self, value: i32) {
        self.0.put_i32(value);
    }

    /// Writes eight bytes.
    pub fn long(&mut self, value: i64) {
        self.0.put_i64(value);
    }

    /// Writes a byte field. `INVALID_ARGUMENT` if it is longer than a length can say.
    pub fn buffer(&mut self, bytes: &[u8]) -> Result<()> {
        self.count(bytes.len())?;
        self.0.put_slice(bytes);
        Ok(())
    }

    /// Writes bytes as they are, without a length.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.put_slice(bytes);
    }

    /// Writes text.
    pub fn string(&mut self, text: &str) -> Result<()> {
        self.buffer(text.as_bytes())
    }

    /// Writes a list of texts.
    pub fn strings(&mut self, list: &[String]) -> Result<()> {
        self.count(list.len())?;
        list.iter().try_for_each(|text| self.string(text))
    }

    /// Writes the number of bytes or elements that follow.
    pub fn count(&mut self, count: usize) -> Result<()> {
        let sent = i32::try_from(count).map_err(|_| {
            let text = format!("a field of {count} bytes or elements is too long");
            Error::new(Code::INVALID_ARGUMENT, text)
        })?;
        self.int(sent);
        Ok(())
    }

    /// The bytes.
    #[must_use]
    pub fn finish(self) -> Bytes {
        self.0.freeze()
    }
}
