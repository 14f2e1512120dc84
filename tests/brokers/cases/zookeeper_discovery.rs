//! A cluster that is found through a real ZooKeeper: what brokers register there is what is seen.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use samsa::cluster::{Cluster, Event};
use samsa::config::ClientConfig;
use samsa::discovery::zookeeper::{Follow, Generation, RegisteredTopic};
use samsa::discovery::{Discovery, ThroughZooKeeper};
use samsa::runtime::Runtime;
use samsa::{Code, embedded};

use super::zookeeper::{PATIENCE, Place, Witness, config, run, soon};
use crate::ground::Ground;
use crate::harness::process::{Folder, wait_until};
use crate::harness::proxy::Proxy;
use crate::programs;

/// Registers a broker of the embedded cluster as Kafka 3.9 does.
fn register(witness: &Witness, kafka: &embedded::Cluster, id: i32) {
    let address = kafka.broker_address(id).expect("a broker");
    let (host, port) = (address.ip(), address.port());
    let json = format!(
        r#"{{"features":{{}},"listener_security_protocol_map":{{"IN":"PLAINTEXT","OUT":"SSL"}},
            "endpoints":["OUT://nowhere.invalid:1","IN://{host}:{port}"],"jmx_port":-1,"port":-1,
            "host":null,"version":5,"timestamp":"1","rack":"r{id}"}}"#
    );
    witness.ensure("/brokers/ids");
    witness.create(&format!("/brokers/ids/{id}"), json.as_bytes());
}

fn unregister(witness: &Witness, id: i32) {
    witness.delete(&format!("/brokers/ids/{id}"));
}

fn kafka(brokers: usize) -> embedded::Cluster {
    embedded::Cluster::start(brokers).expect("the embedded broker")
}

fn open(connect: &str, options: &[(&str, &str)]) -> Arc<Cluster> {
    let cluster = Cluster::open(&config(connect, options)).expect("open does not wait");
    cluster.wait_ready(Some(soon())).expect("contact");
    cluster
}

/// The ids of the brokers that the cluster shows.
fn ids(cluster: &Cluster) -> Vec<i32> {
    cluster.metadata().brokers.keys().copied().collect()
}

/// Reads events until one tells of this broker or topic.
fn wait_event(cluster: &Cluster, wanted: &Event) {
    while cluster.next_event(Some(soon())).expect("an event in time") != *wanted {}
}

fn wait_ids(cluster: &Cluster, wanted: &[i32]) {
    let same = wait_until(PATIENCE, || ids(cluster) == wanted);
    assert!(same, "{:?} never became {wanted:?}", ids(cluster));
}

fn close(cluster: &Cluster) {
    cluster.close(Some(soon())).expect("close");
}

/// The error comes before the time is over, names the path, and heals when the path comes.
pub fn missing_chroot(place: &Place) {
    let (witness, kafka) = (place.witness(), kafka(1));
    let connect = format!("{}/no/such", place.connect());
    let cluster = Cluster::open(&config(&connect, &[])).expect("open does not wait");
    let error = cluster.wait_ready(Some(soon())).expect_err("there is no such path");
    assert_eq!((error.code(), error.property()), (Code::ZOOKEEPER, Some("zookeeper.connect")));
    assert!(error.message().contains(&format!("{}/no/such", place.path)), "{error}");

    witness.ensure("/no/such/brokers/ids");
    let below = Witness::new(&place.server, &format!("{}/no/such", place.path));
    register(&below, &kafka, 0);
    let healed = wait_until(PATIENCE, || cluster.wait_ready(Some(soon())).is_ok());
    assert!(healed && ids(&cluster) == [0]);
    close(&cluster);
}

/// What is registered is what is shown, at once, whatever the brokers say of each other.
pub fn live_brokers(place: &Place) {
    let (witness, kafka) = (place.witness(), kafka(2));
    register(&witness, &kafka, 0);
    let cluster = open(&place.connect(), &[]);
    wait_ids(&cluster, &[0]);
    assert_eq!(cluster.metadata().brokers[&0].rack.as_deref(), Some("r0"));

    register(&witness, &kafka, 1);
    wait_event(&cluster, &Event::Broker(1));
    wait_ids(&cluster, &[0, 1]);
    let first = cluster.metadata().incarnations[&1];
    let object = cluster.broker(1).expect("a broker");

    unregister(&witness, 1);
    wait_event(&cluster, &Event::Broker(1));
    wait_ids(&cluster, &[0]);
    assert!(cluster.broker(1).is_none());

    register(&witness, &kafka, 1);
    wait_event(&cluster, &Event::Broker(1));
    wait_ids(&cluster, &[0, 1]);
    let second = cluster.metadata().incarnations[&1];
    assert!(second > first, "one that comes back is another one: {first}, {second}");
    let again = cluster.broker(1).expect("a broker");
    assert!(Arc::ptr_eq(&object, &again), "with the connections of before (rule 1.13)");

    for id in 0..2 {
        unregister(&witness, id);
    }
    wait_ids(&cluster, &[]);
    close(&cluster);
}

