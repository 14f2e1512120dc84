//! The machine by itself: what it says, what it hears, what it wants done.

use std::collections::BTreeSet;

use super::*;
use crate::cluster::TopicId;

pub(super) const T: TopicId = [1; 16];
pub(super) const INTERVAL: Duration = Duration::from_secs(3);

pub(super) struct Rig {
    pub(super) machine: Machine,
    pub(super) now: Instant,
}

fn constants(instance: Option<&str>) -> Constants {
    Constants {
        group: Arc::from("g"),
        instance: instance.map(Arc::from),
        rack: Some(Arc::from("r")),
        assignor: Some(Arc::from("uniform")),
        rebalance_ms: 300_000,
    }
}

pub(super) fn wish(names: &[&str], pattern: Option<&str>) -> Wish {
    let names = names.iter().map(|name| Arc::from(*name)).collect();
    Wish { names, pattern: pattern.map(Arc::from) }
}

pub(super) fn told(epoch: i32, assignment: Option<&[i32]>) -> Told {
    Told {
        member: Some(Arc::from("m")),
        epoch,
        interval_ms: 3_000,
        assignment: assignment.map(|places| places.iter().map(|place| (T, *place)).collect()),
    }
}

fn lists(list: &[TopicPartition]) -> Vec<i64> {
    list.iter().map(|place| place.partition).collect()
}

/// Actions in short.
fn short(actions: Vec<Action>) -> Vec<String> {
    // Told with each answer.
    let news = actions.into_iter().filter(|action| !matches!(action, Action::Heard(_)));
    let one = |action| match action {
        Action::Revoke(step, list) => format!("revoke {step} {:?}", lists(&list)),
        Action::Assign(step, list) => format!("assign {step} {:?}", lists(&list)),
        Action::Lost(list) => format!("lost {:?}", lists(&list)),
        Action::Overtaken(list) => format!("overtaken {:?}", lists(&list)),
        Action::Failed(error) => format!("failed {}", error.code().name()),
        Action::GaveUp(list) => format!("gave up {:?}", lists(&list)),
        Action::Known(member, epoch) => format!("known {member} {epoch}"),
        Action::Unknown { waits } => format!("unknown {waits}"),
        Action::Reopen => "reopen".to_owned(),
        Action::Leave(member, epoch) => format!("leave {member} {epoch}"),
        Action::Heard(_) => String::new(),
        Action::Elsewhere => "elsewhere".to_owned(),
        Action::Classic => "classic".to_owned(),
        Action::Gone => "gone".to_owned(),
    };
    news.map(one).collect()
}

impl Rig {
    fn with(instance: Option<&str>) -> Self {
        let backoff =
            Backoff { first: Duration::from_millis(100), most: Duration::from_millis(1_000) };
        let machine = Machine::new(constants(instance), Arc::from("m"), backoff);
        let mut rig = Self { machine, now: Instant::now() };
        rig.machine.learn(T, Arc::from("t"));
        rig.machine.subscribe(Some(wish(&["t"], None)), rig.now);
        rig
    }

    /// Subscribed to t, not heard of yet.
    pub(super) fn new() -> Self {
        let mut rig = Self::with(None);
        assert_eq!(rig.acts(), ["unknown true"]);
        rig
    }

    /// A member in epoch 1 that owns these partitions and has said so.
    pub(super) fn member(owned: &[i32]) -> Self {
        let mut rig = Self::new();
        rig.becomes_member(owned);
        rig
    }

    fn becomes_member(&mut self, owned: &[i32]) {
        self.machine.learn(T, Arc::from("t"));
        self.round(told(1, Some(owned)));
        let step = self.machine.actions().into_iter().find_map(|action| match action {
            Action::Assign(step, _) => Some(step),
            _ => None,
        });
        if let Some(step) = step {
            self.machine.done(step, self.now);
        }
        self.round(told(1, None));
        self.acts();
    }

    pub(super) fn acts(&mut self) -> Vec<String> {
        short(self.machine.actions())
    }

