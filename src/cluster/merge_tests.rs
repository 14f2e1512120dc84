//! The rules of merging, one test each, named after their numbers.

use super::super::answer::PartitionAnswer;
use super::super::{PartitionMetadata, TopicId, TopicMetadata};
use super::*;
use crate::error::Code;

fn broker(id: i32) -> BrokerInfo {
    BrokerInfo { id, host: format!("b{id}"), port: 9092, rack: None }
}

fn name() -> Arc<str> {
    Arc::from("t")
}

fn part(index: i32, leader: i32, epoch: i32) -> PartitionAnswer {
    PartitionAnswer {
        index,
        error: Code::NONE,
        leader,
        leader_epoch: epoch,
        replicas: vec![1, 2],
        in_sync: vec![1, 2],
        offline: Vec::new(),
    }
}

fn failed(index: i32, error: Code) -> PartitionAnswer {
    PartitionAnswer { error, ..part(index, -1, -1) }
}

fn with(partitions: Vec<PartitionAnswer>) -> Answer {
    with_id(0, partitions)
}

fn with_id(id: u8, partitions: Vec<PartitionAnswer>) -> Answer {
    let id: TopicId = [id; 16];
    let topic = TopicAnswer { name: name(), id, error: Code::NONE, internal: false, partitions };
    answer(vec![topic])
}

fn with_error(error: Code) -> Answer {
    answer(vec![TopicAnswer { error, ..TopicAnswer::missing(name()) }])
}

fn answer(topics: Vec<TopicAnswer>) -> Answer {
    Answer {
        asked: Asked::Topics(vec![name()]),
        cluster_id: Some("c".to_owned()),
        controller: 1,
        brokers: vec![broker(1), broker(2)],
        topics,
        reliable_epochs: true,
    }
}

/// Merges answers one second apart; what is known after the last, and its actions.
fn run(answers: &[Answer]) -> (Known, Vec<Action>) {
    run_spaced(answers, Duration::from_secs(1))
}

fn run_spaced(answers: &[Answer], space: Duration) -> (Known, Vec<Action>) {
    let mut now = Instant::now();
    let mut known = Known::nothing();
    let mut actions = Vec::new();
    for answer in answers {
        (known, actions) = merge(known, answer, now);
        now += space;
    }
    (known, actions)
}

fn topic(known: &Known) -> &TopicMetadata {
    known.metadata.topic("t").expect("the topic is known")
}

fn first(known: &Known) -> &PartitionMetadata {
    topic(known).partitions.first().expect("partition 0 is known")
}

fn retries(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::Retry(_)))
}

#[test]
fn rule_1_1_a_lower_epoch_is_ignored_and_an_equal_one_accepted() {
    let cases = [
        // the epochs and leaders of two answers, and the leader after them
        ((7, 1), (6, 2), 1, true),
        ((7, 1), (7, 2), 2, false),
        ((7, 1), (8, 2), 2, false),
    ];
    for ((epoch_a, leader_a), (epoch_b, leader_b), leader, retry) in cases {
        let (known, actions) =
            run(&[with(vec![part(0, leader_a, epoch_a)]), with(vec![part(0, leader_b, epoch_b)])]);
        assert_eq!(first(&known).leader, leader, "epochs {epoch_a}, {epoch_b}");
        assert_eq!(retries(&actions), retry, "epochs {epoch_a}, {epoch_b}");
    }
}

#[test]
fn rule_1_1_two_brokers_that_answer_alternately_make_no_ping_pong() {
    let (new, stale) = (with(vec![part(0, 2, 7)]), with(vec![part(0, 1, 6)]));
    let answers: Vec<Answer> =
        (0..20).map(|i| if i % 2 == 0 { new.clone() } else { stale.clone() }).collect();
    let (known, _) = run(&answers);
    assert_eq!((first(&known).leader, first(&known).leader_epoch), (2, 7));
    assert_eq!(known.metadata.number, 1, "no snapshot but the first");
}

