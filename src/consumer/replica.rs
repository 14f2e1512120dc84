//! From which replica a partition is read (KIP-392): from its leader, or from a nearer one that the
//! leader named. Pure.

use std::time::Instant;

use super::state::State;
use crate::cluster::Metadata;

/// The choice of one partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Replica {
    /// A nearer replica, and until when it is read from before the leader is asked again.
    nearer: Option<(i32, Instant)>,
    /// One that failed, and until when it is not taken again: the leader may not know and name it
    /// each time.
    shunned: Option<(i32, Instant)>,
}

impl Replica {
    /// The nearer replica, if there is one.
    pub(super) fn nearer(&self) -> Option<i32> {
        self.nearer.map(|(broker, _)| broker)
    }

    /// The leader named this one. Refused with the time until which it is shunned: until then the
    /// leader must serve us itself.
    pub(super) fn prefer(
        &mut self,
        broker: i32,
        now: Instant,
        until: Instant,
    ) -> Result<(), Instant> {
        match self.shunned {
            Some((shunned, until)) if shunned == broker && now < until => Err(until),
            _ => {
                self.nearer = Some((broker, until));
                Ok(())
            }
        }
    }

    /// The nearer replica failed: back to the leader. Whether there was one.
    pub(super) fn shun(&mut self, until: Instant) -> bool {
        let failed = self.nearer.take();
        self.shunned = failed.map(|(broker, _)| (broker, until)).or(self.shunned);
        failed.is_some()
    }

    /// Another leader, or another era of it: what the old one said is void.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

/// What looking after the nearer replicas gave.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Choices {
    /// When the leader of some partition is to be asked again.
    pub(super) next: Option<Instant>,
    /// A leader named a broker that metadata does not know.
    pub(super) unknown: bool,
}

impl State {
    /// Gives up nearer replicas whose time is over (the leader is asked anew), that are offline, or
    /// that metadata does not know: `shun_until` is for those (6.18).
    pub(super) fn mind_replicas(
        &mut self,
        metadata: &Metadata,
        now: Instant,
        shun_until: Instant,
    ) -> Choices {
        let mut choices = Choices::default();
        for partition in &mut self.partitions {
            let Some((broker, until)) = partition.replica.nearer else { continue };
            if until <= now {
                partition.replica.nearer = None;
                continue;
            }
            let known = metadata.brokers.contains_key(&broker);
            if known && !is_offline(metadata, partition.name.as_str(), partition.number, broker) {
                choices.next = Some(choices.next.map_or(until, |next| next.min(until)));
                continue;
            }
            choices.unknown |= !known;
            partition.replica.shun(shun_until);
        }
        choices
    }

    /// A broker failed: what it served as the nearer replica goes back to the leaders. Whether
    /// there was any.
    pub(super) fn shun_replica(&mut self, broker: i32, until: Instant) -> bool {
        let mut any = false;
        for partition in &mut self.partitions {
            if partition.replica.nearer() == Some(broker) {
                any |= partition.replica.shun(until);
            }
        }
        any
    }
}

fn is_offline(metadata: &Metadata, topic: &str, number: i64, broker: i32) -> bool {
    let partition = metadata.topic(topic).and_then(|t| t.partition(number));
    partition.is_some_and(|p| p.offline.contains(&broker))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::fixture::{BROKER, state};
    use super::*;
    use crate::cluster::{BrokerInfo, PartitionMetadata, TopicMetadata};

    const NEAR: i32 = 7;
    const AGE: Duration = Duration::from_secs(300);

    fn metadata(brokers: &[i32], offline: &[i32]) -> Metadata {
        let partition = PartitionMetadata {
            leader: BROKER,
            leader_epoch: 3,
            offline: offline.to_vec(),
            ..PartitionMetadata::unknown()
        };
        let topic = TopicMetadata {
            name: Arc::from("t"),
            id: [0; 16],
            error: None,
            partitions: vec![partition],
            places: None,
            internal: false,
        };
        let mut metadata = Metadata::empty();
        metadata.topics.insert(Arc::from("t"), Arc::new(topic));
        for &id in brokers {
            let info = BrokerInfo { id, host: "h".to_owned(), port: 1, rack: None };
            metadata.brokers.insert(id, Arc::new(info));
        }
        metadata
    }

    fn preferring(now: Instant) -> State {
        let mut state = state(1);
        state.partitions[0].replica.prefer(NEAR, now, now + AGE).unwrap();
        state
    }

    #[test]
    fn rule_6_18_a_nearer_replica_is_followed_until_its_time_is_over() {
        let now = Instant::now();
        let mut state = preferring(now);
        let known = metadata(&[BROKER, NEAR], &[]);
        let choices = state.mind_replicas(&known, now, now + AGE);
        assert_eq!(choices, Choices { next: Some(now + AGE), unknown: false });
        assert_eq!(state.partitions[0].source(), NEAR);
        let fresh: Vec<_> = state.follow(&known).into_iter().map(|(broker, _)| broker).collect();
        assert_eq!(fresh, [NEAR]);
        assert!(state.led[&BROKER].order.is_empty() && state.led[&NEAR].order == [0]);
        state.mind_replicas(&known, now + AGE, now + AGE + AGE);
        state.follow(&known);
        assert!(state.led[&BROKER].order == [0] && state.led[&NEAR].order.is_empty());
        assert!(state.partitions[0].replica.prefer(NEAR, now + AGE, now + AGE + AGE).is_ok());
    }

    #[test]
    fn rule_6_18_an_unknown_or_offline_replica_leaves_the_partition_with_its_leader() {
        let now = Instant::now();
        for (metadata, unknown) in
            [(metadata(&[BROKER], &[]), true), (metadata(&[BROKER, NEAR], &[NEAR]), false)]
        {
            let mut state = preferring(now);
            let choices = state.mind_replicas(&metadata, now, now + AGE);
            assert_eq!(choices, Choices { next: None, unknown });
            assert_eq!(state.partitions[0].source(), BROKER);
            let again = state.partitions[0].replica.prefer(NEAR, now, now + AGE);
            assert_eq!(again, Err(now + AGE), "named again it is not taken");
        }
    }

    #[test]
    fn rule_6_18_another_leader_or_epoch_makes_the_old_ones_word_void() {
        let now = Instant::now();
        for (leader, epoch) in [(BROKER + 1, 4), (BROKER, 4)] {
            let mut state = preferring(now);
            state.partitions[0].follow(leader, epoch);
            assert_eq!(state.partitions[0].source(), leader);
            state = preferring(now);
            state.shun_replica(NEAR, now + AGE);
            state.partitions[0].follow(leader, epoch);
            assert!(state.partitions[0].replica.prefer(NEAR, now, now + AGE).is_ok());
        }
    }

    #[test]
    fn rule_6_18_a_failing_replica_gives_back_its_own_partitions_alone() {
        let now = Instant::now();
        let mut state = state(3);
        for (index, broker) in [(0, NEAR), (1, NEAR + 1)] {
            state.partitions[index].replica.prefer(broker, now, now + AGE).unwrap();
        }
        assert!(state.shun_replica(NEAR, now + AGE));
        assert!(!state.shun_replica(NEAR, now + AGE), "once");
        let sources: Vec<_> = state.partitions.iter().map(|p| p.source()).collect();
        assert_eq!(sources, [BROKER, NEAR + 1, BROKER]);
    }
}
