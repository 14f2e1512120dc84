//! The library's own client: what belongs to sessions, and every fault.

use std::time::Duration;

use samsa::config::Ensemble;
use samsa::discovery::zookeeper::{
    Claim, Failure, Session, Settings, WatchEvent, Watcher, ZooKeeper,
};
use samsa::embedded::zookeeper::{Fault, FaultKind, Options, Server};
use samsa::log::Logger;
use samsa::net::Backoff;
use samsa::protocol::zookeeper::{CreateMode, ErrorCode, EventKind, NodeEvent, OpCode};
use samsa::runtime::Runtime;

use super::soon;

const PERSISTENT: CreateMode = CreateMode::Persistent;

fn client(server: &Server) -> ZooKeeper {
    client_of(&server.address(), Duration::from_secs(10))
}

fn client_of(connect: &str, session_timeout: Duration) -> ZooKeeper {
    let settings = Settings {
        ensemble: Ensemble::parse(connect).expect("zookeeper.connect"),
        session_timeout,
        connection_timeout: Duration::from_secs(6),
        auth: None,
        reconnect: Backoff { first: Duration::from_millis(5), most: Duration::from_millis(50) },
    };
    ZooKeeper::start(settings, Runtime::get(None).expect("threads"), &Logger::none())
}

async fn session(zookeeper: &ZooKeeper) -> Session {
    zookeeper.session(soon()).await.expect("a session")
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

fn changed(kind: EventKind, path: &str) -> Option<WatchEvent> {
    Some(WatchEvent::Node(NodeEvent { kind, path: path.to_owned() }))
}

#[test]
fn a_chroot_is_a_node_and_all_operations_work_below_it() {
    let server = Server::start().unwrap();
    server.ensure("/some/kafka", b"").unwrap();
    run(async {
        let zookeeper =
            client_of(&format!("{}/some/kafka", server.address()), Duration::from_secs(5));
        let session = session(&zookeeper).await;
        session.ensure("/a/b", soon()).await.unwrap();
        let path = session.create("/a/b/n-", b"x", CreateMode::EphemeralSequential, soon()).await;
        assert_eq!(path.unwrap(), "/a/b/n-0000000000");
        session.sync(soon()).await.unwrap();
        let (names, stat) = session.children("/a/b", None, soon()).await.unwrap();
        assert_eq!((names, stat.children), (vec!["n-0000000000".to_owned()], 1));
        let Ok(Claim::Held { data, .. }) = session.claim("/a", b"", soon()).await else {
            panic!("a persistent node belongs to nobody");
        };
        assert_eq!(data, "");
    });
    let node = server.node("/some/kafka/a/b/n-0000000000").expect("below the chroot");
    assert_eq!((node.data, node.owner.is_some()), (b"x".to_vec(), true));
}

#[test]
fn an_expired_session_loses_its_nodes_and_watches_and_is_followed_by_another() {
    let server = Server::start().unwrap();
    run(async {
        let zookeeper = client(&server);
        let first = session(&zookeeper).await;
        first.create("/mine", b"", CreateMode::Ephemeral, soon()).await.unwrap();
        let (watcher, mut watches) = Watcher::new();
        first.exists("/other", Some(&watcher), soon()).await.unwrap();
        let id = server.node("/mine").unwrap().owner.unwrap();
        server.expire(id).unwrap();
        assert!(server.node("/mine").is_none());
        assert_eq!(watches.next().await, Some(WatchEvent::Expired));
        assert!(matches!(first.sync(soon()).await, Err(Failure::Expired)));
        let second = session(&zookeeper).await;
        second.sync(soon()).await.unwrap();
        assert!(!server.sessions().contains(&id) && server.sessions().len() == 1);
    });
    assert!(server.expire(1).is_err(), "there is no such session");
}

#[test]
fn watches_survive_a_lost_connection_and_tell_what_was_missed() {
    let server = Server::start().unwrap();
    server.ensure("/data", b"old").unwrap();
    server.ensure("/list", b"").unwrap();
    server.ensure("/gone", b"").unwrap();
    run(async {
        let zookeeper = client(&server);
        let session = session(&zookeeper).await;
        let (watcher, mut watches) = Watcher::new();
        session.get("/data", Some(&watcher), soon()).await.unwrap();
        session.children("/list", Some(&watcher), soon()).await.unwrap();
        session.exists("/gone", Some(&watcher), soon()).await.unwrap();
        session.exists("/new", Some(&watcher), soon()).await.unwrap();
        session.exists("/still", Some(&watcher), soon()).await.unwrap();
        let id = server.sessions()[0];
        server.stop_server(0).unwrap();
        server.ensure("/data", b"new").unwrap();
        server.ensure("/list/child", b"").unwrap();
        server.delete("/gone").unwrap();
        server.ensure("/new", b"").unwrap();
        server.start_server(0).unwrap();
        let mut events = Vec::new();
        for _ in 0..4 {
            events.push(watches.next().await);
        }
        assert!(events.contains(&changed(EventKind::DataChanged, "/data")), "{events:?}");
        assert!(events.contains(&changed(EventKind::ChildrenChanged, "/list")), "{events:?}");
        assert!(events.contains(&changed(EventKind::Deleted, "/gone")), "{events:?}");
        assert!(events.contains(&changed(EventKind::Created, "/new")), "{events:?}");
        // What nothing happened to is watched on.
        server.ensure("/still", b"").unwrap();
        assert_eq!(watches.next().await, changed(EventKind::Created, "/still"));
        assert_eq!(server.sessions(), [id], "the same session");
    });
}

#[test]
fn a_lost_answer_leaves_the_node_there_and_the_session_its_owner() {
    let server = Server::start().unwrap();
    run(async {
        let zookeeper = client(&server);
        let session = session(&zookeeper).await;
        server.inject(Fault::new(FaultKind::CloseAfter).op(OpCode::Create).path("/mine"));
        // The client finds out by itself that the node is its own.
        let claim = session.claim("/mine", b"x", soon()).await.unwrap();
        assert!(matches!(claim, Claim::Mine), "{claim:?}");
        server.inject(Fault::new(FaultKind::CloseBefore).op(OpCode::Delete));
        let lost = session.delete("/mine", -1, soon()).await.unwrap_err();
        assert!(matches!(lost, Failure::Lost(_)), "{lost:?}");
        assert!(server.node("/mine").is_some(), "it was not looked at");
        let refusal = FaultKind::Refuse(ErrorCode::NO_AUTH);
        server.inject(Fault::new(refusal).op(OpCode::SetData).times(u32::MAX));
        let refused = session.set("/mine", b"y", -1, soon()).await.unwrap_err();
        assert!(refused.is(ErrorCode::NO_AUTH));
        server.withdraw_all();
        session.set("/mine", b"y", 0, soon()).await.unwrap();
    });
}

#[test]
fn a_silent_network_ends_the_session_at_the_servers_and_nobody_tells_the_client() {
    let server = Server::start().unwrap();
    run(async {
        let zookeeper = client_of(&server.address(), Duration::from_millis(500));
        let other = client(&server);
        let quiet = session(&zookeeper).await;
        quiet.create("/mine", b"", CreateMode::Ephemeral, soon()).await.unwrap();
        let id = server.node("/mine").unwrap().owner.unwrap();
        let observing = session(&other).await;
        let (watcher, mut watches) = Watcher::new();
        observing.exists("/mine", Some(&watcher), soon()).await.unwrap();
        server.silence(Some(id));
        assert_eq!(watches.next().await, changed(EventKind::Deleted, "/mine"));
        assert!(!server.sessions().contains(&id));
        server.speak(None);
        assert!(session(&zookeeper).await.create("/mine", b"", PERSISTENT, soon()).await.is_ok());
    });
}

#[test]
fn the_session_moves_to_another_server_when_its_own_stops() {
    let server = Server::start_with(Options { servers: 3, ..Options::default() }).unwrap();
    run(async {
        let zookeeper = client(&server);
        let session = session(&zookeeper).await;
        session.create("/mine", b"", CreateMode::Ephemeral, soon()).await.unwrap();
        let id = server.sessions()[0];
        let at = server.server_of(id).expect("connected");
        server.stop_server(at).unwrap();
        session.sync(soon()).await.unwrap();
        assert_eq!(server.sessions(), [id]);
        assert_ne!(server.server_of(id), Some(at));
        assert!(server.node("/mine").is_some());
    });
}

#[test]
fn a_closed_client_leaves_no_session_and_no_connection() {
    let server = Server::start().unwrap();
    run(async {
        let zookeeper = client(&server);
        session(&zookeeper)
            .await
            .create("/mine", b"", CreateMode::Ephemeral, soon())
            .await
            .unwrap();
        drop(zookeeper);
    });
    let over = |s: &Server| s.sessions().is_empty() && s.connections() == 0;
    server.wait_until(soon(), over).unwrap();
    assert!(server.node("/mine").is_none());
}
