//! Classic members by the library's own interface: they share, commit, leave, and take over.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use samsa::cluster::Cluster;
use samsa::config::{Config, ConsumerConfig};
use samsa::group::admin::{delete_group, describe_group};
use samsa::group::{Committed, Listener, Member, Step, Subscription, TopicPartition, start};

use crate::ground::Ground;
use crate::harness::topics;

const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct Inbox(Mutex<VecDeque<Step>>);

impl Listener for Inbox {
    fn step(&self, step: Step) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(step);
    }
}

struct App {
    member: Member,
    inbox: Arc<Inbox>,
    reads: BTreeSet<i64>,
}

impl App {
    fn new(cluster: &Arc<Cluster>, config: &Config, topic: &str) -> Self {
        let config = ConsumerConfig::from(config).expect("a configuration").group;
        let inbox = Arc::new(Inbox::default());
        let member = start(cluster, &config, Arc::clone(&inbox) as _).expect("a membership");
        let topics = vec![Arc::from(topic)];
        member.membership.subscribe(Subscription { topics, ..Subscription::default() });
        Self { member, inbox, reads: BTreeSet::new() }
    }

    fn poll(&mut self) {
        let steps =
            std::mem::take(&mut *self.inbox.0.lock().unwrap_or_else(PoisonError::into_inner));
        for step in steps {
            match step {
                Step::Assign(places, _done) => {
                    self.reads.extend(places.iter().map(|p| p.partition))
                }
                Step::Revoke(places, _done) => {
                    places.iter().for_each(|place| assert!(self.reads.remove(&place.partition)));
                }
                Step::Lost(places) => panic!("lost {places:?}"),
                Step::Failed(error) => panic!("{error:?}"),
                Step::Run(job) => (job.0)(),
            }
        }
    }

    fn leave(self) {
        let left = self.member.membership.leave();
        left.wait(Some(Instant::now() + PATIENCE), None).expect("left");
    }
}

fn until(apps: &mut [&mut App], done: impl Fn(&[&mut App]) -> bool) {
    let end = Instant::now() + PATIENCE;
    loop {
        apps.iter_mut().for_each(|app| app.poll());
        if done(apps) {
            return;
        }
        let reads: Vec<_> = apps.iter().map(|app| &app.reads).collect();
        assert!(Instant::now() < end, "the members read {reads:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Two members share four partitions, one goes, and the other has its offsets.
pub fn members_share_and_take_over(ground: &Ground) {
    for assignor in ["range", "roundrobin", "sticky", "cooperative-sticky"] {
        let topic = ground.topic("members");
        topics::create(ground, &topic, 4, 1, &[]);
        let mut config = Config::new();
        for (name, value) in [
            ("bootstrap.servers", ground.address.as_str()),
            ("group.id", topic.as_str()),
            ("session.timeout.ms", "6000"),
            ("heartbeat.interval.ms", "500"),
            ("max.poll.interval.ms", "20000"),
            ("partition.assignment.strategy", assignor),
        ] {
            config.set(name, value).expect("a property");
        }
        let cluster = Cluster::open(&config).expect("open");
        cluster.wait_ready(Some(Instant::now() + PATIENCE)).expect("contact");
        let mut a = App::new(&cluster, &config, &topic);
        until(&mut [&mut a], |apps| apps[0].reads.len() == 4);
        let mut b = App::new(&cluster, &config, &topic);
        until(&mut [&mut a, &mut b], |apps| {
            apps.iter().all(|app| app.reads.len() == 2) && apps[0].reads.is_disjoint(&apps[1].reads)
        });
        let mine = *b.reads.first().expect("a partition");
        let place = TopicPartition { topic: Arc::from(topic.as_str()), partition: mine };
        let what = Committed { offset: 7, leader_epoch: None, metadata: Some(Arc::from("why")) };
        let handle = cluster.runtime().handle();
        let end = Instant::now() + PATIENCE;
        let commit = b.member.offsets.commit(vec![(place.clone(), what.clone())], false, end);
        handle.block_on(commit).remove(0).expect("committed");
        let group = describe_group(&cluster, &topic, Some(end)).expect("described");
        assert_eq!((&*group.listing.state, &*group.assignor), ("Stable", assignor));
        let read: usize = group.members.iter().map(|member| member.assignment.len()).sum();
        assert_eq!((group.members.len(), read), (2, 4));
        b.leave();
        until(&mut [&mut a], |apps| apps[0].reads.len() == 4);
        let found = handle.block_on(a.member.offsets.fetch(vec![place], end)).expect("fetched");
        let found = found.into_iter().next().expect("one").expect("told");
        assert_eq!(found, Some(what));
        a.leave();
        if ground.release.since(1, 1) {
            delete_group(&cluster, &topic, Some(end)).expect("deleted");
        }
    }
}
