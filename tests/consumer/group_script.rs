//! A member of a group whose membership and offsets are the test's own words.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use samsa::config::Config;
use samsa::consumer::{Callbacks, Consumer, Event, Position};
use samsa::group::{
    Boxed, Committed, Done, Identity, Listener, Member, Membership, OffsetStore, Step,
    Subscription, TopicPartition,
};
use samsa::runtime::Completion;
use samsa::{Code, Error, Result};

use crate::rig::{PATIENCE, Rig};

/// What was asked of the membership, and what its group's offsets are.
#[derive(Default)]
struct Facts {
    calls: Vec<String>,
    subscription: Option<Subscription>,
    committed: HashMap<(String, i64), Committed>,
    /// One entry a commit: partition and offset, in order.
    commits: Vec<Vec<(i64, i64)>>,
    /// Commits fail with this.
    refuse: Option<Code>,
    /// The coordinator says nothing.
    silent: bool,
    /// Commits take their time.
    slow: bool,
    /// Offsets are forgotten by their own age.
    ages: bool,
}

impl Facts {
    fn keep(&mut self, places: Vec<(TopicPartition, Committed)>) -> Vec<Result<()>> {
        let refuse = self.refuse;
        let mut list: Vec<_> = places.iter().map(|(p, c)| (p.partition, c.offset)).collect();
        list.sort_unstable();
        self.commits.push(list);
        let mut outcomes = Vec::new();
        for (partition, place) in places {
            outcomes.push(refuse.map_or(Ok(()), |code| Err(Error::bare(code))));
            if refuse.is_none() {
                let key = (partition.topic.to_string(), partition.partition);
                self.committed.insert(key, place);
            }
        }
        outcomes
    }
}

/// A membership and an offset store in one.
#[derive(Default)]
pub(crate) struct Script {
    facts: Mutex<Facts>,
    changed: Condvar,
    listener: Mutex<Option<Arc<dyn Listener>>>,
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Script")
    }
}

/// Whether a step is done.
#[derive(Clone)]
pub(crate) struct Flag {
    set: Arc<AtomicBool>,
    script: Arc<Script>,
}

impl Flag {
    pub(crate) fn is_set(&self) -> bool {
        self.set.load(Ordering::SeqCst)
    }

    pub(crate) fn wait(&self) {
        self.script.wait("a step to be done", |_| self.is_set());
    }
}

pub(crate) fn tp(number: i64) -> TopicPartition {
    TopicPartition { topic: Arc::from("t"), partition: number }
}

fn tps(numbers: &[i64]) -> Vec<TopicPartition> {
    numbers.iter().map(|&number| tp(number)).collect()
}

