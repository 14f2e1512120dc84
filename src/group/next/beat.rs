//! Heartbeats: what is said in them, and how it is said in each version.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::books::Place;
use crate::cluster::TopicId;
use crate::protocol::modern::Uuid;
use crate::protocol::modern::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};

/// The first version in which the member makes its id (9.1), and in which it can subscribe by a pattern.
pub(super) const FIRST_OWN_ID: i16 = 1;

/// What a member wishes to read, as the coordinator hears it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) names: Vec<Arc<str>>,
    /// A pattern that the coordinator resolves (9.16).
    pub(super) pattern: Option<Arc<str>>,
}

/// What does not change in a member's life.
#[derive(Clone, Debug)]
pub(super) struct Constants {
    pub(super) group: Arc<str>,
    pub(super) instance: Option<Arc<str>>,
    pub(super) rack: Option<Arc<str>>,
    pub(super) assignor: Option<Arc<str>>,
    /// `max.poll.interval.ms`.
    pub(super) rebalance_ms: i32,
}

/// A heartbeat to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Beat {
    pub(super) number: u64,
    pub(super) member: Arc<str>,
    /// The coordinator has not confirmed that id yet.
    pub(super) is_own_id: bool,
    pub(super) epoch: i32,
    /// Everything is said: the coordinator may know nothing, or half of it (9.3).
    pub(super) full: bool,
    // None: as before.
    pub(super) names: Option<Vec<Arc<str>>>,
    /// Empty: no pattern any more.
    pub(super) pattern: Option<Arc<str>>,
    pub(super) owned: Option<BTreeSet<Place>>,
}

impl Beat {
    /// Whether it can be said in a version.
    pub(super) fn fits(&self, version: i16) -> bool {
        version >= FIRST_OWN_ID || self.pattern.as_ref().is_none_or(|pattern| pattern.is_empty())
    }

    pub(super) fn request(&self, of: &Constants, version: i16) -> ConsumerGroupHeartbeatRequest {
        let text = |text: &Option<Arc<str>>| text.as_ref().map(ToString::to_string);
        let told =
            |text: &Option<Arc<str>>| text.as_ref().filter(|_| self.full).map(ToString::to_string);
        // Before version 1 the coordinator gives the id.
        let nameless = version < FIRST_OWN_ID && self.is_own_id && self.epoch == 0;
        ConsumerGroupHeartbeatRequest {
            group_id: of.group.to_string(),
            member_id: if nameless { String::new() } else { self.member.to_string() },
            member_epoch: self.epoch,
            instance_id: text(&of.instance),
            rack_id: told(&of.rack),
            rebalance_timeout_ms: if self.full { of.rebalance_ms } else { -1 },
            subscribed_topic_names: self
                .names
                .as_ref()
                .map(|names| names.iter().map(ToString::to_string).collect()),
            subscribed_topic_regex: text(&self.pattern).filter(|_| version >= FIRST_OWN_ID),
            server_assignor: told(&of.assignor),
            topic_partitions: self.owned.as_ref().map(by_topic),
        }
    }
}

/// The heartbeat by which a member leaves.
pub(super) fn leaving(of: &Constants, member: &str, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: of.group.to_string(),
        member_id: member.to_owned(),
        member_epoch: epoch,
        instance_id: of.instance.as_ref().map(ToString::to_string),
        ..ConsumerGroupHeartbeatRequest::default()
    }
}

fn by_topic(places: &BTreeSet<Place>) -> Vec<TopicPartitions> {
    let mut topics = BTreeMap::<TopicId, Vec<i32>>::new();
    for (topic, partition) in places {
        topics.entry(*topic).or_default().push(*partition);
    }
    let one = |(topic, partitions)| TopicPartitions { topic_id: Uuid(topic), partitions };
    topics.into_iter().map(one).collect()
}

/// What a heartbeat without error was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) member: Option<Arc<str>>,
    pub(super) epoch: i32,
    pub(super) interval_ms: i32,
    /// None: as before (9.4).
    pub(super) assignment: Option<BTreeSet<Place>>,
}

impl Told {
    pub(super) fn from(response: ConsumerGroupHeartbeatResponse) -> Self {
        let places = |topic: TopicPartitions| {
            topic.partitions.into_iter().map(move |partition| (topic.topic_id.0, partition))
        };
        Self {
            member: response.member_id.filter(|id| !id.is_empty()).map(Arc::from),
            epoch: response.member_epoch,
            interval_ms: response.heartbeat_interval_ms,
            assignment: response
                .assignment
                .map(|share| share.topic_partitions.into_iter().flat_map(places).collect()),
        }
    }
}
