//! A cluster, and members that write down what they are told.

use std::collections::BTreeSet;
use std::mem;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use samsa::Code;
use samsa::cluster::Cluster;
use samsa::config::{Config, ConsumerConfig};
use samsa::embedded::{self, Options};
use samsa::group::{self, Done, Identity, Listener, Member, Step, Subscription, TopicPartition};
use samsa::protocol::modern::ApiKey;

/// No test waits longer than this for something that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const HEARTBEAT: ApiKey = ApiKey::ConsumerGroupHeartbeat;

pub(crate) fn soon() -> Instant {
    Instant::now() + PATIENCE
}

/// A partition.
pub(crate) type Place = (String, i64);

/// Brokers whose members send heartbeats fast, and topic "t".
pub(crate) struct Rig {
    pub(crate) kafka: embedded::Cluster,
}

impl Rig {
    pub(crate) fn new(partitions: i32) -> Self {
        let options = Options { brokers: 2, ..Options::default() };
        let kafka = embedded::Cluster::start_with(options).expect("started");
        kafka.set("group.consumer.heartbeat.interval.ms", "10").expect("set");
        kafka.create_topic("t", partitions).expect("made");
        Self { kafka }
    }

    /// A member with these properties that has subscribed to "t".
    pub(crate) fn member(&self, properties: &[(&str, &str)]) -> Peer {
        let peer = self.idle(properties);
        peer.subscribe(&["t"]);
        peer
    }

    /// One that has subscribed to nothing.
    pub(crate) fn idle(&self, properties: &[(&str, &str)]) -> Peer {
        let mut config = Config::new();
        let own = [
            ("bootstrap.servers", self.kafka.address()),
            ("group.id", "g".to_owned()),
            ("group.protocol", "consumer".to_owned()),
            ("fetch.max.wait.ms", "10".to_owned()),
            ("retry.backoff.ms", "5".to_owned()),
            ("retry.backoff.max.ms", "20".to_owned()),
        ];
        for (name, value) in &own {
            config.set(name, value).expect("set");
        }
        for (name, value) in properties {
            config.set(name, value).expect("set");
        }
        let cluster = Cluster::open(&config).expect("opened");
        let config = ConsumerConfig::from(&config).expect("understood").group;
        let diary = Arc::new(Diary::default());
        let listener: Arc<dyn Listener> = diary.clone();
        let member = group::start(&cluster, &config, listener).expect("started");
        Peer { diary, member, cluster }
    }

    /// Waits until the coordinator and the members agree, and each partition of the topics has one owner.
    pub(crate) fn settled(&self, members: &[&Peer], partitions: usize) {
        let deadline = soon();
        loop {
            let owned: Vec<_> = members.iter().flat_map(|member| member.owned()).collect();
            let distinct: BTreeSet<_> = owned.iter().collect();
            assert_eq!(distinct.len(), owned.len(), "one owner each: {owned:?}");
            let seen = members.iter().all(|member| self.seen(member) == Some(member.owned()));
            if seen && owned.len() == partitions && self.kafka.group_state("g") == "Stable" {
                return;
            }
            assert!(Instant::now() < deadline, "{owned:?}, {}", self.kafka.group_state("g"));
            std::thread::yield_now();
        }
    }

    /// What the coordinator lets a member own.
    pub(crate) fn seen(&self, member: &Peer) -> Option<BTreeSet<Place>> {
        let (_, places) = self.kafka.group_assignment("g", &member.identity()?.member)?;
        Some(places.into_iter().map(|(topic, index)| (topic, i64::from(index))).collect())
    }

    /// Waits for so many heartbeats more.
    pub(crate) fn heartbeats(&self, more: u64) {
        let before = self.kafka.requests(HEARTBEAT);
        self.kafka.wait_requests(HEARTBEAT, before + more, soon()).expect("heartbeats");
    }

    /// Waits until so many are in the group.
    pub(crate) fn wait_members(&self, count: usize) {
        until("members", || self.kafka.group_members("g").len() == count);
    }
}

/// Waits for a condition.
pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = soon();
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::yield_now();
    }
}

