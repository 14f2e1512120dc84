//! Negotiation against scripted peers over an in-memory stream.

use std::sync::Arc;
use std::time::Duration;

use super::super::duplex::Duplex;
use super::*;
use crate::protocol::modern::messages::api_versions::ApiVersion;
use crate::protocol::modern::messages::fetch::FetchResponse;
use crate::protocol::modern::messages::metadata::{
    MetadataResponse, MetadataResponseBroker, MetadataResponseTopic,
};
use crate::protocol::modern::{Reader, header::RequestHeader};

/// What a scripted peer does with a request it knows by key and version.
enum Act {
    Answer(Vec<Bytes>),
    Silence,
    Close,
}

/// Runs one negotiation; gives the verdict and the requests the peer saw, as (key, version).
async fn talk(
    opening: Opening,
    script: impl Fn(ApiKey, i16, i32) -> Act + Send + 'static,
) -> (Result<Verdict>, Vec<(ApiKey, i16)>) {
    let (near, far) = Duplex::pair();
    let (wire, driver) = Wire::new(Arc::from("h:1"), Arc::new(near), 1 << 20);
    tokio::spawn(driver);
    let peer = tokio::spawn(async move {
        let mut seen = Vec::new();
        while let Ok(length) = far.take_exact(4).await {
            let length = i32::from_be_bytes(length.try_into().unwrap());
            let Ok(frame) = far.take_exact(usize::try_from(length).unwrap()).await else { break };
            let header = RequestHeader::decode(&mut Reader::new(Bytes::from(frame))).unwrap();
            seen.push((header.api_key, header.version));
            match script(header.api_key, header.version, header.correlation_id) {
                Act::Answer(segments) => far.push(&segments.concat()),
                Act::Silence => {}
                Act::Close => break,
            }
        }
        seen
    });
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut negotiation = Negotiation { wire: &wire, client_id: "c", deadline, correlation: 1 };
    let verdict = negotiation.run(opening).await;
    wire.end(Error::bare(Code::CLOSED), true);
    (verdict, peer.await.unwrap())
}

fn table(version: i16, correlation: i32) -> Act {
    let api =
        |key: ApiKey, most| ApiVersion { api_key: key.number(), min_version: 0, max_version: most };
    let api_keys = vec![api(ApiKey::ApiVersions, version), api(ApiKey::Produce, 8)];
    let answer = ApiVersionsResponse { api_keys, ..Default::default() };
    Act::Answer(
        header::encode_response::<ApiVersionsRequest>(version, correlation, &answer).unwrap(),
    )
}

/// Error 35 in version 0, with the broker's own range if it is 2.4 or newer.
fn refusal(own: Option<i16>, correlation: i32) -> Act {
    let entry = |max_version| ApiVersion { api_key: 18, min_version: 0, max_version };
    let api_keys = own.map(entry).into_iter().collect();
    let answer = ApiVersionsResponse { error_code: 35, api_keys, ..Default::default() };
    Act::Answer(header::encode_response::<ApiVersionsRequest>(0, correlation, &answer).unwrap())
}

fn metadata(version: i16, correlation: i32) -> Act {
    let answer = MetadataResponse { brokers: vec![listed(0)], ..MetadataResponse::default() };
    Act::Answer(header::encode_response::<MetadataRequest>(version, correlation, &answer).unwrap())
}

fn listed(node_id: i32) -> MetadataResponseBroker {
    let (host, port) = ("127.0.0.1".to_owned(), 9092);
    MetadataResponseBroker { node_id, host, port, ..MetadataResponseBroker::default() }
}

fn fetched(version: i16, correlation: i32) -> Act {
    let answer = FetchResponse::default();
    Act::Answer(header::encode_response::<FetchRequest>(version, correlation, &answer).unwrap())
}

#[tokio::test]
async fn an_unknown_modern_broker_shows_that_it_reads_versions_and_is_asked() {
    let (verdict, seen) = talk(Opening::Discover(3), |key, version, id| match key {
        ApiKey::ApiVersions => table(version, id),
        _ => metadata(version, id),
    })
    .await;
    let Ok(Verdict::Ready(versions, memory)) = verdict else { panic!("{verdict:?}") };
    assert_eq!(versions.range(ApiKey::Produce), Some((0, 8)));
    assert_eq!(memory, Memory::Modern(3));
    assert_eq!(seen, [(ApiKey::Metadata, 1), (ApiKey::ApiVersions, 3)]);
}

#[tokio::test]
async fn a_known_modern_broker_is_ready_in_one_round_trip() {
    let (verdict, seen) = talk(Opening::Ask(3), |_, version, id| table(version, id)).await;
    assert!(matches!(verdict, Ok(Verdict::Ready(..))));
    assert_eq!(seen, [(ApiKey::ApiVersions, 3)]);
}

#[tokio::test]
async fn kafka_0_9_is_recognised_by_its_answer_and_never_sent_api_versions() {
    let (verdict, seen) = talk(Opening::Discover(3), |key, version, id| match key {
        ApiKey::ApiVersions => Act::Silence,
        ApiKey::Fetch => fetched(version, id),
        _ => metadata(0, id),
    })
    .await;
    let Ok(Verdict::Ready(versions, Memory::Old(Old::V0_9))) = verdict else {
        panic!("{verdict:?}")
    };
    assert_eq!((versions.release(), versions.range(ApiKey::Produce)), ("0.9", Some((0, 1))));
    assert_eq!(seen, [(ApiKey::Metadata, 1), (ApiKey::Fetch, 1)]);
}

