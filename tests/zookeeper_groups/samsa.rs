//! samsa's own tests of its consumers, as far as they are no other module's: docs/heritage.md has the
//! list. samsa slept a second between the steps; here each step is waited for.

use std::sync::Arc;

use samsa::Code;
use samsa::consumer::Consumer;

use crate::legacy::{Brokers, set};
use crate::rig::{Book, Reader, member, soon, wait_owners};

/// A member that no busy machine costs its session.
fn patient(kafka: &Brokers, more: &[(&str, &str)]) -> Arc<Consumer> {
    let properties = [&[("zookeeper.session.timeout.ms", "20000")], more].concat();
    let consumer = member(&kafka.zookeeper, "g", &properties);
    consumer.subscribe(&["t"]).expect("subscribed");
    consumer
}

/// How ranges share so many partitions, the least first.
fn shares(partitions: usize, members: usize) -> Vec<usize> {
    (0..members).map(|member| (partitions + member) / members).collect()
}

/// What stands in the owner nodes, by partition.
fn owners(kafka: &Brokers) -> Vec<(String, String)> {
    let parent = "/consumers/g/owners/t";
    let mut nodes = kafka.zookeeper.children(parent);
    nodes.sort();
    let data = |node: &String| kafka.zookeeper.node(&format!("{parent}/{node}")).map(|n| n.data);
    let text = |data| String::from_utf8(data).expect("text");
    nodes.iter().filter_map(|node| Some((node.clone(), text(data(node)?)))).collect()
}

fn next(consumer: &Consumer) -> String {
    let message = consumer.next(30_000).expect("a message");
    String::from_utf8(message.record().value().expect("a value").to_vec()).expect("text")
}

#[test]
fn samsa_owners_are_registered_as_a_member_gets_partitions_and_deleted_as_it_leaves() {
    let kafka = Brokers::with(1, 2);
    let book = Arc::new(Book::default());
    kafka.write('x', 1);
    let a = Reader::start(patient(&kafka, &[("consumer.id", "a")]), "a", &book);
    wait_owners(&kafka.zookeeper, "g", "t", &[2]);
    let of = |node: &str, owner: &str| (node.to_owned(), owner.to_owned());
    assert_eq!(owners(&kafka), [of("0-0", "g_a-0"), of("0-1", "g_a-0")]);
    let b = Reader::start(patient(&kafka, &[("consumer.id", "b")]), "b", &book);
    wait_owners(&kafka.zookeeper, "g", "t", &[1, 1]);
    assert_eq!(owners(&kafka), [of("0-0", "g_a-0"), of("0-1", "g_b-0")]);
    a.close();
    wait_owners(&kafka.zookeeper, "g", "t", &[2]);
    assert_eq!(owners(&kafka), [of("0-0", "g_b-0"), of("0-1", "g_b-0")]);
    b.close();
    assert!(owners(&kafka).is_empty() && kafka.zookeeper.children("/consumers/g/ids").is_empty());
}

#[test]
fn samsa_three_members_share_ten_partitions_and_none_is_missing_or_read_twice() {
    let kafka = Brokers::with(2, 5);
    let book = Arc::new(Book::default());
    kafka.write('x', 1);
    let names = ["a", "b", "c"];
    let members: Vec<Reader> =
        names.iter().map(|name| Reader::start(patient(&kafka, &[]), name, &book)).collect();
    wait_owners(&kafka.zookeeper, "g", "t", &[3, 3, 4]);
    book.wait(&names, 10);
    let written = kafka.write('y', 3);
    book.wait(&names, 40);
    let of = |name: &str| -> Vec<String> {
        book.of(name).into_iter().filter(|value| value.starts_with('y')).collect()
    };
    let mut counts = names.map(|name| of(name).len());
    counts.sort_unstable();
    assert_eq!(counts, [9, 9, 12]);
    let mut all = names.map(of).concat();
    all.sort();
    assert_eq!(all, written, "each once");
    members.into_iter().for_each(Reader::close);
}

#[test]
fn samsa_a_broker_that_is_added_brings_its_partitions_to_topic_and_consumer() {
    let kafka = Brokers::with(2, 2);
    kafka.brokers.stop_broker(1).expect("stopped");
    kafka.append(0, 0, &set(&["one".to_owned()]));
    let consumer = patient(&kafka, &[]);
    assert_eq!(next(&consumer), "one");
    let owned = || {
        let mut numbers: Vec<i64> =
            consumer.assignment().expect("open").iter().map(|place| place.partition).collect();
        numbers.sort_unstable();
        numbers
    };
    assert_eq!(owned(), [0, 1]);
    kafka.brokers.start_broker(1).expect("started");
    kafka.append(1, 1, &set(&["two".to_owned()]));
    assert_eq!(next(&consumer), "two");
    assert_eq!(owned(), [0, 1, 1 << 32, 1 << 32 | 1]);
    wait_owners(&kafka.zookeeper, "g", "t", &[4]);
    consumer.close(30_000).expect("closed");
}

