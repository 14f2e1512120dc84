//! Offsets at the coordinator, and how it is found.

use std::sync::Arc;
use std::time::{Duration, Instant};

use samsa::Code;
use samsa::embedded::{Fault, FaultKind, Options, Release};
use samsa::group::{Boxed, Committed, KafkaOffsets, OffsetStore, TopicPartition};
use samsa::protocol::modern::ApiKey;

use super::rig::{Rig, assert_code, at, error, place, soon};

const COMMIT: ApiKey = ApiKey::OffsetCommit;
const FETCH: ApiKey = ApiKey::OffsetFetch;

#[test]
fn rule_11_9_offsets_come_back_in_the_versions_of_every_release() {
    for release in [
        Release::V0_8_2,
        Release::V0_9_0,
        Release::V0_10_0,
        Release::V0_11_0,
        Release::V1_1,
        Release::V2_8,
        Release::V3_9,
        Release::V4_3,
        Release::Newest,
    ] {
        let rig = Rig::with(Options { release, ..Options::default() });
        let store = rig.alone();
        assert_eq!(rig.committed(&*store).expect("fetched"), None, "{release:?}");
        let place_with = Committed {
            offset: 7,
            leader_epoch: Some(0),
            metadata: Some(Arc::from("why\0and what")),
        };
        let places = vec![(place(0), place_with.clone()), (place(3), at(9))];
        let outcomes = rig.run(store.commit(places, false, soon()));
        assert!(outcomes.iter().all(Result::is_ok), "{release:?}: {outcomes:?}");
        let found = rig.run(store.fetch(vec![place(3), place(1), place(0)], soon()));
        let found = found.expect("fetched").into_iter().collect::<Result<Vec<_>, _>>();
        let found = found.expect("each");
        assert_eq!(
            found.iter().map(|c| c.as_ref().map(|c| c.offset)).collect::<Vec<_>>(),
            [Some(9), None, Some(7)]
        );
        // Rule 11.7: zero bytes come through.
        let last = found.last().cloned().flatten().expect("committed");
        assert_eq!(last.metadata, place_with.metadata, "{release:?}");
        let knows_epochs = release >= Release::V2_8;
        assert_eq!(last.leader_epoch, Some(0).filter(|_| knows_epochs), "{release:?}");
    }
}

#[test]
fn rule_11_8_brokers_before_2_1_are_known_to_forget_offsets_by_their_age() {
    for (release, ages) in [
        (Release::V0_8_2, true),
        (Release::V0_10_0, true),
        (Release::V1_1, true),
        (Release::V2_8, false),
        (Release::Newest, false),
    ] {
        let rig = Rig::with(Options { release, ..Options::default() });
        let store = rig.alone();
        assert_eq!(rig.committed(&*store).expect("fetched"), None, "{release:?}");
        assert_eq!(store.ages(), ages, "{release:?}");
    }
}

#[test]
fn a_topic_without_a_known_id_is_named() {
    let rig = Rig::new(1);
    let store = rig.alone();
    rig.commit(&*store, 1).expect("by name: nobody asked about the topic");
    let topic = rig.cluster.topic("t").expect("a name");
    rig.cluster.wait_topic(&topic, Some(soon())).expect("metadata");
    rig.commit(&*store, 2).expect("by id");
    let versions = rig.kafka.history().into_iter().filter(|seen| seen.api == 8);
    assert_eq!(versions.map(|seen| seen.version).collect::<Vec<_>>(), [9, 10]);
    assert_eq!(rig.kafka.committed("g", "t", 0), Some(2));
}

#[test]
fn an_unknown_topic_id_is_asked_for_by_name() {
    let rig = Rig::new(1);
    let store = rig.alone();
    let topic = rig.cluster.topic("t").expect("a name");
    rig.cluster.wait_topic(&topic, Some(soon())).expect("metadata");
    rig.fail(COMMIT, Code::UNKNOWN_TOPIC_ID);
    rig.commit(&*store, 2).expect("by name");
    rig.fail(FETCH, Code::UNKNOWN_TOPIC_ID);
    assert_eq!(rig.committed(&*store).expect("by name"), Some(at(2)));
}

#[test]
fn rule_8_8_a_coordinator_that_moved_is_found_again() {
    let rig = Rig::new(3);
    let store = rig.alone();
    rig.commit(&*store, 1).expect("committed");
    for (broker, offset) in [(1, 2), (2, 3), (0, 4)] {
        rig.kafka.move_coordinator("g", broker).expect("moved");
        rig.commit(&*store, offset).expect("at the new one");
        rig.kafka.move_coordinator("g", (broker + 1) % 3).expect("moved");
        let found = rig.committed(&*store).expect("fetched");
        assert_eq!(found.map(|c| c.offset), Some(offset));
    }
}

#[test]
fn rule_8_8_a_coordinator_that_died_is_found_elsewhere() {
    let rig = Rig::new(2);
    let store = rig.alone();
    rig.kafka.move_coordinator("g", 1).expect("moved");
    rig.commit(&*store, 1).expect("committed");
    rig.kafka.stop_broker(1).expect("stopped");
    rig.kafka.move_coordinator("g", 0).expect("moved");
    rig.commit(&*store, 2).expect("at the other");
    assert_eq!(rig.kafka.committed("g", "t", 0), Some(2));
}

