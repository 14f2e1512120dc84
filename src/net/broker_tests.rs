//! Brokers against scripted peers on loopback.

use super::super::script::{Act, Peer};
use super::super::{Backoff, Settings};
use super::*;
use crate::log::{Entry, Logger, Sink};
use crate::protocol::modern::messages::fetch::{FetchRequest, FetchResponse};
use crate::protocol::modern::messages::metadata::{MetadataRequest, MetadataResponse};
use crate::protocol::modern::{ApiKey, Reader, header::RequestHeader};
use crate::runtime::Runtime;

const MS: Duration = Duration::from_millis(1);

fn network() -> Arc<Network> {
    network_with(|_| {})
}

fn network_with(change: impl FnOnce(&mut Settings)) -> Arc<Network> {
    let mut settings = Settings {
        client_id: Arc::from("test"),
        request_timeout: 10_000 * MS,
        reconnect: Backoff { first: 5 * MS, most: 20 * MS },
        setup: Backoff { first: 10_000 * MS, most: 30_000 * MS },
        max_idle: None,
        max_frame: 1 << 20,
    };
    change(&mut settings);
    Network::new(settings, Runtime::get(None).expect("I/O threads"), Logger::none())
}

fn broker(address: &Address, network: &Arc<Network>) -> Arc<Broker> {
    Broker::new(1, address.clone(), None, Arc::clone(network))
}

fn soon() -> Instant {
    Instant::now() + 10_000 * MS
}

/// A broker of today: ApiVersions 0 to 4, Metadata 0 to 12.
fn modern(header: &RequestHeader, _: &mut Reader) -> Act {
    match header.api_key {
        ApiKey::ApiVersions => {
            Act::table(header, &[(ApiKey::ApiVersions, 0, 4), (ApiKey::Metadata, 0, 12)])
        }
        _ => Act::respond::<MetadataRequest>(header, &MetadataResponse::default()),
    }
}

fn like_0_8(header: &RequestHeader, reader: &mut Reader) -> Act {
    match header.api_key {
        ApiKey::ApiVersions => Act::Close,
        _ => old(header, reader, 0),
    }
}

fn like_0_9(header: &RequestHeader, reader: &mut Reader) -> Act {
    match header.api_key {
        ApiKey::ApiVersions => Act::Silence,
        _ => old(header, reader, 1),
    }
}

/// Metadata is always answered in version 0, Fetch at most in this one.
fn old(header: &RequestHeader, _: &mut Reader, fetch: i16) -> Act {
    if header.api_key == ApiKey::Fetch {
        let header = RequestHeader { version: header.version.min(fetch), ..header.clone() };
        return Act::respond::<FetchRequest>(&header, &FetchResponse::default());
    }
    let header = RequestHeader { version: 0, ..header.clone() };
    Act::respond::<MetadataRequest>(&header, &MetadataResponse::default())
}

async fn ask(broker: &Arc<Broker>, purpose: Purpose) -> Result<MetadataResponse> {
    broker.request(purpose, &MetadataRequest::default(), soon()).await
}

async fn release(broker: &Arc<Broker>, purpose: Purpose) -> String {
    let connection = broker.connection(purpose, soon()).await.expect("a connection");
    connection.versions().release().to_owned()
}

#[tokio::test]
async fn rule_1_18_each_purpose_has_a_connection_of_its_own_and_shares_it() {
    let peer = Peer::start(modern).await;
    let broker = broker(&peer.address, &network());
    let (a, b, c) = tokio::join!(
        ask(&broker, Purpose::Control),
        ask(&broker, Purpose::Control),
        ask(&broker, Purpose::Fetch)
    );
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    let connections: std::collections::BTreeSet<usize> =
        peer.seen().iter().map(|(connection, ..)| *connection).collect();
    assert_eq!(connections.len(), 2, "{:?}", peer.seen());
}

#[tokio::test]
async fn an_address_is_discovered_once() {
    let peer = Peer::start(modern).await;
    let network = network();
    let broker = broker(&peer.address, &network);
    for purpose in Purpose::ALL {
        broker.connection(purpose, soon()).await.unwrap();
    }
    let probes = peer.seen().iter().filter(|(_, key, _)| *key == ApiKey::Metadata).count();
    assert_eq!(probes, 1, "{:?}", peer.seen());
}