#[test]
fn samsa_a_commit_writes_the_place_behind_the_message_and_a_restart_goes_on_there() {
    let kafka = Brokers::with(1, 1);
    let values = ["one", "two", "three"].map(str::to_owned);
    kafka.append(0, 0, &set(&values));
    let by_hand = [("enable.auto.commit", "false")];
    let first = patient(&kafka, &by_hand);
    assert_eq!(next(&first), "one");
    assert_eq!(kafka.offset("0-0"), None, "offsets move when the application says so");
    first.commit(None, 30_000, None).expect("committed");
    assert_eq!(kafka.offset("0-0").as_deref(), Some("13"));
    assert_eq!(next(&first), "two");
    first.close(30_000).expect("closed");
    assert_eq!(kafka.offset("0-0").as_deref(), Some("13"), "what was not committed");
    let second = patient(&kafka, &by_hand);
    assert_eq!([next(&second), next(&second)], ["two", "three"]);
    let stopped = second.stop_partitions(None, 30_000, None).expect("stopped and committed");
    assert_eq!(stopped.iter().map(|place| place.offset).collect::<Vec<_>>(), [Some(41)]);
    assert_eq!(kafka.offset("0-0").as_deref(), Some("41"));
    second.close(30_000).expect("closed");
}

#[test]
fn samsa_an_offset_of_minus_1_is_none_and_the_policy_reads_all() {
    let kafka = Brokers::with(1, 1);
    let values = ["one", "two"].map(str::to_owned);
    kafka.append(0, 0, &set(&values));
    for policy in ["earliest", "nearest"] {
        kafka.zookeeper.ensure("/consumers/g/offsets/t/0-0", b"-1").expect("as samsa forced it");
        let consumer = patient(&kafka, &[("auto.offset.reset", policy)]);
        assert_eq!([next(&consumer), next(&consumer)], values, "{policy}");
        consumer.close(30_000).expect("closed");
        assert_eq!(kafka.offset("0-0").as_deref(), Some("26"), "{policy}");
    }
}

#[test]
fn samsa_ten_members_join_one_by_one_and_leave_one_by_one() {
    const NAMES: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let kafka = Brokers::with(2, 6);
    let book = Arc::new(Book::default());
    let mut written = kafka.write('a', 1);
    let mut members = Vec::new();
    for (count, name) in (1..).zip(NAMES) {
        members.push(Reader::start(patient(&kafka, &[]), name, &book));
        wait_owners(&kafka.zookeeper, "g", "t", &shares(12, count));
    }
    written.extend(kafka.write('b', 2));
    book.wait(&NAMES, written.len());
    while let Some(member) = members.pop() {
        member.close();
        let left = members.len();
        wait_owners(&kafka.zookeeper, "g", "t", &shares(12, left)[..]);
        if left > 0 {
            written.extend(kafka.write(char::from(b'c' + left as u8), 1));
            book.wait(&NAMES[..], written.len());
        }
    }
    written.sort();
    assert_eq!(book.wait(&NAMES, written.len()), written, "each once, although all moved");
    assert!(kafka.zookeeper.children("/consumers/g/ids").is_empty());
}

#[test]
fn samsa_a_second_member_for_one_partition_waits_or_is_refused_where_that_is_wished() {
    let kafka = Brokers::with(1, 1);
    kafka.append(0, 0, &set(&["one".to_owned()]));
    let first = patient(&kafka, &[("consumer.id", "a")]);
    assert_eq!(next(&first), "one");
    let refused =
        patient(&kafka, &[("consumer.id", "0"), ("samsa.group.refuse.idle.members", "true")]);
    let error = loop {
        match refused.poll(30_000) {
            Err(error) if error.code() != Code::NOTHING => break error,
            other => assert!(other.is_err(), "it has no partition"),
        }
    };
    assert_eq!(error.code(), Code::GROUP_MAX_SIZE_REACHED);
    assert_eq!(error.property(), Some("samsa.group.refuse.idle.members"));
    let waiting = patient(&kafka, &[("consumer.id", "b")]);
    let ids = "/consumers/g/ids";
    let both = kafka.zookeeper.wait_until(soon(), |zk| zk.children(ids).len() == 2);
    both.expect("it is registered, and waits");
    kafka.append(0, 0, &set(&["two".to_owned()]));
    assert_eq!(next(&first), "two");
    first.close(30_000).expect("closed");
    kafka.append(0, 0, &set(&["three".to_owned()]));
    assert_eq!(next(&waiting), "three");
    waiting.close(30_000).expect("closed");
}
