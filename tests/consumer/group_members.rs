//! Members of groups, classic and KIP-848, at the embedded broker's coordinator: the consumer's part of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use samsa::Code;
use samsa::config::Config;
use samsa::consumer::{Callbacks, Consumer, Event};
use samsa::embedded::{Fault, FaultKind, Options};

use crate::group_script::{SLOW, numbers, words};
use crate::rig::{Rig, assert_code, deadline, place, read};

/// API keys as faults take them.
const OFFSET_COMMIT: i16 = 8;
const OFFSET_FETCH: i16 = 9;
const LEAVE_GROUP: i16 = 13;

const EVENTS: (&str, &str) = ("samsa.events", "assigned,revoked,lost");
const KIP_848: (&str, &str) = ("group.protocol", "consumer");
const COOPERATIVE: (&str, &str) = ("partition.assignment.strategy", "cooperative-sticky");

impl Rig {
    /// A member of the group "g", subscribed to "t".
    pub(crate) fn classic(&self, properties: &[(&str, &str)]) -> Arc<Consumer> {
        self.classic_with(properties, Callbacks::default())
    }

    pub(crate) fn classic_with(
        &self,
        properties: &[(&str, &str)],
        callbacks: Callbacks,
    ) -> Arc<Consumer> {
        let mut overrides = Config::new();
        overrides.set("group.id", "g").unwrap();
        if !properties.contains(&KIP_848) {
            overrides.set("heartbeat.interval.ms", "20").unwrap();
        }
        for (name, value) in properties {
            overrides.set(name, value).unwrap();
        }
        let made = Consumer::with_callbacks(&self.cluster, Some(&overrides), callbacks).unwrap();
        made.subscribe(&["t"]).unwrap();
        made
    }

    /// Waits for an offset of the group, which members commit while they poll.
    fn wait_committed(&self, partition: i32, offset: i64, polling: &Consumer) {
        let limit = deadline();
        while self.kafka.committed("g", "t", partition) != Some(offset) {
            assert!(Instant::now() < limit, "{:?}", self.kafka.committed("g", "t", partition));
            let _ = polling.poll(5);
        }
    }
}

/// Polls all members in turn until these offsets came, each once.
fn read_all(members: &[&Consumer], counts: &[i64]) -> BTreeMap<i64, BTreeSet<i64>> {
    let mut seen = BTreeMap::<i64, BTreeSet<i64>>::new();
    let wanted: i64 = counts.iter().sum();
    let (limit, mut left) = (deadline(), wanted);
    while left > 0 {
        assert!(Instant::now() < limit, "{left} of {wanted} are missing: {seen:?}");
        for member in members {
            let Ok(batch) = member.poll(5) else { continue };
            for record in batch.iter() {
                let news = seen.entry(record.partition()).or_default().insert(record.offset());
                assert!(news, "{}-{} came twice", record.partition(), record.offset());
                left -= 1;
            }
        }
    }
    seen
}

fn share_out(properties: &[(&str, &str)]) {
    let heartbeat = Duration::from_millis(20);
    let options = Options { group_consumer_heartbeat_interval: heartbeat, ..Options::default() };
    let rig = Rig::with(options, 4);
    let first = rig.classic(properties);
    (0..4).for_each(|partition| rig.write(partition, 5));
    read_all(&[&first], &[20]);
    let second = rig.classic(properties);
    let limit = deadline();
    let both = [&*first, &*second];
    while both.iter().any(|member| member.assignment().unwrap().len() != 2) {
        assert!(Instant::now() < limit, "partitions are not shared");
        both.iter().for_each(|member| assert!(member.poll(5).is_err(), "read again"));
    }
    (0..4).for_each(|partition| rig.write(partition, 5));
    read_all(&both, &[20]);
    first.close(20_000).unwrap();
    (0..4).for_each(|partition| rig.write(partition, 5));
    // What the first had is read on where it stopped, and nothing twice.
    read_all(&[&second], &[20]);
    second.close(20_000).unwrap();
    assert!((0..4).all(|partition| rig.kafka.committed("g", "t", partition) == Some(15)));
    assert!(rig.kafka.group_members("g").is_empty(), "both left at once");
}

#[test]
fn members_share_partitions_come_and_go_and_read_every_message_once() {
    share_out(&[SLOW]);
}