#[test]
fn rule_8_8_a_coordinator_that_loads_is_waited_for_and_not_looked_for() {
    let rig = Rig::new(1);
    let store = rig.alone();
    rig.commit(&*store, 1).expect("committed");
    let searches = rig.kafka.requests(ApiKey::FindCoordinator);
    rig.kafka.inject(error(COMMIT, Code::COORDINATOR_LOAD_IN_PROGRESS).times(3));
    rig.commit(&*store, 2).expect("loaded");
    rig.kafka.inject(error(FETCH, Code::COORDINATOR_LOAD_IN_PROGRESS).times(3));
    assert_eq!(rig.committed(&*store).expect("loaded"), Some(at(2)));
    assert_eq!(rig.kafka.requests(ApiKey::FindCoordinator), searches);
}

#[test]
fn a_search_goes_on_until_a_coordinator_is_named() {
    let rig = Rig::new(2);
    let store = rig.alone();
    let search = ApiKey::FindCoordinator;
    let later = rig.kafka.inject(error(search, Code::COORDINATOR_NOT_AVAILABLE).times(3));
    let lost = rig.kafka.inject(Fault::new(FaultKind::DisconnectAfter).api(search));
    rig.commit(&*store, 1).expect("found in the end");
    assert_eq!((rig.kafka.injected(later), rig.kafka.injected(lost)), (3, 1));
}

#[test]
fn a_group_that_may_not_be_used_is_an_error_at_once() {
    let rig = Rig::new(1);
    let store = rig.alone();
    rig.kafka.inject(error(ApiKey::FindCoordinator, Code::GROUP_AUTHORIZATION_FAILED).always());
    assert_code(rig.commit(&*store, 1), Code::GROUP_AUTHORIZATION_FAILED);
    assert_code(rig.committed(&*store), Code::GROUP_AUTHORIZATION_FAILED);
}

#[test]
fn without_a_group_id_there_is_no_store() {
    let rig = Rig::new(1);
    let config = rig.config(&[("group.id", "")]);
    assert_code(KafkaOffsets::alone(&rig.cluster, &config), Code::INVALID_GROUP_ID);
}

#[test]
fn rule_11_6_each_partition_has_its_own_outcome() {
    let rig = Rig::new(1);
    let store = rig.alone();
    let faults = [(0, Code::OFFSET_METADATA_TOO_LARGE), (1, Code::NOT_COORDINATOR)];
    for (partition, code) in faults {
        let kind = FaultKind::ErrorCode(i16::try_from(code.0).expect("Kafka's"));
        rig.kafka.inject(Fault::new(kind).api(COMMIT).topic("t").partition(partition));
    }
    let places = (0..3).map(|partition| (place(partition), at(5))).collect();
    let outcomes = rig.run(store.commit(places, false, soon()));
    let codes: Vec<_> = outcomes.iter().map(|o| o.as_ref().map_err(samsa::Error::code)).collect();
    assert_eq!(codes, [Err(Code::OFFSET_METADATA_TOO_LARGE), Ok(&()), Ok(&())]);
    let error = outcomes[0].as_ref().expect_err("refused");
    assert_eq!((error.topic(), error.partition()), (Some("t"), Some(0)));
}

