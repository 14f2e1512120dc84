//! The five requests, as they are written and as a broker reads them.

use super::fields::{Fields, malformed};
use crate::error::{Code, Error, Result};

/// The partition of a [`Produce`] that leaves the choice to the broker.
pub const RANDOM_PARTITION: i32 = -1;
/// The time of an [`Offsets`] request that asks for the end of the log.
pub const LATEST: i64 = -1;
/// The time of an [`Offsets`] request that asks for the first offset.
pub const EARLIEST: i64 = -2;

/// The `int16` behind a frame's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i16)]
pub enum RequestId {
    /// One message set for one partition; never answered.
    Produce = 0,
    /// Bytes of one partition's log.
    Fetch = 1,
    /// Several fetches, answered in one frame.
    MultiFetch = 2,
    /// Several produces; never answered.
    MultiProduce = 3,
    /// Offsets before a time.
    Offsets = 4,
}

impl RequestId {
    /// Every request, in the order of its number.
    pub const ALL: [Self; 5] =
        [Self::Produce, Self::Fetch, Self::MultiFetch, Self::MultiProduce, Self::Offsets];

    /// The request of a number, or none: a broker closes the connection over it.
    #[must_use]
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|id| *id as i16 == number)
    }

    /// Whether the broker answers. What it does not answer has no place in the line of answers.
    #[must_use]
    pub fn is_answered(self) -> bool {
        !matches!(self, Self::Produce | Self::MultiProduce)
    }
}

/// A message set for a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Produce<'a> {
    /// The topic; created by the broker if it has none of this name.
    pub topic: &'a str,
    /// The partition, or [`RANDOM_PARTITION`].
    pub partition: i32,
    /// Messages as [`append_message`](super::append_message) writes them.
    pub set: &'a [u8],
}

/// A question for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetch<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The byte position to read from.
    pub offset: i64,
    /// How many bytes the answer may have. The last message may be cut by it.
    pub max_size: i32,
}

/// A question for offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offsets<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// Milliseconds since 1970, [`LATEST`] or [`EARLIEST`].
    pub time: i64,
    /// How many offsets the answer may have, newest first.
    pub max_number: i32,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Request 0.
    Produce(Produce<'a>),
    /// Request 1.
    Fetch(Fetch<'a>),
    /// Request 2.
    MultiFetch(Vec<Fetch<'a>>),
    /// Request 3.
    MultiProduce(Vec<Produce<'a>>),
    /// Request 4.
    Offsets(Offsets<'a>),
}

impl<'a> Request<'a> {
    /// Which of the five it is.
    #[must_use]
    pub fn id(&self) -> RequestId {
        match self {
            Self::Produce(_) => RequestId::Produce,
            Self::Fetch(_) => RequestId::Fetch,
            Self::MultiFetch(_) => RequestId::MultiFetch,
            Self::MultiProduce(_) => RequestId::MultiProduce,
            Self::Offsets(_) => RequestId::Offsets,
        }
    }

    /// Appends the request to `out`, size field first.
    ///
    /// # Errors
    /// INVALID_ARGUMENT if a length does not fit into its field; `out` is then as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        let begin = out.len();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&(self.id() as i16).to_be_bytes());
        let written = self.encode_body(out).and_then(|()| length(out.len() - begin - 4));
        match written {
            Ok(size) => out[begin..begin + 4].copy_from_slice(&size.to_be_bytes()),
            Err(_) => out.truncate(begin),
        }
        written.map(drop)
    }

    fn encode_body(&self, out: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Produce(produce) => produce.encode(out),
            Self::Fetch(fetch) => fetch.encode(out),
            Self::MultiFetch(fetches) => {
                append_count(out, fetches.len())?;
                fetches.iter().try_for_each(|fetch| fetch.encode(out))
            }
            Self::MultiProduce(produces) => {
                append_count(out, produces.len())?;
                produces.iter().try_for_each(|produce| produce.encode(out))
            }
            Self::Offsets(offsets) => {
                append_place(out, offsets.topic, offsets.partition)?;
                out.extend_from_slice(&offsets.time.to_be_bytes());
                out.extend_from_slice(&offsets.max_number.to_be_bytes());
                Ok(())
            }
        }
    }

    /// Reads a request out of its frame, without the size field. Bytes behind the last field are
    /// ignored, as brokers do; topics are not looked at but for being text.
    ///
    /// # Errors
    /// PROTOCOL where a broker closes the connection: an unknown number, a cut body, a negative
    /// count or length, a topic that is null or not UTF-8.
    pub fn decode(frame: &'a [u8]) -> Result<Self> {
        let mut fields = Fields::new(frame);
        let number = fields.i16()?;
        let Some(id) = RequestId::from_number(number) else {
            return Err(malformed(format!("{number} is no request of Kafka 0.7")));
        };
        Ok(match id {
            RequestId::Produce => Self::Produce(Produce::decode(&mut fields)?),
            RequestId::Fetch => Self::Fetch(Fetch::decode(&mut fields)?),
            RequestId::MultiFetch => Self::MultiFetch(list(&mut fields, Fetch::decode)?),
            RequestId::MultiProduce => Self::MultiProduce(list(&mut fields, Produce::decode)?),
            RequestId::Offsets => Self::Offsets(Offsets {
                topic: fields.text()?,
                partition: fields.i32()?,
                time: fields.i64()?,
                max_number: fields.i32()?,
            }),
        })
    }
}

impl<'a> Produce<'a> {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        append_place(out, self.topic, self.partition)?;
        out.extend_from_slice(&length(self.set.len())?.to_be_bytes());
        out.extend_from_slice(self.set);
        Ok(())
    }

    fn decode(fields: &mut Fields<'a>) -> Result<Self> {
        let (topic, partition) = (fields.text()?, fields.i32()?);
        let size = fields.i32()?;
        Ok(Self { topic, partition, set: fields.bytes(size)? })
    }
}

impl<'a> Fetch<'a> {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        append_place(out, self.topic, self.partition)?;
        out.extend_from_slice(&self.offset.to_be_bytes());
        out.extend_from_slice(&self.max_size.to_be_bytes());
        Ok(())
    }

    fn decode(fields: &mut Fields<'a>) -> Result<Self> {
        Ok(Self {
            topic: fields.text()?,
            partition: fields.i32()?,
            offset: fields.i64()?,
            max_size: fields.i32()?,
        })
    }
}