#[test]
fn rule_1_2_leaderless_keeps_the_last_real_leader_and_epoch() {
    for leaderless in [part(0, -1, -1), failed(0, Code::LEADER_NOT_AVAILABLE)] {
        let (known, actions) = run(&[with(vec![part(0, 2, 7)]), with(vec![leaderless])]);
        assert_eq!((first(&known).leader, first(&known).leader_epoch), (2, 7));
        assert_eq!(first(&known).error, Some(Code::LEADER_NOT_AVAILABLE));
        assert!(retries(&actions));
    }
    let back =
        run(&[with(vec![part(0, 2, 7)]), with(vec![part(0, -1, -1)]), with(vec![part(0, 1, 6)])]);
    assert_eq!(first(&back.0).leader, 2, "leaderless has not switched fencing off");
}

#[test]
fn rule_1_3_a_real_lower_epoch_seen_five_times_in_a_row_is_the_truth() {
    let mut answers = vec![with(vec![part(0, 1, 9)])];
    answers.extend(vec![with(vec![part(0, 2, 4)]); 4]);
    assert_eq!(first(&run(&answers).0).leader, 1, "four are not enough");
    answers.push(with(vec![part(0, 2, 4)]));
    let (known, _) = run(&answers);
    assert_eq!((first(&known).leader, first(&known).leader_epoch), (2, 4));
}

#[test]
fn rule_1_4_a_new_topic_id_overrides_epoch_order() {
    let (known, actions) =
        run(&[with_id(1, vec![part(0, 1, 9), part(1, 1, 9)]), with_id(2, vec![part(0, 2, 0)])]);
    assert_eq!((first(&known).leader, first(&known).leader_epoch), (2, 0));
    assert_eq!(topic(&known).partitions.len(), 1, "another topic may have fewer partitions");
    assert!(actions.contains(&Action::Topic(name(), Change::Changed)));
}

#[test]
fn rule_1_4_a_leader_change_with_an_absent_epoch_moves_the_partition() {
    let (known, _) = run(&[with(vec![part(0, 1, 9)]), with(vec![part(0, 2, -1)])]);
    assert_eq!((first(&known).leader, first(&known).leader_epoch), (2, -1));
}

#[test]
fn rule_1_5_epochs_of_old_brokers_neither_order_nor_are_kept() {
    let old =
        |leader, epoch| Answer { reliable_epochs: false, ..with(vec![part(0, leader, epoch)]) };
    let (known, actions) = run(&[old(1, 9), old(2, 3)]);
    assert_eq!((first(&known).leader, first(&known).leader_epoch), (2, -1));
    assert!(!retries(&actions));
}

#[test]
fn rule_1_6_one_unknown_topic_between_two_right_answers_changes_nothing() {
    let right = with_id(1, vec![part(0, 1, 5)]);
    for gap in [with_error(Code::UNKNOWN_TOPIC_OR_PARTITION), answer(Vec::new())] {
        let (known, actions) = run(&[right.clone(), gap.clone()]);
        assert!(topic(&known).error.is_none() && topic(&known).partitions.len() == 1);
        assert!(retries(&actions), "but it is asked again");
        let (known, _) = run(&[right.clone(), gap, right.clone()]);
        assert_eq!(known.metadata.number, 1, "no change was ever published");
    }
}

