//! Embedded brokers, and members on them.

use std::collections::BTreeSet;
use std::time::Instant;

use samsa::embedded::{self, Options};
use samsa::protocol::modern::ApiKey;

pub(crate) use super::peer::{Peer, block, soon, until};
use super::peer::{Place, owned_by};

pub(crate) const HEARTBEAT: ApiKey = ApiKey::ConsumerGroupHeartbeat;

/// Brokers whose members send heartbeats fast, and topic "t".
pub(crate) struct Rig {
    pub(crate) kafka: embedded::Cluster,
}

impl Rig {
    pub(crate) fn new(partitions: i32) -> Self {
        let options = Options { brokers: 2, ..Options::default() };
        let kafka = embedded::Cluster::start_with(options).expect("started");
        kafka.set("group.consumer.heartbeat.interval.ms", "10").expect("set");
        kafka.create_topic("t", partitions).expect("made");
        Self { kafka }
    }

    /// A member with these properties that has subscribed to "t".
    pub(crate) fn member(&self, properties: &[(&str, &str)]) -> Peer {
        let peer = self.idle(properties);
        peer.subscribe(&["t"]);
        peer
    }

    /// One that has subscribed to nothing.
    pub(crate) fn idle(&self, properties: &[(&str, &str)]) -> Peer {
        Peer::new(&self.kafka.address(), "g", properties)
    }

    /// Waits until the coordinator and the members agree, and each partition of the topics has one owner.
    pub(crate) fn settled(&self, members: &[&Peer], partitions: usize) {
        let deadline = soon();
        loop {
            let owned = owned_by(members);
            let seen = members.iter().all(|member| self.seen(member) == Some(member.owned()));
            if seen && owned.len() == partitions && self.kafka.group_state("g") == "Stable" {
                return;
            }
            assert!(Instant::now() < deadline, "{owned:?}, {}", self.kafka.group_state("g"));
            std::thread::yield_now();
        }
    }

    /// What the coordinator lets a member own.
    pub(crate) fn seen(&self, member: &Peer) -> Option<BTreeSet<Place>> {
        let (_, places) = self.kafka.group_assignment("g", &member.identity()?.member)?;
        Some(places.into_iter().map(|(topic, index)| (topic, i64::from(index))).collect())
    }

    /// Waits for so many heartbeats more.
    pub(crate) fn heartbeats(&self, more: u64) {
        let before = self.kafka.requests(HEARTBEAT);
        self.kafka.wait_requests(HEARTBEAT, before + more, soon()).expect("heartbeats");
    }

    /// Waits until so many are in the group.
    pub(crate) fn wait_members(&self, count: usize) {
        until("members", || self.kafka.group_members("g").len() == count);
    }
}
