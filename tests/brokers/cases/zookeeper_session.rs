//! A session on real servers: what is written, watched, claimed, lost and found again.

use std::time::{Duration, Instant};

use samsa::discovery::zookeeper::{Claim, Failure, Phase, Session, WatchEvent, Watcher, Watches};
use samsa::protocol::zookeeper::{CreateMode, ErrorCode, EventKind};

use super::zookeeper::{
    PATIENCE, Place, client_of, client_with, connected, run, soon, wait_status,
};
use crate::harness::ensemble::Ensemble;
use crate::harness::process::wait_until;
use crate::harness::proxy::Proxy;

/// Every kind of node and change, seen by a client that somebody else wrote.
pub fn read_back(place: &Place) {
    let witness = place.witness();
    run(async {
        let (zookeeper, session) = connected(&place.connect()).await;
        session.ensure("/a/b/c", soon()).await.expect("parents");
        session.ensure("/a/b/c", soon()).await.expect("doing it twice is as good as once");
        assert_eq!(witness.children("/a/b"), ["c"]);

        let own = session.create("/a/own", b"mine", CreateMode::Ephemeral, soon()).await;
        assert_eq!(own.expect("a node"), "/a/own", "paths are below the chroot");
        assert_eq!(witness.get("/a/own"), Some((b"mine".to_vec(), session.id())));

        for mode in [CreateMode::PersistentSequential, CreateMode::EphemeralSequential] {
            let path = session.create("/a/n-", b"", mode, soon()).await.expect("a numbered node");
            let number = path.strip_prefix("/a/n-").expect("its own prefix");
            assert!(number.len() == 10 && number.bytes().all(|b| b.is_ascii_digit()), "{path}");
            let owner = witness.get(&path).expect("it is there").1;
            assert_eq!(owner != 0, mode == CreateMode::EphemeralSequential, "{path}");
        }

        let (data, stat) = session.get("/a/own", None, soon()).await.expect("its data");
        assert_eq!(
            (&data[..], stat.version, stat.ephemeral_owner),
            (&b"mine"[..], 0, session.id())
        );
        let changed = session.set("/a/own", b"new", 0, soon()).await.expect("a change");
        assert_eq!(changed.version, 1);
        let late = session.set("/a/own", b"late", 0, soon()).await.expect_err("an old version");
        assert!(late.is(ErrorCode::BAD_VERSION), "{late:?}");
        assert_eq!(witness.get("/a/own").expect("it is there").0, b"new");

        let full = session.delete("/a", -1, soon()).await.expect_err("it has children");
        assert!(full.is(ErrorCode::NOT_EMPTY), "{full:?}");
        let late = session.delete("/a/own", 0, soon()).await.expect_err("an old version");
        assert!(late.is(ErrorCode::BAD_VERSION), "{late:?}");
        session.delete("/a/own", 1, soon()).await.expect("deleted");
        assert!(session.delete("/a/own", -1, soon()).await.expect_err("gone").is_no_node());
        assert_eq!(session.exists("/a/own", None, soon()).await.expect("an answer"), None);
        assert_eq!(witness.get("/a/own"), None);

        witness.create("/a/theirs", "\u{1f600}".as_bytes());
        session.sync(soon()).await.expect("in step");
        let (names, _) = session.children("/a", None, soon()).await.expect("names");
        assert!(names.contains(&"theirs".to_owned()), "{names:?}");

        session.create("/a/last", b"", CreateMode::Ephemeral, soon()).await.expect("a node");
        zookeeper.close(soon());
        zookeeper.closed().await;
        assert_eq!(witness.get("/a/last"), None, "the end of a session is told to the server");
    });
}

async fn next(watches: &mut Watches) -> (EventKind, String) {
    match tokio::time::timeout(PATIENCE, watches.next()).await.expect("an event in time") {
        Some(WatchEvent::Node(event)) => (event.kind, event.path),
        other => panic!("an event of a node, not {other:?}"),
    }
}

