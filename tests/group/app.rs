//! An application with a membership: hears its steps, keeps books of what it reads, and says so.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use samsa::Code;
use samsa::cluster::Cluster;
use samsa::config::GroupConfig;
use samsa::group::assign::Assign;
use samsa::group::{Done, Listener, Member, Step, Subscription, TopicPartition, start};

use super::rig::PATIENCE;

/// What an application heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Assigned(Vec<String>),
    Revoked(Vec<String>),
    Lost(Vec<String>),
    Failed(Code),
    Ran,
}

/// The listener: keeps the steps until the application looks.
#[derive(Debug, Default)]
struct Inbox {
    steps: Mutex<VecDeque<Step>>,
    bell: Condvar,
    own: Option<Arc<dyn Assign>>,
}

impl Listener for Inbox {
    fn step(&self, step: Step) {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).push_back(step);
        self.bell.notify_all();
    }

    fn assignor(&self) -> Option<Arc<dyn Assign>> {
        self.own.clone()
    }
}

/// See the module.
pub(crate) struct App {
    pub(crate) member: Member,
    inbox: Arc<Inbox>,
    /// What it reads, as `t0`.
    pub(crate) reads: BTreeSet<String>,
    pub(crate) heard: Vec<Heard>,
    /// Steps are heard, but not done: the application is slow.
    pub(crate) is_slow: bool,
    kept: Vec<Done>,
}

fn names(places: &[TopicPartition]) -> Vec<String> {
    places.iter().map(|place| format!("{}{}", place.topic, place.partition)).collect()
}

/// A subscription to topics by name; those with `^` are patterns.
pub(crate) fn to(topics: &[&str]) -> Subscription {
    let mut subscription = Subscription::default();
    for topic in topics {
        match topic.strip_prefix('^') {
            Some(pattern) => subscription.patterns.push(Arc::from(pattern)),
            None => subscription.topics.push(Arc::from(*topic)),
        }
    }
    subscription
}

impl App {
    /// A member that subscribes to these.
    pub(crate) fn new(cluster: &Arc<Cluster>, config: &GroupConfig, topics: &[&str]) -> Self {
        Self::with_assignor(cluster, config, topics, None)
    }

    pub(crate) fn with_assignor(
        cluster: &Arc<Cluster>,
        config: &GroupConfig,
        topics: &[&str],
        own: Option<Arc<dyn Assign>>,
    ) -> Self {
        let inbox = Arc::new(Inbox { own, ..Inbox::default() });
        let listener: Arc<dyn Listener> = Arc::clone(&inbox) as _;
        let member = start(cluster, config, listener).expect("a membership");
        member.membership.subscribe(to(topics));
        let (reads, heard, kept) = (BTreeSet::new(), Vec::new(), Vec::new());
        Self { member, inbox, reads, heard, is_slow: false, kept }
    }

    /// Hears what came, as a poll would.
    pub(crate) fn poll(&mut self) {
        if !self.is_slow {
            self.kept.clear();
        }
        let steps =
            std::mem::take(&mut *self.inbox.steps.lock().unwrap_or_else(PoisonError::into_inner));
        for step in steps {
            self.hear(step);
        }
    }

    fn hear(&mut self, step: Step) {
        match step {
            Step::Assign(places, done) => {
                for name in names(&places) {
                    assert!(self.reads.insert(name.clone()), "{name} is announced twice");
                }
                self.heard.push(Heard::Assigned(names(&places)));
                self.kept.push(done);
            }
            Step::Revoke(places, done) => {
                for name in names(&places) {
                    assert!(self.reads.remove(&name), "{name} was not read");
                }
                self.heard.push(Heard::Revoked(names(&places)));
                self.kept.push(done);
            }
            Step::Lost(places) => {
                for name in names(&places) {
                    // Or its revocation was heard of already.
                    self.reads.remove(&name);
                }
                self.heard.push(Heard::Lost(names(&places)));
            }
            Step::Run(job) => {
                (job.0)();
                self.heard.push(Heard::Ran);
            }
            Step::Failed(error) => self.heard.push(Heard::Failed(error.code())),
        }
        if !self.is_slow {
            self.kept.clear();
        }
    }

    pub(crate) fn has_heard(&self, what: &Heard) -> bool {
        self.heard.contains(what)
    }

    /// Forgets what it heard so far.
    pub(crate) fn forget(&mut self) {
        self.heard.clear();
    }

    pub(crate) fn reads(&self, names: &[&str]) -> bool {
        self.reads.iter().map(String::as_str).eq(names.iter().copied())
    }

    /// Polls until this is true.
    pub(crate) fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        until(what, &mut [self], |apps| done(apps[0]));
    }

    /// Leaves politely.
    pub(crate) fn leave(self) {
        let left = self.member.membership.leave();
        left.wait(Some(Instant::now() + PATIENCE), None).expect("left");
    }

    /// Its generation; −1 while it has none.
    pub(crate) fn generation(&self) -> i32 {
        self.member.membership.identity().map_or(-1, |identity| identity.generation)
    }
}

/// Lets several applications poll until this is true.
pub(crate) fn until(what: &str, apps: &mut [&mut App], done: impl Fn(&[&mut App]) -> bool) {
    let end = Instant::now() + PATIENCE;
    loop {
        apps.iter_mut().for_each(|app| app.poll());
        if done(apps) {
            return;
        }
        let heard: Vec<_> = apps.iter().map(|app| (&app.reads, &app.heard)).collect();
        assert!(Instant::now() < end, "never: {what}; {heard:?}");
        let Some(app) = apps.first() else { return };
        let steps = app.inbox.steps.lock().unwrap_or_else(PoisonError::into_inner);
        if steps.is_empty() {
            // Others have bells of their own, and brokers have none.
            let _ = app.inbox.bell.wait_timeout(steps, Duration::from_millis(2));
        }
    }
}

/// Whether each of `count` partitions of "t" is read by one of them, and none by two.
pub(crate) fn share(apps: &[&mut App], count: usize) -> bool {
    let all: Vec<&String> = apps.iter().flat_map(|app| &app.reads).collect();
    let each: BTreeSet<&&String> = all.iter().collect();
    all.len() == count && each.len() == count
}
