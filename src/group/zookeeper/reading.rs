//! What a rebalance reads of ZooKeeper, each read with its watch (rules 10.8, 10.9).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::layout::{Layout, Partition};
use super::registration::Wish;
use super::shared::Shared;
use crate::config::{OffsetsStorage, ZooKeeperLayout};
use crate::discovery::zookeeper::{
    Failure, Generation, Outcome, RegisteredBroker, Session, Watcher, partition_count, partitions,
    together,
};
use crate::error::{Code, Error, Result};
use crate::protocol::zookeeper::ErrorCode;

const BROKERS: &str = "/brokers/ids";
const TOPICS: &str = "/brokers/topics";

/// How often a node may come and go between two looks before that is called a failure.
const FLICKERS: u32 = 5;

/// How long one request may take; the session's own rules leave a silent server long before.
const PATIENCE: Duration = Duration::from_secs(10);

/// The end of the time for a request that is made now.
pub(super) fn soon() -> Instant {
    Instant::now() + PATIENCE
}

/// Reads in one session; with a watcher every node that was looked at is watched from then on.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) shared: &'a Shared,
    pub(super) session: &'a Session,
    pub(super) watcher: Option<&'a Watcher>,
}

impl Reading<'_> {
    /// Which layout the group has; none while no broker is registered that would show it. Fails when some
    /// are and none of them can be read: that it ends nobody tells, so it is tried again.
    pub(super) async fn layout(&self) -> Outcome<Option<Layout>> {
        if let Some(layout) = self.shared.layout() {
            return Ok(Some(layout));
        }
        let wanted = self.shared.config.zookeeper.layout;
        let ids = self.children(BROKERS).await?;
        let read = ids.iter().filter_map(|name| name.parse().ok()).map(|id: i32| async move {
            let path = format!("{BROKERS}/{id}");
            match self.session.get(&path, self.watcher, soon()).await {
                Ok((data, _)) => Ok(Some(RegisteredBroker::parse(id, 0, &data)?.generation())),
                // It left in between, and the watch on the list tells who comes.
                Err(failure) if failure.is_no_node() => Ok(None),
                Err(failure) => Err(failure),
            }
        });
        let generations: Vec<Outcome<Option<Generation>>> = together(read.collect()).await;
        let found = match generations.iter().find_map(|read| *read.as_ref().ok()?) {
            // One that can be read shows what all are.
            Some(generation) => Some(generation),
            None => {
                generations.into_iter().collect::<Outcome<Vec<_>>>()?.into_iter().flatten().next()
            }
        };
        let storage = self.shared.config.zookeeper.offsets_storage;
        let layout = match (found, wanted) {
            (None, _) => return Ok(None),
            (Some(Generation::Legacy), _) if storage == OffsetsStorage::Kafka => {
                let text = "offsets.storage=kafka: Kafka 0.7 keeps no offsets";
                let error = Error::new(Code::UNSUPPORTED_FEATURE, text);
                return Err(error.with_property("offsets.storage").fatal().into());
            }
            (Some(Generation::Modern), ZooKeeperLayout::Kafka) => Layout::Scala,
            (Some(Generation::Modern), ZooKeeperLayout::PyKafka) => Layout::PyKafka,
            (Some(Generation::Legacy), ZooKeeperLayout::Kafka) => Layout::Legacy,
            (Some(Generation::Legacy), ZooKeeperLayout::PyKafka) => {
                let text = "zookeeper.group.layout=pykafka: PyKafka has no groups on Kafka 0.7";
                let error = Error::new(Code::UNSUPPORTED_FEATURE, text);
                return Err(error.with_property("zookeeper.group.layout").fatal().into());
            }
        };
        Ok(Some(self.shared.set_layout(layout)))
    }

    /// Hears when brokers come and go: PyKafka's members rebalance then.
    pub(super) async fn watch_brokers(&self) -> Outcome<()> {
        self.children(BROKERS).await.map(drop)
    }

    /// The names of all topics, sorted.
    pub(super) async fn topics(&self) -> Outcome<Vec<Arc<str>>> {
        let mut names: Vec<Arc<str>> =
            self.children(TOPICS).await?.into_iter().map(Arc::from).collect();
        names.sort();
        Ok(names)
    }

    /// Every member of the group, and what it wishes to read.
    pub(super) async fn members(&self, layout: Layout) -> Outcome<BTreeMap<String, Wish>> {
        let ids = self.children(&self.shared.paths.ids()).await?;
        let read = ids.into_iter().map(|id| async move {
            match self.session.get(&self.shared.paths.id(&id), None, soon()).await {
                Ok((data, _)) => Ok(Some((id, Wish::parse(layout, &data)))),
                // It left in between, and the watch tells.
                Err(failure) if failure.is_no_node() => Ok(None),
                Err(failure) => Err(failure),
            }
        });
        let members: Vec<Option<_>> =
            together(read.collect()).await.into_iter().collect::<Outcome<_>>()?;
        Ok(members.into_iter().flatten().collect())
    }

    /// The partitions of these topics; none of one that is not there.
    pub(super) async fn partitions(
        &self,
        layout: Layout,
        topics: impl IntoIterator<Item = Arc<str>>,
    ) -> Outcome<BTreeMap<Arc<str>, Vec<Partition>>> {
        let read = topics.into_iter().map(|topic| async move {
            let partitions = match layout {
                Layout::Legacy => self.legacy_topic(&topic).await?,
                Layout::Scala | Layout::PyKafka => self.topic(layout, &topic).await?,
            };
            Ok((topic, partitions))
        });
        together(read.collect()).await.into_iter().collect()
    }

    async fn topic(&self, layout: Layout, topic: &str) -> Outcome<Vec<Partition>> {
        let path = format!("{TOPICS}/{topic}");
        let Some(data) = self.readable(&path, self.data(&path).await).await? else {
            return Ok(Vec::new());
        };
        let Some(listed) = self.sense(&path, partitions(&data)) else { return Ok(Vec::new()) };
        let numbers = listed.into_keys();
        if layout != Layout::PyKafka {
            return Ok(numbers.map(|number| layout.partition(number, 0)).collect());
        }
        let read = numbers.map(|number| async move {
            let leader = self.leader(topic, number).await?;
            Ok(layout.partition(number, leader))
        });
        together(read.collect()).await.into_iter().collect()
    }

    /// Who leads a partition. Not watched: PyKafka's members go by who leads when they rebalance.
    async fn leader(&self, topic: &str, partition: i32) -> Outcome<i32> {
        let path = format!("{TOPICS}/{topic}/partitions/{partition}/state");
        let nobody = || {
            let text = format!("partition {partition} of {topic} has no leader in ZooKeeper");
            Failure::Other(Error::new(Code::LEADER_NOT_AVAILABLE, text))
        };
        let data = match self.session.get(&path, None, soon()).await {
            Ok((data, _)) => data,
            Err(failure) if failure.is_no_node() => return Err(nobody()),
            Err(failure) => return Err(failure),
        };
        let json: Option<Value> = serde_json::from_slice(&data).ok();
        let leader = json.as_ref().and_then(|json| json.get("leader")).and_then(Value::as_i64);
        let leader = leader.and_then(|leader| i32::try_from(leader).ok());
        leader.filter(|leader| *leader >= 0).ok_or_else(nobody)
    }

    async fn legacy_topic(&self, topic: &str) -> Outcome<Vec<Partition>> {
        let path = format!("{TOPICS}/{topic}");
        let brokers = self.children(&path).await.map(Some);
        let brokers = self.readable(&path, brokers).await?.unwrap_or_default().into_iter();
        let brokers = brokers.filter_map(|name| name.parse::<i32>().ok());
        let path = &path;
        let read = brokers.map(|broker| async move {
            let path = format!("{path}/{broker}");
            let data = self.readable(&path, self.data(&path).await).await?;
            let count = data.and_then(|data| self.sense(&path, partition_count(&data)));
            let count = count.unwrap_or_default();
            Ok((0..count).map(|number| Layout::legacy_partition(broker, number)).collect())
        });
        let partitions: Vec<Vec<Partition>> =
            together(read.collect()).await.into_iter().collect::<Outcome<_>>()?;
        Ok(partitions.into_iter().flatten().collect())
    }

    /// What was read of a topic's node; none if it is closed to us, as if it were not there. One topic
    /// does not stop the others. A refused read leaves no watch, and a look at whether it is there, which
    /// needs no right, does: what changes in it is told.
    async fn readable<T>(&self, path: &str, read: Outcome<Option<T>>) -> Outcome<Option<T>> {
        match read {
            Err(failure) if failure.is(ErrorCode::NO_AUTH) => {
                self.session.exists(path, self.watcher, soon()).await?;
                self.shared.doubt(path, &failure.into());
                Ok(None)
            }
            read => read,
        }
    }

    /// What a topic's node says; none if that makes no sense, as if it were not there: brokers refuse it
    /// as well, and its watch tells when it changes.
    fn sense<T>(&self, path: &str, said: Result<T>) -> Option<T> {
        match said {
            Ok(said) => {
                self.shared.trust(path);
                Some(said)
            }
            Err(error) => {
                self.shared.doubt(path, &error);
                None
            }
        }
    }

    /// The names of a node's children; none of one that is not there. Whatever comes next is told.
    async fn children(&self, path: &str) -> Outcome<Vec<String>> {
        for _ in 0..FLICKERS {
            match self.session.children(path, self.watcher, soon()).await {
                Ok((names, _)) => return Ok(names),
                Err(failure) if failure.is_no_node() => {}
                Err(failure) => return Err(failure),
            }
            if self.session.exists(path, self.watcher, soon()).await?.is_none() {
                return Ok(Vec::new());
            }
        }
        Err(flickers(path))
    }

    /// A node's data; none of one that is not there. Whatever comes next is told.
    async fn data(&self, path: &str) -> Outcome<Option<bytes::Bytes>> {
        for _ in 0..FLICKERS {
            match self.session.get(path, self.watcher, soon()).await {
                Ok((data, _)) => return Ok(Some(data)),
                Err(failure) if failure.is_no_node() => {}
                Err(failure) => return Err(failure),
            }
            if self.session.exists(path, self.watcher, soon()).await?.is_none() {
                return Ok(None);
            }
        }
        Err(flickers(path))
    }
}

fn flickers(path: &str) -> Failure {
    let text = format!("{path} in ZooKeeper is there and not there");
    Failure::Other(Error::new(Code::PROTOCOL, text))
}
