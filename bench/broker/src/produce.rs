//! Produce: read as far as the answer needs, the records are skipped.

use std::io;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use samsa::protocol::modern::messages::produce::{
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse,
};
use samsa::protocol::modern::{Message, Uuid, header};

use crate::skim::Skim;
use crate::world::World;

/// The first version with topic ids instead of names.
const FIRST_WITH_IDS: i16 = 13;
const FIRST_TRANSACTIONAL: i16 = 3;
/// Where the record count is in a batch, and where the records begin.
const COUNT_AT: usize = 57;
const BATCH_HEADER: usize = 61;

/// The request's head.
pub struct Head {
    pub version: i16,
    pub correlation: i32,
}

/// Reads a request behind its correlation id; gives the answer's frame, empty if none is wanted.
pub fn serve(skim: &mut Skim, head: &Head, world: &World) -> io::Result<Vec<Bytes>> {
    let mut body = Body { skim, flexible: head.version >= ProduceRequest::FLEXIBLE };
    let client_id = body.skim.i16()?;
    body.skim.skip(usize::try_from(client_id).unwrap_or(0))?;
    body.tags()?;
    if head.version >= FIRST_TRANSACTIONAL {
        body.text()?;
    }
    let acks = body.skim.i16()?;
    body.skim.i32()?;
    let mut response = ProduceResponse::default();
    let mut messages = 0;
    for _ in 0..body.count()? {
        let mut topic = TopicProduceResponse::default();
        let id = if head.version >= FIRST_WITH_IDS {
            topic.topic_id = Uuid(body.skim.array()?);
            topic.topic_id
        } else {
            let name = body.text()?;
            topic.name = String::from_utf8_lossy(&name).into_owned();
            world.topics().id(&topic.name)
        };
        for _ in 0..body.count()? {
            let index = body.skim.i32()?;
            let records = body.records()?;
            body.tags()?;
            messages += records;
            topic.partition_responses.push(PartitionProduceResponse {
                index,
                base_offset: world.topics().append(id, index, i64::from(records)),
                ..PartitionProduceResponse::default()
            });
        }
        body.tags()?;
        response.responses.push(topic);
    }
    body.tags()?;
    world.messages.fetch_add(u64::from(messages), Ordering::Relaxed);
    if acks == 0 {
        return Ok(Vec::new());
    }
    header::encode_response::<ProduceRequest>(head.version, head.correlation, &response)
        .map_err(io::Error::other)
}

struct Body<'a> {
    skim: &'a mut Skim,
    flexible: bool,
}

impl Body<'_> {
    fn length(&mut self) -> io::Result<usize> {
        let length = if self.flexible {
            i64::from(self.skim.unsigned_varint()?) - 1
        } else {
            i64::from(self.skim.i32()?)
        };
        Ok(usize::try_from(length).unwrap_or(0))
    }

    fn count(&mut self) -> io::Result<usize> {
        self.length()
    }

    fn text(&mut self) -> io::Result<Bytes> {
        let length = if self.flexible {
            self.length()?
        } else {
            usize::try_from(self.skim.i16()?).unwrap_or(0)
        };
        self.skim.bytes(length)
    }

    /// How many records the batch says it holds.
    fn records(&mut self) -> io::Result<u32> {
        let length = self.length()?;
        if length < BATCH_HEADER {
            self.skim.skip(length)?;
            return Ok(0);
        }
        let header: [u8; BATCH_HEADER] = self.skim.array()?;
        self.skim.skip(length - BATCH_HEADER)?;
        let count = header.last_chunk::<{ BATCH_HEADER - COUNT_AT }>();
        Ok(count.map_or(0, |count| u32::from_be_bytes(*count)))
    }

    fn tags(&mut self) -> io::Result<()> {
        if !self.flexible {
            return Ok(());
        }
        for _ in 0..self.skim.unsigned_varint()? {
            self.skim.unsigned_varint()?;
            let size = self.skim.unsigned_varint()?;
            self.skim.skip(size as usize)?;
        }
        Ok(())
    }
}
