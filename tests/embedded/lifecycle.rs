//! Brokers start, stop and leave nothing behind.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use samsa::embedded::{Cluster, Fault, FaultKind};
use samsa::protocol::modern::ApiKey;
use samsa::protocol::modern::messages::fetch::FetchRequest;
use samsa::protocol::modern::messages::metadata::MetadataRequest;

use crate::peer::{PATIENCE, Peer, batch, fetch_request, one_topic, soon};

fn refuses(address: std::net::SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, PATIENCE).is_err()
}

#[test]
fn dropping_a_cluster_closes_its_ports_and_connections() {
    let cluster = Cluster::start(3).unwrap();
    let addresses: Vec<_> = (0..3).map(|b| cluster.broker_address(b).unwrap()).collect();
    let mut peer = Peer::connect(addresses[1]);
    peer.metadata(&[]);
    assert_eq!((cluster.connections(None), cluster.connections(Some(0))), (1, 0));
    drop(cluster);
    assert!(peer.is_closed_without_a_byte());
    assert!(addresses.into_iter().all(refuses));
}

#[test]
fn a_stop_does_not_wait_for_fetches_that_wait() {
    let cluster = one_topic();
    let mut peer = Peer::of(&cluster, 0);
    peer.send(11, &FetchRequest { max_wait_ms: 300_000, ..fetch_request("t", 0) });
    cluster.wait_requests(ApiKey::Fetch, 1, soon()).unwrap();
    cluster.stop();
    assert_eq!(cluster.connections(None), 0);
    assert!(peer.is_closed_without_a_byte());
    cluster.stop();
}

#[test]
fn a_stopped_broker_refuses_and_its_partitions_go_to_the_next_replica() {
    let cluster = Cluster::start(3).unwrap();
    cluster.create_topic("t", 3).unwrap();
    let address = cluster.broker_address(0).unwrap();
    let mut peer = Peer::connect(address);
    peer.produce("t", batch(&["kept"]));
    cluster.stop_broker(0).unwrap();
    assert!(peer.is_closed_without_a_byte() && refuses(address));
    assert_eq!(cluster.leader("t", 0).unwrap(), (1, 1));
    assert_eq!(cluster.leader("t", 1).unwrap(), (1, 0), "not its own");
    let described = Peer::of(&cluster, 1).metadata(&["t"]);
    let ids: Vec<_> = described.brokers.iter().map(|b| b.node_id).collect();
    assert_eq!(ids, [1, 2]);
    assert_eq!(described.topics[0].partitions[0].isr_nodes, [1, 2]);
    assert_eq!(described.topics[0].partitions[0].offline_replicas, [0]);
    cluster.start_broker(0).unwrap();
    assert_eq!(cluster.broker_address(0).unwrap(), address, "the same port");
    assert_eq!(Peer::connect(address).metadata(&["t"]).brokers.len(), 3);
    assert_eq!(cluster.leader("t", 0).unwrap(), (1, 1), "leadership stays where it went");
    assert!(!Peer::of(&cluster, 1).fetch("t", 0).records.unwrap().is_empty());
}

#[test]
fn a_partition_whose_only_replica_stopped_has_no_leader_until_it_is_back() {
    let cluster = Cluster::start(2).unwrap();
    cluster.set("default.replication.factor", "1").unwrap();
    cluster.create_topic("t", 1).unwrap();
    cluster.stop_broker(0).unwrap();
    assert_eq!(cluster.leader("t", 0).unwrap(), (-1, 1));
    let partition = &Peer::of(&cluster, 1).metadata(&["t"]).topics[0].partitions[0];
    assert_eq!((partition.error_code, partition.leader_id), (5, -1));
    cluster.start_broker(0).unwrap();
    cluster.start_broker(0).unwrap();
    assert_eq!(cluster.leader("t", 0).unwrap(), (0, 2));
}

#[test]
fn connections_can_be_cut_while_the_broker_goes_on() {
    let cluster = Cluster::start(2).unwrap();
    let (mut first, mut second) = (Peer::of(&cluster, 0), Peer::of(&cluster, 1));
    first.metadata(&[]);
    second.metadata(&[]);
    cluster.close_connections(Some(0)).unwrap();
    assert!(first.is_closed_without_a_byte());
    second.metadata(&[]);
    Peer::of(&cluster, 0).metadata(&[]);
}

#[test]
fn many_clusters_come_and_go() {
    for brokers in 1..=20 {
        let cluster = Cluster::start(brokers).unwrap();
        let last = i32::try_from(brokers).unwrap() - 1;
        assert_eq!(Peer::of(&cluster, last).metadata(&[]).brokers.len(), brokers);
    }
    assert!(Cluster::start(0).is_err() && Cluster::start(101).is_err());
}