/// A topic that grows, and one that is new, are seen without waiting for `metadata.max.age.ms`.
pub fn live_partitions(place: &Place) {
    let (witness, kafka) = (place.witness(), kafka(1));
    register(&witness, &kafka, 0);
    kafka.create_topic("grows", 1).expect("a topic");
    witness.ensure("/brokers/topics");
    witness.create("/brokers/topics/grows", br#"{"version":1,"partitions":{"0":[0]}}"#);

    let cluster = open(&place.connect(), &[]);
    let topic = cluster.topic("grows").expect("a name");
    let count = || topic.metadata().map_or(0, |metadata| metadata.partitions.len());
    cluster.wait_topic(&topic, Some(soon())).expect("its metadata");
    assert_eq!(count(), 1);
    // ZooKeeper first: the brokers learn of it a moment later.
    witness.set("/brokers/topics/grows", br#"{"version":1,"partitions":{"0":[0],"1":[0]}}"#);
    kafka.grow_topic("grows", 2).expect("a partition");
    assert!(wait_until(PATIENCE, || count() == 2), "the second partition is never seen");
    close(&cluster);

    let all = open(&place.connect(), &[("samsa.events", "topics")]);
    kafka.create_topic("new", 1).expect("a topic");
    witness.create("/brokers/topics/new", br#"{"version":1,"partitions":{"0":[0]}}"#);
    wait_event(&all, &Event::Topic(Arc::from("new")));
    close(&all);
}

/// Without ZooKeeper the brokers' own word counts; with it again, the registry's.
pub fn zookeeper_away(place: &Place) {
    let (witness, kafka) = (place.witness(), kafka(2));
    register(&witness, &kafka, 0);
    let proxy = Proxy::before(&place.server);
    let cluster = open(&place.through(&proxy.address()), &[]);
    wait_ids(&cluster, &[0]);
    proxy.set_silent(true);
    let told = wait_until(PATIENCE, || {
        cluster.refresh_now("a test");
        ids(&cluster) == [0, 1]
    });
    assert!(told, "the brokers tell of each other");
    let begun = Instant::now();
    close(&cluster);
    assert!(begun.elapsed() < Duration::from_secs(5), "a silent ZooKeeper does not hold up close");

    proxy.set_silent(false);
    let cluster = open(&place.through(&proxy.address()), &[]);
    wait_ids(&cluster, &[0]);
    close(&cluster);
}

/// Brokers of 0.7 are told apart, and their registry is read: brokers, topics, partition counts.
pub fn legacy(place: &Place) {
    let witness = place.witness();
    witness.ensure("/brokers/ids");
    witness.ensure("/brokers/topics/t");
    witness.create("/brokers/ids/3", b"127.0.0.1-1795250037452:127.0.0.1:29092");
    witness.create("/brokers/topics/t/3", b"4");

    let cluster = Cluster::open(&config(&place.connect(), &[])).expect("open does not wait");
    cluster.wait_ready(Some(soon())).expect("the registry is all there is to know");
    assert_eq!(cluster.generation(), Some(Generation::Legacy));
    let numbers = |name: &str| -> Vec<(i64, bool)> {
        let topic = cluster.topic(name).expect("a name");
        let known = cluster.wait_topic(&topic, Some(soon())).expect("every topic exists");
        (0..known.partitions.len()).map(|at| (known.number(at), known.is_virtual(at))).collect()
    };
    assert_eq!(numbers("t"), [0, 1, 2, 3].map(|number| (3 << 32 | number, false)));
    assert_eq!(numbers("u"), [(3 << 32, true)], "until somebody writes to it");
    close(&cluster);

    let client = ClientConfig::from(&config(&place.connect(), &[])).expect("a configuration");
    let zookeeper = client.zookeeper.clone().expect("zookeeper.connect");
    let runtime = Runtime::get(None).expect("threads");
    let discovery = ThroughZooKeeper::start(&client, &zookeeper, runtime);
    discovery.follow(Follow::Topics(["t", "u"].map(Arc::from).into()));
    let mut registry = discovery.registry().expect("a registry");
    let counts = |pairs: &[(i32, i32)]| RegisteredTopic::Legacy(pairs.iter().copied().collect());
    run(async {
        let wait = async |registry: &mut tokio::sync::watch::Receiver<_>, topic, wanted| {
            let there = |known: &Arc<samsa::discovery::zookeeper::Registry>| {
                known.topics.get(topic).is_some_and(|topic| **topic == wanted)
            };
            let known = tokio::time::timeout(PATIENCE, registry.wait_for(there)).await;
            known.expect("in time").expect("a registry").clone()
        };
        let known = wait(&mut registry, "t", counts(&[(3, 4)])).await;
        assert_eq!(known.generation(), Some(Generation::Legacy));
        let broker = Arc::clone(&known.brokers[&3]);
        assert!(!broker.is_dead());

        witness.create("/brokers/ids/1", b"h-1:h:9092");
        witness.create("/brokers/topics/t/1", b"2");
        let known = wait(&mut registry, "t", counts(&[(1, 2), (3, 4)])).await;
        assert!(Arc::ptr_eq(&broker, &known.brokers[&3]), "it stayed: the same object");
        // A topic that appears by being written to.
        witness.ensure("/brokers/topics/u");
        witness.create("/brokers/topics/u/1", b"");
        wait(&mut registry, "u", counts(&[(1, 1)])).await;

        unregister(&witness, 3);
        witness.delete("/brokers/topics/t/3");
        let known = wait(&mut registry, "t", counts(&[(1, 2)])).await;
        assert!(broker.is_dead() && !known.brokers.contains_key(&3));
        witness.create("/brokers/ids/3", b"127.0.0.1-1795250099999:127.0.0.1:29092");
        let back =
            |known: &Arc<samsa::discovery::zookeeper::Registry>| known.brokers.contains_key(&3);
        let known = tokio::time::timeout(PATIENCE, registry.wait_for(back)).await;
        let known = known.expect("in time").expect("a registry").clone();
        assert!(!Arc::ptr_eq(&broker, &known.brokers[&3]), "it came back: another object");
    });
    discovery.end(Instant::now());
}

/// A C program forks: the child opens its own cluster, and the parent goes on.
pub fn fork(place: &Place) {
    let (witness, kafka) = (place.witness(), kafka(1));
    register(&witness, &kafka, 0);
    kafka.create_topic("forked", 1).expect("a topic");
    let (root, folder) = (Path::new(env!("CARGO_MANIFEST_DIR")), Folder::new("fork"));
    let (library, program) = (root.join("target/release"), folder.path().join("fork_zookeeper"));
    let mut compiler = Command::new("cc");
    compiler.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-g"]);
    compiler.arg(format!("-I{}", root.join("include").display()));
    compiler.arg(root.join("tests/c/fork_zookeeper.c")).arg("-o").arg(&program);
    compiler.arg(format!("-L{}", library.display())).arg("-lsamsa");
    compiler.arg(format!("-Wl,-rpath,{}", library.display()));
    let built = programs::run(&mut compiler, b"");
    assert!(built.status.success(), "{}", programs::text(&built.stderr));
    let mut command = Command::new(&program);
    let output = programs::run(command.arg(place.connect()).arg("forked"), b"");
    assert!(output.status.success(), "{}", programs::text(&output.stderr));
    assert_eq!(kafka.records("forked", 0).expect("its records").len(), 3);
}

/// `cluster -f` tells of a broker that comes and of one that goes.
pub fn program_follows(place: &Place) {
    let (witness, kafka) = (place.witness(), kafka(2));
    register(&witness, &kafka, 0);
    let mut command = programs::program("cluster");
    command.arg("-f").arg(format!("zookeeper.connect={}", place.connect()));
    let mut child = programs::talk(&command);
    let output = child.stdout.take().expect("its standard output");
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let mut told = |wanted: &str| {
        assert!(lines.any(|line| line.contains(wanted)), "{wanted:?} is never told");
    };
    told("0 topics");
    register(&witness, &kafka, 1);
    told(&format!("broker 1 is at {}", kafka.broker_address(1).expect("a broker")));
    unregister(&witness, 1);
    told("broker 1 is gone");
    programs::end(child);
}

/// The C programs with nothing but `zookeeper.connect`, on every release that registers there.
pub fn programs_find_the_cluster(ground: &Ground) {
    let zookeeper = ground.zookeeper().expect("a ZooKeeper");
    let connect = format!("zookeeper.connect={zookeeper}");
    let topic = ground.topic("through-zookeeper");
    let mut produce = programs::program("produce");
    let output = programs::run(produce.arg(&topic).arg(&connect), b"one\ntwo\n");
    assert!(output.status.success(), "{}", programs::text(&output.stderr));
    let mut consume = programs::program("consume");
    let output = programs::run(consume.args(["-n", "2", &topic]).arg(&connect), b"");
    assert!(output.status.success(), "{}", programs::text(&output.stderr));
    let read = programs::text(&output.stdout);
    assert!(read.contains("one") && read.contains("two"), "{read}");
    let mut cluster = programs::program("cluster");
    let output = programs::run(cluster.arg(&connect), b"");
    let shown = programs::text(&output.stdout);
    assert!(
        shown.contains(&ground.address.replace("127.0.0.1", "broker 0 at 127.0.0.1")),
        "{shown}"
    );
}

/// A real broker that is killed goes from the map when its session ends, and comes back as another.
pub fn a_killed_broker_leaves_and_comes_back(ground: &Ground) {
    let zookeeper = ground.zookeeper().expect("a ZooKeeper");
    let cluster = open(&zookeeper, &[]);
    wait_ids(&cluster, &[0, 1]);
    let before = cluster.metadata().incarnations[&1];
    ground.cluster().kill(1);
    wait_ids(&cluster, &[0]);
    ground.cluster().restart(1);
    wait_ids(&cluster, &[0, 1]);
    assert_ne!(cluster.metadata().incarnations[&1], before);
    close(&cluster);
}