#[test]
fn rule_8_12_cooperative_members_do_the_same() {
    share_out(&[SLOW, COOPERATIVE]);
}

#[test]
fn rule_9_8_members_of_a_kip_848_group_do_the_same() {
    share_out(&[SLOW, KIP_848]);
}

#[test]
fn rule_9_15_a_member_of_a_kip_848_group_that_left_because_nobody_polled_comes_back() {
    leave_and_come_back(&[KIP_848]);
}

#[test]
fn rule_9_19_what_was_come_back_for_is_committed_by_the_clock() {
    let rig = Rig::new(1);
    rig.write(0, 7);
    let consumer = rig.classic(&[("auto.commit.interval.ms", "20")]);
    assert_eq!(read(&consumer, 7)[&0].len(), 7);
    rig.wait_committed(0, 7, &consumer);
}

#[test]
fn rule_8_24_a_member_that_left_because_nobody_polled_comes_back_and_reads_on() {
    leave_and_come_back(&[]);
}

fn leave_and_come_back(properties: &[(&str, &str)]) {
    let rig = Rig::new(1);
    rig.write(0, 10);
    let quick = [SLOW, ("max.poll.interval.ms", "400"), ("max.poll.records", "4")];
    let consumer = rig.classic(&[&quick, properties].concat());
    assert_eq!(read(&consumer, 4)[&0], [0, 1, 2, 3]);
    consumer.commit(None, 20_000, None).unwrap();
    let limit = deadline();
    while !rig.kafka.group_members("g").is_empty() {
        assert!(Instant::now() < limit, "the member is still there");
        std::thread::yield_now();
    }
    assert_code(consumer.poll(0), Code::MAX_POLL_EXCEEDED);
    assert_eq!(read(&consumer, 6)[&0], [4, 5, 6, 7, 8, 9]);
}

#[test]
fn rule_8_10_a_commit_of_a_member_that_was_thrown_out_is_refused_and_its_partitions_are_lost() {
    let rig = Rig::new(1);
    rig.write(0, 3);
    let consumer = rig.classic(&[SLOW, EVENTS, ("enable.auto.commit", "false")]);
    assert_code(consumer.poll(20_000), Code::EVENT);
    drop(consumer.next_event().unwrap());
    assert_eq!(read(&consumer, 3)[&0].len(), 3);
    let id = rig.kafka.group_members("g")[0].id.clone();
    rig.kafka.expire_member("g", &id).unwrap();
    let refused = consumer.commit(Some(&[place(0).at(3)]), 20_000, None);
    let code = match refused {
        Ok(told) => told[0].error.as_ref().map(samsa::Error::code),
        Err(error) => Some(error.code()),
    };
    assert!(code.is_some(), "nobody commits what may be another's");
    assert_code(consumer.poll(20_000), Code::EVENT);
    assert_eq!(words(&consumer.next_event().unwrap().unwrap()), "lost [0]");
    assert_code(consumer.poll(20_000), Code::EVENT);
    assert_eq!(words(&consumer.next_event().unwrap().unwrap()), "assigned [0]");
    assert_eq!(read(&consumer, 3)[&0], [0, 1, 2], "from what the group knows: nothing");
}

#[test]
fn rule_8_25_a_coordinator_that_says_nothing_does_not_hold_up_a_close() {
    let rig = Rig::new(1);
    rig.write(0, 3);
    for api in [OFFSET_COMMIT, LEAVE_GROUP] {
        let consumer = rig.classic(&[SLOW]);
        let limit = deadline();
        while numbers(&consumer.assignment().unwrap()).is_empty() {
            assert!(Instant::now() < limit, "no assignment");
            let _ = consumer.poll(5);
        }
        rig.write(0, 1);
        drop(consumer.poll(20_000).unwrap());
        let silence = rig.kafka.inject(Fault::new(FaultKind::Silence).api(api).always());
        let start = Instant::now();
        assert_code(consumer.close(200), Code::TIMED_OUT);
        assert!(start.elapsed() < Duration::from_secs(10));
        rig.kafka.withdraw(silence);
        for member in rig.kafka.group_members("g") {
            let _ = rig.kafka.expire_member("g", &member.id);
        }
    }
}

