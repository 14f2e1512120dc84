//! `cooperative-sticky`: as `sticky`, but nobody gets what another one has not given up (KIP-429).

use std::collections::BTreeSet;

use super::sticky::{self, Claims};
use super::{Member, Place, Shares, Topics};

/// The shares of `sticky` without the partitions that are on their way from one member to another:
/// once their owners have given them up the group rebalances again, and they are free.
#[must_use]
pub fn cooperative(members: &[Member], topics: &Topics) -> Shares {
    let claims = Claims::of(members, topics);
    let mut shares = sticky::shares(members, topics, &claims);
    for member in members {
        let own: BTreeSet<&Place> = claims.owned(&member.id).iter().copied().collect();
        let others: BTreeSet<&Place> = members
            .iter()
            .filter(|other| other.id != member.id)
            .flat_map(|other| claims.owned(&other.id).iter().copied())
            .collect();
        if let Some(share) = shares.get_mut(&member.id) {
            share.retain(|place| {
                own.contains(place) || !(others.contains(place) || claims.disputed.contains(place))
            });
        }
    }
    shares
}