#[test]
fn rule_11_6_an_unknown_partition_is_tried_a_few_times_only() {
    let rig = Rig::new(1);
    let store = rig.alone();
    let gone = TopicPartition { topic: Arc::from("gone"), partition: 0 };
    let places = vec![(gone.clone(), at(1)), (place(0), at(1))];
    let outcomes = rig.run(store.commit(places, false, soon()));
    assert!(outcomes[1].is_ok());
    assert_code(outcomes[0].clone(), Code::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(rig.kafka.requests(COMMIT), 4);
}

#[test]
fn rule_11_7_metadata_that_is_too_long_is_the_applications_to_know() {
    let rig = Rig::new(1);
    let store = rig.alone();
    let long = Committed { metadata: Some(Arc::from("x".repeat(5_000))), ..at(1) };
    let outcomes = rig.run(store.commit(vec![(place(0), long)], false, soon()));
    assert_code(outcomes[0].clone(), Code::OFFSET_METADATA_TOO_LARGE);
}

#[test]
fn rule_11_5_a_commit_that_is_tried_once_is_not_repeated() {
    let rig = Rig::new(1);
    let store = rig.alone();
    rig.fail(COMMIT, Code::COORDINATOR_LOAD_IN_PROGRESS);
    let outcomes = rig.run(store.commit(vec![(place(0), at(1))], true, soon()));
    assert_code(outcomes[0].clone(), Code::COORDINATOR_LOAD_IN_PROGRESS);
    assert_eq!(rig.kafka.requests(COMMIT), 1);
}

#[test]
fn rule_11_5_commits_do_not_overtake_each_other() {
    let rig = Rig::new(1);
    let store = rig.alone();
    rig.kafka.inject(error(COMMIT, Code::COORDINATOR_LOAD_IN_PROGRESS).times(3));
    let commits: Vec<_> =
        (1..=5).map(|n| store.commit(vec![(place(0), at(n))], false, soon())).collect();
    // Waited for in the other order, and the first not at all.
    for commit in commits.into_iter().rev().take(4) {
        assert!(rig.run(commit)[0].is_ok());
    }
    assert_eq!(rig.kafka.committed("g", "t", 0), Some(5));
    assert_eq!(rig.kafka.requests(COMMIT), 3 + 5);
}

#[test]
fn rule_11_10_nobodys_commits_are_refused_while_the_group_has_members() {
    let rig = Rig::new(1);
    let store = rig.alone();
    rig.fail(COMMIT, Code::UNKNOWN_MEMBER_ID);
    assert_code(rig.commit(&*store, 1), Code::UNKNOWN_MEMBER_ID);
}

#[test]
fn rule_7_2_offsets_of_an_open_transaction_are_waited_for_however_often() {
    let rig = Rig::new(1);
    let store = rig.alone();
    rig.commit(&*store, 4).expect("committed");
    let kind =
        FaultKind::ErrorCode(i16::try_from(Code::UNSTABLE_OFFSET_COMMIT.0).expect("Kafka's"));
    let fault = Fault::new(kind).api(FETCH).topic("t").partition(0).times(9);
    let met = rig.kafka.inject(fault);
    assert_eq!(rig.committed(&*store).expect("stable in the end"), Some(at(4)));
    assert_eq!(rig.kafka.injected(met), 9);
}

#[test]
fn what_does_not_pass_in_time_is_told_with_its_cause() {
    let rig = Rig::new(1);
    let store = rig.alone();
    rig.kafka.inject(error(FETCH, Code::COORDINATOR_LOAD_IN_PROGRESS).always());
    rig.kafka.inject(error(COMMIT, Code::COORDINATOR_LOAD_IN_PROGRESS).always());
    let short = || Instant::now() + Duration::from_millis(60);
    let fetched = rig.run(store.fetch(vec![place(0)], short()));
    let error = fetched.expect_err("late");
    assert_eq!(error.code(), Code::TIMED_OUT);
    assert!(error.message().contains("still loading"), "{error}");
    let outcome = rig.run(store.commit(vec![(place(0), at(1))], false, short())).remove(0);
    let error = outcome.expect_err("late");
    assert_eq!(error.code(), Code::TIMED_OUT);
    assert!(error.message().contains("still loading"), "{error}");
}

#[test]
fn a_silent_coordinator_holds_up_only_the_commits_behind_it_and_those_are_told() {
    let rig = Rig::new(1);
    let store = rig.alone();
    rig.kafka.inject(Fault::new(FaultKind::Silence).api(COMMIT).always());
    let short = || Instant::now() + Duration::from_millis(60);
    for offset in [1, 2] {
        let outcome = rig.run(store.commit(vec![(place(0), at(offset))], false, short()));
        assert_code(outcome[0].clone(), Code::TIMED_OUT);
    }
}

#[test]
fn after_the_end_of_the_cluster_calls_say_that_it_is_closed() {
    let rig = Rig::new(1);
    let store = rig.alone();
    rig.commit(&*store, 1).expect("committed");
    rig.cluster.close(Some(soon())).expect("closed");
    assert_code(rig.committed(&*store), Code::CLOSED);
    assert_code(rig.commit(&*store, 2), Code::CLOSED);
}

#[test]
fn rule_11_5_commits_that_go_together_leave_the_newest_word_of_each_partition() {
    let rig = Rig::new(1);
    let store = rig.alone();
    rig.commit(&*store, 1).expect("the coordinator is known");
    rig.kafka.inject(Fault::new(FaultKind::Delay(50)).api(COMMIT));
    let with = |offset, text: &str| Committed { metadata: Some(Arc::from(text)), ..at(offset) };
    let commit = |places| store.commit(places, true, soon());
    let commits = vec![
        // While this one is out, the others queue up.
        commit(vec![(place(0), at(2))]),
        commit(vec![(place(0), with(9, "long")), (place(1), at(4))]),
        commit(vec![(place(0), with(7, "new")), (place(3), at(5))]),
        // Its metadata might be refused: not for the one before.
        commit(vec![(place(3), with(6, "longer"))]),
        // Tried again what may pass: a request of its own.
        store.commit(vec![(place(1), at(8))], false, soon()),
        commit(vec![(place(1), at(3))]),
    ];
    for outcomes in rig.run(futures_in_order(commits)) {
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    }
    let found = rig.run(store.fetch(vec![place(0), place(1), place(3)], soon())).expect("fetched");
    let found: Vec<_> = found.into_iter().map(|one| one.unwrap().unwrap()).collect();
    assert_eq!(found, [with(7, "new"), at(3), with(6, "longer")]);
}

async fn futures_in_order<T>(all: Vec<Boxed<T>>) -> Vec<T> {
    let mut done = Vec::new();
    for one in all {
        done.push(one.await);
    }
    done
}
