//! One connection: requests in, answers out, one after the other.

use std::io::{self, IoSlice, Write};
use std::net::TcpStream;

use bytes::Bytes;
use samsa::protocol::modern::messages::api_versions::ApiVersionsRequest;
use samsa::protocol::modern::messages::fetch::FetchRequest;
use samsa::protocol::modern::messages::find_coordinator::FindCoordinatorRequest;
use samsa::protocol::modern::messages::init_producer_id::InitProducerIdRequest;
use samsa::protocol::modern::messages::list_offsets::ListOffsetsRequest;
use samsa::protocol::modern::messages::metadata::MetadataRequest;
use samsa::protocol::modern::{ApiKey, Message, Reader, Request, header};

use crate::answers;
use crate::fetch::{self, Session};
use crate::produce::{self, Head};
use crate::skim::Skim;
use crate::world::World;

/// Kafka's own limit of a request.
const REQUEST_MAX: usize = 100 << 20;
const HEAD: usize = 8;
/// Slices handed to one system call.
const SLICES: usize = 1000;

/// Serves until either side closes.
pub fn run(stream: TcpStream, broker: i32, world: &World) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut skim = Skim::new(stream.try_clone()?);
    let mut connection = Connection { stream, session: Session::default(), broker };
    loop {
        connection.serve_one(&mut skim, world)?;
    }
}

struct Connection {
    stream: TcpStream,
    session: Session,
    /// Which broker was reached.
    broker: i32,
}

impl Connection {
    fn serve_one(&mut self, skim: &mut Skim, world: &World) -> io::Result<()> {
        let length = usize::try_from(skim.i32()?).map_err(io::Error::other)?;
        if !(HEAD..=REQUEST_MAX).contains(&length) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let api = ApiKey::try_from(skim.i16()?).map_err(io::Error::other)?;
        let head = Head { version: skim.i16()?, correlation: skim.i32()? };
        if api == ApiKey::Produce {
            let frame = produce::serve(skim, &head, world)?;
            return self.write(&frame, &[], world);
        }
        let body = skim.bytes(length - HEAD)?;
        let (frame, bases) = self.answer(api, &head, body, world)?;
        self.write(&frame, &bases, world)
    }

    fn answer(
        &mut self,
        api: ApiKey,
        head: &Head,
        body: Bytes,
        world: &World,
    ) -> io::Result<(Vec<Bytes>, Vec<i64>)> {
        let version = head.version;
        let frame = match api {
            ApiKey::ApiVersions if !ApiVersionsRequest::VERSIONS.contains(&version) => {
                let oldest = Head { version: 0, ..*head };
                encode::<ApiVersionsRequest>(&oldest, &answers::unsupported_api_versions())
            }
            ApiKey::ApiVersions => encode::<ApiVersionsRequest>(head, &answers::api_versions(0)),
            ApiKey::Metadata => {
                let request = decode::<MetadataRequest>(head, body)?;
                encode::<MetadataRequest>(head, &answers::metadata(request, version, world))
            }
            ApiKey::ListOffsets => {
                let request = decode::<ListOffsetsRequest>(head, body)?;
                encode::<ListOffsetsRequest>(head, &answers::list_offsets(request, world))
            }
            ApiKey::FindCoordinator => {
                let request = decode::<FindCoordinatorRequest>(head, body)?;
                let response = answers::find_coordinator(request, version, world);
                encode::<FindCoordinatorRequest>(head, &response)
            }
            ApiKey::InitProducerId => {
                let request = decode::<InitProducerIdRequest>(head, body)?;
                encode::<InitProducerIdRequest>(head, &answers::init_producer_id(&request, world))
            }
            ApiKey::Fetch => {
                let request = decode::<FetchRequest>(head, body)?;
                let answer = fetch::serve(request, &mut self.session, world);
                let frame = encode::<FetchRequest>(head, &answer.response)?;
                return Ok((frame, answer.bases));
            }
            other => Err(io::Error::other(format!("broker {} serves no {other}", self.broker))),
        };
        Ok((frame?, Vec::new()))
    }

    /// Writes a frame; the log's memory in it gets its offsets on the way.
    fn write(&mut self, frame: &[Bytes], bases: &[i64], world: &World) -> io::Result<()> {
        let log = &world.log;
        let mut patches = Vec::new();
        let mut shared = frame.iter().filter(|bytes| log.owns(bytes));
        for base in bases {
            let batches = shared.next().map_or(0, |bytes| bytes.len() / log.batch_bytes());
            patches.extend(log.bases(*base).take(batches).map(i64::to_be_bytes));
        }
        let mut patches = patches.iter();
        let mut slices = Vec::new();
        for bytes in frame {
            if !log.owns(bytes) {
                slices.push(IoSlice::new(bytes));
                continue;
            }
            for batch in bytes.chunks(log.batch_bytes()) {
                let Some(patch) = patches.next() else { return Err(io::ErrorKind::Other.into()) };
                slices.push(IoSlice::new(patch));
                slices.push(IoSlice::new(&batch[patch.len()..]));
            }
        }
        let mut left = &mut slices[..];
        while !left.is_empty() {
            let some = left.len().min(SLICES);
            let written = self.stream.write_vectored(&left[..some])?;
            IoSlice::advance_slices(&mut left, written);
        }
        Ok(())
    }
}

fn decode<R: Request>(head: &Head, body: Bytes) -> io::Result<R> {
    let mut reader = Reader::new(body);
    let read = |reader: &mut Reader| {
        if let Some(client_id) = reader.short_length()? {
            reader.bytes(client_id)?;
        }
        if head.version >= R::FLEXIBLE {
            reader.skip_tagged_fields()?;
        }
        R::decode(head.version, reader)
    };
    read(&mut reader).map_err(io::Error::other)
}

fn encode<R: Request>(head: &Head, response: &R::Response) -> io::Result<Vec<Bytes>>
where
    R::Response: Message,
{
    header::encode_response::<R>(head.version, head.correlation, response).map_err(io::Error::other)
}