/// A member and its listener.
pub(crate) struct Peer {
    pub(crate) diary: Arc<Diary>,
    pub(crate) member: Member,
    pub(crate) cluster: Arc<Cluster>,
}

impl Peer {
    pub(crate) fn subscribe(&self, entries: &[&str]) {
        let list = |marked: bool| {
            let entries = entries.iter().filter(move |entry| entry.starts_with('^') == marked);
            entries.map(|entry| Arc::from(entry.trim_start_matches('^'))).collect()
        };
        let asked = Subscription { topics: list(false), patterns: list(true), except: Vec::new() };
        self.member.membership.subscribe(asked);
    }

    pub(crate) fn identity(&self) -> Option<Identity> {
        self.member.membership.identity()
    }

    pub(crate) fn owned(&self) -> BTreeSet<Place> {
        self.diary.lock().owned.clone()
    }

    /// Waits until it owns so many.
    pub(crate) fn owns(&self, count: usize) {
        until("owned partitions", || self.owned().len() == count);
    }

    /// Leaves for good, and waits for the coordinator's word.
    pub(crate) fn leave(&self) {
        self.member.membership.leave().wait(Some(soon()), None).expect("left");
    }

    /// Waits for an error.
    pub(crate) fn fails(&self) -> Code {
        let deadline = soon();
        let mut notes = self.diary.lock();
        loop {
            if let Some(code) = notes.failures.pop() {
                return code;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no error came");
            notes = self.diary.news.wait_timeout(notes, left).expect("no panic").0;
        }
    }
}

/// What a member was told. Steps are done at once, unless they are held.
#[derive(Debug, Default)]
pub(crate) struct Diary {
    notes: Mutex<Notes>,
    news: Condvar,
}

#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) owned: BTreeSet<Place>,
    /// In short, in order.
    pub(crate) told: Vec<(&'static str, usize)>,
    pub(crate) failures: Vec<Code>,
    hold: bool,
    /// Steps that it has not done with, and what they take away.
    held: Vec<(Vec<Place>, Done)>,
}

impl Diary {
    pub(crate) fn lock(&self) -> std::sync::MutexGuard<'_, Notes> {
        self.notes.lock().expect("no panic")
    }

    /// From now on the application is slow.
    pub(crate) fn hold(&self) {
        self.lock().hold = true;
    }

    pub(crate) fn held(&self) -> usize {
        self.lock().held.len()
    }

    /// It has done with everything, and is fast again.
    pub(crate) fn release(&self) {
        let mut notes = self.lock();
        notes.hold = false;
        let held = mem::take(&mut notes.held);
        for (gone, _) in &held {
            gone.iter().for_each(|place| {
                notes.owned.remove(place);
            });
        }
        drop(notes);
        drop(held);
    }

    pub(crate) fn told(&self) -> Vec<(&'static str, usize)> {
        self.lock().told.clone()
    }
}

fn places(list: &[TopicPartition]) -> Vec<Place> {
    list.iter().map(|place| (place.topic.to_string(), place.partition)).collect()
}

impl Listener for Diary {
    fn step(&self, step: Step) {
        let mut notes = self.lock();
        let mut finished = None;
        match step {
            Step::Assign(list, done) => {
                notes.told.push(("assign", list.len()));
                notes.owned.extend(places(&list));
                if notes.hold {
                    notes.held.push((Vec::new(), done));
                } else {
                    finished = Some(done);
                }
            }
            Step::Revoke(list, done) => {
                notes.told.push(("revoke", list.len()));
                if notes.hold {
                    notes.held.push((places(&list), done));
                } else {
                    places(&list).iter().for_each(|place| {
                        notes.owned.remove(place);
                    });
                    finished = Some(done);
                }
            }
            Step::Lost(list) => {
                notes.told.push(("lost", list.len()));
                places(&list).iter().for_each(|place| {
                    notes.owned.remove(place);
                });
            }
            Step::Run(job) => job.0(),
            Step::Failed(error) => notes.failures.push(error.code()),
        }
        drop(notes);
        drop(finished);
        self.news.notify_all();
    }
}