    /// The heartbeat that is due now.
    pub(super) fn beat(&mut self) -> Beat {
        self.machine.beat(self.now).expect("a heartbeat is due")
    }

    /// One heartbeat and its answer.
    pub(super) fn round(&mut self, answer: Told) -> Beat {
        let beat = self.beat();
        self.machine.answered(beat.number, answer, self.now);
        beat
    }

    pub(super) fn refused(&mut self, code: Code) -> Beat {
        let beat = self.beat();
        self.machine.refused(beat.number, code, None, self.now);
        beat
    }

    pub(super) fn is_quiet(&mut self) -> bool {
        self.machine.beat(self.now).is_none()
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
    }
}

pub(super) fn owned(places: &[i32]) -> Option<BTreeSet<(TopicId, i32)>> {
    Some(places.iter().map(|place| (T, *place)).collect())
}

#[test]
fn rule_9_2_a_join_says_everything_and_owns_nothing() {
    let mut rig = Rig::new();
    let beat = rig.beat();
    assert_eq!((beat.epoch, beat.full, beat.owned.clone()), (0, true, owned(&[])));
    let request = beat.request(&constants(None), 1);
    assert_eq!((request.rebalance_timeout_ms, request.member_id.as_str()), (300_000, "m"));
    assert_eq!(request.subscribed_topic_names, Some(vec!["t".to_owned()]));
    assert_eq!((request.subscribed_topic_regex, request.rack_id.as_deref()), (None, Some("r")));
    assert_eq!(request.server_assignor.as_deref(), Some("uniform"));
    assert_eq!(request.topic_partitions, Some(Vec::new()));
}

#[test]
fn rule_9_1_version_0_gives_the_id_and_version_1_takes_the_members_own() {
    let mut rig = Rig::new();
    let beat = rig.beat();
    assert_eq!(beat.request(&constants(None), 0).member_id, "");
    let named = Told { member: Some(Arc::from("given")), ..told(1, Some(&[])) };
    rig.machine.answered(beat.number, named, rig.now);
    assert_eq!(rig.acts(), ["known given 1", "assign 1 []"]);
    rig.pass(INTERVAL);
    assert_eq!(rig.beat().request(&constants(None), 0).member_id, "given");
}

#[test]
fn rule_9_3_what_has_not_changed_is_not_said_again_but_all_of_it_after_an_error() {
    let mut rig = Rig::member(&[0]);
    rig.pass(INTERVAL);
    let beat = rig.beat();
    assert_eq!((beat.full, &beat.names, &beat.owned), (false, &None, &None));
    let request = beat.request(&constants(None), 1);
    assert_eq!((request.rebalance_timeout_ms, request.server_assignor), (-1, None));
    let lost = Error::new(Code::DISCONNECTED, "cut")
        .with_persistence(crate::error::Persistence::PossiblyPersisted);
    rig.machine.failed(beat.number, lost, rig.now);
    let beat = rig.round(told(1, Some(&[0])));
    assert!(beat.full && beat.names.is_some());
    assert_eq!(beat.owned, owned(&[0]));
    rig.round(told(1, None));
    rig.pass(INTERVAL);
    rig.refused(Code::COORDINATOR_LOAD_IN_PROGRESS);
    assert!(rig.is_quiet(), "after a pause");
    rig.pass(INTERVAL);
    assert!(rig.beat().full);
}

#[test]
fn rule_9_3_a_subscription_that_changed_is_said_at_once_and_a_pattern_is_taken_back() {
    let mut rig = Rig::member(&[]);
    rig.machine.subscribe(Some(wish(&["t"], Some("a.*"))), rig.now);
    let beat = rig.round(told(2, None));
    assert_eq!((beat.names, beat.pattern), (None, Some(Arc::from("a.*"))));
    rig.machine.subscribe(Some(wish(&["u"], None)), rig.now);
    let beat = rig.beat();
    assert_eq!((beat.names.map(|n| n.len()), beat.pattern), (Some(1), Some(Arc::from(""))));
    // It changes once more while that is on its way.
    rig.machine.subscribe(Some(wish(&["v"], None)), rig.now);
    assert!(rig.is_quiet(), "one is on its way");
    rig.machine.answered(beat.number, told(2, None), rig.now);
    assert_eq!(rig.beat().names, Some(vec![Arc::from("v")]));
}

