//! Groups seen and changed from outside: list, describe, delete, and their offsets forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout_at};

use super::coordinator::{Coordinator, Lane};
use super::membership::TopicPartition;
use crate::cluster::Cluster;
use crate::error::{Code, Error, Result};
use crate::net::{Backoff, Broker, Purpose, Versions, jitter};
use crate::protocol::modern::Request;
use crate::protocol::modern::consumer_protocol::{self, ConsumerProtocolSubscription};
use crate::protocol::modern::messages::consumer_group_describe::{
    self as by_epochs, ConsumerGroupDescribeRequest,
};
use crate::protocol::modern::messages::delete_groups::DeleteGroupsRequest;
use crate::protocol::modern::messages::describe_groups::{
    DescribeGroupsRequest, DescribedGroup, DescribedGroupMember,
};
use crate::protocol::modern::messages::list_groups::{ListGroupsRequest, ListedGroup};
use crate::protocol::modern::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};

/// How the members of a group agree, as the brokers say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupKind {
    /// The broker is too old to tell (below 3.8).
    Unknown,
    /// By the classic protocol.
    Classic,
    /// By KIP-848.
    Consumer,
    /// In a way that is not a consumer's, such as a share group's.
    Other,
}

/// One group of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupListing {
    /// The group.
    pub id: String,
    /// What its members are: `consumer`, `connect`; empty for a group that has offsets only.
    pub protocol_type: String,
    /// Such as `Stable` or `Empty`; empty where the broker does not say (below 2.6).
    pub state: String,
    /// How its members agree.
    pub kind: GroupKind,
    /// The broker that coordinates it.
    pub coordinator: i32,
}

/// A group and its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDescription {
    /// The group.
    pub listing: GroupListing,
    /// The assignor; empty while none is chosen.
    pub assignor: String,
    /// Counts its rebalances; −1 where the broker does not say (classic groups).
    pub epoch: i32,
    /// Its members.
    pub members: Vec<GroupMember>,
}

/// A member of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupMember {
    /// The id that the coordinator knows it by.
    pub id: String,
    /// `group.instance.id` of a static member.
    pub instance: Option<String>,
    /// `client.id`.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
    /// The topics that it subscribes by name, as far as that can be read.
    pub topics: Vec<String>,
    /// What it reads, as far as that can be read.
    pub assignment: Vec<TopicPartition>,
    /// Its epoch; −1 in classic groups.
    pub epoch: i32,
}

/// Every group that the brokers coordinate, by name. Blocking; all brokers are asked at once.
///
/// What a broker coordinates that does not answer, within its request time-out or until `deadline`, is
/// left out, with a line in the log: others may have taken over from it, and their lists are worth more
/// than an error. If none answers: what became of the first one, such as `TIMED_OUT` or
/// `CONNECTION_FAILED`. What a broker refuses for good is the call's error; `UNSUPPORTED_FEATURE` below
/// 0.9.
pub fn list_groups(cluster: &Arc<Cluster>, deadline: Option<Instant>) -> Result<Vec<GroupListing>> {
    let asked = Arc::clone(cluster);
    cluster.block("list groups", deadline, async move {
        let until = deadline.unwrap_or_else(|| far(&asked));
        list_all(&asked, until).await
    })
}

async fn list_all(cluster: &Arc<Cluster>, until: Instant) -> Result<Vec<GroupListing>> {
    let mut changes = cluster.changes();
    let known = changes.wait_for(|metadata| !metadata.brokers.is_empty());
    if timeout_at(until.into(), known).await.is_err() {
        let text = "no broker of the cluster is known yet";
        return Err(late("list of groups", Error::new(Code::BROKER_NOT_AVAILABLE, text)));
    }
    let mut asked = JoinSet::new();
    for broker in cluster.reachable_brokers() {
        let cluster = Arc::clone(cluster);
        asked.spawn(async move { (broker.id(), list_of(&cluster, &broker, until).await) });
    }
    let (mut groups, mut answered, mut failures) = (BTreeMap::new(), false, Vec::new());
    while let Some(outcome) = asked.join_next().await {
        match outcome.map_err(|panic| Error::new(Code::PANIC, panic.to_string()))? {
            (broker, Ok(list)) => {
                answered = true;
                let named = |group: ListedGroup| (group.group_id.clone(), listing(group, broker));
                groups.extend(list.into_iter().map(named));
            }
            (_, Err(error)) if is_refusal(&error) => return Err(error),
            (_, Err(error)) => failures.push(error),
        }
    }
    for error in &failures {
        let text = format_args!("the list of groups lacks those of a broker: {error}");
        cluster.logger().warn("group", text);
    }
    match failures.into_iter().next() {
        Some(error) if !answered => Err(error),
        _ => Ok(groups.into_values().collect()),
    }
}

