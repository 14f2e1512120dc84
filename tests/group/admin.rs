//! Groups seen and changed from outside.

use std::sync::Arc;

use samsa::Code;
use samsa::embedded::{Fault, FaultKind, Options, Release};
use samsa::group::TopicPartition;
use samsa::group::admin::{
    GroupKind, GroupListing, delete_group, delete_offsets, describe_group, list_groups,
};
use samsa::protocol::modern::ApiKey;

use super::app::App;
use super::rig::{Rig, assert_code, error, place, soon};

fn listed(rig: &Rig) -> Vec<GroupListing> {
    list_groups(&rig.cluster, Some(soon())).expect("listed")
}

#[test]
fn groups_of_all_brokers_are_listed() {
    let rig = Rig::new(3);
    assert!(listed(&rig).is_empty());
    rig.commit(&*rig.alone(), 1).expect("committed");
    rig.kafka.move_coordinator("g", 2).expect("moved");
    let groups = listed(&rig);
    let [group] = &groups[..] else { panic!("{groups:?}") };
    assert_eq!((&*group.id, &*group.state, group.coordinator), ("g", "Empty", 2));
    assert_eq!(group.kind, GroupKind::Classic);
}

#[test]
fn a_broker_that_does_not_answer_is_left_out_of_the_list() {
    let rig = Rig::new(3);
    rig.commit(&*rig.alone(), 1).expect("committed");
    rig.kafka.move_coordinator("g", 2).expect("moved");
    // One of them hangs, and the request takes its time; another one is gone.
    let quick = [("request.timeout.ms", "600"), ("socket.connection.setup.timeout.ms", "600")];
    let cluster = rig.another(&quick);
    let is_listed = || {
        let groups = list_groups(&cluster, Some(soon())).unwrap_or_default();
        groups.iter().any(|group| (&*group.id, group.coordinator) == ("g", 2))
    };
    rig.kafka.inject(Fault::new(FaultKind::Silence).broker(0).always());
    // On a busy machine the others may not answer in that time either.
    rig.until("what the others have", is_listed);
    rig.kafka.stop_broker(1).expect("stopped");
    rig.until("what the last one has", is_listed);
    rig.kafka.stop_broker(2).expect("stopped");
    let none = list_groups(&cluster, Some(soon())).expect_err("nobody answers");
    assert!([Code::TIMED_OUT, Code::CONNECTION_FAILED].contains(&none.code()), "{none}");
}

#[test]
fn a_connection_that_the_broker_closed_while_it_was_idle_is_replaced_for_the_list() {
    let rig = Rig::new(2);
    rig.commit(&*rig.alone(), 1).expect("committed");
    for _ in 0..20 {
        assert_eq!(self::listed(&rig).len(), 1);
        rig.kafka.close_connections(None).expect("closed");
    }
}

#[test]
fn what_a_broker_refuses_for_good_is_the_error_of_the_list() {
    let rig = Rig::new(2);
    rig.kafka.inject(error(ApiKey::ListGroups, Code::CLUSTER_AUTHORIZATION_FAILED));
    let refused = list_groups(&rig.cluster, Some(soon()));
    assert_code(refused, Code::CLUSTER_AUTHORIZATION_FAILED);
}

#[test]
fn a_classic_group_is_described_with_what_its_members_read() {
    for release in [Release::V0_9_0, Release::V1_1, Release::V2_8, Release::V4_3, Release::Newest] {
        let rig = Rig::with(Options { release, ..Options::default() });
        let mut app = App::new(&rig.cluster, &rig.config(&[("client.id", "me")]), &["t"]);
        app.until("assigned", |app| app.reads.len() == 4);
        let group = describe_group(&rig.cluster, "g", Some(soon())).expect("described");
        assert_eq!((&*group.listing.state, &*group.assignor), ("Stable", "range"), "{release:?}");
        assert_eq!(group.listing.kind, GroupKind::Classic);
        let [member] = &group.members[..] else { panic!("{:?}", group.members) };
        assert_eq!(member.topics, ["t"]);
        assert_eq!(member.assignment, (0..4).map(place).collect::<Vec<_>>());
        let identity = app.member.membership.identity().expect("a member");
        assert_eq!(*member.id, *identity.member);
        app.leave();
    }
}

#[test]
fn a_group_that_there_is_not_is_an_error_on_every_release() {
    for release in [Release::V0_9_0, Release::V2_8, Release::Newest] {
        let rig = Rig::with(Options { release, ..Options::default() });
        let none = describe_group(&rig.cluster, "none", Some(soon()));
        assert_code(none, Code::GROUP_ID_NOT_FOUND);
    }
}

#[test]
fn a_group_is_deleted_when_nobody_is_in_it() {
    let rig = Rig::new(1);
    let mut app = App::new(&rig.cluster, &rig.config(&[]), &["t"]);
    app.until("assigned", |app| app.reads.len() == 4);
    assert_code(delete_group(&rig.cluster, "g", Some(soon())), Code::NON_EMPTY_GROUP);
    app.leave();
    delete_group(&rig.cluster, "g", Some(soon())).expect("deleted");
    assert_code(delete_group(&rig.cluster, "g", Some(soon())), Code::GROUP_ID_NOT_FOUND);
}

#[test]
fn offsets_are_forgotten_one_by_one() {
    let rig = Rig::new(1);
    rig.commit(&*rig.alone(), 5).expect("committed");
    let far = TopicPartition { topic: Arc::from("t"), partition: i64::from(i32::MAX) + 1 };
    let outcomes = delete_offsets(&rig.cluster, "g", vec![place(0), far], Some(soon()));
    let outcomes = outcomes.expect("asked");
    assert!(outcomes[0].is_ok());
    assert_code(outcomes[1].clone(), Code::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(rig.committed(&*rig.alone()).expect("fetched"), None);
    let none = delete_offsets(&rig.cluster, "none", vec![place(0)], Some(soon()));
    assert_code(none, Code::GROUP_ID_NOT_FOUND);
}

#[test]
fn what_a_release_cannot_do_names_it() {
    let rig = Rig::with(Options { release: Release::V0_11_0, ..Options::default() });
    assert_code(delete_group(&rig.cluster, "g", Some(soon())), Code::UNSUPPORTED_FEATURE);
    let offsets = delete_offsets(&rig.cluster, "g", vec![place(0)], Some(soon()));
    assert_code(offsets, Code::UNSUPPORTED_FEATURE);
}

#[test]
fn a_coordinator_that_loads_or_moved_is_asked_again() {
    let rig = Rig::new(2);
    rig.commit(&*rig.alone(), 5).expect("committed");
    let loads = error(ApiKey::ListGroups, Code::COORDINATOR_LOAD_IN_PROGRESS).times(2);
    rig.kafka.inject(loads);
    assert_eq!(listed(&rig).len(), 1);
    for code in [Code::COORDINATOR_LOAD_IN_PROGRESS, Code::NOT_COORDINATOR] {
        rig.fail(ApiKey::DeleteGroups, code);
    }
    delete_group(&rig.cluster, "g", Some(soon())).expect("deleted");
}