#[tokio::test]
async fn brokers_0_8_and_0_9_are_recognised_without_waiting_and_remembered() {
    let started = Instant::now();
    let network = network();
    let (old, older) = (Peer::start(like_0_9).await, Peer::start(like_0_8).await);
    for (peer, expected) in [(&old, "0.9"), (&older, "0.8")] {
        let broker = broker(&peer.address, &network);
        for purpose in Purpose::ALL {
            assert_eq!(release(&broker, purpose).await, expected);
        }
        ask(&broker, Purpose::Control).await.unwrap();
    }
    assert!(started.elapsed() < 5_000 * MS, "no time-out was waited for");
    let asked =
        |peer: &Peer| peer.seen().iter().filter(|(_, key, _)| *key == ApiKey::ApiVersions).count();
    assert_eq!((asked(&old), asked(&older)), (0, 0), "they were never asked what hurts them");
}

#[tokio::test]
async fn rule_2_4_versions_belong_to_a_connection_and_are_asked_anew() {
    let peer = Peer::start(like_0_8).await;
    let address = peer.address.clone();
    let broker = broker(&address, &network());
    assert_eq!(release(&broker, Purpose::Control).await, "0.8");
    peer.stop().await;
    let _peer = Peer::start_at(address.port, modern).await;
    let mut newest = String::new();
    for _ in 0..100 {
        if ask(&broker, Purpose::Control).await.is_ok() {
            newest = release(&broker, Purpose::Control).await;
            if newest != "0.8" {
                return;
            }
        }
        if let Some(open) = broker.open_connection(Purpose::Control) {
            open.wire().end(Error::bare(Code::DISCONNECTED), false);
        }
    }
    panic!("still {newest}");
}

#[tokio::test]
async fn rule_13_5_the_back_off_is_reset_by_a_ready_connection_not_by_tcp() {
    let silent = Peer::start(|_, _| Act::Close).await;
    let broker = broker(&silent.address, &network());
    for failures in 1..=3 {
        assert!(broker.connection(Purpose::Control, soon()).await.is_err());
        assert_eq!(broker.lock().failures, failures, "TCP was accepted each time");
    }
    let peer = Peer::start(modern).await;
    broker.set_address(peer.address.clone(), None);
    broker.connection(Purpose::Control, soon()).await.unwrap();
    let state = broker.lock();
    assert_eq!((state.failures, state.not_before), (0, None));
}

#[tokio::test]
async fn rule_13_6_the_set_up_time_covers_negotiation_and_grows() {
    let peer = Peer::start(|_, _| Act::Silence).await;
    let network = network_with(|settings| {
        settings.setup = Backoff { first: 50 * MS, most: 1_000 * MS };
    });
    let broker = broker(&peer.address, &network);
    let error = broker.connection(Purpose::Control, soon()).await.unwrap_err();
    assert_eq!(error.code(), Code::CONNECTION_FAILED);
    let message = error.message();
    assert!(message.contains("did not answer Metadata"), "{message}");
    assert!(message.contains(&peer.address.to_string()), "{message}");
    assert!(broker.setup_time(0) < broker.setup_time(2));
}

#[tokio::test]
async fn rule_1_20_and_13_11_a_connection_found_dead_is_replaced_at_once() {
    let peer = Peer::start(modern).await;
    let broker = broker(&peer.address, &network());
    let connection = broker.connection(Purpose::Control, soon()).await.unwrap();
    connection.wire().end(Error::new(Code::DISCONNECTED, "gone"), false);
    let error = connection.request(&MetadataRequest::default(), soon()).await.unwrap_err();
    assert!(is_stale_connection(&error), "{error}");
    ask(&broker, Purpose::Control).await.unwrap();
}

#[tokio::test]
async fn rule_13_11_an_idle_close_is_quiet_and_the_connection_reopens() {
    let peer = Peer::start(modern).await;
    let network = network_with(|settings| settings.max_idle = Some(10 * MS));
    let broker = broker(&peer.address, &network);
    let connection = broker.connection(Purpose::Control, soon()).await.unwrap();
    connection.request(&MetadataRequest::default(), soon()).await.unwrap();
    let mut turns = 0;
    while connection.is_open() {
        tokio::time::sleep(MS).await;
        turns += 1;
        assert!(turns < 5_000, "the connection never closes");
    }
    ask(&broker, Purpose::Control).await.unwrap();
    assert!(broker.trouble().is_none() && broker.lock().not_before.is_none());
}

