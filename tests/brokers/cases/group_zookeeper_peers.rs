//! Members of ours beside the clients of their time, in one group in ZooKeeper: who owns what is read
//! from the owner nodes by a client that somebody else wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use samsa::group::{Committed, TopicPartition};
use samsa::producer::{Producer, Record};

use super::group_zookeeper::{Group, Ledger, Ours, lock, wait_readers};
use super::zookeeper::{Witness, run, soon};
use crate::ground::Ground;
use crate::harness::process::{Folder, Process, wait_until};
use crate::harness::topics;
use crate::ours;
use crate::peers::{java, python};

/// A JVM starts slowly beside others, and the session of a dead member lives for a while.
const PATIENCE: Duration = Duration::from_secs(120);

const PARTITIONS: i32 = 4;

/// So many records are in each partition.
const RECORDS: i64 = 10;

/// A topic with records `partition-number`, a group of its own, and one of our members in it.
struct Stage<'a> {
    ground: &'a Ground,
    topic: String,
    group: String,
    witness: Witness,
    ledger: Arc<Mutex<Ledger>>,
    /// The parent of the owner nodes.
    owners: String,
    folder: Folder,
}

impl<'a> Stage<'a> {
    fn new(ground: &'a Ground, layout: &str) -> Stage<'a> {
        let topic = ground.topic("old-group");
        topics::create(ground, &topic, PARTITIONS, 1, &[]);
        fill(&ground.address, &topic);
        let group = format!("{topic}-readers");
        let witness = Witness::new(&ground.zookeeper().expect("a ZooKeeper"), "");
        let named = if layout == "pykafka" { format!("b'{topic}'") } else { topic.clone() };
        let owners = format!("/consumers/{group}/owners/{named}");
        let (ledger, folder) = (Arc::default(), Folder::new("old-group"));
        Stage { ground, topic, group, witness, ledger, owners, folder }
    }

    fn ours(&self, options: &[(&str, &str)]) -> Ours {
        let connect = self.ground.zookeeper().expect("a ZooKeeper");
        let group = Group { connect: &connect, group: &self.group, topic: &self.topic };
        let ours = Ours::join(&group, "a", options, &self.ledger);
        wait_readers(&self.ledger, &["a"; 4]);
        ours
    }

    fn start(&self, command: &mut Command, name: &str) -> Process {
        Process::start(command, &self.folder.path().join(name))
    }

    fn said(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// Which partitions have an owner node that begins with `ours`, and which have another's.
    fn owned(&self, ours: &str) -> (BTreeSet<i64>, BTreeMap<String, BTreeSet<i64>>) {
        let (mut mine, mut theirs) = (BTreeSet::new(), BTreeMap::new());
        for node in self.witness.children(&self.owners) {
            let number = node.rsplit('-').next().and_then(|number| number.parse().ok());
            let number: i64 = number.expect("a partition's node");
            let Some((data, _)) = self.witness.get(&format!("{}/{node}", self.owners)) else {
                continue;
            };
            let owner = String::from_utf8(data).expect("text");
            if owner.starts_with(ours) {
                mine.insert(number);
            } else {
                let other: &mut BTreeSet<i64> = theirs.entry(owner).or_default();
                other.insert(number);
            }
        }
        (mine, theirs)
    }

    /// Waits until the other member and ours have two partitions each, and ours reads its own.
    fn wait_shared(&self, ours: &str, peer: &str) -> (BTreeSet<i64>, BTreeSet<i64>) {
        let mut shared = None;
        let there = wait_until(PATIENCE, || {
            let (mine, theirs) = self.owned(ours);
            let reads: BTreeSet<i64> =
                lock(&self.ledger).readers.keys().map(|one| one.partition).collect();
            let other: Vec<BTreeSet<i64>> = theirs.into_values().collect();
            let agree = other.len() == 1 && other[0].len() == 2 && mine.len() == 2 && reads == mine;
            shared = agree.then(|| (mine, other.into_iter().next().expect("one")));
            agree
        });
        let ledger = lock(&self.ledger);
        assert!(there, "{:?}\n{ledger:#?}\n{}", self.owned(ours), self.said(peer));
        shared.expect("shared")
    }

    fn place(&self, partition: i64) -> TopicPartition {
        TopicPartition { topic: self.topic.as_str().into(), partition }
    }

    /// Where these partitions are read on from, as our member sees it.
    fn committed(&self, ours: &Ours, partitions: &BTreeSet<i64>) -> Vec<Option<i64>> {
        let asked = partitions.iter().map(|partition| self.place(*partition)).collect();
        let found = run(ours.member.offsets.fetch(asked, soon())).expect("offsets");
        found.into_iter().map(|one| one.expect("one").map(|place| place.offset)).collect()
    }

    fn commit(&self, ours: &Ours, partitions: &BTreeSet<i64>, offset: i64) {
        let place = Committed { offset, leader_epoch: None, metadata: None };
        let places = partitions.iter().map(|one| (self.place(*one), place.clone())).collect();
        for outcome in run(ours.member.offsets.commit(places, false, soon())) {
            outcome.expect("committed");
        }
    }

    fn wait_committed(&self, ours: &Ours, partitions: &BTreeSet<i64>, offset: i64, peer: &str) {
        let wanted = vec![Some(offset); partitions.len()];
        let there = wait_until(PATIENCE, || self.committed(ours, partitions) == wanted);
        let found = self.committed(ours, partitions);
        assert!(there, "{found:?} are committed, not {offset}\n{}", self.said(peer));
    }
}

fn fill(address: &str, topic: &str) {
    let cluster = ours::open(address, &[]).expect("the brokers");
    let producer = Producer::new(&cluster, None).expect("a producer");
    let topic = cluster.topic(topic).expect("a topic");
    for partition in 0..PARTITIONS {
        for number in 0..RECORDS {
            let value = format!("{partition}-{number}");
            let record = Record::new(&topic, value.as_bytes()).to_partition(partition);
            producer.send(&record, 60_000).expect("sent");
        }
    }
    let (left, flushed) = producer.flush(60_000, None);
    assert!(left == 0 && flushed.is_ok(), "{left} are left: {flushed:?}");
}

/// The Scala consumer and ours share a group, hand over offsets both ways, leave and die.
pub fn scala(ground: &Ground) {
    let stage = Stage::new(ground, "kafka");
    let mine = format!("{}_a-", stage.group);
    let ours = stage.ours(&[]);
    let scala = |name: &str, first: bool| {
        let options = &[
            "auto.commit.interval.ms=500",
            "rebalance.backoff.ms=500",
            "rebalance.max.retries=20",
            "zookeeper.session.timeout.ms=6000",
        ];
        let folder = stage.folder.path();
        let command =
            &mut java::old_member(ground, &stage.topic, &stage.group, options, folder, first);
        stage.start(command, name)
    };
    let mut first = scala("first", true);
    let (our_share, their_share) = stage.wait_shared(&mine, "first");
    stage.wait_committed(&ours, &their_share, RECORDS, "first");
    stage.commit(&ours, &our_share, 7);
    // It dies: its nodes stay until its session is over, and then all is ours.
    first.kill();
    wait_readers(&stage.ledger, &["a"; 4]);
    assert_eq!(stage.owned(&mine).0.len(), 4);
    // Another one comes, and we leave: it reads on from what we have committed.
    let mut second = scala("second", false);
    stage.wait_shared(&mine, "second");
    ours.leave();
    let offset = |partition: &i64| {
        let path = format!("/consumers/{}/offsets/{}/{partition}", stage.group, stage.topic);
        stage.witness.get(&path).map(|(data, _)| data)
    };
    let end = RECORDS.to_string().into_bytes();
    let there =
        wait_until(PATIENCE, || our_share.iter().all(|one| offset(one) == Some(end.clone())));
    assert!(there, "{}", stage.said("second"));
    let wanted: BTreeSet<String> =
        our_share.iter().flat_map(|one| (7..RECORDS).map(move |n| format!("{one}-{n}"))).collect();
    let said = stage.said("second");
    let is_record = |line: &&str| {
        line.split_once('-')
            .is_some_and(|(p, n)| p.parse::<i64>().is_ok() && n.parse::<i64>().is_ok())
    };
    let read: Vec<String> = said.lines().filter(is_record).map(str::to_owned).collect();
    assert_eq!(read.len(), wanted.len(), "each once: {read:?}");
    assert_eq!(read.into_iter().collect::<BTreeSet<_>>(), wanted);
    second.end(PATIENCE).expect("it ends when it is asked to");
    assert!(stage.witness.children(&stage.owners).is_empty());
    lock(&stage.ledger).check();
}

/// PyKafka's balanced consumer and ours share a group in its layout, leave and die; offsets are in Kafka.
pub fn pykafka(ground: &Ground) {
    let stage = Stage::new(ground, "pykafka");
    let options =
        [("zookeeper.group.layout", "pykafka"), ("bootstrap.servers", ground.address.as_str())];
    let ours = stage.ours(&options);
    let zookeeper = format!("zookeeper={}", ground.zookeeper().expect("a ZooKeeper"));
    for (name, dies) in [("first", false), ("second", true)] {
        let client = python::Client::PyKafka;
        let mut command =
            client.member(ground.release, &ground.address, &stage.topic, &stage.group);
        let mut peer = stage.start(command.arg(&zookeeper), name);
        let (our_share, their_share) = stage.wait_shared("a", name);
        stage.wait_committed(&ours, &their_share, RECORDS, name);
        stage.commit(&ours, &our_share, 3);
        assert_eq!(stage.committed(&ours, &our_share), [Some(3); 2]);
        if dies {
            peer.kill();
        } else {
            peer.end(PATIENCE).expect("it ends when it is asked to");
        }
        wait_readers(&stage.ledger, &["a"; 4]);
    }
    ours.leave();
    assert!(stage.witness.children(&stage.owners).is_empty());
    lock(&stage.ledger).check();
}
