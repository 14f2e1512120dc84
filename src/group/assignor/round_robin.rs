//! `roundrobin`: all partitions of all topics, dealt out one by one.

use std::collections::BTreeSet;

use super::{Member, Shares, Topics, in_turn, no_shares};

/// Deals the partitions of all topics out to the members in turn; who does not subscribe a topic is
/// passed over.
#[must_use]
pub fn round_robin(members: &[Member], topics: &Topics) -> Shares {
    let mut shares = no_shares(members);
    let turns = in_turn(members);
    let wanted: BTreeSet<&String> = members.iter().flat_map(|member| &member.topics).collect();
    let mut next = 0;
    for topic in wanted {
        for place in topics.places(topic) {
            // Somebody subscribes it, so that one round finds them.
            let takes = |turn: &usize| {
                turns.get(*turn % turns.len()).is_some_and(|member| member.topics.contains(topic))
            };
            let Some(turn) = (next..next + turns.len()).find(takes) else { break };
            next = (turn + 1) % turns.len();
            if let Some(member) = turns.get(turn % turns.len()) {
                shares.entry(member.id.clone()).or_default().push(place);
            }
        }
    }
    shares
}
