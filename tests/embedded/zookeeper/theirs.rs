//! The crate `zookeeper`, which knows nothing of this library.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use samsa::embedded::zookeeper::{Options, Server};
use zookeeper::{Acl, CreateMode, WatchedEvent, WatchedEventType, ZkError, ZooKeeper};

use super::soon;

const PATIENCE: Duration = Duration::from_secs(30);

fn connect(server: &Server, timeout: Duration) -> ZooKeeper {
    let client = ZooKeeper::connect(&server.address(), timeout, |_: WatchedEvent| {});
    client.expect("connected")
}

fn client(server: &Server) -> ZooKeeper {
    connect(server, Duration::from_secs(10))
}

fn make(client: &ZooKeeper, path: &str, data: &[u8], mode: CreateMode) -> Result<String, ZkError> {
    client.create(path, data.to_vec(), Acl::open_unsafe().clone(), mode)
}

/// A watcher and what it hears.
fn listener() -> (impl Fn(WatchedEvent) + Send + 'static, Receiver<(WatchedEventType, String)>) {
    let (sender, events) = channel();
    let tell = move |event: WatchedEvent| {
        let _listening = sender.send((event.event_type, event.path.unwrap_or_default()));
    };
    (tell, events)
}

fn next(events: &Receiver<(WatchedEventType, String)>) -> (WatchedEventType, String) {
    events.recv_timeout(PATIENCE).expect("an event")
}

#[test]
fn nodes_are_made_read_changed_listed_and_deleted() {
    let server = Server::start().unwrap();
    let client = client(&server);
    assert_eq!(make(&client, "/a", b"one", CreateMode::Persistent).unwrap(), "/a");
    let again = make(&client, "/a", b"", CreateMode::Persistent);
    assert_eq!(again.unwrap_err(), ZkError::NodeExists);
    assert_eq!(make(&client, "/x/y", b"", CreateMode::Persistent).unwrap_err(), ZkError::NoNode);
    let (data, stat) = client.get_data("/a", false).unwrap();
    assert_eq!((&data[..], stat.version, stat.data_length), (&b"one"[..], 0, 3));
    assert_eq!(client.set_data("/a", b"two".to_vec(), Some(0)).unwrap().version, 1);
    let stale = client.set_data("/a", b"three".to_vec(), Some(0));
    assert_eq!(stale.unwrap_err(), ZkError::BadVersion);
    let numbered = make(&client, "/a/n", b"", CreateMode::PersistentSequential).unwrap();
    assert_eq!(numbered, "/a/n0000000000");
    assert_eq!(client.delete("/a", None).unwrap_err(), ZkError::NotEmpty);
    assert_eq!(client.get_children("/a", false).unwrap(), ["n0000000000"]);
    client.delete(&numbered, Some(0)).unwrap();
    assert_eq!(client.exists("/a", false).unwrap().unwrap().cversion, 2);
    client.delete("/a", None).unwrap();
    assert!(client.exists("/a", false).unwrap().is_none());
    client.add_auth("digest", b"samsa:samsa".to_vec()).unwrap();
    assert_eq!(client.get_children("/", false).unwrap(), ["zookeeper"]);
}

#[test]
fn watches_fire_once_each_for_what_was_watched() {
    let server = Server::start().unwrap();
    let (watching, acting) = (client(&server), client(&server));
    let (tell, events) = listener();
    assert!(watching.exists_w("/a", tell).unwrap().is_none());
    make(&acting, "/a", b"", CreateMode::Persistent).unwrap();
    assert_eq!(next(&events), (WatchedEventType::NodeCreated, "/a".to_owned()));
    let (tell, children) = listener();
    watching.get_children_w("/a", tell).unwrap();
    let (tell, data) = listener();
    watching.get_data_w("/a", tell).unwrap();
    make(&acting, "/a/b", b"", CreateMode::Persistent).unwrap();
    assert_eq!(next(&children), (WatchedEventType::NodeChildrenChanged, "/a".to_owned()));
    acting.set_data("/a", b"new".to_vec(), None).unwrap();
    assert_eq!(next(&data), (WatchedEventType::NodeDataChanged, "/a".to_owned()));
    assert_eq!(server.watches(), 0, "each fired once");
}

#[test]
fn ephemeral_nodes_go_with_their_session_whether_it_is_closed_or_expires() {
    let server = Server::start().unwrap();
    let (watching, acting) = (client(&server), client(&server));
    make(&acting, "/mine", b"", CreateMode::Ephemeral).unwrap();
    let below = make(&acting, "/mine/too", b"", CreateMode::Persistent);
    assert_eq!(below.unwrap_err(), ZkError::NoChildrenForEphemerals);
    let (tell, events) = listener();
    watching.exists_w("/mine", tell).unwrap().expect("it is there");
    acting.close().unwrap();
    assert_eq!(next(&events), (WatchedEventType::NodeDeleted, "/mine".to_owned()));

    let short = connect(&server, Duration::from_millis(400));
    make(&short, "/mine", b"", CreateMode::Ephemeral).unwrap();
    let owner = server.node("/mine").unwrap().owner.unwrap();
    let (tell, events) = listener();
    watching.exists_w("/mine", tell).unwrap().expect("it is there");
    // Nothing of it is heard any more: its own time ends it.
    server.silence(Some(owner));
    assert_eq!(next(&events), (WatchedEventType::NodeDeleted, "/mine".to_owned()));
    assert!(!server.sessions().contains(&owner));
}

#[test]
fn a_session_is_kept_by_pings_and_taken_up_again_after_a_broken_connection() {
    let server = Server::start_with(Options {
        session_timeout: Duration::from_millis(300)..=Duration::from_secs(1),
        ..Options::default()
    })
    .unwrap();
    let client = connect(&server, Duration::from_secs(10));
    make(&client, "/mine", b"", CreateMode::Ephemeral).unwrap();
    let owner = server.node("/mine").unwrap().owner;
    server.close_connections(None);
    // Until its connection is back the crate fails what it is asked.
    let back = soon();
    while client.exists("/mine", false).is_err() {
        assert!(std::time::Instant::now() < back, "never connected again");
        std::thread::yield_now();
    }
    assert_eq!(server.sessions().len(), 1, "the same session");
    assert_eq!(server.node("/mine").unwrap().owner, owner);
}
