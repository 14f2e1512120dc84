//! Membership by KIP-848 at real coordinators. Sessions are of 6 s there.

use std::collections::BTreeSet;
use std::time::Instant;

use samsa::Code;

use crate::ground::Ground;
use crate::harness::topics;
use crate::member::{Peer, Place, owned_by, soon};

/// Waits until these members own all of the topic, each partition one of them and nobody many more than
/// another.
fn settled(members: &[&Peer], topic: &str, partitions: i64) {
    let wanted: BTreeSet<Place> = (0..partitions).map(|index| (topic.to_owned(), index)).collect();
    let deadline = soon();
    let even = || {
        let counts = members.iter().map(|member| member.owned().len());
        counts.clone().max().unwrap_or(0) - counts.min().unwrap_or(0) <= 1
    };
    while owned_by(members) != wanted || !even() {
        assert!(Instant::now() < deadline, "not settled: {:?}", owned_by(members));
        std::thread::yield_now();
    }
}

fn member(ground: &Ground, group: &str, topic: &str, properties: &[(&str, &str)]) -> Peer {
    let peer = Peer::new(&ground.address, group, properties);
    peer.subscribe(&[topic]);
    peer
}

/// Members join, share, leave, and fall silent; what stays with a member is not touched.
pub fn members_share_and_take_over(ground: &Ground) {
    let topic = ground.topic("next");
    topics::create(ground, &topic, 6, 1, &[]);
    let first = member(ground, &topic, &topic, &[]);
    settled(&[&first], &topic, 6);
    let second = member(ground, &topic, &topic, &[]);
    settled(&[&first, &second], &topic, 6);
    assert_eq!((first.owned().len(), second.owned().len()), (3, 3));
    // A coordinator that is slow to assign says first that there is nothing yet.
    let told = first.diary.told().into_iter().filter(|told| *told != ("assign", 0));
    assert_eq!(told.collect::<Vec<_>>(), [("assign", 6), ("revoke", 3)]);
    let third = member(ground, &topic, &topic, &[]);
    settled(&[&first, &second, &third], &topic, 6);
    second.leave();
    settled(&[&first, &third], &topic, 6);
    // As one that was killed: it says nothing more.
    drop(third);
    settled(&[&first], &topic, 6);
    first.leave();
}

/// Rule 9.11: members come and go, and what stays is committed all the time.
pub fn commits_go_through_a_rebalance(ground: &Ground) {
    let topic = ground.topic("next");
    topics::create(ground, &topic, 4, 1, &[]);
    let first = member(ground, &topic, &topic, &[]);
    settled(&[&first], &topic, 4);
    let mut offset = 0;
    for _ in 0..3 {
        let second = member(ground, &topic, &topic, &[]);
        while second.owned().len() < 2 {
            let place = first.owned().pop_first().expect("owns some");
            offset += 1;
            match first.commit(&place, offset) {
                Ok(()) => {}
                Err(code) => assert_eq!(code, Code::ILLEGAL_GENERATION, "it went meanwhile"),
            }
        }
        second.leave();
        settled(&[&first], &topic, 4);
    }
    assert!(offset > 3, "{offset}");
    first.leave();
}

/// A pattern is the coordinator's, which finds new topics; and one that it must not resolve.
pub fn patterns_find_new_topics(ground: &Ground) {
    let stem = ground.topic("next");
    let (one, two) = (format!("{stem}.one"), format!("{stem}.two"));
    topics::create(ground, &one, 2, 1, &[]);
    let by_broker = member(ground, &stem, &format!("^{stem}\\..*"), &[]);
    let other = format!("{stem}-client");
    // Two patterns, which only the client can resolve.
    let by_client = Peer::new(&ground.address, &other, &[("metadata.max.age.ms", "500")]);
    by_client.subscribe(&[&format!("^{stem}\\.o.*"), &format!("^{stem}\\.t.*")]);
    by_broker.owns(2);
    by_client.owns(2);
    topics::create(ground, &two, 3, 1, &[]);
    by_broker.owns(5);
    by_client.owns(5);
    by_broker.leave();
    by_client.leave();
}

/// A static member that comes back has what it had, and nobody else noticed.
pub fn a_static_member_comes_back(ground: &Ground) {
    let topic = ground.topic("next");
    topics::create(ground, &topic, 4, 1, &[]);
    let named = [("group.instance.id", "one")];
    let first = member(ground, &topic, &topic, &named);
    settled(&[&first], &topic, 4);
    let other = member(ground, &topic, &topic, &[]);
    settled(&[&first, &other], &topic, 4);
    let twin = member(ground, &topic, &topic, &named);
    assert_eq!(twin.fails(), Code::UNRELEASED_INSTANCE_ID);
    let owned = first.owned();
    first.leave();
    let back = member(ground, &topic, &topic, &named);
    settled(&[&back, &other], &topic, 4);
    assert_eq!(back.owned(), owned);
    assert!(other.diary.told().iter().all(|(what, _)| *what == "assign"));
    back.leave();
    other.leave();
}
