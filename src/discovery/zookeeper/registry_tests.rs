//! The live maps against a scripted server: what makes no sense, what is closed, what is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::*;
use crate::config::Ensemble;
use crate::discovery::zookeeper::Settings;
use crate::discovery::zookeeper::script::{Act, Asked, Peer, node, path_of, reply, stat, welcome};
use crate::error::Code;
use crate::protocol::zookeeper::ErrorCode;
use crate::runtime::Runtime;

const MODERN: &[u8] = br#"{"version":3,"endpoints":["PLAINTEXT://h:1"]}"#;

/// Answers reads of a registry that has these brokers; everything else is not there.
fn serve(asked: &Asked, brokers: &[(&str, &[u8])]) -> Act {
    let Asked::Request { xid, op, body, .. } = asked else { return welcome(7, 6_000) };
    let path = if matches!(op, 3 | 4 | 12) { path_of(body) } else { String::new() };
    let (xid, missing) = (*xid, || reply(*xid, 1, ErrorCode::NO_NODE, |_| ()));
    Act::Answer(match (*op, path.as_str()) {
        (12, "/brokers/ids") => {
            let names: Vec<String> = brokers.iter().map(|(id, _)| (*id).to_owned()).collect();
            reply(xid, 1, ErrorCode::OK, |w| {
                w.strings(&names).expect("short names");
                stat(w, 0);
            })
        }
        (3, "/") => reply(xid, 1, ErrorCode::OK, |w| stat(w, 0)),
        (4, path) => {
            let found = brokers.iter().find(|(id, _)| path == format!("/brokers/ids/{id}"));
            found.map_or_else(missing, |(_, data)| reply(xid, 1, ErrorCode::OK, node(data, 7)))
        }
        (3 | 12, _) => missing(),
        _ => reply(xid, 0, ErrorCode::OK, |_| ()),
    })
}

/// The live maps of this server, without topics.
fn keep(peer: &Peer) -> (ZooKeeper, watch::Receiver<Arc<Registry>>) {
    keep_following(peer, Follow::Nothing)
}

/// The live maps of this server.
fn keep_following(peer: &Peer, which: Follow) -> (ZooKeeper, watch::Receiver<Arc<Registry>>) {
    let short = Duration::from_millis(1);
    let settings = Settings {
        ensemble: Ensemble::parse(&peer.address.to_string()).unwrap(),
        session_timeout: Duration::from_secs(6),
        connection_timeout: Duration::from_secs(6),
        auth: None,
        reconnect: Backoff { first: short, most: short },
    };
    let runtime = Runtime::get(None).unwrap();
    let zookeeper = ZooKeeper::start(settings, runtime, &Logger::none());
    let (sender, registry) = watch::channel(Arc::default());
    let (follow, followed) = watch::channel(which);
    let keeper = Keeper::new(zookeeper.clone(), Logger::none(), Arc::new(sender), followed);
    runtime.spawn("registry", drop, async move {
        let _follow = follow;
        keeper.run().await;
    });
    (zookeeper, registry)
}

async fn wait(
    registry: &mut watch::Receiver<Arc<Registry>>,
    wanted: impl Fn(&Registry) -> bool,
) -> Arc<Registry> {
    let found = registry.wait_for(|registry| wanted(registry));
    let found = tokio::time::timeout(Duration::from_secs(20), found).await;
    Arc::clone(&found.expect("in time").expect("a keeper"))
}

#[tokio::test]
async fn a_broker_whose_registration_makes_no_sense_is_left_out_and_named() {
    let peer = Peer::start(|asked| {
        serve(asked, &[("1", MODERN), ("2", b"{"), ("x", MODERN), ("3", b"\xff")])
    })
    .await;
    let (_zookeeper, mut registry) = keep(&peer);
    let known = wait(&mut registry, |known| known.is_live).await;
    assert_eq!(known.brokers.keys().copied().collect::<Vec<_>>(), [1]);
    let trouble = known.trouble.clone().expect("what is wrong");
    assert!(trouble.message().contains("broker 2"), "{trouble}");
    assert!(!known.is_refused);
}

#[tokio::test]
async fn an_empty_zookeeper_is_a_registry_without_brokers() {
    let peer = Peer::start(|asked| match asked {
        Asked::Request { op: 12, xid, .. } => {
            Act::Answer(reply(*xid, 1, ErrorCode::NO_NODE, |_| ()))
        }
        _ => serve(asked, &[]),
    })
    .await;
    let (_zookeeper, mut registry) = keep(&peer);
    let known = wait(&mut registry, |known| known.is_live).await;
    assert!(known.brokers.is_empty() && known.trouble.is_none() && known.generation().is_none());
}

