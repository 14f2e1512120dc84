//! Members of groups in ZooKeeper, on real ZooKeepers and beside the clients of their time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use samsa::cluster::Cluster;
use samsa::config::ConsumerConfig;
use samsa::group::{self, Committed, Listener, Member, Step, Subscription, TopicPartition};

use super::zookeeper::{PATIENCE, Place, Witness, config, run, soon};
use crate::harness::process::wait_until;
use crate::harness::proxy::Proxy;

const OWNERS: &str = "/consumers/g/owners/t";

/// Who reads which partition at this moment, as the members were told.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Who reads a partition.
    pub readers: BTreeMap<TopicPartition, &'static str>,
    /// Partitions that two members were to read at once.
    faults: Vec<String>,
    /// What each member was told, in order.
    story: Vec<String>,
    /// Those that have handed over and leave.
    gone: BTreeSet<&'static str>,
}

impl Ledger {
    /// No partition was read by two.
    pub fn check(&self) {
        assert!(self.faults.is_empty(), "{self:#?}");
    }
}

/// A member's consumer, which hears of everything at once.
#[derive(Debug)]
struct Ear {
    name: &'static str,
    ledger: Arc<Mutex<Ledger>>,
}

/// What is behind a lock, whoever panicked.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Listener for Ear {
    fn step(&self, step: Step) {
        let mut ledger = lock(&self.ledger);
        ledger.story.push(format!("{}: {step:?}", self.name));
        match step {
            _ if ledger.gone.contains(self.name) => {}
            Step::Assign(partitions, _) => {
                for partition in partitions {
                    if let Some(other) = ledger.readers.insert(partition.clone(), self.name) {
                        let fault = format!("{partition:?} of {other} is read by {}", self.name);
                        ledger.faults.push(fault);
                    }
                }
            }
            Step::Revoke(partitions, _) | Step::Lost(partitions) => {
                for partition in partitions {
                    ledger.readers.remove(&partition);
                }
            }
            Step::Run(job) => (job.0)(),
            Step::Failed(_) => {}
        }
    }
}

/// Where a member belongs.
pub struct Group<'a> {
    /// `zookeeper.connect`.
    pub connect: &'a str,
    /// `group.id`.
    pub group: &'a str,
    /// What it reads.
    pub topic: &'a str,
}

/// A member of ours, whose node is called after it.
pub struct Ours {
    name: &'static str,
    ledger: Arc<Mutex<Ledger>>,
    cluster: Arc<Cluster>,
    /// Itself.
    pub member: Member,
}

impl Ours {
    /// Joins a group, with these properties besides.
    pub fn join(
        group: &Group<'_>,
        name: &'static str,
        more: &[(&str, &str)],
        ledger: &Arc<Mutex<Ledger>>,
    ) -> Ours {
        let mut options = vec![
            ("group.id", group.group),
            ("group.protocol", "zookeeper"),
            ("consumer.id", name),
            ("rebalance.backoff.ms", "200"),
        ];
        options.extend(more);
        let config = config(group.connect, &options);
        let cluster = Cluster::open(&config).expect("open does not wait");
        let properties = ConsumerConfig::from(&config).expect("the properties").group;
        lock(ledger).gone.remove(name);
        let ear = Arc::new(Ear { name, ledger: Arc::clone(ledger) });
        let member = group::start(&cluster, &properties, ear).expect("a member");
        let topics = vec![Arc::from(group.topic)];
        member.membership.subscribe(Subscription { topics, ..Subscription::default() });
        Ours { name, ledger: Arc::clone(ledger), cluster, member }
    }

    /// As a consumer leaves: it stops reading first.
    pub fn leave(self) {
        {
            let mut ledger = lock(&self.ledger);
            ledger.gone.insert(self.name);
            ledger.readers.retain(|_, reader| *reader != self.name);
        }
        self.member.membership.leave().wait(Some(soon()), None).expect("it left");
        self.cluster.close(Some(soon())).expect("closed");
    }
}

fn join(connect: &str, name: &'static str, ledger: &Arc<Mutex<Ledger>>) -> Ours {
    Ours::join(&Group { connect, group: "g", topic: "t" }, name, &[], ledger)
}

