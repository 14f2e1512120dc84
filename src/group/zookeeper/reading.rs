//! What a rebalance reads of ZooKeeper, each read with its watch (rules 10.8, 10.9).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::layout::{Layout, Partition};
use super::registration::Wish;
use super::shared::Shared;
use super::together::together;
use crate::config::{OffsetsStorage, ZooKeeperLayout};
use crate::discovery::zookeeper::{
    Failure, Generation, Outcome, RegisteredBroker, Session, Watcher, partition_count, partitions,
};
use crate::error::{Code, Error};

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
    /// Which layout the group has; none while no broker is registered that would show it.
    pub(super) async fn layout(&self) -> Outcome<Option<Layout>> {
        if let Some(layout) = self.shared.layout() {
            return Ok(Some(layout));
        }
        let wanted = self.shared.config.zookeeper.layout;
        let ids = self.children(BROKERS).await?;
        let read = ids.iter().filter_map(|name| name.parse().ok()).map(|id: i32| async move {
            let (data, _) = self.session.get(&format!("{BROKERS}/{id}"), None, soon()).await?;
            Ok(RegisteredBroker::parse(id, 0, &data)?.generation())
        });
        let generations: Vec<Outcome<Generation>> = together(read.collect()).await;
        let found = generations.into_iter().find_map(std::result::Result::ok);
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
        let Some(data) = self.data(&format!("{TOPICS}/{topic}")).await? else {
            return Ok(Vec::new());
        };
        let numbers = partitions(&data)?.into_keys();
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
        let brokers = self.children(&path).await?.into_iter();
        let brokers = brokers.filter_map(|name| name.parse::<i32>().ok());
        let path = &path;
        let read = brokers.map(|broker| async move {
            let count = match self.data(&format!("{path}/{broker}")).await? {
                Some(data) => partition_count(&data)?,
                None => 0,
            };
            Ok((0..count).map(|number| Layout::legacy_partition(broker, number)).collect())
        });
        let partitions: Vec<Vec<Partition>> =
            together(read.collect()).await.into_iter().collect::<Outcome<_>>()?;
        Ok(partitions.into_iter().flatten().collect())
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
