//! What a cooperative member commits while a round of its group is under way.

use std::time::{Duration, Instant};

use samsa::Code;
use samsa::consumer::Callbacks;
use samsa::embedded::{Fault, FaultKind};

use crate::group_farewells::{COOPERATIVE, JOIN_GROUP, SYNC_GROUP, reader, rejoin, sleeper};
use crate::rig::{assert_code, deadline, read};

#[test]
fn rule_8_11_a_topic_that_is_dropped_during_a_round_is_committed_and_given_up_at_once() {
    let (rig, member) = reader(&[COOPERATIVE], Callbacks::default());
    let slow = rig.kafka.inject(Fault::new(FaultKind::Delay(300)).api(SYNC_GROUP).times(1));
    rejoin(&rig, &member, SYNC_GROUP);
    member.subscribe(&["u"]).unwrap();
    let limit = deadline();
    let reads_u = || {
        let assigned = member.assignment().unwrap();
        assigned.iter().map(|place| place.topic.as_str().to_owned()).eq(["u".to_owned()])
    };
    while !reads_u() {
        assert!(Instant::now() < limit, "it waits for itself: {:?}", member.assignment());
        assert_code(member.poll(5), Code::NOTHING);
    }
    assert_eq!(rig.kafka.injected(slow), 1);
    assert_eq!(rig.kafka.committed("g", "t", 0), Some(5));
}

#[test]
fn rule_11_11_a_commit_by_the_clock_that_a_round_of_others_holds_up_is_no_error() {
    let quick = [("auto.commit.interval.ms", "10"), ("request.timeout.ms", "600")];
    let (rig, member) = reader(&[&[COOPERATIVE][..], &quick].concat(), Callbacks::default());
    let _second = sleeper(&rig, &member);
    rejoin(&rig, &member, JOIN_GROUP);
    // It reads on what it keeps, and the commit of that waits for the other member.
    let mine = member.assignment().unwrap()[0].partition;
    rig.write(mine as i32, 3);
    assert_eq!(read(&member, 3)[&mine].len(), 3);
    let several_time_outs = Instant::now() + Duration::from_secs(2);
    while Instant::now() < several_time_outs {
        assert_code(member.poll(20), Code::NOTHING);
    }
}