#[test]
fn rule_7_1_a_failed_look_up_of_committed_offsets_is_asked_again_and_never_becomes_a_reset() {
    let rig = Rig::new(1);
    rig.write(0, 9);
    let first = rig.classic(&[SLOW]);
    read(&first, 9);
    first.close(20_000).unwrap();
    rig.write(0, 2);
    rig.kafka.inject(Fault::new(FaultKind::ErrorCode(14)).api(OFFSET_FETCH).times(3));
    rig.kafka.inject(Fault::new(FaultKind::DisconnectBefore).api(OFFSET_FETCH).skip(1));
    assert_eq!(read(&rig.classic(&[SLOW]), 2)[&0], [9, 10]);
}

#[test]
fn a_topic_in_a_group_reads_what_is_published_after_it_is_there() {
    let rig = Rig::new(2);
    rig.write(0, 3);
    let topic = rig.cluster.topic("t").unwrap();
    let mut config = rig.cluster.config().clone();
    config.set("auto.offset.reset", "latest").unwrap();
    let cluster = samsa::cluster::Cluster::open(&config).unwrap();
    let latest = cluster.topic("t").unwrap();
    let callbacks = Callbacks::default();
    let start = |cluster, topic, group| {
        Consumer::subscribe_in_group(cluster, topic, group, callbacks, Some(Some(deadline())))
    };
    let consumer = start(&cluster, &latest, "late").unwrap();
    rig.write(0, 2);
    assert_eq!(read(&consumer, 2)[&0], [3, 4]);
    // A member for which nothing is left is there too; the first one has nothing in its hands.
    assert_code(consumer.poll(0), Code::NOTHING);
    let all = start(&rig.cluster, &topic, "late").unwrap();
    assert!(all.identity().unwrap().is_some());
}

#[test]
fn rule_11_10_without_membership_a_group_takes_commits_only_while_it_has_no_members() {
    let rig = Rig::new(1);
    rig.write(0, 3);
    let mut overrides = Config::new();
    overrides.set("group.id", "g").unwrap();
    overrides.set("enable.auto.commit", "false").unwrap();
    let alone = Consumer::new(&rig.cluster, Some(&overrides)).unwrap();
    alone.assign(&[place(0)]).unwrap();
    read(&alone, 3);
    alone.commit(None, 20_000, None).unwrap();
    assert_eq!(rig.kafka.committed("g", "t", 0), Some(3));
    let member = rig.classic(&[SLOW]);
    let limit = deadline();
    while rig.kafka.group_state("g") != "Stable" {
        assert!(Instant::now() < limit, "{}", rig.kafka.group_state("g"));
        let _ = member.poll(5);
    }
    let told = alone.commit(Some(&[place(0).at(1)]), 20_000, None).unwrap();
    assert_eq!(told[0].error.as_ref().unwrap().code(), Code::UNKNOWN_MEMBER_ID);
    assert_eq!(rig.kafka.committed("g", "t", 0), Some(3));
}

#[test]
fn offsets_of_processed_messages_can_be_committed_in_the_revocation_callback() {
    let rig = Rig::new(1);
    rig.write(0, 6);
    let properties = [("enable.auto.commit", "false")];
    let callbacks = Callbacks { rebalance: true, commit: false };
    let first = rig.classic_with(&properties, callbacks);
    let mut seen = Vec::new();
    let mut tell = |event: Event| {
        seen.push(words(&event));
        if let Event::Revoked(list) = &event {
            for told in first.commit(Some(list.list()), 20_000, None).unwrap() {
                assert!(told.error.is_none(), "{told:?}");
            }
        }
    };
    let batch = first.poll_telling(20_000, &mut tell).unwrap();
    assert_eq!(batch.len(), 6);
    drop(batch);
    let second = rig.classic(&properties);
    let limit = deadline();
    while rig.kafka.group_members("g").len() < 2 || rig.kafka.group_state("g") != "Stable" {
        assert!(Instant::now() < limit, "{}", rig.kafka.group_state("g"));
        let _ = first.poll_telling(5, &mut tell);
        assert!(second.poll(5).is_err(), "nothing is read twice");
    }
    assert_eq!(rig.kafka.committed("g", "t", 0), Some(6));
    assert_eq!(seen[..2], ["assigned [0]", "revoked [0]"]);
}
