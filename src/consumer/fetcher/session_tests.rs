//! Tables of what is said in a session, and what each answer makes of it.

use super::*;
use crate::consumer::fixture::BROKER;
use crate::consumer::state::Slot;

fn asked(number: i32, offset: i64) -> Asked {
    Asked {
        slot: Slot { index: number as usize, era: Default::default() },
        topic: 7,
        name: Name::new("t").unwrap(),
        id: Uuid([1; 16]),
        number,
        offset,
        leader_epoch: BROKER,
        size: 1_000,
    }
}

fn list(partitions: &[(i32, i64)]) -> Vec<Asked> {
    partitions.iter().map(|&(number, offset)| asked(number, offset)).collect()
}

/// One request and an answer in session 9.
fn say(session: &mut Session, wanted: &[Asked]) -> Words {
    let words = session.next(wanted, true);
    session.acknowledged(&words, wanted, 9, true);
    words
}

/// A session 9 that holds these partitions; its next epoch is 1.
fn open(partitions: &[(i32, i64)]) -> Session {
    let mut session = Session::default();
    say(&mut session, &list(partitions));
    session
}

fn head(words: &Words) -> (i32, i32) {
    (words.session, words.epoch)
}

fn numbers(forgotten: &[Forgotten]) -> Vec<i32> {
    let mut numbers: Vec<_> = forgotten.iter().map(|f| f.number).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn rule_6_1_epoch_0_opens_and_each_understood_answer_adds_one() {
    let mut session = Session::default();
    let wanted = list(&[(0, 0), (1, 0)]);
    let heads: Vec<_> = (0..4).map(|_| head(&say(&mut session, &wanted))).collect();
    assert_eq!(heads, [(0, 0), (9, 1), (9, 2), (9, 3)]);
    assert_eq!((following(i32::MAX), following(0)), (1, 1), "0 and -1 have meanings of their own");
}

#[test]
fn rule_6_1_the_epoch_wraps_to_1_and_the_session_goes_on() {
    let mut session = open(&[(0, 0)]);
    session.epoch = i32::MAX;
    let wanted = list(&[(0, 0)]);
    assert_eq!(head(&say(&mut session, &wanted)), (9, i32::MAX));
    let words = session.next(&wanted, true);
    assert_eq!((head(&words), words.named.len()), ((9, 1), 0));
}

#[test]
fn rule_6_1_what_is_open_can_be_closed_once() {
    let mut session = open(&[(0, 0)]);
    assert_eq!(session.take(), Some(9));
    assert_eq!(session.take(), None);
    assert_eq!(head(&session.next(&list(&[(0, 0)]), true)), (0, 0));
}

#[test]
fn an_idle_session_names_nothing_and_progress_names_what_moved() {
    let mut session = open(&[(0, 0), (1, 0), (2, 0)]);
    let words = say(&mut session, &list(&[(0, 0), (1, 0), (2, 0)]));
    assert!(words.named.is_empty() && words.forgotten.is_empty() && !words.is_full());
    let words = say(&mut session, &list(&[(2, 5), (0, 0), (1, 3)]));
    assert_eq!(words.named, [0, 2], "in the order of what is wanted");
    let words = say(&mut session, &list(&[(2, 5), (0, 0), (1, 3)]));
    assert!(words.named.is_empty());
}

#[test]
fn a_new_leader_epoch_and_a_new_size_are_changes_too() {
    let session = open(&[(0, 0), (1, 0), (2, 0)]);
    let mut wanted = list(&[(0, 0), (1, 0), (2, 0)]);
    wanted[0].leader_epoch += 1;
    wanted[2].size *= 2;
    assert_eq!(session.next(&wanted, true).named, [0, 2]);
}

#[test]
fn rule_6_5_what_is_not_wanted_any_more_is_forgotten_whole_topics_too() {
    let mut session = open(&[(0, 0), (1, 0)]);
    let mut other = asked(0, 0);
    (other.topic, other.name) = (8, Name::new("u").unwrap());
    let words = say(&mut session, &[other.clone()]);
    assert_eq!((words.named.clone(), numbers(&words.forgotten)), (vec![0], vec![0, 1]));
    assert!(words.forgotten.iter().all(|f| f.name.as_str() == "t"));
    assert!(say(&mut session, &[other]).forgotten.is_empty(), "once");
}

#[test]
fn rule_6_6_our_copy_changes_only_when_the_broker_acknowledged_the_request() {
    let mut session = open(&[(0, 0), (1, 0)]);
    let wanted = list(&[(0, 4), (2, 0)]);
    let first = session.next(&wanted, true);
    assert_eq!(first, session.next(&wanted, true), "nothing was answered: the same again");
    session.acknowledged(&first, &wanted, 9, true);
    let words = session.next(&wanted, true);
    assert!(words.named.is_empty() && words.forgotten.is_empty());
}

#[test]
fn rule_6_6_a_changed_topic_id_is_forget_the_old_and_add_the_new() {
    let session = open(&[(0, 50)]);
    let mut wanted = list(&[(0, 0)]);
    wanted[0].id = Uuid([2; 16]);
    let words = session.next(&wanted, true);
    assert_eq!((words.named, words.forgotten[0].id), (vec![0], Uuid([1; 16])));
}

#[test]
fn rule_6_6_a_changed_topic_id_is_the_same_entry_of_a_session_by_names() {
    let mut session = Session::default();
    let mut wanted = list(&[(0, 50)]);
    let words = session.next(&wanted, false);
    session.acknowledged(&words, &wanted, 9, true);
    wanted[0].id = Uuid([2; 16]);
    let words = session.next(&wanted, false);
    assert_eq!(
        (words.named.len(), words.forgotten.len()),
        (1, 0),
        "it would be added, then forgotten"
    );
    session.acknowledged(&words, &wanted, 9, true);
    assert!(session.next(&wanted, false).named.is_empty());
}

#[test]
fn rule_6_6_between_names_and_ids_a_new_session_replaces_the_old() {
    let mut session = open(&[(0, 0)]);
    let wanted = list(&[(0, 0)]);
    let words = session.next(&wanted, false);
    assert_eq!((head(&words), words.named.len()), ((9, 0), 1));
    session.acknowledged(&words, &wanted, 10, true);
    assert_eq!(head(&session.next(&wanted, false)), (10, 1));
    assert_eq!(head(&session.next(&wanted, true)), (10, 0), "and back");
}

#[test]
fn rule_6_2_after_any_doubt_the_whole_list_goes_with_the_old_id_and_epoch_0() {
    let wanted = list(&[(0, 0), (1, 0)]);
    type Doubt<'a> = (&'a str, &'a dyn Fn(&mut Session));
    let doubts: [Doubt<'_>; 4] = [
        ("no answer", &|s| s.doubt()),
        ("an unsound answer", &|s| {
            let words = s.next(&wanted, true);
            s.acknowledged(&words, &wanted, 9, false);
        }),
        ("71", &|s| {
            let words = s.next(&wanted, true);
            assert_eq!(s.refused(&words, Code::INVALID_FETCH_SESSION_EPOCH), Refusal::AskAgain);
        }),
        ("a code of the future", &|s| {
            let words = s.next(&wanted, true);
            assert_eq!(s.refused(&words, Code(31_999)), Refusal::Pause);
        }),
    ];
    for (what, doubt) in doubts {
        let mut session = open(&[(0, 0), (1, 0)]);
        doubt(&mut session);
        let words = session.next(&wanted, true);
        assert_eq!((head(&words), words.named.len()), ((9, 0), 2), "{what}");
    }
}

#[test]
fn rule_6_2_a_session_that_the_broker_does_not_know_begins_anew_without_an_id() {
    let mut session = open(&[(0, 0)]);
    let wanted = list(&[(0, 0)]);
    let words = session.next(&wanted, true);
    assert_eq!(session.refused(&words, Code::FETCH_SESSION_ID_NOT_FOUND), Refusal::AskAgain);
    let words = session.next(&wanted, true);
    assert_eq!(head(&words), (0, 0));
    assert_eq!(
        session.refused(&words, Code::FETCH_SESSION_ID_NOT_FOUND),
        Refusal::Pause,
        "no spin at round-trip speed with who refuses whole lists as well"
    );
}

#[test]
fn rule_6_2_an_answer_in_another_session_is_a_doubt() {
    let mut session = open(&[(0, 0)]);
    let wanted = list(&[(0, 0)]);
    let words = session.next(&wanted, true);
    session.acknowledged(&words, &wanted, 10, true);
    assert_eq!(session.next(&wanted, true).epoch, 0);
}

#[test]
fn rule_6_6_106_begins_anew_after_a_pause() {
    let mut session = open(&[(0, 0)]);
    let words = session.next(&list(&[(0, 0)]), true);
    assert_eq!(session.refused(&words, Code::FETCH_SESSION_TOPIC_ID_ERROR), Refusal::Pause);
    assert_eq!(head(&session.next(&list(&[(0, 0)]), true)), (9, 0));
}

#[test]
fn rule_6_3_session_id_0_is_no_session_and_the_full_list_goes_each_time() {
    let mut session = Session::default();
    let wanted = list(&[(0, 0), (1, 0)]);
    for _ in 0..3 {
        let words = session.next(&wanted, true);
        assert_eq!((head(&words), words.named.len()), ((0, 0), 2));
        session.acknowledged(&words, &wanted, 0, true);
    }
    let mut session = open(&[(0, 0)]);
    let words = session.next(&wanted, true);
    session.acknowledged(&words, &wanted, 0, true);
    assert_eq!(head(&session.next(&wanted, true)), (0, 0), "also when the broker closes it");
}

#[test]
fn outside_of_sessions_nothing_is_remembered() {
    let mut session = Session::default();
    let wanted = list(&[(0, 0)]);
    let words = Words::sessionless(&wanted);
    assert_eq!((head(&words), words.is_full()), ((0, -1), true));
    session.acknowledged(&words, &wanted, 0, true);
    assert_eq!((session.take(), session.held.len()), (None, 0));
}
