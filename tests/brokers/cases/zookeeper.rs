//! The ZooKeeper client and discovery on real ZooKeepers, read back by another client.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use samsa::config::{Config, Ensemble as Servers, ZooKeeperAuth};
use samsa::discovery::zookeeper::{Session, Settings, Status, ZooKeeper};
use samsa::log::Logger;
use samsa::net::Backoff;
use samsa::runtime::Runtime;
use zookeeper::{Acl, CreateMode, WatchedEvent};

use super::{
    group_zookeeper as group, legacy, zookeeper_discovery as discovery,
    zookeeper_session as session,
};
use crate::alone::Failed;
use crate::harness::ensemble::{Ensemble, LINES, Line};

/// One thing that must hold on every line of ZooKeeper.
type Case = (&'static str, fn(&Place));

const CASES: &[Case] = &[
    ("what_we_write_is_read_back_by_another_client", session::read_back),
    ("watches_tell_every_kind_of_change", session::watches),
    ("digest_authentication_opens_what_is_closed_to_others", session::digest),
    ("a_node_is_claimed_by_one_session", session::claims),
    ("a_short_loss_keeps_the_session_and_misses_no_change", session::short_loss),
    ("an_expired_session_is_replaced_and_told", session::expiry),
    ("a_silent_server_does_not_hold_up_close", session::silent_close),
    ("a_path_that_does_not_exist_is_told_at_once", discovery::missing_chroot),
    ("brokers_come_change_and_go_as_they_register", discovery::live_brokers),
    ("partitions_appear_as_zookeeper_shows_them", discovery::live_partitions),
    ("a_lost_zookeeper_leaves_the_brokers_usable", discovery::zookeeper_away),
    ("kafka_0_7_is_recognised_and_followed", discovery::legacy),
    ("clusters_and_groups_on_nodes_that_are_closed_to_others_need_the_password", legacy::closed),
    ("every_publish_to_0_7_is_written_while_brokers_die", legacy::publishing),
    ("a_topic_of_0_7_is_virtual_until_it_is_written_to", legacy::virtual_partitions),
    ("brokers_of_0_7_register_themselves_as_0_7_does", legacy::registration),
    ("groups_on_0_7_miss_nothing_while_brokers_die", legacy::groups),
    ("the_programs_publish_to_0_7_and_consume_from_it", legacy::programs),
    ("the_cluster_program_follows_what_changes", discovery::program_follows),
    ("a_child_after_fork_opens_its_own_cluster", discovery::fork),
    ("what_a_group_member_writes_is_read_back_by_another_client", group::read_back),
    ("a_group_member_in_silence_stops_before_another_begins", group::silence),
    ("group_members_that_come_and_go_at_once_agree", group::many),
];

/// A name, how many servers it wants, and what is done to them.
type OwnCase = (&'static str, usize, fn(&mut Ensemble));

/// Those that end servers have an ensemble of their own.
const OWN: &[OwnCase] = &[
    ("a_restarted_server_keeps_session_and_watches", 1, session::restart),
    ("killing_the_connected_server_keeps_session_and_watches", 3, session::failover),
];

/// A fresh path on a shared server.
pub struct Place {
    /// The server, `host:port`.
    pub server: String,
    /// A path that is there and empty.
    pub path: String,
}

impl Place {
    /// For `zookeeper.connect`.
    pub fn connect(&self) -> String {
        self.through(&self.server)
    }

    /// The same place behind another address.
    pub fn through(&self, server: &str) -> String {
        format!("{server}{}", self.path)
    }

    /// Another client of the same server; paths are from the root.
    pub fn witness(&self) -> Witness {
        Witness::new(&self.server, &self.path)
    }
}

/// Every trial, by line: `zookeeper-3.9.4::…`.
pub fn trials(failed: &Failed) -> Vec<Trial> {
    let mut trials = Vec::new();
    for line in &LINES {
        let shared: Arc<OnceLock<Ensemble>> = Arc::default();
        for &(name, run) in CASES {
            let shared = Arc::clone(&shared);
            trials.push(failed.trial(of(line, name), move || run(&place(&shared, line))));
        }
        for &(name, servers, run) in OWN {
            let run = move || run(&mut Ensemble::start(line, servers));
            trials.push(failed.trial(of(line, name), run));
        }
    }
    trials
}

fn of(line: &Line, name: &str) -> String {
    format!("zookeeper-{}::{name}", line.version)
}

fn place(shared: &OnceLock<Ensemble>, line: &'static Line) -> Place {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let server = shared.get_or_init(|| Ensemble::start(line, 1)).address();
    let path = format!("/case-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    Witness::new(&server, "").create(&path, b"");
    Place { server, path }
}

/// The client that somebody else wrote.
pub struct Witness {
    client: zookeeper::ZooKeeper,
    path: String,
}

impl Witness {
    /// Connects; paths are below `path`.
    pub fn new(server: &str, path: &str) -> Witness {
        let ignore = |_: WatchedEvent| {};
        let client = zookeeper::ZooKeeper::connect(server, Duration::from_secs(4), ignore);
        let client = client.expect("the witness connects");
        let answers = crate::harness::process::wait_until(PATIENCE, || {
            client.exists("/", false).is_ok_and(|stat| stat.is_some())
        });
        assert!(answers, "the witness gets no answer");
        Witness { client, path: path.to_owned() }
    }

    /// Makes a persistent node.
    pub fn create(&self, path: &str, data: &[u8]) {
        self.create_with(path, data, CreateMode::Persistent);
    }

    /// Makes a node.
    pub fn create_with(&self, path: &str, data: &[u8], mode: CreateMode) {
        let acl = Acl::open_unsafe().clone();
        self.client.create(&self.full(path), data.to_vec(), acl, mode).expect("a new node");
    }

    /// Makes persistent nodes down to this one.
    pub fn ensure(&self, path: &str) {
        let ends = path.char_indices().skip(1).filter(|(_, c)| *c == '/').map(|(at, _)| at);
        for end in ends.chain([path.len()]) {
            let node = self.full(&path[..end]);
            let acl = Acl::open_unsafe().clone();
            let _ = self.client.create(&node, Vec::new(), acl, CreateMode::Persistent);
        }
    }

    /// A node's data and the session that owns it.
    pub fn get(&self, path: &str) -> Option<(Vec<u8>, i64)> {
        let node = self.client.get_data(&self.full(path), false).ok()?;
        Some((node.0, node.1.ephemeral_owner))
    }

    /// Changes a node's data.
    pub fn set(&self, path: &str, data: &[u8]) {
        self.client.set_data(&self.full(path), data.to_vec(), None).expect("a changed node");
    }

    /// Deletes a node.
    pub fn delete(&self, path: &str) {
        self.client.delete(&self.full(path), None).expect("a deleted node");
    }

    /// The names of a node's children, sorted.
    pub fn children(&self, path: &str) -> Vec<String> {
        let mut names = self.client.get_children(&self.full(path), false).unwrap_or_default();
        names.sort();
        names
    }

    /// Makes a node that only this user may do anything with.
    pub fn create_closed(&self, path: &str, data: &[u8], user: &str) {
        self.client.add_auth("digest", user.as_bytes().to_vec()).expect("authenticated");
        let acl = Acl::creator_all().clone();
        let path = self.full(path);
        self.client.create(&path, data.to_vec(), acl, CreateMode::Persistent).expect("a node");
    }

    fn full(&self, path: &str) -> String {
        format!("{}{path}", self.path)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.client.close();
    }
}

/// Longer than anything takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The end of a wait that is not meant to be reached.
pub fn soon() -> Instant {
    Instant::now() + PATIENCE
}

/// A client of the library with a session time-out of 2 s.
pub fn client(connect: &str) -> ZooKeeper {
    client_of(connect, None)
}

/// The same, as this user.
pub fn client_of(connect: &str, user: Option<&str>) -> ZooKeeper {
    client_with(connect, user, Duration::from_secs(2))
}

/// The same, with this session time-out.
pub fn client_with(connect: &str, user: Option<&str>, session_timeout: Duration) -> ZooKeeper {
    let auth = user
        .map(|user| ZooKeeperAuth { scheme: "digest".to_owned(), credentials: user.to_owned() });
    let settings = Settings {
        ensemble: Servers::parse(connect).expect("zookeeper.connect"),
        session_timeout,
        connection_timeout: Duration::from_secs(6),
        auth,
        reconnect: Backoff { first: Duration::from_millis(20), most: Duration::from_millis(200) },
    };
    ZooKeeper::start(settings, Runtime::get(None).expect("threads"), &Logger::none())
}

/// A client and its first session.
pub async fn connected(connect: &str) -> (ZooKeeper, Session) {
    let zookeeper = client(connect);
    let session = zookeeper.session(soon()).await.expect("a session");
    (zookeeper, session)
}

/// Waits until the session stands as `wanted` says.
pub async fn wait_status(zookeeper: &ZooKeeper, what: &str, wanted: impl Fn(&Status) -> bool) {
    let mut status = zookeeper.status();
    let waited = tokio::time::timeout(PATIENCE, status.wait_for(|status| wanted(status))).await;
    assert!(waited.is_ok_and(|status| status.is_ok()), "never: {what}");
}

/// Runs a task of a test.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

/// A configuration with nothing but this ZooKeeper.
pub fn config(connect: &str, options: &[(&str, &str)]) -> Config {
    let mut config = Config::new();
    config.set("zookeeper.connect", connect).expect("zookeeper.connect");
    config.set("zookeeper.session.timeout.ms", "2000").expect("a time-out");
    for (name, value) in options {
        config.set(name, value).expect(name);
    }
    config
}