/// Whether a broker said so, and would say it again.
fn is_refusal(error: &Error) -> bool {
    let code = error.code();
    code == Code::UNSUPPORTED_FEATURE || (code.0 > 0 && !error.is_retriable())
}

/// A group with its members. Blocking.
///
/// `GROUP_ID_NOT_FOUND` if there is none; else as [`list_groups`].
pub fn describe_group(
    cluster: &Arc<Cluster>,
    group: &str,
    deadline: Option<Instant>,
) -> Result<GroupDescription> {
    let admin = Admin::new(cluster, group);
    cluster.block("describe group", deadline, async move { admin.describe(deadline).await })
}

/// Deletes a group without members, with its offsets. Blocking.
///
/// `GROUP_ID_NOT_FOUND`, `NON_EMPTY_GROUP`; `UNSUPPORTED_FEATURE` below 1.1; else as [`list_groups`].
pub fn delete_group(cluster: &Arc<Cluster>, group: &str, deadline: Option<Instant>) -> Result<()> {
    let admin = Admin::new(cluster, group);
    cluster.block("delete group", deadline, async move { admin.delete(deadline).await })
}

/// Forgets what a group committed for these partitions; an outcome for each, in their order. Blocking.
///
/// `GROUP_SUBSCRIBED_TO_TOPIC` for what members read; `GROUP_ID_NOT_FOUND`; `UNSUPPORTED_FEATURE` below
/// 2.4; else as [`list_groups`].
pub fn delete_offsets(
    cluster: &Arc<Cluster>,
    group: &str,
    partitions: Vec<TopicPartition>,
    deadline: Option<Instant>,
) -> Result<Vec<Result<()>>> {
    let admin = Admin::new(cluster, group);
    cluster.block("delete offsets", deadline, async move {
        admin.delete_offsets(&partitions, deadline).await
    })
}

/// "No limit", for what needs an instant: a broker that answers nothing is given up by then, and asked
/// again only by another call.
fn far(cluster: &Cluster) -> Instant {
    Instant::now() + cluster.client_config().request_timeout * 2
}

async fn list_of(
    cluster: &Cluster,
    broker: &Arc<Broker>,
    deadline: Instant,
) -> Result<Vec<ListedGroup>> {
    let config = cluster.client_config();
    let backoff = Backoff { first: config.retry_backoff, most: config.retry_backoff_max };
    let address = broker.address().to_string();
    let mut was_cut = false;
    for attempt in 1.. {
        let request = ListGroupsRequest::default();
        // The caller's patience may be short: that is no reason to close the connection (13.4).
        let limit = Instant::now() + config.request_timeout;
        let answer = broker.request(Purpose::Control, &request, limit);
        let response = match timeout_at(deadline.into(), answer).await {
            // It may have closed an idle connection just when the request left: a question is repeated.
            Ok(Err(error)) if error.code() == Code::DISCONNECTED && !was_cut => {
                was_cut = true;
                continue;
            }
            Ok(response) => response?,
            Err(_) => {
                let text = format!("broker {address} did not list its groups within the time");
                return Err(Error::new(Code::TIMED_OUT, text).with_broker(address));
            }
        };
        let code = Code::from(response.error_code);
        let error = || {
            let text = format!("broker {address} lists no groups: {}", code.text());
            Error::new(code, text).with_broker(address.clone())
        };
        match code {
            Code::NONE => return Ok(response.groups),
            code if !code.is_retriable() => return Err(error()),
            _ if Instant::now() >= deadline => return Err(late("list of groups", error())),
            _ => {}
        }
        let until = Instant::now() + backoff.delay(attempt, jitter());
        sleep_until(until.min(deadline).into()).await;
    }
    Err(Error::bare(Code::TIMED_OUT))
}

fn late(what: &str, cause: Error) -> Error {
    Error::new(Code::TIMED_OUT, format!("no {what} within the time")).caused_by(cause)
}