#[test]
fn rule_1_6_after_the_grace_period_a_missing_topic_counts_as_deleted() {
    let right = with_id(1, vec![part(0, 1, 5)]);
    let missing = answer(Vec::new());
    let (known, _) = run_spaced(&[right.clone(), missing.clone(), missing.clone()], GRACE);
    assert!(topic(&known).error.is_none(), "long, but only two answers");
    let (known, actions) =
        run_spaced(&[right.clone(), missing.clone(), missing.clone(), missing], GRACE);
    let error = topic(&known).error.as_ref().expect("deleted");
    assert_eq!(error.code(), Code::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(error.topic(), Some("t"));
    assert!(actions.contains(&Action::Topic(name(), Change::Removed)));
}

#[test]
fn rule_1_6_all_topics_asked_and_one_missing_is_a_doubt_too() {
    let right = with(vec![part(0, 1, 5)]);
    let all = Answer { asked: Asked::All, ..answer(Vec::new()) };
    let (known, actions) = run(&[right, all]);
    assert_eq!(topic(&known).partitions.len(), 1);
    assert!(retries(&actions));
}

#[test]
fn rule_1_7_an_answer_without_brokers_changes_nothing() {
    let empty = Answer { brokers: Vec::new(), ..with(Vec::new()) };
    let (known, actions) = run(&[with(vec![part(0, 1, 5)]), empty.clone()]);
    assert_eq!(known.metadata.brokers.len(), 2);
    assert_eq!(first(&known).leader, 1);
    assert!(retries(&actions));
    assert_eq!(run(&[empty]).0.metadata.number, 0, "a fresh 0.8.2 is not a cluster yet");
}

#[test]
fn rule_1_8_errors_never_overwrite_leaders_and_schedule_a_retry() {
    let errors = [
        Code::LEADER_NOT_AVAILABLE,
        Code::LISTENER_NOT_FOUND,
        Code::UNKNOWN_SERVER_ERROR,
        Code(31_999),
    ];
    for error in errors {
        let (known, actions) = run(&[with(vec![part(0, 1, 5)]), with(vec![failed(0, error)])]);
        assert_eq!((first(&known).leader, first(&known).error), (1, Some(error)));
        assert!(retries(&actions), "{error:?} in a known partition");
        let (known, actions) =
            run(&[with(vec![part(0, 1, 5)]), with(vec![part(0, 1, 5), failed(1, error)])]);
        assert_eq!(topic(&known).partitions.get(1).unwrap().leader, -1);
        assert!(retries(&actions), "{error:?} in a new partition");
        let (known, actions) = run(&[with(vec![part(0, 1, 5)]), with_error(error)]);
        assert_eq!(first(&known).leader, 1);
        assert!(topic(&known).error.is_none() && retries(&actions), "{error:?} at topic level");
    }
}

#[test]
fn rule_1_8_only_authorization_and_invalid_names_reach_the_user_and_they_heal() {
    for error in [Code::TOPIC_AUTHORIZATION_FAILED, Code::INVALID_TOPIC_EXCEPTION] {
        let right = with(vec![part(0, 1, 5)]);
        let (known, actions) = run(&[right.clone(), with_error(error)]);
        assert_eq!(topic(&known).error.as_ref().unwrap().code(), error);
        assert_eq!(first(&known).leader, 1, "leaders stay");
        assert!(retries(&actions));
        let (known, _) = run(&[right.clone(), with_error(error), right]);
        assert!(topic(&known).error.is_none());
    }
}

#[test]
fn a_missing_follower_is_no_reason_to_distrust_the_leader() {
    let answer = PartitionAnswer { error: Code::REPLICA_NOT_AVAILABLE, ..part(0, 1, 5) };
    let (known, actions) = run(&[with(vec![answer])]);
    assert_eq!((first(&known).leader, first(&known).error), (1, None));
    assert!(!retries(&actions));
}

#[test]
fn rule_1_9_a_smaller_partition_count_is_stale_unless_the_topic_id_changed() {
    let four: Vec<PartitionAnswer> = (0..4).map(|index| part(index, 1, 5)).collect();
    let two = four.get(..2).unwrap().to_vec();
    let mut answers = vec![with_id(1, four.clone())];
    answers.extend(vec![with_id(1, two.clone()); 10]);
    let (known, actions) = run(&answers);
    assert_eq!(topic(&known).partitions.len(), 4, "the same id never has fewer");
    assert!(retries(&actions));
    let mut answers = vec![with(four)];
    answers.extend(vec![with(two.clone()); 4]);
    assert_eq!(topic(&run(&answers).0).partitions.len(), 4);
    answers.push(with(two));
    assert_eq!(topic(&run(&answers).0).partitions.len(), 2, "without ids, five in a row count");
}

#[test]
fn rule_1_13_a_broker_is_its_id_and_minus_one_is_never_kept() {
    let same_place = BrokerInfo { id: 2, ..broker(1) };
    let brokers = vec![broker(1), same_place, broker(-1)];
    let (known, _) = run(&[Answer { brokers, ..with(Vec::new()) }]);
    assert_eq!(known.metadata.brokers.keys().copied().collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn brokers_that_come_move_and_go_are_told() {
    let moved = BrokerInfo { port: 1, ..broker(1) };
    let (_, actions) = run(&[
        answer(Vec::new()),
        Answer { brokers: vec![moved, broker(3)], ..answer(Vec::new()) },
    ]);
    for (id, change) in [(1, Change::Changed), (2, Change::Removed), (3, Change::Added)] {
        assert!(actions.contains(&Action::Broker(id, change)), "{actions:?}");
    }
}

#[test]
fn another_cluster_id_is_an_error_and_nothing_of_that_answer_is_taken() {
    let other = Answer { cluster_id: Some("d".to_owned()), ..with(vec![part(0, 2, 50)]) };
    let (known, actions) = run(&[with(vec![part(0, 1, 5)]), other]);
    let (c, d) = ("c".to_owned(), "d".to_owned());
    assert_eq!(actions, [Action::ForeignCluster { known: c, answered: d }]);
    assert_eq!(first(&known).leader, 1);
    let silent = Answer { cluster_id: None, ..with(vec![part(0, 1, 5)]) };
    let (known, _) = run(&[with(vec![part(0, 1, 5)]), silent]);
    assert_eq!(known.metadata.cluster_id.as_deref(), Some("c"), "an older broker says none");
}

#[test]
fn partition_numbers_from_the_wire_never_size_anything() {
    for index in [i32::MAX, -1, 7] {
        let (known, actions) = run(&[with(vec![part(0, 1, 5), part(index, 1, 5)])]);
        assert_eq!(topic(&known).partitions.len(), 2);
        assert!(retries(&actions), "{index}");
    }
}

fn registered(entries: &[(i32, i64)]) -> Option<Arc<[Registered]>> {
    let one = |(id, incarnation): &(i32, i64)| Registered {
        info: broker(*id),
        incarnation: *incarnation,
    };
    Some(entries.iter().map(one).collect())
}

#[test]
fn with_a_registry_it_alone_says_which_brokers_there_are() {
    let now = Instant::now();
    let (known, actions) = register(&Known::nothing(), registered(&[(1, 10), (7, 70)]));
    let added = |id| Action::Broker(id, Change::Added);
    assert_eq!(actions, [added(1), added(7)]);
    // Brokers tell of each other later than ZooKeeper does.
    let (known, actions) = merge(known.clone(), &answer(Vec::new()), now);
    assert!(!actions.iter().any(|action| matches!(action, Action::Broker(..))), "{actions:?}");
    assert_eq!(known.metadata.brokers.keys().copied().collect::<Vec<_>>(), [1, 7]);
    // While it cannot be read their word counts again.
    let (known, actions) = register(&known, None);
    assert_eq!(actions, []);
    let (known, _) = merge(known.clone(), &answer(Vec::new()), now);
    assert!(!known.metadata.brokers.contains_key(&7));
}

#[test]
fn a_broker_that_registered_anew_is_told_and_has_another_incarnation() {
    let (known, _) = register(&Known::nothing(), registered(&[(1, 10), (2, 20)]));
    let (same, actions) = register(&known, registered(&[(1, 10), (2, 20)]));
    assert_eq!((actions.len(), same.metadata.number), (0, known.metadata.number));
    let (known, actions) = register(&known, registered(&[(1, 11), (2, 20)]));
    assert_eq!(actions, [Action::Broker(1, Change::Changed)]);
    assert_eq!(known.metadata.incarnations[&1], 11);
    let (known, actions) = register(&known, registered(&[]));
    assert_eq!(actions, [1, 2].map(|id| Action::Broker(id, Change::Removed)));
    assert!(known.metadata.brokers.is_empty() && known.metadata.incarnations.is_empty());
}
