//! What the first contact decides.

use std::time::Duration;

use super::*;
use crate::config::{Config, ConsumerConfig};
use crate::embedded::zookeeper::Server;
use crate::group::Done;

const PATIENCE: Duration = Duration::from_secs(30);

fn soon() -> Instant {
    Instant::now() + PATIENCE
}

/// Keeps the steps.
#[derive(Debug)]
struct Ear(std::sync::mpsc::Sender<Step>);

impl Listener for Ear {
    fn step(&self, step: Step) {
        let _ = self.0.send(step);
    }
}

fn open(zookeeper: &Server) -> (Arc<Cluster>, GroupConfig) {
    let mut config = Config::new();
    config.set("zookeeper.connect", &zookeeper.address()).unwrap();
    config.set("group.id", "g").unwrap();
    config.set("reconnect.backoff.ms", "10").unwrap();
    let group = ConsumerConfig::from(&config).unwrap().group;
    (Cluster::open(&config).unwrap(), group)
}

fn wish(topic: &str) -> Subscription {
    Subscription { topics: vec![topic.into()], ..Subscription::default() }
}

#[test]
fn who_subscribes_before_kafka_0_7_shows_is_a_member_in_zookeeper() {
    let zookeeper = Server::start().unwrap();
    let (cluster, config) = open(&zookeeper);
    let (sender, steps) = std::sync::mpsc::channel();
    let member = start::start(&cluster, &config, Arc::new(Ear(sender))).unwrap();
    member.membership.subscribe(wish("t"));
    assert_eq!(member.membership.identity(), None);
    zookeeper.ensure("/brokers/ids/3", b"h-1:127.0.0.1:9").unwrap();
    zookeeper.ensure("/brokers/topics/t/3", b"1").unwrap();
    let Step::Assign(partitions, done) = steps.recv_timeout(PATIENCE).unwrap() else {
        panic!("an assignment")
    };
    let told: Done = done;
    drop(told);
    let expected = TopicPartition { topic: "t".into(), partition: 3 << 32 };
    assert_eq!(partitions, [expected]);
    assert!(member.membership.identity().is_some());
    member.membership.leave().wait(Some(soon()), None).unwrap();
    assert!(zookeeper.children("/consumers/g/owners/t").is_empty());
    cluster.close(Some(soon())).unwrap();
}

#[test]
fn who_leaves_before_it_is_decided_never_joins() {
    let zookeeper = Server::start().unwrap();
    let (cluster, config) = open(&zookeeper);
    let (sender, steps) = std::sync::mpsc::channel();
    let member = start::start(&cluster, &config, Arc::new(Ear(sender))).unwrap();
    member.membership.subscribe(wish("t"));
    member.membership.leave().wait(Some(soon()), None).unwrap();
    zookeeper.ensure("/brokers/ids/3", b"h-1:127.0.0.1:9").unwrap();
    let known = cluster.runtime().handle().block_on(async {
        cluster.changes().wait_for(|metadata| metadata.generation.is_some()).await.is_ok()
    });
    assert!(known);
    cluster.close(Some(soon())).unwrap();
    drop((member, cluster));
    assert!(steps.try_iter().next().is_none());
    assert!(zookeeper.node("/consumers/g").is_none());
}

/// Notes what it is asked.
#[derive(Debug, Default)]
struct Noting(Mutex<Vec<&'static str>>);

impl Noting {
    fn note(&self, call: &'static str) {
        self.0.lock().unwrap().push(call);
    }

    fn gone(&self, call: &'static str) -> Completion<()> {
        self.note(call);
        let (sender, completion) = Completion::new();
        sender.send(Ok(()));
        completion
    }
}

impl Membership for Noting {
    fn subscribe(&self, _subscription: Subscription) {
        self.note("subscribe");
    }

    fn identity(&self) -> Option<Identity> {
        self.note("identity");
        None
    }

    fn step_out(&self) {
        self.note("step_out");
    }

    fn step_in(&self) {
        self.note("step_in");
    }

    fn rejoin(&self, _why: &'static str) {
        self.note("rejoin");
    }

    fn finish(&self) {
        self.note("finish");
    }

    fn leave(&self) -> Completion<()> {
        self.gone("leave")
    }

    fn leave_within(&self, _limit: Instant) -> Completion<()> {
        self.gone("leave_within")
    }
}

impl OffsetStore for Noting {
    fn fetch(
        &self,
        _partitions: Vec<TopicPartition>,
        _deadline: Instant,
    ) -> Boxed<Result<Vec<Result<Option<Committed>>>>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn commit(
        &self,
        _places: Vec<(TopicPartition, Committed)>,
        _once: bool,
        _deadline: Instant,
    ) -> Boxed<Vec<Result<()>>> {
        Box::pin(async { Vec::new() })
    }
}

#[test]
fn rule_8_25_whatever_is_asked_once_it_is_decided_the_member_hears() {
    let noting = Arc::new(Noting::default());
    let (decided, _) = watch::channel(None);
    let undecided = Undecided { asked: Mutex::default(), decided, era: Era::current() };
    let member = Member { membership: Arc::clone(&noting) as _, offsets: Arc::clone(&noting) as _ };
    let (sender, _steps) = std::sync::mpsc::channel();
    undecided.publish(Ok(Arc::new(member)), &Ear(sender));
    undecided.subscribe(wish("t"));
    assert_eq!(undecided.identity(), None);
    undecided.step_out();
    undecided.step_in();
    undecided.rejoin("asked to");
    undecided.finish();
    undecided.leave().wait(Some(soon()), None).unwrap();
    undecided.leave_within(soon()).wait(Some(soon()), None).unwrap();
    let calls = noting.0.lock().unwrap().clone();
    let all = ["subscribe", "identity", "step_out", "step_in", "rejoin", "finish", "leave"];
    assert_eq!(calls[..all.len()], all);
    assert_eq!(calls[all.len()..], ["leave_within"]);
}