impl Script {
    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap()
    }

    fn wait(&self, what: &str, mut ready: impl FnMut(&mut Facts) -> bool) {
        let limit = Instant::now() + PATIENCE;
        let mut facts = self.facts();
        while !ready(&mut facts) {
            let left = limit.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain for {what}; calls: {:?}", facts.calls);
            facts = self.changed.wait_timeout(facts, left).unwrap().0;
        }
    }

    fn note(&self, call: impl Into<String>) {
        self.facts().calls.push(call.into());
        self.changed.notify_all();
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.facts().calls.clone()
    }

    pub(crate) fn wait_call(&self, call: &str) {
        self.wait(call, |facts| facts.calls.iter().any(|seen| seen == call));
    }

    pub(crate) fn commits(&self) -> Vec<Vec<(i64, i64)>> {
        self.facts().commits.clone()
    }

    pub(crate) fn wait_commits(&self, count: usize) -> Vec<Vec<(i64, i64)>> {
        self.wait("commits", |facts| facts.commits.len() >= count);
        self.commits()
    }

    /// That this is not called for so long.
    pub(crate) fn never(&self, call: &str, time: Duration) {
        let limit = Instant::now() + time;
        let mut facts = self.facts();
        loop {
            assert!(!facts.calls.iter().any(|seen| seen == call), "{:?}", facts.calls);
            let left = limit.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            facts = self.changed.wait_timeout(facts, left).unwrap().0;
        }
    }

    pub(crate) fn offset(&self, number: i64) -> Option<Committed> {
        self.facts().committed.get(&("t".to_owned(), number)).cloned()
    }

    pub(crate) fn wait_offset(&self, number: i64, offset: i64) {
        let key = ("t".to_owned(), number);
        self.wait(&format!("{offset} is committed"), |facts| {
            facts.committed.get(&key).is_some_and(|kept| kept.offset == offset)
        });
    }

    pub(crate) fn set_offset(&self, number: i64, offset: i64) {
        let place = Committed { offset, leader_epoch: None, metadata: None };
        self.facts().committed.insert(("t".to_owned(), number), place);
    }

    pub(crate) fn refuse(&self, code: Option<Code>) {
        self.facts().refuse = code;
    }

    pub(crate) fn fall_silent(&self) {
        self.facts().silent = true;
    }

    pub(crate) fn speak(&self) {
        self.facts().silent = false;
    }

    pub(crate) fn slow_down(&self) {
        self.facts().slow = true;
    }

    /// From now on they take none; those that are under way take theirs.
    pub(crate) fn speed_up(&self) {
        self.facts().slow = false;
    }

    /// Offsets are forgotten by their own age, as by brokers before 2.1.
    pub(crate) fn forget_by_age(&self) {
        self.facts().ages = true;
    }

    pub(crate) fn subscription(&self) -> Option<Subscription> {
        self.facts().subscription.clone()
    }

    pub(crate) fn step(&self, step: Step) {
        let listener = self.listener.lock().unwrap().clone();
        listener.expect("the member was made").step(step);
    }

    /// The member is sure to be one until then.
    pub(crate) fn confirmed(&self, until: Option<Instant>) {
        let listener = self.listener.lock().unwrap().clone();
        listener.expect("the member was made").confirmed(until);
    }

    fn done(self: &Arc<Self>) -> (Flag, Done) {
        let flag = Flag { set: Arc::default(), script: Arc::clone(self) };
        let (set, script) = (Arc::clone(&flag.set), Arc::clone(self));
        let done = Done::new(move || {
            set.store(true, Ordering::SeqCst);
            script.note("done");
        });
        (flag, done)
    }

    pub(crate) fn assign(self: &Arc<Self>, numbers: &[i64]) -> Flag {
        let (flag, done) = self.done();
        self.step(Step::Assign(tps(numbers), done));
        flag
    }

    pub(crate) fn revoke(self: &Arc<Self>, numbers: &[i64]) -> Flag {
        let (flag, done) = self.done();
        self.step(Step::Revoke(tps(numbers), done));
        flag
    }

    pub(crate) fn lose(&self, numbers: &[i64]) {
        self.step(Step::Lost(tps(numbers)));
    }
}

#[derive(Debug)]
struct Mine(Arc<Script>);

impl Membership for Mine {
    fn subscribe(&self, subscription: Subscription) {
        let call = if subscription.is_empty() { "unsubscribe" } else { "subscribe" };
        self.0.facts().subscription = Some(subscription);
        self.0.note(call);
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity {
            group: Arc::from("g"),
            member: Arc::from("m-1"),
            instance: None,
            generation: 7,
            user_data: None,
        })
    }

    fn step_out(&self) {
        self.0.note("step out");
    }

    fn step_in(&self) {
        self.0.note("step in");
    }

    fn rejoin(&self, _why: &'static str) {
        self.0.note("rejoin");
    }

    fn leave(&self) -> Completion<()> {
        let (sender, left) = Completion::new();
        self.0.note("leave");
        match self.0.facts().silent {
            true => std::mem::forget(sender),
            false => sender.send(Ok(())),
        }
        left
    }
}

