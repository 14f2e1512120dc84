//! One broker's answer to a metadata request, in the form that the rules of merging read.

use std::sync::Arc;

use super::{BrokerInfo, TopicId};
use crate::error::Code;

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Every topic of the cluster.
    All,
    /// These topics, perhaps none.
    Topics(Vec<Arc<str>>),
}

/// A decoded answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) asked: Asked,
    pub(super) cluster_id: Option<String>,
    /// −1 when the broker does not say.
    pub(super) controller: i32,
    pub(super) brokers: Vec<BrokerInfo>,
    pub(super) topics: Vec<TopicAnswer>,
    /// Whether leader epochs may be used (Metadata ≥ 9, invariant 1.5).
    pub(super) reliable_epochs: bool,
}

/// What an answer says of one topic.
#[derive(Clone, Debug)]
pub(super) struct TopicAnswer {
    pub(super) name: Arc<str>,
    pub(super) id: TopicId,
    pub(super) error: Code,
    pub(super) internal: bool,
    pub(super) partitions: Vec<PartitionAnswer>,
}

/// What an answer says of one partition.
#[derive(Clone, Debug)]
pub(super) struct PartitionAnswer {
    pub(super) index: i32,
    pub(super) error: Code,
    pub(super) leader: i32,
    pub(super) leader_epoch: i32,
    pub(super) replicas: Vec<i32>,
    pub(super) in_sync: Vec<i32>,
    pub(super) offline: Vec<i32>,
}