/// The front of a [`Produce`] whose set of so many bytes follows it, so that the set need not be copied.
///
/// # Errors
/// INVALID_ARGUMENT if a length does not fit into its field.
pub fn produce_head(topic: &str, partition: i32, set: usize) -> Result<Vec<u8>> {
    let mut head = vec![0; 4];
    head.extend_from_slice(&(RequestId::Produce as i16).to_be_bytes());
    append_place(&mut head, topic, partition)?;
    head.extend_from_slice(&length(set)?.to_be_bytes());
    let size = length(head.len() - 4 + set)?;
    if let Some(field) = head.first_chunk_mut() {
        *field = size.to_be_bytes();
    }
    Ok(head)
}

/// A counted list. The count is not believed: the list grows with what is really there.
fn list<'a, T>(
    fields: &mut Fields<'a>,
    one: impl Fn(&mut Fields<'a>) -> Result<T>,
) -> Result<Vec<T>> {
    let count = fields.i16()?;
    if count < 0 {
        return Err(malformed(format!("a list of {count}")));
    }
    (0..count).map(|_| one(fields)).collect()
}

fn append_place(out: &mut Vec<u8>, topic: &str, partition: i32) -> Result<()> {
    let Ok(length) = i16::try_from(topic.len()) else {
        let text = format!("a topic's name of {} bytes: 32767 are the most", topic.len());
        return Err(Error::new(Code::INVALID_ARGUMENT, text));
    };
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(topic.as_bytes());
    out.extend_from_slice(&partition.to_be_bytes());
    Ok(())
}

fn append_count(out: &mut Vec<u8>, count: usize) -> Result<()> {
    let Ok(count) = i16::try_from(count) else {
        let text = format!("{count} partitions in one request: 32767 are the most");
        return Err(Error::new(Code::INVALID_ARGUMENT, text));
    };
    out.extend_from_slice(&count.to_be_bytes());
    Ok(())
}

fn length(bytes: usize) -> Result<i32> {
    i32::try_from(bytes).map_err(|_| {
        Error::new(Code::INVALID_ARGUMENT, format!("{bytes} bytes do not fit into one request"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_does_not_fit_leaves_the_buffer_as_it_was() {
        let topic = "t".repeat(32_768);
        let fetch = Fetch { topic: &topic, partition: 0, offset: 0, max_size: 1 };
        let mut out = b"before".to_vec();
        let error = Request::Fetch(fetch).encode(&mut out).expect_err("too long");
        assert_eq!((error.code(), &out[..]), (Code::INVALID_ARGUMENT, &b"before"[..]));
    }

    #[test]
    fn a_produce_in_two_parts_is_the_same_as_in_one() {
        let produce = Produce { topic: "töpic", partition: -1, set: b"\0\0\0\x06\x01\0\0\0\0\0" };
        let mut whole = Vec::new();
        Request::Produce(produce).encode(&mut whole).expect("short");
        let head =
            produce_head(produce.topic, produce.partition, produce.set.len()).expect("short");
        assert_eq!([&head[..], produce.set].concat(), whole);
    }

    #[test]
    fn a_count_is_believed_only_as_far_as_there_are_bytes() {
        for (frame, why) in [
            (&[0, 2, 0x7f, 0xff][..], "32767 fetches in no bytes"),
            (&[0, 2, 0xff, 0xff], "a negative count"),
            (&[0, 3, 0, 1, 0, 1, b't', 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff], "a set of 2 GiB"),
        ] {
            assert_eq!(Request::decode(frame).expect_err(why).code(), Code::PROTOCOL, "{why}");
        }
    }
}