#[test]
fn rule_9_4_no_assignment_changes_nothing_and_an_empty_one_takes_everything() {
    let mut rig = Rig::member(&[0, 1]);
    rig.pass(INTERVAL);
    rig.round(told(1, None));
    assert_eq!(rig.acts(), [""; 0]);
    rig.pass(INTERVAL);
    rig.round(told(1, Some(&[])));
    assert_eq!(rig.acts(), ["revoke 2 [0, 1]"]);
}

#[test]
fn rule_9_5_heartbeats_say_nothing_of_partitions_until_the_application_has_done() {
    let mut rig = Rig::member(&[0, 1]);
    rig.pass(INTERVAL);
    rig.round(told(1, Some(&[0])));
    assert_eq!(rig.acts(), ["revoke 2 [1]"]);
    for _ in 0..3 {
        rig.pass(INTERVAL);
        assert_eq!(rig.round(told(1, None)).owned, None);
    }
    rig.machine.done(2, rig.now);
    assert_eq!(rig.acts(), ["gave up [1]"]);
    assert_eq!(rig.round(told(2, None)).owned, owned(&[0]), "at once");
    rig.pass(INTERVAL);
    assert_eq!(rig.round(told(2, None)).owned, None, "and once");
    assert_eq!(rig.acts(), ["known m 2"]);
}

#[test]
fn rule_9_5_a_full_heartbeat_in_between_still_owns_what_is_being_given_up() {
    let mut rig = Rig::member(&[0, 1]);
    rig.pass(INTERVAL);
    rig.round(told(1, Some(&[0])));
    rig.pass(INTERVAL);
    rig.refused(Code::NOT_COORDINATOR);
    assert_eq!(rig.beat().owned, owned(&[0, 1]));
}

#[test]
fn rule_9_6_heartbeats_go_on_while_the_application_is_busy_one_at_a_time() {
    let mut rig = Rig::new();
    rig.round(told(1, Some(&[0])));
    assert_eq!(rig.acts(), ["known m 1", "assign 1 [0]"]);
    assert!(rig.is_quiet());
    for _ in 0..3 {
        rig.pass(INTERVAL);
        let beat = rig.beat();
        rig.pass(INTERVAL);
        assert!(rig.is_quiet() && rig.machine.due().is_none(), "one is on its way");
        rig.machine.answered(beat.number, told(1, None), rig.now);
    }
}

#[test]
fn rule_9_6_the_interval_is_the_answers_and_nonsense_is_ignored() {
    let mut rig = Rig::member(&[]);
    for (ms, expected) in [(500, 500), (0, 500), (-1, 500), (2_000, 2_000)] {
        rig.pass(INTERVAL);
        rig.round(Told { interval_ms: ms, ..told(1, None) });
        assert_eq!(rig.machine.due(), Some(rig.now + Duration::from_millis(expected)));
    }
}

#[test]
fn rule_9_7_a_target_that_went_back_is_acknowledged_too() {
    let mut rig = Rig::member(&[0]);
    rig.pass(INTERVAL);
    rig.round(told(1, Some(&[0])));
    assert_eq!(rig.round(told(1, None)).owned, owned(&[0]));
}

#[test]
fn rule_9_8_a_rejoin_makes_a_reconciliation_void() {
    let mut rig = Rig::member(&[0]);
    rig.pass(INTERVAL);
    rig.round(told(1, Some(&[0, 1])));
    assert_eq!(rig.acts(), ["assign 2 [1]"]);
    rig.pass(INTERVAL);
    rig.refused(Code::FENCED_MEMBER_EPOCH);
    assert_eq!(rig.acts(), ["unknown true", "lost [0, 1]"]);
    rig.machine.done(2, rig.now);
    let beat = rig.round(told(5, Some(&[])));
    assert_eq!((beat.epoch, beat.owned), (0, owned(&[])));
    assert_eq!(rig.acts(), ["known m 5", "assign 3 []"]);
}

