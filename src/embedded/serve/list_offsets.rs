//! ListOffsets: earliest, latest, by time, and the largest timestamp.

use std::collections::HashSet;

use bytes::Bytes;

use super::{Call, Serve, Served, ask_leader, wire};
use crate::embedded::log::Entry;
use crate::embedded::partition::State;
use crate::embedded::state::Shared;
use crate::error::Code;
use crate::protocol::modern::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopic, ListOffsetsTopicResponse,
};
use crate::protocol::record::BatchIter;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
/// Since version 7 (KIP-734).
const MAX_TIMESTAMP: i64 = -3;
/// Since version 8 (KIP-405): the same as earliest where nothing is tiered.
const EARLIEST_LOCAL: i64 = -4;
/// Since version 9 (KIP-1005): none where nothing is tiered.
const LATEST_TIERED: i64 = -5;
/// Since version 11 (KIP-1023): as earliest.
const EARLIEST_PENDING_UPLOAD: i64 = -6;
const MAX_DECOMPRESSED: usize = 100 * 1024 * 1024;

impl Serve for ListOffsetsRequest {
    fn names(&self, _: &Shared, topic: Option<&str>, partition: Option<i32>) -> bool {
        let of = |t: &ListOffsetsTopic| {
            topic.is_none_or(|wanted| wanted == t.name)
                && partition.is_none_or(|p| t.partitions.iter().any(|l| l.partition_index == p))
        };
        self.topics.iter().any(of)
    }

    fn serve(self, call: &Call<'_>) -> Served<ListOffsetsResponse> {
        let repeated = repeated(&self.topics);
        let topics = self.topics.iter().map(|topic| {
            let answer = |asked: &ListOffsetsPartition| {
                let outcome = if repeated.contains(&(&*topic.name, asked.partition_index)) {
                    Err(Code::INVALID_REQUEST)
                } else {
                    look_up(call, &topic.name, asked)
                };
                respond(call.version, asked, outcome)
            };
            let partitions = topic.partitions.iter().map(answer).collect();
            ListOffsetsTopicResponse { name: topic.name.clone(), partitions }
        });
        let topics = topics.collect();
        Served::Answer(ListOffsetsResponse { topics, ..ListOffsetsResponse::default() })
    }

    fn throttle(response: &mut ListOffsetsResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }
}

/// Partitions that are named more than once, which brokers refuse: each look-up by time decompresses
/// a batch.
fn repeated(topics: &[ListOffsetsTopic]) -> HashSet<(&str, i32)> {
    let mut seen = HashSet::new();
    let mut repeated = HashSet::new();
    for topic in topics {
        for partition in &topic.partitions {
            let named = (&*topic.name, partition.partition_index);
            if !seen.insert(named) {
                repeated.insert(named);
            }
        }
    }
    repeated
}

/// What was found: the offset, its record's timestamp, and the era of the leader.
struct Found {
    offset: i64,
    timestamp: i64,
    leader_epoch: i32,
}

fn look_up(call: &Call<'_>, topic: &str, asked: &ListOffsetsPartition) -> Result<Found, Code> {
    ask_leader(call, topic, asked.partition_index, asked.current_leader_epoch, |state| {
        find(state, asked.timestamp)
    })
}

fn find(state: &mut State, wanted: i64) -> Result<Found, Code> {
    let leader_epoch = state.leader_epoch;
    let at = |offset, timestamp| Ok(Found { offset, timestamp, leader_epoch });
    match wanted {
        LATEST => at(state.log.end_offset(), -1),
        EARLIEST | EARLIEST_LOCAL | EARLIEST_PENDING_UPLOAD => at(state.log.start_offset(), -1),
        LATEST_TIERED => at(-1, -1),
        MAX_TIMESTAMP => {
            let newest = state.log.entries().map(|e| e.max_timestamp).max();
            match newest.filter(|time| *time >= 0) {
                Some(time) => by_time(state, time),
                None => at(-1, -1),
            }
        }
        time if time >= 0 => by_time(state, time),
        _ => Err(Code::INVALID_REQUEST),
    }
}

/// The first record at or after a time, in order of offsets.
fn by_time(state: &mut State, time: i64) -> Result<Found, Code> {
    let leader_epoch = state.leader_epoch;
    let start = state.log.start_offset();
    let candidates: Vec<Entry> =
        state.log.entries().filter(|e| e.max_timestamp >= time).copied().collect();
    for entry in candidates {
        let batch = state.log.batch(&entry);
        if let Some((offset, timestamp)) = first_in(batch, time, start) {
            return Ok(Found { offset, timestamp, leader_epoch });
        }
    }
    Ok(Found { offset: -1, timestamp: -1, leader_epoch })
}

/// The first record of a batch at or after `time`, and not before `start`.
fn first_in(batch: Bytes, time: i64, start: i64) -> Option<(i64, i64)> {
    BatchIter::new(batch).flatten().find_map(|batch| {
        let decoded = batch.decode(false, MAX_DECOMPRESSED).ok()?;
        let mut records = decoded.records.iter();
        let found = records.find(|r| r.timestamp >= time && r.offset >= start)?;
        Some((found.offset, found.timestamp))
    })
}

fn respond(
    version: i16,
    asked: &ListOffsetsPartition,
    outcome: Result<Found, Code>,
) -> ListOffsetsPartitionResponse {
    let mut response = ListOffsetsPartitionResponse {
        partition_index: asked.partition_index,
        ..ListOffsetsPartitionResponse::default()
    };
    match outcome {
        Err(code) => response.error_code = wire(code),
        // Version 0 gives a list of segment starts, newest first; a log here is one segment.
        Ok(found) if version == 0 => {
            let most = usize::try_from(asked.max_num_offsets).unwrap_or(0);
            response.old_style_offsets =
                Some(found.offset).filter(|o| *o >= 0).into_iter().collect();
            response.old_style_offsets.truncate(most);
        }
        Ok(found) => {
            response.offset = found.offset;
            response.timestamp = found.timestamp;
            if version >= 4 {
                response.leader_epoch = found.leader_epoch;
            }
        }
    }
    response
}
