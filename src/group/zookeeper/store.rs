//! Where a group's offsets are: in ZooKeeper, at the coordinator, or both.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::oneshot;

use super::layout::Layout;
use super::offsets::Nodes;
use super::shared::{Shared, lock};
use crate::config::OffsetsStorage;
use crate::discovery::zookeeper::together;
use crate::error::{Code, Error, Result};
use crate::group::{Boxed, Committed, OffsetStore, TopicPartition};
use crate::os::fork::Era;

/// Which stores count (rule 10.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    ZooKeeper,
    Kafka,
    /// For a group that moves: written to both, read from the larger.
    Both,
}

/// The offsets of a member of a group in ZooKeeper.
#[derive(Debug)]
pub(super) struct Store {
    inner: Arc<Inner>,
    /// Ends when the commit before is done: none overtakes another (rule 11.5).
    turn: Mutex<Option<oneshot::Receiver<()>>>,
    era: Era,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    nodes: Nodes,
    kafka: Option<Arc<dyn OffsetStore>>,
}

impl Store {
    /// `kafka` is the coordinator's store for somebody who is no member of it, where it may be needed.
    pub(super) fn new(shared: Arc<Shared>, kafka: Option<Arc<dyn OffsetStore>>) -> Self {
        let nodes = Nodes::new(Arc::clone(&shared));
        let inner = Arc::new(Inner { shared, nodes, kafka });
        Self { inner, turn: Mutex::default(), era: Era::current() }
    }
}

impl OffsetStore for Store {
    fn fetch(
        &self,
        partitions: Vec<TopicPartition>,
        deadline: Instant,
    ) -> Boxed<Result<Vec<Result<Option<Committed>>>>> {
        let (inner, era) = (Arc::clone(&self.inner), self.era);
        Box::pin(async move {
            era.check()?;
            inner.fetch(partitions, deadline).await
        })
    }

    fn commit(
        &self,
        places: Vec<(TopicPartition, Committed)>,
        once: bool,
        deadline: Instant,
    ) -> Boxed<Vec<Result<()>>> {
        let count = places.len();
        if let Err(error) = self.era.check() {
            return Box::pin(std::future::ready(vec![Err(error); count]));
        }
        let (ended, turn) = oneshot::channel();
        let before = lock(&self.turn).replace(turn);
        let (sender, outcome) = oneshot::channel();
        let inner = Arc::clone(&self.inner);
        let under_way = inner.shared.begin_commit();
        // A task of its own: who loses patience with a commit must not let the next one overtake it.
        let job = async move {
            if let Some(before) = before {
                let _ = before.await;
            }
            // Whoever asked may have gone.
            let _ = sender.send(inner.commit(places, once, deadline).await);
            drop((ended, under_way));
        };
        self.inner.shared.runtime.spawn("zookeeper commit", |_| {}, job);
        Box::pin(async move {
            let abandoned = |_| vec![Err(Error::bare(Code::ABANDONED)); count];
            outcome.await.unwrap_or_else(abandoned)
        })
    }

    fn ages(&self) -> bool {
        self.inner.kafka.as_ref().is_some_and(|kafka| kafka.ages())
    }
}

impl Inner {
    /// The stores that count, and the coordinator's if it is one of them.
    fn places(&self, layout: Layout) -> Result<(Place, Option<&Arc<dyn OffsetStore>>)> {
        let config = &self.shared.config.zookeeper;
        let place = match (layout, config.offsets_storage) {
            (Layout::PyKafka, _) => Place::Kafka,
            (Layout::Legacy, _) | (Layout::Scala, OffsetsStorage::ZooKeeper) => Place::ZooKeeper,
            (Layout::Scala, OffsetsStorage::Kafka) if config.dual_commit => Place::Both,
            (Layout::Scala, OffsetsStorage::Kafka) => Place::Kafka,
        };
        match (place, &self.kafka) {
            (Place::ZooKeeper, _) => Ok((place, None)),
            (_, Some(kafka)) => Ok((place, Some(kafka))),
            (_, None) => Err(Error::new(Code::INVALID_STATE, "the group has no store in Kafka")),
        }
    }

    async fn fetch(
        &self,
        partitions: Vec<TopicPartition>,
        deadline: Instant,
    ) -> Result<Vec<Result<Option<Committed>>>> {
        let (_, layout) = self.nodes.place(deadline).await?;
        let (place, kafka) = self.places(layout)?;
        let Some(kafka) = kafka else { return self.nodes.fetch_all(&partitions, deadline).await };
        let at_coordinator = kafka.fetch(partitions.clone(), deadline).await?;
        if place == Place::Kafka {
            return Ok(at_coordinator);
        }
        let in_zookeeper = self.nodes.fetch_all(&partitions, deadline).await?;
        // One that cannot be read might be the larger: that is an error, not a smaller start.
        let both = at_coordinator.into_iter().zip(in_zookeeper);
        Ok(both.map(|(one, other)| Ok(larger(one?, other?))).collect())
    }

    async fn commit(
        &self,
        places: Vec<(TopicPartition, Committed)>,
        once: bool,
        deadline: Instant,
    ) -> Vec<Result<()>> {
        let permitting = places.iter().map(|(one, _)| self.nodes.permit(one, deadline));
        let permits: Vec<_> = together(permitting.collect()).await;
        let layout = permits.iter().find_map(|permit| Some(permit.as_ref().ok()?.1));
        let stores = layout.map_or(Ok((Place::ZooKeeper, None)), |layout| self.places(layout));
        let (place, kafka) = match stores {
            Ok(stores) => stores,
            Err(error) => return vec![Err(error); places.len()],
        };
        let Some(kafka) = kafka else {
            return self.nodes.commit_all(&places, once, deadline).await;
        };
        // The coordinator knows nothing of owners in ZooKeeper: what is not ours does not reach it.
        let allowed = places.iter().zip(&permits).filter(|(_, permit)| permit.is_ok());
        let allowed: Vec<_> = allowed.map(|(place, _)| place.clone()).collect();
        let mut told = kafka.commit(allowed, once, deadline).await.into_iter();
        let mut outcome: Vec<Result<()>> = Vec::new();
        for permit in permits {
            let unheard = || Err(Error::new(Code::PROTOCOL, "a commit was not answered"));
            outcome.push(permit.and_then(|_| told.next().unwrap_or_else(unheard)));
        }
        if place == Place::Both {
            let also = self.nodes.commit_all(&places, once, deadline).await;
            outcome = outcome.into_iter().zip(also).map(|(one, other)| one.and(other)).collect();
        }
        outcome
    }
}

/// The one that is further on; the coordinator's, which has more to tell, if they are alike.
fn larger(kafka: Option<Committed>, zookeeper: Option<Committed>) -> Option<Committed> {
    match (kafka, zookeeper) {
        (Some(kafka), Some(zookeeper)) if zookeeper.offset > kafka.offset => Some(zookeeper),
        (None, zookeeper) => zookeeper,
        (kafka, _) => kafka,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_10_12_of_two_stores_the_larger_offset_counts() {
        let place = |offset, epoch: Option<i32>| {
            Some(Committed { offset, leader_epoch: epoch, metadata: None })
        };
        for (kafka, zookeeper, expected) in [
            (place(5, Some(1)), place(7, None), place(7, None)),
            (place(7, Some(1)), place(5, None), place(7, Some(1))),
            (place(5, Some(1)), place(5, None), place(5, Some(1))),
            (None, place(0, None), place(0, None)),
            (place(0, None), None, place(0, None)),
            (None, None, None),
        ] {
            assert_eq!(larger(kafka, zookeeper), expected);
        }
    }
}