impl OffsetStore for Mine {
    fn fetch(
        &self,
        partitions: Vec<TopicPartition>,
        deadline: Instant,
    ) -> Boxed<Result<Vec<Result<Option<Committed>>>>> {
        let facts = self.0.facts();
        if facts.silent {
            return Box::pin(async move {
                tokio::time::sleep_until(deadline.into()).await;
                Err(Error::bare(Code::TIMED_OUT))
            });
        }
        let of = |one: &TopicPartition| {
            let key = (one.topic.to_string(), one.partition);
            Ok(facts.committed.get(&key).cloned())
        };
        let found = partitions.iter().map(of).collect();
        Box::pin(async move { Ok(found) })
    }

    fn commit(
        &self,
        places: Vec<(TopicPartition, Committed)>,
        _once: bool,
        deadline: Instant,
    ) -> Boxed<Vec<Result<()>>> {
        let mut facts = self.0.facts();
        if facts.silent {
            facts.calls.push("commit".to_owned());
            self.0.changed.notify_all();
            return Box::pin(async move {
                tokio::time::sleep_until(deadline.into()).await;
                places.iter().map(|_| Err(Error::bare(Code::TIMED_OUT))).collect()
            });
        }
        if !facts.slow {
            let outcomes = facts.keep(places);
            self.0.changed.notify_all();
            return Box::pin(async move { outcomes });
        }
        let script = Arc::clone(&self.0);
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let outcomes = script.facts().keep(places);
            script.changed.notify_all();
            outcomes
        })
    }

    fn ages(&self) -> bool {
        self.0.facts().ages
    }
}

/// What most tests of groups say besides: no commit by the clock while they look.
pub(crate) const SLOW: (&str, &str) = ("auto.commit.interval.ms", "600000");

impl Rig {
    /// A consumer in the group "g" whose membership follows a script.
    pub(crate) fn scripted(&self, properties: &[(&str, &str)]) -> (Arc<Consumer>, Arc<Script>) {
        self.scripted_with(properties, Callbacks::default())
    }

    pub(crate) fn scripted_with(
        &self,
        properties: &[(&str, &str)],
        callbacks: Callbacks,
    ) -> (Arc<Consumer>, Arc<Script>) {
        let mut overrides = Config::new();
        overrides.set("group.id", "g").unwrap();
        for (name, value) in properties {
            overrides.set(name, value).unwrap();
        }
        let script = Arc::new(Script::default());
        let made = Arc::clone(&script);
        let make = move |_: &_, _: &_, listener| {
            *made.listener.lock().unwrap() = Some(listener);
            let mine = Arc::new(Mine(Arc::clone(&made)));
            let membership: Arc<dyn Membership> = Arc::clone(&mine) as _;
            Ok(Member { membership, offsets: mine })
        };
        let consumer =
            Consumer::with_member(&self.cluster, Some(&overrides), callbacks, Box::new(make));
        (consumer.unwrap(), script)
    }

    /// The same, subscribed to "t", with partitions assigned.
    pub(crate) fn member(
        &self,
        properties: &[(&str, &str)],
        numbers: &[i64],
    ) -> (Arc<Consumer>, Arc<Script>) {
        let (consumer, script) = self.scripted(properties);
        consumer.subscribe(&["t"]).unwrap();
        script.assign(numbers).wait();
        (consumer, script)
    }
}

/// The partitions of an event.
pub(crate) fn numbers(list: &[Position]) -> Vec<i64> {
    let mut numbers: Vec<i64> = list.iter().map(|position| position.partition).collect();
    numbers.sort_unstable();
    numbers
}

/// What happened, in the words of these tests.
pub(crate) fn words(event: &Event) -> String {
    match event {
        Event::Assigned(list) => format!("assigned {:?}", numbers(list.list())),
        Event::Revoked(list) => format!("revoked {:?}", numbers(list.list())),
        Event::Lost(list) => format!("lost {:?}", numbers(list.list())),
        Event::Committed(list) => format!("committed {:?}", numbers(list.list())),
        other => format!("{other:?}"),
    }
}
