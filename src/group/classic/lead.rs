//! The leader at work: fresh metadata of all members' topics, then the assignor; and its watch over
//! those topics afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use super::Shared;
use super::acts::{Leading, Led};
use super::share;
use crate::cluster::{Cluster, HeldTopics, Topic};
use crate::error::{Code, Error, Result};
use crate::group::assign::{Assign, Candidate, Share};
use crate::group::assignor::{Partition, Topics};
use crate::group::membership::{Job, Step};

/// Who gets what, and which topics that was made for.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) led: Led,
    pub(super) topics: Topics,
    pub(super) union: BTreeSet<String>,
}

impl Shared {
    /// The leader's work for one generation.
    pub(super) async fn lead(&self, leading: &Leading) -> Result<Plan> {
        let candidates = share::candidates(&leading.members, &leading.protocol);
        let union = share::union(&candidates);
        let topics = self.topics_of(&union).await?;
        let led = if leading.skip {
            let mine_alone = share::mine_alone(&candidates, &leading.me, &topics);
            Led { shares: Vec::new(), mine_alone }
        } else {
            let own = self.own.as_ref().filter(|own| own.name() == leading.protocol);
            let shares = match own {
                Some(own) => self.share_out_by(own, candidates, topics.clone()).await?,
                None => share::share_out(&leading.protocol, &candidates, &topics)?,
            };
            Led { shares: share::written(shares)?, mine_alone: Vec::new() }
        };
        Ok(Plan { led, topics, union })
    }

    /// The partitions of these topics as a broker tells them now (rule 8.20), or more if it is behind
    /// what is known already: partitions never become fewer.
    async fn topics_of(&self, union: &BTreeSet<String>) -> Result<Topics> {
        let names = union.iter().map(|name| Arc::from(name.as_str())).collect();
        let deadline = Instant::now() + self.config.request_timeout;
        let fresh = match union.is_empty() {
            true => Vec::new(),
            false => self.cluster.topics_anew(names, deadline).await?,
        };
        let metadata = self.cluster.metadata();
        let rack = |broker: &i32| metadata.brokers.get(broker).and_then(|info| info.rack.clone());
        let mut topics = BTreeMap::new();
        for topic in fresh.iter().filter(|topic| topic.error.is_none()) {
            let known = metadata.topic(&topic.name).filter(|known| {
                known.error.is_none() && known.partitions.len() > topic.partitions.len()
            });
            let partitions = known.unwrap_or(topic).partitions.iter();
            let partitions = partitions.map(|partition| Partition {
                racks: partition.replicas.iter().filter_map(rack).collect(),
            });
            topics.insert(topic.name.to_string(), partitions.collect::<Vec<_>>());
        }
        Ok(Topics(topics))
    }

    /// Runs the application's own assignor on the thread that polls next.
    async fn share_out_by(
        &self,
        own: &Arc<dyn Assign>,
        candidates: Vec<Candidate>,
        topics: Topics,
    ) -> Result<Vec<(String, Share)>> {
        let (told, outcome) = oneshot::channel();
        let (assignor, members) = (Arc::clone(own), candidates.clone());
        let job = move || {
            // Nobody hears it if the round was given up meanwhile.
            let _ = told.send(assignor.assign(&members, &topics));
        };
        self.listener.step(Step::Run(Job(Box::new(job))));
        let outcome = outcome.await.unwrap_or_else(|_| {
            Err(Error::new(Code::ABANDONED, "the assignor of the application did not run"))
        });
        let mut shares = outcome.inspect_err(|error| {
            let text = format!("the assignor {} failed: the group tries again", own.name());
            let error = Error::new(error.code(), text).caused_by(error.clone());
            self.listener.step(Step::Failed(error));
        })?;
        if own.is_cooperative() {
            hold_back_claimed(&mut shares, &candidates);
        }
        let all = candidates.iter().map(|candidate| &candidate.member.id);
        Ok(all.map(|id| (id.clone(), shares.remove(id).unwrap_or_default())).collect())
    }
}

/// Rule 8.14: what another member still claims comes in the next round.
fn hold_back_claimed(shares: &mut BTreeMap<String, Share>, candidates: &[Candidate]) {
    for (id, share) in shares {
        share.places.retain(|place| {
            let mut others = candidates.iter().filter(|other| other.member.id != *id);
            !others.any(|other| other.member.owned.contains(place))
        });
    }
}

/// The leader's watch over the topics of all members (rule 8.19).
#[derive(Debug)]
pub(super) struct Watch {
    held: HeldTopics,
    /// For each topic how many partitions were shared out.
    shared: Vec<usize>,
    /// How many were known when the watch began: a broker that was behind then does not start another
    /// round by itself.
    known: Vec<Option<usize>>,
}

impl Watch {
    pub(super) fn new(cluster: &Arc<Cluster>, plan: &Plan) -> Self {
        let held = HeldTopics::named(cluster, plan.union.iter().map(String::as_str), false);
        let shared = |topic: &Arc<Topic>| plan.topics.0.get(&**topic.name()).map_or(0, Vec::len);
        let shared = held.topics().iter().map(shared).collect();
        let known = held.topics().iter().map(|topic| count(topic)).collect();
        Self { held, shared, known }
    }

    /// Whether a topic has other partitions than were shared out.
    pub(super) fn sees_change(&self) -> bool {
        let before = self.shared.iter().zip(&self.known);
        self.held.topics().iter().zip(before).any(|(topic, (shared, known))| {
            let now = count(topic);
            now.is_some_and(|now| now != *shared && Some(now) != *known)
        })
    }
}

/// How many partitions a topic has; none while that is not known.
fn count(topic: &Topic) -> Option<usize> {
    let metadata = topic.metadata()?;
    match &metadata.error {
        None => Some(metadata.partitions.len()),
        Some(error) if error.code() == Code::UNKNOWN_TOPIC_OR_PARTITION => Some(0),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::assignor::Member;

    #[test]
    fn rule_8_14_what_another_member_still_claims_is_held_back() {
        let place = |n| ("t".to_owned(), n);
        let claims = |id: &str, owned: &[i32]| Candidate {
            member: Member {
                id: id.to_owned(),
                owned: owned.iter().copied().map(place).collect(),
                ..Member::default()
            },
            user_data: None,
        };
        let gets = |id: &str, all: &[i32]| {
            let places = all.iter().copied().map(place).collect();
            (id.to_owned(), Share { places, user_data: Some(id.to_owned().into()) })
        };
        let candidates = [claims("a", &[0, 1]), claims("b", &[1, 2]), claims("c", &[])];
        let mut shares = BTreeMap::from([gets("a", &[0, 3]), gets("b", &[1]), gets("c", &[2, 4])]);
        hold_back_claimed(&mut shares, &candidates);
        // Partition 1 is claimed by two: nobody may have it before one of them gave it up.
        assert_eq!(shares, BTreeMap::from([gets("a", &[0, 3]), gets("b", &[]), gets("c", &[4])]));
    }
}
