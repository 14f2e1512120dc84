//! Our codec against the `kafka-protocol` crate: what one encodes the other decodes, in every
//! version that the crate has (Kafka 4.1's, so nothing that 4.0 removed).

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Decodable, Encodable, Message};

mod reflection;
use reflection::codec;
use reflection::generate::generate;

struct Peer {
    name: &'static str,
    first: i16,
    last: i16,
    /// Decodes and encodes again.
    recode: fn(i16, Bytes) -> Result<Bytes, String>,
}

fn peer<M: Message + Decodable + Encodable>(name: &'static str) -> Peer {
    Peer {
        name,
        first: M::VERSIONS.min,
        last: M::VERSIONS.max,
        recode: |version, mut bytes| {
            let message = M::decode(&mut bytes, version).map_err(|e| e.to_string())?;
            if !bytes.is_empty() {
                return Err(format!("{} bytes left over", bytes.len()));
            }
            let mut out = BytesMut::new();
            message.encode(&mut out, version).map_err(|e| e.to_string())?;
            Ok(out.freeze())
        },
    }
}

macro_rules! peers {
    ($($name:ident),* $(,)?) => {
        [$(peer::<theirs::$name>(stringify!($name))),*]
    };
}

#[test]
fn what_we_encode_they_decode_and_what_they_encode_we_decode() {
    let peers = peers![
        ProduceRequest,
        ProduceResponse,
        FetchRequest,
        FetchResponse,
        ListOffsetsRequest,
        ListOffsetsResponse,
        MetadataRequest,
        MetadataResponse,
        FindCoordinatorRequest,
        FindCoordinatorResponse,
        ApiVersionsRequest,
        ApiVersionsResponse,
        CreateTopicsRequest,
        CreateTopicsResponse,
        DeleteTopicsRequest,
        DeleteTopicsResponse,
        InitProducerIdRequest,
        InitProducerIdResponse,
        OffsetForLeaderEpochRequest,
        OffsetForLeaderEpochResponse,
        OffsetCommitRequest,
        OffsetCommitResponse,
        OffsetFetchRequest,
        OffsetFetchResponse,
        JoinGroupRequest,
        JoinGroupResponse,
        HeartbeatRequest,
        HeartbeatResponse,
        LeaveGroupRequest,
        LeaveGroupResponse,
        SyncGroupRequest,
        SyncGroupResponse,
        DescribeGroupsRequest,
        DescribeGroupsResponse,
        ListGroupsRequest,
        ListGroupsResponse,
        DeleteGroupsRequest,
        DeleteGroupsResponse,
        OffsetDeleteRequest,
        OffsetDeleteResponse,
        ConsumerGroupHeartbeatRequest,
        ConsumerGroupHeartbeatResponse,
        ConsumerGroupDescribeRequest,
        ConsumerGroupDescribeResponse,
    ];
    for peer in peers {
        let codec = codec(peer.name);
        for version in peer.first.max(codec.first)..=peer.last.min(codec.last) {
            for seed in 0..50_u8 {
                let tape: Vec<u8> = (0..400_u16).map(|i| noise(seed, i)).collect();
                let generated = Bytes::from(generate(&codec, version, &tape, false).bytes);
                let at = format!("{} version {version}, seed {seed}", peer.name);
                let ours = (codec.recode)(version, generated, version);
                let ours = Bytes::from(ours.unwrap_or_else(|e| panic!("{at}: we: {e}")));
                let them = (peer.recode)(version, ours.clone());
                let them = them.unwrap_or_else(|e| panic!("{at}: they: {e}"));
                let json = |bytes: &Bytes| (codec.json)(version, bytes.clone()).expect("decodes");
                assert_eq!(json(&them), json(&ours), "{at}");
                assert_eq!(them, ours, "{at}");
            }
        }
    }
}

/// Evenly spread, and the same in every run.
fn noise(seed: u8, i: u16) -> u8 {
    let mixed = (u32::from(seed) << 16 | u32::from(i)).wrapping_mul(0x9e37_79b1);
    (mixed ^ (mixed >> 15)).wrapping_mul(0x85eb_ca77).to_be_bytes()[0]
}