#[test]
fn rule_9_10_a_fenced_member_loses_all_and_joins_at_once_with_its_id() {
    for code in [Code::FENCED_MEMBER_EPOCH, Code::UNKNOWN_MEMBER_ID, Code::GROUP_ID_NOT_FOUND] {
        let mut rig = Rig::member(&[0]);
        rig.pass(INTERVAL);
        rig.refused(code);
        assert_eq!(rig.acts(), ["unknown true", "lost [0]"]);
        let beat = rig.refused(code);
        assert_eq!((beat.epoch, &*beat.member, beat.full), (0, "m", true));
        if code == Code::GROUP_ID_NOT_FOUND {
            assert_eq!(rig.acts(), ["unknown false", "failed GROUP_ID_NOT_FOUND"]);
        } else {
            assert!(rig.is_quiet(), "a join that is fenced again waits");
        }
    }
}

#[test]
fn rule_9_11_each_new_epoch_is_published_at_once() {
    let mut rig = Rig::member(&[0]);
    rig.pass(INTERVAL);
    rig.round(told(2, None));
    assert_eq!(rig.acts(), ["known m 2"]);
    rig.pass(INTERVAL);
    rig.round(told(3, Some(&[0, 1])));
    assert_eq!(rig.acts(), ["known m 3", "assign 2 [1]"]);
}

#[test]
fn rule_9_13_a_member_leaves_with_minus_one_or_minus_two_and_drops_what_is_on_its_way() {
    for (instance, leave) in [(None, "leave m -1"), (Some("i"), "leave m -2")] {
        let mut rig = Rig::with(instance);
        rig.becomes_member(&[0]);
        rig.pass(INTERVAL);
        let beat = rig.beat();
        rig.machine.leave(rig.now);
        assert_eq!(rig.acts(), ["unknown false", leave]);
        assert_eq!(rig.machine.outstanding(), None);
        rig.machine.answered(beat.number, told(9, Some(&[1])), rig.now);
        assert_eq!(rig.acts(), [""; 0]);
        rig.machine.left(rig.now);
        assert_eq!(rig.acts(), ["gone"]);
        assert_eq!(rig.machine.due(), None);
    }
}

#[test]
fn rule_9_13_a_negative_epoch_in_a_success_is_ignored() {
    let mut rig = Rig::member(&[0]);
    rig.pass(INTERVAL);
    rig.round(told(-1, None));
    assert_eq!(rig.acts(), [""; 0]);
    rig.pass(INTERVAL);
    assert_eq!(rig.beat().epoch, 1);
}

#[test]
fn rule_9_13_who_was_never_heard_of_need_not_leave() {
    let mut rig = Rig::new();
    rig.machine.leave(rig.now);
    assert_eq!(rig.acts(), ["unknown false", "gone"]);
    let mut rig = Rig::new();
    rig.beat();
    rig.machine.leave(rig.now);
    assert_eq!(rig.acts(), ["unknown false", "leave m -1"], "the join may have been heard");
}

#[test]
fn rule_9_14_a_name_that_somebody_has_is_fatal_but_not_right_after_the_own_fencing() {
    let mut rig = Rig::with(Some("i"));
    rig.refused(Code::UNRELEASED_INSTANCE_ID);
    let fatal = ["unknown true", "unknown false", "failed UNRELEASED_INSTANCE_ID"];
    assert_eq!(rig.acts(), fatal);
    let mut rig = Rig::with(Some("i"));
    rig.becomes_member(&[0]);
    rig.pass(INTERVAL);
    rig.refused(Code::FENCED_MEMBER_EPOCH);
    rig.acts();
    for _ in 0..REPRIEVES {
        rig.refused(Code::UNRELEASED_INSTANCE_ID);
        assert_eq!(rig.acts(), ["unknown true", "leave m -2"], "the name is laid down");
        rig.machine.left(rig.now);
        assert_eq!(rig.acts(), ["unknown true"]);
    }
    rig.refused(Code::UNRELEASED_INSTANCE_ID);
    assert_eq!(rig.acts(), ["unknown false", "failed UNRELEASED_INSTANCE_ID"]);
}

