//! The cluster against scripted peers.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::*;
use crate::config::Address;
use crate::error::Code;
use crate::net::script::{Act, Peer};
use crate::protocol::modern::header::RequestHeader;
use crate::protocol::modern::messages::metadata::{
    MetadataRequest, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
    MetadataResponseTopic,
};
use crate::protocol::modern::{ApiKey, Message};

fn open(address: &str) -> Arc<Cluster> {
    let mut config = Config::new();
    config.set("bootstrap.servers", address).unwrap();
    Cluster::open(&config).unwrap()
}

fn within(ms: u64) -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(ms))
}

/// A peer whose answer to Metadata is made from the topics that are named and how often it was asked.
async fn metadata_peer(
    versions: &'static [(ApiKey, i16, i16)],
    answer: impl Fn(&[String], u32) -> MetadataResponse + Send + Sync + 'static,
) -> Peer {
    let asked = AtomicU32::new(0);
    Peer::start(move |header, reader| match header.api_key {
        ApiKey::ApiVersions if versions.is_empty() => Act::Close,
        ApiKey::ApiVersions => Act::table(header, versions),
        ApiKey::Fetch => Act::Close,
        _ => {
            // A broker without versions answers in the oldest, whatever it is asked.
            let version = if versions.is_empty() { 0 } else { header.version };
            let header = &RequestHeader { version, ..header.clone() };
            let request = MetadataRequest::decode(header.version, reader).expect("a request");
            let names: Vec<String> =
                request.topics.unwrap_or_default().into_iter().filter_map(|t| t.name).collect();
            let times = asked.fetch_add(1, Ordering::Relaxed);
            Act::respond::<MetadataRequest>(header, &answer(&names, times))
        }
    })
    .await
}

fn listed(id: i32, address: &Address) -> MetadataResponseBroker {
    let (host, port) = (address.host.clone(), i32::from(address.port));
    MetadataResponseBroker { node_id: id, host, port, ..MetadataResponseBroker::default() }
}

fn led_by(name: &str, leader_id: i32) -> MetadataResponseTopic {
    let partition = MetadataResponsePartition { leader_id, ..MetadataResponsePartition::default() };
    MetadataResponseTopic {
        name: Some(name.to_owned()),
        partitions: vec![partition],
        ..MetadataResponseTopic::default()
    }
}

const MODERN: &[(ApiKey, i16, i16)] = &[(ApiKey::ApiVersions, 0, 4), (ApiKey::Metadata, 0, 12)];

async fn eventually(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn rule_1_16_seeds_are_asked_again_when_no_learned_broker_can_be_reached() {
    let nowhere = Address::new("127.0.0.1", free_port());
    // First it names a broker that is not there; asked again, it names itself.
    let own = Arc::new(OnceLock::new());
    let (told, elsewhere) = (Arc::clone(&own), nowhere.clone());
    let peer = metadata_peer(MODERN, move |names, times| {
        let address = if times < 2 { &elsewhere } else { told.get().unwrap_or(&elsewhere) };
        MetadataResponse {
            brokers: vec![listed(1, address)],
            topics: names.iter().map(|name| led_by(name, 1)).collect(),
            ..MetadataResponse::default()
        }
    })
    .await;
    own.set(peer.address.clone()).unwrap();
    let cluster = open(&peer.address.to_string());
    eventually("the broker that is not there", || cluster.broker(1).is_some()).await;
    assert_eq!(cluster.broker(1).unwrap().address(), nowhere);
    cluster.refresh_now("a test");
    eventually("the new address", || {
        cluster.refresh_now("a test");
        cluster.broker(1).is_some_and(|broker| broker.address() == peer.address)
    })
    .await;
}

#[tokio::test]
async fn rule_1_13_a_broker_whose_address_changes_keeps_its_object() {
    let own = Arc::new(OnceLock::new());
    let told = Arc::clone(&own);
    let peer = metadata_peer(MODERN, move |_, times| {
        let own: &Address = told.get().expect("set before anybody asks");
        let host = if times < 2 { "127.0.0.1" } else { "localhost" };
        let address = Address::new(host, own.port);
        MetadataResponse { brokers: vec![listed(7, &address)], ..MetadataResponse::default() }
    })
    .await;
    own.set(peer.address.clone()).unwrap();
    let cluster = open(&peer.address.to_string());
    eventually("broker 7", || cluster.broker(7).is_some()).await;
    let broker = cluster.broker(7).unwrap();
    eventually("the move", || {
        cluster.refresh_now("a test");
        broker.address().host == "localhost"
    })
    .await;
    assert!(Arc::ptr_eq(&broker, &cluster.broker(7).unwrap()), "one produce connection at most");
}

#[tokio::test]
async fn a_fresh_0_8_knows_no_broker_until_a_first_topic_is_asked_for() {
    let own = Arc::new(OnceLock::new());
    let (told, created) = (Arc::clone(&own), AtomicBool::new(false));
    let peer = metadata_peer(&[], move |names, _| {
        if !created.load(Ordering::Relaxed) {
            created.store(!names.is_empty(), Ordering::Relaxed);
            let creating = |name: &String| MetadataResponseTopic {
                error_code: 5,
                name: Some(name.clone()),
                ..MetadataResponseTopic::default()
            };
            let topics = names.iter().map(creating).collect();
            return MetadataResponse { topics, ..MetadataResponse::default() };
        }
        MetadataResponse {
            brokers: told.get().map(|address| listed(0, address)).into_iter().collect(),
            topics: names.iter().map(|name| led_by(name, 0)).collect(),
            ..MetadataResponse::default()
        }
    })
    .await;
    own.set(peer.address.clone()).unwrap();
    let cluster = open(&peer.address.to_string());
    let contact = Arc::clone(&cluster);
    let wait = tokio::task::spawn_blocking(move || contact.wait_ready(within(10_000)));
    wait.await.unwrap().expect("an answer without brokers is a contact all the same");
    assert!(cluster.metadata().brokers.is_empty());
    let exact = NewTopic { partitions: Some(3), ..NewTopic::new("exact") };
    let refused = cluster.create_topic_async(&exact, within(10_000).unwrap()).await.unwrap_err();
    assert_eq!(refused.code(), Code::UNSUPPORTED_FEATURE, "the seed is asked: {refused}");
    let topic = cluster.topic("first").unwrap();
    let metadata = cluster.topic_metadata(&topic, within(10_000).unwrap()).await.unwrap();
    assert_eq!(metadata.partitions.len(), 1);
    assert!(cluster.broker(0).is_some());
}

#[tokio::test]
async fn rule_1_7_a_modern_broker_that_names_no_broker_is_no_contact() {
    let peer = metadata_peer(MODERN, |_, _| MetadataResponse::default()).await;
    let cluster = open(&peer.address.to_string());
    let address = peer.address.to_string();
    let wait = tokio::task::spawn_blocking(move || cluster.wait_ready(within(200)));
    let error = wait.await.unwrap().unwrap_err();
    assert_eq!(error.broker(), Some(address.as_str()));
    assert!(error.message().contains("it is starting"), "{error}");
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