/// Changes by somebody else are heard, once each.
pub fn watches(place: &Place) {
    let witness = place.witness();
    run(async {
        let (_zookeeper, session) = connected(&place.connect()).await;
        let (watcher, mut watches) = Watcher::new();
        let watcher = Some(&watcher);
        assert_eq!(session.exists("/n", watcher, soon()).await.expect("an answer"), None);
        session.children("/", watcher, soon()).await.expect("names");
        witness.create("/n", b"1");
        let mut heard = [next(&mut watches).await, next(&mut watches).await];
        heard.sort_by_key(|(_, path)| path.len());
        let root = (EventKind::ChildrenChanged, "/".to_owned());
        assert_eq!(heard, [root, (EventKind::Created, "/n".to_owned())]);

        session.get("/n", watcher, soon()).await.expect("its data");
        witness.set("/n", b"2");
        witness.set("/n", b"3");
        assert_eq!(next(&mut watches).await, (EventKind::DataChanged, "/n".to_owned()));
        session.children("/n", watcher, soon()).await.expect("names");
        witness.create("/n/c", b"");
        assert_eq!(next(&mut watches).await, (EventKind::ChildrenChanged, "/n".to_owned()));
        witness.delete("/n/c");
        session.exists("/n", watcher, soon()).await.expect("an answer").expect("it is there");
        witness.delete("/n");
        assert_eq!(next(&mut watches).await, (EventKind::Deleted, "/n".to_owned()));
        session.sync(soon()).await.expect("in step");
        assert_eq!(watches.try_next(), None, "each watch fires once");
    });
}

/// A node for one user is closed to us without the password, and open with it.
pub fn digest(place: &Place) {
    place.witness().create_closed("/closed", b"secret", "me:pass:word");
    run(async {
        let (_zookeeper, stranger) = connected(&place.connect()).await;
        let refused = stranger.get("/closed", None, soon()).await.expect_err("not authorized");
        assert!(refused.is(ErrorCode::NO_AUTH), "{refused:?}");
        let friend = client_of(&place.connect(), Some("me:pass:word"));
        let session = friend.session(soon()).await.expect("a session");
        assert_eq!(session.get("/closed", None, soon()).await.expect("its data").0, "secret");
    });
}

/// Rule 10.5: a node that is there belongs to whoever owns it.
pub fn claims(place: &Place) {
    run(async {
        let (first, one) = connected(&place.connect()).await;
        let (_second, two) = connected(&place.connect()).await;
        assert_eq!(one.claim("/o", b"one", soon()).await.expect("a claim"), Claim::Mine);
        assert_eq!(one.claim("/o", b"one", soon()).await.expect("again"), Claim::Mine);
        let Claim::Held { owner, data } = two.claim("/o", b"two", soon()).await.expect("an answer")
        else {
            panic!("it is held")
        };
        assert_eq!((owner, &data[..]), (one.id(), &b"one"[..]));
        first.close(soon());
        first.closed().await;
        assert_eq!(two.claim("/o", b"two", soon()).await.expect("a claim"), Claim::Mine);
    });
}

/// Makes what must survive: a node of the session and a watch on `/seen`.
async fn prepare(session: &Session, watcher: &Watcher) {
    session.create("/own", b"", CreateMode::Ephemeral, soon()).await.expect("a node");
    session.ensure("/seen", soon()).await.expect("a node");
    session.get("/seen", Some(watcher), soon()).await.expect("its data");
    session.children("/seen", Some(watcher), soon()).await.expect("its children");
}

/// Cut off for less than the time-out while something changes: the same session, and the change is told.
pub fn short_loss(place: &Place) {
    let (witness, proxy) = (place.witness(), Proxy::before(&place.server));
    run(async {
        let (zookeeper, session) = connected(&place.through(&proxy.address())).await;
        let (watcher, mut watches) = Watcher::new();
        prepare(&session, &watcher).await;
        proxy.set_cut(true);
        wait_status(&zookeeper, "suspended", |status| !status.is_connected()).await;
        witness.set("/seen", b"changed");
        proxy.set_cut(false);
        assert_eq!(next(&mut watches).await, (EventKind::DataChanged, "/seen".to_owned()));
        let again = zookeeper.session(soon()).await.expect("a session");
        assert_eq!((again.id(), again.number()), (session.id(), 1));
        assert_eq!(witness.get("/own").expect("our node").1, session.id());
        // The watch that did not fire is there too.
        witness.create("/seen/child", b"");
        assert_eq!(next(&mut watches).await, (EventKind::ChildrenChanged, "/seen".to_owned()));
    });
}

