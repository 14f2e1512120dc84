//! Classic memberships in the versions of requests that lie between those of the releases.

use samsa::protocol::modern::ApiKey;

use super::app::{App, Heard, share, until};
use super::rig::{Rig, at, place, soon};

/// The newest version that brokers serve of JoinGroup, OffsetCommit, OffsetFetch and LeaveGroup.
const CASES: [(i16, i16, i16, i16); 5] =
    [(3, 4, 4, 2), (4, 5, 5, 2), (5, 6, 6, 3), (6, 7, 6, 3), (8, 7, 6, 3)];

/// The first version of JoinGroup that names static members.
const FIRST_STATIC: i16 = 5;

fn limits((join, commit, fetch, leave): (i16, i16, i16, i16)) -> [(ApiKey, i16); 4] {
    [
        (ApiKey::JoinGroup, join),
        (ApiKey::OffsetCommit, commit),
        (ApiKey::OffsetFetch, fetch),
        (ApiKey::LeaveGroup, leave),
    ]
}

fn rig(case: (i16, i16, i16, i16)) -> Rig {
    let rig = Rig::new(1);
    for (api, newest) in limits(case) {
        rig.kafka.limit_versions(None, api, 0, newest).expect("limited");
    }
    rig
}

/// That these requests were sent, and in the newest version that is served.
fn assert_versions(rig: &Rig, apis: &[(ApiKey, i16)]) {
    let history = rig.kafka.history();
    for &(api, newest) in apis {
        let sent = history.iter().filter(|seen| seen.api == i16::from(api));
        let versions: Vec<_> = sent.map(|seen| seen.version).collect();
        assert!(!versions.is_empty() && versions.iter().all(|v| *v == newest), "{versions:?}");
    }
}

fn member(rig: &Rig, instance: Option<&str>) -> App {
    let name = instance.map(|instance| ("group.instance.id", instance));
    let quick = [("heartbeat.interval.ms", "10"), ("session.timeout.ms", "10000")];
    let properties: Vec<_> = quick.into_iter().chain(name).collect();
    App::new(&rig.cluster, &rig.config(&properties), &["t"])
}

/// Commits each partition that a member reads, by the member itself, and looks it up.
fn commit(rig: &Rig, app: &App, offset: i64) {
    let mine = || (0..4).filter(|n| app.reads.contains(&format!("t{n}")));
    let places = mine().map(|n| (place(n), at(offset + n))).collect();
    let outcomes = rig.run(app.member.offsets.commit(places, false, soon()));
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let found = app.member.offsets.fetch(mine().map(place).collect(), soon());
    let found = rig.run(found).expect("fetched").into_iter();
    let found: Vec<_> = found.map(|one| one.expect("each").map(|one| one.offset)).collect();
    assert_eq!(found, mine().map(|n| Some(offset + n)).collect::<Vec<_>>());
}

fn halves(apps: &[&mut App]) -> bool {
    share(apps, 4) && apps.iter().all(|app| app.reads.len() == 2)
}

/// One member comes, then another; the first leaves. Gives the second.
fn come_and_go(rig: &Rig, names: [Option<&str>; 2]) -> App {
    let mut a = member(rig, names[0]);
    a.until("alone", |app| app.reads.len() == 4);
    commit(rig, &a, 10);
    let mut b = member(rig, names[1]);
    until("shared", &mut [&mut a, &mut b], halves);
    commit(rig, &a, 20);
    commit(rig, &b, 20);
    let is_static = names[0].is_some();
    let seen = rig.kafka.group_members("g");
    let mut instances: Vec<_> = seen.iter().map(|member| member.instance.as_deref()).collect();
    instances.sort_unstable();
    assert_eq!(instances, names);
    a.leave();
    if is_static {
        assert_eq!(rig.kafka.group_members("g").len(), 2, "its place is kept");
    } else {
        b.until("alone", |app| app.reads.len() == 4);
        commit(rig, &b, 30);
    }
    assert!(!b.heard.iter().any(|heard| matches!(heard, Heard::Failed(_) | Heard::Lost(_))));
    b
}

#[test]
fn members_come_and_go_in_every_version_of_their_requests() {
    for case in CASES {
        let rig = rig(case);
        come_and_go(&rig, [None, None]).leave();
        assert_versions(&rig, &limits(case));
    }
}

#[test]
fn static_members_keep_their_place_in_every_version_that_names_them() {
    for case in CASES.into_iter().filter(|(join, ..)| *join >= FIRST_STATIC) {
        let rig = rig(case);
        let mut other = come_and_go(&rig, [Some("one"), Some("two")]);
        // Back in time it has a share again, and commits by its name.
        let mut again = member(&rig, Some("one"));
        until("back", &mut [&mut again, &mut other], halves);
        commit(&rig, &again, 40);
        // They do not leave.
        assert_versions(&rig, &limits(case)[..3]);
    }
}