#[tokio::test]
async fn kafka_0_8_is_recognised_by_its_answer_and_never_made_to_close() {
    let (verdict, seen) = talk(Opening::Discover(3), |key, _, id| match key {
        ApiKey::ApiVersions => Act::Close,
        ApiKey::Fetch => fetched(0, id),
        _ => metadata(0, id),
    })
    .await;
    assert!(matches!(verdict, Ok(Verdict::Ready(_, Memory::Old(Old::V0_8)))), "{verdict:?}");
    assert_eq!(seen, [(ApiKey::Metadata, 1), (ApiKey::Fetch, 1)]);
    let (verdict, seen) = talk(Opening::Nothing(Old::V0_8), |_, _, _| Act::Close).await;
    assert!(matches!(verdict, Ok(Verdict::Ready(..))) && seen.is_empty(), "then nothing is asked");
}

#[tokio::test]
async fn rule_2_4_an_address_that_was_modern_and_closes_is_discovered_anew() {
    let (verdict, _) = talk(Opening::Ask(3), |_, _, _| Act::Close).await;
    assert!(matches!(verdict, Ok(Verdict::Again(Opening::Discover(0)))), "{verdict:?}");
}

/// The bytes that real brokers sent to Metadata v1 with an empty list, and made-up ones.
#[test]
fn the_layout_of_the_answer_tells_who_reads_versions() {
    let fresh_0_8: &[u8] = &[0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0];
    let real_0_9 = [
        &[0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 9][..],
        b"127.0.0.1",
        &[0, 0, 0x84, 0xc9, 0, 0, 0, 0],
    ]
    .concat();
    for old in [fresh_0_8, &real_0_9] {
        assert_eq!(generation(&Bytes::copy_from_slice(old)).unwrap(), Generation::Old);
    }
    let topic = |name: &str| MetadataResponseTopic {
        name: Some(name.to_owned()),
        ..MetadataResponseTopic::default()
    };
    for brokers in 0..20 {
        let brokers: Vec<_> = (0..brokers).map(listed).collect();
        for rack in [None, Some(String::new()), Some("r".to_owned())] {
            let brokers =
                brokers.iter().cloned().map(|b| MetadataResponseBroker { rack: rack.clone(), ..b });
            let answer = MetadataResponse { brokers: brokers.collect(), ..Default::default() };
            let frame = encoded(1, &answer);
            assert_eq!(generation(&frame).unwrap(), Generation::Modern, "{answer:?}");
        }
        for topics in 0..20 {
            let topics = (0..topics).map(|i| topic(&"t".repeat(i))).collect();
            let answer =
                MetadataResponse { brokers: brokers.clone(), topics, ..Default::default() };
            assert_eq!(generation(&encoded(0, &answer)).unwrap(), Generation::Old, "{answer:?}");
        }
    }
    let nonsense = generation(&Bytes::from_static(&[0, 0, 0, 7, 0xff, 1, 2])).unwrap_err();
    assert_eq!(nonsense.code(), Code::PROTOCOL);
}

fn encoded(version: i16, answer: &MetadataResponse) -> Bytes {
    let frame = header::encode_response::<MetadataRequest>(version, 7, answer).unwrap();
    Bytes::from(frame.concat()).slice(4..)
}

#[tokio::test]
async fn rule_2_10_a_reset_on_a_version_too_new_leads_to_a_lower_one() {
    let like_event_hubs = |key: ApiKey, version: i16, id: i32| match (key, version) {
        (ApiKey::ApiVersions, 0) => table(0, id),
        (ApiKey::ApiVersions, _) => Act::Close,
        _ => metadata(version, id),
    };
    for first in [Opening::Ask(3), Opening::Discover(3)] {
        let (verdict, _) = talk(first, like_event_hubs).await;
        let Ok(Verdict::Again(next)) = verdict else { panic!("{verdict:?}") };
        let (verdict, _) = talk(next, like_event_hubs).await;
        let Ok(Verdict::Ready(_, memory)) = verdict else { panic!("{verdict:?}") };
        assert_eq!(memory, Memory::Modern(0), "and the next connection begins there");
    }
}

#[tokio::test]
async fn rule_2_2_error_35_leads_to_a_strictly_lower_version_on_the_same_connection() {
    for (own, second) in [(None, 0), (Some(2), 2), (Some(1), 1), (Some(9), 2), (Some(-7), 0)] {
        let (verdict, seen) = talk(Opening::Discover(3), move |key, version, id| match key {
            ApiKey::ApiVersions if version == 3 => refusal(own, id),
            ApiKey::ApiVersions => table(version, id),
            _ => metadata(version, id),
        })
        .await;
        assert!(matches!(verdict, Ok(Verdict::Ready(..))), "{own:?}: {verdict:?}");
        assert_eq!(seen.last(), Some(&(ApiKey::ApiVersions, second)), "{own:?}");
    }
}

#[tokio::test]
async fn rule_2_2_a_broker_that_always_answers_35_does_not_loop_us() {
    let (verdict, seen) = talk(Opening::Ask(3), |_, _, id| refusal(Some(3), id)).await;
    assert_eq!(verdict.unwrap_err().code(), Code::UNSUPPORTED_VERSION);
    assert_eq!(seen.len(), 4, "3, 2, 1, 0");
}

#[test]
fn rule_2_2_the_list_of_a_refusal_is_never_taken_for_the_table() {
    let own = ApiVersion { api_key: 18, min_version: 0, max_version: 3 };
    let refusal = ApiVersionsResponse { error_code: 35, api_keys: vec![own], ..Default::default() };
    assert_eq!(conclude(&refusal, 4).unwrap(), Conclusion::Lower(3));
    assert!(conclude(&refusal, 0).is_err());
    let empty = ApiVersionsResponse::default();
    assert_eq!(conclude(&empty, 3).unwrap_err().code(), Code::PROTOCOL);
}