/// Silent for longer than the time-out: everybody is told, and a new session serves.
pub fn expiry(place: &Place) {
    let (witness, proxy) = (place.witness(), Proxy::before(&place.server));
    run(async {
        // A third of it is how late a busy machine may be.
        let lasts = Duration::from_secs(6);
        let zookeeper = client_with(&place.through(&proxy.address()), None, lasts);
        let old = zookeeper.session(soon()).await.expect("a session");
        let (watcher, mut watches) = Watcher::new();
        prepare(&old, &watcher).await;
        proxy.set_silent(true);
        let begun = Instant::now();
        wait_status(&zookeeper, "suspended", |status| matches!(status.phase, Phase::Suspended))
            .await;
        // Rule 10.6: known before the session can be over.
        let known = zookeeper.confirmed().elapsed();
        assert!(begun.elapsed() < old.timeout() && known < old.timeout(), "{known:?}");
        let gone = wait_until(PATIENCE, || witness.get("/own").is_none());
        assert!(gone, "the server ends the session");
        proxy.set_silent(false);
        wait_status(&zookeeper, "a new session", |status| {
            status.session == 2 && status.is_connected()
        })
        .await;
        assert_eq!(watches.next().await, Some(WatchEvent::Expired));
        let late = old.create("/late", b"", CreateMode::Ephemeral, soon()).await;
        assert!(matches!(late, Err(Failure::Expired)), "{late:?}");
        let new = zookeeper.session(soon()).await.expect("a session");
        assert_ne!(new.id(), old.id());
        assert_eq!(new.claim("/own", b"", soon()).await.expect("a claim"), Claim::Mine);
        assert_eq!(witness.get("/own").expect("our node").1, new.id());
    });
}

/// The end is bounded although nobody answers, and so is every request.
pub fn silent_close(place: &Place) {
    let proxy = Proxy::before(&place.server);
    run(async {
        let (zookeeper, session) = connected(&place.through(&proxy.address())).await;
        proxy.set_silent(true);
        let begun = Instant::now();
        let limit = begun + Duration::from_millis(100);
        let outcome = session.get("/", None, limit).await;
        assert!(matches!(outcome, Err(Failure::Other(_))), "{outcome:?}");
        zookeeper.close(limit);
        zookeeper.closed().await;
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    });
}

/// A server that was killed and started again on its data.
pub fn restart(ensemble: &mut Ensemble) {
    // Half of the attempts go through the proxy, which counts them; the others find a closed port.
    let proxy = Proxy::before(&ensemble.address());
    let connect = format!("{},{}", ensemble.address(), proxy.address());
    survive(ensemble, &connect, |ensemble, session| {
        assert_eq!(ensemble.serving(session.id()), Some(0));
        let (before, begun) = (proxy.taken(), Instant::now());
        ensemble.kill(0);
        ensemble.restart(0);
        let tried = (proxy.taken() - before) as u128;
        // The shortest pause after a round is 20 ms, less what the jitter takes.
        let most = 2 + begun.elapsed().as_millis() / 10;
        assert!((1..=most).contains(&tried), "{tried} attempts where {most} are many");
    });
}

/// The server that a session is connected to is killed: another takes it over.
pub fn failover(ensemble: &mut Ensemble) {
    let connect = ensemble.address();
    survive(ensemble, &connect, |ensemble, session| {
        let index = ensemble.serving(session.id()).expect("a server has our connection");
        ensemble.kill(index);
    });
}

/// Whatever is done to the servers: the same session, its nodes and its watches.
fn survive(ensemble: &mut Ensemble, connect: &str, trouble: impl FnOnce(&mut Ensemble, &Session)) {
    run(async {
        // Longer than a busy machine takes to get a server going again.
        let zookeeper = client_with(connect, None, Duration::from_secs(30));
        let session = zookeeper.session(soon()).await.expect("a session");
        let (watcher, mut watches) = Watcher::new();
        prepare(&session, &watcher).await;
        trouble(ensemble, &session);
        // Whoever makes the change does not matter to the watch, so we do.
        loop {
            match session.set("/seen", b"changed", -1, soon()).await {
                Err(Failure::Lost(_)) => {}
                outcome => break outcome.map(drop).expect("a change"),
            }
        }
        assert_eq!(next(&mut watches).await, (EventKind::DataChanged, "/seen".to_owned()));
        session.ensure("/seen/child", soon()).await.expect("a node");
        assert_eq!(next(&mut watches).await, (EventKind::ChildrenChanged, "/seen".to_owned()));
        let stat = session.exists("/own", None, soon()).await.expect("an answer");
        assert_eq!(stat.expect("our node").ephemeral_owner, session.id());
        let status = zookeeper.status().borrow().clone();
        assert_eq!((status.session, status.id), (1, session.id()), "{status:?}");
    });
}
