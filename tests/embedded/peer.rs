//! A plain socket that speaks one request at a time.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::Bytes;
use samsa::embedded::Cluster;
use samsa::protocol::modern::Request;
use samsa::protocol::modern::header::{decode_response, encode_request};
use samsa::protocol::modern::messages::fetch::{
    FetchPartition, FetchRequest, FetchTopic, PartitionData,
};
use samsa::protocol::modern::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsTopic,
};
use samsa::protocol::modern::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse,
};
use samsa::protocol::modern::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, TopicProduceData,
};
use samsa::protocol::record::{BatchBuilder, Compression, Format, NewRecord, SealedBatch};

/// Longer than anything takes; a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough to see that nothing comes.
const MOMENT: Duration = Duration::from_millis(60);

pub(crate) fn soon() -> Instant {
    Instant::now() + PATIENCE
}

pub(crate) struct Peer {
    stream: TcpStream,
    correlation: i32,
}

impl Peer {
    pub(crate) fn of(cluster: &Cluster, broker: i32) -> Self {
        Self::connect(cluster.broker_address(broker).unwrap())
    }

    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, correlation: 100 }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Says that nothing more comes; answers may still.
    pub(crate) fn finish(&mut self) {
        // The broker may have closed already.
        let _ended = self.stream.shutdown(Shutdown::Write);
    }

    pub(crate) fn send<R: Request>(&mut self, version: i16, request: &R) -> i32 {
        self.correlation += 1;
        let frame = encode_request(version, self.correlation, "peer", request).unwrap();
        self.write(&frame.concat());
        self.correlation
    }

    pub(crate) fn frame(&mut self) -> Bytes {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).unwrap();
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
        self.stream.read_exact(&mut frame).unwrap();
        frame.into()
    }

    pub(crate) fn receive<R: Request>(&mut self, version: i16, correlation: i32) -> R::Response {
        let (got, response) = decode_response::<R>(version, self.frame()).unwrap();
        assert_eq!(got, correlation, "answers come in the order of the requests");
        response
    }

    pub(crate) fn ask<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        let correlation = self.send(version, request);
        self.receive::<R>(version, correlation)
    }

    /// Whether the broker closed the connection, and what it sent before.
    pub(crate) fn last_bytes(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.stream.read_to_end(&mut bytes) {
            Ok(_) => bytes,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => bytes,
            Err(error) => panic!("the connection is still open: {error}"),
        }
    }

    pub(crate) fn is_closed_without_a_byte(&mut self) -> bool {
        self.last_bytes().is_empty()
    }

    /// Whether nothing comes for a moment and the connection stays open.
    pub(crate) fn is_silent(&mut self) -> bool {
        self.stream.set_read_timeout(Some(MOMENT)).unwrap();
        let read = self.stream.read(&mut [0]);
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        matches!(read, Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }

    pub(crate) fn metadata(&mut self, topics: &[&str]) -> MetadataResponse {
        let named = |name: &&str| MetadataRequestTopic {
            name: Some((*name).to_owned()),
            ..Default::default()
        };
        let topics = Some(topics.iter().map(named).collect());
        self.ask(9, &MetadataRequest { topics, ..Default::default() })
    }

    pub(crate) fn produce(&mut self, topic: &str, records: Bytes) -> PartitionProduceResponse {
        let request = produce_request(topic, 0, records, -1);
        let mut response = self.ask(9, &request);
        response.responses.remove(0).partition_responses.remove(0)
    }

    pub(crate) fn fetch(&mut self, topic: &str, offset: i64) -> PartitionData {
        only(self.ask(11, &fetch_request(topic, offset)))
    }

    pub(crate) fn offset(
        &mut self,
        version: i16,
        topic: &str,
        when: i64,
    ) -> ListOffsetsPartitionResponse {
        let partition = ListOffsetsPartition { timestamp: when, ..Default::default() };
        let topic = ListOffsetsTopic { name: topic.to_owned(), partitions: vec![partition] };
        let request =
            ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
        self.ask(version, &request).topics.remove(0).partitions.remove(0)
    }
}

pub(crate) fn only(
    mut response: samsa::protocol::modern::messages::fetch::FetchResponse,
) -> PartitionData {
    assert_eq!(response.error_code, 0);
    response.responses.remove(0).partitions.remove(0)
}

pub(crate) fn produce_request(
    topic: &str,
    index: i32,
    records: Bytes,
    acks: i16,
) -> ProduceRequest {
    let data = PartitionProduceData { index, records: Some(records) };
    let topic = TopicProduceData {
        name: topic.to_owned(),
        partition_data: vec![data],
        ..Default::default()
    };
    ProduceRequest { acks, timeout_ms: 1_000, topic_data: vec![topic], ..Default::default() }
}

/// A fetch of partition 0 that does not wait.
pub(crate) fn fetch_request(topic: &str, offset: i64) -> FetchRequest {
    let partition =
        FetchPartition { fetch_offset: offset, partition_max_bytes: 1 << 20, ..Default::default() };
    let topic =
        FetchTopic { topic: topic.to_owned(), partitions: vec![partition], ..Default::default() };
    FetchRequest { min_bytes: 1, topics: vec![topic], ..Default::default() }
}

/// A batch of records with these values and the timestamps 1,000, 1,001, …
pub(crate) fn batch_in(format: Format, codec: Compression, values: &[&str]) -> SealedBatch {
    let mut builder = BatchBuilder::new(format, codec, None, 1_024).unwrap();
    for (timestamp, value) in (1_000..).zip(values) {
        let value = Some(value.as_bytes());
        builder.append(&NewRecord { timestamp, key: None, value, headers: &() }).unwrap();
    }
    builder.seal().unwrap()
}

pub(crate) fn batch(values: &[&str]) -> Bytes {
    batch_in(Format::V2, Compression::None, values).bytes
}

/// The values in partition 0 of a topic, with their offsets.
pub(crate) fn stored(cluster: &Cluster, topic: &str) -> Vec<(i64, String)> {
    let text = |value: Option<Bytes>| String::from_utf8(value.unwrap().to_vec()).unwrap();
    let records = cluster.records(topic, 0).unwrap();
    records.into_iter().map(|r| (r.offset, text(r.value))).collect()
}

pub(crate) fn one_topic() -> Cluster {
    let cluster = Cluster::start(1).unwrap();
    cluster.create_topic("t", 1).unwrap();
    cluster
}