#[test]
fn a_peer_that_leaves_while_its_fetch_waits_or_its_answer_is_held_back_is_noticed() {
    let cluster = one_topic();
    let mut peer = Peer::of(&cluster, 0);
    peer.send(11, &FetchRequest { max_wait_ms: 300_000, ..fetch_request("t", 0) });
    cluster.wait_requests(ApiKey::Fetch, 1, soon()).unwrap();
    drop(peer);
    let fault = cluster.inject(Fault::new(FaultKind::Delay(300_000)).api(ApiKey::Metadata));
    let mut peer = Peer::of(&cluster, 0);
    peer.send(9, &MetadataRequest::default());
    cluster.wait_injected(fault, 1, soon()).unwrap();
    drop(peer);
    let deadline = soon();
    while cluster.connections(None) > 0 {
        assert!(std::time::Instant::now() < deadline, "the connection is still there");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

#[test]
fn an_ask_for_what_is_not_there_is_an_error() {
    let cluster = one_topic();
    let code = |result: samsa::Result<()>| result.unwrap_err().code();
    assert_eq!(code(cluster.stop_broker(7)), samsa::Code::INVALID_ARGUMENT);
    assert_eq!(code(cluster.move_leader("t", 0, 7)), samsa::Code::INVALID_ARGUMENT);
    assert_eq!(code(cluster.move_leader("t", 9, 0)), samsa::Code::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(code(cluster.delete_topic("u")), samsa::Code::UNKNOWN_TOPIC_OR_PARTITION);
    let past = std::time::Instant::now();
    assert_eq!(code(cluster.wait_requests(ApiKey::Produce, 1, past)), samsa::Code::TIMED_OUT);
}

#[test]
fn connections_made_while_others_are_cut_do_not_hold_up_the_cut() {
    let cluster = one_topic();
    let address = cluster.broker_address(0).unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                drop(TcpStream::connect_timeout(&address, PATIENCE));
            }
        });
        let cuts: Vec<_> = (0..2_000).map(|_| cluster.close_connections(Some(0))).collect();
        over.store(true, Ordering::Relaxed);
        assert!(cuts.into_iter().all(|cut| cut.is_ok()));
    });
}

#[test]
fn a_broker_that_is_started_and_stopped_at_once_ends_up_as_one_of_them() {
    let cluster = Cluster::start(1).unwrap();
    let address = cluster.broker_address(0).unwrap();
    for round in 0..300 {
        std::thread::scope(|scope| {
            scope.spawn(|| drop(cluster.start_broker(0)));
            scope.spawn(|| cluster.stop_broker(0).unwrap());
        });
        cluster.stop_broker(0).unwrap();
        let refused = TcpStream::connect_timeout(&address, PATIENCE).is_err();
        assert!(refused, "round {round}: a stopped broker listens");
        cluster.start_broker(0).unwrap_or_else(|error| panic!("round {round}: {error}"));
    }
    Peer::connect(address).metadata(&[]);
}

/// A child that only holds what it inherited, until this is dropped.
struct Child(libc::pid_t);

impl Child {
    #[allow(unsafe_code, reason = "fork")]
    fn fork() -> Self {
        // SAFETY: the child makes system calls only, and ends by itself when the test hangs.
        unsafe {
            let child = libc::fork();
            assert!(child >= 0, "fork failed");
            if child == 0 {
                libc::alarm(60);
                loop {
                    libc::pause();
                }
            }
            Self(child)
        }
    }
}

impl Drop for Child {
    #[allow(unsafe_code, reason = "the end of the child")]
    fn drop(&mut self) {
        // SAFETY: our own child, waited for once.
        unsafe {
            libc::kill(self.0, libc::SIGKILL);
            libc::waitpid(self.0, std::ptr::null_mut(), 0);
        }
    }
}

#[test]
fn a_stop_is_seen_outside_although_a_forked_child_holds_the_sockets() {
    let cluster = one_topic();
    let address = cluster.broker_address(0).unwrap();
    let mut peer = Peer::connect(address);
    peer.metadata(&["t"]);
    let _child = Child::fork();
    cluster.stop_broker(0).unwrap();
    assert!(peer.is_closed_without_a_byte());
    assert!(TcpStream::connect_timeout(&address, PATIENCE).is_err(), "nobody listens");
    cluster.start_broker(0).unwrap();
    Peer::connect(address).metadata(&["t"]);
}