#[test]
fn rule_8_7_a_member_is_sure_for_a_while_after_it_sent_a_heartbeat_that_was_answered() {
    let mut rig = Rig::member(&[0]);
    rig.pass(INTERVAL);
    let (sent, beat) = (rig.now, rig.beat());
    rig.pass(Duration::from_secs(1));
    rig.machine.answered(beat.number, told(1, None), rig.now);
    let heard = rig.machine.actions();
    let [Action::Heard(until)] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!(*until, sent + INTERVAL * 3);
}

#[test]
fn rule_8_7_a_silent_coordinator_is_given_up_in_time_for_another_one() {
    let mut rig = Rig::member(&[0]);
    rig.pass(INTERVAL);
    let end = rig.machine.ends().expect("a member");
    let late = rig.now + rig.machine.patience();
    assert!(late + rig.machine.patience() <= end + INTERVAL, "half a session");
    let beat = rig.beat();
    rig.now = late;
    rig.machine.failed(beat.number, Error::bare(Code::TIMED_OUT), rig.now);
    rig.machine.tick(rig.now);
    assert_eq!((rig.acts(), rig.beat().epoch), (Vec::new(), 1), "at once, and still a member");
}

#[test]
fn rule_8_7_a_coordinator_that_is_heard_no_more_has_given_the_partitions_away() {
    // An error that is to be tried again for ever; broken connections; silence.
    for kind in 0..3 {
        let mut rig = Rig::member(&[0]);
        let end = rig.now + INTERVAL * 9;
        assert_eq!(rig.machine.ends(), Some(end));
        rig.pass(INTERVAL);
        while rig.now < end {
            if let Some(beat) = rig.machine.beat(rig.now) {
                let broken = Error::bare(Code::CONNECTION_FAILED);
                match kind {
                    0 => rig.machine.refused(beat.number, Code::from(14), None, rig.now),
                    1 => rig.machine.failed(beat.number, broken, rig.now),
                    _ => {}
                }
            }
            rig.machine.tick(rig.now);
            assert_eq!(rig.acts(), [""; 0]);
            rig.pass(Duration::from_millis(500));
        }
        rig.machine.tick(rig.now);
        assert_eq!(rig.acts(), ["unknown true", "lost [0]", "elsewhere"]);
        assert_eq!(rig.beat().epoch, 0, "it joins again, whatever was on its way");
        assert_eq!(rig.machine.ends(), None, "who joins has nothing to lose");
    }
}

#[test]
fn rule_9_15_who_does_not_poll_leaves_then_loses_and_stays_out_until_it_polls() {
    let mut rig = Rig::member(&[0]);
    rig.machine.step_out(rig.now);
    assert_eq!(rig.acts(), ["unknown true", "leave m -1", "lost [0]"]);
    rig.machine.left(rig.now);
    rig.pass(INTERVAL);
    assert!(rig.is_quiet() && rig.machine.due().is_none());
    rig.machine.step_in(rig.now);
    assert_eq!(rig.round(told(7, Some(&[]))).epoch, 0);
    assert_eq!(rig.acts(), ["unknown true", "known m 7", "assign 2 []"]);
    // It polls again before the leave is answered.
    rig.machine.step_out(rig.now);
    rig.machine.step_in(rig.now);
    assert!(rig.is_quiet());
    rig.machine.left(rig.now);
    assert_eq!(rig.beat().epoch, 0);
}