#[tokio::test]
async fn a_node_that_is_there_and_is_not_there_is_asked_for_a_few_times_and_then_reported() {
    let peer = Peer::start(|asked| match asked {
        Asked::Request { op: 12, xid, .. } => {
            Act::Answer(reply(*xid, 1, ErrorCode::NO_NODE, |_| ()))
        }
        Asked::Request { op: 3, xid, .. } => {
            Act::Answer(reply(*xid, 1, ErrorCode::OK, |w| stat(w, 0)))
        }
        _ => serve(asked, &[]),
    })
    .await;
    let (_zookeeper, mut registry) = keep(&peer);
    let known = wait(&mut registry, |known| known.trouble.is_some()).await;
    let trouble = known.trouble.clone().unwrap();
    assert!(trouble.message().contains("/brokers/ids"), "{trouble}");
    assert!(!known.is_live && !known.is_refused);
}

#[tokio::test]
async fn a_registry_that_is_closed_to_us_says_so_and_is_read_again() {
    let open = Arc::new(AtomicBool::new(false));
    let now = Arc::clone(&open);
    let peer = Peer::start(move |asked| match asked {
        Asked::Request { op: 12, xid, .. } if !now.load(Ordering::SeqCst) => {
            Act::Answer(reply(*xid, 1, ErrorCode::NO_AUTH, |_| ()))
        }
        _ => serve(asked, &[("1", MODERN)]),
    })
    .await;
    let (_zookeeper, mut registry) = keep(&peer);
    let known = wait(&mut registry, |known| known.trouble.is_some()).await;
    let trouble = known.trouble.clone().unwrap();
    assert_eq!(trouble.code(), Code::ZOOKEEPER);
    assert!(trouble.message().contains("/brokers/ids: not authorized"), "{trouble}");
    open.store(true, Ordering::SeqCst);
    let known = wait(&mut registry, |known| known.is_live).await;
    assert!(known.trouble.is_none() && known.brokers.contains_key(&1));
}

#[tokio::test]
async fn a_topic_that_is_closed_to_us_is_left_out_and_named_and_the_others_are_seen() {
    let peer = Peer::start(|asked| {
        let Asked::Request { xid, op, body, .. } = asked else { return serve(asked, &[]) };
        let path = if matches!(op, 3 | 4 | 12) { path_of(body) } else { String::new() };
        Act::Answer(match (*op, path.as_str()) {
            (12, "/brokers/topics") => reply(*xid, 1, ErrorCode::OK, |w| {
                w.strings(&["closed".to_owned(), "open".to_owned()]).expect("short names");
                stat(w, 0);
            }),
            (4, "/brokers/topics/closed") => reply(*xid, 1, ErrorCode::NO_AUTH, |_| ()),
            (4, "/brokers/topics/open") => {
                let data = br#"{"version":1,"partitions":{"0":[1]}}"#;
                reply(*xid, 1, ErrorCode::OK, node(data, 7))
            }
            _ => return serve(asked, &[("1", MODERN)]),
        })
    })
    .await;
    let (_zookeeper, mut registry) = keep_following(&peer, Follow::All);
    let known = wait(&mut registry, |known| known.is_live && known.read.is_some()).await;
    assert_eq!(known.topics.keys().map(|name| &**name).collect::<Vec<_>>(), ["open"]);
    let trouble = known.trouble.clone().expect("what is wrong");
    assert!(trouble.message().contains("/brokers/topics/closed: not authorized"), "{trouble}");
}

#[tokio::test]
async fn rule_10_7_after_an_expired_session_all_is_read_anew_and_who_stayed_is_the_same() {
    let cut = Arc::new(AtomicBool::new(false));
    let now = Arc::clone(&cut);
    let peer = Peer::start(move |asked| match asked {
        Asked::Hello { session: 7, .. } => welcome(0, 0),
        // The first session is cut when the test says so, by whatever is asked then.
        Asked::Request { connection: 0, op: 3, .. } if now.load(Ordering::SeqCst) => Act::Close,
        Asked::Request { connection: 0, .. } => serve(asked, &[("1", MODERN), ("2", MODERN)]),
        _ => serve(asked, &[("2", MODERN), ("3", MODERN)]),
    })
    .await;
    let (zookeeper, mut registry) = keep(&peer);
    let first = wait(&mut registry, |known| known.brokers.len() == 2).await;
    cut.store(true, Ordering::SeqCst);
    let end = Instant::now() + Duration::from_secs(20);
    let session = zookeeper.session(end).await.expect("a session");
    session.exists("/x", None, end).await.expect_err("it has expired");
    let second = wait(&mut registry, |known| known.brokers.contains_key(&3)).await;
    assert!(first.brokers[&1].is_dead() && !second.brokers.contains_key(&1));
    assert!(Arc::ptr_eq(&first.brokers[&2], &second.brokers[&2]));
    assert!(!second.brokers[&2].is_dead());
}
