//! What a cooperative member commits while a round of its group is under way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use samsa::config::Config;
use samsa::consumer::{Callbacks, Consumer, Event};
use samsa::embedded::{Fault, FaultKind};
use samsa::group::assign::{Assign, Candidate, OwnAssignor, Share};
use samsa::group::assignor::Topics;
use samsa::{Code, Result};

use crate::group_farewells::{COOPERATIVE, JOIN_GROUP, SYNC_GROUP, reader, rejoin, sleeper};
use crate::rig::{PATIENCE, Rig, assert_code, deadline, place, read};

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
    let quick = [("auto.commit.interval.ms", "10"), ("request.timeout.ms", "3000")];
    let (rig, member) = reader(&[&[COOPERATIVE][..], &quick].concat(), Callbacks::default());
    let _second = sleeper(&rig, &member);
    rejoin(&rig, &member, JOIN_GROUP);
    // It reads on what it keeps, and the commit of that waits for the other member.
    let mine = member.assignment().unwrap()[0].partition;
    rig.write(mine as i32, 3);
    assert_eq!(read(&member, 3)[&mine].len(), 3);
    let several_time_outs = Instant::now() + Duration::from_secs(7);
    while Instant::now() < several_time_outs {
        assert_code(member.poll(20), Code::NOTHING);
    }
}

/// Gives everything to the first.
#[derive(Debug)]
struct ToTheFirst;

impl Assign for ToTheFirst {
    fn name(&self) -> &'static str {
        "to-the-first"
    }

    fn is_cooperative(&self) -> bool {
        true
    }

    fn assign(&self, members: &[Candidate], topics: &Topics) -> Result<BTreeMap<String, Share>> {
        let places = topics.0.iter().flat_map(|(topic, partitions)| {
            (0..).zip(partitions).map(|(number, _)| (topic.clone(), number))
        });
        let share = Share { places: places.collect(), user_data: None };
        let first = members.first().map(|candidate| (candidate.member.id.clone(), share));
        Ok(first.into_iter().collect())
    }
}

#[test]
fn a_commit_inside_a_callback_does_not_wait_for_an_assignor_that_waits_for_its_thread() {
    let rig = Rig::new(1);
    let mut overrides = Config::new();
    for (name, value) in [("group.id", "g"), COOPERATIVE] {
        overrides.set(name, value).unwrap();
    }
    overrides.attach(Arc::new(OwnAssignor(Some(Arc::new(ToTheFirst)))));
    let callbacks = Callbacks { rebalance: true, commit: false };
    let member = Consumer::with_callbacks(&rig.cluster, Some(&overrides), callbacks).unwrap();
    member.subscribe(&["t"]).unwrap();
    let (mut committed, limit) = (false, deadline());
    while !committed {
        assert!(Instant::now() < limit, "nothing was assigned");
        let told = member.poll_telling(5, &mut |event| {
            assert!(matches!(event, Event::Assigned(_)), "{event:?}");
            // The next round begins, whose assignor is for this thread.
            let joins = rig.kafka.requests(JOIN_GROUP);
            member.enforce_rebalance().unwrap();
            rig.kafka.wait_requests(JOIN_GROUP, joins + 1, deadline()).unwrap();
            let mut done = place(0);
            done.offset = Some(7);
            member.commit(Some(&[done]), PATIENCE.as_millis() as i32, None).unwrap();
            committed = true;
        });
        assert_code(told, Code::NOTHING);
    }
    assert_eq!(rig.kafka.committed("g", "t", 0), Some(7));
}
