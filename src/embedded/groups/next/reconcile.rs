//! A member's next step towards its target: gives up first, gets what is free, never both.

use std::collections::BTreeSet;

use super::member::{Held, Member, Place, Progress};

/// Where a member has to go.
pub(super) struct Aim<'a> {
    /// The epoch of the target.
    pub(super) epoch: i32,
    /// The partitions that it is to have. Of topics that it no longer subscribes none count.
    pub(super) target: &'a BTreeSet<Place>,
    /// Whether the member subscribes the place's topic.
    pub(super) subscribes: &'a dyn Fn(&Place) -> bool,
    /// Whether no other member holds the place.
    pub(super) free: &'a dyn Fn(&Place) -> bool,
}

/// Moves the member on as far as it can go; `owned` is what it says that it owns, if it says so.
pub(super) fn reconcile(member: &mut Member, owned: Option<&BTreeSet<Place>>, aim: &Aim<'_>) {
    let subscribes_all = member.assigned.keys().all(aim.subscribes);
    match member.progress {
        Progress::Stable if member.epoch == aim.epoch && subscribes_all => {}
        Progress::Stable if member.epoch == aim.epoch => drop_unsubscribed(member, owned, aim),
        Progress::Unrevoked if owns_any(owned, &member.revoking) => {
            if !subscribes_all {
                drop_unsubscribed(member, owned, aim);
            }
        }
        _ => advance(member, owned, aim),
    }
}

/// Whether some of these are still owned. Who does not say owns them.
fn owns_any(owned: Option<&BTreeSet<Place>>, revoking: &Held) -> bool {
    owned.is_none_or(|owned| owned.iter().any(|place| revoking.contains_key(place)))
}

/// Takes away what a changed subscription no longer covers, without waiting for a new target.
fn drop_unsubscribed(member: &mut Member, owned: Option<&BTreeSet<Place>>, aim: &Aim<'_>) {
    let (assigned, gone): (Held, Held) =
        member.assigned.iter().partition(|(place, _)| (aim.subscribes)(place));
    let mut revoking = member.revoking.clone();
    revoking.extend(gone);
    if owns_any(owned, &revoking) {
        member.enter(Progress::Unrevoked, member.epoch, assigned, revoking);
    } else {
        let (progress, kept) = (member.progress, member.revoking.clone());
        member.enter(progress, member.epoch, assigned, kept);
    }
}

fn advance(member: &mut Member, owned: Option<&BTreeSet<Place>>, aim: &Aim<'_>) {
    let wanted = |place: &Place| aim.target.contains(place) && (aim.subscribes)(place);
    let (mut assigned, revoking): (Held, Held) =
        member.assigned.iter().partition(|(place, _)| wanted(place));
    if !revoking.is_empty() && owns_any(owned, &revoking) {
        // It stays in its epoch until it has let go.
        member.enter(Progress::Unrevoked, member.epoch, assigned, revoking);
        return;
    }
    let missing = aim.target.iter().filter(|place| !member.assigned.contains_key(place));
    let missing = missing.filter(|place| (aim.subscribes)(place));
    let (free, held): (Vec<Place>, Vec<Place>) = missing.partition(|place| (aim.free)(place));
    assigned.extend(free.into_iter().map(|place| (place, aim.epoch)));
    let progress = if held.is_empty() { Progress::Stable } else { Progress::Unreleased };
    member.enter(progress, aim.epoch, assigned, Held::new());
}
