//! Fetch: sessions, the wait at the end of the log, and the answer.

use std::time::{Duration, Instant};

use bytes::Bytes;
use samsa::protocol::modern::messages::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, FetchableTopicResponse,
    ForgottenTopic, PartitionData,
};

use crate::log::Found;
use crate::world::World;

const SESSION_NOT_FOUND: i16 = 70;
/// A session has one id: nobody opens two on a connection.
const SESSION: i32 = 7;
/// The epoch of a request that opens a session, and of one outside any.
const OPENS: i32 = 0;
const SESSIONLESS: i32 = -1;

/// The fetch session of a connection (KIP-227).
#[derive(Default)]
pub struct Session {
    topics: Option<Vec<FetchTopic>>,
}

/// An answer, and where the shared parts of its records begin.
pub struct Answer {
    pub response: FetchResponse,
    /// The base offset of each shared part, in order.
    pub bases: Vec<i64>,
}

/// Answers a fetch; waits if there is nothing yet.
pub fn serve(request: FetchRequest, session: &mut Session, world: &World) -> Answer {
    let due =
        Instant::now() + Duration::from_millis(request.max_wait_ms.max(0).unsigned_abs().into());
    let max_bytes = usize::try_from(request.max_bytes).unwrap_or(0);
    let incremental = request.session_epoch > OPENS;
    let topics = match request.session_epoch {
        SESSIONLESS => request.topics,
        _ if !world.options.sessions => request.topics,
        OPENS => session.topics.insert(request.topics).clone(),
        _ => match &mut session.topics {
            Some(topics) => {
                forget(topics, &request.forgotten_topics_data);
                merge(topics, request.topics);
                topics.clone()
            }
            None => return refused(),
        },
    };
    wait(&topics, due, world);
    let mut answer = read(&topics, max_bytes, incremental && world.options.sessions, world);
    if request.session_epoch != SESSIONLESS && world.options.sessions {
        answer.response.session_id = SESSION;
    }
    answer
}

fn refused() -> Answer {
    let response = FetchResponse { error_code: SESSION_NOT_FOUND, ..FetchResponse::default() };
    Answer { response, bases: Vec::new() }
}

fn forget(topics: &mut Vec<FetchTopic>, gone: &[ForgottenTopic]) {
    for gone in gone {
        for topic in topics.iter_mut() {
            if topic.topic == gone.topic && topic.topic_id == gone.topic_id {
                topic.partitions.retain(|p| !gone.partitions.contains(&p.partition));
            }
        }
    }
    topics.retain(|topic| !topic.partitions.is_empty());
}

fn merge(topics: &mut Vec<FetchTopic>, changed: Vec<FetchTopic>) {
    for changed in changed {
        let same = |t: &&mut FetchTopic| t.topic == changed.topic && t.topic_id == changed.topic_id;
        let Some(topic) = topics.iter_mut().find(same) else {
            topics.push(changed);
            continue;
        };
        for partition in changed.partitions {
            let same = |p: &&mut FetchPartition| p.partition == partition.partition;
            match topic.partitions.iter_mut().find(same) {
                Some(place) => *place = partition,
                None => topic.partitions.push(partition),
            }
        }
    }
}

/// Until some partition has something, or the request is due.
fn wait(topics: &[FetchTopic], due: Instant, world: &World) {
    let partitions = topics.iter().flat_map(|topic| &topic.partitions);
    let soonest = partitions.filter_map(|p| world.log.until(p.fetch_offset)).min();
    let left = due.saturating_duration_since(Instant::now());
    let nap = soonest.map_or(left, |soonest| soonest.min(left));
    if !nap.is_zero() {
        std::thread::sleep(nap);
    }
}

fn read(topics: &[FetchTopic], max_bytes: usize, only_news: bool, world: &World) -> Answer {
    let mut answer = Answer { response: FetchResponse::default(), bases: Vec::new() };
    let mut used = 0;
    for topic in topics {
        let mut found = FetchableTopicResponse {
            topic: topic.topic.clone(),
            topic_id: topic.topic_id,
            partitions: Vec::with_capacity(topic.partitions.len()),
        };
        for asked in &topic.partitions {
            let most = usize::try_from(asked.partition_max_bytes).unwrap_or(0);
            let room = most.min(max_bytes.saturating_sub(used));
            let records = match world.log.read(asked.fetch_offset, room, used == 0) {
                Found::Nothing if only_news => continue,
                Found::Nothing => Bytes::new(),
                Found::Copied(bytes) => bytes,
                Found::Shared { bytes, base } => {
                    answer.bases.push(base);
                    bytes
                }
            };
            used += records.len();
            let end = world.log.end().max(asked.fetch_offset);
            found.partitions.push(PartitionData {
                partition_index: asked.partition,
                high_watermark: end,
                last_stable_offset: end,
                log_start_offset: 0,
                aborted_transactions: None,
                records: Some(records),
                ..PartitionData::default()
            });
        }
        if !found.partitions.is_empty() {
            answer.response.responses.push(found);
        }
    }
    let messages = world.log.records_in(used);
    world.messages.fetch_add(messages, std::sync::atomic::Ordering::Relaxed);
    answer
}