fn listing(listed: ListedGroup, coordinator: i32) -> GroupListing {
    let kind = match listed.group_type.to_ascii_lowercase().as_str() {
        "" => GroupKind::Unknown,
        "classic" => GroupKind::Classic,
        "consumer" => GroupKind::Consumer,
        _ => GroupKind::Other,
    };
    GroupListing {
        id: listed.group_id,
        protocol_type: listed.protocol_type,
        state: listed.group_state,
        kind,
        coordinator,
    }
}

/// Questions about one group to its coordinator.
struct Admin {
    coordinator: Arc<Coordinator>,
    backoff: Backoff,
}

impl Admin {
    fn new(cluster: &Arc<Cluster>, group: &str) -> Self {
        let config = cluster.client_config();
        let backoff = Backoff { first: config.retry_backoff, most: config.retry_backoff_max };
        Self { coordinator: Coordinator::new(cluster, &Arc::from(group)), backoff }
    }

    fn group(&self) -> String {
        self.coordinator.group().to_string()
    }

    /// Asks until there is an answer that is neither "later" nor "elsewhere"; with it the coordinator.
    async fn ask<R: Request + Clone>(
        &self,
        deadline: Option<Instant>,
        request: &R,
        code: impl Fn(&R::Response) -> Option<i16>,
    ) -> Result<(R::Response, i32)> {
        let cluster = self.coordinator.cluster();
        let request_timeout = cluster.client_config().request_timeout;
        let until = deadline.unwrap_or_else(|| far(cluster));
        for attempt in 1.. {
            let seat = self.coordinator.find(until).await?;
            let make = |versions: &Versions| Ok((versions.pick::<R>()?, request.clone()));
            let ask =
                self.coordinator.ask(&seat, Lane::Quick, Instant::now() + request_timeout, make);
            let error = match ask.await {
                Ok((_, response)) => {
                    let Some(code) = code(&response).map(Code::from) else {
                        let text = format!("the coordinator left group {} out", self.group());
                        return Err(Error::new(Code::PROTOCOL, text));
                    };
                    if matches!(code, Code::NOT_COORDINATOR | Code::COORDINATOR_NOT_AVAILABLE) {
                        self.coordinator.lost(&seat);
                    }
                    match code {
                        Code::NONE => return Ok((response, seat.id())),
                        code => self.refused(code),
                    }
                }
                Err(error) => error,
            };
            if !error.is_retriable() {
                return Err(error);
            }
            if Instant::now() >= until {
                return Err(late("answer of the group's coordinator", error));
            }
            let next = Instant::now() + self.backoff.delay(attempt, jitter());
            sleep_until(next.min(until).into()).await;
        }
        Err(Error::bare(Code::TIMED_OUT))
    }

    fn refused(&self, code: Code) -> Error {
        Error::new(code, format!("group {}: {}", self.coordinator.group(), code.text()))
    }

    async fn describe(&self, deadline: Option<Instant>) -> Result<GroupDescription> {
        let request = ConsumerGroupDescribeRequest {
            group_ids: vec![self.group()],
            ..ConsumerGroupDescribeRequest::default()
        };
        let first = |response: &by_epochs::ConsumerGroupDescribeResponse| {
            response.groups.first().map(|group| group.error_code)
        };
        match self.ask(deadline, &request, first).await {
            Ok((response, coordinator)) => match response.groups.into_iter().next() {
                Some(group) => Ok(consumer_group(group, coordinator)),
                None => Err(self.refused(Code::GROUP_ID_NOT_FOUND)),
            },
            // It is a classic group, or the broker has no others.
            Err(error) => match error.code() {
                Code::GROUP_ID_NOT_FOUND
                | Code::UNSUPPORTED_FEATURE
                | Code::UNSUPPORTED_VERSION
                | Code::INVALID_GROUP_ID => self.describe_classic(deadline).await,
                _ => Err(error),
            },
        }
    }

    async fn describe_classic(&self, deadline: Option<Instant>) -> Result<GroupDescription> {
        let request = DescribeGroupsRequest {
            groups: vec![self.group()],
            ..DescribeGroupsRequest::default()
        };
        let (response, coordinator) = self
            .ask(deadline, &request, |response| response.groups.first().map(|g| g.error_code))
            .await?;
        let group = response.groups.into_iter().next();
        // Below version 6 a group that there is not is a dead one.
        match group.filter(|group| group.group_state != "Dead") {
            Some(group) => Ok(classic_group(group, coordinator)),
            None => Err(self.refused(Code::GROUP_ID_NOT_FOUND)),
        }
    }

