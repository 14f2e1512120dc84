//! What a cluster of 0.7 does while nothing happens.

use std::io::{BufRead, BufReader, Read, Write, stdin};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use samsa::cluster::Cluster;
use samsa::config::Config;
use samsa::consumer::{Callbacks, Consumer};

use super::rig::{Rig, known, soon};

/// Where the process of its own finds its ZooKeeper: its I/O thread serves nothing else.
const ADDRESS: &str = "SAMSA_IDLE_CLUSTER";

/// Whether it is a member of a group besides.
const MEMBER: &str = "SAMSA_IDLE_MEMBER";

#[test]
fn the_cluster_that_the_next_test_watches() {
    // By itself it is none.
    let Ok(address) = std::env::var(ADDRESS) else { return };
    let mut config = Config::new();
    config.set("zookeeper.connect", &address).expect("a property");
    config.set("zookeeper.session.timeout.ms", "3000").expect("a property");
    let cluster = Cluster::open(&config).expect("opened");
    cluster.wait_ready(Some(soon())).expect("found");
    let topic = known(&cluster, "t");
    // Of a topic that nobody has written to: brokers of 0.7 would have to be asked for messages.
    let member = std::env::var(MEMBER).is_ok().then(|| {
        let topic = known(&cluster, "unwritten");
        let callbacks = Callbacks::default();
        Consumer::subscribe_in_group(&cluster, &topic, "g", callbacks, Some(Some(soon())))
            .expect("a member")
    });
    println!("| ready");
    stdin().read_to_end(&mut Vec::new()).expect("until it is told to end");
    drop((topic, member));
    cluster.close(Some(soon())).expect("closed");
}

/// What has passed between a client and its ZooKeeper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    connections: u64,
    requests: u64,
    pings: u64,
}

#[derive(Debug, Default)]
struct Seen {
    counts: Mutex<Counts>,
    changed: Condvar,
}

impl Seen {
    fn note(&self, what: impl FnOnce(&mut Counts)) {
        what(&mut self.counts.lock().expect("counted"));
        self.changed.notify_all();
    }

    /// Waits for so many pings more; gives all that was seen so far.
    fn wait_pings(&self, more: u64) -> Counts {
        let counts = self.counts.lock().expect("counted");
        let wanted = counts.pings + more;
        let patience = soon().saturating_duration_since(Instant::now());
        let waited = self.changed.wait_timeout_while(counts, patience, |seen| seen.pings < wanted);
        let (counts, timed_out) = waited.expect("counted");
        assert!(!timed_out.timed_out(), "{counts:?}");
        *counts
    }
}

/// Stands before a ZooKeeper and counts; its address.
fn count(zookeeper: String) -> (Arc<Seen>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    let seen = Arc::new(Seen::default());
    let counting = Arc::clone(&seen);
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = TcpStream::connect(&zookeeper) else { continue };
            counting.note(|seen| seen.connections += 1);
            let (mut back, mut to) = (server.try_clone().expect("dup"), client.try_clone());
            std::thread::spawn(move || std::io::copy(&mut back, to.as_mut().expect("dup")));
            let counting = Arc::clone(&counting);
            std::thread::spawn(move || pass(client, server, &counting));
        }
    });
    (seen, address)
}

/// Passes frames on to the server.
fn pass(mut client: TcpStream, mut server: TcpStream, seen: &Seen) -> std::io::Result<()> {
    loop {
        let mut size = [0; 4];
        client.read_exact(&mut size)?;
        let mut frame = vec![0; u32::from_be_bytes(size) as usize];
        client.read_exact(&mut frame)?;
        server.write_all(&[&size[..], &frame].concat())?;
        // A ping is its number, −2, and nothing besides the kind.
        let is_ping = frame.len() == 8 && frame[..4] == (-2_i32).to_be_bytes();
        seen.note(|seen| match is_ping {
            true => seen.pings += 1,
            false => seen.requests += 1,
        });
    }
}

/// How often the library's threads of a process have waited for something.
fn waits(process: &Child) -> u64 {
    let tasks = format!("/proc/{}/task", process.id());
    let mut waits = 0;
    for task in std::fs::read_dir(tasks).expect("its threads").flatten() {
        let read = |name| std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
        if read("comm").starts_with("samsa-") {
            let status = read("status");
            let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"));
            let number = line.and_then(|line| line.split_whitespace().nth(1));
            waits += number.and_then(|number| number.parse::<u64>().ok()).expect("a count");
        }
    }
    waits
}

#[test]
fn an_idle_cluster_wakes_for_its_pings_and_for_nothing_else() {
    wakes_for_pings_alone(&[], 1);
}

#[test]
fn an_idle_member_of_a_group_wakes_for_the_pings_of_its_two_sessions_and_for_nothing_else() {
    wakes_for_pings_alone(&[(MEMBER, "yes")], 2);
}

fn wakes_for_pings_alone(environment: &[(&str, &str)], sessions: u64) {
    let rig = Rig::start(2, 2);
    rig.register_topic("t", 0, 2);
    let (seen, address) = count(rig.zookeeper.address());
    let mut process = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "idle::the_cluster_that_the_next_test_watches", "--nocapture"])
        .env(ADDRESS, address)
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    // Kept: the program's harness has a last word.
    let mut said = BufReader::new(process.stdout.take().expect("piped")).lines();
    let is_ready = said.by_ref().map_while(Result::ok).any(|line| line.contains("| ready"));
    assert!(is_ready, "it has found its cluster");
    // A connection that a busy machine has cost makes another window necessary.
    let woken = loop {
        let (first, before) = (seen.wait_pings(1), waits(&process));
        let (last, after) = (seen.wait_pings(3 * sessions), waits(&process));
        if (first.connections, first.requests) == (last.connections, last.requests) {
            break after - before;
        }
    };
    // For each of three the clock, which looks on its way to a second, and the answer. Two sessions may
    // share a wake-up.
    assert!(
        (3..=15 * sessions).contains(&woken),
        "{woken} wake-ups for {sessions} times three pings"
    );
    drop(process.stdin.take());
    assert!(process.wait().expect("ended").success());
}
