//! Members join, share and go.

use super::rig::{HEARTBEAT, Rig, until};

#[test]
fn members_share_the_partitions_and_take_over_from_who_leaves() {
    let rig = Rig::new(6);
    let first = rig.member(&[]);
    rig.settled(&[&first], 6);
    let second = rig.member(&[]);
    rig.settled(&[&first, &second], 6);
    assert_eq!((first.owned().len(), second.owned().len()), (3, 3));
    assert_eq!(first.diary.told(), [("assign", 6), ("revoke", 3)], "what stays is not touched");
    let third = rig.member(&[]);
    rig.settled(&[&first, &second, &third], 6);
    second.leave();
    rig.settled(&[&first, &third], 6);
    assert_eq!(first.cluster.id(), third.cluster.id());
}

#[test]
fn rule_9_1_each_member_has_an_id_of_its_own() {
    let rig = Rig::new(2);
    let members: Vec<_> = (0..2).map(|_| rig.member(&[])).collect();
    members.iter().for_each(|member| member.owns(1));
    let ids: Vec<_> = members.iter().filter_map(|member| member.identity()).collect();
    assert_ne!(ids[0].member, ids[1].member);
    assert_eq!(ids[0].member.len(), 36);
    assert!(ids[0].generation > 0);
}

#[test]
fn rule_9_1_a_coordinator_of_version_0_gives_the_id() {
    let rig = Rig::new(1);
    rig.kafka.limit_versions(None, HEARTBEAT, 0, 0).expect("limited");
    let member = rig.member(&[]);
    rig.settled(&[&member], 1);
    let id = member.identity().expect("a member").member;
    assert!(id.starts_with("libsamsa") || id.len() != 36, "{id}");
    rig.heartbeats(3);
    assert_eq!(rig.kafka.group_members("g").len(), 1);
}

#[test]
fn rule_9_4_a_member_without_a_share_stays_one() {
    let rig = Rig::new(1);
    let first = rig.member(&[]);
    rig.settled(&[&first], 1);
    let second = rig.member(&[]);
    rig.settled(&[&first, &second], 1);
    assert_eq!(second.diary.told(), [("assign", 0)], "it is told that it has nothing");
}

#[test]
fn rule_9_5_a_partition_is_anothers_only_after_the_application_gave_it_up() {
    let rig = Rig::new(2);
    let first = rig.member(&[]);
    rig.settled(&[&first], 2);
    first.diary.hold();
    let second = rig.member(&[]);
    until("the revocation", || first.diary.held() == 1);
    rig.heartbeats(10);
    assert!(second.owned().is_empty(), "the application has not given it up");
    first.diary.release();
    rig.settled(&[&first, &second], 2);
}

#[test]
fn rule_9_6_heartbeats_go_on_while_the_application_is_busy() {
    let rig = Rig::new(2);
    rig.kafka.set("group.consumer.session.timeout.ms", "400").expect("set");
    let member = rig.idle(&[]);
    member.diary.hold();
    member.subscribe(&["t"]);
    until("the assignment", || member.diary.held() == 1);
    // Far more than a session.
    rig.heartbeats(60);
    assert_eq!(rig.kafka.group_members("g").len(), 1);
    member.diary.release();
    rig.settled(&[&member], 2);
    assert_eq!(member.diary.told(), [("assign", 2)]);
}

#[test]
fn partitions_that_are_added_are_assigned() {
    let rig = Rig::new(2);
    let member = rig.member(&[]);
    rig.settled(&[&member], 2);
    rig.kafka.grow_topic("t", 5).expect("grown");
    rig.settled(&[&member], 5);
    assert_eq!(member.diary.told(), [("assign", 2), ("assign", 3)]);
}

#[test]
fn a_subscription_can_change() {
    let rig = Rig::new(1);
    rig.kafka.create_topic("u", 2).expect("made");
    let member = rig.member(&[]);
    rig.settled(&[&member], 1);
    member.subscribe(&["t", "u"]);
    rig.settled(&[&member], 3);
    member.subscribe(&["u"]);
    rig.settled(&[&member], 2);
    assert_eq!(member.diary.told(), [("assign", 1), ("assign", 2), ("revoke", 1)]);
}

#[test]
fn the_coordinators_assignor_is_the_one_that_is_asked_for() {
    let rig = Rig::new(4);
    let range = [("group.remote.assignor", "range")];
    let members = [rig.member(&range), rig.member(&range)];
    rig.settled(&[&members[0], &members[1]], 4);
    for member in &members {
        let owned: Vec<i64> = member.owned().into_iter().map(|(_, index)| index).collect();
        assert!(owned == [0, 1] || owned == [2, 3], "neighbours: {owned:?}");
    }
}
