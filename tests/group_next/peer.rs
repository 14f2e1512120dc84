//! A member without a consumer: it writes down what it is told. Shared by the tests on the embedded
//! broker and on real ones.

use std::collections::BTreeSet;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use samsa::Code;
use samsa::cluster::Cluster;
use samsa::config::{Config, ConsumerConfig};
use samsa::group::{
    self, Committed, Done, Identity, Listener, Member, Step, Subscription, TopicPartition,
};

/// No test waits longer than this for something that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

pub(crate) fn soon() -> Instant {
    Instant::now() + PATIENCE
}

/// A partition.
pub(crate) type Place = (String, i64);

/// Waits for a condition.
pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = soon();
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::yield_now();
    }
}

/// Runs a future on this thread.
pub(crate) fn block<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("built").block_on(future)
}

/// What members own together; each partition has one owner.
pub(crate) fn owned_by(members: &[&Peer]) -> BTreeSet<Place> {
    let look = || members.iter().map(|member| member.owned()).collect::<Vec<_>>();
    // One after the other is no picture of a moment: what the first gave up since, the second may have.
    let mut owned = look();
    loop {
        let again = look();
        if again == owned {
            break;
        }
        owned = again;
    }
    let all: Vec<Place> = owned.into_iter().flatten().collect();
    let distinct: BTreeSet<Place> = all.iter().cloned().collect();
    assert_eq!(distinct.len(), all.len(), "one owner each: {all:?}");
    distinct
}

/// A member and its listener.
pub(crate) struct Peer {
    pub(crate) diary: Arc<Diary>,
    pub(crate) member: Member,
    pub(crate) cluster: Arc<Cluster>,
}

impl Peer {
    /// A member of a group by KIP-848 that has subscribed to nothing yet.
    pub(crate) fn new(address: &str, group: &str, properties: &[(&str, &str)]) -> Self {
        let own = [
            ("bootstrap.servers", address),
            ("group.id", group),
            ("group.protocol", "consumer"),
            ("fetch.max.wait.ms", "10"),
            ("retry.backoff.ms", "5"),
            ("retry.backoff.max.ms", "20"),
        ];
        let mut config = Config::new();
        for (name, value) in own.iter().chain(properties) {
            config.set(name, value).expect("set");
        }
        let cluster = Cluster::open(&config).expect("opened");
        let config = ConsumerConfig::from(&config).expect("understood").group;
        let diary = Arc::new(Diary::default());
        let listener: Arc<dyn Listener> = diary.clone();
        let member = group::start(&cluster, &config, listener).expect("started");
        Self { diary, member, cluster }
    }

    /// Subscribes to names, and to patterns, which begin with `^`.
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

    /// Commits one offset.
    pub(crate) fn commit(&self, (topic, partition): &Place, offset: i64) -> Result<(), Code> {
        let place = TopicPartition { topic: Arc::from(topic.as_str()), partition: *partition };
        let what = Committed { offset, leader_epoch: None, metadata: None };
        let commit = self.member.offsets.commit(vec![(place, what)], false, soon());
        block(commit).remove(0).map_err(|error| error.code())
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
    pub(crate) fn lock(&self) -> MutexGuard<'_, Notes> {
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