#[tokio::test]
async fn the_error_of_a_closed_port_names_broker_and_cause() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let broker = broker(&Address::new("127.0.0.1", port), &network());
    let error = broker.connection(Purpose::Control, soon()).await.unwrap_err();
    assert_eq!(error.code(), Code::CONNECTION_FAILED);
    assert_eq!(error.broker(), Some(format!("127.0.0.1:{port}").as_str()));
    assert!(error.message().contains("refused"), "{error}");
    assert_eq!(broker.trouble().unwrap().message(), error.message());
}

#[tokio::test]
async fn garbage_and_a_close_in_mid_frame_are_errors_that_say_so() {
    let garbage = Act::AnswerAndClose(bytes::Bytes::from_static(b"HTTP/1.1 400 Bad Request\r\n"));
    let half = Act::AnswerAndClose(bytes::Bytes::from_static(&[0, 0, 0, 99, 0, 0, 0, 1]));
    for (act, code, words) in [
        (garbage, Code::FRAME_TOO_LARGE, "HTTP"),
        (half, Code::CONNECTION_FAILED, "in the middle of a frame"),
    ] {
        let peer = Peer::start(move |_, _| act.clone()).await;
        let broker = broker(&peer.address, &network());
        let error = broker.connection(Purpose::Control, soon()).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.message().contains(words), "{error}");
        assert!(error.message().contains(&peer.address.to_string()), "{error}");
    }
}

#[tokio::test]
async fn rule_1_21_an_attempt_outlives_the_caller_that_began_it() {
    let peer = Peer::start(modern).await;
    let broker = broker(&peer.address, &network());
    tokio::select! {
        biased;
        _ = broker.connection(Purpose::Control, soon()) => {}
        () = std::future::ready(()) => {}
    }
    broker.connection(Purpose::Control, soon()).await.unwrap();
    let connections = peer.seen().iter().map(|(connection, ..)| *connection).max();
    assert_eq!(connections, Some(0), "the second caller got the first one's attempt");
}

#[tokio::test]
async fn a_closed_broker_gives_its_error_to_those_who_wait_and_those_who_come() {
    let peer = Peer::start(|_, _| Act::Silence).await;
    let broker = broker(&peer.address, &network());
    broker.close(&Error::new(Code::CLOSED, "the cluster is closed"));
    let error = broker.connection(Purpose::Control, soon()).await.unwrap_err();
    assert_eq!(error.code(), Code::CLOSED);
}

#[tokio::test]
async fn rule_4_18_a_silence_beyond_reason_is_cut_and_told() {
    #[derive(Debug, Default)]
    struct Lines(Mutex<Vec<String>>);
    impl Sink for Lines {
        fn log(&self, entry: &Entry) {
            self.0.lock().unwrap().push(format!("{} {}", entry.level.name(), entry.message));
        }
    }
    let peer = Peer::start(|header, reader| match header.api_key {
        // The request that has negotiated is version 1; silence is asked from version 6 on.
        ApiKey::Metadata if header.version > 1 => {
            let response = MetadataResponse { throttle_time_ms: i32::MAX, ..Default::default() };
            Act::respond::<MetadataRequest>(header, &response)
        }
        _ => modern(header, reader),
    })
    .await;
    let lines = Arc::new(Lines::default());
    let logger = Logger::new(Level::Warn, Arc::clone(&lines) as Arc<dyn Sink>);
    let settings = network().settings().clone();
    let network = Network::new(settings, Runtime::get(None).unwrap(), logger.clone());
    let broker = broker(&peer.address, &network);
    ask(&broker, Purpose::Control).await.unwrap();
    assert!(logger.flush(Some(soon())));
    let lines = lines.0.lock().unwrap().join("\n");
    assert!(lines.starts_with("warn broker 127.0.0.1:"), "{lines}");
    assert!(lines.contains("answered Metadata and asked for 2147483647 ms of silence"), "{lines}");
    assert!(lines.contains("only 300000 ms are kept"), "{lines}");
}
