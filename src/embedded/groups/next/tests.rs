//! The coordinator by itself: members speak, time passes.

use super::*;
use crate::protocol::modern::Uuid;

const T: Uuid = Uuid([1; 16]);
const U: Uuid = Uuid([2; 16]);
const SESSION: Duration = Duration::from_secs(45);

struct Rig {
    group: Next,
    topics: Catalogue,
    pace: Pace,
    now: Instant,
}

impl Rig {
    fn new(partitions: i32) -> Self {
        let topics = BTreeMap::from([("t".to_owned(), (T, partitions))]);
        let pace = Pace { session: SESSION, assignment: Duration::ZERO };
        Self { group: Next::default(), topics: Catalogue(topics), pace, now: Instant::now() }
    }

    fn say(&mut self, beat: &Beat) -> Result<Told, Code> {
        self.group.tick(self.now);
        self.group.heartbeat(beat, &self.topics, self.pace, self.now).map_err(|(code, _)| code)
    }

    /// Joins; gives the epoch and the partitions of t.
    fn join(&mut self, id: &str) -> (i32, Vec<i32>) {
        let told = self.say(&joining(id)).expect("joined");
        (told.epoch, indexes(&told.assignment.expect("an assignment")))
    }

    /// A heartbeat that owns these partitions of t, if it says so.
    fn beat(&mut self, id: &str, epoch: i32, owned: Option<&[i32]>) -> (i32, Option<Vec<i32>>) {
        let told = self.say(&speaking(id, epoch, owned)).expect("heard");
        (told.epoch, told.assignment.as_ref().map(indexes))
    }
}

fn indexes(assignment: &BTreeSet<Place>) -> Vec<i32> {
    assignment.iter().map(|(_, index)| *index).collect()
}

fn speaking(id: &str, epoch: i32, owned: Option<&[i32]>) -> Beat {
    Beat {
        member: id.to_owned(),
        instance: None,
        epoch,
        client_id: "test".to_owned(),
        host: String::new(),
        rack: None,
        rebalance: None,
        names: None,
        regex: None,
        assignor: None,
        owned: owned.map(|owned| owned.iter().map(|index| (T, *index)).collect()),
    }
}

fn joining(id: &str) -> Beat {
    Beat {
        rebalance: Some(Duration::from_secs(10)),
        names: Some(BTreeSet::from(["t".to_owned()])),
        ..speaking(id, 0, Some(&[]))
    }
}

#[test]
fn a_partition_moves_only_after_its_owner_let_go() {
    let mut rig = Rig::new(4);
    assert_eq!(rig.join("a"), (1, vec![0, 1, 2, 3]));
    assert_eq!(rig.group.state(), "Stable");
    assert_eq!(rig.join("b"), (2, vec![]), "nothing is free yet");
    assert_eq!(rig.group.state(), "Reconciling");
    assert_eq!(rig.beat("a", 1, None), (1, Some(vec![0, 1])), "it stays in its epoch");
    assert_eq!(rig.beat("b", 2, None), (2, None));
    assert_eq!(rig.beat("a", 1, None), (1, None), "null is no acknowledgement");
    assert_eq!(rig.beat("a", 1, Some(&[0, 1, 2])), (1, None), "2 is still owned");
    assert_eq!(rig.beat("a", 1, Some(&[0, 1])), (2, None));
    assert_eq!(rig.beat("b", 2, None), (2, Some(vec![2, 3])));
    assert_eq!(rig.group.state(), "Stable");
}

#[test]
fn a_member_that_leaves_or_falls_silent_frees_its_partitions() {
    let mut rig = Rig::new(2);
    rig.join("a");
    rig.join("b");
    rig.beat("a", 1, None);
    rig.beat("a", 1, Some(&[0]));
    assert_eq!(rig.beat("b", 2, None), (2, Some(vec![1])));
    let left = rig.group.leave(&speaking("a", -1, None)).expect("left");
    assert_eq!((left.epoch, left.assignment), (-1, None));
    assert_eq!(rig.beat("b", 2, None), (3, Some(vec![0, 1])));
    rig.now += SESSION;
    assert_eq!(rig.say(&speaking("b", 3, None)), Err(Code::UNKNOWN_MEMBER_ID));
    assert_eq!(rig.group.state(), "Empty");
}

#[test]
fn who_does_not_let_go_in_time_is_out() {
    let mut rig = Rig::new(2);
    rig.join("a");
    rig.join("b");
    rig.beat("a", 1, None);
    rig.now += Duration::from_secs(10);
    assert_eq!(rig.say(&speaking("a", 1, None)), Err(Code::UNKNOWN_MEMBER_ID));
    assert_eq!(rig.beat("b", 2, None), (3, Some(vec![0, 1])));
}

#[test]
fn an_epoch_that_is_not_the_members_is_fenced_but_for_a_lost_answer() {
    let mut rig = Rig::new(2);
    rig.join("a");
    rig.join("b");
    rig.beat("a", 1, None);
    assert_eq!(rig.beat("a", 1, Some(&[0])), (2, None));
    // The answer with epoch 2 was lost: once more in 1, with what it owns.
    assert_eq!(rig.beat("a", 1, Some(&[0])), (2, None));
    let fenced = Err(Code::FENCED_MEMBER_EPOCH);
    assert_eq!(rig.say(&speaking("a", 1, None)), fenced, "it does not say what it owns");
    assert_eq!(rig.say(&speaking("a", 1, Some(&[0, 1]))), fenced, "it owns too much");
    assert_eq!(rig.say(&speaking("a", 3, None)), fenced);
    assert_eq!(rig.say(&speaking("c", 1, None)), Err(Code::UNKNOWN_MEMBER_ID));
    assert_eq!(rig.join("a"), (2, vec![0]), "it may begin anew");
}

