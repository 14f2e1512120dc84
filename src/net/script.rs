//! Scripted peers for tests: real TCP on loopback, each request answered by a closure.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::config::Address;
use crate::protocol::modern::messages::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse,
};
use crate::protocol::modern::{ApiKey, Reader, Request, header, header::RequestHeader};

/// What a peer does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Sends these bytes.
    Answer(Bytes),
    /// Sends these bytes and closes the connection.
    AnswerAndClose(Bytes),
    Silence,
    Close,
}

impl Act {
    pub(crate) fn respond<R: Request>(header: &RequestHeader, response: &R::Response) -> Self {
        let encoded = header::encode_response::<R>(header.version, header.correlation_id, response);
        Self::Answer(Bytes::from(encoded.expect("a response that encodes").concat()))
    }

    /// The answer to ApiVersions with these ranges.
    pub(crate) fn table(header: &RequestHeader, ranges: &[(ApiKey, i16, i16)]) -> Self {
        let entry = |(key, min_version, max_version): &(ApiKey, i16, i16)| ApiVersion {
            api_key: key.number(),
            min_version: *min_version,
            max_version: *max_version,
        };
        let api_keys = ranges.iter().map(entry).collect();
        let answer = ApiVersionsResponse { api_keys, ..Default::default() };
        Self::respond::<ApiVersionsRequest>(header, &answer)
    }
}

type Script = dyn Fn(&RequestHeader, &mut Reader) -> Act + Send + Sync;

/// A listening peer; dropping it closes its port and connections.
pub(crate) struct Peer {
    pub(crate) address: Address,
    seen: Arc<Mutex<Vec<(usize, ApiKey, i16)>>>,
    tasks: JoinSet<()>,
}

impl Peer {
    pub(crate) async fn start(
        script: impl Fn(&RequestHeader, &mut Reader) -> Act + Send + Sync + 'static,
    ) -> Self {
        Self::start_at(0, script).await
    }

    pub(crate) async fn start_at(
        port: u16,
        script: impl Fn(&RequestHeader, &mut Reader) -> Act + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a free port");
        let port = listener.local_addr().expect("a bound port").port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (script, log): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&seen));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            for number in 0.. {
                let Ok((stream, _)) = listener.accept().await else { break };
                connections.spawn(serve(stream, number, Arc::clone(&script), Arc::clone(&log)));
            }
        });
        Self { address: Address::new("127.0.0.1", port), seen, tasks }
    }

    /// Every request so far: number of the connection, API, version.
    pub(crate) fn seen(&self) -> Vec<(usize, ApiKey, i16)> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Closes the port and all connections, and waits until that is done.
    pub(crate) async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

async fn serve(
    mut stream: TcpStream,
    number: usize,
    script: Arc<Script>,
    seen: Arc<Mutex<Vec<(usize, ApiKey, i16)>>>,
) {
    while let Ok(length) = stream.read_i32().await {
        let mut frame = vec![0; usize::try_from(length).expect("a length")];
        if stream.read_exact(&mut frame).await.is_err() {
            return;
        }
        let mut reader = Reader::new(Bytes::from(frame));
        let header = RequestHeader::decode(&mut reader).expect("a header");
        let entry = (number, header.api_key, header.version);
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
        let (bytes, close) = match script(&header, &mut reader) {
            Act::Answer(bytes) => (bytes, false),
            Act::AnswerAndClose(bytes) => (bytes, true),
            Act::Silence => continue,
            Act::Close => (Bytes::new(), true),
        };
        if stream.write_all(&bytes).await.is_err() || close {
            return;
        }
    }
}