    async fn delete(&self, deadline: Option<Instant>) -> Result<()> {
        let request = DeleteGroupsRequest { groups_names: vec![self.group()] };
        let first = |response: &<DeleteGroupsRequest as Request>::Response| {
            response.results.first().map(|result| result.error_code)
        };
        self.ask(deadline, &request, first).await.map(drop)
    }

    async fn delete_offsets(
        &self,
        partitions: &[TopicPartition],
        deadline: Option<Instant>,
    ) -> Result<Vec<Result<()>>> {
        let mut topics: BTreeMap<&str, Vec<OffsetDeleteRequestPartition>> = BTreeMap::new();
        for place in partitions {
            let Ok(partition_index) = i32::try_from(place.partition) else { continue };
            let one = OffsetDeleteRequestPartition { partition_index };
            topics.entry(&place.topic).or_default().push(one);
        }
        let topic = |(name, partitions): (&str, _)| OffsetDeleteRequestTopic {
            name: name.to_owned(),
            partitions,
        };
        let request = OffsetDeleteRequest {
            group_id: self.group(),
            topics: topics.into_iter().map(topic).collect(),
        };
        let (response, _) = self.ask(deadline, &request, |r| Some(r.error_code)).await?;
        let code = |place: &TopicPartition| {
            let topic = response.topics.iter().find(|topic| *topic.name == *place.topic)?;
            let mut partitions = topic.partitions.iter();
            let found = partitions.find(|p| i64::from(p.partition_index) == place.partition)?;
            Some(Code::from(found.error_code))
        };
        let outcome = |place: &TopicPartition| match code(place) {
            Some(Code::NONE) => Ok(()),
            code => {
                let code = code.unwrap_or(Code::UNKNOWN_TOPIC_OR_PARTITION);
                let error = self.refused(code).with_topic(&*place.topic);
                Err(error.with_partition(place.partition))
            }
        };
        Ok(partitions.iter().map(outcome).collect())
    }
}

fn consumer_group(group: by_epochs::DescribedGroup, coordinator: i32) -> GroupDescription {
    let member = |member: by_epochs::Member| GroupMember {
        id: member.member_id,
        instance: member.instance_id,
        client_id: member.client_id,
        host: member.client_host,
        topics: member.subscribed_topic_names,
        assignment: member.assignment.topic_partitions.into_iter().flat_map(places_of).collect(),
        epoch: member.member_epoch,
    };
    GroupDescription {
        listing: GroupListing {
            id: group.group_id,
            protocol_type: "consumer".to_owned(),
            state: group.group_state,
            kind: GroupKind::Consumer,
            coordinator,
        },
        assignor: group.assignor_name,
        epoch: group.group_epoch,
        members: group.members.into_iter().map(member).collect(),
    }
}

fn places_of(topic: by_epochs::TopicPartitions) -> impl Iterator<Item = TopicPartition> {
    let name: Arc<str> = Arc::from(topic.topic_name);
    topic.partitions.into_iter().map(move |partition| TopicPartition {
        topic: Arc::clone(&name),
        partition: i64::from(partition),
    })
}

fn classic_group(group: DescribedGroup, coordinator: i32) -> GroupDescription {
    // What members of other kinds say of themselves is theirs.
    let consumers = group.protocol_type == "consumer";
    let members = group.members.into_iter().map(|member| classic_member(member, consumers));
    GroupDescription {
        assignor: group.protocol_data,
        epoch: -1,
        members: members.collect(),
        listing: GroupListing {
            id: group.group_id,
            protocol_type: group.protocol_type,
            state: group.group_state,
            kind: GroupKind::Classic,
            coordinator,
        },
    }
}

fn classic_member(member: DescribedGroupMember, consumer: bool) -> GroupMember {
    let said = consumer_protocol::decode::<ConsumerProtocolSubscription>(&member.member_metadata);
    let given = super::classic::read_assignment(&member.member_assignment);
    GroupMember {
        id: member.member_id,
        instance: member.group_instance_id,
        client_id: member.client_id,
        host: member.client_host,
        topics: said.ok().filter(|_| consumer).map(|said| said.topics).unwrap_or_default(),
        assignment: given.ok().filter(|_| consumer).unwrap_or_default(),
        epoch: -1,
    }
}
