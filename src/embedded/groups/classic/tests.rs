use super::*;

const SESSION: Duration = Duration::from_secs(10);
const REBALANCE: Duration = Duration::from_secs(60);

fn second(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A join of a new member with these assignors.
fn fresh(id: &str, protocols: &[&str]) -> Join {
    let protocols =
        protocols.iter().map(|p| ((*p).to_owned(), Bytes::from(format!("{p} of {id}"))));
    Join {
        member: String::new(),
        instance: None,
        fresh: id.to_owned(),
        id_first: false,
        client_id: "client".to_owned(),
        host: "/127.0.0.1".to_owned(),
        session: SESSION,
        rebalance: REBALANCE,
        protocol_type: "consumer".to_owned(),
        protocols: protocols.collect(),
        initial_delay: Duration::ZERO,
    }
}

fn again(id: &str, protocols: &[&str]) -> Join {
    Join { member: id.to_owned(), ..fresh(id, protocols) }
}

fn who(member: &str) -> Identity<'_> {
    Identity { member, instance: None }
}

fn sync<'a>(member: &'a str, generation: i32, shares: &[(&str, &'static str)]) -> Sync<'a> {
    let shares =
        shares.iter().map(|(id, share)| ((*id).to_owned(), Bytes::from_static(share.as_bytes())));
    Sync {
        who: who(member),
        generation,
        protocol_type: None,
        protocol: None,
        assignments: shares.collect(),
    }
}

/// The generation and the leader that a member was told.
fn told(group: &Classic, id: &str, attempt: u64) -> Option<(i32, String)> {
    group.joined(id, attempt, true).map(|joined| {
        let joined = joined.expect("joined");
        (joined.generation, joined.leader)
    })
}

fn share(group: &Classic, id: &str, generation: i32) -> Result<Bytes, Code> {
    group.synced(id, generation).expect("decided").map(|synced| synced.assignment)
}

/// A stable group of a and b, which a leads, in generation 2.
fn stable(now: Instant) -> Classic {
    let mut group = Classic::default();
    group.join(fresh("a", &["range"]), now).expect("joins");
    group.join(fresh("b", &["range"]), now).expect("joins");
    group.join(again("a", &["range"]), now).expect("joins");
    group.sync(sync("a", 2, &[("a", "0"), ("b", "1")]), now).expect("synced");
    group.sync(sync("b", 2, &[]), now).expect("synced");
    assert_eq!(group.phase(), Phase::Stable);
    group
}

#[test]
fn a_member_alone_leads_and_a_second_one_makes_it_join_again() {
    let now = Instant::now();
    let mut group = Classic::default();
    let (a, attempt) = group.join(fresh("a", &["range"]), now).expect("joins");
    assert_eq!(told(&group, &a, attempt), Some((1, "a".to_owned())));
    group.sync(sync("a", 1, &[("a", "all")]), now).expect("synced");
    assert_eq!(share(&group, "a", 1), Ok("all".into()));

    let (b, attempt) = group.join(fresh("b", &["range"]), now).expect("joins");
    assert_eq!(told(&group, &b, attempt), None, "a is waited for");
    assert_eq!(group.heartbeat(who("a"), 1, now), Err(Code::REBALANCE_IN_PROGRESS));
    let (_, first) = group.join(again("a", &["range"]), now).expect("joins");
    assert_eq!(told(&group, "a", first), Some((2, "a".to_owned())));
    let leader = group.joined("a", first, true).expect("told").expect("joined");
    assert_eq!(leader.members.len(), 2);
    let follower = group.joined("b", attempt, true).expect("told").expect("joined");
    assert!(follower.members.is_empty(), "only the leader needs them");

    group.sync(sync("b", 2, &[]), now).expect("synced");
    assert_eq!(group.synced("b", 2), None, "the leader is waited for");
    assert_eq!(group.heartbeat(who("b"), 2, now), Ok(()));
    group.sync(sync("a", 2, &[("a", "0"), ("b", "1")]), now).expect("synced");
    assert_eq!((share(&group, "a", 2), share(&group, "b", 2)), (Ok("0".into()), Ok("1".into())));
}

#[test]
fn a_new_member_gets_its_id_first_and_may_leave_with_it() {
    let now = Instant::now();
    let mut group = Classic::default();
    let id_first = Join { id_first: true, ..fresh("a", &["range"]) };
    let promised = group.join(id_first.clone(), now).expect_err("an id");
    assert_eq!(promised, (Code::MEMBER_ID_REQUIRED, "a".to_owned()));
    assert!(group.is_empty());
    assert!(group.join(Join { id_first: true, ..again("a", &["range"]) }, now).is_ok());
    let other = Join { fresh: "b".to_owned(), ..id_first };
    group.join(other, now).expect_err("an id");
    assert_eq!(group.leave(who("b"), now), Ok(()));
    assert_eq!(group.leave(who("b"), now), Err(Code::UNKNOWN_MEMBER_ID));
    let unknown = group.join(again("nobody", &["range"]), now).expect_err("unknown");
    assert_eq!(unknown.0, Code::UNKNOWN_MEMBER_ID);
}

#[test]
fn who_dies_is_missed_after_its_session_and_its_share_given_to_others() {
    let now = Instant::now();
    let mut group = stable(now);
    assert_eq!(group.next_due(now), Some(now + SESSION));
    group.heartbeat(who("a"), 2, now + second(9)).expect("alive");
    assert!(!group.tick(now + second(9)));
    assert!(group.tick(now + second(10)), "b is dead");
    let late = now + second(11);
    assert_eq!(group.heartbeat(who("a"), 2, late), Err(Code::REBALANCE_IN_PROGRESS));
    let (_, attempt) = group.join(again("a", &["range"]), late).expect("joins");
    assert_eq!(told(&group, "a", attempt), Some((3, "a".to_owned())));
    assert_eq!(group.heartbeat(who("b"), 2, late), Err(Code::UNKNOWN_MEMBER_ID));
}

#[test]
fn who_does_not_join_in_time_is_out_and_so_is_who_does_not_ask_for_its_share() {
    let now = Instant::now();
    let mut group = stable(now);
    let (_, attempt) = group.join(fresh("c", &["range"]), now).expect("joins");
    // a and b are alive, but do not join.
    for n in 1..=59 {
        for id in ["a", "b"] {
            let beat = group.heartbeat(who(id), 2, now + second(n));
            assert_eq!(beat, Err(Code::REBALANCE_IN_PROGRESS));
        }
        assert!(!group.tick(now + second(n)));
    }
    assert!(group.tick(now + REBALANCE));
    assert_eq!(told(&group, "c", attempt), Some((3, "c".to_owned())), "and leads");
    assert_eq!(group.members().len(), 1);
    // Alive, but it never brings shares.
    for n in 61..=119 {
        assert_eq!(group.heartbeat(who("c"), 3, now + second(n)), Ok(()));
    }
    assert!(group.tick(now + REBALANCE + REBALANCE));
    assert!(group.is_empty());
}

#[test]
fn the_assignor_is_one_that_all_know_and_most_like_best() {
    let now = Instant::now();
    let mut group = Classic::default();
    let wait = |id, protocols: &[&str]| Join { initial_delay: second(3), ..fresh(id, protocols) };
    group.join(wait("a", &["x", "range", "sticky"]), now).expect("joins");
    group.join(wait("b", &["sticky", "range"]), now).expect("joins");
    group.join(wait("c", &["sticky", "y", "range"]), now).expect("joins");
    assert_eq!(group.protocol(), None, "more may come");
    assert_eq!(group.next_due(now), Some(now + second(3)));
    assert!(group.tick(now + second(3)));
    assert_eq!(group.protocol(), Some("sticky"));
    let stranger = group.join(fresh("d", &["x"]), now + second(3)).expect_err("refused");
    assert_eq!(stranger.0, Code::INCONSISTENT_GROUP_PROTOCOL);
    let other = Join { protocol_type: "connect".to_owned(), ..fresh("d", &["range"]) };
    let refused = group.join(other, now + second(3)).expect_err("refused");
    assert_eq!(refused.0, Code::INCONSISTENT_GROUP_PROTOCOL);
}

#[test]
fn a_join_that_changes_nothing_disturbs_nobody_unless_the_leader_asks() {
    let now = Instant::now();
    let mut group = stable(now);
    let (_, attempt) = group.join(again("b", &["range"]), now).expect("joins");
    assert_eq!(told(&group, "b", attempt), Some((2, "a".to_owned())));
    assert_eq!(group.phase(), Phase::Stable);
    let (_, attempt) = group.join(again("a", &["range"]), now).expect("joins");
    assert_eq!(told(&group, "a", attempt), None, "its topics may have changed");
    let lost = group.join(again("b", &["range"]), now).expect("joins");
    assert_eq!(told(&group, "b", lost.1), Some((3, "a".to_owned())));
    assert_eq!(group.joined("b", attempt - 1, true), Some(Err(Code::REBALANCE_IN_PROGRESS)));
}

#[test]
fn a_static_member_comes_back_to_its_share_and_fences_who_had_its_name() {
    let now = Instant::now();
    let mut group = Classic::default();
    let named = |id: &str| Join {
        instance: Some("i".to_owned()),
        protocols: vec![("range".to_owned(), "topics".into())],
        ..fresh(id, &[])
    };
    group.join(named("a"), now).expect("joins");
    group.sync(sync_static("a", "i"), now).expect("synced");
    let (id, attempt) = group.join(named("a2"), now).expect("joins");
    assert_eq!((id.as_str(), group.phase()), ("a2", Phase::Stable));
    let joined = group.joined("a2", attempt, true).expect("told").expect("joined");
    assert!(joined.skip_assignment && joined.leader == "a2" && joined.members.len() == 1);
    let old = group.joined("a2", attempt, false).expect("told").expect("joined");
    assert!(!old.skip_assignment && old.leader.is_empty(), "it could not be told to skip");
    assert_eq!(share(&group, "a2", 1), Ok("mine".into()));
    let ghost = Identity { member: "a", instance: Some("i") };
    assert_eq!(group.heartbeat(ghost, 1, now), Err(Code::FENCED_INSTANCE_ID));
    assert_eq!(group.may_commit(ghost, 1, now), Err(Code::FENCED_INSTANCE_ID));
    assert_eq!(group.leave(Identity { member: "", instance: Some("i") }, now), Ok(()));
    assert!(group.is_empty());
}

fn sync_static<'a>(member: &'a str, instance: &'a str) -> Sync<'a> {
    let who = Identity { member, instance: Some(instance) };
    Sync { who, ..sync(member, 1, &[("a", "mine")]) }
}

#[test]
fn commits_are_taken_from_members_of_the_generation_and_from_nobody_when_there_are_none() {
    let now = Instant::now();
    let mut group = stable(now);
    assert_eq!(group.may_commit(who("b"), 2, now), Ok(()));
    assert_eq!(group.may_commit(who("b"), 1, now), Err(Code::ILLEGAL_GENERATION));
    assert_eq!(group.may_commit(who("x"), 2, now), Err(Code::UNKNOWN_MEMBER_ID));
    assert_eq!(group.may_commit(who(""), -1, now), Err(Code::UNKNOWN_MEMBER_ID));
    group.join(fresh("c", &["range"]), now).expect("joins");
    assert_eq!(group.may_commit(who("b"), 2, now), Ok(()), "before it joins again");
    group.join(again("a", &["range"]), now).expect("joins");
    group.join(again("b", &["range"]), now).expect("joins");
    assert_eq!(group.may_commit(who("b"), 2, now), Err(Code::ILLEGAL_GENERATION));
    assert_eq!(group.may_commit(who("b"), 3, now), Err(Code::REBALANCE_IN_PROGRESS));
    for id in ["a", "b", "c"] {
        group.leave(who(id), now).expect("left");
    }
    assert_eq!((group.phase(), group.may_commit(who(""), -1, now)), (Phase::Empty, Ok(())));
}

#[test]
fn a_share_belongs_to_its_generation() {
    let now = Instant::now();
    let mut group = stable(now);
    assert_eq!(group.sync(sync("b", 1, &[]), now), Err(Code::ILLEGAL_GENERATION));
    let wrong = Sync { protocol: Some("sticky"), ..sync("b", 2, &[]) };
    assert_eq!(group.sync(wrong, now), Err(Code::INCONSISTENT_GROUP_PROTOCOL));
    assert_eq!(group.sync(sync("b", 2, &[]), now), Ok(()));
    group.join(fresh("c", &["range"]), now).expect("joins");
    assert_eq!(group.sync(sync("b", 2, &[]), now), Err(Code::REBALANCE_IN_PROGRESS));
    assert_eq!(share(&group, "b", 2), Err(Code::REBALANCE_IN_PROGRESS));
}
