//! Old brokers, as section by section real ones were seen to behave.

use samsa::embedded::{Cluster, Options, Release};
use samsa::protocol::modern::ApiKey;
use samsa::protocol::modern::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use samsa::protocol::modern::messages::metadata::MetadataRequest;

use crate::peer::{Peer, batch, fetch_request, produce_request};

fn playing(release: Release) -> Cluster {
    let cluster = Cluster::start_with(Options { release, ..Options::default() }).unwrap();
    cluster.create_topic("t", 1).unwrap();
    cluster
}

fn named() -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: "peer".to_owned(),
        client_software_version: "1".to_owned(),
    }
}

fn all_topics() -> MetadataRequest {
    MetadataRequest::default()
}

fn range(response: &ApiVersionsResponse, api: ApiKey) -> Option<(i16, i16)> {
    let row = response.api_keys.iter().find(|row| row.api_key == i16::from(api))?;
    Some((row.min_version, row.max_version))
}

#[test]
fn kafka_0_8_closes_on_api_versions_without_a_byte() {
    let cluster = playing(Release::V0_8_2);
    for version in [0, 3] {
        let mut peer = Peer::of(&cluster, 0);
        peer.send(version, &named());
        assert!(peer.is_closed_without_a_byte(), "version {version}");
    }
    let mut peer = Peer::of(&cluster, 0);
    assert_eq!(peer.ask(0, &all_topics()).topics.len(), 1);
    peer.send(1, &fetch_request("t", 0));
    assert!(peer.is_closed_without_a_byte(), "Fetch 1 came with 0.9");
}

#[test]
fn kafka_0_9_is_silent_on_api_versions_and_answers_what_is_pipelined_behind() {
    let cluster = playing(Release::V0_9_0);
    let mut peer = Peer::of(&cluster, 0);
    peer.send(3, &named());
    assert!(peer.is_silent());
    peer.send(0, &named());
    let correlation = peer.send(0, &all_topics());
    assert_eq!(peer.receive::<MetadataRequest>(0, correlation).topics.len(), 1);
}

#[test]
fn kafka_0_8_and_0_9_answer_any_metadata_version_as_version_0() {
    for release in [Release::V0_8_2, Release::V0_9_0] {
        let cluster = playing(release);
        let mut peer = Peer::of(&cluster, 0);
        let correlation = peer.send(5, &all_topics());
        let answer = peer.receive::<MetadataRequest>(0, correlation);
        assert_eq!(answer.brokers.len(), 1);
    }
}

#[test]
fn kafka_0_10_answers_a_newer_api_versions_with_error_35_and_an_empty_list() {
    let cluster = playing(Release::V0_10_0);
    let mut peer = Peer::of(&cluster, 0);
    let correlation = peer.send(3, &named());
    let mut expected = correlation.to_be_bytes().to_vec();
    expected.extend_from_slice(&[0, 35, 0, 0, 0, 0]);
    assert_eq!(peer.frame(), expected, "ten bytes in the layout of version 0");
    let answer = peer.ask(0, &named());
    assert_eq!(range(&answer, ApiKey::Produce), Some((0, 2)));
    assert_eq!(range(&answer, ApiKey::InitProducerId), None);
}

#[test]
fn rule_2_2_newer_brokers_name_their_own_versions_with_error_35() {
    let cluster = playing(Release::V2_8);
    let mut peer = Peer::of(&cluster, 0);
    let correlation = peer.send(4, &named());
    let mut expected = correlation.to_be_bytes().to_vec();
    expected.extend_from_slice(&[0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 3]);
    assert_eq!(peer.frame(), expected);
    assert_eq!(range(&peer.ask(3, &named()), ApiKey::Fetch), Some((0, 12)));
}

#[test]
fn rule_2_6_kafka_4_advertises_produce_0_and_closes_on_it() {
    let cluster = playing(Release::V4_3);
    let mut peer = Peer::of(&cluster, 0);
    assert_eq!(range(&peer.ask(3, &named()), ApiKey::Produce), Some((0, 13)));
    peer.send(2, &produce_request("t", 0, batch(&["x"]), 1));
    assert!(peer.is_closed_without_a_byte());
}

#[test]
fn a_nameless_client_is_refused_with_error_42() {
    let cluster = playing(Release::Newest);
    let answer = Peer::of(&cluster, 0).ask(3, &ApiVersionsRequest::default());
    assert_eq!(answer.error_code, 42);
}

#[test]
fn a_version_that_was_taken_away_is_neither_advertised_nor_answered() {
    let cluster = Cluster::start(2).unwrap();
    cluster.create_topic("t", 1).unwrap();
    cluster.limit_versions(Some(0), ApiKey::Fetch, 4, 8).unwrap();
    cluster.limit_versions(Some(0), ApiKey::InitProducerId, 1, 0).unwrap();
    let mut peer = Peer::of(&cluster, 0);
    let answer = peer.ask(3, &named());
    assert_eq!(range(&answer, ApiKey::Fetch), Some((4, 8)));
    assert_eq!(range(&answer, ApiKey::InitProducerId), None);
    peer.send(9, &fetch_request("t", 0));
    assert!(peer.is_closed_without_a_byte());
    let other = Peer::of(&cluster, 1).ask(3, &named());
    assert_eq!(range(&other, ApiKey::Fetch), Some((0, 18)), "brokers differ");
}
