//! Rule 6.11: what was asked before a partition moved counts no more, whenever it arrives.

use samsa::Code;
use samsa::cluster::Cluster;
use samsa::config::Config;
use samsa::consumer::{Name, Position};
use samsa::embedded::FaultKind;
use samsa::protocol::modern::ApiKey;

use crate::rig::{Rig, assert_code, deadline, place, read, read_one};

#[test]
fn rule_6_11_records_from_before_a_seek_are_never_handed_out() {
    let rig = Rig::new(1);
    rig.write(0, 20);
    let id = rig.fetch_fault(FaultKind::Delay(200));
    let consumer = rig.reader(&[0]);
    rig.kafka.wait_injected(id, 1, deadline()).unwrap();
    consumer.seek(&[place(0).at(15)]).unwrap();
    assert_eq!(read_one(&consumer, 5), [15, 16, 17, 18, 19]);
}

#[test]
fn rule_6_11_seeking_away_and_back_does_not_revive_the_old_answer() {
    let rig = Rig::new(1);
    rig.write(0, 20);
    let id = rig.fetch_fault(FaultKind::Delay(200));
    let consumer = rig.reader(&[0]);
    rig.kafka.wait_injected(id, 1, deadline()).unwrap();
    consumer.seek(&[place(0).at(15)]).unwrap();
    consumer.seek(&[place(0).at(0)]).unwrap();
    assert_eq!(read_one(&consumer, 20), (0..20).collect::<Vec<_>>(), "each once");
    assert_code(consumer.poll(300), Code::NOTHING);
}

#[test]
fn rule_6_11_a_late_out_of_range_does_not_move_a_new_position() {
    let rig = Rig::new(1);
    rig.write(0, 20);
    let id = rig.fetch_fault(FaultKind::Delay(200));
    let consumer = rig.consumer(&[("auto.offset.reset", "latest")]);
    consumer.assign(&[place(0).at(500)]).unwrap();
    rig.kafka.wait_injected(id, 1, deadline()).unwrap();
    consumer.seek(&[place(0).at(18)]).unwrap();
    assert_eq!(read_one(&consumer, 2), [18, 19]);
}

#[test]
fn rule_6_11_messages_of_a_partition_that_is_no_longer_assigned_are_dropped() {
    let rig = Rig::new(2);
    rig.write(0, 20);
    rig.write(1, 3);
    let id = rig.fetch_fault(FaultKind::Delay(200));
    let consumer = rig.reader(&[0]);
    rig.kafka.wait_injected(id, 1, deadline()).unwrap();
    consumer.assign(&[place(1)]).unwrap();
    let offsets = read(&consumer, 3);
    assert_eq!(offsets.keys().copied().collect::<Vec<_>>(), [1]);
    assert_code(consumer.poll(300), Code::NOTHING);
}

#[test]
fn rule_6_11_what_next_holds_decoded_is_dropped_by_a_seek_too() {
    let rig = Rig::new(1);
    rig.write(0, 20);
    let consumer = rig.reader(&[0]);
    assert_eq!(consumer.next(20_000).unwrap().record().offset(), 0);
    consumer.seek(&[place(0).at(17)]).unwrap();
    let rest: Vec<_> = (0..3).map(|_| consumer.next(20_000).unwrap().record().offset()).collect();
    assert_eq!(rest, [17, 18, 19]);
}

#[test]
fn seeks_while_threads_poll_never_give_a_gap_or_a_repeat_within_an_era() {
    let rig = Rig::new(1);
    for _ in 0..50 {
        rig.write(0, 20);
    }
    let consumer = rig.consumer(&[("max.poll.records", "7")]);
    consumer.assign(&[place(0)]).unwrap();
    for round in 0..40_i64 {
        let start = (round * 137) % 900;
        consumer.seek(&[place(0).at(start)]).unwrap();
        assert_eq!(read_one(&consumer, 7), (start..start + 7).collect::<Vec<_>>(), "round {round}");
    }
}

#[test]
fn rule_6_24_a_topic_that_was_made_anew_is_read_by_policy_and_never_on_at_the_old_number() {
    let rig = Rig::new(1);
    rig.write(0, 50);
    let consumer = rig.reader(&[0]);
    assert_eq!(read_one(&consumer, 50).len(), 50);
    assert_eq!(consumer.watermarks(&place(0), 0).unwrap().1, 50);
    rig.kafka.delete_topic("t").unwrap();
    rig.kafka.create_topic("t", 1).unwrap();
    rig.write(0, 2);
    assert_eq!(read_one(&consumer, 2), [0, 1]);
    assert_eq!(consumer.watermarks(&place(0), 0).unwrap().1, 2);
    assert_eq!(consumer.lag(&place(0)).unwrap(), Some(0));
}

#[test]
fn rule_6_6_a_topic_that_was_made_anew_stays_in_a_session_by_names() {
    let mut rig = Rig::new(1);
    // As 2.8 and 3.0: metadata has ids, fetches name topics, and so the session's entry stays the same.
    rig.kafka.limit_versions(None, ApiKey::Fetch, 0, 12).unwrap();
    rig.kafka.create_topic("quiet", 1).unwrap();
    let mut config = Config::new();
    config.set("bootstrap.servers", &rig.kafka.address()).unwrap();
    config.set("metadata.max.age.ms", "100").unwrap();
    config.set("auto.offset.reset", "earliest").unwrap();
    config.set("fetch.max.wait.ms", "50").unwrap();
    rig.cluster = Cluster::open(&config).unwrap();
    let consumer = rig.consumer(&[]);
    // The other one keeps the session open.
    consumer.assign(&[place(0), Position::new(Name::new("quiet").unwrap(), 0)]).unwrap();
    rig.write(0, 2);
    assert_eq!(read_one(&consumer, 2), [0, 1]);
    consumer.seek(&[place(0).at(0)]).unwrap();
    consumer.pause(None).unwrap();
    rig.kafka.delete_topic("t").unwrap();
    rig.kafka.create_topic("t", 1).unwrap();
    consumer.resume(None).unwrap();
    // No fetch fails: that the topic is another is told by metadata alone.
    let heard = rig.kafka.requests(ApiKey::Metadata) + 3;
    while rig.kafka.requests(ApiKey::Metadata) < heard {
        assert_code(consumer.poll(20), Code::NOTHING);
    }
    rig.write(0, 2);
    assert_eq!(read_one(&consumer, 2), [0, 1]);
    rig.write(0, 2);
    assert_eq!(read_one(&consumer, 2), [2, 3]);
}