#[test]
fn rule_9_17_a_broker_that_never_knew_such_groups_makes_the_member_a_classic_one() {
    let mut rig = Rig::new();
    rig.refused(Code::UNSUPPORTED_VERSION);
    assert_eq!(rig.acts(), ["classic"]);
    let mut rig = Rig::new();
    let beat = rig.beat();
    let unknown = Error::new(Code::UNSUPPORTED_FEATURE, "no such API");
    rig.machine.failed(beat.number, unknown, rig.now);
    assert_eq!(rig.acts(), ["classic"]);
    let mut rig = Rig::member(&[0]);
    rig.pass(INTERVAL);
    rig.refused(Code::UNSUPPORTED_VERSION);
    let acts = rig.acts();
    assert_eq!(acts.last().map(String::as_str), Some("failed UNSUPPORTED_VERSION"), "one way");
}

#[test]
fn rule_9_18_after_an_error_of_the_coordinator_the_next_is_asked_at_once() {
    for code in [Code::NOT_COORDINATOR, Code::COORDINATOR_NOT_AVAILABLE] {
        let mut rig = Rig::member(&[0]);
        rig.pass(INTERVAL);
        rig.refused(code);
        assert!(rig.beat().full);
        assert_eq!(rig.acts(), [""; 0]);
    }
}

#[test]
fn a_fatal_error_is_told_once_and_the_next_subscription_begins_anew() {
    let mut rig = Rig::member(&[0]);
    rig.pass(INTERVAL);
    rig.refused(Code::GROUP_AUTHORIZATION_FAILED);
    let acts = ["unknown false", "leave m -1", "lost [0]", "failed GROUP_AUTHORIZATION_FAILED"];
    assert_eq!(rig.acts(), acts);
    rig.machine.left(rig.now);
    rig.pass(INTERVAL);
    assert!(rig.is_quiet());
    rig.machine.subscribe(Some(wish(&["t"], None)), rig.now);
    assert_eq!(rig.beat().epoch, 0);
}

#[test]
fn a_topic_that_may_not_be_read_is_complained_of_once_and_tried_again() {
    let mut rig = Rig::new();
    for complaint in [&["failed TOPIC_AUTHORIZATION_FAILED"][..], &[]] {
        rig.refused(Code::TOPIC_AUTHORIZATION_FAILED);
        assert_eq!(rig.acts(), complaint);
        rig.pass(INTERVAL);
    }
}

#[test]
fn an_end_of_the_subscription_leaves_and_a_new_one_joins_again() {
    let mut rig = Rig::member(&[0]);
    rig.machine.subscribe(None, rig.now);
    assert_eq!(rig.acts(), ["unknown false", "overtaken [0]", "leave m -1"]);
    rig.machine.subscribe(Some(wish(&["u"], None)), rig.now);
    rig.machine.left(rig.now);
    assert_eq!((rig.acts(), rig.beat().epoch), (vec!["unknown true".to_owned()], 0));
}

#[test]
fn a_commit_that_says_the_member_is_none_makes_it_ask() {
    let mut rig = Rig::member(&[0]);
    assert!(rig.is_quiet());
    rig.machine.doubted(7, rig.now);
    assert!(rig.is_quiet(), "another epoch");
    rig.machine.doubted(1, rig.now);
    rig.refused(Code::UNKNOWN_MEMBER_ID);
    assert_eq!(rig.acts(), ["unknown true", "lost [0]"]);
}

#[test]
fn rule_8_25_a_last_commit_waits_for_no_membership_that_is_to_come() {
    let mut rig = Rig::new();
    rig.machine.finish();
    assert_eq!(rig.acts(), ["reopen"]);
    let mut rig = Rig::member(&[0]);
    rig.machine.finish();
    assert_eq!(rig.acts(), [""; 0], "it commits as who it is");
    rig.pass(INTERVAL);
    rig.refused(Code::FENCED_MEMBER_EPOCH);
    assert_eq!(rig.acts(), ["unknown true", "reopen", "lost [0]"], "what is lost stays lost");
    rig.machine.subscribe(None, rig.now);
    rig.acts();
    rig.machine.left(rig.now);
    rig.machine.subscribe(Some(wish(&["t"], None)), rig.now);
    assert_eq!(rig.acts(), ["unknown true"], "another subscription is another matter");
}
