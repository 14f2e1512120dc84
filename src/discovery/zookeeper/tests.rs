//! The client against scripted servers: hostile, silent, forgetful.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::script::{Act, Asked, Peer, fired, framed, node, path_of, reply, stat, welcome};
use super::*;
use crate::config::{Address, Ensemble, ZooKeeperAuth};
use crate::error::{Code, Error};
use crate::log::Logger;
use crate::net::Backoff;
use crate::protocol::zookeeper::{CreateMode, ErrorCode, EventKind};
use crate::runtime::Runtime;

const MS: Duration = Duration::from_millis(1);
const GET: i32 = 4;
const CREATE: i32 = 1;
const SET_WATCHES: i32 = 101;
const CLOSE: i32 = -11;

fn settings(servers: &[&Address]) -> Settings {
    let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
    Settings {
        ensemble: Ensemble::parse(&servers.join(",")).unwrap(),
        session_timeout: 6_000 * MS,
        connection_timeout: 6_000 * MS,
        auth: None,
        reconnect: Backoff { first: MS, most: 10 * MS },
    }
}

fn start(settings: Settings) -> ZooKeeper {
    ZooKeeper::start(settings, Runtime::get(None).unwrap(), &Logger::none())
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// A server that answers everything well; `odd` may answer otherwise.
async fn peer(odd: impl Fn(&Asked) -> Option<Act> + Send + Sync + 'static) -> Peer {
    Peer::start(move |asked| odd(asked).unwrap_or_else(|| good(asked))).await
}

fn good(asked: &Asked) -> Act {
    let Asked::Request { xid, op, body, .. } = asked else { return welcome(7, 6_000) };
    let xid = *xid;
    Act::Answer(match *op {
        GET => reply(xid, 5, ErrorCode::OK, node(path_of(body).as_bytes(), 0)),
        CREATE => {
            let path = path_of(body);
            reply(xid, 6, ErrorCode::OK, move |w| w.string(&path).unwrap())
        }
        3 => reply(xid, 5, ErrorCode::OK, |w| stat(w, 0)),
        _ => reply(xid, 0, ErrorCode::OK, |_| ()),
    })
}

#[tokio::test]
async fn a_session_serves_requests_and_closes_at_the_server() {
    let peer = peer(|_| None).await;
    let zookeeper = start(settings(&[&peer.address]));
    let session = zookeeper.session(soon()).await.unwrap();
    assert_eq!((session.id(), session.number(), session.timeout()), (7, 1, 6_000 * MS));
    assert_eq!(session.get("/a", None, soon()).await.unwrap().0, "/a");
    let created = session.create("/b", b"x", CreateMode::Ephemeral, soon()).await.unwrap();
    assert_eq!(created, "/b");
    zookeeper.close(soon());
    zookeeper.closed().await;
    assert_eq!(peer.operations(), [GET, CREATE, CLOSE]);
    let Failure::Other(error) = session.get("/a", None, soon()).await.unwrap_err() else {
        panic!("closed")
    };
    assert_eq!(error.code(), Code::CLOSED);
    let failure = zookeeper.session(soon()).await.unwrap_err();
    assert!(failure.is_final(), "{failure:?}");
}

#[tokio::test]
async fn paths_that_are_none_and_nodes_that_are_too_large_are_refused_before_they_are_sent() {
    let peer = peer(|_| None).await;
    let zookeeper = start(settings(&[&peer.address]));
    let session = zookeeper.session(soon()).await.unwrap();
    for path in ["", "a", "/a/", "//", "/a//b", "/a/../b", "/a\0"] {
        let error = Error::from(session.get(path, None, soon()).await.unwrap_err());
        assert_eq!(error.code(), Code::INVALID_ARGUMENT, "{path:?}: {error}");
    }
    let large = vec![0; 2 << 20];
    let error = session.set("/a", &large, -1, soon()).await.unwrap_err();
    assert_eq!(Error::from(error).code(), Code::INVALID_ARGUMENT);
    assert!(peer.operations().is_empty());
}

/// The first connection answers the first read with these bytes; the read is served by the next one.
async fn survives(bytes: impl Fn(i32) -> Vec<u8> + Send + Sync + 'static, what: &str) {
    let peer = peer(move |asked| match asked {
        Asked::Request { connection: 0, xid, op: GET, .. } => Some(Act::Answer(bytes(*xid))),
        _ => None,
    })
    .await;
    let zookeeper = start(settings(&[&peer.address]));
    let session = zookeeper.session(soon()).await.unwrap();
    let (data, _) =
        session.get("/a", None, soon()).await.unwrap_or_else(|e| panic!("{what}: {e:?}"));
    assert_eq!(data, "/a", "{what}");
    let hello =
        Asked::Hello { connection: 1, zxid: 0, session: 7, password: Bytes::from_static(&[9; 16]) };
    assert!(peer.seen().contains(&hello), "{what}: the same session: {:?}", peer.seen());
}

#[tokio::test]
async fn a_server_that_leaves_the_protocol_costs_a_connection_and_no_session() {
    survives(|_| vec![0x7f, 0xff, 0xff, 0xff], "a frame of 2^31-1 bytes").await;
    survives(|_| vec![0xff; 4], "a frame of negative length").await;
    survives(|_| vec![0, 0, 0, 4, 0, 0, 0, 1], "a frame that ends in the header").await;
    survives(|_| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "an HTTP server").await;
    survives(|xid| reply(xid + 1, 1, ErrorCode::OK, |_| ()), "an id that is not due").await;
    survives(|_| reply(-2, 1, ErrorCode::OK, |_| ()), "a ping that was not sent").await;
    survives(|_| reply(i32::MIN, 1, ErrorCode::OK, |_| ()), "an unsolicited id").await;
    let unknown = |_: i32| {
        reply(-1, -1, ErrorCode::OK, |w| {
            w.int(99);
            w.int(3);
            w.string("/a").unwrap();
        })
    };
    survives(unknown, "an unknown event").await;
    let bad_text = |_: i32| {
        reply(-1, -1, ErrorCode::OK, |w| {
            w.int(3);
            w.int(3);
            w.buffer(&[0xc3, 0x28]).unwrap();
        })
    };
    survives(bad_text, "an event whose path is not UTF-8").await;
    survives(|xid| reply(xid, 0, ErrorCode::SESSION_MOVED, |_| ()), "a moved session").await;
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_an_error_of_that_call() {
    for (body, what) in [
        (vec![0x7f, 0xff, 0xff, 0xff], "data of 2^31-1 bytes"),
        (vec![0xff, 0xff, 0xff, 0xfe], "data of negative length"),
        (vec![0, 0, 0, 1], "a cut answer"),
        (vec![], "no answer at all"),
    ] {
        let peer = peer(move |asked| match asked {
            Asked::Request { xid, op: GET, .. } => {
                let mut answer = reply(*xid, 1, ErrorCode::OK, |_| ());
                answer.extend(&body);
                let length = u32::try_from(answer.len() - 4).unwrap().to_be_bytes();
                answer[..4].copy_from_slice(&length);
                Some(Act::Answer(answer))
            }
            _ => None,
        })
        .await;
        let zookeeper = start(settings(&[&peer.address]));
        let session = zookeeper.session(soon()).await.unwrap();
        let error = Error::from(session.get("/a", None, soon()).await.unwrap_err());
        assert_eq!(error.code(), Code::PROTOCOL, "{what}: {error}");
        session.exists("/a", None, soon()).await.unwrap();
    }
}

#[tokio::test]
async fn hostile_first_words_are_an_error_that_names_the_server() {
    for (bytes, expected) in [
        (vec![0x7f, 0xff, 0xff, 0xff], "above the limit"),
        (framed(|w| w.int(0)), "bytes are needed"),
        (
            framed(|w| {
                w.int(0);
                w.int(1_000);
                w.long(1);
                w.buffer(&[0; 5_000]).unwrap();
            }),
            "a password of 5000 bytes",
        ),
        (framed(|w| (0..9).for_each(|_| w.int(7))), "version 7"),
        (framed(|w| (0..9).for_each(|_| w.int(0))), "not asked for"),
        (b"SSH-2.0-OpenSSH\r\n".to_vec(), "SSH server"),
    ] {
        let peer = Peer::start(move |_| Act::Answer(bytes.clone())).await;
        let zookeeper = start(settings(&[&peer.address]));
        let failure = zookeeper.session(Instant::now() + 200 * MS).await.unwrap_err();
        let error = Error::from(failure);
        assert_eq!(error.code(), Code::TIMED_OUT);
        let message = error.message();
        assert!(message.contains(expected), "{expected}: {message}");
        assert!(message.contains(&peer.address.to_string()), "{message}");
    }
}

#[tokio::test]
async fn when_a_connection_is_lost_reads_are_repeated_and_changes_are_told_as_unknown() {
    let peer = peer(|asked| match asked {
        Asked::Request { connection: 0, op: GET, .. } => Some(Act::Silence),
        Asked::Request { connection: 0, op: CREATE, .. } => Some(Act::Close),
        _ => None,
    })
    .await;
    let zookeeper = start(settings(&[&peer.address]));
    let session = zookeeper.session(soon()).await.unwrap();
    let (read, written) = tokio::join!(
        session.get("/a", None, soon()),
        session.create("/b", b"", CreateMode::Persistent, soon()),
    );
    assert_eq!(read.unwrap().0, "/a");
    assert!(matches!(written.unwrap_err(), Failure::Lost(_)));
    assert_eq!(zookeeper.status().borrow().session, 1);
}

#[tokio::test]
async fn rule_10_7_an_expired_session_fails_its_requests_tells_its_watchers_and_is_replaced() {
    let gone = Arc::new(AtomicBool::new(false));
    let server = Arc::clone(&gone);
    let peer = peer(move |asked| match asked {
        Asked::Hello { session: 0, .. } if server.load(Ordering::SeqCst) => Some(welcome(8, 6_000)),
        Asked::Hello { session: 0, .. } => None,
        Asked::Hello { .. } => {
            server.store(true, Ordering::SeqCst);
            Some(welcome(0, 0))
        }
        Asked::Request { connection: 0, op: GET, body, .. } if path_of(body) == "/cut" => {
            Some(Act::Close)
        }
        _ => None,
    })
    .await;
    let zookeeper = start(settings(&[&peer.address]));
    let old = zookeeper.session(soon()).await.unwrap();
    let (watcher, mut watches) = Watcher::new();
    old.get("/a", Some(&watcher), soon()).await.unwrap();
    assert!(matches!(old.get("/cut", None, soon()).await.unwrap_err(), Failure::Expired));
    assert_eq!(watches.next().await, Some(WatchEvent::Expired));
    let new = zookeeper.session(soon()).await.unwrap();
    assert_eq!((new.id(), new.number()), (8, 2));
    assert!(matches!(old.get("/a", None, soon()).await.unwrap_err(), Failure::Expired));
    assert_eq!(new.get("/a", None, soon()).await.unwrap().0, "/a");
    assert!(gone.load(Ordering::SeqCst));
    assert!(!peer.operations().contains(&SET_WATCHES), "an expired session has no watches");
}

#[tokio::test]
async fn rule_10_8_watches_are_set_again_with_the_last_transaction_seen() {
    let peer = peer(|asked| match asked {
        Asked::Request { connection: 0, op: CREATE, .. } => Some(Act::Close),
        Asked::Request { connection: 1, op: SET_WATCHES, xid, .. } => {
            // What happened in between is told before the answer.
            let mut bytes = fired(EventKind::DataChanged, "/a");
            bytes.extend(reply(*xid, 9, ErrorCode::OK, |_| ()));
            Some(Act::Answer(bytes))
        }
        _ => None,
    })
    .await;
    let zookeeper = start(settings(&[&peer.address]));
    let session = zookeeper.session(soon()).await.unwrap();
    let (watcher, mut watches) = Watcher::new();
    session.get("/a", Some(&watcher), soon()).await.unwrap();
    let lost = session.create("/b", b"", CreateMode::Persistent, soon()).await;
    assert!(matches!(lost, Err(Failure::Lost(_))));
    let Some(WatchEvent::Node(event)) = watches.next().await else { panic!("an event") };
    assert_eq!((event.kind, event.path.as_str()), (EventKind::DataChanged, "/a"));
    let again = peer.seen().into_iter().find_map(|asked| match asked {
        Asked::Request { op: SET_WATCHES, xid, body, .. } => Some((xid, body)),
        _ => None,
    });
    let (xid, body) = again.unwrap();
    let expected = framed(|w| {
        w.long(5);
        w.strings(&["/a".to_owned()]).unwrap();
        w.strings(&[]).unwrap();
        w.strings(&[]).unwrap();
    });
    assert_eq!((xid, &body[..]), (-8, &expected[4..]));
}

/// A server that takes the session, answers what belongs to the beginning, and closes.
async fn closes_after_the_beginning(auth: Option<ZooKeeperAuth>) {
    const ENOUGH: usize = 8;
    let peer = peer(|asked| match asked {
        Asked::Request { connection: 0, op: CREATE, .. } => Some(Act::Close),
        Asked::Request { connection: 1.., op: SET_WATCHES, xid, .. } => {
            Some(Act::AnswerAndClose(reply(*xid, 9, ErrorCode::OK, |_| ())))
        }
        _ => None,
    })
    .await;
    let most = Duration::from_secs(3_600);
    let reconnect = Backoff { first: MS, most };
    let begun = Instant::now();
    let zookeeper = start(Settings { reconnect, auth, ..settings(&[&peer.address]) });
    let session = zookeeper.session(soon()).await.unwrap();
    let (watcher, _watches) = Watcher::new();
    session.get("/a", Some(&watcher), soon()).await.unwrap();
    let lost = session.create("/b", b"", CreateMode::Persistent, soon()).await;
    assert!(matches!(lost, Err(Failure::Lost(_))));
    let hellos = || {
        let seen = peer.seen();
        seen.iter().filter(|asked| matches!(asked, Asked::Hello { .. })).count()
    };
    let limit = soon();
    while hellos() < ENOUGH {
        assert!(Instant::now() < limit, "{} connections", hellos());
        tokio::time::sleep(MS).await;
    }
    // However slow the machine: each pause is twice the last one, but for 20 %.
    let doublings = u32::try_from(hellos()).unwrap() - 1;
    let least = MS.mul_f64(0.8) * (2_u32.pow(doublings) - 1);
    assert!(begun.elapsed() >= least, "{} connections in {:?}", hellos(), begun.elapsed());
}

#[tokio::test]
async fn a_server_that_closes_after_the_beginning_of_each_connection_does_not_make_us_spin() {
    closes_after_the_beginning(None).await;
    let (scheme, credentials) = ("digest".into(), "u:p".into());
    closes_after_the_beginning(Some(ZooKeeperAuth { scheme, credentials })).await;
}

/// A server that answers reads only when so many are with it; of Kafka 0.7 or a later one.
async fn answers_together(brokers: i32, topics: usize, is_legacy: bool) {
    let held = std::sync::Mutex::new(Vec::new());
    let together = move |count: usize, answer: Vec<u8>| {
        let mut held = held.lock().unwrap();
        held.push(answer);
        match held.len() == count {
            true => Act::Answer(held.drain(..).flatten().collect()),
            false => Act::Silence,
        }
    };
    let children = |names: Vec<String>| {
        move |w: &mut crate::protocol::zookeeper::Writer| {
            w.strings(&names).unwrap();
            stat(w, 0);
        }
    };
    let all = usize::try_from(brokers).unwrap();
    let peer = peer(move |asked| {
        let Asked::Request { xid, op, body, .. } = asked else { return None };
        if !matches!(*op, GET | 12) {
            return None;
        }
        let path = path_of(body);
        let depth = path.split('/').count() - 1;
        let ids = || (0..brokers).map(|id| id.to_string()).collect::<Vec<_>>();
        let list = |names| reply(*xid, 5, ErrorCode::OK, children(names));
        let read = |data: &[u8]| reply(*xid, 5, ErrorCode::OK, node(data, 0));
        let broker: &[u8] = match is_legacy {
            true => b"h-1:127.0.0.1:1",
            false => br#"{"version":1,"host":"127.0.0.1","port":1}"#,
        };
        Some(match (path.as_str(), depth) {
            ("/brokers/ids", _) => Act::Answer(list(ids())),
            ("/brokers/topics", _) => {
                Act::Answer(list((0..topics).map(|topic| format!("t{topic}")).collect()))
            }
            (path, 3) if path.starts_with("/brokers/ids/") => together(all, read(broker)),
            (_, 3) if is_legacy => together(topics, list(ids())),
            (_, 3) => together(topics, read(br#"{"version":1,"partitions":{"0":[0]}}"#)),
            _ => together(topics * all, read(b"2")),
        })
    })
    .await;
    let zookeeper = start(settings(&[&peer.address]));
    let session = zookeeper.session(soon()).await.unwrap();
    let registry = reading::everything(&session).await.unwrap();
    assert_eq!((registry.brokers.len(), registry.topics.len()), (all, topics));
}

#[tokio::test]
async fn what_is_registered_is_read_side_by_side() {
    answers_together(10, 50, false).await;
    answers_together(10, 5, true).await;
}

#[tokio::test]
async fn a_silent_server_is_left_for_another_that_takes_the_session_over() {
    let silent = Peer::start(|asked| match asked {
        Asked::Hello { .. } => welcome(7, 600),
        Asked::Request { .. } => Act::Silence,
    })
    .await;
    let other = Peer::start(|asked| match asked {
        Asked::Hello { session, .. } => welcome(*session, 600),
        Asked::Request { .. } => good(asked),
    })
    .await;
    // The second server refuses new sessions: the silent one is the first whichever is tried first.
    let zookeeper = start(settings(&[&silent.address, &other.address]));
    let session = zookeeper.session(soon()).await.unwrap();
    let begun = Instant::now();
    assert_eq!(session.get("/a", None, soon()).await.unwrap().0, "/a");
    assert!(begun.elapsed() < 600 * MS, "{:?}", begun.elapsed());
    let taken = |asked: &Asked| matches!(asked, Asked::Hello { session: 7, .. });
    assert!(other.seen().iter().any(taken), "{:?}", other.seen());
    assert_eq!(zookeeper.status().borrow().session, 1);
}

#[tokio::test]
async fn an_idle_session_sends_pings_and_nothing_else() {
    let peer = peer(|asked| match asked {
        Asked::Hello { .. } => Some(welcome(7, 300)),
        Asked::Request { .. } => None,
    })
    .await;
    let zookeeper = start(settings(&[&peer.address]));
    zookeeper.session(soon()).await.unwrap();
    let (begun, before) = (Instant::now(), zookeeper.confirmed());
    while peer.seen().len() < 5 {
        tokio::time::sleep(MS).await;
    }
    assert!(begun.elapsed() >= 350 * MS, "four pings, a third of 300 ms apart");
    assert!(peer.operations().is_empty(), "{:?}", peer.seen());
    assert!(zookeeper.confirmed() > before);
    assert_eq!(zookeeper.status().borrow().session, 1);
}

#[tokio::test]
async fn each_request_has_its_deadline_and_names_what_is_wrong() {
    let peer = peer(|asked| match asked {
        Asked::Request { op: GET, .. } => Some(Act::Silence),
        _ => None,
    })
    .await;
    let zookeeper = start(settings(&[&peer.address]));
    let session = zookeeper.session(soon()).await.unwrap();
    let begun = Instant::now();
    let error = Error::from(session.get("/a", None, begun + 50 * MS).await.unwrap_err());
    assert_eq!(error.code(), Code::TIMED_OUT);
    assert!(error.message().contains("/a"), "{error}");
    assert!(begun.elapsed() < 3_000 * MS);
}

#[tokio::test]
async fn a_silent_server_does_not_hold_up_close() {
    let peer = peer(|asked| match asked {
        Asked::Request { .. } => Some(Act::Silence),
        Asked::Hello { .. } => None,
    })
    .await;
    let zookeeper = start(settings(&[&peer.address]));
    let session = zookeeper.session(soon()).await.unwrap();
    let begun = Instant::now();
    zookeeper.close(begun + 50 * MS);
    zookeeper.closed().await;
    assert!(begun.elapsed() < 3_000 * MS, "{:?}", begun.elapsed());
    assert!(session.get("/a", None, soon()).await.unwrap_err().is_final());
}

#[tokio::test]
async fn a_client_that_never_found_a_server_closes_at_once() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let zookeeper = start(settings(&[&Address::new("127.0.0.1", closed.port())]));
    // On a busy machine the first try may take longer than that.
    let limit = soon();
    loop {
        let error = Error::from(zookeeper.session(Instant::now() + 50 * MS).await.unwrap_err());
        if error.message().contains("refused") {
            break;
        }
        assert!(Instant::now() < limit, "{error}");
    }
    zookeeper.close(soon());
    zookeeper.closed().await;
}

#[tokio::test]
async fn dropping_every_handle_ends_the_session_at_the_server() {
    let peer = peer(|_| None).await;
    let zookeeper = start(settings(&[&peer.address]));
    drop(zookeeper.session(soon()).await.unwrap());
    drop(zookeeper);
    while peer.operations() != [CLOSE] {
        tokio::time::sleep(MS).await;
    }
}

#[tokio::test]
async fn refused_credentials_end_the_client_and_good_ones_come_first_on_each_connection() {
    let auth = ZooKeeperAuth { scheme: "digest".to_owned(), credentials: "u:p".to_owned() };
    let refusing = peer(|asked| match asked {
        Asked::Request { xid, op: 100, .. } => {
            Some(Act::AnswerAndClose(reply(*xid, 0, ErrorCode::AUTH_FAILED, |_| ())))
        }
        _ => None,
    })
    .await;
    let with_auth =
        |peer: &Peer| Settings { auth: Some(auth.clone()), ..settings(&[&peer.address]) };
    let zookeeper = start(with_auth(&refusing));
    zookeeper.closed().await;
    let error = Error::from(zookeeper.session(soon()).await.unwrap_err());
    assert_eq!((error.code(), error.property()), (Code::ZOOKEEPER, Some("samsa.zookeeper.auth")));

    let taking = peer(|_| None).await;
    let zookeeper = start(with_auth(&taking));
    let session = zookeeper.session(soon()).await.unwrap();
    session.get("/a", None, soon()).await.unwrap();
    assert_eq!(taking.operations(), [100, GET]);
}

#[tokio::test]
async fn rule_10_5_a_node_that_is_there_is_ours_only_if_this_session_owns_it() {
    for (owner, expected) in [
        (7, Claim::Mine),
        (99, Claim::Held { owner: 99, data: Bytes::from_static(b"d") }),
        (0, Claim::Held { owner: 0, data: Bytes::from_static(b"d") }),
    ] {
        let peer = peer(move |asked| match asked {
            // The first answer is lost; the second says that the node is there.
            Asked::Request { connection: 0, op: CREATE, .. } => Some(Act::Close),
            Asked::Request { op: CREATE, xid, .. } => {
                Some(Act::Answer(reply(*xid, 1, ErrorCode::NODE_EXISTS, |_| ())))
            }
            Asked::Request { op: GET, xid, .. } => {
                Some(Act::Answer(reply(*xid, 1, ErrorCode::OK, node(b"d", owner))))
            }
            _ => None,
        })
        .await;
        let zookeeper = start(settings(&[&peer.address]));
        let session = zookeeper.session(soon()).await.unwrap();
        assert_eq!(session.claim("/o", b"d", soon()).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn rule_10_3_a_claim_does_not_race_with_those_who_claim_and_let_go_in_turns() {
    let peer = peer(|asked| match asked {
        Asked::Request { op: CREATE, xid, .. } => {
            Some(Act::Answer(reply(*xid, 1, ErrorCode::NODE_EXISTS, |_| ())))
        }
        Asked::Request { op: GET, xid, .. } => {
            Some(Act::Answer(reply(*xid, 1, ErrorCode::NO_NODE, |_| ())))
        }
        _ => None,
    })
    .await;
    let zookeeper = start(settings(&[&peer.address]));
    let session = zookeeper.session(soon()).await.unwrap();
    let claimed = session.claim("/o", b"d", soon()).await.unwrap();
    assert_eq!(claimed, Claim::Held { owner: 0, data: Bytes::new() });
    assert_eq!(peer.operations(), [CREATE, GET, CREATE, GET, CREATE, GET]);
}

#[tokio::test]
async fn data_that_was_wiped_at_the_servers_ends_the_session_and_not_the_client() {
    let wiped = Arc::new(AtomicBool::new(false));
    let server = Arc::clone(&wiped);
    // A server that is behind takes the connection and closes it without a word.
    let peer = peer(move |asked| match asked {
        Asked::Hello { session: 0, .. } if server.load(Ordering::SeqCst) => Some(welcome(8, 200)),
        Asked::Hello { session: 0, .. } => Some(welcome(7, 200)),
        Asked::Hello { .. } => Some(Act::Close),
        Asked::Request { op: CREATE, .. } => {
            server.store(true, Ordering::SeqCst);
            Some(Act::Close)
        }
        Asked::Request { .. } => None,
    })
    .await;
    let zookeeper = start(settings(&[&peer.address]));
    let session = zookeeper.session(soon()).await.unwrap();
    let _ = session.create("/b", b"", CreateMode::Ephemeral, soon()).await;
    let mut status = zookeeper.status();
    let new = status.wait_for(|status| status.session == 2 && status.is_connected());
    let new = tokio::time::timeout(Duration::from_secs(20), new).await.unwrap().unwrap();
    assert_eq!(new.id, 8);
    assert!(wiped.load(Ordering::SeqCst));
}

#[test]
fn in_a_forked_child_a_handle_fails_at_once_and_can_be_dropped() {
    let runtime = Runtime::get(None).unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let zookeeper = start(settings(&[&Address::new("127.0.0.1", closed.port())]));
    let in_parent = zookeeper.clone();
    assert!(crate::os::fork::tests::in_child(move || {
        let answer = std::future::poll_fn(|cx| {
            let session = std::pin::pin!(zookeeper.session(soon()));
            session.poll(cx).map(|outcome| matches!(outcome, Err(failure) if failure.is_final()))
        });
        let mut answer = std::pin::pin!(answer);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let ready = answer.as_mut().poll(&mut context);
        zookeeper.close(soon());
        ready == std::task::Poll::Ready(true)
    }));
    in_parent.close(soon());
    drop((in_parent, runtime));
}
