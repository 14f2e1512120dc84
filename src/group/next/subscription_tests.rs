//! The machine when its subscription changes: what crosses it, and what cannot be said yet.

use std::sync::Arc;

use super::tests::{INTERVAL, Rig, T, owned, told, wish};
use crate::error::Code;

#[test]
fn rule_9_5_what_an_answer_brought_after_the_application_unsubscribed_is_taken_back() {
    // The application unsubscribes and subscribes again; before the member hears of it the answer is
    // there, and the application, which has subscribed, takes it for its new share.
    for done in [false, true] {
        let mut rig = Rig::member(&[0]);
        rig.pass(INTERVAL);
        rig.round(told(2, Some(&[0, 1])));
        assert_eq!(rig.acts(), ["known m 2", "assign 2 [1]"]);
        if done {
            rig.machine.done(2, rig.now);
        }
        rig.machine.subscribe(None, rig.now);
        // First the gate: nothing more is committed by the old claim.
        assert_eq!(rig.acts(), ["unknown false", "overtaken [0, 1]", "leave m -1"]);
        rig.machine.subscribe(Some(wish(&["t"], None)), rig.now);
        rig.machine.left(rig.now);
        rig.machine.learn(T, Arc::from("t"));
        rig.round(told(3, Some(&[0])));
        assert_eq!(rig.acts(), ["unknown true", "known m 3", "assign 3 [0]"], "another share");
    }
}

#[test]
fn rule_9_16_a_member_beats_on_until_the_pattern_that_nobody_takes_is_resolved() {
    let mut rig = Rig::member(&[0]);
    rig.machine.subscribe(Some(wish(&[], Some("a.*"))), rig.now);
    let beat = rig.beat();
    assert!(!beat.fits(0));
    rig.machine.postponed(beat.number);
    // At once, for nothing was said; then by the clock, whatever hastens it.
    let beat = rig.round(told(1, None));
    assert!(beat.fits(0) && !beat.full);
    assert_eq!((&beat.names, &beat.owned), (&None, &owned(&[0])));
    assert_eq!(rig.machine.due(), Some(rig.now + INTERVAL));
    rig.machine.doubted(1, rig.now);
    assert_eq!(rig.round(told(1, Some(&[0]))).names, None, "one more");
    assert_eq!(rig.round(told(1, None)).owned, owned(&[0]), "and the acknowledgement");
    assert_eq!(rig.machine.due(), Some(rig.now + INTERVAL));
    rig.pass(INTERVAL);
    rig.refused(Code::COORDINATOR_LOAD_IN_PROGRESS);
    rig.pass(INTERVAL);
    let beat = rig.round(told(1, None));
    assert_eq!((beat.full, beat.names, beat.pattern), (true, None, None));
    rig.machine.subscribe(Some(wish(&["a1"], None)), rig.now);
    assert_eq!(rig.round(told(2, None)).names, Some(vec![Arc::from("a1")]));
    assert_eq!(rig.machine.due(), Some(rig.now + INTERVAL));
}

#[test]
fn rule_9_16_who_is_to_join_by_a_pattern_that_nobody_takes_waits_for_its_topics() {
    let mut rig = Rig::member(&[0]);
    rig.machine.subscribe(Some(wish(&[], Some("a.*"))), rig.now);
    let beat = rig.beat();
    rig.machine.postponed(beat.number);
    rig.refused(Code::FENCED_MEMBER_EPOCH);
    assert!(rig.is_quiet() && rig.machine.due().is_none(), "no timer that fires for nothing");
    rig.machine.doubted(1, rig.now);
    rig.machine.tick(rig.now);
    assert!(rig.is_quiet() && rig.machine.due().is_none());
    rig.machine.subscribe(Some(wish(&["a1"], None)), rig.now);
    assert_eq!((rig.beat().epoch, rig.is_quiet()), (0, true));
}
