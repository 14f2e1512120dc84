//! The names of topics that the coordinator names by their ids (rule 9.9).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cluster::{Cluster, TopicId};
use crate::error::Result;
use crate::net::{Broker, Purpose};
use crate::protocol::modern::Uuid;
use crate::protocol::modern::messages::metadata::{MetadataRequest, MetadataRequestTopic};

/// The first version that can ask by id.
const FIRST_BY_ID: i16 = 12;

/// What a topic is called.
pub(super) type Named = (TopicId, Arc<str>);

/// The names that the cluster's snapshot knows.
pub(super) fn known(cluster: &Cluster, ids: &BTreeSet<TopicId>) -> Vec<Named> {
    let metadata = cluster.metadata();
    let topics = metadata.topics.values().filter(|topic| ids.contains(&topic.id));
    topics.map(|topic| (topic.id, Arc::clone(&topic.name))).collect()
}

/// The names that some broker knows now. A new topic spreads slowly: none is no news.
pub(super) async fn asked(
    cluster: Arc<Cluster>,
    ids: BTreeSet<TopicId>,
    timeout: Duration,
) -> Vec<Named> {
    for broker in cluster.reachable_brokers() {
        match ask(&broker, &ids, timeout).await {
            Ok(named) => return named,
            Err(error) => {
                let why = format_args!("the names of assigned topics were not told: {error}");
                cluster.logger().debug("group", why);
            }
        }
    }
    Vec::new()
}

async fn ask(
    broker: &Arc<Broker>,
    ids: &BTreeSet<TopicId>,
    timeout: Duration,
) -> Result<Vec<Named>> {
    let connection = broker.connection(Purpose::Control, Instant::now() + timeout).await?;
    let version = connection.versions().pick::<MetadataRequest>()?;
    if version < FIRST_BY_ID {
        return Err(connection.versions().unsupported("topics by their ids"));
    }
    let by_id = |id: &TopicId| MetadataRequestTopic { topic_id: Uuid(*id), name: None };
    let request = MetadataRequest {
        topics: Some(ids.iter().map(by_id).collect()),
        allow_auto_topic_creation: false,
        ..MetadataRequest::default()
    };
    let response = connection.request_at(version, &request, Instant::now() + timeout).await?;
    let named = response.topics.into_iter().filter(|topic| topic.error_code == 0);
    let named = named.filter_map(|topic| Some((topic.topic_id.0, Arc::from(topic.name?))));
    Ok(named.filter(|(id, _)| ids.contains(id)).collect())
}