/// Registers a broker that nobody can reach, and a topic of so many partitions.
fn prepare(witness: &Witness, partitions: i32) {
    witness.ensure("/brokers/ids");
    witness.create("/brokers/ids/0", br#"{"version":1,"host":"127.0.0.1","port":1}"#);
    witness.ensure("/brokers/topics");
    let list: Vec<String> = (0..partitions).map(|number| format!("\"{number}\":[0]")).collect();
    let data = format!(r#"{{"version":1,"partitions":{{{}}}}}"#, list.join(","));
    witness.create("/brokers/topics/t", data.as_bytes());
}

/// Waits until the partitions are read by these, in their order.
pub fn wait_readers(ledger: &Mutex<Ledger>, wanted: &[&str]) {
    let readers = || lock(ledger).readers.values().copied().collect::<Vec<_>>();
    let there = wait_until(PATIENCE, || readers() == wanted);
    assert!(there, "not read by {wanted:?}: {:#?}", lock(ledger));
}

fn text(witness: &Witness, path: &str) -> String {
    let (data, _) = witness.get(path).unwrap_or_else(|| panic!("{path} is not there"));
    String::from_utf8(data).expect("text")
}

/// What a member registers, claims and commits, seen by a client that somebody else wrote.
pub fn read_back(place: &Place) {
    let witness = place.witness();
    prepare(&witness, 3);
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let a = join(&place.connect(), "a", &ledger);
    wait_readers(&ledger, &["a", "a", "a"]);
    let b = join(&place.connect(), "b", &ledger);
    wait_readers(&ledger, &["a", "a", "b"]);
    assert_eq!(witness.children("/consumers/g/ids"), ["g_a", "g_b"]);
    let data = text(&witness, "/consumers/g/ids/g_a");
    let registered = r#"{"version":1,"subscription":{"t":1},"pattern":"static","timestamp":""#;
    assert!(data.starts_with(registered), "{data}");
    let owners: Vec<(String, i64)> = (0..3)
        .map(|number| witness.get(&format!("{OWNERS}/{number}")).expect("an owner"))
        .map(|(data, session)| (String::from_utf8(data).expect("text"), session))
        .collect();
    let names: Vec<&str> = owners.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["g_a-0", "g_a-0", "g_b-0"]);
    assert!(owners[0].1 != 0 && owners[0].1 == owners[1].1 && owners[1].1 != owners[2].1);
    let one = TopicPartition { topic: "t".into(), partition: 2 };
    let place = Committed { offset: 11, leader_epoch: None, metadata: None };
    let commit = b.member.offsets.commit(vec![(one.clone(), place.clone())], false, soon());
    run(commit).remove(0).expect("committed");
    assert_eq!(witness.get("/consumers/g/offsets/t/2"), Some((b"11".to_vec(), 0)));
    let stranger = a.member.offsets.commit(vec![(one.clone(), place.clone())], false, soon());
    run(stranger).remove(0).expect_err("it is another member's");
    b.leave();
    wait_readers(&ledger, &["a", "a", "a"]);
    let fetched = run(a.member.offsets.fetch(vec![one], soon())).expect("offsets").remove(0);
    assert_eq!(fetched.expect("an offset"), Some(place));
    a.leave();
    assert!(witness.children("/consumers/g/ids").is_empty());
    assert!(witness.children(OWNERS).is_empty());
    assert_eq!(text(&witness, "/consumers/g/offsets/t/2"), "11");
}

/// Rules 10.6 and 10.7: a member that hears nothing of ZooKeeper for longer than its session stops
/// before another one begins, and comes back as a new member.
pub fn silence(place: &Place) {
    let (witness, proxy) = (place.witness(), Proxy::before(&place.server));
    prepare(&witness, 4);
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let a = join(&place.through(&proxy.address()), "a", &ledger);
    wait_readers(&ledger, &["a", "a", "a", "a"]);
    let b = join(&place.connect(), "b", &ledger);
    wait_readers(&ledger, &["a", "a", "b", "b"]);
    let session = || witness.get(&format!("{OWNERS}/0")).expect("an owner").1;
    let before = session();
    for _ in 0..2 {
        proxy.set_silent(true);
        wait_readers(&ledger, &["b", "b", "b", "b"]);
        assert_eq!(witness.children("/consumers/g/ids"), ["g_b"]);
        proxy.set_silent(false);
        wait_readers(&ledger, &["a", "a", "b", "b"]);
    }
    assert_ne!(session(), before, "a new session");
    let names: BTreeSet<String> =
        (0..4).map(|number| text(&witness, &format!("{OWNERS}/{number}"))).collect();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["g_a-0", "g_b-0"]);
    // Cut for a moment only: nothing is lost.
    let story = lock(&ledger).story.len();
    proxy.set_cut(true);
    proxy.set_cut(false);
    witness.set("/brokers/topics/t", br#"{"version":1,"partitions":{"0":[0],"1":[0],"2":[0]}}"#);
    wait_readers(&ledger, &["a", "a", "b"]);
    let told = lock(&ledger).story[story..].join("\n");
    assert!(!told.contains("Lost"), "{told}");
    lock(&ledger).check();
    b.leave();
    a.leave();
}

/// Members that come and go all at once agree, and never read a partition at the same time.
pub fn many(place: &Place) {
    const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
    let witness = place.witness();
    prepare(&witness, 12);
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let enter = |name: &&'static str| join(&place.connect(), name, &ledger);
    let mut members: Vec<Ours> = NAMES.iter().map(enter).collect();
    let begun = Instant::now();
    let shares = |names: &[&'static str]| -> Vec<&'static str> {
        let each = 12 / names.len();
        names.iter().flat_map(|name| std::iter::repeat_n(*name, each)).collect()
    };
    wait_readers(&ledger, &shares(&NAMES));
    println!("6 members of 12 partitions agree after {} ms", begun.elapsed().as_millis());
    let leaving: Vec<Ours> = members.drain(3..).collect();
    leaving.into_iter().for_each(Ours::leave);
    wait_readers(&ledger, &shares(&NAMES[..3]));
    members.extend(NAMES[3..].iter().map(enter));
    wait_readers(&ledger, &shares(&NAMES));
    lock(&ledger).check();
}
