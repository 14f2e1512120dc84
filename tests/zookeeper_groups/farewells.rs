//! How a member leaves while others come.

use std::sync::Arc;
use std::time::{Duration, Instant};

use samsa::Code;
use samsa::consumer::{Callbacks, Consumer, Event};

use crate::legacy::{Brokers, set};
use crate::rig::{Book, Reader, cluster_at, soon, wait_owners};

/// Longer than another member needs to be seen, if nothing keeps a member from looking.
const AWHILE: Duration = Duration::from_millis(500);

/// A member that has read all of `payloads` of partition 0-1 and has not committed them.
fn reader(kafka: &Brokers, payloads: &[String]) -> Arc<Consumer> {
    let properties = [("auto.commit.interval.ms", "600000"), ("consumer.id", "a")];
    let cluster = cluster_at(&kafka.zookeeper.address(), "g", &properties);
    let callbacks = Callbacks { rebalance: true, commit: false };
    let member = Consumer::with_callbacks(&cluster, None, callbacks).expect("a consumer");
    member.subscribe(&["t"]).expect("subscribed");
    kafka.append(0, 1, &set(payloads));
    let mut read = 0;
    while read < payloads.len() {
        match member.poll_telling(30_000, &mut |event| drop(event)) {
            Ok(batch) => read += batch.iter().count(),
            Err(error) => assert_eq!(error.code(), Code::NOTHING, "{error}"),
        }
    }
    member
}

/// The callback of the last revocation, in which another member comes that 0-1 is for.
fn meet(kafka: &Brokers, book: &Arc<Book>, event: Event) -> Reader {
    assert!(matches!(event, Event::Revoked(_)), "{event:?}");
    let b = kafka.read("g", "b", book);
    let ids = "/consumers/g/ids";
    let both = kafka.zookeeper.wait_until(soon(), |zookeeper| zookeeper.children(ids).len() == 2);
    both.expect("it is registered");
    let owner = "/consumers/g/owners/t/0-1";
    let gone = |zookeeper: &samsa::embedded::zookeeper::Server| zookeeper.node(owner).is_none();
    let early = kafka.zookeeper.wait_until(Instant::now() + AWHILE, gone);
    assert!(early.is_err(), "given up before it was committed");
    b
}

#[test]
fn rule_10_1_what_is_revoked_while_the_member_closes_is_committed_before_it_is_released() {
    let kafka = Brokers::with(1, 2);
    let payloads = ["one", "two"].map(str::to_owned);
    let a = reader(&kafka, &payloads);
    let book = Arc::new(Book::default());
    let mut b = None;
    let mut tell = |event| b = Some(meet(&kafka, &book, event));
    a.close_telling(30_000, Some(&mut tell)).expect("committed and left");
    assert_eq!(kafka.offset("0-1"), Some(set(&payloads).len().to_string()));
    wait_owners(&kafka.zookeeper, "g", "t", &[2]);
    kafka.append(0, 1, &set(&["three".to_owned()]));
    assert_eq!(book.wait(&["b"], 1), ["three"], "nothing twice");
    b.expect("it joined").close();
}

#[test]
fn rule_10_1_so_is_what_is_revoked_while_the_subscription_ends() {
    let kafka = Brokers::with(1, 2);
    let payloads = ["one", "two"].map(str::to_owned);
    let a = reader(&kafka, &payloads);
    let book = Arc::new(Book::default());
    let mut b = None;
    let mut tell = |event| b = Some(meet(&kafka, &book, event));
    a.unsubscribe(30_000, Some(&mut tell)).expect("committed and left");
    assert_eq!(kafka.offset("0-1"), Some(set(&payloads).len().to_string()));
    wait_owners(&kafka.zookeeper, "g", "t", &[2]);
    kafka.append(0, 1, &set(&["three".to_owned()]));
    assert_eq!(book.wait(&["b"], 1), ["three"], "nothing twice");
    b.expect("it joined").close();
    a.close(30_000).expect("closed");
}