#[test]
fn who_says_everything_hears_everything() {
    let mut rig = Rig::new(1);
    rig.join("a");
    assert_eq!(rig.beat("a", 1, Some(&[0])), (1, None));
    let full = Beat { epoch: 1, ..joining("a") };
    assert_eq!(rig.say(&full).unwrap().assignment.map(|a| indexes(&a)), Some(vec![0]));
}

#[test]
fn a_static_member_comes_back_to_its_partitions() {
    let mut rig = Rig::new(2);
    let named = |beat: Beat| Beat { instance: Some("i".to_owned()), ..beat };
    rig.say(&named(joining("a"))).unwrap();
    for taken in ["a", "b"] {
        let taken = rig.say(&named(joining(taken)));
        assert_eq!(taken, Err(Code::UNRELEASED_INSTANCE_ID), "a is there");
    }
    rig.group.leave(&named(speaking("a", AWAY, None))).unwrap();
    let told = rig.say(&named(joining("b"))).unwrap();
    assert_eq!((told.epoch, told.assignment.map(|a| indexes(&a))), (1, Some(vec![0, 1])));
    assert_eq!(rig.say(&named(speaking("a", 1, None))), Err(Code::FENCED_INSTANCE_ID));
    rig.group.leave(&named(speaking("b", AWAY, None))).unwrap();
    rig.now += SESSION;
    rig.group.tick(rig.now);
    assert!(rig.group.is_empty(), "away for too long");
}

#[test]
fn new_topics_and_partitions_make_a_new_target() {
    let mut rig = Rig::new(1);
    let regex = Beat { names: None, regex: Some("t|u.*".to_owned()), ..joining("a") };
    assert_eq!(rig.say(&regex).unwrap().assignment.map(|a| a.len()), Some(1));
    rig.topics.0.insert("u1".to_owned(), (U, 2));
    rig.topics.0.insert("xu1".to_owned(), (Uuid([3; 16]), 2));
    rig.topics.0.insert("t".to_owned(), (T, 2));
    let told = rig.say(&speaking("a", 1, None)).unwrap();
    assert_eq!((told.epoch, told.assignment.map(|a| a.len())), (2, Some(4)));
    let wrong = Beat { regex: Some("(".to_owned()), ..speaking("a", 2, None) };
    assert_eq!(rig.say(&wrong), Err(Code::INVALID_REGULAR_EXPRESSION));
}

#[test]
fn what_is_no_longer_subscribed_is_taken_away_and_acknowledged() {
    let mut rig = Rig::new(1);
    rig.topics.0.insert("u".to_owned(), (U, 1));
    let both = BTreeSet::from(["t".to_owned(), "u".to_owned()]);
    rig.say(&Beat { names: Some(both), ..joining("a") }).unwrap();
    let one = Beat { names: Some(BTreeSet::from(["t".to_owned()])), ..speaking("a", 1, None) };
    let told = rig.say(&one).unwrap();
    assert_eq!((told.epoch, told.assignment.map(|a| indexes(&a))), (1, Some(vec![0])));
    assert_eq!(rig.beat("a", 1, Some(&[0])), (2, None));
}

#[test]
fn commits_are_taken_in_the_epoch_and_since_a_partition_came() {
    let mut rig = Rig::new(2);
    rig.join("a");
    rig.join("b");
    rig.beat("a", 1, None);
    rig.beat("a", 1, Some(&[0]));
    rig.beat("b", 2, None);
    let may = |id, epoch, index| rig.group.may_commit(id, epoch, Some(&(T, index)));
    let stale = Err(Code::STALE_MEMBER_EPOCH);
    assert_eq!((may("a", 2, 0), may("a", 1, 0)), (Ok(()), Ok(())), "held since epoch 1");
    assert_eq!(may("a", 2, 1), Ok(()), "in the epoch nothing else is asked");
    assert_eq!((may("a", 1, 1), may("a", 3, 0), may("b", 1, 1)), (stale, stale, stale));
    assert_eq!(may("c", 1, 0), Err(Code::UNKNOWN_MEMBER_ID));
    assert_eq!((rig.group.may_fetch("a", 2), rig.group.may_fetch("a", 1)), (Ok(()), stale));
}

#[test]
fn the_assignor_that_most_ask_for_is_taken() {
    let mut rig = Rig::new(4);
    rig.say(&Beat { assignor: Some("range".to_owned()), ..joining("b") }).unwrap();
    assert_eq!(rig.group.assignor(), Assignor::Range);
    let told = rig.say(&Beat { assignor: Some("range".to_owned()), ..joining("a") }).unwrap();
    assert_eq!(told.epoch, 2);
    assert_eq!(indexes(&rig.group.target("a")), [0, 1], "ranges by the members' ids");
}

#[test]
fn a_group_that_makes_assignments_seldom_gathers_changes() {
    let mut rig = Rig::new(3);
    rig.pace.assignment = Duration::from_secs(1);
    rig.join("a");
    assert_eq!(rig.join("b"), (1, vec![]), "in the epoch of the last assignment");
    assert_eq!(rig.group.state(), "Assigning");
    rig.join("c");
    rig.now += Duration::from_secs(1);
    assert_eq!(rig.beat("a", 1, None), (1, Some(vec![0])), "one for both");
    assert_eq!((rig.group.epoch(), rig.group.target_epoch()), (3, 3));
}
